//! The SASL mechanisms: how a client proves that it may use an account.
//!
//! A mechanism is one file with an `Exchange` and a line in [`MECHANISMS`].

mod cram_md5;
mod login;
mod plain;
mod scram;

use crate::protocol::reply::FailCode;
use mailauth_core::Secret;
use mailauth_core::authenticate::Credential;
use mailauth_core::scram::{ScramMechanism, ScramParameters};
use std::fmt;

/// A mechanism that can be announced.
pub struct Mechanism {
    /// Name, in capitals.
    pub name: &'static str,
    /// Properties, by which mail servers choose mechanisms.
    pub flags: &'static [&'static str],
    begin: fn() -> Box<dyn Exchange>,
}

/// All mechanisms.
pub static MECHANISMS: &[Mechanism] = &[
    Mechanism { name: "PLAIN", flags: &["plaintext"], begin: || Box::new(plain::Plain) },
    Mechanism { name: "LOGIN", flags: &["plaintext"], begin: || Box::new(login::Login::default()) },
    Mechanism { name: "CRAM-MD5", flags: &["dictionary", "active"], begin: || Box::new(cram_md5::CramMd5::default()) },
    Mechanism {
        name: "SCRAM-SHA-1",
        flags: &["mutual-auth"],
        begin: || Box::new(scram::Scram::new(ScramMechanism::Sha1)),
    },
    Mechanism {
        name: "SCRAM-SHA-256",
        flags: &["mutual-auth"],
        begin: || Box::new(scram::Scram::new(ScramMechanism::Sha256)),
    },
];

/// Returns the mechanism of this name, in any case.
pub fn by_name(name: &str) -> Option<&'static Mechanism> {
    MECHANISMS.iter().find(|mechanism| mechanism.name.eq_ignore_ascii_case(name))
}

impl Mechanism {
    /// Returns true if the client sends its password in clear.
    pub fn is_plaintext(&self) -> bool {
        self.flags.contains(&"plaintext")
    }

    /// Begins an exchange.
    pub(crate) fn begin(&self) -> Box<dyn Exchange> {
        (self.begin)()
    }
}

impl fmt::Debug for Mechanism {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name)
    }
}

/// The server's side of one login.
pub(crate) trait Exchange: Send {
    /// Takes the initial response, if the client sent one.
    fn start(&mut self, initial: Option<Secret>) -> Step;

    /// Takes the response to a challenge.
    fn respond(&mut self, response: Secret) -> Step;

    /// Takes the answer to [`Step::AskScramParameters`].
    fn take_scram_parameters(&mut self, _: ScramParameters) -> Step {
        Step::Refuse(None)
    }

    /// Returns the last message to a client that was accepted, if the mechanism has one.
    fn last_message(&self) -> Option<Vec<u8>> {
        None
    }
}

/// What comes next in an exchange.
#[derive(Debug)]
pub(crate) enum Step {
    /// To send a challenge.
    Challenge(Vec<u8>),
    /// To decide whether the credential is right.
    Decide {
        /// The login as the client sent it.
        login: Vec<u8>,
        /// What the client sent as the proof.
        credential: Credential,
    },
    /// To ask what the client needs for a proof of SCRAM.
    AskScramParameters {
        /// The mechanism.
        mechanism: ScramMechanism,
        /// The login as the client sent it.
        login: Vec<u8>,
    },
    /// To refuse, for a reason that depends only on what the client sent.
    Refuse(Option<FailCode>),
    /// The exchange cannot go on now.
    NotNow,
}
