//! An outage of the database: mail servers that have no word for "not now" lose the connection, Dovecot is told, and no
//! answer is a refusal.

use super::client::Client;
use super::is_ok;
use super::site::{NO_CACHE, Site};
use mailauth_tests::people::{ANNA, PASSWORD, UNKNOWN, people};
use mailauth_tests::{Accounts, Kind, eventually, on_each_server};
use std::path::Path;
use std::time::{Duration, Instant};

on_each_server!(
    nobody_is_refused_while_the_database_is_killed,
    nobody_is_refused_while_the_database_is_frozen,
    a_daemon_that_starts_in_an_outage_greets,
);

/// Time within which every client has to get an answer: Postfix waits for 10 s.
const ANSWERED: Duration = Duration::from_secs(9);
const RECOVERED: Duration = Duration::from_secs(30);

fn accounts(kind: Kind) -> Accounts {
    Accounts::on_own_server(kind).with(&people(Path::new("/var/mail")))
}

fn nobody_is_refused_while_the_database_is_killed(kind: Kind) {
    let accounts = accounts(kind);
    let site = Site::over(&accounts, NO_CACHE);
    logs_in(&site);
    accounts.server().crash();
    cannot_be_known(&site);
    accounts.server().start();
    logs_in_again(&site);
}

fn nobody_is_refused_while_the_database_is_frozen(kind: Kind) {
    let accounts = accounts(kind);
    let site = Site::over(&accounts, NO_CACHE);
    logs_in(&site);
    accounts.server().freeze();
    cannot_be_known(&site);
    accounts.server().thaw();
    logs_in_again(&site);
}

fn a_daemon_that_starts_in_an_outage_greets(kind: Kind) {
    let accounts = accounts(kind);
    accounts.server().crash();
    let site = Site::over(&accounts, NO_CACHE);
    cannot_be_known(&site);
    accounts.server().start();
    logs_in_again(&site);
}

fn logs_in(site: &Site) {
    let mut client = Client::connect(&site.client());
    client.plain("1", ANNA, PASSWORD, &[]);
    let line = client.line();
    assert!(is_ok(line.as_deref(), "1", ANNA), "{line:?}\n{}", site.daemon.log());
}

fn logs_in_again(site: &Site) {
    eventually("a login after the outage", RECOVERED, || {
        let mut client = Client::connect(&site.client());
        client.plain("1", ANNA, PASSWORD, &[]);
        match client.line() {
            None => false,
            line if is_ok(line.as_deref(), "1", ANNA) => true,
            line => panic!("a right password is refused: {line:?}\n{}", site.daemon.log()),
        }
    });
    let mut lookups = Client::connect_for_lookups(&site.userdb());
    eventually("a look-up after the outage", RECOVERED, || {
        lookups.send(&["USER", "1", UNKNOWN, "service=lmtp"]);
        lookups.line().expect("an answer").starts_with("NOTFOUND\t1")
    });
}

/// Asks everything that depends on the database, right and wrong, on each socket.
fn cannot_be_known(site: &Site) {
    for (pid, (login, password)) in (100..).zip([(ANNA, PASSWORD), (ANNA, "wrong"), (UNKNOWN, "wrong")]) {
        let begin = Instant::now();
        let mut client = Client::connect(&site.client());
        assert!(begin.elapsed() < Duration::from_secs(2), "the greeting waits for nothing: {:?}", begin.elapsed());
        client.plain("1", login, password, &[]);
        let (line, took) = client.timed_line();
        assert_eq!(line, None, "{login}: only a closed connection is temporary for Postfix and Exim");
        assert!(took < ANSWERED, "{took:?}");

        let mut client = Client::connect_as_login_process(&site.login(), pid);
        client.plain("1", login, password, &["session=abc"]);
        let (line, took) = client.timed_line();
        let line = line.expect("Dovecot is told");
        assert!(line.starts_with("FAIL\t1\t"), "{login}: {line}");
        assert!(line.split('\t').any(|field| field == "code=temp_fail"), "{login}: {line}");
        assert!(line.split('\t').any(|field| field == "temp"), "{login}: {line}");
        assert!(took < ANSWERED, "{took:?}");
    }
    let mut lookups = Client::connect_for_lookups(&site.userdb());
    for login in [ANNA, UNKNOWN] {
        lookups.send(&["USER", "1", login, "service=lmtp"]);
        let (line, took) = lookups.timed_line();
        let line = line.expect("an answer");
        assert!(line.starts_with("FAIL\t1"), "NOTFOUND would bounce mail: {line}");
        assert!(took < ANSWERED, "{took:?}");
    }
    lookups.send(&["LIST", "2", "user=*", "service=doveadm"]);
    assert_eq!(lookups.line().as_deref(), Some("DONE\t2\tfail"));
}
