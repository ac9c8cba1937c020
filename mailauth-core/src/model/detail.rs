//! Details: the part after a delimiter in the local part of an address, as in `anna+news@example.org`.

use crate::account::Login;

/// Maximum number of bytes of a detail that may name a folder.
const MOST: usize = 64;

/// The characters of `[address] delimiter`. Each of them separates a detail from the part before it.
///
/// ```
/// use mailauth_core::{Login, detail::Delimiters};
/// let plus = Delimiters::default();
/// let login = |text: &str| Login::parse(text.as_bytes(), None).unwrap();
/// let address = login("anna+news@example.org");
/// let split = plus.split(&address).unwrap();
/// assert_eq!((split.base, split.detail), (login("anna@example.org"), "news"));
/// assert_eq!(plus.split(&login("+news@example.org")), None);
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Delimiters(String);

/// The two parts of an address.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Split<'a> {
    /// The address without its detail.
    pub base: Login,
    /// The character between the two parts.
    pub delimiter: char,
    /// The detail, which may be empty.
    pub detail: &'a str,
}

impl Default for Delimiters {
    fn default() -> Self {
        Delimiters("+".to_owned())
    }
}

impl Delimiters {
    /// Returns the characters.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Reads the characters. An empty text disables details.
    ///
    /// # Errors
    /// Fails with a sentence for a character that is part of names or cannot be in an address.
    pub fn parse(text: &str) -> Result<Self, String> {
        match text.chars().find(|c| !"+-_=#!$%&'*?^{|}~".contains(*c)) {
            Some(wrong) => Err(format!(
                "{wrong:?} cannot be a delimiter; write one or more of + - _ = # and other signs, or \"\" for none"
            )),
            None => Ok(Delimiters(text.to_owned())),
        }
    }

    /// Returns the address without its detail, split at the first delimiter; `None` if it has no detail, or nothing
    /// before it.
    pub fn split<'a>(&self, address: &'a Login) -> Option<Split<'a>> {
        let local = address.local_part();
        let at = local.find(|c| self.0.contains(c)).filter(|at| *at > 0)?;
        let (base, rest) = local.split_at(at);
        let delimiter = rest.chars().next()?;
        let base = Login::parse(format!("{base}@{}", address.domain()).as_bytes(), None).ok()?;
        Some(Split { base, delimiter, detail: rest.get(delimiter.len_utf8()..)? })
    }

    /// Returns true if one of these characters is a delimiter.
    pub fn has_one_of(&self, characters: &str) -> bool {
        characters.contains(|c| self.0.contains(c))
    }

    /// Returns true if this local part already has a detail.
    pub fn are_in(&self, local: &str) -> bool {
        local.find(|c| self.0.contains(c)).is_some_and(|at| at > 0)
    }
}

/// Returns the detail if it may be part of the name of a folder: ASCII letters and digits, `-`, `_`, `+` and `=`. The
/// sender of a message chooses it, so a detail that could lead out of a mailbox, or into a folder below another one, is
/// rejected.
pub fn as_folder(detail: &str) -> &str {
    let plain = |b: u8| b.is_ascii_alphanumeric() || b"-_+=".contains(&b);
    if detail.len() <= MOST && detail.bytes().all(plain) { detail } else { "" }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn login(text: &str) -> Login {
        Login::parse(text.as_bytes(), None).unwrap()
    }

    #[test]
    fn the_first_of_the_delimiters_separates() {
        let split = |delimiters: &str, address: &str| {
            let delimiters = Delimiters::parse(delimiters).unwrap();
            let address = login(address);
            let split = delimiters.split(&address);
            split.map(|split| format!("{} {} {}", split.base, split.delimiter, split.detail))
        };
        assert_eq!(split("+", "anna+news@x.example").unwrap(), "anna@x.example + news");
        assert_eq!(split("+", "anna+a+b@x.example").unwrap(), "anna@x.example + a+b");
        assert_eq!(split("+-", "anna-a+b@x.example").unwrap(), "anna@x.example - a+b");
        assert_eq!(split("+", "anna+@x.example").unwrap(), "anna@x.example + ");
        for (delimiters, address) in
            [("", "anna+news@x.example"), ("-", "anna+news@x.example"), ("+", "+news@x.example"), ("+", "anna@x+y")]
        {
            assert_eq!(split(delimiters, address), None, "{delimiters:?} {address}");
        }
    }

    #[test]
    fn what_belongs_to_names_is_no_delimiter() {
        for text in ["a", "+1", ".", "@", " ", "+ ", "ü", "/", "\"", "+\n"] {
            assert!(Delimiters::parse(text).is_err(), "{text:?}");
        }
    }

    #[test]
    fn a_detail_that_could_lead_elsewhere_names_no_folder() {
        for detail in [".", "..", "../x", "a/b", "a.b", "ü", "a b", "a&b", "$x", "%", "\u{7f}", &"x".repeat(65)] {
            assert_eq!(as_folder(detail), "", "{detail}");
        }
        assert_eq!(as_folder("news-2026_a+b=c"), "news-2026_a+b=c");
    }

    proptest! {
        #[test]
        fn what_is_split_can_be_put_together(local in "[a-z+_-]{1,12}") {
            let address = login(&format!("{local}@x.example"));
            if let Some(Split { base, delimiter, detail }) = Delimiters::parse("+-").unwrap().split(&address) {
                let whole = format!("{}{delimiter}{detail}@{}", base.local_part(), base.domain());
                prop_assert_eq!(whole, address.to_string());
            }
        }
    }
}
