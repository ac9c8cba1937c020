//! Decisions over a store that does what each story needs.

use super::*;
use crate::account::LoginError;
use crate::answer::Refusal;
use crate::challenge::{CramMechanism, CramResponse};
use crate::config::CacheConfig;
use crate::counters::Counters;
use crate::mailbox::Unusable;
use crate::password::{self, HashRules, NewScheme};
use crate::store::{Cursor, Lookup, Page, StoreError};
use crate::testing::{Call, MemoryStore};
use crate::{Service, Services};
use std::sync::Mutex;
use std::time::Duration;

mod alias_domains;
mod answers;
mod at_once;
mod changes;
mod enumeration;
mod hashed_together;
mod kept_rows;
mod scram;
mod throttle;
mod together;
mod unknown_logins;
mod unusable_rows;
mod verified_passwords;

const SHA256_OF_SECRET: &str = "{SHA256}K7gNU3sdo+OL0wNhqoVWhr3g6s1xYv72ol/pe/Unols=";

fn row(login: &str, password: &str) -> AccountRow {
    AccountRow {
        password: Password(password.into()),
        uid: Some(5000),
        gid: Some(5000),
        ..AccountRow::new(Login::parse(login.as_bytes(), None).unwrap())
    }
}

fn policy() -> Policy {
    Policy {
        default_domain: Some("x.example".into()),
        separators: String::new(),
        mailbox: MailboxDefaults::default(),
        rules: HashRules::default(),
        scheme: NewScheme::Sha256Crypt,
        min_length: 8,
        unknown_services: true,
        alias_domains: false,
        addresses: Default::default(),
        delimiters: Default::default(),
        refusal_time: Default::default(),
    }
}

/// Returns a store that answers every question with an error, if there is one.
fn failing(error: Option<StoreError>) -> MemoryStore {
    let store = MemoryStore::default();
    store.fail(error);
    store
}

fn over(table: MemoryStore) -> Authenticator {
    Authenticator::new(Arc::new(table), policy(), Arc::new(Budget::new(2, 64 << 20)))
}

fn table(rows: impl IntoIterator<Item = AccountRow>) -> Authenticator {
    over(MemoryStore::with(rows))
}

fn request(login: &str, credential: Credential) -> Request {
    let deadline = Instant::now() + Duration::from_secs(30);
    Request { service: Service::Imap, login: login.into(), credential, client: None, deadline }
}

fn try_password(of: &Authenticator, login: &str, password: &str) -> Answer<Box<Account>> {
    of.authenticate(request(login, Credential::Password(password.into())))
}

fn yes<T>(answer: Answer<T>) -> T {
    match answer {
        Ok(value) => value,
        Err(Refusal::No(no)) => panic!("no: {no}"),
        Err(Refusal::NotNow(why)) => panic!("not now: {why}"),
    }
}

fn no<T>(answer: Answer<T>) -> No {
    match answer {
        Ok(_) => panic!("yes"),
        Err(Refusal::No(no)) => no,
        Err(Refusal::NotNow(why)) => panic!("not now: {why}"),
    }
}

fn not_now<T>(answer: Answer<T>) -> NotNow {
    match answer {
        Ok(_) => panic!("yes"),
        Err(Refusal::No(no)) => panic!("no: {no}"),
        Err(Refusal::NotNow(why)) => why,
    }
}

fn away() -> StoreError {
    StoreError::Unreachable { place: "here".into(), reason: "gone".into() }
}

fn hashed(scheme: NewScheme) -> String {
    String::from_utf8(password::hash(scheme, b"secret").unwrap().expose().to_vec()).unwrap()
}

/// Returns an authenticator that remembers verified passwords, over the accounts `anna`, `pop`, which may use POP3 only,
/// and `off`, which is disabled. Each has a costly hash of `secret`.
fn remembering(config: &CacheConfig) -> (Authenticator, Arc<MemoryStore>, Arc<Counters>) {
    let hash = password::hash(NewScheme::Sha256Crypt, b"secret").unwrap();
    let row = |login: &str| row(login, std::str::from_utf8(hash.expose()).unwrap());
    let rows = vec![
        row("anna@x.example"),
        AccountRow { services: Services::parse("pop3").unwrap(), ..row("pop@x.example") },
        AccountRow { enabled: false, ..row("off@x.example") },
    ];
    let (table, counters) = (Arc::new(MemoryStore::with(rows)), Arc::default());
    let users = Authenticator::new(table.clone(), policy(), Arc::new(Budget::new(2, 64 << 20)));
    (users.remembering(config, Arc::clone(&counters)), table, counters)
}

/// Returns rows that can never be used, each with the column that is the reason.
fn unusable_rows() -> Vec<(&'static str, AccountRow)> {
    let good = || row("odd@x.example", SHA256_OF_SECRET);
    vec![
        ("login", row("sales/eu@x.example", SHA256_OF_SECRET)),
        ("login", row("..@x.example", SHA256_OF_SECRET)),
        ("login", row(".@x.example", SHA256_OF_SECRET)),
        ("name", AccountRow { name: Some("x\nUID=0".into()), ..good() }),
        ("home", AccountRow { home: Some("mail".into()), ..good() }),
        ("uid", AccountRow { uid: Some(0), ..good() }),
        ("uid", AccountRow { uid: None, ..good() }),
        ("gid", AccountRow { gid: Some(0), ..good() }),
    ]
}
