//! What a bed is to alarm at: from the profile of who lies there, by whom it may be changed, and how far it has come at the bed.

use cotside_central_hub::feed::News;
use cotside_protocol::wire::downstream::Limits;
use cotside_protocol::wire::upstream::{LimitsRefused, OutboxStatus, Status};
use serde_json::{Value, json};

use crate::browser::*;
use crate::hub::*;
use crate::patients::newborn;

const PATIENT: &str = "/api/v1/beds/01/patient";
const LIMITS: &str = "/api/v1/beds/01/limits";
const SPO2: u32 = 150_456;

/// Born today at 28 weeks.
async fn admit(hub: &Hub, browser: &Browser, bed: &str, identifier: &str) -> Answer {
    let mut newborn = newborn(identifier);
    newborn["birth_date"] = json!(&hub.clock.now().wall.to_string()[..10]);
    newborn["gestational_age"] = json!({"weeks": 28, "days": 0});
    browser.send(hub, "PUT", &format!("/api/v1/beds/{bed}/patient"), &[], Some(newborn)).await
}

async fn limits(hub: &Hub, browser: &Browser) -> Value {
    browser.get(hub, LIMITS).await.json()["data"].take()
}

/// What the agent of the bed is to be told.
fn wanted(hub: &Hub, bed: &str) -> (Option<String>, Option<Limits>) {
    let tended = hub.tending.follow(bed).borrow().clone();
    (tended.stay.unwrap().id, tended.limits.map(|limits| (*limits).clone()))
}

/// The agent says what it has in force.
fn says(hub: &Hub, limits: Option<Limits>, limits_refused: Option<LimitsRefused>) {
    let status = Status {
        epoch: String::new(),
        wall_us: 0,
        links: Vec::new(),
        outbox: OutboxStatus::default(),
        limits,
        limits_refused,
    };
    hub.ears.hear("01", &News::Status(status));
}

fn threshold(view: &Value, code: u32, side: &str, priority: &str) -> Option<String> {
    let lines = view["requested"]["limits"].as_array().unwrap();
    let line = lines
        .iter()
        .find(|line| line["code"] == code && line["side"] == side && line["priority"] == priority)?;
    Some(line["threshold"].as_str().unwrap().to_owned())
}

fn low(code: u32, threshold: &str) -> Value {
    json!({"code": code, "side": "low", "threshold": threshold})
}

#[tokio::test]
async fn h2_each_stay_has_a_name_and_limits_of_its_own_and_discharge_ends_both() {
    let hub = Hub::start().await;
    let browser = Browser::log_in(&hub, "nurse").await;
    assert_eq!(wanted(&hub, "01"), (None, None), "nobody lies there, and the agent is told so");
    assert_eq!(admit(&hub, &browser, "01", "4711").await.status, 200);
    let (stay, set) = wanted(&hub, "01");
    let set = set.unwrap();
    assert_eq!(
        (set.version, set.bed.as_str(), set.stay == stay, stay.as_ref().unwrap().len()),
        (1, "01", true, 16)
    );
    let change = json!({"version": 1, "limits": [low(SPO2, "88")], "reason": "order 12"});
    assert_eq!(browser.send(&hub, "PUT", LIMITS, &[], Some(change)).await.status, 200);
    assert_eq!(browser.send(&hub, "DELETE", PATIENT, &[], None).await.status, 200);
    assert_eq!(wanted(&hub, "01"), (None, None));
    assert_eq!(admit(&hub, &browser, "01", "4712").await.status, 200);
    let (next, set) = wanted(&hub, "01");
    assert!(next.is_some() && next != stay, "another stay");
    assert_eq!(set.unwrap().version, 3, "the versions of a bed only rise");
    let view = limits(&hub, &browser).await;
    assert_eq!(
        threshold(&view, SPO2, "low", "medium").as_deref(),
        Some("85"),
        "the last baby's change is gone"
    );
    assert_eq!(view["deviations"], json!([]));
    let hub = hub.restart().await;
    assert_eq!(wanted(&hub, "01").0, next, "a restart is no other stay");
    assert_eq!(wanted(&hub, "01").1.unwrap().version, 3);
}

#[tokio::test]
async fn a_change_is_whole_or_not_at_all_needs_the_version_that_was_seen_and_is_on_record() {
    let hub = Hub::start().await;
    let browser = Browser::log_in(&hub, "physician").await;
    let refused = browser.send(&hub, "PUT", LIMITS, &[], Some(json!({"version": 0}))).await;
    assert_eq!((refused.status, refused.code().as_str()), (409, "bed-available"));
    admit(&hub, &browser, "01", "4711").await;
    let late = browser.send(&hub, "PATCH", LIMITS, &[], Some(json!({"limits": [low(SPO2, "88")]}))).await;
    assert_eq!((late.status, late.code().as_str()), (409, "limits-superseded"));
    assert_eq!(late.json()["error"]["details"]["version"], "1");

    let wrong = json!({"version": 1, "profile": "none", "limits": [
        low(SPO2, "97"),
        {"code": SPO2, "side": "low", "priority": "high", "threshold": "75"},
        low(147_842, "95"),
    ]});
    let answer = browser.send(&hub, "PATCH", LIMITS, &[], Some(wrong)).await;
    assert_eq!((answer.status, answer.code().as_str()), (422, "invalid"));
    let errors = answer.json()["error"]["details"]["errors"].take();
    let fields: Vec<&str> =
        errors.as_array().unwrap().iter().map(|wrong| wrong["field"].as_str().unwrap()).collect();
    assert_eq!(fields, ["profile", "limits[1]", "limits[0]"], "{errors}");
    assert_eq!(limits(&hub, &browser).await["version"], 1, "nothing was changed");

    let header = [("if-match", "\"1\"")];
    let change = json!({"limits": [low(SPO2, "88"), low(147_842, "100")], "reason": "order 12"});
    let answer = browser.send(&hub, "PATCH", LIMITS, &header, Some(change)).await;
    assert_eq!((answer.status, answer.header("etag")), (200, Some("\"2\"")), "{}", answer.text());
    let view = answer.json()["data"].take();
    assert_eq!(view["deviations"], json!(["SpO2 low 88 instead of 85"]));
    assert_eq!(view["changes"].as_array().unwrap().len(), 1, "what the profile says anyway is no change");
    let newest = &view["history"][0];
    assert_eq!(
        (&newest["author"], &newest["reason"], &newest["version"]),
        (&json!("physician"), &json!("order 12"), &json!(2))
    );
    let bed = browser.get(&hub, "/api/v1/beds/01").await.json();
    assert_eq!(bed["data"]["limits_note"]["deviations"], view["deviations"], "the tile is marked");

    let answer = browser.send(&hub, "DELETE", LIMITS, &[("if-match", "\"2\"")], None).await;
    assert_eq!(answer.status, 200, "{}", answer.text());
    let view = limits(&hub, &browser).await;
    assert_eq!((&view["version"], &view["deviations"]), (&json!(3), &json!([])));
    assert!(hub.audit().iter().any(|(who, what)| who == "physician" && what == "change limits"));
    let rewrite = hub.store().execute("UPDATE limits SET author = 'somebody'", []).unwrap_err().to_string();
    assert!(rewrite.contains("append only"), "{rewrite}");
}

#[tokio::test]
async fn who_may_set_limits_and_who_may_not() {
    let hub = Hub::start().await;
    let nurse = Browser::log_in(&hub, "nurse").await;
    admit(&hub, &nurse, "01", "4711").await;
    for (role, status) in [
        ("nurse", 409),
        ("physician", 409),
        ("fellow", 409),
        ("resident", 409),
        ("respiratory-therapist", 403),
        ("biomedical-engineer", 403),
        ("admin", 403),
    ] {
        let browser = Browser::log_in(&hub, role).await;
        let answer = browser.send(&hub, "PATCH", LIMITS, &[], Some(json!({"version": 99}))).await;
        assert_eq!(answer.status, status, "{role}");
        assert_eq!(browser.get(&hub, LIMITS).await.status, 200, "{role} may look");
    }
}

#[tokio::test]
async fn oxygen_therapy_decides_about_too_much_oxygen_and_is_the_nurses_to_say() {
    let hub = Hub::start().await;
    let browser = Browser::log_in(&hub, "nurse").await;
    admit(&hub, &browser, "01", "4711").await;
    let view = limits(&hub, &browser).await;
    assert_eq!(
        threshold(&view, SPO2, "high", "low").as_deref(),
        Some("95"),
        "what nobody has said counts as oxygen"
    );
    let air = json!({"oxygen": "room-air"});
    let answer = browser.send(&hub, "PATCH", PATIENT, &[], Some(air)).await;
    assert_eq!((answer.status, &answer.json()["data"]["patient"]["oxygen"]), (200, &json!("room-air")));
    let view = limits(&hub, &browser).await;
    assert_eq!((threshold(&view, SPO2, "high", "low"), &view["version"]), (None, &json!(2)));
    assert_eq!(
        (&view["history"][0]["author"], &view["history"][0]["reason"]),
        (&json!("nurse"), &json!("oxygen therapy"))
    );
    let odd = browser.send(&hub, "PATCH", PATIENT, &[], Some(json!({"oxygen": "helium"}))).await;
    assert_eq!((odd.status, odd.code().as_str()), (422, "invalid"));
}

#[tokio::test]
async fn a_transfer_takes_what_was_changed_along_only_if_a_person_says_so() {
    let hub = Hub::start().await;
    let browser = Browser::log_in(&hub, "nurse").await;
    admit(&hub, &browser, "01", "4711").await;
    let change = json!({"version": 1, "limits": [low(SPO2, "88")]});
    assert_eq!(browser.send(&hub, "PUT", LIMITS, &[], Some(change)).await.status, 200);
    let other = admit(&hub, &browser, "02", "4712").await;
    assert_eq!(other.status, 200);
    let path = "/api/v1/beds/01/transfer";
    let keep = json!({"to": "02", "keep_limits": true});
    let answer = browser.send(&hub, "POST", path, &[], Some(keep.clone())).await;
    assert_eq!((answer.status, answer.code().as_str()), (409, "bed-occupied"));
    browser.send(&hub, "DELETE", "/api/v1/beds/02/patient", &[], None).await;
    let answer = browser.send(&hub, "POST", path, &[], Some(keep)).await;
    assert_eq!((answer.status, &answer.json()["data"]["patient"]["identifier"]), (200, &json!("4711")));
    assert_eq!(wanted(&hub, "01"), (None, None));
    let view = browser.get(&hub, "/api/v1/beds/02/limits").await.json()["data"].take();
    assert_eq!(threshold(&view, SPO2, "low", "medium").as_deref(), Some("88"));
    let back = json!({"to": "01"});
    assert_eq!(browser.send(&hub, "POST", "/api/v1/beds/02/transfer", &[], Some(back)).await.status, 200);
    let view = limits(&hub, &browser).await;
    assert_eq!(threshold(&view, SPO2, "low", "medium").as_deref(), Some("85"), "not unless it is said");
}

#[tokio::test]
async fn the_bed_shows_how_far_a_set_has_come_and_why_not_farther() {
    let hub = Hub::start().await;
    let browser = Browser::log_in(&hub, "nurse").await;
    admit(&hub, &browser, "01", "4711").await;
    let mut events = Events::open(&hub, &browser).await;
    let state = |kind: &str, data: &Value, wanted: &str| {
        matches!(kind, "beds" | "snapshot") && data["beds"][0]["limits_state"] == wanted
    };
    events.until(|kind, data| state(kind, data, "requested")).await;
    let set = wanted(&hub, "01").1.unwrap();
    says(&hub, Some(set.clone()), None);
    events.until(|kind, data| state(kind, data, "in-force")).await;
    says(&hub, Some(Limits::default()), None);
    events.until(|kind, data| state(kind, data, "reset")).await;
    let words = "SpO2 low 80 is wider than the site's bound, 85".to_owned();
    says(&hub, Some(Limits::default()), Some(LimitsRefused { version: 1, words: words.clone() }));
    events
        .until(|kind, data| state(kind, data, "refused") && data["beds"][0]["limits_note"]["words"] == words)
        .await;
}

#[tokio::test]
async fn h4_a_restored_hub_leaves_a_newer_set_alone_until_a_person_has_looked() {
    let hub = Hub::start().await;
    let browser = Browser::log_in(&hub, "nurse").await;
    admit(&hub, &browser, "01", "4711").await;
    let mut events = Events::open(&hub, &browser).await;
    // The bed has a set of this stay that the backup knows nothing of.
    let mut newer = wanted(&hub, "01").1.unwrap();
    newer.version = 9;
    newer.limits.retain(|limit| limit.extreme);
    says(&hub, Some(newer.clone()), None);
    events.until(|_, data| data["beds"][0]["limits_state"] == "unconfirmed").await;
    assert_eq!(wanted(&hub, "01").1.unwrap().version, 1, "the hub does not rise above it by itself");
    let view = limits(&hub, &browser).await;
    assert!(view["words"].as_str().unwrap().contains("version 9"), "{}", view["words"]);
    let look = json!({"version": 1, "reason": "looked at the bed"});
    assert_eq!(browser.send(&hub, "PATCH", LIMITS, &[], Some(look)).await.status, 200);
    assert_eq!(wanted(&hub, "01").1.unwrap().version, 10);
}

#[tokio::test]
async fn a_gateway_that_comes_from_another_bed_is_overtaken() {
    let hub = Hub::start().await;
    let browser = Browser::log_in(&hub, "nurse").await;
    admit(&hub, &browser, "01", "4711").await;
    let mut events = Events::open(&hub, &browser).await;
    says(&hub, Some(Limits { version: 57, bed: "02".to_owned(), ..Limits::default() }), None);
    events.until(|_, data| data["beds"][0]["limits_note"]["version"] == 58).await;
    assert_eq!(wanted(&hub, "01").1.unwrap().version, 58);
}

#[tokio::test]
async fn another_age_waits_for_a_person() {
    let hub = Hub::start().await;
    let browser = Browser::log_in(&hub, "nurse").await;
    admit(&hub, &browser, "01", "4711").await;
    let before = limits(&hub, &browser).await;
    assert_eq!(
        (threshold(&before, SPO2, "high", "medium").as_deref(), &before["age_step"]),
        (Some("98"), &Value::Null)
    );
    // Five weeks pass: the baby is found to have been admitted at 28 weeks, and is 33 now.
    let hub = {
        let store = hub.store();
        let born = hub.clock.now().wall - std::time::Duration::from_secs(35 * 86_400);
        store.execute("UPDATE patients SET birth_date = ?1", [&born.to_string()[..10]]).unwrap();
        hub.restart().await
    };
    let view = limits(&hub, &browser).await;
    assert_eq!(threshold(&view, SPO2, "high", "medium").as_deref(), Some("98"), "not by itself");
    assert_eq!(view["age_step"], "now 33+0: SpO2 high 98 to 97, SpO2 pre high 98 to 97");
    let path = "/api/v1/beds/01/limits/age";
    let answer = browser.send(&hub, "POST", path, &[], Some(json!({"version": 1}))).await;
    let view = answer.json()["data"].take();
    assert_eq!((answer.status, &view["age_step"]), (200, &Value::Null));
    assert_eq!(threshold(&view, SPO2, "high", "medium").as_deref(), Some("97"));
    assert_eq!(view["history"][0]["reason"], "age 33+0");
}
