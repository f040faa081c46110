//! When a buzzer is on: the standard's pattern of whatever must sound, from the moment at which it must.

use cotside_protocol::model::{Mono, Pattern, Priority};

#[derive(Debug, Default)]
pub(super) struct Buzzer {
    playing: Option<(Priority, Mono)>,
}

impl Buzzer {
    /// Another priority begins its own burst at once; the same one goes on.
    pub(super) fn sounds(&mut self, now: Mono, sounding: Option<Priority>) {
        if self.playing.map(|(priority, _)| priority) != sounding {
            self.playing = sounding.map(|priority| (priority, now));
        }
    }

    /// Whether it is on, and until when; None: until something else must sound.
    pub(super) fn poll(&self, now: Mono) -> (bool, Option<Mono>) {
        let pattern = self.playing.and_then(|(priority, since)| Some((Pattern::of(priority)?, since)));
        let Some((pattern, since)) = pattern else { return (false, None) };
        let (is_on, lasts) = pattern.at(now.since(since));
        (is_on, Some(now + lasts))
    }
}

#[cfg(test)]
mod tests {
    use super::Buzzer;
    use cotside_protocol::model::{Mono, Priority};

    /// The moments, in milliseconds, at which it goes on.
    fn pulses(buzzer: &Buzzer, from: Mono, millis: u64) -> Vec<u64> {
        let (mut now, mut begun, mut was_on) = (from, Vec::new(), false);
        while now.0 < from.0 + millis * 1_000 {
            let (is_on, until) = buzzer.poll(now);
            if is_on && !was_on {
                begun.push((now.0 - from.0) / 1_000);
            }
            was_on = is_on;
            let Some(until) = until else { break };
            now = until;
        }
        begun
    }

    #[test]
    fn a_burst_begins_at_once_and_comes_again() {
        let mut buzzer = Buzzer::default();
        let now = Mono(7_000_000);
        assert_eq!(buzzer.poll(now), (false, None));
        buzzer.sounds(now, Some(Priority::Medium));
        assert_eq!(pulses(&buzzer, now, 9_000), [0, 400, 800, 8_500, 8_900]);
        buzzer.sounds(now, Some(Priority::High));
        assert_eq!(
            pulses(&buzzer, now, 8_000),
            [0, 250, 500, 1_000, 1_250, 2_200, 2_450, 2_700, 3_200, 3_450]
        );
        buzzer.sounds(now, None);
        assert_eq!(buzzer.poll(now), (false, None));
    }

    #[test]
    fn what_goes_on_keeps_its_rhythm() {
        let mut buzzer = Buzzer::default();
        buzzer.sounds(Mono(0), Some(Priority::Low));
        buzzer.sounds(Mono(150_000), Some(Priority::Low));
        assert_eq!(buzzer.poll(Mono(150_000)), (true, Some(Mono(200_000))));
    }
}
