//! What the shipped profiles say, and what a site's file is told, word for word.

use super::{Circumstances, Oxygen, Profile, SHIPPED, check, consistent};
use cotside_protocol::model::{Code, Envelope, LimitSide, Priority};

fn shipped() -> Vec<Profile> {
    let mut all = Vec::new();
    for (name, text) in SHIPPED {
        let profile = check(name, text, &Envelope::neonatal(), &all);
        let profile = profile.unwrap_or_else(|problems| panic!("{name}: {problems:#?}"));
        assert_eq!(&profile.name, name);
        all.push(profile);
    }
    all
}

fn neonatal() -> Profile {
    shipped().swap_remove(0)
}

fn thresholds(profile: &Profile, at: Circumstances, code: u32) -> Vec<(LimitSide, String, Priority, bool)> {
    let rows = profile.limits_at(&at).filter(|row| row.rule.code == Code(code));
    rows.map(|row| (row.rule.side, row.rule.threshold.to_string(), row.rule.priority, row.rule.extreme))
        .collect()
}

const fn at(gestation: i64, pma: i64, oxygen: Oxygen) -> Circumstances {
    Circumstances { gestation_days: gestation * 7, pma_days: pma * 7, oxygen }
}

const HR: u32 = 147_842;
const SPO2: u32 = 150_456;
const RR: u32 = 151_578;

/// The shipped file with `from` replaced by `to` has exactly these problems.
fn problems(from: &str, to: &str, expected: &[&str]) {
    let (_, good) = SHIPPED[0];
    assert!(good.contains(from), "{from}");
    let text = good.replacen(from, to, 1);
    let found = check("p.toml", &text, &Envelope::neonatal(), &[]).map(|_| ()).unwrap_err();
    let found: Vec<String> = found
        .iter()
        .map(|problem| format!("{}: {}", good_line(&text, problem.line), problem.words))
        .collect();
    assert_eq!(found, expected);
}

fn good_line(text: &str, line: usize) -> &str {
    text.lines().nth(line - 1).unwrap_or_default()
}

#[test]
fn a_preterm_infants_extremes_are_80_and_80_and_a_term_infants_heart_may_be_slower() {
    let profile = neonatal();
    let low = |weeks, code| {
        let rows = thresholds(&profile, at(weeks, weeks, Oxygen::Unknown), code);
        rows.into_iter()
            .filter(|row| row.0 == LimitSide::Low)
            .map(|row| (row.1, row.2, row.3))
            .collect::<Vec<_>>()
    };
    let rows = |red: &str, yellow: &str| {
        vec![(red.to_owned(), Priority::High, true), (yellow.to_owned(), Priority::Medium, false)]
    };
    assert_eq!(low(25, HR), rows("80", "100"));
    assert_eq!(low(36, HR), rows("80", "100"));
    assert_eq!(low(37, HR), rows("60", "80"));
    assert_eq!(low(25, SPO2), rows("80", "85"));
    assert_eq!(low(40, SPO2), rows("80", "92"));
}

#[test]
fn too_much_oxygen_is_watched_unless_there_is_none() {
    let profile = neonatal();
    let high = |pma, oxygen| {
        let rows = thresholds(&profile, at(27, pma, oxygen), SPO2);
        rows.into_iter().filter(|row| row.0 == LimitSide::High).map(|row| row.1).collect::<Vec<_>>()
    };
    for oxygen in [Oxygen::Supplemental, Oxygen::Unknown] {
        assert_eq!(high(28, oxygen), ["95", "98"]);
        assert_eq!(high(33, oxygen), ["95", "97"]);
        assert_eq!(high(37, oxygen), ["95", "96"]);
    }
    assert_eq!(high(28, Oxygen::RoomAir), Vec::<String>::new());
}

#[test]
fn what_a_table_prints_the_wrong_way_round_is_not_shipped() {
    for profile in shipped() {
        let is_pressure = |code: Code| (150_016..150_100).contains(&code.0);
        assert!(profile.limits.iter().all(|row| !is_pressure(row.rule.code)), "{}", profile.name);
    }
}

#[test]
fn every_newborn_has_a_whole_set_that_may_be_in_force() {
    for profile in shipped() {
        for newborn in consistent::everyone(&profile) {
            let set = profile.set_at(&newborn);
            assert_eq!(Envelope::neonatal().breaches(&set), Vec::<String>::new(), "{newborn:?}");
        }
    }
}

#[test]
fn a_profile_stands_on_another_and_says_only_what_differs() {
    let [usual, oscillated] = <[Profile; 2]>::try_from(shipped()).unwrap();
    let newborn = at(27, 28, Oxygen::Supplemental);
    assert!(!thresholds(&usual, newborn, RR).is_empty());
    assert!(thresholds(&oscillated, newborn, RR).is_empty());
    assert_eq!(thresholds(&usual, newborn, HR), thresholds(&oscillated, newborn, HR));
    let site = "profile = \"ours\"\ntitle = \"Ours\"\nbased_on = \"neonatal\"\n\
                [[limit]]\nparameters = [\"SpO2\"]\nlow = 88\ndelay = \"10s\"\nsource = \"our standard\"\n";
    let site = check("ours.toml", site, &Envelope::neonatal(), &[usual, oscillated]).unwrap();
    let low = thresholds(&site, newborn, SPO2).into_iter().filter(|row| row.0 == LimitSide::Low);
    assert_eq!(low.map(|row| row.1).collect::<Vec<_>>(), ["88", "80"]);
}

#[test]
fn a_number_without_a_source_is_a_problem_at_its_table() {
    problems(
        "source = \"T6: red 230, delay 0 s [H]. Hysteresis: proposal\"\n",
        "",
        &["[[limit]]: [[limit]] needs source, for example source = \"PMC6906083 table 6\""],
    );
}

#[test]
fn what_is_no_parameter_no_age_and_no_therapy_is_told_at_its_word() {
    problems(
        "parameters = [\"PR\"]",
        "parameters = [\"PRR\"]",
        &["parameters = [\"PRR\"]: parameters: unknown parameter \"PRR\": did you mean \"PR\"?"],
    );
    problems(
        "gestation_below = \"37+0\"",
        "gestation_below = \"37+9\"",
        &[
            "gestation_below = \"37+9\": gestation_below: expected weeks and days such as \"37+0\", found \"37+9\"",
        ],
    );
    problems(
        "oxygen = [\"supplemental\", \"unknown\"]",
        "oxygen = [\"air\"]",
        &["oxygen = [\"air\"]: oxygen: expected some of room-air, supplemental, unknown, found \"air\""],
    );
}

#[test]
fn a_low_limit_above_a_high_one_of_another_table_is_told() {
    problems(
        "high = 95\n",
        "high = 86\n",
        &[
            "high = 86: SpO2: low = 92 must be below high = 86 (born at 37+0, now 37+0, oxygen supplemental)",
            "high = 86: SpO2 pre: low = 92 must be below high = 86 (born at 37+0, now 37+0, oxygen supplemental)",
        ],
    );
}

#[test]
fn two_rows_for_one_newborn_are_told() {
    problems(
        "pma_from = \"37+0\"\n",
        "pma_from = \"36+6\"\n",
        &[
            "high = 96: SpO2 has a limit of this side and priority already (born at 20+0, now 36+6, oxygen supplemental)",
            "high = 96: SpO2 pre has a limit of this side and priority already (born at 20+0, now 36+6, oxygen supplemental)",
        ],
    );
}

#[test]
fn h10_a_delay_above_the_budget_is_refused() {
    problems(
        "high = 200\ndelay = \"4s\"",
        "high = 200\ndelay = \"7s\"",
        &["high = 200: HR: averaging 9s and delay 7s are more than the budget, 15s"],
    );
}

#[test]
fn s1_a_profile_that_lacks_an_extreme_is_refused_for_the_newborns_who_lack_it() {
    problems(
        "extreme = true\ngestation_from = \"37+0\"",
        "gestation_from = \"37+0\"",
        &[
            "# The alarm profile of a neonatal intensive care unit.: the extreme is missing: HR low 60 or nearer within 10s (born at 37+0, now 37+0, oxygen room-air)",
        ],
    );
}

#[test]
fn an_age_that_nobody_thought_of_is_covered() {
    problems(
        "gestation_from = \"37+0\"\nsource = \"T6: red 60",
        "gestation_from = \"37+1\"\nsource = \"T6: red 60",
        &[
            "# The alarm profile of a neonatal intensive care unit.: the extreme is missing: HR low 60 or nearer within 10s (born at 37+0, now 37+0, oxygen room-air)",
        ],
    );
}

#[test]
fn every_default_is_of_its_kind() {
    use super::keys;
    for keys in [keys::PROFILE, keys::AVERAGING, keys::LIMIT, keys::RATE, keys::APNOEA, keys::COMBINED] {
        assert_eq!(crate::section::defaults_that_do_not_fit(keys), Vec::<&str>::new());
    }
}
