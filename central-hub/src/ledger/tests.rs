//! The ledger over a store: whatever order blocks arrive in and wherever following stops, the account is the same.

use super::{Bounds, GapView, Outbox, completeness_of_bed, gaps_of_bed, holes_of_bed, next};
use crate::people::Date;
use crate::store::blocks::{Addition, Known, Row, append};
use crate::store::lives::{Life, meet};
use crate::store::{agents, derived, schema};
use bytes::Bytes;
use cotside_protocol::model::{Code, Decimal, Mono, Pace, Provenance, Quality, Site, Wall};
use cotside_protocol::wire::block::{
    self, Body, Channel, Encoder, Epoch, Gap, GapCause, Header, Sample, Stretch,
};
use cotside_protocol::wire::topic::{AgentId, Lane};
use proptest::prelude::*;
use rusqlite::Connection;
use std::time::Duration;

const SECOND: i64 = 1_000_000;
/// 09:00 of a day.
const BEGIN: i64 = 1_768_381_200 * SECOND;

struct Hub {
    store: Connection,
    agent: AgentId,
    known: Vec<Known>,
}

impl Hub {
    fn new() -> Self {
        let store = Connection::open_in_memory().unwrap();
        schema::migrate(&store).unwrap();
        let agent = AgentId::new("gw-01").unwrap();
        let invitation = agents::Invitation { agent: agent.clone(), bed: "01".into() };
        agents::invite(&store, &[1; 32], &invitation, Wall(BEGIN - SECOND), Duration::from_secs(60)).unwrap();
        agents::redeem(&store, &[1; 32], Wall(BEGIN)).unwrap().unwrap();
        let known = meet(&store, &agent, &Life::new(Epoch(7), None), Wall(BEGIN)).unwrap().known;
        Self { store, agent, known }
    }

    /// False: the hub has not taken it, since it would scatter what it holds.
    fn take(&self, bytes: &[u8]) -> bool {
        let (header, _) = block::peek(bytes).unwrap();
        let (seq, end) = block::seqs(bytes).unwrap();
        let source = self.known[header.lane as usize].source;
        let row = Row { seq, end, begin: header.wall, bytes: Bytes::copy_from_slice(bytes) };
        let mark = append(
            &self.store,
            &Addition {
                source,
                agent: self.agent.clone(),
                blocks: vec![row],
                records: Vec::new(),
                conflicts: Vec::new(),
                at: Wall(BEGIN),
            },
        );
        mark.unwrap().has_all(seq, end)
    }

    /// Follows at most `count` blocks; without `commits` the hub dies before it has written them.
    fn follow(&self, count: usize, commits: bool) -> bool {
        let Some(step) = next(&self.store, Bounds { blocks: count, bytes: usize::MAX }).unwrap() else {
            return false;
        };
        !commits || step.write(&self.store).unwrap()
    }

    fn follow_all(&self) {
        while self.follow(1000, true) {}
    }

    /// Everything that is derived, without what names the order of arrival.
    fn derived(&self) -> Vec<String> {
        let mut lines = Vec::new();
        for question in [
            "SELECT source, first, end, from_us, to_us FROM runs ORDER BY 1, 2",
            "SELECT lane, link, from_us, to_us, cause, count, source, seq FROM gaps ORDER BY 1, 2, 3, 8",
            "SELECT agent, day, lane, link, hex(seconds) FROM heard ORDER BY 1, 2, 3, 4",
            "SELECT agent, hour, code, site, link, setting, ucum, hex(minutes) FROM hours ORDER BY 2, 3, 4, 5",
            "SELECT agent, link, name, at_us, seq FROM links ORDER BY 1, 2",
            "SELECT source, seq FROM key_frames ORDER BY 1, 2",
            "SELECT source, key FROM follower_waiting ORDER BY 1, 2",
        ] {
            let mut question = self.store.prepare(question).unwrap();
            let columns = question.column_count();
            let mut rows = question.query([]).unwrap();
            while let Some(row) = rows.next().unwrap() {
                let values: Vec<_> =
                    (0..columns).map(|at| format!("{:?}", row.get_ref(at).unwrap())).collect();
                lines.push(values.join(" "));
            }
        }
        lines
    }
}

/// An agent's log in the order it was written.
struct Log {
    encoder: Encoder,
    next: [u64; 3],
    at: i64,
    blocks: Vec<Vec<u8>>,
}

impl Log {
    fn new() -> Self {
        Self { encoder: Encoder::new(), next: [0; 3], at: BEGIN + SECOND, blocks: Vec::new() }
    }

    fn write(&mut self, lane: Lane, body: &Body, seqs: u64) {
        let seq = self.next[lane as usize];
        self.next[lane as usize] += seqs;
        let header = Header {
            lane,
            epoch: Epoch(7),
            seq,
            provenance: Provenance::Live,
            boot: 1,
            mono: Mono(self.at.cast_unsigned()),
            wall: Wall(self.at),
            span_us: 1_000_000,
        };
        let mut bytes = Vec::new();
        self.encoder.encode(&header, body, &mut bytes);
        self.blocks.push(bytes);
    }

    /// One second of two links; the second brings a waveform too, unless it is unplugged.
    fn second(&mut self, value: i64, has_second: bool) {
        let sample = |link, code, value, quality| Sample {
            channel: Channel { link, code: Code(code), site: Site::Unspecified, setting: false },
            ucum: "{beats}/min".into(),
            pace: Pace::Continuous,
            value: Some(Decimal::new(value, -1)),
            quality,
            at_us: 10_000,
            lag_ms: 0,
        };
        let mut samples = vec![sample(0, 147_842, value, Quality::GOOD)];
        samples.push(sample(
            0,
            150_456,
            value,
            if value % 3 == 0 { Quality::INVALID } else { Quality::GOOD },
        ));
        if has_second {
            samples.push(sample(1, 149_530, value, Quality::GOOD));
        }
        self.write(Lane::Numeric, &Body::Numerics(samples), 1);
        let stretch = Stretch {
            channel: Channel { link: 1, code: Code(150_452), site: Site::Unspecified, setting: false },
            ucum: "1".into(),
            at_us: 0,
            period_us: 8000,
            gain: 1.0,
            offset: 0.0,
            quality: Quality::GOOD,
            samples: vec![1; 125],
        };
        if has_second {
            self.write(Lane::Waveform, &Body::Waveforms(vec![stretch]), 1);
        }
        self.at += SECOND;
    }

    /// A gap that ends now.
    fn gap(&mut self, cause: GapCause, link: Option<u8>, seconds: i64) {
        let (from, to) = (Wall(self.at - seconds * SECOND), Wall(self.at));
        self.write(Lane::Numeric, &Body::Gap(Gap { cause, link, from, to, seqs: None, count: None }), 1);
        self.write(Lane::Waveform, &Body::Gap(Gap { cause, link, from, to, seqs: None, count: None }), 1);
    }

    /// Stands for rows that are no more.
    fn dropped(&mut self, rows: u64) {
        for lane in [Lane::Numeric, Lane::Waveform] {
            let first = self.next[lane as usize];
            let (from, to) = (Wall(self.at), Wall(self.at + rows.cast_signed() * SECOND));
            let gap = Gap {
                cause: GapCause::DroppedByPolicy,
                link: None,
                from,
                to,
                seqs: Some((first, first + rows)),
                count: Some(rows),
            };
            self.write(lane, &Body::Gap(gap), rows);
        }
        self.at += rows.cast_signed() * SECOND;
        self.encoder.restart();
    }

    fn name(&mut self, link: u8, name: &str) {
        let json =
            format!(r#"{{"type":"link-changed","link":{link},"name":"{name}","state":"live","detail":""}}"#);
        self.write(Lane::Alarm, &Body::Record(json), 1);
    }
}

#[derive(Clone, Debug)]
enum Deed {
    Seconds(i64, u8),
    Pause(i64),
    Unplugged(i64),
    Down(i64),
    Dropped(u64),
    Name(bool),
}

fn deeds() -> impl Strategy<Value = Vec<Deed>> {
    let deed = prop_oneof![
        6 => (1000i64..2000, 1u8..6).prop_map(|(value, count)| Deed::Seconds(value, count)),
        1 => (1i64..60).prop_map(Deed::Pause),
        1 => (1i64..9).prop_map(Deed::Unplugged),
        1 => (1i64..4000).prop_map(Deed::Down),
        1 => (1u64..90).prop_map(Deed::Dropped),
        1 => any::<bool>().prop_map(Deed::Name),
    ];
    prop::collection::vec(deed, 1..12)
}

fn log(deeds: &[Deed]) -> Log {
    let mut log = Log::new();
    for deed in deeds {
        match deed {
            Deed::Seconds(value, count) => {
                (0..i64::from(*count)).for_each(|more| log.second(value + more, true));
            }
            Deed::Pause(seconds) => {
                log.at += seconds * SECOND;
                log.second(1400, true);
            }
            Deed::Unplugged(seconds) => {
                (0..*seconds).for_each(|value| log.second(value, false));
                log.gap(GapCause::CableOut, Some(1), *seconds);
            }
            Deed::Down(seconds) => {
                log.at += seconds * SECOND;
                log.gap(GapCause::AgentDown, None, *seconds);
                log.encoder.restart();
            }
            Deed::Dropped(rows) => log.dropped(*rows),
            Deed::Name(is_first) => log.name(0, if *is_first { "monitor" } else { "bedside" }),
        }
    }
    log
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(192))]
    #[test]
    fn the_account_is_the_same_in_whatever_order_blocks_come_and_wherever_following_stops(
        (deeds, order) in deeds().prop_flat_map(|deeds| {
            let count = log(&deeds).blocks.len();
            (Just(deeds), Just((0..count).collect::<Vec<_>>()).prop_shuffle())
        }),
        stops in prop::collection::vec((1usize..9, any::<bool>()), 1..40),
    ) {
        let log = log(&deeds);
        let (straight, shuffled) = (Hub::new(), Hub::new());
        log.blocks.iter().for_each(|block| assert!(straight.take(block)));
        straight.follow_all();
        let mut stops = stops.into_iter().cycle();
        let mut left = order;
        while !left.is_empty() {
            // What is refused because it scatters comes again.
            left.retain(|at| {
                let (count, commits) = stops.next().unwrap();
                let taken = shuffled.take(&log.blocks[*at]);
                shuffled.follow(count, commits);
                !taken
            });
        }
        shuffled.follow_all();
        prop_assert_eq!(shuffled.derived(), straight.derived());
        // Forgotten, it is made again.
        derived::forget(&shuffled.store).unwrap();
        shuffled.follow_all();
        prop_assert_eq!(shuffled.derived(), straight.derived());
    }

    #[test]
    fn every_second_of_a_log_that_arrived_has_its_place_and_none_is_unexplained(
        (deeds, order) in deeds().prop_flat_map(|deeds| {
            let count = log(&deeds).blocks.len();
            (Just(deeds), Just((0..count).collect::<Vec<_>>()).prop_shuffle())
        }),
        seen in any::<prop::sample::Index>(),
    ) {
        let log = log(&deeds);
        let hub = Hub::new();
        let day = Date::of(Wall(BEGIN));
        let check = |is_whole: bool| {
            let days = completeness_of_bed(&hub.store, "01", (day, day), Wall(log.at)).unwrap();
            for lane in &days[0].lanes {
                assert_eq!(lane.sums.total(), days[0].expected_s, "{lane:?}");
                // Nobody has said what is still held, so what is not here is waited for.
                assert_eq!(lane.sums.unexplained_s, 0, "{lane:?}");
                assert!(!is_whole || lane.sums.waiting_s == 0, "{lane:?}");
            }
        };
        let seen = seen.index(order.len());
        let mut left = order;
        for round in 0.. {
            let mut count = 0;
            left.retain(|at| {
                count += 1;
                (round == 0 && count > seen) || !hub.take(&log.blocks[*at])
            });
            hub.follow_all();
            if left.is_empty() {
                break;
            }
            if round == 0 {
                check(false);
            }
        }
        check(true);
    }
}

#[test]
fn a_lost_row_is_unexplained_once_its_agent_holds_nothing_as_old() {
    let mut log = Log::new();
    (0..300).for_each(|value| log.second(value, true));
    let hub = Hub::new();
    let lost = |bytes: &[u8]| {
        let (header, _) = block::peek(bytes).unwrap();
        header.lane == Lane::Numeric && (100..140).contains(&header.seq)
    };
    log.blocks.iter().filter(|block| !lost(block)).for_each(|block| assert!(hub.take(block)));
    hub.follow_all();
    let day = Date::of(Wall(BEGIN));
    let hub_says = || {
        let days = completeness_of_bed(&hub.store, "01", (day, day), Wall(log.at)).unwrap();
        let lane = &days[0].lanes[0];
        (lane.lane, lane.link, lane.sums.waiting_s, lane.sums.unexplained_s)
    };
    // The key frame at 120 is among the lost rows, and what it would make readable waits with them.
    assert_eq!(derived::count_waiting(&hub.store, "gw-01").unwrap(), 40);
    let (_, _, waiting, unexplained) = hub_says();
    assert_eq!((waiting, unexplained), (80, 0));
    let open = || {
        let span = (Wall(BEGIN), Wall(log.at));
        let open = holes_of_bed(&hub.store, "01", span, Lane::Numeric, Wall(log.at)).unwrap();
        let of = |gap: &GapView| (gap.cause.clone(), gap.to_ms - gap.from_ms, gap.device.clone(), gap.link);
        open.iter().filter(|gap| gap.link == Some(0)).map(of).collect::<Vec<_>>()
    };
    assert_eq!(open(), [("waiting".to_owned(), 80_000, None, Some(0))]);
    let outbox = Outbox { at: Wall(log.at + 600 * SECOND), rows: 0, oldest: Wall(log.at + 600 * SECOND) };
    derived::put_outbox(&hub.store, "gw-01", &outbox).unwrap();
    assert_eq!(hub_says(), ("numeric", Some(0), 0, 80));
    assert_eq!(open(), [("unexplained".to_owned(), 80_000, None, Some(0))]);
}

#[test]
fn a_hub_without_data_answers_with_nothing_expected() {
    let hub = Hub::new();
    assert!(!hub.follow(10, true));
    let day = Date::of(Wall(BEGIN));
    let days = completeness_of_bed(&hub.store, "01", (day, day), Wall(BEGIN + 5 * SECOND)).unwrap();
    assert_eq!((days.len(), days[0].expected_s, days[0].lanes.len()), (1, 0, 0));
    assert!(gaps_of_bed(&hub.store, "01", Wall(0), Wall(BEGIN * 2), None).unwrap().is_empty());
}
