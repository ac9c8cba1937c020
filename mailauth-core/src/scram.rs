//! SCRAM (RFC 5802, RFC 7677): a login by a proof that the client knows the password, without sending it.
//!
//! The server sends the salt and the number of iterations of the account
//! ([`Authenticator::scram_parameters`](crate::authenticate::Authenticator::scram_parameters)); the client answers with a
//! proof, which is decided as [`Credential::Scram`](crate::authenticate::Credential::Scram). It takes a password stored in
//! clear or of a scheme with the name of the mechanism. Passwords are compared as the bytes that they are: they are not
//! prepared by SASLprep (RFC 4013), as stored values of other programs are not either.

use crate::Secret;
pub use crate::password::ScramMechanism;
use crate::password::{ScramKeys, Stored};
use crate::stack::{deeply_wiped, wiped};
use std::sync::{Arc, OnceLock};

/// Number of iterations for passwords that are stored in clear, the minimum of RFC 7677.
pub const ITERATIONS: u32 = 4096;

/// Number of bytes of a salt that is not stored.
pub const SALT: usize = 16;

/// What a client needs to make its proof.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ScramParameters {
    /// The salt.
    pub salt: Vec<u8>,
    /// The number of iterations.
    pub iterations: u32,
}

/// A proof of a client.
#[derive(Debug)]
pub struct ScramResponse {
    mechanism: ScramMechanism,
    parameters: ScramParameters,
    exchange: Vec<u8>,
    proof: Secret,
    signature: ScramSignature,
}

/// The server's signature of an exchange, once the client's proof has been verified.
#[derive(Clone, Debug, Default)]
pub struct ScramSignature(Arc<OnceLock<Secret>>);

impl ScramSignature {
    /// Returns the signature; `None` as long as the proof has not been verified.
    pub fn get(&self) -> Option<&[u8]> {
        self.0.get().map(Secret::expose)
    }
}

impl ScramResponse {
    /// Returns the proof of a client that was sent `parameters`. `exchange` is the AuthMessage of RFC 5802: the three
    /// messages before the proof, separated by commas.
    pub fn new(mechanism: ScramMechanism, parameters: ScramParameters, exchange: Vec<u8>, proof: Secret) -> Self {
        ScramResponse { mechanism, parameters, exchange, proof, signature: ScramSignature::default() }
    }

    /// Returns the place where the server's signature will be.
    pub fn signature(&self) -> ScramSignature {
        self.signature.clone()
    }

    /// Returns the mechanism.
    pub fn mechanism(&self) -> ScramMechanism {
        self.mechanism
    }

    /// Returns what the client was sent.
    pub fn parameters(&self) -> &ScramParameters {
        &self.parameters
    }

    /// Returns the bytes that differ between any two proofs.
    pub(crate) fn tried(&self) -> [&[u8]; 2] {
        [&self.exchange, self.proof.expose()]
    }

    /// Returns true if the proof was made with the stored password, and makes the server's signature. Derives keys if the
    /// password is stored in clear, which takes about a millisecond.
    pub fn verify(&self, stored: &Stored) -> bool {
        let signature = match (stored.scram(), stored.clear()) {
            (Some(keys), _) if keys.mechanism() == self.mechanism => wiped(|| keys.verify(&self.exchange, &self.proof)),
            (_, Some(clear)) if !clear.is_empty() => {
                let ScramParameters { salt, iterations } = &self.parameters;
                deeply_wiped(|| {
                    ScramKeys::derive(self.mechanism, clear, salt, *iterations).verify(&self.exchange, &self.proof)
                })
            }
            _ => None,
        };
        // A row that is judged again gives the same signature.
        signature.map(|signature| self.signature.0.get_or_init(|| signature)).is_some()
    }
}

impl ScramMechanism {
    /// Returns true if proofs of this mechanism can be verified with the stored password.
    pub fn can_use(self, stored: &Stored) -> bool {
        stored.clear().is_some() || stored.scram().is_some_and(|keys| keys.mechanism() == self)
    }
}
