//! Files for data that is too long to be held in memory.

use std::fs::{File, Permissions};
use std::io;
use std::os::unix::fs::PermissionsExt;

/// Creates a file without a name in the folder for temporary files. Only this user can open it.
pub fn private_file() -> io::Result<File> {
    let file = tempfile::tempfile()?;
    file.set_permissions(Permissions::from_mode(0o600))?;
    Ok(file)
}
