//! The shell of the follower: looks for new blocks, a step at a time, and never takes more than half of one core.

use super::follow::{self, Bounds};
use crate::agents::House;
use crate::store::derived;
use anyhow::Result;
use cotside_systemd::stages::Stop;
use std::sync::Arc;
use std::time::Duration;
use tokio::time::sleep;

/// Rows of the current hour are written again at every step, so a step gathers some seconds.
const EVERY: Duration = Duration::from_secs(10);
/// After a store that could not be read or written.
const AGAIN: Duration = Duration::from_secs(5);

/// Follows the blocks until told to stop.
pub async fn run(house: Arc<House>, mut stop: Stop) -> Result<()> {
    loop {
        let began = house.clock.now().mono;
        let pause = match step(&house).await {
            // As long as it worked: a backlog does not take the hub's time from the living.
            Ok(true) => house.clock.now().mono.since(began),
            Ok(false) => EVERY,
            Err(error) => {
                tracing::error!(error = format!("{error:#}"), "the ledger cannot be kept");
                AGAIN
            }
        };
        tokio::select! {
            () = stop.requested() => return Ok(()),
            () = sleep(pause) => {}
        }
    }
}

/// One step. True: there may be more.
async fn step(house: &House) -> Result<bool> {
    // Asked before the blocks are read: what an agent no longer holds by then is among them.
    let said = house.outboxes();
    let step = house.store.read(|connection| follow::next(connection, Bounds::STEP)).await?;
    let is_full = step.as_ref().is_some_and(|step| step.is_full);
    if let Some(step) = step {
        tracing::debug!(blocks = step.blocks, "followed");
        house.store.write(move |connection| step.write(connection)).await?;
    }
    if !is_full && !said.is_empty() {
        house
            .store
            .write(move |connection| {
                said.iter()
                    .try_for_each(|(agent, outbox)| derived::put_outbox(connection, agent.as_str(), outbox))
            })
            .await?;
    }
    Ok(is_full)
}
