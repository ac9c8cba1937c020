//! Notes in the file: what was changed and has to be copied again.
//!
//! `docs/internals/changes.md` describes the protocol. While a note names something, the copy does not answer about it.
//! A note that is held is not processed before it is released.

use super::about::{About, domain_of};
use super::file::Result;
use crate::DomainName;
use crate::account::Login;
use crate::store::Changed;
use rusqlite::{Connection, params};

/// Maximum number of notes. With more of them the copy does not answer at all until everything is read.
const MOST: i64 = 10_000;

/// Number of notes processed at a time.
const BATCH: usize = 500;

const ACCOUNT: i64 = 0;
const ALIAS: i64 = 1;
const DOMAIN: i64 = 2;
const ADDITIONS: i64 = 3;
const EVERYTHING: i64 = 4;
/// Kind of the note that there were too many.
const OVERFLOW: i64 = 5;

/// What has to be copied again.
#[derive(Debug, Default)]
pub(super) struct Pending {
    /// Notes that name accounts, aliases and domains.
    pub single: Vec<(i64, Changed)>,
    /// Notes after which rows with a new time of change have to be read.
    pub additions: Vec<i64>,
    /// Notes after which everything has to be read.
    pub all: Vec<i64>,
}

/// What notes say about a question.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Waiting {
    /// True if the rows in the file may be old.
    pub rows: bool,
    /// True if something that is not in the file may have been added.
    pub absence: bool,
}

impl Pending {
    pub(super) fn is_empty(&self) -> bool {
        self.single.is_empty() && self.additions.is_empty() && self.all.is_empty()
    }
}

fn kind_and_name(changed: &Changed) -> (i64, &[u8]) {
    match changed {
        Changed::Account(login) => (ACCOUNT, login.as_str().as_bytes()),
        Changed::Alias(address) => (ALIAS, address.as_bytes()),
        Changed::Domain(name) => (DOMAIN, name.as_str().as_bytes()),
        Changed::Additions => (ADDITIONS, b""),
        Changed::Everything => (EVERYTHING, b""),
    }
}

pub(super) fn add(connection: &Connection, changed: &Changed, held: bool) -> Result<i64> {
    let many = connection.query_row("SELECT COUNT(*) >= ? FROM pending", [MOST], |row| row.get(0))?;
    let (kind, name) = if many && !held {
        connection.execute("DELETE FROM pending WHERE held = 0", [])?;
        (OVERFLOW, &b""[..])
    } else {
        kind_and_name(changed)
    };
    let mut insert = connection.prepare_cached("INSERT INTO pending (kind, name, held) VALUES (?, ?, ?)")?;
    insert.execute(params![kind, name, held])?;
    Ok(connection.last_insert_rowid())
}

/// Releases a held note, because its change is over.
pub(super) fn release(connection: &Connection, note: i64, changed: &Changed) -> Result<()> {
    let (kind, name) = kind_and_name(changed);
    let sql = "INSERT OR REPLACE INTO pending (id, kind, name, held) VALUES (?, ?, ?, 0)";
    connection.execute(sql, params![note, kind, name])?;
    Ok(())
}

/// Returns the notes that have to be processed now.
pub(super) fn read(connection: &Connection) -> Result<Pending> {
    let mut pending = Pending::default();
    let mut statement = connection.prepare_cached("SELECT id, kind, name FROM pending WHERE held = 0 ORDER BY id")?;
    let mut rows = statement.query([])?;
    while let Some(row) = rows.next()? {
        let (id, kind): (i64, i64) = (row.get(0)?, row.get(1)?);
        let name: Vec<u8> = row.get(2)?;
        let name = String::from_utf8_lossy(&name);
        let changed = match kind {
            ACCOUNT => Login::parse(name.as_bytes(), None).ok().map(Changed::Account),
            ALIAS => Changed::alias(&name),
            DOMAIN => DomainName::parse(&name).ok().map(Changed::Domain),
            _ => None,
        };
        match changed {
            Some(changed) if pending.single.len() < BATCH => pending.single.push((id, changed)),
            Some(_) => {}
            None if kind == ADDITIONS => pending.additions.push(id),
            None => pending.all.push(id),
        }
    }
    Ok(pending)
}

pub(super) fn cross_off(connection: &Connection, notes: &[i64]) -> Result<()> {
    let mut delete = connection.prepare_cached("DELETE FROM pending WHERE id = ? AND held = 0")?;
    for note in notes {
        delete.execute([note])?;
    }
    Ok(())
}

pub(super) fn waiting(connection: &Connection, about: About<'_>) -> Result<Waiting> {
    let sql = "SELECT EXISTS (SELECT 1 FROM pending WHERE kind = ?1 AND name = ?2)
                   OR EXISTS (SELECT 1 FROM pending WHERE kind = 2 AND name = ?3)
                   OR EXISTS (SELECT 1 FROM pending WHERE kind = 5),
               EXISTS (SELECT 1 FROM pending WHERE kind = 3)";
    let (kind, name, domain) = match about {
        About::Login(login) => (ACCOUNT, login.as_str(), login.domain()),
        About::Alias(address) => (ALIAS, address, domain_of(address)),
        About::Domain(name) => (DOMAIN, name, name),
        About::AllLogins => {
            let sql = "SELECT EXISTS (SELECT 1 FROM pending WHERE kind IN (0, 2, 3, 5))";
            let rows = connection.query_row(sql, [], |row| row.get(0))?;
            return Ok(Waiting { rows, absence: rows });
        }
    };
    let mut statement = connection.prepare_cached(sql)?;
    let read = |row: &rusqlite::Row<'_>| Ok(Waiting { rows: row.get(0)?, absence: row.get(1)? });
    Ok(statement.query_row(params![kind, name.as_bytes(), domain.as_bytes()], read)?)
}

/// Returns whether this change may have touched what is asked about.
pub(super) fn touches(changed: &Changed, about: About<'_>) -> Waiting {
    let rows = match (changed, about) {
        (Changed::Account(one), About::Login(login)) => one == login,
        (Changed::Alias(one), About::Alias(address)) => one == address,
        (Changed::Domain(one), About::Login(login)) => one.as_str() == login.domain(),
        (Changed::Domain(one), About::Alias(address)) => one.as_str() == domain_of(address),
        (Changed::Domain(one), About::Domain(name)) => one.as_str() == name,
        (Changed::Account(_) | Changed::Domain(_) | Changed::Additions, About::AllLogins) => true,
        _ => false,
    };
    Waiting { rows, absence: matches!(changed, Changed::Additions) }
}
