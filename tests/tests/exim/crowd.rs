//! Many connections, one after the other.

use crate::site::Site;
use mailauth_tests::exim::{Exim, Form};
use mailauth_tests::{Holdings, eventually};
use std::fs;
use std::io::Read;
use std::net::TcpStream;
use std::time::Duration;

/// Returns the resources of the daemon, and those of Exim's, in which the object runs once per connection.
fn holds(site: &Site) -> [Holdings; 2] {
    [site.daemon().pid(), site.exim.pid()].map(Holdings::of)
}

#[test]
fn a_thousand_connections_leak_nothing() {
    let site = Site::new(Form::Dlfunc);
    let visit = |number: usize| {
        let mut client = site.exim.connect();
        client.mail("sender@elsewhere.example", None);
        assert_eq!(client.rcpt("anna@example.org").code, 250);
        if number.is_multiple_of(10) {
            assert_eq!(client.rcpt("nobody@example.org").code, 550);
        }
        // Exim takes a fifth of a second for a QUIT.
        drop(client);
    };
    // Until its pools and queues have reached their size.
    (0..200).for_each(visit);
    let before = holds(&site);
    (0..1000).for_each(visit);
    eventually("as many descriptors as before", Duration::from_secs(10), || {
        holds(&site).iter().zip(&before).all(|(now, before)| now.descriptors <= before.descriptors)
    });
    for (before, after) in before.iter().zip(&holds(&site)) {
        assert_eq!(after.threads, before.threads);
        assert!(after.kilobytes <= before.kilobytes + 2048, "from {before:?} to {after:?}");
    }
    // The host's own process, Exim, and the daemon, which its host does not see.
    eventually("Exim alone", Duration::from_secs(20), || {
        site.processes().lines().filter(|name| name.starts_with("exim")).count() == 1
    });
    site.no_panic();
}

#[test]
fn exims_daemon_loads_the_object_once_for_all_connections() {
    let mut site = Site::new(Form::Dlfunc);
    drop(site.exim.connect());
    let maps =
        fs::read_to_string(format!("/proc/{}/maps", site.exim.pid().as_raw_nonzero())).expect("what it has open");
    assert!(maps.contains("/libmailauth_exim.so"), "{maps}");
    // The value of the number is irrelevant.
    let questions = fs::read_to_string(site.host.inside("/etc/exim4/mailauth.conf")).expect("the questions");
    let limited = questions.replace("{mailauth_preload}{0}", "{mailauth_preload}{1}");
    assert_ne!(limited, questions);
    site.exim.stop();
    site.exim.write("/etc/exim4/mailauth.conf", &limited);
    site.exim.start();
    let connect = || {
        let mut stream = TcpStream::connect(("127.0.0.1", site.exim.port())).expect("a server on the port");
        let mut code = [0; 3];
        stream.read_exact(&mut code).expect("a greeting");
        (&code == b"220").then_some(stream)
    };
    let mut first = None;
    // A client that checked if it is up may still be connected.
    eventually("a place", Duration::from_secs(20), || {
        first = connect();
        first.is_some()
    });
    assert!(connect().is_none(), "a second connection");
    site.no_panic();
}

#[test]
fn the_preloading_item_expands_to_a_number() {
    let site = Site::new(Form::Dlfunc);
    let object = format!("{}/libmailauth_exim.so", Exim::FOLDER);
    let preload =
        |arguments: &str| site.exim.expand(&format!("${{dlfunc{{{object}}}{{mailauth_preload}}{arguments}}}"));
    assert_eq!((preload("{007}"), preload("{4294967295}")), ("7".to_owned(), u32::MAX.to_string()));
    for arguments in ["", "{}", "{-1}", "{many}", "{1}{2}", "{4294967296}"] {
        let said = preload(arguments);
        assert_eq!(said, "Failed: mailauth: preload needs a number, which it returns", "{arguments}");
    }
    site.no_panic();
}
