//! Counters of the daemon's own: of clients that got no answer.

use mailauth_protocol::status::TurnedAway;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Instant, SystemTime};

/// Counters since the start.
pub(crate) struct Stats {
    /// Start of the daemon.
    pub started: Instant,
    /// The same by the clock of the system.
    pub started_at: SystemTime,
    /// Clients that were turned away.
    pub turned_away: TurnedAwayCounts,
}

/// Number of clients that were turned away without an answer, by reason.
#[derive(Default)]
pub(crate) struct TurnedAwayCounts {
    /// Too many connections were open.
    pub crowded: Counter,
    /// Too many connections of the client's user were open.
    pub over_share: Counter,
    /// A queue of work was full.
    pub queue_full: Counter,
    /// The client had disconnected before its turn.
    pub gone: Counter,
    /// The client's user may not connect.
    pub strangers: Counter,
}

/// A number that only grows.
#[derive(Default)]
pub(crate) struct Counter(AtomicU64);

impl Counter {
    /// Adds one to the count.
    pub fn increment(&self) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }

    fn read(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

impl Stats {
    /// Returns counters that are all zero, starting now.
    pub fn new() -> Self {
        Stats { started: Instant::now(), started_at: SystemTime::now(), turned_away: TurnedAwayCounts::default() }
    }
}

impl TurnedAwayCounts {
    /// Returns the counts for the status.
    pub fn read(&self) -> TurnedAway {
        TurnedAway {
            crowded: self.crowded.read(),
            over_share: self.over_share.read(),
            queue_full: self.queue_full.read(),
            gone: self.gone.read(),
            strangers: self.strangers.read(),
        }
    }
}
