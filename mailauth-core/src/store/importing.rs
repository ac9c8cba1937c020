//! Importing many rows at once: what is imported, and what becomes of it.

use super::administration::AdminError;
use super::{AccountChange, AliasDomainRow, Changed, DomainRow, StoreError};
use crate::account::{AccountRow, Login};
use crate::model::limits::Limits;
use std::collections::BTreeMap;
use std::io;

/// A source of rows to be imported, which may be read twice.
pub trait ImportSource<Row> {
    /// Goes back to the first row.
    ///
    /// # Errors
    /// Fails if the source cannot be read again.
    fn rewind(&mut self) -> io::Result<()>;

    /// Returns the next row and its place, such as the number of a line, or `None` after the last one.
    ///
    /// # Errors
    /// Fails if the source cannot be read.
    fn next(&mut self) -> io::Result<Option<(u64, Row)>>;

    /// Notes that the store refuses the row at `place`. Returns false if no further row has to be checked.
    fn refuse(&mut self, place: u64, why: AdminError) -> bool;

    /// Returns true if nothing of the source may be imported, because part of it is wrong.
    fn is_spoilt(&self) -> bool;

    /// Notes that a row was written, which may be undone yet. `is_new` is false for a row that existed.
    fn written(&mut self, what: Changed, is_new: bool) {
        let _ = (what, is_new);
    }
}

/// How an import treats rows that exist.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ImportMode {
    /// Changes them in the columns that the source has; otherwise they are refused.
    pub update: bool,
    /// Only reads, and says what would be done.
    pub dry_run: bool,
}

/// What an import did, or would do.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ImportSummary {
    /// Number of rows that were added.
    pub added: u64,
    /// Number of rows that were changed.
    pub changed: u64,
    /// Number of rows that were already as they should be.
    pub unchanged: u64,
    /// Number of changed rows for each changed column.
    pub columns: BTreeMap<&'static str, u64>,
    /// Number of domains that were added for accounts.
    pub domains: u64,
}

/// Reason why an import was not made.
#[derive(Debug, thiserror::Error)]
pub enum ImportError {
    /// A source that cannot be read.
    #[error("it cannot be read: {0}")]
    Read(#[from] io::Error),
    /// A failure of the store.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// An account to be imported.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AccountRecord {
    /// Its login.
    pub login: Login,
    /// The columns that the source has. A new account has the defaults in all others.
    pub change: AccountChange,
}

/// Returns the reason why the daemon could not use an account as it would be, which is the second one. The first one is
/// the account before, if it exists and can be read.
pub type JudgeAccount<'a> = &'a dyn Fn(Option<&AccountRow>, &AccountRow) -> Option<String>;

/// A domain to be imported. A column that the source does not have is `None`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct DomainRecord {
    /// Name of the domain.
    pub name: String,
    /// Whether it is enabled.
    pub enabled: Option<bool>,
    /// Description for people.
    pub description: Option<Option<String>>,
    /// What all its mailboxes together may hold.
    pub quota: Option<Limits>,
    /// Whether this host is only a backup MX of it.
    pub backup: Option<bool>,
}

impl DomainRecord {
    /// Sets the columns of a row. Returns the names of those that had another value.
    pub fn apply(&self, row: &mut DomainRow) -> Vec<&'static str> {
        let mut changed = Vec::new();
        put(&mut row.description, &self.description, "description", &mut changed);
        put(&mut row.enabled, &self.enabled, "enabled", &mut changed);
        put(&mut row.backup, &self.backup, "backup", &mut changed);
        put(&mut row.quota, &self.quota, "quota", &mut changed);
        changed
    }
}

/// An alias domain to be imported. A column that the source does not have is `None`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct AliasDomainRecord {
    /// Name of the alias domain.
    pub name: String,
    /// The domain that it is an alias of, which a new one needs.
    pub target: Option<String>,
    /// Whether its addresses receive mail.
    pub enabled: Option<bool>,
}

impl AliasDomainRecord {
    /// Sets the columns of a row. Returns the names of those that had another value.
    pub fn apply(&self, row: &mut AliasDomainRow) -> Vec<&'static str> {
        let mut changed = Vec::new();
        put(&mut row.target, &self.target, "target", &mut changed);
        put(&mut row.enabled, &self.enabled, "enabled", &mut changed);
        changed
    }
}

impl AccountChange {
    /// Sets the columns of a row. Returns the names of those that had another value.
    pub fn apply(&self, row: &mut AccountRow) -> Vec<&'static str> {
        let mut changed = Vec::new();
        put(&mut row.password, &self.password, "password", &mut changed);
        put(&mut row.uid, &self.uid, "uid", &mut changed);
        put(&mut row.gid, &self.gid, "gid", &mut changed);
        put(&mut row.home, &self.home, "home", &mut changed);
        put(&mut row.maildir, &self.maildir, "maildir", &mut changed);
        put(&mut row.quota_bytes, &self.quota_bytes, "quota", &mut changed);
        put(&mut row.quota_messages, &self.quota_messages, "quota", &mut changed);
        put(&mut row.services, &self.services, "services", &mut changed);
        put(&mut row.name, &self.name, "name", &mut changed);
        put(&mut row.options, &self.options, "options", &mut changed);
        put(&mut row.enabled, &self.enabled, "enabled", &mut changed);
        put(&mut row.receives, &self.receives, "receives", &mut changed);
        changed
    }

    /// Returns the change that gives an account every value of this row.
    pub fn to(row: &AccountRow) -> Self {
        AccountChange {
            password: Some(row.password.clone()),
            enabled: Some(row.enabled),
            receives: Some(row.receives),
            services: Some(row.services.clone()),
            uid: Some(row.uid),
            gid: Some(row.gid),
            home: Some(row.home.clone()),
            maildir: Some(row.maildir.clone()),
            quota_bytes: Some(row.quota_bytes),
            quota_messages: Some(row.quota_messages),
            name: Some(row.name.clone()),
            options: Some(row.options.clone()),
        }
    }
}

/// Sets a column that is given, and notes its name if it had another value.
fn put<T: Clone + PartialEq>(field: &mut T, value: &Option<T>, name: &'static str, changed: &mut Vec<&'static str>) {
    if let Some(value) = value.as_ref().filter(|value| *value != field) {
        field.clone_from(value);
        if !changed.contains(&name) {
            changed.push(name);
        }
    }
}
