//! Every partner of the distributed alarm system cut by force, and how long each end takes to say so.

use super::world::{Step, World};
use super::{is_up, open};
use std::time::Duration;

/// What was cut, and after how long bed and hub raised their technical alarm; None: that end cannot know, or is the one that died.
pub struct Fault {
    pub what: &'static str,
    pub at_bed: Option<Duration>,
    pub at_hub: Option<Duration>,
    /// Whether each end is there to say so.
    pub due: (bool, bool),
}

/// Long enough for anything that is ever said.
const PATIENCE_HALVES: u32 = 60;

pub fn matrix() -> Vec<Fault> {
    let cut = |what, steps: &[Step], due| {
        let mut world = World::begin();
        // Between a tick and its receipt, where it is worst.
        (0..5).for_each(|half| world.half_second(half));
        steps.iter().for_each(|step| world.take(*step));
        let since = world.now.mono;
        let (mut at_bed, mut at_hub) = (None, None);
        for half in 5..5 + PATIENCE_HALVES {
            let waited = world.now.mono.since(since);
            let is_told = open(&world).any(|alarm| is_up(alarm) && matches!(alarm.rule.as_str(), "hub-lost"));
            at_bed = at_bed.or(is_told.then_some(waited));
            let is_told = world.desk_says_offline() || world.desk_says_station_lost();
            at_hub = at_hub.or(is_told.then_some(waited));
            world.half_second(half);
        }
        Fault { what, at_bed, at_hub, due }
    };
    vec![
        cut("network between bed and hub", &[Step::Network], (true, true)),
        cut("hub process", &[Step::Hub], (true, false)),
        cut("station", &[Step::Station], (true, true)),
        cut("its audio engine", &[Step::Speaker], (true, true)),
        cut(
            "station and its way to the hub at once with the bed's",
            &[Step::Station, Step::Network],
            (true, true),
        ),
    ]
}
