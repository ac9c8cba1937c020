//! A map of limited size in which many unimportant entries do not displace an important one.

use std::collections::HashMap;
use std::hash::{BuildHasher, Hash, RandomState};

/// Number of entries from which the least important one is evicted.
const SAMPLE: u64 = 8;

/// A map with a maximum number of entries.
///
/// If it is full, a new entry replaces the least important of eight randomly chosen entries. Each step therefore costs
/// the same for any number of entries, and an entry is evicted only if the other seven are at least as important. A
/// flood of new entries mostly displaces entries of the same kind.
pub struct BoundedMap<K, V> {
    index: HashMap<K, usize>,
    entries: Vec<(K, V)>,
    capacity: usize,
    chance: RandomState,
    drawn: u64,
}

impl<K: Copy + Eq + Hash, V> BoundedMap<K, V> {
    /// Returns an empty map for `capacity` entries (at least one).
    pub fn new(capacity: usize) -> Self {
        let (index, entries) = (HashMap::new(), Vec::new());
        BoundedMap { index, entries, capacity: capacity.max(1), chance: RandomState::new(), drawn: 0 }
    }

    /// Returns the value of `key`.
    pub fn get(&self, key: &K) -> Option<&V> {
        self.entries.get(*self.index.get(key)?).map(|(_, value)| value)
    }

    /// Returns the value of `key`, to change it.
    pub fn get_mut(&mut self, key: &K) -> Option<&mut V> {
        self.entries.get_mut(*self.index.get(key)?).map(|(_, value)| value)
    }

    /// Returns the value of `key`. If it does not exist, inserts the result of `make`. If the map is full, the other
    /// entry for which `worth` is least is evicted.
    pub fn entry<W: PartialOrd>(&mut self, key: K, make: impl FnOnce() -> V, worth: impl Fn(&V) -> W) -> &mut V {
        let at = match self.index.get(&key) {
            Some(at) => *at,
            None => {
                if self.entries.len() >= self.capacity {
                    self.evict(worth);
                }
                self.index.insert(key, self.entries.len());
                self.entries.push((key, make()));
                self.entries.len() - 1
            }
        };
        &mut self.entries[at].1
    }

    fn evict<W: PartialOrd>(&mut self, worth: impl Fn(&V) -> W) {
        let mut least: Option<(usize, W)> = None;
        for _ in 0..SAMPLE {
            self.drawn = self.drawn.wrapping_add(1);
            let at = (self.chance.hash_one(self.drawn) % self.entries.len().max(1) as u64) as usize;
            let Some((_, value)) = self.entries.get(at) else { return };
            let worth = worth(value);
            if least.as_ref().is_none_or(|(_, least)| worth < *least) {
                least = Some((at, worth));
            }
        }
        if let Some((at, _)) = least {
            self.remove_at(at);
        }
    }

    fn remove_at(&mut self, at: usize) -> (K, V) {
        let removed = self.entries.swap_remove(at);
        self.index.remove(&removed.0);
        if let Some((moved, _)) = self.entries.get(at) {
            self.index.insert(*moved, at);
        }
        removed
    }

    /// Returns the number of entries.
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    /// Removes the entries for which `keep` returns false, and returns their number.
    pub fn retain(&mut self, mut keep: impl FnMut(&K, &V) -> bool) -> usize {
        let before = self.entries.len();
        self.entries.retain(|(key, value)| keep(key, value));
        if self.entries.len() < before {
            self.index = self.entries.iter().enumerate().map(|(at, (key, _))| (*key, at)).collect();
        }
        before - self.entries.len()
    }

    /// Returns the entries. Their order changes only when entries are removed.
    pub fn iter(&self) -> impl Iterator<Item = &(K, V)> {
        self.entries.iter()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn entries_are_found_after_others_were_removed() {
        let mut map = BoundedMap::new(10);
        (0..10).for_each(|key| *map.entry(key, || 0, |value| *value) = key * 2);
        assert_eq!(map.retain(|key, _| key % 3 != 0), 4);
        let found: Vec<_> = (0..10).filter_map(|key| map.get(&key).copied()).collect();
        assert_eq!(found, [2, 4, 8, 10, 14, 16]);
        *map.entry(4, || panic!("it exists"), |value| *value) += 1;
        assert_eq!((map.get(&4), map.len()), (Some(&9), 6));
    }

    #[test]
    fn a_flood_of_unimportant_entries_displaces_no_important_one() {
        let mut map = BoundedMap::new(1000);
        (0..100).for_each(|key| *map.entry(key, || 0, |value| *value) = 20);
        (1000..101_000).for_each(|key| *map.entry(key, || 0, |value| *value) = 1);
        assert_eq!(map.len(), 1000);
        assert!((0..100).all(|key| map.get(&key) == Some(&20)));
        let indexed = map.iter().all(|(key, value)| map.get(key) == Some(value));
        assert!(indexed && map.index.len() == 1000);
    }
}
