use super::*;
use crate::store::driver::fake::{Fake, FakeDriver, touch};
use std::sync::atomic::Ordering;

const DEADLINE: Duration = Duration::from_secs(4);

fn fakes() -> [Arc<Fake>; 3] {
    std::array::from_fn(|_| Arc::new(Fake::default()))
}

fn drivers(fakes: &[Arc<Fake>]) -> Vec<Arc<dyn Driver>> {
    fakes.iter().map(|fake| Arc::new(FakeDriver(fake.clone())) as Arc<dyn Driver>).collect()
}

fn many(fakes: &[Arc<Fake>]) -> Hosts {
    Hosts::pooled(drivers(fakes), "fakes".into(), 2, DEADLINE)
}

fn one(fakes: &[Arc<Fake>]) -> Hosts {
    Hosts::single(drivers(fakes), "fakes".into(), DEADLINE)
}

fn done(fakes: &[Arc<Fake>]) -> Vec<usize> {
    fakes.iter().map(|fake| fake.done.load(Ordering::SeqCst)).collect()
}

fn eventually(what: &str, so: impl Fn() -> bool) {
    let start = Instant::now();
    while !so() {
        assert!(start.elapsed() < Duration::from_secs(60), "{what}");
        std::thread::sleep(Duration::from_millis(10));
    }
}

/// Creates the hosts of a daemon and waits until each was probed, as the order of writes depends on that.
fn many_known(fakes: &[Arc<Fake>]) -> Hosts {
    let hosts = many(fakes);
    eventually("each is probed", || hosts.state().iter().all(|host| host.role != Role::Unknown));
    hosts
}

#[test]
fn reads_use_the_first_available_host_and_return_to_it() {
    let fakes = fakes();
    let hosts = many(&fakes);
    hosts.read(touch).unwrap();
    assert_eq!(done(&fakes), [1, 0, 0]);
    fakes[0].stop();
    hosts.read(touch).unwrap();
    assert_eq!(done(&fakes), [1, 1, 0]);
    fakes[0].away.store(false, Ordering::SeqCst);
    eventually("the first is available again", || hosts.state()[0].live);
    hosts.read(touch).unwrap();
    assert_eq!(done(&fakes), [2, 1, 0]);
}

#[test]
fn writes_go_to_the_writable_host_and_are_sent_once() {
    let fakes = fakes();
    fakes[0].read_only.store(true, Ordering::SeqCst);
    for hosts in [many_known(&fakes), one(&fakes)] {
        let before = done(&fakes);
        hosts.write(touch).unwrap();
        assert_eq!(done(&fakes), [before[0], before[1] + 1, 0]);
        let mut tries = 0;
        let failed: Result<(), _> = hosts.write(|_| {
            tries += 1;
            Err(DriverError::Lost("cut off".into()))
        });
        assert!(failed.is_err() && tries == 1);
    }
}

#[test]
fn after_a_promotion_writes_go_to_the_new_primary_at_once() {
    let fakes = fakes();
    let hosts = many_known(&fakes);
    hosts.write(touch).unwrap();
    fakes[0].read_only.store(true, Ordering::SeqCst);
    hosts.write(touch).unwrap();
    assert_eq!(done(&fakes), [1, 1, 0]);
    fakes.iter().for_each(|fake| fake.read_only.store(true, Ordering::SeqCst));
    let error = hosts.write(touch).unwrap_err().to_string();
    assert_eq!(error.matches("it is read only").count(), 3, "{error}");
    assert!(hosts.read(touch).is_ok());
}

#[test]
fn a_full_host_without_connections_is_skipped() {
    let fakes = fakes();
    fakes[0].full.store(true, Ordering::SeqCst);
    let hosts = many(&fakes);
    hosts.read(touch).unwrap();
    assert_eq!(done(&fakes), [0, 1, 0]);
}

#[test]
fn a_full_host_is_used_while_its_connections_work() {
    let fakes = fakes();
    let hosts = many(&fakes);
    eventually("all are probed", || hosts.state().iter().all(|host| host.role == Role::Primary));
    hosts.read(touch).unwrap();
    fakes[0].full.store(true, Ordering::SeqCst);
    // More reads than connections: the pool asks for one more, which is refused.
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                hosts
                    .read(|connection| {
                        std::thread::sleep(Duration::from_millis(100));
                        touch(connection)
                    })
                    .unwrap();
            });
        }
    });
    eventually("it is known to be full", || hosts.state()[0].full);
    let connects = fakes[0].connects.load(Ordering::SeqCst);
    let asked = || hosts.hosts[0].probe.as_ref().unwrap().asked();
    let before = asked();
    eventually("it is probed twice more", || asked() >= before + 2);
    assert!(hosts.state()[0].live && hosts.hosts[0].is_available());
    assert!(fakes[0].connects.load(Ordering::SeqCst) <= connects + 4, "probes need no new connection");
    hosts.read(touch).unwrap();
    assert_eq!(done(&fakes), [6, 0, 0]);
}

#[test]
fn a_statement_that_a_host_refuses_is_not_sent_to_the_next() {
    let fakes = fakes();
    let hosts = many(&fakes);
    let refused = || DriverError::Refused { kind: Refusal::Other, reason: "no".into() };
    let mut tries = 0;
    let read: Result<(), _> = hosts.read(|_| {
        tries += 1;
        Err(refused())
    });
    assert!(matches!(read, Err(StoreError::Refused { .. })) && tries == 1);
}

#[test]
fn without_any_host_the_error_names_each_and_any_may_return() {
    let fakes = fakes();
    let hosts = many(&fakes);
    fakes.iter().for_each(|fake| fake.stop());
    assert!(matches!(hosts.read(touch), Err(StoreError::Unreachable { .. })));
    fakes[2].away.store(false, Ordering::SeqCst);
    eventually("the third answers", || hosts.read(touch).is_ok());
    assert_eq!(done(&fakes), [0, 0, 1]);
}

#[test]
fn a_read_retries_at_the_beginning_of_an_outage_of_all_hosts() {
    let fakes = fakes();
    let hosts = many(&fakes);
    fakes.iter().for_each(|fake| fake.stop());
    std::thread::scope(|scope| {
        let read = scope.spawn(|| hosts.read(touch));
        eventually("all are known to be away", || hosts.state().iter().all(|host| !host.live));
        fakes[1].away.store(false, Ordering::SeqCst);
        assert!(read.join().unwrap().is_ok());
    });
    assert_eq!(done(&fakes), [0, 1, 0]);
}

#[test]
fn a_read_does_not_retry_after_a_longer_outage_of_all_hosts() {
    let fakes = fakes();
    let hosts = many(&fakes);
    fakes.iter().for_each(|fake| fake.stop());
    assert!(hosts.read(touch).is_err());
    eventually("the moment is over", || !hosts.is_recent_outage());
    let start = Instant::now();
    assert!(hosts.read(touch).is_err());
    assert!(start.elapsed() < GRACE, "{:?}", start.elapsed());
}

#[test]
fn a_command_reads_from_the_writable_host() {
    let fakes = fakes();
    fakes[0].read_only.store(true, Ordering::SeqCst);
    let hosts = one(&fakes);
    hosts.read(touch).unwrap();
    assert_eq!(done(&fakes), [0, 1, 0]);
}

#[test]
fn a_single_host_is_not_asked_for_its_role() {
    let fakes = fakes();
    fakes[0].read_only.store(true, Ordering::SeqCst);
    for hosts in [many(&fakes[..1]), one(&fakes[..1])] {
        hosts.write(touch).unwrap();
        assert_eq!(hosts.state()[0].role, Role::Unknown);
    }
}

#[test]
fn a_failed_transaction_keeps_the_connection() {
    for make in [many, one] {
        let fakes = fakes();
        let hosts = make(&fakes[..1]);
        assert_eq!(hosts.transaction(|_| Ok(Err::<(), _>("no"))).unwrap(), Err("no"));
        assert_eq!(hosts.transaction(|_| Ok(Ok::<_, ()>(5))).unwrap(), Ok(5));
        assert_eq!(fakes[0].connects.load(Ordering::SeqCst), 1);
    }
}
