//! A socket for the asynchronous PostgreSQL client, and an executor that runs the client without a runtime.
//!
//! One thread at a time uses a connection and waits for one answer, so all that a runtime would do is `poll(2)` on one
//! descriptor until the deadline. A query costs three system calls: send, poll, receive.

use crate::store::driver::connect::answer_limit;
use rustix::event::{PollFd, PollFlags, Timespec};
use rustix::fd::OwnedFd;
use rustix::io::Errno;
use rustix::net::{RecvFlags, SendFlags};
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::task::{Context, Poll, Wake, Waker};
use std::time::Instant;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

/// The client's end of a connection. It never blocks: [`Executor::block_on`] does the waiting.
pub(super) struct Socket(Arc<Shared>);

/// The state that a socket shares with its executor.
struct Shared {
    descriptor: OwnedFd,
    /// True if there may be data to receive. False saves a system call that would find none.
    readable: AtomicBool,
    /// True if the client waits until it can send more.
    wants_to_write: AtomicBool,
    /// Number of bytes received since the current future was started.
    received: AtomicUsize,
}

impl Socket {
    /// Takes over a non-blocking socket.
    pub(super) fn new(descriptor: impl Into<OwnedFd>) -> Self {
        Socket(Arc::new(Shared {
            descriptor: descriptor.into(),
            readable: AtomicBool::new(false),
            wants_to_write: AtomicBool::new(false),
            received: AtomicUsize::new(0),
        }))
    }

    /// Returns an executor for the futures that use this socket.
    pub(super) fn executor(&self) -> Executor {
        let woken = Arc::new(WakeFlag(AtomicBool::new(false)));
        Executor { shared: self.0.clone(), waker: Waker::from(woken.clone()), woken }
    }
}

impl AsyncRead for Socket {
    fn poll_read(self: Pin<&mut Self>, _: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let shared = &self.0;
        if !shared.readable.load(Ordering::Relaxed) {
            return Poll::Pending;
        }
        let space = buffer.initialize_unfilled();
        let size = space.len();
        match rustix::net::recv(&shared.descriptor, space, RecvFlags::DONTWAIT) {
            Ok((received, _)) => {
                // Less than fits means that there is no more.
                shared.readable.store(received == size, Ordering::Relaxed);
                buffer.advance(received);
                let all = shared.received.fetch_add(received, Ordering::Relaxed).saturating_add(received);
                Poll::Ready(if all > answer_limit::MAX_BYTES { Err(answer_limit::too_long()) } else { Ok(()) })
            }
            Err(Errno::AGAIN | Errno::INTR) => {
                shared.readable.store(false, Ordering::Relaxed);
                Poll::Pending
            }
            Err(error) => Poll::Ready(Err(error.into())),
        }
    }
}

impl AsyncWrite for Socket {
    fn poll_write(self: Pin<&mut Self>, _: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let shared = &self.0;
        match rustix::net::send(&shared.descriptor, bytes, SendFlags::DONTWAIT | SendFlags::NOSIGNAL) {
            Ok(sent) => Poll::Ready(Ok(sent)),
            Err(Errno::AGAIN | Errno::INTR) => {
                shared.wants_to_write.store(true, Ordering::Relaxed);
                Poll::Pending
            }
            Err(error) => Poll::Ready(Err(error.into())),
        }
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}

/// A flag that is set when a future can make progress before anything arrives.
struct WakeFlag(AtomicBool);

impl Wake for WakeFlag {
    fn wake(self: Arc<Self>) {
        self.0.store(true, Ordering::Relaxed);
    }

    fn wake_by_ref(self: &Arc<Self>) {
        self.0.store(true, Ordering::Relaxed);
    }
}

/// An executor for the futures that use one socket.
pub(super) struct Executor {
    shared: Arc<Shared>,
    waker: Waker,
    woken: Arc<WakeFlag>,
}

impl Executor {
    /// Calls `poll` until it is ready; returns `None` if the deadline passes first.
    pub(super) fn block_on<T>(
        &self,
        until: Instant,
        mut poll: impl FnMut(&mut Context<'_>) -> Poll<T>,
    ) -> io::Result<Option<T>> {
        let mut context = Context::from_waker(&self.waker);
        self.shared.received.store(0, Ordering::Relaxed);
        loop {
            self.woken.0.store(false, Ordering::Relaxed);
            if let Poll::Ready(outcome) = poll(&mut context) {
                return Ok(Some(outcome));
            }
            // A socket that is always ready, such as a closed one, must not extend this beyond the deadline.
            if Instant::now() >= until || (!self.woken.0.load(Ordering::Relaxed) && !self.wait(until)?) {
                return Ok(None);
            }
        }
    }

    /// Waits until the socket is ready for what the client waits for; returns false if the deadline passes first.
    fn wait(&self, until: Instant) -> io::Result<bool> {
        let mut events = PollFlags::IN;
        if self.shared.wants_to_write.swap(false, Ordering::Relaxed) {
            events |= PollFlags::OUT;
        }
        loop {
            let left = until.saturating_duration_since(Instant::now());
            if left.is_zero() {
                // Checked first, because a closed connection is always readable.
                return Ok(false);
            }
            let Ok(limit) = Timespec::try_from(left) else {
                return Err(io::ErrorKind::InvalidInput.into());
            };
            let mut descriptors = [PollFd::new(&self.shared.descriptor, events)];
            match rustix::event::poll(&mut descriptors, Some(&limit)) {
                Ok(0) => return Ok(false),
                Ok(_) => {
                    let seen = descriptors.first().map_or(PollFlags::empty(), PollFd::revents);
                    // Receiving then reports an error or the end of the connection.
                    self.shared.readable.store(seen != PollFlags::OUT, Ordering::Relaxed);
                    return Ok(true);
                }
                Err(Errno::INTR) => {}
                Err(error) => return Err(error.into()),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::driver::connect::dial;
    use std::io::{Read, Write};
    use std::os::unix::net::UnixListener;
    use std::time::Duration;

    fn pair() -> (Socket, std::os::unix::net::UnixStream) {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("s");
        let listener = UnixListener::bind(&path).unwrap();
        let socket = Socket::new(dial::unix(&path).unwrap());
        (socket, listener.accept().unwrap().0)
    }

    fn read(socket: &mut Socket, limit: Duration) -> io::Result<Option<Vec<u8>>> {
        let executor = socket.executor();
        let outcome = executor.block_on(Instant::now() + limit, |context| {
            let mut space = [0; 4];
            let mut buffer = ReadBuf::new(&mut space);
            let read = Pin::new(&mut *socket).poll_read(context, &mut buffer)?;
            read.map(|()| io::Result::Ok(buffer.filled().to_vec()))
        })?;
        outcome.transpose()
    }

    #[test]
    fn data_is_read_and_silence_ends_at_the_deadline() {
        let (mut socket, mut peer) = pair();
        peer.write_all(b"hello").unwrap();
        assert_eq!(read(&mut socket, Duration::from_secs(5)).unwrap().unwrap(), b"hell");
        assert_eq!(read(&mut socket, Duration::from_secs(5)).unwrap().unwrap(), b"o");
        let start = Instant::now();
        assert_eq!(read(&mut socket, Duration::from_millis(50)).unwrap(), None);
        assert!(start.elapsed() >= Duration::from_millis(50));
        drop(peer);
        assert_eq!(read(&mut socket, Duration::from_secs(5)).unwrap().unwrap(), b"", "closed");
    }

    #[test]
    fn data_beyond_the_buffer_is_sent_as_the_peer_reads_it() {
        let (mut socket, mut peer) = pair();
        let data = vec![7; 4 << 20];
        let taker = std::thread::spawn(move || {
            let mut taken = Vec::new();
            peer.read_to_end(&mut taken).map(|_| taken.len()).unwrap()
        });
        let executor = socket.executor();
        let mut sent = 0;
        let done = executor.block_on(Instant::now() + Duration::from_secs(20), |context| {
            while sent < data.len() {
                match Pin::new(&mut socket).poll_write(context, &data[sent..]) {
                    Poll::Ready(written) => sent += written.unwrap(),
                    Poll::Pending => return Poll::Pending,
                }
            }
            Poll::Ready(())
        });
        assert!(done.unwrap().is_some());
        drop((socket, executor));
        assert_eq!(taker.join().unwrap(), 4 << 20);
    }

    #[test]
    fn waiting_on_a_closed_socket_ends_at_the_deadline() {
        let (socket, peer) = pair();
        drop(peer);
        let until = Instant::now() + Duration::from_millis(50);
        assert_eq!(socket.executor().block_on::<()>(until, |_| Poll::Pending).unwrap(), None);
        assert!(Instant::now() >= until);
    }
}
