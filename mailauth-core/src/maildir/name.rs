//! What the name of a message's file says: its size, and whether it is in the trash.
//!
//! In Maildir++, the part before the flags has `,S=<bytes>`: `1753.M1P2.host,S=4711,W=4799:2,ST`. Only digits that end at
//! a comma, a colon or the end of the name are a size. If there are several, the last one counts, because programs append.
//! Flags are the capital letters directly after the first `:2,` (maildir(5)); T marks a message that was moved to the
//! trash.

use crate::model::limits::Limits;
use memchr::{memchr, memrchr};

/// What a name says about its message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct NameFields {
    /// Size in bytes; `None` if the name has no size.
    pub size: Option<u64>,
    /// True if it has the flag T.
    pub trashed: bool,
}

/// Reads a name.
pub(super) fn read(name: &[u8]) -> NameFields {
    let (base, flags) = name.split_at(memchr(b':', name).unwrap_or(name.len()));
    NameFields { size: size(base), trashed: is_trashed(flags) }
}

/// Returns the size in the part before the first colon.
fn size(mut base: &[u8]) -> Option<u64> {
    while let Some(comma) = memrchr(b',', base) {
        if let Some(digits) = base[comma + 1..].strip_prefix(b"S=")
            && let Some(size) = number(digits)
        {
            return Some(size);
        }
        base = &base[..comma];
    }
    None
}

/// Returns true if T is among the flags; `rest` begins with the first colon.
fn is_trashed(mut rest: &[u8]) -> bool {
    while let Some(colon) = memchr(b':', rest) {
        rest = &rest[colon + 1..];
        if let Some(flags) = rest.strip_prefix(b"2,") {
            return flags.iter().take_while(|flag| flag.is_ascii_uppercase()).any(|flag| *flag == b'T');
        }
    }
    false
}

/// Reads a decimal number of at most 2^63 - 1 that consists of digits only.
fn number(digits: &[u8]) -> Option<u64> {
    if digits.is_empty() {
        return None;
    }
    digits
        .iter()
        .try_fold(0u64, |sum, digit| {
            let value = digit.is_ascii_digit().then(|| u64::from(digit - b'0'))?;
            sum.checked_mul(10)?.checked_add(value)
        })
        .filter(|number| *number <= Limits::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_well_formed_size_before_the_flags_counts() {
        for (name, told) in [
            ("1.M2P3.host,S=4711:2,S", Some(4711)),
            ("1.host,S=4711,W=4800:2,", Some(4711)),
            ("1.host,S=1,S=2", Some(2)),
            ("1.host,S=1,S=2x", Some(1)),
            ("1.host,S=007", Some(7)),
            ("1.host,S=9007199254740993", Some(9_007_199_254_740_993)),
            ("1.host,S=9223372036854775807", Some(9_223_372_036_854_775_807)),
            ("1.host,S=9223372036854775808", None),
            ("1.host,S=99999999999999999999999", None),
            ("1.host,S=", None),
            ("1.host,S=abc", None),
            ("1.host,S=-5", None),
            ("1.host,S= 12", None),
            ("1.host,W=5", None),
            ("1.host:2,S=5", None),
            ("1.host:2,S,S=5", None),
            ("S=5", None),
            ("1.host", None),
            ("", None),
        ] {
            assert_eq!(read(name.as_bytes()).size, told, "{name}");
        }
    }

    #[test]
    fn trashed_is_a_capital_t_among_the_flags() {
        for name in ["1:2,T", "1:2,ST", "1,S=5:2,FRST", "1:1,x:2,T", "T:2,Tab"] {
            assert!(read(name.as_bytes()).trashed, "{name}");
        }
        for name in ["T", "1:2,", "1:2,S", "1:2,aT", "1:2,S,T", "1:2,S:2,T", "1:1,T", "1,T:2,S"] {
            assert!(!read(name.as_bytes()).trashed, "{name}");
        }
    }
}
