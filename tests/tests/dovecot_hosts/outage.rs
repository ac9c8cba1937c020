//! No mail server refuses a password while mailauth cannot know: while the database is killed or frozen, and while the
//! daemon restarts. One host has all of them.

use crate::bookworm::{Dovecot, doveadm};
use crate::dovecot::{NOT_NOW, WRONG, YES, expect};
use crate::exim;
use crate::postfix::{NOT_NOW as POSTFIX_NOT_NOW, Postfix};
use crate::site::{EXIMS_SOCKET, LIMIT, POSTFIXS_SOCKET, Site};
use mailauth_tests::exim::Exim;
use mailauth_tests::people::{ANNA, PASSWORD};
use mailauth_tests::{Accounts, Kind, Server, eventually};
use std::time::{Duration, Instant};

struct Hosts {
    exim: Exim,
    postfix: Postfix,
    dovecot: Dovecot,
    site: Site,
}

impl Hosts {
    fn new() -> Self {
        let accounts = Accounts::on_own_server(Kind::MariaDb);
        // Nothing is kept in memory that could answer.
        let site = Site::new(accounts, "", "[cache]\nenabled = false");
        let (postfix, exim, dovecot) = (Postfix::start(&site), exim::start(&site), Dovecot::start(&site));
        Hosts { exim, postfix, dovecot, site }
    }

    fn server(&self) -> &dyn Server {
        self.site.accounts.server()
    }

    fn all_know(&self) {
        eventually("the database", LIMIT, || self.dovecot.ports.imap(ANNA, PASSWORD) == "OK");
        for (password, postfix, exim, dovecot) in [(PASSWORD, 235, 235, YES), ("wrong", 535, 535, WRONG)] {
            assert_eq!(self.postfix.logs_in(ANNA, password).code, postfix);
            assert_eq!(exim::logs_in(&self.exim, ANNA, password), exim);
            expect(self.dovecot.ports, ANNA, password, dovecot);
        }
    }

    fn none_knows(&self) {
        for password in [PASSWORD, "wrong"] {
            // Exim would wait without end.
            let begin = Instant::now();
            assert_eq!(exim::logs_in(&self.exim, ANNA, password), 435, "{}", self.exim.log("mainlog"));
            assert!(begin.elapsed() < 2 * Duration::from_secs(5), "two logins took {:?}", begin.elapsed());
            let reply = self.postfix.logs_in(ANNA, password);
            assert_eq!((reply.code, &*reply.text), (454, POSTFIX_NOT_NOW));
            expect(self.dovecot.ports, ANNA, password, NOT_NOW);
        }
        assert_eq!(doveadm(&self.site, &["user", ANNA]).0, Some(75), "EX_TEMPFAIL");
        assert_ne!(doveadm(&self.site, &["user", "*"]).0, Some(0), "an incomplete list is an error");
    }
}

#[test]
fn no_mail_server_refuses_a_password_while_nothing_is_known() {
    let hosts = Hosts::new();
    hosts.all_know();
    for fault in ["killed", "frozen"] {
        // These clients have said EHLO before it, and go on in the same session afterwards.
        let mut client = hosts.postfix.connect();
        match fault {
            "killed" => hosts.server().crash(),
            _ => hosts.server().freeze(),
        }
        hosts.none_knows();
        assert_eq!(client.auth_plain(ANNA.as_bytes(), PASSWORD.as_bytes()).code, 454, "{fault}");
        match fault {
            "killed" => hosts.server().start(),
            _ => hosts.server().thaw(),
        }
        hosts.all_know();
        assert_eq!(client.auth_plain(ANNA.as_bytes(), PASSWORD.as_bytes()).code, 235, "{fault}");
    }
}

#[test]
fn clients_go_on_over_restarts_of_the_daemon() {
    let site = Site::new(Accounts::empty(Kind::Sqlite), "", "");
    let (postfix, exim) = (Postfix::start(&site), exim::start(&site));
    let mut site = site;
    type End = fn(&mut Site);
    for end in [Site::stop_daemon as End, Site::kill_daemon] {
        // The session of a process of Postfix that has a connection to the daemon, and one of Exim.
        let (mut client, mut other) = (postfix.connect(), exim.connect_tls());
        end(&mut site);
        site.start_daemon();
        assert_eq!(client.auth_plain(ANNA.as_bytes(), PASSWORD.as_bytes()).code, 235);
        assert_eq!(other.auth_login(ANNA.as_bytes(), PASSWORD.as_bytes()).code, 235);
    }

    // A new process of Postfix asks for the mechanisms before it greets: it waits on the socket.
    site.shell("postfix reload");
    site.stop_daemon();
    let (greeted, answered) = std::thread::scope(|scope| {
        let client = scope.spawn(|| postfix.connect().auth_plain(ANNA.as_bytes(), PASSWORD.as_bytes()).code);
        let other = scope.spawn(|| exim.connect_tls().auth_plain(ANNA.as_bytes(), PASSWORD.as_bytes()).code);
        for path in [POSTFIXS_SOCKET, EXIMS_SOCKET] {
            eventually(path, LIMIT, || site.has_waiting_client(path));
        }
        site.start_daemon();
        (client.join().expect("a reply"), other.join().expect("a reply"))
    });
    assert_eq!((greeted, answered), (235, 235));
    assert!(!site.read("/var/log/mail.log").contains("no SASL authentication mechanisms"));
}
