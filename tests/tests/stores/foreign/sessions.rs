//! Sessions over another program's tables cannot change anything, and need few rights.

use super::program::{Program, with};
use crate::database::{Database, login};
use mailauth_core::config::DatabaseConfig;
use mailauth_core::schema::Field;
use mailauth_core::store::{AccountStore, Administration, MailStore, SqlStore, open_single};
use mailauth_core::{DomainName, Secret};
use mailauth_tests::{Kind, on_each_server_and_mysql};

on_each_server_and_mysql!(
    an_expression_that_writes_is_refused_by_the_session,
    the_right_to_read_the_columns_is_enough,
    a_missing_right_names_the_profile,
);

/// Creates a function that adds a row to a table, whoever calls it.
fn create_function_that_writes(program: &Program) {
    program.sql("CREATE TABLE note (words VARCHAR(10))");
    program.sql(match program.kind {
        Kind::Postgres => {
            "CREATE FUNCTION add_note() RETURNS text LANGUAGE sql SECURITY DEFINER \
             AS 'INSERT INTO note VALUES (''x''); SELECT ''x''::text'"
        }
        _ => {
            "DELIMITER //\nCREATE FUNCTION add_note() RETURNS VARCHAR(10) DETERMINISTIC MODIFIES SQL DATA\n\
             BEGIN INSERT INTO note VALUES ('x'); RETURN 'x'; END//\nDELIMITER ;\n"
        }
    });
}

fn an_expression_that_writes_is_refused_by_the_session(kind: Kind) {
    let program = Program::new(kind);
    create_function_that_writes(&program);
    let model = with(program.model(), Field::Name, "add_note()");
    let anna = login("anna@kontor.example");
    let notes = || program.sql("SELECT COUNT(*) FROM note").trim().to_owned();
    let error = program.open(model.clone()).find(&anna).unwrap_err();
    assert!(error.to_string().to_lowercase().replace('-', " ").contains("read only transaction"), "{error}");
    assert_eq!(notes(), "0");
    // The function itself works, so it was the session that refused it.
    let mut writing = model;
    writing.accounts.write_password = Some("secret".into());
    assert!(program.open(writing).find(&anna).unwrap().is_some());
    assert_ne!(notes(), "0");
}

/// Returns the configuration of a new database user, with the password `secret` and no rights.
fn new_user(program: &Program) -> (String, DatabaseConfig) {
    let config = program.config(program.model());
    let (user, url) = match &program.database {
        Database::Sqlite(_) => panic!("SQLite has no users"),
        Database::MariaDb(at) => {
            let user = format!("reader_{}", at.name());
            program.sql(&format!("CREATE USER {user}@'%' IDENTIFIED BY 'secret'"));
            (format!("{user}@'%'"), config.url.clone().with_user(user))
        }
        Database::Postgres(at) => {
            let user = format!("reader_{}", at.name());
            program.sql(&format!("CREATE ROLE {user} LOGIN PASSWORD 'secret'"));
            (user.clone(), config.url.clone().with_user(user))
        }
    };
    (user, DatabaseConfig { url, password: Secret::from("secret"), ..config })
}

/// Grants the right to read the columns that the model reads, and no others.
fn grant_columns(program: &Program, user: &str) {
    for columns in program.model().reads {
        let names = columns.columns.join(", ");
        program.sql(&format!("GRANT SELECT ({names}) ON \"{}\" TO {user}", columns.table));
    }
}

fn answers(store: &SqlStore) {
    assert!(store.find(&login("anna@kontor.example")).unwrap().is_some());
    assert!(store.domain(&DomainName::parse("kontor.example").unwrap()).unwrap().is_some());
    assert_eq!(store.alias_targets("info@kontor.example").unwrap().len(), 3);
}

fn the_right_to_read_the_columns_is_enough(kind: Kind) {
    let program = Program::new(kind);
    let (user, config) = new_user(&program);
    grant_columns(&program, &user);
    let store = open_single(&config).unwrap();
    answers(&store);
    let report = store.report().unwrap();
    let tables = report.foreign.expect("the tables");
    assert_eq!((tables.profile.as_str(), tables.program.as_str(), &tables.problems[..]), ("kontor", "Kontor", &[][..]));
    assert_eq!((&report.rights_missing[..], &report.rights_too_wide[..]), (&[][..], &[][..]));
    assert_eq!((report.accounts, &report.rights_remedy[..]), (4, &[][..]));
    program.sql(&format!("GRANT DELETE ON \"user\" TO {user}"));
    let report = open_single(&config).unwrap().report().unwrap();
    assert!(report.rights_too_wide.concat().contains("DELETE"), "{report:?}");
    assert!(report.rights_remedy.concat().contains("DELETE"), "{report:?}");
}

fn a_missing_right_names_the_profile(kind: Kind) {
    let program = Program::new(kind);
    let (user, config) = new_user(&program);
    program.sql(&format!("GRANT SELECT ON realm TO {user}"));
    let store = open_single(&config).unwrap();
    let said = store.find(&login("anna@kontor.example")).unwrap_err().to_string();
    assert!(said.contains("grant this user SELECT on the tables of profile \"kontor\""), "{said}");
    let report = store.report().unwrap();
    let problems = report.foreign.expect("the tables").problems;
    assert!(
        problems.len() >= 3 && problems.iter().all(|problem| problem.contains("this user may not read ")),
        "{problems:?}"
    );
    for statement in report.rights_remedy {
        program.sql(&statement.replace('`', "\""));
    }
    answers(&open_single(&config).unwrap());
}
