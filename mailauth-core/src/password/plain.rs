//! Clear passwords: `{PLAIN}`, `{CLEAR}`, `{CLEARTEXT}`, and Dovecot's `{PLAIN-TRUNC}N-text`, which keeps only the
//! first N bytes of a password.

use super::scheme::{Read, Scheme, Verifier};
use super::{Flaw, HashRules, Kind, encoding};
use crate::Secret;

pub const SCHEMES: &[Scheme] =
    &[Scheme::clear(&["PLAIN", "CLEAR", "CLEARTEXT"], read), Scheme::clear(&["PLAIN-TRUNC"], read_truncated)];

/// Scheme and cost of a clear password.
pub const KIND: Kind = Kind { scheme: "PLAIN", cost: [0; 3] };

struct Plain(Secret);

fn read(text: &[u8], _: &HashRules) -> Read {
    Ok(Box::new(Plain(text.into())))
}

impl Verifier for Plain {
    fn kind(&self) -> Kind {
        KIND
    }

    fn verify(&self, _: &str, password: &[u8]) -> Result<bool, Flaw> {
        Ok(self.0.matches(password))
    }

    fn dummy(&self) -> Box<dyn Verifier> {
        Box::new(NeverMatches(KIND))
    }

    fn clear(&self) -> Option<&[u8]> {
        Some(self.0.expose())
    }
}

/// A value that no password matches, in a scheme without cost.
pub struct NeverMatches(pub Kind);

impl Verifier for NeverMatches {
    fn kind(&self) -> Kind {
        self.0
    }

    fn verify(&self, _: &str, _: &[u8]) -> Result<bool, Flaw> {
        Ok(false)
    }

    fn dummy(&self) -> Box<dyn Verifier> {
        Box::new(NeverMatches(self.0))
    }
}

struct Truncated {
    kept: usize,
    start: Secret,
}

fn read_truncated(text: &[u8], _: &HashRules) -> Read {
    let malformed =
        Flaw::Malformed { scheme: "PLAIN-TRUNC", what: "it is not of the form N-text with at most N bytes of text" };
    let at = text.iter().position(|b| *b == b'-').ok_or(malformed.clone())?;
    let (number, start) = (text.get(..at).unwrap_or_default(), text.get(at + 1..).unwrap_or_default());
    let kept = encoding::number(number).map_or(0, |n| n as usize);
    if kept == 0 || start.is_empty() || start.len() > kept {
        return Err(malformed);
    }
    Ok(Box::new(Truncated { kept, start: start.into() }))
}

impl Verifier for Truncated {
    fn kind(&self) -> Kind {
        Kind { scheme: "PLAIN-TRUNC", cost: [0; 3] }
    }

    fn verify(&self, _: &str, password: &[u8]) -> Result<bool, Flaw> {
        Ok(self.start.matches(password.get(..self.kept).unwrap_or(password)))
    }

    fn dummy(&self) -> Box<dyn Verifier> {
        Box::new(NeverMatches(self.kind()))
    }
}
