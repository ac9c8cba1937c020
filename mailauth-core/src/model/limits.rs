//! The limits of a quota, and the two formats in which they are written.
//!
//! The quota string is Courier's (maildirquota(7)): numbers with a letter, `S` for bytes or `C` for messages, separated by
//! commas: `10000000S,1000C`. People write `10M,1000`: a size with an optional K, M, G or T (powers of 1024), then a
//! number of messages. [`Limits::parse`] reads what programs exchange, [`WrittenLimits::parse`] what people write.

use std::fmt;

/// Maximum numbers of bytes and messages in a mailbox; `None` is no limit.
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

/// Reason why a text is not a quota. Such a text is never read as "no limit".
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum LimitsError {
    /// A part that is not a number with one of the letters.
    #[error("{0:?} is not a quota: write bytes and messages as 10000000S,1000C or as 10M,1000, or none")]
    Malformed(String),
    /// A part that is given twice.
    #[error("the quota {0:?} gives the same limit twice")]
    Twice(String),
    /// A number larger than 2^63 - 1.
    #[error("the quota {0:?} is beyond 2^63 - 1")]
    TooLarge(String),
    /// A negative number, which means "no limit" to some programs.
    #[error("{0:?} is not a quota: a limit is not below 0; write none if there is to be no limit")]
    Negative(String),
    /// Digits in groups of three, whose comma would be read as the one between bytes and messages.
    #[error(
        "{0:?} is not a quota: its digits are in groups of three; write numbers without separators, such as 1024M, or \
         with their letters, such as 1000S,500C"
    )]
    Grouped(String),
    /// A fraction, or a unit that is not one letter directly after its number.
    #[error(
        "{0:?} is not a quota: a size is a whole number with K, M, G or T directly behind it; write 1536M for one and a \
         half gigabytes"
    )]
    Unit(String),
}

impl Limits {
    /// No limit at all.
    pub const NONE: Limits = Limits { bytes: None, messages: None };

    /// The largest number either limit may have.
    pub const MAX: u64 = i64::MAX as u64;

    /// Returns these limits, or those of the domain if these are [`Limits::NONE`].
    #[must_use]
    pub fn or(self, domain: Limits) -> Limits {
        if self == Limits::NONE { domain } else { self }
    }

    /// Returns these limits, or those of the domain, which are looked up only if these are [`Limits::NONE`].
    ///
    /// # Errors
    /// Fails as `domain` does.
    pub fn or_else<E>(self, domain: impl FnOnce() -> Result<Limits, E>) -> Result<Limits, E> {
        if self == Limits::NONE { domain() } else { Ok(self) }
    }

    /// Reads a quota string. An empty string, `0S` and `NOQUOTA` (vpopmail's word) are no limit.
    ///
    /// # Errors
    /// Fails on anything else that is not a list of numbers with `S` or `C`.
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

    /// Reads a quota as people write it: `1G`, `500M,10000`, `none`, or a quota string.
    ///
    /// # Errors
    /// Fails as [`WrittenLimits::parse`] does.
    pub fn parse_human(text: &str) -> Result<Self, LimitsError> {
        WrittenLimits::parse(text).map(|written| Limits::from_columns(written.bytes, written.messages))
    }

    /// Returns a warning about limits that are valid and probably a mistake, with its fix: no mailbox works with less than
    /// 1 MiB, and such a small number was usually meant as megabytes.
    ///
    /// ```
    /// use mailauth_core::quota::Limits;
    /// let doubt = |text| Limits::parse_human(text).unwrap().doubt();
    /// assert!(doubt("1024").unwrap().contains("write 1024M"));
    /// assert_eq!(doubt("1024M"), None);
    /// ```
    pub fn doubt(self) -> Option<String> {
        let bytes = self.bytes.filter(|bytes| *bytes < LEAST_SENSIBLE)?;
        Some(format!(
            "a limit of {bytes} bytes is less than 1 MiB, too little for a mailbox; write {bytes}M if megabytes are meant, \
             or 0 for no limit"
        ))
    }

    /// Converts two numbers of which 0 means no limit, as in the table and the quota string.
    pub fn from_columns(bytes: Option<u64>, messages: Option<u64>) -> Self {
        Limits { bytes: bytes.filter(|n| *n > 0), messages: messages.filter(|n| *n > 0) }
    }
}

/// Smallest number of bytes with which a mailbox can be used.
const LEAST_SENSIBLE: u64 = 1 << 20;

/// A quota as a person wrote it, part by part: `None` is a part that is not given, and 0 is no limit.
///
/// All quotas on the command line, in the configuration and in CSV are read by its parser. White space around the parts
/// is ignored.
///
/// ```
/// use mailauth_core::quota::WrittenLimits;
/// let parse = |text| WrittenLimits::parse(text).unwrap();
/// assert_eq!(parse("1G,500"), WrittenLimits { bytes: Some(1 << 30), messages: Some(500) });
/// assert_eq!(parse(" 500C "), WrittenLimits { bytes: None, messages: Some(500) });
/// assert_eq!(parse("none"), WrittenLimits { bytes: Some(0), messages: Some(0) });
/// assert!(WrittenLimits::parse("1,024").is_err());
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct WrittenLimits {
    /// Bytes, at most 2^63 - 1.
    pub bytes: Option<u64>,
    /// Messages, at most 2^63 - 1.
    pub messages: Option<u64>,
}

impl WrittenLimits {
    /// Reads a size with an optional K, M, G or T (powers of 1024) and a number of messages, or numbers with `S` for bytes
    /// and `C` for messages; `none` and `NOQUOTA` are no limit at all.
    ///
    /// # Errors
    /// Fails on anything else, and on digits in groups: `1,024` would be 1 byte and 24 messages.
    pub fn parse(text: &str) -> Result<Self, LimitsError> {
        let text = text.trim();
        if text.eq_ignore_ascii_case("none") || text.eq_ignore_ascii_case("NOQUOTA") {
            return Ok(WrittenLimits { bytes: Some(0), messages: Some(0) });
        }
        if let Some(slip) = slip(text) {
            return Err(slip(text.to_owned()));
        }
        let mut written = WrittenLimits::default();
        // A number without a letter is bytes in the first part, and messages after such a part.
        let mut is_bare = false;
        for (index, part) in text.split(',').map(str::trim).enumerate() {
            let behind_size = index == 1 && is_bare;
            is_bare = false;
            let (digits, unit, slot) = match part.char_indices().next_back() {
                Some((at, 'S')) => (&part[..at], 1, &mut written.bytes),
                Some((at, 'C')) => (&part[..at], 1, &mut written.messages),
                _ if behind_size => (part, 1, &mut written.messages),
                _ if index > 0 => return Err(LimitsError::Malformed(text.to_owned())),
                last => {
                    is_bare = true;
                    let (digits, unit) = size(part, last);
                    (digits, unit, &mut written.bytes)
                }
            };
            let number = number(digits, unit).map_err(|error| error(text))?;
            if slot.replace(number).is_some() {
                return Err(LimitsError::Twice(text.to_owned()));
            }
        }
        Ok(written)
    }
}

/// Splits a size into its digits and its unit.
fn size(part: &str, last: Option<(usize, char)>) -> (&str, u64) {
    let Some((at, letter)) = last else { return (part, 1) };
    let shift = match letter.to_ascii_uppercase() {
        'K' => 10,
        'M' => 20,
        'G' => 30,
        'T' => 40,
        _ => return (part, 1),
    };
    (part.get(..at).unwrap_or_default(), 1 << shift)
}

/// Returns the mistake in a text that is not a quota, if it is one of the known mistakes.
fn slip(text: &str) -> Option<fn(String) -> LimitsError> {
    let is_number = |part: &str| part.starts_with(|c: char| c.is_ascii_digit());
    if text.split(',').any(|part| part.trim().strip_prefix(['-', '\u{2212}']).is_some_and(is_number)) {
        return Some(LimitsError::Negative);
    }
    if is_grouped(text) {
        return Some(LimitsError::Grouped);
    }
    let unit = |part: &str| {
        let rest = part.trim().trim_start_matches(|c: char| c.is_ascii_digit());
        let rest = rest.trim_start_matches('.').trim_start_matches(|c: char| c.is_ascii_digit());
        let word = rest.trim_start().to_ascii_lowercase();
        let known = ["", "k", "m", "g", "t", "b", "kb", "mb", "gb", "tb", "kib", "mib", "gib", "tib"].contains(&&*word);
        is_number(part.trim())
            && known
            && (part.contains('.') || rest.starts_with(char::is_whitespace) || word.len() > 1)
    };
    text.split(',').any(unit).then_some(LimitsError::Unit)
}

/// Returns true if digits are written in groups of three: `1,024`, `1.024`, `1 024`, `10'000`. A number that begins with
/// 0 is not.
fn is_grouped(text: &str) -> bool {
    let by = |separators: &[char]| {
        let mut groups = text.split(separators);
        let Some(first) = groups.next() else { return false };
        let first = first.rsplit(|c: char| !c.is_ascii_digit()).next().unwrap_or_default();
        let begins = matches!(first.len(), 1..=3) && !first.starts_with('0');
        // A letter or other text may follow the last group.
        let three = |group: &str| {
            let digits = group.len() - group.trim_start_matches(|c: char| c.is_ascii_digit()).len();
            digits == 3
        };
        begins && groups.next().is_some_and(three)
    };
    let commas =
        text.split(',').count() > 2 && text.split(',').skip(1).any(|part| part.len() == 3 && number(part, 1).is_ok());
    commas || by(&[',']) || by(&['.']) || by(&['\'', '\u{2019}', '_', ' ', '\u{a0}', '\u{202f}'])
}

/// Reads a decimal number, which consists of digits only, and multiplies it by `unit`.
fn number(digits: &str, unit: u64) -> Result<u64, fn(&str) -> LimitsError> {
    if digits.is_empty() || !digits.bytes().all(|b| b.is_ascii_digit()) {
        return Err(|text| LimitsError::Malformed(text.to_owned()));
    }
    match digits.parse::<u64>().ok().and_then(|n| n.checked_mul(unit)) {
        Some(n) if n <= Limits::MAX => Ok(n),
        _ => Err(|text| LimitsError::TooLarge(text.to_owned())),
    }
}

/// Written as the canonical quota string: bytes first, and nothing for no limit.
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
    fn invalid_text_is_an_error_and_never_no_quota() {
        for text in ["1000", "S", "5s", "-5S", "+5S", "5 S", "5S,", ",5S", "1G", "5S5C", "5X"] {
            assert!(matches!(Limits::parse(text), Err(LimitsError::Malformed(_))), "{text:?}");
        }
        assert!(matches!(Limits::parse("5S,6S"), Err(LimitsError::Twice(_))));
        assert!(matches!(Limits::parse("9223372036854775808S"), Err(LimitsError::TooLarge(_))));
        assert!(matches!(Limits::parse("99999999999999999999999S"), Err(LimitsError::TooLarge(_))));
    }

    #[test]
    fn sizes_may_have_units() {
        let bytes = |text| Limits::parse_human(text).unwrap().bytes;
        assert_eq!(bytes("1k"), Some(1024));
        assert_eq!(bytes("2T"), Some(2 << 40));
        assert_eq!(bytes("123"), Some(123));
        assert_eq!(bytes("none"), None);
        assert_eq!(Limits::parse_human("5S,6C").unwrap(), Limits { bytes: Some(5), messages: Some(6) });
        assert!(matches!(Limits::parse_human("9999999T"), Err(LimitsError::TooLarge(_))));
        for text in ["", "G", "1G,", "ü", "1024s", "5,", ",5", "5S6C", "1G;1000", "1G,2G", "1000S,5", "lots", "1Ğ"] {
            assert!(matches!(Limits::parse_human(text), Err(LimitsError::Malformed(_))), "{text:?}");
        }
    }

    #[test]
    fn blanks_around_the_parts_are_ignored() {
        let (bytes, messages) = (Some(1 << 30), Some(1000));
        for text in
            ["1G,1000", " 1G , 1000 ", "1G,1000C\t", "\u{a0}1g, 1000C", "1073741824S, 1000C ", "1000C,1073741824S"]
        {
            assert_eq!(WrittenLimits::parse(text), Ok(WrittenLimits { bytes, messages }), "{text:?}");
        }
        assert_eq!(WrittenLimits::parse("1000C "), Ok(WrittenLimits { bytes: None, messages }));
        assert_eq!(WrittenLimits::parse("0"), Ok(WrittenLimits { bytes: Some(0), messages: None }));
    }

    #[test]
    fn digits_in_groups_are_rejected_and_never_read_as_messages() {
        for text in [
            "1,024",
            "1,024M",
            "1,024,000",
            "1,024S",
            "1,000,000S,10C",
            "1G,10,000",
            "1.024",
            "1 024",
            "10'000",
            "1_024M",
            "100,000",
            "999,999C",
            "1\u{a0}024",
            "1G,1.000",
        ] {
            assert!(
                matches!(WrittenLimits::parse(text), Err(LimitsError::Grouped(_))),
                "{text:?}: {:?}",
                WrittenLimits::parse(text)
            );
        }
        for text in ["1000,500", "0,500", "1G,500", "100M,100", "500S,100C", "10,1000", "10,10"] {
            assert!(WrittenLimits::parse(text).is_ok(), "{text:?}");
        }
    }

    #[test]
    fn errors_name_the_mistake() {
        for text in ["-1", "-1,-1", "-1S", "1G,-1", "\u{2212}1"] {
            assert!(matches!(WrittenLimits::parse(text), Err(LimitsError::Negative(_))), "{text:?}");
        }
        for text in ["1.5G", "1GB", "1 G", "1.0 GiB", "10 MB", "500MiB,1000"] {
            assert!(matches!(WrittenLimits::parse(text), Err(LimitsError::Unit(_))), "{text:?}");
        }
    }

    #[test]
    fn a_limit_below_one_mebibyte_gets_a_warning() {
        let doubt = |text| Limits::parse_human(text).unwrap().doubt();
        for text in ["1", "1024", "1048575S", "512K,1000"] {
            assert!(doubt(text).unwrap().contains("less than 1 MiB"), "{text}");
        }
        for text in ["none", "0", "1M", "10C", "1048576S"] {
            assert_eq!(doubt(text), None, "{text}");
        }
    }

    proptest! {
        #[test]
        fn a_quota_is_written_as_it_is_read(bytes in 1..=Limits::MAX, messages in 0..=Limits::MAX) {
            let limits = Limits::from_columns(Some(bytes), Some(messages));
            prop_assert_eq!(Limits::parse(&limits.to_string()).unwrap(), limits);
        }

        #[test]
        fn any_text_is_a_quota_or_an_error(text in ".{0,40}") {
            let _ = Limits::parse(&text);
            if let Ok(strict) = Limits::parse(&text) && !text.trim().is_empty() {
                prop_assert_eq!(Limits::parse_human(&text), Ok(strict));
            }
        }
    }
}
