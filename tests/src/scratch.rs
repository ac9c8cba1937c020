//! Temporary folders that are removed with the test process, even if it is killed.

use crate::process::run;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::OnceLock;
use tempfile::TempDir;

/// A folder that is removed when dropped.
pub struct Scratch(TempDir);

impl Scratch {
    /// Creates an empty folder that every user may enter.
    ///
    /// # Panics
    /// Panics if it cannot be created, or the tests do not run as root.
    pub fn new(name: &str) -> Self {
        let folder = tempfile::Builder::new()
            .prefix(&format!("{name}-"))
            .permissions(fs::Permissions::from_mode(0o755))
            .tempdir_in(top())
            .expect("a temporary folder");
        Scratch(folder)
    }

    /// Returns its path.
    pub fn path(&self) -> &Path {
        self.0.path()
    }

    /// Returns the path of a file in it.
    pub fn join(&self, name: impl AsRef<Path>) -> PathBuf {
        self.0.path().join(name)
    }

    /// Copies the folder `template` into it as `name`, with owners and modes.
    ///
    /// # Panics
    /// Panics if it cannot be copied.
    pub fn copy_of(&self, template: &Path, name: &str) {
        run(Command::new("cp").args(["--archive", "--reflink=auto"]).arg(template.join(name)).arg(self.path()));
    }

    /// Creates a folder in it that belongs to a user of the system.
    ///
    /// # Panics
    /// Panics if it cannot be created.
    pub fn folder_of(&self, user: User, name: &str) -> PathBuf {
        let path = self.join(name);
        fs::create_dir(&path).expect("a folder");
        std::os::unix::fs::chown(&path, Some(user.uid), Some(user.gid)).expect("the folder's owner");
        path
    }
}

/// Returns the folder of this test process. Values in statics are never dropped and a killed process drops nothing, so
/// a shell waits for the end of its standard input, which comes when this process has ended, and removes the folder.
fn top() -> &'static Path {
    static TOP: OnceLock<PathBuf> = OnceLock::new();
    TOP.get_or_init(|| {
        assert!(
            rustix::process::geteuid().is_root(),
            "the end-to-end tests start servers under users of their own, in namespaces: run them as root (sudo tests/run)"
        );
        let path = tempfile::Builder::new()
            .prefix("mailauth-")
            .permissions(fs::Permissions::from_mode(0o755))
            .disable_cleanup(true)
            .tempdir()
            .expect("a temporary folder")
            .keep();
        let script = r#"read -r forever; for try in 1 2 3 4 5 6 7 8 9; do rm -rf "$0" && exit; sleep 0.3; done"#;
        let mut keeper = Command::new("setsid")
            .args(["sh", "-c", script])
            .arg(&path)
            .current_dir("/")
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .expect("sh");
        // The pipe has to stay open until this process ends.
        std::mem::forget(keeper.stdin.take());
        std::thread::spawn(move || keeper.wait());
        path
    })
}

/// A user of the system and its group.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct User {
    /// User ID.
    pub uid: u32,
    /// Group ID.
    pub gid: u32,
}

impl User {
    /// Returns the user of this name.
    ///
    /// # Panics
    /// Panics if it does not exist.
    pub fn named(name: &str) -> Self {
        let users = fs::read_to_string("/etc/passwd").expect("/etc/passwd");
        let fields: Vec<&str> = users
            .lines()
            .map(|line| line.split(':').collect::<Vec<_>>())
            .find(|fields| fields[0] == name)
            .unwrap_or_else(|| panic!("no user {name}: its package is missing, tests/run installs it"));
        User { uid: fields[2].parse().expect("a uid"), gid: fields[3].parse().expect("a gid") }
    }
}
