//! Limits the rate of attempts to connect to a server that accepts no connection.
//!
//! Each attempt that is abandoned before the server has answered may occupy one of its connections, and MySQL blocks a
//! host after a number of them (`max_connect_errors`). So while a server is down, only one attempt at a time runs in
//! this process, whichever pool or thread makes it, and the pauses between two attempts grow. They stay so short that a
//! server that came back is found within seconds.

use crate::store::driver::DriverError;
use crate::store::jitter;
use crate::sync::{Mutex, MutexGuard};
use std::collections::HashMap;
use std::sync::{Arc, Weak};
use std::time::{Duration, Instant};

/// First pause, which doubles with each failure.
const FIRST: Duration = Duration::from_millis(50);

/// Longest pause if the connection is refused or lost: such an attempt costs the server nothing.
const LONGEST_UNHEARD: Duration = Duration::from_secs(1);

/// Longest pause if the server did not answer in time, or rejected the connection.
const LONGEST: Duration = Duration::from_secs(3);

/// Longest pause if the server is full and existing connections to it work.
const LONGEST_SERVED: Duration = Duration::from_secs(15);

/// The attempts to connect to one server.
#[derive(Default)]
pub(super) struct Attempts(Mutex<State>);

#[derive(Default)]
struct State {
    /// Number of failures since the last success; attempts are limited if there are any.
    failures: u32,
    /// Earliest time of the next attempt.
    next: Option<Instant>,
    /// True while an attempt runs.
    under_way: bool,
}

impl Attempts {
    /// Returns the attempts to connect to the server of this name, which all pools of the process share; without a
    /// name, those of one pool alone. A new pool may try at once, because it may have another password.
    pub(super) fn of(name: Option<&str>) -> Arc<Self> {
        static ALL: Mutex<Option<HashMap<String, Weak<Attempts>>>> = Mutex::new(None);
        let Some(name) = name else { return Arc::default() };
        let mut all = ALL.lock();
        let all = all.get_or_insert_default();
        all.retain(|_, attempts| attempts.strong_count() > 0);
        if let Some(attempts) = all.get(name).and_then(Weak::upgrade) {
            attempts.lock().next = None;
            return attempts;
        }
        let attempts = Arc::<Attempts>::default();
        all.insert(name.to_owned(), Arc::downgrade(&attempts));
        attempts
    }

    /// Begins an attempt; returns `None` while another one runs or the pause is not over.
    pub(super) fn begin(&self) -> Option<Attempt<'_>> {
        let mut state = self.lock();
        if state.failures == 0 {
            return Some(Attempt { attempts: self, only: false, over: false });
        }
        if state.under_way || state.next.is_some_and(|next| Instant::now() < next) {
            return None;
        }
        state.under_way = true;
        Some(Attempt { attempts: self, only: true, over: false })
    }

    /// Limits attempts from now on, because the server did not answer on an existing connection.
    pub(super) fn limit(&self) {
        let mut state = self.lock();
        state.failures = state.failures.max(1);
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.0.lock()
    }
}

/// One attempt to connect. Dropping it counts as a failure.
pub(super) struct Attempt<'a> {
    attempts: &'a Attempts,
    /// True if no other attempt may run at the same time.
    only: bool,
    over: bool,
}

impl Attempt<'_> {
    /// Ends the attempt as a success.
    pub(super) fn succeeded(mut self) {
        self.over = true;
        *self.attempts.lock() = State::default();
    }

    /// Ends the attempt as a failure. `served` says whether the server still answers on existing connections.
    pub(super) fn failed(mut self, error: &DriverError, served: bool) {
        let longest = match error {
            DriverError::Full(_) if served => LONGEST_SERVED,
            DriverError::Lost(_) => LONGEST_UNHEARD,
            _ => LONGEST,
        };
        self.end(longest);
    }

    fn end(&mut self, longest: Duration) {
        self.over = true;
        let mut state = self.attempts.lock();
        let pause = FIRST.saturating_mul(1 << state.failures.min(12)).min(longest);
        // Many hosts that lost one server at the same time must not reconnect in step.
        state.next = Some(Instant::now() + pause / 2 + jitter::below(pause / 2));
        // Attempts that began before the first one failed count as one failure.
        if self.only || state.failures == 0 {
            state.failures = state.failures.saturating_add(1);
        }
        if self.only {
            state.under_way = false;
        }
    }
}

impl Drop for Attempt<'_> {
    fn drop(&mut self) {
        if !self.over {
            self.end(LONGEST);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn timeout() -> DriverError {
        DriverError::Timeout(Duration::from_secs(3))
    }

    #[test]
    fn attempts_at_a_server_that_answers_are_not_limited() {
        let attempts = Attempts::default();
        let all = [attempts.begin(), attempts.begin(), attempts.begin()];
        assert!(all.iter().all(Option::is_some));
    }

    #[test]
    fn during_an_outage_attempts_run_one_at_a_time_after_a_pause() {
        let attempts = Attempts::default();
        attempts.begin().unwrap().failed(&timeout(), false);
        assert!(attempts.begin().is_none(), "at once");
        std::thread::sleep(2 * FIRST);
        let second = attempts.begin().expect("after the pause");
        std::thread::sleep(2 * FIRST);
        assert!(attempts.begin().is_none(), "while another runs");
        second.succeeded();
        assert!([attempts.begin(), attempts.begin()].iter().all(Option::is_some), "after a success");
    }

    #[test]
    fn pauses_grow_to_a_limit_that_depends_on_the_failure() {
        let lost = DriverError::Lost("refused".into());
        let full = DriverError::Full("full".into());
        for (error, served, longest) in [
            (&lost, true, LONGEST_UNHEARD),
            (&timeout(), true, LONGEST),
            (&full, false, LONGEST),
            (&full, true, LONGEST_SERVED),
        ] {
            let attempts = Attempts::default();
            let mut before = Duration::ZERO;
            for round in 0..40 {
                attempts.lock().next = None;
                attempts.begin().expect("no pause").failed(error, served);
                let pause = attempts.lock().next.unwrap().duration_since(Instant::now());
                assert!(pause <= longest, "{error}: {pause:?} in round {round}");
                before = pause;
            }
            assert!(before > longest / 3, "{error}: {before:?}");
        }
    }

    #[test]
    fn an_attempt_that_panics_lets_the_next_one_begin() {
        let attempts = Attempts::default();
        attempts.limit();
        drop(attempts.begin().unwrap());
        attempts.lock().next = None;
        assert!(attempts.begin().is_some());
    }

    #[test]
    fn pools_of_one_server_share_attempts_and_a_new_one_tries_at_once() {
        let first = Attempts::of(Some("a server of this test"));
        first.begin().unwrap().failed(&timeout(), false);
        assert!(first.begin().is_none());
        let second = Attempts::of(Some("a server of this test"));
        let attempt = second.begin().expect("the first of a new pool");
        assert!(first.begin().is_none(), "while that of the new pool runs");
        drop(attempt);
        assert!(!Arc::ptr_eq(&first, &Attempts::of(Some("another server of this test"))));
    }
}
