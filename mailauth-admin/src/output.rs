//! What is printed: tables, named values, JSON.

use crate::failure::Failure;
use serde::Serialize;
use std::borrow::Cow;
use std::fmt::{self, Display};
use std::io::{self, Write};

/// Prints a line, or several.
pub fn say(text: impl Display) -> Result<(), Failure> {
    let mut out = io::stdout().lock();
    writeln!(out, "{text}")?;
    Ok(out.flush()?)
}

/// Says something on the standard error, if anybody listens there.
pub fn remark(text: impl Display) {
    let _ = writeln!(io::stderr().lock(), "mailauth: {text}");
}

/// Prints a value as JSON.
pub fn json(value: &impl Serialize) -> Result<(), Failure> {
    match serde_json::to_string_pretty(value) {
        Ok(text) => say(text),
        Err(error) => Err(Failure::not_now(format!("the output cannot be written as JSON: {error}"))),
    }
}

/// Columns under their titles, two spaces apart.
pub struct Table<const N: usize> {
    rows: Vec<[String; N]>,
}

impl<const N: usize> Table<N> {
    pub fn new(titles: [&str; N]) -> Self {
        Table { rows: vec![titles.map(str::to_owned)] }
    }

    /// Adds a row. What a terminal would obey in it is escaped.
    pub fn row(&mut self, cells: [&str; N]) {
        self.rows.push(cells.map(|cell| printable(cell).into_owned()));
    }
}

impl<const N: usize> Display for Table<N> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let width = |column: usize| {
            self.rows.iter().filter_map(|row| row.get(column)).map(|cell| cell.chars().count()).max().unwrap_or(0)
        };
        let widths: [usize; N] = std::array::from_fn(width);
        for (index, row) in self.rows.iter().enumerate() {
            let line: String = row.iter().zip(widths).map(|(cell, width)| format!("{cell:<width$}  ")).collect();
            write!(f, "{}{}", if index == 0 { "" } else { "\n" }, line.trim_end())?;
        }
        Ok(())
    }
}

/// Names and values, a line for each.
pub struct Sheet(Vec<(&'static str, String)>);

impl Sheet {
    pub fn new() -> Self {
        Sheet(Vec::new())
    }

    /// Adds a line. What a terminal would obey in it is escaped.
    pub fn line(&mut self, name: &'static str, value: impl Display) {
        self.0.push((name, printable(&value.to_string()).into_owned()));
    }
}

impl Display for Sheet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let width = self.0.iter().map(|(name, _)| name.chars().count()).max().unwrap_or(0);
        for (index, (name, value)) in self.0.iter().enumerate() {
            let line = format!("{name:<width$}  {value}");
            write!(f, "{}{}", if index == 0 { "" } else { "\n" }, line.trim_end())?;
        }
        Ok(())
    }
}

/// A text with its control characters escaped, so that a row cannot write to the terminal what it likes.
pub fn printable(text: &str) -> Cow<'_, str> {
    if !text.contains(char::is_control) {
        return Cow::Borrowed(text);
    }
    let escaped = |c: char| if c.is_control() { c.escape_default().to_string() } else { c.to_string() };
    Cow::Owned(text.chars().map(escaped).collect())
}

/// A switch in words.
pub fn yes_no(so: bool) -> &'static str {
    if so { "yes" } else { "no" }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_stand_under_their_titles_without_spaces_at_the_end() {
        let mut table = Table::new(["LOGIN", "NAME", "X"]);
        table.row(["anna@example.org", "Änna", "1"]);
        table.row(["b@x", "", ""]);
        let lines = ["LOGIN             NAME  X", "anna@example.org  Änna  1", "b@x"];
        assert_eq!(table.to_string(), lines.join("\n"));
    }

    #[test]
    fn a_row_does_not_write_to_the_terminal_what_it_likes() {
        assert_eq!(printable("a\x1b[2J\nb\u{9b}é"), r"a\u{1b}[2J\nb\u{9b}é");
    }
}
