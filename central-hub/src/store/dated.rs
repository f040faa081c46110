//! When was a record made whose gateway did not know the time yet?
//!
//! A gateway without a battery-backed clock dates by the last moment it knows until its clock is set; its `clock-step` record then says
//! by how much that was wrong. What it recorded before, in the same life and lane, is found at the corrected time and at the bed
//! served then, in whatever order the records come. The record itself stays as it was written.

use super::blocks::{Source, bed_at};
use cotside_protocol::model::Wall;
use cotside_protocol::wire::topic::AgentId;
use rusqlite::{Connection, params};

/// How far back in the order of arrival a life's earlier records are looked for: its clock is set within minutes of its start.
const ROWS_BACK: i64 = 20_000;

/// Microseconds by which the date of this record was wrong, as far as is known.
pub(super) fn shift(connection: &Connection, source: Source, seq: u64) -> rusqlite::Result<i64> {
    connection
        .prepare_cached(
            // In floating point, which no numbers make fail, and which is exact for some centuries.
            "SELECT CAST(total(json_extract(json, '$.after_us') - json_extract(json, '$.before_us')) AS INTEGER) FROM records
             WHERE type = 'clock-step' AND source = ?1 AND seq > ?2 AND json_extract(json, '$.was_unset')",
        )?
        .query_row(params![source.0, seq.cast_signed()], |row| row.get(0))
}

/// A `clock-step` record of this seq has just been kept: dates anew what came before it.
pub(super) fn date_anew(
    connection: &Connection,
    agent: &AgentId,
    source: Source,
    seq: u64,
) -> rusqlite::Result<()> {
    let by =
        shift(connection, source, seq.saturating_sub(1))?.saturating_sub(shift(connection, source, seq)?);
    if by == 0 {
        return Ok(());
    }
    let mut question = connection.prepare_cached(
        "SELECT id, at_us FROM records
         WHERE id > (SELECT coalesce(max(id), 0) FROM records) - ?3 AND source = ?1 AND seq < ?2",
    )?;
    let rows = question
        .query_map(params![source.0, seq.cast_signed(), ROWS_BACK], |row| Ok((row.get(0)?, row.get(1)?)))?;
    for (id, at) in rows.collect::<rusqlite::Result<Vec<(i64, i64)>>>()? {
        let at = Wall(at.saturating_add(by));
        let bed = bed_at(connection, agent, at)?;
        connection
            .prepare_cached("UPDATE records SET at_us = ?2, bed = ?3 WHERE id = ?1")?
            .execute(params![id, at.0, bed])?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use crate::store::blocks::{Addition, RecordRow, Row, append};
    use crate::store::lives::{Life, meet};
    use crate::store::{agents, schema};
    use bytes::Bytes;
    use cotside_protocol::model::Wall;
    use cotside_protocol::wire::block::Epoch;
    use cotside_protocol::wire::topic::AgentId;
    use proptest::prelude::*;
    use rusqlite::Connection;

    /// By the gateway's guess, what was recorded before its clock was set lies two hours too early.
    const GUESSED: i64 = 1_000_000;
    const BY: i64 = 7_200_000_000;

    fn record(seq: u64) -> RecordRow {
        let (kind, at, json) = match seq {
            5 => {
                let json = format!(r#"{{"before_us":5,"after_us":{},"was_unset":true}}"#, 5 + BY);
                ("clock-step", GUESSED + BY + 5, json)
            }
            // Set by hand later: what came before it was dated by a clock that somebody believed.
            8 => (
                "clock-step",
                GUESSED + BY,
                r#"{"before_us":0,"after_us":60000000,"was_unset":false}"#.to_owned(),
            ),
            seq if seq < 5 => ("alarm", GUESSED + seq.cast_signed(), "{}".to_owned()),
            seq => ("alarm", GUESSED + BY + seq.cast_signed(), "{}".to_owned()),
        };
        RecordRow { seq, at: Wall(at), kind, episode: None, json }
    }

    fn kept(messages: &[Vec<u64>]) -> Vec<(i64, i64, Option<String>)> {
        let store = Connection::open_in_memory().unwrap();
        schema::migrate(&store).unwrap();
        let agent = AgentId::new("gw-01").unwrap();
        store.execute("INSERT INTO agents(id) VALUES('gw-01')", []).unwrap();
        // It was moved to another bed while it was off.
        agents::assign(&store, &agent, "01", Wall(0)).unwrap();
        agents::assign(&store, &agent, "02", Wall(GUESSED + BY / 2)).unwrap();
        let known = meet(&store, &agent, &Life::new(Epoch(7), None), Wall(0)).unwrap().known;
        for seqs in messages {
            let row =
                |&seq: &u64| Row { seq, end: seq + 1, begin: Wall(0), bytes: Bytes::from_static(b"block") };
            let addition = Addition {
                source: known[0].source,
                agent: agent.clone(),
                blocks: seqs.iter().map(row).collect(),
                records: seqs.iter().map(|seq| record(*seq)).collect(),
                conflicts: Vec::new(),
                at: Wall(0),
            };
            append(&store, &addition).unwrap();
        }
        let mut question = store.prepare("SELECT seq, at_us, bed FROM records ORDER BY seq").unwrap();
        let rows = question.query_map([], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?))).unwrap();
        rows.collect::<Result<_, _>>().unwrap()
    }

    #[test]
    fn a_step_of_any_size_at_all_is_kept() {
        let json = format!(r#"{{"before_us":{},"after_us":{},"was_unset":true}}"#, i64::MIN, i64::MAX);
        let step = RecordRow { seq: 1, at: Wall(i64::MAX), kind: "clock-step", episode: None, json };
        let store = Connection::open_in_memory().unwrap();
        schema::migrate(&store).unwrap();
        let agent = AgentId::new("gw-01").unwrap();
        let known = meet(&store, &agent, &Life::new(Epoch(7), None), Wall(0)).unwrap().known;
        for (seq, records) in [(0, vec![record(0)]), (1, vec![step.clone(), step]), (2, vec![record(2)])] {
            let row = Row { seq, end: seq + 1, begin: Wall(0), bytes: Bytes::from_static(b"block") };
            let (source, at) = (known[0].source, Wall(0));
            let addition = Addition {
                source,
                agent: agent.clone(),
                blocks: vec![row],
                records,
                conflicts: Vec::new(),
                at,
            };
            append(&store, &addition).unwrap();
        }
    }

    proptest! {
        #[test]
        fn h2_what_was_recorded_before_the_clock_was_set_is_found_where_it_happened_in_whatever_order_it_comes(
            order in Just((0..10u64).collect::<Vec<_>>()).prop_shuffle(),
            size in 1usize..10,
        ) {
            let messages: Vec<Vec<u64>> = order.chunks(size).map(<[u64]>::to_vec).collect();
            let rows = kept(&messages);
            prop_assert_eq!(rows.len(), 10);
            for (seq, at, bed) in rows {
                prop_assert_eq!(bed.as_deref(), Some("02"), "seq {}", seq);
                if seq < 5 {
                    prop_assert_eq!(at, GUESSED + BY + seq);
                }
            }
        }
    }
}
