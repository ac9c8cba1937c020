//! The lines of clients that look accounts up.

use super::Malformed;
use super::escape::unescape;
use super::login_request::{parse_address, parse_version, split, split_value};
use super::number::parse_id;
use mailauth_core::Service;
use std::net::IpAddr;

/// A line of a client.
#[derive(Debug)]
pub enum LookupLine<'a> {
    /// The client's version, by its second number.
    Version(u32),
    /// An account.
    User(u32, User),
    /// The fields of a login, for a proxy.
    Pass(u32),
    /// All logins that match the mask, or all without one.
    List(u32, Option<Vec<u8>>),
    /// A login that succeeded on another connection.
    Request(u32, FinishedRequest<'a>),
    /// To forget what is remembered of these logins, or of all if there are none.
    CacheFlush(u32, Vec<Vec<u8>>),
}

/// A question about an account.
#[derive(Debug)]
pub struct User {
    /// The login, without escapes.
    pub login: Vec<u8>,
    /// Service that the account is looked up for.
    pub service: Service,
    /// Address of the mail client.
    pub client: Option<IpAddr>,
    /// Whether the names of settings are those of Dovecot 2.4.
    pub is_2_4: bool,
}

/// What a mail process knows about the login that it was started for.
#[derive(Debug, PartialEq, Eq)]
pub struct FinishedRequest<'a> {
    /// CPID of the connection on which the login succeeded.
    pub cpid: u32,
    /// Id of the request there.
    pub id: u32,
    /// Cookie of that connection, in hexadecimal.
    pub cookie: &'a [u8],
}

impl<'a> LookupLine<'a> {
    /// Reads a line.
    pub fn parse(line: &'a [u8]) -> Result<Self, Malformed> {
        let (word, rest) = split(line);
        let rest = rest.ok_or(Malformed("the client sent a line that is not part of the protocol"))?;
        if word == b"VERSION" {
            return parse_version(rest).map(LookupLine::Version);
        }
        let (id, rest) = split(rest);
        match word {
            b"USER" => Ok(LookupLine::User(parse_id(id)?, parse_user(rest)?)),
            b"PASS" => Ok(LookupLine::Pass(parse_id(id)?)),
            b"LIST" => {
                let mask = fields(rest).find_map(|field| field.strip_prefix(b"user="));
                Ok(LookupLine::List(parse_id(id)?, mask.map(unescape)))
            }
            b"REQUEST" => Ok(LookupLine::Request(parse_id(id)?, parse_request(rest)?)),
            b"CACHE-FLUSH" => {
                let logins = fields(rest).filter(|field| !field.is_empty()).map(unescape).collect();
                Ok(LookupLine::CacheFlush(parse_id(id)?, logins))
            }
            _ => Err(Malformed("the client sent a line that is not part of the protocol")),
        }
    }
}

/// Returns the fields of the rest of a line.
fn fields(rest: Option<&[u8]>) -> impl Iterator<Item = &[u8]> {
    rest.into_iter().flat_map(|rest| rest.split(|byte| *byte == b'\t'))
}

fn parse_user(rest: Option<&[u8]>) -> Result<User, Malformed> {
    let mut fields = fields(rest);
    let login = unescape(fields.next().ok_or(Malformed("USER without a login"))?);
    let (mut service, mut client, mut is_2_4) = (None, None, false);
    for field in fields {
        match split_value(field) {
            (name @ (b"service" | b"protocol"), value) => {
                is_2_4 |= name == b"protocol";
                service = Some(Service::from_name(&unescape(value.unwrap_or_default())));
            }
            (b"rip", Some(value)) => client = parse_address(value),
            _ => {}
        }
    }
    let service = service.ok_or(Malformed("USER without service= or protocol="))?;
    Ok(User { login, service, client, is_2_4 })
}

fn parse_request(rest: Option<&[u8]>) -> Result<FinishedRequest<'_>, Malformed> {
    let mut fields = fields(rest);
    match (fields.next(), fields.next(), fields.next()) {
        (Some(cpid), Some(id), Some(cookie)) => {
            Ok(FinishedRequest { cpid: parse_id(cpid)?, id: parse_id(id)?, cookie })
        }
        _ => Err(Malformed("REQUEST without a process id, an id and a cookie")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_requests_of_dovecot_2_3_and_2_4_are_read() {
        let user = |line: &'static str| match LookupLine::parse(line.as_bytes()) {
            Ok(LookupLine::User(id, user)) => (id, user),
            other => panic!("{other:?}"),
        };
        let (id, old) = user("USER\t1\tanna@example.org\tservice=lmtp\tlip=192.0.2.25\trip=192.0.2.1\tdebug");
        assert_eq!((id, old.login.as_slice(), old.is_2_4), (1, b"anna@example.org".as_slice(), false));
        assert_eq!((old.service, old.client), (Service::Delivery, Some([192, 0, 2, 1].into())));
        let (_, new) = user("USER\t4000000000\ta\x01tb\tprotocol=doveadm");
        assert_eq!((new.login.as_slice(), new.is_2_4), (b"a\tb".as_slice(), true));

        let LookupLine::List(3, mask) = LookupLine::parse(b"LIST\t3\tuser=*@example.org\tservice=doveadm").unwrap()
        else {
            panic!("not a list")
        };
        assert_eq!(mask.unwrap(), b"*@example.org");
        assert!(matches!(LookupLine::parse(b"LIST\t3\tservice=doveadm"), Ok(LookupLine::List(3, None))));
        let LookupLine::Request(9, finished) =
            LookupLine::parse(b"REQUEST\t9\t4711\t1\tc00c1e\tsession_pid=1\trequest_auth_token").unwrap()
        else {
            panic!("not a request")
        };
        assert_eq!(finished, FinishedRequest { cpid: 4711, id: 1, cookie: b"c00c1e" });
        let LookupLine::CacheFlush(5, logins) = LookupLine::parse(b"CACHE-FLUSH\t5\ta@x\tb@x").unwrap() else {
            panic!("not a flush")
        };
        assert_eq!(logins, [b"a@x", b"b@x"]);
        assert!(matches!(LookupLine::parse(b"CACHE-FLUSH\t5"), Ok(LookupLine::CacheFlush(5, none)) if none.is_empty()));
    }

    #[test]
    fn other_lines_are_malformed() {
        for line in [
            "",
            "\t\t",
            "USER",
            "USER\t1",
            "USER\t1\tanna",
            "USER\tx\tanna\tservice=lmtp",
            "USER\t0\tanna\tservice=lmtp",
            "REQUEST\t1\t4711\t1",
            "REQUEST\t1\t0\t1\tc00c1e",
            "CPID\t7",
            "AUTH\t1\tPLAIN\tservice=smtp",
            "FOO\t1",
            "VERSION\t2\t0",
            "LIST\tx",
            "PASS\t",
            "user\t1\tanna\tservice=lmtp",
        ] {
            assert!(LookupLine::parse(line.as_bytes()).is_err(), "{line:?}");
        }
    }
}
