//! The count of a whole mailbox, folder by folder.
//!
//! A Maildir++ mailbox is a Maildir with folders next to its `new` and `cur`: directories whose names begin with a dot,
//! one level deep. The result of an earlier count is used for every directory whose stamp has not changed. Afterwards all
//! stamps are compared once more, and what changed in the meantime is counted again, until nothing changes.

use super::count::{self, BUFFER, CountRules, Failure, Place};
use super::directory::{self, Moment, Stamp};
use super::error::below;
use super::folder::{Folder, MOST_FOLDERS, MOST_IN_NAMES, PARTS, Part, path_of};
use super::maildirsums::{self as sums, Earlier};
use super::patience::{CALL, LINK, NAME, Timer};
use super::{Effort, MaildirQuota, QuotaError};
use crate::model::usage::Usage;
use rustix::fd::{AsFd, BorrowedFd};
use rustix::fs::FileType;
use rustix::io::Errno;
use std::collections::BTreeSet;
use std::ffi::{CStr, CString};
use std::path::Path;
use std::time::SystemTime;

/// Maximum number of times that what changed during a count is counted again.
const ROUNDS: usize = 10;

/// What the saved sums say about a mailbox.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Remembered {
    /// There are no saved sums.
    Nothing,
    /// The mailbox looks as it did when it was counted, and held this then.
    Same(Usage),
    /// The mailbox has changed, or may have changed.
    Other,
}

/// A mailbox being counted.
pub(super) struct Tally<'a> {
    root: BorrowedFd<'a>,
    path: &'a Path,
    owner: u32,
    rules: CountRules,
    /// Time at which the count began.
    pub now: SystemTime,
    timer: Timer,
    buffer: Vec<u8>,
    unreadable: Option<(Vec<u8>, Errno)>,
    /// The folders that were found, in the order of their names.
    pub folders: Vec<Folder>,
    /// Number of folders that were read, in whole or in part.
    pub read: usize,
    /// True if something was read that the next count, or a refusal, need not read again.
    pub news: bool,
}

impl<'a> Tally<'a> {
    /// Counts the mailbox: all of it, or what the saved sums do not say.
    ///
    /// `now` is the current time; tests pass other times.
    pub fn take(mailbox: &'a MaildirQuota, effort: Effort, now: SystemTime) -> Result<Self, QuotaError> {
        let mut tally = Tally::begin(mailbox, now);
        tally.folders = tally.list()?.into_iter().map(Folder::new).collect();
        if effort == Effort::Changed {
            tally.recall();
            for part in tally.folders.iter_mut().flat_map(|folder| &mut folder.parts) {
                if !part.at_rest {
                    *part = Part::default();
                }
            }
        }
        tally.refresh()?;
        Ok(tally)
    }

    /// Returns what the mailbox held at its last count if every directory looks as it did then. Reads no directory of
    /// messages. The result is [`Remembered::Other`] if a directory was not at rest then and the count is too old.
    pub fn unchanged(mailbox: &'a MaildirQuota, now: SystemTime) -> Result<Remembered, QuotaError> {
        let mut tally = Tally::begin(mailbox, now);
        tally.folders = tally.list()?.into_iter().map(Folder::new).collect();
        let Some(earlier) = tally.recall() else { return Ok(Remembered::Nothing) };
        let young = earlier.is_young(now);
        let mut sum = Some(Usage::default());
        for folder in std::mem::take(&mut tally.folders) {
            for (part, name) in folder.parts.iter().zip(PARTS) {
                let stamp = tally.stamp_of(&path_of(&folder.name, name))?;
                if stamp != Some(part.stamp) || !(part.at_rest || part.stamp.is_none() || young) {
                    return Ok(Remembered::Other);
                }
                sum = sum.and_then(|sum| sum.checked_add(part.usage));
            }
        }
        Ok(sum.map_or(Remembered::Other, Remembered::Same))
    }

    /// Returns true if no folder and no directory of messages was created, changed or removed since a file of the mailbox
    /// with this mtime and ctime was created.
    pub fn is_older(mailbox: &'a MaildirQuota, (modified, changed): (Moment, Moment)) -> Result<bool, QuotaError> {
        let mut tally = Tally::begin(mailbox, SystemTime::now());
        let older = |stamp: Stamp| stamp.modified < modified && stamp.changed < changed;
        for name in tally.list()? {
            for part in PARTS {
                match tally.stamp_of(&path_of(&name, part))? {
                    Some(stamp) if stamp.is_none_or(older) => {}
                    _ => return Ok(false),
                }
            }
        }
        // Creating the file has changed the mailbox's own directory too.
        Ok(directory::stamp(tally.root).is_ok_and(|root| root.modified <= changed))
    }

    fn begin(mailbox: &'a MaildirQuota, now: SystemTime) -> Self {
        Tally {
            root: mailbox.root(),
            path: mailbox.path(),
            owner: mailbox.owner().0,
            rules: mailbox.rules(),
            now,
            timer: Timer::until(mailbox.patience().answer),
            buffer: Vec::with_capacity(BUFFER),
            unreadable: None,
            folders: Vec::new(),
            read: 0,
            news: false,
        }
    }

    /// Fills the folders with what the saved sums say.
    fn recall(&mut self) -> Option<Earlier> {
        sums::recall(self.root, self.rules, &mut self.folders)
    }

    /// Returns the stamp of a directory; `None` if it cannot be read.
    fn stamp_of(&mut self, path: &CStr) -> Result<Option<Option<Stamp>>, QuotaError> {
        self.timer.spend(CALL).map_err(|late| late.of(self.path))?;
        Ok(directory::stamp_at(self.root, path, self.owner).ok())
    }

    /// Looks at everything once more, and counts again what changed, until nothing changes. Returns true if anything had
    /// changed.
    pub fn settle(&mut self) -> Result<bool, QuotaError> {
        for round in 0..ROUNDS {
            let moved = self.follow_folders()?;
            if !(self.refresh()? | moved) {
                return Ok(round > 0);
            }
        }
        Err(QuotaError::Unsettled(self.path.to_owned()))
    }

    /// Returns the usage of the whole mailbox.
    ///
    /// # Errors
    /// Fails if the sum is too large, or a part could not be read.
    pub fn usage(&self) -> Result<Usage, QuotaError> {
        let mut parts = self.folders.iter().flat_map(|folder| &folder.parts);
        let sum = parts
            .try_fold(Usage::default(), |sum, part| sum.checked_add(part.usage))
            .ok_or_else(|| QuotaError::TooLarge(self.path.to_owned()))?;
        match &self.unreadable {
            None => Ok(sum),
            Some((name, errno)) => {
                Err(QuotaError::Unreadable { path: below(self.path, name), source: (*errno).into(), rest: sum })
            }
        }
    }

    /// Returns the names of the existing folders, in order.
    fn list(&mut self) -> Result<BTreeSet<CString>, QuotaError> {
        // The mailbox's own descriptor is shared, together with its position.
        let directory = directory::reopen(self.root).map_err(|errno| QuotaError::io("read", self.path, b"", errno))?;
        let (root, owner, trash, timer) = (self.root, self.owner, self.rules.count_trash, &mut self.timer);
        let (mut names, mut linked, mut length) = (BTreeSet::new(), BTreeSet::new(), 0);
        let listed = directory::for_each_entry(&directory, &mut self.buffer, |name, kind| {
            timer.spend(NAME)?;
            let is_candidate = match name.to_bytes() {
                b".." => false,
                b".Trash" => trash,
                // This includes `.`, which is the mailbox itself.
                bytes => bytes.first() == Some(&b'.'),
            };
            if !is_candidate || !is_folder(root, name, kind, owner, &mut linked, timer)? {
                return Ok(());
            }
            length += name.to_bytes().len();
            if names.len() > MOST_FOLDERS || length > MOST_IN_NAMES {
                return Err(Failure::TooManyFolders);
            }
            names.insert(name.to_owned());
            Ok::<(), Failure>(())
        });
        listed.map(|()| names).map_err(|failure| self.failed(c"", failure))
    }

    /// Returns the error of a mailbox that cannot be counted because of a failure at `path` in it.
    fn failed(&self, path: &CStr, failure: Failure) -> QuotaError {
        match failure {
            Failure::System(errno) => QuotaError::io("read", self.path, path.to_bytes(), errno),
            Failure::Stray(link) => QuotaError::Link { path: below(self.path, path.to_bytes()), link },
            Failure::TooLarge => QuotaError::TooLarge(self.path.to_owned()),
            Failure::TooManyFolders => {
                QuotaError::TooManyFolders { path: self.path.to_owned(), most: MOST_FOLDERS, in_names: MOST_IN_NAMES }
            }
            Failure::Late => QuotaError::Late(self.path.to_owned()),
        }
    }

    /// Adds and removes the folders that were created, renamed and deleted since they were listed. Returns true if there
    /// were any.
    fn follow_folders(&mut self) -> Result<bool, QuotaError> {
        let mut names = self.list()?;
        let before = self.folders.len();
        self.folders.retain(|folder| names.remove(&folder.name));
        let changed = self.folders.len() < before || !names.is_empty();
        if !names.is_empty() {
            self.folders.extend(names.into_iter().map(Folder::new));
            self.folders.sort_by(|a, b| a.name.cmp(&b.name));
        }
        Ok(changed)
    }

    /// Counts every directory whose stamp is not the known one. Returns true if there was any.
    fn refresh(&mut self) -> Result<bool, QuotaError> {
        let mut folders = std::mem::take(&mut self.folders);
        self.unreadable = None;
        let mut changed = false;
        for folder in &mut folders {
            if self.refresh_folder(folder)? {
                changed = true;
                self.read += 1;
            }
        }
        self.folders = folders;
        Ok(changed)
    }

    /// Counts the directories of a folder whose stamps are not the known ones. Returns true if there was any.
    fn refresh_folder(&mut self, folder: &mut Folder) -> Result<bool, QuotaError> {
        let mut changed = false;
        for (part, name) in folder.parts.iter_mut().zip(PARTS) {
            let path = path_of(&folder.name, name);
            let place = Place { root: self.root, owner: self.owner, folder: &folder.name, part: name, path: &path };
            match self.refresh_part(place, part) {
                Ok(counted) => changed |= counted,
                Err(Failure::System(errno @ (Errno::ACCESS | Errno::PERM))) => {
                    *part = Part::default();
                    // The rest is counted, because the error message says what it holds.
                    self.unreadable.get_or_insert((path.to_bytes().to_vec(), errno));
                }
                Err(failure) => return Err(self.failed(&path, failure)),
            }
        }
        Ok(changed)
    }

    /// Counts a directory unless its stamp is the known one. Returns true if the result is another than before.
    ///
    /// The path to its stamp may lead through a folder that has just become a link. This is harmless: the known stamp is
    /// that of the known directory, whichever way it was reached. A directory that is then read is reached only through
    /// links to directories of the same owner.
    fn refresh_part(&mut self, place: Place<'_>, part: &mut Part) -> Result<bool, Failure> {
        self.timer.spend(CALL)?;
        if directory::stamp_at(self.root, place.path, self.owner)? == part.stamp {
            return Ok(false);
        }
        let known = *part;
        *part = match count::count(place, self.rules, &mut self.buffer, &mut self.timer)? {
            Some((stamp, usage)) => Part { stamp: Some(stamp), usage, at_rest: stamp.at_rest(self.now) },
            None => Part::default(),
        };
        self.news |= part.stamp.is_some();
        Ok(*part != known)
    }
}

/// Returns true if an entry is a folder. If several links lead to one folder, only the first counts.
fn is_folder(
    root: BorrowedFd<'_>,
    name: &CStr,
    kind: FileType,
    owner: u32,
    linked: &mut BTreeSet<(u64, u64)>,
    timer: &mut Timer,
) -> Result<bool, Failure> {
    let kind = if kind == FileType::Unknown { directory::kind_at(root, name)? } else { Some(kind) };
    match kind {
        Some(FileType::Directory) => Ok(true),
        Some(FileType::Symlink) => {
            timer.spend(LINK)?;
            match directory::linked_folder(root, name, owner)? {
                Some(folder) => Ok(linked.insert(directory::identity(folder.as_fd())?)),
                None => Ok(false),
            }
        }
        _ => Ok(false),
    }
}
