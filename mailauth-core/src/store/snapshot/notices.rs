//! Log messages about an outage: at most one a minute, and one at its end.

use super::unavailable::Unavailable;
use crate::store::StoreError;
use crate::sync::Mutex;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

const PAUSE: Duration = Duration::from_secs(60);

#[derive(Default)]
pub(super) struct Notices {
    /// True if the last answer came from the copy, and not from the database.
    in_use: AtomicBool,
    /// True if the log contains the beginning of an outage, and not yet its end.
    announced: AtomicBool,
    said: Mutex<Said>,
}

/// Times at which each message was last logged.
#[derive(Default)]
struct Said {
    in_use: Option<Instant>,
    unavailable: Option<Instant>,
}

impl Notices {
    pub(super) fn is_in_use(&self) -> bool {
        self.in_use.load(Ordering::Relaxed)
    }

    /// Logs that the copy answered.
    pub(super) fn report_use(&self, now: Instant, path: &Path, age: Duration, error: &StoreError) {
        self.in_use.store(true, Ordering::Relaxed);
        if self.claim(now, |said| &mut said.in_use) {
            let (path, age) = (path.display(), age.as_secs());
            tracing::warn!("{error}; logins are decided from the snapshot {path}, which is {age} s old");
        }
    }

    /// Logs that the copy could not answer.
    pub(super) fn report_unavailable(
        &self,
        now: Instant,
        path: &Path,
        why: Unavailable,
        max_age: Duration,
        error: &StoreError,
    ) {
        if !self.claim(now, |said| &mut said.unavailable) {
            return;
        }
        let path = path.display();
        match why {
            Unavailable::Missing => tracing::warn!("{error}; there is no snapshot at {path} to decide logins from"),
            Unavailable::Old(age) => tracing::warn!(
                "{error}; the snapshot {path} is {} s old, older than [outage] max_age ({} s): logins get \"not now\"",
                age.as_secs(),
                max_age.as_secs()
            ),
            Unavailable::Pending => tracing::warn!(
                "{error}; recent changes are missing from the snapshot {path}: affected logins get \"not now\""
            ),
            Unavailable::NotCopied(what) => tracing::warn!(
                "{error}; the snapshot {path} holds no {what}, because [schema] does not say how to list exactly \
                 those that are found: questions about them get \"not now\""
            ),
            Unavailable::Damaged(what) => tracing::warn!(
                "{error}; the snapshot {path} is damaged ({what}): affected logins get \"not now\" until it is \
                 made from the database again"
            ),
        }
    }

    /// Logs that the database answers again, if the log contains the beginning of the outage.
    pub(super) fn report_return(&self) {
        // Read first, because writing each time would make the threads wait for each other.
        if self.is_in_use() {
            self.in_use.store(false, Ordering::Relaxed);
        }
        if self.take_announced() {
            tracing::info!("the database answers again");
        }
    }

    /// Returns true if the log contains the beginning of an outage, and resets that.
    pub(super) fn take_announced(&self) -> bool {
        self.announced.load(Ordering::Relaxed) && self.announced.swap(false, Ordering::Relaxed)
    }

    fn claim(&self, now: Instant, which: impl Fn(&mut Said) -> &mut Option<Instant>) -> bool {
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
