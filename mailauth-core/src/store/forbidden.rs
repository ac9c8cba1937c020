//! What to do about a statement that the database refuses because its user has no right to it.

use crate::config::{DatabaseConfig, DatabaseUrl, DatabaseUser};

/// Who asks, and where the rights of each role are written.
pub(super) struct Asker {
    /// As in the URL.
    name: String,
    user: DatabaseUser,
    /// The file with the grants.
    grants: &'static str,
    /// Tables that deliveries change.
    delivery: Vec<String>,
    /// It is the administrator's command, and not a daemon.
    is_command: bool,
}

impl Asker {
    /// Returns the user of a database that has users.
    pub fn of(config: &DatabaseConfig, is_command: bool) -> Option<Self> {
        let (server, grants) = match &config.url {
            DatabaseUrl::Sqlite { .. } => return None,
            DatabaseUrl::Mysql(server) => (server, "schema/grants.mysql.sql"),
            DatabaseUrl::Postgres(server) => (server, "schema/grants.postgres.sql"),
        };
        let (name, user) = (server.user.clone(), config.user.clone());
        Some(Asker { name, user, grants, delivery: Vec::new(), is_command })
    }

    /// The same, where deliveries change these tables.
    pub fn delivering(self, tables: Vec<String>) -> Self {
        Asker { delivery: tables, ..self }
    }

    /// Returns what to do, given what the server said: the right first.
    pub fn advice(&self, said: &str) -> String {
        let Asker { name, user, grants, .. } = self;
        let section = user.section();
        let Some(role) = self.role(said) else {
            let who = format!("the user {name} ([{section}] url) may not make or alter tables");
            return format!("{who}; {}", self.cure("one that may", "let it own the tables, or make them"));
        };
        let who = format!("the user {name} ([{section}] url) lacks a right that the role {role} of {grants} has");
        let cure = match (user, role) {
            (DatabaseUser::Only, role) if role.starts_with("mailauth_writer") => "",
            (DatabaseUser::Only | DatabaseUser::Daemon, _) => "give that role to this user",
            _ => "",
        };
        match cure {
            "" => format!("{who}; {}", self.cure("one with that role", "give that role to this user")),
            cure => format!("{who}; {cure}"),
        }
    }

    /// What to do where another user may be meant for it.
    fn cure(&self, other: &str, this: &str) -> String {
        match &self.user {
            DatabaseUser::Administrator => this.to_owned(),
            DatabaseUser::Substitute(why) => format!("that of [admin] could not be used: {why}"),
            DatabaseUser::Only | DatabaseUser::Daemon => {
                format!("name {other} in [admin] url and password_file, which the mailauth command then uses")
            }
        }
    }

    /// Returns true if it may be an account that is changed, and not a message that is delivered.
    fn administers(&self) -> bool {
        self.is_command && self.user != DatabaseUser::Daemon
    }

    /// The role that has the right; none where it takes an administrator of the database.
    fn role(&self, said: &str) -> Option<&'static str> {
        let right = said.split([' ', ',', ':']).next().unwrap_or_default();
        let of_delivery = self.delivery.iter().any(|table| said.contains(table.as_str()));
        match right {
            "SELECT" | "INSERT" | "UPDATE" if of_delivery && self.administers() => {
                Some("mailauth_writer, or for deliveries alone mailauth_delivery,")
            }
            "SELECT" | "INSERT" | "UPDATE" if of_delivery => Some("mailauth_delivery"),
            "SELECT" => Some("mailauth_reader"),
            "UPDATE" if !self.is_command => Some("mailauth_password"),
            "INSERT" | "UPDATE" | "DELETE" => Some("mailauth_writer"),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn asker(user: DatabaseUser, is_command: bool) -> Asker {
        let url = "mysql://mail@db/mail".parse().unwrap();
        let config = DatabaseConfig { url, user, ..DatabaseConfig::default() };
        Asker::of(&config, is_command).unwrap().delivering(vec!["mailbox_use".into(), "domain_use".into()])
    }

    #[test]
    fn the_role_is_named_that_has_the_right() {
        let (command, daemon) = (asker(DatabaseUser::Only, true), asker(DatabaseUser::Only, false));
        for (said, of_command, of_daemon) in [
            ("SELECT command denied for table `accounts`", "mailauth_reader", "mailauth_reader"),
            ("INSERT, UPDATE command denied for table `accounts`", "mailauth_writer", "mailauth_writer"),
            ("UPDATE: permission denied for table accounts", "mailauth_writer", "mailauth_password"),
            (
                "UPDATE command denied for table `mailbox_use`",
                "mailauth_writer, or for deliveries alone mailauth_delivery,",
                "mailauth_delivery",
            ),
            ("DELETE command denied for table `accounts`", "mailauth_writer", "mailauth_writer"),
        ] {
            assert!(
                command.advice(said).contains(&format!("the role {of_command} of schema/grants.mysql.sql")),
                "{said}"
            );
            assert!(daemon.advice(said).contains(&format!("the role {of_daemon} of ")), "{said}");
        }
        for said in ["CREATE command denied", "must be owner of table accounts", "permission denied for schema public"]
        {
            assert!(
                command.advice(said).contains("may not make or alter tables; name one that may in [admin] url"),
                "{said}"
            );
        }
    }

    #[test]
    fn what_to_do_depends_on_the_users_that_are_configured() {
        let said = "DELETE command denied";
        let advice = |user| asker(user, true).advice(said);
        assert!(advice(DatabaseUser::Only).ends_with(
            "; name one with that role in [admin] url and password_file, which the mailauth command then uses"
        ));
        let admin = advice(DatabaseUser::Administrator);
        assert!(
            admin.contains("the user mail ([admin] url)") && admin.ends_with("; give that role to this user"),
            "{admin}"
        );
        let why = "/p cannot be read";
        assert!(
            advice(DatabaseUser::Substitute(why.into()))
                .ends_with("; that of [admin] could not be used: /p cannot be read")
        );
    }
}
