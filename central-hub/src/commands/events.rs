//! `central-hub events`: refused connections, identity conflicts, foreign data, enrolments and revocations.

use super::{File, Outcome, as_exit, open_store, say};
use crate::store::events;
use cotside_systemd::exit::Exit;
use std::fmt::Write as _;

#[derive(Debug, clap::Args)]
pub(super) struct Arguments {
    #[command(flatten)]
    file: File,
    /// How many
    #[arg(long, default_value_t = 50)]
    count: u32,
}

pub(super) fn run(arguments: &Arguments) -> Outcome {
    let store = open_store(&arguments.file.read()?)?;
    let mut events = events::newest(&store, arguments.count).map_err(as_exit(Exit::Io))?;
    events.reverse();
    let mut out = String::new();
    for event in events {
        let agent = event.agent.as_deref().unwrap_or("-");
        // Writing to a String cannot fail.
        let _ = writeln!(out, "{}  {agent:<20} {:<20} {}", event.at, event.what, event.detail);
    }
    say(&out)
}
