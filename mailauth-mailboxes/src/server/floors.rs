//! What the root part refuses regardless of the daemon: the same as all other programs, by the same function.

use crate::frame::Question;
use mailauth_core::mailbox::{MailboxDefaults, Refused};

/// The limits of what a question may name, from the section `[mailbox]`. Root never owns a mailbox here, whatever the
/// configuration says.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Floors(pub MailboxDefaults);

impl Floors {
    /// Checks the owner and the paths of a question.
    ///
    /// # Errors
    /// Fails if they are not permitted.
    pub fn permit(&self, question: &Question) -> Result<(), Refused> {
        let refused = |column, problem: &'static str| Refused { column, problem: problem.into() };
        for (column, id) in [("uid", question.uid), ("gid", question.gid)] {
            // The largest number means "no change" to the system.
            if id == 0 || id == u32::MAX {
                return Err(refused(column, "is one that no mailbox can have"));
            }
        }
        self.0.permit_uid(question.uid)?;
        self.0.permit_gid(question.gid)?;
        let maildir = question.path.to_str().ok_or_else(|| refused("maildir", "is not UTF-8"))?;
        self.0.permit_maildir(maildir)?;
        match question.home.to_str() {
            Some("") => Ok(()),
            Some(home) => self.0.permit_home(home),
            None => Err(refused("home", "is not UTF-8")),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::frame::Operation;
    use mailauth_core::quota::{CountRules, Limits};
    use std::path::PathBuf;

    fn asked(uid: u32, gid: u32, path: &str) -> Question {
        let (limits, rules) = (Limits::NONE, CountRules::default());
        let (operation, home, path) = (Operation::Renew, PathBuf::new(), path.into());
        Question { operation, uid, gid, lock: 0, answer: 0, asks_again: false, limits, rules, home, path }
    }

    #[test]
    fn nothing_below_a_floor_is_permitted() {
        let section = MailboxDefaults { uid: Some(8), gid: Some(8), min_uid: Some(1000), ..MailboxDefaults::default() };
        let floors = Floors(MailboxDefaults { min_gid: Some(1000), allow_root: true, ..section });
        let said = |uid, gid, path| floors.permit(&asked(uid, gid, path)).map_err(|refused| refused.column);
        assert_eq!(said(1000, 1000, "/var/mail/a/Maildir"), Ok(()));
        assert_eq!(said(8, 8, "/var/mail/a/Maildir"), Ok(()));
        for id in [0, 33, 999, u32::MAX] {
            assert_eq!(said(id, 1000, "/var/mail/a"), Err("uid"), "{id}");
            assert_eq!(said(1000, id, "/var/mail/a"), Err("gid"), "{id}");
        }
        for path in ["/var/mail", "/var/mailbox", "/etc/cron.d", "/"] {
            assert_eq!(said(1000, 1000, path), Err("maildir"), "{path}");
        }
        let home = Question { home: "/etc".into(), ..asked(1000, 1000, "/var/mail/a/Maildir") };
        assert_eq!(floors.permit(&home).map_err(|refused| refused.column), Err("home"));
    }
}
