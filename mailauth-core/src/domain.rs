//! The names of domains.

use std::fmt;

/// A domain's name: labels of letters, digits, `-` and `_` with dots between, folded to lower case.
///
/// ```
/// use mailauth_core::DomainName;
/// assert_eq!(DomainName::parse("Example.org").unwrap().as_str(), "example.org");
/// assert!(DomainName::parse("@example.org").is_err());
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct DomainName(String);

/// Why a text is no domain's name.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum DomainNameError {
    /// Nothing, or more than [`DomainName::MAX`] bytes.
    #[error("a domain's name has 1 to {} bytes", DomainName::MAX)]
    Length,
    /// A character that has no place there, or a label without one.
    #[error("{0:?} is not a domain's name; write letters, digits, '-' and '_' with single dots between")]
    Malformed(String),
}

impl DomainName {
    /// The most bytes: with one for a local part and one for the `@`, a login can still be [`crate::Login::MAX`] long.
    pub const MAX: usize = crate::Login::MAX - 2;

    /// Reads a name, in any case.
    ///
    /// # Errors
    /// When no domain can be called that.
    pub fn parse(text: &str) -> Result<Self, DomainNameError> {
        // Folding can lengthen it.
        let name = if text.len() <= Self::MAX { text.to_lowercase() } else { return Err(DomainNameError::Length) };
        if name.is_empty() || name.len() > Self::MAX {
            return Err(DomainNameError::Length);
        }
        // A mark may come apart from its letter when that is folded, so only ASCII is restricted to a list.
        let legal = |c: char| match c {
            '-' | '_' => true,
            c if c.is_ascii() => c.is_ascii_alphanumeric(),
            c => !c.is_control() && !c.is_whitespace(),
        };
        if name.split('.').any(|label| label.is_empty() || !label.chars().all(legal)) {
            return Err(DomainNameError::Malformed(text.to_owned()));
        }
        Ok(DomainName(name))
    }

    /// The name.
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
        assert_eq!(DomainName::parse("MÜLLER.example").unwrap().to_string(), "müller.example");
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
