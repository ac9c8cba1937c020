//! Writing a table as CSV, in the form that an import reads.

use crate::failure::Failure;
use crate::listing::{Complaints, INCOMPLETE};
use crate::progress::Progress;
use clap::Args;
use csv::WriterBuilder;
use rustix::termios::isatty;
use std::fs::OpenOptions;
use std::io::{self, BufWriter, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

/// Where an export is written to.
#[derive(Args)]
pub struct Export {
    /// File to create, readable only by its owner [default: standard output]
    file: Option<PathBuf>,
}

/// The file that is being written.
pub struct Rows<'p> {
    writer: csv::Writer<Box<dyn Write>>,
    progress: &'p Progress,
}

impl Rows<'_> {
    /// Writes a row.
    pub fn add<V: AsRef<[u8]>>(&mut self, values: impl IntoIterator<Item = V>) -> Result<(), Failure> {
        self.progress.step();
        self.writer.write_record(values).map_err(unwritten)
    }
}

impl Export {
    /// Writes all rows to a new file, or to the standard output. `write` returns the rows that cannot be used.
    pub fn run(
        &self,
        columns: &[&str],
        progress: impl FnOnce() -> Progress,
        write: impl FnOnce(&mut Rows<'_>) -> Result<Complaints, Failure>,
    ) -> Result<(), Failure> {
        let Some(path) = self.file.as_deref().filter(|path| *path != Path::new("-")) else {
            // On a terminal, the rows themselves are the progress.
            let progress = if isatty(io::stdout()) { Progress::hidden() } else { progress() };
            return write_to(Box::new(io::stdout().lock()), columns, &progress, write);
        };
        let created = OpenOptions::new().write(true).create_new(true).mode(0o600).open(path).map_err(|error| {
            let hint = if error.kind() == io::ErrorKind::AlreadyExists {
                "; give another name, or remove the file"
            } else {
                ""
            };
            Failure::no(format!("{} cannot be created: {error}{hint}", path.display()))
        })?;
        write_to(Box::new(BufWriter::new(created)), columns, &progress(), write).inspect_err(|_| {
            // An incomplete export must not be mistaken for a complete one.
            let _ = std::fs::remove_file(path);
        })
    }
}

fn write_to(
    out: Box<dyn Write>,
    columns: &[&str],
    progress: &Progress,
    write: impl FnOnce(&mut Rows<'_>) -> Result<Complaints, Failure>,
) -> Result<(), Failure> {
    let mut rows = Rows { writer: WriterBuilder::new().from_writer(out), progress };
    rows.writer.write_record(columns).map_err(unwritten)?;
    let unusable = write(&mut rows)?;
    rows.writer.flush()?;
    unusable.complain(INCOMPLETE)
}

fn unwritten(error: csv::Error) -> Failure {
    match error.into_kind() {
        csv::ErrorKind::Io(error) => error.into(),
        kind => Failure::not_now(format!("a row cannot be written: {kind:?}")),
    }
}
