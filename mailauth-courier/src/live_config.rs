//! What a change of the configuration replaces.

use crate::accept::listener::Side;
use crate::accept::peer::Access;
use crate::accept::slots::Room;
use crate::process::identity::IdentityError;
use mailauth_core::Backend;
use mailauth_core::config::CourierConfig;
use mailauth_core::password::Rules;
use std::time::Duration;

/// Who may connect to each socket.
pub(crate) struct Accesses {
    courier: Access,
    own: Access,
}

impl Accesses {
    /// As `config` says; the socket for Courier is of the group `socket_group`.
    ///
    /// # Errors
    /// When a name is none.
    pub fn new(config: &CourierConfig, socket_group: Option<u32>) -> Result<Self, IdentityError> {
        Ok(Accesses { courier: Access::new(config, socket_group)?, own: Access::new(config, None)? })
    }
}

/// The accounts and the settings in force. A connection keeps those it came under.
pub(crate) struct Live {
    pub backend: Backend,
    pub rules: Rules,
    access: Accesses,
    pub send_hash: bool,
    pub send_clear: bool,
    pub room: Room,
    pub idle: Duration,
    pub request: Duration,
}

impl Live {
    /// Who may connect to the socket on this side.
    pub fn access(&self, side: Side) -> &Access {
        match side {
            Side::Courier => &self.access.courier,
            Side::Own => &self.access.own,
        }
    }

    pub fn new(
        config: &CourierConfig,
        rules: &Rules,
        backend: Backend,
        access: Accesses,
        max_connections: usize,
    ) -> Self {
        Live {
            backend,
            rules: rules.clone(),
            access,
            send_hash: config.send_hash,
            send_clear: config.send_clear,
            room: Room::new(max_connections, config.max_connections_per_user),
            idle: config.idle,
            request: config.request,
        }
    }
}
