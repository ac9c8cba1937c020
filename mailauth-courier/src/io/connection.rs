//! One client's connection.

use crate::accept::peer::Rights;
use crate::accept::slots::Taken;
use crate::live_config::Live;
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::Errno;
use rustix::net::{RecvFlags, SendFlags, recv, send};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

/// The most bytes that are thrown away before closing. Real clients send one too many; who sends more than this gets
/// a reset.
const MAX_DRAIN: usize = 64 * 1024;

/// An accepted connection. Dropping it closes it, which without an answer means "not now".
pub(crate) struct Connection {
    socket: OwnedFd,
    /// What the peer may ask.
    pub rights: Rights,
    /// The configuration that was in force when it came.
    pub live: Arc<Live>,
    /// When the answer is worth nothing any more.
    pub deadline: Instant,
    /// When the request was there, or before that when the connection was.
    pub asked: Instant,
    _place: Taken,
}

/// Counts how much of something there is at one time.
#[derive(Clone, Default)]
pub(crate) struct Places(Arc<AtomicUsize>);

/// One of them.
pub(crate) struct Place(Places);

impl Places {
    /// A place among at most `limit`, or `None` when all are taken.
    pub fn take(&self, limit: usize) -> Option<Place> {
        // Taken first and given back, so that two can never share the last place.
        let place = Place(self.clone());
        if self.0.fetch_add(1, Ordering::Relaxed) < limit { Some(place) } else { None }
    }

    /// How many are taken.
    pub fn taken(&self) -> usize {
        self.0.load(Ordering::Relaxed)
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.0.0.fetch_sub(1, Ordering::Relaxed);
    }
}

/// What came of reading.
pub(crate) enum Received {
    /// So many bytes.
    Bytes(usize),
    /// Nothing yet.
    Nothing,
    /// The client will send no more, or is gone.
    Ended,
}

/// What came of sending.
pub(crate) enum Sent {
    /// Everything is with the kernel.
    All,
    /// So many bytes, and the client has to read first.
    Some(usize),
    /// The client is gone.
    Gone,
}

impl Connection {
    pub fn new(socket: OwnedFd, rights: Rights, live: Arc<Live>, place: Taken) -> Self {
        let asked = Instant::now();
        let deadline = asked + live.request;
        Connection { socket, rights, live, deadline, asked, _place: place }
    }

    /// The first byte has come: from now on the request has its time.
    pub fn begin(&mut self) {
        self.deadline = Instant::now() + self.live.request;
    }

    /// Reads what has come, without waiting.
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

    /// Waits so long for something to read.
    pub fn is_readable_within(&self, patience: Duration) -> bool {
        is_readable_within(&self.socket, patience)
    }

    /// Returns true if the client has hung up, so that nobody would read an answer. One that has only ended its own side
    /// still waits.
    pub fn is_abandoned(&self) -> bool {
        let now = Timespec { tv_sec: 0, tv_nsec: 0 };
        let mut sources = [PollFd::new(&self.socket, PollFlags::empty())];
        let polled = poll(&mut sources, Some(&now)).is_ok_and(|ready| ready > 0);
        polled && sources.iter().any(|source| source.revents().intersects(PollFlags::HUP | PollFlags::ERR))
    }

    /// Sends what the kernel takes, without waiting.
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

    /// Closes so that the client can read all that was sent.
    ///
    /// Input that is left unread makes the kernel reset the connection, and Cyrus SASL, which sends a byte more than it
    /// counts, takes that for a failure.
    pub fn close(self) {
        drain(&self.socket);
    }
}

/// Throws away what has come, up to [`MAX_DRAIN`], without waiting.
pub(crate) fn drain(socket: &impl AsFd) {
    let mut bin = [0; 4096];
    let mut drained = 0;
    while drained < MAX_DRAIN {
        match recv(socket, &mut bin, RecvFlags::DONTWAIT) {
            Ok((0, _)) => return,
            Ok((count, _)) => drained += count,
            Err(Errno::INTR) => {}
            Err(_) => return,
        }
    }
}

/// Is there something to read, now or within less than a second?
pub(crate) fn is_readable_within(socket: &impl AsFd, patience: Duration) -> bool {
    let patience = Timespec { tv_sec: 0, tv_nsec: patience.subsec_nanos().into() };
    poll(&mut [PollFd::new(socket, PollFlags::IN)], Some(&patience)).is_ok_and(|ready| ready > 0)
}

impl AsFd for Connection {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_place_is_taken_once_and_given_back() {
        let places = Places::default();
        let first = places.take(1).unwrap();
        assert!(places.take(1).is_none());
        assert_eq!(places.taken(), 1);
        drop(first);
        assert!(places.take(1).is_some());
    }
}
