//! Scenarios that a nurse can read and correct: `scenarios/*.txt`. Each says the clinical need that it serves, then what happens at
//! the bed, then after `=>` every change of every alarm that it must bring. `BLESS=1` writes the changes that it brings now.

pub(super) mod scene;

use super::{Policy, Rule};
use scene::Scene;
use std::path::PathBuf;
use std::time::Duration;

const EXPECTED: &str = "=>";

macro_rules! scenarios {
    ($($name:ident)*) => {
        const NAMES: &[&str] = &[$(stringify!($name)),*];
        $(#[test]
        fn $name() {
            check(stringify!($name));
        })*
    };
}

scenarios! {
    a_bed_without_limits_is_silent_and_says_when_its_cable_is_out
    a_blink_of_the_cable_is_no_alarm_and_a_break_is
    a_clock_that_is_not_set_is_said_after_the_network_had_its_chance
    a_desaturation_that_deepens_while_it_waits_waits_less
    a_devices_alert_is_passed_on_with_its_own_words_and_priority
    a_devices_alert_that_rises_asks_anew
    a_devices_technical_fault_is_a_technical_alarm
    a_fast_fall_alarms_before_the_limit_is_reached
    a_fast_rise_alarms_and_ends_when_its_span_has_passed
    a_latching_alarm_stays_until_a_person_has_seen_it
    a_link_lost_in_a_pause_is_heard
    a_lost_link_speaks_for_its_parameters_and_clears_nothing
    a_part_that_alarmed_by_itself_joins_the_event
    a_pause_can_be_ended_early
    a_pause_of_breath_shorter_than_its_time_calls_nobody
    a_pause_of_more_than_two_minutes_is_refused
    a_short_dip_is_withdrawn_before_it_sounds
    a_slow_fall_is_no_fast_one
    a_third_part_asks_for_attention_though_the_event_was_acknowledged
    a_value_above_its_limit_alarms
    a_value_at_its_limit_is_within_it
    a_value_below_its_limit_for_the_whole_delay_alarms_and_ends
    a_value_that_dances_around_its_limit_is_one_alarm
    a_ventilators_own_strokes_do_not_hide_an_apnoea
    a_wider_limit_ends_the_alarm_that_it_no_longer_makes
    an_acknowledged_latching_alarm_ends_by_itself
    an_acknowledgement_silences_one_alarm_and_a_reminder_asks_again
    an_airway_without_breath_is_an_apnoea_though_the_chest_moves
    an_alarm_that_holds_cannot_be_reset
    an_alarm_that_is_over_cannot_be_acknowledged
    an_alert_outlives_its_link_and_a_person_ends_what_the_device_does_not_repeat
    an_alert_that_the_device_repeats_after_a_break_goes_on
    an_apnoea_that_comes_in_a_pause_is_heard_and_one_that_was_seen_is_silent
    an_event_is_never_milder_than_its_parts
    an_extreme_is_never_held_back_by_a_pause
    an_extreme_limit_beside_an_ordinary_one_of_the_same_priority_alarms_at_once
    another_set_of_limits_ends_the_alarms_of_the_old_one
    another_set_with_the_same_limit_keeps_its_alarm
    apnoea_bradycardia_and_desaturation_are_one_alarm
    extremes_escalate_the_event
    h10_a_bed_without_a_breath_signal_says_that_apnoea_is_not_monitored
    h10_a_change_of_the_device_is_no_change_of_the_baby
    h10_a_monitor_that_tells_of_apnoeas_watches_them
    h11_a_continuous_value_older_than_ten_seconds_is_missed
    h11_a_trend_never_alarms_as_if_continuous
    h11_a_value_late_by_the_devices_own_clock_is_old_when_it_comes
    h12_what_is_not_recorded_is_said_and_withdrawn
    h13_demonstration_raises_no_limit_and_is_an_alarm_of_its_own_while_it_lasts
    h15_a_limit_in_another_unit_is_said_not_to_be_applied
    h15_a_setting_is_no_measurement
    h15_an_assumed_unit_raises_no_limit
    h16_the_second_to_acknowledge_sees_the_first
    h1_a_heart_that_stops_alarms_at_once
    h1_a_questionable_value_still_alarms
    h1_a_value_that_turns_invalid_keeps_its_running_delay_and_is_then_missed
    h1_an_episode_outlives_its_values
    h1_an_invalid_value_says_why_it_is_missed
    h1_breath_that_becomes_unknown_during_an_apnoea_keeps_it_running
    h1_breath_that_stops_alarms_after_its_delay
    h2_a_strange_device_is_called_out_at_once
    h2_another_patient_ends_everything_of_the_last_one
    h4_limits_that_were_refused_are_said
    h4_limits_that_were_reset_are_said_until_a_nurse_accepts_them
    h5_an_alarm_that_nobody_confirmed_is_told_at_the_bed_at_once
    h6_a_higher_alarm_breaks_through_a_pause
    h6_a_new_alarm_sounds_though_another_is_acknowledged
    h6_an_acknowledged_value_that_worsens_by_ten_points_asks_anew
    h6_an_acknowledgement_of_an_older_state_is_refused
    h7_a_pause_silences_the_bed_and_ends_by_itself
    h8_a_flood_of_alarms_is_said_and_none_is_lost
    h8_losing_the_hub_starts_quietly_and_rises
    h9_a_combined_event_survives_a_restart
    h9_a_crash_loop_shorter_than_every_delay_still_alarms
    h9_a_missing_value_is_still_missed_after_a_restart
    h9_a_pause_survives_a_restart_and_never_its_end
    h9_an_acknowledgement_survives_a_restart_and_its_reminder_too
    h9_limits_that_were_reset_are_still_to_be_accepted_after_a_restart
    h9_standby_and_what_is_latched_survive_a_restart
    h9_what_was_alarming_over_a_restart_goes_on_as_the_same_alarm
    h9_what_was_delaying_over_a_restart_alarms_at_once_if_it_still_holds
    h9_what_was_delaying_over_a_restart_and_holds_no_more_is_on_record
    limits_of_two_priorities_watch_one_value
    one_cuff_measurement_alarms_at_once_and_stands_until_it_is_old
    one_part_alone_is_no_event
    parts_that_follow_within_the_window_belong_together
    parts_too_far_apart_are_two_alarms
    standby_ends_by_itself
    standby_holds_back_no_extreme_no_apnoea_and_no_lost_link
    standby_holds_back_the_patients_alarms_and_shows_them
    standby_of_more_than_an_hour_is_refused
    the_deeper_a_desaturation_the_shorter_the_wait
    the_devices_apnoea_alert_is_the_apnoea_at_once
    the_preferred_sensor_decides_while_it_is_fresh_and_the_other_takes_over
    to_acknowledge_what_is_latched_ends_it
    twenty_seconds_without_breath_are_an_apnoea
    two_rows_for_one_side_are_one_alarm_with_the_shorter_wait
    two_sensors_at_two_sites_alarm_for_themselves
    what_has_not_yet_sounded_can_be_acknowledged_and_asks_again_when_it_sounds
    what_was_latched_and_is_true_again_asks_anew_as_the_same_alarm
    whoever_has_seen_the_graver_alarm_has_seen_the_milder
    whoever_has_seen_the_milder_alarm_has_not_seen_the_graver
    with_bradycardia_ten_seconds_without_breath_are_enough
    within_the_hysteresis_no_alarm_begins
    without_an_apnoea_rule_the_devices_apnoea_alert_is_passed_on_as_any_other
}

fn directory() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("src/alarm/scenarios")
}

fn check(name: &str) {
    let path = directory().join(format!("{name}.txt"));
    let text = std::fs::read_to_string(&path).unwrap();
    let script = text.split_once(EXPECTED).map_or(text.as_str(), |(script, _)| script).trim_end();
    let log = Scene::play(script);
    let now = format!("{script}\n\n{EXPECTED}\n{log}");
    if std::env::var_os("BLESS").is_some() {
        std::fs::write(&path, now).unwrap();
    } else {
        assert!(text == now, "{name}: it brings this now (BLESS=1 keeps it)\n{now}");
    }
}

#[test]
fn every_scenario_has_a_test_a_need_a_timeline_and_an_expectation() {
    let files = std::fs::read_dir(directory()).unwrap().map(|entry| entry.unwrap().path());
    let files = files.filter(|path| path.extension().is_some_and(|extension| extension == "txt"));
    let mut count = 0;
    for path in files {
        count += 1;
        let name = path.file_stem().unwrap().to_str().unwrap().to_owned();
        assert!(NAMES.contains(&name.as_str()), "{name} has no test");
        let text = std::fs::read_to_string(path).unwrap();
        let need = text.lines().take_while(|line| !line.is_empty()).collect::<String>();
        assert!(need.ends_with('.') && need.len() > 40, "{name} does not say which need it serves");
        let (script, expected) =
            text.split_once(EXPECTED).unwrap_or_else(|| panic!("{name} expects nothing"));
        assert!(script.lines().any(|line| line.starts_with('+')), "{name} has no timeline");
        let says = expected.trim();
        assert!(says == "silence" || says.starts_with('+'), "{name} expects nothing");
    }
    assert_eq!(count, NAMES.len());
    assert!(count >= 60);
}

/// The hazards that this engine answers, wholly or in part; of each there is a scenario.
const HAZARDS: [u8; 13] = [1, 2, 4, 5, 6, 7, 8, 9, 10, 11, 13, 15, 16];

#[test]
fn the_page_on_alarms_names_every_rule_every_number_and_every_scenario_of_a_hazard() {
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../docs/alarms.md");
    let page = std::fs::read_to_string(&path).unwrap();
    for name in Rule::NAMES {
        assert!(page.contains(&format!("`{name}`")), "the page does not explain {name}");
    }
    for (name, value) in numbers(&Policy::default()) {
        assert!(
            page.contains(&format!("| `{name}` | {value} |")),
            "the page does not say that {name} is {value}"
        );
    }
    let (head, rest) = page.split_once("<!-- hazards -->\n").unwrap();
    let (_, tail) = rest.split_once("<!-- end -->").unwrap();
    let now = format!("{head}<!-- hazards -->\n{}<!-- end -->{tail}", by_hazard());
    if std::env::var_os("BLESS").is_some() {
        std::fs::write(&path, now).unwrap();
    } else {
        assert!(page == now, "the page's list of scenarios is not that of the folder (BLESS=1 writes it)");
    }
}

fn numbers(policy: &Policy) -> Vec<(&'static str, String)> {
    let span = |span: Duration| match span.as_millis() {
        millis if millis < 1_000 => format!("{millis} ms"),
        millis => format!("{} s", millis / 1_000),
    };
    vec![
        ("fresh_for", span(policy.fresh_for)),
        ("episodic_stands", span(policy.episodic_stands)),
        ("link_settles", span(policy.link_settles)),
        ("link_blinks", span(policy.link_blinks)),
        ("hub_lease", span(policy.hub_lease)),
        ("hub_lost_rises_after", span(policy.hub_lost_rises_after)),
        ("clock_settles", span(policy.clock_settles)),
        ("pause_max", span(policy.pause_max)),
        ("standby_max", span(policy.standby_max)),
        ("reminder", span(policy.reminder)),
        ("alert_said_again", span(policy.alert_said_again)),
        ("apnoea_unmonitored_after", span(policy.apnoea_unmonitored_after)),
        ("flood_within", span(policy.flood_within)),
        ("flood_above", policy.flood_above.to_string()),
    ]
}

fn by_hazard() -> String {
    let of = |hazard: u8| NAMES.iter().filter(move |name| name.starts_with(&format!("h{hazard}_")));
    assert!(HAZARDS.iter().all(|hazard| of(*hazard).count() > 0), "a hazard without a scenario");
    let mut rows = String::from("| | scenarios |\n|---|---|\n");
    for hazard in 1..=16 {
        let names: Vec<String> = of(hazard).map(|name| format!("`{name}`")).collect();
        if !names.is_empty() {
            rows += &format!("| H{hazard} | {} |\n", names.join(", "));
        }
    }
    rows
}
