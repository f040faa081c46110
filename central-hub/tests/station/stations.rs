//! A screen becomes a station, shows, proves what it shows, and somebody acts at it.

use cotside_central_hub::feed::News;
use cotside_central_hub::stations::{decode, encode};
use cotside_protocol::wire::downstream::Act;
use cotside_protocol::wire::upstream::{Announce, Condition, Outcome, Record, Reply};
use ring::rand::SystemRandom;
use ring::signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, KeyPair as _};
use serde_json::{Value, json};

use crate::browser::*;
use crate::hub::*;

/// A page with a key of its own.
struct Screen {
    key: EcdsaKeyPair,
    random: SystemRandom,
    id: String,
    code: String,
}

impl Screen {
    async fn ask(hub: &Hub) -> Self {
        let random = SystemRandom::new();
        let algorithm = &ECDSA_P256_SHA256_FIXED_SIGNING;
        let made = EcdsaKeyPair::generate_pkcs8(algorithm, &random).unwrap();
        let key = EcdsaKeyPair::from_pkcs8(algorithm, made.as_ref(), &random).unwrap();
        let body = json!({"public_key": encode(key.public_key().as_ref()), "label": "1920 x 1080"});
        let answer = Browser::default().send(hub, "POST", "/api/v1/stations/pairing", &[], Some(body)).await;
        let data = answer.json()["data"].clone();
        let text = |field: &str| data[field].as_str().unwrap().to_owned();
        Self { key, random, id: text("station"), code: text("code") }
    }

    async fn prove(&self, hub: &Hub) -> Answer {
        let anyone = Browser::default();
        let body = json!({"station": self.id});
        let asked = anyone.send(hub, "POST", "/api/v1/stations/self/challenge", &[], Some(body)).await;
        if asked.status != 200 {
            return asked;
        }
        let challenge = asked.json()["data"]["challenge"].as_str().unwrap().to_owned();
        let words = format!("cotside station session\n{}\n{challenge}", self.id);
        let signature = encode(self.key.sign(&self.random, words.as_bytes()).unwrap().as_ref());
        let body = json!({"station": self.id, "challenge": challenge, "signature": signature});
        anyone.send(hub, "POST", "/api/v1/stations/self/session", &[], Some(body)).await
    }

    async fn enter(&self, hub: &Hub) -> Browser {
        let answer = self.prove(hub).await;
        assert_eq!(answer.status, 200, "{}", answer.text());
        let cookie = answer.header("set-cookie").unwrap().split(';').next().unwrap().to_owned();
        let csrf = answer.json()["data"]["csrf"].as_str().unwrap().to_owned();
        Browser { cookie: Some(cookie), csrf: Some(csrf) }
    }
}

async fn approve(hub: &Hub, screen: &Screen, beds: Value) -> Answer {
    let admin = Browser::log_in(hub, "admin").await;
    let path = format!("/api/v1/stations/{}/approval", screen.id);
    let body = json!({"code": screen.code, "name": "Central 1", "beds": beds});
    admin.send(hub, "POST", &path, &[], Some(body)).await
}

/// A station of these beds.
async fn station(hub: &Hub, beds: Value) -> (Screen, Browser) {
    let screen = Screen::ask(hub).await;
    assert_eq!(approve(hub, &screen, beds).await.status, 200);
    let page = screen.enter(hub).await;
    (screen, page)
}

fn beat(beat: u64, alarms: Vec<cotside_protocol::wire::upstream::Alarm>) -> News {
    News::Announce(Announce { epoch: "0".repeat(16), beat, alarms, ..Announce::default() })
}

fn acting(secret: Value) -> String {
    encode(secret.to_string().as_bytes())
}

/// Answers the next tick as a page that has painted it.
async fn receipt(hub: &Hub, page: &Browser, events: &mut Events, sounding: &str) -> Value {
    let tick = events.until(|kind, _| kind == "tick").await;
    let body = json!({
        "nonce": tick["nonce"], "beats": tick["beats"], "audio": "running", "sounding": sounding,
        "visible": true, "self_test": "passed",
    });
    let answer = page.send(hub, "POST", "/api/v1/stations/self/receipts", &[], Some(body)).await;
    answer.json()["data"].clone()
}

#[tokio::test]
async fn s4_a_screen_is_a_station_only_after_somebody_approved_its_code_and_until_it_is_revoked() {
    let hub = Hub::start().await;
    let screen = Screen::ask(&hub).await;
    let anyone = Browser::default();
    let path = format!("/api/v1/stations/pairing/{}", screen.id);
    assert_eq!(anyone.get(&hub, &path).await.json()["data"]["state"], "waiting");
    assert_eq!(screen.prove(&hub).await.code(), "station-revoked");
    let nurse = Browser::log_in(&hub, "nurse").await;
    let approval = format!("/api/v1/stations/{}/approval", screen.id);
    let body = json!({"code": screen.code, "name": "x", "beds": "all"});
    assert_eq!(nurse.send(&hub, "POST", &approval, &[], Some(body)).await.status, 403);
    let mut wrong = Screen::ask(&hub).await;
    wrong.code = screen.code.clone();
    assert_eq!(approve(&hub, &wrong, json!("all")).await.code(), "wrong-code");
    // That code is spent now, on the page that shows it.
    let screen = Screen::ask(&hub).await;
    assert_eq!(approve(&hub, &screen, json!(["09"])).await.status, 422);
    assert_eq!(approve(&hub, &screen, json!("all")).await.status, 200);
    let path = format!("/api/v1/stations/pairing/{}", screen.id);
    assert_eq!(anyone.get(&hub, &path).await.json()["data"]["state"], "approved");
    let page = screen.enter(&hub).await;
    let shown = page.get(&hub, "/api/v1/stations/self").await.json()["data"]["station"].clone();
    assert_eq!(shown, json!({"id": screen.id, "name": "Central 1", "beds": ["01", "02"]}));
    assert_eq!(page.get(&hub, "/api/v1/units/nicu").await.status, 200);
    let mut events = Events::open(&hub, &page).await;
    events.until(|kind, data| kind == "reader" && data["remote"] == false).await;
    let admin = Browser::log_in(&hub, "admin").await;
    let gone = admin.send(&hub, "DELETE", &format!("/api/v1/stations/{}", screen.id), &[], None).await;
    assert_eq!(gone.status, 200);
    assert_eq!(page.get(&hub, "/api/v1/units/nicu").await.status, 401);
    assert_eq!(screen.prove(&hub).await.code(), "station-revoked");
    while events.next().await.is_some() {}
}

#[tokio::test]
async fn a_station_sees_its_own_beds_and_no_other() {
    let hub = Hub::start().await;
    let (_, page) = station(&hub, json!(["02"])).await;
    let beds = page.get(&hub, "/api/v1/units/nicu").await.json()["data"]["beds"].clone();
    assert_eq!(beds.as_array().unwrap().iter().map(|bed| bed["bed"].clone()).collect::<Vec<_>>(), ["02"]);
    let answer = page.get(&hub, "/api/v1/beds/01").await;
    assert_eq!((answer.status, answer.code().as_str()), (403, "not-covered"));
    assert_eq!(page.get(&hub, "/api/v1/beds/02").await.status, 200);
    let mut events = Events::open(&hub, &page).await;
    let (_, snapshot) = events.next().await.unwrap();
    assert_eq!(snapshot["beds"].as_array().unwrap().len(), 1);
    hub.heart_rate(152).await;
    hub.tell(announce(vec![alarm(1, Condition::Active)])).await;
    for _ in 0..8 {
        let (kind, data) = events.next().await.unwrap();
        assert!(kind != "beds" || data["beds"].as_array().unwrap().iter().all(|bed| bed["bed"] == "02"));
    }
}

#[tokio::test]
async fn h5_what_a_station_painted_is_the_lease_of_the_bed_and_what_it_does_not_sound_is_not() {
    let hub = Hub::start().await;
    let (_, page) = station(&hub, json!("all")).await;
    let mut events = Events::open(&hub, &page).await;
    hub.tell(beat(7, Vec::new())).await;
    events.until(|kind, data| kind == "tick" && data["beats"]["01"] == 7).await;
    assert_eq!(receipt(&hub, &page, &mut events, "none").await, json!({"counts": true, "why": ""}));
    let told = hub.tending.follow("01");
    assert_eq!(told.borrow().watch.as_ref().unwrap().beat, Some(7));
    hub.tell(beat(8, vec![alarm(1, Condition::Active)])).await;
    events.until(|kind, data| kind == "tick" && data["beats"]["01"] == 8).await;
    let heard = receipt(&hub, &page, &mut events, "none").await;
    assert_eq!(heard, json!({"counts": false, "why": "an alarm does not sound"}));
    assert_eq!(told.borrow().watch.as_ref().unwrap().beat, Some(7));
    assert_eq!(receipt(&hub, &page, &mut events, "high").await["counts"], true);
    assert_eq!(told.borrow().watch.as_ref().unwrap().beat, Some(8));
    let person = Browser::log_in(&hub, "nurse").await;
    let body = json!({"nonce": "x", "beats": {}, "audio": "running", "sounding": "high", "visible": true});
    let answer = person.send(&hub, "POST", "/api/v1/stations/self/receipts", &[], Some(body)).await;
    assert_eq!(answer.status, 403, "a browser that is no station feeds no lease");
}

#[tokio::test]
async fn h6_acting_at_a_station_asks_who_and_a_stale_acknowledgement_is_refused_409() {
    let hub = Hub::start().await;
    let (_, page) = station(&hub, json!("all")).await;
    hub.tell(beat(1, vec![alarm(3, Condition::Active)])).await;
    hub.live.bed("01").await.unwrap();
    let path = "/api/v1/alarms/01/00000000000000a1/acknowledgement";
    let key = ("idempotency-key", "press-1");
    let seen = |version: u32| Some(json!({"version": version}));
    let answer = page.send(&hub, "POST", path, &[key], seen(3)).await;
    assert_eq!((answer.status, answer.code().as_str()), (401, "person-required"));
    let named = |name: &str, password: &str| acting(json!({"username": name, "password": password}));
    let wrong = named("nurse", "wrong password");
    let answer = page.send(&hub, "POST", path, &[key, ("x-acting", &wrong)], seen(3)).await;
    assert_eq!((answer.status, answer.code().as_str()), (401, "bad-credentials"));
    let engineer = named("biomedical-engineer", PASSWORD);
    let answer = page.send(&hub, "POST", path, &[key, ("x-acting", &engineer)], seen(3)).await;
    assert_eq!((answer.status, answer.code().as_str()), (403, "not-permitted"));
    let nurse = named("nurse", PASSWORD);
    let who = ("x-acting", nurse.as_str());
    let answer = page.send(&hub, "POST", path, &[who], seen(3)).await;
    assert_eq!((answer.status, answer.code().as_str()), (400, "idempotency-key"));
    let answer = page.send(&hub, "POST", path, &[key, who], seen(0)).await;
    assert_eq!((answer.status, answer.code().as_str()), (409, "alarm-superseded"));
    let unknown = "/api/v1/alarms/01/00000000000000ff/acknowledgement";
    let answer = page.send(&hub, "POST", unknown, &[key, who], seen(3)).await;
    assert_eq!((answer.status, answer.code().as_str()), (404, "unknown-episode"));
    let answer = page.send(&hub, "POST", path, &[key, who], seen(3)).await;
    assert_eq!(answer.status, 202, "{}", answer.text());
    let command = answer.json()["data"]["command"].as_str().unwrap().to_owned();
    let again = page.send(&hub, "POST", path, &[key, who], seen(3)).await;
    assert_eq!(again.json()["data"]["command"], command);
    let told = hub.tending.follow("01").borrow().clone();
    assert_eq!(told.commands.len(), 1);
    assert_eq!(
        (told.commands[0].by.as_str(), told.commands[0].station.as_deref()),
        ("nurse", Some("Central 1"))
    );
    assert_eq!(told.commands[0].act, Act::Acknowledge { episode: "00000000000000a1".into(), version: 3 });
    hub.tell(News::Reply(Reply { command, outcome: Outcome::Done })).await;
    // The channel of the agents is not the channel of the questions.
    while hub.live.bed("01").await.unwrap().unwrap().alarms[0].requested.as_ref().unwrap().state != "done" {
        tokio::task::yield_now().await;
    }
    // Nobody at a bed waits for the audit's disk.
    let deed = "acknowledge 00000000000000a1 3 at station";
    while !hub.audit().iter().any(|(who, what)| who == "nurse" && what.starts_with(deed)) {
        tokio::task::yield_now().await;
    }
}

#[tokio::test]
async fn a_pin_is_good_at_a_station_and_nowhere_else_and_guessing_it_is_locked_out() {
    let hub = Hub::start().await;
    let (_, page) = station(&hub, json!("all")).await;
    hub.tell(beat(1, Vec::new())).await;
    let nurse = Browser::log_in(&hub, "nurse").await;
    let set = |pin: &'static str| json!({"pin": pin});
    assert_eq!(nurse.send(&hub, "PUT", "/api/v1/session/pin", &[], Some(set("12"))).await.status, 422);
    assert_eq!(nurse.send(&hub, "PUT", "/api/v1/session/pin", &[], Some(set("4711"))).await.status, 200);
    assert_eq!(Browser::default().try_log_in(&hub, "nurse", "4711").await.status, 401);
    let pause = async |pin: &str, key: &str| {
        let who = acting(json!({"username": "nurse", "pin": pin}));
        let body = Some(json!({"seconds": 120}));
        page.send(
            &hub,
            "POST",
            "/api/v1/beds/01/audio-pause",
            &[("idempotency-key", key), ("x-acting", &who)],
            body,
        )
        .await
    };
    assert_eq!(pause("4711", "a").await.status, 202);
    for _ in 0..5 {
        assert_eq!(pause("0000", "b").await.status, 401);
    }
    assert_eq!(pause("4711", "c").await.code(), "locked-out");
    // What has no person is not held up by it.
    assert_eq!(page.get(&hub, "/api/v1/beds/01").await.status, 200);
}

#[tokio::test]
async fn the_log_has_the_whole_life_of_an_alarm_and_who_answers_is_assigned() {
    let hub = Hub::start().await;
    let (_, page) = station(&hub, json!("all")).await;
    let nurse = Browser::log_in(&hub, "nurse").await;
    let body = json!({"primary": "nurse", "buddy": "fellow"});
    assert_eq!(nurse.send(&hub, "PUT", "/api/v1/beds/01/nurses", &[], Some(body)).await.status, 200);
    let nobody = json!({"primary": "nobody", "buddy": null});
    assert_eq!(nurse.send(&hub, "PUT", "/api/v1/beds/01/nurses", &[], Some(nobody)).await.status, 422);
    let mut events = Events::open(&hub, &page).await;
    hub.tell(beat(1, vec![alarm(1, Condition::Active)])).await;
    let shown = events
        .until(|kind, data| kind == "beds" && data["beds"][0]["alarms"][0]["responsibility"] != Value::Null)
        .await;
    let called = &shown["beds"][0]["alarms"][0]["responsibility"];
    assert_eq!((&called["state"], &called["called"]["people"]), (&json!("undefined"), &json!(["nurse"])));
    assert_eq!(shown["beds"][0]["nurse"]["buddy"], "fellow");
    events.until(|kind, data| kind == "tick" && data["beats"]["01"] == 1).await;
    receipt(&hub, &page, &mut events, "high").await;
    let path = "/api/v1/alarms/01/00000000000000a1/responsibility";
    let answer =
        nurse.send(&hub, "POST", path, &[("idempotency-key", "k")], Some(json!({"answer": "accept"}))).await;
    assert_eq!(answer.status, 200, "{}", answer.text());
    let row = serde_json::to_string(&Record::Alarm(alarm(1, Condition::Active))).unwrap();
    hub.store()
        .execute(
            "INSERT INTO records(source, seq, bed, at_us, type, episode, json) VALUES(1, 1, '01', 1, 'alarm', '00000000000000a1', ?1)",
            [row],
        )
        .unwrap();
    let wanted = ["heard", "escalated", "painted", "sounded", "accepted"];
    let life = loop {
        let log = nurse.get(&hub, "/api/v1/alarms?bed=01&state=open&priority=high").await.json();
        let life = log["data"]["alarms"][0]["life"].clone();
        let words: Vec<String> =
            life.as_array().unwrap().iter().map(|event| event["what"].as_str().unwrap().to_owned()).collect();
        // The log follows what is shown by one commit.
        if wanted.iter().all(|word| words.iter().any(|found| found == word)) {
            assert_eq!(words[0], "raised");
            break log;
        }
        tokio::task::yield_now().await;
    };
    assert_eq!(life["data"]["alarms"][0]["text"], "SpO2 71 < 85");
    assert_eq!(life["data"]["capacity"]["entries"], 5_000_000);
    assert_eq!(nurse.get(&hub, "/api/v1/alarms?state=ended").await.json()["data"]["alarms"], json!([]));
    let erased = hub.store().execute("DELETE FROM alarm_log", []).unwrap_err().to_string();
    assert!(erased.contains("append only"), "{erased}");
    assert!(decode("??").is_none());
}
