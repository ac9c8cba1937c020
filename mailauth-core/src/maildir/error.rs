//! Why a quota's figures cannot be told.

use super::StrayLink;
use crate::model::usage::Usage;
use crate::trusted_path::Astray;
use rustix::io::Errno;
use std::ffi::OsStr;
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

/// Why it cannot be told what a mailbox holds. It is never an answer about the quota itself.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum QuotaError {
    /// A system call failed.
    #[error("cannot {doing} {}: {source}", .path.display())]
    Io {
        /// What was to be done, as in "cannot write".
        doing: &'static str,
        /// Path of the file or directory.
        path: PathBuf,
        /// The system's reason.
        source: io::Error,
    },
    /// A link that root does not follow is in the way.
    #[error(transparent)]
    Astray(#[from] Astray),
    /// There is no Maildir at this path.
    #[error("{} is no Maildir: it has neither new nor cur", .0.display())]
    NotAMaildir(PathBuf),
    /// The path is a Maildir++ folder: the quota is its mailbox's.
    #[error("{} is a folder of a mailbox (it has a maildirfolder file): name the mailbox itself", .0.display())]
    Folder(PathBuf),
    /// The mailbox belongs to another user than its account says.
    #[error("{} belongs to user {owner}, but its account's user is {expected}: correct one of them", .path.display())]
    WrongOwner {
        /// The mailbox.
        path: PathBuf,
        /// Its owner's user id.
        owner: u32,
        /// The account's user id.
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
    /// Part of the mailbox may not be read; the figures of the rest are no answer, but better than none for a person.
    #[error("cannot read {}: {source}; the rest of the mailbox holds {rest}", .path.display())]
    Unreadable {
        /// The directory.
        path: PathBuf,
        /// The system's reason.
        source: io::Error,
        /// What the rest holds.
        rest: Usage,
    },
    /// More folders than are counted.
    #[error("{} has more than {most} folders, or names of folders of more than {in_names} bytes", .path.display())]
    TooManyFolders {
        /// The mailbox.
        path: PathBuf,
        /// How many are counted.
        most: usize,
        /// How many bytes their names may have together.
        in_names: usize,
    },
    /// Its sizes add up to more than 2^63 - 1.
    #[error("the sizes in {} add up to more than 2^63 - 1", .0.display())]
    TooLarge(PathBuf),
    /// Another process holds the mailbox's lock. Only for a question that can be asked again.
    #[error("{} is locked by another process", .0.display())]
    Locked(PathBuf),
    /// Nothing waits for the answer any more.
    #[error("{} takes too long to count: it has very many messages or folders, or a slow disk", .0.display())]
    Late(PathBuf),
    /// Another process looks at mailboxes, and this is why it did not tell.
    #[error("{0}")]
    NotTold(String),
    /// The mailbox changed each time it was counted.
    #[error("{} keeps changing while it is counted", .0.display())]
    Unsettled(PathBuf),
}

impl QuotaError {
    /// Returns true if this user may not look into the mailbox, or not change it; another user may be able to tell.
    pub fn is_forbidden(&self) -> bool {
        use io::ErrorKind::{PermissionDenied, ReadOnlyFilesystem};
        match self {
            QuotaError::Io { source, .. } | QuotaError::Unreadable { source, .. } => {
                matches!(source.kind(), PermissionDenied | ReadOnlyFilesystem)
            }
            _ => false,
        }
    }

    /// An error of a system call on `name` in the directory `path`.
    pub(crate) fn io(doing: &'static str, path: &Path, name: &[u8], errno: Errno) -> Self {
        QuotaError::Io { doing, path: below(path, name), source: errno.into() }
    }
}

/// The path of `name` in `directory`, for a message.
pub(super) fn below(directory: &Path, name: &[u8]) -> PathBuf {
    let name = name.strip_prefix(b"./").unwrap_or(name);
    if name.is_empty() || name == b"." { directory.to_owned() } else { directory.join(OsStr::from_bytes(name)) }
}
