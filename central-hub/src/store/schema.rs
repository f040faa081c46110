//! The tables, as the list of steps that made them. A step once released is never edited; a new one is appended.

use super::unfit::Why;
use rusqlite::{Connection, TransactionBehavior};

/// Step `n` brings a store from `user_version` n to n + 1. All times are microseconds since 1970, UTC.
const MIGRATIONS: &[&str] = &[AGENTS_AND_BLOCKS, PEOPLE, DERIVED, LIVES, CLOCKS, LIMITS, ALARMS];

/// `user_version` of a store that this release writes.
const VERSION: i64 = MIGRATIONS.len() as i64;

/// Names this store towards agents. A copy of it that was put back has the same name.
pub fn store_id(connection: &Connection) -> rusqlite::Result<String> {
    connection.query_row("SELECT value FROM meta WHERE key = 'store'", [], |row| row.get(0))
}

/// Whether a hub has ever written here.
pub(super) fn is_begun(connection: &Connection) -> Result<(), Why> {
    if version(connection)? > 0 {
        return Ok(());
    }
    match connection.query_row("SELECT count(*) FROM sqlite_schema", [], |row| row.get(0))? {
        0 => Err(Why::Empty),
        _ => Err(Why::Foreign),
    }
}

pub(crate) fn migrate(connection: &Connection) -> Result<(), Why> {
    if version(connection)? == VERSION {
        return Ok(());
    }
    // Two processes may open a fresh store at once: the version is read again inside the write lock.
    let step = rusqlite::Transaction::new_unchecked(connection, TransactionBehavior::Immediate)?;
    let found = version(&step)?;
    let missing = usize::try_from(found).ok().and_then(|done| MIGRATIONS.get(done..));
    let Some(missing) = missing else {
        return Err(Why::Newer { found, known: MIGRATIONS.len() });
    };
    for sql in missing {
        step.execute_batch(sql)?;
    }
    step.pragma_update(None, "user_version", VERSION)?;
    step.commit()?;
    Ok(())
}

fn version(connection: &Connection) -> rusqlite::Result<i64> {
    connection.pragma_query_value(None, "user_version", |row| row.get(0))
}

const AGENTS_AND_BLOCKS: &str = "
CREATE TABLE meta(key TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;
INSERT INTO meta VALUES('store', lower(hex(randomblob(8))));

CREATE TABLE agents(
    id          TEXT PRIMARY KEY,
    enrolled_us INTEGER,              -- NULL: invited, has not yet enrolled
    certificate BLOB,                 -- SHA-256 of the newest certificate
    revoked_us  INTEGER,
    heard_us    INTEGER
) WITHOUT ROWID;

-- Which bed an agent served when: [from_us, to_us).
CREATE TABLE assignments(
    id      INTEGER PRIMARY KEY,
    agent   TEXT NOT NULL REFERENCES agents(id),
    bed     TEXT NOT NULL,
    from_us INTEGER NOT NULL,
    to_us   INTEGER
);
CREATE INDEX assignments_agent ON assignments(agent, from_us);
CREATE UNIQUE INDEX assignments_now_agent ON assignments(agent) WHERE to_us IS NULL;
CREATE UNIQUE INDEX assignments_now_bed ON assignments(bed) WHERE to_us IS NULL;

CREATE TABLE tokens(
    hash       BLOB PRIMARY KEY,      -- SHA-256 of the secret
    agent      TEXT NOT NULL,
    bed        TEXT NOT NULL,
    made_us    INTEGER NOT NULL,
    expires_us INTEGER NOT NULL,
    used_us    INTEGER
) WITHOUT ROWID;

-- One lane of one life of one agent's log, with what of it is committed. The order of id is the order of first contact.
CREATE TABLE sources(
    id          INTEGER PRIMARY KEY,
    agent       TEXT NOT NULL,
    epoch       INTEGER NOT NULL,     -- u64 as i64
    lane        INTEGER NOT NULL,     -- 0 alarm, 1 numeric, 2 waveform
    predecessor INTEGER,
    first_us    INTEGER NOT NULL,
    below       INTEGER NOT NULL DEFAULT 0,
    ranges      BLOB NOT NULL DEFAULT x'',
    UNIQUE(agent, epoch, lane)
);

-- Appended in order of arrival and never updated: a block once, as the bed encoded it.
CREATE TABLE blocks(
    id       INTEGER PRIMARY KEY,
    source   INTEGER NOT NULL,
    seq      INTEGER NOT NULL,
    begin_us INTEGER NOT NULL,        -- agent wall time
    bytes    BLOB NOT NULL
);

-- The same key with other bytes: both are kept, a person decides.
CREATE TABLE conflicts(
    id     INTEGER PRIMARY KEY,
    source INTEGER NOT NULL,
    seq    INTEGER NOT NULL,
    at_us  INTEGER NOT NULL,
    bytes  BLOB NOT NULL
);

-- What was said once in the alarm lane, to be found by bed and time measured.
CREATE TABLE records(
    id      INTEGER PRIMARY KEY,
    source  INTEGER NOT NULL,
    seq     INTEGER NOT NULL,
    bed     TEXT,                     -- served at at_us; NULL: unassigned
    at_us   INTEGER NOT NULL,         -- agent wall time
    type    TEXT NOT NULL,
    episode TEXT,
    json    TEXT NOT NULL
);
CREATE INDEX records_bed ON records(bed, at_us);

-- What the hub itself noticed about its agents: refused connections, identity conflicts, foreign provenance.
CREATE TABLE events(
    id     INTEGER PRIMARY KEY,
    at_us  INTEGER NOT NULL,
    agent  TEXT,
    what   TEXT NOT NULL,
    detail TEXT NOT NULL
);
CREATE INDEX events_at ON events(at_us);
";

const PEOPLE: &str = "
CREATE TABLE users(
    name      TEXT PRIMARY KEY,
    role      TEXT NOT NULL,
    password  TEXT NOT NULL,            -- Argon2id, PHC string
    made_us   INTEGER NOT NULL
) WITHOUT ROWID;

CREATE TABLE sessions(
    hash    BLOB PRIMARY KEY,           -- SHA-256 of the cookie
    user    TEXT NOT NULL REFERENCES users(name) ON DELETE CASCADE,
    seen_us INTEGER NOT NULL
) WITHOUT ROWID;

CREATE TABLE patients(
    id             INTEGER PRIMARY KEY,
    identifier     TEXT NOT NULL UNIQUE,
    name           TEXT NOT NULL,
    birth_date     TEXT NOT NULL,       -- YYYY-MM-DD
    gestation_days INTEGER NOT NULL,
    weight_g       INTEGER
);

-- Who lay in which bed when: [from_us, to_us).
CREATE TABLE admissions(
    id      INTEGER PRIMARY KEY,
    bed     TEXT NOT NULL,
    patient INTEGER NOT NULL REFERENCES patients(id),
    from_us INTEGER NOT NULL,
    to_us   INTEGER
);
CREATE INDEX admissions_bed ON admissions(bed, from_us);
CREATE UNIQUE INDEX admissions_now_bed ON admissions(bed) WHERE to_us IS NULL;
CREATE UNIQUE INDEX admissions_now_patient ON admissions(patient) WHERE to_us IS NULL;

-- Who did what, when. A patient appears by number only.
CREATE TABLE audit(
    id      INTEGER PRIMARY KEY,
    at_us   INTEGER NOT NULL,
    who     TEXT NOT NULL,
    address TEXT NOT NULL,
    what    TEXT NOT NULL,
    bed     TEXT,
    patient INTEGER,
    chain   BLOB NOT NULL               -- SHA-256 of the row before's and of these fields
);
CREATE INDEX audit_at ON audit(at_us);
CREATE TRIGGER audit_is_not_rewritten BEFORE UPDATE ON audit BEGIN SELECT RAISE(ABORT, 'the audit is append only'); END;
CREATE TRIGGER audit_is_not_erased BEFORE DELETE ON audit BEGIN SELECT RAISE(ABORT, 'the audit is append only'); END;
";

/// Everything here follows from `blocks` and can be made again from them (`store/derived.rs`); only `outboxes` is hearsay.
const DERIVED: &str = "
-- How far the blocks have been followed. One row.
CREATE TABLE follower(upto INTEGER NOT NULL);
INSERT INTO follower VALUES(0);

-- Where each numeric key frame stands: what is measured in its minute cannot be read without it.
CREATE TABLE key_frames(
    source INTEGER NOT NULL,
    seq    INTEGER NOT NULL,
    block  INTEGER NOT NULL,
    PRIMARY KEY(source, seq)
) WITHOUT ROWID;

-- Numerics that came before their key frame.
CREATE TABLE follower_waiting(
    source INTEGER NOT NULL,
    key    INTEGER NOT NULL,          -- seq of the key frame
    block  INTEGER NOT NULL,
    PRIMARY KEY(source, key, block)
) WITHOUT ROWID;

-- Unbroken runs of seqs [first, end), and the agent's wall time from their earliest to their latest moment.
CREATE TABLE runs(
    source  INTEGER NOT NULL,
    first   INTEGER NOT NULL,
    end     INTEGER NOT NULL,
    from_us INTEGER NOT NULL,
    to_us   INTEGER NOT NULL,
    PRIMARY KEY(source, first)
) WITHOUT ROWID;

-- Every stretch known to be missing: [from_us, to_us), agent wall time.
CREATE TABLE gaps(
    agent   TEXT NOT NULL,
    lane    INTEGER NOT NULL,
    to_us   INTEGER NOT NULL,
    from_us INTEGER NOT NULL,
    source  INTEGER NOT NULL,
    seq     INTEGER NOT NULL,
    link    INTEGER,                  -- NULL: the whole lane
    cause   TEXT NOT NULL,
    count   INTEGER,
    PRIMARY KEY(agent, lane, to_us, from_us, source, seq)
) WITHOUT ROWID;

-- Which seconds of a day (since 1970) brought data, as ranges (`ledger/seconds.rs`).
CREATE TABLE heard(
    agent   TEXT NOT NULL,
    day     INTEGER NOT NULL,
    lane    INTEGER NOT NULL,
    link    INTEGER NOT NULL,
    seconds BLOB NOT NULL,
    PRIMARY KEY(agent, day, lane, link)
) WITHOUT ROWID;

-- The minutes of an hour (since 1970) of one channel (`ledger/hour.rs`). Channels of one bed and hour lie together.
CREATE TABLE hours(
    agent   TEXT NOT NULL,
    hour    INTEGER NOT NULL,
    code    INTEGER NOT NULL,
    site    INTEGER NOT NULL,
    link    INTEGER NOT NULL,
    setting INTEGER NOT NULL,
    ucum    TEXT NOT NULL,
    minutes BLOB NOT NULL,
    PRIMARY KEY(agent, hour, code, site, link, setting, ucum)
) WITHOUT ROWID;

-- What a link was called last.
CREATE TABLE links(
    agent TEXT NOT NULL,
    link  INTEGER NOT NULL,
    name  TEXT NOT NULL,
    at_us INTEGER NOT NULL,
    seq   INTEGER NOT NULL,
    PRIMARY KEY(agent, link)
) WITHOUT ROWID;

-- What an agent last said that it still holds, taken down when all before it had been followed.
CREATE TABLE outboxes(
    agent     TEXT PRIMARY KEY,
    at_us     INTEGER NOT NULL,       -- agent wall time
    rows      INTEGER NOT NULL,
    oldest_us INTEGER NOT NULL        -- when the oldest of them was measured, agent wall time
) WITHOUT ROWID;
";

const LIVES: &str = "
-- Where an epoch begins in this lane: seqs go on from one epoch of a log to the next.
ALTER TABLE sources ADD COLUMN first INTEGER NOT NULL DEFAULT 0;
CREATE INDEX sources_follow ON sources(agent, predecessor) WHERE lane = 0;

-- The epoch in which an agent spoke last.
CREATE TABLE greetings(
    agent TEXT PRIMARY KEY,
    epoch INTEGER NOT NULL
) WITHOUT ROWID;

-- What about an agent waits for a person: an alarm at its bed until then.
CREATE TABLE marks(
    agent    TEXT NOT NULL,
    what     TEXT NOT NULL,
    since_us INTEGER NOT NULL,
    detail   TEXT NOT NULL,
    PRIMARY KEY(agent, what)
) WITHOUT ROWID;
";

const CLOCKS: &str = "
-- Where a gateway's clock was set: few among many, and asked for with each record.
CREATE INDEX records_clock_steps ON records(source, seq) WHERE type = 'clock-step';
";

const LIMITS: &str = "
-- A stay is one admission interval, by a name that says nothing.
ALTER TABLE admissions ADD COLUMN stay TEXT;
UPDATE admissions SET stay = lower(hex(randomblob(8)));
CREATE UNIQUE INDEX admissions_stay ON admissions(stay);
ALTER TABLE admissions ADD COLUMN oxygen TEXT NOT NULL DEFAULT 'unknown'; -- room-air, supplemental, unknown

-- Every set of limits that a bed was to have. The newest of a bed is the one wanted.
CREATE TABLE limits(
    bed      TEXT NOT NULL,
    version  INTEGER NOT NULL,
    stay     TEXT NOT NULL,
    at_us    INTEGER NOT NULL,
    author   TEXT NOT NULL,
    reason   TEXT NOT NULL,
    pma_days INTEGER NOT NULL,         -- the age it was resolved for
    changes  TEXT NOT NULL,            -- what was changed for this patient, JSON
    resolved TEXT NOT NULL,            -- the concrete set as the agent gets it, JSON
    PRIMARY KEY(bed, version)
) WITHOUT ROWID;
CREATE TRIGGER limits_are_not_rewritten BEFORE UPDATE ON limits BEGIN SELECT RAISE(ABORT, 'limits are append only'); END;
CREATE TRIGGER limits_are_not_erased BEFORE DELETE ON limits BEGIN SELECT RAISE(ABORT, 'limits are append only'); END;
CREATE TRIGGER limits_only_rise BEFORE INSERT ON limits
WHEN NEW.version <= (SELECT max(version) FROM limits WHERE bed = NEW.bed)
BEGIN SELECT RAISE(ABORT, 'the version of limits only rises'); END;
";

const ALARMS: &str = "
CREATE INDEX records_alarms ON records(at_us) WHERE type = 'alarm';
CREATE INDEX records_episodes ON records(episode) WHERE episode IS NOT NULL;

-- What the hub knows of alarms beyond what their agents record: first shown, asked, answered, escalated. By the hub's clock.
CREATE TABLE alarm_log(
    id      INTEGER PRIMARY KEY,
    at_us   INTEGER NOT NULL,
    bed     TEXT NOT NULL,
    episode TEXT NOT NULL,              -- empty: about the bed
    version INTEGER NOT NULL,
    what    TEXT NOT NULL,
    who     TEXT,
    station TEXT,
    detail  TEXT NOT NULL
);
CREATE INDEX alarm_log_episode ON alarm_log(episode, id);
CREATE TRIGGER alarm_log_is_not_rewritten BEFORE UPDATE ON alarm_log BEGIN SELECT RAISE(ABORT, 'the alarm log is append only'); END;
CREATE TRIGGER alarm_log_is_not_erased BEFORE DELETE ON alarm_log BEGIN SELECT RAISE(ABORT, 'the alarm log is append only'); END;

-- Pages that asked to be stations, and those that are.
CREATE TABLE stations(
    id          TEXT PRIMARY KEY,
    label       TEXT NOT NULL,          -- as the page called itself
    key         BLOB NOT NULL,          -- P-256, uncompressed point
    code        TEXT,                   -- NULL: no longer waiting
    asked_us    INTEGER NOT NULL,
    name        TEXT,
    beds        TEXT,                   -- names, separated by commas; NULL: every bed
    approved_us INTEGER,
    seen_us     INTEGER,                -- it last proved its key
    revoked_us  INTEGER
) WITHOUT ROWID;
CREATE UNIQUE INDEX stations_code ON stations(code) WHERE code IS NOT NULL;

-- Who answers for a bed or, where bed is empty, for the unit: the newest row counts, until its end.
CREATE TABLE nurses(
    id       INTEGER PRIMARY KEY,
    bed      TEXT NOT NULL,
    first    TEXT,                      -- primary nurse; charge nurse
    second   TEXT,                      -- buddy; physician
    from_us  INTEGER NOT NULL,
    until_us INTEGER,
    by       TEXT NOT NULL
);
CREATE INDEX nurses_bed ON nurses(bed, id);

-- Argon2id of a short PIN, good at a station only.
ALTER TABLE users ADD COLUMN pin TEXT;
";

#[cfg(test)]
mod tests;
