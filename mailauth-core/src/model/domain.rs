//! Names of domains.

use crate::spelling;
use std::borrow::Cow;
use std::fmt;

/// A domain name: labels of letters, digits, `-` and `_`, separated by dots, folded to lower case. An international
/// name
/// is in its ASCII form, whatever spelling it was read from.
///
/// ```
/// use mailauth_core::DomainName;
/// assert_eq!(DomainName::parse("Example.org").unwrap().as_str(), "example.org");
/// assert_eq!(DomainName::parse("Bücher.example").unwrap().as_str(), "xn--bcher-kva.example");
/// assert!(DomainName::parse("@example.org").is_err());
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct DomainName(String);

/// Why a text is not a domain name.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum DomainNameError {
    /// The name is empty, or has more than [`DomainName::MAX`] bytes.
    #[error("a domain's name has 1 to {} bytes", DomainName::MAX)]
    Length,
    /// The name contains an invalid character, or an empty label.
    #[error("{0:?} is not a domain's name; write letters, digits, '-' and '_' with single dots between")]
    Malformed(String),
    /// The name has characters beyond ASCII and is not a valid international name.
    #[error(
        "{0:?} is not a domain's name: it holds a character that has no place in one, or a label that is longer than 63 \
         bytes in its ASCII form (xn--...)"
    )]
    International(String),
    /// The name is in ASCII and has a label that only looks like that of an international name.
    #[error("{0:?} is not a domain's name: the part after xn-- does not decode to letters; write the name in Unicode")]
    NotGenuine(String),
}

impl DomainName {
    /// Maximum number of bytes. With one for a local part and one for the `@`, a login is still at most
    /// [`crate::Login::MAX`] long.
    pub const MAX: usize = crate::Login::MAX - 2;

    /// Reads a name, in any case.
    ///
    /// # Errors
    /// Fails if no domain can have this name.
    pub fn parse(text: &str) -> Result<Self, DomainNameError> {
        // Folding can lengthen the name, and so can the ASCII form.
        let folded = if text.len() <= Self::MAX { text.to_lowercase() } else { return Err(DomainNameError::Length) };
        let name = match spelling::may_vary(&folded) {
            true => spelling::domain(text)
                .map_err(|spelling::NoName| DomainNameError::International(text.to_owned()))?
                .into_owned(),
            false => folded,
        };
        if name.is_empty() || name.len() > Self::MAX {
            return Err(DomainNameError::Length);
        }
        let legal = |c: u8| matches!(c, b'-' | b'_') || c.is_ascii_alphanumeric();
        if name.split('.').any(|label| label.is_empty() || !label.bytes().all(legal)) {
            return Err(DomainNameError::Malformed(text.to_owned()));
        }
        Ok(DomainName(name))
    }

    /// Reads the name of a domain to add, which must not merely look like an international name.
    ///
    /// # Errors
    /// Fails if no domain should have this name.
    pub fn parse_new(text: &str) -> Result<Self, DomainNameError> {
        let name = Self::parse(text)?;
        if spelling::is_genuine(&name.0) { Ok(name) } else { Err(DomainNameError::NotGenuine(text.to_owned())) }
    }

    /// Returns the name for people, in the letters of its language.
    pub fn readable(&self) -> Cow<'_, str> {
        spelling::readable_domain(&self.0)
    }

    /// Returns the name in its ASCII form.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for DomainName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Login;
    use proptest::prelude::*;

    #[test]
    fn names_are_folded_and_bounded() {
        assert_eq!(DomainName::parse("MÜLLER.example").unwrap().to_string(), "xn--mller-kva.example");
        assert_eq!(DomainName::parse("mu\u{308}ller.example").unwrap().readable(), "müller.example");
        let refused = |text: &str| matches!(DomainName::parse(text), Err(DomainNameError::International(_)));
        assert!(refused("ü b.example") && refused("ü\u{200d}.example") && refused(&"ü".repeat(64)));
        assert!(DomainName::parse("xn--zzzzzz999.example").is_ok());
        let new = DomainName::parse_new("xn--zzzzzz999.example").unwrap_err();
        assert_eq!(new, DomainNameError::NotGenuine("xn--zzzzzz999.example".into()));
        assert_eq!(DomainName::parse(&"x".repeat(253)), Err(DomainNameError::Length));
        for text in [".", "a..b", ".a", "a.", "a b", "a@b", "a/b", "a\n", "%d", "[1.2.3.4]"] {
            assert_eq!(DomainName::parse(text), Err(DomainNameError::Malformed(text.into())));
        }
    }

    proptest! {
        #[test]
        fn a_login_can_be_in_any_domain_that_has_a_name(text in "\\PC{0,20}") {
            if let Ok(name) = DomainName::parse(&text) {
                let login = Login::parse(format!("a@{name}").as_bytes(), None).unwrap();
                prop_assert_eq!(login.domain(), name.as_str());
            }
        }
    }
}
