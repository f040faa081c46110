//! Bytes to lines: a record is a line that begins with the device's date and time; what is not, is accounted for.
//!
//! The protocol has no checksum, so a line that is odd in any way is dropped whole: the next one comes within two seconds.

use crate::model::Malformed;

/// The longest known record is 190 bytes; a longer line than this is not from this device.
const LINE_MAX: usize = 400;

/// What came out of the stream, and how many of its bytes that was.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Frame<'a> {
    Record(&'a str, usize),
    /// An empty line, or the second half of a line end.
    Blank(usize),
    Bad(Malformed, usize),
}

/// The line that is being received.
#[derive(Default)]
pub(super) struct Lines {
    held: Vec<u8>,
}

impl Lines {
    pub(super) fn pending(&self) -> usize {
        self.held.len()
    }

    pub(super) fn holds_noise(&self) -> bool {
        !is_text(&self.held)
    }

    /// CR and LF each end a line, so one of the pair always makes an empty one.
    pub(super) fn push(&mut self, mut bytes: &[u8], mut take: impl FnMut(Frame<'_>)) {
        while !bytes.is_empty() {
            let end = bytes.iter().position(|byte| matches!(byte, b'\r' | b'\n'));
            let chunk = end.unwrap_or(bytes.len());
            let room = LINE_MAX - self.held.len();
            if chunk > room {
                self.held.extend_from_slice(&bytes[..room]);
                take(Frame::Bad(rubbish(&self.held, Malformed::TooLong), LINE_MAX));
                self.held.clear();
                bytes = &bytes[room..];
                continue;
            }
            self.held.extend_from_slice(&bytes[..chunk]);
            bytes = &bytes[chunk..];
            if end.is_some() {
                split(&self.held, &mut take);
                self.held.clear();
                bytes = &bytes[1..];
            }
        }
    }
}

/// Takes a line (its end counts one byte) apart into what precedes the record, and the record.
fn split(line: &[u8], take: &mut impl FnMut(Frame<'_>)) {
    let whole = line.len() + 1;
    if line.trim_ascii().is_empty() {
        return take(Frame::Blank(whole));
    }
    // The last stamp counts: if a line end was lost, the earlier record has lost its own end with it.
    let Some(start) = (0..line.len()).rev().find(|at| is_stamp(&line[*at..])) else {
        return take(Frame::Bad(rubbish(line, Malformed::Truncated), whole));
    };
    if start > 0 {
        take(Frame::Bad(rubbish(&line[..start], Malformed::Truncated), start));
    }
    match std::str::from_utf8(&line[start..]) {
        Ok(record) if is_text(&line[start..]) => take(Frame::Record(record, whole - start)),
        _ => take(Frame::Bad(Malformed::Field, whole - start)),
    }
}

/// `MM/DD/YY HH:MM:SS `; the manual prints the date with backslashes, the devices send slashes.
fn is_stamp(bytes: &[u8]) -> bool {
    const SHAPE: &[u8] = b"99/99/99 99:99:99 ";
    bytes.len() >= SHAPE.len()
        && SHAPE.iter().zip(bytes).all(|(shape, byte)| match shape {
            b'9' => byte.is_ascii_digit(),
            b'/' => matches!(byte, b'/' | b'\\'),
            _ => byte == shape,
        })
}

/// Text without its beginning was cut by the cable; bytes that are no text are noise (a wrong baud rate looks like this).
fn rubbish(bytes: &[u8], of_text: Malformed) -> Malformed {
    if is_text(bytes) { of_text } else { Malformed::Noise }
}

fn is_text(bytes: &[u8]) -> bool {
    bytes.iter().all(|byte| matches!(byte, b' '..=b'~' | b'\t'))
}

#[cfg(test)]
mod tests {
    use super::{Frame, LINE_MAX, Lines};
    use crate::model::Malformed;

    const RECORD: &str = "09/21/08 09:56:12 SpO2=097 PR=069 PI=04.69 EXC=800:SET";

    fn frames(bytes: &[u8]) -> Vec<String> {
        let mut out = Vec::new();
        Lines::default().push(bytes, |frame| out.push(format!("{frame:?}")));
        out
    }

    #[test]
    fn a_record_is_found_after_rubbish_on_the_same_line() {
        let line = format!("\u{7}\u{1}{RECORD}\r\n");
        assert_eq!(
            frames(line.as_bytes()),
            ["Bad(Noise, 2)", &format!("Record({RECORD:?}, {})", RECORD.len() + 1), "Blank(1)"]
        );
    }

    #[test]
    fn a_record_whose_line_end_was_lost_is_not_mixed_with_the_next() {
        let line = format!("{}{RECORD}\r", &RECORD[..30]);
        assert_eq!(
            frames(line.as_bytes()),
            ["Bad(Truncated, 30)", &format!("Record({RECORD:?}, {})", RECORD.len() + 1)]
        );
    }

    #[test]
    fn a_line_without_an_end_is_let_go() {
        assert_eq!(frames(&[b'x'; 2 * LINE_MAX + 1]), ["Bad(TooLong, 400)", "Bad(TooLong, 400)"]);
        let mut lines = Lines::default();
        lines.push(&[0xff; 399], |_| panic!("it may still end"));
        assert_eq!(lines.pending(), 399);
        lines.push(&[0xff; 2], |frame| assert_eq!(frame, Frame::Bad(Malformed::Noise, 400)));
        assert_eq!(lines.pending(), 1);
    }
}
