//! Every question about the tables of every program, on each of its databases.

use crate::answers::Programs;
use mailauth_tests::schemas::of;
use mailauth_tests::{Accounts, Kind, Mailauth, mysql};

/// Creates a test for each database of each program.
macro_rules! programs {
    ($($module:ident = $profile:literal on $($test:ident = $kind:ident),*;)*) => {
        $(mod $module {
            $(#[test]
            fn $test() {
                super::every_question_has_the_right_answer(
                    $profile, mailauth_tests::Kind::$kind, concat!(module_path!(), "::", stringify!($test)));
            })*
        })*
    };
}

programs! {
    postfixadmin = "postfixadmin" on sqlite = Sqlite, mariadb = MariaDb, mysql = MySql, postgres = Postgres;
}

fn every_question_has_the_right_answer(profile: &str, kind: Kind, test: &str) {
    if kind == Kind::MySql && !mysql::can_run(test) {
        return;
    }
    let schema = of(profile);
    let accounts = Accounts::of(&schema, kind);
    let server = Mailauth::unthrottled(&accounts, "");
    let programs = Programs { accounts: &accounts, server: &server };
    let faults: Vec<String> = schema.cases_on(kind).iter().flat_map(|case| programs.faults(case)).collect();
    assert!(faults.is_empty(), "{} wrong answers:\n{}", faults.len(), faults.join("\n"));
}
