//! yescrypt, `$y$params$salt$hash`, and scrypt, `$7$Nrrrrrpppppsalt$hash` (crypt(5)).
//!
//! The crates take the length of the output from the stored hash, so a hash truncated to one byte would match one
//! password in 256. Therefore only hashes of exactly 43 characters are accepted. The memory is computed from the
//! parameters and checked against the limit before it is allocated, because the crate aborts the process if an
//! allocation fails.

use super::scheme::{Read, Scheme, Verifier};
use super::{Cost, Flaw, HashRules, Kind, encoding};
use crate::Secret;
use ::yescrypt::{Mode, Params};
use subtle::ConstantTimeEq;

pub const SCHEMES: &[Scheme] =
    &[Scheme::text(&["YESCRYPT"], &["$y$"], read), Scheme::text(&["SCRYPT"], &["$7$"], read_scrypt)];

const HASH: usize = 43;
const MAX_SALT: usize = 86;

struct Yescrypt {
    params: Params,
    /// Logarithm of `N`, and `r`, which determine the cost.
    cost: [u32; 3],
    salt: Secret,
    hash: [u8; 32],
}

struct Scrypt {
    log_n: u8,
    r: u32,
    p: u32,
    salt: Secret,
    hash: [u8; 32],
}

/// Maximum number of passes over the memory. `p` repeats the whole work that many times, one after the other.
const MAX_PASSES: u64 = 4;

/// Checks the limits of memory and work. The memory is `N + p + 2` blocks of `128 * r` bytes with `N = 2^log_n`; the
/// work is `p` passes over it.
fn check_limits(scheme: &'static str, log_n: u32, r: u32, p: u32, rules: &HashRules) -> Result<(), Flaw> {
    let (n, r, p) = (1_u64.checked_shl(log_n).unwrap_or(u64::MAX), u64::from(r), u64::from(p));
    let limit = u64::from(rules.limits.scrypt_memory_kib) << 10;
    if memory(n, r, p) > limit {
        return Err(Flaw::TooCostly { scheme, what: "its memory is above [password] max_scrypt_memory" });
    }
    // The functions are not defined if r * p is 2^30 or more.
    if memory(n, r, 0).saturating_mul(p) > MAX_PASSES.saturating_mul(limit) || r * p >= 1 << 30 {
        return Err(Flaw::TooCostly {
            scheme,
            what: "its p times its memory is above 4 times [password] max_scrypt_memory",
        });
    }
    Ok(())
}

fn memory(n: u64, r: u64, p: u64) -> u64 {
    n.saturating_add(p).saturating_add(2).saturating_mul(128).saturating_mul(r)
}

fn decode_hash(scheme: &'static str, text: &[u8]) -> Result<[u8; 32], Flaw> {
    Flaw::of_length(scheme, text.len(), HASH)?;
    let bytes = encoding::decode_crypt64(text).and_then(|bytes| bytes.try_into().ok());
    bytes.ok_or(Flaw::Malformed { scheme, what: "its hash has a character outside crypt's alphabet" })
}

fn read(text: &[u8], rules: &HashRules) -> Read {
    let scheme = "YESCRYPT";
    let malformed = |what| Flaw::Malformed { scheme, what };
    let mut fields = text.strip_prefix(b"$y$").ok_or(malformed("it does not begin with $y$"))?.split(|b| *b == b'$');
    let parameters = fields.next().filter(|text| !text.is_empty()).unwrap_or_default();
    let salt = fields.next().unwrap_or_default();
    let hash = decode_hash(scheme, fields.next().unwrap_or_default())?;
    if fields.next().is_some() {
        return Err(malformed("it has more fields than parameters, salt and hash"));
    }
    let unreadable = malformed("its parameters cannot be read");
    let params = std::str::from_utf8(parameters).ok().filter(|text| text.len() >= 3 && text.len() <= 32);
    let params: Params = params.and_then(|text| text.parse().ok()).ok_or(unreadable.clone())?;
    let log_n = params.n().checked_ilog2().filter(|log| *log >= 1).ok_or(unreadable.clone())?;
    if params.r() == 0 || params.p() == 0 {
        return Err(unreadable);
    }
    check_limits(scheme, log_n, params.r(), params.p(), rules)?;
    // One of the optional parameters after these multiplies the time. libxcrypt never writes them.
    if params.p() != 1 || parameters.len() > 4 {
        return Err(Flaw::Unsupported { scheme: "YESCRYPT with more than flags, N and r" });
    }
    let salt = (salt.len() <= MAX_SALT).then(|| encoding::decode_crypt64(salt)).flatten();
    let salt = salt.ok_or(malformed("its salt is too long or has a character outside crypt's alphabet"))?;
    Ok(Box::new(Yescrypt { params, cost: [log_n, params.r(), 0], salt: salt.into(), hash }))
}

impl Verifier for Yescrypt {
    fn kind(&self) -> Kind {
        Kind { scheme: "YESCRYPT", cost: self.cost }
    }

    fn cost(&self) -> Cost {
        Cost::Heavy { memory: memory_of(self.cost) }
    }

    fn verify(&self, _: &str, password: &[u8]) -> Result<bool, Flaw> {
        let mut made = [0; 32];
        ::yescrypt::yescrypt(password, self.salt.expose(), &self.params, &mut made)
            .map_err(|_| Flaw::Malformed { scheme: "YESCRYPT", what: "its combination of parameters is invalid" })?;
        Ok(made.ct_eq(&self.hash).into())
    }

    fn dummy(&self) -> Box<dyn Verifier> {
        Box::new(Yescrypt { salt: self.salt.clone(), hash: [0; 32], ..*self })
    }
}

fn read_scrypt(text: &[u8], rules: &HashRules) -> Read {
    let scheme = "SCRYPT";
    let malformed = |what| Flaw::Malformed { scheme, what };
    let rest = text.strip_prefix(b"$7$").ok_or(malformed("it does not begin with $7$"))?;
    let (setting, rest) = rest.split_at_checked(11).ok_or(Flaw::Truncated { scheme, found: 0, wanted: HASH })?;
    let at = rest.iter().position(|b| *b == b'$').ok_or(Flaw::Truncated { scheme, found: 0, wanted: HASH })?;
    let (salt, hash) = (rest.get(..at).unwrap_or_default(), rest.get(at + 1..).unwrap_or_default());
    let number = |text: &[u8]| {
        let digit = |(at, b): (usize, &u8)| Some(u32::from(encoding::crypt64_value(*b)?) << (6 * at));
        text.iter().enumerate().map(digit).sum::<Option<u32>>()
    };
    let parameters = (number(&setting[..1]), number(&setting[1..6]), number(&setting[6..]));
    let (Some(log_n @ 1..=63), Some(r @ 1..), Some(p @ 1..)) = parameters else {
        return Err(malformed("its parameters cannot be read"));
    };
    check_limits(scheme, log_n, r, p, rules)?;
    let log_n = u8::try_from(log_n).map_err(|_| malformed("its parameters cannot be read"))?;
    let hash = decode_hash(scheme, hash)?;
    if salt.len() > MAX_SALT {
        return Err(malformed("its salt is too long"));
    }
    Ok(Box::new(Scrypt { log_n, r, p, salt: salt.into(), hash }))
}

impl Verifier for Scrypt {
    fn kind(&self) -> Kind {
        Kind { scheme: "SCRYPT", cost: [u32::from(self.log_n), self.r, self.p] }
    }

    fn cost(&self) -> Cost {
        Cost::Heavy { memory: memory(1 << self.log_n, u64::from(self.r), u64::from(self.p)) }
    }

    fn verify(&self, _: &str, password: &[u8]) -> Result<bool, Flaw> {
        let unusable = Flaw::Malformed { scheme: "SCRYPT", what: "its combination of parameters is invalid" };
        let params = scrypt::Params::new(self.log_n, self.r, self.p).map_err(|_| unusable.clone())?;
        let mut made = [0; 32];
        scrypt::scrypt(password, self.salt.expose(), &params, &mut made).map_err(|_| unusable)?;
        Ok(made.ct_eq(&self.hash).into())
    }

    fn dummy(&self) -> Box<dyn Verifier> {
        Box::new(Scrypt { salt: self.salt.clone(), hash: [0; 32], ..*self })
    }
}

/// Cost of a new hash: N = 2^12 and r = 32, which is libxcrypt's default.
pub const NEW: [u32; 3] = [12, 32, 0];

/// Returns the bytes of memory that a hash of this cost needs.
pub fn memory_of([log_n, r, _]: [u32; 3]) -> u64 {
    memory(1_u64.checked_shl(log_n).unwrap_or(u64::MAX), u64::from(r), 1)
}

/// Returns a new `$y$` string.
pub fn new([log_n, r, _]: [u32; 3], salt: &[u8], password: &[u8]) -> Option<Secret> {
    let params = Params::new(Mode::default(), 1_u64.checked_shl(log_n)?, r, 1).ok()?;
    let mut hash = [0; 32];
    ::yescrypt::yescrypt(password, salt, &params, &mut hash).ok()?;
    Some(format!("$y${params}${}${}", encoding::crypt64(salt), encoding::crypt64(&hash)).into_bytes().into())
}
