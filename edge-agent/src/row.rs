//! What the stages of the agent hand each other: drafts to the store, rows to the uplink, notices to the bed.
//!
//! ```text
//! link --Heard--> bed --StoreRequest--> store --UplinkRequest::Stored--> uplink --> hub
//!   ^              |  \______________UplinkRequest::Announce, Status______^  |
//!   |              |<-----------------------BedNotice------------------------|
//!   '--Stored------'
//! ```
//! The alarm path (link, bed, uplink) waits for neither disk nor backlog: an announce overtakes the store.

use bytes::Bytes;
use cotside_protocol::model::{Event, Now, Provenance, StoreToken};
use cotside_protocol::wire::block::Body;
use cotside_protocol::wire::downstream::Limits;
use cotside_protocol::wire::topic::Lane;
use cotside_protocol::wire::upstream::{Announce, LinkStatus, OutboxStatus, Status};

/// Position of a link in the configuration; the `link` byte of blocks.
pub type LinkIndex = u8;

/// What one link tells the bed.
#[derive(Debug)]
pub struct Heard {
    pub link: LinkIndex,
    pub at: Now,
    pub what: News,
}

#[derive(Debug)]
pub enum News {
    Event(Event),
    /// State, counters and words of the link, on change and at least once a second.
    State(LinkStatus),
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

/// To the store. Everything in one request is committed in one transaction.
#[derive(Debug)]
pub struct StoreRequest {
    pub drafts: Vec<Draft>,
    /// Checkpoints that are fulfilled by this commit (in order; includes all earlier requests).
    pub checkpoints: Vec<(LinkIndex, StoreToken)>,
}

/// A committed block.
#[derive(Clone, Debug)]
pub struct Row {
    pub lane: Lane,
    pub seq: u64,
    pub bytes: Bytes,
}

/// To the uplink.
#[derive(Debug)]
pub enum UplinkRequest {
    /// Rows just committed, in seq order within their lane.
    Stored(Vec<Row>),
    /// Full alarm state: goes out at once, ahead of everything.
    Announce(Announce),
    Status(Status),
}

/// To the bed, from store and uplink.
#[derive(Debug)]
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
    Outbox(OutboxStatus),
}
