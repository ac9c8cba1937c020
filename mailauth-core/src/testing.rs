//! A store in memory, for tests.
//!
//! Compiled for the tests of this crate, and for others with the feature `testing`.

#[cfg(feature = "sqlite")]
mod original;

use crate::DomainName;
use crate::account::{AccountRow, Login, Password};
use crate::quota::{Kind, Limits, Usage};
#[cfg(feature = "sqlite")]
use crate::schema::Field;
#[cfg(feature = "sqlite")]
use crate::store::snapshot::{Part, Value};
use crate::store::{
    AccountStore, Cursor, DomainKind, DomainStanding, Lookup, MailStore, Page, PoolStore, PoolUse, StoreError,
};
use crate::sync::{Mutex, MutexGuard};
use std::cmp::Reverse;
use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::time::Instant;

/// Accounts, domains, aliases and published mailbox sizes in memory. Clones share them.
///
/// A test can make it fail ([`MemoryStore::fail`]), count how often it is asked ([`MemoryStore::calls`]), and run code of
/// its own during each question ([`MemoryStore::on_call`]): to wait, to panic, to fail once, to change a row. A
/// snapshot can copy the rows.
///
/// ```
/// use mailauth_core::account::{AccountRow, Login, Password};
/// use mailauth_core::config::Config;
/// use mailauth_core::testing::MemoryStore;
/// use mailauth_core::Backend;
/// use std::sync::Arc;
///
/// let login = Login::parse(b"anna@example.org", None).unwrap();
/// let row = AccountRow { password: Password("{PLAIN}secret".into()), ..AccountRow::new(login) };
/// let backend = Backend::over(Arc::new(MemoryStore::with([row])), &Config::default());
/// ```
#[derive(Clone, Default)]
pub struct MemoryStore(Arc<Shared>);

#[derive(Default)]
struct Shared {
    rows: Mutex<Vec<AccountRow>>,
    domains: Mutex<BTreeMap<String, DomainStanding>>,
    aliases: Mutex<BTreeMap<String, Vec<String>>>,
    pools: Mutex<BTreeMap<String, Limits>>,
    published: Mutex<BTreeMap<Login, Usage>>,
    error: Mutex<Option<StoreError>>,
    #[cfg(feature = "sqlite")]
    copy_error: Mutex<Option<StoreError>>,
    /// Values of accounts that are copied in place of those in their rows.
    #[cfg(feature = "sqlite")]
    values: Mutex<Vec<(Login, Field, Value)>>,
    calls: AtomicUsize,
    hook: Mutex<Option<Hook>>,
    /// True if answers count as those of a copy.
    is_copy: AtomicBool,
    /// Number of answers that were given as those of a copy.
    doubts: AtomicU64,
}

/// Code that runs during each question.
type Hook = Arc<dyn Fn(&MemoryStore, Call<'_>) -> Result<(), StoreError> + Send + Sync>;

/// A question that a [`MemoryStore`] is asked.
#[derive(Clone, Copy, Debug)]
pub enum Call<'a> {
    /// The row of this login.
    Find(&'a Login),
    /// A new password for this login.
    SetPassword(&'a Login),
    /// A page of rows behind this place.
    Enumerate(Option<&'a Cursor>),
    /// What this domain is.
    Domain(&'a DomainName),
    /// The targets of this address.
    AliasTargets(&'a str),
    /// The quota of this domain, the use of it, or a change of the use.
    Pool(&'a str),
    /// Rows for a snapshot. [`MemoryStore::calls`] does not count them.
    #[cfg(feature = "sqlite")]
    Copy(Part<'a>),
    /// The time of the database, for a snapshot. Not counted either.
    #[cfg(feature = "sqlite")]
    Time,
}

impl MemoryStore {
    /// Returns a store with these accounts and nothing else.
    pub fn with(rows: impl IntoIterator<Item = AccountRow>) -> Self {
        let store = Self::default();
        store.rows().extend(rows);
        store
    }

    /// Adds a domain, or replaces it.
    #[must_use]
    pub fn and_domain(self, name: &str, standing: DomainStanding) -> Self {
        self.set_domain(name, standing);
        self
    }

    /// Adds an alias, or replaces its targets.
    #[must_use]
    pub fn and_alias(self, address: &str, targets: &[&str]) -> Self {
        self.set_alias(address, targets);
        self
    }

    /// Sets the quota of a domain.
    #[must_use]
    pub fn and_pool(self, domain: &str, limits: Limits) -> Self {
        self.0.pools.lock().insert(domain.to_owned(), limits);
        self
    }

    /// Adds a domain, or replaces it.
    pub fn set_domain(&self, name: &str, standing: DomainStanding) {
        self.0.domains.lock().insert(name.to_owned(), standing);
    }

    /// Removes a domain, and not its accounts and aliases.
    pub fn remove_domain(&self, name: &str) {
        self.0.domains.lock().remove(name);
    }

    /// Adds an alias, or replaces its targets. Without targets there is no such alias.
    pub fn set_alias(&self, address: &str, targets: &[&str]) {
        let targets = targets.iter().map(|target| (*target).to_owned()).collect();
        self.0.aliases.lock().insert(address.to_owned(), targets);
    }

    /// Returns the accounts, to be read and changed. They are listed in the order that they have here.
    pub fn rows(&self) -> MutexGuard<'_, Vec<AccountRow>> {
        self.0.rows.lock()
    }

    /// Returns the published sizes of mailboxes, to be read and changed.
    pub fn published(&self) -> MutexGuard<'_, BTreeMap<Login, Usage>> {
        self.0.published.lock()
    }

    /// Sets the answer to every question to this error; `None` sets it to what is stored again.
    pub fn fail(&self, error: Option<StoreError>) {
        *self.0.error.lock() = error;
    }

    /// Returns the number of questions since the store was made or [`MemoryStore::reset_calls`] was called.
    pub fn calls(&self) -> usize {
        self.0.calls.load(Ordering::SeqCst)
    }

    /// Counts questions from zero again.
    pub fn reset_calls(&self) {
        self.0.calls.store(0, Ordering::SeqCst);
    }

    /// Runs `hook` during each question from now on, in the place of another hook. Its error is the answer.
    ///
    /// It runs after what is asked for was read and before the answer, as in a database that answers slowly; with
    /// [`Call::SetPassword`], before the row is compared and changed.
    pub fn on_call(&self, hook: impl Fn(&MemoryStore, Call<'_>) -> Result<(), StoreError> + Send + Sync + 'static) {
        *self.0.hook.lock() = Some(Arc::new(hook));
    }

    /// Removes the hook.
    pub fn remove_hook(&self) {
        *self.0.hook.lock() = None;
    }

    /// Lets each answer count as that of a copy from now on, so that nothing is certain by it
    /// ([`MailStore::certain_since`]).
    pub fn answer_as_copy(&self) {
        self.0.is_copy.store(true, Ordering::SeqCst);
    }

    /// Returns the outage that [`MailStore::certain_since`] reports.
    pub fn outage() -> StoreError {
        StoreError::Unreachable { place: "memory".into(), reason: "on purpose".into() }
    }

    /// Counts a question, runs the hook and fails if the test wants that.
    fn call(&self, call: Call<'_>) -> Result<(), StoreError> {
        self.0.calls.fetch_add(1, Ordering::SeqCst);
        if self.0.is_copy.load(Ordering::SeqCst) {
            self.0.doubts.fetch_add(1, Ordering::SeqCst);
        }
        self.run_hook(call)?;
        self.0.error.lock().clone().map_or(Ok(()), Err)
    }

    fn run_hook(&self, call: Call<'_>) -> Result<(), StoreError> {
        // Not under the lock: the hook may wait, panic, or set another.
        let hook = self.0.hook.lock().clone();
        hook.map_or(Ok(()), |hook| hook(self, call))
    }

    fn is_enabled(&self, domain: &str) -> bool {
        self.0.domains.lock().get(domain).is_none_or(|standing| standing.enabled)
    }

    fn use_of(&self, domain: &str) -> PoolUse {
        let published = self.published();
        let usages = published.iter().filter(|(login, _)| login.domain() == domain).map(|(_, usage)| *usage);
        usages.fold(PoolUse::default(), |pool, usage| PoolUse {
            usage: pool.usage.checked_add(usage).unwrap_or(pool.usage),
            mailboxes: pool.mailboxes + 1,
        })
    }
}

/// Shows how much is in it, and no password.
impl fmt::Debug for MemoryStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MemoryStore").field("accounts", &self.rows().len()).field("calls", &self.calls()).finish()
    }
}

impl AccountStore for MemoryStore {
    fn find(&self, login: &Login) -> Result<Option<AccountRow>, StoreError> {
        let row = self.rows().iter().find(|row| row.login == *login).cloned();
        self.call(Call::Find(login))?;
        Ok(row.map(|row| AccountRow { domain_enabled: row.domain_enabled && self.is_enabled(login.domain()), ..row }))
    }

    fn alias_domain(&self, name: &DomainName) -> Result<Option<DomainName>, StoreError> {
        Ok(self.domain(name)?.filter(|domain| domain.enabled).and_then(|domain| match domain.kind {
            DomainKind::AliasOf(target) => Some(target),
            DomainKind::Own | DomainKind::Backup => None,
        }))
    }

    fn look_again(&self, login: &Login, seen: &Lookup, _: Instant) -> Result<Option<Lookup>, StoreError> {
        if seen.may_be_old() { self.find(login).map(Lookup::new).map(Some) } else { Ok(None) }
    }

    fn set_password(&self, login: &Login, old: &Password, new: &Password) -> Result<bool, StoreError> {
        self.call(Call::SetPassword(login))?;
        let mut rows = self.rows();
        let row = rows.iter_mut().find(|row| row.login == *login && row.password == *old);
        Ok(row.map(|row| row.password = new.clone()).is_some())
    }

    fn enumerate(&self, after: Option<&Cursor>, limit: usize) -> Result<Page, StoreError> {
        let is_later = |row: &&AccountRow| after.is_none_or(|after| row.login.as_str().as_bytes() > after.as_bytes());
        let rows: Vec<_> = self.rows().iter().filter(is_later).take(limit).cloned().collect();
        self.call(Call::Enumerate(after))?;
        let next = rows.last().filter(|_| rows.len() == limit).map(|row| Cursor::behind(row.login.as_str()));
        Ok(Page { rows: rows.into_iter().map(Ok).collect(), next })
    }
}

impl PoolStore for MemoryStore {
    fn pool_limits(&self, domain: &str) -> Result<Limits, StoreError> {
        let limits = self.0.pools.lock().get(domain).copied().unwrap_or(Limits::NONE);
        self.call(Call::Pool(domain)).map(|()| limits)
    }

    fn pool_use(&self, domain: &str) -> Result<PoolUse, StoreError> {
        let pool = self.use_of(domain);
        self.call(Call::Pool(domain)).map(|()| pool)
    }

    fn publish(&self, login: &Login, usage: Usage) -> Result<PoolUse, StoreError> {
        self.call(Call::Pool(login.domain()))?;
        self.published().insert(login.clone(), usage);
        Ok(self.use_of(login.domain()))
    }

    fn largest_uses(&self, login: &Login, kind: Kind, most: usize) -> Result<Vec<(Login, Usage)>, StoreError> {
        let published = self.published().clone();
        let mut uses: Vec<_> = published.into_iter().filter(|(other, _)| other.domain() == login.domain()).collect();
        uses.sort_by_key(|(_, usage)| {
            Reverse(match kind {
                Kind::Bytes => usage.bytes,
                Kind::Messages => usage.messages,
            })
        });
        uses.truncate(most);
        self.call(Call::Pool(login.domain())).map(|()| uses)
    }
}

impl MailStore for MemoryStore {
    fn domain(&self, name: &DomainName) -> Result<Option<DomainStanding>, StoreError> {
        let standing = self.0.domains.lock().get(name.as_str()).cloned();
        self.call(Call::Domain(name)).map(|()| standing)
    }

    fn alias_targets(&self, address: &str) -> Result<Vec<String>, StoreError> {
        let targets = self.0.aliases.lock().get(address).cloned().unwrap_or_default();
        self.call(Call::AliasTargets(address)).map(|()| targets)
    }

    fn doubts(&self) -> u64 {
        self.0.doubts.load(Ordering::SeqCst)
    }

    fn certain_since(&self, doubts: u64) -> Result<(), StoreError> {
        if self.doubts() == doubts { Ok(()) } else { Err(Self::outage()) }
    }
}
