//! The count of a whole mailbox, folder by folder.
//!
//! A Maildir++ mailbox is a Maildir with folders beside its `new` and `cur`: directories whose names begin with a dot,
//! one level deep. What an earlier count found is taken over for every directory that has kept its stamp; afterwards all
//! stamps are looked at once more, and what changed meanwhile is counted again, until nothing does.

use super::count::{self, BUFFER, Failure, Place};
use super::directory::{self, Stamp};
use super::error::below;
use super::sums::Sums;
use super::{QuotaError, Rules, Usage};
use rustix::fd::BorrowedFd;
use rustix::fs::FileType;
use rustix::io::Errno;
use std::collections::BTreeSet;
use std::ffi::{CStr, CString};
use std::path::Path;
use std::time::SystemTime;

/// The most folders of a mailbox. It bounds memory: the names are their owner's.
pub(super) const MOST_FOLDERS: usize = 65_536;

/// How often what changed during a count is counted again.
const ROUNDS: usize = 10;

/// The directories of messages in a mailbox and in each of its folders.
pub(super) const PARTS: [&CStr; 2] = [c"new", c"cur"];

/// What is known of one directory of messages.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Part {
    /// The directory when it was read; `None` when there is none.
    pub stamp: Option<Stamp>,
    /// What it held.
    pub usage: Usage,
    /// Whether it had been at rest, so that the stamp tells of every later change.
    pub at_rest: bool,
}

/// What is known of a folder.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Folder {
    /// Its name, with the dot; `.` is the mailbox itself.
    pub name: CString,
    /// The paths of its [`PARTS`] in the mailbox.
    paths: [CString; 2],
    /// `new` and `cur`, as in [`PARTS`].
    pub parts: [Part; 2],
}

impl Folder {
    pub fn new(name: CString, parts: [Part; 2]) -> Self {
        let paths = PARTS.map(|part| {
            let path = [name.to_bytes(), part.to_bytes_with_nul()].join(&b'/');
            CString::from_vec_with_nul(path).unwrap_or_default() // neither has a NUL of its own
        });
        Folder { name, paths, parts }
    }
}

/// A mailbox being counted.
pub(super) struct Tally<'a> {
    root: BorrowedFd<'a>,
    path: &'a Path,
    rules: Rules,
    now: SystemTime,
    buffer: Vec<u8>,
    unreadable: Option<(Vec<u8>, Errno)>,
    /// What was found, in the order of the names.
    pub folders: Vec<Folder>,
    /// How many folders were read, in whole or in part.
    pub read: usize,
    /// Whether something was read that the next count need not read.
    pub news: bool,
}

impl<'a> Tally<'a> {
    /// Counts the mailbox, but for what `known` tells of directories that have not changed.
    ///
    /// `now` is the time; a parameter for the tests of the clock.
    pub fn take(
        root: BorrowedFd<'a>,
        path: &'a Path,
        rules: Rules,
        known: &Sums,
        now: SystemTime,
    ) -> Result<Self, QuotaError> {
        let buffer = Vec::with_capacity(BUFFER);
        let mut tally =
            Tally { root, path, rules, now, buffer, unreadable: None, folders: Vec::new(), read: 0, news: false };
        for name in tally.list()? {
            let parts = known.of(&name);
            tally.folders.push(Folder::new(name, parts));
        }
        tally.refresh()?;
        Ok(tally)
    }

    /// Looks at everything once more, and counts again what changed, until nothing does. Says whether anything did.
    pub fn settle(&mut self) -> Result<bool, QuotaError> {
        for round in 0..ROUNDS {
            let moved = self.follow_folders()?;
            if !(self.refresh()? | moved) {
                return Ok(round > 0);
            }
        }
        Err(QuotaError::Unsettled(self.path.to_owned()))
    }

    /// All of it together.
    ///
    /// # Errors
    /// When it adds up to too much, or a part could not be read.
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

    /// The folders there are, in the order of their names.
    fn list(&mut self) -> Result<BTreeSet<CString>, QuotaError> {
        let failed = |errno| QuotaError::io("read", self.path, b"", errno);
        // The mailbox's own descriptor is shared, and so is its position.
        let directory = directory::open(self.root, c".").map_err(failed)?.ok_or(Errno::NOENT).map_err(failed)?;
        let (root, trash) = (self.root, self.rules.count_trash);
        let mut names = BTreeSet::new();
        directory::for_each_entry(&directory, &mut self.buffer, |name, kind| {
            let candidate = match name.to_bytes() {
                b".." => false,
                b".Trash" => trash,
                // Among them `.`, which is the mailbox itself.
                bytes => bytes.first() == Some(&b'.') && names.len() <= MOST_FOLDERS,
            };
            if candidate && is_directory(root, name, kind)? {
                names.insert(name.to_owned());
            }
            Ok::<(), Errno>(())
        })
        .map_err(|errno| QuotaError::io("read", self.path, b"", errno))?;
        if names.len() > MOST_FOLDERS {
            return Err(QuotaError::TooManyFolders { path: self.path.to_owned(), most: MOST_FOLDERS });
        }
        Ok(names)
    }

    /// Takes note of folders made, renamed and deleted since they were listed. Says whether there are any.
    fn follow_folders(&mut self) -> Result<bool, QuotaError> {
        let mut names = self.list()?;
        let before = self.folders.len();
        self.folders.retain(|folder| names.remove(&folder.name));
        let changed = self.folders.len() < before || !names.is_empty();
        if !names.is_empty() {
            self.folders.extend(names.into_iter().map(|name| Folder::new(name, Default::default())));
            self.folders.sort_by(|a, b| a.name.cmp(&b.name));
        }
        Ok(changed)
    }

    /// Counts every directory that is not as it is known. Says whether there was any.
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

    /// Counts what is not as it is known of a folder. Says whether there was anything.
    fn refresh_folder(&mut self, folder: &mut Folder) -> Result<bool, QuotaError> {
        let mut changed = false;
        for ((part, path), name) in folder.parts.iter_mut().zip(&folder.paths).zip(PARTS) {
            let place = Place { root: self.root, folder: &folder.name, part: name, path };
            match self.refresh_part(place, part) {
                Ok(counted) => changed |= counted,
                Err(Failure::TooLarge) => return Err(QuotaError::TooLarge(self.path.to_owned())),
                Err(Failure::System(errno)) => {
                    *part = Part::default();
                    self.give_up(path, errno)?;
                }
            }
        }
        Ok(changed)
    }

    /// Counts a directory unless it is as it is known. Says whether it did.
    ///
    /// The look at its stamp may pass through a folder that has just become a link: a stamp that is the known one is
    /// the known directory's, however it was reached. What is then read is reached by no link.
    fn refresh_part(&mut self, place: Place<'_>, part: &mut Part) -> Result<bool, Failure> {
        if directory::stamp_at(self.root, place.path)? == part.stamp {
            return Ok(false);
        }
        let known = *part;
        *part = match count::count(place, self.rules, &mut self.buffer)? {
            Some((stamp, usage)) => Part { stamp: Some(stamp), usage, at_rest: stamp.at_rest(self.now) },
            None => Part::default(),
        };
        self.news |= part.at_rest;
        Ok(*part != known)
    }

    /// Remembers the first directory that may not be read, and lets the rest be counted: people are told what it holds.
    fn give_up(&mut self, path: &CStr, errno: Errno) -> Result<(), QuotaError> {
        match errno {
            Errno::ACCESS | Errno::PERM => {
                self.unreadable.get_or_insert((path.to_bytes().to_vec(), errno));
                Ok(())
            }
            errno => Err(QuotaError::io("read", self.path, path.to_bytes(), errno)),
        }
    }
}

/// Whether an entry is a directory and no link to one.
fn is_directory(parent: BorrowedFd<'_>, name: &CStr, kind: FileType) -> Result<bool, Errno> {
    match kind {
        FileType::Unknown => Ok(directory::stamp_at(parent, name)?.is_some()),
        kind => Ok(kind == FileType::Directory),
    }
}
