//! Exit codes as in sysexits.h, the same for both daemons.

use std::process::ExitCode;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Exit {
    Clean = 0,
    /// A record was looked through, and something is missing that should be there.
    Incomplete = 1,
    Usage = 64,
    Unavailable = 69,
    NotClean = 70,
    Io = 74,
    Config = 78,
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(exit as u8)
    }
}
