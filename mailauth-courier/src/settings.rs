//! The part of the configuration that the daemon needs when it starts or reloads.

use crate::accept::kept::Protocol;
use mailauth_core::config::{Config, CourierConfig, DovecotConfig, ListenSocket};
use mailauth_core::password::HashRules;
use std::thread::available_parallelism;

/// Maximum number of threads that accept connections on one socket.
const MAX_ACCEPT_THREADS: usize = 32;

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

    /// Returns the number of threads that accept connections on one socket: one for each connection to the database,
    /// since a further thread would have to wait for a connection.
    pub(crate) fn accept_threads(&self) -> usize {
        self.pool.clamp(1, MAX_ACCEPT_THREADS)
    }

    /// Returns the number of threads for requests that arrive slowly, and for all requests while the threads that
    /// accept are blocked.
    pub(crate) fn lookup_threads(&self) -> usize {
        (self.pool / 2).max(2)
    }
}
