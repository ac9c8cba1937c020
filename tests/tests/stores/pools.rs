//! The usage of all mailboxes of a domain, as the tables record it.

use crate::database::{Database, account, domain, import, login};
use mailauth_core::quota::{Kind as Limit, Limits, Usage};
use mailauth_core::store::{
    AccountStore, AdminError, Administration, DomainRow, PoolStore, PoolUse, SqlStore, StoreError,
};
use mailauth_core::{AccountRow, Login};
use mailauth_tests::{Kind, on_each_database_and_mysql};
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

on_each_database_and_mysql!(
    a_domains_quota_is_read_as_it_was_written,
    an_invalid_quota_is_not_unlimited,
    a_pool_is_the_sum_of_what_its_mailboxes_published_last,
    the_largest_mailboxes_of_a_domain_are_found,
    a_mailbox_leaves_the_pool_with_its_account,
    a_renamed_account_keeps_its_usage,
    a_sum_over_63_bits_counts_as_full,
    a_sum_that_cannot_grow_counts_as_full,
    no_simultaneous_update_is_lost,
    the_later_of_two_simultaneous_updates_sees_both,
    removing_accounts_during_updates_keeps_the_sum_exact,
    accounts_removed_by_other_programs_are_subtracted,
    a_sum_is_corrected_during_updates,
    a_large_domain_is_removed_completely,
);

fn usage(bytes: u64, messages: u64) -> Usage {
    Usage { bytes, messages }
}

/// Returns a database with anna and bruno in x.example, and carla in y.example.
fn three(kind: Kind) -> Database {
    let database = Database::empty(kind).filled();
    let store = database.store();
    store.add_domain(&domain("y.example")).unwrap();
    store.add_account(&account("bruno@x.example")).unwrap();
    store.add_account(&account("carla@y.example")).unwrap();
    database
}

fn a_domains_quota_is_read_as_it_was_written(kind: Kind) {
    let database = Database::empty(kind).filled();
    let store = database.store();
    for quota in ["5S", "6C", "9223372036854775807S,9223372036854775807C", ""] {
        let quota = Limits::parse(quota).unwrap();
        store.set_domain(&DomainRow { quota, ..domain("x.example") }).unwrap();
        assert_eq!(store.domains().unwrap()[0].quota, quota);
        assert_eq!(store.pool_limits("x.example").unwrap(), quota);
    }
    assert_eq!(store.pool_limits("nowhere.example").unwrap(), Limits::NONE);
    database.sql("UPDATE domains SET quota_bytes = 0, quota_messages = 0");
    assert_eq!(store.pool_limits("x.example").unwrap(), Limits::NONE);
}

fn an_invalid_quota_is_not_unlimited(kind: Kind) {
    let database = Database::empty(kind).filled();
    let unchecked = match kind {
        Kind::Postgres => "ALTER TABLE domains DROP CONSTRAINT domains_quota_messages_range;".into(),
        _ => database.unchecked(),
    };
    database.sql(&format!("{unchecked} UPDATE domains SET quota_messages = -1"));
    let store = database.store();
    for error in [store.pool_limits("x.example").unwrap_err(), store.domains().unwrap_err()] {
        assert!(matches!(&error, StoreError::UnusableDomain { column: "quota_messages", .. }), "{error:?}");
    }
}

fn a_pool_is_the_sum_of_what_its_mailboxes_published_last(kind: Kind) {
    let database = three(kind);
    let store = database.store();
    assert_eq!(store.pool_use("x.example").unwrap(), PoolUse::default());
    let (anna, bruno, carla) = (login("anna@x.example"), login("bruno@x.example"), login("carla@y.example"));
    store.publish(&carla, usage(1000, 1000)).unwrap();
    assert_eq!(store.publish(&anna, usage(10, 1)).unwrap(), PoolUse { usage: usage(10, 1), mailboxes: 1 });
    assert_eq!(store.publish(&bruno, usage(7, 2)).unwrap(), PoolUse { usage: usage(17, 3), mailboxes: 2 });
    for _ in 0..2 {
        assert_eq!(store.publish(&anna, usage(0, 0)).unwrap(), PoolUse { usage: usage(7, 2), mailboxes: 2 });
    }
    assert_eq!(database.pooled().pool_use("x.example").unwrap().usage, usage(7, 2));
    let nobody = store.publish(&login("nobody@x.example"), usage(1, 1)).unwrap_err();
    assert!(matches!(nobody, StoreError::Refused { .. }), "{nobody:?}");
}

fn the_largest_mailboxes_of_a_domain_are_found(kind: Kind) {
    let (database, logins) = crowd(kind, 1200);
    let store = database.store();
    let publish = |number: usize, bytes, messages| {
        store.publish(&logins[number], usage(bytes, messages)).unwrap();
        (logins[number].clone(), usage(bytes, messages))
    };
    let [large, many, last] = [publish(7, 900, 1), publish(8, 800, 50), publish(950, 1000, 2)];
    let largest = |kind, most| store.largest_uses(&logins[600], kind, most).unwrap();
    assert_eq!(largest(Limit::Bytes, 2), [last.clone(), large.clone()]);
    assert_eq!(largest(Limit::Messages, 1), std::slice::from_ref(&many));
    assert_eq!(store.largest_uses(&login("anna@y.example"), Limit::Bytes, 9).unwrap(), []);
    // If there are more than the limit, those after the login are examined.
    let rest: Vec<_> = logins
        .iter()
        .filter(|login| ![&large.0, &many.0, &last.0].contains(login))
        .map(|login| format!("('{login}', 'x.example', 1, 1)"))
        .collect();
    database.sql(&format!("INSERT INTO mailbox_use (login, domain, bytes, messages) VALUES {}", rest.join(", ")));
    assert_eq!(largest(Limit::Bytes, 3), [last, large, many]);
}

fn a_mailbox_leaves_the_pool_with_its_account(kind: Kind) {
    let database = three(kind);
    let store = database.store();
    let (anna, bruno) = (login("anna@x.example"), login("bruno@x.example"));
    store.publish(&anna, usage(10, 1)).unwrap();
    store.publish(&bruno, usage(7, 2)).unwrap();
    store.remove_account(&anna).unwrap();
    assert_eq!(store.pool_use("x.example").unwrap(), PoolUse { usage: usage(7, 2), mailboxes: 1 });
    store.remove_domain("x.example", true).unwrap();
    assert_eq!(store.pool_use("x.example").unwrap(), PoolUse::default());
}

/// The sizes come from the names of files, and may have any value.
fn a_renamed_account_keeps_its_usage(kind: Kind) {
    let database = three(kind);
    let store = database.store();
    let [anna, bruno] = ["anna@x.example", "bruno@x.example"].map(login);
    store.add_domain(&domain("a.example")).unwrap();
    store.publish(&anna, usage(10, 1)).unwrap();
    store.publish(&bruno, usage(7, 2)).unwrap();
    let before = store.find(&anna).unwrap().unwrap();
    let times = store.account_times(&anna).unwrap().unwrap();
    let rename = |old: &str, new: &str| store.rename_account(old.as_bytes(), &login(new));
    rename("anna@x.example", "anna@a.example").unwrap();
    assert_eq!(store.find(&anna).unwrap(), None);
    let row = store.find(&login("anna@a.example")).unwrap().unwrap();
    assert_eq!(row, AccountRow { login: login("anna@a.example"), ..before });
    let after = store.account_times(&row.login).unwrap().unwrap();
    assert_eq!((after.created, after.password_changed), (times.created, times.password_changed));
    assert_eq!(store.pool_use("x.example").unwrap(), PoolUse { usage: usage(7, 2), mailboxes: 1 });
    assert_eq!(store.pool_use("a.example").unwrap(), PoolUse { usage: usage(10, 1), mailboxes: 1 });
    let exists = |name: &str| Err(AdminError::Exists { what: "account", name: name.into() });
    let missing = |what, name: &str| Err(AdminError::NoSuch { what, name: name.into() });
    assert_eq!(rename("anna@a.example", "bruno@x.example"), exists("bruno@x.example"));
    assert_eq!(rename("anna@a.example", "anna@a.example"), exists("anna@a.example"));
    assert_eq!(rename("anna@a.example", "anna@nowhere.example"), missing("domain", "nowhere.example"));
    assert_eq!(rename("nobody@a.example", "n@a.example"), missing("account", "nobody@a.example"));
    assert_eq!(rename("nobody@nowhere.example", "n@a.example"), missing("account", "nobody@nowhere.example"));
    assert_eq!(store.pool_use("x.example").unwrap(), PoolUse { usage: usage(7, 2), mailboxes: 1 });
    assert_eq!(store.pool_use("a.example").unwrap(), PoolUse { usage: usage(10, 1), mailboxes: 1 });
    for _ in 0..2 {
        rename("anna@a.example", "anne@a.example").unwrap();
        assert_eq!(store.pool_use("a.example").unwrap(), PoolUse { usage: usage(10, 1), mailboxes: 1 });
        rename("anne@a.example", "anna@a.example").unwrap();
    }
    for sums in ["x.example", "a.example"] {
        assert_eq!(store.sum_up(sums).unwrap(), store.pool_use(sums).unwrap(), "{sums}");
    }
}

fn a_sum_over_63_bits_counts_as_full(kind: Kind) {
    let database = three(kind);
    let store = database.store();
    store.publish(&login("anna@x.example"), usage(Limits::MAX, 1)).unwrap();
    let sum = store.publish(&login("bruno@x.example"), usage(Limits::MAX, 1)).unwrap();
    assert_eq!(sum.usage, usage(2 << 53, 2), "no mailbox counts more than 2^53 bytes");
    // So that the others' figures are not lost among its own.
    store.publish(&login("bruno@x.example"), usage(7, 1)).unwrap();
    let sum = store.publish(&login("anna@x.example"), usage(5, 1)).unwrap();
    assert_eq!(sum.usage, usage(12, 2));
}

fn a_sum_that_cannot_grow_counts_as_full(kind: Kind) {
    let database = three(kind);
    let store = database.store();
    store.publish(&login("anna@x.example"), usage(1, 1)).unwrap();
    database.sql("UPDATE domain_use SET bytes = 9223372036854775800");
    assert_eq!(store.publish(&login("bruno@x.example"), usage(1000, 1)).unwrap().usage, usage(Limits::MAX, 2));
    assert_eq!(store.sum_up("x.example").unwrap().usage, usage(1001, 2));
}

/// Returns a domain with a quota and this number of mailboxes.
fn crowd(kind: Kind, mailboxes: usize) -> (Database, Vec<Login>) {
    let database = Database::empty(kind).filled();
    let logins: Vec<_> = (0..mailboxes).map(|n| login(&format!("m{n:03}@x.example"))).collect();
    let rows: Vec<_> = logins.iter().map(|login| account(login.as_str())).collect();
    import(&database.store(), &rows).unwrap();
    (database, logins)
}

/// Asserts that the sum of x.example is that of its mailboxes.
fn assert_exact(store: &SqlStore) {
    let kept = store.pool_use("x.example").unwrap();
    assert_eq!(store.sum_up("x.example").unwrap(), kept, "the sum, and the stored figures");
}

/// Each sees those before it, and nothing else: the returned sums are all different.
fn the_later_of_two_simultaneous_updates_sees_both(kind: Kind) {
    let (database, logins) = crowd(kind, 40);
    let store = database.pooled();
    let sums = Mutex::new(Vec::new());
    std::thread::scope(|scope| {
        for some in logins.chunks(5) {
            let (store, sums) = (&store, &sums);
            scope.spawn(move || {
                for user in some {
                    let sum = store.publish(user, usage(1, 1)).unwrap();
                    assert_eq!(sum.usage.bytes, sum.mailboxes);
                    sums.lock().unwrap().push(sum.mailboxes);
                }
            });
        }
    });
    let mut sums = sums.into_inner().unwrap();
    sums.sort();
    assert_eq!(sums, (1..=40).collect::<Vec<_>>());
    assert_exact(&store);
}

fn removing_accounts_during_updates_keeps_the_sum_exact(kind: Kind) {
    let (database, logins) = crowd(kind, 40);
    let store = database.pooled();
    for user in &logins[..20] {
        store.publish(user, usage(3, 1)).unwrap();
    }
    std::thread::scope(|scope| {
        for (number, some) in logins.chunks(5).enumerate() {
            let store = &store;
            scope.spawn(move || {
                for (bytes, user) in (1..).zip(some) {
                    match store.publish(user, usage(bytes, 1)) {
                        Ok(_) => {}
                        Err(StoreError::Refused { .. }) => assert!(store.find(user).unwrap().is_none(), "{user}"),
                        Err(error) => panic!("{error}"),
                    }
                }
            });
            scope.spawn(move || {
                for user in some.iter().filter(|_| number % 2 == 0) {
                    store.remove_account(user).unwrap();
                }
            });
        }
    });
    assert_eq!(store.pool_use("x.example").unwrap().mailboxes, 20);
    assert_exact(&store);
}

fn accounts_removed_by_other_programs_are_subtracted(kind: Kind) {
    let (database, logins) = crowd(kind, 3);
    let store = database.store();
    for user in &logins {
        store.publish(user, usage(5, 1)).unwrap();
    }
    // Not every program enforces foreign keys. If they are enforced, the row of its usage is removed with the account.
    database.sql(&format!(
        "DELETE FROM mailbox_use WHERE login = '{0}'; DELETE FROM accounts WHERE login = '{0}'",
        logins[0]
    ));
    let sum = |mailboxes| PoolUse { usage: usage(5 * mailboxes, mailboxes), mailboxes };
    assert_eq!(store.pool_use("x.example").unwrap(), sum(3), "while it was not summed");
    assert_eq!(store.sum_up("x.example").unwrap(), sum(2));
    assert_eq!(store.pool_use("x.example").unwrap(), sum(2));
    assert!(!store.sum_up("nowhere.example").unwrap_err().is_outage());
}

fn a_sum_is_corrected_during_updates(kind: Kind) {
    let (database, logins) = crowd(kind, 40);
    let store = database.pooled();
    let publishing = AtomicUsize::new(4);
    std::thread::scope(|scope| {
        for some in logins.chunks(10) {
            let (store, publishing) = (&store, &publishing);
            scope.spawn(move || {
                for bytes in 1..6 {
                    for user in some {
                        store.publish(user, usage(bytes, 1)).unwrap();
                    }
                }
                publishing.fetch_sub(1, Ordering::SeqCst);
            });
        }
        while publishing.load(Ordering::SeqCst) > 0 {
            store.sum_up("x.example").unwrap();
        }
    });
    assert_eq!(store.pool_use("x.example").unwrap(), PoolUse { usage: usage(200, 40), mailboxes: 40 });
    assert_exact(&store);
}

/// More accounts and aliases than are removed with one statement.
fn a_large_domain_is_removed_completely(kind: Kind) {
    let database = Database::empty(kind).filled();
    let store = database.store();
    let rows: Vec<_> = (0..2500).map(|n| account(&format!("m{n}@big.example"))).collect();
    import(&store, &rows).unwrap();
    let values: Vec<_> =
        (0..2500).map(|n| format!("('a{}@big.example', 'big.example', 't{n}@x.example')", n / 2)).collect();
    database.sql(&format!("INSERT INTO aliases (address, domain, target) VALUES {}", values.join(", ")));
    store.publish(&rows[7].login, usage(5, 1)).unwrap();
    store.publish(&login("anna@x.example"), usage(7, 1)).unwrap();
    let in_use = AdminError::InUse { domain: "big.example".into(), accounts: 2500, aliases: 2500, alias_domains: 0 };
    assert_eq!(store.remove_domain("big.example", false).unwrap_err(), in_use);
    assert_eq!(store.aliases(Some("big.example")).unwrap().len(), 1250);
    store.remove_domain("big.example", true).unwrap();
    assert_eq!(store.domains().unwrap(), [domain("x.example")]);
    assert_eq!((store.report().unwrap().accounts, store.aliases(None).unwrap()), (1, Vec::new()));
    assert_eq!(store.pool_use("big.example").unwrap(), PoolUse::default());
    assert_eq!(store.pool_use("x.example").unwrap().usage, usage(7, 1));
    assert!(matches!(store.remove_domain("big.example", true), Err(AdminError::NoSuch { .. })));
}

fn no_simultaneous_update_is_lost(kind: Kind) {
    let database = three(kind);
    let store = database.pooled();
    std::thread::scope(|scope| {
        for thread in 0..8u64 {
            let store = &store;
            let user = login(if thread % 2 == 0 { "anna@x.example" } else { "bruno@x.example" });
            scope.spawn(move || {
                for _ in 0..5 {
                    store.publish(&user, usage(5, 1)).unwrap();
                }
            });
        }
    });
    assert_eq!(store.pool_use("x.example").unwrap(), PoolUse { usage: usage(10, 2), mailboxes: 2 });
}
