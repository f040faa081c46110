//! The gaps of one bed: every stretch known to be missing, with its cause, joined where pieces meet.

use crate::store::agents::{self, Assignment};
use crate::store::derived;
use cotside_protocol::model::Wall;
use cotside_protocol::wire::topic::Lane;
use rusqlite::Connection;
use serde::Serialize;

/// Pieces of one gap may be this far apart.
const SEAM_US: i64 = 1_000_000;
/// A cable that is out every minute of a month is not drawn to the last piece.
pub(super) const GAPS_MAX: usize = 10_000;

#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct GapView {
    pub from_ms: i64,
    pub to_ms: i64,
    pub cause: String,
    pub lane: &'static str,
    /// None: the whole lane.
    pub link: Option<u8>,
    pub device: Option<String>,
    /// Rows, where it stands for some.
    pub count: Option<u64>,
}

/// Sorted by begin, and cut to `[from, to)` and to the times in which the bed was served. At most [`GAPS_MAX`], the earliest.
pub fn gaps_of_bed(
    connection: &Connection,
    bed: &str,
    from: Wall,
    to: Wall,
    lane: Option<Lane>,
) -> rusqlite::Result<Vec<GapView>> {
    let mut views: Vec<GapView> = Vec::new();
    for Assignment { agent, from: begin, to: end, .. } in agents::assignments(connection, bed)? {
        let (from, to) = (from.max(begin), end.map_or(to, |end| end.min(to)));
        if from >= to {
            continue;
        }
        let names = derived::links(connection, &agent)?;
        let mut gaps = derived::gaps(connection, &agent, from, to)?;
        gaps.retain(|gap| lane.is_none_or(|lane| gap.lane == lane));
        gaps.sort_by(|a, b| (a.lane, a.link, &a.cause, a.from).cmp(&(b.lane, b.link, &b.cause, b.from)));
        let mut joined: Vec<derived::GapRow> = Vec::new();
        for gap in gaps {
            match joined.last_mut() {
                Some(last)
                    if (last.lane, last.link, &last.cause) == (gap.lane, gap.link, &gap.cause)
                        && gap.from.0 <= last.to.0.saturating_add(SEAM_US) =>
                {
                    last.to = last.to.max(gap.to);
                    last.count = last.count.map_or(gap.count, |count| Some(count + gap.count.unwrap_or(0)));
                }
                _ => joined.push(gap),
            }
        }
        views.extend(joined.into_iter().map(|gap| GapView {
            from_ms: gap.from.max(from).millis(),
            to_ms: gap.to.min(to).millis(),
            cause: gap.cause,
            lane: gap.lane.name(),
            link: gap.link,
            device: gap.link.and_then(|link| names.get(&link).cloned()),
            count: gap.count,
        }));
    }
    views.sort_by(|a, b| (a.from_ms, a.lane, a.link).cmp(&(b.from_ms, b.lane, b.link)));
    views.truncate(GAPS_MAX);
    Ok(views)
}
