//! What a row of another program's accounts means.

use crate::output::{ListRow, yes_no};
use mailauth_core::Services;
use mailauth_core::account::AccountRow;
use mailauth_core::config::Config;
use mailauth_core::mailbox::Unusable;
use mailauth_core::password::{Flaw, Stored};
use serde::Serialize;
use std::borrow::Cow;

/// Titles of the columns of a table of accounts.
pub const TITLES: [&str; 10] =
    ["LOGIN", "ENABLED", "SERVICES", "UID", "GID", "HOME", "MAILDIR", "QUOTA", "PASSWORD", "PROBLEM"];

/// An account as mailauth uses it, or why it cannot be used.
#[derive(Debug, Serialize)]
pub struct Meaning {
    pub login: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    enabled: Option<bool>,
    #[serde(skip_serializing_if = "Option::is_none")]
    domain_enabled: Option<bool>,
    #[serde(skip_serializing_if = "Option::is_none")]
    receives: Option<bool>,
    #[serde(skip_serializing_if = "Option::is_none")]
    services: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    uid: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    gid: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    home: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    maildir: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    quota: Option<String>,
    /// Scheme of the stored password; never the password.
    #[serde(skip_serializing_if = "Option::is_none")]
    password: Option<String>,
    /// Column and reason.
    pub problem: Option<String>,
}

impl Meaning {
    /// Returns what a row means.
    pub fn of(row: Result<AccountRow, Unusable>, config: &Config) -> Self {
        let row = match row {
            Ok(row) => row,
            Err(unusable) => return Self::unusable(unusable),
        };
        let (password, flaw) = scheme(&row, config);
        let meaning = Meaning {
            login: row.login.to_string(),
            enabled: Some(row.enabled),
            domain_enabled: Some(row.domain_enabled),
            receives: Some(row.receives),
            services: Some(services(&row)),
            uid: row.uid,
            gid: row.gid,
            home: row.home.clone(),
            maildir: row.maildir.clone(),
            quota: None,
            password: Some(password),
            problem: flaw,
        };
        match config.mailbox.resolve(row) {
            Ok(account) => Meaning {
                uid: Some(account.uid),
                gid: Some(account.gid),
                maildir: Some(account.maildir_path().display().to_string()),
                home: Some(account.home),
                quota: Some(account.quota.to_string()),
                ..meaning
            },
            Err(unusable) => Meaning { problem: Some(problem(&unusable)), ..meaning },
        }
    }

    fn unusable(unusable: Unusable) -> Self {
        let problem = Some(problem(&unusable));
        let (enabled, domain_enabled, receives, services, uid, gid) = Default::default();
        let (home, maildir, quota, password) = Default::default();
        Meaning {
            login: unusable.login,
            enabled,
            domain_enabled,
            receives,
            services,
            uid,
            gid,
            home,
            maildir,
            quota,
            password,
            problem,
        }
    }

    /// Returns the switches of the account in words.
    fn switches(&self) -> &'static str {
        match (self.enabled, self.domain_enabled, self.receives) {
            (Some(true), Some(true), Some(false)) => "no mail",
            (Some(true), Some(false), _) => "domain off",
            (Some(enabled), ..) => yes_no(enabled),
            (None, ..) => "",
        }
    }
}

fn services(row: &AccountRow) -> String {
    match &row.services {
        Services::All => "all".to_owned(),
        Services::Only(list) if list.is_empty() => "none".to_owned(),
        some => some.to_string(),
    }
}

fn problem(Unusable { column, problem, .. }: &Unusable) -> String {
    format!("{column}: {problem}")
}

/// Returns the scheme of the stored password, and what is wrong with it if no password can match it.
fn scheme(row: &AccountRow, config: &Config) -> (String, Option<String>) {
    match Stored::parse(row.password.0.expose(), &config.password.rules) {
        Ok(stored) => (stored.scheme().to_owned(), None),
        Err(Flaw::Empty) => ("none".to_owned(), None),
        Err(Flaw::Locked) => ("locked".to_owned(), None),
        Err(flaw) => ("unusable".to_owned(), Some(format!("password: {flaw}"))),
    }
}

impl ListRow<10> for Meaning {
    fn cells(&self) -> [Cow<'_, str>; 10] {
        let text = |value: &'_ Option<String>| Cow::Owned(value.clone().unwrap_or_default());
        let number = |value: Option<u32>| Cow::Owned(value.map(|value| value.to_string()).unwrap_or_default());
        [
            Cow::Borrowed(self.login.as_str()),
            Cow::Borrowed(self.switches()),
            text(&self.services),
            number(self.uid),
            number(self.gid),
            text(&self.home),
            text(&self.maildir),
            text(&self.quota),
            text(&self.password),
            text(&self.problem),
        ]
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use mailauth_core::Login;
    use mailauth_core::account::Password;

    fn row(stored: &str) -> AccountRow {
        AccountRow {
            password: Password(stored.into()),
            uid: Some(5000),
            gid: Some(5000),
            home: Some("/srv/mail/anna".to_owned()),
            ..AccountRow::new(Login::parse(b"anna@example.org", None).unwrap())
        }
    }

    fn config() -> Config {
        let mut config = Config::default();
        config.mailbox.root = Some("/".into());
        config
    }

    fn cells(row: Result<AccountRow, Unusable>) -> Vec<String> {
        Meaning::of(row, &config()).cells().iter().map(|cell| cell.clone().into_owned()).collect()
    }

    #[test]
    fn the_scheme_of_a_password_is_shown_and_never_the_password() {
        let cells = cells(Ok(row("{PLAIN}secret")));
        assert_eq!(cells[..5], ["anna@example.org", "yes", "all", "5000", "5000"]);
        assert_eq!(cells[5..7], ["/srv/mail/anna", "/srv/mail/anna/Maildir"]);
        assert_eq!(cells[8], "PLAIN");
        assert!(!format!("{:?}", Meaning::of(Ok(row("{PLAIN}secret")), &config())).contains("secret"));
    }

    #[test]
    fn a_row_that_cannot_be_used_has_its_reason() {
        let of_home = AccountRow { home: Some("mail".to_owned()), ..row("") };
        assert!(cells(Ok(of_home))[9].starts_with("home: "));
        assert!(cells(Ok(row("{UNKNOWN}x")))[9].starts_with("password: "));
        let unusable = Unusable { login: "b".to_owned(), column: "quota_bytes", problem: "is no number".into() };
        assert_eq!(cells(Err(unusable))[9], "quota_bytes: is no number");
    }

    #[test]
    fn the_switches_of_an_account_are_told_apart() {
        let shown = |row: AccountRow| cells(Ok(row))[1].clone();
        assert_eq!(shown(AccountRow { enabled: false, ..row("") }), "no");
        assert_eq!(shown(AccountRow { domain_enabled: false, ..row("") }), "domain off");
        assert_eq!(shown(AccountRow { receives: false, ..row("") }), "no mail");
    }
}
