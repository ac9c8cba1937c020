//! A file that appears under its name when it is complete.

use crate::failure::Failure;
use crate::interruption::is_interrupted;
use rustix::fs::{CWD, RenameFlags, renameat_with};
use rustix::io::Errno;
use std::fs::{self, File, Metadata};
use std::io;
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use tempfile::TempDir;

/// Mode of the file: it contains password hashes.
const MODE: u32 = 0o600;

/// A file in a private folder beside its final name, which is removed with all that is in it unless the file is
/// finished.
pub struct NewFile {
    folder: TempDir,
    path: PathBuf,
    name: PathBuf,
    /// The file that is replaced, if there is one.
    replaced: Option<Metadata>,
}

impl NewFile {
    /// Creates the file, for the final name `name`, which must not be that of the file `other`. An existing file is
    /// replaced if `force` says so.
    pub fn begin(name: &Path, force: bool, other: &Path) -> Result<Self, Failure> {
        let shown = name.display();
        let replaced = match fs::symlink_metadata(name) {
            Ok(found) if is_same(&found, other) => {
                return Err(Failure::usage(format!("{shown} is the database itself; name another file")));
            }
            Ok(found) if !found.is_file() => {
                return Err(Failure::usage(format!("{shown} exists and is not a file; name another one")));
            }
            Ok(_) if !force => {
                return Err(Failure::no(format!("{shown} exists; name another file, or replace it with --force")));
            }
            Ok(found) => Some(found),
            Err(error) if error.kind() == io::ErrorKind::NotFound => None,
            Err(error) => return Err(unwritable(name, &error)),
        };
        let beside = name.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
        let folder = tempfile::Builder::new().prefix(".mailauth-backup-").tempdir_in(beside);
        let folder = folder.map_err(|error| unwritable(name, &error))?;
        let path = folder.path().join("new");
        let file = File::options().write(true).create_new(true).mode(MODE).open(&path);
        file.map_err(|error| unwritable(name, &error))?;
        Ok(NewFile { folder, path, name: name.to_owned(), replaced })
    }

    /// Returns its path until it is finished.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Gives the file its name, once it is on the disk, and returns its size. The owner is that of the file that is
    /// replaced, if there is one.
    pub fn finish(self) -> Result<u64, Failure> {
        let failed = |error: io::Error| unwritable(&self.name, &error);
        let file = File::open(&self.path).map_err(failed)?;
        if let Some(owner) = &self.replaced {
            rustix::fs::fchown(
                &file,
                Some(rustix::fs::Uid::from_raw(owner.uid())),
                Some(rustix::fs::Gid::from_raw(owner.gid())),
            )
            .map_err(|error| failed(error.into()))?;
        }
        file.sync_all().map_err(failed)?;
        let bytes = file.metadata().map_err(failed)?.len();
        if is_interrupted() {
            return Err(Failure::not_now("interrupted; nothing was changed"));
        }
        self.rename().map_err(failed)?;
        let folder = self.name.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
        // The file is there; a file system that cannot sync a folder does not need it.
        let _ = File::open(folder).and_then(|folder| folder.sync_all());
        drop(self.folder);
        Ok(bytes)
    }

    /// Renames the file. Without permission to replace one, a file that another process has created meanwhile stays.
    fn rename(&self) -> io::Result<()> {
        if self.replaced.is_some() {
            return fs::rename(&self.path, &self.name);
        }
        match renameat_with(CWD, &self.path, CWD, &self.name, RenameFlags::NOREPLACE) {
            // Some file systems cannot do it, but can link.
            Err(Errno::INVAL | Errno::NOSYS | Errno::OPNOTSUPP) => fs::hard_link(&self.path, &self.name),
            renamed => Ok(renamed?),
        }
    }
}

fn is_same(found: &Metadata, other: &Path) -> bool {
    fs::metadata(other).is_ok_and(|other| (other.dev(), other.ino()) == (found.dev(), found.ino()))
}

fn unwritable(path: &Path, error: &io::Error) -> Failure {
    let shown = path.display();
    match error.kind() {
        io::ErrorKind::NotFound => Failure::usage(format!("{shown} cannot be created: its folder does not exist")),
        io::ErrorKind::PermissionDenied => {
            Failure::usage(format!("{shown} cannot be created: {error}; name a file in a folder that you may write to"))
        }
        io::ErrorKind::AlreadyExists => Failure::no(format!("{shown} exists; name another file")),
        _ => Failure::not_now(format!("{shown} cannot be written: {error}")),
    }
}
