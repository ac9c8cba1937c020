//! Dovecot 2.3's `dovecot-sql.conf.ext`.

use super::accounts::{Accounts, Conversion};
use super::connection::Connection;
use super::dialect::Dialect;
use super::dovecot_lines::{lines, unquoted};
use super::findings::{Findings, Place, quoted};
use super::libpq;
use super::queries::{Query, Scheme, accounts};
use super::recognize::Recognized;
use super::variables::of_dovecot_23;
use mailauth_core::password::DefaultScheme;
use std::collections::BTreeMap;

/// Query of Dovecot if the file has none.
const DEFAULT_QUERY: &str = "SELECT username, domain, password FROM users WHERE username = '%n' AND domain = '%d'";

/// The keys, with their values and lines.
struct Settings {
    values: BTreeMap<String, (String, usize)>,
}

impl Settings {
    fn read(text: &str, findings: &mut Findings) -> Settings {
        let mut values = BTreeMap::new();
        for line in lines(text) {
            let Some((key, value)) = line.text.split_once('=') else {
                // The line is not repeated, because it may be a part of a password.
                let place = Place::new("", line.number);
                if line.text.starts_with("!include") {
                    findings.refuse(&place, "!include names another file, which is not read; put its lines here");
                } else {
                    findings.warn(&place, "the line is not of the form key = value; it is not taken over");
                }
                continue;
            };
            let (key, value) = (key.trim().to_owned(), value.trim());
            let place = Place::new(key.clone(), line.number);
            if value.starts_with('$') {
                findings.refuse(&place, "has a value from elsewhere ($NAME); write the value itself");
            }
            // The last of two equal names counts.
            let value = unquoted(value);
            match values.insert(key.clone(), (value.clone(), line.number)) {
                Some((before, _)) if key == "driver" && before != value => {
                    findings.refuse(&place, "is set to several databases; convert each in a file of its own");
                }
                Some(_) => {
                    findings.warn(&place, "is set twice; Dovecot reads the last, and the one before has no effect")
                }
                None => {}
            }
        }
        Settings { values }
    }

    fn get(&self, key: &str) -> Option<(String, Place)> {
        self.values.get(key).map(|(value, line)| (value.clone(), Place::new(key, *line)))
    }
}

/// Converts the file.
pub fn convert(text: &str, findings: &mut Findings) -> Option<Conversion> {
    let settings = Settings::read(text, findings);
    const KNOWN: &[&str] = &[
        "driver",
        "connect",
        "password_query",
        "user_query",
        "update_query",
        "iterate_query",
        "default_pass_scheme",
        "userdb_warning_disable",
    ];
    for (key, (_, line)) in &settings.values {
        if !KNOWN.contains(&key.as_str()) {
            findings.warn(&Place::new(key.clone(), *line), "is no key of this file; it is not taken over");
        }
    }
    if let Some((_, place)) = settings.get("update_query") {
        findings.warn(&place, "is not taken over: mailauth only reads these tables");
    }
    let (driver, place) = settings.get("driver").unwrap_or((String::new(), Place::new("driver", 0)));
    let dialect = match driver.as_str() {
        "mysql" => Some(Dialect::Mysql),
        "pgsql" => Some(Dialect::Postgres),
        "sqlite" => Some(Dialect::Sqlite),
        "" => {
            findings.refuse(&place, "is not set; it is mysql, pgsql or sqlite");
            None
        }
        other => {
            let text =
                format!("{} is no database that mailauth reads; those are mysql, pgsql and sqlite", quoted(other));
            findings.refuse(&place, text);
            None
        }
    };
    // What else is wrong is reported as for MySQL.
    let assumed = dialect.unwrap_or(Dialect::Mysql);
    let connection = connection(&settings, assumed, findings);
    let scheme = scheme(&settings, findings);
    let account = queries(&settings, &scheme, assumed, findings).unwrap_or_default();
    Some(Conversion {
        kind: "Dovecot 2.3's dovecot-sql.conf.ext",
        dialect: dialect?,
        connection,
        profile: Recognized::by_names(&account.names),
        accounts: account,
        default_scheme: if scheme.is_encoded { "crypt".to_owned() } else { ours(&scheme.name) },
        default_domain: None,
    })
}

fn queries(settings: &Settings, scheme: &Scheme, dialect: Dialect, findings: &mut Findings) -> Option<Accounts> {
    let query = |text: &str, place| Query { place, statement: of_dovecot_23(text) };
    let password = match settings.get("password_query") {
        Some((text, place)) => query(&text, place),
        None => {
            let place = Place::new("password_query", 0);
            findings.note(&place, format!("is not set; Dovecot's own is taken: {DEFAULT_QUERY}"));
            query(DEFAULT_QUERY, place)
        }
    };
    let user = settings.get("user_query").map(|(text, place)| query(&text, place));
    if user.is_none() {
        let text = "is not set; the owner, the home and the Maildir that password_query does not have must be set in [mailbox]";
        findings.note(&Place::new("user_query", 0), text);
    }
    accounts(password, user, scheme, dialect, findings)
}

/// Reads the scheme of passwords without a prefix. Dovecot's own is MD5: `$1$`, or MD5 in hexadecimal.
fn scheme(settings: &Settings, findings: &mut Findings) -> Scheme {
    match settings.get("default_pass_scheme") {
        Some((name, place)) => scheme_named(&name, &place, findings),
        None => Scheme { name: "MD5".to_owned(), is_encoded: false },
    }
}

/// Reads a scheme by its name in Dovecot.
pub fn scheme_named(name: &str, place: &Place, findings: &mut Findings) -> Scheme {
    let name = name.to_ascii_uppercase();
    let base = name.split('.').next().unwrap_or_default();
    if DefaultScheme::from_name(&ours(base)).is_none() {
        let text = format!("{} is no scheme that mailauth knows", quoted(&name));
        findings.refuse(place, text);
    }
    Scheme { is_encoded: name.contains('.'), name }
}

/// Returns our name of one of Dovecot's schemes.
pub fn ours(name: &str) -> String {
    match name {
        "MD5" => "plain-md5".to_owned(),
        "CLEARTEXT" | "CLEAR" => "plain".to_owned(),
        name => name.to_ascii_lowercase(),
    }
}

fn connection(settings: &Settings, dialect: Dialect, findings: &mut Findings) -> Connection {
    let Some((text, place)) = settings.get("connect") else {
        let place = Place::new("connect", 0);
        findings.refuse(&place, "is not set; it says how to connect to the database");
        return Connection::default();
    };
    match dialect {
        Dialect::Mysql => mysql(&text, &place, findings),
        Dialect::Postgres => libpq::read(&text, &place, findings),
        Dialect::Sqlite => {
            // Options may follow the path.
            let path = text.split_whitespace().next().unwrap_or_default().to_owned();
            Connection { file: Some(path), place, ..Connection::default() }
        }
    }
}

/// Reads words such as `host=db`. There are no quotes: they are part of a value.
fn mysql(text: &str, place: &Place, findings: &mut Findings) -> Connection {
    let mut connection = Connection { place: place.clone(), ..Connection::default() };
    let (mut hosts, mut port, mut verifies) = (Vec::new(), 0, true);
    for word in text.split_whitespace() {
        let Some((name, value)) = word.split_once('=') else {
            findings.refuse(place, "has a word without =");
            continue;
        };
        let value = value.to_owned();
        match name {
            "host" | "hostaddr" => hosts.push(value),
            "port" => match value.parse() {
                Ok(number) => port = number,
                Err(_) => findings.refuse(place, "the port is no number from 0 to 65535"),
            },
            "user" => connection.user = value,
            "password" => connection.password = value.into_bytes().into(),
            "dbname" => connection.database = value,
            "ssl_ca" => connection.tls_ca = Some(value),
            "ssl_cert" => connection.tls_cert = Some(value),
            "ssl_key" => connection.tls_key = Some(value),
            "ssl_verify_server_cert" => verifies = value != "no",
            "option_file" | "option_group" => {
                findings.refuse(place, format!("{name} names another file; write its values into this one"));
            }
            "connect_timeout" | "read_timeout" | "write_timeout" => {
                findings.note(place, format!("{name} is replaced by [database] deadline, 3 seconds"));
            }
            "client_flags" | "ssl_ca_path" | "ssl_cipher" => findings.warn(place, format!("{name} is not taken over")),
            // It is not repeated, because it may be a part of the password.
            _ => findings.warn(place, "has a word that is no option of MySQL; it is not taken over"),
        }
    }
    hosts.iter().for_each(|host| connection.add_host(host, port, Dialect::Mysql));
    connection.used_tls = connection.tls_ca.is_some() || connection.tls_cert.is_some();
    if connection.used_tls && !verifies {
        connection.tls = Some("require");
        findings.note(place, "does not verify the server's certificate; without tls = \"require\", mailauth does");
    }
    connection
}
