//! Limits on guessing.

use super::*;

fn throttled(users: Authenticator) -> Authenticator {
    let config = crate::config::ThrottleConfig { allowance: 3, ..Default::default() };
    users.throttled_by(Throttle::new(Arc::default(), &config))
}

fn try_from(of: &Authenticator, client: Option<&str>, password: &str) -> Answer<Box<Account>> {
    let request = request("anna", Credential::Password(password.into()));
    of.authenticate(Request { client: client.map(str::to_owned), ..request })
}

#[test]
fn a_guessing_network_learns_nothing_from_verified_passwords() {
    let (users, ..) = remembering(&CacheConfig::default());
    let users = throttled(users);
    let right = "secret";
    yes(try_from(&users, Some("192.0.2.1"), right));
    let guesses: Vec<_> = (0..20).map(|n| no(try_from(&users, Some("198.51.100.1"), &format!("guess {n}")))).collect();
    assert_eq!(guesses[0], No::WrongPassword);
    assert!(matches!(&guesses[4], No::Delayed(no, _) if **no == No::WrongPassword), "{guesses:?}");
    assert!(matches!(&guesses[19], No::Throttled(_)));
    assert!(matches!(no(try_from(&users, Some("198.51.100.1"), right)), No::Throttled(_)));
    for client in [Some("192.0.2.1"), None] {
        yes(try_from(&users, client, right));
    }
}

#[test]
fn look_ups_and_outages_do_not_count_as_guesses() {
    let outage = Some(StoreError::Refused { place: "here".into(), reason: "asked".into() });
    let away = throttled(over(failing(outage)));
    (0..30).for_each(|n| drop(not_now(try_from(&away, Some("198.51.100.1"), &n.to_string()))));
    let users = throttled(table([row("anna@x.example", SHA256_OF_SECRET)]));
    for _ in 0..30 {
        for credential in [Credential::Lookup, Credential::Secret] {
            let request = Request { client: Some("198.51.100.1".into()), ..request("unknown", credential) };
            assert_eq!(no(users.authenticate(request)), No::UnknownLogin);
        }
    }
    for of in [&away, &users] {
        assert_eq!(of.throttle().unwrap().ledger().totals().counted, 0);
    }
}
