//! The extensions of Dovecot 2.3 (passdb and userdb checkpassword).
//!
//! Dovecot's reply program is the next program, and must run with the same user as this one: it sends Dovecot the
//! environment variables that EXTRA names, including the ids of the mailbox's owner, and Dovecot drops the privileges.
//! For a look-up, AUTHORIZED is 1 when this program is called and 2 when the reply program is run.

use crate::caller::Task;
use crate::environment::{self, Changes};
use mailauth_core::Account;
use mailauth_core::password::{HashRules, Stored};
use mailauth_core::quota::Limits;
use std::ffi::OsString;
use std::fmt::Write as _;

/// Returns the environment of the reply program; `None` if Dovecot asked for a password that is not stored in clear.
pub fn environment(account: &Account, task: Task, rules: &HashRules) -> Option<Changes> {
    let mut told = vec![("userdb_uid", account.uid.to_string()), ("userdb_gid", account.gid.to_string())];
    if account.quota != Limits::NONE {
        told.push(("userdb_quota_rule", quota_rule(account.quota)));
    }
    if let Some(mailbox) = environment::mailbox(account) {
        told.push(("userdb_mail", location(&mailbox.to_string_lossy())));
    }
    if task == Task::DovecotCredentials {
        let stored = Stored::parse(account.password.0.expose(), rules).ok()?;
        let clear = String::from_utf8(stored.clear()?.to_vec()).ok()?;
        told.push(("password", format!("{{PLAIN}}{clear}")));
    }
    let names: Vec<_> = told.iter().map(|(name, _)| *name).collect();
    let mut changes: Changes = environment::of(account);
    changes.push(("EXTRA", Some(names.join(" ").into())));
    if task != Task::DovecotLogIn {
        changes.push(("AUTHORIZED", Some("2".into())));
    }
    changes.extend(told.into_iter().map(|(name, value)| (name, Some(OsString::from(value)))));
    Some(changes)
}

/// Returns the quota in the syntax of Dovecot's quota plugin.
fn quota_rule(quota: Limits) -> String {
    let mut rule = "*".to_owned();
    for (name, limit) in [("bytes", quota.bytes), ("messages", quota.messages)] {
        if let Some(limit) = limit {
            // Writing to a String cannot fail.
            let _ = write!(rule, ":{name}={limit}");
        }
    }
    rule
}

/// Returns a Maildir in the syntax of Dovecot's `mail_location`, in which a colon begins an option and a percent sign a
/// variable.
fn location(path: &str) -> String {
    format!("maildir:{}", path.replace('%', "%%").replace(':', "::"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_quota_is_a_rule() {
        let rule = |text| quota_rule(Limits::parse(text).unwrap());
        assert_eq!(rule("1000S,10C"), "*:bytes=1000:messages=10");
        assert_eq!(rule("10C"), "*:messages=10");
    }

    #[test]
    fn a_path_cannot_add_options_to_a_location() {
        assert_eq!(location("/mail/a:LAYOUT=fs/%u"), "maildir:/mail/a::LAYOUT=fs/%%u");
    }
}
