//! Scenarios a nurse could read and correct: a timeline, and below it every change of every alarm that it must bring.
//!
//! `+12s spo2 84` a value; `84!` marked invalid, `84?` questionable, `84a` unit assumed, `84s` a setting, `84t` trend, `84e` a single
//! measurement, `84d` demonstration, `--` none. `+5s link silent words`, `+5s store words|ok`, `+5s hub words|ok`. `+60s` lets time pass.

use super::{Engine, Input, LinkCondition, Policy};
use cotside_protocol::model::{
    Alarm, Code, Condition, Decimal, Kind, Limit, LimitSet, LimitSide, Mono, Now, Numeric, Pace, Priority,
    Quality, Site, Wall, parameter,
};
use std::fmt::Write as _;
use std::time::Duration;

const START: Now = Now { mono: Mono(1_000_000_000), wall: Wall(1_700_000_000_000_000) };

/// Every scenario watches these: SpO2 low 85 after 10 s, HR low 80 at once, NIBP mean low 25, EtCO2 low 10 after 5 s.
fn engine() -> Engine {
    let limit = |code, threshold, seconds, priority| Limit {
        delay: Duration::from_secs(seconds),
        priority,
        ..Limit::plain(
            Code(code),
            LimitSide::Low,
            Decimal::new(threshold, 0),
            parameter(Code(code)).unwrap().ucum,
        )
    };
    let limits = vec![
        limit(150_456, 85, 10, Priority::High),
        limit(147_842, 80, 0, Priority::High),
        limit(150_023, 25, 10, Priority::Medium),
        limit(151_728, 10, 5, Priority::High),
    ];
    let mut engine = Engine::new(
        Policy::default(),
        &["monitor", "oximeter"],
        LimitSet { limits, ..LimitSet::default() },
        vec![(Code(150_456), vec![1, 0])],
        0xc0de,
    );
    let earlier = Now { mono: Mono(START.mono.0 - 60_000_000), ..START };
    for link in [0, 1] {
        engine.handle(earlier, Input::Link { link, condition: LinkCondition::Live, words: "" });
    }
    while engine.poll().is_some() {}
    engine
}

fn check(script: &str, expected: &str) {
    let mut engine = engine();
    let mut log = String::new();
    let mut now = START;
    for line in script.lines().map(str::trim).filter(|line| !line.is_empty()) {
        let (at, rest) = line.split_once(' ').unwrap_or((line, ""));
        let at = START.after(cotside_protocol::device::parse_duration(&at[1..]).unwrap());
        while let Some(due) = engine.deadline(now.mono).filter(|due| *due <= at.mono) {
            now = now.after(due.since(now.mono).max(Duration::from_micros(1)));
            engine.handle(now, Input::Timeout);
            drain(&mut engine, now, &mut log);
        }
        now = at;
        step(&mut engine, now, rest);
        drain(&mut engine, now, &mut log);
    }
    let trimmed = |text: &str| text.trim().lines().map(str::trim).collect::<Vec<_>>().join("\n");
    assert_eq!(trimmed(&log), trimmed(expected), "\n{script}");
}

fn step(engine: &mut Engine, now: Now, words: &str) {
    let (what, rest) = words.split_once(' ').unwrap_or((words, ""));
    let state = |rest: &'static str| (rest != "ok").then_some(rest);
    match what {
        "" => engine.handle(now, Input::Timeout),
        "store" => engine.handle(now, Input::Store(state(String::from(rest).leak()))),
        "hub" => engine.handle(now, Input::Hub(state(String::from(rest).leak()).map_or(Ok(()), Err))),
        "limits" => engine.handle(now, Input::Limits(&LimitSet::default())),
        "link" | "link1" => {
            let (condition, words) = rest.split_once(' ').unwrap_or((rest, ""));
            let condition = match condition {
                "live" => LinkCondition::Live,
                "silent" => LinkCondition::Silent,
                "down" => LinkCondition::Down,
                "wrong" => LinkCondition::WrongDevice,
                _ => LinkCondition::Settling,
            };
            engine.handle(now, Input::Link { link: u8::from(what == "link1"), condition, words });
        }
        _ => {
            let numeric = numeric(what.trim_end_matches('1'), rest);
            engine.handle(now, Input::Numeric { link: u8::from(what.ends_with('1')), numeric: &numeric });
        }
    }
}

fn numeric(label: &str, text: &str) -> Numeric {
    let code = match label {
        "hr" => 147_842,
        "spo" | "spo2" => 150_456,
        "nibp" => 150_023,
        "etco" | "etco2" => 151_728,
        other => panic!("{other}?"),
    };
    let digits = text.trim_end_matches(|c: char| !c.is_ascii_digit());
    let marks = &text[digits.len()..];
    let mut quality = Quality::GOOD;
    for (mark, meaning) in [
        ('!', Quality::INVALID),
        ('?', Quality::QUESTIONABLE),
        ('a', Quality::UCUM_ASSUMED),
        ('d', Quality::DEMO),
    ] {
        if marks.contains(mark) {
            quality = quality.with(meaning);
        }
    }
    let ucum = if marks.contains('k') { "kPa" } else { parameter(Code(code)).unwrap().ucum };
    Numeric {
        code: Code(code),
        site: Site::Unspecified,
        value: Decimal::parse(digits),
        ucum,
        quality,
        kind: if marks.contains('s') { Kind::Setting } else { Kind::Measurement },
        pace: match marks {
            "t" => Pace::Trend,
            "e" => Pace::Episodic,
            _ => Pace::Continuous,
        },
        device_at: None,
        lag: if marks.contains('l') { Duration::from_secs(20) } else { Duration::ZERO },
    }
}

fn drain(engine: &mut Engine, now: Now, log: &mut String) {
    while let Some(alarm) = engine.poll() {
        let at = now.mono.since(START.mono);
        writeln!(log, "{}", line(at, &alarm)).unwrap();
    }
}

fn line(at: Duration, alarm: &Alarm) -> String {
    let condition = match alarm.condition {
        Condition::Inactive if alarm.active_at.is_none() => "withdrawn",
        Condition::Inactive => "ended",
        Condition::Delaying => "delaying",
        Condition::Active => "active",
        Condition::Latched => "latched",
    };
    format!(
        "+{}s {condition} {:?} {} v{}: {}",
        at.as_secs_f64(),
        alarm.priority,
        alarm.rule,
        alarm.version,
        alarm.text
    )
}

#[test]
fn a_value_below_its_limit_for_the_whole_delay_alarms_and_ends() {
    check(
        "+0s spo2 97
         +5s spo2 82
         +10s spo2 83
         +14s spo2 81
         +18s spo2 80
         +20s spo2 92",
        "+5s delaying High limit-low v1: SpO2 82 < 85
         +14s delaying High limit-low v2: SpO2 81 < 85
         +15s active High limit-low v3: SpO2 81 < 85
         +18s active High limit-low v4: SpO2 80 < 85
         +20s ended High limit-low v5: SpO2 80 < 85",
    );
}

#[test]
fn a_short_dip_is_withdrawn_before_it_sounds() {
    check(
        "+0s spo2 84
         +4s spo2 86",
        "+0s delaying High limit-low v1: SpO2 84 < 85
         +4s withdrawn High limit-low v2: SpO2 84 < 85",
    );
}

#[test]
fn h1_a_heart_that_stops_alarms_at_once() {
    check("+0s hr 120\n+1s hr 0", "+1s active High limit-low v1: HR 0 < 80");
}

#[test]
fn h1_breath_that_stops_alarms_after_its_delay() {
    check(
        "+0s etco2 40\n+1s etco2 0\n+6s",
        "+1s delaying High limit-low v1: EtCO2 0 < 10\n+6s active High limit-low v2: EtCO2 0 < 10",
    );
}

#[test]
fn h1_a_value_that_turns_invalid_keeps_its_running_delay_and_is_then_missed() {
    check(
        "+0s spo2 80
         +4s spo2 --
         +8s spo2 60!
         +30s spo2 --",
        "+0s delaying High limit-low v1: SpO2 80 < 85
         +10s active Medium not-measured v1: SpO2 not measured
         +10s active High limit-low v2: SpO2 80 < 85",
    );
}

#[test]
fn h1_an_episode_outlives_its_values() {
    check(
        "+0s hr 60
         +11s
         +20s hr 130",
        "+0s active High limit-low v1: HR 60 < 80
         +10s active Medium not-measured v1: HR not measured
         +20s ended Medium not-measured v2: HR not measured
         +20s ended High limit-low v2: HR 60 < 80",
    );
}

#[test]
fn h11_a_value_late_by_the_devices_own_clock_is_old_when_it_comes() {
    check("+0s hr 60l\n+1s hr 60l", "+0s active Medium not-measured v1: HR not measured");
}

#[test]
fn h11_a_trend_never_alarms_as_if_continuous() {
    check("+0s hr 60t\n+30s hr 50t\n+90s", "");
}

#[test]
fn h15_an_assumed_unit_a_setting_and_a_demonstration_raise_no_limit() {
    check("+0s hr 60a\n+1s hr 60s\n+60s", "");
}

#[test]
fn h13_a_device_in_demo_mode_is_an_alarm_of_its_own_while_it_lasts() {
    check(
        "+0s hr 60d\n+5s hr 60d\n+20s",
        "+0s active High device-demo v1: monitor in demo mode: values are not the patient's
         +20s ended High device-demo v2: monitor in demo mode: values are not the patient's",
    );
}

#[test]
fn h15_a_limit_in_another_unit_is_said_not_to_be_applied() {
    check(
        "+0s etco2 5k\n+1s etco2 38",
        "+0s active Medium limit-not-applied v1: EtCO2: limit in mm[Hg] not applied, device in kPa
         +1s ended Medium limit-not-applied v2: EtCO2: limit in mm[Hg] not applied, device in kPa",
    );
}

#[test]
fn one_cuff_measurement_alarms_at_once_and_stands_until_it_is_old() {
    check(
        "+0s nibp 20e\n+901s",
        "+0s active Medium limit-low v1: NIBP mean 20 < 25\n+900s ended Medium limit-low v2: NIBP mean 20 < 25",
    );
}

#[test]
fn a_lost_link_speaks_for_its_parameters_and_clears_nothing() {
    check(
        "+0s hr 60
         +3s link silent nothing heard for 3 s
         +40s link connecting opening
         +41s link live
         +41s hr 150",
        "+0s active High limit-low v1: HR 60 < 80
         +3s active Medium link-lost v1: monitor lost: nothing heard for 3 s
         +41s ended Medium link-lost v2: monitor lost: nothing heard for 3 s
         +41s ended High limit-low v2: HR 60 < 80",
    );
}

#[test]
fn a_blink_of_the_cable_is_no_alarm_and_a_break_is() {
    check(
        "+0s link down unplugged?
         +400ms link connecting opening
         +450ms link live
         +2s link down unplugged?
         +3s",
        "+0s delaying Medium link-lost v1: monitor lost: unplugged?
         +0.45s withdrawn Medium link-lost v2: monitor lost: unplugged?
         +2s delaying Medium link-lost v1: monitor lost: unplugged?
         +2.5s active Medium link-lost v2: monitor lost: unplugged?",
    );
}

#[test]
fn h2_a_strange_device_is_called_out_at_once() {
    check(
        "+0s link wrong serial 7 is not 5\n+9s link live",
        "+0s active High wrong-device v1: WRONG DEVICE? monitor: serial 7 is not 5
         +9s ended High wrong-device v2: WRONG DEVICE? monitor: serial 7 is not 5",
    );
}

#[test]
fn the_preferred_channel_decides_while_it_is_fresh_and_the_other_takes_over() {
    check(
        "+0s spo2 80
         +1s spo21 97
         +9s spo2 80
         +20s spo2 80",
        "+0s delaying High limit-low v1: SpO2 80 < 85
         +1s withdrawn High limit-low v2: SpO2 80 < 85
         +11s delaying High limit-low v1: SpO2 80 < 85
         +19s active Medium not-measured v1: SpO2 not measured
         +20s ended Medium not-measured v2: SpO2 not measured",
    );
}

#[test]
fn h8_losing_the_hub_starts_quietly_and_rises() {
    check(
        "+0s hub no answer\n+100s hub ok",
        "+0s delaying Low hub-lost v1: NO CENTRAL MONITORING: no answer
         +8s active Low hub-lost v2: NO CENTRAL MONITORING: no answer
         +60s active Medium hub-lost v3: NO CENTRAL MONITORING: no answer
         +100s ended Medium hub-lost v4: NO CENTRAL MONITORING: no answer",
    );
}

#[test]
fn h12_what_is_not_recorded_is_said_and_withdrawn() {
    check(
        "+0s store NOT RECORDED: no disk. It was there yesterday.\n+5s store ok",
        "+0s active Medium store-trouble v1: NOT RECORDED: no disk.
         +5s ended Medium store-trouble v2: NOT RECORDED: no disk.",
    );
}

#[test]
fn another_set_of_limits_ends_the_episodes_of_the_old_one() {
    check(
        "+0s hr 60\n+5s limits",
        "+0s active High limit-low v1: HR 60 < 80\n+5s ended High limit-low v2: HR 60 < 80",
    );
}

#[test]
fn h9_what_a_restart_cut_off_alarms_at_once_if_it_still_holds() {
    let mut before = engine();
    before.handle(START, Input::Numeric { link: 0, numeric: &numeric("spo2", "80") });
    let kept = before.kept();
    assert_eq!(kept, "150456 - low high\n");
    let after = |value: &str| {
        let mut engine = engine();
        engine.resume(START, &kept);
        assert_eq!(engine.kept(), kept, "a crash loop shorter than the delay forgets nothing");
        engine.handle(START, Input::Numeric { link: 0, numeric: &numeric("spo2", value) });
        (engine.poll().map(|alarm| alarm.condition), engine.kept())
    };
    assert_eq!(after("82"), (Some(Condition::Active), kept.clone()));
    assert_eq!(after("95"), (None, String::new()));
}

#[test]
fn episodes_are_unique_within_a_boot_and_between_boots() {
    let mut engine = engine();
    let mut ids = Vec::new();
    for value in ["60", "130", "60", "130"] {
        engine.handle(START, Input::Numeric { link: 0, numeric: &numeric("hr", value) });
        while let Some(alarm) = engine.poll() {
            ids.push(alarm.episode.0);
        }
    }
    assert!(ids[0] == ids[1] && ids[2] == ids[3] && ids[0] != ids[2]);
    assert!(ids.iter().all(|id| id >> 32 == 0xc0de));
}
