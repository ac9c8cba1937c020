//! Dovecot's servers, as any version of them answers.

use crate::site::LIMIT;
use mailauth_tests::eventually;
use mailauth_tests::imap::Imap;
use mailauth_tests::pop3::Pop3;
use std::io::{BufRead, BufReader, Write};
use std::net::TcpStream;
use std::time::Duration;

/// The page with the settings.
pub const PAGE: &str = "docs/dovecot.md";

/// The ports of a Dovecot.
#[derive(Clone, Copy)]
pub struct Ports {
    pub imap: u16,
    pub pop3: u16,
    pub lmtp: u16,
}

/// What it says about one login and one recipient.
#[derive(Debug, PartialEq, Eq)]
pub struct Answers {
    pub imap: String,
    pub pop3: String,
    pub lmtp: String,
}

impl Ports {
    /// Asks each server. Of an IMAP or POP3 answer, the code in brackets is returned, or the first word.
    pub fn ask(self, login: &str, password: &str) -> Answers {
        Answers { imap: self.imap(login, password), pop3: self.pop3(login, password), lmtp: self.lmtp(login) }
    }

    pub fn imap(self, login: &str, password: &str) -> String {
        code(&Imap::connect(self.imap).login(login, password))
    }

    pub fn pop3(self, login: &str, password: &str) -> String {
        code(&Pop3::connect(self.pop3).login(login, password))
    }

    /// Returns the reply to a recipient without its text: its codes.
    pub fn lmtp(self, login: &str) -> String {
        let mut client = Lmtp::connect(self.lmtp);
        client.says("MAIL FROM:<sender@elsewhere.example>");
        let reply = client.says(&format!("RCPT TO:<{login}>"));
        reply.split(' ').take(2).collect::<Vec<_>>().join(" ")
    }

    /// Delivers a message, and returns the reply to it.
    pub fn deliver(self, login: &str, text: &str) -> String {
        let mut client = Lmtp::connect(self.lmtp);
        client.says("MAIL FROM:<sender@elsewhere.example>");
        let reply = client.says(&format!("RCPT TO:<{login}>"));
        assert!(reply.starts_with("250 "), "{reply}");
        client.says("DATA");
        client.says(&format!("{text}\r\n."))
    }
}

/// Returns `NO [UNAVAILABLE]` of `NO [UNAVAILABLE] Temporary ...`, and `OK` of any success.
fn code(answer: &str) -> String {
    let (word, rest) = answer.split_once(' ').unwrap_or((answer, ""));
    match rest.split_once(']') {
        Some((code, _)) if !matches!(word, "OK" | "+OK") => format!("{word} {code}]"),
        _ => word.to_owned(),
    }
}

struct Lmtp(BufReader<TcpStream>);

impl Lmtp {
    fn connect(port: u16) -> Self {
        let stream = TcpStream::connect(("127.0.0.1", port)).expect("lmtpd");
        stream.set_read_timeout(Some(Duration::from_secs(60))).expect("a time limit");
        let mut client = Lmtp(BufReader::new(stream));
        let greeting = client.reply();
        assert!(greeting.starts_with("220 "), "{greeting}");
        client.says("LHLO client.example");
        client
    }

    fn says(&mut self, line: &str) -> String {
        self.0.get_mut().write_all(format!("{line}\r\n").as_bytes()).expect("lmtpd");
        self.reply()
    }

    /// Returns the last line of a reply.
    fn reply(&mut self) -> String {
        loop {
            let mut line = String::new();
            self.0.read_line(&mut line).expect("a reply within the time limit");
            assert!(line.len() > 3, "the end of the connection: {line:?}");
            if line.as_bytes()[3] == b' ' {
                return line.trim_end().to_owned();
            }
        }
    }
}

/// Asserts that the servers give these answers, for IMAP, POP3 and LMTP. An lmtpd that has kept its connection to a
/// daemon that was restarted defers the first recipient after that, so it is asked again.
#[track_caller]
pub fn expect(ports: Ports, login: &str, password: &str, answers: [&str; 3]) {
    let [imap, pop3, lmtp] = answers.map(str::to_owned);
    let mut found = ports.ask(login, password);
    if lmtp != NOT_NOW[2] && found.lmtp == NOT_NOW[2] {
        eventually("an answer to LMTP", LIMIT, || {
            found.lmtp = ports.lmtp(login);
            found.lmtp != NOT_NOW[2]
        });
    }
    assert_eq!(found, Answers { imap, pop3, lmtp }, "{login} {password}");
}

pub const YES: [&str; 3] = ["OK", "+OK", "250 2.1.5"];
pub const WRONG: [&str; 3] = ["NO [AUTHENTICATIONFAILED]", "-ERR [AUTH]", "250 2.1.5"];
pub const UNKNOWN: [&str; 3] = ["NO [AUTHENTICATIONFAILED]", "-ERR [AUTH]", "550 5.1.1"];
pub const NOT_NOW: [&str; 3] = ["NO [UNAVAILABLE]", "-ERR [SYS/TEMP]", "451 4.3.0"];
