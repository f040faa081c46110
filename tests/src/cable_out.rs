//! The cable between a gateway and its hub is pulled out and put back: a network namespace, whose link goes down without a word to anybody.

use crate::counting::Sent;
use crate::kill_nine::{READY_WITHIN, counting_bed, drain};
use crate::ledger::Ledger;
use crate::proxy::Proxy;
use anyhow::{Context, Result, bail};
use cotside_simulators::newborn::Random;
use cotside_simulators::process::{Process, output};
use cotside_simulators::unit::{Plan, Unit};
use serde_json::Value;
use std::net::Ipv4Addr;
use std::path::{Path, PathBuf};
use std::process::{Command, id};
use std::time::Duration;

/// Long enough that both ends take the other for dead.
const LONG_OUT: Duration = Duration::from_secs(12);
const SHORT_OUTS: u32 = 6;
const NOTICED_WITHIN: Duration = Duration::from_secs(30);
const LOOK_EVERY: Duration = Duration::from_millis(200);

/// A namespace with one wire to this one. Dropping it takes both away.
struct Wire {
    namespace: String,
    end: String,
    hub_side: Ipv4Addr,
}

impl Wire {
    async fn lay() -> Result<Self> {
        let number = id() % 0xffff;
        let [high, low] = [(number >> 8) as u8, number as u8 & 0xfc];
        let wire = Self {
            namespace: format!("cotside-{}", id()),
            end: format!("cot{}", id()),
            hub_side: Ipv4Addr::new(10, 231 ^ (high & 1), high, low | 1),
        };
        let (namespace, end) = (wire.namespace.as_str(), wire.end.as_str());
        let far = format!("{end}b");
        let near_address = format!("{}/30", wire.hub_side);
        let far_address = format!("{}/30", Ipv4Addr::from(u32::from(wire.hub_side) + 1));
        for words in [
            vec!["netns", "add", namespace],
            vec!["link", "add", end, "type", "veth", "peer", "name", &far, "netns", namespace],
            vec!["address", "add", &near_address, "dev", end],
            vec!["link", "set", end, "up"],
            vec!["-n", namespace, "address", "add", &far_address, "dev", &far],
            vec!["-n", namespace, "link", "set", "lo", "up"],
            vec!["-n", namespace, "link", "set", &far, "up"],
        ] {
            ip(&words).await?;
        }
        Ok(wire)
    }

    async fn pull_out(&self) -> Result<()> {
        ip(&["link", "set", &self.end, "down"]).await
    }

    async fn put_back(&self) -> Result<()> {
        ip(&["link", "set", &self.end, "up"]).await
    }

    fn at_far_end(&self, process: Process) -> Process {
        // `ip netns exec` would also copy every mount, and keep the disks of other tests from being unmounted.
        process.started_by(Path::new("nsenter"), &[&format!("--net=/run/netns/{}", self.namespace)])
    }
}

impl Drop for Wire {
    fn drop(&mut self) {
        for words in [["link", "delete", &self.end], ["netns", "delete", &self.namespace]] {
            let _ = Command::new("ip").args(words).output();
        }
    }
}

async fn ip(words: &[&str]) -> Result<()> {
    output(Path::new("ip"), words).await.map(|_| ())
}

/// Why this machine cannot do it.
pub async fn is_possible() -> Result<()> {
    Wire::lay().await.map(|_| ())
}

/// The words of the agent while the cable was out, and the ledger after it.
pub struct Outcome {
    pub words: String,
    pub outs: u32,
    pub ledgers: Vec<(String, Ledger)>,
}

/// One long stretch without the cable, in which the agent is killed and started; then short ones at random.
pub async fn run(binaries: &Path, dir: PathBuf, seed: u64) -> Result<Outcome> {
    let wire = Wire::lay().await?;
    let hub_side = Proxy::open(wire.hub_side, seed).await?;
    let sent = [Sent::default()];
    let plan = Plan {
        binaries: binaries.to_owned(),
        dir,
        beds: vec![counting_bed(0, sent[0].clone())],
        http_port: None,
        broker: None,
        detours: vec![hub_side.address],
    };
    let mut unit = Unit::start(&plan, |_| ()).await?;
    hub_side.lead_to(unit.mqtt);
    unit.agents[0].stop().await?;
    let agent = unit.agents.remove(0);
    unit.agents.push(wire.at_far_end(agent));
    unit.agents[0].start()?;
    unit.agents[0].ready_within(READY_WITHIN).await?;
    hub_words(&unit, binaries, true).await?;
    wire.pull_out().await?;
    let words = hub_words(&unit, binaries, false).await?;
    unit.agents[0].kill().await?;
    unit.agents[0].start()?;
    unit.agents[0].ready_within(READY_WITHIN).await?;
    tokio::time::sleep(LONG_OUT).await;
    wire.put_back().await?;
    hub_words(&unit, binaries, true).await?;
    let mut random = Random::new(seed);
    for _ in 0..SHORT_OUTS {
        tokio::time::sleep(Duration::from_secs_f64(random.between(0.0, 1.5))).await;
        wire.pull_out().await?;
        tokio::time::sleep(Duration::from_secs_f64(random.between(0.05, 2.0))).await;
        wire.put_back().await?;
    }
    let ledgers = drain(&unit, &sent).await?;
    Ok(Outcome { words, outs: 1 + SHORT_OUTS, ledgers })
}

/// Waits until the agent hears the hub, or does not any more; its words.
async fn hub_words(unit: &Unit, binaries: &Path, heard: bool) -> Result<String> {
    let config = unit.dir.join(unit.agents[0].name()).join("agent.toml");
    let deadline = unit.clock.now().mono + NOTICED_WITHIN;
    loop {
        let asked = ["status".as_ref(), "--json".as_ref(), "--config".as_ref(), config.as_os_str()];
        let said = output(&binaries.join("edge-agent"), asked).await?;
        let status: Value = serde_json::from_str(&said)?;
        let words = status["hub_detail"].as_str().context("status says nothing of the hub")?.to_owned();
        if status["hub_reachable"] == heard {
            return Ok(words);
        }
        if unit.clock.now().mono > deadline {
            bail!("the agent still says: {words}");
        }
        tokio::time::sleep(LOOK_EVERY).await;
    }
}
