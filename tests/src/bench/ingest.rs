//! The hub without its sockets: how many messages a core takes, shows and commits, beside SQLite appending the same rows.

use super::backlog::Signal;
use super::floor;
use super::usage::Usage;
use crate::figures::Figures;
use anyhow::{Context, Result, bail};
use bytes::Bytes;
use cotside_central_hub::agents::conversation::run::{Act, Conversation};
use cotside_central_hub::agents::inbound::{Input, Receipt, Rules};
use cotside_central_hub::agents::{FEED, House};
use cotside_central_hub::store::Store;
use cotside_protocol::model::Provenance;
use cotside_protocol::wire::block::{Encoder, Epoch, Header};
use cotside_protocol::wire::convert::hex;
use cotside_protocol::wire::topic::{AgentId, Lane, Upstream};
use cotside_protocol::wire::upstream::{self, Hello, LaneSeqs, WIRE_VERSION};
use cotside_systemd::clock::Clock;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::mpsc;
use tokio::task::JoinSet;

const AGENTS: u64 = 100;
const SECONDS: u64 = 1000;
/// Messages an agent has unacknowledged: what the hub's listener allows.
const UNDER_WAY: usize = 32;
const EPOCH: Epoch = Epoch(0x1265_7000_0000_0001);
const TOGETHER: usize = 1000;

pub fn run(dir: &Path, clock: &Clock, figures: &mut Figures) -> Result<()> {
    std::fs::create_dir_all(dir)?;
    let signal = Signal::new(SECONDS.min(60));
    let crowd: Vec<(AgentId, Vec<(Lane, Bytes)>)> = (0..AGENTS)
        .map(|agent| Ok((name(agent)?, messages(&signal, agent, clock))))
        .collect::<Result<_>>()?;
    let rows: Vec<Vec<u8>> =
        crowd.iter().flat_map(|(_, said)| said).map(|(_, bytes)| bytes.to_vec()).collect();
    let appended = floor::append(clock, &dir.join("floor.db"), &rows, TOGETHER)?;
    let bytes: usize = rows.iter().map(Vec::len).sum();
    drop(rows);

    // Everything of the hub but its writer in one thread, as much of it as there is of one agent.
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let look = || Usage::of(std::process::id(), clock.now().mono);
    let before = look()?;
    runtime.block_on(take(dir.join("hub.db"), clock, crowd))?;
    let spent = look()?.spent_since(&before);
    std::fs::remove_dir_all(dir)?;

    let count = (AGENTS * SECONDS * 2) as f64;
    let raw = "the same rows, SQLite alone";
    let rate = count / spent.cpu_s;
    figures.beside("hub-durable-messages-per-second", rate, "1/cpu-s", raw, appended.rows_per_cpu_second);
    figures.beside(
        "hub-durable-messages-elapsed",
        count / spent.seconds,
        "1/s",
        raw,
        appended.rows_per_second,
    );
    let written = spent.written_bytes / bytes as f64;
    figures.beside("hub-bytes-written-per-byte-live", written, "", raw, appended.written_per_byte);
    Ok(())
}

/// Takes every message of every agent, all agents at once, until each is acknowledged.
async fn take(store: PathBuf, clock: &Clock, crowd: Vec<(AgentId, Vec<(Lane, Bytes)>)>) -> Result<()> {
    let (store, ended) = Store::start(&store, true)?;
    let (feed, mut items) = mpsc::channel(FEED);
    let rules = Rules { store: store.id().into(), accepts: Provenance::Simulated };
    let house = Arc::new(House::new(*clock, store, rules, feed));
    let unit = tokio::spawn(async move { while items.recv().await.is_some() {} });
    let mut agents = JoinSet::new();
    for (agent, said) in crowd {
        agents.spawn(converse(agent, said, house.clone()));
    }
    drop(house);
    while let Some(ended) = agents.join_next().await {
        ended??;
    }
    unit.await?;
    ended.wait().await;
    Ok(())
}

/// One agent: hello, then as many messages as may be under way, until the last is acknowledged.
async fn converse(agent: AgentId, said: Vec<(Lane, Bytes)>, house: Arc<House>) -> Result<()> {
    let mut conversation = Conversation::new(agent.clone(), Some("01".to_owned()), house);
    let mut acts = Vec::new();
    let payload = serde_json::to_vec(&hello(&agent))?.into();
    conversation.handle(Input::Message { what: Upstream::Hello, payload, receipt: None }, &mut acts).await;
    let welcome = conversation.answer().await.context("the store says nothing to a hello")?;
    conversation.answered(welcome, &mut acts).await;
    let (mut sent, mut taken) = (0, 0);
    while taken < said.len() {
        while sent < said.len() && sent - taken < UNDER_WAY {
            let (lane, payload) = said[sent].clone();
            let receipt = Some(Receipt(sent as u64));
            conversation
                .handle(Input::Message { what: Upstream::Live(lane), payload, receipt }, &mut acts)
                .await;
            sent += 1;
        }
        if let Some(answer) = conversation.answer().await {
            conversation.answered(answer, &mut acts).await;
        }
        for act in acts.drain(..) {
            match act {
                Act::Acknowledge(_) => taken += 1,
                Act::Send(..) => {}
                Act::Refuse(..) | Act::Close(_) => bail!("{agent}: {act:?}"),
            }
        }
    }
    conversation.end("it said everything").await;
    Ok(())
}

/// What an agent says: two blocks a second, each a message of its own.
fn messages(signal: &Signal, agent: u64, clock: &Clock) -> Vec<(Lane, Bytes)> {
    let mut encoder = Encoder::new();
    let mut said = Vec::new();
    let begin = clock.now();
    for second in 0..SECONDS {
        let now = begin.after(Duration::from_secs(second));
        for draft in signal.second(agent + second, now) {
            let header = Header {
                lane: draft.lane,
                epoch: EPOCH,
                seq: second,
                provenance: draft.provenance,
                boot: 1,
                mono: now.mono,
                wall: now.wall,
                span_us: draft.span_us,
            };
            let mut bytes = Vec::new();
            encoder.encode(&header, &draft.body, &mut bytes);
            said.push((draft.lane, bytes.into()));
        }
    }
    said
}

fn hello(agent: &AgentId) -> Hello {
    Hello {
        wire: WIRE_VERSION,
        agent: agent.as_str().to_owned(),
        software: "ingest".to_owned(),
        epoch: hex(EPOCH.0),
        predecessor: None,
        in_memory: false,
        boot: "00000001".to_owned(),
        provenance: upstream::Provenance::Simulated,
        wall_us: 0,
        first: LaneSeqs::default(),
        next: LaneSeqs::default(),
        confirmed: LaneSeqs::default(),
        confirmed_by: None,
    }
}

fn name(agent: u64) -> Result<AgentId> {
    AgentId::new(&format!("gw-{agent:03}")).context("it is within the grammar")
}
