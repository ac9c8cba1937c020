//! Running queries, shared so that the same question is not asked twice at the same time.

use crate::sync::{Condvar, Mutex, MutexGuard};
use std::collections::HashMap;
use std::hash::Hash;
use std::sync::Arc;
use std::time::Instant;

/// At most one running query for each key.
pub(super) struct Flights<K, T>(Mutex<HashMap<K, Arc<Flight<T>>>>);

/// A running query, and the threads that wait for its answer.
struct Flight<T> {
    state: Mutex<State<T>>,
    changed: Condvar,
}

enum State<T> {
    UnderWay,
    Answered(T),
    /// The thread that asked has panicked.
    GivenUp,
}

/// An answer, by how it was obtained.
pub(super) enum Shared<T> {
    /// An answer that was known.
    Known(T),
    /// An answer of this thread's own query.
    Asked(T),
    /// An answer of another thread's query.
    Followed(T),
    /// No answer before the deadline.
    Late,
}

enum Role<T> {
    Leader(Arc<Flight<T>>),
    Follower(Arc<Flight<T>>),
}

impl<K, T> Default for Flights<K, T> {
    fn default() -> Self {
        Flights(Mutex::default())
    }
}

impl<K: Hash + Eq + Clone, T: Clone> Flights<K, T> {
    /// Returns what is `known`, otherwise the answer of a query that is already running, otherwise that of `ask`.
    ///
    /// The answer of `ask` is given to `keep`, unless [`Flights::forget`] was called meanwhile. Only one of `known`,
    /// `keep` and the work of `forget` runs at a time; they have to be quick.
    pub fn share(
        &self,
        key: &K,
        deadline: Instant,
        known: impl Fn() -> Option<T>,
        ask: impl FnOnce() -> T,
        keep: impl FnOnce(&T),
    ) -> Shared<T> {
        loop {
            let mut flights = self.lock();
            if let Some(answer) = known() {
                return Shared::Known(answer);
            }
            let role = match flights.get(key) {
                Some(flight) => Role::Follower(Arc::clone(flight)),
                None => {
                    let flight = Arc::new(Flight::new());
                    flights.insert(key.clone(), Arc::clone(&flight));
                    Role::Leader(flight)
                }
            };
            drop(flights);
            match role {
                Role::Leader(flight) => {
                    let lead = Lead { flights: self, key, flight };
                    let answer = ask();
                    lead.land(&answer, keep);
                    return Shared::Asked(answer);
                }
                Role::Follower(flight) => match flight.wait(deadline) {
                    State::Answered(answer) => return Shared::Followed(answer),
                    State::GivenUp => {}
                    State::UnderWay => return Shared::Late,
                },
            }
        }
    }

    /// Runs `work`. Answers of running queries for these keys are not kept, and no later question waits for them.
    pub fn forget(&self, keys: &[K], work: impl FnOnce()) {
        let mut flights = self.lock();
        for key in keys {
            flights.remove(key);
        }
        work();
    }

    /// Runs `work` in the same way, for all keys.
    pub fn forget_all(&self, work: impl FnOnce()) {
        let mut flights = self.lock();
        flights.clear();
        work();
    }
}

impl<K, T> Flights<K, T> {
    fn lock(&self) -> MutexGuard<'_, HashMap<K, Arc<Flight<T>>>> {
        self.0.lock()
    }
}

impl<T> Flight<T> {
    fn new() -> Self {
        Flight { state: Mutex::new(State::UnderWay), changed: Condvar::new() }
    }

    fn lock(&self) -> MutexGuard<'_, State<T>> {
        self.state.lock()
    }

    fn end(&self, state: State<T>) {
        *self.lock() = state;
        self.changed.notify_all();
    }
}

impl<T: Clone> Flight<T> {
    /// Returns the state at the end of the query, or at the deadline if that is earlier.
    fn wait(&self, deadline: Instant) -> State<T> {
        let left = deadline.saturating_duration_since(Instant::now());
        let under_way = |state: &mut State<T>| matches!(state, State::UnderWay);
        let waited = self.changed.wait_timeout_while(self.lock(), left, under_way);
        match &*waited {
            State::UnderWay => State::UnderWay,
            State::Answered(answer) => State::Answered(answer.clone()),
            State::GivenUp => State::GivenUp,
        }
    }
}

/// The thread that asks. If it is dropped without an answer, which means a panic, another thread may ask.
struct Lead<'a, K: Hash + Eq, T> {
    flights: &'a Flights<K, T>,
    key: &'a K,
    flight: Arc<Flight<T>>,
}

impl<K: Hash + Eq, T: Clone> Lead<'_, K, T> {
    fn land(&self, answer: &T, keep: impl FnOnce(&T)) {
        {
            let mut flights = self.flights.lock();
            if self.is_current(&flights) {
                keep(answer);
                flights.remove(self.key);
            }
        }
        self.flight.end(State::Answered(answer.clone()));
    }
}

impl<K: Hash + Eq, T> Lead<'_, K, T> {
    /// Returns false after the query was forgotten: another one may be running under the same key.
    fn is_current(&self, flights: &HashMap<K, Arc<Flight<T>>>) -> bool {
        flights.get(self.key).is_some_and(|flight| Arc::ptr_eq(flight, &self.flight))
    }
}

impl<K: Hash + Eq, T> Drop for Lead<'_, K, T> {
    fn drop(&mut self) {
        let mut flights = self.flights.lock();
        if self.is_current(&flights) {
            flights.remove(self.key);
        }
        drop(flights);
        if matches!(*self.flight.lock(), State::UnderWay) {
            self.flight.end(State::GivenUp);
        }
    }
}
