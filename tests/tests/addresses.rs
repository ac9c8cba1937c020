//! Addresses with a detail, of an alias domain, and without mail.

use mailauth_tests::people::{ANNA, BRUNO, CARLA, PASSWORD, UNKNOWN, people};
use mailauth_tests::wire::{Manner, ask, auth, login};
use mailauth_tests::{Accounts, Kind, Mailauth, ended, eventually, on_each_database};
use std::fs;
use std::path::Path;
use std::time::Duration;

on_each_database!(
    login_with_an_alias_domain_works_only_if_configured,
    import_of_alias_domains_is_atomic,
    a_changed_alias_domain_takes_effect_at_once,
    an_account_without_mail_can_log_in_and_receives_nothing,
    accounts_without_mail_are_exported_and_imported,
    a_backup_domain_has_no_accounts,
);

mod with_a_server {
    use super::details_and_alias_domains_work_during_an_outage;

    mailauth_tests::on_each_server!(details_and_alias_domains_work_during_an_outage);
}

const OLD: &str = "anna@old.example";

fn people_at(kind: Kind) -> Accounts {
    Accounts::empty(kind).with(&people(Path::new("/var/mail")))
}

fn word(server: &Mailauth, user: &str, password: &str) -> &'static str {
    login(server.socket(), user, password).word()
}

fn send(server: &Mailauth, question: &str) -> String {
    let question = format!("ASK {question}\n");
    String::from_utf8(ask(server.socket(), question.as_bytes(), Manner::Whole).bytes).expect("text")
}

fn login_with_an_alias_domain_works_only_if_configured(kind: Kind) {
    let accounts = people_at(kind);
    accounts.admin(&["domain", "alias", "add", "old.example", "example.org"], "");
    let (with, without) = (Mailauth::with(&accounts, "[login]\nalias_domains = true\n"), Mailauth::over(&accounts));
    for (user, password, right) in [(OLD, PASSWORD, "ACCOUNT"), ("Anna@OLD.example", PASSWORD, "ACCOUNT")] {
        assert_eq!(word(&with, user, password), right, "{user}\n{}", with.log());
        assert_eq!(word(&without, user, password), "FAIL", "{user}");
    }
    for (user, password) in [
        (OLD, "wrong"),
        ("nobody@old.example", PASSWORD),
        ("carla@old.example", PASSWORD),
        ("anna+x@old.example", PASSWORD),
    ] {
        assert_eq!(word(&with, user, password), "FAIL", "{user} with {password}");
    }
    let answer = ask(with.socket(), &auth("imap", OLD, PASSWORD), Manner::Whole).bytes;
    let answer = String::from_utf8(answer).expect("text");
    assert!(answer.contains(&format!("ADDRESS={ANNA}\n")), "the name of the account: {answer}");
    assert_eq!(send(&without, &format!("recipient 1 {OLD}")), "OK\n", "mail is still delivered");
    accounts.admin(&["domain", "alias", "set", "old.example", "--disabled"], "");
    assert_eq!(word(&with, OLD, PASSWORD), "FAIL", "a program that queries the table each time sees it at once");
}

fn import_of_alias_domains_is_atomic(kind: Kind) {
    let accounts = people_at(kind);
    let file = accounts.folder().join("domains.csv");
    let import = |text: &str| {
        fs::write(&file, text).expect("a file");
        accounts.try_admin(&["domain", "alias", "import", file.to_str().expect("a name")], "")
    };
    let told = ended(&import("name,target,enabled\na.example,example.org,yes\nb.example,nowhere.example,\n"), 1);
    assert!(told.contains("domains.csv:3: ") && told.contains("nowhere.example"), "{told}");
    let told = ended(&import("name,target\n@,example.org\na.example,b c\n"), 1);
    assert!(told.contains("domains.csv:2: name: ") && told.contains("domains.csv:3: target: "), "all errors: {told}");
    assert_eq!(accounts.admin(&["domain", "alias", "export"], ""), "name,target,enabled\n", "nothing was added");
    let text = "name,target,enabled\na.example,example.org,yes\nb.example,example.org,no\n";
    ended(&import(text), 0);
    assert_eq!(accounts.admin(&["domain", "alias", "export"], ""), text);
    let told = ended(&import(text), 1);
    assert!(told.contains("exists already"), "{told}");
    let shown = accounts.admin(&["domain", "alias", "list", "--json"], "");
    let shown: serde_json::Value = serde_json::from_str(&shown).expect("JSON");
    assert_eq!(shown[1]["name"], "b.example");
    assert_eq!(shown[1]["enabled"], false);
}

fn a_changed_alias_domain_takes_effect_at_once(kind: Kind) {
    let accounts = people_at(kind);
    let server = Mailauth::over(&accounts);
    assert_eq!(send(&server, "domain old.example"), "FAIL\n");
    accounts.admin(&["domain", "alias", "add", "old.example", "example.org"], "");
    assert_eq!(send(&server, "domain old.example"), "OK\n");
    assert_eq!(send(&server, "recipient 1 anna+news@old.example"), "OK\n");
    assert!(send(&server, "account anna+news@old.example").ends_with(" detail=\"news\"\n"));
    assert_eq!(send(&server, "recipient 1 nobody@old.example"), "FAIL\n");
    let told = ended(&accounts.try_admin(&["domain", "remove", "example.org"], ""), 1);
    assert!(told.contains("1 alias domains"), "{told}");
    accounts.admin(&["domain", "alias", "remove", "old.example"], "");
    assert_eq!(send(&server, "domain old.example"), "FAIL\n");
    for arguments in [
        &["domain", "alias", "add", "example.org", "example.org"][..],
        &["domain", "alias", "add", "old.example", "nowhere.example"],
        &["domain", "alias", "remove", "old.example"],
    ] {
        ended(&accounts.try_admin(arguments, ""), 1);
    }
}

fn an_account_without_mail_can_log_in_and_receives_nothing(kind: Kind) {
    let accounts = people_at(kind);
    let server = Mailauth::over(&accounts);
    assert_eq!(send(&server, &format!("recipient 1 {ANNA}")), "OK\n");
    accounts.admin(&["account", "set", ANNA, "--no-mail"], "");
    assert_eq!(word(&server, ANNA, PASSWORD), "ACCOUNT");
    for address in [ANNA, "anna+news@example.org"] {
        assert_eq!(send(&server, &format!("recipient 1 {address}")), "NOMAIL\n", "{address}");
        assert_eq!(send(&server, &format!("account {address}")), "FAIL\n", "{address}");
        ended(&accounts.try_admin(&["deliver", address], "Subject: x\n\n"), 67);
    }
    let shown = accounts.admin(&["account", "show", ANNA, "--json"], "");
    let shown: serde_json::Value = serde_json::from_str(&shown).expect("JSON");
    assert_eq!(shown["receives"], false);
    accounts.admin(&["account", "set", ANNA, "--mail"], "");
    assert_eq!(send(&server, &format!("recipient 1 {ANNA}")), "OK\n");
}

fn accounts_without_mail_are_exported_and_imported(kind: Kind) {
    let accounts = people_at(kind);
    accounts.admin(&["account", "set", BRUNO, "--no-mail"], "");
    let exported = accounts.admin(&["account", "export"], "");
    let row = |name: &str| exported.lines().find(|line| line.starts_with(name)).expect(name).to_owned();
    assert!(row(BRUNO).ends_with(",yes,no") && row(ANNA).ends_with(",yes,yes"), "{exported}");
    assert!(row(CARLA).ends_with(",no,yes"), "{exported}");
    let other = Accounts::empty(kind).with(&exported);
    assert_eq!(other.admin(&["account", "export"], ""), exported);
}

fn a_backup_domain_has_no_accounts(kind: Kind) {
    let accounts = people_at(kind);
    let server = Mailauth::over(&accounts);
    accounts.admin(&["domain", "add", "backup.example", "--backup"], "");
    assert_eq!(send(&server, "domain backup.example"), "OK backup\n");
    assert_eq!(send(&server, "recipient 1 whoever@backup.example"), "OK\n");
    for arguments in [
        &["account", "add", "a@backup.example", "--no-password", "--uid", "5000", "--gid", "5000"][..],
        &["alias", "add", "a@backup.example", ANNA],
        &["domain", "alias", "add", "old.example", "backup.example"],
        &["account", "rename", ANNA, "a@backup.example"],
    ] {
        let told = ended(&accounts.try_admin(arguments, ""), 1);
        assert!(told.contains("backup MX"), "{told}");
    }
    ended(&accounts.try_admin(&["domain", "set", "example.org", "--backup"], ""), 1);
    accounts.admin(&["domain", "set", "backup.example", "--no-backup"], "");
    assert_eq!(send(&server, "domain backup.example"), "OK\n");
    assert_eq!(send(&server, "recipient 1 whoever@backup.example"), "FAIL\n");
}

fn details_and_alias_domains_work_during_an_outage(kind: Kind) {
    let accounts = Accounts::on_own_server(kind).with(&people(Path::new("/var/mail"))).with_snapshot("");
    accounts.admin(&["domain", "add", "backup.example", "--backup"], "");
    let server = Mailauth::configured(|socket| {
        accounts.are_served_on(socket);
        let config = Mailauth::config(&accounts, socket, "[cache]\nenabled = false\n[login]\nalias_domains = true\n");
        config.replacen("[database]", "[database]\ndeadline = \"1s\"", 1)
    });
    let soon = Duration::from_secs(30);
    eventually("a copy", soon, || accounts.snapshot_is_whole());
    // Copied at once, because the command reports the change to the daemon.
    accounts.admin(&["domain", "alias", "add", "old.example", "example.org"], "");
    accounts.admin(&["account", "set", BRUNO, "--no-mail"], "");
    eventually("a copy of what was changed", soon, || {
        accounts.in_snapshot("SELECT COUNT(*) FROM alias_domains") == Some(1)
            && accounts.in_snapshot("SELECT COUNT(*) FROM pending") == Some(0)
    });
    accounts.server().crash();
    assert_eq!(word(&server, OLD, PASSWORD), "ACCOUNT", "{}", server.log());
    for (question, reply) in [
        ("recipient 1 anna+news@example.org", "OK\n"),
        ("recipient 1 anna+news@old.example", "OK\n"),
        ("domain old.example", "OK\n"),
        ("domain backup.example", "OK backup\n"),
    ] {
        assert_eq!(send(&server, question), reply, "{question}");
    }
    for refused in
        [format!("recipient 1 {BRUNO}"), format!("recipient 1 {UNKNOWN}"), "recipient 1 nobody+x@old.example".into()]
    {
        let reply = send(&server, &refused);
        assert!(reply.starts_with("LATER "), "nothing bounces because of the snapshot: {reply:?} to {refused}");
    }
}
