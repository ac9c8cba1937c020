//! The many ways in which users and programs write one login.

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

/// The daemon with these accounts, and a configuration for every program.
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

    /// Returns the exit code of `mailauth`, and what it prints.
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

    /// Returns the exit codes of a POP3 login by the daemon, and by the database itself.
    fn pop3(&self, login: &str, password: &str, timestamp: &str) -> [Option<i32>; 2] {
        ["mailauth-pop3", "mailauth-pop3-database"].map(|name| {
            let mut command = Command::new(program(name));
            command.arg("true").env("MAILAUTH_CONFIG", self.config()).env_remove("MAILAUTH_SERVICE").current_dir("/");
            call(command, &record(login, password, timestamp)).code
        })
    }

    /// Returns how each adapter answers this login with a password.
    fn answers(&self, user: &str, password: &str) -> Vec<(&'static str, bool)> {
        let socket = self.daemon.socket();
        let [by_daemon, by_database] = self.pop3(user, password, "<1@host>");
        let account = |request: Vec<u8>| matches!(ask(socket, &request, Manner::Whole).outcome(), Outcome::Account(_));
        let socket_path = socket.to_str().expect("a path");
        vec![
            ("AUTH", account(auth("imap", user, password))),
            ("mailauth-exim login", self.exim(&["login", "smtp", user, password]).0 == Some(0)),
            ("mailauth-pop3", by_daemon == Some(0)),
            ("mailauth-pop3-database", by_database == Some(0)),
            ("mailauth auth", self.admin(&["auth", user, "--password-stdin"], password).0 == Some(0)),
            (
                "mailauth auth --socket",
                self.admin(&["auth", user, "--socket", socket_path, "--password-stdin"], password).0 == Some(0),
            ),
        ]
    }

    #[track_caller]
    fn all_say(&self, yes: bool, user: &str, password: &str) {
        for (adapter, said) in self.answers(user, password) {
            assert_eq!(said, yes, "{adapter}: {user:?} with {password:?}\n{}", self.daemon.log());
        }
    }
}

/// POP3 programs execute the next one without changing the user.
const NO_OWNER: &str = "[pop3]\nbecome_owner = false\n";

#[test]
fn a_login_with_an_added_space_is_accepted() {
    let site = Site::new(Kind::Sqlite, NO_OWNER);
    for user in ["anna@example.org ", " anna@example.org", "\tAnna@Example.org\t", "\u{a0}anna@example.org\u{3000}"] {
        site.all_say(true, user, PASSWORD);
        site.all_say(false, user, "wrong");
        let looked_up = ask(site.daemon.socket(), &pre("imap", user), Manner::Whole).outcome();
        assert_eq!(looked_up.account().get("ADDRESS"), Some("anna@example.org"), "{user:?}");
    }
    // A password is used unchanged.
    site.all_say(false, "anna@example.org", &format!("{PASSWORD} "));
    site.all_say(false, "anna@example.org", &format!(" {PASSWORD}"));
    // White space in other places belongs to no login.
    for user in ["an na@example.org", "anna @example.org", "anna@ example.org", "anna@example.org x", " "] {
        site.all_say(false, user, PASSWORD);
    }
    for user in ["anna@example.org\r", "anna@example.org\u{1}"] {
        assert_eq!(login(site.daemon.socket(), user, PASSWORD).word(), "FAIL", "{user:?}");
        assert_eq!(site.pop3(user, PASSWORD, "<1@host>"), [Some(1); 2], "{user:?}");
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
fn a_challenge_works_for_a_login_with_an_added_space() {
    let site = Site::new(Kind::Sqlite, NO_OWNER);
    for user in ["dora@example.org", "dora@example.org ", " dora@example.org"] {
        let mut mac = Hmac::<Md5>::new_from_slice(DORAS_PASSWORD.as_bytes()).expect("a key");
        mac.update(b"<1@host>");
        let digits: String = mac.finalize().into_bytes().iter().map(|byte| format!("{byte:02x}")).collect();
        let (challenge, answer) = (STANDARD.encode("<1@host>"), STANDARD.encode(format!("{user} {digits}")));
        let request = auth_body(format!("imap\ncram-md5\n{challenge}\n{answer}\n").as_bytes());
        assert_eq!(ask(site.daemon.socket(), &request, Manner::Whole).outcome().word(), "ACCOUNT", "{user:?}");
        let apop: String =
            Md5::digest(format!("<1@host>{DORAS_PASSWORD}")).iter().map(|byte| format!("{byte:02x}")).collect();
        assert_eq!(site.pop3(user, &apop, "<1@host>"), [Some(0); 2], "{user:?}");
        assert_eq!(site.exim(&["cram", user]), (Some(0), DORAS_PASSWORD.to_owned()), "{user:?}");
    }
}

#[test]
fn a_configured_separator_replaces_the_at_sign_in_logins() {
    let user = "anna%example.org";
    let off = Site::new(Kind::Sqlite, NO_OWNER);
    off.all_say(false, user, PASSWORD);
    let on = Site::new(Kind::Sqlite, &format!("{NO_OWNER}[login]\nseparators = \"%/\"\n"));
    for user in [user, "Anna%Example.ORG ", "anna/example.org", "anna@example.org"] {
        on.all_say(true, user, PASSWORD);
        on.all_say(false, user, "wrong");
    }
    for user in ["anna%", "%example.org", "anna%%example.org", "anna%example.org%", "anna%example.org@example.org"] {
        on.all_say(false, user, PASSWORD);
    }
    let (code, shown) = on.admin(&["account", "show", user], "");
    assert!(code == Some(0) && shown.contains("anna@example.org"), "{shown}");
    // Mail addresses have only the at sign.
    assert_eq!(on.exim(&["recipient", user, "1"]).1.trim(), "unknown");
    assert_eq!(on.exim(&["recipient", "anna@example.org", "1"]).1.trim(), "ok");
    let for_mail = ask(on.daemon.socket(), &pre("delivery", user), Manner::Whole).outcome();
    assert_eq!(for_mail.word(), "FAIL");
}

#[test]
fn a_separator_used_in_names_is_refused_with_its_line() {
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

/// Spellings of the same login.
const JUERGEN: [&str; 6] = [
    "jürgen@bücher.example",
    "JÜRGEN@Bücher.EXAMPLE",
    "ju\u{308}rgen@bu\u{308}cher.example",
    "jürgen@xn--bcher-kva.example",
    "Ju\u{308}rgen@XN--BCHER-KVA.example",
    "jürgen@bücher。example",
];

/// The stored spelling.
const KEPT: &str = "jürgen@xn--bcher-kva.example";

#[test]
fn an_international_login_is_accepted_in_every_spelling() {
    let site = Site::new(Kind::Sqlite, NO_OWNER);
    assert_eq!(site.admin(&["domain", "add", "Bücher.example"], "").1.trim(), "added the domain bücher.example");
    let csv = format!("login,password,uid,gid\n{},{CHEAP_HASH},5000,5000\n", JUERGEN[2]);
    assert_eq!(site.admin(&["account", "import", "-"], &csv).0, Some(0));
    for user in JUERGEN {
        site.all_say(true, user, PASSWORD);
        site.all_say(false, user, "wrong");
        let looked_up = ask(site.daemon.socket(), &pre("imap", user), Manner::Whole).outcome();
        assert_eq!(looked_up.account().get("ADDRESS"), Some(KEPT), "{user:?}");
        assert_eq!(site.exim(&["recipient", user, "1"]).1.trim(), "ok", "{user:?}");
        assert!(site.exim(&["account", user]).1.contains(&format!("login=\"{KEPT}\"")), "{user:?}");
        let (code, said) = site.admin(&["account", "add", user, "--no-password"], "");
        assert!(code == Some(1) && said.contains("already"), "{user:?}: {said}");
    }
    for domain in ["bücher.example", "BU\u{308}CHER.example", "xn--bcher-kva.example", "XN--Bcher-KVA.Example"] {
        assert_eq!(site.exim(&["domain", domain]).0, Some(0), "{domain:?}");
        let (code, said) = site.admin(&["domain", "add", domain], "");
        assert!(code == Some(1) && said.contains("already"), "{domain:?}: {said}");
    }
    // The output for people shows letters. Programs get both.
    assert!(site.admin(&["account", "list"], "").1.contains("jürgen@bücher.example"));
    assert!(site.admin(&["domain", "list"], "").1.contains("bücher.example"));
    let json = site.admin(&["account", "show", JUERGEN[0], "--json"], "").1;
    let json: serde_json::Value = serde_json::from_str(&json).expect("JSON");
    assert_eq!((&json["login"], &json["readable"]), (&KEPT.into(), &"jürgen@bücher.example".into()));
    // A login with an impossible domain is unknown, and cannot be added.
    for user in
        ["a@ü x.example", "a@bücher/.example", "a@\u{200d}.example", "jürgen@bücher.example.", "jurgen@bücher.example"]
    {
        site.all_say(false, user, PASSWORD);
        assert_eq!(site.exim(&["recipient", user, "1"]).1.trim(), "unknown", "{user:?}");
    }
    for domain in ["ü x.example", "bücher/.example", "xn--zzzzzz999.example", &"ü".repeat(64)] {
        let (code, said) = site.admin(&["domain", "add", domain], "");
        assert!(code == Some(2) && said.contains("not a domain's name"), "{domain:?}: {said}");
    }
    // An ASCII name is never refused because of how it looks.
    let (code, said) = site.admin(&["domain", "add", "under_score.example"], "");
    assert_eq!(code, Some(0), "{said}");
}

#[test]
fn an_alias_is_resolved_in_every_spelling() {
    let site = Site::new(Kind::Sqlite, NO_OWNER);
    assert_eq!(site.admin(&["domain", "add", "bücher.example"], "").0, Some(0));
    let alias = |arguments: &[&str]| site.admin(&[&["alias"], arguments].concat(), "");
    assert_eq!(alias(&["add", "Größe@bücher.example", "anna@example.org", "Ben@Straße.example"]).0, Some(0));
    assert_eq!(alias(&["add", "@BÜCHER.example", "größe@xn--bcher-kva.example"]).0, Some(0));
    let to = "anna@example.org, Ben@xn--strae-oqa.example";
    for address in ["größe@bücher.example", "gro\u{308}ße@xn--bcher-kva.example"] {
        assert_eq!(site.exim(&["alias", address]).1.trim(), to, "{address:?}");
        assert_eq!(site.exim(&["recipient", address, "1"]).1.trim(), "ok", "{address:?}");
    }
    for address in ["whoever@bücher.example", "whoever@xn--bcher-kva.example"] {
        assert_eq!(site.exim(&["alias", address]).1.trim(), "größe@xn--bcher-kva.example", "{address:?}");
        assert_eq!(site.exim(&["recipient", address, "1"]).1.trim(), "ok", "{address:?}");
    }
    let listed = alias(&["list"]).1;
    assert!(listed.contains("größe@bücher.example") && listed.contains("Ben@straße.example"), "{listed}");
    assert_eq!(alias(&["remove", "größe@xn--bcher-kva.example", "Ben@straße.example"]).0, Some(0));
    assert_eq!(site.exim(&["alias", "größe@bücher.example"]).1.trim(), "anna@example.org");
}

#[test]
fn the_default_domain_may_be_international() {
    let site = Site::new(
        Kind::Sqlite,
        &format!("{NO_OWNER}[login]\ndefault_domain = \"Bücher.example\"\nseparators = \"%\"\n"),
    );
    let csv = format!("login,password,uid,gid\nzoe,{CHEAP_HASH},5000,5000\n");
    assert_eq!(site.admin(&["account", "import", "-"], &csv).0, Some(0));
    for user in ["zoe", "zoe@bücher.example", "zoe%xn--bcher-kva.example", "zoe＠bücher．example"] {
        site.all_say(true, user, PASSWORD);
    }
}

mod on_each {
    mailauth_tests::on_each_database!(
        init_converts_names_of_earlier_versions_to_one_spelling,
        domains_that_become_equal_lose_nothing_and_are_reported,
    );

    use super::*;

    /// Returns a row as an earlier version, or another program, wrote it.
    fn account(login: &str, home: &str) -> String {
        let domain = login.rsplit_once('@').expect("a domain").1;
        format!(
            "INSERT INTO accounts (login, domain, password, uid, gid, home) \
             VALUES ('{login}', '{domain}', '{CHEAP_HASH}', 5000, 5000, {home});\n"
        )
    }

    fn works(accounts: &Accounts, user: &str) -> bool {
        accounts.try_admin(&["auth", user, "--password-stdin"], PASSWORD).status.code() == Some(0)
    }

    fn home(accounts: &Accounts, user: &str) -> String {
        let shown = accounts.admin(&["account", "show", user, "--json"], "");
        let shown: serde_json::Value = serde_json::from_str(&shown).expect("JSON");
        shown["mailbox"]["home"].as_str().expect("a home").to_owned()
    }

    fn init_converts_names_of_earlier_versions_to_one_spelling(kind: Kind) {
        let accounts = Accounts::empty(kind).with("login\nanna@example.org\n");
        accounts.sql_without_checks(&format!(
            "INSERT INTO domains (name, description, quota_bytes) VALUES ('bücher.example', 'Büro', 1000000);\n{}{}{}\
             INSERT INTO aliases (address, domain, target) VALUES ('info@bücher.example', 'bücher.example', \
             'zoe@bücher.example');\n\
             INSERT INTO aliases (address, domain, target) VALUES ('@bücher.example', 'bücher.example', \
             'anna@example.org');\n\
             INSERT INTO mailbox_use (login, domain, bytes, messages) VALUES ('zoe@bücher.example', 'bücher.example', \
             4711, 2);\n\
             INSERT INTO domain_use (domain, bytes, messages, mailboxes) VALUES ('bücher.example', 4711, 2, 1);\n\
             INSERT INTO alias_domains (name, target) VALUES ('old.example', 'bücher.example');\n",
            account("zoe@bücher.example", "NULL"),
            account("ben@bücher.example", "'/srv/ben'"),
            account("ju\u{308}rgen@example.org", "NULL"),
        ));
        let check = || String::from_utf8_lossy(&accounts.try_admin(&["check"], "").stdout).into_owned();
        let told = check();
        assert!(told.contains("the domain bücher.example is looked up as xn--bcher-kva.example"), "{told}");
        let said = accounts.admin(&["init"], "");
        assert!(said.contains("changed: domains 1, accounts 3, aliases 2"), "{said}");
        let told = check();
        assert!(!told.contains("is looked up as"), "{told}");
        for user in ["zoe@bücher.example", "zoe@xn--bcher-kva.example", "ben@bücher.example", "jürgen@example.org"] {
            assert!(works(&accounts, user), "{user}");
        }
        // Its mail stays where it was. A new account gets the name in ASCII.
        assert_eq!(home(&accounts, "zoe@bücher.example"), "/var/mail/bücher.example/zoe");
        assert_eq!(home(&accounts, "ben@bücher.example"), "/srv/ben");
        assert_eq!(home(&accounts, "jürgen@example.org"), "/var/mail/example.org/ju\u{308}rgen");
        accounts
            .admin(&["account", "add", "eva@bücher.example", "--no-password", "--uid", "5000", "--gid", "5000"], "");
        assert_eq!(home(&accounts, "eva@bücher.example"), "/var/mail/xn--bcher-kva.example/eva");
        let domain = accounts.admin(&["domain", "show", "bücher.example", "--json"], "");
        let domain: serde_json::Value = serde_json::from_str(&domain).expect("JSON");
        assert_eq!((&domain["description"], &domain["quota_bytes"]), (&"Büro".into(), &1_000_000.into()));
        assert_eq!((&domain["used"]["bytes"], &domain["used"]["mailboxes"]), (&4711.into(), &1.into()));
        let aliases = accounts.admin(&["alias", "list", "xn--bcher-kva.example", "--json"], "");
        assert!(aliases.contains("\"zoe@xn--bcher-kva.example\"") && aliases.contains("anna@example.org"), "{aliases}");
        let again = accounts.admin(&["init"], "");
        assert!(again.contains("up to date") && !again.contains("changed:"), "{again}");
    }

    fn domains_that_become_equal_lose_nothing_and_are_reported(kind: Kind) {
        let accounts = Accounts::empty(kind).with(&format!(
            "login,password,uid,gid\nzoe@xn--bcher-kva.example,{CHEAP_HASH},5000,5000\n\
             max@xn--bcher-kva.example,{CHEAP_HASH},5000,5000\n"
        ));
        accounts.sql_without_checks(&format!(
            "INSERT INTO domains (name) VALUES ('bücher.example');\n{}{}",
            account("zoe@bücher.example", "NULL"),
            account("ben@bücher.example", "NULL"),
        ));
        let output = accounts.try_admin(&["init"], "");
        let said = [output.stdout, output.stderr].map(|text| String::from_utf8_lossy(&text).into_owned()).concat();
        assert_eq!(output.status.code(), Some(0), "{said}");
        assert!(said.contains("the domains bücher.example and xn--bcher-kva.example"), "{said}");
        assert!(said.contains("the accounts zoe@bücher.example and zoe@xn--bcher-kva.example"), "{said}");
        assert!(said.contains("changed: domains 0, accounts 1"), "{said}");
        for user in ["ben@bücher.example", "max@bücher.example", "zoe@bücher.example", "ben@xn--bcher-kva.example"] {
            assert!(works(&accounts, user), "{user}");
        }
        assert_eq!(home(&accounts, "ben@bücher.example"), "/var/mail/bücher.example/ben");
        assert_eq!(home(&accounts, "zoe@bücher.example"), "/var/mail/xn--bcher-kva.example/zoe");
        // The other row still exists, and can get another login.
        accounts.admin(&["account", "rename", "--exact", "zoe@bücher.example", "zoe.old@bücher.example"], "");
        assert!(works(&accounts, "zoe.old@xn--bcher-kva.example"));
        let said = accounts.admin(&["init"], "");
        assert!(said.contains("changed: domains 1, accounts 0"), "{said}");
        assert_eq!(accounts.admin(&["account", "list"], "").matches("@bücher.example").count(), 4);
    }
}
