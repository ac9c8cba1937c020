//! PostgreSQL's old role passwords: `md5` and 32 hexadecimal digits of MD5(password ‖ user). The user is the login.
//!
//! No other scheme has values of this shape, so they need no prefix.

use super::scheme::{Read, Scheme, Verifier};
use super::{Flaw, HashRules, Kind, encoding};
use crate::spelling::readable;
use md5::{Digest, Md5};
use subtle::ConstantTimeEq;

pub const SCHEMES: &[Scheme] = &[Scheme::text(&["POSTGRES-MD5"], &[], read).with_shape(has_its_shape)];

const NAME: &str = "POSTGRES-MD5";
const ID: &[u8] = b"md5";

struct PostgresMd5([u8; 16]);

fn has_its_shape(stored: &[u8]) -> bool {
    let digits = stored.strip_prefix(ID).unwrap_or_default();
    digits.len() == 32 && digits.iter().all(u8::is_ascii_hexdigit)
}

fn read(text: &[u8], _: &HashRules) -> Read {
    let malformed = |what| Flaw::Malformed { scheme: NAME, what };
    let digits = text.strip_prefix(ID).ok_or(malformed("it does not begin with md5"))?;
    Flaw::of_length(NAME, digits.len(), 32)?;
    Ok(Box::new(PostgresMd5(encoding::hex_array(digits).ok_or(malformed("it is not hexadecimal"))?)))
}

impl Verifier for PostgresMd5 {
    fn kind(&self) -> Kind {
        Kind { scheme: NAME, cost: [0; 3] }
    }

    fn verify(&self, login: &str, password: &[u8]) -> Result<bool, Flaw> {
        let matches = |login: &str| -> bool {
            let digest = Md5::new().chain_update(password).chain_update(login).finalize();
            digest.as_slice().ct_eq(&self.0).into()
        };
        // The digest may have been made of an internationalized name in its Unicode form.
        Ok(matches(login) || matches(&readable(login)))
    }

    fn dummy(&self) -> Box<dyn Verifier> {
        Box::new(PostgresMd5([0; 16]))
    }
}
