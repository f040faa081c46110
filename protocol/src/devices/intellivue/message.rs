//! Whole messages, parse and emit side by side. Everything is big-endian; a length counts what follows it.
//!
//! Parsing borrows from the frame and checks every count against its length before a value is believed: a message is either
//! whole or [`Malformed::Structure`]. What is whole but not of interest here survives as [`Message::Other`].

use super::association::{ABORT, REFUSE, RELEASE_REQUEST, RELEASE_RESPONSE, UserInfo};
use super::lists::{Attributes, Contexts, Labels, emit_attributes};
use super::octets::{Reader, put_block, put_list, put_u16, put_u32};
use crate::model::Malformed;

/// Session and presentation context id of data export.
const EXPORT: [u8; 4] = [0xE1, 0x00, 0x00, 0x02];
const NOMENCLATURE: [u8; 4] = [0x00, 0x00, 0x01, 0x00];

const ROIV: u16 = 1;
const RORS: u16 = 2;
const ROER: u16 = 3;
const ROLRS: u16 = 5;

const EVENT: u16 = 0;
const CONFIRMED_EVENT: u16 = 1;
const GET: u16 = 3;
const CONFIRMED_SET: u16 = 5;
const CONFIRMED_ACTION: u16 = 7;

const MDS_CREATED: u16 = 0x0D06;
const CONNECT_INDICATION: u16 = 0x0D17;
const POLL: u16 = 0x0C16;
const POLL_EXTENDED: u16 = 0xF13B;
const POLL_FOR: u16 = 0xF13E;

const PARTITION_OBJECT: u16 = 1;
const NO_TIME: [u8; 8] = [0xFF; 8];

/// Object classes.
pub(super) mod class {
    pub(in super::super) const NUMERIC: u16 = 0x06;
    pub(in super::super) const WAVE: u16 = 0x09;
    pub(in super::super) const MDS: u16 = 0x21;
    pub(in super::super) const COMPOSITE: u16 = 0x23;
    pub(in super::super) const PATIENT: u16 = 0x2A;
    pub(in super::super) const ALERTS: u16 = 0x36;
}

/// Attribute groups of a poll.
pub(super) mod group {
    pub(in super::super) const ALL: u16 = 0;
    pub(in super::super) const ALERTS: u16 = 0x0801;
    pub(in super::super) const OBSERVED: u16 = 0x0803;
    pub(in super::super) const PATIENT: u16 = 0x0807;
    pub(in super::super) const STATIC: u16 = 0x0811;
}

/// The wave priority list.
pub(super) const WAVE_LIST: u16 = 0xF23A;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Message<'a> {
    Associate(UserInfo),
    Associated(UserInfo),
    Refused,
    Release,
    Released,
    Abort,
    Indication {
        time: u32,
        attributes: Attributes<'a>,
    },
    MdsCreate {
        invoke: u16,
        time: u32,
        attributes: Attributes<'a>,
    },
    MdsCreateResult {
        invoke: u16,
        time: u32,
    },
    Poll {
        invoke: u16,
        poll: Poll,
    },
    Reply {
        invoke: u16,
        link: Link,
        reply: Reply<'a>,
    },
    /// Replace a priority list.
    Select {
        invoke: u16,
        list: u16,
        labels: Labels<'a>,
    },
    /// The answer to a get or set: the lists in force.
    Lists {
        invoke: u16,
        is_set: bool,
        attributes: Attributes<'a>,
    },
    Failed {
        invoke: u16,
        error: u16,
        detail: &'a [u8],
    },
    /// Whole, and of a kind this driver does not use: the remote operation and the rest.
    Other {
        operation: u16,
        body: &'a [u8],
    },
}

/// A request for objects of one class; with a span, the monitor keeps replying for that long.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Poll {
    pub(super) number: u16,
    pub(super) class: u16,
    pub(super) group: u16,
    /// Ticks of 125 us.
    pub(super) keep_sending: Option<u32>,
}

/// Place of a reply in a linked sequence.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Link {
    /// The only, or the closing, message (RORS).
    Final,
    /// One before the closing one (ROLRS): state 1 first, 2 middle (or last of several), 3 last; count from 1.
    Part { state: u8, count: u8 },
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Reply<'a> {
    pub(super) number: u16,
    /// Of an extended poll; None: a single one.
    pub(super) sequence: Option<u16>,
    /// Ticks.
    pub(super) time: u32,
    pub(super) absolute: [u8; 8],
    pub(super) partition: u16,
    pub(super) class: u16,
    pub(super) group: u16,
    pub(super) contexts: Contexts<'a>,
}

impl<'a> Message<'a> {
    pub(super) fn parse(bytes: &'a [u8]) -> Result<Self, Malformed> {
        Self::parse_any(bytes).ok_or(Malformed::Structure)
    }

    fn parse_any(bytes: &'a [u8]) -> Option<Self> {
        match bytes.first()? {
            0xE1 => {
                let mut reader = Reader(bytes);
                (reader.array()? == EXPORT).then_some(())?;
                Self::parse_operation(reader)
            }
            0x0D => session_is_whole(bytes).then(|| UserInfo::parse(bytes))?.map(Self::Associate),
            0x0E => session_is_whole(bytes).then(|| UserInfo::parse(bytes))?.map(Self::Associated),
            0x0C => session_is_whole(bytes).then_some(Self::Refused),
            0x09 => session_is_whole(bytes).then_some(Self::Release),
            0x0A => session_is_whole(bytes).then_some(Self::Released),
            0x19 => session_is_whole(bytes).then_some(Self::Abort),
            0x00 => Self::parse_indication(bytes),
            _ => None,
        }
    }

    fn parse_operation(mut reader: Reader<'a>) -> Option<Self> {
        let operation = reader.u16()?;
        let mut body = Reader(reader.block()?);
        if !reader.is_empty() {
            return None;
        }
        let whole = body.0;
        let parsed = match operation {
            ROIV => Self::parse_invoke(&mut body)?,
            RORS => {
                let invoke = body.u16()?;
                Self::parse_result(invoke, Link::Final, &mut body)?
            }
            ROLRS => {
                let link = Link::Part { state: body.u8()?, count: body.u8()? };
                let invoke = body.u16()?;
                Self::parse_result(invoke, link, &mut body)?
            }
            ROER => {
                let (invoke, error) = (body.u16()?, body.u16()?);
                Some(Self::Failed { invoke, error, detail: body.block()? })
            }
            _ => return Some(Self::Other { operation, body: whole }),
        };
        match parsed {
            Some(message) => body.is_empty().then_some(message),
            None => Some(Self::Other { operation, body: whole }),
        }
    }

    /// Outer None: malformed; inner None: whole, but nothing we know.
    fn parse_invoke(body: &mut Reader<'a>) -> Option<Option<Self>> {
        let (invoke, command) = (body.u16()?, body.u16()?);
        let mut argument = Reader(body.block()?);
        let object = Object::parse(&mut argument)?;
        match command {
            CONFIRMED_EVENT => {
                let (time, event) = (argument.u32()?, argument.u16()?);
                let mut detail = Reader(argument.block()?);
                if event != MDS_CREATED || object.class != class::MDS {
                    return Some(None);
                }
                Object::parse(&mut detail)?;
                let attributes = Attributes::parse(&mut detail)?;
                detail.is_empty().then_some(Some(Self::MdsCreate { invoke, time, attributes }))
            }
            CONFIRMED_ACTION => {
                let _scope = argument.u32()?;
                let action = argument.u16()?;
                if !matches!(action, POLL | POLL_EXTENDED) {
                    return Some(None);
                }
                let mut detail = Reader(argument.block()?);
                let number = detail.u16()?;
                let _partition = detail.u16()?;
                let (class, group) = (detail.u16()?, detail.u16()?);
                let keep_sending = if action == POLL_EXTENDED {
                    Attributes::parse(&mut detail)?.get(POLL_FOR).and_then(|bytes| Reader(bytes).u32())
                } else {
                    None
                };
                Some(Some(Self::Poll { invoke, poll: Poll { number, class, group, keep_sending } }))
            }
            CONFIRMED_SET => {
                let _scope = argument.u32()?;
                let count = argument.u16()?;
                let mut list = Reader(argument.block()?);
                if count != 1 {
                    return Some(None);
                }
                let _replace = list.u16()?;
                let id = list.u16()?;
                let labels = Labels::parse(list.block()?)?;
                Some(Some(Self::Select { invoke, list: id, labels }))
            }
            _ => Some(None),
        }
    }

    fn parse_result(invoke: u16, link: Link, body: &mut Reader<'a>) -> Option<Option<Self>> {
        let command = body.u16()?;
        let mut argument = Reader(body.block()?);
        let _object = Object::parse(&mut argument)?;
        match command {
            CONFIRMED_ACTION => {
                let action = argument.u16()?;
                let mut detail = Reader(argument.block()?);
                if !matches!(action, POLL | POLL_EXTENDED) {
                    return Some(None);
                }
                let reply = Reply::parse(&mut detail, action == POLL_EXTENDED)?;
                (detail.is_empty() && argument.is_empty()).then_some(Some(Self::Reply {
                    invoke,
                    link,
                    reply,
                }))
            }
            GET | CONFIRMED_SET => {
                let attributes = Attributes::parse(&mut argument)?;
                Some(Some(Self::Lists { invoke, is_set: command == CONFIRMED_SET, attributes }))
            }
            CONFIRMED_EVENT => {
                let (time, event) = (argument.u32()?, argument.u16()?);
                Some((event == MDS_CREATED).then_some(Self::MdsCreateResult { invoke, time }))
            }
            _ => Some(None),
        }
    }

    fn parse_indication(bytes: &'a [u8]) -> Option<Self> {
        let mut reader = Reader(bytes);
        (reader.array()? == NOMENCLATURE && reader.u16()? == ROIV).then_some(())?;
        let mut body = Reader(reader.block()?);
        let (_invoke, command) = (body.u16()?, body.u16()?);
        let mut argument = Reader(body.block()?);
        let object = Object::parse(&mut argument)?;
        let (time, event) = (argument.u32()?, argument.u16()?);
        let is_ours = command == EVENT && event == CONNECT_INDICATION && object.class == class::COMPOSITE;
        let mut detail = Reader(argument.block()?);
        let attributes = Attributes::parse(&mut detail)?;
        is_ours.then_some(Self::Indication { time, attributes })
    }

    /// Appends the message.
    pub(super) fn emit(&self, out: &mut Vec<u8>) {
        match *self {
            Self::Associate(info) => info.emit_request(out),
            Self::Associated(info) => info.emit_response(out),
            Self::Refused => out.extend_from_slice(REFUSE),
            Self::Release => out.extend_from_slice(RELEASE_REQUEST),
            Self::Released => out.extend_from_slice(RELEASE_RESPONSE),
            Self::Abort => out.extend_from_slice(ABORT),
            Self::Indication { time, attributes } => {
                out.extend_from_slice(&NOMENCLATURE);
                put_u16(out, ROIV);
                put_block(out, |out| {
                    put_u16(out, 0);
                    put_u16(out, EVENT);
                    put_block(out, |out| {
                        Object { class: class::COMPOSITE }.emit(out);
                        put_u32(out, time);
                        put_u16(out, CONNECT_INDICATION);
                        put_block(out, |out| attributes.emit(out));
                    });
                });
            }
            Self::MdsCreate { invoke, time, attributes } => {
                operation(out, ROIV, &[], invoke, CONFIRMED_EVENT, |out| {
                    put_u32(out, time);
                    put_u16(out, MDS_CREATED);
                    put_block(out, |out| {
                        Object::MDS.emit(out);
                        attributes.emit(out);
                    });
                });
            }
            Self::MdsCreateResult { invoke, time } => {
                operation(out, RORS, &[], invoke, CONFIRMED_EVENT, |out| {
                    put_u32(out, time);
                    put_u16(out, MDS_CREATED);
                    put_u16(out, 0);
                });
            }
            Self::Poll { invoke, poll } => {
                operation(out, ROIV, &[], invoke, CONFIRMED_ACTION, |out| poll.emit(out));
            }
            Self::Reply { invoke, link, reply } => {
                let write = |out: &mut Vec<u8>| reply.emit(out);
                match link {
                    Link::Final => operation(out, RORS, &[], invoke, CONFIRMED_ACTION, write),
                    Link::Part { state, count } => {
                        operation(out, ROLRS, &[state, count], invoke, CONFIRMED_ACTION, write);
                    }
                }
            }
            Self::Select { invoke, list, labels } => {
                operation(out, ROIV, &[], invoke, CONFIRMED_SET, |out| {
                    put_u32(out, 0);
                    put_list(out, |out| {
                        put_u16(out, 0);
                        put_u16(out, list);
                        put_block(out, |out| labels.emit(out));
                        1
                    });
                });
            }
            Self::Lists { invoke, is_set, attributes } => {
                let command = if is_set { CONFIRMED_SET } else { GET };
                operation(out, RORS, &[], invoke, command, |out| attributes.emit(out));
            }
            Self::Failed { invoke, error, detail } => {
                out.extend_from_slice(&EXPORT);
                put_u16(out, ROER);
                put_block(out, |out| {
                    put_u16(out, invoke);
                    put_u16(out, error);
                    put_block(out, |out| out.extend_from_slice(detail));
                });
            }
            Self::Other { operation, body } => {
                out.extend_from_slice(&EXPORT);
                put_u16(out, operation);
                put_block(out, |out| out.extend_from_slice(body));
            }
        }
    }
}

/// Writes the headers of a data export operation on the medical device system, and its argument after the object.
fn operation(
    out: &mut Vec<u8>,
    kind: u16,
    link: &[u8],
    invoke: u16,
    command: u16,
    argument: impl FnOnce(&mut Vec<u8>),
) {
    out.extend_from_slice(&EXPORT);
    put_u16(out, kind);
    put_block(out, |out| {
        out.extend_from_slice(link);
        put_u16(out, invoke);
        put_u16(out, command);
        put_block(out, |out| {
            Object::MDS.emit(out);
            argument(out);
        });
    });
}

/// True if the session length of an association control message is the length of what follows.
fn session_is_whole(bytes: &[u8]) -> bool {
    match bytes {
        [_, 0xFF, high, low, rest @ ..] => usize::from(u16::from_be_bytes([*high, *low])) == rest.len(),
        [_, length, rest @ ..] => usize::from(*length) == rest.len(),
        _ => false,
    }
}

impl Poll {
    fn emit(&self, out: &mut Vec<u8>) {
        put_u32(out, 0);
        put_u16(out, if self.keep_sending.is_some() { POLL_EXTENDED } else { POLL });
        put_block(out, |out| {
            put_u16(out, self.number);
            put_u16(out, PARTITION_OBJECT);
            put_u16(out, self.class);
            put_u16(out, self.group);
            if let Some(ticks) = self.keep_sending {
                emit_attributes(&[(POLL_FOR, &ticks.to_be_bytes())], out);
            }
        });
    }
}

impl<'a> Reply<'a> {
    pub(super) fn new(poll: Poll, sequence: u16, time: u32, contexts: Contexts<'a>) -> Self {
        Self {
            number: poll.number,
            sequence: poll.keep_sending.map(|_| sequence),
            time,
            absolute: NO_TIME,
            partition: PARTITION_OBJECT,
            class: poll.class,
            group: poll.group,
            contexts,
        }
    }

    fn parse(reader: &mut Reader<'a>, is_extended: bool) -> Option<Self> {
        Some(Self {
            number: reader.u16()?,
            sequence: if is_extended { Some(reader.u16()?) } else { None },
            time: reader.u32()?,
            absolute: reader.array()?,
            partition: reader.u16()?,
            class: reader.u16()?,
            group: reader.u16()?,
            contexts: Contexts::parse(reader)?,
        })
    }

    fn emit(&self, out: &mut Vec<u8>) {
        put_u16(out, if self.sequence.is_some() { POLL_EXTENDED } else { POLL });
        put_block(out, |out| {
            put_u16(out, self.number);
            if let Some(sequence) = self.sequence {
                put_u16(out, sequence);
            }
            put_u32(out, self.time);
            out.extend_from_slice(&self.absolute);
            put_u16(out, self.partition);
            put_u16(out, self.class);
            put_u16(out, self.group);
            self.contexts.emit(out);
        });
    }
}

/// Class, context and handle of an object; only the class matters to this conversation.
#[derive(Clone, Copy)]
struct Object {
    class: u16,
}

impl Object {
    const MDS: Self = Self { class: class::MDS };

    fn parse(reader: &mut Reader<'_>) -> Option<Self> {
        let class = reader.u16()?;
        reader.u32()?;
        Some(Self { class })
    }

    fn emit(self, out: &mut Vec<u8>) {
        put_u16(out, self.class);
        put_u32(out, 0);
    }
}
