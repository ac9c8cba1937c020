//! What a caller asks about a login.

use crate::challenge::{CramMechanism, CramResponse};
use crate::decision_log::Provenance;
use crate::scram::ScramResponse;
use crate::throttle::Guess;
use crate::{Secret, Service};
use std::time::{Duration, Instant};

/// A question about one login.
#[derive(Debug)]
pub struct Request {
    /// Service that the login is for.
    pub service: Service,
    /// The login as the client sent it.
    pub login: Vec<u8>,
    /// The proof, or nothing for a look-up.
    pub credential: Credential,
    /// Address of the client, if the daemon knows it.
    pub client: Option<String>,
    /// Time after which the answer is of no use.
    pub deadline: Instant,
}

impl Request {
    /// Time in which [`Request::password`] wants an answer.
    pub const PATIENCE: Duration = Duration::from_secs(10);

    /// Returns the request of a client that sent a login and a password, to be answered within [`Request::PATIENCE`]. The
    /// address of the client is not known.
    ///
    /// ```
    /// use mailauth_core::Service;
    /// use mailauth_core::authenticate::Request;
    ///
    /// let request = Request::password(Service::Imap, "anna@example.org", "open sesame");
    /// assert_eq!(request.login, b"anna@example.org");
    /// ```
    pub fn password(service: Service, login: impl Into<Vec<u8>>, password: impl Into<Secret>) -> Self {
        Request {
            service,
            login: login.into(),
            credential: Credential::Password(password.into()),
            client: None,
            deadline: Instant::now() + Self::PATIENCE,
        }
    }
}

/// The proof that a client may use an account.
#[derive(Debug)]
pub enum Credential {
    /// No proof: the caller only wants to know the account. The adapter decides which callers may ask this.
    Lookup,
    /// No proof: the caller also wants the password in clear, to verify the answer to a challenge with it. The adapter
    /// decides which callers may ask this.
    Secret,
    /// The password itself.
    Password(Secret),
    /// The answer to a challenge.
    Cram(CramMechanism, CramResponse),
    /// The proof of SCRAM.
    Scram(ScramResponse),
}

/// A change of a password.
#[derive(Debug)]
pub struct PasswordChange {
    /// The login, with the old password as its credential.
    pub request: Request,
    /// The new password.
    pub new: Secret,
}

/// A request in progress, without its credential: what the decisions depend on and what the log needs to know.
pub(super) struct RequestContext {
    pub purpose: Purpose,
    pub service: Service,
    pub login: Vec<u8>,
    pub client: Option<String>,
    pub deadline: Instant,
    pub begin: Instant,
    /// Where the present knowledge of the account comes from.
    pub from: Provenance,
    /// True if the password was hashed.
    pub hashed: bool,
    /// The guess that is counted if the credential is wrong.
    pub guess: Option<Guess>,
}

/// Purpose of a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Purpose {
    /// To look an account up.
    LookUp,
    /// To look up the password of an account in clear.
    Secret,
    /// To check a credential.
    Proof,
    /// To write to the row.
    Change,
}

impl RequestContext {
    pub fn new(purpose: Purpose, service: Service, login: Vec<u8>, client: Option<String>, deadline: Instant) -> Self {
        RequestContext {
            purpose,
            service,
            login,
            client,
            deadline,
            begin: Instant::now(),
            from: Provenance::Nowhere,
            hashed: false,
            guess: None,
        }
    }

    /// Returns true for a delivery agent's question about a recipient.
    pub fn is_for_mail(&self) -> bool {
        self.purpose == Purpose::LookUp && self.service == Service::Delivery
    }
}
