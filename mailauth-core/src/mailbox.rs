//! Where a mailbox is and whose it is, when the account's row leaves that open.

use crate::account::{Account, AccountRow, Login};
use crate::quota::Limits;

/// What stands in for a column that a row leaves empty. The `[mailbox]` section of the configuration.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MailboxDefaults {
    /// Home, with `%u` for the login, `%n` for its local part, `%d` for its domain, `%%` for a percent sign.
    pub home: String,
    /// Maildir, absolute or relative to the home, with the same letters; empty leaves it to the program's own default.
    pub maildir: String,
    /// System user id.
    pub uid: Option<u32>,
    /// System group id.
    pub gid: Option<u32>,
    /// Quota.
    pub quota: Limits,
    /// Permit uid 0 and gid 0, which otherwise make an account unusable.
    pub allow_root: bool,
}

impl Default for MailboxDefaults {
    fn default() -> Self {
        MailboxDefaults {
            home: "/var/mail/%d/%n".into(),
            maildir: "Maildir".into(),
            uid: None,
            gid: None,
            quota: Limits::NONE,
            allow_root: false,
        }
    }
}

/// A value that must not reach a daemon. The answer is "not now", and the log names the column.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("account {login}: column {column} {problem}")]
pub struct Unusable {
    /// The account, with anything unprintable escaped.
    pub login: String,
    /// The field's name in the table model.
    pub column: &'static str,
    /// What is wrong, and what to do.
    pub problem: &'static str,
}

impl MailboxDefaults {
    /// The account that `row` describes.
    ///
    /// # Errors
    /// When a value is missing that has no default, or one would harm whoever gets it: a control character, a home that
    /// is not absolute, user or group 0.
    pub fn resolve(&self, row: AccountRow) -> Result<Account, Unusable> {
        let AccountRow { login, password, uid, gid, home, maildir, name, options, .. } = row;
        let unusable = |column, problem| Unusable { login: login.to_string(), column, problem };
        if home.is_none() && [login.local_part(), login.domain()].iter().any(|part| climbs(part)) {
            return Err(unusable("login", "would lead out of the default home; give the account a home of its own"));
        }
        let home = home.unwrap_or_else(|| expand(&self.home, &login));
        let maildir = maildir.unwrap_or_else(|| expand(&self.maildir, &login));
        let (name, options) = (name.unwrap_or_default(), options.unwrap_or_default());
        for (column, value) in [("home", &home), ("maildir", &maildir), ("name", &name), ("options", &options)] {
            if value.chars().any(char::is_control) {
                return Err(unusable(column, "holds a control character; set it anew"));
            }
        }
        if !home.starts_with('/') {
            return Err(unusable("home", "is not an absolute path"));
        }
        let uid = uid.or(self.uid).ok_or_else(|| unusable("uid", "is empty, and [mailbox] uid is not set"))?;
        let gid = gid.or(self.gid).ok_or_else(|| unusable("gid", "is empty, and [mailbox] gid is not set"))?;
        for (column, id) in [("uid", uid), ("gid", gid)] {
            if id == 0 && !self.allow_root {
                return Err(unusable(column, "is 0; give the mailbox a user of its own, or set [mailbox] allow_root"));
            }
        }
        let bytes = row.quota_bytes.or(self.quota.bytes);
        let messages = row.quota_messages.or(self.quota.messages);
        let quota = Limits::from_columns(bytes, messages);
        let maildir = Some(maildir).filter(|path| !path.is_empty());
        Ok(Account { login, uid, gid, home, maildir, quota, name, options, password })
    }
}

/// Would this part of a login, put into a path, be more than one ordinary name in it?
fn climbs(part: &str) -> bool {
    part.contains('/') || part == ".." || part == "."
}

/// `template` with its letters replaced. An unknown letter stays as it is: the configuration refused it before.
fn expand(template: &str, login: &Login) -> String {
    let mut out = String::with_capacity(template.len() + login.as_str().len());
    let mut chars = template.chars();
    while let Some(c) = chars.next() {
        if c != '%' {
            out.push(c);
            continue;
        }
        match chars.next() {
            Some('u') => out.push_str(login.as_str()),
            Some('n') => out.push_str(login.local_part()),
            Some('d') => out.push_str(login.domain()),
            Some('%') | None => out.push('%'),
            Some(other) => out.extend(['%', other]),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row() -> AccountRow {
        AccountRow::new(Login::parse(b"anna@example.org", None).unwrap())
    }

    fn defaults() -> MailboxDefaults {
        MailboxDefaults { uid: Some(5000), gid: Some(5001), ..MailboxDefaults::default() }
    }

    #[test]
    fn an_empty_row_lives_where_the_defaults_say() {
        let account = defaults().resolve(row()).unwrap();
        assert_eq!(account.home, "/var/mail/example.org/anna");
        assert_eq!((account.maildir.as_deref(), account.uid, account.gid), (Some("Maildir"), 5000, 5001));
        let percent = MailboxDefaults { home: "/%%/%u/%x%".into(), maildir: String::new(), ..defaults() };
        let account = percent.resolve(row()).unwrap();
        assert_eq!((account.home.as_str(), account.maildir), ("/%/anna@example.org/%x%", None));
    }

    #[test]
    fn the_row_goes_before_the_defaults() {
        let row = AccountRow { home: Some("/h".into()), uid: Some(7), quota_bytes: Some(0), ..row() };
        let quota = Limits { bytes: Some(5), messages: Some(6) };
        let account = MailboxDefaults { quota, ..defaults() }.resolve(row).unwrap();
        assert_eq!((account.home.as_str(), account.uid), ("/h", 7));
        assert_eq!(account.quota, Limits { bytes: None, messages: Some(6) }, "0 in the row is no limit");
    }

    #[test]
    fn a_value_that_would_harm_the_reader_makes_the_account_unusable() {
        let column = |row| defaults().resolve(row).unwrap_err().column;
        assert_eq!(column(AccountRow { name: Some("x\nUID=0".into()), ..row() }), "name");
        assert_eq!(column(AccountRow { options: Some("a=b\u{85}".into()), ..row() }), "options");
        assert_eq!(column(AccountRow { home: Some("mail".into()), ..row() }), "home");
        assert_eq!(column(AccountRow { uid: Some(0), ..row() }), "uid");
        assert_eq!(column(AccountRow { gid: Some(0), ..row() }), "gid");
        let bare = MailboxDefaults::default().resolve(row()).unwrap_err();
        assert_eq!(bare.to_string(), "account anna@example.org: column uid is empty, and [mailbox] uid is not set");
    }

    #[test]
    fn a_login_never_leads_out_of_the_default_home() {
        for login in ["../../etc@example.org", "..@example.org", "x@..", "a/b@example.org"] {
            let row = AccountRow::new(Login::parse(login.as_bytes(), None).unwrap());
            assert_eq!(defaults().resolve(row.clone()).unwrap_err().column, "login", "{login}");
            assert!(defaults().resolve(AccountRow { home: Some("/h".into()), ..row }).is_ok());
        }
    }

    #[test]
    fn root_is_for_those_who_ask_for_it() {
        let row = AccountRow { uid: Some(0), gid: Some(0), ..row() };
        assert_eq!(MailboxDefaults { allow_root: true, ..defaults() }.resolve(row).unwrap().uid, 0);
    }
}
