//! Turns at mailboxes, and at the owners of mailboxes.
//!
//! A question about a mailbox may take long: the mailbox is counted, or another program holds its lock. So one question
//! at a time looks at a mailbox; the others about the same one wait here and hold no thread, and those about other
//! mailboxes do not notice. What one of them is answered is an answer to others that wait with it ([`Turn::share`]).

use mailauth_core::authenticate::Answer;
use mailauth_core::sync::{Mutex, MutexGuard};
use std::collections::{HashMap, VecDeque};
use std::hash::Hash;
use std::sync::Arc;

/// How many questions may wait for one turn; one more is "not now".
pub(crate) const MOST_WAITING: usize = 64;

/// A question whether a recipient takes a message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Question {
    pub address: Vec<u8>,
    pub size: u64,
}

/// What a question that waits gets.
pub(crate) enum Passed<K: Eq + Hash + Clone> {
    /// Its turn.
    Turn(Turn<K>),
    /// The answer, which another question got.
    Answer(Answer<()>),
}

/// A question that waits.
pub(crate) struct Waiting<K: Eq + Hash + Clone> {
    /// What it is, if it can be answered by the answer to another one.
    pub question: Option<Question>,
    /// Goes on with it.
    pub go_on: Box<dyn FnOnce(Passed<K>) + Send>,
}

/// What is being looked at, each with the questions that wait for it.
pub(crate) struct Turns<K: Eq + Hash + Clone> {
    /// How many may look at the same at once.
    at_once: fn(&K) -> usize,
    table: Mutex<HashMap<K, Queue<K>>>,
}

struct Queue<K: Eq + Hash + Clone> {
    taken: usize,
    waiting: VecDeque<Waiting<K>>,
}

/// The right to look. Dropped, it goes to the question that has waited longest.
pub(crate) struct Turn<K: Eq + Hash + Clone> {
    turns: Arc<Turns<K>>,
    at: K,
}

impl<K: Eq + Hash + Clone> Turns<K> {
    /// At each, `at_once` may look at once.
    pub fn new(at_once: fn(&K) -> usize) -> Arc<Self> {
        Arc::new(Turns { at_once, table: Mutex::default() })
    }

    /// Takes a turn; `None` while other questions have it.
    pub fn take(self: &Arc<Self>, at: &K) -> Option<Turn<K>> {
        let mut table = self.lock();
        let queue = table.entry(at.clone()).or_insert_with(Queue::new);
        if queue.taken >= (self.at_once)(at).max(1) {
            return None;
        }
        queue.taken += 1;
        Some(Turn { turns: Arc::clone(self), at: at.clone() })
    }

    /// Has `waiting` go on with a turn: now if there is one, else when there is. Returns false if too many wait for it
    /// already.
    pub fn wait(self: &Arc<Self>, at: &K, waiting: Waiting<K>) -> bool {
        if let Some(turn) = self.take(at) {
            (waiting.go_on)(Passed::Turn(turn));
            return true;
        }
        let mut table = self.lock();
        match table.get_mut(at) {
            Some(queue) if queue.waiting.len() >= MOST_WAITING => false,
            Some(queue) => {
                queue.waiting.push_back(waiting);
                true
            }
            // It has become free just now.
            None => {
                drop(table);
                self.wait(at, waiting)
            }
        }
    }

    /// Returns true if as many wait as may.
    pub fn are_taken(&self, at: &K) -> bool {
        self.lock().get(at).is_some_and(|queue| queue.waiting.len() >= MOST_WAITING)
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<K, Queue<K>>> {
        self.table.lock()
    }
}

impl<K: Eq + Hash + Clone> Queue<K> {
    fn new() -> Self {
        Queue { taken: 0, waiting: VecDeque::new() }
    }
}

impl<K: Eq + Hash + Clone> Turn<K> {
    /// Returns true if it is the turn at this.
    pub fn is_at(&self, at: &K) -> bool {
        self.at == *at
    }

    /// Gives those that wait for the same turn the answer that `answer` has for them.
    pub fn share(&self, answer: impl Fn(&Question) -> Option<Answer<()>>) {
        let mut answered = Vec::new();
        if let Some(queue) = self.turns.lock().get_mut(&self.at) {
            for waiting in std::mem::take(&mut queue.waiting) {
                match waiting.question.as_ref().and_then(&answer) {
                    Some(answer) => answered.push((waiting.go_on, answer)),
                    None => queue.waiting.push_back(waiting),
                }
            }
        }
        for (go_on, answer) in answered {
            go_on(Passed::Answer(answer));
        }
    }
}

impl<K: Eq + Hash + Clone> Drop for Turn<K> {
    fn drop(&mut self) {
        let mut table = self.turns.lock();
        let next = table.get_mut(&self.at).and_then(|queue| {
            let next = queue.waiting.pop_front();
            queue.taken -= usize::from(next.is_none());
            next
        });
        if table.get(&self.at).is_some_and(|queue| queue.taken == 0) {
            table.remove(&self.at);
        }
        drop(table);
        if let Some(next) = next {
            (next.go_on)(Passed::Turn(Turn { turns: Arc::clone(&self.turns), at: self.at.clone() }));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use mailauth_core::authenticate::No;
    use std::sync::mpsc::{self, Sender};

    fn turns() -> Arc<Turns<&'static str>> {
        Turns::new(|at| if *at == "/wide" { 2 } else { 1 })
    }

    fn waiting(go_on: impl FnOnce(Passed<&'static str>) + Send + 'static) -> Waiting<&'static str> {
        Waiting { question: None, go_on: Box::new(go_on) }
    }

    fn turn(passed: Passed<&'static str>) -> Turn<&'static str> {
        match passed {
            Passed::Turn(turn) => turn,
            Passed::Answer(answer) => panic!("{answer:?}"),
        }
    }

    #[test]
    fn a_mailbox_is_looked_at_by_one_question_at_a_time_in_the_order_they_came() {
        let turns = turns();
        let first = turns.take(&"/a").unwrap();
        assert!(turns.take(&"/a").is_none());
        assert!(turns.take(&"/b").is_some(), "another mailbox is free");
        let (sender, came) = mpsc::channel();
        for number in 0..2 {
            let sender = sender.clone();
            let go_on = move |passed| sender.send((number, turn(passed))).unwrap();
            assert!(turns.wait(&"/a", waiting(go_on)));
        }
        assert!(came.try_recv().is_err());
        drop(first);
        let (number, turn) = came.try_recv().unwrap();
        assert!(number == 0 && turn.is_at(&"/a") && came.try_recv().is_err());
        drop(turn);
        let (number, turn) = came.try_recv().unwrap();
        assert_eq!(number, 1);
        drop(turn);
        assert!(turns.take(&"/a").is_some(), "free again");
        assert!(turns.lock().is_empty());
    }

    #[test]
    fn where_two_may_look_at_once_the_third_waits() {
        let turns = turns();
        let two = [turns.take(&"/wide").unwrap(), turns.take(&"/wide").unwrap()];
        let (sender, came) = mpsc::channel();
        assert!(turns.wait(&"/wide", waiting(move |passed| sender.send(turn(passed)).unwrap())));
        assert!(came.try_recv().is_err());
        drop(two);
        drop(came.try_recv().unwrap());
        assert!(turns.lock().is_empty());
    }

    #[test]
    fn a_question_that_comes_to_wait_when_the_turn_is_free_gets_it_at_once() {
        let turns = turns();
        let (sender, came) = mpsc::channel();
        assert!(turns.wait(&"/a", waiting(move |passed| sender.send(turn(passed)).unwrap())));
        let turn = came.try_recv().unwrap();
        assert!(turns.take(&"/a").is_none());
        drop(turn);
        assert!(turns.take(&"/a").is_some());
    }

    #[test]
    fn only_so_many_wait_for_one_mailbox() {
        let turns = turns();
        let turn = turns.take(&"/a").unwrap();
        assert!((0..MOST_WAITING).all(|_| turns.wait(&"/a", waiting(drop))));
        assert!(turns.are_taken(&"/a") && !turns.are_taken(&"/b"));
        assert!(!turns.wait(&"/a", waiting(drop)));
        drop(turn);
        assert!(turns.take(&"/a").is_some(), "each has passed it on");
    }

    #[test]
    fn an_answer_is_shared_by_those_it_answers_and_the_others_go_on_waiting() {
        let turns = turns();
        let turn = turns.take(&"/a").unwrap();
        let (sender, came) = mpsc::channel();
        let asks = |size: u64, sender: Sender<_>| Waiting {
            question: Some(Question { address: b"anna".to_vec(), size }),
            go_on: Box::new(move |passed| {
                let is_answer = matches!(passed, Passed::Answer(Answer::No(No::UnknownLogin)));
                sender.send((size, is_answer)).unwrap();
            }),
        };
        for size in [5, 20, 6] {
            assert!(turns.wait(&"/a", asks(size, sender.clone())));
        }
        turn.share(|question| (question.size < 10).then_some(Answer::No(No::UnknownLogin)));
        assert_eq!(came.try_iter().collect::<Vec<_>>(), [(5, true), (6, true)]);
        drop(turn);
        assert_eq!(came.try_iter().collect::<Vec<_>>(), [(20, false)]);
    }
}
