//! `[admin]`: the database user of the `mailauth` command, if it is not the daemon's.

use super::{Config, DatabaseConfig, DatabaseUrl, DatabaseUser, TlsMode};
use crate::Secret;
use std::path::PathBuf;

/// The section `[admin]`. What is not set here has the value from `[database]`.
#[derive(Clone, Debug, Default)]
pub struct AdminConfig {
    /// `url`: the same database with another user. `None`: the user of `[database]` does all work.
    pub url: Option<DatabaseUrl>,
    /// `password_file`: a file that contains only the password.
    pub password_file: Option<PathBuf>,
    /// The password from that file. Only the `mailauth` command reads it; otherwise it is empty.
    pub password: Secret,
    /// The reason why this process cannot read the file.
    pub unreadable: Option<String>,
    /// `tls`, as in `[database]`.
    pub tls: Option<TlsMode>,
    /// `tls_ca`, as in `[database]`.
    pub tls_ca: Option<PathBuf>,
    /// `tls_cert`, as in `[database]`.
    pub tls_cert: Option<PathBuf>,
    /// `tls_key`, as in `[database]`.
    pub tls_key: Option<PathBuf>,
}

impl Config {
    /// Returns the database with the user of `[admin]`, if that section names one.
    pub fn administrator(&self) -> Option<DatabaseConfig> {
        let AdminConfig { url, password_file, password, unreadable, tls, tls_ca, tls_cert, tls_key } = &self.admin;
        let database = &self.database;
        let identity = match tls_cert {
            Some(_) => (tls_cert, tls_key),
            None => (&database.tls_cert, &database.tls_key),
        };
        Some(DatabaseConfig {
            user: DatabaseUser::Administrator,
            url: url.clone()?,
            password_file: password_file.clone(),
            password: password.clone(),
            unreadable: unreadable.clone(),
            tls: tls.or(database.tls),
            tls_ca: tls_ca.clone().or_else(|| database.tls_ca.clone()),
            tls_cert: identity.0.clone(),
            tls_key: identity.1.clone(),
            ..database.clone()
        })
    }

    /// Returns the database as the `mailauth` command opens it: as the user of `[admin]`, or as the daemon's user if
    /// there is no other or its password cannot be read.
    pub fn for_administration(&self) -> DatabaseConfig {
        match self.administrator() {
            Some(DatabaseConfig { unreadable: Some(why), .. }) => {
                DatabaseConfig { user: DatabaseUser::Substitute(why), ..self.database.clone() }
            }
            Some(administrator) => administrator,
            None => self.database.clone(),
        }
    }

    /// Returns the keys of `[admin]` that are wrong in combination with others, and what is wrong.
    pub(super) fn check_admin(&self) -> Vec<(&'static str, String)> {
        let AdminConfig { url, password_file, tls, tls_ca, tls_cert, tls_key, .. } = &self.admin;
        let Some(url) = url else {
            let set = [
                ("password_file", password_file.is_some()),
                ("tls", tls.is_some()),
                ("tls_ca", tls_ca.is_some()),
                ("tls_cert", tls_cert.is_some()),
                ("tls_key", tls_key.is_some()),
            ];
            let problem = "has no effect without a user; set [admin] url, or leave this key out";
            return set.iter().filter(|(_, set)| *set).map(|(key, _)| (*key, problem.to_owned())).collect();
        };
        let mut found = Vec::new();
        if let Some(problem) = another_database(url, &self.database.url) {
            found.push(("url", problem));
        }
        match (tls_cert, tls_key) {
            (Some(_), None) => found.push(("tls_cert", "needs its private key; set tls_key too".to_owned())),
            (None, Some(_)) => {
                found.push(("tls_key", "needs its certificate; set tls_cert too".to_owned()));
            }
            _ => {}
        }
        found
    }
}

/// Returns why the URL of `[admin]` is not for the database of `[database]`; `None` if it is.
fn another_database(admin: &DatabaseUrl, database: &DatabaseUrl) -> Option<String> {
    let kinds = (admin.scheme(), database.scheme());
    let (Some(admin), Some(database)) = (admin.server(), database.server()) else {
        return Some(
            "SQLite has no users: access depends on the permissions of its file; leave out the section [admin], and \
             run mailauth as a user that may write to the file"
                .to_owned(),
        );
    };
    if kinds.0 != kinds.1 {
        return Some(
            "is for a different kind of server than [database] url; write the same URL with another user".into(),
        );
    }
    if admin.database != database.database {
        let (here, there) = (&admin.database, &database.database);
        return Some(format!("names the database {here}, but [database] url names {there}; write the same name"));
    }
    None
}
