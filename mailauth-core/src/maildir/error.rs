//! Errors of reading and writing a mailbox's figures.

use super::StrayLink;
use crate::model::usage::Usage;
use crate::trusted_path::Astray;
use rustix::io::Errno;
use std::ffi::OsStr;
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

/// Reason why it is not known what a mailbox holds. It is never an answer about the quota itself.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum QuotaError {
    /// A system call failed.
    #[error("cannot {doing} {}: {source}", .path.display())]
    Io {
        /// The failed operation, as in "cannot write".
        doing: &'static str,
        /// Path of the file or directory.
        path: PathBuf,
        /// The error of the system.
        source: io::Error,
    },
    /// The path leads through a link that root does not follow.
    #[error(transparent)]
    Astray(#[from] Astray),
    /// There is no Maildir at this path.
    #[error("{} is no Maildir: it has neither new nor cur", .0.display())]
    NotAMaildir(PathBuf),
    /// The path is a Maildir++ folder. Only whole mailboxes have a quota.
    #[error("{} is a folder of a mailbox (it has a maildirfolder file): name the mailbox itself", .0.display())]
    Folder(PathBuf),
    /// The mailbox belongs to another user than its account says.
    #[error("{} belongs to user {owner}, but its account's user is {expected}: correct one of them", .path.display())]
    WrongOwner {
        /// The mailbox.
        path: PathBuf,
        /// User id of its owner.
        owner: u32,
        /// User id of the account.
        expected: u32,
    },
    /// A directory of messages is a link that must not be followed.
    #[error("{} is a link that {link}", .path.display())]
    Link {
        /// The link.
        path: PathBuf,
        /// What is wrong with it.
        link: StrayLink,
    },
    /// Part of the mailbox may not be read. The figures of the rest are not an answer, but useful in an error message.
    #[error("cannot read {}: {source}; the rest of the mailbox holds {rest}", .path.display())]
    Unreadable {
        /// The directory.
        path: PathBuf,
        /// The error of the system.
        source: io::Error,
        /// Usage of the rest.
        rest: Usage,
    },
    /// The mailbox has too many folders.
    #[error("{} has more than {most} folders, or names of folders of more than {in_names} bytes", .path.display())]
    TooManyFolders {
        /// The mailbox.
        path: PathBuf,
        /// Maximum number of folders.
        most: usize,
        /// Maximum total length of their names, in bytes.
        in_names: usize,
    },
    /// Its sizes add up to more than 2^63 - 1.
    #[error("the sizes in {} add up to more than 2^63 - 1", .0.display())]
    TooLarge(PathBuf),
    /// Another process holds the mailbox's lock, and the caller can try again.
    #[error("{} is locked by another process", .0.display())]
    Locked(PathBuf),
    /// The count was not finished by the deadline.
    #[error("{} takes too long to count: it has very many messages or folders, or a slow disk", .0.display())]
    Late(PathBuf),
    /// The process that works on mailboxes reported this reason.
    #[error("{0}")]
    NotTold(String),
    /// The mailbox changed each time it was counted.
    #[error("{} keeps changing while it is counted", .0.display())]
    Unsettled(PathBuf),
}

impl QuotaError {
    /// Returns true if this user may not read or change the mailbox. A process of another user may be able to.
    pub fn is_forbidden(&self) -> bool {
        use io::ErrorKind::{PermissionDenied, ReadOnlyFilesystem};
        match self {
            QuotaError::Io { source, .. } | QuotaError::Unreadable { source, .. } => {
                matches!(source.kind(), PermissionDenied | ReadOnlyFilesystem)
            }
            _ => false,
        }
    }

    /// Returns the error of a system call on `name` in the directory `path`.
    pub(crate) fn io(doing: &'static str, path: &Path, name: &[u8], errno: Errno) -> Self {
        QuotaError::Io { doing, path: below(path, name), source: errno.into() }
    }
}

/// Returns the path of `name` in `directory`, for a message.
pub(super) fn below(directory: &Path, name: &[u8]) -> PathBuf {
    let name = name.strip_prefix(b"./").unwrap_or(name);
    if name.is_empty() || name == b"." { directory.to_owned() } else { directory.join(OsStr::from_bytes(name)) }
}
