//! Stations against the store and the desk: pairing, proof of the key, sessions, and their end within a second of a revocation.

use super::{Challenges, Pass, encode, is_key, is_signed};
use crate::alarms::{Beds, Station};
use crate::live::Live;
use crate::people::{SessionId, Token};
use crate::store::Store;
use crate::store::stations::{self, Kept, Waiting};
use anyhow::{Context as _, Result};
use cotside_protocol::model::{DeviceText, Now, Wall};
use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// How long a revocation on the command line takes to cut a station off.
const RENEW_EVERY: Duration = Duration::from_secs(1);
/// Pages of one station at once; the first makes way.
const SESSIONS_OF_ONE: usize = 4;
/// Draws of a code until one is free.
const CODE_TRIES: usize = 8;

pub struct Stations {
    store: Store,
    live: Live,
    passes: Mutex<BTreeMap<String, Arc<Pass>>>,
    sessions: Mutex<HashMap<SessionId, (Arc<Pass>, u64)>>,
    challenges: Mutex<Challenges>,
    told: Mutex<Vec<Station>>,
}

/// A page that asked to be a station.
#[derive(Clone, Debug)]
pub struct Paired {
    pub station: String,
    pub code: String,
    pub expires: Wall,
}

impl Stations {
    pub async fn open(store: Store, live: Live) -> Result<Self> {
        let stations = Self {
            store,
            live,
            passes: Mutex::default(),
            sessions: Mutex::default(),
            challenges: Mutex::default(),
            told: Mutex::default(),
        };
        stations.renew().await.context("cannot read the stations")?;
        Ok(stations)
    }

    /// Takes over what the store says, the operator's command line included.
    pub async fn renew(&self) -> Result<()> {
        let kept = self.store.read(stations::approved).await?;
        let told = kept.iter().map(|kept| Station {
            id: kept.id.clone(),
            name: kept.name.clone(),
            beds: kept.beds.clone(),
            expected: kept.seen.is_some(),
        });
        let told: Vec<Station> = told.collect();
        let pass = |Kept { id, name, beds, key, .. }| (id.clone(), Arc::new(Pass { id, name, beds, key }));
        let passes: BTreeMap<_, _> = kept.into_iter().map(pass).collect();
        lock(&self.sessions).retain(|_, (pass, _)| passes.get(&pass.id) == Some(pass));
        *lock(&self.passes) = passes;
        let is_news = {
            let mut known = lock(&self.told);
            let is_news = *known != told;
            known.clone_from(&told);
            is_news
        };
        if is_news {
            self.live.stations(told).await?;
        }
        Ok(())
    }

    /// Keeps in step with the store. Runs until dropped.
    pub async fn refresh(&self) {
        loop {
            tokio::time::sleep(RENEW_EVERY).await;
            if let Err(error) = self.renew().await {
                tracing::error!(error = format!("{error:#}"), "the stations cannot be read");
            }
        }
    }

    /// None: that is no key.
    pub async fn pair(&self, now: Now, key: Vec<u8>, label: &str) -> Result<Option<Paired>> {
        if !is_key(&key) {
            return Ok(None);
        }
        let station = hex::<8>()?;
        for _ in 0..CODE_TRIES {
            let code = code()?;
            let (id, words, key) = (station.clone(), code.clone(), key.clone());
            let label = DeviceText::new(label).as_str().to_owned();
            let asked = self
                .store
                .write(move |store| stations::ask(store, [&id, &label, &words], &key, now.wall))
                .await?;
            if asked {
                return Ok(Some(Paired { station, code, expires: now.wall + stations::CODE_FOR }));
            }
        }
        anyhow::bail!("no code is free")
    }

    pub async fn state(&self, now: Now, id: String) -> Result<Option<bool>> {
        self.store.read(move |store| stations::state(store, &id, now.wall)).await
    }

    pub async fn list(&self, now: Now) -> Result<(Vec<Kept>, Vec<Waiting>)> {
        self.store
            .read(move |store| Ok((stations::approved(store)?, stations::waiting(store, now.wall)?)))
            .await
    }

    /// None: there is no such station.
    pub fn challenge(&self, now: Now, id: &str) -> Result<Option<String>> {
        if !lock(&self.passes).contains_key(id) {
            return Ok(None);
        }
        let challenge = encode(&crate::authority::random::<32>()?);
        lock(&self.challenges).give(now.mono, id, &challenge);
        Ok(Some(challenge))
    }

    /// None: it is not that station, or the challenge was not its own.
    pub async fn enter(
        &self,
        now: Now,
        id: &str,
        challenge: &str,
        signature: &[u8],
    ) -> Result<Option<(Token, Arc<Pass>)>> {
        let is_fresh = lock(&self.challenges).take(now.mono, id, challenge);
        let pass = lock(&self.passes).get(id).cloned();
        let Some(pass) = pass.filter(|pass| is_fresh && is_signed(&pass.key, id, challenge, signature))
        else {
            return Ok(None);
        };
        let token = Token::draw()?;
        {
            let mut sessions = lock(&self.sessions);
            let own = || sessions.iter().filter(|(_, (of, _))| of.id == id);
            let oldest = own().min_by_key(|(_, (_, at))| *at).map(|(session, _)| *session);
            if own().count() >= SESSIONS_OF_ONE {
                oldest.and_then(|session| sessions.remove(&session));
            }
            sessions.insert(token.id(), (pass.clone(), now.mono.0));
        }
        let seen = id.to_owned();
        // Looking must be possible without a store that answers.
        if let Err(error) = self.store.submit(move |store| stations::seen(store, &seen, now.wall)).await {
            tracing::error!(error = format!("{error:#}"), "a station's visit cannot be noted");
        }
        Ok(Some((token, pass)))
    }

    /// The station of this session, as long as it is one.
    pub fn of(&self, session: &SessionId) -> Option<Arc<Pass>> {
        lock(&self.sessions).get(session).map(|(pass, _)| pass.clone())
    }

    /// None: no page shows that code.
    pub async fn approve(&self, now: Now, code: String, name: String, beds: Beds) -> Result<Option<String>> {
        let made =
            self.store.write(move |store| stations::approve(store, &code, &name, &beds, now.wall)).await?;
        self.renew().await?;
        Ok(made)
    }

    /// Cuts it off at once.
    pub async fn revoke(&self, now: Now, id: String) -> Result<bool> {
        let done = self.store.write(move |store| stations::revoke(store, &id, now.wall)).await?;
        self.renew().await?;
        Ok(done)
    }
}

fn code() -> Result<String> {
    let bits = crate::authority::random::<8>()?;
    // 2^64 is no multiple of a million, by less than one in 10^13.
    Ok(format!("{:06}", u64::from_le_bytes(bits) % 1_000_000))
}

fn hex<const N: usize>() -> Result<String> {
    let bits = crate::authority::random::<N>()?;
    Ok(bits.iter().map(|byte| format!("{byte:02x}")).collect())
}

/// What these locks guard is whole at every instant, so a panic elsewhere does not spoil it.
fn lock<T>(shared: &Mutex<T>) -> MutexGuard<'_, T> {
    shared.lock().unwrap_or_else(PoisonError::into_inner)
}
