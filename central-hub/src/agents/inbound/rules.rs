//! Who is taken, and how a record is called.

use cotside_protocol::model::Provenance;
use cotside_protocol::wire::convert;
use cotside_protocol::wire::topic::AgentId;
use cotside_protocol::wire::upstream::{self, Hello, Record, WIRE_VERSION};

/// Why a hello cannot begin a conversation.
pub(super) fn unfit(hello: &Hello, agent: &AgentId) -> Option<&'static str> {
    if hello.agent != agent.as_str() {
        return Some("the hello names another agent than the certificate");
    }
    (hello.wire != WIRE_VERSION).then_some("the agent speaks another version of the protocol")
}

/// Test data never enters a live unit, nor real data a training unit: the words of the refusal.
pub(super) fn refused(offered: upstream::Provenance, accepts: Provenance) -> Option<String> {
    let accepts = convert::provenance(accepts);
    let name = |provenance| match provenance {
        upstream::Provenance::Live => "live",
        upstream::Provenance::Replay => "replayed",
        upstream::Provenance::Simulated => "simulated",
        upstream::Provenance::DeviceDemo => "demo",
    };
    (offered != accepts).then(|| {
        format!("this hub takes {} data only, the agent offers {} data", name(accepts), name(offered))
    })
}

/// The stable word of a record in the store, and its episode.
pub(super) fn kind(record: &Record) -> (&'static str, Option<String>) {
    match record {
        Record::Alarm(alarm) => ("alarm", Some(alarm.episode.clone())),
        Record::Alert { .. } => ("alert", None),
        Record::Identified { .. } => ("identified", None),
        Record::LinkChanged { .. } => ("link-changed", None),
        Record::DeviceClock { .. } => ("device-clock", None),
        Record::ClockStep { .. } => ("clock-step", None),
        Record::Started { .. } => ("started", None),
        Record::Stopped { .. } => ("stopped", None),
        Record::Commanded { .. } => ("commanded", None),
        Record::LimitsTaken { .. } => ("limits-taken", None),
        Record::TurnedOver { .. } => ("turned-over", None),
    }
}
