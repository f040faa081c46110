//! The bed's decisions: alarm before disk, one block a lane and loss window, a reason for every gap.

use super::account::Account;
use super::announce::HeldBack;
use super::batch::Batch;
use super::command::{Commands, PAUSE_MAX};
use super::device_clock::DeviceClock;
use super::gap::{OpenGap, Unreadable};
use super::kept::{Keep, Kept};
use super::orders::Orders;
use super::own_clock::OwnClock;
use super::patients::{Patients, Standing};
use super::signals::Signals;
use super::snapshot::Snapshot;
use super::values::Values;
use super::watch::{Monitoring, Watching};
use crate::alarm::{Engine, Input as Alarming, LinkCondition, Policy};
use crate::row::{BedNotice, Draft, Heard, LinkIndex, News, StoreRequest, UplinkRequest};
use cotside_protocol::model::{
    Alarm, Alert, AlertPhase, DeviceText, Envelope, Event, Identity, LimitSet, Mono, Now, Numeric,
    Provenance, Quality, StoreToken, Waveform, parameter,
};
use cotside_protocol::wire::block::{Body, Gap};
use cotside_protocol::wire::topic::Lane;
use cotside_protocol::wire::upstream::{LimitsRefused, LinkState, LinkStatus, OutboxStatus, Record, Status};
use cotside_protocol::wire::{convert, downstream};
use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

const STATUS_EVERY: Duration = Duration::from_secs(1);
const LIMITS_EVERY: Duration = Duration::from_secs(10);
/// The full state is repeated, so that a hub that missed one change knows the next second, and everybody that this bed is alive.
pub(super) const ANNOUNCE_EVERY: Duration = Duration::from_secs(1);
/// Device alerts remembered to tell a change from a repetition.
const ALERTS_MAX: usize = 512;

/// What does not change while the agent runs.
#[derive(Clone, Debug)]
pub struct Setup {
    pub agent: String,
    pub software: &'static str,
    pub provenance: Provenance,
    pub loss_window: Duration,
    /// Random per start of the agent; makes its episodes unique.
    pub boot: u32,
    pub links: Vec<LinkSetup>,
    pub limits: LimitSet,
    pub preferences: Vec<(cotside_protocol::model::Code, Vec<LinkIndex>)>,
    /// What the agent's last life left.
    pub kept: Kept,
    /// False: the agent stands alone, and nobody is missed.
    pub has_hub: bool,
    /// What no set of limits may leave.
    pub envelope: Envelope,
    /// A procedure holds the patient's alarms back for so long at most.
    pub standby_max: Duration,
}

#[derive(Clone, Debug)]
pub struct LinkSetup {
    pub name: String,
    pub driver: String,
    pub place: String,
}

#[derive(Clone, Debug)]
pub enum Input {
    Heard(Heard),
    Notice(BedNotice),
    /// Whether the machine's clock is set: until it is, wall time is counted on from the last moment known to have passed.
    ClockIsSet(bool),
    Timeout,
    /// The agent stops: write what is held.
    Close,
}

#[derive(Clone, Debug)]
pub enum Output {
    Uplink(UplinkRequest),
    Store(StoreRequest),
    /// For the next life of the agent.
    Keep(Keep, String),
    /// What must be seen and heard at the bed itself.
    Signals(Signals),
    /// What this link reported up to the token is on disk.
    Stored(LinkIndex, StoreToken),
    Wait(Mono),
}

#[derive(Clone, Debug)]
pub struct Bed {
    pub(super) setup: Setup,
    pub(super) engine: Engine,
    pub(super) links: Vec<Link>,
    patients: Patients,
    pub(super) values: Values,
    pub(super) hub: Result<(), String>,
    /// None: nobody is missed.
    pub(super) watching: Option<Watching>,
    pub(super) orders: Orders,
    /// A set for a stay that has not been named yet.
    pub(super) limits_ahead: Option<downstream::Limits>,
    pub(super) limits_refused: Option<LimitsRefused>,
    pub(super) commands: Commands,
    /// Words of people at the bed itself.
    pub(super) said_here: u32,
    pub(super) store_trouble: Option<String>,
    outbox: OutboxStatus,
    pub(super) strangers: u64,
    account: Account,
    measured: Batch,
    demo: Batch,
    pub(super) alerts: BTreeMap<(LinkIndex, u32, Option<u32>), Alert>,
    checkpoints: Vec<(LinkIndex, StoreToken)>,
    at_once: Vec<Draft>,
    pub(super) outputs: VecDeque<Output>,
    kept: String,
    kept_gaps: String,
    pub(super) status_at: Mono,
    /// When the limits in force are said again; a hub that comes back hears them at once.
    pub(super) limits_at: Mono,
    pub(super) announce_at: Mono,
    /// Announces of this life.
    pub(super) beat: u64,
    /// As announced last.
    pub(super) held_back: HeldBack,
    pub(super) monitoring: Monitoring,
    /// As told last.
    pub(super) signals: Signals,
    /// What signals at the bed and cannot, by its name, in words.
    mute: BTreeMap<&'static str, String>,
    /// Both clocks at the start, and when last looked at.
    pub(super) began: Now,
    pub(super) clock: Now,
    pub(super) own_clock: OwnClock,
}

#[derive(Clone, Debug, Default)]
pub(super) struct Link {
    /// What it said of itself last; `status` is what the bed makes of that.
    said: Option<LinkStatus>,
    standing: Standing,
    pub(super) status: Option<LinkStatus>,
    /// The last state that went into the log; being opened again is no news.
    logged: Option<LinkState>,
    pub(super) gap: Option<OpenGap>,
    unreadable: Unreadable,
    pub(super) has_waveforms: bool,
    /// The device that the clock is of.
    named: Option<[DeviceText; 3]>,
    pub(super) clock: DeviceClock,
}

impl Link {
    /// What the hub and people are told of it.
    pub(super) fn told(&self, now: Now) -> Option<LinkStatus> {
        let clock = self.clock.status(now);
        self.status.clone().map(|status| LinkStatus { clock, ..status })
    }
}

impl Bed {
    pub fn new(mut setup: Setup, now: Now) -> Self {
        let kept = std::mem::take(&mut setup.kept);
        let names: Vec<&str> = setup.links.iter().map(|link| link.name.as_str()).collect();
        let policy = Policy {
            // The lease itself waits for as long.
            hub_lease: Duration::ZERO,
            standby_max: setup.standby_max,
            ..Policy::default()
        };
        let engine = Engine::new(policy, &names, setup.limits.clone(), setup.preferences.clone(), setup.boot);
        let mut bed = Self {
            engine,
            links: setup.links.iter().map(|_| Link::default()).collect(),
            patients: Patients::new(setup.links.len()),
            values: Values::default(),
            hub: Err("not connected yet".to_owned()),
            watching: setup.has_hub.then(|| Watching::new(now.mono)),
            orders: Orders::default(),
            limits_ahead: None,
            limits_refused: None,
            commands: Commands::from_kept(&kept.commands),
            said_here: 0,
            store_trouble: None,
            outbox: OutboxStatus::default(),
            strangers: 0,
            account: Account::default(),
            measured: Batch::new(setup.provenance),
            demo: Batch::new(Provenance::DeviceDemo),
            alerts: BTreeMap::new(),
            checkpoints: Vec::new(),
            at_once: Vec::new(),
            outputs: VecDeque::new(),
            kept: String::new(),
            kept_gaps: String::new(),
            status_at: now.mono,
            limits_at: now.mono,
            announce_at: now.mono,
            beat: 0,
            held_back: HeldBack::default(),
            monitoring: Monitoring::Held,
            signals: Signals::default(),
            mute: BTreeMap::new(),
            began: now,
            clock: now,
            own_clock: OwnClock::default(),
            setup,
        };
        bed.resume(now, kept);
        bed.finish(now, false);
        bed
    }

    /// Goes on where the last life ended.
    fn resume(&mut self, now: Now, kept: Kept) {
        self.kept_gaps =
            kept.gaps.iter().filter_map(|(link, gap)| gap.kept(*link)).map(|line| line + "\n").collect();
        // Whether a link had waveforms is not kept: a gap too many says nothing that is not so.
        kept.unwritten().for_each(|gap| self.gap(now, gap, true));
        self.resume_orders(now, kept.orders, kept.orders_lost);
        self.engine.resume(now, &kept.episodes);
        // Of two texts, written one after the other, the orders' word on the limits is the one that holds.
        self.say_reset(now);
        self.kept = self.engine.kept();
    }

    pub fn handle(&mut self, now: Now, input: Input) {
        self.watch_clock(now);
        let is_closing = matches!(input, Input::Close);
        match input {
            Input::Heard(Heard { link, at, what }) => match what {
                News::Opened => {
                    self.patients.opened(link);
                    self.follow_links(now, None);
                }
                News::Event(event) => self.event(at, link, event),
                News::State(status) => self.link_state(now, link, status),
                News::Refused(stranger) => self.refused(at, link, stranger),
            },
            Input::Notice(notice) => self.notice(now, notice),
            Input::ClockIsSet(is_set) => {
                self.own_clock.is_unset = !is_set;
                self.judge_own_clock(now);
            }
            Input::Timeout => self.engine.handle(now, Alarming::Timeout),
            Input::Close => self.close(now),
        }
        self.finish(now, is_closing);
    }

    /// A person's word at the bed itself; refused in words.
    pub fn here(&mut self, now: Now, by: &DeviceText, act: downstream::Act) -> Result<(), String> {
        self.watch_clock(now);
        let done = self.act_here(now, by, act);
        self.finish(now, false);
        done
    }

    /// The one button at the bed: silence for as long as may be, or the end of a silence (hazard H7).
    pub fn pressed(&mut self, now: Now, by: &DeviceText) -> Result<(), String> {
        let is_paused = self.engine.pause().is_some();
        let seconds = u32::try_from(PAUSE_MAX.as_secs()).unwrap_or(0);
        let act = if is_paused { downstream::Act::EndPause } else { downstream::Act::PauseAudio { seconds } };
        self.here(now, by, act)
    }

    /// Drain until `Wait`.
    pub fn poll(&mut self, now: Now) -> Output {
        self.outputs.pop_front().unwrap_or_else(|| Output::Wait(self.deadline(now.mono)))
    }

    pub fn snapshot(&self, now: Now) -> Snapshot {
        Snapshot::of(self, now)
    }

    fn deadline(&self, now: Mono) -> Mono {
        let windows = [&self.measured, &self.demo].into_iter().filter_map(Batch::begin);
        let windows = windows.map(|begin| begin.mono + self.setup.loss_window);
        let watch = self.watching.as_ref().and_then(|watching| watching.deadline(now));
        let others = [Some(self.announce_at), self.engine.deadline(now), watch].into_iter().flatten();
        windows.chain(others).fold(self.status_at, Mono::min)
    }

    fn event(&mut self, at: Now, link: LinkIndex, event: Event) {
        let standing = self.links.get(usize::from(link)).map(|link| link.standing);
        match event {
            Event::Identified(identity) => self.identified(at, link, &identity),
            // Not even a checkpoint: what is not taken is not acknowledged.
            _ if standing == Some(Standing::Withheld) => self.account.withhold(&event),
            Event::Numeric(numeric) => self.numeric(at, link, numeric),
            Event::Waveform(waveform) => self.waveform(at, link, waveform),
            Event::Alert(alert) => self.alert(at, link, alert),
            Event::DeviceTime(look) => self.look(at, link, &look),
            Event::Checkpoint(token) => self.checkpoints.push((link, token)),
            Event::Malformed { .. } => {
                if let Some(link) = self.links.get_mut(usize::from(link)) {
                    link.unreadable.malformed(at.wall);
                }
            }
            // Shown by the link itself.
            Event::Notice(_) => {}
        }
    }

    fn numeric(&mut self, at: Now, link: LinkIndex, mut numeric: Numeric) {
        let row = parameter(numeric.code).filter(|row| row.ucum == numeric.ucum);
        if let (Some(row), Some(value)) = (row, numeric.value)
            && !row.is_plausible(value.to_f64())
        {
            numeric.quality = numeric.quality.with(Quality::IMPLAUSIBLE);
        }
        self.engine.handle(at, Alarming::Numeric { link, numeric: &numeric });
        self.account.read(1);
        self.understood(at, link);
        self.batch(numeric.quality).numeric(at, link, &numeric);
        self.values.take(at, link, numeric);
    }

    fn waveform(&mut self, at: Now, link: LinkIndex, waveform: Waveform) {
        if let Some(link) = self.links.get_mut(usize::from(link)) {
            link.has_waveforms = true;
        }
        self.account.read(waveform.samples.len());
        self.understood(at, link);
        self.batch(waveform.quality).waveform(at, link, waveform);
    }

    fn understood(&mut self, at: Now, link: LinkIndex) {
        if let Some(link) = self.links.get_mut(usize::from(link)) {
            link.unreadable.heard(at.wall);
        }
    }

    /// Demonstration data never shares a block with measurements.
    fn batch(&mut self, quality: Quality) -> &mut Batch {
        if quality.has(Quality::DEMO) && self.setup.provenance == Provenance::Live {
            &mut self.demo
        } else {
            &mut self.measured
        }
    }

    fn alert(&mut self, at: Now, link: LinkIndex, alert: Alert) {
        self.engine.handle(at, Alarming::Alert { link, alert: &alert });
        let key = (link, alert.code, alert.source.map(|code| code.0));
        if self.alerts.get(&key) == Some(&alert) {
            return;
        }
        self.record(
            at,
            &Record::Alert {
                link,
                code: alert.code,
                source: alert.source.map(|code| code.0),
                priority: convert::priority(alert.priority),
                technical: alert.technical,
                present: alert.phase == AlertPhase::Present,
                text: alert.text.to_string(),
            },
        );
        match alert.phase {
            AlertPhase::Ended => drop(self.alerts.remove(&key)),
            AlertPhase::Present if self.alerts.len() < ALERTS_MAX => drop(self.alerts.insert(key, alert)),
            AlertPhase::Present => {}
        }
    }

    fn identified(&mut self, at: Now, link: LinkIndex, identity: &Identity) {
        let Some(setup) = self.setup.links.get(usize::from(link)) else { return };
        let record = Record::Identified {
            link,
            name: setup.name.clone(),
            driver: setup.driver.clone(),
            manufacturer: identity.manufacturer.to_string(),
            model: identity.model.to_string(),
            serial: identity.serial.to_string(),
            firmware: identity.firmware.to_string(),
            bed_label: identity.bed_label.to_string(),
        };
        self.record(at, &record);
        let named = [&identity.manufacturer, &identity.model, &identity.serial].map(Clone::clone);
        if let Some(link) = self.links.get_mut(usize::from(link))
            && link.named.as_ref() != Some(&named)
        {
            (link.named, link.clock) = (Some(named), DeviceClock::default());
        }
        self.patients.named(link, identity.patient.as_ref());
        self.follow_links(at, None);
    }

    fn link_state(&mut self, now: Now, index: LinkIndex, status: LinkStatus) {
        let Some(link) = self.links.get_mut(usize::from(index)) else { return };
        self.patients.state(index, status.state);
        link.said = Some(status);
        self.follow_links(now, Some(index));
    }

    /// Follows the link that spoke, and every one whose standing at this bed has changed by it.
    fn follow_links(&mut self, now: Now, spoke: Option<LinkIndex>) {
        for index in 0..LinkIndex::try_from(self.links.len()).unwrap_or(LinkIndex::MAX) {
            let at = usize::from(index);
            let standing = self.patients.standing(at);
            let has_changed = std::mem::replace(&mut self.links[at].standing, standing) != standing;
            if let Some(said) = self.links[at].said.clone().filter(|_| has_changed || spoke == Some(index)) {
                self.follow(now, index, standing.judge(said));
            }
        }
    }

    fn follow(&mut self, now: Now, index: LinkIndex, status: LinkStatus) {
        let link = &mut self.links[usize::from(index)];
        let condition = match status.state {
            _ if link.standing == Standing::Disputed => LinkCondition::Disputed,
            LinkState::Opening | LinkState::Connecting => LinkCondition::Settling,
            LinkState::Live => LinkCondition::Live,
            LinkState::Silent => LinkCondition::Silent,
            LinkState::Down => LinkCondition::Down,
            LinkState::WrongDevice => LinkCondition::WrongDevice,
        };
        self.engine.handle(now, Alarming::Link { link: index, condition, words: &status.detail });
        let heard_at = now.wall - Duration::from_millis(status.heard_ms.unwrap_or(0));
        let gap = OpenGap::follow(&mut link.gap, index, status.state, heard_at, now.wall);
        let is_news = link.logged != Some(status.state)
            && !matches!(status.state, LinkState::Opening | LinkState::Connecting);
        let has_changed = link.status.as_ref().is_none_or(|last| last.state != status.state);
        let record = is_news.then(|| Record::LinkChanged {
            link: index,
            name: status.name.clone(),
            state: status.state,
            detail: status.detail.clone(),
        });
        if is_news {
            link.logged = Some(status.state);
        }
        let has_waveforms = link.has_waveforms;
        link.status = Some(status);
        if let Some(gap) = gap {
            self.gap(now, gap, has_waveforms);
        }
        if let Some(record) = record {
            self.record(now, &record);
        }
        if has_changed {
            self.status_at = now.mono;
        }
    }

    /// On record: somebody tried to speak for a device of this bed (threat S8).
    fn refused(&mut self, at: Now, index: LinkIndex, stranger: std::net::IpAddr) {
        let Some(status) = self.links.get(usize::from(index)).and_then(|link| link.status.as_ref()) else {
            return;
        };
        let record = Record::LinkChanged {
            link: index,
            name: status.name.clone(),
            state: status.state,
            detail: format!("refused {stranger}: it is not the sender of this link"),
        };
        self.record(at, &record);
    }

    fn notice(&mut self, now: Now, notice: BedNotice) {
        match notice {
            BedNotice::Stored(stored) => {
                self.outputs.extend(stored.into_iter().map(|(link, token)| Output::Stored(link, token)));
            }
            BedNotice::StoreTrouble(trouble) => {
                self.engine.handle(now, Alarming::Store(trouble.as_deref()));
                self.store_trouble = trouble;
            }
            BedNotice::Hub { reachable, detail, bed } => {
                if reachable && self.hub.is_err() {
                    self.limits_at = now.mono;
                }
                self.hub = if reachable { Ok(()) } else { Err(detail) };
                if let Some(watching) = &mut self.watching {
                    watching.hub(self.hub.as_ref().map(|&()| ()).map_err(String::as_str));
                }
                if let Some(bed) = bed {
                    self.assigned(now, &bed);
                }
            }
            BedNotice::Limits(limits) => self.take_limits(now, limits),
            BedNotice::Watch(watch) => {
                if let Some(watching) = &mut self.watching {
                    watching.heard(now.mono, &watch);
                }
            }
            BedNotice::Stay(stay) => self.hear_stay(now, stay),
            BedNotice::Command(command) => self.command(now, command),
            BedNotice::Mute { what, words } => {
                match words {
                    Some(words) => drop(self.mute.insert(what, words)),
                    None => drop(self.mute.remove(what)),
                }
                let words: Vec<_> =
                    self.mute.iter().map(|(what, words)| format!("{what}: {words}")).collect();
                let words = words.join("; ");
                self.engine
                    .handle(now, Alarming::Mute(Some(words.as_str()).filter(|words| !words.is_empty())));
            }
            BedNotice::Outbox(outbox) => self.outbox = outbox,
            BedNotice::Strangers(count) => self.strangers = count,
            BedNotice::HubTime(time) => {
                self.own_clock.hub_says(time);
                self.judge_own_clock(now);
            }
            BedNotice::ClockRefuses(words) => {
                self.own_clock.refuses(words);
                self.judge_own_clock(now);
            }
        }
    }

    fn close(&mut self, now: Now) {
        for at in 0..self.links.len() {
            let (gap, has_waveforms) = (self.links[at].gap.take(), self.links[at].has_waveforms);
            if let (Some(gap), Ok(link)) = (gap, LinkIndex::try_from(at)) {
                self.gap(now, gap.close(link, now.wall), has_waveforms);
            }
        }
    }

    fn tell_unreadable(&mut self, now: Now, is_closing: bool) {
        for at in 0..self.links.len() {
            let link = &mut self.links[at];
            let index = LinkIndex::try_from(at).unwrap_or(LinkIndex::MAX);
            let has_waveforms = link.has_waveforms;
            if let Some(gap) = link.unreadable.take_ended(index, now.wall, is_closing) {
                self.gap(now, gap, has_waveforms);
            }
        }
    }

    pub(super) fn gap(&mut self, now: Now, gap: Gap, has_waveforms: bool) {
        let lanes = if has_waveforms { &[Lane::Numeric, Lane::Waveform][..] } else { &[Lane::Numeric] };
        for &lane in lanes {
            self.at_once.push(self.draft(now, lane, Body::Gap(gap.clone())));
        }
    }

    pub(super) fn record(&mut self, at: Now, record: &Record) {
        let json = serde_json::to_string(record).expect("a record of plain fields always has a JSON text");
        self.account.read(1);
        self.at_once.push(self.draft(at, Lane::Alarm, Body::Record(json)));
    }

    fn draft(&self, at: Now, lane: Lane, body: Body) -> Draft {
        Draft { lane, provenance: self.setup.provenance, begin: at, span_us: 0, body }
    }

    /// After every input: announce first, then disk, then status.
    fn finish(&mut self, now: Now, is_closing: bool) {
        self.judge_watch(now);
        let mut changed: Vec<Alarm> = Vec::new();
        while let Some(alarm) = self.engine.poll() {
            self.record(now, &Record::Alarm(convert::alarm(&alarm)));
            changed.push(alarm);
        }
        if !changed.is_empty() || self.held_back != self.holds_back() || self.announce_at <= now.mono {
            self.announce(now, &changed);
        }
        self.tell_unreadable(now, is_closing);
        self.write(now, is_closing);
        let kept = self.engine.kept();
        if kept != self.kept {
            self.kept.clone_from(&kept);
            self.outputs.push_back(Output::Keep(Keep::Episodes, kept));
        }
        let gaps = self.open_gaps();
        if gaps != self.kept_gaps {
            self.kept_gaps.clone_from(&gaps);
            self.outputs.push_back(Output::Keep(Keep::Gaps, gaps));
        }
        if self.status_at <= now.mono {
            self.status_at = now.mono + STATUS_EVERY;
            self.look_after_clocks(now);
            let status = Status {
                epoch: String::new(),
                wall_us: now.wall.0,
                links: self.links.iter().filter_map(|link| link.told(now)).collect(),
                outbox: self.outbox(),
                limits: (self.limits_at <= now.mono).then(|| {
                    self.limits_at = now.mono + LIMITS_EVERY;
                    self.limits_in_force()
                }),
                limits_refused: self
                    .limits_refused
                    .clone()
                    .filter(|refused| refused.version > self.limits_version()),
            };
            self.outputs.push_back(Output::Uplink(UplinkRequest::Status(Box::new(status))));
        }
    }

    /// The gaps that links are in, one a line.
    fn open_gaps(&self) -> String {
        let open = |(at, link): (usize, &Link)| link.gap?.kept(LinkIndex::try_from(at).ok()?);
        self.links.iter().enumerate().filter_map(open).map(|line| line + "\n").collect()
    }

    /// Where every entry is, as far as bed and store have said.
    pub(super) fn outbox(&self) -> OutboxStatus {
        OutboxStatus { entries: self.account.entries(self.outbox.entries), ..self.outbox }
    }

    fn write(&mut self, now: Now, is_closing: bool) {
        let mut drafts = std::mem::take(&mut self.at_once);
        let is_asked = is_closing || !self.checkpoints.is_empty();
        for batch in [&mut self.measured, &mut self.demo] {
            let is_due = batch.begin().is_some_and(|begin| begin.mono + self.setup.loss_window <= now.mono);
            if is_asked || is_due || batch.is_full() {
                batch.take(now, &mut drafts);
            }
        }
        let checkpoints = std::mem::take(&mut self.checkpoints);
        if drafts.is_empty() && checkpoints.is_empty() {
            return;
        }
        let request = StoreRequest { drafts, checkpoints };
        self.account.hand(request.entries());
        let in_window = self.measured.entries() + self.demo.entries();
        self.account.check(in_window);
        self.outputs.push_back(Output::Store(request));
    }
}
