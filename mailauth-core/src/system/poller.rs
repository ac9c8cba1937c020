//! Waiting for many sockets at once, and being woken by another thread.

use rustix::event::epoll::{self, CreateFlags, Event, EventData, EventFlags};
use rustix::event::{EventfdFlags, Timespec, eventfd};
use rustix::io::{Errno, read, write};
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::time::{Duration, Instant};

/// Maximum number of events in one call.
const BATCH: usize = 64;

/// Key of the eventfd that wakes the thread.
const WAKE: u64 = u64::MAX;

/// An epoll instance, and an eventfd that wakes the thread that waits for it.
pub struct Poller {
    epoll: OwnedFd,
    wake: OwnedFd,
}

impl Poller {
    /// Creates a poller without sources.
    ///
    /// # Errors
    /// Fails if the system provides no descriptor.
    pub fn new() -> io::Result<Self> {
        let epoll = epoll::create(CreateFlags::CLOEXEC)?;
        let wake = eventfd(0, EventfdFlags::CLOEXEC | EventfdFlags::NONBLOCK)?;
        epoll::add(&epoll, &wake, EventData::new_u64(WAKE), EventFlags::IN)?;
        Ok(Poller { epoll, wake })
    }

    /// Reports `source` under `key` while it can be read (or written, with [`EventFlags::OUT`]), until
    /// [`Poller::unwatch`] or until it is closed. The end of the peer is reported too, again and again: a source that
    /// no thread handles must not be watched.
    ///
    /// # Errors
    /// Fails if the system has no memory for it.
    pub fn watch(&self, source: impl AsFd, key: u64, what: EventFlags) -> io::Result<()> {
        Ok(epoll::add(&self.epoll, source, EventData::new_u64(key), what)?)
    }

    /// Changes what is reported of a source that is watched under `key`.
    ///
    /// # Errors
    /// Fails if the source is not watched.
    pub fn change(&self, source: impl AsFd, key: u64, what: EventFlags) -> Result<(), Errno> {
        epoll::modify(&self.epoll, source, EventData::new_u64(key), what)
    }

    /// Ends reporting `source`.
    pub fn unwatch(&self, source: impl AsFd) {
        // This only fails for a source that is not watched.
        let _ = epoll::delete(&self.epoll, source);
    }

    /// Ends the current call of [`Poller::wait`], or the next one.
    pub fn wake(&self) {
        // This can only fail after 2^64 - 2 calls without a wait.
        let _ = write(&self.wake, &1u64.to_ne_bytes());
    }

    /// Waits until a source is ready, [`Poller::wake`] is called, or the time `until`. Puts the keys of ready sources
    /// into `ready`.
    pub fn wait(&self, until: Option<Instant>, ready: &mut Vec<u64>) {
        ready.clear();
        self.wait_until(until, |key, _| ready.push(key));
    }

    /// Does the same, and puts the keys and what is reported of the sources into `ready`.
    pub fn wait_for_events(&self, until: Option<Instant>, ready: &mut Vec<(u64, EventFlags)>) {
        ready.clear();
        self.wait_until(until, |key, events| ready.push((key, events)));
    }

    fn wait_until(&self, until: Option<Instant>, mut report: impl FnMut(u64, EventFlags)) {
        let timeout = until.map(|until| timespec(until.saturating_duration_since(Instant::now())));
        let mut events = [Event { flags: EventFlags::empty(), data: EventData::new_u64(0) }; BATCH];
        let count = match epoll::wait(&self.epoll, &mut events, timeout.as_ref()) {
            Ok(count) => count,
            Err(Errno::INTR) => 0,
            Err(error) => {
                tracing::error!(%error, "cannot wait for clients");
                std::thread::sleep(Duration::from_millis(100));
                0
            }
        };
        for event in events.iter().take(count) {
            match event.data.u64() {
                WAKE => {
                    // The result does not matter: the thread is awake.
                    let _ = read(&self.wake, &mut [0u8; 8]);
                }
                key => report(key, event.flags),
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
