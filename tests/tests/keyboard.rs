//! Interactive use of the command: typing errors, formats of numbers and times, lists, and errors for programs.

use mailauth_tests::people::many;
use mailauth_tests::people::{ANNA, CHEAP_HASH, PASSWORD};
use mailauth_tests::{Accounts, Kind, ended, on_a_terminal, on_each_database, program};
use serde_json::Value;
use std::fs;
use std::process::Command;

on_each_database!(
    a_mistyped_name_gets_a_suggestion,
    a_list_shows_only_what_was_requested,
    a_ready_hash_is_stored_if_it_can_match,
);

fn accounts(kind: Kind) -> Accounts {
    let csv = format!("login,password\n{ANNA},{CHEAP_HASH}\nbruno@example.org,{CHEAP_HASH}\n");
    let accounts = Accounts::empty(kind).with(&csv);
    accounts.admin(&["alias", "add", "info@example.org", ANNA], "");
    accounts
}

/// Returns what was printed on both outputs.
#[track_caller]
fn told(accounts: &Accounts, arguments: &[&str], code: i32) -> String {
    ended(&accounts.try_admin(arguments, ""), code)
}

#[track_caller]
fn json(text: &[u8]) -> Value {
    serde_json::from_slice(text).unwrap_or_else(|error| panic!("{error}: {}", String::from_utf8_lossy(text)))
}

fn a_mistyped_name_gets_a_suggestion(kind: Kind) {
    let accounts = accounts(kind);
    let meant = "no such account annna@example.org; did you mean anna@example.org?";
    for verb in [
        &["account", "show", "annna@example.org"][..],
        &["account", "set", "annna@example.org", "--name", "Anna"],
        &["account", "passwd", "annna@example.org", "--no-password"],
        &["account", "rename", "annna@example.org", "anne@example.org"],
        &["account", "remove", "Annna@example.org"],
        &["quota", "show", "annna@example.org"],
    ] {
        let said = told(&accounts, verb, 1);
        assert!(said.contains(meant) && !said.contains("add"), "{verb:?}: {said}");
    }
    for (verb, meant) in [
        (&["account", "show", "anna@exmaple.org"][..], "did you mean anna@example.org?"),
        (&["account", "show", "info@example.org"], "it is an alias; its mail goes to anna@example.org"),
        (&["account", "show", "zacharias@example.org"], "'mailauth account list' lists them"),
        (&["domain", "show", "exmaple.org"], "no such domain exmaple.org; did you mean example.org?"),
        (&["domain", "remove", "example.or"], "did you mean example.org?"),
        (&["account", "list", "exampel.org"], "did you mean example.org?"),
        (
            &["account", "add", "ben@exmaple.org", "--no-password"],
            "did you mean example.org? Otherwise add it with 'mailauth domain",
        ),
        (&["alias", "add", "ben@exmaple.org", ANNA], "did you mean example.org? Otherwise add it with"),
        (&["alias", "remove", "inof@example.org"], "did you mean info@example.org?"),
        (
            &["alias", "remove", "info@example.org", "ana@example.org"],
            "did you mean info@example.org -> anna@example.org?",
        ),
    ] {
        let said = told(&accounts, verb, 1);
        assert!(said.contains(meant), "{verb:?}: {said}");
    }
    told(&accounts, &["account", "show", ANNA], 0);
}

fn a_list_shows_only_what_was_requested(kind: Kind) {
    let csv = format!(
        "login,password,services,enabled\n{ANNA},{CHEAP_HASH},,yes\nbruno@example.org,{CHEAP_HASH},pop3,yes\n\
         carla@example.org,{CHEAP_HASH},,no\ndora@other.example,,imap,yes\n"
    );
    let accounts = Accounts::empty(kind).with(&csv);
    accounts.admin(&["alias", "add", "info@example.org", "Anna@Example.org"], "");
    accounts.admin(&["alias", "add", "sales@example.org", "bruno@example.org"], "");
    let list = |arguments: &[&str]| {
        let output = accounts.admin(&[arguments, &["--json"]].concat(), "");
        let all = json(output.as_bytes());
        let name = |row: &Value| {
            ["login", "domain", "address"]
                .iter()
                .find_map(|key| row[*key].as_str())
                .unwrap()
                .split('@')
                .next()
                .unwrap()
                .to_owned()
        };
        all.as_array().unwrap().iter().map(name).collect::<Vec<_>>()
    };
    assert_eq!(list(&["account", "list", "--disabled"]), ["carla"]);
    assert_eq!(list(&["account", "list", "--enabled"]), ["anna", "bruno", "dora"]);
    assert_eq!(list(&["account", "list", "--service", "imaps"]), ["anna", "carla", "dora"]);
    assert_eq!(list(&["account", "list", "example.org", "--service", "pop3", "--enabled"]), ["anna", "bruno"]);
    assert_eq!(list(&["account", "list", "--without-password"]), ["dora"]);
    accounts.admin(&["domain", "set", "other.example", "--disabled"], "");
    assert_eq!(list(&["account", "list", "--disabled"]), ["carla", "dora"], "its domain is");
    assert_eq!(
        (list(&["domain", "list", "--disabled"]), list(&["domain", "list", "--enabled"])),
        (vec!["other.example".into()], vec!["example.org".into()])
    );
    assert_eq!(list(&["alias", "list", "--to", ANNA]), ["info"]);
    told(&accounts, &["account", "list", "--service", "imap,pop3"], 2);
}

fn a_ready_hash_is_stored_if_it_can_match(kind: Kind) {
    let accounts = accounts(kind);
    accounts.admin(&["account", "passwd", ANNA, "--no-password"], "");
    accounts.admin(&["account", "set", ANNA, "--hash-stdin"], &format!("\u{feff}{CHEAP_HASH}\r\n"));
    accounts.admin(&["auth", ANNA, "--password-stdin"], PASSWORD);
    accounts.admin(&["account", "add", "ben@example.org", "--hash-stdin", "--services", "imap"], CHEAP_HASH);
    accounts.admin(&["auth", "ben@example.org", "--password-stdin"], PASSWORD);
    for (hash, why) in [
        ("$6$salt$short", "is truncated"),
        ("", "there is no hash on the standard input"),
        ("!", "--no-password"),
        ("{SHA256}a\n{SHA256}b", "more than one line"),
    ] {
        let said = ended(&accounts.try_admin(&["account", "set", ANNA, "--hash-stdin"], hash), 2);
        assert!(said.contains(why), "{hash}: {said}");
    }
    accounts.admin(&["auth", ANNA, "--password-stdin"], PASSWORD);
}

#[test]
fn errors_are_json_if_json_was_requested() {
    let accounts = accounts(Kind::Sqlite);
    let error = |arguments: &[&str], code: i32| {
        let output = accounts.try_admin(&[arguments, &["--json"]].concat(), "");
        assert_eq!(output.status.code(), Some(code), "{output:?}");
        assert!(output.stdout.is_empty(), "{output:?}");
        let error = json(&output.stderr);
        assert_eq!(error["exit"], code, "{error}");
        error
    };
    let missing = error(&["account", "show", "annna@example.org"], 1);
    assert_eq!(missing["answer"], "no");
    assert!(missing["error"].as_str().unwrap().contains("did you mean anna@example.org?"), "{missing}");
    for arguments in [
        &["account", "remove", "nobody@example.org"][..],
        &["account", "set", "nobody@example.org", "--disabled"],
        &["account", "rename", "nobody@example.org", "x@example.org"],
        &["domain", "add", "example.org"],
        &["domain", "remove", "nowhere.example"],
        &["alias", "remove", "nobody@example.org"],
        &["quota", "show", "nobody@example.org"],
        &["quota", "recount", "nobody@example.org"],
    ] {
        assert_eq!(error(arguments, 1)["answer"], "no", "{arguments:?}");
    }
    for arguments in
        [&["account", "set", ANNA, "--quota", "1,024"][..], &["account", "frobnicate"], &["domain", "add", "a b"]]
    {
        assert_eq!(error(arguments, 2)["answer"], "usage", "{arguments:?}");
    }
    let done = accounts.admin(&["domain", "add", "other.example", "--quota", "1024", "--json"], "");
    assert_eq!(json(done.as_bytes())["done"], "added the domain other.example");
    let warned = accounts.try_admin(&["account", "set", ANNA, "--quota", "1024", "--json"], "");
    assert!(json(&warned.stderr)["warning"].as_str().unwrap().contains("less than 1 MiB"), "{warned:?}");
    std::fs::remove_file(accounts.url().trim_start_matches("sqlite:")).unwrap();
    let away = error(&["account", "list"], 75);
    assert_eq!(away["answer"], "not now", "{away}");
}

#[test]
fn a_mistyped_service_is_refused_and_a_new_one_needs_force() {
    let accounts = accounts(Kind::Sqlite);
    let said = told(&accounts, &["account", "set", ANNA, "--services", "imaap"], 2);
    assert!(said.contains("--services: mailauth does not know the service imaap; did you mean imap?"), "{said}");
    let said = told(&accounts, &["account", "add", "ben@example.org", "--no-password", "--services", "radius"], 2);
    assert!(said.contains("known services are imap, pop3"), "{said}");
    told(&accounts, &["account", "set", ANNA, "--services", "imap,radius", "--force"], 0);
    assert!(told(&accounts, &["account", "list"], 0).contains("imap,radius"));
}

#[test]
fn quotas_and_times_are_shown_in_one_format() {
    let accounts = accounts(Kind::Sqlite);
    told(&accounts, &["account", "set", ANNA, "--quota", "1G,10000"], 0);
    told(&accounts, &["domain", "set", "example.org", "--quota", "10G"], 0);
    for verb in [&["account", "list"][..], &["account", "show", ANNA]] {
        assert!(told(&accounts, verb, 0).contains("1.0 GiB, 10000 messages"), "{verb:?}");
    }
    assert!(told(&accounts, &["quota", "show", ANNA], 0).contains("0 B of 1.0 GiB"));
    assert!(told(&accounts, &["domain", "list"], 0).contains("10.0 GiB"));
    assert!(told(&accounts, &["domain", "show", "example.org"], 0).contains("10.0 GiB"));
    let auth = accounts.admin(&["auth", ANNA, "--password-stdin"], PASSWORD);
    assert!(auth.contains("1.0 GiB, 10000 messages"), "{auth}");
    let shown = json(accounts.admin(&["account", "show", ANNA, "--json"], "").as_bytes());
    assert_eq!(
        (&shown["quota_bytes"], &shown["mailbox"]["quota"]),
        (&(1u64 << 30).into(), &"1073741824S,10000C".into())
    );
    let time = shown["created"].as_str().unwrap();
    assert!(time.ends_with('Z') && time.contains('T') && time.len() == 20, "{time}");
    let people = told(&accounts, &["account", "show", ANNA], 0);
    assert!(people.lines().any(|line| line.starts_with("created") && line.ends_with(" UTC")), "{people}");
}

#[test]
fn users_and_groups_can_be_given_by_name_everywhere() {
    let accounts = accounts(Kind::Sqlite).with_mailbox("min_uid = 1\nmin_gid = 1\n");
    let accounts = accounts.with("login,uid,gid\nben@example.org, daemon ,daemon\n");
    told(&accounts, &["account", "set", ANNA, "--uid", "daemon", "--gid", "daemon"], 0);
    let ids = |login: &str| {
        let shown = json(accounts.admin(&["account", "show", login, "--json"], "").as_bytes());
        (shown["mailbox"]["uid"].clone(), shown["mailbox"]["gid"].clone())
    };
    assert_eq!(ids(ANNA), (1.into(), 1.into()));
    assert_eq!(ids("ben@example.org"), (1.into(), 1.into()));
    let said = told(&accounts, &["account", "set", ANNA, "--uid", "no-such-user"], 2);
    assert!(
        said.contains("--uid: \"no-such-user\" is not a number from 1 to 4294967294, and no user of this system"),
        "{said}"
    );
    let config = accounts.config();
    let with = |uid: &str| std::fs::write(accounts.config_path(), config.replacen("uid = 5000", uid, 1)).unwrap();
    with("uid = \"daemon\"");
    assert_eq!(ids("bruno@example.org").0, 1);
    with("uid = \"no-such-user\"");
    let said = told(&accounts, &["account", "list"], 2);
    assert!(said.contains("mailauth.toml:2:7: [mailbox] uid: \"no-such-user\" is not a user of this system"), "{said}");
}

#[test]
fn a_quota_without_a_unit_is_warned_about_with_its_line() {
    let accounts = Accounts::empty(Kind::Sqlite);
    let csv = "login,quota\nanna@example.org,1024\nben@example.org,1G\ncarla@example.org,1000C \n";
    let output = accounts.try_admin(&["account", "import", "-"], csv);
    let said = ended(&output, 0);
    assert!(said.contains("warning: the standard input:2: quota: a limit of 1024 bytes is less than 1 MiB"), "{said}");
    assert!(said.contains("write 1024M if megabytes are meant") && !said.contains(":3:"), "{said}");
    let shown = json(accounts.admin(&["account", "show", "carla@example.org", "--json"], "").as_bytes());
    assert_eq!((&shown["quota_bytes"], &shown["quota_messages"]), (&Value::Null, &1000.into()));
}

/// Runs the command on a terminal of its own.
fn terminal(
    accounts: &Accounts,
    arguments: &[&str],
    environment: &[(&str, &str)],
    dialogue: &[(&str, &str)],
) -> String {
    // A shell lets programs ignore the key for interrupting if it starts them in the background.
    let mut command = Command::new("env");
    command.args(["--default-signal=INT", "setsid", "--ctty", "--wait"]).arg(program("mailauth"));
    command.arg("--config").arg(accounts.config_path()).args(arguments);
    command.env("TERM", "xterm").env_remove("NO_COLOR").envs(environment.iter().copied());
    on_a_terminal(command, dialogue).1
}

#[test]
fn long_work_shows_its_progress_and_leaves_the_terminal_clean() {
    const COUNT: usize = 40_000;
    let accounts = Accounts::empty(Kind::Sqlite);
    let file = accounts.folder().join("many.csv");
    // With quotas large enough to cause no warning.
    fs::write(&file, many(COUNT).replace("S,7C", "0000000S,7C")).expect("a file");
    let import = ["account", "import", file.to_str().expect("its name")];
    // Ctrl-C, once there is a bar.
    let shown = terminal(&accounts, &import, &[], &[(" ", "\x03")]);
    assert!(shown.contains("checking ") && shown.contains(" left"), "{shown:?}");
    assert!(shown.ends_with("\r\x1b[K"), "the line is clean when the next program writes: {shown:?}");
    assert_eq!(told(&accounts, &["account", "list"], 0).lines().count(), 1, "nothing was imported");
    for (environment, option) in [(&[("TERM", "dumb")][..], &[][..]), (&[], &["--json"][..])] {
        let shown = terminal(&accounts, &[&import[..], &["--dry-run"], option].concat(), environment, &[]);
        assert!(!shown.contains('\x1b') && shown.contains("would import 40000"), "{shown:?}");
    }
    let output = accounts.try_admin(&[&import[..], &["--dry-run"]].concat(), "");
    assert_eq!(String::from_utf8_lossy(&output.stderr), "", "not in a pipe");
    let shown = terminal(&accounts, &import, &[], &[]);
    assert!(shown.contains("importing ") && shown.ends_with("\x1b[2Kimported 40000 accounts\r\n"), "{shown:?}");
}

#[test]
fn colour_is_on_terminals_only_and_the_words_say_the_same() {
    let accounts = accounts(Kind::Sqlite);
    let plain = |shown: &str| {
        let mut parts = shown.split('\x1b');
        let first = parts.next().unwrap_or_default().to_owned();
        let rest = parts.map(|part| part.split_once('m').map_or(part, |(_, text)| text)).collect::<String>();
        (first + &rest).replace("\r\n", "\n")
    };
    let unknown = ["account", "show", "nobody@example.org"];
    for (arguments, painted) in [
        (&["check"][..], "\x1b[32mok\x1b[0m  "),
        (&["quota", "report"], "\x1b[1mLOGIN"),
        (&["account", "show", ANNA], "\x1b[1mlogin"),
        (&unknown, "\x1b[1m\x1b[31mmailauth:\x1b[0m no such account"),
    ] {
        let piped = accounts.try_admin(arguments, "");
        let piped = [&piped.stdout[..], &piped.stderr].map(String::from_utf8_lossy).concat();
        assert!(!piped.contains('\x1b'), "{piped:?}");
        let shown = terminal(&accounts, arguments, &[], &[]);
        assert!(shown.contains(painted), "{shown:?}");
        assert_eq!(plain(&shown), piped);
        for (environment, option) in [(&[("NO_COLOR", "1")][..], "auto"), (&[], "never")] {
            let shown = terminal(&accounts, &[arguments, &["--color", option]].concat(), environment, &[]);
            assert_eq!(shown.replace("\r\n", "\n"), piped);
        }
        let forced = accounts.try_admin(&[&["--color", "always"], arguments].concat(), "");
        let forced = [&forced.stdout[..], &forced.stderr].map(String::from_utf8_lossy).concat();
        assert!(forced.contains(painted), "{forced:?}");
    }
    let wrong = ended(&accounts.try_admin(&["chek", "--color", "always"], ""), 2);
    assert!(wrong.contains("\x1b["), "errors in the command line too: {wrong:?}");
    let auth = terminal(&accounts, &["auth", ANNA], &[], &[("Password for anna@example.org: ", "wrong\r")]);
    assert!(auth.contains("\x1b[1m\x1b[31mno\x1b[0m"), "{auth:?}");
}
