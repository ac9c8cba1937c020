//! `[throttle]`: limits on password guessing.

use crate::throttle::NetworkRange;
use std::path::PathBuf;
use std::time::Duration;

/// The section `[throttle]`.
#[derive(Clone, Debug)]
pub struct ThrottleConfig {
    /// `enabled`: whether wrong passwords are counted.
    pub enabled: bool,
    /// `allowance`: how many different wrong passwords are allowed for a login from one network.
    pub allowance: u32,
    /// `per_network`: how many different wrong passwords are allowed from one network, for all logins that do not know
    /// it.
    pub per_network: u32,
    /// `per_account`: how many different wrong passwords are allowed for a login, from all networks that it does not
    /// know.
    pub per_account: u32,
    /// `window`: time in which a used allowance is restored completely.
    pub window: Duration,
    /// `delay`: maximum delay of a refusal.
    pub delay: Duration,
    /// `remember`: how long a network is known after a login with the right password from it.
    pub remember: Duration,
    /// `exempt`: networks whose wrong passwords are not counted.
    pub exempt: Vec<NetworkRange>,
    /// `shared`: networks from which many people log in, such as a webmail server. No password from them is refused
    /// without being tried.
    pub shared: Vec<NetworkRange>,
    /// `file`: absolute path of the file in which the daemon saves the counts.
    pub file: PathBuf,
}

impl Default for ThrottleConfig {
    fn default() -> Self {
        ThrottleConfig {
            enabled: true,
            allowance: 10,
            per_network: 100,
            per_account: 100,
            window: Duration::from_secs(3600),
            delay: Duration::from_secs(2),
            remember: Duration::from_secs(30 * 24 * 3600),
            exempt: Vec::new(),
            shared: Vec::new(),
            file: "/var/lib/mailauth/throttle".into(),
        }
    }
}
