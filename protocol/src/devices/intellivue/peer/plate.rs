//! What the simulated monitor says of itself: type plate, clocks, bed, and where it can be reached.

use super::super::attribute::{id, put_label, put_wall_time};
use super::super::lists::emit_attributes;
use super::super::octets::{put_list, put_u16};
use super::super::settings::DATA_PORT;
use super::objects::text;
use crate::device::PeerOptions;
use crate::model::Wall;

/// A hardware address of the vendor's range, from the serial number.
fn mac(serial: &str) -> [u8; 6] {
    let crc = crc32c::crc32c(serial.as_bytes()).to_be_bytes();
    [0x00, 0x09, 0xFB, crc[1], crc[2], crc[3]]
}

/// The attributes of the medical device system; `ticks` is the counter at `wall`.
pub(super) fn system(options: &PeerOptions, wall: Wall, ticks: u32) -> Vec<(u16, Vec<u8>)> {
    let mut system_id = vec![0, 6];
    system_id.extend_from_slice(&mac(&options.serial));
    let mut clock = Vec::new();
    put_wall_time(&mut clock, wall);
    // The clock shows whole seconds; the ticks told with it are those of the whole second.
    let into_second = wall.0.rem_euclid(1_000_000) / 125;
    vec![
        (id::SYSTEM_ID, system_id),
        (id::MODEL, model()),
        (id::PRODUCTION, production(&options.serial)),
        (id::OPERATING_MODE, vec![0x40, 0x00]),
        // Neonatal intensive care, 50 Hz, operating.
        (0x090D, vec![0, 3]),
        (0x0935, vec![0, 1]),
        (0x09A7, vec![0, 6]),
        (id::BED_LABEL, text(&options.bed_label)),
        (id::DATE_TIME, clock),
        (id::RELATIVE_TIME, ticks.wrapping_sub(into_second as u32).to_be_bytes().to_vec()),
    ]
}

/// The attributes of the connect indication, as a list. The IP address is left empty: the sender's is the truth.
pub(super) fn announcement(serial: &str) -> Vec<u8> {
    let mut address = mac(serial).to_vec();
    address.extend_from_slice(&[0; 8]);
    let mut support = Vec::new();
    put_list(&mut support, |out| {
        for word in [1, 3, 0x5DC0, 0, 5, 1, DATA_PORT, 0] {
            put_u16(out, word);
        }
        2
    });
    let mut out = Vec::new();
    emit_attributes(&[(id::MODEL, &model()), (id::ADDRESS, &address), (id::SUPPORT, &support)], &mut out);
    out
}

fn model() -> Vec<u8> {
    let mut out = Vec::new();
    put_label(&mut out, "Philips");
    put_label(&mut out, "M8007A");
    out
}

fn production(serial: &str) -> Vec<u8> {
    let mut out = Vec::new();
    put_list(&mut out, |out| {
        for (kind, component, words) in [(1, 8, serial), (2, 8, "M8007A"), (4, 88, "L.01.12")] {
            put_u16(out, kind);
            put_u16(out, component);
            put_label(out, words);
        }
        3
    });
    out
}
