//! What is wrong with a configuration, where, and what to do about it.

use crate::printable::printable;
use std::fmt;
use std::path::PathBuf;

/// Everything that is wrong with a configuration, in the order of its lines. There is at least one mistake.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConfigErrors {
    /// The file that was read, as it was named.
    pub file: PathBuf,
    /// What is wrong with it.
    pub mistakes: Vec<Mistake>,
}

/// One thing that is wrong.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mistake {
    /// Where; `None` when the file could not be read at all.
    pub place: Option<Place>,
    /// `[section] key`, where it is about one.
    pub key: Option<String>,
    /// What is wrong, and its cure.
    pub problem: String,
}

/// A place in a text, counted from 1.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Place {
    /// Line.
    pub line: usize,
    /// Character in the line.
    pub column: usize,
}

impl Place {
    /// The place of the byte `offset` of `text`. What is missing after the last line is missing at its end.
    pub(super) fn of(text: &str, offset: usize) -> Self {
        let last = text.strip_suffix('\n').unwrap_or(text);
        let before = text.get(..offset.min(last.len())).unwrap_or(last);
        let line_start = before.rfind('\n').map_or(0, |newline| newline + 1);
        let column = before.get(line_start..).map_or(0, |part| part.chars().count());
        Place { line: before.matches('\n').count() + 1, column: column + 1 }
    }
}

impl fmt::Display for Mistake {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(Place { line, column }) = self.place {
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
            let space = if mistake.place.is_some() { "" } else { " " };
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
    fn places_are_counted_in_characters_from_one() {
        let text = "a\nüx = 1\n";
        assert_eq!(Place::of(text, 0), Place { line: 1, column: 1 });
        assert_eq!(Place::of(text, 4), Place { line: 2, column: 2 });
        assert_eq!(Place::of(text, 3), Place { line: 2, column: 7 }, "not a boundary: the end");
    }

    #[test]
    fn what_is_missing_after_the_last_line_is_missing_at_its_end() {
        assert_eq!(Place::of("ab\ncd\n", 6), Place { line: 2, column: 3 });
        assert_eq!(Place::of("ab\ncd", 99), Place { line: 2, column: 3 });
        assert_eq!(Place::of("", 0), Place { line: 1, column: 1 });
    }
}
