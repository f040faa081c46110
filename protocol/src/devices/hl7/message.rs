//! One PCD-01 message (ORU^R01) read into observations: containment, times, equipment and patient from the segments around them.
//!
//! Source: IHE DEC PCD-01 (TF volume 2, 3.1 and appendix B). Slices of the message, no copies.

use super::observation::{Observation, Row};
use super::wave::Wave;
use crate::hl7::scan::{BadHeader, Field, Message, Segment};
use crate::hl7::time::Time;
use crate::model::Malformed;

/// A usual OBX segment, and a usual number of them.
const OBSERVATION_BYTES: usize = 100;
const OBSERVATIONS_EXPECTED: usize = 64;
/// Containment rows remembered while one OBR lasts.
const NODES_MAX: usize = 256;

/// OBX-4, `MDS.VMD.CHAN.METRIC[.FACET[.SUBFACET]]`. The numbers are compared as numbers and mean nothing in the next message.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Containment {
    pub parts: [u32; 6],
    pub depth: u8,
}

impl Containment {
    /// Empty if it is not numbers and dots, at most six deep.
    pub(super) fn parse(text: &[u8]) -> Self {
        let mut path = Self::default();
        for part in text.trim_ascii().split(|byte| *byte == b'.') {
            let slot = path.parts.get_mut(usize::from(path.depth));
            let (Some(slot), Some(number)) = (slot, super::params::number(part)) else {
                return Self::default();
            };
            *slot = number;
            path.depth += 1;
        }
        path
    }

    /// MDS, VMD, channel and metric.
    pub fn metric(&self) -> [u32; 4] {
        [self.parts[0], self.parts[1], self.parts[2], self.parts[3]]
    }

    /// A device, subdevice or channel row (`1.0.0.0`, `1.2.0.0`, `1.2.3.0`) that `other` stands below.
    fn contains(&self, other: &Self) -> bool {
        let used = self.parts[..3].iter().rposition(|part| *part != 0).map_or(0, |at| at + 1);
        used > 0 && self.parts[..used] == other.parts[..used]
    }
}

/// A containment row: what it says holds for everything below it.
#[derive(Clone, Copy, Debug)]
struct Node<'a> {
    path: Containment,
    at: Option<Time>,
    site: Field<'a>,
}

/// What a message says, and what could not be believed in it.
#[derive(Debug, Default)]
pub struct Report<'a> {
    /// MSH-7.
    pub made_at: Option<Time>,
    /// MSH-11 is not P: training or debugging, not a patient.
    pub is_demo: bool,
    /// PV1-3.
    pub location: Option<Field<'a>>,
    /// PID-3, the medical record number if there are several. `""`: there is none now. None: the message does not say.
    pub patient: Option<&'a [u8]>,
    /// OBX-18 of the device row, else the first one there is.
    pub equipment: Option<Field<'a>>,
    pub observations: Vec<Observation>,
    pub waves: Vec<Wave<'a>>,
    /// Segments, or fields of them, that contradict themselves: why, and how many bytes.
    pub refused: Vec<(Malformed, usize)>,
    /// Rows that are whole and correct, of a kind not modelled here.
    pub not_modelled: usize,
    nodes: Vec<Node<'a>>,
    /// The last OBX-14 read: most rows of a message repeat it.
    last_time: (&'a [u8], Option<Time>),
    begins_at: Option<Time>,
    ends_at: Option<Time>,
}

/// Numbers that mean "no value" in this link's dialect; nothing does unless the link says so.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Dialect {
    pub sentinels: Vec<crate::model::Decimal>,
}

/// Reads one message, which must be UTF-8 ([`crate::hl7::charset::decode`]) and begin with MSH.
pub fn read_observations<'a>(message: &'a [u8], dialect: &Dialect) -> Result<Report<'a>, BadHeader> {
    Ok(read(&Message::scan(message)?, dialect))
}

pub(super) fn read<'a>(message: &Message<'a>, dialect: &Dialect) -> Report<'a> {
    let mut report = Report::default();
    // By the length that is there, and no more than a monitor sends.
    report.observations.reserve((message.bytes().len() / OBSERVATION_BYTES).min(OBSERVATIONS_EXPECTED));
    for segment in message.segments() {
        match &segment.kind() {
            b"OBX" => report.take_observation(&segment, dialect),
            b"OBR" => report.take_request(&segment),
            b"MSH" => report.take_header(&segment),
            b"PID" => report.patient = patient(segment.field(3)),
            b"PV1" => report.location = Some(segment.field(3)).filter(|field| !field.is_empty()),
            _ => {}
        }
    }
    report
}

impl<'a> Report<'a> {
    pub(super) fn forget_observations(&mut self) {
        self.observations.clear();
        self.waves.clear();
        self.refused.clear();
        self.not_modelled = 0;
    }

    fn take_header(&mut self, segment: &Segment<'a>) {
        let fields: [&[u8]; 12] = segment.fields();
        self.made_at = time(segment.whole(fields[7]));
        self.is_demo = matches!(segment.whole(fields[11]).component(1), b"T" | b"D");
    }

    fn take_request(&mut self, segment: &Segment<'a>) {
        let fields: [&[u8]; 9] = segment.fields();
        self.begins_at = self.rooted(time(segment.whole(fields[7])));
        self.ends_at = self.rooted(time(segment.whole(fields[8])));
        self.last_time = (b"", None);
        self.nodes.clear();
    }

    /// A time without an offset has that of MSH-7.
    fn rooted(&self, at: Option<Time>) -> Option<Time> {
        let otherwise = self.made_at.and_then(|made| made.offset_min);
        at.map(|at| Time { offset_min: at.offset_min.or(otherwise), ..at })
    }

    fn time_of(&mut self, field: Field<'a>) -> Option<Time> {
        // Most rows have none, and comparing nothing with nothing is slower than it sounds.
        if field.is_empty() {
            return None;
        }
        if field.bytes() != self.last_time.0 {
            self.last_time = (field.bytes(), self.rooted(time(field)));
        }
        self.last_time.1
    }

    fn take_observation(&mut self, segment: &Segment<'a>, dialect: &Dialect) {
        let row = Row::of(segment);
        let at = self.time_of(row.at());
        if !row.equipment().is_empty() && (self.equipment.is_none() || row.path.parts[1..] == [0; 5]) {
            self.equipment = Some(row.equipment());
        }
        if row.is_device() {
            if self.nodes.len() < NODES_MAX {
                self.nodes.push(Node { path: row.path, at, site: row.site() });
            }
            return;
        }
        if row.path.depth > 4 && self.waves.iter_mut().rev().take(16).any(|wave| wave.take_attribute(&row)) {
            return;
        }
        let above = |what: fn(&Node<'a>) -> bool| {
            let mut nodes = self.nodes.iter().rev().filter(|node| node.path.contains(&row.path));
            nodes.find(|node| what(node))
        };
        let site = if row.site().is_empty() {
            above(|node| !node.site.is_empty()).map_or(row.site(), |node| node.site)
        } else {
            row.site()
        };
        let at = at.or_else(|| above(|node| node.at.is_some()).and_then(|node| node.at)).or(self.begins_at);
        if row.kind() == b"NA" {
            self.waves.extend(Wave::of(&row, site, at, self.ends_at));
            return;
        }
        match row.observe(site, at, dialect) {
            Some(Ok(mut observation)) => {
                if observation.path.depth == 0 {
                    observation.path = self.unplaced(&observation);
                }
                self.observations.push(observation);
                if observation.is_malformed {
                    self.refused.push((Malformed::Field, segment.bytes().len()));
                }
            }
            Some(Err(reason)) => self.refused.push((reason, segment.bytes().len())),
            None => self.not_modelled += 1,
        }
    }

    /// Without OBX-4, equal codes are told apart by their order.
    fn unplaced(&self, observation: &Observation) -> Containment {
        let earlier =
            self.observations.iter().rev().take(64).filter(|other| other.code == observation.code).count();
        let order = u32::try_from(earlier).unwrap_or(u32::MAX);
        Containment { parts: [u32::MAX, 0, 0, order, 0, 0], depth: 4 }
    }
}

/// The first component: older versions put a precision into the second.
fn time(field: Field<'_>) -> Option<Time> {
    if field.is_empty() { None } else { Time::parse(field.component(1)) }
}

/// PID-3 is a list: the medical record number if one is marked, else an internal identifier, else the first there is.
fn patient(field: Field<'_>) -> Option<&[u8]> {
    let of_type =
        |kind: &[u8]| field.repetitions().find(|id| id.component(5) == kind && !id.component(1).is_empty());
    let any = || field.repetitions().find(|id| !id.component(1).is_empty());
    of_type(b"MR")
        .or_else(|| of_type(b"PI"))
        .or_else(any)
        .map(|id| id.component(1))
        .filter(|id| *id != b"\"\"")
}
