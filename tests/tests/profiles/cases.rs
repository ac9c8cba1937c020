//! Every question about the tables of every program, on each of its databases.

use crate::answers::Programs;
use mailauth_tests::schemas::{ALL, Question, Schema, Want, of};
use mailauth_tests::wire::{Manner, Outcome, ask};
use mailauth_tests::{Accounts, Kind, Mailauth, mysql};
use std::collections::BTreeSet;

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
    let mut faults: Vec<String> = schema.cases_on(kind).iter().flat_map(|case| programs.faults(case)).collect();
    faults.extend(faults_of_lists(&schema, kind, &accounts, &server));
    assert!(faults.is_empty(), "{} wrong answers:\n{}", faults.len(), faults.join("\n"));
}

/// Addresses that match a pattern of Mailu, which no list can contain.
const NOT_LISTED: [(&str, &str); 3] =
    [("mailu", "nobody@lake.example"), ("mailu", "shop-west@hill.example"), ("mailu", "shop-art-1@hill.example")];

/// Describes what is missing in the lists: every account, domain and alias that was found has to be in one.
fn faults_of_lists(schema: &Schema, kind: Kind, accounts: &Accounts, server: &Mailauth) -> Vec<String> {
    let mut faults = Vec::new();
    let mut list = |arguments: &[&str]| {
        let output = accounts.try_admin(arguments, "");
        // Rows that cannot be used are named on the standard error.
        if !matches!(output.status.code(), Some(0 | 75)) {
            faults.push(format!("{arguments:?}: {}", String::from_utf8_lossy(&output.stderr)));
        }
        let listed = String::from_utf8_lossy(&output.stdout).into_owned();
        let names = listed.lines().filter_map(|line| line.split_whitespace().next());
        names.map(str::to_owned).collect::<BTreeSet<_>>()
    };
    let of_accounts = list(&["account", "list"]);
    let of_alias_domains = list(&["domain", "alias", "list"]);
    let of_domains = &list(&["domain", "list"]) | &of_alias_domains;
    let of_aliases = list(&["alias", "list"]);
    let enumerated: BTreeSet<_> = match ask(server.socket(), b"ENUMERATE\n", Manner::Whole).outcome() {
        Outcome::List(entries) => entries.into_iter().map(|entry| entry.login).collect(),
        other => {
            faults.push(format!("ENUMERATE: {other:?}"));
            BTreeSet::new()
        }
    };
    for case in schema.cases_on(kind).iter().filter(|case| matches!(case.want, Want::Yes(_))) {
        // Lists show the letters of an internationalised domain.
        if case.input.contains("xn--") {
            continue;
        }
        let name = case.input.to_lowercase();
        let (lists, name) = match case.question {
            Question::Login { .. } => {
                let name = case.account.login.map_or(name, str::to_owned);
                (vec![("account list", &of_accounts), ("ENUMERATE", &enumerated)], name)
            }
            Question::Domain => (vec![("domain list", &of_domains)], name),
            Question::Alias if !NOT_LISTED.contains(&(schema.profile, &name)) => {
                let (_, domain) = name.rsplit_once('@').unwrap_or_default();
                let catch_all = format!("@{domain}");
                match of_alias_domains.contains(domain) || of_aliases.contains(&catch_all) {
                    true => continue,
                    false => (vec![("alias list", &of_aliases)], name),
                }
            }
            _ => continue,
        };
        faults.extend(
            lists.into_iter().filter(|(_, list)| !list.contains(&name)).map(|(what, _)| format!("{what} lacks {name}")),
        );
    }
    faults
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
