//! Names of database servers with several addresses: all of them are tried, within one deadline.

use mailauth_tests::{
    Accounts, Kind, Scratch, Server, free_port, on_each_server_and_mysql, output_with_input, program,
};
use std::fs;
use std::net::{SocketAddr, TcpListener, UdpSocket};
use std::path::Path;
use std::process::{Command, Output};
use std::time::{Duration, Instant};

on_each_server_and_mysql!(
    any_working_address_of_a_name_is_used,
    a_silent_address_leaves_time_for_the_next_one,
    a_certificate_is_verified_against_the_name_and_not_the_address,
    a_silent_name_server_is_not_now_within_the_deadline,
);

const DEADLINE: Duration = Duration::from_secs(4);

/// A host with its own names, and the accounts that it queries.
struct World {
    accounts: Accounts,
    folder: Scratch,
    port: u16,
    authority: String,
}

impl World {
    fn new(kind: Kind) -> Self {
        let accounts = Accounts::empty(kind).with("login\nanna@example.org\n");
        let (port, certificates) = match kind {
            Kind::Sqlite => panic!("SQLite has no names"),
            Kind::MariaDb | Kind::MySql => {
                (accounts.mariadb().server().port(), accounts.mariadb().server().certificates())
            }
            Kind::Postgres => (accounts.postgres().server().port(), accounts.postgres().server().certificates()),
        };
        let authority = certificates.authority.display().to_string();
        World { accounts, folder: Scratch::new("names"), port, authority }
    }

    /// Lists the accounts on a machine with these lines in /etc/hosts, from the server of this name.
    fn list(&self, hosts: &[&str], name: &str, tls: &str) -> (Output, Duration) {
        fs::write(self.folder.join("hosts"), hosts.join("\n") + "\n").expect("a file");
        self.configure(name, tls);
        let script = "mount --bind \"$1/hosts\" /etc/hosts && exec \"$0\" --config \"$1/mailauth.toml\" account list";
        let mut command = Command::new("unshare");
        command.args(["--mount", "sh", "-c", script]).arg::<&Path>(&program("mailauth")).arg(self.folder.path());
        let start = Instant::now();
        let output = output_with_input(&mut command, "");
        (output, start.elapsed())
    }

    /// Writes a configuration with this name of the server.
    fn configure(&self, name: &str, tls: &str) {
        let (old, scheme, user) = match self.accounts.kind() {
            Kind::MariaDb | Kind::MySql => (self.accounts.url(), "mysql", self.accounts.mariadb().name()),
            _ => (self.accounts.url(), "postgres", self.accounts.postgres().name()),
        };
        let url = format!("{scheme}://{user}@{name}:{}/{user}", self.port);
        let more =
            format!("deadline = \"{}s\"\ntls = \"{tls}\"\ntls_ca = \"{}\"\n", DEADLINE.as_secs(), self.authority);
        let config = self.accounts.config().replacen(&old, &url, 1) + &more;
        fs::write(self.folder.join("mailauth.toml"), config).expect("a file");
    }

    #[track_caller]
    fn is_served(&self, hosts: &[&str], name: &str, tls: &str) {
        let (output, took) = self.list(hosts, name, tls);
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        assert!(output.status.success() && text.contains("anna@example.org"), "{hosts:?}: {output:?}");
        assert!(took < DEADLINE + Duration::from_secs(1), "{hosts:?}: {took:?}");
    }
}

fn any_working_address_of_a_name_is_used(kind: Kind) {
    // The server listens on 127.0.0.1 and 127.0.0.2, and no server on the others.
    let world = World::new(kind);
    let (four, six) = ("127.0.0.1 localhost", "::1 localhost");
    for hosts in [[four, six], [six, four]] {
        world.is_served(&hosts, "localhost", "disable");
    }
    for hosts in [["127.0.0.3 db", "127.0.0.2 db"], ["127.0.0.2 db", "127.0.0.3 db"], ["::1 db", "127.0.0.2 db"]] {
        world.is_served(&hosts, "db", "disable");
    }
    // Other tests of this server listen on ::1 and 127.0.0.3 at the same time.
    let (output, took) = world.list(&["127.0.0.5 db", "127.0.0.6 db"], "db", "disable");
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(75), "{said}");
    assert!(said.contains("127.0.0.5") && said.contains("127.0.0.6") && took < DEADLINE, "{took:?}: {said}");
}

fn a_silent_address_leaves_time_for_the_next_one(kind: Kind) {
    let world = World::new(kind);
    let _silent =
        [TcpListener::bind(("::1", world.port)), TcpListener::bind(("127.0.0.3", world.port))].map(Result::unwrap);
    for tls in ["disable", "require"] {
        world.is_served(&["::1 db", "127.0.0.2 db"], "db", tls);
        world.is_served(&["127.0.0.3 db", "127.0.0.2 db"], "db", tls);
    }
    world.is_served(&["127.0.0.3 db", "::1 db", "127.0.0.2 db"], "db", "disable");
}

fn a_certificate_is_verified_against_the_name_and_not_the_address(kind: Kind) {
    // The certificate is valid for localhost and 127.0.0.1.
    let world = World::new(kind);
    world.is_served(&["127.0.0.2 localhost", "::1 localhost"], "localhost", "verify-full");
    let (output, _) = world.list(&["127.0.0.1 db", "::1 db"], "db", "verify-full");
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(75), "{said}");
    assert!(said.contains("the certificate of the server db"), "{said}");
    world.is_served(&["127.0.0.1 db", "::1 db"], "db", "verify-ca");
}

/// On a machine whose name server accepts queries and never answers. The system would wait for it for minutes.
fn a_silent_name_server_is_not_now_within_the_deadline(kind: Kind) {
    let world = World::new(kind);
    let silent = name_server();
    let address = silent.local_addr().expect("its address").ip();
    let resolver = format!("nameserver {address}\noptions timeout:30 attempts:5\n");
    fs::write(world.folder.join("resolv.conf"), resolver).expect("a file");
    fs::write(world.folder.join("nsswitch.conf"), "hosts: files dns\n").expect("a file");
    let script = "for file in resolv.conf nsswitch.conf; do mount --bind \"$1/$file\" /etc/$file; done && \
                  exec \"$0\" --config \"$1/mailauth.toml\" account list";
    world.configure("db.example.org", "disable");
    let mut command = Command::new("unshare");
    command.args(["--mount", "sh", "-c", script]).arg::<&Path>(&program("mailauth")).arg(world.folder.path());
    let start = Instant::now();
    let output = output_with_input(&mut command, "");
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(75), "{said}");
    assert!(said.contains("db.example.org: no name server answered within"), "{said}");
    // A step that began just before the deadline may take another one.
    assert!(start.elapsed() < DEADLINE * 2 + Duration::from_secs(2), "{:?}", start.elapsed());
    silent.set_nonblocking(true).expect("a socket");
    assert!(silent.recv(&mut [0; 512]).is_ok(), "there were queries");
}

/// Returns a socket on the port of name servers, on an otherwise unused loopback address.
fn name_server() -> UdpSocket {
    let free = (0..50).find_map(|_| {
        let [high, low] = free_port().to_be_bytes();
        UdpSocket::bind(SocketAddr::from(([127, 77, high, low], 53))).ok()
    });
    free.expect("an address for a name server")
}
