//! The database that is backed up, or what to use for one that is not SQLite.

use crate::context::Context;
use crate::failure::Failure;
use mailauth_core::config::{DatabaseUrl, Server};
use mailauth_core::schema::{OWN, TableModel, Tables};
use std::path::Path;

/// Returns the file of the database.
///
/// # Errors
/// Fails, with the command to use instead, if the database is not SQLite.
pub fn of_backup<'s>(context: &'s Context, file: &Path) -> Result<&'s Path, Failure> {
    ensure_own(context)?;
    let (url, to) = (&context.database.url, quoted(&file.to_string_lossy()));
    match url {
        DatabaseUrl::Sqlite { path } => Ok(path),
        DatabaseUrl::Mysql(server) => {
            let (options, name) = (mysql_options(server), quoted(&server.database));
            let tables = tables().join(" ");
            Err(instead(url, &format!("mariadb-dump{options} --single-transaction {name} {tables} > {to}")))
        }
        DatabaseUrl::Postgres(server) => {
            let (options, name) = (postgres_options(server), quoted(&server.database));
            let tables: String = tables().iter().map(|table| format!(" --table={table}")).collect();
            Err(instead(url, &format!("pg_dump{options} --clean --if-exists{tables} {name} > {to}")))
        }
    }
}

/// Does the same for a restore.
///
/// # Errors
/// Fails as [`of_backup`] does.
pub fn of_restore<'s>(context: &'s Context, file: &Path) -> Result<&'s Path, Failure> {
    ensure_own(context)?;
    let (url, from) = (&context.database.url, quoted(&file.to_string_lossy()));
    let then = "and then 'mailauth init' and 'mailauth cache flush'";
    match url {
        DatabaseUrl::Sqlite { path } => Ok(path),
        DatabaseUrl::Mysql(server) => {
            let (options, name) = (mysql_options(server), quoted(&server.database));
            Err(instead(url, &format!("mariadb{options} {name} < {from}, {then}")))
        }
        DatabaseUrl::Postgres(server) => {
            let (options, name) = (postgres_options(server), quoted(&server.database));
            Err(instead(
                url,
                &format!("psql{options} --single-transaction --set=ON_ERROR_STOP=1 {name} < {from}, {then}"),
            ))
        }
    }
}

fn ensure_own(context: &Context) -> Result<(), Failure> {
    match &context.database.tables {
        Tables::Own => Ok(()),
        Tables::Foreign(_) => Err(Failure::usage(format!(
            "the tables belong to another program ([schema] profile is not {OWN:?}); back them up as its documentation says"
        ))),
    }
}

fn instead(url: &DatabaseUrl, command: &str) -> Failure {
    let product = url.product();
    Failure::usage(format!("the database is {product}, which has commands of its own for this; run {command}"))
}

/// Returns the names of mailauth's tables.
fn tables() -> Vec<String> {
    let TableModel { versions, domains, accounts, aliases, alias_domains, uses, sums, .. } = TableModel::own();
    let mail = [versions.table, domains.table, accounts.table, aliases.table, alias_domains.table];
    mail.into_iter().chain([uses.table, sums.table]).collect()
}

/// Returns the options for the server and the user. The password is asked for, or is in a file of the client.
fn mysql_options(server: &Server) -> String {
    let place = match (&server.socket, server.hosts.first()) {
        (Some(socket), _) => format!(" --socket={}", quoted(&socket.to_string_lossy())),
        (None, Some(host)) => format!(" --host={} --port={}", quoted(&host.host), host.port),
        (None, None) => String::new(),
    };
    format!("{place} --user={} --password", quoted(&server.user))
}

fn postgres_options(server: &Server) -> String {
    let place = match (&server.socket, server.hosts.first()) {
        (Some(socket), _) => format!(" --host={}", quoted(&socket.to_string_lossy())),
        (None, Some(host)) => format!(" --host={} --port={}", quoted(&host.host), host.port),
        (None, None) => String::new(),
    };
    format!("{place} --username={}", quoted(&server.user))
}

/// Returns a word for a shell.
fn quoted(word: &str) -> String {
    let is_plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.' | '/' | ':' | '@' | '+');
    if !word.is_empty() && word.chars().all(is_plain) {
        word.to_owned()
    } else {
        format!("'{}'", word.replace('\'', r"'\''"))
    }
}
