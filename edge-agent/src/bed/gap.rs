//! Stretches in which a link brought nothing, and why: "no data" on a chart always has a reason.

use cotside_protocol::model::Wall;
use cotside_protocol::wire::block::{Gap, GapCause};
use cotside_protocol::wire::upstream::LinkState;

/// The gap that a link is in.
#[derive(Clone, Copy, Debug)]
pub(super) struct OpenGap {
    cause: GapCause,
    from: Wall,
}

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

    pub(super) fn close(self, link: u8, now: Wall) -> Gap {
        Gap { cause: self.cause, link: Some(link), from: self.from, to: now, seqs: None, count: None }
    }
}
