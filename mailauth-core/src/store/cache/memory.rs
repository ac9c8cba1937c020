//! The table of kept rows, limited in rows, bytes and age.

use super::Kept;
use crate::account::{AccountRow, Login};
use crate::config::CacheConfig;
use std::sync::mpsc::{RecvTimeoutError, Sender, channel};
use std::sync::{Arc, Weak};
use std::thread::Builder;
use std::time::{Duration, Instant};

/// Bytes of an entry in addition to its texts, including its part of the tables that lead to it.
const OVERHEAD: u64 = 512;

/// Shortest and longest interval at which entries that are too old are searched for.
const EVERY: (Duration, Duration) = (Duration::from_secs(5), Duration::from_secs(60));

/// The rows by their logins.
pub(super) type Rows = quick_cache::sync::Cache<Login, Arc<Kept>, Weight>;

/// Weigher of entries.
#[derive(Clone)]
pub(super) struct Weight {
    least: u64,
}

impl Weight {
    /// Creates the table for as many rows and bytes as `config` says. An entry weighs its bytes, or its share of all of
    /// them if that is more, so that one weight limits both.
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

/// Returns about how many bytes an entry takes.
fn bytes(login: &Login, kept: &Kept) -> u64 {
    let text = |text: &Option<String>| text.as_ref().map_or(0, String::len);
    let of_row = |row: &AccountRow| {
        let texts = [&row.home, &row.maildir, &row.name, &row.options].map(text);
        row.login.as_str().len()
            + row.password.0.len()
            + texts.into_iter().sum::<usize>()
            + row.services.to_string().len()
    };
    (login.as_str().len() + kept.row.as_deref().map_or(0, of_row)) as u64 + OVERHEAD
}

/// How long a row, or its absence, is kept.
#[derive(Clone, Copy)]
pub(super) struct Lifetimes {
    pub found: Duration,
    pub unknown: Duration,
}

impl Lifetimes {
    pub fn of(self, kept: &Kept) -> Duration {
        if kept.row.is_some() { self.found } else { self.unknown }
    }

    /// Removes what is too old.
    pub fn sweep(self, rows: &Rows, now: Instant) {
        rows.retain(|_, kept| now.duration_since(kept.read) < self.of(kept));
    }

    /// Sweeps repeatedly, even without requests, until the returned sender is dropped. If no thread can be started for
    /// it, old rows stay until others replace them; they are not served.
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
