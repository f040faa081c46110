//! What the stages of the agent hand each other: drafts to the store, rows to the uplink, notices to the bed.
//!
//! ```text
//! link --Heard--> bed --StoreRequest--> store --FromStore--> uplink --> hub
//!   ^              |  \________________UplinkRequest__________^  |
//!   |              |<-----------BedNotice------------'------------|
//!   '--Stored------'
//! ```
//! The alarm path (link, bed, uplink) waits for neither disk nor backlog: an announce overtakes the store.

use bytes::Bytes;
use cotside_protocol::model::{Event, Now, Provenance, StoreToken, Wall};
use cotside_protocol::wire::block::{Body, Epoch};
use cotside_protocol::wire::downstream::{Command, Limits, Stay, Watch};
use cotside_protocol::wire::topic::Lane;
use cotside_protocol::wire::upstream::{Announce, LaneSeqs, LinkStatus, OutboxStatus, Reply, Status};

/// Position of a link in the configuration; the `link` byte of blocks.
pub type LinkIndex = u8;

/// What one link tells the bed.
#[derive(Clone, Debug)]
pub struct Heard {
    pub link: LinkIndex,
    pub at: Now,
    pub what: News,
}

#[derive(Clone, Debug)]
pub enum News {
    /// A conversation begins: what a device said of itself in the last one holds no longer.
    Opened,
    Event(Event),
    /// State, counters and words of the link, on change and at least once a second.
    State(LinkStatus),
    /// Somebody else spoke on this link; nothing it said was taken.
    Refused(std::net::IpAddr),
}

/// A block that has no seq yet: the store gives it one, encodes it and writes it.
#[derive(Clone, Debug)]
pub struct Draft {
    pub lane: Lane,
    pub provenance: Provenance,
    pub begin: Now,
    pub span_us: u32,
    pub body: Body,
}

impl Draft {
    /// Numerics and waveforms: what may be lost, with a gap to say so, before an alarm is.
    pub fn is_streaming(&self) -> bool {
        matches!(self.body, Body::Numerics(_) | Body::Waveforms(_))
    }

    /// Values, samples and records in it: what the conservation count counts. A gap stands for what is not there.
    pub fn entries(&self) -> u64 {
        match &self.body {
            Body::Numerics(samples) => samples.len() as u64,
            Body::Waveforms(stretches) => stretches.iter().map(|stretch| stretch.samples.len() as u64).sum(),
            Body::Record(_) => 1,
            Body::Gap(_) => 0,
        }
    }
}

/// To the store. Everything in one request is committed in one transaction.
#[derive(Clone, Debug)]
pub struct StoreRequest {
    pub drafts: Vec<Draft>,
    /// Checkpoints that are fulfilled by this commit (in order; includes all earlier requests).
    pub checkpoints: Vec<(LinkIndex, StoreToken)>,
}

impl StoreRequest {
    pub fn entries(&self) -> u64 {
        self.drafts.iter().map(Draft::entries).sum()
    }
}

/// A committed block.
#[derive(Clone, Debug)]
pub struct Row {
    pub lane: Lane,
    pub seq: u64,
    pub bytes: Bytes,
}

/// The agent's log at its present epoch.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Log {
    pub epoch: Epoch,
    /// The epoch before this one, where known.
    pub predecessor: Option<Epoch>,
    /// No disk takes it: it ends with the process, and no epoch follows it.
    pub in_memory: bool,
    /// Random per start of the agent.
    pub boot: u32,
    /// Where the present epoch begins; what is below belongs to earlier epochs.
    pub first: LaneSeqs,
    /// Next seq of each lane: what exists is below it.
    pub next: LaneSeqs,
    /// Below this everything was confirmed by the hub's store of this name.
    pub confirmed: LaneSeqs,
    pub confirmed_by: Option<String>,
    /// The latest time that a hub proved with its certificate; certificates are never checked at an earlier one.
    pub trusted: Wall,
}

/// To the uplink, from the store. May be lost when the uplink is busy, but for `Log`: what is on disk can be asked for again.
#[derive(Debug)]
pub enum FromStore {
    /// Rows just committed, in seq order within their lane.
    Stored(Vec<Row>),
    /// What was asked for: whole rows from the asked seq on, without a hole.
    Rows { lane: Lane, from: u64, rows: Vec<HeldRow> },
    /// Rows that were not sent yet gave way to a gap record: ask for them again.
    Dropped { lane: Lane, first: u64, end: u64 },
    /// Rows were left on disk without a word while the uplink was busy; everything below these seqs exists.
    Behind { epoch: Epoch, next: LaneSeqs },
    /// Another epoch begins: the store went to memory or came back from it, was set aside, or the hub is not believed.
    Log(Log),
    /// What was asked for: earlier epochs of the log from a position on, a few of them. None: there are no more.
    Past { lane: Lane, from: u64, epochs: Vec<Past> },
}

/// An earlier epoch of the log: it grows no more.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Past {
    /// Its place in the order of the log's epochs.
    pub place: u64,
    pub epoch: Epoch,
    pub predecessor: Option<Epoch>,
    pub first: LaneSeqs,
    /// One past its last seq of each lane.
    pub end: LaneSeqs,
    /// What was confirmed of it without a hole.
    pub confirmed: LaneSeqs,
    /// The hub claimed rows of it that were never written.
    pub disputed: bool,
}

/// A row as it lies on disk. It stands for [seq, end): one seq, or as many as its gap record replaces.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HeldRow {
    pub seq: u64,
    pub end: u64,
    pub bytes: Bytes,
}

/// To the uplink, from the bed. The uplink fills in the epoch.
#[derive(Clone, Debug)]
pub enum UplinkRequest {
    /// Full alarm state: goes out at once, ahead of everything.
    Announce(Announce),
    Status(Box<Status>),
    /// What became of a command; asked for again with the command, so it may be lost.
    Reply(Reply),
}

/// To the bed, from store and uplink.
#[derive(Clone, Debug)]
pub enum BedNotice {
    Stored(Vec<(LinkIndex, StoreToken)>),
    /// The store cannot write: words for the alarm. None: it can again.
    StoreTrouble(Option<String>),
    /// The hub is heard (welcome and alive within its limit), or not; words say why not.
    Hub {
        reachable: bool,
        detail: String,
        bed: Option<String>,
    },
    Limits(Limits),
    /// Who watches this bed, as the hub says every second and at once when it ends.
    Watch(Watch),
    /// Who lies in it.
    Stay(Stay),
    Command(Command),
    /// Something that signals at the bed cannot, in words; None: it can.
    Mute {
        what: &'static str,
        words: Option<String>,
    },
    Outbox(OutboxStatus),
    HubTime(HubTime),
    /// Acknowledgements so far that were ignored: of epochs that this gateway had not asked about.
    Strangers(u64),
    /// The hub's certificate cannot be checked by this gateway's clock: why, in words. None: it could.
    ClockRefuses(Option<String>),
}

/// The hub's wall clock against our monotonic one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct HubTime {
    pub ahead_us: i64,
    /// Give or take so much.
    pub uncertainty_us: i64,
}
