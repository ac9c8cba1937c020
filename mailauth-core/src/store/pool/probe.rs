//! The connection on which a host is asked how it stands.

use super::Pool;
use super::line::Link;
use crate::store::driver::{DriverError, Standing};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::Instant;

/// A connection that is kept for asking how the host stands, beside those of the pool.
#[derive(Default)]
pub(in crate::store) struct Probe {
    link: Mutex<Option<Link>>,
    /// How often the host said how it stands.
    said: AtomicU64,
}

impl Probe {
    /// How often the host said how it stands.
    #[cfg(test)]
    pub(in crate::store) fn asked(&self) -> u64 {
        self.said.load(Ordering::Relaxed)
    }

    /// Asks the host of `pool` what it can be used for; again, once, on a fresh connection when the kept one is dead.
    pub(in crate::store) fn standing(&self, pool: &Pool) -> Result<Standing, DriverError> {
        let mut kept = self.link.lock().unwrap_or_else(PoisonError::into_inner);
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
