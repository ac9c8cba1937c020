//! Connects to a server, by its unix socket or by the addresses of its host name, within one deadline.
//!
//! A name may have several addresses: `localhost` is 127.0.0.1 and ::1 on most machines, and a server may listen on
//! only one of them. An attempt covers the whole handshake, not only the TCP connection: an address that accepts and
//! then stays silent uses up its share of the deadline, and leaves the rest to the next.

use super::advice;
use crate::config::HostPort;
use crate::store::driver::DriverError;
use crate::store::driver::connect::name_lookup::{Failure, lookups};
use rustix::fd::OwnedFd;
use rustix::io::Errno;
use rustix::net::{AddressFamily, SocketAddrUnix, SocketFlags, SocketType};
use std::io;
use std::net::{SocketAddr, TcpStream};
use std::path::Path;
use std::time::{Duration, Instant};

/// Returns the addresses of a host in the system's order, within `limit` after `start`.
pub(in crate::store::driver) fn resolve(
    at: &HostPort,
    start: Instant,
    limit: Duration,
) -> Result<Vec<SocketAddr>, DriverError> {
    let lost = |problem: &dyn std::fmt::Display| DriverError::Lost(advice::name_error(problem, at));
    let undecided = |problem: String| DriverError::Lost(format!("the host's name {}: {problem}", at.host));
    let found = lookups().resolve(&at.host, at.port, start + limit).map_err(|failure| match failure {
        Failure::Said(problem) => lost(&problem),
        Failure::Late => undecided(format!(
            "no name server answered within {} ms; check /etc/resolv.conf, or write the host's address in [database] url",
            limit.as_millis()
        )),
        Failure::Busy => undecided("too many other names are being looked up; check /etc/resolv.conf".to_owned()),
    })?;
    let mut addresses: Vec<SocketAddr> = Vec::new();
    for address in found {
        if !addresses.contains(&address) {
            addresses.push(address);
        }
    }
    if addresses.is_empty() { Err(lost(&"it has no address")) } else { Ok(addresses) }
}

/// Returns the first connection that `connect` makes to one of the addresses. Each attempt is given its deadline: an
/// equal share of what is left of `limit` after `start`, so that unused time goes to the following attempts.
pub(in crate::store::driver) fn first_that_connects<T>(
    addresses: &[SocketAddr],
    start: Instant,
    limit: Duration,
    mut connect: impl FnMut(SocketAddr, Instant) -> Result<T, DriverError>,
) -> Result<T, DriverError> {
    let mut failures = Vec::new();
    for (index, address) in addresses.iter().enumerate() {
        let left = limit.saturating_sub(start.elapsed());
        let share = left / u32::try_from(addresses.len() - index).unwrap_or(u32::MAX);
        if share.is_zero() {
            failures.push((*address, DriverError::Timeout(limit)));
            break;
        }
        match connect(*address, Instant::now() + share) {
            Ok(connection) => return Ok(connection),
            Err(error) => failures.push((*address, error)),
        }
    }
    Err(combine(failures, limit))
}

/// Combines the failures of all addresses into one error. An answer of a server takes precedence over silence.
fn combine(mut failures: Vec<(SocketAddr, DriverError)>, limit: Duration) -> DriverError {
    if failures.len() == 1 {
        return failures.remove(0).1;
    }
    let is_timeout = |error: &DriverError| matches!(error, DriverError::Timeout(_));
    if failures.iter().all(|(_, error)| is_timeout(error)) {
        return DriverError::Timeout(limit);
    }
    let text: Vec<String> = failures.iter().map(|(address, error)| format!("{address}: {error}")).collect();
    let text = text.join("; ");
    if failures.iter().any(|(_, error)| matches!(error, DriverError::Full(_))) {
        DriverError::Full(text)
    } else if failures.iter().any(|(_, error)| matches!(error, DriverError::Denied(_))) {
        DriverError::Denied(text)
    } else {
        DriverError::Lost(text)
    }
}

/// Connects to a unix socket, and makes it non-blocking. If the server's queue of connections is full, this counts as a
/// timeout.
pub(in crate::store::driver) fn unix(path: &Path) -> io::Result<OwnedFd> {
    let flags = SocketFlags::NONBLOCK | SocketFlags::CLOEXEC;
    let descriptor = rustix::net::socket_with(AddressFamily::UNIX, SocketType::STREAM, flags, None)?;
    match rustix::net::connect(&descriptor, &SocketAddrUnix::new(path)?) {
        Err(Errno::AGAIN) => Err(io::ErrorKind::TimedOut.into()),
        outcome => Ok(outcome.map(|()| descriptor)?),
    }
}

/// Connects to one address by TCP, with the deadline `until`.
pub(in crate::store::driver) fn tcp(address: SocketAddr, until: Instant) -> io::Result<TcpStream> {
    let left = until.saturating_duration_since(Instant::now());
    if left.is_zero() {
        return Err(io::ErrorKind::TimedOut.into());
    }
    let stream = TcpStream::connect_timeout(&address, left)?;
    stream.set_nodelay(true)?;
    stream.set_nonblocking(true)?;
    Ok(stream)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::net::UnixListener;

    fn address(number: u16) -> SocketAddr {
        SocketAddr::from(([127, 0, 0, 1], number))
    }

    fn until_the_end(until: Instant) -> Result<u16, DriverError> {
        std::thread::sleep(until.saturating_duration_since(Instant::now()));
        Err(DriverError::Timeout(Duration::from_secs(1)))
    }

    #[test]
    fn a_silent_address_leaves_time_for_the_next() {
        let limit = Duration::from_millis(300);
        let start = Instant::now();
        let answer =
            first_that_connects(&[address(1), address(2), address(3)], start, limit, |at, until| match at.port() {
                3 => Ok(at.port()),
                _ => until_the_end(until),
            });
        assert_eq!(answer, Ok(3));
        assert!(start.elapsed() < limit, "{:?}", start.elapsed());
    }

    #[test]
    fn an_address_that_refuses_leaves_its_time_to_the_next() {
        let limit = Duration::from_millis(300);
        let start = Instant::now();
        let answer = first_that_connects(&[address(1), address(2)], start, limit, |at, until| match at.port() {
            1 => Err(DriverError::Lost("refused".into())),
            _ => Ok(until.duration_since(start)),
        });
        assert!(answer.is_ok_and(|share| share > limit * 9 / 10 && share <= limit + limit / 10));
    }

    #[test]
    fn the_error_names_each_address_and_comes_at_the_deadline() {
        let limit = Duration::from_millis(100);
        let addresses = [address(1), address(2)];
        let all_silent = first_that_connects::<u16>(&addresses, Instant::now(), limit, |_, until| until_the_end(until));
        assert_eq!(all_silent, Err(DriverError::Timeout(limit)));
        let say = |errors: [DriverError; 2]| {
            let mut errors = errors.into_iter();
            first_that_connects::<u16>(&addresses, Instant::now(), limit, |_, _| Err(errors.next().unwrap()))
        };
        let lost = || DriverError::Lost("refused".into());
        assert_eq!(
            say([lost(), DriverError::Denied("no such user".into())]),
            Err(DriverError::Denied("127.0.0.1:1: refused; 127.0.0.1:2: no such user".into()))
        );
        assert!(matches!(say([DriverError::Full("no room".into()), lost()]), Err(DriverError::Full(_))));
        assert!(matches!(say([lost(), DriverError::Timeout(limit)]), Err(DriverError::Lost(_))));
    }

    #[test]
    fn a_full_queue_of_connections_is_a_timeout() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("s");
        let _listener = UnixListener::bind(&path).unwrap();
        let mut held = Vec::new();
        let failure = loop {
            match unix(&path) {
                Ok(socket) => held.push(socket),
                Err(error) => break error,
            }
            assert!(held.len() < 10_000, "the queue has no end");
        };
        assert_eq!(failure.kind(), io::ErrorKind::TimedOut);
    }
}
