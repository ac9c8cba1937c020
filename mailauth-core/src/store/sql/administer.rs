//! Creating, changing and removing the contents of the tables: what `mailauth` commands do.

mod accounts;
mod aliases;
mod domains;
mod schema;

pub(super) use accounts::{id, limit, password, services};
pub(super) use aliases::{AliasPlace, ensure_usable};

use super::SqlStore;
use super::columns::bytes;
use super::import::{AccountImport, AliasDomainImport, AliasImport, DomainImport};
use super::writer::Writer;
use crate::account::{AccountRow, Login};
use crate::store::administration::{
    AccountChange, AccountTimes, AdminError, AdminReport, Administration, AliasDomainRow, AliasRow, AliasTarget,
    CharacterSet, DomainRow, Renaming, SchemaChange, StoreReport,
};
use crate::store::driver::{DriverError, Refusal, Row};
use crate::store::importing::{
    AccountRecord, AliasDomainRecord, DomainRecord, ImportError, ImportMode, ImportSource, ImportSummary, JudgeAccount,
};
use crate::store::{Cursor, Page, StoreError};
use std::collections::BTreeSet;
use std::ops::ControlFlow;

/// Number of rows read, or removed, with one statement.
const PAGE: usize = 1000;

/// Result of a transaction: the inner error undoes it too.
pub(in crate::store) type Done<T> = Result<Result<T, AdminError>, DriverError>;

impl Administration for SqlStore {
    fn init(&self) -> Result<SchemaChange, StoreError> {
        self.create_or_migrate()
    }

    fn character_set(&self) -> Result<CharacterSet, StoreError> {
        // Characters that the tables of another program lack are in no login that it knows.
        if self.foreign.is_some() {
            return Ok(CharacterSet::default());
        }
        let tables = self.tables();
        self.hosts.read(|connection| connection.character_set(&tables))
    }

    fn report(&self) -> Result<StoreReport, StoreError> {
        self.report_of_daemon()
    }

    fn admin_report(&self) -> Result<AdminReport, StoreError> {
        self.report_of_administrator()
    }

    fn count_accounts(&self) -> Result<Option<u64>, StoreError> {
        self.hosts.read(|connection| match &self.foreign {
            Some(foreign) => foreign.count(connection),
            None => {
                self.ensure_schema(connection)?;
                self.count_by_pages(connection, &self.statements.count_accounts, &[]).map(Some)
            }
        })
    }

    fn find_domain(&self, name: &str) -> Result<Option<DomainRow>, StoreError> {
        if let Some(foreign) = &self.foreign {
            return foreign.domain_row(self, name);
        }
        self.row_of_domain(name)
    }

    fn domain_page(&self, after: Option<&Cursor>, limit: usize) -> Result<Page<DomainRow, StoreError>, StoreError> {
        match &self.foreign {
            None => self.page_of_domains(after, limit),
            Some(foreign) => self.hosts.read(|connection| foreign.domains(connection, after, limit.max(1))),
        }
    }

    fn domain_accounts(&self, domain: &str, after: Option<&Cursor>, limit: usize) -> Result<Page, StoreError> {
        match &self.foreign {
            None => self.page_of_domain_accounts(domain, after, limit),
            Some(foreign) => self.hosts.read(|connection| foreign.accounts_of(connection, domain, after, limit.max(1))),
        }
    }

    fn existing(&self, logins: &[&Login]) -> Result<BTreeSet<Login>, StoreError> {
        if let Some(foreign) = &self.foreign {
            return foreign.existing(self, logins);
        }
        self.existing_logins(logins)
    }

    fn add_domain(&self, domain: &DomainRow) -> Result<(), AdminError> {
        self.change(|writer| self.insert_new_domain(writer, domain))
    }

    fn set_domain(&self, domain: &DomainRow) -> Result<(), AdminError> {
        self.change(|writer| self.update_domain(writer, domain))
    }

    fn remove_domain(&self, name: &str, contents: bool) -> Result<(), AdminError> {
        self.change(|writer| self.delete_domain(writer, name, contents))
    }

    fn add_account(&self, account: &AccountRow) -> Result<(), AdminError> {
        self.change(|writer| self.insert_account(writer, account))
    }

    fn set_account(&self, login: &Login, change: &AccountChange) -> Result<(), AdminError> {
        self.update_account(login, change)
    }

    fn remove_account(&self, login: &Login) -> Result<(), AdminError> {
        self.remove_stored_account(login.as_str().as_bytes())
    }

    fn remove_stored_account(&self, login: &[u8]) -> Result<(), AdminError> {
        self.change(|writer| self.remove_row(writer, login))
    }

    fn rename_account_with(&self, old: &[u8], new: &Login, with: &mut Renaming<'_>) -> Result<(), AdminError> {
        self.ensure_own()?;
        // Checked before the transaction, which must not read before it takes its locks.
        let unfit = self.hosts.read(|connection| {
            self.ensure_schema(connection)?;
            self.unfit_for_addresses(connection, new.domain())
        })?;
        match unfit {
            Some(problem) => Err(problem),
            None => self.change(|writer| self.rename_row_with(writer, old, new, with)),
        }
    }

    fn alias_targets_that_are(&self, login: &Login) -> Result<Vec<AliasTarget>, StoreError> {
        self.ensure_own()?;
        self.targets_that_are(login)
    }

    fn account_times(&self, login: &Login) -> Result<Option<AccountTimes>, StoreError> {
        // Other programs keep other times, or none.
        if self.foreign.is_some() {
            return Ok(None);
        }
        self.times_of_account(login)
    }

    fn import_accounts(
        &self,
        source: &mut dyn ImportSource<AccountRecord>,
        mode: ImportMode,
        judge: JudgeAccount<'_>,
    ) -> Result<ImportSummary, ImportError> {
        self.import_into(&|| AccountImport::new(self, mode, judge), source, mode)
    }

    fn import_domains(
        &self,
        source: &mut dyn ImportSource<DomainRecord>,
        mode: ImportMode,
    ) -> Result<ImportSummary, ImportError> {
        self.import_into(&|| DomainImport { store: self, mode }, source, mode)
    }

    fn import_alias_domains(
        &self,
        source: &mut dyn ImportSource<AliasDomainRecord>,
        mode: ImportMode,
    ) -> Result<ImportSummary, ImportError> {
        self.import_into(&|| AliasDomainImport { store: self, mode }, source, mode)
    }

    fn import_aliases(
        &self,
        source: &mut dyn ImportSource<AliasRow>,
        mode: ImportMode,
    ) -> Result<ImportSummary, ImportError> {
        self.import_into(&|| AliasImport { store: self, mode }, source, mode)
    }

    fn each_alias(
        &self,
        domain: Option<&str>,
        each: &mut dyn FnMut(Result<AliasRow, StoreError>) -> ControlFlow<()>,
    ) -> Result<(), StoreError> {
        match &self.foreign {
            None => self.read_aliases(domain, each),
            Some(foreign) => self.each_foreign_alias(foreign, domain, PAGE, each),
        }
    }

    fn add_alias(&self, alias: &AliasRow) -> Result<(), AdminError> {
        self.ensure_own()?;
        aliases::ensure_usable(alias)?;
        self.change(|writer| self.insert_targets(writer, alias))
    }

    fn remove_alias(&self, alias: &AliasRow) -> Result<(), AdminError> {
        self.change(|writer| self.delete_targets(writer, alias))
    }

    fn alias_domain_page(
        &self,
        after: Option<&Cursor>,
        limit: usize,
    ) -> Result<Page<AliasDomainRow, StoreError>, StoreError> {
        match &self.foreign {
            None => self.page_of_alias_domains(after, limit),
            Some(foreign) => self.hosts.read(|connection| foreign.alias_domains(connection, after, limit.max(1))),
        }
    }

    fn find_alias_domain(&self, name: &str) -> Result<Option<AliasDomainRow>, StoreError> {
        if let Some(foreign) = &self.foreign {
            return foreign.alias_domain_row(self, name);
        }
        self.row_of_alias_domain(name)
    }

    fn alias_domains_of(&self, target: &str) -> Result<Vec<String>, StoreError> {
        self.names_of_domain(target)
    }

    fn add_alias_domains(&self, rows: &[AliasDomainRow]) -> Result<(), (usize, AdminError)> {
        let mut place = 0;
        self.change(|writer| {
            for (index, row) in rows.iter().enumerate() {
                place = index;
                if let Err(problem) = self.insert_alias_domain(writer, row)? {
                    return Ok(Err(problem));
                }
            }
            Ok(Ok(()))
        })
        .map_err(|problem| (place, problem))
    }

    fn set_alias_domain(&self, row: &AliasDomainRow) -> Result<(), AdminError> {
        self.change(|writer| self.update_alias_domain(writer, row))
    }

    fn remove_alias_domain(&self, name: &str) -> Result<(), AdminError> {
        self.change(|writer| self.delete_alias_domain(writer, name))
    }
}

impl SqlStore {
    /// Runs a change in a transaction, once the schema is known to be of our version.
    fn change<T>(&self, work: impl FnOnce(&mut Writer<'_>) -> Done<T>) -> Result<T, AdminError> {
        self.change_or(|writer| match work(writer) {
            Err(DriverError::Refused { kind: Refusal::Unstorable, reason }) => Ok(Err(AdminError::Unstorable(reason))),
            done => done,
        })?
    }

    /// Runs a change in a transaction in the same way, with any type of inner error.
    pub(in crate::store) fn change_or<T, E>(
        &self,
        work: impl FnOnce(&mut Writer<'_>) -> Result<Result<T, E>, DriverError>,
    ) -> Result<Result<T, E>, StoreError> {
        self.ensure_own()?;
        // Checked before the transaction, which must not read before it takes its locks.
        self.hosts.read(|connection| self.ensure_schema(connection))?;
        self.hosts.transaction(|connection| work(&mut Writer::new(connection, &self.writes)))
    }
}

pub(in crate::store) fn no_such(what: &'static str, name: &str) -> AdminError {
    AdminError::NoSuch { what, name: name.to_owned() }
}

/// Succeeds if any row was matched.
fn some(rows: u64, otherwise: impl FnOnce() -> AdminError) -> Done<()> {
    Ok(if rows > 0 { Ok(()) } else { Err(otherwise()) })
}

fn text(row: &dyn Row, index: usize) -> String {
    String::from_utf8_lossy(&bytes(row, index)).into_owned()
}
