//! The addresses of the hosts of a database.

use crate::config::{HostPort, Server, TlsMode};
use std::fmt;
use std::path::PathBuf;
use std::time::Duration;

/// The address of a server.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::store) enum Address {
    /// Path of the unix socket; for PostgreSQL, of its directory.
    Socket(PathBuf),
    /// Host and port.
    Tcp(HostPort),
}

impl Address {
    /// Returns the TLS mode: as configured, and otherwise `verify-full` for connections that leave this machine.
    pub(in crate::store) fn tls_mode(&self, configured: Option<TlsMode>) -> TlsMode {
        match (self, configured) {
            (Address::Socket(_), _) => TlsMode::Disable,
            (Address::Tcp(_), Some(tls_mode)) => tls_mode,
            (Address::Tcp(at), None) if at.is_loopback() => TlsMode::Disable,
            (Address::Tcp(_), None) => TlsMode::VerifyFull,
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

/// One host of a database, with what a driver needs to connect to it.
#[derive(Clone, Debug)]
pub(in crate::store) struct Endpoint {
    pub(in crate::store) address: Address,
    /// Name of the host for messages.
    pub(in crate::store) place: String,
    /// Deadline of a connect, and of each statement.
    pub(in crate::store) deadline: Duration,
}

/// Returns the addresses of the hosts in their configured order. If there is a socket and the only host is on the
/// loopback, both are the same server, and only the socket is used.
pub(in crate::store) fn addresses(server: &Server) -> Vec<Address> {
    let socket = server.socket.iter().map(|path| Address::Socket(path.clone()));
    let hosts = match (&server.socket, &server.hosts[..]) {
        (Some(_), [only]) if only.is_loopback() => &[],
        (_, hosts) => hosts,
    };
    socket.chain(hosts.iter().map(|at| Address::Tcp(at.clone()))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_local_connections_are_clear_text_by_default() {
        let tcp = |host: &str| Address::Tcp(HostPort { host: host.into(), port: 1 });
        for host in ["localhost", "127.0.0.1", "127.8.8.8", "::1"] {
            assert_eq!(tcp(host).tls_mode(None), TlsMode::Disable, "{host}");
            assert_eq!(tcp(host).tls_mode(Some(TlsMode::VerifyCa)), TlsMode::VerifyCa, "{host}");
        }
        for host in ["db.example", "localhost.example", "192.0.2.1", "2001:db8::1"] {
            assert_eq!(tcp(host).tls_mode(None), TlsMode::VerifyFull, "{host}");
        }
        assert_eq!(Address::Socket("/s".into()).tls_mode(Some(TlsMode::VerifyFull)), TlsMode::Disable);
    }

    #[test]
    fn a_socket_and_the_loopback_are_one_host() {
        let count = |socket: bool, hosts: &[&str]| {
            let host = |name: &&str| HostPort { host: (*name).into(), port: 1 };
            let socket = socket.then(|| "/s".into());
            let hosts = hosts.iter().map(host).collect();
            addresses(&Server { hosts, socket, user: "u".into(), database: "d".into() }).len()
        };
        assert_eq!((count(true, &[]), count(true, &["localhost"]), count(false, &["localhost"])), (1, 1, 1));
        assert_eq!((count(true, &["db2"]), count(true, &["localhost", "db2"])), (2, 3));
    }
}
