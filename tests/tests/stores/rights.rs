//! The rights that `schema/grants.*.sql` gives are exactly those that are needed.

use crate::database::{DEADLINE, Database, account, domain, import, login, password};
use mailauth_core::config::DatabaseConfig;
use mailauth_core::quota::{Limits, Usage};
use mailauth_core::store::{
    AccountChange, AccountStore, AdminError, Administration, AliasRow, MailStore, PoolStore, SqlStore, StoreError,
    open_single,
};
use mailauth_core::{DomainName, Secret};
use mailauth_tests::{Flavor, Kind, on_each_server_and_mysql};
use std::sync::atomic::{AtomicU32, Ordering};

on_each_server_and_mysql!(
    a_reader_answers_and_changes_nothing,
    a_password_changer_changes_nothing_else,
    a_deliverer_publishes_usage_and_changes_nothing_else,
    a_writer_administers_but_makes_no_tables,
    excessive_and_missing_rights_are_reported,
    the_reported_statements_correct_any_users_rights,
    the_statements_quote_any_user_name,
    an_administrators_rights_are_left_unchanged,
    a_refusal_names_the_user_and_the_missing_role,
);

/// Returns a store for a new database user with these roles of `schema/grants.*.sql`.
fn as_user(database: &Database, roles: &[&str]) -> SqlStore {
    store_of(database, &user_with(database, roles))
}

/// Creates a database user with these roles, and the password `secret`.
fn user_with(database: &Database, roles: &[&str]) -> String {
    static USERS: AtomicU32 = AtomicU32::new(0);
    let user = format!("u{}", USERS.fetch_add(1, Ordering::Relaxed));
    // Roles belong to the whole server, which other tests use too, so these get names of their own.
    let own = |text: &str| text.replace("mailauth_", &format!("{user}_"));
    match database {
        Database::Sqlite(_) => panic!("SQLite has no users"),
        Database::MariaDb(at) => {
            at.execute_admin(&own(include_str!("../../../schema/grants.mysql.sql")));
            // MariaDB has one default role for each user, so it is a role of roles.
            at.execute_admin(&format!("CREATE USER {user}@'%' IDENTIFIED BY 'secret'; CREATE ROLE role_of_{user};"));
            for role in roles {
                at.execute_admin(&format!("GRANT {} TO role_of_{user}", own(role)));
            }
            let to = if at.server().flavor() == Flavor::MySql { "TO" } else { "FOR" };
            at.execute_admin(&format!(
                "GRANT role_of_{user} TO {user}@'%'; SET DEFAULT ROLE role_of_{user} {to} {user}@'%'"
            ));
        }
        Database::Postgres(at) => {
            at.execute_admin(&own(include_str!("../../../schema/grants.postgres.sql")));
            at.execute_admin(&format!("CREATE ROLE {user} LOGIN PASSWORD 'secret'"));
            for role in roles {
                at.execute_admin(&format!("GRANT {} TO {user}", own(role)));
            }
        }
    }
    user
}

fn refused<T: std::fmt::Debug>(outcome: Result<T, AdminError>) {
    match outcome {
        Err(AdminError::Store(StoreError::Forbidden { reason, .. })) if reason.contains("denied") => {}
        other => panic!("{other:?}"),
    }
}

/// Asserts that what only the administrator may do is refused.
fn cannot_administer(store: &SqlStore) {
    let account_login = login("anna@x.example");
    let change = AccountChange { enabled: Some(false), ..AccountChange::default() };
    refused(store.set_account(&account_login, &change));
    refused(store.add_account(&account("new@x.example")));
    refused(store.remove_account(&account_login));
    refused(store.add_domain(&domain("y.example")));
    refused(store.set_domain(&domain("x.example")));
    refused(store.add_alias(&AliasRow { address: "a@x.example".into(), targets: vec!["b@x.example".into()] }));
}

fn a_refusal_names_the_user_and_the_missing_role(kind: Kind) {
    let database = Database::empty(kind).filled();
    let name = user_with(&database, &["mailauth_reader"]);
    let store = store_of(&database, &name);
    let file = if kind == Kind::Postgres { "schema/grants.postgres.sql" } else { "schema/grants.mysql.sql" };
    let told = |error: AdminError, role: &str| {
        let said = error.to_string();
        let account_login =
            format!("the user {name} ([database] url) lacks a privilege of the role {role} in {file}; ");
        assert!(said.contains(&account_login), "{said}");
        said
    };
    let account_login = login("anna@x.example");
    let said = told(store.add_domain(&domain("y.example")).unwrap_err(), "mailauth_writer");
    assert!(
        said.ends_with(
            "configure one with that role in [admin] url and password_file, for the mailauth command to use"
        ),
        "{said}"
    );
    told(store.add_account(&account("new@x.example")).unwrap_err(), "mailauth_writer");
    let usage = Usage { bytes: 5, messages: 1 };
    let either = "mailauth_writer (or mailauth_delivery for deliveries only)";
    told(store.publish(&account_login, usage).map(|_| ()).unwrap_err().into(), either);
    let bare = store_of(&database, &user_with(&database, &["mailauth_password"]));
    let said = bare.find(&account_login).unwrap_err().to_string();
    assert!(said.contains("lacks a privilege of the role mailauth_reader in "), "{said}");
    database.sql("DELETE FROM schema_version");
    let said = as_user(&database, &["mailauth_writer"]).init().unwrap_err().to_string();
    assert!(said.contains("may not create or alter tables; configure one that may in [admin] url"), "{said}");
}

fn a_reader_answers_and_changes_nothing(kind: Kind) {
    let database = Database::empty(kind).filled();
    let store = as_user(&database, &["mailauth_reader"]);
    assert!(store.find(&login("anna@x.example")).unwrap().is_some());
    assert_eq!(store.enumerate(None, 9).unwrap().rows.len(), 1);
    assert_eq!(store.domain_enabled(&DomainName::parse("x.example").unwrap()).unwrap(), Some(true));
    assert_eq!(store.alias_targets("a@x.example").unwrap(), [""; 0]);
    let changed = store.set_password(&login("anna@x.example"), &password("$6$salt$hash"), &password("new"));
    refused(changed.map_err(AdminError::from));
    cannot_administer(&store);
    let report = store.report().unwrap();
    assert!(report.rights_too_wide.is_empty(), "{report:?}");
    assert_eq!(
        report.rights_missing,
        ["UPDATE (password, updated_at, password_changed_at) on accounts (passwords cannot be changed)"]
    );
}

fn a_password_changer_changes_nothing_else(kind: Kind) {
    let database = Database::empty(kind).filled();
    let store = as_user(&database, &["mailauth_reader", "mailauth_password"]);
    let account_login = login("anna@x.example");
    assert!(store.set_password(&account_login, &password("$6$salt$hash"), &password("new")).unwrap());
    assert_eq!(store.find(&account_login).unwrap().unwrap().password, password("new"));
    cannot_administer(&store);
    let report = store.report().unwrap();
    assert!(report.rights_too_wide.is_empty() && report.rights_missing.is_empty(), "{report:?}");
    assert_eq!((report.schema, report.schema_known, report.accounts), (4, 4, 1));
}

fn a_deliverer_publishes_usage_and_changes_nothing_else(kind: Kind) {
    let database = Database::empty(kind).filled();
    let account_login = login("anna@x.example");
    let usage = Usage { bytes: 5, messages: 1 };
    let reader = as_user(&database, &["mailauth_reader"]);
    assert_eq!(reader.pool_limits("x.example").unwrap(), Limits::NONE);
    refused(reader.publish(&account_login, usage).map_err(AdminError::from));
    refused(reader.pool_use("x.example").map_err(AdminError::from));
    let store = as_user(&database, &["mailauth_reader", "mailauth_delivery"]);
    for _ in 0..2 {
        assert_eq!(store.publish(&account_login, usage).unwrap().usage, usage);
    }
    cannot_administer(&store);
    let report = store.report().unwrap();
    assert!(report.rights_too_wide.is_empty(), "{report:?}");
    let passwords = "UPDATE (password, updated_at, password_changed_at) on accounts (passwords cannot be changed)";
    assert_eq!(report.rights_missing, [passwords]);
    assert_eq!(as_user(&database, &["mailauth_writer"]).publish(&account_login, usage).unwrap().usage, usage);
}

fn a_writer_administers_but_makes_no_tables(kind: Kind) {
    let database = Database::empty(kind).filled();
    let store = as_user(&database, &["mailauth_writer"]);
    store.add_domain(&domain("y.example")).unwrap();
    import(&store, &[account("b@y.example"), account("c@new.example")]).unwrap();
    store.add_alias(&AliasRow { address: "a@y.example".into(), targets: vec!["b@y.example".into()] }).unwrap();
    let change = AccountChange { enabled: Some(false), ..AccountChange::default() };
    store.set_account(&login("b@y.example"), &change).unwrap();
    assert!(store.set_password(&login("b@y.example"), &password("$6$salt$hash"), &password("new")).unwrap());
    store.publish(&login("c@new.example"), Usage { bytes: 5, messages: 1 }).unwrap();
    store.rename_account(b"c@new.example", &login("c@y.example")).unwrap();
    store.remove_account(&login("c@y.example")).unwrap();
    store.remove_domain("y.example", true).unwrap();
    database.sql("DELETE FROM schema_version");
    refused(store.init().map_err(AdminError::from));
}

fn excessive_and_missing_rights_are_reported(kind: Kind) {
    let database = Database::empty(kind).filled();
    let report = as_user(&database, &["mailauth_writer"]).report().unwrap();
    assert!(report.rights_too_wide.iter().any(|right| right.contains("DELETE on ")), "{report:?}");
    assert!(report.rights_missing.is_empty(), "{report:?}");
    let owner = database.store().report().unwrap();
    assert!(!owner.rights_too_wide.is_empty() && owner.rights_missing.is_empty(), "{owner:?}");
    let report = as_user(&database, &["mailauth_password"]).report().unwrap();
    assert_eq!(
        report.rights_missing,
        ["accounts", "domains", "aliases", "alias_domains", "schema_version"].map(|table| format!("SELECT on {table}"))
    );
}

/// Creates a user without any right, with the password `secret`. `name` is quoted.
fn bare_user(database: &Database, name: &str) -> String {
    match database {
        Database::Sqlite(_) => panic!("SQLite has no users"),
        Database::MariaDb(_) => {
            database.sql(&format!("CREATE USER {name}@'%' IDENTIFIED BY 'secret'"));
            format!("{name}@'%'")
        }
        Database::Postgres(_) => {
            database.sql(&format!("CREATE ROLE {name} LOGIN PASSWORD 'secret'"));
            name.to_owned()
        }
    }
}

/// Returns its store. `name` is written as in a URL.
fn store_of(database: &Database, name: &str) -> SqlStore {
    let url = match database {
        Database::Sqlite(_) => panic!("SQLite has no users"),
        Database::MariaDb(at) => at.url_as(name),
        Database::Postgres(at) => at.url_as(name),
    };
    let url = url.parse().unwrap();
    let password = Secret::from("secret");
    open_single(&DatabaseConfig { url, password, deadline: DEADLINE, ..DatabaseConfig::default() }).unwrap()
}

/// Executes the statements of the report, after which a new connection finds nothing to correct and a daemon can work.
fn correct(case: &str, database: &Database, connect: impl Fn() -> SqlStore) {
    let report = connect().report().unwrap();
    assert!(!report.rights_remedy.is_empty(), "{case}: nothing to correct: {report:?}");
    let script: String = report.rights_remedy.iter().flat_map(|statement| [statement, ";\n"]).collect();
    database.sql(&script);
    let store = connect();
    let corrected = store.report().unwrap();
    let wrong = [&corrected.rights_too_wide, &corrected.rights_missing, &corrected.rights_remedy];
    assert!(wrong.iter().all(|list| list.is_empty()), "{case}: after\n{script}there is {corrected:?}");
    let account_login = login("anna@x.example");
    let old = store.find(&account_login).unwrap().unwrap().password;
    assert!(store.set_password(&account_login, &old, &password(case)).unwrap(), "{case}");
    assert_eq!(store.alias_targets("a@x.example").unwrap(), [""; 0]);
    cannot_administer(&store);
}

fn the_reported_statements_correct_any_users_rights(kind: Kind) {
    let database = Database::empty(kind).filled();
    for roles in [
        &["mailauth_reader"][..],
        &["mailauth_password"],
        &["mailauth_writer"],
        &["mailauth_reader", "mailauth_writer"],
        &["mailauth_delivery"],
    ] {
        let user = user_with(&database, roles);
        correct(&format!("{roles:?}"), &database, || store_of(&database, &user));
    }

    let direct = [
        ("nothing but a look", "GRANT SELECT ON accounts TO {}"),
        ("all of a table", "GRANT SELECT, UPDATE, DELETE ON accounts TO {}"),
        ("a column too many", "GRANT SELECT, UPDATE (password, home) ON accounts TO {}"),
        ("a part of a delivery", "GRANT INSERT, DELETE ON mailbox_use TO {}"),
        (
            "what was enough for schema version 2",
            "GRANT SELECT, INSERT, UPDATE (bytes, messages, measured_at) ON mailbox_use TO {}",
        ),
    ];
    for (number, (case, grant)) in direct.into_iter().enumerate() {
        let name = format!("direct{number}_of_{}", own_name(&database));
        let user = bare_user(&database, &name);
        database.sql(&grant.replace("{}", &user));
        // Without it nothing is known about the schema.
        database.sql(&format!("GRANT SELECT ON schema_version TO {user}"));
        let delivered = grant.contains("mailbox_use");
        correct(case, &database, || store_of(&database, &name));
        let published = store_of(&database, &name).publish(&login("anna@x.example"), Usage { bytes: 5, messages: 1 });
        assert_eq!(published.is_ok(), delivered, "{case}: {published:?}");
    }

    if matches!(database, Database::Postgres(_)) {
        let name = format!("great_{}", own_name(&database));
        let user = bare_user(&database, &name);
        database
            .sql(&format!("ALTER ROLE {user} REPLICATION CREATEDB; GRANT DELETE, UPDATE (home) ON accounts TO PUBLIC"));
        correct("attributes, and PUBLIC", &database, || store_of(&database, &name));
    } else {
        // The user that has created the tables has all rights to them, and can still deliver.
        correct("all of the database", &database, || database.store());
        assert!(database.store().publish(&login("anna@x.example"), Usage { bytes: 5, messages: 1 }).is_ok());
    }
}

fn an_administrators_rights_are_left_unchanged(kind: Kind) {
    let database = Database::empty(kind).filled();
    let name = format!("great_{}", own_name(&database));
    let user = bare_user(&database, &name);
    let mut stores = vec![];
    match kind {
        Kind::Postgres => {
            stores.push(("the owner of the tables", database.store()));
            database.sql(&format!("GRANT SELECT ON schema_version TO {user}; ALTER ROLE {user} SUPERUSER"));
        }
        _ => drop(database.sql(&format!("GRANT ALL ON *.* TO {user} WITH GRANT OPTION"))),
    }
    stores.push(("a superuser", store_of(&database, &name)));
    for (account_login, store) in stores {
        let report = store.report().unwrap();
        assert!(report.administrator.is_some(), "{account_login}: {report:?}");
        assert!(report.rights_remedy[0].starts_with("CREATE "), "{account_login}: {report:?}");
        let others = &report.rights_remedy[1..];
        assert!(
            !others.is_empty() && others.iter().all(|line| line.starts_with("GRANT ")),
            "{account_login}: {report:?}"
        );
    }
    // Other tests use this server too.
    let drop = if kind == Kind::Postgres { "ALTER ROLE {} NOSUPERUSER" } else { "DROP USER {}" };
    database.sql(&drop.replace("{}", &user));
}

fn own_name(database: &Database) -> &str {
    match database {
        Database::Sqlite(_) => panic!("SQLite has no users"),
        Database::MariaDb(at) => at.name(),
        Database::Postgres(at) => at.name(),
    }
}

fn the_statements_quote_any_user_name(kind: Kind) {
    let database = Database::empty(kind).filled();
    let own = own_name(&database);
    let quoted = match kind {
        Kind::Postgres => format!("\"To O'B`r \"\"{own}\""),
        _ => format!("`To O'B``r \"{own}`"),
    };
    let user = bare_user(&database, &quoted);
    database.sql(&format!("GRANT SELECT, DELETE ON accounts TO {user}; GRANT SELECT ON schema_version TO {user}"));
    let in_url = format!("To%20O%27B%60r%20%22{own}");
    correct("an odd name", &database, || store_of(&database, &in_url));
}
