//! Numbers in as few bytes as they need (LEB128), signed ones in zigzag.

pub(super) fn write(mut value: u64, out: &mut Vec<u8>) {
    while value >= 0x80 {
        out.push(value as u8 | 0x80);
        value >>= 7;
    }
    out.push(value as u8);
}

pub(super) fn read(from: &mut &[u8]) -> Option<u64> {
    let mut value = 0u64;
    for shift in (0..64).step_by(7) {
        let (&byte, rest) = from.split_first()?;
        *from = rest;
        let bits = u64::from(byte & 0x7f);
        if shift == 63 && bits > 1 {
            return None;
        }
        value |= bits << shift;
        if byte < 0x80 {
            return Some(value);
        }
    }
    None
}

pub(super) fn write_signed(value: i64, out: &mut Vec<u8>) {
    write(((value << 1) ^ (value >> 63)).cast_unsigned(), out);
}

pub(super) fn read_signed(from: &mut &[u8]) -> Option<i64> {
    read(from).map(|value| (value >> 1).cast_signed() ^ -((value & 1).cast_signed()))
}
