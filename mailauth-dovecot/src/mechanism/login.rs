//! LOGIN (draft-murchison-sasl-login): the login and the password, each as the response to a prompt.

use super::{Exchange, Step};
use mailauth_core::Secret;
use mailauth_core::authenticate::Credential;

/// An exchange of LOGIN.
#[derive(Default)]
pub struct Login {
    login: Option<Vec<u8>>,
}

impl Exchange for Login {
    fn start(&mut self, initial: Option<Secret>) -> Step {
        match initial {
            Some(login) if !login.is_empty() => self.respond(login),
            // An initial response without a byte is no login.
            _ => Step::Challenge(b"Username:".to_vec()),
        }
    }

    fn respond(&mut self, response: Secret) -> Step {
        match self.login.take() {
            Some(login) => Step::Decide { login, credential: Credential::Password(response) },
            None => {
                self.login = Some(response.expose().to_vec());
                Step::Challenge(b"Password:".to_vec())
            }
        }
    }
}
