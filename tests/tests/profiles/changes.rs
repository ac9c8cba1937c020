//! The tables belong to the other program: nothing changes them, except a password where the configuration says so.

use mailauth_tests::schemas::of;
use mailauth_tests::wire::{Manner, Outcome, ask, login, passwd};
use mailauth_tests::{Accounts, Kind, Mailauth, on_each_database_and_mysql};
use std::os::unix::fs::PermissionsExt;

on_each_database_and_mysql!(
    every_command_that_changes_something_is_refused,
    sessions_are_read_only,
    a_password_is_changed_where_the_configuration_permits_it,
    one_of_several_changes_at_once_is_made,
);

const AGNES: &str = "agnes@hill.example";
const REFUSAL: &str = "these accounts are PostfixAdmin's ([schema] profile = \"postfixadmin\"); change them there";
const TABLES: [&str; 4] = ["mailbox", "domain", "alias", "alias_domain"];

fn tables(accounts: &Accounts) -> Vec<Vec<String>> {
    TABLES.iter().map(|table| accounts.rows_of(table)).collect()
}

fn every_command_that_changes_something_is_refused(kind: Kind) {
    let accounts = Accounts::of(&of("postfixadmin"), kind);
    let server = Mailauth::unthrottled(&accounts, "");
    let before = tables(&accounts);
    let csv = "login,password\nnew@hill.example,{PLAIN}x\n";
    let commands: [(&[&str], &str); 21] = [
        (&["init"], ""),
        (&["account", "add", "new@hill.example", "--no-password"], ""),
        (&["account", "add", "new@hill.example", "--password-stdin"], "words for new"),
        (&["account", "set", AGNES, "--disabled"], ""),
        (&["account", "set", AGNES, "--quota", "1G"], ""),
        (&["account", "rename", AGNES, "new@hill.example"], ""),
        (&["account", "remove", AGNES], ""),
        (&["account", "passwd", AGNES, "--password-stdin"], "words for agnes"),
        (&["account", "import", "-"], csv),
        (&["account", "import", "--update", "--dry-run", "-"], csv),
        (&["domain", "import", "-"], "domain\nnew.example\n"),
        (&["domain", "alias", "import", "-"], "name,target\nnew.example,hill.example\n"),
        (&["alias", "import", "--update", "-"], "address,targets\ninfo@hill.example,a@hill.example\n"),
        (&["domain", "add", "new.example"], ""),
        (&["domain", "set", "hill.example", "--disabled"], ""),
        (&["domain", "remove", "hill.example"], ""),
        (&["domain", "alias", "add", "new.example", "hill.example"], ""),
        (&["domain", "alias", "remove", "twin.example"], ""),
        (&["alias", "add", "new@hill.example", AGNES], ""),
        (&["alias", "remove", "info@hill.example", AGNES], ""),
        (&["alias", "remove", "info@hill.example"], ""),
    ];
    let mut wrong = Vec::new();
    for (arguments, input) in commands {
        let output = accounts.try_admin(arguments, input);
        let said = String::from_utf8_lossy(&output.stderr);
        if output.status.code() != Some(1) || !said.contains(REFUSAL) {
            wrong.push(format!("{arguments:?}: {:?}: {said}", output.status.code()));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    let said = ask(server.socket(), &passwd(AGNES, "agnes opens", "words for agnes"), Manner::Whole).outcome();
    assert_eq!(said.word(), "FAIL", "{}", server.log());
    assert!(server.log().contains("change them there"), "{}", server.log());
    assert_eq!(tables(&accounts), before);
    assert_eq!(login(server.socket(), AGNES, "agnes opens").word(), "ACCOUNT");
}

/// Counts what the daemon's sessions write: the expression for the name calls a function that inserts a row.
fn sessions_are_read_only(kind: Kind) {
    let schema = of("postfixadmin");
    let accounts = Accounts::of(&schema, kind);
    if kind == Kind::Sqlite {
        return sqlite_is_opened_for_reading(&accounts);
    }
    accounts.run_sql("CREATE TABLE written (word varchar(20))");
    accounts.run_sql(match kind {
        Kind::Postgres => {
            "CREATE FUNCTION leaves_a_trace() RETURNS text LANGUAGE plpgsql AS
             $$ BEGIN INSERT INTO written VALUES ('trace'); RETURN 'Agnes'; END $$"
        }
        _ => {
            "DELIMITER //
             CREATE FUNCTION leaves_a_trace() RETURNS varchar(20) CHARACTER SET utf8mb4 MODIFIES SQL DATA
             BEGIN INSERT INTO written VALUES ('trace'); RETURN 'Agnes'; END //
             DELIMITER ;"
        }
    });
    let accounts =
        accounts.with_schema(&format!("{}\n[schema.accounts]\nname = \"leaves_a_trace()\"\n", schema.config));
    let server = Mailauth::unthrottled(&accounts, "");
    assert_eq!(login(server.socket(), AGNES, "agnes opens").word(), "CLOSED", "{}", server.log());
    assert_eq!(accounts.rows_of("written"), Vec::<String>::new());
    assert!(server.log().to_lowercase().contains("read"), "{}", server.log());
}

fn sqlite_is_opened_for_reading(accounts: &Accounts) {
    let server = Mailauth::unthrottled(accounts, "");
    assert_eq!(login(server.socket(), AGNES, "agnes opens").word(), "ACCOUNT", "{}", server.log());
    let folder = format!("/proc/{}/fd", server.pid().as_raw_nonzero());
    let open = std::fs::read_dir(folder).expect("descriptors").flatten();
    let modes: Vec<u32> = open
        .filter(|entry| std::fs::read_link(entry.path()).is_ok_and(|target| target == accounts.file()))
        .map(|entry| entry.path().symlink_metadata().expect("a descriptor").permissions().mode() & 0o700)
        .collect();
    assert!(!modes.is_empty() && modes.iter().all(|mode| mode & 0o200 == 0), "{modes:?}");
}

/// Permits changes of the password, which PHP's crypt can read.
fn changeable(kind: Kind) -> Accounts {
    let schema = of("postfixadmin");
    let keys = "[schema.accounts]\nwrite_password = \"password\"\n[password]\nscheme = \"sha512-crypt\"\n";
    Accounts::of(&schema, kind).with_schema(&format!("{}{keys}", schema.config))
}

fn change(server: &Mailauth, who: &str, old: &str, new: &str) -> Outcome {
    ask(server.socket(), &passwd(who, old, new), Manner::Whole).outcome()
}

fn a_password_is_changed_where_the_configuration_permits_it(kind: Kind) {
    let accounts = changeable(kind);
    let server = Mailauth::unthrottled(&accounts, "");
    let before = tables(&accounts);
    assert_eq!(change(&server, AGNES, "wrong words", "words of agnes").word(), "FAIL");
    assert_eq!(change(&server, "nobody@hill.example", "agnes opens", "words of agnes").word(), "FAIL");
    assert_eq!(tables(&accounts), before);
    assert_eq!(change(&server, AGNES, "agnes opens", "words of agnes").word(), "OK", "{}", server.log());
    for (password, word) in [("words of agnes", "ACCOUNT"), ("agnes opens", "FAIL")] {
        assert_eq!(login(server.socket(), AGNES, password).word(), word, "{password}");
    }
    let after = tables(&accounts);
    assert_eq!(after[1..], before[1..]);
    let changed: Vec<&String> = after[0].iter().filter(|row| !before[0].contains(row)).collect();
    assert!(matches!(changed[..], [row] if row.contains(AGNES) && row.contains("$6$")), "{changed:?}");
    accounts.admin(&["account", "passwd", AGNES, "--password-stdin"], "other words of agnes");
    let word = login(server.socket(), AGNES, "other words of agnes").word();
    assert_eq!(word, "ACCOUNT", "{}\n{:?}", server.log(), accounts.rows_of("mailbox"));
    // Everything else is refused as before.
    let output = accounts.try_admin(&["account", "set", AGNES, "--disabled"], "");
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.code() == Some(1) && said.contains("change them there"), "{said}");
}

fn one_of_several_changes_at_once_is_made(kind: Kind) {
    let accounts = changeable(kind);
    let server = Mailauth::unthrottled(&accounts, "");
    let new: Vec<String> = (0..6).map(|number| format!("words of agnes, number {number}")).collect();
    let words: Vec<&str> = std::thread::scope(|scope| {
        let server = &server;
        let change = |new| scope.spawn(move || change(server, AGNES, "agnes opens", new).word());
        let changes: Vec<_> = new.iter().map(String::as_str).map(change).collect();
        changes.into_iter().map(|thread| thread.join().expect("an answer")).collect()
    });
    assert_eq!(words.iter().filter(|word| **word == "OK").count(), 1, "{words:?}");
    let made = words.iter().position(|word| *word == "OK").expect("a change");
    for (number, password) in new.iter().enumerate() {
        let word = if number == made { "ACCOUNT" } else { "FAIL" };
        assert_eq!(login(server.socket(), AGNES, password).word(), word, "{number} of {words:?}");
    }
}
