//! What a change of the configuration replaces.

use super::Answers;
use super::peer::Access;
use super::shares::Room;
use mailauth_core::config::CourierConfig;
use mailauth_core::password::Rules;
use std::time::Duration;

/// The accounts and the settings in force. A connection keeps those it came under.
pub(super) struct Live {
    pub answers: Answers,
    pub rules: Rules,
    pub access: Access,
    pub send_hash: bool,
    pub send_clear: bool,
    pub room: Room,
    pub idle: Duration,
    pub request: Duration,
}

impl Live {
    pub fn new(
        config: &CourierConfig,
        rules: &Rules,
        answers: Answers,
        access: Access,
        max_connections: usize,
    ) -> Self {
        Live {
            answers,
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
