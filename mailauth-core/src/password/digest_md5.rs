//! `{DIGEST-MD5}`: MD5(user:realm:password) in hexadecimal. User and realm are the login, split at its last `@`.

use super::scheme::{Read, Scheme, Verifier};
use super::{Flaw, HashRules, Kind, encoding};
use crate::spelling::readable;
use md5::{Digest, Md5};
use subtle::ConstantTimeEq;

pub const SCHEMES: &[Scheme] = &[Scheme::bytes(&["DIGEST-MD5"], &[], read)];

struct DigestMd5([u8; 16]);

fn read(text: &[u8], _: &HashRules) -> Read {
    Flaw::of_length("DIGEST-MD5", text.len(), 32)?;
    let digest = encoding::hex_array(text);
    let digest = digest.ok_or(Flaw::Malformed { scheme: "DIGEST-MD5", what: "it is not hexadecimal" })?;
    Ok(Box::new(DigestMd5(digest)))
}

impl Verifier for DigestMd5 {
    fn kind(&self) -> Kind {
        Kind { scheme: "DIGEST-MD5", cost: [0; 3] }
    }

    fn verify(&self, login: &str, password: &[u8]) -> Result<bool, Flaw> {
        let matches = |login: &str| -> bool {
            let (user, realm) = login.rsplit_once('@').unwrap_or((login, ""));
            let digest = Md5::new()
                .chain_update(user)
                .chain_update(":")
                .chain_update(realm)
                .chain_update(":")
                .chain_update(password)
                .finalize();
            digest.as_slice().ct_eq(&self.0).into()
        };
        // The digest may have been made of an internationalized name in its Unicode form.
        Ok(matches(login) || matches(&readable(login)))
    }

    fn dummy(&self) -> Box<dyn Verifier> {
        Box::new(DigestMd5([0; 16]))
    }
}
