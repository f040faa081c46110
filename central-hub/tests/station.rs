//! The station-facing half of the hub, driven as a browser drives it: real sockets, real store, agents replaced by a channel of items.

use anyhow::{Context, Result};
use cotside_central_hub::api;
use cotside_central_hub::feed::{Item, News};
use cotside_central_hub::live::{self, Live};
use cotside_central_hub::people::{Permission, Role, create_user};
use cotside_central_hub::store::Store;
use cotside_central_hub::unit::Roster;
use cotside_central_hub::unit::view::UnitName;
use cotside_protocol::model::{Code, Decimal, Mono, NO_SAMPLE, Pace, Provenance, Quality, Site};
use cotside_protocol::wire::block::{Channel, Epoch, Header, Sample, Stretch};
use cotside_protocol::wire::topic::{AgentId, Lane};
use cotside_protocol::wire::upstream::{
    Alarm, AlarmKind, Announce, Condition, Inactivation, Priority, Record,
};
use cotside_systemd::clock::Clock;
use cotside_systemd::stages::{Stages, Stop};
use serde_json::{Value, json};
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{mpsc, oneshot};

const PASSWORD: &str = "a long enough password";
/// Generous: a loaded machine is slow, not wrong.
const PATIENCE: Duration = Duration::from_secs(20);

/// A hub's station half on a free port, with one user per role.
struct Hub {
    at: SocketAddr,
    items: mpsc::Sender<Item>,
    live: Live,
    state: api::State,
    stop: Stop,
    stages: Stages,
    clock: Clock,
    folder: PathBuf,
}

impl Hub {
    async fn start() -> Hub {
        static NUMBER: AtomicU32 = AtomicU32::new(0);
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        let folder = std::env::temp_dir().join(format!("cotside-station-{}-{number}", std::process::id()));
        std::fs::create_dir_all(&folder).unwrap();
        Self::start_in(folder).await
    }

    async fn start_in(folder: PathBuf) -> Hub {
        let path = folder.join("hub.db");
        let is_new = !path.exists();
        let (store, _ended) = Store::start(&path, true).unwrap();
        let clock = Clock::start();
        if is_new {
            let at = clock.now().wall;
            let path = path.clone();
            tokio::task::spawn_blocking(move || {
                let connection = cotside_central_hub::store::open(&path, false).unwrap();
                for role in Role::ALL {
                    create_user(&connection, role.name(), role, PASSWORD, at).unwrap();
                }
            })
            .await
            .unwrap();
        }
        let roster = Roster {
            unit: UnitName { id: "nicu".to_owned(), name: "Neonatal intensive care".to_owned() },
            beds: vec![("01".to_owned(), Some(agent())), ("02".to_owned(), None)],
        };
        let (items, news) = mpsc::channel(256);
        let (live, unit) = live::open(roster, clock, news);
        let mut stages = Stages::new();
        stages.start("unit", PATIENCE, |stop| unit.run(stop));
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let at = listener.local_addr().unwrap();
        let state = api::State::open(live.clone(), store, clock).await.unwrap();
        let (told, stop) = oneshot::channel();
        let served = state.clone();
        stages.start("api", PATIENCE, move |stop| async move {
            let _ = told.send(stop.clone());
            api::serve(listener, None, served, stop).await
        });
        let stop = stop.await.unwrap();
        Hub { at, items, live, state, stop, stages, clock, folder }
    }

    async fn tell(&self, what: News) {
        self.items.send(Item { agent: agent(), bed: Some("01".to_owned()), what }).await.unwrap();
    }

    fn header(&self, lane: Lane) -> Header {
        let now = self.clock.now();
        Header {
            lane,
            epoch: Epoch(1),
            seq: 1,
            provenance: Provenance::Live,
            boot: 7,
            mono: Mono(now.mono.0),
            wall: now.wall,
            span_us: 0,
        }
    }

    async fn heart_rate(&self, value: i64) {
        let header = self.header(Lane::Numeric);
        self.tell(News::Numerics(header, vec![sample(value)])).await;
    }
}

impl Drop for Hub {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.folder);
    }
}

fn agent() -> AgentId {
    AgentId::new("gw-01").unwrap()
}

fn channel(code: u32) -> Channel {
    Channel { link: 0, code: Code(code), site: Site::Unspecified, setting: false }
}

fn sample(value: i64) -> Sample {
    Sample {
        channel: channel(147_842),
        ucum: "{beats}/min".to_owned(),
        pace: Pace::Continuous,
        value: Some(Decimal::new(value, 0)),
        quality: Quality::GOOD,
        at_us: 0,
        lag_ms: 0,
    }
}

fn alarm(version: u32, condition: Condition) -> Alarm {
    Alarm {
        episode: "00000000000000a1".to_owned(),
        version,
        rule: "limit-low".to_owned(),
        kind: AlarmKind::Physiological,
        priority: Priority::High,
        condition,
        inactivation: Inactivation::Enabled,
        code: Some(150_456),
        site: None,
        value: Some("71".to_owned()),
        limit: Some("85".to_owned()),
        ucum: "%".to_owned(),
        text: "SpO2 71 < 85".to_owned(),
        onset_us: 1_768_360_364_000_000,
        active_us: None,
        ended_us: None,
    }
}

fn announce(alarms: Vec<Alarm>) -> News {
    News::Announce(Announce { epoch: "0".repeat(16), wall_us: 0, alarms })
}

/// What a browser remembers.
#[derive(Clone, Default)]
struct Browser {
    cookie: Option<String>,
    csrf: Option<String>,
}

struct Answer {
    status: u16,
    head: String,
    body: Vec<u8>,
}

impl Answer {
    fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or_else(|_| panic!("no JSON: {}", self.text()))
    }

    fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    fn header(&self, name: &str) -> Option<&str> {
        self.head.lines().find_map(|line| {
            let (key, value) = line.split_once(": ")?;
            key.eq_ignore_ascii_case(name).then_some(value)
        })
    }

    fn code(&self) -> String {
        self.json()["error"]["code"].as_str().unwrap_or("").to_owned()
    }
}

impl Browser {
    async fn log_in(hub: &Hub, name: &str) -> Browser {
        let mut browser = Browser::default();
        let answer = browser.try_log_in(hub, name, PASSWORD).await;
        assert_eq!(answer.status, 200, "{}", answer.text());
        browser
    }

    async fn try_log_in(&mut self, hub: &Hub, name: &str, password: &str) -> Answer {
        let body = json!({"username": name, "password": password});
        let answer = self.send(hub, "POST", "/api/v1/session", &[], Some(body)).await;
        if answer.status == 200 {
            let cookie = answer.header("set-cookie").unwrap();
            self.cookie = Some(cookie.split(';').next().unwrap().to_owned());
            self.csrf = Some(answer.json()["data"]["csrf"].as_str().unwrap().to_owned());
        }
        answer
    }

    fn head(
        &self,
        hub: &Hub,
        method: &str,
        path: &str,
        extra: &[(&str, &str)],
        body: Option<&str>,
    ) -> String {
        let mut head = format!("{method} {path} HTTP/1.1\r\n");
        if !extra.iter().any(|(name, _)| *name == "host") {
            head += &format!("host: {}\r\n", hub.at);
        }
        if let Some(cookie) = &self.cookie {
            head += &format!("cookie: {cookie}\r\n");
        }
        if let Some(csrf) =
            self.csrf.as_ref().filter(|_| !extra.iter().any(|(name, _)| *name == "x-csrf-token"))
        {
            head += &format!("x-csrf-token: {csrf}\r\n");
        }
        for (name, value) in extra {
            head += &format!("{name}: {value}\r\n");
        }
        if let Some(body) = body {
            head += &format!("content-type: application/json\r\ncontent-length: {}\r\n", body.len());
        }
        head + "\r\n" + body.unwrap_or("")
    }

    async fn send(
        &self,
        hub: &Hub,
        method: &str,
        path: &str,
        extra: &[(&str, &str)],
        body: Option<Value>,
    ) -> Answer {
        let body = body.map(|body| body.to_string());
        let mut extra = extra.to_vec();
        extra.push(("connection", "close"));
        let request = self.head(hub, method, path, &extra, body.as_deref());
        let exchange = async {
            let mut stream = TcpStream::connect(hub.at).await?;
            stream.write_all(request.as_bytes()).await?;
            read_answer(BufReader::new(stream)).await
        };
        tokio::time::timeout(PATIENCE, exchange).await.expect("an answer in time").expect("an answer")
    }

    async fn get(&self, hub: &Hub, path: &str) -> Answer {
        self.send(hub, "GET", path, &[], None).await
    }
}

async fn read_head(stream: &mut BufReader<TcpStream>) -> Result<(u16, String)> {
    let mut head = String::new();
    while stream.read_line(&mut head).await? > 2 {}
    let status = head.split(' ').nth(1).context("a status line")?.parse()?;
    Ok((status, head))
}

async fn read_answer(mut stream: BufReader<TcpStream>) -> Result<Answer> {
    let (status, head) = read_head(&mut stream).await?;
    let mut answer = Answer { status, head, body: Vec::new() };
    if answer.header("transfer-encoding") == Some("chunked") {
        while let Some(chunk) = read_chunk(&mut stream).await? {
            answer.body.extend(chunk);
        }
    } else {
        stream.read_to_end(&mut answer.body).await?;
    }
    Ok(answer)
}

async fn read_chunk(stream: &mut BufReader<TcpStream>) -> Result<Option<Vec<u8>>> {
    let mut line = String::new();
    stream.read_line(&mut line).await?;
    let length = usize::from_str_radix(line.trim(), 16)?;
    let mut chunk = vec![0; length + 2];
    stream.read_exact(&mut chunk).await?;
    chunk.truncate(length);
    Ok((length > 0).then_some(chunk))
}

/// An open event stream.
struct Events {
    stream: BufReader<TcpStream>,
    buffer: String,
}

impl Events {
    async fn open(hub: &Hub, browser: &Browser) -> Events {
        let stream = TcpStream::connect(hub.at).await.unwrap();
        let mut stream = BufReader::new(stream);
        let request =
            browser.head(hub, "GET", "/api/v1/units/nicu/events", &[("accept-encoding", "gzip")], None);
        stream.get_mut().write_all(request.as_bytes()).await.unwrap();
        let (status, head) = read_head(&mut stream).await.unwrap();
        assert_eq!(status, 200, "{head}");
        assert!(head.contains("text/event-stream") && !head.contains("gzip"), "{head}");
        Events { stream, buffer: String::new() }
    }

    /// None: the hub ended the stream.
    async fn next(&mut self) -> Option<(String, Value)> {
        loop {
            if let Some((event, rest)) = self.buffer.split_once("\n\n") {
                let (event, rest) = (event.to_owned(), rest.to_owned());
                self.buffer = rest;
                let field = |name: &str| event.lines().find_map(|line| line.strip_prefix(name));
                let Some(kind) = field("event: ") else { continue };
                return Some((kind.to_owned(), serde_json::from_str(field("data: ").unwrap()).unwrap()));
            }
            let chunk = tokio::time::timeout(PATIENCE, read_chunk(&mut self.stream)).await.expect("an event");
            self.buffer += std::str::from_utf8(&chunk.ok()??).unwrap();
        }
    }

    async fn until(&mut self, what: impl Fn(&str, &Value) -> bool) -> Value {
        let search = async {
            loop {
                let (kind, data) = self.next().await.expect("the stream goes on");
                if what(&kind, &data) {
                    return data;
                }
            }
        };
        tokio::time::timeout(PATIENCE, search).await.expect("what was waited for")
    }
}

#[tokio::test]
async fn the_event_stream_begins_with_the_whole_and_goes_on_with_changes_and_ticks() {
    let hub = Hub::start().await;
    let browser = Browser::log_in(&hub, "nurse").await;
    hub.tell(News::Connected).await;
    hub.heart_rate(152).await;
    let mut events = Events::open(&hub, &browser).await;
    let (kind, unit) = events.next().await.unwrap();
    assert_eq!((kind.as_str(), unit["unit"]["id"].as_str()), ("snapshot", Some("nicu")));
    assert_eq!(unit["beds"].as_array().unwrap().len(), 2);
    assert_eq!(unit["store_ok"], true);
    hub.heart_rate(153).await;
    let beds =
        events.until(|kind, data| kind == "beds" && data["beds"][0]["values"][0]["value"] == "153").await;
    assert_eq!(beds["beds"][0]["bed"], "01");
    assert_eq!(beds["beds"][0]["agent"]["state"], "live");
    let tick = events.until(|kind, _| kind == "tick").await;
    assert!(tick["hub_at_ms"].as_i64().unwrap() > 1_700_000_000_000);
}
