//! What goes wrong in one history, and how often: drawn from the history's seed.

use cotside_simulators::newborn::Random;
use std::time::Duration;

const SECOND: Duration = Duration::from_secs(1);
const HOUR: Duration = Duration::from_secs(3600);
const DAY: Duration = Duration::from_secs(86_400);

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

/// What comes at its own time, not in the middle of a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Misfortune {
    /// SIGKILL of an agent; it is back within the weather's `off_for`.
    AgentKilled,
    /// An agent is stopped as an administrator does it, and is off for a while.
    AgentStopped,
    /// The power of a gateway fails, and is off for a while.
    GatewayOff,
    HubKilled,
    /// The hub is off for a while.
    HubOff,
    /// One bed has no network.
    NetworkCut,
    /// No bed has.
    AllNetworksCut,
    CablePulled,
    ClockSet,
    /// The hub's disk takes nothing.
    HubFull,
}

/// Somewhere in the unit, about every so often, for about so long.
#[derive(Clone, Copy, Debug)]
pub struct Trouble {
    pub what: Misfortune,
    pub every: Duration,
    pub lasts: Duration,
}

/// Every message of a stretch comes again and again until the end.
#[derive(Clone, Copy, Debug)]
pub struct Redeliveries {
    /// Both since the begin of the history.
    pub stretch: (Duration, Duration),
    pub until: Duration,
    pub every: Duration,
}

#[derive(Clone, Debug)]
pub struct Weather {
    pub devices: Devices,
    pub way: Way,
    /// The oximeter says a line this often.
    pub line_every: Duration,
    /// Its saturation falls now and then, and a limit watches it.
    pub alarms: bool,
    /// Nothing is looked at more often than this.
    pub step: Duration,
    /// Housekeeping, the state of links, and a look at the screen.
    pub house_every: Duration,
    pub look_every: Duration,
    pub loss_window: Duration,
    pub grace: Duration,
    pub cap_bytes: u64,
    pub troubles: Vec<Trouble>,
    /// How long agents are off after their power was cut.
    pub off_for: Duration,
    /// How many store calls an agent lives until its power fails in one; zero: never.
    pub agent_calls: u64,
    /// How many commits the hub lives.
    pub hub_commits: u64,
    /// One message in so many is lost or doubled on its way; zero: none.
    pub stray_one_in: u64,
    /// Every so many-th state of a bed reaches the hub: they are sent without a promise.
    pub states_one_in: u64,
    /// A broker that delivers again what it delivered, within this time.
    pub redelivers_within: Duration,
    /// A broker that delivers one stretch again and again.
    pub redeliveries: Option<Redeliveries>,
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
        let mut weather = Self { devices: Devices::All, agent_calls: 150, hub_commits: 400, ..Self::fair() };
        weather.trouble(Misfortune::AgentKilled, 40 * SECOND, SECOND);
        weather.trouble(Misfortune::HubKilled, 40 * SECOND, 3 * SECOND);
        weather.trouble(Misfortune::NetworkCut, 20 * SECOND, 8 * SECOND);
        weather
    }

    /// Power cuts as dense as they come, with what else the seed brings.
    pub fn power_cuts(seed: u64) -> Self {
        let mut random = Random::new(seed ^ 0x706f_7765);
        // An older copy of the hub's store gets back what the agents still have: all of it, if nothing else goes wrong there.
        let is_set_back = random.once_in(6);
        let is_damaged = !is_set_back && random.once_in(6);
        let loses_tails = !is_set_back && !is_damaged && random.once_in(5);
        let is_small = !is_set_back && random.once_in(5);
        let grace = if is_set_back { 3600 } else { [2, 3600][random.next() as usize % 2] };
        let mut weather = Self {
            way: if random.once_in(2) { Way::Broker } else { Way::Endpoint },
            loss_window: [200, 1000][random.next() as usize % 2] * Duration::from_millis(1),
            grace: grace * SECOND,
            off_for: Duration::from_millis(300 + random.next() % 2000),
            agent_calls: 4,
            hub_commits: 12,
            stray_one_in: [0, 50, 500][random.next() as usize % 3],
            redelivers_within: if random.once_in(4) { 60 * SECOND } else { Duration::ZERO },
            cap_bytes: if is_small { 96 << 10 } else { 2 << 30 },
            damage_one_in: if is_damaged { 8 } else { 0 },
            lost_tail_one_in: if loses_tails { 4 } else { 0 },
            hub_set_back_one_in: if is_set_back { 4 } else { 0 },
            ..Self::fair()
        };
        weather.trouble(Misfortune::AgentKilled, 40 * SECOND, SECOND);
        weather.trouble(Misfortune::AgentStopped, 60 * SECOND, 2 * SECOND);
        weather.trouble(Misfortune::HubKilled, 40 * SECOND, 3 * SECOND);
        if random.once_in(2) {
            weather.trouble(Misfortune::NetworkCut, 10 * SECOND, 8 * SECOND);
        }
        if random.once_in(2) {
            weather.trouble(Misfortune::CablePulled, 15 * SECOND, 4 * SECOND);
        }
        if random.once_in(4) {
            weather.trouble(Misfortune::ClockSet, 20 * SECOND, SECOND);
        }
        if random.once_in(4) {
            weather.trouble(Misfortune::HubFull, 30 * SECOND, 6 * SECOND);
        }
        weather
    }

    /// Days as a unit has them: reboots twice a day, a bad cable here and there, outages of hours and days, a gateway off for a day.
    pub fn month(beds: u32) -> Self {
        let line_every = 8 * SECOND;
        let mut weather = Self {
            line_every,
            alarms: false,
            step: Duration::from_millis(100),
            house_every: 5 * SECOND,
            look_every: 60 * SECOND,
            loss_window: 10 * SECOND,
            off_for: 90 * SECOND,
            stray_one_in: 5000,
            states_one_in: 4,
            ..Self::fair()
        };
        // Of every five beds one has its power cut twice a day.
        weather.trouble(Misfortune::GatewayOff, 12 * HOUR * 5 / beds, 90 * SECOND);
        weather.trouble(Misfortune::GatewayOff, 15 * DAY, DAY);
        weather.trouble(Misfortune::AgentKilled, 5 * DAY / beds, SECOND);
        weather.trouble(Misfortune::AgentStopped, 7 * DAY / beds, 20 * SECOND);
        weather.trouble(Misfortune::CablePulled, 2 * DAY / beds, HOUR / 4);
        weather.trouble(Misfortune::NetworkCut, 3 * DAY / beds, HOUR);
        weather.trouble(Misfortune::AllNetworksCut, 7 * DAY, 36 * HOUR);
        weather.trouble(Misfortune::HubOff, 7 * DAY, 6 * HOUR);
        weather.trouble(Misfortune::HubKilled, DAY, 3 * SECOND);
        weather
    }

    /// A broker that says for an hour, every twenty seconds, all that it was told in one minute; nothing else goes wrong.
    pub fn redelivering_for_an_hour() -> Self {
        let stretch = (300 * SECOND, 360 * SECOND);
        let redeliveries = Redeliveries { stretch, until: stretch.1 + HOUR, every: 20 * SECOND };
        Self {
            way: Way::Broker,
            line_every: SECOND,
            step: Duration::from_millis(20),
            stray_one_in: 0,
            redeliveries: Some(redeliveries),
            ..Self::fair()
        }
    }

    /// Nothing goes wrong.
    pub fn fair() -> Self {
        Self {
            devices: Devices::Counting,
            way: Way::Endpoint,
            line_every: crate::counting::LINE_EVERY,
            alarms: true,
            step: Duration::from_millis(1),
            house_every: SECOND,
            look_every: SECOND,
            loss_window: SECOND,
            grace: HOUR,
            cap_bytes: 2 << 30,
            troubles: Vec::new(),
            off_for: 3 * SECOND,
            agent_calls: 0,
            hub_commits: 0,
            stray_one_in: 500,
            states_one_in: 1,
            redelivers_within: Duration::ZERO,
            redeliveries: None,
            damage_one_in: 0,
            lost_tail_one_in: 0,
            hub_set_back_one_in: 0,
        }
    }

    fn trouble(&mut self, what: Misfortune, every: Duration, lasts: Duration) {
        self.troubles.push(Trouble { what, every, lasts });
    }
}
