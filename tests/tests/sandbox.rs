//! The daemon's files: the kernel lets it change only those in its own folders, and a reload does not extend that.

use mailauth_tests::people::{ANNA, PASSWORD, people};
use mailauth_tests::wire::{Manner, Outcome, ask, auth, login};
use mailauth_tests::{Accounts, Kind, Mailauth, Scratch};
use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::time::Duration;

const LIMIT: Duration = Duration::from_secs(20);

fn accounts() -> Accounts {
    Accounts::empty(Kind::Sqlite).with(&people(Path::new("/var/mail")))
}

/// Returns the same configuration with this throttle file, and these lines of `[courier]`.
fn config(accounts: &Accounts, socket: &Path, file: &Path, courier: &str) -> String {
    let config = Mailauth::config(accounts, socket, courier);
    let (before, rest) = config.split_once("[throttle]\nfile = \"").expect("the section");
    let (_, after) = rest.split_once('"').expect("its end");
    format!("{before}[throttle]\nfile = \"{}\"{after}", file.display())
}

fn server(accounts: &Accounts, file: &Path, courier: &str) -> Mailauth {
    Mailauth::configured(|socket| {
        accounts.are_served_on(socket);
        config(accounts, socket, file, courier)
    })
}

fn made(folder: &Scratch, name: &str) -> PathBuf {
    fs::create_dir(folder.join(name)).expect("a folder");
    folder.join(name)
}

/// Sends a wrong password that is counted.
fn guess(server: &Mailauth) {
    let request = [b"TCPREMOTEIP=192.0.2.1\n".as_slice(), &auth("smtp", ANNA, "wrong")].concat();
    assert_eq!(ask(server.socket(), &request, Manner::HalfClose).outcome(), Outcome::Fail);
}

#[test]
fn a_reload_that_needs_another_folder_is_refused() {
    let accounts = accounts();
    let folder = Scratch::new("sandbox");
    let [first, other] = ["first", "other"].map(|name| made(&folder, name));
    let mut server = server(&accounts, &first.join("throttle"), "");
    let reload = |server: &Mailauth, file: &Path, courier: &str| {
        let text = config(&accounts, server.socket(), file, courier);
        fs::write(server.config_path(), text).expect("another configuration");
        server.reload();
    };
    reload(&server, &other.join("throttle"), "send_hash = true");
    server.wait_for_log("the old one stays in force");
    let log = server.log();
    assert!(log.contains(&format!("[throttle] file needs {}", other.display())), "{log}");
    assert!(log.contains("restart the daemon"), "{log}");
    let record = login(server.socket(), ANNA, PASSWORD).account();
    assert!(record.get("PASSWD").is_none(), "not under the new configuration");

    // Within the folders everything works: other names, other sockets, changes of the database, the file at the end.
    let own = first.join("socket");
    reload(&server, &first.join("renamed"), &format!("own_socket = '{}'", own.display()));
    server.wait_for_log("configuration read again");
    assert!(own.exists(), "{}", server.log());
    assert_eq!(login(&own, ANNA, PASSWORD).word(), "ACCOUNT");
    guess(&server);
    server.terminate();
    assert!(server.wait(LIMIT).success(), "{}", server.log());
    assert!(first.join("renamed").exists() && !own.exists(), "{}", server.log());

    let text = config(&accounts, server.socket(), &other.join("throttle"), "");
    fs::write(server.config_path(), text).expect("another configuration");
    server.start_again();
    guess(&server);
    server.terminate();
    assert!(server.wait(LIMIT).success(), "{}", server.log());
    assert!(other.join("throttle").exists(), "{}", server.log());
}

#[test]
fn without_the_sandbox_a_reload_may_name_any_folder() {
    let accounts = accounts();
    let folder = Scratch::new("sandbox");
    let [first, other] = ["first", "other"].map(|name| made(&folder, name));
    let mut server = server(&accounts, &first.join("throttle"), "sandbox = false");
    let text = config(&accounts, server.socket(), &other.join("throttle"), "sandbox = false");
    fs::write(server.config_path(), text).expect("another configuration");
    server.reload();
    server.wait_for_log("configuration read again");
    guess(&server);
    server.terminate();
    assert!(server.wait(LIMIT).success(), "{}", server.log());
    assert!(other.join("throttle").exists(), "{}", server.log());
}

/// The daemon is root here, so that neither owner nor mode restricts it: only the kernel does, by its list of folders.
#[test]
fn the_daemon_writes_through_no_link_out_of_its_folders() {
    let accounts = accounts();
    for (keys, is_written) in [("", false), ("sandbox = false", true)] {
        let folder = Scratch::new("sandbox");
        let [state, other] = ["state", "other"].map(|name| made(&folder, name));
        let mut server = server(&accounts, &state.join("throttle"), keys);
        fs::rename(&state, folder.join("aside")).expect("another name");
        symlink(&other, &state).expect("a link");
        assert_eq!(login(server.socket(), ANNA, PASSWORD).word(), "ACCOUNT");
        guess(&server);
        server.terminate();
        assert!(server.wait(LIMIT).success(), "{}", server.log());
        let log = server.log();
        let found = fs::read_dir(&other).expect("the folder").count();
        assert_eq!(found > 0, is_written, "{log}");
        assert_eq!(log.contains("cannot be written: Permission denied"), !is_written, "{log}");
    }
}
