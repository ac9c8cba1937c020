//! Copies of another program's tables.
//!
//! Their rows come in the order of the key of each table, and most of these tables have no times of change. So a copy
//! is always made of all rows: those of each page are compared with the stored ones, and what differs is written. Rows
//! that no page had are removed at the end. As with our own tables, each stored row is at least as new as the beginning
//! of the last complete reading.

use super::{Failure, Memory, PAGE, Refreshed, TIMES_IN_AGE, Waker, Work};
use crate::account::{AccountRow, Login};
use crate::schema::ForeignModel;
use crate::store::snapshot::clock::seconds;
use crate::store::snapshot::layout::{ACCOUNTS, Range, Side, key};
use crate::store::snapshot::listed;
use crate::store::snapshot::notes::Pending;
use crate::store::snapshot::original::{CopiedRow, Original};
use crate::store::snapshot::sections::{self, Section};
use crate::store::{Changed, StoreError};
use std::collections::HashSet;
use std::collections::hash_map::RandomState;
use std::hash::BuildHasher;
use std::time::{Duration, Instant};

/// Reading everything takes at most one part in [`SHARE`] of the time.
const SHARE: u32 = 10;

/// What the thread remembers between two readings.
#[derive(Default)]
pub(super) struct ListMemory {
    hashing: RandomState,
    /// Logins that are in two rows, by their hashes.
    twice: HashSet<u64>,
    announced: bool,
}

/// The keys that the pages of a section had, by their hashes: eight bytes for each row.
struct Seen<'m> {
    hashing: &'m RandomState,
    listed: Vec<u64>,
    /// Rows that were copied because of a note.
    noted: HashSet<u64>,
}

impl Seen<'_> {
    fn hash(&self, key: &[&[u8]]) -> u64 {
        self.hashing.hash_one(key)
    }

    /// Returns the hashes that several rows have.
    fn finish(&mut self) -> HashSet<u64> {
        self.listed.sort_unstable();
        let pairs = self.listed.iter().zip(self.listed.iter().skip(1));
        pairs.filter(|(one, two)| one == two).map(|(one, _)| *one).collect()
    }

    /// Returns true if a row with this hash exists. To be called after [`Seen::finish`].
    fn has(&self, hash: u64) -> bool {
        self.listed.binary_search(&hash).is_ok() || self.noted.contains(&hash)
    }
}

impl<S: Original> Work<S> {
    /// Copies what has to be copied again and, if that is due, everything.
    pub(super) fn round_of_lists(
        &self,
        model: &ForeignModel,
        memory: &mut Memory,
        due: bool,
        is_of_this: bool,
        waker: &Waker,
    ) -> Result<Refreshed, Failure> {
        if is_of_this {
            self.copy_noted_accounts(model, waker)?;
        }
        let pending = self.copy.pending()?;
        let now = Instant::now();
        if is_of_this && !due && (pending.is_empty() || now < memory.whole_due) {
            return Ok(Refreshed::Notes);
        }
        let too_many = self.freshness.lost.lock().all;
        self.read_lists(model, &mut memory.lists, &pending, waker)?;
        self.freshness.lost.lock().all &= !too_many;
        let took = now.elapsed();
        let rest = (took * SHARE).min((self.max_age / TIMES_IN_AGE).max(took * 2));
        memory.whole_due = Instant::now() + rest;
        self.report_reading(&mut memory.lists, took, rest);
        *self.freshness.failure.lock() = None;
        Ok(Refreshed::Whole)
    }

    /// Logs how long the first complete reading took.
    fn report_reading(&self, memory: &mut ListMemory, took: Duration, rest: Duration) {
        if std::mem::replace(&mut memory.announced, true) {
            return;
        }
        let (path, accounts) =
            (self.copy.path().display(), self.copy.status().ok().flatten().map_or(0, |s| s.accounts));
        let (took, next) = (took.as_secs_f64(), rest.max(self.interval).as_secs());
        tracing::info!(
            "the snapshot {path} holds {accounts} accounts; reading them took {took:.1} s, and is repeated about every {next} s"
        );
    }

    /// Copies the accounts that single notes name, and crosses these notes off. Other notes wait for the next complete
    /// reading.
    fn copy_noted_accounts(&self, model: &ForeignModel, waker: &Waker) -> Result<Vec<Login>, Failure> {
        let mut copied = Vec::new();
        loop {
            let Pending { single, .. } = self.copy.pending()?;
            let accounts = single.into_iter().filter_map(|(note, changed)| match changed {
                Changed::Account(login) => Some((note, login)),
                _ => None,
            });
            let (notes, mut logins): (Vec<_>, Vec<_>) = accounts.unzip();
            if notes.is_empty() || waker.stopped() {
                return Ok(copied);
            }
            logins.sort();
            logins.dedup();
            for login in logins {
                self.copy_account(model, Side::Used, &login)?;
                copied.push(login);
            }
            self.copy.cross_off(&notes)?;
        }
    }

    /// Copies the row of one account, if accounts are copied.
    fn copy_account(&self, model: &ForeignModel, side: Side, login: &Login) -> Result<(), Failure> {
        if !sections::listed(model).any(|section| section == Section::Accounts) {
            return Ok(());
        }
        let row = match self.original.find_newest(login) {
            Ok(found) => found.as_ref().map(listed::account),
            Err(StoreError::Unusable(unusable)) => listed::unusable_account(&unusable),
            Err(error) => return Err(error.into()),
        };
        let rows: Vec<CopiedRow> = row.into_iter().collect();
        Ok(self.copy.replace(side, &ACCOUNTS, Range::Of(login.as_str().as_bytes()), &rows)?)
    }

    /// Reads all rows that can be listed.
    fn read_lists(
        &self,
        model: &ForeignModel,
        memory: &mut ListMemory,
        pending: &Pending,
        waker: &Waker,
    ) -> Result<(), Failure> {
        let (begin, time) = (self.clock)();
        let side = self.copy.begin()?;
        for section in sections::listed(model) {
            self.read_section(model, memory, side, section, waker)?;
        }
        let mut notes: Vec<_> = pending.all.iter().chain(&pending.additions).copied().collect();
        notes.extend(pending.single.iter().filter(|(_, of)| !matches!(of, Changed::Account(_))).map(|(note, _)| *note));
        if side == Side::Next {
            // What was noted about the rows that answered so far also applies to those that replace them.
            for (note, changed) in self.copy.pending()?.single {
                if let Changed::Account(login) = changed {
                    self.copy_account(model, side, &login)?;
                    notes.push(note);
                }
            }
        }
        let (_, end) = (self.clock)();
        self.copy.note_whole(side, seconds(time), seconds(end).max(seconds(time)), &notes)?;
        self.freshness.read_whole(begin);
        Ok(())
    }

    fn read_section(
        &self,
        model: &ForeignModel,
        memory: &mut ListMemory,
        side: Side,
        section: Section,
        waker: &Waker,
    ) -> Result<(), Failure> {
        let layout = section.layout();
        let ListMemory { hashing, twice, .. } = memory;
        let mut seen = Seen { hashing, listed: Vec::new(), noted: HashSet::new() };
        let mut after = None;
        loop {
            if waker.stopped() {
                return Err(Failure::Stopped);
            }
            if side == Side::Used && waker.take_noted() {
                for login in self.copy_noted_accounts(model, waker)? {
                    let hash = seen.hash(&[login.as_str().as_bytes()]);
                    seen.noted.insert(hash);
                }
            }
            let mut page = self.original.list(section, after.as_ref(), PAGE)?;
            for row in &mut page.rows {
                let hash = seen.hash(&key(row, layout));
                seen.listed.push(hash);
                if section == Section::Accounts && twice.contains(&hash) {
                    *row = unusable(&key(row, layout)).unwrap_or_else(|| row.clone());
                }
            }
            self.copy.put(side, layout, &page.rows)?;
            match page.next {
                None => break,
                same if same == after => return Err(Failure::Disorder),
                next => after = next,
            }
        }
        let found_twice = seen.finish();
        self.sweep(side, section, &seen, &found_twice, waker)?;
        if section == Section::Accounts {
            *twice = found_twice;
        }
        Ok(())
    }

    /// Removes the rows that no page had, and makes the accounts unusable whose logins are in two rows.
    fn sweep(
        &self,
        side: Side,
        section: Section,
        seen: &Seen<'_>,
        twice: &HashSet<u64>,
        waker: &Waker,
    ) -> Result<(), Failure> {
        let layout = section.layout();
        let spoilt = std::cell::RefCell::new(Vec::new());
        let mut after = Vec::new();
        loop {
            if waker.stopped() {
                return Err(Failure::Stopped);
            }
            let last = self.copy.sweep(side, layout, &after, PAGE, |key| {
                let hash = seen.hash(key);
                if section == Section::Accounts && twice.contains(&hash) {
                    spoilt.borrow_mut().extend(unusable(key));
                }
                seen.has(hash)
            })?;
            let rows = spoilt.take();
            if !rows.is_empty() {
                self.copy.put(side, layout, &rows)?;
            }
            match last {
                Some(last) => after = last,
                None => return Ok(()),
            }
        }
    }
}

/// Returns the row of an account that cannot be used because its login is in two rows.
fn unusable(key: &[&[u8]]) -> Option<CopiedRow> {
    let login = Login::parse(key.first()?, None).ok()?;
    let mut row = listed::account(&AccountRow::new(login));
    listed::spoil(&mut row, None);
    Some(row)
}
