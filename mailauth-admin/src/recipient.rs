//! An account that mail comes for, and the word of the database about it.

use crate::failure::{Exit, Failure};
use mailauth_core::Login;
use mailauth_core::account::AccountRow;
use mailauth_core::quota::pools::PoolStore;
use mailauth_core::store::{AccountStore, MailStore, SqlStore, StoreError};

/// The tables that a message is stored or refused by: those of a host that has every change, or if none can be asked,
/// those of a replica, which are no reason to send mail back.
pub struct Recipient<'a> {
    /// The account's row.
    pub row: AccountRow,
    database: &'a SqlStore,
    newest: Option<Box<dyn MailStore + 'a>>,
    /// Why no host can be asked that has every change.
    doubt: Option<StoreError>,
}

impl<'a> Recipient<'a> {
    /// Finds an account.
    ///
    /// # Errors
    /// With `nobody` if there is none whose row `fits`; with "not now" if that cannot be known.
    pub fn find(
        database: &'a SqlStore,
        login: &Login,
        nobody: Failure,
        fits: impl Fn(&AccountRow) -> bool,
    ) -> Result<Self, Failure> {
        let (found, doubt) = match database.find_newest(login) {
            Err(error) if error.is_outage() && database.may_lag() => (database.find(login)?, Some(error)),
            found => (found?, None),
        };
        match found.filter(fits) {
            Some(row) => {
                let newest = if doubt.is_none() { database.newest() } else { None };
                Ok(Recipient { row, database, newest, doubt })
            }
            None => Err(unless_in_doubt(nobody, doubt.as_ref())),
        }
    }

    /// The tables of the domains' quotas.
    pub fn pools(&self) -> &dyn PoolStore {
        match &self.newest {
            Some(newest) => newest.as_ref(),
            None => self.database,
        }
    }

    /// A refusal of mail by what was read; "not now" if that may lack a change.
    pub fn refused(&self, failure: Failure) -> Failure {
        unless_in_doubt(failure, self.doubt.as_ref())
    }
}

fn unless_in_doubt(failure: Failure, doubt: Option<&StoreError>) -> Failure {
    match doubt {
        Some(error) if matches!(failure.exit, Exit::NoUser | Exit::OverQuota | Exit::No) => {
            Failure::not_now(format!("{}, says a replica, which may lack the last changes: {error}", failure.message))
        }
        _ => failure,
    }
}
