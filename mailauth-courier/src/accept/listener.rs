//! The socket in the file system. No client can connect before it is ready, it is never taken from another server, and
//! it is only removed if it is this server's own. One that was passed to this process is used as it is, and stays.

use super::folder::{Folder, parts};
use super::passed;
use crate::process::identity::{IdentityError, group_id, user_id};
use mailauth_core::config::{CourierConfig, ListenAddress};
use mailauth_core::parents::Exposed;
use rustix::fs::{AtFlags, FileType, Gid, Mode, Stat, Uid, chownat, fchmod, fstat};
use rustix::io::{Errno, ioctl_fionbio};
use rustix::net::sockopt::socket_peercred;
use rustix::net::{AddressFamily, Shutdown, SocketAddrUnix, SocketFlags, SocketType};
use rustix::net::{bind, connect, listen, shutdown, socket_with};
use rustix::process::getpid;
use std::ffi::{OsStr, OsString};
use std::fs::File;
use std::io;
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// Number of connections that may wait to be accepted. The kernel lowers it to net.core.somaxconn.
pub(super) const BACKLOG: i32 = 4096;

/// Reason why a socket cannot be bound.
#[derive(Debug, thiserror::Error)]
pub enum BindError {
    /// Another server answers there, or holds the lock file of the socket.
    #[error("another server answers on {}; stop it first", .0.display())]
    Busy(PathBuf),
    /// The path is a file that is not a socket.
    #[error("{} exists and is not a socket; move it away, or choose another path", .0.display())]
    NotASocket(PathBuf),
    /// The folder does not exist.
    #[error("the folder of {} does not exist; create it (mode 0750, group of the mail daemons)", .0.display())]
    NoFolder(PathBuf),
    /// Other users may write to the folder.
    #[error("no socket is made where others could replace it: {0}; run {fix}, or choose another folder", fix = .0.remedy())]
    Shared(Exposed),
    /// A user or group in the configuration does not exist.
    #[error(transparent)]
    Identity(#[from] IdentityError),
    /// A socket was passed for the path, which leads to another one.
    #[error("{} leads to another socket than the one that was passed for it: another program has put its own there; stop \
        that, and restart the unit that has ListenStream={}", .0.display(), .0.display())]
    Displaced(PathBuf),
    /// A socket was passed, and its file cannot be given the configured mode and group.
    #[error("the file of the socket {} was made by another user, and cannot be given the mode {mode:04o} and the group of \
        [courier]: {error}; set SocketUser= to the daemon's user in the unit that passes it", path.display())]
    Foreign {
        /// Path of the socket.
        path: PathBuf,
        /// Configured mode.
        mode: u32,
        /// Error of the system.
        error: io::Error,
    },
    /// A socket for connections that are kept cannot be bound.
    #[error("{key}: cannot listen on {address}: {error}")]
    Kept {
        /// Key in the configuration.
        key: &'static str,
        /// Path or port of the socket.
        address: ListenAddress,
        /// Error of the system.
        error: io::Error,
    },
    /// A system call failed.
    #[error("cannot {what} {}: {error}", path.display())]
    System {
        /// Operation that failed.
        what: &'static str,
        /// Path of the file or folder.
        path: PathBuf,
        /// Error of the system.
        error: io::Error,
    },
}

/// The programs that a socket is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum SocketKind {
    /// Courier's programs, and others that use its path: `[courier] socket`.
    Courier,
    /// mailauth's own programs: `[courier] own_socket`.
    Own,
    /// Programs that keep their connections: `[dovecot]` and `[postfix]`.
    Kept,
}

/// Description of a socket to be bound.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct SocketSpec {
    pub path: PathBuf,
    pub mode: u32,
    pub group: Option<String>,
    /// User that the socket's file belongs to, if it is another one than that of this process. It may own the folder too.
    pub owner: Option<u32>,
    /// User that this process becomes later.
    pub user: Option<String>,
    pub kind: SocketKind,
}

impl SocketSpec {
    /// Returns the socket of `[courier] socket`.
    pub fn of_courier(config: &CourierConfig) -> Self {
        SocketSpec {
            path: config.socket.clone(),
            mode: config.socket_mode,
            group: config.socket_group.clone(),
            owner: None,
            user: config.user.clone(),
            kind: SocketKind::Courier,
        }
    }

    /// Returns the socket of `[courier] own_socket`, if there is to be one. The daemon checks the user of each client,
    /// so the mode need not exclude anyone. But if only root and the daemon's user may connect, the mode excludes all
    /// others.
    pub fn of_own(config: &CourierConfig) -> Option<Self> {
        let is_for_others = !config.allow_users.is_empty() || !config.allow_groups.is_empty();
        Some(SocketSpec {
            path: config.own_socket.clone()?,
            mode: if is_for_others { 0o666 } else { 0o600 },
            group: None,
            kind: SocketKind::Own,
            ..Self::of_courier(config)
        })
    }

    /// Returns true if a socket that was bound for `existing` needs no change to serve for this description.
    pub fn is_served_by(&self, existing: &SocketSpec) -> bool {
        (&self.path, self.mode, &self.group) == (&existing.path, existing.mode, &existing.group)
    }

    fn user_id(&self) -> Result<Option<u32>, IdentityError> {
        self.user.as_deref().map(|name| user_id("[courier] user", name)).transpose()
    }
}

/// A listening socket at its path. Dropping it removes the path, if it still leads to this socket.
#[derive(Debug)]
pub struct Listener {
    socket: OwnedFd,
    spec: SocketSpec,
    group: u32,
    inode: (u64, u64),
    /// True if the socket was passed to this process, and remains open when this process ends.
    passed: bool,
    folder: Arc<Folder>,
    lock: Arc<File>,
}

impl Listener {
    /// Listens on the socket for Courier's programs: the one that was passed to this process for the path, or a new one.
    ///
    /// # Errors
    /// Fails if another server listens there, other users may write to the folder, or a system call fails.
    pub fn bind(config: &CourierConfig) -> Result<Self, BindError> {
        Self::bind_at(SocketSpec::of_courier(config))
    }

    /// Listens on the socket for mailauth's own programs, if `config` has one. Creates the folder if it is missing.
    ///
    /// # Errors
    /// Fails like [`Listener::bind`].
    pub fn bind_own(config: &CourierConfig) -> Result<Option<Self>, BindError> {
        SocketSpec::of_own(config).map(Self::bind_at).transpose()
    }

    pub(crate) fn bind_at(spec: SocketSpec) -> Result<Self, BindError> {
        let user = spec.user_id()?;
        let folder = Arc::new(match spec.kind {
            SocketKind::Courier => Folder::of(&spec.path, user)?,
            SocketKind::Own => Folder::of_or_create(&spec.path, user)?,
            SocketKind::Kept => Folder::of_or_create(&spec.path, spec.owner)?,
        });
        let lock = Arc::new(lock(&folder, &spec.path)?);
        let failed = |error| BindError::System { what: "use the passed socket", path: spec.path.clone(), error };
        if let Some(socket) = passed::at_path(&spec.path).map_err(failed)? {
            return Self::adopt(spec, folder, lock, socket);
        }
        refuse_to_steal(&folder, &spec.path)?;
        Self::bind_locked(spec, folder, lock)
    }

    /// Listens on the socket of `spec`. If that has the path of this one, this one is replaced in one step.
    ///
    /// # Errors
    /// Fails like [`Listener::bind`]; this one is then unchanged.
    pub(crate) fn rebind(&self, spec: SocketSpec) -> Result<Self, BindError> {
        if spec.path == self.spec.path {
            if self.passed {
                let failed =
                    |error| BindError::System { what: "use the passed socket", path: spec.path.clone(), error };
                let socket = self.socket.try_clone().map_err(failed)?;
                return Self::adopt(spec, Arc::clone(&self.folder), Arc::clone(&self.lock), socket);
            }
            return Self::bind_locked(spec, Arc::clone(&self.folder), Arc::clone(&self.lock));
        }
        Self::bind_at(spec)
    }

    /// Listens on a socket that was passed to this process and is bound to the path of `spec`. Its file is given the mode
    /// and the group of `spec`, and is neither removed nor replaced.
    fn adopt(spec: SocketSpec, folder: Arc<Folder>, lock: Arc<File>, socket: OwnedFd) -> Result<Self, BindError> {
        let (_, name) = parts(&spec.path)?;
        let failed = |what| {
            let path = spec.path.clone();
            move |error: io::Error| BindError::System { what, path, error }
        };
        let group = spec.group.as_deref().map(|name| group_id("[courier] socket_group", name)).transpose()?;
        ioctl_fionbio(&socket, false).map_err(io::Error::from).map_err(failed("use the passed socket"))?;
        // Also makes this process the one that clients see at the other end, instead of the one that listened before.
        listen(&socket, BACKLOG).map_err(io::Error::from).map_err(failed("listen on"))?;
        match folder.stat(name) {
            Ok(found) if FileType::from_raw_mode(found.st_mode).is_socket() => {}
            Ok(_) => return Err(BindError::NotASocket(spec.path.clone())),
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                return Err(BindError::Displaced(spec.path.clone()));
            }
            Err(error) => return Err(failed("look at")(error)),
        }
        if !leads_here(&folder, name).map_err(failed("connect to"))? {
            return Err(BindError::Displaced(spec.path.clone()));
        }
        let found = match conform(&spec, &folder, group) {
            Ok(found) => found,
            Err(error) => return Err(BindError::Foreign { path: spec.path, mode: spec.mode, error }),
        };
        Ok(Listener { socket, spec, group: found.st_gid, inode: inode(&found), passed: true, folder, lock })
    }

    fn bind_locked(spec: SocketSpec, folder: Arc<Folder>, lock: Arc<File>) -> Result<Self, BindError> {
        let (_, name) = parts(&spec.path)?;
        let temporary = suffixed(name, ".new");
        let group = spec.group.as_deref().map(|name| group_id("[courier] socket_group", name)).transpose()?;
        let failed = |what| {
            let path = spec.path.clone();
            move |error: io::Error| BindError::System { what, path, error }
        };
        let socket = socket_with(AddressFamily::UNIX, SocketType::STREAM, SocketFlags::CLOEXEC, None)
            .map_err(io::Error::from)
            .map_err(failed("make the socket"))?;
        // bind(2) gives the file the mode of the socket: the file never has another mode, and no other file that has
        // its name is given this one.
        fchmod(&socket, Mode::from_raw_mode(spec.mode)).map_err(io::Error::from).map_err(failed("make the socket"))?;
        // This process holds the lock, so a file with the temporary name was left behind by an earlier one.
        folder.remove(&temporary).map_err(failed("replace"))?;
        bind_in(&folder, &socket, &temporary).map_err(failed("listen on"))?;
        let published = publish(&spec, &folder, &socket, &temporary, group).inspect_err(|_| {
            // Only the first error matters.
            let _ = folder.remove(&temporary);
        })?;
        Ok(Listener { socket, spec, group: published.st_gid, inode: inode(&published), passed: false, folder, lock })
    }

    /// Returns the path of the socket.
    pub fn path(&self) -> &Path {
        &self.spec.path
    }

    pub(crate) fn spec(&self) -> &SocketSpec {
        &self.spec
    }

    pub(crate) fn socket(&self) -> &OwnedFd {
        &self.socket
    }

    /// Returns the group of the socket's file.
    pub(crate) fn group(&self) -> u32 {
        self.group
    }

    /// Returns true if the socket remains open when this process ends: connections that wait then are accepted by the next
    /// one, and [`Listener::shut`] must not be called.
    pub(crate) fn outlives_process(&self) -> bool {
        self.passed
    }

    /// Stops listening for new connections. Connections that wait can still be accepted; after them, accepting fails
    /// with `EINVAL`.
    pub(crate) fn shut(&self) {
        // On a listening socket this cannot fail.
        let _ = shutdown(&self.socket, Shutdown::Read);
    }
}

impl Drop for Listener {
    fn drop(&mut self) {
        if self.passed {
            return;
        }
        let Some(name) = self.spec.path.file_name() else { return };
        let still_ours = self.folder.stat(name).is_ok_and(|found| inode(&found) == self.inode);
        if still_ours && let Err(error) = self.folder.remove(name) {
            // After the process has become another user this may not be permitted. The next start replaces the file.
            tracing::debug!(path = %self.path().display(), %error, "cannot remove the socket's file");
        }
    }
}

/// Gives the bound socket its group, lets it listen, and renames its file from the temporary name to that of `spec`.
fn publish(
    spec: &SocketSpec,
    folder: &Folder,
    socket: &OwnedFd,
    temporary: &OsStr,
    group: Option<u32>,
) -> Result<Stat, BindError> {
    let failed = |what| move |error: io::Error| BindError::System { what, path: spec.path.clone(), error };
    let (_, name) = parts(&spec.path)?;
    let made = folder.open_path(temporary).map_err(failed("look at"))?;
    let stat = || fstat(&made).map_err(io::Error::from).map_err(failed("look at"));
    if !FileType::from_raw_mode(stat()?.st_mode).is_socket() {
        return Err(BindError::NotASocket(spec.path.clone()));
    }
    if group.is_some() || spec.owner.is_some() {
        let (owner, group) = (spec.owner.map(Uid::from_raw), group.map(Gid::from_raw));
        let changed = chownat(&made, "", owner, group, AtFlags::EMPTY_PATH);
        changed.map_err(io::Error::from).map_err(failed("set the owner and the group of"))?;
    }
    let made = stat()?;
    // No client can connect before this.
    listen(socket, BACKLOG).map_err(io::Error::from).map_err(failed("listen on"))?;
    folder.rename(temporary, name).map_err(failed("put into place"))?;
    match folder.stat(name) {
        Ok(found) if inode(&found) == inode(&made) => Ok(made),
        Ok(_) => Err(failed("put into place")(io::Error::other("another file was put there in the meantime"))),
        Err(error) => Err(failed("look at")(error)),
    }
}

/// Gives the file of a passed socket the mode and the group of `spec`, if it has others.
fn conform(spec: &SocketSpec, folder: &Folder, group: Option<u32>) -> io::Result<Stat> {
    let name = spec.path.file_name().unwrap_or_default();
    let file = folder.open_path(name)?;
    let found = fstat(&file)?;
    if let Some(group) = group.filter(|group| *group != found.st_gid) {
        chownat(&file, "", None, Some(Gid::from_raw(group)), AtFlags::EMPTY_PATH)?;
    }
    if found.st_mode & 0o7777 != spec.mode {
        folder.set_mode(name, spec.mode)?;
    }
    Ok(fstat(&file)?)
}

/// Returns true if connections to `name` arrive at a socket on which this process listens.
fn leads_here(folder: &Folder, name: &OsStr) -> io::Result<bool> {
    match probe(folder, name)? {
        Ok(connection) => Ok(socket_peercred(&connection)?.pid == getpid()),
        // The backlog is full, and connections wait since before this process.
        Err(Errno::AGAIN) => Ok(true),
        Err(Errno::CONNREFUSED) => Ok(false),
        Err(errno) => Err(errno.into()),
    }
}

/// Connects to `name` without waiting.
fn probe(folder: &Folder, name: &OsStr) -> io::Result<Result<OwnedFd, Errno>> {
    let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
    let probe = socket_with(AddressFamily::UNIX, SocketType::STREAM, flags, None)?;
    let address = address(name)?;
    let probed = folder.inside(|| Ok(connect(&probe, &address)))?;
    Ok(probed.map(|()| probe))
}

/// Returns the numbers that identify a file.
fn inode(found: &Stat) -> (u64, u64) {
    (found.st_dev, found.st_ino)
}

/// Binds `socket` so that its file has the socket's mode, whatever the umask.
fn bind_in(folder: &Folder, socket: &OwnedFd, name: &OsStr) -> io::Result<()> {
    let address = address(name)?;
    folder.inside(|| Ok(bind(socket, &address)?))
}

/// Returns the address of a name in the working directory of the thread.
fn address(name: &OsStr) -> io::Result<SocketAddrUnix> {
    SocketAddrUnix::new(Path::new(name)).map_err(|_| io::Error::other("its name is too long; choose a shorter one"))
}

/// Takes the lock on the socket's lock file, so that of two servers that start at the same time one fails. The file
/// remains when the server ends: if it were removed, two servers could hold locks on two files.
fn lock(folder: &Folder, path: &Path) -> Result<File, BindError> {
    let (_, name) = parts(path)?;
    let name = suffixed(name, ".lock");
    match folder.lock(&name) {
        Ok(Some(file)) => Ok(file),
        Ok(None) => Err(BindError::Busy(path.to_owned())),
        Err(error) => Err(BindError::System { what: "lock", path: path.with_file_name(name), error }),
    }
}

/// Fails if another server answers on the socket. A socket on which no process listens may be replaced.
fn refuse_to_steal(folder: &Folder, path: &Path) -> Result<(), BindError> {
    let failed = |error: io::Error| BindError::System { what: "look at", path: path.to_owned(), error };
    let (_, name) = parts(path)?;
    match folder.stat(name) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(failed(error)),
        Ok(found) if !FileType::from_raw_mode(found.st_mode).is_socket() => {
            return Err(BindError::NotASocket(path.to_owned()));
        }
        Ok(_) => {}
    }
    match probe(folder, name).map_err(failed)? {
        // EAGAIN: the backlog is full, so a server listens there.
        Ok(_) | Err(Errno::AGAIN) => Err(BindError::Busy(path.to_owned())),
        Err(Errno::CONNREFUSED | Errno::NOENT | Errno::PROTOTYPE) => Ok(()),
        Err(error) => Err(failed(error.into())),
    }
}

fn suffixed(name: &OsStr, suffix: &str) -> OsString {
    let mut name = name.to_owned();
    name.push(suffix);
    name
}
