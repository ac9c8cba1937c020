//! Creates the home and the Maildir of an account when they are first needed.
//!
//! This is done in two steps, so that root never creates anything where another user could have prepared a trap. Root
//! creates folders only inside folders that belong to root and that not every user may write to ([`trusted_path`]), and
//! gives the home away before it gets its name: of two first logins at the same time, neither finds a home that does
//! not belong to its owner yet. The rest is created with the owner's rights.

use crate::trusted_path::{self, Astray, Follow, Hands, Step, Walk};
use crate::{Account, privileges};
use rustix::fs::{Mode, mkdirat};
use rustix::io::Errno;
use std::fs::DirBuilder;
use std::io;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};

/// Why a mailbox was not created. Each is a whole sentence that says what to do.
#[derive(Debug, thiserror::Error)]
pub enum NotMade {
    /// This process is neither root nor the owner of the mailbox.
    #[error(
        "the mailbox {} cannot be made: this program runs as user {own}, and the account's user is {uid}: run it as root",
        .path.display()
    )]
    NotRoot {
        /// Path of the Maildir.
        path: PathBuf,
        /// User of the account.
        uid: u32,
        /// User of this process.
        own: u32,
    },
    /// The process that creates mailboxes refused, for this reason.
    #[error("{0}")]
    NotTold(String),
    /// The process that creates mailboxes cannot be asked, so it is unknown whether the mailbox is missing.
    #[error("{0}")]
    Unasked(String),
    /// The file system failed, or the owner lacks the permission.
    #[error("the mailbox {} cannot be made: {source}{}", .path.display(), advice(.source, *.uid))]
    Io {
        /// Path of the Maildir.
        path: PathBuf,
        /// User of the account.
        uid: u32,
        /// The system's error.
        source: io::Error,
    },
}

fn advice(source: &io::Error, uid: u32) -> String {
    match source.kind() {
        // This reason already says what to do.
        _ if source.get_ref().is_some_and(|inner| inner.is::<Astray>()) => String::new(),
        io::ErrorKind::ReadOnlyFilesystem => {
            "; if systemd protects it, add it to ReadWritePaths in the unit of the service".to_owned()
        }
        io::ErrorKind::PermissionDenied => format!("; the folder above the home must belong to root or to user {uid}"),
        _ => String::new(),
    }
}

/// Returns true if the account's Maildir is missing, as far as this process can see.
pub fn is_missing(account: &Account) -> bool {
    presence(account) == Presence::Missing
}

/// Returns true if the Maildir at this path is missing.
pub fn is_missing_at(path: &Path) -> bool {
    std::fs::metadata(path.join("cur")).is_err_and(|error| error.kind() == io::ErrorKind::NotFound)
}

/// What this process can see of an account's Maildir.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Presence {
    /// The Maildir exists.
    There,
    /// The Maildir is missing.
    Missing,
    /// This process has no permission to look.
    Unseen,
}

/// Looks for the account's Maildir with the rights of this process.
pub fn presence(account: &Account) -> Presence {
    match std::fs::metadata(account.maildir_path().join("cur")) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Presence::Missing,
        Err(error) if error.kind() == io::ErrorKind::PermissionDenied => Presence::Unseen,
        _ => Presence::There,
    }
}

/// Creates the missing parts of the account's home and Maildir. Existing parts are not changed.
///
/// As root, it switches to the owner's rights for the second part, on a thread of its own; the rest of the process
/// keeps its rights.
///
/// # Errors
/// Fails if this process is neither root nor the owner, or if the file system fails.
pub fn make(account: &Account) -> Result<(), NotMade> {
    let (home, path, uid) = (Path::new(&account.home), account.maildir_path(), account.uid);
    let own = rustix::process::geteuid();
    let made = if own.as_raw() == uid {
        as_owner(home, Some(&path))
    } else if own.is_root() {
        as_root(home, uid, account.gid)
            .and_then(|()| privileges::acting_as(uid, account.gid, || as_owner(home, Some(&path))))
    } else {
        return Err(NotMade::NotRoot { path, uid, own: own.as_raw() });
    };
    made.map_err(|source| NotMade::Io { path, uid, source })
}

/// Creates the home and the folders above it that root has to create. The process must be root. Existing folders are not
/// changed.
///
/// # Errors
/// Fails if the file system fails, or if a link is in the way that root does not follow.
pub fn as_root(home: &Path, uid: u32, gid: u32) -> io::Result<()> {
    let mut walk = Walk::begin(home, Follow::Roots)?;
    while let Some(name) = walk.next_name() {
        let hands = walk.hands()?;
        if matches!(hands, Hands::User(_) | Hands::Others { .. }) {
            return Ok(());
        }
        let (name, is_home) = (name.to_owned(), walk.is_at_last());
        match (walk.step(), hands) {
            (Ok(Step::On), _) => {}
            (Ok(Step::Missing) | Err(Astray::Link(_)), Hands::Sticky) => return Ok(()),
            (Ok(Step::Missing), _) if is_home => {
                return Ok(trusted_path::make_and_give(walk.folder(), &name, (uid, gid), 0o700)?);
            }
            (Ok(Step::Missing), _) => {
                match mkdirat(walk.folder(), &name, Mode::from(0o755)) {
                    // Another login creates it at the same time.
                    Ok(()) | Err(Errno::EXIST) => {}
                    Err(errno) => return Err(errno.into()),
                }
                if walk.step()? == Step::Missing {
                    return Err(Errno::NOENT.into());
                }
            }
            (Err(astray), _) => return Err(astray.into()),
        }
    }
    Ok(())
}

/// Creates the missing parts of the home and of its Maildir. The process must be the owner.
///
/// # Errors
/// Fails if the file system fails, or if the owner lacks the permission.
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
    fn an_owner_creates_home_and_maildir_once() {
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

    fn account(home: &Path, uid: u32) -> Account {
        let root = Some("/".into());
        let defaults = crate::mailbox::MailboxDefaults { uid: Some(uid), gid: Some(uid), root, ..Default::default() };
        let login = crate::Login::parse(b"anna@example.org", None).unwrap();
        let home = Some(home.to_str().unwrap().to_owned());
        defaults.resolve(crate::account::AccountRow { home, ..crate::account::AccountRow::new(login) }).unwrap()
    }

    /// Calls `story` with a folder of root, if the test runs as root; else checks that the process has to be root.
    fn with_root(story: impl FnOnce(&Path)) {
        let folder = tempfile::tempdir().unwrap();
        fs::set_permissions(folder.path(), fs::Permissions::from_mode(0o755)).unwrap();
        if rustix::process::geteuid().is_root() {
            story(folder.path());
        } else {
            let refused = make(&account(&folder.path().join("anna"), 4_000_000));
            assert!(matches!(refused, Err(NotMade::NotRoot { uid: 4_000_000, .. })), "{refused:?}");
        }
    }

    #[test]
    fn two_first_logins_at_the_same_time_create_one_mailbox() {
        with_root(|folder| {
            for round in 0..20 {
                let account = account(&folder.join(format!("{round}/example.org/anna")), 5000);
                assert!(is_missing(&account));
                std::thread::scope(|scope| {
                    let made = [0; 4].map(|_| scope.spawn(|| make(&account)));
                    made.into_iter().for_each(|made| made.join().unwrap().unwrap());
                });
                for folder in [Path::new(&account.home), &account.maildir_path().join("cur")] {
                    let found = fs::metadata(folder).unwrap();
                    assert_eq!((found.uid(), found.gid(), found.mode() & 0o7777), (5000, 5000, 0o700));
                }
                let parent = Path::new(&account.home).parent().unwrap();
                assert_eq!(fs::read_dir(parent).unwrap().count(), 1, "nothing else is left there");
                assert!(!is_missing(&account));
            }
            let file = folder.join("mine");
            fs::write(&file, "").unwrap();
            assert_eq!(fs::metadata(file).unwrap().uid(), 0, "this process is still root");
        });
    }

    #[test]
    fn a_link_is_followed_with_the_rights_of_its_owner() {
        with_root(|folder| {
            let (trap, prize) = (folder.join("trap"), folder.join("prize"));
            for path in [&trap, &prize] {
                fs::create_dir(path).unwrap();
            }
            std::os::unix::fs::symlink(&prize, trap.join("anna")).unwrap();
            std::os::unix::fs::symlink(&prize, trap.join("parent")).unwrap();
            std::os::unix::fs::chown(&trap, Some(5000), Some(5000)).unwrap();
            for home in ["anna", "parent/anna"] {
                let refused = make(&account(&trap.join(home), 5000)).unwrap_err();
                assert!(refused.to_string().contains("must belong to root or to user 5000"), "{refused}");
            }
            assert_eq!(fs::read_dir(&prize).unwrap().count(), 0);
        });
    }

    #[test]
    fn root_follows_no_link_in_a_folder_that_a_group_may_write_to() {
        with_root(|folder| {
            let mail = folder.join("mail");
            fs::create_dir(&mail).unwrap();
            std::os::unix::fs::chown(&mail, Some(0), Some(8)).unwrap();
            fs::set_permissions(&mail, fs::Permissions::from_mode(0o2775)).unwrap();
            let found = |path: &Path| {
                let found = fs::symlink_metadata(path).unwrap();
                (found.uid(), found.gid(), found.mode() & 0o7777)
            };
            for home in ["example.org/anna", "flat"] {
                make(&account(&mail.join(home), 5000)).unwrap();
                assert_eq!(found(&mail.join(home)), (5000, 5000, 0o700));
                assert_eq!(found(&mail.join(home).join("Maildir/cur")), (5000, 5000, 0o700));
            }
            assert_eq!(found(&mail.join("example.org")).0, 0);
            let prize = folder.join("prize");
            fs::create_dir(&prize).unwrap();
            std::os::unix::fs::symlink(&prize, mail.join("trap")).unwrap();
            for home in ["trap", "trap/anna"] {
                let refused = make(&account(&mail.join(home), 5000)).unwrap_err().to_string();
                assert!(refused.contains("trap is a link in a folder that others than root may write to"), "{refused}");
            }
            assert_eq!((fs::read_dir(&prize).unwrap().count(), found(&prize).0), (0, 0));
            let names = fs::read_dir(&mail).unwrap().count();
            assert_eq!(names, 3, "nothing else is left there");
        });
    }

    #[test]
    fn root_creates_nothing_in_a_folder_that_every_user_may_write_to() {
        let folder = tempfile::tempdir().unwrap();
        fs::set_permissions(folder.path(), fs::Permissions::from_mode(0o1777)).unwrap();
        as_root(&folder.path().join("anna"), 5000, 5000).unwrap();
        assert!(!folder.path().join("anna").exists());
    }
}
