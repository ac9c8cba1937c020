//! The sums of each folder, kept beside maildirsize in `maildirsums`.
//!
//! They spare a recount the reading of folders that have not changed. The file is text, so that a person can look into
//! it, is replaced as a whole, and may be removed at any time. Its lines:
//!
//! ```text
//! maildirsums 2 trash=0
//! new 64768 918273 1732440000.123456789 1732440000.123456789 4711 3 .
//! cur* 64768 918274 1732440101.000000000 1732440102.000000000 90210 12 .Sent%20mail
//! end 2 1732440103.000000000
//! ```
//!
//! After the first, which names the format, its version and whether the trash is counted, each stands for a directory:
//! which of the two it is, device and inode, mtime and ctime in seconds and nanoseconds, bytes, messages, and the
//! folder's name (`.` for the mailbox itself) with everything but printable ASCII as `%` and two hexadecimal digits.
//! An asterisk marks a directory that had not been at rest for two seconds when it was read: a recount reads it again. The
//! last line counts the others, and says when. If anything in the file is not so, all of it is forgotten.

use super::directory::{self, Moment, Stamp};
use super::tally::{Folder, MOST_FOLDERS, PARTS, Part};
use super::{Limits, Rules, Usage};
use percent_encoding::{AsciiSet, CONTROLS, percent_decode_str, percent_encode};
use std::collections::HashMap;
use std::ffi::{CStr, CString};
use std::fmt::Write;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// The file's name in the mailbox.
pub(super) const FILE: &CStr = c"maildirsums";

/// The longest such file that is read, in bytes.
pub(super) const MOST_BYTES: u64 = MOST_FOLDERS as u64 * 2 * 512;

const ESCAPED: &AsciiSet = &CONTROLS.add(b' ').add(b'%');

/// How long a count counts as young, for each message that it read in directories that were not at rest: ten times as
/// long as reading them takes. So refusing mail for a full mailbox that keeps changing costs a tenth of the time at most.
const YOUNG: Duration = Duration::from_micros(20);

/// The sums of an earlier count.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Sums {
    parts: HashMap<CString, [Part; 2]>,
    /// When they were counted, since 1970.
    counted: Duration,
}

impl Sums {
    /// Returns true if nothing is known.
    pub fn is_empty(&self) -> bool {
        self.parts.is_empty()
    }

    /// What is known of a folder.
    pub fn of(&self, folder: &CStr) -> [Part; 2] {
        self.as_seen(folder).map(|part| if part.at_rest { part } else { Part::default() })
    }

    /// What the count saw of a folder, be it at rest or not.
    pub fn as_seen(&self, folder: &CStr) -> [Part; 2] {
        self.parts.get(folder).copied().unwrap_or_default()
    }

    /// Returns true if counting again what was not at rest would cost too much so soon after the last count. A time in
    /// the future is a clock that was set.
    pub fn is_young(&self, now: SystemTime) -> bool {
        let restless = self.parts.values().flatten().filter(|part| !part.at_rest);
        let messages = restless.fold(0, |sum: u64, part| sum.saturating_add(part.usage.messages));
        let young = YOUNG.saturating_mul(u32::try_from(messages).unwrap_or(u32::MAX)).min(directory::REST);
        let age = now.duration_since(UNIX_EPOCH).ok().and_then(|now| now.checked_sub(self.counted));
        age.is_some_and(|age| age < young)
    }

    /// Reads the file's text; of one that is damaged, or was counted by other rules, nothing is believed.
    pub fn parse(text: &[u8], rules: Rules) -> Self {
        std::str::from_utf8(text).ok().and_then(|text| parse(text, rules)).unwrap_or_default()
    }
}

/// The file's text, of folders that were counted at this time.
pub(super) fn compose(folders: &[Folder], rules: Rules, counted: SystemTime) -> String {
    let mut text = format!("{}\n", header(rules));
    let mut lines = 0;
    for folder in folders {
        for (part, name) in folder.parts.iter().zip(PARTS) {
            let Some(stamp) = part.stamp else { continue };
            let Usage { bytes, messages } = part.usage;
            let (modified, changed) = (moment(stamp.modified), moment(stamp.changed));
            let folder = percent_encode(folder.name.to_bytes(), ESCAPED);
            let (device, inode) = (stamp.device, stamp.inode);
            let (name, mark) = (name.to_string_lossy(), if part.at_rest { "" } else { RESTLESS });
            // Writing to a String cannot fail.
            let _ = writeln!(text, "{name}{mark} {device} {inode} {modified} {changed} {bytes} {messages} {folder}");
            lines += 1;
        }
    }
    let counted = counted.duration_since(UNIX_EPOCH).unwrap_or_default();
    let _ = writeln!(text, "end {lines} {}.{:09}", counted.as_secs(), counted.subsec_nanos());
    text
}

/// Behind the name of a directory that had not been at rest.
const RESTLESS: &str = "*";

fn header(rules: Rules) -> &'static str {
    if rules.count_trash { "maildirsums 2 trash=1" } else { "maildirsums 2 trash=0" }
}

fn moment((seconds, nanoseconds): Moment) -> String {
    format!("{seconds}.{nanoseconds:09}")
}

fn parse(text: &str, rules: Rules) -> Option<Sums> {
    let (body, end) = text.strip_suffix('\n')?.rsplit_once('\n')?;
    let mut lines = body.split('\n');
    if lines.next()? != header(rules) {
        return None;
    }
    let mut sums = Sums::default();
    let mut count = 0usize;
    for line in lines {
        let (folder, which, part) = parse_part(line)?;
        *sums.parts.entry(folder).or_default().get_mut(which)? = part;
        count += 1;
    }
    let (lines, counted) = end.strip_prefix("end ")?.split_once(' ')?;
    let (seconds, nanoseconds) = parse_moment(counted)?;
    sums.counted = Duration::new(u64::try_from(seconds).ok()?, nanoseconds);
    (lines.parse() == Ok(count)).then_some(sums)
}

fn parse_part(line: &str) -> Option<(CString, usize, Part)> {
    let mut fields = line.split(' ');
    let which = fields.next()?;
    let at_rest = !which.ends_with(RESTLESS);
    let which = which.strip_suffix(RESTLESS).unwrap_or(which);
    let which = PARTS.iter().position(|part| part.to_bytes() == which.as_bytes())?;
    let (device, inode) = (fields.next()?.parse().ok()?, fields.next()?.parse().ok()?);
    let (modified, changed) = (parse_moment(fields.next()?)?, parse_moment(fields.next()?)?);
    let usage = Usage { bytes: parse_amount(fields.next()?)?, messages: parse_amount(fields.next()?)? };
    let folder = CString::new(percent_decode_str(fields.next()?).collect::<Vec<u8>>()).ok()?;
    let stamp = Some(Stamp { device, inode, modified, changed });
    fields.next().is_none().then_some((folder, which, Part { stamp, usage, at_rest }))
}

fn parse_moment(text: &str) -> Option<Moment> {
    let (seconds, nanoseconds) = text.split_once('.')?;
    let nanoseconds = nanoseconds.parse().ok().filter(|nanoseconds| *nanoseconds < 1_000_000_000)?;
    Some((seconds.parse().ok()?, nanoseconds))
}

fn parse_amount(text: &str) -> Option<u64> {
    text.parse().ok().filter(|amount| *amount <= Limits::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn part(inode: u64, at_rest: bool) -> Part {
        let stamp = Some(Stamp { device: 64768, inode, modified: (-5, 7), changed: (1_732_440_000, 999_999_999) });
        Part { stamp, usage: Usage { bytes: inode * 10, messages: inode }, at_rest }
    }

    fn counted() -> SystemTime {
        UNIX_EPOCH + Duration::new(1_732_440_003, 5)
    }

    fn folders() -> Vec<Folder> {
        let folder = |name: &CStr, parts| Folder::new(name.to_owned(), parts);
        vec![
            folder(c".", [part(1, true), part(2, false)]),
            folder(c".Sent mail", [part(3, true), part(4, true)]),
            folder(c".new\nline %41 \xff", [Part::default(), part(5, true)]),
        ]
    }

    #[test]
    fn what_is_written_is_read_again_and_what_was_not_at_rest_is_not_believed() {
        let text = compose(&folders(), Rules::default(), counted());
        let sums = Sums::parse(text.as_bytes(), Rules::default());
        assert_eq!(sums.as_seen(c"."), [part(1, true), part(2, false)]);
        assert_eq!(sums.of(c"."), [part(1, true), Part::default()]);
        for folder in &folders()[1..] {
            assert_eq!(sums.of(&folder.name), folder.parts, "{:?}", folder.name);
        }
        assert_eq!(sums.of(c".Other"), [Part::default(); 2]);
    }

    #[test]
    fn a_damaged_file_is_forgotten_whole() {
        let text = compose(&folders(), Rules::default(), counted());
        for length in 0..text.len() {
            assert_eq!(Sums::parse(&text.as_bytes()[..length], Rules::default()), Sums::default(), "{length}");
        }
        for (from, to) in [("maildirsums 2", "maildirsums 1"), ("new ", "tmp "), (" 30 ", " -30 "), ("end 5", "end 4")]
        {
            let damaged = text.replacen(from, to, 1);
            assert_ne!(damaged, text, "{from}");
            assert_eq!(Sums::parse(damaged.as_bytes(), Rules::default()), Sums::default(), "{from} to {to}");
        }
    }

    #[test]
    fn a_count_is_young_as_long_as_ten_more_would_take_and_two_seconds_at_most() {
        let young = |messages, age: i64| {
            let restless = Part { usage: Usage { bytes: 0, messages }, ..part(1, false) };
            let folders = [Folder::new(c".".to_owned(), [restless, part(2, true)])];
            let sums = Sums::parse(compose(&folders, Rules::default(), counted()).as_bytes(), Rules::default());
            sums.is_young(counted() + Duration::from_secs(10) - Duration::from_millis((10_000 - age).unsigned_abs()))
        };
        assert!(young(100, 1) && !young(100, 3));
        assert!(young(10_000_000, 1999) && !young(10_000_000, 2001));
        assert!(!young(10_000_000, -1), "the clock was set");
        assert!(!young(0, 0));
    }

    #[test]
    fn sums_by_other_rules_are_not_believed() {
        let text = compose(&folders(), Rules { count_trash: true }, counted());
        assert_eq!(Sums::parse(text.as_bytes(), Rules::default()), Sums::default());
        assert_ne!(Sums::parse(text.as_bytes(), Rules { count_trash: true }), Sums::default());
    }
}
