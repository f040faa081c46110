//! The hub as a client of an external broker: one connection that carries every agent's conversation.

use crate::agents::House;
use crate::agents::conversation::run::{Act, Answer, Conversation};
use crate::agents::inbound::{self, Input, Receipt};
use crate::authority::HUB_NAME;
use anyhow::{Context as _, Result, bail};
use cotside_protocol::model::Mono;
use cotside_protocol::wire::topic::{AgentId, Downstream, Topic, up_filter};
use cotside_systemd::stages::Stop;
use rumqttc::v5::mqttbytes::QoS;
use rumqttc::v5::mqttbytes::v5::{Packet, Publish, SubscribeReasonCode};
use rumqttc::v5::{AsyncClient, ConnectionError, Event, EventLoop, MqttOptions};
use rumqttc::{NetworkOptions, TlsConfiguration, Transport};
use rustls::ClientConfig;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tokio::time::{sleep, sleep_until, timeout};

/// As large as the own listener takes.
const PACKET_BYTES_MAX: u32 = 256 * 1024;
/// What the broker may have under way towards the hub: more than it allows by itself, so that one agent's commit holds up no other.
const RECEIVE_MAX: u16 = 1024;
/// Acknowledgements and answers on their way to the client's own loop.
const REQUESTS: usize = 256;
/// Reports of the client's loop that wait here.
const EVENTS: usize = 256;
const IN_FLIGHT: u16 = 100;
const KEEP_ALIVE: Duration = Duration::from_secs(5);
const CONNECT_WITHIN: Duration = Duration::from_secs(10);
/// Between two tries: the broker's restart should not be missed by much, nor hammered.
const RETRY_MIN: Duration = Duration::from_millis(500);
const RETRY_MAX: Duration = Duration::from_secs(10);
const LOOK_EVERY: Duration = Duration::from_millis(250);
/// A request that finds no room for this long means that the connection is stuck.
const REQUEST_WITHIN: Duration = Duration::from_secs(5);

/// Connects for ever, with a fresh client each time, until told to stop.
pub async fn run(
    host: String,
    port: u16,
    tls: Arc<ClientConfig>,
    house: Arc<House>,
    mut stop: Stop,
) -> Result<()> {
    let mut retry = RETRY_MIN;
    while !stop.is_requested() {
        let mut session = Session::new(&host, port, tls.clone(), house.clone());
        let why = tokio::select! {
            ended = Box::pin(session.run()) => match ended {
                Ok(never) => match never {},
                Err(error) => error,
            },
            () = stop.requested() => {
                session.end("the hub shuts down").await;
                return Ok(());
            }
        };
        session.end("the broker cannot be reached").await;
        tracing::warn!(broker = host, error = format!("{why:#}"), "no connection to the broker");
        retry = if session.subscribed { RETRY_MIN } else { (retry * 2).min(RETRY_MAX) };
        tokio::select! {
            () = sleep(retry) => {}
            () = stop.requested() => {}
        }
    }
    Ok(())
}

/// One connection and everything that depends on it.
struct Session {
    house: Arc<House>,
    client: AsyncClient,
    /// What the client's own loop reports; it runs by itself, since it may not be cut off in the middle of a packet.
    events: mpsc::Receiver<Result<Event, ConnectionError>>,
    _poller: JoinSet<()>,
    subscribed: bool,
    conversations: BTreeMap<AgentId, Conversation>,
    /// What the broker holds as under way to the hub, and whose it is: beyond its bound it delivers nothing more of anybody.
    unanswered: BTreeMap<u64, (AgentId, Publish)>,
    next_receipt: u64,
}

enum Never {}

/// Drives the client until its connection ends; dropping its receiver ends it too.
async fn poll(mut events: EventLoop, report: mpsc::Sender<Result<Event, ConnectionError>>) {
    loop {
        let event = events.poll().await;
        let is_over = event.is_err();
        if report.send(event).await.is_err() || is_over {
            return;
        }
    }
}

fn reported(event: Option<Result<Event, ConnectionError>>) -> Result<Event> {
    Ok(event.context("the client's loop ended")??)
}

impl Session {
    fn new(host: &str, port: u16, tls: Arc<ClientConfig>, house: Arc<House>) -> Self {
        let mut options = MqttOptions::new(HUB_NAME, host, port);
        options
            .set_transport(Transport::tls_with_config(TlsConfiguration::Rustls(tls)))
            .set_keep_alive(KEEP_ALIVE)
            .set_clean_start(true)
            .set_manual_acks(true)
            .set_max_packet_size(Some(PACKET_BYTES_MAX))
            .set_receive_maximum(Some(RECEIVE_MAX))
            .set_outgoing_inflight_upper_limit(IN_FLIGHT)
            .set_connection_timeout(CONNECT_WITHIN.as_secs());
        let mut network = NetworkOptions::new();
        network.set_tcp_nodelay(true);
        options.set_network_options(network);
        let (client, events) = AsyncClient::new(options, REQUESTS);
        let (report, reports) = mpsc::channel(EVENTS);
        let mut poller = JoinSet::new();
        poller.spawn(poll(events, report));
        Self {
            house,
            client,
            events: reports,
            _poller: poller,
            subscribed: false,
            conversations: BTreeMap::new(),
            unanswered: BTreeMap::new(),
            next_receipt: 0,
        }
    }

    async fn run(&mut self) -> Result<Never> {
        self.client.subscribe(up_filter(), QoS::AtLeastOnce).await?;
        let mut look_at = self.now();
        let mut urgent = self.house.tending.urgent();
        loop {
            let wake_at =
                self.conversations.values().map(Conversation::wake_at).min().unwrap_or(Mono(u64::MAX));
            let wake_at = wake_at.min(look_at).min(self.now() + LOOK_EVERY);
            tokio::select! {
                event = self.events.recv() => self.event(reported(event)?).await?,
                (agent, answer) = next_answer(&mut self.conversations) => self.answered(agent, answer).await?,
                () = sleep_until(self.house.clock.instant(wake_at).into()) => self.on_time(&mut look_at).await?,
                Ok(()) = urgent.changed() => {
                    look_at = self.now();
                    self.on_time(&mut look_at).await?;
                }
            }
        }
    }

    async fn event(&mut self, event: Event) -> Result<()> {
        match event {
            Event::Incoming(Packet::SubAck(suback)) => {
                let granted = |code: &SubscribeReasonCode| {
                    matches!(code, SubscribeReasonCode::Success(QoS::AtLeastOnce))
                };
                if !suback.return_codes.iter().all(granted) {
                    bail!("the broker does not let the hub subscribe to {}", up_filter());
                }
                self.subscribed = true;
                tracing::info!("connected to the broker");
                // Agents that were there before the hub need not wait until they notice that it came.
                let registered: Vec<AgentId> = self.house.roll().all().cloned().collect();
                for agent in registered {
                    let call = inbound::call(self.house.clock.now());
                    Box::pin(self.send(&agent, Downstream::Alive, call)).await?;
                }
            }
            Event::Incoming(Packet::Publish(publish)) => self.published(publish).await?,
            Event::Incoming(Packet::Disconnect(disconnect)) => {
                bail!("the broker ended the connection: {:?}", disconnect.reason_code)
            }
            Event::Incoming(_) | Event::Outgoing(_) => {}
        }
        Ok(())
    }

    async fn published(&mut self, publish: Publish) -> Result<()> {
        // The broker's access list lets an agent write below its own name only.
        let topic = std::str::from_utf8(&publish.topic).ok().and_then(Topic::parse);
        let Some(Topic::Up(agent, what)) = topic else {
            let client = self.client.clone();
            return self.request(client.ack(&publish)).await;
        };
        let receipt = (publish.qos == QoS::AtLeastOnce).then(|| {
            let receipt = Receipt(self.next_receipt);
            self.next_receipt += 1;
            self.unanswered.insert(receipt.0, (agent.clone(), publish.clone()));
            receipt
        });
        let Some(bed) = self.house.roll().registered(&agent) else {
            // Revoked, or never enrolled here.
            return self.acknowledge(receipt).await;
        };
        let house = &self.house;
        let conversation = self
            .conversations
            .entry(agent.clone())
            .or_insert_with(|| Conversation::new(agent.clone(), bed, house.clone()));
        let mut acts = Vec::new();
        conversation.handle(Input::Message { what, payload: publish.payload, receipt }, &mut acts).await;
        self.act(&agent, acts).await
    }

    async fn answered(&mut self, agent: AgentId, answer: Answer) -> Result<()> {
        let mut acts = Vec::new();
        if let Some(conversation) = self.conversations.get_mut(&agent) {
            conversation.answered(answer, &mut acts).await;
        }
        self.act(&agent, acts).await
    }

    async fn on_time(&mut self, look_at: &mut Mono) -> Result<()> {
        let now = self.now();
        let looks = now >= *look_at;
        if looks {
            *look_at = now + LOOK_EVERY;
        }
        let due: Vec<AgentId> = self
            .conversations
            .iter()
            .filter(|(_, conversation)| looks || conversation.wake_at() <= now)
            .map(|(agent, _)| agent.clone())
            .collect();
        for agent in due {
            let registered = self.house.roll().registered(&agent);
            let mut acts = Vec::new();
            match (self.conversations.get_mut(&agent), registered) {
                (Some(conversation), Some(bed)) => {
                    conversation.bed_is(bed, &mut acts).await;
                    if conversation.wake_at() <= now {
                        conversation.handle(Input::Timeout, &mut acts).await;
                    }
                }
                (Some(conversation), None) => {
                    conversation.end("the agent was revoked").await;
                    self.forget(&agent).await?;
                }
                (None, _) => {}
            }
            self.act(&agent, acts).await?;
        }
        Ok(())
    }

    async fn act(&mut self, agent: &AgentId, acts: Vec<Act>) -> Result<()> {
        for act in acts {
            match act {
                Act::Send(what, payload) => self.send(agent, what, payload).await?,
                // The broker is told that its message arrived; what the agent is told is the acknowledgement of its own.
                Act::Acknowledge(receipt) | Act::Refuse(receipt, _) => {
                    self.acknowledge(Some(receipt)).await?
                }
                // The agent hears no heartbeat any more, and says hello again.
                Act::Close(why) => {
                    tracing::info!(%agent, why, "conversation ended");
                    self.forget(agent).await?;
                }
            }
        }
        Ok(())
    }

    async fn send(&mut self, agent: &AgentId, what: Downstream, payload: Vec<u8>) -> Result<()> {
        let topic = Topic::Down(agent.clone(), what).to_string();
        let client = self.client.clone();
        self.request(client.publish(topic, QoS::AtLeastOnce, false, payload)).await
    }

    async fn acknowledge(&mut self, receipt: Option<Receipt>) -> Result<()> {
        let Some((_, publish)) = receipt.and_then(|receipt| self.unanswered.remove(&receipt.0)) else {
            return Ok(());
        };
        let client = self.client.clone();
        self.request(client.ack(&publish)).await
    }

    /// Ends a conversation. What it left unanswered is answered to the broker; the agent sends again what the hub does not have.
    async fn forget(&mut self, agent: &AgentId) -> Result<()> {
        self.conversations.remove(agent);
        let of_agent = self.unanswered.iter().filter(|(_, (whose, _))| whose == agent);
        let left: Vec<Receipt> = of_agent.map(|(receipt, _)| Receipt(*receipt)).collect();
        for receipt in left {
            self.acknowledge(Some(receipt)).await?;
        }
        Ok(())
    }

    /// Hands the client's loop a request. The loop goes on meanwhile: a full queue would otherwise wait for itself.
    async fn request(
        &mut self,
        request: impl Future<Output = Result<(), rumqttc::v5::ClientError>>,
    ) -> Result<()> {
        tokio::pin!(request);
        let mut late = Vec::new();
        let handed = timeout(REQUEST_WITHIN, async {
            loop {
                tokio::select! {
                    biased;
                    handed = &mut request => return handed.map_err(anyhow::Error::from),
                    event = self.events.recv() => late.push(reported(event)?),
                }
            }
        });
        let outcome = match handed.await {
            Ok(outcome) => outcome,
            Err(_) => bail!("the broker takes nothing any more"),
        };
        for event in late {
            Box::pin(self.event(event)).await?;
        }
        outcome
    }

    async fn end(&mut self, why: &'static str) {
        for conversation in self.conversations.values_mut() {
            conversation.end(why).await;
        }
    }

    fn now(&self) -> Mono {
        self.house.clock.now().mono
    }
}

/// The next answer of the store to any conversation; for ever if none is due.
async fn next_answer(conversations: &mut BTreeMap<AgentId, Conversation>) -> (AgentId, Answer) {
    let waiting = conversations.iter_mut().filter(|(_, conversation)| conversation.is_waiting());
    let answers: Vec<_> = waiting
        .map(|(agent, conversation)| Box::pin(async move { (agent.clone(), conversation.answer().await) }))
        .collect();
    if answers.is_empty() {
        return std::future::pending().await;
    }
    match futures_util::future::select_all(answers).await.0 {
        (agent, Some(answer)) => (agent, answer),
        (_, None) => std::future::pending().await,
    }
}
