//! Who lies in which bed, as intervals: a late record is attributed by the time it was measured.

use super::audit::{self, Act};
use super::date::Date;
use super::patient::Patient;
use cotside_protocol::model::{Private, Wall};
use rusqlite::{Connection, OptionalExtension, Row};

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Admission {
    Admitted,
    /// The same patient lies there: the particulars were corrected.
    Corrected,
    /// Somebody else lies there: discharge comes first.
    BedOccupied,
    /// This patient lies in another bed.
    Elsewhere(String),
}

pub(super) fn admit(
    connection: &Connection,
    bed: &str,
    patient: &Patient,
    act: &Act,
) -> rusqlite::Result<Admission> {
    let identifier = patient.identifier.reveal();
    let lies_here: Option<String> = connection
        .query_row(
            "SELECT identifier FROM admissions JOIN patients ON patients.id = patient WHERE bed = ?1 AND to_us IS NULL",
            [bed],
            |row| row.get(0),
        )
        .optional()?;
    if lies_here.as_ref().is_some_and(|other| other != identifier) {
        return Ok(Admission::BedOccupied);
    }
    let elsewhere: Option<String> = connection
        .query_row(
            "SELECT bed FROM admissions JOIN patients ON patients.id = patient
             WHERE identifier = ?1 AND bed <> ?2 AND to_us IS NULL",
            [identifier, bed],
            |row| row.get(0),
        )
        .optional()?;
    if let Some(bed) = elsewhere {
        return Ok(Admission::Elsewhere(bed));
    }
    let number: i64 = connection.query_row(
        "INSERT INTO patients(identifier, name, birth_date, gestation_days, weight_g) VALUES(?1, ?2, ?3, ?4, ?5)
         ON CONFLICT(identifier) DO UPDATE SET name = ?2, birth_date = ?3, gestation_days = ?4, weight_g = ?5
         RETURNING id",
        (
            identifier,
            patient.name.reveal(),
            patient.birth_date.reveal().to_string(),
            patient.gestation_days,
            patient.weight_g,
        ),
        |row| row.get(0),
    )?;
    if lies_here.is_some() {
        audit::append(connection, act, "correct patient", Some(bed), Some(number))?;
        return Ok(Admission::Corrected);
    }
    connection.execute(
        "INSERT INTO admissions(bed, patient, from_us) VALUES(?1, ?2, ?3)",
        (bed, number, act.at.0),
    )?;
    audit::append(connection, act, "admit", Some(bed), Some(number))?;
    Ok(Admission::Admitted)
}

/// False: nobody lies there.
pub(super) fn discharge(connection: &Connection, bed: &str, act: &Act) -> rusqlite::Result<bool> {
    let patient: Option<i64> = connection
        .query_row(
            // A clock that was set back must not make an interval end before it began.
            "UPDATE admissions SET to_us = max(from_us, ?2) WHERE bed = ?1 AND to_us IS NULL RETURNING patient",
            (bed, act.at.0),
            |row| row.get(0),
        )
        .optional()?;
    if patient.is_some() {
        audit::append(connection, act, "discharge", Some(bed), patient)?;
    }
    Ok(patient.is_some())
}

/// When a patient last came to the bed or left it: what was measured before is another's.
pub fn turned_over(connection: &Connection, bed: &str) -> rusqlite::Result<Option<Wall>> {
    connection
        .prepare_cached("SELECT max(max(from_us, coalesce(to_us, from_us))) FROM admissions WHERE bed = ?1")?
        .query_row([bed], |row| Ok(row.get::<_, Option<i64>>(0)?.map(Wall)))
}

/// Every bed with a patient in it now.
pub(super) fn current(connection: &Connection) -> rusqlite::Result<Vec<(String, Patient)>> {
    let mut question = connection.prepare(
        "SELECT bed, identifier, name, birth_date, gestation_days, weight_g
         FROM admissions JOIN patients ON patients.id = patient WHERE to_us IS NULL ORDER BY bed",
    )?;
    question.query_map([], read)?.collect()
}

fn read(row: &Row<'_>) -> rusqlite::Result<(String, Patient)> {
    let birth_date: String = row.get(3)?;
    let patient = Patient {
        identifier: Private::new(row.get(1)?),
        name: Private::new(row.get(2)?),
        // Written by us from a checked date.
        birth_date: Private::new(Date::parse(&birth_date).unwrap_or(Date::of(Wall(0)))),
        gestation_days: row.get(4)?,
        weight_g: row.get(5)?,
    };
    Ok((row.get(0)?, patient))
}
