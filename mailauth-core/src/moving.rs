//! Moves a mailbox to another place on the same file system.
//!
//! This is one rename(2) of a folder, which succeeds as a whole or not at all, and never replaces another mailbox. For
//! root, every folder on the way must belong to root or to the mailbox's owner and must not be writable by every user, and
//! a link is followed only if root alone could have created it ([`trusted_path`]). What was moved is checked once more, and
//! moved back if it is not the mailbox. So only root and the owner determine what is moved, and where to.

use crate::trusted_path::{self, Astray, Follow, Hands, Step, Walk};
use rustix::fd::OwnedFd;
use rustix::fs::{
    AtFlags, FileType, Mode, RenameFlags, Statx, StatxFlags, fsync, mkdirat, renameat, renameat_with, statx, unlinkat,
};
use rustix::io::Errno;
use rustix::process::geteuid;
use std::ffi::OsString;
use std::path::{Component, Path, PathBuf};

/// Reason why a mailbox was not moved. It is still in its old place.
#[derive(Debug, thiserror::Error)]
pub enum NotMoved {
    /// Something exists in its new place.
    #[error("{} exists already; move it away first", .0.display())]
    Exists(PathBuf),
    /// It is not a folder, or a link to one.
    #[error("{} is not a folder but a link or a file; move it by hand", .0.display())]
    NoFolder(PathBuf),
    /// Another user could exchange the entries of this folder in the meantime.
    #[error("{} belongs to user {owner} or may be written to by everybody, so that root must not move what is in it", .path.display())]
    NotSafe {
        /// The folder.
        path: PathBuf,
        /// Its owner.
        owner: u32,
    },
    /// Another folder was put in its place while it was moved.
    #[error("{} was replaced by another folder while it was moved, and that folder is there again; find out which user did that", .0.display())]
    Exchanged(PathBuf),
    /// The path leads through a link that root does not follow.
    #[error(transparent)]
    Astray(Astray),
    /// The new place is on another file system.
    #[error("{} and {} are on different file systems; move the mailbox by hand", .from.display(), .to.display())]
    OtherFileSystem {
        /// Its old place.
        from: PathBuf,
        /// Its new place.
        to: PathBuf,
    },
    /// A path that does not name a folder inside another one.
    #[error("{} is not an absolute path of a folder", .0.display())]
    Path(PathBuf),
    /// A system call failed.
    #[error("cannot {doing} {}: {errno}", .path.display())]
    Io {
        /// The failed operation, as in "cannot open".
        doing: &'static str,
        /// Path of the file or folder.
        path: PathBuf,
        /// The error of the system.
        errno: Errno,
    },
}

/// A mailbox that can be moved, and moved back.
#[derive(Debug)]
pub struct Moving {
    from: Place,
    to: Place,
    /// Device and inode of the folder that is moved.
    what: (u64, u64),
}

/// A name in a folder that is open.
#[derive(Debug)]
struct Place {
    parent: OwnedFd,
    name: OsString,
    path: PathBuf,
}

impl Moving {
    /// Prepares to move the folder `from` to `to`; `None` if there is no such folder. Missing folders above `to` are created.
    ///
    /// # Errors
    /// Fails if the folder cannot be moved there.
    pub fn prepare(from: &Path, to: &Path, owner: (u32, u32)) -> Result<Option<Self>, NotMoved> {
        let Some(from) = Place::find(from, owner, false)? else { return Ok(None) };
        let Some(found) = from.look()? else { return Ok(None) };
        if FileType::from_raw_mode(found.stx_mode.into()) != FileType::Directory {
            return Err(NotMoved::NoFolder(from.path));
        }
        if geteuid().is_root() && found.stx_uid != owner.0 {
            return Err(NotMoved::NotSafe { path: from.path, owner: found.stx_uid });
        }
        let what = identity(&found);
        let missing = || NotMoved::Path(to.to_owned());
        let to = Place::find(to, owner, true)?.ok_or_else(missing)?;
        match to.look()? {
            None => Ok(Some(Moving { from, to, what })),
            Some(_) => Err(NotMoved::Exists(to.path)),
        }
    }

    /// Moves the folder, and syncs the change.
    ///
    /// # Errors
    /// Fails if the folder was not moved.
    pub fn run(&self) -> Result<(), NotMoved> {
        rename(&self.from, &self.to, self.what)
    }

    /// Moves the folder back.
    ///
    /// # Errors
    /// Fails if the folder is still in its new place.
    pub fn undo(&self) -> Result<(), NotMoved> {
        rename(&self.to, &self.from, self.what)
    }

    /// Returns true if something exists again in the old place: mail that was delivered in the meantime.
    pub fn is_there_again(&self) -> bool {
        matches!(self.from.look(), Ok(Some(_)))
    }
}

fn identity(found: &Statx) -> (u64, u64) {
    (rustix::fs::makedev(found.stx_dev_major, found.stx_dev_minor), found.stx_ino)
}

fn rename(from: &Place, to: &Place, what: (u64, u64)) -> Result<(), NotMoved> {
    rename_unchecked(from, to)?;
    if to.look()?.is_some_and(|found| identity(&found) == what) {
        return Ok(());
    }
    rename_unchecked(to, from)?;
    Err(NotMoved::Exchanged(from.path.clone()))
}

fn rename_unchecked(from: &Place, to: &Place) -> Result<(), NotMoved> {
    let renamed = match renameat_with(&from.parent, &from.name, &to.parent, &to.name, RenameFlags::NOREPLACE) {
        // A file system without the flag, such as NFS.
        Err(Errno::INVAL | Errno::NOSYS) => rename_over_empty_folder(from, to),
        done => done,
    };
    renamed.map_err(|errno| match errno {
        Errno::EXIST | Errno::NOTEMPTY => NotMoved::Exists(to.path.clone()),
        Errno::XDEV => NotMoved::OtherFileSystem { from: from.path.clone(), to: to.path.clone() },
        errno => NotMoved::Io { doing: "move", path: from.path.clone(), errno },
    })?;
    for place in [to, from] {
        // The folder is moved. Without the sync, it may be in either place after a power failure, but is complete.
        let _ = fsync(&place.parent);
    }
    Ok(())
}

/// Creates an empty folder, which fails if the name exists, and renames over it, which fails if the folder is no longer
/// empty.
fn rename_over_empty_folder(from: &Place, to: &Place) -> rustix::io::Result<()> {
    mkdirat(&to.parent, &to.name, Mode::RWXU)?;
    renameat(&from.parent, &from.name, &to.parent, &to.name)
        .inspect_err(|_| _ = unlinkat(&to.parent, &to.name, AtFlags::REMOVEDIR))
}

impl Place {
    /// Opens the folder that contains the last name of a path. If the folder is missing, creates it or returns `None`.
    fn find(path: &Path, owner: (u32, u32), make: bool) -> Result<Option<Self>, NotMoved> {
        let no_path = || NotMoved::Path(path.to_owned());
        let (Some(name), Some(above)) = (path.file_name(), path.parent()) else { return Err(no_path()) };
        let is_plain = |component| matches!(component, Component::RootDir | Component::Normal(_));
        if !path.is_absolute() || !above.components().all(is_plain) {
            return Err(no_path());
        }
        let follow = if geteuid().is_root() { Follow::Roots } else { Follow::All };
        let mut walk = Walk::begin(above, follow)?;
        while let Some(next) = walk.next_name() {
            check_folder(&walk, owner.0)?;
            let next = next.to_owned();
            if walk.step()? == Step::On {
                continue;
            }
            if !make {
                return Ok(None);
            }
            let failed = |errno| NotMoved::Io { doing: "make", path: walk.at().join(&next), errno };
            make_folder(&walk, &next, owner).map_err(failed)?;
            if walk.step()? == Step::Missing {
                return Err(NotMoved::Io { doing: "open", path: walk.at().join(&next), errno: Errno::NOENT });
            }
        }
        check_folder(&walk, owner.0)?;
        Ok(Some(Place { parent: walk.finish()?, name: name.to_owned(), path: path.to_owned() }))
    }

    /// Returns the metadata of the entry; `None` if it does not exist.
    fn look(&self) -> Result<Option<Statx>, NotMoved> {
        match statx(&self.parent, &self.name, AtFlags::SYMLINK_NOFOLLOW, StatxFlags::BASIC_STATS) {
            Ok(found) => Ok(Some(found)),
            Err(Errno::NOENT) => Ok(None),
            Err(errno) => Err(NotMoved::Io { doing: "look at", path: self.path.clone(), errno }),
        }
    }
}

impl From<Astray> for NotMoved {
    fn from(astray: Astray) -> Self {
        match astray {
            Astray::System { path, errno } => NotMoved::Io { doing: "open", path, errno },
            other => NotMoved::Astray(other),
        }
    }
}

/// Checks for root that only root and the mailbox's owner can exchange entries of the folder that the walk is in. A
/// folder of root that a group may write to is permitted too: what its members put there is not mistaken for the mailbox.
fn check_folder(walk: &Walk, uid: u32) -> Result<(), NotMoved> {
    if !geteuid().is_root() {
        return Ok(());
    }
    let owner = match walk.hands()? {
        Hands::Root | Hands::Group | Hands::Sticky => return Ok(()),
        Hands::User(owner) | Hands::Others { owner, everybody: false } if owner == uid => return Ok(()),
        Hands::User(owner) | Hands::Others { owner, .. } => owner,
    };
    Err(NotMoved::NotSafe { path: walk.at().to_owned(), owner })
}

/// Creates a folder, which belongs to root in a folder of root, else to the mailbox's owner.
fn make_folder(walk: &Walk, name: &OsString, owner: (u32, u32)) -> rustix::io::Result<()> {
    let above = statx(walk.folder(), c"", AtFlags::EMPTY_PATH, StatxFlags::UID)?;
    if geteuid().is_root() && above.stx_uid == owner.0 {
        return trusted_path::make_and_give(walk.folder(), name, owner, 0o755);
    }
    match mkdirat(walk.folder(), name, Mode::from(0o755)) {
        Err(Errno::EXIST) => Ok(()),
        made => made,
    }
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
    fn nothing_is_replaced() {
        let folder = tempfile::tempdir().unwrap();
        let (from, to) = (mailbox(folder.path()), folder.path().join("example.org/anne"));
        let moving = Moving::prepare(&from, &to, own()).unwrap().unwrap();
        fs::create_dir(&to).unwrap();
        assert!(matches!(moving.run(), Err(NotMoved::Exists(_))), "an empty folder that was created in the meantime");
        assert!(matches!(Moving::prepare(&from, &to, own()), Err(NotMoved::Exists(_))));
        assert!(from.join("Maildir/new/1").exists());
        let empty = folder.path().join("empty");
        fs::create_dir(&empty).unwrap();
        let place = |path: &Path| Place::find(path, own(), false).unwrap().unwrap();
        assert_eq!(rename_over_empty_folder(&place(&from), &place(&empty)), Err(Errno::EXIST));
        rename_over_empty_folder(&place(&from), &place(&folder.path().join("free"))).unwrap();
        assert!(folder.path().join("free/Maildir/new/1").exists());
    }

    #[test]
    fn a_missing_mailbox_is_not_moved() {
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
    fn root_moves_nothing_through_folders_of_other_users() {
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
        // A link of the owner on the way to the new place.
        chown(&folder.path().join("example.org"), 5000);
        symlink("/etc", folder.path().join("example.org/link")).unwrap();
        let refused = Moving::prepare(&home, &folder.path().join("example.org/link/anne"), (5000, 5000));
        assert!(matches!(refused, Err(NotMoved::Astray(Astray::Link(_)))), "{refused:?}");
    }

    #[test]
    fn links_in_a_folder_that_a_group_may_write_to_are_not_followed() {
        if !geteuid().is_root() {
            return;
        }
        let folder = tempfile::tempdir().unwrap();
        let home = mailbox(folder.path());
        let example = folder.path().join("example.org");
        std::os::unix::fs::chown(&home, Some(5000), Some(5000)).unwrap();
        fs::set_permissions(&example, Permissions::from_mode(0o2775)).unwrap();
        symlink("/etc", example.join("link")).unwrap();
        let refused = Moving::prepare(&home, &example.join("link/anne"), (5000, 5000));
        assert!(matches!(refused, Err(NotMoved::Astray(Astray::Link(_)))), "{refused:?}");
        let moving = Moving::prepare(&home, &example.join("anne"), (5000, 5000)).unwrap().unwrap();
        fs::rename(&home, example.join("aside")).unwrap();
        fs::create_dir(&home).unwrap();
        fs::write(home.join("another"), "").unwrap();
        assert!(matches!(moving.run(), Err(NotMoved::Exchanged(_))));
        assert!(home.join("another").exists() && !example.join("anne").exists(), "it was not moved");
        fs::remove_file(home.join("another")).unwrap();
        fs::remove_dir(&home).unwrap();
        fs::rename(example.join("aside"), &home).unwrap();
        moving.run().unwrap();
        assert!(example.join("anne/Maildir/new/1").exists());
    }
}
