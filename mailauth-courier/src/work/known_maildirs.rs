//! Maildirs that existed a short while ago, for `[mailbox] create` where this process cannot see them itself.

use mailauth_core::sync::Mutex;
use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

/// Time for which a Maildir counts as existing. If it is removed in that time, it is created again afterwards.
const FRESH: Duration = Duration::from_secs(60);

/// Maximum number of Maildirs that are remembered. It limits memory; with more, some are checked more often.
const MAX: usize = 10_000;

/// Maildirs that existed, and the time when that was checked.
#[derive(Default)]
pub(crate) struct KnownMaildirs(Mutex<HashMap<PathBuf, Instant>>);

impl KnownMaildirs {
    /// Returns true if the Maildir existed a short while ago.
    pub fn contains(&self, maildir: &Path) -> bool {
        let seen = self.0.lock();
        seen.get(maildir).is_some_and(|when| when.elapsed() < FRESH)
    }

    /// Records that the Maildir exists.
    pub fn insert(&self, maildir: PathBuf) {
        let mut seen = self.0.lock();
        if seen.len() >= MAX {
            seen.retain(|_, when| when.elapsed() < FRESH);
        }
        if seen.len() >= MAX {
            seen.clear();
        }
        seen.insert(maildir, Instant::now());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_maildir_is_remembered_and_their_number_is_limited() {
        let known = KnownMaildirs::default();
        let path = |number: usize| PathBuf::from(format!("/var/mail/{number}"));
        assert!(!known.contains(&path(0)));
        (0..=MAX).for_each(|number| known.insert(path(number)));
        assert!(known.contains(&path(MAX)) && !known.contains(&path(0)));
        assert!(known.0.lock().len() <= MAX);
    }
}
