//! The services that logins are for, and the services that an account may use.

use std::fmt;

/// A service of the mail host, under the name that the lists of accounts use.
///
/// Clients send many names (`imaps`, `esmtp`, `exim`...); [`Service::from_name`] maps the names that they really send.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Service {
    /// Reading mail by IMAP.
    Imap,
    /// Reading mail by POP3.
    Pop3,
    /// Sending mail: SMTP AUTH.
    Smtp,
    /// Reading and sending mail in a browser.
    Webmail,
    /// Managing filters by ManageSieve.
    Sieve,
    /// Calendars, by CalDAV.
    Calendar,
    /// Delivering a message to a mailbox, or looking the mailbox up. This is not a login, so no list of services
    /// forbids it.
    Delivery,
    /// A name that this program does not know, in lower case.
    Other(String),
}

/// The names that clients send, and the service of each. The first name of a service is its own.
const NAMES: &[(&str, Service)] = &[
    ("imap", Service::Imap),
    ("imaps", Service::Imap),
    ("imap4", Service::Imap),
    ("pop3", Service::Pop3),
    ("pop3s", Service::Pop3),
    ("pop", Service::Pop3),
    ("smtp", Service::Smtp),
    ("smtps", Service::Smtp),
    ("esmtp", Service::Smtp),
    ("submission", Service::Smtp),
    ("submissions", Service::Smtp),
    ("exim", Service::Smtp),
    ("webmail", Service::Webmail),
    ("sqwebmail", Service::Webmail),
    ("sieve", Service::Sieve),
    ("managesieve", Service::Sieve),
    ("calendar", Service::Calendar),
    ("delivery", Service::Delivery),
    ("courier", Service::Delivery),
    ("login", Service::Delivery),
    ("maildrop", Service::Delivery),
    ("lmtp", Service::Delivery),
    ("lda", Service::Delivery),
];

impl Service {
    /// Maximum number of bytes of a name that are kept; a longer one is cut, because no list contains it anyway.
    pub const MAX_NAME: usize = 64;

    /// Returns the service that a client means by `name`, in any case. Bytes outside printable ASCII become `?`.
    ///
    /// ```
    /// use mailauth_core::Service;
    /// assert_eq!(Service::from_name(b"IMAPS"), Service::Imap);
    /// assert_eq!(Service::from_name(b"exim"), Service::Smtp);
    /// assert_eq!(Service::from_name(b"ftp"), Service::Other("ftp".into()));
    /// ```
    pub fn from_name(name: &[u8]) -> Self {
        match NAMES.iter().find(|(known, _)| name.eq_ignore_ascii_case(known.as_bytes())) {
            Some((_, service)) => service.clone(),
            None => {
                let printable = |b: &u8| if b.is_ascii_graphic() { b.to_ascii_lowercase() as char } else { '?' };
                Service::Other(name.iter().take(Self::MAX_NAME).map(printable).collect())
            }
        }
    }

    /// Returns the known name that is most similar to `name`, if one is similar.
    ///
    /// ```
    /// use mailauth_core::Service;
    /// assert_eq!(Service::nearest("imaap"), Some("imap"));
    /// assert_eq!(Service::nearest("radius"), None);
    /// ```
    pub fn nearest(name: &str) -> Option<&'static str> {
        let name: String = name.chars().take(Self::MAX_NAME).collect::<String>().to_ascii_lowercase();
        let near =
            NAMES.iter().map(|(known, _)| (strsim::osa_distance(&name, known), *known)).min_by_key(|near| near.0)?;
        (near.0 <= 2 && near.0 * 2 < near.1.len()).then_some(near.1)
    }

    /// Returns the service's own name.
    pub fn name(&self) -> &str {
        match self {
            Service::Other(name) => name,
            known => NAMES.iter().find(|(_, service)| service == known).map_or("?", |(name, _)| name),
        }
    }
}

impl fmt::Display for Service {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// The services an account may use.
///
/// As text, in the `services` column and on the command line: empty for every service, `none` for no login at all (mail
/// is still delivered), otherwise names of services separated by commas, such as `imap,pop3`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Services {
    /// Every service.
    #[default]
    All,
    /// Only these services; an empty list permits no login.
    Only(Vec<Service>),
}

/// Why a text is not a list of services.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "{0:?} is not a service name; known are imap, pop3, smtp, webmail, sieve, calendar, none, and names of your own \
     in lower-case letters, digits, '-' and '_'"
)]
pub struct ServicesError(pub String);

impl Services {
    /// Reads the text form.
    ///
    /// # Errors
    /// Fails for a name that no service can have, because the intended restriction is unknown.
    pub fn parse(text: &str) -> Result<Self, ServicesError> {
        if text.trim().is_empty() {
            return Ok(Services::All);
        }
        if text.trim() == "none" {
            return Ok(Services::Only(Vec::new()));
        }
        let name = |part: &str| {
            let part = part.trim();
            let legal = |b: u8| b.is_ascii_alphanumeric() || b == b'-' || b == b'_';
            if part.is_empty() || part == "none" || part.len() > Service::MAX_NAME || !part.bytes().all(legal) {
                return Err(ServicesError(part.to_owned()));
            }
            Ok(Service::from_name(part.as_bytes()))
        };
        let mut list = text.split(',').map(name).collect::<Result<Vec<_>, _>>()?;
        let mut seen = Vec::new();
        list.retain(|service| {
            !seen.contains(service) && {
                seen.push(service.clone());
                true
            }
        });
        Ok(Services::Only(list))
    }

    /// Returns true if an account with this list may use `service`. If the account has no restriction, `unknown`
    /// decides about names that this program does not know.
    pub fn permit(&self, service: &Service, unknown: bool) -> bool {
        match (self, service) {
            (Services::All, Service::Other(_)) => unknown,
            (Services::All, _) => true,
            (Services::Only(list), service) => list.contains(service),
        }
    }
}

impl fmt::Display for Services {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Services::All => Ok(()),
            Services::Only(list) if list.is_empty() => f.write_str("none"),
            Services::Only(list) => f.write_str(&list.iter().map(Service::name).collect::<Vec<_>>().join(",")),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_that_clients_send_mean_the_service_they_serve() {
        for (name, service) in NAMES {
            assert_eq!(Service::from_name(name.to_uppercase().as_bytes()), *service, "{name}");
        }
    }

    #[test]
    fn a_name_of_any_bytes_is_bounded_and_printable() {
        let service = Service::from_name(&[b"\n\xff\0".as_slice(), &[b'x'; 5000]].concat());
        assert!(service.name().len() <= Service::MAX_NAME && service.name().starts_with("???x"));
    }

    #[test]
    fn an_empty_list_permits_all_and_none_permits_no_login() {
        assert!(Services::parse("").unwrap().permit(&Service::Imap, false));
        assert!(!Services::parse("none").unwrap().permit(&Service::Imap, true));
        assert!(!Services::parse("pop3").unwrap().permit(&Service::Imap, true));
        assert!(Services::parse("pop3s, imap").unwrap().permit(&Service::Imap, true));
    }

    #[test]
    fn unknown_services_are_permitted_only_by_the_setting() {
        let ftp = Service::from_name(b"ftp");
        assert!(Services::All.permit(&ftp, true));
        assert!(!Services::All.permit(&ftp, false));
        assert!(!Services::parse("imap").unwrap().permit(&ftp, true));
        assert!(Services::parse("ftp").unwrap().permit(&ftp, false));
    }

    #[test]
    fn an_unreadable_list_is_an_error_never_no_restriction() {
        for text in ["imap,,pop3", ",", "imap;pop3", "none,imap", "im ap", "ïmap"] {
            assert!(Services::parse(text).is_err(), "{text}");
        }
    }

    #[test]
    fn a_list_prints_as_it_is_read() {
        for text in ["", "none", "imap", "imap,pop3,smtp", "ftp"] {
            assert_eq!(Services::parse(text).unwrap().to_string(), text);
        }
        assert_eq!(Services::parse("IMAPS,imap").unwrap().to_string(), "imap");
    }
}
