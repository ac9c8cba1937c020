//! The thread that keeps the file like the original.
//!
//! At each refresh the whole of the tables is read, a page at a time, and what differs is written: so rows that were
//! deleted, or changed without a new time beside them, are seen as well. Where reading everything takes more than a
//! [`SHARE`]th of the time, only accounts that were changed since are read in between.

use super::copy::{ACCOUNTS, ALIASES, Copy, DOMAINS, Layout, Trouble, beside};
use super::original::{CopiedRow, Original, Part, Value};
use super::{Clock, Fresh, seconds};
use crate::account::Login;
use crate::store::{StoreError, jitter};
use rustix::fs::{FlockOperation, flock};
use std::collections::VecDeque;
use std::fs::{File, OpenOptions};
use std::io;
use std::os::unix::fs::OpenOptionsExt;
use std::sync::atomic::Ordering;
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::thread::Builder;
use std::time::{Duration, Instant};

/// Rows that are read and written at once.
const PAGE: usize = 1000;

/// Reading everything takes a part of the time of at most one in so many.
const SHARE: u32 = 50;

/// A row may become visible so long after the time that stands beside it.
const OVERLAP: Duration = Duration::from_secs(10);

/// After a failure it is tried again so soon, or at the next refresh if that is sooner.
const RETRY: Duration = Duration::from_secs(5);

/// How soon it is tried to follow another refresher of the same file.
const TURN: Duration = Duration::from_millis(200);

/// Ends its thread when it is dropped, at the next page.
pub(super) struct Refresher(Arc<Bell>);

/// How the thread is told.
#[derive(Default)]
pub(super) struct Bell {
    wish: Mutex<Wish>,
    rung: Condvar,
}

#[derive(Default)]
struct Wish {
    stop: bool,
    wake: bool,
}

/// Why a refresh ended early.
#[derive(Debug, thiserror::Error)]
enum Failure {
    #[error("{0}")]
    Original(#[from] StoreError),
    #[error("{0}")]
    Copy(#[from] Trouble),
    #[error("the database's rows are not in the order of their bytes")]
    Disorder,
    #[error("another process keeps it")]
    Elsewhere,
    #[error("stopped")]
    Stopped,
}

/// What the thread works with.
pub(super) struct Work<S> {
    pub original: Arc<S>,
    pub copy: Arc<Copy>,
    pub fresh: Arc<Fresh>,
    pub interval: Duration,
    pub clock: Clock,
}

/// What the thread remembers between two refreshes.
pub(super) struct Memory {
    lock: Option<File>,
    whole_due: Instant,
    /// Times of the database, and when they were read, up to [`OVERLAP`] ago and one before.
    times: VecDeque<(Instant, Vec<u8>)>,
    complained: bool,
}

impl Refresher {
    /// Starts the thread.
    pub(super) fn start<S: Original + 'static>(work: Work<S>) -> io::Result<Self> {
        let bell = Arc::<Bell>::default();
        let heard = Arc::clone(&bell);
        Builder::new().name("snapshot".into()).spawn(move || work.run(&heard))?;
        Ok(Refresher(bell))
    }

    /// Something has to be copied again.
    pub(super) fn ring(&self) {
        self.0.ring(|wish| wish.wake = true);
    }
}

impl Drop for Refresher {
    fn drop(&mut self) {
        self.0.ring(|wish| wish.stop = true);
    }
}

impl Bell {
    fn ring(&self, say: impl FnOnce(&mut Wish)) {
        say(&mut self.wish.lock().unwrap_or_else(PoisonError::into_inner));
        self.rung.notify_all();
    }

    fn stopped(&self) -> bool {
        self.wish.lock().unwrap_or_else(PoisonError::into_inner).stop
    }

    /// Waits, at most so long; false to stop.
    fn wait(&self, time: Duration) -> bool {
        let wish = self.wish.lock().unwrap_or_else(PoisonError::into_inner);
        let quiet = |wish: &mut Wish| !wish.stop && !wish.wake;
        let (mut wish, _) = self.rung.wait_timeout_while(wish, time, quiet).unwrap_or_else(PoisonError::into_inner);
        wish.wake = false;
        !wish.stop
    }
}

impl<S: Original> Work<S> {
    fn run(self, bell: &Bell) {
        let mut due = Instant::now();
        let mut memory = Memory::new(due);
        while !bell.stopped() {
            let pause = match self.round(&mut memory, Instant::now() >= due, bell) {
                Ok(refreshed) => {
                    memory.complained = false;
                    if refreshed {
                        due = Instant::now() + jittered(self.interval);
                    }
                    due.saturating_duration_since(Instant::now())
                }
                Err(Failure::Stopped) => return,
                Err(Failure::Elsewhere) => TURN,
                Err(failure) => {
                    memory.complain(&failure, &self.copy);
                    due = Instant::now();
                    jittered(self.interval.min(RETRY))
                }
            };
            if !bell.wait(pause) {
                return;
            }
        }
    }

    /// Copies what has to be copied again and, if that is due, what else has changed; then it returns true.
    fn round(&self, memory: &mut Memory, due: bool, bell: &Bell) -> Result<bool, Failure> {
        let first = memory.lock.is_none();
        if first {
            memory.lock = Some(self.take_turn()?);
        }
        self.copy.prepare()?;
        if first {
            self.copy.let_go()?;
        }
        let now = Instant::now();
        let pending = self.copy.pending()?;
        let nothing = self.copy.standing(None)?.is_none();
        if pending.all || nothing || self.fresh.is_doubted() || (due && now >= memory.whole_due) {
            memory.note_time(now, self.original.time()?);
            self.whole(&pending.notes, bell)?;
            memory.whole_due = now + now.elapsed() * SHARE;
            return Ok(true);
        }
        self.rows(&pending.logins)?;
        self.copy.cross_off(&pending.notes)?;
        if !due {
            return Ok(false);
        }
        self.changes(memory, bell)?;
        Ok(true)
    }

    /// The lock that only one refresher of the file holds, until it ends.
    fn take_turn(&self) -> Result<File, Failure> {
        let path = beside(self.copy.path(), ".lock");
        let file = OpenOptions::new().write(true).create(true).truncate(false).mode(0o600).open(path);
        let file = file.map_err(Trouble::Io)?;
        match flock(&file, FlockOperation::NonBlockingLockExclusive) {
            Ok(()) => Ok(file),
            Err(rustix::io::Errno::WOULDBLOCK) => Err(Failure::Elsewhere),
            Err(error) => Err(Trouble::Io(error.into()).into()),
        }
    }

    fn whole(&self, notes: &[i64], bell: &Bell) -> Result<(), Failure> {
        let (begin, time) = (self.clock)();
        let lost = self.fresh.lost.load(Ordering::SeqCst);
        let accounts = |after: &[&[u8]]| self.original.copy(Part::Accounts { after: first(after) }, PAGE);
        let aliases = |after: &[&[u8]]| {
            let after = (first(after), after.get(1).copied().unwrap_or_default());
            self.original.copy(Part::Aliases { after }, PAGE)
        };
        self.domains(bell)?;
        self.table(&ALIASES, aliases, bell)?;
        self.table(&ACCOUNTS, accounts, bell)?;
        self.copy.is_whole(seconds(time), notes)?;
        self.fresh.refreshed(begin);
        self.fresh.made_good.store(lost, Ordering::SeqCst);
        Ok(())
    }

    fn domains(&self, bell: &Bell) -> Result<(), Failure> {
        self.table(&DOMAINS, |after| self.original.copy(Part::Domains { after: first(after) }, PAGE), bell)
    }

    fn table(
        &self,
        layout: &Layout,
        read: impl Fn(&[&[u8]]) -> Result<Vec<CopiedRow>, StoreError>,
        bell: &Bell,
    ) -> Result<(), Failure> {
        let key = layout.key;
        let mut before: Option<CopiedRow> = None;
        loop {
            if bell.stopped() {
                return Err(Failure::Stopped);
            }
            let after = before.as_ref().map_or(Vec::new(), |row| key_of(row, key));
            let page = read(&after)?;
            let ordered = page.is_sorted_by(|one, two| key_of(one, key) < key_of(two, key));
            if !ordered || page.first().is_some_and(|row| key_of(row, key) <= after) {
                return Err(Failure::Disorder);
            }
            let last = page.last().filter(|_| page.len() >= PAGE).map_or(Vec::new(), |row| key_of(row, key));
            self.copy.replace(layout, &after, &last, &page)?;
            if page.len() < PAGE {
                return Ok(());
            }
            before = page.into_iter().next_back();
        }
    }

    /// The rows of these logins.
    fn rows(&self, logins: &[Login]) -> Result<(), Failure> {
        for login in logins {
            let rows = self.original.copy(Part::Account(login), PAGE)?;
            self.copy.replace_accounts([login.as_str().as_bytes()].into_iter(), &rows)?;
        }
        Ok(())
    }

    /// Gives each page of what was changed since then to `each`.
    fn changed(
        &self,
        since: &[u8],
        bell: &Bell,
        part: impl for<'p> Fn(&'p [u8], &'p [u8]) -> Part<'p>,
        mut each: impl FnMut(&[CopiedRow]) -> Result<(), Failure>,
    ) -> Result<(), Failure> {
        let (mut since, mut after) = (since.to_vec(), Vec::new());
        loop {
            if bell.stopped() {
                return Err(Failure::Stopped);
            }
            let mut page = self.original.copy(part(&since, &after), PAGE)?;
            let times: Vec<_> = page.iter_mut().map(Vec::pop).collect();
            each(&page)?;
            match (page.last(), times.last()) {
                (Some(last), Some(Some(time))) if page.len() >= PAGE => {
                    (since, after) = (time.bytes().to_vec(), first(&key_of(last, 1)).to_vec());
                }
                _ => return Ok(()),
            }
        }
    }

    /// The accounts of a domain.
    fn of_domain(&self, domain: &[u8], bell: &Bell) -> Result<(), Failure> {
        let mut after = Vec::new();
        loop {
            if bell.stopped() {
                return Err(Failure::Stopped);
            }
            let page = self.original.copy(Part::OfDomain { domain, after: &after }, PAGE)?;
            self.put(&page)?;
            match page.last() {
                Some(last) if page.len() >= PAGE => after = first(&key_of(last, 1)).to_vec(),
                _ => return Ok(()),
            }
        }
    }

    fn put(&self, page: &[CopiedRow]) -> Result<(), Failure> {
        Ok(self.copy.replace_accounts(page.iter().map(|row| first(&key_of(row, 1))), page)?)
    }

    /// Accounts that were changed since the last refresh, or their domains were, and all domains.
    fn changes(&self, memory: &mut Memory, bell: &Bell) -> Result<(), Failure> {
        let (begin, time) = (self.clock)();
        let now = Instant::now();
        let until = self.original.time()?;
        let Some((_, since)) = memory.times.front() else { return Ok(()) };
        self.domains(bell)?;
        let mut changed = Vec::new();
        self.changed(
            since,
            bell,
            |since, after| Part::ChangedDomains { since, after },
            |page| {
                changed.extend(page.iter().map(|row| first(&key_of(row, 1)).to_vec()));
                Ok(())
            },
        )?;
        for domain in changed {
            self.of_domain(&domain, bell)?;
        }
        self.changed(since, bell, |since, after| Part::Changed { since, after }, |page| self.put(page))?;
        self.copy.is_whole(seconds(time), &[])?;
        self.fresh.refreshed(begin);
        memory.note_time(now, until);
        Ok(())
    }
}

impl Memory {
    pub(super) fn new(now: Instant) -> Self {
        Memory { lock: None, whole_due: now, times: VecDeque::new(), complained: false }
    }

    /// Takes note of a time of the database that was read now.
    fn note_time(&mut self, now: Instant, time: Vec<u8>) {
        self.times.push_back((now, time));
        while self.times.get(1).is_some_and(|(read, _)| now.duration_since(*read) >= OVERLAP) {
            self.times.pop_front();
        }
    }

    /// Once, until it succeeds.
    fn complain(&mut self, failure: &Failure, copy: &Copy) {
        if std::mem::replace(&mut self.complained, true) {
            return;
        }
        let path = copy.path().display();
        match failure {
            Failure::Original(error) if error.is_outage() => {
                tracing::warn!("the snapshot {path} is not refreshed: {failure}");
            }
            Failure::Copy(_) => tracing::warn!(
                "no snapshot can be kept at {path}: {failure}; make its folder and give it to this program's user, or \
                 set [outage] enabled = false. Without one, logins wait while the database is away"
            ),
            failure => tracing::warn!("the snapshot {path} cannot be refreshed: {failure}"),
        }
    }
}

/// The first bytes of a key; none of an empty one.
fn first<'a>(key: &[&'a [u8]]) -> &'a [u8] {
    key.first().copied().unwrap_or_default()
}

fn key_of(row: &[Value], key: usize) -> Vec<&[u8]> {
    row.iter().take(key).map(Value::bytes).collect()
}

/// A little less, so that many hosts do not ask at the same time.
fn jittered(time: Duration) -> Duration {
    time - jitter::below(time / 5)
}

#[cfg(test)]
impl<S: Original> Work<S> {
    /// A refresh on this thread.
    pub(super) fn refresh(&self, memory: &mut Memory) -> Result<bool, String> {
        self.round(memory, true, &Bell::default()).map_err(|failure| failure.to_string())
    }
}

#[cfg(test)]
impl Memory {
    pub(super) fn postpone_whole(&mut self) {
        self.whole_due += Duration::from_secs(3600);
    }
}
