//! The threads that accept, which also do the work, and how it is noticed that all of them are stuck in it.
//!
//! As long as look-ups are quick, nobody has to be there only to accept: clients wait in the kernel's queue for less
//! than a look-up takes. When a database hangs, one thread stands in and accepts, so that whoever needs no database is
//! still answered, and whoever is one too many is still turned away.

use mailauth_core::sync::{Condvar, Mutex};
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};

/// Counts who is at work.
pub(crate) struct Crew {
    size: usize,
    working: AtomicUsize,
    /// How many pieces of work were begun, ever.
    begun: AtomicU64,
    /// Does somebody wait to be told that all are at work?
    waiting: AtomicBool,
    lock: Mutex<()>,
    told: Condvar,
}

/// Somebody is at work.
pub(crate) struct Shift<'a>(&'a Crew);

impl Crew {
    pub fn new(size: usize) -> Self {
        Crew {
            size,
            working: AtomicUsize::new(0),
            begun: AtomicU64::new(0),
            waiting: AtomicBool::new(false),
            lock: Mutex::new(()),
            told: Condvar::new(),
        }
    }

    /// How many they are.
    pub fn size(&self) -> usize {
        self.size
    }

    /// One begins to work, until the value is dropped.
    pub fn begin(&self) -> Shift<'_> {
        self.begun.fetch_add(1, Ordering::Relaxed);
        // In one order with `waiting`: either we see who waits, or he sees us at work.
        let before = self.working.fetch_add(1, Ordering::SeqCst);
        if before + 1 >= self.size && self.waiting.load(Ordering::SeqCst) {
            self.tell();
        }
        Shift(self)
    }

    /// How many pieces of work were begun.
    pub fn begun(&self) -> u64 {
        self.begun.load(Ordering::Relaxed)
    }

    /// Are all at work, and has none begun anything since `begun`?
    pub fn is_stuck_since(&self, begun: u64) -> bool {
        self.all_work() && self.begun() == begun
    }

    fn all_work(&self) -> bool {
        self.working.load(Ordering::SeqCst) >= self.size
    }

    /// Waits until all are at work; false when `over` has become true, of which [`Crew::tell`] tells.
    pub fn wait_until_all_work(&self, over: &AtomicBool) -> bool {
        let mut guard = self.lock.lock();
        loop {
            if over.load(Ordering::SeqCst) {
                return false;
            }
            self.waiting.store(true, Ordering::SeqCst);
            if self.all_work() {
                self.waiting.store(false, Ordering::SeqCst);
                return true;
            }
            guard = self.told.wait(guard);
        }
    }

    /// Wakes whoever waits, to look again.
    pub fn tell(&self) {
        let _guard = self.lock.lock();
        self.waiting.store(false, Ordering::SeqCst);
        self.told.notify_all();
    }
}

impl Drop for Shift<'_> {
    fn drop(&mut self) {
        self.0.working.fetch_sub(1, Ordering::SeqCst);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_crew_is_stuck_when_all_work_and_none_begins_anew() {
        let crew = Crew::new(2);
        let one = crew.begin();
        assert!(!crew.is_stuck_since(crew.begun()), "one is left");
        let two = crew.begin();
        let begun = crew.begun();
        assert!(crew.is_stuck_since(begun));
        drop(two);
        assert!(!crew.is_stuck_since(begun));
        let _three = crew.begin();
        assert!(!crew.is_stuck_since(begun), "it goes on");
        drop(one);
    }

    #[test]
    fn who_waits_is_told_when_the_last_one_begins_and_when_it_is_over() {
        let (crew, over) = (Crew::new(1), AtomicBool::new(false));
        std::thread::scope(|scope| {
            let waiting = scope.spawn(|| crew.wait_until_all_work(&over));
            let _shift = crew.begin();
            assert!(waiting.join().unwrap());
        });
        std::thread::scope(|scope| {
            let waiting = scope.spawn(|| crew.wait_until_all_work(&over));
            over.store(true, Ordering::SeqCst);
            crew.tell();
            assert!(!waiting.join().unwrap());
        });
    }
}
