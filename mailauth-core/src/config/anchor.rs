//! Relative paths in a configuration file. They are relative to the folder of that file, not to the working directory.

use super::parse::Parsed;
use super::{Config, DatabaseUrl};
use std::path::{Path, PathBuf};

impl Parsed {
    /// Makes relative paths absolute, based on the folder of `file`. The default database stays relative, because the
    /// file does not name it.
    pub fn anchor(&mut self, file: &Path) {
        // Fails only if the path is empty or the working directory does not exist.
        let file = std::path::absolute(file).unwrap_or_else(|_| file.to_owned());
        let Some(folder) = file.parent() else { return };
        let has_url = self.positions.contains_key(&("database", "url"));
        let Config { database, admin, quota, courier, client, .. } = &mut self.config;
        let of_databases = [Some(&mut database.url).filter(|_| has_url), admin.url.as_mut()].into_iter().flatten();
        let databases = of_databases.filter_map(DatabaseUrl::path_mut);
        let files = [
            &mut database.password_file,
            &mut database.tls_ca,
            &mut database.tls_cert,
            &mut database.tls_key,
            &mut admin.password_file,
            &mut admin.tls_ca,
            &mut admin.tls_cert,
            &mut admin.tls_key,
            &mut quota.warning,
            &mut courier.own_socket,
            &mut client.other_socket,
        ];
        let sockets = [&mut courier.socket, &mut courier.mailboxes, &mut client.socket];
        let paths: Vec<&mut PathBuf> =
            databases.chain(files.into_iter().filter_map(Option::as_mut)).chain(sockets).collect();
        for path in paths {
            *path = folder.join(&path);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::parse::parse;
    use super::*;

    #[test]
    fn a_relative_path_is_relative_to_the_folder_of_the_file() {
        let text = "[database]\nurl = 'sqlite:mail.db'\npassword_file = 'secret'\n[courier]\nsocket = '/run/s'\n";
        let anchored = |text, file| {
            let mut parsed = parse(text, Path::new(file)).unwrap();
            parsed.anchor(Path::new(file));
            parsed.config
        };
        let config = anchored(text, "/etc/m/m.toml");
        assert_eq!(config.database.url.to_string(), "sqlite:/etc/m/mail.db");
        assert_eq!(config.database.password_file.as_deref(), Some(Path::new("/etc/m/secret")));
        assert_eq!(config.courier.socket, Path::new("/run/s"));
        assert_eq!(anchored("", "/etc/m/m.toml").database.url.to_string(), "sqlite:mailauth.db");
        let config = anchored(text, "m.toml");
        let DatabaseUrl::Sqlite { path } = config.database.url else { panic!("another database") };
        assert_eq!(path, std::env::current_dir().unwrap().join("mail.db"));
    }
}
