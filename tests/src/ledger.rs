//! The ledger: what a device said, against what stands at the hub. Exactly once, or a gap with a cause.

use crate::archive::Archive;
use crate::counting::Counter;
use cotside_protocol::model::Wall;
use cotside_protocol::wire::block::GapCause;
use std::collections::BTreeMap;

/// A line is on the wire and in buffers for this long around its instant.
const TOLERANCE_US: i64 = 500_000;

#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Ledger {
    pub sent: u64,
    pub once: u64,
    pub twice: u64,
    /// At the hub, but never sent.
    pub invented: u64,
    /// Missing, by the cause that the record gives.
    pub gaps: BTreeMap<&'static str, u64>,
    /// Missing without a cause: lost.
    pub lost: Vec<u64>,
}

impl Ledger {
    pub fn draw_up(sent: &[Wall], archive: &Archive) -> Self {
        Self::draw_up_while_it_goes_on(sent, sent.len(), archive)
    }

    /// `sent` is everything that was said until after the archive was read: nothing else may be in it. The first `due` must be.
    pub fn draw_up_while_it_goes_on(sent: &[Wall], due: usize, archive: &Archive) -> Self {
        let mut seen = vec![0u32; sent.len()];
        let mut ledger = Self { sent: due as u64, ..Self::default() };
        let mut counter = Counter::default();
        for number in archive.samples().filter_map(|(at, sample)| counter.hear(at, sample)) {
            match usize::try_from(number).ok().and_then(|number| seen.get_mut(number)) {
                Some(times) => *times += 1,
                None => ledger.invented += 1,
            }
        }
        for (number, (times, at)) in seen.iter().zip(sent).enumerate() {
            match times {
                // On the way, or there already before its turn.
                0 | 1 if number >= due => {}
                0 => match cause_at(archive, *at) {
                    Some(cause) => *ledger.gaps.entry(cause_name(cause)).or_default() += 1,
                    None => ledger.lost.push(number as u64),
                },
                1 => ledger.once += 1,
                _ => ledger.twice += 1,
            }
        }
        ledger
    }

    /// Everything once or with a cause.
    pub fn is_balanced(&self) -> bool {
        self.twice == 0 && self.invented == 0 && self.lost.is_empty()
    }

    /// One line for people.
    pub fn line(&self, who: &str) -> String {
        let gaps: Vec<String> = self.gaps.iter().map(|(cause, count)| format!("{cause} {count}")).collect();
        let gaps = if gaps.is_empty() { "none".to_owned() } else { gaps.join(", ") };
        format!(
            "{who:<8} sent {:>6}  once {:>6}  twice {}  invented {}  in gaps: {gaps}  lost {}{}",
            self.sent,
            self.once,
            self.twice,
            self.invented,
            self.lost.len(),
            self.lost.first().map(|first| format!(" (first: line {first})")).unwrap_or_default()
        )
    }
}

fn cause_at(archive: &Archive, at: Wall) -> Option<GapCause> {
    let covers = |gap: &&cotside_protocol::wire::block::Gap| {
        (gap.from.0 - TOLERANCE_US..=gap.to.0 + TOLERANCE_US).contains(&at.0)
    };
    archive.gaps().find(covers).map(|gap| gap.cause)
}

pub const fn cause_name(cause: GapCause) -> &'static str {
    match cause {
        GapCause::DeviceSilent => "device-silent",
        GapCause::CableOut => "cable-out",
        GapCause::Undecodable => "undecodable",
        GapCause::ClockStep => "clock-step",
        GapCause::DroppedByPolicy => "dropped-by-policy",
        GapCause::AgentDown => "agent-down",
        GapCause::WrongDevice => "wrong-device",
        GapCause::StoreLost => "store-lost",
    }
}
