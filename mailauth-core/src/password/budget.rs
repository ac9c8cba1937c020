//! Limits on how many verifications run at once in this process, and on their memory.

use super::Cost;
use crate::sync::{Condvar, Mutex};
use std::time::Instant;

/// A process-wide limit on the number of verifications and the memory they use.
///
/// Permits are given in the order in which they are requested, so that many small verifications cannot keep a large
/// one waiting forever. A verification that alone needs more memory than the whole budget is refused.
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
    /// The next ticket.
    next: u64,
    /// The tickets that are waiting, in order.
    waiting: std::collections::VecDeque<u64>,
}

/// No permit was free before the deadline.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("too many passwords are being verified")]
pub struct Busy;

impl Budget {
    /// Returns a budget for `parallel` verifications at once (at least one) that use `memory` bytes together.
    pub fn new(parallel: usize, memory: u64) -> Self {
        Budget { parallel: parallel.max(1), memory, state: Mutex::default(), changed: Condvar::new() }
    }

    /// Returns how many verifications may run at once.
    pub fn parallel(&self) -> usize {
        self.parallel
    }

    /// Runs `work` as soon as its cost fits into the budget. Cheap work runs immediately.
    ///
    /// # Errors
    /// Fails if there is no room before the deadline, or if the deadline has passed.
    pub fn run<T>(&self, cost: Cost, deadline: Instant, work: impl FnOnce() -> T) -> Result<T, Busy> {
        let Cost::Heavy { memory } = cost else { return Ok(work()) };
        let _permit = self.acquire(memory, deadline)?;
        Ok(work())
    }

    /// Waits for the permit to verify passwords together on one thread, the first of which uses `memory` bytes. Returns
    /// the permit of the thread and that of the first password.
    ///
    /// # Errors
    /// Fails if there is no room before the deadline, or if the deadline has passed.
    pub(crate) fn begin_together(&self, memory: u64, deadline: Instant) -> Result<(Permit<'_>, Permit<'_>), Busy> {
        let mut thread = self.acquire(memory, deadline)?;
        thread.memory = 0;
        Ok((thread, Permit { budget: self, running: 0, memory }))
    }

    /// Returns true if others wait for a permit.
    pub(crate) fn is_contended(&self) -> bool {
        !self.state.lock().waiting.is_empty()
    }

    /// Returns the permit for one more password on a thread that has one, without waiting. `None` if there is no room, or
    /// if others wait for a permit, which come first.
    pub(crate) fn add_lane(&self, memory: u64) -> Option<Permit<'_>> {
        let mut state = self.state.lock();
        if !state.waiting.is_empty() || memory > self.memory.saturating_sub(state.memory) {
            return None;
        }
        state.memory += memory;
        Some(Permit { budget: self, running: 0, memory })
    }

    fn acquire(&self, memory: u64, deadline: Instant) -> Result<Permit<'_>, Busy> {
        // After the deadline, no client waits for the result, and the work would delay the requests behind it.
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
                return Ok(Permit { budget: self, running: 1, memory });
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

/// A share of the budget. It is returned when this is dropped, also during a panic.
pub(crate) struct Permit<'b> {
    budget: &'b Budget,
    /// Number of verifications that it counts for: none for one of several that share a thread, which has a permit too.
    running: usize,
    memory: u64,
}

impl Drop for Permit<'_> {
    fn drop(&mut self) {
        let mut state = self.budget.state.lock();
        state.running -= self.running;
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
    fn the_number_of_parallel_verifications_is_limited() {
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
    fn memory_is_limited_separately() {
        let budget = Budget::new(10, 100);
        let tight = |memory| budget.run(Cost::Heavy { memory }, Instant::now() + Duration::from_millis(200), || ());
        let outcome = budget.run(Cost::Heavy { memory: 60 }, soon(), || (tight(60), tight(40)));
        assert_eq!(outcome, Ok((Err(Busy), Ok(()))));
        assert_eq!(tight(101), Err(Busy), "more than the whole budget");
    }

    #[test]
    fn no_work_is_started_after_its_deadline() {
        let late =
            Budget::new(1, 100).run(Cost::Heavy { memory: 1 }, Instant::now(), || panic!("the deadline has passed"));
        assert_eq!(late, Err(Busy));
    }

    #[test]
    fn small_verifications_do_not_keep_a_large_one_waiting_forever() {
        let budget = Budget::new(4, 100);
        let done = AtomicUsize::new(0);
        let after = std::thread::scope(|scope| {
            let small = || {
                while done.load(Ordering::SeqCst) == 0 {
                    let nap = || std::thread::sleep(Duration::from_millis(1));
                    budget.run(Cost::Heavy { memory: 30 }, soon(), nap).unwrap();
                }
            };
            // Three small ones at a time never leave room for the large one unless they queue behind it.
            (0..6).for_each(|_| drop(scope.spawn(small)));
            std::thread::sleep(Duration::from_millis(10));
            let outcome = budget.run(Cost::Heavy { memory: 100 }, soon(), || 7);
            done.store(1, Ordering::SeqCst);
            outcome
        });
        assert_eq!(after, Ok(7));
    }

    #[test]
    fn a_waiter_that_gives_up_lets_the_next_one_run() {
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
    fn passwords_on_one_thread_share_its_permit_and_count_their_memory() {
        let budget = Budget::new(1, 100);
        let (thread, first) = budget.begin_together(40, soon()).unwrap();
        let second = budget.add_lane(40).expect("there is room");
        assert!(budget.add_lane(40).is_none(), "the memory is used up");
        assert!(budget.begin_together(1, Instant::now() + Duration::from_millis(20)).is_err(), "the thread is used up");
        drop(first);
        let third = budget.add_lane(60).expect("the first one has returned its memory");
        drop((second, third, thread));
        assert_eq!(budget.run(Cost::Heavy { memory: 100 }, soon(), || 7), Ok(7), "everything is returned");
    }

    #[test]
    fn a_thread_adds_no_password_while_others_wait_for_a_permit() {
        let budget = Budget::new(1, 100);
        let (thread, first) = budget.begin_together(1, soon()).unwrap();
        std::thread::scope(|scope| {
            let other = scope.spawn(|| budget.run(Cost::Heavy { memory: 1 }, soon(), || 7));
            while budget.state.lock().waiting.is_empty() {
                std::thread::yield_now();
            }
            assert!(budget.add_lane(1).is_none());
            drop((thread, first));
            assert_eq!(other.join().unwrap(), Ok(7));
        });
        assert!(budget.add_lane(1).is_some());
    }

    #[test]
    fn cheap_work_does_not_wait() {
        let budget = Budget::new(1, 1);
        let inner = || budget.run(Cost::Cheap, Instant::now(), || 7);
        assert_eq!(budget.run(Cost::Heavy { memory: 1 }, soon(), inner), Ok(Ok(7)));
    }

    #[test]
    fn a_panic_releases_its_permit() {
        let budget = Budget::new(1, 1);
        let work = || budget.run(Cost::Heavy { memory: 1 }, soon(), || panic!("on purpose"));
        assert!(std::panic::catch_unwind(std::panic::AssertUnwindSafe(work)).is_err());
        assert_eq!(budget.run(Cost::Heavy { memory: 1 }, Instant::now() + Duration::from_secs(1), || 7), Ok(7));
    }
}
