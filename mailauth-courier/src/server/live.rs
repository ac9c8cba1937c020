//! What a change of the configuration replaces.

use super::Answers;
use super::peer::Access;
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
    pub max_connections: usize,
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
            max_connections,
            idle: config.idle,
            request: config.request,
        }
    }
}
