//! Prefixes of stored values, and the encodings of bytes in them.

use super::Flaw;
use crate::Secret;
use base64::engine::Engine;
use base64::engine::general_purpose::{STANDARD, STANDARD_NO_PAD};

/// crypt(3)'s alphabet, which differs from base64's.
const CRYPT64: &[u8; 64] = b"./0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";

/// Maximum length of the name in `{NAME}`.
const MAX_PREFIX: usize = 32;

/// Splits `{NAME}rest` into the name and the rest.
pub fn prefix(stored: &[u8]) -> Option<(&str, &[u8])> {
    let inner = stored.strip_prefix(b"{")?;
    let end = inner.iter().take(MAX_PREFIX + 1).position(|b| *b == b'}')?;
    let (name, rest) = (inner.get(..end)?, inner.get(end + 1..)?);
    Some((std::str::from_utf8(name).ok()?, rest))
}

/// The encoding of the value after a prefix, which follows a `.` in the prefix.
#[derive(Clone, Copy)]
pub enum Encoding {
    /// `b64` or `base64`.
    Base64,
    /// `hex`.
    Hex,
}

impl Encoding {
    /// Returns the encoding with this name, in upper or lower case.
    pub fn from_name(name: &str) -> Option<Self> {
        const NAMES: &[(&str, Encoding)] =
            &[("b64", Encoding::Base64), ("base64", Encoding::Base64), ("hex", Encoding::Hex)];
        NAMES.iter().find(|(known, _)| known.eq_ignore_ascii_case(name)).map(|(_, encoding)| *encoding)
    }

    /// Returns the bytes that `text` encodes.
    pub fn decode(self, text: &[u8]) -> Result<Secret, Flaw> {
        let (decoded, what) = match self {
            Encoding::Base64 => (base64(text), "it is not base64, although its prefix says so"),
            Encoding::Hex => (hex(text), "it is not hexadecimal, although its prefix says so"),
        };
        decoded.map(Secret::new).ok_or(Flaw::Malformed { scheme: "encoded", what })
    }

    /// Returns the bytes that `text` encodes, in hexadecimal.
    pub fn to_hex(self, text: &[u8]) -> Result<Secret, Flaw> {
        let digit = |nibble: u8| char::from_digit(u32::from(nibble), 16).map_or(0, |digit| digit as u8);
        let decoded = self.decode(text)?;
        let digits = decoded.expose().iter().flat_map(|byte| [digit(byte >> 4), digit(byte & 15)]);
        Ok(Secret::new(digits.collect()))
    }
}

/// Decodes base64 with padding, which all programs write in these values.
pub fn base64(text: &[u8]) -> Option<Vec<u8>> {
    STANDARD.decode(text).ok()
}

/// Decodes passlib's base64: `.` instead of `+`, and no padding.
pub fn adapted_base64(text: &[u8]) -> Option<Vec<u8>> {
    if text.contains(&b'+') {
        return None;
    }
    let standard: Vec<u8> = text.iter().map(|b| if *b == b'.' { b'+' } else { *b }).collect();
    STANDARD_NO_PAD.decode(standard).ok()
}

/// Decodes hexadecimal digits in upper or lower case.
pub fn hex(text: &[u8]) -> Option<Vec<u8>> {
    if !text.len().is_multiple_of(2) {
        return None;
    }
    let digit = |b: u8| char::from(b).to_digit(16);
    let byte = |pair: &[u8]| match pair {
        [high, low] => u8::try_from(digit(*high)? << 4 | digit(*low)?).ok(),
        _ => None,
    };
    text.chunks(2).map(byte).collect()
}

/// Decodes exactly `N` bytes in hexadecimal.
pub fn hex_array<const N: usize>(text: &[u8]) -> Option<[u8; N]> {
    hex(text)?.try_into().ok()
}

/// Returns the six bits that a character of crypt(3)'s alphabet represents.
pub fn crypt64_value(character: u8) -> Option<u8> {
    Some(match character {
        b'.'..=b'/' => character - b'.',
        b'0'..=b'9' => character - b'0' + 2,
        b'A'..=b'Z' => character - b'A' + 12,
        b'a'..=b'z' => character - b'a' + 38,
        _ => return None,
    })
}

/// Encodes bytes in crypt(3)'s alphabet, in groups of three bytes with the least significant bits first.
pub fn crypt64(bytes: &[u8]) -> String {
    let mut text = String::with_capacity(bytes.len().div_ceil(3) * 4);
    for group in bytes.chunks(3) {
        let bits = group.iter().enumerate().fold(0_u32, |bits, (at, byte)| bits | u32::from(*byte) << (8 * at));
        crypt64_group(&mut text, bits, group.len() + 1);
    }
    text
}

/// Appends `characters` characters, each of six bits, the lowest bits first.
pub fn crypt64_group(text: &mut String, bits: u32, characters: usize) {
    text.extend((0..characters).map(|at| char::from(CRYPT64[(bits >> (6 * at) & 63) as usize])));
}

/// Decodes what [`crypt64`] writes. Bits beyond the last byte must be zero.
pub fn decode_crypt64(text: &[u8]) -> Option<Vec<u8>> {
    let mut bytes = Vec::with_capacity(text.len() * 3 / 4);
    for group in text.chunks(4) {
        let mut bits = 0_u32;
        for (at, character) in group.iter().enumerate() {
            bits |= u32::from(crypt64_value(*character)?) << (6 * at);
        }
        let whole = group.len() * 6 / 8;
        if group.len() == 1 || bits.checked_shr(8 * whole as u32).unwrap_or(0) != 0 {
            return None;
        }
        bytes.extend(bits.to_le_bytes().iter().take(whole));
    }
    Some(bytes)
}

/// Parses a decimal number without a sign or leading zeros.
pub fn number(text: &[u8]) -> Option<u32> {
    let canonical = match text {
        [b'0'] => true,
        [b'1'..=b'9', rest @ ..] => rest.iter().all(u8::is_ascii_digit),
        _ => false,
    };
    if canonical { std::str::from_utf8(text).ok()?.parse().ok() } else { None }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_prefix_is_a_short_word_in_braces() {
        assert_eq!(prefix(b"{SHA}x"), Some(("SHA", b"x".as_slice())));
        assert_eq!(prefix(b"{}x"), Some(("", b"x".as_slice())));
        assert_eq!(prefix(b"{SHA"), None);
        assert_eq!(prefix(b"x{SHA}"), None);
        assert_eq!(prefix(&[b"{".as_slice(), &[b'A'; 100], b"}"].concat()), None);
    }

    #[test]
    fn crypt64_decodes_what_it_encodes() {
        for length in 0..20_u8 {
            let bytes: Vec<u8> = (0..length).map(|at| at.wrapping_mul(37)).collect();
            assert_eq!(decode_crypt64(crypt64(&bytes).as_bytes()), Some(bytes));
        }
        assert_eq!(decode_crypt64(b"zz"), None, "bits beyond the last byte");
        assert_eq!(decode_crypt64(b"a!"), None);
    }

    #[test]
    fn only_canonical_numbers_are_parsed() {
        assert_eq!(number(b"5000"), Some(5000));
        assert_eq!(number(b"0"), Some(0));
        for text in ["", "+5", "-5", "05", "5 ", "99999999999", "5x"] {
            assert_eq!(number(text.as_bytes()), None, "{text}");
        }
    }
}
