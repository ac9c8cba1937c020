//! What the object keeps in Exim's processes between questions: the configuration, in the form of an [`Asker`].
//!
//! Exim's daemon expands `smtp_accept_max_per_host` for each connection, which calls
//! [`mailauth_preload`](crate::dlfunc::mailauth_preload), and forks a process for it afterwards. The configuration that is
//! read there is in the memory of every such process, so that none of them has to read it again.
//!
//! It is read again as soon as its file, or a list from which names of users and groups were looked up, is another one or
//! was changed. Names that only a directory service knows are looked up again at the same time, as the daemon does too.

use crate::ask::Asker;
use mailauth_core::config::{Config, ConfigErrors, SYSTEM_FILE};
use mailauth_core::sync::Mutex;
use std::ffi::OsString;
use std::time::{Duration, SystemTime};

/// Files on which an [`Asker`] depends.
const FILES: [&str; 3] = [SYSTEM_FILE, "/etc/passwd", "/etc/group"];

/// Time after the last change of a file in which a second change could leave the same stamp: the kernel's clock for files
/// advances in steps of a few milliseconds, and those of network file systems are in whole seconds.
const UNSETTLED: Duration = Duration::from_secs(2);

static KEPT: Mutex<Option<Kept>> = Mutex::new(None);

struct Kept {
    stamps: [Option<Stamp>; FILES.len()],
    asker: Asker,
}

/// Identity of a file's content: each change of the content changes the time of the last change.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Stamp {
    device: u64,
    inode: u64,
    size: i64,
    /// Seconds and nanoseconds of the last change of the file or its attributes.
    changed: (i64, i64),
}

/// Passes the asker of the system's configuration to `ask`. `database` returns the program that asks the database, with its
/// arguments.
///
/// # Errors
/// Fails with all mistakes in the configuration. Nothing is kept then.
pub fn with_asker<T>(
    database: impl FnOnce() -> Option<Vec<OsString>>,
    ask: impl FnOnce(&Asker) -> T,
) -> Result<T, ConfigErrors> {
    // The files may change while they are read: what is kept is the state before that.
    let stamps = FILES.map(Stamp::of);
    // It is not in its place meanwhile, so that a panic leaves nothing behind.
    let kept = match KEPT.lock().take() {
        Some(kept) if kept.stamps == stamps => kept,
        _ => Kept { stamps, asker: Asker::new(&Config::load_system()?.0, database()).knowing_user() },
    };
    let result = ask(&kept.asker);
    if are_settled(&kept.stamps, SystemTime::now()) {
        *KEPT.lock() = Some(kept);
    }
    Ok(result)
}

impl Stamp {
    /// Returns the stamp of a file, or `None` if there is no such file or it cannot be seen.
    fn of(path: &str) -> Option<Self> {
        // Not by the standard library, whose function touches several pages of code and stack that nothing else here needs.
        let file = rustix::fs::stat(path).ok()?;
        let changed = (file.st_ctime, i64::try_from(file.st_ctime_nsec).ok()?);
        Some(Stamp { device: file.st_dev, inode: file.st_ino, size: file.st_size, changed })
    }
}

/// Returns true if none of the files can change without a change of its stamp.
fn are_settled(stamps: &[Option<Stamp>], now: SystemTime) -> bool {
    let limit = now.checked_sub(UNSETTLED).and_then(|limit| limit.duration_since(SystemTime::UNIX_EPOCH).ok());
    let Some(limit) = limit.and_then(|limit| i64::try_from(limit.as_secs()).ok()) else { return false };
    stamps.iter().flatten().all(|stamp| stamp.changed.0 < limit)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;

    #[test]
    fn a_file_that_was_replaced_or_changed_has_another_stamp() {
        let folder = tempfile::tempdir().unwrap();
        let (file, other) = (folder.path().join("a"), folder.path().join("b"));
        let stamp = || Stamp::of(file.to_str().unwrap());
        assert_eq!(stamp(), None);
        fs::write(&file, "1").unwrap();
        let first = stamp();
        assert!(first.is_some() && stamp() == first);
        fs::write(&file, "22").unwrap();
        let second = stamp();
        assert_ne!(second, first);
        fs::write(&other, "22").unwrap();
        fs::rename(&other, &file).unwrap();
        assert_ne!(stamp(), second);
    }

    #[test]
    fn a_file_that_has_just_changed_is_not_kept() {
        let at = |seconds| SystemTime::UNIX_EPOCH + Duration::from_secs(seconds);
        let changed = |seconds| Some(Stamp { device: 1, inode: 1, size: 1, changed: (seconds, 999_999_999) });
        assert!(!are_settled(&[changed(100)], at(102)));
        assert!(are_settled(&[changed(100), None], at(103)));
        assert!(!are_settled(&[changed(100), changed(104)], at(103)), "a time in the future says nothing");
        assert!(!are_settled(&[changed(0)], at(1)));
    }
}
