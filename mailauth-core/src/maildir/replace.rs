//! Replaces a small file of a mailbox as a whole.

use rustix::fd::{AsFd, BorrowedFd, OwnedFd};
use rustix::fs::{
    AtFlags, Gid, Mode, OFlags, RenameFlags, Uid, fchmod, fchown, openat, renameat, renameat_with, unlinkat,
};
use rustix::io::{Errno, write};
use std::ffi::{CStr, CString};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{SystemTime, UNIX_EPOCH};

/// Owner and mode of a new file.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Ownership {
    pub uid: u32,
    pub gid: u32,
    /// Permission bits, as of chmod(2).
    pub mode: u32,
}

/// Writes `text` to a new file in the mailbox's `tmp` and renames it to `name`. Readers see the old file or the new one,
/// never a part. If `tmp` is a link, which may lead to another disk, the new file is created in the mailbox itself.
pub(crate) fn replace(root: BorrowedFd<'_>, name: &CStr, text: &[u8], ownership: Ownership) -> Result<(), Errno> {
    place(root, name, text, ownership, |tmp, temporary| renameat(tmp, temporary, root, name))
}

/// Creates an empty file `name`, which belongs to its owner from the beginning. An existing file is left as it is.
pub(crate) fn make(root: BorrowedFd<'_>, name: &CStr, ownership: Ownership) -> Result<(), Errno> {
    let made = place(root, name, b"", ownership, |tmp, temporary| {
        match renameat_with(tmp, temporary, root, name, RenameFlags::NOREPLACE) {
            // Not every file system supports the flag.
            Err(Errno::INVAL | Errno::NOSYS) => renameat(tmp, temporary, root, name),
            other => other,
        }
    });
    match made {
        Err(Errno::EXIST) => Ok(()),
        other => other,
    }
}

/// Writes a new file, and calls `rename` to give it its name.
fn place(
    root: BorrowedFd<'_>,
    name: &CStr,
    text: &[u8],
    ownership: Ownership,
    rename: impl FnOnce(BorrowedFd<'_>, &CStr) -> Result<(), Errno>,
) -> Result<(), Errno> {
    let how = OFlags::PATH | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let tmp = match openat(root, c"tmp", how, Mode::empty()) {
        Err(Errno::NOTDIR | Errno::LOOP) => openat(root, c".", how, Mode::empty())?,
        other => other?,
    };
    let (file, temporary) = create(tmp.as_fd(), &name.to_string_lossy())?;
    let result = fill(&file, text, ownership).and_then(|()| rename(tmp.as_fd(), &temporary));
    if result.is_err() {
        let _ = unlinkat(&tmp, &temporary, AtFlags::empty()); // a left-over file does no harm, and readers clean tmp
    }
    result
}

/// Creates a file in `tmp` with a unique name as described in maildir(5): the time, the process, a number within the
/// process, and `suffix`. Returns the file, which only this user may read, and its name.
pub(crate) fn create(tmp: BorrowedFd<'_>, suffix: &str) -> Result<(OwnedFd, CString), Errno> {
    static NUMBER: AtomicU64 = AtomicU64::new(0);
    let how = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    loop {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        let (pid, number) = (std::process::id(), NUMBER.fetch_add(1, Ordering::Relaxed));
        let name = format!("{}.M{}P{pid}Q{number}.{suffix}", now.as_secs(), now.subsec_micros());
        let Ok(name) = CString::new(name) else { return Err(Errno::INVAL) };
        match openat(tmp, &name, how, Mode::RUSR | Mode::WUSR) {
            Ok(file) => return Ok((file, name)),
            Err(Errno::EXIST) => {}
            Err(errno) => return Err(errno),
        }
    }
}

fn fill(file: &OwnedFd, text: &[u8], Ownership { uid, gid, mode }: Ownership) -> Result<(), Errno> {
    let mut rest = text;
    while !rest.is_empty() {
        match write(file, rest) {
            Ok(count) => rest = rest.get(count..).unwrap_or_default(),
            Err(Errno::INTR) => {}
            Err(errno) => return Err(errno),
        }
    }
    if rustix::process::geteuid().is_root() {
        fchown(file, Some(Uid::from_raw(uid)), Some(Gid::from_raw(gid)))?;
    }
    fchmod(file, Mode::from_raw_mode(mode))
}
