//! The way to one server, and what is known of it: whether a connection can be had, and how it answered.

use super::super::attempts::Attempts;
use super::super::driver::{Connection, Driver, DriverError};
use super::super::{HostState, Role};
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// That a server gives no connection is logged no more often than this.
const LOG_PAUSE: Duration = Duration::from_secs(60);

/// A connection with what is known of it.
pub(super) struct Link {
    pub(super) connection: Box<dyn Connection>,
    generation: u64,
    /// It did its work before: it may have died since.
    pub(super) used: bool,
    /// Not to be used again.
    pub(super) spent: bool,
    /// It is one of the pool's.
    _counted: Option<Counted>,
}

impl Link {
    /// Counts it among the pool's connections for as long as it exists.
    pub(super) fn counted(mut self, line: &Line) -> Self {
        line.open.fetch_add(1, Ordering::Relaxed);
        self._counted = Some(Counted(line.open.clone()));
        self
    }
}

/// One of so many connections.
struct Counted(Arc<AtomicUsize>);

impl Drop for Counted {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

/// The way to the database, and what is known of it.
pub(super) struct Line {
    pub(super) driver: Arc<dyn Driver>,
    /// Limits how often it is connected to; `None` for a command, which tries once.
    attempts: Option<Arc<Attempts>>,
    /// The connections of the pool, in use or not.
    open: Arc<AtomicUsize>,
    /// Connections of an earlier generation were made before one was lost.
    generation: AtomicU64,
    outage: Mutex<Option<Outage>>,
    /// There is an outage. Costs less to ask than the lock.
    in_outage: AtomicBool,
    /// When it was last logged that no connection is given.
    logged: Mutex<Option<Instant>>,
    last_failure: Mutex<Option<Failure>>,
    /// Of the last work that ended well, in nanoseconds; 0 before the first.
    latency: AtomicU64,
    base: Instant,
    /// When work last ended well, in nanoseconds after `base`; 0 before the first.
    last_answer: AtomicU64,
}

/// The last that went wrong, which stays to be asked for when all is well again.
struct Failure {
    at: Instant,
    error: DriverError,
}

/// No new connection can be had.
pub(super) struct Outage {
    pub(super) since: Instant,
    pub(super) error: DriverError,
    /// A connection that was there before answered after the outage began.
    answered: bool,
}

impl Line {
    pub(super) fn new(driver: Arc<dyn Driver>, attempts: Option<Arc<Attempts>>) -> Self {
        Line {
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

    /// Connects; while the server is away, only if no other attempt is under way and it is time for one.
    pub(super) fn connect(&self) -> Result<Link, DriverError> {
        let attempt = match self.attempts.as_deref().map(Attempts::begin) {
            Some(None) => return Err(self.known_error()),
            Some(attempt) => attempt,
            None => None,
        };
        // Before connecting: a loss while we connect makes this one suspect too.
        let generation = self.generation.load(Ordering::Acquire);
        match self.driver.connect() {
            Ok(connection) => {
                attempt.into_iter().for_each(|attempt| attempt.succeeded());
                self.end_outage();
                Ok(Link { connection, generation, used: false, spent: false, _counted: None })
            }
            Err(error) => {
                attempt.into_iter().for_each(|attempt| attempt.failed(&error, self.open.load(Ordering::Relaxed) > 0));
                self.mark_away(error.clone());
                Err(error)
            }
        }
    }

    /// Why no connection can be had, as far as that is known.
    fn known_error(&self) -> DriverError {
        match &*self.outage() {
            Some(outage) => outage.error.clone(),
            None => DriverError::Lost("another attempt to connect to it has not ended".into()),
        }
    }

    pub(super) fn outage(&self) -> MutexGuard<'_, Option<Outage>> {
        self.outage.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn end_outage(&self) {
        let mut outage = self.outage();
        *outage = None;
        self.in_outage.store(false, Ordering::Relaxed);
    }

    /// Takes note that no connection can be had.
    fn mark_away(&self, error: DriverError) {
        self.failed(error.clone());
        self.log_refusal(&error);
        let mut outage = self.outage();
        let (since, answered) = outage.as_ref().map_or_else(|| (Instant::now(), false), |o| (o.since, o.answered));
        *outage = Some(Outage { since, error, answered });
        self.in_outage.store(true, Ordering::Relaxed);
    }

    /// Takes note that a connection does not answer in time: until there is a new one, callers need not wait for it too.
    pub(super) fn mark_frozen(&self, error: DriverError) {
        self.attempts.iter().for_each(|attempts| attempts.limit());
        self.mark_away(error);
        self.outage().iter_mut().for_each(|outage| outage.answered = false);
    }

    /// Logs that the server is there and gives no connection: somebody may have to do something there.
    fn log_refusal(&self, error: &DriverError) {
        if self.attempts.is_none() || !error.is_refused_connection() {
            return;
        }
        let mut logged = self.logged.lock().unwrap_or_else(PoisonError::into_inner);
        if logged.is_none_or(|at| at.elapsed() >= LOG_PAUSE) {
            *logged = Some(Instant::now());
            tracing::warn!(host = self.driver.place(), %error, "this database server gives no new connection");
        }
    }

    pub(super) fn failed(&self, error: DriverError) {
        *self.last_failure.lock().unwrap_or_else(PoisonError::into_inner) = Some(Failure { at: Instant::now(), error });
    }

    /// Takes note of an answer to what was asked at `begin`.
    pub(super) fn answered_after(&self, begin: Instant) {
        let now = Instant::now();
        self.latency.store(nanoseconds(now - begin), Ordering::Relaxed);
        self.last_answer.store(nanoseconds(now - self.base), Ordering::Relaxed);
    }

    /// Returns true if there was an answer after `time`.
    pub(super) fn answered_since(&self, time: Instant) -> bool {
        self.last_answer.load(Ordering::Relaxed) > nanoseconds(time - self.base)
    }

    /// Takes note that a connection of the pool answered what was asked at `begin`.
    pub(super) fn answered(&self, begin: Instant) {
        self.answered_after(begin);
        if self.in_outage.load(Ordering::Relaxed) {
            self.outage().iter_mut().for_each(|outage| outage.answered = true);
        }
    }

    /// Returns true unless no connection can be had and none that exists answers.
    pub(super) fn serves(&self) -> bool {
        if !self.in_outage.load(Ordering::Relaxed) {
            return true;
        }
        let some = self.open.load(Ordering::Relaxed) > 0;
        self.outage().as_ref().is_none_or(|outage| some && (outage.answered || outage.error.is_refused_connection()))
    }

    /// Returns true if the server said last that it takes no further connection.
    fn is_full(&self) -> bool {
        self.outage().as_ref().is_some_and(|outage| matches!(outage.error, DriverError::Full(_)))
    }

    /// What is known of the server. Asks nobody.
    pub(super) fn state(&self) -> HostState {
        let latency = match self.latency.load(Ordering::Relaxed) {
            0 => None,
            nanoseconds => Some(Duration::from_nanos(nanoseconds)),
        };
        let failure = self.last_failure.lock().unwrap_or_else(PoisonError::into_inner);
        HostState {
            place: self.driver.place().to_owned(),
            role: Role::Unknown,
            live: self.serves() || self.is_full(),
            full: self.is_full(),
            latency,
            last_error: failure.as_ref().map(|failure| (failure.error.to_string(), failure.at.elapsed())),
        }
    }

    /// Takes note that a connection was lost.
    pub(super) fn lost(&self, link: &Link) {
        // Of many that are lost together, one counts: those made since must not become suspect.
        let next = link.generation + 1;
        let _ = self.generation.compare_exchange(link.generation, next, Ordering::AcqRel, Ordering::Relaxed);
    }

    pub(super) fn is_fit(&self, link: &Link) -> bool {
        !link.spent && !link.connection.is_broken() && link.generation >= self.generation.load(Ordering::Acquire)
    }
}

/// At least 1, so that 0 can mean none.
fn nanoseconds(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX).max(1)
}
