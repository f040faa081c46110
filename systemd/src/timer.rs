//! One deadline of one loop, kept by the kernel.
//!
//! A sleep of tokio's that is further away than the end of its present 64 ms wakes the process there once, for nothing, and again when
//! it is due. A loop that waits some fifty milliseconds a few times a second is woken half as often by a timer of its own.

use crate::clock::Clock;
use cotside_protocol::model::Mono;
use rustix::time::{
    Itimerspec, TimerfdClockId, TimerfdFlags, TimerfdTimerFlags, Timespec, timerfd_create, timerfd_settime,
};
use std::io;
use std::os::fd::OwnedFd;
use tokio::io::Interest;
use tokio::io::unix::AsyncFd;

pub struct Timer {
    clock: Clock,
    /// None: the kernel has none to give, and tokio's will do.
    kernel: Option<AsyncFd<OwnedFd>>,
    /// What the kernel was told last.
    set: Option<Mono>,
}

impl Timer {
    pub fn new(clock: Clock) -> Self {
        let flags = TimerfdFlags::NONBLOCK | TimerfdFlags::CLOEXEC;
        #[expect(deprecated, reason = "the watch owns its descriptor, which nothing else can close")]
        let kernel = timerfd_create(TimerfdClockId::Monotonic, flags)
            .map_err(io::Error::from)
            .and_then(|timer| AsyncFd::with_interest(timer, Interest::READABLE))
            .inspect_err(|error| tracing::warn!(%error, "no timer from the kernel"));
        Self { clock, kernel: kernel.ok(), set: None }
    }

    /// Resolves at `at` and not before. May be dropped and asked again at any time.
    pub async fn until(&mut self, at: Mono) {
        loop {
            let now = self.clock.now().mono;
            if now >= at {
                return;
            }
            let Some(timer) = &self.kernel else {
                return tokio::time::sleep_until(self.clock.instant(at).into()).await;
            };
            if self.set != Some(at) {
                let span = at.since(now);
                let once = Itimerspec {
                    it_interval: Timespec { tv_sec: 0, tv_nsec: 0 },
                    it_value: Timespec {
                        tv_sec: span.as_secs().cast_signed(),
                        tv_nsec: span.subsec_nanos().into(),
                    },
                };
                if timerfd_settime(timer, TimerfdTimerFlags::empty(), &once).is_err() {
                    self.kernel = None;
                    continue;
                }
                self.set = Some(at);
            }
            let rung = timer.readable().await.map(|mut rung| rung.clear_ready());
            // It may have rung for an earlier deadline that nobody waited for any more.
            self.set = None;
            if rung.is_err() {
                self.kernel = None;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::Timer;
    use crate::clock::Clock;
    use std::time::Duration;

    const SOON: Duration = Duration::from_millis(20);
    const NEVER: Duration = Duration::from_secs(3600);

    #[tokio::test]
    async fn it_rings_at_each_deadline_and_not_before() {
        let clock = Clock::start();
        let mut timer = Timer::new(clock);
        assert!(timer.kernel.is_some());
        for _ in 0..3 {
            let at = clock.now().mono + SOON;
            timer.until(at).await;
            assert!(clock.now().mono >= at);
        }
    }

    #[tokio::test]
    async fn a_deadline_that_was_given_up_rings_for_no_other() {
        let clock = Clock::start();
        let mut timer = Timer::new(clock);
        let given_up = clock.now().mono + SOON;
        for far_ahead in [NEVER, SOON] {
            // Whichever of them comes first, the other is not waited for.
            tokio::select! {
                biased;
                () = timer.until(given_up + far_ahead) => {}
                () = tokio::time::sleep(2 * SOON) => {}
            }
        }
        let at = clock.now().mono + SOON;
        timer.until(at).await;
        assert!(clock.now().mono >= at);
    }

    #[tokio::test]
    async fn without_the_kernels_it_is_tokios() {
        let clock = Clock::start();
        let mut timer = Timer { clock, kernel: None, set: None };
        let at = clock.now().mono + SOON;
        timer.until(at).await;
        assert!(clock.now().mono >= at);
    }
}
