//! The count of one directory of messages: `new` or `cur` of a mailbox or folder.
//!
//! Nearly all of the time is spent in the kernel: one getdents64(2) for thousands of names, and a statx(2) only for a name
//! without a size. The rules are those of Courier, which defines the format, except where Courier makes mistakes:
//!
//! - A name that begins with a dot does not count.
//! - A directory, fifo, socket or device does not count.
//! - A link to a file inside the mailbox counts; any other link does not.
//! - A message with the flag T does not count, unless the trash is counted.
//! - A size in the name is accepted without a check. A malformed size is ignored.

use super::directory::{self, Shut, Stamp, StrayLink};
use super::name;
use super::patience::{CALL, LINK, Late, NAME, Timer};
use crate::model::usage::Usage;
use rustix::fd::{AsFd, BorrowedFd};
use rustix::fs::{AtFlags, FileType, Mode, OFlags, ResolveFlags, StatxFlags, openat2, statx};
use rustix::io::Errno;
use std::ffi::{CStr, CString};

/// The rules of counting that sites differ in.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct CountRules {
    /// True if the folder `.Trash` and messages with the flag T are counted: as Exim and Dovecot do, and Courier does not.
    pub count_trash: bool,
}

/// Size of the buffer for directory entries: about 3,000 names with each call. A larger one is not faster.
pub(super) const BUFFER: usize = 256 << 10;

/// Reason why a directory could not be counted.
#[derive(Debug)]
pub(super) enum Failure {
    /// A system call failed.
    System(Errno),
    /// It is a link that must not be followed.
    Stray(StrayLink),
    /// The sizes add up to more than 2^63 - 1.
    TooLarge,
    /// There are too many folders.
    TooManyFolders,
    /// The count takes too long.
    Late,
}

impl From<Late> for Failure {
    fn from(_: Late) -> Self {
        Failure::Late
    }
}

impl From<Shut> for Failure {
    fn from(shut: Shut) -> Self {
        match shut {
            Shut::System(errno) => Failure::System(errno),
            Shut::Stray(link) => Failure::Stray(link),
        }
    }
}

impl From<Errno> for Failure {
    fn from(errno: Errno) -> Self {
        Failure::System(errno)
    }
}

/// The location of a directory of messages.
#[derive(Clone, Copy)]
pub(super) struct Place<'a> {
    /// The mailbox.
    pub root: BorrowedFd<'a>,
    /// The user id of its owner. Links to directories of other users are not followed.
    pub owner: u32,
    /// The folder's name; `.` for the mailbox itself.
    pub folder: &'a CStr,
    /// `new` or `cur`.
    pub part: &'a CStr,
    /// Both, as a path relative to the mailbox.
    pub path: &'a CStr,
}

/// Counts a directory. Returns its stamp from before it was read, and what it holds; `None` if it does not exist.
pub(super) fn count(
    place: Place<'_>,
    rules: CountRules,
    buffer: &mut Vec<u8>,
    timer: &mut Timer,
) -> Result<Option<(Stamp, Usage)>, Failure> {
    let Some(folder) = directory::enter(place.root, place.folder, place.owner)? else { return Ok(None) };
    let Some(directory) = directory::open(folder.as_fd(), place.part, place.owner)? else { return Ok(None) };
    let stamp = directory::stamp(directory.as_fd())?;
    let mut usage = Usage::default();
    directory::for_each_entry(&directory, buffer, |name, kind| {
        timer.spend(NAME)?;
        if let Some(bytes) = message(place, directory.as_fd(), name, kind, rules, timer)? {
            usage = usage.checked_add(Usage { bytes, messages: 1 }).ok_or(Failure::TooLarge)?;
        }
        Ok::<(), Failure>(())
    })?;
    Ok(Some((stamp, usage)))
}

/// Returns the size of a message; `None` for an entry that does not count.
fn message(
    place: Place<'_>,
    directory: BorrowedFd<'_>,
    entry: &CStr,
    kind: FileType,
    rules: CountRules,
    timer: &mut Timer,
) -> Result<Option<u64>, Failure> {
    let name = entry.to_bytes();
    let name::NameFields { size: told, trashed } = name::read(name);
    if name.first() == Some(&b'.') || trashed && !rules.count_trash {
        return Ok(None);
    }
    match (kind, told) {
        (FileType::RegularFile, Some(size)) => Ok(Some(size)),
        (FileType::RegularFile | FileType::Unknown, _) => {
            timer.spend(CALL)?;
            match status(directory, entry)? {
                Some((FileType::RegularFile, size)) => Ok(Some(told.unwrap_or(size))),
                Some((FileType::Symlink, _)) => linked(place, entry, told, timer),
                _ => Ok(None),
            }
        }
        (FileType::Symlink, _) => linked(place, entry, told, timer),
        _ => Ok(None),
    }
}

/// Returns the kind and size of an entry; `None` if it was removed in the meantime.
fn status(directory: BorrowedFd<'_>, entry: &CStr) -> Result<Option<(FileType, u64)>, Errno> {
    let flags = AtFlags::SYMLINK_NOFOLLOW | AtFlags::STATX_DONT_SYNC;
    match statx(directory, entry, flags, StatxFlags::TYPE | StatxFlags::SIZE) {
        Ok(found) => Ok(Some((directory::kind_of(&found), found.stx_size))),
        Err(Errno::NOENT) => Ok(None),
        Err(errno) => Err(errno),
    }
}

/// Maximum number of attempts to follow a link while folders are renamed.
const MOST_TRIES: usize = 100;

/// Returns the size of a link, which counts as the file it leads to if that is a file of this mailbox: the kernel resolves
/// the link and refuses to leave the mailbox on the way (openat2(2), `RESOLVE_BENEATH`).
fn linked(place: Place<'_>, entry: &CStr, told: Option<u64>, timer: &mut Timer) -> Result<Option<u64>, Failure> {
    let path = [place.path.to_bytes(), entry.to_bytes()].join(&b'/');
    let Ok(path) = CString::new(path) else { return Ok(None) };
    let resolve = ResolveFlags::BENEATH | ResolveFlags::NO_MAGICLINKS;
    let mut tries = 0;
    let target = loop {
        timer.spend(LINK)?;
        tries += 1;
        match openat2(place.root, &path, OFlags::PATH | OFlags::CLOEXEC, Mode::empty(), resolve) {
            Ok(target) => break target,
            // A folder was renamed at the same time somewhere, so that the kernel cannot be sure about a `..`.
            Err(Errno::AGAIN) if tries < MOST_TRIES => {}
            // The link is dangling or circular, or leads through something that is not a directory, or out of the mailbox.
            Err(Errno::AGAIN | Errno::NOENT | Errno::LOOP | Errno::NOTDIR | Errno::XDEV | Errno::ACCESS) => {
                return Ok(None);
            }
            Err(errno) => return Err(errno.into()),
        }
    };
    let found = statx(&target, c"", AtFlags::EMPTY_PATH, StatxFlags::TYPE | StatxFlags::SIZE)?;
    Ok((directory::kind_of(&found) == FileType::RegularFile).then(|| told.unwrap_or(found.stx_size)))
}
