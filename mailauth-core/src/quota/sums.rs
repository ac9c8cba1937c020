//! The sums of each folder, kept beside maildirsize in `maildirsums`.
//!
//! They spare a recount the reading of folders that have not changed. The file is text, so that a person can look into
//! it, is replaced as a whole, and may be removed at any time. Its lines:
//!
//! ```text
//! maildirsums 1 trash=0
//! new 64768 918273 1732440000.123456789 1732440000.123456789 4711 3 .
//! cur 64768 918274 1732440001.000000000 1732440002.000000000 90210 12 .Sent%20mail
//! end 2
//! ```
//!
//! After the first, which names the format, its version and whether the trash is counted, each stands for a directory:
//! which of the two it is, device and inode, mtime and ctime in seconds and nanoseconds, bytes, messages, and the
//! folder's name (`.` for the mailbox itself) with everything but printable ASCII as `%` and two hexadecimal digits.
//! The last counts them. Only directories stand in it that had been at rest for two seconds when they were read. If
//! anything in the file is not so, all of it is forgotten.

use super::directory::{Moment, Stamp};
use super::tally::{Folder, MOST_FOLDERS, PARTS, Part};
use super::{Limits, Rules, Usage};
use percent_encoding::{AsciiSet, CONTROLS, percent_decode_str, percent_encode};
use std::collections::HashMap;
use std::ffi::{CStr, CString};
use std::fmt::Write;

/// The file's name in the mailbox.
pub(super) const FILE: &CStr = c"maildirsums";

/// The longest such file that is read, in bytes.
pub(super) const MOST_BYTES: u64 = MOST_FOLDERS as u64 * 2 * 512;

const ESCAPED: &AsciiSet = &CONTROLS.add(b' ').add(b'%');

/// The sums of an earlier count.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Sums {
    parts: HashMap<CString, [Part; 2]>,
}

impl Sums {
    /// What is known of a folder.
    pub fn of(&self, folder: &CStr) -> [Part; 2] {
        self.parts.get(folder).copied().unwrap_or_default()
    }

    /// Reads the file's text; of one that is damaged, or was counted by other rules, nothing is believed.
    pub fn parse(text: &[u8], rules: Rules) -> Self {
        std::str::from_utf8(text).ok().and_then(|text| parse(text, rules)).unwrap_or_default()
    }
}

/// The file's text.
pub(super) fn compose(folders: &[Folder], rules: Rules) -> String {
    let mut text = format!("{}\n", header(rules));
    let mut lines = 0;
    for folder in folders {
        for (part, name) in folder.parts.iter().zip(PARTS) {
            let (Some(stamp), true) = (part.stamp, part.at_rest) else { continue };
            let Usage { bytes, messages } = part.usage;
            let (modified, changed) = (moment(stamp.modified), moment(stamp.changed));
            let folder = percent_encode(folder.name.to_bytes(), ESCAPED);
            let (device, inode) = (stamp.device, stamp.inode);
            let name = name.to_string_lossy();
            // Writing to a String cannot fail.
            let _ = writeln!(text, "{name} {device} {inode} {modified} {changed} {bytes} {messages} {folder}");
            lines += 1;
        }
    }
    let _ = writeln!(text, "end {lines}");
    text
}

fn header(rules: Rules) -> &'static str {
    if rules.count_trash { "maildirsums 1 trash=1" } else { "maildirsums 1 trash=0" }
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
    (end.strip_prefix("end ")?.parse() == Ok(count)).then_some(sums)
}

fn parse_part(line: &str) -> Option<(CString, usize, Part)> {
    let mut fields = line.split(' ');
    let which = fields.next()?;
    let which = PARTS.iter().position(|part| part.to_bytes() == which.as_bytes())?;
    let (device, inode) = (fields.next()?.parse().ok()?, fields.next()?.parse().ok()?);
    let (modified, changed) = (parse_moment(fields.next()?)?, parse_moment(fields.next()?)?);
    let usage = Usage { bytes: parse_amount(fields.next()?)?, messages: parse_amount(fields.next()?)? };
    let folder = CString::new(percent_decode_str(fields.next()?).collect::<Vec<u8>>()).ok()?;
    let stamp = Some(Stamp { device, inode, modified, changed });
    fields.next().is_none().then_some((folder, which, Part { stamp, usage, at_rest: true }))
}

fn parse_moment(text: &str) -> Option<Moment> {
    let (seconds, nanoseconds) = text.split_once('.')?;
    Some((seconds.parse().ok()?, nanoseconds.parse().ok()?))
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

    fn folders() -> Vec<Folder> {
        let folder = |name: &CStr, parts| Folder::new(name.to_owned(), parts);
        vec![
            folder(c".", [part(1, true), part(2, false)]),
            folder(c".Sent mail", [part(3, true), part(4, true)]),
            folder(c".new\nline %41 \xff", [Part::default(), part(5, true)]),
        ]
    }

    #[test]
    fn what_is_written_is_read_again_but_for_what_was_not_at_rest() {
        let text = compose(&folders(), Rules::default());
        let sums = Sums::parse(text.as_bytes(), Rules::default());
        assert_eq!(sums.of(c"."), [part(1, true), Part::default()]);
        for folder in &folders()[1..] {
            assert_eq!(sums.of(&folder.name), folder.parts, "{:?}", folder.name);
        }
        assert_eq!(sums.of(c".Other"), [Part::default(); 2]);
    }

    #[test]
    fn a_damaged_file_is_forgotten_whole() {
        let text = compose(&folders(), Rules::default());
        for length in 0..text.len() {
            assert_eq!(Sums::parse(&text.as_bytes()[..length], Rules::default()), Sums::default(), "{length}");
        }
        for (from, to) in [("maildirsums 1", "maildirsums 2"), ("new ", "tmp "), (" 30 ", " -30 "), ("end 4", "end 5")]
        {
            let damaged = text.replacen(from, to, 1);
            assert_ne!(damaged, text, "{from}");
            assert_eq!(Sums::parse(damaged.as_bytes(), Rules::default()), Sums::default(), "{from} to {to}");
        }
    }

    #[test]
    fn sums_by_other_rules_are_not_believed() {
        let text = compose(&folders(), Rules { count_trash: true });
        assert_eq!(Sums::parse(text.as_bytes(), Rules::default()), Sums::default());
        assert_ne!(Sums::parse(text.as_bytes(), Rules { count_trash: true }), Sums::default());
    }
}
