//! `central-hub completeness`: of every second that a bed was served, whether its data is here, and if not, why.

use super::{Failure, File, Outcome, as_exit, open_store, say};
use crate::ledger::{self, Sums};
use crate::people::Date;
use crate::store::derived;
use cotside_systemd::clock::Clock;
use cotside_systemd::exit::Exit;
use std::fmt::Write as _;

#[derive(Debug, clap::Args)]
pub(super) struct Arguments {
    #[command(flatten)]
    file: File,
    /// A day in UTC, YYYY-MM-DD; without it, today
    #[arg(long)]
    day: Option<String>,
    /// One bed, with every device and lane; without it, every bed
    #[arg(long)]
    bed: Option<String>,
    /// Forget what was derived from the blocks; the running hub derives it again
    #[arg(long, conflicts_with_all = ["day", "bed"])]
    rebuild: bool,
}

/// Ends with 1 if a second is unexplained.
pub(super) fn run(arguments: &Arguments) -> Outcome {
    let hub = arguments.file.read()?;
    let store = open_store(&hub)?;
    let trouble = as_exit::<rusqlite::Error>;
    if arguments.rebuild {
        derived::forget(&store).map_err(trouble(Exit::Io))?;
        return say(
            "Forgotten. A running hub derives it again from its blocks, at most half a core at a time.\n",
        );
    }
    let now = Clock::start().now().wall;
    let day = match &arguments.day {
        None => Date::of(now),
        Some(text) => Date::parse(text)
            .ok_or_else(|| Failure::new(Exit::Usage, format!("{text:?} is no day: YYYY-MM-DD")))?,
    };
    let behind = derived::behind(&store).map_err(trouble(Exit::Io))?;
    let rows: Vec<Row> = match &arguments.bed {
        Some(bed) if !hub.unit.beds.contains(bed) => {
            return Err(Failure::new(Exit::Usage, format!("there is no bed {bed:?} in this unit")));
        }
        Some(bed) => {
            let days =
                ledger::completeness_of_bed(&store, bed, (day, day), now).map_err(trouble(Exit::Io))?;
            let lines = days.into_iter().flat_map(|day| {
                let expected_s = day.expected_s;
                day.lanes.into_iter().map(move |line| (expected_s, line))
            });
            lines
                .map(|(expected_s, line)| Row {
                    name: format!("{} {}", line.device.as_deref().unwrap_or("-"), line.lane),
                    expected_s,
                    sums: line.sums,
                })
                .collect()
        }
        None => ledger::completeness_of_unit(&store, &hub.unit.beds, day, now)
            .map_err(trouble(Exit::Io))?
            .into_iter()
            .map(|bed| Row { name: bed.bed, expected_s: bed.expected_s, sums: bed.sums })
            .collect(),
    };
    let what = arguments.bed.as_ref().map_or("bed".to_owned(), |bed| format!("bed {bed}"));
    say(&table(&what, &rows))?;
    if behind > 0 {
        say(&format!("\n{behind} block(s) have arrived that are not in this table yet.\n"))?;
    }
    match rows.iter().map(|row| row.sums.unexplained_s).sum() {
        0 => Ok(()),
        seconds => Err(unexplained(seconds)),
    }
}

fn unexplained(seconds: u64) -> Failure {
    let words =
        format!("{seconds} s are missing and nothing says why: see \"Is the record complete?\" in the guide");
    Failure::new(Exit::Incomplete, words)
}

struct Row {
    name: String,
    expected_s: u64,
    sums: Sums,
}

fn table(what: &str, rows: &[Row]) -> String {
    let mut total = Row { name: "total".to_owned(), expected_s: 0, sums: Sums::default() };
    for row in rows {
        total.expected_s += row.expected_s;
        total.sums.add(&row.sums);
    }
    let names = rows.iter().map(|row| row.name.chars().count());
    let width = names.chain([what.chars().count(), total.name.len()]).max().unwrap_or(0);
    let mut out = format!(
        "{what:<width$}  {:>10}  {:>10}  {:>7}  {:>8}  {:>11}  missing, in seconds\n",
        "expected s", "received s", "", "waiting", "unexplained"
    );
    for Row { name, expected_s, sums } in rows.iter().chain([&total]) {
        let share = match expected_s {
            0 => "-".to_owned(),
            // Rounded down: 100 % is said of all and nothing less.
            _ => format!("{:.2} %", (sums.received_s * 10_000 / expected_s) as f64 / 100.0),
        };
        let causes: Vec<String> =
            sums.missing.iter().map(|(cause, seconds)| format!("{cause} {seconds}")).collect();
        let causes = if causes.is_empty() { "-".to_owned() } else { causes.join(", ") };
        // Writing to a String cannot fail.
        let _ = writeln!(
            out,
            "{name:<width$}  {expected_s:>10}  {:>10}  {share:>8}  {:>7}  {:>11}  {causes}",
            sums.received_s, sums.waiting_s, sums.unexplained_s
        );
    }
    out
}

#[cfg(test)]
mod tests {
    use super::{Row, table};
    use crate::ledger::Sums;

    #[test]
    fn the_table_is_aligned_and_adds_up() {
        let row = |name: &str, received_s, cable_s| {
            let missing = [("cable-out".to_owned(), cable_s)].into_iter().filter(|(_, count)| *count > 0);
            let sums = Sums { received_s, missing: missing.collect(), waiting_s: 4, unexplained_s: 0 };
            Row { name: name.into(), expected_s: received_s + cable_s + 4, sums }
        };
        let text = table("bed", &[row("01", 86_396, 0), row("incubator 2", 80_000, 6396)]);
        let expected = "\
bed          expected s  received s            waiting  unexplained  missing, in seconds
01                86400       86396   99.99 %        4            0  -
incubator 2       86400       80000   92.59 %        4            0  cable-out 6396
total            172800      166396   96.29 %        8            0  cable-out 6396
";
        assert_eq!(text, expected);
    }
}
