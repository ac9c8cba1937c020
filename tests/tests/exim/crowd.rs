//! Many connections, one after the other.

use crate::site::Site;
use mailauth_tests::exim::Form;
use mailauth_tests::{Holdings, eventually};
use std::time::Duration;

/// What the daemon holds.
fn holds(site: &Site) -> Holdings {
    Holdings::of(site.daemon().pid())
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
    let before = holds(&site);
    (0..1000).for_each(visit);
    eventually("as many descriptors as before", Duration::from_secs(10), || {
        holds(&site).descriptors <= before.descriptors
    });
    let after = holds(&site);
    assert_eq!(after.threads, before.threads);
    assert!(after.kilobytes <= before.kilobytes + 2048, "from {before:?} to {after:?}");
    // The host's own process, Exim, and our daemon, which its host does not see.
    eventually("Exim alone", Duration::from_secs(20), || {
        site.processes().lines().filter(|name| name.starts_with("exim")).count() == 1
    });
    site.no_panic();
}
