//! Which epochs has an agent's log had, do they form one chain, and is what this store once confirmed still here?
//!
//! Every start of an agent begins an epoch that names the one before it. Two epochs that name the same one, or one that speaks
//! again after another had spoken, mean that the log was set back or that two gateways use one identity.

use super::blocks::{self, Known, Source};
use super::events::Event;
use super::{marks, schema};
use cotside_protocol::model::Wall;
use cotside_protocol::wire::block::Epoch;
use cotside_protocol::wire::convert::hex;
use cotside_protocol::wire::topic::{AgentId, Lane};
use cotside_protocol::wire::upstream::LaneSeqs;
use rusqlite::{Connection, OptionalExtension, params};

/// What an agent says of one epoch of its log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Life {
    pub epoch: Epoch,
    /// None as well for an epoch that is no link of the chain.
    pub predecessor: Option<Epoch>,
    /// Where it begins in each lane.
    pub first: LaneSeqs,
    /// Below this the store of that name has confirmed everything.
    pub confirmed: LaneSeqs,
    pub confirmed_by: Option<String>,
    /// It is the one that is being written, and not an earlier one that is recalled.
    pub is_present: bool,
    /// What is held of it may be of another origin: repetitions are compared by content.
    pub is_disputed: bool,
}

impl Life {
    /// A present epoch that begins at zero, of which nothing is confirmed yet.
    pub fn new(epoch: Epoch, predecessor: Option<Epoch>) -> Self {
        Self {
            epoch,
            predecessor,
            first: LaneSeqs::default(),
            confirmed: LaneSeqs::default(),
            confirmed_by: None,
            is_present: true,
            is_disputed: false,
        }
    }
}

/// An epoch as it was found or made.
#[derive(Clone, Debug)]
pub struct Met {
    pub epoch: Epoch,
    pub known: Vec<Known>,
    /// What a person should know; it is written down already.
    pub noticed: Vec<Event>,
}

/// Takes note of an epoch: its three lanes, made at first contact, and what is odd about it.
pub fn meet(connection: &Connection, agent: &AgentId, life: &Life, now: Wall) -> rusqlite::Result<Met> {
    let (known, is_new) = lanes(connection, agent, life, now)?;
    let mut odd = Vec::new();
    if is_new && let Some(words) = fork(connection, agent, life)? {
        odd.push(("identity-conflict", words));
    }
    if life.is_present && greet(connection, agent, life.epoch)? && !is_new {
        let words = format!("epoch {} speaks again after a later one had spoken", hex(life.epoch.0));
        odd.push(("identity-conflict", words));
    }
    if let Some(by) = &life.confirmed_by
        && let Some(missing) = missing(&known, life)
    {
        let is_ours = *by == schema::store_id(connection)?;
        let what = if is_ours { "store-set-back" } else { "store-changed" };
        odd.push((
            what,
            format!("of epoch {} it lacks {missing} that store {by} had confirmed", hex(life.epoch.0)),
        ));
    }
    let mut noticed = Vec::new();
    for (what, detail) in odd {
        let event = Event { at: now, agent: Some(agent.to_string()), what: what.into(), detail };
        marks::note(connection, &event)?;
        noticed.push(event);
    }
    Ok(Met { epoch: life.epoch, known, noticed })
}

/// True beside them: nothing was known of this epoch.
fn lanes(
    connection: &Connection,
    agent: &AgentId,
    life: &Life,
    now: Wall,
) -> rusqlite::Result<(Vec<Known>, bool)> {
    let mut is_new = false;
    let mut known = Vec::new();
    for lane in Lane::ALL {
        let first = life.first.of(lane).cast_signed();
        let made = connection
            .prepare_cached(
                "INSERT INTO sources(agent, epoch, lane, predecessor, first_us, first, below)
                 VALUES(?1, ?2, ?3, ?4, ?5, ?6, ?6) ON CONFLICT DO NOTHING",
            )?
            .execute(params![
                agent.as_str(),
                life.epoch.0.cast_signed(),
                blocks::number(lane),
                life.predecessor.map(|epoch| epoch.0.cast_signed()),
                now.0,
                first
            ])?;
        is_new |= made > 0;
        let source = connection
            .prepare_cached("SELECT id FROM sources WHERE agent = ?1 AND epoch = ?2 AND lane = ?3")?
            .query_row(params![agent.as_str(), life.epoch.0.cast_signed(), blocks::number(lane)], |row| {
                row.get(0).map(Source)
            })?;
        let mark = blocks::watermark(connection, source)?;
        known.push(Known { source, lane, mark, digests: Vec::new() });
    }
    Ok((known, is_new))
}

fn fork(connection: &Connection, agent: &AgentId, life: &Life) -> rusqlite::Result<Option<String>> {
    let Some(predecessor) = life.predecessor else { return Ok(None) };
    let other: Option<i64> = connection
        .prepare_cached(
            "SELECT epoch FROM sources WHERE agent = ?1 AND predecessor = ?2 AND epoch <> ?3 AND lane = 0 LIMIT 1",
        )?
        .query_row(
            params![agent.as_str(), predecessor.0.cast_signed(), life.epoch.0.cast_signed()],
            |row| row.get(0),
        )
        .optional()?;
    Ok(other.map(|other| {
        format!(
            "epochs {} and {} both follow {}: the log was set back, or a second gateway has this identity",
            hex(other.cast_unsigned()),
            hex(life.epoch.0),
            hex(predecessor.0)
        )
    }))
}

/// Notes which epoch the agent's present one is. True: it was another.
fn greet(connection: &Connection, agent: &AgentId, epoch: Epoch) -> rusqlite::Result<bool> {
    let last: Option<i64> = connection
        .prepare_cached("SELECT epoch FROM greetings WHERE agent = ?1")?
        .query_row([agent.as_str()], |row| row.get(0))
        .optional()?;
    if last == Some(epoch.0.cast_signed()) {
        return Ok(false);
    }
    connection
        .prepare_cached(
            "INSERT INTO greetings VALUES(?1, ?2) ON CONFLICT(agent) DO UPDATE SET epoch = excluded.epoch",
        )?
        .execute(params![agent.as_str(), epoch.0.cast_signed()])?;
    Ok(last.is_some())
}

/// How many rows of which lanes were confirmed and are not here.
fn missing(known: &[Known], life: &Life) -> Option<String> {
    let lacks = known.iter().filter_map(|known| {
        let confirmed = life.confirmed.of(known.lane);
        let count = confirmed.saturating_sub(known.mark.count_below(confirmed));
        (count > 0).then(|| format!("{count} {} row(s)", known.lane.name()))
    });
    let lacks: Vec<String> = lacks.collect();
    (!lacks.is_empty()).then(|| lacks.join(", "))
}
