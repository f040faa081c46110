//! The uplink's shell: carries the outbox's words to the hub and back, over a connection that may end at any moment.
//!
//! Each connection has an MQTT client of its own, with a clean start: what the client held when a connection ends is
//! thrown away with it, and the outbox sends again what the hub does not have.

use super::credentials::{Credentials, TrustedTime};
use super::hub_clock::HubClock;
use super::outbox::{Input, Outbox, Output, Taken};
use super::words;
use crate::backoff::Backoff;
use crate::row::{BedNotice, FromStore, Log, UplinkRequest};
use crate::store::Ask;
use anyhow::Result;
use bytes::Bytes;
use cotside_protocol::model::{Mono, Now};
use cotside_protocol::wire::downstream::{Alive, Command, Welcome};
use cotside_protocol::wire::topic::{AgentId, Downstream, Topic, Upstream, down_filter};
use cotside_protocol::wire::upstream::Provenance;
use cotside_systemd::clock::Clock;
use cotside_systemd::stages::Stop;
use rumqttc::v5::mqttbytes::QoS;
use rumqttc::v5::mqttbytes::v5::{Packet, PubAckReason, Publish, SubscribeReasonCode};
use rumqttc::v5::{AsyncClient, Event, EventLoop, MqttOptions};
use rumqttc::{NetworkOptions, Outgoing, TlsConfiguration, Transport};
use std::collections::{HashMap, VecDeque};
use std::path::PathBuf;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::mpsc::{Receiver, Sender};

const WAIT_MIN: Duration = Duration::from_millis(200);
const WAIT_MAX: Duration = Duration::from_secs(60);
/// A connection that held this long was a good one: the next try begins anew.
const STEADY_AFTER: Duration = Duration::from_secs(60);
/// Announces and statuses the bed may be ahead of the uplink, which never waits for anything but the next event.
pub const UPLINK_REQUESTS_MAX: usize = 32;

/// Publishes that MQTT may hold unacknowledged; a hub may allow fewer.
const INFLIGHT_MAX: u16 = 64;
/// Commands of people that wait for a busy bed; whoever sent more hears nothing and is told so by the hub.
const NOTICES_WAITING_MAX: usize = 64;
/// Publishes handed to the MQTT client ahead of time: an announce overtakes all others.
const CLIENT_QUEUE: usize = 2;
const KEEP_ALIVE: Duration = Duration::from_secs(10);
/// A message from the hub; a set of limits is the longest.
const INCOMING_BYTES_MAX: u32 = 256 << 10;
const SUBSCRIBE_WITHIN: Duration = Duration::from_secs(5);
const FAREWELL_WITHIN: Duration = Duration::from_millis(500);

#[derive(Clone, Debug)]
pub struct Settings {
    /// Where enrolment left the gateway's certificate and the hub's address.
    pub credentials: PathBuf,
    /// Where the hub is reached, if not at the address that it gave at enrolment.
    pub address: Option<(String, u16)>,
    pub software: String,
    pub provenance: Provenance,
}

/// What the uplink's stage is wired to.
pub struct Wires {
    pub requests: Receiver<UplinkRequest>,
    pub store: Receiver<FromStore>,
    pub asks: Sender<Ask>,
    pub bed: Sender<BedNotice>,
}

/// Runs until asked to stop. Never fails: a hub that is away is what an outbox is for.
pub async fn run(settings: Settings, log: Log, clock: Clock, wires: Wires, mut stop: Stop) -> Result<()> {
    let time = Arc::new(TrustedTime::new(clock, log.trusted));
    let mut backoff = Backoff::new(WAIT_MIN, WAIT_MAX, getrandom::u64().unwrap_or(1));
    let mut uplink = Uplink::new(&settings, log, clock, time, wires);
    loop {
        let began = clock.now().mono;
        let ended = match Credentials::load(&settings.credentials)
            .map(|enrolled| enrolled.reached_at(&settings.address))
        {
            Ok(credentials) => uplink.connect(&credentials, &mut stop).await,
            Err(words) => Ended::Lost(words),
        };
        uplink.outbox.handle(clock.now(), Input::Disconnected);
        uplink.publishes.clear();
        match ended {
            Ended::Stopped => return Ok(()),
            Ended::Lost(words) => {
                let words = uplink.time.absurdity().map_or(words.clone(), |clock| format!("{words} {clock}"));
                uplink.tell_hub(false, words, None);
            }
        }
        let now = clock.now().mono;
        if now.since(began) >= STEADY_AFTER {
            backoff.reset();
        }
        let until = now + backoff.next();
        if uplink.wait(until, &mut stop).await {
            return Ok(());
        }
    }
}

enum Ended {
    Stopped,
    Lost(String),
}

struct Pending {
    id: Option<u64>,
    topic: Upstream,
    payload: Bytes,
}

struct Uplink {
    outbox: Outbox,
    /// The agent's name; known once it is enrolled.
    agent: AgentId,
    clock: Clock,
    time: Arc<TrustedTime>,
    wires: Wires,
    /// For the store, which answers in its own time.
    asks: VecDeque<Ask>,
    notices: VecDeque<BedNotice>,
    /// For the MQTT client.
    publishes: VecDeque<Pending>,
    deadline: Mono,
    hub: Option<(bool, String, Option<String>)>,
    hub_clock: HubClock,
    /// What the bed was told last of a certificate that cannot be valid by our clock.
    clock_refuses: Option<String>,
    /// Ignored acknowledgements that the bed knows of.
    strangers: u64,
    give_up: Option<&'static str>,
}

/// One connection's bookkeeping of MQTT's packet ids.
#[derive(Default)]
struct Ids {
    /// In the order in which the client was given them.
    handed: VecDeque<Option<u64>>,
    by_packet: HashMap<u16, u64>,
}

impl Uplink {
    fn new(settings: &Settings, log: Log, clock: Clock, time: Arc<TrustedTime>, wires: Wires) -> Self {
        let agent = AgentId::new("not-enrolled").expect("it is within the grammar");
        let outbox = Outbox::new(agent.clone(), settings.software.clone(), settings.provenance, log);
        Self {
            outbox,
            agent,
            clock,
            time,
            wires,
            asks: VecDeque::new(),
            notices: VecDeque::new(),
            publishes: VecDeque::new(),
            deadline: clock.now().mono,
            hub: None,
            hub_clock: HubClock::default(),
            clock_refuses: None,
            strangers: 0,
            give_up: None,
        }
    }

    /// One connection from its first packet to its end.
    async fn connect(&mut self, credentials: &Credentials, stop: &mut Stop) -> Ended {
        let address = format!("{}:{}", credentials.host, credentials.port);
        let tls = match credentials.tls(self.time.clone()) {
            Ok(tls) => tls,
            Err(words) => return Ended::Lost(words),
        };
        self.agent = credentials.agent.clone();
        self.outbox.set_agent(credentials.agent.clone());
        let mut options =
            MqttOptions::new(credentials.agent.as_str(), credentials.host.clone(), credentials.port);
        options
            .set_transport(Transport::tls_with_config(TlsConfiguration::Rustls(Arc::new(tls))))
            .set_clean_start(true)
            .set_keep_alive(KEEP_ALIVE)
            .set_max_packet_size(Some(INCOMING_BYTES_MAX))
            .set_outgoing_inflight_upper_limit(INFLIGHT_MAX);
        let mut network = NetworkOptions::new();
        network.set_tcp_nodelay(true);
        options.set_network_options(network);
        let (client, mut events) = AsyncClient::new(options, CLIENT_QUEUE);
        let mut ids = Ids::default();
        let mut slots = usize::from(INFLIGHT_MAX);
        let mut subscribe_by = None;
        let clock = self.clock;
        loop {
            let event = {
                // The client's poll must run to its end: cut off in between it forgets a packet.
                let mut poll = pin!(events.poll());
                loop {
                    self.attend();
                    if let Some(why) = self.give_up.take() {
                        return Ended::Lost(format!("The connection to {address} was given up: {why}."));
                    }
                    self.hand_over(&client, &mut ids);
                    tokio::select! {
                        biased;
                        () = stop.requested() => break None,
                        event = &mut poll => break Some(event),
                        () = self.turn() => {}
                        () = sleep_until(clock, subscribe_by) => {
                            return Ended::Lost(format!("The hub at {address} does not answer the subscription."));
                        }
                    }
                }
            };
            match event {
                None => {
                    say_farewell(&client, &mut events).await;
                    return Ended::Stopped;
                }
                Some(Err(error)) => {
                    if let Some(words) = words::clock_refuses(&error) {
                        self.tell_clock(Some(words));
                    }
                    return Ended::Lost(words::of_connection(&error, &address));
                }
                Some(Ok(Event::Outgoing(Outgoing::Publish(packet)))) => ids.sent(packet),
                Some(Ok(Event::Outgoing(_))) => {}
                Some(Ok(Event::Incoming(Packet::ConnAck(connack)))) => {
                    self.tell_clock(None);
                    let stated = connack.properties.and_then(|said| said.receive_max);
                    slots = usize::from(stated.unwrap_or(INFLIGHT_MAX).min(INFLIGHT_MAX));
                    if client.try_subscribe(down_filter(&self.agent), QoS::AtLeastOnce).is_err() {
                        return Ended::Lost(format!("The hub at {address} takes no subscription."));
                    }
                    subscribe_by = Some(self.clock.now().mono + SUBSCRIBE_WITHIN);
                }
                Some(Ok(Event::Incoming(Packet::SubAck(suback)))) => {
                    if !suback.return_codes.iter().all(|code| matches!(code, SubscribeReasonCode::Success(_)))
                    {
                        return Ended::Lost(format!("The hub at {address} refuses the subscription."));
                    }
                    subscribe_by = None;
                    self.outbox.handle(self.clock.now(), Input::Connected { slots });
                }
                Some(Ok(Event::Incoming(Packet::PubAck(puback)))) => {
                    if let Some(id) = ids.by_packet.remove(&puback.pkid) {
                        let taken = match puback.reason {
                            PubAckReason::Success => Taken::Yes,
                            PubAckReason::NoMatchingSubscribers => Taken::NobodyListens,
                            _ => Taken::Refused,
                        };
                        self.outbox.handle(self.clock.now(), Input::Taken { id, taken });
                    }
                }
                Some(Ok(Event::Incoming(Packet::Publish(publish)))) => self.hear(&publish),
                Some(Ok(Event::Incoming(_))) => {}
            }
        }
    }

    /// Lets time pass until `until`; true if asked to stop meanwhile.
    async fn wait(&mut self, until: Mono, stop: &mut Stop) -> bool {
        let clock = self.clock;
        while clock.now().mono < until {
            self.attend();
            tokio::select! {
                biased;
                () = stop.requested() => return true,
                () = self.turn() => {}
                () = sleep_until(clock, Some(until)) => {}
            }
        }
        false
    }

    /// Waits for the next thing from inside the agent, or the outbox's deadline, and takes it in.
    async fn turn(&mut self) {
        let now = |clock: &Clock| clock.now();
        tokio::select! {
            biased;
            Some(request) = self.wires.requests.recv() => self.outbox.handle(now(&self.clock), Input::Bed(request)),
            Ok(permit) = self.wires.asks.reserve(), if !self.asks.is_empty() => {
                if let Some(ask) = self.asks.pop_front() {
                    permit.send(ask);
                }
            }
            Ok(permit) = self.wires.bed.reserve(), if !self.notices.is_empty() => {
                if let Some(notice) = self.notices.pop_front() {
                    permit.send(notice);
                }
            }
            Some(told) = self.wires.store.recv() => self.outbox.handle(now(&self.clock), Input::Store(told)),
            () = sleep_until(self.clock, Some(self.deadline)) => {
                self.outbox.handle(now(&self.clock), Input::Timeout);
            }
        }
    }

    /// Takes out of the outbox what it has decided.
    fn attend(&mut self) {
        let now = self.clock.now();
        loop {
            match self.outbox.poll(now) {
                Output::Publish { id, topic, payload } => {
                    let publish = Pending { id, topic, payload };
                    if topic == Upstream::Announce {
                        self.publishes.push_front(publish);
                    } else {
                        self.publishes.push_back(publish);
                    }
                }
                Output::Store(Ask::Trusted(wall)) if !self.time.prove(wall) => {
                    tracing::warn!("the hub's clock is beyond this gateway's certificate");
                }
                Output::Store(ask) => self.ask(ask),
                Output::Reconnect(why) => self.give_up = Some(why),
                Output::Hub { reachable, detail, bed } => self.tell_hub(reachable, detail, bed),
                Output::Wait(until) => {
                    self.deadline = until;
                    return self.tell_strangers();
                }
            }
        }
    }

    /// The latest word on a lane replaces an earlier one that still waits.
    fn ask(&mut self, ask: Ask) {
        if let Ask::Settled { epoch, lane, .. } = &ask {
            let (epoch, lane) = (*epoch, *lane);
            self.asks.retain(
                |other| !matches!(other, Ask::Settled { epoch: e, lane: l, .. } if (*e, *l) == (epoch, lane)),
            );
        }
        self.asks.push_back(ask);
    }

    fn tell_hub(&mut self, reachable: bool, detail: String, bed: Option<String>) {
        let said = Some((reachable, detail.clone(), bed.clone()));
        if self.hub != said {
            // Once for every change: a hub that is away for a day is one line, not a thousand.
            tracing::info!(reachable, detail, "hub");
            self.hub = said;
            self.tell_latest(Some(BedNotice::Hub { reachable, detail, bed }));
        }
    }

    fn tell_strangers(&mut self) {
        let count = self.outbox.strangers();
        if self.strangers != count {
            self.strangers = count;
            self.tell_latest(Some(BedNotice::Strangers(count)));
        }
    }

    fn tell_clock(&mut self, words: Option<String>) {
        if self.clock_refuses != words {
            self.clock_refuses.clone_from(&words);
            self.tell_latest(Some(BedNotice::ClockRefuses(words)));
        }
    }

    fn hear_time(&mut self, now: Now, hub_wall_us: i64) {
        if let Some(time) = self.hub_clock.hear(now, hub_wall_us) {
            self.tell_latest(Some(BedNotice::HubTime(time)));
        }
    }

    /// Of a full state the latest word is enough.
    fn tell_latest(&mut self, notice: Option<BedNotice>) {
        if let Some(notice) = notice {
            let kind = std::mem::discriminant(&notice);
            self.notices.retain(|waiting| std::mem::discriminant(waiting) != kind);
            self.notices.push_back(notice);
        }
    }

    fn hand_over(&mut self, client: &AsyncClient, ids: &mut Ids) {
        while let Some(next) = self.publishes.front() {
            let topic = Topic::Up(self.agent.clone(), next.topic).to_string();
            let qos = if next.id.is_some() { QoS::AtLeastOnce } else { QoS::AtMostOnce };
            // A full client is emptied by its own loop, which comes round here again.
            if client.try_publish(topic, qos, false, next.payload.clone()).is_err() {
                return;
            }
            ids.handed.push_back(next.id);
            self.publishes.pop_front();
        }
    }

    fn hear(&mut self, publish: &Publish) {
        let topic = std::str::from_utf8(&publish.topic).ok().and_then(Topic::parse);
        let Some(Topic::Down(agent, kind)) = topic.filter(|topic| matches!(topic, Topic::Down(..))) else {
            tracing::debug!("a message on an unknown topic is ignored");
            return;
        };
        if agent != self.agent {
            tracing::warn!("a message for another agent is ignored");
            return;
        }
        if let Err(error) = self.hear_kind(kind, &publish.payload) {
            tracing::warn!(%error, topic = kind.path(), "a message of the hub cannot be read");
        }
    }

    fn hear_kind(&mut self, kind: Downstream, payload: &[u8]) -> serde_json::Result<()> {
        let now = self.clock.now();
        match kind {
            Downstream::Welcome => {
                let welcome: Welcome = serde_json::from_slice(payload)?;
                self.hear_time(now, welcome.hub_wall_us);
                let limits = welcome.limits.clone().map(BedNotice::Limits);
                self.outbox.handle(now, Input::Welcome(welcome));
                // Which bed it is for comes before its limits.
                self.attend();
                self.tell_latest(limits);
            }
            Downstream::Ack => self.outbox.handle(now, Input::Ack(serde_json::from_slice(payload)?)),
            Downstream::Alive => {
                let alive: Alive = serde_json::from_slice(payload)?;
                self.hear_time(now, alive.hub_wall_us);
                self.tell_latest(self.outbox.watched(&alive).map(BedNotice::Watch));
                self.tell_latest(alive.stay.clone().map(BedNotice::Stay));
                self.outbox.handle(now, Input::Alive(alive));
            }
            Downstream::Limits => {
                self.tell_latest(Some(BedNotice::Limits(serde_json::from_slice(payload)?)));
            }
            Downstream::Command => {
                let command: Command = serde_json::from_slice(payload)?;
                if self.notices.len() < NOTICES_WAITING_MAX {
                    self.notices.push_back(BedNotice::Command(command));
                }
            }
        }
        Ok(())
    }
}

impl Ids {
    /// The client has given a publish its packet id; 0 is QoS 0.
    fn sent(&mut self, packet: u16) {
        if let Some(Some(id)) = self.handed.pop_front()
            && packet != 0
        {
            self.by_packet.insert(packet, id);
        }
    }
}

/// MQTT's own goodbye, so that the hub knows it was meant.
async fn say_farewell(client: &AsyncClient, events: &mut EventLoop) {
    let farewell = async {
        let mut asked = false;
        loop {
            asked = asked || client.try_disconnect().is_ok();
            match events.poll().await {
                Ok(Event::Outgoing(Outgoing::Disconnect)) | Err(_) => return,
                Ok(_) => {}
            }
        }
    };
    let _ = tokio::time::timeout(FAREWELL_WITHIN, farewell).await;
}

async fn sleep_until(clock: Clock, at: Option<Mono>) {
    match at {
        Some(at) => tokio::time::sleep_until(clock.instant(at).into()).await,
        None => std::future::pending().await,
    }
}
