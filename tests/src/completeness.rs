//! The hub's own account of its record, drawn up from a store: is any second missing that nothing explains?

use anyhow::{Context, Result, anyhow};
use cotside_central_hub::ledger::{Bounds, Outbox, completeness_of_bed, next};
use cotside_central_hub::people::Date;
use cotside_central_hub::store::{self, agents, derived};
use cotside_protocol::model::Wall;
use cotside_protocol::wire::topic::AgentId;
use std::path::Path;
use std::time::Duration;

/// Follows what is left to follow, and says in words what of `[from, to)` is unexplained or counted twice. Every agent is taken at
/// its word at `to` that it holds nothing any more.
pub fn faults(store: &Path, served: &[(AgentId, String)], from: Wall, to: Wall) -> Result<Vec<String>> {
    let connection = store::open(store, false)?;
    while let Some(step) = next(&connection, Bounds::STEP)? {
        step.write(&connection)?;
    }
    let mut faults = Vec::new();
    for (number, (agent, bed)) in (0u8..).zip(served) {
        if agents::assignments(&connection, bed)?.is_empty() {
            let invitation = agents::Invitation { agent: agent.clone(), bed: bed.clone() };
            let hash = [number; 32];
            agents::invite(&connection, &hash, &invitation, from, Duration::from_secs(60))?;
            let redeemed = agents::redeem(&connection, &hash, from)?;
            redeemed.map_err(|why| anyhow!("{why:?}")).context("an invitation that was just made")?;
        }
        derived::put_outbox(&connection, agent.as_str(), &Outbox { at: to, rows: 0, oldest: to })?;
        for day in completeness_of_bed(&connection, bed, (Date::of(from), Date::of(to)), to)? {
            for lane in day.lanes {
                let expected = day.expected_s;
                if lane.sums.unexplained_s > 0 || lane.sums.total() != expected {
                    faults.push(format!("{agent} {}: of {expected} s {lane:?}", day.day));
                }
            }
        }
    }
    Ok(faults)
}
