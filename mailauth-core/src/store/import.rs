//! Adding accounts, one or ten thousand.

use super::StoreError;
use super::administer::{Done, id, limit, no_such, password, services};
use super::administration::AdminError;
use super::driver::{DriverError, Param, Refusal};
use super::sql::SqlStore;
use super::statements::{BATCH, INSERTED};
use super::writer::Writer;
use crate::account::AccountRow;
use crate::schema::Field;
use std::collections::BTreeSet;

impl SqlStore {
    /// Adds all accounts or none, `batch` of them with one statement. The index of an error is that of its batch.
    pub(super) fn import_by(&self, batch: usize, accounts: &[AccountRow]) -> Result<(), (Option<usize>, AdminError)> {
        let imported = self.change_or(|connection| {
            let mut known = BTreeSet::new();
            for (number, accounts) in accounts.chunks(batch).enumerate() {
                let mut domains = accounts.iter().map(|account| account.login.domain());
                let ensured = domains.try_for_each(|domain| match known.insert(domain) {
                    true => self.ensure_domain(connection, domain),
                    false => Ok(()),
                });
                let refused = match ensured.and_then(|()| self.insert_accounts(connection, accounts)) {
                    Ok(Ok(())) => continue,
                    Ok(Err(refused)) => refused,
                    Err(error @ DriverError::Refused { .. }) => AdminError::Store(self.hosts.store_error(error)),
                    Err(error) => return Err(error),
                };
                return Ok(Err((Some(number * batch), refused)));
            }
            Ok(Ok(()))
        });
        imported.map_err(|error| (None, error.into()))?
    }

    /// Adds these accounts: with one statement if they are [`BATCH`], and otherwise one by one.
    fn insert_accounts(&self, connection: &mut Writer<'_>, accounts: &[AccountRow]) -> Done<()> {
        if accounts.len() != BATCH {
            for account in accounts {
                if let Err(refused) = self.insert_account(connection, account)? {
                    return Ok(Err(refused));
                }
            }
            return Ok(Ok(()));
        }
        let services: Vec<_> = accounts.iter().map(|account| services(&account.services)).collect();
        let mut values = Vec::with_capacity(BATCH * (INSERTED.len() + 1));
        for (account, services) in accounts.iter().zip(&services) {
            values.extend(inserted(account, services.as_deref()));
        }
        connection.execute(&self.statements.add_accounts, &values).map(|_| Ok(()))
    }

    pub(super) fn insert_account(&self, connection: &mut Writer<'_>, account: &AccountRow) -> Done<()> {
        let domain = account.login.domain();
        if domain.is_empty() {
            let place = self.hosts.place().to_owned();
            let reason = format!("the login {} has no domain", account.login);
            return Ok(Err(AdminError::Store(StoreError::Refused { place, reason })));
        }
        let services = services(&account.services);
        let values: Vec<Param<'_>> = inserted(account, services.as_deref()).collect();
        match connection.execute(&self.statements.add_account, &values) {
            Err(DriverError::Refused { kind: Refusal::Duplicate, .. }) => {
                Ok(Err(AdminError::Exists { what: "account", name: account.login.to_string() }))
            }
            Err(DriverError::Refused { kind: Refusal::Reference, .. }) => Ok(Err(no_such("domain", domain))),
            done => done.map(|_| Ok(())),
        }
    }
}

/// The parameters that add an account.
fn inserted<'a>(account: &'a AccountRow, services: Option<&'a str>) -> impl Iterator<Item = Param<'a>> {
    let value = move |field: Field| match field {
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
        Field::DomainEnabled | Field::Created | Field::Updated | Field::PasswordChanged => Param::Null,
    };
    INSERTED.into_iter().map(value).chain([Param::Int((!account.password.0.is_empty()).into())])
}
