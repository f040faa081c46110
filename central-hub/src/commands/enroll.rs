//! `central-hub enroll`: a one-time token for one gateway at one bed.

use super::{Failure, File, Outcome, as_exit, open_store, say};
use crate::agents::enrolment::Token;
use crate::authority::{Authority, HUB_NAME};
use crate::store::agents::{self, Invitation};
use cotside_config::hub::Hub;
use cotside_protocol::wire::topic::AgentId;
use cotside_systemd::clock::Clock;
use cotside_systemd::exit::Exit;
use std::time::Duration;

#[derive(Debug, clap::Args)]
pub(super) struct Arguments {
    #[command(flatten)]
    file: File,
    /// The bed the gateway will serve
    #[arg(long)]
    bed: String,
    /// The gateway's name, of a-z, 0-9 and - [default: gw- and the bed]
    #[arg(long, value_name = "NAME")]
    agent: Option<String>,
    /// How long the token is good
    #[arg(long, default_value_t = 15, value_parser = clap::value_parser!(u64).range(1..=60))]
    minutes: u64,
}

pub(super) fn run(arguments: &Arguments) -> Outcome {
    let hub = arguments.file.read()?;
    if !hub.unit.beds.contains(&arguments.bed) {
        let words =
            format!("there is no bed {:?} in this unit: it has {}", arguments.bed, hub.unit.beds.join(", "));
        return Err(Failure::new(Exit::Usage, words));
    }
    let agent = name(arguments, &hub)?;
    let store = open_store(&hub)?;
    let address = format!("{}:{}", hub.agents.name, hub.agents.enrolment.port());
    let token = Token::draw(&address, &Authority::at(&hub.data_dir)).map_err(as_exit(Exit::Config))?;
    let invitation = Invitation { agent: agent.clone(), bed: arguments.bed.clone() };
    let valid = Duration::from_secs(60 * arguments.minutes);
    agents::invite(&store, &token.hash, &invitation, Clock::start().now().wall, valid)
        .map_err(as_exit(Exit::Io))?;
    say(&format!(
        "{text}

Run on the gateway of bed {bed} within {minutes} minutes, once:

  edge-agent enroll --config /etc/cotside/agent.toml --token {text}

The hub will call it {agent}.
",
        text = token.text,
        bed = arguments.bed,
        minutes = arguments.minutes,
    ))
}

fn name(arguments: &Arguments, hub: &Hub) -> Outcome<AgentId> {
    let text = match &arguments.agent {
        Some(name) => name.clone(),
        None => format!("gw-{}", arguments.bed.to_lowercase().replace('.', "-")),
    };
    let taken = text == HUB_NAME || text == hub.unit.id;
    AgentId::new(&text).filter(|_| !taken).ok_or_else(|| {
        Failure::new(
            Exit::Usage,
            format!("{text:?} cannot be a gateway's name: use a-z, 0-9 and -, at most 32"),
        )
    })
}
