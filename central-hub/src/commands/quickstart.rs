//! `central-hub quickstart DIR`: everything a new hub needs, and what to do next.

use super::{Failure, Outcome, as_exit, say};
use crate::agents::broker::{MOSQUITTO_ACL, mosquitto_conf};
use crate::agents::enrolment::base64url;
use crate::authority::{Authority, random, write_new};
use crate::people::{self, Role};
use crate::store;
use anyhow::{Context, Result};
use cotside_config::hub;
use cotside_systemd::clock::Clock;
use cotside_systemd::exit::Exit;
use std::path::{Path, PathBuf};

#[derive(Debug, clap::Args)]
pub(super) struct Arguments {
    /// An empty or new folder for configuration, keys and store
    dir: PathBuf,
    /// A host name or address by which agents and browsers reach this hub; the first is the one they are told
    #[arg(long = "name", value_name = "HOST")]
    names: Vec<String>,
}

pub(super) fn run(arguments: &Arguments) -> Outcome {
    let dir = &arguments.dir;
    std::fs::create_dir_all(dir)
        .with_context(|| format!("cannot make {}", dir.display()))
        .map_err(as_exit(Exit::Io))?;
    let config = dir.join("hub.toml");
    if config.exists() {
        return Err(Failure::new(Exit::Usage, format!("there is a hub already: {}", config.display())));
    }
    let password = build(arguments, &config).map_err(as_exit(Exit::Io))?;
    say(&next_steps(dir, &config, &password))
}

fn build(arguments: &Arguments, config: &Path) -> Result<String> {
    let now = Clock::start().now();
    let dir = std::path::absolute(&arguments.dir)?;
    let mut names = arguments.names.clone();
    for own in ["localhost", "127.0.0.1", "::1"] {
        if !names.iter().any(|name| name == own) {
            names.push(own.to_owned());
        }
    }
    let authority = Authority::at(&dir);
    authority.found(&names, now.wall)?;
    let store = store::open(&dir.join("hub.db"), true)?;
    let password = new_password()?;
    people::create_user(&store, "admin", Role::Admin, &password, now.wall)?;
    let text = hub::describe().replacen("# name = \"localhost\"", &format!("name = {:?}", names[0]), 1);
    let agents = std::fs::read_to_string(dir.join("agents.pem"))?;
    write_new(&dir.join("trusted.pem"), &(authority.authority_pem()? + &agents), 0o644)?;
    write_new(&dir.join("mosquitto.conf.example"), &mosquitto_conf(&dir, "8883"), 0o644)?;
    write_new(&dir.join("mosquitto.acl"), MOSQUITTO_ACL, 0o644)?;
    // Last: a hub with this file is whole.
    write_new(config, &text, 0o644)?;
    Ok(password)
}

/// 96 random bits, as text.
pub(super) fn new_password() -> Result<String> {
    Ok(base64url(&random::<12>()?))
}

fn next_steps(dir: &Path, config: &Path, password: &str) -> String {
    let (dir, config) = (dir.display(), config.display());
    format!(
        "The hub is made in {dir}. Its keys are readable by you only; back them up, and keep them here.

  username  admin
  password  {password}

Next:
  1. Set the beds in {config}, then:  central-hub check --config {config}
  2. Start it:                        central-hub serve --config {config}
  3. For each gateway:                central-hub enroll --config {config} --bed 01
  4. Open the console and log in. Trust {dir}/authority.pem in the browser.
"
    )
}
