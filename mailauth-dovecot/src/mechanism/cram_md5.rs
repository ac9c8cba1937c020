//! CRAM-MD5 (RFC 2195): the login and a digest of the challenge, keyed by the password. It needs stored passwords in clear
//! or of the scheme CRAM-MD5.

use super::{Exchange, Step};
use mailauth_core::Secret;
use mailauth_core::authenticate::Credential;
use mailauth_core::challenge::{CramMechanism, CramResponse};
use std::time::{SystemTime, UNIX_EPOCH};

/// An exchange of CRAM-MD5.
#[derive(Default)]
pub struct CramMd5 {
    challenge: Vec<u8>,
}

impl Exchange for CramMd5 {
    /// Sends the challenge. An initial response is not part of the mechanism and is ignored.
    fn start(&mut self, _: Option<Secret>) -> Step {
        let Ok(number) = getrandom::u64() else { return Step::NotNow };
        let time = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs());
        self.challenge = format!("<{number}.{time}@localhost>").into_bytes();
        Step::Challenge(self.challenge.clone())
    }

    fn respond(&mut self, response: Secret) -> Step {
        // The login may contain spaces.
        let Some(at) = response.expose().iter().rposition(|byte| *byte == b' ') else { return Step::Refuse(None) };
        let (login, digits) = response.expose().split_at(at);
        let digits = digits.get(1..).unwrap_or_default();
        match CramResponse::new(std::mem::take(&mut self.challenge), login, digits) {
            Some(response) => {
                Step::Decide { login: login.to_vec(), credential: Credential::Cram(CramMechanism::Md5, response) }
            }
            None => Step::Refuse(None),
        }
    }
}
