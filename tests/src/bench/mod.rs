//! `make bench`: every figure beside its floor or a peer, measured in the same run.

pub mod agent;
pub mod alarms;
pub mod backlog;
pub mod bare;
pub mod burden;
pub mod codec;
pub mod crowd;
pub mod decoders;
pub mod drain;
pub mod flash;
pub mod floor;
pub mod follower;
pub mod full;
pub mod ingest;
pub mod line;
pub mod live;
pub mod reconnect;
mod recorded;
mod rivals;
pub mod sections;
pub mod usage;

use cotside_systemd::clock::Clock;

/// Median nanoseconds of one call, over batches long enough to be timed.
pub fn nanoseconds(clock: &Clock, mut call: impl FnMut()) -> f64 {
    const BATCHES: usize = 15;
    const BATCH_US: u64 = 20_000;
    let mut calls = 1u32;
    let elapsed = |calls: u32, call: &mut dyn FnMut()| {
        let begin = clock.now().mono;
        (0..calls).for_each(|_| call());
        clock.now().mono.since(begin)
    };
    while elapsed(calls, &mut call).as_micros() < u128::from(BATCH_US) && calls < 1 << 24 {
        calls *= 2;
    }
    let mut batches: Vec<f64> =
        (0..BATCHES).map(|_| elapsed(calls, &mut call).as_nanos() as f64 / f64::from(calls)).collect();
    batches.sort_by(f64::total_cmp);
    batches[BATCHES / 2]
}

/// The value below which `quantity` of them lie; sorts them.
pub fn quantile(values: &mut [f64], quantity: f64) -> f64 {
    values.sort_by(f64::total_cmp);
    let last = values.len().saturating_sub(1);
    values.get((last as f64 * quantity).round() as usize).copied().unwrap_or(f64::NAN)
}
