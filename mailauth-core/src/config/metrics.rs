//! `[metrics]`: where the daemon's counters can be read.

use std::fmt;
use std::net::SocketAddr;
use std::path::PathBuf;

/// The section `[metrics]`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct MetricsConfig {
    /// `listen`: where Prometheus can read them. `None` by default.
    pub listen: Option<MetricsAddress>,
}

/// Address at which metrics are served.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum MetricsAddress {
    /// `unix:/path`: a unix socket.
    Unix(PathBuf),
    /// A loopback address and a port.
    Tcp(SocketAddr),
}

impl fmt::Display for MetricsAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            MetricsAddress::Unix(path) => write!(f, "unix:{}", path.display()),
            MetricsAddress::Tcp(address) => address.fmt(f),
        }
    }
}
