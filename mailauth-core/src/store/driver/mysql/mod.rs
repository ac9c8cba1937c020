//! The driver for MySQL and MariaDB.

mod client;
mod stream;

use crate::Secret;
use crate::config::{DatabaseConfig, Secrecy, Server};
use crate::store::OpenError;
use crate::store::administration::CharacterSet;
use crate::store::driver::connect::advice::Subject;
use crate::store::driver::connect::dial;
use crate::store::driver::connect::endpoint::{Address, Endpoint};
use crate::store::driver::connect::loopback::Ends;
use crate::store::driver::connect::server_user::{MYSQL, ServerUser};
use crate::store::driver::rights::mysql as grants;
use crate::store::driver::tls;
use crate::store::driver::{
    Cell, Connection, Dialect, Driver, DriverError, Needs, Param, Refusal, Rights, Row, Standing, Statement,
};
use client::{Client, ClientError, Identity, Prepared};
use mysql_common::value::Value;
use rustls::ClientConfig;
use std::cell::RefCell;
use std::io;
use std::net::TcpStream;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};
use stream::Timed;

pub(in crate::store) static DIALECT: Dialect = Dialect {
    numbered: false,
    begin: "START TRANSACTION",
    now: "UTC_TIMESTAMP()",
    time_text: "DATE_FORMAT({}, '%Y-%m-%d %H:%i:%s')",
    time_value: "CAST({} AS DATETIME)",
    row_values: false,
    by_index: " FORCE INDEX ({})",
    // All collations ignore trailing spaces, and most of them ignore case.
    same_bytes: "CAST(CONVERT({} USING utf8mb4) AS BINARY) = CAST(? AS BINARY)",
    bounded: "LEFT({}, {more})",
    or_update: "ON DUPLICATE KEY UPDATE",
    added: "CAST(LEAST(CAST({old} AS DECIMAL(30)) + VALUES({column}), 9223372036854775807) AS SIGNED)",
    table_exists: "SELECT COUNT(*) FROM information_schema.tables WHERE table_schema = DATABASE() AND table_name = ?",
    lock: "DO GET_LOCK('mailauth schema', 3600)",
    unlock: "DO RELEASE_LOCK('mailauth schema')",
    schema: include_str!("../../../../../schema/mysql.sql"),
    migrations: &[
        include_str!("../../../../../schema/mysql.2.sql"),
        include_str!("../../../../../schema/mysql.3.sql"),
        include_str!("../../../../../schema/mysql.4.sql"),
    ],
};

/// Settings of each session, whatever the server's defaults: every statement is its own transaction, and a value that
/// does not fit is rejected instead of truncated.
const SESSION: &str = "SET autocommit = 1, sql_mode = 'STRICT_ALL_TABLES,NO_ENGINE_SUBSTITUTION'";

/// Allows reads on a Galera node that has lost its quorum; they return the data that the node has.
const DIRTY_READS: &str = "SET SESSION wsrep_dirty_reads = 1";

/// Waits until the node has applied what other nodes have confirmed.
const CATCH_UP: &str = "SET SESSION wsrep_sync_wait = 1;\nSTART TRANSACTION;\nCOMMIT;\nSET SESSION wsrep_sync_wait = 0";

/// Advice for when the server has blocked this host, which it does after many connections that were aborted during the
/// handshake.
const UNBLOCK: &str = "on the database server, run `mariadb-admin flush-hosts` (or FLUSH HOSTS; on MySQL, TRUNCATE \
                       TABLE performance_schema.host_cache), and raise max_connect_errors so that it does not happen \
                       again";

/// A database on a MySQL or MariaDB server.
pub(in crate::store) struct Mysql {
    at: Endpoint,
    subject: Subject,
    password: Secret,
    server_user: ServerUser,
    tls: Option<Secrecy>,
    tls_ca: Option<PathBuf>,
    /// TLS configuration; `None` for a connection in clear text.
    tls_config: Option<Arc<ClientConfig>>,
    dirty_reads: bool,
}

impl Mysql {
    pub(in crate::store) fn new(config: &DatabaseConfig, server: &Server, at: Endpoint) -> Result<Self, OpenError> {
        let tls_config = tls::client_config(at.address.secrecy(config.tls), config)?.map(Arc::new);
        Ok(Mysql {
            at,
            subject: Subject::of(config, server),
            password: config.password.clone(),
            server_user: ServerUser::new(config.server_user.as_deref(), MYSQL)?,
            tls: config.tls,
            tls_ca: config.tls_ca.clone(),
            tls_config,
            dirty_reads: config.dirty_reads,
        })
    }

    /// Connects within the deadline to the first of the host's addresses that works.
    fn connect_to(&self, Endpoint { address, deadline, .. }: &Endpoint) -> Result<MysqlConnection, DriverError> {
        let start = Instant::now();
        let (client, host, known_by) = match address {
            Address::Socket(path) => {
                let until = start + *deadline;
                let raise =
                    |error| unconnected(error, *deadline, |error| self.subject.of_socket(error, path, "socket"));
                let socket = dial::unix(path).map_err(raise)?;
                let user = self.server_user.of_socket(&socket, path).map_err(DriverError::Lost)?;
                let client = self.handshake(Timed::new(socket, until), "", true, &|| Ok(()))?;
                (client, "", Some(format!("its user, {user}")))
            }
            Address::Tcp(at) => {
                let (client, known_by) =
                    dial::first(&dial::resolve(at, start, *deadline)?, start, *deadline, |address, until| {
                        let raise =
                            |error| unconnected(error, *deadline, |error| self.subject.of_address(error, address));
                        self.connect_by_tcp(dial::tcp(address, until).map_err(raise)?, &at.host, until)
                    })?;
                (client, at.host.as_str(), known_by)
            }
        };
        Ok(MysqlConnection {
            client,
            kept: Vec::new(),
            deadline: *deadline,
            in_cluster: None,
            trust: tls::trust(address.secrecy(self.tls), host, self.tls_ca.as_deref()),
            known_by,
            broken: false,
        })
    }

    /// Logs in by TCP; returns the client with how the server proved its identity, if it did. None of the
    /// authentication methods proves anything about the server.
    fn connect_by_tcp(
        &self,
        stream: TcpStream,
        host: &str,
        until: Instant,
    ) -> Result<(Client, Option<String>), DriverError> {
        let is_verified = matches!(self.at.address.secrecy(self.tls), Secrecy::VerifyCa | Secrecy::VerifyFull);
        let ends = Ends::of(&stream).map_err(|error| io_error(&error, self.at.deadline))?;
        let known_by = RefCell::new(is_verified.then(|| "its certificate".to_owned()));
        let greeted = || {
            if ends.are_near() && (!is_verified || self.server_user.is_configured()) {
                let user = self.server_user.of_loopback(&ends).map_err(ClientError::Stranger)?;
                known_by.replace(user.map(|user| format!("its user, {user}")));
            }
            Ok(())
        };
        let client = self.handshake(Timed::new(stream, until), host, is_verified, &greeted)?;
        Ok((client, known_by.into_inner()))
    }

    /// Logs in and sets up the session, by the deadline of the socket. `greeted` is called after the server's greeting;
    /// `is_known` is true if the server will have proved its identity before it can ask for the password itself.
    fn handshake(
        &self,
        socket: Timed,
        host: &str,
        is_known: bool,
        greeted: &dyn Fn() -> Result<(), ClientError>,
    ) -> Result<Client, DriverError> {
        let password = std::str::from_utf8(self.password.expose())
            .map_err(|_| DriverError::Denied("the database's password is not valid UTF-8".into()))?;
        let identity = Identity {
            user: &self.subject.user,
            password,
            database: &self.subject.database,
            tls: self.tls_config.as_ref().map(|config| (config, host)),
            is_known,
            greeted,
        };
        let work = || {
            let mut client = Client::connect(socket, &identity)?;
            client.run(SESSION)?;
            if self.dirty_reads {
                client.run(DIRTY_READS)?;
            }
            Ok(client)
        };
        work().map_err(|error| self.connect_error(error, host))
    }

    /// Converts the error of a failed connection, and adds what to do about it.
    fn connect_error(&self, error: ClientError, host: &str) -> DriverError {
        let code = match &error {
            ClientError::Server { code, .. } => *code,
            ClientError::Io(error) if error.kind() == io::ErrorKind::UnexpectedEof => {
                return DriverError::Lost(format!(
                    "{error}; check that it is a MySQL or MariaDB server and accepts connections from this machine \
                     (see its log, bind-address, and TCP wrappers)"
                ));
            }
            ClientError::Protocol(said) if !said.starts_with("TLS") => {
                return DriverError::Lost(format!("{said}; check that the URL is that of a MySQL or MariaDB server"));
            }
            ClientError::AsksForPassword => return DriverError::Lost(self.clear_password()),
            ClientError::Io(_)
            | ClientError::NoTls
            | ClientError::Stranger(_)
            | ClientError::UnknownMethod(_)
            | ClientError::Protocol(_) => 0,
        };
        let advice = self.advice(code);
        match (connect_error(error, host, self.at.deadline), advice) {
            (DriverError::Denied(said), Some(advice)) => DriverError::Denied(format!("{said}; {advice}")),
            (DriverError::Full(said), Some(advice)) => DriverError::Full(format!("{said}; {advice}")),
            (error, _) => error,
        }
    }

    /// Returns what to do about a rejected connection, by the server's error code.
    fn advice(&self, code: u16) -> Option<String> {
        let Subject { user, database, .. } = &self.subject;
        let (section, or_url) = (self.subject.section, self.subject.correct_url());
        Some(match code {
            1045 => format!("{}{}", self.subject.correct_password(), self.with_tls()),
            1698 => format!(
                "the server authenticates {user} by another method than a password, such as unix_socket for the system \
                 user of that name: create a user with a password, {or_url}"
            ),
            1049 => format!("create it (CREATE DATABASE `{database}` CHARACTER SET utf8mb4), {or_url}"),
            1044 => format!(
                "the database does not exist, or {user} has no privileges on it: create it, or grant the user the \
                 privileges in schema/grants.mysql.sql, {or_url}"
            ),
            1130 => format!(
                "the server has no user for this machine: create {user} for its address (CREATE USER ... @'ADDRESS'), \
                 {or_url}"
            ),
            3118 | 4151 => format!("unlock it on the server (ALTER USER ... ACCOUNT UNLOCK), {or_url}"),
            1820 | 1862 => {
                format!("set a new password for {user} on the server, and write it to [{section}] password_file")
            }
            3159 | 4165 => format!("set [{section}] tls = \"verify-full\" and tls_ca"),
            1040 | 1203 | 1226 => {
                "raise max_connections or the limit of this user on the server, or lower [database] pool".to_owned()
            }
            _ => return None,
        })
    }

    /// Returns the message about a server that asks for the password itself and may be an impostor.
    fn clear_password(&self) -> String {
        let Subject { section, .. } = self.subject;
        let advice = self.subject.correct_password();
        format!(
            "the server asked for the password itself, as caching_sha2_password does at a user's first login after a \
             server start and when the user or password is wrong; it was not sent, because the server has not proved \
             its identity: {advice}; then connect through the server's unix socket (?socket=PATH in [{section}] url), \
             or set [{section}] tls = \"verify-full\" and tls_ca (for a certificate that MySQL generated itself, \
             \"verify-ca\" and its ca.pem)"
        )
    }

    /// Returns what to do if the user is required to use TLS and this connection does not.
    fn with_tls(&self) -> String {
        let section = self.subject.section;
        match self.at.address {
            _ if self.tls_config.is_some() => String::new(),
            Address::Tcp(_) => format!(
                "; a user with REQUIRE SSL is rejected without TLS, and this machine's own servers are reached without \
                 TLS by default: set [{section}] tls = \"verify-full\" and tls_ca"
            ),
            Address::Socket(_) => {
                "; a user with REQUIRE SSL is rejected on a unix socket: remove ?socket= from the URL, and \
                                   set [database] tls"
                    .to_owned()
            }
        }
    }
}

/// Converts the error of a socket that could not be connected.
fn unconnected(error: io::Error, limit: Duration, explain: impl FnOnce(&io::Error) -> String) -> DriverError {
    match io_error(&error, limit) {
        DriverError::Lost(_) => DriverError::Lost(explain(&error)),
        other => other,
    }
}

impl Driver for Mysql {
    fn place(&self) -> &str {
        &self.at.place
    }

    fn server_name(&self) -> Option<&str> {
        Some(&self.at.place)
    }

    fn dialect(&self) -> &'static Dialect {
        &DIALECT
    }

    fn connect(&self) -> Result<Box<dyn Connection>, DriverError> {
        Ok(Box::new(self.connect_to(&self.at)?))
    }
}

struct MysqlConnection {
    client: Client,
    /// Prepared statements, indexed by slot.
    kept: Vec<Option<Prepared>>,
    deadline: Duration,
    /// Whether the server is a node of a Galera cluster; `None` until it was asked.
    in_cluster: Option<bool>,
    /// How the server's certificate was verified, for reports.
    trust: String,
    /// How the server proved its identity, if it did.
    known_by: Option<String>,
    broken: bool,
}

impl MysqlConnection {
    /// Runs `work` within one deadline. After an error that is not the server's answer, the connection is broken.
    fn timed<T>(&mut self, work: impl FnOnce(&mut Self) -> Result<T, ClientError>) -> Result<T, DriverError> {
        if self.broken {
            return Err(DriverError::Lost("the connection is closed".into()));
        }
        self.client.end_at(Instant::now() + self.deadline);
        work(self).map_err(|error| {
            let is_answer = matches!(error, ClientError::Server { .. });
            let error = driver_error(error, self.deadline);
            self.broken |= !is_answer || matches!(error, DriverError::Lost(_));
            error
        })
    }

    /// Runs a statement; calls `each` with its rows and returns the number of rows that it matched.
    fn run(
        &mut self,
        statement: &Statement,
        params: &[Param<'_>],
        each: &mut dyn FnMut(&dyn Row),
    ) -> Result<u64, DriverError> {
        let value = |param: &Param<'_>| match *param {
            Param::Null => Value::NULL,
            Param::Int(number) => Value::Int(number),
            Param::Text(bytes) => Value::Bytes(bytes.to_vec()),
        };
        let params: Vec<Value> = params.iter().map(value).collect();
        self.timed(|this| {
            let mut each = |row: mysql_common::row::Row| each(&row);
            let kept = statement.slot.and_then(|slot| this.kept.get(slot)).copied().flatten();
            let prepared = match kept {
                Some(prepared) => prepared,
                None => this.client.prepare(&statement.sql)?,
            };
            match statement.slot {
                Some(slot) => this.keep(slot, prepared),
                None => {
                    let outcome = this.client.execute(prepared, &params, &mut each);
                    if matches!(outcome, Ok(_) | Err(ClientError::Server { .. })) {
                        this.client.close(prepared)?;
                    }
                    return outcome;
                }
            }
            this.client.execute(prepared, &params, &mut each)
        })
    }

    /// Stores a prepared statement in its slot.
    fn keep(&mut self, slot: usize, prepared: Prepared) {
        if self.kept.len() <= slot {
            self.kept.resize(slot + 1, None);
        }
        if let Some(place) = self.kept.get_mut(slot) {
            *place = Some(prepared);
        }
    }

    /// Returns the texts of the first `columns` columns of each row.
    fn texts(&mut self, sql: &str, columns: usize) -> Result<Vec<Vec<String>>, DriverError> {
        let mut rows = Vec::new();
        self.run(&Statement { slot: None, sql: sql.to_owned() }, &[], &mut |row| {
            let text = |index| match row.cell(index) {
                Cell::Text(bytes) => String::from_utf8_lossy(bytes).into_owned(),
                _ => String::new(),
            };
            rows.push((0..columns).map(text).collect());
        })?;
        Ok(rows)
    }

    /// Returns true on a Galera node that may lack changes: one that has lost its quorum, or whose state is not 4
    /// (Synced), such as a donor or a node that was desynchronized for a backup.
    fn is_behind_its_cluster(&mut self) -> Result<bool, DriverError> {
        // On a server outside a cluster, `wsrep_ready` is `OFF` too.
        Ok(self.is_in_cluster()? && (self.status("wsrep_ready")? != "ON" || self.status("wsrep_local_state")? != "4"))
    }

    /// Returns true on a Galera node. Asks the server once.
    fn is_in_cluster(&mut self) -> Result<bool, DriverError> {
        if let Some(known) = self.in_cluster {
            return Ok(known);
        }
        let rows = self.texts("SHOW GLOBAL VARIABLES LIKE 'wsrep_on'", 2)?;
        let in_cluster = rows.concat().last().is_some_and(|on| on == "ON");
        self.in_cluster = Some(in_cluster);
        Ok(in_cluster)
    }

    /// Reads a status variable; empty if there is none of this name.
    fn status(&mut self, name: &str) -> Result<String, DriverError> {
        let rows = self.texts(&format!("SHOW SESSION STATUS LIKE '{name}'"), 2)?;
        Ok(rows.into_iter().next().and_then(|row| row.into_iter().nth(1)).unwrap_or_default())
    }
}

/// Returns true if a system variable is 0 or OFF, in whatever type the server sends it: read_only is a number before
/// MariaDB 12, and a word from then on. Unknown values count as on.
fn is_off(value: Cell<'_>) -> bool {
    match value {
        Cell::Int(number) => number == 0,
        Cell::Text(text) => text == b"0" || text.eq_ignore_ascii_case(b"OFF"),
        Cell::Null | Cell::Other => false,
    }
}

impl Connection for MysqlConnection {
    fn query(
        &mut self,
        statement: &Statement,
        params: &[Param<'_>],
        each: &mut dyn FnMut(&dyn Row),
    ) -> Result<(), DriverError> {
        match self.run(statement, params, each) {
            Err(DriverError::Refused { kind: Refusal::Unstorable, .. }) => Ok(()),
            done => done.map(drop),
        }
    }

    fn execute(&mut self, statement: &Statement, params: &[Param<'_>]) -> Result<u64, DriverError> {
        self.run(statement, params, &mut |_| ())
    }

    fn batch(&mut self, sql: &str) -> Result<(), DriverError> {
        // One by one, because several statements in one request have several results.
        for statement in sql.split(";\n").filter(|statement| !statement.trim().is_empty()) {
            self.timed(|this| this.client.run(statement))?;
        }
        Ok(())
    }

    fn ping(&mut self) -> Result<(), DriverError> {
        self.timed(|this| this.client.ping())
    }

    /// A node of a Galera cluster that has lost its quorum refuses even this, with error 1047, unless dirty reads are
    /// allowed.
    fn standing(&mut self) -> Result<Standing, DriverError> {
        let mut takes_changes = false;
        let statement = Statement { slot: None, sql: "SELECT @@global.read_only".to_owned() };
        self.run(&statement, &[], &mut |row| takes_changes = is_off(row.cell(0)))?;
        if takes_changes && !self.is_behind_its_cluster()? { Ok(Standing::Primary) } else { Ok(Standing::Replica) }
    }

    /// A node of a Galera cluster confirms a change before the others have applied it. With `wsrep_sync_wait`, the
    /// start of a transaction waits until this node has.
    fn catch_up(&mut self) -> Result<(), DriverError> {
        match if self.is_in_cluster()? { self.batch(CATCH_UP) } else { Ok(()) } {
            // It waits for another node, which may hang.
            Err(DriverError::Timeout(after)) => Err(DriverError::Behind(after)),
            Err(DriverError::Cancelled(_)) => Err(DriverError::Behind(self.deadline)),
            done => done,
        }
    }

    fn is_broken(&self) -> bool {
        self.broken
    }

    fn server(&mut self) -> Result<(String, Option<String>), DriverError> {
        let version = self.texts("SELECT VERSION()", 1)?.concat().concat();
        let (number, rest) = version.split_once('-').unwrap_or((&version, ""));
        let name = if rest.contains("MariaDB") { "MariaDB" } else { "MySQL" };
        let protocol = self.status("Ssl_version")?;
        let tls = match protocol.as_str() {
            "" => None,
            protocol => Some(format!("{protocol} {}, {}", self.status("Ssl_cipher")?, self.trust)),
        };
        Ok((format!("{name} {number}"), tls))
    }

    fn known_by(&self) -> Option<String> {
        self.known_by.clone()
    }

    fn character_set(&mut self, tables: &[String]) -> Result<CharacterSet, DriverError> {
        let names: Vec<_> = tables.iter().map(|table| format!("'{}'", table.replace('\'', "''"))).collect();
        let sql = format!(
            "SELECT DISTINCT table_name, character_set_name FROM information_schema.columns
             WHERE table_schema = DATABASE() AND table_name IN ({}) AND character_set_name <> 'utf8mb4'
             ORDER BY table_name, character_set_name",
            names.join(", ")
        );
        let others: Vec<_> = self.texts(&sql, 2)?.into_iter().map(|row| row.join(" in ")).collect();
        let problem = (!others.is_empty()).then(|| {
            format!(
                "columns are not in utf8mb4 ({}), so that logins, addresses and names with other characters cannot be \
                 stored; to change that, create the tables in another database with `mailauth init`, and move the \
                 accounts there with `mailauth account export` and `import`",
                others.join(", ")
            )
        });
        Ok(CharacterSet { name: "utf8mb4".to_owned(), problem })
    }

    fn rights(&mut self, needs: &Needs) -> Result<Rights, DriverError> {
        let database = self.texts("SELECT DATABASE()", 1)?.concat().concat();
        let user = self.texts("SELECT CURRENT_USER()", 1)?.concat().concat();
        let lines = self.grants()?;
        Ok(grants::compare(&lines, &user, &database, needs))
    }

    fn lacks(&mut self, wanted: &[(&str, &str)]) -> Result<Vec<String>, DriverError> {
        let database = self.texts("SELECT DATABASE()", 1)?.concat().concat();
        Ok(grants::lacking(&self.grants()?, &database, wanted))
    }
}

impl MysqlConnection {
    /// Returns the lines of `SHOW GRANTS` for this user and its roles.
    fn grants(&mut self) -> Result<Vec<String>, DriverError> {
        let version = self.texts("SELECT VERSION()", 1)?.concat().concat();
        if version.contains("MariaDB") {
            return Ok(self.texts("SHOW GRANTS", 1)?.concat());
        }
        let user = self.texts("SELECT CURRENT_USER()", 1)?.concat().concat();
        self.grants_of_mysql(&grants::quoted_user(&user))
    }

    /// Returns on MySQL the lines that `SHOW GRANTS` has on MariaDB. On MySQL it does not tell the user's own
    /// privileges from those of a role, so each role is asked for separately.
    fn grants_of_mysql(&mut self, user: &str) -> Result<Vec<String>, DriverError> {
        let own = self.texts(&format!("SHOW GRANTS FOR {user}"), 1)?.concat();
        let roles = self.texts("SELECT CURRENT_ROLE()", 1)?.concat().concat();
        let mut lines = own.clone();
        for role in grants::roles(&roles) {
            let with = self.texts(&format!("SHOW GRANTS FOR {user} USING {role}"), 1)?.concat();
            lines.extend(grants::by_role(&own, &with, &role));
        }
        Ok(lines)
    }
}

impl Row for mysql_common::row::Row {
    fn cell(&self, index: usize) -> Cell<'_> {
        match self.as_ref(index) {
            Some(Value::NULL) => Cell::Null,
            Some(Value::Bytes(bytes)) => Cell::Text(bytes),
            Some(Value::Int(number)) => Cell::Int(*number),
            Some(Value::UInt(number)) => i64::try_from(*number).map_or(Cell::Other, Cell::Int),
            Some(Value::Float(_) | Value::Double(_) | Value::Date(..) | Value::Time(..)) | None => Cell::Other,
        }
    }
}

/// Converts the error of a failed connection, and says what to do about TLS.
fn connect_error(error: ClientError, host: &str, limit: Duration) -> DriverError {
    match &error {
        ClientError::Server { code, message } => return refused_connection(*code, message),
        ClientError::Io(error) => {
            if let Some(sentence) = tls::explain(error, host) {
                return DriverError::Lost(sentence);
            }
        }
        // MySQL hides that a user does not exist by asking for some authentication method.
        ClientError::UnknownMethod(method) => {
            return DriverError::Denied(format!(
                "refused: no such user, or an unsupported plugin: the server does not know the user, or the user's \
                 authentication plugin is {method}; compare the name in the URL with the server's users, or change the \
                 user's plugin to caching_sha2_password, ed25519 or parsec"
            ));
        }
        ClientError::NoTls | ClientError::AsksForPassword | ClientError::Stranger(_) | ClientError::Protocol(_) => {}
    }
    driver_error(error, limit)
}

/// Converts the server's error at a connect, by its code (MariaDB and MySQL, "Error Codes").
fn refused_connection(code: u16, message: &str) -> DriverError {
    let said = format!("{message} ({code})");
    match code {
        // Too many connections in total, of this user, or within the hour; or no memory or thread for one more.
        1040 | 1041 | 1135 | 1203 | 1226 => DriverError::Full(said),
        1129 => DriverError::Denied(format!("{said}; {UNBLOCK}")),
        // Shutting down, starting up, a node that is not ready, and network errors.
        1047 | 1053 | 1077 | 1079 | 1152 | 1158..=1161 | 1184 | 1927 | 4031 => DriverError::Lost(said),
        _ => DriverError::Denied(said),
    }
}

fn io_error(error: &io::Error, limit: Duration) -> DriverError {
    match error.kind() {
        io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut => DriverError::Timeout(limit),
        _ => DriverError::Lost(error.to_string()),
    }
}

/// Converts the client's error.
fn driver_error(error: ClientError, limit: Duration) -> DriverError {
    match error {
        ClientError::Io(error) => io_error(&error, limit),
        ClientError::Server { code, message } => refusal(code, &message),
        ClientError::NoTls => DriverError::Lost(tls::NO_TLS.into()),
        ClientError::UnknownMethod(method) => {
            DriverError::Lost(format!("the server asks for the authentication method {method}"))
        }
        ClientError::AsksForPassword => DriverError::Lost("the server asks for the password itself".to_owned()),
        ClientError::Stranger(what) | ClientError::Protocol(what) => DriverError::Lost(what),
    }
}

/// Returns what to do about a statement that the server aborted, by its error code.
fn cancelled(code: u16) -> &'static str {
    match code {
        1205 => {
            "another transaction held a lock for longer than innodb_lock_wait_timeout; find it with SHOW PROCESSLIST"
        }
        1317 => "an administrator or a program cancelled it with KILL QUERY",
        1969 => "raise max_statement_time of the server or of this user, or find out why the server is slow",
        _ => "raise max_execution_time of the server, or find out why the server is slow",
    }
}

/// Converts the server's error about a statement, by its code (MariaDB and MySQL, "Error Codes").
fn refusal(code: u16, message: &str) -> DriverError {
    let kind = match code {
        // Shutting down, connection killed, a cluster node that is not ready, and network errors.
        1047 | 1053 | 1077 | 1079 | 1152 | 1158..=1161 | 1184 | 1927 | 4031 => {
            return DriverError::Lost(format!("{message} ({code})"));
        }
        1205 | 1317 | 1969 | 3024 => return DriverError::Cancelled(format!("{message} ({code}); {}", cancelled(code))),
        // The server or the transaction is read only.
        1290 | 1792 | 1836 => return DriverError::Lost(format!("{message} ({code})")),
        1213 => Refusal::Conflict,
        1062 | 1586 => Refusal::Duplicate,
        1216 | 1217 | 1451 | 1452 => Refusal::Reference,
        1146 => Refusal::NoTable,
        1044 | 1142 | 1143 | 1227 | 1370 => Refusal::Forbidden,
        // The server's message shows the bytes, which may be those of a password.
        1366 => {
            let reason = "a value has a character that the character set of its column lacks (1366)".into();
            return DriverError::Refused { kind: Refusal::Unstorable, reason };
        }
        // A parameter that cannot be converted to the character set of the column it is compared with: 3988 on MySQL,
        // and on MariaDB a message that calls the parameter coercible. Two incompatible columns are a different error.
        3988 | 1267 | 1270 | 1271 if code == 3988 || message.contains("COERCIBLE") => {
            let reason = format!("a value has a character that the character set of its column lacks ({code})");
            return DriverError::Refused { kind: Refusal::Unstorable, reason };
        }
        _ => Refusal::Other,
    };
    DriverError::Refused { kind, reason: format!("{message} ({code})") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_server_that_reports_read_only_off_is_a_primary() {
        for off in [Cell::Int(0), Cell::Text(b"0"), Cell::Text(b"OFF"), Cell::Text(b"off")] {
            assert!(is_off(off), "{off:?}");
        }
        let words = ["1", "ON", "READ_ONLY", "NO_LOCK", "NO_LOCK_NO_ADMIN", "", "00", "OFF_", "later"];
        let on = [Cell::Int(1), Cell::Int(2), Cell::Int(-1), Cell::Null, Cell::Other];
        for on in words.iter().map(|word| Cell::Text(word.as_bytes())).chain(on) {
            assert!(!is_off(on), "{on:?}");
        }
    }

    #[test]
    fn an_unstorable_value_is_told_from_incompatible_columns() {
        let kind = |code, message: &str| match refusal(code, message) {
            DriverError::Refused { kind, .. } => kind,
            other => panic!("{other:?}"),
        };
        let mix = |one: &str, other: &str| format!("Illegal mix of collations ({one}) and ({other}) for operation '='");
        let of_value = mix("latin1_bin,IMPLICIT", "utf8mb4_general_ci,COERCIBLE");
        assert_eq!(kind(1267, &of_value), Refusal::Unstorable);
        assert_eq!(kind(3988, "Conversion from collation a into b impossible for parameter"), Refusal::Unstorable);
        let of_columns = mix("utf8mb4_bin,IMPLICIT", "utf8mb4_unicode_ci,IMPLICIT");
        assert_eq!(kind(1267, &of_columns), Refusal::Other);
    }

    #[test]
    fn a_refused_connection_is_full_or_denied_and_a_block_has_advice() {
        for code in [1040, 1203, 1226] {
            assert_eq!(refused_connection(code, "no"), DriverError::Full(format!("no ({code})")));
        }
        for code in [1044, 1045, 1049, 1130, 1698, 4151] {
            assert_eq!(refused_connection(code, "no"), DriverError::Denied(format!("no ({code})")));
        }
        assert!(matches!(refused_connection(1047, "no"), DriverError::Lost(_)));
        let blocked = refused_connection(1129, "Host is blocked");
        assert!(
            matches!(&blocked, DriverError::Denied(said) if said.contains("mariadb-admin flush-hosts")
            && said.contains("max_connect_errors") && said.contains("(1129)")),
            "{blocked}"
        );
    }
}
