//! Limits on the cost of a stored value, because its author may be hostile.

/// Limits on one verification. A value above them is refused as [`super::Flaw::TooCostly`] before any work is done.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CostLimits {
    /// Rounds of `$5$` and `$6$` for a password of less than 128 bytes; see `rounds_by_length`.
    pub sha_crypt_rounds: u32,
    /// Cost of bcrypt: the logarithm of its rounds.
    pub bcrypt_cost: u32,
    /// Iterations of PBKDF2 and SCRAM.
    pub pbkdf2_iterations: u32,
    /// Memory of Argon2, in KiB.
    pub argon2_memory_kib: u32,
    /// Memory of Argon2 times its passes, in KiB.
    pub argon2_work_kib: u64,
    /// Lanes of Argon2.
    pub argon2_lanes: u32,
    /// Memory of scrypt and yescrypt, in KiB.
    pub scrypt_memory_kib: u32,
}

/// Returns the number of rounds for a short password that take as long as `rounds` for this one, in a scheme that
/// reads the whole password in each round. With 128 bytes, each round counts twice, with 192 bytes three times, and so
/// on.
pub(super) fn rounds_by_length(rounds: u32, password: &[u8]) -> u64 {
    u64::from(rounds).saturating_mul((password.len() as u64 / 64).max(1))
}

impl Default for CostLimits {
    /// Returns limits that allow a few seconds of one processor and 256 MiB.
    fn default() -> Self {
        CostLimits {
            sha_crypt_rounds: 2_000_000,
            bcrypt_cost: 15,
            pbkdf2_iterations: 2_000_000,
            argon2_memory_kib: 256 << 10,
            argon2_work_kib: 2 << 20,
            argon2_lanes: 16,
            scrypt_memory_kib: 256 << 10,
        }
    }
}
