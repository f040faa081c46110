//! Bytes and varints (LEB128, signed ones in zigzag), written and read with every bound checked.

use super::BlockError;

pub(super) struct Writer(pub(super) Vec<u8>);

pub(super) struct Reader<'a>(pub(super) &'a [u8]);

impl Writer {
    pub(super) fn varint(&mut self, mut value: u64) {
        while value >= 0x80 {
            self.0.push(value as u8 | 0x80);
            value >>= 7;
        }
        self.0.push(value as u8);
    }

    pub(super) fn signed(&mut self, value: i64) {
        self.varint(zigzag(value));
    }

    /// 0 for none, otherwise 1 and the value.
    pub(super) fn optional(&mut self, value: Option<u64>) {
        self.0.push(u8::from(value.is_some()));
        if let Some(value) = value {
            self.varint(value);
        }
    }

    pub(super) fn fixed(&mut self, bytes: &[u8]) {
        self.0.extend_from_slice(bytes);
    }

    /// A length byte and at most 255 bytes of text.
    pub(super) fn text(&mut self, text: &str) {
        let end = (0..=text.len().min(255)).rev().find(|at| text.is_char_boundary(*at)).unwrap_or(0);
        self.0.push(end as u8);
        self.fixed(&text.as_bytes()[..end]);
    }
}

impl<'a> Reader<'a> {
    pub(super) fn byte(&mut self) -> Result<u8, BlockError> {
        let (first, rest) = self.0.split_first().ok_or(BlockError::Truncated)?;
        self.0 = rest;
        Ok(*first)
    }

    pub(super) fn take(&mut self, count: usize) -> Result<&'a [u8], BlockError> {
        let (taken, rest) = self.0.split_at_checked(count).ok_or(BlockError::Truncated)?;
        self.0 = rest;
        Ok(taken)
    }

    pub(super) fn array<const N: usize>(&mut self) -> Result<[u8; N], BlockError> {
        let (taken, rest) = self.0.split_first_chunk().ok_or(BlockError::Truncated)?;
        self.0 = rest;
        Ok(*taken)
    }

    pub(super) fn rest(&mut self) -> &'a [u8] {
        std::mem::take(&mut self.0)
    }

    pub(super) fn varint(&mut self) -> Result<u64, BlockError> {
        let mut value = 0u64;
        for shift in (0..64).step_by(7) {
            let byte = self.byte()?;
            let bits = u64::from(byte & 0x7f);
            if shift == 63 && bits > 1 {
                return Err(BlockError::Structure);
            }
            value |= bits << shift;
            if byte < 0x80 {
                return Ok(value);
            }
        }
        Err(BlockError::Structure)
    }

    pub(super) fn signed(&mut self) -> Result<i64, BlockError> {
        self.varint().map(unzigzag)
    }

    pub(super) fn optional(&mut self) -> Result<Option<u64>, BlockError> {
        match self.byte()? {
            0 => Ok(None),
            1 => self.varint().map(Some),
            _ => Err(BlockError::Structure),
        }
    }

    pub(super) fn text(&mut self) -> Result<&'a str, BlockError> {
        let length = self.byte()?;
        std::str::from_utf8(self.take(usize::from(length))?).map_err(|_| BlockError::Structure)
    }

    /// A block says nothing after its content.
    pub(super) fn end(&self) -> Result<(), BlockError> {
        if self.0.is_empty() { Ok(()) } else { Err(BlockError::Structure) }
    }
}

pub(super) const fn zigzag(value: i64) -> u64 {
    ((value << 1) ^ (value >> 63)) as u64
}

pub(super) const fn unzigzag(value: u64) -> i64 {
    (value >> 1) as i64 ^ -((value & 1) as i64)
}
