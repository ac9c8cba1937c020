//! The administrator's command.

use mailauth_tests::people::{ANNA, BRUNO, CARLA, CHEAP_HASH, PASSWORD, SHA512_CRYPT_HASH, UNKNOWN, people};
use mailauth_tests::{
    Accounts, Kind, Mailauth, Scratch, ended, on_a_terminal, on_each_database_and_mysql, output_with_input, program,
};
use serde_json::Value;
use std::fs;
use std::path::Path;
use std::process::{Command, Output};

on_each_database_and_mysql!(
    init_twice_changes_nothing,
    domains_are_added_shown_changed_and_removed,
    accounts_are_added_shown_changed_and_removed,
    aliases_gain_and_lose_targets,
    only_the_last_password_set_works,
    check_shows_what_was_reached_and_what_is_missing,
);

mod with_a_server {
    use super::an_unreachable_database_is_not_now_and_never_no;

    mailauth_tests::on_each_server_and_mysql!(an_unreachable_database_is_not_now_and_never_no);
}

/// Runs the command, which has to exit with `code`.
#[track_caller]
fn admin(accounts: &Accounts, arguments: &[&str], code: i32) -> String {
    ended(&accounts.try_admin(arguments, ""), code)
}

/// Does the same with a password on its standard input.
#[track_caller]
fn with_password(accounts: &Accounts, arguments: &[&str], password: &str, code: i32) -> String {
    let arguments = [arguments, &["--password-stdin"]].concat();
    ended(&accounts.try_admin(&arguments, &format!("{password}\n")), code)
}

#[track_caller]
fn json(accounts: &Accounts, arguments: &[&str]) -> Value {
    let text = accounts.admin(&[arguments, &["--json"]].concat(), "");
    serde_json::from_str(&text).unwrap_or_else(|error| panic!("{error}: {text}"))
}

/// Runs `mailauth` without a configuration, in an empty folder.
fn elsewhere(folder: &Scratch, arguments: &[&str], input: &str) -> Output {
    let mut command = Command::new(program("mailauth"));
    command.args(arguments).current_dir(folder.path()).env_remove("MAILAUTH_CONFIG");
    output_with_input(&mut command, input)
}

fn init_twice_changes_nothing(kind: Kind) {
    let accounts = Accounts::empty(kind).with(&people(Path::new("/var/mail")));
    let before = accounts.admin(&["account", "export"], "");
    assert!(admin(&accounts, &["init"], 0).contains("are up to date (schema version 4)"));
    assert_eq!(accounts.admin(&["account", "export"], ""), before);
}

fn domains_are_added_shown_changed_and_removed(kind: Kind) {
    let accounts = Accounts::empty(kind);
    admin(&accounts, &["domain", "add", "Example.ORG", "--description", "Büro"], 0);
    assert!(admin(&accounts, &["domain", "add", "example.org"], 1).contains("example.org exists already"));
    admin(&accounts, &["domain", "add", "other.example", "--disabled"], 0);
    let list = json(&accounts, &["domain", "list"]);
    assert_eq!((&list[0]["domain"], &list[0]["description"]), (&"example.org".into(), &"Büro".into()));
    assert_eq!((&list[1]["domain"], &list[1]["enabled"]), (&"other.example".into(), &false.into()));
    admin(&accounts, &["domain", "set", "other.example", "--enabled", "--description", "second"], 0);
    assert!(accounts.admin(&["domain", "list"], "").ends_with("other.example  yes      none         second\n"));
    let told = admin(&accounts, &["domain", "set", "nowhere.example", "--disabled"], 1);
    assert!(told.contains("no such domain nowhere.example; 'mailauth domain list' lists them"));
    assert_eq!((&list[0]["quota_bytes"], &list[0]["used"]), (&Value::Null, &Value::Null));
    let told = admin(&accounts, &["domain", "set", "example.org", "--quota", "10G,100000"], 0);
    assert!(told.contains("mailauth quota recount --all"), "{told}");
    assert!(admin(&accounts, &["domain", "set", "example.org", "--quota", "much"], 2).contains("is not a quota"));
    admin(&accounts, &["account", "add", "a@example.org", "--no-password"], 0);
    admin(&accounts, &["alias", "add", "@example.org", "a@example.org"], 0);
    let shown = json(&accounts, &["domain", "show", "example.org"]);
    assert_eq!((&shown["quota_bytes"], &shown["quota_messages"]), (&(10u64 << 30).into(), &100_000.into()));
    assert_eq!(shown["used"], serde_json::json!({ "bytes": 0, "messages": 0, "mailboxes": 0 }));
    assert!(accounts.admin(&["domain", "list"], "").contains("0 B in 0 messages"));
    admin(&accounts, &["domain", "set", "example.org", "--quota", "none"], 0);
    assert_eq!(json(&accounts, &["domain", "show", "example.org"])["quota_bytes"], Value::Null);
    let shown = json(&accounts, &["domain", "show", "example.org"]);
    assert_eq!((&shown["accounts"], &shown["aliases"]), (&1.into(), &1.into()));
    let told = admin(&accounts, &["domain", "remove", "example.org"], 1);
    assert!(
        told.contains("still has 1 accounts, 1 aliases and 0 alias domains") && told.contains("--contents"),
        "{told}"
    );
    admin(&accounts, &["domain", "remove", "example.org", "--contents"], 0);
    admin(&accounts, &["domain", "remove", "other.example"], 0);
    assert_eq!(json(&accounts, &["domain", "list"]), Value::Array(Vec::new()));
    admin(&accounts, &["domain", "remove", "example.org"], 1);
    assert!(admin(&accounts, &["domain", "add", "not a domain"], 2).contains("is not a domain's name"));
}

fn accounts_are_added_shown_changed_and_removed(kind: Kind) {
    let accounts = Accounts::empty(kind).with_mailbox("min_uid = 7\n");
    let told = with_password(&accounts, &["account", "add", ANNA], PASSWORD, 1);
    assert!(told.contains("no such domain example.org; add it with 'mailauth domain add example.org'"), "{told}");
    admin(&accounts, &["domain", "add", "example.org"], 0);
    let columns = ["--quota", "1G,10000", "--services", "imap,pop3", "--name", "Anna Ärlig", "--options", "a=1,b=2"];
    with_password(&accounts, &[&["account", "add", "Anna@Example.org"][..], &columns].concat(), PASSWORD, 0);
    let told = with_password(&accounts, &["account", "add", ANNA], PASSWORD, 1);
    assert!(told.contains("anna@example.org exists already"), "{told}");

    let shown = json(&accounts, &["account", "show", ANNA]);
    let expected = [
        ("login", ANNA.into()),
        ("enabled", true.into()),
        ("services", vec!["imap", "pop3"].into()),
        ("uid", Value::Null),
        ("quota_bytes", (1u64 << 30).into()),
        ("quota_messages", 10_000.into()),
        ("name", "Anna Ärlig".into()),
        ("options", "a=1,b=2".into()),
    ];
    for (name, value) in expected {
        assert_eq!(shown[name], value, "{name}");
    }
    assert_eq!(shown["password"]["scheme"], "SHA512-CRYPT");
    assert_eq!(shown["mailbox"]["home"], "/var/mail/example.org/anna");
    assert!(!shown["created"].as_str().unwrap().is_empty());

    let changed =
        ["--quota", "default", "--services", "all", "--name", "", "--uid", "7", "--home", "/h/a", "--disabled"];
    admin(&accounts, &[&["account", "set", ANNA][..], &changed].concat(), 0);
    let shown = json(&accounts, &["account", "list", "example.org"])[0].clone();
    let expected = [
        ("enabled", false.into()),
        ("services", Value::Null),
        ("quota_bytes", Value::Null),
        ("quota_messages", Value::Null),
        ("name", Value::Null),
        ("uid", 7.into()),
        ("home", "/h/a".into()),
        ("options", "a=1,b=2".into()),
    ];
    for (name, value) in expected {
        assert_eq!(shown[name], value, "{name}");
    }
    assert!(admin(&accounts, &["account", "set", ANNA, "--uid", "0"], 2).contains("--uid: 0 is root"));
    assert!(admin(&accounts, &["account", "set", UNKNOWN, "--uid", "7"], 1).contains("no such account"));
    assert!(admin(&accounts, &["account", "list", "nowhere.example"], 1).contains("no such domain"));
    assert!(admin(&accounts, &["account", "set", ANNA], 2).contains("nothing to change"));
    admin(&accounts, &["account", "remove", ANNA], 0);
    assert!(admin(&accounts, &["account", "remove", ANNA], 1).contains("no such account anna@example.org"));
    assert_eq!(json(&accounts, &["account", "list"]), Value::Array(Vec::new()));
}

fn aliases_gain_and_lose_targets(kind: Kind) {
    let accounts = Accounts::empty(kind);
    let told = admin(&accounts, &["alias", "add", "info@example.org", ANNA], 1);
    assert!(told.contains("no such domain example.org"), "{told}");
    admin(&accounts, &["domain", "add", "example.org"], 0);
    admin(&accounts, &["alias", "add", "Info@Example.org", ANNA, "Ben@Elsewhere.example"], 0);
    admin(&accounts, &["alias", "add", "info@example.org", ANNA, CARLA], 0);
    admin(&accounts, &["alias", "add", "@example.org", ANNA], 0);
    let targets = |number: usize| json(&accounts, &["alias", "list", "example.org"])[number]["targets"].clone();
    assert_eq!(targets(0), Value::from(vec![ANNA]));
    assert_eq!(targets(1), Value::from(vec![ANNA, "Ben@Elsewhere.example", CARLA]));
    admin(&accounts, &["alias", "remove", "info@example.org", ANNA], 0);
    assert_eq!(targets(1), Value::from(vec!["Ben@Elsewhere.example", CARLA]));
    admin(&accounts, &["alias", "remove", "info@example.org"], 0);
    assert!(admin(&accounts, &["alias", "remove", "info@example.org"], 1).contains("no such alias info@example.org"));
    assert_eq!(accounts.admin(&["alias", "list"], ""), "ADDRESS       TARGETS\n@example.org  anna@example.org\n");
    admin(&accounts, &["alias", "add", "info@example.org", "not an address"], 2);
}

fn only_the_last_password_set_works(kind: Kind) {
    let accounts = Accounts::empty(kind);
    admin(&accounts, &["domain", "add", "example.org"], 0);
    with_password(&accounts, &["account", "add", ANNA], PASSWORD, 0);
    for scheme in ["sha256-crypt", "sha512-crypt", "bcrypt", "argon2id", "yescrypt"] {
        let new = format!("pässword of {scheme}");
        with_password(&accounts, &["account", "passwd", ANNA, "--scheme", scheme], &new, 0);
        with_password(&accounts, &["auth", ANNA], &new, 0);
        assert!(with_password(&accounts, &["auth", ANNA], PASSWORD, 1).contains("(wrong-password)"));
    }
    assert!(with_password(&accounts, &["account", "passwd", ANNA], "short", 1).contains("min_length requires 8"));
    with_password(&accounts, &["account", "passwd", ANNA], "", 2);
    with_password(&accounts, &["account", "passwd", UNKNOWN], PASSWORD, 1);
    admin(&accounts, &["account", "passwd", ANNA, "--no-password"], 0);
    assert!(with_password(&accounts, &["auth", ANNA], PASSWORD, 1).contains("(no-password)"));
}

fn check_shows_what_was_reached_and_what_is_missing(kind: Kind) {
    let accounts = Accounts::empty(kind).with(&people(Path::new("/var/mail")));
    let mut server = Mailauth::over(&accounts);
    let config = server.config_path();
    let check = || {
        let mut command = Command::new(program("mailauth"));
        let output = output_with_input(command.arg("--config").arg(&config).args(["check", "--json"]), "");
        let value: Value = serde_json::from_slice(&output.stdout).expect("JSON");
        (output.status.code(), value)
    };
    let found = |value: &Value, what: &str| {
        let all = value["findings"].as_array().expect("findings").iter();
        let (state, text): (Vec<_>, Vec<_>) =
            all.filter(|f| f["what"] == what).map(|f| (f["state"].clone(), f["text"].to_string())).unzip();
        (state, text.concat())
    };
    let (_, value) = check();
    let name = match kind {
        Kind::Sqlite => "SQLite 3.",
        Kind::MariaDb => "MariaDB 1",
        Kind::MySql => "MySQL ",
        Kind::Postgres => "PostgreSQL 1",
    };
    assert!(found(&value, "database").1.contains(name), "{value}");
    assert_eq!(found(&value, "schema"), (vec!["ok".into()], "\"version 4\"".into()));
    assert_eq!(found(&value, "accounts").1, "\"5\"");
    assert_eq!(found(&value, "socket").0, ["ok"], "{value}");
    assert!(found(&value, "configuration").1.contains("mailauth.toml (--config)"), "{value}");
    server.terminate();
    server.wait(std::time::Duration::from_secs(10));
    let (code, value) = check();
    assert_eq!(code, Some(1), "{value}");
    assert!(found(&value, "socket").1.contains("start mailauth-courier"), "{value}");
}

fn an_unreachable_database_is_not_now_and_never_no(kind: Kind) {
    let accounts = Accounts::on_own_server(kind).with(&people(Path::new("/var/mail")));
    with_password(&accounts, &["auth", ANNA], PASSWORD, 0);
    accounts.server().stop();
    let told = with_password(&accounts, &["auth", ANNA], PASSWORD, 75);
    assert!(told.contains("not now") && told.contains("(database-unreachable)"), "{told}");
    for verb in [&["account", "list"][..], &["account", "show", ANNA], &["domain", "add", "x.example"], &["init"]] {
        assert!(admin(&accounts, verb, 75).contains("cannot be reached"));
    }
    assert!(admin(&accounts, &["check"], 2).contains("start the server, or correct [database]"));
    accounts.server().start();
    with_password(&accounts, &["auth", ANNA], PASSWORD, 0);
}

#[test]
fn auth_shows_answer_and_reason_and_has_the_exit_code() {
    let accounts = Accounts::empty(Kind::Sqlite).with(&people(Path::new("/var/mail")));
    let auth = |login, service, password, code| {
        let arguments = ["auth", login, "--service", service, "--json"];
        let told = with_password(&accounts, &arguments, password, code);
        serde_json::from_str::<Value>(&told).expect("JSON")
    };
    let yes = auth(ANNA, "imaps", PASSWORD, 0);
    assert_eq!((&yes["answer"], &yes["account"]["home"]), (&"yes".into(), &"/var/mail/anna".into()));
    assert_eq!(yes["account"]["quota"], "10000000S,1000C");
    let code = |login, service, password| auth(login, service, password, 1)["code"].as_str().unwrap().to_owned();
    assert_eq!(code(ANNA, "imap", "guessed"), "wrong-password");
    assert_eq!(code(UNKNOWN, "imap", PASSWORD), "unknown-login");
    assert_eq!(code(BRUNO, "imap", PASSWORD), "service-not-allowed");
    assert_eq!(code(CARLA, "imap", PASSWORD), "account-disabled");
    assert_eq!(code("a b", "imap", PASSWORD), "unusable-login");
    assert_eq!(auth(BRUNO, "pop3s", PASSWORD, 0)["answer"], "yes");
}

#[test]
fn auth_asks_the_daemon_and_finds_the_reason_itself() {
    let accounts = Accounts::empty(Kind::Sqlite).with(&people(Path::new("/var/mail")));
    let mut server = Mailauth::over(&accounts);
    let socket = server.socket().to_str().unwrap().to_owned();
    let auth = |login, code| with_password(&accounts, &["auth", login, "--socket", &socket], PASSWORD, code);
    assert!(auth(ANNA, 0).contains("answer    yes\n"));
    let told = auth(BRUNO, 1);
    assert!(
        told.contains("the daemon said no") && told.contains("here    the account may not use this service"),
        "{told}"
    );
    server.terminate();
    server.wait(std::time::Duration::from_secs(10));
    assert!(auth(ANNA, 75).contains("(no-daemon)"));
}

#[test]
fn configuration_errors_are_listed_by_line_and_exit_with_2() {
    let folder = Scratch::new("config");
    let file = folder.join("m.toml");
    fs::write(&file, "[courier]\nsocket_mode = \"0999\"\n[database]\nurl = \"mysql://u:geheim@h/d\"\n").unwrap();
    for verb in [&["init"][..], &["account", "list"], &["hash"], &["check"]] {
        let arguments = [&["--config", file.to_str().unwrap()][..], verb].concat();
        let told = ended(&elsewhere(&folder, &arguments, ""), 2);
        assert!(told.contains("m.toml:2:15: [courier] socket_mode: \"0999\" is not a file mode"), "{told}");
        assert!(told.contains("m.toml:4:7: [database] url: ") && !told.contains("geheim"), "{told}");
    }
    let mut command = Command::new(program("mailauth"));
    command.arg("init").env("MAILAUTH_CONFIG", &file).current_dir(folder.path());
    ended(&output_with_input(&mut command, ""), 2);
}

#[test]
fn the_configuration_in_effect_is_shown_also_if_it_has_mistakes() {
    let folder = Scratch::new("config");
    let file = folder.join("m.toml");
    let show = |arguments: &[&str], code| {
        let mut command = Command::new(program("mailauth"));
        command.args(["config", "show"]).args(arguments).env("MAILAUTH_CONFIG", &file).current_dir(folder.path());
        let output = output_with_input(&mut command, "");
        ended(&output, code);
        [output.stdout, output.stderr].map(|text| String::from_utf8(text).expect("text"))
    };
    fs::write(&file, "[database]\nurl = \"mysql://mail@localhost/mail\"\npassword_file = \"secret\"\n").unwrap();
    fs::write(folder.join("secret"), "geheim").unwrap();
    let [all, _] = show(&[], 0);
    assert!(
        all.starts_with(&format!("# The configuration in effect: {} ($MAILAUTH_CONFIG)\n", file.display())),
        "{all}"
    );
    assert!(all.contains(&format!("\npassword_file = \"{}/secret\"", folder.path().display())), "{all}");
    assert!(all.contains("\n#tls = \"disable\"") && !all.contains("geheim"), "{all}");
    let [changed, _] = show(&["--changed"], 0);
    assert_eq!(changed.matches("# line ").count(), 2, "{changed}");
    assert_eq!(changed.lines().count(), 5, "{changed}");
    // What is printed can be used as a configuration.
    fs::write(&file, &all).unwrap();
    assert_eq!(show(&["cache"], 0)[0].lines().count(), 3 + 7);
    let told: Value = serde_json::from_str(&show(&["database.pool", "--json"], 0)[0]).expect("JSON");
    assert_eq!((&told[0]["value"], &told[0]["from"]), (&8.into(), &"file".into()));
    assert!(show(&["databse"], 2)[1].contains("did you mean database?"));

    fs::write(&file, "[courier]\nsocket_mode = \"0999\"\nidle = \"1m\"\n[database]\nurl = \"mysql://u:geheim@h/d\"\n")
        .unwrap();
    let [all, mistakes] = show(&[], 2);
    assert_eq!(mistakes.lines().count(), 2, "{mistakes}");
    assert!(all.contains("\nidle = \"1m\"") && all.contains("# line 2 has a mistake"), "{all}");
    assert!(![&all, &mistakes].iter().any(|text| text.contains("geheim")), "{all}{mistakes}");
}

#[test]
fn the_sample_configuration_is_valid_for_both_programs() {
    let sample = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap().join("mailauth.toml");
    let check = |file: &Path, code| {
        let mut server = Command::new(program("mailauth-courier"));
        ended(&output_with_input(server.arg("--config").arg(file).arg("--check"), ""), code)
    };
    assert!(check(&sample, 2).contains("[database] url: is not set"));
    let folder = Scratch::new("sample");
    let text =
        fs::read_to_string(&sample).unwrap().replace("#url = \"sqlite:mailauth.db\"", "url = \"sqlite:mail.db\"");
    fs::write(folder.join("filled.toml"), text).unwrap();
    check(&folder.join("filled.toml"), 0);
    let arguments = ["--config", sample.to_str().unwrap(), "init"];
    assert!(ended(&elsewhere(&folder, &arguments, ""), 0).contains("sqlite:mailauth.db"));
}

#[test]
fn first_steps_need_no_configuration() {
    let folder = Scratch::new("newcomer");
    let run = |arguments: &[&str], input: &str, code| ended(&elsewhere(&folder, arguments, input), code);
    assert!(run(&["account", "list"], "", 75).contains("mailauth init"));
    run(&["init"], "", 0);
    run(&["domain", "add", "example.org"], "", 0);
    run(&["account", "add", ANNA, "--uid", "5000", "--gid", "5000", "--password-stdin"], PASSWORD, 0);
    run(&["auth", ANNA, "--password-stdin"], PASSWORD, 0);
    assert!(folder.join("mailauth.db").exists());
    assert!(run(&["--help"], "", 0).contains("Exit codes: 0 yes or done"));
    run(&["account", "add", ANNA, "--password", "x"], "", 2);
}

#[test]
fn hash_uses_the_requested_scheme() {
    let folder = Scratch::new("hash");
    for (scheme, start) in [
        ("sha512-crypt", "$6$"),
        ("sha256-crypt", "$5$"),
        ("bcrypt", "$2b$"),
        ("argon2id", "$argon2id$"),
        ("yescrypt", "$y$"),
    ] {
        let told = ended(&elsewhere(&folder, &["hash", "--scheme", scheme], PASSWORD), 0);
        assert!(told.starts_with(start) && told.lines().count() == 1, "{told}");
    }
    assert!(ended(&elsewhere(&folder, &["hash"], PASSWORD), 0).starts_with("$6$"));
    ended(&elsewhere(&folder, &["hash"], "\n"), 2);
    ended(&elsewhere(&folder, &["hash"], "a\0b"), 1);
    assert!(ended(&elsewhere(&folder, &["hash", "--scheme", "md5"], PASSWORD), 2).contains("sha512-crypt"));
}

/// Runs `mailauth hash verify` with the stored value on descriptor 3.
fn verified(folder: &Scratch, value: &str, arguments: &str, password: &str) -> Output {
    fs::write(folder.join("value"), value).expect("a file");
    let line = format!("exec \"$0\" hash verify --password-stdin --hash-fd 3 {arguments} 3<value");
    let mut command = Command::new("sh");
    command.args(["-ec", &line]).arg(program("mailauth")).current_dir(folder.path()).env_remove("MAILAUTH_CONFIG");
    output_with_input(&mut command, password)
}

#[test]
fn a_stored_value_is_verified_and_its_scheme_and_strength_are_reported() {
    let folder = Scratch::new("hash");
    for (value, arguments, code, lines) in [
        (
            SHA512_CRYPT_HASH,
            "",
            0,
            &["matches   yes", "scheme    SHA512-CRYPT", "cost      5000 rounds", "strength  acceptable"][..],
        ),
        (CHEAP_HASH, "", 0, &["scheme    SHA256", "strength  weak; a reader of the table"]),
        (
            "$2b$04$abcdefghijklmnopqrstuunEN/oeXqvFCXeJgCmRYp/2wBsuyfrnW",
            "",
            1,
            &["matches   no", "cost      cost 4", "strength  weak"],
        ),
        ("{PLAIN}correct horse", "", 0, &["strength  clear; every reader"]),
        ("{PLAIN}else", "", 1, &["matches  "]),
        (
            "$argon2id$v=19$m=4194304,t=9,p=1$bU7tiiJ4SsUZuqeOvSyW5Q$b8Iwo3CikI7XJEtBqvNTZkyVzhVdomZ1f8miet7ps4o",
            "",
            1,
            &["no password can match it: ", "max_argon2_memory"],
        ),
        ("!$6$locked", "", 1, &["the stored password is locked"]),
        ("what is this", "", 1, &["its scheme is unknown"]),
        (
            "{POSTGRES-MD5}md55a4ae2b1dbfff0cbcb9dc1a0d0d5be0e",
            "",
            2,
            &["POSTGRES-MD5 hashes the login too; name it with --login"],
        ),
        ("{POSTGRES-MD5}md5ea3bcb2f5ef2b5ac4d0e8a5f10f94a7b", "--login anna@example.org", 1, &["matches   no"]),
    ] {
        let told = ended(&verified(&folder, value, arguments, PASSWORD), code);
        for line in lines {
            assert!(told.contains(line), "no {line:?} in {told}");
        }
        assert!(!told.contains(PASSWORD) && (value.starts_with('{') || !told.contains(value)), "{told}");
    }
    let told = ended(&verified(&folder, SHA512_CRYPT_HASH, "--json", PASSWORD), 0);
    let told: Value = serde_json::from_str(&told).expect("JSON");
    assert_eq!(
        (&told["matches"], &told["scheme"], &told["strength"]),
        (&true.into(), &"SHA512-CRYPT".into(), &"acceptable".into())
    );
    for wrong in [&["hash", "verify", "--hash-stdin", "--password-stdin"][..], &["hash", "verify", "--hash-fd", "0"]] {
        ended(&elsewhere(&folder, wrong, PASSWORD), 2);
    }
    let told = ended(&elsewhere(&folder, &["hash", "verify", "--hash-fd", "77"], PASSWORD), 2);
    assert!(told.contains("open it with 77<FILE"), "{told}");
    let mut command = Command::new("setsid");
    command.args(["--ctty", "--wait"]).arg(program("mailauth")).args(["hash", "verify"]).current_dir(folder.path());
    let answers = [("Stored value: ", format!("{CHEAP_HASH}\n")), ("Password: ", format!("{PASSWORD}\n"))];
    let dialogue: Vec<_> = answers.iter().map(|(question, answer)| (*question, answer.as_str())).collect();
    let (code, screen, echoes) = on_a_terminal(command, &dialogue);
    assert!(code == Some(0) && echoes && !screen.contains(PASSWORD) && !screen.contains(CHEAP_HASH), "{screen}");
}

#[test]
fn every_scheme_is_listed_with_advice() {
    let folder = Scratch::new("hash");
    let told = ended(&elsewhere(&folder, &["hash", "list"], ""), 0);
    let line =
        |name: &str| told.lines().find(|line| line.starts_with(&format!("{name} "))).expect("a scheme").to_owned();
    assert!(line("ARGON2ID").contains("recommended  argon2id"), "{told}");
    assert!(
        line("PLAIN").contains("clear") && line("PLAIN").contains("APOP") && line("CRAM-MD5").contains("{HMAC-MD5}")
    );
    let list: Value =
        serde_json::from_str(&ended(&elsewhere(&folder, &["hash", "list", "--json"], ""), 0)).expect("JSON");
    let list = list.as_array().expect("a list");
    // What can be made is what the list says.
    for row in list {
        let Some(makes) = row["makes"].as_str() else { continue };
        let made = ended(&elsewhere(&folder, &["hash", "--scheme", makes], PASSWORD), 0);
        let value = made.lines().next().expect("a hash");
        let told = ended(&verified(&folder, value, "--json", PASSWORD), 0);
        let told: Value = serde_json::from_str(&told).expect("JSON");
        assert_eq!((&told["scheme"], &told["strength"]), (&row["scheme"], &row["strength"]));
    }
    assert_eq!(list.iter().filter(|row| !row["makes"].is_null()).count(), 6);
}
