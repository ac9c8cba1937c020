//! What a daemon says about a login, in a form in which equal means the same.

use super::Part;
use crate::output::printable;
use mailauth_core::Service;
use mailauth_core::answer::{Answer, Refusal};
use mailauth_core::quota::Limits;
use mailauth_protocol::reply::Record;

/// An answer of a daemon.
#[derive(Debug, PartialEq, Eq)]
pub enum Described {
    /// The account may use the service; its values.
    Yes(Vec<(Part, String)>),
    /// There is no such account, or it may not use the service; the option that says so.
    No(Option<String>),
    /// The daemon did not answer, or its answer cannot be used; the reason.
    NotNow(String),
}

impl Described {
    /// Describes an answer to a look-up.
    pub fn answer(answer: Answer<Described>) -> Self {
        answer.unwrap_or_else(|refusal| match refusal {
            Refusal::No(_) => Described::No(None),
            Refusal::NotNow(why) => Described::NotNow(why.to_string()),
        })
    }

    /// Describes a record that answers a look-up for this service.
    pub fn of(record: &Record<'_>, service: &Service) -> Self {
        let text = |name| record.last(name).map(|value| shown(value).into_owned());
        let options = text("OPTIONS").unwrap_or_default();
        let options = match meant_options(&options, service) {
            Ok(options) => options,
            Err(option) => return Described::No(Some(option)),
        };
        let home = text("HOME").unwrap_or_default();
        let maildir = text("MAILDIR").unwrap_or_else(|| "Maildir".to_owned());
        let maildir = if maildir.starts_with('/') { maildir } else { format!("{home}/{maildir}") };
        // A record of a system account has the user's name instead of the numbers.
        let uid = text("UID").or_else(|| text("USERNAME"));
        Described::Yes(vec![
            (Part::Login, text("ADDRESS").unwrap_or_default().to_lowercase()),
            (Part::Uid, uid.unwrap_or_default()),
            (Part::Gid, text("GID").unwrap_or_default()),
            (Part::Home, path(&home)),
            (Part::Maildir, path(&maildir)),
            (Part::Quota, limits(&text("QUOTA").unwrap_or_default()).to_string()),
            (Part::Options, options),
        ])
    }

    /// Returns the answer alone, for people.
    pub fn word(&self) -> String {
        match self {
            Described::Yes(_) => "yes".to_owned(),
            Described::No(None) => "no".to_owned(),
            Described::No(Some(option)) => format!("no ({option})"),
            Described::NotNow(why) => format!("not now: {why}"),
        }
    }
}

/// Returns bytes as text: as they are if they are UTF-8, otherwise escaped.
pub fn shown(bytes: &[u8]) -> std::borrow::Cow<'_, str> {
    match std::str::from_utf8(bytes) {
        Ok(text) => printable(text),
        Err(_) => bytes.escape_ascii().to_string().into(),
    }
}

/// Returns a path without a slash at its end, and without parts that are empty or `.`.
fn path(path: &str) -> String {
    let parts: Vec<&str> = path.split('/').filter(|part| !part.is_empty() && *part != ".").collect();
    format!("{}{}", if path.starts_with('/') { "/" } else { "" }, parts.join("/"))
}

/// Returns the limits that Courier's programs read from a quota: a number without a letter, and a negative one, are no
/// limit.
fn limits(quota: &str) -> Limits {
    let limit = |letter| quota.split(',').find_map(|part| part.trim().strip_suffix(letter)?.parse().ok());
    Limits::from_columns(limit('S'), limit('C'))
}

/// Returns the options in the order of their names. Those that switch services off or on are left out; the answer for
/// each service shows them.
///
/// # Errors
/// Fails with the option that disables `service`.
fn meant_options(options: &str, service: &Service) -> Result<String, String> {
    let mut kept = Vec::new();
    for option in options.split(',').map(str::trim).filter(|option| !option.is_empty()) {
        let (name, value) = option.split_once('=').unwrap_or((option, "1"));
        let Some(disabled) = name.strip_prefix("disable") else {
            kept.push(option.to_owned());
            continue;
        };
        let disabled = Service::from_name(disabled.as_bytes());
        match (is_true(value), &disabled) {
            (true, disabled) if disabled == service => return Err(option.to_owned()),
            (true, Service::Other(_)) => kept.push(format!("{name}=1")),
            _ => {}
        }
    }
    kept.sort_unstable();
    Ok(kept.join(","))
}

/// Returns true if Courier's servers treat the value of an option as set: a number other than 0, or a word such as `true`
/// or `yes`.
fn is_true(value: &str) -> bool {
    let digits = value.bytes().take_while(u8::is_ascii_digit);
    value.starts_with(['t', 'T', 'y', 'Y']) || digits.into_iter().any(|digit| digit != b'0')
}

#[cfg(test)]
mod tests {
    use super::*;
    use mailauth_protocol::Reply;

    fn described(lines: &str) -> Described {
        let reply = format!("{lines}.\n");
        match Reply::read(reply.as_bytes(), true) {
            Reply::Record(record) => Described::of(&record, &Service::Imap),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn values_that_mean_the_same_are_equal() {
        let plain = "UID=5000\nGID=5000\nHOME=/var/mail/anna\nADDRESS=anna@example.org\n";
        for same in [
            "UID=5000\nGID=5000\nHOME=/var/mail/anna/\nADDRESS=Anna@Example.org\nMAILDIR=Maildir/\n",
            "UID=5000\nGID=5000\nHOME=/var//mail/anna/.\nADDRESS=anna@example.org\nMAILDIR=./Maildir\nQUOTA=0S\n",
            "UID=5000\nGID=5000\nHOME=/var/mail/anna\nADDRESS=anna@example.org\nMAILDIR=/var/mail/anna/Maildir\nQUOTA=-1S\n",
            "UID=5000\nGID=5000\nHOME=/var/mail/anna\nADDRESS=anna@example.org\nQUOTA=5000\nOPTIONS=disableimap=0\n",
            "UID=5000\nGID=5000\nHOME=/var/mail/anna\nADDRESS=anna@example.org\nOPTIONS=disablepop3=1, disableimap=no\n",
        ] {
            assert_eq!(described(same), described(plain), "{same}");
        }
    }

    #[test]
    fn values_that_mean_another_thing_differ() {
        let plain = "UID=5000\nGID=5000\nHOME=/var/mail/anna\nADDRESS=anna@example.org\n";
        for (from, to) in [
            ("UID=5000", "UID=5001"),
            ("GID=5000", "GID=5001"),
            ("/anna\n", "/ana\n"),
            ("=anna@", "=ana@"),
            ("HOME", "MAILDIR=mail\nHOME"),
            ("HOME", "QUOTA=5000S\nHOME"),
            ("HOME", "QUOTA=5000C\nHOME"),
            ("HOME", "OPTIONS=disableshared=1\nHOME"),
        ] {
            assert_ne!(described(&plain.replacen(from, to, 1)), described(plain), "{to}");
        }
    }

    #[test]
    fn options_that_disable_the_service_are_a_no() {
        let plain = "UID=5000\nGID=5000\nHOME=/var/mail/anna\nADDRESS=anna@example.org\n";
        for option in ["disableimap=1", "disableimap", "disableimap=yes", "disableimap=True", "disableimap=2"] {
            let said = described(&format!("{plain}OPTIONS=group=staff,{option}\n"));
            assert_eq!(said, Described::No(Some(option.to_owned())));
            assert_eq!(said.word(), format!("no ({option})"));
        }
    }

    #[test]
    fn options_are_compared_in_any_order() {
        let options = |text| meant_options(text, &Service::Imap).unwrap();
        assert_eq!(options("wbnodsn=1, group=staff,disableshared"), options("disableshared=1,group=staff,wbnodsn=1"));
    }
}
