//! One bed, the hub's desk and one station, as shipped, wired back to back; what happens to them is chosen from outside, step by step.
//!
//! The agent's side is [`Bed`], the hub's is [`Desk`]: no second implementation of either. A network that is cut carries nothing; one that
//! works carries at once. Whatever is late or doubled is a step of its own.

use cotside_central_hub::alarms::{
    Audio, Beds, Desk, Output as Told, Receipt, Rules, SelfTest, Station, Wish,
};
use cotside_central_hub::feed::{Item, News as Feed};
use cotside_config::hub::escalation;
use cotside_edge_agent::bed::{Bed, Input, Kept, LinkSetup, Output, Setup};
use cotside_edge_agent::row::{BedNotice, Heard, HubTime, News, UplinkRequest};
use cotside_protocol::model::{
    Code, Decimal, Envelope, Event, Kind, Limit, LimitSet, LimitSide, Mono, Now, Numeric, Pace, Priority,
    Provenance, Quality, Site, Wall,
};
use cotside_protocol::wire::downstream::{Act, Command, Stay, Watch};
use cotside_protocol::wire::topic::AgentId;
use cotside_protocol::wire::upstream::{
    Alarm, Announce, Condition, Inactivation, LinkState, LinkStatus, Reply,
};
use std::collections::BTreeMap;
use std::time::Duration;

pub const BED: &str = "01";
pub const STATION: &str = "desk";
const EPOCH: &str = "00000000000000e1";
/// What a pass of time is made of: a station's receipt comes half a second after its tick.
const HALF: Duration = Duration::from_millis(500);
/// What is farther away than this is no moment.
const FAR_US: u64 = 900_000_000;
/// The hub's wall clock, which is the bed's as well, against monotonic time.
const AHEAD_US: i64 = START.wall.0 - START.mono.0 as i64;
const START: Now = Now { mono: Mono(1_000_000_000), wall: Wall(1_700_000_000_000_000) };

/// What happens to bed, network, hub, station and people, one thing at a time.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Step {
    /// Two seconds, with a value each.
    Pass,
    Value(Value),
    /// The network between bed and hub is cut, or mended.
    Network,
    /// The hub's process dies, or starts anew.
    Hub,
    /// The station's page dies, or comes back.
    Station,
    /// Its speaker fails, or sounds again.
    Speaker,
    /// The nurse acknowledges what her screen shows, as it shows it.
    Acknowledge,
    /// She acknowledges what her screen showed one step before it last changed.
    AcknowledgeOld,
    Reset,
    Pause,
    /// The last command comes to the bed once more.
    Again,
    /// Another patient.
    TurnOver,
}

pub const STEPS: [Step; 15] = [
    Step::Pass,
    Step::Value(Value::Well),
    Step::Value(Value::Low),
    Step::Value(Value::Lower),
    Step::Value(Value::Missing),
    Step::Network,
    Step::Hub,
    Step::Station,
    Step::Speaker,
    Step::Acknowledge,
    Step::AcknowledgeOld,
    Step::Reset,
    Step::Pause,
    Step::Again,
    Step::TurnOver,
];

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Value {
    Well,
    /// Below its limit, medium.
    Low,
    /// Below the extreme, high at once and latching.
    Lower,
    Missing,
}

#[derive(Clone, Debug)]
pub struct World {
    pub now: Now,
    pub bed: Bed,
    /// None: its process is dead.
    pub desk: Option<Desk>,
    pub value: Value,
    /// Since when it has been as it is.
    pub value_since: Mono,
    pub has_network: bool,
    pub has_station: bool,
    pub has_sound: bool,
    /// Since when something on the way from the bed to the nurse's ear has been missing.
    pub broken_since: Option<Mono>,
    whole_since: Mono,
    /// Since when the hub has been up and the bed has been out of its reach.
    pub unreachable_since: Option<Mono>,
    pub station_lost_since: Option<Mono>,
    /// The last full state that left the bed.
    pub announced: Announce,
    pub watch: Option<Watch>,
    commands: Vec<Command>,
    last: Option<Command>,
    /// What the nurse's screen shows, and what it showed before.
    pub shown: Vec<Alarm>,
    before: Vec<Alarm>,
    stay: u32,
    wishes: u64,
    ticks: u64,
    /// What the last tick carried.
    beats: BTreeMap<String, u64>,
    restarts: u64,
}

impl World {
    /// Everybody has met everybody.
    pub fn begin() -> Self {
        let mut world = Self {
            now: START,
            bed: Bed::new(setup(), START),
            desk: Some(desk(START.mono)),
            value: Value::Well,
            value_since: START.mono,
            has_network: true,
            has_station: true,
            has_sound: true,
            broken_since: None,
            whole_since: START.mono,
            unreachable_since: None,
            station_lost_since: None,
            announced: Announce::default(),
            watch: None,
            commands: Vec::new(),
            last: None,
            shown: Vec::new(),
            before: Vec::new(),
            stay: 1,
            wishes: 0,
            ticks: 0,
            beats: BTreeMap::new(),
            restarts: 0,
        };
        world.hello();
        world.link_state();
        // Everybody has met everybody before the first choice.
        for _ in 0..4 {
            world.take(Step::Pass);
        }
        world
    }

    pub fn take(&mut self, step: Step) {
        match step {
            Step::Pass => self.pass(),
            Step::Value(value) => {
                (self.value, self.value_since) = (value, self.now.mono);
                self.measure();
            }
            Step::Network => {
                self.has_network = !self.has_network;
                self.hello();
            }
            Step::Hub => {
                self.desk = match self.desk {
                    Some(_) => None,
                    None => Some(desk(self.now.mono)),
                };
                self.restarts += 1;
                (self.shown, self.before) = (Vec::new(), Vec::new());
                self.hello();
            }
            Step::Station => self.has_station = !self.has_station,
            Step::Speaker => self.has_sound = !self.has_sound,
            Step::Acknowledge => self.acknowledge(false),
            Step::AcknowledgeOld => self.acknowledge(true),
            Step::Reset => {
                let latched = self.shown.iter().find(|alarm| alarm.condition == Condition::Latched);
                if let Some(act) =
                    latched.map(|alarm| Act::Reset { episode: alarm.episode.clone(), version: alarm.version })
                {
                    let _ = self.wish(act);
                }
            }
            Step::Pause => {
                let _ = self.wish(Act::PauseAudio { seconds: 4 });
            }
            Step::Again => {
                if let Some(command) = self.last.clone() {
                    self.command(command);
                }
            }
            Step::TurnOver => {
                self.stay += 1;
                // The new patient's value is a new one.
                self.value_since = self.now.mono;
                self.tell_stay();
            }
        }
        self.settle();
        self.look();
    }

    /// Whether a step would be anything but a pass of nothing.
    pub fn can(&self, step: Step) -> bool {
        let enabled = |alarm: &&Alarm| alarm.inactivation == Inactivation::Enabled;
        match step {
            Step::Value(value) => value != self.value,
            Step::Acknowledge => self.shown.iter().any(|alarm| enabled(&alarm)),
            Step::AcknowledgeOld => self.before.iter().any(|alarm| enabled(&alarm)),
            Step::Reset => self.shown.iter().any(|alarm| alarm.condition == Condition::Latched),
            Step::Pause => self.is_connected() && self.announced.pause.is_none(),
            Step::Again => self.last.is_some(),
            Step::TurnOver => self.is_connected() && self.stay < 2,
            Step::Speaker => self.has_station,
            Step::Pass | Step::Network | Step::Hub | Step::Station => true,
        }
    }

    pub fn is_connected(&self) -> bool {
        self.has_network && self.desk.is_some()
    }

    pub fn desk_says_offline(&self) -> bool {
        self.desk.as_ref().is_some_and(|desk| desk.is_offline(BED))
    }

    pub fn desk_says_station_lost(&self) -> bool {
        self.desk.as_ref().is_some_and(|desk| !desk.alarms().is_empty())
    }

    /// How long nothing has been missing.
    pub fn whole_for(&self) -> Duration {
        self.now.mono.since(self.whole_since)
    }

    /// Two worlds that differ by the time of day alone look alike: moments are written as their distance from now.
    pub fn look_of(&self) -> u128 {
        let text = format!("{self:?}");
        let mut hash = 0xcbf2_9ce4_8422_2325_u128;
        let mut take =
            |byte: u8| hash = (hash ^ u128::from(byte)).wrapping_mul(0x0100_0000_01b3_0000_0000_013b);
        let mut bytes = text.bytes().peekable();
        while let Some(byte) = bytes.next() {
            if !byte.is_ascii_digit() {
                take(byte);
                continue;
            }
            let mut number = u64::from(byte - b'0');
            while let Some(digit) = bytes.next_if(u8::is_ascii_digit) {
                number = number.wrapping_mul(10).wrapping_add(u64::from(digit - b'0'));
            }
            for now in [self.now.mono.0, self.now.wall.0 as u64] {
                let distance = number.wrapping_sub(now) as i64;
                if distance.unsigned_abs() < FAR_US {
                    number = distance as u64;
                    break;
                }
            }
            number.to_le_bytes().into_iter().for_each(&mut take);
        }
        hash
    }

    /// From the bed to the nurse's ear and back.
    pub fn is_whole(&self) -> bool {
        self.is_connected() && self.has_station && self.has_sound
    }

    /// A person's word through the desk, as the hub's API passes it on. False: the desk refused.
    pub fn wish(&mut self, act: Act) -> bool {
        let Some(desk) = &mut self.desk else { return false };
        self.wishes += 1;
        let wish = Wish {
            id: format!("{:016x}", self.wishes),
            bed: BED.to_owned(),
            by: "nurse".to_owned(),
            station: None,
            act,
        };
        let is_taken = desk.wish(self.now, wish).is_ok();
        self.settle();
        is_taken
    }

    fn acknowledge(&mut self, old: bool) {
        let screen = if old { &self.before } else { &self.shown };
        let asks = screen.iter().find(|alarm| alarm.inactivation == Inactivation::Enabled);
        if let Some(alarm) = asks {
            let act = Act::Acknowledge { episode: alarm.episode.clone(), version: alarm.version };
            self.wish(act);
        }
    }

    fn pass(&mut self) {
        (0..4).for_each(|half| self.half_second(half));
    }

    /// Values and a tick with the even ones, a station's receipt with the odd ones.
    pub fn half_second(&mut self, half: u32) {
        let end = self.now.after(HALF);
        while let Output::Wait(until) = self.bed.poll(self.now) {
            if until > end.mono {
                break;
            }
            self.now = self.now.after(until.since(self.now.mono));
            self.bed.handle(self.now, Input::Timeout);
            self.settle();
        }
        self.now = end;
        if half.is_multiple_of(2) {
            self.measure();
            self.link_state();
            self.tell_watch();
            self.tick();
        } else {
            self.receipt();
        }
        if let Some(desk) = &mut self.desk {
            desk.ages(self.now);
        }
        self.settle();
        self.look();
    }

    fn measure(&mut self) {
        let value = match self.value {
            Value::Well => Some(95),
            Value::Low => Some(83),
            Value::Lower => Some(70),
            Value::Missing => None,
        };
        let numeric = Numeric {
            code: Code(150_456),
            site: Site::Unspecified,
            value: value.map(|value| Decimal::new(value, 0)),
            ucum: "%",
            quality: if value.is_some() { Quality::GOOD } else { Quality::INVALID },
            kind: Kind::Measurement,
            pace: Pace::Continuous,
            device_at: None,
            lag: Duration::ZERO,
        };
        self.hear(News::Event(Event::Numeric(numeric)));
    }

    fn link_state(&mut self) {
        self.hear(News::State(LinkStatus {
            link: 0,
            name: "monitor".to_owned(),
            driver: "x".to_owned(),
            state: LinkState::Live,
            detail: String::new(),
            manufacturer: String::new(),
            model: String::new(),
            serial: String::new(),
            firmware: String::new(),
            heard_ms: Some(0),
            frames: 0,
            malformed_bytes: 0,
            clock: None,
        }));
    }

    fn hear(&mut self, what: News) {
        self.bed.handle(self.now, Input::Heard(Heard { link: 0, at: self.now, what }));
        self.settle();
    }

    fn notice(&mut self, notice: BedNotice) {
        self.bed.handle(self.now, Input::Notice(notice));
        self.settle();
    }

    /// What both ends see of the connection between them.
    fn hello(&mut self) {
        let reachable = self.is_connected();
        let detail = if reachable { "" } else { "The connection broke." }.to_owned();
        let bed = reachable.then(|| BED.to_owned());
        self.notice(BedNotice::Hub { reachable, detail, bed });
        if reachable {
            self.notice(BedNotice::HubTime(HubTime { ahead_us: AHEAD_US, uncertainty_us: 1_000 }));
            self.tell_stay();
            self.feed(Feed::Connected);
            self.feed(Feed::Announce(self.announced.clone()));
        } else if let Some(desk) = &mut self.desk {
            let what = Feed::Disconnected { why: "the connection broke" };
            desk.handle(self.now, &item(what));
            (self.watch, self.commands) = (None, Vec::new());
        }
        self.settle();
    }

    fn tell_stay(&mut self) {
        let stay = Stay { id: Some(format!("stay-{}", self.stay)) };
        self.notice(BedNotice::Stay(stay));
    }

    fn tell_watch(&mut self) {
        if let Some(watch) = self.watch.clone().filter(|watch| self.is_connected() && watch.epoch == EPOCH) {
            self.notice(BedNotice::Watch(watch));
        }
    }

    fn command(&mut self, command: Command) {
        if self.is_connected() {
            self.notice(BedNotice::Command(command.clone()));
            self.last = Some(command);
        }
    }

    fn feed(&mut self, what: Feed) {
        if let Some(desk) = self.desk.as_mut().filter(|_| self.has_network) {
            desk.handle(self.now, &item(what));
        }
    }

    fn tick(&mut self) {
        self.ticks += 1;
        if let Some(desk) = &mut self.desk {
            self.beats = desk.tick(self.now.mono, format!("{:x}", self.ticks));
        }
    }

    /// The station's page: paints what it was told, sounds what asks for it.
    fn receipt(&mut self) {
        let Some(desk) = self.desk.as_mut().filter(|_| self.has_station) else { return };
        let receipt = Receipt {
            nonce: format!("{:x}", self.ticks),
            beats: self.beats.clone(),
            audio: if self.has_sound { Audio::Running } else { Audio::Failed },
            sounding: self.has_sound.then_some(cotside_protocol::wire::upstream::Priority::High),
            visible: true,
            self_test: SelfTest::Passed,
        };
        desk.receipt(self.now, STATION, &receipt);
    }

    /// Carries what both have decided, until neither has anything to say.
    fn settle(&mut self) {
        loop {
            let mut has_moved = false;
            loop {
                match self.bed.poll(self.now) {
                    Output::Wait(_) => break,
                    Output::Uplink(request) => self.up(request),
                    Output::Store(_) | Output::Keep(..) | Output::Stored(..) | Output::Signals(_) => {}
                }
                has_moved = true;
            }
            while let Some(told) = self.desk.as_mut().and_then(Desk::poll) {
                has_moved = true;
                if let Told::Tend { watch, commands, .. } = told {
                    self.watch = watch;
                    let is_new = |command: &&Command| !self.commands.contains(command);
                    let new: Vec<Command> = commands.iter().filter(is_new).cloned().collect();
                    self.commands = commands;
                    new.into_iter().for_each(|command| self.command(command));
                    self.tell_watch();
                }
            }
            if !has_moved {
                return;
            }
        }
    }

    fn up(&mut self, request: UplinkRequest) {
        match request {
            UplinkRequest::Announce(mut announce) => {
                EPOCH.clone_into(&mut announce.epoch);
                self.announced = announce.clone();
                self.feed(Feed::Announce(announce));
            }
            UplinkRequest::Reply(reply) => self.reply(reply),
            UplinkRequest::Status(_) => {}
        }
    }

    fn reply(&mut self, reply: Reply) {
        self.feed(Feed::Reply(reply));
    }

    /// The nurse's screen follows while a station shows it; and since when what has been missing is noted.
    fn look(&mut self) {
        let now = self.now.mono;
        if self.is_connected() && self.has_station {
            let open = self.announced.alarms.iter().filter(|alarm| alarm.ended_us.is_none());
            let open: Vec<Alarm> = open.cloned().collect();
            if open != self.shown {
                self.before = std::mem::replace(&mut self.shown, open);
            }
        }
        let since = |is_broken: bool, was: Option<Mono>| is_broken.then(|| was.unwrap_or(now));
        if !self.is_whole() {
            self.whole_since = now;
        }
        self.broken_since = since(!self.is_whole(), self.broken_since);
        self.unreachable_since = since(self.desk.is_some() && !self.has_network, self.unreachable_since);
        self.station_lost_since = since(self.desk.is_some() && !self.has_station, self.station_lost_since);
    }
}

fn item(what: Feed) -> Item {
    Item { agent: agent(), bed: Some(BED.to_owned()), what }
}

fn agent() -> AgentId {
    AgentId::new("gw-01").expect("it is a name")
}

fn desk(now: Mono) -> Desk {
    let rules = Rules { escalation: escalation::shipped() };
    let mut desk = Desk::new(rules, [(BED.to_owned(), Some(agent()))], now);
    let station =
        Station { id: STATION.to_owned(), name: "Desk".to_owned(), beds: Beds::All, expected: true };
    desk.stations(Now { mono: now, ..START }, vec![station]);
    desk
}

/// SpO2 below 85 for two seconds is medium; below 80 is extreme, high at once, and latches.
fn setup() -> Setup {
    let limit = |threshold| Limit::plain(Code(150_456), LimitSide::Low, Decimal::new(threshold, 0), "%");
    let limits = vec![
        Limit { delay: Duration::from_secs(2), ..limit(85) },
        Limit { priority: Priority::High, latching: true, extreme: true, ..limit(80) },
    ];
    Setup {
        agent: "gw-01".to_owned(),
        software: "edge-agent model",
        provenance: Provenance::Simulated,
        loss_window: Duration::from_secs(1),
        boot: 7,
        links: vec![LinkSetup {
            name: "monitor".to_owned(),
            driver: "x".to_owned(),
            place: "tty".to_owned(),
        }],
        limits: LimitSet { limits, ..LimitSet::default() },
        preferences: Vec::new(),
        kept: Kept::default(),
        has_hub: true,
        envelope: Envelope::neonatal(),
        standby_max: Duration::from_secs(1_800),
    }
}
