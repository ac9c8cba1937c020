//! The account that receives a message, and the tables that decide about the message.

use crate::failure::{Exit, Failure};
use mailauth_core::account::AccountRow;
use mailauth_core::detail::Delimiters;
use mailauth_core::store::{AccountStore, DomainKind, DomainStanding, MailStore, PoolStore, SqlStore, StoreError};
use mailauth_core::{DomainName, Login};

/// The account that receives a message, and the tables that decide about it: those of a host that has every change or, if
/// no such host answers, those of a replica. Mail is not sent back because of a replica.
pub struct Recipient<'a> {
    /// The account's row.
    pub row: AccountRow,
    database: &'a SqlStore,
    newest: Option<Box<dyn MailStore + 'a>>,
    /// Reason why no host that has every change can be asked.
    doubt: Option<StoreError>,
}

impl<'a> Recipient<'a> {
    /// Finds the account of an address: that of the whole address, or of the address without its detail, or of the same
    /// address in the target of an alias domain.
    ///
    /// # Errors
    /// Fails with `unknown` if no row exists that `fits`, and with "not now" if this cannot be known.
    pub fn find(
        database: &'a SqlStore,
        address: &Login,
        delimiters: &Delimiters,
        unknown: Failure,
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
            None => Err(unless_in_doubt(unknown, doubt.as_ref())),
        }
    }

    /// Returns the tables of the quotas of domains.
    pub fn pools(&self) -> &dyn PoolStore {
        match &self.newest {
            Some(newest) => newest.as_ref(),
            None => self.database,
        }
    }

    /// Returns the failure for mail that these tables refuse: "not now" if they may lack a change.
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
        // The login is too long for any account.
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
        Some(error) if matches!(failure.exit, Exit::NoUser | Exit::OverQuota | Exit::No) => Failure::not_now(format!(
            "{}, according to a replica, which may lack the latest changes: {error}",
            failure.message
        )),
        _ => failure,
    }
}
