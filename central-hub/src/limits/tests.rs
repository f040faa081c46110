//! Whatever a person asks for, what is sent may be in force; and what is asked for says what of it cannot be.

use super::change::{Change, Changes, OFF_MIN_MAX, read};
use super::profiles::{Origin, Profiles};
use super::resolve::{Resolved, resolve};
use super::standing::{Heard, needs_higher, next_version, state};
use crate::unit::view::LimitsState;
use cotside_config::profile::{Circumstances, Oxygen};
use cotside_protocol::model::{Code, Envelope, LimitSide};
use cotside_protocol::wire::convert;
use cotside_protocol::wire::downstream::{Limits, Side};
use cotside_protocol::wire::upstream::Priority;
use proptest::prelude::*;
use serde_json::json;
use std::sync::OnceLock;

const HR: u32 = 147_842;
const SPO2: u32 = 150_456;
const RR: u32 = 151_578;
const ABP_MEAN: u32 = 150_039;
const NOW_MS: i64 = 1_768_360_364_000;

/// Reading them takes longer than resolving.
fn profiles() -> &'static Profiles {
    static SHIPPED: OnceLock<Profiles> = OnceLock::new();
    SHIPPED.get_or_init(|| {
        let (profiles, problems) = Profiles::of(&[], &Envelope::neonatal(), None);
        assert_eq!(problems, []);
        profiles
    })
}

fn preterm() -> Circumstances {
    Circumstances { gestation_days: 28 * 7, pma_days: 30 * 7, oxygen: Oxygen::Supplemental }
}

fn change(code: u32, side: Side, priority: Priority, threshold: &str) -> Change {
    Change { code, side, priority, threshold: Some(threshold.to_owned()), delay_ms: None, off_until_ms: None }
}

fn resolved(changes: &[Change]) -> Resolved {
    resolve(&profiles().of_name(None).profile, &preterm(), changes, NOW_MS, &Envelope::neonatal())
}

fn thresholds(resolved: &Resolved, code: u32, side: LimitSide) -> Vec<String> {
    let of = resolved.set.limits.iter().filter(|limit| (limit.code, limit.side) == (Code(code), side));
    of.map(|limit| limit.threshold.to_string()).collect()
}

#[test]
fn a_change_stands_in_place_of_the_profile_and_is_told() {
    let found = resolved(&[
        change(SPO2, Side::Low, Priority::Medium, "88"),
        change(ABP_MEAN, Side::Low, Priority::Medium, "28"),
    ]);
    assert_eq!(thresholds(&found, SPO2, LimitSide::Low), ["80", "88"]);
    assert_eq!(thresholds(&found, ABP_MEAN, LimitSide::Low), ["28"]);
    assert_eq!(found.deviations(), ["SpO2 low 88 instead of 85", "ABP mean low 28 added"]);
    assert_eq!(found.aside, []);
}

#[test]
fn s1_an_extreme_is_never_wider_later_or_off() {
    let extreme = |change: Change| Change { code: SPO2, side: Side::Low, priority: Priority::High, ..change };
    let base = change(SPO2, Side::Low, Priority::High, "80");
    let cases = [
        (
            extreme(Change { threshold: Some("79".into()), ..base.clone() }),
            "an extreme may only be nearer than 80",
        ),
        (
            extreme(Change { delay_ms: Some(11_000), ..base.clone() }),
            "an extreme may only be told sooner than after 10s",
        ),
        (extreme(Change { off_until_ms: Some(NOW_MS + 1), ..base }), "an extreme cannot be switched off"),
    ];
    for (asked, words) in cases {
        let found = resolved(&[asked]);
        assert_eq!(found.aside, [(0, format!("SpO2: {words}"))]);
        assert_eq!(thresholds(&found, SPO2, LimitSide::Low), ["80", "85"], "the profile stands");
    }
}

#[test]
fn a_change_that_contradicts_another_limit_is_set_aside_and_the_rest_stays() {
    let found = resolved(&[
        change(SPO2, Side::Low, Priority::Medium, "96"),
        change(HR, Side::Low, Priority::Medium, "90"),
        change(RR, Side::Low, Priority::Medium, "85"),
    ]);
    assert_eq!(thresholds(&found, HR, LimitSide::Low), ["80", "90"]);
    let words: Vec<&str> = found.aside.iter().map(|(_, words)| words.as_str()).collect();
    assert_eq!(words, ["SpO2: low = 96 must be below high = 95", "RR: low = 85 must be below high = 80"]);
}

#[test]
fn h10_a_longer_delay_than_the_budget_is_set_aside() {
    let slow =
        Change { threshold: None, delay_ms: Some(21_000), ..change(SPO2, Side::Low, Priority::Medium, "") };
    let found = resolved(&[slow]);
    assert!(found.aside[0].1.contains("more than the budget, 30s"), "{:?}", found.aside);
}

#[test]
fn what_was_switched_off_comes_back_by_itself() {
    let off = Change {
        threshold: None,
        off_until_ms: Some(NOW_MS + 60_000),
        ..change(RR, Side::High, Priority::Medium, "")
    };
    let at = |now_ms| {
        let profiles = profiles();
        let found = resolve(
            &profiles.of_name(None).profile,
            &preterm(),
            std::slice::from_ref(&off),
            now_ms,
            &Envelope::neonatal(),
        );
        thresholds(&found, RR, LimitSide::High)
    };
    assert_eq!(at(NOW_MS), Vec::<String>::new());
    assert_eq!(at(NOW_MS + 60_000), ["80"]);
}

#[test]
fn everything_that_is_wrong_with_a_body_is_told_at_once() {
    let body = json!({
        "version": "seven", "profil": "x",
        "limits": [
            {"code": 1, "side": "left", "threshold": "x"},
            {"code": SPO2, "side": "low", "threshold": 850, "delay_ms": -1},
            {"code": SPO2, "side": "high"},
            {"code": SPO2, "side": "high", "off_for_min": OFF_MIN_MAX + 1, "<b>": 1},
        ]
    });
    let wrong = read(&body, NOW_MS).unwrap_err();
    let fields: Vec<&str> = wrong.iter().map(|wrong| wrong.field.as_str()).collect();
    assert_eq!(
        fields,
        [
            "profil",
            "version",
            "limits[0].code",
            "limits[0].side",
            "limits[0].threshold",
            "limits[1].threshold",
            "limits[1].delay_ms",
            "limits[2]",
            "limits[3].b",
            "limits[3].off_for_min",
            "limits[3]",
        ]
    );
}

#[test]
fn a_merge_keeps_what_is_not_spoken_of_and_back_is_back_to_the_profile() {
    let before = Changes {
        profile: None,
        limits: vec![
            change(SPO2, Side::Low, Priority::Medium, "88"),
            change(HR, Side::Low, Priority::Medium, "90"),
        ],
    };
    let body = json!({"limits": [
        {"code": SPO2, "side": "low", "delay_ms": 5000},
        {"code": HR, "side": "low", "back": true},
    ]});
    let asked = read(&body, NOW_MS).unwrap();
    let merged = before.merged_with(&asked);
    assert_eq!(merged.limits.len(), 1);
    assert_eq!((merged.limits[0].threshold.as_deref(), merged.limits[0].delay_ms), (Some("88"), Some(5000)));
    assert_eq!(before.replaced_by(&asked).limits.len(), 1, "nothing but what is asked for");
}

#[test]
fn a_site_s_profile_stands_in_place_of_the_shipped_one_and_a_broken_file_changes_nothing() {
    let file = |text: &str| vec![("profiles/neonatal.toml".to_owned(), text.to_owned())];
    let ours = "profile = \"neonatal\"\ntitle = \"Ours\"\nbased_on = \"neonatal\"\n\
                [[limit]]\nparameters = [\"SpO2\"]\nlow = 88\ndelay = \"10s\"\nsource = \"standard 7\"\n";
    let envelope = Envelope::neonatal();
    let (first, problems) = Profiles::of(&file(ours), &envelope, None);
    assert_eq!(problems, []);
    let known = first.of_name(None);
    assert_eq!((known.origin, known.profile.title.as_str()), (Origin::Site, "Ours"));
    let (second, problems) = Profiles::of(&file("profile = 3"), &envelope, Some(&first));
    assert!(!problems.is_empty());
    assert_eq!(second.of_name(None).profile.title, "Ours", "the last good one stays");
    assert_eq!(second.iter().count(), first.iter().count());
}

fn set(version: u64, bed: &str, stay: &str) -> Limits {
    let mut set = convert::limit_set_out(&resolved(&[]).set, "ana", "neonatal", bed);
    set.version = version;
    set.stay = Some(stay.to_owned());
    set
}

fn has(set: Limits) -> Heard {
    Heard { in_force: Some(set), ..Heard::default() }
}

#[test]
fn a_set_is_requested_accepted_in_force_or_refused() {
    let wanted = set(7, "01", "s1");
    let of = |heard: Heard| state(&wanted, &heard, false);
    assert_eq!(of(Heard::default()), LimitsState::Requested);
    assert_eq!(of(has(set(6, "01", "s1"))), LimitsState::Requested);
    assert_eq!(of(Heard { taken: Some(7), ..has(set(6, "01", "s1")) }), LimitsState::Accepted);
    assert_eq!(of(has(wanted.clone())), LimitsState::InForce);
    let refused = Heard { refused: Some((7, "too wide".into())), ..has(set(6, "01", "s1")) };
    assert_eq!(of(refused), LimitsState::Refused);
    assert_eq!(state(&wanted, &has(Limits::default()), true), LimitsState::Reset);
    assert_eq!(state(&wanted, &has(Limits::default()), false), LimitsState::Requested);
}

#[test]
fn h4_a_hub_that_was_set_back_does_not_take_its_set_for_the_beds() {
    let wanted = set(7, "01", "s1");
    assert_eq!(state(&wanted, &has(set(9, "01", "s1")), false), LimitsState::Unconfirmed);
    let mut other = set(7, "01", "s1");
    other.limits.pop();
    assert_eq!(state(&wanted, &has(other), false), LimitsState::Unconfirmed, "one number, two sets");
    assert_eq!(needs_higher(&wanted, &has(set(9, "01", "s1"))), None, "a person has to look");
}

#[test]
fn h4_versions_rise_above_everything_that_hub_or_bed_has_seen() {
    assert_eq!(next_version(None, &Heard::default()), 1);
    assert_eq!(next_version(Some(7), &has(set(9, "01", "s1"))), 10);
    assert_eq!(next_version(Some(7), &Heard { taken: Some(12), ..Heard::default() }), 13);
}

#[test]
fn a_number_as_high_of_another_bed_or_stay_is_risen_above() {
    let wanted = set(3, "01", "s2");
    assert_eq!(needs_higher(&wanted, &has(set(57, "02", "s9"))), Some(58));
    assert_eq!(needs_higher(&wanted, &has(set(4, "01", "s1"))), Some(5));
    assert_eq!(needs_higher(&wanted, &has(set(2, "01", "s1"))), None);
}

fn any_change() -> impl Strategy<Value = Change> {
    let code = prop_oneof![
        Just(HR),
        Just(SPO2),
        Just(RR),
        Just(ABP_MEAN),
        Just(149_530_u32),
        Just(160_296),
        Just(150_368)
    ];
    let priority = prop_oneof![Just(Priority::Low), Just(Priority::Medium), Just(Priority::High)];
    let threshold = prop_oneof![Just(None), (0_i32..260).prop_map(|value| Some(value.to_string()))];
    let off = prop_oneof![3 => Just(None), 1 => Just(Some(NOW_MS + 1)), 1 => Just(Some(NOW_MS - 1))];
    let delay = proptest::option::of(0_u64..130_000);
    (code, any::<bool>(), priority, threshold, delay, off).prop_map(
        |(code, is_low, priority, threshold, delay_ms, off_until_ms)| Change {
            code,
            side: if is_low { Side::Low } else { Side::High },
            priority,
            threshold,
            delay_ms,
            off_until_ms,
        },
    )
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn at_any_age_and_with_any_changes_the_set_passes_the_agents_own_bounds_and_survives_the_wire(
        gestation_days in 140_i64..322,
        age in 0_i64..731,
        oxygen in 0_usize..3,
        is_oscillated in any::<bool>(),
        changes in proptest::collection::vec(any_change(), 0..8),
    ) {
        let profiles = profiles();
        let name = if is_oscillated { "neonatal-hfov" } else { "neonatal" };
        let at = Circumstances { gestation_days, pma_days: gestation_days + age, oxygen: Oxygen::ALL[oxygen] };
        let found = resolve(&profiles.of_name(Some(name)).profile, &at, &changes, NOW_MS, &Envelope::neonatal());
        let sent = convert::limit_set_out(&found.set, "ana", name, "01");
        let taken = convert::limit_set(&sent).unwrap();
        prop_assert_eq!(&taken, &found.set);
        prop_assert_eq!(Envelope::neonatal().breaches(&taken), Vec::<String>::new());
        for limit in &taken.limits {
            let is_crossed = |other: &&cotside_protocol::model::Limit| {
                other.code == limit.code
                    && (limit.side, other.side) == (LimitSide::Low, LimitSide::High)
                    && limit.threshold.to_f64() >= other.threshold.to_f64()
            };
            prop_assert!(!taken.limits.iter().any(|other| is_crossed(&other)));
        }
        let extreme = |code| taken.limits.iter().any(|limit| limit.extreme && limit.code == Code(code));
        prop_assert!(extreme(HR) && extreme(SPO2) && taken.apnoea.is_some());
    }
}
