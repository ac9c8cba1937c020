//! Moving a mailbox to another place on the same file system.
//!
//! It is one rename(2) of a folder, which is done whole or not at all, and never puts one mailbox over another. As root,
//! every folder on the way belongs to root or to the mailbox's owner and is not for everybody to write to, and a link is
//! followed only where root alone could have made it. So nobody but the owner can choose what is moved, and where to.

use rustix::fd::{AsFd, BorrowedFd, OwnedFd};
use rustix::fs::{
    AtFlags, CWD, FileType, Mode, OFlags, RenameFlags, StatxFlags, fchown, fsync, mkdirat, openat, renameat,
    renameat_with, statx, unlinkat,
};
use rustix::io::Errno;
use rustix::process::{Gid, Uid, geteuid};
use std::ffi::{OsStr, OsString};
use std::path::{Component, Path, PathBuf};

/// Why a mailbox was not moved. It is where it was.
#[derive(Debug, thiserror::Error)]
pub enum NotMoved {
    /// There is something in its new place.
    #[error("{} exists already; move it away first", .0.display())]
    Exists(PathBuf),
    /// It is no folder, or a link to one.
    #[error("{} is no folder of its own but a link or a file; move it by hand", .0.display())]
    NoFolder(PathBuf),
    /// A folder that another user could exchange for another one meanwhile.
    #[error("{} belongs to user {owner} or may be written to by everybody, so that root must not move what is in it", .path.display())]
    NotSafe {
        /// The folder.
        path: PathBuf,
        /// Its owner.
        owner: u32,
    },
    /// The new place is on another file system.
    #[error("{} and {} are on different file systems; move the mailbox by hand", .from.display(), .to.display())]
    OtherFileSystem {
        /// Where it is.
        from: PathBuf,
        /// Where it would be.
        to: PathBuf,
    },
    /// A path that does not name a folder inside another one.
    #[error("{} is no absolute path of a folder", .0.display())]
    Path(PathBuf),
    /// A system call failed.
    #[error("cannot {doing} {}: {errno}", .path.display())]
    Io {
        /// What was to be done, as in "cannot open".
        doing: &'static str,
        /// With what.
        path: PathBuf,
        /// The system's reason.
        errno: Errno,
    },
}

/// A mailbox that can be moved, and moved back.
#[derive(Debug)]
pub struct Moving {
    from: Place,
    to: Place,
}

/// A name in a folder that is open.
#[derive(Debug)]
struct Place {
    parent: OwnedFd,
    name: OsString,
    path: PathBuf,
}

impl Moving {
    /// Prepares to move the folder `from` to `to`; `None` if there is no such folder. Folders that are missing above `to`
    /// are made.
    ///
    /// # Errors
    /// When it cannot be moved there.
    pub fn prepare(from: &Path, to: &Path, owner: (u32, u32)) -> Result<Option<Self>, NotMoved> {
        let Some(from) = Place::find(from, owner, false)? else { return Ok(None) };
        match from.kind()? {
            None => return Ok(None),
            Some((FileType::Directory, uid)) if !geteuid().is_root() || uid == owner.0 => {}
            Some((FileType::Directory, uid)) => return Err(NotMoved::NotSafe { path: from.path, owner: uid }),
            Some(_) => return Err(NotMoved::NoFolder(from.path)),
        }
        let missing = || NotMoved::Path(to.to_owned());
        let to = Place::find(to, owner, true)?.ok_or_else(missing)?;
        match to.kind()? {
            None => Ok(Some(Moving { from, to })),
            Some(_) => Err(NotMoved::Exists(to.path)),
        }
    }

    /// Moves it, and makes that last.
    ///
    /// # Errors
    /// When it is where it was.
    pub fn run(&self) -> Result<(), NotMoved> {
        rename(&self.from, &self.to)
    }

    /// Moves it back.
    ///
    /// # Errors
    /// When it is in its new place.
    pub fn undo(&self) -> Result<(), NotMoved> {
        rename(&self.to, &self.from)
    }

    /// Returns true if there is something again where it was: mail that came meanwhile.
    pub fn is_there_again(&self) -> bool {
        matches!(self.from.kind(), Ok(Some(_)))
    }
}

fn rename(from: &Place, to: &Place) -> Result<(), NotMoved> {
    let renamed = match renameat_with(&from.parent, &from.name, &to.parent, &to.name, RenameFlags::NOREPLACE) {
        // A file system such as NFS, which cannot tell.
        Err(Errno::INVAL | Errno::NOSYS) => over_an_empty_folder(from, to),
        done => done,
    };
    renamed.map_err(|errno| match errno {
        Errno::EXIST | Errno::NOTEMPTY => NotMoved::Exists(to.path.clone()),
        Errno::XDEV => NotMoved::OtherFileSystem { from: from.path.clone(), to: to.path.clone() },
        errno => NotMoved::Io { doing: "move", path: from.path.clone(), errno },
    })?;
    for place in [to, from] {
        // It is moved; after a power cut it may be in either place, and is whole.
        let _ = fsync(&place.parent);
    }
    Ok(())
}

/// Makes an empty folder, which fails where anything is, and renames over it, which fails where it is not empty any more.
fn over_an_empty_folder(from: &Place, to: &Place) -> rustix::io::Result<()> {
    mkdirat(&to.parent, &to.name, Mode::RWXU)?;
    renameat(&from.parent, &from.name, &to.parent, &to.name)
        .inspect_err(|_| _ = unlinkat(&to.parent, &to.name, AtFlags::REMOVEDIR))
}

impl Place {
    /// The last name of a path in the folder it is in; `None` if that folder is missing, unless it is to be made.
    fn find(path: &Path, owner: (u32, u32), make: bool) -> Result<Option<Self>, NotMoved> {
        let no_path = || NotMoved::Path(path.to_owned());
        let (Some(name), Some(above)) = (path.file_name(), path.parent()) else { return Err(no_path()) };
        if !path.is_absolute() {
            return Err(no_path());
        }
        let failed = |doing, at: &Path, errno| NotMoved::Io { doing, path: at.to_owned(), errno };
        let mut at = PathBuf::from("/");
        let mut folder = openat(CWD, "/", FOLDER, Mode::empty()).map_err(|errno| failed("open", &at, errno))?;
        for component in above.components() {
            let name = match component {
                Component::RootDir => continue,
                Component::Normal(name) => name,
                _ => return Err(no_path()),
            };
            let trusted = is_safe(folder.as_fd(), &at, owner.0)?;
            at.push(name);
            let follow = if trusted { OFlags::empty() } else { OFlags::NOFOLLOW };
            folder = match openat(&folder, name, FOLDER | follow, Mode::empty()) {
                Err(Errno::NOENT) if !make => return Ok(None),
                Err(Errno::NOENT) => {
                    make_folder(folder.as_fd(), name, owner).map_err(|errno| failed("make", &at, errno))?
                }
                opened => opened.map_err(|errno| failed("open", &at, errno))?,
            };
        }
        is_safe(folder.as_fd(), &at, owner.0)?;
        Ok(Some(Place { parent: folder, name: name.to_owned(), path: path.to_owned() }))
    }

    /// What is there, and whose it is; `None` for nothing.
    fn kind(&self) -> Result<Option<(FileType, u32)>, NotMoved> {
        let wanted = StatxFlags::TYPE | StatxFlags::UID;
        match statx(&self.parent, &self.name, AtFlags::SYMLINK_NOFOLLOW, wanted) {
            Ok(found) => Ok(Some((FileType::from_raw_mode(found.stx_mode.into()), found.stx_uid))),
            Err(Errno::NOENT) => Ok(None),
            Err(errno) => Err(NotMoved::Io { doing: "look at", path: self.path.clone(), errno }),
        }
    }
}

const FOLDER: OFlags = OFlags::RDONLY.union(OFlags::DIRECTORY).union(OFlags::CLOEXEC);

/// Whether only root can exchange what is in a folder, so that a link in it may be followed.
///
/// # Errors
/// As root, if others than root and the mailbox's owner can.
fn is_safe(folder: BorrowedFd<'_>, path: &Path, uid: u32) -> Result<bool, NotMoved> {
    if !geteuid().is_root() {
        return Ok(true);
    }
    let found = statx(folder, c"", AtFlags::EMPTY_PATH, StatxFlags::UID | StatxFlags::MODE)
        .map_err(|errno| NotMoved::Io { doing: "look at", path: path.to_owned(), errno })?;
    // In a sticky folder such as /tmp, what is root's or the owner's stays theirs.
    let open = found.stx_mode & 0o1002 == 0o002;
    match found.stx_uid {
        0 if !open => Ok(found.stx_mode & 0o002 == 0),
        owner if owner == uid && !open => Ok(false),
        owner => Err(NotMoved::NotSafe { path: path.to_owned(), owner }),
    }
}

/// Makes a folder as its parent is: of root in one of root's, else of the mailbox's owner.
fn make_folder(parent: BorrowedFd<'_>, name: &OsStr, (uid, gid): (u32, u32)) -> rustix::io::Result<OwnedFd> {
    match mkdirat(parent, name, Mode::from(0o755)) {
        Ok(()) | Err(Errno::EXIST) => {}
        Err(errno) => return Err(errno),
    }
    let folder = openat(parent, name, FOLDER | OFlags::NOFOLLOW, Mode::empty())?;
    let above = statx(parent, c"", AtFlags::EMPTY_PATH, StatxFlags::UID)?;
    if geteuid().is_root() && above.stx_uid == uid {
        fchown(&folder, Some(Uid::from_raw(uid)), Some(Gid::from_raw(gid)))?;
    }
    Ok(folder)
}

#[cfg(test)]
mod tests {
    use super::*;
    use rustix::process::{getegid, geteuid};
    use std::fs::{self, Permissions};
    use std::os::unix::fs::{PermissionsExt, symlink};

    fn own() -> (u32, u32) {
        (geteuid().as_raw(), getegid().as_raw())
    }

    fn mailbox(folder: &Path) -> PathBuf {
        let home = folder.join("example.org/anna");
        fs::create_dir_all(home.join("Maildir/new")).unwrap();
        fs::write(home.join("Maildir/new/1"), "mail").unwrap();
        home
    }

    #[test]
    fn a_mailbox_is_moved_and_moved_back() {
        let folder = tempfile::tempdir().unwrap();
        let (from, to) = (mailbox(folder.path()), folder.path().join("other.example/anne"));
        let moving = Moving::prepare(&from, &to, own()).unwrap().unwrap();
        moving.run().unwrap();
        assert_eq!(fs::read(to.join("Maildir/new/1")).unwrap(), b"mail");
        assert!(!from.exists() && !moving.is_there_again());
        moving.undo().unwrap();
        assert!(from.join("Maildir/new/1").exists() && !to.exists());
    }

    #[test]
    fn nothing_is_put_over_what_is_there() {
        let folder = tempfile::tempdir().unwrap();
        let (from, to) = (mailbox(folder.path()), folder.path().join("example.org/anne"));
        let moving = Moving::prepare(&from, &to, own()).unwrap().unwrap();
        fs::create_dir(&to).unwrap();
        assert!(matches!(moving.run(), Err(NotMoved::Exists(_))), "an empty folder that came meanwhile");
        assert!(matches!(Moving::prepare(&from, &to, own()), Err(NotMoved::Exists(_))));
        assert!(from.join("Maildir/new/1").exists());
        let empty = folder.path().join("empty");
        fs::create_dir(&empty).unwrap();
        let place = |path: &Path| Place::find(path, own(), false).unwrap().unwrap();
        assert_eq!(over_an_empty_folder(&place(&from), &place(&empty)), Err(Errno::EXIST));
        over_an_empty_folder(&place(&from), &place(&folder.path().join("free"))).unwrap();
        assert!(folder.path().join("free/Maildir/new/1").exists());
    }

    #[test]
    fn where_there_is_no_mailbox_nothing_is_moved() {
        let folder = tempfile::tempdir().unwrap();
        let to = folder.path().join("b");
        assert!(Moving::prepare(&folder.path().join("a"), &to, own()).unwrap().is_none());
        assert!(Moving::prepare(&folder.path().join("no/a"), &to, own()).unwrap().is_none());
        assert!(matches!(Moving::prepare(Path::new("a"), &to, own()), Err(NotMoved::Path(_))));
        assert!(matches!(Moving::prepare(Path::new("/"), &to, own()), Err(NotMoved::Path(_))));
        assert!(matches!(Moving::prepare(&folder.path().join("../x"), &to, own()), Err(NotMoved::Path(_))));
    }

    #[test]
    fn a_link_is_not_moved() {
        let folder = tempfile::tempdir().unwrap();
        let home = mailbox(folder.path());
        symlink(&home, folder.path().join("link")).unwrap();
        let refused = Moving::prepare(&folder.path().join("link"), &folder.path().join("b"), own());
        assert!(matches!(refused, Err(NotMoved::NoFolder(_))));
    }

    #[test]
    fn root_moves_nothing_by_folders_of_other_users() {
        if !geteuid().is_root() {
            return;
        }
        let folder = tempfile::tempdir().unwrap();
        let home = mailbox(folder.path());
        let to = folder.path().join("example.org/anne");
        let chown = |path: &Path, uid| std::os::unix::fs::chown(path, Some(uid), Some(uid)).unwrap();
        chown(&home, 5000);
        assert!(Moving::prepare(&home, &to, (5000, 5000)).unwrap().is_some());
        chown(&folder.path().join("example.org"), 5000);
        assert!(Moving::prepare(&home, &to, (5000, 5000)).unwrap().is_some(), "of the owner");
        let made = folder.path().join("example.org/deep/anne");
        Moving::prepare(&home, &made, (5000, 5000)).unwrap();
        let deep = fs::metadata(folder.path().join("example.org/deep")).unwrap();
        assert_eq!(std::os::unix::fs::MetadataExt::uid(&deep), 5000);
        chown(&folder.path().join("example.org"), 5001);
        assert!(matches!(Moving::prepare(&home, &to, (5000, 5000)), Err(NotMoved::NotSafe { owner: 5001, .. })));
        chown(&folder.path().join("example.org"), 0);
        fs::set_permissions(folder.path().join("example.org"), Permissions::from_mode(0o777)).unwrap();
        assert!(matches!(Moving::prepare(&home, &to, (5000, 5000)), Err(NotMoved::NotSafe { .. })));
        fs::set_permissions(folder.path().join("example.org"), Permissions::from_mode(0o755)).unwrap();
        chown(&home, 5001);
        assert!(matches!(Moving::prepare(&home, &to, (5000, 5000)), Err(NotMoved::NotSafe { owner: 5001, .. })));
        chown(&home, 5000);
        // A link that the owner made, on the way to the new place.
        chown(&folder.path().join("example.org"), 5000);
        symlink("/etc", folder.path().join("example.org/link")).unwrap();
        let refused = Moving::prepare(&home, &folder.path().join("example.org/link/anne"), (5000, 5000));
        assert!(matches!(refused, Err(NotMoved::Io { .. })), "{refused:?}");
    }
}
