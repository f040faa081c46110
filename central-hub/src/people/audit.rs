//! Who did what, when: appended in the transaction of the deed itself; the store refuses to rewrite or erase it.

use cotside_protocol::model::Wall;
use rusqlite::Connection;
use std::net::IpAddr;

/// The circumstances of a deed.
#[derive(Clone, Debug)]
pub struct Act {
    pub at: Wall,
    pub who: String,
    pub address: IpAddr,
}

pub(super) fn append(
    connection: &Connection,
    act: &Act,
    what: &str,
    bed: Option<&str>,
    patient: Option<i64>,
) -> rusqlite::Result<()> {
    connection
        .prepare_cached(
            "INSERT INTO audit(at_us, who, address, what, bed, patient) VALUES(?1, ?2, ?3, ?4, ?5, ?6)",
        )?
        .execute((act.at.0, &act.who, act.address.to_string(), what, bed, patient))?;
    Ok(())
}
