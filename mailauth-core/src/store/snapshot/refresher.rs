//! The thread that keeps the file in step with the original.
//!
//! What is noted is copied first, row by row, even in the middle of everything else. Then, at each refresh, the tables
//! are read: all of them, a page at a time, and what differs is written. So rows that were deleted, or changed without
//! a new time of change, are found as well. If that takes more than a [`SHARE`]th of the time, only rows with a new
//! time are read in between.
//!
//! A row may become visible long after its time of change, which is that of its statement or of the beginning of its
//! transaction. Each reading by time begins [`OVERLAP`] before the previous one; changes of longer transactions are
//! found when everything is read.

mod listing;

use super::clock::{Clock, seconds};
use super::copy::{Copy, lock_file};
use super::file::CopyError;
use super::freshness::CopyFreshness;
use super::layout::{ACCOUNTS, ALIAS_DOMAINS, ALIASES, DOMAINS, Layout, Range, Side, key};
use super::notes::Pending;
use super::original::{CopiedRow, Original, Part, Value};
use crate::account::Login;
use crate::schema::ForeignModel;
use crate::store::sql::columns::{AliasColumn, Column};
use crate::store::{Changed, StoreError, jitter};
use crate::sync::{Condvar, Mutex};
use listing::ListMemory;
use rustix::fs::{Mode, OFlags, open};
use std::any::Any;
use std::collections::VecDeque;
use std::fs::File;
use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::thread::Builder;
use std::time::{Duration, Instant};

/// Number of rows read and written at once.
const PAGE: usize = 1000;

/// Reading everything takes at most one part in [`SHARE`] of the time.
const SHARE: u32 = 50;

/// The same limit for reading by time, if that takes long.
const SHARE_OF_CHANGES: u32 = 10;

/// Minimum number of complete readings within the time for which a copy may answer.
const TIMES_IN_AGE: u32 = 4;

/// Longest expected time between a row's time of change and the moment at which the row becomes visible.
const OVERLAP: Duration = Duration::from_secs(600);

/// Delay before the next attempt after a failure, unless a refresh is due sooner.
const RETRY: Duration = Duration::from_secs(5);

/// Interval at which a process tries to take over from another refresher of the same file.
const TURN: Duration = Duration::from_millis(200);

/// Handle that ends its thread when it is dropped, at the next page.
pub(super) struct Refresher(Arc<Waker>);

/// Channel through which the thread is told what to do.
#[derive(Default)]
pub(super) struct Waker {
    reason: Mutex<WakeReason>,
    condvar: Condvar,
}

#[derive(Default)]
struct WakeReason {
    stop: bool,
    noted: bool,
}

/// Reason why a refresh ended early.
#[derive(Debug, thiserror::Error)]
enum Failure {
    #[error("{0}")]
    Original(#[from] StoreError),
    #[error("{0}")]
    Copy(#[from] CopyError),
    #[error("the database's rows are not in the order of their bytes")]
    Disorder,
    #[error("another process refreshes it")]
    Elsewhere,
    #[error("stopped")]
    Stopped,
    #[error("internal error: {0}")]
    Panicked(String),
}

/// Extent of what a round has copied.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Refreshed {
    /// Only what was noted: no refresh was due.
    Notes,
    /// Rows with a new time of change.
    Changes,
    /// All rows of all tables.
    Whole,
}

/// What the thread works with.
pub(super) struct Work<S> {
    pub original: Arc<S>,
    /// The model of the original's tables, if they are another program's.
    pub foreign: Option<Arc<ForeignModel>>,
    pub copy: Arc<Copy>,
    pub freshness: Arc<CopyFreshness>,
    pub interval: Duration,
    pub max_age: Duration,
    pub clock: Clock,
}

/// What the thread remembers between two refreshes.
pub(super) struct Memory {
    lock: Option<File>,
    whole_due: Instant,
    /// Times of the database, and when they were read: those of the last [`OVERLAP`], and one before.
    times: VecDeque<(Instant, Vec<u8>)>,
    reported: bool,
    lists: ListMemory,
}

impl Refresher {
    /// Starts the thread.
    pub(super) fn start<S: Original + 'static>(work: Work<S>) -> io::Result<Self> {
        let waker = Arc::<Waker>::default();
        let woken = Arc::clone(&waker);
        Builder::new().name("snapshot".into()).spawn(move || work.run(&woken))?;
        Ok(Refresher(waker))
    }

    /// Tells the thread that something has to be copied again.
    pub(super) fn wake(&self) {
        self.0.wake(|reason| reason.noted = true);
    }
}

impl Drop for Refresher {
    fn drop(&mut self) {
        self.0.wake(|reason| reason.stop = true);
    }
}

impl Waker {
    fn wake(&self, say: impl FnOnce(&mut WakeReason)) {
        say(&mut self.reason.lock());
        self.condvar.notify_all();
    }

    fn stopped(&self) -> bool {
        self.reason.lock().stop
    }

    /// Returns true if the thread was woken since the last call.
    fn take_noted(&self) -> bool {
        std::mem::take(&mut self.reason.lock().noted)
    }

    /// Waits for at most `time`. Returns false if the thread has to end.
    fn wait(&self, time: Duration) -> bool {
        let reason = self.reason.lock();
        let quiet = |reason: &mut WakeReason| !reason.stop && !reason.noted;
        let mut reason = self.condvar.wait_timeout_while(reason, time, quiet);
        reason.noted = false;
        !reason.stop
    }
}

impl<S: Original> Work<S> {
    fn run(self, waker: &Waker) {
        let mut due = Instant::now();
        let mut memory = Memory::new(due);
        while !waker.stopped() {
            let begin = Instant::now();
            let pause = match self.guarded(&mut memory, begin >= due, waker) {
                Ok(refreshed) => {
                    memory.reported = false;
                    match refreshed {
                        Refreshed::Notes => {}
                        Refreshed::Changes => {
                            let rest = begin.elapsed() * SHARE_OF_CHANGES;
                            due = Instant::now() + jittered(self.interval).max(rest);
                        }
                        Refreshed::Whole => {
                            due = Instant::now() + jittered(self.interval);
                            if self.foreign.is_some() {
                                due = due.max(memory.whole_due);
                            }
                            // How often that is done with our own tables is limited elsewhere: see `whole_due`.
                        }
                    }
                    // A note may have come in the meantime.
                    let next = match self.copy.pending() {
                        Ok(pending) if !pending.is_empty() => due.min(self.next_for(&pending, &memory)),
                        _ => due,
                    };
                    next.saturating_duration_since(Instant::now())
                }
                Err(Failure::Stopped) => return,
                Err(Failure::Elsewhere) => TURN,
                Err(failure) => {
                    self.report_failure(&mut memory, &failure);
                    due = Instant::now();
                    jittered(self.interval.min(RETRY))
                }
            };
            if !waker.wait(pause) {
                return;
            }
        }
    }

    /// Returns when the notes are processed.
    fn next_for(&self, pending: &Pending, memory: &Memory) -> Instant {
        let is_single = |changed: &Changed| matches!(changed, Changed::Account(_));
        let at_once = self.foreign.is_none() || pending.single.iter().any(|(_, changed)| is_single(changed));
        if at_once { Instant::now() } else { memory.whole_due }
    }

    /// Runs a round. A panic in a driver does not end the thread. A damaged file is made from the original, once that
    /// answers.
    fn guarded(&self, memory: &mut Memory, due: bool, waker: &Waker) -> Result<Refreshed, Failure> {
        let mut round = |due| {
            catch_unwind(AssertUnwindSafe(|| self.round(memory, due, waker)))
                .unwrap_or_else(|panic| Err(Failure::Panicked(said(panic.as_ref()))))
        };
        match round(due) {
            Err(Failure::Copy(error)) if error.is_spoilt() => {
                self.original.time()?;
                let path = self.copy.path().display();
                tracing::warn!("the snapshot {path} is damaged ({error}): it is made from the database again");
                self.copy.recreate()?;
                round(true)
            }
            done => done,
        }
    }

    /// Copies what has to be copied again and, if a refresh is due, what else has changed.
    fn round(&self, memory: &mut Memory, due: bool, waker: &Waker) -> Result<Refreshed, Failure> {
        let first = memory.lock.is_none();
        if first {
            memory.lock = Some(self.take_turn()?);
        }
        if let Some(damage) = self.copy.damage() {
            return Err(CopyError::Damaged(damage).into());
        }
        self.copy.prepare()?;
        self.freshness.is_ours.store(true, Ordering::SeqCst);
        if first {
            self.copy.release_all()?;
        }
        self.note_lost()?;
        let status = self.copy.status()?;
        let is_of_this = status.is_some_and(|status| self.copy.is_of(&status));
        if let Some(model) = &self.foreign {
            return self.round_of_lists(model, memory, due, is_of_this, waker);
        }
        if is_of_this {
            self.copy_noted(waker)?;
        }
        let pending = self.copy.pending()?;
        let (now, too_many) = (Instant::now(), self.freshness.lost.lock().all);
        let refreshed = if !is_of_this || too_many || !pending.all.is_empty() || (due && now >= memory.whole_due) {
            memory.note_time(now, self.original.time()?);
            self.whole(&pending, waker)?;
            self.freshness.lost.lock().all &= !too_many;
            let often = (self.max_age / TIMES_IN_AGE).max(now.elapsed() * 2);
            memory.whole_due = now + (now.elapsed() * SHARE).min(often);
            Refreshed::Whole
        } else if due || !pending.additions.is_empty() {
            self.changes(memory, &pending, waker)?;
            Refreshed::Changes
        } else {
            return Ok(Refreshed::Notes);
        };
        *self.freshness.failure.lock() = None;
        Ok(refreshed)
    }

    /// Takes the lock that only one refresher of the file holds, until it ends.
    fn take_turn(&self) -> Result<File, Failure> {
        let path = lock_file(self.copy.path());
        let cannot = |error| CopyError::Lock { path: path.clone(), error };
        let (Some(folder), Some(name)) = (path.parent(), path.file_name()) else {
            return Err(CopyError::Io(io::ErrorKind::InvalidFilename.into()).into());
        };
        let folder = open(folder, OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC, Mode::empty());
        let folder = folder.map_err(|errno| CopyError::Io(errno.into()))?;
        crate::lock_file::take(&folder, name).map_err(cannot)?.ok_or(Failure::Elsewhere)
    }

    /// Notes in the file the changes that could not be noted there earlier.
    fn note_lost(&self) -> Result<(), Failure> {
        let lost = self.freshness.lost.lock().changes.clone();
        for changed in &lost {
            self.copy.note(changed, false)?;
        }
        // Only now: until a change is in the file, it counts here.
        self.freshness.lost.lock().changes.drain(..lost.len());
        Ok(())
    }

    /// Copies what single notes name, and crosses the notes off.
    fn copy_noted(&self, waker: &Waker) -> Result<(), Failure> {
        loop {
            let Pending { single, .. } = self.copy.pending()?;
            if single.is_empty() {
                return Ok(());
            }
            let notes: Vec<_> = single.iter().map(|(note, _)| *note).collect();
            let mut done = Vec::new();
            for (_, changed) in single {
                if !done.contains(&changed) {
                    self.copy_named(Side::Used, &changed, waker)?;
                    done.push(changed);
                }
            }
            self.copy.cross_off(&notes)?;
        }
    }

    /// Copies the rows that a change names.
    fn copy_named(&self, side: Side, changed: &Changed, waker: &Waker) -> Result<(), Failure> {
        match changed {
            Changed::Account(login) => self.account(side, login),
            Changed::Alias(address) => self.alias(side, address.as_bytes(), waker),
            Changed::Domain(name) => self.domain(side, name.as_str().as_bytes(), waker),
            Changed::Additions | Changed::Everything => Ok(()),
        }
    }

    fn account(&self, side: Side, login: &Login) -> Result<(), Failure> {
        let name = login.as_str().as_bytes();
        let rows = self.original.copy(Part::Account(login), PAGE)?;
        // The account may have been added together with its domain.
        self.domain_row(side, login.domain().as_bytes())?;
        Ok(self.copy.replace(side, &ACCOUNTS, Range::Of(name), &rows)?)
    }

    fn domain_row(&self, side: Side, name: &[u8]) -> Result<(), Failure> {
        let rows = self.original.copy(Part::Domain(name), PAGE)?;
        Ok(self.copy.replace(side, &DOMAINS, Range::Of(name), &rows)?)
    }

    fn alias(&self, side: Side, address: &[u8], waker: &Waker) -> Result<(), Failure> {
        let mut rows: Vec<CopiedRow> = Vec::new();
        loop {
            let target =
                rows.last().map_or(&b""[..], |row| row.get(AliasColumn::Target.index()).map_or(&b""[..], Value::bytes));
            let mut page = self.original.copy(Part::Aliases { after: (address, target) }, PAGE)?;
            let read = page.len();
            page.retain(|row| first(&key(row, &ALIASES)) == address);
            let whole = page.len() < read || read < PAGE;
            rows.extend(page);
            if whole || waker.stopped() {
                break;
            }
        }
        Ok(self.copy.replace(side, &ALIASES, Range::Of(address), &rows)?)
    }

    /// Copies a domain, its aliases and its accounts, or an alias domain.
    fn domain(&self, side: Side, name: &[u8], waker: &Waker) -> Result<(), Failure> {
        self.domain_row(side, name)?;
        let rows = self.original.copy(Part::AliasDomain(name), PAGE)?;
        self.copy.replace(side, &ALIAS_DOMAINS, Range::Of(name), &rows)?;
        let aliases =
            |after: &[&[u8]]| self.original.copy(Part::AliasesOfDomain { domain: name, after: both(after) }, PAGE);
        self.table(side, &ALIASES, Some(name), aliases, waker)?;
        let accounts = |after: &[&[u8]]| self.original.copy(Part::OfDomain { domain: name, after: first(after) }, PAGE);
        self.table(side, &ACCOUNTS, Some(name), accounts, waker)
    }

    /// Reads all tables.
    fn whole(&self, pending: &Pending, waker: &Waker) -> Result<(), Failure> {
        let (begin, time) = (self.clock)();
        let side = self.copy.begin()?;
        let domains = |after: &[&[u8]]| self.original.copy(Part::Domains { after: first(after) }, PAGE);
        let aliases = |after: &[&[u8]]| self.original.copy(Part::Aliases { after: both(after) }, PAGE);
        let accounts = |after: &[&[u8]]| self.original.copy(Part::Accounts { after: first(after) }, PAGE);
        let others = |after: &[&[u8]]| self.original.copy(Part::AliasDomains { after: first(after) }, PAGE);
        self.table(side, &DOMAINS, None, domains, waker)?;
        self.table(side, &ALIAS_DOMAINS, None, others, waker)?;
        self.table(side, &ALIASES, None, aliases, waker)?;
        self.table(side, &ACCOUNTS, None, accounts, waker)?;
        let mut notes: Vec<_> = pending.all.iter().chain(&pending.additions).copied().collect();
        if side == Side::Next {
            // What was noted about the rows that answered so far also applies to those that replace them.
            for (note, changed) in self.copy.pending()?.single {
                self.copy_named(side, &changed, waker)?;
                notes.push(note);
            }
        }
        self.copy.note_whole(side, seconds(time), seconds(time), &notes)?;
        self.freshness.read_whole(begin);
        Ok(())
    }

    /// Reads a table, or its rows of one domain.
    fn table(
        &self,
        side: Side,
        layout: &Layout,
        domain: Option<&[u8]>,
        read: impl Fn(&[&[u8]]) -> Result<Vec<CopiedRow>, StoreError>,
        waker: &Waker,
    ) -> Result<(), Failure> {
        let mut before: Option<CopiedRow> = None;
        loop {
            if waker.stopped() {
                return Err(Failure::Stopped);
            }
            if domain.is_none() && side == Side::Used && waker.take_noted() {
                self.copy_noted(waker)?;
            }
            let after = before.as_ref().map_or(Vec::new(), |row| key(row, layout));
            let page = read(&after)?;
            let ordered = page.is_sorted_by(|one, two| key(one, layout) < key(two, layout));
            if !ordered || page.first().is_some_and(|row| key(row, layout) <= after) {
                return Err(Failure::Disorder);
            }
            let last = page.last().filter(|_| page.len() >= PAGE).map_or(Vec::new(), |row| key(row, layout));
            let range = Range::Between { domain, after: &after, last: &last };
            self.copy.replace(side, layout, range, &page)?;
            if page.len() < PAGE {
                return Ok(());
            }
            before = page.into_iter().next_back();
        }
    }

    /// Reads what was changed since the last refresh, by the time of change.
    fn changes(&self, memory: &mut Memory, pending: &Pending, waker: &Waker) -> Result<(), Failure> {
        let (_, time) = (self.clock)();
        let now = Instant::now();
        let until = self.original.time()?;
        let Some((_, since)) = memory.times.front() else { return Ok(()) };
        // Domains come first: what an account may do depends on its domain's row.
        self.changed(&DOMAINS, since, |since, after| Part::ChangedDomains { since, after: first(after) }, waker)?;
        let others = &ALIAS_DOMAINS;
        self.changed(others, since, |since, after| Part::ChangedAliasDomains { since, after: first(after) }, waker)?;
        self.changed(&ALIASES, since, |since, after| Part::ChangedAliases { since, after: both(after) }, waker)?;
        self.changed(&ACCOUNTS, since, |since, after| Part::Changed { since, after: first(after) }, waker)?;
        self.copy.note_refreshed(seconds(time), &pending.additions)?;
        memory.note_time(now, until);
        Ok(())
    }

    fn changed(
        &self,
        layout: &Layout,
        since: &[u8],
        part: impl for<'p> Fn(&'p [u8], &[&'p [u8]]) -> Part<'p>,
        waker: &Waker,
    ) -> Result<(), Failure> {
        let mut since = since.to_vec();
        let mut before: Option<CopiedRow> = None;
        loop {
            if waker.stopped() {
                return Err(Failure::Stopped);
            }
            if waker.take_noted() {
                self.copy_noted(waker)?;
            }
            let after = before.as_ref().map_or(Vec::new(), |row| key(row, layout));
            let mut page = self.original.copy(part(&since, &after), PAGE)?;
            let times: Vec<_> = page.iter_mut().map(Vec::pop).collect();
            self.copy.put(Side::Used, layout, &page)?;
            let Some(Some(time)) = times.last().filter(|_| page.len() >= PAGE) else { return Ok(()) };
            since = time.bytes().to_vec();
            before = page.into_iter().next_back();
        }
    }

    /// Logs the reason of a failure once, until a refresh succeeds. The file tells it to other processes.
    fn report_failure(&self, memory: &mut Memory, failure: &Failure) {
        let (now, time) = (self.clock)();
        let why = failure.to_string();
        let since = self.freshness.failure.lock().as_ref().map_or(now, |(since, _)| *since);
        *self.freshness.failure.lock() = Some((since, why.clone()));
        // If the file cannot be written, its age shows the failure.
        let _ = self.copy.note_failure(seconds(time), &why);
        if std::mem::replace(&mut memory.reported, true) {
            return;
        }
        let path = self.copy.path().display();
        match failure {
            Failure::Original(error) if error.is_outage() => {
                tracing::warn!("the snapshot {path} is not refreshed: {failure}");
            }
            Failure::Copy(error) if !error.is_spoilt() => tracing::warn!(
                "no snapshot can be kept at {path}: {failure}; create its folder and give it to this program's user, or \
                 set [outage] enabled = false. Without a snapshot, logins get \"not now\" during an outage"
            ),
            failure => tracing::warn!("the snapshot {path} cannot be refreshed: {failure}"),
        }
    }
}

impl Memory {
    pub(super) fn new(now: Instant) -> Self {
        Memory { lock: None, whole_due: now, times: VecDeque::new(), reported: false, lists: ListMemory::default() }
    }

    /// Remembers a time of the database that was read now.
    fn note_time(&mut self, now: Instant, time: Vec<u8>) {
        self.times.push_back((now, time));
        while self.times.get(1).is_some_and(|(read, _)| now.duration_since(*read) >= OVERLAP) {
            self.times.pop_front();
        }
    }
}

/// Returns the first part of a key, or an empty one if the key is empty.
fn first<'a>(key: &[&'a [u8]]) -> &'a [u8] {
    key.first().copied().unwrap_or_default()
}

/// Returns both parts of a key, or empty ones if the key is empty.
fn both<'a>(key: &[&'a [u8]]) -> (&'a [u8], &'a [u8]) {
    (first(key), key.get(1).copied().unwrap_or_default())
}

/// Returns the message of a panic.
fn said(panic: &(dyn Any + Send)) -> String {
    let text = panic.downcast_ref::<&str>().map(|text| (*text).to_owned());
    text.or_else(|| panic.downcast_ref::<String>().cloned()).unwrap_or_else(|| "no message".to_owned())
}

/// Returns a slightly shorter time, so that many hosts do not ask at the same time.
fn jittered(time: Duration) -> Duration {
    time - jitter::below(time / 5)
}

#[cfg(test)]
impl<S: Original> Work<S> {
    /// Refreshes on this thread.
    pub(super) fn refresh(&self, memory: &mut Memory) -> Result<Refreshed, String> {
        self.guarded(memory, true, &Waker::default()).map_err(|failure| failure.to_string())
    }
}

#[cfg(test)]
impl Memory {
    pub(super) fn postpone_whole(&mut self) {
        self.whole_due += Duration::from_secs(3600);
    }
}
