//! Limits how often a server that gives no connection is asked for one.
//!
//! Each connect that a server does not finish before we give up may cost it a place, and MySQL blocks a host after some
//! number of them (`max_connect_errors`). So while a server is away only one attempt is under way at a time in this
//! process, whichever pool or thread makes it, and the pauses between two attempts grow. They stay so short that a
//! server that came back is found within seconds.

use crate::store::driver::DriverError;
use crate::store::jitter;
use crate::sync::{Mutex, MutexGuard};
use std::collections::HashMap;
use std::sync::{Arc, Weak};
use std::time::{Duration, Instant};

/// The first pause, which doubles with each failure.
const FIRST: Duration = Duration::from_millis(50);

/// The longest pause where nobody listens: such an attempt costs the server nothing.
const LONGEST_UNHEARD: Duration = Duration::from_secs(1);

/// The longest pause where the server did not answer in time, or refused.
const LONGEST: Duration = Duration::from_secs(3);

/// The longest pause where the server is full and serves us through the connections that it gave.
const LONGEST_SERVED: Duration = Duration::from_secs(15);

/// The attempts to connect to one server.
#[derive(Default)]
pub(super) struct Attempts(Mutex<State>);

#[derive(Default)]
struct State {
    /// Failures since the last success; with none, attempts are not limited.
    failures: u32,
    /// The next attempt may begin at this time.
    next: Option<Instant>,
    under_way: bool,
}

impl Attempts {
    /// The attempts to connect to the server of this name: the same for all pools of the process. Without a name they
    /// are of one pool alone. A pool that is opened may try at once: its password may be another.
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

    /// Begins an attempt; `None` while another is under way, or it is too early.
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

    /// From now on attempts are limited: the server did not answer on a connection that existed.
    pub(super) fn limit(&self) {
        let mut state = self.lock();
        state.failures = state.failures.max(1);
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.0.lock()
    }
}

/// One attempt. Dropped, it failed.
pub(super) struct Attempt<'a> {
    attempts: &'a Attempts,
    /// No other may be under way.
    only: bool,
    over: bool,
}

impl Attempt<'_> {
    pub(super) fn succeeded(mut self) {
        self.over = true;
        *self.attempts.lock() = State::default();
    }

    /// With `served`, the server still answers on connections that it gave before.
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
        // Many hosts that lost one server at the same time must not come back to it in step.
        state.next = Some(Instant::now() + pause / 2 + jitter::below(pause / 2));
        // Those that began before the first one failed are one failure.
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
    fn a_server_that_answers_may_be_asked_for_many_at_once() {
        let attempts = Attempts::default();
        let all = [attempts.begin(), attempts.begin(), attempts.begin()];
        assert!(all.iter().all(Option::is_some));
    }

    #[test]
    fn while_it_is_away_one_attempt_is_made_at_a_time_and_after_a_pause() {
        let attempts = Attempts::default();
        attempts.begin().unwrap().failed(&timeout(), false);
        assert!(attempts.begin().is_none(), "at once");
        std::thread::sleep(2 * FIRST);
        let second = attempts.begin().expect("after the pause");
        std::thread::sleep(2 * FIRST);
        assert!(attempts.begin().is_none(), "beside another");
        second.succeeded();
        assert!([attempts.begin(), attempts.begin()].iter().all(Option::is_some), "after a success");
    }

    #[test]
    fn pauses_grow_to_a_bound_that_depends_on_what_failed() {
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
    fn pools_of_one_server_share_their_attempts_and_a_new_one_may_try_at_once() {
        let first = Attempts::of(Some("a server of this test"));
        first.begin().unwrap().failed(&timeout(), false);
        assert!(first.begin().is_none());
        let second = Attempts::of(Some("a server of this test"));
        let attempt = second.begin().expect("the first of a new pool");
        assert!(first.begin().is_none(), "beside that of the new pool");
        drop(attempt);
        assert!(!Arc::ptr_eq(&first, &Attempts::of(Some("another server of this test"))));
    }
}
