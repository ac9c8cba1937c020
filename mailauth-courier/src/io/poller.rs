//! Waiting for many sockets, and being woken from another thread.

use rustix::event::epoll::{self, CreateFlags, Event, EventData, EventFlags};
use rustix::event::{EventfdFlags, Timespec, eventfd};
use rustix::io::{Errno, read, write};
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::time::{Duration, Instant};

/// Events that are taken in one call.
const BATCH: usize = 64;

/// The key of the bell itself.
const BELL: u64 = u64::MAX;

/// An epoll instance with an eventfd in it.
pub(crate) struct Bell {
    epoll: OwnedFd,
    wake: OwnedFd,
}

impl Bell {
    /// # Errors
    /// When the system gives no descriptor.
    pub fn new() -> io::Result<Self> {
        let epoll = epoll::create(CreateFlags::CLOEXEC)?;
        let wake = eventfd(0, EventfdFlags::CLOEXEC | EventfdFlags::NONBLOCK)?;
        epoll::add(&epoll, &wake, EventData::new_u64(BELL), EventFlags::IN)?;
        Ok(Bell { epoll, wake })
    }

    /// Reports `source` under `key` while it can be read (or, with [`EventFlags::OUT`], written), until [`Bell::unwatch`]
    /// or until it is closed. The end of the peer is reported too, again and again: a source that nobody looks at must
    /// not be watched.
    ///
    /// # Errors
    /// When the system has no memory for it.
    pub fn watch(&self, source: impl AsFd, key: u64, what: EventFlags) -> io::Result<()> {
        Ok(epoll::add(&self.epoll, source, EventData::new_u64(key), what)?)
    }

    /// Reports `source` no more.
    pub fn unwatch(&self, source: impl AsFd) {
        // It fails only for a source that is not watched.
        let _ = epoll::delete(&self.epoll, source);
    }

    /// Ends the wait of the thread that is in [`Bell::wait`], or its next one.
    pub fn ring(&self) {
        // It can only fail when it has been rung 2^64 - 2 times unheard.
        let _ = write(&self.wake, &1u64.to_ne_bytes());
    }

    /// Waits until a source is ready, the bell is rung or `until` has come. Puts the keys of ready sources into `ready`.
    pub fn wait(&self, until: Option<Instant>, ready: &mut Vec<u64>) {
        ready.clear();
        let timeout = until.map(|until| timespec(until.saturating_duration_since(Instant::now())));
        let mut events = [Event { flags: EventFlags::empty(), data: EventData::new_u64(0) }; BATCH];
        let count = match epoll::wait(&self.epoll, &mut events, timeout.as_ref()) {
            Ok(count) => count,
            Err(Errno::INTR) => 0,
            Err(error) => {
                tracing::error!(%error, "waiting for clients failed");
                std::thread::sleep(Duration::from_millis(100));
                0
            }
        };
        for event in events.iter().take(count) {
            match event.data.u64() {
                BELL => {
                    // Whether there was a ring to take is all the same.
                    let _ = read(&self.wake, &mut [0u8; 8]);
                }
                key => ready.push(key),
            }
        }
    }
}

fn timespec(duration: Duration) -> Timespec {
    Timespec {
        tv_sec: i64::try_from(duration.as_secs()).unwrap_or(i64::MAX),
        tv_nsec: i64::from(duration.subsec_nanos()),
    }
}
