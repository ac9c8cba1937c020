//! Slots for connections: every open connection holds one, and each user has a limit.
//!
//! Root and this process's own user may take all slots, and a tenth is reserved for them: programs that run as root ask
//! for the logins of the whole host. Every other user may take a part of the rest, so that a program that opens
//! connections without end takes no slot from root and leaves some to other users.

use mailauth_core::sync::RwLock;
use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

/// Maximum number of users that have counters. Users without a connection are removed when there are more.
const MAX_USERS: usize = 256;

/// Counts how many of something exist at the same time.
#[derive(Clone, Default)]
pub(crate) struct SlotCounter(Arc<AtomicUsize>);

/// One of the things that a [`SlotCounter`] counts. Dropping it gives the slot back.
pub(crate) struct Slot(SlotCounter);

impl SlotCounter {
    /// Takes a slot if fewer than `limit` are taken.
    pub fn take(&self, limit: usize) -> Option<Slot> {
        // Taken first and given back, so that two threads can never share the last slot.
        let slot = Slot(self.clone());
        if self.0.fetch_add(1, Ordering::Relaxed) < limit { Some(slot) } else { None }
    }

    /// Returns the number of slots that are taken.
    pub fn taken(&self) -> usize {
        self.0.load(Ordering::Relaxed)
    }
}

impl Drop for Slot {
    fn drop(&mut self) {
        self.0.0.fetch_sub(1, Ordering::Relaxed);
    }
}

/// Maximum numbers of open connections.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct ConnectionLimits {
    /// Connections of all users.
    pub total: usize,
    /// Connections of all users together except root and this process's own.
    pub others: usize,
    /// Connections of each user except root and this process's own.
    pub per_user: usize,
}

/// Limit because of which there is no slot.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Full {
    /// [`ConnectionLimits::total`] connections are open.
    Total,
    /// [`ConnectionLimits::others`] connections are open.
    Others,
    /// [`ConnectionLimits::per_user`] connections of this user are open.
    User,
}

/// Counts the open connections.
#[derive(Default)]
pub(crate) struct ConnectionSlots {
    total: SlotCounter,
    others: SlotCounter,
    /// Counters by user. The lock is held for writing only when a user has no counter yet; otherwise threads read at
    /// the same time.
    users: RwLock<HashMap<u32, SlotCounter>>,
}

/// Slot of a connection. Dropping it gives the slot back.
pub(crate) struct ConnectionSlot {
    _total: Slot,
    _user_and_others: Option<(Slot, Slot)>,
}

impl ConnectionLimits {
    /// Returns the limits for `total` connections and `per_user` for one user; 0 means half of the total.
    pub fn new(total: usize, per_user: usize) -> Self {
        let total = total.max(1);
        let others = total - total.div_ceil(10).min(total - 1);
        let per_user = if per_user == 0 { total.div_ceil(2) } else { per_user };
        ConnectionLimits { total, others, per_user: per_user.min(others) }
    }
}

impl ConnectionSlots {
    /// Takes a slot for root or this process's own user.
    ///
    /// # Errors
    /// Fails if all slots are taken.
    pub fn take(&self, limits: ConnectionLimits) -> Result<ConnectionSlot, Full> {
        let total = self.total.take(limits.total).ok_or(Full::Total)?;
        Ok(ConnectionSlot { _total: total, _user_and_others: None })
    }

    /// Takes a slot for another user.
    ///
    /// # Errors
    /// Fails if one of the limits is reached.
    pub fn take_for(&self, uid: u32, limits: ConnectionLimits) -> Result<ConnectionSlot, Full> {
        let user = self.take_of_user(uid, limits.per_user).ok_or(Full::User)?;
        let other = self.others.take(limits.others).ok_or(Full::Others)?;
        let total = self.total.take(limits.total).ok_or(Full::Total)?;
        Ok(ConnectionSlot { _total: total, _user_and_others: Some((user, other)) })
    }

    fn take_of_user(&self, uid: u32, limit: usize) -> Option<Slot> {
        {
            // The slot is taken under the lock: the counter of a user that has a slot is not removed.
            let users = self.users.read();
            if let Some(counter) = users.get(&uid) {
                return counter.take(limit);
            }
        }
        let mut users = self.users.write();
        if users.len() >= MAX_USERS {
            users.retain(|_, counter| counter.taken() > 0);
        }
        users.entry(uid).or_default().take(limit)
    }

    /// Returns the number of open connections.
    pub fn taken(&self) -> usize {
        self.total.taken()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const EXIM: u32 = 101;
    const WEBMAIL: u32 = 33;

    #[test]
    fn the_last_slot_is_taken_once_and_given_back() {
        let counter = SlotCounter::default();
        let first = counter.take(1).unwrap();
        assert!(counter.take(1).is_none());
        assert_eq!(counter.taken(), 1);
        drop(first);
        assert!(counter.take(1).is_some());
    }

    #[test]
    fn one_user_gets_at_most_half_and_a_tenth_is_reserved_for_root() {
        assert_eq!(ConnectionLimits::new(4000, 0), ConnectionLimits { total: 4000, others: 3600, per_user: 2000 });
        assert_eq!(ConnectionLimits::new(4000, 3000).per_user, 3000);
        assert_eq!(ConnectionLimits::new(4000, 4000).per_user, 3600, "never the reserve of root");
        assert_eq!(ConnectionLimits::new(3, 0), ConnectionLimits { total: 3, others: 2, per_user: 2 });
        assert_eq!(ConnectionLimits::new(2, 0), ConnectionLimits { total: 2, others: 1, per_user: 1 });
        assert_eq!(ConnectionLimits::new(1, 0), ConnectionLimits { total: 1, others: 1, per_user: 1 });
    }

    #[test]
    fn users_are_limited_and_root_gets_the_rest() {
        let (slots, limits) = (ConnectionSlots::default(), ConnectionLimits::new(10, 0));
        let exim: Vec<_> = (0..5).map(|_| slots.take_for(EXIM, limits).ok().unwrap()).collect();
        assert_eq!(slots.take_for(EXIM, limits).err(), Some(Full::User));
        let webmail: Vec<_> = (0..4).map(|_| slots.take_for(WEBMAIL, limits).ok().unwrap()).collect();
        assert_eq!(slots.take_for(WEBMAIL, limits).err(), Some(Full::Others));
        let root = slots.take(limits).ok().unwrap();
        assert_eq!((slots.take(limits).err(), slots.taken()), (Some(Full::Total), 10));
        drop((exim, root));
        assert!(slots.take_for(WEBMAIL, limits).is_ok());
        drop(webmail);
        assert_eq!(slots.taken(), 0, "a refused connection holds no slot");
        let root: Vec<_> = (0..10).map(|_| slots.take(limits).ok().unwrap()).collect();
        assert_eq!(slots.take_for(EXIM, limits).err(), Some(Full::Total));
        drop(root);
    }

    #[test]
    fn counters_of_users_without_connections_are_removed() {
        let (slots, limits) = (ConnectionSlots::default(), ConnectionLimits::new(100_000, 0));
        let kept: Vec<_> = (0..10).map(|uid| slots.take_for(uid, limits).ok().unwrap()).collect();
        for uid in 10..100_000 {
            assert!(slots.take_for(uid, limits).is_ok());
        }
        assert!(slots.users.read().len() <= MAX_USERS);
        assert!((0..10).all(|uid| slots.users.read().contains_key(&uid)));
        drop(kept);
    }
}
