//! The copy for outages over the tables of another program.

use mailauth_tests::wire::{Manner, Outcome, ask, login};
use mailauth_tests::{Accounts, Kind, Mailauth, eventually, on_each_server};
use std::fmt::Write;
use std::fs;
use std::path::Path;
use std::time::{Duration, Instant};

on_each_server!(
    the_copy_of_postfixadmins_tables_answers_during_an_outage,
    changes_in_postfixadmin_are_copied,
    a_copy_made_by_another_schema_is_not_used,
    what_cannot_be_listed_is_not_answered_during_an_outage,
);

const SOON: Duration = Duration::from_secs(20);

/// PostfixAdmin's tables, as far as they are read. `TRUE` is 1 to MariaDB.
const TABLES: &str = "
    CREATE TABLE domain (domain VARCHAR(255) PRIMARY KEY, backupmx FLAG DEFAULT FALSE, active FLAG DEFAULT TRUE,
        password_expiry INTEGER DEFAULT 0);
    CREATE TABLE mailbox (username VARCHAR(255) PRIMARY KEY, password VARCHAR(255), name VARCHAR(255) DEFAULT '',
        maildir VARCHAR(255), quota BIGINT DEFAULT 0, domain VARCHAR(255), active FLAG DEFAULT TRUE,
        password_expiry TIMESTAMP DEFAULT '2000-01-02 00:00:00', smtp_active FLAG DEFAULT TRUE);
    CREATE TABLE alias (address VARCHAR(255) PRIMARY KEY, goto TEXT, active FLAG DEFAULT TRUE);
    CREATE TABLE alias_domain (alias_domain VARCHAR(255) PRIMARY KEY, target_domain VARCHAR(255),
        active FLAG DEFAULT TRUE);
    INSERT INTO domain (domain, active) VALUES ('shop.example', TRUE), ('closed.example', FALSE),
        ('store.example', TRUE);
    INSERT INTO mailbox (username, password, maildir, domain) VALUES
        ('nora@shop.example', '{PLAIN}secret', 'shop.example/nora/', 'shop.example'),
        ('olaf@closed.example', '{PLAIN}secret', 'closed.example/olaf/', 'closed.example');
    INSERT INTO mailbox (username, password, maildir, domain, active)
        VALUES ('paul@shop.example', '{PLAIN}secret', 'shop.example/paul/', 'shop.example', FALSE);
    INSERT INTO alias (address, goto) VALUES ('nora@shop.example', 'nora@shop.example'),
        ('sales@shop.example', 'nora@shop.example, rita@else.example,'), ('list@shop.example', 'a local name');
    INSERT INTO alias_domain (alias_domain, target_domain) VALUES ('store.example', 'shop.example');
";

const NORA: &str = "nora@shop.example";
const PROFILE: &str = "profile = \"postfixadmin\"\nmail_root = \"/var/vmail\"\n";

/// The tables on a server that the test stops, and the daemon over them.
struct Shop {
    accounts: Accounts,
}

impl Shop {
    fn new(kind: Kind) -> Self {
        let accounts = Accounts::on_own_server(kind).with_snapshot("refresh = \"1s\"");
        let flag = if kind == Kind::Postgres { "BOOLEAN" } else { "TINYINT" };
        accounts.execute(&TABLES.replace("FLAG", flag));
        if kind == Kind::Postgres {
            // The tables are the administrator's there.
            accounts.execute("GRANT SELECT ON domain, mailbox, alias, alias_domain TO PUBLIC");
        }
        Shop { accounts }
    }

    /// Starts a daemon without a cache, which would hide the copy, with these keys of `[schema]`.
    fn start(&self, schema: &str) -> Mailauth {
        Mailauth::configured(|socket| {
            let mut config = self.accounts.config().replacen("[database]", "[database]\ndeadline = \"1s\"", 1);
            let _ = write!(
                config,
                "[courier]\nsocket = \"{}\"\n[cache]\nenabled = false\n[schema]\n{schema}",
                socket.display()
            );
            fs::write(self.accounts.config_path(), &config).expect("the configuration of commands");
            config
        })
    }

    /// Waits until the tables were read completely by a reading that began after this call.
    fn wait_for_copy(&self, server: &Mailauth) {
        let taken = || self.accounts.in_snapshot("SELECT taken FROM copy");
        let before = taken();
        // The time has seconds, and a reading may have begun in this one.
        for _ in 0..2 {
            let (last, begin) = (taken(), Instant::now());
            while taken() <= last.max(before) {
                assert!(begin.elapsed() < SOON, "no newer copy\n{}", server.log());
                std::thread::sleep(Duration::from_millis(20));
            }
        }
    }

    fn check(&self) -> String {
        String::from_utf8(self.accounts.try_admin(&["check"], "").stdout).expect("text")
    }
}

fn word(server: &Mailauth, user: &str, password: &str) -> &'static str {
    login(server.socket(), user, password).word()
}

fn answer(server: &Mailauth, question: &str) -> String {
    let request = format!("ASK {question}\n");
    String::from_utf8(ask(server.socket(), request.as_bytes(), Manner::Whole).bytes).expect("text")
}

fn listed(server: &Mailauth) -> Vec<String> {
    match ask(server.socket(), b"ENUMERATE\n", Manner::Whole).outcome() {
        Outcome::List(entries) => entries.into_iter().map(|entry| format!("{entry:?}")).collect(),
        other => panic!("{other:?}"),
    }
}

/// Questions whose answer is the same during an outage.
const SAME: [&str; 6] = [
    "domain shop.example",
    "alias sales@shop.example",
    "alias nora@store.example",
    "account nora@shop.example",
    "recipient 1 nora@shop.example",
    "recipient 1 sales@store.example",
];

fn the_copy_of_postfixadmins_tables_answers_during_an_outage(kind: Kind) {
    let shop = Shop::new(kind);
    let server = shop.start(PROFILE);
    shop.wait_for_copy(&server);
    let users = [(NORA, "secret"), (NORA, "wrong"), ("paul@shop.example", "secret"), ("olaf@closed.example", "secret")];
    let logins = || users.map(|(user, password)| word(&server, user, password));
    let answers = || SAME.map(|question| answer(&server, question));
    let (words, replies, list) = (logins(), answers(), listed(&server));
    assert_eq!(words, ["ACCOUNT", "FAIL", "FAIL", "FAIL"], "{}", server.log());
    assert!(replies.iter().all(|reply| reply.starts_with("OK")), "{replies:?}");
    assert_eq!(answer(&server, "recipient 1 nobody@shop.example"), "FAIL\n");
    assert_eq!(list.len(), 1, "{list:?}");

    shop.accounts.server().crash();
    for _ in 0..3 {
        assert_eq!((logins(), answers()), (words, replies.clone()), "{}", server.log());
    }
    assert_eq!(listed(&server), list);
    for question in [
        "recipient 1 nobody@shop.example",
        "account paul@shop.example",
        "domain else.example",
        "alias list@shop.example",
    ] {
        let reply = answer(&server, question);
        assert!(reply.starts_with("LATER "), "{reply:?} to {question}");
    }
    let log = server.log();
    assert!(log.contains("from=\"snapshot\"") && log.contains("logins are decided from the snapshot"), "{log}");
    assert!(shop.check().contains("snapshot answers logins"), "{}", shop.check());

    shop.accounts.server().start();
    eventually("the database", SOON, || answer(&server, "recipient 1 nobody@shop.example") == "FAIL\n");
    let said = shop.check();
    assert!(said.contains("3 accounts") && said.contains(", read in "), "{said}");
}

fn changes_in_postfixadmin_are_copied(kind: Kind) {
    let shop = Shop::new(kind);
    let server = shop.start(PROFILE);
    shop.wait_for_copy(&server);
    shop.accounts.execute(
        "UPDATE mailbox SET password = '{PLAIN}new' WHERE username = 'nora@shop.example';
         DELETE FROM mailbox WHERE username = 'olaf@closed.example';
         INSERT INTO mailbox (username, password, maildir, domain)
             VALUES ('quinn@shop.example', '{PLAIN}secret', 'shop.example/quinn/', 'shop.example');
         UPDATE alias SET goto = 'rita@else.example' WHERE address = 'sales@shop.example'",
    );
    shop.wait_for_copy(&server);
    shop.accounts.server().crash();
    let words = [(NORA, "new"), (NORA, "secret"), ("quinn@shop.example", "secret")];
    let words = words.map(|(user, password)| word(&server, user, password));
    assert_eq!(words, ["ACCOUNT", "FAIL", "ACCOUNT"], "{}", server.log());
    assert_eq!(answer(&server, "alias sales@shop.example"), "OK rita@else.example\n");
    assert_eq!(shop.accounts.in_snapshot("SELECT COUNT(*) FROM accounts"), Some(3));
}

fn a_copy_made_by_another_schema_is_not_used(kind: Kind) {
    let shop = Shop::new(kind);
    let mut first = shop.start(PROFILE);
    shop.wait_for_copy(&first);
    shop.accounts.server().crash();
    assert_eq!(word(&first, NORA, "secret"), "ACCOUNT");
    first.terminate();
    first.wait(SOON);

    let narrow = format!("{PROFILE}[schema.accounts]\nwhere = \"m.username <> '{NORA}'\"\n");
    let second = shop.start(&narrow);
    assert_eq!(word(&second, NORA, "secret"), "CLOSED", "{}", second.log());
    assert!(answer(&second, "alias sales@shop.example").starts_with("LATER "));
    let said = shop.check();
    assert!(said.contains("read by another [schema], and is not used"), "{said}");

    shop.accounts.server().start();
    shop.wait_for_copy(&second);
    shop.accounts.server().crash();
    assert_eq!(word(&second, NORA, "secret"), "FAIL", "{}", second.log());
    assert!(answer(&second, "alias sales@shop.example").starts_with("OK "));
}

fn what_cannot_be_listed_is_not_answered_during_an_outage(kind: Kind) {
    let shop = Shop::new(kind);
    let find = "SELECT LOWER(a.address), a.goto FROM alias a JOIN domain d ON d.domain <> '' \
                WHERE CONCAT(a.address, '') = :address AND d.domain = 'shop.example'";
    let server = shop.start(&format!("{PROFILE}[schema.aliases]\nfind = \"{find}\"\n"));
    shop.wait_for_copy(&server);
    assert!(answer(&server, "recipient 1 nora@shop.example").starts_with("OK"), "{}", server.log());
    shop.accounts.server().crash();
    assert_eq!(word(&server, NORA, "secret"), "ACCOUNT", "{}", server.log());
    for question in ["recipient 1 nora@shop.example", "alias sales@shop.example", "alias nora@shop.example"] {
        let reply = answer(&server, question);
        assert!(reply.starts_with("LATER "), "{reply:?} to {question}");
    }
    server.wait_for_log("holds no aliases");
    assert!(Path::new(&shop.accounts.snapshot_file()).exists());
}
