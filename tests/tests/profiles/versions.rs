//! Tables of another version of the program, and columns of types that cannot be used.

use mailauth_tests::schemas::of;
use mailauth_tests::wire::login;
use mailauth_tests::{Accounts, Kind, Mailauth, on_each_database, on_each_server};

on_each_database!(a_column_that_is_missing_is_named_with_its_version, a_table_that_is_missing_is_named);

mod of_types {
    use super::a_fractional_quota_is_named_with_the_remedy;
    super::on_each_server!(a_fractional_quota_is_named_with_the_remedy);
}

const AGNES: &str = "agnes@hill.example";

/// Returns what a command says that exits with one of these codes.
#[track_caller]
fn said(accounts: &Accounts, arguments: &[&str], input: &str, codes: &[i32]) -> String {
    let output = accounts.try_admin(arguments, input);
    let said = String::from_utf8_lossy(&[&*output.stdout, &*output.stderr].concat()).into_owned();
    assert!(
        output.status.code().is_some_and(|code| codes.contains(&code)),
        "{arguments:?}: {:?}: {said}",
        output.status
    );
    said
}

fn a_column_that_is_missing_is_named_with_its_version(kind: Kind) {
    let accounts = Accounts::of(&of("postfixadmin"), kind);
    accounts.run_sql("ALTER TABLE mailbox DROP COLUMN smtp_active");
    let server = Mailauth::unthrottled(&accounts, "");
    // It is not known whether the account exists.
    assert_eq!(login(server.socket(), AGNES, "agnes opens").word(), "CLOSED");
    let version = "PostfixAdmin 4 (database version 1850) has it";
    for told in [
        server.log(),
        said(&accounts, &["auth", AGNES, "--password-stdin"], "agnes opens", &[75]),
        said(&accounts, &["check"], "", &[1, 2]),
    ] {
        assert!(told.contains("smtp_active") && told.contains(version), "{told}");
        assert!(told.contains("[schema.accounts]"), "{told}");
    }
    // The configuration can do without the column.
    let schema = of("postfixadmin");
    let accounts = accounts.with_schema(&format!("{}[schema.accounts]\nservices = \"NULL\"\n", schema.config));
    said(&accounts, &["auth", AGNES, "--password-stdin"], "agnes opens", &[0]);
}

fn a_table_that_is_missing_is_named(kind: Kind) {
    let accounts = Accounts::of(&of("postfixadmin"), kind);
    accounts.run_sql("DROP TABLE alias_domain; DROP TABLE alias");
    let told = said(&accounts, &["check"], "", &[1, 2]);
    for table in ["no table alias,", "no table alias_domain,"] {
        assert!(told.contains(table), "{told}");
    }
    said(&accounts, &["auth", AGNES, "--password-stdin"], "agnes opens", &[0]);
}

fn a_fractional_quota_is_named_with_the_remedy(kind: Kind) {
    let accounts = Accounts::of(&of("postfixadmin"), kind);
    for kind_of_number in ["numeric(20,2)", "double precision"] {
        let change = match kind {
            Kind::Postgres => format!("ALTER TABLE mailbox ALTER COLUMN quota TYPE {kind_of_number}"),
            _ => format!("ALTER TABLE mailbox MODIFY quota {kind_of_number} NOT NULL DEFAULT 0"),
        };
        accounts.run_sql(&change);
        let told = said(&accounts, &["auth", AGNES, "--password-stdin"], "agnes opens", &[75, 1]);
        assert!(told.contains("quota_bytes") && told.to_lowercase().contains("cast"), "{kind_of_number}: {told}");
    }
}
