//! What waits, in the order in which it is fair to take it.
//!
//! Accounts come by turns: however much waits for one, what waits for another account is taken after one piece of work of
//! each. Within an account, the networks of its clients come by turns: its owner does not wait behind all that tries
//! passwords from elsewhere. Accounts that are familiar wait in a queue of their own, from which most is taken: logins
//! that are tried at random delay accounts that did not log in before, and hardly those that did.

use std::collections::{HashMap, VecDeque};

/// Of so many turns in a row, one is for the accounts that are not familiar, while any of them waits.
const ONE_IN: u32 = 4;

/// What part of all places one account may have: one divided by this.
const SHARE: usize = 8;

/// Work that waits, of at most so many pieces.
pub(crate) struct Fair<T> {
    familiar: Accounts<T>,
    others: Accounts<T>,
    capacity: usize,
    /// Turns that familiar accounts had since the others had one.
    in_a_row: u32,
}

/// Accounts come by turns, and within each its clients.
type Accounts<T> = Turns<Turns<VecDeque<T>>>;

/// Whose a piece of work is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Owner {
    /// A hash of the account's login.
    pub account: u64,
    /// A hash of the network of the client, where that is known.
    pub client: u64,
    /// Whether its password was right not long ago.
    pub familiar: bool,
}

/// What came of adding a piece of work.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Added<T> {
    /// It waits.
    Waits,
    /// It waits, and this had to make way for it.
    InPlaceOf(T),
    /// There is no place for it.
    Refused(T),
}

/// Work in some order.
trait Queue: Default {
    type Work;
    /// Where in the queue a piece of work belongs.
    type Place;

    fn put(&mut self, place: Self::Place, work: Self::Work);

    fn take(&mut self) -> Option<Self::Work>;

    /// Takes what is missed least: the newest work of those that have most.
    fn give_up(&mut self) -> Option<Self::Work>;

    fn number(&self) -> usize;
}

/// Queues whose turns come round.
struct Turns<Q> {
    /// Each queue with work in it once, in the order of their turns.
    order: VecDeque<u64>,
    queues: HashMap<u64, Q>,
    number: usize,
}

impl<T> Fair<T> {
    pub fn new(capacity: usize) -> Self {
        Fair { familiar: Turns::default(), others: Turns::default(), capacity, in_a_row: 0 }
    }

    /// How many pieces wait, and how many may.
    pub fn waiting(&self) -> (usize, usize) {
        (self.familiar.number + self.others.number, self.capacity)
    }

    /// Adds work. Where all places are taken, work of the account that has most makes way, of accounts that are not
    /// familiar first; an account never takes a place from one that has no more than itself, unless it alone is familiar.
    /// Where an account has its share, the same holds among its clients.
    pub fn add(&mut self, owner: Owner, work: T) -> Added<T> {
        let Owner { account, client, familiar } = owner;
        let (number, capacity) = self.waiting();
        let others = self.others.number;
        let queue = self.queue(familiar);
        let mine = queue.number_of(account);
        let displaced = if mine >= (capacity / SHARE).max(1) {
            queue.change(account, |clients| clients.give_up_beyond(clients.number_of(client) + 1))
        } else if number < capacity {
            queue.put((account, (client, ())), work);
            return Added::Waits;
        } else if familiar && others > 0 {
            self.others.give_up()
        } else {
            queue.give_up_beyond(mine + 1)
        };
        match displaced {
            Some(displaced) => {
                self.queue(familiar).put((account, (client, ())), work);
                Added::InPlaceOf(displaced)
            }
            None => Added::Refused(work),
        }
    }

    /// Takes the work whose turn it is.
    pub fn take(&mut self) -> Option<T> {
        let turn_of_others = self.familiar.number == 0 || self.in_a_row + 1 >= ONE_IN;
        if turn_of_others && let Some(work) = self.others.take() {
            self.in_a_row = 0;
            return Some(work);
        }
        self.in_a_row = self.in_a_row.saturating_add(1);
        self.familiar.take()
    }

    fn queue(&mut self, familiar: bool) -> &mut Accounts<T> {
        if familiar { &mut self.familiar } else { &mut self.others }
    }
}

impl<T> Queue for VecDeque<T> {
    type Work = T;
    type Place = ();

    fn put(&mut self, (): (), work: T) {
        self.push_back(work);
    }

    fn take(&mut self) -> Option<T> {
        self.pop_front()
    }

    fn give_up(&mut self) -> Option<T> {
        self.pop_back()
    }

    fn number(&self) -> usize {
        self.len()
    }
}

impl<Q> Default for Turns<Q> {
    fn default() -> Self {
        Turns { order: VecDeque::new(), queues: HashMap::new(), number: 0 }
    }
}

impl<Q: Queue> Turns<Q> {
    fn number_of(&self, key: u64) -> usize {
        self.queues.get(&key).map_or(0, Queue::number)
    }

    /// Takes work out of one queue, as `take` says.
    fn change(&mut self, key: u64, take: impl FnOnce(&mut Q) -> Option<Q::Work>) -> Option<Q::Work> {
        let queue = self.queues.get_mut(&key)?;
        let work = take(queue)?;
        self.number -= 1;
        if queue.number() == 0 {
            self.queues.remove(&key);
            self.order.retain(|other| *other != key);
        }
        Some(work)
    }

    /// The same as [`Queue::give_up`], of a queue that has more than `least`.
    fn give_up_beyond(&mut self, least: usize) -> Option<Q::Work> {
        let numbers = self.queues.iter().map(|(key, queue)| (*key, queue.number()));
        let (key, number) = numbers.max_by_key(|(_, number)| *number)?;
        if number > least { self.change(key, Q::give_up) } else { None }
    }
}

impl<Q: Queue> Queue for Turns<Q> {
    type Work = Q::Work;
    type Place = (u64, Q::Place);

    fn put(&mut self, (key, place): (u64, Q::Place), work: Q::Work) {
        let queue = self.queues.entry(key).or_default();
        if queue.number() == 0 {
            self.order.push_back(key);
        }
        queue.put(place, work);
        self.number += 1;
    }

    fn take(&mut self) -> Option<Q::Work> {
        let key = self.order.pop_front()?;
        let work = self.change(key, Q::take);
        if self.queues.contains_key(&key) {
            self.order.push_back(key);
        }
        work
    }

    fn give_up(&mut self) -> Option<Q::Work> {
        self.give_up_beyond(0)
    }

    fn number(&self) -> usize {
        self.number
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(account: u64) -> Owner {
        Owner { account, client: 0, familiar: false }
    }

    fn of_familiar(account: u64) -> Owner {
        Owner { account, client: 0, familiar: true }
    }

    fn drain<T>(fair: &mut Fair<T>) -> Vec<T> {
        std::iter::from_fn(|| fair.take()).collect()
    }

    #[test]
    fn accounts_come_by_turns_and_each_in_its_own_order() {
        let mut fair = Fair::new(100);
        for work in 0..8 {
            assert_eq!(fair.add(of(1), (1, work)), Added::Waits);
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
    fn familiar_accounts_come_first_and_the_others_come_too() {
        let mut fair = Fair::new(1000);
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
        assert_eq!(fair.take(), Some("familiar"), "the others had their turns");
    }

    #[test]
    fn one_account_has_a_share_and_takes_no_place_from_others() {
        let mut fair = Fair::new(80);
        for _ in 0..10 {
            assert_eq!(fair.add(of(1), 1), Added::Waits);
        }
        assert_eq!(fair.add(of(1), 1), Added::Refused(1), "its share is taken");
        for account in 2..=8 {
            (0..10).for_each(|_| assert_eq!(fair.add(of(account), account), Added::Waits));
        }
        assert_eq!(fair.waiting(), (80, 80));
        assert!(matches!(fair.add(of(9), 9), Added::InPlaceOf(1..=8)), "whoever has most loses");
        assert_eq!(fair.waiting(), (80, 80));
        for _ in 0..40 {
            fair.add(of(9), 9);
        }
        let nines = drain(&mut fair).into_iter().filter(|account| *account == 9).count();
        assert!((8..=10).contains(&nines), "{nines}");
    }

    #[test]
    fn of_many_accounts_with_little_each_the_one_more_is_refused_unless_it_is_familiar() {
        let mut fair = Fair::new(16);
        for account in 0..16 {
            assert_eq!(fair.add(of(account), account), Added::Waits);
        }
        assert_eq!(fair.add(of(16), 16), Added::Refused(16));
        for account in 100..116 {
            assert!(matches!(fair.add(of_familiar(account), account), Added::InPlaceOf(0..16)));
        }
        assert_eq!(fair.add(of_familiar(116), 116), Added::Refused(116));
        assert_eq!(fair.add(of(1), 1), Added::Refused(1), "familiar ones make no way for others");
        assert_eq!(drain(&mut fair), (100..116).collect::<Vec<_>>());
        assert!(fair.others.order.is_empty() && fair.others.queues.is_empty());
    }

    #[test]
    fn an_account_that_becomes_familiar_meanwhile_waits_in_both_queues() {
        let mut fair = Fair::new(16);
        fair.add(of(1), "before");
        fair.add(of_familiar(1), "after");
        assert_eq!((drain(&mut fair), fair.waiting()), (vec!["after", "before"], (0, 16)));
    }

    #[test]
    fn within_an_account_its_clients_come_by_turns() {
        let mut fair = Fair::new(80);
        let guesser = |client| Owner { client, ..of(1) };
        for number in 0..10 {
            assert_eq!(fair.add(guesser(66), number), Added::Waits);
        }
        assert_eq!(fair.add(guesser(66), 10), Added::Refused(10), "the share of the account is taken");
        assert_eq!(fair.add(guesser(7), 100), Added::InPlaceOf(9), "of the client that has most");
        assert_eq!(fair.waiting(), (10, 80));
        let order = drain(&mut fair);
        assert_eq!(order[..3], [0, 100, 1]);
        assert!(order.len() == 10 && fair.waiting() == (0, 80) && fair.others.order.is_empty());
    }
}
