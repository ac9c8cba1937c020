//! `[cache]`: what the daemon remembers between requests.

use std::time::Duration;

/// `[cache]`.
#[derive(Clone, Debug)]
pub struct CacheConfig {
    /// `enabled`: remember anything at all.
    pub enabled: bool,
    /// `accounts`: the most logins, with an account or without, whose look-up is kept; 0 keeps none.
    pub accounts: usize,
    /// `memory`: the most bytes of these; none is [`CacheConfig::memory`].
    pub memory: Option<u64>,
    /// `found`: how long an account's row is kept.
    pub found: Duration,
    /// `unknown`: how long it is kept that a login has no account.
    pub unknown: Duration,
    /// `verified`: the most logins of which it is remembered that their password fitted; 0 remembers none.
    pub verified: usize,
    /// `verified_for`: how long that is remembered.
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
    /// The most bytes of look-ups: 64 MiB where that is not set, or a KiB for each of `accounts` where that is more.
    pub fn memory(&self) -> u64 {
        self.memory.unwrap_or((64 << 20).max((self.accounts as u64) << 10))
    }

    /// Are look-ups kept?
    pub fn keeps_accounts(&self) -> bool {
        self.enabled && self.accounts > 0
    }

    /// Are verified passwords remembered?
    pub fn keeps_verified(&self) -> bool {
        self.enabled && self.verified > 0
    }
}
