//! What goes wrong in one history, and how often: drawn from the history's seed.

use cotside_simulators::newborn::Random;
use std::time::Duration;

/// What stands at the beds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Devices {
    /// Every driver of the house over bad cables, beside the oximeter that counts.
    All,
    /// The oximeter that counts, alone.
    Counting,
}

/// What carries messages between agent and hub.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Way {
    /// The hub's own listener: a connection's messages end with it.
    Endpoint,
    /// A broker between: what it holds arrives later, whatever became of its sender, and topics overtake each other.
    Broker,
}

/// Every span is a mean; zero: never.
#[derive(Clone, Debug)]
pub struct Weather {
    pub devices: Devices,
    pub way: Way,
    /// The oximeter says a line this often.
    pub line_every: Duration,
    pub loss_window: Duration,
    pub grace: Duration,
    pub cap_bytes: u64,
    /// How long agents are off after their power was cut.
    pub off_for: Duration,
    /// How many store calls an agent lives; zero: it lives on.
    pub agent_calls: u64,
    /// How many commits the hub lives.
    pub hub_commits: u64,
    pub network_cut_every: Duration,
    pub network_cut_for: Duration,
    pub cable_pulled_every: Duration,
    pub cable_pulled_for: Duration,
    pub clock_jumps_every: Duration,
    /// The hub's disk takes nothing.
    pub hub_full_every: Duration,
    pub hub_full_for: Duration,
    /// One message in so many is lost or doubled on its way.
    pub stray_one_in: u64,
    /// A broker that delivers again what it delivered, within this time.
    pub redelivers_within: Duration,
    /// One power cut in so many leaves a file that is no store.
    pub damage_one_in: u64,
    /// One power cut in so many takes back what the disk had said it wrote, acknowledged or not.
    pub lost_tail_one_in: u64,
    /// One death of the hub in so many is followed by the restore of an older copy.
    pub hub_set_back_one_in: u64,
}

impl Weather {
    /// Every driver, bad cables, deaths and cuts as in a bad week.
    pub fn bad_week() -> Self {
        Self {
            devices: Devices::All,
            agent_calls: 150,
            hub_commits: 400,
            network_cut_every: Duration::from_secs(20),
            network_cut_for: Duration::from_secs(8),
            ..Self::fair()
        }
    }

    /// Power cuts as dense as they come, with what else the seed brings.
    pub fn power_cuts(seed: u64) -> Self {
        let mut random = Random::new(seed ^ 0x706f_7765);
        let mut sometimes =
            |one_in: u64, span: Duration| if random.once_in(one_in) { span } else { Duration::ZERO };
        let seconds = Duration::from_secs;
        let hub_full_every = sometimes(4, seconds(30));
        let redelivers_within = sometimes(4, seconds(60));
        let network_cut_every = sometimes(2, seconds(10));
        // An older copy of the hub's store gets back what the agents still have: all of it, if nothing else goes wrong there.
        let is_set_back = random.once_in(6);
        let grace = if is_set_back { 3600 } else { [2, 3600][random.next() as usize % 2] };
        Self {
            way: if random.once_in(2) { Way::Broker } else { Way::Endpoint },
            loss_window: [200, 1000][random.next() as usize % 2] * Duration::from_millis(1),
            grace: seconds(grace),
            off_for: Duration::from_millis(300 + random.next() % 2000),
            agent_calls: 4,
            hub_commits: 12,
            network_cut_every,
            network_cut_for: seconds(3 + random.next() % 12),
            hub_full_every,
            hub_full_for: seconds(6),
            stray_one_in: [0, 50, 500][random.next() as usize % 3],
            redelivers_within,
            hub_set_back_one_in: if is_set_back { 4 } else { 0 },
            ..Self::fair()
        }
    }

    /// Nothing goes wrong.
    pub fn fair() -> Self {
        Self {
            devices: Devices::Counting,
            way: Way::Endpoint,
            line_every: crate::counting::LINE_EVERY,
            loss_window: Duration::from_secs(1),
            grace: Duration::from_secs(3600),
            cap_bytes: 2 << 30,
            off_for: Duration::from_secs(3),
            agent_calls: 0,
            hub_commits: 0,
            network_cut_every: Duration::ZERO,
            network_cut_for: Duration::ZERO,
            cable_pulled_every: Duration::ZERO,
            cable_pulled_for: Duration::ZERO,
            clock_jumps_every: Duration::ZERO,
            hub_full_every: Duration::ZERO,
            hub_full_for: Duration::ZERO,
            stray_one_in: 500,
            redelivers_within: Duration::ZERO,
            damage_one_in: 0,
            lost_tail_one_in: 0,
            hub_set_back_one_in: 0,
        }
    }
}
