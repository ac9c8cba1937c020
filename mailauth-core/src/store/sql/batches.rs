//! Look-ups that wait for the database share one statement.
//!
//! The row of an account is a small part of what a statement costs a database server and its client. So only a few
//! statements that look up an account run at the same time ([`Batches::new`]). A look-up that arrives while fewer run is
//! sent at once and alone. Further ones wait, and as soon as a statement ends, the next one asks for up to [`MOST`] of
//! those that wait. A look-up never waits for others to arrive.
//!
//! - What is read was sent after the look-up began, as if it had been sent alone.
//! - If the statements that run take long, as on a server that hangs, a look-up waits for a few milliseconds and is then
//!   sent beside them, together with others that wait. The pool limits how many statements run then.
//! - An answer belongs to one look-up. If a statement for several fails for a reason that may lie in one of them, each is
//!   sent alone. The same holds if the thread that sent it panics.

use crate::account::Login;
use crate::sync::{Condvar, Mutex};
use std::collections::VecDeque;
use std::iter::once;
use std::sync::Arc;
use std::time::Duration;

/// Maximum number of look-ups in one statement.
pub(super) const MOST: usize = 16;

/// Time after which a look-up of a daemon no longer waits for the statements that run.
pub(super) const PATIENCE: Duration = Duration::from_millis(5);

/// The look-ups that run, and those that wait, each with an answer of type `T`.
pub(super) struct Batches<T> {
    /// Number of statements that run before a look-up waits.
    limit: usize,
    /// Time after which it no longer waits.
    patience: Duration,
    state: Mutex<State<T>>,
}

struct State<T> {
    running: usize,
    waiting: VecDeque<Arc<Waiting<T>>>,
}

/// A look-up that waits on a thread of its own.
struct Waiting<T> {
    login: Login,
    turn: Mutex<Turn<T>>,
    changed: Condvar,
}

/// What a look-up that waits is to do.
enum Turn<T> {
    /// Go on waiting.
    Wait,
    /// Send one statement for itself and these.
    Lead(Vec<Arc<Waiting<T>>>),
    /// Use this answer.
    Answer(T),
    /// Be sent alone.
    Alone,
}

impl<T> Waiting<T> {
    fn set(&self, turn: Turn<T>) {
        *self.turn.lock() = turn;
        self.changed.notify_one();
    }

    /// Waits for the turn, for at most `time` if that is given.
    fn wait(&self, time: Option<Duration>) -> Turn<T> {
        let waits = |turn: &mut Turn<T>| matches!(turn, Turn::Wait);
        let mut turn = self.turn.lock();
        match time {
            Some(time) => turn = self.changed.wait_timeout_while(turn, time, waits),
            None => {
                while waits(&mut turn) {
                    turn = self.changed.wait(turn);
                }
            }
        }
        std::mem::replace(&mut turn, Turn::Wait)
    }
}

impl<T> Batches<T> {
    /// Creates batches of which `limit` run before look-ups wait, each for at most `patience`.
    pub fn new(limit: usize, patience: Duration) -> Self {
        let state = Mutex::new(State { running: 0, waiting: VecDeque::new() });
        Batches { limit: limit.max(1), patience, state }
    }

    /// Looks up `login`, by `alone`, or with others by `together`. That returns an answer to each of its logins in their
    /// order, or `None` if each of them has to be looked up alone.
    pub fn look_up(
        &self,
        login: &Login,
        alone: impl Fn() -> T,
        together: impl FnOnce(&[&Login]) -> Option<Vec<T>>,
    ) -> T {
        let mut batch = match self.begin(login) {
            Ok(batch) => batch,
            Err(waiting) => match self.wait(&waiting) {
                Turn::Lead(others) => Batch { batches: self, others, running: true },
                Turn::Answer(answer) => return answer,
                Turn::Alone | Turn::Wait => return alone(),
            },
        };
        if batch.others.is_empty() {
            return alone();
        }
        let logins: Vec<&Login> = once(login).chain(batch.others.iter().map(|other| &other.login)).collect();
        let mut answers = together(&logins).unwrap_or_default().into_iter();
        let own = answers.next();
        // The next statement is sent before these answers are used.
        batch.end();
        let others = std::mem::take(&mut batch.others);
        for other in others {
            other.set(answers.next().map_or(Turn::Alone, Turn::Answer));
        }
        own.unwrap_or_else(alone)
    }

    /// Begins a statement for `login` alone, or lets it wait if enough statements run.
    fn begin(&self, login: &Login) -> Result<Batch<'_, T>, Arc<Waiting<T>>> {
        let mut state = self.state.lock();
        if state.running < self.limit {
            state.running += 1;
            return Ok(Batch { batches: self, others: Vec::new(), running: true });
        }
        let waiting = Arc::new(Waiting { login: login.clone(), turn: Mutex::new(Turn::Wait), changed: Condvar::new() });
        state.waiting.push_back(Arc::clone(&waiting));
        Err(waiting)
    }

    /// Waits until it is the turn of `waiting`, or it has waited long enough to be sent beside the others.
    fn wait(&self, waiting: &Arc<Waiting<T>>) -> Turn<T> {
        let turn = waiting.wait(Some(self.patience));
        if !matches!(turn, Turn::Wait) {
            return turn;
        }
        let mut state = self.state.lock();
        match state.waiting.iter().position(|other| Arc::ptr_eq(other, waiting)) {
            Some(place) => {
                state.waiting.remove(place);
                state.running += 1;
                Turn::Lead(state.take(MOST - 1))
            }
            // A statement that has been sent asks for it, or it leads the next one.
            None => {
                drop(state);
                waiting.wait(None)
            }
        }
    }
}

impl<T> State<T> {
    /// Takes at most `count` of those that wait.
    fn take(&mut self, count: usize) -> Vec<Arc<Waiting<T>>> {
        let count = count.min(self.waiting.len());
        self.waiting.drain(..count).collect()
    }
}

/// A statement that runs, and the look-ups that it answers beside that of its own thread.
struct Batch<'a, T> {
    batches: &'a Batches<T>,
    others: Vec<Arc<Waiting<T>>>,
    running: bool,
}

impl<T> Batch<'_, T> {
    /// Lets the next statement begin, if look-ups wait.
    fn end(&mut self) {
        if !std::mem::take(&mut self.running) {
            return;
        }
        let mut state = self.batches.state.lock();
        state.running -= 1;
        if state.running >= self.batches.limit {
            return;
        }
        if let Some(next) = state.waiting.pop_front() {
            state.running += 1;
            let others = state.take(MOST - 1);
            drop(state);
            next.set(Turn::Lead(others));
        }
    }
}

impl<T> Drop for Batch<'_, T> {
    /// Ends the statement. Those that have no answer, because of a panic, are sent alone.
    fn drop(&mut self) {
        self.end();
        self.others.drain(..).for_each(|other| other.set(Turn::Alone));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Instant;

    /// Longer than any test takes.
    const LONG: Duration = Duration::from_secs(3600);

    fn login(number: usize) -> Login {
        Login::parse(format!("user{number}@example.org").as_bytes(), None).unwrap()
    }

    /// Looks `number` up. The answer names the login and the number of logins in its statement.
    fn look_up(batches: &Batches<String>, number: usize) -> String {
        let login = login(number);
        let together =
            |logins: &[&Login]| Some(logins.iter().map(|login| format!("{login} of {}", logins.len())).collect());
        batches.look_up(&login, || format!("{login} alone"), together)
    }

    /// Returns the number of statements that run, and of look-ups that wait.
    fn load(batches: &Batches<String>) -> (usize, usize) {
        let state = batches.state.lock();
        (state.running, state.waiting.len())
    }

    fn eventually(what: &str, condition: impl Fn() -> bool) {
        let begin = Instant::now();
        while !condition() {
            assert!(begin.elapsed() < Duration::from_secs(60), "{what}");
            std::thread::sleep(Duration::from_millis(1));
        }
    }

    /// Looks up the logins 1 to `count` while a statement runs, each once the one before it waits. Returns the answers.
    fn look_up_during_a_statement(
        batches: &Batches<String>,
        count: usize,
        look_up: impl Fn(usize) -> String + Sync,
    ) -> Vec<String> {
        let statement = batches.begin(&login(0)).unwrap_or_else(|_| panic!("another statement runs"));
        std::thread::scope(|scope| {
            let start = |number| {
                let look_up = &look_up;
                let thread = scope.spawn(move || look_up(number));
                eventually("it waits", || load(batches).1 == number);
                thread
            };
            let threads: Vec<_> = (1..=count).map(start).collect();
            drop(statement);
            threads.into_iter().map(|thread| thread.join().unwrap_or_else(|_| "panicked".to_owned())).collect()
        })
    }

    #[test]
    fn a_look_up_is_sent_alone_and_at_once_if_none_runs() {
        let batches = Batches::new(1, LONG);
        assert_eq!(look_up(&batches, 1), "user1@example.org alone");
        assert_eq!(load(&batches), (0, 0));
    }

    #[test]
    fn those_that_wait_share_the_next_statement() {
        let batches = Batches::new(1, LONG);
        let found = look_up_during_a_statement(&batches, 3, |number| look_up(&batches, number));
        assert_eq!(found, ["user1@example.org of 3", "user2@example.org of 3", "user3@example.org of 3"]);
        assert_eq!(load(&batches), (0, 0));
    }

    #[test]
    fn a_statement_takes_no_more_than_its_limit_and_the_next_one_takes_the_rest() {
        let batches = Batches::new(1, LONG);
        let found = look_up_during_a_statement(&batches, MOST + 2, |number| look_up(&batches, number));
        let (first, second) = found.split_at(MOST);
        assert!(first.iter().all(|answer| answer.ends_with(" of 16")), "{first:?}");
        assert_eq!(second, ["user17@example.org of 2", "user18@example.org of 2"]);
    }

    #[test]
    fn a_statement_that_hangs_delays_others_only_for_a_moment() {
        let batches = Batches::new(1, Duration::from_millis(1));
        let hangs = batches.begin(&login(0)).ok();
        assert_eq!(
            [1, 2].map(|number| look_up(&batches, number)),
            ["user1@example.org alone", "user2@example.org alone"]
        );
        assert_eq!(load(&batches), (1, 0), "only the statement that hangs runs");
        drop(hangs);
        assert_eq!(load(&batches), (0, 0));
    }

    #[test]
    fn each_of_many_look_ups_gets_its_own_answer() {
        let batches = Batches::new(2, PATIENCE);
        let wrong = |number| Some(look_up(&batches, number)).filter(|it| !it.starts_with(login(number).as_str()));
        std::thread::scope(|scope| {
            let look_up_many = |thread: usize| (0..200).find_map(|turn| wrong(thread * 1000 + turn));
            let threads: Vec<_> = (0..8).map(|thread| scope.spawn(move || look_up_many(thread))).collect();
            threads.into_iter().for_each(|thread| assert_eq!(thread.join().unwrap(), None));
        });
        assert_eq!(load(&batches), (0, 0));
    }

    #[test]
    fn each_is_sent_alone_if_the_statement_for_all_fails() {
        let batches = Batches::new(1, LONG);
        let found = look_up_during_a_statement(&batches, 3, |number| {
            batches.look_up(&login(number), || format!("{number} alone"), |_| None)
        });
        assert_eq!(found, ["1 alone", "2 alone", "3 alone"]);
        assert_eq!(load(&batches), (0, 0));
    }

    #[test]
    fn a_panic_costs_others_neither_their_answer_nor_a_place() {
        let batches = Batches::new(1, LONG);
        let found = look_up_during_a_statement(&batches, 3, |number| {
            batches.look_up(&login(number), || format!("{number} alone"), |_| panic!("on purpose"))
        });
        assert_eq!(found, ["panicked", "2 alone", "3 alone"]);
        assert_eq!(load(&batches), (0, 0));
    }
}
