//! What the mailboxes of a domain hold together, as the tables keep it.

use crate::database::{Database, account, domain, login};
use mailauth_core::quota::pools::{PoolStore, PoolUse};
use mailauth_core::quota::{Limits, Usage};
use mailauth_core::store::{Administration, DomainRow, StoreError};
use mailauth_tests::{Kind, on_each_database_and_mysql};

on_each_database_and_mysql!(
    a_domains_quota_comes_back_as_it_was,
    a_quota_that_must_not_be_trusted_is_no_unlimited_one,
    a_pool_is_the_sum_of_what_its_mailboxes_last_published,
    a_mailbox_leaves_the_pool_with_its_account,
    a_sum_beyond_63_bits_is_full_and_no_error,
    of_many_who_publish_at_once_none_is_lost,
);

fn usage(bytes: u64, messages: u64) -> Usage {
    Usage { bytes, messages }
}

/// With anna and bruno in x.example, and carla in y.example.
fn three(kind: Kind) -> Database {
    let database = Database::empty(kind).filled();
    let store = database.store();
    store.add_domain(&domain("y.example")).unwrap();
    store.add_account(&account("bruno@x.example")).unwrap();
    store.add_account(&account("carla@y.example")).unwrap();
    database
}

fn a_domains_quota_comes_back_as_it_was(kind: Kind) {
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

fn a_quota_that_must_not_be_trusted_is_no_unlimited_one(kind: Kind) {
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

fn a_pool_is_the_sum_of_what_its_mailboxes_last_published(kind: Kind) {
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

/// The sizes come from the names of files, and may be anything.
fn a_sum_beyond_63_bits_is_full_and_no_error(kind: Kind) {
    let database = three(kind);
    let store = database.store();
    store.publish(&login("anna@x.example"), usage(Limits::MAX, 1)).unwrap();
    let sum = store.publish(&login("bruno@x.example"), usage(Limits::MAX, 1)).unwrap();
    assert_eq!(sum.usage, usage(Limits::MAX, 2));
}

fn of_many_who_publish_at_once_none_is_lost(kind: Kind) {
    let database = three(kind);
    let store = database.pooled();
    std::thread::scope(|scope| {
        for thread in 0..8u64 {
            let store = &store;
            let who = login(if thread % 2 == 0 { "anna@x.example" } else { "bruno@x.example" });
            scope.spawn(move || {
                for _ in 0..5 {
                    store.publish(&who, usage(5, 1)).unwrap();
                }
            });
        }
    });
    assert_eq!(store.pool_use("x.example").unwrap(), PoolUse { usage: usage(10, 2), mailboxes: 2 });
}
