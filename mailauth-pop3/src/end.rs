//! How the program ends where no other takes its place.

use mailauth_core::printable::printable;
use std::io::{self, Write};

/// Why no program was started.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum End {
    /// 1: the login is refused. The daemon's log says why; callers and clients must not learn it.
    No,
    /// 2: we were called in a way that can never work.
    Misuse(String),
    /// 3: Dovecot asked where somebody's mail is, and there is nobody of that name.
    UnknownUser,
    /// 111: it cannot be known, or done, now.
    NotNow(String),
}

impl End {
    /// The exit code.
    pub fn code(&self) -> u8 {
        match self {
            End::No => 1,
            End::Misuse(_) => 2,
            End::UnknownUser => 3,
            End::NotNow(_) => 111,
        }
    }

    /// Says on the standard error what an administrator has to know; what that is connected to is the caller's log.
    /// Returns the exit code.
    pub fn report(self, program: &str) -> u8 {
        if let End::Misuse(text) | End::NotNow(text) = &self {
            for line in text.lines() {
                // There is nobody to tell that it cannot be told.
                let _ = writeln!(io::stderr(), "{program}: {}", printable(line));
            }
        }
        self.code()
    }
}
