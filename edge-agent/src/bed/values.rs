//! The last numeric of every channel with the time of its receipt.

use crate::row::LinkIndex;
use cotside_protocol::model::{Kind, Now, Numeric};
use cotside_protocol::wire::block::Channel;
use std::collections::BTreeMap;
use std::time::Duration;

/// A device that invents channels without end costs no memory; what is above is stored and not shown.
const CHANNELS_MAX: usize = 1_024;
/// A value that old is forgotten by the agent's own view.
const FORGOTTEN_AFTER: Duration = Duration::from_secs(3_600);

#[derive(Clone, Debug, Default)]
pub(super) struct Values(BTreeMap<Channel, (Now, Numeric)>);

impl Values {
    pub(super) fn take(&mut self, at: Now, link: LinkIndex, numeric: Numeric) {
        let channel =
            Channel { link, code: numeric.code, site: numeric.site, setting: numeric.kind == Kind::Setting };
        if self.0.len() < CHANNELS_MAX || self.0.contains_key(&channel) {
            self.0.insert(channel, (at, numeric));
        }
    }

    /// With the age of each: the larger of time since receipt and lag by the device's own clock.
    pub(super) fn iter(&self, now: Now) -> impl Iterator<Item = (&Channel, &Numeric, Duration)> {
        self.0
            .iter()
            .map(move |(channel, (at, numeric))| (channel, numeric, now.mono.since(at.mono).max(numeric.lag)))
            .filter(|(.., age)| *age < FORGOTTEN_AFTER)
    }
}
