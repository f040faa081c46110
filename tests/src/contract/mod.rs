//! The contract between bed, desk and station, checked exhaustively up to a depth: every order of every step, on the shipped code.
//!
//! A state is the world as the shipped types print themselves, with every moment written as its distance from now; two ways that lead
//! to the same world are followed once.

pub mod faults;
pub mod world;

use cotside_protocol::wire::downstream::Act;
use cotside_protocol::wire::upstream::{Alarm, AlarmKind, Condition, Inactivation, Priority};
use stateright::{Checker, Model, Property};
use std::hash::{Hash, Hasher};
use std::time::Duration;
use world::{STEPS, Step, Value, World};

/// A world and what it looks like; nodes that look alike are one.
#[derive(Clone)]
pub struct Node {
    pub world: World,
    depth: usize,
    look: u128,
}

/// How far, and from where: `STEPS` in any order, `depth` of them.
pub struct Contract {
    pub depth: usize,
}

/// Any lost partner must be said within this.
const NOTICED_WITHIN: Duration = Duration::from_secs(10);

impl Model for Contract {
    type State = Node;
    type Action = Step;

    fn init_states(&self) -> Vec<Node> {
        vec![Node::new(World::begin(), 0)]
    }

    fn actions(&self, node: &Node, actions: &mut Vec<Step>) {
        if node.depth < self.depth {
            actions.extend(STEPS.into_iter().filter(|step| node.world.can(*step)));
        }
    }

    fn next_state(&self, node: &Node, step: Step) -> Option<Node> {
        let mut world = node.world.clone();
        world.take(step);
        Some(Node::new(world, node.depth + 1))
    }

    fn properties(&self) -> Vec<Property<Self>> {
        vec![
            Property::always("no alarm is lost", |_: &Contract, node: &Node| no_alarm_is_lost(&node.world)),
            Property::always("every alarm can be acknowledged", |_: &Contract, node: &Node| {
                can_be_acknowledged(&node.world)
            }),
            Property::always("no sound is without a cause", |_: &Contract, node: &Node| {
                sounds_have_a_cause(&node.world)
            }),
            Property::always("a pause always ends", |_: &Contract, node: &Node| pause_ends(&node.world)),
            Property::always("a dead partner is noticed at the bed", |_: &Contract, node: &Node| {
                bed_notices(&node.world)
            }),
            Property::always("a dead partner is noticed at the hub", |_: &Contract, node: &Node| {
                hub_notices(&node.world)
            }),
            Property::sometimes("an alarm is acknowledged", |_: &Contract, node: &Node| {
                open(&node.world).any(|alarm| matches!(alarm.inactivation, Inactivation::Acknowledged { .. }))
            }),
            Property::sometimes("an alarm is latched", |_: &Contract, node: &Node| {
                open(&node.world).any(|alarm| alarm.condition == Condition::Latched)
            }),
            Property::sometimes("the bed is paused", |_: &Contract, node: &Node| {
                node.world.announced.pause.is_some()
            }),
        ]
    }
}

impl Node {
    fn new(world: World, depth: usize) -> Self {
        let look = world.look_of();
        Self { world, depth, look }
    }
}

// What can still be done counts as well: of two ways to one world the shorter is followed first, and goes further.
impl Hash for Node {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.look.hash(state);
    }
}

impl PartialEq for Node {
    fn eq(&self, other: &Self) -> bool {
        self.look == other.look
    }
}

impl std::fmt::Debug for Node {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(
            out,
            "depth {}: {:?} for {:?}, network {}, hub {}, station {}, sound {}",
            self.depth,
            self.world.value,
            self.world.now.mono.since(self.world.value_since),
            self.world.has_network,
            self.world.desk.is_some(),
            self.world.has_station,
            self.world.has_sound
        )?;
        self.world.announced.alarms.iter().try_for_each(|alarm| {
            write!(
                out,
                "\n    {} {:?} {:?} v{} ask {} {:?}",
                alarm.text,
                alarm.priority,
                alarm.condition,
                alarm.version,
                alarm.attention,
                alarm.inactivation
            )
        })
    }
}

fn open(world: &World) -> impl Iterator<Item = &Alarm> {
    world.announced.alarms.iter().filter(|alarm| alarm.ended_us.is_none())
}

fn is_up(alarm: &Alarm) -> bool {
    matches!(alarm.condition, Condition::Active | Condition::Latched)
}

/// A value beyond its limit for longer than the limit's delay is an alarm of its priority at the bed, and on every screen that is reached.
fn no_alarm_is_lost(world: &World) -> bool {
    let (delay, priority) = match world.value {
        Value::Low => (Duration::from_secs(2), Priority::Medium),
        Value::Lower => (Duration::ZERO, Priority::High),
        Value::Well | Value::Missing => return true,
    };
    if world.now.mono.since(world.value_since) <= delay {
        return true;
    }
    let alarms = |alarm: &&Alarm| {
        alarm.kind == AlarmKind::Physiological
            && alarm.condition == Condition::Active
            && alarm.priority >= priority
    };
    let at_bed = open(world).find(alarms).is_some();
    let on_screen = !world.is_connected() || !world.has_station || world.shown.iter().find(alarms).is_some();
    at_bed && on_screen
}

/// An acknowledgement of what is on the screen now is taken by desk and bed, and shown; what was latched is over by it.
fn can_be_acknowledged(world: &World) -> bool {
    // A screen that stands still shows what is no longer so: to acknowledge that is refused.
    if !world.is_connected() || !world.has_station {
        return true;
    }
    let asks = |alarm: &&Alarm| is_up(alarm) && alarm.inactivation == Inactivation::Enabled;
    world.shown.iter().filter(asks).all(|alarm| {
        let mut tried = world.clone();
        let act = Act::Acknowledge { episode: alarm.episode.clone(), version: alarm.version };
        tried.wish(act)
            && open(&tried)
                .find(|now| now.episode == alarm.episode)
                .is_none_or(|now| matches!(now.inactivation, Inactivation::Acknowledged { .. }))
    })
}

/// What sounds for the patient is true, unknown since it was true, or latched; what sounds for the hub is a hub that does not watch.
fn sounds_have_a_cause(world: &World) -> bool {
    let sounds = |alarm: &&Alarm| is_up(alarm) && alarm.inactivation == Inactivation::Enabled;
    open(world).filter(sounds).all(|alarm| match alarm.rule.as_str() {
        "limit-low" => match world.value {
            Value::Low | Value::Lower | Value::Missing => true,
            Value::Well => alarm.condition == Condition::Latched,
        },
        "not-measured" => world.value == Value::Missing,
        "hub-lost" => {
            world.broken_since.is_some()
                || world.watch.as_ref().is_none_or(|watch| watch.beat.is_none())
                || world.whole_for() < NOTICED_WITHIN
        }
        _ => true,
    })
}

fn pause_ends(world: &World) -> bool {
    world.announced.pause.as_ref().is_none_or(|pause| {
        let left = pause.until_us - world.now.wall.0;
        (0..=120_000_000).contains(&left)
    })
}

/// Whatever of the way to the nurse's ear is gone, the bed says so itself.
fn bed_notices(world: &World) -> bool {
    let is_due = world.broken_since.is_some_and(|since| world.now.mono.since(since) > NOTICED_WITHIN);
    !is_due || open(world).any(|alarm| alarm.rule == "hub-lost" && is_up(alarm))
}

/// A bed out of reach is an alarm at its tile, a station that died is one on every other.
fn hub_notices(world: &World) -> bool {
    let is_due = |since: Option<cotside_protocol::model::Mono>| {
        since.is_some_and(|since| world.now.mono.since(since) > NOTICED_WITHIN)
    };
    let bed = !is_due(world.unreachable_since) || world.desk_says_offline();
    let station = !is_due(world.station_lost_since) || world.desk_says_station_lost();
    bed && station
}

/// What a run found.
pub struct Found {
    pub states: usize,
    pub unique: usize,
    pub depth: usize,
    /// Properties that do not hold, each with the steps that show it.
    pub broken: Vec<String>,
}

/// Follows every order of steps up to the depth.
pub fn check(depth: usize) -> Found {
    let checker = Contract { depth }.checker().threads(2).spawn_bfs().join();
    let broken = checker.discoveries().into_iter().filter_map(|(name, path)| {
        let is_broken =
            !matches!(checker.discovery_classification(name), stateright::DiscoveryClassification::Example);
        is_broken.then(|| {
            let steps: Vec<String> =
                path.clone().into_actions().iter().map(|step| format!("{step:?}")).collect();
            format!("{name}: {}\n  {:?}", steps.join(", "), path.last_state())
        })
    });
    let missing = checker.model().properties().into_iter().filter(|property| {
        matches!(property.expectation, stateright::Expectation::Sometimes)
            && checker.discovery(property.name).is_none()
    });
    let broken = broken.chain(missing.map(|property| format!("never seen: {}", property.name))).collect();
    Found {
        states: checker.state_count(),
        unique: checker.unique_state_count(),
        depth: checker.max_depth(),
        broken,
    }
}
