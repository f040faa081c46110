//! A bad way between an agent and its hub: late, stalled, torn in the middle of a message, closed on one side, cut.

use anyhow::{Context, Result};
use cotside_simulators::newborn::Random;
use std::io::{Error, ErrorKind};
use std::net::{Ipv4Addr, SocketAddr};
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::{JoinHandle, JoinSet};

/// About as much as a router holds of one connection.
const PIECE_BYTES: usize = 4096;
/// Late pieces wait up to this long, each half for itself.
const LATE_MAX_S: f64 = 1.0;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Weather {
    Fair,
    /// Every piece comes in two halves, each up to a second late.
    Late,
    /// Connections are taken and stand; nothing passes.
    Stalled,
    /// Whoever speaks in this direction is not heard any more; the other direction stands.
    HalfClosed(Direction),
    /// Every connection is reset where it is, and none is taken.
    Cut,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Direction {
    ToHub,
    ToAgent,
}

impl Weather {
    /// Any but fair weather.
    pub fn foul(random: &mut Random) -> Self {
        match random.next() % 5 {
            0 => Self::Late,
            1 => Self::Stalled,
            2 => Self::HalfClosed(Direction::ToHub),
            3 => Self::HalfClosed(Direction::ToAgent),
            _ => Self::Cut,
        }
    }
}

/// Listens in the hub's stead. Dropping it resets what passes through it.
pub struct Proxy {
    pub address: SocketAddr,
    hub: watch::Sender<Option<SocketAddr>>,
    weather: watch::Sender<Weather>,
    task: JoinHandle<()>,
}

impl Proxy {
    /// A way that leads nowhere yet.
    pub async fn open(at: Ipv4Addr, seed: u64) -> Result<Self> {
        let listener = TcpListener::bind((at, 0)).await.context("no port for a proxy")?;
        let address = listener.local_addr()?;
        let (hub, leads_to) = watch::channel(None);
        let weather = watch::Sender::new(Weather::Fair);
        let task = tokio::spawn(serve(listener, leads_to, weather.subscribe(), Random::new(seed)));
        Ok(Self { address, hub, weather, task })
    }

    pub fn lead_to(&self, hub: SocketAddr) {
        self.hub.send_replace(Some(hub));
    }

    pub fn turn(&self, weather: Weather) {
        self.weather.send_replace(weather);
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn serve(
    listener: TcpListener,
    hub: watch::Receiver<Option<SocketAddr>>,
    weather: watch::Receiver<Weather>,
    mut random: Random,
) {
    let mut carried = JoinSet::new();
    loop {
        tokio::select! {
            Some(_) = carried.join_next(), if !carried.is_empty() => {}
            Ok((agent, _)) = listener.accept() => {
                let (leads_to, here, seed) = (*hub.borrow(), *weather.borrow(), random.next());
                if let (Some(leads_to), true) = (leads_to, here != Weather::Cut) {
                    let weather = weather.clone();
                    // Whatever ends a connection is what this is for.
                    carried.spawn(async move { drop(connection(agent, leads_to, weather, seed).await) });
                }
            }
        }
    }
}

async fn connection(
    agent: TcpStream,
    hub: SocketAddr,
    weather: watch::Receiver<Weather>,
    seed: u64,
) -> std::io::Result<()> {
    let hub = TcpStream::connect(hub).await?;
    for stream in [&agent, &hub] {
        stream.set_nodelay(true)?;
        // Closed without a farewell: what was not delivered by then never is.
        stream.set_zero_linger()?;
    }
    let ((from_agent, to_agent), (from_hub, to_hub)) = (agent.into_split(), hub.into_split());
    let mut until_cut = weather.clone();
    tokio::select! {
        up = carry(from_agent, to_hub, Direction::ToHub, weather.clone(), Random::new(seed)) => up,
        down = carry(from_hub, to_agent, Direction::ToAgent, weather, Random::new(!seed)) => down,
        _ = until_cut.wait_for(|weather| *weather == Weather::Cut) => Ok(()),
    }
}

/// Ends with the connection: a closed direction is held open by the other.
async fn carry(
    mut from: OwnedReadHalf,
    mut to: OwnedWriteHalf,
    direction: Direction,
    mut weather: watch::Receiver<Weather>,
    mut random: Random,
) -> std::io::Result<()> {
    let mut buffer = [0; PIECE_BYTES];
    let closed = Weather::HalfClosed(direction);
    loop {
        let read = tokio::select! {
            read = from.read(&mut buffer) => Some(read?),
            _ = weather.wait_for(|weather| *weather == closed) => None,
        };
        let Some(count) = read else {
            to.shutdown().await?;
            return std::future::pending().await;
        };
        if count == 0 {
            return Err(Error::from(ErrorKind::UnexpectedEof));
        }
        let (first, second) = buffer[..count].split_at(random.next() as usize % (count + 1));
        for half in [first, second] {
            let is_late = {
                let moves = weather.wait_for(|weather| *weather != Weather::Stalled).await;
                *moves.map_err(|_| Error::from(ErrorKind::BrokenPipe))? == Weather::Late
            };
            if is_late {
                tokio::time::sleep(Duration::from_secs_f64(random.between(0.0, LATE_MAX_S))).await;
            }
            to.write_all(half).await?;
        }
    }
}
