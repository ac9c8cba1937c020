//! SCRAM-SHA-1 and SCRAM-SHA-256 (RFC 5802, RFC 7677), without channel binding.
//!
//! ```text
//! client-first  = ( "n" / "y" ) "," [ "a=" login ] "," client-first-bare
//! client-first-bare = "n=" login ",r=" nonce
//! server-first  = "r=" nonce nonce ",s=" base64 ",i=" number
//! client-final  = "c=" base64 ",r=" nonce nonce [ "," extensions ] ",p=" base64
//! server-final  = "v=" base64
//! ```
//!
//! In a login, `=2C` stands for a comma and `=3D` for `=`.

use super::{Exchange, Step};
use crate::protocol::login_request::parse_base64;
use crate::protocol::reply::FailCode;
use base64::engine::Engine;
use base64::engine::general_purpose::STANDARD;
use mailauth_core::Secret;
use mailauth_core::authenticate::Credential;
use mailauth_core::scram::{ScramMechanism, ScramParameters, ScramResponse, ScramSignature};

/// Maximum number of bytes of a client's nonce.
const MAX_NONCE: usize = 256;

/// An exchange of SCRAM.
pub struct Scram {
    mechanism: ScramMechanism,
    state: State,
    signature: Option<ScramSignature>,
}

enum State {
    /// The first message of the client is expected.
    First,
    /// The parameters of the account are expected.
    Parameters(ClientFirst),
    /// The proof is expected.
    Final { first: ClientFirst, parameters: ScramParameters, nonce: Vec<u8>, server_first: Vec<u8> },
    /// No message is expected.
    Done,
}

/// The client's first message.
#[derive(Clone, Debug, PartialEq, Eq)]
struct ClientFirst {
    /// Everything before the part that is signed, with its comma.
    gs2_header: Vec<u8>,
    /// The part that is signed.
    bare: Vec<u8>,
    login: Vec<u8>,
    nonce: Vec<u8>,
}

impl Scram {
    /// Begins an exchange.
    pub fn new(mechanism: ScramMechanism) -> Self {
        Scram { mechanism, state: State::First, signature: None }
    }

    fn first(&mut self, message: &[u8]) -> Step {
        match ClientFirst::parse(message) {
            Ok(first) => {
                let login = first.login.clone();
                self.state = State::Parameters(first);
                Step::AskScramParameters { mechanism: self.mechanism, login }
            }
            Err(code) => Step::Refuse(code),
        }
    }
}

impl Exchange for Scram {
    fn start(&mut self, initial: Option<Secret>) -> Step {
        match initial {
            Some(message) => self.respond(message),
            None => Step::Challenge(Vec::new()),
        }
    }

    fn respond(&mut self, message: Secret) -> Step {
        match std::mem::replace(&mut self.state, State::Done) {
            State::First => self.first(message.expose()),
            State::Final { first, parameters, nonce, server_first } => {
                let Some((unsigned, proof)) = parse_final(message.expose(), &first.gs2_header, &nonce) else {
                    return Step::Refuse(None);
                };
                let exchange = [first.bare.as_slice(), &server_first, unsigned].join(&b',');
                let response = ScramResponse::new(self.mechanism, parameters, exchange, proof);
                self.signature = Some(response.signature());
                Step::Decide { login: first.login, credential: Credential::Scram(response) }
            }
            State::Parameters(_) | State::Done => Step::Refuse(None),
        }
    }

    fn take_scram_parameters(&mut self, parameters: ScramParameters) -> Step {
        let State::Parameters(first) = std::mem::replace(&mut self.state, State::Done) else {
            return Step::Refuse(None);
        };
        let mut random = [0; 18];
        if getrandom::fill(&mut random).is_err() {
            return Step::NotNow;
        }
        let nonce = [first.nonce.as_slice(), STANDARD.encode(random).as_bytes()].concat();
        let salt = STANDARD.encode(&parameters.salt);
        let end = format!(",s={salt},i={}", parameters.iterations);
        let server_first = [b"r=".as_slice(), &nonce, end.as_bytes()].concat();
        let challenge = server_first.clone();
        self.state = State::Final { first, parameters, nonce, server_first };
        Step::Challenge(challenge)
    }

    fn last_message(&self) -> Option<Vec<u8>> {
        let signature = self.signature.as_ref()?.get()?;
        Some(format!("v={}", STANDARD.encode(signature)).into_bytes())
    }
}

impl ClientFirst {
    fn parse(message: &[u8]) -> Result<Self, Option<FailCode>> {
        let mut commas = message.iter().enumerate().filter(|(_, byte)| **byte == b',').map(|(at, _)| at);
        let (Some(first), Some(second)) = (commas.next(), commas.next()) else { return Err(None) };
        let part = |from: usize, to: usize| message.get(from..to).unwrap_or_default();
        // With channel binding it would be "p=".
        if !matches!(part(0, first), b"n" | b"y") {
            return Err(None);
        }
        let (gs2_header, bare) = (part(0, second + 1), part(second + 1, message.len()));
        let mut attributes = bare.split(|byte| *byte == b',');
        let login = attributes.next().and_then(|field| field.strip_prefix(b"n=")).and_then(unescape).ok_or(None)?;
        let nonce = attributes.next().and_then(|field| field.strip_prefix(b"r=")).ok_or(None)?;
        if nonce.is_empty() || nonce.len() > MAX_NONCE || !nonce.iter().all(u8::is_ascii_graphic) {
            return Err(None);
        }
        let authzid = part(first + 1, second);
        if !authzid.is_empty() {
            let other = authzid.strip_prefix(b"a=").and_then(unescape).ok_or(None)?;
            // Acting for another account is not supported.
            if other != login {
                return Err(Some(FailCode::NotItself));
            }
        }
        Ok(ClientFirst { gs2_header: gs2_header.to_vec(), bare: bare.to_vec(), login, nonce: nonce.to_vec() })
    }
}

/// Returns the part of the client's last message that is signed, and the proof. Returns `None` if it does not belong to
/// the exchange.
fn parse_final<'a>(message: &'a [u8], gs2_header: &[u8], nonce: &[u8]) -> Option<(&'a [u8], Secret)> {
    let at = message.windows(3).rposition(|window| window == b",p=")?;
    let (unsigned, proof) = message.split_at_checked(at)?;
    let mut attributes = unsigned.split(|byte| *byte == b',');
    let binding = attributes.next()?.strip_prefix(b"c=")?;
    let is_same = parse_base64(binding)?.expose() == gs2_header && attributes.next()?.strip_prefix(b"r=")? == nonce;
    Some((unsigned, parse_base64(proof.get(3..)?)?)).filter(|_| is_same)
}

/// Returns the login of a message. Returns `None` if it has an escape that is not known.
fn unescape(text: &[u8]) -> Option<Vec<u8>> {
    let mut login = Vec::with_capacity(text.len());
    let mut rest = text;
    while let Some((byte, more)) = rest.split_first() {
        rest = more;
        match byte {
            b'=' => {
                let (code, more) = rest.split_at_checked(2)?;
                rest = more;
                login.push(match code {
                    b"2C" => b',',
                    b"3D" => b'=',
                    _ => return None,
                });
            }
            byte => login.push(*byte),
        }
    }
    Some(login)
}

#[cfg(test)]
mod tests {
    use super::*;
    use mailauth_core::password::{HashRules, Stored};

    /// The exchange of RFC 7677 with a nonce of the server that is random, up to the client's proof.
    fn exchange(first: &str) -> (Scram, String) {
        let mut scram = Scram::new(ScramMechanism::Sha256);
        let step = scram.start(Some(first.into()));
        let Step::AskScramParameters { mechanism: ScramMechanism::Sha256, login } = step else { panic!("{step:?}") };
        assert_eq!(login, b"us,er=");
        let parameters = ScramParameters { salt: b"salt".to_vec(), iterations: 4096 };
        let Step::Challenge(challenge) = scram.take_scram_parameters(parameters) else { panic!("no challenge") };
        (scram, String::from_utf8(challenge).unwrap())
    }

    #[test]
    fn the_messages_of_both_sides_are_signed() {
        let (mut scram, challenge) = exchange("n,a=us=2Cer=3D,n=us=2Cer=3D,r=nonce");
        let nonce = challenge.strip_prefix("r=").and_then(|rest| rest.split(',').next()).unwrap();
        assert!(nonce.starts_with("nonce") && nonce.len() > 20);
        assert!(challenge.ends_with(",s=c2FsdA==,i=4096"));
        let header = STANDARD.encode("n,a=us=2Cer=3D,");
        let step = scram.respond(format!("c={header},r={nonce},p=AAAA").as_str().into());
        let Step::Decide { login, credential: Credential::Scram(response) } = step else { panic!("{step:?}") };
        assert_eq!(login, b"us,er=");
        assert_eq!(response.parameters().salt, b"salt");
        assert!(scram.last_message().is_none(), "nothing is verified yet");
        let stored = Stored::parse(b"{PLAIN}secret", &HashRules::default()).unwrap();
        assert!(!response.verify(&stored));
        assert!(scram.last_message().is_none());
        assert!(matches!(scram.respond("c=biws".into()), Step::Refuse(None)));
    }

    #[test]
    fn a_last_message_of_another_exchange_is_refused() {
        let (_, challenge) = exchange("y,,n=us=2Cer=3D,r=nonce");
        let other = challenge.split(',').next().unwrap().to_owned();
        let header = STANDARD.encode("y,,");
        for message in [
            format!("c={header},{other},p=AAAA"),
            "c=biws,r=NONCE,p=AAAA".to_owned(),
            format!("c={header},r=NONCEx,p=AAAA"),
            format!("c={header},r=NONCE,p=!"),
            format!("c={header},r=NONCE"),
            format!("r=NONCE,c={header},p=AAAA"),
            String::new(),
        ] {
            let (mut scram, challenge) = exchange("y,,n=us=2Cer=3D,r=nonce");
            let nonce = challenge.strip_prefix("r=").and_then(|rest| rest.split(',').next()).unwrap();
            let message = message.replace("NONCE", nonce);
            assert!(matches!(scram.respond(message.as_str().into()), Step::Refuse(None)), "{message}");
        }
    }

    #[test]
    fn a_first_message_has_no_channel_binding_and_no_other_identity() {
        let start = |message: &str| Scram::new(ScramMechanism::Sha1).start(Some(message.into()));
        for message in [
            "",
            "n,,",
            "n,,n=anna",
            "p=tls-unique,,n=anna,r=x",
            "n,,m=x,n=anna,r=x",
            "n,,n=anna,r=",
            "x,,n=anna,r=x",
            "n,,n=an=na,r=x",
            "n,,n=anna,r=\u{e4}",
            "n,anna,n=anna,r=x",
        ] {
            assert!(matches!(start(message), Step::Refuse(None)), "{message}");
        }
        assert!(matches!(start("n,a=ben,n=anna,r=x"), Step::Refuse(Some(FailCode::NotItself))));
        assert!(matches!(start("n,,n=anna,r=x,ext=1"), Step::AskScramParameters { .. }));
    }
}
