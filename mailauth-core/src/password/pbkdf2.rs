//! PBKDF2 (RFC 8018): Dovecot's `{PBKDF2}$1$salt$rounds$hex` with SHA-1 and a salt that is text, and passlib's
//! `$pbkdf2-sha256$rounds$salt$key` in base64 with `.` instead of `+`. passlib's LDAP forms have no id: the rounds
//! follow `{PBKDF2-SHA256}` or a similar prefix, which is `{PBKDF2}` for SHA-1.

use super::scheme::{Read, Scheme, Verifier};
use super::{Cost, Family, Flaw, HashRules, Kind, Task, encoding};
use crate::Secret;
use ::pbkdf2::pbkdf2_hmac;
use mailauth_lockstep::sha512;
use sha1::Sha1;
use sha2::{Sha256, Sha512};
use subtle::ConstantTimeEq;

pub const SCHEMES: &[Scheme] = &[
    Scheme::text(&["PBKDF2"], &[], read),
    Scheme::text(&["PBKDF2-SHA1"], &["$pbkdf2$"], read_sha1),
    Scheme::text(&["PBKDF2-SHA256"], &["$pbkdf2-sha256$"], read_sha256),
    Scheme::text(&["PBKDF2-SHA512"], &["$pbkdf2-sha512$"], read_sha512),
];

/// A function that derives a key of the output's length.
type Derive = fn(&[u8], &[u8], u32, &mut [u8]);

/// The scheme whose values are verified together.
const SHA512: &str = "PBKDF2-SHA512";

struct Derived {
    scheme: &'static str,
    derive: Derive,
    iterations: u32,
    salt: Secret,
    key: Secret,
}

/// Parses the number of iterations and checks its limits. With 0 iterations the derived key would stay all zeros, so
/// any password would match a stored key of zeros.
pub fn iterations(scheme: &'static str, text: &[u8], rules: &HashRules) -> Result<u32, Flaw> {
    match encoding::number(text) {
        None | Some(0) => Err(Flaw::Malformed { scheme, what: "its iterations are not a number above 0" }),
        Some(n) if n > rules.limits.pbkdf2_iterations => {
            Err(Flaw::TooCostly { scheme, what: "its iterations are above [password] max_pbkdf2_iterations" })
        }
        Some(n) => Ok(n),
    }
}

fn read(text: &[u8], rules: &HashRules) -> Read {
    let malformed = |what| Flaw::Malformed { scheme: "PBKDF2", what };
    let Some(rest) = text.strip_prefix(b"$1$") else { return read_sha1(text, rules) };
    let mut fields = rest.split(|b| *b == b'$');
    let (Some(salt), Some(rounds), Some(key), None) = (fields.next(), fields.next(), fields.next(), fields.next())
    else {
        return Err(malformed("it does not have exactly the fields salt, rounds and key"));
    };
    let iterations = iterations("PBKDF2", rounds, rules)?;
    Flaw::of_length("PBKDF2", key.len(), 40)?;
    let key = encoding::hex(key).ok_or(malformed("its key is not hexadecimal"))?;
    Ok(Box::new(Derived {
        scheme: "PBKDF2",
        derive: pbkdf2_hmac::<Sha1>,
        iterations,
        salt: salt.into(),
        key: key.into(),
    }))
}

fn read_sha1(text: &[u8], rules: &HashRules) -> Read {
    read_passlib("PBKDF2-SHA1", "$pbkdf2$", 20, pbkdf2_hmac::<Sha1>, text, rules)
}

fn read_sha256(text: &[u8], rules: &HashRules) -> Read {
    read_passlib("PBKDF2-SHA256", "$pbkdf2-sha256$", 32, pbkdf2_hmac::<Sha256>, text, rules)
}

fn read_sha512(text: &[u8], rules: &HashRules) -> Read {
    read_passlib(SHA512, "$pbkdf2-sha512$", 64, pbkdf2_hmac::<Sha512>, text, rules)
}

fn read_passlib(scheme: &'static str, id: &str, size: usize, derive: Derive, text: &[u8], rules: &HashRules) -> Read {
    let malformed = |what| Flaw::Malformed { scheme, what };
    let rest = text.strip_prefix(id.as_bytes()).unwrap_or(text);
    let mut fields = rest.split(|b| *b == b'$');
    let (Some(rounds), Some(salt), Some(key), None) = (fields.next(), fields.next(), fields.next(), fields.next())
    else {
        return Err(malformed("it does not have exactly the fields rounds, salt and key"));
    };
    let iterations = iterations(scheme, rounds, rules)?;
    let salt = encoding::adapted_base64(salt).ok_or(malformed("its salt is not passlib's base64"))?;
    let key = encoding::adapted_base64(key).ok_or(malformed("its key is not passlib's base64"))?;
    Flaw::of_length(scheme, key.len(), size)?;
    Ok(Box::new(Derived { scheme, derive, iterations, salt: salt.into(), key: key.into() }))
}

impl Verifier for Derived {
    fn kind(&self) -> Kind {
        Kind { scheme: self.scheme, cost: [self.iterations, 0, 0] }
    }

    fn cost(&self) -> Cost {
        Cost::Heavy { memory: 0 }
    }

    fn verify(&self, _: &str, password: &[u8]) -> Result<bool, Flaw> {
        let mut made = Secret::new(vec![0; self.key.len()]);
        (self.derive)(password, self.salt.expose(), self.iterations, made.expose_mut());
        Ok(made.expose().ct_eq(self.key.expose()).into())
    }

    fn family(&self) -> Option<Family> {
        (self.scheme == SHA512).then_some(Family::Sha512)
    }

    fn task(&self, password: &[u8]) -> Option<Task> {
        self.family()?;
        let (password, salt) = (password.to_vec().into(), self.salt.expose().to_vec().into());
        let iterations = self.iterations;
        Some(Task::Sha512(sha512::Task::Pbkdf2 { password, salt, iterations }))
    }

    fn is_digest(&self, _: &[u8], digest: &[u8]) -> bool {
        digest.ct_eq(self.key.expose()).into()
    }

    fn dummy(&self) -> Box<dyn Verifier> {
        let key = vec![0; self.key.len()].into();
        Box::new(Derived { salt: self.salt.clone(), key, ..*self })
    }
}
