//! The socket in the file system: made so that nobody can use it too early, never stolen, removed only if it is ours.

use super::folder::{Folder, parts};
use crate::process::identity::{IdentityError, group_id, user_id};
use mailauth_core::config::CourierConfig;
use mailauth_core::parents::Exposed;
use rustix::fs::{AtFlags, FileType, Gid, Mode, chownat, fchmod, fstat};
use rustix::io::Errno;
use rustix::net::{AddressFamily, Shutdown, SocketAddrUnix, SocketFlags, SocketType};
use rustix::net::{bind, connect, listen, shutdown, socket_with};
use std::ffi::{OsStr, OsString};
use std::fs::File;
use std::io;
use std::os::fd::OwnedFd;
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
    /// Others may write to the folder.
    #[error("no socket is made where others could replace it: {0}; run {cure}, or choose another folder", cure = .0.cure())]
    Shared(Exposed),
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

/// Whom a socket is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Side {
    /// Courier's programs, and others that know its path: `[courier] socket`.
    Courier,
    /// Our own programs: `[courier] own_socket`.
    Own,
}

/// A socket to be made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Place {
    pub path: PathBuf,
    pub mode: u32,
    pub group: Option<String>,
    /// The user that this process becomes.
    pub user: Option<String>,
    pub side: Side,
}

impl Place {
    /// `[courier] socket`.
    pub fn of_courier(config: &CourierConfig) -> Self {
        Place {
            path: config.socket.clone(),
            mode: config.socket_mode,
            group: config.socket_group.clone(),
            user: config.user.clone(),
            side: Side::Courier,
        }
    }

    /// `[courier] own_socket`, if there is to be one. Who connects is judged by name, so that the mode need not keep anybody
    /// away; but where nobody is named beside root and the daemon's user, the kernel keeps all others away.
    pub fn of_own(config: &CourierConfig) -> Option<Self> {
        let is_for_others = !config.allow_users.is_empty() || !config.allow_groups.is_empty();
        Some(Place {
            path: config.own_socket.clone()?,
            mode: if is_for_others { 0o666 } else { 0o600 },
            group: None,
            side: Side::Own,
            ..Self::of_courier(config)
        })
    }

    /// Returns true if a socket of that place needs no change to be one of this.
    pub fn is_served_by(&self, there: &Place) -> bool {
        (&self.path, self.mode, &self.group) == (&there.path, there.mode, &there.group)
    }

    fn user_id(&self) -> Result<Option<u32>, IdentityError> {
        self.user.as_deref().map(|name| user_id("[courier] user", name)).transpose()
    }
}

/// A listening socket under its path. Dropping it removes the path, if it is still this socket's.
#[derive(Debug)]
pub struct Listener {
    socket: OwnedFd,
    place: Place,
    group: u32,
    inode: (u64, u64),
    folder: Arc<Folder>,
    lock: Arc<File>,
}

impl Listener {
    /// Listens where `config` says that Courier's programs look.
    ///
    /// # Errors
    /// When somebody else does so already, others may write to the folder, or the system refuses.
    pub fn bind(config: &CourierConfig) -> Result<Self, BindError> {
        Self::bind_at(Place::of_courier(config))
    }

    /// Listens where `config` says that our own programs look, if it does. The folder is made where it is missing.
    ///
    /// # Errors
    /// As [`Listener::bind`].
    pub fn bind_own(config: &CourierConfig) -> Result<Option<Self>, BindError> {
        Place::of_own(config).map(Self::bind_at).transpose()
    }

    pub(crate) fn bind_at(place: Place) -> Result<Self, BindError> {
        let user = place.user_id()?;
        let folder = Arc::new(match place.side {
            Side::Courier => Folder::of(&place.path, user)?,
            Side::Own => Folder::of_or_new(&place.path, user)?,
        });
        let lock = Arc::new(lock(&folder, &place.path)?);
        refuse_to_steal(&folder, &place.path)?;
        Self::bind_locked(place, folder, lock)
    }

    /// Listens at `place`, which may be where this one listens: it is replaced there in one step.
    ///
    /// # Errors
    /// As [`Listener::bind`]; this one is then as it was.
    pub(crate) fn rebind(&self, place: Place) -> Result<Self, BindError> {
        if place.path == self.place.path {
            return Self::bind_locked(place, Arc::clone(&self.folder), Arc::clone(&self.lock));
        }
        Self::bind_at(place)
    }

    fn bind_locked(place: Place, folder: Arc<Folder>, lock: Arc<File>) -> Result<Self, BindError> {
        let (_, name) = parts(&place.path)?;
        let temporary = suffixed(name, ".new");
        let group = place.group.as_deref().map(|name| group_id("[courier] socket_group", name)).transpose()?;
        let failed = |what| {
            let path = place.path.clone();
            move |error: io::Error| BindError::System { what, path, error }
        };
        let socket = socket_with(AddressFamily::UNIX, SocketType::STREAM, SocketFlags::CLOEXEC, None)
            .map_err(io::Error::from)
            .map_err(failed("make the socket"))?;
        // bind(2) gives the file the mode of the socket: there is no moment at which it has another, and nothing that lies
        // there under its name is given one.
        fchmod(&socket, Mode::from_raw_mode(place.mode)).map_err(io::Error::from).map_err(failed("make the socket"))?;
        // We hold the lock, so whatever has the temporary name was left behind.
        folder.remove(&temporary).map_err(failed("replace"))?;
        bind_in(&folder, &socket, &temporary).map_err(failed("listen on"))?;
        let put = || -> Result<(u32, (u64, u64)), BindError> {
            let made = folder.point_at(&temporary).map_err(failed("look at"))?;
            let look = || fstat(&made).map_err(io::Error::from).map_err(failed("look at"));
            if !FileType::from_raw_mode(look()?.st_mode).is_socket() {
                return Err(BindError::NotASocket(place.path.clone()));
            }
            if let Some(group) = group {
                let changed = chownat(&made, "", None, Some(Gid::from_raw(group)), AtFlags::EMPTY_PATH);
                changed.map_err(io::Error::from).map_err(failed("set the group of"))?;
            }
            let found = look()?;
            // Nobody can connect before this.
            listen(&socket, BACKLOG).map_err(io::Error::from).map_err(failed("listen on"))?;
            folder.rename(&temporary, name).map_err(failed("put into place"))?;
            let inode = (found.st_dev, found.st_ino);
            match folder.look(name) {
                Ok(now) if (now.st_dev, now.st_ino) == inode => Ok((found.st_gid, inode)),
                Ok(_) => Err(failed("put into place")(io::Error::other("another file was put there meanwhile"))),
                Err(error) => Err(failed("look at")(error)),
            }
        };
        let (group, inode) = put().inspect_err(|_| {
            // What matters is the first error.
            let _ = folder.remove(&temporary);
        })?;
        Ok(Listener { socket, place, group, inode, folder, lock })
    }

    /// Where it listens.
    pub fn path(&self) -> &Path {
        &self.place.path
    }

    pub(crate) fn place(&self) -> &Place {
        &self.place
    }

    pub(crate) fn socket(&self) -> &OwnedFd {
        &self.socket
    }

    /// The group of the socket's file.
    pub(crate) fn group(&self) -> u32 {
        self.group
    }

    /// No new connection; those that wait can still be accepted, and then accepting fails with `EINVAL`.
    pub(crate) fn shut(&self) {
        // On a listening socket this cannot fail.
        let _ = shutdown(&self.socket, Shutdown::Read);
    }
}

impl Drop for Listener {
    fn drop(&mut self) {
        let Some(name) = self.place.path.file_name() else { return };
        let still_ours = self.folder.look(name).is_ok_and(|now| (now.st_dev, now.st_ino) == self.inode);
        if still_ours && let Err(error) = self.folder.remove(name) {
            // After becoming another user this may be forbidden; the next start replaces what is left.
            tracing::debug!(path = %self.path().display(), %error, "the socket's file stays behind");
        }
    }
}

/// Binds `socket` so that the file has its mode, whatever the umask.
fn bind_in(folder: &Folder, socket: &OwnedFd, name: &OsStr) -> io::Result<()> {
    let address = address(name)?;
    folder.inside(|| Ok(bind(socket, &address)?))
}

/// The address of a name in the folder that the thread is in.
fn address(name: &OsStr) -> io::Result<SocketAddrUnix> {
    SocketAddrUnix::new(Path::new(name)).map_err(|_| io::Error::other("its name is too long; choose a shorter one"))
}

/// Holds the lock file beside the socket, so that of two servers that start at the same time one gives up. The file
/// stays when the server ends: removing it would let two hold a lock on two files.
fn lock(folder: &Folder, path: &Path) -> Result<File, BindError> {
    let (_, name) = parts(path)?;
    let name = suffixed(name, ".lock");
    match folder.lock(&name) {
        Ok(Some(file)) => Ok(file),
        Ok(None) => Err(BindError::Busy(path.to_owned())),
        Err(error) => Err(BindError::System { what: "lock", path: path.with_file_name(name), error }),
    }
}

/// A socket that nobody answers on is stale, and may be replaced.
fn refuse_to_steal(folder: &Folder, path: &Path) -> Result<(), BindError> {
    let failed = |error: io::Error| BindError::System { what: "look at", path: path.to_owned(), error };
    let (_, name) = parts(path)?;
    match folder.look(name) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(failed(error)),
        Ok(found) if !FileType::from_raw_mode(found.st_mode).is_socket() => {
            return Err(BindError::NotASocket(path.to_owned()));
        }
        Ok(_) => {}
    }
    let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
    let probe = socket_with(AddressFamily::UNIX, SocketType::STREAM, flags, None);
    let probe = probe.map_err(|error| failed(error.into()))?;
    let address = address(name).map_err(failed)?;
    let probed = folder.inside(|| Ok(connect(&probe, &address))).map_err(failed)?;
    match probed {
        // EAGAIN: its backlog is full, so somebody lives there.
        Ok(()) | Err(Errno::AGAIN) => Err(BindError::Busy(path.to_owned())),
        Err(Errno::CONNREFUSED | Errno::NOENT | Errno::PROTOTYPE) => Ok(()),
        Err(error) => Err(failed(error.into())),
    }
}

fn suffixed(name: &OsStr, suffix: &str) -> OsString {
    let mut name = name.to_owned();
    name.push(suffix);
    name
}
