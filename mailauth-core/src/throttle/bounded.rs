//! A map of at most so many entries, in which an entry that matters is not pushed out by many that do not.

use std::collections::HashMap;
use std::hash::{BuildHasher, Hash, RandomState};

/// Entries of which the least worth makes room for a new one.
const SAMPLE: u64 = 8;

/// When it is full, the least worth of eight entries that are picked by chance makes room. So each step costs the same
/// however many entries there are, and an entry goes only where all eight are worth as much: a flood of new entries pushes
/// out entries of its own kind.
pub struct Bounded<K, V> {
    index: HashMap<K, usize>,
    entries: Vec<(K, V)>,
    most: usize,
    chance: RandomState,
    drawn: u64,
}

impl<K: Copy + Eq + Hash, V> Bounded<K, V> {
    pub fn new(most: usize) -> Self {
        let (index, entries) = (HashMap::new(), Vec::new());
        Bounded { index, entries, most: most.max(1), chance: RandomState::new(), drawn: 0 }
    }

    pub fn get(&self, key: &K) -> Option<&V> {
        self.entries.get(*self.index.get(key)?).map(|(_, value)| value)
    }

    pub fn get_mut(&mut self, key: &K) -> Option<&mut V> {
        self.entries.get_mut(*self.index.get(key)?).map(|(_, value)| value)
    }

    /// The entry with this key, which is made where it is missing; `worth` says which of others makes room for it.
    pub fn entry<W: PartialOrd>(&mut self, key: K, make: impl FnOnce() -> V, worth: impl Fn(&V) -> W) -> &mut V {
        let at = match self.index.get(&key) {
            Some(at) => *at,
            None => {
                if self.entries.len() >= self.most {
                    self.make_room(worth);
                }
                self.index.insert(key, self.entries.len());
                self.entries.push((key, make()));
                self.entries.len() - 1
            }
        };
        &mut self.entries[at].1
    }

    fn make_room<W: PartialOrd>(&mut self, worth: impl Fn(&V) -> W) {
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

    pub fn len(&self) -> usize {
        self.entries.len()
    }

    /// Drops the entries that `keep` does not want, and returns how many these are.
    pub fn retain(&mut self, mut keep: impl FnMut(&K, &V) -> bool) -> usize {
        let before = self.entries.len();
        self.entries.retain(|(key, value)| keep(key, value));
        if self.entries.len() < before {
            self.index = self.entries.iter().enumerate().map(|(at, (key, _))| (*key, at)).collect();
        }
        before - self.entries.len()
    }

    /// The entries, in an order that only a removal changes.
    pub fn iter(&self) -> impl Iterator<Item = &(K, V)> {
        self.entries.iter()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn entries_are_found_after_others_were_removed() {
        let mut map = Bounded::new(10);
        (0..10).for_each(|key| *map.entry(key, || 0, |value| *value) = key * 2);
        assert_eq!(map.retain(|key, _| key % 3 != 0), 4);
        let found: Vec<_> = (0..10).filter_map(|key| map.get(&key).copied()).collect();
        assert_eq!(found, [2, 4, 8, 10, 14, 16]);
        *map.entry(4, || panic!("it is there"), |value| *value) += 1;
        assert_eq!((map.get(&4), map.len()), (Some(&9), 6));
    }

    #[test]
    fn a_flood_of_little_worth_pushes_out_nothing_of_more() {
        let mut map = Bounded::new(1000);
        (0..100).for_each(|key| *map.entry(key, || 0, |value| *value) = 20);
        (1000..101_000).for_each(|key| *map.entry(key, || 0, |value| *value) = 1);
        assert_eq!(map.len(), 1000);
        assert!((0..100).all(|key| map.get(&key) == Some(&20)));
        let indexed = map.iter().all(|(key, value)| map.get(key) == Some(value));
        assert!(indexed && map.index.len() == 1000);
    }
}
