//! The answer to `FLUSH`: what the daemon has forgotten, as JSON on one line.

use serde::{Deserialize, Serialize};

/// Beginning of the reason of `LATER`, with which the daemon says that it keeps everything.
pub const KEPT: &str = "nothing was forgotten";

/// What was forgotten.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Flushed {
    /// Number of look-ups by login: rows, and logins that were known not to exist.
    pub rows: usize,
    /// Number of logins whose password had been verified.
    pub passwords: usize,
}

impl Flushed {
    /// Returns the answer as a line.
    pub fn line(&self) -> String {
        // Its keys are text, so this cannot fail.
        serde_json::to_string(self).unwrap_or_default()
    }

    /// Reads the answer of a daemon.
    ///
    /// # Errors
    /// Fails if `line` is not such an answer.
    pub fn parse(line: &str) -> Result<Self, serde_json::Error> {
        serde_json::from_str(line)
    }
}
