//! A blocking connection to a server with one deadline for all its reads and writes.
//!
//! A timeout per read(2), such as `SO_RCVTIMEO`, does not limit the whole answer: a server that sends a byte a second
//! could hold a login for minutes. Here each wait lasts at most until the deadline.

use crate::store::driver::connect::answer_limit;
use rustix::event::{PollFd, PollFlags, Timespec};
use rustix::fd::OwnedFd;
use rustix::io::Errno;
use rustix::net::{RecvFlags, SendFlags};
use rustls::{ClientConnection, StreamOwned};
use std::io::{self, Read, Write};
use std::time::Instant;

/// A socket with a deadline.
pub(super) struct TimedSocket {
    descriptor: OwnedFd,
    until: Instant,
    /// Bytes received since the deadline was set.
    received: usize,
}

impl TimedSocket {
    /// Takes over a non-blocking socket.
    pub(super) fn new(descriptor: impl Into<OwnedFd>, until: Instant) -> Self {
        TimedSocket { descriptor: descriptor.into(), until, received: 0 }
    }

    /// Sets the deadline, and begins to count received bytes again.
    fn end_at(&mut self, until: Instant) {
        (self.until, self.received) = (until, 0);
    }

    /// Waits until the socket is ready; fails with `TimedOut` at the deadline.
    fn wait(&self, events: PollFlags) -> io::Result<()> {
        loop {
            let left = self.until.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return Err(io::ErrorKind::TimedOut.into());
            }
            let limit = Timespec::try_from(left).map_err(|_| io::Error::from(io::ErrorKind::InvalidInput))?;
            match rustix::event::poll(&mut [PollFd::new(&self.descriptor, events)], Some(&limit)) {
                Ok(0) | Err(Errno::INTR) => {}
                Ok(_) => return Ok(()),
                Err(error) => return Err(error.into()),
            }
        }
    }
}

impl Read for TimedSocket {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        loop {
            // The answer to what was just sent has not arrived yet, so waiting first saves a system call.
            self.wait(PollFlags::IN)?;
            match rustix::net::recv(&self.descriptor, &mut *buffer, RecvFlags::DONTWAIT) {
                Ok((count, _)) => {
                    self.received = self.received.saturating_add(count);
                    return if self.received > answer_limit::MAX_BYTES {
                        Err(answer_limit::too_long())
                    } else {
                        Ok(count)
                    };
                }
                Err(Errno::AGAIN | Errno::INTR) => {}
                Err(error) => return Err(error.into()),
            }
        }
    }
}

impl Write for TimedSocket {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        loop {
            match rustix::net::send(&self.descriptor, bytes, SendFlags::DONTWAIT | SendFlags::NOSIGNAL) {
                Ok(count) => return Ok(count),
                Err(Errno::AGAIN) => self.wait(PollFlags::OUT)?,
                Err(Errno::INTR) => {}
                Err(error) => return Err(error.into()),
            }
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// A connection with a deadline, in clear text or TLS.
pub(super) enum Stream {
    Clear(TimedSocket),
    Tls(Box<StreamOwned<ClientConnection, TimedSocket>>),
}

impl Stream {
    /// Sets the deadline for everything that follows.
    pub(super) fn end_at(&mut self, until: Instant) {
        match self {
            Stream::Clear(socket) => socket.end_at(until),
            Stream::Tls(stream) => stream.sock.end_at(until),
        }
    }
}

impl Read for Stream {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        match self {
            Stream::Clear(socket) => socket.read(buffer),
            Stream::Tls(stream) => stream.read(buffer),
        }
    }
}

impl Write for Stream {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match self {
            Stream::Clear(socket) => socket.write(bytes),
            Stream::Tls(stream) => stream.write(bytes),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        match self {
            Stream::Clear(socket) => socket.flush(),
            Stream::Tls(stream) => stream.flush(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::driver::connect::dial;
    use std::os::unix::net::UnixListener;
    use std::time::Duration;

    fn pair(limit: Duration) -> (TimedSocket, std::os::unix::net::UnixStream) {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("s");
        let listener = UnixListener::bind(&path).unwrap();
        let socket = TimedSocket::new(dial::unix(&path).unwrap(), Instant::now() + limit);
        (socket, listener.accept().unwrap().0)
    }

    #[test]
    fn a_slowly_sending_peer_does_not_extend_the_deadline() {
        let limit = Duration::from_millis(300);
        let start = Instant::now();
        let (mut socket, mut peer) = pair(limit);
        std::thread::scope(|scope| {
            scope.spawn(move || {
                while peer.write_all(b"x").is_ok() {
                    std::thread::sleep(Duration::from_millis(20));
                }
            });
            let error = socket.read_exact(&mut [0; 10_000]).unwrap_err();
            assert_eq!(error.kind(), io::ErrorKind::TimedOut);
            assert!(start.elapsed() >= limit && start.elapsed() < limit * 3, "{:?}", start.elapsed());
            drop(socket);
        });
    }

    #[test]
    fn a_write_to_a_peer_that_reads_nothing_ends_at_the_deadline() {
        let limit = Duration::from_millis(100);
        let start = Instant::now();
        let (mut socket, _peer) = pair(limit);
        let error = socket.write_all(&vec![0; 16 << 20]).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::TimedOut);
        assert!(start.elapsed() >= limit && start.elapsed() < limit * 10, "{:?}", start.elapsed());
    }

    #[test]
    fn a_peer_that_sends_without_end_is_cut_off() {
        let (socket, mut peer) = pair(Duration::from_secs(60));
        let mut stream = Stream::Clear(socket);
        std::thread::scope(|scope| {
            let chunk = vec![0; 1 << 20];
            scope.spawn(move || while peer.write_all(&chunk).is_ok() {});
            stream.end_at(Instant::now() + Duration::from_secs(60));
            let error = io::copy(&mut stream, &mut io::sink()).unwrap_err();
            assert!(error.to_string().contains("more than 67108864 bytes"), "{error}");
            drop(stream);
        });
    }

    #[test]
    fn data_is_read_until_the_peer_closes() {
        let (mut socket, mut peer) = pair(Duration::from_secs(20));
        peer.write_all(b"hello").unwrap();
        drop(peer);
        let mut all = Vec::new();
        socket.read_to_end(&mut all).unwrap();
        assert_eq!(all, b"hello");
    }
}
