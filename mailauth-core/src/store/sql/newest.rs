//! Reads that must include every change, in a database whose hosts may differ for a while.

use super::SqlStore;
use super::reading::Reading;
use crate::DomainName;
use crate::account::{AccountRow, Login, Password};
use crate::model::limits::Limits;
use crate::model::usage::{Kind, Usage};
use crate::store::{AccountStore, Cursor, DomainStanding, MailStore, Page, PoolStore, PoolUse, StoreError};

/// A store in which every read includes every change, or fails.
pub(super) struct Newest<'a>(pub(super) &'a SqlStore);

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
