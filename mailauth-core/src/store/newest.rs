//! Reads that must include every change, in a database whose hosts may differ for a while.

use super::driver::{Connection, DriverError};
use super::hosts::ReadPreference;
use super::hosts::recent_changes::RecentChanges;
use super::{AccountStore, Cursor, DomainStanding, MailStore, Page, PoolStore, PoolUse, SqlStore, StoreError};
use crate::DomainName;
use crate::account::{AccountRow, Login, Password};
use crate::model::limits::Limits;
use crate::model::usage::{Kind, Usage};

/// Choice of the hosts that may answer a read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Reading {
    /// The preferred host, which may be a replica.
    Any,
    /// A host that takes changes, or another one if no host does.
    Primary,
    /// A host that has every change; the read fails if no host has.
    Newest,
}

/// A store in which every read includes every change, or fails.
pub(super) struct Newest<'a>(pub(super) &'a SqlStore);

impl SqlStore {
    /// Returns which hosts may answer a question, depending on whether its subject was changed recently.
    pub(super) fn reading(&self, has_changed: impl FnOnce(&RecentChanges) -> bool) -> Reading {
        if self.hosts.has_several() && has_changed(&self.recent) { Reading::Newest } else { Reading::Any }
    }

    /// Runs `work`, which only reads, on a host that may answer it.
    pub(super) fn read_by<T>(
        &self,
        reading: Reading,
        work: impl FnMut(&mut dyn Connection) -> Result<T, DriverError>,
    ) -> Result<T, StoreError> {
        match reading {
            Reading::Any => self.hosts.read_from(self.preference(ReadPreference::Any), work).map(|(done, _)| done),
            Reading::Primary => self.hosts.read_from(ReadPreference::Primary, work).map(|(done, _)| done),
            Reading::Newest => self.hosts.read_certain(work),
        }
    }
}

impl AccountStore for Newest<'_> {
    fn find(&self, login: &Login) -> Result<Option<AccountRow>, StoreError> {
        self.0.find_newest(login)
    }

    fn set_password(&self, login: &Login, old: &Password, new: &Password) -> Result<bool, StoreError> {
        self.0.set_password(login, old, new)
    }

    fn enumerate(&self, after: Option<&Cursor>, limit: usize) -> Result<Page, StoreError> {
        self.0.enumerate(after, limit)
    }
}

impl PoolStore for Newest<'_> {
    fn pool_limits(&self, domain: &str) -> Result<Limits, StoreError> {
        self.0.limits_of_pool(Reading::Newest, domain)
    }

    fn pool_use(&self, domain: &str) -> Result<PoolUse, StoreError> {
        self.0.use_of_pool(Reading::Newest, domain)
    }

    fn publish(&self, login: &Login, usage: Usage) -> Result<PoolUse, StoreError> {
        self.0.publish(login, usage)
    }

    fn largest_uses(&self, login: &Login, kind: Kind, most: usize) -> Result<Vec<(Login, Usage)>, StoreError> {
        self.0.largest_uses_of(Reading::Newest, login, kind, most)
    }
}

impl MailStore for Newest<'_> {
    fn domain(&self, name: &DomainName) -> Result<Option<DomainStanding>, StoreError> {
        self.0.standing_of(Reading::Newest, name)
    }

    fn alias_targets(&self, address: &str) -> Result<Vec<String>, StoreError> {
        self.0.targets_of(Reading::Newest, address)
    }

    fn alias_targets_of(&self, addresses: [&str; 2]) -> Result<[Result<Vec<String>, StoreError>; 2], StoreError> {
        self.0.targets_of_both(Reading::Newest, addresses)
    }
}
