//! The rows of a [`MemoryStore`] as a snapshot copies them.

use super::{Call, MemoryStore};
use crate::Secret;
use crate::account::{AccountRow, Login};
use crate::quota::Limits;
use crate::schema::Field;
use crate::store::snapshot::{CopiedRow, Original, Part, Value};
use crate::store::{DomainKind, StoreError};

/// The time of the database, which does not pass. A row without a time of change has none that is later.
const NOW: &[u8] = b"2026";

impl MemoryStore {
    /// Sets the answer to all copying of rows to this error; `None` sets it to the rows again. Other questions are
    /// answered as before.
    pub fn fail_copies(&self, error: Option<StoreError>) {
        *self.0.copy_error.lock() = error;
    }

    /// Stores a value in an account's row that is copied in place of the one in its [`AccountRow`]: one that no row
    /// should have, or the time of its change, as text that is compared with the time of the database, 2026.
    pub fn store_value(&self, login: &Login, field: Field, value: Value) {
        self.0.values.lock().push((login.clone(), field, value));
    }

    fn check_copying(&self, call: Call<'_>) -> Result<(), StoreError> {
        self.run_hook(call)?;
        self.0.copy_error.lock().clone().map_or(Ok(()), Err)
    }

    /// Returns the value that is stored for a field of an account.
    fn value(&self, row: &AccountRow, field: Field) -> Value {
        let values = self.0.values.lock();
        if let Some((.., value)) = values.iter().rfind(|(login, of, _)| *login == row.login && *of == field) {
            return value.clone();
        }
        let or_null = |text: &Option<String>| text.as_deref().map_or(Value::Null, text_value);
        let limit = |limit: Option<u64>| limit.map_or(Value::Null, number);
        match field {
            Field::Login => text_value(row.login.as_str()),
            Field::Domain => text_value(row.login.domain()),
            Field::Password => Value::Text(row.password.0.clone()),
            Field::Enabled => number(row.enabled.into()),
            Field::DomainEnabled => number(row.domain_enabled.into()),
            Field::Services => or_null(&Some(row.services.to_string()).filter(|list| !list.is_empty())),
            Field::Uid => limit(row.uid.map(u64::from)),
            Field::Gid => limit(row.gid.map(u64::from)),
            Field::Home => or_null(&row.home),
            Field::Maildir => or_null(&row.maildir),
            Field::QuotaBytes => limit(row.quota_bytes),
            Field::QuotaMessages => limit(row.quota_messages),
            Field::Name => or_null(&row.name),
            Field::Options => or_null(&row.options),
            Field::Receives => number(row.receives.into()),
            Field::Created | Field::Updated | Field::PasswordChanged => Value::Null,
        }
    }

    /// Returns the rows of the accounts that `is_wanted`, in the order of their logins.
    fn accounts(&self, limit: usize, is_wanted: impl Fn(&AccountRow) -> bool) -> Vec<CopiedRow> {
        let rows = self.rows();
        let mut wanted: Vec<_> = rows.iter().filter(|row| is_wanted(row)).collect();
        wanted.sort_by(|one, two| one.login.as_str().cmp(two.login.as_str()));
        wanted.truncate(limit);
        wanted.into_iter().map(|row| self.copied(row)).collect()
    }

    /// Returns the rows of the accounts that were changed since, in the order of that time and their logins.
    fn changed_accounts(&self, limit: usize, since: &[u8], after: &[u8]) -> Vec<CopiedRow> {
        let rows = self.rows();
        let mut changed: Vec<_> = rows.iter().map(|row| (self.updated(row), row)).collect();
        changed.retain(|(time, row)| (time.expose(), row.login.as_str().as_bytes()) > (since, after));
        changed.sort_by(|one, two| (one.0.expose(), &one.1.login).cmp(&(two.0.expose(), &two.1.login)));
        changed.truncate(limit);
        let with_time = |(time, row): (Secret, &AccountRow)| {
            let mut copied = self.copied(row);
            copied.push(Value::Text(time));
            copied
        };
        changed.into_iter().map(with_time).collect()
    }

    /// Returns the values of an account's row.
    fn copied(&self, row: &AccountRow) -> CopiedRow {
        let copied = |field| if field == Field::DomainEnabled { Field::Domain } else { field };
        Field::READ.map(|field| self.value(row, copied(field))).to_vec()
    }

    /// Returns the rows of the domains, or of the alias domains, that `is_wanted`, in the order of their names.
    fn domain_rows(&self, limit: usize, aliases: bool, is_wanted: impl Fn(&str) -> bool) -> Vec<CopiedRow> {
        let (domains, pools) = (self.0.domains.lock(), self.0.pools.lock());
        let wanted = domains.iter().filter(|(name, _)| is_wanted(name)).filter_map(|(name, standing)| {
            let enabled = number(standing.enabled.into());
            let bound = |limit: Option<u64>| limit.map_or(Value::Null, number);
            match &standing.kind {
                DomainKind::AliasOf(target) => {
                    aliases.then(|| vec![text_value(name), text_value(target.as_str()), enabled])
                }
                kind => (!aliases).then(|| {
                    let quota = pools.get(name).copied().unwrap_or(Limits::NONE);
                    let backup = number((*kind == DomainKind::Backup).into());
                    vec![text_value(name), enabled, bound(quota.bytes), bound(quota.messages), backup]
                }),
            }
        });
        wanted.take(limit).collect()
    }

    /// Returns the rows of the aliases that `is_wanted`, in the order of their addresses and targets.
    fn alias_rows(&self, limit: usize, is_wanted: impl Fn(&str, &str) -> bool) -> Vec<CopiedRow> {
        let aliases = self.0.aliases.lock();
        let mut rows = Vec::new();
        for (address, targets) in aliases.iter() {
            let domain = address.rsplit('@').next().unwrap_or_default();
            let mut targets: Vec<_> = (0..).zip(targets).filter(|(_, target)| is_wanted(address, target)).collect();
            targets.sort_by_key(|(_, target)| *target);
            let row = |(position, target): (i64, &String)| {
                vec![text_value(address), text_value(target), Value::Int(position), text_value(domain)]
            };
            rows.extend(targets.into_iter().map(row));
        }
        rows.truncate(limit);
        rows
    }

    /// Returns the time of an account's change.
    fn updated(&self, row: &AccountRow) -> Secret {
        match self.value(row, Field::Updated) {
            Value::Text(time) => time,
            Value::Null | Value::Int(_) | Value::Other => Secret::from(""),
        }
    }
}

impl Original for MemoryStore {
    fn copy(&self, part: Part<'_>, limit: usize) -> Result<Vec<CopiedRow>, StoreError> {
        self.check_copying(Call::Copy(part))?;
        let is_later = |name: &str, after: &[u8]| name.as_bytes() > after;
        let is_of = |address: &str, domain: &[u8]| address.rsplit('@').next().unwrap_or_default().as_bytes() == domain;
        let later_alias = |address: &str, target: &str, after| (address.as_bytes(), target.as_bytes()) > after;
        Ok(match part {
            Part::Account(login) => self.accounts(limit, |row| row.login == *login),
            Part::Accounts { after } => self.accounts(limit, |row| is_later(row.login.as_str(), after)),
            Part::OfDomain { domain, after } => self
                .accounts(limit, |row| row.login.domain().as_bytes() == domain && is_later(row.login.as_str(), after)),
            Part::Changed { since, after } => self.changed_accounts(limit, since, after),
            Part::Domain(name) => self.domain_rows(limit, false, |domain| domain.as_bytes() == name),
            Part::Domains { after } => self.domain_rows(limit, false, |domain| is_later(domain, after)),
            Part::AliasDomain(name) => self.domain_rows(limit, true, |domain| domain.as_bytes() == name),
            Part::AliasDomains { after } => self.domain_rows(limit, true, |domain| is_later(domain, after)),
            Part::Aliases { after } => self.alias_rows(limit, |address, target| later_alias(address, target, after)),
            Part::AliasesOfDomain { domain, after } => {
                self.alias_rows(limit, |address, target| is_of(address, domain) && later_alias(address, target, after))
            }
            Part::ChangedDomains { .. } | Part::ChangedAliases { .. } | Part::ChangedAliasDomains { .. } => Vec::new(),
        })
    }

    fn time(&self) -> Result<Vec<u8>, StoreError> {
        self.check_copying(Call::Time)?;
        Ok(NOW.to_vec())
    }
}

fn text_value(text: &str) -> Value {
    Value::Text(Secret::from(text))
}

fn number(number: u64) -> Value {
    Value::Int(i64::try_from(number).unwrap_or(i64::MAX))
}
