//! Postfix 3.7 without any SQL map: the daemon answers its tables and its policy, with the lines of
//! docs/postfix-maps.md.

#[path = "postfix_maps/host.rs"]
mod host;
#[allow(dead_code, reason = "tests/readme.rs uses all of it")]
#[path = "readme/page.rs"]
mod page;

use host::{Host, LIMIT};
use mailauth_tests::people::{ANNA, CARLA, DORA, UNKNOWN};
use mailauth_tests::{Accounts, Kind, User, eventually};

const BEN: &str = "ben@example.org";

/// Adds aliases, an alias domain, a catch-all and a backup domain.
fn with_addresses(host: &Host) {
    for arguments in [
        "alias add info@example.org anna@example.org",
        "alias add team@example.org ben@example.org anna@example.org",
        "alias add out@example.org somebody@else.example",
        "domain alias add old.example example.org",
        "domain add all.example",
        "alias add @all.example anna@example.org",
        "domain add --backup backup.example",
    ] {
        host.accounts.admin(&arguments.split(' ').collect::<Vec<_>>(), "");
    }
}

fn site() -> Host {
    let host = Host::new(Accounts::empty(Kind::Sqlite));
    with_addresses(&host);
    host.open_to_group();
    host
}

#[test]
fn each_table_says_what_is_in_it() {
    let host = site();
    let maildir = format!("{}/anna/Maildir/", host.host.path("mail").display());
    for (table, key, value) in [
        ("domains", "example.org", "mailboxes"),
        ("domains", "EXAMPLE.org", "mailboxes"),
        ("domains", "old.example", "mailboxes"),
        ("relays", "backup.example", "relay"),
        ("mailboxes", ANNA, &maildir),
        ("mailboxes", "Anna+news@Old.Example", &maildir),
        ("aliases", "info@example.org", ANNA),
        ("aliases", "info+a@old.example", "anna+a@example.org"),
        ("aliases", "team@example.org", "ben@example.org, anna@example.org"),
        ("aliases", "any@all.example", ANNA),
        ("senders", ANNA, ANNA),
        ("senders", "team@old.example", "anna@example.org, ben@example.org"),
    ] {
        assert_eq!(host.postmap(table, key), (value.to_owned(), Some(0), String::new()), "{table} {key}");
    }
    for (table, key) in [
        ("domains", "backup.example"),
        ("domains", "else.example"),
        ("domains", "sub.example.org"),
        ("relays", "example.org"),
        ("relays", "sub.backup.example"),
        ("mailboxes", "info@example.org"),
        ("mailboxes", UNKNOWN),
        ("mailboxes", CARLA),
        ("mailboxes", DORA),
        ("mailboxes", "@example.org"),
        ("aliases", ANNA),
        ("aliases", "any@else.example"),
        ("aliases", "@all.example"),
        ("senders", "somebody@else.example"),
        ("senders", CARLA),
    ] {
        assert_eq!(host.postmap(table, key), (String::new(), Some(1), String::new()), "{table} {key}");
    }
    let (_, code, why) = host.postmap("nothing", ANNA);
    assert!(code == Some(1) && why.contains("no such map"), "{why}");
}

#[test]
fn mail_reaches_its_mailboxes_and_no_others() {
    let host = site();
    for (address, subject, name) in [
        (ANNA, "own", "anna"),
        ("anna+news@example.org", "detail", "anna"),
        ("ANNA@old.example", "other name", "anna"),
        ("info@example.org", "alias", "anna"),
        ("any+x@all.example", "catch-all", "anna"),
    ] {
        host.send(address, subject);
        host.wait_for(name, subject);
    }
    // One of the two has room.
    assert_eq!(host.rcpt("team@example.org", None).code, 250);
    for (address, size, code, text) in [
        (UNKNOWN, None, 550, "5.1.1"),
        ("nobody@old.example", None, 550, "5.1.1"),
        (BEN, None, 552, "5.2.2"),
        (ANNA, Some(200_000), 552, "5.2.2"),
        (CARLA, None, 550, "5.2.1"),
        (DORA, None, 550, "5.2.1"),
        ("anybody@backup.example", None, 250, "2.1.5"),
        ("anybody@sub.backup.example", None, 454, "Relay access denied"),
        ("somebody@else.example", None, 454, "Relay access denied"),
    ] {
        let reply = host.rcpt(address, size);
        assert!(reply.code == code && reply.text.contains(text), "{address}: {reply}\n{}", host.log());
    }
    // The size is known after the message.
    let mut client = host.connect();
    client.mail("me@else.example", None);
    assert_eq!(client.rcpt(ANNA).code, 250);
    let reply = client.data(&format!("Subject: large\n\n{}", "0123456789\n".repeat(15_000)));
    assert!(reply.code == 552 && reply.text.contains("5.2.2"), "{reply}");
    assert!(!host.has("anna", "large"));
    assert!(host.queue().contains("empty"), "{}", host.queue());
}

#[test]
fn a_login_sends_as_its_own_addresses_only() {
    let host = site();
    let to_anna = |login: &str, sender: &str| host.rcpt_as(login, sender, ANNA);
    for (login, sender, code) in [
        (ANNA, ANNA, 250),
        (ANNA, "anna+a@old.example", 250),
        (ANNA, "info@example.org", 250),
        (ANNA, "", 250),
        (ANNA, BEN, 553),
        (ANNA, "me@else.example", 553),
        (UNKNOWN, UNKNOWN, 553),
    ] {
        let reply = to_anna(login, sender);
        assert_eq!(reply.code, code, "{login} as {sender}: {reply}\n{}", host.log());
    }
    host.accounts.admin(&["account", "set", ANNA, "--options", "send-as=domain"], "");
    assert_eq!(to_anna(ANNA, BEN).code, 250);
    assert_eq!(host.rcpt(ANNA, None).code, 250, "a client that has not logged in");
}

#[test]
fn postfixs_own_delivery_agent_keeps_mail_waiting() {
    let host = site();
    host.shell(
        "postconf -e virtual_transport=virtual virtual_mailbox_base=/ virtual_uid_maps=static:5000 \
         virtual_gid_maps=static:5000; postfix reload",
    );
    host.send(ANNA, "waits");
    eventually("a reason", LIMIT, || host.log().contains("map is not allowed for security-sensitive data"));
    assert!(host.queue().contains(ANNA) && !host.has("anna", "waits"), "{}", host.queue());
}

#[test]
fn in_an_outage_nothing_bounces_and_mail_waits() {
    let accounts = Accounts::on_own_server(Kind::MariaDb);
    accounts.give_password_to(User { uid: 5000, gid: 5000 });
    let host = Host::new(accounts);
    with_addresses(&host);
    host.send(ANNA, "before");
    host.wait_for("anna", "before");
    assert_eq!(host.rcpt(UNKNOWN, None).code, 550);

    // A message that was accepted waits.
    host.shell("postconf -e defer_transports=maildeliver; postfix reload");
    host.send(ANNA, "queued");
    host.accounts.server().stop();
    host.shell("postconf -e defer_transports=; postfix reload; postqueue -f");
    for address in [ANNA, UNKNOWN, "info@example.org", CARLA, BEN, "somebody@else.example", "a@backup.example"] {
        let reply = host.rcpt(address, None);
        assert!((450..460).contains(&reply.code) && reply.text.contains("4.3.0"), "{address}: {reply}\n{}", host.log());
        assert!(!reply.text.contains("database"), "{reply}");
    }
    for (table, key) in [("domains", "example.org"), ("mailboxes", UNKNOWN), ("aliases", UNKNOWN), ("senders", ANNA)] {
        let (found, code, why) = host.postmap(table, key);
        assert!(found.is_empty() && code == Some(1) && why.contains("temporary error"), "{table}: {found} {why}");
    }
    eventually("an attempt", LIMIT, || host.log().contains("status=deferred"));
    let log = host.log();
    assert!(!log.contains("status=bounced") && host.queue().contains(ANNA), "{log}");

    host.accounts.server().start();
    eventually("the database", LIMIT, || host.rcpt(ANNA, None).code == 250);
    host.shell("postqueue -f");
    host.wait_for("anna", "queued");
    assert_eq!(host.rcpt(UNKNOWN, None).code, 550);
    assert!(!host.log().contains("status=bounced"), "{}", host.log());
}
