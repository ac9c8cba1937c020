//! A mailbox under a quota: the one face of the calculator.

use super::directory;
use super::lock::{self, Lock, PATIENCE};
use super::maildirsize::{self, For, Found, YOUNG};
use super::replace::{Ownership, replace};
use super::sums::{self, Sums};
use super::tally::{PARTS, Tally};
use super::{Decision, Doubt, Limits, Over, QuotaError, Rules, Usage};
use rustix::fd::{AsFd, BorrowedFd, OwnedFd};
use rustix::fs::{AtFlags, CWD, Mode, OFlags, StatxFlags, openat, statx, unlinkat};
use rustix::io::{Errno, read};
use std::ffi::CStr;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant, SystemTime};

/// How often a recount is written again because the mailbox changed in the meantime.
const REWRITES: usize = 5;

/// An open Maildir under a quota.
///
/// It is held by its descriptor, and nothing is reached through a link but directories of its owner, so that root may count
/// the mailbox of an owner who changes it meanwhile.
#[derive(Debug)]
pub struct MaildirQuota {
    root: OwnedFd,
    path: PathBuf,
    limits: Limits,
    rules: Rules,
    ownership: Ownership,
    /// Until when the lock is waited for, if that is earlier than [`PATIENCE`] allows.
    until: Option<Instant>,
}

/// How much of a mailbox is counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Effort {
    /// The folders that have changed since they were last counted.
    Changed,
    /// Everything.
    Full,
}

/// What a recount found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Recount {
    /// What the mailbox holds.
    pub usage: Usage,
    /// Its folders, itself among them.
    pub folders: usize,
    /// How many of them were read, in whole or in part; the others had not changed.
    pub folders_read: usize,
}

/// What maildirsize says.
#[derive(Clone, Debug)]
pub struct Stored {
    /// The limits in its first line.
    pub limits: Option<Limits>,
    /// The sum of its lines.
    pub usage: Option<Usage>,
    /// Why it would not be believed; `None` when it is good.
    pub doubt: Option<Doubt>,
    /// When a line was last added.
    pub written: Option<SystemTime>,
    /// When the mailbox was counted for it, where the file system keeps that.
    pub counted: Option<SystemTime>,
    /// How many lines it adds up.
    pub lines: usize,
}

/// What maildirsize says, and what there is.
#[derive(Clone, Debug)]
pub struct Check {
    /// What maildirsize says.
    pub stored: Stored,
    /// What a full count found.
    pub counted: Usage,
}

/// What the stored figures say of a message.
pub(super) enum Verdict {
    Fits(Usage),
    /// The mailbox is as it was when it was counted, and had no room then.
    Over(Over),
    /// They are in doubt, or would refuse the message although the mailbox has changed.
    Count,
}

impl MaildirQuota {
    /// Opens the mailbox at `path`. The path itself is trusted; what is in the mailbox is not.
    ///
    /// # Errors
    /// When there is no Maildir, or only a folder of one.
    pub fn open(path: &Path, limits: Limits, rules: Rules) -> Result<Self, QuotaError> {
        let failed = |errno| QuotaError::io("open", path, b"", errno);
        let how = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let root = match openat(CWD, path, how, Mode::empty()) {
            Err(Errno::NOTDIR) => return Err(QuotaError::NotAMaildir(path.to_owned())),
            other => other.map_err(failed)?,
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
        // Who may read the mailbox may read the figures.
        let mode = u32::from(found.stx_mode) & 0o666;
        let ownership = Ownership { uid: found.stx_uid, gid: found.stx_gid, mode };
        Ok(MaildirQuota { root, path: path.to_owned(), limits, rules, ownership, until: None })
    }

    /// The same, provided that the mailbox belongs to the user `uid`: a home's owner could put a link in its place.
    ///
    /// # Errors
    /// When it belongs to somebody else.
    pub fn owned_by(self, uid: u32) -> Result<Self, QuotaError> {
        match self.ownership.uid {
            owner if owner == uid => Ok(self),
            owner => Err(QuotaError::WrongOwner { path: self.path, owner, expected: uid }),
        }
    }

    /// The same, with no wait for the mailbox's lock that lasts longer than until `deadline`.
    #[must_use]
    pub fn waiting_until(self, deadline: Instant) -> Self {
        MaildirQuota { until: Some(deadline), ..self }
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// What it may hold.
    pub fn limits(&self) -> Limits {
        self.limits
    }

    /// How it is counted.
    pub fn rules(&self) -> Rules {
        self.rules
    }

    /// The mailbox's directory.
    pub fn root(&self) -> BorrowedFd<'_> {
        self.root.as_fd()
    }

    /// The user and group id of the mailbox's directory: what new files get when we are root.
    pub fn owner(&self) -> (u32, u32) {
        (self.ownership.uid, self.ownership.gid)
    }

    /// Whose new files are, and who may read them.
    pub(super) fn ownership(&self) -> Ownership {
        self.ownership
    }

    /// Counts everything and writes nothing: the reference that all shorter ways are held against.
    ///
    /// # Errors
    /// When any part of the mailbox cannot be read, or it never comes to rest.
    pub fn count(&self) -> Result<Usage, QuotaError> {
        let mut tally = self.tally(&Sums::default())?;
        tally.settle()?;
        tally.usage()
    }

    /// What maildirsize says. Reads only.
    ///
    /// # Errors
    /// When the file system fails; a file that is missing or damaged is no error but a doubt.
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

    /// What maildirsize says, beside a full count, with our own programs kept out in the meantime. Writes nothing.
    ///
    /// # Errors
    /// As [`MaildirQuota::count`].
    pub fn check(&self) -> Result<Check, QuotaError> {
        let _lock = self.lock()?;
        Ok(Check { stored: self.stored()?, counted: self.count()? })
    }

    /// Does maildirsize say what there is? Reads the folders that have changed since they were last counted, and writes
    /// nothing. A message that comes or goes meanwhile may make it look wrong.
    ///
    /// # Errors
    /// As [`MaildirQuota::count`].
    pub fn is_true(&self) -> Result<bool, QuotaError> {
        match self.stored()? {
            Stored { usage: Some(usage), doubt: None, .. } => Ok(self.tally(&self.read_sums())?.usage()? == usage),
            _ => Ok(false),
        }
    }

    /// What the mailbox holds: as stored if that can be believed, else by a recount.
    ///
    /// # Errors
    /// As [`MaildirQuota::recount`].
    pub fn usage(&self) -> Result<Usage, QuotaError> {
        match self.stored()? {
            Stored { usage: Some(usage), doubt: None, .. } => Ok(usage),
            _ => Ok(self.recount(Effort::Changed)?.usage),
        }
    }

    /// Counts the mailbox, and writes a fresh maildirsize and the sums. Without a limit, a maildirsize that is
    /// there is removed.
    ///
    /// # Errors
    /// When it cannot be counted, or the result not be written; nothing is written of an incomplete count.
    pub fn recount(&self, effort: Effort) -> Result<Recount, QuotaError> {
        self.recount_and(effort, |_| ()).map(|(recount, ())| recount)
    }

    /// The same, and tells somebody of it before another of our programs can change the mailbox: what is told later is
    /// newer.
    ///
    /// # Errors
    /// As [`MaildirQuota::recount`]; then nothing is told.
    pub fn recount_and<T>(&self, effort: Effort, tell: impl FnOnce(Usage) -> T) -> Result<(Recount, T), QuotaError> {
        let lock = self.lock()?;
        let (recount, stored) = self.recount_locked(&lock, effort)?;
        stored?;
        Ok((recount, tell(recount.usage)))
    }

    /// May a message of `size` bytes be stored? Counts the mailbox where the stored figures are in doubt, or would
    /// refuse the message although a folder has changed since they were counted.
    pub fn may_store(&self, size: u64) -> Decision {
        if self.limits == Limits::NONE {
            return Decision::Fits;
        }
        match self.decide(size) {
            Ok(None) => Decision::Fits,
            Ok(Some(over)) => Decision::Over(over),
            Err(error) => Decision::CannotTell(error),
        }
    }

    fn decide(&self, size: u64) -> Result<Option<Over>, QuotaError> {
        match self.verdict(&self.open_file(For::Reading)?, size) {
            Verdict::Fits(_) => Ok(None),
            Verdict::Over(over) => Ok(Some(over)),
            Verdict::Count => {
                let lock = self.lock()?;
                let (recount, stored) = self.recount_locked(&lock, Effort::Changed)?;
                // The count is an answer, even if it cannot be kept.
                if let Err(error) = stored {
                    tracing::warn!("{error}; the mailbox will be counted again");
                }
                Ok(self.limits.broken_by(recount.usage, size))
            }
        }
    }

    /// Counts the mailbox where Exim and Courier would refuse mail by a count that is out of date: a maildirsize of one
    /// line, which they believe for [`YOUNG`], beside a folder that has changed since. One of several lines they count
    /// again themselves before they refuse. Returns true if the mailbox was counted.
    ///
    /// # Errors
    /// As [`MaildirQuota::recount`].
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

    /// Tells maildirsize of messages put in or taken out by other means than a [`Reservation`](super::Reservation).
    /// The mailbox must be as it says already.
    ///
    /// # Errors
    /// When that cannot be written; then the file is out of date by so much.
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
            _ => self.recount_locked(&lock, Effort::Changed)?.1,
        }
    }

    /// Removes maildirsize and the sums: the mailbox is under no quota any more.
    ///
    /// # Errors
    /// When that fails; if they are gone already, it has not.
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

    /// What the stored figures say of a message of `size` bytes.
    pub(super) fn verdict(&self, found: &Result<Found, Doubt>, size: u64) -> Verdict {
        let Ok(found @ Found { contents: Ok(contents), .. }) = found else { return Verdict::Count };
        if contents.limits != self.limits {
            return Verdict::Count;
        }
        match self.limits.broken_by(contents.usage, size) {
            None => Verdict::Fits(contents.usage),
            // Whatever was deleted is not told to the file by every program.
            Some(over) if contents.lines == 1 && self.is_as_counted(found, contents.usage) => Verdict::Over(over),
            Some(_) => Verdict::Count,
        }
    }

    /// Returns true if the mailbox is as it was when it was counted for this maildirsize. Costs a look at each folder and
    /// reads none; so however many messages come for a full mailbox, it is not counted again for each.
    fn is_as_counted(&self, file: &Found, counted: Usage) -> bool {
        let sums = self.read_sums();
        if !sums.is_empty() {
            return Tally::unchanged(self, &sums, SystemTime::now()).is_ok_and(|usage| usage == Some(counted));
        }
        // Another program's count. A time in the future is a clock that was set.
        file.modified.elapsed().is_ok_and(|age| age < YOUNG) && Tally::is_older(self, file.times).unwrap_or(false)
    }

    /// Returns true if the mailbox held `usage` at its last count and looks as it did then. Reads no folder.
    pub(super) fn still_holds(&self, usage: Usage) -> bool {
        let sums = self.read_sums();
        !sums.is_empty() && Tally::unchanged(self, &sums, SystemTime::now()).is_ok_and(|found| found == Some(usage))
    }

    pub(super) fn lock(&self) -> Result<Lock, QuotaError> {
        let left = self.until.map(|until| until.saturating_duration_since(Instant::now()));
        let patience = left.map_or(PATIENCE, |left| left.min(PATIENCE));
        lock::take(self.root.as_fd(), patience)
            .map_err(|errno| QuotaError::io("lock", &self.path, b"", errno))?
            .ok_or_else(|| QuotaError::Locked { path: self.path.clone(), seconds: whole_seconds(patience) })
    }

    /// Opens maildirsize; the outer error is the file system's.
    pub(super) fn open_file(&self, purpose: For) -> Result<Result<Found, Doubt>, QuotaError> {
        maildirsize::open(self.root.as_fd(), purpose, self.ownership.uid)
            .map_err(|errno| self.failed("read", maildirsize::FILE, errno))
    }

    /// Adds a line to the open file, and once more if another program has just replaced it: that may count a message
    /// twice, which heals, where the other way it would never be counted.
    pub(super) fn add_line(&self, file: OwnedFd, bytes: i64, messages: i64) -> Result<(), QuotaError> {
        let mut file = file;
        for _ in 0..REWRITES {
            let append = maildirsize::append(&file, bytes, messages);
            if append.map_err(|errno| self.failed("write", maildirsize::FILE, errno))? {
                return Ok(());
            }
            match self.open_file(For::Appending)? {
                Ok(found) => file = found.file,
                Err(_) => return Ok(()), // what is not there will be counted
            }
        }
        Ok(())
    }

    /// A count, and whether it could be kept.
    pub(super) fn recount_locked(
        &self,
        _lock: &Lock,
        effort: Effort,
    ) -> Result<(Recount, Result<(), QuotaError>), QuotaError> {
        let known = match effort {
            Effort::Changed => self.read_sums(),
            Effort::Full => Sums::default(),
        };
        let mut tally = self.tally(&known)?;
        let mut usage = tally.usage()?;
        let stored = self.store(&mut tally, &mut usage);
        if tally.news {
            let text = sums::compose(&tally.folders, self.rules, tally.now);
            if let Err(errno) = replace(self.root.as_fd(), sums::FILE, text.as_bytes(), self.ownership) {
                tracing::debug!("{}", self.failed("write", sums::FILE, errno)); // the next count takes longer
            }
        }
        let folders = tally.folders.len();
        Ok((Recount { usage, folders, folders_read: tally.read.min(folders) }, stored))
    }

    /// Writes a fresh maildirsize, and again as long as messages come or go while it takes its place: whoever brought
    /// them may have told the old file.
    fn store(&self, tally: &mut Tally<'_>, usage: &mut Usage) -> Result<(), QuotaError> {
        if self.limits == Limits::NONE {
            tally.settle()?;
            *usage = tally.usage()?;
            return self.remove(maildirsize::FILE); // Courier would go on with the limit in it
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

    fn tally(&self, known: &Sums) -> Result<Tally<'_>, QuotaError> {
        Tally::take(self, known, SystemTime::now())
    }

    /// The sums of the last count; nothing that is wrong with them is worth an error.
    fn read_sums(&self) -> Sums {
        let how = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC | OFlags::NOCTTY;
        let text = openat(&self.root, sums::FILE, how, Mode::empty()).and_then(|file| read_whole(&file));
        text.map(|text| Sums::parse(&text, self.rules)).unwrap_or_default()
    }

    fn failed(&self, doing: &'static str, file: &CStr, errno: Errno) -> QuotaError {
        QuotaError::io(doing, &self.path, file.to_bytes(), errno)
    }
}

/// Rounded, and at least 1.
fn whole_seconds(duration: Duration) -> u64 {
    duration.as_millis().div_ceil(1000).try_into().unwrap_or(u64::MAX).max(1)
}

/// The sums file's text, if it is a file of a size that it can have.
fn read_whole(file: &OwnedFd) -> Result<Vec<u8>, Errno> {
    let found = statx(file, c"", AtFlags::EMPTY_PATH, StatxFlags::TYPE | StatxFlags::SIZE)?;
    if !directory::kind_of(&found).is_file() || found.stx_size > sums::MOST_BYTES {
        return Err(Errno::INVAL);
    }
    let mut text = vec![0; usize::try_from(found.stx_size).map_err(|_| Errno::INVAL)?];
    let mut length = 0;
    while length < text.len() {
        match read(file, &mut text[length..]) {
            Ok(0) => break,
            Ok(count) => length += count,
            Err(Errno::INTR) => {}
            Err(errno) => return Err(errno),
        }
    }
    text.truncate(length);
    Ok(text)
}
