//! Columns far larger than a column of an account can be: their rows are unusable, and the daemon keeps nothing of
//! them.

use mailauth_tests::people::{ANNA, PASSWORD, people};
use mailauth_tests::wire::{Manner, Outcome, ask, login};
use mailauth_tests::{Accounts, Kind, Mailauth, on_each_database};
use std::fs;
use std::path::Path;

on_each_database!(a_column_of_200_mebibytes_is_not_read_into_memory);

/// The columns, and their sizes in bytes.
const COLUMNS: [(&str, usize); 3] = [("options", 200 << 20), ("name", 1 << 20), ("password", 1 << 20)];

/// Maximum growth of the daemon after the whole test, in KiB. The largest value is six times as large.
const GROWTH: u64 = 32 << 10;

/// Returns the memory of the daemon, in KiB. Values of a server are not even read, so the peak counts. SQLite is in
/// the daemon, and has a whole row in memory while it compares the login, so only what the daemon keeps counts.
fn memory(server: &Mailauth, kind: Kind) -> u64 {
    let name = if kind == Kind::Sqlite { "VmRSS:" } else { "VmHWM:" };
    let status = fs::read_to_string(format!("/proc/{}/status", server.pid().as_raw_nonzero())).expect("its status");
    let line = status.lines().find_map(|line| line.strip_prefix(name)).expect("its memory");
    line.trim().trim_end_matches(" kB").parse().expect("a number")
}

/// Fills the column of an account with a value of this size, which the constraints of the tables would refuse.
fn fill(accounts: &Accounts, column: &str, size: usize, login: &str) {
    let update = format!("UPDATE accounts SET {column} = {{}} WHERE login = '{login}'");
    match accounts.kind() {
        Kind::Sqlite => {
            let value = format!("CAST(replace(hex(zeroblob({})), '00', 'xx') AS TEXT)", size / 2);
            accounts.sql_without_checks(&update.replace("{}", &value));
        }
        Kind::Postgres => {
            accounts.execute(&format!(
                "ALTER TABLE accounts DROP CONSTRAINT IF EXISTS accounts_{column}_printable; \
                 ALTER TABLE accounts ALTER {column} TYPE TEXT; {}",
                update.replace("{}", &format!("repeat('x', {size})"))
            ));
        }
        Kind::MariaDb | Kind::MySql => {
            accounts.execute("SET GLOBAL max_allowed_packet = 1073741824");
            accounts.execute(&format!(
                "SET check_constraint_checks = 0; ALTER TABLE accounts MODIFY {column} LONGTEXT; {}",
                update.replace("{}", &format!("REPEAT('x', {size})"))
            ));
        }
    }
}

fn a_column_of_200_mebibytes_is_not_read_into_memory(kind: Kind) {
    let accounts = Accounts::on_own_server(kind).with(&people(Path::new("/var/mail")));
    let user = |column: &str| format!("{column}@example.org");
    for (column, size) in COLUMNS {
        accounts.admin(&["account", "add", &user(column), "--password-stdin"], &format!("{PASSWORD}\n"));
        fill(&accounts, column, size, &user(column));
    }
    // A server takes long to read such rows.
    let server = Mailauth::configured(|socket| {
        accounts.are_served_on(socket);
        format!("{}deadline = \"20s\"\n[courier]\nsocket = \"{}\"\n", accounts.config(), socket.display())
    });
    assert_eq!(login(server.socket(), ANNA, PASSWORD).word(), "ACCOUNT");
    let before = memory(&server, kind);
    for _ in 0..2 {
        for (column, _) in COLUMNS {
            assert_eq!(login(server.socket(), &user(column), PASSWORD).word(), "FAIL", "{column}: {}", server.log());
            let question = format!("ASK account {}\n", user(column));
            let said =
                String::from_utf8_lossy(&ask(server.socket(), question.as_bytes(), Manner::Whole).bytes).into_owned();
            let expected = format!("LATER account {}: column {column} has more than ", user(column));
            assert!(said.starts_with(&expected) && said.ends_with("bytes; shorten it\n"), "{said}");
        }
        match ask(server.socket(), b"ENUMERATE\n", Manner::Whole).outcome() {
            Outcome::List(entries) => assert!(entries.iter().any(|entry| entry.login == ANNA), "{entries:?}"),
            other => panic!("{other:?}: {}", server.log()),
        }
    }
    let after = memory(&server, kind);
    assert!(after < before + GROWTH, "{before} KiB, and after it {after} KiB");
    let corrected = accounts.try_admin(&["account", "set", &user("options"), "--options", "a=1"], "");
    assert!(corrected.status.success(), "{corrected:?}");
    assert_eq!(login(server.socket(), &user("options"), PASSWORD).word(), "ACCOUNT", "{}", server.log());
}
