use super::*;
use crate::store::driver::fake::{Fake, FakeDriver, touch};
use std::sync::atomic::Ordering;

const DEADLINE: Duration = Duration::from_secs(2);

fn pools() -> [(Arc<Fake>, Pool); 2] {
    let (one, many) = (Arc::new(Fake::default()), Arc::new(Fake::default()));
    let single = Pool::single(Arc::new(FakeDriver(one.clone())), DEADLINE);
    let pooled = Pool::pooled(Arc::new(FakeDriver(many.clone())), 4, DEADLINE);
    [(one, single), (many, pooled)]
}

/// Makes a pool open all its four connections, and returns them.
fn fill(pool: &Pool) {
    let all = std::sync::Barrier::new(4);
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                pool.read(|_| {
                    all.wait();
                    Ok(())
                })
            });
        }
    });
}

#[test]
fn a_read_survives_a_dead_pooled_connection() {
    for (fake, pool) in pools() {
        pool.read(touch).unwrap();
        fake.restart();
        pool.read(touch).unwrap();
        assert_eq!(fake.failed(), 1);
    }
}

#[test]
fn a_read_runs_at_most_twice_and_a_write_once() {
    for (_, pool) in pools() {
        let mut tries = 0;
        let lost = || DriverError::Lost("again".into());
        let read: Result<(), _> = pool.read(|_| {
            tries += 1;
            Err(lost())
        });
        assert_eq!(read, Err(ReadFailure::working(lost())));
        assert_eq!(tries, 2);
        let write: Result<(), _> = pool.run(pool.writable().unwrap(), |_| {
            tries += 1;
            Err(lost())
        });
        assert!(write.is_err());
        assert_eq!(tries, 3);
    }
}

#[test]
fn a_write_is_not_sent_on_a_dead_pooled_connection() {
    for (fake, pool) in pools() {
        pool.read(touch).unwrap();
        fake.restart();
        pool.run(pool.writable().unwrap(), touch).unwrap();
        assert_eq!((fake.pings.load(Ordering::SeqCst), fake.failed()), (1, 1), "the ping failed, and nothing else");
    }
}

#[test]
fn reads_are_not_preceded_by_pings() {
    for (fake, pool) in pools() {
        (0..10).for_each(|_| pool.read(touch).unwrap());
        assert_eq!((fake.pings.load(Ordering::SeqCst), fake.connects.load(Ordering::SeqCst)), (0, 1));
    }
}

#[test]
fn after_one_loss_all_older_connections_are_dropped_untried() {
    let [_, (fake, pool)] = pools();
    fill(&pool);
    fake.restart();
    (0..20).for_each(|_| pool.read(touch).unwrap());
    fill(&pool);
    assert_eq!(fake.failed(), 1);
}

#[test]
fn an_outage_is_reported_at_once_and_ends_by_itself() {
    let [_, (fake, pool)] = pools();
    pool.read(touch).unwrap();
    fake.away.store(true, Ordering::SeqCst);
    fake.restart();
    assert!(pool.read(touch).is_err());
    let start = Instant::now();
    (0..100).for_each(|_| assert!(pool.read(touch).is_err()));
    assert!(start.elapsed() < DEADLINE / 2, "{:?}", start.elapsed());
    fake.away.store(false, Ordering::SeqCst);
    while pool.read(touch).is_err() {
        assert!(start.elapsed() < Duration::from_secs(60), "no recovery");
        std::thread::sleep(Duration::from_millis(10));
    }
}

#[test]
fn the_state_shows_an_outage_and_keeps_its_last_error() {
    for (fake, pool) in pools() {
        let fresh = pool.state();
        assert_eq!((fresh.place.as_str(), fresh.live, fresh.latency, fresh.last_error), ("fake", true, None, None));
        pool.read(touch).unwrap();
        assert!(pool.state().latency.is_some());
        fake.away.store(true, Ordering::SeqCst);
        fake.restart();
        assert!(pool.read(touch).is_err());
        let away = pool.state();
        assert!(!away.live && away.last_error.is_some_and(|(what, _)| what == "away"));
        fake.away.store(false, Ordering::SeqCst);
        let start = Instant::now();
        while pool.read(touch).is_err() {
            assert!(start.elapsed() < Duration::from_secs(60), "no recovery");
            std::thread::sleep(Duration::from_millis(10));
        }
        let back = pool.state();
        assert!(back.live && back.last_error.is_some_and(|(what, ago)| what == "away" && ago > Duration::ZERO));
    }
}

#[test]
fn a_full_server_is_live_and_asked_again_at_growing_intervals() {
    let [_, (fake, pool)] = pools();
    pool.read(touch).unwrap();
    fake.full.store(true, Ordering::SeqCst);
    // Long enough to run at the same time on a busy machine too.
    let work = || {
        pool.read(|connection| {
            std::thread::sleep(Duration::from_millis(5));
            touch(connection)
        })
    };
    let start = Instant::now();
    while start.elapsed() < Duration::from_secs(3) {
        std::thread::scope(|scope| {
            for _ in 0..8 {
                scope.spawn(|| work().unwrap());
            }
        });
    }
    assert!(pool.serves() && pool.state().live && pool.state().full);
    let asked = fake.connects.load(Ordering::SeqCst);
    // The first connection, all eight at once when the server turns out to be full, then pauses that double from 50
    // ms.
    assert!((2..=16).contains(&asked), "connected {asked} times");
    fake.full.store(false, Ordering::SeqCst);
    fill(&pool);
    assert!(!pool.state().full);
}

#[test]
fn a_server_that_is_full_from_the_start_is_reported_at_once() {
    for (fake, pool) in pools() {
        fake.full.store(true, Ordering::SeqCst);
        let failed = pool.read(touch).unwrap_err();
        assert_eq!(failed.error, DriverError::Full("too many connections".into()));
        assert!(!pool.serves() && pool.state().full && pool.state().live);
        let start = Instant::now();
        assert!(pool.read(touch).is_err() && start.elapsed() < DEADLINE, "{:?}", start.elapsed());
    }
}

#[test]
fn during_an_outage_one_attempt_to_connect_runs_at_a_time() {
    let [_, (fake, pool)] = pools();
    fake.connect_takes.store(300, Ordering::SeqCst);
    fake.away.store(true, Ordering::SeqCst);
    assert!(pool.read(touch).is_err());
    fake.most_at_once.store(0, Ordering::SeqCst);
    let before = fake.connects.load(Ordering::SeqCst);
    let start = Instant::now();
    while start.elapsed() < Duration::from_secs(4) {
        std::thread::scope(|scope| {
            for _ in 0..8 {
                scope.spawn(|| assert!(pool.read(touch).is_err()));
            }
        });
        std::thread::sleep(Duration::from_millis(5));
    }
    assert!(fake.most_at_once.load(Ordering::SeqCst) <= 1, "{:?}", fake.most_at_once);
    let tried = fake.connects.load(Ordering::SeqCst) - before;
    assert!((2..=9).contains(&tried), "{tried} attempts in 4 s");
}

#[test]
fn one_slow_statement_among_others_is_not_an_outage() {
    let [_, (_, pool)] = pools();
    std::thread::scope(|scope| {
        let slow = scope.spawn(|| {
            pool.read(|connection| {
                std::thread::sleep(Duration::from_millis(100));
                connection.batch("break")?;
                Err::<(), _>(DriverError::Timeout(DEADLINE))
            })
        });
        while !slow.is_finished() {
            pool.read(touch).unwrap();
        }
        assert_eq!(slow.join().unwrap().unwrap_err().error, DriverError::Timeout(DEADLINE));
    });
    assert!(pool.state().live && pool.serves());
    pool.read(touch).unwrap();
}

#[test]
fn read_waits_for_a_pooled_connection_when_the_server_is_full() {
    let [_, (fake, pool)] = pools();
    pool.read(touch).unwrap();
    fake.full.store(true, Ordering::SeqCst);
    std::thread::scope(|scope| {
        for _ in 0..8 {
            scope.spawn(|| {
                pool.read(|connection| {
                    std::thread::sleep(Duration::from_millis(60));
                    touch(connection)
                })
                .unwrap();
            });
        }
    });
}
