//! How much may be verified at once in this process: threads, and memory.

use super::Cost;
use crate::sync::{Condvar, Mutex};
use std::time::Instant;

/// A process-wide allowance of verifications and of the memory they take.
///
/// Places are given in the order in which they were asked for, so that many small verifications cannot keep a large one
/// waiting for ever. One that alone needs more memory than the whole allowance is refused.
pub struct Budget {
    parallel: usize,
    memory: u64,
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Default)]
struct State {
    running: usize,
    memory: u64,
    /// Tickets: the next to be given, and those that wait, in order.
    next: u64,
    waiting: std::collections::VecDeque<u64>,
}

/// There was no place in the budget before the deadline.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("too many passwords are being verified")]
pub struct Busy;

impl Budget {
    /// So many verifications at once (at least one) in so many bytes.
    pub fn new(parallel: usize, memory: u64) -> Self {
        Budget { parallel: parallel.max(1), memory, state: Mutex::default(), changed: Condvar::new() }
    }

    /// How many verifications may run at once.
    pub fn parallel(&self) -> usize {
        self.parallel
    }

    /// Runs `work` when there is room for its cost. Cheap work runs at once.
    ///
    /// # Errors
    /// Fails if there was no room before the deadline, or it has passed.
    pub fn run<T>(&self, cost: Cost, deadline: Instant, work: impl FnOnce() -> T) -> Result<T, Busy> {
        let Cost::Heavy { memory } = cost else { return Ok(work()) };
        let _place = self.enter(memory, deadline)?;
        Ok(work())
    }

    fn enter(&self, memory: u64, deadline: Instant) -> Result<Place<'_>, Busy> {
        // Past the deadline nobody waits for the answer, and whoever is behind waits for this work.
        if memory > self.memory || Instant::now() >= deadline {
            return Err(Busy);
        }
        let mut state = self.state.lock();
        let ticket = state.next;
        state.next += 1;
        state.waiting.push_back(ticket);
        loop {
            let first = state.waiting.front() == Some(&ticket);
            if first && state.running < self.parallel && state.memory <= self.memory - memory {
                state.waiting.pop_front();
                state.running += 1;
                state.memory += memory;
                // There may be room for the next one too.
                self.changed.notify_all();
                return Ok(Place { budget: self, memory });
            }
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() {
                state.waiting.retain(|waiting| *waiting != ticket);
                self.changed.notify_all();
                return Err(Busy);
            }
            state = self.changed.wait_timeout(state, left);
        }
    }
}

/// A place in the budget, given back when dropped, even by a panic.
struct Place<'b> {
    budget: &'b Budget,
    memory: u64,
}

impl Drop for Place<'_> {
    fn drop(&mut self) {
        let mut state = self.budget.state.lock();
        state.running -= 1;
        state.memory -= self.memory;
        self.budget.changed.notify_all();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::atomic::{AtomicUsize, Ordering};
    use std::time::Duration;

    fn soon() -> Instant {
        Instant::now() + Duration::from_secs(20)
    }

    #[test]
    fn no_more_run_at_once_than_the_budget_says() {
        let budget = Budget::new(2, 100);
        let (now, most) = (AtomicUsize::new(0), AtomicUsize::new(0));
        std::thread::scope(|scope| {
            for _ in 0..8 {
                scope.spawn(|| {
                    budget.run(Cost::Heavy { memory: 1 }, soon(), || {
                        most.fetch_max(now.fetch_add(1, Ordering::SeqCst) + 1, Ordering::SeqCst);
                        std::thread::sleep(Duration::from_millis(5));
                        now.fetch_sub(1, Ordering::SeqCst);
                    })
                });
            }
        });
        assert_eq!(most.into_inner(), 2);
    }

    #[test]
    fn memory_is_a_limit_of_its_own() {
        let budget = Budget::new(10, 100);
        let tight = |memory| budget.run(Cost::Heavy { memory }, Instant::now() + Duration::from_millis(200), || ());
        let outcome = budget.run(Cost::Heavy { memory: 60 }, soon(), || (tight(60), tight(40)));
        assert_eq!(outcome, Ok((Err(Busy), Ok(()))));
        assert_eq!(tight(101), Err(Busy), "more than there is at all");
    }

    #[test]
    fn nothing_is_done_past_its_deadline() {
        let late = Budget::new(1, 100).run(Cost::Heavy { memory: 1 }, Instant::now(), || panic!("nobody waits for it"));
        assert_eq!(late, Err(Busy));
    }

    #[test]
    fn many_small_ones_do_not_keep_a_large_one_waiting_for_ever() {
        let budget = Budget::new(4, 100);
        let done = AtomicUsize::new(0);
        let after = std::thread::scope(|scope| {
            let small = || {
                while done.load(Ordering::SeqCst) == 0 {
                    let nap = || std::thread::sleep(Duration::from_millis(1));
                    budget.run(Cost::Heavy { memory: 30 }, soon(), nap).unwrap();
                }
            };
            // Three small ones at a time never leave room for the large one, unless they wait for it.
            (0..6).for_each(|_| drop(scope.spawn(small)));
            std::thread::sleep(Duration::from_millis(10));
            let outcome = budget.run(Cost::Heavy { memory: 100 }, soon(), || 7);
            done.store(1, Ordering::SeqCst);
            outcome
        });
        assert_eq!(after, Ok(7));
    }

    #[test]
    fn who_gives_up_waiting_makes_way_for_the_next() {
        let budget = Budget::new(2, 100);
        let large_waits = std::sync::Barrier::new(2);
        let outcome = budget.run(Cost::Heavy { memory: 60 }, soon(), || {
            std::thread::scope(|scope| {
                let large = scope.spawn(|| {
                    large_waits.wait();
                    let deadline = Instant::now() + Duration::from_millis(50);
                    budget.run(Cost::Heavy { memory: 60 }, deadline, || ())
                });
                large_waits.wait();
                let small = budget.run(Cost::Heavy { memory: 40 }, soon(), || 7);
                (large.join().unwrap(), small)
            })
        });
        assert_eq!(outcome, Ok((Err(Busy), Ok(7))));
    }

    #[test]
    fn cheap_work_waits_for_nobody() {
        let budget = Budget::new(1, 1);
        let inner = || budget.run(Cost::Cheap, Instant::now(), || 7);
        assert_eq!(budget.run(Cost::Heavy { memory: 1 }, soon(), inner), Ok(Ok(7)));
    }

    #[test]
    fn a_panic_gives_its_place_back() {
        let budget = Budget::new(1, 1);
        let work = || budget.run(Cost::Heavy { memory: 1 }, soon(), || panic!("as told"));
        assert!(std::panic::catch_unwind(std::panic::AssertUnwindSafe(work)).is_err());
        assert_eq!(budget.run(Cost::Heavy { memory: 1 }, Instant::now() + Duration::from_secs(1), || 7), Ok(7));
    }
}
