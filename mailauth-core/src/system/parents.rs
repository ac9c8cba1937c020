//! Finds the users that could replace a file, from the folders on the way to it, as sshd's StrictModes does.

use super::trusted_path::{Follow, Step, Walk};
use crate::names;
use rustix::fs::{AtFlags, Stat, fstat, statat};
use std::fmt;
use std::fs::{self, Metadata};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

/// Maximum number of folders that are examined.
const MAX_STEPS: usize = 256;

/// A folder or file that can be changed by users that its owner does not need to trust.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Exposed {
    /// Its path.
    pub path: PathBuf,
    /// The users that can change it.
    pub writers: Writers,
    /// Its permission bits.
    pub mode: u32,
}

/// Users that can change something.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Writers {
    /// The user with this number, which owns it.
    Owner(u32),
    /// The members of the group with this number.
    Group(u32),
    /// Every user of the machine.
    All,
}

impl Exposed {
    /// Returns the command that corrects it.
    pub fn remedy(&self) -> String {
        let shown = self.path.display();
        match self.writers {
            Writers::Owner(_) => format!("chown root {shown}"),
            Writers::Group(_) | Writers::All => format!("chmod go-w {shown}"),
        }
    }
}

impl fmt::Display for Exposed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (shown, mode) = (self.path.display(), self.mode);
        match self.writers {
            Writers::Owner(uid) => write!(f, "{shown} belongs to the user {}", names::user(uid)),
            Writers::Group(gid) => {
                write!(f, "every member of the group {} may write to {shown} (mode {mode:04o})", names::group(gid))
            }
            Writers::All => write!(f, "every user may write to {shown} (mode {mode:04o})"),
        }
    }
}

/// Owner and permissions of a file or folder.
#[derive(Clone, Copy)]
struct Rights {
    uid: u32,
    gid: u32,
    mode: u32,
}

impl From<&Metadata> for Rights {
    fn from(found: &Metadata) -> Self {
        Rights { uid: found.uid(), gid: found.gid(), mode: found.mode() }
    }
}

impl From<Stat> for Rights {
    fn from(found: Stat) -> Self {
        Rights { uid: found.st_uid, gid: found.st_gid, mode: found.st_mode }
    }
}

/// Returns the users that can change a file or folder with this metadata, except root and the users `trusted`. The
/// group root is trusted too.
pub fn writers(found: &Metadata, trusted: &[u32]) -> Option<Writers> {
    writers_by(found.into(), trusted)
}

fn writers_by(Rights { uid, gid, mode }: Rights, trusted: &[u32]) -> Option<Writers> {
    if uid != 0 && !trusted.contains(&uid) {
        return Some(Writers::Owner(uid));
    }
    if mode & 0o002 != 0 {
        return Some(Writers::All);
    }
    (mode & 0o020 != 0 && gid != 0).then_some(Writers::Group(gid))
}

/// Returns the folders on the way to `path`, including links, in which users other than root and the users `trusted`
/// may rename or replace entries. The search ends at a folder that is missing or that this process may not examine.
pub fn exposed(path: &Path, trusted: &[u32]) -> Vec<Exposed> {
    let mut found: Vec<Exposed> = Vec::new();
    let absolute = std::path::absolute(path).unwrap_or_else(|_| path.to_owned());
    let Ok(mut walk) = Walk::begin(&absolute, Follow::All) else { return found };
    for _ in 0..MAX_STEPS {
        let Some(name) = walk.next_name() else { break };
        if name != ".."
            && let Ok(folder) = fstat(walk.folder()).map(Rights::from)
        {
            let entry = statat(walk.folder(), name, AtFlags::SYMLINK_NOFOLLOW).ok().map(Rights::from);
            if let Some(writers) = writers_of_entry(folder, entry, trusted)
                && found.iter().all(|exposed| exposed.path != walk.at())
            {
                found.push(Exposed { path: walk.at().to_owned(), writers, mode: folder.mode & 0o7777 });
            }
        }
        if walk.step() != Ok(Step::On) {
            break;
        }
    }
    found
}

/// Returns the same folders for a file, and the file itself if others may change it.
pub fn exposed_file(path: &Path, trusted: &[u32]) -> Vec<Exposed> {
    let mut found = exposed(path, trusted);
    if let Ok(file) = fs::metadata(path)
        && let Some(writers) = writers(&file, trusted)
    {
        found.push(Exposed { path: path.to_owned(), writers, mode: file.mode() & 0o7777 });
    }
    found
}

/// Returns the users that may replace an entry of this folder. In a folder with the sticky bit, entries of other users
/// cannot be replaced.
fn writers_of_entry(folder: Rights, entry: Option<Rights>, trusted: &[u32]) -> Option<Writers> {
    let writers = writers_by(folder, trusted)?;
    let is_kept = folder.mode & 0o1000 != 0
        && !matches!(writers, Writers::Owner(_))
        && entry.is_some_and(|entry| entry.uid == 0 || trusted.contains(&entry.uid));
    (!is_kept).then_some(writers)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs::Permissions;
    use std::os::unix::fs::{PermissionsExt, chown, symlink};

    fn own() -> Vec<u32> {
        vec![rustix::process::geteuid().as_raw()]
    }

    fn folder(path: &Path, mode: u32) -> PathBuf {
        fs::create_dir_all(path).unwrap();
        fs::set_permissions(path, Permissions::from_mode(mode)).unwrap();
        path.to_owned()
    }

    fn paths(found: Vec<Exposed>) -> Vec<PathBuf> {
        found.into_iter().map(|exposed| exposed.path).collect()
    }

    #[test]
    fn each_folder_that_others_may_write_to_is_found_even_behind_links() {
        let top = tempfile::tempdir().unwrap();
        let top = top.path();
        let closed = folder(&top.join("closed"), 0o755);
        assert_eq!(exposed(&closed.join("socket"), &own()), [], "a temporary folder is sticky or private");
        let open = folder(&top.join("open"), 0o777);
        let inside = folder(&open.join("inside"), 0o755);
        let found = exposed(&inside.join("socket"), &own());
        assert_eq!(found, [Exposed { path: open.clone(), writers: Writers::All, mode: 0o777 }]);
        assert!(
            found[0].to_string().starts_with("every user may write to ")
                && found[0].remedy().starts_with("chmod go-w ")
        );
        symlink(&inside, closed.join("link")).unwrap();
        assert_eq!(paths(exposed(&closed.join("link/socket"), &own())), std::slice::from_ref(&open));
        symlink("../open/inside", closed.join("relative")).unwrap();
        assert_eq!(paths(exposed(&closed.join("relative/x/y"), &own())), std::slice::from_ref(&open));
        assert_eq!(paths(exposed(&closed.join("../open/./inside/../x"), &own())), std::slice::from_ref(&open));
        symlink("round", closed.join("round")).unwrap();
        assert_eq!(exposed(&closed.join("round/x"), &own()), []);

        fs::set_permissions(&open, Permissions::from_mode(0o1777)).unwrap();
        assert_eq!(exposed(&inside.join("socket"), &own()), [], "an entry of this user in a sticky folder is safe");
        assert_eq!(
            paths(exposed(&open.join("missing"), &own())),
            [open],
            "a missing entry can be created by other users"
        );
    }

    #[test]
    fn another_user_or_group_is_named() {
        if !rustix::process::geteuid().is_root() {
            return;
        }
        let top = tempfile::tempdir().unwrap();
        let theirs = folder(&top.path().join("theirs"), 0o755);
        chown(&theirs, Some(4_012_345), Some(4_012_346)).unwrap();
        assert_eq!(
            exposed(&theirs.join("x"), &[])[0].to_string(),
            format!("{} belongs to the user 4012345", theirs.display())
        );
        assert_eq!(exposed(&theirs.join("x"), &[4_012_345]), []);
        fs::set_permissions(&theirs, Permissions::from_mode(0o775)).unwrap();
        let [group] = &exposed(&theirs.join("x"), &[4_012_345])[..] else { panic!("one folder") };
        assert_eq!(group.writers, Writers::Group(4_012_346));
        chown(&theirs, Some(0), Some(0)).unwrap();
        assert_eq!(exposed(&theirs.join("x"), &[]), [], "the group root");
        let file = theirs.join("file");
        fs::write(&file, "").unwrap();
        fs::set_permissions(&file, Permissions::from_mode(0o666)).unwrap();
        assert_eq!(exposed(&file, &[]), []);
        assert_eq!(paths(exposed_file(&file, &[])), [file]);
    }
}
