//! The hub's own MQTT listener: accepts, lets TLS decide who it is, and carries bytes and time to the endpoint.

use super::House;
use super::conversation::run::{Act, Answer, Conversation};
use super::door::{Door, Number, Verdict};
use super::endpoint::{self, Endpoint, Goodbye};
use super::inbound;
use super::quota::Quota;
use super::roll::{Claim, SeatNumber, Standing};
use crate::authority;
use crate::live::Live;
use crate::passed_time::PassedTime;
use crate::store::events::{self, Event};
use crate::store::{agents, marks};
use anyhow::{Context, Result, bail};
use cotside_protocol::model::Mono;
use cotside_protocol::wire::topic::AgentId;
use cotside_systemd::stages::{self, Stop};
use rustls::ServerConfig;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::{AbortHandle, JoinSet};
use tokio::time::{sleep, sleep_until, timeout};
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;

/// For the TLS handshake, and again for CONNECT.
const GREETING_WITHIN: Duration = Duration::from_secs(5);
/// An agent that takes nothing for this long is gone.
const WRITE_WITHIN: Duration = Duration::from_secs(5);
const READ_BYTES: usize = 16 * 1024;
/// How often a second connection asks whether the first is alive.
const ASK_EVERY: Duration = Duration::from_millis(100);
/// How often the register is read, so that the command line's changes take hold.
const RENEW_EVERY: Duration = Duration::from_secs(1);
/// How often the register is told who is connected, in renewals.
const HEARD_EVERY: u64 = 10;
/// What a busy accept (no more file descriptors) waits.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// A store that took everything for this long works again: one event for a disk that is full by fits and starts.
const STEADY: Duration = Duration::from_secs(10);

/// A time in which commits did not hold.
struct Failing {
    since: Mono,
    last: Mono,
}

/// Accepts agents until told to stop, then says goodbye to each.
pub async fn run(
    listener: TcpListener,
    tls: Arc<ServerConfig>,
    house: Arc<House>,
    mut stop: Stop,
) -> Result<()> {
    let acceptor = TlsAcceptor::from(tls);
    let mut connections = JoinSet::new();
    let door = Arc::<Mutex<Door<AbortHandle>>>::default();
    loop {
        tokio::select! {
            () = stop.requested() => break,
            Some(ended) = connections.join_next() => if let Err(error) = ended && error.is_panic() {
                tracing::error!("a connection panicked");
            },
            accepted = listener.accept() => match accepted {
                Ok((socket, peer)) => {
                    let (number, gone) = match open(&door).knock(peer.ip()) {
                        Verdict::Enter(number) => (number, None),
                        Verdict::Instead(number, gone) => (number, gone),
                        Verdict::Full => {
                            tracing::warn!(%peer, "too many strangers at the door");
                            continue;
                        }
                    };
                    if let Some(gone) = gone {
                        tracing::warn!(%peer, "a stranger of a crowd makes way");
                        gone.abort();
                    }
                    let stranger = Stranger { door: door.clone(), number };
                    let (acceptor, house, stop) = (acceptor.clone(), house.clone(), stop.clone());
                    let task = connections.spawn(async move {
                        match Box::pin(connection(socket, stranger, acceptor, house, stop)).await {
                            Ok((agent, why)) => tracing::info!(%agent, %peer, why, "agent disconnected"),
                            Err(error) => tracing::info!(%peer, error = format!("{error:#}"), "not an agent"),
                        }
                    });
                    open(&door).hold(number, task);
                }
                Err(error) => {
                    tracing::warn!(%error, "cannot accept");
                    sleep(ACCEPT_PAUSE).await;
                }
            }
        }
    }
    drop(listener);
    while connections.join_next().await.is_some() {}
    Ok(())
}

/// Keeps the roll in step with the store. Started before the listener, so that the first agent finds its name.
pub async fn renew(house: Arc<House>, live: Live, passed: Arc<PassedTime>, mut stop: Stop) -> Result<()> {
    let mut stored = true;
    let mut failing: Option<Failing> = None;
    let mut marked = Vec::new();
    let mut clock_trouble = None;
    for round in 0_u64.. {
        match house.store.read(|store| Ok((agents::all(store)?, marks::all(store)?))).await {
            Ok((agents, found)) => {
                house.roll().renew(agents);
                if marked != found {
                    live.marks(found.clone()).await?;
                    marked = found;
                }
            }
            Err(error) => tracing::error!(error = format!("{error:#}"), "the register cannot be read"),
        }
        if round % HEARD_EVERY == HEARD_EVERY - 1 {
            let connected: Vec<AgentId> = house.roll().connected().cloned().collect();
            let now = house.clock.now().wall;
            let told = house.store.submit(move |connection| {
                connected.iter().try_for_each(|agent| agents::heard(connection, agent, now))
            });
            if let Err(error) = told.await {
                tracing::error!(error = format!("{error:#}"), "the register cannot be written");
            }
        }
        if stored != house.stores() {
            stored = house.stores();
            live.store_ok(stored).await?;
        }
        if !stored {
            let now = house.clock.now();
            failing.get_or_insert(Failing { since: now.mono, last: now.mono }).last = now.mono;
        } else if let Some(over) =
            failing.take_if(|failing| house.clock.now().mono.since(failing.last) > STEADY)
        {
            let words = format!(
                "nothing was stored for {} s: {}. The screens went on; the gateways kept what they recorded and send it",
                over.last.since(over.since).as_secs() + RENEW_EVERY.as_secs(),
                house.trouble()
            );
            tracing::info!(words, "the store takes everything again");
            tell(&house, None, "store-failed", words).await;
        }
        let trouble = passed.trouble();
        if clock_trouble.is_some() != trouble.is_some() {
            let words =
                trouble.clone().unwrap_or_else(|| "the hub's clock agrees with its rows again".to_owned());
            tracing::error!(words, "clock");
            tell(&house, None, "hub-clock", words).await;
            live.clock_trouble(trouble.clone()).await?;
            clock_trouble = trouble;
        }
        for (agent, words) in live.clock_news().await? {
            tell(&house, Some(agent), "agent-clock", words).await;
        }
        // The store has answered and the unit's loop takes news: this hub lives.
        stages::still_alive();
        tokio::select! {
            () = stop.requested() => break,
            () = sleep(RENEW_EVERY) => {}
        }
    }
    Ok(())
}

async fn tell(house: &House, agent: Option<AgentId>, what: &'static str, detail: String) {
    let agent = agent.map(|agent| agent.to_string());
    let event = Event { at: house.clock.now().wall, agent, what: what.into(), detail };
    if let Err(error) = house.store.submit(move |connection| events::append(connection, &event)).await {
        tracing::error!(error = format!("{error:#}"), what, "an event cannot be written");
    }
}

/// One place at the door, until the agent has its seat or goes.
struct Stranger {
    door: Arc<Mutex<Door<AbortHandle>>>,
    number: Number,
}

impl Drop for Stranger {
    fn drop(&mut self) {
        open(&self.door).leave(self.number);
    }
}

/// Held for a look, never across an await.
fn open(door: &Mutex<Door<AbortHandle>>) -> MutexGuard<'_, Door<AbortHandle>> {
    door.lock().unwrap_or_else(PoisonError::into_inner)
}

/// One agent from handshake to end. An error: it never got as far as a name.
async fn connection(
    socket: TcpStream,
    stranger: Stranger,
    acceptor: TlsAcceptor,
    house: Arc<House>,
    stop: Stop,
) -> Result<(AgentId, &'static str)> {
    // A small answer must not wait for a bigger one.
    socket.set_nodelay(true)?;
    let stream =
        timeout(GREETING_WITHIN, acceptor.accept(socket)).await.context("no TLS handshake in time")??;
    let certificate = stream.get_ref().1.peer_certificates().and_then(<[_]>::first);
    let Some(agent) = certificate.and_then(authority::name_in) else {
        bail!("the certificate holds no agent's name");
    };
    let link = Link {
        endpoint: Endpoint::new(agent.clone()),
        stream,
        agent: agent.clone(),
        house,
        stranger: Some(stranger),
        seat: None,
    };
    let why = link.run(stop).await;
    Ok((agent, why))
}

struct Link {
    agent: AgentId,
    stream: TlsStream<TcpStream>,
    endpoint: Endpoint,
    house: Arc<House>,
    /// None: it has its seat.
    stranger: Option<Stranger>,
    seat: Option<SeatNumber>,
}

/// What woke the connection.
enum Woken {
    Read(std::io::Result<usize>),
    /// Of the store; None: there is something to say.
    Answer(Option<Answer>),
    Time,
    Stop,
}

impl Link {
    async fn run(mut self, mut stop: Stop) -> &'static str {
        let bed = self.house.roll().registered(&self.agent).flatten();
        let mut conversation = Conversation::new(self.agent.clone(), bed, self.house.clone());
        let why = match timeout(GREETING_WITHIN, self.greet(&mut conversation)).await {
            Ok(Ok(())) => self.talk(&mut conversation, &mut stop).await,
            Ok(Err(why)) => why,
            Err(_) => "no CONNECT in time",
        };
        conversation.end(why).await;
        if let Some(seat) = self.seat {
            self.house.roll().leave(&self.agent, seat);
        }
        // Tells the peer that nothing is cut off; whoever is gone already does not mind.
        let _ = timeout(WRITE_WITHIN, self.stream.shutdown()).await;
        why
    }

    /// Reads until the agent has its seat.
    async fn greet(&mut self, conversation: &mut Conversation) -> Result<(), &'static str> {
        let mut buffer = vec![0; READ_BYTES];
        let mut quota = Quota::new(self.now());
        while self.seat.is_none() {
            let count = self.stream.read(&mut buffer).await.map_err(|_| "the connection broke")?;
            if count == 0 {
                return Err("the connection ended");
            }
            let now = self.now();
            self.endpoint.handle(now, endpoint::Input::Received(&buffer[..count]));
            self.settle(conversation, &mut quota).await?;
        }
        Ok(())
    }

    async fn talk(&mut self, conversation: &mut Conversation, stop: &mut Stop) -> &'static str {
        let mut buffer = vec![0; READ_BYTES];
        let mut quota = Quota::new(self.now());
        let mut heard = self.now();
        let mut paused_until: Option<Mono> = None;
        loop {
            let wake_at = conversation.wake_at().min(self.endpoint_deadline()).min(self.now() + RENEW_EVERY);
            let woken = tokio::select! {
                read = self.stream.read(&mut buffer), if paused_until.is_none() => Woken::Read(read),
                answer = conversation.woken() => Woken::Answer(answer),
                () = sleep_until(self.house.clock.instant(paused_until.map_or(wake_at, |at| at.min(wake_at))).into()) => Woken::Time,
                () = stop.requested() => Woken::Stop,
            };
            let now = self.now();
            let mut acts = Vec::new();
            match woken {
                Woken::Read(Ok(0)) => return "the connection ended",
                Woken::Read(Err(_)) => return "the connection broke",
                Woken::Read(Ok(count)) => {
                    heard = now;
                    conversation.heard(now);
                    self.endpoint.handle(now, endpoint::Input::Received(&buffer[..count]));
                }
                Woken::Answer(Some(answer)) => {
                    conversation.answered(answer, &mut acts).await;
                    // What one commit answers goes out in one write.
                    while let Some(answer) = conversation.answer_at_hand() {
                        conversation.answered(answer, &mut acts).await;
                    }
                }
                Woken::Answer(None) => {}
                Woken::Time => {
                    paused_until = paused_until.filter(|until| *until > now);
                    self.endpoint.handle(now, endpoint::Input::Timeout);
                    conversation.handle(inbound::Input::Timeout, &mut acts).await;
                }
                Woken::Stop => self.endpoint.handle(now, endpoint::Input::Close(Goodbye::ShuttingDown)),
            }
            self.check_standing(conversation, heard, &mut acts).await;
            self.act(acts);
            match self.settle(conversation, &mut quota).await {
                Ok(pause) => paused_until = pause.or(paused_until),
                Err(why) => return why,
            }
        }
    }

    /// Does what endpoint and conversation ask for until both wait. Says until when to read nothing, or why it is over.
    async fn settle(
        &mut self,
        conversation: &mut Conversation,
        quota: &mut Quota,
    ) -> Result<Option<Mono>, &'static str> {
        let mut bytes = Vec::new();
        let mut pause = None;
        let mut over = None;
        loop {
            let mut acts = Vec::new();
            match self.endpoint.poll() {
                endpoint::Output::Wait => break,
                endpoint::Output::Transmit(packet) => bytes.extend(packet),
                endpoint::Output::Claim => {
                    let answer = self.claim(conversation).await;
                    let now = self.now();
                    self.endpoint.handle(now, answer);
                }
                endpoint::Output::Message { what, payload, receipt } => {
                    pause = quota.spend(self.now(), payload.len()).or(pause);
                    conversation.handle(inbound::Input::Message { what, payload, receipt }, &mut acts).await;
                }
                endpoint::Output::Tell(what, detail) => conversation.tell(what, detail).await,
                endpoint::Output::Closed(why) => over = Some(why),
            }
            self.act(acts);
        }
        if !bytes.is_empty() {
            let written = timeout(WRITE_WITHIN, async {
                self.stream.write_all(&bytes).await?;
                self.stream.flush().await
            });
            match written.await {
                Ok(Ok(())) => {}
                Ok(Err(_)) => return Err(over.unwrap_or("the connection broke")),
                Err(_) => return Err(over.unwrap_or("the agent takes nothing any more")),
            }
        }
        over.map_or(Ok(pause), Err)
    }

    fn act(&mut self, acts: Vec<Act>) {
        let now = self.now();
        for act in acts {
            let input = match act {
                Act::Send(what, payload) => endpoint::Input::Send(what, payload),
                Act::Acknowledge(receipt) => endpoint::Input::Acknowledge(receipt),
                Act::Refuse(receipt, refusal) => endpoint::Input::Refuse(receipt, refusal),
                Act::Close(_) => endpoint::Input::Close(Goodbye::Unspecified),
            };
            self.endpoint.handle(now, input);
        }
    }

    async fn claim(&mut self, conversation: &mut Conversation) -> endpoint::Input<'static> {
        let since = self.now();
        loop {
            let claim = self.house.roll().claim(&self.agent, since, self.now());
            match claim {
                Claim::Granted(seat) => {
                    self.seat = Some(seat);
                    self.stranger = None;
                    return endpoint::Input::Granted;
                }
                Claim::Wait => sleep(ASK_EVERY).await,
                Claim::Taken => {
                    let words = "another connection of this name is alive: two gateways share one identity";
                    conversation.tell("second-connection", words.to_owned()).await;
                    return endpoint::Input::Taken;
                }
                Claim::Unknown => {
                    conversation
                        .tell("identity-refused", "it is not enrolled, or was revoked".to_owned())
                        .await;
                    return endpoint::Input::Taken;
                }
            }
        }
    }

    async fn check_standing(&mut self, conversation: &mut Conversation, heard: Mono, acts: &mut Vec<Act>) {
        let Some(seat) = self.seat else { return };
        let standing = self.house.roll().standing(&self.agent, seat, heard);
        let goodbye = match standing {
            Standing::Good { bed } => return conversation.bed_is(bed, acts).await,
            Standing::Revoked => Goodbye::Revoked,
            Standing::TakenOver => Goodbye::TakenOver,
        };
        let now = self.now();
        self.endpoint.handle(now, endpoint::Input::Close(goodbye));
    }

    fn endpoint_deadline(&self) -> Mono {
        self.endpoint.deadline().unwrap_or(Mono(u64::MAX))
    }

    fn now(&self) -> Mono {
        self.house.clock.now().mono
    }
}
