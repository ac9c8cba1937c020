//! Dovecot's authentication protocol, as Postfix, Exim and Dovecot's own processes speak it, over each database.

#[path = "dovecot/checked.rs"]
mod checked;
#[path = "dovecot/client.rs"]
mod client;
#[path = "dovecot/crowd.rs"]
mod crowd;
#[path = "dovecot/outage.rs"]
mod outage;
#[path = "dovecot/restarts.rs"]
mod restarts;
#[path = "dovecot/scope.rs"]
mod scope;
#[path = "dovecot/site.rs"]
mod site;

use client::{Client, base64, plain};
use mailauth_tests::Kind;
use mailauth_tests::on_each_database;
use mailauth_tests::people::{ANNA, CARLA, DORA, EMIL, PASSWORD, UNKNOWN};
use site::{Site, accounts};
use std::time::Duration;

on_each_database!(
    mail_servers_get_the_same_answers_as_courier,
    a_good_login_is_not_held_up_by_refused_ones,
    login_is_a_dialogue,
    a_parameter_after_the_response_closes_the_connection,
    accounts_are_looked_up_and_listed,
    a_mail_process_gets_the_account_of_a_login_once,
);

/// Returns true if the line is an OK of this login, which is its first field.
fn is_ok(line: Option<&str>, id: &str, login: &str) -> bool {
    line.is_some_and(|line| line.split('\t').take(3).eq(["OK", id, &format!("user={login}")]))
}

fn mail_servers_get_the_same_answers_as_courier(kind: Kind) {
    let accounts = accounts(kind);
    let site = Site::over(&accounts, "");
    let mut client = Client::connect(&site.client());
    let names: Vec<&str> = client.greeting.iter().filter_map(|line| line.split('\t').next()).collect();
    assert_eq!(names, ["VERSION", "MECH", "MECH", "SPID", "CUID", "COOKIE", "DONE"], "MECH comes before SPID");
    assert_eq!(client.greeted_with("VERSION"), "1\t2");
    let cookie = client.greeted_with("COOKIE");
    assert!(cookie.len() == 32 && cookie.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f')), "{cookie}");
    assert_ne!(Client::connect(&site.client()).greeted_with("COOKIE"), cookie, "each connection has its own");

    client.plain("1", "Anna@Example.org", PASSWORD, &["nologin"]);
    let line = client.line();
    assert!(is_ok(line.as_deref(), "1", ANNA), "the login as the table spells it: {line:?}");
    let mut refusals = Vec::new();
    for (id, login, password) in
        [("2", ANNA, "wrong"), ("3", UNKNOWN, "wrong"), ("4", EMIL, ""), ("5", CARLA, "wrong"), ("6", CARLA, PASSWORD)]
    {
        client.plain(id, login, password, &[]);
        let line = client.line().expect("an answer");
        assert!(line.starts_with(&format!("FAIL\t{id}")), "{login}: {line}");
        assert!(!line.contains("temp"), "a certain refusal is not temporary: {line}");
        refusals.push(line.replace(login, "").replacen(id, "", 1));
    }
    let [wrong, unknown, ..] = &refusals[..] else { panic!("{refusals:?}") };
    assert_eq!(wrong, unknown, "a refusal does not tell whether the login exists");
    client.plain("1", DORA, mailauth_tests::people::DORAS_PASSWORD, &["secured"]);
    let line = client.line();
    assert!(is_ok(line.as_deref(), "1", DORA), "an id may be used again: {line:?}");
}

fn a_good_login_is_not_held_up_by_refused_ones(kind: Kind) {
    let accounts = accounts(kind);
    let site = Site::over(&accounts, "");
    let mut client = Client::connect(&site.client());
    client.plain("1", ANNA, PASSWORD, &[]);
    assert!(is_ok(client.line().as_deref(), "1", ANNA));
    for number in 10..20 {
        client.plain(&number.to_string(), ANNA, &format!("wrong {number}"), &[]);
    }
    client.plain("1", ANNA, PASSWORD, &[]);
    let line = client.line();
    assert!(is_ok(line.as_deref(), "1", ANNA), "it comes first: {line:?}");
    let mut refused: Vec<String> = (10..20).map(|_| client.line().expect("an answer")).collect();
    refused.sort();
    for (number, line) in (10..20).zip(&refused) {
        assert!(line.starts_with(&format!("FAIL\t{number}\t")), "{line}");
    }
}

fn login_is_a_dialogue(kind: Kind) {
    let accounts = accounts(kind);
    let site = Site::over(&accounts, "");
    let mut client = Client::connect(&site.client());
    client.send(&["AUTH", "7", "login", "service=smtp", "rip="]);
    assert_eq!(client.line(), Some(format!("CONT\t7\t{}", base64("Username:"))));
    client.send(&["CONT", "7", &base64(ANNA)]);
    assert_eq!(client.line(), Some(format!("CONT\t7\t{}", base64("Password:"))));
    client.send(&["CONT", "7", &base64(PASSWORD)]);
    let line = client.line();
    assert!(is_ok(line.as_deref(), "7", ANNA), "{line:?}");

    client.send(&["AUTH", "8", "PLAIN", "service=smtp"]);
    assert_eq!(client.line().as_deref(), Some("CONT\t8\t"), "the second TAB is there although the challenge is empty");
    client.send(&["CANCEL", "8"]);
    client.send(&["CONT", "8", &plain(ANNA, PASSWORD)]);
    let line = client.line().expect("an answer");
    assert!(line.starts_with("FAIL\t8"), "a cancelled request is over: {line}");
}

fn a_parameter_after_the_response_closes_the_connection(kind: Kind) {
    let accounts = accounts(kind);
    let site = Site::over(&accounts, "");
    for request in [
        &["AUTH", "1", "PLAIN", "service=smtp", &format!("resp={}", plain(ANNA, PASSWORD)), "secured"][..],
        &["AUTH", "0", "PLAIN", "service=smtp"],
        &["AUTH", "1", "PLAIN"],
        &["HELLO"],
    ] {
        let mut client = Client::connect(&site.client());
        client.send(request);
        assert_eq!(client.line(), None, "{request:?}");
    }
}

fn accounts_are_looked_up_and_listed(kind: Kind) {
    let accounts = accounts(kind);
    let site = Site::over(&accounts, "");
    let mut client = Client::connect_for_lookups(&site.userdb());
    let names: Vec<&str> = client.greeting.iter().filter_map(|line| line.split('\t').next()).collect();
    assert_eq!(names, ["VERSION", "SPID"], "a MECH would make it a socket for logins");
    client.send(&["USER", "1", ANNA, "service=lmtp"]);
    let line = client.line().expect("an answer");
    let fields: Vec<&str> = line.split('\t').collect();
    assert_eq!(fields[..3], ["USER", "1", ANNA]);
    for field in ["uid=", "gid=", "home=/var/mail/anna"] {
        assert!(fields.iter().any(|found| found.starts_with(field)), "{field}: {line}");
    }
    assert!(!line.contains("SHA256"), "no hash: {line}");
    client.send(&["USER", "4294967295", UNKNOWN, "service=lmtp"]);
    assert_eq!(client.line().as_deref(), Some("NOTFOUND\t4294967295"));

    client.send(&["LIST", "3", "user=*", "service=doveadm"]);
    let mut listed = Vec::new();
    let end = loop {
        let line = client.line().expect("a line");
        match line.strip_prefix("LIST\t3\t") {
            Some(login) => listed.push(login.to_owned()),
            None => break line,
        }
    };
    assert_eq!(end, "DONE\t3\t");
    listed.sort();
    assert!(listed.iter().any(|login| login == ANNA), "{listed:?}");
    assert!(!listed.iter().any(|login| login == UNKNOWN), "{listed:?}");
}

fn a_mail_process_gets_the_account_of_a_login_once(kind: Kind) {
    let accounts = accounts(kind);
    let site = Site::over(&accounts, "");
    let pid = std::process::id().to_string();
    let mut login = Client::connect_as_login_process(&site.login(), std::process::id());
    login.plain("5", ANNA, PASSWORD, &["session=abc", "secured"]);
    let line = login.line();
    assert!(is_ok(line.as_deref(), "5", ANNA), "{line:?}");
    let cookie = login.greeted_with("COOKIE").to_owned();
    let mut master = Client::connect_for_lookups(&site.master());
    let false_cookie = "0".repeat(32);
    let session = format!("session_pid={pid}");
    master.send(&["REQUEST", "1", &pid, "5", &false_cookie, &session]);
    let line = master.line().expect("an answer");
    assert!(line.starts_with("FAIL\t1"), "another cookie: {line}");
    // Whether a false cookie uses the login up is left open: a second login is asked for.
    login.plain("6", ANNA, PASSWORD, &["session=abd", "secured"]);
    assert!(is_ok(login.line().as_deref(), "6", ANNA));
    master.send(&["REQUEST", "2", &pid, "6", &cookie, &session]);
    let line = master.line().expect("an answer");
    assert!(line.starts_with(&format!("USER\t2\t{ANNA}\t")) && line.contains("\thome=/var/mail/anna"), "{line}");
    master.send(&["REQUEST", "3", &pid, "6", &cookie, &session]);
    let line = master.line().expect("an answer");
    assert!(line.starts_with("FAIL\t3"), "only once: {line}");

    login.plain("7", ANNA, "wrong", &["session=abe", "secured"]);
    let (line, took) = login.timed_line();
    assert!(line.is_some_and(|line| line.starts_with("FAIL\t7")) && took < Duration::from_secs(9), "{took:?}");
    master.send(&["REQUEST", "4", &pid, "7", &cookie, &session]);
    let line = master.line().expect("an answer");
    assert!(line.starts_with("FAIL\t4"), "a refused login has no account: {line}");
}
