//! Association control: who may talk, for how long, in what sizes (ISO session, presentation and ACSE headers as constant bytes).
//!
//! The ASN.1 around the user data is never parsed: a monitor always sends the same bytes, so the marker before the user data is enough.

use super::lists::{Attributes, emit_attributes};
use super::octets::{Reader, put_u32};

const SESSION: &[u8] = &[0x05, 0x08, 0x13, 0x01, 0x00, 0x16, 0x01, 0x02, 0x80, 0x00, 0x14, 0x02, 0x00, 0x02];

#[rustfmt::skip]
const REQUEST: &[u8] = &[
    0x31, 0x80, 0xA0, 0x80, 0x80, 0x01, 0x01, 0x00, 0x00, 0xA2, 0x80, 0xA0, 0x03, 0x00, 0x00, 0x01,
    0xA4, 0x80, 0x30, 0x80, 0x02, 0x01, 0x01, 0x06, 0x04, 0x52, 0x01, 0x00, 0x01, 0x30, 0x80, 0x06,
    0x02, 0x51, 0x01, 0x00, 0x00, 0x00, 0x00, 0x30, 0x80, 0x02, 0x01, 0x02, 0x06, 0x0C, 0x2A, 0x86,
    0x48, 0xCE, 0x14, 0x02, 0x01, 0x00, 0x00, 0x00, 0x01, 0x01, 0x30, 0x80, 0x06, 0x0C, 0x2A, 0x86,
    0x48, 0xCE, 0x14, 0x02, 0x01, 0x00, 0x00, 0x00, 0x02, 0x01, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00,
    0x61, 0x80, 0x30, 0x80, 0x02, 0x01, 0x01, 0xA0, 0x80, 0x60, 0x80, 0xA1, 0x80, 0x06, 0x0C, 0x2A,
    0x86, 0x48, 0xCE, 0x14, 0x02, 0x01, 0x00, 0x00, 0x00, 0x03, 0x01, 0x00, 0x00, 0xBE, 0x80, 0x28,
    0x80, 0x06, 0x0C, 0x2A, 0x86, 0x48, 0xCE, 0x14, 0x02, 0x01, 0x00, 0x00, 0x00, 0x01, 0x01, 0x02,
    0x01, 0x02, 0x81,
];

#[rustfmt::skip]
const RESPONSE: &[u8] = &[
    0x31, 0x80, 0xA0, 0x80, 0x80, 0x01, 0x01, 0x00, 0x00, 0xA2, 0x80, 0xA0, 0x03, 0x00, 0x00, 0x01,
    0xA5, 0x80, 0x30, 0x80, 0x80, 0x01, 0x00, 0x81, 0x02, 0x51, 0x01, 0x00, 0x00, 0x30, 0x80, 0x80,
    0x01, 0x00, 0x81, 0x0C, 0x2A, 0x86, 0x48, 0xCE, 0x14, 0x02, 0x01, 0x00, 0x00, 0x00, 0x02, 0x01,
    0x00, 0x00, 0x00, 0x00, 0x61, 0x80, 0x30, 0x80, 0x02, 0x01, 0x01, 0xA0, 0x80, 0x61, 0x80, 0xA1,
    0x80, 0x06, 0x0C, 0x2A, 0x86, 0x48, 0xCE, 0x14, 0x02, 0x01, 0x00, 0x00, 0x00, 0x03, 0x01, 0x00,
    0x00, 0xA2, 0x03, 0x02, 0x01, 0x00, 0xA3, 0x05, 0xA1, 0x03, 0x02, 0x01, 0x00, 0xBE, 0x80, 0x28,
    0x80, 0x02, 0x01, 0x02, 0x81,
];

pub(super) const REFUSE: &[u8] = &[0x0C, 0x03, 0x32, 0x01, 0x00];

#[rustfmt::skip]
pub(super) const RELEASE_REQUEST: &[u8] = &[
    0x09, 0x18, 0xC1, 0x16, 0x61, 0x80, 0x30, 0x80, 0x02, 0x01, 0x01, 0xA0, 0x80, 0x62, 0x80, 0x80,
    0x01, 0x00, 0, 0, 0, 0, 0, 0, 0, 0,
];

#[rustfmt::skip]
pub(super) const RELEASE_RESPONSE: &[u8] = &[
    0x0A, 0x18, 0xC1, 0x16, 0x61, 0x80, 0x30, 0x80, 0x02, 0x01, 0x01, 0xA0, 0x80, 0x63, 0x80, 0x80,
    0x01, 0x00, 0, 0, 0, 0, 0, 0, 0, 0,
];

#[rustfmt::skip]
pub(super) const ABORT: &[u8] = &[
    0x19, 0x2E, 0x11, 0x01, 0x03, 0xC1, 0x29, 0xA0, 0x80, 0xA0, 0x80, 0x30, 0x80, 0x02, 0x01, 0x01,
    0x06, 0x02, 0x51, 0x01, 0x00, 0x00, 0x00, 0x00, 0x61, 0x80, 0x30, 0x80, 0x02, 0x01, 0x01, 0xA0,
    0x80, 0x64, 0x80, 0x80, 0x01, 0x01, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0,
];

const TRAILER: [u8; 16] = [0; 16];
const USER_DATA: &[u8] = &[0xBE, 0x80, 0x28, 0x80];
const USER_DATA_TAG: &[u8] = &[0x02, 0x01, 0x02, 0x81];

const PROTOCOL_VERSION: u32 = 0x8000_0000;
const NOMENCLATURE_VERSION: u32 = 0x4000_0000;
const POLL_PROFILE: u16 = 0x0001;
const POLL_PROFILE_EXT: u16 = 0xF001;

/// What both sides say about themselves (`MDSEUserInfoStd` with its poll profile).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct UserInfo {
    pub(super) system_type: u32,
    pub(super) startup: u32,
    pub(super) profile_revision: u32,
    /// Ticks of 125 us. The monitor derives the life of a silent association from it.
    pub(super) min_poll_period: u32,
    pub(super) mtu_rx: u32,
    pub(super) mtu_tx: u32,
    pub(super) bandwidth_tx: u32,
    pub(super) profile_options: u32,
    /// The extended poll options asked for, or granted: see the constants.
    pub(super) options: Option<u32>,
}

impl UserInfo {
    pub(super) const CLIENT: u32 = 0x8000_0000;
    pub(super) const SERVER: u32 = 0x0080_0000;
    pub(super) const COLD_START: u32 = 0x2000_0000;
    pub(super) const HOT_START: u32 = 0x8000_0000;
    pub(super) const NUMERICS_1_S: u32 = 0x8000_0000;
    pub(super) const NUMERICS_12_S: u32 = 0x4000_0000;
    pub(super) const NUMERICS_60_S: u32 = 0x2000_0000;
    pub(super) const WAVES: u32 = 0x0800_0000;
    pub(super) const ENUMERATIONS: u32 = 0x0400_0000;

    /// What a client of ours says.
    pub(super) const fn client(mtu: u32, options: u32) -> Self {
        Self {
            system_type: Self::CLIENT,
            startup: Self::COLD_START,
            profile_revision: 0x8000_0000,
            min_poll_period: 8000,
            mtu_rx: mtu,
            mtu_tx: mtu,
            bandwidth_tx: u32::MAX,
            profile_options: 0x6000_0000,
            options: Some(options),
        }
    }

    /// Searches `bytes` (a whole request or response) for the user data and reads it.
    pub(super) fn parse(bytes: &[u8]) -> Option<Self> {
        let at = bytes.windows(USER_DATA.len()).position(|window| window == USER_DATA)?;
        let rest = &bytes[at + USER_DATA.len()..];
        let mut reader = if rest.first() == Some(&0x81) {
            Reader(&rest[1..])
        } else {
            let tag = rest.windows(USER_DATA_TAG.len()).position(|window| window == USER_DATA_TAG)?;
            Reader(&rest[tag + USER_DATA_TAG.len()..])
        };
        let length = asn_length(&mut reader)?;
        Self::parse_body(Reader(reader.take(length)?))
    }

    fn parse_body(mut reader: Reader<'_>) -> Option<Self> {
        let _protocol = reader.u32()?;
        let _nomenclature = reader.u32()?;
        let _functional_units = reader.u32()?;
        let system_type = reader.u32()?;
        let startup = reader.u32()?;
        Attributes::parse(&mut reader)?;
        let profiles = Attributes::parse(&mut reader)?;
        let mut profile = Reader(profiles.get(POLL_PROFILE)?);
        let mut info = Self {
            system_type,
            startup,
            profile_revision: profile.u32()?,
            min_poll_period: profile.u32()?,
            mtu_rx: profile.u32()?,
            mtu_tx: profile.u32()?,
            bandwidth_tx: profile.u32()?,
            profile_options: profile.u32()?,
            options: None,
        };
        let packages = Attributes::parse(&mut profile)?;
        info.options = packages.get(POLL_PROFILE_EXT).and_then(|bytes| Reader(bytes).u32());
        Some(info)
    }

    fn emit_body(&self, out: &mut Vec<u8>) {
        for word in [PROTOCOL_VERSION, NOMENCLATURE_VERSION, 0, self.system_type, self.startup, 0] {
            put_u32(out, word);
        }
        let mut extension = Vec::new();
        if let Some(options) = self.options {
            put_u32(&mut extension, options);
            put_u32(&mut extension, 0);
        }
        let mut profile = Vec::new();
        for word in [
            self.profile_revision,
            self.min_poll_period,
            self.mtu_rx,
            self.mtu_tx,
            self.bandwidth_tx,
            self.profile_options,
        ] {
            put_u32(&mut profile, word);
        }
        if self.options.is_some() {
            emit_attributes(&[(POLL_PROFILE_EXT, &extension)], &mut profile);
        } else {
            emit_attributes(&[], &mut profile);
        }
        emit_attributes(&[(POLL_PROFILE, &profile)], out);
    }

    pub(super) fn emit_request(&self, out: &mut Vec<u8>) {
        self.emit(0x0D, REQUEST, out);
    }

    pub(super) fn emit_response(&self, out: &mut Vec<u8>) {
        self.emit(0x0E, RESPONSE, out);
    }

    fn emit(&self, first: u8, presentation: &[u8], out: &mut Vec<u8>) {
        let mut body = Vec::with_capacity(80);
        self.emit_body(&mut body);
        let mut data = presentation.to_vec();
        put_asn_length(&mut data, body.len());
        data.extend_from_slice(&body);
        data.extend_from_slice(&TRAILER);
        let mut session = SESSION.to_vec();
        session.push(0xC1);
        put_session_length(&mut session, data.len());
        session.extend_from_slice(&data);
        out.push(first);
        put_session_length(out, session.len());
        out.extend_from_slice(&session);
    }
}

fn asn_length(reader: &mut Reader<'_>) -> Option<usize> {
    let first = reader.u8()?;
    if first < 0x80 {
        return Some(usize::from(first));
    }
    let bytes = reader.take(usize::from(first & 0x7F))?;
    if bytes.len() > 2 {
        return None;
    }
    Some(bytes.iter().fold(0, |length, &byte| length << 8 | usize::from(byte)))
}

fn put_asn_length(out: &mut Vec<u8>, length: usize) {
    match u8::try_from(length) {
        Ok(short @ 0..=0x7F) => out.push(short),
        Ok(long) => out.extend_from_slice(&[0x81, long]),
        Err(_) => {
            out.push(0x82);
            out.extend_from_slice(&(length as u16).to_be_bytes());
        }
    }
}

fn put_session_length(out: &mut Vec<u8>, length: usize) {
    match u8::try_from(length) {
        Ok(short @ 0..=0xFE) => out.push(short),
        _ => {
            out.push(0xFF);
            out.extend_from_slice(&(length as u16).to_be_bytes());
        }
    }
}
