//! `mailauth restore`: the content of a backup, put into the embedded database while it is used.

use super::new_file::NewFile;
use super::{PATIENCE, copied, database, failed, watched};
use crate::context::Context;
use crate::failure::{Exit, Failure};
use crate::interruption::{Postponed, is_interrupted};
use crate::output::{json, say};
use clap::Args;
use mailauth_core::store::backup::{BackupError, Contents, Fit, examine, fit, restore};
use mailauth_core::store::{Administration, Changed};
use rustix::fs::{Gid, Uid, fchown};
use std::cell::RefCell;
use std::fs::{self, File, Metadata, Permissions};
use std::io;
use std::os::unix::fs::{MetadataExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::time::{SystemTime, UNIX_EPOCH};

/// Mode of a database that did not exist: its group may read it, as after 'mailauth init'.
const MODE: u32 = 0o640;

/// Replace the content of the SQLite database by that of a backup, while it is in use
///
/// The backup is checked first, and tables of an older version are brought up to date. The content is replaced in one
/// transaction: the daemon answers by the old content until it answers by the new one, and is told to forget what it keeps
/// in memory; changes by others wait, and get "not now" if it takes longer than [database] deadline. What is replaced is
/// kept in a file beside the database whose name ends with the time. Owner and mode of the database stay.
///
/// The work is done in a private folder in $TMPDIR, which needs room for the backup and for what is replaced. For MySQL and
/// PostgreSQL, this command prints the command of the database to use.
///
/// Exit codes: 0 done, 1 the file is no backup, is damaged or of a newer version, 2 the database is not SQLite, 75 not now, such
/// as a full disk. Unless it is 0, nothing was changed.
#[derive(Args)]
pub struct Restore {
    /// File that 'mailauth backup' created, or another copy of the database
    #[arg(value_name = "FILE")]
    file: PathBuf,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

#[derive(serde::Serialize)]
struct Restored {
    database: String,
    /// File with the replaced content; `None` if there was no database.
    replaced: Option<String>,
    from_version: u32,
    version: u32,
    domains: u64,
    accounts: u64,
    aliases: u64,
}

impl Restore {
    pub fn run(self, context: &Context) -> Result<Exit, Failure> {
        let database = database::of_restore(context, &self.file)?;
        let postponed = Postponed::begin();
        let restored = self.restore(context, database);
        if restored.is_ok() {
            context.tell_daemon(&[Changed::Everything]);
        }
        // After an interruption, the process ends here, by its signal.
        drop(postponed);
        let restored = restored?;
        if self.json {
            json(&restored)?;
        } else {
            say(told(&restored))?;
        }
        Ok(Exit::Yes)
    }

    fn restore(&self, context: &Context, database: &Path) -> Result<Restored, Failure> {
        let present = fs::metadata(database).ok();
        self.ensure_other(present.as_ref())?;
        let folder = tempfile::Builder::new()
            .prefix("mailauth-restore-")
            .tempdir()
            .map_err(|error| Failure::not_now(format!("no private folder can be created in $TMPDIR: {error}")))?;
        let [backup, old] = ["backup", "old"].map(|name| folder.path().join(name));
        for file in [&backup, &old] {
            private(file).map_err(|error| unwritten(file, &error))?;
        }
        copied(&self.file, &backup)?;
        let contents = examine(&backup, is_interrupted).map_err(|error| named(error, &backup, &self.file))?;
        let Fit { from, to } = fit(&backup, contents, present.is_some().then_some(database)).map_err(failed)?;
        let replaced = match &present {
            Some(present) => Some(replace(&backup, database, &old, present)?),
            None => {
                create(&backup, database)?;
                // Sets the mode of the log that the database has to have.
                context.store()?.init()?;
                None
            }
        };
        let Contents { domains, accounts, aliases, .. } = contents;
        let replaced = replaced.map(|path| path.display().to_string());
        let database = database.display().to_string();
        Ok(Restored { database, replaced, from_version: from, version: to, domains, accounts, aliases })
    }

    fn ensure_other(&self, database: Option<&Metadata>) -> Result<(), Failure> {
        let shown = self.file.display();
        let found = fs::metadata(&self.file)
            .map_err(|error| Failure::usage(format!("{shown} cannot be read: {error}; name a backup")))?;
        if !found.is_file() {
            return Err(Failure::usage(format!("{shown} is not a file; name a backup")));
        }
        match database {
            Some(database) if (database.dev(), database.ino()) == (found.dev(), found.ino()) => {
                Err(Failure::usage(format!("{shown} is the database itself; name a backup")))
            }
            _ => Ok(()),
        }
    }
}

fn told(restored: &Restored) -> String {
    let Restored { database, replaced, from_version, version, domains, accounts, aliases } = restored;
    let mut text = format!("{database}: {domains} domains, {accounts} accounts, {aliases} alias targets are restored");
    if from_version < version {
        text += &format!("; the tables were brought from version {from_version} to {version}");
    }
    if let Some(replaced) = replaced {
        text += &format!("\nwhat was replaced is in {replaced}; remove it when it is not needed any more");
    }
    text
}

/// Replaces the content of the database, and returns the file with what was there.
fn replace(backup: &Path, database: &Path, old: &Path, present: &Metadata) -> Result<PathBuf, Failure> {
    let kept = RefCell::new(None);
    let keep = || {
        let (path, file) = dated(database).map_err(|error| BackupError::Failed(unwritten(database, &error).message))?;
        *kept.borrow_mut() = Some(path.clone());
        keep(old, &file, present).map_err(|error| BackupError::Failed(unwritten(&path, &error).message))
    };
    let restored = watched(|watch| restore(backup, database, old, PATIENCE, watch, keep));
    let kept = kept.into_inner();
    match (restored, kept) {
        (Ok(()), Some(kept)) => Ok(kept),
        (Ok(()), None) => Err(Failure::not_now("what was replaced is not kept")),
        (Err(failure), kept) => {
            // The database still has this content.
            let _ = kept.map(fs::remove_file);
            Err(explained(failure, database))
        }
    }
}

/// Creates the file for what is replaced, beside the database, with the time in its name.
fn dated(database: &Path) -> io::Result<(PathBuf, File)> {
    let mut name = database.as_os_str().to_owned();
    name.push(format!(".{}", now()));
    let mut tries = 0;
    loop {
        let path = PathBuf::from(&name);
        match private(&path) {
            // There was another restore in this second.
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists && tries < 100 => {
                name.push("+");
                tries += 1;
            }
            created => return Ok((path, created?)),
        }
    }
}

/// Copies what was in the database to this file, with the owner and mode of the database.
fn keep(old: &Path, mut file: &File, like: &Metadata) -> io::Result<()> {
    io::copy(&mut File::open(old)?, &mut file)?;
    fchown(file, Some(Uid::from_raw(like.uid())), Some(Gid::from_raw(like.gid())))?;
    file.set_permissions(Permissions::from_mode(like.mode() & 0o777))?;
    file.sync_all()
}

fn private(path: &Path) -> io::Result<File> {
    File::options().write(true).create_new(true).mode(0o600).open(path)
}

/// Creates the database, which does not exist, with the owner of its folder.
fn create(backup: &Path, database: &Path) -> Result<(), Failure> {
    for end in ["-wal", "-journal"] {
        let mut beside = database.as_os_str().to_owned();
        beside.push(end);
        let beside = PathBuf::from(beside);
        if fs::metadata(&beside).is_ok_and(|found| found.len() > 0) {
            return Err(Failure::no(format!(
                "there is no database, but {} of an old one, which would damage the new one; move it away first",
                beside.display()
            )));
        }
    }
    let new = NewFile::begin(database, false, backup)?;
    let write = || {
        let file = File::options().write(true).open(new.path())?;
        io::copy(&mut File::open(backup)?, &mut &file)?;
        let folder = database.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
        let folder = fs::metadata(folder)?;
        if rustix::process::geteuid().is_root() {
            fchown(&file, Some(Uid::from_raw(folder.uid())), Some(Gid::from_raw(folder.gid())))?;
        }
        file.set_permissions(Permissions::from_mode(MODE))
    };
    write().map_err(|error| unwritten(database, &error))?;
    new.finish().map(drop)
}

/// Returns the failure with what to do about a database that is damaged.
fn explained(failure: Failure, database: &Path) -> Failure {
    match failure.exit {
        Exit::No => {
            let (message, shown) = (failure.message, database.display());
            Failure::no(format!(
                "{message}; nothing was changed. If it is the database in use that is damaged, stop mailauth-courier, move \
                 {shown}, {shown}-wal and {shown}-shm away, and restore again"
            ))
        }
        _ => failure,
    }
}

/// Returns the failure with the name that the user knows.
fn named(error: BackupError, copy: &Path, file: &Path) -> Failure {
    let failure = failed(error);
    let message = failure.message.replace(&*copy.to_string_lossy(), &file.to_string_lossy());
    Failure { message, ..failure }
}

fn unwritten(path: &Path, error: &io::Error) -> Failure {
    Failure::not_now(format!("{} cannot be written: {error}", path.display()))
}

/// Returns the time in UTC, as `20261128T184500Z`.
fn now() -> String {
    let seconds = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |time| time.as_secs());
    date(seconds)
}

/// Returns the time of so many seconds after 1970, by the calendar of 400 years that begin in March.
fn date(seconds: u64) -> String {
    let (days, second) = (seconds / 86_400 + 719_468, seconds % 86_400);
    let (era, day) = (days / 146_097, days % 146_097);
    let year = (day - day / 1460 + day / 36_524 - day / 146_096) / 365;
    let day = day - (365 * year + year / 4 - year / 100);
    let month = (5 * day + 2) / 153;
    let day = day - (153 * month + 2) / 5 + 1;
    let (month, later) = if month < 10 { (month + 3, 0) } else { (month - 9, 1) };
    let year = year + era * 400 + later;
    let (hour, minute, second) = (second / 3600, second / 60 % 60, second % 60);
    format!("{year:04}{month:02}{day:02}T{hour:02}{minute:02}{second:02}Z")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_is_written_as_a_date_in_utc() {
        for (seconds, written) in [
            (0, "19700101T000000Z"),
            (951_782_400, "20000229T000000Z"),
            (1_709_251_199, "20240229T235959Z"),
            (1_709_251_200, "20240301T000000Z"),
            (1_795_890_300, "20261128T182500Z"),
            (4_102_444_800, "21000101T000000Z"),
        ] {
            assert_eq!(date(seconds), written);
        }
    }
}
