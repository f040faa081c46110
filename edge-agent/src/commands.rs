//! The command line: what each command does stands in its own file, what it is called and how it fails stands here.

mod check;
mod decode;
mod enroll;
mod metrics;
mod run;
mod status;
mod tap;

use anyhow::anyhow;
use clap::{Parser, Subcommand};
use cotside_config::agent::{self, Agent};
use cotside_systemd::exit::Exit;
use std::io;
use std::path::{Path, PathBuf};

/// Reads the devices of one bed, checks alarms on the spot, stores everything and forwards it to the hub.
///
/// Cotside supplements the alarms of the bedside devices and does not replace them. Where a device and Cotside disagree, the
/// device is right.
#[derive(Debug, Parser)]
#[command(name = "edge-agent", version, arg_required_else_help = true)]
pub struct Arguments {
    #[command(subcommand)]
    pub command: Command,
}

#[derive(Debug, Subcommand)]
pub enum Command {
    /// Run the agent (what the systemd unit starts).
    Run {
        #[command(flatten)]
        config: ConfigFile,
    },
    /// Check a configuration exactly as a start would, and print every problem with its place.
    Check {
        #[command(flatten)]
        config: ConfigFile,
    },
    /// Print a commented example configuration with every key and every driver.
    Describe,
    /// Ask the running agent: links, last values, alarms, outbox, hub.
    Status {
        #[command(flatten)]
        config: ConfigFile,
        /// The snapshot as JSON, for scripts.
        #[arg(long, conflicts_with = "metrics")]
        json: bool,
        /// Counters in Prometheus' text format, for node_exporter's textfile collector.
        #[arg(long)]
        metrics: bool,
    },
    /// Get this gateway's identity from the hub, with the one-time token that the operator gave out.
    Enroll {
        /// The token, as `central-hub enroll` printed it.
        #[arg(long)]
        token: String,
        /// Another way to the hub's enrolment than the token names, HOST:PORT.
        #[arg(long, value_name = "HOST:PORT")]
        hub: Option<String>,
        #[command(flatten)]
        config: ConfigFile,
    },
    /// Decode recorded bytes or a capture (.cap): one JSON line an event, then the account of every byte.
    Decode {
        /// The driver that understands the bytes, as `describe` lists them.
        driver: String,
        /// A file of raw bytes, or a capture (.cap), which carries its own times and settings.
        file: PathBuf,
        /// A driver setting, NAME=VALUE; may be given several times.
        #[arg(long = "set", value_name = "NAME=VALUE")]
        settings: Vec<String>,
    },
    /// Write what crosses a link's wire to a capture file, while the agent runs. May hold patient data.
    Tap {
        /// The link's name.
        link: String,
        /// The capture to write; must not exist.
        file: PathBuf,
        /// Stop after this long; otherwise at Ctrl-C.
        #[arg(long)]
        seconds: Option<u64>,
        #[command(flatten)]
        config: ConfigFile,
    },
}

#[derive(Debug, clap::Args)]
pub struct ConfigFile {
    /// The agent's configuration.
    #[arg(long, short, value_name = "FILE", default_value = "/etc/cotside/agent.toml")]
    pub config: PathBuf,
}

/// A command that did not do what it was asked: the exit code, and words that say what happened, where, and what next.
#[derive(Debug)]
pub struct Failed {
    pub exit: Exit,
    pub why: anyhow::Error,
}

impl Failed {
    fn new(exit: Exit, why: impl Into<anyhow::Error>) -> Self {
        Self { exit, why: why.into() }
    }
}

pub fn execute(command: Command) -> Result<Exit, Failed> {
    match command {
        Command::Run { config } => run::run(&config.config),
        Command::Check { config } => check::check(&config.config),
        Command::Describe => print(&agent::describe()),
        Command::Status { config, json, metrics } => {
            let form = match (json, metrics) {
                (true, _) => status::Form::Json,
                (_, true) => status::Form::Metrics,
                _ => status::Form::Table,
            };
            status::status(&config.config, form)
        }
        Command::Enroll { token, hub, config } => enroll::enroll(&config.config, &token, hub.as_deref()),
        Command::Decode { driver, file, settings } => decode::decode(&driver, &file, &settings),
        Command::Tap { link, file, seconds, config } => tap::tap(&config.config, &link, &file, seconds),
    }
}

/// Reads and checks the configuration; every problem goes into the message.
fn load(path: &Path) -> Result<Agent, Failed> {
    let file = path.display().to_string();
    let text = std::fs::read_to_string(path).map_err(|error| {
        let next = "print an example with: edge-agent describe";
        Failed::new(Exit::Config, anyhow!("cannot read the configuration {file}: {error}; {next}"))
    })?;
    agent::check(&file, &text).map_err(|problems| {
        let list: String = problems.iter().map(|problem| format!("\n  {problem}")).collect();
        let count = problems.len();
        let word = if count == 1 { "problem" } else { "problems" };
        Failed::new(Exit::Config, anyhow!("the configuration has {count} {word}:{list}"))
    })
}

/// Writes an answer to standard output. A reader that left (`| head`) is no failure.
fn print(text: &str) -> Result<Exit, Failed> {
    use io::Write as _;
    match io::stdout().lock().write_all(text.as_bytes()) {
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => Err(Failed::new(Exit::Io, error)),
        _ => Ok(Exit::Clean),
    }
}

/// One thread does everything: the agent's work is waiting.
fn runtime() -> Result<tokio::runtime::Runtime, Failed> {
    let built = tokio::runtime::Builder::new_current_thread().enable_all().build();
    built.map_err(|error| Failed::new(Exit::Unavailable, anyhow!("cannot start the runtime: {error}")))
}
