//! `edge-agent status`: the running agent's snapshot, as a table for people, as JSON for scripts, as counters for Prometheus.

use super::{Failed, load, metrics, print, tap::ask};
use crate::bed::{ClockSnapshot, LinkSnapshot, Snapshot, ValueSnapshot, clock_words};
use anyhow::{Context, anyhow};
use cotside_protocol::model::Wall;
use cotside_protocol::wire::upstream::Alarm;
use cotside_systemd::exit::Exit;
use std::fmt::Write as _;
use std::io::Read;
use std::path::Path;
use std::time::Duration;

const ANSWER_WITHIN: Duration = Duration::from_secs(5);

/// For whom it is written.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Form {
    Table,
    Json,
    Metrics,
}

pub(super) fn status(config: &Path, form: Form) -> Result<Exit, Failed> {
    let config = load(config)?;
    let mut agent = ask(&config.socket, "status\n")?;
    let mut text = String::new();
    let read = agent.set_read_timeout(Some(ANSWER_WITHIN)).and_then(|()| agent.read_to_string(&mut text));
    read.context("the agent did not answer within 5 s")
        .map_err(|error| Failed::new(Exit::Unavailable, error))?;
    if let Some(words) = text.strip_prefix("error: ") {
        return Err(Failed::new(Exit::Unavailable, anyhow!(words.trim().to_owned())));
    }
    if form == Form::Json {
        return print(&format!("{}\n", text.trim()));
    }
    let snapshot: Snapshot = serde_json::from_str(&text)
        .context("the agent's answer is not understood: is it another version?")
        .map_err(|error| Failed::new(Exit::Unavailable, error))?;
    print(&if form == Form::Metrics { metrics::text(&snapshot) } else { table(&snapshot) })
}

fn table(snapshot: &Snapshot) -> String {
    let mut out = String::new();
    let bed = snapshot.bed.as_deref().unwrap_or("not assigned by the hub");
    let _ = writeln!(out, "agent   {} ({}), {}", snapshot.agent, snapshot.software, snapshot.provenance);
    let _ = writeln!(out, "bed     {bed}");
    let _ = writeln!(out, "hub     {}", snapshot.hub_detail);
    let _ = writeln!(out, "clock   {}", own_clock(&snapshot.clock));
    let outbox = &snapshot.outbox;
    let _ = writeln!(
        out,
        "outbox  {} rows, {} KiB waiting, oldest {}, {} dropped",
        outbox.waiting_rows,
        outbox.waiting_bytes.div_ceil(1024),
        age(outbox.oldest_ms),
        outbox.dropped_rows
    );
    let entries = outbox.entries;
    let _ = writeln!(
        out,
        "entries {} read = {} stored + {} on the way + {} withheld + {} lost, each with a gap record",
        entries.read, entries.stored, entries.held, entries.withheld, entries.lost
    );
    if snapshot.strangers > 0 {
        let _ = writeln!(
            out,
            "acks    {} ignored: the hub spoke of epochs that this gateway had not asked about, and nothing left the log on its word",
            snapshot.strangers
        );
    }
    if let Some(words) = &snapshot.store_trouble {
        let _ = writeln!(out, "store   {words}");
    }
    out.push_str(&care(snapshot));
    out.push('\n');
    snapshot.links.iter().for_each(|link| link_line(link, &mut out));
    for link in &snapshot.links {
        let values: Vec<_> = snapshot.values.iter().filter(|value| value.link == link.status.link).collect();
        if !values.is_empty() {
            let _ = writeln!(out, "\n{}", link.status.name);
            values.iter().for_each(|value| value_line(value, &mut out));
        }
    }
    if snapshot.alarms.is_empty() {
        out.push_str("\nno alarms\n");
    } else {
        out.push_str("\nalarms\n");
        snapshot.alarms.iter().for_each(|alarm| alarm_line(alarm, &mut out));
    }
    out
}

/// Who watches, what people hold back, by which limits, for whom: no patient data, a stay has an opaque name.
fn care(snapshot: &Snapshot) -> String {
    let mut out = format!("watch   {}\n", snapshot.watch_detail);
    if let Some(pause) = &snapshot.pause {
        let _ = writeln!(out, "pause   sound off until {}, by {}", moment(pause.until_us), pause.by);
    }
    if let Some(standby) = &snapshot.standby {
        let (until, by, reason) = (moment(standby.until_us), &standby.by, &standby.reason);
        let _ = writeln!(out, "standby until {until}, by {by}: {reason}");
    }
    let limits = &snapshot.limits;
    let origin = match limits.version {
        0 => "from the configuration".to_owned(),
        version => format!("the hub's version {version} {}", limits.profile),
    };
    let _ = writeln!(out, "limits  {} in force, {}", limits.limits.len(), origin.trim());
    if snapshot.limits_reset {
        out.push_str("        RESET: nobody has accepted them yet\n");
    }
    if let Some(refused) = &snapshot.limits_refused {
        let _ = writeln!(out, "        version {} was refused: {}", refused.version, refused.words);
    }
    let _ = writeln!(out, "stay    {}", snapshot.stay.as_deref().unwrap_or("nobody admitted"));
    out
}

fn moment(us: i64) -> String {
    Wall(us).to_string().get(..19).map_or_else(String::new, |text| format!("{text}Z"))
}

fn link_line(link: &LinkSnapshot, out: &mut String) {
    let status = &link.status;
    let state = format!("{:?}", status.state).to_lowercase();
    let heard = status.heard_ms.map_or_else(|| "never".to_owned(), |ms| format!("{} ago", age(ms)));
    let _ = writeln!(
        out,
        "link    {:<12} {:<10} {state:<11} heard {heard}; {}",
        status.name, status.driver, status.detail
    );
    let device = [&status.manufacturer, &status.model, &status.serial, &status.firmware];
    let device: Vec<&str> = device.into_iter().map(String::as_str).filter(|text| !text.is_empty()).collect();
    let device = if device.is_empty() { "not identified".to_owned() } else { device.join(" ") };
    let _ = writeln!(
        out,
        "        {:<12} {device}; {}; {} frames, {} malformed bytes",
        "", link.place, status.frames, status.malformed_bytes
    );
    if let Some(clock) = &status.clock {
        let _ = writeln!(out, "        {:<12} its clock {}", "", clock_words(clock));
    }
}

fn value_line(value: &ValueSnapshot, out: &mut String) {
    let name =
        value.site.as_ref().map_or_else(|| value.label.clone(), |site| format!("{} {site}", value.label));
    let number = value.value.as_deref().unwrap_or("---");
    let mark = if value.preferred { '*' } else { ' ' };
    let _ = write!(out, "{mark} {name:<22} {number:>9} {:<14} {:>7}", value.ucum, age(value.age_ms));
    if value.setting {
        out.push_str("  setting");
    }
    if !value.quality.is_empty() {
        let _ = write!(out, "  {}", value.quality.join(", "));
    }
    out.push('\n');
}

fn alarm_line(alarm: &Alarm, out: &mut String) {
    let words =
        [format!("{:?}", alarm.priority), format!("{:?}", alarm.condition)].map(|word| word.to_lowercase());
    let _ = writeln!(out, "  {:<8} {:<9} {:<18} {}", words[0], words[1], alarm.rule, alarm.text);
}

fn age(millis: u64) -> String {
    match millis {
        0..10_000 => format!("{}.{} s", millis / 1000, millis % 1000 / 100),
        10_000..120_000 => format!("{} s", millis / 1000),
        120_000..7_200_000 => format!("{} min", millis / 60_000),
        _ => format!("{} h", millis / 3_600_000),
    }
}

fn own_clock(clock: &ClockSnapshot) -> String {
    let wall = clock.wall.get(..19).unwrap_or(&clock.wall);
    if !clock.set {
        return format!("NOT SET: counted on from the last time that is known, now {wall}Z");
    }
    let Some(ahead) = clock.ahead_of_hub_us else { return format!("{wall}Z, the hub's is not known") };
    let (tenths, give_or_take) =
        ((ahead.saturating_abs() + 50_000) / 100_000, (clock.uncertainty_us + 99_999) / 100_000);
    let way = if ahead < 0 { "behind" } else { "ahead of" };
    let mark = if tenths > 20 { "  CHECK THE CLOCK" } else { "" };
    let (whole, tenth) = (tenths / 10, tenths % 10);
    format!(
        "{wall}Z, {whole}.{tenth} s {way} the hub \u{b1}{}.{} s{mark}",
        give_or_take / 10,
        give_or_take % 10
    )
}
