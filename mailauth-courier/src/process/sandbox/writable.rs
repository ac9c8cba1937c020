//! The folders that the daemon writes to. Those that the configuration names at the start are allowed for the life of
//! the process, so another folder requires a restart.

use super::landlock;
use crate::accept::kept::Protocol;
use crate::accept::passed;
use mailauth_core::config::{Config, ListenAddress, MetricsAddress};
use rustix::fs::{Access, access};
use std::env::var_os;
use std::io;
use std::path::{Path, PathBuf};

/// A folder, and the configuration key because of which the daemon writes there.
#[derive(Clone, Debug, PartialEq, Eq)]
struct NeededFolder {
    key: &'static str,
    folder: PathBuf,
}

/// The folders that this process was confined to.
#[derive(Debug)]
pub struct Confined {
    /// Paths of the folders without links.
    allowed: Vec<PathBuf>,
    /// Folders that did not exist.
    missing: Vec<PathBuf>,
    /// True if the process also reads mailboxes of users other than its own.
    looks_at_all: bool,
}

/// A configuration for which the daemon would have to write outside of the folders that it may write to.
#[derive(Debug, thiserror::Error)]
#[error(
    "{key} needs {}, where this daemon may not write: with [courier] sandbox = true the kernel only lets it write to the \
     folders that its configuration named when it was started; restart the daemon",
    folder.display()
)]
pub struct Elsewhere {
    key: &'static str,
    folder: PathBuf,
}

/// Confines the calling thread, and those that it starts, to the folders that `config` needs. `looks_at_all` is true if
/// no other process reads mailboxes for this one.
///
/// # Errors
/// Fails if the kernel does not support it; see [`landlock::is_missing`].
pub fn confine(config: &Config, looks_at_all: bool) -> io::Result<Confined> {
    let mut confined = Confined { allowed: Vec::new(), missing: Vec::new(), looks_at_all };
    let mut warnings = Vec::new();
    for NeededFolder { key, folder } in confined.needs(config) {
        match folder.canonicalize() {
            Ok(folder) => confined.allowed.push(folder),
            Err(error) => {
                let shown = folder.display();
                warnings.push(format!("{key} needs the folder {shown}: {error}; create it and restart the daemon"));
                confined.missing.push(folder);
            }
        }
    }
    let temporary = temporary();
    landlock::confine(confined.allowed.iter().map(PathBuf::as_path), temporary.as_deref())?;
    warnings.iter().for_each(|warning| tracing::info!("{warning}"));
    tracing::debug!("files can only be changed below {:?}, and temporary ones in {temporary:?}", confined.allowed);
    Ok(confined)
}

impl Confined {
    /// Checks that the process may write to the folders that `config` needs. Folders that did not exist at the start
    /// and still do not exist are ignored.
    ///
    /// # Errors
    /// Returns the first folder to which it may not write.
    pub fn check(&self, config: &Config) -> Result<(), Elsewhere> {
        for NeededFolder { key, folder } in self.needs(config) {
            let real = resolved(&folder);
            let is_as_before = || self.missing.contains(&folder) && !folder.exists();
            if !self.allowed.iter().any(|allowed| real.starts_with(allowed)) && !is_as_before() {
                return Err(Elsewhere { key, folder });
            }
        }
        Ok(())
    }

    fn needs(&self, config: &Config) -> Vec<NeededFolder> {
        let own = rustix::process::geteuid().as_raw();
        needed(config, self.looks_at_all || config.mailbox.permit_uid(own).is_ok())
    }
}

/// Returns the folders that a daemon writes to. Those of mailboxes are included if it `looks` at mailboxes itself.
fn needed(config: &Config, looks: bool) -> Vec<NeededFolder> {
    let (mut places, courier) = (Vec::new(), &config.courier);
    let mut add = |key, folder: PathBuf| places.push(NeededFolder { key, folder });
    add("[courier] socket", folder_of(&courier.socket));
    if let Some(own) = &courier.own_socket {
        add("[courier] own_socket", folder_of(own));
    }
    if let Some(MetricsAddress::Unix(path)) = &config.metrics.listen {
        add("[metrics] listen", folder_of(path));
    }
    for (protocol, socket) in Protocol::sockets(config) {
        // The file of a socket that was passed is neither made nor removed by this process.
        if let ListenAddress::Unix(path) = &socket.address
            && !passed::is_passed(path)
        {
            add(protocol.key(), folder_of(path));
        }
    }
    // The key file that chooses dummy passwords is in the same folder.
    let mut add_database = |key, path: &Path| {
        add(key, folder_of(path));
        // SQLite creates its other files in the folder of the file itself, not of a link to it.
        if let Ok(real) = path.canonicalize() {
            add(key, folder_of(&real));
        }
    };
    let url = &config.database.url;
    if let Some(path) = url.file() {
        add_database("[database] url", path);
    } else if let Some(path) = config.outage.snapshot_of(url) {
        add_database("[outage] snapshot", path);
    }
    if config.throttle.enabled {
        add("[throttle] file", folder_of(&config.throttle.file));
    }
    if looks {
        for folder in config.mailbox.folders() {
            let there = |folder: &&Path| folder.exists();
            // Homes are created together with the folders above them.
            let above = config.mailbox.create.then(|| folder.ancestors().find(there)).flatten();
            add("[mailbox] root", above.unwrap_or(folder).to_owned());
        }
    }
    places
}

fn folder_of(file: &Path) -> PathBuf {
    file.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new(".")).to_owned()
}

/// Returns the path of `folder` without links, as far as it exists.
fn resolved(folder: &Path) -> PathBuf {
    let from = |above: &Path| Some(above.canonicalize().ok()?.join(folder.strip_prefix(above).ok()?));
    folder.ancestors().find_map(from).unwrap_or_else(|| folder.to_owned())
}

/// Returns the folder in which SQLite creates temporary files, such as those of a sort that does not fit in its memory.
fn temporary() -> Option<PathBuf> {
    let configured = ["SQLITE_TMPDIR", "TMPDIR"].into_iter().filter_map(var_os).map(PathBuf::from);
    let usual = ["/var/tmp", "/usr/tmp", "/tmp"].into_iter().map(PathBuf::from);
    let fits = |path: &PathBuf| path.is_dir() && access(path, Access::WRITE_OK | Access::EXEC_OK).is_ok();
    configured.chain(usual).find(fits)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;
    use std::os::unix::fs::symlink;

    fn config(text: &str) -> Config {
        Config::parse(text, Path::new("/etc/mailauth/mailauth.toml")).unwrap()
    }

    fn keys(text: &str, looks: bool) -> Vec<(&'static str, String)> {
        let needed = needed(&config(text), looks).into_iter();
        needed.map(|place| (place.key, place.folder.display().to_string())).collect()
    }

    fn of<const N: usize>(places: [(&'static str, &str); N]) -> Vec<(&'static str, String)> {
        places.map(|(key, folder)| (key, folder.to_owned())).into()
    }

    #[test]
    fn a_daemon_needs_the_folders_of_the_files_that_it_writes() {
        let sockets = [("[courier] socket", "/run/courier/authdaemon"), ("[courier] own_socket", "/run/mailauth")];
        let [first, own] = sockets;
        let throttle = ("[throttle] file", "/var/lib/mailauth");
        let of_sqlite = "[database]\nurl = 'sqlite:/nowhere/db/mailauth.db'\n";
        assert_eq!(keys(of_sqlite, false), of([first, own, ("[database] url", "/nowhere/db"), throttle]));
        let postgres = "[database]\nurl = 'postgres://mailauth@localhost/mailauth'\n";
        let snapshot = ("[outage] snapshot", "/var/lib/mailauth");
        assert_eq!(keys(postgres, false), of([first, own, snapshot, throttle]));
        let little = "[outage]\nenabled = false\n[throttle]\nenabled = false\n[courier]\nown_socket = ''\n";
        let metrics = "[metrics]\nlisten = 'unix:/run/metrics/socket'\n";
        let dovecot = "[dovecot]\nclient_socket = ['/run/postfix/auth', '127.0.0.1:2000']\n";
        let client = ("[dovecot] client_socket", "/run/postfix");
        assert_eq!(keys(&format!("{postgres}{little}{dovecot}"), false), of([first, client]));
        let (mailboxes, metrics_folder) = (("[mailbox] root", "/nowhere"), ("[metrics] listen", "/run/metrics"));
        let text = format!("{postgres}{little}{metrics}[mailbox]\nroot = '/nowhere'\nhome = '/nowhere/%d/%n'\n");
        assert_eq!(keys(&text, false), of([first, metrics_folder]));
        assert_eq!(keys(&text, true), of([first, metrics_folder, mailboxes]));
        assert_eq!(keys(&format!("{text}create = true\n"), true), of([first, metrics_folder, ("[mailbox] root", "/")]));
    }

    #[test]
    fn another_folder_requires_a_restart() {
        let top = tempfile::tempdir().unwrap();
        let at = |name: &str| top.path().join(name);
        for name in ["run/below", "db", "other"] {
            fs::create_dir_all(at(name)).unwrap();
        }
        symlink(at("run"), at("link")).unwrap();
        let text = |socket: &str, throttle: &str| {
            let [socket, throttle] = [at(socket), at(throttle)].map(|path| path.display().to_string());
            let database = at("db/mailauth.db").display().to_string();
            config(&format!(
                "[database]\nurl = 'sqlite:{database}'\n[courier]\nsocket = '{socket}'\n[throttle]\nfile = '{throttle}'\n"
            ))
        };
        let (allowed, missing) = (vec![at("run"), at("db")], vec![at("missing")]);
        let allowed = allowed.into_iter().map(|folder| folder.canonicalize().unwrap()).collect();
        let confined = Confined { allowed, missing, looks_at_all: false };
        let problem = |config: &Config| confined.check(config).err().map(|error| error.to_string()).unwrap_or_default();
        for (socket, throttle) in [
            ("run/socket", "db/throttle"),
            ("run/another", "run/throttle"),
            ("link/socket", "db/new/throttle"),
            ("run/below/socket", "missing/throttle"),
        ] {
            assert_eq!(problem(&text(socket, throttle)), "", "{socket} {throttle}");
        }
        for (socket, throttle, key) in [
            ("other/socket", "db/throttle", "[courier] socket"),
            ("new/socket", "db/throttle", "[courier] socket"),
            ("run/socket", "other/throttle", "[throttle] file"),
        ] {
            let found = problem(&text(socket, throttle));
            assert!(found.starts_with(key) && found.ends_with("restart the daemon"), "{found}");
        }
        fs::create_dir(at("missing")).unwrap();
        assert!(problem(&text("run/socket", "missing/throttle")).starts_with("[throttle] file needs "));
    }
}
