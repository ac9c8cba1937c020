//! The database fixtures behave as all other tests require.

use mailauth_tests::{Certificates, MariaDb, Postgres, Server, output_with_input};
use std::net::TcpStream;
use std::path::Path;
use std::process::Command;

#[test]
fn mariadb_stops_freezes_and_restarts_with_its_data() {
    let server = MariaDb::start_new();
    let database = server.database();
    database.execute_admin("CREATE TABLE t (x INT); INSERT INTO t VALUES (7)");
    server.freeze();
    TcpStream::connect(("127.0.0.1", server.port())).expect("a frozen server still takes connections");
    server.thaw();
    server.stop();
    TcpStream::connect(("127.0.0.1", server.port())).expect_err("a stopped one refuses them");
    server.start();
    assert_eq!(database.execute_admin("SELECT x FROM t"), "7\n");
    server.crash();
    server.start();
    assert_eq!(database.execute_admin("SELECT x FROM t"), "7\n");
}

#[test]
fn postgres_stops_freezes_and_restarts_with_its_data() {
    let server = Postgres::start_new();
    let database = server.database();
    database.execute_admin("CREATE TABLE t (x INT); INSERT INTO t VALUES (7)");
    server.freeze();
    TcpStream::connect(("127.0.0.1", server.port())).expect("a frozen server still takes connections");
    server.thaw();
    server.stop();
    TcpStream::connect(("127.0.0.1", server.port())).expect_err("a stopped one refuses them");
    server.start();
    assert_eq!(database.execute_admin("SELECT x FROM t"), "7\n");
    server.crash();
    server.start();
    assert_eq!(database.execute_admin("SELECT x FROM t"), "7\n");
}

#[test]
fn databases_of_a_shared_server_are_separate() {
    let (one, two) = (MariaDb::shared().database(), MariaDb::shared().database());
    one.execute_admin("CREATE TABLE t (x INT)");
    assert_eq!(two.execute_admin("SHOW TABLES"), "");
    let (one, two) = (Postgres::shared().database(), Postgres::shared().database());
    one.execute_admin("CREATE TABLE t (x INT)");
    assert_eq!(two.execute_admin("SELECT tablename FROM pg_tables WHERE schemaname = 'public'"), "");
}

/// Returns true if a client that trusts `authority` and connects to `host` accepts the server's certificate.
fn accepted(protocol: &str, port: u16, host: &str, authority: &Path) -> bool {
    let mut client = Command::new("openssl");
    client.args(["s_client", "-starttls", protocol, "-verify_return_error", "-verify_ip", host]);
    client.args(["-connect", &format!("{host}:{port}"), "-CAfile"]).arg(authority);
    output_with_input(&mut client, "").status.success()
}

#[test]
fn certificates_are_valid_for_one_address_and_one_authority() {
    let servers: [(&str, u16, &Certificates); 2] = [
        ("mysql", MariaDb::shared().port(), MariaDb::shared().certificates()),
        ("postgres", Postgres::shared().port(), Postgres::shared().certificates()),
    ];
    for (protocol, port, Certificates { authority, stranger, .. }) in servers {
        assert!(accepted(protocol, port, "127.0.0.1", authority), "{protocol}");
        assert!(!accepted(protocol, port, "127.0.0.2", authority), "{protocol}: another address");
        assert!(!accepted(protocol, port, "127.0.0.1", stranger), "{protocol}: another authority");
    }
}
