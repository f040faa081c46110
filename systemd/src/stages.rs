//! Ordered start and stop: sink first up, source first down, each stage named, none detached.

use anyhow::Result;
use std::future::Future;
use std::time::Duration;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::watch;
use tokio::task::{AbortHandle, JoinError, JoinSet};

/// Told to each stage; resolves when the stage should stop.
#[derive(Clone, Debug)]
pub struct Stop(watch::Receiver<bool>);

impl Stop {
    pub async fn requested(&mut self) {
        // An error means the house is gone: stop as well.
        let _ = self.0.wait_for(|stop| *stop).await;
    }

    pub fn is_requested(&self) -> bool {
        *self.0.borrow()
    }
}

/// The stages of one daemon in the order they were started.
#[derive(Default)]
pub struct Stages {
    running: JoinSet<(&'static str, Result<()>)>,
    started: Vec<Started>,
    /// SIGTERM and SIGINT, once the daemon heeds them.
    heeded: Option<(Signal, Signal)>,
}

struct Started {
    name: &'static str,
    stop: watch::Sender<bool>,
    task: AbortHandle,
    deadline: Duration,
}

impl Stages {
    pub fn new() -> Self {
        Self::default()
    }

    /// Starts a stage. `deadline` is how long it may take to stop when asked.
    pub fn start<F>(&mut self, name: &'static str, deadline: Duration, stage: impl FnOnce(Stop) -> F)
    where
        F: Future<Output = Result<()>> + Send + 'static,
    {
        let (stop, stopped) = watch::channel(false);
        let stage = stage(Stop(stopped));
        let task = self.running.spawn(async move { (name, stage.await) });
        self.started.push(Started { name, stop, task, deadline });
    }

    /// Tells systemd, where there is one, that the daemon runs. From before this on it stops cleanly when asked to.
    pub fn ready(&mut self) -> Result<()> {
        self.heeded = Some(heed()?);
        let _ = sd_notify::notify(&[sd_notify::NotifyState::Ready]);
        Ok(())
    }

    /// Waits for SIGTERM, SIGINT, or the first stage that ends by itself. Returns why.
    pub async fn wait(&mut self) -> Result<&'static str> {
        let (terminate, interrupt) = match &mut self.heeded {
            Some(heeded) => heeded,
            None => self.heeded.insert(heed()?),
        };
        tokio::select! {
            _ = terminate.recv() => Ok("SIGTERM"),
            _ = interrupt.recv() => Ok("SIGINT"),
            ended = self.running.join_next() => match ended {
                Some(ended) => {
                    report(ended);
                    Ok("a stage ended by itself")
                }
                None => Ok("nothing is running"),
            },
        }
    }

    /// Stops every stage in reverse order of start. True if each ended in time and without error.
    pub async fn stop(mut self) -> bool {
        let mut clean = true;
        while let Some(stage) = self.started.pop() {
            let _ = stage.stop.send(true);
            let ended = tokio::time::timeout(stage.deadline, async {
                while !stage.task.is_finished() {
                    match self.running.join_next().await {
                        Some(ended) => clean &= report(ended),
                        None => break,
                    }
                }
            });
            if ended.await.is_err() {
                tracing::warn!(stage = stage.name, "did not stop in time, cut off");
                stage.task.abort();
                clean = false;
            }
        }
        clean
    }
}

fn report(ended: Result<(&'static str, Result<()>), JoinError>) -> bool {
    match ended {
        Ok((stage, Ok(()))) => {
            tracing::debug!(stage, "ended");
            true
        }
        Ok((stage, Err(error))) => {
            tracing::error!(stage, error = format!("{error:#}"), "failed");
            false
        }
        Err(error) if error.is_cancelled() => false,
        Err(error) => {
            tracing::error!(%error, "panicked");
            false
        }
    }
}

fn heed() -> Result<(Signal, Signal)> {
    Ok((signal(SignalKind::terminate())?, signal(SignalKind::interrupt())?))
}

/// Tells systemd, where there is one.
pub fn stopping() {
    let _ = sd_notify::notify(&[sd_notify::NotifyState::Stopping]);
}

/// Fed by the loop that matters, only after it has gone round.
pub fn still_alive() {
    let _ = sd_notify::notify(&[sd_notify::NotifyState::Watchdog]);
}
