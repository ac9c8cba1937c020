//! Connection strings of PostgreSQL's libpq, such as `host=db user=mail password='a b'`.

use super::connection::Connection;
use super::dialect::Dialect;
use super::findings::{Findings, Place};

/// Reads a connection string into a connection.
pub fn read(text: &str, place: &Place, findings: &mut Findings) -> Connection {
    let mut connection = Connection { place: place.clone(), ..Connection::default() };
    if text.starts_with("postgres://") || text.starts_with("postgresql://") {
        findings.refuse(place, "is a URL; write it as words such as host=db user=mail dbname=mail");
        return connection;
    }
    let words = match words(text) {
        Ok(words) => words,
        Err(problem) => {
            findings.refuse(place, problem);
            return connection;
        }
    };
    let (mut hosts, mut ports) = (Vec::new(), Vec::new());
    for (name, value) in words {
        let list = || value.split(',').map(str::to_owned).collect::<Vec<_>>();
        match name.as_str() {
            "host" | "hostaddr" if hosts.is_empty() || name == "hostaddr" => hosts = list(),
            "host" => {}
            "port" => ports = list(),
            "user" => connection.user = value,
            "password" => connection.password = value.into_bytes().into(),
            "dbname" => connection.database = value,
            "sslmode" => set_mode(&mut connection, &value, place, findings),
            "sslrootcert" => connection.tls_ca = Some(value),
            "sslcert" => connection.tls_cert = Some(value),
            "sslkey" => connection.tls_key = Some(value),
            "service" | "passfile" => {
                findings.refuse(place, format!("{name} names another file; write its values into this one"));
            }
            "connect_timeout" => findings.note(place, "connect_timeout is replaced by [database] deadline, 3 seconds"),
            "options" | "application_name" | "client_encoding" | "keepalives" | "target_session_attrs" | "sslcrl" => {
                findings.warn(place, format!("{name} is not taken over"));
            }
            // It is not repeated, because it may be a part of the password.
            _ => findings.warn(place, "has an option that is not taken over"),
        }
    }
    if hosts.is_empty() {
        connection.socket = Some("/var/run/postgresql".to_owned());
    }
    for (index, host) in hosts.iter().enumerate() {
        let port = ports.get(index).or(ports.first().filter(|_| ports.len() == 1)).map_or("", String::as_str);
        match port {
            "" => connection.add_host(host, 0, Dialect::Postgres),
            port => match port.parse() {
                Ok(port) => connection.add_host(host, port, Dialect::Postgres),
                Err(_) => findings.refuse(place, "the port is no number from 1 to 65535"),
            },
        }
    }
    connection
}

fn set_mode(connection: &mut Connection, mode: &str, place: &Place, findings: &mut Findings) {
    connection.used_tls = mode != "disable";
    connection.tls = match mode {
        "disable" => Some("disable"),
        "require" => Some("require"),
        "verify-ca" => Some("verify-ca"),
        "verify-full" => Some("verify-full"),
        "allow" | "prefer" => {
            connection.used_tls = false;
            None
        }
        _ => {
            findings.refuse(place, "sslmode is no mode of PostgreSQL");
            None
        }
    };
}

/// Returns the names and values of a connection string.
fn words(text: &str) -> Result<Vec<(String, String)>, String> {
    let mut words = Vec::new();
    let mut rest = text.trim_start();
    while !rest.is_empty() {
        let Some((name, after)) = rest.split_once('=') else {
            return Err("has a word without =".to_owned());
        };
        let (value, after) = value(after.trim_start())?;
        let name = name.trim();
        if name.is_empty() || !name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_') {
            return Err("is no connection string of libpq: a name is not followed by =".to_owned());
        }
        words.push((name.to_ascii_lowercase(), value));
        rest = after.trim_start();
    }
    Ok(words)
}

/// Reads a value, in single quotes or up to a blank; a backslash escapes the next character.
fn value(text: &str) -> Result<(String, &str), String> {
    let (is_quoted, inside) = text.strip_prefix('\'').map_or((false, text), |inside| (true, inside));
    let mut value = String::new();
    let mut chars = inside.char_indices();
    while let Some((index, c)) = chars.next() {
        match c {
            '\\' => value.extend(chars.next().map(|(_, c)| c)),
            '\'' if is_quoted => return Ok((value, inside.get(index + 1..).unwrap_or(""))),
            c if !is_quoted && c.is_whitespace() => return Ok((value, inside.get(index..).unwrap_or(""))),
            c => value.push(c),
        }
    }
    if is_quoted { Err("has no end for a quote".to_owned()) } else { Ok((value, "")) }
}
