//! Reading accounts from CSV, row by row.

use crate::account_columns::{self, apply};
use crate::context::read_login;
use crate::hash::read_stored;
use crate::output::printable;
use crate::switch;
use csv::{ByteRecord, Reader, ReaderBuilder};
use mailauth_core::account::AccountRow;
use mailauth_core::config::Config;
use mailauth_core::store::AccountChange;
use std::io::{self, Read};

/// The columns, in the order of an export.
pub(super) const COLUMNS: [&str; 12] = [
    "login", "password", "uid", "gid", "home", "maildir", "quota", "services", "name", "options", "enabled", "receives",
];

/// Maximum number of bytes of a row.
const MAX_ROW: usize = 1 << 20;

/// The rows of a file.
pub(super) struct Rows<'c, R> {
    reader: Reader<Lines<R>>,
    columns: Vec<&'static str>,
    record: ByteRecord,
    config: &'c Config,
}

/// A row: an account, or all problems of the row.
pub(super) struct Row {
    /// Line on which it begins.
    pub line: u64,
    pub account: Result<AccountRow, Vec<String>>,
}

impl<'c, R: Read> Rows<'c, R> {
    /// Reads the header.
    ///
    /// # Errors
    /// Fails if the header is not valid. The kind [`io::ErrorKind::InvalidData`] is for errors in the content of the file.
    pub(super) fn new(input: R, config: &'c Config) -> io::Result<Self> {
        let mut reader = ReaderBuilder::new().flexible(true).from_reader(Lines::new(input));
        let columns = read_header(reader.byte_headers().map_err(unread)?).map_err(invalid)?;
        Ok(Rows { reader, columns, record: ByteRecord::new(), config })
    }

    /// Returns the next row, or `None` after the last one.
    ///
    /// # Errors
    /// Fails if the row cannot be read, or is too long.
    pub(super) fn next(&mut self) -> io::Result<Option<Row>> {
        loop {
            if !self.reader.read_byte_record(&mut self.record).map_err(unread)? {
                return Ok(None);
            }
            // Spreadsheets write rows of nothing but commas after the last one.
            if !self.record.iter().all(|value| value.trim_ascii().is_empty()) {
                break;
            }
        }
        let begin = self.record.position().map_or(0, csv::Position::byte);
        let line = self.reader.get_mut().line_of(begin);
        Ok(Some(Row { line, account: read_row(&self.record, &self.columns, self.config) }))
    }
}

fn unread(error: csv::Error) -> io::Error {
    match error.into_kind() {
        csv::ErrorKind::Io(error) => error,
        kind => invalid(format!("it is not CSV: {kind:?}")),
    }
}

/// Returns an error about the content of the file.
fn invalid(what: String) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, what)
}

/// Passes the bytes of a file to the reader of records, and keeps those since the last record to count lines. The
/// reader's own count is one behind after CRLF, because it considers the LF a part of the next record.
struct Lines<R> {
    input: R,
    kept: Vec<u8>,
    /// Position in the file of the first byte kept.
    start: u64,
    /// Number of the kept bytes in which lines are counted.
    counted: usize,
    /// Line of the next byte that is not counted.
    line: u64,
}

impl<R: Read> Lines<R> {
    fn new(input: R) -> Self {
        Lines { input, kept: Vec::new(), start: 0, counted: 0, line: 1 }
    }

    /// Returns the line of the record that the reader found at `byte`. Records are asked about in their order.
    fn line_of(&mut self, byte: u64) -> u64 {
        let rest = self.kept.get(self.counted..).unwrap_or_default();
        let place = usize::try_from(byte - self.start.min(byte)).unwrap_or(usize::MAX);
        let before = place.saturating_sub(self.counted).min(rest.len());
        let (before, record) = rest.split_at(before);
        let ends = record.iter().take_while(|b| matches!(b, b'\r' | b'\n')).count();
        let passed = before.iter().chain(record.iter().take(ends));
        self.line += passed.filter(|b| **b == b'\n').count() as u64;
        self.counted += before.len() + ends;
        self.line
    }
}

impl<R: Read> Read for Lines<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if self.kept.len() - self.counted > MAX_ROW {
            let what = format!("the row after line {} has more than {MAX_ROW} bytes; is a quote missing?", self.line);
            return Err(invalid(what));
        }
        let count = self.input.read(buffer)?;
        self.kept.drain(..self.counted);
        self.start += self.counted as u64;
        self.counted = 0;
        self.kept.extend_from_slice(buffer.get(..count).unwrap_or_default());
        Ok(count)
    }
}

/// Reads the column at each position.
fn read_header(header: &ByteRecord) -> Result<Vec<&'static str>, String> {
    let first = header.get(0).unwrap_or_default();
    if first.starts_with(b"\xff\xfe") || first.starts_with(b"\xfe\xff") {
        return Err("line 1: it is UTF-16; save it as CSV in UTF-8".to_owned());
    }
    let between = [(b';', "semicolons"), (b'\t', "tabs"), (b'|', "bars")];
    if let Some((_, what)) = between.iter().find(|(separator, _)| header.len() == 1 && first.contains(separator)) {
        return Err(format!("line 1: there are {what} between the values; save it as CSV with commas between them"));
    }
    let (mut columns, mut problems) = (Vec::new(), Vec::new());
    for name in header {
        let name = String::from_utf8_lossy(name);
        let name = name.trim();
        match COLUMNS.iter().find(|column| **column == name) {
            None => problems.push(no_column(name)),
            Some(known) if columns.contains(known) => {
                problems.push(format!("line 1: the column {name} is there twice"))
            }
            Some(known) => columns.push(*known),
        }
    }
    if !columns.contains(&"login") {
        let all = COLUMNS.join(",");
        problems
            .push(format!("line 1: there is no column login; the first line has to name the columns, such as {all}"));
    }
    if problems.is_empty() { Ok(columns) } else { Err(problems.join("\n")) }
}

/// Returns what is wrong with a name in the header that is not a column.
fn no_column(name: &str) -> String {
    let all = COLUMNS.join(",");
    let hint = match COLUMNS.iter().find(|column| column.eq_ignore_ascii_case(name)) {
        Some(column) => format!("; write {column}, in lower case"),
        None => COLUMNS
            .iter()
            .map(|column| (strsim::osa_distance(column, &name.to_lowercase()), column))
            .min()
            .filter(|(distance, _)| *distance <= 2)
            .map_or_else(String::new, |(_, column)| format!("; did you mean {column}?")),
    };
    format!("line 1: there is no column {:?}; columns are {all}{hint}", printable(name))
}

/// Reads an account, or returns all problems of the row.
fn read_row(record: &ByteRecord, columns: &[&'static str], config: &Config) -> Result<AccountRow, Vec<String>> {
    if record.len() != columns.len() {
        let (has, needs) = (record.len(), columns.len());
        let hint = if has > needs {
            "a value that contains a comma, such as a quota, needs quotes"
        } else {
            "is a comma missing?"
        };
        return Err(vec![format!("it has {has} values, but the header has {needs}; {hint}")]);
    }
    let (mut problems, mut refused) = (Vec::new(), Vec::new());
    let mut login = None;
    let mut change = AccountChange::default();
    for (name, value) in columns.iter().zip(record) {
        let is_null = std::str::from_utf8(value).is_ok_and(|text| account_columns::is_null(name, text));
        let value = if is_null { b"" } else { value };
        let read = match *name {
            "login" if is_null => Err("it is NULL, and every account needs a login; remove the row".to_owned()),
            "login" => read_login(trim(value), config).map(|read| login = Some(read)),
            "password" => read_stored(value, config).map(|read| change.password = Some(read)),
            "enabled" => switch::parse(value).map(|read| change.enabled = Some(read)),
            "receives" => switch::parse(value).map(|read| change.receives = Some(read)),
            other => std::str::from_utf8(value)
                .map_err(|_| "it is not UTF-8".to_owned())
                .and_then(|text| account_columns::set(&mut change, other, text, config)),
        };
        if let Err(problem) = read {
            problems.push(format!("{name}: {problem}"));
            refused.push(*name);
        }
    }
    let Some(login) = login else { return Err(problems) };
    let mut row = AccountRow::new(login);
    apply(change, &mut row);
    let never = config.mailbox.problems(&row).into_iter().filter(|never| !refused.contains(&never.column));
    problems.extend(never.map(|never| format!("{} {}", never.column, never.problem)));
    if problems.is_empty() { Ok(row) } else { Err(problems) }
}

/// Returns a text without white space at its ends; bytes that are not text are unchanged.
fn trim(value: &[u8]) -> &[u8] {
    std::str::from_utf8(value).map_or(value, |text| text.trim().as_bytes())
}
