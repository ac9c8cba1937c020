//! What is decided from memory, on a thread that must not wait.

use super::*;
use crate::challenge::CramResponse;
use crate::store::cache::Cache;

/// Returns an authenticator with a cache and remembered passwords over `rows`, and their store.
fn cached(rows: impl IntoIterator<Item = AccountRow>) -> (Authenticator, MemoryStore) {
    let (table, counters) = (MemoryStore::with(rows), Arc::default());
    let cache = Cache::new(table.clone(), "memory".into(), &CacheConfig::default(), Arc::clone(&counters));
    let users = Authenticator::new(Arc::new(cache), policy(), Arc::new(Budget::new(2, 64 << 20)));
    (users.remembering(&CacheConfig::default(), counters), table)
}

fn password(login: &str, password: &str) -> Request {
    request(login, Credential::Password(password.into()))
}

fn word(step: &AtOnce) -> &'static str {
    match step {
        AtOnce::Decided(Ok(_)) => "yes",
        AtOnce::Decided(Err(Refusal::No(_))) => "no",
        AtOnce::Decided(Err(Refusal::NotNow(_))) => "not now",
        AtOnce::Hash(_) => "hash",
        AtOnce::AskAgain(_) => "ask again",
        AtOnce::Ask(_) => "ask",
    }
}

#[test]
fn what_was_seen_and_verified_is_decided_without_the_store() {
    let slow = hashed(NewScheme::Sha256Crypt);
    let (users, table) = cached([row("anna@x.example", SHA256_OF_SECRET), row("bruno@x.example", &slow)]);
    for login in ["anna", "bruno"] {
        assert_eq!(word(&users.begin_at_once(password(login, "secret"))), "ask", "{login} was not seen");
        yes(try_password(&users, login, "secret"));
    }
    table.on_call(|_, _| panic!("the store is asked"));
    assert_eq!(word(&users.begin_at_once(password("anna", "secret"))), "yes");
    assert_eq!(word(&users.begin_at_once(password("bruno", "secret"))), "yes");
    assert_eq!(word(&users.begin_at_once(request("anna", Credential::Lookup))), "yes");
    assert_eq!(word(&users.begin_at_once(password("anna", ""))), "no", "no store changes this");
}

#[test]
fn a_no_and_an_unverified_password_are_finished_elsewhere() {
    let slow = hashed(NewScheme::Sha256Crypt);
    let (users, table) = cached([row("anna@x.example", SHA256_OF_SECRET), row("bruno@x.example", &slow)]);
    for login in ["anna", "bruno"] {
        yes(users.authenticate(request(login, Credential::Lookup)));
    }
    let AtOnce::AskAgain(verification) = users.begin_at_once(password("anna", "guess")) else { panic!("decided") };
    assert_eq!(no(users.finish(verification)), No::WrongPassword);
    let AtOnce::Hash(verification) = users.begin_at_once(password("bruno", "secret")) else { panic!("decided") };
    yes(users.finish(verification));

    // The row changes elsewhere. The kept one must not refuse the new password.
    let changed = row("anna@x.example", "{PLAIN}new words");
    *table.rows() = vec![changed];
    std::thread::sleep(Duration::from_millis(1100));
    let AtOnce::AskAgain(verification) = users.begin_at_once(password("anna", "new words")) else { panic!("decided") };
    yes(users.finish(verification));
}

#[test]
fn requests_that_need_the_store_are_handed_back_whole() {
    let (users, _) = cached([row("anna@x.example", "{PLAIN}secret")]);
    yes(users.authenticate(request("anna", Credential::Lookup)));
    let response = CramResponse::new(b"<1@x>".to_vec(), b"anna", b"00000000000000000000000000000000").unwrap();
    for credential in [Credential::Secret, Credential::Cram(CramMechanism::Md5, response)] {
        let AtOnce::Ask(handed_back) = users.begin_at_once(request("anna", credential)) else { panic!("decided") };
        assert_eq!((handed_back.login.as_slice(), &handed_back.service), (&b"anna"[..], &Service::Imap));
    }
    let delivery = Request { service: Service::Delivery, ..request("anna", Credential::Lookup) };
    assert_eq!(word(&users.begin_at_once(delivery)), "ask", "aliases of domains are not in memory");
    let late = Request { deadline: Instant::now(), ..password("anna", "secret") };
    assert_eq!(word(&users.begin_at_once(late)), "ask", "its refusal is counted and logged by `begin`");
}

#[test]
fn a_request_is_counted_once() {
    let (users, _) = cached([row("anna@x.example", SHA256_OF_SECRET)]);
    yes(try_password(&users, "anna", "secret"));
    let counters = || {
        let logins = users.counters.read().logins;
        (logins.yes, logins.no.iter().sum::<u64>())
    };
    assert_eq!(counters(), (1, 0));
    users.begin_at_once(password("anna", "secret"));
    assert_eq!(counters(), (2, 0));
    let AtOnce::AskAgain(verification) = users.begin_at_once(password("anna", "guess")) else { panic!("decided") };
    assert_eq!(counters(), (2, 0));
    no(users.finish(verification));
    assert_eq!(counters(), (2, 1));
}
