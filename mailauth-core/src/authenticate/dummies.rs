//! Which scheme most accounts of the table have, so that an unknown login can cost as much as a known one.

use crate::password::{Kind, NewScheme, Rules, Stored};
use std::sync::{Arc, Mutex, PoisonError};

/// Kinds that are counted; a table rarely has more than four.
const KINDS: usize = 16;

/// Counts what is verified, and keeps a dummy of each kind.
pub struct UsualScheme {
    seen: Mutex<Vec<Seen>>,
}

struct Seen {
    kind: Kind,
    times: u64,
    dummy: Arc<Stored>,
}

impl UsualScheme {
    /// Before a row was seen, the usual scheme is the one that new passwords get.
    pub fn new(scheme: NewScheme, rules: &Rules) -> Self {
        let stored = Stored::parse(scheme.specimen().as_bytes(), rules).ok();
        let seen = stored.map(|stored| Seen { kind: stored.kind(), times: 0, dummy: Arc::new(stored.dummy()) });
        UsualScheme { seen: Mutex::new(seen.into_iter().collect()) }
    }

    /// Counts a stored value that a login is tried on.
    pub fn observe(&self, stored: &Stored) {
        let kind = stored.kind();
        let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(known) = seen.iter_mut().find(|seen| seen.kind == kind) {
            known.times += 1;
        } else if seen.len() < KINDS {
            seen.push(Seen { kind, times: 1, dummy: Arc::new(stored.dummy()) });
        }
    }

    /// A stored value that nothing matches and that costs what the most frequent kind costs.
    pub fn dummy(&self) -> Arc<Stored> {
        let seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        let usual = seen.iter().max_by_key(|seen| seen.times).map(|seen| seen.dummy.clone());
        usual.unwrap_or_else(|| Arc::new(Stored::nothing()))
    }
}
