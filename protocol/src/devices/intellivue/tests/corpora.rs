//! Foreign recordings: no panic, every byte accounted for, and the values that other people's programs read from them.
//!
//! The recordings are not ours to keep; what they decode to is, in `corpora.tsv`. `BLESS=1` writes it anew.

use super::super::DRIVER;
use super::super::attribute::{NumericValue, compound, id};
use super::super::card::announced;
use super::super::frame::{Deframer, Found};
use super::super::message::{Message, class};
use super::super::octets::Reader;
use crate::device::{Input, Output, Path, Session, Settings};
use crate::model::{Code, Event, Mono, NO_SAMPLE, Now, Tally, Wall, Waveform};
use crate::transcript::{self, Line};
use std::collections::BTreeMap;
use std::fmt::Write;
use std::net::SocketAddr;
use std::path::PathBuf;

const DEVICE: SocketAddr = crate::capture::DEVICE_ADDRESS;
/// From one reply with numerics to the next.
const SECOND_TICKS: u32 = 8192;
const GOLDEN: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/src/devices/intellivue/corpora.tsv");

/// A recording's records: when, over which path, what.
type Records = Vec<(u64, Path, Vec<u8>)>;

/// The recorded corpora, if they are on this machine.
fn corpus(path: &str) -> Option<Vec<u8>> {
    let root = std::env::var_os("COTSIDE_CAPTURES").map_or_else(
        || PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../../shared/captures")),
        PathBuf::from,
    );
    let file = root.join("intellivue").join(path);
    let bytes = std::fs::read(&file).ok();
    if bytes.is_none() {
        println!("skipped: {} is not here", file.display());
    }
    bytes
}

fn listening(now: Now) -> Box<dyn Session> {
    let given = [("listen".to_owned(), "yes".to_owned())];
    (DRIVER.open)(&Settings::check(DRIVER.settings, &given).unwrap(), now).unwrap()
}

fn at(micros: u64) -> Now {
    Now { mono: Mono(1_000_000_000 + micros), wall: Wall(micros as i64) }
}

#[derive(Default)]
struct Heard {
    waves: Vec<Waveform>,
    counts: BTreeMap<&'static str, usize>,
    values: usize,
    samples: usize,
    digest: u32,
    tally: Tally,
}

impl Heard {
    /// False: the session hung up.
    fn take(&mut self, session: &mut dyn Session) -> bool {
        loop {
            let output = session.poll();
            let line = Line(&output).to_string();
            let kind = match output {
                Output::Wait { .. } => break,
                Output::Transmit { .. } => panic!("a listener sent something"),
                Output::Hangup(_) => return false,
                Output::Event(Event::Numeric(numeric)) => {
                    self.values += usize::from(numeric.value.is_some());
                    "numerics"
                }
                Output::Event(Event::Waveform(wave)) => {
                    self.samples += wave.samples.iter().filter(|sample| **sample != NO_SAMPLE).count();
                    self.waves.push(wave);
                    "waves"
                }
                Output::Event(Event::Alert(_)) => "alerts",
                Output::Event(Event::Identified(_)) => "identified",
                Output::Event(Event::Malformed { .. }) => continue,
                Output::Event(Event::DeviceTime(_)) => "clocks",
                Output::Event(Event::Notice(_) | Event::Checkpoint(_)) => "notices",
            };
            *self.counts.entry(kind).or_default() += 1;
            self.digest = crc32c::crc32c_append(self.digest, line.as_bytes());
        }
        assert!(session.tally().is_balanced(), "{:?}", session.tally());
        true
    }

    fn line(&self) -> String {
        let mut line = format!("{}\t{}", self.tally.frames, self.tally.received);
        let count = |kind| self.counts.get(kind).copied().unwrap_or(0);
        for kind in ["identified", "numerics", "waves", "alerts", "clocks", "notices"] {
            write!(line, "\t{}", count(kind)).unwrap();
        }
        write!(
            line,
            "\t{}\t{}\t{:08x}\tdecoded {}",
            self.values, self.samples, self.digest, self.tally.decoded
        )
        .unwrap();
        for reason in Tally::IGNORED.into_iter().filter(|reason| self.tally.ignored(*reason) > 0) {
            write!(line, " ignored {} {}", transcript::ignored(reason), self.tally.ignored(reason)).unwrap();
        }
        for reason in Tally::MALFORMED.into_iter().filter(|reason| self.tally.malformed(*reason) > 0) {
            write!(line, " malformed {} {}", transcript::malformed(reason), self.tally.malformed(reason))
                .unwrap();
        }
        write!(line, " pending {}", self.tally.pending).unwrap();
        line
    }
}

fn play(records: &Records) -> Heard {
    let mut session = listening(at(0));
    let mut heard = Heard::default();
    for (micros, from, bytes) in records {
        session.handle(at(*micros), Input::Received { from: *from, bytes });
        if !heard.take(session.as_mut()) {
            // A recording with a hole: the link would open the port again.
            heard.tally += session.tally();
            session = listening(at(*micros));
        }
    }
    heard.tally += session.tally();
    assert!(heard.tally.is_balanced(), "{:?}", heard.tally);
    heard
}

/// A bare stream in pieces of `cut` bytes, 250 us a byte.
fn stream(bytes: &[u8], cut: usize) -> Records {
    let mut micros = 0;
    let record = |piece: &[u8]| {
        micros += piece.len() as u64 * 250;
        (micros, Path::Line, piece.to_vec())
    };
    bytes.chunks(cut).map(record).collect()
}

/// Records of `2014/05/19T15:40:17,123` and raw bytes; a record that begins with C0 came over the serial port.
fn timed_log(bytes: &[u8]) -> Records {
    let mut starts = Vec::new();
    for at in 0..bytes.len().saturating_sub(23) {
        if let Some(micros) = stamp(&bytes[at..at + 23]) {
            starts.push((at, micros));
        }
    }
    let first = starts.first().map_or(0, |(_, micros)| *micros);
    let ends: Vec<_> = starts.iter().skip(1).map(|(at, _)| *at).chain([bytes.len()]).collect();
    let is_serial = starts.iter().any(|(at, _)| bytes.get(at + 23) == Some(&0xC0));
    let record = |((at, micros), end): (&(usize, u64), usize)| {
        let body = &bytes[at + 23..end];
        let path = match body.first() {
            _ if is_serial => Path::Line,
            Some(0) => Path::Announcement(DEVICE),
            _ => Path::Datagram(DEVICE),
        };
        (micros.saturating_sub(first), path, body.to_vec())
    };
    starts.iter().zip(ends).map(record).collect()
}

/// Microseconds of the day in a log's time stamp.
fn stamp(text: &[u8]) -> Option<u64> {
    let shape = b"dddd/dd/ddTdd:dd:dd,ddd";
    let fits = text.iter().zip(shape).all(|(byte, form)| match form {
        b'd' => byte.is_ascii_digit(),
        _ => byte == form,
    });
    let number =
        |from: usize, to: usize| text[from..to].iter().fold(0, |all, byte| all * 10 + u64::from(byte - b'0'));
    fits.then(|| {
        let seconds = number(11, 13) * 3600 + number(14, 16) * 60 + number(17, 19);
        (seconds * 1000 + number(20, 23)) * 1000
    })
}

/// Bare messages one after the other, or each at the beginning of a block with stale bytes behind it.
fn messages(bytes: &[u8], block: Option<usize>) -> Records {
    let mut records = Vec::new();
    let mut rest = bytes;
    while rest.len() >= 8 {
        let length = 8 + usize::from(u16::from_be_bytes([rest[6], rest[7]]));
        let Some(message) = rest.get(..length) else { break };
        records.push((records.len() as u64 * 100_000, Path::Datagram(DEVICE), message.to_vec()));
        rest = &rest[block.unwrap_or(length).min(rest.len())..];
    }
    records
}

/// Every message parses, and what is emitted from it is, byte for byte, what was recorded.
fn assert_mirrored(message: &[u8]) {
    let parsed = Message::parse(message).unwrap_or_else(|reason| panic!("{reason:?}: {message:02x?}"));
    let mut emitted = vec![0xA5; 3];
    parsed.emit(&mut emitted);
    assert_eq!(&emitted[3..], message, "{parsed:?}");
}

fn unframed(records: &Records) -> Vec<Vec<u8>> {
    let mut deframer = Deframer::default();
    let mut messages = Vec::new();
    for (_, path, bytes) in records {
        if *path != Path::Line {
            messages.push(bytes.clone());
            continue;
        }
        let mut rest = bytes.as_slice();
        while let Some(found) = deframer.next(&mut rest) {
            match found {
                Found::Message { payload, .. } => messages.push(payload.to_vec()),
                other => panic!("{other:?}"),
            }
        }
    }
    messages
}

#[derive(Clone, Copy, PartialEq)]
enum Form {
    Stream,
    Log,
    /// A log that somebody edited by hand.
    Damaged,
    Messages,
    Blocks,
}

#[rustfmt::skip]
const RECORDINGS: &[(&str, Form)] = &[
    ("jvscapture_mp_serial/MPRawoutput1.raw", Form::Stream),
    ("mdrepo_mp70/sessions_log/dd_intellivue_mp70_response.log.06242014.5mins", Form::Log),
    ("mdrepo_mp70/sessions_log/dd_intellivue_mp70_response.log.UDP_05192014_demo_data", Form::Log),
    ("mdrepo_mp70/sessions_log/dd_intellivue_mp70_response.log.serial_05192014_demo_data", Form::Log),
    ("mdrepo_mp70/sessions_log/dd_intellivue_mp70_response.log.serial_05192014_fluke_sim_data", Form::Log),
    ("mdrepo_mp70/sessions_log/dd_intellivue_mp70_response.log_all_serial", Form::Log),
    ("mdrepo_mp70/sessions_log/dd_intellivue_mp70_response.log_removed_module1", Form::Log),
    ("mdrepo_mp70/sessions_log/dd_intellivue_mp70_response.log_saved", Form::Damaged),
    ("mdrepo_mp70/messages_concat/ALLNumerics5mins.txt", Form::Messages),
    ("mdrepo_mp70/messages_concat/Alarms10mins2-14.txt", Form::Messages),
    ("mdrepo_mp70/messages_concat/NonECGwaves10mins.txt", Form::Messages),
    ("mdrepo_mp70/messages_concat/NumericAlarmsWaveforms10mins12-14.txt", Form::Messages),
    ("mdrepo_mp70/blocks1000/Alarms10mins.txt", Form::Blocks),
    ("mdrepo_mp70/blocks1000/DemogAlarmsVMS.txt", Form::Blocks),
    ("mdrepo_mp70/blocks1000/NumericObsVal10mins.txt", Form::Blocks),
];

fn records(bytes: &[u8], form: Form) -> Records {
    match form {
        Form::Stream => stream(bytes, 1000),
        Form::Log | Form::Damaged => timed_log(bytes),
        Form::Messages => messages(bytes, None),
        Form::Blocks => messages(bytes, Some(1000)),
    }
}

#[test]
fn each_recording_decodes_to_its_golden_line_and_every_message_is_emitted_as_it_was() {
    let head = "recording\tframes\tbytes\tidentified\tnumerics\twaves\talerts\tclocks\tnotices\tvalues\tsamples\tcrc32c\taccount";
    let mut found = format!("{head}\n");
    for (path, form) in RECORDINGS {
        let Some(bytes) = corpus(path) else { return };
        let records = records(&bytes, *form);
        if *form != Form::Damaged {
            unframed(&records).iter().for_each(|message| assert_mirrored(message));
        }
        writeln!(found, "{path}\t{}", play(&records).line()).unwrap();
    }
    println!("{found}");
    if std::env::var_os("BLESS").is_some() {
        std::fs::write(GOLDEN, &found).unwrap();
    }
    let golden = std::fs::read_to_string(GOLDEN).unwrap_or_default();
    for (found, golden) in found.lines().zip(golden.lines()) {
        assert_eq!(found, golden);
    }
    assert_eq!(found.lines().count(), golden.lines().count());
}

#[test]
fn the_stream_of_the_jvs_tool_has_2887_good_frames_however_it_is_cut() {
    let Some(bytes) = corpus("jvscapture_mp_serial/MPRawoutput1.raw") else { return };
    assert_eq!(unframed(&stream(&bytes, 4096)).len(), 2887);
    let whole = play(&stream(&bytes, bytes.len()));
    assert_eq!(whole.tally.malformed_total(), 0);
    for cut in [7, 16, 999] {
        let heard = play(&stream(&bytes, cut));
        assert_eq!((heard.values, heard.samples, heard.tally), (whole.values, whole.samples, whole.tally));
    }
}

/// The tool writes 0.0 where the monitor says "no value", and dates a row by the reply after the one it holds.
#[test]
fn numerics_are_those_that_the_jvs_tool_exported() {
    let Some(bytes) = corpus("jvscapture_mp_serial/MPRawoutput1.raw") else { return };
    let Some(table) = corpus("jvscapture_mp_serial/NumericData.csv") else { return };
    let mut by_time: BTreeMap<u32, Vec<f64>> = BTreeMap::new();
    for message in unframed(&stream(&bytes, 4096)) {
        let Ok(Message::Reply { reply, .. }) = Message::parse(&message) else { continue };
        if reply.class != class::NUMERIC {
            continue;
        }
        let row = by_time.entry(reply.time).or_default();
        for (id, value) in reply.contexts.objects().flat_map(|object| object.attributes.iter()) {
            let mut values = match id {
                id::NUMERIC => Reader(value),
                id::COMPOUND => compound(value).unwrap(),
                _ => continue,
            };
            while let Some(value) = NumericValue::parse(&mut values) {
                row.push(value.value.decimal().map_or(0.0, |decimal| decimal.to_f64()));
            }
        }
    }
    let mut rows = 0;
    for line in String::from_utf8(table).unwrap().lines() {
        let columns: Vec<_> = line.split(',').collect();
        // Later rows were written by other runs of the tool, with a wall clock for the monitor's ticks.
        let Ok(time) = columns[1].parse::<u32>() else { continue };
        let expected: Vec<f64> = columns[3..].iter().map(|text| text.parse().unwrap()).collect();
        let found = &by_time[&(time - SECOND_TICKS)];
        assert_eq!(found.len(), expected.len(), "at {time}");
        for (found, expected) in found.iter().zip(&expected) {
            assert!((found - expected).abs() < 1e-9, "at {time}: {found} for {expected}");
        }
        rows += 1;
    }
    println!("{rows} rows of 16 numerics");
    assert_eq!(rows, 7);
}

/// The tool ORs the two bytes of a sample into one; done to ours, its numbers must come out.
#[test]
fn samples_are_those_that_the_jvs_tool_exported() {
    let Some(bytes) = corpus("jvscapture_mp_serial/MPRawoutput1.raw") else { return };
    let Some(table) = corpus("jvscapture_mp_serial/NOM_ECG_ELEC_POTL_II.csv") else { return };
    let heard = play(&stream(&bytes, 1000));
    let lead = heard.waves.iter().filter(|wave| wave.code == Code(131_330));
    let samples: Vec<i32> = lead.clone().flat_map(|wave| wave.samples.iter().copied()).collect();
    let expected: Vec<i32> = String::from_utf8(table)
        .unwrap()
        .lines()
        .map(|line| line.rsplit(',').next().unwrap().parse::<f64>().unwrap() as i32)
        .collect();
    assert_eq!(expected.len(), 1472);
    for (at, (sample, expected)) in samples.iter().zip(&expected).enumerate() {
        assert_eq!((sample >> 8) | (sample & 0xFF), *expected, "sample {at}");
    }
    let first = lead.clone().next().unwrap();
    assert_eq!((first.gain, first.offset, first.ucum, first.period_us), (0.005, -40.96, "mV", 4000));
    let begins: Vec<_> = lead.map(|wave| wave.begin.0).collect();
    let steps = begins.windows(2).filter(|pair| pair[1] - pair[0] == 256_000).count();
    println!("{} runs of lead II, {steps} of {} steps contiguous", begins.len(), begins.len() - 1);
}

#[test]
fn connect_indications_tell_where_the_monitor_is() {
    let from: SocketAddr = "10.1.2.3:24005".parse().unwrap();
    for (file, skip, mac) in [
        ("connect_indications/einstein_MP70_M8007A_udp_payload.bin", 0, None),
        ("connect_indications/koshsky_866062_ethernet_frame.bin", 42, None),
        ("connect_indications/mdrepo_MP70_M8007A_udp_payload.bin", 0, Some("00:09:FB:70:57:1E")),
    ] {
        let Some(bytes) = corpus(file) else { return };
        assert_mirrored(&bytes[skip..]);
        let Ok(Message::Indication { attributes, .. }) = Message::parse(&bytes[skip..]) else {
            panic!("{file}")
        };
        let (found, address) = announced(attributes, from).unwrap();
        assert_eq!(address, "10.1.2.3:24105".parse().unwrap());
        assert!(found.starts_with("00:09:FB:"), "{found}");
        assert!(mac.is_none_or(|mac| mac == found), "{found}");
    }
}
