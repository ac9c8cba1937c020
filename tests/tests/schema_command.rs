//! `mailauth schema` and `mailauth check` over the tables of another program, on each database.

use mailauth_tests::schemas::of;
use mailauth_tests::{Accounts, Kind, on_each_database_and_mysql};
use serde_json::Value;

on_each_database_and_mysql!(
    every_statement_is_shown_with_the_index_that_it_uses,
    a_table_without_an_index_is_shown_with_the_index_that_helps,
    columns_of_a_newer_version_are_named_all_at_once,
    rows_are_shown_with_their_meaning_and_without_passwords,
    rows_that_cannot_be_used_are_counted_by_the_reason,
    a_number_of_another_type_says_what_to_cast,
    a_single_account_is_shown,
    own_tables_have_nothing_to_show,
    the_grants_that_are_shown_are_enough_and_exact,
);

/// Returns the tables of PostfixAdmin with these lines at the end of the configuration.
fn postfixadmin(kind: Kind, lines: &str) -> Accounts {
    let schema = of("postfixadmin");
    Accounts::of(&schema, kind).with_schema(&format!("{}{lines}", schema.config))
}

/// Runs a command that prints JSON; returns that and the exit code.
fn json(accounts: &Accounts, arguments: &[&str]) -> (Value, i32) {
    let output = accounts.try_admin(&[arguments, &["--json"]].concat(), "");
    let text = String::from_utf8_lossy(&output.stdout);
    let error = String::from_utf8_lossy(&output.stderr);
    let value = serde_json::from_str(&text).unwrap_or_else(|why| panic!("{why} in {text}{error}"));
    (value, output.status.code().expect("an exit code"))
}

fn statement<'a>(shown: &'a Value, name: &str) -> &'a Value {
    let statements = shown["statements"].as_array().expect("statements");
    statements.iter().find(|statement| statement["name"] == name).unwrap_or_else(|| panic!("{name} in {shown}"))
}

fn texts(value: &Value) -> Vec<&str> {
    value.as_array().expect("a list").iter().map(|text| text.as_str().expect("a text")).collect()
}

fn every_statement_is_shown_with_the_index_that_it_uses(kind: Kind) {
    let accounts = postfixadmin(kind, "");
    let (shown, exit) = json(&accounts, &["schema", "show"]);
    assert_eq!(exit, 0, "{shown}");
    assert_eq!((&shown["profile"], &shown["program"]), (&"postfixadmin".into(), &"PostfixAdmin".into()));
    assert_eq!(shown["parameters"]["mail_root"], "/var/vmail");
    for (name, parameter, tables) in [
        ("find", "m.username = :login", &["mailbox", "domain"][..]),
        ("find_domain", "d.domain = :domain", &["domain"]),
        ("find_alias", "a.address = :address", &["alias"]),
        ("find_alias_domain", "x.alias_domain = :domain", &["alias_domain"]),
    ] {
        let statement = statement(&shown, name);
        assert!(statement["sql"].as_str().expect("a text").contains(parameter), "{statement}");
        let read = statement["tables"].as_array().expect("tables");
        let mut names: Vec<_> = read.iter().map(|table| table["table"].as_str().expect("a name")).collect();
        names.sort_unstable();
        let mut tables = tables.to_vec();
        tables.sort_unstable();
        assert_eq!(names, tables, "{statement}");
        assert!(read.iter().all(|table| table["index"].is_string()), "{statement}");
    }
    let text = accounts.admin(&["schema", "show"], "");
    assert!(text.contains("uses the index ") && text.contains(" of mailbox\n"), "{text}");
}

fn a_table_without_an_index_is_shown_with_the_index_that_helps(kind: Kind) {
    let lines = "[schema.aliases]\n\
                 find = \"SELECT a.address, a.goto FROM alias a WHERE a.description = :address\"\n";
    let accounts = postfixadmin(kind, lines);
    let create = "CREATE INDEX alias_description ON alias (description)";
    let (shown, _) = json(&accounts, &["schema", "show"]);
    let table = &statement(&shown, "find_alias")["tables"][0];
    assert_eq!((&table["table"], &table["index"]), (&"alias".into(), &Value::Null), "{table}");
    assert_eq!(table["rows"].as_u64(), Some(accounts.rows_of("alias").len() as u64), "{table}");
    assert_eq!(table["create_index"], create);
    let check = String::from_utf8(accounts.try_admin(&["check"], "").stdout).expect("text");
    assert!(check.contains("[schema.aliases] find_alias scans ") && check.contains(create), "{check}");
    accounts.run_sql(create);
    let (shown, _) = json(&accounts, &["schema", "show"]);
    assert_eq!(statement(&shown, "find_alias")["tables"][0]["index"], "alias_description", "{shown}");
    let check = String::from_utf8(accounts.try_admin(&["check"], "").stdout).expect("text");
    assert!(!check.contains(" scans "), "{check}");
}

fn columns_of_a_newer_version_are_named_all_at_once(kind: Kind) {
    let accounts = postfixadmin(kind, "");
    for column in ["mailbox DROP COLUMN smtp_active", "domain DROP COLUMN password_expiry"] {
        accounts.run_sql(&format!("ALTER TABLE {column}"));
    }
    let (shown, exit) = json(&accounts, &["schema", "show"]);
    assert_eq!(exit, 1, "{shown}");
    let problems = texts(&statement(&shown, "find")["problems"]);
    assert_eq!(problems.len(), 2, "{problems:?}");
    let expected = [("domain has no column password_expiry", "1842"), ("mailbox has no column smtp_active", "1850")];
    for (problem, version) in expected {
        let named = |text: &&&str| text.contains(problem) && text.contains(version);
        assert!(problems.iter().find(named).is_some_and(|text| text.contains("[schema.accounts]")), "{problems:?}");
        let check = accounts.try_admin(&["check"], "");
        let check = String::from_utf8(check.stdout).expect("text");
        assert!(check.contains(problem) && check.contains(version), "{check}");
    }
    assert_eq!(texts(&statement(&shown, "find_alias")["problems"]), [""; 0]);
    let fields = "[schema.accounts]\nservices = \"'imap'\"\n";
    let accounts = accounts.with_schema(&format!("{}{fields}", of("postfixadmin").config));
    let (shown, exit) = json(&accounts, &["schema", "show"]);
    assert_eq!(exit, 0, "without the columns: {shown}");
    accounts.run_sql("DROP TABLE alias_domain");
    let (shown, exit) = json(&accounts, &["schema", "show"]);
    let problems = texts(&statement(&shown, "find_alias_domain")["problems"]);
    assert!(exit == 1 && problems[0].contains("has no table alias_domain"), "{problems:?}");
}

fn rows_are_shown_with_their_meaning_and_without_passwords(kind: Kind) {
    let accounts = postfixadmin(kind, "");
    let output = accounts.try_admin(&["schema", "try"], "");
    let text = String::from_utf8(output.stdout).expect("text");
    let line = |login: &str| {
        let line = text.lines().find(|line| line.starts_with(login)).unwrap_or_else(|| panic!("{login} in\n{text}"));
        line.split_whitespace().collect::<Vec<_>>()
    };
    let folder = "/var/vmail/hill.example/agnes";
    assert_eq!(
        line("agnes@hill.example"),
        ["agnes@hill.example", "yes", "all", "5000", "5000", folder, folder, "204800000S", "SHA512-CRYPT"]
    );
    assert_eq!(line("greta@moor.example")[1..3], ["domain", "off"]);
    assert!(!text.contains("$6$") && !text.contains("$2y$") && !text.contains("opens"), "{text}");
    assert!(text.contains("\nDOMAIN ") && text.contains("\nALIAS ") && text.contains("\nALIAS DOMAIN "), "{text}");
    let (tried, _) = json(&accounts, &["schema", "try", "--rows", "3"]);
    assert_eq!((tried["accounts"].as_array().map(Vec::len), &tried["read"]), (Some(3), &3.into()), "{tried}");
}

fn rows_that_cannot_be_used_are_counted_by_the_reason(kind: Kind) {
    let accounts = postfixadmin(kind, "[schema.accounts]\nuid = \"m.quota\"\n");
    accounts.run_sql("UPDATE mailbox SET quota = 5000");
    accounts.run_sql("UPDATE mailbox SET quota = 0 WHERE username IN ('agnes@hill.example', 'boris@hill.example')");
    accounts.run_sql("UPDATE mailbox SET password = '{ODD}x' WHERE username = 'clara@hill.example'");
    let total = accounts.rows_of("mailbox").len() as u64;
    let (tried, exit) = json(&accounts, &["schema", "try", "--all", "--rows", "1"]);
    assert_eq!((exit, tried["read"].as_u64()), (1, Some(total)), "{tried}");
    assert_eq!(tried["accounts"].as_array().map(Vec::len), Some(1), "{tried}");
    let counted = tried["unusable"].as_array().expect("reasons");
    let of_root = counted.iter().find(|counted| counted["reason"].as_str().expect("a text").starts_with("uid: is 0"));
    assert_eq!(of_root.map(|counted| counted["count"].clone()), Some(2.into()), "{counted:?}");
    let text = accounts.try_admin(&["schema", "try", "--all"], "");
    let text = String::from_utf8(text.stdout).expect("text");
    assert!(text.contains(&format!(" of all {total} accounts cannot be used:\n")), "{text}");
    let check = String::from_utf8(accounts.try_admin(&["check"], "").stdout).expect("text");
    assert!(check.contains("can never be used") && check.contains("correct them in PostfixAdmin"), "{check}");
    assert!(!check.contains("mailauth account set'"), "{check}");
}

fn a_number_of_another_type_says_what_to_cast(kind: Kind) {
    let accounts = postfixadmin(kind, "[schema.accounts]\nquota_bytes = \"m.quota * 0.5\"\n");
    let advice = "cast it to bigint in [schema.accounts] quota_bytes";
    let (tried, exit) = json(&accounts, &["schema", "try", "agnes@hill.example"]);
    assert_eq!(exit, 1, "{tried}");
    assert!(tried["problem"].as_str().is_some_and(|problem| problem.ends_with(advice)), "{tried}");
    let check = String::from_utf8(accounts.try_admin(&["check"], "").stdout).expect("text");
    assert!(check.contains(advice), "{check}");
}

fn a_single_account_is_shown(kind: Kind) {
    let accounts = postfixadmin(kind, "");
    let (agnes, exit) = json(&accounts, &["schema", "try", "Agnes@hill.example"]);
    assert_eq!((exit, &agnes["login"]), (0, &"agnes@hill.example".into()), "{agnes}");
    assert_eq!((&agnes["enabled"], &agnes["problem"]), (&true.into(), &Value::Null), "{agnes}");
    let output = accounts.try_admin(&["schema", "try", "nobody@hill.example"], "");
    assert_eq!(output.status.code(), Some(1));
    let both = accounts.try_admin(&["schema", "try", "agnes@hill.example", "--all"], "");
    assert_eq!(both.status.code(), Some(2));
}

fn own_tables_have_nothing_to_show(kind: Kind) {
    let accounts = Accounts::empty(kind).with("login\nanna@example.org\n");
    let text = accounts.admin(&["schema", "show"], "");
    assert!(text.contains("the tables are mailauth's own"), "{text}");
    let (tried, exit) = json(&accounts, &["schema", "try"]);
    assert_eq!((exit, &tried["accounts"][0]["login"]), (0, &"anna@example.org".into()), "{tried}");
}

fn the_grants_that_are_shown_are_enough_and_exact(kind: Kind) {
    let accounts = postfixadmin(kind, "");
    if kind == Kind::Sqlite {
        let (shown, _) = json(&accounts, &["schema", "show"]);
        assert!(shown["note"].as_str().is_some_and(|note| note.starts_with("SQLite has no users")), "{shown}");
        return assert_eq!(texts(&shown["grants"]), [""; 0]);
    }
    let (execute, name): (&dyn Fn(&str) -> String, &str) = match kind {
        Kind::Postgres => (&|sql| accounts.postgres().execute_admin(sql), accounts.postgres().name()),
        _ => (&|sql| accounts.mariadb().execute_admin(sql), accounts.mariadb().name()),
    };
    match kind {
        Kind::Postgres => execute(&format!("REASSIGN OWNED BY {name} TO postgres")),
        _ => execute(&format!("REVOKE ALL PRIVILEGES, GRANT OPTION FROM {name}@'%'")),
    };
    if kind != Kind::Postgres {
        // Without any right in it, a user may not use the database.
        execute(&format!("CREATE TABLE {name}.nothing (a int); GRANT SELECT ON {name}.nothing TO {name}@'%'"));
    }
    let (shown, exit) = json(&accounts, &["schema", "show"]);
    assert_eq!(exit, 1, "{shown}");
    let problems = texts(&statement(&shown, "find_alias")["problems"]);
    assert_eq!(problems.len(), 1, "{problems:?}");
    assert!(
        problems[0].starts_with("this user may not read active, address, goto of the table alias; "),
        "{problems:?}"
    );
    let grants = texts(&shown["grants"]);
    assert_eq!(grants.len(), 4, "{grants:?}");
    assert!(grants.iter().all(|grant| grant.starts_with("GRANT SELECT (")), "{grants:?}");
    execute(&grants.iter().map(|grant| format!("{grant};\n")).collect::<String>());
    let (shown, exit) = json(&accounts, &["schema", "show"]);
    assert_eq!(exit, 0, "{shown}");
    let tried = accounts.try_admin(&["schema", "try", "--all"], "");
    let text = String::from_utf8_lossy(&tried.stdout);
    assert!(text.contains("agnes@hill.example") && text.contains("\nALIAS DOMAIN "), "{text}{tried:?}");
    // No other column is permitted: each of them is needed.
    for grant in grants {
        let (_, list) = grant.split_once('(').expect("columns");
        let (columns, rest) = list.split_once(')').expect("columns");
        let table = rest.trim_start_matches(" ON ").split(' ').next().expect("a table");
        let user = rest.rsplit(' ').next().expect("a user");
        for column in columns.split(", ") {
            execute(&format!("REVOKE SELECT ({column}) ON {table} FROM {user}"));
            let shown = accounts.try_admin(&["schema", "show"], "");
            assert_eq!(shown.status.code(), Some(1), "{column} of {table} is not needed");
            execute(&format!("GRANT SELECT ({column}) ON {table} TO {user}"));
        }
    }
}
