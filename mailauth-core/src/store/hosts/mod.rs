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
mod host;
pub(super) mod pool;
pub(super) mod recent_changes;
#[cfg(test)]
mod tests;

use crate::store::driver::rights::denied::RightsAdvisor;
use crate::store::driver::{Connection, Driver, DriverError, Refusal};
use crate::store::{HostState, Role, StoreError};
use crate::sync::Mutex;
use host::{Host, Known, start_probing};
use pool::{Lease, Pool, Probe};
use std::sync::mpsc::Sender;
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

/// Time after the last host became unavailable during which reads retry, and the pause between two tries.
const GRACE: Duration = Duration::from_millis(500);
const RETRY_PAUSE: Duration = Duration::from_millis(50);

/// The hosts of one database.
pub(crate) struct Hosts {
    hosts: Vec<Arc<Host>>,
    /// Name of the whole database for messages.
    place: String,
    deadline: Duration,
    /// Writes the advice about missing privileges; `None` if the database has no users.
    advisor: Option<RightsAdvisor>,
    /// True for a command, which starts no threads.
    is_command: bool,
    /// Set once a command has probed the hosts.
    probed: OnceLock<()>,
    /// Dropping these ends the probing threads.
    _stop: Vec<Sender<()>>,
}

/// The host that a read prefers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::store) enum ReadPreference {
    /// The first in the configured order.
    Any,
    /// A writable one, which has all changes; any other if no host is writable.
    Primary,
}

impl Hosts {
    /// Creates the hosts of a daemon, with up to `size` connections to each and threads that connect and probe.
    pub(in crate::store) fn pooled(
        drivers: Vec<Arc<dyn Driver>>,
        place: String,
        size: usize,
        deadline: Duration,
    ) -> Self {
        let mut hosts = Self::new(drivers, place, deadline, |driver, attempt_deadline| {
            Pool::pooled(driver, size, attempt_deadline)
        });
        if hosts.hosts.len() > 1 {
            for host in &mut hosts.hosts {
                // The host is not shared yet.
                Arc::get_mut(host).into_iter().for_each(|host| host.probe = Some(Probe::default()));
            }
            hosts._stop = hosts.hosts.iter().filter_map(start_probing).collect();
        }
        hosts
    }

    /// Creates the hosts of a command, with one connection to each and without threads.
    pub(in crate::store) fn single(drivers: Vec<Arc<dyn Driver>>, place: String, deadline: Duration) -> Self {
        let mut hosts = Self::new(drivers, place, deadline, Pool::single);
        hosts.is_command = true;
        hosts
    }

    fn new(
        drivers: Vec<Arc<dyn Driver>>,
        place: String,
        deadline: Duration,
        pool: impl Fn(Arc<dyn Driver>, Duration) -> Pool,
    ) -> Self {
        let attempt_deadline = attempt_deadline(deadline, drivers.len());
        let known = || Known { role: Role::Unknown, unavailable_since: None };
        let host =
            |driver| Arc::new(Host { pool: pool(driver, attempt_deadline), probe: None, known: Mutex::new(known()) });
        let hosts = drivers.into_iter().map(host).collect();
        Hosts { hosts, place, deadline, advisor: None, is_command: false, probed: OnceLock::new(), _stop: Vec::new() }
    }

    /// Sets the source of advice about missing privileges.
    pub(in crate::store) fn with_advisor(self, advisor: Option<RightsAdvisor>) -> Self {
        Hosts { advisor, ..self }
    }

    /// Sets the tables that deliveries change, for advice about missing privileges.
    pub(in crate::store) fn delivering(mut self, tables: [&str; 2]) -> Self {
        self.advisor = self.advisor.take().map(|advisor| advisor.delivering(tables.map(str::to_owned).into()));
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

    /// Returns true if there are several hosts, so that their contents may differ for a while.
    pub(in crate::store) fn has_several(&self) -> bool {
        self.hosts.len() > 1
    }

    /// Returns true if these are the hosts of a command.
    pub(in crate::store) fn is_command(&self) -> bool {
        self.is_command
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
        self.read_from(ReadPreference::Any, work).map(|(done, _)| done)
    }

    /// Runs `work`, which only reads, on a host; returns its result with the role of that host.
    pub(in crate::store) fn read_from<T>(
        &self,
        preference: ReadPreference,
        mut work: impl FnMut(&mut dyn Connection) -> Result<T, DriverError>,
    ) -> Result<(T, Role), StoreError> {
        let preference = if self.is_command { ReadPreference::Primary } else { preference };
        if preference == ReadPreference::Primary && self.has_several() {
            self.find_primary();
        }
        let start = Instant::now();
        loop {
            match self.read_once(preference, start, &mut work) {
                Err(StoreError::Unreachable { .. }) if start.elapsed() < self.deadline && self.is_recent_outage() => {
                    std::thread::sleep(RETRY_PAUSE);
                }
                outcome => return outcome,
            }
        }
    }

    /// Tries each host once for a read that began at `start`, and returns the first result.
    fn read_once<T>(
        &self,
        preference: ReadPreference,
        start: Instant,
        mut work: impl FnMut(&mut dyn Connection) -> Result<T, DriverError>,
    ) -> Result<(T, Role), StoreError> {
        let mut failures = Vec::new();
        for host in self.in_order(preference) {
            if !failures.is_empty() && start.elapsed() >= self.deadline {
                break;
            }
            let before = host.known().role;
            match host.pool.read(&mut work) {
                // A host that was promoted during the read may have lacked a change.
                Ok(done) if before == host.known().role => return Ok((done, before)),
                Ok(done) => return Ok((done, Role::Unknown)),
                Err(failed) if failed.may_succeed_elsewhere() => {
                    if self.has_several() {
                        host.mark_unavailable(&failed.error, start);
                    }
                    failures.push((host, failed.error));
                }
                Err(failed) => return Err(self.store_error(failed.error)),
            }
        }
        Err(self.store_error(combine(failures)))
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
        if !self.has_several() {
            return self.read(work);
        }
        let start = Instant::now();
        loop {
            match self.read_certain_once(start, &mut work) {
                Err(StoreError::Unreachable { .. }) if start.elapsed() < self.deadline && self.is_recent_outage() => {
                    std::thread::sleep(RETRY_PAUSE);
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
        for host in self.in_order(ReadPreference::Primary) {
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
        Err(self.store_error(combine(failures)))
    }

    /// Returns true if the last of several hosts became unavailable less than [`GRACE`] ago.
    fn is_recent_outage(&self) -> bool {
        let unavailable_since: Option<Vec<Instant>> =
            self.hosts.iter().map(|host| host.known().unavailable_since).collect();
        let last = unavailable_since.unwrap_or_default().into_iter().max();
        self.has_several() && last.is_some_and(|last| last.elapsed() < GRACE)
    }

    /// Runs `work`, which may write, once, on a writable host.
    pub(in crate::store) fn write<T>(
        &self,
        work: impl FnOnce(&mut dyn Connection) -> Result<T, DriverError>,
    ) -> Result<T, StoreError> {
        let start = Instant::now();
        let mut failures = Vec::new();
        for host in self.in_order(ReadPreference::Primary) {
            if !failures.is_empty() && start.elapsed() >= self.deadline {
                break;
            }
            match self.writable(host) {
                Ok(Some(lease)) => return host.pool.run(lease, work).map_err(|error| self.store_error(error)),
                Ok(None) => failures.push((host, DriverError::Lost("it is read only".into()))),
                Err(error) => failures.push((host, error)),
            }
        }
        Err(self.store_error(combine(failures)))
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
            DriverError::Refused { kind, reason } => match &self.advisor {
                Some(advisor) if kind == Refusal::Forbidden => {
                    let advice = advisor.advice(&reason);
                    StoreError::Forbidden { place, reason, advice }
                }
                _ => StoreError::Refused { place, reason },
            },
            DriverError::Schema(sentence) => StoreError::Schema(sentence),
        }
    }

    /// Returns all hosts: the available ones first, and among these the preferred ones.
    fn in_order(&self, preference: ReadPreference) -> Vec<&Host> {
        let mut hosts: Vec<&Host> = self.hosts.iter().map(|host| &**host).collect();
        if hosts.len() > 1 {
            let rank = |host: &&Host| match (preference, host.known().role) {
                (ReadPreference::Any, _) | (ReadPreference::Primary, Role::Primary) => 0,
                (ReadPreference::Primary, Role::Unknown) => 1,
                (ReadPreference::Primary, Role::Replica) => 2,
            };
            hosts.sort_by_cached_key(|host| (!host.is_available(), rank(host)));
        }
        hosts
    }

    /// Returns a connection to this host for a write, or `None` if it is read only. A single host is not asked: the
    /// write itself fails if it is read only.
    fn writable(&self, host: &Host) -> Result<Option<Lease>, DriverError> {
        if !self.has_several() {
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
        if !self.is_command || self.probed.set(()).is_ok() {
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
pub(in crate::store) fn attempt_deadline(deadline: Duration, hosts: usize) -> Duration {
    if hosts > 1 { deadline / 2 } else { deadline }
}

/// Combines the failures of all hosts into one error.
fn combine(mut failures: Vec<(&Host, DriverError)>) -> DriverError {
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
