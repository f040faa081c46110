//! Who stands at the door: connections that have not yet shown who they are. They are few, and no address crowds out another.
//!
//! An agent that was let in does not count: there is one seat for each that is registered. A whole house may knock at once from one
//! address; somebody who knocks without end only takes what nobody else wants.

use std::collections::BTreeMap;
use std::net::IpAddr;

/// Every agent of the largest house at once.
const STRANGERS_MAX: usize = 1024;

/// Strangers in the order of their coming, and what to do to turn each away.
#[derive(Debug)]
pub struct Door<T> {
    strangers: BTreeMap<u64, (Origin, Option<T>)>,
    next: u64,
}

/// An address, or the network that one IPv6 host may choose its addresses from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Origin(IpAddr);

/// Names one stranger.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Number(u64);

#[derive(Debug, PartialEq, Eq)]
pub enum Verdict<T> {
    Enter(Number),
    /// Room was made: the newest of the address with the most strangers goes.
    Instead(Number, Option<T>),
    /// The address that knocks has the most of all.
    Full,
}

impl<T> Default for Door<T> {
    fn default() -> Self {
        Self { strangers: BTreeMap::new(), next: 0 }
    }
}

impl<T> Door<T> {
    pub fn knock(&mut self, from: IpAddr) -> Verdict<T> {
        let from = Origin::of(from);
        if self.strangers.len() < STRANGERS_MAX {
            return Verdict::Enter(self.add(from));
        }
        let mut crowds: BTreeMap<Origin, (usize, u64)> = BTreeMap::new();
        for (number, (origin, _)) in &self.strangers {
            let crowd = crowds.entry(*origin).or_default();
            *crowd = (crowd.0 + 1, *number);
        }
        let own = crowds.get(&from).map_or(0, |(count, _)| *count);
        match crowds.values().max() {
            // One more of them would be as many as there are of us: nobody gains.
            Some((most, newest)) if *most > own + 1 => {
                let gone = self.strangers.remove(newest).and_then(|(_, turn_away)| turn_away);
                Verdict::Instead(self.add(from), gone)
            }
            _ => Verdict::Full,
        }
    }

    /// How a stranger who entered is turned away, should it come to that.
    pub fn hold(&mut self, Number(number): Number, turn_away: T) {
        if let Some((_, held)) = self.strangers.get_mut(&number) {
            *held = Some(turn_away);
        }
    }

    /// It was let in, or went.
    pub fn leave(&mut self, Number(number): Number) {
        self.strangers.remove(&number);
    }

    fn add(&mut self, from: Origin) -> Number {
        let number = self.next;
        self.next += 1;
        self.strangers.insert(number, (from, None));
        Number(number)
    }
}

impl Origin {
    fn of(address: IpAddr) -> Self {
        Self(match address.to_canonical() {
            IpAddr::V4(address) => IpAddr::V4(address),
            IpAddr::V6(address) => IpAddr::V6((address.to_bits() >> 64 << 64).into()),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::{Door, STRANGERS_MAX, Verdict};
    use std::net::IpAddr;

    fn address(last: u8) -> IpAddr {
        [192, 0, 2, last].into()
    }

    #[test]
    fn a_whole_house_may_knock_at_once_from_one_address() {
        let mut door: Door<u32> = Door::default();
        assert!((0..STRANGERS_MAX).all(|_| matches!(door.knock(address(1)), Verdict::Enter(_))));
        assert_eq!(door.knock(address(1)), Verdict::Full);
    }

    #[test]
    fn whoever_knocks_without_end_makes_way_for_others_newest_first() {
        let mut door = Door::default();
        for stranger in 0..STRANGERS_MAX {
            let Verdict::Enter(number) = door.knock(address(1)) else { panic!() };
            door.hold(number, stranger);
        }
        for guest in 0..STRANGERS_MAX / 2 {
            let Verdict::Instead(_, gone) = door.knock(address(2)) else { panic!("guest {guest}") };
            assert_eq!(gone, Some(STRANGERS_MAX - 1 - guest));
        }
        // Now both have as many: neither takes from the other.
        assert_eq!((door.knock(address(1)), door.knock(address(2))), (Verdict::Full, Verdict::Full));
        assert!(matches!(door.knock(address(3)), Verdict::Instead(..)));
    }

    #[test]
    fn who_was_let_in_makes_room() {
        let mut door: Door<u32> = Door::default();
        let Verdict::Enter(first) = door.knock(address(1)) else { panic!() };
        for _ in 1..STRANGERS_MAX {
            door.knock(address(1));
        }
        assert_eq!(door.knock(address(1)), Verdict::Full);
        door.leave(first);
        assert!(matches!(door.knock(address(1)), Verdict::Enter(_)));
    }

    #[test]
    fn addresses_of_one_network_count_as_one_host() {
        let mut door: Door<u32> = Door::default();
        for host in 0..STRANGERS_MAX as u128 {
            door.knock(std::net::Ipv6Addr::from_bits(0x2001_0db8 << 96 | host).into());
        }
        let another = std::net::Ipv6Addr::from_bits(0x2001_0db8 << 96 | 1 << 63).into();
        assert_eq!(door.knock(another), Verdict::Full);
        assert!(matches!(door.knock(address(1)), Verdict::Instead(..)));
    }
}
