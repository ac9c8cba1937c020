//! The configuration file: what it settles already, and what is added to it.

use super::answers::{Answers, Database};
use super::program::Program;
use super::whole_file::{Access, keep_copy, write};
use crate::failure::Failure;
use mailauth_core::config::Config;
use mailauth_core::{Secret, system_ids};
use std::fs;
use std::io::{self, Read};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use toml_edit::{DocumentMut, Item, Table, Value};
use zeroize::Zeroizing;

/// The file of the Debian package. As long as it is unchanged, its values are defaults, not choices of the administrator.
const PACKAGED: &str = include_str!(concat!(env!("CARGO_MANIFEST_DIR"), "/packaged.toml"));

/// First line of a new file.
const HEAD: &str =
    "# Configuration of mailauth, begun by 'mailauth setup'. 'mailauth check' reports what is wrong with it.\n\n";

/// Names of the password files, in the folder of the configuration.
const PASSWORD: &str = "database.password";
const ADMIN_PASSWORD: &str = "admin.password";

/// Maximum number of bytes of a password file.
const MAX_PASSWORD: u64 = 4096;

pub struct Configuration {
    pub path: PathBuf,
    /// Text of the file now; empty if there is none.
    before: String,
    /// Text after the setup.
    after: String,
    document: DocumentMut,
    /// The configuration now; `None` if there is no file.
    existing: Option<Config>,
}

impl Configuration {
    /// Reads the file, if there is one. Fails with all its mistakes.
    pub fn read(path: &Path) -> Result<Self, Failure> {
        let failed = |error: io::Error| Failure::usage(format!("cannot read {}: {error}", path.display()));
        let (path, before) = match fs::canonicalize(path) {
            Ok(path) => (path.clone(), fs::read_to_string(&path).map_err(failed)?),
            Err(error) if error.kind() == io::ErrorKind::NotFound => (path.to_owned(), String::new()),
            Err(error) => return Err(failed(error)),
        };
        let existing = match before.is_empty() {
            true => None,
            false => Some(Config::load_for_administration(Some(&path))?.0),
        };
        let document = before.parse().map_err(|error: toml_edit::TomlError| {
            Failure::usage(format!("{}: {}", path.display(), error.message()))
        })?;
        Ok(Configuration { path, after: before.clone(), before, document, existing })
    }

    /// Returns the configuration as it is now.
    pub fn existing(&self) -> Option<&Config> {
        self.existing.as_ref()
    }

    /// Returns true if an administrator has set this key.
    pub fn settles(&self, section: &str, key: &str) -> bool {
        self.before != PACKAGED && self.item(section, key).is_some()
    }

    /// Returns true if the tables are those of another program.
    pub fn is_foreign(&self) -> bool {
        self.document.get("schema").is_some()
    }

    fn item(&self, section: &str, key: &str) -> Option<&Item> {
        self.document.get(section)?.get(key)
    }

    /// Writes the answers into the keys that are not settled.
    pub fn answer(&mut self, answers: &Answers) -> Result<(), Failure> {
        match &answers.database {
            Database::Settled => {}
            Database::File(path) => self.set("database", "url", format!("sqlite:{}", path.display()))?,
            Database::Server { daemon, admin } => {
                let folder = self.path.parent().unwrap_or(Path::new("/")).to_owned();
                let file = |name: &str| folder.join(name).display().to_string();
                self.set("database", "url", daemon.to_string())?;
                self.set("database", "password_file", file(PASSWORD))?;
                self.set("admin", "url", admin.to_string())?;
                self.set("admin", "password_file", file(ADMIN_PASSWORD))?;
            }
        }
        if let Some(mail) = &answers.mail {
            self.set("mailbox", "home", format!("{}/%d/%n", mail.display().to_string().trim_end_matches('/')))?;
        }
        if !self.is_foreign() {
            self.set("mailbox", "uid", answers.owner.clone())?;
            // A user that exists need not have a group of the same name.
            match (system_ids::user(&answers.owner), system_ids::group(&answers.owner)) {
                (Ok(Some(user)), Ok(None)) => self.set("mailbox", "gid", i64::from(user.gid))?,
                _ => self.set("mailbox", "gid", answers.owner.clone())?,
            }
        }
        if let Some(programs) = &answers.programs {
            if programs.contains(&Program::Courier) {
                self.set("courier", "socket_group", "courier")?;
            }
            self.set(
                "courier",
                "allow_users",
                programs.iter().filter_map(|program| program.user()).collect::<Value>(),
            )?;
        }
        let text = self.document.to_string();
        self.after = if self.before.is_empty() { format!("{HEAD}{text}") } else { text };
        Ok(())
    }

    fn set(&mut self, section: &str, key: &str, value: impl Into<Value>) -> Result<(), Failure> {
        if self.settles(section, key) {
            return Ok(());
        }
        let mut value = value.into();
        let table = self.document.entry(section).or_insert_with(|| Item::Table(Table::new()));
        let Some(table) = table.as_table_like_mut() else {
            return Err(Failure::usage(format!("{}: [{section}] is not a section", self.path.display())));
        };
        match table.get_mut(key).and_then(Item::as_value_mut) {
            Some(old) => {
                *value.decor_mut() = old.decor().clone();
                *old = value;
            }
            None => _ = table.insert(key, Item::Value(value)),
        }
        Ok(())
    }

    /// Returns true if the file has to be written.
    pub fn is_changed(&self) -> bool {
        self.before != self.after
    }

    /// Returns the new file, or the lines in which it differs from the former one.
    pub fn difference(&self) -> Vec<String> {
        let path = self.path.display();
        if self.before.is_empty() {
            let lines = self.after.lines().map(|line| format!("  {line}"));
            return [format!("write {path} (mode 0644):")].into_iter().chain(lines).collect();
        }
        let mut lines = vec![format!("change {path}, and keep the former file as {path}.old:")];
        let mut old = self.before.lines().peekable();
        let new: Vec<_> = self.after.lines().collect();
        for (number, line) in new.iter().enumerate() {
            let rest = new.get(number..).unwrap_or_default();
            while let Some(gone) = old.next_if(|old| *old != *line && !rest.contains(old)) {
                lines.push(format!("- {gone}"));
            }
            if old.next_if_eq(line).is_none() {
                lines.push(format!("+ {line}"));
            }
        }
        lines.extend(old.map(|gone| format!("- {gone}")));
        lines
    }

    /// Writes the file. A former one keeps its mode and owner, and is kept under another name.
    pub fn write(&self) -> io::Result<()> {
        let access = match fs::metadata(&self.path) {
            Ok(found) => Access { mode: found.mode() & 0o777, uid: found.uid(), gid: found.gid() },
            Err(_) => Access { mode: 0o644, uid: 0, gid: 0 },
        };
        if !self.before.is_empty() {
            if fs::read_to_string(&self.path)? != self.before {
                return Err(io::Error::other("another program has changed it meanwhile"));
            }
            keep_copy(&self.path, self.before.as_bytes(), access)?;
        }
        write(&self.path, self.after.as_bytes(), access, !self.before.is_empty())
    }

    /// Returns the configuration after the setup, as far as it concerns the database: `[mailbox]` may name a user that
    /// does not exist yet. The passwords are empty if their files do not exist yet.
    pub fn of_database(&self) -> Result<Config, Failure> {
        if let Some(existing) = self.existing.as_ref().filter(|_| self.settles("database", "url")) {
            return Ok(existing.clone());
        }
        let mut document: DocumentMut =
            self.after.parse().map_err(|error: toml_edit::TomlError| Failure::usage(error.message()))?;
        document.remove("mailbox");
        let mut config = Config::parse(&document.to_string(), &self.path)?;
        let read = |file: &Option<PathBuf>| file.as_deref().and_then(|file| password(file).ok()).unwrap_or_default();
        config.database.password = read(&config.database.password_file);
        config.admin.password = read(&config.admin.password_file);
        Ok(config)
    }

    /// Returns the configuration after the setup, once it can be used.
    pub fn whole(&self) -> Result<Config, Failure> {
        if self.is_changed() {
            let database = self.of_database()?;
            let config = Config::parse(&self.after, &self.path)?;
            return Ok(Config { database: database.database, admin: database.admin, ..config });
        }
        Ok(Config::load_for_administration(Some(&self.path))?.0)
    }
}

/// Reads a password file, without its line end.
pub fn password(file: &Path) -> io::Result<Secret> {
    let mut bytes = Zeroizing::new(Vec::with_capacity(512));
    fs::File::open(file)?.take(MAX_PASSWORD).read_to_end(&mut bytes)?;
    let line = bytes.strip_suffix(b"\n").unwrap_or(&bytes);
    Ok(Secret::from(line.strip_suffix(b"\r").unwrap_or(line)))
}
