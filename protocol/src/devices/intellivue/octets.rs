//! Big-endian fields out of a slice, and length-prefixed structures into a buffer.

/// Takes fields from the front; every method is None when the bytes run out.
#[derive(Clone, Copy, Debug)]
pub(super) struct Reader<'a>(pub(super) &'a [u8]);

impl<'a> Reader<'a> {
    pub(super) fn take(&mut self, count: usize) -> Option<&'a [u8]> {
        let (taken, rest) = self.0.split_at_checked(count)?;
        self.0 = rest;
        Some(taken)
    }

    pub(super) fn array<const N: usize>(&mut self) -> Option<[u8; N]> {
        let (taken, rest) = self.0.split_first_chunk::<N>()?;
        self.0 = rest;
        Some(*taken)
    }

    pub(super) fn u8(&mut self) -> Option<u8> {
        self.array().map(u8::from_be_bytes)
    }

    pub(super) fn u16(&mut self) -> Option<u16> {
        self.array().map(u16::from_be_bytes)
    }

    pub(super) fn u32(&mut self) -> Option<u32> {
        self.array().map(u32::from_be_bytes)
    }

    /// A u16 length and that many bytes.
    pub(super) fn block(&mut self) -> Option<&'a [u8]> {
        let length = self.u16()?;
        self.take(usize::from(length))
    }

    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

pub(super) fn put_u16(out: &mut Vec<u8>, value: u16) {
    out.extend_from_slice(&value.to_be_bytes());
}

pub(super) fn put_u32(out: &mut Vec<u8>, value: u32) {
    out.extend_from_slice(&value.to_be_bytes());
}

/// Writes what `body` writes, preceded by its length as u16.
pub(super) fn put_block(out: &mut Vec<u8>, body: impl FnOnce(&mut Vec<u8>)) {
    let at = out.len();
    put_u16(out, 0);
    body(out);
    // Only hand-built messages are written here; one past 65,535 bytes would be a bug of the writer.
    let length = u16::try_from(out.len() - at - 2).expect("our messages are shorter than 64 KiB");
    out[at..at + 2].copy_from_slice(&length.to_be_bytes());
}

/// Writes an element count, the length of what `body` writes, and that; `body` returns the count.
pub(super) fn put_list(out: &mut Vec<u8>, body: impl FnOnce(&mut Vec<u8>) -> u16) {
    let at = out.len();
    put_u16(out, 0);
    let mut count = 0;
    put_block(out, |out| count = body(out));
    out[at..at + 2].copy_from_slice(&count.to_be_bytes());
}
