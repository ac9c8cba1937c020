//! Challenges answered with a keyed digest of the password: CRAM (RFC 2195 and its likes) and APOP (RFC 1939).
//!
//! The daemon makes the challenge and sends it here together with the answer. Verifying an answer takes the password in
//! clear, or for CRAM-MD5 the state that [`crate::password::HmacMd5State`] describes.

use crate::Secret;
use crate::password::{HmacMd5State, Stored};
use crate::stack::wiped;
use base64::engine::Engine;
use base64::engine::general_purpose::STANDARD;
use hmac::{Hmac, KeyInit, Mac};
use md5::{Digest, Md5};
use sha1::Sha1;
use sha2::Sha256;
use subtle::ConstantTimeEq;

/// Mechanism, which determines the digest of the answer to a challenge.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CramMechanism {
    /// `apop` of POP3 (RFC 1939): MD5 of the challenge followed by the clear password, without a key.
    Apop,
    /// `cram-md5`
    Md5,
    /// `cram-sha1`
    Sha1,
    /// `cram-sha256`
    Sha256,
}

impl CramMechanism {
    /// Returns the mechanism of this name, which is in lower case.
    pub fn from_name(name: &[u8]) -> Option<Self> {
        match name {
            b"apop" => Some(CramMechanism::Apop),
            b"cram-md5" => Some(CramMechanism::Md5),
            b"cram-sha1" => Some(CramMechanism::Sha1),
            b"cram-sha256" => Some(CramMechanism::Sha256),
            _ => None,
        }
    }

    /// Returns its name.
    pub fn name(self) -> &'static str {
        match self {
            CramMechanism::Apop => "apop",
            CramMechanism::Md5 => "cram-md5",
            CramMechanism::Sha1 => "cram-sha1",
            CramMechanism::Sha256 => "cram-sha256",
        }
    }

    /// Returns true if answers made by this mechanism can be verified with the stored password.
    pub fn can_use(self, stored: &Stored) -> bool {
        stored.clear().is_some() || self == CramMechanism::Md5 && stored.hmac_md5().is_some()
    }

    fn digest(self, key: &[u8], challenge: &[u8]) -> Secret {
        match self {
            CramMechanism::Apop => Md5::new().chain_update(challenge).chain_update(key).finalize().to_vec().into(),
            CramMechanism::Md5 => HmacMd5State::of(key).hmac(challenge).to_vec().into(),
            CramMechanism::Sha1 => mac(Hmac::<Sha1>::new_from_slice(key), challenge),
            CramMechanism::Sha256 => mac(Hmac::<Sha256>::new_from_slice(key), challenge),
        }
    }
}

fn mac<M: Mac, E>(keyed: Result<M, E>, challenge: &[u8]) -> Secret {
    // HMAC takes a key of any length, so there is no error. An empty digest would match nothing.
    keyed.map_or(Secret::default(), |mac| mac.chain_update(challenge).finalize().into_bytes().to_vec().into())
}

/// A challenge and the answer to it.
///
/// ```
/// use mailauth_core::challenge::{CramMechanism, CramResponse};
/// use mailauth_core::password::{HashRules, Stored};
/// // The example of RFC 2195.
/// let challenge = b"PDE4OTYuNjk3MTcwOTUyQHBvc3RvZmZpY2UucmVzdG9uLm1jaS5uZXQ+";
/// let answer = b"dGltIGI5MTNhNjAyYzdlZGE3YTQ5NWI0ZTZlNzMzNGQzODkw";
/// let response = CramResponse::parse(challenge, answer).unwrap();
/// assert_eq!(response.login(), b"tim");
/// let stored = Stored::parse(b"{PLAIN}tanstaaftanstaaf", &HashRules::default()).unwrap();
/// assert!(response.verify(CramMechanism::Md5, &stored));
/// ```
#[derive(Debug)]
pub struct CramResponse {
    challenge: Vec<u8>,
    login: Vec<u8>,
    digest: Secret,
}

impl CramResponse {
    /// Parses base64 of the challenge, and base64 of `login SP hexdigest`, which is split at its last space.
    pub fn parse(challenge: &[u8], response: &[u8]) -> Option<Self> {
        let challenge = STANDARD.decode(challenge).ok()?;
        let response = Secret::new(STANDARD.decode(response).ok()?);
        let at = response.expose().iter().rposition(|byte| *byte == b' ')?;
        let (login, digits) = response.expose().split_at(at);
        Self::new(challenge, login, digits.get(1..)?)
    }

    /// Returns the response of `login` with these hexadecimal digits to a challenge. Returns `None` if the digits are not
    /// hexadecimal, or if the challenge is empty: then there was no challenge, and for APOP the digest of the password
    /// alone would be accepted.
    pub fn new(challenge: Vec<u8>, login: &[u8], digits: &[u8]) -> Option<Self> {
        let digest = crate::password::hex(digits)?;
        (!challenge.is_empty()).then(|| CramResponse { challenge, login: login.to_vec(), digest: digest.into() })
    }

    /// Returns the challenge, decoded.
    pub fn challenge(&self) -> &[u8] {
        &self.challenge
    }

    /// Returns the digest of the answer, decoded.
    pub fn digest(&self) -> &Secret {
        &self.digest
    }

    /// Returns the login that the answer names.
    pub fn login(&self) -> &[u8] {
        &self.login
    }

    /// Returns true if the answer was made with the stored password. It cannot be verified if only a hash is stored.
    pub fn verify(&self, mechanism: CramMechanism, stored: &Stored) -> bool {
        let expected = match (stored.clear(), stored.hmac_md5(), mechanism) {
            (Some(clear), _, _) if !clear.is_empty() => wiped(|| mechanism.digest(clear, &self.challenge)),
            (_, Some(state), CramMechanism::Md5) => state.hmac(&self.challenge).to_vec().into(),
            _ => return false,
        };
        expected.expose().ct_eq(self.digest.expose()).into()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::password::HashRules;

    fn stored(value: &str) -> Stored {
        Stored::parse(value.as_bytes(), &HashRules::default()).unwrap()
    }

    fn answer(mechanism: CramMechanism, login: &str, key: &[u8], upper: bool) -> CramResponse {
        let digits: String =
            mechanism.digest(key, b"<1@host>").expose().iter().map(|byte| format!("{byte:02x}")).collect();
        let digits = if upper { digits.to_uppercase() } else { digits };
        let response = STANDARD.encode(format!("{login} {digits}"));
        CramResponse::parse(STANDARD.encode("<1@host>").as_bytes(), response.as_bytes()).unwrap()
    }

    #[test]
    fn each_mechanism_verifies_only_its_own_answers() {
        use CramMechanism::{Apop, Md5, Sha1, Sha256};
        for made in [Apop, Md5, Sha1, Sha256] {
            for asked in [Apop, Md5, Sha1, Sha256] {
                let response = answer(made, "anna", b"secret", false);
                assert_eq!(response.verify(asked, &stored("{PLAIN}secret")), made == asked);
            }
            assert!(answer(made, "anna", b"secret", true).verify(made, &stored("{PLAIN}secret")), "upper case");
            assert!(!answer(made, "anna", b"wrong", false).verify(made, &stored("{PLAIN}secret")));
            assert_eq!(CramMechanism::from_name(made.name().as_bytes()), Some(made));
        }
    }

    #[test]
    fn a_stored_hash_verifies_no_answer_but_the_state_of_cram_md5_does() {
        let state = "{CRAM-MD5}db8cc4eac14d5233b4ddf8a4580c2704491432d4ff3fe0bee1ff47f3ef0c845c";
        assert!(
            answer(CramMechanism::Md5, "anna", b"Secret-Passw0rd", false).verify(CramMechanism::Md5, &stored(state))
        );
        assert!(
            !answer(CramMechanism::Sha1, "anna", b"Secret-Passw0rd", false).verify(CramMechanism::Sha1, &stored(state))
        );
        let hash = "{SHA256}jybY6JNWjtgo2dDmaohf7pfQ++u2+/x/ue/75W+RKO0=";
        for key in [b"".as_slice(), b"Secret-Passw0rd", hash.as_bytes()] {
            assert!(!answer(CramMechanism::Md5, "anna", key, false).verify(CramMechanism::Md5, &stored(hash)));
        }
    }

    #[test]
    fn a_login_may_contain_spaces_and_a_malformed_answer_is_refused() {
        assert_eq!(answer(CramMechanism::Md5, "two words", b"k", false).login(), b"two words");
        let parse = |response: &str| CramResponse::parse(b"PDE+", STANDARD.encode(response).as_bytes());
        assert!(parse("nospace").is_none());
        assert!(parse("anna xyz").is_none());
        assert!(CramResponse::parse(b"", b"").is_none());
        assert!(CramResponse::parse(b"!!!!", b"????").is_none());
        assert!(!parse("anna ").unwrap().verify(CramMechanism::Md5, &stored("{PLAIN}secret")), "an empty digest");
        assert!(!parse("anna 00").unwrap().verify(CramMechanism::Md5, &stored("{PLAIN}secret")), "a short one");
    }

    #[test]
    fn apop_verifies_the_example_of_its_rfc_and_needs_a_timestamp() {
        let fits = |timestamp: &[u8], digits: &[u8], password: &str| {
            let response = CramResponse::new(timestamp.to_vec(), b"mrose", digits);
            response.is_some_and(|response| response.verify(CramMechanism::Apop, &stored(password)))
        };
        let timestamp = b"<1896.697170952@dbc.mtview.ca.us>";
        assert!(fits(timestamp, b"c4c9334bac560ecc979e58001b3e22fb", "{PLAIN}tanstaaf"));
        assert!(fits(timestamp, b"C4C9334BAC560ECC979E58001B3E22FB", "{PLAIN}tanstaaf"));
        assert!(!fits(timestamp, b"c4c9334bac560ecc979e58001b3e22fb", "{PLAIN}tanstaa"));
        assert!(!fits(timestamp, b"c4c9334bac560ecc979e58001b3e22", "{PLAIN}tanstaaf"));
        let alone: String = Md5::digest(b"tanstaaf").iter().map(|byte| format!("{byte:02x}")).collect();
        assert!(!fits(b"", alone.as_bytes(), "{PLAIN}tanstaaf"));
    }
}
