//! When a server is trusted. Its certificate is for `localhost` and 127.0.0.1, by an authority of the tests.

use crate::database::{Database, login};
use mailauth_core::Secret;
use mailauth_core::config::{DatabaseConfig, DatabaseUrl, TlsMode};
use mailauth_core::store::{AccountStore, Administration, StoreError, open_pooled, open_single};
use mailauth_tests::{Certificates, Kind, Server, on_each_server_and_mysql};
use std::path::PathBuf;

on_each_server_and_mysql!(
    connections_are_as_secret_as_configured,
    an_unreadable_authority_is_reported_when_opening_the_store,
    a_server_without_tls_gets_no_clear_connection,
    errors_of_a_server_are_explained_with_what_to_do,
    a_client_certificate_is_accepted_where_required,
);

pub fn certificates(database: &Database) -> &Certificates {
    match database {
        Database::Sqlite(_) => panic!("SQLite has no server"),
        Database::MariaDb(database) => database.server().certificates(),
        Database::Postgres(database) => database.server().certificates(),
    }
}

/// Returns the connection's TLS as the server sees it, or why there is none.
pub fn connect(
    database: &Database,
    host: &str,
    tls: Option<TlsMode>,
    ca: Option<&PathBuf>,
) -> Result<Option<String>, StoreError> {
    let mut config = database.config_tcp(&[host]);
    (config.tls, config.tls_ca) = (tls, ca.cloned());
    let pooled = open_pooled(&config).expect("a configuration that can work");
    let outcome = pooled.find(&login("anna@x.example")).map(|row| assert!(row.is_some()));
    let report = open_single(&config).expect("a configuration that can work").report();
    assert_eq!(outcome.is_ok(), report.is_ok(), "{outcome:?} {report:?}");
    report.map(|report| report.tls)
}

fn connections_are_as_secret_as_configured(kind: Kind) {
    let database = Database::empty(kind).filled();
    let Certificates { authority, stranger, .. } = certificates(&database);
    let (named, unnamed) = ("127.0.0.1", "127.0.0.2");
    use TlsMode::{Disable, Require, VerifyCa, VerifyFull};
    for (host, tls, ca, encrypted) in [
        (named, None, None, Some(false)),
        (named, Some(Disable), None, Some(false)),
        (named, Some(Require), None, Some(true)),
        (unnamed, Some(Require), Some(stranger), Some(true)),
        (named, Some(VerifyCa), Some(authority), Some(true)),
        (unnamed, Some(VerifyCa), Some(authority), Some(true)),
        (named, Some(VerifyCa), Some(stranger), None),
        (named, Some(VerifyCa), None, None),
        (named, Some(VerifyFull), Some(authority), Some(true)),
        ("localhost", Some(VerifyFull), Some(authority), Some(true)),
        (unnamed, Some(VerifyFull), Some(authority), None),
        (named, Some(VerifyFull), Some(stranger), None),
        (named, Some(VerifyFull), None, None),
    ] {
        let (asked, outcome) = (tls, connect(&database, host, tls, ca));
        match (&outcome, encrypted) {
            (Ok(tls), Some(encrypted)) => assert_eq!(tls.is_some(), encrypted, "{tls:?}"),
            (Err(error), None) => {
                assert!(error.to_string().contains("certificate"), "{host} {tls:?} {ca:?}: {error}");
            }
            _ => panic!("{host} {tls:?} {ca:?}: {outcome:?}"),
        }
        if let Ok(Some(tls)) = outcome {
            assert!(tls.starts_with("TLSv1."), "{tls}");
            let trust = match asked.expect("TLS") {
                Require => "certificate not verified".to_owned(),
                VerifyCa => format!("certificate from a CA in {}", authority.display()),
                _ => format!("certificate for {host} from a CA in {}", authority.display()),
            };
            assert!(tls.contains(&trust), "{tls}");
        }
    }
}

fn an_unreadable_authority_is_reported_when_opening_the_store(kind: Kind) {
    let database = Database::empty(kind);
    let mut config = database.config_tcp(&["127.0.0.1"]);
    config.tls = Some(TlsMode::VerifyFull);
    for path in ["/nonexistent/ca.pem", "/dev/null"] {
        config.tls_ca = Some(path.into());
        let error = open_single(&config).map(|_| ()).unwrap_err().to_string();
        assert!(error.contains("tls_ca") && error.contains(path), "{error}");
    }
}

fn a_server_without_tls_gets_no_clear_connection(kind: Kind) {
    let database = Database::empty(kind).filled();
    // Stands in for the server, and reports that it does not support TLS.
    let plain = plain_server(kind);
    let mut config = database.config_tcp(&[&plain]);
    config.tls = Some(TlsMode::Require);
    let error = open_single(&config).unwrap().find(&login("anna@x.example")).unwrap_err();
    assert!(matches!(error, StoreError::Unreachable { .. }), "{error:?}");
    let said = error.to_string();
    assert!(said.contains("the server does not offer TLS") && said.contains("enable TLS on the server"), "{said}");
}

/// Starts a server that greets as if it was built without TLS, and returns its address.
fn plain_server(kind: Kind) -> String {
    use std::io::{Read, Write};
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap().to_string();
    std::thread::spawn(move || {
        let (mut client, _) = listener.accept().unwrap();
        if kind == Kind::Postgres {
            // SSLRequest: 8 bytes. N means no.
            client.read_exact(&mut [0; 8]).unwrap();
            client.write_all(b"N").unwrap();
        } else {
            // Protocol::HandshakeV10 with only the capabilities of 4.1, secure connection and plugin authentication.
            let mut greeting = b"\x0a10.11.0-MariaDB\0\x01\0\0\0abcdefgh\0".to_vec();
            greeting.extend([0x00, 0x82, 33, 2, 0, 0x08, 0x00, 21]);
            greeting.extend([0; 10]);
            greeting.extend(b"123456789012\0mysql_native_password\0");
            let length = u8::try_from(greeting.len()).unwrap();
            client.write_all(&[&[length, 0, 0, 0], &greeting[..]].concat()).unwrap();
        }
        let mut rest = Vec::new();
        let _ = client.read_to_end(&mut rest);
        // COM_QUIT reveals nothing.
        assert!(rest.is_empty() || rest == [1, 0, 0, 0, 1], "it said {rest:?} in clear");
    });
    address
}

fn errors_of_a_server_are_explained_with_what_to_do(kind: Kind) {
    let database = Database::on_own_server(kind).filled();
    let Certificates { authority, stranger, .. } = certificates(&database);
    let told = |host: &str, ca: &PathBuf| {
        let outcome = connect(&database, host, Some(TlsMode::VerifyFull), Some(ca));
        outcome.expect_err("a server that cannot be trusted").to_string()
    };
    for (host, ca, said, advice) in [
        ("127.0.0.2", authority, "of the server 127.0.0.2 is for another name", "install one for 127.0.0.2"),
        ("127.0.0.1", stranger, "was issued by a CA that is not trusted here", "set [database] tls_ca"),
    ] {
        let error = told(host, ca);
        assert!(error.contains(said) && error.contains(advice), "{error}");
    }
    certificates(&database).expire();
    database.server().stop();
    database.server().start();
    let error = told("127.0.0.1", authority);
    assert!(error.contains("of the server 127.0.0.1 has expired") && error.contains("renew it"), "{error}");
    database.server().crash();
}

fn a_client_certificate_is_accepted_where_required(kind: Kind) {
    let database = Database::empty(kind).filled();
    let user = database.wants_certificates();
    let authority = certificates(&database).authority.clone();
    let mut config = database.config_tcp(&["127.0.0.1"]);
    let mut server = match config.url {
        DatabaseUrl::Mysql(ref server) | DatabaseUrl::Postgres(ref server) => server.clone(),
        DatabaseUrl::Sqlite { .. } => panic!("SQLite has no users"),
    };
    server.user = user;
    config.url = match kind {
        Kind::Postgres => DatabaseUrl::Postgres(server),
        _ => DatabaseUrl::Mysql(server),
    };
    config.password = Secret::from("secret");
    (config.tls, config.tls_ca) = (Some(TlsMode::VerifyFull), Some(authority));
    let finds = |config: &DatabaseConfig| {
        open_single(config).expect("a configuration that can work").find(&login("anna@x.example"))
    };
    assert!(matches!(finds(&config), Err(StoreError::Refused { .. } | StoreError::Unreachable { .. })));
    let (cert, key) = certificates(&database).client("client");
    (config.tls_cert, config.tls_key) = (Some(cert), Some(key));
    assert!(finds(&config).expect("an answer").is_some());

    let mut mixed = config.clone();
    mixed.tls_key = Some(certificates(&database).client("other").1);
    let error = open_single(&mixed).map(|_| ()).unwrap_err().to_string();
    assert!(error.starts_with("tls_cert: ") && error.contains("it cannot be used with tls_key"), "{error}");
    for name in ["tls_cert", "tls_key"] {
        let mut broken = config.clone();
        *(if name == "tls_cert" { &mut broken.tls_cert } else { &mut broken.tls_key }) = Some("/dev/null".into());
        let error = open_single(&broken).map(|_| ()).unwrap_err().to_string();
        assert!(error.starts_with(&format!("{name}: /dev/null: ")), "{error}");
    }
}
