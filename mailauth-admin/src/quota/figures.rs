//! Sizes and limits as text, in the same form in all commands. In JSON they are exact numbers.

use mailauth_core::quota::Usage;
use std::time::SystemTime;

/// Returns a size such as `512 B`, `1.5 KiB` or `20 MiB`.
pub fn size(bytes: u64) -> String {
    const UNITS: [&str; 6] = ["KiB", "MiB", "GiB", "TiB", "PiB", "EiB"];
    if bytes < 1024 {
        return format!("{bytes} B");
    }
    // Tenths of the unit, rounded down, so that no mailbox is shown as fuller than it is.
    let (mut tenths, mut unit) = (u128::from(bytes) * 10 / 1024, 0);
    while tenths >= 10_240 && unit + 1 < UNITS.len() {
        tenths /= 1024;
        unit += 1;
    }
    let unit = UNITS.get(unit).copied().unwrap_or_default();
    if tenths >= 1000 { format!("{} {unit}", tenths / 10) } else { format!("{}.{} {unit}", tenths / 10, tenths % 10) }
}

/// Returns a quota such as `1.0 GiB, 10000 messages`. 0 is no limit. The text is empty if neither part is given.
pub fn limits(bytes: Option<u64>, messages: Option<u64>) -> String {
    let bytes = bytes.map(|bytes| if bytes == 0 { "any size".to_owned() } else { size(bytes) });
    let messages = messages.map(|number| match number {
        0 => "any number".to_owned(),
        number => count(number),
    });
    match (bytes.as_deref(), messages.as_deref()) {
        (Some("any size"), Some("any number")) => "none".to_owned(),
        _ => bytes.into_iter().chain(messages).collect::<Vec<_>>().join(", "),
    }
}

/// Returns the use of a mailbox, such as `1.5 MiB in 20 messages`.
pub fn used(usage: Usage) -> String {
    format!("{} in {}", size(usage.bytes), count(usage.messages))
}

fn count(messages: u64) -> String {
    format!("{messages} message{}", if messages == 1 { "" } else { "s" })
}

/// Returns a use and its limit, such as `400 MiB of 1.0 GiB`, or only `400 MiB`.
pub fn of(used: String, limit: Option<String>) -> String {
    match limit {
        Some(limit) => format!("{used} of {limit}"),
        None => used,
    }
}

/// Returns a bar of ten places.
pub fn bar(percent: u64) -> String {
    let full = usize::try_from(percent / 10).unwrap_or(10).min(10);
    format!("[{}{}]", "#".repeat(full), ".".repeat(10 - full))
}

/// Returns the age of a time, such as `3 minutes ago`.
pub fn ago(time: SystemTime) -> String {
    let Ok(age) = time.elapsed() else { return "in the future".to_owned() };
    let (count, unit) = match age.as_secs() {
        seconds @ 0..120 => (seconds, "second"),
        seconds @ 120..7200 => (seconds / 60, "minute"),
        seconds @ 7200..172_800 => (seconds / 3600, "hour"),
        seconds => (seconds / 86_400, "day"),
    };
    format!("{count} {unit}{} ago", if count == 1 { "" } else { "s" })
}

/// Returns the seconds since 1970, for JSON.
pub fn seconds(time: SystemTime) -> u64 {
    time.duration_since(SystemTime::UNIX_EPOCH).map_or(0, |since| since.as_secs())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_are_short() {
        let sizes = [0, 1023, 1024, 1536, 102_400, 1 << 20, (1 << 30) - 1, 1 << 30, u64::MAX];
        let shown = ["0 B", "1023 B", "1.0 KiB", "1.5 KiB", "100 KiB", "1.0 MiB", "1023 MiB", "1.0 GiB", "15.9 EiB"];
        assert_eq!(sizes.map(size), shown);
    }

    #[test]
    fn limits_are_shown_in_one_form() {
        let shown = |bytes, messages| limits(bytes, messages);
        assert_eq!(shown(Some(1 << 30), Some(10_000)), "1.0 GiB, 10000 messages");
        assert_eq!((shown(Some(5), None), shown(None, Some(1))), ("5 B".into(), "1 message".into()));
        assert_eq!((shown(Some(0), Some(0)), shown(None, None)), ("none".into(), String::new()));
        assert_eq!((shown(Some(0), None), shown(Some(0), Some(7))), ("any size".into(), "any size, 7 messages".into()));
        assert_eq!(used(Usage { bytes: 1536, messages: 1 }), "1.5 KiB in 1 message");
    }

    #[test]
    fn a_bar_has_ten_places() {
        assert_eq!([0, 9, 10, 99, 100, 5000].map(bar).map(|bar| bar.matches('#').count()), [0, 0, 1, 9, 10, 10]);
        assert!([0, 55, 1000].map(bar).iter().all(|bar| bar.len() == 12));
    }
}
