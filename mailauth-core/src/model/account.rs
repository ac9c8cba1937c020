//! Logins, the rows that hold accounts, and the accounts that adapters receive.

use super::limits::Limits;
use crate::{DomainName, Secret, Services, spelling};
use std::borrow::Cow;
use std::fmt;
use std::path::{Path, PathBuf};

/// The name of an account: `local@domain`, folded to lower case, of limited length, without control characters or
/// spaces, in
/// the spelling of [`crate::spelling`].
///
/// A `Login` can be looked up; whether an account has this name is known to the store only.
///
/// ```
/// use mailauth_core::Login;
/// let login = Login::parse(b"Anna@Example.org", None).unwrap();
/// assert_eq!(login.as_str(), "anna@example.org");
/// assert_eq!((login.local_part(), login.domain()), ("anna", "example.org"));
/// assert_eq!(Login::parse(b"anna", Some("example.org")).unwrap(), login);
/// ```
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Login(String);

/// Why some bytes cannot be the login of any account. To a client this is a plain "no".
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum LoginError {
    /// The login is empty.
    #[error("the login is empty")]
    Empty,
    /// The login has more than [`Login::MAX`] bytes.
    #[error("the login is longer than {} bytes", Login::MAX)]
    TooLong,
    /// The login is not UTF-8.
    #[error("the login is not valid UTF-8")]
    NotUtf8,
    /// The login contains a control character or white space.
    #[error("the login holds a control character or a space")]
    Unprintable,
    /// There is nothing before or after the last `@`.
    #[error("the login lacks its name or its domain")]
    Incomplete,
    /// The login contains a character beyond ASCII that would be folded into one of ASCII, such as the Kelvin sign.
    #[error("the login holds a character beyond ASCII that only looks like one of ASCII, such as a full-width letter")]
    Disguised,
    /// The domain has characters beyond ASCII and is not a valid international name.
    #[error("the login's domain is no name: it holds a character that has no place there, or is too long")]
    Domain,
}

impl Login {
    /// Maximum number of bytes of a login: that of a path of RFC 5321, section 4.5.3.1.3, without its brackets.
    pub const MAX: usize = 254;

    /// Reads a login as a client sent it. If it has no `@`, `default_domain` is appended, if there is one.
    ///
    /// # Errors
    /// Fails if no account can have this name.
    pub fn parse(sent: &[u8], default_domain: Option<&str>) -> Result<Self, LoginError> {
        if sent.is_empty() {
            return Err(LoginError::Empty);
        }
        if sent.len() > Self::MAX {
            return Err(LoginError::TooLong);
        }
        let text = std::str::from_utf8(sent).map_err(|_| LoginError::NotUtf8)?;
        if text.chars().any(|c| c.is_control() || c.is_whitespace()) {
            return Err(LoginError::Unprintable);
        }
        if spelling::is_disguised(text) {
            return Err(LoginError::Disguised);
        }
        let mut login = text.to_lowercase();
        if spelling::may_vary(&login) {
            login = spelling::address(text).map_err(|spelling::NoName| LoginError::Domain)?;
        }
        match (login.rsplit_once('@'), default_domain) {
            (Some(("", _) | (_, "")), _) => return Err(LoginError::Incomplete),
            (None, Some(domain)) => {
                login.push('@');
                login.push_str(domain);
            }
            _ => {}
        }
        // Folding and the default domain can both lengthen the login.
        if login.len() > Self::MAX { Err(LoginError::TooLong) } else { Ok(Login(login)) }
    }

    /// Returns the login of a row as it is stored. The spelling may differ from that of [`Login::parse`] if an older
    /// version or another program wrote an international name. `None` if no login is looked up by these bytes.
    pub fn as_it_stands(stored: &[u8]) -> Option<Self> {
        let text = std::str::from_utf8(stored).ok()?;
        (Self::parse(stored, None).is_ok() && text.to_lowercase() == text).then(|| Login(text.to_owned()))
    }

    /// Reads a login as a person typed it: without white space at either end. If it has no `@`, a full-width `＠` or the
    /// last of the `separators` in it is read as one.
    ///
    /// ```
    /// use mailauth_core::Login;
    /// let anna = Login::parse(b"anna@example.org", None);
    /// assert_eq!(Login::typed(b" anna%example.org ", None, "%"), anna);
    /// assert_eq!(Login::typed(b"anna@example.org ", None, ""), anna);
    /// ```
    ///
    /// # Errors
    /// Fails if no account can have this name.
    pub fn typed(sent: &[u8], default_domain: Option<&str>, separators: &str) -> Result<Self, LoginError> {
        let sent = trimmed(sent);
        let has_one_form = separators.is_empty() && sent.is_ascii();
        if has_one_form || sent.len() > Self::MAX || sent.contains(&b'@') {
            return Self::parse(sent, default_domain);
        }
        let text = std::str::from_utf8(sent).map_err(|_| LoginError::NotUtf8)?;
        match text.rsplit_once(|c| matches!(c, '\u{ff20}' | '\u{fe6b}') || separators.contains(c)) {
            Some((local, domain)) => Self::parse(format!("{local}@{domain}").as_bytes(), None),
            None => Self::parse(sent, default_domain),
        }
    }

    /// Returns the whole login.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Returns the whole login for people, with its domain in the letters of its language.
    pub fn readable(&self) -> Cow<'_, str> {
        spelling::readable(&self.0)
    }

    /// Returns the part before the last `@`; the whole login if it has none.
    pub fn local_part(&self) -> &str {
        self.0.rsplit_once('@').map_or(&self.0, |(local, _)| local)
    }

    /// Returns the part after the last `@`; empty if the login has none.
    pub fn domain(&self) -> &str {
        self.0.rsplit_once('@').map_or("", |(_, domain)| domain)
    }

    /// Returns the login with the same local part in another domain; `None` if it is too long.
    pub fn in_domain(&self, domain: &DomainName) -> Option<Self> {
        Self::parse(format!("{}@{domain}", self.local_part()).as_bytes(), None).ok()
    }
}

/// Returns `text` without white space at either end, which telephones add to a login. Line breaks and control
/// characters other than the tab are not white space here: they make a login unusable.
pub fn trimmed(text: &[u8]) -> &[u8] {
    let blank = |c: char| c == '\t' || (c.is_whitespace() && !c.is_control() && !matches!(c, '\u{2028}' | '\u{2029}'));
    match std::str::from_utf8(text) {
        Ok(text) => text.trim_matches(blank).as_bytes(),
        // Such a text is not a login in either case.
        Err(_) => text,
    }
}

impl fmt::Display for Login {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for Login {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&self.0, f)
    }
}

/// One row of the table of accounts, as it is stored. `None` is NULL or empty, and means the value of
/// [`crate::mailbox::MailboxDefaults`] if it has this field.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AccountRow {
    /// The login as the table spells it, in lower case.
    pub login: Login,
    /// The stored password, a hash in most tables; empty if none is set.
    pub password: Password,
    /// Whether the account is enabled. A disabled account cannot log in and receives no mail.
    pub enabled: bool,
    /// Whether the account's domain is enabled. Written by the commands for domains, never with the account.
    pub domain_enabled: bool,
    /// The services that the account may log in to.
    pub services: Services,
    /// System user id that owns the mailbox.
    pub uid: Option<u32>,
    /// System group id of the mailbox.
    pub gid: Option<u32>,
    /// Absolute path of the home.
    pub home: Option<String>,
    /// Path of the Maildir, absolute or relative to `home`.
    pub maildir: Option<String>,
    /// Maximum number of stored bytes; 0 is no limit.
    pub quota_bytes: Option<u64>,
    /// Maximum number of stored messages; 0 is no limit.
    pub quota_messages: Option<u64>,
    /// Name of the person.
    pub name: Option<String>,
    /// Courier's account options: `name=value`, separated by commas.
    pub options: Option<String>,
    /// Whether the account receives mail, independent of what else it may do.
    pub receives: bool,
}

impl AccountRow {
    /// Returns an enabled account without a password, with all other fields left to the defaults.
    pub fn new(login: Login) -> Self {
        AccountRow {
            login,
            password: Password::default(),
            enabled: true,
            domain_enabled: true,
            services: Services::All,
            uid: None,
            gid: None,
            home: None,
            maildir: None,
            quota_bytes: None,
            quota_messages: None,
            name: None,
            options: None,
            receives: true,
        }
    }
}

/// A stored password: a [`Secret`] that can be compared, for tests and for compare-and-swap.
#[derive(Clone, Debug, Default)]
pub struct Password(pub Secret);

impl PartialEq for Password {
    fn eq(&self, other: &Self) -> bool {
        self.0.matches(other.0.expose())
    }
}

impl Eq for Password {}

/// An account that may be used, with every default filled in. A "yes" carries it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Account {
    /// The login in the spelling of the table, not of the client.
    pub login: Login,
    /// System user id that owns the mailbox.
    pub uid: u32,
    /// System group id of the mailbox.
    pub gid: u32,
    /// Absolute path, without a control character.
    pub home: String,
    /// Path of the Maildir, absolute or relative to `home`; `None` leaves it to the program's own default.
    pub maildir: Option<String>,
    /// Limits on the stored mail.
    pub quota: Limits,
    /// Name of the person; empty if unknown.
    pub name: String,
    /// Account options: `name=value`, separated by commas; may be empty.
    pub options: String,
    /// The stored password; empty if none is set, or if the account came over a socket that does not send it.
    pub password: Password,
}

impl Account {
    /// Returns the path of the Maildir: `Maildir` in the home, unless the account names another.
    pub fn maildir_path(&self) -> PathBuf {
        Path::new(&self.home).join(self.maildir.as_deref().unwrap_or("Maildir"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_bare_login_gets_the_default_domain_and_stays_bare_without_one() {
        assert_eq!(Login::parse(b"anna", Some("example.org")).unwrap().as_str(), "anna@example.org");
        assert_eq!(Login::parse(b"anna", None).unwrap().domain(), "");
    }

    #[test]
    fn bytes_that_no_account_can_be_named_by_say_why() {
        let parse = |sent: &[u8]| Login::parse(sent, None).unwrap_err();
        assert_eq!(parse(b""), LoginError::Empty);
        assert_eq!(parse(&[b'x'; 255]), LoginError::TooLong);
        assert_eq!(parse(b"\xff\xfe@x.example"), LoginError::NotUtf8);
        for sent in ["a b@x", "a@x\0", "a@x\r", "a\t@x", "a@x\u{85}", "a\u{a0}@x"] {
            assert_eq!(parse(sent.as_bytes()), LoginError::Unprintable, "{sent:?}");
        }
        for sent in ["@", "a@", "@x"] {
            assert_eq!(parse(sent.as_bytes()), LoginError::Incomplete, "{sent:?}");
        }
    }

    #[test]
    fn every_spelling_of_an_international_login_is_the_same() {
        let parse = |sent: &str| Login::parse(sent.as_bytes(), None).map(|login| login.to_string());
        for sent in [
            "jürgen@bücher.example",
            "JÜRGEN@BÜCHER.example",
            "ju\u{308}rgen@bu\u{308}cher.example",
            "Ju\u{308}rgen@XN--BCHER-KVA.example",
            "jürgen@bücher\u{3002}example",
        ] {
            assert_eq!(parse(sent).as_deref(), Ok("jürgen@xn--bcher-kva.example"), "{sent}");
        }
        let login = Login::typed("jürgen＠bücher．example".as_bytes(), None, "").unwrap();
        assert_eq!(login.as_str(), "jürgen@xn--bcher-kva.example");
        assert_eq!(login.readable(), "jürgen@bücher.example");
        assert_eq!(parse("a@ü/x"), Err(LoginError::Domain));
        for sent in ["a@\u{2100}.example", "a@x.\u{200b}\u{200d}"] {
            assert!(matches!(parse(sent), Err(LoginError::Disguised | LoginError::Domain)), "{sent:?}");
        }
        assert_eq!(parse("a@xn--zzzzzz999.example").as_deref(), Ok("a@xn--zzzzzz999.example"));
        assert_eq!(parse("a@b_c.example.").as_deref(), Ok("a@b_c.example."));
        // Its ASCII form is longer.
        assert_eq!(parse(&format!("a@{}x", "ü.".repeat(80))), Err(LoginError::TooLong));
    }

    #[test]
    fn a_character_that_would_fold_into_ascii_is_in_no_login() {
        let parse = |sent: &str| Login::parse(sent.as_bytes(), Some("example.org"));
        for sent in ["\u{212a}urt", "\u{212a}urt@example.org", "kurt@e\u{ff58}ample.org", "hanne\u{17f}@example.org"] {
            assert_eq!(parse(sent), Err(LoginError::Disguised), "{sent}");
            assert_eq!(Login::as_it_stands(sent.as_bytes()), None, "{sent}");
        }
        assert_eq!(parse("KURT@Example.ORG").unwrap().as_str(), "kurt@example.org");
    }

    #[test]
    fn a_login_keeps_its_local_part_in_another_domain() {
        let other = DomainName::parse("other.example").unwrap();
        let moved = |login: &str| Login::parse(login.as_bytes(), None).unwrap().in_domain(&other);
        assert_eq!(moved("a@b@x.example").unwrap().as_str(), "a@b@other.example");
        assert_eq!(moved(&format!("{}@x", "a".repeat(Login::MAX - 2))), None);
    }

    #[test]
    fn folding_cannot_push_a_login_over_its_bound() {
        // U+0130 folds to three bytes from two.
        assert_eq!(Login::parse("İ".repeat(127).as_bytes(), None), Err(LoginError::TooLong));
    }

    #[test]
    fn white_space_around_a_typed_login_is_ignored_but_not_inside() {
        let typed = |sent: &str| Login::typed(sent.as_bytes(), None, "").map(|login| login.to_string());
        for sent in ["a@x ", " a@x", "\ta@x\t", "a@x\u{a0}", "\u{3000}a@x \u{2003}", "a@x\u{202f}"] {
            assert_eq!(typed(sent).as_deref(), Ok("a@x"), "{sent:?}");
        }
        for sent in ["a b@x", "a @x", "a@ x", "a@x\n", "a@x\r", "\na@x", "a@x \0", "a@x\u{85}", "a@x\u{2028}"] {
            assert_eq!(typed(sent), Err(LoginError::Unprintable), "{sent:?}");
        }
        assert_eq!(typed(" \t "), Err(LoginError::Empty));
        assert_eq!(Login::typed(b" a@\xff ", None, ""), Err(LoginError::NotUtf8));
        let padded = format!("{}{}@x{}", " ".repeat(300), "l".repeat(Login::MAX - 2), " ".repeat(300));
        assert_eq!(typed(&padded).unwrap().len(), Login::MAX);
    }

    #[test]
    fn the_last_separator_stands_for_the_sign_that_is_missing() {
        let typed = |sent: &str, separators| {
            Login::typed(sent.as_bytes(), Some("example.org"), separators).map(|login| login.to_string())
        };
        for (sent, separators, login) in [
            ("anna%x.example", "%", "anna@x.example"),
            (" Anna%X.example ", "%", "anna@x.example"),
            ("a%b%x.example", "%", "a%b@x.example"),
            ("a%b/x.example", "/%", "a%b@x.example"),
            ("a/b%x.example", "/%", "a/b@x.example"),
            ("a%b@x.example", "%", "a%b@x.example"),
            ("anna", "%", "anna@example.org"),
            ("anna%x.example", "", "anna%x.example@example.org"),
            ("j\u{fc}rgen%x.example", "%", "j\u{fc}rgen@x.example"),
        ] {
            assert_eq!(typed(sent, separators).as_deref(), Ok(login), "{sent:?} with {separators:?}");
        }
        assert_eq!(typed("anna%", "%"), Err(LoginError::Incomplete));
        assert_eq!(typed("%x.example", "%"), Err(LoginError::Incomplete));
    }

    proptest! {
        #[test]
        fn any_bytes_are_a_bounded_folded_login_or_an_error(sent in proptest::collection::vec(any::<u8>(), 0..300)) {
            if let Ok(login) = Login::parse(&sent, Some("example.org")) {
                prop_assert!(login.as_str().len() <= Login::MAX);
                prop_assert!(!login.as_str().chars().any(|c| c.is_control() || c.is_whitespace()));
                prop_assert_eq!(Login::parse(login.as_str().as_bytes(), None).unwrap(), login);
            }
        }
    }
}
