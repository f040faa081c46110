//! How guessing a password is made slow: five failures within five minutes lock out that name from that address.
//!
//! The pair is counted so that nobody locks a nurse out of her unit by guessing from elsewhere; an address alone has a wider bound.

use cotside_protocol::model::Mono;
use std::collections::HashMap;
use std::net::IpAddr;
use std::time::Duration;

const WINDOW: Duration = Duration::from_secs(5 * 60);
const FAILURES_MAX: usize = 5;
const FAILURES_OF_ADDRESS_MAX: usize = 40;
/// Names and addresses remembered at once.
const TRACKED_MAX: usize = 10_000;
/// No user's name is longer; what is typed in its place may be as long as a request.
const NAME_MAX: usize = 32;

#[derive(Debug, Default)]
pub(super) struct Lockout {
    failures: HashMap<(Option<String>, IpAddr), Vec<Mono>>,
}

impl Lockout {
    /// How long this name is locked out from this address; None: it may try.
    pub(super) fn remaining(&self, now: Mono, name: &str, address: IpAddr) -> Option<Duration> {
        let of_pair = self.wait(now, &pair(name, address), FAILURES_MAX);
        let of_address = self.wait(now, &(None, address), FAILURES_OF_ADDRESS_MAX);
        of_pair.max(of_address)
    }

    /// Also called before a try, and taken back by [`Lockout::succeeded`].
    pub(super) fn failed(&mut self, now: Mono, name: &str, address: IpAddr) {
        if self.failures.len() >= TRACKED_MAX {
            self.failures.retain(|_, times| times.last().is_some_and(|at| now.since(*at) < WINDOW));
        }
        for key in [pair(name, address), (None, address)] {
            if self.failures.len() >= TRACKED_MAX && !self.failures.contains_key(&key) {
                continue;
            }
            let times = self.failures.entry(key).or_default();
            times.retain(|at| now.since(*at) < WINDOW);
            times.push(now);
            let excess = times.len().saturating_sub(FAILURES_OF_ADDRESS_MAX);
            times.drain(..excess);
        }
    }

    pub(super) fn succeeded(&mut self, name: &str, address: IpAddr) {
        self.failures.remove(&pair(name, address));
        // The address keeps what others failed at from there; only this try was none.
        if let Some(times) = self.failures.get_mut(&(None, address)) {
            times.pop();
        }
    }

    /// Until fewer than `max` failures lie within the window.
    fn wait(&self, now: Mono, key: &(Option<String>, IpAddr), max: usize) -> Option<Duration> {
        let times = self.failures.get(key)?;
        let decisive = *times.get(times.len().checked_sub(max)?)?;
        WINDOW.checked_sub(now.since(decisive)).filter(|wait| !wait.is_zero())
    }
}

fn pair(name: &str, address: IpAddr) -> (Option<String>, IpAddr) {
    (Some(name.chars().take(NAME_MAX).collect()), address)
}

#[cfg(test)]
mod tests {
    use super::Lockout;
    use cotside_protocol::model::Mono;
    use std::net::{IpAddr, Ipv4Addr};

    const HERE: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);
    const THERE: IpAddr = IpAddr::V4(Ipv4Addr::new(10, 0, 0, 9));
    const S: u64 = 1_000_000;

    #[test]
    fn the_fifth_failure_locks_out_for_the_rest_of_five_minutes() {
        let mut lockout = Lockout::default();
        for second in 0..5 {
            assert_eq!(lockout.remaining(Mono(second * S), "ana", HERE), None);
            lockout.failed(Mono(second * S), "ana", HERE);
        }
        assert_eq!(lockout.remaining(Mono(5 * S), "ana", HERE).unwrap().as_secs(), 295);
        assert_eq!(lockout.remaining(Mono(5 * S), "ana", THERE), None);
        assert_eq!(lockout.remaining(Mono(5 * S), "bo", HERE), None);
        assert_eq!(lockout.remaining(Mono(301 * S), "ana", HERE), None);
    }

    #[test]
    fn trying_many_names_from_one_address_is_locked_out_too() {
        let mut lockout = Lockout::default();
        for number in 0..40 {
            lockout.failed(Mono(0), &format!("user{number}"), HERE);
        }
        assert!(lockout.remaining(Mono(S), "ana", HERE).is_some());
        assert!(lockout.remaining(Mono(S), "ana", THERE).is_none());
    }

    #[test]
    fn a_name_as_long_as_a_request_is_not_kept_whole() {
        let mut lockout = Lockout::default();
        lockout.failed(Mono(0), &"x".repeat(16 * 1024), HERE);
        assert!(lockout.failures.keys().all(|(name, _)| name.as_ref().is_none_or(|name| name.len() <= 32)));
    }

    #[test]
    fn a_success_forgets_the_failures_of_that_name() {
        let mut lockout = Lockout::default();
        for _ in 0..4 {
            lockout.failed(Mono(0), "ana", HERE);
        }
        lockout.succeeded("ana", HERE);
        lockout.failed(Mono(0), "ana", HERE);
        assert_eq!(lockout.remaining(Mono(1), "ana", HERE), None);
    }

    #[test]
    fn logging_in_often_from_one_address_is_no_guessing() {
        let mut lockout = Lockout::default();
        for _ in 0..1000 {
            assert_eq!(lockout.remaining(Mono(0), "ana", HERE), None);
            lockout.failed(Mono(0), "ana", HERE);
            lockout.succeeded("ana", HERE);
        }
    }
}
