//! What the root part refuses whatever the daemon asks.

use crate::frame::Question;
use std::path::{Path, PathBuf};

/// The floors under what a question may name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Floors {
    /// The least user id, and one that is permitted beside those.
    pub uid: (u32, Option<u32>),
    /// The same for groups.
    pub gid: (u32, Option<u32>),
    /// The folder below which all homes and Maildirs are.
    pub root: PathBuf,
}

/// Why nothing is done for a question.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refused {
    /// Root, or a user of the system.
    #[error("user {0} is none of those that may own a mailbox; see [mailbox] min_uid")]
    User(u32),
    /// Root's group, or one of the system.
    #[error("group {0} is none of those that a mailbox may have; see [mailbox] min_gid")]
    Group(u32),
    /// A path elsewhere.
    #[error("{} is not below {}; see [mailbox] root", .path.display(), .root.display())]
    Path {
        /// The path.
        path: PathBuf,
        /// Where it should be.
        root: PathBuf,
    },
}

impl Default for Floors {
    fn default() -> Self {
        Floors { uid: (1, None), gid: (1, None), root: "/".into() }
    }
}

impl Floors {
    /// Looks at what a question names.
    ///
    /// # Errors
    /// When it is below a floor.
    pub fn permit(&self, question: &Question) -> Result<(), Refused> {
        if !permits(question.uid, self.uid) {
            return Err(Refused::User(question.uid));
        }
        if !permits(question.gid, self.gid) {
            return Err(Refused::Group(question.gid));
        }
        let paths = [&question.home, &question.path].into_iter().filter(|path| !path.as_os_str().is_empty());
        let outside = |path: &Path| !path.starts_with(&self.root) || path == self.root;
        match paths.into_iter().find(|path| outside(path)) {
            Some(path) => Err(Refused::Path { path: path.clone(), root: self.root.clone() }),
            None => Ok(()),
        }
    }
}

/// The largest number means "no change" to the system.
fn permits(id: u32, (least, beside): (u32, Option<u32>)) -> bool {
    id != 0 && id != u32::MAX && (id >= least || beside == Some(id))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::frame::Operation;
    use mailauth_core::quota::{Limits, Rules};

    fn asked(uid: u32, gid: u32, path: &str) -> Question {
        let (limits, rules) = (Limits::NONE, Rules::default());
        let (operation, home, path) = (Operation::Renew, PathBuf::new(), path.into());
        Question { operation, uid, gid, lock: 0, answer: 0, asks_again: true, limits, rules, home, path }
    }

    #[test]
    fn nothing_below_a_floor_is_permitted() {
        let floors = Floors { uid: (1000, Some(8)), gid: (1000, Some(8)), root: "/var/mail".into() };
        let said = |uid, gid, path| floors.permit(&asked(uid, gid, path));
        assert_eq!(said(1000, 1000, "/var/mail/a/Maildir"), Ok(()));
        assert_eq!(said(8, 8, "/var/mail/a/Maildir"), Ok(()));
        for uid in [0, 33, 999, u32::MAX] {
            assert_eq!(said(uid, 1000, "/var/mail/a"), Err(Refused::User(uid)));
            assert_eq!(said(1000, uid, "/var/mail/a"), Err(Refused::Group(uid)));
        }
        for path in ["/var/mail", "/var/mailbox", "/etc/cron.d", "/"] {
            assert!(matches!(said(1000, 1000, path), Err(Refused::Path { .. })), "{path}");
        }
        assert_eq!(Floors::default().permit(&asked(0, 5, "/a")), Err(Refused::User(0)), "whatever is configured");
    }
}
