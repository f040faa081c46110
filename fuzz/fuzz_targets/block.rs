//! The decoder of blocks: no bytes bring it down, and it never claims to have read more than there was.
#![no_main]

use cotside_protocol::wire::block::{self, Decoder};

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    read_all(data);
    read_all(&sealed(data));
});

fn read_all(data: &[u8]) {
    let mut decoder = Decoder::new();
    let mut rest = data;
    while let Ok((_, length)) = block::peek(rest) {
        assert!((1..=rest.len()).contains(&length));
        if let Ok((_, decoded)) = decoder.decode(rest) {
            assert_eq!(decoded, length);
        }
        let _ = (block::key_seq(rest), block::is_key(rest), block::seqs(rest));
        rest = &rest[length..];
    }
    let _ = decoder.decode(rest);
}

/// The same bytes as well-formed blocks with right lengths and checksums: without them the fuzzer would never get inside.
/// Each is a kind, two bytes of length, and that many of content.
fn sealed(mut data: &[u8]) -> Vec<u8> {
    let mut blocks = Vec::new();
    while let [kind, low, high, rest @ ..] = data {
        let length = usize::from(u16::from_le_bytes([*low, *high % 0x40])).min(rest.len());
        let begin = blocks.len();
        blocks.extend([block::VERSION, *kind]);
        if length > 0x7f {
            blocks.push(length as u8 | 0x80);
            blocks.push((length >> 7) as u8);
        } else {
            blocks.push(length as u8);
        }
        blocks.extend_from_slice(&rest[..length]);
        blocks.extend(crc32c::crc32c(&blocks[begin..]).to_le_bytes());
        data = &rest[length..];
    }
    blocks
}
