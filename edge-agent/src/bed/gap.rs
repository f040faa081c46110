//! Stretches in which a link brought nothing, and why: "no data" on a chart always has a reason.

use cotside_protocol::model::Wall;
use cotside_protocol::wire::block::{Gap, GapCause};
use cotside_protocol::wire::upstream::LinkState;

/// The gap that a link is in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct OpenGap {
    cause: GapCause,
    from: Wall,
}

/// What a link can be in, in the words of a kept text.
const KEPT: [(GapCause, &str); 3] = [
    (GapCause::DeviceSilent, "device-silent"),
    (GapCause::CableOut, "cable-out"),
    (GapCause::WrongDevice, "wrong-device"),
];

/// A gap that lasts is written in pieces of this length, so that a chart can say why before the cable is back.
const PIECE_US: i64 = 60_000_000;

impl OpenGap {
    /// Follows a link's state: returns the stretch that has just ended, if one has.
    pub(super) fn follow(
        open: &mut Option<Self>,
        link: u8,
        state: LinkState,
        heard_at: Wall,
        now: Wall,
    ) -> Option<Gap> {
        let cause = match state {
            LinkState::Live => None,
            LinkState::Silent => Some(GapCause::DeviceSilent),
            LinkState::Down => Some(GapCause::CableOut),
            LinkState::WrongDevice => Some(GapCause::WrongDevice),
            // A link that is being opened again is still in the gap that it was in.
            LinkState::Opening | LinkState::Connecting => open.map(|gap| gap.cause),
        };
        let ended = open.filter(|gap| cause != Some(gap.cause) || now.0 - gap.from.0 >= PIECE_US);
        if ended.is_some() || open.is_none() {
            let from = if ended.is_some() { now } else { heard_at };
            *open = cause.map(|cause| Self { cause, from });
        }
        ended.map(|gap| gap.close(link, now))
    }

    /// The wall clock was set in the middle of it: returns the part dated by the clock before, the rest goes on by the other.
    pub(super) fn cut(&mut self, link: u8, before: Wall, after: Wall) -> Gap {
        let part = self.close(link, before.max(self.from));
        self.from = after;
        part
    }

    /// A line that names it, for the next life of the agent.
    pub(super) fn kept(self, link: u8) -> Option<String> {
        let (_, word) = KEPT.into_iter().find(|(cause, _)| *cause == self.cause)?;
        Some(format!("{link} {word} {}", self.from.0))
    }

    pub(super) fn from_kept(line: &str) -> Option<(u8, Self)> {
        let mut words = line.split(' ');
        let (link, word, from) = (words.next()?, words.next()?, words.next()?);
        let (cause, _) = KEPT.into_iter().find(|(_, known)| *known == word)?;
        Some((link.parse().ok()?, Self { cause, from: Wall(from.parse().ok()?) }))
    }

    pub(super) fn close(self, link: u8, now: Wall) -> Gap {
        Gap { cause: self.cause, link: Some(link), from: self.from, to: now, seqs: None, count: None }
    }
}

/// Bytes of a link that could not be read: what they said is missing, though the device spoke.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Unreadable {
    /// When something of this link was last understood.
    heard: Option<Wall>,
    open: Option<Stretch>,
}

#[derive(Clone, Copy, Debug)]
struct Stretch {
    from: Wall,
    to: Wall,
    count: u64,
}

/// Unreadable bytes that follow each other this closely are one gap.
const QUIET_US: i64 = 2_000_000;
/// What unreadable bytes said was measured since the last that could be read, but no longer ago than this.
const REACH_US: i64 = 10_000_000;

impl Unreadable {
    pub(super) fn heard(&mut self, at: Wall) {
        self.heard = Some(at);
    }

    pub(super) fn malformed(&mut self, at: Wall) {
        let reach = Wall(at.0 - REACH_US);
        let from = self.heard.filter(|heard| (reach..=at).contains(heard)).unwrap_or(at);
        let open = self.open.get_or_insert(Stretch { from, to: at, count: 0 });
        open.to = open.to.max(at);
        open.count += 1;
    }

    /// The stretch that has ended by now, if one has; `is_closing`: whatever is open.
    pub(super) fn take_ended(&mut self, link: u8, now: Wall, is_closing: bool) -> Option<Gap> {
        let has_ended = |open: &Stretch| {
            let (quiet, length) = (now.0 - open.to.0, now.0 - open.from.0);
            // A clock that was set back ends it too.
            is_closing || !(0..QUIET_US).contains(&quiet) || length >= PIECE_US
        };
        let Stretch { from, to, count } = self.open.take_if(|open| has_ended(open))?;
        let cause = GapCause::Undecodable;
        Some(Gap { cause, link: Some(link), from, to, seqs: None, count: Some(count) })
    }
}
