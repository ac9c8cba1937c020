//! Notes of changes: what they keep the copy from answering, and until when.

use super::*;

#[test]
fn a_password_changed_before_an_outage_is_not_undone_by_the_copy() {
    let fixture = fixture();
    let snapshot = fixture.open_with_copy();
    fixture.store.fail_copies(Some(outage()));
    let anna = login("anna@x.example");
    assert_eq!(snapshot.set_password(&anna, &Password("one".into()), &Password("two".into())), Ok(true));
    fixture.stop_database();
    assert_eq!((look(&snapshot, "anna@x.example"), look(&snapshot, "ben@x.example")), (Err(outage()), copied("one")));
    assert_eq!(snapshot.enumerate(None, 10).unwrap_err(), outage(), "a list would have the old row");
    drop(snapshot);
    // The same holds after a restart.
    let snapshot = fixture.open();
    assert_eq!((look(&snapshot, "anna@x.example"), look(&snapshot, "ben@x.example")), (Err(outage()), copied("one")));
    fixture.start_database();
    eventually("copy of the row", || is_up_to_date(&snapshot));
    fixture.stop_database();
    assert_eq!(look(&snapshot, "anna@x.example"), copied("two"));
}

#[test]
fn the_copy_does_not_answer_about_what_a_note_names() {
    let fixture = fixture();
    for (name, domain) in [("carl@y.example", "y.example"), ("dora@sub.y.example", "sub.y.example")] {
        fixture.set_account(name, "one");
        fixture.set_domain(domain, true);
    }
    fixture.store.set_alias("@y.example", &["z@z.example"]);
    fixture.store.set_alias("info@x.example", &["z@z.example"]);
    let snapshot = fixture.open_in_outage();
    let answers = || {
        let logins = ["anna@x.example", "ben@x.example", "carl@y.example", "dora@sub.y.example", "new@x.example"];
        let logins = logins.map(|name| look(&snapshot, name).is_ok());
        let aliases = ["info@x.example", "@y.example"].map(|address| snapshot.alias_targets(address).is_ok());
        let is_known = |name| snapshot.domain_enabled(&domain(name)).is_ok();
        (logins, aliases, ["x.example", "y.example", "no.example"].map(is_known))
    };
    let why = || (keeper(&snapshot).copy.damage(), keeper(&snapshot).freshness.failure.lock().clone());
    assert_eq!(answers(), ([true; 5], [true; 2], [true; 3]), "{:?}", why());
    snapshot.forget(&Changed::Everything);
    assert_eq!(answers(), ([true; 5], [true; 2], [true; 3]), "it names nothing");
    snapshot.forget(&Changed::Account(login("anna@x.example")));
    assert_eq!(answers(), ([false, true, true, true, true], [true; 2], [true; 3]));
    snapshot.forget(&Changed::alias("info@x.example").unwrap());
    assert_eq!(answers(), ([false, true, true, true, true], [false, true], [true; 3]));
    snapshot.forget(&Changed::Domain(domain("y.example")));
    assert_eq!(answers(), ([false, true, false, true, true], [false, false], [true, false, true]));
    snapshot.forget(&Changed::Additions);
    assert_eq!(answers(), ([false, true, false, true, false], [false, false], [true, false, false]));
    assert_eq!(snapshot.enumerate(None, 10).unwrap_err(), outage(), "a list would not be complete");
    fixture.start_database();
    eventually("copy of everything", || is_up_to_date(&snapshot));
    fixture.stop_database();
    assert_eq!(answers(), ([true; 5], [true; 2], [true; 3]));
}

#[test]
fn with_too_many_notes_the_copy_does_not_answer_until_all_is_read() {
    let fixture = fixture();
    let snapshot = fixture.open_in_outage();
    let copy = &keeper(&snapshot).copy;
    for number in 0..=10_000 {
        // Each takes a write to the disk, and not all of them matter here.
        let changed = Changed::Account(login(&format!("user{number}@x.example")));
        if number < 9_990 { note_quickly(copy, number) } else { copy.note(&changed, false).map(drop).unwrap() }
    }
    assert_eq!(look(&snapshot, "ben@x.example"), Err(outage()));
    fixture.start_database();
    eventually("copy of everything", || is_up_to_date(&snapshot));
    fixture.stop_database();
    assert_eq!(look(&snapshot, "ben@x.example"), copied("one"));
}

/// Writes a note without waiting for the disk.
fn note_quickly(copy: &Copy, number: i32) {
    thread_local!(static FILE: std::cell::RefCell<Option<rusqlite::Connection>> = const { std::cell::RefCell::new(None) });
    FILE.with_borrow_mut(|file| {
        let file = file.get_or_insert_with(|| {
            let file = rusqlite::Connection::open(copy.path()).unwrap();
            file.execute_batch("PRAGMA synchronous = OFF").unwrap();
            file
        });
        let name = format!("user{number}@x.example").into_bytes();
        file.execute("INSERT INTO pending (kind, name, held) VALUES (0, ?, 0)", [name]).unwrap();
    });
}

#[test]
fn a_change_that_cannot_be_noted_is_remembered() {
    let fixture = fixture();
    let snapshot = fixture.open_with_copy();
    fixture.store.fail_copies(Some(outage()));
    fs::set_permissions(fixture.path(), fs::Permissions::from_mode(0o644)).unwrap();
    snapshot.forget(&Changed::Account(login("anna@x.example")));
    assert_eq!(snapshot.unnoted(), [Changed::Account(login("anna@x.example"))], "for a store that replaces it");
    fixture.stop_database();
    fs::set_permissions(fixture.path(), fs::Permissions::from_mode(0o600)).unwrap();
    assert_eq!((look(&snapshot, "anna@x.example"), look(&snapshot, "ben@x.example")), (Err(outage()), copied("one")));
    fixture.start_database();
    eventually("copy of it", || keeper(&snapshot).freshness.lost.lock().changes.is_empty() && is_up_to_date(&snapshot));
    fixture.stop_database();
    assert_eq!(look(&snapshot, "anna@x.example"), copied("one"));
}
