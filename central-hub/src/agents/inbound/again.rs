//! Deliveries that hold nothing new: a few follow every lost acknowledgement; many mean a broker that repeats itself.

use cotside_protocol::model::Mono;
use std::time::Duration;

const WITHIN: Duration = Duration::from_secs(60);
/// More than are ever under way when a connection is lost.
const MANY: u32 = 100;
const TOLD_EVERY: Duration = Duration::from_secs(3600);

#[derive(Debug, Default)]
pub(super) struct Again {
    /// Counted since then.
    since: Option<Mono>,
    count: u32,
    told_at: Option<Mono>,
}

impl Again {
    /// One more has come. Words, if a person should know of it.
    pub(super) fn came(&mut self, now: Mono) -> Option<String> {
        if self.since.is_none_or(|since| now.since(since) >= WITHIN) {
            (self.since, self.count) = (Some(now), 0);
        }
        self.count += 1;
        let is_news = self.told_at.is_none_or(|at| now.since(at) >= TOLD_EVERY);
        (self.count >= MANY && is_news).then(|| {
            self.told_at = Some(now);
            format!(
                "{} messages within a minute held nothing new: the broker delivers again what is stored",
                self.count
            )
        })
    }
}

#[cfg(test)]
mod tests {
    use super::{Again, MANY};
    use cotside_protocol::model::Mono;
    use std::time::Duration;

    #[test]
    fn a_broker_that_repeats_itself_is_told_of_once_an_hour_and_a_lost_acknowledgement_never() {
        let mut again = Again::default();
        let at = |seconds: u64| Mono(0) + Duration::from_secs(seconds);
        assert!((0..MANY - 1).all(|_| again.came(at(1)).is_none()));
        assert!((0..MANY - 1).all(|_| again.came(at(70)).is_none()));
        let told = (0..2 * 3600).filter_map(|n| again.came(at(200 + n))).count();
        assert_eq!(told, 0);
        let told = (0..2 * 36_000u64).filter_map(|n| again.came(at(10_000 + n / 10))).count();
        assert_eq!(told, 2);
    }
}
