//! Waveforms for the readers: every channel once described, then binary chunks that are encoded once for all.

use crate::unit::unknown;
use bytes::{BufMut, Bytes, BytesMut};
use cotside_protocol::model::parameter;
use cotside_protocol::wire::block::{Channel, Header, Stretch};
use cotside_protocol::wire::convert::site_name;
use serde::{Serialize, Serializer};
use std::collections::BTreeMap;
use std::sync::Arc;

/// Version byte of a binary chunk.
const CHUNK_VERSION: u8 = 1;
const CHUNK_HEAD: usize = 16;
/// No bed has as many waveforms; a broken agent stops here.
const CHANNELS_PER_BED_MAX: usize = 64;

/// One block's waveforms, ready for the wire.
#[derive(Clone, Debug)]
pub struct WaveFrame {
    pub bed: Arc<str>,
    /// The description of this bed's channels, where the samples need one that was not sent before.
    pub channels: Option<Arc<str>>,
    pub samples: Bytes,
}

#[derive(Debug, Default)]
pub(super) struct Waves {
    beds: BTreeMap<Arc<str>, BTreeMap<Channel, Description>>,
    last_id: u16,
}

#[derive(Clone, Debug, PartialEq, Serialize)]
struct Description {
    id: u16,
    #[serde(serialize_with = "text")]
    bed: Arc<str>,
    code: u32,
    label: String,
    site: Option<String>,
    ucum: String,
    period_us: u32,
    gain: f64,
    offset: f64,
    device: String,
}

#[derive(Serialize)]
struct Channels<'a> {
    r#type: &'static str,
    channels: Vec<&'a Description>,
}

impl Waves {
    /// None: nothing that could be drawn.
    pub(super) fn take(
        &mut self,
        bed: &str,
        header: &Header,
        stretches: &[Stretch],
        device: impl Fn(u8) -> String,
    ) -> Option<WaveFrame> {
        let bed = self.beds.get_key_value(bed).map_or_else(|| Arc::from(bed), |(bed, _)| bed.clone());
        let mut chunks = BytesMut::new();
        let mut has_news = false;
        for stretch in stretches.iter().filter(|stretch| stretch.period_us > 0 && !stretch.samples.is_empty())
        {
            let device = device(stretch.channel.link);
            let Some((id, is_news)) = self.describe(&bed, stretch, device) else { continue };
            has_news |= is_news;
            encode(&mut chunks, id, header, stretch);
        }
        let channels = has_news.then(|| self.channels([&*bed]).into());
        (!chunks.is_empty()).then(|| WaveFrame { bed, channels, samples: chunks.freeze() })
    }

    /// The channel's number, and whether its readers must be told of it first.
    fn describe(&mut self, bed: &Arc<str>, stretch: &Stretch, device: String) -> Option<(u16, bool)> {
        let known = self.beds.entry(bed.clone()).or_default();
        let code = stretch.channel.code;
        let id = match known.get(&stretch.channel) {
            Some(described) => described.id,
            None if known.len() >= CHANNELS_PER_BED_MAX => return None,
            None => {
                self.last_id = self.last_id.checked_add(1)?;
                self.last_id
            }
        };
        let description = Description {
            id,
            bed: bed.clone(),
            code: code.0,
            label: parameter(code).map_or_else(|| unknown(code), |row| row.label.to_owned()),
            site: site_name(stretch.channel.site),
            ucum: stretch.ucum.clone(),
            period_us: stretch.period_us,
            gain: stretch.gain,
            offset: stretch.offset,
            device,
        };
        let is_news = known.get(&stretch.channel) != Some(&description);
        if is_news {
            known.insert(stretch.channel, description);
        }
        Some((id, is_news))
    }

    /// The message that describes the channels of these beds.
    pub(super) fn channels<'a>(&self, beds: impl IntoIterator<Item = &'a str>) -> String {
        let known = beds.into_iter().filter_map(|bed| self.beds.get(bed));
        let channels = known.flat_map(BTreeMap::values).collect();
        serde_json::to_string(&Channels { r#type: "channels", channels }).expect(
            "a description has string keys and its numbers are written as null where they are not finite",
        )
    }
}

fn text<S: Serializer>(text: &Arc<str>, out: S) -> Result<S::Ok, S::Error> {
    out.serialize_str(text)
}

fn encode(chunks: &mut BytesMut, id: u16, header: &Header, stretch: &Stretch) {
    let Ok(count) = u32::try_from(stretch.samples.len()) else { return };
    chunks.reserve(CHUNK_HEAD + 4 * stretch.samples.len());
    chunks.put_u8(CHUNK_VERSION);
    chunks.put_u8(0);
    chunks.put_u16_le(id);
    chunks.put_u32_le(count);
    let begin_us = header.wall.0.saturating_add(stretch.at_us);
    chunks.put_f64_le(begin_us as f64 / 1000.0);
    for sample in &stretch.samples {
        chunks.put_i32_le(*sample);
    }
}
