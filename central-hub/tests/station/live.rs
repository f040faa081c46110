//! What the readers see, and when.

use cotside_central_hub::feed::News;
use cotside_protocol::model::{NO_SAMPLE, Quality};
use cotside_protocol::wire::block::{Body, Encoder, Header, Sample, Stretch};
use cotside_protocol::wire::topic::Lane;
use cotside_protocol::wire::upstream::{Condition, Record};
use serde_json::{Value, json};

use crate::browser::*;
use crate::hub::*;

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

#[tokio::test]
async fn an_alarm_reaches_the_stream_before_its_row_and_is_marked_when_the_row_is_there() {
    let hub = Hub::start().await;
    let browser = Browser::log_in(&hub, "nurse").await;
    hub.heart_rate(152).await;
    let mut events = Events::open(&hub, &browser).await;
    hub.tell(announce(vec![alarm(1, Condition::Active)])).await;
    let is_shown = |recorded: bool| {
        move |kind: &str, data: &Value| {
            kind == "beds" && data["beds"][0]["alarms"][0]["recorded"] == Value::Bool(recorded)
        }
    };
    let shown = events.until(is_shown(false)).await;
    let shown = &shown["beds"][0]["alarms"][0];
    assert_eq!((&shown["text"], &shown["priority"]), (&json!("SpO2 71 < 85"), &json!("high")));
    assert_eq!(shown["inactivation"], json!({"state": "enabled"}));
    let header = hub.header(Lane::Alarm);
    hub.tell(News::Record(header, Record::Alarm(alarm(1, Condition::Active)))).await;
    events.until(is_shown(true)).await;
    hub.tell(announce(vec![])).await;
    events.until(|kind, data| kind == "beds" && data["beds"][0]["alarms"] == json!([])).await;
}

#[tokio::test]
async fn a_reader_that_falls_behind_is_told_so_and_slows_nobody() {
    let hub = Hub::start().await;
    let browser = Browser::log_in(&hub, "nurse").await;
    // A bed with so much to say that a hundred frames fill every buffer between hub and reader.
    let header = hub.header(Lane::Numeric);
    let many = (0..500).map(|code| Sample { channel: channel(900_000 + code), ..sample(1) }).collect();
    hub.tell(News::Numerics(header, many)).await;
    let mut slow = Events::open(&hub, &browser).await;
    let mut quick = Events::open(&hub, &browser).await;
    const FRAMES: u32 = 200;
    for version in 1..=FRAMES {
        hub.tell(announce(vec![alarm(version, Condition::Active)])).await;
        quick
            .until(|kind, data| {
                assert_ne!(kind, "overflow", "the quick reader was held up");
                kind == "beds" && data["beds"][0]["alarms"][0]["version"] == version
            })
            .await;
    }
    slow.until(|kind, _| kind == "overflow").await;
    let (kind, whole) = slow.next().await.unwrap();
    assert_eq!(kind, "snapshot");
    assert_eq!(whole["beds"][0]["alarms"][0]["version"], FRAMES);
}

/// What an agent's block of them becomes.
fn waveforms(header: Header, stretches: Vec<Stretch>) -> News {
    let mut block = Vec::new();
    Encoder::new().encode(&header, &Body::Waveforms(stretches), &mut block);
    News::Waveforms(header, block.into())
}

#[tokio::test]
async fn waveforms_arrive_as_described_channels_and_binary_chunks() {
    let hub = Hub::start().await;
    let browser = Browser::log_in(&hub, "nurse").await;
    let mut socket = Socket::open(&hub, &browser, &[]).await.unwrap();
    socket.subscribe(&["01"]).await;
    assert_eq!(socket.next_text().await, json!({"type": "channels", "channels": []}));
    let header = hub.header(Lane::Waveform);
    let stretch = |code, gain, samples: &[i32]| Stretch {
        channel: channel(code),
        ucum: "mV".to_owned(),
        at_us: -4000,
        period_us: 4000,
        gain,
        offset: 0.5,
        quality: Quality::GOOD,
        samples: samples.to_vec(),
    };
    let ecg = stretch(131_330, 0.005, &[1, -2, NO_SAMPLE]);
    let pleth = stretch(150_452, 1.0, &[7]);
    hub.tell(waveforms(header, vec![ecg.clone(), pleth])).await;
    let described = socket.next_text().await;
    let ecg_channel = &described["channels"][0];
    assert_eq!(
        (&ecg_channel["code"], &ecg_channel["label"], &ecg_channel["period_us"], &ecg_channel["gain"]),
        (&json!(131_330), &json!("ECG II"), &json!(4000), &json!(0.005))
    );
    let chunks = decode(&socket.next_binary().await);
    let begin_ms = (header.wall.0 - 4000) as f64 / 1000.0;
    assert_eq!(chunks[0], (ecg_channel["id"].as_u64().unwrap(), begin_ms, vec![1, -2, NO_SAMPLE]));
    assert_eq!((chunks.len(), &chunks[1].2), (2, &vec![7]));
    // Known channels are not described again until something of them changes.
    hub.tell(waveforms(header, vec![ecg])).await;
    assert_eq!(decode(&socket.next_binary().await).len(), 1);
    hub.tell(waveforms(header, vec![stretch(131_330, 0.01, &[3])])).await;
    assert_eq!(socket.next_text().await["channels"][0]["gain"], 0.01);
    assert_eq!(decode(&socket.next_binary().await)[0].2, [3]);
    // Whoever asks later is told first.
    let mut late = Socket::open(&hub, &browser, &[]).await.unwrap();
    late.subscribe(&["01", "02"]).await;
    assert_eq!(late.next_text().await["channels"].as_array().unwrap().len(), 2);
}

#[tokio::test]
async fn a_stopping_hub_ends_its_readers_promptly() {
    let mut hub = Hub::start().await;
    let browser = Browser::log_in(&hub, "nurse").await;
    let mut events = Events::open(&hub, &browser).await;
    let mut socket = Socket::open(&hub, &browser, &[]).await.unwrap();
    events.next().await.unwrap();
    let stopped = tokio::time::timeout(PATIENCE, std::mem::take(&mut hub.stages).stop()).await;
    assert!(stopped.unwrap(), "a stage had to be cut off");
    while events.next().await.is_some() {}
    assert!(matches!(socket.frame().await, None | Some((8, _))));
}

#[tokio::test]
async fn health_needs_no_login_and_tells_of_a_store_that_cannot_commit() {
    let hub = Hub::start().await;
    let browser = Browser::default();
    hub.tell(News::Connected).await;
    let health = browser.get(&hub, "/api/v1/health").await.json()["data"].clone();
    assert_eq!((&health["status"], &health["agents"]["known"]), (&json!("ok"), &json!(1)));
    hub.live.store_ok(false).await.unwrap();
    let health = browser.get(&hub, "/api/v1/health").await.json()["data"].clone();
    assert_eq!((&health["status"], &health["store"]), (&json!("degraded"), &json!("failed")));
    assert!(!health.to_string().contains("nicu"));
}

#[tokio::test]
async fn a_page_that_draws_too_slowly_is_told_that_it_missed_waveforms() {
    let hub = Hub::start().await;
    let browser = Browser::log_in(&hub, "nurse").await;
    let mut socket = Socket::open(&hub, &browser, &[]).await.unwrap();
    socket.subscribe(&["01"]).await;
    socket.next_text().await;
    let header = hub.header(Lane::Waveform);
    let ecg = Stretch {
        channel: channel(131_330),
        ucum: "mV".to_owned(),
        at_us: 0,
        period_us: 4000,
        gain: 0.005,
        offset: 0.0,
        quality: Quality::GOOD,
        samples: vec![1; 20_000],
    };
    // More than the ring and every buffer below it hold.
    let drawn = waveforms(header, vec![ecg]);
    for _ in 0..1000 {
        hub.tell(drawn.clone()).await;
    }
    let told = loop {
        match socket.frame().await.unwrap() {
            (1, text) if text == br#"{"type":"overflow"}"# => break socket.next_text().await,
            (kind, _) => assert!(matches!(kind, 1 | 2)),
        }
    };
    assert_eq!(told["channels"][0]["code"], 131_330);
}
