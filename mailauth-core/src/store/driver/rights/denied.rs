//! Advice about a statement that the database refuses because its user lacks a privilege.

use crate::config::{DatabaseConfig, DatabaseUser};

/// The database user, and the file that lists the privileges of each role.
pub(in crate::store) struct RightsAdvisor {
    /// Name of the user in the URL.
    name: String,
    user: DatabaseUser,
    /// File with the grants of each role.
    grants: &'static str,
    /// Tables that deliveries change.
    delivery: Vec<String>,
    /// True for the administrator's command, false for a daemon.
    is_command: bool,
}

impl RightsAdvisor {
    /// Returns the user of a database; `None` if the database has no users.
    pub fn of(config: &DatabaseConfig, is_command: bool) -> Option<Self> {
        let (server, grants) = (config.url.server()?, config.url.grants_file()?);
        let (name, user) = (server.user.clone(), config.user.clone());
        Some(RightsAdvisor { name, user, grants, delivery: Vec::new(), is_command })
    }

    /// Sets the tables that deliveries change.
    pub fn delivering(self, tables: Vec<String>) -> Self {
        RightsAdvisor { delivery: tables, ..self }
    }

    /// Returns what to do, given the server's message, which begins with the missing privilege.
    pub fn advice(&self, said: &str) -> String {
        let RightsAdvisor { name, user, grants, .. } = self;
        let section = user.section();
        let Some(role) = self.role(said) else {
            let problem = format!("the user {name} ([{section}] url) may not create or alter tables");
            let own = "make it the owner of the tables, or allow it to create them";
            return format!("{problem}; {}", self.remedy("one that may", own));
        };
        let problem = format!("the user {name} ([{section}] url) lacks a privilege of the role {role} in {grants}");
        let advice = match (user, role) {
            (DatabaseUser::Only, role) if role.starts_with("mailauth_writer") => "",
            (DatabaseUser::Only | DatabaseUser::Daemon, _) => "grant that role to this user",
            _ => "",
        };
        match advice {
            "" => format!("{problem}; {}", self.remedy("one with that role", "grant that role to this user")),
            advice => format!("{problem}; {advice}"),
        }
    }

    /// Returns what to do if a separate user may be configured for this: about the `other` user, or about `this` one.
    fn remedy(&self, other: &str, this: &str) -> String {
        match &self.user {
            DatabaseUser::Administrator => this.to_owned(),
            DatabaseUser::Substitute(why) => format!("the user in [admin] could not be used: {why}"),
            DatabaseUser::Only | DatabaseUser::Daemon => {
                format!("configure {other} in [admin] url and password_file, for the mailauth command to use")
            }
        }
    }

    /// Returns true if the statement may be a change of an account by the administrator, rather than a delivery.
    fn administers(&self) -> bool {
        self.is_command && self.user != DatabaseUser::Daemon
    }

    /// Returns the role that has the privilege; `None` if only an administrator of the database does.
    fn role(&self, said: &str) -> Option<&'static str> {
        let right = said.split([' ', ',', ':']).next().unwrap_or_default();
        let of_delivery = self.delivery.iter().any(|table| said.contains(table.as_str()));
        match right {
            "SELECT" | "INSERT" | "UPDATE" if of_delivery && self.administers() => {
                Some("mailauth_writer (or mailauth_delivery for deliveries only)")
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

    fn advisor(user: DatabaseUser, is_command: bool) -> RightsAdvisor {
        let url = "mysql://mail@db/mail".parse().unwrap();
        let config = DatabaseConfig { url, user, ..DatabaseConfig::default() };
        RightsAdvisor::of(&config, is_command).unwrap().delivering(vec!["mailbox_use".into(), "domain_use".into()])
    }

    #[test]
    fn the_advice_names_the_role_that_has_the_privilege() {
        let (command, daemon) = (advisor(DatabaseUser::Only, true), advisor(DatabaseUser::Only, false));
        for (said, of_command, of_daemon) in [
            ("SELECT command denied for table `accounts`", "mailauth_reader", "mailauth_reader"),
            ("INSERT, UPDATE command denied for table `accounts`", "mailauth_writer", "mailauth_writer"),
            ("UPDATE: permission denied for table accounts", "mailauth_writer", "mailauth_password"),
            (
                "UPDATE command denied for table `mailbox_use`",
                "mailauth_writer (or mailauth_delivery for deliveries only)",
                "mailauth_delivery",
            ),
            ("DELETE command denied for table `accounts`", "mailauth_writer", "mailauth_writer"),
        ] {
            assert!(
                command.advice(said).contains(&format!("the role {of_command} in schema/grants.mysql.sql")),
                "{said}"
            );
            assert!(daemon.advice(said).contains(&format!("the role {of_daemon} in ")), "{said}");
        }
        for said in ["CREATE command denied", "must be owner of table accounts", "permission denied for schema public"]
        {
            assert!(
                command.advice(said).contains("may not create or alter tables; configure one that may in [admin] url"),
                "{said}"
            );
        }
    }

    #[test]
    fn what_to_do_depends_on_the_users_that_are_configured() {
        let said = "DELETE command denied";
        let advice = |user| advisor(user, true).advice(said);
        assert!(advice(DatabaseUser::Only).ends_with(
            "; configure one with that role in [admin] url and password_file, for the mailauth command to use"
        ));
        let admin = advice(DatabaseUser::Administrator);
        assert!(
            admin.contains("the user mail ([admin] url)") && admin.ends_with("; grant that role to this user"),
            "{admin}"
        );
        let why = "/p cannot be read";
        assert!(
            advice(DatabaseUser::Substitute(why.into()))
                .ends_with("; the user in [admin] could not be used: /p cannot be read")
        );
    }
}
