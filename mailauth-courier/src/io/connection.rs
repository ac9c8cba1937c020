//! The connection of one client.

use crate::accept::access::PeerRights;
use crate::accept::slots::ConnectionSlot;
use crate::live_config::LiveConfig;
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::Errno;
use rustix::net::{RecvFlags, SendFlags, recv, send};
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::Arc;
use std::time::{Duration, Instant};

/// Maximum number of bytes that are discarded before closing. Real clients send one byte too many; a client that sends
/// more than this gets a reset.
const MAX_DRAIN: usize = 64 * 1024;

/// An accepted connection. Dropping it closes it. A connection that is closed without an answer means "not now".
pub(crate) struct Connection {
    socket: OwnedFd,
    /// Rights of the peer.
    pub rights: PeerRights,
    /// Configuration that was in force when the client connected.
    pub config: Arc<LiveConfig>,
    /// Time after which the client no longer waits for the answer.
    pub deadline: Instant,
    /// Time when the request was complete; before that, the time when the client connected.
    pub requested_at: Instant,
    _slot: ConnectionSlot,
}

/// Result of reading.
pub(crate) enum Received {
    /// Number of bytes that were read.
    Bytes(usize),
    /// No input has arrived.
    Nothing,
    /// The client will send nothing more, or is gone.
    Ended,
}

/// Result of sending.
pub(crate) enum Sent {
    /// The kernel has accepted everything.
    All,
    /// Number of bytes that the kernel has accepted; the client has to read before more can be sent.
    Some(usize),
    /// The client is gone.
    Gone,
}

impl Connection {
    pub fn new(socket: OwnedFd, rights: PeerRights, config: Arc<LiveConfig>, slot: ConnectionSlot) -> Self {
        let requested_at = Instant::now();
        let deadline = requested_at + config.request;
        Connection { socket, rights, config, deadline, requested_at, _slot: slot }
    }

    /// Sets the deadline of the request. To be called when its first byte has arrived.
    pub fn begin(&mut self) {
        self.deadline = Instant::now() + self.config.request;
    }

    /// Reads the input that has arrived, without waiting.
    pub fn receive(&self, buffer: &mut [u8]) -> Received {
        loop {
            return match recv(&self.socket, &mut *buffer, RecvFlags::empty()) {
                Ok((0, _)) => Received::Ended,
                Ok((count, _)) => Received::Bytes(count),
                Err(Errno::INTR) => continue,
                Err(Errno::AGAIN) => Received::Nothing,
                Err(_) => Received::Ended,
            };
        }
    }

    /// Waits for input for at most `patience`, which is less than a second. Returns true if there is some.
    pub fn is_readable_within(&self, patience: Duration) -> bool {
        is_readable_within(&self.socket, patience)
    }

    /// Returns true if the client has disconnected, so that it would not read an answer. A client that has only ended
    /// its own side still waits for one.
    pub fn is_abandoned(&self) -> bool {
        let now = Timespec { tv_sec: 0, tv_nsec: 0 };
        let mut sources = [PollFd::new(&self.socket, PollFlags::empty())];
        let polled = poll(&mut sources, Some(&now)).is_ok_and(|ready| ready > 0);
        polled && sources.iter().any(|source| source.revents().intersects(PollFlags::HUP | PollFlags::ERR))
    }

    /// Sends as much as the kernel accepts, without waiting.
    pub fn send(&self, bytes: &[u8]) -> Sent {
        let mut sent = 0;
        while let Some(rest) = bytes.get(sent..).filter(|rest| !rest.is_empty()) {
            match send(&self.socket, rest, SendFlags::NOSIGNAL) {
                Ok(count) => sent += count,
                Err(Errno::INTR) => {}
                Err(Errno::AGAIN) => return Sent::Some(sent),
                Err(_) => return Sent::Gone,
            }
        }
        Sent::All
    }

    /// Closes the connection so that the client can read everything that was sent.
    ///
    /// Unread input makes the kernel reset the connection, and Cyrus SASL, which sends a byte more than it counts,
    /// would take that as a failure.
    pub fn close(self) {
        drain(&self.socket);
    }
}

/// Discards the input that has arrived, up to [`MAX_DRAIN`], without waiting.
pub(crate) fn drain(socket: &impl AsFd) {
    let mut bin = [MaybeUninit::uninit(); 4096];
    let mut drained = 0;
    while drained < MAX_DRAIN {
        match recv(socket, &mut bin[..], RecvFlags::DONTWAIT) {
            Ok((_, 0)) => return,
            Ok((_, count)) => drained += count,
            Err(Errno::INTR) => {}
            Err(_) => return,
        }
    }
}

/// Waits for input for at most `patience`, which is less than a second. Returns true if there is some.
pub(crate) fn is_readable_within(socket: &impl AsFd, patience: Duration) -> bool {
    let patience = Timespec { tv_sec: 0, tv_nsec: patience.subsec_nanos().into() };
    poll(&mut [PollFd::new(socket, PollFlags::IN)], Some(&patience)).is_ok_and(|ready| ready > 0)
}

impl AsFd for Connection {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }
}
