//! `mailauth check` prints the statements that correct a database user's rights, to be executed unchanged.

use mailauth_tests::{Accounts, Kind, on_each_server_and_mysql};

on_each_server_and_mysql!(the_statements_that_check_prints_satisfy_it);

fn the_statements_that_check_prints_satisfy_it(kind: Kind) {
    // The user that created the tables has all rights to them.
    let accounts = Accounts::empty(kind).with("login\nanna@example.org\n");
    if kind == Kind::Postgres {
        // No rights are revoked from an owner.
        let (database, name) = (accounts.postgres(), accounts.postgres().name());
        database.execute_admin(&format!(
            "REASSIGN OWNED BY {name} TO postgres; GRANT ALL ON ALL TABLES IN SCHEMA public TO {name}"
        ));
    }
    let output = accounts.try_admin(&["check"], "");
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let (table, script) = text.split_once("\n\n").unwrap_or_else(|| panic!("no statements in\n{text}"));
    assert!(table.contains("the statements below correct it"), "{table}");
    assert!(script.contains("\nGRANT "), "{script}");
    match kind {
        Kind::Postgres => accounts.postgres().execute_admin(script),
        _ => accounts.mariadb().execute_admin(script),
    };
    let output = accounts.try_admin(&["check"], "");
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(
        text.contains("those that a daemon needs, and no others") && !text.contains("\n\n"),
        "after\n{script}\n{text}"
    );

    let revoked = match kind {
        Kind::Postgres => {
            let name = accounts.postgres().name();
            accounts.postgres().execute_admin(&format!("REVOKE SELECT ON domains FROM {name}"))
        }
        _ => {
            let name = accounts.mariadb().name();
            accounts.mariadb().execute_admin(&format!("REVOKE SELECT ON domains FROM {name}@'%'"))
        }
    };
    let output = accounts.try_admin(&["check", "--json"], "");
    let told: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap_or_else(|e| panic!("{e}: {revoked}"));
    let statements = told["statements"].as_array().expect("statements");
    assert_eq!(statements.len(), 1, "{told}");
    assert!(statements[0].as_str().is_some_and(|statement| statement.starts_with("GRANT SELECT ON ")), "{told}");
    assert_eq!(told["state"], "down");
}
