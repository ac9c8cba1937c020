//! Turns at mailboxes.
//!
//! A question about a mailbox may take long: the mailbox is counted, or another program holds its lock. So one question
//! at a time looks at a mailbox; the others about the same one wait here and hold no thread, and those about other
//! mailboxes do not notice.

use std::collections::{HashMap, VecDeque};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// How many questions may wait for one mailbox; one more is "not now".
pub(super) const MOST_WAITING: usize = 64;

/// Goes on with a question whose turn has come.
pub(super) type Waiting = Box<dyn FnOnce(Turn) + Send>;

/// The mailboxes that are being looked at, each with the questions that wait for it.
#[derive(Default)]
pub(super) struct Turns(Mutex<HashMap<PathBuf, VecDeque<Waiting>>>);

/// The right to look at a mailbox. Dropped, it goes to the question that has waited longest.
pub(super) struct Turn {
    turns: Arc<Turns>,
    mailbox: PathBuf,
}

impl Turns {
    /// Takes the turn at `mailbox`; `None` while another question has it.
    pub fn take(self: &Arc<Self>, mailbox: &Path) -> Option<Turn> {
        let mut table = self.lock();
        if table.contains_key(mailbox) {
            return None;
        }
        table.insert(mailbox.to_owned(), VecDeque::new());
        Some(Turn { turns: Arc::clone(self), mailbox: mailbox.to_owned() })
    }

    /// Runs `waiting` with the turn at `mailbox`: now if that is free, else when it becomes free. Returns false if too
    /// many wait for it already.
    pub fn wait(self: &Arc<Self>, mailbox: PathBuf, waiting: Waiting) -> bool {
        let mut table = self.lock();
        match table.get_mut(&mailbox) {
            Some(queue) if queue.len() >= MOST_WAITING => return false,
            Some(queue) => queue.push_back(waiting),
            None => {
                table.insert(mailbox.clone(), VecDeque::new());
                drop(table);
                waiting(Turn { turns: Arc::clone(self), mailbox });
            }
        }
        true
    }

    /// Returns true if as many wait for `mailbox` as may.
    pub fn are_taken(&self, mailbox: &Path) -> bool {
        self.lock().get(mailbox).is_some_and(|queue| queue.len() >= MOST_WAITING)
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<PathBuf, VecDeque<Waiting>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Turn {
    /// Returns true if it is the turn at `mailbox`.
    pub fn is_at(&self, mailbox: &Path) -> bool {
        self.mailbox == mailbox
    }
}

impl Drop for Turn {
    fn drop(&mut self) {
        let mut table = self.turns.lock();
        let next = table.get_mut(&self.mailbox).and_then(VecDeque::pop_front);
        if next.is_none() {
            table.remove(&self.mailbox);
        }
        drop(table);
        if let Some(next) = next {
            next(Turn { turns: Arc::clone(&self.turns), mailbox: std::mem::take(&mut self.mailbox) });
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::mpsc;

    #[test]
    fn a_mailbox_is_looked_at_by_one_question_at_a_time_in_the_order_they_came() {
        let turns = Arc::<Turns>::default();
        let first = turns.take(Path::new("/a")).unwrap();
        assert!(turns.take(Path::new("/a")).is_none());
        assert!(turns.take(Path::new("/b")).is_some(), "another mailbox is free");
        let (sender, came) = mpsc::channel();
        for number in 0..2 {
            let sender = sender.clone();
            assert!(turns.wait("/a".into(), Box::new(move |turn| sender.send((number, turn)).unwrap())));
        }
        assert!(came.try_recv().is_err());
        drop(first);
        let (number, turn) = came.try_recv().unwrap();
        assert!(number == 0 && turn.is_at(Path::new("/a")) && came.try_recv().is_err());
        drop(turn);
        let (number, turn) = came.try_recv().unwrap();
        assert_eq!(number, 1);
        drop(turn);
        assert!(turns.take(Path::new("/a")).is_some(), "free again");
    }

    #[test]
    fn who_asks_to_wait_just_after_the_turn_was_given_back_gets_it_at_once() {
        let turns = Arc::<Turns>::default();
        let (sender, came) = mpsc::channel();
        assert!(turns.wait("/a".into(), Box::new(move |turn| sender.send(turn).unwrap())));
        let turn = came.try_recv().unwrap();
        assert!(turns.take(Path::new("/a")).is_none());
        drop(turn);
        assert!(turns.take(Path::new("/a")).is_some());
    }

    #[test]
    fn only_so_many_wait_for_one_mailbox() {
        let turns = Arc::<Turns>::default();
        let turn = turns.take(Path::new("/a")).unwrap();
        assert!((0..MOST_WAITING).all(|_| turns.wait("/a".into(), Box::new(drop))));
        assert!(turns.are_taken(Path::new("/a")) && !turns.are_taken(Path::new("/b")));
        assert!(!turns.wait("/a".into(), Box::new(drop)));
        drop(turn);
        assert!(turns.take(Path::new("/a")).is_some(), "each has passed it on");
    }
}
