//! The part of the configuration that the daemon needs when it starts or reloads.

use crate::accept::kept::Protocol;
use mailauth_core::config::{Config, CourierConfig, DovecotConfig, ListenSocket};
use mailauth_core::password::HashRules;
use std::thread::available_parallelism;

/// Maximum number of threads that accept connections on one socket.
const MAX_ACCEPT_THREADS: usize = 32;

/// Number of threads for each connection to a database server. Look-ups that wait at the same time share a statement, so with
/// one thread for each connection, few would wait.
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
            is_remote: config.database.url.is_remote(),
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

    /// Returns the number of threads that accept connections on one socket: one for each connection to a file, since a
    /// further thread would have to wait for a connection, and several for each connection to a server.
    pub(crate) fn accept_threads(&self) -> usize {
        let threads = if self.is_remote { self.pool.saturating_mul(THREADS_PER_CONNECTION) } else { self.pool };
        threads.clamp(1, MAX_ACCEPT_THREADS)
    }

    /// Returns the number of threads for requests that arrive slowly, and for all requests while the threads that
    /// accept are blocked.
    pub(crate) fn lookup_threads(&self) -> usize {
        (self.accept_threads().max(self.pool) / 2).max(2)
    }
}
