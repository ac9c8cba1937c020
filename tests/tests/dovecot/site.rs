//! A daemon that speaks Dovecot's protocol on all four sockets.

use mailauth_tests::people::people;
use mailauth_tests::{Accounts, Kind, Mailauth, Scratch};
use std::path::{Path, PathBuf};

/// Sections after `[courier]` of a daemon that answers from the database only.
pub const NO_CACHE: &str = "[cache]\nenabled = false\n";

/// A daemon, and the folder of its sockets.
pub struct Site {
    pub daemon: Mailauth,
    sockets: Scratch,
}

impl Site {
    /// Starts a daemon with these further sections.
    pub fn over(accounts: &Accounts, sections: &str) -> Self {
        let sockets = Scratch::new("dovecot");
        let dovecot = dovecot(sockets.path());
        let daemon = Mailauth::unthrottled(accounts, &format!("{dovecot}{sections}"));
        Site { daemon, sockets }
    }

    pub fn client(&self) -> PathBuf {
        self.sockets.join("client")
    }

    pub fn login(&self) -> PathBuf {
        self.sockets.join("login")
    }

    pub fn userdb(&self) -> PathBuf {
        self.sockets.join("userdb")
    }

    pub fn master(&self) -> PathBuf {
        self.sockets.join("master")
    }
}

/// Returns the section `[dovecot]` with sockets in this folder.
pub fn dovecot(folder: &Path) -> String {
    let folder = folder.display();
    format!(
        "[dovecot]\nclient_socket = {{ path = \"{folder}/client\", mode = \"0660\" }}\nlogin_socket = \"{folder}/login\"\n\
         userdb_socket = \"{folder}/userdb\"\nmaster_socket = [\"{folder}/master\"]\n"
    )
}

/// Returns the accounts of most tests.
pub fn accounts(kind: Kind) -> Accounts {
    Accounts::empty(kind).with(&people(Path::new("/var/mail")))
}
