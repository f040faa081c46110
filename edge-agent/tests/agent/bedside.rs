//! What signals at the bed: a real program under supervision.

use super::Place;
use cotside_edge_agent::bed::Signals;
use cotside_edge_agent::row::BedNotice;
use cotside_edge_agent::sounder::run::{Wires, hook};
use cotside_protocol::model::Priority;
use cotside_systemd::clock::Clock;
use cotside_systemd::stages::Stages;
use std::path::Path;
use std::time::Duration;
use tokio::sync::{mpsc, watch};
use tokio::time::timeout;

const PATIENCE: Duration = Duration::from_secs(30);

struct Running {
    stages: Stages,
    signals: watch::Sender<Signals>,
    notices: mpsc::Receiver<BedNotice>,
    _asked: mpsc::Receiver<cotside_edge_agent::bed::Asked>,
}

fn start(program: &[&str]) -> Running {
    let (signals, heard) = watch::channel(Signals::default());
    let (bed, notices) = mpsc::channel(64);
    let (asks, _asked) = mpsc::channel(4);
    let wires = Wires { clock: Clock::start(), signals: heard, bed, asks };
    let program = program.iter().map(|word| (*word).to_owned()).collect();
    let mut stages = Stages::new();
    stages.start("hook", Duration::from_secs(5), |stop| hook(program, wires, stop));
    Running { stages, signals, notices, _asked }
}

impl Running {
    async fn trouble(&mut self) -> Option<String> {
        match timeout(PATIENCE, self.notices.recv()).await {
            Ok(Some(BedNotice::Mute { what: "hook", words })) => words,
            other => panic!("{other:?}"),
        }
    }
}

fn block_on<F: Future>(future: F) -> F::Output {
    tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(future)
}

/// The file's lines, once there are so many of them.
async fn lines(path: &Path, count: usize) -> Vec<String> {
    let read = async {
        loop {
            let text = std::fs::read_to_string(path).unwrap_or_default();
            if text.lines().count() >= count && text.ends_with('\n') {
                return text.lines().map(str::to_owned).collect();
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    timeout(PATIENCE, read).await.unwrap()
}

#[test]
fn a_program_at_the_bed_hears_each_change_as_one_line() {
    let place = Place::new();
    let heard = place.path().join("heard");
    block_on(async {
        let running = start(&["/usr/bin/tee", heard.to_str().unwrap()]);
        let quiet = r#"{"paused_until":null,"priority":null,"sounding":null,"text":""}"#;
        assert_eq!(lines(&heard, 1).await, [quiet]);
        running.signals.send_replace(Signals {
            sounding: Some(Priority::High),
            priority: Some(Priority::High),
            text: "SpO2 71 < 85; $(reboot)".into(),
            paused_until: None,
        });
        let loud =
            r#"{"paused_until":null,"priority":"high","sounding":"high","text":"SpO2 71 < 85; $(reboot)"}"#;
        assert_eq!(lines(&heard, 2).await, [quiet, loud]);
        assert!(running.stages.stop().await);
    });
}

#[test]
fn a_program_at_the_bed_that_ends_or_is_not_there_is_an_alarm() {
    block_on(async {
        let mut ends = start(&["/bin/sh", "-c", "exit 3"]);
        assert_eq!(ends.trouble().await.as_deref(), Some("/bin/sh ended with 3"));
        assert!(ends.stages.stop().await);
        let mut absent = start(&["/nowhere/beep"]);
        assert!(absent.trouble().await.unwrap().starts_with("/nowhere/beep: "));
        assert!(absent.stages.stop().await);
    });
}
