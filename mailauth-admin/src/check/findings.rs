//! Results of the checks, and the statements that correct problems.

use crate::output::printable;
use mailauth_core::config::DatabaseUrl;
use mailauth_core::store::{OpenError, StoreError};
use serde::Serialize;

/// State of one finding, or of all findings together.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum State {
    Ok,
    Degraded,
    Down,
}

/// Result of one check.
#[derive(Serialize)]
pub(super) struct Finding {
    pub(super) what: &'static str,
    pub(super) state: State,
    /// Result as text, with a correction if the state is not ok.
    pub(super) text: String,
}

/// Statements for the administrator of the database.
pub(super) struct Remedy {
    /// Purpose of the statements.
    pub(super) purpose: &'static str,
    pub(super) statements: Vec<String>,
    /// Steps to do after them, one on each line.
    pub(super) after: Vec<String>,
}

impl Remedy {
    pub(super) fn new(purpose: &'static str) -> Self {
        Remedy { purpose, statements: Vec::new(), after: Vec::new() }
    }

    /// Returns the statements as a script that can be pasted.
    pub(super) fn script(&self) -> String {
        let mut text = format!("-- {}", self.purpose);
        for statement in &self.statements {
            text.push_str(&format!("\n{};", printable(statement)));
        }
        for line in &self.after {
            text.push_str(&format!("\n-- {}", printable(line)));
        }
        text
    }
}

#[derive(Default)]
pub(super) struct Findings {
    pub(super) list: Vec<Finding>,
    pub(super) remedies: Vec<Remedy>,
}

impl Findings {
    pub(super) fn add(&mut self, what: &'static str, state: State, text: impl Into<String>) {
        self.list.push(Finding { what, state, text: text.into() });
    }
}

/// Returns why no connection can be made with this section of the configuration.
pub(super) fn unopened(section: &str, error: &OpenError) -> String {
    let said = error.to_string();
    if said.starts_with("tls_") { format!("[{section}] {said}; correct that key or its file") } else { said }
}

/// Returns what to do about an error that does not say so itself.
pub(super) fn hint(error: &StoreError, url: &DatabaseUrl) -> &'static str {
    match (error, url) {
        (StoreError::Timeout { .. }, url) if url.file().is_some() => {
            "; another program holds its lock: find that program with fuser or lsof, or raise [database] deadline"
        }
        (StoreError::Timeout { .. }, _) => {
            "; it is frozen or overloaded, or a firewall drops the packets to it: check these, or raise [database] \
             deadline"
        }
        _ => "",
    }
}
