//! How well the schemes protect a password from those who read the table: for advice to administrators.
//!
//! An attacker that has a stored value can try passwords at the speed of its scheme. No decision about a login depends on
//! any of this.

use super::table::scheme_of;
use super::{NewScheme, Stored};

/// How expensive it is to find the password of a stored value by trying.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Strength {
    /// Slow on every hardware.
    Recommended,
    /// Slow on a processor, and fast on graphics cards.
    Acceptable,
    /// Millions of passwords a second.
    Weak,
    /// The stored value is the password, or is as good as the password.
    Clear,
}

impl Strength {
    /// Returns `recommended`, `acceptable`, `weak` or `clear`.
    pub fn name(self) -> &'static str {
        match self {
            Strength::Recommended => "recommended",
            Strength::Acceptable => "acceptable",
            Strength::Weak => "weak",
            Strength::Clear => "clear",
        }
    }
}

/// A scheme, for people.
#[derive(Debug)]
pub struct SchemeSummary {
    /// Name, which is that of its prefix too.
    pub name: &'static str,
    /// Strength of a value with a usual cost.
    pub strength: Strength,
    /// What it is.
    pub description: &'static str,
    /// What distinguishes a value without a prefix and an id.
    pub shape: Option<&'static str>,
    /// True if the login is hashed too, so that a value is of one login only.
    pub hashes_login: bool,
    /// Challenge mechanisms that can be verified with it.
    pub challenges: &'static [&'static str],
}

const ALL_CHALLENGES: &[&str] = &["CRAM-MD5", "CRAM-SHA1", "CRAM-SHA256", "APOP"];

const fn scheme(name: &'static str, strength: Strength, description: &'static str) -> SchemeSummary {
    SchemeSummary { name, strength, description, shape: None, hashes_login: false, challenges: &[] }
}

const fn shaped(name: &'static str, description: &'static str, shape: &'static str) -> SchemeSummary {
    SchemeSummary { shape: Some(shape), ..scheme(name, Strength::Weak, description) }
}

/// All schemes, the strongest first.
pub static SUMMARIES: &[SchemeSummary] = &[
    scheme("ARGON2ID", Strength::Recommended, "Argon2id, which needs much memory"),
    scheme("YESCRYPT", Strength::Recommended, "yescrypt, which needs much memory; the default of Debian"),
    scheme("SCRYPT", Strength::Recommended, "scrypt, which needs much memory"),
    scheme("BLF-CRYPT", Strength::Recommended, "bcrypt; only 72 bytes of the password count"),
    scheme("BCRYPT-SHA256", Strength::Recommended, "bcrypt of an HMAC-SHA256 of the password"),
    scheme("ARGON2I", Strength::Acceptable, "Argon2i; Argon2id is better"),
    scheme("ARGON2D", Strength::Acceptable, "Argon2d; Argon2id is better"),
    scheme("SHA512-CRYPT", Strength::Acceptable, "SHA-512 of crypt(3), which every system knows"),
    scheme("SHA256-CRYPT", Strength::Acceptable, "SHA-256 of crypt(3), which every system knows"),
    scheme("PBKDF2", Strength::Acceptable, "PBKDF2 with SHA-1, as Dovecot writes it"),
    scheme("PBKDF2-SHA1", Strength::Acceptable, "PBKDF2 with SHA-1"),
    scheme("PBKDF2-SHA256", Strength::Acceptable, "PBKDF2 with SHA-256"),
    scheme("PBKDF2-SHA512", Strength::Acceptable, "PBKDF2 with SHA-512"),
    scheme("SCRAM-SHA-1", Strength::Acceptable, "the key of SCRAM-SHA-1; few iterations are usual"),
    scheme(
        "SCRAM-SHA-256",
        Strength::Acceptable,
        "the key of SCRAM-SHA-256, also PostgreSQL's; few iterations are usual",
    ),
    scheme("SHA1-CRYPT", Strength::Acceptable, "iterated HMAC-SHA1 of NetBSD"),
    scheme("PHPASS", Strength::Weak, "iterated MD5 of phpass, as in WordPress"),
    scheme("MD5-CRYPT", Strength::Weak, "MD5 of crypt(3), 1000 rounds"),
    scheme("APR1-CRYPT", Strength::Weak, "MD5 of Apache's htpasswd, 1000 rounds"),
    shaped("BSDI-CRYPT", "extended DES of crypt(3)", "20 characters after _"),
    shaped("DES-CRYPT", "DES of crypt(3); only 8 bytes of the password count", "13 characters"),
    scheme("SSHA512", Strength::Weak, "SHA-512 with a salt, once"),
    scheme("SSHA256", Strength::Weak, "SHA-256 with a salt, once"),
    scheme("SSHA", Strength::Weak, "SHA-1 with a salt, once"),
    scheme("SMD5", Strength::Weak, "MD5 with a salt, once"),
    scheme("SHA512", Strength::Weak, "SHA-512 without a salt"),
    scheme("SHA256", Strength::Weak, "SHA-256 without a salt"),
    scheme("SHA", Strength::Weak, "SHA-1 without a salt"),
    scheme("PLAIN-MD5", Strength::Weak, "MD5 without a salt; {MD5} is this in base64, or MD5-CRYPT"),
    scheme("PLAIN-MD4", Strength::Weak, "MD4 without a salt"),
    scheme("NTLM", Strength::Weak, "the hash of Windows, MD4 without a salt"),
    scheme("MYSQL41", Strength::Weak, "MySQL's PASSWORD(), SHA-1 twice without a salt"),
    scheme("MYSQL323", Strength::Weak, "MySQL's OLD_PASSWORD(), 62 bits without a salt"),
    SchemeSummary {
        hashes_login: true,
        ..shaped("POSTGRES-MD5", "PostgreSQL's MD5 of password and login", "md5 and 32 digits")
    },
    SchemeSummary { hashes_login: true, ..scheme("DIGEST-MD5", Strength::Weak, "MD5 of login, realm and password") },
    SchemeSummary {
        challenges: &["CRAM-MD5"],
        ..scheme("CRAM-MD5", Strength::Weak, "the state of HMAC-MD5, with which others can log in by CRAM-MD5")
    },
    SchemeSummary { challenges: ALL_CHALLENGES, ..scheme("PLAIN", Strength::Clear, "the password itself") },
    SchemeSummary {
        challenges: ALL_CHALLENGES,
        ..scheme("PLAIN-TRUNC", Strength::Clear, "the beginning of the password itself, with its length")
    },
];

impl SchemeSummary {
    /// Returns the scheme of this name.
    pub fn of(name: &str) -> Option<&'static SchemeSummary> {
        SUMMARIES.iter().find(|summary| summary.name == name)
    }

    /// Returns how its values are recognized: prefixes, what they begin with, and what else distinguishes them.
    pub fn forms(&self) -> Vec<String> {
        let (prefixes, ids) = scheme_of(self.name).map_or((&[][..], &[][..]), |scheme| (scheme.prefixes, scheme.ids));
        let prefixes = prefixes.iter().map(|name| format!("{{{name}}}"));
        let ids = ids.iter().map(|id| (*id).to_owned());
        prefixes.chain(ids).chain(self.shape.map(str::to_owned)).collect()
    }

    /// Returns the scheme of new hashes that is this one.
    pub fn new_scheme(&self) -> Option<NewScheme> {
        match self.name {
            "SHA512-CRYPT" => Some(NewScheme::Sha512Crypt),
            "SHA256-CRYPT" => Some(NewScheme::Sha256Crypt),
            "BLF-CRYPT" => Some(NewScheme::Bcrypt),
            "ARGON2ID" => Some(NewScheme::Argon2id),
            "YESCRYPT" => Some(NewScheme::Yescrypt),
            _ => None,
        }
    }
}

/// The cost of a stored value, in words.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Effort {
    /// Its parameters, such as `5000 rounds`; `None` if the scheme has none.
    pub parameters: Option<String>,
    /// Strength of this value: weak, if its cost is far below the usual one.
    pub strength: Strength,
}

/// Cost below which a value counts as weak.
const LEAST_ROUNDS: u32 = 5000;
const LEAST_BCRYPT: u32 = 10;
const LEAST_ITERATIONS: u32 = 100_000;
/// Memory times passes, in KiB.
const LEAST_ARGON2: u64 = 32 << 10;
/// Memory in KiB.
const LEAST_SCRYPT: u64 = 4 << 10;

impl Stored {
    /// Returns what this value costs those who try passwords.
    pub fn effort(&self) -> Effort {
        let kind = self.kind();
        let [first, second, third] = kind.cost;
        let usual = SchemeSummary::of(kind.scheme).map_or(Strength::Weak, |summary| summary.strength);
        let (parameters, is_low) = match kind.scheme {
            "SHA512-CRYPT" | "SHA256-CRYPT" => (format!("{first} rounds"), first < LEAST_ROUNDS),
            "BLF-CRYPT" | "BCRYPT-SHA256" => (format!("cost {first}"), first < LEAST_BCRYPT),
            "ARGON2ID" | "ARGON2I" | "ARGON2D" => {
                let is_low = u64::from(first) * u64::from(second) < LEAST_ARGON2;
                (format!("{first} KiB, {second} passes, {third} lanes"), is_low)
            }
            "YESCRYPT" | "SCRYPT" => {
                let kib = (u64::from(second) << first.min(40)) / 8;
                (format!("{kib} KiB"), kib < LEAST_SCRYPT)
            }
            "BSDI-CRYPT" => (format!("{first} rounds"), true),
            "PHPASS" => (format!("2^{first} rounds"), true),
            _ if first > 0 => (format!("{first} iterations"), first < LEAST_ITERATIONS),
            _ => return Effort { parameters: None, strength: usual },
        };
        Effort { parameters: Some(parameters), strength: if is_low { usual.max(Strength::Weak) } else { usual } }
    }
}

#[cfg(test)]
mod tests {
    use super::super::table::SCHEMES;
    use super::super::{HashRules, hash};
    use super::*;
    use crate::challenge::CramMechanism;

    const SAMPLES: &[(&str, &str)] = &include!("tests/samples.rs");

    #[test]
    fn every_scheme_has_a_summary_and_every_summary_is_a_scheme() {
        for scheme in SCHEMES.iter().flat_map(|family| family.iter()) {
            let named = scheme.prefixes.iter().any(|prefix| *prefix == "MD5" || SchemeSummary::of(prefix).is_some());
            assert!(named, "{:?}", scheme.prefixes);
        }
        for summary in SUMMARIES {
            let scheme = scheme_of(summary.name).unwrap_or_else(|| panic!("{}", summary.name));
            assert!(summary.shape.is_none() || scheme.shape.is_some(), "{}", summary.name);
            assert!(!summary.forms().is_empty() && !summary.description.is_empty());
        }
        assert!(SUMMARIES.is_sorted_by_key(|summary| summary.strength));
        let made: Vec<_> = SUMMARIES.iter().filter_map(SchemeSummary::new_scheme).collect();
        assert!(NewScheme::ALL.iter().all(|scheme| made.contains(scheme)) && made.len() == NewScheme::ALL.len());
    }

    #[test]
    fn the_summary_of_a_value_says_which_challenges_can_use_it() {
        for (name, text) in SAMPLES {
            let stored = Stored::parse(text.as_bytes(), &HashRules::default()).unwrap();
            let summary = SchemeSummary::of(stored.scheme()).unwrap_or_else(|| panic!("{name}"));
            for (mechanism, shown) in [(CramMechanism::Md5, "CRAM-MD5"), (CramMechanism::Apop, "APOP")] {
                assert_eq!(mechanism.can_use(&stored), summary.challenges.contains(&shown), "{name} {shown}");
            }
        }
    }

    #[test]
    fn new_hashes_are_not_weak_and_cheap_ones_are() {
        for scheme in NewScheme::ALL {
            let stored = Stored::parse(scheme.specimen().as_bytes(), &HashRules::default()).unwrap();
            assert!(stored.effort().strength <= Strength::Acceptable, "{scheme:?}: {:?}", stored.effort());
        }
        let made = hash(NewScheme::Bcrypt, b"secret").unwrap();
        let effort = Stored::parse(made.expose(), &HashRules::default()).unwrap().effort();
        assert_eq!(effort, Effort { parameters: Some("cost 10".into()), strength: Strength::Recommended });
        for (name, text) in SAMPLES {
            let effort = Stored::parse(text.as_bytes(), &HashRules::default()).unwrap().effort();
            assert!(effort.strength >= Strength::Weak, "{name}: all samples are cheap: {effort:?}");
        }
        let yescrypt = Stored::parse(NewScheme::Yescrypt.specimen().as_bytes(), &HashRules::default()).unwrap();
        assert_eq!(yescrypt.effort().parameters.as_deref(), Some("16384 KiB"));
    }
}
