//! Stores of accounts.
//!
//! [`AccountStore`] has what the answer to a login needs; [`Administration`] has what the administrator's command needs
//! in addition. A decorator (cache, snapshot) implements the first over another store. The authenticator and the router
//! do not know which decorators there are; they use what a lookup ([`Seen`]) says about the age and the origin of a
//! row.

// A program that only uses the daemon's socket is built without databases, and does not use all of this.
#![cfg_attr(not(any(feature = "sqlite", feature = "mysql", feature = "postgres")), allow(dead_code))]

mod administration;
pub mod cache;
mod changed;
mod driver;
mod hosts;
mod jitter;
mod newest;
mod open;
#[cfg(feature = "sqlite")]
pub mod snapshot;
mod sql;
mod standing;
mod state;
#[cfg(test)]
mod tests;

pub use administration::{
    AccountChange, AccountTimes, AdminError, AdminReport, Administration, AliasDomainRow, AliasRow, AliasTarget,
    CharacterSet, DomainRow, ImportError, ImportSource, Renaming, SchemaChange, StoreReport,
};
pub use changed::Changed;
pub use hosts::recent_changes::RecentChanges;
pub use open::{OpenError, open_pooled, open_single};
pub use sql::{ParameterKind, Respelt, SqlStore, StatementText};
pub use standing::{DomainKind, DomainStanding};
pub use state::{HostState, Role, SnapshotState, StoreState};

use crate::DomainName;
use crate::account::{AccountRow, Login, Password};
use crate::mailbox::Unusable;
use crate::quota::pools::PoolStore;
use std::time::{Duration, Instant};

/// Why a store cannot answer yes or no. Each reason is "not now" to a client, and a sentence in the log.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum StoreError {
    /// No connection could be made: the server is unreachable or full, or refuses.
    #[error("the database at {place} cannot be reached: {reason}")]
    Unreachable {
        /// The database, without its password.
        place: String,
        /// The message of the driver or the system.
        reason: String,
    },
    /// The deadline passed before the answer arrived.
    #[error("the database at {place} did not answer within {} ms", .after.as_millis())]
    Timeout {
        /// The database.
        place: String,
        /// The time that was waited.
        after: Duration,
    },
    /// The database cancelled a statement before the deadline, because of a setting of its own.
    #[error("the database at {place} gave up: {reason}")]
    Cancelled {
        /// The database.
        place: String,
        /// The setting, and what to do.
        reason: String,
    },
    /// The database refused a statement because its user lacks the privilege.
    #[error("the database at {place} refused: {reason}; {advice}")]
    Forbidden {
        /// The database.
        place: String,
        /// The message of the database.
        reason: String,
        /// The user, the role that has the privilege, and what to do.
        advice: String,
    },
    /// The database refused a statement on a working connection. Another attempt would fail in the same way.
    #[error("the database at {place} refused: {reason}")]
    Refused {
        /// The database.
        place: String,
        /// The message of the database.
        reason: String,
    },
    /// A row that can never be used as it is stored in the database.
    #[error(transparent)]
    Unusable(#[from] Unusable),
    /// The same for a row of a snapshot, which may be damaged.
    #[error("{0}, in a copy that may be damaged")]
    Doubtful(Unusable),
    /// A row of a domain that must not be trusted.
    #[error("domain {domain}: column {column} {problem}")]
    UnusableDomain {
        /// The domain, with unprintable characters escaped.
        domain: String,
        /// The column.
        column: &'static str,
        /// What is wrong, and what to do.
        problem: &'static str,
    },
    /// An alias that mail must not be sent to.
    #[error("alias {address}: {problem}")]
    UnusableAlias {
        /// Address of the alias.
        address: String,
        /// What is wrong, and what to do.
        problem: String,
    },
    /// A cached row leads to a refusal, and could not be read again.
    #[error("what is remembered of this account is not enough to refuse it: {0}")]
    Unconfirmed(&'static str),
    /// The schema is missing, or does not have the version that this program knows.
    #[error("{0}")]
    Schema(String),
}

impl StoreError {
    /// Returns true if the database did not answer at all. Any other error is an answer of the database.
    pub fn is_outage(&self) -> bool {
        matches!(self, StoreError::Unreachable { .. } | StoreError::Timeout { .. } | StoreError::Cancelled { .. })
    }
}

/// What a mail server needs to know in addition to accounts: which domains are kept here, and which addresses are other
/// names. Calls block, each for at most the configured deadline.
pub trait MailStore: AccountStore + PoolStore {
    /// Returns the same tables, read only from a host that has every change; to be asked before mail is refused. `None`
    /// if every host has every change, because there is only one.
    fn newest(&self) -> Option<Box<dyn MailStore + '_>> {
        None
    }

    /// Returns what this domain is; `None` if this host does not handle its mail.
    ///
    /// # Errors
    /// Fails if the store cannot tell.
    fn domain(&self, name: &DomainName) -> Result<Option<DomainStanding>, StoreError>;

    /// Returns whether this domain is enabled; `None` as for [`MailStore::domain`].
    ///
    /// # Errors
    /// Fails if the store cannot tell.
    fn domain_enabled(&self, name: &DomainName) -> Result<Option<bool>, StoreError> {
        Ok(self.domain(name)?.map(|domain| domain.enabled))
    }

    /// Returns the addresses that mail for exactly this address is sent to, in order and as they are written; empty if
    /// it is not an alias. For `@example.org`, those of the catch-all.
    ///
    /// # Errors
    /// Fails if the store cannot tell, or if a target is not an address.
    fn alias_targets(&self, address: &str) -> Result<Vec<String>, StoreError>;

    /// Returns the targets of two addresses at once. An alias with unusable targets is an error of that address only.
    ///
    /// # Errors
    /// Fails if the store cannot tell about both.
    fn alias_targets_of(&self, addresses: [&str; 2]) -> Result<[Result<Vec<String>, StoreError>; 2], StoreError> {
        let [first, second] = addresses.map(|address| match self.alias_targets(address) {
            Err(error @ StoreError::UnusableAlias { .. }) => Ok(Err(error)),
            found => found.map(Ok),
        });
        Ok([first?, second?])
    }

    /// Returns a number that changes whenever a snapshot answers instead of the database, for
    /// [`MailStore::certain_since`].
    fn doubts(&self) -> u64 {
        0
    }

    /// Checks that all answers since [`MailStore::doubts`] returned `doubts` came from the database. To be called
    /// before mail is refused because of them.
    ///
    /// # Errors
    /// Fails with the error of the database, if one of the answers may come from a snapshot.
    fn certain_since(&self, doubts: u64) -> Result<(), StoreError> {
        let _ = doubts;
        Ok(())
    }
}

/// A page of [`AccountStore::enumerate`], or of another list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Page<T = AccountRow, E = Unusable> {
    /// The rows, in ascending order of login or name, or why one cannot be trusted.
    pub rows: Vec<Result<T, E>>,
    /// Beginning of the next page; `None` on the last page.
    pub next: Option<Cursor>,
}

impl<T, E> Default for Page<T, E> {
    fn default() -> Self {
        Page { rows: Vec::new(), next: None }
    }
}

/// A position in a list: after the row with this login or name, byte for byte as it is stored in the table. It need not
/// be a valid [`Login`] or [`DomainName`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cursor(Vec<u8>);

impl Cursor {
    /// Returns the position after this login or name.
    pub fn behind(name: impl Into<Vec<u8>>) -> Self {
        Cursor(name.into())
    }

    /// Returns the login or name.
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }
}

/// The result of a lookup: a row, or that there is none. `docs/internals/ages.md` says which answers it permits.
#[derive(Clone, Debug)]
pub struct Seen {
    /// The row.
    pub row: Option<AccountRow>,
    origin: Origin,
    /// Whether it was read from a replica, which may lack the latest changes.
    behind: bool,
}

/// Origin of a row.
#[derive(Clone, Copy, Debug)]
enum Origin {
    /// Read from the database just now.
    Database,
    /// Read from the database at that time, and cached since.
    Memory(Instant),
    /// Read from a snapshot, because the database is unreachable.
    Copy,
}

impl Seen {
    /// Creates the result of a read from the database just now.
    pub fn new(row: Option<AccountRow>) -> Self {
        Seen { row, origin: Origin::Database, behind: false }
    }

    /// Creates the result of a cached read.
    pub(crate) fn kept(row: Option<AccountRow>, since: Instant) -> Self {
        Seen { row, origin: Origin::Memory(since), behind: false }
    }

    /// Creates the result of a read from a snapshot, because the database is unreachable.
    pub(crate) fn copied(row: Option<AccountRow>) -> Self {
        Seen { row, origin: Origin::Copy, behind: false }
    }

    /// Returns the same, marked as read from a replica if `behind`.
    pub(crate) fn behind(self, behind: bool) -> Self {
        Seen { behind, ..self }
    }

    /// Returns the time at which a cached row was read.
    fn kept_since(&self) -> Option<Instant> {
        match self.origin {
            Origin::Memory(since) => Some(since),
            Origin::Database | Origin::Copy => None,
        }
    }

    /// Returns true if it was cached.
    pub fn is_kept(&self) -> bool {
        matches!(self.origin, Origin::Memory(_))
    }

    /// Returns true if it comes from a snapshot, because the database is unreachable.
    pub fn is_copied(&self) -> bool {
        matches!(self.origin, Origin::Copy)
    }

    /// Returns true if it was read from a host that may lack the latest changes.
    pub fn is_behind(&self) -> bool {
        self.behind
    }

    /// Returns true if there may be a newer row.
    pub fn may_be_old(&self) -> bool {
        self.is_kept() || self.behind
    }
}

/// A store that answers about accounts. Calls block, each for at most the configured deadline.
pub trait AccountStore: Send + Sync {
    /// Returns the row whose login is exactly `login`, whatever the database's collation considers equal. A row may
    /// lack a change; that there is none is certain.
    ///
    /// # Errors
    /// Fails if the store cannot tell whether there is a row, or what it contains.
    fn find(&self, login: &Login) -> Result<Option<AccountRow>, StoreError>;

    /// Returns the row from a host that has every change, and from no other: for a change of the row, and before mail
    /// is refused.
    ///
    /// # Errors
    /// Fails as [`AccountStore::find`] does, and if no such host can be asked.
    fn find_newest(&self, login: &Login) -> Result<Option<AccountRow>, StoreError> {
        self.find(login)
    }

    /// Returns the domain that this one is another name of; `None` if there is none, or if the name is disabled.
    ///
    /// # Errors
    /// Fails if the store cannot tell.
    fn alias_domain(&self, name: &DomainName) -> Result<Option<DomainName>, StoreError> {
        let _ = name;
        Ok(None)
    }

    /// Returns true if a read may be answered by a host that lacks the latest changes.
    fn may_lag(&self) -> bool {
        false
    }

    /// Returns the row from a host that has every change, if one can be asked, to be certain of a refusal.
    ///
    /// # Errors
    /// Fails as [`AccountStore::find`] does.
    fn look_up_newest(&self, login: &Login) -> Result<Seen, StoreError> {
        self.find(login).map(Seen::new)
    }

    /// Returns the row from the cache if there is one, and from a snapshot if the database is unreachable.
    ///
    /// # Errors
    /// Fails as [`AccountStore::find`] does, and if another caller's query for the same login has not ended by
    /// `deadline`.
    fn look_up(&self, login: &Login, deadline: Instant) -> Result<Seen, StoreError> {
        let _ = deadline;
        self.find(login).map(Seen::new)
    }

    /// Returns the row that has replaced `seen`, if `seen` may be old and must not decide alone. To be called before
    /// any answer but yes. `None` means that `seen` may decide.
    ///
    /// # Errors
    /// Fails as [`AccountStore::look_up`] does.
    fn look_again(&self, login: &Login, seen: &Seen, deadline: Instant) -> Result<Option<Seen>, StoreError> {
        let _ = (login, seen, deadline);
        Ok(None)
    }

    /// Forgets what is kept of the rows that changed.
    fn forget(&self, changed: &Changed) {
        let _ = changed;
    }

    /// Returns changes that it was told about and that a successor has to be told about too, because they are recorded
    /// nowhere else.
    fn unnoted(&self) -> Vec<Changed> {
        Vec::new()
    }

    /// Returns what is known of the databases behind it. Asks none of them.
    fn state(&self) -> StoreState {
        StoreState::default()
    }

    /// Replaces the stored password `old` by `new`, if `old` is still stored, and forgets what is kept. Returns false
    /// if another password is stored, because another client changed it in the meantime.
    ///
    /// A store of read-only passwords need not implement this.
    ///
    /// # Errors
    /// Fails if it is unknown whether the change was made.
    fn set_password(&self, login: &Login, old: &Password, new: &Password) -> Result<bool, StoreError> {
        let _ = (login, old, new);
        Err(unsupported("it does not change passwords"))
    }

    /// Returns at most `limit` rows, at least one, from `after` on (from the start without it), in ascending byte order of
    /// their logins.
    ///
    /// A store that cannot list its accounts need not implement this.
    ///
    /// # Errors
    /// Fails if the page is not known to be whole.
    fn enumerate(&self, after: Option<&Cursor>, limit: usize) -> Result<Page, StoreError> {
        let _ = (after, limit);
        Err(unsupported("it does not list accounts"))
    }
}

/// Returns the answer of a store to a question that it does not implement.
fn unsupported(reason: &str) -> StoreError {
    StoreError::Refused { place: "this program".to_owned(), reason: reason.to_owned() }
}
