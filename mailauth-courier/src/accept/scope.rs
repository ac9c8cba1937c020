//! The accounts that a client of a kept socket may look up, as in Dovecot.
//!
//! If only the owner and the group of a socket may connect to it, its mode decides everything. If all users may, root, this
//! process's user, the owner and the members of the group may look up all accounts, and other users those with their own
//! uid. In Dovecot that holds for its sockets of mode 0666, such as `auth-userdb`.

use super::access::{is_among, peer_groups};
use mailauth_core::credentials::peer_credentials;
use mailauth_dovecot::Scope;
use rustix::process::{getegid, geteuid};
use std::fs;
use std::io;
use std::os::fd::BorrowedFd;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

/// Permission of other users to connect.
const OTHERS_CONNECT: u32 = 0o002;

/// The file of a socket, and the rights to it that the configuration names.
#[derive(Clone, Debug)]
pub(super) struct SocketFile {
    pub path: PathBuf,
    pub mode: u32,
    pub owner: Option<u32>,
    pub group: Option<u32>,
}

impl SocketFile {
    /// Returns the accounts that the user at the other end of `client` may look up.
    ///
    /// The file is looked at for each client, because its mode can be changed while the daemon runs. If this process's
    /// user cannot look into the folder, the configuration counts.
    ///
    /// # Errors
    /// Fails if the kernel does not report the user.
    pub fn scope_of(&self, client: BorrowedFd<'_>) -> io::Result<Scope> {
        let rights = FileRights::of(&self.path).unwrap_or_else(|| self.configured());
        if rights.mode & OTHERS_CONNECT == 0 {
            return Ok(Scope::All);
        }
        let peer = peer_credentials(client)?;
        rights.scope_of_user(peer.uid, peer.gid, || peer_groups(client))
    }

    fn configured(&self) -> FileRights {
        FileRights {
            mode: self.mode,
            owner: self.owner.unwrap_or_else(|| geteuid().as_raw()),
            group: self.group.unwrap_or_else(|| getegid().as_raw()),
        }
    }
}

/// The mode, the owner and the group of a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct FileRights {
    mode: u32,
    owner: u32,
    group: u32,
}

impl FileRights {
    fn of(path: &Path) -> Option<Self> {
        let file = fs::metadata(path).ok()?;
        Some(FileRights { mode: file.mode(), owner: file.uid(), group: file.gid() })
    }

    fn scope_of_user(
        self,
        uid: u32,
        gid: u32,
        supplementary: impl FnOnce() -> io::Result<Vec<u32>>,
    ) -> io::Result<Scope> {
        let users = [0, geteuid().as_raw(), self.owner];
        let all = is_among(&users, &[self.group], uid, gid, supplementary)?;
        Ok(if all { Scope::All } else { Scope::OfUser(uid) })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs::Permissions;
    use std::os::unix::fs::PermissionsExt;

    #[test]
    fn a_user_without_rights_of_its_own_sees_the_accounts_with_its_uid() {
        let rights = FileRights { mode: 0o140_666, owner: 100, group: 200 };
        let none = || Ok(vec![7, 8]);
        for (uid, gid, expected) in [
            (0, 0, Scope::All),
            (100, 1, Scope::All),
            (geteuid().as_raw(), 1, Scope::All),
            (1000, 200, Scope::All),
            (1000, 1000, Scope::OfUser(1000)),
            (200, 100, Scope::OfUser(200)),
        ] {
            assert_eq!(rights.scope_of_user(uid, gid, none).unwrap(), expected, "{uid} {gid}");
        }
        assert_eq!(rights.scope_of_user(1000, 1000, || Ok(vec![7, 200])).unwrap(), Scope::All);
        assert!(rights.scope_of_user(1000, 1000, || Err(io::Error::other("unknown"))).is_err());
    }

    #[test]
    fn the_file_counts_if_it_can_be_seen() {
        let folder = tempfile::tempdir().unwrap();
        fs::set_permissions(folder.path(), Permissions::from_mode(0o702)).unwrap();
        let found = FileRights::of(folder.path()).unwrap();
        assert_eq!((found.mode & 0o777, found.owner), (0o702, geteuid().as_raw()));
        let unseen = SocketFile { path: folder.path().join("none"), mode: 0o666, owner: Some(4), group: Some(5) };
        assert_eq!(FileRights::of(&unseen.path), None);
        assert_eq!(unseen.configured(), FileRights { mode: 0o666, owner: 4, group: 5 });
    }
}
