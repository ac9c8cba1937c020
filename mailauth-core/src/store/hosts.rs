//! The addresses of a database: tried in order, within one deadline.

use super::driver::{DriverError, Refusal};
use crate::config::{HostPort, Secrecy, Server};
use std::fmt;
use std::net::IpAddr;
use std::path::PathBuf;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

/// For so long, an address that failed is tried after those that did not.
const DISTRUST: Duration = Duration::from_secs(30);

/// Where a server listens.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Address {
    Socket(PathBuf),
    Tcp(HostPort),
}

impl Address {
    /// How the way there is protected: as configured, and without a word always when it leaves this machine.
    pub(super) fn secrecy(&self, configured: Option<Secrecy>) -> Secrecy {
        match (self, configured) {
            (Address::Socket(_), _) => Secrecy::Disable,
            (Address::Tcp(_), Some(secrecy)) => secrecy,
            (Address::Tcp(at), None) if is_loopback(&at.host) => Secrecy::Disable,
            (Address::Tcp(_), None) => Secrecy::VerifyFull,
        }
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Address::Socket(path) => write!(f, "{}", path.display()),
            Address::Tcp(at) => at.fmt(f),
        }
    }
}

fn is_loopback(host: &str) -> bool {
    host == "localhost" || host.parse::<IpAddr>().is_ok_and(|ip| ip.is_loopback())
}

/// The addresses of one database, and which of them failed lately.
pub(super) struct Hosts {
    addresses: Vec<(Address, Mutex<Option<Instant>>)>,
    deadline: Duration,
}

impl Hosts {
    pub(super) fn new(server: &Server, deadline: Duration) -> Self {
        let socket = server.socket.iter().map(|path| Address::Socket(path.clone()));
        let hosts = server.hosts.iter().map(|at| Address::Tcp(at.clone()));
        Hosts { addresses: socket.chain(hosts).map(|address| (address, Mutex::new(None))).collect(), deadline }
    }

    pub(super) fn addresses(&self) -> impl Iterator<Item = &Address> {
        self.addresses.iter().map(|(address, _)| address)
    }

    /// The first connection that `attempt` makes. Each address gets its share of the time that is left, so that a frozen
    /// one does not use up that of those after it.
    pub(super) fn connect<T>(
        &self,
        mut attempt: impl FnMut(&Address, Duration) -> Result<T, DriverError>,
    ) -> Result<T, DriverError> {
        let start = Instant::now();
        let failed = |at: &Mutex<Option<Instant>>| *at.lock().unwrap_or_else(PoisonError::into_inner);
        let distrusted = |at| failed(at).is_some_and(|at| at.elapsed() < DISTRUST);
        let (last, first): (Vec<_>, Vec<_>) = self.addresses.iter().partition(|(_, at)| distrusted(at));
        let mut errors = Vec::new();
        for (tried, (address, failure)) in first.iter().chain(&last).enumerate() {
            let left = self.deadline.saturating_sub(start.elapsed());
            let others = u32::try_from(self.addresses.len() - tried).unwrap_or(1).max(1);
            let share = left / others;
            if share.is_zero() {
                break;
            }
            let outcome = attempt(address, share);
            *failure.lock().unwrap_or_else(PoisonError::into_inner) = outcome.is_err().then(Instant::now);
            match outcome {
                Ok(connection) => return Ok(connection),
                Err(error) => errors.push((address, error)),
            }
        }
        Err(all_failed(errors, self.deadline))
    }
}

/// One error that tells of all addresses.
fn all_failed(mut errors: Vec<(&Address, DriverError)>, deadline: Duration) -> DriverError {
    match errors.len() {
        0 => return DriverError::Timeout(deadline),
        1 => return errors.remove(0).1,
        _ => {}
    }
    let sentence = errors.iter().map(|(address, error)| format!("{address}: {error}")).collect::<Vec<_>>().join("; ");
    if errors.iter().any(|(_, error)| matches!(error, DriverError::Refused { .. })) {
        DriverError::Refused { kind: Refusal::Other, reason: sentence }
    } else {
        DriverError::Lost(sentence)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hosts(count: u16) -> Hosts {
        let host = |n| HostPort { host: format!("db{n}"), port: n };
        let server =
            Server { hosts: (0..count).map(host).collect(), socket: None, user: "u".into(), database: "d".into() };
        Hosts::new(&server, Duration::from_millis(400))
    }

    #[test]
    fn an_address_that_failed_is_tried_after_the_others() {
        let hosts = hosts(3);
        let mut tried = Vec::new();
        let mut connect = |good: &str| {
            tried.clear();
            let outcome = hosts.connect(|address, _| {
                tried.push(address.to_string());
                if address.to_string() == good { Ok(()) } else { Err(DriverError::Lost("no".into())) }
            });
            (outcome.is_ok(), tried.join(" "))
        };
        assert_eq!(connect("db1:1"), (true, "db0:0 db1:1".into()));
        assert_eq!(connect("db1:1"), (true, "db1:1".into()));
        assert_eq!(connect("none"), (false, "db1:1 db2:2 db0:0".into()));
        assert_eq!(connect("db0:0"), (true, "db0:0".into()), "with all of them distrusted, the order is the old one");
    }

    #[test]
    fn a_frozen_address_leaves_time_for_the_next() {
        let shares = std::cell::RefCell::new(Vec::new());
        let error = hosts(2).connect(|_, share| -> Result<(), _> {
            shares.borrow_mut().push(share);
            std::thread::sleep(share);
            Err(DriverError::Timeout(share))
        });
        assert!(error.is_err());
        assert_eq!(shares.borrow().len(), 2);
        assert!(shares.borrow().iter().sum::<Duration>() <= Duration::from_millis(400));
    }

    #[test]
    fn only_a_way_that_stays_on_this_machine_may_be_clear_unasked() {
        let tcp = |host: &str| Address::Tcp(HostPort { host: host.into(), port: 1 });
        for host in ["localhost", "127.0.0.1", "127.8.8.8", "::1"] {
            assert_eq!(tcp(host).secrecy(None), Secrecy::Disable, "{host}");
            assert_eq!(tcp(host).secrecy(Some(Secrecy::VerifyCa)), Secrecy::VerifyCa, "{host}");
        }
        for host in ["db.example", "localhost.example", "192.0.2.1", "2001:db8::1"] {
            assert_eq!(tcp(host).secrecy(None), Secrecy::VerifyFull, "{host}");
        }
        assert_eq!(Address::Socket("/s".into()).secrecy(Some(Secrecy::VerifyFull)), Secrecy::Disable);
    }
}
