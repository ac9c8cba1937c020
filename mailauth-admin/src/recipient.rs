//! An account that mail comes for, and the word of the database about it.

use crate::failure::{Exit, Failure};
use mailauth_core::account::AccountRow;
use mailauth_core::detail::Delimiters;
use mailauth_core::store::{AccountStore, DomainKind, DomainStanding, MailStore, PoolStore, SqlStore, StoreError};
use mailauth_core::{DomainName, Login};

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
    /// Finds the account of an address: of the whole one, else of the one without its detail, else of the same in the domain
    /// whose other name its domain is.
    ///
    /// # Errors
    /// Fails with `nobody` if no row exists that `fits`, and with "not now" if that cannot be known.
    pub fn find(
        database: &'a SqlStore,
        address: &Login,
        delimiters: &Delimiters,
        nobody: Failure,
        fits: impl Fn(&AccountRow) -> bool,
    ) -> Result<Self, Failure> {
        let newest = database.newest();
        let (found, doubt) = match account_of(newest.as_deref().unwrap_or(database), address, delimiters) {
            Err(error) if error.is_outage() && database.may_lag() => {
                (account_of(database, address, delimiters)?, Some(error))
            }
            found => (found?, None),
        };
        match found.filter(fits) {
            Some(row) => {
                let newest = newest.filter(|_| doubt.is_none());
                Ok(Recipient { row, database, newest, doubt })
            }
            None => Err(unless_in_doubt(nobody, doubt.as_ref())),
        }
    }

    /// Returns the tables of the quotas of domains.
    pub fn pools(&self) -> &dyn PoolStore {
        match &self.newest {
            Some(newest) => newest.as_ref(),
            None => self.database,
        }
    }

    /// Returns the failure for mail that is refused because of what was read: "not now" if that may lack a change.
    pub fn refused(&self, failure: Failure) -> Failure {
        unless_in_doubt(failure, self.doubt.as_ref())
    }
}

/// Returns the row of the account that an address leads to.
fn account_of(
    store: &dyn MailStore,
    address: &Login,
    delimiters: &Delimiters,
) -> Result<Option<AccountRow>, StoreError> {
    if let Some(row) = account_here(store, address, delimiters)? {
        return Ok(Some(row));
    }
    let Ok(name) = DomainName::parse(address.domain()) else { return Ok(None) };
    let Some(DomainStanding { enabled: true, kind: DomainKind::AliasOf(other) }) = store.domain(&name)? else {
        return Ok(None);
    };
    match Login::parse(format!("{}@{other}", address.local_part()).as_bytes(), None) {
        Ok(same) => account_here(store, &same, delimiters),
        // No account has so long a login.
        Err(_) => Ok(None),
    }
}

/// Returns the row of the account with this address, without following alias domains.
fn account_here(
    store: &dyn MailStore,
    address: &Login,
    delimiters: &Delimiters,
) -> Result<Option<AccountRow>, StoreError> {
    match (store.find(address)?, delimiters.split(address)) {
        (None, Some(split)) => store.find(&split.base),
        (found, _) => Ok(found),
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
