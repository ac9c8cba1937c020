//! Where a mailbox is and which user owns it, with defaults for what the account's row leaves empty.

use super::limits::Limits;
use crate::account::{Account, AccountRow, Login};
use crate::schema::Field;
use std::borrow::Cow;

mod floors;
mod wider;

pub use floors::{LEAST_ID, Refused};
pub use wider::Wider;

/// Values for columns that a row leaves empty, and limits on what a row may contain: the `[mailbox]` section of the
/// configuration.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MailboxDefaults {
    /// Home, with `%u` for the login, `%n` for its local part, `%d` for its domain, `%%` for a percent sign. If it is
    /// empty, each account has to have a home of its own, which may be anywhere unless `root` is set.
    pub home: String,
    /// Maildir, absolute or relative to the home, with the same letters; empty leaves it to the program's own default.
    pub maildir: String,
    /// System user id; the configuration may name the user.
    pub uid: Option<u32>,
    /// System group id.
    pub gid: Option<u32>,
    /// Default quota.
    pub quota: Limits,
    /// Whether uid 0 and gid 0 are accepted. Otherwise they make an account unusable.
    pub allow_root: bool,
    /// Minimum user id of an account, in addition to `uid`. `None` is [`LEAST_ID`], or only `uid` if that is set.
    pub min_uid: Option<u32>,
    /// Minimum group id, in the same way.
    pub min_gid: Option<u32>,
    /// Folder that contains all homes and Maildirs. `None` is the fixed part of `home`.
    pub root: Option<String>,
    /// Whether a missing home and Maildir are created at a login.
    pub create: bool,
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
            min_uid: None,
            min_gid: None,
            root: None,
            create: false,
        }
    }
}

/// A value that must not be passed to a daemon, and that only a change of the row or of the configuration corrects. A
/// login is refused, mail waits, and the log names the column.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("account {login}: column {column} {problem}")]
pub struct Unusable {
    /// The account, with anything unprintable escaped.
    pub login: String,
    /// The field's name in the table model.
    pub column: &'static str,
    /// What is wrong, and what to do.
    pub problem: Cow<'static, str>,
}

/// A column, and what is wrong with it.
type Flaw = (&'static str, Cow<'static, str>);

/// The mailbox as the row or the defaults place it.
struct Place {
    home: String,
    maildir: String,
    uid: u32,
    gid: u32,
}

/// Maximum number of bytes of a path (PATH_MAX without the NUL).
const MAX_PATH: usize = 4095;

/// Maximum number of bytes of home, Maildir, name and options together. A daemon's reply has room for these and a
/// password.
const MAX_TEXTS: usize = 6000;

/// Default home and Maildir; `None` if the login must not be part of a path.
pub(crate) struct Places {
    pub home: Option<String>,
    pub maildir: Option<String>,
}

impl MailboxDefaults {
    /// Returns the default home and Maildir of an account.
    pub(crate) fn places(&self, login: &Login) -> Places {
        Places { home: expand(&self.home, login), maildir: expand(&self.maildir, login) }
    }

    /// Returns the account that `row` describes.
    ///
    /// # Errors
    /// Fails if a value without a default is missing, or if a value would harm its reader: a control character, a home
    /// that is not absolute, or a value that [`MailboxDefaults::permit`] rejects.
    pub fn resolve(&self, row: AccountRow) -> Result<Account, Unusable> {
        self.account_of(&row)
    }

    /// Returns the account that a row describes, as [`MailboxDefaults::resolve`] does, with copies of its values.
    ///
    /// # Errors
    /// Fails as [`MailboxDefaults::resolve`] does.
    pub fn account_of(&self, row: &AccountRow) -> Result<Account, Unusable> {
        let Place { home, maildir, uid, gid } = match self.judge(row) {
            Ok(place) => place,
            Err(flaws) => {
                let first = flaws.into_iter().next();
                let (column, problem) = first.unwrap_or((Field::Login.name(), "cannot be used".into()));
                return Err(Unusable { login: row.login.to_string(), column, problem });
            }
        };
        let quota =
            Limits::from_columns(row.quota_bytes.or(self.quota.bytes), row.quota_messages.or(self.quota.messages));
        let maildir = Some(maildir).filter(|path| !path.is_empty());
        let (name, options) = (row.name.clone().unwrap_or_default(), row.options.clone().unwrap_or_default());
        let (login, password) = (row.login.clone(), row.password.clone());
        Ok(Account { login, uid, gid, home, maildir, quota, name, options, password })
    }

    /// Returns every reason for which [`MailboxDefaults::resolve`] rejects this row.
    pub fn problems(&self, row: &AccountRow) -> Vec<Unusable> {
        let flaws = self.judge(row).err().unwrap_or_default();
        let login = || row.login.to_string();
        flaws.into_iter().map(|(column, problem)| Unusable { login: login(), column, problem }).collect()
    }

    fn judge(&self, row: &AccountRow) -> Result<Place, Vec<Flaw>> {
        let mut flaws: Vec<Flaw> = Vec::new();
        let mut path = |own: &Option<String>, template: &str, flaw: &'static str| {
            own.clone().or_else(|| expand(template, &row.login)).unwrap_or_else(|| {
                flaws.push((Field::Login.name(), flaw.into()));
                String::new()
            })
        };
        let home =
            path(&row.home, &self.home, "would lead out of the default home; give the account a home of its own");
        let maildir = path(
            &row.maildir,
            &self.maildir,
            "would lead out of the default Maildir; give the account a Maildir of its own",
        );
        let is_home_known = row.home.is_some() || flaws.is_empty();
        let texts = [
            (Field::Home.name(), home.as_str()),
            (Field::Maildir.name(), maildir.as_str()),
            (Field::Name.name(), row.name.as_deref().unwrap_or_default()),
            (Field::Options.name(), row.options.as_deref().unwrap_or_default()),
        ];
        let unprintable = texts.iter().filter(|(_, value)| has_control(value));
        flaws.extend(unprintable.map(|(column, _)| (*column, "holds a control character; set it again".into())));
        let permitted = [Some(self.permit_home(&home)).filter(|_| is_home_known), Some(self.permit_maildir(&maildir))];
        let refused = permitted.into_iter().flatten().filter_map(Result::err);
        flaws.extend(refused.map(|refused| (refused.column, refused.problem)));
        let overlong = texts.iter().take(2).filter(|(_, value)| value.len() > MAX_PATH);
        flaws.extend(
            overlong.map(|(column, _)| (*column, "is longer than the path of a file can be; shorten it".into())),
        );
        if let Some((column, longest)) = texts.iter().max_by_key(|(_, value)| value.len())
            && longest.len() <= MAX_PATH
            && texts.iter().map(|(_, value)| value.len()).sum::<usize>() > MAX_TEXTS
        {
            flaws.push((column, "makes the row too long for a daemon's answer; shorten it".into()));
        }
        let uid = row.uid.or(self.uid);
        let gid = row.gid.or(self.gid);
        let needs = [
            (
                Field::Uid.name(),
                uid.map(|id| self.permit_uid(id)),
                "is empty, and [mailbox] uid is not set; set one of them",
            ),
            (
                Field::Gid.name(),
                gid.map(|id| self.permit_gid(id)),
                "is empty, and [mailbox] gid is not set; set one of them",
            ),
        ];
        for (column, permitted, missing) in needs {
            match permitted {
                None => flaws.push((column, missing.into())),
                Some(permitted) => flaws.extend(permitted.err().map(|refused| (column, refused.problem))),
            }
        }
        match (uid, gid) {
            (Some(uid), Some(gid)) if flaws.is_empty() => Ok(Place { home, maildir, uid, gid }),
            _ => Err(flaws),
        }
    }
}

/// Returns true if the text has a control character. Nearly every text is printable ASCII, which is found out for many
/// bytes at a time.
fn has_control(text: &str) -> bool {
    let is_plain = text.bytes().fold(true, |plain, byte| plain & (b' '..=b'~').contains(&byte));
    !is_plain && text.chars().any(char::is_control)
}

/// Returns true if this part of a login would be more than one ordinary name in a path.
fn climbs(part: &str) -> bool {
    part.contains('/') || part == ".." || part == "."
}

/// Returns `template` with its letters replaced; `None` if it uses a part of the login that must not be in a path. An
/// unknown letter is kept: the configuration has rejected it before.
fn expand(template: &str, login: &Login) -> Option<String> {
    let mut out = String::with_capacity(template.len() + login.as_str().len());
    let mut chars = template.chars();
    while let Some(c) = chars.next() {
        if c != '%' {
            out.push(c);
            continue;
        }
        let part = match chars.next() {
            Some('u') => login.as_str(),
            Some('n') => login.local_part(),
            Some('d') => login.domain(),
            Some('%') | None => "%",
            Some(other) => {
                out.extend(['%', other]);
                continue;
            }
        };
        if climbs(part) {
            return None;
        }
        out.push_str(part);
    }
    Some(out)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row() -> AccountRow {
        AccountRow::new(Login::parse(b"anna@example.org", None).unwrap())
    }

    fn defaults() -> MailboxDefaults {
        MailboxDefaults { uid: Some(5000), gid: Some(5001), root: Some("/".into()), ..MailboxDefaults::default() }
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
        let account = MailboxDefaults { quota, min_uid: Some(1), ..defaults() }.resolve(row).unwrap();
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
        assert_eq!(
            bare.to_string(),
            "account anna@example.org: column uid is empty, and [mailbox] uid is not set; set one of them"
        );
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
    fn a_login_is_only_judged_by_the_parts_of_it_that_its_paths_have() {
        let odd = AccountRow::new(Login::parse(b"..@example.org", None).unwrap());
        let whole = MailboxDefaults { home: "/var/mail/%u".into(), ..defaults() };
        assert_eq!(whole.resolve(odd.clone()).unwrap().home, "/var/mail/..@example.org");
        let inside = MailboxDefaults { maildir: "%n".into(), ..defaults() };
        let row = AccountRow { home: Some("/h".into()), ..odd };
        assert!(inside.resolve(row.clone()).unwrap_err().problem.contains("default Maildir"));
        assert!(inside.resolve(AccountRow { maildir: Some("m".into()), ..row }).is_ok());
    }

    #[test]
    fn everything_that_is_wrong_with_a_row_is_told_at_once() {
        let row = AccountRow { home: Some("mail".into()), uid: Some(0), name: Some("a\nb".into()), ..row() };
        let columns: Vec<_> =
            MailboxDefaults::default().problems(&row).into_iter().map(|problem| problem.column).collect();
        assert_eq!(columns, ["name", "home", "uid", "gid"]);
        assert_eq!(defaults().problems(&super::tests::row()), []);
    }

    #[test]
    fn a_row_that_no_answer_has_room_for_is_unusable() {
        let long = |name: &str, bytes| Some(format!("/{}", name.repeat(bytes)));
        let column = |row| defaults().resolve(row).map_err(|unusable| unusable.column);
        assert_eq!(column(AccountRow { home: long("h", MAX_PATH), ..row() }), Err("home"));
        let row = AccountRow { home: long("h", 3000), options: long("o", 3500), ..row() };
        assert_eq!(column(row), Err("options"));
    }

    #[test]
    fn a_row_that_names_what_is_not_a_mailbox_is_unusable() {
        let defaults = MailboxDefaults { root: None, ..defaults() };
        let said = |row| defaults.resolve(row).unwrap_err();
        for (row, column) in [
            (AccountRow { gid: Some(42), ..row() }, "gid"),
            (AccountRow { uid: Some(33), ..row() }, "uid"),
            (AccountRow { home: Some("/etc/systemd/system/ssh.service.d".into()), ..row() }, "home"),
            (AccountRow { home: Some("/var/mail/x/../../../etc".into()), ..row() }, "home"),
            (AccountRow { maildir: Some("/etc/cron.d".into()), ..row() }, "maildir"),
            (AccountRow { maildir: Some("../../../etc".into()), ..row() }, "maildir"),
        ] {
            assert_eq!(said(row.clone()).column, column, "{}", said(row));
        }
        let own = AccountRow { home: Some("/var/mail/own".into()), maildir: Some("/var/mail/m".into()), ..row() };
        assert_eq!(defaults.problems(&own), []);
    }

    #[test]
    fn root_is_for_those_who_ask_for_it() {
        let row = AccountRow { uid: Some(0), gid: Some(0), ..row() };
        assert_eq!(MailboxDefaults { allow_root: true, ..defaults() }.resolve(row).unwrap().uid, 0);
    }
}
