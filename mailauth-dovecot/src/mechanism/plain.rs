//! PLAIN (RFC 4616): `[ authzid ] NUL login NUL password`.

use super::{Exchange, Step};
use crate::protocol::reply::FailCode;
use mailauth_core::Secret;
use mailauth_core::authenticate::Credential;

/// An exchange of PLAIN.
pub struct Plain;

impl Exchange for Plain {
    fn start(&mut self, initial: Option<Secret>) -> Step {
        match initial {
            Some(message) => self.respond(message),
            None => Step::Challenge(Vec::new()),
        }
    }

    fn respond(&mut self, message: Secret) -> Step {
        let mut parts = message.expose().split(|byte| *byte == 0);
        let (Some(authzid), Some(login), Some(password), None) =
            (parts.next(), parts.next(), parts.next(), parts.next())
        else {
            return Step::Refuse(None);
        };
        // Acting for another account is not supported.
        if !authzid.is_empty() && authzid != login {
            return Step::Refuse(Some(FailCode::NotItself));
        }
        Step::Decide { login: login.to_vec(), credential: Credential::Password(password.into()) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_has_exactly_two_nuls_and_no_other_identity() {
        let respond = |message: &[u8]| Plain.start(Some(message.into()));
        for message in [b"\0anna\0secret".as_slice(), b"anna\0anna\0secret"] {
            match respond(message) {
                Step::Decide { login, credential: Credential::Password(password) } => {
                    assert_eq!((login.as_slice(), password.expose()), (b"anna".as_slice(), b"secret".as_slice()));
                }
                other => panic!("{other:?}"),
            }
        }
        for message in [b"".as_slice(), b"anna", b"anna\0secret", b"\0anna\0secret\0", b"\0anna\0sec\0ret"] {
            assert!(matches!(respond(message), Step::Refuse(None)), "{message:?}");
        }
        assert!(matches!(respond(b"ben\0anna\0secret"), Step::Refuse(Some(FailCode::NotItself))));
        assert!(matches!(Plain.start(None), Step::Challenge(empty) if empty.is_empty()));
    }
}
