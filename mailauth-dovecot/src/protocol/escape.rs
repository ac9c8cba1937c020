//! The escape of fields: the byte 0x01 and a letter stand for a byte that cannot be in a field.

/// Bytes that have to be escaped, and the letter of each.
const LETTERS: [(u8, u8); 5] = [(0, b'0'), (1, b'1'), (b'\t', b't'), (b'\r', b'r'), (b'\n', b'n')];

/// Returns true if `text` is the same when it is escaped.
pub fn is_plain(text: &[u8]) -> bool {
    !text.iter().any(|byte| letter_of(*byte).is_some())
}

/// Adds `text` to `line`, escaped.
pub fn escape_into(line: &mut Vec<u8>, text: &[u8]) {
    for byte in text {
        match letter_of(*byte) {
            Some(letter) => line.extend([1, letter]),
            None => line.push(*byte),
        }
    }
}

/// Returns the text of a field. An escape that is not known stands for the byte after it, and one at the end for
/// nothing.
pub fn unescape(field: &[u8]) -> Vec<u8> {
    let mut text = Vec::with_capacity(field.len());
    let mut bytes = field.iter().copied();
    while let Some(byte) = bytes.next() {
        if byte != 1 {
            text.push(byte);
        } else if let Some(letter) = bytes.next() {
            text.push(LETTERS.iter().find(|(_, known)| *known == letter).map_or(letter, |(byte, _)| *byte));
        }
    }
    text
}

fn letter_of(byte: u8) -> Option<u8> {
    LETTERS.iter().find(|(escaped, _)| *escaped == byte).map(|(_, letter)| *letter)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn escape(text: &[u8]) -> Vec<u8> {
        let mut line = Vec::new();
        escape_into(&mut line, text);
        line
    }

    #[test]
    fn each_special_byte_has_a_letter_and_unknown_escapes_keep_their_byte() {
        assert_eq!(escape(b"\0\x01\t\r\n"), b"\x010\x011\x01t\x01r\x01n");
        assert_eq!(unescape(b"a\x01tb\x01nc\x01x\x01"), b"a\tb\ncx");
        assert!(is_plain("anna@bücher.example".as_bytes()));
        assert!(!is_plain(b"a\tb"));
    }

    proptest! {
        #[test]
        fn an_escaped_text_has_no_special_byte_and_is_read_as_it_was(text: Vec<u8>) {
            let field = escape(&text);
            prop_assert!(!field.iter().any(|byte| matches!(byte, 0 | b'\t' | b'\r' | b'\n')));
            prop_assert_eq!(field == text, is_plain(&text));
            prop_assert_eq!(unescape(&field), text);
        }

        #[test]
        fn any_field_can_be_read(field: Vec<u8>) {
            prop_assert!(unescape(&field).len() <= field.len());
        }
    }
}
