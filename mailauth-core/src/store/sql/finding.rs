//! Look-ups of accounts by their logins: alone, or several in one statement.

use super::batches::{Batches, MOST, PATIENCE};
use super::{SqlStore, rows};
use crate::account::{AccountRow, Login};
use crate::mailbox::Unusable;
use crate::schema::Field;
use crate::store::driver::{Connection, Dialect, DriverError, Param, Row, Statement};
use crate::store::hosts::recent_changes::Change;
use crate::store::hosts::{Hosts, ReadPreference};
use crate::store::{Lookup, Role, StoreError};
use std::thread::available_parallelism;

/// What the database has for a login.
pub(super) type Found = Option<Result<AccountRow, Unusable>>;

/// The same with the role of the host that was asked, or why no host can say.
pub(super) type FoundAccount = Result<(Found, Role), StoreError>;

/// Returns the batches for look-ups on these hosts; `None` if the database is a file, or for a command, which looks up
/// one account after the other.
pub(super) fn batches_of(hosts: &Hosts) -> Option<Batches<FoundAccount>> {
    // The server needs processors too, often of the same machine.
    let limit = available_parallelism().map_or(1, |number| usize::from(number).div_ceil(2));
    (hosts.driver().dialect().is_remote && !hosts.is_command()).then(|| Batches::new(limit, PATIENCE))
}

impl SqlStore {
    /// Looks the row up. What a replica says is not final, because it may lack the last change. The same holds for a
    /// host that is not known to be the primary.
    pub(super) fn look_up_by(&self, login: &Login, preference: ReadPreference) -> Result<Lookup, StoreError> {
        let (row, role) = match self.find_by(login, preference) {
            // If this was a replica, the row may have been corrected since.
            Err(StoreError::Unusable(_)) if self.hosts.has_several() && preference != ReadPreference::Primary => {
                self.find_by(login, ReadPreference::Primary)?
            }
            found => found?,
        };
        Ok(Lookup::new(row).behind(self.hosts.has_several() && role != Role::Primary))
    }

    /// Returns the row, and what its host is. An account that was changed recently is read only from a host that has
    /// that change.
    fn find_by(&self, login: &Login, preference: ReadPreference) -> Result<(Option<AccountRow>, Role), StoreError> {
        let change = self.recent_change(login);
        let (found, role) = match &self.batches {
            // A statement with a character that the tables cannot hold fails as a whole.
            Some(batches) if change.is_none() && preference == ReadPreference::Any && login.as_str().is_ascii() => {
                batches.look_up(
                    login,
                    || self.find_alone(login, preference, false),
                    |logins| self.find_several(logins),
                )?
            }
            Some(_) | None => self.find_alone(login, preference, change.is_some())?,
        };
        let found = found.transpose()?;
        let lacks = match &change {
            Some(change) => !change.is_in(found.as_ref()),
            None => found.is_none() && self.recent.are_additions(),
        };
        if lacks && self.hosts.has_several() && role != Role::Primary {
            let reason = "was changed recently, and only a replica, which may lack the change, can be asked";
            return Err(self.hosts.store_error(DriverError::Lost(format!("{login} {reason}"))));
        }
        Ok((found, role))
    }

    /// Sends a statement for one login.
    fn find_alone(&self, login: &Login, preference: ReadPreference, has_changed: bool) -> FoundAccount {
        let preference = if has_changed { ReadPreference::Primary } else { self.preference(preference) };
        self.hosts.read_from(preference, |connection| {
            if has_changed {
                connection.catch_up()?;
            }
            self.query_account(connection, login)
        })
    }

    /// Sends a statement for several logins. Returns what was found for each of them, or `None` if each has to be looked
    /// up alone, because the statement failed and one of them may be the reason.
    fn find_several(&self, logins: &[&Login]) -> Option<Vec<FoundAccount>> {
        let preference = self.preference(ReadPreference::Any);
        match self.hosts.read_from(preference, |connection| self.query_accounts(connection, logins)) {
            Ok((found, role)) => Some(found?.into_iter().map(|found| Ok((found, role))).collect()),
            Err(error @ (StoreError::Unreachable { .. } | StoreError::Timeout { .. })) => {
                Some(logins.iter().map(|_| Err(error.clone())).collect())
            }
            Err(_) => None,
        }
    }

    /// Returns the recent change of an account that a replica, if there are any, may lack.
    pub(super) fn recent_change(&self, login: &Login) -> Option<Change> {
        if self.hosts.has_several() { self.recent.of_account(login) } else { None }
    }

    pub(super) fn query_account(&self, connection: &mut dyn Connection, login: &Login) -> Result<Found, DriverError> {
        if let Some(foreign) = &self.foreign {
            return foreign.find(connection, login);
        }
        self.ensure_schema(connection)?;
        let mut found = FoundAccounts::new(std::slice::from_ref(&login), OF_OUR_TABLE);
        let asked = [Param::Text(login.as_str().as_bytes())];
        connection.query(&self.statements.find, &asked, &mut |row| found.add(row, rows::account))?;
        Ok(found.into_first())
    }

    /// Looks several accounts up with one statement; `None` if the tables have no statement for several.
    fn query_accounts(
        &self,
        connection: &mut dyn Connection,
        logins: &[&Login],
    ) -> Result<Option<Vec<Found>>, DriverError> {
        if let Some(foreign) = &self.foreign {
            return foreign.find_several(connection, logins);
        }
        self.ensure_schema(connection)?;
        let Some((statement, params)) = self.statements.find_several.of(logins) else { return Ok(None) };
        let mut found = FoundAccounts::new(logins, OF_OUR_TABLE);
        connection.query(statement, &params, &mut |row| found.add(row, rows::account))?;
        Ok(Some(found.into_all()))
    }
}

/// What to do about a login that is in two rows of our table.
const OF_OUR_TABLE: &str = "make it the primary key";

/// The rows that a statement found, each with its login.
pub(super) struct FoundAccounts<'a> {
    logins: &'a [&'a Login],
    found: Vec<Found>,
    /// What to do about a login that is in two rows.
    cure: &'a str,
}

impl<'a> FoundAccounts<'a> {
    pub fn new(logins: &'a [&'a Login], cure: &'a str) -> Self {
        FoundAccounts { logins, found: logins.iter().map(|_| None).collect(), cure }
    }

    /// Adds a row, which `read` converts. It is dropped if it has none of the logins exactly: a collation may consider
    /// others equal, by case, accents, or trailing spaces.
    pub fn add(&mut self, row: &dyn Row, read: impl Fn(&dyn Row) -> Result<AccountRow, Unusable>) {
        for (login, found) in self.logins.iter().zip(&mut self.found) {
            if rows::is_account(row, login) {
                *found = Some(match found.take() {
                    None => read(row),
                    Some(_) => Err(Unusable {
                        login: login.to_string(),
                        column: Field::Login.name(),
                        problem: format!("is in two rows; {}", self.cure).into(),
                    }),
                });
            }
        }
    }

    /// Returns what was found for the first login.
    pub fn into_first(self) -> Found {
        self.found.into_iter().next().flatten()
    }

    /// Returns what was found for each login.
    pub fn into_all(self) -> Vec<Found> {
        self.found
    }
}

/// Statements that find several accounts, each for another number of logins.
#[derive(Default)]
pub(in crate::store) struct FindSeveral(Vec<(usize, Statement)>);

impl FindSeveral {
    /// Numbers of logins, in ascending order. A statement for other numbers would have to be prepared at each use.
    pub const COUNTS: [usize; 3] = [4, 8, MOST];

    /// Builds the statements, of which `sql` returns the text with this list of placeholders.
    pub fn new(dialect: &Dialect, slots: &mut dyn Iterator<Item = usize>, sql: impl Fn(&str) -> String) -> Self {
        let statement = |count| {
            let sql = dialect.placeholders(&sql(&vec!["?"; count].join(", ")));
            (count, Statement { slot: slots.next(), sql })
        };
        FindSeveral(Self::COUNTS.map(statement).into())
    }

    /// Returns the statement for these logins, and its parameters. The last login is repeated until there are enough.
    /// Returns `None` if there is no such statement.
    pub fn of<'a>(&self, logins: &[&'a Login]) -> Option<(&Statement, Vec<Param<'a>>)> {
        let (count, statement) = self.0.iter().find(|(count, _)| *count >= logins.len())?;
        let last = logins.last()?;
        let padded = logins.iter().chain(std::iter::repeat(last)).take(*count);
        Some((statement, padded.map(|login| Param::Text(login.as_str().as_bytes())).collect()))
    }

    /// Returns the text of the largest statement, and its number of logins.
    pub fn largest(&self) -> Option<(&str, usize)> {
        self.0.last().map(|(count, statement)| (statement.sql.as_str(), *count))
    }
}
