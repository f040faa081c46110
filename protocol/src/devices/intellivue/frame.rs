//! The serial framing (MIB/RS232, fixed baud rate): bytes to frames and back, with every byte accounted for.
//!
//! `C0 | 11 01 length(2) | payload | FCS(2, low byte first) | C1`, and everything between C0 and C1 byte-stuffed with 7D.
//! There is no acknowledgement: a bad frame is dropped and the next C0 starts again. Datagrams carry bare messages and
//! never come here.

use crate::model::{Ignored, Malformed};

const BEGIN: u8 = 0xC0;
const END: u8 = 0xC1;
const ESCAPE: u8 = 0x7D;
const FLIP: u8 = 0x20;
const PROTOCOL: [u8; 2] = [0x11, 0x01];
const HEADER_LEN: usize = 4;
const FCS_LEN: usize = 2;

/// Unstuffed header, payload and FCS. The largest MTU is 1,364 bytes of command; headers come on top.
pub(super) const FRAME_MAX: usize = 2048;
/// A run of noise is reported when it ends, or at this length.
const NOISE_RUN_MAX: u32 = 1024;

/// What one look at the line found.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Found<'a> {
    /// A checked frame's payload; `wire` counts the bytes it took on the line.
    Message { payload: &'a [u8], wire: usize },
    /// A checked frame of another protocol on the same port.
    Foreign { reason: Ignored, wire: usize },
    /// Bytes that are no frame.
    Bad { reason: Malformed, wire: usize },
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Place {
    /// Outside any frame.
    #[default]
    Ground,
    Inside,
    /// Inside, after 7D.
    Escaped,
}

/// Finds frames in a byte stream that may be cut anywhere. Holds one reused buffer.
#[derive(Debug, Default)]
pub(super) struct Deframer {
    place: Place,
    buffer: Vec<u8>,
    /// Bytes on the line since (and with) the C0 of the frame in hand.
    wire: usize,
    /// Bytes of the noise run in hand.
    noise: u32,
}

impl Deframer {
    /// Bytes held back until their frame or noise run ends.
    pub(super) fn pending(&self) -> u64 {
        self.wire as u64 + u64::from(self.noise)
    }

    /// Consumes from the front of `input`; None when all of it is consumed.
    pub(super) fn next<'a>(&'a mut self, input: &mut &[u8]) -> Option<Found<'a>> {
        if self.place == Place::Ground {
            self.buffer.clear();
        }
        while let Some((&byte, rest)) = input.split_first() {
            if self.place == Place::Ground {
                if byte == BEGIN {
                    if self.noise > 0 {
                        return Some(self.end_of_noise());
                    }
                    self.begin();
                } else {
                    self.noise += 1;
                    if self.noise == NOISE_RUN_MAX {
                        *input = rest;
                        return Some(self.end_of_noise());
                    }
                }
                *input = rest;
                continue;
            }
            match byte {
                // The frame in hand never ended; this byte begins the next and is read again from the ground.
                BEGIN => return Some(self.drop_frame(Malformed::Truncated)),
                END => {
                    *input = rest;
                    self.wire += 1;
                    return Some(self.close());
                }
                ESCAPE if self.place == Place::Inside => self.place = Place::Escaped,
                _ => {
                    let flip = if self.place == Place::Escaped { FLIP } else { 0 };
                    self.place = Place::Inside;
                    self.buffer.push(byte ^ flip);
                }
            }
            *input = rest;
            self.wire += 1;
            if self.buffer.len() > FRAME_MAX {
                return Some(self.drop_frame(Malformed::TooLong));
            }
        }
        None
    }

    fn begin(&mut self) {
        self.place = Place::Inside;
        self.buffer.clear();
        self.wire = 1;
    }

    fn end_of_noise(&mut self) -> Found<'static> {
        Found::Bad { reason: Malformed::Noise, wire: std::mem::take(&mut self.noise) as usize }
    }

    fn drop_frame(&mut self, reason: Malformed) -> Found<'static> {
        self.place = Place::Ground;
        Found::Bad { reason, wire: std::mem::take(&mut self.wire) }
    }

    fn close(&mut self) -> Found<'_> {
        // 7D C1: the sender gave this frame up.
        if self.place == Place::Escaped || self.buffer.len() < HEADER_LEN + FCS_LEN {
            return self.drop_frame(Malformed::Truncated);
        }
        self.place = Place::Ground;
        let wire = std::mem::take(&mut self.wire);
        let (body, check) = self.buffer.split_at(self.buffer.len() - FCS_LEN);
        if fcs(body).to_le_bytes() != check {
            return Found::Bad { reason: Malformed::Checksum, wire };
        }
        let (header, payload) = body.split_at(HEADER_LEN);
        if header[..2] != PROTOCOL {
            return Found::Foreign { reason: Ignored::UnknownMessage, wire };
        }
        if usize::from(u16::from_be_bytes([header[2], header[3]])) != payload.len() {
            return Found::Bad { reason: Malformed::Structure, wire };
        }
        Found::Message { payload, wire }
    }
}

/// Appends `payload` as one frame.
pub(super) fn emit(payload: &[u8], out: &mut Vec<u8>) {
    let length =
        u16::try_from(payload.len()).expect("our messages are far shorter than the 2,048 bytes of a frame");
    let mut body = Vec::with_capacity(HEADER_LEN + payload.len() + FCS_LEN);
    body.extend_from_slice(&PROTOCOL);
    body.extend_from_slice(&length.to_be_bytes());
    body.extend_from_slice(payload);
    let check = fcs(&body);
    body.extend_from_slice(&check.to_le_bytes());
    out.reserve(body.len() + body.len() / 8 + 2);
    out.push(BEGIN);
    for byte in body {
        if matches!(byte, BEGIN | END | ESCAPE) {
            out.extend_from_slice(&[ESCAPE, byte ^ FLIP]);
        } else {
            out.push(byte);
        }
    }
    out.push(END);
}

/// CRC-16/X-25: reflected 0x1021, all ones in, complement out.
pub(super) fn fcs(bytes: &[u8]) -> u16 {
    !bytes.iter().fold(0xFFFF, |crc, &byte| (crc >> 8) ^ TABLE[usize::from((crc as u8) ^ byte)])
}

const TABLE: [u16; 256] = {
    let mut table = [0; 256];
    let mut at = 0;
    while at < 256 {
        let mut crc = at as u16;
        let mut bit = 0;
        while bit < 8 {
            crc = if crc & 1 == 1 { (crc >> 1) ^ 0x8408 } else { crc >> 1 };
            bit += 1;
        }
        table[at] = crc;
        at += 1;
    }
    table
};

#[cfg(test)]
mod tests {
    use super::{Deframer, Found, emit, fcs};
    use crate::model::Malformed;

    fn all(stream: &[u8], cut: usize) -> (Vec<Vec<u8>>, Vec<(Malformed, usize)>, u64) {
        let mut deframer = Deframer::default();
        let (mut messages, mut bad) = (Vec::new(), Vec::new());
        for mut part in stream.chunks(cut) {
            while let Some(found) = deframer.next(&mut part) {
                match found {
                    Found::Message { payload, .. } => messages.push(payload.to_vec()),
                    Found::Bad { reason, wire } => bad.push((reason, wire)),
                    Found::Foreign { .. } => {}
                }
            }
        }
        (messages, bad, deframer.pending())
    }

    #[test]
    fn the_check_values_of_the_fact_sheet_hold() {
        assert_eq!(fcs(b"123456789"), 0x906E);
        assert_eq!(fcs(&[0x3A, 0x71]), 0x269B);
        assert_eq!(fcs(&[0x3A, 0x91]), 0xC195);
    }

    #[test]
    fn a_frame_survives_its_way_into_a_dirty_buffer_and_any_cut() {
        let payload: Vec<u8> = (0..=255).chain([0xC0, 0xC1, 0x7D, 0x5D, 0x7D, 0xC1]).collect();
        let mut line = vec![0xA5; 7];
        emit(&payload, &mut line);
        emit(&payload[..9], &mut line);
        for cut in 1..40 {
            let (messages, bad, pending) = all(&line, cut);
            assert_eq!(messages, [&payload[..], &payload[..9]]);
            assert_eq!((bad.as_slice(), pending), ([(Malformed::Noise, 7)].as_slice(), 0));
        }
    }

    #[test]
    fn a_new_begin_and_an_abort_both_drop_the_frame_in_hand() {
        let mut line = vec![0xC0, 0x11, 0x01, 0x00];
        emit(b"good", &mut line);
        line.extend_from_slice(&[0xC0, 0x11, 0x7D, 0xC1]);
        emit(b"again", &mut line);
        let (messages, bad, _) = all(&line, 3);
        assert_eq!(messages, [&b"good"[..], b"again"]);
        assert_eq!(bad, [(Malformed::Truncated, 4), (Malformed::Truncated, 4)]);
    }

    #[test]
    fn a_frame_without_an_end_is_given_up_at_its_limit() {
        let mut line = vec![0xC0];
        line.extend_from_slice(&[0x55; 5000]);
        emit(b"after", &mut line);
        let (messages, bad, pending) = all(&line, 64);
        assert_eq!(messages, [b"after"]);
        assert_eq!(bad[0].0, Malformed::TooLong);
        assert_eq!(bad.iter().map(|(_, wire)| wire).sum::<usize>(), 5001);
        assert_eq!(pending, 0);
    }
}
