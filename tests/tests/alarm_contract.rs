//! Bed, desk and station, followed through every order of every step.

use cotside_tests::contract::{check, faults};
use std::time::Duration;

/// `COTSIDE_DEPTH` asks for another depth; `make prove` goes deeper.
const DEPTH: usize = 5;

#[test]
fn no_order_of_steps_breaks_the_contract_between_bed_desk_and_station() {
    let depth = std::env::var("COTSIDE_DEPTH").ok().and_then(|text| text.parse().ok()).unwrap_or(DEPTH);
    let found = check(depth);
    println!("alarm contract: {} states, {} unlike, depth {}", found.states, found.unique, found.depth);
    assert!(found.broken.is_empty(), "{}", found.broken.join("\n"));
}

#[test]
fn whichever_partner_is_lost_both_ends_say_so_within_ten_seconds() {
    let words = |after: Option<Duration>, due| match (after, due) {
        (Some(after), _) => format!("{:.1} s", after.as_secs_f64()),
        (None, true) => "NEVER".to_owned(),
        (None, false) => "it is dead".to_owned(),
    };
    println!("{:<56} {:>10} {:>12}", "cut", "at the bed", "at the hub");
    for fault in faults::matrix() {
        let (bed, hub) = (words(fault.at_bed, fault.due.0), words(fault.at_hub, fault.due.1));
        println!("{:<56} {bed:>10} {hub:>12}", fault.what);
        for (after, due) in [(fault.at_bed, fault.due.0), (fault.at_hub, fault.due.1)] {
            assert!(!due || after.is_some_and(|after| after <= Duration::from_secs(10)), "{}", fault.what);
        }
    }
}
