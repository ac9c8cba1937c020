//! The tables return what was written, and nothing else.

use crate::database::{Database, account, domain, full_account, import, login, password};
use mailauth_core::account::Password;
use mailauth_core::store::{
    AccountChange, AccountStore, AdminError, Administration, AliasRow, SchemaChange, StoreError,
};
use mailauth_core::{AccountRow, Login, Services};
use mailauth_tests::{Kind, on_each_database_and_mysql};

on_each_database_and_mysql!(
    the_schema_is_made_once_and_kept,
    a_missing_schema_says_what_to_do,
    every_field_is_read_as_it_was_written,
    a_row_is_found_only_by_its_own_login,
    a_folding_collation_does_not_decide,
    an_invalid_value_is_reported_with_its_column,
    a_password_is_replaced_only_if_the_old_one_is_unchanged,
    one_of_many_simultaneous_password_changes_succeeds,
    pages_contain_every_row_once_in_byte_order,
    the_tables_refuse_invalid_values,
    a_table_changed_under_a_prepared_statement_is_no_error,
    the_same_rows_load_as_plain_sql,
);

fn the_schema_is_made_once_and_kept(kind: Kind) {
    let database = Database::empty(kind);
    let store = database.store();
    assert_eq!(store.init().unwrap(), SchemaChange { from: 0, to: 4 });
    store.add_domain(&domain("x.example")).unwrap();
    assert_eq!(database.store().init().unwrap(), SchemaChange { from: 4, to: 4 });
    assert_eq!(store.domains().unwrap(), [domain("x.example")]);
    database.sql("INSERT INTO schema_version (version) VALUES (7)");
    let newer = database.store();
    for error in [newer.init().unwrap_err(), newer.find(&login("a@x.example")).unwrap_err()] {
        assert!(matches!(&error, StoreError::Schema(said) if said.contains("version 7")), "{error}");
    }
}

fn a_missing_schema_says_what_to_do(kind: Kind) {
    let database = Database::empty(kind);
    for store in [database.store(), database.pooled()] {
        let error = store.find(&login("a@x.example")).unwrap_err();
        assert!(matches!(&error, StoreError::Schema(said) if said.contains("mailauth init")), "{error:?}");
        // Once it exists, the same store answers.
        database.store().init().unwrap();
        assert_eq!(store.find(&login("a@x.example")).unwrap(), None);
        database.sql(
            "DROP TABLE domain_use; DROP TABLE mailbox_use; DROP TABLE aliases; DROP TABLE alias_domains;
             DROP TABLE accounts; DROP TABLE domains; DROP TABLE schema_version",
        );
    }
}

fn every_field_is_read_as_it_was_written(kind: Kind) {
    let database = Database::empty(kind).filled();
    let store = database.store();
    let long = format!("{}@x.example", "l".repeat(Login::MAX - "@x.example".len()));
    for row in [
        full_account("full@x.example"),
        AccountRow::new(login("bare@x.example")),
        account("ünï@x.example"),
        account(&long),
    ] {
        store.add_account(&row).unwrap();
        assert_eq!(store.find(&row.login).unwrap(), Some(row));
    }
    let off = mailauth_core::store::DomainRow { enabled: false, ..domain("x.example") };
    store.set_domain(&off).unwrap();
    assert!(!store.find(&login("anna@x.example")).unwrap().unwrap().domain_enabled);
    let none = AccountRow { services: Services::parse("none").unwrap(), ..account("none@x.example") };
    store.add_account(&none).unwrap();
    assert_eq!(store.find(&none.login).unwrap().unwrap().services, none.services);
}

fn a_row_is_found_only_by_its_own_login(kind: Kind) {
    let database = Database::empty(kind).filled();
    let store = database.store();
    for near in
        ["anna@x.example.", "ann@x.example", "änna@x.example", "anna@x.exampl_", "ann%@x.example", "a\\nna@x.example"]
    {
        assert_eq!(store.find(&login(near)).unwrap(), None, "{near}");
        assert!(!store.set_password(&login(near), &password("$6$salt$hash"), &password("new")).unwrap(), "{near}");
    }
}

/// Tables of other programs are not compared byte by byte.
fn a_folding_collation_does_not_decide(kind: Kind) {
    let database = Database::empty(kind).filled();
    let insert =
        "INSERT INTO accounts (login, domain) VALUES ('Berta@x.example', 'x.example'), ('c@x.example ', 'x.example')";
    let folded = match kind {
        Kind::Sqlite => "",
        Kind::MariaDb | Kind::MySql => {
            "DROP TABLE mailbox_use;
             ALTER TABLE accounts MODIFY login VARCHAR(254) CHARACTER SET utf8mb4 COLLATE utf8mb4_general_ci NOT NULL;"
        }
        Kind::Postgres => {
            "CREATE COLLATION folded (provider = icu, locale = 'und-u-ks-level2', deterministic = false);
             DROP TABLE mailbox_use;
             ALTER TABLE accounts DROP CONSTRAINT accounts_login_lower_case, DROP CONSTRAINT accounts_login_printable,
                 DROP CONSTRAINT accounts_login_of_its_domain;
             ALTER TABLE accounts ALTER login TYPE VARCHAR(254) COLLATE folded;"
        }
    };
    database.sql(&format!("{}{folded}{insert}", database.unchecked()));
    let store = database.store();
    for near in ["berta@x.example", "c@x.example"] {
        assert_eq!(store.find(&login(near)).unwrap(), None, "{near}");
        assert!(!store.set_password(&login(near), &Password::default(), &password("new")).unwrap(), "{near}");
        assert!(store.remove_account(&login(near)).is_err(), "{near}");
    }
    assert!(store.find(&login("anna@x.example")).unwrap().is_some());
    let rows = store.enumerate(None, 10).unwrap().rows;
    assert_eq!(rows.iter().filter(|row| row.is_err()).count(), 2, "{rows:?}");
}

/// Tables of other programs have no constraints, and columns of other types.
fn an_invalid_value_is_reported_with_its_column(kind: Kind) {
    let database = Database::empty(kind).filled();
    match kind {
        Kind::Sqlite => String::new(),
        Kind::MariaDb => database.sql("ALTER TABLE accounts MODIFY name VARBINARY(255), MODIFY uid DECIMAL(30, 3)"),
        // A check on characters cannot be kept for bytes.
        Kind::MySql => database.sql(
            "ALTER TABLE accounts DROP CHECK accounts_name_printable, MODIFY name VARBINARY(255), MODIFY uid DECIMAL(30, 3)",
        ),
        Kind::Postgres => database.sql(
            "ALTER TABLE accounts DROP CONSTRAINT accounts_enabled_0_or_1, DROP CONSTRAINT accounts_services_list,
                 DROP CONSTRAINT accounts_uid_range, DROP CONSTRAINT accounts_gid_range,
                 DROP CONSTRAINT accounts_quota_bytes_range, DROP CONSTRAINT accounts_quota_messages_range,
                 DROP CONSTRAINT accounts_name_printable;
             ALTER TABLE accounts ALTER name TYPE BYTEA USING convert_to(name, 'UTF8'),
                 ALTER uid TYPE NUMERIC, ALTER gid TYPE DOUBLE PRECISION;",
        ),
    };
    let bytes = match kind {
        Kind::Sqlite => "name = CAST(x'4aff' AS TEXT)",
        Kind::MariaDb | Kind::MySql => "name = x'4aff'",
        Kind::Postgres => "name = '\\x4aff'",
    };
    let fraction = if kind == Kind::Sqlite { "uid = 4294967296" } else { "uid = 5000.5" };
    let bad = [
        "enabled = 2",
        "services = 'imap;pop3'",
        fraction,
        "gid = -1",
        "quota_bytes = -1",
        "quota_messages = -5",
        bytes,
    ];
    let unchecked = database.unchecked();
    let store = database.store();
    for (number, set) in bad.into_iter().enumerate() {
        let user = login(&format!("bad{number}@x.example"));
        database.sql(&format!("INSERT INTO accounts (login, domain) VALUES ('{user}', 'x.example')"));
        database.sql(&format!("{unchecked} UPDATE accounts SET {set} WHERE login = '{user}'"));
        let StoreError::Unusable(unusable) = store.find(&user).unwrap_err() else { panic!("{set}") };
        assert_eq!((unusable.column, unusable.login), (set.split(' ').next().unwrap(), user.to_string()), "{set}");
    }
    assert!(store.find(&login("anna@x.example")).unwrap().is_some());
    let page = store.enumerate(None, 100).unwrap().rows;
    assert_eq!((page.len(), page.iter().filter(|row| row.is_ok()).count()), (bad.len() + 1, 1));
}

fn a_password_is_replaced_only_if_the_old_one_is_unchanged(kind: Kind) {
    let database = Database::empty(kind).filled();
    let store = database.store();
    let user = login("anna@x.example");
    store
        .set_account(&user, &AccountChange { password: Some(Password::default()), ..AccountChange::default() })
        .unwrap();
    assert!(store.find(&user).unwrap().unwrap().password.0.is_empty());
    assert!(store.set_password(&user, &Password::default(), &password("one")).unwrap(), "NULL is no password");
    assert!(store.set_password(&user, &password("one"), &password("one")).unwrap(), "the same again is a change");
    for wrong in ["One", "one ", "on", "", "öne"] {
        assert!(!store.set_password(&user, &password(wrong), &password("two")).unwrap(), "{wrong:?}");
    }
    assert!(store.set_password(&user, &password("one"), &password("two")).unwrap());
    assert_eq!(store.find(&user).unwrap().unwrap().password, password("two"));
    let times = store.account_times(&user).unwrap().unwrap();
    for time in [&times.created, &times.updated, &times.password_changed] {
        let shape: String = time.chars().map(|c| if c.is_ascii_digit() { '9' } else { c }).collect();
        assert_eq!(shape, "9999-99-99 99:99:99");
    }
    assert!(times.password_changed >= times.created, "{times:?}");
    assert_eq!(store.account_times(&login("nobody@x.example")).unwrap(), None);
}

fn one_of_many_simultaneous_password_changes_succeeds(kind: Kind) {
    let database = Database::empty(kind).filled();
    let store = database.pooled();
    let old = password("$6$salt$hash");
    let won: usize = std::thread::scope(|scope| {
        let threads: Vec<_> = (0..8)
            .map(|n| {
                let (store, old) = (&store, &old);
                scope.spawn(move || store.set_password(&login("anna@x.example"), old, &password(&format!("new{n}"))))
            })
            .collect();
        threads.into_iter().map(|thread| usize::from(thread.join().unwrap().unwrap())).sum()
    });
    assert_eq!(won, 1);
}

fn pages_contain_every_row_once_in_byte_order(kind: Kind) {
    let database = Database::empty(kind).filled();
    let store = database.store();
    let mut names: Vec<String> = (0..50).map(|n| format!("u{n}@x.example")).collect();
    names.extend(["z", "é", "a-b", "a_b", "a.b", "a0", "😀"].map(|name| format!("{name}@x.example")));
    import(&store, &names.iter().map(|name| account(name)).collect::<Vec<_>>()).unwrap();
    names.push("anna@x.example".into());
    names.sort();
    let (mut seen, mut after) = (Vec::new(), None);
    loop {
        let page = store.enumerate(after.as_ref(), 7).unwrap();
        assert!(page.rows.len() <= 7);
        seen.extend(page.rows.into_iter().map(|row| row.unwrap().login));
        match page.next {
            Some(next) => after = Some(next),
            None => break,
        }
    }
    assert_eq!(seen.iter().map(Login::as_str).collect::<Vec<_>>(), names);
}

fn the_tables_refuse_invalid_values(kind: Kind) {
    let database = Database::empty(kind).filled();
    let store = database.store();
    let refused = |row: AccountRow| match store.add_account(&row).unwrap_err() {
        // PostgreSQL has no text with a NUL.
        AdminError::Store(StoreError::Refused { reason, .. }) | AdminError::Unstorable(reason) => reason,
        other => panic!("{other:?}"),
    };
    let new = || account("new@x.example");
    assert!(refused(AccountRow { home: Some("mail".into()), ..new() }).contains("accounts_home_absolute"));
    for text in ["a\nb", "a\tb", "a\u{7f}b"] {
        let text = || Some(text.to_owned());
        assert!(refused(AccountRow { name: text(), ..new() }).contains("accounts_name_printable"));
        assert!(refused(AccountRow { options: text(), ..new() }).contains("accounts_options_printable"));
        assert!(refused(AccountRow { maildir: text(), ..new() }).contains("accounts_maildir_printable"));
        assert!(refused(AccountRow { password: password("a\nb"), ..new() }).contains("accounts_password_printable"));
    }
    refused(AccountRow { name: Some("a\0b".into()), ..new() });
    refused(AccountRow { home: Some(format!("/{}", "x".repeat(1024))), ..new() });
    assert!(refused(AccountRow::new(login("bare"))).contains("has no domain"));
    assert!(store.add_domain(&domain("Upper.example")).is_err());
    assert!(store.add_domain(&domain("sp ace.example")).is_err());
    assert!(store.add_domain(&domain("")).is_err());
    let one = |address: &str| AliasRow { address: address.into(), targets: vec!["anna@x.example".into()] };
    assert!(store.add_alias(&one("Upper@x.example")).is_err());
    assert!(store.add_alias(&AliasRow { targets: vec!["a\nb".into()], ..one("a@x.example") }).is_err());
    assert_eq!(store.enumerate(None, 9).unwrap().rows.len(), 1);
    assert_eq!((store.domains().unwrap().len(), store.aliases(None).unwrap().len()), (1, 0));
    if kind == Kind::Sqlite {
        return;
    }
    // What mailauth itself never tries.
    for (set, name) in [
        ("uid = -1", "uid_range"),
        ("gid = 4294967295", "gid_range"),
        ("quota_bytes = -1", "quota_bytes_range"),
        ("quota_messages = -1", "quota_messages_range"),
        ("enabled = 2", "enabled_0_or_1"),
        ("services = 'imap,,pop3'", "services_list"),
        ("services = ''", "services_list"),
        ("login = 'Anna@x.example'", "login_lower_case"),
        ("login = 'an na@x.example'", "login_printable"),
        ("login = 'anna@y.example'", "login_of_its_domain"),
        ("login = '@x.example'", "login_of_its_domain"),
        ("login = 'anna'", "login_of_its_domain"),
    ] {
        let attempt = std::panic::catch_unwind(|| database.sql(&format!("UPDATE accounts SET {set}")));
        let message = *attempt.unwrap_err().downcast::<String>().unwrap();
        assert!(message.contains(&format!("accounts_{name}")), "{set}: {message}");
    }
}

fn a_table_changed_under_a_prepared_statement_is_no_error(kind: Kind) {
    let database = Database::empty(kind).filled();
    let store = database.store();
    assert!(store.find(&login("anna@x.example")).unwrap().is_some());
    database.sql(match kind {
        Kind::Sqlite => "ALTER TABLE accounts ADD COLUMN extra TEXT",
        Kind::MariaDb | Kind::MySql => "ALTER TABLE accounts ADD COLUMN extra TEXT, MODIFY name VARCHAR(200)",
        Kind::Postgres => "ALTER TABLE accounts ADD COLUMN extra TEXT; ALTER TABLE accounts ALTER name TYPE TEXT",
    });
    assert_eq!(store.find(&login("anna@x.example")).unwrap(), Some(account("anna@x.example")));
}

/// A dump of one database can be loaded into the others: names, numbers for truth values, and times as text.
fn the_same_rows_load_as_plain_sql(kind: Kind) {
    let database = Database::empty(kind).filled();
    database.sql(
        "INSERT INTO domains (name, enabled, description, created_at, updated_at)
             VALUES ('d.example', 0, NULL, '2001-02-03 04:05:06', '2001-02-03 04:05:06');
         INSERT INTO accounts (login, domain, password, enabled, services, uid, gid, home, maildir, quota_bytes,
             quota_messages, name, options, created_at, updated_at, password_changed_at)
             VALUES ('f@d.example', 'd.example', '{PLAIN}x', 1, 'imap', 5000, 5001, '/h', 'M', 9000000000, 10, 'F', 'a=b',
             '2001-02-03 04:05:06', '2002-02-03 04:05:06', NULL);
         INSERT INTO aliases (address, domain, target, position, created_at)
             VALUES ('@d.example', 'd.example', 'f@d.example', 0, '2001-02-03 04:05:06');",
    );
    let store = database.store();
    let row = store.find(&login("f@d.example")).unwrap().unwrap();
    assert_eq!(
        (row.uid, row.quota_bytes, row.enabled, row.domain_enabled),
        (Some(5000), Some(9_000_000_000), true, false)
    );
    let times = store.account_times(&row.login).unwrap().unwrap();
    assert_eq!((times.created.as_str(), times.updated.as_str()), ("2001-02-03 04:05:06", "2002-02-03 04:05:06"));
    assert_eq!(times.password_changed, "");
    assert_eq!(store.aliases(Some("d.example")).unwrap()[0].targets, ["f@d.example"]);
}
