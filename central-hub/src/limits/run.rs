//! Keeps what each bed is to have in step with who lies there: reads and appends to the store, leaves the set where the agent's
//! conversation finds it, and tells the unit how far it has come.

use super::Ears;
use super::change::{self, Asked, Changes, Wrong};
use super::profiles::Profiles;
use super::resolve::{Resolved, resolve};
use super::standing;
use super::view::{
    ChoiceView, CircumstancesView, InForceView, IssueView, LimitsView, ProfileView, SetView, weeks,
};
use crate::agents::tending::run::Tending;
use crate::live::Live;
use crate::people::{self, Stay};
use crate::store::Store;
use crate::store::limits::{self, Issue};
use crate::unit::view::{LimitsNote, LimitsState};
use anyhow::{Context as _, Result};
use cotside_config::profile::{Circumstances, in_weeks};
use cotside_protocol::model::{Envelope, Wall};
use cotside_protocol::wire::{convert, downstream};
use cotside_systemd::clock::Clock;
use cotside_systemd::stages::Stop;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// How often ages, switched-off limits and profiles are looked at.
const LOOK_EVERY: Duration = Duration::from_secs(30);
/// Versions that a reader is shown.
const HISTORY: usize = 100;
/// A profile is a page or two; a longer file is none.
const PROFILE_BYTES_MAX: u64 = 256 * 1024;
const PROFILES_MAX: usize = 64;
/// Who asks for what follows from time or from a profile alone.
const NOBODY: &str = "hub";

/// Everybody's way to the limits of the beds. Cheap to copy.
#[derive(Clone)]
pub struct Limits(Arc<Inner>);

struct Inner {
    store: Store,
    clock: Clock,
    live: Live,
    tending: Tending,
    ears: Ears,
    envelope: Envelope,
    /// The site's own profiles; None: it has none.
    folder: Option<PathBuf>,
    profiles: Mutex<Arc<Profiles>>,
    beds: Mutex<BTreeMap<String, Wanted>>,
    /// Held over reading, resolving and appending, so that versions of one bed are made one after the other.
    turn: tokio::sync::Mutex<()>,
}

/// What one bed is to have.
#[derive(Clone, Debug, Default)]
struct Wanted {
    stay: Option<Stay>,
    issue: Option<Issue>,
    changes: Changes,
    was_in_force: bool,
    told: Option<LimitsNote>,
}

/// Why a change was not made.
#[derive(Debug)]
pub enum Refused {
    NobodyThere,
    /// The version that stands.
    Superseded(Option<u64>),
    Wrong(Vec<Wrong>),
    Trouble(anyhow::Error),
}

impl From<anyhow::Error> for Refused {
    fn from(error: anyhow::Error) -> Self {
        Self::Trouble(error)
    }
}

/// Which of what was changed stays.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Keep {
    /// What is asked for, and nothing else.
    Nothing,
    /// What is asked for, over what there was.
    Rest,
}

/// A set before it has a number.
struct Draft {
    stay: Stay,
    pma_days: i64,
    changes: Changes,
    profile: String,
    resolved: Resolved,
}

impl Draft {
    /// What is changed to what the profile says anyway is no change: it follows the profile.
    fn without_idle_changes(mut self) -> Self {
        let resolved = &self.resolved;
        let mut at = 0;
        self.changes.limits.retain(|_| {
            at += 1;
            resolved.has_effect(at - 1)
        });
        self
    }
}

impl Limits {
    /// Reads the profiles and what each bed was to have.
    pub async fn open(
        store: Store,
        clock: Clock,
        live: Live,
        (tending, ears): (Tending, Ears),
        (folder, envelope): (Option<PathBuf>, Envelope),
    ) -> Result<Self> {
        let profiles = load(folder.as_deref(), &envelope, None);
        let (stays, issues) = store
            .read(|store| Ok((people::stays(store)?, limits::newest_of_all(store)?)))
            .await
            .context("cannot read the limits")?;
        let mut beds: BTreeMap<String, Wanted> = BTreeMap::new();
        for issue in issues {
            let wanted = beds.entry(issue.bed.clone()).or_default();
            wanted.issue = Some(issue);
        }
        for stay in stays {
            let wanted = beds.entry(stay.bed.clone()).or_default();
            let issue = wanted.issue.as_ref().filter(|issue| issue.stay == stay.id);
            wanted.changes = issue.map(changes_of).unwrap_or_default();
            wanted.stay = Some(stay);
        }
        let limits = Self(Arc::new(Inner {
            store,
            clock,
            live,
            tending,
            ears,
            envelope,
            folder,
            profiles: Mutex::new(Arc::new(profiles)),
            beds: Mutex::new(beds),
            turn: tokio::sync::Mutex::default(),
        }));
        for bed in limits.0.live.view().await?.beds {
            limits.say(&bed.bed);
        }
        Ok(limits)
    }

    /// Runs until told to stop.
    pub async fn run(self, mut stop: Stop) -> Result<()> {
        let mut look = tokio::time::interval(LOOK_EVERY);
        loop {
            tokio::select! {
                () = stop.requested() => return Ok(()),
                () = self.0.ears.news() => {}
                _ = look.tick() => self.look().await,
            }
            for (bed, wanted) in self.beds() {
                if let Some(higher) = self.higher(&bed, &wanted) {
                    self.lift(&bed, higher).await;
                }
            }
            self.tell().await?;
        }
    }

    /// Ages, switched-off limits and profiles may have changed what the beds are to have.
    async fn look(&self) {
        let (folder, envelope) = (self.0.folder.clone(), self.0.envelope.clone());
        let before = self.profiles();
        let loaded = tokio::task::spawn_blocking(move || load(folder.as_deref(), &envelope, Some(&before)));
        if let Ok(profiles) = loaded.await {
            *lock(&self.0.profiles) = Arc::new(profiles);
        }
        if let Err(error) = self.heal().await {
            tracing::error!(error = format!("{error:#}"), "who lies where cannot be read");
        }
        for (bed, wanted) in self.beds() {
            if wanted.stay.is_some()
                && let Err(error) = self.renew(&bed).await
            {
                tracing::error!(bed, error = format!("{error:#}"), "the limits of a bed cannot be renewed");
            }
        }
    }

    /// Whoever came or left while the store was in trouble.
    async fn heal(&self) -> Result<()> {
        let stays = self.0.store.read(people::stays).await?;
        let id = |stay: &Stay| stay.id.clone();
        let mut beds: Vec<String> = stays.iter().map(|stay| stay.bed.clone()).collect();
        beds.extend(self.beds().into_keys());
        beds.sort();
        beds.dedup();
        for bed in beds {
            let lies = stays.iter().find(|stay| stay.bed == bed).map(id);
            if self.wanted(&bed).stay.as_ref().map(id) != lies {
                self.turn(&bed, NOBODY, "admission", None).await?;
            }
        }
        Ok(())
    }

    /// Tells the unit what has changed of how far each bed's set has come.
    async fn tell(&self) -> Result<()> {
        for (bed, wanted) in self.beds() {
            let note = self.note(&bed, &wanted);
            if wanted.told.as_ref() == Some(&note) {
                continue;
            }
            self.0.live.limits(&bed, note.clone()).await?;
            self.change_bed(&bed, |wanted| {
                wanted.was_in_force |= note.state == LimitsState::InForce;
                wanted.told = Some(note);
            });
        }
        Ok(())
    }

    /// Somebody came to the bed or left it, or what is known of the patient was corrected. The agent is told at once who lies there.
    /// What cannot be done now is done when the beds are looked at next.
    pub async fn patient_changed(&self, bed: &str, author: &str, reason: &str) {
        if let Err(error) = self.turn(bed, author, reason, None).await {
            tracing::error!(bed, error = format!("{error:#}"), "the limits of a bed wait");
        }
    }

    /// The patient of one bed lies in another now. What was changed for this patient goes along only if a person said so.
    pub async fn transferred(&self, from: &str, to: &str, author: &str, keep: bool) {
        let changes = keep.then(|| self.wanted(from).changes);
        self.patient_changed(from, author, "transfer").await;
        if let Err(error) = self.turn(to, author, "transfer", changes).await {
            tracing::error!(bed = to, error = format!("{error:#}"), "the limits of a bed wait");
        }
    }

    async fn turn(&self, bed: &str, author: &str, reason: &str, carried: Option<Changes>) -> Result<()> {
        let _turn = self.0.turn.lock().await;
        let place = bed.to_owned();
        let stay = self.0.store.read(move |store| people::stay(store, &place)).await?;
        self.change_bed(bed, |wanted| {
            let is_new = wanted.stay.as_ref().map(|stay| &stay.id) != stay.as_ref().map(|stay| &stay.id);
            if is_new {
                wanted.changes = carried.unwrap_or_default();
                wanted.was_in_force = false;
            }
            wanted.stay.clone_from(&stay);
            wanted.told = None;
        });
        self.say(bed);
        let Some(stay) = stay else { return self.tell().await };
        let wanted = self.wanted(bed);
        let now = self.0.clock.now().wall;
        let is_same_stay = wanted.issue.as_ref().is_some_and(|issue| issue.stay == stay.id);
        // A corrected birth is another age than the one that was accepted; what the patient breathes is not.
        let pma_days = match &wanted.issue {
            Some(issue) if is_same_stay && reason == OXYGEN => issue.pma_days,
            _ => stay.circumstances(now).pma_days,
        };
        let draft = self.draft(stay, wanted.changes.clone(), pma_days, now);
        if !is_same_stay || self.differs(&wanted, &draft) {
            self.append(bed, draft, author, reason, now).await?;
        }
        self.tell().await
    }

    /// What follows from time and profiles alone. A new age waits for a person.
    async fn renew(&self, bed: &str) -> Result<()> {
        let _turn = self.0.turn.lock().await;
        let wanted = self.wanted(bed);
        let Some(stay) = wanted.stay.clone() else { return Ok(()) };
        let now = self.0.clock.now().wall;
        let issue = wanted.issue.as_ref().filter(|issue| issue.stay == stay.id);
        let pma_days = issue.map_or_else(|| stay.circumstances(now).pma_days, |issue| issue.pma_days);
        let reason = match issue {
            None => "first limits of this stay",
            // What the bed has is not this hub's to replace before a person has looked (H4).
            Some(_) if self.state(bed, &wanted) == LimitsState::Unconfirmed => return Ok(()),
            Some(_) => "profile changed, or a limit came back",
        };
        let draft = self.draft(stay, wanted.changes.clone(), pma_days, now);
        if issue.is_none() || self.differs(&wanted, &draft) {
            self.append(bed, draft, NOBODY, reason, now).await?;
        }
        Ok(())
    }

    /// A person's change, whole or not at all.
    pub async fn change(&self, bed: &str, who: &str, asked: &Asked, keep: Keep) -> Result<(), Refused> {
        let _turn = self.0.turn.lock().await;
        let wanted = self.wanted(bed);
        let stay = wanted.stay.clone().ok_or(Refused::NobodyThere)?;
        check_version(&wanted, asked.version)?;
        let changes = match keep {
            Keep::Nothing => wanted.changes.replaced_by(asked),
            Keep::Rest => wanted.changes.merged_with(asked),
        };
        let mut wrong = Vec::new();
        if let Some(name) = &changes.profile
            && self.profiles().find(name).is_none()
        {
            wrong.push(Wrong { field: "profile".to_owned(), problem: "there is no such profile".to_owned() });
        }
        let now = self.0.clock.now().wall;
        let pma_days =
            wanted.issue.as_ref().map_or_else(|| stay.circumstances(now).pma_days, |issue| issue.pma_days);
        let draft = self.draft(stay, changes, pma_days, now);
        wrong.extend(draft.resolved.aside.iter().map(|(at, words)| {
            let change = &draft.changes.limits[*at];
            let field = asked.limits.iter().position(|wish| wish.change.is_about(change));
            let field = field.map_or_else(|| "limits".to_owned(), |at| format!("limits[{at}]"));
            Wrong { field, problem: words.clone() }
        }));
        if !wrong.is_empty() {
            return Err(Refused::Wrong(wrong));
        }
        let draft = draft.without_idle_changes();
        let reason = if asked.reason.is_empty() { "changed" } else { &asked.reason };
        self.append(bed, draft, who, reason, now).await?;
        self.tell().await?;
        Ok(())
    }

    /// A person takes over what the patient's age now asks for.
    pub async fn accept_age(&self, bed: &str, who: &str, version: Option<u64>) -> Result<(), Refused> {
        let _turn = self.0.turn.lock().await;
        let wanted = self.wanted(bed);
        let stay = wanted.stay.clone().ok_or(Refused::NobodyThere)?;
        check_version(&wanted, version)?;
        let now = self.0.clock.now().wall;
        let pma_days = stay.circumstances(now).pma_days;
        let draft = self.draft(stay, wanted.changes.clone(), pma_days, now);
        let reason = format!("age {}", in_weeks(pma_days));
        self.append(bed, draft, who, &reason, now).await?;
        self.tell().await?;
        Ok(())
    }

    fn draft(&self, stay: Stay, changes: Changes, pma_days: i64, now: Wall) -> Draft {
        let profiles = self.profiles();
        let known = profiles.of_name(changes.profile.as_deref());
        let at = Circumstances { pma_days, ..stay.circumstances(now) };
        let resolved = resolve(&known.profile, &at, &changes.limits, now.millis(), &self.0.envelope);
        Draft { stay, pma_days, changes, profile: known.profile.name.clone(), resolved }
    }

    /// Whether a draft watches anything else than what is wanted.
    fn differs(&self, wanted: &Wanted, draft: &Draft) -> bool {
        let set = convert::limit_set_out(&draft.resolved.set, "", "", "");
        wanted.issue.as_ref().is_none_or(|issue| !standing::is_same(&issue.set, &set))
    }

    /// Commits the next version, and only then asks the agent for it.
    async fn append(&self, bed: &str, draft: Draft, author: &str, reason: &str, now: Wall) -> Result<()> {
        let newest = self.wanted(bed).issue.map(|issue| issue.version);
        let version = standing::next_version(newest, &self.0.ears.of(bed));
        let mut set = convert::limit_set_out(&draft.resolved.set, author, &draft.profile, bed);
        set.version = version;
        set.stay = Some(draft.stay.id.clone());
        let issue = Issue {
            bed: bed.to_owned(),
            version,
            stay: draft.stay.id.clone(),
            at: now,
            author: author.to_owned(),
            reason: reason.to_owned(),
            pma_days: draft.pma_days,
            changes: serde_json::to_string(&draft.changes).context("changes cannot be written")?,
            set,
        };
        self.commit(issue, draft.changes).await
    }

    async fn commit(&self, issue: Issue, changes: Changes) -> Result<()> {
        let written = issue.clone();
        self.0.store.write(move |store| limits::append(store, &written)).await?;
        let bed = issue.bed.clone();
        self.change_bed(&bed, |wanted| {
            wanted.issue = Some(issue);
            wanted.changes = changes;
            wanted.was_in_force = false;
        });
        self.say(&bed);
        Ok(())
    }

    /// The agent has a number as high of another bed or stay: what is wanted goes out once more under a higher one.
    async fn lift(&self, bed: &str, higher: u64) {
        let _turn = self.0.turn.lock().await;
        let wanted = self.wanted(bed);
        let Some(mut issue) = wanted.issue.filter(|issue| issue.version < higher) else { return };
        issue.version = higher;
        issue.set.version = higher;
        issue.at = self.0.clock.now().wall;
        NOBODY.clone_into(&mut issue.author);
        "the gateway had a number as high of another bed or stay".clone_into(&mut issue.reason);
        if let Err(error) = self.commit(issue, wanted.changes).await {
            tracing::error!(bed, error = format!("{error:#}"), "the limits of a bed cannot be renewed");
        }
    }

    fn higher(&self, bed: &str, wanted: &Wanted) -> Option<u64> {
        let stay = wanted.stay.as_ref()?;
        let issue = wanted.issue.as_ref().filter(|issue| issue.stay == stay.id)?;
        standing::needs_higher(&issue.set, &self.0.ears.of(bed))
    }

    /// Leaves who lies there and what is wanted where the agent's conversation finds it.
    fn say(&self, bed: &str) {
        let wanted = self.wanted(bed);
        let stay = wanted.stay.map(|stay| stay.id);
        let set =
            wanted.issue.filter(|issue| Some(&issue.stay) == stay.as_ref()).map(|issue| Arc::new(issue.set));
        self.0.tending.change(bed, |tended| {
            tended.stay = Some(downstream::Stay { id: stay });
            tended.limits = set;
        });
    }

    fn state(&self, bed: &str, wanted: &Wanted) -> LimitsState {
        match (&wanted.stay, &wanted.issue) {
            (Some(stay), Some(issue)) if issue.stay == stay.id => {
                standing::state(&issue.set, &self.0.ears.of(bed), wanted.was_in_force)
            }
            _ => LimitsState::None,
        }
    }

    fn note(&self, bed: &str, wanted: &Wanted) -> LimitsNote {
        let state = self.state(bed, wanted);
        let (Some(stay), Some(issue)) = (&wanted.stay, &wanted.issue) else { return LimitsNote::default() };
        if issue.stay != stay.id {
            return LimitsNote::default();
        }
        let now = self.0.clock.now().wall;
        let draft = self.draft(stay.clone(), wanted.changes.clone(), issue.pma_days, now);
        LimitsNote {
            state,
            version: Some(issue.version),
            profile: draft.profile.clone(),
            deviations: draft.resolved.deviations(),
            words: self.words(bed, state),
            age_step: self.age_step(wanted, stay, issue, now),
        }
    }

    fn words(&self, bed: &str, state: LimitsState) -> String {
        let heard = self.0.ears.of(bed);
        let has = heard.in_force.map_or(0, |limits| limits.version);
        match state {
            LimitsState::Refused => heard.refused.map(|(_, words)| words).unwrap_or_default(),
            LimitsState::Unconfirmed => {
                format!(
                    "the bed has version {has}, which this hub does not know: look and save the limits anew"
                )
            }
            LimitsState::Reset => {
                "the bed has lost its limits and watches by its own configuration".to_owned()
            }
            LimitsState::None | LimitsState::Requested | LimitsState::Accepted | LimitsState::InForce => {
                String::new()
            }
        }
    }

    /// What the age of today would change, in words.
    fn age_step(&self, wanted: &Wanted, stay: &Stay, issue: &Issue, now: Wall) -> Option<String> {
        let pma_days = stay.circumstances(now).pma_days;
        if pma_days == issue.pma_days {
            return None;
        }
        let then = self.draft(stay.clone(), wanted.changes.clone(), issue.pma_days, now).resolved;
        let today = self.draft(stay.clone(), wanted.changes.clone(), pma_days, now).resolved;
        let words = today.differences(&then);
        (!words.is_empty()).then(|| format!("now {}: {}", in_weeks(pma_days), words.join(", ")))
    }

    pub async fn view(&self, bed: &str) -> Result<LimitsView> {
        let place = bed.to_owned();
        let history = self.0.store.read(move |store| limits::history(store, &place, HISTORY)).await?;
        let wanted = self.wanted(bed);
        let (heard, now) = (self.0.ears.of(bed), self.0.clock.now().wall);
        let note = self.note(bed, &wanted);
        let mut view = LimitsView {
            bed: bed.to_owned(),
            stay: wanted.stay.as_ref().map(|stay| stay.id.clone()),
            state: note.state,
            words: note.words,
            version: note.version,
            circumstances: None,
            profile: None,
            requested: None,
            accepted: heard.taken,
            in_force: heard.in_force.as_ref().map(InForceView::of),
            changes: wanted.changes.limits.clone(),
            deviations: note.deviations,
            age_step: note.age_step,
            history: history.iter().map(IssueView::of).collect(),
        };
        let (Some(stay), Some(issue)) = (wanted.stay, wanted.issue) else { return Ok(view) };
        if issue.stay != stay.id {
            return Ok(view);
        }
        let at = stay.circumstances(now);
        view.circumstances = Some(CircumstancesView {
            gestational_age: weeks(at.gestation_days),
            pma: weeks(at.pma_days),
            pma_of_limits: weeks(issue.pma_days),
            oxygen: at.oxygen.name(),
        });
        let profiles = self.profiles();
        let known = profiles.of_name(wanted.changes.profile.as_deref());
        let choice = profiles
            .iter()
            .map(|known| ChoiceView { name: known.profile.name.clone(), title: known.profile.title.clone() });
        view.profile = Some(ProfileView {
            name: known.profile.name.clone(),
            title: known.profile.title.clone(),
            origin: known.origin.name(),
            choice: choice.collect(),
        });
        let draft = self.draft(stay, wanted.changes, issue.pma_days, now);
        view.requested = Some(SetView::of(&issue, &known.profile, &draft.resolved));
        Ok(view)
    }

    fn profiles(&self) -> Arc<Profiles> {
        lock(&self.0.profiles).clone()
    }

    fn beds(&self) -> BTreeMap<String, Wanted> {
        lock(&self.0.beds).clone()
    }

    fn wanted(&self, bed: &str) -> Wanted {
        lock(&self.0.beds).get(bed).cloned().unwrap_or_default()
    }

    fn change_bed(&self, bed: &str, change: impl FnOnce(&mut Wanted)) {
        change(lock(&self.0.beds).entry(bed.to_owned()).or_default());
    }
}

/// The reason of a set that follows from what the patient breathes.
pub const OXYGEN: &str = "oxygen therapy";

fn check_version(wanted: &Wanted, seen: Option<u64>) -> Result<(), Refused> {
    let stands = wanted.issue.as_ref().map(|issue| issue.version);
    if seen.is_some() && seen == stands { Ok(()) } else { Err(Refused::Superseded(stands)) }
}

fn changes_of(issue: &Issue) -> Changes {
    // Written by us.
    serde_json::from_str(&issue.changes).unwrap_or_default()
}

/// What a person sent, read with everything that is wrong with it.
pub fn read(body: &serde_json::Value, now: Wall) -> Result<Asked, Refused> {
    change::read(body, now.millis()).map_err(Refused::Wrong)
}

/// The shipped profiles and the site's files over them. What cannot be read is said in the log and left out.
fn load(folder: Option<&Path>, envelope: &Envelope, before: Option<&Profiles>) -> Profiles {
    let files = folder.map(files_of).unwrap_or_default();
    let (profiles, problems) = Profiles::of(&files, envelope, before);
    for problem in problems {
        tracing::error!(problem = problem.to_string(), "a profile is not taken");
    }
    profiles
}

/// Name and text of each `*.toml` in the folder, in the order of their names.
pub fn files_of(folder: &Path) -> Vec<(String, String)> {
    let Ok(entries) = std::fs::read_dir(folder) else { return Vec::new() };
    let mut paths: Vec<PathBuf> = entries.filter_map(|entry| Some(entry.ok()?.path())).collect();
    paths.retain(|path| path.extension().is_some_and(|extension| extension == "toml"));
    paths.sort();
    let text = |path: PathBuf| {
        let is_small = std::fs::metadata(&path).is_ok_and(|meta| meta.len() <= PROFILE_BYTES_MAX);
        let text = is_small.then(|| std::fs::read_to_string(&path).ok()).flatten();
        if text.is_none() {
            tracing::error!(file = %path.display(), "a profile cannot be read");
        }
        Some((path.display().to_string(), text?))
    };
    paths.into_iter().take(PROFILES_MAX).filter_map(text).collect()
}

fn lock<T>(shared: &Mutex<T>) -> MutexGuard<'_, T> {
    // What these guard is whole at every instant, so a panic elsewhere does not spoil it.
    shared.lock().unwrap_or_else(PoisonError::into_inner)
}
