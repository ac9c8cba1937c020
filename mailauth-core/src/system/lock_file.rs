//! Lock files, so that only one of several processes does a job.
//!
//! A user that may write to the folder of a lock can put anything there, also under the name of the lock. Therefore the
//! file is opened relative to a folder that the caller holds open, no link is followed, and opening a pipe does not
//! wait.

use rustix::fd::AsFd;
use rustix::fs::{FileType, FlockOperation, Mode, OFlags, flock, fstat, openat};
use rustix::io::Errno;
use rustix::process::geteuid;
use std::ffi::OsStr;
use std::fs::File;
use std::io;

/// Locks the file `name` in `folder`, and creates the file if it is missing. Returns `None` while another process holds
/// the lock. The lock is released when the returned file is closed.
///
/// # Errors
/// Fails if the system refuses, or if the file is not a regular file with one name that belongs to root or to this
/// process's user.
pub fn take(folder: impl AsFd, name: &OsStr) -> io::Result<Option<File>> {
    let flags = OFlags::RDWR | OFlags::CREATE | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::NOCTTY | OFlags::CLOEXEC;
    let file = match openat(folder, name, flags, Mode::RUSR | Mode::WUSR) {
        Ok(file) => file,
        // A link, a folder, a socket, or a device without a driver.
        Err(Errno::LOOP | Errno::NXIO | Errno::ISDIR) => return Err(strange("it is not a regular file")),
        Err(errno) => return Err(errno.into()),
    };
    let found = fstat(&file)?;
    if !FileType::from_raw_mode(found.st_mode).is_file() {
        return Err(strange("it is not a regular file"));
    }
    if found.st_uid != 0 && found.st_uid != geteuid().as_raw() {
        return Err(strange("it belongs to another user"));
    }
    if found.st_nlink > 1 {
        return Err(strange("the file has another name too"));
    }
    match flock(&file, FlockOperation::NonBlockingLockExclusive) {
        Ok(()) => Ok(Some(file.into())),
        Err(Errno::WOULDBLOCK) => Ok(None),
        Err(errno) => Err(errno.into()),
    }
}

fn strange(what: &str) -> io::Error {
    io::Error::other(format!("{what}, so this program did not create it; find out which user did, and remove it"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;
    use std::os::unix::fs::{MetadataExt, PermissionsExt, symlink};
    use std::os::unix::net::UnixListener;
    use std::process::Command;

    fn taken(folder: &tempfile::TempDir) -> io::Result<Option<File>> {
        take(File::open(folder.path()).unwrap(), OsStr::new("x.lock"))
    }

    #[test]
    fn a_lock_is_held_once_and_its_file_is_private() {
        let folder = tempfile::tempdir().unwrap();
        let first = taken(&folder).unwrap().expect("the lock");
        assert!(taken(&folder).unwrap().is_none());
        assert_eq!(fs::metadata(folder.path().join("x.lock")).unwrap().permissions().mode() & 0o777, 0o600);
        drop(first);
        assert!(taken(&folder).unwrap().is_some());
    }

    #[test]
    fn anything_in_place_of_the_file_is_neither_followed_nor_waited_for() {
        let folder = tempfile::tempdir().unwrap();
        let (lock, other) = (folder.path().join("x.lock"), folder.path().join("other"));
        let refused = |what: &str| {
            let error = taken(&folder).expect_err(what).to_string();
            assert!(error.contains("remove it"), "{what}: {error}");
            let _ = fs::remove_file(&lock).or_else(|_| fs::remove_dir(&lock));
        };
        assert!(Command::new("mkfifo").arg(&lock).status().unwrap().success());
        refused("a pipe");
        symlink(&other, &lock).unwrap();
        refused("a link to nothing");
        assert!(!other.exists(), "nothing was created through the link");
        fs::write(&other, "precious").unwrap();
        let before = fs::metadata(&other).unwrap();
        symlink(&other, &lock).unwrap();
        refused("a link");
        fs::hard_link(&other, &lock).unwrap();
        refused("another name of a file");
        fs::create_dir(&lock).unwrap();
        refused("a folder");
        drop(UnixListener::bind(&lock).unwrap());
        refused("a socket");
        let after = fs::metadata(&other).unwrap();
        assert_eq!((after.mode(), after.mtime_nsec()), (before.mode(), before.mtime_nsec()));
        assert!(taken(&folder).unwrap().is_some());
    }
}
