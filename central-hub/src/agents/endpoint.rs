//! One agent's MQTT v5 connection as pure state: an endpoint, not a broker. The certificate has already said who is speaking.
//!
//! The protocol library keeps packet ids, limits and timers; here stands what an agent may do: publish below its own `up/`,
//! subscribe below its own `down/`, and be acknowledged only when told so. Nothing is routed, retained or kept for a session.

use super::inbound::{Receipt, Refusal};
use bytes::Bytes;
use cotside_protocol::model::Mono;
use cotside_protocol::wire::topic::{AgentId, Downstream, Topic, Upstream, down_filter};
use mqtt_protocol_core::mqtt::Version;
use mqtt_protocol_core::mqtt::common::Cursor;
use mqtt_protocol_core::mqtt::connection::{Connection, ConnectionOptions, Event, TimerKind, role};
use mqtt_protocol_core::mqtt::packet::{
    GenericPacketTrait as _, MaximumQos, Packet, Property, Qos, RetainAvailable, ServerKeepAlive,
    SessionExpiryInterval, SharedSubscriptionAvailable, SubEntry, SubscriptionIdentifierAvailable, v5_0,
};
use mqtt_protocol_core::mqtt::result_code::{
    ConnectReasonCode, DisconnectReasonCode, MqttError, PubackReasonCode, SubackReasonCode,
    UnsubackReasonCode,
};
use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

/// A block payload is a few kilobytes; backlog comes in runs of at most 64 KiB.
const PACKET_BYTES_MAX: u32 = 256 * 1024;
/// Messages an agent may have unacknowledged.
const RECEIVE_MAX: u16 = 32;
/// Messages the hub has unacknowledged before it gives an agent up.
const SENT_MAX: usize = 64;
/// The hub decides how often an agent shows a sign of life.
const KEEP_ALIVE_S: u16 = 5;

#[derive(Debug)]
pub enum Input<'a> {
    Received(&'a [u8]),
    /// The answer to [`Output::Claim`].
    Granted,
    /// Another connection of this name is alive.
    Taken,
    Send(Downstream, Vec<u8>),
    Acknowledge(Receipt),
    Refuse(Receipt, Refusal),
    /// Says goodbye with a reason and ends.
    Close(Goodbye),
    Timeout,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Goodbye {
    ShuttingDown,
    Revoked,
    TakenOver,
    Unspecified,
}

#[derive(Debug)]
pub enum Output {
    Transmit(Vec<u8>),
    /// CONNECT was in order: is the name free? Nothing more is read before the answer.
    Claim,
    Message {
        what: Upstream,
        payload: Bytes,
        receipt: Option<Receipt>,
    },
    /// Something an operator should know, with a stable word.
    Tell(&'static str, String),
    /// Transmit what came before, then close the socket.
    Closed(&'static str),
    Wait,
}

pub struct Endpoint {
    agent: AgentId,
    protocol: Connection<role::Server>,
    phase: Phase,
    /// When the keep alive runs out.
    silent_at: Option<Mono>,
    /// Packet ids that wait for their acknowledgement.
    unanswered: BTreeMap<u64, u16>,
    next_receipt: u64,
    sent: usize,
    subscribed: bool,
    outputs: VecDeque<Output>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    /// Only CONNECT is allowed.
    Fresh,
    Claiming,
    Connected,
    Closed,
}

impl Endpoint {
    /// `agent` is the name in the certificate that TLS accepted.
    pub fn new(agent: AgentId) -> Self {
        let options =
            ConnectionOptions::new().maximum_packet_size_recv(PACKET_BYTES_MAX).receive_maximum(RECEIVE_MAX);
        let mut protocol = Connection::<role::Server>::with_options(Version::V5_0, options);
        protocol.set_auto_pub_response(false);
        protocol.set_auto_ping_response(true);
        Self {
            agent,
            protocol,
            phase: Phase::Fresh,
            silent_at: None,
            unanswered: BTreeMap::new(),
            next_receipt: 0,
            sent: 0,
            subscribed: false,
            outputs: VecDeque::new(),
        }
    }

    pub fn handle(&mut self, now: Mono, input: Input<'_>) {
        if self.phase == Phase::Closed {
            return;
        }
        match input {
            Input::Received(bytes) => self.received(now, bytes),
            Input::Granted => self.connack(now, ConnectReasonCode::Success),
            Input::Taken => {
                self.connack(now, ConnectReasonCode::NotAuthorized);
                self.closed("another connection of this name is alive");
            }
            Input::Send(what, payload) => self.send(now, what, payload),
            Input::Acknowledge(receipt) => self.answer(now, receipt, PubackReasonCode::Success),
            Input::Refuse(receipt, refusal) => {
                let reason = match refusal {
                    Refusal::Malformed => PubackReasonCode::PayloadFormatInvalid,
                    Refusal::NotAllowed => PubackReasonCode::NotAuthorized,
                    Refusal::TooScattered => PubackReasonCode::QuotaExceeded,
                };
                self.answer(now, receipt, reason);
            }
            Input::Close(goodbye) => {
                let (reason, why) = match goodbye {
                    Goodbye::ShuttingDown => (DisconnectReasonCode::ServerShuttingDown, "the hub shuts down"),
                    Goodbye::Revoked => (DisconnectReasonCode::AdministrativeAction, "the agent was revoked"),
                    Goodbye::TakenOver => {
                        (DisconnectReasonCode::SessionTakenOver, "a newer connection took over")
                    }
                    Goodbye::Unspecified => {
                        (DisconnectReasonCode::UnspecifiedError, "the conversation ended")
                    }
                };
                self.disconnect(reason, why);
            }
            Input::Timeout => {
                if self.silent_at.is_some_and(|at| now >= at) {
                    self.silent_at = None;
                    let events = self.protocol.notify_timer_fired(TimerKind::PingreqRecv);
                    self.take(now, events);
                    self.closed("the keep alive ran out");
                }
            }
        }
    }

    /// Drain to [`Output::Wait`] after every [`Self::handle`].
    pub fn poll(&mut self) -> Output {
        self.outputs.pop_front().unwrap_or(Output::Wait)
    }

    /// When to come back with [`Input::Timeout`]; None: nothing is due.
    pub fn deadline(&self) -> Option<Mono> {
        self.silent_at
    }

    fn received(&mut self, now: Mono, bytes: &[u8]) {
        let mut cursor = Cursor::new(bytes);
        // One packet a call.
        while cursor.position() < bytes.len() as u64 && self.phase != Phase::Closed {
            let events = self.protocol.recv(&mut cursor);
            self.take(now, events);
        }
    }

    fn take(&mut self, now: Mono, events: Vec<Event>) {
        for event in events {
            match event {
                Event::RequestSendPacket { packet, .. } => {
                    self.outputs.push_back(Output::Transmit(packet.to_continuous_buffer()));
                }
                Event::NotifyPacketReceived(packet) => self.packet(now, packet),
                Event::RequestTimerReset { kind: TimerKind::PingreqRecv, duration_ms } => {
                    self.silent_at = Some(now + Duration::from_millis(duration_ms));
                }
                Event::RequestTimerCancel(TimerKind::PingreqRecv) => self.silent_at = None,
                // A server sends no pings.
                Event::RequestTimerReset { .. } | Event::RequestTimerCancel(_) => {}
                Event::NotifyPacketIdReleased(_) => self.sent = self.sent.saturating_sub(1),
                Event::NotifyError(error) => {
                    self.closed(match error {
                        MqttError::PacketTooLarge => "a packet larger than allowed",
                        MqttError::ReceiveMaximumExceeded => "more messages unacknowledged than allowed",
                        MqttError::UnsupportedProtocolVersion => "not MQTT version 5",
                        _ => "not MQTT as it should be",
                    });
                }
                Event::RequestClose => self.closed("the protocol ended the connection"),
            }
        }
    }

    fn packet(&mut self, now: Mono, packet: Packet) {
        match (self.phase, packet) {
            (Phase::Closed, _) => {}
            (Phase::Fresh, Packet::V5_0Connect(connect)) => self.connect(now, &connect),
            // The library hands these over even before CONNECT.
            (Phase::Fresh | Phase::Claiming, _) => {
                self.closed("a message before the connection was accepted")
            }
            (Phase::Connected, Packet::V5_0Publish(publish)) => self.publish(now, &publish),
            (Phase::Connected, Packet::V5_0Subscribe(subscribe)) => self.subscribe(now, &subscribe),
            (Phase::Connected, Packet::V5_0Unsubscribe(unsubscribe)) => {
                self.subscribed = false;
                let reasons = vec![UnsubackReasonCode::Success; unsubscribe.entries().len()];
                let unsuback = v5_0::Unsuback::builder()
                    .packet_id(unsubscribe.packet_id())
                    .reason_codes(reasons)
                    .build();
                if let Ok(unsuback) = unsuback {
                    let events = self.protocol.checked_send(unsuback);
                    self.take(now, events);
                }
            }
            (Phase::Connected, Packet::V5_0Disconnect(_)) => self.closed("the agent said goodbye"),
            // Pings are answered, acknowledgements counted by the library.
            (Phase::Connected, _) => {}
        }
    }

    fn connect(&mut self, now: Mono, connect: &v5_0::Connect) {
        if connect.client_id() != self.agent.as_str() {
            let words = format!("its client id is {:?}", short(connect.client_id()));
            self.outputs.push_back(Output::Tell("identity-refused", words));
            self.connack(now, ConnectReasonCode::NotAuthorized);
            return self.closed("the client id is not the certificate's name");
        }
        if connect.will_flag() {
            self.connack(now, ConnectReasonCode::ImplementationSpecificError);
            return self.closed("wills are not taken");
        }
        self.phase = Phase::Claiming;
        self.outputs.push_back(Output::Claim);
    }

    fn connack(&mut self, now: Mono, reason: ConnectReasonCode) {
        let mut connack = v5_0::Connack::builder().session_present(false).reason_code(reason);
        if reason == ConnectReasonCode::Success {
            connack = connack.props(capabilities());
            self.phase = Phase::Connected;
        }
        match connack.build() {
            Ok(connack) => {
                let events = self.protocol.checked_send(connack);
                self.take(now, events);
            }
            Err(_) => self.closed("the connection could not be accepted"),
        }
    }

    fn publish(&mut self, now: Mono, publish: &v5_0::Publish) {
        let qos = publish.qos();
        if qos == Qos::ExactlyOnce || publish.retain() {
            let reason = if publish.retain() {
                DisconnectReasonCode::RetainNotSupported
            } else {
                DisconnectReasonCode::QosNotSupported
            };
            return self.disconnect(reason, "a message that is retained or of QoS 2");
        }
        let receipt = publish.packet_id().filter(|_| qos == Qos::AtLeastOnce).map(|packet_id| {
            let receipt = Receipt(self.next_receipt);
            self.next_receipt += 1;
            self.unanswered.insert(receipt.0, packet_id);
            receipt
        });
        match Topic::parse(publish.topic_name()) {
            Some(Topic::Up(agent, what)) if agent == self.agent => {
                let payload = Bytes::copy_from_slice(publish.payload().as_slice());
                self.outputs.push_back(Output::Message { what, payload, receipt });
            }
            _ => {
                let words = format!("it published to {:?}", short(publish.topic_name()));
                self.outputs.push_back(Output::Tell("foreign-topic", words));
                if let Some(receipt) = receipt {
                    self.answer(now, receipt, PubackReasonCode::NotAuthorized);
                }
            }
        }
    }

    fn subscribe(&mut self, now: Mono, subscribe: &v5_0::Subscribe) {
        let all = down_filter(&self.agent);
        let own = all.trim_end_matches('#');
        let answer = |entry: &SubEntry| {
            let is_own = entry.topic_filter().strip_prefix(own).is_some_and(|rest| !rest.is_empty());
            if is_own { SubackReasonCode::GrantedQos1 } else { SubackReasonCode::NotAuthorized }
        };
        let reasons: Vec<_> = subscribe.entries().iter().map(answer).collect();
        // Everything below `down/` comes to whoever asked for any of it: an agent needs all of it.
        self.subscribed |= reasons.contains(&SubackReasonCode::GrantedQos1);
        if reasons.contains(&SubackReasonCode::NotAuthorized) {
            self.outputs
                .push_back(Output::Tell("foreign-topic", "it subscribed outside its own down/".to_owned()));
        }
        let suback = v5_0::Suback::builder().packet_id(subscribe.packet_id()).reason_codes(reasons).build();
        if let Ok(suback) = suback {
            let events = self.protocol.checked_send(suback);
            self.take(now, events);
        }
    }

    fn send(&mut self, now: Mono, what: Downstream, payload: Vec<u8>) {
        if self.phase != Phase::Connected || !self.subscribed {
            return;
        }
        if self.sent >= SENT_MAX {
            return self.disconnect(DisconnectReasonCode::QuotaExceeded, "it does not acknowledge");
        }
        let Ok(packet_id) = self.protocol.acquire_packet_id() else { return };
        let topic = Topic::Down(self.agent.clone(), what).to_string();
        let publish = v5_0::Publish::builder()
            .topic_name(topic)
            .and_then(|publish| publish.qos(Qos::AtLeastOnce).packet_id(packet_id).payload(payload).build());
        if let Ok(publish) = publish {
            self.sent += 1;
            let events = self.protocol.checked_send(publish);
            self.take(now, events);
        }
    }

    /// Answers a message once, even if its packet id came twice before the answer.
    fn answer(&mut self, now: Mono, receipt: Receipt, reason: PubackReasonCode) {
        let Some(packet_id) = self.unanswered.remove(&receipt.0) else { return };
        self.unanswered.retain(|_, other| *other != packet_id);
        let mut puback = v5_0::Puback::builder().packet_id(packet_id);
        if reason != PubackReasonCode::Success {
            puback = puback.reason_code(reason);
        }
        if let Ok(puback) = puback.build() {
            let events = self.protocol.checked_send(puback);
            self.take(now, events);
        }
    }

    fn disconnect(&mut self, reason: DisconnectReasonCode, why: &'static str) {
        if self.phase == Phase::Connected
            && let Ok(disconnect) = v5_0::Disconnect::builder().reason_code(reason).build()
        {
            for event in self.protocol.checked_send(disconnect) {
                if let Event::RequestSendPacket { packet, .. } = event {
                    self.outputs.push_back(Output::Transmit(packet.to_continuous_buffer()));
                }
            }
        }
        self.closed(why);
    }

    fn closed(&mut self, why: &'static str) {
        if self.phase == Phase::Closed {
            return;
        }
        self.phase = Phase::Closed;
        self.silent_at = None;
        self.outputs.push_back(Output::Closed(why));
        // Nothing is kept for a session that will not come back.
        drop(self.protocol.notify_closed());
    }
}

fn capabilities() -> Vec<Property> {
    [
        ServerKeepAlive::new(KEEP_ALIVE_S).map(Property::ServerKeepAlive),
        MaximumQos::new(1).map(Property::MaximumQos),
        RetainAvailable::new(0).map(Property::RetainAvailable),
        SessionExpiryInterval::new(0).map(Property::SessionExpiryInterval),
        SharedSubscriptionAvailable::new(0).map(Property::SharedSubscriptionAvailable),
        SubscriptionIdentifierAvailable::new(0).map(Property::SubscriptionIdentifierAvailable),
    ]
    .into_iter()
    .flatten()
    .collect()
}

/// Text from outside, short and harmless enough for an event.
fn short(text: &str) -> String {
    text.chars().filter(|c| !c.is_control()).take(80).collect()
}
