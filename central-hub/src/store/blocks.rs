//! Which blocks are there, and how far has each lane of each log come?

use super::dated;
use bytes::Bytes;
use cotside_protocol::model::Wall;
use cotside_protocol::wire::topic::{AgentId, Lane};
use cotside_protocol::wire::watermark::Watermark;
use rusqlite::{Connection, OptionalExtension, params};
use std::collections::HashMap;

/// Names one lane of one life of one agent's log.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Source(pub i64);

/// A source as it was found or made.
#[derive(Clone, Debug)]
pub struct Known {
    pub source: Source,
    pub lane: Lane,
    pub mark: Watermark,
    /// Checksums of the newest blocks, to tell a repetition from an impostor.
    pub digests: Vec<(u64, u32)>,
}

/// How far back in the order of arrival the newest blocks are looked for.
const DIGEST_ROWS: i64 = 20_000;

/// What one message adds.
#[derive(Clone, Debug)]
pub struct Addition {
    pub source: Source,
    pub agent: AgentId,
    pub blocks: Vec<Row>,
    pub records: Vec<RecordRow>,
    pub conflicts: Vec<Row>,
    pub at: Wall,
}

#[derive(Clone, Debug)]
pub struct Row {
    pub seq: u64,
    /// One past the last seq it stands for.
    pub end: u64,
    pub begin: Wall,
    pub bytes: Bytes,
}

#[derive(Clone, Debug)]
pub struct RecordRow {
    pub seq: u64,
    pub at: Wall,
    pub kind: &'static str,
    pub episode: Option<String>,
    pub json: String,
}

/// What is known of however many agents' epochs, with the checksums of the newest blocks. Reads some megabytes: not for the writer.
pub fn with_digests(connection: &Connection, mut known: Vec<Known>) -> rusqlite::Result<Vec<Known>> {
    let mut question = connection.prepare_cached(
        "SELECT source, seq, substr(bytes, -4) FROM blocks
         WHERE id > (SELECT coalesce(max(id), 0) FROM blocks) - ?1 AND source BETWEEN ?2 AND ?3 ORDER BY id",
    )?;
    let sources = || known.iter().map(|known| known.source.0);
    // The lanes of an epoch are made together, so nearly nothing else lies between them.
    let (first, last) = (sources().min().unwrap_or(0), sources().max().unwrap_or(0));
    // Two connections of one agent may ask at once.
    let mut places: HashMap<Source, Vec<usize>> = HashMap::new();
    for (at, known) in known.iter().enumerate() {
        places.entry(known.source).or_default().push(at);
    }
    let mut rows = question.query(params![DIGEST_ROWS, first, last])?;
    while let Some(row) = rows.next()? {
        for &at in places.get(&Source(row.get(0)?)).into_iter().flatten() {
            let seq = row.get::<_, i64>(1)?.cast_unsigned();
            known[at].digests.push((seq, digest(row.get_ref(2)?.as_blob()?)));
        }
    }
    Ok(known)
}

/// A block ends in its own CRC32C: two blocks of one key are the same if these agree.
pub fn digest(block: &[u8]) -> u32 {
    block.last_chunk().map_or(0, |tail| u32::from_le_bytes(*tail))
}

/// Appends what of a message is new, moves the watermark in the same transaction, and returns it: what it says is held.
///
/// The watermark is read here and not taken from the caller, so that a commit that failed before this one leaves no hole
/// that counts as filled.
pub fn append(connection: &Connection, addition: &Addition) -> rusqlite::Result<Watermark> {
    let source = addition.source;
    let mut mark = watermark(connection, source)?;
    let mut moved = false;
    for row in &addition.blocks {
        if mark.has_all(row.seq, row.end) || mark.insert_bounded(row.seq, row.end).is_err() {
            continue;
        }
        moved = true;
        connection
            .prepare_cached("INSERT INTO blocks(source, seq, begin_us, bytes) VALUES(?1, ?2, ?3, ?4)")?
            .execute(params![source.0, row.seq.cast_signed(), row.begin.0, &row.bytes[..]])?;
        for record in addition.records.iter().filter(|record| record.seq == row.seq) {
            append_record(connection, addition, record)?;
        }
    }
    for row in &addition.conflicts {
        connection
            .prepare_cached("INSERT INTO conflicts(source, seq, at_us, bytes) VALUES(?1, ?2, ?3, ?4)")?
            .execute(params![source.0, row.seq.cast_signed(), addition.at.0, &row.bytes[..]])?;
    }
    if moved {
        connection
            .prepare_cached("UPDATE sources SET below = ?2, ranges = ?3 WHERE id = ?1")?
            .execute(params![source.0, mark.below().cast_signed(), mark.ranges_to_bytes()])?;
    }
    Ok(mark)
}

fn append_record(connection: &Connection, addition: &Addition, record: &RecordRow) -> rusqlite::Result<()> {
    let shift = dated::shift(connection, addition.source, record.seq)?;
    let at = Wall(record.at.0.saturating_add(shift));
    let bed = bed_at(connection, &addition.agent, at)?;
    connection
        .prepare_cached(
            "INSERT INTO records(source, seq, bed, at_us, type, episode, json) VALUES(?1, ?2, ?3, ?4, ?5, ?6, ?7)",
        )?
        .execute(params![
            addition.source.0,
            record.seq.cast_signed(),
            bed,
            at.0,
            record.kind,
            record.episode,
            record.json
        ])?;
    if record.kind == "clock-step" {
        dated::date_anew(connection, &addition.agent, addition.source, record.seq)?;
    }
    Ok(())
}

pub(super) fn watermark(connection: &Connection, source: Source) -> rusqlite::Result<Watermark> {
    connection.prepare_cached("SELECT below, ranges FROM sources WHERE id = ?1")?.query_row(
        [source.0],
        |row| {
            let ranges: Vec<u8> = row.get(1)?;
            Ok(Watermark::from_bytes(row.get::<_, i64>(0)?.cast_unsigned(), &ranges))
        },
    )
}

/// The bed an agent served at a moment: a late record belongs to the bed where it was measured.
pub fn bed_at(connection: &Connection, agent: &AgentId, at: Wall) -> rusqlite::Result<Option<String>> {
    connection
        .prepare_cached(
            "SELECT bed FROM assignments
             WHERE agent = ?1 AND from_us <= ?2 AND (to_us IS NULL OR ?2 < to_us) ORDER BY from_us DESC LIMIT 1",
        )?
        .query_row(params![agent.as_str(), at.0], |row| row.get(0))
        .optional()
}

pub(super) const fn number(lane: Lane) -> i64 {
    match lane {
        Lane::Alarm => 0,
        Lane::Numeric => 1,
        Lane::Waveform => 2,
    }
}

#[cfg(test)]
mod tests {
    use super::super::schema;
    use super::{Addition, Known, Row, append, with_digests};
    use crate::store::lives::{Life, meet};
    use bytes::Bytes;
    use cotside_protocol::model::Wall;
    use cotside_protocol::wire::block::Epoch;
    use cotside_protocol::wire::topic::AgentId;
    use proptest::prelude::*;
    use rusqlite::Connection;
    use std::collections::BTreeSet;

    fn store() -> (Connection, AgentId) {
        let connection = Connection::open_in_memory().unwrap();
        schema::migrate(&connection).unwrap();
        (connection, AgentId::new("gw-01").unwrap())
    }

    fn sources(
        store: &Connection,
        agent: &AgentId,
        epoch: Epoch,
        predecessor: Option<Epoch>,
        now: Wall,
    ) -> rusqlite::Result<Vec<Known>> {
        Ok(meet(store, agent, &Life::new(epoch, predecessor), now)?.known)
    }

    fn addition(known: &Known, agent: &AgentId, seqs: &[(u64, u64)]) -> Addition {
        let row = |&(seq, end)| Row { seq, end, begin: Wall(0), bytes: Bytes::from(format!("block {seq}")) };
        Addition {
            source: known.source,
            agent: agent.clone(),
            blocks: seqs.iter().map(row).collect(),
            records: Vec::new(),
            conflicts: Vec::new(),
            at: Wall(0),
        }
    }

    proptest! {
        #[test]
        fn every_block_is_kept_once_in_whatever_order_and_transaction_it_comes(
            messages in prop::collection::vec((prop::collection::vec(0u64..40, 0..6), any::<bool>()), 0..40),
        ) {
            let (mut store, agent) = store();
            let known = sources(&store, &agent, Epoch(u64::MAX), None, Wall(0)).unwrap();
            let mut held = BTreeSet::new();
            for (seqs, commits) in messages {
                let spans: Vec<_> = seqs.iter().map(|&seq| (seq, seq + 1)).collect();
                let transaction = store.transaction().unwrap();
                let mark = append(&transaction, &addition(&known[1], &agent, &spans)).unwrap();
                // A transaction that is lost leaves no trace in what is acknowledged later.
                if commits {
                    transaction.commit().unwrap();
                    held.extend(seqs);
                    prop_assert!((0..41).all(|seq| mark.has(seq) == held.contains(&seq)));
                }
            }
            let mut question = store.prepare("SELECT seq FROM blocks ORDER BY seq").unwrap();
            let rows = question.query_map([], |row| Ok(row.get::<_, i64>(0)?.cast_unsigned())).unwrap();
            let rows: Vec<u64> = rows.collect::<Result<_, _>>().unwrap();
            prop_assert_eq!(rows, held.into_iter().collect::<Vec<_>>());
        }
    }

    #[test]
    fn an_epoch_met_again_comes_with_what_is_held_of_it() {
        let (store, agent) = store();
        let known = sources(&store, &agent, Epoch(7), None, Wall(0)).unwrap();
        append(&store, &addition(&known[1], &agent, &[(0, 1), (1, 2), (5, 9)])).unwrap();
        let again = sources(&store, &agent, Epoch(7), None, Wall(1)).unwrap();
        let again = with_digests(&store, again).unwrap();
        assert_eq!(
            (again[1].source, again[1].mark.below(), again[1].mark.ranges()),
            (known[1].source, 2, &[(5, 9)][..])
        );
        assert_eq!(again[1].digests.iter().map(|(seq, _)| *seq).collect::<Vec<_>>(), [0, 1, 5]);
        assert!(again[0].digests.is_empty());
        let other = sources(&store, &agent, Epoch(8), Some(Epoch(7)), Wall(2)).unwrap();
        assert!(other[1].source > known[2].source && other[1].mark.below() == 0);
    }
}
