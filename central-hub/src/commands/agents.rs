//! `central-hub agents`: who is registered, and how one loses its place.

use super::{Failure, File, Outcome, as_exit, deed, open_store, say};
use crate::store::agents::{self, Agent};
use crate::store::marks::{self, Mark};
use cotside_protocol::model::Wall;
use cotside_protocol::wire::topic::AgentId;
use cotside_systemd::clock::Clock;
use cotside_systemd::exit::Exit;
use std::fmt::Write as _;

/// A running hub notes who is connected every ten seconds.
const CONNECTED_WITHIN_S: i64 = 25;

#[derive(Debug, clap::Args)]
#[command(args_conflicts_with_subcommands = true)]
pub(super) struct Arguments {
    #[command(flatten)]
    file: File,
    #[command(subcommand)]
    action: Option<Action>,
}

#[derive(Debug, clap::Subcommand)]
enum Action {
    /// End an agent's connection and refuse it from now on; a new token brings it back
    Revoke {
        agent: String,
        #[command(flatten)]
        file: File,
    },
    /// End the alarm about an agent once somebody has found out what it was
    Settle {
        agent: String,
        /// What it was, for the record: "second gateway taken away"
        #[arg(long)]
        found: String,
        #[command(flatten)]
        file: File,
    },
    /// Let an agent serve another bed from now on
    Assign {
        agent: String,
        #[arg(long)]
        bed: String,
        #[command(flatten)]
        file: File,
    },
}

pub(super) fn run(arguments: &Arguments) -> Outcome {
    let now = Clock::start().now().wall;
    match &arguments.action {
        None => {
            let store = open_store(&arguments.file.read()?)?;
            let agents = agents::all(&store).map_err(as_exit(Exit::Io))?;
            let marks = marks::all(&store).map_err(as_exit(Exit::Io))?;
            say(&(table(&agents, now) + &waiting(&marks)))
        }
        Some(Action::Revoke { agent, file }) => {
            let store = open_store(&file.read()?)?;
            let id = known(&store, agent)?;
            let revoked =
                deed(&store, now, &format!("revoke {id}"), None, |store| agents::revoke(store, &id, now))?;
            say(&if revoked {
                format!("{id} is revoked. A connection it has is cut within a second.\n")
            } else {
                format!("{id} was revoked before.\n")
            })
        }
        Some(Action::Settle { agent, found, file }) => {
            let store = open_store(&file.read()?)?;
            let id = known(&store, agent)?;
            let waiting = marks::all(&store).map_err(as_exit(Exit::Io))?;
            let of_it: Vec<&str> = waiting
                .iter()
                .filter(|mark| mark.agent == id.as_str())
                .map(|mark| mark.what.as_str())
                .collect();
            if of_it.is_empty() {
                return say(&format!("Nothing about {id} waits to be settled.\n"));
            }
            let what = format!("settle {id}: {}", of_it.join(", "));
            deed(&store, now, &what, None, |store| marks::settle(store, &id, found, now))?;
            say(&format!("Settled: the alarm at the bed of {id} ends within a second.\n"))
        }
        Some(Action::Assign { agent, bed, file }) => {
            let hub = file.read()?;
            if !hub.unit.beds.contains(bed) {
                return Err(Failure::new(Exit::Usage, format!("there is no bed {bed:?} in this unit")));
            }
            let store = open_store(&hub)?;
            let id = known(&store, agent)?;
            let what = format!("assign {id}");
            deed(&store, now, &what, Some(bed), |store| agents::assign(store, &id, bed, now))?;
            say(&format!("{id} serves bed {bed} from now on.\n"))
        }
    }
}

fn known(store: &rusqlite::Connection, name: &str) -> Outcome<AgentId> {
    let agents = agents::all(store).map_err(as_exit(Exit::Io))?;
    let found = agents.into_iter().find(|agent| agent.id.as_str() == name);
    found
        .map(|agent| agent.id)
        .ok_or_else(|| Failure::new(Exit::Usage, format!("there is no agent {name:?}")))
}

/// What about the agents waits for a person, what that person should do, and how it ends.
fn waiting(marks: &[Mark]) -> String {
    let mut out = String::new();
    for Mark { agent, what, since, detail } in marks {
        // Writing to a String cannot fail.
        let _ = writeln!(out, "\n{agent}: {what} since {since}: {detail}");
        for line in advice(what, agent) {
            let _ = writeln!(out, "  {line}");
        }
        let _ = writeln!(out, "  Then end the alarm at its bed, with a word on what it was:");
        let _ = writeln!(out, "    central-hub agents settle {agent} --found {:?}", example(what));
    }
    out
}

fn advice(what: &str, agent: &str) -> Vec<String> {
    match what {
        "identity-conflict" => vec![
            "Two histories of one gateway. Nothing was mixed or lost: each is kept under its own epochs.".to_owned(),
            "Look for a second gateway with a copy of its card, and take it away; for an older image that was put back;".to_owned(),
            "or for a card that forgets what it wrote (replace it).".to_owned(),
            format!("If in doubt: `central-hub agents revoke {agent}`, and enrol the right one anew."),
        ],
        "store-set-back" => vec![
            "This hub lacks what it had confirmed: an older copy of its file was put back.".to_owned(),
            "The gateway has sent again what it still held; the rest is in the record as store-lost.".to_owned(),
            "If there is a newer copy of the file, stop the hub and put that one back.".to_owned(),
        ],
        _ => Vec::new(),
    }
}

fn example(what: &str) -> &'static str {
    match what {
        "identity-conflict" => "second gateway taken away",
        "store-set-back" => "backup of this morning put back",
        _ => "what it was",
    }
}

fn table(agents: &[Agent], now: Wall) -> String {
    if agents.is_empty() {
        return "No agent yet: `central-hub enroll --bed 01` invites one.\n".to_owned();
    }
    let mut out = format!("{:<20} {:<8} {:<12} last heard\n", "agent", "bed", "state");
    for agent in agents {
        let heard_s = agent.heard.map(|at| (now.0 - at.0) / 1_000_000);
        let state = match agent {
            Agent { revoked: Some(_), .. } => "revoked",
            Agent { enrolled: None, .. } => "invited",
            _ if heard_s.is_some_and(|seconds| seconds < CONNECTED_WITHIN_S) => "connected",
            _ => "away",
        };
        let heard = agent.heard.map_or_else(|| "never".to_owned(), |at| at.to_string());
        let bed = agent.bed.as_deref().unwrap_or("-");
        // Writing to a String cannot fail.
        let _ = writeln!(out, "{:<20} {bed:<8} {state:<12} {heard}", agent.id.as_str());
    }
    out
}
