//! The environment of the next program: the variables that the programs used behind checkpassword read.

use mailauth_core::Account;
use mailauth_core::quota::Limits;
use std::ffi::OsString;
use std::path::{Path, PathBuf};

/// Changes to the environment: each a value, or the removal of a variable that the caller may have set.
pub type Changes = Vec<(&'static str, Option<OsString>)>;

/// Value of SHELL. Mailboxes are not system accounts and have no shell of their own.
const SHELL: &str = "/bin/sh";

/// Returns the account's own mail directory, if it has one.
pub fn mailbox(account: &Account) -> Option<PathBuf> {
    account.maildir.as_ref().map(|maildir| Path::new(&account.home).join(maildir))
}

/// Returns the environment for a program that reads the account's mail.
///
/// USER, HOME and SHELL are required by the contract. AUTHENTICATED (without which courier-imapd exits) and AUTHADDR are
/// Courier's names of the login, and it also reads OPTIONS and MAILDIRQUOTA. The mail directory is MAILDIR for Courier,
/// MAILBOX for pop3front-maildir, and MAIL for others.
pub fn of(account: &Account) -> Changes {
    let login = || Some(account.login.as_str().into());
    let text = |text: &str| Some(text).filter(|text| !text.is_empty()).map(OsString::from);
    let quota = Some(account.quota).filter(|quota| *quota != Limits::NONE);
    let mailbox = mailbox(account).map(PathBuf::into_os_string);
    vec![
        ("USER", login()),
        ("HOME", text(&account.home)),
        ("SHELL", text(SHELL)),
        ("AUTHENTICATED", login()),
        ("AUTHADDR", login()),
        ("OPTIONS", text(&account.options)),
        ("MAILDIRQUOTA", quota.map(|quota| quota.to_string().into())),
        ("MAILDIR", mailbox.clone()),
        ("MAIL", mailbox.clone()),
        ("MAILBOX", mailbox),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;
    use mailauth_core::Login;
    use mailauth_core::account::Password;

    fn account(maildir: Option<&str>, quota: &str) -> Account {
        Account {
            login: Login::parse(b"anna@example.org", None).unwrap(),
            uid: 5000,
            gid: 5000,
            home: "/var/mail/anna".into(),
            maildir: maildir.map(str::to_owned),
            quota: Limits::parse(quota).unwrap(),
            name: "Anna".into(),
            options: String::new(),
            password: Password::default(),
        }
    }

    fn value(changes: &Changes, name: &str) -> Option<String> {
        let (_, value) = changes.iter().find(|(found, _)| *found == name).expect(name);
        value.as_ref().map(|value| value.to_str().unwrap().to_owned())
    }

    #[test]
    fn values_of_the_account_are_set() {
        let changes = of(&account(Some("Maildir"), "1000S"));
        for (name, expected) in [
            ("USER", "anna@example.org"),
            ("HOME", "/var/mail/anna"),
            ("AUTHENTICATED", "anna@example.org"),
            ("MAILDIRQUOTA", "1000S"),
            ("MAILDIR", "/var/mail/anna/Maildir"),
            ("MAILBOX", "/var/mail/anna/Maildir"),
        ] {
            assert_eq!(value(&changes, name).as_deref(), Some(expected), "{name}");
        }
    }

    #[test]
    fn variables_without_a_value_are_removed() {
        let changes = of(&account(None, ""));
        for name in ["OPTIONS", "MAILDIRQUOTA", "MAILDIR", "MAIL", "MAILBOX"] {
            assert_eq!(value(&changes, name), None, "{name}");
        }
        let elsewhere = of(&account(Some("/srv/anna"), ""));
        assert_eq!(value(&elsewhere, "MAILDIR").as_deref(), Some("/srv/anna"));
    }
}
