//! Stores one message in a mailbox under its quota.
//!
//! As described in maildir(5), the message is written to `tmp`, synced, and renamed into `new`, with its size in the name.
//! Room is reserved between the last two steps, and everything is taken back if a step fails. Whenever the process dies,
//! the message is in `new` once or not at all, and the sum in maildirsize is exact or too high, but never too low.

pub mod warnings;

use crate::maildir::directory::{self, Shut};
use crate::maildir::replace;
use crate::maildir::{MaildirQuota, QuotaError, Reservation};
use crate::quota::pools::Member;
use crate::quota::{Denied, Usage};
use rustix::fd::{AsFd, BorrowedFd, OwnedFd};
use rustix::fs::{AtFlags, Gid, Uid, fchown, fsync, renameat, unlinkat};
use rustix::io::Errno;
use std::ffi::CStr;
use std::fs::File;
use std::io::{self, Read, Write};
use std::path::PathBuf;

/// Number of bytes that are copied at once.
const CHUNK: usize = 64 << 10;

/// A message that was stored in the mailbox.
#[derive(Clone, Debug)]
pub struct Delivered {
    /// Name of its file in `new`.
    pub name: String,
    /// Its size in bytes.
    pub size: u64,
    /// What the mailbox holds with it; `None` if the mailbox has no limit.
    pub usage: Option<Usage>,
}

/// Reason why a message was not stored.
#[derive(Debug, thiserror::Error)]
pub enum DeliveryError {
    /// The message does not fit, or it is not known now whether it fits.
    #[error(transparent)]
    Denied(Denied),
    /// The message could not be read to its end.
    #[error("the message cannot be read: {0}")]
    Message(io::Error),
    /// The message could not be written.
    #[error("cannot {doing} {}: {source}", .path.display())]
    Io {
        /// The failed operation.
        doing: &'static str,
        /// Path of the file or directory.
        path: PathBuf,
        /// The error of the system.
        source: io::Error,
    },
}

impl<E: Into<Denied>> From<E> for DeliveryError {
    fn from(denied: E) -> Self {
        DeliveryError::Denied(denied.into())
    }
}

/// A message in `tmp`. It is removed when this is dropped.
pub struct Spooled<'a> {
    mailbox: &'a MaildirQuota,
    tmp: OwnedFd,
    file: File,
    /// Name of the file in `tmp`, without the size.
    name: String,
    size: u64,
    stored: bool,
}

impl<'a> Spooled<'a> {
    /// Reads a message to its end, and writes it to `tmp`.
    ///
    /// # Errors
    /// Fails if the message is larger than an empty mailbox may hold, cannot be read, or cannot be written.
    pub fn read(mailbox: &'a MaildirQuota, message: &mut dyn Read) -> Result<Self, DeliveryError> {
        let tmp = part(mailbox, c"tmp")?;
        let (file, name) = create(mailbox, tmp.as_fd())?;
        let mut spooled = Spooled { mailbox, tmp, file, name, size: 0, stored: false };
        spooled.copy(message)?;
        Ok(spooled)
    }

    fn copy(&mut self, message: &mut dyn Read) -> Result<(), DeliveryError> {
        let mut buffer = vec![0; CHUNK];
        loop {
            let count = match message.read(&mut buffer) {
                Ok(0) => return Ok(()),
                Ok(count) => count,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                Err(error) => return Err(DeliveryError::Message(error)),
            };
            self.size += count as u64;
            // The message would not even fit into an empty mailbox.
            if let Some(over) = self.mailbox.limits().broken_by(Usage::default(), self.size) {
                return Err(Denied::Mailbox(over).into());
            }
            let written = self.file.write_all(buffer.get(..count).unwrap_or_default());
            written.map_err(|source| self.failed("write", "tmp", source))?;
        }
    }

    /// Returns the size of the message in bytes.
    pub fn size(&self) -> u64 {
        self.size
    }

    /// Puts the message into the mailbox, if the mailbox and the domain's pool have room for it.
    ///
    /// # Errors
    /// Fails if there is no room, if that is not known, or if the file system fails. Then the message is not in the mailbox.
    pub fn store(mut self, member: Option<&Member<'_>>) -> Result<Delivered, DeliveryError> {
        // A message that is refused here need not be synced.
        self.mailbox.precheck(self.size)?;
        self.file.sync_all().map_err(|source| self.failed("sync", "tmp", source))?;
        let new = part(self.mailbox, c"new")?;
        let name = format!("{},S={}", self.name, self.size);
        let (reservation, usage) = reserve(self.mailbox, self.size, member)?;
        if let Err(errno) = renameat(&self.tmp, self.name.as_str(), &new, &name) {
            // The reservation still holds the lock, so that no newer figure is overwritten.
            withdraw(usage, self.size, member);
            return Err(self.failed("write", "new", errno.into()));
        }
        self.stored = true;
        reservation.keep();
        if let Err(error) = self.sync(&new, &name) {
            withdraw(usage, self.size, member);
            return Err(error);
        }
        Ok(Delivered { name, size: self.size, usage })
    }

    /// Makes sure that the message survives a power failure. If that fails, the message is removed and the sender keeps it;
    /// if it cannot be removed, it counts as delivered.
    fn sync(&self, new: &OwnedFd, name: &str) -> Result<(), DeliveryError> {
        let Err(errno) = fsync(new) else { return Ok(()) };
        if unlinkat(new, name, AtFlags::empty()).is_err() {
            return Ok(());
        }
        if let Ok(size) = i64::try_from(self.size) {
            let _ = self.mailbox.adjust(-size, -1); // the next count corrects a sum that is too high
        }
        Err(self.failed("sync", "new", errno.into()))
    }

    fn failed(&self, doing: &'static str, part: &str, source: io::Error) -> DeliveryError {
        DeliveryError::Io { doing, path: self.mailbox.path().join(part), source }
    }
}

impl Drop for Spooled<'_> {
    fn drop(&mut self) {
        if !self.stored {
            let _ = unlinkat(&self.tmp, self.name.as_str(), AtFlags::empty()); // readers clean tmp
        }
    }
}

/// Reserves room in the mailbox, and in its domain's pool if it has one. Also returns the usage with the message.
fn reserve<'a>(
    mailbox: &'a MaildirQuota,
    size: u64,
    member: Option<&Member<'_>>,
) -> Result<(Reservation<'a>, Option<Usage>), Denied> {
    match member {
        Some(member) => member.reserve(mailbox, size).map(|(reservation, usage)| (reservation, Some(usage))),
        None => mailbox.reserve(size).map(|reservation| {
            let usage = reservation.usage();
            (reservation, usage)
        }),
    }
}

/// Takes a message that was not stored out of its domain's pool.
fn withdraw(usage: Option<Usage>, size: u64, member: Option<&Member<'_>>) {
    if let Some((usage, member)) = usage.zip(member)
        && let Err(error) = member.withdraw(usage, size)
    {
        tracing::warn!("{error}; the domain's quota counts a message too many until the mailbox is counted");
    }
}

fn part(mailbox: &MaildirQuota, name: &CStr) -> Result<OwnedFd, DeliveryError> {
    let path = || mailbox.path().join(name.to_string_lossy().as_ref());
    let failed = |errno: Errno| DeliveryError::Io { doing: "open", path: path(), source: errno.into() };
    match directory::open(mailbox.root(), name, mailbox.owner().0) {
        Ok(directory) => directory.ok_or_else(|| failed(Errno::NOENT)),
        Err(Shut::System(errno)) => Err(failed(errno)),
        Err(Shut::Stray(link)) => Err(QuotaError::Link { path: path(), link }.into()),
    }
}

/// Creates a file with a unique name in `tmp`, for the mailbox's owner.
fn create(mailbox: &MaildirQuota, tmp: BorrowedFd<'_>) -> Result<(File, String), DeliveryError> {
    let failed =
        |errno: Errno| DeliveryError::Io { doing: "write", path: mailbox.path().join("tmp"), source: errno.into() };
    let (file, name) = replace::create(tmp, &host()).map_err(failed)?;
    if rustix::process::geteuid().is_root() {
        let (uid, gid) = mailbox.owner();
        fchown(&file, Some(Uid::from_raw(uid)), Some(Gid::from_raw(gid))).map_err(failed)?;
    }
    Ok((file.into(), name.to_string_lossy().into_owned()))
}

/// Returns the name of the host, with the characters that are special in a file name of a message escaped as described in
/// maildir(5).
fn host() -> String {
    let name = rustix::system::uname().nodename().to_string_lossy().into_owned();
    name.replace('/', "\\057").replace(':', "\\072").replace(',', "\\054")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::quota::{CountRules, Limits};
    use std::fs;
    use std::path::Path;

    fn mailbox(path: &Path, limits: &str) -> MaildirQuota {
        for part in ["tmp", "new", "cur"] {
            fs::create_dir_all(path.join(part)).unwrap();
        }
        MaildirQuota::open(path, Limits::parse(limits).unwrap(), CountRules::default()).unwrap()
    }

    fn names(path: &Path) -> Vec<String> {
        fs::read_dir(path).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect()
    }

    #[test]
    fn a_message_is_stored_in_new_with_its_size_in_the_name() {
        let folder = tempfile::tempdir().unwrap();
        let mailbox = mailbox(folder.path(), "1000S");
        let mut message = &b"Subject: hello\n\nthere\n"[..];
        let delivered = Spooled::read(&mailbox, &mut message).unwrap().store(None).unwrap();
        assert_eq!((delivered.size, delivered.usage), (22, Some(Usage { bytes: 22, messages: 1 })));
        assert_eq!(names(&folder.path().join("new")), std::slice::from_ref(&delivered.name));
        assert!(delivered.name.ends_with(",S=22"), "{}", delivered.name);
        assert_eq!(names(&folder.path().join("tmp")), [""; 0]);
        assert_eq!(mailbox.stored().unwrap().usage, Some(mailbox.count().unwrap()));
    }

    #[test]
    fn a_message_over_quota_leaves_no_file() {
        let folder = tempfile::tempdir().unwrap();
        let mailbox = mailbox(folder.path(), "30S");
        let spool = |text: &str| Spooled::read(&mailbox, &mut text.as_bytes());
        spool("twenty characters ..").unwrap().store(None).unwrap();
        assert!(
            matches!(spool("eleven char").unwrap().store(None), Err(DeliveryError::Denied(Denied::Mailbox(over))) if over.by == 1)
        );
        assert!(
            matches!(spool(&"x".repeat(31)), Err(DeliveryError::Denied(Denied::Mailbox(_)))),
            "it is refused while it is read"
        );
        assert_eq!(names(&folder.path().join("new")).len(), 1);
        assert_eq!(names(&folder.path().join("tmp")), [""; 0]);
        assert_eq!(mailbox.usage().unwrap(), Usage { bytes: 20, messages: 1 });
    }

    #[test]
    fn an_incomplete_message_is_not_stored() {
        struct Broken;
        impl Read for Broken {
            fn read(&mut self, _: &mut [u8]) -> io::Result<usize> {
                Err(io::Error::other("torn"))
            }
        }
        let folder = tempfile::tempdir().unwrap();
        let mailbox = mailbox(folder.path(), "");
        let torn = Spooled::read(&mailbox, &mut b"half".chain(Broken));
        assert!(matches!(torn, Err(DeliveryError::Message(_))));
        assert_eq!(names(&folder.path().join("tmp")), [""; 0]);
    }

    #[test]
    fn the_room_of_a_message_that_cannot_be_renamed_is_taken_back() {
        let folder = tempfile::tempdir().unwrap();
        let mailbox = mailbox(folder.path(), "1000S");
        let spooled = Spooled::read(&mailbox, &mut &b"gone"[..]).unwrap();
        fs::remove_file(folder.path().join("tmp").join(&spooled.name)).unwrap();
        assert!(matches!(spooled.store(None), Err(DeliveryError::Io { .. })));
        let text = fs::read_to_string(folder.path().join("maildirsize")).unwrap();
        assert_eq!(text, "1000S\n0 0\n4 1\n-4 -1\n");
    }
}
