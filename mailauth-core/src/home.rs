//! The home and the Maildir of an account, made when they are needed first.
//!
//! In two steps, so that root never makes anything where somebody else could have laid a trap. As root, folders are made
//! only inside folders that belong to root and that not everybody may write to; what is made is opened without following
//! links, and the home is given away by its descriptor. The rest is done as the owner, who can only harm himself.

use rustix::fd::{AsFd, BorrowedFd, OwnedFd};
use rustix::fs::{AtFlags, CWD, Dir, Mode, OFlags, StatxFlags, fchown, mkdirat, openat, statx};
use rustix::io::Errno;
use rustix::process::{Gid, Uid};
use std::ffi::OsStr;
use std::fs::DirBuilder;
use std::io;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Component, Path};

/// As root: makes the home, and the folders above it, as far as that is root's to do. What is there already stays.
///
/// # Errors
/// When the file system fails.
pub fn as_root(home: &Path, uid: u32, gid: u32) -> io::Result<()> {
    let how = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
    let mut folder = openat(CWD, "/", how, Mode::empty())?;
    let mut names = home.components().filter_map(|component| match component {
        Component::Normal(name) => Some(name),
        _ => None,
    });
    let mut next = names.next();
    while let Some(name) = next {
        next = names.next();
        let trust = Trust::in_folder(folder.as_fd())?;
        // A link that somebody else has put there leads nowhere.
        let follow = if trust == Trust::ToMake { OFlags::empty() } else { OFlags::NOFOLLOW };
        folder = match (trust, openat(&folder, name, how | follow, Mode::empty())) {
            (Trust::None, _) => return Ok(()),
            (_, Ok(inside)) => inside,
            (Trust::ToMake, Err(Errno::NOENT)) => make(folder.as_fd(), name, next.is_none().then_some((uid, gid)))?,
            (Trust::ToPass, Err(Errno::NOENT | Errno::LOOP | Errno::NOTDIR)) => return Ok(()),
            (_, Err(errno)) => return Err(errno.into()),
        };
    }
    Ok(())
}

/// How far root trusts what is in a folder.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Trust {
    /// Somebody else can put there what he likes.
    None,
    /// The same, but what is root's stays root's: a folder such as /tmp.
    ToPass,
    /// Nobody but root, and whom root gave the folder's group.
    ToMake,
}

impl Trust {
    fn in_folder(folder: BorrowedFd<'_>) -> io::Result<Self> {
        let found = statx(folder, c"", AtFlags::EMPTY_PATH, StatxFlags::UID | StatxFlags::MODE)?;
        Ok(match (found.stx_uid, found.stx_mode & 0o1002) {
            (0, 0 | 0o1000) => Trust::ToMake,
            (0, 0o1002) => Trust::ToPass,
            _ => Trust::None,
        })
    }
}

/// Makes a folder in one of root's; with an owner, it is the home.
fn make(parent: BorrowedFd<'_>, name: &OsStr, owner: Option<(u32, u32)>) -> io::Result<OwnedFd> {
    let mode = if owner.is_some() { 0o700 } else { 0o755 };
    match mkdirat(parent, name, Mode::from(mode)) {
        // Somebody else logs in at the same time.
        Ok(()) | Err(Errno::EXIST) => {}
        Err(errno) => return Err(errno.into()),
    }
    let how = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let folder = openat(parent, name, how, Mode::empty())?;
    if let Some((uid, gid)) = owner
        && Trust::in_folder(folder.as_fd())? == Trust::ToMake
        && is_empty(folder.as_fd())?
    {
        fchown(&folder, Some(Uid::from_raw(uid)), Some(Gid::from_raw(gid)))?;
    }
    Ok(folder)
}

fn is_empty(folder: BorrowedFd<'_>) -> io::Result<bool> {
    for entry in Dir::read_from(folder)? {
        if !matches!(entry?.file_name().to_bytes(), b"." | b"..") {
            return Ok(false);
        }
    }
    Ok(true)
}

/// As the owner: makes what is missing of the home and of its Maildir.
///
/// # Errors
/// When the file system fails, or does not let the owner.
pub fn as_owner(home: &Path, mailbox: Option<&Path>) -> io::Result<()> {
    let mut builder = DirBuilder::new();
    builder.recursive(true).mode(0o700);
    builder.create(home)?;
    if let Some(mailbox) = mailbox {
        ["tmp", "new", "cur"].iter().try_for_each(|part| builder.create(mailbox.join(part)))?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;
    use std::os::unix::fs::{MetadataExt, PermissionsExt};

    #[test]
    fn an_owner_makes_home_and_maildir_and_again_nothing() {
        let folder = tempfile::tempdir().unwrap();
        let home = folder.path().join("example.org/anna");
        let mailbox = home.join("Maildir");
        for _ in 0..2 {
            as_owner(&home, Some(&mailbox)).unwrap();
            for part in ["cur", "new", "tmp"] {
                assert_eq!(fs::metadata(mailbox.join(part)).unwrap().mode() & 0o7777, 0o700);
            }
        }
    }

    #[test]
    fn root_makes_nothing_where_everybody_may_write() {
        let folder = tempfile::tempdir().unwrap();
        fs::set_permissions(folder.path(), fs::Permissions::from_mode(0o1777)).unwrap();
        as_root(&folder.path().join("anna"), 5000, 5000).unwrap();
        assert!(!folder.path().join("anna").exists());
    }
}
