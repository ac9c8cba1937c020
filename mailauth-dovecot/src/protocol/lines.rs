//! Lines in the bytes of a connection, however these are cut.

use super::MAX_LINE;
use zeroize::{Zeroize, Zeroizing};

/// Capacity that is kept while no line is incomplete.
const KEPT: usize = 1024;

/// Received bytes whose lines have not been taken yet. They may contain passwords and are wiped.
#[derive(Default)]
pub struct LineBuffer {
    bytes: Zeroizing<Vec<u8>>,
    /// Where the first line begins that has not been taken.
    start: usize,
    /// Where the search for the end of that line goes on.
    searched: usize,
}

/// A line of more than [`MAX_LINE`] bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TooLong;

impl LineBuffer {
    /// Adds received bytes.
    pub fn push(&mut self, input: &[u8]) {
        if self.bytes.capacity() - self.bytes.len() < input.len() {
            self.grow(input.len());
        }
        self.bytes.extend_from_slice(input);
    }

    /// Takes the next line, without its LF and without a CR before that. Returns `None` if it is not complete.
    pub fn next_line(&mut self) -> Option<Result<&[u8], TooLong>> {
        let rest = self.bytes.get(self.searched..).unwrap_or_default();
        let Some(length) = rest.iter().position(|byte| *byte == b'\n') else {
            self.searched = self.bytes.len();
            let too_long = self.bytes.len() - self.start >= MAX_LINE;
            if !too_long {
                self.compact();
            }
            return too_long.then_some(Err(TooLong));
        };
        let (start, end) = (self.start, self.searched + length);
        (self.start, self.searched) = (end + 1, end + 1);
        if end - start >= MAX_LINE {
            return Some(Err(TooLong));
        }
        let line = self.bytes.get(start..end).unwrap_or_default();
        Some(Ok(line.strip_suffix(b"\r").unwrap_or(line)))
    }

    /// Wipes everything.
    pub fn clear(&mut self) {
        *self = LineBuffer::default();
    }

    /// Wipes the lines that were taken.
    fn compact(&mut self) {
        if self.start == 0 {
            return;
        }
        let rest = self.bytes.len() - self.start;
        if rest == 0 && self.bytes.capacity() <= KEPT {
            self.bytes.zeroize();
        } else {
            self.bytes = copy(self.bytes.get(self.start..).unwrap_or_default(), rest);
        }
        (self.start, self.searched) = (0, rest);
    }

    /// Makes room for `more` bytes. The old memory is wiped, which it would not be if the vector grew by itself.
    fn grow(&mut self, more: usize) {
        let rest = self.bytes.get(self.start..).unwrap_or_default();
        let capacity = (rest.len() + more).max(2 * rest.len());
        self.bytes = copy(rest, capacity);
        self.searched -= self.start;
        self.start = 0;
    }
}

fn copy(bytes: &[u8], capacity: usize) -> Zeroizing<Vec<u8>> {
    let mut copy = Zeroizing::new(Vec::with_capacity(capacity));
    copy.extend_from_slice(bytes);
    copy
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn all(buffer: &mut LineBuffer, lines: &mut Vec<Result<Vec<u8>, TooLong>>) -> bool {
        while let Some(line) = buffer.next_line() {
            let line = line.map(<[u8]>::to_vec);
            let is_end = line.is_err();
            lines.push(line);
            if is_end {
                return false;
            }
        }
        true
    }

    #[test]
    fn a_line_may_have_16384_bytes_with_its_end_and_not_one_more() {
        let lines_of = |length: usize| {
            let mut buffer = LineBuffer::default();
            buffer.push(&[vec![b'x'; length - 1], b"\nnext\n".to_vec()].concat());
            let mut lines = Vec::new();
            all(&mut buffer, &mut lines);
            lines.iter().map(|line| line.as_ref().map(Vec::len).ok()).collect::<Vec<_>>()
        };
        assert_eq!(lines_of(MAX_LINE), [Some(MAX_LINE - 1), Some(4)]);
        assert_eq!(lines_of(MAX_LINE + 1), [None]);
        let mut endless = LineBuffer::default();
        endless.push(&[b'x'; MAX_LINE - 1]);
        assert_eq!(endless.next_line(), None);
        endless.push(b"x");
        assert_eq!(endless.next_line(), Some(Err(TooLong)));
    }

    #[test]
    fn nothing_is_kept_of_lines_that_were_taken() {
        let mut buffer = LineBuffer::default();
        buffer.push(b"secret\r\nsec");
        assert_eq!(buffer.next_line(), Some(Ok(b"secret".as_slice())));
        assert_eq!(buffer.next_line(), None);
        assert_eq!(buffer.bytes.as_slice(), b"sec");
        buffer.push(b"ond\n");
        assert_eq!(buffer.next_line(), Some(Ok(b"second".as_slice())));
        assert_eq!(buffer.next_line(), None);
        assert!(buffer.bytes.is_empty());
    }

    proptest! {
        #[test]
        fn lines_are_the_same_however_the_input_is_cut(
            lines in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..40), 0..20),
            cuts in prop::collection::vec(1usize..50, 1..60),
        ) {
            let input = lines.join(&b'\n');
            let mut whole = (LineBuffer::default(), Vec::new());
            whole.0.push(&input);
            all(&mut whole.0, &mut whole.1);
            let mut parts = (LineBuffer::default(), Vec::new());
            let mut rest = input.as_slice();
            for cut in cuts.iter().cycle() {
                let (part, more) = rest.split_at((*cut).min(rest.len()));
                parts.0.push(part);
                all(&mut parts.0, &mut parts.1);
                rest = more;
                if rest.is_empty() {
                    break;
                }
            }
            prop_assert_eq!(&whole.1, &parts.1);
            let expected: Vec<_> = input.split(|byte| *byte == b'\n').collect();
            prop_assert_eq!(whole.1.len() + 1, expected.len());
        }
    }
}
