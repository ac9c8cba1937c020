//! Reasons why the copy does not answer.

use super::file::CopyError;
use std::time::Duration;

/// Reason why the copy does not answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Unavailable {
    Missing,
    Old(Duration),
    Pending,
    Damaged(String),
    /// The tables cannot be listed, so the copy lacks these rows.
    NotCopied(&'static str),
}

impl From<&CopyError> for Unavailable {
    fn from(error: &CopyError) -> Self {
        match error {
            CopyError::Version => Unavailable::Missing,
            error if error.is_spoilt() => Unavailable::Damaged(error.to_string()),
            _ => Unavailable::Missing,
        }
    }
}
