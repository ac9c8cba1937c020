//! How the daemon starts, stops, reads its configuration again, and which users it permits.

#[path = "lifecycle/passed.rs"]
mod passed;

use mailauth_tests::people::{ANNA, PASSWORD, SLOW_HASH, SLOW_PASSWORD, people};
use mailauth_tests::wire::{Manner, Outcome, ask, auth, connect, login, pre};
use mailauth_tests::{Accounts, Kind, Mailauth, Scratch, User, as_user, eventually, output_with_input, program};
use std::fs;
use std::io::{Read, Write};
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::Path;
use std::process::Command;
use std::time::Duration;

const NOBODY: User = User { uid: 65534, gid: 65534 };

fn accounts() -> Accounts {
    Accounts::empty(Kind::Sqlite).with(&people(Path::new("/var/mail")))
}

#[test]
fn sigterm_finishes_accepted_requests_and_accepts_no_more() {
    let accounts = accounts().with(&format!("login,password\ndear@example.org,{SLOW_HASH}\n"));
    let mut server = Mailauth::over(&accounts);
    let mut clients: Vec<UnixStream> = (0..4).map(|_| connect(server.socket())).collect();
    for client in &mut clients {
        client.write_all(&auth("imap", "dear@example.org", SLOW_PASSWORD)).expect("a request");
    }
    // What has been sent counts as accepted, even if the daemon has not read it yet.
    server.terminate();
    for mut client in clients {
        let mut reply = String::new();
        client.read_to_string(&mut reply).expect("a reply");
        assert!(reply.contains("\nADDRESS=dear@example.org\n"), "{reply:?} to an accepted request\n{}", server.log());
    }
    let status = server.wait(Duration::from_secs(10));
    assert!(status.success(), "{status}\n{}", server.log());
    UnixStream::connect(server.socket()).expect_err("no server is listening");
}

#[test]
fn sigterm_does_not_wait_for_silent_clients() {
    let accounts = accounts();
    let mut server = Mailauth::over(&accounts);
    let _idle: Vec<UnixStream> = (0..20).map(|_| connect(server.socket())).collect();
    assert_eq!(login(server.socket(), ANNA, PASSWORD).word(), "ACCOUNT");
    server.terminate();
    assert!(server.wait(Duration::from_secs(5)).success());
}

#[test]
fn sighup_reads_the_configuration_again() {
    let accounts = accounts();
    let server = Mailauth::over(&accounts);
    let shows_hash = || {
        let record = ask(server.socket(), &pre("imap", ANNA), Manner::Whole).outcome().account();
        record.get("PASSWD").is_some()
    };
    assert!(!shows_hash());
    let text = Mailauth::config(&accounts, server.socket(), "send_hash = true");
    fs::write(server.config_path(), text).expect("another configuration");
    server.reload();
    eventually("the new configuration", Duration::from_secs(5), shows_hash);
}

#[test]
fn sighup_keeps_the_old_configuration_if_the_new_one_is_invalid() {
    let accounts = accounts();
    let server = Mailauth::over(&accounts);
    let text = Mailauth::config(&accounts, server.socket(), "send_hash = true\nsocket_moed = \"0600\"");
    fs::write(server.config_path(), text).expect("a bad configuration");
    server.reload();
    server.wait_for_log("socket_moed");
    let record = ask(server.socket(), &pre("imap", ANNA), Manner::Whole).outcome().account();
    assert_eq!(record.get("PASSWD"), None, "nothing of the invalid one is in effect");
}

#[test]
fn logins_continue_during_many_reloads() {
    let accounts = accounts();
    let server = Mailauth::over(&accounts);
    for _ in 0..20 {
        server.reload();
        for _ in 0..10 {
            assert_eq!(login(server.socket(), ANNA, PASSWORD).word(), "ACCOUNT", "{}", server.log());
        }
    }
}

#[test]
fn a_stale_socket_is_replaced() {
    let accounts = accounts();
    let server = Mailauth::configured(|socket| {
        drop(UnixListener::bind(socket).expect("a socket without a server"));
        Mailauth::config(&accounts, socket, "")
    });
    assert_eq!(login(server.socket(), ANNA, PASSWORD).word(), "ACCOUNT");
}

#[test]
fn a_socket_left_by_a_killed_server_is_replaced() {
    let accounts = accounts();
    let folder = Scratch::new("kept");
    let socket = folder.join("socket");
    let config = |_: &Path| Mailauth::config(&accounts, &socket, "");
    let start = || {
        let config = config(&socket);
        let path = folder.join("mailauth.toml");
        fs::write(&path, config).expect("the configuration");
        let mut command = Command::new(program("mailauth-courier"));
        command.arg("--config").arg(path);
        let process = mailauth_tests::Child::spawn(command);
        eventually("the server", Duration::from_secs(10), || UnixStream::connect(&socket).is_ok());
        process
    };
    drop(start()); // killed
    assert!(socket.exists(), "left behind");
    let _second = start();
    assert_eq!(login(&socket, ANNA, PASSWORD).word(), "ACCOUNT");
}

#[test]
fn a_live_socket_is_not_stolen() {
    let accounts = accounts();
    let first = Mailauth::over(&accounts);
    let mut second = Command::new(program("mailauth-courier"));
    let output = output_with_input(second.arg("--config").arg(first.config_path()), "");
    let said = String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned();
    assert!(!output.status.success(), "{said}");
    assert!(said.contains(&first.socket().display().to_string()), "the message names the socket: {said}");
    assert_eq!(login(first.socket(), ANNA, PASSWORD).word(), "ACCOUNT");
}

#[test]
fn an_invalid_configuration_stops_the_start_with_all_errors() {
    let accounts = accounts();
    let folder = Scratch::new("bad");
    let path = folder.join("mailauth.toml");
    let bad = Mailauth::config(&accounts, &folder.join("socket"), "max_connections = \"many\"\nno_such_key = 1");
    fs::write(&path, bad).expect("a configuration");
    let output = output_with_input(Command::new(program("mailauth-courier")).arg("--config").arg(&path), "");
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(!output.status.success());
    for part in ["max_connections", "no_such_key", "mailauth.toml"] {
        assert!(said.contains(part), "no {part} in {said}");
    }
}

#[test]
fn the_socket_has_the_configured_mode_and_group() {
    let accounts = accounts();
    let courier = User::named("courier");
    let server = Mailauth::with(&accounts, "socket_mode = \"0640\"\nsocket_group = \"courier\"");
    let metadata = fs::metadata(server.socket()).expect("the socket");
    assert_eq!((metadata.permissions().mode() & 0o7777, metadata.gid()), (0o640, courier.gid));
}

#[test]
fn a_user_on_no_list_gets_no_answer() {
    let accounts = accounts();
    let open = "socket_mode = \"0666\"";
    let courier = User::named("courier");
    let asks = |server: &Mailauth, user, request: &[u8]| {
        as_user(user, || ask(server.socket(), request, Manner::Whole)).outcome()
    };
    let good = auth("imap", ANNA, PASSWORD);

    let server = Mailauth::with(&accounts, open);
    assert_eq!(asks(&server, NOBODY, &good), Outcome::Closed);
    assert_eq!(login(server.socket(), ANNA, PASSWORD).word(), "ACCOUNT", "root is permitted");

    for list in ["allow_users = [\"nobody\"]", "allow_users = [\"65534\"]", "allow_groups = [\"nogroup\"]"] {
        let server = Mailauth::with(&accounts, &format!("{open}\n{list}"));
        assert_eq!(asks(&server, NOBODY, &good).word(), "ACCOUNT", "{list}");
        assert_eq!(asks(&server, courier, &good), Outcome::Closed, "{list}");
    }

    let server = Mailauth::with(&accounts, &format!("{open}\nsocket_group = \"courier\""));
    assert_eq!(asks(&server, courier, &good).word(), "ACCOUNT", "the socket's group");
}

#[test]
fn listing_and_password_changes_can_be_restricted() {
    let accounts = accounts();
    let lists = "socket_mode = \"0666\"\nallow_users = [\"nobody\"]\n\
                 enumerate_users = [\"root\"]\npasswd_users = [\"root\"]";
    let server = Mailauth::with(&accounts, lists);
    let change = mailauth_tests::wire::passwd(ANNA, PASSWORD, "new words");
    let as_nobody = |request: &[u8]| as_user(NOBODY, || ask(server.socket(), request, Manner::Whole)).outcome();
    assert_eq!(as_nobody(&pre("imap", ANNA)).word(), "ACCOUNT");
    assert_eq!(as_nobody(b"ENUMERATE\n"), Outcome::Closed);
    assert_eq!(as_nobody(&change), Outcome::Fail);
    assert_eq!(login(server.socket(), ANNA, PASSWORD).word(), "ACCOUNT", "unchanged");
    assert_eq!(ask(server.socket(), b"ENUMERATE\n", Manner::Whole).outcome().word(), "LIST");
    assert_eq!(ask(server.socket(), &change, Manner::Whole).outcome(), Outcome::Done);
}
