//! Rows that a command needs: each is read, or its absence is an error that suggests a similar name.

use crate::failure::Failure;
use crate::nearby;
use mailauth_core::DomainName;
use mailauth_core::account::{AccountRow, Login};
use mailauth_core::store::{AccountStore, Administration, DomainRow, SqlStore};

/// Returns the row of an account.
///
/// # Errors
/// Fails if there is no such account.
pub fn account(store: &SqlStore, login: &Login) -> Result<AccountRow, Failure> {
    store.find(login)?.ok_or_else(|| nearby::no_account(store, login))
}

/// Returns the row of a domain.
///
/// # Errors
/// Fails if there is no such domain.
pub fn domain(store: &SqlStore, domain: &DomainName) -> Result<DomainRow, Failure> {
    store.find_domain(domain.as_str())?.ok_or_else(|| nearby::no_domain(store, domain.as_str(), false))
}
