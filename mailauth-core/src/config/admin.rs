//! `[admin]`: the user by whom the `mailauth` command works with the database, where that is not the daemon's.

use super::{Config, DatabaseConfig, DatabaseUrl, DatabaseUser, TlsMode};
use crate::Secret;
use std::path::PathBuf;

/// `[admin]`. What is not set here is as in `[database]`.
#[derive(Clone, Debug, Default)]
pub struct AdminConfig {
    /// `url`: the same database, with another user; none leaves all work to the user of `[database]`.
    pub url: Option<DatabaseUrl>,
    /// `password_file`: a file with nothing but the password.
    pub password_file: Option<PathBuf>,
    /// The password in it; empty where it was not read, which only the `mailauth` command does.
    pub password: Secret,
    /// Why this process may not read it.
    pub unreadable: Option<String>,
    /// `tls`.
    pub tls: Option<TlsMode>,
    /// `tls_ca`.
    pub tls_ca: Option<PathBuf>,
    /// `tls_cert`.
    pub tls_cert: Option<PathBuf>,
    /// `tls_key`.
    pub tls_key: Option<PathBuf>,
}

impl Config {
    /// Returns the database as the user of `[admin]`, if one is named there.
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

    /// Returns the database as the `mailauth` command works with it: as the user of `[admin]`, or where there is none
    /// or its password may not be read, as the daemon's.
    pub fn for_administration(&self) -> DatabaseConfig {
        match self.administrator() {
            Some(DatabaseConfig { unreadable: Some(why), .. }) => {
                DatabaseConfig { user: DatabaseUser::Substitute(why), ..self.database.clone() }
            }
            Some(administrator) => administrator,
            None => self.database.clone(),
        }
    }

    /// What is wrong with `[admin]` as a whole: keys with the problem.
    pub(super) fn contradictions_of_admin(&self) -> Vec<(&'static str, String)> {
        let AdminConfig { url, password_file, tls, tls_ca, tls_cert, tls_key, .. } = &self.admin;
        let Some(url) = url else {
            let set = [
                ("password_file", password_file.is_some()),
                ("tls", tls.is_some()),
                ("tls_ca", tls_ca.is_some()),
                ("tls_cert", tls_cert.is_some()),
                ("tls_key", tls_key.is_some()),
            ];
            let problem = "is of no use without a user; name that in [admin] url, or leave this out";
            return set.iter().filter(|(_, set)| *set).map(|(key, _)| (*key, problem.to_owned())).collect();
        };
        let mut found = Vec::new();
        if let Some(problem) = another_database(url, &self.database.url) {
            found.push(("url", problem));
        }
        match (tls_cert, tls_key) {
            (Some(_), None) => found.push(("tls_cert", "needs its private key; name that in tls_key".to_owned())),
            (None, Some(_)) => {
                found.push(("tls_key", "is of no use without its certificate; name that in tls_cert".to_owned()));
            }
            _ => {}
        }
        found
    }
}

/// Why the URL of `[admin]` cannot be for the database of `[database]`, if it cannot.
fn another_database(admin: &DatabaseUrl, database: &DatabaseUrl) -> Option<String> {
    let kinds = (admin.scheme(), database.scheme());
    let (Some(admin), Some(database)) = (admin.server(), database.server()) else {
        return Some(
            "SQLite has no users: the modes of its file say who may do what; leave the section [admin] out, and run \
             mailauth as a user that may write to the file"
                .to_owned(),
        );
    };
    if kinds.0 != kinds.1 {
        return Some("is for another kind of server than [database] url; write the same one, with another user".into());
    }
    if admin.database != database.database {
        let (here, there) = (&admin.database, &database.database);
        return Some(format!("names the database {here}, and [database] url {there}; write the same one"));
    }
    None
}
