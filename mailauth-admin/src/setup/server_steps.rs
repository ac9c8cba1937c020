//! The database and its users on a server, created by the administrator of the server.

use super::answers::{Answers, MYSQL_SOCKETS};
use super::configuration::{Configuration, password};
use super::host_steps::has_password;
use super::plan::{Look, Step};
use crate::failure::Failure;
use crate::output::say;
use mailauth_core::config::{DatabaseConfig, DatabaseUrl, HostPort, Server};
use mailauth_core::store::{ServerLogin, ServerLoginError};
use mailauth_core::system_ids;
use std::path::{Path, PathBuf};
use std::time::Duration;
use zeroize::Zeroizing;

/// Folder of PostgreSQL's unix sockets on Debian.
const POSTGRES_SOCKETS: &str = "/run/postgresql";

/// Maximum time of a statement of the server's administrator: a new database is copied from a template.
const PATIENCE: Duration = Duration::from_secs(30);

/// Place of the password in a statement.
const CLAUSE: &str = "{password}";

pub fn users(configuration: &Configuration) -> Option<Box<dyn Step>> {
    let is_server = configuration.of_database().is_ok_and(|config| config.database.url.server().is_some());
    (is_server && !configuration.is_foreign()).then(|| Box::new(DatabaseUsers) as Box<dyn Step>)
}

/// A statement, with the file of the password that belongs into it.
struct Statement {
    sql: String,
    password_file: Option<PathBuf>,
}

impl Statement {
    /// Returns the statement without its password, for the plan.
    fn shown(&self, url: &DatabaseUrl) -> String {
        let word = if url.scheme() == "mysql" { "IDENTIFIED BY" } else { "PASSWORD" };
        let file = self.password_file.as_deref().unwrap_or(Path::new("")).display();
        format!("{};", self.sql.replace(CLAUSE, &format!("{word} '(content of {file})'")))
    }
}

/// The database, the daemon's user, and the user of the `mailauth` command.
struct DatabaseUsers;

impl Step for DatabaseUsers {
    fn name(&self) -> &'static str {
        "database"
    }

    fn look(&mut self, answers: &Answers, configuration: &Configuration) -> Result<Look, Failure> {
        let work = Work::of(configuration)?;
        if work.is_done()? {
            let name = &work.server()?.database;
            return Ok(Look::Done(format!("the server accepts the users of the database {name}")));
        }
        let lines = |statements: Vec<Statement>| {
            statements.iter().map(|statement| statement.shown(&work.daemon.url)).collect::<Vec<_>>()
        };
        match work.administrator(answers) {
            Ok(mut server) => Ok(Look::Todo(lines(work.missing(&mut server)?))),
            Err(ServerLoginError::Denied(why)) => {
                let head = format!("-- the login of the server's administrator is refused ({why}); run these by hand:");
                Ok(Look::Todo([head].into_iter().chain(lines(work.all()?)).collect()))
            }
            Err(error) => Err(failure(error)),
        }
    }

    fn run(&mut self, answers: &Answers, configuration: &Configuration) -> Result<(), Failure> {
        let work = Work::of(configuration)?;
        let mut server = match work.administrator(answers) {
            Err(ServerLoginError::Denied(why)) => {
                let lines: Vec<_> = work.all()?.iter().map(|statement| statement.shown(&work.daemon.url)).collect();
                // On the standard output, they can be pasted.
                say(lines.join("\n"))?;
                return Err(Failure::no(format!(
                    "the login of the server's administrator is refused: {why}; run the statements above as an administrator \
                     of the database server"
                )));
            }
            connected => connected.map_err(failure)?,
        };
        for statement in work.missing(&mut server)? {
            let clause = match &statement.password_file {
                Some(file) => {
                    let password = password(file)
                        .map_err(|error| Failure::not_now(format!("cannot read {}: {error}", file.display())))?;
                    server.password_clause(&password).map_err(failure)?
                }
                None => Zeroizing::new(String::new()),
            };
            let sql = Zeroizing::new(statement.sql.replace(CLAUSE, &clause));
            server.run(&sql).map_err(|error| {
                let Failure { exit, message } = failure(error);
                Failure::new(exit, format!("{}: {message}", statement.shown(&work.daemon.url)))
            })?;
        }
        match work.is_done()? {
            true => Ok(()),
            false => Err(Failure::no("the server still refuses the new users; see its log")),
        }
    }
}

fn failure(error: ServerLoginError) -> Failure {
    match error {
        ServerLoginError::NotNow(why) => {
            Failure::not_now(format!("the database server cannot be reached: {why}; start it, and try again"))
        }
        ServerLoginError::Denied(why) | ServerLoginError::Refused(why) => Failure::no(why),
        ServerLoginError::Open(why) => Failure::usage(why),
    }
}

/// What has to exist on the server.
struct Work {
    daemon: DatabaseConfig,
    /// The user of `[admin]`; `None` if the existing configuration has none.
    admin: Option<DatabaseConfig>,
}

impl Work {
    fn of(configuration: &Configuration) -> Result<Self, Failure> {
        let config = configuration.of_database()?;
        let admin = config.administrator();
        Ok(Work { daemon: config.database, admin })
    }

    fn server(&self) -> Result<&Server, Failure> {
        self.daemon.url.server().ok_or_else(|| Failure::usage("the database is a file"))
    }

    fn is_mysql(&self) -> bool {
        matches!(self.daemon.url, DatabaseUrl::Mysql(_))
    }

    /// Returns true if the server accepts both users with their passwords, and the one that changes the tables may use the
    /// database.
    fn is_done(&self) -> Result<bool, Failure> {
        // MySQL refuses a database of which the user may read nothing yet; everybody may use this one.
        let daemon = match (&self.admin, self.is_mysql()) {
            (Some(_), true) => in_database(&self.daemon, "information_schema"),
            _ => self.daemon.clone(),
        };
        for user in [Some(&daemon), self.admin.as_ref()].into_iter().flatten() {
            if !has_password(user) || !is_accepted(user)? {
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// Connects as the administrator of the server, by its unix socket.
    fn administrator(&self, answers: &Answers) -> Result<ServerLogin, ServerLoginError> {
        let server = self.daemon.url.server().ok_or_else(|| ServerLoginError::Open("the database is a file".into()))?;
        let near = server.hosts.iter().all(HostPort::is_loopback);
        let usual = || match self.is_mysql() {
            true => MYSQL_SOCKETS.into_iter().find(|path| Path::new(path).exists()).unwrap_or(MYSQL_SOCKETS[0]).into(),
            false => PathBuf::from(POSTGRES_SOCKETS),
        };
        let socket = answers.administrator_socket.clone().or_else(|| server.socket.clone());
        let Some(socket) = socket.or_else(|| near.then(usual)) else {
            return Err(ServerLoginError::Denied("the server is on another host".to_owned()));
        };
        let as_user = |user: &str, database: &str| Server {
            socket: Some(socket),
            user: user.to_owned(),
            database: database.to_owned(),
            // Of several hosts, the socket belongs to none in particular. The port is in the name of PostgreSQL's socket.
            hosts: if near { server.hosts.clone() } else { Vec::new() },
        };
        let url = match self.is_mysql() {
            true => DatabaseUrl::Mysql(as_user("root", "mysql")),
            false => DatabaseUrl::Postgres(as_user("postgres", "postgres")),
        };
        let config = DatabaseConfig { url, deadline: PATIENCE, ..without_password(&self.daemon) };
        match system_ids::user("postgres") {
            Ok(Some(user)) if !self.is_mysql() && rustix::process::geteuid().is_root() => {
                ServerLogin::connect_as(&config, user.uid)
            }
            _ => ServerLogin::connect(&config),
        }
    }

    /// Returns all statements.
    fn all(&self) -> Result<Vec<Statement>, Failure> {
        let server = self.server()?;
        let owner = self.admin.as_ref().and_then(|admin| admin.url.server()).unwrap_or(server);
        let plain = |sql: String| Statement { sql, password_file: None };
        let of_user =
            |sql: String, config: &DatabaseConfig| Statement { sql, password_file: config.password_file.clone() };
        let mut statements = Vec::new();
        if self.is_mysql() {
            let name = format!("`{}`", server.database.replace('`', "``"));
            statements.push(plain(format!("CREATE DATABASE IF NOT EXISTS {name} CHARACTER SET utf8mb4")));
            for config in self.admin.iter().chain([&self.daemon]) {
                let user = quoted_user(&config.url);
                statements.push(of_user(format!("CREATE USER IF NOT EXISTS {user} {CLAUSE}"), config));
            }
            // In this place of the statement, an underscore would stand for any character.
            let pattern = name.replace('_', "\\_").replace('%', "\\%");
            let user = quoted_user(&self.admin.as_ref().unwrap_or(&self.daemon).url);
            statements.push(plain(format!("GRANT ALL PRIVILEGES ON {pattern}.* TO {user} WITH GRANT OPTION")));
        } else {
            for config in self.admin.iter().chain([&self.daemon]) {
                statements.push(of_user(format!("CREATE ROLE {} LOGIN {CLAUSE}", quoted_user(&config.url)), config));
            }
            let (name, owner) = (double_quoted(&server.database), double_quoted(&owner.user));
            statements.push(plain(format!("CREATE DATABASE {name} OWNER {owner} ENCODING 'UTF8' TEMPLATE template0")));
        }
        Ok(statements)
    }

    /// Returns the statements for what is missing on the server. Fails if something there belongs to another use.
    fn missing(&self, server: &mut ServerLogin) -> Result<Vec<Statement>, Failure> {
        let mut statements = self.all()?;
        for config in self.admin.iter().chain([&self.daemon]) {
            let Some(at) = config.url.server() else { continue };
            let exists = match self.is_mysql() {
                true => server.finds("SELECT 1 FROM mysql.user WHERE user = ? AND host = ?", &[&at.user, host_of(at)]),
                false => server.finds("SELECT 1 FROM pg_roles WHERE rolname = $1::text", &[&at.user]),
            };
            if !exists.map_err(failure)? {
                continue;
            }
            let may_log_in = match self.is_mysql() {
                true => is_accepted(&in_database(config, "information_schema"))?,
                false => is_accepted(&in_database(config, "postgres"))?,
            };
            let file = config.password_file.as_deref().unwrap_or(Path::new("[database] password_file")).display();
            if !has_password(config) || !may_log_in {
                return Err(Failure::no(format!(
                    "the server has a user {} already, and its password is not the one in {file}; write that password into \
                     the file (mode 0640, root:mailauth), or remove the user, or name another one in --database URL",
                    at.user
                )));
            }
            let user = quoted_user(&config.url);
            statements
                .retain(|statement| !(statement.sql.contains(CLAUSE) && statement.sql.contains(&format!("{user} "))));
        }
        if self.database_exists(server)? {
            statements.retain(|statement| !statement.sql.starts_with("CREATE DATABASE"));
        }
        Ok(statements)
    }

    /// Returns true if the database exists. Fails if it belongs to another use.
    fn database_exists(&self, server: &mut ServerLogin) -> Result<bool, Failure> {
        let name = &self.server()?.database;
        let other = |why: String| {
            Failure::no(format!("the server has a database {name} already, {why}; name another one in --database URL"))
        };
        if self.is_mysql() {
            let tables = "SELECT CASE WHEN SUM(table_name = 'schema_version') > 0 THEN 'ours' WHEN COUNT(table_name) > 0 \
                          THEN 'other' ELSE 'empty' END FROM information_schema.schemata \
                          LEFT JOIN information_schema.tables ON table_schema = schema_name WHERE schema_name = ? \
                          GROUP BY schema_name";
            return match server.value(tables, &[name]).map_err(failure)?.as_deref() {
                Some("other") => Err(other("with tables of another program".to_owned())),
                found => Ok(found.is_some()),
            };
        }
        let owner = "SELECT pg_get_userbyid(datdba)::text FROM pg_database WHERE datname = $1::text";
        let Some(owner) = server.value(owner, &[name]).map_err(failure)? else { return Ok(false) };
        let wanted = self.admin.as_ref().unwrap_or(&self.daemon).url.server().map(|server| &server.user);
        if wanted == Some(&owner) { Ok(true) } else { Err(other(format!("which belongs to {owner}"))) }
    }
}

/// Returns true if the server accepts this user. Fails if the server cannot be reached.
fn is_accepted(config: &DatabaseConfig) -> Result<bool, Failure> {
    match ServerLogin::connect(config) {
        Ok(_) => Ok(true),
        Err(ServerLoginError::Denied(_)) => Ok(false),
        Err(error) => Err(failure(error)),
    }
}

/// Returns the same user in another database.
fn in_database(config: &DatabaseConfig, database: &str) -> DatabaseConfig {
    let mut config = config.clone();
    if let DatabaseUrl::Mysql(server) | DatabaseUrl::Postgres(server) = &mut config.url {
        server.database = database.to_owned();
    }
    config
}

fn without_password(config: &DatabaseConfig) -> DatabaseConfig {
    DatabaseConfig { password: Default::default(), password_file: None, ..config.clone() }
}

/// Returns the part of the name of a user of MySQL that says from where it connects.
fn host_of(server: &Server) -> &'static str {
    if server.socket.is_some() { "localhost" } else { "%" }
}

/// Returns the user of a URL as it is written in statements.
pub fn quoted_user(url: &DatabaseUrl) -> String {
    match url {
        DatabaseUrl::Mysql(server) => format!("`{}`@`{}`", server.user.replace('`', "``"), host_of(server)),
        DatabaseUrl::Postgres(server) => double_quoted(&server.user),
        DatabaseUrl::Sqlite { .. } => String::new(),
    }
}

fn double_quoted(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}
