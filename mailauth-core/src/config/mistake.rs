//! Mistakes in a configuration: what is wrong, where, and how to fix it.

use crate::printable::printable;
use std::fmt;
use std::path::PathBuf;

/// All mistakes in a configuration, in the order of its lines. There is at least one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConfigErrors {
    /// The file that was read, as the user named it.
    pub file: PathBuf,
    /// The mistakes.
    pub mistakes: Vec<Mistake>,
}

/// A mistake in a configuration.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mistake {
    /// Position of the mistake; `None` if the file could not be read at all.
    pub position: Option<Position>,
    /// `[section] key`, if the mistake concerns a key.
    pub key: Option<String>,
    /// What is wrong, and how to fix it.
    pub problem: String,
}

/// A position in a text, counted from 1.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Position {
    /// Number of the line.
    pub line: usize,
    /// Number of the character in the line.
    pub column: usize,
}

impl Position {
    /// Returns the position of the byte `offset` of `text`. If that is after the last line, returns the end of this
    /// line.
    pub(super) fn of(text: &str, offset: usize) -> Self {
        let last = text.strip_suffix('\n').unwrap_or(text);
        let before = text.get(..offset.min(last.len())).unwrap_or(last);
        let line_start = before.rfind('\n').map_or(0, |newline| newline + 1);
        let column = before.get(line_start..).map_or(0, |part| part.chars().count());
        Position { line: before.matches('\n').count() + 1, column: column + 1 }
    }
}

impl fmt::Display for Mistake {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(Position { line, column }) = self.position {
            write!(f, "{line}:{column}: ")?;
        }
        match &self.key {
            Some(key) => write!(f, "{key}: {}", self.problem),
            None => f.write_str(&self.problem),
        }
    }
}

/// One line for each mistake: `mailauth.toml:12:8: [courier] socket_mode: ...`.
impl fmt::Display for ConfigErrors {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, mistake) in self.mistakes.iter().enumerate() {
            let between = if index == 0 { "" } else { "\n" };
            let space = if mistake.position.is_some() { "" } else { " " };
            write!(f, "{between}{}:{space}{mistake}", printable(&self.file.to_string_lossy()))?;
        }
        Ok(())
    }
}

impl std::error::Error for ConfigErrors {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn positions_are_counted_in_characters_from_one() {
        let text = "a\nüx = 1\n";
        assert_eq!(Position::of(text, 0), Position { line: 1, column: 1 });
        assert_eq!(Position::of(text, 4), Position { line: 2, column: 2 });
        assert_eq!(Position::of(text, 3), Position { line: 2, column: 7 }, "inside a character: the end");
    }

    #[test]
    fn a_position_after_the_last_line_is_the_end_of_that_line() {
        assert_eq!(Position::of("ab\ncd\n", 6), Position { line: 2, column: 3 });
        assert_eq!(Position::of("ab\ncd", 99), Position { line: 2, column: 3 });
        assert_eq!(Position::of("", 0), Position { line: 1, column: 1 });
    }
}
