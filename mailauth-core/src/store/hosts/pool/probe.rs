//! The connection that is used to probe a host.

use super::Pool;
use super::link::Link;
use crate::store::driver::{DriverError, Standing};
use crate::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;

/// A connection for probing a host, in addition to those of the pool.
#[derive(Default)]
pub(in crate::store) struct Probe {
    link: Mutex<Option<Link>>,
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
    pub(in crate::store) fn standing(&self, pool: &Pool) -> Result<Standing, DriverError> {
        let mut kept = self.link.lock();
        let line = &pool.line;
        loop {
            let mut link = match kept.take().filter(|link| !link.spent && !link.connection.is_broken()) {
                Some(link) => link,
                None => line.connect()?,
            };
            let begin = Instant::now();
            match link.connection.standing() {
                Ok(standing) => {
                    line.answered_after(begin);
                    link.used = true;
                    *kept = Some(link);
                    self.said.fetch_add(1, Ordering::Relaxed);
                    return Ok(standing);
                }
                Err(error) => {
                    let was_kept = link.used;
                    if link.connection.is_broken() {
                        pool.note(&mut link, &error, begin);
                    } else {
                        *kept = Some(link);
                    }
                    if !was_kept || !matches!(error, DriverError::Lost(_)) {
                        return Err(error);
                    }
                }
            }
        }
    }
}
