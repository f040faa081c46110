//! From the agents' news to every screen that looks: one loop owns the unit's now-state, one encoder serves all readers.
//!
//! ```text
//! agents --Item--> Loop(Feed(Unit, Waves)) --Frame--> ring --> reader, reader, reader ...
//! routes --Order-->            |
//!        <---------------------+ views
//! ```
//! A ring is bounded and shared; a reader that falls off its end is told so and starts again with the whole. It never slows the unit.

mod feed;
mod frame;
mod run;
mod waves;

pub use frame::Frame;
pub use run::{FRAMES, Health, Joined, Live, Loop, WAVE_FRAMES, WavesJoined, open};
pub use waves::WaveFrame;
