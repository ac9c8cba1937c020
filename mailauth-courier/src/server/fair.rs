//! What waits, in the order in which it is fair to take it.
//!
//! Accounts come by turns: however much waits for one, what waits for another account is taken after one piece of work of
//! each. Accounts that are familiar wait in a queue of their own, from which most is taken: whoever tries logins at random
//! delays those that did not log in before, and hardly those that did.

use std::collections::{HashMap, VecDeque};

/// Of so many turns in a row, one is for the accounts that are not familiar, while any of them waits.
const ONE_IN: u32 = 4;

/// What part of all places one account may have: one divided by this.
const SHARE: usize = 8;

/// Work that waits, of at most so many pieces.
pub(super) struct Fair<T> {
    familiar: Turns<T>,
    others: Turns<T>,
    capacity: usize,
    /// Turns that familiar accounts had since the others had one.
    in_a_row: u32,
}

/// Whose a piece of work is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Owner {
    /// A hash of the account's login.
    pub account: u64,
    /// Whether its password was right not long ago.
    pub familiar: bool,
}

/// The work of one of the two queues.
struct Turns<T> {
    /// Each account once that has work here, in the order of their turns.
    order: VecDeque<u64>,
    waiting: HashMap<u64, VecDeque<T>>,
    number: usize,
}

/// What came of adding a piece of work.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Added<T> {
    /// It waits.
    Waits,
    /// It waits, and this had to make way for it.
    InPlaceOf(T),
    /// There is no place for it.
    Refused(T),
}

impl<T> Fair<T> {
    pub fn new(capacity: usize) -> Self {
        Fair { familiar: Turns::new(), others: Turns::new(), capacity, in_a_row: 0 }
    }

    /// How many pieces wait, and how many may.
    pub fn waiting(&self) -> (usize, usize) {
        (self.familiar.number + self.others.number, self.capacity)
    }

    /// Adds work. Where all places are taken, work of the account that has most makes way, of accounts that are not
    /// familiar first; an account never takes a place from one that has no more than itself, unless it alone is familiar.
    pub fn add(&mut self, owner: Owner, work: T) -> Added<T> {
        let mine = self.queue(owner.familiar).number_of(owner.account);
        if mine >= (self.capacity / SHARE).max(1) {
            return Added::Refused(work);
        }
        let (number, capacity) = self.waiting();
        if number < capacity {
            self.queue(owner.familiar).put(owner.account, work);
            return Added::Waits;
        }
        let displaced = if owner.familiar && self.others.number > 0 {
            self.others.take_from_largest(0)
        } else {
            self.queue(owner.familiar).take_from_largest(mine + 1)
        };
        match displaced {
            Some(displaced) => {
                self.queue(owner.familiar).put(owner.account, work);
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

    fn queue(&mut self, familiar: bool) -> &mut Turns<T> {
        if familiar { &mut self.familiar } else { &mut self.others }
    }
}

impl<T> Turns<T> {
    fn new() -> Self {
        Turns { order: VecDeque::new(), waiting: HashMap::new(), number: 0 }
    }

    fn number_of(&self, account: u64) -> usize {
        self.waiting.get(&account).map_or(0, VecDeque::len)
    }

    fn put(&mut self, account: u64, work: T) {
        let queue = self.waiting.entry(account).or_default();
        if queue.is_empty() {
            self.order.push_back(account);
        }
        queue.push_back(work);
        self.number += 1;
    }

    fn take(&mut self) -> Option<T> {
        let account = self.order.pop_front()?;
        let queue = self.waiting.get_mut(&account)?;
        let work = queue.pop_front();
        if queue.is_empty() {
            self.waiting.remove(&account);
        } else {
            self.order.push_back(account);
        }
        self.number -= usize::from(work.is_some());
        work
    }

    /// Takes the newest work of the account that has most, if it has more than `least`.
    fn take_from_largest(&mut self, least: usize) -> Option<T> {
        let (account, number) =
            self.waiting.iter().map(|(account, queue)| (*account, queue.len())).max_by_key(|(_, number)| *number)?;
        if number <= least {
            return None;
        }
        let work = self.waiting.get_mut(&account)?.pop_back();
        if number == 1 {
            self.waiting.remove(&account);
            self.order.retain(|other| *other != account);
        }
        self.number -= usize::from(work.is_some());
        work
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(account: u64) -> Owner {
        Owner { account, familiar: false }
    }

    fn of_familiar(account: u64) -> Owner {
        Owner { account, familiar: true }
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
        assert!(fair.waiting() == (0, 100) && fair.others.waiting.is_empty() && fair.others.order.is_empty());
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
        assert!(fair.others.order.is_empty() && fair.others.waiting.is_empty());
    }

    #[test]
    fn an_account_that_becomes_familiar_meanwhile_waits_in_both_queues() {
        let mut fair = Fair::new(16);
        fair.add(of(1), "before");
        fair.add(of_familiar(1), "after");
        assert_eq!((drain(&mut fair), fair.waiting()), (vec!["after", "before"], (0, 16)));
    }
}
