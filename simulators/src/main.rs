//! The command line of the simulators.

#![expect(clippy::print_stdout, reason = "a command line prints")]

use anyhow::{Context, Result};
use clap::{Parser, Subcommand};
use cotside_protocol::device::PeerOptions;
use cotside_protocol::devices;
use cotside_simulators::cable::{Cable, Faults};
use cotside_simulators::demo;
use cotside_simulators::newborn::Newborn;
use cotside_simulators::run::{Device, Place};
use cotside_systemd::clock::Clock;
use cotside_systemd::exit::Exit;
use cotside_systemd::stages::Stages;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

/// Simulated babies and bedside devices. Never for a clinical unit: what they send is marked simulated for ever.
#[derive(Parser)]
#[command(version)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// A live unit of eight beds in the browser: real agents, MQTT over TLS, a durable hub
    Demo {
        /// End by itself after so many seconds
        #[arg(long)]
        seconds: Option<u64>,
    },
    /// One simulated device on a pseudo-terminal or socket
    Device {
        /// The driver it speaks
        #[arg(value_parser = clap::builder::PossibleValuesParser::new(devices::PEERS.iter().map(|peer| peer.name)))]
        driver: String,
        /// A pseudo-terminal, linked from this path
        #[arg(long, conflicts_with_all = ["udp", "connect"], required_unless_present_any = ["udp", "connect"])]
        pty: Option<PathBuf>,
        /// Answer datagrams on this address
        #[arg(long, conflicts_with = "connect")]
        udp: Option<SocketAddr>,
        /// Call the agent at this address
        #[arg(long)]
        connect: Option<SocketAddr>,
        /// The same seed is the same baby
        #[arg(long, default_value_t = 1)]
        seed: u64,
        /// Lose one byte in so many
        #[arg(long, default_value_t = 0)]
        lose: u64,
        /// Flip a bit of one byte in so many
        #[arg(long, default_value_t = 0)]
        flip: u64,
    },
}

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    cotside_systemd::logging::start();
    match run(arguments.command) {
        Ok(()) => Exit::Clean.into(),
        Err(error) => {
            println!("\nsimulators: {error:#}");
            Exit::Unavailable.into()
        }
    }
}

fn run(command: Command) -> Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async {
        match command {
            Command::Demo { seconds } => demo::run(seconds).await,
            Command::Device { driver, pty, udp, connect, seed, lose, flip } => {
                let place = match (pty, udp, connect) {
                    (Some(path), ..) => Place::Pty(path),
                    (_, Some(address), _) => Place::Udp(address),
                    (.., Some(address)) => Place::TcpTo(address),
                    (None, None, None) => unreachable!("clap requires one of them"),
                };
                let faults = Faults { lose_one_in: lose, flip_one_in: flip, ..Faults::default() };
                device(&driver, place, seed, faults).await
            }
        }
    })
}

async fn device(driver: &str, place: Place, seed: u64, faults: Faults) -> Result<()> {
    let clock = Clock::start();
    let kind = devices::peer(driver).context("clap checked the name")?;
    let peer = (kind.open)(&PeerOptions {
        seed,
        serial: format!("SIM{seed:07}"),
        bed_label: "SIM".into(),
        datagram: matches!(place, Place::Udp(_)),
    });
    let body = Newborn::new(seed, clock.now().mono, Vec::new());
    println!("simulated {driver} on {place:?}; Ctrl-C ends it");
    let device = Device { peer, body, cable: Cable::new(seed, faults), clock };
    let mut stages = Stages::new();
    stages.start("device", Duration::from_secs(2), |stop| device.run(place, stop));
    stages.wait().await?;
    stages.stop().await;
    Ok(())
}
