//! The operator's command line.

mod agents;
mod check;
mod completeness;
mod enroll;
mod events;
mod limits;
mod quickstart;
mod serve;
mod stations;
mod users;

use crate::people::{self, Act};
use anyhow::Context as _;
use clap::{Parser, Subcommand};
use cotside_config::hub::{self, Hub};
use cotside_protocol::model::Wall;
use cotside_systemd::exit::Exit;
use rusqlite::{Connection, TransactionBehavior};
use std::fmt::Display;
use std::io::Write as _;
use std::net::Ipv4Addr;
use std::path::{Path, PathBuf};

#[derive(Debug, Parser)]
#[command(
    name = "central-hub",
    version,
    about = "Cotside's central hub: takes what the agents at the beds send, keeps it, shows the unit."
)]
pub struct Line {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Make a new hub in an empty folder: authority, certificates, configuration, store, administrator
    Quickstart(quickstart::Arguments),
    /// Run the hub
    Serve(File),
    /// Invite a gateway: prints a one-time token for one bed
    Enroll(enroll::Arguments),
    /// List the agents, or revoke one
    Agents(agents::Arguments),
    /// List the accounts, make one, change its password, or end it
    #[command(visible_alias = "user")]
    Users(users::Arguments),
    /// List the stations, approve a screen that asks to be one, or end one
    #[command(visible_alias = "station")]
    Stations(stations::Arguments),
    /// What the hub noticed about its agents, the newest last
    Events(events::Arguments),
    /// Is the record of a day complete, and what is missing why? Ends with 1 if a second is unexplained
    Completeness(completeness::Arguments),
    /// What the beds are to alarm at, the profiles, and whether a profile is sound
    Limits(limits::Arguments),
    /// Check the configuration, the certificates and the store, as a start would
    Check(File),
    /// Print an example configuration with every key explained
    Describe,
}

#[derive(Clone, Debug, clap::Args)]
struct File {
    /// The hub's configuration file
    #[arg(long, value_name = "FILE", default_value = "/etc/cotside/hub.toml")]
    config: PathBuf,
}

/// What went wrong, in words, and what the process returns.
#[derive(Debug)]
pub struct Failure {
    exit: Exit,
    words: String,
}

type Outcome<T = ()> = Result<T, Failure>;

/// Runs one command. What a person asked for goes to standard output, what went wrong to standard error.
pub fn run(line: Line) -> Exit {
    let outcome = match line.command {
        Command::Quickstart(arguments) => quickstart::run(&arguments),
        Command::Serve(file) => return serve::run(&file).unwrap_or_else(report),
        Command::Enroll(arguments) => enroll::run(&arguments),
        Command::Agents(arguments) => agents::run(&arguments),
        Command::Users(arguments) => users::run(&arguments),
        Command::Stations(arguments) => stations::run(&arguments),
        Command::Events(arguments) => events::run(&arguments),
        Command::Completeness(arguments) => completeness::run(&arguments),
        Command::Limits(arguments) => limits::run(&arguments),
        Command::Check(file) => check::run(&file),
        Command::Describe => say(&hub::describe()),
    };
    outcome.map_or_else(report, |()| Exit::Clean)
}

fn report(failure: Failure) -> Exit {
    // Nothing is left to do about a closed standard error.
    let _ = writeln!(std::io::stderr(), "central-hub: {}", failure.words);
    failure.exit
}

impl Failure {
    fn new(exit: Exit, words: impl Display) -> Self {
        Self { exit, words: format!("{words:#}") }
    }
}

/// Turns an error into a failure with this exit code.
fn as_exit<E: Display>(exit: Exit) -> impl FnOnce(E) -> Failure {
    move |error| Failure::new(exit, error)
}

/// A closed pipe (`central-hub agents | head`) is no failure.
fn say(text: &str) -> Outcome {
    let _ = std::io::stdout().write_all(text.as_bytes());
    Ok(())
}

impl File {
    fn read(&self) -> Outcome<Hub> {
        let file = &self.config;
        let text = std::fs::read_to_string(file)
            .with_context(|| format!("cannot read the configuration {}", file.display()))
            .map_err(as_exit(Exit::Config))?;
        let base = file.parent().unwrap_or(Path::new("."));
        hub::check(&file.display().to_string(), &text, base).map_err(|problems| {
            let lines: Vec<String> = problems.iter().map(ToString::to_string).collect();
            Failure::new(Exit::Config, format!("the configuration has problems:\n{}", lines.join("\n")))
        })
    }
}

/// A change by whoever types this, and its row in the audit: both or neither.
fn deed<T>(
    store: &Connection,
    now: Wall,
    what: &str,
    bed: Option<&str>,
    change: impl FnOnce(&Connection) -> rusqlite::Result<T>,
) -> Outcome<T> {
    let address = Ipv4Addr::LOCALHOST.into();
    let act = Act { at: now, who: format!("operator {}", whoever_types()), address };
    let both = || {
        let step = rusqlite::Transaction::new_unchecked(store, TransactionBehavior::Immediate)?;
        let outcome = change(&step)?;
        people::by_operator(&step, &act, what, bed)?;
        step.commit()?;
        Ok::<T, rusqlite::Error>(outcome)
    };
    both().map_err(as_exit(Exit::Io))
}

/// The name at the shell, the one before `sudo` if there is one; what cannot be a name is left out.
fn whoever_types() -> String {
    let named = ["SUDO_USER", "USER"].into_iter().find_map(|name| std::env::var(name).ok());
    let is_of_name = |letter: &char| letter.is_ascii_alphanumeric() || matches!(letter, '-' | '_' | '.');
    let name: String = named.unwrap_or_default().chars().filter(is_of_name).take(32).collect();
    if name.is_empty() { "unknown".to_owned() } else { name }
}

fn open_store(hub: &Hub) -> Outcome<Connection> {
    crate::store::open(&hub.store(), false).map_err(as_exit(Exit::Io))
}
