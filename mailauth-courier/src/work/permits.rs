//! Permits to read mailboxes, by mailbox and by owner.
//!
//! A question about a mailbox may take long: the mailbox has to be counted, or another program holds its lock. So only
//! one question at a time reads a mailbox. Others about the same mailbox wait here and occupy no thread; questions
//! about other mailboxes are not affected. The answer to one question may also answer others that wait
//! ([`Permit::share`]).

use mailauth_core::answer::Answer;
use mailauth_core::sync::{Mutex, MutexGuard};
use std::collections::{HashMap, VecDeque};
use std::hash::Hash;
use std::sync::Arc;

/// Maximum number of questions that wait for the same permit. The answer to a further one is "not now".
pub(crate) const MAX_WAITING: usize = 64;

/// The question whether a recipient accepts a message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Question {
    pub address: Vec<u8>,
    pub size: u64,
}

/// What a waiting question gets.
pub(crate) enum Resumed<K: Eq + Hash + Clone> {
    /// A permit of its own.
    Permit(Permit<K>),
    /// Its answer, which follows from the answer to another question.
    Answer(Answer<()>),
}

/// A waiting question.
pub(crate) struct Waiter<K: Eq + Hash + Clone> {
    /// The question itself, if the answer to another one can answer it.
    pub question: Option<Question>,
    /// Continues with the question.
    pub resume: Box<dyn FnOnce(Resumed<K>) + Send>,
}

/// The permits that are taken, and the questions that wait for each.
pub(crate) struct Permits<K: Eq + Hash + Clone> {
    /// Returns the number of permits for a key.
    at_once: fn(&K) -> usize,
    table: Mutex<HashMap<K, Queue<K>>>,
}

struct Queue<K: Eq + Hash + Clone> {
    taken: usize,
    waiting: VecDeque<Waiter<K>>,
}

/// Permit to read. When it is dropped, it goes to the question that has waited longest.
pub(crate) struct Permit<K: Eq + Hash + Clone> {
    permits: Arc<Permits<K>>,
    key: K,
}

impl<K: Eq + Hash + Clone> Permits<K> {
    /// Creates permits; `at_once` returns their number for a key.
    pub fn new(at_once: fn(&K) -> usize) -> Arc<Self> {
        Arc::new(Permits { at_once, table: Mutex::default() })
    }

    /// Takes a permit. Returns `None` while other questions have all of them.
    pub fn take(self: &Arc<Self>, key: &K) -> Option<Permit<K>> {
        let mut table = self.lock();
        let queue = table.entry(key.clone()).or_insert_with(Queue::new);
        if queue.taken >= (self.at_once)(key).max(1) {
            return None;
        }
        queue.taken += 1;
        Some(Permit { permits: Arc::clone(self), key: key.clone() })
    }

    /// Lets `waiter` continue with a permit, now or when there is one. Returns false if too many questions already wait
    /// for it.
    pub fn wait(self: &Arc<Self>, key: &K, waiter: Waiter<K>) -> bool {
        if let Some(permit) = self.take(key) {
            (waiter.resume)(Resumed::Permit(permit));
            return true;
        }
        let mut table = self.lock();
        match table.get_mut(key) {
            Some(queue) if queue.waiting.len() >= MAX_WAITING => false,
            Some(queue) => {
                queue.waiting.push_back(waiter);
                true
            }
            // The permit has been given back in the meantime.
            None => {
                drop(table);
                self.wait(key, waiter)
            }
        }
    }

    /// Returns true if the maximum number of questions waits.
    pub fn is_full(&self, key: &K) -> bool {
        self.lock().get(key).is_some_and(|queue| queue.waiting.len() >= MAX_WAITING)
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

impl<K: Eq + Hash + Clone> Permit<K> {
    /// Returns true if this is a permit for `key`.
    pub fn is_for(&self, key: &K) -> bool {
        self.key == *key
    }

    /// Answers the questions that wait for the same permit, if `answer` returns an answer to them.
    pub fn share(&self, answer: impl Fn(&Question) -> Option<Answer<()>>) {
        let mut answered = Vec::new();
        if let Some(queue) = self.permits.lock().get_mut(&self.key) {
            for waiter in std::mem::take(&mut queue.waiting) {
                match waiter.question.as_ref().and_then(&answer) {
                    Some(answer) => answered.push((waiter.resume, answer)),
                    None => queue.waiting.push_back(waiter),
                }
            }
        }
        for (resume, answer) in answered {
            resume(Resumed::Answer(answer));
        }
    }
}

impl<K: Eq + Hash + Clone> Drop for Permit<K> {
    fn drop(&mut self) {
        let mut table = self.permits.lock();
        let next = table.get_mut(&self.key).and_then(|queue| {
            let next = queue.waiting.pop_front();
            queue.taken -= usize::from(next.is_none());
            next
        });
        if table.get(&self.key).is_some_and(|queue| queue.taken == 0) {
            table.remove(&self.key);
        }
        drop(table);
        if let Some(next) = next {
            (next.resume)(Resumed::Permit(Permit { permits: Arc::clone(&self.permits), key: self.key.clone() }));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use mailauth_core::answer::{No, Refusal};
    use std::sync::mpsc::{self, Sender};

    fn permits() -> Arc<Permits<&'static str>> {
        Permits::new(|at| if *at == "/wide" { 2 } else { 1 })
    }

    fn waiting(resume: impl FnOnce(Resumed<&'static str>) + Send + 'static) -> Waiter<&'static str> {
        Waiter { question: None, resume: Box::new(resume) }
    }

    fn permit(given: Resumed<&'static str>) -> Permit<&'static str> {
        match given {
            Resumed::Permit(permit) => permit,
            Resumed::Answer(answer) => panic!("{answer:?}"),
        }
    }

    #[test]
    fn questions_read_a_mailbox_one_at_a_time_in_their_order() {
        let permits = permits();
        let first = permits.take(&"/a").unwrap();
        assert!(permits.take(&"/a").is_none());
        assert!(permits.take(&"/b").is_some(), "another mailbox is free");
        let (sender, resumed) = mpsc::channel();
        for number in 0..2 {
            let sender = sender.clone();
            let resume = move |given| sender.send((number, permit(given))).unwrap();
            assert!(permits.wait(&"/a", waiting(resume)));
        }
        assert!(resumed.try_recv().is_err());
        drop(first);
        let (number, permit) = resumed.try_recv().unwrap();
        assert!(number == 0 && permit.is_for(&"/a") && resumed.try_recv().is_err());
        drop(permit);
        let (number, permit) = resumed.try_recv().unwrap();
        assert_eq!(number, 1);
        drop(permit);
        assert!(permits.take(&"/a").is_some(), "free again");
        assert!(permits.lock().is_empty());
    }

    #[test]
    fn with_two_permits_the_third_question_waits() {
        let permits = permits();
        let two = [permits.take(&"/wide").unwrap(), permits.take(&"/wide").unwrap()];
        let (sender, resumed) = mpsc::channel();
        assert!(permits.wait(&"/wide", waiting(move |given| sender.send(permit(given)).unwrap())));
        assert!(resumed.try_recv().is_err());
        drop(two);
        drop(resumed.try_recv().unwrap());
        assert!(permits.lock().is_empty());
    }

    #[test]
    fn a_question_gets_a_free_permit_at_once() {
        let permits = permits();
        let (sender, resumed) = mpsc::channel();
        assert!(permits.wait(&"/a", waiting(move |given| sender.send(permit(given)).unwrap())));
        let permit = resumed.try_recv().unwrap();
        assert!(permits.take(&"/a").is_none());
        drop(permit);
        assert!(permits.take(&"/a").is_some());
    }

    #[test]
    fn the_number_of_waiting_questions_is_limited() {
        let permits = permits();
        let permit = permits.take(&"/a").unwrap();
        assert!((0..MAX_WAITING).all(|_| permits.wait(&"/a", waiting(drop))));
        assert!(permits.is_full(&"/a") && !permits.is_full(&"/b"));
        assert!(!permits.wait(&"/a", waiting(drop)));
        drop(permit);
        assert!(permits.take(&"/a").is_some(), "each has given it back");
    }

    #[test]
    fn a_shared_answer_resumes_only_the_questions_it_answers() {
        let permits = permits();
        let permit = permits.take(&"/a").unwrap();
        let (sender, resumed) = mpsc::channel();
        let asks = |size: u64, sender: Sender<_>| Waiter {
            question: Some(Question { address: b"anna".to_vec(), size }),
            resume: Box::new(move |given| {
                let is_answer = matches!(given, Resumed::Answer(Err(Refusal::No(No::UnknownLogin))));
                sender.send((size, is_answer)).unwrap();
            }),
        };
        for size in [5, 20, 6] {
            assert!(permits.wait(&"/a", asks(size, sender.clone())));
        }
        permit.share(|question| (question.size < 10).then_some(Err(Refusal::No(No::UnknownLogin))));
        assert_eq!(resumed.try_iter().collect::<Vec<_>>(), [(5, true), (6, true)]);
        drop(permit);
        assert_eq!(resumed.try_iter().collect::<Vec<_>>(), [(20, false)]);
    }
}
