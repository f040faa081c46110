//! The intake in virtual time, with a store that answers when a test wants it to.

use super::{Inbound, Input, Output, Receipt, Refusal, Rules, Ticket};
use crate::agents::tended::Tended;
use crate::feed::News;
use crate::store::blocks::{Addition, Known, Source};
use bytes::Bytes;
use cotside_protocol::model::{Code, Decimal, Mono, Now, Pace, Provenance, Quality, Site, Wall};
use cotside_protocol::wire::block::{Body, Channel, Encoder, Epoch, Header, Sample};
use cotside_protocol::wire::downstream::{Act, Command, Limits, Stay, Watch};
use cotside_protocol::wire::topic::{AgentId, Downstream, Lane, Upstream};
use cotside_protocol::wire::watermark::Watermark;
use serde_json::{Value, json};
use std::sync::Arc;
use std::time::Duration;

/// An agent, the hub's intake for it, and everything the intake said since the last look.
struct Scene {
    inbound: Inbound,
    now: Now,
    encoder: Encoder,
    next: u64,
    receipts: u64,
    said: Vec<Output>,
    wake_at: Mono,
}

impl Scene {
    fn new() -> Self {
        let now = Now { mono: Mono(1_000_000_000), wall: Wall(1_768_360_364_000_000) };
        let rules = Rules { store: "5701e".into(), accepts: Provenance::Live };
        let inbound = Inbound::new(AgentId::new("gw-01").unwrap(), rules, now);
        let wake_at = now.mono;
        let encoder = Encoder::new();
        Self { inbound, now, encoder, next: 0, receipts: 0, said: Vec::new(), wake_at }
    }

    /// Greeted and welcomed, with nothing held yet.
    fn open() -> Self {
        let mut scene = Self::new();
        scene.hello();
        scene.opened();
        scene.said.clear();
        scene
    }

    fn give(&mut self, input: Input) {
        self.inbound.handle(self.now, input);
        loop {
            match self.inbound.poll() {
                Output::Wait(at) => {
                    self.wake_at = at;
                    return;
                }
                output => self.said.push(output),
            }
        }
    }

    /// Lets time pass, waking the intake when it wants to be woken.
    fn pass(&mut self, span: Duration) {
        let until = self.now.after(span);
        // A conversation that has ended wants nothing any more.
        while self.wake_at > self.now.mono && self.wake_at <= until.mono {
            self.now = self.now.after(self.wake_at.since(self.now.mono));
            self.give(Input::Timeout);
        }
        self.now = until;
    }

    fn hello(&mut self) {
        self.hello_of(7);
    }

    fn hello_of(&mut self, epoch: u64) {
        let hello = json!({
            "wire": 1, "agent": "gw-01", "software": "test", "epoch": format!("{epoch:016x}"), "boot": "00000001",
            "provenance": "live", "wall_us": 0, "next": { "alarm": 0, "numeric": 0, "waveform": 0 },
        });
        self.message(Upstream::Hello, hello.to_string().into_bytes());
    }

    fn opened(&mut self) {
        self.opened_of(7, 0);
    }

    fn opened_of(&mut self, epoch: u64, below: u64) {
        let known = |(number, lane)| Known {
            source: Source(number),
            lane,
            mark: Watermark::new(below),
            digests: Vec::new(),
        };
        let known = (0..).zip(Lane::ALL).map(known).collect();
        self.give(Input::Opened { epoch: Epoch(epoch), known, bed: Some("01".into()) });
    }

    fn message(&mut self, what: Upstream, payload: Vec<u8>) -> Receipt {
        let receipt = Receipt(self.receipts);
        self.receipts += 1;
        self.give(Input::Message { what, payload: Bytes::from(payload), receipt: Some(receipt) });
        receipt
    }

    fn block(&mut self, lane: Lane, provenance: Provenance) -> Vec<u8> {
        let header = Header {
            lane,
            epoch: Epoch(7),
            seq: self.next,
            provenance,
            boot: 1,
            mono: Mono(self.next),
            wall: self.now.wall,
            span_us: 1_000_000,
        };
        self.next += 1;
        let body = match lane {
            Lane::Alarm => Body::Record(json!({ "type": "stopped", "clean": true }).to_string()),
            Lane::Numeric | Lane::Waveform => Body::Numerics(vec![Sample {
                channel: Channel { link: 0, code: Code(147_842), site: Site::Unspecified, setting: false },
                ucum: "{beats}/min".into(),
                pace: Pace::Continuous,
                value: Some(Decimal::new(140, 0)),
                quality: Quality::GOOD,
                at_us: 0,
                lag_ms: 0,
            }]),
        };
        let mut bytes = Vec::new();
        self.encoder.encode(&header, &body, &mut bytes);
        bytes
    }

    /// One live numerics block, straight from the bed.
    fn numerics(&mut self) -> Receipt {
        let block = self.block(Lane::Numeric, Provenance::Live);
        self.message(Upstream::Live(Lane::Numeric), block)
    }

    fn committed(&mut self, ticket: u64, below: u64) {
        let mut mark = Watermark::default();
        mark.insert(0, below);
        self.give(Input::Committed(Ticket(ticket), mark));
    }

    fn additions(&self) -> Vec<&Addition> {
        let commits = self.said.iter();
        commits
            .filter_map(|output| if let Output::Commit(_, addition) = output { Some(addition) } else { None })
            .collect()
    }

    fn sent(&self, what: Downstream) -> Vec<Value> {
        let is_it = |output: &Output| match output {
            Output::Send(kind, payload) if *kind == what => Some(serde_json::from_slice(payload).unwrap()),
            _ => None,
        };
        self.said.iter().filter_map(is_it).collect()
    }

    fn position(&self, is_it: impl Fn(&Output) -> bool) -> usize {
        self.said.iter().position(is_it).unwrap_or_else(|| panic!("{:#?}", self.said))
    }
}

#[test]
fn a_live_block_is_shown_before_it_is_committed_and_acknowledged_after() {
    let mut scene = Scene::open();
    let receipt = scene.numerics();
    let shown = scene.position(|said| matches!(said, Output::Show(News::Numerics(..))));
    assert!(shown < scene.position(|said| matches!(said, Output::Commit(..))));
    scene.pass(Duration::from_millis(500));
    assert!(!scene.said.iter().any(|said| matches!(said, Output::Receive(_))));
    assert_eq!(scene.sent(Downstream::Ack), Vec::<Value>::new());
    scene.committed(0, 1);
    scene.pass(Duration::from_millis(50));
    scene.position(|said| matches!(said, Output::Receive(given) if *given == receipt));
    let acks = scene.sent(Downstream::Ack);
    assert_eq!((acks.len(), &acks[0]["lanes"][0]["below"]), (1, &json!(1)));
}

#[test]
fn a_record_is_shown_only_once_it_is_committed() {
    let mut scene = Scene::open();
    let block = scene.block(Lane::Alarm, Provenance::Live);
    scene.message(Upstream::Live(Lane::Alarm), block);
    assert!(!scene.said.iter().any(|said| matches!(said, Output::Show(_))));
    scene.committed(0, 1);
    scene.position(|said| matches!(said, Output::Show(News::Record(..))));
}

#[test]
fn acknowledgements_within_ten_milliseconds_go_out_as_one() {
    let mut scene = Scene::open();
    for ticket in 0..20 {
        scene.numerics();
        scene.committed(ticket, ticket + 1);
        scene.pass(Duration::from_millis(1));
    }
    let acks = scene.sent(Downstream::Ack).len();
    assert!((2..=3).contains(&acks), "{acks} acknowledgements in 20 ms");
    scene.pass(Duration::from_millis(10));
    assert_eq!(scene.sent(Downstream::Ack).last().unwrap()["lanes"][0]["below"], 20);
}

#[test]
fn backlog_is_kept_and_never_shown() {
    let mut scene = Scene::open();
    let block = scene.block(Lane::Numeric, Provenance::Live);
    scene.message(Upstream::Backlog(Lane::Numeric), block);
    assert!(!scene.said.iter().any(|said| matches!(said, Output::Show(_))));
    assert_eq!(scene.additions()[0].blocks.len(), 1);
}

#[test]
fn a_device_in_demo_mode_is_on_record_and_not_on_the_screen() {
    let mut scene = Scene::open();
    let block = scene.block(Lane::Numeric, Provenance::DeviceDemo);
    scene.message(Upstream::Live(Lane::Numeric), block);
    assert!(!scene.said.iter().any(|said| matches!(said, Output::Show(_))));
    assert_eq!(scene.additions()[0].blocks.len(), 1);
}

#[test]
fn a_replayed_block_never_enters_a_live_hub() {
    let mut scene = Scene::open();
    let block = scene.block(Lane::Numeric, Provenance::Replay);
    let receipt = scene.message(Upstream::Live(Lane::Numeric), block);
    scene.position(|said| matches!(said, Output::Refuse(given, Refusal::NotAllowed) if *given == receipt));
    assert!(scene.additions().is_empty());
}

#[test]
fn the_heartbeat_stops_while_the_store_hangs_and_returns_with_it() {
    let mut scene = Scene::open();
    scene.numerics();
    for _ in 0..12 {
        scene.pass(Duration::from_secs(1));
        scene.inbound.heard(scene.now.mono);
    }
    let beats = scene.sent(Downstream::Alive).len();
    assert!((4..=6).contains(&beats), "{beats} heartbeats in 12 s, the store hanging all along");
    scene.committed(0, 1);
    scene.said.clear();
    scene.pass(Duration::from_secs(2));
    assert_eq!(scene.sent(Downstream::Alive).len(), 2);
}

#[test]
fn h12_a_failed_commit_is_not_acknowledged_and_its_rows_are_taken_again_on_the_same_connection() {
    let mut scene = Scene::open();
    let receipt = scene.numerics();
    let shown = scene.said.iter().filter(|said| matches!(said, Output::Show(_))).count();
    scene.give(Input::CommitFailed(Ticket(0)));
    scene.position(|said| matches!(said, Output::Refuse(given, Refusal::NotAllowed) if *given == receipt));
    scene.pass(Duration::from_secs(2));
    assert!(!scene.said.iter().any(|said| matches!(said, Output::Receive(_) | Output::Close(_))));
    assert!(!scene.said.iter().any(|said| matches!(said, Output::Show(News::Disconnected { .. }))));
    assert_eq!(scene.sent(Downstream::Ack), Vec::<Value>::new());
    assert!(shown > 0, "what could not be stored was shown");
    scene.said.clear();
    let again = scene.numerics();
    scene.committed(1, 1);
    scene.position(|said| matches!(said, Output::Receive(given) if *given == again));
    scene.pass(Duration::from_secs(1));
    assert_eq!(scene.sent(Downstream::Ack).len(), 1);
}

#[test]
fn h12_alarms_are_shown_while_the_store_hangs_or_fails_and_rows_wait() {
    let mut scene = Scene::new();
    scene.hello();
    let announce = |scene: &mut Scene| {
        let announce = json!({ "epoch": format!("{:016x}", 7), "wall_us": 0, "alarms": [] });
        scene.said.clear();
        scene.message(Upstream::Announce, announce.to_string().into_bytes());
        scene.position(|said| matches!(said, Output::Show(News::Announce(_))));
    };
    scene.position(|said| matches!(said, Output::Show(News::Connected)));
    announce(&mut scene);
    scene.give(Input::LookupFailed);
    announce(&mut scene);
    let row = scene.numerics();
    scene.position(|said| matches!(said, Output::Refuse(given, Refusal::NotAllowed) if *given == row));
    scene.pass(Duration::from_millis(1_100));
    scene.position(|said| matches!(said, Output::Open(life) if life.epoch == Epoch(7)));
    scene.opened();
    assert_eq!(scene.sent(Downstream::Welcome).len(), 1);
    announce(&mut scene);
}

#[test]
fn an_agent_that_says_nothing_for_eight_seconds_is_gone() {
    let mut scene = Scene::open();
    scene.pass(Duration::from_millis(7_900));
    assert!(!scene.said.iter().any(|said| matches!(said, Output::Close(_))));
    scene.pass(Duration::from_millis(200));
    scene.position(|said| matches!(said, Output::Show(News::Disconnected { why: "nothing heard" })));
}

#[test]
fn a_second_hello_forgets_no_receipt() {
    let mut scene = Scene::open();
    let receipt = scene.numerics();
    scene.hello();
    scene.committed(0, 1);
    scene.position(|said| matches!(said, Output::Receive(given) if *given == receipt));
    scene.opened();
    assert_eq!(scene.sent(Downstream::Welcome).len(), 1);
    assert!(!scene.said.iter().any(|said| matches!(said, Output::Show(News::Disconnected { .. }))));
}

#[test]
fn what_comes_before_a_hello_is_refused_and_asks_for_one() {
    let mut scene = Scene::new();
    let receipt = scene.numerics();
    scene.numerics();
    scene.position(|said| matches!(said, Output::Refuse(given, Refusal::NotAllowed) if *given == receipt));
    assert!(scene.additions().is_empty());
    let calls = scene.sent(Downstream::Alive);
    assert_eq!((calls.len(), &calls[0]["store"]), (1, &json!("")));
}

#[test]
fn a_hello_of_another_agent_ends_the_conversation() {
    let mut scene = Scene::new();
    let hello = json!({
        "wire": 1, "agent": "gw-02", "software": "test", "epoch": format!("{:016x}", 7), "boot": "1",
        "provenance": "live", "wall_us": 0, "next": { "alarm": 0, "numeric": 0, "waveform": 0 },
    });
    scene.message(Upstream::Hello, hello.to_string().into_bytes());
    scene.position(|said| matches!(said, Output::Close(_)));
}

#[test]
fn more_holes_than_can_be_told_are_refused_until_one_is_closed() {
    let mut scene = Scene::open();
    let blocks: Vec<_> = (0..100).map(|_| scene.block(Lane::Numeric, Provenance::Live)).collect();
    for at in (1..65).step_by(2) {
        scene.message(Upstream::Live(Lane::Numeric), blocks[at].clone());
    }
    assert!(!scene.said.iter().any(|said| matches!(said, Output::Refuse(..))));
    let receipt = scene.message(Upstream::Live(Lane::Numeric), blocks[80].clone());
    scene.position(|said| matches!(said, Output::Refuse(given, Refusal::TooScattered) if *given == receipt));
    scene.message(Upstream::Backlog(Lane::Numeric), blocks[0].clone());
    scene.said.clear();
    scene.message(Upstream::Live(Lane::Numeric), blocks[80].clone());
    assert_eq!(scene.additions()[0].blocks.len(), 1);
}

#[test]
fn any_bytes_on_any_topic_are_survived() {
    let mut scene = Scene::open();
    let topics = [Upstream::Hello, Upstream::Announce, Upstream::Status];
    let lanes = Lane::ALL.into_iter().flat_map(|lane| [Upstream::Live(lane), Upstream::Backlog(lane)]);
    for what in topics.into_iter().chain(lanes) {
        for length in 0..64_u8 {
            scene.message(what, (0..length).map(|byte| byte.wrapping_mul(37) ^ length).collect());
        }
    }
    assert!(scene.additions().iter().all(|addition| addition.blocks.is_empty()));
    // One event for a thousand of them.
    assert_eq!(scene.said.iter().filter(|said| matches!(said, Output::Tell(..))).count(), 1);
}

#[test]
fn what_is_held_of_an_earlier_epoch_does_not_answer_a_later_hello() {
    let mut scene = Scene::new();
    scene.hello_of(7);
    scene.hello_of(8);
    scene.opened_of(7, 40);
    let welcomes = |scene: &Scene| {
        let sent = |said: &&Output| matches!(said, Output::Send(Downstream::Welcome, _));
        scene.said.iter().filter(sent).count()
    };
    assert_eq!(welcomes(&scene), 0);
    scene.opened_of(8, 0);
    assert_eq!(welcomes(&scene), 1);
}

fn watched(epoch: u64, beat: Option<u64>) -> Tended {
    let why = if beat.is_some() { String::new() } else { "no station covers this bed".to_owned() };
    Tended { watch: Some(Watch { epoch: format!("{epoch:016x}"), beat, why }), ..Tended::default() }
}

fn command(id: &str, bed: &str, expires_us: i64) -> Command {
    Command {
        id: id.to_owned(),
        bed: bed.to_owned(),
        by: "ana".to_owned(),
        station: None,
        issued_us: 0,
        expires_us,
        act: Act::EndPause,
    }
}

fn limits(version: u64, bed: &str) -> Tended {
    let limits = Limits { version, bed: bed.to_owned(), ..Limits::default() };
    Tended { limits: Some(Arc::new(limits)), ..Tended::default() }
}

impl Scene {
    fn tend(&mut self, tended: Tended) {
        self.give(Input::Tended(Box::new(tended)));
    }

    fn status(&mut self, in_force: Option<u64>) {
        let limits = in_force.map(|version| json!({ "version": version, "author": "x", "limits": [] }));
        let status = json!({
            "epoch": format!("{:016x}", 7), "wall_us": 0, "links": [], "limits": limits,
            "outbox": { "waiting_rows": 0, "waiting_bytes": 0, "oldest_ms": 0, "dropped_rows": 0 },
        });
        self.message(Upstream::Status, status.to_string().into_bytes());
    }
}

#[test]
fn h5_the_end_of_coverage_is_said_at_once_and_its_progress_with_the_heartbeat() {
    let mut scene = Scene::open();
    scene.tend(watched(7, Some(4)));
    scene.pass(Duration::from_millis(300));
    assert_eq!(scene.sent(Downstream::Alive).last().unwrap()["watch"]["beat"], 4);
    scene.said.clear();
    for beat in 5..25 {
        scene.tend(watched(7, Some(beat)));
        scene.pass(Duration::from_millis(50));
    }
    assert!(
        (3..=5).contains(&scene.sent(Downstream::Alive).len()),
        "a heartbeat is no answer to each receipt"
    );
    scene.said.clear();
    scene.tend(watched(7, None));
    let alive = scene.sent(Downstream::Alive);
    assert_eq!((alive.len(), &alive[0]["watch"]["why"]), (1, &json!("no station covers this bed")));
    assert!(alive[0]["watch"]["beat"].is_null());
}

#[test]
fn h5_a_lease_of_an_earlier_epoch_is_no_lease_of_this_one() {
    let mut scene = Scene::open();
    scene.tend(watched(6, Some(1_000)));
    scene.pass(Duration::from_secs(1));
    let alive = scene.sent(Downstream::Alive);
    let watch = &alive.last().unwrap()["watch"];
    assert!(watch["beat"].is_null() && watch["why"] != "" && watch["epoch"] == format!("{:016x}", 7));
}

#[test]
fn a_command_is_sent_once_a_connection_to_the_bed_it_is_for_and_not_after_its_time() {
    let mut scene = Scene::open();
    let in_time = scene.now.wall.0 + 10_000_000;
    let commands = vec![
        command("a", "01", in_time),
        command("b", "02", in_time),
        command("c", "01", scene.now.wall.0 - 1),
    ];
    let tended = Tended { commands, ..Tended::default() };
    scene.tend(tended.clone());
    scene.pass(Duration::from_secs(2));
    scene.tend(tended);
    let names = |scene: &Scene| -> Vec<String> {
        scene.sent(Downstream::Command).iter().map(|sent| sent["id"].as_str().unwrap().to_owned()).collect()
    };
    assert_eq!(names(&scene), ["a"]);
    // Whoever was cut off before it arrived gets it again.
    scene.hello();
    scene.opened();
    scene.pass(Duration::from_millis(10));
    assert_eq!(names(&scene), ["a", "a"]);
}

#[test]
fn h4_limits_are_pushed_only_after_the_agent_has_said_what_it_has_and_only_over_a_lower_version() {
    let mut scene = Scene::open();
    scene.tend(limits(8, "01"));
    scene.pass(Duration::from_secs(3));
    assert_eq!(scene.sent(Downstream::Limits).len(), 0);
    // The hub was set back: what the bed has is newer.
    scene.status(Some(9));
    assert_eq!(scene.sent(Downstream::Limits).len(), 0);
    scene.tend(limits(10, "01"));
    assert_eq!(scene.sent(Downstream::Limits)[0]["version"], 10);
    for _ in 0..11 {
        scene.pass(Duration::from_secs(1));
        scene.status(Some(9));
    }
    assert_eq!(scene.sent(Downstream::Limits).len(), 2, "again after ten seconds while another is in force");
    scene.status(Some(10));
    scene.tend(limits(11, "02"));
    scene.pass(Duration::from_secs(1));
    assert_eq!(scene.sent(Downstream::Limits).len(), 2, "a set for another bed goes to nobody");
}

#[test]
fn h2_who_lies_there_is_said_with_every_heartbeat_and_a_change_at_once() {
    let mut scene = Scene::open();
    scene.tend(Tended { stay: Some(Stay { id: Some("s1".into()) }), ..Tended::default() });
    assert_eq!(scene.sent(Downstream::Alive).last().unwrap()["stay"]["id"], "s1");
    scene.pass(Duration::from_millis(100));
    scene.tend(Tended { stay: Some(Stay { id: None }), ..Tended::default() });
    assert_eq!(scene.sent(Downstream::Alive).last().unwrap()["stay"], json!({ "id": null }));
}
