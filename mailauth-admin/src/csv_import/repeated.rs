//! Keys that are in several rows of a file, found with a few bytes of memory for each row.

use std::collections::HashMap;
use std::hash::{BuildHasher, RandomState};

/// Maximum number of rows of a file.
const MAX_ROWS: usize = 20_000_000;

/// Maximum number of keys whose first line is remembered.
const MAX_KEYS: usize = 100_000;

/// Hashes of all keys of a file.
#[derive(Default)]
pub struct Keys {
    hasher: RandomState,
    hashes: Vec<u64>,
}

impl Keys {
    /// Adds the key of the next row. Returns false if there are too many rows.
    pub fn add(&mut self, key: &str) -> bool {
        self.hashes.push(self.hasher.hash_one(key));
        self.hashes.len() <= MAX_ROWS
    }

    /// Returns the keys that may be in several rows; `None` if each key is in one.
    pub fn into_repeated(mut self) -> Option<Repeated> {
        self.hashes.sort_unstable();
        let mut hashes = Vec::new();
        for pair in self.hashes.windows(2) {
            if let [one, next] = pair
                && one == next
                && hashes.last() != Some(one)
            {
                hashes.push(*one);
            }
        }
        (!hashes.is_empty()).then(|| Repeated { hasher: self.hasher, hashes, first: HashMap::new() })
    }
}

/// Keys that may be in several rows, and their first lines.
pub struct Repeated {
    hasher: RandomState,
    hashes: Vec<u64>,
    first: HashMap<String, u64>,
}

impl Repeated {
    /// Returns the first line with this key, if that is an earlier one. Rows are passed in their order.
    pub fn line_before(&mut self, key: &str, line: u64) -> Option<u64> {
        self.hashes.binary_search(&self.hasher.hash_one(key)).ok()?;
        if let Some(first) = self.first.get(key) {
            return Some(*first);
        }
        if self.first.len() < MAX_KEYS {
            self.first.insert(key.to_owned(), line);
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_is_repeated_after_its_first_line() {
        let rows = ["a", "b", "a", "c", "a", "b"];
        let mut keys = Keys::default();
        assert!(rows.iter().all(|key| keys.add(key)));
        let mut repeated = keys.into_repeated().unwrap();
        let lines: Vec<_> = rows.iter().zip(1..).map(|(key, line)| repeated.line_before(key, line)).collect();
        assert_eq!(lines, [None, None, Some(1), None, Some(1), Some(2)]);
        let mut single = Keys::default();
        assert!(single.add("a") && single.add("b") && single.into_repeated().is_none());
    }
}
