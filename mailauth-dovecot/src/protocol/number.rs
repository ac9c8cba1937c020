//! The numbers of the protocol: ids and process ids.

use super::Malformed;

/// Reads a number from 1 to 4294967295. Zeros at its beginning are ignored.
pub fn parse_id(text: &[u8]) -> Result<u32, Malformed> {
    match parse_number(text) {
        Some(id) if id > 0 => Ok(id),
        _ => Err(Malformed("an id is not a number from 1 to 4294967295")),
    }
}

/// Reads a number of decimal digits.
pub fn parse_number(text: &[u8]) -> Option<u32> {
    // `parse` alone would take a sign.
    let digits = std::str::from_utf8(text).ok().filter(|text| text.bytes().all(|byte| byte.is_ascii_digit()))?;
    digits.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_is_a_positive_number_of_32_bits() {
        assert_eq!(parse_id(b"1"), Ok(1));
        assert_eq!(parse_id(b"007"), Ok(7));
        assert_eq!(parse_id(b"4294967295"), Ok(u32::MAX));
        for text in ["", "0", "-1", "+1", "4294967296", "abc", "1 ", "\u{661}", "99999999999999999999999"] {
            assert!(parse_id(text.as_bytes()).is_err(), "{text:?}");
        }
    }
}
