//! Dovecot 2.4's `dovecot.conf`, with `passdb sql` and `userdb sql`.

use super::accounts::{Accounts, Conversion, quoted_toml};
use super::connection::Connection;
use super::dialect::Dialect;
use super::dovecot_23::{ours, scheme_named};
use super::dovecot_blocks::Block;
use super::finding_terms::{Piece, pieces};
use super::findings::{Findings, Place, quoted};
use super::queries::{Query, Scheme, accounts};
use super::recognize::Recognized;
use super::variables::{Meaning, of_dovecot_24};

/// Names of the settings of a `passdb sql` and a `userdb sql`, which may have the block's name before them.
const QUERY: &[&str] = &["query", "sql_query", "passdb_sql_query", "userdb_sql_query"];
const SCHEME: &[&str] = &["default_password_scheme", "passdb_default_password_scheme"];
const DRIVER: &[&str] = &["driver", "passdb_driver", "userdb_driver"];

/// Settings of a `passdb` that decide who may log in, beside its query.
const DECIDING: &[&str] = &[
    "deny",
    "master",
    "username_filter",
    "mechanisms_filter",
    "mechanisms",
    "result_success",
    "result_failure",
    "result_internalfail",
    "default_fields",
    "override_fields",
];

/// Converts the file.
pub fn convert(text: &str, findings: &mut Findings) -> Option<Conversion> {
    let root = Block::read(text, findings);
    let dialect = driver(&root, findings);
    let assumed = dialect.unwrap_or(Dialect::Mysql);
    let connection = connection(&root, assumed, findings);
    let password = password_block(&root, findings);
    let user = user_block(&root, findings);
    let (scheme, accounts) = match password {
        Some(password) => {
            let scheme = match password.get(SCHEME) {
                Some((name, place)) => scheme_named(&name, &place, findings),
                None => Scheme { name: "CRYPT".to_owned(), is_encoded: false },
            };
            let accounts = both(&root, password, user, &scheme, assumed, findings);
            (scheme, accounts)
        }
        None => (Scheme { name: "CRYPT".to_owned(), is_encoded: false }, Accounts::default()),
    };
    let default_domain =
        root.get(&["auth_default_domain"]).map(|(domain, _)| domain).filter(|domain| !domain.is_empty());
    Some(Conversion {
        kind: "Dovecot 2.4's dovecot.conf",
        dialect: dialect?,
        connection,
        profile: Recognized::by_names(&accounts.names),
        accounts,
        default_scheme: if scheme.is_encoded { "crypt".to_owned() } else { ours(&scheme.name) },
        default_domain,
    })
}

fn driver(root: &Block, findings: &mut Findings) -> Option<Dialect> {
    let drivers: Vec<_> = root.settings.iter().filter(|setting| setting.key == "sql_driver").collect();
    if let Some(other) = drivers.iter().find(|setting| drivers.iter().any(|first| first.value != setting.value)) {
        findings.refuse(&root.place_of(other), "is set to several databases; convert each in a file of its own");
    }
    let (driver, place) = root.get(&["sql_driver"]).unwrap_or((String::new(), Place::new("sql_driver", 0)));
    match driver.as_str() {
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
    }
}

fn connection(root: &Block, dialect: Dialect, findings: &mut Findings) -> Connection {
    let name = match dialect {
        Dialect::Mysql => "mysql",
        Dialect::Postgres => "pgsql",
        Dialect::Sqlite => {
            let (file, place) = root.get(&["sqlite_path"]).unwrap_or((String::new(), Place::new("sqlite_path", 0)));
            return Connection { file: Some(file), place, ..Connection::default() };
        }
    };
    let mut connection = Connection { place: Place::new(name, 0), ..Connection::default() };
    for block in root.named(name) {
        if connection.place.line == 0 {
            connection.place = block.place();
        }
        server(block, dialect, &mut connection, findings);
    }
    if connection.place.line == 0 {
        findings.refuse(&connection.place, format!("has no block {name} HOST {{ ... }}, which names the server"));
    }
    connection
}

fn server(block: &Block, dialect: Dialect, connection: &mut Connection, findings: &mut Findings) {
    let mut port = 0;
    let parameters = block.named("parameters").flat_map(|inner| inner.settings.iter().map(move |s| (inner, s)));
    let settings = block.settings.iter().map(|setting| (block, setting)).chain(parameters);
    for (inside, setting) in settings {
        let place = inside.place_of(setting);
        let key = setting.key.trim_start_matches("mysql_").trim_start_matches("pgsql_");
        let value = setting.value.clone();
        if value.starts_with('<') && key != "password" {
            findings.refuse(&place, "reads its value from a file; write the value itself");
            continue;
        }
        match key {
            "user" => connection.user = value,
            "password" => match value.strip_prefix('<') {
                Some(file) => connection.password_file = Some(file.trim().to_owned()),
                None => connection.password = value.into_bytes().into(),
            },
            "dbname" => connection.database = value,
            "port" => match value.parse() {
                Ok(number) => port = number,
                Err(_) => findings.refuse(&place, "is no port, a number from 0 to 65535"),
            },
            "ssl" => connection.used_tls = value == "yes",
            "ssl_ca" | "ssl_client_ca_file" | "sslrootcert" => connection.tls_ca = Some(value),
            "ssl_cert" | "ssl_client_cert_file" | "sslcert" => connection.tls_cert = Some(value),
            "ssl_key" | "ssl_client_key_file" | "sslkey" => connection.tls_key = Some(value),
            "host" => {}
            "sslmode" => {
                connection.used_tls = value != "disable";
                connection.tls = match value.as_str() {
                    "disable" => Some("disable"),
                    "require" => Some("require"),
                    "verify-ca" => Some("verify-ca"),
                    "verify-full" => Some("verify-full"),
                    _ => None,
                };
            }
            "connect_timeout" | "read_timeout" | "write_timeout" | "connection_limit" => {
                findings.note(&place, "is replaced by [database] deadline and pool");
            }
            _ => findings.warn(&place, "is not taken over"),
        }
    }
    let host = block.get(&["host", "mysql_host", "pgsql_host"]).map_or(block.label.clone(), |(host, _)| host);
    connection.add_host(&host, port, dialect);
}

/// Returns the block of logins. Blocks of other kinds are reported.
fn password_block<'b>(root: &'b Block, findings: &mut Findings) -> Option<&'b Block> {
    let mut found = None;
    for block in root.named("passdb") {
        let place = block.place();
        let decides: Vec<_> = DECIDING.iter().filter(|key| block.get(&[key]).is_some()).collect();
        let fields: Vec<_> = block.blocks.iter().filter(|inner| inner.name.contains("fields")).collect();
        if !is_sql(block) {
            let denies = block.get(&["deny", "passdb_deny"]).is_some_and(|(value, _)| value == "yes");
            match denies {
                true => {
                    findings.refuse(&place, "forbids logins that are listed elsewhere; without it they would be let in")
                }
                false => findings.warn(&place, "is not taken over: accounts that only it knows cannot log in"),
            }
            continue;
        }
        for key in decides {
            let text =
                format!("{key} decides which logins are accepted beside the query; write it as a condition of WHERE");
            findings.refuse(&place, text);
        }
        for inner in fields {
            for setting in &inner.settings {
                findings.refuse(
                    &inner.place_of(setting),
                    "sets a field of every login, which mailauth cannot keep; write it as a column of the query",
                );
            }
        }
        if found.is_some() {
            findings.refuse(&place, "is the second passdb with a query; mailauth reads accounts by one; leave one");
        }
        found = found.or(Some(block));
    }
    filtered(root, findings);
    if found.is_none() {
        findings.refuse(&Place::file(), "has no passdb sql { query = ... }");
    }
    found
}

/// Refuses queries that hold for some protocols or addresses only.
fn filtered(root: &Block, findings: &mut Findings) {
    let filters = ["protocol", "local", "remote", "local_name"];
    for block in root.blocks.iter().filter(|block| filters.contains(&block.name.as_str())) {
        for inner in block.blocks.iter().filter(|inner| inner.name == "passdb" || inner.name == "userdb") {
            let text = format!("is inside {}; mailauth has one query for all services", block.place().key);
            findings.refuse(&inner.place(), text);
        }
    }
}

fn user_block<'b>(root: &'b Block, findings: &mut Findings) -> Option<&'b Block> {
    let mut found = None;
    for block in root.named("userdb") {
        let kind = block.get(DRIVER).map_or_else(|| block.label.clone(), |(driver, _)| driver);
        match kind.as_str() {
            "prefetch" | "static" => {}
            _ if is_sql(block) && found.is_some() => {
                findings.refuse(&block.place(), "is the second userdb with a query; leave one");
            }
            _ if is_sql(block) => found = Some(block),
            _ => findings.warn(&block.place(), "is not taken over: mailboxes that only it knows are unknown"),
        }
    }
    found
}

fn is_sql(block: &Block) -> bool {
    let driver = block.get(DRIVER).map(|(driver, _)| driver);
    driver.map_or(block.label == "sql", |driver| driver == "sql")
}

fn both(
    root: &Block,
    password: &Block,
    user: Option<&Block>,
    scheme: &Scheme,
    dialect: Dialect,
    findings: &mut Findings,
) -> Accounts {
    let mut query = |block: &Block| {
        let Some((text, place)) = block.get(QUERY) else {
            findings.refuse(&block.place(), "has no query");
            return None;
        };
        let is_elsewhere = text.starts_with('<');
        if is_elsewhere {
            findings.refuse(&place, "is read from a file; write the query itself");
        }
        (!is_elsewhere).then(|| Query { place, statement: of_dovecot_24(&text) })
    };
    let (password, user) = (query(password), user.map(&mut query));
    let account = match (password, user) {
        (Some(password), Some(Some(user))) => accounts(password, Some(user), scheme, dialect, findings),
        (Some(password), None) => accounts(password, None, scheme, dialect, findings),
        _ => None,
    };
    let mut account = account.unwrap_or_default();
    defaults(root, &mut account, findings);
    account
}

/// Takes over the settings that hold where a query says nothing.
fn defaults(root: &Block, account: &mut Accounts, findings: &mut Findings) {
    let mut statics: Vec<&Block> = Vec::new();
    for block in root.named("userdb") {
        statics.extend(block.blocks.iter().filter(|inner| inner.name.contains("fields")));
    }
    for (key, names) in [
        ("uid", ["mail_uid", "uid"]),
        ("gid", ["mail_gid", "gid"]),
        ("home", ["mail_home", "home"]),
        ("maildir", ["mail_path", "mail_path"]),
    ] {
        let found = statics.iter().find_map(|block| block.get(&names)).or_else(|| root.get(&names[..1]));
        let Some((value, place)) = found else { continue };
        if account.term(key).is_some() {
            continue;
        }
        let comment = format!("{}: {value}", place.key);
        match key {
            "uid" | "gid" if value.bytes().all(|b| b.is_ascii_digit()) => account.set(key, value, comment),
            "uid" | "gid" => account.set(key, quoted_toml(&value), comment),
            _ => match template(&value) {
                Some(path) => account.set(key, quoted_toml(&path), comment),
                None => findings.warn(&place, "has a variable that no path of mailauth has; it is not taken over"),
            },
        }
    }
    if let Some((driver, place)) = root.get(&["mail_driver"])
        && !driver.eq_ignore_ascii_case("maildir")
    {
        let text = format!("{} is no Maildir; Courier's and Exim's delivery cannot use it", quoted(&driver));
        findings.refuse(&place, text);
    }
    for (floor, key, name) in [("min_uid", "uid", "first_valid_uid"), ("min_gid", "gid", "first_valid_gid")] {
        if let Some((value, place)) = root.get(&[name])
            && value.bytes().all(|b| b.is_ascii_digit())
            && account.term(key).is_some()
        {
            account.mailbox.retain(|setting| setting.key != floor);
            account.set(floor, value, place.key);
        }
    }
    login_name(root, findings);
}

/// Reports if logins are changed before they are looked up.
fn login_name(root: &Block, findings: &mut Findings) {
    let Some((format, place)) = root.get(&["auth_username_format"]) else { return };
    let statement = of_dovecot_24(&format);
    let is_login = statement.is_ok_and(|statement| {
        let mut chars = statement.sql.trim().chars();
        let first = chars.next().and_then(|c| statement.variables.meaning(c));
        first == Some(Meaning::Login) && chars.next().is_none()
    });
    if !is_login {
        findings.refuse(&place, "changes a login in a way that mailauth cannot; it is %{user | lower}");
    }
}

/// Returns a path with template letters.
fn template(path: &str) -> Option<String> {
    let statement = of_dovecot_24(path).ok()?;
    let quoted = format!("'{}'", statement.sql.replace('\'', "''"));
    let mut template = String::new();
    for piece in pieces(&quoted, &statement.variables, Dialect::Sqlite) {
        match piece {
            Piece::Text(text) => template.push_str(&text.replace('%', "%%")),
            Piece::Variable(Meaning::Login) => template.push_str("%u"),
            Piece::Variable(Meaning::Local) => template.push_str("%n"),
            Piece::Variable(Meaning::Domain) => template.push_str("%d"),
            Piece::Variable(Meaning::Home) => template.push('~'),
            Piece::Variable(_) => return None,
        }
    }
    Some(template.strip_prefix("~/").map_or(template.clone(), str::to_owned))
}
