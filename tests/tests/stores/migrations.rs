//! Migration of databases of older versions.

use crate::database::{Database, account, domain, login};
use mailauth_core::quota::{Limits, Usage};
use mailauth_core::store::{
    AccountStore, Administration, AliasRow, DomainRow, PoolStore, PoolUse, SchemaChange, StoreError,
};
use mailauth_tests::{Kind, on_each_database_and_mysql};

on_each_database_and_mysql!(
    a_migrated_database_equals_a_new_one,
    an_old_database_is_not_used_before_its_migration,
    a_migration_sums_the_usage_of_all_mailboxes,
);

mod of_mariadb {
    use super::an_interrupted_migration_is_repeated;

    #[test]
    fn interrupted_step_is_repeated() {
        an_interrupted_migration_is_repeated();
    }
}

/// Returns a database of version 1, with a domain and an account.
fn of_version_1(kind: Kind) -> Database {
    let database = Database::empty(kind);
    match &database {
        Database::Sqlite(_) => database.sql(include_str!("version_1/sqlite.sql")),
        Database::MariaDb(_) => database.sql(include_str!("version_1/mysql.sql")),
        // The tables belong to the user that creates them.
        Database::Postgres(at) => {
            database.sql(&format!("SET ROLE {};\n{}", at.name(), include_str!("version_1/postgres.sql")))
        }
    };
    database.sql(
        "INSERT INTO domains (name) VALUES ('x.example');
         INSERT INTO accounts (login, domain, password) VALUES ('anna@x.example', 'x.example', '$6$salt$hash');",
    );
    database
}

/// Returns all tables, columns, constraints and indexes, in the database's own words.
fn described(database: &Database) -> String {
    match database {
        Database::Sqlite(folder) => {
            let connection = rusqlite::Connection::open(folder.join("mail.db")).unwrap();
            let mut statement = connection.prepare("SELECT name, sql FROM sqlite_schema ORDER BY name").unwrap();
            let rows = statement.query_map([], |row| {
                let sql: Option<String> = row.get(1)?;
                Ok((row.get::<_, String>(0)?, sql.unwrap_or_default()))
            });
            // The text is stored as it was given, with its comments and spaces.
            let bare = |sql: String| {
                let lines = sql.lines().map(|line| line.split("--").next().unwrap_or_default().to_owned());
                lines.collect::<String>().split_whitespace().collect::<String>()
            };
            rows.unwrap().map(|row| row.map(|(name, sql)| format!("{name}: {}\n", bare(sql))).unwrap()).collect()
        }
        Database::MariaDb(at) => ["accounts", "aliases", "alias_domains", "domains", "mailbox_use", "domain_use", "schema_version"]
            .map(|table| at.execute_admin(&format!("SHOW CREATE TABLE {table}")))
            .concat(),
        Database::Postgres(at) => at.execute_admin(
            "SELECT table_name, column_name, ordinal_position, data_type, character_maximum_length, collation_name,
                 column_default, is_nullable FROM information_schema.columns WHERE table_schema = 'public' ORDER BY 1, 3;
             SELECT conrelid::regclass, conname, pg_get_constraintdef(oid) FROM pg_constraint
                 WHERE connamespace = 'public'::regnamespace ORDER BY conrelid::regclass::text, 2;
             SELECT tablename, indexname, indexdef FROM pg_indexes WHERE schemaname = 'public' ORDER BY 1, 2;
             SELECT relname, reloptions FROM pg_class WHERE relnamespace = 'public'::regnamespace ORDER BY 1;",
        ),
    }
}

fn a_migrated_database_equals_a_new_one(kind: Kind) {
    let (old, new) = (of_version_1(kind), Database::empty(kind));
    new.store().init().unwrap();
    assert_eq!(old.store().init().unwrap(), SchemaChange { from: 1, to: 4 });
    assert_eq!(old.store().init().unwrap(), SchemaChange { from: 4, to: 4 });
    let (old_description, new_description) = (described(&old), described(&new));
    assert!(old_description.contains("mailbox_use_messages_range"), "{old_description}");
    assert_eq!(old_description, new_description);
    let store = old.store();
    assert_eq!(store.find(&login("anna@x.example")).unwrap(), Some(account("anna@x.example")));
    let with_quota = DomainRow { quota: Limits::parse("5S,6C").unwrap(), ..domain("x.example") };
    store.set_domain(&with_quota).unwrap();
    assert_eq!(store.domains().unwrap(), [with_quota]);
    let usage = Usage { bytes: 3, messages: 2 };
    assert_eq!(store.publish(&login("anna@x.example"), usage).unwrap().usage, usage);
}

/// Returns a database of version 2, with published usage of two mailboxes of a domain, and an alias.
fn of_version_2(kind: Kind) -> Database {
    let database = of_version_1(kind);
    match &database {
        Database::Sqlite(_) => database.sql(include_str!("../../../schema/sqlite.2.sql")),
        Database::MariaDb(_) => database.sql(include_str!("../../../schema/mysql.2.sql")),
        Database::Postgres(at) => {
            database.sql(&format!("SET ROLE {};\n{}", at.name(), include_str!("../../../schema/postgres.2.sql")))
        }
    };
    database.sql(
        "INSERT INTO domains (name) VALUES ('y.example'), ('z.example');
         INSERT INTO accounts (login, domain) VALUES ('ben@y.example', 'y.example'), ('carla@y.example', 'y.example');
         INSERT INTO mailbox_use (login, domain, bytes, messages) VALUES
             ('anna@x.example', 'x.example', 9223372036854775807, 1),
             ('ben@y.example', 'y.example', 9223372036854775807, 2), ('carla@y.example', 'y.example', 4, 3);
         INSERT INTO aliases (address, domain, target) VALUES ('all@y.example', 'y.example', 'ben@y.example');",
    );
    database
}

fn a_migration_sums_the_usage_of_all_mailboxes(kind: Kind) {
    let database = of_version_2(kind);
    let store = database.store();
    assert_eq!(store.init().unwrap(), SchemaChange { from: 2, to: 4 });
    let held = |bytes, messages, mailboxes| PoolUse { usage: Usage { bytes, messages }, mailboxes };
    assert_eq!(store.pool_use("x.example").unwrap(), held(Limits::MAX, 1, 1));
    assert_eq!(store.pool_use("y.example").unwrap(), held(Limits::MAX, 5, 2), "full, and no error");
    assert_eq!(store.pool_use("z.example").unwrap(), PoolUse::default());
    let alias = AliasRow { address: "all@y.example".into(), targets: vec!["ben@y.example".into()] };
    assert_eq!(store.aliases(None).unwrap(), [alias]);
}

fn an_old_database_is_not_used_before_its_migration(kind: Kind) {
    let database = of_version_1(kind);
    let error = database.store().find(&login("anna@x.example")).unwrap_err();
    assert!(matches!(&error, StoreError::Schema(said) if said.contains("mailauth init")), "{error:?}");
}

/// MariaDB cannot undo changes of a table.
fn an_interrupted_migration_is_repeated() {
    let database = of_version_1(Kind::MariaDb);
    let store = database.store();
    store.init().unwrap();
    let whole = described(&database);
    for (from, cut) in [
        (3, ""),
        (3, "DROP TABLE alias_domains;"),
        (
            3,
            "DROP TABLE alias_domains; ALTER TABLE accounts DROP CONSTRAINT accounts_receives_0_or_1, DROP COLUMN receives;",
        ),
        (1, ""),
        (1, "DROP TABLE domain_use; DROP TABLE mailbox_use;"),
        (2, ""),
        (2, "DROP TABLE domain_use;"),
        (2, "ALTER TABLE aliases DROP KEY aliases_by_update, DROP COLUMN updated_at;"),
    ] {
        database.sql(&format!("{cut} DELETE FROM schema_version WHERE version > {from}"));
        assert_eq!(database.store().init().unwrap(), SchemaChange { from, to: 4 });
        assert_eq!(described(&database), whole);
    }
}
