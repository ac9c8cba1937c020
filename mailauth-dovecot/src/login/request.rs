//! A request to log in, in each of its states.

use crate::conversation::QuestionNumber;
use crate::mechanism::{Exchange, Mechanism};
use crate::protocol::login_request::LoginRequest;
use crate::protocol::reply::Line;
use mailauth_core::Service;
use mailauth_core::account::Account;
use mailauth_core::authenticate::{Credential, Request};
use std::net::IpAddr;
use std::time::Instant;

/// What is known of a request apart from its exchange.
pub struct LoginInfo {
    pub mechanism: &'static Mechanism,
    pub service: Service,
    pub client: Option<IpAddr>,
    /// Whether the client understands "not now".
    pub knows_not_now: bool,
    /// Whether the last message of the mechanism may be part of the OK.
    pub final_message_in_ok: bool,
    pub is_2_4: bool,
    /// Whether no REQUEST will follow.
    pub no_login: bool,
}

impl LoginInfo {
    /// Returns it for a request, of a login process of Dovecot if `is_login_process` is true.
    pub fn new(request: &LoginRequest<'_>, mechanism: &'static Mechanism, is_login_process: bool) -> Self {
        LoginInfo {
            mechanism,
            service: request.service.clone(),
            client: request.client,
            knows_not_now: request.knows_not_now || is_login_process,
            final_message_in_ok: request.final_message_in_ok,
            is_2_4: request.is_2_4,
            no_login: request.no_login,
        }
    }

    /// Returns the question about a login.
    pub fn request(&self, login: Vec<u8>, credential: Credential, deadline: Instant) -> Request {
        let client = self.client.map(|address| address.to_string());
        Request { service: self.service.clone(), login, credential, client, deadline }
    }
}

/// A request whose exchange waits for the client.
pub struct Dialog {
    pub info: LoginInfo,
    pub exchange: Box<dyn Exchange>,
    /// The account, if the client was accepted and has only to confirm the last message.
    pub accepted: Option<Box<Account>>,
    /// Time at which it ends if the client does not respond.
    pub until: Instant,
}

/// A request that is being decided.
pub struct Asked {
    pub question: QuestionNumber,
    /// The login as the client sent it.
    pub login: Vec<u8>,
    pub dialog: Dialog,
}

/// A refusal that is sent later.
pub struct Held {
    pub at: Instant,
    pub line: Line,
}
