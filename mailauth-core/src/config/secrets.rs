//! The files with passwords that a configuration names.

use super::ConfigErrors;
use super::mistake::{Mistake, Place};
use super::parse::Parsed;
use super::source::{open_to_all, read_bounded};
use crate::{Secret, names};
use std::collections::BTreeMap;
use std::io;
use std::path::Path;
use zeroize::Zeroize;

/// The byte order mark of UTF-8, which is no part of what a file holds.
const BYTE_ORDER_MARK: &[u8] = "\u{feff}".as_bytes();

/// The most bytes of a password file.
const MAX_PASSWORD_FILE: usize = 4096;

/// The files with secrets that a configuration names: what is wrong with them, and what is doubtful.
pub(super) struct Secrets {
    places: BTreeMap<(&'static str, &'static str), Place>,
    mistakes: Vec<Mistake>,
    warnings: Vec<String>,
}

/// What came of reading a password.
pub(super) enum Given {
    Password(Secret),
    /// This process may not read it: why.
    Forbidden(String),
    /// A mistake was noted.
    Failed,
}

impl From<Option<Secret>> for Given {
    fn from(password: Option<Secret>) -> Self {
        password.map_or(Given::Failed, Given::Password)
    }
}

impl Given {
    /// The password, and why there is none.
    pub fn parts(self, section: &str) -> (Secret, Option<String>) {
        match self {
            Given::Password(password) => (password, None),
            Given::Forbidden(why) => (Secret::default(), Some(format!("[{section}] password_file: {why}"))),
            Given::Failed => (Secret::default(), None),
        }
    }
}

impl Secrets {
    pub fn new(parsed: &Parsed) -> Self {
        Secrets { places: parsed.places.clone(), mistakes: Vec::new(), warnings: Vec::new() }
    }

    pub fn mistake(&mut self, section: &'static str, problem: String) {
        let place = self.places.get(&(section, "password_file")).copied();
        self.mistakes.push(Mistake { place, key: Some(format!("[{section}] password_file")), problem });
    }

    /// The password in a file, which is empty without one; `None` where it is wrong.
    pub fn read(&mut self, section: &'static str, path: Option<&Path>) -> Option<Secret> {
        match self.try_read(section, path) {
            Given::Password(password) => Some(password),
            Given::Forbidden(why) => {
                self.mistake(section, why);
                None
            }
            Given::Failed => None,
        }
    }

    /// The same, where it is no mistake that this process may not read it.
    pub fn try_read(&mut self, section: &'static str, path: Option<&Path>) -> Given {
        let Some(path) = path else { return Given::Password(Secret::default()) };
        let shown = path.display();
        let mut bytes = match read_bounded(path, MAX_PASSWORD_FILE) {
            Ok(bytes) => bytes,
            Err(error) if error.kind() == io::ErrorKind::PermissionDenied => {
                return Given::Forbidden(format!(
                    "{shown} cannot be read: {error}; make it readable for the user {}, or run this as another one",
                    names::own()
                ));
            }
            Err(error) => {
                let cure = match error.kind() {
                    io::ErrorKind::NotFound => "write the password into it, or correct its name",
                    _ => "name a file with the password alone",
                };
                self.mistake(section, format!("{shown} cannot be read: {error}; {cure}"));
                return Given::Failed;
            }
        };
        if bytes.last() == Some(&b'\n') {
            bytes.pop();
            if bytes.last() == Some(&b'\r') {
                bytes.pop();
            }
        }
        // Editors of other systems begin a file with it.
        if bytes.starts_with(BYTE_ORDER_MARK) {
            bytes.rotate_left(BYTE_ORDER_MARK.len());
            bytes.truncate(bytes.len() - BYTE_ORDER_MARK.len());
        }
        if bytes.is_empty() || bytes.contains(&0) || bytes.contains(&b'\n') {
            bytes.zeroize();
            self.mistake(
                section,
                format!("{shown} does not hold one line with a password; write that and nothing else"),
            );
            return Given::Failed;
        }
        self.warnings.extend(open_to_all(path, "a password"));
        Given::Password(Secret::new(bytes))
    }

    pub fn warn_of_key(&mut self, path: Option<&Path>) {
        self.warnings.extend(path.and_then(|key| open_to_all(key, "a private key")));
    }

    /// The warnings, unless there is a mistake.
    pub fn end(self, file: &Path) -> Result<Vec<String>, ConfigErrors> {
        let Secrets { mut mistakes, warnings, .. } = self;
        mistakes.sort_by_key(|mistake| mistake.place);
        if mistakes.is_empty() { Ok(warnings) } else { Err(ConfigErrors { file: file.to_owned(), mistakes }) }
    }
}
