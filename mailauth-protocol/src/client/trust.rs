//! Which server may be asked: one of root's, of this program's own user, or of the user that the configuration names.
//!
//! A folder on the way to the socket may be others' to write to: who is in group `courier` can rename what is in Debian's
//! `/run/courier`, and listen there. It would be sent passwords, and could name any user as the owner of a mailbox.

use mailauth_core::credentials::peer_credentials;
use mailauth_core::{names, system_ids};
use rustix::fd::{AsFd, OwnedFd};
use rustix::io::Errno;
use rustix::process::geteuid;

/// Who may listen on the socket, beside root and this program's own user.
#[derive(Clone, Debug, Default)]
pub(super) struct Trust {
    /// A name or number.
    pub user: Option<String>,
}

/// The user on whose socket nothing is asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Stranger(pub u32);

impl Trust {
    /// Looks who listens on the socket at the other end of this connection. A system that does not say who it is counts as
    /// an error of the connection.
    pub fn judge(&self, connection: &OwnedFd) -> Result<Result<(), Stranger>, Errno> {
        let peer = peer_credentials(connection.as_fd());
        let peer = peer.map_err(|error| Errno::from_io_error(&error).unwrap_or(Errno::IO))?;
        Ok(if self.includes(peer.uid, geteuid().as_raw()) { Ok(()) } else { Err(Stranger(peer.uid)) })
    }

    fn includes(&self, uid: u32, own: u32) -> bool {
        // The list of users is at hand; the system may have to load modules, and to ask a directory.
        let is_user = |user: &str| names::user(uid) == user || system_ids::of_user(user) == Some(uid);
        uid == 0 || uid == own || self.user.as_deref().is_some_and(is_user)
    }

    /// The sentence about a stranger that listens on the socket `shown`.
    pub fn explain(&self, stranger: Stranger, shown: impl std::fmt::Display) -> String {
        let uid = stranger.0;
        let named = self.user.as_deref().map_or_else(String::new, |user| format!(" ({user})"));
        format!(
            "what listens on {shown} is not asked, and counts as no daemon: it belongs to the user {} (uid {uid}), and not to \
             root, the user {}, or that of [client] server_user{named}; see which process it is and who may write to the \
             folders above it ('mailauth check'), or if it is the daemon, name its user in [client] server_user",
            names::user(uid),
            names::own()
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn root_oneself_and_the_named_user_are_trusted_and_nobody_else() {
        let of = |user: &str| Trust { user: Some(user.to_owned()) };
        let daemon = system_ids::user("daemon").unwrap().unwrap().uid;
        assert!(Trust::default().includes(0, 4711) && Trust::default().includes(4711, 4711));
        assert!(!Trust::default().includes(daemon, 4711));
        assert!(of("daemon").includes(daemon, 4711) && of(&daemon.to_string()).includes(daemon, 4711));
        assert!(!of("daemon").includes(4712, 4711) && !of("no-such-user").includes(4712, 4711));
    }

    #[test]
    fn a_stranger_is_named_with_the_key_that_would_permit_it() {
        let said = Trust { user: Some("mailauth".into()) }.explain(Stranger(4_012_345), "/run/s");
        for part in ["/run/s", "the user 4012345 (uid 4012345)", "[client] server_user (mailauth)", "mailauth check"] {
            assert!(said.contains(part), "{part}: {said}");
        }
    }
}
