//! The socket of a root part that runs as a separate service.

use crate::packet;
use rustix::fd::{AsFd, BorrowedFd, OwnedFd};
use rustix::fs::{Mode, fchmod};
use rustix::io::Errno;
use rustix::net::{SocketAddrUnix, SocketFlags, accept_with, bind, connect, listen};
use std::fs::{remove_file, symlink_metadata};
use std::io;
use std::os::unix::fs::{FileTypeExt, MetadataExt};
use std::path::{Path, PathBuf};

/// Maximum number of connections that wait to be accepted.
const BACKLOG: i32 = 16;

/// Mode of the socket: the daemon's group may connect. The user of each connection is checked, too.
const MODE: Mode = Mode::from_bits_truncate(0o660);

/// Reason why there is no socket.
#[derive(Debug, thiserror::Error)]
pub enum BindError {
    /// Another user could replace the socket.
    #[error(
        "the folder of {} must belong to root, and only root may write there: {} has mode {mode:o} and belongs to user \
         {uid}",
        .path.display(), .folder.display()
    )]
    Folder {
        /// The listening socket.
        path: PathBuf,
        /// Directory of the socket.
        folder: PathBuf,
        /// Permission bits of the socket.
        mode: u32,
        /// User id of the owner.
        uid: u32,
    },
    /// Another server is running.
    #[error("another mailauth-mailboxes answers on {}; stop it first", .0.display())]
    Busy(PathBuf),
    /// The path is a file that is not a socket.
    #[error("{} exists and is not a socket; move it away, or choose another path", .0.display())]
    NotASocket(PathBuf),
    /// The system refused.
    #[error("cannot listen on {}: {source}", .path.display())]
    System {
        /// The listening socket.
        path: PathBuf,
        /// The error of the system.
        source: io::Error,
    },
}

/// A socket in a folder that only root may write to.
#[derive(Debug)]
pub struct Listener {
    socket: OwnedFd,
    path: PathBuf,
}

impl Listener {
    /// Listens on `path`.
    ///
    /// # Errors
    /// Fails if the folder is not root's, another server is running, or the system refuses.
    pub fn bind(path: &Path) -> Result<Self, BindError> {
        let failed = |source: io::Error| BindError::System { path: path.to_owned(), source };
        judge_folder(path)?;
        let address = SocketAddrUnix::new(path).map_err(|errno| failed(errno.into()))?;
        match symlink_metadata(path) {
            Ok(found) if !found.file_type().is_socket() => return Err(BindError::NotASocket(path.to_owned())),
            Ok(_) => {
                let probe = packet::socket().map_err(|errno| failed(errno.into()))?;
                if !matches!(connect(&probe, &address), Err(Errno::CONNREFUSED | Errno::NOENT | Errno::PROTOTYPE)) {
                    return Err(BindError::Busy(path.to_owned()));
                }
                remove_file(path).map_err(failed)?;
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => return Err(failed(error)),
        }
        let socket = packet::socket().map_err(|errno| failed(errno.into()))?;
        // bind(2) gives the file the mode of the socket.
        let made = fchmod(&socket, MODE).and_then(|()| {
            let former = rustix::process::umask(Mode::empty());
            let bound = bind(&socket, &address);
            rustix::process::umask(former);
            bound?;
            listen(&socket, BACKLOG)
        });
        made.map_err(|errno| failed(errno.into()))?;
        Ok(Listener { socket, path: path.to_owned() })
    }

    pub(super) fn socket(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }

    pub(super) fn accept(&self) -> Result<OwnedFd, Errno> {
        accept_with(&self.socket, SocketFlags::CLOEXEC)
    }
}

impl Drop for Listener {
    fn drop(&mut self) {
        let _ = remove_file(&self.path); // the next start replaces a socket that is left
    }
}

/// Checks that only root may write to the folder. Another user could put a socket of its own there.
fn judge_folder(path: &Path) -> Result<(), BindError> {
    let folder = path.parent().unwrap_or(Path::new("/"));
    let found = folder.metadata().map_err(|source| BindError::System { path: path.to_owned(), source })?;
    let (mode, uid) = (found.mode() & 0o7777, found.uid());
    if uid != 0 || mode & 0o022 != 0 {
        return Err(BindError::Folder { path: path.to_owned(), folder: folder.to_owned(), mode, uid });
    }
    Ok(())
}
