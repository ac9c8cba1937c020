//! The key that chooses the dummies, in a file, so that the choice is the same after a restart.
//!
//! With another key an unknown login may be tried on another kind of password, which never happens to a known one. A
//! client that can observe the times, for example while passwords wait for each other, could compare them from before
//! and after a restart.

use super::dummies::DummyKey;
use std::fs::{File, OpenOptions};
use std::io::{self, Read, Write};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use zeroize::Zeroizing;

/// Suffix that is appended to the name of the file next to which the key is kept.
const ENDING: &str = ".dummy-key";

/// Returns the key next to `file`, which is created if it does not exist. Returns `None`, and logs the reason, if it
/// can neither be read nor created.
pub(super) fn key_beside(file: &Path) -> Option<DummyKey> {
    let path = named_after(file);
    let made = |error: io::Error| match error.kind() {
        io::ErrorKind::NotFound => make(&path).or_else(|_| read(&path)),
        _ => Err(error),
    };
    match read(&path).or_else(made) {
        Ok(key) => Some(key),
        Err(error) => {
            tracing::info!(
                "the key {} cannot be used: {error}; until the next start, unknown logins are refused by a key of this \
                 process alone",
                path.display()
            );
            None
        }
    }
}

fn named_after(file: &Path) -> PathBuf {
    let mut name = file.as_os_str().to_owned();
    name.push(ENDING);
    name.into()
}

fn read(path: &Path) -> io::Result<DummyKey> {
    let flags = libc::O_NOFOLLOW | libc::O_NONBLOCK;
    let mut file = OpenOptions::new().read(true).custom_flags(flags).open(path)?;
    let known = file.metadata()?;
    if !known.is_file() || known.uid() != rustix::process::geteuid().as_raw() || known.mode() & 0o077 != 0 {
        return Err(io::Error::other("it is not a file of this user alone; remove it"));
    }
    let mut key = DummyKey::default();
    if known.len() != key.len() as u64 {
        return Err(io::Error::other("it is damaged; remove it"));
    }
    file.read_exact(&mut *key)?;
    Ok(key)
}

/// Creates the file under another name first, so that the final file is complete.
fn make(path: &Path) -> io::Result<DummyKey> {
    let mut suffix = [0; 8];
    let mut key: DummyKey = Zeroizing::default();
    getrandom::fill(&mut suffix).and_then(|()| getrandom::fill(&mut *key)).map_err(io::Error::other)?;
    let mut name = path.as_os_str().to_owned();
    name.push(format!(".{:016x}", u64::from_le_bytes(suffix)));
    let new = PathBuf::from(name);
    let written = write(&new, &key).and_then(|()| std::fs::hard_link(&new, path));
    // The file has its final name now, or is of no use.
    let _ = std::fs::remove_file(&new);
    written.map(|()| key)
}

fn write(path: &Path, key: &DummyKey) -> io::Result<()> {
    let mut file: File = OpenOptions::new().write(true).create_new(true).mode(0o600).open(path)?;
    file.write_all(&**key)?;
    file.sync_all()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::{PermissionsExt, symlink};

    #[test]
    fn the_key_is_made_once_for_this_user_alone_and_is_the_same_afterwards() {
        let folder = tempfile::tempdir().unwrap();
        let beside = folder.path().join("copy.db");
        let first = key_beside(&beside).unwrap();
        assert_eq!(*key_beside(&beside).unwrap(), *first);
        let mode = std::fs::metadata(folder.path().join("copy.db.dummy-key")).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 1, "nothing is left over");
        assert_ne!(*key_beside(&folder.path().join("other.db")).unwrap(), *first);
    }

    #[test]
    fn a_key_that_others_could_have_put_there_is_not_used() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("copy.db.dummy-key");
        let refused = || key_beside(&folder.path().join("copy.db")).is_none();
        std::fs::write(&path, [7; 32]).unwrap();
        std::fs::set_permissions(&path, PermissionsExt::from_mode(0o644)).unwrap();
        assert!(refused(), "others can read it");
        std::fs::set_permissions(&path, PermissionsExt::from_mode(0o600)).unwrap();
        assert!(!refused());
        std::fs::write(&path, [7; 3]).unwrap();
        assert!(refused(), "it is too short");
        std::fs::rename(&path, folder.path().join("elsewhere")).unwrap();
        symlink("elsewhere", &path).unwrap();
        assert!(refused(), "it is a link");
        assert!(key_beside(&folder.path().join("no such folder/copy.db")).is_none());
    }
}
