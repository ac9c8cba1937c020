//! The accounts that a client may look up.

use std::io;
use std::os::fd::BorrowedFd;

/// The accounts that a client may look up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scope {
    /// All accounts, which the client may also list and flush from the cache.
    All,
    /// The accounts with this uid.
    OfUser(u32),
}

/// Returns the scope of the client at the other end of a connection. Its error is that of a system call.
pub type ScopeOf = dyn Fn(BorrowedFd<'_>) -> io::Result<Scope> + Send + Sync;

impl Scope {
    /// Gives every client the scope [`Scope::All`].
    ///
    /// # Errors
    /// Never fails; the type is that of [`ScopeOf`].
    pub fn all(_: BorrowedFd<'_>) -> io::Result<Self> {
        Ok(Scope::All)
    }

    /// Returns true if accounts with this uid may be looked up.
    pub fn covers(self, uid: u32) -> bool {
        match self {
            Scope::All => true,
            Scope::OfUser(own) => own == uid,
        }
    }
}
