//! One request that is answered on the standard input and output, by a program that answers while the daemon is away.

mod harness;

use harness::*;
use mailauth_core::config::Config;
use mailauth_core::policy::RefusalTime;
use mailauth_courier::serve_stdio;
use std::io::{self, Read};
use std::time::{Duration, Instant};

fn answer_over(table: &Table, config: &Config, mut request: &[u8]) -> String {
    let mut reply = Vec::new();
    serve_stdio(backend(table), config, &mut request, &mut reply).unwrap();
    String::from_utf8(reply).unwrap()
}

fn answer(table: &Table, request: impl AsRef<[u8]>) -> String {
    answer_over(table, &Config::default(), request.as_ref())
}

#[test]
fn a_login_gets_the_record_or_fail() {
    let table = two_accounts();
    assert_eq!(answer(&table, auth("anna", "secret")), record("anna"));
    assert_eq!(answer(&table, auth("anna", "wrong")), "FAIL\n");
    assert_eq!(answer(&table, auth("nobody", "secret")), "FAIL\n");
    assert_eq!(answer(&table, auth("", "secret")), "FAIL\n");
    table.fail(true);
    assert_eq!(answer(&table, auth("anna", "secret")), "");
    assert_eq!(answer(&table, pre("nobody")), "");
}

#[test]
fn a_look_up_gets_the_clear_password_and_a_login_does_not() {
    let table = Table::with([row("anna@x.example", HASH), row("clear@x.example", "{PLAIN}open")]);
    assert!(answer(&table, pre("clear")).contains("\nPASSWD2=open\n"));
    assert!(!answer(&table, auth("clear", "open")).contains("PASSWD"));
    assert_eq!(answer(&table, pre("anna")), record("anna"), "a hash is not sent");
}

#[test]
fn a_challenge_is_verified() {
    // The example of RFC 2195.
    let body = "smtp\ncram-md5\nPDE4OTYuNjk3MTcwOTUyQHBvc3RvZmZpY2UucmVzdG9uLm1jaS5uZXQ+\n\
                dGltIGI5MTNhNjAyYzdlZGE3YTQ5NWI0ZTZlNzMzNGQzODkw\n";
    let request = format!("AUTH {}\n{body}", body.len());
    let over = |stored: &str| answer(&Table::with([row("tim@x.example", stored)]), &request);
    assert_eq!(over("{PLAIN}tanstaaftanstaaf"), record("tim"));
    assert_eq!(over("{PLAIN}another"), "FAIL\n");
}

#[test]
fn a_question_gets_its_answer() {
    let table = two_accounts();
    table.alias("info@x.example", &["anna@x.example"]);
    assert_eq!(answer(&table, ask("domain x.example")), "OK\n");
    assert_eq!(answer(&table, ask("domain y.example")), "FAIL\n");
    assert_eq!(answer(&table, ask("alias info@x.example")), "OK anna@x.example\n");
    assert_eq!(answer(&table, ask("recipient 1000 info@x.example")), "OK\n");
    assert!(answer(&table, ask("account anna@x.example")).starts_with("OK login=\"anna@x.example\" "));
    table.fail(true);
    assert_eq!(answer(&table, ask("domain x.example")), "LATER the database at memory cannot be reached: on purpose\n");
}

#[test]
fn the_configured_time_applies_to_the_whole_request() {
    let mut config = Config::default();
    config.courier.request = std::time::Duration::ZERO;
    let late = "LATER the request waited past its deadline\n";
    assert_eq!(answer_over(&two_accounts(), &config, ask("recipient 5 anna").as_bytes()), late);
    assert_eq!(answer_over(&two_accounts(), &config, auth("anna", "secret").as_bytes()), "");
}

#[test]
fn an_invalid_request_gets_no_answer() {
    let table = two_accounts();
    let long = "x".repeat(50_000);
    for request in ["", "HELO\n", "PRE . imap anna", "ASK domain\n", "AUTH 100\nimap\n", &long] {
        assert_eq!(answer(&table, request), "", "{request:?}");
    }
}

#[test]
fn passwords_are_not_changed_and_accounts_are_not_listed() {
    let table = two_accounts();
    assert_eq!(answer(&table, "PASSWD imap\tanna\tsecret\tlong enough\n"), "");
    assert_eq!(answer(&table, "ENUMERATE\n"), "");
    assert_eq!(answer(&table, auth("anna", "secret")), record("anna"));
}

/// Input that arrives byte by byte and then fails.
struct Slow<'a>(&'a [u8]);

impl Read for Slow<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let (byte, rest) = self.0.split_first().ok_or(io::ErrorKind::ConnectionReset)?;
        self.0 = rest;
        buffer[0] = *byte;
        Ok(1)
    }
}

#[test]
fn only_refusals_of_logins_are_delayed() {
    let table = Table::with([row("anna@x.example", HASH), row("clear@x.example", "{PLAIN}open")]);
    let took = |request: String, answer: &str, time: u64| {
        let mut config = Config::default();
        config.login.refusal_time = RefusalTime::Fixed(Duration::from_secs(time));
        let begin = Instant::now();
        let text = answer_over(&table, &config, request.as_bytes());
        assert!(text.starts_with(answer), "{text}");
        begin.elapsed()
    };
    let (least, most) = (Duration::from_secs(1), Duration::from_secs(8));
    for (login, password) in [("anna", "wrong"), ("clear", "wrong"), ("nobody", "wrong"), ("a b", "wrong")] {
        assert!(took(auth(login, password), "FAIL\n", 1) >= least, "{login}");
    }
    let cram = "smtp\ncram-md5\nPDE4OTY+\nbm9ib2R5IGI5MTNhNjAyYzdlZGE3YTQ5NWI0ZTZlNzMzNGQzODkw\n";
    assert!(took(format!("AUTH {}\n{cram}", cram.len()), "FAIL\n", 1) >= least);
    assert!(took(auth("anna", "secret"), "UID=", 10) < most);
    assert!(took(pre("nobody"), "FAIL\n", 10) < most, "a look-up is not a login");
}

#[test]
fn a_request_may_arrive_in_pieces_and_is_read_only_to_its_end() {
    let table = two_accounts();
    let ask = |request: &str| {
        let mut reply = Vec::new();
        let read = serve_stdio(backend(&table), &Config::default(), &mut Slow(request.as_bytes()), &mut reply);
        read.map(|()| String::from_utf8(reply).unwrap()).map_err(|error| error.kind())
    };
    assert_eq!(ask(&auth("anna", "secret")), Ok(record("anna")));
    assert_eq!(ask("PRE . imap anna"), Err(io::ErrorKind::ConnectionReset));
}
