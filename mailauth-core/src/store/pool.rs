//! Connections to one host that are kept, and what happens when they turn out dead.
//!
//! A daemon keeps several, in an `r2d2` pool whose threads connect in the background; a command keeps one and starts no
//! thread. Nothing is asked of a kept connection before a read uses it: when it turns out dead, the read is done again,
//! once, on a fresh one. After the loss of one, all that were made before it are suspect, and are dropped rather than
//! tried. While the database is known to be away, callers are told so at once; `r2d2` goes on trying to connect, one attempt
//! at a time and with growing pauses, and its first success ends the outage.
//!
//! A server that gives no further connection, because it is full or refuses us, is not away as long as connections that it
//! gave before still work: callers wait for one of those.

mod line;
mod probe;

pub(super) use probe::Probe;

use super::HostState;
use super::attempts::Attempts;
use super::driver::{Connection, Driver, DriverError, Standing};
use line::{Line, Link};
use std::sync::{Arc, Mutex, PoisonError};
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
        !self.at_work
            || matches!(
                self.error,
                DriverError::Lost(_) | DriverError::Timeout(_) | DriverError::Cancelled(_) | DriverError::Behind(_)
            )
    }
}

/// How `r2d2` makes and judges connections.
struct Manager(Arc<Line>);

impl r2d2::ManageConnection for Manager {
    type Connection = Link;
    type Error = DriverError;

    fn connect(&self) -> Result<Link, DriverError> {
        self.0.connect().map(|link| link.counted(&self.0))
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
        let attempts = Attempts::of(driver.server_name());
        let line = Arc::new(Line::new(driver, Some(attempts)));
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
        Pool { line: Arc::new(Line::new(driver, None)), kept: Kept::One(Mutex::new(None)), deadline }
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
            self.line.answered(begin);
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
            let begin = Instant::now();
            match sign(link) {
                Ok(said) => return Ok((lease, said)),
                Err(error) => {
                    self.note(link, &error, begin);
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

    /// Returns true unless it is known that no connection can be had now, and none that exists answers.
    pub(super) fn serves(&self) -> bool {
        self.line.serves()
    }

    /// Returns true if the server answered anything after `time`.
    pub(super) fn answered_since(&self, time: Instant) -> bool {
        self.line.answered_since(time)
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
        match &outcome {
            Ok(_) => self.line.answered(begin),
            Err(error) => self.note(link, error, begin),
        }
        self.give_back(lease);
        outcome
    }

    /// Draws the conclusions of an error on `link`, at work that began at `begin`.
    fn note(&self, link: &mut Link, error: &DriverError, begin: Instant) {
        if !link.connection.is_broken() {
            return;
        }
        link.spent = true;
        if matches!(error, DriverError::Behind(_)) {
            return;
        }
        if !matches!(error, DriverError::Timeout(_)) {
            self.line.lost(link);
            self.line.failed(error.clone());
        } else if self.line.answered_since(begin) {
            // One statement was slow. Others were answered meanwhile, so the server does not hang.
            self.line.failed(error.clone());
        } else {
            self.line.lost(link);
            self.line.mark_frozen(error.clone());
        }
    }

    /// A connection that is fit for use, as far as is known. Waits until the deadline after `start` at most.
    fn acquire(&self, start: Instant) -> Result<Lease, DriverError> {
        match &self.kept {
            Kept::One(slot) => {
                let kept = slot.lock().unwrap_or_else(PoisonError::into_inner).take();
                match kept.filter(|link| self.line.is_fit(link)) {
                    Some(link) => Ok(Lease(Held::Owned(link))),
                    None => self.line.connect().map(|link| Lease(Held::Owned(link.counted(&self.line)))),
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
            let verdict = self.verdict(left);
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
    fn verdict(&self, left: Duration) -> Option<DriverError> {
        // A server that gives no more connections still serves those that are out, and they come back.
        let served = self.line.serves();
        if let Some(outage) = &*self.line.outage()
            && (left.is_zero() || (outage.since.elapsed() > GRACE && !served))
        {
            return Some(outage.error.clone());
        }
        left.is_zero().then_some(DriverError::Timeout(self.deadline))
    }

    /// What is known of the server. Asks nobody.
    pub(crate) fn state(&self) -> HostState {
        self.line.state()
    }
}

#[cfg(test)]
mod tests {
    use super::super::fake::{Fake, FakeDriver, touch};
    use super::*;
    use std::sync::atomic::Ordering;

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
            assert!(start.elapsed() < Duration::from_secs(60), "no recovery");
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
                assert!(start.elapsed() < Duration::from_secs(60), "no recovery");
                std::thread::sleep(Duration::from_millis(10));
            }
            let back = pool.state();
            assert!(back.live && back.last_error.is_some_and(|(what, ago)| what == "away" && ago > Duration::ZERO));
        }
    }

    #[test]
    fn a_server_that_is_full_is_live_and_asked_for_more_ever_less_often() {
        let [_, (fake, pool)] = pools();
        pool.read(touch).unwrap();
        fake.full.store(true, Ordering::SeqCst);
        let start = Instant::now();
        while start.elapsed() < Duration::from_secs(3) {
            std::thread::scope(|scope| {
                for _ in 0..8 {
                    scope.spawn(|| pool.read(touch).unwrap());
                }
            });
            std::thread::sleep(Duration::from_millis(1));
        }
        assert!(pool.serves() && pool.state().live && pool.state().full);
        let asked = fake.connects.load(Ordering::SeqCst);
        // The first connection, all eight at once when it is found full, and then with pauses that double from 50 ms.
        assert!((2..=16).contains(&asked), "connected {asked} times");
        fake.full.store(false, Ordering::SeqCst);
        fill(&pool);
        assert!(!pool.state().full);
    }

    #[test]
    fn a_server_that_is_full_before_it_gave_a_connection_is_told_at_once() {
        for (fake, pool) in pools() {
            fake.full.store(true, Ordering::SeqCst);
            let failed = pool.read(touch).unwrap_err();
            assert_eq!(failed.error, DriverError::Full("too many connections".into()));
            assert!(!pool.serves() && pool.state().full && pool.state().live);
            let start = Instant::now();
            assert!(pool.read(touch).is_err() && start.elapsed() < DEADLINE, "{:?}", start.elapsed());
        }
    }

    #[test]
    fn while_a_server_is_away_it_is_connected_to_by_one_at_a_time() {
        let [_, (fake, pool)] = pools();
        fake.connect_takes.store(300, Ordering::SeqCst);
        fake.away.store(true, Ordering::SeqCst);
        assert!(pool.read(touch).is_err());
        fake.most_at_once.store(0, Ordering::SeqCst);
        let before = fake.connects.load(Ordering::SeqCst);
        let start = Instant::now();
        while start.elapsed() < Duration::from_secs(4) {
            std::thread::scope(|scope| {
                for _ in 0..8 {
                    scope.spawn(|| assert!(pool.read(touch).is_err()));
                }
            });
            std::thread::sleep(Duration::from_millis(5));
        }
        assert!(fake.most_at_once.load(Ordering::SeqCst) <= 1, "{:?}", fake.most_at_once);
        let tried = fake.connects.load(Ordering::SeqCst) - before;
        assert!((2..=9).contains(&tried), "{tried} attempts in 4 s");
    }

    #[test]
    fn one_slow_statement_among_others_does_not_make_an_outage() {
        let [_, (_, pool)] = pools();
        std::thread::scope(|scope| {
            let slow = scope.spawn(|| {
                pool.read(|connection| {
                    std::thread::sleep(Duration::from_millis(100));
                    connection.batch("break")?;
                    Err::<(), _>(DriverError::Timeout(DEADLINE))
                })
            });
            while !slow.is_finished() {
                pool.read(touch).unwrap();
            }
            assert_eq!(slow.join().unwrap().unwrap_err().error, DriverError::Timeout(DEADLINE));
        });
        assert!(pool.state().live && pool.serves());
        pool.read(touch).unwrap();
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
