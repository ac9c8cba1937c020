//! Addresses of aliases, and addresses that mail is sent on to. The same rule applies when they are stored and when
//! they are used.

use crate::account::{Login, LoginError};
use crate::{DomainName, DomainNameError};

/// Why mail cannot be sent on to an address, or why no mail can arrive for it.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum AddressError {
    /// There is nothing before or after the `@`, or no `@`.
    #[error("it has no name or no domain; write name@example.org")]
    Incomplete,
    /// The address is longer than an address can be.
    #[error("it has more than {} bytes; no mail server takes it", Login::MAX)]
    TooLong,
    /// The address contains a control character or a space.
    #[error("it holds a space or a control character; write name@example.org")]
    Unprintable,
    /// The text is several addresses, or ends with a separator.
    #[error("it holds {0:?}, which separates addresses; write each as name@example.org, by itself")]
    Several(char),
    /// The address is in the form of a message header.
    #[error("write name@example.org, without < and >")]
    Brackets,
    /// The address has more than one `@`.
    #[error("it has two @; write name@example.org")]
    SecondAt,
    /// The local part begins or ends with a dot, or has two in a row.
    #[error("before the @ a dot comes first, last or twice; write name@example.org")]
    Dots,
    /// The address contains a character that needs quotes, as in instructions to a mail server.
    #[error("before the @ there is {0:?}; write name@example.org: files, commands and quotes are not taken")]
    Character(char),
    /// The text means every address, as other programs write it.
    #[error("for whatever else comes to the domain write @{0}")]
    Star(String),
    /// The domain is not valid.
    #[error("its domain: {0}")]
    Domain(#[from] DomainNameError),
    /// No mail can arrive for the address.
    #[error("{0}")]
    Login(#[from] LoginError),
}

/// Checks that mail can be sent on to `text`: a mailbox of RFC 5321, section 4.1.2 (RFC 6531 for letters beyond ASCII),
/// with a dot-string as local part. Such an address has no other meaning in a mail server's lists: it is not a file,
/// command, list or comment.
///
/// # Errors
/// Fails with the reason if mail cannot be sent to it.
pub fn check_target(text: &str) -> Result<(), AddressError> {
    if text.len() > Login::MAX {
        return Err(AddressError::TooLong);
    }
    if text.chars().any(|c| c.is_control() || c.is_whitespace()) {
        return Err(AddressError::Unprintable);
    }
    if let Some(separator) = text.chars().find(|c| matches!(c, ',' | ';')) {
        return Err(AddressError::Several(separator));
    }
    if text.starts_with('<') || text.ends_with('>') {
        return Err(AddressError::Brackets);
    }
    let Some((local, domain)) = text.rsplit_once('@').filter(|(local, domain)| !local.is_empty() && !domain.is_empty())
    else {
        return Err(AddressError::Incomplete);
    };
    if local.contains('@') {
        return Err(AddressError::SecondAt);
    }
    let atext = |c: char| c.is_ascii_alphanumeric() || "!#$%&'*+-/=?^_`{|}~.".contains(c) || !c.is_ascii();
    if let Some(odd) = local.chars().find(|c| !atext(*c)) {
        return Err(AddressError::Character(odd));
    }
    if local.split('.').any(str::is_empty) {
        return Err(AddressError::Dots);
    }
    DomainName::parse(domain)?;
    // Folding can lengthen the address.
    Login::parse(text.as_bytes(), None)?;
    Ok(())
}

/// Reads the address of an alias as the administrator writes it, and returns it as it is stored. An address without a
/// domain gets `default_domain`; `@example.org` is the catch-all of the domain.
///
/// # Errors
/// Fails with the reason if no mail can arrive for it.
pub fn read_address(text: &str, default_domain: Option<&str>) -> Result<String, AddressError> {
    if let Some(domain) = text.strip_prefix('@') {
        return Ok(format!("@{}", DomainName::parse(domain)?));
    }
    let login = Login::parse(text.as_bytes(), default_domain)?;
    check_target(login.as_str())?;
    if login.local_part() == "*" { Err(AddressError::Star(login.domain().to_owned())) } else { Ok(login.to_string()) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn only_what_is_nothing_but_an_address_is_a_target() {
        for text in ["anna@example.org", "a.b+c@x", "o'neil@example.org", "jürgen@müller.example", "Anna@Example.ORG"]
        {
            assert_eq!(check_target(text), Ok(()), "{text}");
        }
        for text in ["", "anna", "@x", "a@", "/etc/passwd"] {
            assert_eq!(check_target(text), Err(AddressError::Incomplete), "{text}");
        }
        for text in ["a b@x", ":fail: no@x", "|/bin/sh -c x", "a@x # y", "a\u{a0}@x", "\"a b\"@x", "a\n@x", " a@x"] {
            assert_eq!(check_target(text), Err(AddressError::Unprintable), "{text}");
        }
        for text in ["a,b@x", "a@x,b@x", "a@x,", "anna@example.org,ben@example.org"] {
            assert_eq!(check_target(text), Err(AddressError::Several(',')), "{text}");
        }
        assert_eq!(check_target("a@x;b@x"), Err(AddressError::Several(';')));
        assert_eq!(check_target("<a@x>"), Err(AddressError::Brackets));
        assert_eq!(check_target("a@@x"), Err(AddressError::SecondAt));
        for text in [":fail:@x", ":include:/etc/x@y", "\"a\"@x", "a(b)@x", "a\\@x"] {
            assert!(matches!(check_target(text), Err(AddressError::Character(_))), "{text}");
        }
        for text in ["a..b@x", ".a@x", "a.@x", "..@x", ".@x"] {
            assert_eq!(check_target(text), Err(AddressError::Dots), "{text}");
        }
        assert!(matches!(check_target("a@x..y"), Err(AddressError::Domain(_))));
        assert_eq!(check_target(&format!("{}@x", "a".repeat(253))), Err(AddressError::TooLong));
    }

    #[test]
    fn an_alias_has_an_address_that_mail_can_come_for() {
        assert_eq!(read_address("Info@Example.org", None).unwrap(), "info@example.org");
        assert_eq!(read_address("info", Some("example.org")).unwrap(), "info@example.org");
        assert_eq!(read_address("@Example.org", None).unwrap(), "@example.org");
        assert_eq!(read_address("*@x.example", None), Err(AddressError::Star("x.example".into())));
        assert_eq!(read_address("info", None), Err(AddressError::Incomplete));
        for text in ["", "@", "@x y", "a,b@x", "<a@x>", "a@@x", ":fail:@x"] {
            assert!(read_address(text, None).is_err(), "{text}");
        }
    }

    proptest! {
        #[test]
        fn what_mail_is_sent_on_to_can_be_looked_up(text in "[a-zA-Z.@,<>*İ]{0,12}|\\PC{0,20}") {
            if check_target(&text).is_ok() {
                let login = Login::parse(text.as_bytes(), None).unwrap();
                prop_assert!(!login.domain().is_empty() && DomainName::parse(login.domain()).is_ok());
            }
            if let Ok(stored) = read_address(&text, None) {
                prop_assert_eq!(read_address(&stored, None), Ok(stored.clone()));
            }
        }
    }
}
