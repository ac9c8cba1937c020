//! The parts that answer, put together from a configuration.
//!
//! [`Backend`] is the one place where the store, what is kept in front of it and the two that decide are wired. A
//! daemon has all the layers, from the top down:
//!
//! ```text
//! Authenticator   logins: verified passwords ([cache]), throttle ([throttle])
//! Router          addresses and quotas of a mail server
//!   Cache         account rows kept in memory ([cache])
//!   Snapshot      a copy of the tables, which answers during an outage ([outage])
//!   SqlStore      the database ([database])
//! ```
//!
//! A command, which answers once and ends, asks the database directly and remembers nothing.

use crate::authenticate::Authenticator;
use crate::config::{CacheConfig, Config};
use crate::counters::Counters;
use crate::quota::mailboxes::{Here, Mailboxes};
use crate::routing::Router;
use crate::store::cache::Cache;
#[cfg(feature = "sqlite")]
use crate::store::snapshot::Snapshot;
use crate::store::{MailStore, OpenError, RecentChanges, SqlStore, open_pooled, open_single};
use crate::throttle::{Ledger, Throttle};
use std::path::Path;
use std::sync::Arc;

/// Everything that answers a mail server's questions: about logins, addresses and mailboxes.
///
/// Cloning it is cheap: the clones share their parts.
///
/// ```no_run
/// use mailauth_core::Backend;
/// use mailauth_core::config::Config;
///
/// let (config, _) = Config::load(None)?;
/// let backend = Backend::open(&config)?;
/// println!("{:?}", backend.router.domain(b"example.org"));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone)]
pub struct Backend {
    /// Decides logins and changes passwords.
    pub authenticator: Arc<Authenticator>,
    /// Decides where the mail of an address goes, and whether it is accepted.
    pub router: Arc<Router>,
    /// Looks at mailboxes.
    pub mailboxes: Arc<dyn Mailboxes>,
    /// Counts of the answers of the two, and of what the caches saved.
    pub counters: Arc<Counters>,
}

/// State that a daemon keeps when it reads its configuration again and opens a new [`Backend`].
#[derive(Clone)]
pub struct DaemonState {
    /// Counts since the start of the process.
    pub counters: Arc<Counters>,
    /// Wrong passwords that were counted.
    pub ledger: Arc<Ledger>,
    /// Recent changes of accounts. A replica may lack them, whichever configuration is in force.
    pub recent: Arc<RecentChanges>,
    /// Looks at mailboxes, with the rights that the process had when it started.
    pub mailboxes: Arc<dyn Mailboxes>,
}

impl DaemonState {
    /// Returns the state of a daemon that has just started and lets `mailboxes` look at mailboxes.
    pub fn new(mailboxes: Arc<dyn Mailboxes>) -> Self {
        let (counters, ledger, recent) = Default::default();
        DaemonState { counters, ledger, recent, mailboxes }
    }
}

impl Default for DaemonState {
    /// Returns the state of a daemon that looks at mailboxes itself, with the rights of its process.
    fn default() -> Self {
        DaemonState::new(Arc::new(Here))
    }
}

impl Backend {
    /// Opens the backend of a program that answers many requests: with connections in a pool, the caches of `[cache]`,
    /// the snapshot of `[outage]` and the throttle of `[throttle]`; its counts are lost when the process ends.
    ///
    /// No connection is made yet: while the database is unreachable, the answers are "not now".
    ///
    /// # Errors
    /// Fails if the configuration can never work.
    pub fn open(config: &Config) -> Result<Self, OpenError> {
        Self::for_daemon(config, &DaemonState::default())
    }

    /// Opens the same, going on with the `state` of a daemon that has read its configuration again.
    ///
    /// # Errors
    /// Fails if the configuration can never work.
    pub fn for_daemon(config: &Config, state: &DaemonState) -> Result<Self, OpenError> {
        let store = open_pooled(&config.database)?.sharing(Arc::clone(&state.recent));
        let store = with_layers(store, config, &state.counters);
        let throttle = Throttle::new(Arc::clone(&state.ledger), &config.throttle_in_time());
        let authenticator = Authenticator::new(Arc::clone(&store) as _, config.policy(), Arc::new(config.budget()))
            .remembering(&config.cache, Arc::clone(&state.counters))
            .throttled_by(throttle);
        let authenticator = match key_file(config) {
            Some(file) => authenticator.with_key_beside(file),
            None => authenticator,
        };
        let router = Router::new(store, &config.policy(), config.quota.rules())
            .looking_by(Arc::clone(&state.mailboxes))
            .counting(Arc::clone(&state.counters));
        Ok(Backend {
            authenticator: Arc::new(authenticator),
            router: Arc::new(router),
            mailboxes: Arc::clone(&state.mailboxes),
            counters: Arc::clone(&state.counters),
        })
    }

    /// Opens the backend of a command that answers in the daemon's place and ends: with one connection, made by the
    /// first question, and no thread.
    ///
    /// It remembers nothing and counts no wrong passwords. It accepts mail for mailboxes that its process has no right
    /// to look into; see [`Router::taking_unseen`].
    ///
    /// # Errors
    /// Fails if the configuration can never work.
    pub fn for_command(config: &Config) -> Result<Self, OpenError> {
        let store = Arc::new(open_single(&config.database)?);
        Ok(Self::direct(store, config, Router::taking_unseen))
    }

    /// Returns a backend that asks `store` alone, with the rules of `config`: nothing is remembered, no copy answers
    /// during an outage, and wrong passwords are not counted.
    pub fn over<S: MailStore + 'static>(store: Arc<S>, config: &Config) -> Self {
        Self::direct(store, config, |router| router)
    }

    fn direct(store: Arc<dyn MailStore>, config: &Config, adapt: impl FnOnce(Router) -> Router) -> Self {
        let (counters, mailboxes) = (Arc::<Counters>::default(), Arc::new(Here));
        let nothing = CacheConfig { enabled: false, ..config.cache.clone() };
        let authenticator = Authenticator::new(Arc::clone(&store) as _, config.policy(), Arc::new(config.budget()))
            .remembering(&nothing, Arc::clone(&counters));
        let router = Router::new(store, &config.policy(), config.quota.rules()).counting(Arc::clone(&counters));
        Backend { authenticator: Arc::new(authenticator), router: Arc::new(adapt(router)), mailboxes, counters }
    }
}

/// Puts the snapshot and the cache of a daemon in front of its database.
fn with_layers(store: SqlStore, config: &Config, counters: &Arc<Counters>) -> Arc<dyn MailStore> {
    // The snapshot is an SQLite file.
    #[cfg(feature = "sqlite")]
    let store = Snapshot::new(store, config);
    if !config.cache.keeps_accounts() {
        return Arc::new(store);
    }
    let place = config.database.url.to_string();
    Arc::new(Cache::new(store, place, &config.cache, Arc::clone(counters)))
}

/// Returns the file next to which a daemon may keep a key of its own: a database or snapshot in a folder that it may
/// write to; `None` if there is no such folder.
fn key_file(config: &Config) -> Option<&Path> {
    let url = &config.database.url;
    url.file().or_else(|| config.outage.snapshot_of(url))
}
