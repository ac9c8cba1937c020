//! What the copy answers during an outage, and for how long.

use super::*;

#[test]
fn the_copy_answers_during_an_outage_and_not_longer() {
    let fixture = fixture();
    let snapshot = fixture.open_with_copy();
    assert_eq!(look(&snapshot, "anna@x.example"), Ok(("one".into(), false)));
    fixture.stop_database();
    assert_eq!(seen(&snapshot, "anna@x.example").unwrap().into_row(), Some(row("anna@x.example", "one")));
    assert_eq!(look(&snapshot, "unknown@x.example"), copied("-"));
    assert!(snapshot.state().snapshot.unwrap().in_use);
    assert_eq!(snapshot.enumerate(None, 10).unwrap().rows.len(), 2);
    assert_eq!(snapshot.domain_enabled(&domain("x.example")), Ok(Some(true)));
    assert_eq!(snapshot.pool_limits("x.example").unwrap(), Limits::from_columns(Some(7), None));
    fixture.start_database();
    assert_eq!(look(&snapshot, "anna@x.example"), Ok(("one".into(), false)));
    assert!(!snapshot.state().snapshot.unwrap().in_use);
}

#[test]
fn a_replicas_answer_before_the_outage_is_valid_if_the_copy_agrees() {
    let fixture = fixture();
    let snapshot = fixture.open_with_copy();
    let again = |name: &str, row: Option<AccountRow>| {
        snapshot.look_again(&login(name), &Lookup::new(row).behind(true), Instant::now() + Duration::from_secs(5))
    };
    let same = Some(row("anna@x.example", "one"));
    assert_eq!(again("anna@x.example", same.clone()).unwrap().unwrap().into_row(), same);
    fixture.stop_database();
    assert!(matches!(again("anna@x.example", same), Ok(None)));
    assert!(matches!(again("unknown@x.example", None), Ok(None)));
    // It is unknown which of the two is newer.
    assert_eq!(again("anna@x.example", Some(row("anna@x.example", "two"))).map(drop), Err(outage()));
    assert_eq!(again("anna@x.example", None).map(drop), Err(outage()));
    snapshot.forget(&Changed::Account(login("anna@x.example")));
    assert_eq!(again("anna@x.example", Some(row("anna@x.example", "one"))).map(drop), Err(outage()));
}

#[test]
fn the_copy_answers_no_change_and_no_question_for_the_current_row() {
    let fixture = fixture();
    let snapshot = fixture.open_in_outage();
    let anna = login("anna@x.example");
    assert_eq!(snapshot.find(&anna), Err(outage()));
    assert_eq!(snapshot.set_password(&anna, &Password("one".into()), &Password("two".into())), Err(outage()));
    assert_eq!(snapshot.pool_use("x.example"), Err(outage()));
    assert_eq!(snapshot.publish(&anna, Usage::default()), Err(outage()));
}

#[test]
fn a_refusal_of_the_database_is_its_answer() {
    let fixture = fixture();
    let snapshot = fixture.open_with_copy();
    fixture.store.fail(Some(refusal()));
    assert_eq!(look(&snapshot, "anna@x.example"), Err(refusal()));
}

#[test]
fn a_copy_answers_until_max_age_whatever_the_clock_shows() {
    let fixture = fixture();
    let snapshot = fixture.open_in_outage();
    let day = fixture.config.outage.max_age;
    fixture.pass(day - Duration::from_secs(5), day - Duration::from_secs(5));
    assert_eq!(look(&snapshot, "anna@x.example"), copied("one"));
    // The system's clock is set back, and the monotonic one goes on.
    fixture.now.lock().1 -= day * 2;
    assert_eq!(look(&snapshot, "anna@x.example"), copied("one"));
    fixture.pass(Duration::from_secs(10), Duration::from_secs(10));
    assert_eq!(look(&snapshot, "anna@x.example"), Err(outage()));
    drop(snapshot);
    // A new process has only the file, which is from tomorrow.
    assert_eq!(look(&fixture.open(), "anna@x.example"), Err(outage()));
    fixture.pass(Duration::ZERO, day * 2);
    assert_eq!(look(&fixture.open(), "anna@x.example"), Err(outage()), "it is a day old again");
}

#[test]
fn a_clock_that_is_a_little_slow_makes_a_copy_no_younger_than_new() {
    let fixture = fixture();
    drop(fixture.open_with_copy());
    fixture.stop_database();
    fixture.now.lock().1 -= Duration::from_secs(100);
    let snapshot = fixture.open();
    assert_eq!(look(&snapshot, "anna@x.example"), copied("one"));
    assert_eq!(snapshot.state().snapshot.unwrap().age, Duration::ZERO);
}

#[test]
fn an_answer_of_the_copy_stays_uncertain_when_the_database_is_back() {
    let fixture = fixture();
    let snapshot = fixture.open_with_copy();
    let before = snapshot.doubts();
    assert_eq!(snapshot.certain_since(before), Ok(()));
    fixture.stop_database();
    assert_eq!(look(&snapshot, "unknown@x.example"), copied("-"));
    fixture.start_database();
    assert_eq!(snapshot.certain_since(before), Err(outage()));
    assert_eq!(snapshot.certain_since(snapshot.doubts()), Ok(()));
}

#[test]
fn an_outage_is_logged_once_a_minute() {
    let notices = Notices::default();
    let (begin, path) = (Instant::now(), Path::new("/copy"));
    let is_logged = |after: u64| {
        notices.report_use(begin + Duration::from_secs(after), path, Duration::ZERO, &outage());
        notices.take_announced()
    };
    assert_eq!([0, 1, 59, 60, 61, 120].map(is_logged), [true, false, false, true, false, true]);
}
