//! The hub of the virtual unit: its conversations, its commits, its screen.

use super::bed::{BedWorld, Network};
use super::*;

/// A continuous value older than this is no value.
const FRESH_MS: u64 = 10_000;

pub(super) struct Hub {
    pub(super) store: rusqlite::Connection,
    pub(super) name: Arc<str>,
    pub(super) inbounds: Vec<Option<Inbound>>,
    pub(super) commits: VecDeque<(Mono, usize, cotside_central_hub::agents::inbound::Ticket, Addition)>,
    pub(super) unit: Unit,
    pub(super) is_up: bool,
    pub(super) back_at: Mono,
}

pub(super) fn unit(beds: &[BedWorld]) -> Unit {
    let roster = beds.iter().map(|bed| (format!("{:02}", bed.at + 1), Some(bed.id.clone())));
    let unit = cotside_central_hub::unit::view::UnitName { id: "nicu".into(), name: "NICU".into() };
    Unit::new(Roster { unit, beds: roster.collect() })
}

impl Hub {
    /// SIGKILL: conversations and what was not committed are gone, the store stays.
    pub(super) fn die(&mut self, back_at: Mono) {
        self.is_up = false;
        self.back_at = back_at;
        self.commits.clear();
        self.inbounds.iter_mut().for_each(|inbound| *inbound = None);
    }

    pub(super) fn step(
        &mut self,
        now: Now,
        chance: &mut Chance<'_>,
        beds: &mut [BedWorld],
        findings: &mut Findings,
    ) -> Result<()> {
        if !self.is_up && now.mono >= self.back_at {
            self.is_up = true;
            self.unit = unit(beds);
        }
        if !self.is_up {
            return Ok(());
        }
        while self.commits.front().is_some_and(|(at, ..)| *at <= now.mono) {
            let (_, bed, ticket, addition) = self.commits.pop_front().expect("just looked");
            let mark = blocks::append(&self.store, &addition)?;
            if let Some(inbound) = &mut self.inbounds[bed] {
                inbound.handle(now, In::Committed(ticket, mark));
            }
        }
        for (at, bed) in beds.iter_mut().enumerate() {
            self.serve(now, chance, at, bed)?;
        }
        self.unit.ages(now.mono);
        self.look(now, findings);
        Ok(())
    }

    pub(super) fn serve(
        &mut self,
        now: Now,
        chance: &mut Chance<'_>,
        at: usize,
        bed: &mut BedWorld,
    ) -> Result<()> {
        if !bed.network.is_connected {
            self.inbounds[at] = None;
            return Ok(());
        }
        let rules = Rules { store: self.name.clone(), accepts: Provenance::Simulated };
        let inbound = self.inbounds[at].get_or_insert_with(|| Inbound::new(bed.id.clone(), rules, now));
        while bed.network.up.front().is_some_and(|(at, ..)| *at <= now.mono) {
            let (_, id, what, payload) = bed.network.up.pop_front().expect("just looked");
            // Some arrive twice, as after a lost PUBACK.
            for _ in 0..1 + u32::from(chance.strays()) {
                let receipt = id.map(Receipt);
                inbound.handle(now, In::Message { what, payload: payload.clone(), receipt });
            }
        }
        inbound.handle(now, In::Timeout);
        loop {
            match inbound.poll() {
                Out::Send(what, payload) => {
                    let at = now.mono + chance.delay();
                    if !chance.strays() {
                        bed.network.down.push_back((at, what, payload));
                    }
                }
                Out::Receive(Receipt(id)) | Out::Refuse(Receipt(id), _) => {
                    bed.network.taken.push_back((now.mono, id));
                }
                Out::Show(what) => {
                    let serves = Some(format!("{:02}", bed.at + 1));
                    self.unit.handle(now, Item { agent: bed.id.clone(), bed: serves, what });
                }
                Out::Open { epoch, predecessor } => {
                    let known = blocks::sources(&self.store, &bed.id, epoch, predecessor, now.wall)?;
                    inbound.handle(now, In::Opened { known, bed: Some(format!("{:02}", bed.at + 1)) });
                }
                Out::Commit(ticket, addition) => {
                    let at = now.mono + Duration::from_millis(20 + chance.random.next() % 150);
                    // Commits are made in the order asked.
                    let at = self.commits.back().map_or(at, |(last, ..)| at.max(*last));
                    self.commits.push_back((at, bed.at, ticket, addition));
                }
                Out::Tell(..) => {}
                Out::Close(_) => {
                    self.inbounds[at] = None;
                    bed.network =
                        Network { connect_at: now.mono + Duration::from_secs(1), ..Network::default() };
                    return Ok(());
                }
                Out::Wait(_) => return Ok(()),
            }
        }
    }

    /// No value is shown that is older than it may be.
    pub(super) fn look(&self, now: Now, findings: &mut Findings) {
        for bed in self.unit.view(now).beds {
            for value in &bed.values {
                if value.value.is_some() && value.pace == "continuous" && value.age_ms > FRESH_MS {
                    let words = format!(
                        "bed {}: {} is {} ms old and still shown",
                        bed.bed, value.label, value.age_ms
                    );
                    findings.broken.push(words);
                }
            }
        }
    }
}
