//! Every question about the tables of every program, on each of its databases.

use crate::answers::Programs;
use mailauth_tests::schemas::{ALL, of};
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

        const TESTED: &[(&str, &[Kind])] = &[$(($profile, &[$(Kind::$kind),*])),*];
    };
}

programs! {
    postfixadmin = "postfixadmin" on sqlite = Sqlite, mariadb = MariaDb, mysql = MySql, postgres = Postgres;
    vexim = "vexim" on mariadb = MariaDb, mysql = MySql, postgres = Postgres;
    froxlor = "froxlor" on mariadb = MariaDb, mysql = MySql;
    ispmail = "ispmail" on mariadb = MariaDb, mysql = MySql;
    vpopmail = "vpopmail" on sqlite = Sqlite, mariadb = MariaDb, mysql = MySql, postgres = Postgres;
    vpopmail_domains = "vpopmail-domains" on mariadb = MariaDb, mysql = MySql;
    iredmail = "iredmail" on mariadb = MariaDb, mysql = MySql, postgres = Postgres;
    mailcow = "mailcow" on mariadb = MariaDb, mysql = MySql;
    vimbadmin = "vimbadmin" on mariadb = MariaDb, mysql = MySql;
    courier = "courier" on sqlite = Sqlite, mariadb = MariaDb, mysql = MySql, postgres = Postgres;
    modoboa = "modoboa" on sqlite = Sqlite, mariadb = MariaDb, mysql = MySql, postgres = Postgres;
    mailu = "mailu" on sqlite = Sqlite, mariadb = MariaDb, mysql = MySql, postgres = Postgres;
    ispconfig = "ispconfig" on mariadb = MariaDb, mysql = MySql;
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

#[test]
fn every_program_is_tested_on_all_its_databases() {
    for schema in ALL {
        let (_, kinds) = TESTED.iter().find(|(profile, _)| *profile == schema.profile).expect("tests of the program");
        for kind in schema.databases {
            assert!(kinds.contains(kind), "{} on {kind:?}", schema.profile);
        }
    }
}
