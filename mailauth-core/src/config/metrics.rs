//! `[metrics]`: where the daemon's counters can be read.

use std::fmt;
use std::net::SocketAddr;
use std::path::PathBuf;

/// `[metrics]`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct MetricsConfig {
    /// `listen`: where Prometheus finds them; none by default.
    pub listen: Option<MetricsAddress>,
}

/// Where metrics are given out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum MetricsAddress {
    /// `unix:/path`.
    Unix(PathBuf),
    /// An address of the loopback and a port.
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
