//! The statements that permit a database user to read what is read of another program's tables, and nothing else.

use mailauth_core::config::{DatabaseUrl, HostPort};
use mailauth_core::schema::TableColumns;
use mailauth_core::store::SqlStore;

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
    pub fn of(store: &SqlStore, url: &DatabaseUrl, write_password: Option<(&str, &str)>) -> Self {
        let Some(server) = url.server() else {
            let path = url.file().map(|path| path.display().to_string()).unwrap_or_default();
            let right = if write_password.is_some() { "read and write" } else { "read" };
            let note = format!(
                "SQLite has no users: let the user that mailauth runs as {right} {path}, and search the folders above it"
            );
            return Grants { statements: Vec::new(), note: Some(note) };
        };
        let (database, user) = match url {
            DatabaseUrl::Mysql(_) => {
                let is_near = server.socket.is_some() || server.hosts.iter().all(HostPort::is_loopback);
                let host = if is_near { "localhost" } else { "%" };
                (Some(server.database.as_str()), format!("'{}'@'{host}'", server.user.replace('\'', "''")))
            }
            _ => (None, quoted_if_needed(&server.user)),
        };
        let statements = store.reads().iter().map(|reads| grant(reads, database, &user, write_password)).collect();
        Grants { statements, note: None }
    }
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
            grant(&mailbox, Some("post`fix"), "'mailauth'@'localhost'", None),
            "GRANT SELECT (active, username) ON `post``fix`.mailbox TO 'mailauth'@'localhost'"
        );
        assert_eq!(
            grant(&mailbox, None, "mailauth", Some(("mailbox", "password"))),
            "GRANT SELECT (active, username), UPDATE (password) ON mailbox TO mailauth"
        );
        assert_eq!(grant(&reads("mail.t", &[]), Some("d"), "u", None), "GRANT SELECT ON mail.t TO u");
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
