//! One host of a database: its pool, its probe, and its last known state.

use super::pool::{Lease, Pool, Probe};
use crate::store::driver::{DriverError, ServerRole};
use crate::store::{HostState, Role, jitter};
use crate::sync::{Mutex, MutexGuard};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::mpsc::{RecvTimeoutError, Sender, channel};
use std::thread::Builder;
use std::time::{Duration, Instant};

/// Interval between two probes of a host, and its random extension, so that many daemons do not probe in step.
const PROBE_INTERVAL: Duration = Duration::from_millis(800);
const PROBE_JITTER: Duration = Duration::from_millis(400);

pub(super) struct Host {
    pub(super) pool: Pool,
    /// Connection of the probing thread; `None` for a command.
    pub(super) probe: Option<Probe>,
    pub(super) known: Mutex<Known>,
}

/// The last known state of a host.
pub(super) struct Known {
    pub(super) role: Role,
    /// Time at which it stopped answering; `None` if it answered last or was not used yet.
    pub(super) unavailable_since: Option<Instant>,
}

impl Host {
    pub(super) fn known(&self) -> MutexGuard<'_, Known> {
        self.known.lock()
    }

    pub(super) fn place(&self) -> &str {
        self.pool.driver().place()
    }

    pub(super) fn is_available(&self) -> bool {
        self.known().unavailable_since.is_none() && self.pool.serves()
    }

    /// Asks the host for its role; returns it with the connection that was used.
    pub(super) fn ask(&self) -> Result<(Lease, Role), DriverError> {
        let begin = Instant::now();
        match self.pool.role() {
            Ok((lease, role)) => Ok((lease, self.mark_available(role))),
            Err(error) => {
                self.mark_unavailable(&error, begin);
                Err(error)
            }
        }
    }

    /// Asks the host for its role, on the probe's connection if there is one.
    pub(super) fn probe(&self) {
        let begin = Instant::now();
        let Some(probe) = &self.probe else {
            if let Ok((lease, _)) = self.ask() {
                self.pool.give_back(lease);
            }
            return;
        };
        match probe.role(&self.pool) {
            Ok(role) => drop(self.mark_available(role)),
            Err(error) => self.mark_unavailable(&error, begin),
        }
    }

    /// Records that the host answered with this role.
    pub(super) fn mark_available(&self, role: ServerRole) -> Role {
        let role = match role {
            ServerRole::Primary => Role::Primary,
            ServerRole::Replica => Role::Replica,
        };
        let mut known = self.known();
        if known.role != role && known.role != Role::Unknown {
            tracing::warn!(host = self.place(), "this database host is now a {role}");
        }
        if known.unavailable_since.take().is_some() {
            tracing::info!(host = self.place(), "this database host answers again");
        }
        known.role = role;
        role
    }

    /// Records that the host failed, so that others are preferred until it answers again. Errors that say nothing about
    /// the host are ignored: it is full but its connections work, or one statement that began at `begin` was slow and
    /// others were answered meanwhile.
    pub(super) fn mark_unavailable(&self, error: &DriverError, begin: Instant) {
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
        if known.unavailable_since.is_none() {
            known.unavailable_since = Some(Instant::now());
            tracing::warn!(host = self.place(), %error, "this database host is avoided until it answers again");
        }
    }

    pub(super) fn state(&self) -> HostState {
        let role = self.known().role;
        let state = self.pool.state();
        HostState { role, live: self.is_available() || state.full, ..state }
    }
}

/// Starts a thread that probes `host` regularly until the returned sender is dropped.
pub(super) fn start_probing(host: &Arc<Host>) -> Option<Sender<()>> {
    let (sender, stop) = channel();
    let host = Arc::clone(host);
    let work = move || {
        loop {
            // A panic in one probe must not end the thread.
            let _ = catch_unwind(AssertUnwindSafe(|| host.probe()));
            if stop.recv_timeout(PROBE_INTERVAL + jitter::below(PROBE_JITTER)) != Err(RecvTimeoutError::Timeout) {
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
