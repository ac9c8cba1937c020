//! The link to one host: it makes connections and records whether that works and how the host answers.

use crate::store::driver::{Connection, Driver, DriverError};
use crate::store::hosts::attempts::Attempts;
use crate::store::{HostState, Role};
use crate::sync::{Mutex, MutexGuard};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

/// Minimum interval between two log lines about a server that accepts no connection.
const LOG_PAUSE: Duration = Duration::from_secs(60);

/// A connection with its bookkeeping.
pub(super) struct TrackedConnection {
    pub(super) connection: Box<dyn Connection>,
    generation: u64,
    /// True if it was used before, so that it may have died since.
    pub(super) used: bool,
    /// True if it must not be used again.
    pub(super) spent: bool,
    /// Counts it among the open connections of the pool; `None` for the probe's.
    _counted: Option<Counted>,
}

impl TrackedConnection {
    /// Counts the connection among those of the pool until it is dropped.
    pub(super) fn counted(mut self, link: &HostLink) -> Self {
        link.open.fetch_add(1, Ordering::Relaxed);
        self._counted = Some(Counted(link.open.clone()));
        self
    }
}

/// A guard that counts one open connection.
struct Counted(Arc<AtomicUsize>);

impl Drop for Counted {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

/// The link to a host: makes connections, and records outages and answers.
pub(super) struct HostLink {
    pub(super) driver: Arc<dyn Driver>,
    /// Limits the rate of connection attempts; `None` for a command, which tries once.
    attempts: Option<Arc<Attempts>>,
    /// Number of open connections of the pool, in use or idle.
    open: Arc<AtomicUsize>,
    /// Current generation of connections; one of an earlier generation was made before another one was lost.
    generation: AtomicU64,
    outage: Mutex<Option<Outage>>,
    /// True during an outage. Cheaper to read than the lock.
    in_outage: AtomicBool,
    /// Time of the last log line about a refused connection.
    logged: Mutex<Option<Instant>>,
    last_failure: Mutex<Option<Failure>>,
    /// Latency of the last successful work in nanoseconds; 0 before the first.
    latency: AtomicU64,
    base: Instant,
    /// Time of the last answer in nanoseconds after `base`; 0 before the first.
    last_answer: AtomicU64,
}

/// The last failure, which is kept for status reports after the host has recovered.
struct Failure {
    at: Instant,
    error: DriverError,
}

/// An outage: new connections fail.
pub(super) struct Outage {
    pub(super) since: Instant,
    pub(super) error: DriverError,
    /// True if an existing connection answered after the outage began.
    answered: bool,
}

impl HostLink {
    pub(super) fn new(driver: Arc<dyn Driver>, attempts: Option<Arc<Attempts>>) -> Self {
        HostLink {
            driver,
            attempts,
            open: Arc::default(),
            generation: AtomicU64::new(0),
            outage: Mutex::new(None),
            in_outage: AtomicBool::new(false),
            logged: Mutex::new(None),
            last_failure: Mutex::new(None),
            latency: AtomicU64::new(0),
            base: Instant::now(),
            last_answer: AtomicU64::new(0),
        }
    }

    /// Connects. While the server is down, this fails at once if another attempt is running or the pause is not over.
    pub(super) fn connect(&self) -> Result<TrackedConnection, DriverError> {
        let attempt = match self.attempts.as_deref().map(Attempts::begin) {
            Some(None) => return Err(self.known_error()),
            Some(attempt) => attempt,
            None => None,
        };
        // Read before connecting: a loss while this connects makes the new connection suspect too.
        let generation = self.generation.load(Ordering::Acquire);
        match self.driver.connect() {
            Ok(connection) => {
                attempt.into_iter().for_each(|attempt| attempt.succeeded());
                self.end_outage();
                Ok(TrackedConnection { connection, generation, used: false, spent: false, _counted: None })
            }
            Err(error) => {
                attempt.into_iter().for_each(|attempt| attempt.failed(&error, self.open.load(Ordering::Relaxed) > 0));
                self.mark_away(error.clone());
                Err(error)
            }
        }
    }

    /// Returns the known reason why connecting fails.
    fn known_error(&self) -> DriverError {
        match &*self.outage() {
            Some(outage) => outage.error.clone(),
            None => DriverError::Lost("another attempt to connect to it is still running".into()),
        }
    }

    pub(super) fn outage(&self) -> MutexGuard<'_, Option<Outage>> {
        self.outage.lock()
    }

    fn end_outage(&self) {
        let mut outage = self.outage();
        *outage = None;
        self.in_outage.store(false, Ordering::Relaxed);
    }

    /// Records that connecting failed.
    fn mark_away(&self, error: DriverError) {
        self.record_failure(error.clone());
        self.log_refusal(&error);
        let mut outage = self.outage();
        let (since, answered) = outage.as_ref().map_or_else(|| (Instant::now(), false), |o| (o.since, o.answered));
        *outage = Some(Outage { since, error, answered });
        self.in_outage.store(true, Ordering::Relaxed);
    }

    /// Records that a connection does not answer in time, so that callers do not wait for the host until a new
    /// connection succeeds.
    pub(super) fn mark_frozen(&self, error: DriverError) {
        self.attempts.iter().for_each(|attempts| attempts.limit());
        self.mark_away(error);
        self.outage().iter_mut().for_each(|outage| outage.answered = false);
    }

    /// Logs that the server is up and refuses connections, which may need an administrator's attention there.
    fn log_refusal(&self, error: &DriverError) {
        if self.attempts.is_none() || !error.is_refused_connection() {
            return;
        }
        let mut logged = self.logged.lock();
        if logged.is_none_or(|at| at.elapsed() >= LOG_PAUSE) {
            *logged = Some(Instant::now());
            tracing::warn!(host = self.driver.place(), %error, "this database server accepts no new connection");
        }
    }

    /// Records a failure for status reports.
    pub(super) fn record_failure(&self, error: DriverError) {
        *self.last_failure.lock() = Some(Failure { at: Instant::now(), error });
    }

    /// Records an answer to a request that was sent at `begin`.
    pub(super) fn record_answer(&self, begin: Instant) {
        let now = Instant::now();
        self.latency.store(nanoseconds(now - begin), Ordering::Relaxed);
        self.last_answer.store(nanoseconds(now - self.base), Ordering::Relaxed);
    }

    /// Returns true if the host answered anything after `time`.
    pub(super) fn answered_since(&self, time: Instant) -> bool {
        self.last_answer.load(Ordering::Relaxed) > nanoseconds(time - self.base)
    }

    /// Records that a connection of the pool answered a request that was sent at `begin`.
    pub(super) fn record_pool_answer(&self, begin: Instant) {
        self.record_answer(begin);
        if self.in_outage.load(Ordering::Relaxed) {
            self.outage().iter_mut().for_each(|outage| outage.answered = true);
        }
    }

    /// Returns false if connecting fails and no existing connection answers.
    pub(super) fn serves(&self) -> bool {
        if !self.in_outage.load(Ordering::Relaxed) {
            return true;
        }
        let some = self.open.load(Ordering::Relaxed) > 0;
        self.outage().as_ref().is_none_or(|outage| some && (outage.answered || outage.error.is_refused_connection()))
    }

    /// Returns true if the server's last answer was that it accepts no further connections.
    fn is_full(&self) -> bool {
        self.outage().as_ref().is_some_and(|outage| matches!(outage.error, DriverError::Full(_)))
    }

    /// Returns the last known state of the host, without asking it.
    pub(super) fn state(&self) -> HostState {
        let latency = match self.latency.load(Ordering::Relaxed) {
            0 => None,
            nanoseconds => Some(Duration::from_nanos(nanoseconds)),
        };
        let failure = self.last_failure.lock();
        HostState {
            place: self.driver.place().to_owned(),
            role: Role::Unknown,
            live: self.serves() || self.is_full(),
            full: self.is_full(),
            latency,
            last_error: failure.as_ref().map(|failure| (failure.error.to_string(), failure.at.elapsed())),
        }
    }

    /// Records that a connection was lost, which makes all older ones suspect.
    pub(super) fn mark_lost(&self, tracked: &TrackedConnection) {
        // Of many that are lost together only the first counts: newer connections must not become suspect.
        let next = tracked.generation + 1;
        let _ = self.generation.compare_exchange(tracked.generation, next, Ordering::AcqRel, Ordering::Relaxed);
    }

    /// Returns true if the connection is usable as far as is known.
    pub(super) fn is_usable(&self, tracked: &TrackedConnection) -> bool {
        !tracked.spent
            && !tracked.connection.is_broken()
            && tracked.generation >= self.generation.load(Ordering::Acquire)
    }
}

/// Converts to nanoseconds, at least 1, so that 0 can mean none.
fn nanoseconds(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX).max(1)
}
