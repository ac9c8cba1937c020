//! The database stops, hangs, and comes back: no wrong answer, no long wait, and no restart of mailauth.

use crate::database::{DEADLINE, Database, account, login, password};
use mailauth_core::store::{AccountStore, SqlStore, StoreError, open_pooled, open_single};
use mailauth_tests::{Kind, eventually, on_each_server_and_mysql};
use std::net::TcpListener;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

on_each_server_and_mysql!(
    dead_pooled_connections_are_replaced_silently,
    a_restart_in_between_is_not_noticed,
    a_write_succeeds_after_a_restart,
    a_stopped_server_is_noticed_at_once_and_found_again,
    a_frozen_server_counts_as_stopped,
    a_command_does_not_wait_for_a_frozen_server,
    a_refused_password_is_reported_without_waiting,
    every_answer_under_load_is_right_or_not_now,
    the_first_host_that_answers_is_used,
);

/// Maximum time of a call: twice the deadline, as promised, and some time for a busy machine.
const LIMIT: Duration = Duration::from_secs(2 * 3 + 1);

fn find(store: &SqlStore) -> Result<(), StoreError> {
    assert_eq!(store.find(&login("anna@x.example"))?, Some(account("anna@x.example")));
    assert_eq!(store.find(&login("nobody@x.example"))?, None);
    Ok(())
}

fn timed<T>(work: impl FnOnce() -> T) -> (T, Duration) {
    let start = Instant::now();
    let outcome = work();
    (outcome, start.elapsed())
}

/// Fills the pool, with as many concurrent lookups as it keeps connections.
fn warm(store: &SqlStore) {
    std::thread::scope(|scope| {
        for _ in 0..16 {
            scope.spawn(|| (0..50).for_each(|_| find(store).unwrap()));
        }
    });
}

fn is_outage(error: &StoreError) -> bool {
    matches!(error, StoreError::Unreachable { .. } | StoreError::Timeout { .. })
}

fn dead_pooled_connections_are_replaced_silently(kind: Kind) {
    let database = Database::on_own_server(kind).filled();
    for store in [database.pooled(), database.store()] {
        for _ in 0..3 {
            warm(&store);
            database.server().cut_connections();
            find(&store).unwrap();
            warm(&store);
        }
    }
}

fn a_restart_in_between_is_not_noticed(kind: Kind) {
    let database = Database::on_own_server(kind).filled();
    let (pooled, single) = (database.pooled(), database.store());
    warm(&pooled);
    find(&single).unwrap();
    database.server().stop();
    database.server().start();
    wait_until_live(&pooled);
    warm(&pooled);
    find(&single).unwrap();
}

fn a_write_succeeds_after_a_restart(kind: Kind) {
    let database = Database::on_own_server(kind).filled();
    let store = database.pooled();
    warm(&store);
    database.server().stop();
    database.server().start();
    wait_until_live(&store);
    let user = login("anna@x.example");
    assert!(store.set_password(&user, &password("$6$salt$hash"), &password("new")).unwrap());
    assert_eq!(store.find(&user).unwrap().unwrap().password, password("new"));
}

fn a_stopped_server_is_noticed_at_once_and_found_again(kind: Kind) {
    let database = Database::on_own_server(kind).filled();
    let store = database.pooled();
    warm(&store);
    database.server().stop();
    let (outcome, taken) = timed(|| find(&store));
    assert!(is_outage(&outcome.unwrap_err()) && taken < LIMIT, "{taken:?}");
    wait_until_down(&store);
    let (_, taken) = timed(|| (0..20).for_each(|_| assert!(is_outage(&find(&store).unwrap_err()))));
    assert!(taken < Duration::from_millis(500), "20 calls during the outage took {taken:?}");
    database.server().start();
    recovers(&store);
}

fn a_frozen_server_counts_as_stopped(kind: Kind) {
    let database = Database::on_own_server(kind).filled();
    let store = database.pooled();
    warm(&store);
    database.server().freeze();
    let (outcome, taken) = timed(|| find(&store));
    assert!(is_outage(&outcome.unwrap_err()), "a frozen server answered");
    assert!(taken < LIMIT, "{taken:?}");
    // Later requests know that it hangs.
    wait_until_down(&store);
    let (_, taken) = timed(|| {
        std::thread::scope(|scope| {
            for _ in 0..16 {
                scope.spawn(|| (0..5).for_each(|_| assert!(is_outage(&find(&store).unwrap_err()))));
            }
        });
    });
    assert!(taken < DEADLINE, "80 calls during the outage took {taken:?}");
    database.server().thaw();
    recovers(&store);
}

fn wait_until_down(store: &SqlStore) {
    eventually("a host that is down", LIMIT, || !store.state().hosts[0].live);
}

/// Waits until the host is not considered down. A thread that still fills the pool when the server stops may notice the
/// outage, and requests get its error until the next probe.
fn wait_until_live(store: &SqlStore) {
    eventually("a host that is live", LIMIT, || store.state().hosts[0].live);
}

/// Waits until it answers, usually within two seconds, and until it answers every request.
fn recovers(store: &SqlStore) {
    let start = Instant::now();
    while let Err(error) = find(store) {
        assert!(is_outage(&error), "{error}");
        assert!(start.elapsed() < Duration::from_secs(10), "no recovery: {error}");
        std::thread::sleep(Duration::from_millis(20));
    }
    println!("recovered after {} ms", start.elapsed().as_millis());
    warm(store);
}

fn a_command_does_not_wait_for_a_frozen_server(kind: Kind) {
    let database = Database::on_own_server(kind).filled();
    database.server().freeze();
    for config in [database.config(), database.config_tcp(&["127.0.0.1"])] {
        let store = open_single(&config).unwrap();
        let (outcome, taken) = timed(|| find(&store));
        assert!(matches!(outcome, Err(StoreError::Timeout { .. } | StoreError::Unreachable { .. })), "{outcome:?}");
        assert!(taken < LIMIT, "{taken:?}");
    }
}

fn a_refused_password_is_reported_without_waiting(kind: Kind) {
    let database = Database::empty(kind).filled();
    let mut config = database.config_tcp(&["127.0.0.1"]);
    config.password = mailauth_core::Secret::from("wrong");
    for store in [open_single(&config).unwrap(), open_pooled(&config).unwrap()] {
        let (outcome, taken) = timed(|| find(&store));
        let error = outcome.unwrap_err();
        assert!(matches!(error, StoreError::Unreachable { .. }), "{error:?}");
        assert!(!error.to_string().contains("wrong"), "{error}");
        assert!(taken < LIMIT, "{taken:?}");
    }
}

fn every_answer_under_load_is_right_or_not_now(kind: Kind) {
    let database = Database::on_own_server(kind).filled();
    let store = database.pooled();
    let (stop, right, later) = (AtomicBool::new(false), AtomicUsize::new(0), AtomicUsize::new(0));
    std::thread::scope(|scope| {
        for _ in 0..16 {
            scope.spawn(|| {
                while !stop.load(Ordering::Relaxed) {
                    // The assertion on what was found is in `find`.
                    let (outcome, taken) = timed(|| find(&store));
                    assert!(taken < 2 * LIMIT, "{taken:?}");
                    match outcome {
                        Ok(()) => right.fetch_add(1, Ordering::Relaxed),
                        Err(error) if is_outage(&error) => {
                            std::thread::sleep(Duration::from_millis(5));
                            later.fetch_add(1, Ordering::Relaxed)
                        }
                        // A server that starts or stops may report it in words of its own.
                        Err(StoreError::Refused { .. }) => later.fetch_add(1, Ordering::Relaxed),
                        Err(error) => panic!("{error}"),
                    };
                }
            });
        }
        let pause = || std::thread::sleep(Duration::from_millis(400));
        let server = database.server();
        for _ in 0..2 {
            pause();
            server.stop();
            pause();
            server.start();
            pause();
            server.freeze();
            std::thread::sleep(DEADLINE + Duration::from_millis(400));
            server.thaw();
            pause();
            server.cut_connections();
            pause();
            server.crash();
            server.start();
        }
        pause();
        stop.store(true, Ordering::Relaxed);
    });
    println!("{} right answers, {} times not now", right.load(Ordering::Relaxed), later.load(Ordering::Relaxed));
    assert!(right.load(Ordering::Relaxed) > 100);
    recovers(&store);
}

fn the_first_host_that_answers_is_used(kind: Kind) {
    let database = Database::empty(kind).filled();
    // One that accepts and never sends a byte, and one that refuses.
    let silent = TcpListener::bind("127.0.0.1:0").unwrap();
    let silent = silent.local_addr().unwrap().to_string();
    let dead = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().to_string();
    for bad in [silent.as_str(), dead.as_str()] {
        let config = database.config_tcp(&[bad, "127.0.0.1"]);
        for store in [open_pooled(&config).unwrap(), open_single(&config).unwrap()] {
            let (outcome, taken) = timed(|| find(&store));
            outcome.unwrap();
            assert!(taken < DEADLINE + Duration::from_secs(1), "{bad}: {taken:?}");
            find(&store).unwrap();
        }
    }
    let store = open_single(&database.config_tcp(&[&dead, &dead])).unwrap();
    let error = find(&store).unwrap_err().to_string();
    assert!(error.matches(&dead).count() >= 2, "each address and its result: {error}");
}
