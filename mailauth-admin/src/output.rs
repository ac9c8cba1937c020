//! Output: tables, named values, and JSON.

use crate::failure::Failure;
use crate::progress::aside;
pub use mailauth_core::printable::printable;
use serde::Serialize;
use std::borrow::Cow;
use std::fmt::{self, Display};
use std::io::{self, BufWriter, StdoutLock, Write};
use std::process::ExitCode;
use std::sync::atomic::{AtomicBool, Ordering};

/// Whether `--json` is on the command line, so that all output is JSON.
static SPEAKS_JSON: AtomicBool = AtomicBool::new(false);

/// Switches all further output to JSON.
pub fn speak_json() {
    SPEAKS_JSON.store(true, Ordering::Relaxed);
}

/// Returns true if all output is JSON.
pub fn speaks_json() -> bool {
    SPEAKS_JSON.load(Ordering::Relaxed)
}

/// Prints a line, or several; as JSON, `{"done": ...}` on one line.
pub fn say(text: impl Display) -> Result<(), Failure> {
    if speaks_json() {
        return print(serde_json::json!({ "done": text.to_string() }));
    }
    let text = text.to_string();
    // The parts of a line should already be printable; this catches those that are not.
    let lines: Vec<_> = text.split('\n').map(printable).collect();
    print(lines.join("\n"))
}

fn print(text: impl Display) -> Result<(), Failure> {
    aside(|| {
        let mut out = io::stdout().lock();
        writeln!(out, "{text}")?;
        Ok(out.flush()?)
    })
}

/// Writes a remark to the standard error, ignoring errors; in JSON, `{"warning": ...}` or `{"note": ...}` on one line.
pub fn remark(text: impl Display) {
    let text = text.to_string();
    let line = if speaks_json() { as_remark(&text).to_string() } else { format!("mailauth: {}", printable(&text)) };
    let _ = aside(|| writeln!(io::stderr().lock(), "{line}"));
}

/// Prints a failure to the standard error, as JSON `{"error": ..., "answer": ..., "exit": ...}` on one line. Returns the
/// exit code of the process.
pub fn report(Failure { exit, message }: Failure) -> ExitCode {
    if speaks_json() && !message.is_empty() {
        let error = serde_json::json!({ "error": message, "answer": exit.answer(), "exit": exit.code() });
        let _ = writeln!(io::stderr().lock(), "{error}");
    } else {
        message.lines().for_each(remark);
    }
    exit.into()
}

fn as_remark(text: &str) -> serde_json::Value {
    let kind = |kind: &str| text.strip_prefix(kind).and_then(|text| text.strip_prefix(": "));
    match (kind("warning"), kind("note")) {
        (Some(warning), _) => serde_json::json!({ "warning": warning }),
        (None, note) => serde_json::json!({ "note": note.unwrap_or(text) }),
    }
}

/// Prints a value as JSON.
pub fn json(value: &impl Serialize) -> Result<(), Failure> {
    print(as_json(value)?)
}

fn as_json(value: &impl Serialize) -> Result<String, Failure> {
    serde_json::to_string_pretty(value)
        .map_err(|error| Failure::not_now(format!("the output cannot be written as JSON: {error}")))
}

/// Columns under their titles, two spaces apart.
pub struct Table<const N: usize> {
    rows: Vec<[String; N]>,
}

impl<const N: usize> Table<N> {
    pub fn new(titles: [&str; N]) -> Self {
        Table { rows: vec![titles.map(str::to_owned)] }
    }

    /// Adds a row, with control characters escaped.
    pub fn row(&mut self, cells: [&str; N]) {
        self.rows.push(cells.map(|cell| printable(cell).into_owned()));
    }
}

impl<const N: usize> Display for Table<N> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let widths = widths(&self.rows);
        for (index, row) in self.rows.iter().enumerate() {
            write!(f, "{}{}", if index == 0 { "" } else { "\n" }, padded(row, widths))?;
        }
        Ok(())
    }
}

/// Returns the width of the widest cell of each column.
fn widths<const N: usize>(rows: &[[String; N]]) -> [usize; N] {
    let width = |column: usize| {
        rows.iter().filter_map(|row| row.get(column)).map(|cell| cell.chars().count()).max().unwrap_or(0)
    };
    std::array::from_fn(width)
}

fn padded<const N: usize>(row: &[String; N], widths: [usize; N]) -> String {
    let line: String = row.iter().zip(widths).map(|(cell, width)| format!("{cell:<width$}  ")).collect();
    line.trim_end().to_owned()
}

/// Number of rows that decide how wide a table is; later rows may be wider.
const MEASURED: usize = 1000;

/// A row of a list that may be too long to be held in memory: its cells in a table, and its form in JSON.
pub trait ListRow<const N: usize>: Serialize {
    fn cells(&self) -> [Cow<'_, str>; N];
}

/// A list that is printed while it is read.
pub struct List<const N: usize> {
    out: BufWriter<StdoutLock<'static>>,
    as_json: bool,
    /// The first rows of a table, until its widths are known.
    first: Vec<[String; N]>,
    widths: Option<[usize; N]>,
    begun: bool,
}

impl<const N: usize> List<N> {
    /// Begins a table with these titles, or an array in JSON.
    pub fn new(titles: [&str; N], as_json: bool) -> Self {
        let out = BufWriter::new(io::stdout().lock());
        List { out, as_json, first: vec![titles.map(str::to_owned)], widths: None, begun: false }
    }

    pub fn add(&mut self, row: &impl ListRow<N>) -> Result<(), Failure> {
        if self.as_json {
            let text = as_json(row)?.replace('\n', "\n  ");
            let before = if std::mem::replace(&mut self.begun, true) { "," } else { "[" };
            return Ok(write!(self.out, "{before}\n  {text}")?);
        }
        let cells = row.cells().map(|cell| printable(&cell).into_owned());
        if let Some(widths) = self.widths {
            return Ok(writeln!(self.out, "{}", padded(&cells, widths))?);
        }
        self.first.push(cells);
        if self.first.len() > MEASURED { self.print_first() } else { Ok(()) }
    }

    fn print_first(&mut self) -> Result<(), Failure> {
        let widths = widths(&self.first);
        self.widths = Some(widths);
        for row in std::mem::take(&mut self.first) {
            writeln!(self.out, "{}", padded(&row, widths))?;
        }
        Ok(())
    }

    /// Prints the rest of the list. Without this call, a list in JSON has no closing bracket.
    pub fn end(mut self) -> Result<(), Failure> {
        match (self.as_json, self.begun) {
            (true, true) => writeln!(self.out, "\n]")?,
            (true, false) => writeln!(self.out, "[]")?,
            (false, _) => self.print_first()?,
        }
        Ok(self.out.flush()?)
    }
}

/// Names and values, one pair on each line.
pub struct Sheet(Vec<(&'static str, String)>);

impl Sheet {
    pub fn new() -> Self {
        Sheet(Vec::new())
    }

    /// Adds a line, with control characters escaped.
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

/// Returns `yes` or `no`.
pub fn yes_no(value: bool) -> &'static str {
    if value { "yes" } else { "no" }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_are_aligned_without_spaces_at_the_end() {
        let mut table = Table::new(["LOGIN", "NAME", "X"]);
        table.row(["anna@example.org", "Änna", "1"]);
        table.row(["b@x", "", ""]);
        let lines = ["LOGIN             NAME  X", "anna@example.org  Änna  1", "b@x"];
        assert_eq!(table.to_string(), lines.join("\n"));
    }

    #[test]
    fn remarks_in_json_are_warnings_or_notes() {
        assert_eq!(as_remark("warning: a\nb").to_string(), r#"{"warning":"a\nb"}"#);
        assert_eq!(as_remark("note: a").to_string(), r#"{"note":"a"}"#);
        assert_eq!(as_remark("a: b").to_string(), r#"{"note":"a: b"}"#);
    }
}
