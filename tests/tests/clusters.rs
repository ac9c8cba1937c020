//! The fixtures of replicated databases behave as the tests of outages require.

use mailauth_tests::{Cluster, Galera, MariaDbPair, PostgresPair, Proxy, ProxyMode, eventually, output_with_input};
use std::io::{ErrorKind, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::process::Command;
use std::time::{Duration, Instant};

const LIMIT: Duration = Duration::from_secs(30);

#[test]
fn mariadb_replicates_and_switches_both_ways() {
    let pair = MariaDbPair::start();
    let name = pair.accounts().mariadb().name();
    pair_replicates_and_switches(&pair, |number, sql| {
        let mut command = Command::new("mariadb");
        command.args(["--no-defaults", "--batch", "--skip-column-names", "--host=127.0.0.1", "--connect-timeout=5"]);
        command.args([format!("--port={}", pair.ports()[number]), format!("--user={name}"), name.to_owned()]);
        command.env("MYSQL_PWD", pair.accounts().mariadb().password());
        all_of(&mut command, sql)
    });
}

#[test]
fn postgres_replicates_and_switches_both_ways() {
    let pair = PostgresPair::start();
    let name = pair.accounts().postgres().name();
    pair_replicates_and_switches(&pair, |number, sql| {
        let mut command = Command::new("psql");
        command.args(["--no-psqlrc", "--quiet", "--no-align", "--tuples-only", "--host=127.0.0.1"]);
        command.args([format!("--port={}", pair.ports()[number]), format!("--username={name}"), name.to_owned()]);
        command.env("PGPASSWORD", pair.accounts().postgres().password());
        all_of(&mut command, sql)
    });
}

/// Returns all output of a client that runs this SQL.
fn all_of(client: &mut Command, sql: &str) -> String {
    let output = output_with_input(client, sql);
    String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned()
}

/// Tests a pair. `say` runs SQL on one of the two as their mail user, and returns its output.
fn pair_replicates_and_switches(pair: &dyn Cluster, say: impl Fn(usize, &str) -> String) {
    let switch = pair.switch().expect("a pair");
    say(0, "CREATE TABLE t (x INT); INSERT INTO t VALUES (7)");
    pair.wait_until_replicated();
    assert_eq!(say(1, "SELECT x FROM t"), "7\n");
    for (number, writable) in [(1, 0), (0, 1)] {
        let refusal = say(number, "INSERT INTO t VALUES (8)").to_lowercase();
        assert!(refusal.contains("read-only"), "a write on server {number}: {refusal:?}");
        switch.demote();
        switch.promote();
        switch.follow();
        assert_eq!(switch.writable(), number);
        assert_eq!(say(number, "INSERT INTO t VALUES (7)"), "", "on the new primary");
        pair.wait_until_replicated();
        assert_eq!(say(writable, "SELECT DISTINCT x FROM t"), "7\n");
    }
    // What was written before a crash still exists, and is replicated to the other server.
    pair.servers()[0].crash();
    pair.servers()[1].crash();
    pair.bring_all_back();
    assert_eq!(say(0, "INSERT INTO t VALUES (9)"), "");
    pair.wait_until_replicated();
    assert_eq!(say(1, "SELECT COUNT(*) FROM t"), "4\n");
    assert!(say(1, "INSERT INTO t VALUES (8)").to_lowercase().contains("read-only"), "after a restart too");

    let user = say(0, "SELECT CURRENT_USER");
    let crowd = pair.servers()[1].fill_up(user.split('@').next().expect("a name").trim());
    let refusal = say(1, "SELECT x FROM t").to_lowercase();
    assert!(refusal.contains("too many"), "{refusal:?}");
    drop(crowd);
    eventually("a place", LIMIT, || say(1, "SELECT COUNT(*) FROM t") == "4\n");
}

#[test]
fn galera_replicates_loses_its_majority_and_recovers() {
    let galera = Galera::start();
    let accounts = galera.accounts();
    accounts.admin(&["account", "import", "-"], "login\nanna@example.org\n");
    galera.wait_until_replicated();
    for number in 0..3 {
        assert!(galera.is_synced(number), "node {number}");
    }
    let database = accounts.mariadb();
    let count = || database.execute_admin("SELECT COUNT(*) FROM accounts");
    assert_eq!(count(), "1\n");
    for number in [1, 2] {
        galera.servers()[number].crash();
    }
    galera.wait_until_alone(0);
    galera.make_whole(0);
    assert_eq!(count(), "1\n");
    for number in [1, 2] {
        galera.bring_back(number);
    }
    for server in galera.servers() {
        server.crash();
    }
    galera.bring_all_back();
    assert_eq!(count(), "1\n");
}

/// Returns a proxy to a server that answers each byte with ten.
fn echo_proxy() -> Proxy {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let port = listener.local_addr().expect("its number").port();
    std::thread::spawn(move || {
        for mut client in listener.incoming().flatten() {
            std::thread::spawn(
                move || {
                    while client.read_exact(&mut [0]).is_ok() && client.write_all(b"0123456789").is_ok() {}
                },
            );
        }
    });
    Proxy::to(port)
}

/// Sends one byte, and returns the result and how long it took.
fn ask(client: &mut TcpStream) -> (Result<usize, ErrorKind>, Duration) {
    client.set_read_timeout(Some(Duration::from_millis(400))).expect("a limit");
    let begin = Instant::now();
    let outcome = client.write_all(b"?").and_then(|()| client.read(&mut [0; 10])).map_err(|error| error.kind());
    (outcome, begin.elapsed())
}

#[test]
fn a_proxy_delays_truncates_resets_and_drops() {
    let proxy = echo_proxy();
    let connect = || TcpStream::connect(("127.0.0.1", proxy.port())).expect("the proxy");
    let mut client = connect();
    assert_eq!(ask(&mut client).0, Ok(10));
    proxy.set(ProxyMode::Slow(Duration::from_millis(100)));
    let (outcome, took) = ask(&mut client);
    assert_eq!(outcome, Ok(10));
    assert!(took >= Duration::from_millis(100), "{took:?}");
    proxy.set(ProxyMode::CutInReply);
    assert_eq!(ask(&mut client).0, Ok(5));
    assert_eq!(ask(&mut client).0.unwrap_or(0), 0, "and then the end");
    proxy.set(ProxyMode::Blackhole);
    assert_eq!(ask(&mut connect()).0, Err(ErrorKind::WouldBlock));
    proxy.set(ProxyMode::Open);
    let mut client = connect();
    assert_eq!(ask(&mut client).0, Ok(10));
    proxy.set(ProxyMode::Reset);
    let reset = [ErrorKind::ConnectionReset, ErrorKind::BrokenPipe, ErrorKind::NotConnected];
    assert!(ask(&mut client).0.is_err_and(|error| reset.contains(&error)), "one that was open");
    assert!(ask(&mut connect()).0.is_err_and(|error| reset.contains(&error)), "and a new one");
    assert!(proxy.spoiled() >= 5, "{} counted of: slow, cut, swallowed, reset, turned away", proxy.spoiled());
}
