//! The limits of a quota, and the two ways they are written.
//!
//! The quota string is Courier's (maildirquota(7)): `N` with a letter, `S` for bytes or `C` for messages, with commas
//! between: `10000000S,1000C`. People write `10M,1000`: a size with an optional K, M, G or T (powers of 1024), then a
//! number of messages.

use std::fmt;

/// The most bytes and messages a mailbox may hold; `None` is no limit.
///
/// ```
/// use mailauth_core::quota::Limits;
/// let limits = Limits::parse("10000000S,1000C").unwrap();
/// assert_eq!(limits, Limits { bytes: Some(10_000_000), messages: Some(1000) });
/// assert_eq!(limits.to_string(), "10000000S,1000C");
/// assert_eq!(Limits::parse_human("1G,500").unwrap().to_string(), "1073741824S,500C");
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Limits {
    /// Bytes, at most 2^63 - 1.
    pub bytes: Option<u64>,
    /// Messages, at most 2^63 - 1.
    pub messages: Option<u64>,
}

/// Why a text is not a quota. It never means "no limit".
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum LimitsError {
    /// A part that is no number with a letter it may have.
    #[error("{0:?} is not a quota: write bytes and messages as 10000000S,1000C, or as 10M,1000")]
    Malformed(String),
    /// A part given twice.
    #[error("the quota {0:?} gives the same limit twice")]
    Twice(String),
    /// A number beyond 2^63 - 1.
    #[error("the quota {0:?} is beyond 2^63 - 1")]
    TooLarge(String),
}

impl Limits {
    /// No limit at all.
    pub const NONE: Limits = Limits { bytes: None, messages: None };

    /// The largest number either limit may have.
    pub const MAX: u64 = i64::MAX as u64;

    /// Reads a quota string. Empty, `0S` and `NOQUOTA` (vpopmail's word) are no limit.
    ///
    /// # Errors
    /// On anything else that is not a list of numbers with `S` or `C`.
    pub fn parse(text: &str) -> Result<Self, LimitsError> {
        let text = text.trim();
        if text.is_empty() || text == "NOQUOTA" {
            return Ok(Self::NONE);
        }
        let mut bytes = None;
        let mut messages = None;
        for part in text.split(',') {
            let (digits, slot) = match (part.strip_suffix('S'), part.strip_suffix('C')) {
                (Some(digits), _) => (digits, &mut bytes),
                (_, Some(digits)) => (digits, &mut messages),
                _ => return Err(LimitsError::Malformed(text.to_owned())),
            };
            let number = number(digits, 1).map_err(|error| error(text))?;
            if slot.replace(number).is_some() {
                return Err(LimitsError::Twice(text.to_owned()));
            }
        }
        Ok(Limits::from_columns(bytes, messages))
    }

    /// Reads what a person types: `1G`, `500M,10000`, `none`, or a quota string.
    ///
    /// # Errors
    /// As [`Limits::parse`].
    pub fn parse_human(text: &str) -> Result<Self, LimitsError> {
        let text = text.trim();
        if text == "none" || text == "0" {
            return Ok(Self::NONE);
        }
        if text.ends_with(['S', 'C']) {
            return Self::parse(text);
        }
        let (size, count) = text.split_once(',').map_or((text, None), |(size, count)| (size, Some(count)));
        let (digits, unit) = match size.char_indices().next_back() {
            Some((at, letter)) => match letter.to_ascii_uppercase() {
                'K' => (&size[..at], 1 << 10),
                'M' => (&size[..at], 1 << 20),
                'G' => (&size[..at], 1 << 30),
                'T' => (&size[..at], 1 << 40),
                _ => (size, 1),
            },
            None => (size, 1),
        };
        let bytes = number(digits, unit).map_err(|error| error(text))?;
        let messages = count.map(|count| number(count, 1)).transpose().map_err(|error| error(text))?;
        Ok(Limits::from_columns(Some(bytes), messages))
    }

    /// From two numbers of which 0 means no limit, as the table and the quota string have it.
    pub fn from_columns(bytes: Option<u64>, messages: Option<u64>) -> Self {
        Limits { bytes: bytes.filter(|n| *n > 0), messages: messages.filter(|n| *n > 0) }
    }
}

/// A decimal number times `unit`, with not a character beside its digits.
fn number(digits: &str, unit: u64) -> Result<u64, fn(&str) -> LimitsError> {
    if digits.is_empty() || !digits.bytes().all(|b| b.is_ascii_digit()) {
        return Err(|text| LimitsError::Malformed(text.to_owned()));
    }
    match digits.parse::<u64>().ok().and_then(|n| n.checked_mul(unit)) {
        Some(n) if n <= Limits::MAX => Ok(n),
        _ => Err(|text| LimitsError::TooLarge(text.to_owned())),
    }
}

/// The canonical quota string: bytes first, and nothing where there is no limit.
impl fmt::Display for Limits {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (self.bytes, self.messages) {
            (Some(bytes), Some(messages)) => write!(f, "{bytes}S,{messages}C"),
            (Some(bytes), None) => write!(f, "{bytes}S"),
            (None, Some(messages)) => write!(f, "{messages}C"),
            (None, None) => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn quota_strings_are_read_in_any_order() {
        assert_eq!(Limits::parse("1000C,5S").unwrap(), Limits { bytes: Some(5), messages: Some(1000) });
        assert_eq!(Limits::parse("7C").unwrap(), Limits { bytes: None, messages: Some(7) });
        for none in ["", "NOQUOTA", "0S", "0S,0C", " "] {
            assert_eq!(Limits::parse(none).unwrap(), Limits::NONE, "{none:?}");
        }
    }

    #[test]
    fn unreadable_text_is_an_error_never_no_quota() {
        for text in ["1000", "S", "5s", "-5S", "+5S", "5 S", "5S,", ",5S", "1G", "5S5C", "5X"] {
            assert!(matches!(Limits::parse(text), Err(LimitsError::Malformed(_))), "{text:?}");
        }
        assert!(matches!(Limits::parse("5S,6S"), Err(LimitsError::Twice(_))));
        assert!(matches!(Limits::parse("9223372036854775808S"), Err(LimitsError::TooLarge(_))));
        assert!(matches!(Limits::parse("99999999999999999999999S"), Err(LimitsError::TooLarge(_))));
    }

    #[test]
    fn people_write_units() {
        let bytes = |text| Limits::parse_human(text).unwrap().bytes;
        assert_eq!(bytes("1k"), Some(1024));
        assert_eq!(bytes("2T"), Some(2 << 40));
        assert_eq!(bytes("123"), Some(123));
        assert_eq!(bytes("none"), None);
        assert_eq!(Limits::parse_human("5S,6C").unwrap(), Limits { bytes: Some(5), messages: Some(6) });
        assert!(matches!(Limits::parse_human("9999999T"), Err(LimitsError::TooLarge(_))));
        for text in ["", "G", "1GB", "1.5G", "1G,", "ü"] {
            assert!(matches!(Limits::parse_human(text), Err(LimitsError::Malformed(_))), "{text:?}");
        }
    }

    proptest! {
        #[test]
        fn a_quota_prints_as_it_is_read(bytes in 1..=Limits::MAX, messages in 0..=Limits::MAX) {
            let limits = Limits::from_columns(Some(bytes), Some(messages));
            prop_assert_eq!(Limits::parse(&limits.to_string()).unwrap(), limits);
        }

        #[test]
        fn any_text_is_a_quota_or_an_error(text in ".{0,40}") {
            let _ = Limits::parse(&text);
            let _ = Limits::parse_human(&text);
        }
    }
}
