//! What one frame, one message, one line costs to decode, beside the least that any decoder of the same bytes must do.

use super::nanoseconds;
use crate::corpora;
use crate::figures::Figures;
use anyhow::{Context, Result, ensure};
use cotside_protocol::device::{Input, Output, Path, Peer, PeerOptions, PeerOutput, Session, Settings};
use cotside_protocol::devices::{self, hl7};
use cotside_protocol::model::{Mono, Now, Tally, Wall};
use cotside_simulators::newborn::Newborn;
use cotside_systemd::clock::Clock;
use std::fmt::Write as _;
use std::hint::black_box;
use std::time::Duration;

/// What a serial port holds after one look at 115,200 baud.
const CHUNK: usize = 576;
const TICK: Duration = Duration::from_millis(50);
pub(super) const CONVERSATION: Duration = Duration::from_secs(60);
const BEGIN: Now = Now { mono: Mono(1_000_000_000), wall: Wall(1_768_360_364_000_000) };
const RECORDED: &str = "intellivue/jvscapture_mp_serial/MPRawoutput1.raw";
const OBSERVATIONS: u32 = 40;

pub fn run(clock: &Clock, figures: &mut Figures) -> Result<()> {
    let listening = [("listen", "yes")];
    let said: Vec<u8> = conversation()?.into_iter().flat_map(|(_, bytes)| bytes).collect();
    frames(clock, figures, "intellivue-frame", &said, &listening)?;
    if let Some(recorded) = corpora::folder().and_then(|folder| std::fs::read(folder.join(RECORDED)).ok()) {
        frames(clock, figures, "intellivue-frame-recorded", &recorded, &listening)?;
    }
    lines(clock, figures)?;
    message(clock, figures)
}

/// There is no other decoder in Rust to stand beside: the floor is the check that every frame's bytes must pass.
fn frames(
    clock: &Clock,
    figures: &mut Figures,
    name: &str,
    bytes: &[u8],
    given: &[(&str, &str)],
) -> Result<()> {
    let tally = decode("intellivue", given, bytes)?;
    ensure!(tally.frames > 20, "{name}: {tally:?}");
    let per_frame = |ns: f64| ns / tally.frames as f64;
    let ours = nanoseconds(clock, || {
        let _ = black_box(decode("intellivue", given, bytes));
    });
    let floor = nanoseconds(clock, || {
        black_box(crc_x25(black_box(bytes)));
    });
    figures.beside(name, per_frame(ours), "ns", "CRC-16/X-25 of its bytes (no peer)", per_frame(floor));
    let mean = bytes.len() as f64 / tally.frames as f64;
    figures.alone(&format!("{name}-bytes"), mean, "bytes", "mean length of these frames");
    Ok(())
}

fn lines(clock: &Clock, figures: &mut Figures) -> Result<()> {
    const COUNT: usize = 64;
    let line = "11/22/26 12:00:00 SN=0000077777 SPO2=097% BPM=142 PI=02.31% SPCO=--.-% SPMET=--.-% DESAT=-- \
                PIDELTA=+-- ALARM=0000 EXC=000800\r\n";
    let bytes = line.repeat(COUNT);
    let tally = decode("masimo", &[], bytes.as_bytes())?;
    ensure!(tally.frames == COUNT as u64, "{tally:?}");
    let ours = nanoseconds(clock, || {
        let _ = black_box(decode("masimo", &[], bytes.as_bytes()));
    });
    let floor = nanoseconds(clock, || {
        black_box(black_box(&bytes).split_ascii_whitespace().count());
    });
    let (ours, floor) = (ours / COUNT as f64, floor / COUNT as f64);
    figures.beside("masimo-line", ours, "ns", "its words found (no peer)", floor);
    Ok(())
}

fn message(clock: &Clock, figures: &mut Figures) -> Result<()> {
    let text = observation_message();
    let dialect = hl7::Dialect::default();
    let read = hl7::read_observations(text.as_bytes(), &dialect);
    let read = read.map_err(|bad| anyhow::anyhow!("the message is not read: {bad:?}"))?;
    let values = read.observations.iter().filter(|one| one.value.is_some()).count();
    ensure!(values == OBSERVATIONS as usize, "{values} values were read");
    let ours = nanoseconds(clock, || {
        let _ = black_box(hl7::read_observations(black_box(text.as_bytes()), &dialect));
    });
    ensure!(
        hl7_parser::Message::parse_with_lenient_newlines(&text, true).is_ok(),
        "hl7-parser refuses the message"
    );
    let peer = nanoseconds(clock, || {
        let _ = black_box(hl7_parser::Message::parse_with_lenient_newlines(black_box(&text), true));
    });
    let floor = nanoseconds(clock, || {
        black_box(black_box(text.as_bytes()).iter().filter(|byte| matches!(byte, b'|' | b'\r')).count());
    });
    let us = |ns: f64| ns / 1000.0;
    figures.beside("hl7-message", us(ours), "us", "hl7-parser, its tree, no values", us(peer));
    figures.beside("hl7-message-over-scan", us(ours), "us", "its separators counted", us(floor));
    Ok(())
}

fn settings(driver: &str, given: &[(&str, &str)]) -> Result<Settings> {
    let driver = devices::driver(driver).context("no such driver")?;
    let given: Vec<_> = given.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
    Settings::check(driver.settings, &given).map_err(|bad| anyhow::anyhow!("{bad:?}"))
}

fn open(driver: &str, given: &[(&str, &str)]) -> Result<Box<dyn Session>> {
    let settings = settings(driver, given)?;
    Ok((devices::driver(driver).context("no such driver")?.open)(&settings, BEGIN)?)
}

/// One session over all the bytes, as the port would hand them over.
fn decode(driver: &str, given: &[(&str, &str)], bytes: &[u8]) -> Result<Tally> {
    let mut session = open(driver, given)?;
    let mut now = BEGIN;
    for chunk in bytes.chunks(CHUNK) {
        now = later(now);
        session.handle(now, Input::Received { from: Path::Line, bytes: chunk });
        loop {
            match session.poll() {
                Output::Wait { .. } => break,
                Output::Hangup(why) => anyhow::bail!("the session hung up: {why:?}"),
                other => drop(black_box(other)),
            }
        }
    }
    Ok(session.tally())
}

/// A minute of the simulated monitor on a serial line: when it says what to a driver that asks for waveforms.
pub(super) fn conversation() -> Result<Vec<(Duration, Vec<u8>)>> {
    let options =
        PeerOptions { seed: 7, serial: "SIM0000007".into(), bed_label: "07".into(), datagram: false };
    let mut peer = (devices::peer("intellivue").context("no simulated monitor")?.open)(&options);
    let mut session = open("intellivue", &[("over", "serial")])?;
    let mut baby = Newborn::new(7, BEGIN.mono, Vec::new());
    let (mut now, mut said) = (BEGIN, Vec::new());
    while now.mono < BEGIN.mono + CONVERSATION {
        now = later(now);
        baby.advance(now.mono);
        for bytes in speak(&mut *peer, now, &baby) {
            session.handle(now, Input::Received { from: Path::Line, bytes: &bytes });
            answer(&mut *session, &mut *peer, now);
            said.push((now.mono.since(BEGIN.mono), bytes));
        }
        session.handle(now, Input::Timeout);
        answer(&mut *session, &mut *peer, now);
    }
    Ok(said)
}

fn speak(peer: &mut dyn Peer, now: Now, baby: &Newborn) -> Vec<Vec<u8>> {
    let mut said = Vec::new();
    while let PeerOutput::Transmit { bytes, .. } = peer.poll(now, baby) {
        said.push(bytes);
    }
    said
}

fn answer(session: &mut dyn Session, peer: &mut dyn Peer, now: Now) {
    loop {
        match session.poll() {
            Output::Transmit { bytes, .. } => peer.handle(now, Path::Line, &bytes),
            Output::Event(_) => {}
            Output::Hangup(_) | Output::Wait { .. } => return,
        }
    }
}

fn later(now: Now) -> Now {
    Now { mono: now.mono + TICK, wall: now.wall + TICK }
}

/// A multiparameter monitor's PCD-01 message.
fn observation_message() -> String {
    let mut text = String::from(
        "MSH|^~\\&|NICUGW^02FE00FFFE000001^EUI-64|NICU|HUB|HOSP|20240601120000.500+0200||ORU^R01^ORU_R01|01HZXA0000000000000000001|P|2.6|||AL|NE||UNICODE UTF-8|||IHE_PCD_001^IHE PCD^1.3.6.1.4.1.19376.1.6.1.1.1^ISO\r\
         PID|||4711^^^HOSP&1.2.3.4&ISO^MR||TEST^BABY GIRL^^^^^L||202405290312|F\r\
         PV1||I|NICU^R2^B07^HOSP\r\
         OBR|1|77^NICUGW^02FE00FFFE000001^EUI-64|77^NICUGW^02FE00FFFE000001^EUI-64|182777000^monitoring of patient^SCT|||20240601120000+0200\r",
    );
    const ROWS: [(&str, &str); 4] = [
        ("150456^MDC_PULS_OXIM_SAT_O2^MDC", "262688^MDC_DIM_PERCENT^MDC^%^%^UCUM"),
        ("149530^MDC_PULS_OXIM_PULS_RATE^MDC", "264864^MDC_DIM_BEAT_PER_MIN^MDC^/min^/min^UCUM"),
        ("147842^MDC_ECG_HEART_RATE^MDC", "264864^MDC_DIM_BEAT_PER_MIN^MDC^/min^/min^UCUM"),
        ("150023^MDC_PRESS_BLD_NONINV_MEAN^MDC", "266016^MDC_DIM_MMHG^MDC^mm[Hg]^mm[Hg]^UCUM"),
    ];
    for n in 0..OBSERVATIONS {
        let (what, measure) = ROWS[n as usize % ROWS.len()];
        let (row, value) = (n + 1, 60 + n);
        let _ =
            write!(text, "OBX|{row}|NM|{what}|1.{row}.1.1|{value}|{measure}|||||R|||20240601115959+0200\r");
    }
    text
}

/// Reflected 0x1021, all ones in, complement out, a byte at a time.
fn crc_x25(bytes: &[u8]) -> u16 {
    const TABLE: [u16; 256] = {
        let mut table = [0; 256];
        let mut at = 0;
        while at < 256 {
            let (mut crc, mut bit) = (at as u16, 0);
            while bit < 8 {
                crc = if crc & 1 == 1 { (crc >> 1) ^ 0x8408 } else { crc >> 1 };
                bit += 1;
            }
            table[at] = crc;
            at += 1;
        }
        table
    };
    !bytes.iter().fold(0xFFFF, |crc, &byte| (crc >> 8) ^ TABLE[usize::from((crc as u8) ^ byte)])
}
