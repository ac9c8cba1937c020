//! `mailauth backup`: a copy of the embedded database, made while it is used.

mod database;
mod new_file;
mod restore;

pub use restore::Restore;

use crate::context::Context;
use crate::failure::{Exit, Failure};
use crate::interruption::{Postponed, is_interrupted};
use crate::output::{json, say};
use crate::progress::Progress;
use clap::Args;
use mailauth_core::store::backup::{BackupError, Contents, Watch, copy, examine};
use new_file::NewFile;
use std::cell::Cell;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// Maximum wait for a lock that another process holds.
const PATIENCE: Duration = Duration::from_secs(30);

/// Copy the SQLite database with the accounts to a file, while it is in use
///
/// The daemon goes on answering and others go on writing; the file has the content of one moment. It is checked, and then
/// appears under its name at once, with mode 0600. If that fails or is interrupted, nothing is left behind. 'mailauth
/// restore' reads it. For MySQL and PostgreSQL, this command prints the command of the database to use.
///
/// Exit codes: 0 done, 1 the file exists or the database is damaged, 2 the database is not SQLite, 75 not now, such as a full
/// disk.
#[derive(Args)]
pub struct Backup {
    /// File to create
    #[arg(value_name = "FILE")]
    file: PathBuf,
    /// Replace the file if it exists; its owner is kept
    #[arg(long)]
    force: bool,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

#[derive(serde::Serialize)]
struct Made {
    file: String,
    bytes: u64,
    version: u32,
    domains: u64,
    accounts: u64,
    aliases: u64,
}

impl Backup {
    pub fn run(self, context: &Context) -> Result<Exit, Failure> {
        let database = database::of_backup(context, &self.file)?;
        let postponed = Postponed::begin();
        let made = self.make(database);
        // After an interruption, the process ends here, by its signal.
        drop(postponed);
        let made = made?;
        if self.json {
            json(&made)?;
        } else {
            let Made { file, bytes, version, domains, accounts, aliases } = made;
            say(format_args!(
                "{file}: {domains} domains, {accounts} accounts, {aliases} alias targets; {bytes} bytes, version {version} \
                 of the tables"
            ))?;
        }
        Ok(Exit::Yes)
    }

    fn make(&self, database: &Path) -> Result<Made, Failure> {
        let new = NewFile::begin(&self.file, self.force, database)?;
        copied(database, new.path())?;
        let Contents { version, domains, accounts, aliases } = examine(new.path(), is_interrupted).map_err(failed)?;
        let bytes = new.finish()?;
        Ok(Made { file: self.file.display().to_string(), bytes, version, domains, accounts, aliases })
    }
}

/// Copies a database to a new file, and shows the progress.
fn copied(from: &Path, to: &Path) -> Result<(), Failure> {
    watched(|watch| copy(from, to, PATIENCE, watch))
}

/// Does some work in steps, and shows the progress.
fn watched(work: impl FnOnce(Watch<'_>) -> Result<(), BackupError>) -> Result<(), Failure> {
    let (progress, shown) = (Progress::of("pages", || None), Cell::new(0));
    let show = |done: u64, _| {
        progress.advance(done.saturating_sub(shown.get()));
        shown.set(done);
    };
    work(Watch { progress: &show, is_interrupted }).map_err(failed)
}

fn failed(error: BackupError) -> Failure {
    match error {
        BackupError::Unfit(why) => Failure::no(why),
        BackupError::Failed(why) => Failure::not_now(why),
        BackupError::Interrupted => Failure::not_now("interrupted; nothing was changed"),
    }
}
