//! Many connections, one after the other.

use crate::site::Site;
use mailauth_tests::eventually;
use mailauth_tests::exim::Form;
use std::fs;
use std::time::Duration;

/// Descriptors, threads and resident KiB of the daemon.
fn holds(site: &Site) -> (usize, usize, usize) {
    let process = format!("/proc/{}", site.daemon().pid().as_raw_nonzero());
    let count = |of: &str| fs::read_dir(format!("{process}/{of}")).expect("a process").count();
    let status = fs::read_to_string(format!("{process}/status")).expect("a process");
    let resident = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).expect("its memory");
    let resident = resident.trim().trim_end_matches(" kB").parse().expect("a number");
    (count("fd"), count("task"), resident)
}

#[test]
fn a_thousand_connections_leave_nothing_behind() {
    let site = Site::new(Form::Dlfunc);
    let visit = |number: usize| {
        let mut client = site.exim.connect();
        client.mail("sender@elsewhere.example", None);
        assert_eq!(client.rcpt("anna@example.org").code, 250);
        if number.is_multiple_of(10) {
            assert_eq!(client.rcpt("nobody@example.org").code, 550);
        }
        // Exim thinks about a QUIT for a fifth of a second.
        drop(client);
    };
    // Until its pools and queues have their size.
    (0..200).for_each(visit);
    let (descriptors, threads, resident) = holds(&site);
    (0..1000).for_each(visit);
    eventually("as many descriptors as before", Duration::from_secs(10), || holds(&site).0 <= descriptors);
    let after = holds(&site);
    assert_eq!(after.1, threads);
    assert!(after.2 <= resident + 2048, "from {resident} to {} KiB", after.2);
    // The host's own process, Exim, and our daemon, which its host does not see.
    eventually("Exim alone", Duration::from_secs(20), || {
        site.processes().lines().filter(|name| name.starts_with("exim")).count() == 1
    });
    site.no_panic();
}
