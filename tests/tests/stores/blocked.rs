//! MariaDB blocks a host permanently after some interrupted connection attempts.

use crate::database::{account, domain, login};
use mailauth_core::Secret;
use mailauth_core::config::DatabaseConfig;
use mailauth_core::store::{AccountStore, Administration, SqlStore, StoreError, open_pooled, open_single};
use mailauth_tests::{MariaDb, MariaDbDatabase, Proxy, Server, eventually};
use std::io::Read;
use std::net::{Ipv4Addr, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

const SOON: Duration = Duration::from_secs(20);

/// Another address than 127.0.0.1, which is never blocked.
const SOURCE: Ipv4Addr = Ipv4Addr::new(127, 0, 0, 3);

fn config(of: &MariaDbDatabase<'_>, url: &str) -> DatabaseConfig {
    DatabaseConfig {
        url: url.parse().unwrap(),
        password: Secret::from(of.password()),
        deadline: Duration::from_secs(1),
        ..DatabaseConfig::default()
    }
}

/// Returns a database on a server, with an account, and a proxy to it from an address that may be blocked.
fn database(server: &MariaDb) -> (MariaDbDatabase<'_>, Proxy) {
    let of = server.database();
    let store = open_single(&config(&of, &of.url())).unwrap();
    store.init().unwrap();
    store.add_domain(&domain("x.example")).unwrap();
    store.add_account(&account("anna@x.example")).unwrap();
    let proxy = Proxy::from_to(SOURCE, server.port());
    (of, proxy)
}

fn pooled(of: &MariaDbDatabase<'_>, proxy: &Proxy) -> SqlStore {
    let (name, port) = (of.name(), proxy.port());
    open_pooled(&config(of, &format!("mysql://{name}@127.0.0.1:{port}/{name}"))).unwrap()
}

fn find(store: &SqlStore) -> Result<(), StoreError> {
    assert_eq!(store.find(&login("anna@x.example"))?, Some(account("anna@x.example")));
    Ok(())
}

#[test]
fn a_long_frozen_server_does_not_block_this_host_afterwards() {
    // Three threads that retry after a second each reach this number in seconds.
    let server = MariaDb::start_new_that_blocks(20);
    let (of, proxy) = database(&server);
    let store = pooled(&of, &proxy);
    find(&store).unwrap();
    server.freeze();
    let over = AtomicBool::new(false);
    std::thread::scope(|scope| {
        for _ in 0..8 {
            scope.spawn(|| {
                while !over.load(Ordering::Relaxed) {
                    assert!(find(&store).unwrap_err().is_outage());
                    std::thread::sleep(Duration::from_millis(50));
                }
            });
        }
        std::thread::sleep(Duration::from_secs(25));
        over.store(true, Ordering::Relaxed);
    });
    server.thaw();
    eventually("an answer", SOON, || match find(&store) {
        Ok(()) => true,
        Err(error) => {
            assert!(!error.to_string().contains("1129"), "{error}");
            false
        }
    });
    assert!(server.admin("SHOW GLOBAL STATUS LIKE 'Aborted_connects'").trim().ends_with(char::is_numeric));
}

#[test]
fn a_blocked_host_is_explained_and_served_once_unblocked() {
    let server = MariaDb::start_new_that_blocks(1);
    let (of, proxy) = database(&server);
    let store = pooled(&of, &proxy);
    eventually("a host that is blocked", SOON, || {
        let mut client = TcpStream::connect(("127.0.0.1", proxy.port())).unwrap();
        let mut greeting = [0; 200];
        let count = client.read(&mut greeting).unwrap();
        String::from_utf8_lossy(&greeting[..count]).contains("is blocked")
    });
    let error = find(&store).unwrap_err();
    let text = error.to_string();
    assert!(error.is_outage() && text.contains("(1129)"), "{text}");
    assert!(text.contains("mariadb-admin flush-hosts") && text.contains("max_connect_errors"), "{text}");
    assert!(!store.state().hosts[0].live);
    server.admin("FLUSH HOSTS");
    eventually("an answer", SOON, || find(&store).is_ok());
}
