//! Steps on this host: users, folders, password files, the configuration, and services.

use super::answers::Answers;
use super::configuration::{Configuration, password};
use super::plan::{Look, Step};
use super::whole_file::{Access, write};
use crate::failure::Failure;
use mailauth_core::config::DatabaseConfig;
use mailauth_core::system_ids;
use std::fs::{self, DirBuilder};
use std::io;
use std::os::unix::fs::{DirBuilderExt, chown};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use zeroize::Zeroizing;

/// System user of the daemon.
pub const DAEMON: &str = "mailauth";

/// Number of random bytes of a generated password.
const PASSWORD_BYTES: usize = 24;

pub fn before(configuration: &Configuration) -> Vec<Box<dyn Step>> {
    let mut steps: Vec<Box<dyn Step>> = vec![Box::new(Users), Box::new(Folders)];
    if configuration.of_database().is_ok_and(|config| config.database.url.server().is_some())
        && !configuration.is_foreign()
    {
        steps.push(Box::new(Passwords));
    }
    steps
}

pub fn configuration() -> Box<dyn Step> {
    Box::new(File)
}

/// Returns the failure of a command or a system call on this host.
pub fn failed(what: impl std::fmt::Display, error: &io::Error) -> Failure {
    match error.kind() {
        io::ErrorKind::PermissionDenied => Failure::no(format!("{what}: {error}; run this command as root")),
        _ => Failure::not_now(format!("{what}: {error}")),
    }
}

/// Runs a program of the system, whose output is shown.
pub fn run(line: &str) -> Result<(), Failure> {
    let mut words = line.split(' ');
    let mut command = Command::new(words.next().unwrap_or_default());
    let status = command.args(words).stdin(Stdio::null()).status().map_err(|error| failed(line, &error))?;
    if status.success() { Ok(()) } else { Err(Failure::no(format!("{line} failed with {status}"))) }
}

/// The system users of the daemon and of the mailboxes.
struct Users;

impl Users {
    fn missing(answers: &Answers) -> Result<Vec<String>, Failure> {
        let mut lines = Vec::new();
        for name in [DAEMON, &answers.owner] {
            let known = system_ids::user(name).map_err(|error| failed(format!("look up the user {name}"), &error))?;
            if known.is_none() {
                // A group of this name may be left from before.
                let group = match system_ids::group(name) {
                    Ok(Some(_)) => format!("--gid {name}"),
                    _ => "--user-group".to_owned(),
                };
                lines.push(format!(
                    "useradd --system {group} --no-create-home --home-dir /nonexistent --shell /usr/sbin/nologin {name}"
                ));
            }
        }
        Ok(lines)
    }
}

impl Step for Users {
    fn name(&self) -> &'static str {
        "system users"
    }

    fn look(&mut self, answers: &Answers, _: &Configuration) -> Result<Look, Failure> {
        let missing = Self::missing(answers)?;
        Ok(match missing.is_empty() {
            true => Look::Done(format!("{DAEMON} and {} exist", answers.owner)),
            false => Look::Todo(missing),
        })
    }

    fn run(&mut self, answers: &Answers, _: &Configuration) -> Result<(), Failure> {
        Self::missing(answers)?.iter().try_for_each(|line| run(line))
    }
}

/// The folders of the configuration, of the daemon's files, and of the mail.
struct Folders;

impl Folders {
    /// Returns the missing folders, with their modes and whether they belong to the daemon.
    fn missing(answers: &Answers, configuration: &Configuration) -> Result<Vec<(PathBuf, u32, bool)>, Failure> {
        let config = configuration.of_database()?;
        let own = config.database.url.file().map_or(&*config.outage.snapshot, |file| file);
        let parent = |path: &Path| path.parent().map(Path::to_owned);
        let wanted = [
            (parent(&configuration.path), 0o755, false),
            (parent(own), 0o750, true),
            (answers.mail.clone(), 0o755, false),
        ];
        let mut missing = Vec::new();
        for (path, mode, is_own) in wanted.into_iter().filter_map(|(path, mode, own)| Some((path?, mode, own))) {
            match fs::metadata(&path) {
                Ok(found) if found.is_dir() => {}
                Ok(_) => return Err(Failure::no(format!("{} is not a folder; move it away", path.display()))),
                Err(error) if error.kind() == io::ErrorKind::NotFound => missing.push((path, mode, is_own)),
                Err(error) => return Err(failed(path.display(), &error)),
            }
        }
        Ok(missing)
    }
}

impl Step for Folders {
    fn name(&self) -> &'static str {
        "folders"
    }

    fn look(&mut self, answers: &Answers, configuration: &Configuration) -> Result<Look, Failure> {
        let missing = Self::missing(answers, configuration)?;
        let line = |(path, mode, is_own): &(PathBuf, u32, bool)| {
            let owner = if *is_own { DAEMON } else { "root" };
            format!("create {} (mode {mode:04o}, {owner})", path.display())
        };
        Ok(match missing.is_empty() {
            true => Look::Done("they exist".to_owned()),
            false => Look::Todo(missing.iter().map(line).collect()),
        })
    }

    fn run(&mut self, answers: &Answers, configuration: &Configuration) -> Result<(), Failure> {
        for (path, mode, is_own) in Self::missing(answers, configuration)? {
            let above = path.parent().unwrap_or(Path::new("/"));
            let mut builder = DirBuilder::new();
            let made = builder.recursive(true).mode(0o755).create(above).and_then(|()| {
                builder.recursive(false).mode(mode).create(&path)?;
                if is_own { of_daemon(&path) } else { Ok(()) }
            });
            made.map_err(|error| failed(format!("create {}", path.display()), &error))?;
        }
        Ok(())
    }
}

/// Gives a file or folder to the daemon's user.
pub fn of_daemon(path: &Path) -> io::Result<()> {
    let user = daemon_user()?;
    chown(path, Some(user.uid), Some(user.gid))
}

pub fn daemon_user() -> io::Result<system_ids::User> {
    system_ids::user(DAEMON)?.ok_or_else(|| io::Error::other(format!("there is no user {DAEMON}")))
}

/// The files of the passwords that the database users get.
struct Passwords;

impl Passwords {
    fn missing(configuration: &Configuration) -> Result<Vec<(PathBuf, bool)>, Failure> {
        let config = configuration.of_database()?;
        let files = [(config.database.password_file, true), (config.admin.password_file, false)];
        let named = files.into_iter().filter_map(|(file, is_daemon)| Some((file?, is_daemon)));
        Ok(named.filter(|(file, _)| file.symlink_metadata().is_err()).collect())
    }
}

impl Step for Passwords {
    fn name(&self) -> &'static str {
        "password files"
    }

    fn look(&mut self, _: &Answers, configuration: &Configuration) -> Result<Look, Failure> {
        let missing = Self::missing(configuration)?;
        let line = |(file, is_daemon): &(PathBuf, bool)| {
            let access = if *is_daemon { "mode 0640, root:mailauth" } else { "mode 0600, root" };
            format!("write {} ({access}) with a random password", file.display())
        };
        Ok(match missing.is_empty() {
            true => Look::Done("they exist".to_owned()),
            false => Look::Todo(missing.iter().map(line).collect()),
        })
    }

    fn run(&mut self, _: &Answers, configuration: &Configuration) -> Result<(), Failure> {
        for (file, is_daemon) in Self::missing(configuration)? {
            let gid = if is_daemon { daemon_user().map(|user| user.gid) } else { Ok(0) };
            let access = gid.map(|gid| Access { mode: if is_daemon { 0o640 } else { 0o600 }, uid: 0, gid });
            access
                .and_then(|access| write(&file, random_password()?.as_bytes(), access, false))
                .map_err(|error| failed(format!("write {}", file.display()), &error))?;
        }
        Ok(())
    }
}

/// Returns random letters and digits, with a line end.
fn random_password() -> io::Result<Zeroizing<String>> {
    let mut bytes = Zeroizing::new([0; PASSWORD_BYTES]);
    getrandom::fill(&mut *bytes).map_err(|error| io::Error::other(format!("no random numbers: {error}")))?;
    // There is room for all of it: a string that grows would leave copies behind.
    let mut text = Zeroizing::new(String::with_capacity(2 * PASSWORD_BYTES + 1));
    for byte in bytes.iter() {
        for digit in [byte >> 4, byte & 15] {
            text.push(char::from_digit(digit.into(), 16).unwrap_or('0'));
        }
    }
    text.push('\n');
    Ok(text)
}

/// Returns true if a user's password file can be read and is not empty.
pub fn has_password(config: &DatabaseConfig) -> bool {
    config.password_file.as_deref().is_none_or(|file| password(file).is_ok_and(|password| !password.is_empty()))
}

/// The configuration file.
struct File;

impl Step for File {
    fn name(&self) -> &'static str {
        "configuration"
    }

    fn look(&mut self, _: &Answers, configuration: &Configuration) -> Result<Look, Failure> {
        Ok(match configuration.is_changed() {
            true => Look::Todo(configuration.difference()),
            false => Look::Done(format!("{} has all keys", configuration.path.display())),
        })
    }

    fn run(&mut self, _: &Answers, configuration: &Configuration) -> Result<(), Failure> {
        // The file is checked before it takes the place of a working one.
        configuration.whole()?;
        configuration.write().map_err(|error| failed(format!("write {}", configuration.path.display()), &error))
    }
}
