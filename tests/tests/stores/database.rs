//! A database for one test.

use mailauth_core::account::Password;
use mailauth_core::config::DatabaseConfig;
use mailauth_core::store::{
    AccountChange, AccountRecord, AdminError, Administration, DomainRow, ImportMode, ImportSource, SqlStore,
    open_pooled, open_single,
};
use mailauth_core::{AccountRow, Login, Secret, Services};
use mailauth_tests::{Flavor, Kind, MariaDb, MariaDbDatabase, Postgres, PostgresDatabase, Scratch, Server};
use std::io;
use std::time::Duration;

/// Short, for short tests of outages, and long enough for a busy machine.
pub const DEADLINE: Duration = Duration::from_secs(3);

pub enum Database {
    Sqlite(Scratch),
    MariaDb(MariaDbDatabase<'static>),
    Postgres(PostgresDatabase<'static>),
}

impl Database {
    /// Returns an empty database, on a server that other tests use too.
    pub fn empty(kind: Kind) -> Self {
        match kind {
            Kind::Sqlite => Database::Sqlite(Scratch::new("stores")),
            Kind::MariaDb => Database::MariaDb(MariaDb::shared().database()),
            Kind::MySql => Database::MariaDb(MariaDb::shared_mysql().database()),
            Kind::Postgres => Database::Postgres(Postgres::shared().database()),
        }
    }

    /// Returns a database on a server of its own, to be stopped and frozen.
    pub fn on_own_server(kind: Kind) -> Self {
        match kind {
            Kind::Sqlite => Self::empty(kind),
            Kind::MariaDb => Database::MariaDb(Box::leak(Box::new(MariaDb::start_new())).database()),
            Kind::MySql => Database::MariaDb(Box::leak(Box::new(MariaDb::start_new_mysql())).database()),
            Kind::Postgres => Database::Postgres(Box::leak(Box::new(Postgres::start_new())).database()),
        }
    }

    /// Adds our tables, the domain x.example, and the account anna@x.example.
    #[must_use]
    pub fn filled(self) -> Self {
        let store = self.store();
        store.init().expect("our tables");
        store.add_domain(&domain("x.example")).expect("a domain");
        store.add_account(&account("anna@x.example")).expect("an account");
        self
    }

    pub fn config(&self) -> DatabaseConfig {
        match self {
            Database::Sqlite(folder) => self.config_at(&format!("sqlite:{}", folder.join("mail.db").display())),
            Database::MariaDb(database) => self.config_at(&database.url()),
            Database::Postgres(database) => self.config_at(&database.url()),
        }
    }

    /// Returns a configuration with TCP to hosts such as `127.0.0.1`. Another port is given as `127.0.0.1:9`.
    pub fn config_tcp(&self, hosts: &[&str]) -> DatabaseConfig {
        let (scheme, name, port) = match self {
            Database::Sqlite(_) => panic!("SQLite has no hosts"),
            Database::MariaDb(database) => ("mysql", database.name(), database.server().port()),
            Database::Postgres(database) => ("postgres", database.name(), database.server().port()),
        };
        let with_port = |host: &&str| if host.contains(':') { (*host).to_owned() } else { format!("{host}:{port}") };
        let hosts: Vec<String> = hosts.iter().map(with_port).collect();
        self.config_at(&format!("{scheme}://{name}@{}/{name}", hosts.join(",")))
    }

    pub fn config_at(&self, url: &str) -> DatabaseConfig {
        let password = match self {
            Database::Sqlite(_) => "",
            Database::MariaDb(database) => database.password(),
            Database::Postgres(database) => database.password(),
        };
        DatabaseConfig {
            url: url.parse().expect("a URL"),
            password: Secret::from(password),
            deadline: DEADLINE,
            ..DatabaseConfig::default()
        }
    }

    /// Returns a store as a command opens it.
    pub fn store(&self) -> SqlStore {
        open_single(&self.config()).expect("a configuration that can work")
    }

    /// Returns a store as a daemon opens it.
    pub fn pooled(&self) -> SqlStore {
        open_pooled(&self.config()).expect("a configuration that can work")
    }

    /// Runs SQL as an administrator would, without using mailauth. Only SQLite's constraints can be ignored.
    pub fn sql(&self, sql: &str) -> String {
        match self {
            Database::Sqlite(folder) => {
                let connection = rusqlite::Connection::open(folder.join("mail.db")).expect("the file");
                connection.execute_batch("PRAGMA ignore_check_constraints = ON").expect("a pragma");
                connection.execute_batch(sql).expect("statements");
                String::new()
            }
            Database::MariaDb(database) => database.execute_admin(sql),
            Database::Postgres(database) => database.execute_admin(sql),
        }
    }

    /// Returns statements that disable the constraints on rows for the session, on MariaDB or MySQL.
    pub fn unchecked(&self) -> String {
        let database = match self {
            Database::MariaDb(database) => database,
            _ => return String::new(),
        };
        match database.server().flavor() {
            Flavor::MariaDb => "SET check_constraint_checks = 0;".into(),
            Flavor::MySql => database.execute_admin(
                "SELECT CONCAT('ALTER TABLE ', table_name, ' ALTER CHECK ', constraint_name, ' NOT ENFORCED;')
                 FROM information_schema.table_constraints
                 WHERE constraint_type = 'CHECK' AND enforced = 'YES' AND table_schema = DATABASE()",
            ),
        }
    }

    /// Creates a user of the database that can read everything, with the password `secret` and only with a
    /// certificate.
    pub fn wants_certificates(&self) -> String {
        match self {
            Database::Sqlite(_) => panic!("SQLite has no users"),
            Database::MariaDb(database) => {
                let user = format!("certified_{}", database.name());
                self.sql(&format!("CREATE USER {user}@'%' IDENTIFIED BY 'secret' REQUIRE X509"));
                self.sql(&format!("GRANT SELECT ON {}.* TO {user}@'%'", database.name()));
                user
            }
            Database::Postgres(database) => {
                let user = format!("certified_{}", database.name());
                self.sql(&format!("CREATE ROLE {user} LOGIN PASSWORD 'secret' IN ROLE pg_read_all_data"));
                let file = self.sql("SHOW hba_file").trim().to_owned();
                let rules = std::fs::read_to_string(&file).expect("the server's rules");
                let rule =
                    format!("hostssl all {user} all scram-sha-256 clientcert=verify-ca\nhost all {user} all reject\n");
                // In one step and in place: the file keeps its owner, and the server may read it at any time.
                std::fs::write(&file, rule + &rules).expect("the server's rules");
                self.sql("SELECT pg_reload_conf()");
                user
            }
        }
    }

    pub fn server(&self) -> &dyn Server {
        match self {
            Database::Sqlite(_) => panic!("SQLite has no server"),
            Database::MariaDb(database) => database.server(),
            Database::Postgres(database) => database.server(),
        }
    }
}

pub fn login(text: &str) -> Login {
    Login::parse(text.as_bytes(), None).expect("a login")
}

pub fn domain(name: &str) -> DomainRow {
    DomainRow::new(name)
}

pub fn account(name: &str) -> AccountRow {
    AccountRow { password: password("$6$salt$hash"), ..AccountRow::new(login(name)) }
}

pub fn password(text: &str) -> Password {
    Password(Secret::from(text))
}

/// Accounts to import, and those that were refused.
struct Listed<'r> {
    rows: &'r [AccountRow],
    next: usize,
    refused: Vec<(u64, AdminError)>,
}

impl ImportSource<AccountRecord> for Listed<'_> {
    fn rewind(&mut self) -> io::Result<()> {
        (self.next, self.refused) = (0, Vec::new());
        Ok(())
    }

    fn next(&mut self) -> io::Result<Option<(u64, AccountRecord)>> {
        let record = |row: &AccountRow| AccountRecord { login: row.login.clone(), change: AccountChange::to(row) };
        let row = self.rows.get(self.next).map(|row| (self.next as u64, record(row)));
        self.next += 1;
        Ok(row)
    }

    fn refuse(&mut self, place: u64, why: AdminError) -> bool {
        self.refused.push((place, why));
        true
    }

    fn is_spoilt(&self) -> bool {
        !self.refused.is_empty()
    }
}

/// Imports accounts, or returns the indexes of the refused ones, and why.
pub fn import(store: &SqlStore, rows: &[AccountRow]) -> Result<(), Vec<(u64, AdminError)>> {
    let mut source = Listed { rows, next: 0, refused: Vec::new() };
    let added = store.import_accounts(&mut source, ImportMode::default(), &|_, _| None).expect("an import").added;
    if source.is_spoilt() {
        assert_eq!(added, 0);
        return Err(source.refused);
    }
    assert_eq!(added, rows.len() as u64);
    Ok(())
}

/// Returns an account with a value in every column.
pub fn full_account(name: &str) -> AccountRow {
    AccountRow {
        login: login(name),
        password: password("{SHA512-CRYPT}$6$rounds=5000$salt$hash/+."),
        enabled: false,
        domain_enabled: true,
        services: Services::parse("imap,ftp").unwrap(),
        uid: Some(0),
        gid: Some(u32::MAX - 1),
        home: Some("/srv/mail/ä b".into()),
        maildir: Some("Maildir/".into()),
        quota_bytes: Some(0),
        quota_messages: Some(i64::MAX as u64),
        name: Some("Ännä Ö. \"quoted\" \\ 'x' 😀".into()),
        options: Some("disableimap=1,sharedgroup=x".into()),
        receives: false,
    }
}
