//! The socket for mailauth's own programs, in addition to that for Courier's.

use mailauth_tests::people::{ANNA, PASSWORD, people};
use mailauth_tests::wire::{Manner, Outcome, ask, auth, login, pre};
use mailauth_tests::{
    Accounts, Kind, MailHost, Mailauth, Scratch, User, as_user, ended, eventually, output_with_input, program,
};
use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::time::Duration;

const LIMIT: Duration = Duration::from_secs(20);
const NOBODY: User = User { uid: 65534, gid: 65534 };

fn accounts() -> Accounts {
    Accounts::empty(Kind::Sqlite).with(&people(Path::new("/var/mail")))
}

fn mode(path: &Path) -> Option<u32> {
    fs::metadata(path).ok().map(|found| found.permissions().mode() & 0o777)
}

#[test]
fn both_sockets_give_the_same_answers_to_their_own_clients() {
    let accounts = accounts();
    let folder = Scratch::new("own");
    let own = folder.join("made/socket");
    let courier = User::named("courier");
    let keys = format!("socket_group = 'courier'\nown_socket = '{}'\nallow_users = ['nobody']", own.display());
    let server = Mailauth::with(&accounts, &keys);
    eventually("the socket for mailauth's programs", LIMIT, || UnixStream::connect(&own).is_ok());
    assert_eq!((mode(own.parent().expect("its folder")), mode(&own)), (Some(0o755), Some(0o666)));
    for socket in [server.socket(), &own] {
        assert_eq!(login(socket, ANNA, PASSWORD).word(), "ACCOUNT");
        assert_eq!(login(socket, ANNA, "wrong").word(), "FAIL");
        assert_eq!(ask(socket, b"ENUMERATE\n", Manner::Whole).outcome().word(), "LIST");
    }
    let asks =
        |user, socket: &Path| as_user(user, || ask(socket, &auth("imap", ANNA, PASSWORD), Manner::Whole)).outcome();
    assert_eq!(asks(NOBODY, &own).word(), "ACCOUNT", "it is named");
    assert_eq!(asks(courier, &own), Outcome::Closed, "Courier's group matters only on the other socket");
    assert_eq!(asks(courier, server.socket()).word(), "ACCOUNT");
    assert_eq!(asks(User { uid: 40_002, gid: 40_002 }, &own), Outcome::Closed);
}

#[test]
fn without_a_list_of_users_the_socket_mode_excludes_others() {
    let accounts = accounts();
    let folder = Scratch::new("own");
    let own = folder.join("socket");
    let server = Mailauth::with(&accounts, &format!("own_socket = '{}'", own.display()));
    eventually("the socket for mailauth's programs", LIMIT, || UnixStream::connect(&own).is_ok());
    assert_eq!(mode(&own), Some(0o600), "{}", server.log());
    as_user(NOBODY, || UnixStream::connect(&own)).expect_err("the user may not connect");
}

#[test]
fn a_reload_moves_removes_and_restores_the_socket() {
    let accounts = accounts();
    let folder = Scratch::new("own");
    let (first, second) = (folder.join("first/socket"), folder.join("first/second/socket"));
    let keys = |own: &Path, more: &str| format!("own_socket = '{}'\n{more}", own.display());
    let server = Mailauth::with(&accounts, &keys(&first, ""));
    let reload = |courier: &str| {
        fs::write(server.config_path(), Mailauth::config(&accounts, server.socket(), courier))
            .expect("a configuration");
        server.reload();
    };
    let answers =
        |socket: &Path| UnixStream::connect(socket).is_ok() && login(socket, ANNA, PASSWORD).word() == "ACCOUNT";
    eventually("the first socket", LIMIT, || answers(&first));
    reload(&keys(&first, "allow_users = ['nobody']"));
    eventually("another mode", LIMIT, || mode(&first) == Some(0o666) && answers(&first));
    reload(&keys(&second, ""));
    eventually("the second socket", LIMIT, || answers(&second) && !first.exists());
    reload("own_socket = ''");
    eventually("none", LIMIT, || !second.exists());
    assert_eq!(login(server.socket(), ANNA, PASSWORD).word(), "ACCOUNT");
    reload(&keys(&first, ""));
    eventually("the first socket again", LIMIT, || answers(&first));

    // A folder that cannot be created leaves everything unchanged.
    let open = folder.join("first/open");
    fs::create_dir(&open).expect("a folder");
    fs::set_permissions(&open, Permissions::from_mode(0o777)).expect("its mode");
    reload(&keys(&open.join("socket"), "send_hash = true"));
    server.wait_for_log("the old one stays in force");
    assert!(answers(&first) && server.log().contains("every user may write to"), "{}", server.log());
    let record = ask(server.socket(), &pre("imap", ANNA), Manner::Whole).outcome().account();
    assert!(record.get("PASSWD").is_none(), "not under the new configuration");
}

#[test]
fn without_a_folder_for_it_only_couriers_socket_is_served() {
    let accounts = accounts();
    let folder = Scratch::new("own");
    let open = folder.join("open");
    fs::create_dir(&open).expect("a folder");
    fs::set_permissions(&open, Permissions::from_mode(0o777)).expect("its mode");
    for own in [open.join("socket"), open.join("missing/socket"), folder.join("a/b/socket")] {
        let server = Mailauth::with(&accounts, &format!("own_socket = '{}'", own.display()));
        assert_eq!(login(server.socket(), ANNA, PASSWORD).word(), "ACCOUNT");
        server.wait_for_log("only [courier] socket is served");
        assert!(server.log().contains("RuntimeDirectory="), "{}", server.log());
        assert!(!own.exists());
        // The next reload finds no difference, and does not fail because of the folder.
        server.reload();
        server.wait_for_log("configuration read again");
    }
}

/// A host with new programs and an old unit: the daemon cannot create its folder.
#[test]
fn programs_use_couriers_socket_if_it_is_the_only_one() {
    let host = MailHost::with_own(&["/etc"]);
    let accounts = accounts();
    fs::set_permissions(host.path("ours"), Permissions::from_mode(0o777)).expect("its mode");
    let server = Mailauth::on_with(&host, &accounts, "socket_group = 'courier'");
    server.wait_for_log("only [courier] socket is served");
    let config = host.inside("/etc/mailauth");
    fs::create_dir_all(&config).expect("a folder");
    let text = |more: &str| format!("{}[courier]\n{more}\n[client]\nfallback = 'none'\n", accounts.config());
    fs::write(config.join("mailauth.toml"), text("")).expect("a configuration");
    let asked = || {
        let mut command = host.plain_command(program("mailauth-exim"));
        output_with_input(command.args(["domain", "example.org"]).current_dir("/"), "")
    };
    assert_eq!(ended(&asked(), 0).trim_end(), "yes");
    let mut status = host.plain_command(program("mailauth"));
    ended(&output_with_input(status.arg("status").current_dir("/"), ""), 0);
    drop(server);
    let said = ended(&asked(), 75);
    assert!(said.contains("there is no /run/mailauth/socket"), "{said}");
}
