//! The commands that ask about one account and get its record: `PRE` and `AUTH`.

use super::response::ResponseOptions;
use crate::accept::access::PeerRights;
use mailauth_core::Service;
use mailauth_core::authenticate::{self, Credential};
use mailauth_protocol::{Command, Request};
use std::time::Instant;

/// A login or look-up.
pub(super) struct Login {
    pub request: authenticate::Request,
    pub options: ResponseOptions,
}

/// What a login depends on in addition to its request.
#[derive(Clone, Copy)]
pub(super) struct LoginContext {
    /// Time after which the client no longer waits for the answer.
    pub deadline: Instant,
    pub rights: PeerRights,
    /// True if clear passwords are sent with accounts.
    pub send_clear: bool,
}

/// A request, by the way in which it is answered.
pub(super) enum Task {
    /// A login or look-up.
    Login(Login),
    /// A request with any other command.
    Other(Request),
}

impl Task {
    /// Returns the task of a request.
    pub fn new(request: Request, context: LoginContext) -> Self {
        let (service, login, credential, options) = match request.command {
            Command::LookUp { service, login } => {
                // Exim asks like this for the password of a login by CRAM-MD5, which it verifies itself.
                let credential = if context.rights.clear { Credential::Secret } else { Credential::Lookup };
                let options = ResponseOptions { looked_up: true, ..ResponseOptions::for_service(&service) };
                (service, login, credential, options)
            }
            Command::LogIn { service, login, password } => {
                let sent = context.send_clear.then(|| password.clone());
                let options = ResponseOptions { sent, ..ResponseOptions::for_login(&service) };
                (service, login, Credential::Password(password), options)
            }
            Command::Challenge { service, mechanism, response } => {
                let (login, options) = (response.login().to_vec(), ResponseOptions::for_login(&service));
                (service, login, Credential::Cram(mechanism, response), options)
            }
            command => return Task::Other(Request { command, client: request.client }),
        };
        let (service, deadline) = (Service::from_name(&service), context.deadline);
        let request = authenticate::Request { service, login, credential, client: request.client, deadline };
        Task::Login(Login { request, options })
    }
}
