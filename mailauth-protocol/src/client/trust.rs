//! The trusted users: only a daemon of root, of this program's own user, or of the user that the configuration names is
//! asked.
//!
//! Other users may be able to write to a folder on the way to the socket: members of group `courier` can rename entries
//! of Debian's `/run/courier` and listen there. Such a process would receive passwords, and could name any user as the
//! owner of a mailbox.

use mailauth_core::credentials::peer_credentials;
use mailauth_core::{names, system_ids};
use rustix::fd::{AsFd, OwnedFd};
use rustix::io::Errno;
use rustix::process::geteuid;

/// Users that may listen on the socket.
#[derive(Clone, Debug, Default)]
pub(super) struct Trust {
    /// User in addition to root and this program's own, by name or number.
    pub user: Option<String>,
    /// Number of that user, if it was looked up before.
    pub number: Option<u32>,
}

/// User ID of a process that listens on the socket and is not trusted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Untrusted(pub u32);

impl Trust {
    /// Checks the user of the process that listens at the other end of this connection. If the system does not report
    /// it, that counts as an error of the connection.
    pub fn judge(&self, connection: &OwnedFd) -> Result<Result<(), Untrusted>, Errno> {
        let peer = peer_credentials(connection.as_fd());
        let peer = peer.map_err(|error| Errno::from_io_error(&error).unwrap_or(Errno::IO))?;
        Ok(if self.includes(peer.uid, geteuid().as_raw()) { Ok(()) } else { Err(Untrusted(peer.uid)) })
    }

    fn includes(&self, uid: u32, own: u32) -> bool {
        // The user database files are cheap to read; a lookup by NSS may have to load modules and to ask a directory.
        let is_user = |user: &str| names::user(uid) == user || system_ids::of_user(user) == Some(uid);
        uid == 0 || uid == own || self.number == Some(uid) || self.user.as_deref().is_some_and(is_user)
    }

    /// Returns the sentence about an untrusted process that listens on the socket `shown`.
    pub fn explain(&self, untrusted: Untrusted, shown: impl std::fmt::Display) -> String {
        let uid = untrusted.0;
        let named = self.user.as_deref().map_or_else(String::new, |user| format!(" ({user})"));
        format!(
            "the process that listens on {shown} is not trusted and was not asked: it runs as the user {} (uid {uid}), not as \
             root, the user {}, or the user of [client] server_user{named}; find out which process it is and which users may \
             write to the folders above the socket ('mailauth check'), or if it is the daemon, name its user in [client] \
             server_user",
            names::user(uid),
            names::own()
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_root_the_own_user_and_the_named_user_are_trusted() {
        let of = |user: &str| Trust { user: Some(user.to_owned()), number: None };
        let daemon = system_ids::user("daemon").unwrap().unwrap().uid;
        assert!(Trust::default().includes(0, 4711) && Trust::default().includes(4711, 4711));
        assert!(!Trust::default().includes(daemon, 4711));
        assert!(of("daemon").includes(daemon, 4711) && of(&daemon.to_string()).includes(daemon, 4711));
        let known = Trust { user: Some("daemon".into()), number: Some(4712) };
        assert!(known.includes(4712, 4711) && known.includes(daemon, 4711) && !known.includes(4713, 4711));
        assert!(!of("daemon").includes(4712, 4711) && !of("no-such-user").includes(4712, 4711));
    }

    #[test]
    fn an_untrusted_user_is_named_with_the_key_that_would_permit_it() {
        let text = Trust { user: Some("mailauth".into()), number: None }.explain(Untrusted(4_012_345), "/run/s");
        for part in ["/run/s", "the user 4012345 (uid 4012345)", "[client] server_user (mailauth)", "mailauth check"] {
            assert!(text.contains(part), "{part}: {text}");
        }
    }
}
