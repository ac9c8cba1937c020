//! Account storage: the traits that a store implements, and what its answers say about their origin.
//!
//! [`AccountStore`] is what answering a login needs; [`Administration`] adds what the administrator's command needs.
//! Decorators (a cache in memory, a copy for outages) implement the first over another store. What a look-up returns
//! ([`Lookup`]) says where the row was read, because that decides which answers may be given by it.

// A program that only talks to the daemon's socket is built without a database, and then nothing here is used.
#![cfg_attr(not(any(feature = "sqlite", feature = "mysql", feature = "postgres")), allow(dead_code))]

mod administration;
#[cfg(feature = "sqlite")]
pub mod backup;
pub mod cache;
mod changed;
mod driver;
mod hosts;
mod importing;
mod jitter;
mod open;
mod pools;
#[cfg(any(feature = "mysql", feature = "postgres"))]
mod server_login;
#[cfg(feature = "sqlite")]
pub mod snapshot;
mod sql;
mod standing;
mod state;
#[cfg(all(test, feature = "sqlite"))]
mod tests;

pub use administration::{
    AccountChange, AccountTimes, AdminError, AdminReport, Administration, AliasDomainRow, AliasRow, AliasTarget,
    CharacterSet, DomainRow, ForeignReport, Renaming, SchemaChange, StoreReport,
};
pub use changed::Changed;
pub use driver::Access;
pub use hosts::recent_changes::RecentChanges;
pub use importing::{
    AccountRecord, AliasDomainRecord, DomainRecord, ImportError, ImportMode, ImportSource, ImportSummary, JudgeAccount,
};
pub use open::{OpenError, open_pooled, open_single};
pub use pools::{PoolStore, PoolUse};
#[cfg(any(feature = "mysql", feature = "postgres"))]
pub use server_login::{ServerLogin, ServerLoginError};
pub use sql::{ParameterKind, Respelt, SqlStore, StatementPlan, StatementText, TablePlan};
pub use standing::{DomainKind, DomainStanding};
pub use state::{HostState, Role, SnapshotState, StoreState};

use crate::DomainName;
use crate::account::{AccountRow, Login, Password};
use crate::mailbox::Unusable;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// Reason why a store cannot say yes or no. Each one means "not now" to a client, and is a sentence for the log.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum StoreError {
    /// No connection, for whatever reason: the server is down, full, or refuses the user.
    #[error("the database at {place} cannot be reached: {reason}")]
    Unreachable {
        /// Address of the database, without its password.
        place: String,
        /// Message of the driver or the system.
        reason: String,
    },
    /// No answer before the deadline.
    #[error("the database at {place} did not answer within {} ms", .after.as_millis())]
    Timeout {
        /// Address of the database.
        place: String,
        /// Length of the wait.
        after: Duration,
    },
    /// A statement that the database gave up before the deadline, because of a setting of its own.
    #[error("the database at {place} gave up: {reason}")]
    Cancelled {
        /// Address of the database.
        place: String,
        /// The setting, and what to do.
        reason: String,
    },
    /// A statement that the database refused because its user lacks the right.
    #[error("the database at {place} refused: {reason}; {advice}")]
    Forbidden {
        /// Address of the database.
        place: String,
        /// Message of the database.
        reason: String,
        /// The user, the role that has the right, and what to do.
        advice: String,
    },
    /// A statement that the database refused on a connection that works. Trying again would end the same way.
    #[error("the database at {place} refused: {reason}")]
    Refused {
        /// Address of the database.
        place: String,
        /// Message of the database.
        reason: String,
    },
    /// A row whose values in the database can never be used.
    #[error(transparent)]
    Unusable(#[from] Unusable),
    /// The same for a row in a copy, which may be damaged.
    #[error("{0}, in a copy that may be damaged")]
    Doubtful(Unusable),
    /// A domain's row that must not be trusted.
    #[error("domain {domain}: column {column} {problem}")]
    UnusableDomain {
        /// The domain, with unprintable characters escaped.
        domain: String,
        /// Name of the column.
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
    /// A row kept in memory that refuses the request, and could not be read again.
    #[error("the cached row of this account is not recent enough to refuse the request: {0}")]
    Unconfirmed(&'static str),
    /// A schema that is missing, or not of the version that this program knows.
    #[error("{0}")]
    Schema(String),
    /// A change of tables that belong to another program and are only read. The database was not asked.
    #[error("{0}")]
    ReadOnly(String),
}

impl StoreError {
    /// Returns true if the database did not answer at all. Any other error is its answer.
    pub fn is_outage(&self) -> bool {
        matches!(self, StoreError::Unreachable { .. } | StoreError::Timeout { .. } | StoreError::Cancelled { .. })
    }
}

/// What a mail server needs to know in addition to the accounts: which domains are kept here, and which addresses are
/// only aliases. Calls block, for at most the configured deadline each.
pub trait MailStore: AccountStore + PoolStore {
    /// Returns the same tables, read only from a host that has every change: to be asked before mail is refused.
    /// Returns `None` if every host has every change, because there is only one.
    fn newest(&self) -> Option<Box<dyn MailStore + '_>> {
        None
    }

    /// Returns what this domain is; `None` if this host has nothing to do with its mail.
    ///
    /// # Errors
    /// Fails if the store cannot know.
    fn domain(&self, name: &DomainName) -> Result<Option<DomainStanding>, StoreError>;

    /// Returns whether this domain is enabled; `None` as for [`MailStore::domain`].
    ///
    /// # Errors
    /// Fails if the store cannot know.
    fn domain_enabled(&self, name: &DomainName) -> Result<Option<bool>, StoreError> {
        Ok(self.domain(name)?.map(|domain| domain.enabled))
    }

    /// Returns the addresses to which mail for exactly this address goes, in order, as they are stored; an empty list
    /// if it is no alias. For `@example.org`, these are the addresses for all other mail to the domain.
    ///
    /// # Errors
    /// Fails if the store cannot know, or a target is not an address.
    fn alias_targets(&self, address: &str) -> Result<Vec<String>, StoreError>;

    /// Returns the targets of two addresses at once. An alias whose targets cannot be used is an error of that address
    /// alone.
    ///
    /// # Errors
    /// Fails if the store cannot know both.
    fn alias_targets_of(&self, addresses: [&str; 2]) -> Result<[Result<Vec<String>, StoreError>; 2], StoreError> {
        let [first, second] = addresses.map(|address| match self.alias_targets(address) {
            Err(error @ StoreError::UnusableAlias { .. }) => Ok(Err(error)),
            found => found.map(Ok),
        });
        Ok([first?, second?])
    }

    /// Returns a number that changes whenever a copy answers in place of the database, for
    /// [`MailStore::certain_since`].
    fn doubts(&self) -> u64 {
        0
    }

    /// Makes sure that all answers since [`MailStore::doubts`] was `doubts` came from the database. To be called before
    /// mail is refused because of them.
    ///
    /// # Errors
    /// Fails, with the error of the database, if one of the answers may be from a copy.
    fn certain_since(&self, doubts: u64) -> Result<(), StoreError> {
        let _ = doubts;
        Ok(())
    }
}

/// A page of [`AccountStore::enumerate`], or of another list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Page<T = AccountRow, E = Unusable> {
    /// The rows, in ascending order of login or name, or of the key of another program's table, or why one cannot be
    /// trusted.
    pub rows: Vec<Result<T, E>>,
    /// Start of the next page; `None` on the last page.
    pub next: Option<Cursor>,
}

impl<T, E> Default for Page<T, E> {
    fn default() -> Self {
        Page { rows: Vec::new(), next: None }
    }
}

/// A place in a list: after the row with this login or name, byte for byte as stored in the table. It need not be a
/// valid [`Login`] or [`DomainName`]. In a list of another program's rows, it is after the row with a certain key, and
/// only places that such a list returned are meaningful.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cursor(Vec<u8>);

impl Cursor {
    /// Returns the place after this login or name.
    pub fn behind(name: impl Into<Vec<u8>>) -> Self {
        Cursor(name.into())
    }

    /// Returns the login or name.
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }
}

/// What a look-up found: a row, or that it does not exist. `docs/internals/ages.md` says which answers may be given by
/// it.
#[derive(Clone, Debug)]
pub struct Lookup {
    /// The row; `None` if it does not exist. A store that keeps rows in memory shares them with its answers.
    pub row: Option<Arc<AccountRow>>,
    origin: RowOrigin,
    /// True if it was read from a replica, which may lack the last change.
    behind: bool,
}

/// Where a row was read.
#[derive(Clone, Copy, Debug)]
enum RowOrigin {
    /// In the database, just now.
    Database,
    /// In the database at that time, and kept in memory since.
    Memory(Instant),
    /// In a copy, because the database does not answer.
    Copy,
}

impl Lookup {
    /// Returns a result that was read just now.
    pub fn new(row: Option<impl Into<Arc<AccountRow>>>) -> Self {
        Lookup { row: row.map(Into::into), origin: RowOrigin::Database, behind: false }
    }

    /// Returns a result that was kept in memory since it was read.
    pub(crate) fn kept(row: Option<impl Into<Arc<AccountRow>>>, since: Instant) -> Self {
        Lookup { row: row.map(Into::into), origin: RowOrigin::Memory(since), behind: false }
    }

    /// Returns a result that was read in a copy, because the database does not answer.
    pub(crate) fn copied(row: Option<impl Into<Arc<AccountRow>>>) -> Self {
        Lookup { row: row.map(Into::into), origin: RowOrigin::Copy, behind: false }
    }

    /// Returns the row, which is copied if it is shared.
    pub(crate) fn into_row(self) -> Option<AccountRow> {
        self.row.map(Arc::unwrap_or_clone)
    }

    /// Returns the same result, marked as read from a replica if `behind`.
    pub(crate) fn behind(self, behind: bool) -> Self {
        Lookup { behind, ..self }
    }

    /// Returns the time when it was read, if it was kept in memory since.
    fn kept_since(&self) -> Option<Instant> {
        match self.origin {
            RowOrigin::Memory(since) => Some(since),
            RowOrigin::Database | RowOrigin::Copy => None,
        }
    }

    /// Returns true if it was kept in memory.
    pub fn is_kept(&self) -> bool {
        matches!(self.origin, RowOrigin::Memory(_))
    }

    /// Returns true if it is from a copy, because the database does not answer.
    pub fn is_copied(&self) -> bool {
        matches!(self.origin, RowOrigin::Copy)
    }

    /// Returns true if it was read from a host that may lack the last changes.
    pub fn is_behind(&self) -> bool {
        self.behind
    }

    /// Returns true if the database may have a newer row.
    pub fn may_be_old(&self) -> bool {
        self.is_kept() || self.behind
    }
}

/// A source of accounts. Calls block, for at most the configured deadline each.
pub trait AccountStore: Send + Sync {
    /// Returns the row whose login is exactly `login`, whatever the database's collation says. A row may lack the last
    /// change; its absence is certain.
    ///
    /// # Errors
    /// Fails whenever the store cannot know whether the row exists, or what it contains.
    fn find(&self, login: &Login) -> Result<Option<AccountRow>, StoreError>;

    /// Returns the same row, but only from a host that has every change: for a change of the row, and before mail is
    /// refused.
    ///
    /// # Errors
    /// Fails as [`AccountStore::find`] does, and if no such host can be asked.
    fn find_newest(&self, login: &Login) -> Result<Option<AccountRow>, StoreError> {
        self.find(login)
    }

    /// Returns the domain that this name is an alias of; `None` if it is no alias domain, or is switched off.
    ///
    /// # Errors
    /// Fails if the store cannot know.
    fn alias_domain(&self, name: &DomainName) -> Result<Option<DomainName>, StoreError> {
        let _ = name;
        Ok(None)
    }

    /// Returns true if a read may be answered by a host that lacks the last changes.
    fn may_lag(&self) -> bool {
        false
    }

    /// Looks the row up where every change is known, if that can be asked: to be sure of a refusal.
    ///
    /// # Errors
    /// Fails as [`AccountStore::find`] does.
    fn look_up_newest(&self, login: &Login) -> Result<Lookup, StoreError> {
        self.find(login).map(Lookup::new)
    }

    /// Looks the row up in memory, if rows are kept there, and in a copy if the database does not answer.
    ///
    /// # Errors
    /// Fails as [`AccountStore::find`] does, and if another request's query for the same login has not ended by
    /// `deadline`.
    fn look_up(&self, login: &Login, deadline: Instant) -> Result<Lookup, StoreError> {
        let _ = deadline;
        self.find(login).map(Lookup::new)
    }

    /// Returns the row of `login`, or its absence, if that is in memory and may be used: without asking a database and
    /// without waiting.
    fn recall(&self, login: &Login) -> Option<Lookup> {
        let _ = login;
        None
    }

    /// Returns the current row if `seen` may be old and is not recent enough for a refusal; `None` if `seen` may be
    /// used. To be called before any answer but yes is given by it.
    ///
    /// # Errors
    /// Fails as [`AccountStore::look_up`] does.
    fn look_again(&self, login: &Login, seen: &Lookup, deadline: Instant) -> Result<Option<Lookup>, StoreError> {
        let _ = (login, seen, deadline);
        Ok(None)
    }

    /// Drops what is kept of the changed rows.
    fn forget(&self, changed: &Changed) {
        let _ = changed;
    }

    /// Drops what is kept in memory of these rows, and lets them be read only from a host that has every change for a
    /// while. In contrast to [`AccountStore::forget`], a copy for outages goes on answering. Returns the number of rows
    /// that were kept.
    fn flush(&self, what: &Changed) -> usize {
        let _ = what;
        0
    }

    /// Returns the changes that this store was told of and noted nowhere else. A store that replaces it has to be told
    /// of them.
    fn unnoted(&self) -> Vec<Changed> {
        Vec::new()
    }

    /// Returns what is known of the databases behind the store, without asking any of them.
    fn state(&self) -> StoreState {
        StoreState::default()
    }

    /// Returns why no password can be changed, whatever the account; `None` if passwords can be changed.
    fn keeps_passwords(&self) -> Option<StoreError> {
        None
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

    /// Returns at most `limit` rows, at least one, from `after` on (from the start without it), in ascending byte order
    /// of their logins, or in the order of the key of another program's table.
    ///
    /// A store that cannot list its accounts need not implement this.
    ///
    /// # Errors
    /// Fails if the page is not known to be complete.
    fn enumerate(&self, after: Option<&Cursor>, limit: usize) -> Result<Page, StoreError> {
        let _ = (after, limit);
        Err(unsupported("it does not list accounts"))
    }
}

/// Returns the answer of a store to a question that it does not implement.
fn unsupported(reason: &str) -> StoreError {
    StoreError::Refused { place: "this program".to_owned(), reason: reason.to_owned() }
}
