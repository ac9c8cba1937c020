//! What the server has counted, for Prometheus: `GET /metrics` and nothing else, over as much of HTTP/1 as that needs.
//!
//! One thread serves all clients, and waits for none of them: those that are slow or hostile delay neither scrapes nor
//! logins.

mod clients;
mod http;

use super::exposition::exposition;
use crate::accept::acceptor::Hall;
use crate::accept::listener::{BindError, Listener, Place};
use mailauth_core::config::{CourierConfig, MetricsAddress};
use rustix::io::ioctl_fionbio;
use rustix::net::{Shutdown, listen, shutdown};
use std::io;
use std::net::TcpListener;
use std::os::fd::OwnedFd;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{Builder, JoinHandle};

/// Connections that may wait to be accepted. A client that finds no place here tries again after a second.
const BACKLOG: i32 = 1024;

/// Why metrics cannot be given out.
#[derive(Debug, thiserror::Error)]
pub enum MetricsError {
    /// No unix socket.
    #[error("[metrics] listen: {0}")]
    Unix(#[from] BindError),
    /// No port.
    #[error("[metrics] listen: cannot listen on {address}: {error}; choose another port, or stop who has this one")]
    Port {
        /// Which.
        address: MetricsAddress,
        /// What the system said.
        error: io::Error,
    },
}

/// A listening socket for metrics, before anybody is served.
#[derive(Debug)]
pub struct MetricsListener {
    address: MetricsAddress,
    socket: Socket,
}

#[derive(Debug)]
enum Socket {
    Unix(Listener),
    Tcp(OwnedFd),
}

impl MetricsListener {
    /// Listens on `address`; a unix socket gets the group of `[courier] socket_group` and the mode 0660.
    ///
    /// # Errors
    /// When somebody else does so already, or the system refuses.
    pub fn bind(address: &MetricsAddress, courier: &CourierConfig) -> Result<Self, MetricsError> {
        let socket = match address {
            MetricsAddress::Unix(path) => {
                let place = Place { path: path.clone(), mode: 0o660, ..Place::of_courier(courier) };
                Socket::Unix(Listener::bind_at(place)?)
            }
            MetricsAddress::Tcp(port) => {
                let failed = |error| MetricsError::Port { address: address.clone(), error };
                Socket::Tcp(TcpListener::bind(port).map_err(failed)?.into())
            }
        };
        let listener = MetricsListener { address: address.clone(), socket };
        // It listens already; this only changes how many may wait. It cannot fail.
        let _ = listen(listener.descriptor(), BACKLOG);
        Ok(listener)
    }

    fn descriptor(&self) -> &OwnedFd {
        match &self.socket {
            Socket::Unix(listener) => listener.socket(),
            Socket::Tcp(socket) => socket,
        }
    }
}

/// The thread that serves metrics.
pub(crate) struct Metrics {
    listener: Arc<MetricsListener>,
    over: Arc<AtomicBool>,
    thread: JoinHandle<()>,
}

impl Metrics {
    /// # Errors
    /// When the system gives no thread.
    pub fn open(listener: MetricsListener, hall: &Arc<Hall>) -> io::Result<Self> {
        let listener = Arc::new(listener);
        ioctl_fionbio(listener.descriptor(), true)?;
        let (theirs, hall) = (Arc::clone(&listener), Arc::clone(hall));
        let text = move || exposition(&hall.works.status(&hall.live()));
        let over = Arc::<AtomicBool>::default();
        let is_over = Arc::clone(&over);
        let serve = move || clients::serve(theirs.descriptor(), &is_over, &text);
        let thread = Builder::new().name("metrics".into()).spawn(serve)?;
        Ok(Metrics { listener, over, thread })
    }

    pub fn address(&self) -> &MetricsAddress {
        &self.listener.address
    }

    /// Accepts no more, and waits for those that are being served, which have seconds at most.
    pub fn close(self) {
        self.over.store(true, Ordering::SeqCst);
        // On a listening socket this cannot fail. It wakes the thread.
        let _ = shutdown(self.listener.descriptor(), Shutdown::Read);
        // The thread cannot end by a panic: that of each client is caught.
        let _ = self.thread.join();
    }
}
