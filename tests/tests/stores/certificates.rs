//! Servers with certificates other than those of an authority for this server name. MySQL does not even accept most of
//! these.

use crate::database::Database;
use crate::tls::{certificates, connect};
use mailauth_core::config::TlsMode;
use mailauth_tests::{Certificates, Kind, Unusual, User, on_each_server};
use std::path::PathBuf;

on_each_server!(
    a_self_signed_certificate_is_trusted_if_it_is_in_tls_ca,
    a_bad_certificate_is_explained_with_what_to_do,
);

/// Gives the server another certificate, and returns the file that a client should trust.
fn change_certificate(database: &Database, unusual: Unusual) -> PathBuf {
    let owner = User::named(if matches!(database, Database::Postgres(_)) { "postgres" } else { "mysql" });
    let trusted = certificates(database).become_unusual(unusual, owner);
    match database {
        Database::MariaDb(_) => drop(database.sql("FLUSH SSL")),
        _ => {
            database.server().stop();
            database.server().start();
        }
    }
    trusted
}

fn a_self_signed_certificate_is_trusted_if_it_is_in_tls_ca(kind: Kind) {
    use TlsMode::{VerifyCa, VerifyFull};
    let database = Database::on_own_server(kind).filled();
    let Certificates { stranger, .. } = certificates(&database).clone();
    for unusual in [Unusual::SelfSigned, Unusual::SelfSignedLeaf] {
        let itself = change_certificate(&database, unusual);
        for (host, tls) in [("127.0.0.1", VerifyFull), ("localhost", VerifyFull), ("127.0.0.2", VerifyCa)] {
            let outcome = connect(&database, host, Some(tls), Some(&itself));
            assert!(matches!(outcome, Ok(Some(_))), "{unusual:?} {host} {tls:?}: {outcome:?}");
        }
        let error = connect(&database, "127.0.0.2", Some(VerifyFull), Some(&itself)).unwrap_err().to_string();
        assert!(error.contains("is for another name (localhost, 127.0.0.1); connect by"), "{unusual:?}: {error}");
        let error = connect(&database, "127.0.0.1", Some(VerifyFull), Some(&stranger)).unwrap_err().to_string();
        assert!(
            error.contains("is self-signed and not trusted here; set [database] tls_ca to this certificate"),
            "{unusual:?}: {error}"
        );
    }
    let itself = change_certificate(&database, Unusual::SelfSignedAndExpired);
    for tls in [VerifyFull, VerifyCa] {
        let error = connect(&database, "127.0.0.1", Some(tls), Some(&itself)).unwrap_err().to_string();
        assert!(error.contains("has expired; renew it"), "{tls:?}: {error}");
    }
    // Another certificate with the same name and key type is not this one.
    let old = itself.with_file_name("old.pem");
    std::fs::copy(&itself, &old).unwrap();
    change_certificate(&database, Unusual::SelfSigned);
    let error = connect(&database, "127.0.0.1", Some(VerifyFull), Some(&old)).unwrap_err().to_string();
    assert!(error.contains("is self-signed and not trusted here"), "{error}");
    database.server().crash();
}

fn a_bad_certificate_is_explained_with_what_to_do(kind: Kind) {
    use TlsMode::{Require, VerifyCa, VerifyFull};
    let database = Database::on_own_server(kind).filled();
    for (unusual, said, advice) in [
        (Unusual::Version1, "is X.509 version 1", "create one of version 3 with a subjectAltName"),
        (
            Unusual::WithoutNames,
            "it has no subjectAltName (its CN, localhost, is not used)",
            "create one with subjectAltName = IP:127.0.0.1, or set [database] tls = \"verify-ca\"",
        ),
        (Unusual::KeyOnP521, "has a key that is not supported (ECDSA on P-521)", "ECDSA on P-256 or P-384"),
        (Unusual::AuthorityOnP521, "was issued by a CA with a key that is not supported", "ECDSA on P-256 or P-384"),
        (Unusual::NotYetValid, "is not valid yet", "correct the clocks"),
        (
            Unusual::ForClients,
            "is not for servers, according to its extended key usage",
            "extendedKeyUsage = serverAuth",
        ),
        (Unusual::AnAuthority, "is a CA certificate (CA:TRUE), not one for a server", "CA:FALSE"),
        (Unusual::ByNamesake, "was not signed by the trusted CA of that name", "to its new certificate"),
    ] {
        let trusted = change_certificate(&database, unusual);
        let error = connect(&database, "127.0.0.1", Some(VerifyFull), Some(&trusted)).unwrap_err().to_string();
        let begin = "TLS: the certificate of the server 127.0.0.1 ";
        assert!(error.contains(begin) && error.contains(said) && error.contains(advice), "{unusual:?}: {error}");
        assert!(!error.contains("Error") && !error.contains("Context"), "{unusual:?}: {error}");
        let by_authority = connect(&database, "127.0.0.1", Some(VerifyCa), Some(&trusted));
        assert_eq!(by_authority.is_ok(), unusual == Unusual::WithoutNames, "{unusual:?}: {by_authority:?}");
        let unverified = connect(&database, "127.0.0.1", Some(Require), None);
        assert!(matches!(unverified, Ok(Some(_))), "{unusual:?}: {unverified:?}");
    }
    database.server().crash();
}
