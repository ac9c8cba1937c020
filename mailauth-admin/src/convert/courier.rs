//! What Courier's `authmysqlrc`, `authpgsqlrc` and `authsqliterc` say.

use super::accounts::{Accounts, Conversion, quoted_toml};
use super::connection::Connection;
use super::courier_clause;
use super::courier_file::CourierFile;
use super::dialect::Dialect;
use super::findings::{Findings, Place};
use super::forms::{literal, lowered};
use super::joined_text::Value;
use super::libpq;
use super::recognize::Recognized;
use super::select::{as_term, names};
use super::tokens::{Kind, Tokens, tokenize};

/// The keys without the beginning of their names.
const KEYS: &[&str] = &[
    "SERVER",
    "SOCKET",
    "PORT",
    "OPT",
    "USERNAME",
    "PASSWORD",
    "DATABASE",
    "CHARACTER_SET",
    "SSL_KEY",
    "SSL_CERT",
    "SSL_CACERT",
    "SSL_CAPATH",
    "SSL_CIPHER",
    "CONNECTION",
    "USER_TABLE",
    "CRYPT_PWFIELD",
    "CLEAR_PWFIELD",
    "LOGIN_FIELD",
    "UID_FIELD",
    "GID_FIELD",
    "HOME_FIELD",
    "NAME_FIELD",
    "MAILDIR_FIELD",
    "QUOTA_FIELD",
    "AUXOPTIONS_FIELD",
    "WHERE_CLAUSE",
    "SELECT_CLAUSE",
    "ENUMERATE_CLAUSE",
    "CHPASS_CLAUSE",
];

/// The old keys of PostgreSQL's connection.
const OLD_POSTGRES: &[&str] = &["HOST", "PORT", "USERNAME", "PASSWORD", "DATABASE", "OPT"];

/// A file of Courier.
pub struct Courier<'f> {
    pub dialect: Dialect,
    /// Beginning of the names of keys.
    prefix: &'static str,
    file: CourierFile,
    pub findings: &'f mut Findings,
}

/// Converts a file whose keys begin with the name of this database.
pub fn convert(text: &str, dialect: Dialect, findings: &mut Findings) -> Conversion {
    let (kind, prefix) = match dialect {
        Dialect::Mysql => ("Courier's authmysqlrc", "MYSQL_"),
        Dialect::Postgres => ("Courier's authpgsqlrc", "PGSQL_"),
        Dialect::Sqlite => ("Courier's authsqliterc", "SQLITE_"),
    };
    let file = CourierFile::read(text, findings);
    let mut courier = Courier { dialect, prefix, file, findings };
    courier.check_keys();
    let connection = courier.connection();
    let accounts = match courier.get("SELECT_CLAUSE") {
        Some((clause, place)) => courier_clause::accounts(&mut courier, &clause, &place),
        None => courier.accounts(),
    };
    let profile = Recognized::by_names(&accounts.names);
    let default_domain = courier.file.get("DEFAULT_DOMAIN").map(|(domain, _)| domain.to_owned());
    let default_domain = default_domain.filter(|domain| !domain.is_empty());
    if default_domain.is_none() {
        let text = "is not set; mailauth refuses logins without a domain, which Courier looks up as they are";
        courier.findings.note(&Place::new("DEFAULT_DOMAIN", 0), text);
    }
    Conversion { kind, dialect, connection, profile, accounts, default_scheme: "crypt".to_owned(), default_domain }
}

impl Courier<'_> {
    /// Returns the value of a key, without the beginning of its name; `None` if it is not set.
    pub fn get(&self, key: &str) -> Option<(String, Place)> {
        let (value, place) = self.file.get(&format!("{}{key}", self.prefix))?;
        Some((value.to_owned(), place)).filter(|(value, _)| !value.is_empty())
    }

    fn place(&self, key: &str) -> Place {
        let name = format!("{}{key}", self.prefix);
        self.file.get(&name).map_or_else(|| Place::new(name, 0), |(_, place)| place)
    }

    /// Names the keys that Courier does not read, and those that it needs.
    fn check_keys(&mut self) {
        let keys: Vec<_> = self.file.keys().map(|(key, place)| (key.to_owned(), place)).collect();
        for (key, place) in keys {
            let Some(name) = key.strip_prefix(self.prefix) else {
                if key != "DEFAULT_DOMAIN" {
                    let other = ["MYSQL_", "PGSQL_", "SQLITE_"].iter().any(|prefix| key.starts_with(prefix));
                    let text = if other { "belongs to another module of Courier" } else { "is no key of this file" };
                    self.findings.warn(&place, format!("{text}; it has no effect"));
                }
                continue;
            };
            let old = self.dialect == Dialect::Postgres && OLD_POSTGRES.contains(&name);
            match name {
                "DEFAULTDELIVERY_FIELD" if self.dialect == Dialect::Mysql => self.delivery(&place),
                "DEFAULTDELIVERY" if self.dialect == Dialect::Postgres => self.delivery(&place),
                _ if old && self.get("CONNECTION").is_some() => {
                    self.findings.warn(&place, "is not read by Courier, which connects by PGSQL_CONNECTION");
                }
                name if KEYS.contains(&name) || old => {}
                _ => self.findings.warn(&place, "is not read by Courier; it has no effect"),
            }
        }
        if self.dialect == Dialect::Mysql {
            for key in ["PORT", "OPT"] {
                if self.file.get(&format!("{}{key}", self.prefix)).is_none() {
                    self.findings.note(&self.place(key), "is not set, so Courier does not start with this file");
                }
            }
        }
        if let Some((_, place)) = self.get("CHPASS_CLAUSE") {
            self.findings.warn(&place, "is not taken over: mailauth only reads these tables, and changes no password");
        }
    }

    fn delivery(&mut self, place: &Place) {
        self.findings.warn(place, "is not taken over: mailauth delivers to the Maildir of the account");
    }

    fn connection(&mut self) -> Connection {
        match self.dialect {
            Dialect::Mysql => self.mysql(),
            Dialect::Postgres => match self.get("CONNECTION") {
                Some((text, place)) => libpq::read(&text, &place, self.findings),
                None => self.old_postgres(),
            },
            Dialect::Sqlite => {
                let place = self.place("DATABASE");
                let file = self.get("DATABASE").map(|(file, _)| file);
                Connection { file, place, ..Connection::default() }
            }
        }
    }

    fn mysql(&mut self) -> Connection {
        let value = |key: &str| self.get(key).map(|(value, _)| value);
        let server = value("SERVER").unwrap_or_default();
        let mut connection = Connection {
            user: value("USERNAME").unwrap_or_default(),
            password: value("PASSWORD").unwrap_or_default().into_bytes().into(),
            database: value("DATABASE").unwrap_or_default(),
            tls_ca: value("SSL_CACERT"),
            tls_cert: value("SSL_CERT"),
            tls_key: value("SSL_KEY"),
            used_tls: ["SSL_KEY", "SSL_CERT", "SSL_CACERT", "SSL_CAPATH"].iter().any(|key| self.get(key).is_some()),
            place: self.place("SERVER"),
            ..Connection::default()
        };
        let port = self.port();
        connection.add_host(&server, port, Dialect::Mysql);
        match self.get("SOCKET") {
            // Clients of MySQL use a socket only for this name.
            Some((socket, _)) if server.is_empty() || server == "localhost" => connection.socket = Some(socket),
            Some((_, place)) => self.findings.warn(&place, "has no effect, because MYSQL_SERVER is not localhost"),
            None => {}
        }
        for key in ["SSL_CAPATH", "SSL_CIPHER"] {
            if let Some((_, place)) = self.get(key) {
                self.findings.warn(&place, "is not taken over; [database] tls_ca names a file of certificates");
            }
        }
        if let Some((set, place)) = self.get("CHARACTER_SET")
            && !set.to_ascii_lowercase().starts_with("utf8")
        {
            self.findings.note(&place, "mailauth connects with utf8mb4; the server converts what it sends");
        }
        connection
    }

    fn port(&mut self) -> u16 {
        let Some((text, place)) = self.get("PORT") else { return 0 };
        text.parse().unwrap_or_else(|_| {
            self.findings.refuse(&place, "is no port, a number from 0 to 65535");
            0
        })
    }

    fn old_postgres(&mut self) -> Connection {
        let value = |key: &str| self.get(key).map(|(value, _)| value);
        let (host, database) = (value("HOST"), value("DATABASE"));
        let mut connection = Connection {
            user: value("USERNAME").unwrap_or_default(),
            password: value("PASSWORD").unwrap_or_default().into_bytes().into(),
            database: database.unwrap_or_default(),
            place: self.place("CONNECTION"),
            ..Connection::default()
        };
        let port = self.port();
        match host {
            Some(host) => connection.add_host(&host, port, Dialect::Postgres),
            None => connection.socket = Some("/var/run/postgresql".to_owned()),
        }
        if self.get("HOST").is_some() {
            let text = "is not set; PGSQL_HOST and its siblings, which Courier no longer reads, are taken instead";
            self.findings.note(&connection.place, text);
        }
        connection
    }

    /// Reads the keys that name a table and columns.
    fn accounts(&mut self) -> Accounts {
        let mut accounts = Accounts::default();
        let Some((table, table_place)) = self.get("USER_TABLE") else {
            let place = self.place("USER_TABLE");
            self.findings.refuse(&place, "is not set; it names the table with the accounts");
            return accounts;
        };
        self.sql("from", &table, &table_place, &mut accounts);
        accounts.add("from", table.clone(), table, &table_place);
        if let Some((condition, place)) = self.get("WHERE_CLAUSE")
            && self.sql("where", &condition, &place, &mut accounts)
            && condition.replace(' ', "") != "1=1"
        {
            accounts.add("where", as_term(&condition, self.dialect), condition, &place);
        }
        let (login, place) = self.field("LOGIN_FIELD", "id");
        if self.sql("find", &login, &place, &mut accounts) {
            accounts.add("find", format!("{} = :login", as_term(&login, self.dialect)), login.clone(), &place);
            accounts.add("login", lowered(&login), login, &place);
        }
        let crypt = self.given("CRYPT_PWFIELD", &mut accounts);
        let clear = self.given("CLEAR_PWFIELD", &mut accounts);
        self.passwords(crypt, clear, &mut accounts);
        for (key, name, default) in [("uid", "UID_FIELD", "uid"), ("gid", "GID_FIELD", "gid")] {
            let (sql, place) = self.field(name, default);
            if self.sql(key, &sql, &place, &mut accounts) {
                self.owner(key, &sql, &sql, &place, &mut accounts);
            }
        }
        let (home, place) = self.field("HOME_FIELD", "home");
        if self.sql("home", &home, &place, &mut accounts) {
            self.home(&home, &home, &place, &mut accounts);
        }
        for (key, name) in [("maildir", "MAILDIR_FIELD"), ("quota", "QUOTA_FIELD"), ("name", "NAME_FIELD")] {
            if let Some((sql, place)) = self.given(name, &mut accounts) {
                self.text(key, &sql, &sql, &place, &mut accounts);
            }
        }
        if let Some((sql, place)) = self.given("AUXOPTIONS_FIELD", &mut accounts) {
            self.options(&sql, &sql, &place, &mut accounts);
        }
        accounts
    }

    /// Returns a field and its place; the default if it is not set.
    fn field(&self, key: &str, default: &str) -> (String, Place) {
        self.get(key).unwrap_or_else(|| (default.to_owned(), self.place(key)))
    }

    /// Returns a field that is set and reads something.
    fn given(&mut self, key: &str, accounts: &mut Accounts) -> Option<(String, Place)> {
        let (sql, place) = self.get(key)?;
        (!is_nothing(&sql) && self.sql(key, &sql, &place, accounts)).then_some((sql, place))
    }

    /// Checks that a text is SQL, and notes the names in it. Returns false if it is not.
    fn sql(&mut self, _key: &str, sql: &str, place: &Place, accounts: &mut Accounts) -> bool {
        let checked = tokenize(sql, self.dialect);
        accounts.names.extend(names(sql, self.dialect));
        self.findings.value(place, checked).is_some()
    }

    /// Sets the stored password: the hash if it is not empty, and otherwise the password in clear.
    pub fn passwords(
        &mut self,
        crypt: Option<(String, Place)>,
        clear: Option<(String, Place)>,
        accounts: &mut Accounts,
    ) {
        let in_clear = |sql: &str| {
            let clear = format!("NULLIF({sql}, '')");
            self.dialect.concat(&[self.dialect.literal("{PLAIN}"), clear])
        };
        match (crypt, clear) {
            (Some((crypt, place)), Some((clear, _))) => {
                let sql = format!("COALESCE(NULLIF({crypt}, ''), {})", in_clear(&clear));
                accounts.add("password", sql, format!("{crypt}, or else {clear} in clear"), &place);
            }
            (Some((crypt, place)), None) => accounts.add("password", crypt.clone(), crypt, &place),
            (None, Some((clear, place))) => {
                accounts.add("password", in_clear(&clear), format!("{clear} in clear"), &place)
            }
            (None, None) => {
                let place = self.place("CRYPT_PWFIELD");
                self.findings.refuse(&place, "no column with stored passwords is named");
            }
        }
    }

    /// Sets a user or group.
    pub fn owner(&mut self, key: &'static str, sql: &str, old: &str, place: &Place, accounts: &mut Accounts) {
        let text = literal(sql, self.dialect);
        let number = text.as_deref().unwrap_or(sql);
        if !number.is_empty() && number.bytes().all(|b| b.is_ascii_digit()) {
            accounts.set(key, number.to_owned(), format!("{}: {old}", place.key));
            return;
        }
        if text.is_some() {
            return self.findings.refuse(place, "is not a number; to Courier no account is usable");
        }
        let floor = if key == "uid" { "min_uid" } else { "min_gid" };
        accounts.set(
            floor,
            "1".to_owned(),
            "Courier refuses 0 only; a larger number protects the system's users".to_owned(),
        );
        accounts.add(key, sql, old, place);
    }

    /// Sets the home. To Courier, an account without a home is unusable.
    pub fn home(&mut self, sql: &str, old: &str, place: &Place, accounts: &mut Accounts) {
        match literal(sql, self.dialect) {
            Some(home) if home.is_empty() => self.findings.refuse(place, "is empty; to Courier no account is usable"),
            Some(home) => accounts.add_value("home", Value::Template(home.replace('%', "%%")), old, place),
            None => accounts.add("home", sql, old, place),
        }
    }

    /// Sets a text, of which an empty one is none.
    pub fn text(&mut self, key: &'static str, sql: &str, old: &str, place: &Place, accounts: &mut Accounts) {
        match (key, literal(sql, self.dialect)) {
            ("maildir", Some(path)) => {
                accounts.set("maildir", quoted_toml(&path.replace('%', "%%")), format!("{}: {old}", place.key))
            }
            ("maildir", None) => accounts.add(key, format!("NULLIF({sql}, '')"), old, place),
            ("quota", None) if is_product(sql, self.dialect) => {
                let text = "is a number without S, from which Courier takes no limit; mailauth reads it as bytes";
                self.findings.note(place, text);
                accounts.add("quota_bytes", self.dialect.not_negative(sql), old, place);
            }
            _ => accounts.add(key, sql, old, place),
        }
    }

    /// Sets Courier's options, of which some take services away.
    pub fn options(&mut self, sql: &str, old: &str, place: &Place, accounts: &mut Accounts) {
        let unknown = unknown_options(sql);
        if !unknown.is_empty() {
            let text = format!(
                "the options {} are none that Courier knows: they forbid nothing, there or here; to keep accounts out by \
                 them, write them as services",
                unknown.join(", ")
            );
            self.findings.warn(place, text);
        }
        accounts.add("options", sql, old, place);
    }
}

/// Returns true for an expression that reads nothing.
pub fn is_nothing(sql: &str) -> bool {
    let sql = sql.trim();
    sql.is_empty() || sql == "''" || sql == "\"\"" || sql.eq_ignore_ascii_case("NULL")
}

/// Returns true for a product of numbers, which is no text with a unit.
fn is_product(sql: &str, dialect: Dialect) -> bool {
    let list = tokenize(sql, dialect).unwrap_or_default();
    let tokens = Tokens::new(sql, &list);
    let inside = tokens.inside_brackets().unwrap_or(tokens);
    let has_text = list.iter().any(|token| token.kind == Kind::Text || tokens.is(token, "||"));
    !has_text && inside.split("*").len() > 1
}

/// Options that Courier's servers read.
const OPTIONS: &[&str] = &[
    "disableimap",
    "disablepop3",
    "disablewebmail",
    "disableshared",
    "disableinsecureimap",
    "disableinsecurepop3",
    "disablesmtp",
    "group",
    "sharedgroup",
    "wbnochangingfrom",
    "wbnodsn",
    "wbnoimages",
    "wbusexsender",
];

/// Returns the names before `=` in the texts of an expression that are no options of Courier.
fn unknown_options(sql: &str) -> Vec<String> {
    let mut unknown: Vec<String> = Vec::new();
    for text in sql.split(['\'', '"', ',']) {
        if let Some((name, _)) = text.split_once('=') {
            let is_name = !name.is_empty() && name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_');
            if is_name && text.ends_with('=') && !OPTIONS.contains(&name) && !unknown.iter().any(|known| known == name)
            {
                unknown.push(name.to_owned());
            }
        }
    }
    unknown.truncate(10);
    unknown
}
