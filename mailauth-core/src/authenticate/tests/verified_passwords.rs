//! Passwords that were verified recently.

use super::*;

/// Logs in, and returns true if a password was hashed for that.
fn hashes(users: &Authenticator, login: &str, password: &str) -> bool {
    match users.begin(request(login, Credential::Password(password.into()))) {
        Step::Hash(verification) => {
            let _ = users.finish(verification);
            true
        }
        Step::Decided(answer) => {
            yes(answer);
            false
        }
    }
}

#[test]
fn a_verified_password_is_not_hashed_again() {
    let (users, _, counters) = remembering(&CacheConfig::default());
    assert!(hashes(&users, "anna", "secret"));
    assert!(!hashes(&users, "anna", "secret") && !hashes(&users, "ANNA", "secret"));
    assert_eq!(counters.read().verified, 2);
}

#[test]
fn refused_passwords_are_hashed_every_time() {
    let (users, ..) = remembering(&CacheConfig::default());
    for (login, password) in [("anna", "guess"), ("pop", "secret"), ("off", "secret"), ("unknown", "secret")] {
        assert!((0..3).all(|_| hashes(&users, login, password)), "{login}");
    }
}

#[test]
fn a_verified_password_is_hashed_again_after_a_change_of_the_row() {
    let (users, table, _) = remembering(&CacheConfig::default());
    hashes(&users, "anna", "secret");
    users.forget_login(b"ben");
    assert!(!hashes(&users, "anna", "secret"));
    users.forget_login(b"Anna@X.example");
    assert!(hashes(&users, "anna", "secret"));
    users.forget(&Changed::Everything);
    assert!(hashes(&users, "anna", "secret"));
    let other = password::hash(NewScheme::Sha256Crypt, b"another").unwrap();
    table.rows()[0].password = Password(other);
    assert_eq!(no(try_password(&users, "anna", "secret")), No::WrongPassword);
    yes(try_password(&users, "anna", "another"));
}

#[test]
fn a_flush_names_a_login_a_domain_or_everything() {
    let (users, ..) = remembering(&CacheConfig::default());
    for (name, passwords) in [
        (Some("ben@x.example"), 0),
        (Some("ANNA@x.example"), 1),
        (Some("y.example"), 0),
        (Some("X.example"), 1),
        (Some("@x.example"), 0),
        (Some("not\na name"), 0),
        (None, 1),
    ] {
        hashes(&users, "anna", "secret");
        assert_eq!(users.flush(name).unwrap().passwords, passwords, "{name:?}");
    }
}

#[test]
fn a_change_of_a_password_forgets_the_old_one() {
    let (users, ..) = remembering(&CacheConfig::default());
    hashes(&users, "anna", "secret");
    let request = request("anna", Credential::Password("secret".into()));
    yes(users.change_password(PasswordChange { request, new: "long enough".into() }));
    assert_eq!(no(try_password(&users, "anna", "secret")), No::WrongPassword);
    assert!(hashes(&users, "anna", "long enough") && !hashes(&users, "anna", "long enough"));
}

#[test]
fn a_disabled_account_is_refused_with_a_verified_password() {
    let (users, table, _) = remembering(&CacheConfig::default());
    hashes(&users, "anna", "secret");
    table.rows()[0].enabled = false;
    assert_eq!(no(try_password(&users, "anna", "secret")), No::AccountDisabled);
}

#[test]
fn nothing_is_remembered_if_that_is_switched_off() {
    let off = [
        CacheConfig { enabled: false, ..CacheConfig::default() },
        CacheConfig { verified: 0, ..CacheConfig::default() },
    ];
    for config in off {
        let (users, ..) = remembering(&config);
        assert!((0..3).all(|_| hashes(&users, "anna", "secret")));
    }
}

#[test]
fn a_successor_forgets_what_its_predecessor_forgets() {
    let (before, table, _) = remembering(&CacheConfig::default());
    let after = Authenticator::new(table, policy(), Arc::new(Budget::new(2, 64 << 20)));
    let after = Arc::new(after.remembering(&CacheConfig::default(), Arc::default()));
    before.leave_to(Arc::clone(&after));
    assert!(hashes(&after, "anna", "secret") && !hashes(&after, "anna", "secret"));
    before.forget_login(b"anna");
    assert!(hashes(&after, "anna", "secret") && !hashes(&after, "anna", "secret"));
    let request = request("anna", Credential::Password("secret".into()));
    yes(before.change_password(PasswordChange { request, new: "long enough".into() }));
    assert_eq!(no(try_password(&after, "anna", "secret")), No::WrongPassword);
}
