//! The file `maildirsize` of a mailbox.
//!
//! Courier's README.maildirquota describes the format: the first line is the quota string, and each later line has two
//! numbers, `bytes messages`, which are added up. Both may be negative. Every program that adds or removes a message appends
//! a line. A program that does not trust the file counts the mailbox and replaces the file. Courier, Exim and Dovecot each
//! accept parts of files that were cut off or damaged; here, any doubt leads to a count.
//!
//! We write short lines, each with one write(2) to a descriptor in append mode. Lines are not synced: after a power failure
//! the last ones may be lost, and the sum is too low until the next count. If a process dies, the sum is exact or too high.
//! Too high a sum is corrected: a mailbox that looks full is counted before mail is refused.

use super::directory::{Moment, Stamp};
use crate::model::limits::Limits;
use crate::model::usage::Usage;
use rustix::fd::{AsFd, BorrowedFd, OwnedFd};
use rustix::fs::{AtFlags, FileType, Mode, OFlags, StatxFlags, openat, statx};
use rustix::io::{Errno, pread, write};
use std::ffi::CStr;
use std::fmt;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// The file's name in the mailbox.
pub(super) const FILE: &CStr = c"maildirsize";

/// Size in bytes from which on a file is not trusted, so that the mailbox is counted.
pub const TOO_LONG: usize = 5120;

/// Time for which a single count that says "full" is trusted if there are no sums and the mailbox has not changed since.
pub const YOUNG: Duration = Duration::from_secs(15 * 60);

/// Contents of a file that can be trusted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Contents {
    /// The limits it was written for.
    pub limits: Limits,
    /// The sum of its lines.
    pub usage: Usage,
    /// Number of lines that were added up; 1 directly after a count.
    pub lines: usize,
}

/// Reason why a file is not trusted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Doubt {
    /// There is no file.
    Missing,
    /// It is a directory, a link, or something else that is not a file.
    NotAFile,
    /// It may not be read.
    Unreadable,
    /// It belongs to another user than root and the mailbox's owner, or has a second name elsewhere.
    Foreign,
    /// It has [`TOO_LONG`] bytes or more.
    TooLong,
    /// Its last line is cut off.
    Torn,
    /// Its first line is not a quota.
    NoLimits,
    /// Its first line is not the quota of the account.
    OtherLimits(Limits),
    /// It has only its first line.
    NoCount,
    /// This line is not two numbers; the first is line 1.
    Malformed(usize),
    /// Its sum is negative or larger than 2^63 - 1.
    Impossible,
}

/// Written for people, after "maildirsize is not believed: ".
impl fmt::Display for Doubt {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Doubt::Missing => f.write_str("it does not exist"),
            Doubt::NotAFile => f.write_str("it is not a file"),
            Doubt::Unreadable => f.write_str("it may not be read"),
            Doubt::Foreign => f.write_str("it does not belong to the mailbox's owner alone"),
            Doubt::TooLong => write!(f, "it has {TOO_LONG} bytes or more"),
            Doubt::Torn => f.write_str("its last line is cut off"),
            Doubt::NoLimits => f.write_str("its first line is not a quota"),
            Doubt::OtherLimits(limits) if *limits == Limits::NONE => f.write_str("it was written for no quota"),
            Doubt::OtherLimits(limits) => write!(f, "it was written for the quota {limits}"),
            Doubt::NoCount => f.write_str("it has no count"),
            Doubt::Malformed(line) => write!(f, "its line {line} is not two numbers"),
            Doubt::Impossible => f.write_str("its sum is negative or too large"),
        }
    }
}

impl Contents {
    /// Reads the file's text.
    ///
    /// ```
    /// use mailauth_core::maildir::maildirsize::{Contents, Doubt};
    /// let contents = Contents::parse(b"100000S,1000C\n500 5\n-100 -1\n").unwrap();
    /// assert_eq!((contents.usage.bytes, contents.usage.messages), (400, 4));
    /// assert_eq!(Contents::parse(b"100000S,1000C\n500 5\n300"), Err(Doubt::Torn));
    /// ```
    ///
    /// # Errors
    /// Fails if there is any doubt about the file.
    pub fn parse(text: &[u8]) -> Result<Self, Doubt> {
        if text.len() >= TOO_LONG {
            return Err(Doubt::TooLong);
        }
        let text = match text.strip_suffix(b"\n") {
            Some(text) => text,
            None if text.is_empty() => return Err(Doubt::NoLimits),
            None => return Err(Doubt::Torn),
        };
        let mut lines = text.split(|byte| *byte == b'\n');
        let first = lines.next().and_then(|line| std::str::from_utf8(line).ok());
        let limits = first.and_then(|line| Limits::parse(line).ok()).ok_or(Doubt::NoLimits)?;
        let (mut bytes, mut messages, mut count) = (0i64, 0i64, 0);
        for line in lines {
            count += 1;
            let (more_bytes, more_messages) = pair(line).ok_or(Doubt::Malformed(count + 1))?;
            bytes = bytes.checked_add(more_bytes).ok_or(Doubt::Impossible)?;
            messages = messages.checked_add(more_messages).ok_or(Doubt::Impossible)?;
        }
        if count == 0 {
            return Err(Doubt::NoCount);
        }
        match (u64::try_from(bytes), u64::try_from(messages)) {
            (Ok(bytes), Ok(messages)) => Ok(Contents { limits, usage: Usage { bytes, messages }, lines: count }),
            _ => Err(Doubt::Impossible),
        }
    }
}

/// Reads a line of two numbers separated by blanks, which Courier pads.
fn pair(line: &[u8]) -> Option<(i64, i64)> {
    let mut words = line.split(|byte| matches!(byte, b' ' | b'\t')).filter(|word| !word.is_empty());
    let pair = (number(words.next()?)?, number(words.next()?)?);
    words.next().is_none().then_some(pair)
}

fn number(word: &[u8]) -> Option<i64> {
    if word.first() == Some(&b'+') {
        return None;
    }
    std::str::from_utf8(word).ok()?.parse().ok()
}

/// Returns the text of a new file.
pub(super) fn compose(limits: Limits, usage: Usage) -> String {
    format!("{limits}\n{} {}\n", usage.bytes, usage.messages)
}

/// The open file.
pub(super) struct Found {
    /// Its descriptor, for reading or for reading and appending.
    pub file: OwnedFd,
    /// Its contents, or why they are not trusted.
    pub contents: Result<Contents, Doubt>,
    /// Time at which a line was last added.
    pub modified: SystemTime,
    /// Its mtime and ctime.
    pub times: (Moment, Moment),
    /// Time at which it was created, which is the time of the count; `None` if the file system does not store it.
    pub born: Option<SystemTime>,
}

/// Purpose for which the file is opened.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum For {
    /// Reading only.
    Reading,
    /// Adding a line.
    Appending,
}

/// Opens and reads the file. If there is no file that can be read, the result is a doubt and not an error, because a count
/// will replace it.
pub(super) fn open(root: BorrowedFd<'_>, purpose: For, owner: u32) -> Result<Result<Found, Doubt>, Errno> {
    let how = match purpose {
        For::Reading => OFlags::RDONLY,
        For::Appending => OFlags::RDWR | OFlags::APPEND,
    };
    let safe = OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC | OFlags::NOCTTY;
    let file = match openat(root, FILE, how | safe, Mode::empty()) {
        Ok(file) => file,
        Err(Errno::NOENT) => return Ok(Err(Doubt::Missing)),
        Err(Errno::LOOP | Errno::ISDIR | Errno::NXIO) => return Ok(Err(Doubt::NotAFile)),
        Err(Errno::ACCESS | Errno::PERM) => return Ok(Err(Doubt::Unreadable)),
        Err(errno) => return Err(errno),
    };
    let wanted = StatxFlags::BASIC_STATS | StatxFlags::BTIME;
    let found = statx(&file, c"", AtFlags::EMPTY_PATH, wanted)?;
    if FileType::from_raw_mode(u32::from(found.stx_mode)) != FileType::RegularFile {
        return Ok(Err(Doubt::NotAFile));
    }
    let mut buffer = [0; TOO_LONG];
    let mut length = 0;
    while let Some(rest) = buffer.get_mut(length..).filter(|rest| !rest.is_empty()) {
        match pread(&file, rest, length as u64) {
            Ok(0) => break,
            Ok(count) => length += count,
            Err(Errno::INTR) => {}
            Err(errno) => return Err(errno),
        }
    }
    // A second link would let root write to a file of another user.
    let contents = if found.stx_nlink > 1
        || found.stx_uid != owner && found.stx_uid != 0 && rustix::process::geteuid().is_root()
    {
        Err(Doubt::Foreign)
    } else {
        Contents::parse(buffer.get(..length).unwrap_or_default())
    };
    let born = (found.stx_mask & StatxFlags::BTIME.bits() != 0).then(|| time(found.stx_btime));
    let Stamp { modified, changed, .. } = Stamp::of(&found);
    Ok(Ok(Found { file, contents, modified: time(found.stx_mtime), times: (modified, changed), born }))
}

fn time(stamp: rustix::fs::StatxTimestamp) -> SystemTime {
    let nanoseconds = Duration::from_nanos(stamp.tv_nsec.into());
    match u64::try_from(stamp.tv_sec) {
        Ok(seconds) => UNIX_EPOCH + Duration::from_secs(seconds) + nanoseconds,
        Err(_) => UNIX_EPOCH,
    }
}

/// Adds a line. Returns false if the file was no longer the mailbox's, because another program has replaced it in the
/// meantime.
pub(super) fn append(file: impl AsFd, bytes: i64, messages: i64) -> Result<bool, Errno> {
    let line = format!("{bytes} {messages}\n");
    let written = loop {
        match write(&file, line.as_bytes()) {
            Err(Errno::INTR) => {}
            other => break other?,
        }
    };
    if written != line.len() {
        return Err(Errno::NOSPC); // the line is cut off, which the next reader notices
    }
    let found = statx(&file, c"", AtFlags::EMPTY_PATH, StatxFlags::NLINK)?;
    Ok(found.stx_nlink > 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn usage(text: &str) -> Result<(u64, u64), Doubt> {
        Contents::parse(text.as_bytes()).map(|contents| (contents.usage.bytes, contents.usage.messages))
    }

    #[test]
    fn files_of_courier_exim_and_dovecot_are_accepted() {
        assert_eq!(usage("100000S,1000C\n         500            5\n        -100           -1\n"), Ok((400, 4)));
        assert_eq!(usage("100000S,0C\n1294 1\n"), Ok((1294, 1)));
        assert_eq!(usage("0S\n500\t5\n"), Ok((500, 5)));
        assert_eq!(usage("1000C,100000S\n500 5\n"), Ok((500, 5)));
        assert_eq!(Contents::parse(b"5S\n1 1\n2 2\n").map(|contents| contents.lines), Ok(2));
    }

    #[test]
    fn no_damaged_file_is_trusted() {
        for (text, doubt) in [
            ("", Doubt::NoLimits),
            ("100000S,1000C\n", Doubt::NoCount),
            ("100000S,1000C", Doubt::Torn),
            ("100000S\n500 5\n300 3", Doubt::Torn),
            ("100000S\n500 5\nhello\n7 1\n", Doubt::Malformed(3)),
            ("100000S\n500\n", Doubt::Malformed(2)),
            ("100000S\n500 5 5\n", Doubt::Malformed(2)),
            ("100000S\n500 5\n\n1 1\n", Doubt::Malformed(3)),
            ("100000S\n500 5\n\0\0\0\n", Doubt::Malformed(3)),
            ("100000S\n500 5\r\n", Doubt::Malformed(2)),
            ("100000S\n5e2 5\n", Doubt::Malformed(2)),
            ("100000S\n0x10 5\n", Doubt::Malformed(2)),
            ("100000S\n+5 5\n", Doubt::Malformed(2)),
            ("100000S\n- 5\n", Doubt::Malformed(2)),
            ("100000S\n9223372036854775808 5\n", Doubt::Malformed(2)),
            ("100000S\n9223372036854775807 1\n1 1\n", Doubt::Impossible),
            ("100000S\n500 5\n-501 0\n", Doubt::Impossible),
            ("100000S\n500 5\n0 -6\n", Doubt::Impossible),
            ("100KS\n500 5\n", Doubt::NoLimits),
            ("\u{e4}\n500 5\n", Doubt::NoLimits),
        ] {
            assert_eq!(usage(text), Err(doubt), "{text:?}");
        }
    }

    #[test]
    fn intermediate_sums_may_be_negative() {
        assert_eq!(usage("100000S\n-5 -1\n10 2\n"), Ok((5, 1)));
    }

    #[test]
    fn a_file_is_trusted_up_to_5119_bytes() {
        let long = |length: usize| format!("9S\n{:>width$}\n", "1 1", width = length - 4);
        assert_eq!(long(5119).len(), 5119);
        assert_eq!(usage(&long(5119)), Ok((1, 1)));
        assert_eq!(usage(&long(5120)), Err(Doubt::TooLong));
    }

    #[test]
    fn a_new_file_has_the_counted_usage() {
        let limits = Limits::parse("10S").unwrap();
        let text = compose(limits, Usage { bytes: 12, messages: 3 });
        assert_eq!(text, "10S\n12 3\n");
        assert_eq!(Contents::parse(text.as_bytes()).map(|contents| contents.limits), Ok(limits));
    }
}
