//! The first login of an account without a mailbox, with the real Courier programs.

use mailauth_tests::imap::Imap;
use mailauth_tests::people::{ANNA, BRUNO, CHEAP_HASH, DORA, PASSWORD, UNKNOWN};
use mailauth_tests::pop3::Pop3;
use mailauth_tests::{Accounts, Kind, MailHost, Mailauth, run};
use std::fs;
use std::io::{Read, Write};
use std::os::unix::fs::{MetadataExt, chown, symlink};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};

const CREATE: &str = "create = true\n";

/// A mail host whose accounts have no mailboxes.
struct Site {
    accounts: Accounts,
    server: Mailauth,
    host: MailHost,
}

/// Creates a site with these accounts and these keys of `[courier]`. Homes are in the host's `mail`, which belongs to
/// root.
fn site(accounts: Accounts, courier: &str) -> Site {
    let host = MailHost::new();
    let mail = host.path("mail").display().to_string();
    let accounts = accounts.with(&format!(
        "login,password,home\n{ANNA},{CHEAP_HASH},{mail}/example.org/anna\n{BRUNO},{CHEAP_HASH},{mail}/example.org/bruno\n\
         {DORA},{CHEAP_HASH},{mail}/trap/dora\n"
    ));
    let server = Mailauth::on_with(&host, &accounts, courier);
    Site { accounts, server, host }
}

impl Site {
    fn home(&self, name: &str) -> PathBuf {
        self.host.path("mail/example.org").join(name)
    }

    /// Returns the answer to a request on the socket.
    fn ask(&self, request: &str) -> String {
        let mut stream = UnixStream::connect(self.host.socket()).expect("the daemon");
        stream.write_all(request.as_bytes()).expect("a request");
        let mut said = String::new();
        stream.read_to_string(&mut said).expect("an answer");
        said
    }
}

/// Asserts that the home and its Maildir exist, accessible only by the owner.
#[track_caller]
fn is_made(home: &Path) {
    for folder in ["", "Maildir", "Maildir/tmp", "Maildir/new", "Maildir/cur"] {
        let found = fs::metadata(home.join(folder)).unwrap_or_else(|error| panic!("{folder}: {error}"));
        assert_eq!((found.uid(), found.gid(), found.mode() & 0o7777), (5000, 5000, 0o700), "{folder}");
    }
}

#[test]
fn the_first_login_by_imap_or_pop3_creates_the_mailbox() {
    let site = site(Accounts::empty(Kind::Sqlite).with_mailbox(CREATE), "");
    let (imap, pop3) = (site.host.imap(), site.host.pop3());
    let mut client = Imap::connect(imap.port());
    assert_eq!(client.login(ANNA, PASSWORD), "OK LOGIN Ok.", "{}", site.server.log());
    assert!(client.command("SELECT INBOX").contains(&"* 0 EXISTS".to_owned()));
    is_made(&site.home("anna"));
    assert!(site.server.log().contains("was missing and has been created"), "{}", site.server.log());
    let mut client = Pop3::connect(pop3.port());
    assert_eq!(client.login(BRUNO, PASSWORD), "+OK logged in.", "{}", site.server.log());
    assert!(client.command("STAT").starts_with("+OK 0 "));
    is_made(&site.home("bruno"));
    assert_eq!(fs::metadata(site.host.path("mail/example.org")).expect("the domain's folder").uid(), 0);
    for _ in 0..2 {
        assert_eq!(Imap::connect(imap.port()).login(ANNA, PASSWORD), "OK LOGIN Ok.");
    }
    assert_eq!(site.server.log().matches("was missing").count(), 2, "once for each");
}

#[test]
fn only_the_right_password_creates_a_mailbox() {
    let site = site(Accounts::empty(Kind::Sqlite).with_mailbox(CREATE), "");
    let pop3 = site.host.pop3();
    for (login, password) in [(ANNA, "wrong"), (UNKNOWN, PASSWORD)] {
        assert_eq!(Pop3::connect(pop3.port()).login(login, password), "-ERR Login failed.");
    }
    run(site.host.command("authtest").args(["-s", "imap", ANNA]));
    run(site.host.command("authtest").args(["-s", "smtp", ANNA, PASSWORD]));
    assert!(!site.host.path("mail/example.org").exists());
    // Exim asks when it has a message to deliver there.
    assert!(site.ask(&format!("ASK account {BRUNO}\n")).starts_with("OK login="));
    is_made(&site.home("bruno"));
    assert!(site.ask(&format!("ASK account {UNKNOWN}\n")).starts_with("FAIL"));
    assert_eq!(fs::read_dir(site.host.path("mail/example.org")).expect("the folder").count(), 1);
}

#[test]
fn many_simultaneous_first_logins_all_succeed() {
    let site = site(Accounts::empty(Kind::Sqlite).with_mailbox(CREATE), "");
    let imap = site.host.imap();
    std::thread::scope(|scope| {
        for _ in 0..8 {
            scope.spawn(|| assert_eq!(Imap::connect(imap.port()).login(ANNA, PASSWORD), "OK LOGIN Ok."));
        }
    });
    is_made(&site.home("anna"));
    assert_eq!(fs::read_dir(site.host.path("mail/example.org")).expect("the folder").count(), 1);
}

#[test]
fn another_users_link_creates_nothing_where_it_may_not_write() {
    let site = site(Accounts::empty(Kind::Sqlite).with_mailbox(CREATE), "");
    let (trap, prize) = (site.host.path("mail/trap"), site.host.path("mail/prize"));
    for folder in [&trap, &prize] {
        fs::create_dir(folder).expect("a folder");
    }
    symlink(&prize, trap.join("dora")).expect("a link");
    chown(&trap, Some(5000), Some(5000)).expect("its owner");
    let imap = site.host.imap();
    let said = Imap::connect(imap.port()).login(DORA, PASSWORD);
    assert!(said.starts_with("* BYE Temporary problem"), "{said}");
    assert!(site.server.log().contains("cannot be made: Permission denied"), "{}", site.server.log());
    assert_eq!(fs::read_dir(&prize).expect("the folder").count(), 0);
    assert_eq!(Imap::connect(imap.port()).login(ANNA, PASSWORD), "OK LOGIN Ok.");
}

#[test]
fn a_daemon_without_root_still_has_mailboxes_created() {
    let site = site(Accounts::empty(Kind::MariaDb).with_mailbox(CREATE), "user = \"daemon\"\n");
    let imap = site.host.imap();
    assert_eq!(Imap::connect(imap.port()).login(ANNA, PASSWORD), "OK LOGIN Ok.", "{}", site.server.log());
    is_made(&site.home("anna"));
}

#[test]
fn adding_an_account_can_create_its_mailbox() {
    let site = site(Accounts::empty(Kind::Sqlite), "");
    let imap = site.host.imap();
    let said = Imap::connect(imap.port()).login(ANNA, PASSWORD);
    assert!(!said.starts_with("OK"), "nothing creates it without being asked: {said}");
    let admin = |arguments: &[&str], input: &str| {
        let output = site.accounts.try_admin(arguments, input);
        let text = [&output.stdout[..], &output.stderr].map(String::from_utf8_lossy).concat();
        assert!(output.status.success(), "{text}");
        text
    };
    let said = admin(&["account", "set", ANNA, "--make-mailbox"], "");
    assert_eq!(said, format!("created the mailbox {}\n", site.home("anna").join("Maildir").display()));
    let said = admin(&["account", "set", ANNA, "--make-mailbox"], "");
    assert!(said.starts_with("the mailbox already exists: "), "{said}");
    let (emil, frida) = ("emil@example.org", "frida@example.org");
    let add = |login: &str, more: &[&str]| {
        let home = site.home(login.split('@').next().expect("a name")).display().to_string();
        let arguments = [&["account", "add", login, "--password-stdin", "--home", &home], more].concat();
        admin(&arguments, &format!("{PASSWORD}\n"))
    };
    let said = add(emil, &[]);
    assert!(said.contains("note: there is no mailbox ") && said.contains("--make-mailbox"), "{said}");
    let said = add(frida, &["--make-mailbox"]);
    assert!(said.contains("created the mailbox ") && !said.contains("note:"), "{said}");
    for (login, name) in [(ANNA, "anna"), (frida, "frida")] {
        assert_eq!(Imap::connect(imap.port()).login(login, PASSWORD), "OK LOGIN Ok.", "{login}");
        is_made(&site.home(name));
    }
}
