//! SHA-crypt: `$5$[rounds=N$]salt$hash` with SHA-256, `$6$` with SHA-512 (crypt(5)).
//!
//! The salt has 0 to 16 characters, which may be any but `$`. Rounds are 1000 to 999 999 999, written as libxcrypt
//! accepts them: decimal, without a sign or leading zeros. The string is parsed here because the crate's own parser
//! refuses empty salts and unusual characters that crypt(3) has written, and accepts a `+` that crypt(3) refuses.

use super::limits::rounds_by_length;
use super::scheme::{Read, Scheme, Verifier};
use super::{Cost, Family, Flaw, HashRules, Kind, Task, encoding};
use crate::Secret;
use mailauth_lockstep::sha512;
use sha_crypt::{Params, sha256_crypt, sha512_crypt};
use subtle::ConstantTimeEq;

pub const SCHEMES: &[Scheme] = &[
    Scheme::text(&["SHA256-CRYPT"], &["$5$"], read::<Sha256>),
    Scheme::text(&["SHA512-CRYPT"], &["$6$"], read::<Sha512>),
];

const MAX_SALT: usize = 16;

/// What distinguishes the two schemes.
trait Variant: Send + Sync + 'static {
    const NAME: &'static str;
    const ID: &'static str;
    /// Number of bytes of the digest.
    const SIZE: usize;
    /// The order in which the digest's bytes are written, three as four characters. 255 is not a position.
    const ORDER: &'static [[u8; 3]];
    /// The family of which its values are, if several are verified together.
    const FAMILY: Option<Family>;
    fn digest(password: &[u8], salt: &[u8], params: Params) -> Secret;
}

struct Sha256;

impl Variant for Sha256 {
    const NAME: &'static str = "SHA256-CRYPT";
    const ID: &'static str = "$5$";
    const SIZE: usize = 32;
    const ORDER: &'static [[u8; 3]] = &[
        [20, 10, 0],
        [11, 1, 21],
        [2, 22, 12],
        [23, 13, 3],
        [14, 4, 24],
        [5, 25, 15],
        [26, 16, 6],
        [17, 7, 27],
        [8, 28, 18],
        [29, 19, 9],
        [30, 31, 255],
    ];

    // The instructions for SHA-256 are as fast for one password as vector instructions are for several.
    const FAMILY: Option<Family> = None;

    fn digest(password: &[u8], salt: &[u8], params: Params) -> Secret {
        sha256_crypt(password, salt, params).to_vec().into()
    }
}

struct Sha512;

impl Variant for Sha512 {
    const NAME: &'static str = "SHA512-CRYPT";
    const ID: &'static str = "$6$";
    const SIZE: usize = 64;
    const ORDER: &'static [[u8; 3]] = &[
        [42, 21, 0],
        [1, 43, 22],
        [23, 2, 44],
        [45, 24, 3],
        [4, 46, 25],
        [26, 5, 47],
        [48, 27, 6],
        [7, 49, 28],
        [29, 8, 50],
        [51, 30, 9],
        [10, 52, 31],
        [32, 11, 53],
        [54, 33, 12],
        [13, 55, 34],
        [35, 14, 56],
        [57, 36, 15],
        [16, 58, 37],
        [38, 17, 59],
        [60, 39, 18],
        [19, 61, 40],
        [41, 20, 62],
        [63, 255, 255],
    ];

    const FAMILY: Option<Family> = Some(Family::Sha512);

    fn digest(password: &[u8], salt: &[u8], params: Params) -> Secret {
        sha512_crypt(password, salt, params).to_vec().into()
    }
}

struct ShaCrypt<V> {
    rounds: u32,
    /// Maximum number of rounds for a short password.
    most: u32,
    salt: Secret,
    /// The hash as it is stored, in crypt(3)'s alphabet.
    hash: Secret,
    of: std::marker::PhantomData<fn() -> V>,
}

fn read<V: Variant>(text: &[u8], rules: &HashRules) -> Read {
    let malformed = |what| Flaw::Malformed { scheme: V::NAME, what };
    let rest = text.strip_prefix(V::ID.as_bytes()).ok_or(malformed("it does not begin with its id"))?;
    let (rounds, rest) = match rest.strip_prefix(b"rounds=") {
        None => (NEW_ROUNDS, rest),
        Some(rest) => {
            let at = rest.iter().position(|b| *b == b'$').ok_or(malformed("its rounds are not followed by $"))?;
            let rounds = encoding::number(rest.get(..at).unwrap_or_default()).unwrap_or(0);
            (rounds, rest.get(at + 1..).unwrap_or_default())
        }
    };
    if !(1000..=999_999_999).contains(&rounds) {
        return Err(malformed("its rounds are not a number from 1000 to 999999999"));
    }
    if rounds > rules.limits.sha_crypt_rounds {
        return Err(Flaw::TooCostly { scheme: V::NAME, what: "its rounds are above [password] max_sha_crypt_rounds" });
    }
    let wanted = (V::SIZE * 4).div_ceil(3);
    let at = rest.iter().position(|b| *b == b'$').ok_or(Flaw::Truncated { scheme: V::NAME, found: 0, wanted })?;
    let (salt, hash) = (rest.get(..at).unwrap_or_default(), rest.get(at + 1..).unwrap_or_default());
    if salt.len() > MAX_SALT {
        return Err(malformed("its salt has more than 16 characters"));
    }
    Flaw::of_length(V::NAME, hash.len(), wanted)?;
    if !hash.iter().all(|b| encoding::crypt64_value(*b).is_some()) {
        return Err(malformed("its hash has a character outside crypt's alphabet"));
    }
    let (most, salt, hash) = (rules.limits.sha_crypt_rounds, salt.into(), hash.into());
    Ok(Box::new(ShaCrypt::<V> { rounds, most, salt, hash, of: Default::default() }))
}

impl<V: Variant> ShaCrypt<V> {
    fn hash_of(rounds: u32, salt: &[u8], password: &[u8]) -> Option<Secret> {
        Some(Self::written(V::digest(password, salt, Params::new(rounds).ok()?).expose()))
    }

    /// Returns the digest in crypt(3)'s alphabet.
    fn written(digest: &[u8]) -> Secret {
        let byte = |at: u8| digest.get(usize::from(at)).map_or(0, |byte| u32::from(*byte));
        let mut text = String::with_capacity(V::SIZE * 2);
        for [high, middle, low] in V::ORDER {
            let (bits, characters) = match (*high, *middle, *low) {
                (only, 255, 255) => (byte(only), 2),
                (low, high, 255) => (byte(high) << 8 | byte(low), 3),
                (low, middle, high) => (byte(high) << 16 | byte(middle) << 8 | byte(low), 4),
            };
            encoding::crypt64_group(&mut text, bits, characters);
        }
        text.into_bytes().into()
    }

    /// Refuses a password with which the rounds take longer than the limit allows.
    fn check_length(&self, password: &[u8]) -> Result<(), Flaw> {
        if rounds_by_length(self.rounds, password) > u64::from(self.most) {
            let what = "for a password of this length, its rounds are above [password] max_sha_crypt_rounds";
            return Err(Flaw::TooCostly { scheme: V::NAME, what });
        }
        Ok(())
    }
}

impl<V: Variant> Verifier for ShaCrypt<V> {
    fn kind(&self) -> Kind {
        Kind { scheme: V::NAME, cost: [self.rounds, 0, 0] }
    }

    fn cost(&self) -> Cost {
        Cost::Heavy { memory: 0 }
    }

    fn verify(&self, _: &str, password: &[u8]) -> Result<bool, Flaw> {
        self.check_length(password)?;
        let made = Self::hash_of(self.rounds, self.salt.expose(), password);
        Ok(made.is_some_and(|made| made.expose().ct_eq(self.hash.expose()).into()))
    }

    fn family(&self) -> Option<Family> {
        V::FAMILY
    }

    fn task(&self, password: &[u8]) -> Option<Task> {
        let family = V::FAMILY.filter(|_| self.check_length(password).is_ok())?;
        let (password, salt, rounds) = (password.to_vec().into(), self.salt.expose().to_vec().into(), self.rounds);
        (family == Family::Sha512).then_some(Task::Sha512(sha512::Task::Crypt { password, salt, rounds }))
    }

    fn is_digest(&self, _: &[u8], digest: &[u8]) -> bool {
        Self::written(digest).expose().ct_eq(self.hash.expose()).into()
    }

    fn dummy(&self) -> Box<dyn Verifier> {
        let hash = vec![b'.'; self.hash.len()].into();
        let (rounds, most, salt) = (self.rounds, self.most, self.salt.clone());
        Box::new(ShaCrypt::<V> { rounds, most, salt, hash, of: self.of })
    }
}

/// Rounds of a new hash: the default of crypt(3), which is not written in the value.
pub const NEW_ROUNDS: u32 = Params::RECOMMENDED_ROUNDS;

/// Returns a new `$5$` string.
pub fn new_sha256(rounds: u32, salt: &[u8], password: &[u8]) -> Option<Secret> {
    new::<Sha256>(rounds, salt, password)
}

/// Returns a new `$6$` string.
pub fn new_sha512(rounds: u32, salt: &[u8], password: &[u8]) -> Option<Secret> {
    new::<Sha512>(rounds, salt, password)
}

fn new<V: Variant>(rounds: u32, salt: &[u8], password: &[u8]) -> Option<Secret> {
    let hash = ShaCrypt::<V>::hash_of(rounds, salt, password)?;
    let written = if rounds == NEW_ROUNDS { String::new() } else { format!("rounds={rounds}$") };
    Some([V::ID.as_bytes(), written.as_bytes(), salt, b"$", hash.expose()].concat().into())
}
