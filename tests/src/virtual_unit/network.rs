//! The way between one agent and the hub: delays, loss, doubles, and what overtakes what.
//!
//! Messages of one topic keep their order; topics overtake each other. Behind a broker what was handed to it arrives whatever
//! becomes of the agent's connection, so that a message of an old connection may come after the hello of a new one.

use super::weather::Redeliveries;
use super::*;
use std::collections::BTreeMap;

#[derive(Clone)]
pub(super) struct Message {
    pub(super) id: Option<u64>,
    pub(super) what: Upstream,
    pub(super) payload: bytes::Bytes,
    /// Which connection it was published on.
    connection: u64,
    is_again: bool,
}

pub(super) struct Network {
    way: Way,
    up: BTreeMap<(Mono, u64), Message>,
    down: BTreeMap<(Mono, u64), (Downstream, Vec<u8>)>,
    taken: BTreeMap<(Mono, u64), (u64, Taken)>,
    up_last: BTreeMap<&'static str, Mono>,
    down_last: BTreeMap<&'static str, Mono>,
    next: u64,
    /// States of the bed that were handed to it.
    states: u64,
    /// Deliveries of what had been delivered.
    pub(super) redelivered: u64,
    pub(super) connection: u64,
    pub(super) is_connected: bool,
    pub(super) connect_at: Mono,
    /// No connection is made before.
    outage_until: Mono,
}

impl Network {
    pub(super) fn new(way: Way, connect_at: Mono) -> Self {
        Self {
            way,
            up: BTreeMap::new(),
            down: BTreeMap::new(),
            taken: BTreeMap::new(),
            up_last: BTreeMap::new(),
            down_last: BTreeMap::new(),
            next: 0,
            states: 0,
            redelivered: 0,
            connection: 0,
            is_connected: false,
            connect_at,
            outage_until: Mono(0),
        }
    }

    /// The connection of the agent ends; another may be made then.
    pub(super) fn cut(&mut self, connect_at: Mono, random: &mut Random) {
        self.is_connected = false;
        self.connect_at = connect_at.max(self.outage_until);
        self.connection += 1;
        self.down.clear();
        self.taken.clear();
        match self.way {
            Way::Endpoint => self.up.clear(),
            // What had reached the broker.
            Way::Broker => self.up.retain(|_, _| random.once_in(2)),
        }
    }

    pub(super) fn outage(&mut self, until: Mono, random: &mut Random) {
        self.outage_until = self.outage_until.max(until);
        self.cut(until, random);
    }

    /// A connection can be made whatever the hub does.
    pub(super) fn reaches_a_broker(&self) -> bool {
        self.way == Way::Broker
    }

    /// The agent may be told of it: its connection is the one that the message came on.
    pub(super) fn is_current(&self, message: &Message) -> bool {
        message.connection == self.connection
    }

    pub(super) fn publish(
        &mut self,
        now: Mono,
        id: Option<u64>,
        what: Upstream,
        payload: bytes::Bytes,
        chance: &mut Chance<'_>,
        hub_listens: bool,
    ) {
        if !self.is_connected {
            return;
        }
        if let (Way::Broker, Some(id)) = (self.way, id) {
            let word = if hub_listens { Taken::Yes } else { Taken::NobodyListens };
            self.take(now + chance.delay(), id, word);
        }
        if self.way == Way::Broker && !hub_listens {
            return;
        }
        self.states += u64::from(what == Upstream::Status);
        let is_left_out =
            what == Upstream::Status && !self.states.is_multiple_of(chance.weather.states_one_in);
        if is_left_out || chance.strays() {
            // Lost between the two; MQTT has taken it all the same.
            if let (Way::Endpoint, Some(id)) = (self.way, id) {
                self.take(now + chance.delay(), id, Taken::Yes);
            }
            return;
        }
        let message = Message { id, what, payload, connection: self.connection, is_again: false };
        self.send(now, message, chance.delay());
    }

    fn send(&mut self, now: Mono, message: Message, delay: Duration) {
        let last = self.up_last.entry(message.what.path()).or_default();
        *last = (now + delay).max(*last);
        self.next += 1;
        self.up.insert((*last, self.next), message);
    }

    /// The next message that has reached the hub.
    pub(super) fn arrived(&mut self, now: Mono, chance: &mut Chance<'_>) -> Option<Message> {
        let entry = self.up.first_entry().filter(|entry| entry.key().0 <= now)?;
        let message = entry.remove();
        // What is delivered again comes in its order: an older hello never comes last.
        if message.is_again && message.what == Upstream::Hello && !self.is_current(&message) {
            return self.arrived(now, chance);
        }
        if let Some(again) = chance.weather.redeliveries.filter(|of| self.is_repeated(of, now, &message)) {
            self.next += 1;
            self.redelivered += u64::from(message.is_again);
            self.up.insert((now + again.every, self.next), Message { is_again: true, ..message.clone() });
        } else if !message.is_again
            && let Some(again) = chance.redelivery()
        {
            self.next += 1;
            self.up.insert((now + again, self.next), Message { is_again: true, ..message.clone() });
        }
        Some(message)
    }

    /// A message of the stretch, or one that came again and will once more.
    fn is_repeated(&self, of: &Redeliveries, now: Mono, message: &Message) -> bool {
        let since = now.since(START.mono);
        let is_of_stretch = (of.stretch.0..of.stretch.1).contains(&since);
        self.way == Way::Broker && (message.is_again || is_of_stretch) && since + of.every < of.until
    }

    /// MQTT's word on a publish of this connection.
    pub(super) fn take(&mut self, at: Mono, id: u64, taken: Taken) {
        self.next += 1;
        self.taken.insert((at, self.next), (id, taken));
    }

    pub(super) fn taken(&mut self, now: Mono) -> Option<(u64, Taken)> {
        self.taken.first_entry().filter(|entry| entry.key().0 <= now).map(|entry| entry.remove())
    }

    pub(super) fn send_down(&mut self, now: Mono, what: Downstream, payload: Vec<u8>, delay: Duration) {
        if !self.is_connected {
            return;
        }
        let last = self.down_last.entry(what.path()).or_default();
        *last = (now + delay).max(*last);
        self.next += 1;
        self.down.insert((*last, self.next), (what, payload));
    }

    pub(super) fn came_down(&mut self, now: Mono) -> Option<(Downstream, Vec<u8>)> {
        self.down.first_entry().filter(|entry| entry.key().0 <= now).map(|entry| entry.remove())
    }

    /// When the agent has something to do with it.
    pub(super) fn agent_due(&self, hub_listens: bool) -> Mono {
        let firsts = [
            self.down.first_key_value().map(|(key, _)| key.0),
            self.taken.first_key_value().map(|(key, _)| key.0),
        ];
        let can_connect = !self.is_connected && (hub_listens || self.way == Way::Broker);
        let connect = can_connect.then_some(self.connect_at);
        firsts.into_iter().flatten().chain(connect).min().unwrap_or(Mono(u64::MAX))
    }

    /// When the hub has.
    pub(super) fn hub_due(&self) -> Mono {
        self.up.first_key_value().map_or(Mono(u64::MAX), |(key, _)| key.0)
    }

    /// The hub is gone: what was under way to it is lost.
    pub(super) fn hub_died(&mut self, connect_at: Mono, random: &mut Random) {
        match self.way {
            Way::Endpoint if self.is_connected => self.cut(connect_at, random),
            Way::Endpoint => {}
            Way::Broker => self.up.clear(),
        }
    }
}
