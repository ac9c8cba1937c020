//! `mailauth convert`: old configurations are converted, and the daemon answers with the result as the old program did.

use mailauth_tests::wire::{Manner, Outcome, ask, auth, pre};
use mailauth_tests::{Accounts, Kind, Mailauth, Scratch, on_mysql, program};
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

on_mysql!(a_file_of_courier_is_served,);

/// Returns the path of an old file.
fn old(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/convert").join(name)
}

fn convert(file: &Path, more: &[&str]) -> Output {
    let mut command = Command::new(program("mailauth"));
    command.arg("convert").arg(file).args(more).output().expect("mailauth convert")
}

fn text(bytes: &[u8]) -> &str {
    std::str::from_utf8(bytes).expect("UTF-8")
}

/// Returns the configuration of an old file, which is not refused, and what is on the standard error.
fn converted(name: &str) -> (String, String) {
    let output = convert(&old(name), &[]);
    assert_eq!(output.status.code(), Some(0), "{output:?}");
    (text(&output.stdout).to_owned(), text(&output.stderr).to_owned())
}

/// Returns the sections after `[database]`.
fn sections(configuration: &str) -> &str {
    let start = configuration.find("[schema]").expect("[schema]");
    configuration.get(start..).expect("its text")
}

/// The daemon with a converted configuration, over tables of a test.
struct Served {
    server: Mailauth,
    accounts: Accounts,
}

impl Served {
    fn new(kind: Kind, file: &str, tables: &str) -> Self {
        let accounts = Accounts::holding(kind, tables, sections(&converted(file).0));
        Served { server: Mailauth::over(&accounts), accounts }
    }

    fn login(&self, service: &str, login: &str, password: &str) -> &'static str {
        ask(self.server.socket(), &auth(service, login, password), Manner::Whole).outcome().word()
    }

    /// Returns a field of an account, looked up without a password.
    fn field(&self, login: &str, name: &str) -> Option<String> {
        self.field_for("imap", login, name)
    }

    fn field_for(&self, service: &str, login: &str, name: &str) -> Option<String> {
        match ask(self.server.socket(), &pre(service, login), Manner::Whole).outcome() {
            Outcome::Account(fields) => fields.get(name).map(str::to_owned),
            other => panic!("{login}: {other:?}\n{}", self.server.log()),
        }
    }

    fn assert_logins(&self, expected: &[(&str, &str, &str, &str)]) {
        for (service, login, password, answer) in expected {
            let got = self.login(service, login, password);
            assert_eq!(got, *answer, "{service} {login} {password}\n{}", self.server.log());
        }
    }

    fn listed(&self) -> Vec<String> {
        let list = self.accounts.admin(&["--json", "account", "list"], "");
        let rows: serde_json::Value = serde_json::from_str(&list).expect("JSON");
        let rows = rows.as_array().cloned().unwrap_or_default();
        rows.iter().filter_map(|row| row["login"].as_str().map(str::to_owned)).collect()
    }
}

const PEOPLE: &str = "
    CREATE TABLE people (address VARCHAR(100) PRIMARY KEY, hash VARCHAR(200) DEFAULT '', plain VARCHAR(100) DEFAULT '',
        owner INT DEFAULT 2001, box VARCHAR(100) DEFAULT '', mib BIGINT DEFAULT 0, nopop INT DEFAULT 0, gone INT DEFAULT 0);
    INSERT INTO people (address, hash, plain, mib) VALUES ('ida@hill.example', '{PLAIN}right', 'wrong', 5);
    INSERT INTO people (address, plain, box, nopop) VALUES ('jon@hill.example', 'in clear', '/srv/mail/jons', 1);
    INSERT INTO people (address, plain, gone) VALUES ('kai@hill.example', 'right', 1), ('boss@hill.example', 'right', 1);
    INSERT INTO people (address, plain, owner) VALUES ('lea@hill.example', 'right', 90), ('max@hill.example', 'right', 0);
";

fn a_file_of_courier_is_served(kind: Kind) {
    let served = Served::new(kind, "authmysqlrc", PEOPLE);
    served.assert_logins(&[
        ("imap", "ida@hill.example", "right", "ACCOUNT"),
        ("imap", "ida", "right", "ACCOUNT"),
        ("imap", "ida@hill.example", "wrong", "FAIL"),
        ("imap", "jon@hill.example", "in clear", "ACCOUNT"),
        ("pop3", "jon@hill.example", "in clear", "FAIL"),
        ("imap", "kai@hill.example", "right", "FAIL"),
        ("imap", "boss@hill.example", "right", "ACCOUNT"),
        ("imap", "lea@hill.example", "right", "ACCOUNT"),
        ("imap", "max@hill.example", "right", "FAIL"),
    ]);
    let field = |login, name| served.field(login, name);
    assert_eq!(field("ida@hill.example", "HOME").as_deref(), Some("/srv/mail/ida@hill.example"));
    assert_eq!(field("ida@hill.example", "QUOTA").as_deref(), Some("5242880S"));
    assert_eq!(field("jon@hill.example", "MAILDIR").as_deref(), Some("/srv/mail/jons"));
    assert_eq!(field("lea@hill.example", "UID").as_deref(), Some("90"));
    assert_eq!(served.listed().len(), 5);
}

#[test]
fn a_file_of_courier_is_served_over_mariadb() {
    a_file_of_courier_is_served(Kind::MariaDb);
}

#[test]
fn a_select_clause_of_courier_is_served() {
    let served = Served::new(
        Kind::Postgres,
        "authpgsqlrc",
        "CREATE TABLE box (name TEXT, zone TEXT, hash TEXT, owner INT DEFAULT 2001, mib INT, gone BOOLEAN DEFAULT FALSE,
             sends BOOLEAN DEFAULT TRUE, PRIMARY KEY (zone, name));
         INSERT INTO box (name, zone, hash, sends) VALUES ('ida', 'hill.example', '{PLAIN}right', TRUE),
             ('jon', 'hill.example', '{PLAIN}right', FALSE);
         INSERT INTO box (name, zone, hash, gone) VALUES ('kai', 'hill.example', '{PLAIN}right', TRUE);",
    );
    served.assert_logins(&[
        ("imap", "ida@hill.example", "right", "ACCOUNT"),
        ("esmtp", "ida@hill.example", "right", "ACCOUNT"),
        ("imap", "jon@hill.example", "right", "ACCOUNT"),
        ("esmtp", "jon@hill.example", "right", "FAIL"),
        ("imap", "kai@hill.example", "right", "FAIL"),
    ]);
    assert_eq!(served.field("ida@hill.example", "HOME").as_deref(), Some("/srv/mail/hill.example/ida"));
    assert_eq!(served.listed(), ["ida@hill.example", "jon@hill.example"]);
}

#[test]
fn a_file_of_courier_for_sqlite_is_served() {
    let served = Served::new(
        Kind::Sqlite,
        "authsqliterc",
        "CREATE TABLE zone (id INTEGER PRIMARY KEY, name TEXT UNIQUE, paid INTEGER);
         CREATE TABLE box (name TEXT, zone INTEGER, hash TEXT, PRIMARY KEY (zone, name));
         INSERT INTO zone VALUES (1, 'hill.example', 1), (2, 'dale.example', 0);
         INSERT INTO box VALUES ('ida', 1, '{PLAIN}right'), ('jon', 2, '{PLAIN}right');",
    );
    served.assert_logins(&[
        ("imap", "ida@hill.example", "right", "ACCOUNT"),
        ("imap", "jon@dale.example", "right", "FAIL"),
        ("imap", "ida@dale.example", "right", "FAIL"),
    ]);
    assert_eq!(served.field("ida@hill.example", "HOME").as_deref(), Some("/srv/mail/hill.example/ida"));
}

/// PostfixAdmin's tables, as far as the profile and the old file read them.
const POSTFIXADMIN: &str = "
    CREATE TABLE domain (domain VARCHAR(100) PRIMARY KEY, backupmx TINYINT DEFAULT 0, active TINYINT DEFAULT 1,
        password_expiry INT DEFAULT 0);
    CREATE TABLE mailbox (username VARCHAR(100) PRIMARY KEY, password VARCHAR(100), name VARCHAR(100) DEFAULT '',
        maildir VARCHAR(100), quota BIGINT DEFAULT 0, domain VARCHAR(100), active TINYINT DEFAULT 1,
        password_expiry DATETIME DEFAULT '2000-01-01 00:00:00', smtp_active TINYINT DEFAULT 1);
    CREATE TABLE alias (address VARCHAR(100) PRIMARY KEY, goto TEXT, active TINYINT DEFAULT 1);
    CREATE TABLE alias_domain (alias_domain VARCHAR(100) PRIMARY KEY, target_domain VARCHAR(100), active TINYINT DEFAULT 1);
    INSERT INTO domain (domain, active) VALUES ('hill.example', 1), ('dale.example', 0);
    INSERT INTO mailbox (username, password, maildir, domain, active, smtp_active, quota) VALUES
        ('ida@hill.example', 'right', 'hill.example/ida/', 'hill.example', 1, 1, 7),
        ('jon@hill.example', 'right', 'hill.example/jon/', 'hill.example', 1, 0, -1),
        ('kai@hill.example', 'right', 'hill.example/kai/', 'hill.example', 0, 1, 0),
        ('lea@dale.example', 'right', 'dale.example/lea/', 'dale.example', 1, 1, 0);
    INSERT INTO alias (address, goto) VALUES ('all@hill.example', 'ida@hill.example,jon@hill.example');
";

#[test]
fn queries_of_dovecot_are_served_with_the_aliases_of_the_profile() {
    let served = Served::new(Kind::MariaDb, "dovecot-sql.conf.ext", POSTFIXADMIN);
    served.assert_logins(&[
        ("imap", "ida@hill.example", "right", "ACCOUNT"),
        ("imap", "IDA@HILL.example", "right", "ACCOUNT"),
        ("smtp", "ida@hill.example", "right", "ACCOUNT"),
        ("imap", "jon@hill.example", "right", "ACCOUNT"),
        ("smtp", "jon@hill.example", "right", "FAIL"),
        ("imap", "kai@hill.example", "right", "FAIL"),
        ("imap", "lea@dale.example", "right", "FAIL"),
    ]);
    // A mailbox of a domain that is switched off still takes mail: user_query does not look at the domain.
    assert_eq!(served.field_for("courier", "lea@dale.example", "HOME").as_deref(), Some("/srv/mail/dale.example/lea"));
    assert_eq!(served.field("ida@hill.example", "MAILDIR").as_deref(), Some("/srv/mail/hill.example/ida/"));
    assert_eq!(served.field("ida@hill.example", "QUOTA").as_deref(), Some("7340032S,500C"));
    assert_eq!(served.field("jon@hill.example", "QUOTA").as_deref(), Some("500C"));
    let question = b"ASK alias all@hill.example\n";
    let answer = ask(served.server.socket(), question, Manner::Whole);
    assert!(text(&answer.bytes).contains("jon@hill.example"), "{answer:?}");
    let (_, remarks) = converted("dovecot-sql.conf.ext");
    assert!(remarks.contains("note: ") && remarks.contains("stricter"), "{remarks}");
}

#[test]
fn a_configuration_of_dovecot_24_is_served() {
    let served = Served::new(
        Kind::Postgres,
        "dovecot.conf",
        "CREATE TABLE box (name TEXT, zone TEXT, secret TEXT, mib INT, gone BOOLEAN DEFAULT FALSE, pops BOOLEAN DEFAULT TRUE,
             until DATE DEFAULT '2999-01-01', PRIMARY KEY (zone, name));
         INSERT INTO box (name, zone, secret, mib, pops) VALUES ('ida', 'hill.example', 'right', 3000, TRUE),
             ('jon', 'hill.example', 'right', NULL, FALSE);
         INSERT INTO box (name, zone, secret, until) VALUES ('kai', 'hill.example', 'right', '2001-01-01');",
    );
    served.assert_logins(&[
        ("pop3", "Ida@hill.example", "right", "ACCOUNT"),
        ("imap", "jon@hill.example", "right", "ACCOUNT"),
        ("pop3", "jon@hill.example", "right", "FAIL"),
        ("imap", "kai@hill.example", "right", "FAIL"),
    ]);
    assert_eq!(served.field("ida@hill.example", "QUOTA").as_deref(), Some("3145728000S"));
    assert_eq!(served.field_for("courier", "kai@hill.example", "HOME").as_deref(), Some("/srv/mail/hill.example/kai"));
}

#[test]
fn a_password_is_written_to_a_file_of_its_own_only() {
    for (file, password) in [
        ("authmysqlrc", "# is no comment here \"nor\" a quote"),
        ("authpgsqlrc", "don't tell"),
        ("dovecot-sql.conf.ext", "a=b"),
        ("dovecot.conf", "a # b"),
    ] {
        let scratch = Scratch::new("convert");
        let out = scratch.join("new.toml");
        let output = convert(&old(file), &["--out", out.to_str().expect("a name")]);
        assert_eq!(output.status.code(), Some(0), "{output:?}");
        let written = scratch.join("database.password");
        assert_eq!(fs::read_to_string(&written).expect("the password"), format!("{password}\n"));
        let mode = |path: &Path| fs::metadata(path).expect("a file").permissions().mode() & 0o777;
        assert_eq!((mode(&written), mode(&out)), (0o600, 0o640));
        let configuration = fs::read_to_string(&out).expect("the configuration");
        assert!(configuration.contains("password_file = \"database.password\""), "{configuration}");
        let (printed, remarks) = converted(file);
        for shown in [&configuration, &printed, &remarks, text(&output.stdout), text(&output.stderr)] {
            assert!(!shown.contains(password), "{shown}");
        }
        assert!(printed.contains("password_file = \"/etc/mailauth/database.password\""), "{printed}");
        assert!(remarks.contains("is not printed"), "{remarks}");
    }
}

#[test]
fn existing_files_are_replaced_only_by_force() {
    for name in ["new.toml", "database.password"] {
        let scratch = Scratch::new("convert");
        let out = scratch.join("new.toml");
        let out = out.to_str().expect("a name");
        fs::write(scratch.join(name), "mine").expect("a file");
        let output = convert(&old("authmysqlrc"), &["--out", out]);
        assert_eq!(output.status.code(), Some(1), "{output:?}");
        assert!(text(&output.stderr).contains("exists; use --force"), "{output:?}");
        assert_eq!(fs::read_to_string(scratch.join(name)).expect("it"), "mine");
        assert_eq!(fs::read_dir(scratch.path()).expect("the folder").count(), 1, "another file was written");
        let output = convert(&old("authmysqlrc"), &["--out", out, "--force"]);
        assert_eq!(output.status.code(), Some(0), "{output:?}");
        assert_ne!(fs::read_to_string(scratch.join(name)).expect("it"), "mine");
    }
}

#[test]
fn a_refused_file_leaves_nothing_behind() {
    let scratch = Scratch::new("convert");
    let file = scratch.join("dovecot-sql.conf.ext");
    let query = "SELECT 'Y' AS nopassword, NULL AS password FROM t WHERE a = '%u' AND b = '%w'";
    fs::write(&file, format!("driver = mysql\nconnect = host=h user=u dbname=d\npassword_query = {query}\n"))
        .expect("it");
    let out = scratch.join("new.toml");
    let output = convert(&file, &["--out", out.to_str().expect("a name")]);
    let error = text(&output.stderr);
    assert_eq!((output.status.code(), output.stdout.as_slice()), (Some(1), b"".as_slice()));
    assert!(error.contains("dovecot-sql.conf.ext:3: password_query: the database judges the password"), "{error}");
    assert!(error.contains("nothing was converted"), "{error}");
    assert_eq!(fs::read_dir(scratch.path()).expect("the folder").count(), 1);
}

#[test]
fn what_is_not_taken_over_is_told_twice() {
    let (configuration, remarks) = converted("authpgsqlrc");
    for part in ["PGSQL_CHPASS_CLAUSE: is not taken over", "PGSQL_ENUMERATE_CLAUSE: lists other accounts"] {
        assert!(remarks.contains(&format!("warning: {}", old("authpgsqlrc").display())), "{remarks}");
        assert!(remarks.contains(part) && configuration.contains(part), "{remarks}\n{configuration}");
    }
}

#[test]
fn a_conversion_is_printed_as_json() {
    let output = convert(&old("authsqliterc"), &["--json"]);
    let value: serde_json::Value = serde_json::from_slice(&output.stdout).expect("JSON");
    assert!(value["configuration"].as_str().is_some_and(|text| text.contains("[schema.accounts]")), "{value}");
    for line in text(&output.stderr).lines() {
        let remark: serde_json::Value = serde_json::from_str(line).expect("JSON");
        assert!(remark["warning"].is_string() || remark["note"].is_string(), "{remark}");
    }
}

#[test]
fn files_that_cannot_be_read_are_errors() {
    let scratch = Scratch::new("convert");
    let output = convert(&scratch.join("missing"), &[]);
    assert_eq!(output.status.code(), Some(2), "{output:?}");
    let large = scratch.join("authmysqlrc");
    fs::write(&large, vec![b'#'; (1 << 20) + 1]).expect("a file");
    let output = convert(&large, &[]);
    assert_eq!(output.status.code(), Some(2), "{output:?}");
    assert!(text(&output.stderr).contains("has more than 1048576 bytes"), "{output:?}");
}
