//! The part of the configuration that the daemon needs when it starts or reloads.

use crate::accept::kept::Protocol;
use mailauth_core::config::{Config, CourierConfig, DovecotConfig, ListenSocket};
use mailauth_core::password::HashRules;
use std::thread::available_parallelism;

/// Maximum number of threads that accept connections on one socket.
const MAX_ACCEPT_THREADS: usize = 32;

/// Maximum number of threads for further requests that wait for a database server, unless the server has more connections.
const MAX_LOOKUP_THREADS: usize = 32;

/// Number of threads that may wait for a database server, for each connection to it. Look-ups that wait at the same time share
/// a statement, so with one thread for each connection, few would be looked up together.
const THREADS_PER_CONNECTION: usize = 4;

/// Settings of the daemon, from the configuration.
#[derive(Clone, Debug)]
pub struct Settings {
    /// The section `[courier]`.
    pub courier: CourierConfig,
    /// Rules by which stored passwords are read: `[password]`.
    pub rules: HashRules,
    /// Maximum number of passwords that are hashed at the same time: `[password] parallel`. 0 means one for each
    /// processor.
    pub parallel: usize,
    /// Maximum number of connections to the database: `[database] pool`.
    pub pool: usize,
    /// True if the database is a server.
    pub is_remote: bool,
    /// True if rows are kept in memory: `[cache] enabled` and `accounts`.
    pub keeps_rows: bool,
    /// `[dovecot]`
    pub dovecot: DovecotConfig,
    /// The sockets of `[dovecot]` and `[postfix]`.
    pub(crate) kept: Vec<(Protocol, ListenSocket)>,
}

impl Settings {
    /// Returns the settings of `config`.
    pub fn new(config: &Config) -> Self {
        Settings {
            courier: config.courier.clone(),
            rules: config.password.rules.clone(),
            parallel: config.password.parallel,
            pool: config.database.pool,
            is_remote: config.database.url.server().is_some(),
            keeps_rows: config.cache.keeps_accounts(),
            dovecot: config.dovecot.clone(),
            kept: Protocol::sockets(config).map(|(protocol, socket)| (protocol, socket.clone())).collect(),
        }
    }

    /// Returns the number of threads that hash passwords.
    pub(crate) fn hashing_threads(&self) -> usize {
        match self.parallel {
            0 => available_parallelism().map_or(1, usize::from),
            number => number,
        }
    }

    /// Returns the number of threads that accept connections on one socket: one for each connection to the database, since
    /// a further thread would have to wait for a connection, or as many as may wait if every request does. Most requests do
    /// not if rows are kept, and then the fewer threads there are, the less often the kernel has to wake one.
    pub(crate) fn accept_threads(&self) -> usize {
        let threads = if self.keeps_rows { self.pool } else { self.waiting_threads() };
        threads.clamp(1, MAX_ACCEPT_THREADS)
    }

    /// Returns the number of threads for requests that arrive slowly, for those on kept connections that are not answered
    /// from memory, and for all requests while the threads that accept are blocked.
    pub(crate) fn lookup_threads(&self) -> usize {
        (self.waiting_threads() / 2).clamp(2, MAX_LOOKUP_THREADS.max(self.pool / 2))
    }

    /// Returns the number of threads that may wait for the database at the same time.
    fn waiting_threads(&self) -> usize {
        if self.is_remote { self.pool.saturating_mul(THREADS_PER_CONNECTION) } else { self.pool }
    }
}
