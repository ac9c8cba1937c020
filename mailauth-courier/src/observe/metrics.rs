//! Metrics for Prometheus: `GET /metrics`, over as much of HTTP/1 as that needs.
//!
//! One thread serves all clients and waits for none of them, so that slow or hostile ones delay neither scrapes nor
//! logins.

mod clients;
mod http;

use super::exposition::exposition;
use super::process_use::ProcessUse;
use crate::accept::listener::{BindError, Listener, SocketSpec};
use crate::accept::passed;
use crate::process::interrupt;
use crate::shared::Shared;
use mailauth_core::config::{CourierConfig, MetricsAddress};
use rustix::io::ioctl_fionbio;
use rustix::net::{Shutdown, listen, shutdown};
use std::io;
use std::net::TcpListener;
use std::os::fd::OwnedFd;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{Builder, JoinHandle};

/// Number of connections that may wait to be accepted. The kernel of a client that finds no room here tries again after
/// a second.
const BACKLOG: i32 = 1024;

/// Reason why metrics cannot be served.
#[derive(Debug, thiserror::Error)]
pub enum MetricsError {
    /// The Unix socket cannot be bound.
    #[error("[metrics] listen: {0}")]
    Unix(#[from] BindError),
    /// The port cannot be bound.
    #[error("[metrics] listen: cannot listen on {address}: {error}; choose another port, or stop the program using it")]
    Port {
        /// Address with the port.
        address: MetricsAddress,
        /// Error of the system.
        error: io::Error,
    },
}

/// A listening socket for metrics, before clients are served.
#[derive(Debug)]
pub struct MetricsListener {
    address: MetricsAddress,
    socket: Socket,
}

#[derive(Debug)]
enum Socket {
    Unix(Listener),
    Tcp(OwnedFd),
    /// A port on which a socket was passed to this process.
    PassedTcp(OwnedFd),
}

impl MetricsListener {
    /// Listens on `address`. A Unix socket gets the group of `[courier] socket_group` and the mode 0660.
    ///
    /// # Errors
    /// Fails if another program listens there, or a system call fails.
    pub fn bind(address: &MetricsAddress, courier: &CourierConfig) -> Result<Self, MetricsError> {
        let socket = match address {
            MetricsAddress::Unix(path) => {
                let spec = SocketSpec { path: path.clone(), mode: 0o660, ..SocketSpec::of_courier(courier) };
                Socket::Unix(Listener::bind_at(spec)?)
            }
            MetricsAddress::Tcp(port) => {
                let failed = |error| MetricsError::Port { address: address.clone(), error };
                match passed::at_port(port).map_err(failed)? {
                    Some(passed) => Socket::PassedTcp(passed),
                    None => Socket::Tcp(TcpListener::bind(port).map_err(failed)?.into()),
                }
            }
        };
        let listener = MetricsListener { address: address.clone(), socket };
        // It listens already; this only changes the number of connections that may wait. It cannot fail.
        let _ = listen(listener.descriptor(), BACKLOG);
        Ok(listener)
    }

    fn descriptor(&self) -> &OwnedFd {
        match &self.socket {
            Socket::Unix(listener) => listener.socket(),
            Socket::Tcp(socket) | Socket::PassedTcp(socket) => socket,
        }
    }

    /// Returns true if the socket remains open when this process ends.
    fn outlives_process(&self) -> bool {
        match &self.socket {
            Socket::Unix(listener) => listener.outlives_process(),
            Socket::Tcp(_) => false,
            Socket::PassedTcp(_) => true,
        }
    }
}

/// The thread that serves metrics.
pub(crate) struct Metrics {
    listener: Arc<MetricsListener>,
    stopped: Arc<AtomicBool>,
    thread: JoinHandle<()>,
}

impl Metrics {
    /// Starts to serve metrics on `listener`.
    ///
    /// # Errors
    /// Fails if the system provides no thread.
    pub fn open(listener: MetricsListener, shared: &Arc<Shared>) -> io::Result<Self> {
        let listener = Arc::new(listener);
        ioctl_fionbio(listener.descriptor(), true)?;
        let (served, shared) = (Arc::clone(&listener), Arc::clone(shared));
        let text = move || {
            let config = shared.config();
            let latencies = config.backend.counters.latencies();
            exposition(&shared.status(&config), &latencies, &ProcessUse::now(shared.stats.started_at))
        };
        let stopped = Arc::<AtomicBool>::default();
        let is_stopped = Arc::clone(&stopped);
        let serve = move || clients::serve(served.descriptor(), &is_stopped, &text);
        let thread = Builder::new().name("metrics".into()).spawn(serve)?;
        Ok(Metrics { listener, stopped, thread })
    }

    /// Returns the address on which metrics are served.
    pub fn address(&self) -> &MetricsAddress {
        &self.listener.address
    }

    /// Accepts no more clients, and waits for those that are being served, which takes seconds at most.
    pub fn close(self) {
        self.stopped.store(true, Ordering::SeqCst);
        let passed = self.listener.outlives_process();
        if !passed {
            // On a listening socket this cannot fail. It wakes the thread.
            let _ = shutdown(self.listener.descriptor(), Shutdown::Read);
        }
        interrupt::join(self.thread, || passed);
    }
}
