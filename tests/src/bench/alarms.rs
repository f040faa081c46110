//! What one value costs the alarm engine of a full bed: forty channels, each with a limit on both sides, breath and its companions watched.

use super::nanoseconds;
use crate::figures::Figures;
use cotside_edge_agent::alarm::{Engine, Input, LinkCondition, Policy};
use cotside_protocol::model::{
    Apnoea, Code, Combined, Decimal, Kind, Limit, LimitSet, LimitSide, Mono, Now, Numeric, PARAMETERS, Pace,
    Parameter, Priority, Quality, Rate, Site, Wall,
};
use cotside_systemd::clock::Clock;
use std::hint::black_box;
use std::time::Duration;

const CHANNELS: usize = 40;
const START: Now = Now { mono: Mono(1_000_000_000), wall: Wall(1_700_000_000_000_000) };
const RATE: Code = Code(150_456);

pub fn run(clock: &Clock, figures: &mut Figures) {
    let rows: Vec<&Parameter> = rows();
    let values: Vec<Numeric> = rows.iter().map(|row| numeric(row)).collect();
    let mut engine = Engine::new(Policy::default(), &["monitor"], set(&rows), Vec::new(), 1);
    engine.handle(START, Input::Link { link: 0, condition: LinkCondition::Live, words: "" });
    let mut now = START;
    let mut turn = 0;
    let mut heard = |engine: &mut Engine, offset: i64| {
        turn = (turn + 1) % values.len();
        if turn == 0 {
            now = now.after(Duration::from_secs(1));
        }
        let mut numeric = values[turn].clone();
        numeric.value = numeric.value.map(|value| Decimal::new(value.mantissa + offset, value.exponent));
        engine.handle(now, Input::Numeric { link: 0, numeric: &numeric });
        while let Some(alarm) = engine.poll() {
            black_box(alarm);
        }
        black_box(engine.deadline(now.mono));
    };
    let quiet = nanoseconds(clock, || heard(&mut engine, 0));
    let alarming = nanoseconds(clock, || heard(&mut engine, -1_000));
    figures.alone("alarm-engine-value", quiet, "ns", "of 40 channels, two limits each, within them");
    figures.alone("alarm-engine-value-alarming", alarming, "ns", "the same, every channel below its limit");
}

fn rows() -> Vec<&'static Parameter> {
    let usual = [147_842, 149_530, 150_456, 151_578].map(Code);
    let first = PARAMETERS.iter().filter(|row| usual.contains(&row.code));
    let others = PARAMETERS.iter().filter(|row| row.plausible.is_some() && !usual.contains(&row.code));
    first.chain(others).take(CHANNELS).collect()
}

fn set(rows: &[&Parameter]) -> LimitSet {
    let limit = |row: &Parameter, side, threshold| Limit {
        delay: Duration::from_secs(10),
        ..Limit::plain(row.code, side, Decimal::new(threshold, 0), row.ucum)
    };
    let both = |row: &&Parameter| [limit(row, LimitSide::Low, 50), limit(row, LimitSide::High, 150)];
    LimitSet {
        version: 1,
        limits: rows.iter().flat_map(both).collect(),
        rates: vec![Rate {
            code: RATE,
            side: LimitSide::Low,
            by: Decimal::new(15, 0),
            ucum: "%",
            within: Duration::from_secs(60),
            priority: Priority::Medium,
        }],
        apnoea: Some(Apnoea {
            after: Duration::from_secs(20),
            accompanied: Duration::from_secs(10),
            priority: Priority::High,
        }),
        combined: Some(Combined {
            bradycardia: (Decimal::new(80, 0), Duration::from_secs(4)),
            desaturation: (Decimal::new(80, 0), Duration::from_secs(10)),
            window: Duration::from_secs(30),
            priority: Priority::High,
        }),
    }
}

fn numeric(row: &Parameter) -> Numeric {
    Numeric {
        code: row.code,
        site: Site::Unspecified,
        value: Some(Decimal::new(97, 0)),
        ucum: row.ucum,
        quality: Quality::GOOD,
        kind: Kind::Measurement,
        pace: Pace::Continuous,
        device_at: None,
        lag: Duration::ZERO,
    }
}
