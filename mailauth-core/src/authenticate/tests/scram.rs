//! Logins by SCRAM.

use super::*;
use crate::password::ScramKeys;
use crate::scram::{ScramMechanism, ScramParameters, ScramResponse};

/// The password `secret` with the salt `0123456789abcdef`.
const SHA1: &str =
    "{SCRAM-SHA-1}4096,MDEyMzQ1Njc4OWFiY2RlZg==,ZnqDkbqfwR2KKV/RA37Ut+cv+dg=,XH6+sRFySz39hhtQA1fE+aOQl/U=";
const SHA256: &str = "{SCRAM-SHA-256}5000,MDEyMzQ1Njc4OWFiY2RlZg==,QyGWlo0c520mnnWTLyWVhipR6pHPi8KYFuOB0Uc8C10=,sf7LyamnZ+Ti3lxv4pgMpHvoDyHuGpdhjIx6lorKLCc=";

const MECHANISMS: [ScramMechanism; 2] = [ScramMechanism::Sha1, ScramMechanism::Sha256];

fn parameters(of: &Authenticator, mechanism: ScramMechanism, login: &str) -> ScramParameters {
    of.scram_parameters(mechanism, request(login, Credential::Lookup)).unwrap()
}

/// Returns the proof of a client with this password that was sent `parameters`.
fn response(mechanism: ScramMechanism, parameters: ScramParameters, password: &str) -> ScramResponse {
    let exchange = b"n=anna,r=abc,r=abcdef,s=...,c=biws,r=abcdef".to_vec();
    let keys = ScramKeys::derive(mechanism, password.as_bytes(), &parameters.salt, parameters.iterations);
    let proof = keys.prove(password.as_bytes(), &exchange);
    ScramResponse::new(mechanism, parameters, exchange, proof)
}

fn log_in(of: &Authenticator, mechanism: ScramMechanism, login: &str, password: &str) -> Answer<Box<Account>> {
    let response = response(mechanism, parameters(of, mechanism, login), password);
    of.authenticate(request(login, Credential::Scram(response)))
}

fn users() -> Authenticator {
    table([
        row("sha1@x.example", SHA1),
        row("sha256@x.example", SHA256),
        row("clear@x.example", "{PLAIN}secret"),
        row("hash@x.example", SHA256_OF_SECRET),
        row("locked@x.example", "!"),
        AccountRow { enabled: false, ..row("off@x.example", SHA256) },
    ])
}

#[test]
fn a_proof_is_verified_with_stored_keys_and_with_a_clear_password() {
    let users = users();
    for (mechanism, login) in [
        (ScramMechanism::Sha1, "sha1"),
        (ScramMechanism::Sha256, "sha256"),
        (ScramMechanism::Sha1, "clear"),
        (ScramMechanism::Sha256, "Clear@X.example"),
    ] {
        assert!(yes(log_in(&users, mechanism, login, "secret")).login.as_str().ends_with("@x.example"));
        assert_eq!(no(log_in(&users, mechanism, login, "Secret")), No::WrongPassword);
    }
    for (mechanism, login) in
        [(ScramMechanism::Sha256, "sha1"), (ScramMechanism::Sha1, "sha256"), (ScramMechanism::Sha256, "hash")]
    {
        assert_eq!(no(log_in(&users, mechanism, login, "secret")), No::NoClearPassword, "{login}");
    }
    assert_eq!(no(log_in(&users, ScramMechanism::Sha256, "off", "secret")), No::AccountDisabled);
    assert_eq!(no(log_in(&users, ScramMechanism::Sha256, "off", "guess")), No::WrongPassword);
    assert_eq!(no(log_in(&users, ScramMechanism::Sha256, "locked", "secret")), No::PasswordLocked);
    assert_eq!(no(log_in(&users, ScramMechanism::Sha256, "unknown", "secret")), No::UnknownLogin);
}

#[test]
fn the_server_signs_only_an_exchange_whose_proof_is_right() {
    let users = users();
    for (password, is_right) in [("secret", true), ("guess", false)] {
        let response = response(ScramMechanism::Sha256, parameters(&users, ScramMechanism::Sha256, "sha256"), password);
        let signature = response.signature();
        assert!(signature.get().is_none());
        assert_eq!(users.authenticate(request("sha256", Credential::Scram(response))).is_ok(), is_right);
        assert_eq!(signature.get().map(<[u8]>::len), is_right.then_some(32));
    }
}

#[test]
fn the_salt_does_not_reveal_which_logins_exist() {
    let users = users();
    let stored = ScramParameters { salt: b"0123456789abcdef".to_vec(), iterations: 5000 };
    assert_eq!(parameters(&users, ScramMechanism::Sha256, "sha256"), stored);
    let mut salts = Vec::new();
    for mechanism in MECHANISMS {
        for login in ["clear", "hash", "locked", "unknown", "other", "not\0a login", ""] {
            let sent = parameters(&users, mechanism, login);
            assert_eq!(sent, parameters(&users, mechanism, login), "always the same");
            assert_eq!((sent.salt.len(), sent.iterations), (16, 4096), "{login:?}");
            salts.push(sent.salt);
        }
        assert_eq!(parameters(&users, mechanism, "unknown"), parameters(&users, mechanism, "UNKNOWN@x.example"));
    }
    let number = salts.len();
    salts.sort();
    salts.dedup();
    assert_eq!(salts.len(), number);
}

#[test]
fn a_login_that_does_not_exist_has_the_iterations_of_the_table_and_a_salt_of_its_own() {
    let users = table([row("sha256@x.example", SHA256)]);
    users.learn_kinds(&|| true).unwrap();
    let unknown = parameters(&users, ScramMechanism::Sha256, "unknown");
    assert_eq!(unknown.iterations, 5000);
    assert_ne!(unknown.salt, b"0123456789abcdef");
    assert_eq!(no(log_in(&users, ScramMechanism::Sha256, "unknown", "secret")), No::UnknownLogin);
}

#[test]
fn a_proof_for_the_salt_of_a_former_password_is_not_now() {
    let users = users();
    let old = ScramParameters { salt: b"a former salt...".to_vec(), iterations: 5000 };
    for login in ["sha256", "clear"] {
        let response = response(ScramMechanism::Sha256, old.clone(), "guess");
        assert_eq!(not_now(users.authenticate(request(login, Credential::Scram(response)))), NotNow::Outdated);
    }
}

#[test]
fn without_a_database_neither_the_salt_nor_the_answer_is_known() {
    let users = over(failing(Some(away())));
    let asked = users.scram_parameters(ScramMechanism::Sha256, request("sha256", Credential::Lookup));
    assert_eq!(not_now(asked), NotNow::Store(away()));
    let made = ScramParameters { salt: b"0123456789abcdef".to_vec(), iterations: 5000 };
    let response = response(ScramMechanism::Sha256, made, "secret");
    assert_eq!(not_now(users.authenticate(request("sha256", Credential::Scram(response)))), NotNow::Store(away()));
}
