//! Looks up the addresses of a host name, within a deadline.
//!
//! The system's look-up (getaddrinfo) may take minutes and cannot be cancelled. So it runs on a thread that is
//! abandoned when the deadline passes. There is at most one thread for each name, which later callers wait for too, and
//! [`MAX_LOOKUPS`] for all names, so a name server that never answers blocks no more threads than that.

use crate::sync::{Condvar, Mutex};
use std::collections::HashMap;
use std::io;
use std::net::{SocketAddr, ToSocketAddrs};
use std::sync::Arc;
use std::thread;
use std::time::Instant;

/// Maximum number of look-ups that run at a time in a process.
const MAX_LOOKUPS: usize = 16;

/// A host name and the port for its addresses.
type Asked = (String, u16);

/// Reason why there are no addresses.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::store::driver) enum Failure {
    /// The look-up failed with this message of the system.
    Said(String),
    /// The deadline passed.
    Late,
    /// Too many other names are being looked up, or no thread could be started.
    Busy,
}

/// The running look-ups.
pub(in crate::store::driver) struct Lookups {
    underway: Mutex<HashMap<Asked, Arc<Lookup>>>,
    most: usize,
}

/// One look-up, which several callers may wait for.
#[derive(Default)]
struct Lookup {
    outcome: Mutex<Option<Result<Vec<SocketAddr>, Failure>>>,
    ended: Condvar,
}

/// Returns the look-ups of this process.
pub(in crate::store::driver) fn lookups() -> &'static Lookups {
    static LOOKUPS: std::sync::OnceLock<Lookups> = std::sync::OnceLock::new();
    LOOKUPS.get_or_init(|| Lookups::new(MAX_LOOKUPS))
}

impl Lookups {
    pub(in crate::store::driver) fn new(most: usize) -> Self {
        Lookups { underway: Mutex::default(), most }
    }

    /// Returns the addresses of `host` in the system's order, by the deadline `until`. A numeric address is not looked
    /// up.
    pub(in crate::store::driver) fn resolve(
        &'static self,
        host: &str,
        port: u16,
        until: Instant,
    ) -> Result<Vec<SocketAddr>, Failure> {
        match host.parse() {
            Ok(address) => Ok(vec![SocketAddr::new(address, port)]),
            Err(_) => self.resolve_by(host, port, until, |host, port| Ok((host, port).to_socket_addrs()?.collect())),
        }
    }

    /// Returns the addresses of a name by the given look-up function.
    pub(in crate::store::driver) fn resolve_by(
        &'static self,
        host: &str,
        port: u16,
        until: Instant,
        look_up: impl FnOnce(&str, u16) -> io::Result<Vec<SocketAddr>> + Send + 'static,
    ) -> Result<Vec<SocketAddr>, Failure> {
        let asked = (host.to_owned(), port);
        let lookup = self.join(asked, look_up).ok_or(Failure::Busy)?;
        let mut outcome = lookup.outcome.lock();
        loop {
            if let Some(outcome) = &*outcome {
                return outcome.clone();
            }
            let left = until.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return Err(Failure::Late);
            }
            outcome = lookup.ended.wait_timeout(outcome, left);
        }
    }

    /// Returns the running look-up of this name, or starts one; `None` if there are too many.
    fn join(
        &'static self,
        asked: Asked,
        look_up: impl FnOnce(&str, u16) -> io::Result<Vec<SocketAddr>> + Send + 'static,
    ) -> Option<Arc<Lookup>> {
        let mut underway = self.underway.lock();
        if let Some(lookup) = underway.get(&asked) {
            return Some(Arc::clone(lookup));
        }
        if underway.len() >= self.most {
            return None;
        }
        let lookup = Arc::new(Lookup::default());
        let (theirs, name) = (Arc::clone(&lookup), asked.clone());
        let work = move || {
            let outcome = look_up(&name.0, name.1).map_err(|error| Failure::Said(error.to_string()));
            self.underway.lock().remove(&name);
            *theirs.outcome.lock() = Some(outcome);
            theirs.ended.notify_all();
        };
        thread::Builder::new().name("name look-up".into()).spawn(work).ok()?;
        underway.insert(asked, Arc::clone(&lookup));
        Some(lookup)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::atomic::{AtomicUsize, Ordering};
    use std::sync::mpsc::channel;
    use std::time::Duration;

    fn lookups(most: usize) -> &'static Lookups {
        Box::leak(Box::new(Lookups::new(most)))
    }

    fn address() -> SocketAddr {
        SocketAddr::from(([192, 0, 2, 1], 5432))
    }

    fn soon() -> Instant {
        Instant::now() + Duration::from_millis(100)
    }

    fn later() -> Instant {
        Instant::now() + Duration::from_secs(20)
    }

    #[test]
    fn a_silent_name_server_blocks_callers_until_the_deadline() {
        let (lookups, begun) = (lookups(4), Arc::new(AtomicUsize::new(0)));
        let (release, wait) = channel::<()>();
        let wait = Arc::new(Mutex::new(wait));
        let ask = |until| {
            let (begun, wait) = (begun.clone(), wait.clone());
            lookups.resolve_by("db", 5432, until, move |_, _| {
                begun.fetch_add(1, Ordering::SeqCst);
                let _ = wait.lock().recv();
                Ok(vec![address()])
            })
        };
        let start = Instant::now();
        thread::scope(|scope| {
            for _ in 0..20 {
                scope.spawn(|| assert_eq!(ask(soon()), Err(Failure::Late)));
            }
        });
        assert!(start.elapsed() < Duration::from_secs(10), "{:?}", start.elapsed());
        assert_eq!(begun.load(Ordering::SeqCst), 1);
        // The next caller gets the answer that arrives at last.
        thread::scope(|scope| {
            let next = scope.spawn(|| ask(later()));
            drop(release);
            assert_eq!(next.join().unwrap(), Ok(vec![address()]));
        });
    }

    #[test]
    fn the_number_of_hanging_look_ups_is_bounded() {
        let lookups = lookups(2);
        let (release, wait) = channel::<()>();
        let wait = Arc::new(Mutex::new(wait));
        let hang = |name: &str| {
            let wait = wait.clone();
            lookups.resolve_by(name, 1, soon(), move |_, _| {
                let _ = wait.lock().recv();
                Ok(Vec::new())
            })
        };
        assert_eq!(
            [hang("a"), hang("b"), hang("c")].map(Result::unwrap_err),
            [Failure::Late, Failure::Late, Failure::Busy]
        );
        drop(release);
        let start = Instant::now();
        loop {
            match lookups.resolve_by("c", 1, later(), |_, _| Ok(vec![address()])) {
                Ok(found) => break assert_eq!(found, [address()]),
                Err(error) => assert_eq!(error, Failure::Busy),
            }
            assert!(start.elapsed() < Duration::from_secs(20), "they do not end");
            thread::yield_now();
        }
        let refused = lookups.resolve_by("d", 1, later(), |_, _| Err(io::Error::other("no such name")));
        assert_eq!(refused, Err(Failure::Said("no such name".into())));
    }

    #[test]
    fn an_address_is_not_looked_up() {
        let lookups = lookups(0);
        for (host, address) in [("127.0.0.1", "127.0.0.1:7"), ("::1", "[::1]:7")] {
            assert_eq!(lookups.resolve(host, 7, Instant::now()), Ok(vec![address.parse().unwrap()]));
        }
        assert_eq!(lookups.resolve("localhost", 7, later()), Err(Failure::Busy));
    }
}
