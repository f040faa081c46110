//! Keeps one program signalling: the latest state goes to it, one that hangs is ended, one that ends is started again, and as long as
//! there is none that is an alarm.

use crate::backoff::Backoff;
use cotside_protocol::model::Mono;
use std::time::Duration;

const WAIT_MIN: Duration = Duration::from_millis(500);
const WAIT_MAX: Duration = Duration::from_secs(30);
/// A line that it does not read within this hangs it.
const TAKEN_WITHIN: Duration = Duration::from_secs(2);
/// One that lives this long is well.
const STEADY_AFTER: Duration = Duration::from_secs(5);

#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Input {
    /// What it should know now.
    Say(String),
    Started,
    /// It could not be started, in words.
    NotStarted(String),
    /// It has read the line.
    Taken,
    /// It is gone, in words.
    Ended(String),
    Timeout,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Output {
    Start,
    Write(String),
    Kill,
    /// Words for the alarm; None: it signals.
    Trouble(Option<String>),
    /// None: nothing to do until something happens.
    Wait(Option<Mono>),
}

#[derive(Debug)]
enum Phase {
    /// To be started at this moment.
    Down {
        until: Mono,
    },
    Starting,
    Up {
        since: Mono,
        writing: Option<Mono>,
        is_killed: bool,
    },
}

#[derive(Debug)]
pub(super) struct Hook {
    phase: Phase,
    line: String,
    /// The present line was given to the present program.
    is_said: bool,
    trouble: Option<String>,
    told: Option<String>,
    backoff: Backoff,
}

impl Hook {
    pub(super) fn new(now: Mono, line: String, seed: u64) -> Self {
        Self {
            phase: Phase::Down { until: now },
            line,
            is_said: false,
            trouble: None,
            told: None,
            backoff: Backoff::new(WAIT_MIN, WAIT_MAX, seed),
        }
    }

    pub(super) fn handle(&mut self, now: Mono, input: Input) {
        match input {
            Input::Say(line) => {
                self.is_said &= line == self.line;
                self.line = line;
            }
            Input::Started => {
                self.is_said = false;
                self.phase = Phase::Up { since: now, writing: None, is_killed: false };
            }
            Input::NotStarted(words) | Input::Ended(words) => {
                self.phase = Phase::Down { until: now + self.backoff.next() };
                self.trouble = Some(words);
            }
            Input::Taken => {
                if let Phase::Up { writing, .. } = &mut self.phase {
                    *writing = None;
                }
            }
            Input::Timeout => {}
        }
    }

    /// Drain until `Wait`.
    pub(super) fn poll(&mut self, now: Mono) -> Output {
        if let Phase::Up { since, writing: None, .. } = self.phase
            && now.since(since) >= STEADY_AFTER
        {
            self.backoff.reset();
            self.trouble = None;
        }
        if self.told != self.trouble {
            self.told.clone_from(&self.trouble);
            return Output::Trouble(self.trouble.clone());
        }
        match &mut self.phase {
            Phase::Down { until } if *until <= now => {
                self.phase = Phase::Starting;
                Output::Start
            }
            Phase::Down { until } => Output::Wait(Some(*until)),
            Phase::Up { writing: writing @ None, is_killed: false, .. } if !self.is_said => {
                *writing = Some(now);
                self.is_said = true;
                Output::Write(self.line.clone())
            }
            Phase::Up { writing: Some(at), is_killed, .. }
                if !*is_killed && now.since(*at) >= TAKEN_WITHIN =>
            {
                *is_killed = true;
                Output::Kill
            }
            Phase::Starting | Phase::Up { is_killed: true, .. } => Output::Wait(None),
            Phase::Up { writing: Some(at), .. } => Output::Wait(Some(*at + TAKEN_WITHIN)),
            Phase::Up { since, writing: None, .. } => {
                Output::Wait(self.trouble.is_some().then(|| *since + STEADY_AFTER))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{Hook, Input, Output};
    use cotside_protocol::model::Mono;
    use std::time::Duration;

    struct Scene {
        hook: Hook,
        now: Mono,
    }

    impl Scene {
        fn new() -> Self {
            Self { hook: Hook::new(Mono(0), "a".into(), 1), now: Mono(0) }
        }

        fn pass(&mut self, millis: u64) {
            self.now = self.now + Duration::from_millis(millis);
            self.hook.handle(self.now, Input::Timeout);
        }

        fn told(&mut self, input: Input) -> Vec<Output> {
            self.hook.handle(self.now, input);
            self.out()
        }

        fn out(&mut self) -> Vec<Output> {
            let next = || Some(self.hook.poll(self.now)).filter(|output| !matches!(output, Output::Wait(_)));
            std::iter::from_fn(next).collect()
        }
    }

    #[test]
    fn it_is_started_told_the_state_and_then_each_change_once() {
        let mut scene = Scene::new();
        assert_eq!(scene.out(), [Output::Start]);
        assert_eq!(scene.told(Input::Started), [Output::Write("a".into())]);
        assert_eq!(scene.told(Input::Say("b".into())), [], "one line at a time");
        assert_eq!(scene.told(Input::Say("c".into())), [], "and of those that wait the latest");
        assert_eq!(scene.told(Input::Taken), [Output::Write("c".into())]);
        assert_eq!(scene.told(Input::Taken), []);
        assert_eq!(scene.told(Input::Say("c".into())), []);
        assert_eq!(scene.hook.poll(scene.now), Output::Wait(None));
    }

    #[test]
    fn one_that_ends_is_an_alarm_and_is_started_again_ever_more_slowly() {
        let mut scene = Scene::new();
        scene.out();
        let mut waits = Vec::new();
        for life in 0..20 {
            scene.told(Input::Started);
            let told = scene.told(Input::Ended("it ended with 1".into()));
            let alarm = Output::Trouble(Some("it ended with 1".into()));
            assert_eq!(told, if life == 0 { vec![alarm] } else { vec![] }, "told once");
            let Output::Wait(Some(until)) = scene.hook.poll(scene.now) else { panic!() };
            waits.push(until.since(scene.now));
            scene.now = until;
            assert_eq!(scene.out(), [Output::Start]);
        }
        assert!(
            waits.iter().all(|wait| (Duration::from_millis(500)..=Duration::from_secs(30)).contains(wait))
        );
        assert!(waits.iter().any(|wait| *wait > Duration::from_secs(10)));
        scene.told(Input::Started);
        scene.told(Input::Taken);
        scene.pass(4_999);
        assert_eq!(scene.out(), []);
        scene.pass(1);
        assert_eq!(scene.out(), [Output::Trouble(None)], "one that lives is well");
    }

    #[test]
    fn one_that_does_not_read_is_ended() {
        let mut scene = Scene::new();
        scene.out();
        scene.told(Input::Started);
        scene.pass(1_999);
        assert_eq!(scene.out(), []);
        scene.pass(1);
        assert_eq!(scene.out(), [Output::Kill]);
        assert_eq!(scene.told(Input::Say("b".into())), []);
        let ended = scene.told(Input::Ended("it did not answer".into()));
        assert_eq!(ended, [Output::Trouble(Some("it did not answer".into()))]);
        scene.pass(30_000);
        assert_eq!(scene.out(), [Output::Start]);
        assert_eq!(scene.told(Input::Started), [Output::Write("b".into())], "the next begins with the state");
    }

    #[test]
    fn one_that_cannot_be_started_is_an_alarm_and_tried_again() {
        let mut scene = Scene::new();
        scene.out();
        let told = scene.told(Input::NotStarted("no such file".into()));
        assert_eq!(told, [Output::Trouble(Some("no such file".into()))]);
        scene.pass(2_000);
        assert_eq!(scene.out(), [Output::Start]);
    }
}
