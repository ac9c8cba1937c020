//! One spelling for each address, whatever form it came in.
//!
//! A domain name beyond ASCII can be written in many ways that are the same name: in letters, composed or not, in upper
//! or lower case, full-width, and in ASCII with `xn--`, the form that mail servers look up and mostly send. Logins,
//! addresses and domains are looked up, stored and compared in the ASCII form (UTS 46, not transitional). In a local
//! part only the letters are composed (NFC), because mail servers send those unchanged.
//!
//! A spelling beyond ASCII is never mapped to a name in ASCII: a Kelvin sign is not a k in a login, and a full-width
//! letter is not an ASCII letter in its domain (`is_disguised`). Programs that fold or limit logins by ASCII alone
//! would take them for different logins.
//!
//! An ASCII name without `xn--` has one spelling and is only scanned once. An ASCII name with a label that begins with
//! `xn--` but is not a valid international name is kept: it may have worked for years.

use idna::uts46::{AsciiDenyList, DnsLength, Hyphens, Uts46};
use std::borrow::Cow;
use unicode_normalization::{UnicodeNormalization, is_nfc};

/// Maximum number of bytes of a label.
const MAX_LABEL: usize = 63;

/// Prefix of the labels of international names.
const PREFIX: &str = "xn--";

/// Dots beyond ASCII that separate labels (UTS 46).
const DOTS: [char; 3] = ['\u{3002}', '\u{ff0e}', '\u{ff61}'];

/// A name beyond ASCII that no domain can have: it contains an invalid character, or a label that is too long in its
/// ASCII form.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct NoName;

/// Returns false for a text that has one spelling only.
pub(crate) fn may_vary(folded: &str) -> bool {
    !folded.is_ascii() || folded.contains(PREFIX)
}

/// Returns true if a part of this address or login is beyond ASCII, and its spelling is not.
pub(crate) fn is_disguised(text: &str) -> bool {
    if text.is_ascii() {
        return false;
    }
    let (local, domain) = text.rsplit_once('@').unwrap_or((text, ""));
    // The long s becomes an s in programs that fold case by upper-case letters.
    let as_letter = |c: char| c == '\u{17f}' || c.to_lowercase().nfc().all(|c| c.is_ascii());
    let in_domain = |c: char| as_letter(c) || c.nfkc().flat_map(char::to_lowercase).all(|c| c.is_ascii());
    let is_beyond = |c: &char| !c.is_ascii();
    let separates = |c: char| DOTS.contains(&c);
    local.chars().filter(is_beyond).any(as_letter)
        || domain.chars().filter(|c| is_beyond(c) && !separates(*c)).any(in_domain)
        // Dots of East Asian keyboards, and characters that are ignored, do not make another name of an ASCII one.
        || !domain.is_ascii() && to_ascii(domain).is_some_and(|ascii| has_plain_label(domain, &ascii))
}

/// Returns true if a label beyond ASCII is in ASCII in `ascii`, or only the dots are beyond it.
fn has_plain_label(domain: &str, ascii: &str) -> bool {
    let labels = domain.split(|c| c == '.' || DOTS.contains(&c)).zip(ascii.split('.'));
    !ascii.contains(PREFIX) || labels.into_iter().any(|(label, ascii)| !label.is_ascii() && !ascii.starts_with(PREFIX))
}

/// Returns an address, or a login without a domain, in the spelling that is looked up.
pub(crate) fn address(text: &str) -> Result<String, NoName> {
    match text.rsplit_once('@') {
        Some((local, name)) => Ok(format!("{}@{}", composed(local), domain(name)?)),
        None => Ok(composed(text)),
    }
}

/// Returns a domain name in the spelling that is looked up. The name must not be folded before: the case of some
/// letters, such as the sigma at the end of a word, is decided by this mapping.
pub(crate) fn domain(text: &str) -> Result<Cow<'_, str>, NoName> {
    match to_ascii(text) {
        Some(ascii) => Ok(ascii),
        None if text.is_ascii() => Ok(text.to_ascii_lowercase().into()),
        None => Err(NoName),
    }
}

/// Returns true if each label of this ASCII name that begins with `xn--` is a valid international name.
pub(crate) fn is_genuine(name: &str) -> bool {
    !may_vary(name) || to_ascii(name).is_some()
}

/// Returns a domain name in the letters of its language, for people.
pub fn readable_domain(name: &str) -> Cow<'_, str> {
    if !name.contains(PREFIX) {
        return Cow::Borrowed(name);
    }
    match Uts46::new().to_unicode(name.as_bytes(), AsciiDenyList::EMPTY, Hyphens::Allow) {
        (letters, Ok(())) if !letters.chars().any(|c| c.is_control() || c.is_whitespace()) => letters,
        _ => Cow::Borrowed(name),
    }
}

/// Returns a login or address with its domain in the letters of its language, for people.
///
/// ```
/// use mailauth_core::spelling::readable;
/// assert_eq!(readable("anna@xn--bcher-kva.example"), "anna@bücher.example");
/// assert_eq!(readable("anna@example.org"), "anna@example.org");
/// ```
pub fn readable(address: &str) -> Cow<'_, str> {
    match address.rsplit_once('@') {
        Some((local, name)) if name.contains(PREFIX) => format!("{local}@{}", readable_domain(name)).into(),
        _ => Cow::Borrowed(address),
    }
}

/// Returns an address or a domain name in the letters of its language.
pub fn readable_name(name: &str) -> Cow<'_, str> {
    if name.contains('@') { readable(name) } else { readable_domain(name) }
}

/// Returns an address with its domain in the spelling that is looked up, and its local part unchanged: the local part
/// belongs to the host that the mail goes to.
pub fn respelt_target(text: &str) -> Cow<'_, str> {
    let Some((local, name)) = text.rsplit_once('@') else { return Cow::Borrowed(text) };
    if name.is_ascii() {
        return Cow::Borrowed(text);
    }
    domain(name).map_or(Cow::Borrowed(text), |name| format!("{local}@{name}").into())
}

fn to_ascii(name: &str) -> Option<Cow<'_, str>> {
    let ascii = Uts46::new().to_ascii(name.as_bytes(), AsciiDenyList::EMPTY, Hyphens::Allow, DnsLength::Ignore).ok()?;
    let legal = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || matches!(byte, b'-' | b'_');
    let fits = |label: &str| label.bytes().all(legal) && (label.len() <= MAX_LABEL || !label.starts_with(PREFIX));
    ascii.split('.').all(fits).then_some(ascii)
}

fn composed(local: &str) -> String {
    let folded = local.to_lowercase();
    if is_nfc(&folded) { folded } else { folded.nfc().collect() }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn every_spelling_of_a_domain_is_the_same() {
        for (spelling, same) in [
            ("bücher.example", "xn--bcher-kva.example"),
            ("bu\u{308}cher.example", "xn--bcher-kva.example"),
            ("xn--bcher-kva.example", "xn--bcher-kva.example"),
            ("b\u{fc}cher\u{ff0e}example", "xn--bcher-kva.example"),
            ("b\u{fc}cher\u{3002}example", "xn--bcher-kva.example"),
            ("\u{ff45}xample.org", "example.org"),
            ("straße.example", "xn--strae-oqa.example"),
            ("日本語.example", "xn--wgv71a119e.example"),
            ("mail_1.bücher.example", "mail_1.xn--bcher-kva.example"),
            ("BU\u{308}CHER.Example", "xn--bcher-kva.example"),
            ("XN--Bcher-KVA.example", "xn--bcher-kva.example"),
            ("σασ.example", "xn--mxa9ab.example"),
            ("ΣΑΣ.example", "xn--mxa9ab.example"),
            ("sub.xn--bcher-kva.bücher", "sub.xn--bcher-kva.xn--bcher-kva"),
        ] {
            assert_eq!(domain(spelling).as_deref(), Ok(same), "{spelling}");
        }
    }

    #[test]
    fn a_name_in_ascii_is_never_refused() {
        assert_eq!(domain("XN--ZZZZZZ999.Example").as_deref(), Ok("xn--zzzzzz999.example"));
        let long = format!("{}.example", "x".repeat(64));
        for name in [
            "example.org",
            "under_score.example",
            "xn--.example",
            "xn--zzzzzz999.example",
            "-a-.example",
            "a..b",
            &long,
        ] {
            assert_eq!(domain(name).as_deref(), Ok(name));
        }
        assert!(
            !is_genuine("xn--zzzzzz999.example") && is_genuine("xn--bcher-kva.example") && is_genuine("a_b.example")
        );
    }

    #[test]
    fn what_cannot_be_the_name_of_a_domain_is_refused() {
        let long = "ü".repeat(64);
        for name in [
            "ü/x.example",
            "ü x.example",
            "\u{2100}.example",
            "ü\u{ff20}x",
            "\u{200d}.example",
            "ü\u{0}.example",
            &long,
        ] {
            assert_eq!(domain(name), Err(NoName), "{name:?}");
        }
    }

    #[test]
    fn what_lies_beyond_ascii_is_no_other_spelling_of_what_does_not() {
        for text in [
            "\u{212a}urt@x.example", // Kelvin sign
            "\u{212a}urt",
            "hanne\u{17f}@x.example", // long s
            "a\u{37e}b@x.example",    // Greek question mark
            "kurt@\u{212a}.example",
            "kurt@\u{ff45}xample.org", // full-width e
            "kurt@x.example\u{ff0e}org",
            "kurt@x\u{3002}example",
            "kurt@b\u{fc}cher.\u{1d41e}xample", // mathematical bold e
            "kurt@\u{ff42}\u{fc}cher.example",
            "kurt@o\u{fb03}ce.example", // ligature ffi
            "kurt@x\u{ad}.example",     // soft hyphen
            "kurt@x\u{200b}.b\u{fc}cher",
            "kurt@\u{2075}.example",
        ] {
            assert!(is_disguised(text), "{text:?}");
        }
        for text in [
            "kurt@x.example",
            "jürgen@bücher.example",
            "ju\u{308}rgen@bu\u{308}cher\u{3002}example",
            "ışık@x.example",
            "İbrahim@x.example",
            "straße@straße.example",
            "日本@日本語．日本",
            "σασ@σασ.example",
            "kurt@xn--bcher-kva.example",
        ] {
            assert!(!is_disguised(text), "{text:?}");
        }
    }

    #[test]
    fn people_read_letters() {
        assert_eq!(readable("anna@xn--bcher-kva.example"), "anna@bücher.example");
        assert_eq!(readable_domain("sub.xn--wgv71a119e.example"), "sub.日本語.example");
        for text in ["anna@example.org", "anna", "@xn--zzzzzz999.example", "xn--bcher-kva"] {
            assert_eq!(readable(text), text);
        }
    }

    #[test]
    fn the_local_part_of_a_target_is_left_alone() {
        assert_eq!(respelt_target("Anna@BÜCHER.example"), "Anna@xn--bcher-kva.example");
        assert_eq!(respelt_target("ju\u{308}rgen@Example.ORG"), "ju\u{308}rgen@Example.ORG");
    }

    proptest! {
        #[test]
        fn a_spelling_is_spelt_the_same_again(text in "\\PC{0,20}") {
            if let Ok(once) = address(&text) {
                prop_assert_eq!(address(&once), Ok(once));
            }
        }

        #[test]
        fn no_spelling_in_ascii_has_one_beyond_it(text in "[a-zA-Z@.\\PC]{1,20}") {
            if !text.is_ascii() && !is_disguised(&text) {
                let spelt = address(&text).unwrap_or_else(|_| "\u{fc}".into());
                prop_assert!(!spelt.is_ascii() || spelt.contains(PREFIX), "{text:?} is {spelt:?}");
            }
        }

        #[test]
        fn what_people_read_is_the_same_name(text in "[a-zäöüßéñ日本.-]{1,20}") {
            if let Ok(name) = domain(&text) {
                let readable = readable_domain(&name);
                prop_assert_eq!(domain(&readable), Ok(name.clone()));
            }
        }
    }
}
