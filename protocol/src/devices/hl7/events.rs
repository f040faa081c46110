//! From a message's report to the model's events: identity, channels told apart, lag and pace.

use super::message::{Dialect, Report};
use super::observation::Observation;
use super::pace::{Clock, Feed};
use super::wave::Wave;
use crate::face::ClockFace;
use crate::hl7::charset::Charset;
use crate::hl7::escape;
use crate::hl7::scan::{Field, Message};
use crate::hl7::time::{Precision, Time};
use crate::model::{
    Code, DeviceText, Event, Identity, Kind, Now, Numeric, Pace, Private, Quality, Site, Wall, Waveform, Zone,
};
use std::collections::BTreeMap;
use std::time::Duration;

/// Channels that were told apart by their place.
const PLACES_MAX: usize = 4096;

/// What a connection has learned about its sender.
#[derive(Debug)]
pub(super) struct Teller {
    dialect: Dialect,
    /// Minutes east of UTC of times that state no offset anywhere. None: such times measure, but date nothing.
    offset_min: Option<i16>,
    identified: Option<Identified>,
    feed: Feed,
    face: ClockFace,
    /// Channels of one code and site, in the order of their places, once a message has held more than one.
    places: BTreeMap<(Code, Site, [u32; 4]), u8>,
}

/// Who sent the last message, and for what device.
#[derive(Debug, PartialEq, Eq)]
struct Identified {
    /// MSH-3.
    sender: DeviceText,
    identity: Identity,
}

impl Teller {
    pub(super) fn new(dialect: Dialect, offset_min: Option<i16>) -> Self {
        Self {
            dialect,
            offset_min,
            identified: None,
            feed: Feed::default(),
            face: ClockFace::default(),
            places: BTreeMap::new(),
        }
    }

    /// The identity comes before the data, and again whenever it changes.
    pub(super) fn tell(
        &mut self,
        now: Now,
        message: &Message<'_>,
        charset: Charset,
        report: &Report<'_>,
        mut tell: impl FnMut(Event),
    ) {
        let identified = identity(message, charset, report, self.identified.as_ref());
        if self.identified.as_ref() != Some(&identified) {
            tell(Event::Identified(identified.identity.clone()));
            self.identified = Some(identified);
        }
        self.look(now, report.made_at).into_iter().for_each(&mut tell);
        if self.feed.arrived(now.mono, report.made_at) == Clock::SteppedBack {
            tell(Event::Notice("the sender's clock was set back"));
        }
        self.learn_places(&report.observations);
        for observation in &report.observations {
            tell(Event::Numeric(self.numeric(now, report, observation)));
        }
        for wave in &report.waves {
            match self.waveform(now, report, wave) {
                Some(waveform) => tell(Event::Waveform(waveform)),
                None => tell(Event::Notice("a waveform without a sample rate cannot be shown")),
            }
        }
    }

    /// MSH-7 is the sender's clock when it made the message.
    fn look(&mut self, now: Now, made_at: Option<Time>) -> Option<Event> {
        let made = made_at?;
        let resolution = match made.precision {
            Precision::Fraction => Duration::from_millis(1),
            Precision::Second => Duration::from_secs(1),
            Precision::Minute => Duration::from_secs(60),
            Precision::Year | Precision::Month | Precision::Day | Precision::Hour => return None,
        };
        let zone = made.offset_min.or(self.offset_min).map_or(Zone::Unknown, Zone::Stated);
        self.face.look(now.mono, Wall(made.local_us), zone, resolution)
    }

    fn numeric(&mut self, now: Now, report: &Report<'_>, observation: &Observation) -> Numeric {
        let site = self.told_apart(observation);
        // A setting changes when somebody changes it; a cuff measures when it is asked to.
        let pace = match observation {
            Observation { is_episodic: true, .. } => Pace::Episodic,
            Observation { code, .. } => self.feed.pace(now.mono, report.made_at, *code, site),
        };
        Numeric {
            code: observation.code,
            site,
            value: observation.value,
            ucum: observation.ucum,
            quality: demo(observation.quality, report),
            kind: observation.kind,
            pace,
            device_at: self.wall(observation.at.or(report.made_at)),
            lag: self.feed.lag(report.made_at, observation.at),
        }
    }

    fn waveform(&mut self, now: Now, report: &Report<'_>, wave: &Wave<'_>) -> Option<Waveform> {
        let samples = wave.samples(&self.dialect.sentinels)?;
        let span = Duration::from_micros(u64::from(samples.period_us) * samples.samples.len() as u64);
        let age = self.feed.lag(report.made_at, wave.begins_at);
        let assumed = if wave.is_ucum_assumed { Quality::UCUM_ASSUMED } else { Quality::GOOD };
        Some(Waveform {
            code: wave.code,
            site: wave.site,
            period_us: samples.period_us,
            gain: samples.gain,
            offset: 0.0,
            ucum: wave.ucum,
            quality: demo(wave.quality | assumed, report),
            begin: self.feed.begin(now.mono, age, span, wave.code, wave.site),
            device_at: self.wall(wave.begins_at),
            samples: samples.samples,
        })
    }

    fn wall(&self, at: Option<Time>) -> Option<crate::model::Wall> {
        at.and_then(|at| at.wall(self.offset_min))
    }

    /// Two channels of one code, told apart by nothing but OBX-4: from the first message that holds both, they are numbered by
    /// their place and keep their numbers while the connection lasts.
    fn learn_places(&mut self, observations: &[Observation]) {
        let key = |one: &Observation| (one.code, one.site, one.path.metric());
        let mut keys: Vec<_> =
            observations.iter().filter(|one| one.kind == Kind::Measurement).map(key).collect();
        keys.sort_unstable();
        keys.dedup();
        let same = |a: &(Code, Site, [u32; 4]), b: &(Code, Site, [u32; 4])| (a.0, a.1) == (b.0, b.1);
        for channels in keys.chunk_by(same).filter(|channels| channels.len() > 1) {
            let (code, site, _) = channels[0];
            let known = self.places.range((code, site, [0; 4])..=(code, site, [u32::MAX; 4])).count();
            let mut next = u8::try_from(known).unwrap_or(u8::MAX);
            for channel in channels {
                if self.places.len() < PLACES_MAX && !self.places.contains_key(channel) {
                    next = next.saturating_add(1);
                    self.places.insert(*channel, next);
                }
            }
        }
    }

    fn told_apart(&self, one: &Observation) -> Site {
        let number = self.places.get(&(one.code, one.site, one.path.metric()));
        number.map_or(one.site, |number| Site::Numbered(*number))
    }
}

/// MSH-11 says training or debugging: not a patient, whatever the values say.
fn demo(quality: Quality, report: &Report<'_>) -> Quality {
    if report.is_demo { quality | Quality::DEMO } else { quality }
}

/// The device by its OBX-18 where there is one, else the sending application at its bed. What a message leaves out is as it was
/// (HL7 v2.x chapter 2.5.3: an empty field says nothing), as long as it comes from the same application for the same bed.
fn identity(
    message: &Message<'_>,
    charset: Charset,
    report: &Report<'_>,
    known: Option<&Identified>,
) -> Identified {
    let text = |bytes: &[u8]| DeviceText::new(&escape::decode(bytes, &message.separators(), charset));
    let header = message.header();
    let [application, application_id] = header.field(3).first::<2>();
    let sender = text(header.field(3).bytes());
    let bed_label = report.location.map(|field| DeviceText::new(&place(field, text)));
    let known = known
        .filter(|known| known.sender == sender)
        .filter(|known| bed_label.as_ref().is_none_or(|label| *label == known.identity.bed_label));
    let bed_label = bed_label.or(known.map(|known| known.identity.bed_label.clone())).unwrap_or_default();
    let first = |ids: [&[u8]; 2]| text(ids.into_iter().find(|id| !id.is_empty()).unwrap_or_default());
    let (model, serial) = match (report.equipment, known) {
        (Some(field), _) => {
            // EI: the universal id is this device's own only if it is an EUI-64; else it is its maker's domain.
            let [id, model, universal_id, kind] = field.first::<4>();
            let universal_id = if kind.starts_with(b"EUI") { universal_id } else { b"" };
            (first([model, application]), first([universal_id, id]))
        }
        (None, Some(known)) => (known.identity.model.clone(), known.identity.serial.clone()),
        (None, None) if bed_label.is_empty() => {
            (first([application, application_id]), first([application_id, application]))
        }
        (None, None) => {
            let serial = format!("{}@{bed_label}", first([application_id, application]));
            (first([application, application_id]), DeviceText::new(serial.trim_start_matches('@')))
        }
    };
    let patient = match report.patient {
        None => known.and_then(|known| known.identity.patient.clone()),
        Some(b"" | b"\"\"") => None,
        Some(id) => Some(Private::new(text(id))),
    };
    let manufacturer = text(header.field(4).component(1));
    let identity =
        Identity { manufacturer, model, serial, firmware: DeviceText::default(), bed_label, patient };
    Identified { sender, identity }
}

/// PV1-3 as far as room and bed, without what vendors hang on the parts.
fn place(field: Field<'_>, text: impl Fn(&[u8]) -> DeviceText) -> String {
    let parts = field.first::<3>().map(|part| text(field.subcomponents(part).next().unwrap_or_default()));
    let [unit, room, bed] = parts.each_ref().map(DeviceText::as_str);
    format!("{unit}^{room}^{bed}").trim_end_matches('^').to_owned()
}
