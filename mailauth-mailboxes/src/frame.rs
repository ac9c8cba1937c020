//! The messages between the daemon and the root part: one packet for a question, one for its answer.
//!
//! Numbers are little-endian and of fixed width, the two paths come last, and a packet of the wrong length is rejected. Both
//! sides check the same bounds, because neither trusts the other: the answer is written by a process of the mailbox's owner.

use mailauth_core::quota::mailboxes::{Counted, Space};
use mailauth_core::quota::{CountRules, Kind, Limits, Over, Usage};
use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::path::{Component, Path, PathBuf};

/// Version of the format. A daemon and a root part of different versions reject each other's packets.
const VERSION: u8 = 1;

/// Maximum length of a path in the system, in bytes.
const MOST_PATH: usize = 4095;

/// Number of bytes of a question before its paths.
const HEAD: usize = 64;

/// Maximum length of a question, in bytes.
pub const MOST_QUESTION: usize = HEAD + 2 * MOST_PATH;

/// Maximum length of a reason, in bytes.
const MOST_REASON: usize = 1000;

/// Maximum length of an answer, in bytes.
pub const MOST_ANSWER: usize = 64 + MOST_REASON;

/// The packet that the daemon sends when it no longer needs the mailbox's lock.
pub const RELEASE: &[u8] = b"r";

/// Maximum duration of a question, in milliseconds.
pub const LONGEST: u32 = 60_000;

/// The task of a question.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Operation {
    /// Check that a message of this size fits.
    Precheck(u64),
    /// Count the mailbox if outdated figures would refuse a delivery.
    Renew,
    /// Count the mailbox, unless it looks as it did when it held this; then hold its lock until the daemon releases it.
    Count(Option<Usage>),
    /// Create the missing parts of home and Maildir.
    Make,
}

/// A question about a mailbox.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Question {
    /// The task.
    pub operation: Operation,
    /// User id of the mailbox's owner.
    pub uid: u32,
    /// Group id of the owner.
    pub gid: u32,
    /// Maximum time to wait for the mailbox's lock, in milliseconds.
    pub lock: u32,
    /// Time after which the answer is of no use, in milliseconds.
    pub answer: u32,
    /// True if the daemon asks again later when the mailbox is locked. Otherwise the work is done without the lock.
    pub asks_again: bool,
    /// Limits of the mailbox.
    pub limits: Limits,
    /// The rules of counting.
    pub rules: CountRules,
    /// Path of the home; empty if the task does not need it.
    pub home: PathBuf,
    /// Path of the Maildir.
    pub path: PathBuf,
}

/// The answer to a question.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Answer {
    /// Result of [`Operation::Precheck`].
    Space(Space),
    /// Result of [`Operation::Renew`]: true if the mailbox was counted.
    Renewed(bool),
    /// Result of [`Operation::Count`].
    Counted(Counted),
    /// Result of [`Operation::Make`]: true if there was no Maildir.
    Made(bool),
    /// Another process holds the mailbox's lock.
    Locked,
    /// The work was not finished by the deadline.
    Late,
    /// The work failed for this reason.
    Failed(String),
}

/// Reason why a packet is rejected.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Malformed {
    /// The packet is of another version.
    #[error("the daemon and mailauth-mailboxes have different versions: install both, and restart both")]
    Version,
    /// The packet is too short or too long, or has an invalid value.
    #[error("it is not a valid packet")]
    Form,
    /// A path is not absolute, or has `..` in it.
    #[error("a path is not absolute, or has \"..\" in it")]
    Path,
}

impl Question {
    /// Writes it as a packet.
    pub fn bytes(&self) -> Vec<u8> {
        let (operation, size, known) = match self.operation {
            Operation::Precheck(size) => (1, size, None),
            Operation::Renew => (2, 0, None),
            Operation::Count(known) => (3, 0, known),
            Operation::Make => (4, 0, None),
        };
        let flags = u8::from(self.rules.count_trash)
            | u8::from(known.is_some()) << 1
            | u8::from(self.limits.bytes.is_some()) << 2
            | u8::from(self.limits.messages.is_some()) << 3
            | u8::from(self.asks_again) << 4;
        let known = known.unwrap_or_default();
        let mut bytes = vec![VERSION, operation, flags, 0];
        for number in [self.uid, self.gid, self.lock.min(LONGEST), self.answer.min(LONGEST)] {
            bytes.extend(number.to_le_bytes());
        }
        let limits = [self.limits.bytes, self.limits.messages].map(Option::unwrap_or_default);
        for number in [size, limits[0], limits[1], known.bytes, known.messages] {
            bytes.extend(number.to_le_bytes());
        }
        let paths = [&self.home, &self.path].map(|path| path.as_os_str().as_bytes());
        for path in paths {
            bytes.extend(u16::try_from(path.len()).unwrap_or(u16::MAX).to_le_bytes());
        }
        paths.iter().for_each(|path| bytes.extend(*path));
        bytes
    }

    /// Reads a packet.
    ///
    /// # Errors
    /// Fails if it is not a question.
    pub fn parse(bytes: &[u8]) -> Result<Self, Malformed> {
        let mut from = Reader(bytes);
        if from.byte()? != VERSION {
            return Err(Malformed::Version);
        }
        let [operation, flags, zero] = [from.byte()?, from.byte()?, from.byte()?];
        let [uid, gid, lock, answer] = [from.u32()?, from.u32()?, from.u32()?, from.u32()?];
        let [size, most_bytes, most_messages] = [from.u64()?, from.u64()?, from.u64()?];
        let known = from.usage()?;
        let lengths = [from.u16()?, from.u16()?];
        let [home, path] = [from.path(lengths[0])?, from.path(lengths[1])?];
        if zero != 0 || flags >= 32 || lock > LONGEST || answer > LONGEST || !from.0.is_empty() {
            return Err(Malformed::Form);
        }
        let limit = |flag: u8, number: u64| match (flags & flag != 0, number) {
            (true, number) if number <= Limits::MAX => Ok(Some(number)),
            (false, 0) => Ok(None),
            _ => Err(Malformed::Form),
        };
        let known = match (flags & 2 != 0, known) {
            (true, known) => Some(known),
            (false, known) if known == Usage::default() => None,
            (false, _) => return Err(Malformed::Form),
        };
        let operation = match (operation, size, known) {
            (1, size, None) => Operation::Precheck(size),
            (2, 0, None) => Operation::Renew,
            (3, 0, known) => Operation::Count(known),
            (4, 0, None) => Operation::Make,
            _ => return Err(Malformed::Form),
        };
        // Only the creation of a mailbox needs its home.
        let has_home = operation == Operation::Make;
        if !is_plain(&path) || (has_home && !is_plain(&home)) || (!has_home && !home.as_os_str().is_empty()) {
            return Err(Malformed::Path);
        }
        let limits = Limits { bytes: limit(4, most_bytes)?, messages: limit(8, most_messages)? };
        let (rules, asks_again) = (CountRules { count_trash: flags & 1 != 0 }, flags & 16 != 0);
        Ok(Question { operation, uid, gid, lock, answer, asks_again, limits, rules, home, path })
    }
}

/// Returns true if a path is absolute and has no `..`.
fn is_plain(path: &Path) -> bool {
    path.is_absolute() && path.components().all(|part| matches!(part, Component::RootDir | Component::Normal(_)))
}

impl Answer {
    /// Writes it as a packet.
    pub fn bytes(&self) -> Vec<u8> {
        let with = |kind: u8, numbers: &[u64]| {
            let mut bytes = vec![VERSION, kind];
            numbers.iter().for_each(|number| bytes.extend(number.to_le_bytes()));
            bytes
        };
        match self {
            Answer::Space(Space::Missing) => with(1, &[]),
            Answer::Space(Space::Fits) => with(2, &[]),
            Answer::Space(Space::Over(Over { kind, limit, by, usage })) => {
                let kind = if *kind == Kind::Bytes { 3 } else { 4 };
                with(kind, &[*limit, *by, usage.bytes, usage.messages])
            }
            Answer::Renewed(counted) => with(5, &[u64::from(*counted)]),
            Answer::Counted(Counted::Missing) => with(6, &[]),
            Answer::Counted(Counted::Unchanged) => with(7, &[]),
            Answer::Counted(Counted::Now(usage)) => with(8, &[usage.bytes, usage.messages]),
            Answer::Made(was_missing) => with(9, &[u64::from(*was_missing)]),
            Answer::Locked => with(10, &[]),
            Answer::Late => with(12, &[]),
            Answer::Failed(why) => {
                let mut end = why.len().min(MOST_REASON);
                while !why.is_char_boundary(end) {
                    end -= 1;
                }
                let mut bytes = with(11, &[]);
                bytes.extend(why.as_bytes().get(..end).unwrap_or_default());
                bytes
            }
        }
    }

    /// Reads a packet.
    ///
    /// # Errors
    /// Fails if it is not an answer.
    pub fn parse(bytes: &[u8]) -> Result<Self, Malformed> {
        let mut from = Reader(bytes);
        if from.byte()? != VERSION {
            return Err(Malformed::Version);
        }
        let answer = match from.byte()? {
            1 => Answer::Space(Space::Missing),
            2 => Answer::Space(Space::Fits),
            kind @ (3 | 4) => {
                let kind = if kind == 3 { Kind::Bytes } else { Kind::Messages };
                let (limit, by, usage) = (from.u64()?, from.u64()?, from.usage()?);
                Answer::Space(Space::Over(Over { kind, limit, by, usage }))
            }
            5 => Answer::Renewed(from.flag()?),
            6 => Answer::Counted(Counted::Missing),
            7 => Answer::Counted(Counted::Unchanged),
            8 => Answer::Counted(Counted::Now(from.usage()?)),
            9 => Answer::Made(from.flag()?),
            10 => Answer::Locked,
            12 => Answer::Late,
            11 => Answer::Failed(from.reason()?),
            _ => return Err(Malformed::Form),
        };
        if from.0.is_empty() { Ok(answer) } else { Err(Malformed::Form) }
    }
}

/// Reads values from the beginning of a packet.
struct Reader<'a>(&'a [u8]);

impl<'a> Reader<'a> {
    fn take(&mut self, count: usize) -> Result<&'a [u8], Malformed> {
        let (front, rest) = self.0.split_at_checked(count).ok_or(Malformed::Form)?;
        self.0 = rest;
        Ok(front)
    }

    fn array<const N: usize>(&mut self) -> Result<[u8; N], Malformed> {
        self.take(N)?.try_into().map_err(|_| Malformed::Form)
    }

    fn byte(&mut self) -> Result<u8, Malformed> {
        self.array().map(|[byte]| byte)
    }

    fn u16(&mut self) -> Result<u16, Malformed> {
        self.array().map(u16::from_le_bytes)
    }

    fn u32(&mut self) -> Result<u32, Malformed> {
        self.array().map(u32::from_le_bytes)
    }

    fn u64(&mut self) -> Result<u64, Malformed> {
        self.array().map(u64::from_le_bytes)
    }

    fn flag(&mut self) -> Result<bool, Malformed> {
        match self.u64()? {
            0 => Ok(false),
            1 => Ok(true),
            _ => Err(Malformed::Form),
        }
    }

    fn usage(&mut self) -> Result<Usage, Malformed> {
        let [bytes, messages] = [self.u64()?, self.u64()?];
        if bytes.max(messages) > Limits::MAX {
            return Err(Malformed::Form);
        }
        Ok(Usage { bytes, messages })
    }

    fn path(&mut self, length: u16) -> Result<PathBuf, Malformed> {
        let bytes = self.take(length.into())?;
        if bytes.len() > MOST_PATH || bytes.contains(&0) {
            return Err(Malformed::Path);
        }
        Ok(OsStr::from_bytes(bytes).into())
    }

    /// Returns the rest as one line of text for a log.
    fn reason(&mut self) -> Result<String, Malformed> {
        let bytes = std::mem::take(&mut self.0);
        if bytes.len() > MOST_REASON {
            return Err(Malformed::Form);
        }
        Ok(String::from_utf8_lossy(bytes).chars().map(|c| if c.is_control() { ' ' } else { c }).collect())
    }
}

#[cfg(test)]
mod tests;
