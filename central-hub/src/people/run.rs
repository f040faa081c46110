//! People against the store: logging in and out, admitting and discharging, off the async threads.

use super::admissions::{self, Admission, Transfer};
use super::audit::{self, Act};
use super::lockout::Lockout;
use super::passwords;
use super::patient::Patient;
use super::roles::Role;
use super::sessions::{self, Looker, SessionId, Sessions, Token, Who};
use super::users;
use crate::live::Live;
use crate::store::Store;
use anyhow::{Context, Result};
use cotside_config::profile::Oxygen;
use cotside_protocol::model::{Mono, Now};
use cotside_systemd::clock::Clock;
use rusqlite::Connection;
use std::net::IpAddr;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::sync::Semaphore;

/// Each verification holds 19 MiB and a core.
const VERIFICATIONS_AT_ONCE: usize = 2;
/// A login waits no longer than this for a store that does not answer: looking at the unit must be possible without it.
const STORE_PATIENCE: Duration = Duration::from_secs(3);
const PIN_MIN: usize = 4;
const PIN_MAX: usize = 12;
const REFRESH_EVERY: Duration = Duration::from_secs(60);

pub struct People {
    store: Store,
    sessions: Mutex<Sessions>,
    lockout: Mutex<Lockout>,
    verifications: Semaphore,
    /// Held over commit and now-state, so that both see the admissions of a bed in one order.
    turn_over: tokio::sync::Mutex<()>,
}

/// What proves who somebody is.
pub enum Secret {
    Password(String),
    /// Short, and good at a station only.
    Pin(String),
}

/// Why somebody was not let in.
#[derive(Debug)]
pub enum Refused {
    BadCredentials,
    LockedOut(Duration),
    Trouble(anyhow::Error),
}

impl People {
    pub async fn open(store: Store, now: Now) -> Result<Self> {
        let stored = store.read(sessions::all).await.context("cannot read the sessions")?;
        let mut sessions = Sessions::default();
        sessions.restore(now, stored);
        Ok(Self {
            store,
            sessions: Mutex::new(sessions),
            lockout: Mutex::default(),
            verifications: Semaphore::new(VERIFICATIONS_AT_ONCE),
            turn_over: tokio::sync::Mutex::default(),
        })
    }

    /// Tells the now-state who lies where: once, at start.
    pub async fn take_places(&self, live: &Live) -> Result<()> {
        let current = self.store.read(admissions::current).await.context("cannot read the admissions")?;
        for (bed, patient) in current {
            if !live.turn_over(&bed, Some(patient)).await? {
                tracing::warn!(bed, "a patient is admitted to a bed that is not configured");
            }
        }
        Ok(())
    }

    /// A try counts as a failure until it has succeeded, so that many at once are no way around the lock-out.
    pub async fn log_in(
        &self,
        now: Now,
        name: &str,
        password: String,
        address: IpAddr,
    ) -> Result<(Token, Who), Refused> {
        let role = self.identify(now, name, Secret::Password(password), address).await?;
        let act = Act { at: now.wall, who: name.to_owned(), address };
        let token = Token::draw().map_err(Refused::Trouble)?;
        let who = lock(&self.sessions).open(now.mono, &token, name, role);
        let opened = who.clone();
        self.note(move |store| {
            sessions::insert(store, &opened, act.at)?;
            audit::append(store, &act, "login", None, None)
        })
        .await;
        Ok((token, who))
    }

    /// Who that is, without a session. Guessing is made slow; nothing else ever waits for it.
    pub async fn identify(
        &self,
        now: Now,
        name: &str,
        secret: Secret,
        address: IpAddr,
    ) -> Result<Role, Refused> {
        {
            let mut lockout = lock(&self.lockout);
            if let Some(wait) = lockout.remaining(now.mono, name, address) {
                return Err(Refused::LockedOut(wait));
            }
            lockout.failed(now.mono, name, address);
        }
        let wanted = name.to_owned();
        let account =
            self.store.read(move |store| users::find(store, &wanted)).await.map_err(Refused::Trouble)?;
        let role = account.as_ref().map(|account| account.role);
        let (given, hash) = match secret {
            Secret::Password(password) => (password, account.map(|account| account.password)),
            Secret::Pin(pin) => (pin, account.and_then(|account| account.pin)),
        };
        let is_right = self.verify(given, hash).await.map_err(Refused::Trouble)?;
        let act = Act { at: now.wall, who: name.to_owned(), address };
        let (Some(role), true) = (role, is_right) else {
            // What was typed as a name may be a password: only names that exist are written down.
            if role.is_some() {
                self.note(move |store| audit::append(store, &act, "login refused", None, None)).await;
            }
            return Err(Refused::BadCredentials);
        };
        lock(&self.lockout).succeeded(name, address);
        Ok(role)
    }

    /// Gives a user another PIN, or none. False: it cannot be one.
    pub async fn set_pin(&self, act: Act, pin: Option<String>) -> Result<bool> {
        let is_pin = |pin: &String| {
            (PIN_MIN..=PIN_MAX).contains(&pin.len()) && pin.bytes().all(|byte| byte.is_ascii_digit())
        };
        if pin.as_ref().is_some_and(|pin| !is_pin(pin)) {
            return Ok(false);
        }
        let _turn = self.verifications.acquire().await.context("verifications have ended")?;
        let hash = match pin {
            Some(pin) => {
                let work = move || passwords::hash(&pin);
                Some(tokio::task::spawn_blocking(work).await.context("the hashing panicked")??)
            }
            None => None,
        };
        let change = move |store: &Connection| {
            users::set_pin(store, &act.who, hash.as_deref())?;
            audit::append(store, &act, "set pin", None, None)
        };
        self.store.write(change).await?;
        Ok(true)
    }

    /// Writes down what somebody did.
    pub async fn did(&self, act: Act, what: impl Into<String>, bed: Option<&str>) {
        let (what, bed) = (what.into(), bed.map(str::to_owned));
        self.note(move |store| audit::append(store, &act, &what, bed.as_deref(), None)).await;
    }

    async fn verify(&self, password: String, hash: Option<String>) -> Result<bool> {
        let _turn = self.verifications.acquire().await.context("verifications have ended")?;
        let work = move || passwords::verify(&password, hash.as_deref());
        tokio::task::spawn_blocking(work).await.context("the verification panicked")
    }

    /// Who that is, if the session is still good; this is activity.
    pub fn touch(&self, now: Mono, session: &SessionId) -> Option<Who> {
        lock(&self.sessions).touch(now, session)
    }

    pub async fn log_out(&self, who: &Who, act: Act) {
        lock(&self.sessions).close(&who.session);
        let session = who.session;
        self.note(move |store| {
            sessions::remove(store, &session)?;
            audit::append(store, &act, "logout", None, None)
        })
        .await;
    }

    /// Opening a view of patients is a deed; keeping it open is not another one.
    pub async fn views(&self, now: Now, looker: &Looker, address: IpAddr, bed: Option<&str>) {
        // That a station looks is written down when it begins to.
        let Looker::Person(who) = looker else { return };
        if !lock(&self.sessions).views(now.mono, &who.session, bed.unwrap_or("unit")) {
            return;
        }
        let act = Act { at: now.wall, who: who.name.clone(), address };
        let bed = bed.map(str::to_owned);
        let what = if bed.is_some() { "view bed" } else { "view unit" };
        self.note(move |store| audit::append(store, &act, what, bed.as_deref(), None)).await;
    }

    pub async fn admit(&self, live: &Live, bed: &str, patient: Patient, act: Act) -> Result<Admission> {
        let _turn = self.turn_over.lock().await;
        let place = bed.to_owned();
        let written = self.store.write(move |store| {
            let outcome = admissions::admit(store, &place, &patient, &act)?;
            Ok((outcome, admissions::lies_in(store, &place)?))
        });
        let (outcome, lies_there) = written.await?;
        if matches!(outcome, Admission::Admitted | Admission::Corrected) {
            live.turn_over(bed, lies_there).await?;
        }
        Ok(outcome)
    }

    pub async fn transfer(&self, live: &Live, from: &str, to: &str, act: Act) -> Result<Transfer> {
        let _turn = self.turn_over.lock().await;
        let (left, place) = (from.to_owned(), to.to_owned());
        let written = self.store.write(move |store| {
            let outcome = admissions::transfer(store, &left, &place, &act)?;
            Ok((outcome, admissions::lies_in(store, &place)?))
        });
        let (outcome, lies_there) = written.await?;
        if outcome == Transfer::Done {
            live.turn_over(from, None).await?;
            live.turn_over(to, lies_there).await?;
        }
        Ok(outcome)
    }

    /// What the patient breathes. False: nobody lies there.
    pub async fn breathes(&self, live: &Live, bed: &str, oxygen: Oxygen, act: Act) -> Result<bool> {
        let _turn = self.turn_over.lock().await;
        let place = bed.to_owned();
        let written = self.store.write(move |store| {
            let done = admissions::set_oxygen(store, &place, oxygen, &act)?;
            Ok((done, admissions::lies_in(store, &place)?))
        });
        let (done, lies_there) = written.await?;
        if done {
            live.turn_over(bed, lies_there).await?;
        }
        Ok(done)
    }

    /// False: nobody lies there.
    pub async fn discharge(&self, live: &Live, bed: &str, act: Act) -> Result<bool> {
        let _turn = self.turn_over.lock().await;
        let place = bed.to_owned();
        let done = self.store.write(move |store| admissions::discharge(store, &place, &act)).await?;
        if done {
            live.turn_over(bed, None).await?;
        }
        Ok(done)
    }

    /// Keeps the stored sessions as fresh as the ones in memory, and ends those whose user is gone. Runs until dropped.
    pub async fn refresh(&self, clock: Clock) {
        loop {
            tokio::time::sleep(REFRESH_EVERY).await;
            let now = clock.now();
            let seen = lock(&self.sessions).seen(now);
            let written = seen.clone();
            match self.store.write(move |store| sessions::refresh(store, &written, now.wall)).await {
                Ok(stored) => lock(&self.sessions).keep(&seen, &stored),
                Err(error) => tracing::error!(error = format!("{error:#}"), "cannot refresh the sessions"),
            }
        }
    }

    /// Writes what should be on disk but must not keep anybody from looking: trouble is logged, a slow store is not waited for.
    async fn note(&self, change: impl FnOnce(&Connection) -> rusqlite::Result<()> + Send + 'static) {
        match tokio::time::timeout(STORE_PATIENCE, self.store.write(change)).await {
            Ok(Ok(())) => {}
            Ok(Err(error)) => tracing::error!(error = format!("{error:#}"), "cannot write the audit"),
            Err(_) => tracing::error!("the store is slow, the audit will be written late"),
        }
    }
}

/// What these locks guard is whole at every instant, so a panic elsewhere does not spoil it.
fn lock<T>(shared: &Mutex<T>) -> MutexGuard<'_, T> {
    shared.lock().unwrap_or_else(PoisonError::into_inner)
}
