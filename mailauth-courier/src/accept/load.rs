//! How many of the threads that accept are at work, and whether all of them are blocked.
//!
//! The threads that accept also do the work. While look-ups are quick, that needs no thread only to accept: clients
//! wait in the kernel's queue for less time than a look-up takes. When a database hangs, a substitute accepts, so that
//! clients that need no database are still answered, and clients in excess of a limit are still turned away.

use mailauth_core::sync::{Condvar, Mutex};
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};

/// Counts the threads that are at work.
pub(crate) struct AcceptorLoad {
    size: usize,
    working: AtomicUsize,
    /// Number of requests that were begun since the start.
    begun: AtomicU64,
    /// True if a thread waits until all are at work.
    has_waiter: AtomicBool,
    lock: Mutex<()>,
    changed: Condvar,
}

/// Counts a thread as working until it is dropped.
pub(crate) struct LoadGuard<'a>(&'a AcceptorLoad);

impl AcceptorLoad {
    pub fn new(size: usize) -> Self {
        AcceptorLoad {
            size,
            working: AtomicUsize::new(0),
            begun: AtomicU64::new(0),
            has_waiter: AtomicBool::new(false),
            lock: Mutex::new(()),
            changed: Condvar::new(),
        }
    }

    /// Returns the number of threads that accept.
    pub fn size(&self) -> usize {
        self.size
    }

    /// Counts the calling thread as working, until the returned value is dropped.
    pub fn begin(&self) -> LoadGuard<'_> {
        self.begun.fetch_add(1, Ordering::Relaxed);
        // One total order with `has_waiter`: either this thread sees the waiting one, or that one sees this at work.
        let before = self.working.fetch_add(1, Ordering::SeqCst);
        if before + 1 >= self.size && self.has_waiter.load(Ordering::SeqCst) {
            self.wake();
        }
        LoadGuard(self)
    }

    /// Returns the number of requests that were begun since the start.
    pub fn begun(&self) -> u64 {
        self.begun.load(Ordering::Relaxed)
    }

    /// Returns true if all threads are at work, and none has begun a request since [`AcceptorLoad::begun`] was `begun`.
    pub fn is_blocked_since(&self, begun: u64) -> bool {
        self.all_work() && self.begun() == begun
    }

    fn all_work(&self) -> bool {
        self.working.load(Ordering::SeqCst) >= self.size
    }

    /// Waits until all threads are at work. Returns false if `stopped` has become true, which [`AcceptorLoad::wake`]
    /// has to report.
    pub fn wait_until_all_work(&self, stopped: &AtomicBool) -> bool {
        let mut guard = self.lock.lock();
        loop {
            if stopped.load(Ordering::SeqCst) {
                return false;
            }
            self.has_waiter.store(true, Ordering::SeqCst);
            if self.all_work() {
                self.has_waiter.store(false, Ordering::SeqCst);
                return true;
            }
            guard = self.changed.wait(guard);
        }
    }

    /// Wakes the waiting thread, which checks again.
    pub fn wake(&self) {
        let _guard = self.lock.lock();
        self.has_waiter.store(false, Ordering::SeqCst);
        self.changed.notify_all();
    }
}

impl Drop for LoadGuard<'_> {
    fn drop(&mut self) {
        self.0.working.fetch_sub(1, Ordering::SeqCst);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn threads_are_blocked_if_all_work_and_none_begins_a_request() {
        let load = AcceptorLoad::new(2);
        let one = load.begin();
        assert!(!load.is_blocked_since(load.begun()), "one thread is idle");
        let two = load.begin();
        let begun = load.begun();
        assert!(load.is_blocked_since(begun));
        drop(two);
        assert!(!load.is_blocked_since(begun));
        let _three = load.begin();
        assert!(!load.is_blocked_since(begun), "another request was begun");
        drop(one);
    }

    #[test]
    fn a_waiting_thread_is_woken_when_all_work_and_at_the_stop() {
        let (load, stopped) = (AcceptorLoad::new(1), AtomicBool::new(false));
        std::thread::scope(|scope| {
            let waiting = scope.spawn(|| load.wait_until_all_work(&stopped));
            let _guard = load.begin();
            assert!(waiting.join().unwrap());
        });
        std::thread::scope(|scope| {
            let waiting = scope.spawn(|| load.wait_until_all_work(&stopped));
            stopped.store(true, Ordering::SeqCst);
            load.wake();
            assert!(!waiting.join().unwrap());
        });
    }
}
