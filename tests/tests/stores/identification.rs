//! How MariaDB identifies the user of the database: by any method that its administrator chose.

use crate::database::{Database, account, login};
use mailauth_core::Secret;
use mailauth_core::config::{DatabaseConfig, TlsMode};
use mailauth_core::store::{AccountStore, open_pooled, open_single};
use mailauth_tests::{Kind, MariaDb, Server};
use std::path::Path;

/// Logs in as a new user identified by `by`, by the socket and by TCP, with the stores of commands and of the daemon.
fn a_user_can_log_in(name: &str, by: &str) {
    let database = Database::empty(Kind::MariaDb).filled();
    let Database::MariaDb(of) = &database else { unreachable!("it is MariaDB") };
    let user = format!("{name}_{}", of.name());
    of.server()
        .admin(&format!("CREATE USER {user}@'%' IDENTIFIED VIA {by}; GRANT ALL ON {}.* TO {user}@'%'", of.name()));
    let by_tcp = of.url_tcp("127.0.0.1").replacen(of.name(), &user, 1);
    let by_tls = DatabaseConfig {
        tls: Some(TlsMode::VerifyFull),
        tls_ca: Some(of.server().certificates().authority.clone()),
        ..database.config_at(&by_tcp)
    };
    for config in [database.config_at(&of.url_as(&user)), database.config_at(&by_tcp), by_tls] {
        let right = DatabaseConfig { password: Secret::from("secret words"), ..config.clone() };
        for store in [open_single(&right).unwrap(), open_pooled(&right).unwrap()] {
            let found = store.find(&login("anna@x.example"));
            assert_eq!(found.unwrap_or_else(|error| panic!("{name}: {error}")), Some(account("anna@x.example")));
        }
        let wrong = DatabaseConfig { password: Secret::from("other words"), ..config };
        let error = open_single(&wrong).unwrap().find(&login("anna@x.example")).unwrap_err();
        assert!(error.is_outage() && error.to_string().contains("Access denied"), "{name}: {error}");
    }
}

#[test]
fn users_with_native_password_can_log_in() {
    a_user_can_log_in("native", "mysql_native_password USING PASSWORD('secret words')");
}

#[test]
fn users_with_ed25519_can_log_in() {
    MariaDb::shared().admin("INSTALL PLUGIN IF NOT EXISTS ed25519 SONAME 'auth_ed25519'");
    a_user_can_log_in("ed25519", "ed25519 USING PASSWORD('secret words')");
}

/// MariaDB has it since 11.6.
#[test]
fn users_with_parsec_can_log_in_if_the_server_supports_it() {
    let server = MariaDb::shared();
    let folder = server.admin("SELECT @@plugin_dir");
    if !Path::new(folder.trim()).join("auth_parsec.so").exists() {
        println!("NOT TESTED: {} has no parsec", server.admin("SELECT VERSION()").trim());
        return;
    }
    server.admin("INSTALL PLUGIN IF NOT EXISTS parsec SONAME 'auth_parsec'");
    a_user_can_log_in("parsec", "parsec USING PASSWORD('secret words')");
}
