//! The one loop that owns the now-state, and the handle by which readers and routes reach it.

use super::feed::{Feed, Output};
use super::frame::Frame;
use super::waves::WaveFrame;
use crate::alarms::run::Wires;
use crate::alarms::{self, Asked, Desk, Nurses, Receipt, Refused, Requested, Staff, Station, Verdict, Wish};
use crate::feed::Item;
use crate::people::Patient;
use crate::store::marks::Mark;
use crate::unit::view::{BedView, LimitsNote, UnitName, UnitView};
use crate::unit::{Roster, Unit};
use anyhow::{Result, anyhow};
use cotside_protocol::wire::topic::AgentId;
use cotside_systemd::clock::Clock;
use cotside_systemd::stages::Stop;
use std::sync::Arc;
use tokio::sync::{broadcast, mpsc, oneshot};

/// Frames a reader may be behind before it is told so: with four pulses and a tick a second, about ten seconds.
pub const FRAMES: usize = 64;
/// The same for waveforms: forty beds, one frame each a second.
pub const WAVE_FRAMES: usize = 512;
/// Questions and orders waiting for the loop: more than there are connections.
const ORDERS: usize = 1024;
/// Items taken before the readers are served.
const BATCH: usize = 64;

/// Everybody's way to the now-state. Cheap to copy.
#[derive(Clone, Debug)]
pub struct Live {
    orders: mpsc::Sender<Order>,
    unit: Arc<UnitName>,
}

/// A reader's place in the stream: the whole, and everything after it.
#[derive(Debug)]
pub struct Joined {
    pub snapshot: Frame,
    pub frames: broadcast::Receiver<Frame>,
}

/// A reader's place among the waveforms of the beds it asked for.
#[derive(Debug)]
pub struct WavesJoined {
    pub channels: String,
    pub frames: broadcast::Receiver<WaveFrame>,
}

#[derive(Clone, Debug)]
pub struct Health {
    pub store_ok: bool,
    /// What is wrong with the hub's own clock, in words.
    pub clock: Option<String>,
    pub agents_known: usize,
    pub agents_connected: usize,
}

#[derive(Debug)]
enum Order {
    Join(oneshot::Sender<Joined>),
    JoinWaves(Vec<String>, oneshot::Sender<WavesJoined>),
    Unit(oneshot::Sender<UnitView>),
    Bed(String, oneshot::Sender<Option<BedView>>),
    Health(oneshot::Sender<Health>),
    TurnOver(String, Option<Patient>, oneshot::Sender<bool>),
    Limits(String, LimitsNote),
    StoreOk(bool),
    Marks(Vec<Mark>),
    ClockTrouble(Option<String>),
    ClockNews(oneshot::Sender<Vec<(AgentId, String)>>),
    Stations(Vec<Station>),
    Receipt(String, Box<Receipt>, oneshot::Sender<Verdict>),
    Wish(Box<Wish>, oneshot::Sender<Result<Requested, Refused>>),
    Answer(Box<Asked>, oneshot::Sender<Result<(), Refused>>),
    Nurses(String, Nurses),
    Staff(Staff),
}

/// The loop that [`Live`] talks to; give it to a stage.
#[derive(Debug)]
pub struct Loop {
    feed: Feed,
    clock: Clock,
    items: mpsc::Receiver<Item>,
    orders: mpsc::Receiver<Order>,
    frames: broadcast::Sender<Frame>,
    waves: broadcast::Sender<WaveFrame>,
    wires: Wires,
    /// The last whole: fifty stations that come back at once cost one encoding. It is dropped with the next frame, and after a quarter
    /// of a second in any case, since a page counts the ages in it from its receipt.
    snapshot: Option<Frame>,
}

pub fn open(roster: Roster, clock: Clock, items: mpsc::Receiver<Item>, wires: Wires) -> (Live, Loop) {
    let (orders, waiting) = mpsc::channel(ORDERS);
    let live = Live { orders, unit: Arc::new(roster.unit.clone()) };
    let now = clock.now().mono;
    let desk = Desk::new(wires.rules.clone(), roster.beds.clone(), now);
    let feed = Feed::new(Unit::new(roster), desk, now);
    let (frames, _) = broadcast::channel(FRAMES);
    let (waves, _) = broadcast::channel(WAVE_FRAMES);
    (live, Loop { feed, clock, items, orders: waiting, frames, waves, wires, snapshot: None })
}

impl Loop {
    pub async fn run(mut self, mut stop: Stop) -> Result<()> {
        let mut batch = Vec::with_capacity(BATCH);
        let mut has_agents = true;
        loop {
            let deadline = tokio::time::Instant::from_std(self.clock.instant(self.feed.deadline()));
            tokio::select! {
                biased;
                () = stop.requested() => return Ok(()),
                () = tokio::time::sleep_until(deadline) => {
                    self.snapshot = None;
                    self.feed.desk(|desk| desk.journal(self.wires.journal.lost(), self.wires.journal.full_percent()));
                    self.feed.pulse(self.clock.now());
                }
                Some(order) = self.orders.recv() => self.obey(order),
                taken = self.items.recv_many(&mut batch, BATCH), if has_agents => {
                    has_agents = taken > 0;
                    let now = self.clock.now();
                    let is_watched = self.waves.receiver_count() > 0;
                    for item in batch.drain(..) {
                        if is_watched {
                            self.feed.draw(&item);
                        }
                        self.feed.handle(now, item);
                    }
                }
            }
            self.publish();
        }
    }

    fn publish(&mut self) {
        while let Some(output) = self.feed.poll() {
            let now = self.clock.now();
            let is_read = self.frames.receiver_count() > 0;
            let frame = match output {
                Output::Waves(frame) => {
                    // An error means that nobody looks.
                    let _ = self.waves.send(frame);
                    continue;
                }
                Output::Tend(bed, watch, commands) => {
                    self.wires.tending.change(&bed, |tended| {
                        (tended.watch, tended.commands) = (watch, commands);
                    });
                    continue;
                }
                Output::Log(entry) => {
                    self.wires.journal.note(entry);
                    continue;
                }
                Output::Tick if is_read => self.feed.tick_frame(now, alarms::run::nonce()),
                Output::Beds(beds) if is_read => self.feed.beds_frame(now, &beds),
                Output::Snapshot if is_read => self.feed.snapshot_frame(now),
                Output::Tick | Output::Beds(_) | Output::Snapshot => {
                    self.snapshot = None;
                    continue;
                }
            };
            if !frame.is_tick {
                self.snapshot = None;
            }
            let _ = self.frames.send(frame);
        }
    }

    fn obey(&mut self, order: Order) {
        let now = self.clock.now();
        // An answer that nobody waits for any more is dropped.
        match order {
            Order::Join(reply) => {
                let snapshot = self.snapshot.get_or_insert_with(|| self.feed.snapshot_frame(now)).clone();
                let _ = reply.send(Joined { snapshot, frames: self.frames.subscribe() });
            }
            Order::JoinWaves(beds, reply) => {
                let channels = self.feed.waves().channels(beds.iter().map(String::as_str));
                let _ = reply.send(WavesJoined { channels, frames: self.waves.subscribe() });
            }
            Order::Unit(reply) => _ = reply.send(self.feed.view(now)),
            Order::Bed(bed, reply) => {
                let mut found = self.feed.beds_view(now, std::iter::once(bed.as_str()));
                let _ = reply.send(found.pop());
            }
            Order::Health(reply) => {
                let (agents_known, agents_connected) = self.feed.unit().agents(now.mono);
                let store_ok = self.feed.unit().is_store_ok();
                let clock = self.feed.unit().clock_trouble().map(str::to_owned);
                let _ = reply.send(Health { store_ok, agents_known, agents_connected, clock });
            }
            Order::TurnOver(bed, patient, reply) => {
                let done = self.feed.change(&bed, |unit| unit.turn_over(now.mono, &bed, patient));
                let _ = reply.send(done);
            }
            Order::Limits(bed, note) => {
                self.feed.change(&bed, |unit| unit.note_limits(&bed, note));
            }
            Order::ClockTrouble(words) => self.feed.set_clock_trouble(words),
            Order::ClockNews(reply) => _ = reply.send(self.feed.clock_news(now)),
            Order::StoreOk(ok) => self.feed.set_store_ok(ok),
            Order::Marks(marks) => self.feed.set_marks(&marks),
            Order::Stations(stations) => self.feed.desk(|desk| desk.stations(now, stations)),
            Order::Receipt(station, receipt, reply) => {
                let _ = reply.send(self.feed.desk(|desk| desk.receipt(now, &station, &receipt)));
            }
            Order::Wish(wish, reply) => _ = reply.send(self.feed.desk(|desk| desk.wish(now, *wish))),
            Order::Answer(asked, reply) => _ = reply.send(self.feed.desk(|desk| desk.answer(now, *asked))),
            Order::Nurses(bed, nurses) => self.feed.desk(|desk| desk.nurses(&bed, nurses)),
            Order::Staff(staff) => self.feed.desk(|desk| desk.staff(staff)),
        }
    }
}

impl Live {
    pub fn unit(&self) -> &UnitName {
        &self.unit
    }

    /// A place in the event stream; also the way back for a reader that fell behind.
    pub async fn join(&self) -> Result<Joined> {
        self.ask(Order::Join).await
    }

    pub async fn join_waves(&self, beds: Vec<String>) -> Result<WavesJoined> {
        self.ask(|reply| Order::JoinWaves(beds, reply)).await
    }

    pub async fn view(&self) -> Result<UnitView> {
        self.ask(Order::Unit).await
    }

    /// None: there is no such bed.
    pub async fn bed(&self, bed: &str) -> Result<Option<BedView>> {
        self.ask(|reply| Order::Bed(bed.to_owned(), reply)).await
    }

    pub async fn health(&self) -> Result<Health> {
        self.ask(Order::Health).await
    }

    /// A patient is admitted to a bed, or leaves it. False: there is no such bed.
    pub async fn turn_over(&self, bed: &str, patient: Option<Patient>) -> Result<bool> {
        self.ask(|reply| Order::TurnOver(bed.to_owned(), patient, reply)).await
    }

    /// How far the limits have come that the hub wants at a bed.
    pub async fn limits(&self, bed: &str, note: LimitsNote) -> Result<()> {
        self.tell(Order::Limits(bed.to_owned(), note)).await
    }

    /// What is wrong with the hub's own clock, in words; None: nothing.
    pub async fn clock_trouble(&self, words: Option<String>) -> Result<()> {
        self.tell(Order::ClockTrouble(words)).await
    }

    /// Agents whose clocks have left the hub's, or come back, since last asked.
    pub async fn clock_news(&self) -> Result<Vec<(AgentId, String)>> {
        self.ask(Order::ClockNews).await
    }

    pub async fn store_ok(&self, ok: bool) -> Result<()> {
        self.tell(Order::StoreOk(ok)).await
    }

    /// What about the agents waits for a person.
    pub async fn marks(&self, marks: Vec<Mark>) -> Result<()> {
        self.tell(Order::Marks(marks)).await
    }

    /// The approved stations, whole.
    pub async fn stations(&self, stations: Vec<Station>) -> Result<()> {
        self.tell(Order::Stations(stations)).await
    }

    /// What a station has painted and sounds.
    pub async fn receipt(&self, station: String, receipt: Receipt) -> Result<Verdict> {
        self.ask(|reply| Order::Receipt(station, Box::new(receipt), reply)).await
    }

    /// A person asks something of a bed.
    pub async fn wish(&self, wish: Wish) -> Result<Result<Requested, Refused>> {
        self.ask(|reply| Order::Wish(Box::new(wish), reply)).await
    }

    /// A person answers for an alarm, or does not.
    pub async fn answer(&self, asked: Asked) -> Result<Result<(), Refused>> {
        self.ask(|reply| Order::Answer(Box::new(asked), reply)).await
    }

    pub async fn nurses(&self, bed: String, nurses: Nurses) -> Result<()> {
        self.tell(Order::Nurses(bed, nurses)).await
    }

    pub async fn staff(&self, staff: Staff) -> Result<()> {
        self.tell(Order::Staff(staff)).await
    }

    async fn ask<T>(&self, order: impl FnOnce(oneshot::Sender<T>) -> Order) -> Result<T> {
        let (reply, answer) = oneshot::channel();
        self.tell(order(reply)).await?;
        answer.await.map_err(|_| anyhow!("the live loop has ended"))
    }

    async fn tell(&self, order: Order) -> Result<()> {
        self.orders.send(order).await.map_err(|_| anyhow!("the live loop has ended"))
    }
}
