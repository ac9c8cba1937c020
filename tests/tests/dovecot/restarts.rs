//! Restarts of the daemon while its socket stays open, and reloads that add and remove sockets.

use super::client::Client;
use super::is_ok;
use super::site::{Site, accounts, dovecot};
use mailauth_tests::checkpassword::give;
use mailauth_tests::people::{ANNA, PASSWORD};
use mailauth_tests::{Child, Kind, Mailauth, Scratch, eventually, program};
use rustix::io::fcntl_dupfd_cloexec;
use rustix::process::Signal;
use std::fs::{self, File};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

const LIMIT: Duration = Duration::from_secs(20);

/// Starts a daemon with this socket, as sd_listen_fds(3) says.
fn start(folder: &Path, socket: &UnixListener) -> Child {
    let mut command = Command::new("sh");
    command.args(["-c", "export LISTEN_PID=$$ LISTEN_FDS=1; exec \"$0\" \"$@\""]).arg(program("mailauth-courier"));
    give(&mut command, fcntl_dupfd_cloexec(socket, 100).expect("a descriptor"), 3);
    let log = File::options().create(true).append(true).open(folder.join("log")).expect("a log");
    command.arg("--config").arg(folder.join("mailauth.toml")).current_dir("/");
    command.stdin(Stdio::null()).stdout(log.try_clone().expect("a descriptor")).stderr(log);
    Child::spawn(command)
}

#[test]
fn clients_that_connect_during_a_restart_are_answered_after_it() {
    let accounts = accounts(Kind::Sqlite);
    let folder = Scratch::new("passed");
    let own = format!("own_socket = \"{}\"\n", folder.join("own").display());
    let courier = format!("{own}{}", dovecot(folder.path()));
    let config = Mailauth::config(&accounts, &folder.join("socket"), &courier);
    fs::write(folder.join("mailauth.toml"), config).expect("the configuration");
    let log = || fs::read_to_string(folder.join("log")).unwrap_or_default();
    let path = folder.join("client");
    let socket = UnixListener::bind(&path).expect("a socket");
    let mut spids = Vec::new();
    for _ in 0..3 {
        // Connects while no daemon runs, as a new smtpd of Postfix does during a restart.
        let waiting = std::thread::spawn({
            let path = path.clone();
            move || {
                let mut client = Client::connect(&path);
                client.plain("1", ANNA, PASSWORD, &[]);
                (client.line(), client)
            }
        });
        let mut daemon = start(folder.path(), &socket);
        let (line, mut client) = waiting.join().unwrap_or_else(|_| panic!("{}", log()));
        assert!(is_ok(line.as_deref(), "1", ANNA), "{line:?}: {}", log());
        spids.push(client.greeted_with("SPID").to_owned());
        // A request that has arrived is answered before the daemon ends.
        client.plain("2", ANNA, PASSWORD, &[]);
        assert!(is_ok(client.line().as_deref(), "2", ANNA));
        daemon.signal(Signal::TERM);
        assert!(daemon.wait(LIMIT).is_some_and(|status| status.success()), "{}", log());
        assert_eq!(client.line(), None);
        assert!(path.exists(), "the socket belongs to systemd");
        assert!(!folder.join("login").exists(), "a socket that the daemon made ends with it");
    }
    let different: std::collections::HashSet<&String> = spids.iter().collect();
    assert_eq!(different.len(), spids.len(), "Dovecot tells restarts by this number");
}

#[test]
fn a_reload_adds_and_removes_sockets() {
    let accounts = accounts(Kind::Sqlite);
    let mut site = Site::over(&accounts, "");
    let mut before = Client::connect(&site.client());
    let text = fs::read_to_string(site.daemon.config_path()).expect("the configuration");
    let other = site.client().with_file_name("other");
    let line = text.lines().find(|line| line.starts_with("client_socket")).expect("the key").to_owned();
    let changed = text.replace(&line, &format!("client_socket = \"{}\"", other.display()));
    fs::write(site.daemon.config_path(), changed).expect("the configuration");
    site.daemon.reload();
    site.daemon.wait_for_log("configuration read again");
    let mut client = Client::connect(&other);
    client.plain("1", ANNA, PASSWORD, &[]);
    assert!(is_ok(client.line().as_deref(), "1", ANNA));
    eventually("the old socket's end", LIMIT, || UnixStream::connect(site.client()).is_err());
    before.plain("1", ANNA, PASSWORD, &[]);
    assert!(is_ok(before.line().as_deref(), "1", ANNA), "connections that were accepted go on");
    assert!(!site.client().exists());
    site.daemon.terminate();
    assert!(site.daemon.wait(LIMIT).success(), "{}", site.daemon.log());
    for socket in [other, site.login(), site.userdb(), site.master()] {
        assert!(!socket.exists(), "{} outlives the daemon that made it", socket.display());
    }
}
