//! Accounts: a name, a role, a password. Made by the operator on the command line.

use super::passwords;
use super::roles::Role;
use anyhow::{Result, bail};
use cotside_protocol::model::Wall;
use rusqlite::{Connection, OptionalExtension};

const PASSWORD_MIN: usize = 8;
/// Argon2 takes any length; a request body may not.
const PASSWORD_MAX: usize = 256;

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct User {
    pub name: String,
    pub role: Role,
}

/// Takes seconds of memory-hard work in a debug build: not for an async thread.
pub fn create_user(connection: &Connection, name: &str, role: Role, password: &str, now: Wall) -> Result<()> {
    let is_name = (1..=32).contains(&name.len())
        && name.bytes().all(|byte| matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'-' | b'_' | b'.'));
    if !is_name {
        bail!("a user's name is 1 to 32 of a-z, 0-9, '-', '_' and '.'");
    }
    let hash = checked_hash(password)?;
    let made = connection.execute(
        "INSERT INTO users(name, role, password, made_us) VALUES(?1, ?2, ?3, ?4) ON CONFLICT DO NOTHING",
        (name, role.name(), hash, now.0),
    )?;
    if made == 0 {
        bail!("there is a user {name} already");
    }
    Ok(())
}

/// Also ends every session of that user.
pub fn set_password(connection: &Connection, name: &str, password: &str) -> Result<()> {
    let hash = checked_hash(password)?;
    if connection.execute("UPDATE users SET password = ?2, pin = NULL WHERE name = ?1", (name, hash))? == 0 {
        bail!("there is no user {name}");
    }
    connection.execute("DELETE FROM sessions WHERE user = ?1", [name])?;
    Ok(())
}

/// Its sessions end with it; what it did stays in the audit.
pub fn remove_user(connection: &Connection, name: &str) -> Result<()> {
    if connection.execute("DELETE FROM users WHERE name = ?1", [name])? == 0 {
        bail!("there is no user {name}");
    }
    Ok(())
}

pub fn list_users(connection: &Connection) -> Result<Vec<User>> {
    let mut question = connection.prepare("SELECT name, role FROM users ORDER BY name")?;
    let rows = question.query_map([], |row| Ok((row.get::<_, String>(0)?, row.get::<_, String>(1)?)))?;
    let mut users = Vec::new();
    for row in rows {
        let (name, role) = row?;
        let Some(role) = Role::parse(&role) else {
            bail!("user {name} has a role of another release: {role}")
        };
        users.push(User { name, role });
    }
    Ok(users)
}

/// An account with the hashes of its secrets.
pub(super) struct Account {
    pub role: Role,
    pub password: String,
    pub pin: Option<String>,
}

pub(super) fn find(connection: &Connection, name: &str) -> rusqlite::Result<Option<Account>> {
    let found = connection
        .prepare_cached("SELECT role, password, pin FROM users WHERE name = ?1")?
        .query_row([name], |row| Ok((row.get::<_, String>(0)?, row.get(1)?, row.get(2)?)))
        .optional()?;
    Ok(found.and_then(|(role, password, pin)| Some(Account { role: Role::parse(&role)?, password, pin })))
}

pub(super) fn set_pin(connection: &Connection, name: &str, hash: Option<&str>) -> rusqlite::Result<()> {
    connection.execute("UPDATE users SET pin = ?2 WHERE name = ?1", (name, hash))?;
    Ok(())
}

fn checked_hash(password: &str) -> Result<String> {
    if password.chars().count() < PASSWORD_MIN || password.len() > PASSWORD_MAX {
        bail!("a password has at least {PASSWORD_MIN} characters, and at most {PASSWORD_MAX} bytes");
    }
    passwords::hash(password)
}

#[cfg(test)]
mod tests {
    use super::{Role, create_user, list_users, remove_user, set_password};
    use cotside_protocol::model::Wall;

    const PASSWORD: &str = "a long enough password";

    #[test]
    fn an_account_is_made_once_changed_and_ended_and_its_sessions_with_it() {
        let folder = std::env::temp_dir().join(format!("cotside-users-{}", std::process::id()));
        std::fs::create_dir_all(&folder).unwrap();
        let store = crate::store::open(&folder.join("hub.db"), true).unwrap();
        let log_in = || store.execute("INSERT INTO sessions VALUES(randomblob(32), 'ana', 0)", []).unwrap();
        let sessions =
            || -> i64 { store.query_row("SELECT count(*) FROM sessions", [], |row| row.get(0)).unwrap() };
        create_user(&store, "ana", Role::Nurse, PASSWORD, Wall(0)).unwrap();
        assert!(create_user(&store, "ana", Role::Admin, PASSWORD, Wall(0)).is_err());
        assert!(create_user(&store, "An a", Role::Nurse, PASSWORD, Wall(0)).is_err());
        assert!(create_user(&store, "bo", Role::Nurse, "short", Wall(0)).is_err());
        log_in();
        set_password(&store, "ana", PASSWORD).unwrap();
        assert_eq!(sessions(), 0);
        log_in();
        remove_user(&store, "ana").unwrap();
        assert_eq!((sessions(), list_users(&store).unwrap().len()), (0, 0));
        assert!(remove_user(&store, "ana").is_err());
        drop(store);
        std::fs::remove_dir_all(&folder).unwrap();
    }
}
