//! The URL of a database: `sqlite:PATH`, `mysql://USER@HOST[:PORT][,HOST...]/NAME[?socket=PATH]`, or `postgres://` in
//! the same form.
//!
//! User, name and socket may contain percent escapes (RFC 3986, section 2.1). An IPv6 address is written in brackets
//! (section 3.2.2). No message repeats the URL or a part of it before the host, because that may contain a password.

use super::{DatabaseUrl, HostPort, Server, UrlError};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, percent_decode_str, utf8_percent_encode};
use std::fmt;
use std::net::Ipv6Addr;
use std::path::{Path, PathBuf};
use std::str::FromStr;

/// Default port of MySQL and MariaDB.
const MYSQL_PORT: u16 = 3306;

/// Default port of PostgreSQL.
const POSTGRES_PORT: u16 = 5432;

/// Characters of a part that are escaped.
const PART: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'_').remove(b'.').remove(b'~');
/// Characters of a path that are escaped.
const PATH: &AsciiSet = &PART.remove(b'/');

fn wrong<T>(problem: impl Into<String>) -> Result<T, UrlError> {
    Err(UrlError { problem: problem.into() })
}

impl FromStr for DatabaseUrl {
    type Err = UrlError;

    fn from_str(text: &str) -> Result<Self, UrlError> {
        if text.chars().any(char::is_control) {
            return wrong("the URL contains a control character");
        }
        if let Some(path) = text.strip_prefix("sqlite:") {
            return sqlite(path);
        }
        match text.split_once("://") {
            Some(("mysql" | "mariadb", rest)) => server(rest, MYSQL_PORT).map(DatabaseUrl::Mysql),
            Some(("postgres" | "postgresql", rest)) => server(rest, POSTGRES_PORT).map(DatabaseUrl::Postgres),
            _ => wrong("the URL does not begin with the name of a supported database"),
        }
    }
}

/// Parses what follows `sqlite:`, without percent escapes. Of the forms with `//` that other programs use, only the
/// one with an absolute path is unambiguous.
fn sqlite(path: &str) -> Result<DatabaseUrl, UrlError> {
    let path = match path.strip_prefix("//") {
        // Several slashes mean the same as one.
        Some(path) if path.starts_with('/') => format!("/{}", path.trim_start_matches('/')),
        Some(_) => return wrong("the path of an SQLite database follows \"sqlite:\" directly, without //"),
        None => path.to_owned(),
    };
    if path.is_empty() {
        return wrong("the URL names no file");
    }
    if path.contains("memory:") || path.contains('?') {
        return wrong("an SQLite database must be a file, and its URL has no parameters");
    }
    Ok(DatabaseUrl::Sqlite { path: path.into() })
}

/// Parses what follows `mysql://`.
fn server(rest: &str, default_port: u16) -> Result<Server, UrlError> {
    let (rest, query) = rest.split_once('?').map_or((rest, None), |(rest, query)| (rest, Some(query)));
    // The last '@' counts, so that with an '@' in a password no part of the password is taken for a host.
    let Some((user, rest)) = rest.rsplit_once('@') else { return wrong("the URL names no user") };
    if user.contains(':') {
        return wrong(
            "the URL contains a password; write only the password to a file, and set password_file to its path",
        );
    }
    let Some((hosts, database)) = rest.split_once('/') else { return wrong("the URL names no database") };
    let socket = query.map(socket).transpose()?;
    let hosts = match (hosts, &socket) {
        ("", Some(_)) => Vec::new(),
        _ => hosts.split(',').map(|host| host_port(host, default_port)).collect::<Result<_, _>>()?,
    };
    let (user, database) = (part(user, "user")?, part(database, "database")?);
    Ok(Server { hosts, socket, user, database })
}

/// Decodes the percent escapes of a part.
fn part(text: &str, what: &str) -> Result<String, UrlError> {
    if text.is_empty() {
        return wrong(format!("the URL names no {what}"));
    }
    if text.contains(['/', '#', '@', ' ']) {
        return wrong(format!(
            "the {what} contains a character that must be percent-encoded, such as '#' as %23 or '/' as %2F"
        ));
    }
    decoded(text, what)
}

fn decoded(text: &str, what: &str) -> Result<String, UrlError> {
    match percent_decode_str(text).decode_utf8() {
        Ok(text) if !text.chars().any(char::is_control) => Ok(text.into_owned()),
        _ => wrong(format!("the {what} is not printable text after decoding its percent escapes")),
    }
}

fn socket(query: &str) -> Result<PathBuf, UrlError> {
    let path = match query.split_once('=') {
        Some(("socket", path)) if !path.contains(['&', '#']) => decoded(path, "socket")?,
        _ => return wrong("the URL has a parameter other than socket=PATH"),
    };
    if path.starts_with('/') { Ok(path.into()) } else { wrong("the path of the socket is not absolute") }
}

fn host_port(text: &str, default_port: u16) -> Result<HostPort, UrlError> {
    let (host, port) = match text.strip_prefix('[').and_then(|rest| rest.split_once(']')) {
        Some((address, port)) if address.parse::<Ipv6Addr>().is_ok() => (address, port),
        Some((address, _)) => return wrong(format!("{address:?} in brackets is not an IPv6 address")),
        None => text.split_at(text.find(':').unwrap_or(text.len())),
    };
    let legal = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_' | b'.' | b':');
    if host.is_empty() || !host.bytes().all(legal) {
        return wrong(format!("{host:?} is not the name or address of a host"));
    }
    let port = match port.strip_prefix(':') {
        None if port.is_empty() => default_port,
        Some(digits) if digits.bytes().all(|b| b.is_ascii_digit()) => digits.parse().unwrap_or(0),
        _ => 0,
    };
    match port {
        0 => {
            wrong(format!("the port of host {host:?} is not a number from 1 to 65535 (an IPv6 address needs brackets)"))
        }
        port => Ok(HostPort { host: host.to_ascii_lowercase(), port }),
    }
}

/// Writes the URL in the form in which it is read, with all ports.
impl fmt::Display for DatabaseUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let scheme = self.scheme();
        let Some(server) = self.server() else {
            return write!(f, "{scheme}:{}", self.file().unwrap_or(Path::new("")).display());
        };
        let hosts: Vec<_> = server.hosts.iter().map(HostPort::to_string).collect();
        let (user, name) = (utf8_percent_encode(&server.user, PART), utf8_percent_encode(&server.database, PART));
        write!(f, "{scheme}://{user}@{}/{name}", hosts.join(","))?;
        match &server.socket {
            Some(path) => write!(f, "?socket={}", utf8_percent_encode(&path.to_string_lossy(), PATH)),
            None => Ok(()),
        }
    }
}

impl fmt::Display for HostPort {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.host.contains(':') {
            true => write!(f, "[{}]:{}", self.host, self.port),
            false => write!(f, "{}:{}", self.host, self.port),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn url(text: &str) -> DatabaseUrl {
        text.parse().unwrap_or_else(|error| panic!("{text}: {error}"))
    }

    #[test]
    fn a_server_has_hosts_in_order_and_a_socket_before_them() {
        let DatabaseUrl::Mysql(server) = url("mysql://mail%40x@db1,DB2:3307,[::1]:9/ma%2Fil?socket=/run/my%20sql.sock")
        else {
            panic!("a MySQL server")
        };
        let hosts: Vec<_> = server.hosts.iter().map(|h| (h.host.as_str(), h.port)).collect();
        assert_eq!(hosts, [("db1", 3306), ("db2", 3307), ("::1", 9)]);
        assert_eq!((server.user.as_str(), server.database.as_str()), ("mail@x", "ma/il"));
        assert_eq!(server.socket.unwrap().to_str(), Some("/run/my sql.sock"));
    }

    #[test]
    fn a_socket_alone_needs_no_host() {
        let DatabaseUrl::Postgres(server) = url("postgresql://mail@/mail?socket=/run/postgresql") else {
            panic!("a PostgreSQL server")
        };
        assert_eq!((server.hosts.len(), server.socket), (0, Some("/run/postgresql".into())));
    }

    #[test]
    fn a_url_is_printed_as_it_is_read() {
        for text in [
            "sqlite:/var/lib/mailauth/mail.db",
            "sqlite:mail.db",
            "mysql://u@h:3306,[::1]:3307/mail?socket=/run/x%20y.sock",
            "postgres://%C3%BC%3A@h:5432/mail",
            "postgres://u@/mail?socket=/run/postgresql",
        ] {
            assert_eq!(url(text).to_string(), text);
        }
        assert_eq!(url("sqlite:///a/b").to_string(), "sqlite:/a/b");
        assert_eq!(url("sqlite:////a//b").to_string(), "sqlite:/a//b");
        assert_eq!(url("mariadb://u@h/d").to_string(), "mysql://u@h:3306/d");
    }

    #[test]
    fn errors_say_what_is_wrong_and_how_to_fix_it() {
        for (text, part) in [
            ("", "a supported database"),
            ("oracle://u@h/d", "a supported database"),
            ("mysql://h/d", "names no user"),
            ("mysql://@h/d", "names no user"),
            ("mysql://u@h", "names no database"),
            ("mysql://u@h/", "names no database"),
            ("mysql://u@/d", "is not the name or address of a host"),
            ("mysql://u@a,,b/d", "is not the name or address of a host"),
            ("mysql://u@h:0/d", "is not a number from 1 to 65535"),
            ("mysql://u@h:99999/d", "is not a number from 1 to 65535"),
            ("mysql://u@::1/d", "is not the name or address of a host"),
            ("mysql://u@fe80::1/d", "needs brackets"),
            ("mysql://u@[x]/d", "is not an IPv6 address"),
            ("mysql://u@h/d?ssl=on", "other than socket=PATH"),
            ("mysql://u@h/d?socket=x", "is not absolute"),
            ("mysql://%FF@h/d", "not printable text"),
            ("mysql://u@h/a/b", "must be percent-encoded"),
            ("sqlite:", "names no file"),
            ("sqlite://mail.db", "without //"),
            ("sqlite::memory:", "must be a file"),
        ] {
            let error = text.parse::<DatabaseUrl>().expect_err(text).to_string();
            assert!(error.contains(part), "{text}: {error}");
        }
    }

    #[test]
    fn a_password_is_refused_and_not_repeated() {
        for text in
            ["mysql://u:hunter2@h/d", "mysql://u:hunter2@evil@h/d", "mysql://u:hunter2", "postgres://u:hunter2/@h/d"]
        {
            let error = text.parse::<DatabaseUrl>().unwrap_err().to_string();
            assert!(!error.contains("hunter2"), "{error}");
        }
        let error = "mysql://u:p@h/d".parse::<DatabaseUrl>().unwrap_err().to_string();
        assert!(error.contains("set password_file to its path"), "{error}");
    }

    proptest! {
        #[test]
        fn any_url_that_is_read_is_printed_as_it_was_read(
            text in "(sqlite:|mysql://|postgres://)?[a-z%0-9:@/,?=\\[\\].ü-]{0,40}"
        ) {
            if let Ok(url) = text.parse::<DatabaseUrl>() {
                prop_assert_eq!(url.to_string().parse::<DatabaseUrl>(), Ok(url));
            }
        }
    }
}
