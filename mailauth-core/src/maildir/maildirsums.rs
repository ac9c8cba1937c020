//! The sums of each folder, kept in the same directory as maildirsize, in `maildirsums`.
//!
//! Because of them, a recount need not read folders that have not changed. The file is text, so that people can read it.
//! It is replaced as a whole, and may be removed at any time. Its lines:
//!
//! ```text
//! maildirsums 2 trash=0
//! new 64768 918273 1732440000.123456789 1732440000.123456789 4711 3 .
//! cur* 64768 918274 1732440101.000000000 1732440102.000000000 90210 12 .Sent%20mail
//! end 2 1732440103.000000000
//! ```
//!
//! The first line names the format, its version and whether the trash is counted. Each of the others describes a
//! directory: which of the two it is, device and inode, mtime and ctime in seconds and nanoseconds, bytes, messages, and
//! the folder's name (`.` for the mailbox itself) with everything but printable ASCII as `%` and two hexadecimal digits.
//! An asterisk marks a directory that had not been at rest for two seconds when it was read: a recount reads it again. The
//! last line has the number of directories and the time of the count. If anything in the file is different, the whole file
//! is ignored.
//!
//! The mailbox's owner can write anything there. So a file of more than [`MOST_BYTES`] is not read. Other files are read
//! line by line, and a line is kept only if it is about an existing folder. If a mailbox has so many folders that their
//! lines would exceed the limit, the file has those with the most messages, and the others are counted each time.

use super::count::CountRules;
use super::directory::{self, Moment, Stamp};
use super::folder::{Folder, PARTS, Part};
use crate::model::limits::Limits;
use crate::model::usage::Usage;
use percent_encoding::{AsciiSet, CONTROLS, percent_decode_str, percent_encode};
use rustix::fd::BorrowedFd;
use rustix::fs::{AtFlags, Mode, OFlags, StatxFlags, openat, statx};
use std::cmp::Reverse;
use std::ffi::CStr;
use std::fmt::Write;
use std::fs::File;
use std::io::{self, BufRead, BufReader, Read};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// The file's name in the mailbox.
pub(super) const FILE: &CStr = c"maildirsums";

/// Maximum size of a file that is read or written, in bytes: enough for about six thousand folders.
pub(super) const MOST_BYTES: u64 = 1 << 20;

/// Maximum length of a line, in bytes: a name of 255 bytes takes 765.
const MOST_IN_LINE: u64 = 1024;

const ESCAPED: &AsciiSet = &CONTROLS.add(b' ').add(b'%');

/// Time for which a count is considered recent, for each message that it read in directories that were not at rest: ten
/// times as long as reading one takes. So refusals for a full mailbox that keeps changing take at most a tenth of the time.
const YOUNG: Duration = Duration::from_micros(20);

/// What the file says about an earlier count as a whole.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Earlier {
    /// Time of the count, since 1970.
    counted: Duration,
    /// Number of messages in directories that had not been at rest.
    restless: u64,
}

impl Earlier {
    /// Returns true if it is too early after the last count to count again what was not at rest. Returns false for a time
    /// in the future, which means that the clock was set.
    pub fn is_young(&self, now: SystemTime) -> bool {
        let young = YOUNG.saturating_mul(u32::try_from(self.restless).unwrap_or(u32::MAX)).min(directory::REST);
        let age = now.duration_since(UNIX_EPOCH).ok().and_then(|now| now.checked_sub(self.counted));
        age.is_some_and(|age| age < young)
    }
}

/// Fills each of `folders`, which are in the order of their names, with what the file of the mailbox `root` says about it.
/// Returns `None`, and fills nothing, if there is no such file, it is damaged, or the count was by other rules.
pub(super) fn recall(root: BorrowedFd<'_>, rules: CountRules, folders: &mut [Folder]) -> Option<Earlier> {
    let how = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC | OFlags::NOCTTY;
    let file = openat(root, FILE, how, Mode::empty()).ok()?;
    let found = statx(&file, c"", AtFlags::EMPTY_PATH, StatxFlags::TYPE | StatxFlags::SIZE).ok()?;
    let is_usable = directory::kind_of(&found).is_file() && found.stx_size <= MOST_BYTES;
    // It may grow in the meantime.
    is_usable.then(|| read(BufReader::new(File::from(file).take(MOST_BYTES)), rules, folders)).flatten()
}

/// Does the same from the file's text.
fn read(text: impl BufRead, rules: CountRules, folders: &mut [Folder]) -> Option<Earlier> {
    let earlier = parse(text, rules, folders);
    if earlier.is_none() {
        for folder in folders {
            folder.parts = Default::default();
        }
    }
    earlier
}

/// Returns the number of directories whose sums are accepted from the file's text, in a mailbox with a few folders.
#[cfg(fuzzing)]
pub(super) fn believed(text: &[u8], rules: CountRules) -> Option<usize> {
    let mut folders = [c".", c".Drafts", c".Sent Mail"].map(|name| Folder::new(name.to_owned())).to_vec();
    let earlier = read(text, rules, &mut folders);
    let known = folders.iter().flat_map(|folder| &folder.parts).filter(|part| part.stamp.is_some()).count();
    assert!(earlier.is_some() || known == 0, "a damaged file is believed in part");
    earlier.map(|_| known)
}

/// Returns the file's text for folders that were counted at this time: all of them, or the largest that fit.
pub(super) fn compose(folders: &[Folder], rules: CountRules, counted: SystemTime) -> String {
    let parts = || folders.iter().flat_map(|folder| folder.parts.iter().zip(PARTS).map(move |part| (folder, part)));
    lines(parts(), rules, counted).unwrap_or_else(|_| {
        let mut parts: Vec<_> = parts().collect();
        parts.sort_by_key(|(_, (part, _))| Reverse(part.usage.messages));
        lines(parts.into_iter(), rules, counted).unwrap_or_else(|some| some)
    })
}

/// Returns the file's text; as an error, the text with as many of the parts as fit.
fn lines<'a>(
    parts: impl Iterator<Item = (&'a Folder, (&'a Part, &'static CStr))>,
    rules: CountRules,
    counted: SystemTime,
) -> Result<String, String> {
    let counted = counted.duration_since(UNIX_EPOCH).unwrap_or_default();
    let mut text = format!("{}\n", header(rules));
    let mut count = 0;
    let mut is_full = false;
    for (folder, (part, name)) in parts {
        let Some(line) = line(folder, part, name) else { continue };
        // 64 bytes are left for the last line.
        is_full = (text.len() + line.len() + 64) as u64 > MOST_BYTES;
        if is_full {
            break;
        }
        text.push_str(&line);
        count += 1;
    }
    // Writing to a String cannot fail.
    let _ = writeln!(text, "end {count} {}.{:09}", counted.as_secs(), counted.subsec_nanos());
    if is_full { Err(text) } else { Ok(text) }
}

/// Returns the line of a directory; `None` if the directory does not exist.
fn line(folder: &Folder, part: &Part, name: &CStr) -> Option<String> {
    let Stamp { device, inode, modified, changed } = part.stamp?;
    let Usage { bytes, messages } = part.usage;
    let (modified, changed) = (moment(modified), moment(changed));
    let folder = percent_encode(folder.name.to_bytes(), ESCAPED);
    let (name, mark) = (name.to_string_lossy(), if part.at_rest { "" } else { RESTLESS });
    Some(format!("{name}{mark} {device} {inode} {modified} {changed} {bytes} {messages} {folder}\n"))
}

/// Mark after the name of a directory that had not been at rest.
const RESTLESS: &str = "*";

fn header(rules: CountRules) -> &'static str {
    if rules.count_trash { "maildirsums 2 trash=1" } else { "maildirsums 2 trash=0" }
}

fn moment((seconds, nanoseconds): Moment) -> String {
    format!("{seconds}.{nanoseconds:09}")
}

fn parse(mut text: impl BufRead, rules: CountRules, folders: &mut [Folder]) -> Option<Earlier> {
    let mut buffer = Vec::new();
    if next_line(&mut text, &mut buffer)? != header(rules) {
        return None;
    }
    let (mut count, mut restless) = (0usize, 0u64);
    let end = loop {
        let line = next_line(&mut text, &mut buffer)?;
        if let Some(end) = line.strip_prefix("end ") {
            break end;
        }
        let (name, which, part) = parse_part(line)?;
        if let Ok(place) = folders.binary_search_by(|folder| folder.name.to_bytes().cmp(&name)) {
            let known = folders.get_mut(place)?.parts.get_mut(which)?;
            if known.stamp.is_some() {
                return None;
            }
            *known = part;
            restless = restless.saturating_add(if part.at_rest { 0 } else { part.usage.messages });
        }
        count += 1;
    };
    let (lines, counted) = end.split_once(' ')?;
    let (seconds, nanoseconds) = parse_moment(counted)?;
    let counted = Duration::new(u64::try_from(seconds).ok()?, nanoseconds);
    let is_whole = lines.parse() == Ok(count) && text.fill_buf().is_ok_and(<[u8]>::is_empty);
    (is_whole && count > 0).then_some(Earlier { counted, restless })
}

/// Returns the next line without its end; `None` at the end of the file, and if the line is cut off or too long.
fn next_line<'a>(text: &mut impl BufRead, buffer: &'a mut Vec<u8>) -> Option<&'a str> {
    buffer.clear();
    let read: io::Result<usize> = text.take(MOST_IN_LINE).read_until(b'\n', buffer);
    read.ok()?;
    std::str::from_utf8(buffer.strip_suffix(b"\n")?).ok()
}

/// Reads a line. Returns the folder's name, the index of the directory in [`PARTS`], and what is known of the directory.
fn parse_part(line: &str) -> Option<(Vec<u8>, usize, Part)> {
    let mut fields = line.split(' ');
    let which = fields.next()?;
    let at_rest = !which.ends_with(RESTLESS);
    let which = which.strip_suffix(RESTLESS).unwrap_or(which);
    let which = PARTS.iter().position(|part| part.to_bytes() == which.as_bytes())?;
    let (device, inode) = (fields.next()?.parse().ok()?, fields.next()?.parse().ok()?);
    let (modified, changed) = (parse_moment(fields.next()?)?, parse_moment(fields.next()?)?);
    let usage = Usage { bytes: parse_amount(fields.next()?)?, messages: parse_amount(fields.next()?)? };
    let folder: Vec<u8> = percent_decode_str(fields.next()?).collect();
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
        let folder = |name: &CStr, parts| Folder { name: name.to_owned(), parts };
        vec![
            folder(c".", [part(1, true), part(2, false)]),
            folder(c".Sent mail", [part(3, true), part(4, true)]),
            folder(c".new\nline %41 \xff", [Part::default(), part(5, true)]),
        ]
    }

    /// Returns what a text says about folders of these names.
    fn told(text: &str, names: &[&CStr], rules: CountRules) -> (Option<Earlier>, Vec<[Part; 2]>) {
        let mut names = names.to_vec();
        names.sort();
        let mut folders: Vec<_> = names.iter().map(|name| Folder::new((*name).to_owned())).collect();
        let earlier = read(text.as_bytes(), rules, &mut folders);
        (earlier, folders.into_iter().map(|folder| folder.parts).collect())
    }

    fn is_forgotten(text: &str, rules: CountRules) -> bool {
        told(text, &[c".", c".Sent mail"], rules) == (None, vec![[Part::default(); 2]; 2])
    }

    #[test]
    fn only_lines_of_existing_folders_are_read() {
        let text = compose(&folders(), CountRules::default(), counted());
        let (earlier, parts) = told(&text, &[c".", c".Other", c".new\nline %41 \xff"], CountRules::default());
        assert_eq!(earlier, Some(Earlier { counted: Duration::new(1_732_440_003, 5), restless: 2 }));
        assert_eq!(parts, [folders()[0].parts, [Part::default(); 2], folders()[2].parts]);
    }

    #[test]
    fn a_damaged_file_is_ignored_as_a_whole() {
        let text = compose(&folders(), CountRules::default(), counted());
        assert!(!is_forgotten(&text, CountRules::default()));
        for length in 0..text.len() {
            assert!(is_forgotten(&text[..length], CountRules::default()), "{length}");
        }
        let twice = text.lines().nth(1).unwrap();
        for (from, to) in [
            ("maildirsums 2", "maildirsums 1"),
            ("new ", "tmp "),
            (" 30 ", " -30 "),
            ("end 5", "end 4"),
            ("end 5", "\nend 5"),
            ("end 5", &format!("{twice}\nend 6")),
            ("end 5", &format!("new 1 1 1.0 1.0 1 1 .{}\nend 6", "x".repeat(2000))),
            (".000000005\n", ".000000005\n\n"),
        ] {
            let damaged = text.replacen(from, to, 1);
            assert_ne!(damaged, text, "{from}");
            assert!(is_forgotten(&damaged, CountRules::default()), "{from} to {to}");
        }
        assert!(is_forgotten(&"new 1 1 1.0 1.0 1 1 .\n".repeat(100_000), CountRules::default()));
    }

    #[test]
    fn if_not_all_folders_fit_the_largest_are_kept() {
        let folder = |number: u64| Folder {
            name: std::ffi::CString::new(format!(".{number:05}")).unwrap(),
            parts: [part(number, true), part(number + 1, true)],
        };
        let folders: Vec<_> = (0..20_000).map(folder).collect();
        let text = compose(&folders, CountRules::default(), counted());
        assert!(text.len() as u64 <= MOST_BYTES && text.len() as u64 > MOST_BYTES - 200, "{}", text.len());
        let (earlier, parts) = told(&text, &[c".00100", c".19000"], CountRules::default());
        assert!(earlier.is_some());
        assert_eq!(parts, [[Part::default(); 2], folders[19_000].parts]);
    }

    #[test]
    fn a_count_is_young_for_ten_times_its_cost_but_at_most_two_seconds() {
        let young = |messages, age: i64| {
            let restless = Part { usage: Usage { bytes: 0, messages }, ..part(1, false) };
            let folders = [Folder { name: c".".to_owned(), parts: [restless, part(2, true)] }];
            let text = compose(&folders, CountRules::default(), counted());
            let earlier = told(&text, &[c"."], CountRules::default()).0.unwrap();
            earlier.is_young(counted() + Duration::from_secs(10) - Duration::from_millis((10_000 - age).unsigned_abs()))
        };
        assert!(young(100, 1) && !young(100, 3));
        assert!(young(10_000_000, 1999) && !young(10_000_000, 2001));
        assert!(!young(10_000_000, -1), "the clock was set");
        assert!(!young(0, 0));
    }

    #[test]
    fn sums_by_other_rules_are_ignored() {
        let text = compose(&folders(), CountRules { count_trash: true }, counted());
        assert!(is_forgotten(&text, CountRules::default()) && !is_forgotten(&text, CountRules { count_trash: true }));
    }
}
