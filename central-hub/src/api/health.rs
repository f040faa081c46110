//! What a load balancer or an operator asks without logging in.

use super::Context;
use super::problem::Problem;
use axum::extract::State;
use axum::response::Response;
use serde::Serialize;

#[derive(Serialize)]
struct HealthView {
    /// `ok`, or `degraded` when the hub cannot commit.
    status: &'static str,
    version: &'static str,
    store: &'static str,
    /// What is wrong with the hub's own clock; null: nothing.
    clock: Option<String>,
    agents: AgentsView,
    started_at: String,
}

#[derive(Serialize)]
struct AgentsView {
    known: usize,
    connected: usize,
}

pub(super) async fn show(State(context): State<Context>) -> Result<Response, Problem> {
    let health = context.live.health().await?;
    Ok(context.answer(HealthView {
        status: if health.store_ok { "ok" } else { "degraded" },
        version: env!("CARGO_PKG_VERSION"),
        store: if health.store_ok { "ok" } else { "failed" },
        clock: health.clock,
        agents: AgentsView { known: health.agents_known, connected: health.agents_connected },
        started_at: context.started_at.to_string(),
    }))
}
