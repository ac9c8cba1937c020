//! The hosts that hold one database, and the choice of the host for each read and write.
//!
//! Reads go to the first available host in the configured order; a host is available if it answered the last time it
//! was used. If the read fails there, the next host is tried within the same deadline, of which each attempt gets a
//! share. Writes go to the first host that reports at that moment that it is writable, and are sent once. If no host is
//! available, all are tried. Reads retry while the last host has only just become unavailable, because that may be over
//! soon: a Galera cluster has no quorum while a node joins or leaves.
//!
//! A daemon with several hosts probes each of them about once a second, on a separate thread and connection. So a host
//! that came back or was promoted is used within seconds, and a host that accepts connections and then hangs is
//! avoided. Because of the separate connection, the probe does not compete with the pool when the server is at its
//! connection limit. A full host is available as long as the pool's connections to it work. A command probes the hosts
//! when it starts, and reads from the host that it would write to.

mod attempts;
pub(super) mod pool;
pub(super) mod recent_changes;

use crate::store::driver::rights::denied::Asker;
use crate::store::driver::{Connection, Driver, DriverError, Refusal, Standing};
use crate::store::{HostState, Role, StoreError, jitter};
use crate::sync::{Mutex, MutexGuard};
use pool::{Lease, Pool, Probe};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::mpsc::{RecvTimeoutError, Sender, channel};
use std::sync::{Arc, OnceLock};
use std::thread::Builder;
use std::time::{Duration, Instant};

/// Interval between two probes of a host, and its random extension, so that many daemons do not probe in step.
const ROUND: Duration = Duration::from_millis(800);
const JITTER: Duration = Duration::from_millis(400);

/// Time after the last host became unavailable during which reads retry, and the pause between two tries.
const GRACE: Duration = Duration::from_millis(500);
const PAUSE: Duration = Duration::from_millis(50);

/// The hosts of one database.
pub(crate) struct Hosts {
    hosts: Vec<Arc<Host>>,
    /// Name of the whole database for messages.
    place: String,
    deadline: Duration,
    /// Writes the advice about missing privileges; `None` if the database has no users.
    asker: Option<Asker>,
    /// True for a command, which starts no threads.
    alone: bool,
    /// Set once a command has probed the hosts.
    asked: OnceLock<()>,
    /// Dropping these ends the probing threads.
    _stop: Vec<Sender<()>>,
}

struct Host {
    pool: Pool,
    /// Connection of the probing thread; `None` for a command.
    probe: Option<Probe>,
    known: Mutex<Known>,
}

/// The last known state of a host.
struct Known {
    role: Role,
    /// Time at which it stopped answering; `None` if it answered last or was not used yet.
    unfit: Option<Instant>,
}

/// The host that a read prefers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::store) enum Wish {
    /// The first in the configured order.
    Any,
    /// A writable one, which has all changes; any other if there is none.
    Primary,
}

impl Host {
    fn known(&self) -> MutexGuard<'_, Known> {
        self.known.lock()
    }

    fn place(&self) -> &str {
        self.pool.driver().place()
    }

    fn is_fit(&self) -> bool {
        self.known().unfit.is_none() && self.pool.serves()
    }

    /// Asks the host for its role; returns it with the connection that was used.
    fn ask(&self) -> Result<(Lease, Role), DriverError> {
        let begin = Instant::now();
        match self.pool.standing() {
            Ok((lease, standing)) => Ok((lease, self.mark_fit(standing))),
            Err(error) => {
                self.mark_unfit(&error, begin);
                Err(error)
            }
        }
    }

    /// Asks the host for its role, on the probe's connection if there is one.
    fn probe(&self) {
        let begin = Instant::now();
        let Some(probe) = &self.probe else {
            if let Ok((lease, _)) = self.ask() {
                self.pool.give_back(lease);
            }
            return;
        };
        match probe.standing(&self.pool) {
            Ok(standing) => drop(self.mark_fit(standing)),
            Err(error) => self.mark_unfit(&error, begin),
        }
    }

    /// Records that the host answered with this role.
    fn mark_fit(&self, standing: Standing) -> Role {
        let role = match standing {
            Standing::Primary => Role::Primary,
            Standing::Replica => Role::Replica,
        };
        let mut known = self.known();
        if known.role != role && known.role != Role::Unknown {
            tracing::warn!(host = self.place(), "this database host is now a {role}");
        }
        if known.unfit.take().is_some() {
            tracing::info!(host = self.place(), "this database host answers again");
        }
        known.role = role;
        role
    }

    /// Records that the host failed, so that others are preferred until it answers again. Errors that say nothing about
    /// the host are ignored: it is full but its connections work, or one statement that began at `begin` was slow and
    /// others were answered meanwhile.
    fn mark_unfit(&self, error: &DriverError, begin: Instant) {
        let says_nothing = match error {
            DriverError::Behind(_) => true,
            DriverError::Full(_) | DriverError::Denied(_) => self.pool.serves(),
            DriverError::Timeout(_) | DriverError::Cancelled(_) => {
                self.pool.serves() && self.pool.answered_since(begin)
            }
            DriverError::Lost(_) | DriverError::Refused { .. } | DriverError::Schema(_) => false,
        };
        if says_nothing {
            return;
        }
        let mut known = self.known();
        if known.unfit.is_none() {
            known.unfit = Some(Instant::now());
            tracing::warn!(host = self.place(), %error, "this database host is avoided until it answers again");
        }
    }

    fn state(&self) -> HostState {
        let role = self.known().role;
        let state = self.pool.state();
        HostState { role, live: self.is_fit() || state.full, ..state }
    }
}

impl Hosts {
    /// Creates the hosts of a daemon, with up to `size` connections to each and threads that connect and probe.
    pub(in crate::store) fn many(
        drivers: Vec<Arc<dyn Driver>>,
        place: String,
        size: usize,
        deadline: Duration,
    ) -> Self {
        let mut hosts = Self::new(drivers, place, deadline, |driver, share| Pool::many(driver, size, share));
        if hosts.hosts.len() > 1 {
            for host in &mut hosts.hosts {
                // The host is not shared yet.
                Arc::get_mut(host).into_iter().for_each(|host| host.probe = Some(Probe::default()));
            }
            hosts._stop = hosts.hosts.iter().filter_map(watch).collect();
        }
        hosts
    }

    /// Creates the hosts of a command, with one connection to each and without threads.
    pub(in crate::store) fn one(drivers: Vec<Arc<dyn Driver>>, place: String, deadline: Duration) -> Self {
        let mut hosts = Self::new(drivers, place, deadline, Pool::one);
        hosts.alone = true;
        hosts
    }

    fn new(
        drivers: Vec<Arc<dyn Driver>>,
        place: String,
        deadline: Duration,
        pool: impl Fn(Arc<dyn Driver>, Duration) -> Pool,
    ) -> Self {
        let share = share(deadline, drivers.len());
        let known = || Known { role: Role::Unknown, unfit: None };
        let host = |driver| Arc::new(Host { pool: pool(driver, share), probe: None, known: Mutex::new(known()) });
        let hosts = drivers.into_iter().map(host).collect();
        Hosts { hosts, place, deadline, asker: None, alone: false, asked: OnceLock::new(), _stop: Vec::new() }
    }

    /// Sets the source of advice about missing privileges.
    pub(in crate::store) fn asked_by(self, asker: Option<Asker>) -> Self {
        Hosts { asker, ..self }
    }

    /// Names the tables that deliveries change, for advice about missing privileges.
    pub(in crate::store) fn delivering(mut self, tables: [&str; 2]) -> Self {
        self.asker = self.asker.take().map(|asker| asker.delivering(tables.map(str::to_owned).into()));
        self
    }

    /// Returns the driver of the first host; those of other hosts differ only in the address.
    pub(in crate::store) fn driver(&self) -> &dyn Driver {
        // A configuration has at least one host.
        self.hosts[0].pool.driver()
    }

    /// Returns the deadline of a read or write, over all hosts that it tries.
    pub(in crate::store) fn deadline(&self) -> Duration {
        self.deadline
    }

    /// Returns the name of the whole database for messages.
    pub(in crate::store) fn place(&self) -> &str {
        &self.place
    }

    /// Returns true if there are several hosts, whose contents may differ for a while.
    pub(in crate::store) fn are_several(&self) -> bool {
        self.hosts.len() > 1
    }

    /// Returns the last known state of each host, without asking it.
    pub(in crate::store) fn state(&self) -> Vec<HostState> {
        self.hosts.iter().map(|host| host.state()).collect()
    }

    /// Asks each host for its role.
    pub(in crate::store) fn probe(&self) {
        self.hosts.iter().for_each(|host| host.probe());
    }

    /// Runs `work`, which only reads, on a host.
    pub(in crate::store) fn read<T>(
        &self,
        work: impl FnMut(&mut dyn Connection) -> Result<T, DriverError>,
    ) -> Result<T, StoreError> {
        self.read_from(Wish::Any, work).map(|(done, _)| done)
    }

    /// Runs `work`, which only reads, on a host; returns its result with the role of that host.
    pub(in crate::store) fn read_from<T>(
        &self,
        wish: Wish,
        mut work: impl FnMut(&mut dyn Connection) -> Result<T, DriverError>,
    ) -> Result<(T, Role), StoreError> {
        let wish = if self.alone { Wish::Primary } else { wish };
        if wish == Wish::Primary && self.are_several() {
            self.find_primary();
        }
        let start = Instant::now();
        loop {
            match self.read_once(wish, start, &mut work) {
                Err(StoreError::Unreachable { .. }) if start.elapsed() < self.deadline && self.may_be_over_soon() => {
                    std::thread::sleep(PAUSE);
                }
                outcome => return outcome,
            }
        }
    }

    /// Tries each host once for a read that began at `start`, and returns the first result.
    fn read_once<T>(
        &self,
        wish: Wish,
        start: Instant,
        mut work: impl FnMut(&mut dyn Connection) -> Result<T, DriverError>,
    ) -> Result<(T, Role), StoreError> {
        let mut failures = Vec::new();
        for host in self.in_order(wish) {
            if !failures.is_empty() && start.elapsed() >= self.deadline {
                break;
            }
            let before = host.known().role;
            match host.pool.read(&mut work) {
                // A host that was promoted during the read may have lacked a change.
                Ok(done) if before == host.known().role => return Ok((done, before)),
                Ok(done) => return Ok((done, Role::Unknown)),
                Err(failed) if failed.is_of_the_host() => {
                    if self.are_several() {
                        host.mark_unfit(&failed.error, start);
                    }
                    failures.push((host, failed.error));
                }
                Err(failed) => return Err(self.store_error(failed.error)),
            }
        }
        Err(self.store_error(together(failures)))
    }

    /// Runs `work`, which only reads, on a host that has every confirmed change: the only host, or one that reports at
    /// that moment that it is writable.
    pub(in crate::store) fn read_certain<T>(
        &self,
        mut work: impl FnMut(&mut dyn Connection) -> Result<T, DriverError>,
    ) -> Result<T, StoreError> {
        let mut work = |connection: &mut dyn Connection| {
            connection.catch_up()?;
            work(connection)
        };
        if !self.are_several() {
            return self.read(work);
        }
        let start = Instant::now();
        loop {
            match self.read_certain_once(start, &mut work) {
                Err(StoreError::Unreachable { .. }) if start.elapsed() < self.deadline && self.may_be_over_soon() => {
                    std::thread::sleep(PAUSE);
                }
                outcome => return outcome,
            }
        }
    }

    /// Tries each host once for [`Hosts::read_certain`].
    fn read_certain_once<T>(
        &self,
        start: Instant,
        work: &mut dyn FnMut(&mut dyn Connection) -> Result<T, DriverError>,
    ) -> Result<T, StoreError> {
        let mut failures = Vec::new();
        for host in self.in_order(Wish::Primary) {
            if !failures.is_empty() && start.elapsed() >= self.deadline {
                break;
            }
            let error = match self.writable(host) {
                Ok(Some(lease)) => match host.pool.run(lease, &mut *work) {
                    Ok(done) => return Ok(done),
                    Err(error @ (DriverError::Refused { .. } | DriverError::Schema(_))) => {
                        return Err(self.store_error(error));
                    }
                    Err(error) => error,
                },
                Ok(None) => DriverError::Lost("it is read only and may lack recent changes".into()),
                Err(error) => error,
            };
            failures.push((host, error));
        }
        Err(self.store_error(together(failures)))
    }

    /// Returns true if the last of several hosts became unavailable less than [`GRACE`] ago.
    fn may_be_over_soon(&self) -> bool {
        let unfit: Option<Vec<Instant>> = self.hosts.iter().map(|host| host.known().unfit).collect();
        let last = unfit.unwrap_or_default().into_iter().max();
        self.are_several() && last.is_some_and(|last| last.elapsed() < GRACE)
    }

    /// Runs `work`, which may write, once, on a writable host.
    pub(in crate::store) fn write<T>(
        &self,
        work: impl FnOnce(&mut dyn Connection) -> Result<T, DriverError>,
    ) -> Result<T, StoreError> {
        let start = Instant::now();
        let mut failures = Vec::new();
        for host in self.in_order(Wish::Primary) {
            if !failures.is_empty() && start.elapsed() >= self.deadline {
                break;
            }
            match self.writable(host) {
                Ok(Some(lease)) => return host.pool.run(lease, work).map_err(|error| self.store_error(error)),
                Ok(None) => failures.push((host, DriverError::Lost("it is read only".into()))),
                Err(error) => failures.push((host, error)),
            }
        }
        Err(self.store_error(together(failures)))
    }

    /// Runs `work` in a transaction, which is committed if it returns `Ok(Ok(_))` and rolled back otherwise.
    pub(in crate::store) fn transaction<T, E>(
        &self,
        work: impl FnOnce(&mut dyn Connection) -> Result<Result<T, E>, DriverError>,
    ) -> Result<Result<T, E>, StoreError> {
        let begin = self.driver().dialect().begin;
        self.write(|connection| in_transaction(connection, begin, work))
    }

    /// Converts a driver's error to that of the store.
    pub(in crate::store) fn store_error(&self, error: DriverError) -> StoreError {
        let place = self.place.clone();
        match error {
            DriverError::Lost(reason) | DriverError::Full(reason) | DriverError::Denied(reason) => {
                StoreError::Unreachable { place, reason }
            }
            error @ DriverError::Behind(_) => StoreError::Unreachable { place, reason: error.to_string() },
            DriverError::Timeout(after) => StoreError::Timeout { place, after },
            DriverError::Cancelled(reason) => StoreError::Cancelled { place, reason },
            DriverError::Refused { kind: Refusal::NoTable, .. } => StoreError::Schema(no_schema(&place)),
            DriverError::Refused { kind, reason } => match &self.asker {
                Some(asker) if kind == Refusal::Forbidden => {
                    let advice = asker.advice(&reason);
                    StoreError::Forbidden { place, reason, advice }
                }
                _ => StoreError::Refused { place, reason },
            },
            DriverError::Schema(sentence) => StoreError::Schema(sentence),
        }
    }

    /// Returns all hosts: the available ones first, and among these the preferred ones.
    fn in_order(&self, wish: Wish) -> Vec<&Host> {
        let mut hosts: Vec<&Host> = self.hosts.iter().map(|host| &**host).collect();
        if hosts.len() > 1 {
            let rank = |host: &&Host| match (wish, host.known().role) {
                (Wish::Any, _) | (Wish::Primary, Role::Primary) => 0,
                (Wish::Primary, Role::Unknown) => 1,
                (Wish::Primary, Role::Replica) => 2,
            };
            hosts.sort_by_cached_key(|host| (!host.is_fit(), rank(host)));
        }
        hosts
    }

    /// Returns a connection to this host for a write, or `None` if it is read only. A single host is not asked: the
    /// write itself fails if it is read only.
    fn writable(&self, host: &Host) -> Result<Option<Lease>, DriverError> {
        if !self.are_several() {
            return host.pool.writable().map(Some);
        }
        match host.ask()? {
            (lease, Role::Primary) => Ok(Some(lease)),
            (lease, _) => {
                host.pool.give_back(lease);
                Ok(None)
            }
        }
    }

    /// Probes hosts of unknown role until a writable one is known. A command does so once.
    fn find_primary(&self) {
        let is_primary = |host: &Arc<Host>| {
            if host.known().role == Role::Unknown {
                host.probe();
            }
            host.known().role == Role::Primary
        };
        if !self.alone || self.asked.set(()).is_ok() {
            let _ = self.hosts.iter().any(is_primary);
        }
    }
}

/// Runs `work` in a transaction, which is committed if it returns `Ok(Ok(_))` and rolled back otherwise.
pub(in crate::store) fn in_transaction<T, E>(
    connection: &mut dyn Connection,
    begin: &str,
    work: impl FnOnce(&mut dyn Connection) -> Result<Result<T, E>, DriverError>,
) -> Result<Result<T, E>, DriverError> {
    connection.batch(begin)?;
    let outcome = match work(connection) {
        Ok(Ok(done)) => connection.batch("COMMIT").map(|()| Ok(done)),
        undone => undone,
    };
    if !matches!(outcome, Ok(Ok(_))) && !connection.is_broken() {
        // This fails if the database rolled the transaction back by itself, or it breaks the connection.
        let _ = connection.batch("ROLLBACK");
    }
    outcome
}

/// Returns the share of the deadline for each attempt: with several hosts, a hanging one leaves time for the next.
pub(in crate::store) fn share(deadline: Duration, hosts: usize) -> Duration {
    if hosts > 1 { deadline / 2 } else { deadline }
}

/// Starts a thread that probes `host` regularly until the returned sender is dropped.
fn watch(host: &Arc<Host>) -> Option<Sender<()>> {
    let (sender, stop) = channel();
    let host = Arc::clone(host);
    let work = move || {
        loop {
            // A panic in one probe must not end the thread.
            let _ = catch_unwind(AssertUnwindSafe(|| host.probe()));
            if stop.recv_timeout(ROUND + jitter::below(JITTER)) != Err(RecvTimeoutError::Timeout) {
                return;
            }
        }
    };
    match Builder::new().name("probing".into()).spawn(work) {
        Ok(_) => Some(sender),
        Err(error) => {
            tracing::warn!(%error, "cannot start the health-check thread for this host; checking it at each login instead");
            None
        }
    }
}

/// Combines the failures of all hosts into one error.
fn together(mut failures: Vec<(&Host, DriverError)>) -> DriverError {
    if failures.len() == 1 {
        return failures.remove(0).1;
    }
    let sentence: Vec<_> = failures.iter().map(|(host, error)| format!("{}: {error}", host.place())).collect();
    let sentence = sentence.join("; ");
    if failures.iter().all(|(_, error)| matches!(error, DriverError::Refused { .. })) {
        return DriverError::Refused { kind: Refusal::Other, reason: sentence };
    }
    DriverError::Lost(sentence)
}

/// Returns the message about a database without the tables of this program.
pub(in crate::store) fn no_schema(place: &str) -> String {
    format!("the database at {place} has no mailauth tables; create them with `mailauth init`")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::driver::fake::{Fake, FakeDriver, touch};
    use std::sync::atomic::Ordering;

    const DEADLINE: Duration = Duration::from_secs(4);

    fn fakes() -> [Arc<Fake>; 3] {
        std::array::from_fn(|_| Arc::new(Fake::default()))
    }

    fn drivers(fakes: &[Arc<Fake>]) -> Vec<Arc<dyn Driver>> {
        fakes.iter().map(|fake| Arc::new(FakeDriver(fake.clone())) as Arc<dyn Driver>).collect()
    }

    fn many(fakes: &[Arc<Fake>]) -> Hosts {
        Hosts::many(drivers(fakes), "fakes".into(), 2, DEADLINE)
    }

    fn one(fakes: &[Arc<Fake>]) -> Hosts {
        Hosts::one(drivers(fakes), "fakes".into(), DEADLINE)
    }

    fn done(fakes: &[Arc<Fake>]) -> Vec<usize> {
        fakes.iter().map(|fake| fake.done.load(Ordering::SeqCst)).collect()
    }

    fn eventually(what: &str, so: impl Fn() -> bool) {
        let start = Instant::now();
        while !so() {
            assert!(start.elapsed() < Duration::from_secs(60), "{what}");
            std::thread::sleep(Duration::from_millis(10));
        }
    }

    /// Creates the hosts of a daemon and waits until each was probed, as the order of writes depends on that.
    fn many_known(fakes: &[Arc<Fake>]) -> Hosts {
        let hosts = many(fakes);
        eventually("each is probed", || hosts.state().iter().all(|host| host.role != Role::Unknown));
        hosts
    }

    #[test]
    fn reads_use_the_first_available_host_and_return_to_it() {
        let fakes = fakes();
        let hosts = many(&fakes);
        hosts.read(touch).unwrap();
        assert_eq!(done(&fakes), [1, 0, 0]);
        fakes[0].stop();
        hosts.read(touch).unwrap();
        assert_eq!(done(&fakes), [1, 1, 0]);
        fakes[0].away.store(false, Ordering::SeqCst);
        eventually("the first is available again", || hosts.state()[0].live);
        hosts.read(touch).unwrap();
        assert_eq!(done(&fakes), [2, 1, 0]);
    }

    #[test]
    fn writes_go_to_the_writable_host_and_are_sent_once() {
        let fakes = fakes();
        fakes[0].read_only.store(true, Ordering::SeqCst);
        for hosts in [many_known(&fakes), one(&fakes)] {
            let before = done(&fakes);
            hosts.write(touch).unwrap();
            assert_eq!(done(&fakes), [before[0], before[1] + 1, 0]);
            let mut tries = 0;
            let failed: Result<(), _> = hosts.write(|_| {
                tries += 1;
                Err(DriverError::Lost("cut off".into()))
            });
            assert!(failed.is_err() && tries == 1);
        }
    }

    #[test]
    fn after_a_promotion_writes_go_to_the_new_primary_at_once() {
        let fakes = fakes();
        let hosts = many_known(&fakes);
        hosts.write(touch).unwrap();
        fakes[0].read_only.store(true, Ordering::SeqCst);
        hosts.write(touch).unwrap();
        assert_eq!(done(&fakes), [1, 1, 0]);
        fakes.iter().for_each(|fake| fake.read_only.store(true, Ordering::SeqCst));
        let error = hosts.write(touch).unwrap_err().to_string();
        assert_eq!(error.matches("it is read only").count(), 3, "{error}");
        assert!(hosts.read(touch).is_ok());
    }

    #[test]
    fn a_full_host_without_connections_is_skipped() {
        let fakes = fakes();
        fakes[0].full.store(true, Ordering::SeqCst);
        let hosts = many(&fakes);
        hosts.read(touch).unwrap();
        assert_eq!(done(&fakes), [0, 1, 0]);
    }

    #[test]
    fn a_full_host_is_used_while_its_connections_work() {
        let fakes = fakes();
        let hosts = many(&fakes);
        eventually("all are probed", || hosts.state().iter().all(|host| host.role == Role::Primary));
        hosts.read(touch).unwrap();
        fakes[0].full.store(true, Ordering::SeqCst);
        // More reads than connections: the pool asks for one more, which is refused.
        std::thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| {
                    hosts
                        .read(|connection| {
                            std::thread::sleep(Duration::from_millis(100));
                            touch(connection)
                        })
                        .unwrap();
                });
            }
        });
        eventually("it is known to be full", || hosts.state()[0].full);
        let connects = fakes[0].connects.load(Ordering::SeqCst);
        let asked = || hosts.hosts[0].probe.as_ref().unwrap().asked();
        let before = asked();
        eventually("it is probed twice more", || asked() >= before + 2);
        assert!(hosts.state()[0].live && hosts.hosts[0].is_fit());
        assert!(fakes[0].connects.load(Ordering::SeqCst) <= connects + 4, "probes need no new connection");
        hosts.read(touch).unwrap();
        assert_eq!(done(&fakes), [6, 0, 0]);
    }

    #[test]
    fn a_statement_that_a_host_refuses_is_not_sent_to_the_next() {
        let fakes = fakes();
        let hosts = many(&fakes);
        let refused = || DriverError::Refused { kind: Refusal::Other, reason: "no".into() };
        let mut tries = 0;
        let read: Result<(), _> = hosts.read(|_| {
            tries += 1;
            Err(refused())
        });
        assert!(matches!(read, Err(StoreError::Refused { .. })) && tries == 1);
    }

    #[test]
    fn with_all_hosts_away_the_error_names_each_and_any_may_return() {
        let fakes = fakes();
        let hosts = many(&fakes);
        fakes.iter().for_each(|fake| fake.stop());
        assert!(matches!(hosts.read(touch), Err(StoreError::Unreachable { .. })));
        fakes[2].away.store(false, Ordering::SeqCst);
        eventually("the third answers", || hosts.read(touch).is_ok());
        assert_eq!(done(&fakes), [0, 0, 1]);
    }

    #[test]
    fn a_read_retries_while_all_hosts_are_away_for_a_moment() {
        let fakes = fakes();
        let hosts = many(&fakes);
        fakes.iter().for_each(|fake| fake.stop());
        std::thread::scope(|scope| {
            let read = scope.spawn(|| hosts.read(touch));
            eventually("all are known to be away", || hosts.state().iter().all(|host| !host.live));
            fakes[1].away.store(false, Ordering::SeqCst);
            assert!(read.join().unwrap().is_ok());
        });
        assert_eq!(done(&fakes), [0, 1, 0]);
    }

    #[test]
    fn a_read_does_not_retry_once_all_hosts_were_away_for_longer() {
        let fakes = fakes();
        let hosts = many(&fakes);
        fakes.iter().for_each(|fake| fake.stop());
        assert!(hosts.read(touch).is_err());
        eventually("the moment is over", || !hosts.may_be_over_soon());
        let start = Instant::now();
        assert!(hosts.read(touch).is_err());
        assert!(start.elapsed() < GRACE, "{:?}", start.elapsed());
    }

    #[test]
    fn a_command_reads_from_the_writable_host() {
        let fakes = fakes();
        fakes[0].read_only.store(true, Ordering::SeqCst);
        let hosts = one(&fakes);
        hosts.read(touch).unwrap();
        assert_eq!(done(&fakes), [0, 1, 0]);
    }

    #[test]
    fn a_single_host_is_not_asked_for_its_role() {
        let fakes = fakes();
        fakes[0].read_only.store(true, Ordering::SeqCst);
        for hosts in [many(&fakes[..1]), one(&fakes[..1])] {
            hosts.write(touch).unwrap();
            assert_eq!(hosts.state()[0].role, Role::Unknown);
        }
    }

    #[test]
    fn a_failed_transaction_keeps_the_connection() {
        for make in [many, one] {
            let fakes = fakes();
            let hosts = make(&fakes[..1]);
            assert_eq!(hosts.transaction(|_| Ok(Err::<(), _>("no"))).unwrap(), Err("no"));
            assert_eq!(hosts.transaction(|_| Ok(Ok::<_, ()>(5))).unwrap(), Ok(5));
            assert_eq!(fakes[0].connects.load(Ordering::SeqCst), 1);
        }
    }
}
