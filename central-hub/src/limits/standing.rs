//! How far a set of limits has come: requested by the hub, accepted by the agent, in force at the bed; or why not.

use crate::unit::view::LimitsState;
use cotside_protocol::wire::downstream::{Limit, Limits};

/// What the agent of a bed has said.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Heard {
    /// What is in force, as its status repeats it. None: it has not said.
    pub in_force: Option<Limits>,
    /// The newest version that it has on disk.
    pub taken: Option<u64>,
    /// The version that it refused, and why.
    pub refused: Option<(u64, String)>,
}

/// Where the set wanted stands.
pub fn state(wanted: &Limits, heard: &Heard, was_in_force: bool) -> LimitsState {
    if let Some(now) = &heard.in_force {
        if now.version == wanted.version && is_same(now, wanted) {
            return LimitsState::InForce;
        }
        if is_newer(wanted, now) {
            return LimitsState::Unconfirmed;
        }
    }
    if heard.refused.as_ref().is_some_and(|(version, _)| *version == wanted.version) {
        return LimitsState::Refused;
    }
    match &heard.in_force {
        Some(now) if now.version == 0 && was_in_force => LimitsState::Reset,
        _ if heard.taken == Some(wanted.version) => LimitsState::Accepted,
        _ => LimitsState::Requested,
    }
}

/// The bed has a set of this bed and stay that this hub does not know, and not an older one: this hub was set back (H4).
fn is_newer(wanted: &Limits, now: &Limits) -> bool {
    now.version >= wanted.version && now.version > 0 && is_of_here(wanted, now)
}

/// Whether what is in force can be of this bed and stay.
fn is_of_here(wanted: &Limits, now: &Limits) -> bool {
    let of_bed = now.bed.is_empty() || now.bed == wanted.bed;
    let of_stay = now.stay.is_none() || now.stay == wanted.stay;
    of_bed && of_stay
}

/// What is in force has a number as high, but is another bed's or another stay's: the set wanted needs a higher one to get through.
pub fn needs_higher(wanted: &Limits, heard: &Heard) -> Option<u64> {
    let now = heard.in_force.as_ref()?;
    (now.version >= wanted.version && !is_of_here(wanted, now)).then_some(now.version + 1)
}

/// The next version of a bed: above everything that hub or bed has seen.
pub fn next_version(newest: Option<u64>, heard: &Heard) -> u64 {
    let in_force = heard.in_force.as_ref().map_or(0, |now| now.version);
    newest.unwrap_or(0).max(in_force).max(heard.taken.unwrap_or(0)) + 1
}

/// Whether two sets watch the same, whatever they are called.
pub fn is_same(one: &Limits, other: &Limits) -> bool {
    let sorted = |set: &Limits| {
        let mut limits = set.limits.clone();
        limits.sort_by_key(|limit: &Limit| (limit.code, limit.side as u8, limit.priority));
        let mut rates = set.rates.clone();
        rates.sort_by_key(|rate| (rate.code, rate.side as u8));
        (limits, rates)
    };
    sorted(one) == sorted(other) && one.apnoea == other.apnoea && one.combined == other.combined
}
