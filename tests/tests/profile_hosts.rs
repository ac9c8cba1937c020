//! The real mail programs over the tables of PostfixAdmin and VExim: users log in with courier-imapd, courier-pop3d,
//! Exim and a checkpassword program, and mail arrives.

use mailauth_tests::checkpassword::{call, record};
use mailauth_tests::exim::{Exim, Form};
use mailauth_tests::imap::Imap;
use mailauth_tests::pop3::Pop3;
use mailauth_tests::schemas::of;
use mailauth_tests::{Accounts, Kind, MailHost, Mailauth, program};
use std::fs;
use std::os::unix::fs::chown;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// Creates the tests for each pair of a program and a database.
macro_rules! over {
    ($($module:ident = $profile:literal on $kind:ident: $($test:ident),*;)*) => {
        $(mod $module {
            $(#[test] fn $test() { super::$test($profile, mailauth_tests::Kind::$kind); })*
        })*
    };
}

over! {
    postfixadmin_on_mariadb = "postfixadmin" on MariaDb:
        users_read_mail_with_courier, exim_logs_users_in_and_checks_recipients, exim_delivers, checkpassword_decides;
    postfixadmin_on_postgres = "postfixadmin" on Postgres:
        users_read_mail_with_courier, exim_logs_users_in_and_checks_recipients, exim_delivers;
    postfixadmin_on_sqlite = "postfixadmin" on Sqlite: users_read_mail_with_courier, checkpassword_decides;
    vexim_on_mariadb = "vexim" on MariaDb:
        users_read_mail_with_courier, exim_logs_users_in_and_checks_recipients, exim_delivers, checkpassword_decides;
    vexim_on_postgres = "vexim" on Postgres: users_read_mail_with_courier, exim_logs_users_in_and_checks_recipients;
}

const MESSAGE: &str = "From: sender@far.example\nSubject: Lunch?\n\nAt noon.\n";

/// A mail host whose accounts are in the tables of another program.
struct Host {
    profile: &'static str,
    daemon: Mailauth,
    accounts: Accounts,
    host: Arc<MailHost>,
}

impl Host {
    /// Creates a host on which mail is below `/var/mail`, with mailboxes for Agnes and Henri, or Boris.
    fn new(profile: &'static str, kind: Kind) -> Self {
        let schema = of(profile);
        let accounts = Accounts::of(&schema, kind).with_schema(&schema.config.replace("/var/vmail", "/var/mail"));
        if profile == "vexim" {
            accounts.run_sql(
                "UPDATE users SET smtp = REPLACE(smtp, '/var/vmail', '/var/mail'), \
                 pop = REPLACE(pop, '/var/vmail', '/var/mail')",
            );
        }
        let host = Arc::new(MailHost::with_own(&Exim::OWN));
        let courier = "socket_mode = \"0666\"\nallow_users = [\"Debian-exim\"]\n[login]\nrefusal_time = \"0s\"\n";
        let daemon = Mailauth::on_with(&host, &accounts, courier);
        let made = Host { profile, daemon, accounts, host };
        for login in ["agnes@hill.example", "boris@hill.example"] {
            made.fill(login);
        }
        made
    }

    /// Returns the Maildir of an account: PostfixAdmin's is the home itself.
    fn maildir(&self, login: &str) -> PathBuf {
        let (local, domain) = login.split_once('@').expect("an address");
        let home = self.host.inside(&format!("/var/mail/{domain}/{local}"));
        if self.profile == "vexim" { home.join("Maildir") } else { home }
    }

    /// Returns the owner of the mail.
    fn owner(&self) -> u32 {
        if self.profile == "vexim" { 1500 } else { 5000 }
    }

    /// Creates a mailbox with one message.
    fn fill(&self, login: &str) {
        let maildir = self.maildir(login);
        for part in ["cur", "new", "tmp"] {
            fs::create_dir_all(maildir.join(part)).expect("a Maildir");
        }
        fs::write(maildir.join(format!("new/1700000000.1.test,S={}", MESSAGE.len())), MESSAGE).expect("a message");
        self.give(&self.host.inside("/var/mail/hill.example"));
    }

    /// Gives a folder and its content to the owner of the mail.
    fn give(&self, path: &std::path::Path) {
        chown(path, Some(self.owner()), Some(self.owner())).expect("its owner");
        if path.is_dir() {
            fs::read_dir(path).expect("a folder").for_each(|entry| self.give(&entry.expect("an entry").path()));
        }
    }

    fn exim(&self) -> Exim {
        let mut exim = Exim::set_up(Arc::clone(&self.host), Form::Dlfunc);
        let client = format!("{}[client]\nsocket = \"{}\"\n", self.accounts.config(), MailHost::SOCKET);
        exim.write("/etc/mailauth/mailauth.toml", &client);
        exim.start();
        exim
    }

    /// Returns logins, and whether each may use the service.
    fn logins(&self, service: &str) -> Vec<(&'static str, &'static str, bool)> {
        let own = match (self.profile, service) {
            ("vexim", "smtp") => vec![
                ("postmaster@hill.example", "postmaster opens", true),
                ("moved@hill.example", "moved opens", false),
                ("old@hill.example", "old opens", false),
            ],
            ("vexim", _) => vec![("postmaster@hill.example", "postmaster opens", false)],
            (_, service) => vec![
                ("henri@hill.example", "henri opens", service != "smtp"),
                ("karla@term.example", "karla opens", false),
                ("mira@hill.example", "", false),
            ],
        };
        let of_both = [
            ("agnes@hill.example", "agnes opens", true),
            ("agnes@hill.example", "wrong", false),
            ("dario@hill.example", "dario opens", false),
            ("greta@moor.example", "greta opens", false),
            ("nobody@hill.example", "agnes opens", false),
            ("agnes@twin.example", "agnes opens", false),
        ];
        own.into_iter().chain(of_both).collect()
    }
}

fn users_read_mail_with_courier(profile: &'static str, kind: Kind) {
    let host = Host::new(profile, kind);
    host.fill("henri@hill.example");
    let (imap, pop3) = (host.host.imap(), host.host.pop3());
    let mut client = Imap::connect(imap.port());
    assert_eq!(client.login("agnes@hill.example", "agnes opens"), "OK LOGIN Ok.", "{}", host.daemon.log());
    assert!(client.command("SELECT INBOX").contains(&"* 1 EXISTS".to_owned()));
    let fetched = client.command("FETCH 1 BODY[]").concat();
    assert!(fetched.replace('\r', "").contains(MESSAGE), "{fetched}");
    let mut client = Pop3::connect(pop3.port());
    assert_eq!(client.login("boris@hill.example", "boris opens"), "+OK logged in.", "{}", host.daemon.log());
    assert_eq!(client.lines("RETR 1").join("\n") + "\n", MESSAGE);
    // All at once, because Courier delays each refusal by five seconds.
    std::thread::scope(|scope| {
        for (login, password, may) in host.logins("imap") {
            let (imap, pop3) = (imap.port(), pop3.port());
            if may || password.is_empty() {
                continue;
            }
            scope.spawn(move || assert_eq!(Imap::connect(imap).login(login, password), "NO Login failed.", "{login}"));
            scope.spawn(move || {
                assert_eq!(Pop3::connect(pop3).login(login, password), "-ERR Login failed.", "{login}");
            });
        }
    });
}

fn exim_logs_users_in_and_checks_recipients(profile: &'static str, kind: Kind) {
    let host = Host::new(profile, kind);
    let exim = host.exim();
    for (login, password, may) in host.logins("smtp") {
        let mut client = exim.connect_tls();
        let reply = client.auth_plain(login.as_bytes(), password.as_bytes());
        assert_eq!(reply.code == 235, may, "{login} with {password:?}: {reply}\n{}", host.daemon.log());
        client.quit();
    }
    let (own, unusable) = match profile {
        "vexim" => (
            vec![
                ("choir@hill.example", 250),
                ("board@hill.example", 550),
                ("noreply@hill.example", 550),
                ("noreply@lake.example", 550),
                ("x@relay.example", 550),
            ],
            "ticket@hill.example",
        ),
        _ => (
            vec![
                ("sales@hill.example", 250),
                ("karla@term.example", 250),
                ("agnes@wide.example", 250),
                ("nobody@wide.example", 550),
                ("agnes@gone.example", 550),
                ("x@spare.example", 550),
            ],
            "root@hill.example",
        ),
    };
    let of_both = [
        ("agnes@hill.example", 250),
        ("AGNES@Hill.Example", 250),
        ("clara@hill.example", 250),
        ("info@hill.example", 250),
        ("agnes@twin.example", 250),
        ("nobody@lake.example", 250),
        ("dario@hill.example", 550),
        ("nobody@hill.example", 550),
        ("nobody@twin.example", 550),
        ("greta@moor.example", 550),
        ("x@far.example", 550),
        (unusable, 451),
    ];
    for (address, code) in own.into_iter().chain(of_both) {
        let mut client = exim.connect();
        client.mail("sender@far.example", None);
        let reply = client.rcpt(address);
        assert_eq!(reply.code, code, "{address}: {reply}\n{}", exim.log("mainlog"));
        client.quit();
    }
}

fn exim_delivers(profile: &'static str, kind: Kind) {
    let host = Host::new(profile, kind);
    let exim = host.exim();
    let mut client = exim.connect();
    client.mail("sender@far.example", None);
    assert_eq!(client.rcpt("agnes@twin.example").code, 250, "{}", exim.log("mainlog"));
    let reply = client.data(MESSAGE);
    assert_eq!(reply.code, 250, "{reply}\n{}", exim.log("mainlog"));
    client.quit();
    let new = host.maildir("agnes@hill.example").join("new");
    let begin = Instant::now();
    let messages = || fs::read_dir(&new).expect("a Maildir").count();
    while messages() < 2 {
        let patient = begin.elapsed() < Duration::from_secs(30);
        assert!(patient, "no mail:\n{}{}", exim.log("mainlog"), exim.log("paniclog"));
        std::thread::sleep(Duration::from_millis(20));
    }
    assert_eq!(messages(), 2);
    let sizes = fs::read_to_string(host.maildir("agnes@hill.example").join("maildirsize")).expect("figures");
    let quota = if profile == "vexim" { "209715200S\n" } else { "204800000S\n" };
    assert!(sizes.starts_with(quota), "{sizes}");
}

fn checkpassword_decides(profile: &'static str, kind: Kind) {
    let host = Host::new(profile, kind);
    let folder = host.host.path("checkpassword.toml");
    let socket = host.host.socket();
    let text = format!("{}[client]\nsocket = \"{}\"\n", host.accounts.config(), socket.display());
    fs::write(&folder, text).expect("the configuration");
    let log_in = |login: &str, password: &str| {
        let mut command = host.host.plain_command(program("mailauth-pop3"));
        command.args(["sh", "-c", "echo $USER $HOME $MAILDIR $(pwd) $(id -u)"]);
        command.env("MAILAUTH_CONFIG", &folder).env_remove("MAILAUTH_SERVICE").current_dir("/");
        call(command, &record(login, password, "<1.2@popup.example>"))
    };
    let done = log_in("agnes@hill.example", "agnes opens");
    assert_eq!(done.code, Some(0), "{done:?}\n{}", host.daemon.log());
    let home = "/var/mail/hill.example/agnes";
    let maildir = if profile == "vexim" { format!("{home}/Maildir") } else { home.to_owned() };
    assert!(done.output.contains(home) && done.output.contains(&maildir), "{done:?}");
    assert!(done.output.trim_end().ends_with(&host.owner().to_string()), "{done:?}");
    for (login, password, may) in host.logins("pop3") {
        // Only Agnes and Boris have mailboxes.
        let code = log_in(login, password).code;
        assert!(if may { code != Some(1) } else { code == Some(1) }, "{login} with {password:?}: {code:?}");
    }
}
