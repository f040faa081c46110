//! The agents' side of the hub as a gateway meets it: the real program, real TLS, a real MQTT client, and once more with mosquitto between.

#![allow(clippy::unwrap_used, reason = "a test ends there")]

mod gateway;

use cotside_protocol::wire::topic::{AgentId, Lane, Upstream};
use cotside_protocol::wire::upstream::Provenance;
use gateway::{Gateway, Hub, Log, Refused, Via};
use rumqttc::v5::mqttbytes::v5::PubAckReason;
use std::time::Duration;

/// Each of these holds with the hub's own listener and with mosquitto between.
macro_rules! both_ways {
    ($($name:ident)*) => {
        mod own {
            $(#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $name() { super::$name(super::Via::Own).await; })*
        }
        mod mosquitto {
            $(#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $name() { super::$name(super::Via::Mosquitto).await; })*
        }
    };
}

both_ways! {
    a_certificate_of_a_foreign_authority_is_refused
    an_agent_cannot_publish_as_another
    an_agent_cannot_listen_to_another
    a_block_is_taken_once_however_often_it_comes
    the_same_key_with_other_content_keeps_both_and_is_told
    blocks_that_come_out_of_order_are_acknowledged_as_ranges
    a_gap_record_closes_the_seqs_it_stands_for
    nothing_acknowledged_is_lost_when_the_hub_is_killed
    simulated_data_does_not_enter_a_live_hub
    a_revoked_agent_is_heard_no_more
}

async fn a_certificate_of_a_foreign_authority_is_refused(via: Via) {
    let hub = Hub::start(via).await;
    let other = Hub::start(Via::Own).await;
    let mut identity = other.register("gw-01", "01");
    identity.trust(&hub);
    let refused = Gateway::connect(&hub, &identity, "gw-01").await.err();
    assert_eq!(refused, Some(Refused::Tls));
}

async fn an_agent_cannot_publish_as_another(via: Via) {
    let hub = Hub::start(via).await;
    let (first, second) = (hub.register("gw-01", "01"), hub.register("gw-02", "02"));
    // Two logs that agree in everything, so that nothing but the name can tell them apart.
    let mut one = Gateway::welcomed(&hub, &first, Log::new(1)).await;
    let mut two = Gateway::welcomed(&hub, &second, Log::new(1)).await;
    let block = two.log.numerics(70);
    let topic = AgentId::new("gw-02").unwrap();
    let reason = one.publish_as(&topic, Upstream::Live(Lane::Numeric), block.clone()).await;
    assert_eq!(reason, PubAckReason::NotAuthorized);
    // The real one can, and only its block is there.
    two.publish(Upstream::Live(Lane::Numeric), block).await;
    two.acknowledged(Lane::Numeric, 1).await;
    assert_eq!(hub.blocks("gw-02"), vec![(1, 0)]);
    assert_eq!(hub.blocks("gw-01"), vec![]);
}

async fn an_agent_cannot_listen_to_another(via: Via) {
    let hub = Hub::start(via).await;
    let (first, second) = (hub.register("gw-01", "01"), hub.register("gw-02", "02"));
    let mut one = Gateway::welcomed(&hub, &first, Log::new(1)).await;
    one.subscribe("cotside/v1/agent/gw-02/down/#").await;
    one.subscribe("cotside/v1/agent/+/down/#").await;
    let mut two = Gateway::welcomed(&hub, &second, Log::new(2)).await;
    let block = two.log.numerics(70);
    two.publish(Upstream::Live(Lane::Numeric), block).await;
    two.acknowledged(Lane::Numeric, 1).await;
    one.publish_numerics(1).await;
    one.acknowledged(Lane::Numeric, 1).await;
    assert_eq!(one.foreign, Vec::<String>::new());
}

async fn a_block_is_taken_once_however_often_it_comes(via: Via) {
    let hub = Hub::start(via).await;
    let identity = hub.register("gw-01", "01");
    let mut gateway = Gateway::welcomed(&hub, &identity, Log::new(7)).await;
    let first = gateway.log.numerics(70);
    let second = gateway.log.numerics(71);
    for _ in 0..3 {
        gateway.publish(Upstream::Live(Lane::Numeric), first.clone()).await;
        gateway.publish(Upstream::Backlog(Lane::Numeric), second.clone()).await;
    }
    gateway.acknowledged(Lane::Numeric, 2).await;
    // Again on a new connection, as an agent does that missed the acknowledgement.
    let log = gateway.leave().await;
    let mut gateway = Gateway::welcomed(&hub, &identity, log).await;
    assert_eq!(gateway.held(Lane::Numeric), 2);
    gateway.publish(Upstream::Backlog(Lane::Numeric), [first, second].concat()).await;
    gateway.publish_numerics(1).await;
    gateway.acknowledged(Lane::Numeric, 3).await;
    assert_eq!(hub.blocks("gw-01"), vec![(1, 0), (1, 1), (1, 2)]);
    assert_eq!(hub.count("SELECT count(*) FROM conflicts"), 0);
}

async fn the_same_key_with_other_content_keeps_both_and_is_told(via: Via) {
    let hub = Hub::start(via).await;
    let identity = hub.register("gw-01", "01");
    let mut gateway = Gateway::welcomed(&hub, &identity, Log::new(7)).await;
    gateway.publish_numerics(1).await;
    gateway.acknowledged(Lane::Numeric, 1).await;
    // A twin with a copy of the same log goes its own way from here.
    let mut twin = Log::new(7);
    let other = twin.numerics(141);
    // The hub must know it again after a restart, too.
    let log = gateway.leave().await;
    let hub = hub.restart().await;
    let mut gateway = Gateway::welcomed(&hub, &identity, log).await;
    gateway.publish(Upstream::Live(Lane::Numeric), other).await;
    gateway.publish_numerics(1).await;
    gateway.acknowledged(Lane::Numeric, 2).await;
    assert_eq!(hub.blocks("gw-01"), vec![(1, 0), (1, 1)]);
    assert_eq!(hub.count("SELECT count(*) FROM conflicts WHERE seq = 0"), 1);
    hub.event("identity-conflict").await;
}

async fn blocks_that_come_out_of_order_are_acknowledged_as_ranges(via: Via) {
    let hub = Hub::start(via).await;
    let identity = hub.register("gw-01", "01");
    let mut gateway = Gateway::welcomed(&hub, &identity, Log::new(7)).await;
    let blocks: Vec<_> = (0..6).map(|value| gateway.log.numerics(70 + value)).collect();
    for at in [0, 4, 5] {
        gateway.publish(Upstream::Live(Lane::Numeric), blocks[at].clone()).await;
    }
    gateway.acknowledged_ranges(Lane::Numeric, 1, &[[4, 6]]).await;
    for at in [2, 1, 3] {
        gateway.publish(Upstream::Backlog(Lane::Numeric), blocks[at].clone()).await;
    }
    gateway.acknowledged_ranges(Lane::Numeric, 6, &[]).await;
    assert_eq!(hub.blocks("gw-01").len(), 6);
}

async fn a_gap_record_closes_the_seqs_it_stands_for(via: Via) {
    let hub = Hub::start(via).await;
    let identity = hub.register("gw-01", "01");
    let mut gateway = Gateway::welcomed(&hub, &identity, Log::new(7)).await;
    gateway.publish_numerics(1).await;
    let gap = gateway.log.gap(Lane::Numeric, 99);
    gateway.publish(Upstream::Backlog(Lane::Numeric), gap).await;
    gateway.publish_numerics(1).await;
    gateway.acknowledged(Lane::Numeric, 101).await;
    assert_eq!(hub.blocks("gw-01"), vec![(1, 0), (1, 1), (1, 100)]);
}

async fn nothing_acknowledged_is_lost_when_the_hub_is_killed(via: Via) {
    let mut hub = Hub::start(via).await;
    let identity = hub.register("gw-01", "01");
    let mut log = Log::new(7);
    let mut blocks = Vec::new();
    for round in 0..4 {
        let mut gateway = Gateway::welcomed(&hub, &identity, log).await;
        let held = usize::try_from(gateway.held(Lane::Numeric)).unwrap();
        assert!(held >= round * 10, "round {round}: what was acknowledged is gone");
        for block in &blocks[held..] {
            gateway.publish_unanswered(Upstream::Backlog(Lane::Numeric), Vec::clone(block)).await;
        }
        for value in 0..30 {
            let block = gateway.log.numerics(70 + value);
            gateway.publish_unanswered(Upstream::Live(Lane::Numeric), block.clone()).await;
            blocks.push(block);
        }
        // Killed with messages under way: some committed, some acknowledged, some not even read.
        gateway.acknowledged(Lane::Numeric, (round as u64 + 1) * 10).await;
        hub.kill();
        log = gateway.leave().await;
        hub = hub.start_again().await;
    }
    let mut gateway = Gateway::welcomed(&hub, &identity, log).await;
    let held = usize::try_from(gateway.held(Lane::Numeric)).unwrap();
    for block in &blocks[held..] {
        gateway.publish(Upstream::Backlog(Lane::Numeric), block.clone()).await;
    }
    gateway.acknowledged(Lane::Numeric, blocks.len() as u64).await;
    let expected: Vec<_> = (0..blocks.len() as u64).map(|seq| (1, seq)).collect();
    assert_eq!(hub.blocks("gw-01"), expected);
}

async fn simulated_data_does_not_enter_a_live_hub(via: Via) {
    let hub = Hub::start(via).await;
    let identity = hub.register("gw-01", "01");
    let mut log = Log::new(7);
    log.provenance = Provenance::Simulated;
    let mut gateway = Gateway::welcomed(&hub, &identity, log).await;
    let refused = gateway.welcome["refused"].as_str().unwrap();
    assert_eq!(refused, "this hub takes live data only, the agent offers simulated data");
    gateway.publish_numerics(2).await;
    hub.event("provenance-refused").await;
    // A simulated block of an agent that calls itself live is no better.
    let mut log = gateway.leave().await;
    log.provenance = Provenance::Live;
    let mut gateway = Gateway::welcomed(&hub, &identity, log).await;
    gateway.log.provenance = Provenance::Simulated;
    gateway.publish_numerics(1).await;
    hub.event("block-refused").await;
    assert_eq!(hub.blocks("gw-01"), vec![]);
}

async fn a_revoked_agent_is_heard_no_more(via: Via) {
    let hub = Hub::start(via).await;
    let identity = hub.register("gw-01", "01");
    let mut gateway = Gateway::welcomed(&hub, &identity, Log::new(7)).await;
    gateway.publish_numerics(1).await;
    gateway.acknowledged(Lane::Numeric, 1).await;
    hub.command(&["agents", "revoke", "gw-01"]);
    gateway.heartbeat_stops().await;
    if via == Via::Own {
        assert_eq!(Gateway::connect(&hub, &identity, "gw-01").await.err(), Some(Refused::NotAuthorized));
    }
    let _ = gateway.log.numerics(1);
    assert_eq!(hub.blocks("gw-01"), vec![(1, 0)]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_client_id_other_than_the_certificates_name_is_refused() {
    let hub = Hub::start(Via::Own).await;
    let identity = hub.register("gw-01", "01");
    let _ = hub.register("gw-02", "02");
    for name in ["gw-02", "hub", "GW-01"] {
        assert_eq!(
            Gateway::connect(&hub, &identity, name).await.err(),
            Some(Refused::NotAuthorized),
            "{name}"
        );
    }
    hub.event("identity-refused").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_hubs_own_certificate_is_no_agents() {
    let hub = Hub::start(Via::Own).await;
    assert_eq!(Gateway::connect(&hub, &hub.own_identity("hub"), "hub").await.err(), Some(Refused::Tls));
    assert_eq!(Gateway::connect(&hub, &hub.own_identity("server"), "server").await.err(), Some(Refused::Tls));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_will_is_refused() {
    let hub = Hub::start(Via::Own).await;
    let identity = hub.register("gw-01", "01");
    let refused = Gateway::connect_with_will(&hub, &identity).await.err();
    assert_eq!(refused, Some(Refused::Other));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_second_live_connection_is_refused_and_the_first_kept() {
    let hub = Hub::start(Via::Own).await;
    let identity = hub.register("gw-01", "01");
    let mut first = Gateway::welcomed(&hub, &identity, Log::new(7)).await;
    assert_eq!(Gateway::connect(&hub, &identity, "gw-01").await.err(), Some(Refused::NotAuthorized));
    hub.event("second-connection").await;
    first.publish_numerics(1).await;
    first.acknowledged(Lane::Numeric, 1).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_second_connection_takes_over_from_one_that_is_dead() {
    let hub = Hub::start(Via::Own).await;
    let identity = hub.register("gw-01", "01");
    let mut first = Gateway::welcomed(&hub, &identity, Log::new(7)).await;
    first.publish_numerics(1).await;
    first.acknowledged(Lane::Numeric, 1).await;
    // The socket stays open, and nobody is behind it any more.
    let (log, _corpse) = first.freeze();
    let mut second = Gateway::welcomed(&hub, &identity, log).await;
    second.publish_numerics(1).await;
    second.acknowledged(Lane::Numeric, 2).await;
    assert_eq!(hub.count("SELECT count(*) FROM events WHERE what = 'second-connection'"), 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_message_too_large_ends_that_connection_and_no_other() {
    let hub = Hub::start(Via::Own).await;
    let (first, second) = (hub.register("gw-01", "01"), hub.register("gw-02", "02"));
    let mut other = Gateway::welcomed(&hub, &second, Log::new(2)).await;
    let mut babbler = Gateway::welcomed(&hub, &first, Log::new(1)).await;
    babbler.publish_unanswered(Upstream::Live(Lane::Waveform), vec![0; 300 * 1024]).await;
    babbler.ended().await;
    other.publish_numerics(1).await;
    other.acknowledged(Lane::Numeric, 1).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_not_a_block_is_refused_and_told() {
    let hub = Hub::start(Via::Own).await;
    let identity = hub.register("gw-01", "01");
    let mut gateway = Gateway::welcomed(&hub, &identity, Log::new(7)).await;
    let id = AgentId::new("gw-01").unwrap();
    let live = Upstream::Live(Lane::Numeric);
    assert_eq!(gateway.publish_as(&id, live, b"nonsense".to_vec()).await, PubAckReason::PayloadFormatInvalid);
    let mut damaged = gateway.log.numerics(70);
    *damaged.last_mut().unwrap() ^= 1;
    assert_eq!(gateway.publish_as(&id, live, damaged).await, PubAckReason::PayloadFormatInvalid);
    hub.event("block-refused").await;
    assert_eq!(hub.blocks("gw-01"), vec![]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stranger_who_says_nothing_is_shown_the_door() {
    let hub = Hub::start(Via::Own).await;
    let identity = hub.register("gw-01", "01");
    let patience = Duration::from_secs(15);
    // No handshake at all, a handshake without CONNECT, and PUBLISH in place of CONNECT.
    assert!(tokio::time::timeout(patience, gateway::silent_socket(&hub)).await.is_ok());
    assert!(tokio::time::timeout(patience, gateway::says_only(&hub, &identity, &[])).await.is_ok());
    let publish = b"\x32\x08\x00\x01a\x00\x01\x00hi";
    assert!(tokio::time::timeout(patience, gateway::says_only(&hub, &identity, publish)).await.is_ok());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_gateway_enrols_with_a_token_once() {
    let hub = Hub::start(Via::Own).await;
    let token = hub.token("01", "gw-01");
    let identity = hub.enrol(&token).await.unwrap();
    assert_eq!((identity.agent.as_str(), identity.bed.as_str()), ("gw-01", "01"));
    let mut gateway = Gateway::welcomed(&hub, &identity, Log::new(7)).await;
    assert_eq!(gateway.welcome["bed"], "01");
    gateway.publish_numerics(1).await;
    gateway.acknowledged(Lane::Numeric, 1).await;
    assert_eq!(hub.enrol(&token).await.unwrap_err(), (403, "token-used".to_owned()));
    hub.event("enrolled").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_token_that_expired_or_was_never_given_enrols_nobody() {
    let hub = Hub::start(Via::Own).await;
    let token = hub.token("01", "gw-01");
    let mut guessed = token.clone();
    guessed.secret = "AAAAAAAAAAAAAAAAAAAAAA".to_owned();
    assert_eq!(hub.enrol(&guessed).await.unwrap_err(), (403, "token-unknown".to_owned()));
    // A request that cannot be signed leaves the token good.
    assert_eq!(hub.enrol_with(&token, "no request").await.unwrap_err(), (400, "bad-request".to_owned()));
    hub.change("UPDATE tokens SET expires_us = 1");
    assert_eq!(hub.enrol(&token).await.unwrap_err(), (403, "token-expired".to_owned()));
    assert_eq!(hub.count("SELECT count(*) FROM agents WHERE enrolled_us IS NOT NULL"), 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_alarm_row_is_found_by_bed_and_time_of_measurement() {
    let hub = Hub::start(Via::Own).await;
    let identity = hub.register("gw-01", "01");
    let mut gateway = Gateway::welcomed(&hub, &identity, Log::new(7)).await;
    let record = gateway.log.alarm("a1");
    gateway.publish(Upstream::Live(Lane::Alarm), record).await;
    gateway.acknowledged(Lane::Alarm, 1).await;
    hub.command(&["agents", "assign", "gw-01", "--bed", "02"]);
    gateway.welcomed_to("02").await;
    // Said after the move, measured before it.
    let record = gateway.log.alarm("a2");
    gateway.publish(Upstream::Backlog(Lane::Alarm), record).await;
    gateway.acknowledged(Lane::Alarm, 2).await;
    assert_eq!(hub.count("SELECT count(*) FROM records WHERE bed = '01' AND type = 'alarm'"), 2);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_hub_that_cannot_start_says_why() {
    let hub = Hub::start(Via::Own).await;
    // Its ports are taken by the one that runs.
    let (code, words) = hub.starts_with("").await;
    assert!(code == 69 && words.contains("cannot listen on 127.0.0.1"), "{code}: {words}");
    let (code, words) = hub.starts_with("colour = 1\n").await;
    assert!(code == 78 && words.contains("hub-2.toml:1:1: unknown key \"colour\""), "{code}: {words}");
    let (code, words) = hub.starts_with("data_dir = \"elsewhere\"\n").await;
    assert!(code == 74 && words.contains("there is no store at"), "{code}: {words}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn s10_a_hub_whose_clock_went_back_says_so_and_its_gateways_still_come_in() {
    let hub = Hub::start(Via::Own).await;
    let identity = hub.register("gw-01", "01");
    // It has dated something by a clock that was a day ahead of the one it has now.
    hub.change(
        "INSERT INTO events(at_us, what, detail) VALUES((unixepoch() + 86400) * 1000000, 'enrolled', '')",
    );
    let hub = hub.restart().await;
    hub.event("hub-clock").await;
    assert!(hub.log().contains("one of the two is wrong"), "{}", hub.log());
    Gateway::welcomed(&hub, &identity, Log::new(1)).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn s10_a_gateway_whose_clock_is_an_hour_off_is_an_event() {
    let hub = Hub::start(Via::Own).await;
    let identity = hub.register("gw-01", "01");
    let mut gateway = Gateway::welcomed(&hub, &identity, Log::new(1)).await;
    let status = gateway.log.status(Duration::from_secs(3600));
    gateway.publish(Upstream::Status, status).await;
    hub.event("agent-clock").await;
}
