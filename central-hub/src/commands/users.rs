//! `central-hub users`: who may log in, in which role, and with a password that only that person learns.

use super::quickstart::new_password;
use super::{Failure, File, Outcome, as_exit, open_store, say};
use crate::people::{self, Role, User};
use cotside_systemd::clock::Clock;
use cotside_systemd::exit::Exit;
use std::fmt::Write as _;
use std::io::BufRead;

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
    /// Make an account; its password is printed once
    Add {
        name: String,
        #[arg(long, value_parser = role, help = roles())]
        role: Role,
        #[command(flatten)]
        secret: Secret,
        #[command(flatten)]
        file: File,
    },
    /// Give an account another password and end its sessions
    Password {
        name: String,
        #[command(flatten)]
        secret: Secret,
        #[command(flatten)]
        file: File,
    },
    /// End an account and its sessions; what it did stays in the audit
    Remove {
        name: String,
        #[command(flatten)]
        file: File,
    },
}

#[derive(Debug, clap::Args)]
struct Secret {
    /// Read the password from the first line of standard input instead of drawing one
    #[arg(long)]
    password_stdin: bool,
}

pub(super) fn run(arguments: &Arguments) -> Outcome {
    match &arguments.action {
        None => {
            let store = open_store(&arguments.file.read()?)?;
            say(&table(&people::list_users(&store).map_err(as_exit(Exit::Io))?))
        }
        Some(Action::Add { name, role, secret, file }) => {
            let store = open_store(&file.read()?)?;
            let (password, shown) = secret.password()?;
            let now = Clock::start().now().wall;
            people::create_user(&store, name, *role, &password, now).map_err(as_exit(Exit::Usage))?;
            say(&format!("{name} may log in as {}.\n{shown}", role.name()))
        }
        Some(Action::Password { name, secret, file }) => {
            let store = open_store(&file.read()?)?;
            let (password, shown) = secret.password()?;
            people::set_password(&store, name, &password).map_err(as_exit(Exit::Usage))?;
            say(&format!("{name} has a new password. Open sessions end within a minute.\n{shown}"))
        }
        Some(Action::Remove { name, file }) => {
            let store = open_store(&file.read()?)?;
            people::remove_user(&store, name).map_err(as_exit(Exit::Usage))?;
            say(&format!("{name} may not log in any more. Open sessions end within a minute.\n"))
        }
    }
}

impl Secret {
    /// The password, and what is printed of it: nothing that the operator typed.
    fn password(&self) -> Outcome<(String, String)> {
        if !self.password_stdin {
            let drawn = new_password().map_err(as_exit(Exit::Io))?;
            let shown = format!("password  {drawn}\n");
            return Ok((drawn, shown));
        }
        let mut line = String::new();
        std::io::stdin().lock().read_line(&mut line).map_err(as_exit(Exit::Io))?;
        let typed = line.trim_end_matches(['\r', '\n']);
        if typed.is_empty() {
            return Err(Failure::new(Exit::Usage, "there is no password on standard input"));
        }
        Ok((typed.to_owned(), String::new()))
    }
}

fn role(text: &str) -> Result<Role, String> {
    Role::parse(text).ok_or_else(roles)
}

fn roles() -> String {
    let names: Vec<&str> = Role::ALL.into_iter().map(Role::name).collect();
    format!("one of {}", names.join(", "))
}

fn table(users: &[User]) -> String {
    users.iter().fold(String::new(), |mut text, user| {
        let _ = writeln!(text, "{:<32}  {}", user.name, user.role.name());
        text
    })
}
