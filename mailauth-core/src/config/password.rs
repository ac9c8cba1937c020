//! `[password]`: how stored passwords are read, and how new ones are hashed.

use crate::password::{HashRules, NewScheme};

/// The section `[password]`.
#[derive(Clone, Debug)]
pub struct PasswordConfig {
    /// `scheme`: scheme of new hashes.
    pub scheme: NewScheme,
    /// `default_scheme`, `trim` and the limits on cost.
    pub rules: HashRules,
    /// `min_length`: minimum number of characters of a new password.
    pub min_length: usize,
    /// `parallel`: maximum number of passwords that are hashed at once. 0: one for each processor.
    pub parallel: usize,
    /// `memory`: maximum number of bytes that all verifications together may use at once.
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
