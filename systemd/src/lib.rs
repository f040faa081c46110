//! How a daemon lives: the one clock, readiness and watchdog, ordered start and stop, logging, exit codes.
//!
//! The unit files, sysusers, tmpfiles and udev rules that the daemons ship with stand beside this source.

pub mod clock;
pub mod exit;
pub mod logging;
pub mod stages;
pub mod timer;
