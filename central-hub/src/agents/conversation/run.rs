//! Carries one agent's [`Inbound`] between its transport, the store and the unit. It decides nothing.

use crate::agents::House;
use crate::agents::inbound::{Inbound, Input, Output, Receipt, Refusal, Ticket};
use crate::agents::tended::Tended;
use crate::feed::Item;
use crate::store::blocks;
use crate::store::events::Event;
use crate::store::lives::{self, Life, Met};
use crate::store::marks;
use anyhow::{Context as _, Result};
use cotside_protocol::model::Mono;
use cotside_protocol::wire::topic::{AgentId, Downstream};
use cotside_protocol::wire::watermark::Watermark;
use futures_util::future::BoxFuture;
use futures_util::stream::FuturesOrdered;
use futures_util::{FutureExt as _, StreamExt as _};
use rusqlite::Connection;
use std::sync::Arc;
use tokio::sync::watch;

pub struct Conversation {
    agent: AgentId,
    bed: Option<String>,
    inbound: Inbound,
    /// What the store still has to answer, in the order asked.
    answers: FuturesOrdered<BoxFuture<'static, Answer>>,
    /// What is to be said at the bed; None: it serves none.
    tended: Option<watch::Receiver<Tended>>,
    house: Arc<House>,
    wake_at: Mono,
}

/// What the transport has to do.
#[derive(Debug)]
pub enum Act {
    Send(Downstream, Vec<u8>),
    Acknowledge(Receipt),
    Refuse(Receipt, Refusal),
    Close(&'static str),
}

#[derive(Debug)]
pub enum Answer {
    Opened(Result<Met>),
    Recalled(Result<Vec<Met>>),
    Committed(Ticket, Result<Watermark>),
}

impl Conversation {
    pub fn new(agent: AgentId, bed: Option<String>, house: Arc<House>) -> Self {
        let now = house.clock.now();
        let inbound = Inbound::new(agent.clone(), house.rules.clone(), now);
        let tended = bed.as_deref().map(|bed| house.tending.follow(bed));
        let answers = FuturesOrdered::new();
        Self { agent, bed, inbound, answers, tended, house, wake_at: now.mono }
    }

    /// When to come back with [`Input::Timeout`].
    pub fn wake_at(&self) -> Mono {
        self.wake_at
    }

    pub fn heard(&mut self, at: Mono) {
        self.inbound.heard(at);
    }

    /// True while the store owes an answer.
    pub fn is_waiting(&self) -> bool {
        !self.answers.is_empty()
    }

    /// The store's next answer. Call only while [`Self::is_waiting`]. Nothing is lost if this is dropped before it resolves.
    pub async fn answer(&mut self) -> Option<Answer> {
        self.answers.next().await
    }

    /// An answer that is there already.
    pub fn answer_at_hand(&mut self) -> Option<Answer> {
        self.answers.next().now_or_never().flatten()
    }

    pub async fn answered(&mut self, answer: Answer, acts: &mut Vec<Act>) {
        if matches!(answer, Answer::Opened(Ok(_)) | Answer::Recalled(Ok(_)) | Answer::Committed(_, Ok(_))) {
            self.house.stored();
        }
        let told = |error: anyhow::Error| {
            let error = format!("{error:#}");
            // Once: every row that comes until it can again says the same.
            match self.house.not_stored(&error) {
                true => tracing::error!(agent = %self.agent, error, "nothing can be stored"),
                false => tracing::debug!(agent = %self.agent, error, "nothing can be stored"),
            }
        };
        let input = match answer {
            Answer::Opened(Ok(met)) => {
                self.house.log(&met.noticed);
                Input::Opened { epoch: met.epoch, known: met.known, bed: self.bed.clone() }
            }
            Answer::Recalled(Ok(met)) => {
                met.iter().for_each(|met| self.house.log(&met.noticed));
                Input::Recalled(met.into_iter().map(|met| (met.epoch, met.known)).collect())
            }
            Answer::Committed(ticket, Ok(mark)) => Input::Committed(ticket, mark),
            Answer::Opened(Err(error)) | Answer::Recalled(Err(error)) => {
                told(error);
                Input::LookupFailed
            }
            Answer::Committed(ticket, Err(error)) => {
                told(error);
                Input::CommitFailed(ticket)
            }
        };
        self.handle(input, acts).await;
    }

    pub async fn bed_is(&mut self, bed: Option<String>, acts: &mut Vec<Act>) {
        if self.bed != bed {
            self.bed.clone_from(&bed);
            self.tended = bed.as_deref().map(|bed| self.house.tending.follow(bed));
            self.handle(Input::Bed(bed), acts).await;
        }
        self.say(acts).await;
    }

    /// The store's next answer, or None when there is something else to be said at the bed. Nothing is lost if this is dropped.
    pub async fn woken(&mut self) -> Option<Answer> {
        let (answers, tended) = (&mut self.answers, &mut self.tended);
        let is_waiting = !answers.is_empty();
        let changed = async {
            match tended {
                // An error cannot be: the hub holds the sender as long as this.
                Some(tended) => {
                    let _ = tended.changed().await;
                    // Seen by [`Self::say`] alone.
                    tended.mark_changed();
                }
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            answer = answers.next(), if is_waiting => answer,
            () = changed => None,
        }
    }

    /// Hands on what is to be said at the bed, if it is news.
    pub async fn say(&mut self, acts: &mut Vec<Act>) {
        let Some(following) = &mut self.tended else { return };
        if following.has_changed().unwrap_or(false) {
            let tended = following.borrow_and_update().clone();
            self.handle(Input::Tended(Box::new(tended)), acts).await;
        }
    }

    /// One input, then everything that follows from it.
    pub async fn handle(&mut self, input: Input, acts: &mut Vec<Act>) {
        self.inbound.handle(self.house.clock.now(), input);
        loop {
            match self.inbound.poll() {
                Output::Wait(at) => {
                    if self.inbound.is_stuck(self.house.clock.now().mono) {
                        self.house.not_stored("a commit takes too long");
                    }
                    self.wake_at = at;
                    return;
                }
                Output::Show(what) => self.show(what).await,
                Output::Open(life) => {
                    let met = self.meet(vec![life]).await;
                    self.answers.push_back(Box::pin(async move {
                        let met = met.await.and_then(|met| met.into_iter().next().context("no epoch"));
                        Answer::Opened(met)
                    }));
                }
                Output::Recall(lives) => {
                    let met = self.meet(lives).await;
                    self.answers.push_back(Box::pin(async move { Answer::Recalled(met.await) }));
                }
                Output::Commit(ticket, addition) => {
                    let bytes = addition.blocks.iter().map(|row| row.bytes.len()).sum();
                    let append = move |connection: &_| blocks::append(connection, &addition);
                    let pending = self.house.store.submit_bytes(bytes, append).await;
                    self.answers.push_back(Box::pin(async move {
                        Answer::Committed(
                            ticket,
                            match pending {
                                Ok(pending) => pending.committed().await,
                                Err(error) => Err(error),
                            },
                        )
                    }));
                }
                Output::Tell(what, detail) => self.tell(what, detail).await,
                Output::Send(what, payload) => acts.push(Act::Send(what, payload)),
                Output::Receive(receipt) => acts.push(Act::Acknowledge(receipt)),
                Output::Refuse(receipt, refusal) => acts.push(Act::Refuse(receipt, refusal)),
                Output::Close(why) => acts.push(Act::Close(why)),
            }
        }
    }

    /// Queues the look-up; its answer comes with the commit.
    async fn meet(&mut self, lives: Vec<Life>) -> BoxFuture<'static, Result<Vec<Met>>> {
        let (agent, now) = (self.agent.clone(), self.house.clock.now().wall);
        // Of an epoch that is being written, or in doubt, a repetition is compared with what came before.
        let compared: Vec<bool> = lives.iter().map(|life| life.is_present || life.is_disputed).collect();
        let meet = move |connection: &Connection| {
            lives.iter().map(|life| lives::meet(connection, &agent, life, now)).collect()
        };
        let pending = self.house.store.submit(meet).await;
        let house = self.house.clone();
        Box::pin(async move {
            let mut met: Vec<Met> = pending?.committed().await?;
            for (met, _) in met.iter_mut().zip(compared).filter(|(_, compared)| *compared) {
                let known = std::mem::take(&mut met.known);
                met.known = house.recent.complete(&house.store, known).await?;
            }
            Ok(met)
        })
    }

    /// The transport ended: the unit is told, once.
    pub async fn end(&mut self, why: &'static str) {
        if self.inbound.is_connected() {
            self.show(crate::feed::News::Disconnected { why }).await;
        }
    }

    /// Writes an event and logs it.
    pub async fn tell(&mut self, what: &'static str, detail: String) {
        self.house.tell(Some(&self.agent), what, detail).await;
    }

    async fn show(&mut self, what: crate::feed::News) {
        if let crate::feed::News::Status(status) = &what {
            self.house.holds(&self.agent, status);
        }
        if let Some(bed) = &self.bed {
            self.house.ears.hear(bed, &what);
        }
        let item = Item { agent: self.agent.clone(), bed: self.bed.clone(), what };
        // The unit is gone only when the hub stops; what matters is then in the store.
        let _ = self.house.feed.send(item).await;
    }
}

impl House {
    /// Writes an event and logs it.
    pub async fn tell(&self, agent: Option<&AgentId>, what: &'static str, detail: String) {
        let name = agent.map(ToString::to_string);
        let event = Event { at: self.clock.now().wall, agent: name, what: what.into(), detail };
        self.log(std::slice::from_ref(&event));
        // Not waited for: it is queued in order, and a store in trouble says so itself.
        let _ = self.store.submit(move |connection| marks::note(connection, &event)).await;
    }

    fn log(&self, events: &[Event]) {
        for Event { agent, what, detail, .. } in events {
            tracing::warn!(agent, what = what.as_ref(), detail, "noticed");
        }
    }
}
