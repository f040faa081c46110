//! A bed on paper: the lines of a scenario played against an engine, and what it brings as lines.
//!
//! ```text
//! watch spo2 low 85 after 10s high [latching] [extreme] [hysteresis 2] [depth 15 after 2s]     what the bed's limits are
//! watch apnoea after 20s accompanied 10s high    watch rate spo2 falls 15 within 60s medium
//! watch combined hr 80 for 4s spo2 80 for 10s window 30s high
//! +12s spo2 84          a value: 84! invalid, 84? questionable, 84a unit assumed, 84k in kPa, 84s a setting, 84t trend, 84e single,
//!                       84d demonstration, 84l late by 20 s, -- none; `oximeter.spo2` of the other link, `spo2#2` of a second sensor
//! +5s link silent words (live, down, connecting, wrong), oximeter.link ..; alert high ***BRADY, alert end ***BRADY, fault low LEADS OFF
//! +5s hub|store|clock|refused|undelivered words or ok; limits-reset; turn-over; restart 30s (down for so long)
//! +5s Ada acks limit-low [v2] (limit-low@85: of several that of this limit), resets limit-low, pauses 60s, unpauses, stands-by 600s, returns, accepts
//! +60s                  time passes; `watch` after the first `+` is a new set of limits, `watch nothing` an empty one
//! ```
//!
//! In what follows `=>`, a condition with an exclamation mark asks for attention anew.

use super::super::{Act, Engine, Input, LinkCondition, Policy};
use cotside_protocol::model::{
    Alarm, Alert, AlertPhase, Apnoea, Code, Combined, Condition, Decimal, Depth, DeviceText, Inactivation,
    Kind, Limit, LimitSet, LimitSide, Mono, Now, Numeric, Pace, Priority, Quality, Rate, Site, Wall,
    parameter,
};
use std::fmt::Write as _;
use std::time::Duration;

pub(in super::super) const START: Now = Now { mono: Mono(1_000_000_000), wall: Wall(1_700_000_000_000_000) };

/// One bed and what is known of it.
pub(in super::super) struct Scene {
    pub(in super::super) engine: Engine,
    set: LimitSet,
    now: Now,
    log: String,
    boot: u32,
}

impl Scene {
    pub(super) fn play(script: &str) -> String {
        let mut lines: Vec<&str> = script
            .lines()
            .map(str::trim)
            .skip_while(|line| !line.is_empty())
            .filter(|line| !line.is_empty())
            .collect();
        let first = lines.iter().position(|line| line.starts_with('+')).unwrap_or(0);
        let mut set = LimitSet::default();
        lines.drain(..first).for_each(|line| watch(&mut set, line.strip_prefix("watch ").unwrap()));
        let mut scene = Self { engine: engine(&set, 0, START), set, now: START, log: String::new(), boot: 0 };
        for line in lines {
            let (at, rest) = line.split_once(' ').unwrap_or((line, ""));
            scene.pass(START.after(parse_duration(&at[1..]).unwrap()));
            scene.step(rest.trim());
            scene.drain();
        }
        if scene.log.is_empty() { "silence\n".to_owned() } else { scene.log }
    }

    /// Time alone, as the agent lets it pass.
    fn pass(&mut self, to: Now) {
        while let Some(due) = self.engine.deadline(self.now.mono).filter(|due| *due <= to.mono) {
            self.now = self.now.after(due.since(self.now.mono).max(Duration::from_micros(1)));
            self.engine.handle(self.now, Input::Timeout);
            self.drain();
        }
        self.now = to;
    }

    fn step(&mut self, words: &str) {
        let (place, words) = match words.split_once('.').filter(|(place, _)| *place == "oximeter") {
            Some((_, rest)) => (1, rest),
            None => (0, words),
        };
        let (what, rest) = words.split_once(' ').unwrap_or((words, ""));
        let state = (rest != "ok").then_some(rest);
        let input = match what {
            "" => Input::Timeout,
            "store" => Input::Store(state),
            "clock" => Input::Clock(state),
            "refused" => Input::LimitsRefused(state),
            "undelivered" => Input::Undelivered(state),
            "hub" => Input::Hub(state.map_or(Ok(()), Err)),
            "limits-reset" => Input::LimitsReset(true),
            "turn-over" => Input::TurnOver,
            "link" => return self.link(place, rest),
            "alert" | "fault" => return self.alert(place, what == "fault", rest),
            "restart" => return self.restart(parse_duration(rest).unwrap()),
            "watch" => {
                self.set = LimitSet { version: self.set.version + 1, ..LimitSet::default() };
                rest.split("; ").filter(|row| *row != "nothing").for_each(|row| watch(&mut self.set, row));
                return self.engine.handle(self.now, Input::Limits(&self.set));
            }
            who if who.starts_with(char::is_uppercase) => return self.act(who, rest),
            label => {
                let numeric = numeric(label, rest);
                return self.engine.handle(self.now, Input::Numeric { link: place, numeric: &numeric });
            }
        };
        self.engine.handle(self.now, input);
    }

    fn link(&mut self, link: u8, words: &str) {
        let (condition, words) = words.split_once(' ').unwrap_or((words, ""));
        let condition = match condition {
            "live" => LinkCondition::Live,
            "silent" => LinkCondition::Silent,
            "down" => LinkCondition::Down,
            "wrong" => LinkCondition::WrongDevice,
            "connecting" => LinkCondition::Settling,
            other => panic!("{other}?"),
        };
        self.engine.handle(self.now, Input::Link { link, condition, words });
    }

    fn alert(&mut self, link: u8, technical: bool, words: &str) {
        let (level, text) = words.split_once(' ').unwrap();
        let alert = Alert {
            code: text.bytes().map(u32::from).sum(),
            source: None,
            priority: priority(level).unwrap_or(Priority::High),
            text: text.into(),
            phase: if level == "end" { AlertPhase::Ended } else { AlertPhase::Present },
            technical,
        };
        self.engine.handle(self.now, Input::Alert { link, alert: &alert });
    }

    /// The agent dies and starts again, knowing what it kept. Its monotonic clock is the machine's.
    fn restart(&mut self, down: Duration) {
        let kept = self.engine.kept();
        self.now = self.now.after(down);
        self.boot += 1;
        self.engine = engine(&self.set, self.boot, self.now);
        self.engine.resume(self.now, &kept);
        let at = self.now.mono.since(START.mono).as_secs_f64();
        writeln!(self.log, "+{at}s -- started again --").unwrap();
    }

    fn act(&mut self, who: &str, words: &str) {
        let mut words = words.split(' ');
        let (act, first) = (words.next().unwrap(), words.next().unwrap_or_default());
        let span = || parse_duration(first).unwrap();
        let (rule, limit) = first.split_once('@').map_or((first, None), |(rule, limit)| (rule, Some(limit)));
        let is_meant = |alarm: &Alarm| {
            alarm.rule == rule
                && limit.is_none_or(|limit| alarm.limit.is_some_and(|is| is.to_string() == limit))
        };
        let open = self.engine.open().find(is_meant);
        let version = words.next().map(|version| version[1..].parse().unwrap());
        let episode = open.as_ref().map_or(cotside_protocol::model::EpisodeId(0), |alarm| alarm.episode);
        let version = version.or(open.map(|alarm| alarm.version)).unwrap_or(1);
        let act = match act {
            "acks" => Act::Acknowledge { episode, version },
            "resets" => Act::Reset { episode, version },
            "pauses" => Act::PauseAudio(span()),
            "unpauses" => Act::EndPause,
            "stands-by" => Act::Standby(span(), "procedure".into()),
            "returns" => Act::EndStandby,
            "accepts" => Act::AcceptLimits,
            other => panic!("{other}?"),
        };
        if let Err(refused) = self.engine.act(self.now, &DeviceText::new(who), &act) {
            let at = self.now.mono.since(START.mono).as_secs_f64();
            writeln!(self.log, "+{at}s {who} refused: {refused:?}").unwrap();
        }
    }

    fn drain(&mut self) {
        while let Some(alarm) = self.engine.poll() {
            let at = self.now.mono.since(START.mono).as_secs_f64();
            writeln!(self.log, "+{at}s {}", line(&alarm)).unwrap();
        }
    }
}

pub(in super::super) fn engine(set: &LimitSet, boot: u32, now: Now) -> Engine {
    let preferences = vec![(Code(150_456), vec![1, 0])];
    let mut engine = Engine::new(Policy::default(), &["monitor", "oximeter"], set.clone(), preferences, boot);
    let earlier = Now { mono: Mono(now.mono.0.saturating_sub(10_000_001)), ..now };
    for link in [0, 1] {
        engine.handle(earlier, Input::Link { link, condition: LinkCondition::Live, words: "" });
    }
    while engine.poll().is_some() {}
    engine
}

/// One row of a set of limits.
pub(in super::super) fn watch(set: &mut LimitSet, row: &str) {
    let words: Vec<&str> = row.split_whitespace().collect();
    let after = |word: &str| words.iter().position(|of| *of == word).map(|at| words[at + 1]);
    let span = |word: &str| after(word).map_or(Duration::ZERO, |text| parse_duration(text).unwrap());
    let number = |text: &str| Decimal::parse(text).unwrap();
    // The level is the last word that can be one: `low` is a side too.
    let level = words.iter().rev().find_map(|word| priority(word)).unwrap_or_else(|| panic!("{row}?"));
    match words[0] {
        "apnoea" => {
            let (after, accompanied) = (span("after"), span("accompanied"));
            set.apnoea = Some(Apnoea { after, accompanied, priority: level });
        }
        "combined" => {
            set.combined = Some(Combined {
                bradycardia: (number(words[2]), parse_duration(words[4]).unwrap()),
                desaturation: (number(words[6]), parse_duration(words[8]).unwrap()),
                window: span("window"),
                priority: level,
            });
        }
        "rate" => set.rates.push(Rate {
            code: code(words[1]),
            side: if words[2] == "falls" { LimitSide::Low } else { LimitSide::High },
            by: number(words[3]),
            ucum: parameter(code(words[1])).unwrap().ucum,
            within: span("within"),
            priority: level,
        }),
        label => {
            let side = if words[1] == "low" { LimitSide::Low } else { LimitSide::High };
            let ucum = parameter(code(label)).unwrap().ucum;
            let depth = words.iter().position(|word| *word == "depth").map(|at| Depth {
                full: number(words[at + 1]),
                delay: parse_duration(words[at + 3]).unwrap(),
            });
            set.limits.push(Limit {
                delay: span("after"),
                priority: level,
                hysteresis: after("hysteresis").map_or(Decimal::new(0, 0), number),
                depth,
                latching: words.contains(&"latching"),
                extreme: words.contains(&"extreme"),
                ..Limit::plain(code(label), side, number(words[2]), ucum)
            });
        }
    }
}

/// `500ms`, `20s`.
fn parse_duration(text: &str) -> Option<Duration> {
    match text.strip_suffix("ms") {
        Some(millis) => millis.parse().ok().map(Duration::from_millis),
        None => text.strip_suffix('s')?.parse().ok().map(Duration::from_secs),
    }
}

fn priority(word: &str) -> Option<Priority> {
    let words = [
        ("advisory", Priority::Advisory),
        ("low", Priority::Low),
        ("medium", Priority::Medium),
        ("high", Priority::High),
    ];
    words.into_iter().find(|(of, _)| *of == word).map(|(_, priority)| priority)
}

fn code(label: &str) -> Code {
    Code(match label {
        "hr" => 147_842,
        "pr" => 149_530,
        "spo2" => 150_456,
        "nibp" => 150_023,
        "etco2" => 151_728,
        "rr" => 151_578,
        "awrr" => 151_570,
        "vent-rr" => 151_586,
        other => panic!("{other}?"),
    })
}

pub(in super::super) fn numeric(label: &str, text: &str) -> Numeric {
    let (label, site) = match label.split_once('#') {
        Some((label, number)) => (label, Site::Numbered(number.parse().unwrap())),
        None => (label, Site::Unspecified),
    };
    let code = code(label);
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
    Numeric {
        code,
        site,
        value: Decimal::parse(digits),
        ucum: if marks.contains('k') { "kPa" } else { parameter(code).unwrap().ucum },
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

fn line(alarm: &Alarm) -> String {
    let condition = match alarm.condition {
        Condition::Inactive => alarm.ended.map_or_else(String::new, |why| format!("over ({why:?})")),
        condition => format!("{condition:?}").to_lowercase(),
    };
    let mark = if alarm.attention == alarm.version { "!" } else { "" };
    let level = format!("{:?}", alarm.priority).to_lowercase();
    let parts = alarm.parts.iter().map(DeviceText::as_str).collect::<Vec<_>>().join(", ");
    let parts = if parts.is_empty() { parts } else { format!(" [{parts}]") };
    let silent = match &alarm.inactivation {
        Inactivation::Enabled => String::new(),
        Inactivation::Acknowledged { by, .. } => format!(" | acknowledged by {by}"),
        Inactivation::AudioPaused { until, by } => {
            let until = (until.0 - START.wall.0) as f64 / 1e6;
            format!(" | silent until +{until}s by {by}")
        }
    };
    let (rule, version, text) = (alarm.rule, alarm.version, &alarm.text);
    format!("{condition}{mark} {level} {rule} v{version}: {text}{parts}{silent}")
}
