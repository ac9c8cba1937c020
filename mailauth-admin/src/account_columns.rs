//! The columns of an account as text: on the command line, and in CSV.
//!
//! The limits are those of the tables in `schema/`, so that this program reports a mistake, and not a database in its own
//! words.

use crate::{proposed, switch};
use clap::Args;
use mailauth_core::config::Config;
use mailauth_core::quota::{Limits, WrittenLimits};
use mailauth_core::store::AccountChange;
use mailauth_core::system_ids;
use mailauth_core::{Service, Services};
use std::cell::RefCell;
use std::collections::HashMap;

/// Value that resets a column to the default of the configuration.
const DEFAULT: &str = "default";

/// Maximum number of characters of a path, and of the options.
const MAX_PATH: usize = 1024;

/// Maximum number of characters of a name.
const MAX_NAME: usize = 255;

/// Maximum number of characters of a list of services.
const MAX_SERVICES: usize = 255;

/// Words that databases and their tools print for an empty column.
const NULLS: [&str; 8] = ["\\N", "NULL", "null", "(NULL)", "(null)", "[NULL]", "<NULL>", "<null>"];

/// The columns of an account. "default" resets a column to the default of the configuration.
#[derive(Args, Default)]
pub struct Columns {
    /// Owner of the mailbox: a user of this system, by name or number; or default
    #[arg(long, allow_hyphen_values = true)]
    uid: Option<String>,
    /// Group of the mailbox: a group of this system, by name or number; or default
    #[arg(long, allow_hyphen_values = true)]
    gid: Option<String>,
    /// Absolute path of the home folder; or default
    #[arg(long, value_name = "PATH")]
    home: Option<String>,
    /// Path of the Maildir, absolute or relative to the home; or default
    #[arg(long, value_name = "PATH")]
    maildir: Option<String>,
    /// Maximum size and number of messages, such as 1G,10000 or 1073741824S,10000C; or none, or default
    ///
    /// A part that is not given has the default: 1G limits only the size. 0 in a part is no limit. Units: K, M, G and T,
    /// powers of 1024 bytes.
    #[arg(long, allow_hyphen_values = true)]
    quota: Option<String>,
    /// Services that the account may use, such as imap,pop3,smtp; all, which is the default; or none (mail is still
    /// delivered)
    #[arg(long, value_name = "LIST", value_parser = proposed::services(), hide_possible_values = true)]
    services: Option<String>,
    /// Accept names of services that mailauth does not know
    #[arg(long)]
    force: bool,
    /// Name of the user; empty for none
    #[arg(long)]
    name: Option<String>,
    /// Account options of Courier, such as disableimap=1,sharedgroup=staff; empty for none
    #[arg(long)]
    options: Option<String>,
    /// Permit logins and mail; the default for a new account
    #[arg(long, conflicts_with = "disabled")]
    enabled: bool,
    /// Forbid logins, and reject mail
    #[arg(long)]
    disabled: bool,
    /// Accept mail for the account; the default for a new account
    #[arg(long, conflicts_with = "no_mail")]
    mail: bool,
    /// Reject mail for the account, which may still log in
    #[arg(long)]
    no_mail: bool,
}

impl Columns {
    /// Returns the changes, and the columns that are invalid with the reason for each.
    pub fn read(&self, config: &Config) -> (AccountChange, Vec<(&'static str, String)>) {
        let mut problems = Vec::new();
        let mut change =
            AccountChange { enabled: self.enables(), receives: self.receives(), ..AccountChange::default() };
        for (name, text) in self.texts() {
            if let Some(text) = text {
                if is_null(name, text) {
                    let empty = if ["name", "options"].contains(&name) { "\"\"" } else { "default" };
                    let problem = format!("{text} is how a database prints an empty column; write {empty} for none");
                    problems.push((name, problem));
                } else if let Err(problem) = set(&mut change, name, text, config) {
                    problems.push((name, problem));
                }
            }
        }
        if let Some(problem) = change.services.as_ref().and_then(unknown_service).filter(|_| !self.force) {
            problems.push(("services", problem));
        }
        (change, problems)
    }

    /// Returns true if no column is given.
    pub fn is_empty(&self) -> bool {
        self.enables().is_none() && self.receives().is_none() && self.texts().iter().all(|(_, text)| text.is_none())
    }

    fn texts(&self) -> [(&'static str, &Option<String>); 8] {
        [
            ("uid", &self.uid),
            ("gid", &self.gid),
            ("home", &self.home),
            ("maildir", &self.maildir),
            ("quota", &self.quota),
            ("services", &self.services),
            ("name", &self.name),
            ("options", &self.options),
        ]
    }

    fn receives(&self) -> Option<bool> {
        switch::from_options(self.mail, self.no_mail)
    }

    fn enables(&self) -> Option<bool> {
        switch::from_options(self.enabled, self.disabled)
    }
}

/// Returns true if a text means NULL in this column. The name of a person can be "Null": in that column, only the
/// spellings of databases count; in other columns, any case does.
pub fn is_null(column: &str, text: &str) -> bool {
    let text = text.trim();
    NULLS.contains(&text) || column != "name" && text.eq_ignore_ascii_case("null")
}

/// Sets the column called `name`, which is not login, password or enabled, from a text. White space at both ends of the
/// text is ignored.
pub fn set(change: &mut AccountChange, name: &str, text: &str, config: &Config) -> Result<(), String> {
    let text = text.trim();
    match name {
        "uid" => change.uid = Some(id(text, Kind::User, config)?),
        "gid" => change.gid = Some(id(text, Kind::Group, config)?),
        "home" => change.home = Some(home(text)?),
        "maildir" => change.maildir = Some(given(text).map(|text| bounded(text, MAX_PATH)).transpose()?),
        "quota" => (change.quota_bytes, change.quota_messages) = quota(text).map(|(b, m)| (Some(b), Some(m)))?,
        "services" => change.services = Some(services(text)?),
        "name" => change.name = Some(not_empty(text).map(|text| bounded(text, MAX_NAME)).transpose()?),
        "options" => change.options = Some(not_empty(text).map(|text| bounded(text, MAX_PATH)).transpose()?),
        other => return Err(format!("there is no column {other}")),
    }
    Ok(())
}

fn not_empty(text: &str) -> Option<&str> {
    Some(text).filter(|text| !text.is_empty())
}

fn given(text: &str) -> Option<&str> {
    not_empty(text).filter(|text| *text != DEFAULT)
}

fn bounded(text: &str, most: usize) -> Result<String, String> {
    if text.chars().count() > most {
        return Err(format!("it has more than {most} characters"));
    }
    if text.contains(char::is_control) {
        return Err("it holds a control character".to_owned());
    }
    Ok(text.to_owned())
}

/// Kind of an id.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Kind {
    User,
    Group,
}

fn id(text: &str, kind: Kind, config: &Config) -> Result<Option<u32>, String> {
    let Some(text) = given(text) else { return Ok(None) };
    let digits = text.bytes().all(|b| b.is_ascii_digit());
    let found = if digits { text.parse().ok().filter(|id| *id < u32::MAX) } else { id_of_name(text, kind)? };
    match found {
        Some(0) if !config.mailbox.allow_root => {
            Err("0 is root; give the mailbox a user of its own, or set [mailbox] allow_root".to_owned())
        }
        Some(id) => Ok(Some(id)),
        None => {
            let what = if kind == Kind::User { "user" } else { "group" };
            Err(format!("{text:?} is not a number from 1 to {}, and no {what} of this system", u32::MAX - 1))
        }
    }
}

/// Maximum number of names that are remembered.
const MOST_NAMES: usize = 1000;

thread_local! {
    /// Names that were looked up: many rows have the same ones.
    static NAMES: RefCell<HashMap<(Kind, String), Option<u32>>> = RefCell::default();
}

/// Returns the number of a user or group of this system.
fn id_of_name(name: &str, kind: Kind) -> Result<Option<u32>, String> {
    let key = (kind, name.to_owned());
    if let Some(known) = NAMES.with_borrow(|names| names.get(&key).copied()) {
        return Ok(known);
    }
    let found = match kind {
        Kind::User => system_ids::user(name).map(|user| user.map(|user| user.uid)),
        Kind::Group => system_ids::group(name),
    };
    let found = found.map_err(|error| format!("{name:?} cannot be looked up: {error}; write its number"))?;
    NAMES.with_borrow_mut(|names| {
        if names.len() >= MOST_NAMES {
            names.clear();
        }
        names.insert(key, found);
    });
    Ok(found)
}

fn home(text: &str) -> Result<Option<String>, String> {
    let Some(text) = given(text) else { return Ok(None) };
    let home = bounded(text, MAX_PATH)?;
    if home.starts_with('/') { Ok(Some(home)) } else { Err(format!("{text:?} is not an absolute path")) }
}

fn services(text: &str) -> Result<Services, String> {
    if text == "all" || text == DEFAULT {
        return Ok(Services::All);
    }
    let services = Services::parse(text).map_err(|error| error.to_string())?;
    if services.to_string().len() > MAX_SERVICES {
        return Err(format!("the list has more than {MAX_SERVICES} characters"));
    }
    Ok(services)
}

/// Returns why a list that names an unknown service is rejected: usually it is a typing error, and no login would be
/// accepted.
fn unknown_service(services: &Services) -> Option<String> {
    let Services::Only(list) = services else { return None };
    let name = list.iter().find_map(|service| match service {
        Service::Other(name) => Some(name),
        _ => None,
    })?;
    let hint = match Service::nearest(name) {
        Some(near) => format!("did you mean {near}?"),
        None => "known services are imap, pop3, smtp, webmail, sieve and calendar.".to_owned(),
    };
    Some(format!(
        "mailauth does not know the service {name}; {hint} --force permits it for a program that uses this name"
    ))
}

/// Reads the limits of bytes and of messages. A part that is not given is `None`, for the default; 0 is no limit.
fn quota(text: &str) -> Result<(Option<u64>, Option<u64>), String> {
    let Some(text) = given(text) else { return Ok((None, None)) };
    let WrittenLimits { bytes, messages } = WrittenLimits::parse(text).map_err(|error| error.to_string())?;
    Ok((bytes, messages))
}

/// Returns a warning about the quota of a change, with its correction.
pub fn doubt(change: &AccountChange) -> Option<String> {
    Limits::from_columns(change.quota_bytes.flatten(), change.quota_messages.flatten()).doubt()
}

/// Returns a quota in the form that [`set`] reads, column by column.
pub fn show_quota(bytes: Option<u64>, messages: Option<u64>) -> String {
    let part = |limit: Option<u64>, letter| limit.map(|limit| format!("{limit}{letter}"));
    [part(bytes, 'S'), part(messages, 'C')].into_iter().flatten().collect::<Vec<_>>().join(",")
}

#[cfg(test)]
mod tests {
    use super::*;
    use mailauth_core::mailbox::MailboxDefaults;
    use proptest::prelude::*;

    fn changed(name: &str, text: &str) -> Result<AccountChange, String> {
        let mut change = AccountChange::default();
        set(&mut change, name, text, &Config::default()).map(|()| change)
    }

    #[test]
    fn default_resets_a_column() {
        for text in ["default", ""] {
            assert_eq!(changed("uid", text).unwrap().uid, Some(None));
            assert_eq!(changed("home", text).unwrap().home, Some(None));
            assert_eq!(changed("maildir", text).unwrap().maildir, Some(None));
            assert_eq!(changed("services", text).unwrap().services, Some(Services::All));
            let change = changed("quota", text).unwrap();
            assert_eq!((change.quota_bytes, change.quota_messages), (Some(None), Some(None)));
        }
        assert_eq!(changed("name", "").unwrap().name, Some(None));
        assert_eq!(changed("name", "default").unwrap().name, Some(Some("default".into())));
    }

    #[test]
    fn a_part_of_a_quota_that_is_not_given_has_the_default() {
        assert_eq!(quota("1G,10000"), Ok((Some(1 << 30), Some(10_000))));
        assert_eq!(quota("1G"), Ok((Some(1 << 30), None)));
        assert_eq!(quota("5C"), Ok((None, Some(5))));
        assert_eq!(quota("0C,5S"), Ok((Some(5), Some(0))));
        assert_eq!(quota("none"), Ok((Some(0), Some(0))));
        assert_eq!(quota("0"), Ok((Some(0), None)));
        assert!(quota("1 G").is_err() && quota("-1").is_err() && quota("5S,6S").is_err());
    }

    #[test]
    fn values_that_the_table_would_reject_are_rejected_with_a_reason() {
        for (name, text, reason) in [
            ("uid", "0", "0 is root"),
            ("uid", "-1", "not a number"),
            ("gid", "4294967295", "not a number"),
            ("gid", "+5", "not a number"),
            ("home", "home/anna", "not an absolute path"),
            ("home", "/a\nb", "control character"),
            ("services", "imap;pop3", "not a service name"),
            ("options", "a=1\u{7f}", "control character"),
        ] {
            let problem = changed(name, text).unwrap_err();
            assert!(problem.contains(reason), "{name}={text:?}: {problem}");
        }
        assert_eq!(changed("uid", "root").unwrap_err(), changed("uid", "0").unwrap_err());
        assert!(changed("gid", "no-such-group").unwrap_err().contains("no group of this system"));
        assert!(changed("name", &"x".repeat(256)).unwrap_err().contains("more than 255"));
    }

    #[test]
    fn white_space_at_both_ends_is_ignored() {
        assert_eq!(changed("quota", "1000C ").unwrap().quota_messages, Some(Some(1000)));
        assert_eq!(changed("maildir", "\tMaildir\u{a0}").unwrap().maildir, Some(Some("Maildir".into())));
        assert_eq!(changed("home", " /h ").unwrap().home, Some(Some("/h".into())));
        assert_eq!(changed("uid", " 7 ").unwrap().uid, Some(Some(7)));
        assert_eq!(changed("name", "  ").unwrap().name, Some(None));
        assert_eq!(changed("services", " all ").unwrap().services, Some(Services::All));
    }

    #[test]
    fn users_and_groups_can_be_given_by_name() {
        let config =
            Config { mailbox: MailboxDefaults { allow_root: true, ..Default::default() }, ..Default::default() };
        let mut change = AccountChange::default();
        set(&mut change, "uid", "root", &config).unwrap();
        set(&mut change, "gid", "root", &config).unwrap();
        assert_eq!((change.uid, change.gid), (Some(Some(0)), Some(Some(0))));
    }

    #[test]
    fn a_person_may_be_called_null_and_a_column_may_not() {
        for text in ["NULL", "\\N", "null", " NULL "] {
            assert!(is_null("name", text) && is_null("maildir", text), "{text}");
        }
        assert!(!is_null("name", "Null") && is_null("services", "Null"));
        let columns = Columns { maildir: Some("NULL".into()), ..Columns::default() };
        let (change, problems) = Columns { gid: Some("x y".into()), ..columns }.read(&Config::default());
        assert_eq!((change.maildir, change.gid, problems.len()), (None, None, 2), "all problems are reported at once");
        let (name, problem) = &problems[1];
        assert!(
            *name == "maildir" && problem.starts_with("NULL is how a database prints an empty column; write default"),
            "{problem}"
        );
    }

    #[test]
    fn services_have_the_names_that_clients_use() {
        let services = changed("services", "imaps,exim").unwrap().services.unwrap();
        assert!(services.permit(&Service::Imap, false) && services.permit(&Service::Smtp, false));
        assert!(!services.permit(&Service::Pop3, false));
    }

    #[test]
    fn an_unknown_service_is_rejected_unless_it_is_forced() {
        let columns = |services: &str, force| Columns { services: Some(services.into()), force, ..Columns::default() };
        let change = |services, force| match columns(services, force).read(&Config::default()) {
            (change, problems) if problems.is_empty() => Ok(change),
            (_, mut problems) => Err(problems.remove(0).1),
        };
        let problem = change("imaap", false).unwrap_err();
        assert!(problem.starts_with("mailauth does not know the service imaap; did you mean imap?"), "{problem}");
        assert!(change("imap,pop33", false).unwrap_err().contains("did you mean pop3?"));
        assert!(change("xmpp", false).unwrap_err().contains("known services are imap, pop3"));
        assert!(change("imaap", true).is_ok() && change("imap,submission,none", false).is_err());
        assert!(change("imap,pop3,managesieve", false).is_ok() && change("none", false).is_ok());
    }

    proptest! {
        #[test]
        fn a_quota_is_shown_as_it_is_read(
            bytes in proptest::option::of(0..=Limits::MAX), messages in proptest::option::of(0..=Limits::MAX)
        ) {
            prop_assert_eq!(quota(&show_quota(bytes, messages)), Ok((bytes, messages)));
        }

        #[test]
        fn any_text_is_a_column_or_a_problem(text in "\\PC{0,30}|[0-9SCKMGT,]{0,12}") {
            for name in ["uid", "gid", "home", "maildir", "quota", "services", "name", "options"] {
                let _ = changed(name, &text);
            }
        }
    }
}
