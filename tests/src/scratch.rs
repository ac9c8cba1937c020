//! Temporary folders that vanish with the test process, even when it is killed.

use crate::process::run;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::OnceLock;
use tempfile::TempDir;

/// A folder, removed when dropped.
pub struct Scratch(TempDir);

impl Scratch {
    /// A new empty folder that everybody may enter.
    ///
    /// # Panics
    /// Panics if it cannot be made, or the tests do not run as root.
    pub fn new(name: &str) -> Self {
        let folder = tempfile::Builder::new()
            .prefix(&format!("{name}-"))
            .permissions(fs::Permissions::from_mode(0o755))
            .tempdir_in(top())
            .expect("a temporary folder");
        Scratch(folder)
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        self.0.path()
    }

    /// The path of something in it.
    pub fn join(&self, name: impl AsRef<Path>) -> PathBuf {
        self.0.path().join(name)
    }

    /// A copy of the folder `name` of `template`, with its owners and modes.
    ///
    /// # Panics
    /// Panics if it cannot be made.
    pub fn copy_of(&self, template: &Path, name: &str) {
        run(Command::new("cp").args(["--archive", "--reflink=auto"]).arg(template.join(name)).arg(self.path()));
    }

    /// A new folder in it that belongs to a user of the system.
    ///
    /// # Panics
    /// Panics if it cannot be made.
    pub fn folder_of(&self, user: User, name: &str) -> PathBuf {
        let path = self.join(name);
        fs::create_dir(&path).expect("a folder");
        std::os::unix::fs::chown(&path, Some(user.uid), Some(user.gid)).expect("the folder's owner");
        path
    }
}

/// The folder of this test process. Values in statics are never dropped and a killed process drops nothing, so a shell
/// waits for the end of its standard input, which comes when this process is gone, and removes the folder.
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
        // The pipe is to stay open for as long as this process lives.
        std::mem::forget(keeper.stdin.take());
        std::thread::spawn(move || keeper.wait());
        path
    })
}

/// A user of the system and its group.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct User {
    /// User id.
    pub uid: u32,
    /// Id of its group.
    pub gid: u32,
}

impl User {
    /// The user of this name.
    ///
    /// # Panics
    /// Panics if there is none.
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
