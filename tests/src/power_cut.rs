//! Power cuts: the gateways' disk, the hub's or both lose what was not synced while real processes write to them; then the ledger.

use crate::counting::{LINE_EVERY, Sent};
use crate::image::{Image, cut};
use crate::kill_nine::{READY_WITHIN, counting_bed, drain};
use crate::ledger::Ledger;
use anyhow::Result;
use cotside_simulators::newborn::Random;
use cotside_simulators::unit::{Plan, Unit};
use std::fs;
use std::os::unix::fs::FileExt as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

const BEDS: usize = 2;
const DISK_BYTES: u64 = 256 << 20;
/// What the tail of a torn log loses at most, or has overwritten.
const TORN_BYTES_MAX: u64 = 16 << 10;
/// One cut in so many takes the disk first, and the processes only a little later.
const LIMPING_ONE_IN: u64 = 4;
/// A cut may cost what one loss window holds, and the link's opening.
const MISSING_A_CUT: Duration = Duration::from_secs(2);
const READY_PATIENCE: Duration = Duration::from_secs(30);

pub struct Cuts {
    pub binaries: PathBuf,
    pub dir: PathBuf,
    pub seed: u64,
    pub cuts: u32,
    /// One cut in so many also tears the tail of the gateways' logs: bytes that were synced are gone or wrong. 0: none does.
    pub torn_one_in: u64,
}

#[derive(Debug, Default)]
pub struct Outcome {
    pub gateway_cuts: u32,
    pub hub_cuts: u32,
    pub torn: u32,
    /// Disks that were gone before their processes were: every write fails for a while.
    pub limped: u32,
    /// From exec to readiness, in seconds.
    pub ready_s: Vec<f64>,
    /// Missing lines that the time the agents were down does not explain; not counted where logs were torn.
    pub unexplained: u64,
    pub ledgers: Vec<(String, Ledger)>,
}

impl Outcome {
    /// Disks whose power was cut.
    pub fn cuts(&self) -> u32 {
        self.gateway_cuts + self.hub_cuts
    }

    pub fn lost(&self) -> usize {
        self.ledgers.iter().map(|(_, ledger)| ledger.lost.len()).sum()
    }

    pub fn ready_max_s(&self) -> f64 {
        self.ready_s.iter().copied().fold(0.0, f64::max)
    }

    pub fn is_balanced(&self) -> bool {
        self.unexplained == 0
            && self.ready_max_s() <= READY_WITHIN.as_secs_f64()
            && self.ledgers.iter().all(|(_, ledger)| ledger.is_balanced())
    }

    pub fn table(&self) -> String {
        let head = format!(
            "power cuts: {} (the gateways' disk {}, the hub's {}; {} before the processes); then torn logs {}; ready again {} times, at most {:.0} ms; missing without reason {}\n",
            self.cuts(),
            self.gateway_cuts,
            self.hub_cuts,
            self.limped,
            self.torn,
            self.ready_s.len(),
            self.ready_max_s() * 1000.0,
            self.unexplained
        );
        let lines = self.ledgers.iter().map(|(agent, ledger)| ledger.line(agent) + "\n");
        std::iter::once(head).chain(lines).collect()
    }
}

impl Cuts {
    pub async fn run(&self) -> Result<Outcome> {
        let gateways = Image::make(&self.dir.join("gateways"), DISK_BYTES).await?;
        let centre = Image::make(&self.dir.join("centre"), DISK_BYTES).await?;
        let unit_dir = self.dir.join("unit");
        move_to(&centre, &unit_dir.join("hub"), "hub")?;
        for bed in 1..=BEDS {
            move_to(&gateways, &unit_dir.join(format!("gw-{bed:02}/state")), &format!("gw-{bed:02}"))?;
        }
        let sent: Vec<Sent> = (0..BEDS).map(|_| Sent::default()).collect();
        let plan = Plan {
            binaries: self.binaries.clone(),
            dir: unit_dir,
            beds: sent.iter().enumerate().map(|(at, sent)| counting_bed(at, sent.clone())).collect(),
            http_port: None,
            broker: None,
            detours: Vec::new(),
        };
        let mut unit = Unit::start(&plan, |_| ()).await?;
        // The unit was set up long ago.
        centre.sync().await?;
        let mut random = Random::new(self.seed);
        let mut outcome = Outcome::default();
        let mut down = Duration::ZERO;
        while outcome.cuts() < self.cuts {
            pause(&mut random, 0.1, 2.0).await;
            let (at_gateways, at_hub) =
                [(true, false), (true, true), (false, true)][random.next() as usize % 3];
            let begin = unit.clock.now().mono;
            let disks = [at_gateways.then_some(&gateways), at_hub.then_some(&centre)];
            let disks: Vec<&Image> = disks.into_iter().flatten().collect();
            let agents = unit.agents.iter_mut().filter(|_| at_gateways);
            let mut struck: Vec<_> = agents.chain(at_hub.then_some(&mut unit.hub)).collect();
            let pids: Vec<u32> = struck.iter().filter_map(|process| process.pid()).collect();
            if random.once_in(LIMPING_ONE_IN) {
                outcome.limped += 1;
                cut(&disks, &[]).await?;
                pause(&mut random, 0.0, 2.0).await;
            } else {
                cut(&disks, &pids).await?;
            }
            for process in &mut struck {
                process.kill().await?;
            }
            for disk in disks {
                disk.remount("rw").await?;
            }
            outcome.gateway_cuts += u32::from(at_gateways);
            outcome.hub_cuts += u32::from(at_hub);
            if at_gateways && random.once_in(self.torn_one_in) {
                outcome.torn += 1;
                for bed in 1..=BEDS {
                    tear(&gateways.at.join(format!("gw-{bed:02}/log.db-wal")), &mut random)?;
                }
            }
            pause(&mut random, 0.0, 0.5).await;
            struck.iter_mut().try_for_each(|process| process.start())?;
            for process in &mut struck {
                outcome.ready_s.push(process.ready_within(READY_PATIENCE).await?.as_secs_f64());
            }
            if at_gateways {
                down += unit.clock.now().mono.since(begin) + MISSING_A_CUT;
            }
        }
        outcome.ledgers = drain(&unit, &sent).await?;
        if outcome.torn == 0 {
            let explained = (down.as_millis() / LINE_EVERY.as_millis()) as u64;
            let missing = outcome.ledgers.iter().map(|(_, ledger)| ledger.gaps.values().sum::<u64>());
            outcome.unexplained = missing.map(|missing| missing.saturating_sub(explained)).sum();
        }
        Ok(outcome)
    }
}

/// `place` lies on the disk from now on.
fn move_to(disk: &Image, place: &Path, name: &str) -> Result<()> {
    let target = disk.at.join(name);
    fs::create_dir_all(&target)?;
    fs::File::open(&target)?.sync_all()?;
    fs::create_dir_all(place.parent().unwrap_or(place))?;
    std::os::unix::fs::symlink(target, place)?;
    Ok(())
}

/// The last bytes that a log was given are cut off, or are not what was written.
fn tear(path: &Path, random: &mut Random) -> Result<()> {
    // A log that was just checkpointed has no tail.
    let Ok(bytes) = fs::read(path) else { return Ok(()) };
    // Behind what was written lie zeros, laid out for what will be.
    let end = bytes.iter().rposition(|byte| *byte != 0).map_or(0, |last| last as u64 + 1);
    let from = end.saturating_sub(random.next() % TORN_BYTES_MAX);
    let file = fs::OpenOptions::new().write(true).open(path)?;
    if random.once_in(2) {
        file.set_len(from)?;
    } else {
        let noise: Vec<u8> = (from..end).map(|_| random.next() as u8).collect();
        file.write_all_at(&noise, from)?;
    }
    Ok(())
}

async fn pause(random: &mut Random, from_s: f64, to_s: f64) {
    tokio::time::sleep(Duration::from_secs_f64(random.between(from_s, to_s))).await;
}
