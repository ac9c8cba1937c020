//! Quotas in one column, as Courier, vpopmail and others write them.

use crate::model::limits::Limits;

/// What the column says: `None` is left to the default, and 0 is no limit, as in two columns of numbers.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(in crate::store) struct QuotaColumns {
    /// Maximum number of bytes.
    pub bytes: Option<i64>,
    /// Maximum number of messages.
    pub messages: Option<i64>,
}

/// Reads `104857600S,1000C`, a size with a unit such as `10MB` or `1000K`, a plain number, `NOQUOTA`, or an empty text.
/// Everything that is not positive is no limit, and a limit that is not given is none. A plain number counts bytes, if
/// `plain_is_bytes`; otherwise it is no limit, as for Courier.
///
/// # Errors
/// Fails with what is wrong.
pub(in crate::store) fn read(text: &str, plain_is_bytes: bool) -> Result<QuotaColumns, &'static str> {
    let none = QuotaColumns { bytes: Some(0), messages: Some(0) };
    let text = text.trim();
    if text.is_empty() || text.eq_ignore_ascii_case("NOQUOTA") {
        return Ok(none);
    }
    let (mut bytes, mut messages) = (None, None);
    for part in text.split(',').map(str::trim) {
        let digits = part.trim_end_matches(|c: char| c.is_ascii_alphabetic());
        let unit = part.get(digits.len()..).unwrap_or_default();
        let (slot, factor) = match unit.to_ascii_uppercase().as_str() {
            "S" => (&mut bytes, 1),
            "C" => (&mut messages, 1),
            "" => (&mut bytes, i64::from(plain_is_bytes)),
            "K" | "KB" => (&mut bytes, 1 << 10),
            "M" | "MB" => (&mut bytes, 1 << 20),
            "G" | "GB" => (&mut bytes, 1 << 30),
            "T" | "TB" => (&mut bytes, 1 << 40),
            _ => return Err(MALFORMED),
        };
        if slot.replace(limit(digits, factor)?).is_some() {
            return Err("gives the same limit twice");
        }
    }
    Ok(QuotaColumns { bytes: bytes.or(none.bytes), messages: messages.or(none.messages) })
}

const MALFORMED: &str = "is not a quota, such as 104857600S,1000C or 10MB";

/// Reads a number, of which a negative one is no limit.
fn limit(digits: &str, factor: i64) -> Result<i64, &'static str> {
    let (is_negative, digits) = digits.strip_prefix('-').map_or((false, digits), |digits| (true, digits));
    if digits.is_empty() || !digits.bytes().all(|b| b.is_ascii_digit()) {
        return Err(MALFORMED);
    }
    if is_negative {
        return Ok(0);
    }
    let number = digits.parse::<i64>().ok().and_then(|number| number.checked_mul(factor));
    number.filter(|number| number.unsigned_abs() <= Limits::MAX).ok_or("is beyond 2^63 - 1")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn both(bytes: i64, messages: i64) -> Result<QuotaColumns, &'static str> {
        Ok(QuotaColumns { bytes: Some(bytes), messages: Some(messages) })
    }

    #[test]
    fn the_forms_of_courier_and_vpopmail_are_read() {
        for (text, bytes, messages) in [
            ("104857600S", 104_857_600, 0),
            ("104857600S,1000C", 104_857_600, 1000),
            ("1000C,5S", 5, 1000),
            ("1000C", 0, 1000),
            ("1000000", 1_000_000, 0),
            ("10MB", 10 << 20, 0),
            ("10M", 10 << 20, 0),
            ("1000KB", 1000 << 10, 0),
            ("1000k", 1000 << 10, 0),
            ("2G", 2 << 30, 0),
            (" 5S , 6C ", 5, 6),
            ("9223372036854775807", i64::MAX, 0),
        ] {
            assert_eq!(read(text, true), both(bytes, messages), "{text}");
        }
    }

    #[test]
    fn no_limit_is_written_in_many_ways() {
        for text in
            ["", "  ", "NOQUOTA", "noquota", "0", "0S", "-1", "-1S", "-1S,-1C", "0S,0C", "-99999999999999999999"]
        {
            assert_eq!(read(text, true), both(0, 0), "{text}");
        }
        assert_eq!(read("1000000", false), both(0, 0), "Courier reads no limit from a plain number");
        assert_eq!(read("1000000S", false), both(1_000_000, 0));
    }

    #[test]
    fn a_text_that_is_no_quota_is_never_read_as_no_limit() {
        for text in ["many", "10X", "1,000", "10S,", "S", "-", "--1", "1.5M", "10 MB", "0x10", "1S;2C", "+5S", "١S"] {
            assert!(read(text, true).is_err(), "{text}: {:?}", read(text, true));
        }
        assert_eq!(read("5S,6S", true), Err("gives the same limit twice"));
        for text in ["9223372036854775808", "99999999999999999999S", "9007199254740992K"] {
            assert_eq!(read(text, true), Err("is beyond 2^63 - 1"), "{text}");
        }
    }
}
