//! Learns which kinds of stored passwords a table has, from a limited part of it.

use crate::password::{HashRules, Kind, Stored};
use crate::store::{AccountStore, Cursor, Page, StoreError};
use std::collections::BTreeMap;

/// Number of rows that one query reads.
const ROWS: usize = 500;

/// Number of queries from the beginning of the table. A table that ends within them is known completely.
const FIRST: usize = 4;

/// Number of queries at random positions of a larger table.
const ANYWHERE: usize = 12;

/// Maximum number of kinds that are kept.
const MOST_KINDS: usize = 16;

/// What was found.
#[derive(Default)]
pub(super) struct Sample {
    /// Each kind with the number of accounts that have it, and a dummy of it.
    pub kinds: BTreeMap<Kind, (u64, Stored)>,
    /// Whether the whole table was read.
    pub complete: bool,
}

impl Sample {
    /// Reads a part of the table: at most 8,000 rows. Calls `go_on` before each query.
    ///
    /// # Errors
    /// Fails if the table cannot be read.
    pub fn read(store: &dyn AccountStore, rules: &HashRules, go_on: &dyn Fn() -> bool) -> Result<Self, StoreError> {
        let mut sample = Sample::default();
        let mut after = None;
        for _ in 0..FIRST {
            if !go_on() {
                return Ok(sample.with_most_frequent());
            }
            after = sample.count(store.enumerate(after.as_ref(), ROWS)?, rules);
            if after.is_none() {
                sample.complete = true;
                return Ok(sample.with_most_frequent());
            }
        }
        for _ in 0..ANYWHERE {
            let Some(place) = anywhere().filter(|_| go_on()) else { break };
            match store.enumerate(Some(&place), ROWS) {
                Ok(page) => drop(sample.count(page, rules)),
                // The table is not in the order of a text.
                Err(StoreError::Refused { .. }) => break,
                Err(error) => return Err(error),
            }
        }
        Ok(sample.with_most_frequent())
    }

    /// Counts the passwords of a page, and returns where the next one begins.
    fn count(&mut self, page: Page, rules: &HashRules) -> Option<Cursor> {
        for row in page.rows.into_iter().flatten() {
            // Rows that cannot be read get a dummy too, as unknown logins do.
            let Ok(stored) = Stored::parse(row.password.0.expose(), rules) else { continue };
            self.kinds.entry(stored.kind()).or_insert_with(|| (0, stored.dummy())).0 += 1;
        }
        page.next
    }

    fn with_most_frequent(mut self) -> Self {
        while self.kinds.len() > MOST_KINDS {
            let rarest = self.kinds.iter().min_by_key(|(_, (number, _))| *number).map(|(kind, _)| *kind);
            if let Some(kind) = rarest {
                self.kinds.remove(&kind);
            }
        }
        self
    }
}

/// Returns a position where some login may be.
fn anywhere() -> Option<Cursor> {
    const LETTERS: &[u8; 32] = b"abcdefghijklmnopqrstuvwxyz012345";
    let number = getrandom::u32().ok()?;
    let letter = |at: u32| LETTERS.get((number >> (5 * at)) as usize % LETTERS.len()).copied();
    Some(Cursor::behind((0..3).filter_map(letter).collect::<Vec<u8>>()))
}
