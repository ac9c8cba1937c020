//! The folder of a socket. It is opened and checked once, and everything in it is done by its descriptor: whatever
//! happens to the path in the meantime, a name in it is a name in this folder.

use super::listener::BindError;
use mailauth_core::lock_file;
use mailauth_core::parents::{Exposed, writers};
use rustix::fs::{
    AtFlags, CWD, FileType, Mode, OFlags, Stat, chmodat, mkdirat, openat, readlinkat, renameat, statat, unlinkat,
};
use rustix::io::Errno;
use rustix::process::{fchdir, geteuid, umask};
use std::ffi::{OsStr, OsString};
use std::fs::File;
use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::ffi::OsStringExt;
use std::os::unix::fs::{MetadataExt, fchown};
use std::path::{Path, PathBuf};

/// Mode of a folder that the daemon creates.
const MODE: u32 = 0o755;

/// Flags to open something only in order to refer to it and to stat it, but not to read it.
const PATH_ONLY: OFlags = OFlags::PATH.union(OFlags::CLOEXEC);

/// A folder in which only root and the daemon's user may write.
#[derive(Debug)]
pub(crate) struct Folder {
    path: PathBuf,
    descriptor: OwnedFd,
}

/// Splits the path of a socket into its folder and its name.
pub(crate) fn parts(socket: &Path) -> Result<(&Path, &OsStr), BindError> {
    let name = socket.file_name().ok_or_else(|| BindError::NotASocket(socket.to_owned()))?;
    Ok((socket.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new(".")), name))
}

impl Folder {
    /// Opens the folder of `socket`, which has to belong to root, the user of this process, or `user`.
    pub fn of(socket: &Path, user: Option<u32>) -> Result<Self, BindError> {
        let (path, _) = parts(socket)?;
        let failed = |error: io::Error| BindError::System { what: "open the folder", path: path.to_owned(), error };
        let descriptor = match open_folder(path) {
            Ok(descriptor) => descriptor,
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                return Err(BindError::NoFolder(socket.to_owned()));
            }
            Err(error) => return Err(failed(error)),
        };
        let folder = Folder { path: path.to_owned(), descriptor };
        folder.check_not_shared(user)?;
        Ok(folder)
    }

    /// Opens the folder like [`Folder::of`], and creates it for `user` if it is missing and no other user could put
    /// another one in its place.
    pub fn of_or_create(socket: &Path, user: Option<u32>) -> Result<Self, BindError> {
        match Self::of(socket, user) {
            Err(BindError::NoFolder(_)) => {}
            found => return found,
        }
        let (path, _) = parts(socket)?;
        // The folder in which it is created is checked like that of a socket.
        let above = Self::of(path, None)?;
        let (_, name) = parts(path)?;
        let failed = |error: io::Error| BindError::System { what: "make the folder", path: path.to_owned(), error };
        let made = mkdirat(&above.descriptor, name, Mode::from_raw_mode(MODE)).map_err(io::Error::from);
        made.map_err(failed)?;
        if let Some(user) = user.filter(|_| geteuid().is_root()) {
            let flags = OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
            let made = openat(&above.descriptor, name, flags, Mode::empty()).map_err(io::Error::from);
            made.and_then(|made| fchown(made, Some(user), None)).map_err(failed)?;
        }
        Self::of(socket, user)
    }

    /// Fails if other users may write to the folder: they could put another socket in the place of this one.
    fn check_not_shared(&self, user: Option<u32>) -> Result<(), BindError> {
        let failed = |error| BindError::System { what: "look at the folder", path: self.path.clone(), error };
        let found = self.descriptor.try_clone().and_then(|folder| File::from(folder).metadata()).map_err(failed)?;
        let trusted = [geteuid().as_raw()].into_iter().chain(user).collect::<Vec<_>>();
        match writers(&found, &trusted) {
            None => Ok(()),
            Some(writers) => {
                Err(BindError::Shared(Exposed { path: self.path.clone(), writers, mode: found.mode() & 0o7777 }))
            }
        }
    }

    /// Calls `act` on a thread with this folder as its working directory, and with a umask that removes no permission
    /// bits. It is for system calls that accept no descriptor of a folder. The thread has a working directory and a
    /// umask of its own, since other threads create files at the same time.
    pub fn inside<T: Send>(&self, act: impl FnOnce() -> io::Result<T> + Send) -> io::Result<T> {
        std::thread::scope(|scope| {
            let alone = || {
                // SAFETY: CLONE_FS only gives this thread a working directory and a umask of its own, and touches no
                // memory.
                if unsafe { libc::unshare(libc::CLONE_FS) } != 0 {
                    return Err(io::Error::last_os_error());
                }
                fchdir(&self.descriptor)?;
                umask(Mode::empty());
                act()
            };
            let thread = std::thread::Builder::new().name("binding".into()).spawn_scoped(scope, alone)?;
            thread
                .join()
                .unwrap_or_else(|_| Err(io::Error::other("internal error: the thread that binds the socket panicked")))
        })
    }

    /// Returns the metadata of `name` itself, not of the target if it is a link.
    pub fn stat(&self, name: &OsStr) -> io::Result<Stat> {
        Ok(statat(&self.descriptor, name, AtFlags::SYMLINK_NOFOLLOW)?)
    }

    /// Opens `name` itself, only to refer to it.
    pub fn open_path(&self, name: &OsStr) -> io::Result<OwnedFd> {
        Ok(openat(&self.descriptor, name, PATH_ONLY | OFlags::NOFOLLOW, Mode::empty())?)
    }

    /// Removes `name`, if it exists.
    pub fn remove(&self, name: &OsStr) -> io::Result<()> {
        match unlinkat(&self.descriptor, name, AtFlags::empty()) {
            Ok(()) | Err(Errno::NOENT) => Ok(()),
            Err(errno) => Err(errno.into()),
        }
    }

    /// Renames `name` to `new`, which is replaced if it exists.
    pub fn rename(&self, name: &OsStr, new: &OsStr) -> io::Result<()> {
        Ok(renameat(&self.descriptor, name, &self.descriptor, new)?)
    }

    /// Sets the mode of `name`, which must not be a link.
    pub fn set_mode(&self, name: &OsStr, mode: u32) -> io::Result<()> {
        Ok(chmodat(&self.descriptor, name, Mode::from_raw_mode(mode), AtFlags::empty())?)
    }

    /// Takes the lock on a lock file. Returns `None` while another process holds it.
    pub fn lock(&self, name: &OsStr) -> io::Result<Option<File>> {
        lock_file::take(&self.descriptor, name)
    }
}

/// Opens a folder. If the path is a link, it is followed only if root or the user of this process owns it: other users
/// that may write to the folder above could have put it there.
fn open_folder(path: &Path) -> io::Result<OwnedFd> {
    let flags = PATH_ONLY | OFlags::DIRECTORY;
    match openat(CWD, path, flags | OFlags::NOFOLLOW, Mode::empty()) {
        Err(Errno::LOOP | Errno::NOTDIR) => {}
        found => return Ok(found?),
    }
    let link = openat(CWD, path, PATH_ONLY | OFlags::NOFOLLOW, Mode::empty())?;
    let found = rustix::fs::fstat(&link)?;
    if !FileType::from_raw_mode(found.st_mode).is_symlink() {
        return Err(Errno::NOTDIR.into());
    }
    if found.st_uid != 0 && found.st_uid != geteuid().as_raw() {
        return Err(io::Error::other("it is a link that another user has made; remove it, or name the folder itself"));
    }
    let target: OsString = OsString::from_vec(readlinkat(&link, "", Vec::new())?.into_bytes());
    let target = path.parent().unwrap_or(Path::new("")).join(target);
    Ok(openat(CWD, &target, flags | OFlags::NOFOLLOW, Mode::empty())?)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs::{self, Permissions};
    use std::os::unix::fs::{PermissionsExt, chown, symlink};

    fn refusal(result: Result<Folder, BindError>) -> String {
        result.expect_err("a refusal").to_string()
    }

    #[test]
    fn a_folder_that_others_may_write_to_is_refused_with_the_fix() {
        let top = tempfile::tempdir().unwrap();
        let socket = top.path().join("socket");
        assert!(Folder::of(&socket, None).is_ok());
        for mode in [0o777, 0o1777, 0o757] {
            fs::set_permissions(top.path(), Permissions::from_mode(mode)).unwrap();
            let text = refusal(Folder::of(&socket, None));
            assert!(text.contains("every user may write to") && text.contains("chmod go-w"), "{text}");
        }
        if geteuid().is_root() {
            fs::set_permissions(top.path(), Permissions::from_mode(0o755)).unwrap();
            chown(top.path(), Some(4_012_345), None).unwrap();
            let text = refusal(Folder::of(&socket, None));
            assert!(text.contains("belongs to the user 4012345") && text.contains("chown root"), "{text}");
            assert!(Folder::of(&socket, Some(4_012_345)).is_ok());
            fs::set_permissions(top.path(), Permissions::from_mode(0o775)).unwrap();
            chown(top.path(), Some(0), Some(4_012_346)).unwrap();
            assert!(refusal(Folder::of(&socket, None)).contains("every member of the group 4012346"));
        }
    }

    #[test]
    fn a_missing_folder_is_created_if_no_other_user_can_create_it() {
        let top = tempfile::tempdir().unwrap();
        let socket = top.path().join("own/socket");
        assert!(matches!(Folder::of(&socket, None), Err(BindError::NoFolder(_))));
        assert!(Folder::of_or_create(&socket, None).is_ok());
        let made = fs::metadata(top.path().join("own")).unwrap();
        assert_eq!(made.permissions().mode() & 0o777 & !0o022, 0o755 & !0o022);
        assert!(Folder::of_or_create(&top.path().join("a/b/socket"), None).is_err(), "one missing folder, not two");
        fs::set_permissions(top.path(), Permissions::from_mode(0o777)).unwrap();
        assert!(refusal(Folder::of_or_create(&top.path().join("other/socket"), None)).contains("every user may write"));
        assert!(!top.path().join("other").exists());
    }

    #[test]
    fn a_link_instead_of_the_folder_is_followed_if_it_is_ours() {
        let top = tempfile::tempdir().unwrap();
        let (link, target) = (top.path().join("link"), top.path().join("target"));
        fs::create_dir(&target).unwrap();
        symlink("target", &link).unwrap();
        assert!(Folder::of(&link.join("socket"), None).is_ok());
        if geteuid().is_root() {
            std::os::unix::fs::lchown(&link, Some(4_012_345), None).unwrap();
            assert!(refusal(Folder::of(&link.join("socket"), None)).contains("a link that another user has made"));
        }
        fs::write(top.path().join("file"), "").unwrap();
        assert!(Folder::of(&top.path().join("file/socket"), None).is_err());
    }
}
