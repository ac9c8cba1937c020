//! Answers from the tables of another program, which are read as they are.
//!
//! A [`ForeignModel`] says where accounts, domains, aliases and alias domains are. The rows are not trusted: what was
//! found has to be what was asked for, byte for byte, and each value is checked as those of our own tables are. Nothing
//! is written, except for the password if the configuration says to which column.

mod contents;
#[cfg(feature = "sqlite")]
mod copied;
mod domains;
mod errors;
mod listing;
mod lookups;
mod password;
mod plans;
mod quota;
mod reads;
mod report;
mod rows;
mod statements;
mod targets;
#[cfg(all(test, feature = "sqlite"))]
mod tests;

pub use plans::{StatementPlan, TablePlan};

use super::SqlStore;
use super::finding::{Found, FoundAccounts};
use super::reading::Reading;
use crate::DomainName;
use crate::account::Login;
use crate::schema::{ForeignModel, TableModel};
use crate::store::driver::{Connection, DriverError, Param, Row, Statement};
use crate::store::hosts::Hosts;
use crate::store::{DomainStanding, StoreError};
use errors::explained;
use listing::Lists;
use statements::{ForeignStatements, MOST_FOUND, Name, Question};
use std::sync::Arc;
use targets::ForeignTargets;

/// The tables of another program: what they hold, and the statements that read them.
pub(in crate::store) struct Foreign {
    pub model: Arc<ForeignModel>,
    pub statements: ForeignStatements,
    pub lists: Lists,
    /// Name of the database for messages.
    place: String,
}

/// Sections of the configuration, as messages about a statement name them.
const ACCOUNTS: &str = "schema.accounts";
const DOMAINS: &str = "schema.domains";
const ALIASES: &str = "schema.aliases";
const ALIAS_DOMAINS: &str = "schema.alias_domains";

impl Foreign {
    /// Asks a question, and calls `each` with each row of the answer.
    fn ask(
        &self,
        connection: &mut dyn Connection,
        section: &str,
        question: &Question,
        name: Name<'_>,
        each: &mut dyn FnMut(&dyn Row),
    ) -> Result<(), DriverError> {
        let asked = connection.query(&question.statement, &question.values(name), each);
        asked.map_err(|error| self.explain(error, section))
    }

    /// Adds to the refusal of a statement what to do about it.
    fn explain(&self, error: DriverError, section: &str) -> DriverError {
        explained(error, &self.model, section, &self.place)
    }

    /// Finds an account.
    pub fn find(&self, connection: &mut dyn Connection, login: &Login) -> Result<Found, DriverError> {
        let cure = self.cure();
        let mut found = FoundAccounts::new(std::slice::from_ref(&login), &cure);
        let values = self.statements.find.values(Name::of_address(login.as_str()));
        let read = self.read_accounts(connection, &self.statements.find.statement, &values, &mut found)?;
        if read >= MOST_FOUND {
            let reason = format!("[schema.accounts] find finds {MOST_FOUND} rows or more for one login; correct it");
            return Err(DriverError::Schema(reason));
        }
        Ok(found.into_first())
    }

    /// Finds several accounts with one statement. Returns `None` if there is no such statement, or if it found so many
    /// rows that one of the accounts may be missing.
    pub fn find_several(
        &self,
        connection: &mut dyn Connection,
        logins: &[&Login],
    ) -> Result<Option<Vec<Found>>, DriverError> {
        let Some((statement, values)) = self.statements.find_several.of(logins) else { return Ok(None) };
        let cure = self.cure();
        let mut found = FoundAccounts::new(logins, &cure);
        let read = self.read_accounts(connection, statement, &values, &mut found)?;
        Ok((read < MOST_FOUND).then(|| found.into_all()))
    }

    /// Runs a statement that finds accounts. Returns the number of rows that were read.
    fn read_accounts(
        &self,
        connection: &mut dyn Connection,
        statement: &Statement,
        values: &[Param<'_>],
        found: &mut FoundAccounts<'_>,
    ) -> Result<usize, DriverError> {
        let mut read = 0;
        let asked = connection.query(statement, values, &mut |row| {
            read += 1;
            found.add(row, |row| rows::account(row, &self.model));
        });
        asked.map_err(|error| self.explain(error, ACCOUNTS))?;
        Ok(read)
    }

    /// Returns what to do about a login that is in two rows.
    fn cure(&self) -> String {
        format!("remove one {}", self.model.place())
    }

    /// Returns the targets of an alias.
    fn targets(
        &self,
        connection: &mut dyn Connection,
        address: &str,
    ) -> Result<Result<Vec<String>, StoreError>, DriverError> {
        let Some(question) = &self.statements.alias else { return Ok(Ok(Vec::new())) };
        let mut targets = ForeignTargets::new(address, &self.model);
        self.ask(connection, ALIASES, question, Name::of_address(address), &mut |row| targets.add(row))?;
        Ok(targets.usable())
    }
}

impl SqlStore {
    /// Creates a store over the tables of another program.
    pub(in crate::store) fn foreign(hosts: Hosts, model: Arc<ForeignModel>) -> Self {
        let place = hosts.place().to_owned();
        let store = SqlStore::new(hosts, TableModel::own());
        let statements = ForeignStatements::new(&model, store.dialect(), store.statements.count());
        let lists = Lists::new(&model, &statements.columns, store.dialect(), statements.free_slot);
        SqlStore { foreign: Some(Foreign { model, statements, lists, place }), ..store }
    }

    /// Fails if passwords cannot be changed.
    ///
    /// # Errors
    /// Fails as [`SqlStore::ensure_own`] does, unless the configuration names the column of the password.
    pub(super) fn ensure_passwords_change(&self) -> Result<(), StoreError> {
        match &self.foreign {
            Some(foreign) if foreign.model.is_read_only() => self.ensure_own(),
            Some(Foreign { statements: ForeignStatements { password: None, .. }, .. }) => Err(StoreError::Schema(
                "[schema.accounts] write_password needs key, the columns of a unique index over the first table of from"
                    .to_owned(),
            )),
            _ => Ok(()),
        }
    }

    /// Fails if the tables belong to another program. To be called before anything is changed.
    ///
    /// # Errors
    /// Fails with [`StoreError::ReadOnly`].
    pub fn ensure_own(&self) -> Result<(), StoreError> {
        match &self.foreign {
            None => Ok(()),
            Some(foreign) => Err(StoreError::ReadOnly(foreign.model.refusal())),
        }
    }
}

impl Foreign {
    /// Returns the targets of an alias, from a host that may answer.
    pub fn targets_of(&self, store: &SqlStore, reading: Reading, address: &str) -> Result<Vec<String>, StoreError> {
        store.read_by(reading, |connection| self.targets(connection, address))?
    }

    /// Returns the targets of two aliases, from the same host.
    pub fn targets_of_both(
        &self,
        store: &SqlStore,
        reading: Reading,
        [first, second]: [&str; 2],
    ) -> Result<[Result<Vec<String>, StoreError>; 2], StoreError> {
        store.read_by(reading, |connection| Ok([self.targets(connection, first)?, self.targets(connection, second)?]))
    }

    /// Returns the domain that this name is an alias of, if the alias domain is enabled.
    pub fn target_domain(
        &self,
        store: &SqlStore,
        reading: Reading,
        name: &DomainName,
    ) -> Result<Option<DomainName>, StoreError> {
        let found = store.read_by(reading, |connection| self.alias_standing(connection, name.as_str()))?;
        Ok(found.transpose()?.filter(|(_, enabled)| *enabled).map(|(target, _)| target))
    }

    /// Returns what a domain is; `None` if the tables have no such domain.
    pub fn standing(
        &self,
        connection: &mut dyn Connection,
        name: &str,
    ) -> Result<Option<Result<DomainStanding, StoreError>>, DriverError> {
        domains::standing(self, connection, name)
    }
}
