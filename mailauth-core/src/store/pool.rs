//! Connections to one host that are kept, and what happens when they turn out dead.
//!
//! A daemon keeps several, in an `r2d2` pool whose threads connect in the background; a command keeps one and starts no
//! thread. Nothing is asked of a kept connection before a read uses it: when it turns out dead, the read is done again,
//! once, on a fresh one. After the loss of one, all that were made before it are suspect, and are dropped rather than
//! tried. While the database is known to be away, callers are told so at once; `r2d2` goes on trying to connect, and
//! its first success ends the outage.

use super::driver::{Connection, Driver, DriverError, Standing};
use super::{HostState, Role};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// `r2d2` waits a growing while between two tries to connect, up to half of this.
const RETRY: Duration = Duration::from_secs(1);

/// How often a caller that waits for a connection looks whether it waits in vain.
const LOOK: Duration = Duration::from_millis(50);

/// For so long after the first sign of an outage, callers wait whether a new connection can be had.
const GRACE: Duration = Duration::from_millis(200);

/// How long a connection is kept: long enough not to matter.
const LIFETIME: Duration = Duration::from_secs(30 * 60);

pub(crate) struct Pool {
    line: Arc<Line>,
    kept: Kept,
    deadline: Duration,
}

enum Kept {
    Many(r2d2::Pool<Manager>),
    One(Mutex<Option<Link>>),
}

/// Work that could not be done.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Failed {
    pub(super) error: DriverError,
    /// There was a connection, and the work on it failed.
    pub(super) at_work: bool,
}

impl Failed {
    fn connecting(error: DriverError) -> Self {
        Failed { error, at_work: false }
    }

    fn working(error: DriverError) -> Self {
        Failed { error, at_work: true }
    }

    /// Could the same work be done on another host?
    pub(super) fn is_of_the_host(&self) -> bool {
        !self.at_work || matches!(self.error, DriverError::Lost(_) | DriverError::Timeout(_) | DriverError::Behind(_))
    }
}

/// A connection with what is known of it.
struct Link {
    connection: Box<dyn Connection>,
    generation: u64,
    /// It did its work before: it may have died since.
    used: bool,
    /// Not to be used again.
    spent: bool,
}

/// The way to the database, and what is known of it.
struct Line {
    driver: Arc<dyn Driver>,
    /// Connections of an earlier generation were made before one was lost.
    generation: AtomicU64,
    outage: Mutex<Option<Outage>>,
    last_failure: Mutex<Option<Failure>>,
    /// Of the last work that ended well, in nanoseconds; 0 before the first.
    latency: AtomicU64,
}

/// The last that went wrong, which stays to be asked for when all is well again.
struct Failure {
    at: Instant,
    error: DriverError,
}

struct Outage {
    since: Instant,
    error: DriverError,
}

impl Line {
    fn connect(&self) -> Result<Link, DriverError> {
        // Before connecting: a loss while we connect makes this one suspect too.
        let generation = self.generation.load(Ordering::Acquire);
        match self.driver.connect() {
            Ok(connection) => {
                *self.outage() = None;
                Ok(Link { connection, generation, used: false, spent: false })
            }
            Err(error) => {
                self.is_away(error.clone());
                Err(error)
            }
        }
    }

    fn outage(&self) -> MutexGuard<'_, Option<Outage>> {
        self.outage.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn is_away(&self, error: DriverError) {
        self.failed(error.clone());
        let mut outage = self.outage();
        let since = outage.as_ref().map_or_else(Instant::now, |outage| outage.since);
        *outage = Some(Outage { since, error });
    }

    fn failed(&self, error: DriverError) {
        *self.last_failure.lock().unwrap_or_else(PoisonError::into_inner) = Some(Failure { at: Instant::now(), error });
    }

    fn answered_after(&self, took: Duration) {
        let nanoseconds = u64::try_from(took.as_nanos()).unwrap_or(u64::MAX).max(1);
        self.latency.store(nanoseconds, Ordering::Relaxed);
    }

    /// Takes note that a connection was lost.
    fn lost(&self, link: &Link) {
        // Of many that are lost together, one counts: those made since must not become suspect.
        let next = link.generation + 1;
        let _ = self.generation.compare_exchange(link.generation, next, Ordering::AcqRel, Ordering::Relaxed);
    }

    fn is_fit(&self, link: &Link) -> bool {
        !link.spent && !link.connection.is_broken() && link.generation >= self.generation.load(Ordering::Acquire)
    }
}

/// How `r2d2` makes and judges connections.
struct Manager(Arc<Line>);

impl r2d2::ManageConnection for Manager {
    type Connection = Link;
    type Error = DriverError;

    fn connect(&self) -> Result<Link, DriverError> {
        self.0.connect()
    }

    fn is_valid(&self, link: &mut Link) -> Result<(), DriverError> {
        link.connection.ping()
    }

    fn has_broken(&self, link: &mut Link) -> bool {
        !self.0.is_fit(link)
    }
}

/// A connection in use.
pub(super) struct Lease(Held);

enum Held {
    Pooled(r2d2::PooledConnection<Manager>),
    Owned(Link),
}

impl Lease {
    fn link(&mut self) -> &mut Link {
        match &mut self.0 {
            Held::Pooled(pooled) => pooled,
            Held::Owned(link) => link,
        }
    }
}

impl Pool {
    /// Keeps up to `size` connections. Connects when the first is asked for.
    pub(crate) fn many(driver: Arc<dyn Driver>, size: usize, deadline: Duration) -> Self {
        let line = Arc::new(Line::new(driver));
        let pool = r2d2::Pool::builder()
            .max_size(u32::try_from(size).unwrap_or(u32::MAX).max(1))
            .min_idle(Some(0))
            .max_lifetime(Some(LIFETIME))
            .connection_timeout(RETRY)
            .test_on_check_out(false)
            .error_handler(Box::new(r2d2::NopErrorHandler))
            .build_unchecked(Manager(line.clone()));
        Pool { line, kept: Kept::Many(pool), deadline }
    }

    /// Keeps one connection, and starts no thread.
    pub(crate) fn one(driver: Arc<dyn Driver>, deadline: Duration) -> Self {
        Pool { line: Arc::new(Line::new(driver)), kept: Kept::One(Mutex::new(None)), deadline }
    }

    pub(crate) fn driver(&self) -> &dyn Driver {
        &*self.line.driver
    }

    /// Runs `work`, which only reads: once more on a fresh connection when the first turns out dead.
    pub(super) fn read<T>(
        &self,
        mut work: impl FnMut(&mut dyn Connection) -> Result<T, DriverError>,
    ) -> Result<T, Failed> {
        let start = Instant::now();
        let lease = self.acquire(start).map_err(Failed::connecting)?;
        let outcome = match self.run(lease, &mut work) {
            Err(DriverError::Lost(_)) if start.elapsed() < self.deadline => {
                let lease = self.acquire(start).map_err(Failed::connecting)?;
                self.run(lease, &mut work)
            }
            outcome => outcome,
        };
        outcome.map_err(Failed::working)
    }

    /// A connection for a write, with a sign of life: a write whose outcome is unknown cannot be done again.
    pub(super) fn writable(&self) -> Result<Lease, DriverError> {
        self.living(|link| if link.used { link.connection.ping() } else { Ok(()) }).map(|(lease, ())| lease)
    }

    /// A connection whose host said just now what it can be used for.
    pub(super) fn standing(&self) -> Result<(Lease, Standing), DriverError> {
        self.living(|link| {
            let begin = Instant::now();
            let standing = link.connection.standing()?;
            self.line.answered_after(begin.elapsed());
            Ok(standing)
        })
    }

    /// A connection that gave this sign of life; a fresh one where a kept one is dead.
    fn living<T>(&self, sign: impl Fn(&mut Link) -> Result<T, DriverError>) -> Result<(Lease, T), DriverError> {
        let start = Instant::now();
        let mut again = true;
        loop {
            let mut lease = self.acquire(start)?;
            let link = lease.link();
            let was_kept = link.used;
            match sign(link) {
                Ok(said) => return Ok((lease, said)),
                Err(error) => {
                    self.note(link, &error);
                    if !was_kept || !again || start.elapsed() >= self.deadline {
                        return Err(error);
                    }
                    again = false;
                }
            }
        }
    }

    /// Gives back a connection that did its work.
    pub(super) fn give_back(&self, mut lease: Lease) {
        lease.link().used = true;
        if let (Held::Owned(link), Kept::One(slot)) = (lease.0, &self.kept)
            && self.line.is_fit(&link)
        {
            *slot.lock().unwrap_or_else(PoisonError::into_inner) = Some(link);
        }
    }

    /// Is it known that no connection can be had now?
    pub(super) fn is_away(&self) -> bool {
        self.line.outage().is_some()
    }

    /// Runs `work` once.
    pub(super) fn run<T>(
        &self,
        mut lease: Lease,
        work: impl FnOnce(&mut dyn Connection) -> Result<T, DriverError>,
    ) -> Result<T, DriverError> {
        let link = lease.link();
        let begin = Instant::now();
        let outcome = work(&mut *link.connection);
        if outcome.is_ok() {
            self.line.answered_after(begin.elapsed());
        }
        if let Err(error) = &outcome {
            self.note(link, error);
        }
        self.give_back(lease);
        outcome
    }

    /// Draws the conclusions of an error on `link`.
    fn note(&self, link: &mut Link, error: &DriverError) {
        if !link.connection.is_broken() {
            return;
        }
        link.spent = true;
        if matches!(error, DriverError::Behind(_)) {
            return;
        }
        self.line.lost(link);
        self.line.failed(error.clone());
        if matches!(error, DriverError::Timeout(_)) {
            // It does not answer: until somebody gets a new connection, nobody need wait for it as we did.
            self.line.is_away(error.clone());
        }
    }

    /// A connection that is fit for use, as far as is known. Waits until the deadline after `start` at most.
    fn acquire(&self, start: Instant) -> Result<Lease, DriverError> {
        match &self.kept {
            Kept::One(slot) => {
                let kept = slot.lock().unwrap_or_else(PoisonError::into_inner).take();
                match kept.filter(|link| self.line.is_fit(link)) {
                    Some(link) => Ok(Lease(Held::Owned(link))),
                    None => self.line.connect().map(|link| Lease(Held::Owned(link))),
                }
            }
            Kept::Many(pool) => self.check_out(pool, start).map(|pooled| Lease(Held::Pooled(pooled))),
        }
    }

    fn check_out(
        &self,
        pool: &r2d2::Pool<Manager>,
        start: Instant,
    ) -> Result<r2d2::PooledConnection<Manager>, DriverError> {
        loop {
            // An unfit connection is dropped when it goes back, so there are no more rounds than kept connections.
            while let Some(pooled) = pool.try_get() {
                if self.line.is_fit(&pooled) {
                    return Ok(pooled);
                }
            }
            let left = self.deadline.saturating_sub(start.elapsed());
            let verdict = self.verdict(pool, left);
            // Asking with no time at all still makes the pool connect, if nothing else does: this ends an outage.
            let wait = if verdict.is_none() { left.min(LOOK) } else { Duration::ZERO };
            match (pool.get_timeout(wait), verdict) {
                (Ok(pooled), _) if self.line.is_fit(&pooled) => return Ok(pooled),
                (_, Some(error)) => return Err(error),
                _ => {}
            }
        }
    }

    /// Why a caller who finds no connection need not wait for one.
    fn verdict(&self, pool: &r2d2::Pool<Manager>, left: Duration) -> Option<DriverError> {
        if let Some(outage) = &*self.line.outage() {
            // A server that refuses one more connection still serves those that are out, and they come back.
            let served = matches!(outage.error, DriverError::Refused { .. }) && pool.state().connections > 0;
            if left.is_zero() || (outage.since.elapsed() > GRACE && !served) {
                return Some(outage.error.clone());
            }
        }
        left.is_zero().then_some(DriverError::Timeout(self.deadline))
    }

    /// What is known of the server. Asks nobody.
    pub(crate) fn state(&self) -> HostState {
        let latency = match self.line.latency.load(Ordering::Relaxed) {
            0 => None,
            nanoseconds => Some(Duration::from_nanos(nanoseconds)),
        };
        let failure = self.line.last_failure.lock().unwrap_or_else(PoisonError::into_inner);
        HostState {
            place: self.driver().place().to_owned(),
            role: Role::Unknown,
            live: !self.is_away(),
            latency,
            last_error: failure.as_ref().map(|failure| (failure.error.to_string(), failure.at.elapsed())),
        }
    }
}

impl Line {
    fn new(driver: Arc<dyn Driver>) -> Self {
        Line {
            driver,
            generation: AtomicU64::new(0),
            outage: Mutex::new(None),
            last_failure: Mutex::new(None),
            latency: AtomicU64::new(0),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::fake::{Fake, FakeDriver, touch};
    use super::*;

    const DEADLINE: Duration = Duration::from_secs(2);

    fn pools() -> [(Arc<Fake>, Pool); 2] {
        let (one, many) = (Arc::new(Fake::default()), Arc::new(Fake::default()));
        let single = Pool::one(Arc::new(FakeDriver(one.clone())), DEADLINE);
        let pooled = Pool::many(Arc::new(FakeDriver(many.clone())), 4, DEADLINE);
        [(one, single), (many, pooled)]
    }

    /// Has all four connections of a pool made, and gives them back.
    fn fill(pool: &Pool) {
        let all = std::sync::Barrier::new(4);
        std::thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| {
                    pool.read(|_| {
                        all.wait();
                        Ok(())
                    })
                });
            }
        });
    }

    #[test]
    fn a_dead_kept_connection_costs_a_read_nothing() {
        for (fake, pool) in pools() {
            pool.read(touch).unwrap();
            fake.restart();
            pool.read(touch).unwrap();
            assert_eq!(fake.failed(), 1);
        }
    }

    #[test]
    fn a_read_is_done_twice_at_most_and_a_write_once() {
        for (_, pool) in pools() {
            let mut tries = 0;
            let lost = || DriverError::Lost("again".into());
            let read: Result<(), _> = pool.read(|_| {
                tries += 1;
                Err(lost())
            });
            assert_eq!(read, Err(Failed::working(lost())));
            assert_eq!(tries, 2);
            let write: Result<(), _> = pool.run(pool.writable().unwrap(), |_| {
                tries += 1;
                Err(lost())
            });
            assert!(write.is_err());
            assert_eq!(tries, 3);
        }
    }

    #[test]
    fn a_write_on_a_dead_kept_connection_is_not_even_tried() {
        for (fake, pool) in pools() {
            pool.read(touch).unwrap();
            fake.restart();
            pool.run(pool.writable().unwrap(), touch).unwrap();
            assert_eq!((fake.pings.load(Ordering::SeqCst), fake.failed()), (1, 1), "the ping failed, and nothing else");
        }
    }

    #[test]
    fn reads_are_not_preceded_by_pings() {
        for (fake, pool) in pools() {
            (0..10).for_each(|_| pool.read(touch).unwrap());
            assert_eq!((fake.pings.load(Ordering::SeqCst), fake.connects.load(Ordering::SeqCst)), (0, 1));
        }
    }

    #[test]
    fn after_one_loss_all_older_connections_are_dropped_untried() {
        let [_, (fake, pool)] = pools();
        fill(&pool);
        fake.restart();
        (0..20).for_each(|_| pool.read(touch).unwrap());
        fill(&pool);
        assert_eq!(fake.failed(), 1);
    }

    #[test]
    fn an_outage_is_told_at_once_and_ends_by_itself() {
        let [_, (fake, pool)] = pools();
        pool.read(touch).unwrap();
        fake.away.store(true, Ordering::SeqCst);
        fake.restart();
        assert!(pool.read(touch).is_err());
        let start = Instant::now();
        (0..100).for_each(|_| assert!(pool.read(touch).is_err()));
        assert!(start.elapsed() < DEADLINE / 2, "{:?}", start.elapsed());
        fake.away.store(false, Ordering::SeqCst);
        while pool.read(touch).is_err() {
            assert!(start.elapsed() < Duration::from_secs(10), "no recovery");
            std::thread::sleep(Duration::from_millis(10));
        }
    }

    #[test]
    fn the_state_tells_of_an_outage_and_remembers_what_it_was() {
        for (fake, pool) in pools() {
            let fresh = pool.state();
            assert_eq!((fresh.place.as_str(), fresh.live, fresh.latency, fresh.last_error), ("fake", true, None, None));
            pool.read(touch).unwrap();
            assert!(pool.state().latency.is_some());
            fake.away.store(true, Ordering::SeqCst);
            fake.restart();
            assert!(pool.read(touch).is_err());
            let away = pool.state();
            assert!(!away.live && away.last_error.is_some_and(|(what, _)| what == "away"));
            fake.away.store(false, Ordering::SeqCst);
            let start = Instant::now();
            while pool.read(touch).is_err() {
                assert!(start.elapsed() < Duration::from_secs(10), "no recovery");
                std::thread::sleep(Duration::from_millis(10));
            }
            let back = pool.state();
            assert!(back.live && back.last_error.is_some_and(|(what, ago)| what == "away" && ago > Duration::ZERO));
        }
    }

    #[test]
    fn who_finds_the_server_full_waits_for_a_connection_that_is_out() {
        let [_, (fake, pool)] = pools();
        pool.read(touch).unwrap();
        fake.full.store(true, Ordering::SeqCst);
        std::thread::scope(|scope| {
            for _ in 0..8 {
                scope.spawn(|| {
                    pool.read(|connection| {
                        std::thread::sleep(Duration::from_millis(60));
                        touch(connection)
                    })
                    .unwrap();
                });
            }
        });
    }
}
