//! Who did what, when: appended in the transaction of the deed itself; the store refuses to rewrite or erase it.
//!
//! Every row carries the hash of the row before it and of itself, so that a rewrite past the store's refusal shows ([`first_break`]).
//! Rows cut off at the end do not show: for that a head must be kept on another machine.

use super::sessions::sha256;
use cotside_protocol::model::Wall;
use rusqlite::{Connection, OptionalExtension};
use std::net::IpAddr;

/// The circumstances of a deed.
#[derive(Clone, Debug)]
pub struct Act {
    pub at: Wall,
    pub who: String,
    pub address: IpAddr,
}

/// One row as it is chained.
struct Deed {
    at_us: i64,
    who: String,
    address: String,
    what: String,
    bed: Option<String>,
    patient: Option<i64>,
}

pub(super) fn append(
    connection: &Connection,
    act: &Act,
    what: &str,
    bed: Option<&str>,
    patient: Option<i64>,
) -> rusqlite::Result<()> {
    let deed = Deed {
        at_us: act.at.0,
        who: act.who.clone(),
        address: act.address.to_string(),
        what: what.to_owned(),
        bed: bed.map(str::to_owned),
        patient,
    };
    let head = connection
        .prepare_cached("SELECT chain FROM audit ORDER BY id DESC LIMIT 1")?
        .query_row([], |row| row.get::<_, Vec<u8>>(0))
        .optional()?;
    let chain = deed.chain(&head.unwrap_or_default());
    connection
        .prepare_cached(
            "INSERT INTO audit(at_us, who, address, what, bed, patient, chain) VALUES(?1, ?2, ?3, ?4, ?5, ?6, ?7)",
        )?
        .execute((deed.at_us, deed.who, deed.address, deed.what, deed.bed, deed.patient, chain))?;
    Ok(())
}

/// What somebody did on the hub's own command line, for the transaction of the deed.
pub fn by_operator(
    connection: &Connection,
    act: &Act,
    what: &str,
    bed: Option<&str>,
) -> rusqlite::Result<()> {
    append(connection, act, what, bed, None)
}

/// The number of the first row that is not what was appended, if any.
pub fn first_break(connection: &Connection) -> rusqlite::Result<Option<i64>> {
    let mut question = connection
        .prepare("SELECT id, at_us, who, address, what, bed, patient, chain FROM audit ORDER BY id")?;
    let mut rows = question.query([])?;
    let mut head = Vec::new();
    while let Some(row) = rows.next()? {
        let deed = Deed {
            at_us: row.get(1)?,
            who: row.get(2)?,
            address: row.get(3)?,
            what: row.get(4)?,
            bed: row.get(5)?,
            patient: row.get(6)?,
        };
        let chain: Vec<u8> = row.get(7)?;
        if chain != deed.chain(&head) {
            return Ok(Some(row.get(0)?));
        }
        head = chain;
    }
    Ok(None)
}

impl Deed {
    /// SHA-256 over the hash before it and the fields, each with its length, so that no two rows read alike.
    fn chain(&self, before: &[u8]) -> [u8; 32] {
        let (at, patient) = (self.at_us.to_string(), self.patient.map(|number| number.to_string()));
        let fields = [
            Some(&at),
            Some(&self.who),
            Some(&self.address),
            Some(&self.what),
            self.bed.as_ref(),
            patient.as_ref(),
        ];
        let mut bytes = before.to_vec();
        for field in fields {
            let length = field.map_or(u64::MAX, |field| field.len() as u64);
            bytes.extend_from_slice(&length.to_be_bytes());
            bytes.extend_from_slice(field.map(String::as_bytes).unwrap_or_default());
        }
        sha256(&bytes)
    }
}
