//! However many accounts another program has, mailauth finds one by an index of the program's own tables.

use mailauth_tests::schemas::{ALL, Schema};
use mailauth_tests::{Accounts, Kind, mysql};
use serde_json::Value;

/// Statements that read a table whole, because the program creates no index for them: profile, statement and table.
const READ_WHOLE: [(&str, &str, &str); 5] = [
    ("ispmail", "find_domain", "virtual_domains"),
    ("ispmail", "find_alias", "virtual_aliases"),
    // A row for each second factor.
    ("mailcow", "find", "tfa"),
    ("mailcow", "list_accounts", "tfa"),
    // Patterns of a domain.
    ("mailu", "find_alias", "alias"),
];

/// Statements that read the tables of all domains, which have no name in common to search for.
const OF_ALL_DOMAINS: [(&str, &str); 3] =
    [("vpopmail-domains", "find_alias"), ("vpopmail-domains", "list_accounts"), ("vpopmail-domains", "list_aliases")];

/// Creates a test for each database.
macro_rules! databases {
    ($($test:ident = $kind:ident),*) => {$(
        #[test]
        fn $test() {
            every_profile_uses_the_indexes_of_its_program(Kind::$kind, stringify!($test));
        }
    )*};
}

databases!(on_sqlite = Sqlite, on_mariadb = MariaDb, on_mysql = MySql, on_postgres = Postgres);

fn every_profile_uses_the_indexes_of_its_program(kind: Kind, test: &str) {
    if kind == Kind::MySql && !mysql::can_run(test) {
        return;
    }
    let mut faults = Vec::new();
    for schema in ALL.iter().filter(|schema| schema.is_on(kind)) {
        faults.extend(faults_of(schema, kind));
    }
    assert!(faults.is_empty(), "{} faults:\n{}", faults.len(), faults.join("\n"));
}

/// Returns the statements of a profile that read a table whole, or that the database refuses or does not explain.
fn faults_of(schema: &Schema, kind: Kind) -> Vec<String> {
    let accounts = Accounts::of(schema, kind);
    let output = accounts.try_admin(&["schema", "show", "--json"], "");
    let text = String::from_utf8_lossy(&output.stdout);
    let shown: Value = serde_json::from_str(&text).unwrap_or_else(|why| panic!("{why}: {text}{output:?}"));
    let mut faults = Vec::new();
    for statement in shown["statements"].as_array().expect("statements") {
        let name = statement["name"].as_str().expect("a name");
        let mut fault = |what: String| faults.push(format!("{}: {name} {what}", schema.profile));
        for problem in statement["problems"].as_array().expect("problems") {
            fault(problem.to_string());
        }
        if let Some(why) = statement["unexplained"].as_str() {
            fault(format!("is not explained: {why}"));
        }
        if statement["sorts"] == true {
            fault("sorts".to_owned());
        }
        for table in statement["tables"].as_array().expect("tables") {
            let of = table["table"].as_str().expect("a table");
            let is_known =
                READ_WHOLE.contains(&(schema.profile, name, of)) || OF_ALL_DOMAINS.contains(&(schema.profile, name));
            if table["index"].is_null() && !is_known {
                fault(format!("scans {table}"));
            }
        }
    }
    faults
}
