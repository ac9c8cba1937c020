//! What is copied, and when.

use super::*;
use crate::Secret;
use crate::mailbox::Unusable;
use std::sync::atomic::AtomicBool;

#[test]
fn a_row_that_cannot_be_used_in_the_database_cannot_be_used_in_the_copy() {
    let odd =
        [(Field::Uid, Value::Text(Secret::from("many"))), (Field::Home, Value::Other), (Field::Enabled, Value::Int(2))];
    for (field, value) in odd {
        let fixture = fixture();
        fixture.set_account("odd@x.example", "one");
        fixture.store.store_value(&login("odd@x.example"), field, value);
        let snapshot = fixture.open_in_outage();
        let error = look(&snapshot, "odd@x.example").unwrap_err();
        let is_named = |unusable: &Unusable| unusable.column == field.name();
        assert!(matches!(&error, StoreError::Doubtful(unusable) if is_named(unusable)), "{error}");
    }
}

#[test]
fn changes_and_deletions_are_copied_over_many_pages() {
    let fixture = fixture();
    let name = |number: i32| format!("user{number:05}@x.example");
    fixture.store.rows().extend((0..2500).map(|number| row(&name(number), "one")));
    let targets: Vec<_> = (0..1500).map(|number| format!("{number:04}@y.example")).collect();
    let targets: Vec<_> = targets.iter().map(String::as_str).collect();
    // More than an alias may have, so that one fills more than a page.
    fixture.store.set_alias("all@x.example", &targets);
    let snapshot = fixture.open_with_copy();
    assert_eq!(snapshot.state().snapshot.unwrap().accounts, 2502);
    for number in (0..2500).filter(|number| number % 1000 != 7) {
        match number % 2 {
            0 => fixture.set_account(&name(number), "two"),
            _ => fixture.remove_account(&name(number)),
        }
    }
    fixture.store.set_alias("all@x.example", &targets[..3]);
    snapshot.forget(&Changed::Everything);
    eventually("the rest", || snapshot.state().snapshot.unwrap().accounts == 1255);
    fixture.stop_database();
    assert_eq!((look(&snapshot, &name(1)), look(&snapshot, &name(2))), (copied("-"), copied("two")));
    assert_eq!((look(&snapshot, &name(7)), look(&snapshot, &name(2498))), (copied("one"), copied("two")));
    assert_eq!(snapshot.alias_targets("all@x.example").unwrap().len(), 3);
}

#[test]
fn changes_are_copied_by_what_they_name() {
    let fixture = fixture();
    let snapshot = fixture.open_with_copy();
    let forget = |changed: Changed| {
        snapshot.forget(&changed);
        eventually("a copy of it", || is_up_to_date(&snapshot));
    };
    fixture.set_account("anna@x.example", "two");
    forget(Changed::Account(login("anna@x.example")));
    fixture.set_account("new@y.example", "one");
    fixture.set_domain("y.example", true);
    forget(Changed::Account(login("new@y.example")));
    fixture.store.set_alias("info@x.example", &["a@z.example", "b@z.example"]);
    forget(Changed::alias("info@x.example").unwrap());
    fixture.stop_database();
    assert_eq!(look(&snapshot, "anna@x.example"), copied("two"));
    assert_eq!(look(&snapshot, "new@y.example"), copied("one"), "with its domain");
    assert_eq!(snapshot.alias_targets("info@x.example").unwrap(), ["a@z.example", "b@z.example"]);
    assert_eq!(snapshot.state().snapshot.unwrap().accounts, 3);

    fixture.start_database();
    fixture.store.remove_domain("x.example");
    fixture.store.set_alias("info@x.example", &[]);
    ["anna@x.example", "ben@x.example"].iter().for_each(|name| fixture.remove_account(name));
    forget(Changed::Domain(domain("x.example")));
    fixture.stop_database();
    assert_eq!((look(&snapshot, "anna@x.example"), look(&snapshot, "ben@x.example")), (copied("-"), copied("-")));
    assert_eq!(snapshot.alias_targets("info@x.example").unwrap(), [""; 0]);
    assert_eq!(snapshot.domain_enabled(&domain("x.example")), Ok(None));
    assert_eq!((look(&snapshot, "new@y.example"), snapshot.state().snapshot.unwrap().accounts), (copied("one"), 1));
}

#[test]
fn a_disabled_domain_changes_one_row_and_applies_to_its_accounts() {
    let fixture = fixture();
    let snapshot = fixture.open_with_copy();
    fixture.set_domain("x.example", false);
    snapshot.forget(&Changed::Domain(domain("x.example")));
    eventually("a copy of it", || is_up_to_date(&snapshot));
    fixture.stop_database();
    assert!(!seen(&snapshot, "anna@x.example").unwrap().row.unwrap().domain_enabled);
}

#[test]
fn one_process_at_a_time_refreshes_a_file_and_the_next_takes_over() {
    let fixture = fixture();
    let first = fixture.open_with_copy();
    let second = fixture.open();
    second.forget(&Changed::Everything);
    eventually("refresh by the first", || is_up_to_date(&first));
    let lock = fs::OpenOptions::new().write(true).open(file::beside(fixture.path(), ".lock")).unwrap();
    let take = || rustix::fs::flock(&lock, rustix::fs::FlockOperation::NonBlockingLockExclusive);
    assert!(take().is_err(), "one of them holds the lock");
    drop(first);
    fixture.set_account("new@x.example", "one");
    eventually("refresh by the second", || second.state().snapshot.unwrap().accounts == 3);
    drop(second);
    eventually("end of the second", || take().is_ok());
}

#[test]
fn between_two_complete_readings_rows_are_read_by_their_time_of_change() {
    let fixture = fixture();
    fixture.set_account("anna@x.example", "two");
    let copy = Arc::new(Copy::new(fixture.path(), Origin::of(&fixture.config.database.url, &Tables::Own)));
    let now = Arc::clone(&fixture.now);
    let work = Work {
        original: Arc::new(fixture.store.clone()),
        foreign: None,
        copy: Arc::clone(&copy),
        freshness: Arc::default(),
        interval: Duration::from_secs(60),
        max_age: Duration::from_secs(3600),
        clock: Arc::new(move || *now.lock()),
    };
    let change = |name: &str, time: &str| {
        fixture.set_account(name, "new");
        fixture.store.store_value(&login(name), Field::Updated, Value::Text(Secret::from(time)));
    };
    let mut memory = refresher::Memory::new(Instant::now());
    assert!(work.refresh(&mut memory).is_ok());
    memory.postpone_whole();
    change("anna@x.example", "2025");
    change("ben@x.example", "2026");
    fixture.pass(Duration::ZERO, Duration::from_secs(60));
    assert!(work.refresh(&mut memory).is_ok());
    let hosts = Hosts::single(vec![Arc::new(Sqlite::new(fixture.path(), PATIENCE))], "copy".into(), PATIENCE);
    let reader = SqlStore::new(hosts, TableModel::own());
    let password = |name: &str| reader.find(&login(name)).unwrap().unwrap().password;
    assert!(password("anna@x.example") == Password("two".into()), "by its time it is unchanged");
    assert!(password("ben@x.example") == Password("new".into()));
    // The copy does not claim that deletions were found.
    let status = copy.status().unwrap().unwrap();
    assert_eq!((status.taken + 60, status.refreshed), (status.refreshed, clock::seconds(fixture.now.lock().1)));
}

#[test]
fn a_panic_while_copying_does_not_end_the_copying() {
    let fixture = fixture();
    let snapshot = fixture.open_with_copy();
    let panics = Arc::new(AtomicBool::new(true));
    let is_due = Arc::clone(&panics);
    fixture.store.on_call(move |_, call| {
        assert!(!matches!(call, Call::Copy(_)) || !is_due.swap(false, Ordering::SeqCst), "on purpose");
        Ok(())
    });
    fixture.set_account("anna@x.example", "two");
    snapshot.forget(&Changed::Account(login("anna@x.example")));
    eventually("a copy of it", || is_up_to_date(&snapshot) && !panics.load(Ordering::SeqCst));
    fixture.stop_database();
    assert_eq!(look(&snapshot, "anna@x.example"), copied("two"));
}

#[test]
fn a_failing_refresh_is_reported_until_one_succeeds() {
    let fixture = fixture();
    let snapshot = fixture.open_with_copy();
    let failure = || snapshot.state().snapshot.unwrap().failure.map(|(_, why)| why);
    let failure_from_outside = || look_from_outside(&fixture).unwrap().unwrap().state.failure.map(|(_, why)| why);
    assert_eq!((failure(), failure_from_outside()), (None, None));
    fixture.store.fail_copies(Some(refusal()));
    eventually("failure", || failure() == Some(refusal().to_string()) && failure_from_outside() == failure());
    fixture.start_database();
    eventually("success", || failure().is_none() && failure_from_outside().is_none());
}
