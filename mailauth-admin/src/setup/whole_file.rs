//! Files that are written whole or not at all.

use std::fs::Permissions;
use std::io::{self, Write};
use std::os::unix::fs::{PermissionsExt, fchown};
use std::path::{Path, PathBuf};

/// Maximum number of kept copies of a file.
const MAX_COPIES: usize = 1000;

/// Mode and owner of a file.
#[derive(Clone, Copy)]
pub struct Access {
    pub mode: u32,
    pub uid: u32,
    pub gid: u32,
}

/// Writes a file in place of the one at `path`, or, unless `replace`, only if there is none.
pub fn write(path: &Path, content: &[u8], access: Access, replace: bool) -> io::Result<()> {
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let permissions = Permissions::from_mode(access.mode);
    let mut file =
        tempfile::Builder::new().prefix(".mailauth-").permissions(Permissions::from_mode(0o600)).tempfile_in(folder)?;
    file.write_all(content)?;
    fchown(file.as_file(), Some(access.uid), Some(access.gid))?;
    file.as_file().set_permissions(permissions)?;
    file.as_file().sync_all()?;
    let kept = if replace { file.persist(path) } else { file.persist_noclobber(path) };
    kept.map(|_| ()).map_err(|error| error.error)
}

/// Keeps a copy of a file beside it, under the first of the names `FILE.old`, `FILE.old.1` and so on that is free. Returns
/// its path.
pub fn keep_copy(path: &Path, content: &[u8], access: Access) -> io::Result<PathBuf> {
    for number in 0..MAX_COPIES {
        let copy = copy_name(path, number);
        match write(&copy, content, access, false) {
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
            done => return done.map(|()| copy),
        }
    }
    Err(io::Error::other(format!("there are {MAX_COPIES} former copies; remove some")))
}

fn copy_name(path: &Path, number: usize) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(".old");
    if number > 0 {
        name.push(format!(".{number}"));
    }
    name.into()
}
