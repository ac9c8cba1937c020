//! The rows of a file, as the store reads them.

use super::problems::{MAX_PROBLEMS, Problem, Problems};
use super::repeated::Keys;
use super::rows::{Row, Rows};
use super::{CsvTable, summary};
use crate::failure::{Failure, no_such};
use crate::listing::Complaints;
use crate::progress::Progress;
use crate::spool::private_file;
use mailauth_core::store::{AdminError, Changed, ImportMode, ImportSource};
use std::collections::BTreeSet;
use std::fs::File;
use std::io::{self, Read, Seek};
use std::path::Path;

/// Maximum number of bytes of a file.
const MAX_FILE: u64 = 4 << 30;

/// Maximum number of rows that the daemon is told one by one. More are reported in one message.
const MAX_NOTICES: usize = 200;

/// Returns the failure for a file that cannot be read.
pub fn unread(shown: &str, error: &io::Error, mode: ImportMode) -> Failure {
    match error.kind() {
        io::ErrorKind::InvalidData => {
            let lines: String = error.to_string().lines().map(|line| format!("{shown}: {line}\n")).collect();
            Failure::no(format!("{lines}{}", summary::nothing(mode)))
        }
        _ => Failure::usage(format!("{shown} cannot be read: {error}")),
    }
}

/// Opens the file, or a private copy of input that can be read only once.
pub fn open(path: &Path) -> io::Result<File> {
    let too_long = || invalid(format!("it has more than {MAX_FILE} bytes; split it"));
    let spool = |input: &mut dyn Read| {
        let mut spooled = private_file()?;
        let copied = io::copy(&mut input.take(MAX_FILE + 1), &mut spooled)?;
        if copied > MAX_FILE { Err(too_long()) } else { Ok(spooled) }
    };
    if path == Path::new("-") {
        return spool(&mut io::stdin().lock());
    }
    let mut file = File::open(path)?;
    let meta = file.metadata()?;
    match meta.is_file() {
        false => spool(&mut file),
        true if meta.len() > MAX_FILE => Err(too_long()),
        true => Ok(file),
    }
}

/// Returns an error about the content of the file.
fn invalid(what: String) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, what)
}

/// Changes that the daemon is told of.
#[derive(Default)]
pub struct Notices {
    each: Vec<Changed>,
    /// True if a row that existed, or an alias, was changed.
    beyond_additions: bool,
}

impl Notices {
    fn add(&mut self, what: Changed, is_new: bool) {
        // `Additions` says nothing about aliases.
        self.beyond_additions |= !is_new || matches!(what, Changed::Alias(_));
        if self.each.len() <= MAX_NOTICES {
            self.each.push(what);
        }
    }

    /// Returns the messages.
    pub fn take(&mut self) -> Vec<Changed> {
        match self.each.len() {
            0..=MAX_NOTICES => std::mem::take(&mut self.each),
            _ if self.beyond_additions => vec![Changed::Everything],
            _ => vec![Changed::Additions],
        }
    }
}

/// The rows of a file.
pub struct Source<'f, T> {
    file: &'f File,
    table: &'f T,
    rows: Rows<'f, &'f File, T>,
    pub problems: Problems,
    pub notices: Notices,
    /// Lines of rows that repeat an earlier one.
    repeating: BTreeSet<u64>,
    /// Number of rows that the database refused for reasons of its own. After [`MAX_PROBLEMS`] of them, the remaining rows
    /// are not tried.
    refused_by_database: usize,
}

/// Returns the rows of a file, from its beginning.
fn rows<'f, T: CsvTable>(mut file: &'f File, work: &'static str, table: &'f T) -> io::Result<Rows<'f, &'f File, T>> {
    file.rewind()?;
    let progress = Progress::of_bytes(work, file.metadata()?.len());
    Rows::new(file, table, progress)
}

impl<'f, T: CsvTable> Source<'f, T> {
    pub fn new(file: &'f File, table: &'f T) -> io::Result<Self> {
        Ok(Source {
            file,
            table,
            rows: rows(file, "checking", table)?,
            problems: Problems::default(),
            notices: Notices::default(),
            repeating: BTreeSet::new(),
            refused_by_database: 0,
        })
    }

    /// Ends the display of progress.
    pub fn hide_progress(&mut self) {
        self.rows.hide_progress();
    }

    /// Returns true if some rows were not tried.
    pub fn is_given_up(&self) -> bool {
        self.refused_by_database >= MAX_PROBLEMS
    }

    /// Reads all rows before a database is asked, and notes what is wrong with them. Returns warnings with the lines of
    /// their rows.
    pub fn look_through(&mut self) -> io::Result<Complaints> {
        let (mut doubts, mut keys) = (Complaints::default(), Keys::default());
        while let Some(Row { line, record }) = self.rows.next()? {
            match record {
                Ok(record) => {
                    if !keys.add(T::key(&record)) {
                        return Err(invalid("it has too many rows; split it".to_owned()));
                    }
                    if let Some(doubt) = self.table.doubt(&record) {
                        doubts.add(format_args!("{line}: {doubt}"));
                    }
                }
                Err(all) => all.into_iter().for_each(|what| self.problems.add(line, Problem::Text(what))),
            }
        }
        if let Some(mut repeated) = keys.into_repeated() {
            self.rows = rows(self.file, "checking", self.table)?;
            while let Some(Row { line, record }) = self.rows.next()? {
                if let Ok(record) = record
                    && let key = T::key(&record)
                    && let Some(first) = repeated.line_before(key, line)
                {
                    if !self.problems.are_full() {
                        self.repeating.insert(line);
                    }
                    self.problems.add(line, Problem::Repeats(key.to_owned(), first));
                }
            }
        }
        self.rewind()?;
        Ok(doubts)
    }
}

impl<T: CsvTable> ImportSource<T::Record> for Source<'_, T> {
    fn rewind(&mut self) -> io::Result<()> {
        self.rows = rows(self.file, "importing", self.table)?;
        Ok(())
    }

    fn next(&mut self) -> io::Result<Option<(u64, T::Record)>> {
        while let Some(Row { line, record }) = self.rows.next()? {
            // The problems of the others are noted.
            if let Ok(record) = record
                && !self.repeating.contains(&line)
            {
                return Ok(Some((line, record)));
            }
        }
        Ok(None)
    }

    fn refuse(&mut self, line: u64, why: AdminError) -> bool {
        let problem = match why {
            AdminError::Exists { name, .. } => Problem::Exists(name),
            AdminError::NoSuch { what: "domain", name } => Problem::Text(format!(
                "no such domain {name}; add it with 'mailauth domain add {name}' or 'mailauth domain import'"
            )),
            AdminError::NoSuch { what, name } => Problem::Text(no_such(what, &name)),
            why @ (AdminError::Beside(_) | AdminError::Unfit { .. }) => Problem::Text(Failure::from(why).message),
            why => {
                self.refused_by_database += 1;
                Problem::Text(Failure::from(why).message)
            }
        };
        self.problems.add(line, problem);
        !self.is_given_up()
    }

    fn is_spoilt(&self) -> bool {
        self.problems.count() > 0
    }

    fn written(&mut self, what: Changed, is_new: bool) {
        self.notices.add(what, is_new);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use mailauth_core::Login;

    #[test]
    fn many_changes_are_told_in_one_message_that_covers_them() {
        let told = |count: usize, is_new: bool| {
            let mut notices = Notices::default();
            for number in 0..count {
                let login = Login::parse(format!("a{number}@x.example").as_bytes(), None).unwrap();
                notices.add(Changed::Account(login), is_new);
            }
            notices.take()
        };
        assert_eq!(told(MAX_NOTICES, false).len(), MAX_NOTICES);
        assert_eq!(told(MAX_NOTICES + 1, true), [Changed::Additions]);
        assert_eq!(told(MAX_NOTICES + 1, false), [Changed::Everything]);
        assert_eq!(told(0, true), []);
    }
}
