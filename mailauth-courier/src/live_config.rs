//! The part of the daemon's state that a reload of the configuration replaces.

use crate::accept::access::Access;
use crate::accept::listener::SocketKind;
use crate::accept::slots::ConnectionLimits;
use crate::process::identity::IdentityError;
use mailauth_core::Backend;
use mailauth_core::config::CourierConfig;
use mailauth_core::password::HashRules;
use std::time::Duration;

/// The users that may connect to each socket.
pub(crate) struct AccessBySocket {
    courier: Access,
    own: Access,
}

impl AccessBySocket {
    /// Reads the lists of `config`. The socket for Courier's programs has the group `socket_group`.
    ///
    /// # Errors
    /// Fails if a user or group does not exist.
    pub fn new(config: &CourierConfig, socket_group: Option<u32>) -> Result<Self, IdentityError> {
        Ok(AccessBySocket { courier: Access::new(config, socket_group)?, own: Access::new(config, None)? })
    }
}

/// The accounts and settings in force. A connection keeps those under which it was accepted.
pub(crate) struct LiveConfig {
    pub backend: Backend,
    /// Rules by which stored passwords are read.
    pub rules: HashRules,
    access: AccessBySocket,
    /// True if stored hashes are sent with accounts.
    pub send_hash: bool,
    /// True if clear passwords are sent with accounts.
    pub send_clear: bool,
    pub limits: ConnectionLimits,
    /// Maximum number of kept connections; 0 if there are no sockets for them.
    pub max_kept: usize,
    /// Time after which a client that sends nothing is closed.
    pub idle: Duration,
    /// Time that a request may take from its first byte to its answer.
    pub request: Duration,
}

impl LiveConfig {
    /// Returns the configuration of a daemon with at most `max_connections` connections, and `max_kept` that are kept.
    pub fn new(
        config: &CourierConfig,
        rules: &HashRules,
        backend: Backend,
        access: AccessBySocket,
        max_connections: usize,
        max_kept: usize,
    ) -> Self {
        LiveConfig {
            backend,
            rules: rules.clone(),
            access,
            send_hash: config.send_hash,
            send_clear: config.send_clear,
            limits: ConnectionLimits::new(max_connections, config.max_connections_per_user),
            max_kept,
            idle: config.idle,
            request: config.request,
        }
    }

    /// Returns the users that may connect to a socket of this kind.
    pub fn access(&self, kind: SocketKind) -> &Access {
        match kind {
            SocketKind::Courier => &self.access.courier,
            // The mode of a kept socket decides who may connect; it is served by another acceptor.
            SocketKind::Own | SocketKind::Kept => &self.access.own,
        }
    }
}
