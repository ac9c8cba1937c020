//! Reading the password files that a configuration names.

use super::ConfigErrors;
use super::mistake::{Mistake, Position};
use super::parse::Parsed;
use super::source::{read_bounded, warn_if_world_readable};
use crate::{Secret, names};
use std::collections::BTreeMap;
use std::io;
use std::path::Path;
use zeroize::Zeroize;

/// The byte order mark of UTF-8, which is not part of a file's content.
const BYTE_ORDER_MARK: &[u8] = "\u{feff}".as_bytes();

/// Maximum number of bytes of a password file.
const MAX_PASSWORD_FILE: usize = 4096;

/// The mistakes and warnings about the files with secrets that a configuration names.
pub(super) struct SecretFiles {
    positions: BTreeMap<(&'static str, &'static str), Position>,
    mistakes: Vec<Mistake>,
    warnings: Vec<String>,
}

/// The result of reading a password file.
pub(super) enum PasswordRead {
    Password(Secret),
    /// This process has no permission to read it; the reason.
    Forbidden(String),
    /// It is unusable, and a mistake was recorded.
    Failed,
}

impl From<Option<Secret>> for PasswordRead {
    fn from(password: Option<Secret>) -> Self {
        password.map_or(PasswordRead::Failed, PasswordRead::Password)
    }
}

impl PasswordRead {
    /// Returns the password, and the reason if it could not be read.
    pub fn parts(self, section: &str) -> (Secret, Option<String>) {
        match self {
            PasswordRead::Password(password) => (password, None),
            PasswordRead::Forbidden(why) => (Secret::default(), Some(format!("[{section}] password_file: {why}"))),
            PasswordRead::Failed => (Secret::default(), None),
        }
    }
}

impl SecretFiles {
    pub fn new(parsed: &Parsed) -> Self {
        SecretFiles { positions: parsed.positions.clone(), mistakes: Vec::new(), warnings: Vec::new() }
    }

    pub fn mistake(&mut self, section: &'static str, problem: String) {
        let position = self.positions.get(&(section, "password_file")).copied();
        self.mistakes.push(Mistake { position, key: Some(format!("[{section}] password_file")), problem });
    }

    /// Returns the password from a file; empty if there is no file, and `None` after recording a mistake.
    pub fn read(&mut self, section: &'static str, path: Option<&Path>) -> Option<Secret> {
        match self.try_read(section, path) {
            PasswordRead::Password(password) => Some(password),
            PasswordRead::Forbidden(why) => {
                self.mistake(section, why);
                None
            }
            PasswordRead::Failed => None,
        }
    }

    /// Does the same as [`SecretFiles::read`], except that a lack of permission is not recorded as a mistake.
    pub fn try_read(&mut self, section: &'static str, path: Option<&Path>) -> PasswordRead {
        let Some(path) = path else { return PasswordRead::Password(Secret::default()) };
        let shown = path.display();
        let mut bytes = match read_bounded(path, MAX_PASSWORD_FILE) {
            Ok(bytes) => bytes,
            Err(error) if error.kind() == io::ErrorKind::PermissionDenied => {
                return PasswordRead::Forbidden(format!(
                    "{shown} cannot be read: {error}; make it readable for the user {}, or run this program as another user",
                    names::own()
                ));
            }
            Err(error) => {
                let advice = match error.kind() {
                    io::ErrorKind::NotFound => "create it with the password in it, or correct its name",
                    _ => "name a file that contains only the password",
                };
                self.mistake(section, format!("{shown} cannot be read: {error}; {advice}"));
                return PasswordRead::Failed;
            }
        };
        if bytes.last() == Some(&b'\n') {
            bytes.pop();
            if bytes.last() == Some(&b'\r') {
                bytes.pop();
            }
        }
        // Editors on other systems put it at the beginning of a file.
        if bytes.starts_with(BYTE_ORDER_MARK) {
            bytes.rotate_left(BYTE_ORDER_MARK.len());
            bytes.truncate(bytes.len() - BYTE_ORDER_MARK.len());
        }
        if bytes.is_empty() || bytes.contains(&0) || bytes.contains(&b'\n') {
            bytes.zeroize();
            self.mistake(
                section,
                format!("{shown} does not contain exactly one line with a password; write only the password to it"),
            );
            return PasswordRead::Failed;
        }
        self.warnings.extend(warn_if_world_readable(path, "a password"));
        PasswordRead::Password(Secret::new(bytes))
    }

    pub fn warn_of_key(&mut self, path: Option<&Path>) {
        self.warnings.extend(path.and_then(|key| warn_if_world_readable(key, "a private key")));
    }

    /// Returns the warnings, or the mistakes if there are any.
    pub fn end(self, file: &Path) -> Result<Vec<String>, ConfigErrors> {
        let SecretFiles { mut mistakes, warnings, .. } = self;
        mistakes.sort_by_key(|mistake| mistake.position);
        if mistakes.is_empty() { Ok(warnings) } else { Err(ConfigErrors { file: file.to_owned(), mistakes }) }
    }
}
