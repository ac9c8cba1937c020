//! Starting, reloading and stopping a daemon.

mod harness;

use harness::*;
use mailauth_core::config::CourierConfig;
use mailauth_courier::{BindError, Listener};
use std::io::{Read, Write};
use std::os::unix::fs::{FileTypeExt, PermissionsExt};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::Path;
use std::time::{Duration, Instant};

fn config(socket: &Path) -> CourierConfig {
    CourierConfig { socket: socket.to_owned(), own_socket: None, ..CourierConfig::default() }
}

#[test]
fn stopping_answers_accepted_requests_and_removes_the_socket() {
    let table = two_accounts();
    table.freeze();
    let mut server = serve(&table);
    let mut taken: Vec<UnixStream> = (0..12).map(|_| server.connect()).collect();
    for client in &mut taken {
        client.write_all(pre("slow").as_bytes()).unwrap();
    }
    table.wait_for_waiting(4);
    let mut silent = server.connect();
    let socket = server.socket.clone();
    let running = server.running.take().unwrap();
    let stopping = std::thread::spawn(move || running.stop());
    // No client can connect while it is stopping.
    wait_until("the socket is closed", || UnixStream::connect(&socket).is_err());
    table.thaw();
    for client in &mut taken {
        assert_eq!(read_to_end(client), record("slow"));
    }
    let begin = Instant::now();
    assert_eq!(read_to_end(&mut silent), "", "a client that has sent nothing is closed at once");
    stopping.join().unwrap();
    assert!(begin.elapsed() < Duration::from_secs(5));
    assert!(!server.socket.exists());
}

#[test]
fn stopping_answers_every_request_that_was_sent_before() {
    let mut server = serve(&two_accounts());
    let mut clients: Vec<UnixStream> = (0..300).map(|_| server.connect()).collect();
    // They have been accepted, or are about to be, when a later client is answered.
    assert_eq!(server.ask(pre("anna")), record("anna"));
    for client in &mut clients {
        client.write_all(pre("anna").as_bytes()).unwrap();
    }
    server.stop();
    for client in &mut clients {
        assert_eq!(read_to_end(client), record("anna"));
    }
}

#[test]
fn stopping_completes_an_enumeration() {
    let mut server = serve(&Table::with((0..20_000).map(|n| row(&format!("u{n:05}@x.example"), ""))));
    let mut client = server.connect();
    client.write_all(b"ENUMERATE\n").unwrap();
    client.read_exact(&mut [0; 10]).unwrap();
    let running = server.running.take().unwrap();
    let stopping = std::thread::spawn(move || running.stop());
    assert!(read_to_end(&mut client).ends_with("\n.\n"));
    stopping.join().unwrap();
}

#[test]
fn a_new_configuration_applies_to_new_connections() {
    let table = two_accounts();
    let mut server = serve(&table);
    let mut before = server.connect();
    before.write_all(b"PRE . ").unwrap();
    // It has been accepted when a later client is answered.
    server.ask(pre("anna"));
    let changed = CourierConfig { send_hash: true, ..server.courier.clone() };
    server.running.as_mut().unwrap().reload(settings(changed), backend(&table)).unwrap();
    assert!(server.ask(pre("anna")).contains("PASSWD="));
    before.write_all(b"imap anna\n").unwrap();
    assert_eq!(read_to_end(&mut before), record("anna"));
}

#[test]
fn an_invalid_new_configuration_leaves_the_old_one_in_force() {
    let table = two_accounts();
    let mut server = serve(&table);
    let nowhere = server.folder.path().join("missing/socket");
    let running = server.running.as_mut().unwrap();
    for wrong in [
        CourierConfig { socket: nowhere, send_hash: true, ..server.courier.clone() },
        CourierConfig { allow_users: vec!["no-such-user".into()], send_hash: true, ..server.courier.clone() },
        CourierConfig { socket_group: Some("no-such-group".into()), send_hash: true, ..server.courier.clone() },
    ] {
        assert!(running.reload(settings(wrong), backend(&table)).is_err());
    }
    assert_eq!(server.ask(pre("anna")), record("anna"));
}

#[test]
fn the_socket_moves_and_its_mode_changes_without_a_gap() {
    let table = two_accounts();
    let mut server = serve(&table);
    let mode = |path: &Path| std::fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!(mode(&server.socket), 0o660);
    let wider = CourierConfig { socket_mode: 0o600, ..server.courier.clone() };
    server.running.as_mut().unwrap().reload(settings(wider.clone()), backend(&table)).unwrap();
    assert_eq!(mode(&server.socket), 0o600);
    assert_eq!(server.ask(pre("anna")), record("anna"));
    let old = server.socket.clone();
    server.socket = server.folder.path().join("elsewhere");
    let elsewhere = CourierConfig { socket: server.socket.clone(), ..wider };
    server.running.as_mut().unwrap().reload(settings(elsewhere), backend(&table)).unwrap();
    assert_eq!(server.ask(pre("anna")), record("anna"));
    assert!(!old.exists());
    assert_eq!(server.running.as_ref().unwrap().socket(), server.socket);
}

#[test]
fn a_stale_socket_is_replaced() {
    let folder = tempfile::tempdir().unwrap();
    let socket = folder.path().join("socket");
    drop(UnixListener::bind(&socket).unwrap());
    std::fs::write(folder.path().join("socket.new"), "left behind").unwrap();
    let listener = Listener::bind(&config(&socket)).unwrap();
    assert!(std::fs::metadata(&socket).unwrap().file_type().is_socket());
    drop(listener);
    assert!(!socket.exists());
}

#[test]
fn a_live_socket_is_not_stolen() {
    let folder = tempfile::tempdir().unwrap();
    let socket = folder.path().join("socket");
    let courier = UnixListener::bind(&socket).unwrap();
    let error = Listener::bind(&config(&socket)).unwrap_err();
    assert!(matches!(&error, BindError::Busy(path) if *path == socket), "{error}");
    assert!(error.to_string().contains("stop it first"), "{error}");
    drop(courier);
    let first = Listener::bind(&config(&socket)).unwrap();
    assert!(matches!(Listener::bind(&config(&socket)), Err(BindError::Busy(_))));
    drop(first);
    Listener::bind(&config(&socket)).unwrap();
}

#[test]
fn only_one_of_two_servers_that_start_at_once_succeeds() {
    let folder = tempfile::tempdir().unwrap();
    let config = config(&folder.path().join("socket"));
    for _ in 0..20 {
        let start = || Listener::bind(&config);
        let (a, b) = std::thread::scope(|scope| {
            let other = scope.spawn(start);
            (start(), other.join().unwrap())
        });
        assert!(a.is_ok() != b.is_ok(), "{a:?} {b:?}");
        assert!(UnixStream::connect(&config.socket).is_ok());
    }
}

#[test]
fn a_file_that_is_not_a_socket_is_left_alone() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("socket");
    std::fs::write(&file, "precious").unwrap();
    assert!(matches!(Listener::bind(&config(&file)), Err(BindError::NotASocket(_))));
    assert_eq!(std::fs::read(&file).unwrap(), b"precious");
    let missing = folder.path().join("no/such/folder/socket");
    assert!(matches!(Listener::bind(&config(&missing)), Err(BindError::NoFolder(_))));
}

#[test]
fn a_socket_of_another_program_is_not_removed() {
    let folder = tempfile::tempdir().unwrap();
    let socket = folder.path().join("socket");
    let ours = Listener::bind(&config(&socket)).unwrap();
    std::fs::remove_file(&socket).unwrap();
    let _theirs = UnixListener::bind(&socket).unwrap();
    drop(ours);
    assert!(socket.exists());
}
