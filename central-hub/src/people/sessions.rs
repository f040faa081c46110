//! Who is logged in: 256 random bits in a cookie, their hash here and in the store, an end after 15 idle minutes.
//!
//! An open event stream counts as activity: the page is being watched, and a unit view that goes dark after a quiet quarter of an hour
//! is the worse hazard. A station looks without anybody being logged in.

use super::roles::Role;
use crate::alarms::Beds;
use crate::stations::Pass;
use anyhow::Result;
use cotside_protocol::model::{Mono, Now, Wall};
use ring::digest::{SHA256, digest};
use rusqlite::Connection;
use std::collections::{HashMap, HashSet};
use std::fmt::Write;
use std::sync::Arc;
use std::time::Duration;

pub const IDLE_MAX: Duration = Duration::from_secs(15 * 60);
/// A view that stays open is one view: it is not written to the audit again within this time.
const VIEW_ONCE_PER: Duration = Duration::from_secs(15 * 60);
/// Sessions at once. The one that was idle longest makes room.
const SESSIONS_MAX: usize = 1000;

/// Names a session without being able to open it: the hash of its cookie.
pub type SessionId = [u8; 32];

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Who {
    pub name: String,
    pub role: Role,
    pub session: SessionId,
    /// Where this person acts without being signed in.
    pub station: Option<Arc<Pass>>,
}

/// Who looks: somebody signed in, or a station that nobody need be signed in at.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Looker {
    Person(Who),
    Station(SessionId, Arc<Pass>),
}

impl Looker {
    pub fn beds(&self) -> Beds {
        match self {
            Self::Person(_) => Beds::All,
            Self::Station(_, pass) => pass.beds.clone(),
        }
    }
}

/// What the browser is given.
#[derive(Clone)]
pub struct Token(String);

#[derive(Debug, Default)]
pub(super) struct Sessions {
    open: HashMap<SessionId, Session>,
}

#[derive(Debug)]
struct Session {
    name: String,
    role: Role,
    seen_at: Mono,
    viewed: HashMap<String, Mono>,
}

impl Token {
    pub fn draw() -> Result<Self> {
        let mut bits = [0u8; 32];
        getrandom::fill(&mut bits).map_err(|error| anyhow::anyhow!("no randomness: {error}"))?;
        Ok(Self(hex(&bits)))
    }

    /// As it came in a cookie. None: it cannot be one of ours.
    pub fn read(cookie: &str) -> Option<Self> {
        let is_ours = cookie.len() == 64 && cookie.bytes().all(|byte| byte.is_ascii_hexdigit());
        is_ours.then(|| Self(cookie.to_owned()))
    }

    pub fn reveal(&self) -> &str {
        &self.0
    }

    pub fn id(&self) -> SessionId {
        sha256(self.0.as_bytes())
    }

    /// What a page of ours knows and a foreign page cannot: derived from the cookie, so it is stored nowhere.
    pub fn csrf(&self) -> String {
        hex(&sha256(format!("csrf {}", self.0).as_bytes()))
    }
}

impl Sessions {
    pub(super) fn open(&mut self, now: Mono, token: &Token, name: &str, role: Role) -> Who {
        self.expire(now);
        if self.open.len() >= SESSIONS_MAX
            && let Some(idlest) =
                self.open.iter().min_by_key(|(_, session)| session.seen_at).map(|(id, _)| *id)
        {
            self.open.remove(&idlest);
        }
        let session = Session { name: name.to_owned(), role, seen_at: now, viewed: HashMap::new() };
        self.open.insert(token.id(), session);
        Who { name: name.to_owned(), role, session: token.id(), station: None }
    }

    /// Who that is, if the session is still good; this is activity.
    pub(super) fn touch(&mut self, now: Mono, id: &SessionId) -> Option<Who> {
        let session = self.open.get_mut(id)?;
        if now.since(session.seen_at) >= IDLE_MAX {
            self.open.remove(id);
            return None;
        }
        session.seen_at = now;
        Some(Who { name: session.name.clone(), role: session.role, session: *id, station: None })
    }

    pub(super) fn close(&mut self, id: &SessionId) {
        self.open.remove(id);
    }

    /// True if this opens a view that was not open before.
    pub(super) fn views(&mut self, now: Mono, id: &SessionId, what: &str) -> bool {
        let Some(session) = self.open.get_mut(id) else { return true };
        let before = session.viewed.insert(what.to_owned(), now);
        before.is_none_or(|at| now.since(at) >= VIEW_ONCE_PER)
    }

    fn expire(&mut self, now: Mono) {
        self.open.retain(|_, session| now.since(session.seen_at) < IDLE_MAX);
    }

    /// What the store should know: who was seen when.
    pub(super) fn seen(&mut self, now: Now) -> Vec<(SessionId, Wall)> {
        self.expire(now.mono);
        self.open.iter().map(|(id, session)| (*id, now.wall - now.mono.since(session.seen_at))).collect()
    }

    /// Ends what of `known` the store no longer holds: its user was removed, or got a new password.
    pub(super) fn keep(&mut self, known: &[(SessionId, Wall)], stored: &HashSet<SessionId>) {
        for (id, _) in known.iter().filter(|(id, _)| !stored.contains(id)) {
            self.open.remove(id);
        }
    }

    /// Sessions outlive a restart of the hub.
    pub(super) fn restore(&mut self, now: Now, stored: Vec<(SessionId, String, Role, Wall)>) {
        for (id, name, role, seen) in stored {
            let idle = Duration::from_micros(u64::try_from(now.wall.0.saturating_sub(seen.0)).unwrap_or(0));
            if idle < IDLE_MAX {
                let seen_at = Mono(now.mono.0.saturating_sub(u64::try_from(idle.as_micros()).unwrap_or(0)));
                self.open.insert(id, Session { name, role, seen_at, viewed: HashMap::new() });
            }
        }
    }
}

pub(super) fn insert(connection: &Connection, who: &Who, now: Wall) -> rusqlite::Result<()> {
    connection
        .prepare_cached("INSERT OR REPLACE INTO sessions(hash, user, seen_us) VALUES(?1, ?2, ?3)")?
        .execute((&who.session[..], &who.name, now.0))?;
    Ok(())
}

pub(super) fn remove(connection: &Connection, id: &SessionId) -> rusqlite::Result<()> {
    connection.prepare_cached("DELETE FROM sessions WHERE hash = ?1")?.execute([&id[..]])?;
    Ok(())
}

/// Writes who was seen, forgets who was not, and answers which sessions there are.
pub(super) fn refresh(
    connection: &Connection,
    seen: &[(SessionId, Wall)],
    now: Wall,
) -> rusqlite::Result<HashSet<SessionId>> {
    let mut update = connection.prepare_cached("UPDATE sessions SET seen_us = ?2 WHERE hash = ?1")?;
    for (id, at) in seen {
        update.execute((&id[..], at.0))?;
    }
    connection.prepare_cached("DELETE FROM sessions WHERE seen_us < ?1")?.execute([(now - IDLE_MAX).0])?;
    let mut question = connection.prepare_cached("SELECT hash FROM sessions")?;
    question.query_map([], |row| row.get::<_, SessionId>(0))?.collect()
}

pub(super) fn all(connection: &Connection) -> rusqlite::Result<Vec<(SessionId, String, Role, Wall)>> {
    let mut question =
        connection.prepare("SELECT hash, name, role, seen_us FROM sessions JOIN users ON name = user")?;
    let rows = question.query_map([], |row| {
        Ok((row.get::<_, SessionId>(0)?, row.get(1)?, row.get::<_, String>(2)?, Wall(row.get(3)?)))
    })?;
    let mut sessions = Vec::new();
    for row in rows {
        let (id, name, role, seen) = row?;
        sessions.extend(Role::parse(&role).map(|role| (id, name, role, seen)));
    }
    Ok(sessions)
}

pub(super) fn sha256(bytes: &[u8]) -> [u8; 32] {
    digest(&SHA256, bytes).as_ref().try_into().expect("a SHA-256 digest has 32 bytes")
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::with_capacity(2 * bytes.len()), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}

#[cfg(test)]
mod tests {
    use super::{Role, Sessions, Token};
    use cotside_protocol::model::Mono;

    const MINUTE: u64 = 60_000_000;

    #[test]
    fn a_session_ends_after_fifteen_idle_minutes() {
        let (mut sessions, token) = (Sessions::default(), Token::draw().unwrap());
        sessions.open(Mono(0), &token, "ana", Role::Nurse);
        assert_eq!(sessions.touch(Mono(14 * MINUTE), &token.id()).unwrap().name, "ana");
        assert!(sessions.touch(Mono(28 * MINUTE), &token.id()).is_some());
        assert!(sessions.touch(Mono(43 * MINUTE), &token.id()).is_none());
        assert!(sessions.touch(Mono(43 * MINUTE), &token.id()).is_none());
    }

    #[test]
    fn a_view_that_stays_open_is_one_view() {
        let (mut sessions, token) = (Sessions::default(), Token::draw().unwrap());
        let who = sessions.open(Mono(0), &token, "ana", Role::Nurse);
        assert!(sessions.views(Mono(0), &who.session, "unit"));
        assert!(!sessions.views(Mono(MINUTE), &who.session, "unit"));
        assert!(sessions.views(Mono(MINUTE), &who.session, "bed 01"));
    }

    #[test]
    fn the_forgery_token_is_bound_to_the_session_and_does_not_reveal_it() {
        let (one, other) = (Token::draw().unwrap(), Token::draw().unwrap());
        assert_ne!(one.csrf(), other.csrf());
        assert_eq!(Token::read(one.reveal()).unwrap().csrf(), one.csrf());
        assert!(!one.csrf().contains(one.reveal()));
        assert!(Token::read("../../etc/passwd").is_none());
    }
}
