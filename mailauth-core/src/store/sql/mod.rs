//! The store over an SQL database, the same for every kind of database.

mod administer;
mod alias_domains;
mod aliases;
mod batches;
pub(super) mod columns;
mod finding;
mod foreign;
mod import;
mod mailbox_use;
mod newest;
mod paging;
mod reading;
mod rename;
mod respell;
pub(super) mod rows;
mod standing;
mod statements;
mod writer;

pub use foreign::{StatementPlan, TablePlan};
pub use respell::Respelt;
pub use statements::{ParameterKind, StatementText};

use super::driver::{Cell, Connection, Dialect, DriverError, Param, Refusal, Statement};
use super::hosts::recent_changes::RecentChanges;
use super::hosts::{Hosts, ReadPreference, no_schema};
use super::{AccountStore, Changed, Cursor, DomainKind, HostState, Lookup, Page, StoreError, StoreState};
use crate::DomainName;
use crate::account::{AccountRow, Login, Password};
use crate::schema::{Field, TableModel};
use batches::Batches;
use columns::number;
use finding::FoundAccount;
use foreign::Foreign;
use reading::Reading;
use statements::Statements;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Instant;

/// Accounts in an SQL database: what [`super::open_pooled`] and [`super::open_single`] return.
pub struct SqlStore {
    pub(super) hosts: Hosts,
    pub(super) statements: Statements,
    pub(super) model: TableModel,
    /// The tables of another program; `None` if the tables are our own.
    pub(super) foreign: Option<Foreign>,
    /// True once the schema was found to be of our version. Until then it is checked each time.
    schema_fits: AtomicBool,
    /// Changes of the last minute.
    pub(super) recent: Arc<RecentChanges>,
    /// Number of writing statements that were sent for changes.
    pub(super) writes: AtomicU64,
    /// Look-ups that wait for one another; `None` if each is sent at once.
    batches: Option<Batches<FoundAccount>>,
}

impl SqlStore {
    pub(super) fn new(hosts: Hosts, model: TableModel) -> Self {
        let statements = Statements::new(&model, hosts.driver().dialect());
        let hosts = hosts.delivering([&model.uses.table, &model.sums.table]);
        let batches = finding::batches_of(&hosts);
        SqlStore {
            batches,
            hosts,
            statements,
            model,
            foreign: None,
            schema_fits: AtomicBool::new(false),
            recent: Arc::default(),
            writes: AtomicU64::new(0),
        }
    }

    pub(super) fn dialect(&self) -> &'static Dialect {
        self.hosts.driver().dialect()
    }

    /// Returns the version of the schema that this program knows.
    pub(super) fn known_version(&self) -> u32 {
        self.dialect().migrations.len() as u32 + 1
    }

    /// Returns the version of the schema in the database, or 0 if there is no schema.
    pub(super) fn version(&self, connection: &mut dyn Connection) -> Result<u32, DriverError> {
        let mut version = None;
        let read = connection.query(&self.statements.version, &[], &mut |row| version = number(row, 0));
        match read {
            Ok(()) => Ok(version.and_then(|version| u32::try_from(version).ok()).unwrap_or(0)),
            Err(DriverError::Refused { kind: Refusal::NoTable, .. }) => Ok(0),
            Err(error) => Err(error),
        }
    }

    /// Makes sure, once, that the schema is of the version that this program knows. The tables of another program have
    /// no such version.
    pub(super) fn ensure_schema(&self, connection: &mut dyn Connection) -> Result<(), DriverError> {
        if self.schema_fits.load(Ordering::Relaxed) || self.foreign.is_some() {
            return Ok(());
        }
        let place = self.hosts.place();
        let known = self.known_version();
        match self.version(connection)? {
            0 => return Err(DriverError::Schema(no_schema(place))),
            version if version < known => {
                return Err(DriverError::Schema(format!(
                    "the tables at {place} are of version {version}, and this program needs {known}: run `mailauth init`"
                )));
            }
            version if version > known => return Err(DriverError::Schema(newer(place, version, known))),
            _ => self.schema_fits.store(true, Ordering::Relaxed),
        }
        Ok(())
    }

    /// Shares the recent changes that another store of this process knows. From then on each learns of the other's
    /// changes.
    #[must_use]
    pub fn sharing(self, recent: Arc<RecentChanges>) -> Self {
        SqlStore { recent, ..self }
    }

    /// Returns the host to prefer for a read for which `preference` is enough once the changes of the last minute are
    /// known.
    pub(super) fn preference(&self, preference: ReadPreference) -> ReadPreference {
        if self.recent.are_incomplete() { ReadPreference::Primary } else { preference }
    }

    /// Reads from a host that has every change, or fails.
    #[cfg(feature = "sqlite")]
    pub(super) fn read_newest<T>(
        &self,
        work: impl FnMut(&mut dyn Connection) -> Result<T, DriverError>,
    ) -> Result<T, StoreError> {
        match self.hosts.read_from(ReadPreference::Primary, work)? {
            (_, role) if self.hosts.has_several() && role != super::Role::Primary => {
                let reason = "only a replica, which may lack the last changes, can be asked";
                Err(self.hosts.store_error(DriverError::Lost(reason.to_owned())))
            }
            (done, _) => Ok(done),
        }
    }

    /// Returns the number of writing statements that were sent. A change that left the number as it was did not touch the
    /// database.
    pub fn writes_sent(&self) -> u64 {
        self.writes.load(Ordering::SeqCst)
    }

    /// Asks each host what it can be used for, and returns the state of all of them.
    pub fn ask_hosts(&self) -> Vec<HostState> {
        self.hosts.probe();
        self.hosts.state()
    }

    /// Runs a statement that reads a page of accounts. The next page begins after the last row's login as stored in the
    /// table, whatever can be read of that row.
    pub(super) fn read_page(
        &self,
        connection: &mut dyn Connection,
        statement: &Statement,
        params: &[Param<'_>],
        limit: usize,
    ) -> Result<Page, DriverError> {
        let (mut rows, mut last) = (Vec::new(), None);
        connection.query(statement, params, &mut |row| {
            rows.push(rows::account(row));
            last = match rows::cell(row, Field::Login) {
                Cell::Text(login) => Some(Cursor::behind(login)),
                _ => None,
            };
        })?;
        match last {
            None if rows.len() >= limit => Err(DriverError::Refused {
                kind: Refusal::Other,
                reason: "a login is not text, so accounts cannot be listed in the order of their logins".to_owned(),
            }),
            next => Ok(Page { next: next.filter(|_| rows.len() >= limit), rows }),
        }
    }
}

impl AccountStore for SqlStore {
    /// Returns the row. That it does not exist is only accepted from a host that has every change.
    fn find(&self, login: &Login) -> Result<Option<AccountRow>, StoreError> {
        let seen = self.look_up_by(login, ReadPreference::Any)?;
        if seen.row.is_none() && seen.behind { self.find_newest(login) } else { Ok(seen.into_row()) }
    }

    fn find_newest(&self, login: &Login) -> Result<Option<AccountRow>, StoreError> {
        let found = self.read_by(Reading::Newest, |connection| self.query_account(connection, login))?;
        Ok(found.transpose()?)
    }

    /// Asks a host that takes changes, if there is one, because a refusal may follow from the answer.
    fn alias_domain(&self, name: &DomainName) -> Result<Option<DomainName>, StoreError> {
        if let Some(foreign) = &self.foreign {
            return foreign.target_domain(self, Reading::Primary, name);
        }
        let standing = self.standing_of(Reading::Primary, name)?;
        Ok(standing.filter(|domain| domain.enabled).and_then(|domain| match domain.kind {
            DomainKind::AliasOf(target) => Some(target),
            DomainKind::Own | DomainKind::Backup => None,
        }))
    }

    fn may_lag(&self) -> bool {
        self.hosts.has_several()
    }

    fn look_up_newest(&self, login: &Login) -> Result<Lookup, StoreError> {
        self.look_up_by(login, ReadPreference::Primary)
    }

    fn look_up(&self, login: &Login, _: Instant) -> Result<Lookup, StoreError> {
        self.look_up_by(login, ReadPreference::Any)
    }

    fn look_again(&self, login: &Login, seen: &Lookup, _: Instant) -> Result<Option<Lookup>, StoreError> {
        if seen.may_be_old() { self.look_up_newest(login).map(Some) } else { Ok(None) }
    }

    fn forget(&self, changed: &Changed) {
        self.recent.note(changed);
    }

    fn flush(&self, what: &Changed) -> usize {
        self.recent.note(what);
        0
    }

    fn state(&self) -> StoreState {
        StoreState { hosts: self.hosts.state(), snapshot: None }
    }

    fn keeps_passwords(&self) -> Option<StoreError> {
        self.ensure_passwords_change().err()
    }

    fn set_password(&self, login: &Login, old: &Password, new: &Password) -> Result<bool, StoreError> {
        self.ensure_passwords_change()?;
        let name = Param::Text(login.as_str().as_bytes());
        let values = [Param::Text(new.0.expose()), name, name, Param::Text(old.0.expose())];
        let changed = self.recent_change(login).is_some();
        let mut sent = false;
        let matched = self.hosts.write(|connection| {
            self.ensure_schema(connection)?;
            if changed {
                connection.catch_up()?;
            }
            sent = true;
            self.writes.fetch_add(1, Ordering::SeqCst);
            match &self.foreign {
                Some(foreign) => foreign.replace_password(connection, login, [old, new], self.dialect().begin),
                None => connection.execute(&self.statements.set_password, &values),
            }
        });
        // Also if it is unknown whether the change was made: a row with the new password is no older than that.
        match sent {
            true if matched == Ok(0) => self.recent.note(&Changed::Account(login.clone())),
            true => self.recent.note_password(login, new),
            false => {}
        }
        Ok(matched? > 0)
    }

    fn enumerate(&self, after: Option<&Cursor>, limit: usize) -> Result<Page, StoreError> {
        let limit = limit.max(1);
        let most = Param::Int(i64::try_from(limit).unwrap_or(i64::MAX));
        // A list that lacks an added account, or has a disabled one, looks as complete as any other.
        let reading = match self.reading(RecentChanges::is_any) {
            Reading::Any => Reading::Primary,
            newest => newest,
        };
        self.read_by(reading, |connection| {
            if let Some(foreign) = &self.foreign {
                return foreign.accounts(connection, after, limit);
            }
            self.ensure_schema(connection)?;
            match after {
                None => self.read_page(connection, &self.statements.first_page, &[most], limit),
                Some(after) => {
                    let params = [Param::Text(after.as_bytes()), most];
                    self.read_page(connection, &self.statements.next_page, &params, limit)
                }
            }
        })
    }
}

/// Returns the sentence about a schema that is newer than this program.
pub(super) fn newer(place: &str, version: u32, known: u32) -> String {
    format!(
        "the tables at {place} are of version {version}, and this program supports {known} at most: install a newer one"
    )
}
