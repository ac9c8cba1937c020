//! Walks along paths to mailboxes as root without being led elsewhere.
//!
//! Homes belong to their users, and a group may have write access to the folders above them, as to Debian's
//! `/var/mail`. A user that may write to a folder can put a link in it, and exchange its entries while root walks
//! through it. Therefore each folder on the way is opened by one name relative to the descriptor of the folder before,
//! and judged on that descriptor by the users that can change its entries:
//!
//! | the folder | a link in it | what is missing in it |
//! |---|---|---|
//! | root's, and root alone may write to it | is followed | root makes it |
//! | root's, and a group may write to it too | is not followed | root makes it, and gives away nothing that was there |
//! | root's and sticky, and every user may write to it, as `/tmp` | is not followed | root makes nothing |
//! | a user's, and that user alone may write to it | is followed to open a mailbox, and must lead to one of the same user | as the caller says |
//! | any other | is not followed | root makes nothing |
//!
//! The target of a followed link is walked in the same way. The file or folder at the end of a walk is open, and its
//! owner is checked on its descriptor.

use rustix::fd::{AsFd, BorrowedFd, OwnedFd};
use rustix::fs::{
    AtFlags, CWD, Mode, OFlags, RenameFlags, StatxFlags, fchmod, fchown, mkdirat, openat, readlinkat, renameat,
    renameat_with, statx, unlinkat,
};
use rustix::io::Errno;
use rustix::process::{Gid, Uid};
use std::ffi::{OsStr, OsString};
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::path::{Component, Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};

/// The users that can change the entries of a folder.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Hands {
    /// Only root.
    Root,
    /// Root and the members of a group.
    Group,
    /// Every user, but entries of root stay (sticky bit).
    Sticky,
    /// Only this user and root.
    User(u32),
    /// Members of a group too, or every user. The folder belongs to this user.
    Others {
        /// Owner of the folder.
        owner: u32,
        /// True if every user may write to the folder.
        everybody: bool,
    },
}

impl Hands {
    /// Returns the users that can change the entries of a folder.
    ///
    /// # Errors
    /// Fails if the file system fails.
    pub fn on(folder: BorrowedFd<'_>) -> Result<Self, Errno> {
        let found = statx(folder, c"", AtFlags::EMPTY_PATH, StatxFlags::UID | StatxFlags::MODE)?;
        let (group, everybody, sticky) =
            (found.stx_mode & 0o020 != 0, found.stx_mode & 0o002 != 0, found.stx_mode & 0o1000 != 0);
        Ok(match found.stx_uid {
            0 if everybody && sticky => Hands::Sticky,
            0 if everybody => Hands::Others { owner: 0, everybody },
            0 if group => Hands::Group,
            0 => Hands::Root,
            owner if group || everybody => Hands::Others { owner, everybody: everybody && !sticky },
            owner => Hands::User(owner),
        })
    }
}

/// The links that a walk follows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Follow {
    /// Links that only root can have created.
    Roots,
    /// In addition, links that a user created in a folder of their own and that lead to a folder of the same user.
    Users,
    /// All links: for a process that is not root and has no rights that other users lack.
    All,
}

/// Why a walk does not reach its end.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Astray {
    /// There is a link in a folder that users other than root may write to.
    #[error(
        "{} is a link in a folder that others than root may write to, so that root does not follow it: write the path that \
         it leads to instead, or take the right to write from the folder's group", .0.display()
    )]
    Link(PathBuf),
    /// A user's link does not lead to a folder of the same user.
    #[error("{} leads through a link of user {expected} to a folder of user {owner}", .path.display())]
    Foreign {
        /// Path of the folder.
        path: PathBuf,
        /// Owner of the folder.
        owner: u32,
        /// Owner of the link.
        expected: u32,
    },
    /// A system call failed.
    #[error("cannot open {}: {errno}", .path.display())]
    System {
        /// Path that it failed for.
        path: PathBuf,
        /// The system's error.
        errno: Errno,
    },
}

impl From<Astray> for io::Error {
    fn from(astray: Astray) -> Self {
        match astray {
            Astray::System { errno, .. } => errno.into(),
            other => io::Error::new(io::ErrorKind::PermissionDenied, other),
        }
    }
}

/// Result of one step.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Step {
    /// The walk is in the next folder, or closer to it.
    On,
    /// The next name does not exist.
    Missing,
}

/// Maximum number of links, the same as the kernel's.
const MOST_LINKS: u32 = 40;

const PLACE: OFlags = OFlags::PATH.union(OFlags::DIRECTORY).union(OFlags::CLOEXEC);
const READ: OFlags = OFlags::RDONLY.union(OFlags::DIRECTORY).union(OFlags::CLOEXEC);
const NEW: OFlags = READ.union(OFlags::NOFOLLOW);

/// A walk along a path.
#[derive(Debug)]
pub(crate) struct Walk {
    folder: OwnedFd,
    /// Path of the folder that the walk is in.
    at: PathBuf,
    /// The rest of the path, with the next name last.
    left: Vec<OsString>,
    follow: Follow,
    links: u32,
    /// Required owner of the folder at the end.
    must_be_of: Option<u32>,
}

impl Walk {
    /// Begins at the root folder; for a relative path in the working folder, which is trusted.
    pub fn begin(path: &Path, follow: Follow) -> Result<Self, Astray> {
        let at = PathBuf::from(if path.is_absolute() { "/" } else { "." });
        let folder = openat(CWD, &at, PLACE, Mode::empty());
        let folder = folder.map_err(|errno| Astray::System { path: at.clone(), errno })?;
        Ok(Walk { folder, at, left: names(path), follow, links: 0, must_be_of: None })
    }

    /// Returns the folder that the walk is in.
    pub fn folder(&self) -> BorrowedFd<'_> {
        self.folder.as_fd()
    }

    /// Returns the path of that folder.
    pub fn at(&self) -> &Path {
        &self.at
    }

    /// Returns the next name; `None` at the end.
    pub fn next_name(&self) -> Option<&OsStr> {
        self.left.last().map(OsString::as_os_str)
    }

    /// Returns true if the next name is the last.
    pub fn is_at_last(&self) -> bool {
        self.left.len() == 1
    }

    /// Returns the users that can change the entries of the folder that the walk is in.
    pub fn hands(&self) -> Result<Hands, Astray> {
        Hands::on(self.folder()).map_err(|errno| self.failed(errno))
    }

    /// Moves on by one name.
    pub fn step(&mut self) -> Result<Step, Astray> {
        let Some(name) = self.left.last().cloned() else { return Ok(Step::On) };
        match openat(&self.folder, &name, PLACE | OFlags::NOFOLLOW, Mode::empty()) {
            Ok(folder) => {
                self.left.pop();
                self.enter(&name);
                self.folder = folder;
                Ok(Step::On)
            }
            Err(Errno::NOENT) => Ok(Step::Missing),
            Err(errno @ (Errno::NOTDIR | Errno::LOOP)) => match readlinkat(&self.folder, &name, Vec::new()) {
                Ok(target) => self.follow(&name, Path::new(OsStr::from_bytes(target.to_bytes()))),
                Err(_) => Err(self.failed_at(&name, errno)),
            },
            Err(errno) => Err(self.failed_at(&name, errno)),
        }
    }

    /// Adds a name to the path of the folder. The path has no links, so that `..` removes the last name.
    fn enter(&mut self, name: &OsStr) {
        match name == ".." {
            true if self.at.file_name().is_some() => _ = self.at.pop(),
            true if self.at.is_absolute() => {}
            _ => self.at.push(name),
        }
    }

    fn follow(&mut self, name: &OsStr, target: &Path) -> Result<Step, Astray> {
        self.links += 1;
        if self.links > MOST_LINKS {
            return Err(self.failed_at(name, Errno::LOOP));
        }
        match (self.follow, self.hands()?) {
            (Follow::All, _) | (_, Hands::Root) => {}
            (Follow::Users, Hands::User(owner)) if self.must_be_of.is_none_or(|expected| expected == owner) => {
                self.must_be_of = Some(owner);
            }
            _ => return Err(Astray::Link(self.at.join(name))),
        }
        self.left.pop();
        self.left.extend(names(target));
        if target.is_absolute() {
            self.at = PathBuf::from("/");
            self.folder = openat(CWD, "/", PLACE, Mode::empty()).map_err(|errno| self.failed(errno))?;
        }
        Ok(Step::On)
    }

    /// Opens the folder at the end for reading.
    pub fn finish(self) -> Result<OwnedFd, Astray> {
        let folder = openat(&self.folder, c".", READ, Mode::empty()).map_err(|errno| self.failed(errno))?;
        if let Some(expected) = self.must_be_of {
            let found =
                statx(&folder, c"", AtFlags::EMPTY_PATH, StatxFlags::UID).map_err(|errno| self.failed(errno))?;
            if found.stx_uid != expected {
                return Err(Astray::Foreign { path: self.at, owner: found.stx_uid, expected });
            }
        }
        Ok(folder)
    }

    fn failed(&self, errno: Errno) -> Astray {
        Astray::System { path: self.at.clone(), errno }
    }

    fn failed_at(&self, name: &OsStr, errno: Errno) -> Astray {
        Astray::System { path: self.at.join(name), errno }
    }
}

/// Returns the names of a path, with the first one last.
fn names(path: &Path) -> Vec<OsString> {
    let names = path.components().filter_map(|component| match component {
        Component::Normal(name) => Some(name.to_owned()),
        Component::ParentDir => Some("..".into()),
        _ => None,
    });
    let mut names: Vec<_> = names.collect();
    names.reverse();
    names
}

/// Opens an existing folder; as root, without being led elsewhere.
///
/// # Errors
/// Fails if the folder does not exist (`NOENT`), or cannot be reached.
pub(crate) fn open(path: &Path) -> Result<OwnedFd, Astray> {
    let failed = |errno| Astray::System { path: path.to_owned(), errno };
    if !rustix::process::geteuid().is_root() {
        return openat(CWD, path, READ, Mode::empty()).map_err(failed);
    }
    let mut walk = Walk::begin(path, Follow::Users)?;
    while walk.next_name().is_some() {
        if walk.step()? == Step::Missing {
            return Err(failed(Errno::NOENT));
        }
    }
    walk.finish()
}

/// Creates the folder `name` in `parent` and gives it to a user and group, as root. An existing entry is not changed.
///
/// It is created inside a folder that only root may write to, so that nothing can take its place before it is given
/// away.
///
/// # Errors
/// Fails if the file system fails.
pub(crate) fn make_and_give(
    parent: BorrowedFd<'_>,
    name: &OsStr,
    (uid, gid): (u32, u32),
    mode: u32,
) -> Result<(), Errno> {
    static NUMBER: AtomicU64 = AtomicU64::new(0);
    let number = NUMBER.fetch_add(1, Ordering::Relaxed);
    let shelter = format!(".mailauth-{}-{number}", std::process::id());
    mkdirat(parent, &shelter, Mode::from(0o700))?;
    let made = openat(parent, &shelter, NEW, Mode::empty()).and_then(|inside| {
        // In a folder that others may write to, it may have been exchanged. It is used only if it is root's alone.
        if Hands::on(inside.as_fd())? != Hands::Root {
            return Err(Errno::PERM);
        }
        mkdirat(&inside, c"new", Mode::from(0o700))?;
        let given = give(inside.as_fd(), (uid, gid), mode).and_then(|()| rename_new(inside.as_fd(), parent, name));
        given.inspect_err(|_| _ = unlinkat(&inside, c"new", AtFlags::REMOVEDIR))
    });
    let _ = unlinkat(parent, &shelter, AtFlags::REMOVEDIR); // an empty folder of no use
    match made {
        Err(Errno::EXIST | Errno::NOTEMPTY) => Ok(()),
        made => made,
    }
}

fn give(inside: BorrowedFd<'_>, (uid, gid): (u32, u32), mode: u32) -> Result<(), Errno> {
    let folder = openat(inside, c"new", NEW, Mode::empty())?;
    fchown(&folder, Some(Uid::from_raw(uid)), Some(Gid::from_raw(gid)))?;
    fchmod(&folder, Mode::from(mode))
}

fn rename_new(inside: BorrowedFd<'_>, parent: BorrowedFd<'_>, name: &OsStr) -> Result<(), Errno> {
    match renameat_with(inside, c"new", parent, name, RenameFlags::NOREPLACE) {
        // Not every file system supports the flag. Without it, only an empty folder is replaced.
        Err(Errno::INVAL | Errno::NOSYS) => renameat(inside, c"new", parent, name),
        other => other,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs::{self, File, Permissions};
    use std::os::unix::fs::{MetadataExt, PermissionsExt, chown, symlink};

    /// Calls `story` with a folder of root, if the test runs as root.
    fn as_root(story: impl FnOnce(&Path)) {
        if !rustix::process::geteuid().is_root() {
            return;
        }
        let folder = tempfile::tempdir().unwrap();
        fs::set_permissions(folder.path(), Permissions::from_mode(0o755)).unwrap();
        story(folder.path());
    }

    fn folder(path: &Path, uid: u32, mode: u32) -> PathBuf {
        fs::create_dir(path).unwrap();
        chown(path, Some(uid), Some(uid)).unwrap();
        fs::set_permissions(path, Permissions::from_mode(mode)).unwrap();
        path.to_owned()
    }

    #[test]
    fn a_link_is_followed_only_if_no_other_user_can_have_created_it() {
        as_root(|top| {
            let prize = folder(&top.join("prize"), 5000, 0o700);
            for (number, (uid, mode, follows)) in [
                (0, 0o755, true),
                (0, 0o2775, false),
                (0, 0o1777, false),
                (0, 0o1775, false),
                (0, 0o777, false),
                (5000, 0o700, true),
                (5000, 0o2770, false),
                (5001, 0o755, false),
            ]
            .into_iter()
            .enumerate()
            {
                let parent = folder(&top.join(number.to_string()), uid, mode);
                for (name, target) in [("absolute", prize.as_path()), ("relative", Path::new("../prize"))] {
                    symlink(target, parent.join(name)).unwrap();
                    let opened = open(&parent.join(name));
                    assert_eq!(opened.is_ok(), follows, "{uid} {mode:o} {name}: {opened:?}");
                }
                assert!(open(&parent.join("absolute/deeper")).is_err());
            }
        });
    }

    #[test]
    fn the_folders_that_a_link_leads_through_are_checked_too() {
        as_root(|top| {
            let prize = folder(&top.join("prize"), 5000, 0o700);
            let shared = folder(&top.join("shared"), 0, 0o2775);
            symlink(&prize, shared.join("second")).unwrap();
            symlink(shared.join("second"), top.join("first")).unwrap();
            assert_eq!(open(&top.join("first")).unwrap_err(), Astray::Link(shared.join("second")));
            symlink("circle", top.join("circle")).unwrap();
            let circle = open(&top.join("circle")).unwrap_err();
            assert!(matches!(circle, Astray::System { errno: Errno::LOOP, .. }), "{circle}");
            let missing = open(&top.join("missing/deeper")).unwrap_err();
            assert!(matches!(missing, Astray::System { errno: Errno::NOENT, .. }), "{missing}");
            fs::write(top.join("file"), "").unwrap();
            let file = open(&top.join("file/deeper")).unwrap_err();
            assert!(matches!(file, Astray::System { errno: Errno::NOTDIR, .. }), "{file}");
        });
    }

    #[test]
    fn a_link_of_a_user_to_a_folder_of_another_user_is_rejected() {
        as_root(|top| {
            let home = folder(&top.join("home"), 5000, 0o700);
            let other = folder(&top.join("other"), 5001, 0o700);
            symlink(&other, home.join("Maildir")).unwrap();
            let refused = open(&home.join("Maildir")).unwrap_err();
            assert!(matches!(refused, Astray::Foreign { owner: 5001, expected: 5000, .. }), "{refused}");
            symlink("/etc", home.join("etc")).unwrap();
            assert!(matches!(open(&home.join("etc")), Err(Astray::Foreign { owner: 0, .. })));
        });
    }

    #[test]
    fn a_folder_exchanged_in_the_meantime_is_never_given_away() {
        as_root(|top| {
            let shared = folder(&top.join("shared"), 0, 0o2775);
            let parent = File::open(&shared).unwrap();
            let over = std::sync::atomic::AtomicBool::new(false);
            let prizes = std::thread::scope(|scope| {
                let attack = scope.spawn(|| exchange_until(&over, &shared));
                for number in 0..300 {
                    let name = format!("home{number}");
                    if make_and_give(parent.as_fd(), OsStr::new(&name), (5000, 5000), 0o700).is_ok() {
                        let made = fs::symlink_metadata(shared.join(&name)).unwrap();
                        assert_eq!((made.uid(), made.mode() & 0o7777), (5000, 0o700));
                    }
                }
                over.store(true, Ordering::Relaxed);
                attack.join().unwrap()
            });
            for prize in prizes {
                let found = prize.metadata().unwrap();
                assert_eq!((found.uid(), found.mode() & 0o7777), (0, 0o755), "it still belongs to root");
            }
        });
    }

    /// Replaces what is being created in `shared` by a folder of root, as a member of the group could. Returns all such
    /// folders: if one got another name, a new one is created.
    fn exchange_until(over: &std::sync::atomic::AtomicBool, shared: &Path) -> Vec<File> {
        let (prize, aside) = (shared.join("prize"), shared.join("aside"));
        let mut prizes = Vec::new();
        while !over.load(Ordering::Relaxed) {
            if !prize.exists() {
                prizes.push(File::open(folder(&prize, 0, 0o755)).unwrap());
            }
            for entry in fs::read_dir(shared).unwrap().flatten() {
                if entry.file_name().to_string_lossy().starts_with(".mailauth-") {
                    let _ = fs::rename(entry.path(), &aside);
                    let _ = fs::rename(&prize, entry.path());
                    let _ = fs::rename(entry.path(), &prize);
                    let _ = fs::remove_dir(&aside);
                }
            }
        }
        prizes
    }
}
