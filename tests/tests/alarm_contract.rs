//! Bed, desk and station, followed through every order of every step.

use cotside_tests::contract::check;

/// `COTSIDE_DEPTH` asks for another depth; `make prove` goes deeper.
const DEPTH: usize = 5;

#[test]
fn no_order_of_steps_breaks_the_contract_between_bed_desk_and_station() {
    let depth = std::env::var("COTSIDE_DEPTH").ok().and_then(|text| text.parse().ok()).unwrap_or(DEPTH);
    let found = check(depth);
    println!("alarm contract: {} states, {} unlike, depth {}", found.states, found.unique, found.depth);
    assert!(found.broken.is_empty(), "{}", found.broken.join("\n"));
}
