//! The hub's store, read as a stranger would: the SQLite file and the block format, nothing of the hub's code.

use anyhow::{Context, Result};
use cotside_protocol::wire::block::{Block, Body, Decoder, Gap, Sample};
use rusqlite::{Connection, OpenFlags};
use std::collections::HashMap;
use std::path::Path;

/// Every block of one agent, decoded, in order of epoch, lane and seq.
pub struct Archive {
    pub blocks: Vec<Block>,
    /// Of each block its checksum, which tells it from any other.
    pub digests: Vec<u32>,
    /// Rows in the table of records, and how many of them have a key of their own.
    pub records: [u64; 2],
    /// Blocks whose key frame is not there.
    pub undecodable: usize,
    /// Keys (epoch, lane, seq) that stand there more than once.
    pub doubled: usize,
    /// Stored bytes by lane.
    pub bytes: [u64; 3],
}

impl Archive {
    pub fn read(store: &Path, agent: &str) -> Result<Self> {
        let connection = Connection::open_with_flags(store, OpenFlags::SQLITE_OPEN_READ_ONLY)
            .with_context(|| format!("cannot read {}", store.display()))?;
        connection.busy_timeout(std::time::Duration::from_secs(5))?;
        let mut query = connection.prepare(
            "SELECT s.lane, s.id, b.seq, b.bytes FROM blocks b JOIN sources s ON s.id = b.source
             WHERE s.agent = ?1 ORDER BY s.id, b.seq",
        )?;
        let count = "SELECT count(*), count(DISTINCT r.source << 40 | r.seq) FROM records r JOIN sources s ON s.id = r.source
             WHERE s.agent = ?1";
        let records = connection
            .query_row(count, [agent], |row| Ok([row.get::<_, i64>(0)?, row.get::<_, i64>(1)?]))?
            .map(i64::cast_unsigned);
        let mut archive = Self {
            blocks: Vec::new(),
            digests: Vec::new(),
            records,
            undecodable: 0,
            doubled: 0,
            bytes: [0; 3],
        };
        let mut decoders: HashMap<i64, Decoder> = HashMap::new();
        let mut before = None;
        let mut rows = query.query([agent])?;
        while let Some(row) = rows.next()? {
            let (lane, source, seq): (u8, i64, i64) = (row.get(0)?, row.get(1)?, row.get(2)?);
            let bytes = row.get_ref(3)?.as_blob()?;
            archive.bytes[usize::from(lane)] += bytes.len() as u64;
            archive.doubled += usize::from(before == Some((source, seq)));
            before = Some((source, seq));
            match decoders.entry(source).or_default().decode(bytes) {
                Ok((block, _)) => {
                    archive.blocks.push(block);
                    archive
                        .digests
                        .push(bytes.last_chunk().map_or(0, |checksum| u32::from_le_bytes(*checksum)));
                }
                Err(_) => archive.undecodable += 1,
            }
        }
        Ok(archive)
    }

    /// Every numeric with the agent's wall time of receipt in microseconds.
    pub fn samples(&self) -> impl Iterator<Item = (i64, &Sample)> {
        self.blocks.iter().flat_map(|block| {
            let samples: &[Sample] = match &block.body {
                Body::Numerics(samples) => samples,
                Body::Waveforms(_) | Body::Record(_) | Body::Gap(_) => &[],
            };
            samples.iter().map(|sample| (block.header.wall.0 + i64::from(sample.at_us), sample))
        })
    }

    /// How many of the blocks are a record.
    pub fn record_blocks(&self) -> u64 {
        self.blocks.iter().filter(|block| matches!(block.body, Body::Record(_))).count() as u64
    }

    pub fn gaps(&self) -> impl Iterator<Item = &Gap> {
        self.blocks.iter().filter_map(|block| match &block.body {
            Body::Gap(gap) => Some(gap),
            Body::Numerics(_) | Body::Waveforms(_) | Body::Record(_) => None,
        })
    }
}
