//! A table of accounts in one of the databases, filled by the administrator's command.

use crate::mail_host::MailHost;
use crate::mariadb::{Flavor, MariaDb, MariaDbDatabase};
use crate::postgres::{Postgres, PostgresDatabase};
use crate::process::{output_with_input, run_with_input};
use crate::programs::program;
use crate::schemas::Schema;
use crate::scratch::{Scratch, User};
use crate::server::Server;
use rusqlite::{Connection, OpenFlags};
use std::ffi::OsStr;
use std::fs::{self, DirBuilder};
use std::os::unix::fs::{DirBuilderExt, PermissionsExt, chown};
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

/// Kind of a database.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// A file of SQLite.
    Sqlite,
    /// A private MariaDB server.
    MariaDb,
    /// A private MySQL server.
    MySql,
    /// A private PostgreSQL server.
    Postgres,
}

/// A database with our schema or with the tables of another program, and the configuration and password file to reach
/// it.
pub struct Accounts {
    place: Place,
    own_server: bool,
    folder: Scratch,
    /// Keys of `[outage]`. `None` if the daemon keeps no snapshot.
    snapshot: Option<String>,
    /// More keys of `[mailbox]`, each ended by a line feed.
    mailbox: String,
    /// `[schema]`, `[mailbox]` and further sections, if the tables are those of another program.
    foreign: Option<String>,
}

enum Place {
    Sqlite,
    MariaDb(MariaDbDatabase<'static>),
    Postgres(PostgresDatabase<'static>),
}

impl Place {
    /// Creates an empty database on the server that all tests of this process use.
    fn shared(kind: Kind) -> Self {
        match kind {
            Kind::Sqlite => Place::Sqlite,
            Kind::MariaDb => Place::MariaDb(MariaDb::shared().database()),
            Kind::MySql => Place::MariaDb(MariaDb::shared_mysql().database()),
            Kind::Postgres => Place::Postgres(Postgres::shared().database()),
        }
    }

    /// Creates an empty database on a new server.
    fn own(kind: Kind) -> Self {
        // Leaking the few bytes that describe a server saves a lifetime in every signature.
        match kind {
            Kind::Sqlite => Place::Sqlite,
            Kind::MariaDb => Place::MariaDb(Box::leak(Box::new(MariaDb::start_new())).database()),
            Kind::MySql => Place::MariaDb(Box::leak(Box::new(MariaDb::start_new_mysql())).database()),
            Kind::Postgres => Place::Postgres(Box::leak(Box::new(Postgres::start_new())).database()),
        }
    }
}

impl Accounts {
    /// Creates a database without accounts, on a server that other tests of this process use too.
    ///
    /// # Panics
    /// Panics if `mailauth init` fails.
    pub fn empty(kind: Kind) -> Self {
        Self::at(Place::shared(kind), false)
    }

    /// Creates a database without accounts, on a server that the test may stop and freeze.
    ///
    /// # Panics
    /// Panics if `mailauth init` fails.
    pub fn on_own_server(kind: Kind) -> Self {
        Self::at(Place::own(kind), kind != Kind::Sqlite)
    }

    /// Creates the tables in a database of a server that the caller stops.
    pub(crate) fn in_mariadb(database: MariaDbDatabase<'static>) -> Self {
        Self::at(Place::MariaDb(database), false)
    }

    /// Does the same for PostgreSQL.
    pub(crate) fn in_postgres(database: PostgresDatabase<'static>) -> Self {
        Self::at(Place::Postgres(database), false)
    }

    /// Creates the tables and rows of another program, and a configuration with its profile.
    ///
    /// # Panics
    /// Panics if the database refuses a statement.
    pub fn of(schema: &Schema, kind: Kind) -> Self {
        Self::holding(kind, &schema.sql(kind), schema.config)
    }

    /// Runs these statements in an empty database. `sections` is the configuration without `[database]`.
    ///
    /// # Panics
    /// Panics if the database refuses a statement.
    pub fn holding(kind: Kind, sql: &str, sections: &str) -> Self {
        let accounts = Self::prepare(Place::shared(kind), false, Some(sections.to_owned()));
        accounts.run_sql(sql);
        accounts
    }

    fn at(place: Place, own_server: bool) -> Self {
        let accounts = Self::prepare(place, own_server, None);
        accounts.admin(&["init"], "");
        accounts
    }

    fn prepare(place: Place, own_server: bool, foreign: Option<String>) -> Self {
        let (folder, mailbox) = (Scratch::new("accounts"), String::new());
        let accounts = Accounts { place, own_server, folder, snapshot: None, mailbox, foreign };
        DirBuilder::new().mode(0o750).create(accounts.state()).expect("the folder of the database");
        if let Some(password) = accounts.password() {
            let path = accounts.folder.join("password");
            fs::write(&path, password).expect("the password file");
            fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).expect("its mode");
        }
        fs::write(accounts.config_path(), accounts.config()).expect("the configuration");
        accounts
    }

    /// Adds these accounts, in CSV with a header.
    ///
    /// # Panics
    /// Panics if the import fails.
    #[must_use]
    pub fn with(self, csv: &str) -> Self {
        self.admin(&["account", "import", "-"], csv);
        self
    }

    /// Returns the part of the configuration that says where the accounts are and which user owns the mail.
    pub fn config(&self) -> String {
        let password_file = match &self.place {
            Place::Sqlite => String::new(),
            _ => format!("password_file = \"{}\"\n", self.folder.join("password").display()),
        };
        let outage = match &self.snapshot {
            None => "enabled = false".to_owned(),
            Some(keys) => format!("snapshot = \"{}\"\n{keys}", self.snapshot_file().display()),
        };
        let (url, User { uid, gid }) = (self.url(), MailHost::OWNER);
        let (mailbox, throttle) = (&self.mailbox, self.folder.join("throttle"));
        let throttle = throttle.display();
        if let Some(foreign) = &self.foreign {
            return format!(
                "{foreign}[throttle]\nfile = \"{throttle}\"\n[outage]\n{outage}\n[database]\nurl = \"{url}\"\n{password_file}"
            );
        }
        // The homes of tests are in folders of their own, and some belong to other users. A test that sets the root
        // sets the minimum IDs too.
        let floors = [("root", "\"/\""), ("min_uid", "1000"), ("min_gid", "1000")];
        let is_unset = |key: &str| !mailbox.contains("root = ") && !mailbox.contains(&format!("{key} = "));
        let floors: String =
            floors.iter().filter(|(key, _)| is_unset(key)).map(|(key, value)| format!("{key} = {value}\n")).collect();
        format!(
            "[mailbox]\nuid = {uid}\ngid = {gid}\n{floors}{mailbox}[throttle]\nfile = \"{throttle}\"\n[outage]\n{outage}\n[database]\nurl = \"{url}\"\n{password_file}"
        )
    }

    /// Enables the snapshot in the configuration, with these keys of `[outage]` in addition.
    ///
    /// # Panics
    /// Panics if it cannot be written.
    #[must_use]
    pub fn with_snapshot(mut self, keys: &str) -> Self {
        self.snapshot = Some(keys.to_owned());
        fs::write(self.config_path(), self.config()).expect("the configuration");
        self
    }

    /// Adds these keys of `[mailbox]` to the configuration, each ended by a line feed.
    ///
    /// # Panics
    /// Panics if it cannot be written.
    #[must_use]
    pub fn with_mailbox(mut self, keys: &str) -> Self {
        keys.clone_into(&mut self.mailbox);
        fs::write(self.config_path(), self.config()).expect("the configuration");
        self
    }

    /// Replaces `[schema]` and the sections after it, of tables that another program owns.
    ///
    /// # Panics
    /// Panics if it cannot be written.
    #[must_use]
    pub fn with_schema(mut self, sections: &str) -> Self {
        self.foreign = Some(sections.to_owned());
        fs::write(self.config_path(), self.config()).expect("the configuration");
        self
    }

    /// Runs statements as the owner of the database.
    ///
    /// # Panics
    /// Panics if one fails.
    pub fn run_sql(&self, sql: &str) {
        match &self.place {
            Place::Sqlite => {
                let database = Connection::open(self.file()).expect("the database");
                database.execute_batch(sql).unwrap_or_else(|error| panic!("{error}"));
            }
            Place::MariaDb(database) => {
                database.execute_admin(sql);
            }
            // Only the owner of a table can read it without a GRANT.
            Place::Postgres(database) => {
                database.execute_admin(&format!("SET ROLE {};\n{sql}", database.name()));
            }
        }
    }

    /// Returns all rows of a table, one per line, in the order of its columns.
    ///
    /// # Panics
    /// Panics if there is no such table.
    pub fn rows_of(&self, table: &str) -> Vec<String> {
        let sql = format!("SELECT * FROM {table}");
        let mut rows: Vec<String> = match &self.place {
            Place::Sqlite => {
                let database = Connection::open(self.file()).expect("the database");
                let mut statement = database.prepare(&sql).unwrap_or_else(|error| panic!("{sql}: {error}"));
                let columns = statement.column_count();
                let row = |row: &rusqlite::Row<'_>| {
                    let value = |column| row.get_ref_unwrap(column);
                    let text =
                        |column| value(column).as_str().map_or_else(|_| format!("{:?}", value(column)), str::to_owned);
                    Ok((0..columns).map(text).collect::<Vec<_>>().join("\t"))
                };
                statement.query_map([], row).expect("rows").collect::<Result<_, _>>().expect("rows")
            }
            _ => self.execute(&sql).lines().map(str::to_owned).collect(),
        };
        rows.sort();
        rows
    }

    /// Returns true if there is a snapshot in which nothing has to be copied again.
    pub fn snapshot_is_whole(&self) -> bool {
        let flags = OpenFlags::SQLITE_OPEN_READ_ONLY;
        let Ok(copy) = Connection::open_with_flags(self.snapshot_file(), flags) else { return false };
        let sql = "SELECT taken IS NOT NULL AND NOT EXISTS (SELECT 1 FROM pending) FROM copy";
        copy.query_row(sql, [], |row| row.get(0)).unwrap_or(false)
    }

    /// Returns the path of the snapshot.
    pub fn snapshot_file(&self) -> PathBuf {
        self.state().join("snapshot.db")
    }

    /// Returns the equivalent of `/var/lib/mailauth` on a host set up as in docs/install.md, with the same mode and
    /// owner.
    fn state(&self) -> PathBuf {
        self.folder.join("lib")
    }

    /// Makes the administrator's command report changes to the daemon on this socket.
    ///
    /// # Panics
    /// Panics if the configuration cannot be written.
    pub fn are_served_on(&self, socket: &Path) {
        let text = format!("{}[courier]\nsocket = \"{}\"\n", self.config(), socket.display());
        fs::write(self.config_path(), text).expect("the configuration");
    }

    /// Returns the path of a file with that part, and with the socket of the daemon if there is one.
    pub fn config_path(&self) -> PathBuf {
        self.folder.join("mailauth.toml")
    }

    /// Runs the administrator's command on these accounts, with this standard input.
    ///
    /// # Panics
    /// Panics if it fails.
    pub fn admin(&self, arguments: &[&str], input: &str) -> String {
        run_with_input(&mut self.admin_command(arguments), input)
    }

    /// Does the same, and returns the result also if it fails.
    pub fn try_admin(&self, arguments: &[&str], input: &str) -> Output {
        output_with_input(&mut self.admin_command(arguments), input)
    }

    /// Does the same with arguments that need not be UTF-8.
    pub fn try_admin_os(&self, arguments: &[&OsStr]) -> Output {
        output_with_input(self.admin_command(&[]).args(arguments), "")
    }

    /// Returns the administrator's command on these accounts.
    pub fn admin_command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(program("mailauth"));
        command.arg("--config").arg(self.config_path()).args(arguments);
        command
    }

    /// Returns the URL of the database, as in the configuration.
    pub fn url(&self) -> String {
        match &self.place {
            Place::Sqlite => format!("sqlite:{}", self.file().display()),
            Place::MariaDb(database) => database.url(),
            Place::Postgres(database) => database.url(),
        }
    }

    /// Returns the file of an SQLite database.
    pub fn file(&self) -> PathBuf {
        self.state().join("mail.db")
    }

    /// Returns the database on MariaDB or MySQL.
    ///
    /// # Panics
    /// Panics if the database is of another kind.
    pub fn mariadb(&self) -> &MariaDbDatabase<'static> {
        match &self.place {
            Place::MariaDb(database) => database,
            _ => panic!("not a MariaDB database"),
        }
    }

    /// Returns the PostgreSQL database.
    ///
    /// # Panics
    /// Panics if the database is of another kind.
    pub fn postgres(&self) -> &PostgresDatabase<'static> {
        match &self.place {
            Place::Postgres(database) => database,
            _ => panic!("not a PostgreSQL database"),
        }
    }

    /// Runs SQL as an administrator of the database, without the check constraints of its tables.
    ///
    /// # Panics
    /// Panics if it fails.
    pub fn sql_without_checks(&self, sql: &str) {
        match &self.place {
            Place::Sqlite => {
                let database = Connection::open(self.file()).expect("the database");
                database.execute_batch("PRAGMA ignore_check_constraints = ON").expect("without checks");
                database.execute_batch(sql).unwrap_or_else(|error| panic!("{sql}: {error}"));
            }
            Place::MariaDb(database) if self.kind() == Kind::MySql => {
                let names = ["lower_case", "printable", "of_its_domain", "length"];
                let off =
                    names.map(|name| format!("ALTER TABLE accounts ALTER CHECK accounts_login_{name} NOT ENFORCED; "));
                database.execute_admin(&format!("{}{sql}", off.concat()));
            }
            Place::MariaDb(database) => {
                database.execute_admin(&format!("SET check_constraint_checks = 0; {sql}"));
            }
            Place::Postgres(database) => {
                let drop = "ALTER TABLE accounts DROP CONSTRAINT IF EXISTS";
                database.execute_admin(&format!(
                    "{drop} accounts_login_lower_case; {drop} accounts_login_printable; {drop} \
                     accounts_login_of_its_domain; {drop} accounts_login_length; {sql}"
                ));
            }
        }
    }

    /// Returns the password of the database's user.
    fn password(&self) -> Option<&str> {
        match &self.place {
            Place::Sqlite => None,
            Place::MariaDb(database) => Some(database.password()),
            Place::Postgres(database) => Some(database.password()),
        }
    }

    /// Gives the password file to this user, so that it can query the database.
    ///
    /// # Panics
    /// Panics if there is no password file.
    pub fn give_password_to(&self, user: User) {
        chown(self.folder.join("password"), Some(user.uid), Some(user.gid)).expect("the password file");
    }

    /// Returns the kind of the database.
    pub fn kind(&self) -> Kind {
        match &self.place {
            Place::Sqlite => Kind::Sqlite,
            Place::MariaDb(database) if database.server().flavor() == Flavor::MySql => Kind::MySql,
            Place::MariaDb(_) => Kind::MariaDb,
            Place::Postgres(_) => Kind::Postgres,
        }
    }

    /// Runs statements in the database as the server's administrator, and returns the rows.
    ///
    /// # Panics
    /// Panics if one fails, or the database has no server.
    pub fn execute(&self, sql: &str) -> String {
        match &self.place {
            Place::Sqlite => panic!("SQLite has no server"),
            Place::MariaDb(database) => database.execute_admin(sql),
            Place::Postgres(database) => database.execute_admin(sql),
        }
    }

    /// Does `work` during a transaction with this statement, which is committed afterwards.
    ///
    /// # Panics
    /// Panics if the server reports an error, or the database has no server.
    pub fn while_uncommitted(&self, sql: &str, work: impl FnOnce()) {
        match &self.place {
            Place::Sqlite => panic!("SQLite has no server"),
            Place::MariaDb(database) => database.while_uncommitted(sql, work),
            Place::Postgres(database) => database.while_uncommitted(sql, work),
        }
    }

    /// Returns the integer that a query reads from the snapshot. `None` if it cannot be read.
    pub fn in_snapshot(&self, query: &str) -> Option<i64> {
        let flags = OpenFlags::SQLITE_OPEN_READ_ONLY;
        let copy = Connection::open_with_flags(self.snapshot_file(), flags).ok()?;
        copy.query_row(query, [], |row| row.get(0)).ok()
    }

    /// Overwrites every other page of the snapshot except the first, as a bad disk does. No process may have it open.
    ///
    /// # Panics
    /// Panics if the file cannot be written.
    pub fn damage_snapshot(&self) {
        let path = self.snapshot_file();
        let copy = Connection::open(&path).expect("the snapshot");
        copy.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |row| row.get::<_, i64>(0)).expect("all in one file");
        drop(copy);
        let mut bytes = fs::read(&path).expect("the snapshot");
        bytes.chunks_mut(4096).skip(1).step_by(2).for_each(|page| page.fill(0xa5));
        fs::write(path, bytes).expect("the snapshot");
    }

    /// Returns the database's server.
    ///
    /// # Panics
    /// Panics if the database has no server.
    pub fn server(&self) -> &dyn Server {
        match &self.place {
            Place::Sqlite => panic!("SQLite has no server"),
            Place::MariaDb(database) => database.server(),
            Place::Postgres(database) => database.server(),
        }
    }
}

impl Drop for Accounts {
    fn drop(&mut self) {
        if self.own_server {
            self.server().crash();
        }
    }
}

/// The parts of authdaemond's configuration that say where the accounts are.
impl Accounts {
    /// Returns the name of the module without `auth`, and its options.
    pub(crate) fn courier_module(&self) -> (&'static str, Vec<(&'static str, String)>) {
        match &self.place {
            Place::Sqlite => ("sqlite", vec![("DATABASE", self.file().display().to_string())]),
            Place::MariaDb(database) => {
                let socket = database.server().socket().display().to_string();
                // Without PORT and OPT, every request is a temporary failure.
                let fixed = [("SERVER", "localhost"), ("PORT", "0"), ("OPT", "0"), ("DATABASE", database.name())];
                let mut options = fixed.map(|(name, value)| (name, value.to_owned())).to_vec();
                options.extend([("SOCKET", socket), ("USERNAME", database.name().to_owned())]);
                options.push(("PASSWORD", database.password().to_owned()));
                ("mysql", options)
            }
            Place::Postgres(database) => {
                let (name, password) = (database.name(), database.password());
                let folder = database.server().socket();
                let connection = format!("host={} user={name} dbname={name} password='{password}'", folder.display());
                ("pgsql", vec![("CONNECTION", connection)])
            }
        }
    }

    /// Returns the folder of the configuration.
    pub fn folder(&self) -> &Path {
        self.folder.path()
    }
}
