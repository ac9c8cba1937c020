//! What is yes, no and not now, with one row.

use super::*;

#[test]
fn the_answer_has_the_login_in_the_spelling_of_the_table() {
    let users = table([row("anna@x.example", SHA256_OF_SECRET)]);
    assert_eq!(yes(try_password(&users, "Anna@X.example", "secret")).login.as_str(), "anna@x.example");
    assert_eq!(yes(try_password(&users, "anna", "secret")).home, "/var/mail/x.example/anna");
}

#[test]
fn each_refusal_has_its_own_reason() {
    let users = table([
        row("anna@x.example", SHA256_OF_SECRET),
        AccountRow { enabled: false, ..row("off@x.example", SHA256_OF_SECRET) },
        AccountRow { domain_enabled: false, ..row("domain@x.example", SHA256_OF_SECRET) },
        AccountRow { services: Services::parse("pop3").unwrap(), ..row("pop@x.example", SHA256_OF_SECRET) },
        row("none@x.example", ""),
        row("locked@x.example", "!"),
        row("cut@x.example", "$6$saltsalt$cut"),
    ]);
    let refusal = |login: &str| no(try_password(&users, login, "secret"));
    assert_eq!(no(try_password(&users, "anna", "Secret")), No::WrongPassword);
    assert_eq!(refusal("unknown"), No::UnknownLogin);
    assert_eq!(refusal("off"), No::AccountDisabled);
    assert_eq!(refusal("domain"), No::DomainDisabled);
    assert_eq!(refusal("pop"), No::ServiceNotAllowed);
    assert_eq!(refusal("none"), No::NoPassword);
    assert_eq!(refusal("locked"), No::PasswordLocked);
    assert!(matches!(refusal("cut"), No::UnusableHash(_)));
    assert_eq!(refusal(""), No::UnusableLogin(LoginError::Empty));
}

#[test]
fn a_disabled_account_tells_unknown_that_a_password_was_wrong_or_right() {
    let users = table([AccountRow { enabled: false, ..row("off@x.example", SHA256_OF_SECRET) }]);
    assert_eq!(no(try_password(&users, "off", "guess")), No::WrongPassword);
}

#[test]
fn unusable_passwords_are_refused_before_the_look_up() {
    let outage = Some(StoreError::Refused { place: "here".into(), reason: "asked".into() });
    let users = over(failing(outage));
    for password in ["", "secret\0junk", &"x".repeat(MAX_PASSWORD + 1)] {
        assert_eq!(no(try_password(&users, "anna", password)), No::UnusablePassword);
    }
}

#[test]
fn an_outage_is_not_now_for_every_kind_of_question() {
    let error = StoreError::Unreachable { place: "here".into(), reason: "gone".into() };
    let users = over(failing(Some(error.clone())));
    assert_eq!(not_now(try_password(&users, "anna", "secret")), NotNow::Store(error.clone()));
    assert_eq!(not_now(users.authenticate(request("anna", Credential::Lookup))), NotNow::Store(error.clone()));
    let change = PasswordChange { request: request("anna", Credential::Password("old".into())), new: "new".into() };
    assert_eq!(not_now(users.change_password(change)), NotNow::Store(error));
}

#[test]
fn an_unusable_row_of_a_copy_is_not_now() {
    let unusable = Unusable { login: "anna@x.example".into(), column: "uid", problem: "is not a whole number".into() };
    let error = StoreError::Doubtful(unusable);
    let users = over(failing(Some(error.clone())));
    assert_eq!(not_now(try_password(&users, "anna", "secret")), NotNow::Store(error));
}

#[test]
fn a_request_past_its_deadline_is_not_started() {
    let users = table([row("anna@x.example", SHA256_OF_SECRET)]);
    let late = Request { deadline: Instant::now(), ..request("anna", Credential::Password("secret".into())) };
    assert_eq!(not_now(users.authenticate(late)), NotNow::Late);
}

#[test]
fn delivery_finds_accounts_that_may_use_no_service() {
    let users = table([
        AccountRow { services: Services::parse("none").unwrap(), ..row("box@x.example", "") },
        AccountRow { enabled: false, ..row("off@x.example", "") },
    ]);
    let look_up = |login, service: &[u8]| {
        users.authenticate(Request { service: Service::from_name(service), ..request(login, Credential::Lookup) })
    };
    assert_eq!(yes(look_up("box", b"login")).login.as_str(), "box@x.example");
    assert_eq!(yes(look_up("box", b"courier")).uid, 5000);
    assert_eq!(no(look_up("box", b"imap")), No::ServiceNotAllowed);
    assert_eq!(no(look_up("off", b"login")), No::AccountDisabled);
}

#[test]
fn look_ups_and_clear_passwords_are_not_counted_as_logins() {
    let (users, table, counters) = remembering(&CacheConfig::default());
    table.rows().push(row("clear@x.example", "{PLAIN}secret"));
    table.rows().push(row("hash@x.example", SHA256_OF_SECRET));
    let ask = |login: &str, credential| users.authenticate(request(login, credential));
    assert_eq!(yes(ask("hash@x.example", Credential::Lookup)).login.as_str(), "hash@x.example");
    // The account is returned, because it may be asked about for another reason.
    assert_eq!(yes(ask("hash@x.example", Credential::Secret)).login.as_str(), "hash@x.example");
    assert_eq!(yes(ask("clear@x.example", Credential::Secret)).login.as_str(), "clear@x.example");
    assert_eq!(no(ask("unknown@x.example", Credential::Secret)), No::UnknownLogin);
    let counts = counters.read();
    let of = |counts: &crate::counters::AnswerCounts| {
        let no = counts.no_by_reason().filter(|(_, number)| *number > 0).map(|(reason, _)| reason);
        (counts.yes, no.collect::<Vec<_>>())
    };
    assert_eq!(of(&counts.logins), (0, vec![]));
    assert_eq!(of(&counts.lookups), (1, vec![]));
    assert_eq!(of(&counts.secrets), (1, vec!["unknown-login", "no-clear-password"]));
}

/// Returns why a wrong answer to a challenge is refused.
fn answer_challenge(of: &Authenticator, login: &str, mechanism: CramMechanism) -> No {
    let response = CramResponse::new(b"<1@host>".to_vec(), login.as_bytes(), &[b'0'; 32]).unwrap();
    no(of.authenticate(request(login, Credential::Cram(mechanism, response))))
}

#[test]
fn a_challenge_to_a_stored_hash_says_no_clear_password() {
    let state = "{CRAM-MD5}db8cc4eac14d5233b4ddf8a4580c2704491432d4ff3fe0bee1ff47f3ef0c845c";
    let users = table([
        row("hash@x.example", SHA256_OF_SECRET),
        row("clear@x.example", "{PLAIN}secret"),
        row("state@x.example", state),
    ]);
    use CramMechanism::{Apop, Md5};
    for (login, mechanism, reason) in [
        ("hash@x.example", Md5, No::NoClearPassword),
        ("hash@x.example", Apop, No::NoClearPassword),
        ("clear@x.example", Md5, No::WrongPassword),
        ("clear@x.example", Apop, No::WrongPassword),
        ("state@x.example", Md5, No::WrongPassword),
        ("state@x.example", Apop, No::NoClearPassword),
    ] {
        assert_eq!(answer_challenge(&users, login, mechanism), reason, "{login} {mechanism:?}");
    }
}

#[test]
fn a_program_without_mailboxes_needs_no_uid() {
    let slow = hashed(NewScheme::Sha256Crypt);
    let bare = |login: &str| AccountRow { uid: None, gid: None, ..row(login, &slow) };
    let users = table([bare("anna@x.example"), AccountRow { enabled: false, ..bare("off@x.example") }]);
    let verify = |login: &str, password: &str| {
        users.verify(request(login, Credential::Password(password.into()))).map(|login| login.to_string())
    };
    assert_eq!(yes(verify("Anna", "secret")), "anna@x.example");
    assert_eq!(no(verify("anna", "guess")), No::WrongPassword);
    assert_eq!(no(verify("off", "secret")), No::AccountDisabled);
    assert_eq!(no(verify("unknown", "secret")), No::UnknownLogin);
    assert!(matches!(no(try_password(&users, "anna", "secret")), No::UnusableAccount(_)));
    let away = over(failing(Some(away())));
    let request = request("anna", Credential::Password("secret".into()));
    assert_eq!(not_now(away.verify(request)), NotNow::Store(self::away()));
}
