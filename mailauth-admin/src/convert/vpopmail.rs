//! `vpopmail.mysql` and `vpopmail.pgsql`: only a connection. The tables are those of the profile.

use super::accounts::{Accounts, Conversion};
use super::connection::Connection;
use super::dialect::Dialect;
use super::findings::{Findings, Place};
use super::libpq;
use super::recognize::Recognized;

/// Converts a file. The first line that is no comment is the one that vpopmail reads from.
pub fn convert(text: &str, dialect: Dialect, findings: &mut Findings) -> Conversion {
    let kind = if dialect == Dialect::Postgres { "vpopmail.pgsql" } else { "vpopmail.mysql" };
    let mut lines = text
        .lines()
        .enumerate()
        .map(|(index, line)| (index + 1, line.trim()))
        .filter(|(_, line)| !line.is_empty() && !line.starts_with('#'));
    let connection = match lines.next() {
        None => {
            findings.refuse(&Place::file(), "has no line with a connection");
            Connection::default()
        }
        Some((line, text)) if text.contains('|') => by_parts(text, line, dialect, findings),
        Some((line, text)) => libpq::read(text, &Place::new("connection", line), findings),
    };
    for (line, _) in lines {
        let text = "is a connection for writing, which is not taken over: mailauth only reads these tables";
        findings.note(&Place::new("connection", line), text);
    }
    findings.warn(
        &Place::file(),
        "does not say whether vpopmail has one table for all domains or one for each (--disable-many-domains); the \
         configuration is for one; if the database has no table vpopmail, set profile = \"vpopmail-domains\" and list \
         the domains",
    );
    let mut accounts = Accounts::default();
    for key in ["uid", "gid"] {
        let comment = "vpopmail's usual id; the one in use is in qmail's users/assign".to_owned();
        accounts.set(key, "89".to_owned(), comment);
    }
    Conversion {
        kind,
        dialect,
        connection,
        profile: Recognized::named("vpopmail"),
        accounts,
        default_scheme: "crypt".to_owned(),
        default_domain: None,
    }
}

/// Reads `server|port|user|password|database`. As for vpopmail, an empty part vanishes.
fn by_parts(text: &str, line: usize, dialect: Dialect, findings: &mut Findings) -> Connection {
    let place = Place::new("connection", line);
    let parts: Vec<_> = text.split('|').filter(|part| !part.is_empty()).map(str::trim).collect();
    let [server, port, user, password, database] = parts.as_slice() else {
        findings.refuse(&place, "has not the five parts server|port|user|password|database");
        return Connection { place, ..Connection::default() };
    };
    let mut connection = Connection {
        user: (*user).to_owned(),
        password: password.as_bytes().to_vec().into(),
        database: (*database).to_owned(),
        place: place.clone(),
        ..Connection::default()
    };
    if port.starts_with('/') {
        connection.socket = Some((*port).to_owned());
        if *server == "localhost" {
            connection.add_host(server, 0, dialect);
        }
        return connection;
    }
    match port.parse() {
        Ok(port) => connection.add_host(server, port, dialect),
        Err(_) => findings.refuse(&place, "the port is no number from 0 to 65535 and no path of a socket"),
    }
    connection
}
