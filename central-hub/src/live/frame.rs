//! One frame of the event stream, encoded once for all: whoever may see some of its beds only is given those parts of it.

use crate::alarms::Beds;
use bytes::{BufMut as _, Bytes, BytesMut};
use serde::Serialize;
use std::ops::Range;
use std::sync::Arc;

#[derive(Clone, Debug)]
pub struct Frame {
    bytes: Bytes,
    pub is_tick: bool,
    /// Where the beds stand in it, in order; None: it is of no bed.
    beds: Option<Arc<[Place]>>,
    /// Goes to whoever covers none of its beds too.
    is_whole: bool,
}

/// A bed, and where it stands.
type Place = (String, Range<usize>);

/// What closes the list of beds and the event.
const END: &[u8] = b"]}\n\n";

impl Frame {
    /// An event of `text/event-stream`. JSON has no raw line break, so one `data:` line carries it.
    pub(super) fn plain(event: &str, data: &impl Serialize, is_tick: bool) -> Self {
        let mut bytes = begin(event, data);
        bytes.extend_from_slice(b"\n\n");
        Self { bytes: Bytes::from(bytes), is_tick, beds: None, is_whole: true }
    }

    /// An event whose last field is `beds`; `head` has the others, and at least one.
    pub(super) fn of_beds<'a, T: Serialize + 'a>(
        event: &str,
        head: &impl Serialize,
        beds: impl IntoIterator<Item = (&'a str, &'a T)>,
        is_whole: bool,
    ) -> Self {
        let mut bytes = begin(event, head);
        // The brace that closes the head.
        bytes.pop();
        bytes.extend_from_slice(b",\"beds\":[");
        let mut places = Vec::new();
        for (name, view) in beds {
            if !places.is_empty() {
                bytes.push(b',');
            }
            let from = bytes.len();
            write(&mut bytes, view);
            places.push((name.to_owned(), from..bytes.len()));
        }
        bytes.extend_from_slice(END);
        Self { bytes: Bytes::from(bytes), is_tick: false, beds: Some(places.into()), is_whole }
    }

    /// What of it may be seen by whoever sees these beds; None: nothing.
    pub fn of(&self, seen: &Beds) -> Option<Bytes> {
        let Some(beds) = self.beds.as_deref().filter(|_| *seen != Beds::All) else {
            return Some(self.bytes.clone());
        };
        let head = beds.first().map_or(self.bytes.len() - END.len(), |(_, place)| place.start);
        let mut own = BytesMut::with_capacity(self.bytes.len());
        own.put_slice(&self.bytes[..head]);
        for (_, place) in beds.iter().filter(|(name, _)| seen.has(name)) {
            if own.len() > head {
                own.put_u8(b',');
            }
            own.put_slice(&self.bytes[place.clone()]);
        }
        let is_news = self.is_whole || own.len() > head;
        own.put_slice(END);
        is_news.then(|| own.freeze())
    }
}

fn begin(event: &str, data: &impl Serialize) -> Vec<u8> {
    let mut bytes = format!("event: {event}\ndata: ").into_bytes();
    write(&mut bytes, data);
    bytes
}

fn write(bytes: &mut Vec<u8>, data: &impl Serialize) {
    serde_json::to_writer(bytes, data).expect("a view has string keys and its Serialize does not fail");
}

#[cfg(test)]
mod tests {
    use super::{Beds, Frame};
    use serde_json::json;

    #[test]
    fn a_station_is_given_its_own_beds_and_nothing_of_others() {
        let (one, two) = (json!({ "bed": "01" }), json!({ "bed": "02" }));
        let head = json!({ "hub_at_ms": 5 });
        let some = |names: &[&str]| Beds::Some(names.iter().map(|name| (*name).to_owned()).collect());
        let text = |frame: &Frame, seen: &Beds| {
            frame.of(seen).map(|bytes| String::from_utf8(bytes.to_vec()).unwrap())
        };
        let frame = Frame::of_beds("beds", &head, [("01", &one), ("02", &two)], false);
        let expected =
            |beds: &str| Some(format!("event: beds\ndata: {{\"hub_at_ms\":5,\"beds\":[{beds}]}}\n\n"));
        assert_eq!(text(&frame, &Beds::All), expected("{\"bed\":\"01\"},{\"bed\":\"02\"}"));
        assert_eq!(text(&frame, &some(&["02"])), expected("{\"bed\":\"02\"}"));
        assert_eq!(text(&frame, &some(&["01", "02"])), text(&frame, &Beds::All));
        assert_eq!(text(&frame, &some(&["03"])), None);
        let whole = Frame::of_beds("snapshot", &head, [("01", &one)], true);
        assert!(text(&whole, &some(&["03"])).unwrap().ends_with("\"beds\":[]}\n\n"));
    }
}
