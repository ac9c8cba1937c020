//! Argon2: `$argon2id$v=19$m=KiB,t=passes,p=lanes$salt$hash` (RFC 9106 and the PHC string format). Also argon2i,
//! argon2d, and version 16. Salt and hash are base64 without padding; the hash has 16 to 64 bytes.

use super::scheme::{Read, Scheme, Verifier};
use super::{Cost, Flaw, HashRules, Kind, encoding};
use crate::Secret;
use ::argon2::{Algorithm, Argon2, Params, Version};
use base64::engine::Engine;
use base64::engine::general_purpose::STANDARD_NO_PAD;
use subtle::ConstantTimeEq;

pub const SCHEMES: &[Scheme] = &[
    Scheme::text(&["ARGON2ID"], &["$argon2id$"], |text, rules| read("argon2id", text, rules)),
    Scheme::text(&["ARGON2I"], &["$argon2i$"], |text, rules| read("argon2i", text, rules)),
    Scheme::text(&["ARGON2D"], &["$argon2d$"], |text, rules| read("argon2d", text, rules)),
];

const NAME: &str = "ARGON2";

struct Hashed {
    argon2: Argon2<'static>,
    scheme: &'static str,
    salt: Secret,
    hash: Secret,
}

fn read(id: &str, text: &[u8], rules: &HashRules) -> Read {
    let malformed = |what| Flaw::Malformed { scheme: NAME, what };
    let text = std::str::from_utf8(text).map_err(|_| malformed("it is not text"))?;
    let mut fields = text.split('$');
    let mut field = || fields.next().unwrap_or_default();
    if !field().is_empty() || field() != id {
        return Err(malformed("it does not begin with the id of its scheme"));
    }
    let (algorithm, scheme) = match id {
        "argon2id" => (Algorithm::Argon2id, "ARGON2ID"),
        "argon2i" => (Algorithm::Argon2i, "ARGON2I"),
        _ => (Algorithm::Argon2d, "ARGON2D"),
    };
    let mut parameters = field();
    let version = match parameters {
        "v=19" => Version::V0x13,
        other if other.starts_with("v=") && other != "v=16" => {
            return Err(Flaw::Unsupported { scheme: "ARGON2 of another version" });
        }
        // The first version wrote no version number.
        _ => Version::V0x10,
    };
    if parameters.starts_with("v=") {
        parameters = field();
    }
    let params = read_parameters(parameters, rules)?;
    let bytes = |text: &str| STANDARD_NO_PAD.decode(text).ok();
    let salt = bytes(field()).filter(|salt| (8..=64).contains(&salt.len()));
    let salt = salt.ok_or(malformed("its salt is not base64 of 8 to 64 bytes"))?;
    let hash = bytes(field()).ok_or(malformed("its hash is not base64"))?;
    if hash.len() < 16 {
        return Err(Flaw::Truncated { scheme, found: hash.len(), wanted: 16 });
    }
    if hash.len() > 64 || fields.next().is_some() {
        return Err(malformed("its hash has more than 64 bytes, or a field follows it"));
    }
    let argon2 = Argon2::new(algorithm, version, params);
    Ok(Box::new(Hashed { argon2, scheme, salt: salt.into(), hash: hash.into() }))
}

fn read_parameters(text: &str, rules: &HashRules) -> Result<Params, Flaw> {
    let malformed = Flaw::Malformed { scheme: NAME, what: "its parameters are not m=KiB,t=passes,p=lanes" };
    let costly = |what| Err(Flaw::TooCostly { scheme: NAME, what });
    let mut values = text.split(',');
    let mut value = |name: &str| {
        let number = values.next().and_then(|part| part.strip_prefix(name))?;
        encoding::number(number.as_bytes())
    };
    let (Some(memory), Some(passes), Some(lanes), None) = (value("m="), value("t="), value("p="), values.next()) else {
        return Err(malformed);
    };
    let limits = &rules.limits;
    if memory > limits.argon2_memory_kib {
        return costly("its memory is above [password] max_argon2_memory");
    }
    if u64::from(memory) * u64::from(passes) > limits.argon2_work_kib {
        return costly("its memory times its passes is above [password] max_argon2_work");
    }
    if lanes > limits.argon2_lanes {
        return costly("its lanes are above [password] max_argon2_lanes");
    }
    Params::new(memory, passes, lanes, None).map_err(|_| malformed)
}

impl Verifier for Hashed {
    fn kind(&self) -> Kind {
        let params = self.argon2.params();
        Kind { scheme: self.scheme, cost: [params.m_cost(), params.t_cost(), params.p_cost()] }
    }

    fn cost(&self) -> Cost {
        Cost::Heavy { memory: memory(self.kind().cost) }
    }

    fn verify(&self, _: &str, password: &[u8]) -> Result<bool, Flaw> {
        let mut made = Secret::new(vec![0; self.hash.len()]);
        let done = self.argon2.hash_password_into(password, self.salt.expose(), made.expose_mut());
        done.map_err(|_| Flaw::Malformed { scheme: NAME, what: "its combination of parameters is invalid" })?;
        Ok(made.expose().ct_eq(self.hash.expose()).into())
    }

    fn dummy(&self) -> Box<dyn Verifier> {
        let (argon2, scheme, salt) = (self.argon2.clone(), self.scheme, self.salt.clone());
        Box::new(Hashed { argon2, scheme, salt, hash: vec![0; self.hash.len()].into() })
    }
}

/// Memory in KiB, passes and lanes of a new hash: the second option of RFC 9106, which suits servers with many logins,
/// but with one lane.
pub const NEW: [u32; 3] = [64 << 10, 3, 1];

/// Returns the bytes of memory that a hash of this cost needs.
pub fn memory([kib, _, _]: [u32; 3]) -> u64 {
    u64::from(kib) << 10
}

/// Returns a new `$argon2id$` string.
pub fn new([kib, passes, lanes]: [u32; 3], salt: &[u8], password: &[u8]) -> Option<Secret> {
    let params = Params::new(kib, passes, lanes, None).ok()?;
    let mut hash = Secret::new(vec![0; 32]);
    let argon2 = Argon2::new(Algorithm::Argon2id, Version::V0x13, params);
    argon2.hash_password_into(password, salt, hash.expose_mut()).ok()?;
    let (salt, hash) = (STANDARD_NO_PAD.encode(salt), STANDARD_NO_PAD.encode(hash.expose()));
    Some(format!("$argon2id$v=19$m={kib},t={passes},p={lanes}${salt}${hash}").into_bytes().into())
}
