//! The snapshot as Prometheus text, for node_exporter's textfile collector. Names and counts only: no value of a patient.

use crate::bed::Snapshot;
use cotside_protocol::wire::upstream::LinkState;
use std::fmt::{Display, Write as _};

pub(super) fn text(snapshot: &Snapshot) -> String {
    let mut out = String::new();
    let outbox = &snapshot.outbox;
    family(&mut out, "cotside_hub_reachable", "gauge", "1 while the hub is heard.");
    sample(&mut out, "cotside_hub_reachable", &[], u8::from(snapshot.hub_reachable));
    family(&mut out, "cotside_store_trouble", "gauge", "1 while new data is not on disk, or not all of it.");
    sample(&mut out, "cotside_store_trouble", &[], u8::from(snapshot.store_trouble.is_some()));

    let entries = outbox.entries;
    let help = "Values, samples and records since the agent started: read = stored + held + withheld + lost.";
    family(&mut out, "cotside_entries", "gauge", help);
    let fates = [
        ("read", entries.read),
        ("stored", entries.stored),
        ("held", entries.held),
        ("withheld", entries.withheld),
        ("lost", entries.lost),
    ];
    fates.iter().for_each(|(fate, count)| sample(&mut out, "cotside_entries", &[("fate", fate)], count));

    family(&mut out, "cotside_outbox_rows", "gauge", "Rows that the hub has not yet said it has.");
    sample(&mut out, "cotside_outbox_rows", &[], outbox.waiting_rows);
    family(&mut out, "cotside_outbox_bytes", "gauge", "Bytes of those rows.");
    sample(&mut out, "cotside_outbox_bytes", &[], outbox.waiting_bytes);
    family(&mut out, "cotside_outbox_oldest_seconds", "gauge", "Age of the oldest of them.");
    sample(&mut out, "cotside_outbox_oldest_seconds", &[], outbox.oldest_ms as f64 / 1000.0);
    let help = "Rows that gave way to a gap record, never seen by the hub.";
    family(&mut out, "cotside_outbox_dropped_rows_total", "counter", help);
    sample(&mut out, "cotside_outbox_dropped_rows_total", &[], outbox.dropped_rows);
    let help = "Acknowledgements of the hub's about epochs that this gateway had not asked about; nothing left the log on their word.";
    family(&mut out, "cotside_outbox_ignored_acks_total", "counter", help);
    sample(&mut out, "cotside_outbox_ignored_acks_total", &[], snapshot.strangers);

    family(&mut out, "cotside_link_live", "gauge", "1 while the device of the link brings data.");
    links(snapshot, &mut out, "cotside_link_live", |link| u64::from(link.state == LinkState::Live));
    family(&mut out, "cotside_link_frames_total", "counter", "Good frames of the link.");
    links(snapshot, &mut out, "cotside_link_frames_total", |link| link.frames);
    let help = "Bytes of the link that could not be read.";
    family(&mut out, "cotside_link_malformed_bytes_total", "counter", help);
    links(snapshot, &mut out, "cotside_link_malformed_bytes_total", |link| link.malformed_bytes);
    out
}

fn links(
    snapshot: &Snapshot,
    out: &mut String,
    name: &str,
    value: impl Fn(&cotside_protocol::wire::upstream::LinkStatus) -> u64,
) {
    for link in &snapshot.links {
        let labels = [("link", link.status.name.as_str()), ("driver", link.status.driver.as_str())];
        sample(out, name, &labels, value(&link.status));
    }
}

fn family(out: &mut String, name: &str, kind: &str, help: &str) {
    let _ = writeln!(out, "# HELP {name} {help}\n# TYPE {name} {kind}");
}

fn sample(out: &mut String, name: &str, labels: &[(&str, &str)], value: impl Display) {
    // Names in the configuration are of letters, digits and dashes: nothing to escape.
    let labels: Vec<String> = labels.iter().map(|(label, text)| format!("{label}=\"{text}\"")).collect();
    let _ = if labels.is_empty() {
        writeln!(out, "{name} {value}")
    } else {
        writeln!(out, "{name}{{{}}} {value}", labels.join(","))
    };
}
