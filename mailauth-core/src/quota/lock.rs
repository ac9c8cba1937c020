//! The lock that our own processes keep on a mailbox.
//!
//! flock(2) on the mailbox's directory: whoever counts, or checks and adds a line, is alone. Courier, Exim and Dovecot
//! know nothing of it; what they do at the same time is noticed elsewhere.

use rustix::fd::{BorrowedFd, OwnedFd};
use rustix::fs::{FlockOperation, Mode, OFlags, flock, openat};
use rustix::io::Errno;
use std::time::{Duration, Instant};

/// How long the lock is waited for. A count of a million messages takes a second.
pub(super) const PATIENCE: Duration = Duration::from_secs(20);

/// The mailbox is ours until this is dropped.
#[derive(Debug)]
pub(super) struct Lock {
    /// A descriptor of its own: the lock belongs to it, not to the process.
    _directory: OwnedFd,
}

/// Takes the lock; `None` when another process has not let go of it in time.
pub(super) fn take(root: BorrowedFd<'_>, patience: Duration) -> Result<Option<Lock>, Errno> {
    let how = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
    let directory = openat(root, c".", how, Mode::empty())?;
    let deadline = Instant::now() + patience;
    let mut pause = Duration::from_micros(50);
    loop {
        match flock(&directory, FlockOperation::NonBlockingLockExclusive) {
            Ok(()) => return Ok(Some(Lock { _directory: directory })),
            Err(Errno::INTR) => {}
            Err(Errno::WOULDBLOCK) if Instant::now() >= deadline => return Ok(None),
            Err(Errno::WOULDBLOCK) => {
                // flock(2) itself cannot be given a deadline.
                std::thread::sleep(pause);
                pause = (pause * 2).min(Duration::from_millis(5));
            }
            Err(errno) => return Err(errno),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rustix::fd::AsFd;

    #[test]
    fn one_at_a_time_has_the_lock() {
        let folder = tempfile::tempdir().unwrap();
        let directory = std::fs::File::open(folder.path()).unwrap();
        let lock = take(directory.as_fd(), Duration::ZERO).unwrap();
        assert!(lock.is_some());
        assert!(take(directory.as_fd(), Duration::from_millis(20)).unwrap().is_none());
        drop(lock);
        assert!(take(directory.as_fd(), Duration::ZERO).unwrap().is_some());
    }
}
