//! Checks whether the account in a daemon's answer may be used. A program that runs as root takes on the user and the
//! home that the answer names.

use crate::reply::account_values;
use mailauth_core::account::Account;
use mailauth_core::mailbox::{MailboxDefaults, Refused};
use std::borrow::Cow;

/// Checks the account of a record.
pub(super) fn account(permits: Option<&MailboxDefaults>, account: &Account) -> Result<(), Refused> {
    match permits {
        Some(permits) => permits.permit(account),
        None => not_root(account.uid, account.gid),
    }
}

/// Checks the account in the text of [`Question::Account`](crate::Question).
pub(super) fn account_text(permits: Option<&MailboxDefaults>, text: &str) -> Result<(), Refused> {
    let values = account_values(text).ok_or_else(|| refused("text", "cannot be read"))?;
    let value = |name: &'static str| {
        let mut found = values.iter().filter(|(other, _)| other.eq_ignore_ascii_case(name)).map(|(_, value)| &**value);
        match (found.next(), found.next()) {
            (Some(value), None) => Ok(value),
            (None, _) => Err(refused(name, "is missing")),
            (Some(_), Some(_)) => Err(refused(name, "is given twice")),
        }
    };
    let id = |name| value(name)?.parse::<u32>().map_err(|_| refused(name, "is not a number"));
    let (uid, gid, home, maildir) = (id("uid")?, id("gid")?, value("home")?, value("maildir")?);
    let Some(permits) = permits else { return not_root(uid, gid) };
    permits.permit_uid(uid)?;
    permits.permit_gid(gid)?;
    permits.permit_home(home)?;
    permits.permit_maildir(maildir)
}

fn not_root(uid: u32, gid: u32) -> Result<(), Refused> {
    let settings = MailboxDefaults { min_uid: Some(1), min_gid: Some(1), ..MailboxDefaults::default() };
    settings.permit_uid(uid)?;
    settings.permit_gid(gid)
}

fn refused(column: &'static str, problem: &'static str) -> Refused {
    Refused { column, problem: Cow::Borrowed(problem) }
}

#[cfg(test)]
mod tests {
    use super::*;

    const GOOD: &str =
        r#"login="a@x" uid="5000" gid="5000" home="/var/mail/a" maildir="/var/mail/a/Maildir" name="A \"B\" \\""#;

    fn check(text: &str) -> String {
        account_text(Some(&MailboxDefaults::default()), text)
            .map_or_else(|refused| refused.to_string(), |()| "ok".into())
    }

    #[test]
    fn an_account_that_the_settings_do_not_permit_is_refused() {
        assert_eq!(check(GOOD), "ok");
        for (from, to, problem) in [
            (r#"uid="5000""#, r#"uid="0""#, "uid is 0"),
            (r#"uid="5000""#, r#"uid="33""#, "uid is 33"),
            (r#"gid="5000""#, r#"gid="42""#, "gid is 42"),
            ("/var/mail/a\"", "/etc/cron.d\"", "home is /etc/cron.d"),
            ("/var/mail/a/Maildir", "/var/mail/a/../../../etc", "maildir is /var"),
        ] {
            assert!(check(&GOOD.replacen(from, to, 1)).starts_with(problem), "{to}");
        }
        assert!(account_text(None, &GOOD.replace("5000", "33")).is_ok());
        assert!(account_text(None, &GOOD.replacen("5000", "0", 1)).is_err());
    }

    #[test]
    fn a_text_that_exim_could_read_differently_is_refused() {
        for (text, problem) in [
            (format!(r#"{GOOD} uid="0""#), "uid is given twice"),
            (format!(r#"UID="0" {GOOD}"#), "text cannot be read"),
            (format!("uid=0 {GOOD}"), "text cannot be read"),
            (format!("{GOOD} "), "text cannot be read"),
            (GOOD.replace("home=", "home ="), "text cannot be read"),
            (GOOD.replace("/var/mail/a\"", "/var/mail/\\x2e\""), "text cannot be read"),
            (GOOD.replace(r#"gid="5000" "#, ""), "gid is missing"),
            (GOOD.replacen("5000", "-1", 1), "uid is not a number"),
            (GOOD.trim_end_matches('"').to_owned(), "text cannot be read"),
            (String::new(), "text cannot be read"),
        ] {
            assert_eq!(check(&text), problem, "{text}");
        }
    }
}
