//! Who lies in which bed, as intervals: a late record is attributed by the time it was measured.
//!
//! An interval is a stay. Its name is drawn at random and says nothing: by it a bed's agent knows that another lies there.

use super::audit::{self, Act};
use super::date::Date;
use super::patient::Patient;
use cotside_config::profile::{Circumstances, Oxygen};
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

/// One stay as far as limits need it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Stay {
    pub id: String,
    pub bed: String,
    gestation_days: i64,
    birth_date: Private<Date>,
    pub oxygen: Oxygen,
}

impl Stay {
    pub fn new(id: &str, bed: &str, gestation_days: i64, birth_date: Date, oxygen: Oxygen) -> Self {
        Self {
            id: id.to_owned(),
            bed: bed.to_owned(),
            gestation_days,
            birth_date: Private::new(birth_date),
            oxygen,
        }
    }

    /// What decides about limits at this moment.
    pub fn circumstances(&self, now: Wall) -> Circumstances {
        let age = Date::of(now).days_since(*self.birth_date.reveal()).max(0);
        Circumstances {
            gestation_days: self.gestation_days,
            pma_days: self.gestation_days + age,
            oxygen: self.oxygen,
        }
    }
}

const STAYS: &str = "SELECT stay, bed, gestation_days, birth_date, oxygen
    FROM admissions JOIN patients ON patients.id = patient WHERE to_us IS NULL";

/// Of every bed with a patient in it now.
pub fn stays(connection: &Connection) -> rusqlite::Result<Vec<Stay>> {
    connection.prepare(STAYS)?.query_map([], read_stay)?.collect()
}

pub fn stay(connection: &Connection, bed: &str) -> rusqlite::Result<Option<Stay>> {
    connection.prepare_cached(&format!("{STAYS} AND bed = ?1"))?.query_row([bed], read_stay).optional()
}

fn read_stay(row: &Row<'_>) -> rusqlite::Result<Stay> {
    let (birth_date, oxygen): (String, String) = (row.get(3)?, row.get(4)?);
    Ok(Stay {
        id: row.get(0)?,
        bed: row.get(1)?,
        gestation_days: row.get(2)?,
        birth_date: Private::new(date(&birth_date)),
        oxygen: Oxygen::parse(&oxygen).unwrap_or_default(),
    })
}

/// False: nobody lies there.
pub(super) fn set_oxygen(
    connection: &Connection,
    bed: &str,
    oxygen: Oxygen,
    act: &Act,
) -> rusqlite::Result<bool> {
    let patient: Option<i64> = connection
        .query_row(
            "UPDATE admissions SET oxygen = ?2 WHERE bed = ?1 AND to_us IS NULL RETURNING patient",
            (bed, oxygen.name()),
            |row| row.get(0),
        )
        .optional()?;
    if patient.is_some() {
        let what = match oxygen {
            Oxygen::RoomAir => "oxygen: room air",
            Oxygen::Supplemental => "oxygen: supplemental",
            Oxygen::Unknown => "oxygen: unknown",
        };
        audit::append(connection, act, what, Some(bed), patient)?;
    }
    Ok(patient.is_some())
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
        if let Some(oxygen) = patient.oxygen {
            let told = "UPDATE admissions SET oxygen = ?2 WHERE bed = ?1 AND to_us IS NULL";
            connection.execute(told, (bed, oxygen.name()))?;
        }
        audit::append(connection, act, "correct patient", Some(bed), Some(number))?;
        return Ok(Admission::Corrected);
    }
    connection.execute(
        "INSERT INTO admissions(bed, patient, from_us, stay, oxygen)
         VALUES(?1, ?2, ?3, lower(hex(randomblob(8))), ?4)",
        (bed, number, act.at.0, patient.oxygen.unwrap_or_default().name()),
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

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Transfer {
    Done,
    NobodyThere,
    /// Somebody lies in the other bed.
    BedOccupied,
}

/// The patient of one bed lies in another from now on: one stay ends, the next begins.
pub(super) fn transfer(
    connection: &Connection,
    from: &str,
    to: &str,
    act: &Act,
) -> rusqlite::Result<Transfer> {
    let lies = "SELECT patient, oxygen FROM admissions WHERE bed = ?1 AND to_us IS NULL";
    let of = |bed: &str| -> rusqlite::Result<Option<(i64, String)>> {
        connection.query_row(lies, [bed], |row| Ok((row.get(0)?, row.get(1)?))).optional()
    };
    let Some((patient, oxygen)) = of(from)? else { return Ok(Transfer::NobodyThere) };
    if of(to)?.is_some() {
        return Ok(Transfer::BedOccupied);
    }
    discharge(connection, from, act)?;
    connection.execute(
        "INSERT INTO admissions(bed, patient, from_us, stay, oxygen)
         VALUES(?1, ?2, ?3, lower(hex(randomblob(8))), ?4)",
        (to, patient, act.at.0, oxygen),
    )?;
    audit::append(connection, act, "admit by transfer", Some(to), Some(patient))?;
    Ok(Transfer::Done)
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
        "SELECT bed, identifier, name, birth_date, gestation_days, weight_g, oxygen
         FROM admissions JOIN patients ON patients.id = patient WHERE to_us IS NULL ORDER BY bed",
    )?;
    question.query_map([], read)?.collect()
}

/// Who lies in one bed now.
pub(super) fn lies_in(connection: &Connection, bed: &str) -> rusqlite::Result<Option<Patient>> {
    let mut question = connection.prepare_cached(
        "SELECT bed, identifier, name, birth_date, gestation_days, weight_g, oxygen
         FROM admissions JOIN patients ON patients.id = patient WHERE to_us IS NULL AND bed = ?1",
    )?;
    Ok(question.query_row([bed], read).optional()?.map(|(_, patient)| patient))
}

/// Written by us from a checked date.
fn date(text: &str) -> Date {
    Date::parse(text).unwrap_or(Date::of(Wall(0)))
}

fn read(row: &Row<'_>) -> rusqlite::Result<(String, Patient)> {
    let (birth_date, oxygen): (String, String) = (row.get(3)?, row.get(6)?);
    let patient = Patient {
        identifier: Private::new(row.get(1)?),
        name: Private::new(row.get(2)?),
        birth_date: Private::new(date(&birth_date)),
        gestation_days: row.get(4)?,
        weight_g: row.get(5)?,
        oxygen: Oxygen::parse(&oxygen),
    };
    Ok((row.get(0)?, patient))
}
