//! The memory of the cache: a maximum number of rows and of bytes, without rows that are too old.

use super::Kept;
use crate::account::{AccountRow, Login};
use crate::config::CacheConfig;
use std::sync::mpsc::{RecvTimeoutError, Sender, channel};
use std::sync::{Arc, Weak};
use std::thread::Builder;
use std::time::{Duration, Instant};

/// Bytes that an entry takes in addition to its texts, with the tables that lead to it.
const OVERHEAD: u64 = 512;

/// Minimum and maximum interval between removals of rows that are too old.
const EVERY: (Duration, Duration) = (Duration::from_secs(5), Duration::from_secs(60));

/// The rows by login.
pub(super) type Rows = quick_cache::sync::Cache<Login, Arc<Kept>, Weight>;

/// Weight of an entry.
#[derive(Clone)]
pub(super) struct Weight {
    least: u64,
}

impl Weight {
    /// Creates room for as many rows and bytes as `config` says. The weight of an entry is its bytes, or its share of
    /// all bytes if that is more, so one weight limits both.
    pub fn rows(config: &CacheConfig) -> Rows {
        let (accounts, memory) = (config.accounts.max(1), config.memory().max(1));
        let least = (memory / accounts as u64).max(1);
        Rows::with_weighter(accounts, memory, Weight { least })
    }
}

impl quick_cache::Weighter<Login, Arc<Kept>> for Weight {
    fn weight(&self, login: &Login, kept: &Arc<Kept>) -> u64 {
        bytes(login, kept).max(self.least)
    }
}

/// Returns the approximate number of bytes of an entry.
fn bytes(login: &Login, kept: &Kept) -> u64 {
    let text = |text: &Option<String>| text.as_ref().map_or(0, String::len);
    let of_row = |row: &AccountRow| {
        let texts = [&row.home, &row.maildir, &row.name, &row.options].map(text);
        row.login.as_str().len()
            + row.password.0.len()
            + texts.into_iter().sum::<usize>()
            + row.services.to_string().len()
    };
    (login.as_str().len() + kept.row.as_ref().map_or(0, of_row)) as u64 + OVERHEAD
}

/// Time for which a row is kept, and time for which its absence is.
#[derive(Clone, Copy)]
pub(super) struct Lifetimes {
    pub found: Duration,
    pub unknown: Duration,
}

impl Lifetimes {
    pub fn of(self, kept: &Kept) -> Duration {
        if kept.row.is_some() { self.found } else { self.unknown }
    }

    /// Removes rows that are too old.
    pub fn sweep(self, rows: &Rows, now: Instant) {
        rows.retain(|_, kept| now.duration_since(kept.read) < self.of(kept));
    }

    /// Does this repeatedly, also while there are no requests, until the returned value is dropped. If no thread can be
    /// started for it, old rows stay until others replace them; they are not used.
    pub fn sweep_always(self, rows: &Arc<Rows>) -> Option<Sender<()>> {
        let (stop, stopped) = channel::<()>();
        let rows: Weak<Rows> = Arc::downgrade(rows);
        let every = self.found.max(self.unknown).clamp(EVERY.0, EVERY.1);
        let work = move || {
            while stopped.recv_timeout(every) == Err(RecvTimeoutError::Timeout) {
                let Some(rows) = rows.upgrade() else { return };
                self.sweep(&rows, Instant::now());
            }
        };
        Builder::new().name("cache".into()).spawn(work).ok().map(|_| stop)
    }
}
