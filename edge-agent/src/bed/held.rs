//! What uplink and store have no room for yet, and the account of what the store was given.
//!
//! When the store falls so far behind that something must go, streaming data goes, oldest first, and a gap record takes its place.

use crate::row::{BedNotice, Draft, StoreRequest, UplinkRequest};
use cotside_protocol::model::{Mono, Now, Provenance, Wall};
use cotside_protocol::wire::block::{Body, Gap, GapCause};
use cotside_protocol::wire::topic::Lane;
use std::collections::VecDeque;
use std::time::Duration;

/// Requests held while the store is busy: minutes of them, at one a second. Beyond, streaming data is lost and said to be.
const STORE_BACKLOG_MAX: usize = 256;
/// What the store was given is in the log within this time, or something is wrong between the two.
const STORED_WITHIN: Duration = Duration::from_secs(60);

#[derive(Default)]
pub(super) struct Held {
    /// The newest: it is the full state, an older one says nothing more.
    announce: Option<UplinkRequest>,
    store: VecDeque<StoreRequest>,
    lost: Lost,
    /// Said until the store has caught up.
    is_behind: bool,
    /// Entries that the store was given, and when the last were.
    given: u64,
    given_at: Mono,
    /// The two accounts differ.
    is_wrong: bool,
}

impl Held {
    pub(super) fn has_announce(&self) -> bool {
        self.announce.is_some()
    }

    pub(super) fn has_requests(&self) -> bool {
        !self.store.is_empty() || self.lost.is_open()
    }

    /// Takes the place of an older one.
    pub(super) fn keep_announce(&mut self, announce: Option<UplinkRequest>) {
        self.announce = announce;
    }

    pub(super) fn take_announce(&mut self) -> Option<UplinkRequest> {
        self.announce.take()
    }

    /// Words, when something has to go for it.
    pub(super) fn keep(&mut self, request: StoreRequest) -> Option<BedNotice> {
        let is_full = self.store.len() == STORE_BACKLOG_MAX;
        if is_full && let Some(oldest) = self.store.iter().position(has_streaming) {
            let request = &mut self.store[oldest];
            let (gone, stays) =
                std::mem::take(&mut request.drafts).into_iter().partition(Draft::is_streaming);
            request.drafts = stays;
            self.lost.add(gone);
            if request.drafts.is_empty() && request.checkpoints.is_empty() {
                self.store.remove(oldest);
            }
        }
        self.store.push_back(request);
        (is_full && !std::mem::replace(&mut self.is_behind, true))
            .then(|| BedNotice::StoreTrouble(Some("NOT RECORDED: the disk does not keep up.".to_owned())))
    }

    /// What the store is given next: first that something is missing, then what is there.
    pub(super) fn next(&mut self, now: Now) -> Option<StoreRequest> {
        let drafts = self.lost.take();
        let lost = (!drafts.is_empty()).then(|| StoreRequest { drafts, checkpoints: Vec::new() });
        let request = lost.or_else(|| self.store.pop_front())?;
        self.given += request.entries();
        self.given_at = now.mono;
        Some(request)
    }

    /// Words, when the store has caught up.
    pub(super) fn caught_up(&mut self) -> Option<BedNotice> {
        (!self.has_requests() && std::mem::take(&mut self.is_behind)).then_some(BedNotice::StoreTrouble(None))
    }

    /// Entries that gave way to a gap record, ever.
    pub(super) fn lost(&self) -> u64 {
        self.lost.entries
    }

    /// Compares the store's account with this one. Words, once, when entries are missing between the two.
    pub(super) fn compare(&mut self, now: Mono, stored: u64) -> Option<String> {
        let is_late = now.since(self.given_at) >= STORED_WITHIN;
        let is_wrong = stored > self.given || (is_late && stored < self.given);
        (is_wrong && !std::mem::replace(&mut self.is_wrong, is_wrong)).then(|| {
            format!(
                "of {} entries given to the store {stored} are in the log: a defect, please report",
                self.given
            )
        })
    }
}

fn has_streaming(request: &StoreRequest) -> bool {
    request.drafts.iter().any(Draft::is_streaming)
}

/// Streaming data that had to go: what the gap records will say. One for each lane and provenance.
#[derive(Default)]
struct Lost {
    open: Vec<Span>,
    entries: u64,
}

struct Span {
    lane: Lane,
    provenance: Provenance,
    begin: Now,
    to: Wall,
    count: u64,
}

impl Lost {
    fn is_open(&self) -> bool {
        !self.open.is_empty()
    }

    fn add(&mut self, drafts: Vec<Draft>) {
        for draft in drafts {
            let count = draft.entries();
            let to = draft.begin.wall + Duration::from_micros(u64::from(draft.span_us));
            self.entries += count;
            let same = |span: &&mut Span| (span.lane, span.provenance) == (draft.lane, draft.provenance);
            match self.open.iter_mut().find(same) {
                Some(span) => (span.to, span.count) = (span.to.max(to), span.count + count),
                None => {
                    let Draft { lane, provenance, begin, .. } = draft;
                    self.open.push(Span { lane, provenance, begin, to, count });
                }
            }
        }
    }

    fn take(&mut self) -> Vec<Draft> {
        let gap = |span: Span| {
            let gap = Gap {
                cause: GapCause::DroppedByPolicy,
                link: None,
                from: span.begin.wall,
                to: span.to,
                seqs: None,
                count: Some(span.count),
            };
            let Span { lane, provenance, begin, .. } = span;
            Draft { lane, provenance, begin, span_us: 0, body: Body::Gap(gap) }
        };
        self.open.drain(..).map(gap).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::{Held, STORE_BACKLOG_MAX, STORED_WITHIN};
    use crate::row::{BedNotice, Draft, StoreRequest};
    use cotside_protocol::model::{Code, Mono, Now, Provenance, Quality, Site, StoreToken, Wall};
    use cotside_protocol::wire::block::{Body, Channel, GapCause, Stretch};
    use cotside_protocol::wire::topic::Lane;
    use std::time::Duration;

    fn second(n: usize, body: Body, lane: Lane) -> Draft {
        let begin = Now { mono: Mono(n as u64 * 1_000_000), wall: Wall(n as i64 * 1_000_000) };
        Draft { lane, provenance: Provenance::Live, begin, span_us: 1_000_000, body }
    }

    fn wave(n: usize) -> Draft {
        let stretch = Stretch {
            channel: Channel { link: 0, code: Code(131_330), site: Site::Unspecified, setting: false },
            ucum: "mV".into(),
            at_us: 0,
            period_us: 4_000,
            gain: 1.0,
            offset: 0.0,
            quality: Quality(0),
            samples: vec![0; 250],
        };
        second(n, Body::Waveforms(vec![stretch]), Lane::Waveform)
    }

    fn alarm(n: usize) -> Draft {
        second(n, Body::Record("{}".into()), Lane::Alarm)
    }

    #[test]
    fn what_a_stalled_store_costs_is_a_gap_record_and_never_an_alarm_or_a_checkpoint() {
        let mut held = Held::default();
        let mut said = 0;
        let requests = STORE_BACKLOG_MAX + 100;
        for n in 0..requests {
            let drafts = if n % 10 == 0 { vec![alarm(n), wave(n)] } else { vec![wave(n)] };
            let checkpoints = if n % 50 == 0 { vec![(0, StoreToken(n as u64))] } else { Vec::new() };
            said += usize::from(matches!(
                held.keep(StoreRequest { drafts, checkpoints }),
                Some(BedNotice::StoreTrouble(Some(_)))
            ));
        }
        assert_eq!(said, 1);
        let requests_out: Vec<StoreRequest> = std::iter::from_fn(|| held.next(Now::default())).collect();
        let drafts: Vec<&Draft> = requests_out.iter().flat_map(|request| &request.drafts).collect();
        assert_eq!(drafts.iter().filter(|draft| draft.lane == Lane::Alarm).count(), requests.div_ceil(10));
        assert_eq!(
            requests_out.iter().flat_map(|request| &request.checkpoints).count(),
            requests.div_ceil(50)
        );
        let Body::Gap(gap) = &drafts[0].body else { panic!("the gap comes first: {:?}", drafts[0].body) };
        assert_eq!((gap.cause, gap.from, gap.count), (GapCause::DroppedByPolicy, Wall(0), Some(held.lost())));
        let stored: u64 = drafts.iter().map(|draft| draft.entries()).sum();
        let read = (requests * 250 + requests.div_ceil(10)) as u64;
        assert_eq!(read, stored + held.lost());
        let first_kept = drafts.iter().find(|draft| draft.is_streaming()).map(|draft| draft.begin.wall);
        assert_eq!(first_kept, Some(gap.to), "the gap ends where the data begins");
    }

    #[test]
    fn entries_that_the_store_does_not_count_are_told_once() {
        let mut held = Held { given: 100, given_at: Mono(0), ..Held::default() };
        let late = Mono(0) + STORED_WITHIN;
        assert_eq!(held.compare(Mono(1), 40), None);
        assert_eq!(held.compare(late, 100), None);
        assert!(held.compare(late, 99).is_some());
        assert_eq!(held.compare(late + Duration::from_secs(1), 99), None);
    }
}
