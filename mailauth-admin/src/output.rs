//! Output: tables, named values, and JSON.

use crate::colour::{Tone, is_on_stderr, is_on_stdout};
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

/// Text that can be printed in colour.
pub trait Painted: Display {
    /// Returns the text in colour.
    fn painted(&self) -> String;
}

/// Prints a text, in colour if the terminal takes it.
pub fn say_in_colour(text: &impl Painted) -> Result<(), Failure> {
    // The parts of the text are printable already.
    if is_on_stdout() { print(text.painted()) } else { say(text) }
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
    let line = if speaks_json() { as_remark(&text).to_string() } else { as_line(&text, Tone::Name) };
    let _ = aside(|| writeln!(io::stderr().lock(), "{line}"));
}

/// Prints a failure to the standard error, as JSON `{"error": ..., "answer": ..., "exit": ...}` on one line. Returns the
/// exit code of the process.
pub fn report(Failure { exit, message }: Failure) -> ExitCode {
    if speaks_json() && !message.is_empty() {
        let error = serde_json::json!({ "error": message, "answer": exit.answer(), "exit": exit.code() });
        let _ = writeln!(io::stderr().lock(), "{error}");
    } else {
        for line in message.lines() {
            let _ = writeln!(io::stderr().lock(), "{}", as_line(line, Tone::Bad));
        }
    }
    exit.into()
}

/// Returns a line for people, which begins with the name of this program in this tone.
fn as_line(text: &str, tone: Tone) -> String {
    let text = printable(text);
    if !is_on_stderr() {
        return format!("mailauth: {text}");
    }
    let name = tone.paint("mailauth:");
    match text.strip_prefix("warning:") {
        Some(rest) => format!("{name} {}{rest}", Tone::Warning.paint("warning:")),
        None => format!("{name} {text}"),
    }
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

/// Column of a row that is printed in a tone.
#[derive(Clone, Copy)]
pub struct Mark(pub usize, pub Tone);

/// Columns under their titles, two spaces apart.
pub struct Table<const N: usize> {
    rows: Vec<[String; N]>,
    marks: Vec<Option<Mark>>,
}

impl<const N: usize> Table<N> {
    pub fn new(titles: [&str; N]) -> Self {
        Table { rows: vec![titles.map(str::to_owned)], marks: vec![None] }
    }

    /// Adds a row, with control characters escaped.
    pub fn row(&mut self, cells: [&str; N]) {
        self.marked_row(cells, None);
    }

    /// Adds a row of which one column may be printed in a tone.
    pub fn marked_row(&mut self, cells: [&str; N], mark: Option<Mark>) {
        self.rows.push(cells.map(|cell| printable(cell).into_owned()));
        self.marks.push(mark);
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

impl<const N: usize> Painted for Table<N> {
    fn painted(&self) -> String {
        let widths = widths(&self.rows);
        let line = |(index, (row, mark)): (usize, (&[String; N], &Option<Mark>))| match index {
            0 => Tone::Name.paint(&padded(row, widths)),
            _ => painted_row(row, widths, *mark),
        };
        self.rows.iter().zip(&self.marks).enumerate().map(line).collect::<Vec<_>>().join("\n")
    }
}

/// Returns a row with one column in a tone.
fn painted_row<const N: usize>(row: &[String; N], widths: [usize; N], mark: Option<Mark>) -> String {
    let Some(Mark(column, tone)) = mark else { return padded(row, widths) };
    let line = row.iter().zip(widths).enumerate().map(|(index, (cell, width))| {
        let space = " ".repeat(width.saturating_sub(cell.chars().count()) + 2);
        if index == column { tone.paint(cell) + &space } else { format!("{cell}{space}") }
    });
    line.collect::<String>().trim_end().to_owned()
}

/// Returns the width of the widest cell of each column.
fn widths<'r, const N: usize>(rows: impl IntoIterator<Item = &'r [String; N]>) -> [usize; N] {
    let mut widths = [0; N];
    for row in rows {
        for (width, cell) in widths.iter_mut().zip(row) {
            *width = cell.chars().count().max(*width);
        }
    }
    widths
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

    /// Returns the column that is printed in a tone.
    fn mark(&self) -> Option<Mark> {
        None
    }
}

/// A list that is printed while it is read.
pub struct List<const N: usize> {
    out: BufWriter<StdoutLock<'static>>,
    as_json: bool,
    has_colour: bool,
    /// The first rows of a table, until its widths are known.
    first: Vec<([String; N], Option<Mark>)>,
    widths: Option<[usize; N]>,
    begun: bool,
}

impl<const N: usize> List<N> {
    /// Begins a table with these titles, or an array in JSON.
    pub fn new(titles: [&str; N], as_json: bool) -> Self {
        let out = BufWriter::new(io::stdout().lock());
        let first = vec![(titles.map(str::to_owned), None)];
        List { out, as_json, has_colour: is_on_stdout(), first, widths: None, begun: false }
    }

    pub fn add(&mut self, row: &impl ListRow<N>) -> Result<(), Failure> {
        if self.as_json {
            let text = as_json(row)?.replace('\n', "\n  ");
            let before = if std::mem::replace(&mut self.begun, true) { "," } else { "[" };
            return Ok(write!(self.out, "{before}\n  {text}")?);
        }
        let cells = row.cells().map(|cell| printable(&cell).into_owned());
        let mark = row.mark().filter(|_| self.has_colour);
        if let Some(widths) = self.widths {
            return Ok(writeln!(self.out, "{}", painted_row(&cells, widths, mark))?);
        }
        self.first.push((cells, mark));
        if self.first.len() > MEASURED { self.print_first() } else { Ok(()) }
    }

    fn print_first(&mut self) -> Result<(), Failure> {
        let first = std::mem::take(&mut self.first);
        let widths = widths(first.iter().map(|(row, _)| row));
        self.widths = Some(widths);
        for (index, (row, mark)) in first.iter().enumerate() {
            let line = painted_row(row, widths, *mark);
            let line = if index == 0 && self.has_colour { Tone::Name.paint(&line) } else { line };
            writeln!(self.out, "{line}")?;
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
pub struct Sheet(Vec<(&'static str, String, Option<Tone>)>);

impl Sheet {
    pub fn new() -> Self {
        Sheet(Vec::new())
    }

    /// Adds a line, with control characters escaped.
    pub fn line(&mut self, name: &'static str, value: impl Display) {
        self.toned_line(name, value, None);
    }

    /// Adds a line whose value may be printed in a tone.
    pub fn toned_line(&mut self, name: &'static str, value: impl Display, tone: Option<Tone>) {
        self.0.push((name, printable(&value.to_string()).into_owned(), tone));
    }

    fn lines(&self, line: impl Fn(String, &str, Option<Tone>) -> String) -> String {
        let width = self.0.iter().map(|(name, ..)| name.chars().count()).max().unwrap_or(0);
        let line = |(name, value, tone): &(&str, String, Option<Tone>)| {
            line(format!("{name:<width$}"), value, *tone).trim_end().to_owned()
        };
        self.0.iter().map(line).collect::<Vec<_>>().join("\n")
    }
}

impl Display for Sheet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.lines(|name, value, _| format!("{name}  {value}")))
    }
}

impl Painted for Sheet {
    fn painted(&self) -> String {
        self.lines(|name, value, tone| {
            if value.is_empty() {
                return Tone::Name.paint(name.trim_end());
            }
            let value = tone.map_or_else(|| value.to_owned(), |tone| tone.paint(value));
            format!("{}  {value}", Tone::Name.paint(&name))
        })
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
    fn colour_changes_neither_words_nor_columns() {
        let mut table = Table::new(["STATE", "WHAT"]);
        table.marked_row(["ok", "a"], Some(Mark(0, Tone::Good)));
        table.marked_row(["degraded", "b"], Some(Mark(0, Tone::Warning)));
        let mut sheet = Sheet::new();
        sheet.toned_line("answer", "no", Some(Tone::Bad));
        sheet.line("reason", "");
        let plain = |painted: String| anstream::adapter::strip_str(&painted).to_string();
        assert_eq!(plain(table.painted()), table.to_string());
        assert_eq!(table.painted().lines().nth(1), Some("\u{1b}[32mok\u{1b}[0m        a"));
        assert_eq!(plain(sheet.painted()), sheet.to_string());
    }

    #[test]
    fn remarks_in_json_are_warnings_or_notes() {
        assert_eq!(as_remark("warning: a\nb").to_string(), r#"{"warning":"a\nb"}"#);
        assert_eq!(as_remark("note: a").to_string(), r#"{"note":"a"}"#);
        assert_eq!(as_remark("a: b").to_string(), r#"{"note":"a: b"}"#);
    }
}
