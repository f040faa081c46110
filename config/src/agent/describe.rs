//! The commented example of the agent's file, printed from the declarations of keys and drivers.

use super::keys;
use crate::rule;
use crate::section::describe as keys_of;
use cotside_protocol::device::{Driver, Setting, SettingKind, Transport};
use cotside_protocol::devices::DRIVERS;
use std::fmt::Write as _;

/// A file that `check` accepts as it stands, with every key explained.
pub fn describe() -> String {
    let mut out = String::from(
        "# Cotside edge agent. Lines with ## explain, lines with # are defaults or options switched off.\n\
         # Check a changed file with: edge-agent check\n\n",
    );
    keys_of(keys::AGENT, &mut out);
    out.push_str(
        "## Without this table the agent stands alone: it stores and alarms, and forwards nothing.\n[hub]\n",
    );
    keys_of(keys::HUB, &mut out);
    out.push_str("## One table for each device at the bed.\n[[link]]\n");
    let mut link = String::new();
    keys_of(keys::LINK, &mut link);
    // One of the four places must stand, and a serial port is the common one.
    out.push_str(&link.replacen("# port = ", "port = ", 1));
    out.push_str("## The driver's own settings.\n# [link.settings]\n\n");
    out.push_str("## One table for each limit.\n[[limit]]\n");
    let mut limit = String::new();
    keys_of(keys::LIMIT, &mut limit);
    out.push_str(&limit.replacen("# low = ", "low = ", 1));
    out.push_str("## A change that is too fast: one table for each.\n[[rate]]\n");
    keys_of(keys::RATE, &mut out);
    out.push_str("[apnoea]\n");
    keys_of(keys::APNOEA, &mut out);
    out.push_str("[combined]\n");
    keys_of(keys::COMBINED, &mut out);
    out.push_str("## What the hub may ask of this bed.\n[[bound]]\n");
    let mut bound = String::new();
    keys_of(rule::BOUND, &mut bound);
    out.push_str(&bound.replacen("# low = ", "low = ", 1));
    out.push_str("[[prefer]]\n");
    keys_of(keys::PREFER, &mut out);
    for (table, keys) in [("annunciate", keys::ANNUNCIATE), ("gpio", keys::GPIO), ("page", keys::PAGE)] {
        let _ = writeln!(out, "[{table}]");
        keys_of(keys, &mut out);
    }
    out.push_str("# ---- drivers ----\n");
    for driver in DRIVERS {
        describe_driver(driver, &mut out);
    }
    out
}

fn describe_driver(driver: &Driver, out: &mut String) {
    let _ = writeln!(out, "#\n# driver = \"{}\"    {}", driver.name, driver.summary);
    let _ = writeln!(out, "#   models: {}", driver.models.join(", "));
    for transport in driver.transports {
        let _ = match transport {
            Transport::Serial { baud, bits, parity, stop } => {
                writeln!(
                    out,
                    "#   port = \"/dev/serial/by-path/...\"    {baud} baud, {bits} bits, parity {parity:?}, {stop} stop"
                )
            }
            Transport::Udp { port, announce, .. } => match announce {
                Some(announce) => writeln!(
                    out,
                    "#   udp = \"10.0.0.5\" or \"announced\"    port {port}, announcements on {announce}"
                ),
                None => writeln!(out, "#   udp = \"10.0.0.5\"    port {port}"),
            },
            Transport::TcpListen { port } => writeln!(out, "#   listen = \"0.0.0.0:{port}\""),
            Transport::TcpConnect { port } => writeln!(out, "#   connect = \"10.0.0.5:{port}\""),
        };
    }
    if !driver.settings.is_empty() {
        out.push_str("#   [link.settings]\n");
    }
    for setting in driver.settings {
        let _ = writeln!(out, "#   ## {} ({})", setting.doc, kind(setting));
        let _ = writeln!(out, "#   {} = \"{}\"", setting.name, setting.default.unwrap_or("..."));
    }
}

fn kind(setting: &Setting) -> String {
    match setting.kind {
        SettingKind::Text => "text".to_owned(),
        SettingKind::Integer { min, max } => format!("whole number, {min} to {max}"),
        SettingKind::OneOf(words) => format!("one of {}", words.join(", ")),
        SettingKind::Duration { min_ms, max_ms } => format!("duration, {min_ms} ms to {max_ms} ms"),
    }
}
