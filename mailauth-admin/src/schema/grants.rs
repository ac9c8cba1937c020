//! The statements that permit a database user to read what is read of another program's tables, and nothing else.

use mailauth_core::config::DatabaseUrl;
use mailauth_core::schema::TableColumns;
use mailauth_core::store::{SqlStore, StoreReport};

/// What has to be permitted, and how.
pub struct Grants {
    /// Statements for the administrator of the database.
    pub statements: Vec<String>,
    /// What to do in a database without users.
    pub note: Option<String>,
}

impl Grants {
    /// Returns what reading the tables of `store` needs. `write_password` is the table and column of passwords that may be
    /// changed.
    pub fn of(store: &SqlStore, url: &DatabaseUrl, report: &StoreReport, write_password: Option<(&str, &str)>) -> Self {
        let Some(server) = url.server() else {
            let path = url.file().map(|path| path.display().to_string()).unwrap_or_default();
            let right = if write_password.is_some() { "read and write" } else { "read" };
            let note = format!(
                "SQLite has no users: let the user that mailauth runs as {right} {path}, and search the folders above it"
            );
            return Grants { statements: Vec::new(), note: Some(note) };
        };
        // The rights of an administrator are left alone.
        let name = if report.administrator.is_some() { None } else { Some(report.user.as_str()) };
        let (database, user) = match url {
            DatabaseUrl::Mysql(_) => (Some(server.database.as_str()), mysql_user(name, &report.user)),
            _ => (None, quoted_if_needed(name.unwrap_or(OWN_USER))),
        };
        let statements = store.reads().iter().map(|reads| grant(reads, database, &user, write_password)).collect();
        Grants { statements, note: None }
    }
}

/// Name of a user of its own for mailauth.
const OWN_USER: &str = "mailauth";

/// Returns the user, or one of mailauth's own that connects from the same host as `present`.
fn mysql_user(name: Option<&str>, present: &str) -> String {
    let (present, host) = present.rsplit_once('@').unwrap_or((present, "localhost"));
    let name = if name.is_some() { present } else { OWN_USER };
    let quoted = |text: &str| format!("`{}`", text.replace('`', "``"));
    format!("{}@{}", quoted(name), quoted(host))
}

fn grant(
    TableColumns { table, columns }: &TableColumns,
    database: Option<&str>,
    user: &str,
    write_password: Option<(&str, &str)>,
) -> String {
    let list =
        |columns: &[String]| if columns.is_empty() { String::new() } else { format!(" ({})", columns.join(", ")) };
    let written = write_password.filter(|(of, _)| of == table).map(|(_, column)| format!(", UPDATE ({column})"));
    let table = match database.filter(|_| !table.contains('.')) {
        Some(database) => format!("`{}`.{table}", database.replace('`', "``")),
        None => table.clone(),
    };
    format!("GRANT SELECT{}{} ON {table} TO {user}", list(columns), written.unwrap_or_default())
}

/// Returns a name as PostgreSQL reads it.
fn quoted_if_needed(name: &str) -> String {
    let is_plain = name.starts_with(|c: char| c.is_ascii_lowercase() || c == '_')
        && name.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'_');
    if is_plain && name != "user" { name.to_owned() } else { format!("\"{}\"", name.replace('"', "\"\"")) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn reads(table: &str, columns: &[&str]) -> TableColumns {
        let columns = columns.iter().map(|column| (*column).to_owned()).collect();
        TableColumns { table: table.to_owned(), columns }
    }

    #[test]
    fn a_grant_names_the_columns_that_are_read() {
        let mailbox = reads("mailbox", &["active", "username"]);
        assert_eq!(
            grant(&mailbox, Some("post`fix"), &mysql_user(None, "root@localhost"), None),
            "GRANT SELECT (active, username) ON `post``fix`.mailbox TO `mailauth`@`localhost`"
        );
        assert_eq!(
            grant(&mailbox, None, "mailauth", Some(("mailbox", "password"))),
            "GRANT SELECT (active, username), UPDATE (password) ON mailbox TO mailauth"
        );
        assert_eq!(grant(&reads("mail.t", &[]), Some("d"), "u", None), "GRANT SELECT ON mail.t TO u");
    }

    #[test]
    fn a_user_of_mysql_has_a_host() {
        assert_eq!(mysql_user(Some("mail@10.%"), "mail@10.%"), "`mail`@`10.%`");
        assert_eq!(mysql_user(None, "root@localhost"), "`mailauth`@`localhost`");
    }

    #[test]
    fn a_name_is_quoted_if_postgresql_would_read_another() {
        for (name, quoted) in
            [("mailauth", "mailauth"), ("Mail", "\"Mail\""), ("user", "\"user\""), ("a-\"b", "\"a-\"\"b\"")]
        {
            assert_eq!(quoted_if_needed(name), quoted);
        }
    }
}
