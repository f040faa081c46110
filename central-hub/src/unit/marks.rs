//! What the hub itself found about an agent, as a technical alarm at its bed until a person has settled it.

use super::view::AlarmView;
use crate::store::marks::Mark;
use cotside_protocol::model::Wall;
use cotside_protocol::wire::upstream::{Alarm, AlarmKind, Condition, Inactivation, Priority};

pub(super) fn alarm(mark: &Mark) -> AlarmView {
    let text = match mark.what.as_str() {
        "identity-conflict" => "A second gateway of this name, or its log was set back",
        "store-set-back" => "The hub's store was set back: data may be missing",
        other => other,
    };
    technical(&mark.what, &mark.agent, Priority::Medium, text, mark.since)
}

/// The gateway's clock is not the hub's: said here where the gateway itself does not.
pub(super) fn clock(agent: &str, since: Wall) -> AlarmView {
    let text = "CLOCK: the gateway's and the hub's differ by more than 30 s";
    technical("clock", agent, Priority::Low, text, since)
}

fn technical(what: &str, agent: &str, priority: Priority, text: &str, since: Wall) -> AlarmView {
    let alarm = Alarm {
        episode: format!("hub-{what}-{agent}"),
        version: 1,
        attention: 1,
        rule: what.to_owned(),
        kind: AlarmKind::Technical,
        priority,
        condition: Condition::Active,
        inactivation: Inactivation::Enabled,
        code: None,
        site: None,
        value: None,
        limit: None,
        ucum: String::new(),
        text: text.to_owned(),
        parts: Vec::new(),
        link: None,
        delay_ms: 0,
        limits: 0,
        onset_us: since.0,
        active_us: Some(since.0),
        ended_us: None,
        ended: None,
    };
    // The hub's own clock and the hub's own record.
    AlarmView::new(&alarm, true, 0)
}
