//! Accounts that logged in not long ago. Their logins do not have to wait behind others under overload.
//!
//! An entry is a part of a hash of the login, under a random key of this process, and the hour: 8 bytes for an account,
//! in a table whose size does not depend on what is tried. If it is full, the account that has not logged in for the
//! longest time is dropped.

use crate::Login;
use std::hash::{BuildHasher, RandomState};
use std::net::IpAddr;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{LazyLock, OnceLock};
use std::time::Instant;

/// Number of places that an account may have. If all are taken, the oldest entry is dropped.
const WAYS: usize = 8;

/// Rows of a shard, and number of shards: 131,072 accounts altogether. The 32 KiB of a shard are allocated when it is
/// first used.
const ROWS: usize = 512;
const SHARDS: usize = 32;

/// Hours without a login after which an account is no longer familiar: 30 days.
const HOURS: u64 = 30 * 24;

/// The lower bits of an entry: the time of the login, in hours since the start of the process, plus one. The rest is
/// the hash.
const STAMP: u64 = 0xffff;

/// State of the whole process, so that it survives a reload of the configuration.
static KEY: LazyLock<(RandomState, Instant)> = LazyLock::new(|| (RandomState::new(), Instant::now()));

/// Returns the hash of a login under the key of this process.
pub fn key_of(login: &Login) -> u64 {
    KEY.0.hash_one(login.as_str())
}

/// Returns the same for the network of a client's address. An unknown or invalid address counts as a network of its
/// own.
pub fn key_of_network(client: Option<&str>) -> u64 {
    KEY.0.hash_one(client.and_then(|address| address.parse().ok()).map(
        |address: IpAddr| match address.to_canonical() {
            IpAddr::V4(address) => u128::from(address.to_bits()),
            IpAddr::V6(address) => address.to_bits() >> 64 << 64,
        },
    ))
}

/// Accounts that logged in not long ago.
#[derive(Default)]
pub struct Familiar {
    shards: [OnceLock<Box<[Row]>>; SHARDS],
}

type Row = [AtomicU64; WAYS];

impl Familiar {
    /// Records that the account with this key logged in.
    pub fn remember(&self, key: u64) {
        self.remember_at(key, hour());
    }

    /// Returns true if it logged in not long ago.
    pub fn knows(&self, key: u64) -> bool {
        self.knows_at(key, hour())
    }

    /// Takes over the entries of `older`.
    pub fn take_over(&self, older: &Familiar) {
        for (mine, theirs) in self.shards.iter().zip(&older.shards) {
            let Some(theirs) = theirs.get() else { continue };
            for (mine, theirs) in mine.get_or_init(empty).iter().zip(theirs) {
                mine.iter().zip(theirs).for_each(|(mine, theirs)| mine.store(load(theirs), Ordering::Relaxed));
            }
        }
    }

    fn remember_at(&self, key: u64, hour: u64) {
        let Some(row) = shard_of(key).and_then(|shard| self.shards.get(shard)?.get_or_init(empty).get(row_of(key)))
        else {
            return;
        };
        let entry = key & !STAMP | hour;
        let place = row
            .iter()
            .find(|place| load(place) & !STAMP == key & !STAMP)
            .or_else(|| row.iter().min_by_key(|place| load(place) & STAMP));
        if let Some(place) = place
            && load(place) != entry
        {
            // Two threads that do this at the same time may drop an entry, which then is as if another account had
            // replaced it.
            place.store(entry, Ordering::Relaxed);
        }
    }

    fn knows_at(&self, key: u64, hour: u64) -> bool {
        let row = shard_of(key).and_then(|shard| self.shards.get(shard)?.get()?.get(row_of(key)));
        row.is_some_and(|row| {
            row.iter().map(load).any(|entry| {
                let since = entry & STAMP;
                since != 0 && entry & !STAMP == key & !STAMP && hour.saturating_sub(since) <= HOURS
            })
        })
    }
}

fn load(place: &AtomicU64) -> u64 {
    place.load(Ordering::Relaxed)
}

fn empty() -> Box<[Row]> {
    (0..ROWS).map(|_| Row::default()).collect()
}

/// Returns the shard of a hash. The shard and the row are determined by the bits that an entry does not keep.
fn shard_of(key: u64) -> Option<usize> {
    usize::try_from(key & STAMP).ok().map(|bits| bits / ROWS % SHARDS)
}

fn row_of(key: u64) -> usize {
    (key & 0x1ff) as usize
}

/// Returns the hours since the start of this process, from 1.
fn hour() -> u64 {
    (KEY.1.elapsed().as_secs() / 3600 + 1).min(STAMP)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_login_is_familiar_after_it_was_right_for_a_month() {
        let familiar = Familiar::default();
        let [anna, ben] =
            ["anna@x.example", "ben@x.example"].map(|login| key_of(&Login::parse(login.as_bytes(), None).unwrap()));
        assert!(!familiar.knows(anna));
        familiar.remember_at(anna, 1);
        assert!(familiar.knows(anna) && !familiar.knows(ben));
        assert!(familiar.knows_at(anna, 1 + HOURS) && !familiar.knows_at(anna, 2 + HOURS));
        familiar.remember_at(anna, 500);
        assert!(familiar.knows_at(anna, 2 + HOURS), "it logged in again");
        let later = Familiar::default();
        later.take_over(&familiar);
        assert!(later.knows_at(anna, 500) && !later.knows_at(ben, 500));
    }

    #[test]
    fn a_network_is_an_ipv4_address_or_half_an_ipv6_address() {
        let key = |address| key_of_network(Some(address));
        assert_eq!(key("2001:db8::1"), key("2001:db8::ffff:2"));
        assert_ne!(key("2001:db8::1"), key("2001:db8:0:1::1"));
        assert_ne!(key("192.0.2.1"), key("192.0.2.2"));
        assert_eq!(key("192.0.2.1"), key("::ffff:192.0.2.1"));
        assert_eq!(key("a name"), key_of_network(None));
    }

    #[test]
    fn many_accounts_are_kept_and_the_oldest_makes_way() {
        let familiar = Familiar::default();
        let keys: Vec<u64> = (0..60_000u64).map(|number| KEY.0.hash_one(number)).collect();
        keys.iter().for_each(|key| familiar.remember_at(*key, 7));
        let known = keys.iter().filter(|key| familiar.knows_at(**key, 7)).count();
        assert!(known > 58_000, "{known}");
        // As many as there is room for, of one row, and one more.
        let row: Vec<u64> = (1..=9u64).map(|number| number << 16).collect();
        row.iter().zip(100..).for_each(|(key, hour)| familiar.remember_at(*key, hour));
        assert!(!familiar.knows_at(row[0], 110) && row[1..].iter().all(|key| familiar.knows_at(*key, 110)));
    }
}
