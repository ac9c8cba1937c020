//! Derives the questions from a record, which does not say whether it contains a password or the answer to a challenge.
//!
//! qmail-popup passes the digest of `APOP` in the place of the password of `PASS`, and the timestamp of its greeting with
//! both; qmail-smtpd does the same with CRAM-MD5. A value that looks like a digest is first tried as one, which costs no
//! hash, and then as a password.

use crate::caller::{Caller, Task};
use crate::record::Record;
use mailauth_core::Service;
use mailauth_core::authenticate::Credential;
use mailauth_core::challenge::{CramMechanism, CramResponse};
use mailauth_core::config::{CramOrder, Pop3Config};

/// Number of hexadecimal digits of an MD5 digest.
const DIGEST: usize = 32;

/// Returns the credentials to try, in order. There is at least one.
pub fn credentials(record: &Record, caller: &Caller, settings: &Pop3Config) -> Vec<Credential> {
    match caller.task {
        Task::DovecotLookUp => vec![Credential::Lookup],
        Task::DovecotCredentials => vec![Credential::Secret],
        // For a challenge, Dovecot asks for the password in clear and sends an empty timestamp.
        Task::DovecotLogIn => vec![Credential::Password(record.password.clone())],
        Task::LogIn => {
            let challenge = challenge(record, &caller.service, settings);
            challenge.into_iter().chain([Credential::Password(record.password.clone())]).collect()
        }
    }
}

fn challenge(record: &Record, service: &Service, settings: &Pop3Config) -> Option<Credential> {
    let (second, third) = (record.password.expose(), &record.timestamp[..]);
    let (mechanism, challenge, digest) = match (service, settings.cram_order) {
        (Service::Pop3, _) if settings.apop => (CramMechanism::Apop, third, second),
        (Service::Smtp, CramOrder::DigestChallenge) => (CramMechanism::Md5, third, second),
        (Service::Smtp, CramOrder::ChallengeDigest) => (CramMechanism::Md5, second, third),
        _ => return None,
    };
    if digest.len() != DIGEST {
        return None;
    }
    let response = CramResponse::new(challenge.to_vec(), &record.login, digest)?;
    Some(Credential::Cram(mechanism, response))
}

#[cfg(test)]
mod tests {
    use super::*;

    const HEX: &str = "c4c9334bac560ecc979e58001b3e22fb";

    fn tried(service: Service, settings: &Pop3Config, second: &str, third: &str) -> Vec<String> {
        let record = Record::parse(format!("anna\0{second}\0{third}\0").as_bytes()).unwrap();
        let caller = Caller { task: Task::LogIn, service, client: None };
        let tried = credentials(&record, &caller, settings).into_iter().map(|credential| match credential {
            Credential::Cram(mechanism, response) => {
                format!("{} {}", mechanism.name(), response.challenge().escape_ascii())
            }
            Credential::Password(_) => "password".to_owned(),
            Credential::Lookup | Credential::Secret => "look-up".to_owned(),
            Credential::Scram(_) => "proof".to_owned(),
        });
        tried.collect()
    }

    #[test]
    fn a_digest_and_a_timestamp_may_be_apop_and_may_be_a_password() {
        let settings = Pop3Config::default();
        assert_eq!(tried(Service::Pop3, &settings, HEX, "<1@host>"), ["apop <1@host>", "password"]);
        assert_eq!(tried(Service::Pop3, &settings, "secret", "<1@host>"), ["password"]);
        assert_eq!(tried(Service::Pop3, &settings, HEX, ""), ["password"], "an empty timestamp never counts");
        assert_eq!(tried(Service::Imap, &settings, HEX, "<1@host>"), ["password"]);
        let off = Pop3Config { apop: false, ..settings };
        assert_eq!(tried(Service::Pop3, &off, HEX, "<1@host>"), ["password"]);
    }

    #[test]
    fn cram_md5_is_in_the_order_of_the_setting() {
        let settings = Pop3Config::default();
        assert_eq!(tried(Service::Smtp, &settings, HEX, "<1@host>"), ["cram-md5 <1@host>", "password"]);
        assert_eq!(tried(Service::Smtp, &settings, "<1@host>", HEX), ["password"]);
        let other = Pop3Config { cram_order: CramOrder::ChallengeDigest, ..settings };
        assert_eq!(tried(Service::Smtp, &other, "<1@host>", HEX), ["cram-md5 <1@host>", "password"]);
    }

    #[test]
    fn dovecot_looks_up_without_a_password() {
        let record = Record::parse(b"anna\0\0\0").unwrap();
        let caller = Caller { task: Task::DovecotLookUp, service: Service::Delivery, client: None };
        assert!(matches!(credentials(&record, &caller, &Pop3Config::default())[..], [Credential::Lookup]));
    }
}
