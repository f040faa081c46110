//! What was recorded and what is missing of it, as a page asks for it.

use crate::browser::Browser;
use crate::hub::{Hub, agent};
use crate::patients::newborn;
use bytes::Bytes;
use cotside_central_hub::ledger::{Bounds, next};
use cotside_central_hub::store::agents::{Invitation, invite, redeem};
use cotside_central_hub::store::blocks::{Addition, Row, append};
use cotside_central_hub::store::lives::{Life, meet};
use cotside_protocol::model::{Code, Decimal, Mono, Pace, Provenance, Quality, Site, Wall};
use cotside_protocol::wire::block::{Body, Channel, Encoder, Epoch, Gap, GapCause, Header, Sample};
use cotside_protocol::wire::topic::Lane;
use std::time::Duration;

const MINUTE: Duration = Duration::from_secs(60);

/// Two minutes of heart rate, a minute without a cable, and a minute again, up to now, followed.
fn fill(hub: &Hub) -> Wall {
    let store = hub.store();
    let now = hub.clock.now().wall;
    let begin = now - 4 * MINUTE;
    let invitation = Invitation { agent: agent(), bed: "01".into() };
    invite(&store, &[7; 32], &invitation, begin, MINUTE).unwrap();
    redeem(&store, &[7; 32], begin).unwrap().unwrap();
    let known = meet(&store, &agent(), &Life::new(Epoch(7), None), begin).unwrap().known;
    let mut encoder = Encoder::new();
    let mut rows = Vec::new();
    let mut write = |second: u64, body: &Body| {
        let seq = rows.len() as u64;
        let wall = begin + Duration::from_secs(second);
        let header = Header {
            lane: Lane::Numeric,
            epoch: Epoch(7),
            seq,
            provenance: Provenance::Simulated,
            boot: 1,
            mono: Mono(second * 1_000_000),
            wall,
            span_us: 1_000_000,
        };
        let mut bytes = Vec::new();
        encoder.encode(&header, body, &mut bytes);
        rows.push(Row { seq, end: seq + 1, begin: wall, bytes: Bytes::from(bytes) });
    };
    let reading = |second: u64| {
        let channel = Channel { link: 0, code: Code(147_842), site: Site::Unspecified, setting: false };
        // Every tenth is marked by the device as none.
        let quality = if second.is_multiple_of(10) { Quality::INVALID } else { Quality::GOOD };
        let value = Some(Decimal::new(if second.is_multiple_of(10) { 0 } else { 140 }, 0));
        let (ucum, pace) = ("{beats}/min".to_owned(), Pace::Continuous);
        Body::Numerics(vec![Sample { channel, ucum, pace, value, quality, at_us: 0, lag_ms: 0 }])
    };
    (0..120).for_each(|second| write(second, &reading(second)));
    let (from, to) = (begin + 2 * MINUTE, begin + 3 * MINUTE);
    let gap = Gap { cause: GapCause::CableOut, link: Some(0), from, to, seqs: None, count: None };
    write(180, &Body::Gap(gap));
    (180..240).for_each(|second| write(second, &reading(second)));
    let source = known[Lane::Numeric as usize].source;
    let (records, conflicts) = (Vec::new(), Vec::new());
    let addition = Addition { source, agent: agent(), blocks: rows, records, conflicts, at: now };
    append(&store, &addition).unwrap();
    while let Some(step) = next(&store, Bounds::STEP).unwrap() {
        assert!(step.write(&store).unwrap());
    }
    begin
}

#[tokio::test]
async fn a_hub_that_has_recorded_nothing_says_so() {
    let hub = Hub::start().await;
    let browser = Browser::log_in(&hub, "nurse").await;
    let gaps = browser.get(&hub, "/api/v1/beds/01/gaps").await.json()["data"].clone();
    assert!(gaps["gaps"].as_array().unwrap().is_empty());
    let completeness = browser.get(&hub, "/api/v1/beds/02/completeness").await.json()["data"].clone();
    let days = completeness["days"].as_array().unwrap();
    assert_eq!(
        (days.len(), &days[6]["expected_s"], days[6]["lanes"].as_array().unwrap().len()),
        (7, &0.into(), 0)
    );
    let unit = browser.get(&hub, "/api/v1/units/nicu/completeness").await.json()["data"].clone();
    assert_eq!((unit["beds"][0]["bed"].as_str(), &unit["beds"][0]["unexplained_s"]), (Some("01"), &0.into()));
    let trends = browser.get(&hub, "/api/v1/beds/01/trends").await.json()["data"].clone();
    assert_eq!((trends["resolution_s"].as_i64(), trends["trends"].as_array().unwrap().len()), (Some(60), 0));
}

#[tokio::test]
async fn gaps_completeness_and_trends_tell_one_story() {
    let hub = Hub::start().await;
    let begin = fill(&hub);
    let browser = Browser::log_in(&hub, "nurse").await;
    let gaps = browser.get(&hub, "/api/v1/beds/01/gaps").await.json()["data"].clone();
    let gap = &gaps["gaps"][0];
    assert_eq!(
        (gap["cause"].as_str(), gap["lane"].as_str(), gap["link"].as_i64()),
        (Some("cable-out"), Some("numeric"), Some(0))
    );
    assert_eq!(gap["from_ms"].as_i64(), Some((begin + 2 * MINUTE).millis()));
    assert_eq!(gap["to_ms"].as_i64(), Some((begin + 3 * MINUTE).millis()));

    let completeness = browser.get(&hub, "/api/v1/beds/01/completeness").await.json()["data"].clone();
    let sum = |field: &str| -> i64 {
        let days = completeness["days"].as_array().unwrap();
        days.iter().filter_map(|day| day["lanes"][0].pointer(field)?.as_i64()).sum()
    };
    let expected: i64 =
        completeness["days"].as_array().unwrap().iter().map(|day| day["expected_s"].as_i64().unwrap()).sum();
    let (received, missing) = (sum("/received_s"), sum("/missing/cable-out"));
    assert!((238..=241).contains(&expected) && (178..=181).contains(&received), "{completeness}");
    assert!((59..=61).contains(&missing) && sum("/unexplained_s") == 0, "{completeness}");
    assert_eq!(received + missing + sum("/waiting_s"), expected, "{completeness}");

    let trends = browser.get(&hub, "/api/v1/beds/01/trends?param=147842,150456").await.json()["data"].clone();
    let heart_rate = &trends["trends"][0];
    assert_eq!(
        (heart_rate["label"].as_str(), heart_rate["ucum"].as_str()),
        (Some("HR"), Some("{beats}/min"))
    );
    let points = heart_rate["points"].as_array().unwrap();
    let readings: i64 = points.iter().map(|point| point[4].as_i64().unwrap()).sum();
    // A marked reading is in no mean and in no minimum.
    assert!(
        points.iter().all(|point| point[1] == 140.0 && point[2] == 140.0 && point[3] == 140.0),
        "{trends}"
    );
    assert_eq!(readings, 180 - 18);
    // The holes of a trend are those of the account, to the second: what may still come is one of them.
    let holes = trends["gaps"].as_array().unwrap();
    let seconds_of = |cause: &str| -> i64 {
        let of_cause = holes.iter().filter(|hole| hole["cause"] == cause && hole["link"] == 0);
        of_cause
            .map(|hole| (hole["to_ms"].as_i64().unwrap() - hole["from_ms"].as_i64().unwrap()) / 1000)
            .sum()
    };
    assert_eq!(seconds_of("cable-out"), missing, "{trends}");
    assert!((seconds_of("waiting") - sum("/waiting_s")).abs() <= 2, "{trends}");
    assert!(holes.iter().all(|hole| hole["cause"] == "cable-out" || hole["cause"] == "waiting"), "{trends}");
    let lane = browser.get(&hub, "/api/v1/beds/01/gaps?lane=numeric").await.json()["data"].clone();
    assert_eq!(lane["gaps"][0], holes[0], "{lane}");
}

#[tokio::test]
async fn h2_a_trend_shows_nothing_of_the_child_that_lay_there_before() {
    let hub = Hub::start().await;
    fill(&hub);
    let browser = Browser::log_in(&hub, "nurse").await;
    let admitted = browser.send(&hub, "PUT", "/api/v1/beds/01/patient", &[], Some(newborn("4711"))).await;
    assert_eq!(admitted.status, 200, "{}", admitted.text());
    let trends = browser.get(&hub, "/api/v1/beds/01/trends").await.json()["data"].clone();
    assert!(trends["trends"].as_array().unwrap().is_empty() && trends["since_ms"].is_i64(), "{trends}");
}

#[tokio::test]
async fn a_question_that_is_too_large_or_unclear_is_refused_with_a_stable_word() {
    let hub = Hub::start().await;
    let browser = Browser::log_in(&hub, "nurse").await;
    for (path, status, code) in [
        ("/api/v1/beds/01/gaps?from=yesterday", 400, "bad-time"),
        ("/api/v1/beds/01/gaps?from=2026-11-22T10:00:00Z&to=2026-11-22T09:00:00Z", 400, "bad-range"),
        ("/api/v1/beds/01/gaps?from=0", 400, "range-too-long"),
        ("/api/v1/beds/77/gaps", 404, "not-found"),
        ("/api/v1/beds/01/completeness?from=2026-02-30", 400, "bad-day"),
        ("/api/v1/beds/01/completeness?from=2026-01-01&to=2026-02-01", 400, "range-too-long"),
        ("/api/v1/units/nicu/completeness?day=today", 400, "bad-day"),
        ("/api/v1/units/icu/completeness", 404, "not-found"),
        ("/api/v1/beds/01/trends?param=HR", 400, "bad-parameter"),
        ("/api/v1/beds/01/gaps?lane=alarm", 400, "bad-lane"),
        ("/api/v1/beds/01/trends?resolution=1", 400, "bad-resolution"),
        ("/api/v1/beds/01/trends?from=2026-11-01T00:00:00Z&to=2026-11-20T00:00:00Z", 400, "too-many-points"),
    ] {
        let answer = browser.get(&hub, path).await;
        assert_eq!((answer.status, answer.code().as_str()), (status, code), "{path}: {}", answer.text());
    }
    let codes: Vec<String> = (1..=33).map(|code| code.to_string()).collect();
    let many = browser.get(&hub, &format!("/api/v1/beds/01/trends?param={}", codes.join(","))).await;
    assert_eq!((many.status, many.code().as_str()), (400, "too-many-parameters"));
    let whole = "/api/v1/beds/01/trends?from=2026-11-01T00:00:00Z&to=2026-12-02T00:00:00Z&resolution=300";
    assert_eq!(browser.get(&hub, whole).await.status, 200);
}
