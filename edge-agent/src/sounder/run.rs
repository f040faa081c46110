//! The shells: a program that is kept alive, and the lines of a chip.

use super::button::Button;
use super::buzzer::Buzzer;
use super::chip::{self, Pushed, Sounder};
use super::hook::{Hook, Input, Output};
use crate::bed::{Asked, Signals};
use crate::row::BedNotice;
use anyhow::Result;
use cotside_config::agent::Gpio;
use cotside_protocol::model::{DeviceText, Mono};
use cotside_systemd::clock::Clock;
use cotside_systemd::stages::Stop;
use cotside_systemd::timer::Timer;
use std::process::{ExitStatus, Stdio};
use std::time::Duration;
use tokio::io::unix::AsyncFd;
use tokio::io::{AsyncWriteExt, Interest};
use tokio::process::{Child, ChildStdin, Command};
use tokio::sync::{mpsc, watch};

/// A chip that cannot be had is tried again.
const AGAIN: Duration = Duration::from_secs(10);
const BUTTON: &str = "button at the bed";

/// What both shells are wired to.
pub struct Wires {
    pub clock: Clock,
    pub signals: watch::Receiver<Signals>,
    pub bed: mpsc::Sender<BedNotice>,
    pub asks: mpsc::Sender<Asked>,
}

impl Wires {
    async fn tell(&self, what: &'static str, words: Option<String>) {
        match &words {
            Some(words) => tracing::error!(what, words, "cannot signal at the bed"),
            None => tracing::info!(what, "signals at the bed"),
        }
        // The bed ends after what signals for it.
        let _ = self.bed.send(BedNotice::Mute { what, words }).await;
    }
}

/// Keeps the program of the configuration alive, and tells it each change.
pub async fn hook(program: Vec<String>, mut wires: Wires, mut stop: Stop) -> Result<()> {
    let Some((path, arguments)) = program.split_first() else { return Ok(()) };
    let mut timer = Timer::new(wires.clock);
    let line = wires.signals.borrow_and_update().line();
    let mut hook = Hook::new(wires.clock.now().mono, line, getrandom::u64().unwrap_or(1));
    let mut child: Option<Child> = None;
    let mut pipe: Option<ChildStdin> = None;
    let mut writing: Option<Vec<u8>> = None;
    loop {
        let wake_at = loop {
            let now = wires.clock.now().mono;
            match hook.poll(now) {
                Output::Start => match start(path, arguments) {
                    Ok(mut started) => {
                        pipe = started.stdin.take();
                        child = Some(started);
                        hook.handle(now, Input::Started);
                    }
                    Err(error) => hook.handle(now, Input::NotStarted(format!("{path}: {error}"))),
                },
                Output::Write(line) => writing = Some(line.into_bytes()),
                Output::Kill => {
                    if let Some(child) = &mut child {
                        // One that is gone already is told by its end.
                        let _ = child.start_kill();
                    }
                }
                Output::Trouble(words) => wires.tell("hook", words).await,
                Output::Wait(until) => break until.unwrap_or(Mono(u64::MAX)),
            }
        };
        let input = tokio::select! {
            biased;
            () = stop.requested() => return Ok(()),
            ended = ended(&mut child) => {
                (child, pipe, writing) = (None, None, None);
                Input::Ended(format!("{path} {ended}"))
            }
            Ok(()) = wires.signals.changed() => Input::Say(wires.signals.borrow_and_update().line()),
            written = write(&mut pipe, &mut writing) => {
                writing = None;
                if written.is_err() {
                    // It has closed its ears; its end is told when it comes, or is brought about.
                    pipe = None;
                    if let Some(child) = &mut child {
                        let _ = child.start_kill();
                    }
                }
                Input::Taken
            }
            () = timer.until(wake_at) => Input::Timeout,
        };
        hook.handle(wires.clock.now().mono, input);
    }
}

/// A fixed program with fixed arguments, of this agent's environment nothing, and it ends with the agent.
fn start(path: &str, arguments: &[String]) -> std::io::Result<Child> {
    Command::new(path)
        .args(arguments)
        .env_clear()
        .current_dir("/")
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .kill_on_drop(true)
        .spawn()
}

async fn ended(child: &mut Option<Child>) -> String {
    match child {
        None => std::future::pending().await,
        Some(child) => child.wait().await.map_or_else(|error| error.to_string(), words),
    }
}

fn words(status: ExitStatus) -> String {
    status.code().map_or_else(|| "was ended".to_owned(), |code| format!("ended with {code}"))
}

/// What of the line was written goes from its front, so that this may be dropped and asked again.
async fn write(pipe: &mut Option<ChildStdin>, writing: &mut Option<Vec<u8>>) -> std::io::Result<()> {
    let (Some(pipe), Some(line)) = (pipe, writing) else { return std::future::pending().await };
    while !line.is_empty() {
        let count = pipe.write(line).await?;
        line.drain(..count);
    }
    Ok(())
}

/// The lines of a chip: a buzzer that follows the patterns, a button that pauses the sound.
pub async fn gpio(gpio: Gpio, wires: Wires, mut stop: Stop) -> Result<()> {
    let mut wires = wires;
    let mut is_told = false;
    loop {
        let opened = open(&gpio);
        let trouble = match opened {
            Ok((sounder, button)) => {
                if std::mem::take(&mut is_told) {
                    wires.tell("buzzer", None).await;
                }
                match follow(sounder, button, &mut wires, &mut stop).await {
                    Ok(()) => return Ok(()),
                    Err(error) => error,
                }
            }
            Err(error) => error,
        };
        is_told = true;
        wires.tell("buzzer", Some(format!("{trouble:#}"))).await;
        let again = wires.clock.now().mono + AGAIN;
        tokio::select! {
            biased;
            () = stop.requested() => return Ok(()),
            () = tokio::time::sleep_until(wires.clock.instant(again).into()) => {}
        }
    }
}

type Lines = (Option<Box<dyn Sounder>>, Option<AsyncFd<Pushed>>);

fn open(gpio: &Gpio) -> Result<Lines> {
    let sounder = gpio.sounder.map(|line| chip::sounder(gpio, line)).transpose()?;
    let button = gpio.button.map(|line| chip::button(gpio, line)).transpose()?;
    #[expect(deprecated, reason = "the watch owns its line, which nothing else can close")]
    let button = button.map(|button| AsyncFd::with_interest(button, Interest::READABLE)).transpose()?;
    Ok((sounder, button))
}

/// Until asked to stop; an error of a line is told by the caller. The sounder is left off.
async fn follow(
    mut sounder: Option<Box<dyn Sounder>>,
    line: Option<AsyncFd<Pushed>>,
    wires: &mut Wires,
    stop: &mut Stop,
) -> Result<()> {
    let (mut buzzer, mut button) = (Buzzer::default(), Button::default());
    let mut timer = Timer::new(wires.clock);
    let mut was_on = false;
    loop {
        let now = wires.clock.now().mono;
        buzzer.sounds(now, wires.signals.borrow_and_update().sounding);
        let (is_on, until) = buzzer.poll(now);
        if let Some(sounder) = sounder.as_mut().filter(|_| is_on != was_on) {
            sounder.set(is_on)?;
            was_on = is_on;
        }
        if button.poll(now) {
            // A bed that is too busy to hear it hears the next pressing.
            let _ = wires.asks.try_send(Asked::Button { by: DeviceText::new(BUTTON) });
        }
        let until = until.filter(|_| sounder.is_some());
        let wake_at = [until, button.deadline()].into_iter().flatten().min().unwrap_or(Mono(u64::MAX));
        tokio::select! {
            biased;
            () = stop.requested() => {
                sounder.as_mut().map_or(Ok(()), |sounder| sounder.set(false))?;
                return Ok(());
            }
            Ok(()) = wires.signals.changed() => {}
            is_down = pushed(line.as_ref()) => button.reads(wires.clock.now().mono, is_down?),
            () = timer.until(wake_at) => {}
        }
    }
}

async fn pushed(line: Option<&AsyncFd<Pushed>>) -> Result<bool> {
    let Some(line) = line else { return std::future::pending().await };
    let mut ready = line.readable().await?;
    let is_down = line.get_ref().read()?;
    if !line.get_ref().has_more() {
        ready.clear_ready();
    }
    Ok(is_down)
}
