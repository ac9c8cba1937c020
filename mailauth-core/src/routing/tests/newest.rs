//! Answers that need a host with every change, because a copy, a cached row or a replica may lack it.

use super::*;

/// A store as it is, and as it was before the last changes, which is what is read first.
struct Aged {
    old: Arc<MemoryStore>,
    new: Arc<MemoryStore>,
    /// True if `old` is what is kept of the accounts in memory; false if it is a replica.
    kept: bool,
}

impl AccountStore for Aged {
    fn find(&self, _: &Login) -> Result<Option<AccountRow>, StoreError> {
        unreachable!("mail is looked up by look_up and find_newest")
    }

    fn find_newest(&self, login: &Login) -> Result<Option<AccountRow>, StoreError> {
        self.new.find(login)
    }

    fn look_up(&self, login: &Login, _: Instant) -> Result<Lookup, StoreError> {
        let row = self.old.find(login)?;
        Ok(if self.kept { Lookup::kept(row, Instant::now()) } else { Lookup::new(row).behind(true) })
    }
}

impl PoolStore for Aged {
    fn pool_limits(&self, domain: &str) -> Result<Limits, StoreError> {
        self.first().pool_limits(domain)
    }

    fn pool_use(&self, domain: &str) -> Result<PoolUse, StoreError> {
        self.first().pool_use(domain)
    }

    fn publish(&self, login: &Login, usage: Usage) -> Result<PoolUse, StoreError> {
        self.new.publish(login, usage)
    }
}

impl MailStore for Aged {
    fn newest(&self) -> Option<Box<dyn MailStore + '_>> {
        let newest = || Aged { old: Arc::clone(&self.new), new: Arc::clone(&self.new), kept: true };
        (!self.kept).then(|| Box::new(newest()) as _)
    }

    fn domain(&self, name: &DomainName) -> Result<Option<DomainStanding>, StoreError> {
        self.first().domain(name)
    }

    fn alias_targets(&self, address: &str) -> Result<Vec<String>, StoreError> {
        self.first().alias_targets(address)
    }
}

impl Aged {
    /// Returns what domains and aliases are read from first. Nothing of them is kept in memory.
    fn first(&self) -> &MemoryStore {
        if self.kept { &self.new } else { &self.old }
    }

    fn router(old: MemoryStore, new: MemoryStore, kept: bool) -> (Arc<Self>, Router) {
        let store = Arc::new(Aged { old: Arc::new(old), new: Arc::new(new), kept });
        let router = router(&store);
        (store, router)
    }
}

#[test]
fn mail_does_not_bounce_because_of_a_copy() {
    let copied = || copy_of(table().and_alias("all@x.example", &["anna@x.example"]));
    let router = over(copied());
    let waits = || NotNow::Store(MemoryStore::outage());
    for known in ["anna@x.example", "all@x.example"] {
        assert_eq!(send(&router, known, 0), YES, "{known}");
    }
    assert_eq!(router.domain(b"x.example"), KEPT);
    assert_eq!(router.alias(b"all@x.example"), targets(["anna@x.example"]));
    assert_eq!(router.alias(b"anna@x.example"), Err(Refusal::No(No::UnknownAlias)), "it goes on to the account");
    for refused in ["unknown@x.example", "gone@x.example", "carla@off.example", "anna@y.example"] {
        assert_eq!(send(&router, refused, 0), Err(Refusal::NotNow(waits())), "{refused}");
        assert_eq!(router.account(refused.as_bytes()), Err(Refusal::NotNow(waits())), "{refused}");
    }
    assert_eq!(router.alias(b"unknown@x.example"), Err(Refusal::NotNow(waits())));
    assert_eq!(router.domain(b"y.example"), Err(Refusal::NotNow(waits())));
    assert!(
        matches!(send(&router, "a b@x.example", 0), Err(Refusal::No(No::UnusableLogin(_)))),
        "whatever is in the table"
    );
}

#[test]
fn a_copy_does_not_refuse_details_and_alias_domains() {
    let copy = || copy_of(table().with_alias_domain());
    let router = over(copy());
    for known in ["anna+news@x.example", "anna@y.example", "anna+news@y.example"] {
        assert_eq!(send(&router, known, 0), YES, "{known}");
    }
    for unknown in ["unknown+news@x.example", "unknown@y.example", "gone+news@y.example"] {
        assert_eq!(send(&router, unknown, 0), Err(Refusal::NotNow(NotNow::Store(MemoryStore::outage()))), "{unknown}");
    }
}
#[test]
fn an_address_that_was_added_recently_is_not_refused() {
    for kept in [false, true] {
        let gone = AccountRow { enabled: false, ..row("gone@x.example") };
        let old = table().with_accounts([gone, AccountRow { uid: Some(0), ..row("odd@x.example") }]);
        let new = table().with_accounts(["anna", "gone", "odd"].map(|name| row(&format!("{name}@x.example"))));
        let new = new.and_alias("all@x.example", &["one@x.example"]).and_alias("one@x.example", &["anna@x.example"]);
        let (_, router) = Aged::router(old, new, kept);
        for address in ["anna@x.example", "gone@x.example", "all@x.example"] {
            assert_eq!(send(&router, address, 0), YES, "{address}, kept: {kept}");
        }
        for address in ["anna@x.example", "gone@x.example", "odd@x.example"] {
            assert!(router.account(address.as_bytes()).is_ok(), "{address}, kept: {kept}");
        }
        assert_eq!(router.alias(b"all@x.example"), targets(["one@x.example"]));
        assert_eq!(send(&router, "unknown@x.example", 0), Err(Refusal::No(No::UnknownLogin)));
    }
}

#[test]
fn a_quota_that_was_raised_recently_has_room() {
    let folder = tempfile::tempdir().unwrap();
    let limited = |bytes| AccountRow { quota_bytes: Some(bytes), ..resident(&folder, "anna") };
    for kept in [false, true] {
        let (_, router) =
            Aged::router(table().with_accounts([limited(1)]), table().with_accounts([limited(100)]), kept);
        assert_eq!(send(&router, "anna@x.example", 100), YES);
        assert!(matches!(send(&router, "anna@x.example", 101), Err(Refusal::No(No::OverQuota(_)))));
    }
    let pool = |quota| table().with_accounts([resident(&folder, "anna")]).with_pool(quota, &[]);
    let (_, router) = Aged::router(pool("1S"), pool("100S"), false);
    assert_eq!(send(&router, "anna@x.example", 100), YES);
    assert!(matches!(send(&router, "anna@x.example", 101), Err(Refusal::No(No::OverQuota(_)))));
}

#[test]
fn without_the_newest_host_nothing_is_refused() {
    for kept in [false, true] {
        // Where nothing but the accounts is kept, domains and aliases are read before.
        let new = failing_after(if kept { 3 } else { 0 }, table());
        let (_, router) = Aged::router(table(), new, kept);
        assert_eq!(
            send(&router, "unknown@x.example", 0),
            Err(Refusal::NotNow(NotNow::Store(MemoryStore::outage()))),
            "kept: {kept}"
        );
    }
}

#[test]
fn a_catch_all_takes_no_mail_of_an_account_that_was_added_recently() {
    let caught = || table().and_alias("@x.example", &["bruno@x.example"]);
    for kept in [false, true] {
        let (_, router) = Aged::router(caught().with_accounts([]), caught(), kept);
        assert_eq!(router.alias(b"anna@x.example"), Err(Refusal::No(No::UnknownAlias)));
        assert_eq!(router.alias(b"unknown@x.example"), targets(["bruno@x.example"]));
    }
    let away = failing_after(0, table());
    let (_, router) = Aged::router(caught().with_accounts([]), away, false);
    assert_eq!(router.alias(b"anna@x.example"), targets(["bruno@x.example"]), "mail that has a place goes there");
}

#[test]
fn an_account_with_a_detail_that_was_added_recently_gets_its_mail() {
    for kept in [false, true] {
        let new = table().with_accounts([row("anna@x.example"), row("anna+own@x.example")]);
        let (_, router) = Aged::router(table(), new, kept);
        assert_eq!(destination(&router, "anna+own@x.example"), to("anna+own@x.example", ""), "kept: {kept}");
        assert_eq!(destination(&router, "anna+news@x.example"), to("anna@x.example", "news"), "kept: {kept}");
    }
}

#[test]
fn a_yes_asks_nothing_twice() {
    for kept in [false, true] {
        let (store, router) = Aged::router(table(), table(), kept);
        assert_eq!(send(&router, "anna@x.example", 0), YES);
        assert_eq!(router.domain(b"x.example"), KEPT);
        let calls = [&store.old, &store.new].map(|table| table.calls());
        assert_eq!(calls.iter().sum::<usize>(), 4, "an alias, an account, its domain's quota; a domain");
    }
}
