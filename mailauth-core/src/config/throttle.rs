//! `[throttle]`: what guessing at passwords leads to.

use crate::throttle::NetworkRange;
use std::path::PathBuf;
use std::time::Duration;

/// `[throttle]`.
#[derive(Clone, Debug)]
pub struct ThrottleConfig {
    /// `enabled`: count wrong passwords at all.
    pub enabled: bool,
    /// `allowance`: different wrong passwords for a login from one network.
    pub allowance: u32,
    /// `per_network`: different wrong passwords from one network, at all logins that do not know it.
    pub per_network: u32,
    /// `per_account`: different wrong passwords for a login, from all networks that it does not know.
    pub per_account: u32,
    /// `window`: in how much time as many as are allowed are given back.
    pub window: Duration,
    /// `delay`: the longest that a refusal is delayed.
    pub delay: Duration,
    /// `remember`: how long a network is known from which a login came with the right password.
    pub remember: Duration,
    /// `exempt`: networks of which nothing is counted.
    pub exempt: Vec<NetworkRange>,
    /// `shared`: networks from which many people log in, such as a webmail server: nothing is refused untried there.
    pub shared: Vec<NetworkRange>,
    /// `file`: where the daemon keeps what it has counted, an absolute path.
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
