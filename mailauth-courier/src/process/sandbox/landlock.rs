//! Denying changes of files outside of named folders, and starting programs, by landlock(7). Reading files and
//! connecting to sockets by their paths are not affected.

use rustix::fd::{AsRawFd, FromRawFd, OwnedFd};
use rustix::fs::{Mode, OFlags, open};
use rustix::io::Errno;
use std::io;
use std::path::Path;
use std::ptr::null;

/// Flag of landlock_create_ruleset(2) that asks for the version. From linux/landlock.h, like all constants here: libc
/// only has the numbers of the calls.
const CREATE_RULESET_VERSION: libc::c_uint = 1;

/// Type of a rule for a folder and everything below it.
const RULE_PATH_BENEATH: libc::c_uint = 1;

const EXECUTE: u64 = 1 << 0;
const WRITE_FILE: u64 = 1 << 1;
const REMOVE_DIR: u64 = 1 << 4;
const REMOVE_FILE: u64 = 1 << 5;
const MAKE_CHAR: u64 = 1 << 6;
const MAKE_DIR: u64 = 1 << 7;
const MAKE_REG: u64 = 1 << 8;
const MAKE_SOCK: u64 = 1 << 9;
const MAKE_FIFO: u64 = 1 << 10;
const MAKE_BLOCK: u64 = 1 << 11;
const MAKE_SYM: u64 = 1 << 12;
/// Renaming from one folder to another, which counting a mailbox does. Available since the second version.
const REFER: u64 = 1 << 13;
/// Truncating a file. Available since the third version.
const TRUNCATE: u64 = 1 << 14;

/// Rights in the folder for temporary files.
const IN_TEMPORARY: u64 = WRITE_FILE | REMOVE_FILE | MAKE_REG | TRUNCATE;
/// Rights in the folders of the daemon.
const IN_FOLDERS: u64 = IN_TEMPORARY | REMOVE_DIR | MAKE_DIR | MAKE_SOCK | REFER;
/// Rights that are denied everywhere else.
const HANDLED: u64 = IN_FOLDERS | EXECUTE | MAKE_CHAR | MAKE_FIFO | MAKE_BLOCK | MAKE_SYM;

/// `struct landlock_ruleset_attr` of the first version, which all later ones accept.
#[repr(C)]
struct Ruleset {
    handled_access_fs: u64,
}

/// `struct landlock_path_beneath_attr`, which holds a rule.
#[repr(C, packed)]
struct PathBeneath {
    allowed_access: u64,
    parent_fd: i32,
}

/// Confines the calling thread, and those that it starts, to changes in and below `folders`, and to changes of regular
/// files in and below `temporary`. This cannot be undone.
///
/// # Errors
/// Fails if the kernel does not support it, or a folder cannot be opened. Nothing is confined then.
pub fn confine<'a>(folders: impl IntoIterator<Item = &'a Path>, temporary: Option<&Path>) -> io::Result<()> {
    let known = match version()? {
        ..=1 => return Err(Errno::NOSYS.into()),
        2 => !TRUNCATE,
        3.. => !0,
    };
    let rules = ruleset(HANDLED & known)?;
    for folder in folders {
        allow(&rules, folder, IN_FOLDERS & known)?;
    }
    if let Some(folder) = temporary {
        allow(&rules, folder, IN_TEMPORARY & known)?;
    }
    rustix::thread::set_no_new_privs(true)?;
    // SAFETY: the arguments are numbers.
    answer(unsafe { libc::syscall(libc::SYS_landlock_restrict_self, rules.as_raw_fd(), 0) }).map(drop)
}

/// Returns true if `error` means that this kernel has no Landlock, or that it may not be used here.
pub fn is_missing(error: &io::Error) -> bool {
    [Errno::NOSYS, Errno::OPNOTSUPP, Errno::PERM]
        .map(|errno| Some(errno.raw_os_error()))
        .contains(&error.raw_os_error())
}

/// Returns the version of Landlock in the kernel.
fn version() -> io::Result<libc::c_long> {
    // SAFETY: without a pointer and a size, the call only returns the version.
    answer(unsafe {
        libc::syscall(libc::SYS_landlock_create_ruleset, null::<Ruleset>(), 0_usize, CREATE_RULESET_VERSION)
    })
}

fn ruleset(handled_access_fs: u64) -> io::Result<OwnedFd> {
    let ruleset = Ruleset { handled_access_fs };
    let size = size_of::<Ruleset>();
    // SAFETY: the kernel reads `size` bytes of `ruleset`, which lives until the call returns.
    let made = answer(unsafe { libc::syscall(libc::SYS_landlock_create_ruleset, &raw const ruleset, size, 0) })?;
    let descriptor = i32::try_from(made).map_err(io::Error::other)?;
    // SAFETY: the kernel has just created the descriptor for this caller only.
    Ok(unsafe { OwnedFd::from_raw_fd(descriptor) })
}

fn allow(rules: &OwnedFd, folder: &Path, allowed_access: u64) -> io::Result<()> {
    let named = |error: io::Error| io::Error::new(error.kind(), format!("{}: {error}", folder.display()));
    let folder = open(folder, OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC, Mode::empty());
    let folder = folder.map_err(|errno| named(errno.into()))?;
    let rule = PathBeneath { allowed_access, parent_fd: folder.as_raw_fd() };
    let (call, rules) = (libc::SYS_landlock_add_rule, rules.as_raw_fd());
    // SAFETY: the kernel reads `rule`, which lives until the call returns, as does the folder's descriptor.
    answer(unsafe { libc::syscall(call, rules, RULE_PATH_BENEATH, &raw const rule, 0) }).map(drop).map_err(named)
}

fn answer(result: libc::c_long) -> io::Result<libc::c_long> {
    if result < 0 { Err(io::Error::last_os_error()) } else { Ok(result) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs::{self, File};
    use std::os::unix::fs::symlink;
    use std::os::unix::net::{UnixListener, UnixStream};
    use std::process::Command;

    /// Does everything that a daemon does with files in its folders.
    fn change(folder: &Path) -> Vec<io::Result<()>> {
        let at = |name: &str| folder.join(name);
        vec![
            fs::write(at("file"), "old"),
            File::options().write(true).truncate(true).open(at("there")).map(drop),
            fs::rename(at("there"), at("renamed")),
            fs::hard_link(at("renamed"), at("there")),
            fs::remove_file(at("renamed")),
            fs::create_dir(at("folder")),
            fs::rename(at("there"), at("folder/there")),
            fs::rename(at("folder/there"), at("there")),
            fs::remove_dir(at("folder")),
            UnixListener::bind(at("socket")).map(drop),
        ]
    }

    #[test]
    fn files_are_changed_in_folders_that_are_named_and_nowhere_else() {
        let (ours, other, temporary) =
            (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        for folder in [&ours, &other] {
            fs::write(folder.path().join("there"), "text").unwrap();
        }
        let listening = UnixListener::bind(other.path().join("listening")).unwrap();
        let thread = std::thread::spawn({
            let [ours, other, temporary] = [&ours, &other, &temporary].map(|folder| folder.path().to_owned());
            move || {
                confine([ours.as_path()], Some(&temporary)).unwrap();
                let within = std::thread::spawn(move || {
                    for (step, done) in change(&ours).into_iter().enumerate() {
                        done.unwrap_or_else(|error| panic!("step {step}: {error}"));
                    }
                    assert!(symlink("/etc", ours.join("link")).is_err());
                });
                within.join().unwrap();
                for (step, done) in change(&other).into_iter().enumerate() {
                    let error = done.expect_err("another folder");
                    // A missing file is reported as missing, and renaming needs the rights of both folders.
                    let kinds = [io::ErrorKind::PermissionDenied, io::ErrorKind::NotFound];
                    assert!(kinds.contains(&error.kind()), "step {step}: {error}");
                }
                assert_eq!(fs::read_to_string(other.join("there")).unwrap(), "text");
                assert!(fs::read_dir(&other).unwrap().count() == 2 && fs::read_dir("/").is_ok());
                UnixStream::connect(other.join("listening")).unwrap();
                fs::write(temporary.join("file"), "text").unwrap();
                fs::remove_file(temporary.join("file")).unwrap();
                assert!(UnixListener::bind(temporary.join("socket")).is_err());
                let started = Command::new("/bin/true").status().map_err(|error| error.kind());
                assert_eq!(started.err(), Some(io::ErrorKind::PermissionDenied));
            }
        });
        thread.join().unwrap();
        drop(listening);
        assert_eq!(fs::read_to_string(ours.path().join("file")).unwrap(), "old");
        fs::write(other.path().join("file"), "other threads are not affected").unwrap();
    }

    #[test]
    fn a_missing_folder_is_named_and_nothing_is_confined() {
        let folder = tempfile::tempdir().unwrap();
        let missing = folder.path().join("missing");
        let error = confine([missing.as_path()], None).unwrap_err();
        assert!(error.to_string().contains("missing: No such file"), "{error}");
        fs::write(folder.path().join("file"), "").unwrap();
        for errno in [Errno::NOSYS, Errno::OPNOTSUPP, Errno::PERM] {
            assert!(is_missing(&errno.into()));
        }
        assert!(!is_missing(&error));
    }
}
