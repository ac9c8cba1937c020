//! A pool of connections to one host, and the handling of connections that turn out to be dead.
//!
//! A daemon keeps several connections in an `r2d2` pool with threads that connect in the background; a command keeps
//! one and starts no thread. A pooled connection is not tested before a read uses it: if it turns out to be dead, the
//! read is run again, once, on a new connection. After one connection is lost, all that are older are suspect, and are
//! dropped without being tried. While the database is known to be down, callers get the error at once; `r2d2` keeps
//! trying to connect, one attempt at a time and with growing pauses, and the first success ends the outage.
//!
//! A server that accepts no further connections, because it is full or rejects us, is not down as long as existing
//! connections still work: callers wait for one of those.

mod link;
mod probe;
#[cfg(test)]
mod tests;

pub(in crate::store) use probe::Probe;

use crate::store::HostState;
use crate::store::driver::{Connection, Driver, DriverError, ServerRole};
use crate::store::hosts::attempts::Attempts;
use crate::sync::Mutex;
use link::{HostLink, TrackedConnection};
use std::sync::Arc;
use std::time::{Duration, Instant};

/// Connection timeout of `r2d2`. Its growing pauses between two attempts to connect are at most half of this.
const R2D2_TIMEOUT: Duration = Duration::from_secs(1);

/// Interval at which a caller that waits for a connection checks whether waiting is still useful.
const CHECK_INTERVAL: Duration = Duration::from_millis(50);

/// Time after the first sign of an outage during which callers still wait for a new connection.
const GRACE: Duration = Duration::from_millis(200);

/// Maximum age of a pooled connection, long enough for reconnecting not to matter.
const LIFETIME: Duration = Duration::from_secs(30 * 60);

/// A pool of connections to one host.
pub(crate) struct Pool {
    link: Arc<HostLink>,
    connections: Connections,
    deadline: Duration,
}

/// The connections that a pool keeps.
enum Connections {
    /// The connections of a daemon.
    Pooled(r2d2::Pool<Manager>),
    /// The single connection of a command.
    Single(Mutex<Option<TrackedConnection>>),
}

/// The failure of some work on a connection.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::store) struct ReadFailure {
    pub(in crate::store) error: DriverError,
    /// True if there was a connection and the work on it failed; false if connecting failed.
    pub(in crate::store) at_work: bool,
}

impl ReadFailure {
    fn connecting(error: DriverError) -> Self {
        ReadFailure { error, at_work: false }
    }

    fn working(error: DriverError) -> Self {
        ReadFailure { error, at_work: true }
    }

    /// Returns true if the same work may succeed on another host.
    pub(in crate::store) fn may_succeed_elsewhere(&self) -> bool {
        !self.at_work
            || matches!(
                self.error,
                DriverError::Lost(_) | DriverError::Timeout(_) | DriverError::Cancelled(_) | DriverError::Behind(_)
            )
    }
}

/// Makes and checks connections for `r2d2`.
struct Manager(Arc<HostLink>);

impl r2d2::ManageConnection for Manager {
    type Connection = TrackedConnection;
    type Error = DriverError;

    fn connect(&self) -> Result<TrackedConnection, DriverError> {
        self.0.connect().map(|tracked| tracked.counted(&self.0))
    }

    fn is_valid(&self, tracked: &mut TrackedConnection) -> Result<(), DriverError> {
        tracked.connection.ping()
    }

    fn has_broken(&self, tracked: &mut TrackedConnection) -> bool {
        !self.0.is_usable(tracked)
    }
}

/// A connection that is checked out of the pool.
pub(in crate::store) struct Lease(Held);

enum Held {
    Pooled(r2d2::PooledConnection<Manager>),
    Owned(TrackedConnection),
}

impl Lease {
    fn tracked(&mut self) -> &mut TrackedConnection {
        match &mut self.0 {
            Held::Pooled(pooled) => pooled,
            Held::Owned(tracked) => tracked,
        }
    }
}

impl Pool {
    /// Creates a pool of up to `size` connections. It connects when the first one is needed.
    pub(crate) fn pooled(driver: Arc<dyn Driver>, size: usize, deadline: Duration) -> Self {
        let attempts = Attempts::of(driver.server_name());
        let link = Arc::new(HostLink::new(driver, Some(attempts)));
        let pool = r2d2::Pool::builder()
            .max_size(u32::try_from(size).unwrap_or(u32::MAX).max(1))
            .min_idle(Some(0))
            .max_lifetime(Some(LIFETIME))
            .connection_timeout(R2D2_TIMEOUT)
            .test_on_check_out(false)
            .error_handler(Box::new(r2d2::NopErrorHandler))
            .build_unchecked(Manager(link.clone()));
        Pool { link, connections: Connections::Pooled(pool), deadline }
    }

    /// Creates a pool of one connection that starts no thread.
    pub(crate) fn single(driver: Arc<dyn Driver>, deadline: Duration) -> Self {
        Pool {
            link: Arc::new(HostLink::new(driver, None)),
            connections: Connections::Single(Mutex::new(None)),
            deadline,
        }
    }

    /// Returns the driver that makes the connections.
    pub(crate) fn driver(&self) -> &dyn Driver {
        &*self.link.driver
    }

    /// Runs `work`, which only reads; runs it once more on a new connection if the first turns out to be dead.
    pub(in crate::store) fn read<T>(
        &self,
        mut work: impl FnMut(&mut dyn Connection) -> Result<T, DriverError>,
    ) -> Result<T, ReadFailure> {
        let start = Instant::now();
        let lease = self.acquire(start).map_err(ReadFailure::connecting)?;
        let outcome = match self.run(lease, &mut work) {
            Err(DriverError::Lost(_)) if start.elapsed() < self.deadline => {
                let lease = self.acquire(start).map_err(ReadFailure::connecting)?;
                self.run(lease, &mut work)
            }
            outcome => outcome,
        };
        outcome.map_err(ReadFailure::working)
    }

    /// Returns a connection for a write, after checking that the server answers on it: a write with an unknown outcome
    /// cannot be repeated.
    pub(in crate::store) fn writable(&self) -> Result<Lease, DriverError> {
        self.checked(|tracked| if tracked.used { tracked.connection.ping() } else { Ok(()) }).map(|(lease, ())| lease)
    }

    /// Asks the host for its current role; returns it with the connection that was used.
    pub(in crate::store) fn role(&self) -> Result<(Lease, ServerRole), DriverError> {
        self.checked(|tracked| {
            let begin = Instant::now();
            let role = tracked.connection.role()?;
            self.link.record_pool_answer(begin);
            Ok(role)
        })
    }

    /// Returns a connection on which `sign` succeeded; a new one if a pooled one is dead.
    fn checked<T>(
        &self,
        sign: impl Fn(&mut TrackedConnection) -> Result<T, DriverError>,
    ) -> Result<(Lease, T), DriverError> {
        let start = Instant::now();
        let mut again = true;
        loop {
            let mut lease = self.acquire(start)?;
            let tracked = lease.tracked();
            let was_kept = tracked.used;
            let begin = Instant::now();
            match sign(tracked) {
                Ok(said) => return Ok((lease, said)),
                Err(error) => {
                    self.record_error(tracked, &error, begin);
                    if !was_kept || !again || start.elapsed() >= self.deadline {
                        return Err(error);
                    }
                    again = false;
                }
            }
        }
    }

    /// Returns a connection to the pool after use.
    pub(in crate::store) fn give_back(&self, mut lease: Lease) {
        lease.tracked().used = true;
        if let (Held::Owned(tracked), Connections::Single(slot)) = (lease.0, &self.connections)
            && self.link.is_usable(&tracked)
        {
            *slot.lock() = Some(tracked);
        }
    }

    /// Returns false if it is known that connecting fails and no existing connection answers.
    pub(in crate::store) fn serves(&self) -> bool {
        self.link.serves()
    }

    /// Returns true if the server answered anything after `time`.
    pub(in crate::store) fn answered_since(&self, time: Instant) -> bool {
        self.link.answered_since(time)
    }

    /// Runs `work` once, and returns the connection to the pool.
    pub(in crate::store) fn run<T>(
        &self,
        mut lease: Lease,
        work: impl FnOnce(&mut dyn Connection) -> Result<T, DriverError>,
    ) -> Result<T, DriverError> {
        let tracked = lease.tracked();
        let begin = Instant::now();
        let outcome = work(&mut *tracked.connection);
        match &outcome {
            Ok(_) => self.link.record_pool_answer(begin),
            Err(error) => self.record_error(tracked, error, begin),
        }
        self.give_back(lease);
        outcome
    }

    /// Records what an error on `tracked`, in work that began at `begin`, says about the connection and the host.
    fn record_error(&self, tracked: &mut TrackedConnection, error: &DriverError, begin: Instant) {
        if !tracked.connection.is_broken() {
            return;
        }
        tracked.spent = true;
        if matches!(error, DriverError::Behind(_)) {
            return;
        }
        if !matches!(error, DriverError::Timeout(_)) {
            self.link.mark_lost(tracked);
            self.link.record_failure(error.clone());
        } else if self.link.answered_since(begin) {
            // One statement was slow. Others were answered meanwhile, so the server does not hang.
            self.link.record_failure(error.clone());
        } else {
            self.link.mark_lost(tracked);
            self.link.mark_frozen(error.clone());
        }
    }

    /// Returns a connection that is usable as far as is known. Waits at most until the deadline counted from `start`.
    fn acquire(&self, start: Instant) -> Result<Lease, DriverError> {
        match &self.connections {
            Connections::Single(slot) => {
                let kept = slot.lock().take();
                match kept.filter(|tracked| self.link.is_usable(tracked)) {
                    Some(tracked) => Ok(Lease(Held::Owned(tracked))),
                    None => self.link.connect().map(|tracked| Lease(Held::Owned(tracked.counted(&self.link)))),
                }
            }
            Connections::Pooled(pool) => self.check_out(pool, start).map(|pooled| Lease(Held::Pooled(pooled))),
        }
    }

    /// Takes a usable connection from the `r2d2` pool, and waits for one at most until the deadline counted from
    /// `start`.
    fn check_out(
        &self,
        pool: &r2d2::Pool<Manager>,
        start: Instant,
    ) -> Result<r2d2::PooledConnection<Manager>, DriverError> {
        loop {
            // An unusable connection is dropped on its return, so this takes at most one round per pooled connection.
            while let Some(pooled) = pool.try_get() {
                if self.link.is_usable(&pooled) {
                    return Ok(pooled);
                }
            }
            let left = self.deadline.saturating_sub(start.elapsed());
            let give_up = self.give_up(left);
            // A call with a zero timeout still makes the pool connect, if nothing else does: this ends an outage.
            let wait = if give_up.is_none() { left.min(CHECK_INTERVAL) } else { Duration::ZERO };
            match (pool.get_timeout(wait), give_up) {
                (Ok(pooled), _) if self.link.is_usable(&pooled) => return Ok(pooled),
                (_, Some(error)) => return Err(error),
                _ => {}
            }
        }
    }

    /// Returns the error for a caller that finds no connection; `None` if it should wait for one.
    fn give_up(&self, left: Duration) -> Option<DriverError> {
        // A server that accepts no more connections still serves those in use, and they are returned to the pool.
        let served = self.link.serves();
        if let Some(outage) = &*self.link.outage()
            && (left.is_zero() || (outage.since.elapsed() > GRACE && !served))
        {
            return Some(outage.error.clone());
        }
        left.is_zero().then_some(DriverError::Timeout(self.deadline))
    }

    /// Returns the last known state of the host, without asking it.
    pub(crate) fn state(&self) -> HostState {
        self.link.state()
    }
}
