//! Which Maildirs were seen a short while ago, where this process may not look itself: for `[mailbox] create`.

use mailauth_core::sync::Mutex;
use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

/// How long a Maildir counts as there. One that is removed in that time is made again after it.
const FRESH: Duration = Duration::from_secs(60);

/// The most that are remembered. It bounds memory; beyond it, some are looked for more often.
const MOST: usize = 10_000;

/// Maildirs that were there.
#[derive(Default)]
pub(crate) struct Present(Mutex<HashMap<PathBuf, Instant>>);

impl Present {
    /// Returns true if the Maildir was there just now.
    pub fn has(&self, maildir: &Path) -> bool {
        let seen = self.0.lock();
        seen.get(maildir).is_some_and(|when| when.elapsed() < FRESH)
    }

    /// Takes note that the Maildir is there.
    pub fn note(&self, maildir: PathBuf) {
        let mut seen = self.0.lock();
        if seen.len() >= MOST {
            seen.retain(|_, when| when.elapsed() < FRESH);
        }
        if seen.len() >= MOST {
            seen.clear();
        }
        seen.insert(maildir, Instant::now());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_seen_is_there_and_memory_is_bounded() {
        let present = Present::default();
        let path = |number: usize| PathBuf::from(format!("/var/mail/{number}"));
        assert!(!present.has(&path(0)));
        (0..=MOST).for_each(|number| present.note(path(number)));
        assert!(present.has(&path(MOST)) && !present.has(&path(0)));
        assert!(present.0.lock().len() <= MOST);
    }
}
