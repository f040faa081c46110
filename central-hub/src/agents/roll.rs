//! Who is registered, who is connected, and which of two connections with one name is the agent.

use crate::store::agents::Agent;
use cotside_protocol::model::Mono;
use cotside_protocol::wire::topic::AgentId;
use std::collections::BTreeMap;
use std::time::Duration;

/// A connected agent acknowledges the hub's heartbeat every second: one that says nothing for this long after a second
/// connection came is the remains of a cut cable, and the second is the agent.
pub const PROBE: Duration = Duration::from_millis(2500);

#[derive(Debug, Default)]
pub struct Roll {
    registered: BTreeMap<AgentId, Registered>,
    seats: BTreeMap<AgentId, Seat>,
    next: u64,
}

/// Names one connection of one agent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SeatNumber(u64);

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Claim {
    Granted(SeatNumber),
    /// Ask again soon: whether the first connection is alive is not known yet.
    Wait,
    /// The first connection is alive: two gateways use one identity.
    Taken,
    /// Not enrolled here, or revoked.
    Unknown,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Standing {
    Good { bed: Option<String> },
    Revoked,
    TakenOver,
}

#[derive(Debug)]
struct Registered {
    bed: Option<String>,
}

#[derive(Debug)]
struct Seat {
    number: SeatNumber,
    heard: Mono,
}

impl Roll {
    /// Takes over what the store says.
    pub fn renew(&mut self, agents: Vec<Agent>) {
        self.registered = agents
            .into_iter()
            .filter(|agent| agent.enrolled.is_some() && agent.revoked.is_none())
            .map(|agent| (agent.id, Registered { bed: agent.bed }))
            .collect();
    }

    /// A connection that came at `since` asks for the agent's one seat.
    pub fn claim(&mut self, agent: &AgentId, since: Mono, now: Mono) -> Claim {
        if !self.registered.contains_key(agent) {
            return Claim::Unknown;
        }
        if let Some(seat) = self.seats.get(agent) {
            if seat.heard > since {
                return Claim::Taken;
            }
            if now.since(since) < PROBE {
                return Claim::Wait;
            }
        }
        let number = SeatNumber(self.next);
        self.next += 1;
        self.seats.insert(agent.clone(), Seat { number, heard: now });
        Claim::Granted(number)
    }

    /// A connection says when it last heard its agent, and learns whether it may go on.
    pub fn standing(&mut self, agent: &AgentId, number: SeatNumber, heard: Mono) -> Standing {
        match self.seats.get_mut(agent) {
            Some(seat) if seat.number == number => seat.heard = seat.heard.max(heard),
            _ => return Standing::TakenOver,
        }
        match self.registered.get(agent) {
            Some(registered) => Standing::Good { bed: registered.bed.clone() },
            None => Standing::Revoked,
        }
    }

    pub fn leave(&mut self, agent: &AgentId, number: SeatNumber) {
        if self.seats.get(agent).is_some_and(|seat| seat.number == number) {
            self.seats.remove(agent);
        }
    }

    /// The bed a registered agent serves; None for one that is not registered.
    pub fn registered(&self, agent: &AgentId) -> Option<Option<String>> {
        self.registered.get(agent).map(|registered| registered.bed.clone())
    }

    pub fn connected(&self) -> impl Iterator<Item = &AgentId> {
        self.seats.keys()
    }

    /// Everyone who is registered.
    pub fn all(&self) -> impl Iterator<Item = &AgentId> {
        self.registered.keys()
    }
}

#[cfg(test)]
mod tests {
    use super::{Claim, PROBE, Roll, Standing};
    use crate::store::agents::Agent;
    use cotside_protocol::model::{Mono, Wall};
    use cotside_protocol::wire::topic::AgentId;
    use std::time::Duration;

    const START: Mono = Mono(1_000_000_000);

    fn id() -> AgentId {
        AgentId::new("gw-01").unwrap()
    }

    fn roll() -> Roll {
        let mut roll = Roll::default();
        let bed = Some("01".to_owned());
        roll.renew(vec![Agent { id: id(), enrolled: Some(Wall(0)), revoked: None, heard: None, bed }]);
        roll
    }

    #[test]
    fn a_second_connection_is_refused_while_the_first_speaks() {
        let mut roll = roll();
        let Claim::Granted(first) = roll.claim(&id(), START, START) else { panic!() };
        let second_at = START + Duration::from_secs(60);
        assert_eq!(roll.claim(&id(), second_at, second_at), Claim::Wait);
        let heard = second_at + Duration::from_millis(900);
        assert_eq!(roll.standing(&id(), first, heard), Standing::Good { bed: Some("01".into()) });
        assert_eq!(roll.claim(&id(), second_at, heard), Claim::Taken);
    }

    #[test]
    fn a_second_connection_takes_over_from_a_dead_one() {
        let mut roll = roll();
        let Claim::Granted(first) = roll.claim(&id(), START, START) else { panic!() };
        let second_at = START + Duration::from_secs(60);
        assert_eq!(roll.claim(&id(), second_at, second_at), Claim::Wait);
        let Claim::Granted(second) = roll.claim(&id(), second_at, second_at + PROBE) else { panic!() };
        assert_eq!(roll.standing(&id(), first, second_at), Standing::TakenOver);
        roll.leave(&id(), first);
        assert!(matches!(roll.standing(&id(), second, second_at + PROBE), Standing::Good { .. }));
    }

    #[test]
    fn revocation_ends_a_connection_and_lets_no_other_in() {
        let mut roll = roll();
        let Claim::Granted(seat) = roll.claim(&id(), START, START) else { panic!() };
        let revoked = Some(Wall(1));
        roll.renew(vec![Agent { id: id(), enrolled: Some(Wall(0)), revoked, heard: None, bed: None }]);
        assert_eq!(roll.standing(&id(), seat, START), Standing::Revoked);
        assert_eq!(roll.claim(&id(), START, START), Claim::Unknown);
    }
}
