//! The lines of clients that log in.

use super::Malformed;
use super::escape::unescape;
use super::number::{parse_id, parse_number};
use mailauth_core::{Secret, Service};
use std::net::IpAddr;

/// A line of a client.
#[derive(Debug)]
pub enum LoginLine<'a> {
    /// The client's version, by its second number.
    Version(u32),
    /// The client's process id.
    Cpid(u32),
    /// A new request.
    Auth(Box<LoginRequest<'a>>),
    /// The response to a challenge, in base64. `None` without a second TAB.
    Cont(u32, Option<&'a [u8]>),
    /// The end of a request.
    Cancel(u32),
}

/// A request to log in.
#[derive(Debug)]
pub struct LoginRequest<'a> {
    /// The client's number of the request.
    pub id: u32,
    /// Name of the mechanism, in any case.
    pub mechanism: &'a [u8],
    /// Service that the login is for.
    pub service: Service,
    /// Address of the mail client.
    pub client: Option<IpAddr>,
    /// Whether the mail client's connection is encrypted, or need not be.
    pub secured: bool,
    /// Whether the request comes from a process of Dovecot, which understands "not now".
    pub knows_not_now: bool,
    /// Whether the last message of the mechanism may be part of the OK.
    pub final_message_in_ok: bool,
    /// Whether the names of settings are those of Dovecot 2.4.
    pub is_2_4: bool,
    /// Whether no REQUEST will follow.
    pub no_login: bool,
    /// The initial response, in base64.
    pub initial: Option<&'a [u8]>,
}

impl<'a> LoginLine<'a> {
    /// Reads a line.
    pub fn parse(line: &'a [u8]) -> Result<Self, Malformed> {
        let (word, rest) = split(line);
        match (word, rest) {
            (b"VERSION", Some(rest)) => parse_version(rest).map(LoginLine::Version),
            (b"CPID", Some(rest)) => parse_id(rest).map(LoginLine::Cpid),
            (b"AUTH", Some(rest)) => parse_auth(rest).map(|request| LoginLine::Auth(Box::new(request))),
            (b"CONT", Some(rest)) => {
                let (id, response) = split(rest);
                Ok(LoginLine::Cont(parse_id(id)?, response))
            }
            (b"CANCEL", Some(rest)) => parse_id(rest).map(LoginLine::Cancel),
            _ => Err(Malformed("the client sent a line that is not part of the protocol")),
        }
    }
}

/// Reads the two numbers of a version, and returns the second.
pub fn parse_version(text: &[u8]) -> Result<u32, Malformed> {
    match split(text) {
        (b"1", Some(minor)) => parse_number(minor).ok_or(Malformed("the client's version is not two numbers")),
        _ => Err(Malformed("the client's version is not 1.x")),
    }
}

/// Splits at the first TAB.
pub fn split(text: &[u8]) -> (&[u8], Option<&[u8]>) {
    match text.iter().position(|byte| *byte == b'\t') {
        Some(at) => (text.get(..at).unwrap_or_default(), text.get(at + 1..)),
        None => (text, None),
    }
}

fn parse_auth(text: &[u8]) -> Result<LoginRequest<'_>, Malformed> {
    let (id, rest) = split(text);
    let (mechanism, mut rest) = split(rest.ok_or(Malformed("AUTH without a mechanism"))?);
    let mut request = LoginRequest {
        id: parse_id(id)?,
        mechanism,
        service: Service::Other(String::new()),
        client: None,
        secured: false,
        knows_not_now: false,
        final_message_in_ok: false,
        is_2_4: false,
        no_login: false,
        initial: None,
    };
    let mut has_service = false;
    while let Some(text) = rest {
        let (field, more) = split(text);
        rest = more;
        let (name, value) = split_value(field);
        match name {
            b"service" | b"protocol" => {
                has_service = true;
                request.is_2_4 |= name == b"protocol";
                request.service = Service::from_name(&unescape(value.unwrap_or_default()));
            }
            b"rip" => request.client = value.and_then(parse_address),
            b"secured" => request.secured = true,
            b"session" => request.knows_not_now = true,
            b"final-resp-ok" => (request.knows_not_now, request.final_message_in_ok) = (true, true),
            b"nologin" => request.no_login = true,
            b"resp" => match more {
                None => request.initial = value,
                Some(_) => return Err(Malformed("the client sent something after resp=")),
            },
            _ => {}
        }
    }
    if has_service { Ok(request) } else { Err(Malformed("AUTH without service= or protocol=")) }
}

/// Splits a parameter into its name and its value.
pub fn split_value(field: &[u8]) -> (&[u8], Option<&[u8]>) {
    match field.iter().position(|byte| *byte == b'=') {
        Some(at) => (field.get(..at).unwrap_or_default(), field.get(at + 1..)),
        None => (field, None),
    }
}

/// Reads an address, which may name an interface after a percent sign.
pub fn parse_address(text: &[u8]) -> Option<IpAddr> {
    let text = std::str::from_utf8(text).ok()?;
    text.split_once('%').map_or(text, |(address, _)| address).parse().ok()
}

/// Reads base64. Returns `None` if it is not padded, or has anything else in it.
pub fn parse_base64(text: &[u8]) -> Option<Secret> {
    use base64::engine::Engine;
    base64::engine::general_purpose::STANDARD.decode(text).ok().map(Secret::new)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn auth(line: &[u8]) -> LoginRequest<'_> {
        match LoginLine::parse(line) {
            Ok(LoginLine::Auth(request)) => *request,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn the_requests_of_postfix_exim_and_dovecot_are_read() {
        let postfix = auth(b"AUTH\t1\tPLAIN\tservice=smtp\tnologin\tlip=192.0.2.25\trip=192.0.2.1\tsecured\tresp=AGE=");
        assert_eq!((postfix.id, postfix.mechanism), (1, b"PLAIN".as_slice()));
        assert_eq!((postfix.service, postfix.client), (Service::Smtp, Some([192, 0, 2, 1].into())));
        assert_eq!(postfix.initial, Some(b"AGE=".as_slice()));
        assert!(postfix.secured && postfix.no_login && !postfix.knows_not_now && !postfix.final_message_in_ok);

        let exim = auth(b"AUTH\t1\tplain\tservice=smtp\trip=fe80::1%eth0\tlip=::1\tnologin\tresp=");
        assert_eq!((exim.initial, exim.secured), (Some(b"".as_slice()), false));
        assert_eq!(exim.client, Some("fe80::1".parse().unwrap()));

        let old = auth(b"AUTH\t9\tCRAM-MD5\tservice=imap\tsecured=tls\tsession=a\x01tb\trip=nonsense");
        assert!(old.knows_not_now && old.secured && !old.is_2_4 && old.client.is_none() && old.initial.is_none());

        let new = auth(b"AUTH\t3\tPLAIN\tprotocol=sieve\tfinal-resp-ok\tfoo\tbar=baz=\t=\t\tresp==");
        assert!(new.knows_not_now && new.is_2_4 && new.final_message_in_ok);
        assert_eq!((new.service, new.initial), (Service::Sieve, Some(b"=".as_slice())));
    }

    #[test]
    fn nothing_may_follow_the_initial_response() {
        for line in
            ["AUTH\t1\tPLAIN\tservice=smtp\tresp=AGE=\tnologin", "AUTH\t1\tPLAIN\tservice=smtp\tresp=\tresp=AGE="]
        {
            assert_eq!(
                LoginLine::parse(line.as_bytes()).unwrap_err(),
                Malformed("the client sent something after resp=")
            );
        }
    }

    #[test]
    fn other_lines_are_malformed() {
        for line in [
            "",
            "\t\t\t",
            "AUTH",
            "AUTH\t1",
            "AUTH\t\tPLAIN\tservice=smtp",
            "AUTH\t0\tPLAIN\tservice=smtp",
            "AUTH\t1\tPLAIN",
            "AUTH\t1\tPLAIN\tservices=smtp",
            "AUTH 1 PLAIN service=smtp",
            "auth\t1\tPLAIN\tservice=smtp",
            "CONT",
            "CONT\tx\tAAAA",
            "CANCEL",
            "CANCEL\tx",
            "CANCEL\t1\t",
            "CPID\t0",
            "CPID\tx",
            "VERSION\t1",
            "VERSION\t2\t0",
            "VERSION\tx\ty",
            "VERSION\t1\ty",
            "VERSION\t1\t2\t3",
            "VERSION\tauth-worker\t1\t0",
            "GET / HTTP/1.0",
        ] {
            assert!(LoginLine::parse(line.as_bytes()).is_err(), "{line:?}");
        }
    }

    #[test]
    fn base64_is_read_only_with_its_padding_and_without_spaces() {
        assert_eq!(parse_base64(b"AGE=").unwrap().expose(), b"\0a");
        assert_eq!(parse_base64(b"").unwrap().expose(), b"");
        for text in ["AGE", "AG E=", "AGE= ", "AGE=AAAA", "_-E=", "A", "=", "!!"] {
            assert!(parse_base64(text.as_bytes()).is_none(), "{text:?}");
        }
    }
}
