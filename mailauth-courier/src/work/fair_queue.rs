//! A queue that takes work in a fair order.
//!
//! Accounts take turns: however much work waits for one account, work for another is taken after one piece of each.
//! Within an account, the networks of its clients take turns: its owner does not wait behind password guesses from
//! elsewhere. Accounts with a recent correct password wait in a queue of their own, from which most work is taken:
//! random login attempts delay accounts that have not logged in before, and hardly those that have.

use std::collections::{HashMap, VecDeque};

/// Number of turns of which one is for accounts that are not familiar, while any of them waits.
const TURNS_PER_UNFAMILIAR: u32 = 4;

/// Divisor of the capacity that gives the maximum for one account.
const ACCOUNT_DIVISOR: usize = 8;

/// Waiting work, up to a capacity.
pub(crate) struct FairQueue<T> {
    familiar: Accounts<T>,
    others: Accounts<T>,
    capacity: usize,
    /// Number of turns of familiar accounts since the last turn of the others.
    in_a_row: u32,
}

/// Accounts that take turns, and within each of them its clients.
type Accounts<T> = RoundRobin<RoundRobin<VecDeque<T>>>;

/// Account and client that a piece of work belongs to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Submitter {
    /// Hash of the account's login.
    pub account: u64,
    /// Hash of the client's network, if that is known.
    pub client: u64,
    /// True if the account's password was right recently.
    pub familiar: bool,
}

/// Result of adding a piece of work.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Added<T> {
    /// The work waits.
    Queued,
    /// The work waits, and has displaced this other work.
    Displaced(T),
    /// There is no room for the work.
    Refused(T),
}

/// A collection of work in some order.
trait Queue: Default {
    type Work;
    /// Position of a piece of work within the queue.
    type Position;

    fn put(&mut self, position: Self::Position, work: Self::Work);

    fn take(&mut self) -> Option<Self::Work>;

    /// Returns the work that would be taken next.
    fn peek(&self) -> Option<&Self::Work>;

    /// Takes the work of which the loss is the least unfair: the newest one of the account or client that has most.
    fn displace(&mut self) -> Option<Self::Work>;

    fn len(&self) -> usize;
}

/// Queues that take turns.
struct RoundRobin<Q> {
    /// Keys of the queues that hold work, in the order of their turns.
    order: VecDeque<u64>,
    queues: HashMap<u64, Q>,
    number: usize,
}

impl<T> FairQueue<T> {
    pub fn new(capacity: usize) -> Self {
        FairQueue { familiar: RoundRobin::default(), others: RoundRobin::default(), capacity, in_a_row: 0 }
    }

    /// Returns the number of waiting pieces, and its maximum.
    pub fn waiting(&self) -> (usize, usize) {
        (self.familiar.number + self.others.number, self.capacity)
    }

    /// Adds work. If the queue is full, work of the account that has most is displaced, first of accounts that are not
    /// familiar. An account never displaces work of one that has no more than itself, unless only the first is
    /// familiar. If an account has reached its maximum, the same holds among its clients.
    pub fn add(&mut self, submitter: Submitter, work: T) -> Added<T> {
        let Submitter { account, client, familiar } = submitter;
        let (number, capacity) = self.waiting();
        let others = self.others.number;
        let queue = self.queue(familiar);
        let mine = queue.number_of(account);
        let displaced = if mine >= (capacity / ACCOUNT_DIVISOR).max(1) {
            queue.change(account, |clients| clients.displace_beyond(clients.number_of(client) + 1))
        } else if number < capacity {
            queue.put((account, (client, ())), work);
            return Added::Queued;
        } else if familiar && others > 0 {
            self.others.displace()
        } else {
            queue.displace_beyond(mine + 1)
        };
        match displaced {
            Some(displaced) => {
                self.queue(familiar).put((account, (client, ())), work);
                Added::Displaced(displaced)
            }
            None => Added::Refused(work),
        }
    }

    /// Takes the next work.
    pub fn take(&mut self) -> Option<T> {
        let turn_of_others = self.familiar.number == 0 || self.in_a_row + 1 >= TURNS_PER_UNFAMILIAR;
        if turn_of_others && let Some(work) = self.others.take() {
            self.in_a_row = 0;
            return Some(work);
        }
        self.in_a_row = self.in_a_row.saturating_add(1);
        self.familiar.take()
    }

    /// Takes the first work in the order of the turns that is suitable, where only the next work of each account counts.
    /// Returns true with it if it overtakes other work.
    pub fn take_next(&mut self, is_suitable: impl Fn(&T) -> bool) -> Option<(T, bool)> {
        let turn_of_others = self.familiar.number == 0 || self.in_a_row + 1 >= TURNS_PER_UNFAMILIAR;
        let has_turn = if turn_of_others && self.others.number > 0 { &self.others } else { &self.familiar };
        let overtakes = !has_turn.peek().is_some_and(&is_suitable);
        let others_first = turn_of_others && self.others.has_next(&is_suitable);
        if others_first || !self.familiar.has_next(&is_suitable) {
            let work = self.others.take_next(&is_suitable)?;
            self.in_a_row = 0;
            return Some((work, overtakes));
        }
        self.in_a_row = self.in_a_row.saturating_add(1);
        self.familiar.take_next(&is_suitable).map(|work| (work, overtakes))
    }

    /// Returns true if there is work that [`FairQueue::take_next`] would take.
    pub fn has_next(&self, is_suitable: impl Fn(&T) -> bool) -> bool {
        self.familiar.has_next(&is_suitable) || self.others.has_next(&is_suitable)
    }

    fn queue(&mut self, familiar: bool) -> &mut Accounts<T> {
        if familiar { &mut self.familiar } else { &mut self.others }
    }
}

impl<T> Queue for VecDeque<T> {
    type Work = T;
    type Position = ();

    fn put(&mut self, (): (), work: T) {
        self.push_back(work);
    }

    fn take(&mut self) -> Option<T> {
        self.pop_front()
    }

    fn peek(&self) -> Option<&T> {
        self.front()
    }

    fn displace(&mut self) -> Option<T> {
        self.pop_back()
    }

    fn len(&self) -> usize {
        self.len()
    }
}

impl<Q> Default for RoundRobin<Q> {
    fn default() -> Self {
        RoundRobin { order: VecDeque::new(), queues: HashMap::new(), number: 0 }
    }
}

impl<Q: Queue> RoundRobin<Q> {
    fn number_of(&self, key: u64) -> usize {
        self.queues.get(&key).map_or(0, Queue::len)
    }

    /// Takes the next work of the queue at this place of the order.
    fn take_at(&mut self, place: usize) -> Option<Q::Work> {
        let key = self.order.remove(place)?;
        let work = self.change(key, Q::take);
        if self.queues.contains_key(&key) {
            self.order.push_back(key);
        }
        work
    }

    /// Returns the place in the order of the first queue whose next work is suitable.
    fn place_of(&self, is_suitable: impl Fn(&Q::Work) -> bool) -> Option<usize> {
        self.order.iter().position(|key| self.queues.get(key).and_then(Queue::peek).is_some_and(&is_suitable))
    }

    fn has_next(&self, is_suitable: impl Fn(&Q::Work) -> bool) -> bool {
        self.place_of(is_suitable).is_some()
    }

    fn take_next(&mut self, is_suitable: impl Fn(&Q::Work) -> bool) -> Option<Q::Work> {
        self.place_of(is_suitable).and_then(|place| self.take_at(place))
    }

    /// Removes work from one queue by calling `take`.
    fn change(&mut self, key: u64, take: impl FnOnce(&mut Q) -> Option<Q::Work>) -> Option<Q::Work> {
        let queue = self.queues.get_mut(&key)?;
        let work = take(queue)?;
        self.number -= 1;
        if queue.len() == 0 {
            self.queues.remove(&key);
            self.order.retain(|other| *other != key);
        }
        Some(work)
    }

    /// Takes work like [`Queue::displace`], from a queue that has more than `least` pieces.
    fn displace_beyond(&mut self, least: usize) -> Option<Q::Work> {
        let numbers = self.queues.iter().map(|(key, queue)| (*key, queue.len()));
        let (key, number) = numbers.max_by_key(|(_, number)| *number)?;
        if number > least { self.change(key, Q::displace) } else { None }
    }
}

impl<Q: Queue> Queue for RoundRobin<Q> {
    type Work = Q::Work;
    type Position = (u64, Q::Position);

    fn put(&mut self, (key, position): (u64, Q::Position), work: Q::Work) {
        let queue = self.queues.entry(key).or_default();
        if queue.len() == 0 {
            self.order.push_back(key);
        }
        queue.put(position, work);
        self.number += 1;
    }

    fn take(&mut self) -> Option<Q::Work> {
        self.take_at(0)
    }

    fn peek(&self) -> Option<&Q::Work> {
        self.order.front().and_then(|key| self.queues.get(key)).and_then(Queue::peek)
    }

    fn displace(&mut self) -> Option<Q::Work> {
        self.displace_beyond(0)
    }

    fn len(&self) -> usize {
        self.number
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(account: u64) -> Submitter {
        Submitter { account, client: 0, familiar: false }
    }

    fn of_familiar(account: u64) -> Submitter {
        Submitter { account, client: 0, familiar: true }
    }

    fn drain<T>(fair: &mut FairQueue<T>) -> Vec<T> {
        std::iter::from_fn(|| fair.take()).collect()
    }

    #[test]
    fn accounts_take_turns_and_each_keeps_its_order() {
        let mut fair = FairQueue::new(100);
        for work in 0..8 {
            assert_eq!(fair.add(of(1), (1, work)), Added::Queued);
        }
        fair.add(of(2), (2, 0));
        fair.add(of(3), (3, 0));
        fair.add(of(3), (3, 1));
        let first: Vec<_> = (0..5).filter_map(|_| fair.take()).collect();
        assert_eq!(first, [(1, 0), (2, 0), (3, 0), (1, 1), (3, 1)]);
        assert_eq!(drain(&mut fair), (2..8).map(|work| (1, work)).collect::<Vec<_>>());
        assert!(fair.waiting() == (0, 100) && fair.others.queues.is_empty() && fair.others.order.is_empty());
    }

    #[test]
    fn most_turns_go_to_familiar_accounts_and_some_to_others() {
        let mut fair = FairQueue::new(1000);
        for account in 0..12 {
            fair.add(of(account), "other");
            fair.add(of_familiar(100 + account), "familiar");
        }
        let order = drain(&mut fair);
        for turns in order[..16].chunks(4) {
            assert_eq!(turns, ["familiar", "familiar", "familiar", "other"]);
        }
        assert_eq!(order[16..], ["other"; 8]);
        fair.add(of(1), "other");
        fair.add(of_familiar(2), "familiar");
        assert_eq!(fair.take(), Some("familiar"), "the others had turns before");
    }

    #[test]
    fn one_account_has_a_maximum_and_displaces_no_others() {
        let mut fair = FairQueue::new(80);
        for _ in 0..10 {
            assert_eq!(fair.add(of(1), 1), Added::Queued);
        }
        assert_eq!(fair.add(of(1), 1), Added::Refused(1), "its maximum is reached");
        for account in 2..=8 {
            (0..10).for_each(|_| assert_eq!(fair.add(of(account), account), Added::Queued));
        }
        assert_eq!(fair.waiting(), (80, 80));
        assert!(matches!(fair.add(of(9), 9), Added::Displaced(1..=8)), "the account with most loses");
        assert_eq!(fair.waiting(), (80, 80));
        for _ in 0..40 {
            fair.add(of(9), 9);
        }
        let nines = drain(&mut fair).into_iter().filter(|account| *account == 9).count();
        assert!((8..=10).contains(&nines), "{nines}");
    }

    #[test]
    fn one_more_account_is_refused_unless_it_is_familiar() {
        let mut fair = FairQueue::new(16);
        for account in 0..16 {
            assert_eq!(fair.add(of(account), account), Added::Queued);
        }
        assert_eq!(fair.add(of(16), 16), Added::Refused(16));
        for account in 100..116 {
            assert!(matches!(fair.add(of_familiar(account), account), Added::Displaced(0..16)));
        }
        assert_eq!(fair.add(of_familiar(116), 116), Added::Refused(116));
        assert_eq!(fair.add(of(1), 1), Added::Refused(1), "familiar accounts are not displaced by others");
        assert_eq!(drain(&mut fair), (100..116).collect::<Vec<_>>());
        assert!(fair.others.order.is_empty() && fair.others.queues.is_empty());
    }

    #[test]
    fn suitable_work_is_taken_in_the_order_of_the_turns() {
        let mut fair = FairQueue::new(100);
        for (account, work) in [(1, "a1"), (1, "a2"), (2, "b1"), (3, "a3"), (4, "b2"), (1, "b3")] {
            fair.add(of(account), work);
        }
        let is_a = |work: &&str| work.starts_with('a');
        assert!(fair.has_next(is_a));
        assert_eq!(fair.take_next(is_a), Some(("a1", false)));
        assert_eq!(fair.take_next(is_a), Some(("a3", true)), "account 1 had its turn, and account 2 is passed over");
        assert_eq!(fair.take_next(is_a), Some(("a2", true)));
        assert!(!fair.has_next(is_a) && fair.take_next(is_a).is_none());
        assert_eq!(drain(&mut fair), ["b1", "b2", "b3"]);
        assert_eq!(fair.waiting(), (0, 100));
    }

    #[test]
    fn suitable_work_of_familiar_accounts_has_most_turns_too() {
        let mut fair = FairQueue::new(1000);
        for account in 0..12 {
            fair.add(of(account), "other");
            fair.add(of_familiar(100 + account), "familiar");
        }
        let order: Vec<_> = std::iter::from_fn(|| fair.take_next(|_| true)).collect();
        assert!(order.iter().all(|(_, overtakes)| !overtakes));
        for turns in order[..16].chunks(4) {
            assert_eq!(
                turns.iter().map(|(work, _)| *work).collect::<Vec<_>>(),
                ["familiar", "familiar", "familiar", "other"]
            );
        }
        fair.add(of(1), "other");
        fair.add(of_familiar(2), "familiar");
        assert_eq!(fair.take_next(|work| *work == "other"), Some(("other", true)), "the familiar one would be next");
        assert_eq!(fair.take(), Some("familiar"));
    }

    #[test]
    fn an_account_that_becomes_familiar_waits_in_both_queues() {
        let mut fair = FairQueue::new(16);
        fair.add(of(1), "before");
        fair.add(of_familiar(1), "after");
        assert_eq!((drain(&mut fair), fair.waiting()), (vec!["after", "before"], (0, 16)));
    }

    #[test]
    fn the_clients_of_an_account_take_turns() {
        let mut fair = FairQueue::new(80);
        let guesser = |client| Submitter { client, ..of(1) };
        for number in 0..10 {
            assert_eq!(fair.add(guesser(66), number), Added::Queued);
        }
        assert_eq!(fair.add(guesser(66), 10), Added::Refused(10), "the maximum of the account is reached");
        assert_eq!(fair.add(guesser(7), 100), Added::Displaced(9), "of the client that has most");
        assert_eq!(fair.waiting(), (10, 80));
        let order = drain(&mut fair);
        assert_eq!(order[..3], [0, 100, 1]);
        assert!(order.len() == 10 && fair.waiting() == (0, 80) && fair.others.order.is_empty());
    }
}
