//! Who has connected, and what they may ask.
//!
//! The kernel says who a peer was when it connected: unix(7), `SO_PEERCRED`, and `SO_PEERGROUPS` for its supplementary
//! groups.

use crate::process::identity::{IdentityError, group_id, user_id};
use mailauth_core::config::CourierConfig;
use mailauth_core::credentials::peer_credentials;
use rustix::fd::{AsRawFd, BorrowedFd};
use std::io;

/// What stands on a list for all who may connect.
const ALL: &str = "*";

/// Who may connect, and who of these may do more than log in.
#[derive(Debug)]
pub(crate) struct Access {
    users: Vec<u32>,
    groups: Vec<u32>,
    enumerate: Option<Vec<u32>>,
    passwd: Option<Vec<u32>>,
    clear: Vec<u32>,
    /// This process's own user.
    own: u32,
}

/// What a peer may ask beside look-ups and logins.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Rights {
    pub enumerate: bool,
    pub passwd: bool,
    /// It is sent clear passwords, where one is stored.
    pub clear: bool,
    /// It may tell us that accounts were changed, and ask how we are.
    pub manage: bool,
}

/// A peer that may not connect.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Refused {
    pub uid: u32,
    pub gid: u32,
}

impl Access {
    /// The lists of the configuration, for a socket whose group `socket_group` may connect. Root and this process's own user
    /// are on each of them but that of who is sent clear passwords.
    ///
    /// # Errors
    /// When a name is none.
    pub fn new(config: &CourierConfig, socket_group: Option<u32>) -> Result<Self, IdentityError> {
        let own = rustix::process::geteuid().as_raw();
        let users = |key, names: &[String]| {
            let named = names.iter().map(|name| user_id(key, name));
            [Ok(0), Ok(own)].into_iter().chain(named).collect::<Result<Vec<_>, _>>()
        };
        let narrower = |key, names: &[String]| {
            if names.iter().any(|name| name == ALL) { Ok(None) } else { users(key, names).map(Some) }
        };
        let named = config.allow_groups.iter().map(|name| group_id("[courier] allow_groups", name));
        Ok(Access {
            users: users("[courier] allow_users", &config.allow_users)?,
            groups: socket_group.into_iter().map(Ok).chain(named).collect::<Result<_, _>>()?,
            enumerate: narrower("[courier] enumerate_users", &config.enumerate_users)?,
            passwd: narrower("[courier] passwd_users", &config.passwd_users)?,
            // Nobody is on this list who is not named.
            clear: config
                .clear_users
                .iter()
                .map(|name| user_id("[courier] clear_users", name))
                .collect::<Result<_, _>>()?,
            own,
        })
    }

    /// The user at the other end of `socket`, and what it may do.
    ///
    /// # Errors
    /// When the kernel does not say who it is.
    pub fn judge(&self, socket: BorrowedFd<'_>) -> io::Result<Result<(u32, Rights), Refused>> {
        let peer = peer_credentials(socket)?;
        let judged = self.judge_peer(peer.uid, peer.gid, || peer_groups(socket))?;
        Ok(judged.map(|rights| (peer.uid, rights)))
    }

    fn judge_peer(
        &self,
        uid: u32,
        gid: u32,
        supplementary: impl FnOnce() -> io::Result<Vec<u32>>,
    ) -> io::Result<Result<Rights, Refused>> {
        let welcome = self.users.contains(&uid)
            || self.groups.contains(&gid)
            || !self.groups.is_empty() && supplementary()?.iter().any(|group| self.groups.contains(group));
        if !welcome {
            return Ok(Err(Refused { uid, gid }));
        }
        let may = |list: &Option<Vec<u32>>| list.as_ref().is_none_or(|users| users.contains(&uid));
        let clear = self.clear.contains(&uid);
        let manage = uid == 0 || uid == self.own;
        Ok(Ok(Rights { enumerate: may(&self.enumerate), passwd: may(&self.passwd), clear, manage }))
    }
}

fn peer_groups(socket: BorrowedFd<'_>) -> io::Result<Vec<u32>> {
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
        // Too short: the kernel has said how much it needs. NGROUPS_MAX is 65536.
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

    const STRANGER: u32 = 40_001;
    const GUEST: u32 = 40_002;

    fn access(change: impl FnOnce(&mut CourierConfig)) -> Access {
        let mut config = CourierConfig::default();
        change(&mut config);
        Access::new(&config, Some(700)).unwrap()
    }

    fn judge(access: &Access, uid: u32, gid: u32, more: &[u32]) -> Result<Rights, Refused> {
        access.judge_peer(uid, gid, || Ok(more.to_vec())).unwrap()
    }

    #[test]
    fn root_and_this_user_and_the_sockets_group_may_connect_and_nobody_else() {
        let access = access(|_| ());
        let all = Rights { enumerate: true, passwd: true, clear: false, manage: true };
        assert_eq!(judge(&access, 0, 0, &[]), Ok(all));
        assert_eq!(judge(&access, rustix::process::geteuid().as_raw(), 1, &[]), Ok(all));
        let member = Rights { enumerate: false, passwd: false, clear: false, manage: false };
        assert_eq!(judge(&access, STRANGER, 700, &[]), Ok(member));
        assert_eq!(judge(&access, STRANGER, 1, &[5, 700]), Ok(member));
        assert_eq!(judge(&access, STRANGER, 1, &[5]), Err(Refused { uid: STRANGER, gid: 1 }));
    }

    #[test]
    fn the_lists_add_users_and_groups() {
        let access = access(|config| {
            config.allow_users = vec![GUEST.to_string()];
            config.allow_groups = vec!["800".into()];
        });
        assert!(judge(&access, GUEST, 1, &[]).is_ok());
        assert!(judge(&access, STRANGER, 800, &[]).is_ok());
        assert!(judge(&access, STRANGER, 1, &[]).is_err());
    }

    #[test]
    fn what_is_more_than_logging_in_can_be_for_fewer() {
        let access = access(|config| {
            config.allow_groups = vec!["800".into()];
            config.enumerate_users = vec![GUEST.to_string()];
            config.passwd_users = vec!["root".into()];
            config.clear_users = vec![STRANGER.to_string()];
        });
        let rights = |enumerate, passwd, clear| Ok(Rights { enumerate, passwd, clear, manage: false });
        assert_eq!(judge(&access, GUEST, 800, &[]), rights(true, false, false));
        assert_eq!(judge(&access, STRANGER, 800, &[]), rights(false, false, true));
        assert_eq!(
            judge(&access, 0, 0, &[]).map(|root| (root.enumerate, root.passwd, root.clear)),
            Ok((true, true, false))
        );
    }

    #[test]
    fn a_star_is_for_all_who_may_connect() {
        let access = access(|config| {
            config.enumerate_users = vec!["*".into()];
            config.passwd_users = vec![GUEST.to_string(), "*".into()];
        });
        let member = judge(&access, STRANGER, 700, &[]).unwrap();
        assert!(member.enumerate && member.passwd && !member.manage);
        assert!(judge(&access, STRANGER, 1, &[]).is_err());
    }

    #[test]
    fn the_kernel_says_who_the_peer_is() {
        let (socket, _peer) = UnixStream::pair().unwrap();
        assert_eq!(peer_credentials(socket.as_fd()).unwrap().uid, rustix::process::geteuid().as_raw());
        assert!(peer_groups(socket.as_fd()).is_ok());
        assert!(access(|_| ()).judge(socket.as_fd()).unwrap().is_ok());
    }
}
