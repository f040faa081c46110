//! The hub of the virtual unit: its conversations, its one writer, its disk, its screen.

use super::bed::BedWorld;
use super::disk::{Disk, Image};
use super::*;
use cotside_central_hub::agents::inbound::Ticket;
use cotside_central_hub::store::blocks::Known;
use cotside_central_hub::store::lives::{self, Life, Met};
use cotside_protocol::wire::convert::from_hex;
use cotside_protocol::wire::downstream::LaneAck;
use cotside_protocol::wire::topic::Lane;
use cotside_protocol::wire::watermark::Watermark;
use std::collections::BTreeMap;

/// A continuous value older than this is no value.
const FRESH_MS: u64 = 10_000;
/// Pages of the write-ahead log between checkpoints: few, so that the power fails in checkpoints too.
const CHECKPOINT_PAGES: u32 = 40;
/// How many copies of before are kept for a restore.
const COPIES_MAX: usize = 4;

pub(super) struct Hub {
    /// None: the hub is down.
    store: Option<rusqlite::Connection>,
    disk: Disk,
    name: Arc<str>,
    conversations: Vec<Option<Conversation>>,
    /// Changes on their way to the disk, in the order asked.
    queue: Vec<Change>,
    flush_at: Mono,
    unit: Unit,
    look_at: Mono,
    back_at: Mono,
    /// The power fails in the commit after so many.
    commits_left: Option<u64>,
    /// The disk takes nothing until then.
    pub(super) full_until: Mono,
    /// What was acknowledged, by agent and epoch.
    acked: Acked,
    copies: VecDeque<(Image, Acked)>,
    next_conversation: u64,
    due: Vec<Mono>,
}

type Acked = BTreeMap<(usize, u64), [Watermark; 3]>;

struct Conversation {
    number: u64,
    connection: u64,
    inbound: Inbound,
}

struct Change {
    bed: usize,
    conversation: u64,
    what: What,
}

enum What {
    Open(Life),
    Recall(Vec<Life>),
    Commit(Ticket, Addition),
}

pub(super) fn unit(beds: &[BedWorld]) -> Unit {
    let roster = beds.iter().map(|bed| (bed_name(bed.at), Some(bed.id.clone())));
    let unit = cotside_central_hub::unit::view::UnitName { id: "nicu".into(), name: "NICU".into() };
    Unit::new(Roster { unit, beds: roster.collect() })
}

/// What the hub finds odd about an agent's epochs.
fn notice(met: &Met, scene: &mut Scene<'_>) {
    for event in &met.noticed {
        *scene.findings.noticed.entry(event.what.to_string()).or_default() += 1;
    }
}

fn bed_name(at: usize) -> String {
    format!("{:02}", at + 1)
}

impl Hub {
    pub(super) fn begin(
        dir: PathBuf,
        beds: &[BedWorld],
        weather: &Weather,
        random: &mut Random,
    ) -> Result<Self> {
        let mut hub = Self {
            store: None,
            disk: Disk { dir, main: "hub.db" },
            name: "".into(),
            conversations: beds.iter().map(|_| None).collect(),
            queue: Vec::new(),
            flush_at: NEVER,
            unit: unit(beds),
            look_at: START.mono,
            back_at: START.mono,
            commits_left: None,
            full_until: START.mono,
            acked: Acked::new(),
            copies: VecDeque::new(),
            next_conversation: 0,
            due: vec![START.mono; beds.len()],
        };
        hub.start(beds, weather, random)?;
        Ok(hub)
    }

    fn start(&mut self, beds: &[BedWorld], weather: &Weather, random: &mut Random) -> Result<()> {
        let store = store::open(&self.disk.dir.join(self.disk.main), true)?;
        store.pragma_update(None, "wal_autocheckpoint", CHECKPOINT_PAGES)?;
        self.name = store::schema::store_id(&store)?.into();
        self.store = Some(store);
        self.unit = unit(beds);
        self.commits_left = (weather.hub_commits > 0).then(|| random.next() % (2 * weather.hub_commits));
        Ok(())
    }

    pub(super) fn is_up(&self) -> bool {
        self.store.is_some()
    }

    /// SIGKILL: conversations and what was not committed are gone, the store stays.
    pub(super) fn be_killed(
        &mut self,
        now: Now,
        until: Mono,
        beds: &mut [BedWorld],
        scene: &mut Scene<'_>,
    ) -> Result<()> {
        let image = self.disk.image()?;
        scene.findings.hub_kills += 1;
        self.die(until, beds, scene);
        self.disk.put_back(&image, now.wall)
    }

    fn lose_power(
        &mut self,
        now: Now,
        (before, after): (Image, Image),
        beds: &mut [BedWorld],
        scene: &mut Scene<'_>,
    ) -> Result<()> {
        let (mut image, at) = self.disk.cut(&before, &after, scene.chance.random);
        scene.findings.hub_cuts += 1;
        *scene.findings.cuts_at.entry(at).or_default() += 1;
        let off = Duration::from_millis(scene.chance.random.next() % 6000);
        self.die(now.mono + off, beds, scene);
        let mut restored = false;
        if scene.chance.random.once_in(scene.weather.hub_set_back_one_in)
            && let Some((copy, acked)) = self.copies.pop_front()
        {
            scene.findings.restores += 1;
            (image, self.acked) = (copy, acked);
            self.copies.clear();
            restored = true;
        }
        self.disk.put_back(&image, now.wall)?;
        if restored {
            // As the operator's restore does: it is another store now.
            let db = rusqlite::Connection::open(self.disk.dir.join(self.disk.main))?;
            db.execute("UPDATE meta SET value = lower(hex(randomblob(8))) WHERE key = 'store'", [])?;
        }
        Ok(())
    }

    fn die(&mut self, back_at: Mono, beds: &mut [BedWorld], scene: &mut Scene<'_>) {
        self.back_at = back_at;
        self.store = None;
        self.queue.clear();
        self.flush_at = NEVER;
        self.conversations.iter_mut().for_each(|conversation| *conversation = None);
        for bed in beds {
            bed.network.hub_died(self.back_at, scene.chance.random);
        }
    }

    pub(super) fn step(&mut self, now: Now, beds: &mut [BedWorld], scene: &mut Scene<'_>) -> Result<()> {
        if self.store.is_none() {
            if now.mono < self.back_at {
                return Ok(());
            }
            self.start(beds, scene.weather, scene.chance.random)?;
            self.holds_what_it_acknowledged(beds, scene)?;
        }
        if now.mono >= self.flush_at {
            self.flush(now, beds, scene)?;
        }
        if self.store.is_none() {
            return Ok(());
        }
        for (at, bed) in beds.iter_mut().enumerate() {
            if bed.network.hub_due() <= now.mono || self.due[at] <= now.mono || self.is_stale(at, bed) {
                self.due[at] = self.serve(now, at, bed, scene);
            }
        }
        if now.mono >= self.look_at {
            self.look_at = now.mono + scene.weather.look_every;
            self.unit.ages(now.mono);
            self.look(now, scene.findings);
        }
        Ok(())
    }

    pub(super) fn due(&self, beds: &[BedWorld]) -> Mono {
        if !self.is_up() {
            return self.back_at;
        }
        let messages = beds.iter().map(|bed| bed.network.hub_due());
        let own = self.flush_at.min(self.look_at);
        messages.chain(self.due.iter().copied()).fold(own, Mono::min)
    }

    /// All that waits goes in one transaction, as the hub's writer does it; then everybody is told.
    fn flush(&mut self, now: Now, beds: &mut [BedWorld], scene: &mut Scene<'_>) -> Result<()> {
        self.flush_at = NEVER;
        let changes = std::mem::take(&mut self.queue);
        let strikes = match &mut self.commits_left {
            Some(0) => scene.may_fail,
            Some(left) => {
                *left -= 1;
                false
            }
            None => false,
        };
        let before = if strikes { Some(self.disk.image()?) } else { None };
        let Some(db) = &self.store else { return Ok(()) };
        db.execute_batch("BEGIN IMMEDIATE")?;
        let mut answers = Vec::with_capacity(changes.len());
        for change in changes {
            let (bed, conversation) = (change.bed, change.conversation);
            let serves = Some(bed_name(bed));
            let answer = match change.what {
                What::Open(life) => {
                    let met = lives::meet(db, &beds[bed].id, &life, now.wall)?;
                    notice(&met, scene);
                    In::Opened { epoch: met.epoch, known: met.known, bed: serves }
                }
                What::Recall(recalled) => {
                    let meet = |life: &Life| lives::meet(db, &beds[bed].id, life, now.wall);
                    let met = recalled.iter().map(meet).collect::<rusqlite::Result<Vec<_>>>()?;
                    met.iter().for_each(|met| notice(met, scene));
                    In::Recalled(met.into_iter().map(|met| (met.epoch, met.known)).collect())
                }
                What::Commit(ticket, addition) => In::Committed(ticket, blocks::append(db, &addition)?),
            };
            answers.push((bed, conversation, answer));
        }
        if now.mono < self.full_until && scene.may_fail {
            db.execute_batch("ROLLBACK")?;
            scene.findings.hub_refusals += 1;
            for (_, _, answer) in &mut answers {
                *answer = match answer {
                    In::Committed(ticket, _) => In::CommitFailed(*ticket),
                    _ => In::LookupFailed,
                };
            }
        } else {
            db.execute_batch("COMMIT")?;
        }
        if let Some(before) = before {
            let after = self.disk.image()?;
            return self.lose_power(now, (before, after), beds, scene);
        }
        // All that asked together are answered out of one reading, as in the hub's reader.
        let asked = answers.iter_mut().filter_map(|(_, _, answer)| match answer {
            In::Opened { known, .. } => Some(known),
            _ => None,
        });
        let asked: Vec<&mut Vec<Known>> = asked.collect();
        if !asked.is_empty() {
            let all = asked.iter().flat_map(|known| known.iter().cloned()).collect();
            let mut all = blocks::with_digests(db, all)?.into_iter();
            for known in asked {
                *known = all.by_ref().take(known.len()).collect();
            }
        }
        for (bed, number, answer) in answers {
            let conversation = self.conversations[bed].as_mut().filter(|of| of.number == number);
            if let Some(conversation) = conversation {
                conversation.inbound.handle(now, answer);
                self.due[bed] = now.mono;
            }
        }
        if scene.weather.hub_set_back_one_in > 0 && scene.chance.random.once_in(6) {
            if self.copies.len() == COPIES_MAX {
                self.copies.pop_front();
            }
            self.copies.push_back((self.disk.image()?, self.acked.clone()));
        }
        Ok(())
    }

    /// The agent's connection has ended, and with it the conversation over it; a broker does not say so.
    fn is_stale(&self, at: usize, bed: &BedWorld) -> bool {
        let is_ours = |of: &Conversation| bed.network.is_connected && of.connection == bed.network.connection;
        !bed.network.reaches_a_broker() && self.conversations[at].as_ref().is_some_and(|of| !is_ours(of))
    }

    fn serve(&mut self, now: Now, at: usize, bed: &mut BedWorld, scene: &mut Scene<'_>) -> Mono {
        if self.is_stale(at, bed) {
            self.conversations[at] = None;
        }
        while let Some(message) = bed.network.arrived(now.mono, &mut scene.chance) {
            let is_current = bed.network.is_current(&message);
            let rules = Rules { store: self.name.clone(), accepts: Provenance::Simulated };
            let number = &mut self.next_conversation;
            let connection = bed.network.connection;
            let conversation = self.conversations[at].get_or_insert_with(|| {
                *number += 1;
                Conversation {
                    number: *number,
                    connection,
                    inbound: Inbound::new(bed.id.clone(), rules, now),
                }
            });
            // Some arrive twice, as after a lost PUBACK.
            for _ in 0..1 + u32::from(scene.chance.strays()) {
                let receipt = message.id.filter(|_| is_current).map(Receipt);
                let (what, payload) = (message.what, message.payload.clone());
                conversation.inbound.handle(now, In::Message { what, payload, receipt });
            }
            if self.drain(now, at, bed, scene) == NEVER {
                return NEVER;
            }
        }
        if let Some(conversation) = &mut self.conversations[at] {
            conversation.inbound.handle(now, In::Timeout);
        }
        self.drain(now, at, bed, scene)
    }

    /// What follows, and when the conversation wants to be woken; never, if it is over.
    fn drain(&mut self, now: Now, at: usize, bed: &mut BedWorld, scene: &mut Scene<'_>) -> Mono {
        loop {
            let Some(conversation) = &mut self.conversations[at] else { return NEVER };
            let number = conversation.number;
            match conversation.inbound.poll() {
                Out::Send(what, payload) => {
                    self.note_acks(at, what, &payload);
                    if !scene.chance.strays() {
                        bed.network.send_down(now.mono, what, payload, scene.chance.delay());
                    }
                }
                Out::Receive(Receipt(id)) | Out::Refuse(Receipt(id), _) => {
                    if !bed.network.reaches_a_broker() {
                        bed.network.take(now.mono, id, Taken::Yes);
                    }
                }
                Out::Show(what) => {
                    let serves = Some(bed_name(at));
                    self.unit.handle(now, Item { agent: bed.id.clone(), bed: serves, what });
                }
                Out::Open(life) => self.submit(now, at, number, What::Open(life), scene),
                Out::Recall(lives) => self.submit(now, at, number, What::Recall(lives), scene),
                Out::Commit(ticket, addition) => {
                    self.submit(now, at, number, What::Commit(ticket, addition), scene);
                }
                Out::Tell(what, words) => {
                    *scene.findings.told.entry(what).or_default() += 1;
                    if what == "identity-conflict" {
                        scene.findings.broken.push(format!("{}: {words}", bed.id));
                    }
                }
                Out::Close(_) => {
                    self.conversations[at] = None;
                    if !bed.network.reaches_a_broker() {
                        bed.network.cut(now.mono + Duration::from_secs(1), scene.chance.random);
                    }
                    return NEVER;
                }
                Out::Wait(due) => return due,
            }
        }
    }

    fn submit(&mut self, now: Now, bed: usize, conversation: u64, what: What, scene: &mut Scene<'_>) {
        self.queue.push(Change { bed, conversation, what });
        if self.flush_at == NEVER {
            self.flush_at = now.mono + Duration::from_millis(20 + scene.chance.random.next() % 100);
        }
    }

    /// What an agent may take for committed from now on.
    fn note_acks(&mut self, at: usize, what: Downstream, payload: &[u8]) {
        if what != Downstream::Ack {
            return;
        }
        let ack: Ack = serde_json::from_slice(payload).expect("the hub writes what it promises");
        let epoch = from_hex(&ack.epoch).expect("sixteen digits");
        let acked = self.acked.entry((at, epoch)).or_default();
        for LaneAck { lane, below, ranges } in &ack.lanes {
            let lane = Lane::ALL.into_iter().find(|known| known.name() == lane).expect("a lane's name");
            acked[lane as usize].insert(0, *below);
            ranges.iter().for_each(|[first, end]| acked[lane as usize].insert(*first, *end));
        }
    }

    /// After a restart: what was acknowledged to anyone was on disk.
    fn holds_what_it_acknowledged(&self, beds: &[BedWorld], scene: &mut Scene<'_>) -> Result<()> {
        let Some(db) = &self.store else { return Ok(()) };
        for ((at, epoch), lanes) in &self.acked {
            for (lane, acked) in Lane::ALL.into_iter().zip(lanes) {
                let mark: Option<(i64, Vec<u8>)> = db
                    .query_row(
                        "SELECT below, ranges FROM sources WHERE agent = ?1 AND epoch = ?2 AND lane = ?3",
                        rusqlite::params![beds[*at].id.as_str(), epoch.cast_signed(), lane as i64],
                        |row| Ok((row.get(0)?, row.get(1)?)),
                    )
                    .ok();
                let held = mark.map_or_else(Watermark::default, |(below, ranges)| {
                    Watermark::from_bytes(below.cast_unsigned(), &ranges)
                });
                let ranges = std::iter::once((0, acked.below())).chain(acked.ranges().iter().copied());
                if let Some((first, end)) =
                    ranges.into_iter().find(|(first, end)| !held.has_all(*first, *end))
                {
                    let (id, lane) = (&beds[*at].id, lane.name());
                    let words = format!("{id}: lane {lane}, {first} to {end} were acknowledged and are gone");
                    scene.findings.broken.push(words);
                }
            }
        }
        Ok(())
    }

    /// No value is shown that is older than it may be.
    fn look(&self, now: Now, findings: &mut Findings) {
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
