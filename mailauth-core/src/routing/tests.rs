//! Where mail goes, over a store in memory and mailboxes in a real file system.

use super::recipient::MOST_ADDRESSES;
use super::*;
use crate::DomainName;
use crate::account::{AccountRow, LoginError, Password};
use crate::answer::NotNow;
use crate::password::{self, NewScheme};
use crate::quota::{Limits, Usage};
use crate::store::{AccountStore, Lookup, PoolStore, PoolUse, StoreError};
use crate::testing::MemoryStore;
use std::fs;
use std::path::Path;
use std::time::Duration;
use tempfile::TempDir;

mod addresses;
mod aliases;
mod details;
mod domains;
mod foreign;
mod newest;
mod quotas;
mod sender;

const YES: Answer<()> = Ok(());
const KEPT: Answer<DomainMail> = Ok(DomainMail::Kept);

/// Returns a store with the enabled domain x.example and the disabled domain off.example. The accounts are anna, bruno
/// and gone in the first, of which gone is disabled, and carla in the second.
fn table() -> MemoryStore {
    let gone = AccountRow { enabled: false, ..row("gone@x.example") };
    MemoryStore::with([row("anna@x.example"), row("bruno@x.example"), gone, row("carla@off.example")])
        .and_domain("x.example", DomainStanding { enabled: true, kind: DomainKind::Own })
        .and_domain("off.example", DomainStanding { enabled: false, kind: DomainKind::Own })
}

fn row(login: &str) -> AccountRow {
    AccountRow::new(parse(login))
}

fn parse(login: &str) -> Login {
    Login::parse(login.as_bytes(), None).unwrap()
}

fn alias_of(name: &str) -> DomainKind {
    DomainKind::AliasOf(DomainName::parse(name).unwrap())
}

/// What the stories add to the store.
trait Additions: Sized {
    /// Returns the store with these accounts in the place of all others.
    fn with_accounts(self, rows: impl IntoIterator<Item = AccountRow>) -> Self;

    /// Returns the store with this domain.
    fn with_domain(self, name: &str, enabled: bool, kind: DomainKind) -> Self;

    /// Returns the store with y.example as another name of x.example.
    fn with_alias_domain(self) -> Self {
        self.with_domain("y.example", true, alias_of("x.example"))
    }

    /// Returns the store with this quota of x.example, and with the published sizes of mailboxes: login, bytes,
    /// messages.
    fn with_pool(self, quota: &str, published: &[(&str, u64, u64)]) -> Self;
}

impl Additions for MemoryStore {
    fn with_accounts(self, rows: impl IntoIterator<Item = AccountRow>) -> Self {
        *self.rows() = rows.into_iter().collect();
        self
    }

    fn with_domain(self, name: &str, enabled: bool, kind: DomainKind) -> Self {
        self.and_domain(name, DomainStanding { enabled, kind })
    }

    fn with_pool(self, quota: &str, published: &[(&str, u64, u64)]) -> Self {
        let usage = |&(login, bytes, messages): &(&str, u64, u64)| (parse(login), Usage { bytes, messages });
        self.published().extend(published.iter().map(usage));
        self.and_pool("x.example", Limits::parse(quota).unwrap())
    }
}

/// Returns the store with an outage after `answered` questions.
fn failing_after(answered: usize, store: MemoryStore) -> MemoryStore {
    store.on_call(move |store, _| if store.calls() <= answered { Ok(()) } else { Err(MemoryStore::outage()) });
    store
}

/// Returns the store, which takes this time for each answer.
fn slow_by(time: Duration, store: MemoryStore) -> MemoryStore {
    store.on_call(move |_, _| {
        std::thread::sleep(time);
        Ok(())
    });
    store
}

/// Returns the store as a copy, which answers during an outage.
fn copy_of(store: MemoryStore) -> MemoryStore {
    store.answer_as_copy();
    store
}

/// Returns a router with `+` as the delimiter of details. The mailboxes belong to this process's user, which may be
/// root.
fn router<S: MailStore + 'static>(table: &Arc<S>) -> Router {
    router_with(table, "+")
}

fn router_with<S: MailStore + 'static>(table: &Arc<S>, delimiters: &str) -> Router {
    router_by(table, delimiters, AddressRules::Own)
}

fn router_by<S: MailStore + 'static>(table: &Arc<S>, delimiters: &str, addresses: AddressRules) -> Router {
    let (uid, gid) = (rustix::process::geteuid().as_raw(), rustix::process::getegid().as_raw());
    let mailbox = MailboxDefaults {
        uid: Some(uid),
        gid: Some(gid),
        min_uid: Some(1000),
        root: Some("/".into()),
        allow_root: true,
        ..MailboxDefaults::default()
    };
    let policy = Policy {
        default_domain: Some("x.example".into()),
        separators: String::new(),
        mailbox,
        rules: password::HashRules::default(),
        scheme: NewScheme::Sha256Crypt,
        min_length: 8,
        unknown_services: true,
        alias_domains: false,
        addresses,
        delimiters: Delimiters::parse(delimiters).unwrap(),
        refusal_time: Default::default(),
    };
    Router::new(table.clone(), &policy, CountRules::default())
}

fn over(table: MemoryStore) -> Router {
    router(&Arc::new(table))
}

fn send(router: &Router, address: &str, size: u64) -> Answer<()> {
    router.recipient(address.as_bytes(), size, Instant::now() + Duration::from_secs(60))
}

fn login_of(answer: Answer<Destination>) -> String {
    answer.unwrap().account.login.to_string()
}

fn targets<const N: usize>(targets: [&str; N]) -> Answer<Vec<String>> {
    Ok(targets.map(str::to_owned).to_vec())
}

/// Returns the account that gets mail for `address`, and the detail that may name a folder.
fn destination(router: &Router, address: &str) -> (String, String) {
    match router.account(address.as_bytes()) {
        Ok(Destination { account, detail }) => (account.login.to_string(), detail),
        other => panic!("{address}: {other:?}"),
    }
}

fn to(login: &str, detail: &str) -> (String, String) {
    (login.to_owned(), detail.to_owned())
}

/// Returns an account with a home in `folder`. Its mailbox does not exist yet.
fn resident(folder: &TempDir, name: &str) -> AccountRow {
    let home = folder.path().join(name).to_str().unwrap().to_owned();
    AccountRow { home: Some(home), ..row(&format!("{name}@x.example")) }
}

/// Creates the mailbox of this name in `folder`, with messages of these sizes in bytes.
fn put(folder: &TempDir, name: &str, sizes: &[usize]) {
    let maildir = folder.path().join(name).join("Maildir");
    for part in ["tmp", "new", "cur"] {
        fs::create_dir_all(maildir.join(part)).unwrap();
    }
    for (number, size) in sizes.iter().enumerate() {
        fs::write(maildir.join(format!("new/{number}.a")), vec![b'x'; *size]).unwrap();
    }
}

fn full(text: &str) -> Answer<()> {
    Err(Refusal::No(No::OverQuota(text.into())))
}
