//! Importing the rows of a CSV file into one of the tables: all or nothing.
//!
//! The format is that of RFC 4180, with a header that names the columns: a value that contains a comma, a quote or a line
//! break is in quotes, a quote inside them is doubled, and records end with CRLF or LF; a byte order mark is ignored.
//!
//! The file is read once before the database is asked, so that a mistake in it is found quickly, and again while its rows
//! are imported. Input that cannot be read twice is first copied into a file without a name.

mod problems;
mod repeated;
mod rows;
mod source;
mod summary;

pub use rows::Value;
#[cfg(test)]
pub use rows::{read_text, try_to_read};
pub use summary::Names;

use self::source::{Source, open, unread};
use crate::context::Context;
use crate::failure::Failure;
use crate::output::remark;
use clap::Args;
use mailauth_core::store::{ImportError, ImportMode, ImportSource, ImportSummary, SqlStore};
use std::io;
use std::path::{Path, PathBuf};

/// Maximum number of warnings that are listed.
const MAX_WARNINGS: usize = 20;

/// A file, and what is done with the rows that exist.
#[derive(Args)]
pub struct Import {
    /// CSV file, or - for the standard input
    file: PathBuf,
    /// Also change the rows that exist to what the file says, in the columns that it has; without this option, they are
    /// rejected
    ///
    /// Columns that the file does not have keep their values, and so do rows that are not in the file. An empty value means
    /// the default, as in a new row.
    #[arg(long)]
    update: bool,
    /// Only print what would be done: how many rows would be added, changed (with the columns) and left unchanged, and
    /// which would be rejected
    #[arg(long)]
    dry_run: bool,
}

/// An import that was made, or a dry run.
pub struct Done {
    pub summary: ImportSummary,
    /// False after a dry run.
    pub wrote: bool,
}

/// A table that can be imported.
pub trait CsvTable {
    /// The columns, in the order of an export. The first one is the key.
    const COLUMNS: &'static [&'static str];
    /// The columns that every file needs.
    const NEEDED: &'static [&'static str];
    /// How messages name the rows.
    const NAMES: Names;
    type Record;

    /// Reads a row, or returns all its problems. Values of databases for an empty column are empty here.
    fn read(&self, values: &[Value<'_>]) -> Result<Self::Record, Vec<String>>;

    /// Returns the value of the key.
    fn key(record: &Self::Record) -> &str;

    /// Returns a warning about a row that is valid and probably a mistake.
    fn doubt(&self, record: &Self::Record) -> Option<String> {
        let _ = record;
        None
    }

    /// Imports the rows of a source.
    fn import(
        &self,
        store: &SqlStore,
        source: &mut dyn ImportSource<Self::Record>,
        mode: ImportMode,
    ) -> Result<ImportSummary, ImportError>;
}

impl Import {
    /// Returns true if rows that exist are changed.
    pub fn updates(&self) -> bool {
        self.update
    }

    /// Imports the file.
    pub fn run<T: CsvTable>(&self, context: &Context, store: &SqlStore, table: &T) -> Result<Done, Failure> {
        store.ensure_own()?;
        let mode = ImportMode { update: self.update, dry_run: self.dry_run };
        let shown =
            if self.file == Path::new("-") { "the standard input".into() } else { self.file.display().to_string() };
        let unread = |error: io::Error| unread(&shown, &error, mode);
        let file = open(&self.file).map_err(unread)?;
        let mut source = Source::new(&file, table).map_err(unread)?;
        let doubts = source.look_through().map_err(unread)?;
        let count = doubts.count();
        for doubt in doubts.lines().into_iter().take(MAX_WARNINGS) {
            remark(format_args!("warning: {shown}:{doubt}"));
        }
        if count > MAX_WARNINGS {
            remark(format_args!("warning: {shown}: and {} more such rows", count - MAX_WARNINGS));
        }
        if source.problems.are_full() {
            return Err(source.problems.into_failure::<T>(&shown, "; the database was not asked", mode));
        }
        let before = store.writes_sent();
        let done = table.import(store, &mut source, mode);
        source.hide_progress();
        let may_have_changed = match &done {
            Ok(_) => !source.is_spoilt(),
            Err(ImportError::Read(_)) => false,
            Err(ImportError::Store(_)) => true,
        };
        if may_have_changed {
            context.tell_of_writes(store, before, &source.notices.take());
        }
        let summary = done.map_err(|error| match error {
            ImportError::Read(error) => unread(error),
            ImportError::Store(error) => {
                let Failure { exit, message } = error.into();
                Failure::new(exit, format!("{shown}: {message}\n{}", summary::nothing(mode)))
            }
        })?;
        if !source.is_spoilt() {
            summary::tell(&summary, &T::NAMES, mode, 0)?;
            return Ok(Done { summary, wrote: !mode.dry_run });
        }
        if mode.dry_run {
            summary::tell(&summary, &T::NAMES, mode, source.problems.count())?;
        }
        let rest = if source.is_given_up() { "; the rows after these were not tried" } else { "" };
        Err(source.problems.into_failure::<T>(&shown, rest, mode))
    }
}
