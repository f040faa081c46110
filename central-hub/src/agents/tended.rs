//! What is to be said to the agent of a bed, as state: who watches, who lies there, which limits are wanted, what people have asked for.

use cotside_protocol::wire::downstream::{Command, Limits, Stay, Watch};
use std::sync::Arc;

/// Commands of one bed on their way at once. One that finds it full is refused by the hub: nobody waits for a button.
pub const COMMANDS_MAX: usize = 16;

/// A conversation says it when it begins, every second and at every change: what a broken connection lost is said again by the next.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Tended {
    /// Of the epoch it names; an agent of another epoch hears that nobody watches.
    pub watch: Option<Watch>,
    pub stay: Option<Stay>,
    /// The set that this hub wants in force. Pushed once the agent has said what it has, and only over a lower version (H4).
    pub limits: Option<Arc<Limits>>,
    /// Until the agent has answered, or they expire.
    pub commands: Vec<Command>,
}

impl Tended {
    pub fn beat(&self) -> Option<u64> {
        self.watch.as_ref().and_then(|watch| watch.beat)
    }

    /// Whether this may not wait for the next second, after `before` was said.
    pub fn is_urgent_after(&self, before: &Self) -> bool {
        let is_new = |command: &Command| before.commands.iter().all(|said| said.id != command.id);
        let has_lost = before.beat().is_some() && self.beat().is_none();
        has_lost
            || self.stay != before.stay
            || self.limits != before.limits
            || self.commands.iter().any(is_new)
    }
}
