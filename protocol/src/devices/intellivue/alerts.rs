//! The monitor's own alerts: it sends whole lists every second, and what begins and ends is found by comparing them.
//!
//! A list may be spread over linked replies; an incomplete sequence is dropped, and an alert ends only when two complete lists in
//! turn are without it, because over a lossy cable a tail may look like a list of its own.

use super::attribute::{AlertEntry, compound, id};
use super::message::{Link, Reply};
use super::params::meaning;
use crate::model::{Alert, AlertPhase, Event, Priority};

/// A list longer than this is cut; monitors show a dozen.
const ENTRIES_MAX: usize = 128;
const MISSED_MAX: u8 = 2;
/// Context-free alert codes are in partition 3.
const EVENTS: u32 = 3 << 16;

#[derive(Debug, Default)]
pub(super) struct Alerts {
    present: Vec<Present>,
    list: List,
}

#[derive(Debug)]
struct Present {
    key: Key,
    alert: Alert,
    missed: u8,
}

/// Source, code, object and instance: the protocol has no identity for an alert.
type Key = (bool, u16, u16, u16, u16, u16, u16);

/// The list being assembled.
#[derive(Debug, Default)]
struct List {
    /// Invoke id, poll number, sequence number, and the count the next part must have.
    expected: Option<(u16, u16, u16, u8)>,
    entries: Vec<(bool, AlertEntry)>,
    /// Which of the two lists (patient, technical) it has brought.
    brought: [bool; 2],
}

impl Alerts {
    /// Takes one reply of the alert monitor; returns how many bytes were not what they must be.
    pub(super) fn take(
        &mut self,
        invoke: u16,
        link: Link,
        reply: &Reply<'_>,
        sink: &mut dyn FnMut(Event),
    ) -> usize {
        if !self.list.is_next(invoke, link, reply) {
            return 0;
        }
        let mut bad = 0;
        for object in reply.contexts.objects() {
            for (id, value) in object.attributes.iter() {
                let is_technical = id == id::ALERTS_TECHNICAL;
                if (is_technical || id == id::ALERTS_PATIENT) && !self.list.add(is_technical, value) {
                    bad += value.len();
                }
            }
        }
        if link == Link::Final {
            let list = std::mem::take(&mut self.list);
            if bad == 0 {
                self.compare(list, sink);
            }
        }
        bad
    }

    fn compare(&mut self, list: List, sink: &mut dyn FnMut(Event)) {
        for present in &mut self.present {
            if list.brought[usize::from(present.key.0)] {
                present.missed += 1;
            }
        }
        for (is_technical, entry) in list.entries {
            let key = key(is_technical, &entry);
            let alert = alert(is_technical, entry);
            match self.present.iter_mut().find(|present| present.key == key) {
                Some(present) => {
                    present.missed = 0;
                    if present.alert != alert {
                        present.alert = alert.clone();
                        sink(Event::Alert(alert));
                    }
                }
                None => {
                    self.present.push(Present { key, alert: alert.clone(), missed: 0 });
                    sink(Event::Alert(alert));
                }
            }
        }
        self.present.retain(|present| {
            let is_over = present.missed >= MISSED_MAX;
            if is_over {
                sink(Event::Alert(Alert { phase: AlertPhase::Ended, ..present.alert.clone() }));
            }
            !is_over
        });
    }
}

impl List {
    /// Whether this part continues the list in hand (or begins one); a broken sequence is dropped.
    fn is_next(&mut self, invoke: u16, link: Link, reply: &Reply<'_>) -> bool {
        let sequence = reply.sequence.unwrap_or(0);
        let mine = |(was_invoke, was_number, was_sequence, _): (u16, u16, u16, u8)| {
            (was_invoke, was_number, was_sequence) == (invoke, reply.number, sequence)
        };
        match (link, self.expected) {
            (Link::Part { count: 1, .. }, _) => {
                *self = Self { expected: Some((invoke, reply.number, sequence, 2)), ..Self::default() };
                true
            }
            (Link::Part { count, .. }, Some(expected)) if mine(expected) && count == expected.3 => {
                self.expected = Some((expected.0, expected.1, expected.2, count.saturating_add(1)));
                true
            }
            (Link::Part { .. }, _) => {
                *self = Self::default();
                false
            }
            (Link::Final, Some(expected)) if mine(expected) => true,
            (Link::Final, _) => {
                *self = Self::default();
                true
            }
        }
    }

    fn add(&mut self, is_technical: bool, value: &[u8]) -> bool {
        self.brought[usize::from(is_technical)] = true;
        let Some(mut entries) = compound(value) else { return false };
        while !entries.is_empty() && self.entries.len() < ENTRIES_MAX {
            match AlertEntry::parse(&mut entries) {
                Some(entry) => self.entries.push((is_technical, entry)),
                None => return false,
            }
        }
        true
    }
}

fn key(is_technical: bool, entry: &AlertEntry) -> Key {
    (is_technical, entry.source, entry.code, entry.class, entry.context, entry.handle, entry.instance)
}

fn alert(is_technical: bool, entry: AlertEntry) -> Alert {
    // The lowest bit says what kind of source it is: 0 a measured parameter, 1 an object class.
    let names_parameter = entry.code & 1 == 0 && entry.source != 0;
    Alert {
        code: EVENTS + u32::from(entry.code & !1),
        source: names_parameter.then(|| meaning(entry.source, None).code),
        priority: match entry.kind {
            0x0400 | 0x0004 => Priority::High,
            0x0200 | 0x0002 => Priority::Medium,
            0x0100 | 0x0001 => Priority::Low,
            _ if is_technical => Priority::Low,
            _ => Priority::High,
        },
        text: entry.text,
        phase: AlertPhase::Present,
        technical: is_technical,
    }
}

#[cfg(test)]
mod tests {
    use super::Alerts;
    use crate::devices::intellivue::attribute::{AlertEntry, id};
    use crate::devices::intellivue::lists::{Contexts, emit_attributes};
    use crate::devices::intellivue::message::{Link, Poll, Reply, class, group};
    use crate::devices::intellivue::octets::{Reader, put_list, put_u16};
    use crate::model::{AlertPhase, DeviceText, Event};

    /// Feeds one reply with these patient alerts; what is reported, as `+code` and `-code`.
    fn feed(alerts: &mut Alerts, link: Link, sequence: u16, codes: &[u16]) -> Vec<String> {
        let mut list = Vec::new();
        put_list(&mut list, |out| {
            for code in codes {
                let text = DeviceText::new("** TEST");
                let (source, kind, class, context, handle) = (0x4182, 0x0200, 6, 1, 0x82CF);
                AlertEntry { source, code: *code, kind, state: 0, class, context, handle, instance: 0, text }
                    .emit(out);
            }
            codes.len() as u16
        });
        let mut bytes = Vec::new();
        put_list(&mut bytes, |out| {
            put_u16(out, 1);
            put_list(out, |out| {
                put_u16(out, 0x8401);
                emit_attributes(&[(id::ALERTS_PATIENT, &list)], out);
                1
            });
            1
        });
        let contexts = Contexts::parse(&mut Reader(&bytes)).unwrap();
        let poll = Poll { number: 6, class: class::ALERTS, group: group::ALERTS, keep_sending: Some(1) };
        let mut said = Vec::new();
        let bad = alerts.take(6, link, &Reply::new(poll, sequence, 1, contexts), &mut |event| {
            if let Event::Alert(alert) = event {
                let sign = if alert.phase == AlertPhase::Present { '+' } else { '-' };
                said.push(format!("{sign}{:04x}", alert.code & 0xFFFF));
            }
        });
        assert_eq!(bad, 0);
        said
    }

    const fn part(count: u8) -> Link {
        Link::Part { state: 2, count }
    }

    #[test]
    fn an_alert_begins_once_and_ends_after_two_lists_without_it() {
        let mut alerts = Alerts::default();
        assert_eq!(feed(&mut alerts, Link::Final, 1, &[0x0028]), ["+0028"]);
        assert!(feed(&mut alerts, Link::Final, 2, &[0x0028]).is_empty());
        assert!(feed(&mut alerts, Link::Final, 3, &[]).is_empty());
        assert_eq!(feed(&mut alerts, Link::Final, 4, &[0x003E]), ["+003e", "-0028"]);
    }

    #[test]
    fn a_list_spread_over_replies_is_one_list_and_a_torn_one_is_none() {
        let mut alerts = Alerts::default();
        assert!(feed(&mut alerts, part(1), 1, &[0x0028]).is_empty());
        assert!(feed(&mut alerts, part(2), 1, &[0x003E]).is_empty());
        assert_eq!(feed(&mut alerts, Link::Final, 1, &[0x0C00]), ["+0028", "+003e", "+0c00"]);
        // The second part is lost.
        assert!(feed(&mut alerts, part(1), 2, &[0x0028]).is_empty());
        assert!(feed(&mut alerts, part(3), 2, &[]).is_empty());
        // A tail that looks like a whole list: not enough to end anything.
        assert!(feed(&mut alerts, Link::Final, 2, &[0x0C00]).is_empty());
        assert!(feed(&mut alerts, Link::Final, 3, &[0x0028, 0x003E, 0x0C00]).is_empty());
    }
}
