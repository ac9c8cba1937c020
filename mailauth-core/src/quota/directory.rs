//! Directories of a mailbox, opened from its own descriptor downward and never through a link.

use rustix::fd::{AsFd, BorrowedFd, OwnedFd};
use rustix::fs::{AtFlags, FileType, Mode, OFlags, RawDir, Statx, StatxFlags, openat, statx};
use rustix::io::Errno;
use std::ffi::CStr;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// A moment as a file system keeps it: seconds since 1970 and nanoseconds.
pub(super) type Moment = (i64, u32);

/// What changes whenever a directory's entries do, but for changes within one tick of the kernel's clock.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Stamp {
    pub device: u64,
    pub inode: u64,
    pub modified: Moment,
    pub changed: Moment,
}

/// How long a directory must have been at rest for its stamp to be believed later: clocks of file systems are coarse,
/// and some servers' are coarser.
const REST: Duration = Duration::from_secs(2);

impl Stamp {
    /// Whether the directory had been at rest at `now`. A time in the future is a clock that was set.
    pub(super) fn at_rest(&self, now: SystemTime) -> bool {
        let Ok(now) = now.duration_since(UNIX_EPOCH) else { return false };
        let rested = |(seconds, nanoseconds): Moment| {
            u64::try_from(seconds).is_ok_and(|seconds| Duration::new(seconds, nanoseconds) + REST <= now)
        };
        rested(self.modified) && rested(self.changed)
    }

    fn of(found: &Statx) -> Self {
        Stamp {
            device: rustix::fs::makedev(found.stx_dev_major, found.stx_dev_minor),
            inode: found.stx_ino,
            modified: (found.stx_mtime.tv_sec, found.stx_mtime.tv_nsec),
            changed: (found.stx_ctime.tv_sec, found.stx_ctime.tv_nsec),
        }
    }
}

/// Opens the directory `name` for reading its entries; `None` when there is none, or something else has its name.
pub(super) fn open(parent: BorrowedFd<'_>, name: &CStr) -> Result<Option<OwnedFd>, Errno> {
    open_as(parent, name, OFlags::RDONLY | OFlags::NONBLOCK)
}

/// As [`open`], only as a place to go on from: it takes no right to read.
pub(super) fn enter(parent: BorrowedFd<'_>, name: &CStr) -> Result<Option<OwnedFd>, Errno> {
    open_as(parent, name, OFlags::PATH)
}

fn open_as(parent: BorrowedFd<'_>, name: &CStr, how: OFlags) -> Result<Option<OwnedFd>, Errno> {
    match openat(parent, name, how | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC, Mode::empty()) {
        Ok(directory) => Ok(Some(directory)),
        Err(Errno::NOENT | Errno::NOTDIR | Errno::LOOP) => Ok(None),
        Err(errno) => Err(errno),
    }
}

/// The stamp of an open directory.
pub(super) fn stamp(directory: BorrowedFd<'_>) -> Result<Stamp, Errno> {
    statx(directory, c"", AtFlags::EMPTY_PATH, StatxFlags::BASIC_STATS).map(|found| Stamp::of(&found))
}

/// The stamp of the directory `name`; `None` when there is none.
pub(super) fn stamp_at(parent: BorrowedFd<'_>, name: &CStr) -> Result<Option<Stamp>, Errno> {
    match statx(parent, name, AtFlags::SYMLINK_NOFOLLOW, StatxFlags::BASIC_STATS) {
        Ok(found) if kind_of(&found) == FileType::Directory => Ok(Some(Stamp::of(&found))),
        Ok(_) | Err(Errno::NOENT | Errno::NOTDIR) => Ok(None),
        Err(errno) => Err(errno),
    }
}

/// What sort of file was found.
pub(super) fn kind_of(found: &Statx) -> FileType {
    FileType::from_raw_mode(u32::from(found.stx_mode))
}

/// Calls `each` for every entry, with the kind that the directory keeps of it (it may be `Unknown`).
pub(super) fn for_each_entry<E: From<Errno>>(
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
