//! The users that may connect, and their rights.
//!
//! The kernel reports the user of the peer at the time when it connected: unix(7), `SO_PEERCRED`, and `SO_PEERGROUPS`
//! for the supplementary groups.

use crate::process::identity::{IdentityError, group_id, user_id};
use mailauth_core::config::CourierConfig;
use mailauth_core::credentials::peer_credentials;
use rustix::fd::{AsRawFd, BorrowedFd};
use std::io;

/// Entry of a list that means all users that may connect.
const ALL: &str = "*";

/// The users that may connect, and those of them that may do more than log in. `None` means all that may connect.
#[derive(Debug)]
pub(crate) struct Access {
    users: Vec<u32>,
    groups: Vec<u32>,
    enumerate: Option<Vec<u32>>,
    passwd: Option<Vec<u32>>,
    clear: Vec<u32>,
    /// User of this process.
    own: u32,
}

/// Rights of a peer in addition to look-ups and logins.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct PeerRights {
    /// May list accounts.
    pub enumerate: bool,
    /// May change passwords.
    pub passwd: bool,
    /// Receives clear passwords, if they are stored.
    pub clear: bool,
    /// May report changes of accounts, and ask for the state of the daemon.
    pub manage: bool,
}

/// A peer that may not connect.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Refused {
    pub uid: u32,
    pub gid: u32,
}

impl Access {
    /// Reads the lists of the configuration, for a socket to which the group `socket_group` may connect. Root and this
    /// process's own user are on each list except that of the users that receive clear passwords.
    ///
    /// # Errors
    /// Fails if a user or group does not exist.
    pub fn new(config: &CourierConfig, socket_group: Option<u32>) -> Result<Self, IdentityError> {
        let own = rustix::process::geteuid().as_raw();
        let users = |key, names: &[String]| {
            let named = names.iter().map(|name| user_id(key, name));
            [Ok(0), Ok(own)].into_iter().chain(named).collect::<Result<Vec<_>, _>>()
        };
        let users_or_all = |key, names: &[String]| {
            if names.iter().any(|name| name == ALL) { Ok(None) } else { users(key, names).map(Some) }
        };
        let named = config.allow_groups.iter().map(|name| group_id("[courier] allow_groups", name));
        Ok(Access {
            users: users("[courier] allow_users", &config.allow_users)?,
            groups: socket_group.into_iter().map(Ok).chain(named).collect::<Result<_, _>>()?,
            enumerate: users_or_all("[courier] enumerate_users", &config.enumerate_users)?,
            passwd: users_or_all("[courier] passwd_users", &config.passwd_users)?,
            // Only users that are named are on this list.
            clear: config
                .clear_users
                .iter()
                .map(|name| user_id("[courier] clear_users", name))
                .collect::<Result<_, _>>()?,
            own,
        })
    }

    /// Returns the user at the other end of `socket`, and its rights.
    ///
    /// # Errors
    /// Fails if the kernel does not report the user.
    pub fn check(&self, socket: BorrowedFd<'_>) -> io::Result<Result<(u32, PeerRights), Refused>> {
        let peer = peer_credentials(socket)?;
        let checked = self.check_peer(peer.uid, peer.gid, || peer_groups(socket))?;
        Ok(checked.map(|rights| (peer.uid, rights)))
    }

    fn check_peer(
        &self,
        uid: u32,
        gid: u32,
        supplementary: impl FnOnce() -> io::Result<Vec<u32>>,
    ) -> io::Result<Result<PeerRights, Refused>> {
        if !is_among(&self.users, &self.groups, uid, gid, supplementary)? {
            return Ok(Err(Refused { uid, gid }));
        }
        let may = |list: &Option<Vec<u32>>| list.as_ref().is_none_or(|users| users.contains(&uid));
        let clear = self.clear.contains(&uid);
        let manage = uid == 0 || uid == self.own;
        Ok(Ok(PeerRights { enumerate: may(&self.enumerate), passwd: may(&self.passwd), clear, manage }))
    }
}

/// Returns true if a peer is one of `users`, or a member of one of `groups`.
///
/// # Errors
/// Fails if `supplementary` does.
pub(super) fn is_among(
    users: &[u32],
    groups: &[u32],
    uid: u32,
    gid: u32,
    supplementary: impl FnOnce() -> io::Result<Vec<u32>>,
) -> io::Result<bool> {
    Ok(users.contains(&uid)
        || groups.contains(&gid)
        || !groups.is_empty() && supplementary()?.iter().any(|group| groups.contains(group)))
}

/// Returns the supplementary groups of the peer.
///
/// # Errors
/// Fails if the kernel does not report them.
pub(super) fn peer_groups(socket: BorrowedFd<'_>) -> io::Result<Vec<u32>> {
    let mut groups = vec![0u32; 32];
    loop {
        let mut length = size_of_val(groups.as_slice()) as libc::socklen_t;
        // SAFETY: `groups` has `length` bytes, and any bytes are valid u32s.
        let status = unsafe {
            let (level, name) = (libc::SOL_SOCKET, libc::SO_PEERGROUPS);
            libc::getsockopt(socket.as_raw_fd(), level, name, groups.as_mut_ptr().cast(), &mut length)
        };
        let count = length as usize / size_of::<u32>();
        if status == 0 {
            groups.truncate(count);
            return Ok(groups);
        }
        let error = io::Error::last_os_error();
        // Too short: the kernel has returned the length that it needs. NGROUPS_MAX is 65536.
        if error.raw_os_error() != Some(libc::ERANGE) || count <= groups.len() || count > 1 << 16 {
            return Err(error);
        }
        groups.resize(count, 0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rustix::fd::AsFd;
    use std::os::unix::net::UnixStream;

    const OTHER: u32 = 40_001;
    const GUEST: u32 = 40_002;

    fn access(change: impl FnOnce(&mut CourierConfig)) -> Access {
        let mut config = CourierConfig::default();
        change(&mut config);
        Access::new(&config, Some(700)).unwrap()
    }

    fn check(access: &Access, uid: u32, gid: u32, more: &[u32]) -> Result<PeerRights, Refused> {
        access.check_peer(uid, gid, || Ok(more.to_vec())).unwrap()
    }

    #[test]
    fn only_root_the_own_user_and_the_sockets_group_may_connect() {
        let access = access(|_| ());
        let all = PeerRights { enumerate: true, passwd: true, clear: false, manage: true };
        assert_eq!(check(&access, 0, 0, &[]), Ok(all));
        assert_eq!(check(&access, rustix::process::geteuid().as_raw(), 1, &[]), Ok(all));
        let member = PeerRights { enumerate: false, passwd: false, clear: false, manage: false };
        assert_eq!(check(&access, OTHER, 700, &[]), Ok(member));
        assert_eq!(check(&access, OTHER, 1, &[5, 700]), Ok(member));
        assert_eq!(check(&access, OTHER, 1, &[5]), Err(Refused { uid: OTHER, gid: 1 }));
    }

    #[test]
    fn the_lists_add_users_and_groups() {
        let access = access(|config| {
            config.allow_users = vec![GUEST.to_string()];
            config.allow_groups = vec!["800".into()];
        });
        assert!(check(&access, GUEST, 1, &[]).is_ok());
        assert!(check(&access, OTHER, 800, &[]).is_ok());
        assert!(check(&access, OTHER, 1, &[]).is_err());
    }

    #[test]
    fn further_rights_can_be_limited_to_fewer_users() {
        let access = access(|config| {
            config.allow_groups = vec!["800".into()];
            config.enumerate_users = vec![GUEST.to_string()];
            config.passwd_users = vec!["root".into()];
            config.clear_users = vec![OTHER.to_string()];
        });
        let rights = |enumerate, passwd, clear| Ok(PeerRights { enumerate, passwd, clear, manage: false });
        assert_eq!(check(&access, GUEST, 800, &[]), rights(true, false, false));
        assert_eq!(check(&access, OTHER, 800, &[]), rights(false, false, true));
        assert_eq!(
            check(&access, 0, 0, &[]).map(|root| (root.enumerate, root.passwd, root.clear)),
            Ok((true, true, false))
        );
    }

    #[test]
    fn a_star_means_all_users_that_may_connect() {
        let access = access(|config| {
            config.enumerate_users = vec!["*".into()];
            config.passwd_users = vec![GUEST.to_string(), "*".into()];
        });
        let member = check(&access, OTHER, 700, &[]).unwrap();
        assert!(member.enumerate && member.passwd && !member.manage);
        assert!(check(&access, OTHER, 1, &[]).is_err());
    }

    #[test]
    fn the_kernel_reports_the_user_of_the_peer() {
        let (socket, _peer) = UnixStream::pair().unwrap();
        assert_eq!(peer_credentials(socket.as_fd()).unwrap().uid, rustix::process::geteuid().as_raw());
        assert!(peer_groups(socket.as_fd()).is_ok());
        assert!(access(|_| ()).check(socket.as_fd()).unwrap().is_ok());
    }
}
