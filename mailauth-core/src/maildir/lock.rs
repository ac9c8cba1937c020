//! The lock by which our own processes exclude each other from a mailbox while one of them counts and writes, or checks and
//! adds a line.
//!
//! It is flock(2) on a file of its own, `maildirlock`, which only root and the mailbox's owner can open. So another user
//! with the right to read the mailbox cannot hold the lock. The owner can, and loses only exactness: nothing waits for it
//! for long, and after waiting in vain a process continues without the lock (see [`Patience`](super::Patience)). Courier,
//! Exim and Dovecot do not use the lock; changes by them are detected by other means.

use super::replace::{self, Ownership};
use rustix::fd::{AsFd, BorrowedFd, OwnedFd};
use rustix::fs::{AtFlags, FileType, FlockOperation, Mode, OFlags, StatxFlags, flock, openat, statx, unlinkat};
use rustix::io::Errno;
use std::ffi::CStr;
use std::time::{Duration, Instant};

/// The file's name in the mailbox.
pub(super) const FILE: &CStr = c"maildirlock";

/// The lock of a mailbox, which is held until this is dropped.
#[derive(Debug)]
pub(crate) struct Lock {
    /// The open file. The lock belongs to this descriptor, not to the process.
    _file: OwnedFd,
}

/// Result of taking the lock.
#[derive(Debug)]
pub(super) enum Taken {
    /// The lock is held.
    Ours(Lock),
    /// Another process holds the lock.
    Busy,
    /// The lock cannot be taken: this user may not open or create the file, or something else is in its place.
    Never(Errno),
}

/// Takes the lock of the mailbox `root`, waiting until `until`.
pub(super) fn take(root: BorrowedFd<'_>, ownership: Ownership, until: Instant) -> Taken {
    let mut pause = Duration::from_micros(50);
    loop {
        let taken = try_to_take(root, ownership);
        let left = until.saturating_duration_since(Instant::now());
        if !matches!(taken, Taken::Busy) || left.is_zero() {
            return taken;
        }
        // flock(2) has no deadline of its own.
        std::thread::sleep(pause.min(left));
        pause = (pause * 2).min(Duration::from_millis(5));
    }
}

fn try_to_take(root: BorrowedFd<'_>, ownership: Ownership) -> Taken {
    let file = match open(root, ownership) {
        Ok(file) => file,
        Err(errno) => return Taken::Never(errno),
    };
    match flock(&file, FlockOperation::NonBlockingLockExclusive) {
        // The owner has removed the file in the meantime, and another process may hold the lock of the next one.
        Ok(()) if !is_in_place(root, file.as_fd()) => Taken::Busy,
        Ok(()) => Taken::Ours(Lock { _file: file }),
        Err(Errno::WOULDBLOCK | Errno::INTR) => Taken::Busy,
        Err(errno) => Taken::Never(errno),
    }
}

/// Opens the file. Creates it if it is missing or is not safe to use.
fn open(root: BorrowedFd<'_>, ownership: Ownership) -> Result<OwnedFd, Errno> {
    match open_existing(root, ownership.uid) {
        Ok(Some(file)) => return Ok(file),
        Ok(None) | Err(Errno::LOOP | Errno::NXIO) => {
            may_make(ownership.uid)?;
            unlinkat(root, FILE, AtFlags::empty())?;
        }
        Err(Errno::NOENT) => may_make(ownership.uid)?,
        Err(errno) => return Err(errno),
    }
    replace::make(root, FILE, Ownership { mode: 0o600, ..ownership })?;
    open_existing(root, ownership.uid)?.ok_or(Errno::EXIST)
}

/// Checks that this process may create the file. A file that belongs to a third user would keep the owner out.
fn may_make(owner: u32) -> Result<(), Errno> {
    let own = rustix::process::geteuid();
    if own.is_root() || own.as_raw() == owner { Ok(()) } else { Err(Errno::ACCESS) }
}

/// Opens the file; `None` unless it is a file that only root and the owner can open.
fn open_existing(root: BorrowedFd<'_>, owner: u32) -> Result<Option<OwnedFd>, Errno> {
    let safe = OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC | OFlags::NOCTTY;
    let file = openat(root, FILE, OFlags::RDWR | safe, Mode::empty())?;
    let found = statx(&file, c"", AtFlags::EMPTY_PATH, StatxFlags::BASIC_STATS)?;
    let is_file = FileType::from_raw_mode(u32::from(found.stx_mode)) == FileType::RegularFile;
    let is_private = found.stx_mode & 0o077 == 0 && found.stx_uid == owner && found.stx_nlink <= 1;
    Ok((is_file && is_private).then_some(file))
}

fn is_in_place(root: BorrowedFd<'_>, file: BorrowedFd<'_>) -> bool {
    let named = statx(root, FILE, AtFlags::SYMLINK_NOFOLLOW, StatxFlags::INO);
    let open = statx(file, c"", AtFlags::EMPTY_PATH, StatxFlags::INO);
    named.and_then(|named| open.map(|open| named.stx_ino == open.stx_ino)).unwrap_or(false)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs::{self, File, Permissions};
    use std::os::unix::fs::{MetadataExt, PermissionsExt};

    struct Mailbox(tempfile::TempDir, File);

    impl Mailbox {
        fn new() -> Self {
            let folder = tempfile::tempdir().unwrap();
            fs::create_dir(folder.path().join("tmp")).unwrap();
            let root = File::open(folder.path()).unwrap();
            Mailbox(folder, root)
        }

        fn take(&self) -> Taken {
            let found = self.1.metadata().unwrap();
            let ownership = Ownership { uid: found.uid(), gid: found.gid(), mode: 0o600 };
            take(self.1.as_fd(), ownership, Instant::now() + Duration::from_millis(20))
        }
    }

    #[test]
    fn only_one_process_at_a_time_holds_the_lock() {
        let mailbox = Mailbox::new();
        let lock = mailbox.take();
        assert!(matches!(lock, Taken::Ours(_)), "{lock:?}");
        assert!(matches!(mailbox.take(), Taken::Busy));
        drop(lock);
        assert!(matches!(mailbox.take(), Taken::Ours(_)));
        let found = fs::metadata(mailbox.0.path().join("maildirlock")).unwrap();
        assert_eq!((found.mode() & 0o7777, found.len()), (0o600, 0));
        assert_eq!(fs::read_dir(mailbox.0.path().join("tmp")).unwrap().count(), 0);
    }

    #[test]
    fn a_lock_on_the_folder_of_the_mailbox_has_no_effect() {
        let mailbox = Mailbox::new();
        flock(&mailbox.1, FlockOperation::LockExclusive).unwrap();
        assert!(matches!(mailbox.take(), Taken::Ours(_)));
    }

    #[test]
    fn a_lock_whose_file_was_removed_excludes_no_process() {
        let mailbox = Mailbox::new();
        let lock = mailbox.take();
        fs::remove_file(mailbox.0.path().join("maildirlock")).unwrap();
        assert!(matches!(mailbox.take(), Taken::Ours(_)));
        drop(lock);
    }

    #[test]
    fn anything_but_a_private_file_is_replaced() {
        let spoils: [fn(&std::path::Path); 4] = [
            |path| std::os::unix::fs::symlink("/etc/passwd", path).unwrap(),
            |path| fs::hard_link(path.with_file_name("other"), path).unwrap(),
            |path| {
                fs::write(path, "").unwrap();
                fs::set_permissions(path, Permissions::from_mode(0o644)).unwrap();
            },
            |path| {
                rustix::fs::mknodat(rustix::fs::CWD, path, FileType::Fifo, Mode::RUSR, 0).unwrap();
            },
        ];
        for (number, spoil) in spoils.into_iter().enumerate() {
            let mailbox = Mailbox::new();
            fs::write(mailbox.0.path().join("other"), "other").unwrap();
            spoil(&mailbox.0.path().join("maildirlock"));
            let taken = mailbox.take();
            assert!(matches!(taken, Taken::Ours(_)), "{number}: {taken:?}");
            assert_eq!(fs::read(mailbox.0.path().join("other")).unwrap(), b"other");
        }
        let mailbox = Mailbox::new();
        fs::create_dir(mailbox.0.path().join("maildirlock")).unwrap();
        assert!(matches!(mailbox.take(), Taken::Never(_)));
    }
}
