//! What the log says about an outage: once a minute at most, and once that it is over.

use super::Useless;
use crate::store::StoreError;
use crate::sync::Mutex;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

const PAUSE: Duration = Duration::from_secs(60);

#[derive(Default)]
pub(super) struct Notices {
    /// The copy answered last, and not the database.
    in_use: AtomicBool,
    /// The log holds the beginning of an outage, and not its end.
    announced: AtomicBool,
    said: Mutex<Said>,
}

/// When each was said last.
#[derive(Default)]
struct Said {
    in_use: Option<Instant>,
    useless: Option<Instant>,
}

impl Notices {
    pub(super) fn is_in_use(&self) -> bool {
        self.in_use.load(Ordering::Relaxed)
    }

    /// The copy answered.
    pub(super) fn in_use(&self, now: Instant, path: &Path, age: Duration, error: &StoreError) {
        self.in_use.store(true, Ordering::Relaxed);
        if self.is_due(now, |said| &mut said.in_use) {
            let (path, age) = (path.display(), age.as_secs());
            tracing::warn!("{error}; logins are decided from the snapshot {path}, which is {age} s old");
        }
    }

    /// It could not.
    pub(super) fn useless(&self, now: Instant, path: &Path, why: Useless, max_age: Duration, error: &StoreError) {
        if !self.is_due(now, |said| &mut said.useless) {
            return;
        }
        let path = path.display();
        match why {
            Useless::Missing => tracing::warn!("{error}; there is no snapshot at {path} to decide logins from"),
            Useless::Old(age) => tracing::warn!(
                "{error}; the snapshot {path} is {} s old, and [outage] max_age lets {} s pass: logins wait",
                age.as_secs(),
                max_age.as_secs()
            ),
            Useless::Pending => tracing::warn!(
                "{error}; changes just before were not copied into the snapshot {path}: who may be concerned waits"
            ),
            Useless::Damaged(what) => tracing::warn!(
                "{error}; the snapshot {path} is damaged ({what}): who may be concerned waits. It is made from the \
                 database once that answers"
            ),
        }
    }

    /// The database answered.
    pub(super) fn back(&self) {
        // Looked at first, because writing would make the threads wait for each other.
        if self.is_in_use() {
            self.in_use.store(false, Ordering::Relaxed);
        }
        if self.take_announced() {
            tracing::info!("the database answers again");
        }
    }

    /// Does the log hold the beginning of an outage? From now on it does not.
    pub(super) fn take_announced(&self) -> bool {
        self.announced.load(Ordering::Relaxed) && self.announced.swap(false, Ordering::Relaxed)
    }

    fn is_due(&self, now: Instant, which: impl Fn(&mut Said) -> &mut Option<Instant>) -> bool {
        let mut said = self.said.lock();
        let last = which(&mut said);
        let due = last.is_none_or(|last| now.saturating_duration_since(last) >= PAUSE);
        if due {
            *last = Some(now);
            self.announced.store(true, Ordering::Relaxed);
        }
        due
    }
}
