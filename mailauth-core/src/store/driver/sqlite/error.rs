//! Converts the errors of SQLite, and says what to do about a file that cannot be used.

use crate::names;
use crate::store::driver::{DriverError, Refusal};
use rusqlite::{ErrorCode, ffi};
use std::fs;
use std::io::ErrorKind;
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::time::Duration;

/// Converts the library's error. Its messages name constraints and columns, never values.
pub(super) fn driver_error(error: rusqlite::Error, path: &Path, deadline: Duration) -> DriverError {
    // Such an error repeats the whole statement.
    if let rusqlite::Error::SqlInputError { msg, .. } = error {
        let kind = kind_by_message(&msg);
        return DriverError::Refused { kind, reason: msg };
    }
    let reason = error.to_string();
    let Some(ffi::Error { code, extended_code }) = error.sqlite_error() else {
        return DriverError::Refused { kind: Refusal::Other, reason };
    };
    let kind = match (code, *extended_code) {
        (ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked | ErrorCode::OperationInterrupted, _) => {
            return DriverError::Timeout(deadline);
        }
        (ErrorCode::CannotOpen, _) => return DriverError::Lost(unopened(path, &reason)),
        (ErrorCode::SystemIoFailure, _) => {
            return DriverError::Lost(format!(
                "{reason}; look in the system log for errors of the disk or file system"
            ));
        }
        (ErrorCode::ReadOnly, ffi::SQLITE_READONLY_ROLLBACK) => {
            return DriverError::Lost(format!(
                "a change of another program was interrupted, and only a user that may write can undo it: use the file \
                 {} once with that program, or with sqlite3",
                path.display()
            ));
        }
        (ErrorCode::ReadOnly, ffi::SQLITE_READONLY_CANTINIT | ffi::SQLITE_READONLY_RECOVERY) => {
            return DriverError::Lost(unreadable_log(path));
        }
        (ErrorCode::ReadOnly, _) => {
            let reason = format!("{reason}; {}", unwritable(path));
            return DriverError::Refused { kind: Refusal::Forbidden, reason };
        }
        (ErrorCode::NotADatabase, _) => {
            let reason = format!("{reason}; correct [database] url, or restore a backup");
            return DriverError::Refused { kind: Refusal::Other, reason };
        }
        (ErrorCode::DatabaseCorrupt, _) => {
            let reason = format!("{reason}; restore a backup, or recover what can be read with sqlite3 and .recover");
            return DriverError::Refused { kind: Refusal::Other, reason };
        }
        (ErrorCode::DiskFull, _) => {
            return DriverError::Refused { kind: Refusal::Other, reason: format!("{reason}; free some disk space") };
        }
        (_, ffi::SQLITE_CONSTRAINT_PRIMARYKEY | ffi::SQLITE_CONSTRAINT_UNIQUE) => Refusal::Duplicate,
        (_, ffi::SQLITE_CONSTRAINT_FOREIGNKEY) => Refusal::Reference,
        (ErrorCode::Unknown, _) => kind_by_message(&reason),
        _ => Refusal::Other,
    };
    DriverError::Refused { kind, reason }
}

/// Returns the kind of an error in a statement, which has no code of its own.
fn kind_by_message(reason: &str) -> Refusal {
    if reason.contains("no such table") {
        Refusal::NoTable
    } else if reason.contains("no such column") {
        Refusal::NoColumn
    } else {
        Refusal::Other
    }
}

/// Returns the current folder for messages about a relative path.
pub(super) fn here(path: &Path) -> String {
    match std::env::current_dir() {
        Ok(folder) if path.is_relative() => format!(" (in {})", folder.display()),
        _ => String::new(),
    }
}

/// Returns the folder of a file.
pub(super) fn folder(path: &Path) -> &Path {
    path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."))
}

/// Explains why SQLite cannot open a file, and what to do about it; `said` is SQLite's own message.
pub(super) fn unopened(path: &Path, said: &str) -> String {
    let (folder, user) = (folder(path), names::own());
    let owned = |meta: &fs::Metadata| {
        let (mode, uid, gid) = (meta.mode() & 0o7777, names::user(meta.uid()), names::group(meta.gid()));
        format!("mode {mode:04o}, of {uid}:{gid}")
    };
    match fs::metadata(path) {
        Err(error) if error.kind() == ErrorKind::PermissionDenied => {
            return format!(
                "{said}; the user {user} may not enter the folder {}: run this as root, or add {user} to its group",
                folder.display()
            );
        }
        Ok(meta) if meta.is_dir() => return format!("{said}; it is a folder: set [database] url to a file in it"),
        Ok(meta) if fs::File::open(path).is_err() => {
            return format!(
                "{said}; the user {user} may not read it ({}): run this as root, or add {user} to its group",
                owned(&meta)
            );
        }
        _ => {}
    }
    match fs::metadata(folder) {
        Ok(meta) if !may_write(folder) => format!(
            "{said}; SQLite creates further files next to it, and the user {user} may not write to the folder {} ({}): \
             give the folder and the file to a group of that user, with modes 2770 and 0660",
            folder.display(),
            owned(&meta)
        ),
        _ => format!("{said}; check that its file system is mounted and writable"),
    }
}

/// Explains why a file in WAL mode cannot be read, and what to do about it.
fn unreadable_log(path: &Path) -> String {
    let (user, folder) = (names::own(), folder(path));
    format!(
        "it is in WAL mode, and SQLite cannot read it without creating files next to it: give the user {user} write \
         permission on the folder {}, or have its program use another journal_mode",
        folder.display()
    )
}

pub(super) fn may_write(path: &Path) -> bool {
    rustix::fs::accessat(rustix::fs::CWD, path, rustix::fs::Access::WRITE_OK, rustix::fs::AtFlags::EACCESS).is_ok()
}

/// Returns what to do about a file that this user may not write.
pub(super) fn unwritable(path: &Path) -> String {
    let (user, folder) = (names::own(), folder(path));
    let what = if may_write(path) { folder } else { path };
    format!(
        "the user {user} may not write to {}: run this as root or its owner, or give the file and its folder to a \
         group of that user, with modes 0660 and 2770",
        what.display()
    )
}
