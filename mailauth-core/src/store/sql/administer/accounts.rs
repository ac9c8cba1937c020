//! Accounts: finding, changing, counting and removing them.

use super::{PAGE, no_such, some, text};
use crate::Services;
use crate::account::{Login, Password};
use crate::schema::Field;
use crate::store::administration::{AccountChange, AccountTimes, AdminError};
use crate::store::driver::{Connection, DriverError, Param, Statement};
use crate::store::sql::SqlStore;
use crate::store::sql::columns::{bytes, is_text, number};
use crate::store::sql::writer::Writer;
use crate::store::{Cursor, Page, StoreError};
use std::collections::BTreeSet;

/// Number of rows counted with one statement.
const COUNTED: i64 = 10_000;

impl SqlStore {
    pub(super) fn page_of_domain_accounts(
        &self,
        domain: &str,
        after: Option<&Cursor>,
        limit: usize,
    ) -> Result<Page, StoreError> {
        let limit = limit.max(1);
        let after = after.map(Cursor::as_bytes).unwrap_or_default();
        let domain = Param::Text(domain.as_bytes());
        let asking = [domain, domain, Param::Text(after), Param::Int(i64::try_from(limit).unwrap_or(i64::MAX))];
        self.hosts.read(|connection| {
            self.ensure_schema(connection)?;
            self.read_page(connection, &self.statements.domain_accounts_page, &asking, limit)
        })
    }

    pub(super) fn existing_logins(&self, logins: &[&Login]) -> Result<BTreeSet<Login>, StoreError> {
        let present = self.hosts.read(|connection| {
            self.ensure_schema(connection)?;
            self.present(connection, logins.iter().copied())
        })?;
        Ok(logins
            .iter()
            .filter(|login| present.contains(login.as_str().as_bytes()))
            .map(|login| (*login).clone())
            .collect())
    }

    pub(super) fn times_of_account(&self, login: &Login) -> Result<Option<AccountTimes>, StoreError> {
        let asked = login.as_str().as_bytes();
        self.hosts.read(|connection| {
            self.ensure_schema(connection)?;
            let mut times = None;
            connection.query(&self.statements.times, &[Param::Text(asked)], &mut |row| {
                // The login follows the times.
                if is_text(row, Field::TIMES.len(), asked) {
                    let time = |field: Field| {
                        let index = Field::TIMES.iter().position(|time| *time == field);
                        index.map_or_else(String::new, |index| text(row, index))
                    };
                    times = Some(AccountTimes {
                        created: time(Field::Created),
                        updated: time(Field::Updated),
                        password_changed: time(Field::PasswordChanged),
                    });
                }
            })?;
            Ok(times)
        })
    }

    pub(super) fn update_account(&self, login: &Login, change: &AccountChange) -> Result<(), AdminError> {
        if self.foreign.is_some() {
            return self.change_foreign_password(login, change);
        }
        let services = change.services.as_ref().map(services);
        let values = [
            (Field::Password, change.password.as_ref().map(password)),
            (Field::Enabled, change.enabled.map(|on| Param::Int(on.into()))),
            (Field::Receives, change.receives.map(|on| Param::Int(on.into()))),
            (Field::Services, services.as_ref().map(|list| Param::text(list.as_deref()))),
            (Field::Uid, change.uid.map(id)),
            (Field::Gid, change.gid.map(id)),
            (Field::Home, change.home.as_ref().map(|text| Param::text(text.as_deref()))),
            (Field::Maildir, change.maildir.as_ref().map(|text| Param::text(text.as_deref()))),
            (Field::QuotaBytes, change.quota_bytes.map(limit)),
            (Field::QuotaMessages, change.quota_messages.map(limit)),
            (Field::Name, change.name.as_ref().map(|text| Param::text(text.as_deref()))),
            (Field::Options, change.options.as_ref().map(|text| Param::text(text.as_deref()))),
        ];
        let mut sql = self.statements.set_account.clone();
        let mut params = Vec::new();
        for (field, value) in values {
            if let Some(value) = value {
                sql.push_str(&format!(", {} = ?", self.writable(field)?));
                params.push(value);
            }
        }
        if change.password.is_some() {
            sql.push_str(&format!(", {} = {}", self.writable(Field::PasswordChanged)?, self.dialect().now));
        }
        sql.push_str(&self.statements.of_account);
        params.extend([Param::Text(login.as_str().as_bytes()); 2]);
        let statement = Statement { slot: None, sql: self.dialect().placeholders(&sql) };
        self.change(|connection| some(connection.execute(&statement, &params)?, || no_such("account", login.as_str())))
    }

    /// Returns the column that `field` is written to.
    pub(in crate::store::sql) fn writable(&self, field: Field) -> Result<&str, StoreError> {
        self.model.accounts.column(field).write.as_deref().ok_or_else(|| StoreError::Refused {
            place: self.hosts.place().to_owned(),
            reason: format!("the table model has no column to write {} to", field.name()),
        })
    }

    /// Counts accounts by a statement that counts up to a limit and returns the last login counted.
    pub(super) fn count_by_pages(
        &self,
        connection: &mut dyn Connection,
        statement: &Statement,
        of: &[Param<'_>],
    ) -> Result<u64, DriverError> {
        let (mut sum, mut after) = (0, Vec::new());
        loop {
            let (counted, last) = count_page(connection, statement, of, &after, COUNTED)?;
            sum += counted;
            if counted < COUNTED.unsigned_abs() || last.is_empty() {
                return Ok(sum);
            }
            after = last;
        }
    }

    /// Returns true if a domain has an account.
    pub(in crate::store::sql) fn has_accounts(
        &self,
        connection: &mut dyn Connection,
        domain: Param<'_>,
    ) -> Result<bool, DriverError> {
        let statement = &self.statements.count_domain_accounts;
        Ok(count_page(connection, statement, &[domain, domain], b"", 1)?.0 > 0)
    }

    /// Removes the accounts of a domain, a page with each statement.
    pub(super) fn remove_accounts_of(&self, connection: &mut Writer<'_>, domain: Param<'_>) -> Result<(), DriverError> {
        let statements = &self.statements;
        loop {
            let (_, last) = count_page(
                connection.reading(),
                &statements.count_domain_accounts,
                &[domain, domain],
                b"",
                PAGE as i64,
            )?;
            if last.is_empty() {
                return Ok(());
            }
            if connection.execute(&statements.remove_domain_accounts, &[domain, Param::Text(&last)])? == 0 {
                // In that case the domain cannot be removed, and the database says why.
                return Ok(());
            }
        }
    }
}

/// Returns the number of accounts that come next, at most `limit`, and the last one's login.
fn count_page(
    connection: &mut dyn Connection,
    statement: &Statement,
    of: &[Param<'_>],
    after: &[u8],
    limit: i64,
) -> Result<(u64, Vec<u8>), DriverError> {
    let mut counted = (0, Vec::new());
    let asking: Vec<_> = of.iter().copied().chain([Param::Text(after), Param::Int(limit)]).collect();
    connection.query(statement, &asking, &mut |row| {
        counted = (number(row, 0).and_then(|count| u64::try_from(count).ok()).unwrap_or(0), bytes(row, 1));
    })?;
    Ok(counted)
}

/// Returns the column's value, where NULL means every service.
pub(in crate::store::sql) fn services(services: &Services) -> Option<String> {
    Some(services.to_string()).filter(|list| !list.is_empty())
}

/// Returns the column's value, where NULL means no password.
pub(in crate::store::sql) fn password(password: &Password) -> Param<'_> {
    if password.0.is_empty() { Param::Null } else { Param::Text(password.0.expose()) }
}

pub(in crate::store::sql) fn id(id: Option<u32>) -> Param<'static> {
    id.map_or(Param::Null, |id| Param::Int(id.into()))
}

pub(in crate::store::sql) fn limit(limit: Option<u64>) -> Param<'static> {
    limit.map_or(Param::Null, |limit| Param::Int(i64::try_from(limit).unwrap_or(i64::MAX)))
}
