//! Reading CSV, row by row.

use super::CsvTable;
use crate::account_columns::is_null;
use crate::output::printable;
use crate::progress::Progress;
use csv::{ByteRecord, Reader, ReaderBuilder};
use std::io::{self, Read};

/// Maximum number of bytes of a row.
const MAX_ROW: usize = 1 << 20;

/// The rows of a file.
pub struct Rows<'t, R, T> {
    reader: Reader<Lines<R>>,
    columns: Vec<&'static str>,
    record: ByteRecord,
    table: &'t T,
}

/// A row, or all its problems.
pub struct Row<T> {
    /// Line on which it begins.
    pub line: u64,
    pub record: Result<T, Vec<String>>,
}

impl<'t, R: Read, T: CsvTable> Rows<'t, R, T> {
    /// Reads the header.
    ///
    /// # Errors
    /// Fails if the header is not valid. The kind [`io::ErrorKind::InvalidData`] is for errors in the content of the file.
    pub fn new(input: R, table: &'t T, progress: Progress) -> io::Result<Self> {
        let mut reader = ReaderBuilder::new().flexible(true).from_reader(Lines::new(input, progress));
        let header = reader.byte_headers().map_err(unread)?;
        let columns = read_header(header, T::COLUMNS, T::NEEDED).map_err(invalid)?;
        Ok(Rows { reader, columns, record: ByteRecord::new(), table })
    }

    /// Ends the display of progress.
    pub fn hide_progress(&mut self) {
        self.reader.get_mut().progress = Progress::hidden();
    }

    /// Returns the next row, or `None` after the last one.
    ///
    /// # Errors
    /// Fails if the row cannot be read, or is too long.
    pub fn next(&mut self) -> io::Result<Option<Row<T::Record>>> {
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
        Ok(Some(Row { line, record: read_row(&self.record, &self.columns, self.table) }))
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
    progress: Progress,
}

impl<R: Read> Lines<R> {
    fn new(input: R, progress: Progress) -> Self {
        Lines { input, kept: Vec::new(), start: 0, counted: 0, line: 1, progress }
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
        self.progress.advance(count as u64);
        self.kept.drain(..self.counted);
        self.start += self.counted as u64;
        self.counted = 0;
        self.kept.extend_from_slice(buffer.get(..count).unwrap_or_default());
        Ok(count)
    }
}

/// Reads the column at each position.
fn read_header(
    header: &ByteRecord,
    known: &'static [&'static str],
    needed: &[&'static str],
) -> Result<Vec<&'static str>, String> {
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
        match known.iter().find(|column| **column == name) {
            None => problems.push(no_column(name, known)),
            Some(known) if columns.contains(known) => {
                problems.push(format!("line 1: the column {name} is there twice"))
            }
            Some(known) => columns.push(*known),
        }
    }
    for missing in needed.iter().filter(|name| !columns.contains(name)) {
        let all = known.join(",");
        problems.push(format!(
            "line 1: there is no column {missing}; the first line has to name the columns, such as {all}"
        ));
    }
    if problems.is_empty() { Ok(columns) } else { Err(problems.join("\n")) }
}

/// Returns what is wrong with a name in the header that is not a column.
fn no_column(name: &str, known: &[&str]) -> String {
    let all = known.join(",");
    let hint = match known.iter().find(|column| column.eq_ignore_ascii_case(name)) {
        Some(column) => format!("; write {column}, in lower case"),
        None => known
            .iter()
            .map(|column| (strsim::osa_distance(column, &name.to_lowercase()), column))
            .min()
            .filter(|(distance, _)| *distance <= 2)
            .map_or_else(String::new, |(_, column)| format!("; did you mean {column}?")),
    };
    format!("line 1: there is no column {:?}; columns are {all}{hint}", printable(name))
}

/// Reads a row, or returns all its problems.
fn read_row<T: CsvTable>(record: &ByteRecord, columns: &[&'static str], table: &T) -> Result<T::Record, Vec<String>> {
    if record.len() != columns.len() {
        let (has, needs) = (record.len(), columns.len());
        let hint = if has > needs {
            "a value that contains a comma, such as a quota, needs quotes"
        } else {
            "is a comma missing?"
        };
        return Err(vec![format!("it has {has} values, but the header has {needs}; {hint}")]);
    }
    let value = |(column, bytes): (&&'static str, _)| Value::new(column, bytes);
    let values: Vec<_> = columns.iter().zip(record).map(value).collect();
    table.read(&values)
}

/// A value of a row.
pub struct Value<'r> {
    /// Name of its column.
    pub column: &'static str,
    /// The value as it was written; empty if it is what databases print for an empty column.
    pub bytes: &'r [u8],
    /// True if it was such a word.
    pub is_null: bool,
}

impl<'r> Value<'r> {
    fn new(column: &'static str, bytes: &'r [u8]) -> Self {
        let is_null = std::str::from_utf8(bytes).is_ok_and(|text| is_null(column, text));
        Value { column, bytes: if is_null { b"" } else { bytes }, is_null }
    }

    /// Returns the text without white space at its ends.
    pub fn text(&self) -> Result<&'r str, String> {
        std::str::from_utf8(self.bytes).map(str::trim).map_err(|_| "it is not UTF-8".to_owned())
    }

    /// Returns the same for a column that cannot be empty.
    pub fn key(&self) -> Result<&'r [u8], String> {
        match self.is_null {
            true => {
                let column = self.column;
                Err(format!("it is NULL, and every row needs a {column}; remove the row"))
            }
            false => Ok(trim(self.bytes)),
        }
    }
}

/// Returns a text without white space at its ends; bytes that are not text are unchanged.
fn trim(value: &[u8]) -> &[u8] {
    std::str::from_utf8(value).map_or(value, |text| text.trim().as_bytes())
}

/// Reads a text, a few bytes at a time. Returns the records, and all problems with their lines.
#[cfg(test)]
pub fn try_to_read<T: CsvTable>(table: &T, text: &[u8]) -> io::Result<(Vec<T::Record>, Vec<String>)> {
    struct Drops<'t>(&'t [u8]);
    impl Read for Drops<'_> {
        fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
            let most = buffer.len().min(5);
            self.0.read(&mut buffer[..most])
        }
    }
    let (mut records, mut problems) = (Vec::new(), Vec::new());
    let mut rows = Rows::new(Drops(text), table, Progress::hidden())?;
    while let Some(row) = rows.next()? {
        match row.record {
            Ok(record) => records.push(record),
            Err(all) => problems.extend(all.into_iter().map(|what| format!("{}: {what}", row.line))),
        }
    }
    Ok((records, problems))
}

/// Reads a text with a valid header.
#[cfg(test)]
pub fn read_text<T: CsvTable>(table: &T, text: &str) -> (Vec<T::Record>, Vec<String>) {
    try_to_read(table, text.as_bytes()).unwrap()
}
