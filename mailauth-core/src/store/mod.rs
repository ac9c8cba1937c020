//! Where accounts are kept.
//!
//! [`AccountStore`] is what the answer to a login needs; [`Administration`] is what the administrator's command needs
//! beside it. A decorator (a cache, failover) implements the first over another store, and nothing else knows of it.

// A program that only knows the daemon's socket is built without a database, and its library without a use for these.
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

/// Why a store cannot say yes or no. Each one is "not now" to a client, and a sentence for the log.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum StoreError {
    /// There is no connection, for whatever reason: the server is away, full, or refuses us.
    #[error("the database at {place} cannot be reached: {reason}")]
    Unreachable {
        /// Which database, without its password.
        place: String,
        /// What the driver or the system said.
        reason: String,
    },
    /// The deadline passed before the answer came.
    #[error("the database at {place} did not answer within {} ms", .after.as_millis())]
    Timeout {
        /// Which database.
        place: String,
        /// How long was waited.
        after: Duration,
    },
    /// The database gave a statement up before the deadline, because of a setting of its own.
    #[error("the database at {place} gave up: {reason}")]
    Cancelled {
        /// Which database.
        place: String,
        /// Which setting, and what to do.
        reason: String,
    },
    /// The database refused a statement because its user has no right to it.
    #[error("the database at {place} refused: {reason}; {advice}")]
    Forbidden {
        /// Which database.
        place: String,
        /// What it said.
        reason: String,
        /// Which user that is, which role has the right, and what to do.
        advice: String,
    },
    /// The database refused a statement on a connection that works. Another try would end the same way.
    #[error("the database at {place} refused: {reason}")]
    Refused {
        /// Which database.
        place: String,
        /// What it said.
        reason: String,
    },
    /// A row that can never be used as it stands in the database.
    #[error(transparent)]
    Unusable(#[from] Unusable),
    /// The same of a row in a copy, which may be damaged.
    #[error("{0}, in a copy that may be damaged")]
    Doubtful(Unusable),
    /// A domain's row that must not be trusted.
    #[error("domain {domain}: column {column} {problem}")]
    UnusableDomain {
        /// The domain, with anything unprintable escaped.
        domain: String,
        /// The column.
        column: &'static str,
        /// What is wrong, and what to do.
        problem: &'static str,
    },
    /// An alias that mail must not be sent by.
    #[error("alias {address}: {problem}")]
    UnusableAlias {
        /// Its address.
        address: String,
        /// What is wrong, and what to do.
        problem: String,
    },
    /// A row that was kept in memory refuses what is asked, and could not be read again.
    #[error("what is remembered of this account is not enough to refuse it: {0}")]
    Unconfirmed(&'static str),
    /// The schema is missing, or not of the version that this program knows.
    #[error("{0}")]
    Schema(String),
}

impl StoreError {
    /// Did the database not answer at all? Any other error is its answer.
    pub fn is_outage(&self) -> bool {
        matches!(self, StoreError::Unreachable { .. } | StoreError::Timeout { .. } | StoreError::Cancelled { .. })
    }
}

/// What a mail server has to know beside the accounts: which domains are kept here, and which addresses are only others'
/// names. Calls block, for at most the configured deadline each.
pub trait MailStore: AccountStore + PoolStore {
    /// The same tables, read from nothing but a host that has every change: to be asked before mail is refused. `None` if
    /// every host has them all, because there is one.
    fn newest(&self) -> Option<Box<dyn MailStore + '_>> {
        None
    }

    /// What this domain is; `None` if this host has nothing to do with its mail.
    ///
    /// # Errors
    /// Fails if the store cannot tell.
    fn domain(&self, name: &DomainName) -> Result<Option<DomainStanding>, StoreError>;

    /// Whether this domain is enabled; `None` as [`MailStore::domain`].
    ///
    /// # Errors
    /// Fails if the store cannot tell.
    fn domain_enabled(&self, name: &DomainName) -> Result<Option<bool>, StoreError> {
        Ok(self.domain(name)?.map(|domain| domain.enabled))
    }

    /// Where mail for exactly this address goes, in order, as it is written; nothing where it is no alias. For
    /// `@example.org`, where whatever else comes to the domain goes.
    ///
    /// # Errors
    /// Fails if it cannot know, or a target is not an address.
    fn alias_targets(&self, address: &str) -> Result<Vec<String>, StoreError>;

    /// The same of two addresses at once. An alias whose targets cannot be used is an error of that address alone.
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

    /// A number that changes whenever a copy answers in the place of the database, for [`MailStore::certain_since`].
    fn doubts(&self) -> u64 {
        0
    }

    /// Were all answers since [`MailStore::doubts`] was `doubts` those of the database? To be asked before mail is
    /// refused by them.
    ///
    /// # Errors
    /// With what kept the database from answering, when one of them may be a copy's.
    fn certain_since(&self, doubts: u64) -> Result<(), StoreError> {
        let _ = doubts;
        Ok(())
    }
}

/// A page of [`AccountStore::enumerate`], or of another list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Page<T = AccountRow, E = Unusable> {
    /// In ascending order of login or name: the rows, or why one cannot be trusted.
    pub rows: Vec<Result<T, E>>,
    /// Where the next page begins; `None` on the last page.
    pub next: Option<Cursor>,
}

impl<T, E> Default for Page<T, E> {
    fn default() -> Self {
        Page { rows: Vec::new(), next: None }
    }
}

/// A place in a list: behind the row with this login or name, byte for byte as it stands in the table. It need not be a
/// valid [`Login`] or [`DomainName`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cursor(Vec<u8>);

impl Cursor {
    /// The place behind this login or name.
    pub fn behind(name: impl Into<Vec<u8>>) -> Self {
        Cursor(name.into())
    }

    /// The login or name.
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }
}

/// What a look-up saw: a row, or that there is none. `docs/internals/ages.md` says which answers may be given by it.
#[derive(Clone, Debug)]
pub struct Seen {
    /// The row.
    pub row: Option<AccountRow>,
    origin: Origin,
    /// It was read from a replica, which may not have the last change.
    behind: bool,
}

/// Where a row was read.
#[derive(Clone, Copy, Debug)]
enum Origin {
    /// In the database, just now.
    Database,
    /// There, at that time, and it was kept since.
    Memory(Instant),
    /// In a copy, for the database does not answer.
    Copy,
}

impl Seen {
    /// Read just now.
    pub fn new(row: Option<AccountRow>) -> Self {
        Seen { row, origin: Origin::Database, behind: false }
    }

    /// Kept since it was read.
    pub(crate) fn kept(row: Option<AccountRow>, since: Instant) -> Self {
        Seen { row, origin: Origin::Memory(since), behind: false }
    }

    /// Read in a copy, for the database does not answer.
    pub(crate) fn copied(row: Option<AccountRow>) -> Self {
        Seen { row, origin: Origin::Copy, behind: false }
    }

    /// The same, but read from a replica if `behind`.
    pub(crate) fn behind(self, behind: bool) -> Self {
        Seen { behind, ..self }
    }

    /// When it was read, where it was kept since.
    fn kept_since(&self) -> Option<Instant> {
        match self.origin {
            Origin::Memory(since) => Some(since),
            Origin::Database | Origin::Copy => None,
        }
    }

    /// Was it kept in memory?
    pub fn is_kept(&self) -> bool {
        matches!(self.origin, Origin::Memory(_))
    }

    /// Is it from a copy, for the database does not answer?
    pub fn is_copied(&self) -> bool {
        matches!(self.origin, Origin::Copy)
    }

    /// Returns true if it was read from a host that may lack the last changes.
    pub fn is_behind(&self) -> bool {
        self.behind
    }

    /// May there be a newer row in its place?
    pub fn may_be_old(&self) -> bool {
        self.is_kept() || self.behind
    }
}

/// What answers about accounts. Calls block, for at most the configured deadline each.
pub trait AccountStore: Send + Sync {
    /// The row whose login is exactly `login`; the database's collation does not decide. If there is a row, it may lack a
    /// change; that there is none is certain.
    ///
    /// # Errors
    /// Whenever it cannot know whether there is one, or what stands in it.
    fn find(&self, login: &Login) -> Result<Option<AccountRow>, StoreError>;

    /// The same, from a host that has every change and from nothing else: for a change of the row, and before mail is
    /// refused.
    ///
    /// # Errors
    /// As [`AccountStore::find`], and when no such host can be asked.
    fn find_newest(&self, login: &Login) -> Result<Option<AccountRow>, StoreError> {
        self.find(login)
    }

    /// The domain whose other name this one is; `None` if it is none, or is switched off.
    ///
    /// # Errors
    /// Fails if the store cannot tell.
    fn alias_domain(&self, name: &DomainName) -> Result<Option<DomainName>, StoreError> {
        let _ = name;
        Ok(None)
    }

    /// Returns true if a read may be answered by a host that lacks the last changes.
    fn may_lag(&self) -> bool {
        false
    }

    /// The same, from the place that has every change, where that can be asked: to be sure of a refusal.
    ///
    /// # Errors
    /// Fails as [`AccountStore::find`] does.
    fn look_up_newest(&self, login: &Login) -> Result<Seen, StoreError> {
        self.find(login).map(Seen::new)
    }

    /// The same, but where rows are kept in memory, from there, and from a copy where the database does not answer.
    ///
    /// # Errors
    /// As [`AccountStore::find`], and when another's query for the same login has not ended by `deadline`.
    fn look_up(&self, login: &Login, deadline: Instant) -> Result<Seen, StoreError> {
        let _ = deadline;
        self.find(login).map(Seen::new)
    }

    /// What stands in the place of `seen` now, if that may be old and should not be the last word: to be asked before
    /// anything but yes is said by it. `None` leaves it at that.
    ///
    /// # Errors
    /// Fails as [`AccountStore::look_up`] does.
    fn look_again(&self, login: &Login, seen: &Seen, deadline: Instant) -> Result<Option<Seen>, StoreError> {
        let _ = (login, seen, deadline);
        Ok(None)
    }

    /// Drops what is kept of what was changed.
    fn forget(&self, changed: &Changed) {
        let _ = changed;
    }

    /// Changes that it was told, and that another store in its place has to be told too: they are noted nowhere else.
    fn unnoted(&self) -> Vec<Changed> {
        Vec::new()
    }

    /// What is known of the databases behind it. Asks none of them.
    fn state(&self) -> StoreState {
        StoreState::default()
    }

    /// Replaces the stored password `old` by `new`, if `old` is still stored, and forgets what is kept. Returns false if
    /// another password is stored, because another client changed it in the meantime.
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
