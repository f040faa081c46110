//! `central-hub limits`: what a bed is to alarm at and who wanted it, which profiles there are, and whether a file is one.

use super::{Failure, File, Outcome, as_exit, open_store, say};
use crate::limits::profiles::Profiles;
use crate::limits::run::files_of;
use crate::store::limits::{self, Issue};
use anyhow::Context as _;
use cotside_config::profile::{self, Profile};
use cotside_protocol::model::{Code, Envelope, parameter};
use cotside_protocol::wire::downstream::{Limit, Side};
use cotside_systemd::exit::Exit;
use std::fmt::Write as _;
use std::path::PathBuf;

/// Earlier versions shown under the newest.
const EARLIER: usize = 20;

#[derive(Debug, clap::Args)]
pub(super) struct Arguments {
    #[command(subcommand)]
    action: Action,
}

#[derive(Debug, clap::Subcommand)]
enum Action {
    /// The set that a bed is to have, and the versions before it
    Show {
        #[arg(long)]
        bed: String,
        #[command(flatten)]
        file: File,
    },
    /// The profiles that this hub knows, shipped and the site's own
    Profiles {
        #[command(flatten)]
        file: File,
    },
    /// Whether a profile gives every newborn one set that may be in force
    Check {
        profile: PathBuf,
        /// The hub's configuration file, for the site's bounds and the profiles that this one may be based on
        #[arg(long, value_name = "FILE")]
        config: Option<PathBuf>,
    },
}

pub(super) fn run(arguments: &Arguments) -> Outcome {
    match &arguments.action {
        Action::Show { bed, file } => {
            let hub = file.read()?;
            if !hub.unit.beds.contains(bed) {
                return Err(Failure::new(Exit::Usage, format!("there is no bed {bed:?} in this unit")));
            }
            let history = limits::history(&open_store(&hub)?, bed, EARLIER).map_err(as_exit(Exit::Io))?;
            say(&shown(bed, &history))
        }
        Action::Profiles { file } => {
            let hub = file.read()?;
            let (profiles, problems) = Profiles::of(&files_of(&hub.profiles), &hub.envelope, None);
            let mut out = String::new();
            for known in profiles.iter() {
                let Profile { name, title, .. } = &known.profile;
                // Writing to a String cannot fail.
                let _ = writeln!(out, "{name:<24} {:<8} {title}", known.origin.name());
            }
            say(&out)?;
            of_problems(&problems)
        }
        Action::Check { profile, config } => check(profile, config.clone()),
    }
}

fn check(path: &PathBuf, config: Option<PathBuf>) -> Outcome {
    let (envelope, files) = match config {
        None => (Envelope::neonatal(), Vec::new()),
        Some(config) => {
            let hub = File { config }.read()?;
            (hub.envelope, files_of(&hub.profiles))
        }
    };
    let others: Vec<Profile> =
        Profiles::of(&files, &envelope, None).0.iter().map(|known| known.profile.clone()).collect();
    let text = std::fs::read_to_string(path)
        .with_context(|| format!("cannot read {}", path.display()))
        .map_err(as_exit(Exit::Usage))?;
    let found = profile::check(&path.display().to_string(), &text, &envelope, &others);
    match found {
        Ok(profile) => say(&format!(
            "{}: in order. Profile {}, {} limits, every newborn has one set.\n",
            path.display(),
            profile.name,
            profile.limits.len()
        )),
        Err(problems) => of_problems(&problems),
    }
}

fn of_problems(problems: &[cotside_config::problem::Problem]) -> Outcome {
    if problems.is_empty() {
        return Ok(());
    }
    let lines: Vec<String> = problems.iter().map(ToString::to_string).collect();
    Err(Failure::new(Exit::Config, format!("there are problems:\n{}", lines.join("\n"))))
}

fn shown(bed: &str, history: &[Issue]) -> String {
    let Some(newest) = history.first() else {
        return format!("Bed {bed} has had no limits of this hub.\n");
    };
    let mut out = format!(
        "Bed {bed}, version {} of {}, profile {}, by {}: {}\n\n",
        newest.version, newest.at, newest.set.profile, newest.author, newest.reason
    );
    for limit in &newest.set.limits {
        out.push_str(&line(limit));
    }
    if let Some(apnoea) = newest.set.apnoea {
        let _ = writeln!(
            out,
            "apnoea after {} s, accompanied {} s",
            apnoea.after_ms / 1000,
            apnoea.accompanied_ms / 1000
        );
    }
    out.push('\n');
    for issue in history {
        let _ = writeln!(out, "{:>6}  {}  {:<16} {}", issue.version, issue.at, issue.author, issue.reason);
    }
    out
}

fn line(limit: &Limit) -> String {
    let label = parameter(Code(limit.code)).map_or("", |row| row.label);
    let side = if limit.side == Side::Low { "<" } else { ">" };
    let (after, extreme) = (limit.delay_ms as f64 / 1000.0, if limit.extreme { ", extreme" } else { "" });
    let priority = format!("{:?}", limit.priority).to_lowercase();
    format!(
        "{label:<12} {side} {:<6} {:<14} after {after} s, {priority}{extreme}\n",
        limit.threshold, limit.ucum
    )
}
