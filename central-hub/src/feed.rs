//! What the agents' side of the hub hands to the unit's now-state and its live readers, in the order it happened.
//!
//! Items go out before the commit (the alarm path waits for no disk); a record item says by `recorded` when its row is on disk.

use bytes::Bytes;
use cotside_protocol::wire::block::{Header, Sample};
use cotside_protocol::wire::topic::AgentId;
use cotside_protocol::wire::upstream::{Announce, Record, Reply, Status};

#[derive(Clone, Debug)]
pub struct Item {
    pub agent: AgentId,
    /// The bed this agent serves at this moment; None: unassigned, nothing is attributed.
    pub bed: Option<String>,
    pub what: News,
}

#[derive(Clone, Debug)]
pub enum News {
    Connected,
    Disconnected {
        why: &'static str,
    },
    Status(Status),
    /// Full alarm state; not yet recorded.
    Announce(Announce),
    /// What became of a person's command.
    Reply(Reply),
    /// From the live topics only: backlog never reaches the now-state.
    Numerics(Header, Vec<Sample>),
    /// The block as it came: it is decoded when somebody looks.
    Waveforms(Header, Bytes),
    /// Committed.
    Record(Header, Record),
}
