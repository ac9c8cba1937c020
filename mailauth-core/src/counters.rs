//! How often what is remembered spared work, counted since the start or the last reload.

use std::sync::atomic::{AtomicU64, Ordering};

/// Counts, by any thread.
#[derive(Debug, Default)]
pub struct Counters {
    pub(crate) hits: AtomicU64,
    pub(crate) misses: AtomicU64,
    pub(crate) rereads: AtomicU64,
    pub(crate) coalesced: AtomicU64,
    pub(crate) verified: AtomicU64,
}

/// What was counted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Look-ups that were answered from memory.
    pub hits: u64,
    /// Look-ups that were not.
    pub misses: u64,
    /// Rows that were read anew before a refusal.
    pub rereads: u64,
    /// Of the last two, those that waited for another's query instead of sending one.
    pub coalesced: u64,
    /// Passwords that were not hashed because they had fitted lately.
    pub verified: u64,
}

impl Counters {
    /// What was counted so far. Each number is right; they need not be of the same moment.
    pub fn read(&self) -> Counts {
        let read = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        Counts {
            hits: read(&self.hits),
            misses: read(&self.misses),
            rereads: read(&self.rereads),
            coalesced: read(&self.coalesced),
            verified: read(&self.verified),
        }
    }
}

/// One more.
pub(crate) fn count(counter: &AtomicU64) {
    counter.fetch_add(1, Ordering::Relaxed);
}
