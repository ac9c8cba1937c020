//! `[password]`: how stored values are read, and how new ones are made.

use crate::password::{HashRules, NewScheme};

/// `[password]`.
#[derive(Clone, Debug)]
pub struct PasswordConfig {
    /// `scheme`: of new hashes.
    pub scheme: NewScheme,
    /// `default_scheme`, `trim` and the bounds on cost.
    pub rules: HashRules,
    /// `min_length`: fewest characters of a new password.
    pub min_length: usize,
    /// `parallel`: how many passwords may be hashed at once; 0 is one for each processor.
    pub parallel: usize,
    /// `memory`: the most bytes that all verifications together may use at once.
    pub memory: u64,
}

impl Default for PasswordConfig {
    fn default() -> Self {
        PasswordConfig {
            scheme: NewScheme::default(),
            rules: HashRules::default(),
            min_length: 8,
            parallel: 0,
            memory: 512 << 20,
        }
    }
}
