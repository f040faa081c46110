//! Who the monitor is: read from the MDS create event, the MDS poll, the patient poll and the connect indication.

use super::attribute::{id, label, text, wall_time};
use super::clock::Clock;
use super::lists::Attributes;
use super::octets::Reader;
use crate::model::{DeviceText, Identity, Private, Wall};
use std::net::SocketAddr;

const SERIAL: u16 = 1;
const SOFTWARE: u16 = 4;
const FIRMWARE: u16 = 5;
const PRODUCT: u16 = 8;
const APPLICATION: u16 = 88;
const DATA_EXPORT: u16 = 5;
const UDP: u16 = 1;

/// What tells a monitor from its twin.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum NamedBy {
    /// The number on the type plate; the system id where there is none.
    Serial,
    /// Also in the MDS create event, which is all that some recordings have.
    SystemId,
}

#[derive(Debug, Default)]
pub(super) struct Card {
    manufacturer: DeviceText,
    model: DeviceText,
    /// The number on the type plate.
    serial: DeviceText,
    system_id: String,
    software: DeviceText,
    bed_label: DeviceText,
    patient: Option<Private<DeviceText>>,
    pub(super) is_demo: bool,
}

impl Card {
    /// Reads what there is; pairs the clock where both times are given, and returns the pair.
    pub(super) fn read(&mut self, attributes: Attributes<'_>, clock: &mut Clock) -> Option<(u32, Wall)> {
        for (id, value) in attributes.iter() {
            let mut reader = Reader(value);
            match id {
                id::SYSTEM_ID => {
                    if let Some(bytes) = reader.block() {
                        self.system_id = hex(bytes);
                    }
                }
                id::MODEL => {
                    if let (Some(manufacturer), Some(model)) = (label(&mut reader), label(&mut reader)) {
                        (self.manufacturer, self.model) = (manufacturer, model);
                    }
                }
                id::PRODUCTION => self.read_production(value),
                id::BED_LABEL => {
                    if let Some(bed) = text(&mut reader) {
                        self.bed_label = bed;
                    }
                }
                id::OPERATING_MODE => self.is_demo = reader.u16().is_some_and(|mode| mode & 0x2000 != 0),
                id::PATIENT_ID => {
                    if let Some(patient) = text(&mut reader) {
                        self.patient = (!patient.is_empty()).then(|| Private::new(patient));
                    }
                }
                _ => {}
            }
        }
        let ticks = attributes.get(id::RELATIVE_TIME).and_then(|value| Reader(value).u32());
        let wall = attributes.get(id::DATE_TIME).and_then(wall_time);
        let (ticks, wall) = ticks.zip(wall)?;
        clock.pair(ticks, wall);
        Some((ticks, wall))
    }

    fn read_production(&mut self, value: &[u8]) {
        let mut reader = Reader(value);
        let (Some(_count), Some(entries)) = (reader.u16(), reader.block()) else { return };
        let mut entries = Reader(entries);
        while let (Some(kind), Some(component), Some(words)) =
            (entries.u16(), entries.u16(), label(&mut entries))
        {
            match (kind, component) {
                (SERIAL, PRODUCT) => self.serial = words,
                (SOFTWARE | FIRMWARE, APPLICATION) => self.software = words,
                _ => {}
            }
        }
    }

    pub(super) fn identity(&self, by: NamedBy) -> Identity {
        let system_id = DeviceText::new(&self.system_id);
        Identity {
            manufacturer: self.manufacturer.clone(),
            model: self.model.clone(),
            serial: match by {
                NamedBy::Serial if !self.serial.is_empty() => self.serial.clone(),
                NamedBy::Serial | NamedBy::SystemId => system_id,
            },
            firmware: self.software.clone(),
            bed_label: self.bed_label.clone(),
            patient: self.patient.clone(),
        }
    }
}

/// What a connect indication says about where to talk: hardware address, and the data export address if it offers one.
pub(super) fn announced(attributes: Attributes<'_>, from: SocketAddr) -> Option<(String, SocketAddr)> {
    let mac = attributes.get(id::ADDRESS)?.get(..6)?;
    let mut support = Reader(attributes.get(id::SUPPORT)?);
    let _count = support.u16()?;
    let mut entries = Reader(support.block()?);
    while let (Some(application), Some(transport), Some(port), Some(_options)) =
        (entries.u16(), entries.u16(), entries.u16(), entries.u16())
    {
        if application == DATA_EXPORT && transport == UDP {
            return Some((hex(mac), SocketAddr::new(from.ip(), port)));
        }
    }
    None
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02X}")).collect::<Vec<_>>().join(":")
}
