//! The exit codes of the program, if no other program takes its place.

use mailauth_core::printable::printable;
use std::io::{self, Write};

/// Why no program was started.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum End {
    /// 1: the login is refused. The reason is in the daemon's log and is kept from callers and clients.
    No,
    /// 2: the program was called incorrectly.
    Misuse(String),
    /// 3: Dovecot's userdb asked about a login that does not exist.
    UnknownUser,
    /// 111: the answer cannot be known, or the login cannot be completed, now.
    NotNow(String),
}

impl End {
    /// Returns the exit code.
    pub fn code(&self) -> u8 {
        match self {
            End::No => 1,
            End::Misuse(_) => 2,
            End::UnknownUser => 3,
            End::NotNow(_) => 111,
        }
    }

    /// Writes what an administrator has to know to the standard error, which callers connect to their log, and returns the
    /// exit code.
    pub fn report(self, program: &str) -> u8 {
        if let End::Misuse(text) | End::NotNow(text) = &self {
            for line in text.lines() {
                // A failure to write to the standard error cannot be reported anywhere.
                let _ = writeln!(io::stderr(), "{program}: {}", printable(line));
            }
        }
        self.code()
    }
}
