//! The kind of an old file, by its content and its name.

use super::dialect::Dialect;

/// The kind of an old file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// Courier's authmysqlrc, authpgsqlrc or authsqliterc.
    Courier(Dialect),
    /// Dovecot 2.3's dovecot-sql.conf.ext.
    Dovecot23,
    /// Dovecot 2.4's dovecot.conf.
    Dovecot24,
    /// vpopmail.mysql or vpopmail.pgsql.
    Vpopmail(Dialect),
}

/// Recognizes a file.
///
/// # Errors
/// Fails with what the file may be, and what to convert instead.
pub fn of(name: &str, text: &str) -> Result<Format, String> {
    let content: Vec<_> =
        text.lines().map(str::trim).filter(|line| !line.is_empty() && !line.starts_with('#')).collect();
    let count = |prefix: &str| content.iter().filter(|line| line.starts_with(prefix)).count();
    let courier = [("MYSQL_", Dialect::Mysql), ("PGSQL_", Dialect::Postgres), ("SQLITE_", Dialect::Sqlite)];
    let most = courier.into_iter().map(|(prefix, dialect)| (count(prefix), dialect)).max_by_key(|(count, _)| *count);
    if let Some((1.., dialect)) = most {
        return Ok(Format::Courier(dialect));
    }
    let has_key = |names: &[&str]| {
        content.iter().any(|line| line.split_once('=').is_some_and(|(key, _)| names.contains(&key.trim())))
    };
    let has_block = |names: &[&str]| {
        content
            .iter()
            .any(|line| line.contains('{') && line.split_whitespace().next().is_some_and(|word| names.contains(&word)))
    };
    if has_key(&["sql_driver", "dovecot_config_version"]) {
        return Ok(Format::Dovecot24);
    }
    if has_key(&["password_query", "user_query", "connect"]) {
        return Ok(Format::Dovecot23);
    }
    if has_block(&["passdb", "userdb"]) {
        return Err("is Dovecot 2.3's dovecot.conf; convert the file that its passdb names in args, such as \
                    /etc/dovecot/dovecot-sql.conf.ext"
            .to_owned());
    }
    let first = content.first().copied().unwrap_or_default();
    if name.contains("vpopmail") || first.matches('|').count() >= 3 {
        let postgres = name.contains("pgsql") || !first.contains('|');
        return Ok(Format::Vpopmail(if postgres { Dialect::Postgres } else { Dialect::Mysql }));
    }
    Err("is none of the files that can be converted: authmysqlrc, authpgsqlrc, authsqliterc, dovecot-sql.conf.ext, \
         dovecot.conf of Dovecot 2.4, vpopmail.mysql and vpopmail.pgsql"
        .to_owned())
}
