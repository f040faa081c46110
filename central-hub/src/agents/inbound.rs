//! One agent's conversation, whatever carries it: what is new, what is shown at once, what is committed, what is acknowledged.
//!
//! ```text
//! hello --Open--> (store) --Opened--> welcome, then alive every second
//! recall --Recall--> (store) --Recalled--> an ack of each earlier epoch, whose backlog is then taken too
//! live block --News (shown)--> Commit --Committed--> transport receipt, ack, News::Record
//! ```
//! A block is taken once by `(epoch, lane, seq)`. What was acknowledged is on disk; what is shown need not be.

mod again;
mod down;
mod intake;
mod lane;
mod recall;
mod rules;

use self::again::Again;
use self::down::{ALIVE_EVERY, Down};
use self::intake::{Intake, split};
use self::lane::{Lanes, Taken};
use super::tended::Tended;
use crate::feed::News;
use crate::store::blocks::{Addition, Known};
use crate::store::lives::Life;
use bytes::Bytes;
use cotside_protocol::model::{Mono, Now, Provenance};
use cotside_protocol::wire::block::{Decoder, Epoch, Header};
use cotside_protocol::wire::convert::{from_hex, hex};
use cotside_protocol::wire::downstream::{Ack, Alive, LaneAck, Welcome};
use cotside_protocol::wire::topic::{AgentId, Downstream, Lane, Upstream};
use cotside_protocol::wire::upstream::{self, Announce, Hello, Recall, Record, Reply, Status, WIRE_VERSION};
use cotside_protocol::wire::watermark::Watermark;
use serde::Serialize;
use serde::de::DeserializeOwned;
use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

/// A store that failed to look up a hello is asked again.
const OPEN_AGAIN: Duration = Duration::from_secs(1);
/// Acknowledgements within this time go out as one.
const ACK_EVERY: Duration = Duration::from_millis(10);
/// An agent says something every second; silent for this long it is gone.
const SILENT_AFTER: Duration = Duration::from_secs(8);
/// A commit that takes longer means that the hub cannot commit: it then stops saying that it is alive.
const COMMIT_STUCK_AFTER: Duration = Duration::from_secs(5);
/// Trouble of one kind is told once, then every so many times.
const TELL_EVERY: u64 = 1000;

/// What the hub asks of every agent.
#[derive(Clone, Debug)]
pub struct Rules {
    pub store: Arc<str>,
    pub accepts: Provenance,
}

/// Given back when the transport may acknowledge, or refuse, the message it came with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Receipt(pub u64);

/// Names one commit of one conversation.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Ticket(pub u64);

#[derive(Debug)]
pub enum Input {
    Message {
        what: Upstream,
        payload: Bytes,
        receipt: Option<Receipt>,
    },
    /// The store's answer to [`Output::Open`].
    Opened {
        epoch: Epoch,
        known: Vec<Known>,
        bed: Option<String>,
    },
    /// The store's answer to [`Output::Recall`].
    Recalled(Vec<(Epoch, Vec<Known>)>),
    /// The store's answer to [`Output::Commit`], in the order asked: what is now held.
    Committed(Ticket, Watermark),
    /// The store could not look up what was asked with [`Output::Open`] or [`Output::Recall`].
    LookupFailed,
    /// The store could not commit.
    CommitFailed(Ticket),
    /// The bed this agent serves has changed.
    Bed(Option<String>),
    /// What is to be said to the agent of that bed.
    Tended(Box<Tended>),
    Timeout,
}

#[derive(Debug)]
#[expect(clippy::large_enum_variant, reason = "most of them are news, each is polled at once")]
pub enum Output {
    Send(Downstream, Vec<u8>),
    Receive(Receipt),
    Refuse(Receipt, Refusal),
    Show(News),
    /// Look up what is held of the present epoch.
    Open(Life),
    /// The same of earlier ones.
    Recall(Vec<Life>),
    Commit(Ticket, Addition),
    /// Something a person should know, with a stable word.
    Tell(&'static str, String),
    Close(&'static str),
    Wait(Mono),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// Not what its topic promises.
    Malformed,
    /// Well-formed, but not for this hub or not now.
    NotAllowed,
    /// The sender has to close its gaps first.
    TooScattered,
}

#[derive(Debug)]
pub struct Inbound {
    agent: AgentId,
    rules: Rules,
    phase: Phase,
    outputs: VecDeque<Output>,
    heard: Mono,
    /// Messages whose commit is on its way; a second hello does not forget them.
    pending: VecDeque<Waiting>,
    /// The unit was told that this agent is there.
    connected: bool,
    /// When a hello that the store could not look up is looked up again.
    open_at: Option<Mono>,
    /// When an agent that has not said hello was last asked to.
    called_at: Option<Mono>,
    /// Never starts over: a commit of before a second hello must match nothing.
    next_ticket: u64,
    down: Down,
    /// Counts what was refused, so that a broken agent does not fill the event table.
    troubles: u64,
    again: Again,
}

#[derive(Debug)]
enum Phase {
    /// Nothing counts before a hello.
    Waiting,
    /// The store is looking up what it holds of this epoch.
    Opening(upstream::Provenance, Box<Life>),
    Open(Box<Open>),
    Closed,
}

#[derive(Debug)]
struct Open {
    /// Words, if this agent's kind of data is not taken here.
    refused: Option<String>,
    lanes: Lanes,
    /// Of earlier epochs: those of the last recall.
    recalled: Vec<Lanes>,
    decoder: Decoder,
    /// None: nothing to acknowledge.
    ack_at: Option<Mono>,
    acked_at: Mono,
}

/// A message whose commit is on its way.
#[derive(Debug)]
struct Waiting {
    ticket: Ticket,
    epoch: Epoch,
    lane: Lane,
    receipt: Option<Receipt>,
    since: Mono,
    records: Vec<(Header, Record)>,
    /// What was new in it: [first, end).
    taken: Vec<(u64, u64)>,
}

impl Inbound {
    pub fn new(agent: AgentId, rules: Rules, now: Now) -> Self {
        Self {
            agent,
            rules,
            phase: Phase::Waiting,
            outputs: VecDeque::new(),
            heard: now.mono,
            pending: VecDeque::new(),
            connected: false,
            open_at: None,
            called_at: None,
            next_ticket: 0,
            down: Down::default(),
            troubles: 0,
            again: Again::default(),
        }
    }

    /// True between hello and end: what the unit was told is then taken back with [`News::Disconnected`].
    pub fn is_connected(&self) -> bool {
        self.connected
    }

    pub fn handle(&mut self, now: Now, input: Input) {
        match input {
            Input::Message { what, payload, receipt } => {
                self.heard = now.mono;
                self.message(now, what, payload, receipt);
            }
            Input::Opened { epoch, known, bed } => self.opened(now, epoch, known, bed),
            Input::Recalled(known) => self.recalled(known),
            Input::Committed(ticket, mark) => self.committed(now, ticket, mark),
            // Alarms and states are still shown (H12): what cannot be stored is no reason to look away from a bed.
            Input::LookupFailed if matches!(self.phase, Phase::Opening(..)) => {
                self.open_at = Some(now.mono + OPEN_AGAIN);
            }
            // A recall without an answer is made again.
            Input::LookupFailed => {}
            Input::CommitFailed(ticket) => self.not_committed(ticket),
            Input::Bed(bed) => self.bed_changed(now, bed),
            Input::Tended(tended) => self.down.take(now.mono, *tended),
            Input::Timeout => {}
        }
        self.on_time(now);
    }

    /// Drain to [`Output::Wait`] after every [`Self::handle`].
    pub fn poll(&mut self) -> Output {
        self.outputs.pop_front().unwrap_or_else(|| Output::Wait(self.deadline()))
    }

    /// True while the store owes the answer to a commit for longer than it ever should.
    pub fn is_stuck(&self, now: Mono) -> bool {
        self.pending.front().is_some_and(|oldest| now.since(oldest.since) > COMMIT_STUCK_AFTER)
    }

    /// The transport saw a sign of life that was no message.
    pub fn heard(&mut self, at: Mono) {
        self.heard = at;
    }

    fn deadline(&self) -> Mono {
        let silent = self.heard + SILENT_AFTER;
        match &self.phase {
            Phase::Open(open) => open.ack_at.unwrap_or(silent).min(self.down.deadline()).min(silent),
            _ => self.open_at.unwrap_or(silent).min(silent),
        }
    }

    fn on_time(&mut self, now: Now) {
        if now.mono.since(self.heard) >= SILENT_AFTER {
            self.close("nothing heard");
        }
        if let Phase::Opening(_, life) = &self.phase
            && self.open_at.is_some_and(|at| now.mono >= at)
        {
            self.open_at = None;
            self.outputs.push_back(Output::Open((**life).clone()));
        }
        self.say(now);
        let Phase::Open(open) = &mut self.phase else { return };
        if open.ack_at.is_some_and(|at| now.mono >= at) {
            open.ack_at = None;
            open.acked_at = now.mono;
            for lanes in std::iter::once(&mut open.lanes).chain(&mut open.recalled) {
                let moved = lanes.take_acks();
                if !moved.is_empty() {
                    self.outputs.push_back(ack(&self.rules, lanes.epoch(), moved));
                }
            }
        }
    }

    fn message(&mut self, now: Now, what: Upstream, payload: Bytes, receipt: Option<Receipt>) {
        if matches!(self.phase, Phase::Waiting) && what != Upstream::Hello {
            self.call(now);
        }
        match what {
            Upstream::Live(lane) => return self.blocks(now, lane, true, payload, receipt),
            Upstream::Backlog(lane) => return self.blocks(now, lane, false, payload, receipt),
            Upstream::Hello => match parse::<Hello>(&payload) {
                Some(hello) => self.hello(hello),
                None => self.trouble("malformed", "a hello that cannot be read"),
            },
            Upstream::Recall => match parse::<Recall>(&payload) {
                Some(recall) => self.recall(&recall),
                None => self.trouble("malformed", "a recall that cannot be read"),
            },
            Upstream::Announce => match parse::<Announce>(&payload) {
                Some(announce) if self.is_of_this_epoch(&announce.epoch) => {
                    self.show(News::Announce(announce))
                }
                Some(_) => {}
                None => self.trouble("malformed", "an announce that cannot be read"),
            },
            Upstream::Status => match parse::<Status>(&payload) {
                Some(status) if self.is_of_this_epoch(&status.epoch) => {
                    self.down.confirms(&status);
                    self.show(News::Status(status));
                }
                Some(_) => {}
                None => self.trouble("malformed", "a status that cannot be read"),
            },
            Upstream::Reply => match parse::<Reply>(&payload) {
                Some(reply) => self.show(News::Reply(reply)),
                None => self.trouble("malformed", "a reply that cannot be read"),
            },
        }
        // Nothing of these is stored: taking them is all.
        self.outputs.extend(receipt.map(Output::Receive));
    }

    /// Behind a broker an agent does not see that the hub was restarted: it is asked to say hello.
    fn call(&mut self, now: Now) {
        if self.called_at.is_none_or(|at| now.mono.since(at) >= ALIVE_EVERY) {
            self.called_at = Some(now.mono);
            self.outputs.push_back(Output::Send(Downstream::Alive, call(now)));
        }
    }

    fn hello(&mut self, hello: Hello) {
        if let Some(why) = rules::unfit(&hello, &self.agent) {
            self.trouble("hello-refused", why);
            return self.close(why);
        }
        let Some(life) = recall::present(&hello) else {
            return self.close("the epoch is not a number");
        };
        // A second hello starts over: the agent's epoch is another, or it wants to know what is held.
        let open = Output::Open(life.clone());
        // The unit is told before the store has answered: the way of an alarm waits for no disk.
        if rules::refused(hello.provenance, self.rules.accepts).is_none()
            && !std::mem::replace(&mut self.connected, true)
        {
            self.outputs.push_back(Output::Show(News::Connected));
        }
        self.open_at = None;
        self.phase = Phase::Opening(hello.provenance, Box::new(life));
        self.outputs.push_back(open);
    }

    fn opened(&mut self, now: Now, epoch: Epoch, known: Vec<Known>, bed: Option<String>) {
        let Phase::Opening(offered, life) = &self.phase else { return };
        // The answer to an earlier hello, overtaken by this one: what is held of another epoch says nothing of this.
        if life.epoch != epoch {
            return;
        }
        let refused = rules::refused(*offered, self.rules.accepts);
        let lanes = Lanes::new(life.epoch, known);
        let welcome = Welcome {
            wire: WIRE_VERSION,
            store: self.rules.store.to_string(),
            hub_wall_us: now.wall.0,
            bed: bed.clone(),
            acks: lanes.acks(),
            limits: None,
            refused: refused.clone(),
        };
        self.outputs.push_back(Output::Send(Downstream::Welcome, json(&welcome)));
        if let Some(words) = &refused {
            self.outputs.push_back(Output::Tell("provenance-refused", words.clone()));
        }
        if self.connected && refused.is_some() {
            self.outputs.push_back(Output::Show(News::Disconnected { why: "its data is not taken here" }));
        }
        self.connected = refused.is_none();
        self.down.hello(now.mono, bed);
        self.phase = Phase::Open(Box::new(Open {
            refused,
            lanes,
            recalled: Vec::new(),
            decoder: Decoder::new(),
            ack_at: None,
            acked_at: now.mono,
        }));
    }

    fn blocks(&mut self, now: Now, lane: Lane, live: bool, payload: Bytes, receipt: Option<Receipt>) {
        let refuse = |receipt: Option<Receipt>, why| receipt.map(|receipt| Output::Refuse(receipt, why));
        let Phase::Open(open) = &mut self.phase else {
            self.outputs.extend(refuse(receipt, Refusal::NotAllowed));
            return;
        };
        if open.refused.is_some() {
            self.outputs.extend(refuse(receipt, Refusal::NotAllowed));
            return;
        }
        let taken = split(&payload, lane, self.rules.accepts)
            .and_then(|(epoch, parts)| Ok((open.of(epoch, live)?, parts)));
        let (epoch, parts) = match taken {
            Ok(taken) => taken,
            Err((why, words)) => {
                self.outputs.extend(refuse(receipt, why));
                return self.trouble("block-refused", words);
            }
        };
        let Open { lanes, recalled, decoder, .. } = &mut **open;
        let Some(lanes) = std::iter::once(lanes).chain(recalled).find(|lanes| lanes.epoch() == epoch) else {
            return;
        };
        let mut intake = Intake::new(lanes.source(lane), &self.agent, now);
        let (mut taken, mut known) = (Vec::new(), 0);
        for part in parts {
            match lanes.take(lane, &part) {
                Taken::New => {
                    taken.push((part.header.seq, part.end));
                    intake.add(part, live, decoder);
                }
                Taken::Known => known += 1,
                Taken::Conflict => intake.conflicts.push(part),
                Taken::TooScattered => intake.scattered = true,
            }
        }
        let conflicts = intake.conflicts.len();
        let is_again = known > 0 && taken.is_empty() && conflicts == 0 && !intake.scattered;
        self.outputs.extend(intake.news.drain(..).map(Output::Show));
        if intake.scattered {
            // What was taken of the message is committed; the rest comes again.
            self.outputs.extend(refuse(receipt, Refusal::TooScattered));
        }
        let ticket = Ticket(self.next_ticket);
        self.next_ticket += 1;
        let receipt = receipt.filter(|_| !intake.scattered);
        self.pending.push_back(Waiting {
            ticket,
            epoch,
            lane,
            receipt,
            since: now.mono,
            records: intake.records.clone(),
            taken,
        });
        self.outputs.push_back(Output::Commit(ticket, intake.addition()));
        if conflicts > 0 {
            let words = format!("{conflicts} block(s) of lane {} came again with other content", lane.name());
            self.outputs.push_back(Output::Tell("identity-conflict", words));
        }
        if let Some(words) = is_again.then(|| self.again.came(now.mono)).flatten() {
            self.outputs.push_back(Output::Tell("delivered-again", words));
        }
    }

    fn committed(&mut self, now: Now, ticket: Ticket, mark: Watermark) {
        let Some(done) = self.pending.pop_front_if(|oldest| oldest.ticket == ticket) else { return };
        self.outputs.extend(done.receipt.map(Output::Receive));
        let held = done.records.into_iter().filter(|(header, _)| mark.has(header.seq));
        self.outputs.extend(held.map(|(header, record)| Output::Show(News::Record(header, record))));
        // While a second hello is looked up, its answer will hold this commit too.
        if let Phase::Open(open) = &mut self.phase
            && let Some(lanes) = open.lanes_of(done.epoch)
        {
            lanes.committed(done.lane, mark);
            open.ack_at.get_or_insert((open.acked_at + ACK_EVERY).max(now.mono));
        }
    }

    /// The conversation goes on, and what comes live is shown: the rows are not acknowledged, so they come again.
    fn not_committed(&mut self, ticket: Ticket) {
        let Some(failed) = self.pending.pop_front_if(|oldest| oldest.ticket == ticket) else { return };
        self.outputs.extend(failed.receipt.map(|receipt| Output::Refuse(receipt, Refusal::NotAllowed)));
        if let Phase::Open(open) = &mut self.phase
            && let Some(lanes) = open.lanes_of(failed.epoch)
        {
            lanes.not_committed(failed.lane, &failed.taken);
        }
    }

    fn bed_changed(&mut self, now: Now, bed: Option<String>) {
        self.down.serve(bed.clone());
        let Phase::Open(open) = &self.phase else { return };
        let welcome = Welcome {
            wire: WIRE_VERSION,
            store: self.rules.store.to_string(),
            hub_wall_us: now.wall.0,
            bed,
            acks: open.lanes.acks(),
            limits: None,
            refused: open.refused.clone(),
        };
        self.outputs.push_back(Output::Send(Downstream::Welcome, json(&welcome)));
    }

    fn is_of_this_epoch(&self, epoch: &str) -> bool {
        let present = match &self.phase {
            Phase::Open(open) => open.lanes.epoch(),
            Phase::Opening(_, life) => life.epoch,
            Phase::Waiting | Phase::Closed => return false,
        };
        self.connected && from_hex(epoch) == Some(present.0)
    }

    fn show(&mut self, news: News) {
        self.outputs.push_back(Output::Show(news));
    }

    fn trouble(&mut self, what: &'static str, words: &str) {
        if self.troubles.is_multiple_of(TELL_EVERY) {
            self.outputs.push_back(Output::Tell(what, words.to_owned()));
        }
        self.troubles += 1;
    }

    fn close(&mut self, why: &'static str) {
        if std::mem::take(&mut self.connected) {
            self.outputs.push_back(Output::Show(News::Disconnected { why }));
        }
        if !matches!(self.phase, Phase::Closed) {
            self.outputs.push_back(Output::Close(why));
        }
        self.phase = Phase::Closed;
    }
}

fn ack(rules: &Rules, epoch: Epoch, lanes: Vec<LaneAck>) -> Output {
    let ack = Ack { store: rules.store.to_string(), epoch: hex(epoch.0), lanes };
    Output::Send(Downstream::Ack, json(&ack))
}

/// A heartbeat of a hub that has not met the agent.
pub fn call(now: Now) -> Vec<u8> {
    json(&Alive { store: String::new(), hub_wall_us: now.wall.0, watch: None, stay: None })
}

fn parse<T: DeserializeOwned>(payload: &[u8]) -> Option<T> {
    serde_json::from_slice(payload).ok()
}

fn json(message: &impl Serialize) -> Vec<u8> {
    serde_json::to_vec(message).expect("wire messages have text keys and finite numbers only")
}

#[cfg(test)]
mod tests;
