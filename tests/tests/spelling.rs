//! The many ways in which people and programs write one login.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use hmac::{Hmac, KeyInit, Mac};
use mailauth_tests::checkpassword::{call, record};
use mailauth_tests::people::{CHEAP_HASH, DORAS_PASSWORD, PASSWORD};
use mailauth_tests::wire::{Manner, Outcome, ask, auth, auth_body, login, passwd, pre};
use mailauth_tests::{Accounts, Kind, Mailauth, Scratch, output_with_input, program};
use md5::{Digest, Md5};
use std::fs;
use std::path::PathBuf;
use std::process::Command;

/// The daemon over these accounts, and a configuration for every program.
struct Site {
    accounts: Accounts,
    daemon: Mailauth,
    folder: Scratch,
}

impl Site {
    fn new(kind: Kind, lines: &str) -> Self {
        let accounts = Accounts::empty(kind).with(&format!(
            "login,password,uid,gid\nanna@example.org,{CHEAP_HASH},5000,5000\n\
             dora@example.org,{{PLAIN}}{DORAS_PASSWORD},5000,5000\n"
        ));
        let folder = Scratch::new("spelling");
        let configure = |socket: &std::path::Path| {
            let socket = socket.display();
            let text = format!(
                "{}[courier]\nsocket = \"{socket}\"\nsend_clear = true\n[client]\nsocket = \"{socket}\"\n{lines}",
                accounts.config()
            );
            fs::write(folder.join("mailauth.toml"), &text).expect("the configuration");
            text
        };
        let daemon = Mailauth::configured(configure);
        Site { accounts, daemon, folder }
    }

    fn config(&self) -> PathBuf {
        self.folder.join("mailauth.toml")
    }

    /// What `mailauth` prints, and its exit code.
    fn admin(&self, arguments: &[&str], input: &str) -> (Option<i32>, String) {
        let mut command = Command::new(program("mailauth"));
        command.arg("--config").arg(self.config()).args(arguments);
        let output = output_with_input(&mut command, input);
        (
            output.status.code(),
            [output.stdout, output.stderr].map(|text| String::from_utf8_lossy(&text).into_owned()).concat(),
        )
    }

    fn exim(&self, question: &[&str]) -> (Option<i32>, String) {
        let mut command = Command::new(program("mailauth-exim"));
        command.args(["--insecure-argv", "--config"]).arg(self.config()).args(question);
        let output = output_with_input(&mut command, "");
        (output.status.code(), String::from_utf8_lossy(&output.stdout).into())
    }

    /// Exit codes of a POP3 login by the daemon, and by the database itself.
    fn pop3(&self, login: &str, password: &str, timestamp: &str) -> [Option<i32>; 2] {
        ["mailauth-pop3", "mailauth-pop3-database"].map(|name| {
            let mut command = Command::new(program(name));
            command.arg("true").env("MAILAUTH_CONFIG", self.config()).env_remove("MAILAUTH_SERVICE").current_dir("/");
            call(command, &record(login, password, timestamp)).code
        })
    }

    /// How each adapter answers this login with a password.
    fn answers(&self, who: &str, password: &str) -> Vec<(&'static str, bool)> {
        let socket = self.daemon.socket();
        let [by_daemon, by_database] = self.pop3(who, password, "<1@host>");
        let account = |request: Vec<u8>| matches!(ask(socket, &request, Manner::Whole).outcome(), Outcome::Account(_));
        let socket_path = socket.to_str().expect("a path");
        vec![
            ("AUTH", account(auth("imap", who, password))),
            ("mailauth-exim login", self.exim(&["login", "smtp", who, password]).0 == Some(0)),
            ("mailauth-pop3", by_daemon == Some(0)),
            ("mailauth-pop3-database", by_database == Some(0)),
            ("mailauth auth", self.admin(&["auth", who, "--password-stdin"], password).0 == Some(0)),
            (
                "mailauth auth --socket",
                self.admin(&["auth", who, "--socket", socket_path, "--password-stdin"], password).0 == Some(0),
            ),
        ]
    }

    #[track_caller]
    fn all_say(&self, yes: bool, who: &str, password: &str) {
        for (adapter, said) in self.answers(who, password) {
            assert_eq!(said, yes, "{adapter}: {who:?} with {password:?}\n{}", self.daemon.log());
        }
    }
}

/// POP3 programs become the next one as they are.
const NO_OWNER: &str = "[pop3]\nbecome_owner = false\n";

#[test]
fn a_telephone_that_adds_a_space_to_the_login_gets_in() {
    let site = Site::new(Kind::Sqlite, NO_OWNER);
    for who in ["anna@example.org ", " anna@example.org", "\tAnna@Example.org\t", "\u{a0}anna@example.org\u{3000}"] {
        site.all_say(true, who, PASSWORD);
        site.all_say(false, who, "wrong");
        let looked_up = ask(site.daemon.socket(), &pre("imap", who), Manner::Whole).outcome();
        assert_eq!(looked_up.account().get("ADDRESS"), Some("anna@example.org"), "{who:?}");
    }
    // A password is taken as it is.
    site.all_say(false, "anna@example.org", &format!("{PASSWORD} "));
    site.all_say(false, "anna@example.org", &format!(" {PASSWORD}"));
    // White space elsewhere is part of no login.
    for who in ["an na@example.org", "anna @example.org", "anna@ example.org", "anna@example.org x", " "] {
        site.all_say(false, who, PASSWORD);
    }
    for who in ["anna@example.org\r", "anna@example.org\u{1}"] {
        assert_eq!(login(site.daemon.socket(), who, PASSWORD).word(), "FAIL", "{who:?}");
        assert_eq!(site.pop3(who, PASSWORD, "<1@host>"), [Some(1); 2], "{who:?}");
    }
    assert_eq!(site.pop3("anna@example.org\n", PASSWORD, "<1@host>"), [Some(1); 2]);
    let change = passwd("anna@example.org ", PASSWORD, "another long one");
    assert_eq!(ask(site.daemon.socket(), &change, Manner::Whole).outcome().word(), "OK");
    site.all_say(true, "anna@example.org", "another long one");
    let (code, shown) = site.admin(&["account", "show", " anna@example.org "], "");
    assert!(code == Some(0) && shown.contains("anna@example.org"), "{shown}");
    let (code, said) = site.admin(&["account", "add", "ben@example.org ", "--no-password"], "");
    assert_eq!((code, said.contains("added the account ben@example.org")), (Some(0), true), "{said}");
    assert!(site.accounts.admin(&["account", "list"], "").contains("ben@example.org"));
}

#[test]
fn a_challenge_is_answered_under_a_login_with_a_space_too() {
    let site = Site::new(Kind::Sqlite, NO_OWNER);
    for who in ["dora@example.org", "dora@example.org ", " dora@example.org"] {
        let mut mac = Hmac::<Md5>::new_from_slice(DORAS_PASSWORD.as_bytes()).expect("a key");
        mac.update(b"<1@host>");
        let digits: String = mac.finalize().into_bytes().iter().map(|byte| format!("{byte:02x}")).collect();
        let (challenge, answer) = (STANDARD.encode("<1@host>"), STANDARD.encode(format!("{who} {digits}")));
        let request = auth_body(format!("imap\ncram-md5\n{challenge}\n{answer}\n").as_bytes());
        assert_eq!(ask(site.daemon.socket(), &request, Manner::Whole).outcome().word(), "ACCOUNT", "{who:?}");
        let apop: String =
            Md5::digest(format!("<1@host>{DORAS_PASSWORD}")).iter().map(|byte| format!("{byte:02x}")).collect();
        assert_eq!(site.pop3(who, &apop, "<1@host>"), [Some(0); 2], "{who:?}");
        assert_eq!(site.exim(&["cram", who]), (Some(0), DORAS_PASSWORD.to_owned()), "{who:?}");
    }
}

#[test]
fn a_login_with_a_percent_sign_for_the_at_gets_in_where_that_is_configured() {
    let who = "anna%example.org";
    let off = Site::new(Kind::Sqlite, NO_OWNER);
    off.all_say(false, who, PASSWORD);
    let on = Site::new(Kind::Sqlite, &format!("{NO_OWNER}[login]\nseparators = \"%/\"\n"));
    for who in [who, "Anna%Example.ORG ", "anna/example.org", "anna@example.org"] {
        on.all_say(true, who, PASSWORD);
        on.all_say(false, who, "wrong");
    }
    for who in ["anna%", "%example.org", "anna%%example.org", "anna%example.org%", "anna%example.org@example.org"] {
        on.all_say(false, who, PASSWORD);
    }
    let (code, shown) = on.admin(&["account", "show", who], "");
    assert!(code == Some(0) && shown.contains("anna@example.org"), "{shown}");
    // Mail is addressed by the sign alone.
    assert_eq!(on.exim(&["recipient", who, "1"]).1.trim(), "unknown");
    assert_eq!(on.exim(&["recipient", "anna@example.org", "1"]).1.trim(), "ok");
    let for_mail = ask(on.daemon.socket(), &pre("delivery", who), Manner::Whole).outcome();
    assert_eq!(for_mail.word(), "FAIL");
}

#[test]
fn a_separator_that_names_and_domains_have_is_refused_with_its_line() {
    let site = Site::new(Kind::Sqlite, NO_OWNER);
    let text = fs::read_to_string(site.config()).expect("the configuration");
    for (separators, told) in
        [("@", '@'), ("%.", '.'), ("-", '-'), ("_", '_'), ("x", 'x'), ("7", '7'), (" ", ' '), ("é", 'é')]
    {
        fs::write(site.config(), format!("{text}[login]\nseparators = \"{separators}\"\n")).expect("the configuration");
        let (code, said) = site.admin(&["domain", "list"], "");
        assert_eq!(code, Some(2), "{said}");
        let line = text.lines().count() + 2;
        assert!(said.contains(&format!(":{line}:")) && said.contains(&format!("{told:?}")), "{said}");
    }
}
