//! `central-hub stations`: which screens are stations, and how one becomes or ceases to be one.

use super::{Failure, File, Outcome, as_exit, deed, open_store, say};
use crate::alarms::Beds;
use crate::store::stations::{self, Kept, Waiting};
use cotside_protocol::model::DeviceText;
use cotside_systemd::clock::Clock;
use cotside_systemd::exit::Exit;
use std::fmt::Write as _;

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
    /// Make the screen that shows this code a station
    Approve {
        /// The six digits on the screen
        code: String,
        /// What people call it: Central 1
        #[arg(long)]
        name: String,
        /// The beds that it covers, separated by commas
        #[arg(long, value_delimiter = ',', required_unless_present = "all_beds")]
        beds: Vec<String>,
        /// Every bed of the unit, those to come included
        #[arg(long, conflicts_with = "beds")]
        all_beds: bool,
        #[command(flatten)]
        file: File,
    },
    /// A screen is no station any more; it is cut off within a second
    Remove {
        /// As `central-hub stations` lists it
        id: String,
        #[command(flatten)]
        file: File,
    },
}

pub(super) fn run(arguments: &Arguments) -> Outcome {
    let now = Clock::start().now().wall;
    match &arguments.action {
        None => {
            let store = open_store(&arguments.file.read()?)?;
            let approved = stations::approved(&store).map_err(as_exit(Exit::Io))?;
            let waiting = stations::waiting(&store, now).map_err(as_exit(Exit::Io))?;
            say(&table(&approved, &waiting))
        }
        Some(Action::Approve { code, name, beds, all_beds, file }) => {
            let hub = file.read()?;
            if let Some(unknown) = beds.iter().find(|bed| !hub.unit.beds.contains(bed)) {
                return Err(Failure::new(Exit::Usage, format!("there is no bed {unknown:?} in this unit")));
            }
            let name = DeviceText::new(name).as_str().trim().to_owned();
            if name.is_empty() {
                return Err(Failure::new(Exit::Usage, "a station needs a name that people read"));
            }
            let beds = if *all_beds { Beds::All } else { Beds::Some(beds.iter().cloned().collect()) };
            let store = open_store(&hub)?;
            let made = deed(&store, now, &format!("approve station {name}"), None, |store| {
                stations::approve(store, code, &name, &beds, now)
            })?;
            match made {
                Some(id) => say(&format!("{name} ({id}) is a station. Its screen goes on by itself.\n")),
                None => Err(Failure::new(
                    Exit::Usage,
                    "no screen shows that code now (a code is good for ten minutes)",
                )),
            }
        }
        Some(Action::Remove { id, file }) => {
            let store = open_store(&file.read()?)?;
            let done = deed(&store, now, &format!("revoke station {id}"), None, |store| {
                stations::revoke(store, id, now)
            })?;
            match done {
                true => say(&format!("{id} is no station any more.\n")),
                false => Err(Failure::new(Exit::Usage, format!("there is no station {id:?}"))),
            }
        }
    }
}

fn table(approved: &[Kept], waiting: &[Waiting]) -> String {
    let mut out = String::new();
    if approved.is_empty() {
        out.push_str(
            "No station yet: open the console on its screen, choose to pair it, and approve its code.\n",
        );
    }
    for Kept { id, name, beds, label, seen, .. } in approved {
        let beds = match beds {
            Beds::All => "every bed".to_owned(),
            Beds::Some(beds) => beds.iter().map(String::as_str).collect::<Vec<_>>().join(", "),
        };
        let seen = seen.map_or_else(|| "never".to_owned(), |at| at.to_string());
        // Writing to a String cannot fail.
        let _ = writeln!(out, "{id}  {name:<20}  {beds:<24}  last began {seen}  ({label})");
    }
    for Waiting { id, label, asked } in waiting {
        let _ = writeln!(out, "{id}  asks to be a station since {asked}  ({label})");
    }
    out
}
