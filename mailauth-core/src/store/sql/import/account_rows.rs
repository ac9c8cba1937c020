//! Adding rows of accounts.

use crate::account::{AccountRow, Login};
use crate::schema::Field;
use crate::store::StoreError;
use crate::store::administration::AdminError;
use crate::store::driver::{Connection, DriverError, Param, Refusal, Statement};
use crate::store::sql::SqlStore;
use crate::store::sql::administer::{Done, id, limit, no_such, password, services};
use crate::store::sql::alias_domains::unfit;
use crate::store::sql::columns::bytes;
use crate::store::sql::statements::{BATCH, INSERTED};
use crate::store::sql::writer::Writer;
use std::collections::BTreeSet;
use std::iter;

impl SqlStore {
    pub(in crate::store) fn insert_account(&self, connection: &mut Writer<'_>, account: &AccountRow) -> Done<()> {
        if account.login.domain().is_empty() {
            return Ok(Err(self.without_domain(account)));
        }
        if let Some(problem) = self.unfit_for_addresses(connection.reading(), account.login.domain())? {
            return Ok(Err(problem));
        }
        match self.insert(connection, [account].into_iter()) {
            Err(error @ DriverError::Refused { .. }) => Ok(Err(self.refusal(account, error))),
            done => done.map(Ok),
        }
    }

    fn without_domain(&self, account: &AccountRow) -> AdminError {
        let place = self.hosts.place().to_owned();
        let reason = format!("the login {} has no domain", account.login);
        AdminError::Store(StoreError::Refused { place, reason })
    }

    /// Returns the reason why this account cannot be added.
    pub(super) fn refusal(&self, account: &AccountRow, error: DriverError) -> AdminError {
        match error {
            DriverError::Refused { kind: Refusal::Duplicate, .. } => exists(&account.login),
            DriverError::Refused { kind: Refusal::Reference, .. } => no_such("domain", account.login.domain()),
            DriverError::Refused { kind: Refusal::Unstorable, reason } => AdminError::Unstorable(reason),
            DriverError::Refused { kind: Refusal::Unfit, reason } => unfit(account.login.domain(), &reason),
            error => AdminError::Store(self.hosts.store_error(error)),
        }
    }

    /// Adds these accounts with one statement.
    pub(super) fn insert<'a>(
        &self,
        connection: &mut Writer<'_>,
        accounts: impl ExactSizeIterator<Item = &'a AccountRow> + Clone,
    ) -> Result<(), DriverError> {
        let services: Vec<_> = accounts.clone().map(|account| services(&account.services)).collect();
        let mut values = Vec::with_capacity(accounts.len() * (INSERTED.len() + 1));
        for (account, services) in accounts.clone().zip(&services) {
            values.extend(inserted(account, services.as_deref(), !account.password.0.is_empty()));
        }
        let statements = &self.statements;
        match accounts.len() {
            1 => connection.execute(&statements.add_account, &values),
            BATCH => connection.execute(&statements.add_accounts, &values),
            count => connection.execute(&self.sized(&statements.add_some, count), &values),
        }
        .map(drop)
    }

    /// Returns the statement for `count` accounts, from its beginning, the text for each of them, and its end.
    pub(in crate::store) fn sized(&self, [begin, each, end]: &[String; 3], count: usize) -> Statement {
        let sql = format!("{begin}{}{end}", vec![each.as_str(); count].join(", "));
        Statement { slot: None, sql: self.dialect().placeholders(&sql) }
    }

    /// Returns which of the logins are in the table, byte for byte.
    pub(in crate::store) fn present<'a>(
        &self,
        connection: &mut dyn Connection,
        logins: impl Iterator<Item = &'a Login>,
    ) -> Result<BTreeSet<Vec<u8>>, DriverError> {
        let logins: Vec<_> = logins.map(|login| login.as_str().as_bytes()).collect();
        // A login with a character that the database's character set lacks would make the whole query fail.
        let (plain, others): (Vec<_>, Vec<_>) = logins.into_iter().partition(|login| login.is_ascii());
        let mut present = BTreeSet::new();
        for some in iter::once(&plain[..]).chain(others.chunks(1)).filter(|some| !some.is_empty()) {
            let asked: Vec<_> = some.iter().map(|login| Param::Text(login)).collect();
            connection.query(&self.sized(&self.statements.find_some, asked.len()), &asked, &mut |row| {
                present.insert(bytes(row, 0));
            })?;
        }
        Ok(present)
    }
}

pub(super) fn exists(login: &Login) -> AdminError {
    AdminError::Exists { what: "account", name: login.to_string() }
}

/// Returns the parameters that add an account.
pub(super) fn inserted<'a>(
    account: &'a AccountRow,
    services: Option<&'a str>,
    has_new_password: bool,
) -> impl Iterator<Item = Param<'a>> {
    let values = INSERTED.into_iter().map(move |field| value(account, field, services));
    values.chain([Param::Int(has_new_password.into())])
}

/// Returns the value of a column as it is written.
pub(super) fn value<'a>(account: &'a AccountRow, field: Field, services: Option<&'a str>) -> Param<'a> {
    match field {
        Field::Login => Param::Text(account.login.as_str().as_bytes()),
        Field::Domain => Param::Text(account.login.domain().as_bytes()),
        Field::Password => password(&account.password),
        Field::Enabled => Param::Int(account.enabled.into()),
        Field::Services => Param::text(services),
        Field::Uid => id(account.uid),
        Field::Gid => id(account.gid),
        Field::Home => Param::text(account.home.as_deref()),
        Field::Maildir => Param::text(account.maildir.as_deref()),
        Field::QuotaBytes => limit(account.quota_bytes),
        Field::QuotaMessages => limit(account.quota_messages),
        Field::Name => Param::text(account.name.as_deref()),
        Field::Options => Param::text(account.options.as_deref()),
        Field::Receives => Param::Int(account.receives.into()),
        Field::DomainEnabled | Field::Created | Field::Updated | Field::PasswordChanged => Param::Null,
    }
}
