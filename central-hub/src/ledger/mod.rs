//! The conservation ledger: for every bed and second, was data received, and if not, why not?
//!
//! ```text
//! blocks (the truth) --follow, behind a cursor--> heard, gaps, runs, hours --account--> received + missing + waiting + unexplained
//! ```
//! Truth is stored once. What is derived here follows the blocks in order of arrival and is the same in whatever order they arrive
//! and wherever following was interrupted; forgotten, it is made again. Nothing that alarms waits for it.

mod account;
mod fold;
mod follow;
mod gaps;
mod hour;
mod moment;
mod report;
mod run;
mod runs;
mod seconds;
mod trend;
mod varint;

pub use account::Cause;
pub use follow::{Bounds, Step, next};
pub use gaps::{GapView, gaps_of_bed};
pub use hour::Hour;
pub use moment::moment;
pub use report::{
    BedReport, DayReport, LaneReport, Sums, completeness_of_bed, completeness_of_unit, holes_of_bed,
};
pub use run::run;
pub use runs::Runs;
pub use seconds::Seconds;
pub use trend::{Trend, TrendRequest, trends_of_bed};

use cotside_protocol::model::Wall;

/// What an agent says that it holds and the hub has not: how much, and since when.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Outbox {
    /// When it said so, by its own clock.
    pub at: Wall,
    pub rows: u64,
    /// When the oldest of them was measured.
    pub oldest: Wall,
}

#[cfg(test)]
mod tests;
