//! The connection that is used to probe a host.

use super::Pool;
use super::link::TrackedConnection;
use crate::store::driver::{DriverError, ServerRole};
use crate::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;

/// A connection for probing a host, in addition to those of the pool.
#[derive(Default)]
pub(in crate::store) struct Probe {
    tracked: Mutex<Option<TrackedConnection>>,
    /// Number of successful probes.
    said: AtomicU64,
}

impl Probe {
    /// Returns the number of successful probes.
    #[cfg(test)]
    pub(in crate::store) fn asked(&self) -> u64 {
        self.said.load(Ordering::Relaxed)
    }

    /// Asks the host of `pool` for its role; repeats this once on a new connection if the kept one is dead.
    pub(in crate::store) fn role(&self, pool: &Pool) -> Result<ServerRole, DriverError> {
        let mut kept = self.tracked.lock();
        let link = &pool.link;
        loop {
            let mut tracked = match kept.take().filter(|tracked| !tracked.spent && !tracked.connection.is_broken()) {
                Some(tracked) => tracked,
                None => link.connect()?,
            };
            let begin = Instant::now();
            match tracked.connection.role() {
                Ok(role) => {
                    link.record_answer(begin);
                    tracked.used = true;
                    *kept = Some(tracked);
                    self.said.fetch_add(1, Ordering::Relaxed);
                    return Ok(role);
                }
                Err(error) => {
                    let was_kept = tracked.used;
                    if tracked.connection.is_broken() {
                        pool.record_error(&mut tracked, &error, begin);
                    } else {
                        *kept = Some(tracked);
                    }
                    if !was_kept || !matches!(error, DriverError::Lost(_)) {
                        return Err(error);
                    }
                }
            }
        }
    }
}
