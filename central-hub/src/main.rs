//! The hub: a command line, an exit code, and nothing else.

use clap::Parser as _;
use cotside_central_hub::commands::{self, Line};
use std::process::ExitCode;

fn main() -> ExitCode {
    match Line::try_parse() {
        Ok(line) => commands::run(line).into(),
        Err(usage) => {
            // Help and version are what was asked for; the rest is a wrong command line.
            let is_wrong = usage.use_stderr();
            let _ = usage.print();
            if is_wrong { cotside_systemd::exit::Exit::Usage.into() } else { ExitCode::SUCCESS }
        }
    }
}
