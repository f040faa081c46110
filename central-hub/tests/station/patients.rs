//! Who lies where, and who may learn of it.

use cotside_central_hub::people::first_break;
use serde_json::{Value, json};
use std::time::Duration;
use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;

use crate::browser::*;
use crate::confidential::*;
use crate::hub::*;

pub(crate) fn newborn(identifier: &str) -> Value {
    json!({
        "name": KNOWN_NAME, "identifier": identifier, "birth_date": "2025-02-03",
        "gestational_age": {"weeks": 32, "days": 4}, "weight_g": 1820
    })
}

#[tokio::test]
async fn a_patient_is_admitted_shown_kept_over_a_restart_and_discharged() {
    let hub = Hub::start().await;
    let browser = Browser::log_in(&hub, "nurse").await;
    // Born today, whatever day it is.
    let today = hub.clock.now().wall.to_string();
    let mut newborn = newborn(KNOWN_IDENTIFIER);
    newborn["birth_date"] = json!(&today[..10]);
    let path = "/api/v1/beds/01/patient";
    let answer = browser.send(&hub, "PUT", path, &[], Some(newborn.clone())).await;
    assert_eq!(answer.status, 200, "{}", answer.text());
    let patient = &answer.json()["data"]["patient"];
    assert_eq!((&patient["name"], &patient["day_of_life"]), (&json!(KNOWN_NAME), &json!(0)));
    assert_eq!(patient["pma"], json!({"weeks": 32, "days": 4}));
    let answer = browser.send(&hub, "PUT", "/api/v1/beds/02/patient", &[], Some(newborn.clone())).await;
    assert_eq!((answer.status, answer.code().as_str()), (409, "patient-elsewhere"));
    assert_eq!(answer.json()["error"]["details"]["bed"], "01");
    newborn["identifier"] = json!("another");
    let answer = browser.send(&hub, "PUT", path, &[], Some(newborn)).await;
    assert_eq!((answer.status, answer.code().as_str()), (409, "bed-occupied"));
    let hub = hub.restart().await;
    let bed = browser.get(&hub, "/api/v1/beds/01").await.json();
    assert_eq!(bed["data"]["patient"]["identifier"], KNOWN_IDENTIFIER);
    let mut events = Events::open(&hub, &browser).await;
    assert_eq!(events.next().await.unwrap().1["beds"][0]["state"], "occupied");
    assert_eq!(browser.send(&hub, "DELETE", path, &[], None).await.status, 200);
    events.until(|kind, data| kind == "beds" && data["beds"][0]["state"] == "available").await;
    let answer = browser.send(&hub, "DELETE", path, &[], None).await;
    assert_eq!((answer.status, answer.code().as_str()), (409, "bed-available"));
    let deeds = hub.audit();
    for deed in ["login", "admit", "view bed", "view unit", "discharge"] {
        assert!(deeds.iter().any(|(who, what)| who == "nurse" && what == deed), "{deed} in {deeds:?}");
    }
    assert_eq!(deeds.iter().filter(|(_, what)| what == "view unit").count(), 1);
}

#[tokio::test]
async fn h2_a_browser_that_leaves_in_the_middle_of_a_discharge_leaves_no_name_at_the_bed() {
    let hub = Hub::start().await;
    let browser = Browser::log_in(&hub, "nurse").await;
    let path = "/api/v1/beds/01/patient";
    let admitted = browser.send(&hub, "PUT", path, &[], Some(newborn(KNOWN_IDENTIFIER))).await;
    assert_eq!(admitted.status, 200);
    let mut events = Events::open(&hub, &browser).await;
    assert_eq!(events.next().await.unwrap().1["beds"][0]["state"], "occupied");
    let store = hub.store();
    let lies_there = || -> bool {
        let question = "SELECT EXISTS(SELECT 1 FROM admissions WHERE to_us IS NULL)";
        store.query_row(question, [], |row| row.get(0)).unwrap()
    };
    // Until one try got as far as the store, which is slow: its commit waits for whoever holds it.
    while lies_there() {
        store.execute_batch("BEGIN IMMEDIATE").unwrap();
        let mut leaving = TcpStream::connect(hub.at).await.unwrap();
        leaving.write_all(browser.head(&hub, "DELETE", path, &[], None).as_bytes()).await.unwrap();
        tokio::time::sleep(Duration::from_millis(200)).await;
        drop(leaving);
        tokio::time::sleep(Duration::from_millis(50)).await;
        store.execute_batch("ROLLBACK").unwrap();
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
    events.until(|kind, data| kind == "beds" && data["beds"][0]["state"] == "available").await;
}

#[tokio::test]
async fn the_audit_can_be_added_to_and_not_rewritten() {
    let hub = Hub::start().await;
    Browser::log_in(&hub, "nurse").await;
    let store = hub.store();
    for rewrite in ["UPDATE audit SET who = 'somebody'", "DELETE FROM audit"] {
        let refused = store.execute(rewrite, []).unwrap_err().to_string();
        assert!(refused.contains("append only"), "{refused}");
    }
    assert_eq!(hub.audit().len(), 1);
    Browser::log_in(&hub, "fellow").await;
    assert_eq!(first_break(&store).unwrap(), None);
    // Whoever has the file can remove the refusal, but not mend the chain behind a changed row.
    store.execute_batch("DROP TRIGGER audit_is_not_rewritten").unwrap();
    store.execute("UPDATE audit SET who = 'somebody' WHERE id = 1", []).unwrap();
    assert_eq!(first_break(&store).unwrap(), Some(1));
}

#[tokio::test]
async fn the_witness_would_notice_a_patient_in_the_log() {
    let _hub = Hub::start().await;
    let logging = std::panic::catch_unwind(|| tracing::trace!(name = KNOWN_NAME, "admitted"));
    assert!(logging.is_err());
}

#[tokio::test]
async fn every_error_has_the_one_shape_and_repeats_nothing_that_was_typed() {
    let hub = Hub::start().await;
    let browser = Browser::log_in(&hub, "nurse").await;
    let path = "/api/v1/beds/01/patient";
    let mut unborn = newborn("4711");
    unborn["birth_date"] = json!("2199-01-01");
    let typed = json!({"name": KNOWN_NAME, "identifier": [KNOWN_NAME]});
    let long = json!({"name": "x".repeat(20_000)});
    let cases = [
        ("GET", "/api/v1/nothing", None, 404, "not-found"),
        ("GET", "/api/v1/beds/77", None, 404, "not-found"),
        ("GET", "/api/v1/units/icu", None, 404, "not-found"),
        ("GET", "/assets/none.js", None, 404, "not-found"),
        ("POST", "/api/v1/health", None, 405, "method-not-allowed"),
        ("PUT", path, None, 415, "unsupported-media-type"),
        ("PUT", path, Some(typed), 422, "invalid"),
        ("PUT", path, Some(unborn), 422, "invalid"),
        ("PUT", path, Some(long), 413, "too-large"),
    ];
    for (method, path, body, status, code) in cases {
        let answer = browser.send(&hub, method, path, &[], body).await;
        assert_eq!(
            (answer.status, answer.code().as_str()),
            (status, code),
            "{method} {path}: {}",
            answer.text()
        );
        let error = &answer.json()["error"];
        assert_eq!(error["statusCode"], status);
        assert!(error["timestamp"].as_str().unwrap().ends_with('Z') && error["details"].is_object());
        assert!(!answer.text().contains(KNOWN_NAME));
        assert!(answer.header("content-security-policy").unwrap().contains("default-src 'none'"));
        assert!(answer.header("x-request-id").is_some());
    }
}
