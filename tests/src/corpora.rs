//! Recordings that others made, each container turned into a capture: read in place, never kept here.
//!
//! They lie in a folder of their own (`COTSIDE_CAPTURES`, else `../shared/captures` beside the repository) under licences that
//! differ, so the repository holds only what they decode to.

use cotside_protocol::capture::{Capture, Direction, Header, Record, Wire};
use cotside_protocol::model::Wall;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// One recording, as a capture of the driver that its header names.
pub struct Recording {
    /// Below the corpora's folder.
    pub path: String,
    pub capture: Capture,
}

/// How a recording is wrapped.
#[derive(Clone, Copy)]
enum Container {
    /// Lines of text, one a second.
    Lines,
    /// A stream without times, at the speed of its serial line.
    Stream { bytes_a_second: u64 },
    /// One stream, all at once.
    Whole,
    /// Records, each behind an ASCII time `YYYY/MM/DDThh:mm:ss,mmm`.
    Stamped(Wire),
    /// IntelliVue messages end to end: eight bytes and as many more as the seventh and eighth say.
    Messages,
    /// Blocks of a thousand bytes, an IntelliVue message at the start of each, the rest stale.
    Blocks,
    /// One announcement, after so many bytes of network headers.
    Announcement { after: usize },
    /// Messages of HL7 without their MLLP frames.
    Hl7,
}

/// Folder, what its files' names begin with, container, driver, settings.
struct Corpus(&'static str, &'static str, Container, &'static str, &'static [(&'static str, &'static str)]);

const LISTEN: &[(&str, &str)] = &[("listen", "yes")];
const LISTEN_LAN: &[(&str, &str)] = &[("listen", "yes"), ("over", "lan")];

#[rustfmt::skip]
const CORPORA: &[Corpus] = &[
    Corpus("masimo", "", Container::Lines, "masimo", &[]),
    Corpus("intellivue/jvscapture_mp_serial", "MPRaw", Container::Stream { bytes_a_second: 11_520 }, "intellivue", LISTEN),
    Corpus("intellivue/mdrepo_mp70/sessions_log", "dd_intellivue_mp70_response.log.UDP", Container::Stamped(Wire::Datagram), "intellivue", LISTEN_LAN),
    Corpus("intellivue/mdrepo_mp70/sessions_log", "dd_intellivue_mp70_response.log", Container::Stamped(Wire::Line), "intellivue", LISTEN),
    Corpus("intellivue/mdrepo_mp70/messages_concat", "", Container::Messages, "intellivue", LISTEN_LAN),
    Corpus("intellivue/mdrepo_mp70/blocks1000", "", Container::Blocks, "intellivue", LISTEN_LAN),
    Corpus("intellivue/connect_indications", "koshsky_866062_ethernet_frame.bin", Container::Announcement { after: 42 }, "intellivue", LISTEN_LAN),
    Corpus("intellivue/connect_indications", "einstein", Container::Announcement { after: 0 }, "intellivue", LISTEN_LAN),
    Corpus("intellivue/connect_indications", "mdrepo", Container::Announcement { after: 0 }, "intellivue", LISTEN_LAN),
    Corpus("hl7-ge", "", Container::Hl7, "hl7", &[]),
    Corpus("hl7-lab", "", Container::Hl7, "hl7", &[]),
    Corpus("hl7-mindray", "", Container::Hl7, "hl7", &[]),
    Corpus("hl7-mindray-pds", "", Container::Hl7, "hl7", &[]),
    Corpus("hl7-nasty", "", Container::Hl7, "hl7", &[]),
    Corpus("hl7-other", "", Container::Hl7, "hl7", &[]),
    Corpus("hl7-other-monitors", "", Container::Hl7, "hl7", &[]),
    Corpus("hl7-pcd01", "", Container::Hl7, "hl7", &[]),
    Corpus("hl7-pcd04", "", Container::Hl7, "hl7", &[]),
    Corpus("hl7-philips", "", Container::Hl7, "hl7", &[]),
    Corpus("hl7-adt", "", Container::Hl7, "hl7", &[]),
    Corpus("mllp", "", Container::Whole, "hl7", &[]),
];

/// Where the recordings are, if they are on this machine.
pub fn folder() -> Option<PathBuf> {
    let beside = || Path::new(env!("CARGO_MANIFEST_DIR")).join("../../shared/captures");
    let folder = std::env::var_os("COTSIDE_CAPTURES").map_or_else(beside, PathBuf::from);
    folder.is_dir().then_some(folder)
}

/// Every recording that a driver can read, in the order of the table and of their names.
pub fn recordings(folder: &Path) -> std::io::Result<Vec<Recording>> {
    let mut recordings: Vec<Recording> = Vec::new();
    for Corpus(below, begins_with, container, driver, settings) in CORPORA {
        let Ok(entries) = std::fs::read_dir(folder.join(below)) else { continue };
        let mut names: Vec<_> =
            entries.flatten().map(|entry| entry.file_name().to_string_lossy().into_owned()).collect();
        names.retain(|name| {
            name.starts_with(begins_with) && !name.ends_with(".md") && !name.ends_with(".csv")
        });
        names.sort();
        for name in names {
            let path = format!("{below}/{name}");
            if recordings.iter().any(|known| known.path == path) {
                continue;
            }
            let records = records(*container, &std::fs::read(folder.join(&path))?);
            let settings =
                settings.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
            let header =
                Header { device: path.clone(), driver: (*driver).to_owned(), settings, ..Header::default() };
            recordings.push(Recording { path, capture: Capture { header, records } });
        }
    }
    Ok(recordings)
}

fn records(container: Container, bytes: &[u8]) -> Vec<Record> {
    match container {
        Container::Lines => {
            let lines = bytes.split_inclusive(|byte| *byte == b'\n');
            (0..).zip(lines).map(|(second, line)| record(second * 1000, Wire::Line, line)).collect()
        }
        Container::Stream { bytes_a_second } => {
            let chunks = bytes.chunks(usize::try_from(bytes_a_second / 8).unwrap_or(1).max(1));
            (0..).zip(chunks).map(|(eighth, chunk)| record(eighth * 125, Wire::Line, chunk)).collect()
        }
        Container::Whole => vec![record(0, Wire::Line, bytes)],
        Container::Stamped(wire) => stamped(wire, bytes),
        Container::Messages => {
            let mut rest = bytes;
            let mut records = Vec::new();
            while let Some((message, after)) =
                message_length(rest).and_then(|length| rest.split_at_checked(length))
            {
                // The recordings hold about six messages a second.
                records.push(record(records.len() as u64 * 170, Wire::Datagram, message));
                rest = after;
            }
            records
        }
        Container::Blocks => {
            let messages = bytes.chunks(1000).filter_map(|block| block.get(..message_length(block)?));
            (0..)
                .zip(messages)
                .map(|(number, message)| record(number * 900, Wire::Datagram, message))
                .collect()
        }
        Container::Announcement { after } => {
            vec![record(0, Wire::Announcement, &bytes[after.min(bytes.len())..])]
        }
        Container::Hl7 => {
            (0..).zip(hl7_messages(bytes)).map(|(n, framed)| record(n * 1000, Wire::Line, &framed)).collect()
        }
    }
}

fn record(millis: u64, wire: Wire, bytes: &[u8]) -> Record {
    Record {
        at: Duration::from_millis(millis),
        direction: Direction::FromDevice,
        wire,
        bytes: bytes.to_vec(),
    }
}

fn message_length(bytes: &[u8]) -> Option<usize> {
    Some(8 + usize::from(u16::from_be_bytes([*bytes.get(6)?, *bytes.get(7)?])))
}

fn stamped(wire: Wire, bytes: &[u8]) -> Vec<Record> {
    let stamps: Vec<_> = (0..bytes.len()).filter_map(|at| Some((at, stamp(&bytes[at..])?))).collect();
    let ends = stamps.iter().skip(1).map(|(at, _)| *at).chain([bytes.len()]);
    let Some((_, begin)) = stamps.first().copied() else { return Vec::new() };
    let mut latest = Duration::ZERO;
    let mut records = Vec::new();
    for (number, ((at, stamp), end)) in stamps.iter().zip(ends).enumerate() {
        let since_begin = u64::try_from(stamp.0 - begin.0).unwrap_or_default();
        latest = latest.max(Duration::from_micros(since_begin));
        // The first record of a network session is the monitor's announcement.
        let wire = if wire == Wire::Datagram && number == 0 { Wire::Announcement } else { wire };
        let bytes = bytes[at + STAMP.len()..end].to_vec();
        records.push(Record { at: latest, direction: Direction::FromDevice, wire, bytes });
    }
    records
}

const STAMP: &[u8] = b"9999/99/99T99:99:99,999";

fn stamp(bytes: &[u8]) -> Option<Wall> {
    let text = bytes.get(..STAMP.len())?;
    let matches =
        |(shape, byte): (&u8, &u8)| if *shape == b'9' { byte.is_ascii_digit() } else { shape == byte };
    if !STAMP.iter().zip(text).all(matches) {
        return None;
    }
    let number = |from: usize, to: usize| {
        text[from..to].iter().fold(0u16, |sum, digit| sum * 10 + u16::from(digit - b'0'))
    };
    let two = |from: usize| u8::try_from(number(from, from + 2)).unwrap_or(u8::MAX);
    let wall = Wall::of_calendar([number(0, 4), number(5, 7), number(8, 10)], [two(11), two(14), two(17)])?;
    Some(wall + Duration::from_millis(number(20, 23).into()))
}

/// A file's messages in frames; a file without any is one frame as it stands.
fn hl7_messages(bytes: &[u8]) -> Vec<Vec<u8>> {
    if bytes.contains(&0x0b) {
        return vec![bytes.to_vec()];
    }
    let is_line_start = |at: usize| at == 0 || matches!(bytes[at - 1], b'\r' | b'\n');
    let mut starts: Vec<_> =
        (0..bytes.len()).filter(|at| is_line_start(*at) && bytes[*at..].starts_with(b"MSH")).collect();
    if starts.is_empty() {
        starts.push(0);
    }
    let ends = starts.iter().skip(1).copied().chain([bytes.len()]);
    let framed = |(start, end): (&usize, usize)| [b"\x0b", &bytes[*start..end], b"\x1c\r"].concat();
    starts.iter().zip(ends).map(framed).collect()
}
