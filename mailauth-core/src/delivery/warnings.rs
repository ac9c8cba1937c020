//! Warns the owner of a mailbox that is almost full.
//!
//! When a delivery fills a mailbox to one of the configured percentages, its owner gets a message, at most one a day for
//! each percentage. The mailbox's file `maildirwarned` records what has been sent, with one line for each percentage: the
//! percentage and the time, in seconds since 1970.

use crate::maildir::MaildirQuota;
use crate::maildir::QuotaError;
use crate::maildir::replace::replace;
use crate::quota::{Limits, Usage};
use rustix::fs::{Mode, OFlags, openat};
use rustix::io::read;
use std::ffi::CStr;
use std::time::{SystemTime, UNIX_EPOCH};

const FILE: &CStr = c"maildirwarned";

/// Minimum time between two warnings about one percentage, in seconds.
const DAY: u64 = 24 * 60 * 60;

/// The text that is sent if the configuration has none.
pub const TEXT: &str = "\
From: Mail system <postmaster@%d>
Subject: Your mailbox is %p% full

Your mailbox %u holds %b bytes in %m messages, which is %p%
of what it may hold (%q).

When it is full, new mail is sent back to its senders. Please delete what
you no longer need, and empty the trash.
";

/// Returns how full a mailbox is, in percent: the larger one of both kinds, rounded down, as in Courier; `None` without a
/// limit.
pub fn percent(usage: Usage, limits: Limits) -> Option<u64> {
    let of = |used: u64, limit: Option<u64>| limit.map(|limit| u128::from(used) * 100 / u128::from(limit.max(1)));
    let percent = of(usage.bytes, limits.bytes).max(of(usage.messages, limits.messages))?;
    Some(u64::try_from(percent).unwrap_or(u64::MAX))
}

/// Returns the percentage to warn about now that the mailbox holds `usage`, if any. It is the highest one reached, and is
/// recorded as sent, so that another delivery at the same time does not send it too.
///
/// # Errors
/// Fails if it cannot be recorded. Then no warning must be sent, because it would be sent again with each message.
pub fn due(mailbox: &MaildirQuota, usage: Usage, percents: &[u8], now: SystemTime) -> Result<Option<u8>, QuotaError> {
    let Some(full) = percent(usage, mailbox.limits()) else { return Ok(None) };
    let Some(reached) = percents.iter().copied().filter(|percent| u64::from(*percent) <= full).max() else {
        return Ok(None);
    };
    let now = now.duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs());
    let _lock = mailbox.lock()?;
    let mut sent = read_sent(mailbox);
    // A time in the future means that the clock was set.
    sent.retain(|(_, when)| *when <= now && now - when < DAY);
    if sent.iter().any(|(percent, _)| *percent == reached) {
        return Ok(None);
    }
    sent.push((reached, now));
    let text: String = sent.iter().map(|(percent, when)| format!("{percent} {when}\n")).collect();
    replace(mailbox.root(), FILE, text.as_bytes(), mailbox.ownership())
        .map_err(|errno| QuotaError::io("write", mailbox.path(), FILE.to_bytes(), errno))?;
    Ok(Some(reached))
}

/// Returns what has been sent. A file that cannot be read is ignored: one warning too many does less harm than none.
fn read_sent(mailbox: &MaildirQuota) -> Vec<(u8, u64)> {
    let how = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC | OFlags::NOCTTY;
    // This is enough for a hundred percentages. The rest of a larger file is not read.
    let mut buffer = [0; 4096];
    let text = openat(mailbox.root(), FILE, how, Mode::empty()).and_then(|file| read(&file, &mut buffer));
    let text = buffer.get(..text.unwrap_or(0)).unwrap_or_default();
    let lines = std::str::from_utf8(text).unwrap_or_default().lines();
    lines
        .filter_map(|line| {
            let (percent, when) = line.split_once(' ')?;
            Some((percent.parse().ok()?, when.parse().ok()?))
        })
        .collect()
}

/// What a warning is about.
#[derive(Clone, Copy, Debug)]
pub struct Warning<'a> {
    /// The mailbox's address.
    pub address: &'a str,
    /// What the mailbox holds.
    pub usage: Usage,
    /// The limits of the mailbox.
    pub limits: Limits,
    /// Time of the warning.
    pub now: SystemTime,
}

impl Warning<'_> {
    /// Returns the message (RFC 5322): a date, an id and an address, then `template` with its placeholders replaced.
    ///
    /// The placeholders are `%u` for the address, `%n` for its local part, `%d` for its domain, `%b` and `%m` for the bytes
    /// and messages in the mailbox, `%q` for the quota, and `%p` for the percentage. Any other percent sign is kept.
    pub fn compose(&self, template: &str) -> String {
        let seconds = self.now.duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs());
        let (local_part, domain) = self.address.rsplit_once('@').unwrap_or((self.address, "localhost"));
        let mut text = format!(
            "Date: {}\nMessage-ID: <quota.{seconds}.{}@{domain}>\nTo: <{}>\nAuto-Submitted: auto-generated\n",
            date(seconds),
            std::process::id(),
            self.address
        );
        let mut rest = template;
        while let Some((before, after)) = rest.split_once('%') {
            text.push_str(before);
            let value = match after.chars().next() {
                Some('u') => self.address.to_owned(),
                Some('n') => local_part.to_owned(),
                Some('d') => domain.to_owned(),
                Some('b') => self.usage.bytes.to_string(),
                Some('m') => self.usage.messages.to_string(),
                Some('q') => self.limits.to_string(),
                Some('p') => percent(self.usage, self.limits).unwrap_or(0).to_string(),
                _ => {
                    text.push('%');
                    rest = after;
                    continue;
                }
            };
            text.push_str(&value);
            rest = after.get(1..).unwrap_or_default();
        }
        text.push_str(rest);
        text
    }
}

/// Returns the date of RFC 5322, in universal time, of a number of seconds since 1970.
fn date(seconds: u64) -> String {
    const DAYS: [&str; 7] = ["Thu", "Fri", "Sat", "Sun", "Mon", "Tue", "Wed"];
    const MONTHS: [(&str, u64); 12] = [
        ("Jan", 31),
        ("Feb", 28),
        ("Mar", 31),
        ("Apr", 30),
        ("May", 31),
        ("Jun", 30),
        ("Jul", 31),
        ("Aug", 31),
        ("Sep", 30),
        ("Oct", 31),
        ("Nov", 30),
        ("Dec", 31),
    ];
    let days = seconds / DAY;
    let leap = |year: u64| year.is_multiple_of(4) && (!year.is_multiple_of(100) || year.is_multiple_of(400));
    let (mut year, mut day) = (1970, days);
    while day >= 365 + u64::from(leap(year)) {
        day -= 365 + u64::from(leap(year));
        year += 1;
    }
    let mut month = "Dec";
    for (name, length) in MONTHS {
        let length = length + u64::from(name == "Feb" && leap(year));
        if day < length {
            month = name;
            break;
        }
        day -= length;
    }
    let weekday = DAYS.get(usize::try_from(days % 7).unwrap_or(0)).copied().unwrap_or_default();
    let (hour, minute, second) = (seconds / 3600 % 24, seconds / 60 % 60, seconds % 60);
    format!("{weekday}, {} {month} {year} {hour:02}:{minute:02}:{second:02} +0000", day + 1)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::quota::CountRules;
    use std::fs;
    use std::time::Duration;

    #[test]
    fn dates_are_right() {
        for (seconds, expected) in [
            (0, "Thu, 1 Jan 1970 00:00:00 +0000"),
            (951_782_400, "Tue, 29 Feb 2000 00:00:00 +0000"),
            (1_735_689_599, "Tue, 31 Dec 2024 23:59:59 +0000"),
            (1_795_521_600, "Tue, 24 Nov 2026 12:00:00 +0000"),
            (4_107_542_400, "Mon, 1 Mar 2100 00:00:00 +0000"),
        ] {
            assert_eq!(date(seconds), expected);
        }
    }

    #[test]
    fn the_larger_percentage_of_both_kinds_counts() {
        let usage = Usage { bytes: 999, messages: 3 };
        let percent = |limits: &str| percent(usage, Limits::parse(limits).unwrap());
        assert_eq!(percent("1000S,10C"), Some(99));
        assert_eq!(percent("100000S,10C"), Some(30));
        assert_eq!(percent("500S"), Some(199));
        assert_eq!(percent(""), None);
    }

    #[test]
    fn each_percentage_is_reported_once_a_day_beginning_with_the_highest() {
        let folder = tempfile::tempdir().unwrap();
        for part in ["tmp", "new", "cur"] {
            fs::create_dir_all(folder.path().join(part)).unwrap();
        }
        let limits = Limits::parse("1000S,10C").unwrap();
        let mailbox = MaildirQuota::open(folder.path(), limits, CountRules::default()).unwrap();
        let begin = UNIX_EPOCH + Duration::from_secs(1_700_000_000);
        let due = |bytes, hours: u64| {
            let usage = Usage { bytes, messages: 1 };
            due(&mailbox, usage, &[80, 95], begin + Duration::from_secs(hours * 3600)).unwrap()
        };
        assert_eq!(due(799, 0), None);
        assert_eq!(due(800, 0), Some(80));
        assert_eq!(due(810, 1), None);
        assert_eq!(due(950, 2), Some(95));
        assert_eq!(due(950, 3), None);
        assert_eq!(due(850, 23), None);
        assert_eq!(due(850, 24), Some(80));
        assert_eq!(due(990, 25), None);
        assert_eq!(due(990, 26), Some(95));
        fs::write(folder.path().join("maildirwarned"), "damaged\n\0").unwrap();
        assert_eq!(due(990, 26), Some(95));
    }

    #[test]
    fn a_warning_is_a_message_with_its_placeholders_replaced() {
        let warning = Warning {
            address: "anna@example.org",
            usage: Usage { bytes: 850, messages: 3 },
            limits: Limits::parse("1000S,10C").unwrap(),
            now: UNIX_EPOCH,
        };
        let text = warning.compose(TEXT);
        assert!(text.starts_with("Date: Thu, 1 Jan 1970 00:00:00 +0000\nMessage-ID: <quota.0."), "{text}");
        assert!(
            text.contains("To: <anna@example.org>\n") && text.contains("From: Mail system <postmaster@example.org>")
        );
        assert!(text.contains("Subject: Your mailbox is 85% full\n\n"), "{text}");
        assert!(
            text.contains("holds 850 bytes in 3 messages, which is 85%\nof what it may hold (1000S,10C)"),
            "{text}"
        );
        assert!(warning.compose("100% %%n %x %").ends_with("100% %anna %x %"));
    }
}
