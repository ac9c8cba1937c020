//! The socket in the file system: made so that nobody can use it too early, never stolen, removed only if it is ours.

use super::identity::{IdentityError, group_id};
use mailauth_core::config::CourierConfig;
use rustix::fs::{FlockOperation, Mode, fchmod, flock};
use rustix::io::Errno;
use rustix::net::{AddressFamily, Shutdown, SocketAddrUnix, SocketFlags, SocketType};
use rustix::net::{bind, connect, listen, shutdown, socket_with};
use std::fs::{File, OpenOptions, Permissions, metadata, remove_file, rename, set_permissions, symlink_metadata};
use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::fs::{FileTypeExt, MetadataExt, OpenOptionsExt, PermissionsExt, lchown};
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// Connections that may wait to be accepted; the kernel lowers it to net.core.somaxconn.
const BACKLOG: i32 = 4096;

/// Why there is no socket to listen on.
#[derive(Debug, thiserror::Error)]
pub enum BindError {
    /// Somebody answers there, or holds the lock beside it.
    #[error("another server answers on {}; stop it first", .0.display())]
    Busy(PathBuf),
    /// A file is there that is no socket.
    #[error("{} exists and is not a socket; move it away, or choose another path", .0.display())]
    NotASocket(PathBuf),
    /// The folder is missing.
    #[error("the folder of {} does not exist; create it (mode 0750, group of the mail daemons)", .0.display())]
    NoFolder(PathBuf),
    /// A name in the configuration is none.
    #[error(transparent)]
    Identity(#[from] IdentityError),
    /// The system refused.
    #[error("cannot {what} {}: {error}", path.display())]
    System {
        /// What was tried.
        what: &'static str,
        /// With what.
        path: PathBuf,
        /// What the system said.
        error: io::Error,
    },
}

/// A listening socket under its path. Dropping it removes the path, if it is still this socket's.
#[derive(Debug)]
pub struct Listener {
    socket: OwnedFd,
    path: PathBuf,
    group: u32,
    inode: (u64, u64),
    lock: Arc<File>,
}

impl Listener {
    /// Listens where `config` says.
    ///
    /// # Errors
    /// When somebody else does so already, or the system refuses.
    pub fn bind(config: &CourierConfig) -> Result<Self, BindError> {
        let lock = Arc::new(lock(&config.socket)?);
        refuse_to_steal(&config.socket)?;
        Self::bind_locked(config, lock)
    }

    /// Listens where `config` says, which may be where this one listens: it is replaced there in one step.
    ///
    /// # Errors
    /// As [`Listener::bind`]; this one is then as it was.
    pub fn rebind(&self, config: &CourierConfig) -> Result<Self, BindError> {
        if config.socket == self.path { Self::bind_locked(config, self.lock.clone()) } else { Self::bind(config) }
    }

    fn bind_locked(config: &CourierConfig, lock: Arc<File>) -> Result<Self, BindError> {
        let path = &config.socket;
        let group = config.socket_group.as_deref().map(|name| group_id("[courier] socket_group", name)).transpose()?;
        let temporary = suffixed(path, ".new");
        let failed = |what| {
            let path = path.clone();
            move |error: io::Error| BindError::System { what, path, error }
        };
        let address = SocketAddrUnix::new(&temporary).map_err(|_| {
            failed("listen on")(io::Error::other("its path is longer than 103 bytes; choose a shorter one"))
        })?;
        let socket = socket_with(AddressFamily::UNIX, SocketType::STREAM, SocketFlags::CLOEXEC, None)
            .map_err(io::Error::from)
            .map_err(failed("make the socket"))?;
        // bind(2) gives the file the mode of the socket, so that nobody can connect before the group is right.
        fchmod(&socket, Mode::RUSR | Mode::WUSR).map_err(io::Error::from).map_err(failed("make the socket"))?;
        // We hold the lock, so whatever has the temporary name was left behind.
        match remove_file(&temporary) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(failed("replace")(error)),
            _ => {}
        }
        bind(&socket, &address).map_err(io::Error::from).map_err(failed("listen on"))?;
        let put = || -> Result<(u64, u64), BindError> {
            lchown(&temporary, None, group).map_err(failed("set the group of"))?;
            set_permissions(&temporary, Permissions::from_mode(config.socket_mode))
                .map_err(failed("set the mode of"))?;
            listen(&socket, BACKLOG).map_err(io::Error::from).map_err(failed("listen on"))?;
            let made = symlink_metadata(&temporary).map_err(failed("look at"))?;
            rename(&temporary, path).map_err(failed("put into place"))?;
            Ok((made.dev(), made.ino()))
        };
        let inode = put().inspect_err(|_| {
            // What matters is the first error.
            let _ = remove_file(&temporary);
        })?;
        let group = symlink_metadata(path).map_err(failed("look at"))?.gid();
        Ok(Listener { socket, path: path.clone(), group, inode, lock })
    }

    /// Where it listens.
    pub fn path(&self) -> &Path {
        &self.path
    }

    pub(super) fn socket(&self) -> &OwnedFd {
        &self.socket
    }

    /// The group of the socket's file.
    pub(super) fn group(&self) -> u32 {
        self.group
    }

    /// No new connection; those that wait can still be accepted, and then accepting fails with `EINVAL`.
    pub(super) fn shut(&self) {
        // On a listening socket this cannot fail.
        let _ = shutdown(&self.socket, Shutdown::Read);
    }
}

impl Drop for Listener {
    fn drop(&mut self) {
        let still_ours = symlink_metadata(&self.path).is_ok_and(|now| (now.dev(), now.ino()) == self.inode);
        if still_ours && let Err(error) = remove_file(&self.path) {
            // After becoming another user this may be forbidden; the next start replaces what is left.
            tracing::debug!(path = %self.path.display(), %error, "the socket's file stays behind");
        }
    }
}

/// Holds the lock file beside the socket, so that of two servers that start at the same time one gives up. The file
/// stays when the server ends: removing it would let two hold a lock on two files.
fn lock(path: &Path) -> Result<File, BindError> {
    let lock = suffixed(path, ".lock");
    let failed = |error| BindError::System { what: "lock", path: lock.clone(), error };
    if path.parent().is_some_and(|folder| !folder.as_os_str().is_empty() && metadata(folder).is_err_and(missing)) {
        return Err(BindError::NoFolder(path.to_owned()));
    }
    let mut options = OpenOptions::new();
    options.write(true).create(true).truncate(false).mode(0o600).custom_flags(libc::O_NOFOLLOW);
    let file = options.open(&lock).map_err(failed)?;
    match flock(&file, FlockOperation::NonBlockingLockExclusive) {
        Ok(()) => Ok(file),
        Err(Errno::WOULDBLOCK) => Err(BindError::Busy(path.to_owned())),
        Err(error) => Err(failed(error.into())),
    }
}

fn missing(error: io::Error) -> bool {
    error.kind() == io::ErrorKind::NotFound
}

/// A socket that nobody answers on is stale, and may be replaced.
fn refuse_to_steal(path: &Path) -> Result<(), BindError> {
    let failed = |error: io::Error| BindError::System { what: "look at", path: path.to_owned(), error };
    match symlink_metadata(path) {
        Err(error) if missing(io::Error::from(error.kind())) => return Ok(()),
        Err(error) => return Err(failed(error)),
        Ok(found) if !found.file_type().is_socket() => return Err(BindError::NotASocket(path.to_owned())),
        Ok(_) => {}
    }
    let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
    let probe = socket_with(AddressFamily::UNIX, SocketType::STREAM, flags, None);
    let probe = probe.map_err(|error| failed(error.into()))?;
    let address = SocketAddrUnix::new(path).map_err(|error| failed(error.into()))?;
    match connect(&probe, &address) {
        // EAGAIN: its backlog is full, so somebody lives there.
        Ok(()) | Err(Errno::AGAIN) => Err(BindError::Busy(path.to_owned())),
        Err(Errno::CONNREFUSED | Errno::NOENT | Errno::PROTOTYPE) => Ok(()),
        Err(error) => Err(failed(error.into())),
    }
}

fn suffixed(path: &Path, suffix: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(suffix);
    PathBuf::from(name)
}
