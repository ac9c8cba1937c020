//! Finding the configuration, and reading the files that it names.

use super::mistake::{Mistake, Position};
use super::parse::{self, MAX_TEXT, Parsed};
use super::secrets::{PasswordRead, SecretFiles};
use super::{Config, ConfigErrors};
use crate::environment;
use std::fmt;
use std::fs::File;
use std::io::{self, Read};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use zeroize::Zeroize;

/// The file that is used if no other is named.
pub const SYSTEM_FILE: &str = "/etc/mailauth/mailauth.toml";

/// The environment variable that names a file.
const VARIABLE: &str = "MAILAUTH_CONFIG";

/// Where a configuration came from, and the warnings about it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Source {
    /// The file, and how it was found.
    pub origin: Origin,
    /// Warnings for the administrator, each with how to fix it. None of them stops the program.
    pub warnings: Vec<String>,
}

/// Where a configuration came from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Origin {
    /// The file given with `--config`.
    Option(PathBuf),
    /// The file named by `$MAILAUTH_CONFIG`.
    Environment(PathBuf),
    /// `/etc/mailauth/mailauth.toml`.
    System(PathBuf),
    /// No file; only the defaults.
    Defaults,
}

impl Origin {
    /// Returns the file, if there is one.
    pub fn file(&self) -> Option<&Path> {
        match self {
            Origin::Option(file) | Origin::Environment(file) | Origin::System(file) => Some(file),
            Origin::Defaults => None,
        }
    }
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Origin::Option(file) => write!(f, "{} (--config)", file.display()),
            Origin::Environment(file) => write!(f, "{} (${VARIABLE})", file.display()),
            Origin::System(file) => write!(f, "{}", file.display()),
            Origin::Defaults => write!(f, "the defaults, because there is no {SYSTEM_FILE}"),
        }
    }
}

impl Config {
    /// Reads the configuration from `file`, otherwise from the file that `$MAILAUTH_CONFIG` names (unless the
    /// environment is another user's: [`environment::is_foreign`]), otherwise from `/etc/mailauth/mailauth.toml`. Also
    /// reads the database's password. This is for programs that serve others: the administrator does not choose their
    /// working directory, so they have no default database in it.
    ///
    /// # Errors
    /// Fails with all mistakes in the file, in which case no other file is tried; if there is no file; and if it does
    /// not name the database.
    pub fn load(file: Option<&Path>) -> Result<(Config, Source), ConfigErrors> {
        let Some((parsed, origin)) = find(file)? else { return Err(missing()) };
        if !parsed.positions.contains_key(&("database", "url")) {
            let problem =
                "is not set, and this program has no default for it; write the URL of the database with the accounts";
            let file = origin.file().unwrap_or(Path::new(SYSTEM_FILE));
            return Err(problem_of(file, Some("[database] url"), problem));
        }
        finish(parsed, origin)
    }

    /// Does the same as [`Config::load`] for commands that people run, including beginners. Without a file, or a
    /// database in it, the defaults are used, with a database file in the working directory.
    ///
    /// # Errors
    /// Fails with all mistakes in the file.
    pub fn load_or_default(file: Option<&Path>) -> Result<(Config, Source), ConfigErrors> {
        find(file)?.map_or_else(defaults, |(parsed, origin)| finish(parsed, origin))
    }

    /// Does the same as [`Config::load_or_default`] for the administrator's command, and also reads the password of
    /// the user of `[admin]`. This process need not have permission to read both password files: with one of them, it
    /// works as that user.
    ///
    /// # Errors
    /// Fails as [`Config::load`] does.
    pub fn load_for_administration(file: Option<&Path>) -> Result<(Config, Source), ConfigErrors> {
        let Some((mut parsed, origin)) = find(file)? else { return defaults() };
        let (admin, database) = (parsed.config.admin.clone(), parsed.config.database.clone());
        let mut secrets = SecretFiles::new(&parsed);
        let of_admin = secrets.try_read("admin", admin.password_file.as_deref());
        let of_database = match (&of_admin, &admin.url) {
            (PasswordRead::Password(_), Some(_)) => secrets.try_read("database", database.password_file.as_deref()),
            _ => secrets.read("database", database.password_file.as_deref()).into(),
        };
        if let (PasswordRead::Forbidden(why), PasswordRead::Failed) = (&of_admin, &of_database) {
            secrets.mistake("admin", why.clone());
        }
        secrets.warn_of_key(database.tls_key.as_deref());
        secrets.warn_of_key(admin.tls_key.as_deref());
        let mut warnings = secrets.end(origin.file().unwrap_or(Path::new(SYSTEM_FILE)))?;
        warnings.extend(questionable(&parsed.config));
        (parsed.config.admin.password, parsed.config.admin.unreadable) = of_admin.parts("admin");
        (parsed.config.database.password, parsed.config.database.unreadable) = of_database.parts("database");
        Ok((parsed.config, Source { origin, warnings }))
    }

    /// Does the same as [`Config::load`] for programs that only ask a daemon: the configuration need not name a
    /// database, and the password, which they may not read, is not read.
    ///
    /// # Errors
    /// Fails as [`Config::load`] does, except for the database.
    pub fn load_without_password(file: Option<&Path>) -> Result<(Config, Source), ConfigErrors> {
        let Some((parsed, origin)) = find(file)? else { return Err(missing()) };
        Ok((parsed.config, Source { origin, warnings: Vec::new() }))
    }

    /// Does the same as [`Config::load_without_password`], always from `/etc/mailauth/mailauth.toml`. The environment
    /// is ignored, because it belongs to another program.
    ///
    /// # Errors
    /// Fails as [`Config::load_without_password`] does.
    pub fn load_system() -> Result<(Config, Source), ConfigErrors> {
        let Some((parsed, origin)) = read(Origin::System(SYSTEM_FILE.into()))? else { return Err(missing()) };
        Ok((parsed.config, Source { origin, warnings: Vec::new() }))
    }
}

/// Reads the files that the configuration names, for programs other than the administrator's command.
fn finish(mut parsed: Parsed, origin: Origin) -> Result<(Config, Source), ConfigErrors> {
    let mut secrets = SecretFiles::new(&parsed);
    let password = secrets.read("database", parsed.config.database.password_file.as_deref());
    secrets.warn_of_key(parsed.config.database.tls_key.as_deref());
    let mut warnings = secrets.end(origin.file().unwrap_or(Path::new(SYSTEM_FILE)))?;
    warnings.extend(questionable(&parsed.config));
    parsed.config.database.password = password.unwrap_or_default();
    Ok((parsed.config, Source { origin, warnings }))
}

/// Returns warnings about questionable values.
fn questionable(config: &Config) -> impl Iterator<Item = String> {
    config.mailbox.quota.doubt().map(|doubt| format!("[mailbox] quota: {doubt}")).into_iter()
}

/// Returns the defaults. Fails in a set-id program: the default database is in the working directory, which another
/// user chooses there.
fn defaults() -> Result<(Config, Source), ConfigErrors> {
    if environment::is_foreign() {
        return Err(missing());
    }
    Ok((Config::default(), Source { origin: Origin::Defaults, warnings: Vec::new() }))
}

/// Returns the configuration and its origin; `None` if there is no file.
fn find(file: Option<&Path>) -> Result<Option<(Parsed, Origin)>, ConfigErrors> {
    read(origin_of(file))
}

/// Returns the text of the configuration and its origin; `None` if there is no file.
pub(super) fn found_text(file: Option<&Path>) -> Result<Option<(String, Origin)>, ConfigErrors> {
    let origin = origin_of(file);
    Ok(read_text(&origin)?.map(|text| (text, origin)))
}

fn origin_of(file: Option<&Path>) -> Origin {
    match (file, environment::var_os(VARIABLE).filter(|name| !name.is_empty())) {
        (Some(file), _) => Origin::Option(file.to_owned()),
        (None, Some(name)) => Origin::Environment(name.into()),
        (None, None) => Origin::System(SYSTEM_FILE.into()),
    }
}

fn read_text(origin: &Origin) -> Result<Option<String>, ConfigErrors> {
    let file = origin.file().unwrap_or(Path::new(SYSTEM_FILE));
    match read_bounded(file, MAX_TEXT) {
        Ok(bytes) => String::from_utf8(bytes).map(Some).map_err(|error| not_text(file, error.as_bytes())),
        Err(error) if error.kind() == io::ErrorKind::NotFound && matches!(origin, Origin::System(_)) => Ok(None),
        Err(error) => Err(unreadable(file, None, &error)),
    }
}

fn read(origin: Origin) -> Result<Option<(Parsed, Origin)>, ConfigErrors> {
    let Some(text) = read_text(&origin)? else { return Ok(None) };
    let file = origin.file().unwrap_or(Path::new(SYSTEM_FILE));
    let mut parsed = parse::parse(&text, file)?;
    parsed.anchor(file);
    Ok(Some((parsed, origin)))
}

/// Returns a warning if all users may read a file with a secret.
pub(super) fn warn_if_world_readable(path: &Path, secret: &str) -> Option<String> {
    let (is_open, shown) = (std::fs::metadata(path).is_ok_and(|file| file.mode() & 0o004 != 0), path.display());
    is_open.then(|| format!("{shown} contains {secret} and is readable by all users; run chmod o-rwx {shown}"))
}

/// Reads a whole file of at most `most` bytes. No part of its content remains in memory that was freed.
pub(super) fn read_bounded(path: &Path, most: usize) -> io::Result<Vec<u8>> {
    let file = File::open(path)?;
    // Has room for the whole file from the start: a vector that grows would leave copies of a password in memory.
    let mut bytes = Vec::with_capacity(usize::try_from(file.metadata()?.len()).unwrap_or(most).min(most) + 1024);
    file.take(most as u64 + 1).read_to_end(&mut bytes)?;
    if bytes.len() > most {
        bytes.zeroize();
        return Err(io::Error::new(io::ErrorKind::FileTooLarge, format!("it has more than {most} bytes")));
    }
    Ok(bytes)
}

/// Returns the error that there is no configuration.
fn missing() -> ConfigErrors {
    let problem = "there is no configuration; create this file, or name another one with --config or $MAILAUTH_CONFIG if \
                   the program accepts them";
    problem_of(Path::new(SYSTEM_FILE), None, problem)
}

fn problem_of(file: &Path, key: Option<&str>, problem: &str) -> ConfigErrors {
    let mistake = Mistake { position: None, key: key.map(str::to_owned), problem: problem.to_owned() };
    ConfigErrors { file: file.to_owned(), mistakes: vec![mistake] }
}

fn unreadable(file: &Path, position: Option<Position>, error: &io::Error) -> ConfigErrors {
    let problem = format!("the configuration cannot be read: {error}");
    ConfigErrors { file: file.to_owned(), mistakes: vec![Mistake { position, key: None, problem }] }
}

fn not_text(file: &Path, bytes: &[u8]) -> ConfigErrors {
    let valid = bytes.utf8_chunks().next().map_or("", |chunk| chunk.valid());
    // The text is one character longer, so that the position is after the valid part.
    let position = Position::of(&format!("{valid}?"), valid.len());
    unreadable(
        file,
        Some(position),
        &io::Error::new(io::ErrorKind::InvalidData, "it is not UTF-8 from this position on; save it as UTF-8"),
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs::{self, Permissions};
    use std::os::unix::fs::PermissionsExt;

    /// Creates a folder with this configuration and a file with this password.
    fn folder(config: &[u8], password: &[u8]) -> tempfile::TempDir {
        let folder = tempfile::tempdir().unwrap();
        let secret = folder.path().join("secret");
        fs::write(&secret, password).unwrap();
        fs::set_permissions(&secret, Permissions::from_mode(0o600)).unwrap();
        let config = String::from_utf8_lossy(config).replace("FOLDER", folder.path().to_str().unwrap()).into_bytes();
        fs::write(folder.path().join("m.toml"), config).unwrap();
        folder
    }

    fn load(folder: &tempfile::TempDir) -> Result<(Config, Source), ConfigErrors> {
        Config::load_or_default(Some(&folder.path().join("m.toml")))
    }

    const WITH_PASSWORD: &[u8] = b"[database]\npassword_file = 'FOLDER/secret'\n";

    #[test]
    fn one_line_end_is_not_part_of_the_password() {
        for (written, password) in [
            (&b"se cret"[..], &b"se cret"[..]),
            (b"x\n", b"x"),
            (b"x \r\n", b"x "),
            (b"\xff\n", b"\xff"),
            (b"\xef\xbb\xbfx\r\n", b"x"),
        ] {
            let (config, source) = load(&folder(WITH_PASSWORD, written)).unwrap();
            assert_eq!(config.database.password.expose(), password);
            assert_eq!(source.warnings, [""; 0]);
        }
    }

    #[test]
    fn a_file_without_a_password_is_a_mistake_of_its_key() {
        for written in [&b""[..], b"\n", b"\xef\xbb\xbf\n", b"a\nb\n", b"a\0b", &[b'x'; 5000]] {
            let folder = folder(WITH_PASSWORD, written);
            let error = load(&folder).unwrap_err().to_string();
            assert!(error.contains("m.toml:2:17: [database] password_file: "), "{error}");
        }
        let missing = folder(b"[database]\npassword_file = '/nonexistent'\n", b"");
        assert!(load(&missing).unwrap_err().to_string().contains("/nonexistent cannot be read: No such file"));
    }

    #[test]
    fn a_configuration_may_begin_with_a_byte_order_mark() {
        let (config, _) = load(&folder(b"\xef\xbb\xbf[mailbox]\r\nuid = 5000\r\n", b"")).unwrap();
        assert_eq!(config.mailbox.uid, Some(5000));
    }

    #[test]
    fn a_quota_that_is_too_small_for_a_mailbox_is_a_warning() {
        let (_, source) = load(&folder(b"[mailbox]\nquota = '1024'\n", b"")).unwrap();
        assert!(
            source.warnings[0].starts_with("[mailbox] quota: a limit of 1024 bytes is less than 1 MiB"),
            "{source:?}"
        );
    }

    #[test]
    fn a_world_readable_password_is_a_warning() {
        let folder = folder(WITH_PASSWORD, b"x");
        fs::set_permissions(folder.path().join("secret"), Permissions::from_mode(0o644)).unwrap();
        let (_, source) = load(&folder).unwrap();
        assert!(source.warnings[0].contains("is readable by all users; run chmod o-rwx "), "{source:?}");
    }

    #[test]
    fn a_world_readable_private_key_is_a_warning() {
        let folder = folder(b"[database]\ntls_cert = '/c.pem'\ntls_key = 'FOLDER/secret'\n", b"x");
        assert_eq!(load(&folder).unwrap().1.warnings, [""; 0]);
        fs::set_permissions(folder.path().join("secret"), Permissions::from_mode(0o644)).unwrap();
        let (_, source) = load(&folder).unwrap();
        assert!(source.warnings[0].contains("contains a private key and is readable by all users"), "{source:?}");
    }

    #[test]
    fn a_program_that_serves_others_needs_a_configured_database() {
        let without = folder(b"[quota]\n", b"");
        let file = without.path().join("m.toml");
        let said = Config::load(Some(&file)).unwrap_err().to_string();
        assert!(said.contains("m.toml: [database] url: is not set"), "{said}");
        assert!(Config::load_without_password(Some(&file)).is_ok());
        let with = folder(b"[database]\nurl = 'sqlite:mail.db'\n", b"");
        let (config, _) = Config::load(Some(&with.path().join("m.toml"))).unwrap();
        assert_eq!(config.database.url.to_string(), format!("sqlite:{}/mail.db", with.path().display()));
        assert!(missing().to_string().starts_with("/etc/mailauth/mailauth.toml: there is no configuration; create"));
    }

    #[test]
    fn a_missing_or_unreadable_file_is_reported() {
        let error = Config::load_or_default(Some(Path::new("/nonexistent.toml"))).unwrap_err().to_string();
        assert_eq!(
            error,
            "/nonexistent.toml: the configuration cannot be read: No such file or directory (os error 2)"
        );
        let folder = folder(b"", b"");
        fs::write(folder.path().join("m.toml"), b"[quota]\n# \xff\n").unwrap();
        let error = load(&folder).unwrap_err().to_string();
        assert!(error.contains("m.toml:2:3: the configuration cannot be read: it is not UTF-8"), "{error}");
        fs::write(folder.path().join("m.toml"), vec![b'#'; MAX_TEXT + 1]).unwrap();
        assert!(load(&folder).unwrap_err().to_string().contains("more than 1048576 bytes"));
        let error = Config::load_or_default(Some(folder.path())).unwrap_err().to_string();
        assert!(error.contains("cannot be read: Is a directory"), "{error}");
    }
}
