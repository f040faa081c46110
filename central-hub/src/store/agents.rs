//! Who may speak, who was invited, and which bed does an agent serve?

use super::events::{self, Event};
use super::marks;
use cotside_protocol::model::Wall;
use cotside_protocol::wire::topic::AgentId;
use rusqlite::{Connection, OptionalExtension, params};
use std::time::Duration;

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Agent {
    pub id: AgentId,
    pub enrolled: Option<Wall>,
    pub revoked: Option<Wall>,
    pub heard: Option<Wall>,
    pub bed: Option<String>,
}

/// A token that was found good, and is now used up.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Invitation {
    pub agent: AgentId,
    pub bed: String,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refused {
    UnknownToken,
    Used,
    Expired,
}

pub fn all(connection: &Connection) -> rusqlite::Result<Vec<Agent>> {
    connection
        .prepare_cached(
            "SELECT agents.id, enrolled_us, revoked_us, heard_us, bed FROM agents
             LEFT JOIN assignments ON agent = agents.id AND to_us IS NULL ORDER BY agents.id",
        )?
        .query_map([], |row| {
            let id: String = row.get(0)?;
            let wall = |column: usize| row.get::<_, Option<i64>>(column).map(|at| at.map(Wall));
            Ok(AgentId::new(&id).map(|id| Agent {
                id,
                enrolled: wall(1).ok().flatten(),
                revoked: wall(2).ok().flatten(),
                heard: wall(3).ok().flatten(),
                bed: row.get(4).ok().flatten(),
            }))
        })?
        .filter_map(Result::transpose)
        .collect()
}

/// Keeps a token's hash; the secret itself is only ever printed. Older tokens of the same agent are void.
pub fn invite(
    connection: &Connection,
    hash: &[u8; 32],
    invitation: &Invitation,
    now: Wall,
    valid: Duration,
) -> rusqlite::Result<()> {
    let agent = invitation.agent.as_str();
    connection.execute("DELETE FROM tokens WHERE agent = ?1 OR expires_us < ?2", params![agent, now.0])?;
    connection.execute("INSERT INTO agents(id) VALUES(?1) ON CONFLICT DO NOTHING", [agent])?;
    connection.execute(
        "INSERT INTO tokens(hash, agent, bed, made_us, expires_us) VALUES(?1, ?2, ?3, ?4, ?5)",
        params![hash, agent, invitation.bed, now.0, (now + valid).0],
    )?;
    Ok(())
}

/// What a token invites to, if it is good now.
pub fn invited(
    connection: &Connection,
    hash: &[u8; 32],
    now: Wall,
) -> rusqlite::Result<Result<Invitation, Refused>> {
    let found = connection
        .query_row("SELECT agent, bed, expires_us, used_us FROM tokens WHERE hash = ?1", [hash], |row| {
            let name: String = row.get(0)?;
            Ok((name, row.get(1)?, row.get::<_, i64>(2)?, row.get::<_, Option<i64>>(3)?))
        })
        .optional()?;
    let invitation =
        found.and_then(|(name, bed, expires, used)| Some((AgentId::new(&name)?, bed, expires, used)));
    Ok(match invitation {
        None => Err(Refused::UnknownToken),
        Some((_, _, _, Some(_))) => Err(Refused::Used),
        Some((_, _, expires, None)) if now.0 >= expires => Err(Refused::Expired),
        Some((agent, bed, _, None)) => Ok(Invitation { agent, bed }),
    })
}

/// Uses a token up: from now on the agent is known and serves the token's bed. Everything or nothing.
pub fn redeem(
    connection: &Connection,
    hash: &[u8; 32],
    now: Wall,
) -> rusqlite::Result<Result<Invitation, Refused>> {
    let invitation = match invited(connection, hash, now)? {
        Ok(invitation) => invitation,
        Err(refused) => return Ok(Err(refused)),
    };
    connection.execute("UPDATE tokens SET used_us = ?2 WHERE hash = ?1", params![hash, now.0])?;
    connection.execute(
        "UPDATE agents SET enrolled_us = ?2, revoked_us = NULL WHERE id = ?1",
        params![invitation.agent.as_str(), now.0],
    )?;
    assign(connection, &invitation.agent, &invitation.bed, now)?;
    marks::settle(connection, &invitation.agent, "enrolled anew", now)?;
    Ok(Ok(invitation))
}

/// Remembers the certificate that was given out.
pub fn certified(
    connection: &Connection,
    agent: &AgentId,
    fingerprint: &[u8; 32],
    now: Wall,
) -> rusqlite::Result<()> {
    connection
        .execute("UPDATE agents SET certificate = ?2 WHERE id = ?1", params![agent.as_str(), fingerprint])?;
    let detail = format!("certificate {}", hex(&fingerprint[..8]));
    events::append(
        connection,
        &Event { at: now, agent: Some(agent.to_string()), what: "enrolled".into(), detail },
    )
}

/// From `now` on the agent serves `bed`, and nobody else does.
pub fn assign(connection: &Connection, agent: &AgentId, bed: &str, now: Wall) -> rusqlite::Result<()> {
    let unchanged: bool = connection.query_row(
        "SELECT EXISTS(SELECT 1 FROM assignments WHERE agent = ?1 AND bed = ?2 AND to_us IS NULL)",
        params![agent.as_str(), bed],
        |row| row.get(0),
    )?;
    if unchanged {
        return Ok(());
    }
    connection.execute(
        "UPDATE assignments SET to_us = ?3 WHERE (agent = ?1 OR bed = ?2) AND to_us IS NULL",
        params![agent.as_str(), bed, now.0],
    )?;
    connection.execute(
        "INSERT INTO assignments(agent, bed, from_us) VALUES(?1, ?2, ?3)",
        params![agent.as_str(), bed, now.0],
    )?;
    Ok(())
}

/// A time in which an agent served a bed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Assignment {
    pub agent: String,
    pub from: Wall,
    /// None: it still does.
    pub to: Option<Wall>,
}

/// Who served a bed when, in order.
pub fn assignments(connection: &Connection, bed: &str) -> rusqlite::Result<Vec<Assignment>> {
    let sql = "SELECT agent, from_us, to_us FROM assignments WHERE bed = ?1 ORDER BY from_us, id";
    connection.prepare_cached(sql)?.query_map([bed], assignment)?.collect()
}

/// When an agent served other beds than this one.
pub fn assignments_elsewhere(
    connection: &Connection,
    agent: &str,
    bed: &str,
) -> rusqlite::Result<Vec<Assignment>> {
    let sql = "SELECT agent, from_us, to_us FROM assignments WHERE agent = ?1 AND bed <> ?2 ORDER BY from_us";
    connection.prepare_cached(sql)?.query_map([agent, bed], assignment)?.collect()
}

fn assignment(row: &rusqlite::Row<'_>) -> rusqlite::Result<Assignment> {
    Ok(Assignment {
        agent: row.get(0)?,
        from: Wall(row.get(1)?),
        to: row.get::<_, Option<i64>>(2)?.map(Wall),
    })
}

/// False if there is no such agent. Its name stays taken; a new token brings it back.
pub fn revoke(connection: &Connection, agent: &AgentId, now: Wall) -> rusqlite::Result<bool> {
    let changed = connection.execute(
        "UPDATE agents SET revoked_us = ?2 WHERE id = ?1 AND revoked_us IS NULL",
        params![agent.as_str(), now.0],
    )?;
    connection.execute("DELETE FROM tokens WHERE agent = ?1", [agent.as_str()])?;
    connection.execute(
        "UPDATE assignments SET to_us = ?2 WHERE agent = ?1 AND to_us IS NULL",
        params![agent.as_str(), now.0],
    )?;
    marks::settle(connection, agent, "revoked", now)?;
    if changed > 0 {
        let event =
            Event { at: now, agent: Some(agent.to_string()), what: "revoked".into(), detail: String::new() };
        events::append(connection, &event)?;
    }
    Ok(changed > 0)
}

pub fn heard(connection: &Connection, agent: &AgentId, now: Wall) -> rusqlite::Result<()> {
    connection
        .prepare_cached("UPDATE agents SET heard_us = ?2 WHERE id = ?1")?
        .execute(params![agent.as_str(), now.0])?;
    Ok(())
}

pub fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use super::super::schema;
    use super::{Invitation, Refused, all, assign, invite, redeem, revoke};
    use crate::store::blocks::bed_at;
    use cotside_protocol::model::Wall;
    use cotside_protocol::wire::topic::AgentId;
    use rusqlite::Connection;
    use std::time::Duration;

    const QUARTER: Duration = Duration::from_secs(900);

    fn store() -> Connection {
        let connection = Connection::open_in_memory().unwrap();
        schema::migrate(&connection).unwrap();
        connection
    }

    fn invitation(agent: &str, bed: &str) -> Invitation {
        Invitation { agent: AgentId::new(agent).unwrap(), bed: bed.into() }
    }

    #[test]
    fn a_token_is_good_once_and_for_its_time_only() {
        let store = store();
        let invitation = invitation("gw-01", "01");
        invite(&store, &[1; 32], &invitation, Wall(0), QUARTER).unwrap();
        assert_eq!(redeem(&store, &[9; 32], Wall(1)).unwrap(), Err(Refused::UnknownToken));
        assert_eq!(redeem(&store, &[1; 32], Wall(900_000_000)).unwrap(), Err(Refused::Expired));
        assert_eq!(redeem(&store, &[1; 32], Wall(899_999_999)).unwrap(), Ok(invitation));
        assert_eq!(redeem(&store, &[1; 32], Wall(899_999_999)).unwrap(), Err(Refused::Used));
    }

    #[test]
    fn a_second_token_voids_the_first() {
        let store = store();
        invite(&store, &[1; 32], &invitation("gw-01", "01"), Wall(0), QUARTER).unwrap();
        invite(&store, &[2; 32], &invitation("gw-01", "01"), Wall(1), QUARTER).unwrap();
        assert_eq!(redeem(&store, &[1; 32], Wall(2)).unwrap(), Err(Refused::UnknownToken));
        assert!(redeem(&store, &[2; 32], Wall(2)).unwrap().is_ok());
    }

    #[test]
    fn a_late_record_belongs_to_the_bed_where_it_was_measured() {
        let store = store();
        let agent = AgentId::new("gw-01").unwrap();
        invite(&store, &[1; 32], &invitation("gw-01", "01"), Wall(0), QUARTER).unwrap();
        redeem(&store, &[1; 32], Wall(100)).unwrap().unwrap();
        assign(&store, &agent, "02", Wall(200)).unwrap();
        let bed = |at| bed_at(&store, &agent, Wall(at)).unwrap();
        assert_eq!((bed(99), bed(100), bed(199)), (None, Some("01".into()), Some("01".into())));
        assert_eq!(bed(200), Some("02".into()));
    }

    #[test]
    fn a_revoked_agent_serves_no_bed() {
        let store = store();
        let agent = AgentId::new("gw-01").unwrap();
        invite(&store, &[1; 32], &invitation("gw-01", "01"), Wall(0), QUARTER).unwrap();
        redeem(&store, &[1; 32], Wall(100)).unwrap().unwrap();
        assert!(revoke(&store, &agent, Wall(300)).unwrap());
        assert!(!revoke(&store, &agent, Wall(301)).unwrap());
        let agents = all(&store).unwrap();
        assert_eq!((agents[0].revoked, agents[0].bed.as_deref()), (Some(Wall(300)), None));
    }
}
