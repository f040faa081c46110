//! Who answers for a bed, and who for the unit?

use crate::alarms::{Nurses, Staff};
use cotside_protocol::model::Wall;
use rusqlite::{Connection, params};

/// A bed's name is never empty: this is the unit.
const UNIT: &str = "";

/// The newest of every bed, and of the unit.
pub fn all(connection: &Connection) -> rusqlite::Result<(Vec<(String, Nurses)>, Staff)> {
    let mut question = connection.prepare_cached(
        "SELECT bed, first, second, until_us FROM nurses
         WHERE id IN (SELECT max(id) FROM nurses GROUP BY bed)",
    )?;
    let rows = question.query_map([], |row| {
        let until_ms = row.get::<_, Option<i64>>(3)?.map(|until| until.div_euclid(1000));
        Ok((row.get::<_, String>(0)?, Nurses { primary: row.get(1)?, buddy: row.get(2)?, until_ms }))
    })?;
    let (mut beds, mut staff) = (Vec::new(), Staff::default());
    for row in rows {
        let (bed, of) = row?;
        if bed == UNIT {
            staff = Staff { charge: of.primary, physician: of.buddy, until_ms: of.until_ms };
        } else {
            beds.push((bed, of));
        }
    }
    Ok((beds, staff))
}

pub fn assign(
    connection: &Connection,
    bed: &str,
    nurses: &Nurses,
    by: &str,
    now: Wall,
) -> rusqlite::Result<()> {
    let until_us = nurses.until_ms.map(|until| until.saturating_mul(1000));
    connection
        .prepare_cached(
            "INSERT INTO nurses(bed, first, second, from_us, until_us, by) VALUES(?1, ?2, ?3, ?4, ?5, ?6)",
        )?
        .execute(params![bed, nurses.primary, nurses.buddy, now.0, until_us, by])?;
    Ok(())
}

pub fn assign_staff(connection: &Connection, staff: &Staff, by: &str, now: Wall) -> rusqlite::Result<()> {
    let Staff { charge, physician, until_ms } = staff.clone();
    assign(connection, UNIT, &Nurses { primary: charge, buddy: physician, until_ms }, by, now)
}
