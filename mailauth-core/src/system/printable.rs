//! The form in which text from outside is shown: what databases, clients, rows, files and servers send.
//!
//! Unescaped, a line end in such a text would begin a new line, which readers of the log and fail2ban would take for a
//! line of this program, and a terminal would execute its escape sequences. Every line of the log passes through here
//! as a whole, and so does everything that the programs print.

use std::borrow::Cow;

/// Returns the text with every character escaped that is invisible or changes how other characters are shown: control
/// characters (line ends and escape sequences of terminals), separators of lines and paragraphs, and characters that
/// change the direction of writing or join others without being visible.
///
/// ```
/// use mailauth_core::printable::printable;
///
/// assert_eq!(printable("gone\n2026-01-01 INFO anna logged in"), r"gone\n2026-01-01 INFO anna logged in");
/// assert_eq!(printable("Änna"), "Änna");
/// ```
pub fn printable(text: &str) -> Cow<'_, str> {
    if !text.contains(is_unseen) {
        return Cow::Borrowed(text);
    }
    let mut shown = String::with_capacity(text.len() + 16);
    for c in text.chars() {
        match c {
            c if is_unseen(c) => shown.extend(c.escape_default()),
            c => shown.push(c),
        }
    }
    Cow::Owned(shown)
}

/// Returns the beginning of the text, printable, with `…` if it has more than `most` characters.
pub fn brief(text: &str, most: usize) -> Cow<'_, str> {
    let start = beginning(text, most);
    let shown = printable(start);
    match beginning(&shown, most) {
        all if all.len() == shown.len() && start.len() == text.len() => shown,
        part => Cow::Owned(format!("{part}…")),
    }
}

/// Returns the first `most` characters.
fn beginning(text: &str, most: usize) -> &str {
    text.char_indices().nth(most).and_then(|(end, _)| text.get(..end)).unwrap_or(text)
}

/// Returns the first `most` bytes, which may not be text, in a form that differs for different bytes: bytes that are
/// not UTF-8 as `\xff`, and backslashes doubled.
pub fn exact(bytes: &[u8], most: usize) -> String {
    let shown = bytes.get(..most).unwrap_or(bytes);
    let mut text = String::with_capacity(shown.len());
    for chunk in shown.utf8_chunks() {
        for c in chunk.valid().chars() {
            match c {
                c if is_unseen(c) || c == '\\' => text.extend(c.escape_default()),
                c => text.push(c),
            }
        }
        chunk.invalid().iter().for_each(|byte| text.push_str(&format!("\\x{byte:02x}")));
    }
    if shown.len() < bytes.len() {
        text.push('…');
    }
    text
}

fn is_unseen(c: char) -> bool {
    // The first of these characters are far beyond ASCII, and most texts are ASCII.
    c.is_control()
        || (c > '\u{7f}'
            && matches!(
                c,
                '\u{ad}' | '\u{61c}' | '\u{180e}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' |
                '\u{2060}'..='\u{206f}' | '\u{feff}' | '\u{fff9}'..='\u{fffb}' | '\u{e0000}'..='\u{e007f}'
            ))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_text_from_outside_neither_begins_a_line_nor_commands_a_terminal() {
        assert_eq!(printable("a\x1b[2J\r\nb\u{9b}é"), r"a\u{1b}[2J\r\nb\u{9b}é");
        assert_eq!(printable("a\u{202e}b\u{2028}c\u{200b}"), r"a\u{202e}b\u{2028}c\u{200b}");
        assert_eq!(printable(r"a\b"), r"a\b");
        assert!(matches!(printable("anna@example.org"), Cow::Borrowed(_)));
    }

    #[test]
    fn only_the_beginning_of_a_long_text_is_shown() {
        assert_eq!(brief("äöü\n", 5), r"äöü\n");
        assert_eq!(brief("äöü\nx", 5), r"äöü\n…");
        assert_eq!(brief(&"\x1b".repeat(9), 9).chars().count(), 10);
        assert_eq!(exact(&[b'x'; 5000], 128).chars().count(), 129);
    }

    #[test]
    fn bytes_are_shown_so_that_they_can_be_told_apart() {
        assert_eq!(exact(b"anna@example.org", 128), "anna@example.org");
        assert_eq!(exact(b"a\nb\x1b[2J\xff\\", 128), "a\\nb\\u{1b}[2J\\xff\\\\");
        assert_eq!(exact("ü".as_bytes(), 128), "ü");
    }

    proptest! {
        #[test]
        fn nothing_unseen_is_left_and_what_is_printable_stays(text in any::<String>()) {
            let shown = printable(&text).into_owned();
            prop_assert!(!shown.contains(is_unseen));
            prop_assert_eq!(printable(&shown), shown.as_str());
        }
    }
}
