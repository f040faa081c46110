//! The lists inside messages, borrowed and checked: every count has been walked against its length before a value is believed.

use super::octets::{Reader, put_block, put_list, put_u16};

/// A checked attribute list: `count` attributes fill `bytes` exactly.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Attributes<'a> {
    count: u16,
    bytes: &'a [u8],
}

impl<'a> Attributes<'a> {
    pub(super) fn parse(reader: &mut Reader<'a>) -> Option<Self> {
        let count = reader.u16()?;
        let bytes = reader.block()?;
        let mut walk = Reader(bytes);
        for _ in 0..count {
            walk.u16()?;
            walk.block()?;
        }
        walk.is_empty().then_some(Self { count, bytes })
    }

    pub(super) fn iter(self) -> impl Iterator<Item = (u16, &'a [u8])> {
        let mut reader = Reader(self.bytes);
        std::iter::from_fn(move || Some((reader.u16()?, reader.block()?)))
    }

    pub(super) fn get(self, wanted: u16) -> Option<&'a [u8]> {
        self.iter().find(|(id, _)| *id == wanted).map(|(_, value)| value)
    }

    pub(super) fn emit(self, out: &mut Vec<u8>) {
        put_u16(out, self.count);
        put_block(out, |out| out.extend_from_slice(self.bytes));
    }
}

/// Appends an attribute list.
pub(super) fn emit_attributes(attributes: &[(u16, &[u8])], out: &mut Vec<u8>) {
    put_list(out, |out| {
        for (id, value) in attributes {
            put_u16(out, *id);
            put_block(out, |out| out.extend_from_slice(value));
        }
        attributes.len() as u16
    });
}

/// A checked poll info list: contexts with their objects, every count and length walked once.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Contexts<'a> {
    count: u16,
    bytes: &'a [u8],
}

/// One object of a reply.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Observed<'a> {
    pub(super) context: u16,
    pub(super) handle: u16,
    pub(super) attributes: Attributes<'a>,
}

impl<'a> Contexts<'a> {
    pub(super) fn parse(reader: &mut Reader<'a>) -> Option<Self> {
        let count = reader.u16()?;
        let bytes = reader.block()?;
        let mut walk = Reader(bytes);
        for _ in 0..count {
            walk.u16()?;
            let objects = walk.u16()?;
            let mut inner = Reader(walk.block()?);
            for _ in 0..objects {
                inner.u16()?;
                Attributes::parse(&mut inner)?;
            }
            inner.is_empty().then_some(())?;
        }
        walk.is_empty().then_some(Self { count, bytes })
    }

    pub(super) fn is_empty(self) -> bool {
        self.count == 0
    }

    pub(super) fn objects(self) -> impl Iterator<Item = Observed<'a>> {
        let mut outer = Reader(self.bytes);
        let mut inner = Reader(&[]);
        let mut context = 0;
        std::iter::from_fn(move || {
            while inner.is_empty() {
                context = outer.u16()?;
                outer.u16()?;
                inner = Reader(outer.block()?);
            }
            Some(Observed { context, handle: inner.u16()?, attributes: Attributes::parse(&mut inner)? })
        })
    }

    pub(super) fn emit(self, out: &mut Vec<u8>) {
        put_u16(out, self.count);
        put_block(out, |out| out.extend_from_slice(self.bytes));
    }
}

/// The labels of a priority list.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Labels<'a>(&'a [u8]);

impl<'a> Labels<'a> {
    /// From text ids one after the other, four bytes each.
    pub(super) fn new(bytes: &'a [u8]) -> Self {
        Self(bytes)
    }

    pub(super) fn parse(bytes: &'a [u8]) -> Option<Self> {
        let mut reader = Reader(bytes);
        let count = reader.u16()?;
        let labels = reader.block()?;
        (labels.len() == usize::from(count) * 4 && reader.is_empty()).then_some(Self(labels))
    }

    pub(super) fn iter(self) -> impl Iterator<Item = u32> {
        let mut reader = Reader(self.0);
        std::iter::from_fn(move || reader.u32())
    }

    pub(super) fn emit(self, out: &mut Vec<u8>) {
        put_u16(out, (self.0.len() / 4) as u16);
        put_block(out, |out| out.extend_from_slice(self.0));
    }
}
