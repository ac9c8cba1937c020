//! Tables of another program: what is read from them, and that nothing is written to them.

#[path = "foreign/collations.rs"]
mod collations;
#[path = "foreign/lists.rs"]
mod lists;
#[path = "foreign/program.rs"]
mod program;
#[path = "foreign/sessions.rs"]
mod sessions;

use crate::database::{Database, login, password};
use mailauth_core::DomainName;
use mailauth_core::schema::{Field, ForeignModel, NamedSql, Parameter, QuotaText};
use mailauth_core::store::{
    AccountStore, Administration, DomainKind, DomainStanding, MailStore, Role, StoreError, open_pooled,
};
use mailauth_tests::{Kind, on_each_database_and_mysql};
use program::{Program, with};

on_each_database_and_mysql!(
    accounts_are_read_from_another_programs_tables,
    domains_and_aliases_are_read_from_another_programs_tables,
    a_value_of_another_type_makes_its_row_unusable,
    a_quota_in_one_column_is_text_or_a_number,
    tables_of_another_version_name_what_is_missing,
    the_password_is_changed_if_its_column_is_configured,
    a_password_is_not_changed_if_another_one_is_stored,
    a_password_that_would_not_be_read_is_not_written,
    the_key_of_a_password_has_to_be_unique,
    look_ups_at_once_find_the_same_as_alone,
);

fn name(text: &str) -> DomainName {
    DomainName::parse(text).unwrap()
}

fn accounts_are_read_from_another_programs_tables(kind: Kind) {
    let program = Program::new(kind);
    for store in [program.store(), open_pooled(&program.config(program.model())).unwrap()] {
        for _ in 0..2 {
            let anna = store.find(&login("anna@kontor.example")).unwrap().unwrap();
            assert_eq!((anna.password, anna.home.as_deref()), (password("{PLAIN}a"), Some("anna")));
            assert_eq!((anna.quota_bytes, anna.uid, anna.enabled), (Some(3000 << 20), None, true));
            let bert = store.find(&login("bert@kontor.example")).unwrap().unwrap();
            assert_eq!((bert.password, bert.enabled, bert.home), (password("{PLAIN}bert"), false, None));
            assert!(!store.find(&login("carl@off.example")).unwrap().unwrap().domain_enabled);
            assert!(store.find(&login("dora@kontor.example")).unwrap().unwrap().password.0.is_empty());
            assert_eq!(store.find(&login("nobody@kontor.example")), Ok(None));
            assert_eq!(store.find(&login("anna@off.example")), Ok(None));
        }
    }
    let store = program.store();
    let (anna, nobody) = (login("anna@kontor.example"), login("nobody@kontor.example"));
    assert_eq!(store.existing(&[&anna, &nobody]).unwrap(), [anna.clone()].into());
    assert_eq!(store.account_times(&anna), Ok(None));
}

fn domains_and_aliases_are_read_from_another_programs_tables(kind: Kind) {
    let program = Program::new(kind);
    let store = program.store();
    let standing = |enabled, kind| Some(DomainStanding { enabled, kind });
    assert_eq!(store.domain(&name("kontor.example")).unwrap(), standing(true, DomainKind::Own));
    assert_eq!(store.domain(&name("off.example")).unwrap(), standing(false, DomainKind::Own));
    let of = DomainKind::AliasOf(name("kontor.example"));
    assert_eq!(store.domain(&name("alias.example")).unwrap(), standing(true, of));
    assert_eq!(store.domain(&name("else.example")), Ok(None));
    assert_eq!(store.find_domain("off.example").unwrap().map(|row| row.enabled), Some(false));
    assert_eq!(store.find_domain("alias.example"), Ok(None));
    let info = ["anna@kontor.example", "dora@kontor.example", "else@else.example"];
    assert_eq!(store.alias_targets("info@kontor.example").unwrap(), info);
    assert_eq!(store.alias_targets("@off.example").unwrap(), ["@kontor.example"]);
    for none in ["anna@kontor.example", "gone@kontor.example", "@kontor.example", "nobody@kontor.example"] {
        assert_eq!(store.alias_targets(none), Ok(Vec::new()), "{none}");
    }
    let unusable = store.alias_targets("root@kontor.example").unwrap_err();
    assert!(unusable.to_string().ends_with("; correct it in Kontor"), "{unusable}");
}

fn a_value_of_another_type_makes_its_row_unusable(kind: Kind) {
    let program = Program::new(kind);
    program.sql("UPDATE \"user\" SET share = 5.50, weight = 1.5");
    for (field, sql, problem) in [
        (Field::Uid, "u.weight", "cast it to bigint in [schema.accounts] uid"),
        (Field::QuotaMessages, "u.share", "cast it to bigint in [schema.accounts] quota_messages"),
        (Field::Enabled, "u.weight", "cast it to bigint in [schema.accounts] enabled"),
    ] {
        let store = program.open(with(program.model(), field, sql));
        let error = store.find(&login("anna@kontor.example")).unwrap_err();
        assert!(error.to_string().ends_with(problem), "{error}");
        assert_eq!(store.find(&login("nobody@kontor.example")), Ok(None));
    }
}

fn a_quota_in_one_column_is_text_or_a_number(kind: Kind) {
    let program = Program::new(kind);
    program
        .sql("UPDATE \"user\" SET limits = '5000S,7C' WHERE id = 1; UPDATE \"user\" SET limits = 'lots' WHERE id = 4");
    let by = |sql: &str| {
        let mut model = with(program.model(), Field::QuotaBytes, "");
        model.accounts.fields[Field::QuotaBytes.place().unwrap()] = None;
        model.accounts.quota = Some(QuotaText { sql: sql.to_owned(), plain_is_bytes: true });
        program.open(model)
    };
    let limits = |store: &dyn AccountStore, of: &str| {
        store.find(&login(of)).map(|row| row.map(|row| (row.quota_bytes, row.quota_messages)).unwrap())
    };
    let text = by("u.limits");
    assert_eq!(limits(&text, "anna@kontor.example"), Ok((Some(5000), Some(7))));
    assert_eq!(limits(&text, "bert@kontor.example"), Ok((None, None)));
    assert!(
        matches!(limits(&text, "dora@kontor.example"), Err(StoreError::Unusable(why)) if why.column == "quota_bytes")
    );
    let number = by("u.megabytes");
    assert_eq!(limits(&number, "anna@kontor.example"), Ok((Some(3000), Some(0))));
    assert_eq!(limits(&number, "dora@kontor.example"), Ok((Some(0), Some(0))));
}

fn tables_of_another_version_name_what_is_missing(kind: Kind) {
    let program = Program::new(kind);
    program.sql("ALTER TABLE \"user\" DROP COLUMN megabytes; DROP TABLE nickname;");
    let store = program.store();
    let error = store.find(&login("anna@kontor.example")).unwrap_err();
    let StoreError::Schema(said) = &error else { panic!("{error:?}") };
    assert!(said.contains("megabytes") && said.contains("; Kontor 2 has it; update it"), "{said}");
    let error = store.alias_targets("info@kontor.example").unwrap_err();
    let StoreError::Schema(said) = &error else { panic!("{error:?}") };
    assert!(said.contains("nickname") && said.contains("profile = \"kontor\""), "{said}");
    assert!(store.domain(&name("kontor.example")).is_ok());
    let problems = store.report().unwrap().foreign.expect("the tables").problems;
    assert_eq!(problems.len(), 2, "{problems:?}");
}

/// Returns a model that permits changes of the column `secret`.
fn writing(program: &Program) -> ForeignModel {
    let mut model = with(program.model(), Field::Password, "u.secret");
    model.accounts.write_password = Some("secret".into());
    model
}

fn the_password_is_changed_if_its_column_is_configured(kind: Kind) {
    let program = Program::new(kind);
    let store = program.open(writing(&program));
    assert_eq!(store.keeps_passwords(), None);
    let (anna, old, new) = (login("anna@kontor.example"), password("{PLAIN}a"), password("$6$new$hash"));
    assert_eq!(store.set_password(&anna, &old, &new), Ok(true));
    assert_eq!(store.find(&anna).unwrap().unwrap().password, new);
    assert_eq!(store.set_password(&login("bert@kontor.example"), &password(""), &new), Ok(true), "NULL before");
    assert_eq!(store.set_password(&login("nobody@kontor.example"), &old, &new), Ok(false));
    let dora = store.find(&login("dora@kontor.example")).unwrap().unwrap();
    assert!(dora.password.0.is_empty(), "no other row is changed");
    assert!(matches!(store.init(), Err(StoreError::ReadOnly(_))), "nothing else is changed");
    let mut by_text = writing(&program);
    by_text.accounts.key = vec!["u.local".into(), "u.realm".into()];
    assert_eq!(program.open(by_text).set_password(&anna, &new, &old), Ok(true));
    assert_eq!(store.find(&anna).unwrap().unwrap().password, old);
}

fn a_password_is_not_changed_if_another_one_is_stored(kind: Kind) {
    let program = Program::new(kind);
    let store = program.open(writing(&program));
    let anna = login("anna@kontor.example");
    for old in ["{PLAIN}A", "{PLAIN}a ", "{PLAIN}", "", "{PLAIN}\u{e1}"] {
        assert_eq!(store.set_password(&anna, &password(old), &password("new")), Ok(false), "{old:?}");
    }
    assert_eq!(store.find(&anna).unwrap().unwrap().password, password("{PLAIN}a"));
}

fn a_password_that_would_not_be_read_is_not_written(kind: Kind) {
    let program = Program::new(kind);
    let mut model = program.model();
    model.accounts.write_password = Some("secret".into());
    let store = program.open(model);
    let (bert, old) = (login("bert@kontor.example"), password("{PLAIN}bert"));
    let said = store.set_password(&bert, &old, &password("new")).unwrap_err().to_string();
    assert!(said.contains("the password that is read is not the one that was written"), "{said}");
    let secret = program.open(writing(&program)).find(&bert).unwrap().unwrap().password;
    assert!(secret.0.is_empty(), "the column is as it was");
    assert_eq!(store.set_password(&login("anna@kontor.example"), &password("{PLAIN}a"), &password("new")), Ok(true));
}

fn the_key_of_a_password_has_to_be_unique(kind: Kind) {
    let program = Program::new(kind);
    let mut model = writing(&program);
    model.accounts.key = vec!["u.realm".into()];
    program.sql("UPDATE \"user\" SET secret = '{PLAIN}a'");
    let store = program.open(model);
    let refused = store.set_password(&login("anna@kontor.example"), &password("{PLAIN}a"), &password("new"));
    let said = refused.unwrap_err().to_string();
    assert!(said.contains("several rows have the key of one account; correct [schema.accounts] key"), "{said}");
    for row in ["anna@kontor.example", "bert@kontor.example"] {
        assert_eq!(store.find(&login(row)).unwrap().unwrap().password, password("{PLAIN}a"), "nothing is changed");
    }
}

#[test]
fn the_role_of_a_host_is_not_that_of_its_read_only_session() {
    for kind in [Kind::Sqlite, Kind::MariaDb, Kind::Postgres] {
        let program = Program::new(kind);
        let role = || program.store().ask_hosts()[0].role;
        assert_eq!(role(), Role::Primary, "{kind:?}");
        if let Database::Postgres(database) = &program.database {
            program.sql(&format!("ALTER DATABASE {} SET default_transaction_read_only = on", database.name()));
            assert_eq!(role(), Role::Replica);
        }
    }
}

fn look_ups_at_once_find_the_same_as_alone(kind: Kind) {
    let program = Program::new(kind);
    program.sql("ALTER TABLE \"user\" ADD COLUMN email VARCHAR(200)");
    for local in ["anna", "bert", "dora"] {
        program.sql(&format!("UPDATE \"user\" SET email = '{local}@kontor.example' WHERE local = '{local}'"));
    }
    let mut model = program.model();
    model.accounts.find = NamedSql { sql: "u.email = ?".to_owned(), parameters: vec![Parameter::Login] };
    let pooled = open_pooled(&program.config(model.clone())).unwrap();
    let names = ["anna", "bert", "dora", "carl", "nobody", "\u{e4}nna", "a'b", "\u{e01}"];
    let logins: Vec<_> = names.iter().map(|name| login(&format!("{name}@kontor.example"))).collect();
    crate::together::answers_are_the_same_at_once(&program.open(model), &pooled, &logins);
}
