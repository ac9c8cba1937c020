//! Directories of a mailbox, opened relative to the descriptor of the mailbox.
//!
//! A mailbox's owner can replace a directory by a link while root reads it. So a link is only followed to a directory that
//! belongs to the same user. The owner is checked on the descriptor that is then read.

use rustix::fd::{AsFd, BorrowedFd, OwnedFd};
use rustix::fs::{AtFlags, FileType, Mode, OFlags, RawDir, ResolveFlags, Statx, StatxFlags, openat, openat2, statx};
use rustix::io::Errno;
use std::ffi::CStr;
use std::fmt;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// A time as a file system stores it: seconds since 1970 and nanoseconds.
pub(crate) type Moment = (i64, u32);

/// The state of a directory. It changes whenever the directory's entries change, except for changes within one tick of the
/// kernel's clock.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Stamp {
    pub device: u64,
    pub inode: u64,
    pub modified: Moment,
    pub changed: Moment,
}

/// Time for which a directory must have been at rest so that its stamp can be trusted later: clocks of file systems are
/// coarse, and those of some servers are coarser.
pub(crate) const REST: Duration = Duration::from_secs(2);

impl Stamp {
    /// Returns true if the directory had been at rest at `now`. Returns false for a time in the future, which means that
    /// the clock was set.
    pub(crate) fn at_rest(&self, now: SystemTime) -> bool {
        let Ok(now) = now.duration_since(UNIX_EPOCH) else { return false };
        let rested = |(seconds, nanoseconds): Moment| {
            u64::try_from(seconds).is_ok_and(|seconds| Duration::new(seconds, nanoseconds) + REST <= now)
        };
        rested(self.modified) && rested(self.changed)
    }

    pub(crate) fn of(found: &Statx) -> Self {
        Stamp {
            device: rustix::fs::makedev(found.stx_dev_major, found.stx_dev_minor),
            inode: found.stx_ino,
            modified: (found.stx_mtime.tv_sec, found.stx_mtime.tv_nsec),
            changed: (found.stx_ctime.tv_sec, found.stx_ctime.tv_nsec),
        }
    }
}

/// Reason why a link in the place of a directory of messages is not followed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum StrayLink {
    /// It leads to nothing, to something that is not a directory, or to itself.
    Nowhere,
    /// The directory belongs to another user than the mailbox.
    Foreign {
        /// The directory's owner.
        owner: u32,
        /// The mailbox's owner.
        expected: u32,
    },
}

/// Written for people, after "it is a link that".
impl fmt::Display for StrayLink {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            StrayLink::Nowhere => f.write_str("leads to no directory; correct it, or mount the disk that it leads to"),
            StrayLink::Foreign { owner, expected } => write!(
                f,
                "leads to a directory of user {owner}, but the mailbox belongs to user {expected}: \
                 give both the same owner"
            ),
        }
    }
}

/// Reason why a directory cannot be opened.
#[derive(Debug)]
pub(crate) enum Shut {
    /// A system call failed.
    System(Errno),
    /// It is a link that must not be followed.
    Stray(StrayLink),
}

impl From<Errno> for Shut {
    fn from(errno: Errno) -> Self {
        Shut::System(errno)
    }
}

const READ: OFlags = OFlags::RDONLY.union(OFlags::NONBLOCK);

/// Opens the same directory again for reading its entries, with a position of its own.
pub(crate) fn reopen(directory: BorrowedFd<'_>) -> Result<OwnedFd, Errno> {
    openat(directory, c".", READ | OFlags::DIRECTORY | OFlags::CLOEXEC, Mode::empty())
}

/// Opens the directory `name` for reading its entries; `name` may be a link to a directory of `owner`. Returns `None` if
/// there is no such directory, or something else has its name.
pub(crate) fn open(parent: BorrowedFd<'_>, name: &CStr, owner: u32) -> Result<Option<OwnedFd>, Shut> {
    if let Some(directory) = open_itself(parent, name, READ)? {
        return Ok(Some(directory));
    }
    if kind_at(parent, name)? != Some(FileType::Symlink) {
        return Ok(None);
    }
    let target = follow(parent, name, owner)?;
    Ok(Some(reopen(target.as_fd())?))
}

/// Opens the mailbox `root` (`.`) or a folder in it, without reading it: the right to read is not needed. The rules for
/// links are those of [`linked_folder`].
pub(crate) fn enter(root: BorrowedFd<'_>, name: &CStr, owner: u32) -> Result<Option<OwnedFd>, Errno> {
    match open_itself(root, name, OFlags::PATH)? {
        Some(folder) => Ok(Some(folder)),
        None => linked_folder(root, name, owner),
    }
}

/// Opens the folder that the link `name` in the mailbox `root` leads to; `None` if that is not a folder of this mailbox
/// on another disk.
///
/// It is one if it belongs to `owner` and is outside of every Maildir. A folder inside a Maildir, this one or another, is
/// counted there, and the link is only another path to it.
pub(crate) fn linked_folder(root: BorrowedFd<'_>, name: &CStr, owner: u32) -> Result<Option<OwnedFd>, Errno> {
    if kind_at(root, name)? != Some(FileType::Symlink) {
        return Ok(None);
    }
    let folder = match follow(root, name, owner) {
        Ok(folder) => folder,
        Err(Shut::Stray(_) | Shut::System(Errno::ACCESS)) => return Ok(None),
        Err(Shut::System(errno)) => return Err(errno),
    };
    let inside = kind_at(folder.as_fd(), c"../cur")?.is_some();
    Ok((!inside && identity(folder.as_fd())? != identity(root)?).then_some(folder))
}

/// Opens a directory; `None` if `name` is a link or something else.
fn open_itself(parent: BorrowedFd<'_>, name: &CStr, how: OFlags) -> Result<Option<OwnedFd>, Errno> {
    match openat(parent, name, how | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC, Mode::empty()) {
        Ok(directory) => Ok(Some(directory)),
        Err(Errno::NOENT | Errno::NOTDIR | Errno::LOOP) => Ok(None),
        Err(errno) => Err(errno),
    }
}

/// Opens the directory of `owner` that a link leads to, without reading it.
fn follow(parent: BorrowedFd<'_>, name: &CStr, owner: u32) -> Result<OwnedFd, Shut> {
    let how = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
    let target = match openat2(parent, name, how, Mode::empty(), ResolveFlags::NO_MAGICLINKS) {
        Ok(target) => target,
        Err(Errno::NOENT | Errno::NOTDIR | Errno::LOOP) => return Err(Shut::Stray(StrayLink::Nowhere)),
        Err(errno) => return Err(errno.into()),
    };
    match statx(&target, c"", AtFlags::EMPTY_PATH, StatxFlags::UID)?.stx_uid {
        found if found == owner => Ok(target),
        found => Err(Shut::Stray(StrayLink::Foreign { owner: found, expected: owner })),
    }
}

/// Returns the device and inode of an open directory.
pub(crate) fn identity(directory: BorrowedFd<'_>) -> Result<(u64, u64), Errno> {
    stamp(directory).map(|stamp| (stamp.device, stamp.inode))
}

/// Returns the kind of the file `name`, without following a link at the end of the path; `None` if there is no such file.
pub(crate) fn kind_at(parent: BorrowedFd<'_>, name: &CStr) -> Result<Option<FileType>, Errno> {
    match statx(parent, name, AtFlags::SYMLINK_NOFOLLOW, StatxFlags::TYPE) {
        Ok(found) => Ok(Some(kind_of(&found))),
        Err(Errno::NOENT | Errno::NOTDIR) => Ok(None),
        Err(errno) => Err(errno),
    }
}

/// Returns the stamp of an open directory.
pub(crate) fn stamp(directory: BorrowedFd<'_>) -> Result<Stamp, Errno> {
    statx(directory, c"", AtFlags::EMPTY_PATH, StatxFlags::BASIC_STATS).map(|found| Stamp::of(&found))
}

/// Returns the stamp of the directory `name`, or of the directory of `owner` that a link by this name leads to; `None` if
/// there is no directory.
pub(crate) fn stamp_at(parent: BorrowedFd<'_>, name: &CStr, owner: u32) -> Result<Option<Stamp>, Shut> {
    match statx(parent, name, AtFlags::SYMLINK_NOFOLLOW, StatxFlags::BASIC_STATS) {
        Ok(found) => match kind_of(&found) {
            FileType::Directory => Ok(Some(Stamp::of(&found))),
            FileType::Symlink => Ok(Some(stamp(follow(parent, name, owner)?.as_fd())?)),
            _ => Ok(None),
        },
        Err(Errno::NOENT | Errno::NOTDIR) => Ok(None),
        Err(errno) => Err(errno.into()),
    }
}

/// Returns the kind of a file.
pub(crate) fn kind_of(found: &Statx) -> FileType {
    FileType::from_raw_mode(u32::from(found.stx_mode))
}

/// Calls `each` for every entry, with its kind as stored in the directory, which may be `Unknown`.
pub(crate) fn for_each_entry<E: From<Errno>>(
    directory: impl AsFd,
    buffer: &mut Vec<u8>,
    mut each: impl FnMut(&CStr, FileType) -> Result<(), E>,
) -> Result<(), E> {
    let mut entries = RawDir::new(directory, buffer.spare_capacity_mut());
    while let Some(entry) = entries.next() {
        let entry = entry?;
        each(entry.file_name(), entry.file_type())?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn stamp(modified: Moment, changed: Moment) -> Stamp {
        Stamp { device: 1, inode: 2, modified, changed }
    }

    #[test]
    fn a_directory_is_at_rest_two_seconds_after_its_last_change() {
        let now = UNIX_EPOCH + Duration::new(1000, 500);
        assert!(stamp((998, 500), (998, 0)).at_rest(now));
        assert!(!stamp((998, 501), (998, 0)).at_rest(now));
        assert!(!stamp((998, 0), (998, 501)).at_rest(now), "a restored directory has an old mtime");
    }

    #[test]
    fn a_change_in_the_future_or_before_1970_is_never_at_rest() {
        let now = UNIX_EPOCH + Duration::from_secs(1000);
        assert!(!stamp((2000, 0), (5, 0)).at_rest(now));
        assert!(!stamp((-5, 0), (5, 0)).at_rest(now));
    }
}
