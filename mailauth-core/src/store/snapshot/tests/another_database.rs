//! A file that is a copy of another database than the configured one.

use super::*;

#[test]
fn with_another_url_the_file_answers_until_the_new_database_is_copied() {
    let mut fixture = fixture();
    drop(fixture.open_with_copy());
    for (round, url) in ["mysql://u@h,standby/d", "mysql://u@other/d", "postgres://u@h/d"].into_iter().enumerate() {
        fixture.config.database.url = url.parse().unwrap();
        let before = if round == 0 { "one".to_owned() } else { format!("new {}", round - 1) };
        fixture.stop_database();
        let snapshot = fixture.open();
        eventually("copy", || look(&snapshot, "anna@x.example") == copied(&before));
        // The new database answers for a moment, and becomes unreachable before all of it was read.
        let new = format!("new {round}");
        fixture.set_account("anna@x.example", &new);
        let pages = Arc::new(AtomicU64::new(1));
        let left = Arc::clone(&pages);
        fixture.store.on_call(move |_, call| match call {
            Call::Copy(_) => {
                let one_less = |left: u64| left.checked_sub(1);
                left.fetch_update(Ordering::SeqCst, Ordering::SeqCst, one_less).map(drop).map_err(|_| outage())
            }
            _ => Ok(()),
        });
        fixture.start_database();
        eventually("end of it", || pages.load(Ordering::SeqCst) == 0);
        fixture.stop_database();
        fixture.store.remove_hook();
        assert_eq!(look(&snapshot, "anna@x.example"), copied(&before), "{url}");
        snapshot.forget(&Changed::Account(login("ben@x.example")));
        assert_eq!(look(&snapshot, "ben@x.example"), Err(outage()), "{url}");
        fixture.start_database();
        eventually("copy of the new one", || {
            let status = keeper(&snapshot).copy.status().unwrap().unwrap();
            keeper(&snapshot).copy.is_of(&status)
                && keeper(&snapshot).freshness.began().is_some()
                && is_up_to_date(&snapshot)
        });
        fixture.stop_database();
        let looked_up = (look(&snapshot, "anna@x.example"), look(&snapshot, "ben@x.example"));
        assert_eq!(looked_up, (copied(&new), copied("one")));
    }
}

#[test]
fn a_copy_of_another_database_is_not_used_while_its_process_runs() {
    let mut fixture = fixture();
    let first = fixture.open_in_outage();
    fixture.config.database.url = "mysql://u@other/d".parse().unwrap();
    let second = fixture.open();
    assert_eq!((look(&first, "anna@x.example"), look(&second, "anna@x.example")), (copied("one"), Err(outage())));
    drop(first);
    eventually("turn of the second", || look(&second, "anna@x.example") == copied("one"));
}
