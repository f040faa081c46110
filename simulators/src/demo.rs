//! The demo: eight beds with mixed devices on real lines, real agents, one hub, alive in the browser.

#![expect(clippy::print_stdout, reason = "the demo talks to the person who started it")]

use crate::cable::Faults;
use crate::newborn::{Episode, What};
use crate::process::{Process, output};
use crate::unit::{Baby, BedPlan, DevicePlan, On, Plan, Unit};
use anyhow::{Context, Result, ensure};
use std::path::{Path, PathBuf};
use std::time::Duration;

/// Where the console is, unless something else is there already.
const HTTP_PORT: u16 = 8480;

const NURSE: &str = "nurse";

/// `RestartSec` of the agent's unit file.
const RESTART_AFTER: Duration = Duration::from_secs(1);

/// What an agent of the demonstration watches by until the hub has sent it the limits of the baby that lies there, and whenever it has
/// lost them.
const LIMITS: &str = r#"
[[limit]]
parameter = "HR"
low = 80
high = 220
delay = "0s"
hysteresis = 2
priority = "high"
extreme = true

[[limit]]
parameter = "SpO2"
low = 80
delay = "10s"
hysteresis = 1
priority = "high"
extreme = true

[[limit]]
parameter = "RR"
low = 20
high = 80
delay = "15s"

[apnoea]

[combined]
"#;

/// Runs until SIGINT or SIGTERM, or for `seconds`.
pub async fn run(seconds: Option<u64>) -> Result<()> {
    let binaries = std::env::current_exe()?.parent().context("a binary lies in a folder")?.to_owned();
    let dir = std::env::temp_dir().join(format!("cotside-demo-{}", std::process::id()));
    let plan = Plan {
        binaries,
        dir,
        beds: beds(),
        http_port: free_or_any(HTTP_PORT),
        broker: None,
        detours: Vec::new(),
    };
    println!("Cotside demo: eight beds, simulated babies, real bytes on real lines.\n");
    let mut unit = Unit::start(&plan, |step| println!("  {step}")).await?;
    let (address, username, password) = (unit.http, unit.username.clone(), unit.password.clone());
    let (hub, config) = (plan.binaries.join("central-hub"), unit.dir.join("hub/hub.toml"));
    let nurse = nurse(&hub, &config).await?;
    println!("\n  The unit is live:  http://{address}/\n");
    println!("    username  {username}\n    password  {password}\n");
    println!("  Who answers alarms:\n\n    username  {NURSE}\n    password  {nurse}\n");
    println!(
        "  No bed counts as watched until a screen is a station. Open http://localhost:{}/?pair and type",
        address.port()
    );
    println!(
        "    {} stations approve CODE --name \"Central 1\" --all-beds --config {}\n",
        hub.display(),
        config.display()
    );
    println!("  MQTT over TLS on {}. Logs and stores in {}", unit.mqtt, unit.dir.display());
    println!("  What an agent believes: {}\n", status_hint(&unit));
    match seconds {
        Some(seconds) => println!("  Ends by itself after {seconds} s."),
        None => println!("  Ctrl-C ends it."),
    }
    let ended = {
        let over = tokio::time::sleep(Duration::from_secs(seconds.unwrap_or(u64::MAX >> 24)));
        let end = unit.devices.wait();
        tokio::pin!(over, end);
        let mut look = tokio::time::interval(RESTART_AFTER);
        loop {
            tokio::select! {
                why = &mut end => break why?,
                () = &mut over => break "time is over",
                _ = look.tick() => restart(&mut unit.agents)?,
            }
        }
    };
    println!("\nStopping ({ended})");
    let dir = unit.dir.clone();
    let mut processes = vec![&mut unit.hub];
    processes.extend(&mut unit.agents);
    for process in processes {
        ensure!(process.is_running(), "{} had ended by itself:\n{}", process.name(), process.last_words());
    }
    let clean = unit.stop().await?;
    ensure!(clean, "not every process stopped cleanly; logs in {}", dir.display());
    std::fs::remove_dir_all(&dir)?;
    println!("Stopped cleanly.");
    Ok(())
}

/// An account that may answer alarms; the administrator may not. Its password.
async fn nurse(hub: &Path, config: &Path) -> Result<String> {
    let config = config.to_string_lossy();
    let said = output(hub, ["users", "add", NURSE, "--role", "nurse", "--config", &config]).await?;
    let password = said.lines().find_map(|line| line.strip_prefix("password"));
    Ok(password.context("the hub printed no password")?.trim().to_owned())
}

/// What systemd does for an agent at a bed (`Restart=always`): kill one, and see the hole in the record with its cause.
fn restart(agents: &mut [Process]) -> Result<()> {
    for agent in agents.iter_mut().filter_map(|agent| (!agent.is_running()).then_some(agent)) {
        println!("  {} ended and is started again", agent.name());
        agent.start()?;
    }
    Ok(())
}

fn status_hint(unit: &Unit) -> String {
    let binary = std::env::current_exe().ok().and_then(|exe| Some(exe.parent()?.join("edge-agent")));
    let binary = binary.unwrap_or_else(|| PathBuf::from("edge-agent"));
    format!("{} status --config {}/gw-01/agent.toml", binary.display(), unit.dir.display())
}

fn free_or_any(port: u16) -> Option<u16> {
    std::net::TcpListener::bind(("127.0.0.1", port)).is_ok().then_some(port)
}

const MONITOR: DevicePlan = device("monitor", "intellivue", On::Serial);
const MONITOR_LAN: DevicePlan = device("monitor", "intellivue", On::Udp);
const OXIMETER: DevicePlan = device("oximeter", "masimo", On::Serial);
const GATEWAY: DevicePlan = device("gateway", "hl7", On::Tcp);

const fn device(name: &'static str, driver: &'static str, on: On) -> DevicePlan {
    DevicePlan { name, driver, on, faults: no_faults(), peer: None }
}

const fn no_faults() -> Faults {
    Faults {
        lose_one_in: 0,
        flip_one_in: 0,
        cut_one_in: 0,
        unplug_every: None,
        unplugged_for: Duration::ZERO,
    }
}

/// Eight beds: serial and network monitors, oximeters, HL7 gateways; one bad cable, one that comes unplugged, four stories.
pub fn beds() -> Vec<BedPlan> {
    let noisy = Faults { lose_one_in: 4000, flip_one_in: 4000, ..no_faults() };
    let loose = Faults {
        unplug_every: Some(Duration::from_secs(75)),
        unplugged_for: Duration::from_secs(25),
        ..no_faults()
    };
    let often = |what, first: u32, every: u32, length_s: f64| {
        let begins = (0..40u32).map(move |n| f64::from(first + n * every));
        begins.map(move |begin_s| Episode { begin_s, length_s, what }).collect::<Vec<_>>()
    };
    let baby = |name, gestation, day_of_life, weight_g, oxygen| {
        Some(Baby { name, gestation, day_of_life, weight_g, oxygen })
    };
    let (air, oxygen) = ("room-air", "supplemental");
    let plan = |number: u64, baby, devices: &[DevicePlan], script| BedPlan {
        bed: format!("{number:02}"),
        baby,
        seed: 1000 + number * 77,
        script,
        devices: devices.to_vec(),
        limits: LIMITS.to_owned(),
    };
    vec![
        plan(1, baby("Thompson", (32, 4), 8, 1820, air), &[MONITOR], vec![]),
        plan(
            2,
            baby("Okafor A", (26, 1), 21, 940, oxygen),
            &[MONITOR_LAN, OXIMETER],
            often(What::Apnoea, 25, 150, 26.0),
        ),
        plan(3, baby("Okafor B", (26, 1), 21, 1020, oxygen), &[MONITOR_LAN], vec![]),
        plan(
            4,
            baby("Lindqvist", (29, 6), 3, 1310, air),
            &[MONITOR],
            often(What::Tachycardia, 40, 240, 45.0),
        ),
        plan(5, baby("Haddad", (34, 0), 2, 2100, air), &[DevicePlan { faults: noisy, ..MONITOR }], vec![]),
        plan(
            6,
            baby("Moreau", (24, 5), 40, 1110, oxygen),
            &[GATEWAY, OXIMETER],
            often(What::Desaturation, 60, 200, 30.0),
        ),
        plan(7, baby("Sato", (31, 2), 11, 1550, air), &[MONITOR_LAN, GATEWAY], vec![]),
        plan(8, baby("Novak", (33, 3), 5, 1940, air), &[DevicePlan { faults: loose, ..MONITOR }], vec![]),
    ]
}
