//! The columns of an account as people write them: on the command line, and in CSV.
//!
//! Bounds are those of the tables in `schema/`, so that a mistake is told here and not by a database in its own words.

use clap::Args;
use mailauth_core::Services;
use mailauth_core::config::Config;
use mailauth_core::quota::Limits;
use mailauth_core::store::AccountChange;

/// What gives a column back to the defaults.
const DEFAULT: &str = "default";

/// The most characters of a path and of the options, of a name, of a list of services.
const MAX_PATH: usize = 1024;
const MAX_NAME: usize = 255;
const MAX_SERVICES: usize = 255;

/// The columns of an account. "default" gives one back to the configuration.
#[derive(Args, Default)]
pub struct Columns {
    /// System user id of the mailbox, or default
    #[arg(long)]
    uid: Option<String>,
    /// System group id of the mailbox, or default
    #[arg(long)]
    gid: Option<String>,
    /// Absolute path of the home folder, or default
    #[arg(long, value_name = "PATH")]
    home: Option<String>,
    /// Path of the Maildir, absolute or relative to the home, or default
    #[arg(long, value_name = "PATH")]
    maildir: Option<String>,
    /// Most bytes and messages, as 1G,10000 or 1073741824S,10000C; none, or default
    ///
    /// A part that is not named stays with the default: 1G sets the bytes alone, and 0 in a part is no limit.
    #[arg(long)]
    quota: Option<String>,
    /// Services the account may log in to, such as imap,pop3,smtp; all, or none (mail is still delivered)
    #[arg(long, value_name = "LIST")]
    services: Option<String>,
    /// The person's name; empty for none
    #[arg(long)]
    name: Option<String>,
    /// Courier's account options, as name=value,name=value; empty for none
    #[arg(long)]
    options: Option<String>,
    /// The account may log in and receives mail
    #[arg(long, conflicts_with = "disabled")]
    enabled: bool,
    /// The account may not log in, and receives no mail
    #[arg(long)]
    disabled: bool,
}

impl Columns {
    /// What is to be changed.
    pub fn change(&self, config: &Config) -> Result<AccountChange, String> {
        let named = |name: &str, problem: String| format!("--{name}: {problem}");
        let mut change = AccountChange { enabled: self.switch(), ..AccountChange::default() };
        for (name, text) in self.texts() {
            if let Some(text) = text {
                set(&mut change, name, text, config).map_err(|problem| named(name, problem))?;
            }
        }
        Ok(change)
    }

    /// Whether nothing is to be changed.
    pub fn is_empty(&self) -> bool {
        self.switch().is_none() && self.texts().iter().all(|(_, text)| text.is_none())
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

    fn switch(&self) -> Option<bool> {
        crate::account::switch(self.enabled, self.disabled)
    }
}

/// Sets the column called `name`, other than login, password and enabled, from a text.
pub fn set(change: &mut AccountChange, name: &str, text: &str, config: &Config) -> Result<(), String> {
    match name {
        "uid" => change.uid = Some(id(text, config)?),
        "gid" => change.gid = Some(id(text, config)?),
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

fn id(text: &str, config: &Config) -> Result<Option<u32>, String> {
    let Some(text) = given(text) else { return Ok(None) };
    let digits = text.bytes().all(|b| b.is_ascii_digit());
    match text.parse::<u32>().ok().filter(|id| digits && *id < u32::MAX) {
        Some(0) if !config.mailbox.allow_root => {
            Err("0 is root; give the mailbox a user of its own, or set [mailbox] allow_root".to_owned())
        }
        Some(id) => Ok(Some(id)),
        None => Err(format!("{text:?} is not a number from 1 to {}", u32::MAX - 1)),
    }
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

/// Bytes and messages. A part that is not named is `None`, which the defaults fill; 0 is no limit.
fn quota(text: &str) -> Result<(Option<u64>, Option<u64>), String> {
    let Some(text) = given(text) else { return Ok((None, None)) };
    if text == "none" || text == "NOQUOTA" {
        return Ok((Some(0), Some(0)));
    }
    let limits = Limits::parse_human(text).map_err(|error| error.to_string())?;
    let string = text.ends_with(['S', 'C']);
    let bytes = !string || text.contains('S');
    let messages = if string { text.contains('C') } else { text.contains(',') };
    Ok((bytes.then(|| limits.bytes.unwrap_or(0)), messages.then(|| limits.messages.unwrap_or(0))))
}

/// A quota as [`set`] reads it back, column by column.
pub fn show_quota(bytes: Option<u64>, messages: Option<u64>) -> String {
    let part = |limit: Option<u64>, letter| limit.map(|limit| format!("{limit}{letter}"));
    [part(bytes, 'S'), part(messages, 'C')].into_iter().flatten().collect::<Vec<_>>().join(",")
}

#[cfg(test)]
mod tests {
    use super::*;
    use mailauth_core::Service;
    use proptest::prelude::*;

    fn changed(name: &str, text: &str) -> Result<AccountChange, String> {
        let mut change = AccountChange::default();
        set(&mut change, name, text, &Config::default()).map(|()| change)
    }

    #[test]
    fn default_gives_a_column_back() {
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
    fn a_part_of_a_quota_that_is_not_named_is_left_to_the_defaults() {
        assert_eq!(quota("1G,10000"), Ok((Some(1 << 30), Some(10_000))));
        assert_eq!(quota("1G"), Ok((Some(1 << 30), None)));
        assert_eq!(quota("5C"), Ok((None, Some(5))));
        assert_eq!(quota("0C,5S"), Ok((Some(5), Some(0))));
        assert_eq!(quota("none"), Ok((Some(0), Some(0))));
        assert_eq!(quota("0"), Ok((Some(0), None)));
        assert!(quota("1 G").is_err() && quota("-1").is_err() && quota("5S,6S").is_err());
    }

    #[test]
    fn what_the_table_would_refuse_is_refused_with_a_reason() {
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
        assert!(changed("name", &"x".repeat(256)).unwrap_err().contains("more than 255"));
    }

    #[test]
    fn services_are_named_as_clients_name_them() {
        let services = changed("services", "imaps,exim").unwrap().services.unwrap();
        assert!(services.permit(&Service::Imap, false) && services.permit(&Service::Smtp, false));
        assert!(!services.permit(&Service::Pop3, false));
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
