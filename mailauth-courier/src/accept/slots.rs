//! Places for connections, of which each user has a share.
//!
//! Root and this process's own user may take all of them, and a tenth is theirs alone: programs of root ask for the
//! logins of the whole host. Every other user has a share of what is left, so that one program that opens connections
//! without end takes no place from root and not all of them from other users.

use crate::io::connection::{Place, Places};
use mailauth_core::sync::RwLock;
use std::collections::HashMap;

/// Users without a connection that are still known; with one more, they are forgotten.
const MOST_KNOWN: usize = 256;

/// How many connections may be open.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Room {
    /// Of all users.
    pub all: usize,
    /// Of all users together but root and this process's own.
    pub others: usize,
    /// Of each of those.
    pub each: usize,
}

/// Why there is no place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Full {
    /// There are [`Room::all`].
    All,
    /// There are [`Room::others`].
    Others,
    /// There are [`Room::each`] of this user.
    Each,
}

/// Counts the connections that are open.
#[derive(Default)]
pub(crate) struct Shares {
    all: Places,
    others: Places,
    /// The lock is only written to for a user that is not known yet: connections read it, side by side.
    users: RwLock<HashMap<u32, Places>>,
}

/// A place for a connection. Dropping it gives the place back.
pub(crate) struct Taken {
    _all: Place,
    _other: Option<(Place, Place)>,
}

impl Room {
    /// Of `all` connections, at most `each` for one user; 0 is half of all.
    pub fn new(all: usize, each: usize) -> Self {
        let all = all.max(1);
        let others = all - all.div_ceil(10).min(all - 1);
        let each = if each == 0 { all.div_ceil(2) } else { each };
        Room { all, others, each: each.min(others) }
    }
}

impl Shares {
    /// A place for root or this process's own user.
    ///
    /// # Errors
    /// When all are taken.
    pub fn take(&self, room: Room) -> Result<Taken, Full> {
        let all = self.all.take(room.all).ok_or(Full::All)?;
        Ok(Taken { _all: all, _other: None })
    }

    /// A place for another user.
    ///
    /// # Errors
    /// When its share is taken, or all that it could have one of.
    pub fn take_for(&self, uid: u32, room: Room) -> Result<Taken, Full> {
        let own = self.take_share(uid, room.each).ok_or(Full::Each)?;
        let other = self.others.take(room.others).ok_or(Full::Others)?;
        let all = self.all.take(room.all).ok_or(Full::All)?;
        Ok(Taken { _all: all, _other: Some((own, other)) })
    }

    fn take_share(&self, uid: u32, most: usize) -> Option<Place> {
        {
            // The place is taken under the lock: a user that has one is not forgotten.
            let users = self.users.read();
            if let Some(places) = users.get(&uid) {
                return places.take(most);
            }
        }
        let mut users = self.users.write();
        if users.len() >= MOST_KNOWN {
            users.retain(|_, places| places.taken() > 0);
        }
        users.entry(uid).or_default().take(most)
    }

    /// How many connections are open.
    pub fn taken(&self) -> usize {
        self.all.taken()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const EXIM: u32 = 101;
    const WEBMAIL: u32 = 33;

    #[test]
    fn a_user_has_half_and_root_has_a_tenth_for_itself() {
        assert_eq!(Room::new(4000, 0), Room { all: 4000, others: 3600, each: 2000 });
        assert_eq!(Room::new(4000, 3000).each, 3000);
        assert_eq!(Room::new(4000, 4000).each, 3600, "never what is kept for root");
        assert_eq!(Room::new(3, 0), Room { all: 3, others: 2, each: 2 });
        assert_eq!(Room::new(2, 0), Room { all: 2, others: 1, each: 1 });
        assert_eq!(Room::new(1, 0), Room { all: 1, others: 1, each: 1 });
    }

    #[test]
    fn each_user_gets_its_share_and_root_what_is_left() {
        let (shares, room) = (Shares::default(), Room::new(10, 0));
        let exim: Vec<_> = (0..5).map(|_| shares.take_for(EXIM, room).ok().unwrap()).collect();
        assert_eq!(shares.take_for(EXIM, room).err(), Some(Full::Each));
        let webmail: Vec<_> = (0..4).map(|_| shares.take_for(WEBMAIL, room).ok().unwrap()).collect();
        assert_eq!(shares.take_for(WEBMAIL, room).err(), Some(Full::Others));
        let root = shares.take(room).ok().unwrap();
        assert_eq!((shares.take(room).err(), shares.taken()), (Some(Full::All), 10));
        drop((exim, root));
        assert!(shares.take_for(WEBMAIL, room).is_ok());
        drop(webmail);
        assert_eq!(shares.taken(), 0, "whatever was refused holds nothing");
        let root: Vec<_> = (0..10).map(|_| shares.take(room).ok().unwrap()).collect();
        assert_eq!(shares.take_for(EXIM, room).err(), Some(Full::All));
        drop(root);
    }

    #[test]
    fn users_without_a_connection_are_forgotten() {
        let (shares, room) = (Shares::default(), Room::new(100_000, 0));
        let kept: Vec<_> = (0..10).map(|uid| shares.take_for(uid, room).ok().unwrap()).collect();
        for uid in 10..100_000 {
            assert!(shares.take_for(uid, room).is_ok());
        }
        assert!(shares.users.read().len() <= MOST_KNOWN);
        assert!((0..10).all(|uid| shares.users.read().contains_key(&uid)));
        drop(kept);
    }
}
