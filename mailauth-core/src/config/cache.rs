//! `[cache]`: what the daemon remembers between requests.

use std::time::Duration;

/// The section `[cache]`.
#[derive(Clone, Debug)]
pub struct CacheConfig {
    /// `enabled`: whether anything is remembered.
    pub enabled: bool,
    /// `accounts`: maximum number of cached look-ups, including those of logins without an account. 0 disables them.
    pub accounts: usize,
    /// `memory`: maximum number of bytes of these. For `None`, see [`CacheConfig::memory`].
    pub memory: Option<u64>,
    /// `found`: how long an account's row is cached.
    pub found: Duration,
    /// `unknown`: how long it is cached that a login has no account.
    pub unknown: Duration,
    /// `verified`: maximum number of logins whose verified password is remembered. 0 disables this.
    pub verified: usize,
    /// `verified_for`: how long a verified password is remembered.
    pub verified_for: Duration,
}

impl Default for CacheConfig {
    fn default() -> Self {
        CacheConfig {
            enabled: true,
            accounts: 10_000,
            memory: None,
            found: Duration::from_secs(30),
            unknown: Duration::from_secs(5),
            verified: 10_000,
            verified_for: Duration::from_secs(600),
        }
    }
}

impl CacheConfig {
    /// Returns the maximum number of bytes of cached look-ups. If it is not set, that is 64 MiB or 1 KiB for each of
    /// `accounts`, whichever is more.
    pub fn memory(&self) -> u64 {
        self.memory.unwrap_or((64 << 20).max((self.accounts as u64) << 10))
    }

    /// Returns true if look-ups are cached.
    pub fn keeps_accounts(&self) -> bool {
        self.enabled && self.accounts > 0
    }

    /// Returns true if verified passwords are remembered.
    pub fn keeps_verified(&self) -> bool {
        self.enabled && self.verified > 0
    }
}
