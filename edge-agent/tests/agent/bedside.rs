//! What signals at the bed: a real program under supervision, and the page of a real agent.

use super::Place;
use super::command::{Agent, config};
use cotside_edge_agent::bed::Signals;
use cotside_edge_agent::row::BedNotice;
use cotside_edge_agent::sounder::run::{Wires, hook};
use cotside_protocol::model::Priority;
use cotside_systemd::clock::Clock;
use cotside_systemd::stages::Stages;
use serde_json::Value;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
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

/// One request on a connection of its own, its answer read to the end.
fn ask(address: &str, request: &str) -> String {
    let mut stream = TcpStream::connect(address).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    stream.write_all(request.as_bytes()).unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    answer
}

fn press(address: &str, body: &str) -> String {
    let length = body.len();
    ask(
        address,
        &format!(
            "POST /pause HTTP/1.1\r\nhost: {address}\r\nconnection: close\r\ncontent-length: {length}\r\n\r\n{body}"
        ),
    )
}

/// The frames of one screen.
struct Screen(BufReader<TcpStream>);

impl Screen {
    fn open(address: &str) -> Self {
        // It is served a moment after the agent runs.
        let mut tries = (0..3_000).filter_map(|_| {
            let stream = TcpStream::connect(address).ok();
            if stream.is_none() {
                std::thread::sleep(Duration::from_millis(10));
            }
            stream
        });
        let mut stream = tries.next().expect("the page is served");
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        write!(stream, "GET /events HTTP/1.1\r\nhost: {address}\r\n\r\n").unwrap();
        Self(BufReader::new(stream))
    }

    /// The next frame in which it is so.
    fn until(&mut self, is_so: impl Fn(&Value) -> bool) -> Value {
        // A frame has three lines and comes each second.
        for _ in 0..100 {
            let mut line = String::new();
            self.0.read_line(&mut line).unwrap();
            let frame = line.strip_prefix("data: ").map(|json| serde_json::from_str(json).unwrap());
            if let Some(frame) = frame.filter(|frame| is_so(frame)) {
                return frame;
            }
        }
        panic!("no such frame");
    }
}

#[test]
fn h7_the_page_of_a_bed_shows_it_without_a_hub_and_pauses_its_sound_for_whoever_has_the_code() {
    let place = Place::new();
    let address = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().to_string();
    let text = config(place.path(), "/nowhere/tty");
    let text = format!("{text}\n[page]\nlisten = \"{address}\"\npin = \"2468\"\n");
    let agent = Agent::start(&place.file("agent.toml", &text));

    let mut screen = Screen::open(&address);
    let lost = |frame: &Value| frame["bed"]["alarms"].as_array().is_some_and(|alarms| !alarms.is_empty());
    let frame = screen.until(lost);
    assert_eq!(frame["bed"]["alarms"][0]["rule"], "link-lost", "{frame}");
    assert_eq!(frame["watch"]["covered"], Value::Null, "nobody is expected to watch");
    assert_eq!(frame["bed"]["devices"][0]["name"], "oximeter");

    for (body, status) in [
        ("{\"pin\":\"1111\"}", "403"),
        ("{\"pin\":\"2468\",\"more\":1}", "400"),
        ("{\"pin\":\"2468\"}", "204"),
    ] {
        let answer = press(&address, body);
        assert!(answer.starts_with(&format!("HTTP/1.1 {status}")), "{body}: {answer}");
    }
    let paused = screen.until(|frame| !frame["bed"]["pause"].is_null());
    assert_eq!(paused["bed"]["pause"]["by"], "page at the bed");
    assert!(press(&address, "{\"pin\":\"2468\",\"end\":true}").starts_with("HTTP/1.1 204"));
    screen.until(|frame| frame["bed"]["pause"].is_null());

    let stranger = ask(&address, "GET / HTTP/1.1\r\nhost: evil.example\r\nconnection: close\r\n\r\n");
    assert!(stranger.starts_with("HTTP/1.1 403"), "a name that was bent to here: {stranger}");
    let elsewhere = format!(
        "GET /events HTTP/1.1\r\nhost: {address}\r\norigin: http://evil.example\r\nconnection: close\r\n\r\n"
    );
    assert!(ask(&address, &elsewhere).starts_with("HTTP/1.1 403"));
    let absent = ask(
        &address,
        &format!("GET /../etc/passwd HTTP/1.1\r\nhost: {address}\r\nconnection: close\r\n\r\n"),
    );
    assert!(absent.starts_with("HTTP/1.1 404") && absent.contains("default-src 'none'"), "{absent}");
    assert_eq!(agent.stop(), 0);
}
