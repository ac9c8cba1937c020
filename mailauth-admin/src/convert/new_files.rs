//! The new configuration and the file of the password, written whole or not at all.

use super::translate::Translated;
use crate::failure::Failure;
use crate::output::say;
use std::fs::Permissions;
use std::io::{self, Write};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

/// Name of the file of the password.
const PASSWORD: &str = "database.password";

/// Permissions of the configuration, and of the file of the password.
const MODE: u32 = 0o640;
const PASSWORD_MODE: u32 = 0o600;

/// The files to write.
#[derive(Debug)]
pub struct NewFiles {
    configuration: PathBuf,
    password: PathBuf,
    replace: bool,
}

impl NewFiles {
    /// Returns the files, of which none exists unless they are to be replaced.
    pub fn beside(configuration: &Path, replace: bool) -> Result<NewFiles, Failure> {
        let folder = configuration.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
        let files = NewFiles { password: folder.join(PASSWORD), configuration: configuration.to_owned(), replace };
        if files.configuration.file_name().is_none_or(|name| name == PASSWORD) {
            return Err(Failure::usage(format!(
                "{} is not a name for a configuration; write one such as mailauth.toml",
                configuration.display()
            )));
        }
        if !replace && configuration.symlink_metadata().is_ok() {
            return Err(exists(configuration));
        }
        Ok(files)
    }

    /// Returns the path of the password for the configuration, which is relative to its folder.
    pub fn password_file(&self) -> String {
        PASSWORD.to_owned()
    }
}

fn exists(path: &Path) -> Failure {
    Failure::no(format!("{} exists; use --force to replace it, or another name", path.display()))
}

/// Writes the password first, so that a configuration never names a file that is missing.
pub fn write(files: &NewFiles, translated: &Translated) -> Result<(), Failure> {
    if translated.has_password() {
        let mut content = translated.password.expose().to_vec();
        content.push(b'\n');
        write_one(&files.password, &content, PASSWORD_MODE, files.replace)?;
    }
    let written = write_one(&files.configuration, translated.text.as_bytes(), MODE, files.replace);
    if written.is_err() && translated.has_password() && !files.replace {
        let _ = std::fs::remove_file(&files.password);
    }
    written?;
    match translated.has_password() {
        true => say(format_args!(
            "wrote {} and the password to {}; the daemon's user must be able to read both",
            files.configuration.display(),
            files.password.display()
        )),
        false => say(format_args!("wrote {}", files.configuration.display())),
    }
}

fn write_one(path: &Path, content: &[u8], mode: u32, replace: bool) -> Result<(), Failure> {
    let failed = |error: io::Error| Failure::usage(format!("cannot write {}: {error}", path.display()));
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let permissions = Permissions::from_mode(mode);
    let mut file = tempfile::Builder::new()
        .prefix(".mailauth-")
        .permissions(permissions.clone())
        .tempfile_in(folder)
        .map_err(failed)?;
    file.write_all(content).map_err(failed)?;
    // The mask of the process does not widen or narrow these.
    file.as_file().set_permissions(permissions).map_err(failed)?;
    file.as_file().sync_all().map_err(failed)?;
    let kept = if replace { file.persist(path) } else { file.persist_noclobber(path) };
    match kept {
        Ok(_) => Ok(()),
        Err(error) if error.error.kind() == io::ErrorKind::AlreadyExists => Err(exists(path)),
        Err(error) => Err(failed(error.error)),
    }
}
