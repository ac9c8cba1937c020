//! A big mailbox to count.

use mailauth_tests::{Scratch, User};
use std::fs;
use std::os::unix::fs::chown;
use std::path::{Path, PathBuf};

/// Size of each message, in bytes.
pub const SIZE: usize = 100;

/// Owner of the mailboxes; the programs under test run as this user.
pub const OWNER: User = User { uid: 65534, gid: 65534 };

/// A Maildir with messages in `cur`, spread evenly over its folders.
pub struct Mailbox {
    path: PathBuf,
    folders: usize,
    /// True if the file names hold the size (`,S=`).
    sized: bool,
    added: usize,
}

impl Mailbox {
    /// Creates a mailbox of `messages` messages in `folders` folders, including the inbox.
    ///
    /// # Panics
    /// Panics if a file cannot be created.
    pub fn create(folder: &Scratch, name: &str, messages: usize, folders: usize, sized: bool) -> Self {
        let path = folder.join(name);
        let mut mailbox = Mailbox { path, folders, sized, added: 0 };
        for number in 0..folders {
            for part in ["cur", "new", "tmp"] {
                let path = mailbox.folder(number).join(part);
                fs::create_dir_all(&path).expect("a folder");
                chown(&path, Some(OWNER.uid), Some(OWNER.gid)).expect("its owner");
            }
            let folder = mailbox.folder(number);
            if number > 0 {
                fs::write(folder.join("maildirfolder"), "").expect("a marker");
            }
            chown(&folder, Some(OWNER.uid), Some(OWNER.gid)).expect("its owner");
        }
        for number in 0..messages {
            mailbox.put(number % folders, "cur");
        }
        mailbox
    }

    /// Returns the path of the Maildir.
    pub fn path(&self) -> &Path {
        &self.path
    }

    fn folder(&self, number: usize) -> PathBuf {
        if number == 0 { self.path.clone() } else { self.path.join(format!(".Folder{number:03}")) }
    }

    fn put(&mut self, folder: usize, part: &str) {
        let size = if self.sized { format!(",S={SIZE}") } else { String::new() };
        let flags = if part == "cur" { ":2,S" } else { "" };
        let name = format!("1700000000.M{:09}P1.bench{size}{flags}", self.added);
        let path = self.folder(folder).join(part).join(name);
        fs::write(&path, [b'x'; SIZE]).expect("a message");
        chown(&path, Some(OWNER.uid), Some(OWNER.gid)).expect("its owner");
        self.added += 1;
    }

    /// Delivers messages to the last folder.
    pub fn deliver(&mut self, messages: usize) {
        for _ in 0..messages {
            self.put(self.folders - 1, "new");
        }
    }

    /// Removes messages that other programs delivered to the inbox.
    ///
    /// # Panics
    /// Panics if the folder cannot be read or a message not removed.
    pub fn remove_foreign(&self) {
        for entry in fs::read_dir(self.path.join("new")).expect("a folder") {
            let path = entry.expect("an entry").path();
            if !path.to_string_lossy().contains(".bench") {
                fs::remove_file(path).expect("a message of another program");
            }
        }
    }

    /// Removes `maildirsize`, so that the next program has to count.
    pub fn forget(&self) {
        let _ = fs::remove_file(self.path.join("maildirsize"));
    }
}
