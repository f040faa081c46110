//! The bedside daemon and the biomedical engineer's command line.

use clap::{CommandFactory, FromArgMatches};
use cotside_edge_agent::commands::{Arguments, execute};
use cotside_systemd::exit::Exit;
use cotside_systemd::logging;
use std::io::{self, Write};
use std::process::ExitCode;

fn main() -> ExitCode {
    let arguments =
        Arguments::command().try_get_matches().and_then(|matches| Arguments::from_arg_matches(&matches));
    let arguments = match arguments {
        Ok(arguments) => arguments,
        Err(question) => {
            // Help and version are answers, everything else is a mistake. Nobody to read it is neither.
            let _ = question.print();
            return if question.use_stderr() { Exit::Usage.into() } else { Exit::Clean.into() };
        }
    };
    logging::start();
    match execute(arguments.command) {
        Ok(exit) => exit.into(),
        Err(failed) => {
            let _ = writeln!(io::stderr(), "edge-agent: {:#}", failed.why);
            failed.exit.into()
        }
    }
}
