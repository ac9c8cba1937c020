//! The mailboxes that took long to count a while ago.

use mailauth_core::sync::Mutex;
use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

/// Time for which a mailbox that took long counts as slow.
const SLOW_FOR: Duration = Duration::from_secs(600);

/// Maximum number of slow mailboxes that are remembered.
const MAX_SLOW: usize = 4096;

/// Slow mailboxes, each with the time until which it counts as slow.
#[derive(Default)]
pub(super) struct SlowMailboxes(Mutex<HashMap<PathBuf, Instant>>);

impl SlowMailboxes {
    /// Returns true if the mailbox took long recently.
    pub fn contains(&self, mailbox: &Path) -> bool {
        self.0.lock().get(mailbox).is_some_and(|until| Instant::now() < *until)
    }

    /// Records whether the mailbox has just taken long.
    pub fn record(&self, mailbox: &Path, is_slow: bool) {
        let mut table = self.0.lock();
        if !is_slow {
            table.remove(mailbox);
            return;
        }
        let now = Instant::now();
        if table.len() >= MAX_SLOW {
            table.retain(|_, until| now < *until);
        }
        if table.len() < MAX_SLOW || table.contains_key(mailbox) {
            table.insert(mailbox.to_owned(), now + SLOW_FOR);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_slow_mailbox_is_remembered_until_it_is_quick_up_to_a_maximum() {
        let slow = SlowMailboxes::default();
        let path = |number: usize| PathBuf::from(number.to_string());
        (0..=MAX_SLOW).for_each(|number| slow.record(&path(number), true));
        assert!(slow.contains(&path(0)) && slow.contains(&path(MAX_SLOW - 1)) && !slow.contains(&path(MAX_SLOW)));
        slow.record(&path(0), false);
        slow.record(&path(MAX_SLOW), true);
        assert!(!slow.contains(&path(0)) && slow.contains(&path(MAX_SLOW)));
    }
}
