//! A mailbox under a quota: what it holds, and whether a message fits.

use super::count::CountRules;
use super::folder::PARTS;
use super::lock::{self, Lock, Taken};
use super::maildirsize::{self, For, Found, YOUNG};
use super::maildirsums as sums;
use super::replace::{Ownership, replace};
use super::tally::{Remembered, Tally};
use super::{Doubt, IfLocked, Patience, QuotaError};
use crate::model::limits::Limits;
use crate::model::usage::{Over, Usage};
use crate::quota::Denied;
use crate::trusted_path::{self, Astray};
use rustix::fd::{AsFd, BorrowedFd, OwnedFd};
use rustix::fs::{AtFlags, StatxFlags, statx, unlinkat};
use rustix::io::Errno;
use std::ffi::CStr;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Instant, SystemTime};

/// Maximum number of times that a recount is written again because the mailbox has changed in the meantime.
const REWRITES: usize = 5;

/// An open Maildir under a quota.
///
/// All files are opened relative to its descriptor, and links are followed only to directories of its owner. So root can
/// safely count a mailbox while its owner changes it.
#[derive(Debug)]
pub struct MaildirQuota {
    root: OwnedFd,
    path: PathBuf,
    limits: Limits,
    rules: CountRules,
    ownership: Ownership,
    /// Time limits of all work together; `None` for the default limits of each piece of work.
    patience: Option<Patience>,
    /// True if the lock was waited for in vain. It is not waited for again.
    is_locked: AtomicBool,
}

/// The part of a mailbox that is counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Effort {
    /// The folders that have changed since they were last counted.
    Changed,
    /// Every folder.
    Full,
}

/// Result of a recount.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Recount {
    /// What the mailbox holds.
    pub usage: Usage,
    /// Number of its folders, including the mailbox itself.
    pub folders: usize,
    /// Number of folders that were read, in whole or in part. The others had not changed.
    pub folders_read: usize,
    /// True if the lock was held. Otherwise another program of ours may have stored a message in the meantime that is not
    /// in the figures.
    pub locked: bool,
}

/// What happened to the figures of a count.
pub(super) enum Kept {
    /// They were written to maildirsize.
    Yes,
    /// They were not written on purpose, because the lock is not held.
    NotOurs,
    /// Writing them failed.
    No(QuotaError),
}

/// What maildirsize says.
#[derive(Clone, Debug)]
pub struct Stored {
    /// The limits in its first line.
    pub limits: Option<Limits>,
    /// The sum of its lines.
    pub usage: Option<Usage>,
    /// Reason why it is not trusted; `None` if it is trusted.
    pub doubt: Option<Doubt>,
    /// Time at which a line was last added.
    pub written: Option<SystemTime>,
    /// Time of the count that it begins with; `None` if the file system does not store it.
    pub counted: Option<SystemTime>,
    /// Number of lines that were added up.
    pub lines: usize,
}

/// What maildirsize says, and the result of a count.
#[derive(Clone, Debug)]
pub struct Check {
    /// What maildirsize says.
    pub stored: Stored,
    /// Result of a full count.
    pub counted: Usage,
}

/// Whether a message fits by the figures in maildirsize.
pub(super) enum ByFigures {
    /// It fits into the mailbox, which holds this.
    Fits(Usage),
    /// It does not fit, and the mailbox has not changed since it was counted.
    Over(Over),
    /// The mailbox has to be counted: the figures are in doubt, or would refuse the message although the mailbox has
    /// changed.
    Unknown,
}

impl MaildirQuota {
    /// Opens the mailbox at `path`. As root, a link in the path is followed only if no other user could have created it
    /// ([`trusted_path`]). The contents of the mailbox are not trusted.
    ///
    /// # Errors
    /// Fails if there is no Maildir, or only a folder of one.
    pub fn open(path: &Path, limits: Limits, rules: CountRules) -> Result<Self, QuotaError> {
        let failed = |errno| QuotaError::io("open", path, b"", errno);
        let root = match trusted_path::open(path) {
            Err(Astray::System { errno: Errno::NOTDIR, .. }) => return Err(QuotaError::NotAMaildir(path.to_owned())),
            Err(Astray::System { errno, .. }) => return Err(failed(errno)),
            other => other?,
        };
        let found = statx(&root, c"", AtFlags::EMPTY_PATH, StatxFlags::BASIC_STATS).map_err(failed)?;
        let exists = |name| match statx(&root, name, AtFlags::SYMLINK_NOFOLLOW, StatxFlags::TYPE) {
            Ok(_) => Ok(true),
            Err(Errno::NOENT) => Ok(false),
            Err(errno) => Err(failed(errno)),
        };
        if !exists(PARTS[0])? && !exists(PARTS[1])? {
            return Err(QuotaError::NotAMaildir(path.to_owned()));
        }
        if exists(c"maildirfolder")? {
            return Err(QuotaError::Folder(path.to_owned()));
        }
        // A user with the right to read the mailbox may read the figures.
        let mode = u32::from(found.stx_mode) & 0o666;
        let ownership = Ownership { uid: found.stx_uid, gid: found.stx_gid, mode };
        let (path, patience) = (path.to_owned(), None);
        Ok(MaildirQuota { root, path, limits, rules, ownership, patience, is_locked: AtomicBool::new(false) })
    }

    /// Checks that the mailbox belongs to the user `uid`: the owner of a home could put a link in its place.
    ///
    /// # Errors
    /// Fails if it belongs to another user.
    pub fn owned_by(self, uid: u32) -> Result<Self, QuotaError> {
        match self.ownership.uid {
            owner if owner == uid => Ok(self),
            owner => Err(QuotaError::WrongOwner { path: self.path, owner, expected: uid }),
        }
    }

    /// Sets the time limits.
    #[must_use]
    pub fn within(self, patience: Patience) -> Self {
        MaildirQuota { patience: Some(patience), ..self }
    }

    pub(super) fn patience(&self) -> Patience {
        self.patience.unwrap_or_default()
    }

    /// Returns its path.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Returns the limits of the mailbox.
    pub fn limits(&self) -> Limits {
        self.limits
    }

    /// Returns the rules of counting.
    pub fn rules(&self) -> CountRules {
        self.rules
    }

    /// Returns the mailbox's directory.
    pub fn root(&self) -> BorrowedFd<'_> {
        self.root.as_fd()
    }

    /// Returns the user and group id of the mailbox's directory, which root gives to new files.
    pub fn owner(&self) -> (u32, u32) {
        (self.ownership.uid, self.ownership.gid)
    }

    /// Returns the owner and the mode of new files.
    pub(crate) fn ownership(&self) -> Ownership {
        self.ownership
    }

    /// Counts everything and writes nothing. The tests compare the results of all faster ways with this one.
    ///
    /// # Errors
    /// Fails if any part of the mailbox cannot be read, or the mailbox keeps changing.
    pub fn count(&self) -> Result<Usage, QuotaError> {
        let mut tally = self.tally(Effort::Full)?;
        tally.settle()?;
        tally.usage()
    }

    /// Returns what maildirsize says. Writes nothing.
    ///
    /// # Errors
    /// Fails if the file system fails. If the file is missing or damaged, the result has a doubt.
    pub fn stored(&self) -> Result<Stored, QuotaError> {
        let nothing = |doubt| Stored { limits: None, usage: None, doubt, written: None, counted: None, lines: 0 };
        let found = match self.open_file(For::Reading)? {
            Ok(found) => found,
            Err(doubt) => return Ok(nothing(Some(doubt))),
        };
        let times = Stored { written: Some(found.modified), counted: found.born, ..nothing(None) };
        Ok(match found.contents {
            Err(doubt) => Stored { doubt: Some(doubt), ..times },
            Ok(contents) => {
                let doubt = (contents.limits != self.limits).then_some(Doubt::OtherLimits(contents.limits));
                let (limits, usage) = (Some(contents.limits), Some(contents.usage));
                Stored { limits, usage, doubt, lines: contents.lines, ..times }
            }
        })
    }

    /// Returns what maildirsize says, and the result of a full count under the lock. Writes nothing.
    ///
    /// # Errors
    /// Fails as [`MaildirQuota::count`] does.
    pub fn check(&self) -> Result<Check, QuotaError> {
        let _lock = self.lock()?;
        Ok(Check { stored: self.stored()?, counted: self.count()? })
    }

    /// Returns true if maildirsize is right. Reads the folders that have changed since they were last counted, and writes
    /// nothing. A message that is added or removed at the same time may lead to a wrong result.
    ///
    /// # Errors
    /// Fails as [`MaildirQuota::count`] does.
    pub fn is_maildirsize_right(&self) -> Result<bool, QuotaError> {
        match self.stored()? {
            Stored { usage: Some(usage), doubt: None, .. } => Ok(self.tally(Effort::Changed)?.usage()? == usage),
            _ => Ok(false),
        }
    }

    /// Returns the usage of the mailbox: the stored figures if they can be trusted, else those of a recount.
    ///
    /// # Errors
    /// Fails as [`MaildirQuota::recount`] does.
    pub fn usage(&self) -> Result<Usage, QuotaError> {
        match self.stored()? {
            Stored { usage: Some(usage), doubt: None, .. } => Ok(usage),
            _ => Ok(self.recount(Effort::Changed)?.usage),
        }
    }

    /// Counts the mailbox, and writes a new maildirsize and the sums. Without a limit, maildirsize is removed instead.
    ///
    /// If another process keeps the mailbox's lock, [`Patience::if_locked`] says what is done, and [`Recount::locked`] is
    /// false.
    ///
    /// # Errors
    /// Fails if the mailbox cannot be counted, or the result cannot be written. The figures of an incomplete count are not
    /// written.
    pub fn recount(&self, effort: Effort) -> Result<Recount, QuotaError> {
        self.recount_and(effort, |_| ()).map(|(recount, ())| recount)
    }

    /// Does the same, and calls `tell` with the result under the lock, so that no other program of ours can change the
    /// mailbox before. Of two calls, the later one has the newer figures.
    ///
    /// # Errors
    /// Fails as [`MaildirQuota::recount`] does. Then `tell` is not called.
    pub fn recount_and<T>(&self, effort: Effort, tell: impl FnOnce(Usage) -> T) -> Result<(Recount, T), QuotaError> {
        let lock = self.lock()?;
        let insists = self.patience().if_locked == IfLocked::Insist;
        let (recount, kept) = self.count_and_keep(lock.as_ref(), effort, insists)?;
        match kept {
            Kept::No(error) => Err(error),
            Kept::Yes | Kept::NotOurs => Ok((recount, tell(recount.usage))),
        }
    }

    /// Checks that a message of `size` bytes fits, without reserving room for it: see
    /// [`quota`](crate::quota#why-a-message-is-checked-twice). Counts the mailbox if the stored figures are in doubt, or
    /// would refuse the message although a folder has changed since they were counted; the lock is held for the count
    /// only.
    ///
    /// # Errors
    /// Returns [`Denied::Mailbox`] if it does not fit, and [`Denied::Unknown`] if that is not known.
    pub fn precheck(&self, size: u64) -> Result<(), Denied> {
        self.broken_limit(size)?.map_or(Ok(()), |over| Err(Denied::Mailbox(over)))
    }

    /// Does the same as [`MaildirQuota::precheck`], and returns the limit that the message would exceed.
    pub(crate) fn broken_limit(&self, size: u64) -> Result<Option<Over>, QuotaError> {
        if self.limits == Limits::NONE {
            return Ok(None);
        }
        match self.check_figures(&self.open_file(For::Reading)?, size) {
            ByFigures::Fits(_) => Ok(None),
            ByFigures::Over(over) => Ok(Some(over)),
            ByFigures::Unknown => {
                let lock = self.lock()?;
                let (recount, kept) = self.count_and_keep(lock.as_ref(), Effort::Changed, false)?;
                // The result of the count is valid, even if it cannot be stored.
                if let Kept::No(error) = kept {
                    tracing::warn!("{error}; the mailbox will be counted again");
                }
                Ok(self.limits.broken_by(recount.usage, size))
            }
        }
    }

    /// Counts the mailbox if Exim and Courier would refuse mail because of an outdated count: if maildirsize has one line,
    /// which they trust for [`YOUNG`], and a folder has changed since. If it has several lines, they count the mailbox
    /// themselves before they refuse. Returns true if the mailbox was counted.
    ///
    /// # Errors
    /// Fails as [`MaildirQuota::recount`] does.
    pub fn renew(&self) -> Result<bool, QuotaError> {
        let is_old = |found: &Found| found.modified.elapsed().is_ok_and(|age| age > YOUNG);
        match &self.open_file(For::Reading)? {
            Ok(found @ Found { contents: Ok(contents), .. })
                if contents.limits == self.limits
                    && contents.lines == 1
                    && !is_old(found)
                    && !self.is_as_counted(found, contents.usage) =>
            {
                self.recount(Effort::Changed).map(|_| true)
            }
            _ => Ok(false),
        }
    }

    /// Adds a line to maildirsize for messages that were added or removed by other means than a
    /// [`Reservation`](super::Reservation). The change in the mailbox must have been made already.
    ///
    /// # Errors
    /// Fails if the line cannot be written. Then the file is wrong by this change.
    pub fn adjust(&self, bytes: i64, messages: i64) -> Result<(), QuotaError> {
        let lock = self.lock()?;
        match self.open_file(For::Appending)? {
            Ok(Found { contents: Ok(contents), file, .. }) if contents.limits == self.limits => {
                self.add_line(file, bytes, messages)
            }
            Ok(Found { contents: Ok(_), file, .. }) if self.limits == Limits::NONE => {
                self.add_line(file, bytes, messages)
            }
            Err(Doubt::Missing) if self.limits == Limits::NONE => Ok(()),
            _ => match self.count_and_keep(lock.as_ref(), Effort::Changed, false)? {
                (_, Kept::No(error)) => Err(error),
                (_, Kept::Yes | Kept::NotOurs) => Ok(()),
            },
        }
    }

    /// Removes maildirsize and the sums, because the mailbox no longer has a quota.
    ///
    /// # Errors
    /// Fails if they cannot be removed. A missing file is not an error.
    pub fn forget(&self) -> Result<(), QuotaError> {
        let _lock = self.lock()?;
        for file in [maildirsize::FILE, sums::FILE] {
            self.remove(file)?;
        }
        Ok(())
    }

    fn remove(&self, file: &CStr) -> Result<(), QuotaError> {
        match unlinkat(&self.root, file, AtFlags::empty()) {
            Ok(()) | Err(Errno::NOENT) => Ok(()),
            Err(errno) => Err(self.failed("remove", file, errno)),
        }
    }

    /// Returns whether a message of `size` bytes fits by the stored figures.
    pub(super) fn check_figures(&self, found: &Result<Found, Doubt>, size: u64) -> ByFigures {
        let Ok(found @ Found { contents: Ok(contents), .. }) = found else { return ByFigures::Unknown };
        if contents.limits != self.limits {
            return ByFigures::Unknown;
        }
        match self.limits.broken_by(contents.usage, size) {
            None => ByFigures::Fits(contents.usage),
            // Not every program that deletes messages tells the file.
            Some(over) if contents.lines == 1 && self.is_as_counted(found, contents.usage) => ByFigures::Over(over),
            Some(_) => ByFigures::Unknown,
        }
    }

    /// Returns true if the mailbox is as it was when it was counted for this maildirsize. Looks at each folder but reads
    /// none, so that a full mailbox is not counted again for each message.
    fn is_as_counted(&self, file: &Found, counted: Usage) -> bool {
        match Tally::unchanged(self, SystemTime::now()) {
            // Another program has counted. A time in the future means that the clock was set.
            Ok(Remembered::Nothing) => {
                let is_young = file.modified.elapsed().is_ok_and(|age| age < YOUNG);
                is_young && Tally::is_older(self, file.times).unwrap_or(false)
            }
            remembered => remembered.is_ok_and(|remembered| remembered == Remembered::Same(counted)),
        }
    }

    /// Returns true if the mailbox held `usage` at its last count and looks as it did then. Reads no folders.
    pub(crate) fn still_holds(&self, usage: Usage) -> bool {
        Tally::unchanged(self, SystemTime::now()).is_ok_and(|remembered| remembered == Remembered::Same(usage))
    }

    /// Takes the mailbox's lock; `None` if it cannot be taken and the work is done without it.
    ///
    /// # Errors
    /// Fails if another process holds it and the caller wants to try again later ([`IfLocked::AskAgain`]).
    pub(crate) fn lock(&self) -> Result<Option<Lock>, QuotaError> {
        let patience = self.patience();
        let until = if self.is_locked.load(Ordering::Relaxed) { Instant::now() } else { patience.lock };
        match lock::take(self.root.as_fd(), self.ownership, until) {
            Taken::Ours(lock) => Ok(Some(lock)),
            Taken::Busy if patience.if_locked == IfLocked::AskAgain => Err(QuotaError::Locked(self.path.clone())),
            Taken::Busy => {
                self.is_locked.store(true, Ordering::Relaxed);
                tracing::debug!("{} is locked by another process; it is not waited for", self.path.display());
                Ok(None)
            }
            Taken::Never(errno) => {
                tracing::debug!("{}; the work is done without", self.failed("lock", lock::FILE, errno));
                Ok(None)
            }
        }
    }

    /// Opens maildirsize. The outer error is that of the file system.
    pub(super) fn open_file(&self, purpose: For) -> Result<Result<Found, Doubt>, QuotaError> {
        maildirsize::open(self.root.as_fd(), purpose, self.ownership.uid)
            .map_err(|errno| self.failed("read", maildirsize::FILE, errno))
    }

    /// Adds a line to the open file, and again to the new file if another program has just replaced it. This may count a
    /// message twice, which the next count corrects; otherwise the message might not be counted at all.
    pub(super) fn add_line(&self, file: OwnedFd, bytes: i64, messages: i64) -> Result<(), QuotaError> {
        let mut file = file;
        for _ in 0..REWRITES {
            let append = maildirsize::append(&file, bytes, messages);
            if append.map_err(|errno| self.failed("write", maildirsize::FILE, errno))? {
                return Ok(());
            }
            match self.open_file(For::Appending)? {
                Ok(found) => file = found.file,
                Err(_) => return Ok(()), // without a file, the mailbox will be counted
            }
        }
        Ok(())
    }

    /// Counts the mailbox, and writes the figures to maildirsize. Without the mailbox's lock they are written only if the
    /// caller `insists`: a line that another program of ours is adding to the old file would be missing in the new one.
    pub(super) fn count_and_keep(
        &self,
        lock: Option<&Lock>,
        effort: Effort,
        insists: bool,
    ) -> Result<(Recount, Kept), QuotaError> {
        let mut tally = self.tally(effort)?;
        let mut usage = tally.usage()?;
        let kept = match lock.is_some() || insists {
            true => self.store(&mut tally, &mut usage).map_or_else(Kept::No, |()| Kept::Yes),
            false => Kept::NotOurs,
        };
        // Each line of the sums is right by itself, so that they need no lock.
        if tally.news {
            let text = sums::compose(&tally.folders, self.rules, tally.now);
            if let Err(errno) = replace(self.root.as_fd(), sums::FILE, text.as_bytes(), self.ownership) {
                tracing::debug!("{}", self.failed("write", sums::FILE, errno)); // the next count takes longer
            }
        }
        let folders = tally.folders.len();
        let (folders_read, locked) = (tally.read.min(folders), lock.is_some());
        Ok((Recount { usage, folders, folders_read, locked }, kept))
    }

    /// Writes a new maildirsize, and again as long as messages were added or removed while it was put in place: the program
    /// that did it may have added its line to the old file.
    fn store(&self, tally: &mut Tally<'_>, usage: &mut Usage) -> Result<(), QuotaError> {
        if self.limits == Limits::NONE {
            tally.settle()?;
            *usage = tally.usage()?;
            return self.remove(maildirsize::FILE); // Courier would continue to use the limit in it
        }
        for _ in 0..REWRITES {
            let text = maildirsize::compose(self.limits, *usage);
            replace(self.root.as_fd(), maildirsize::FILE, text.as_bytes(), self.ownership)
                .map_err(|errno| self.failed("write", maildirsize::FILE, errno))?;
            if !tally.settle()? {
                return Ok(());
            }
            *usage = tally.usage()?;
        }
        let _ = unlinkat(&self.root, maildirsize::FILE, AtFlags::empty());
        Err(QuotaError::Unsettled(self.path.clone()))
    }

    fn tally(&self, effort: Effort) -> Result<Tally<'_>, QuotaError> {
        Tally::take(self, effort, SystemTime::now())
    }

    fn failed(&self, doing: &'static str, file: &CStr, errno: Errno) -> QuotaError {
        QuotaError::io(doing, &self.path, file.to_bytes(), errno)
    }
}
