//! The tables of an imaginary program, and their model in the SQL of each database.

use crate::database::Database;
use mailauth_core::config::DatabaseConfig;
use mailauth_core::schema::{
    AliasDomainQuery, AliasQuery, DomainQuery, Field, ForeignAccounts, ForeignModel, NamedSql, Parameter, Separator,
    TableColumns, Tables,
};
use mailauth_core::store::{SqlStore, open_single};
use mailauth_tests::Kind;
use std::sync::Arc;

/// Names of the tables. `user` is a reserved word of PostgreSQL.
const TABLES: [&str; 4] = ["user", "realm", "nickname", "other_name"];

/// Statements that create and fill the tables, in the words that all databases have.
const SQL: &str = "
    CREATE TABLE realm (name VARCHAR(100) NOT NULL PRIMARY KEY, active SMALLINT NOT NULL, quota INT);
    CREATE TABLE \"user\" (
        id INT NOT NULL PRIMARY KEY, local VARCHAR(100) NOT NULL, realm VARCHAR(100) NOT NULL, secret VARCHAR(200),
        clear CHAR(40) NOT NULL, active SMALLINT NOT NULL, folder CHAR(60), megabytes INT, limits VARCHAR(60),
        options VARCHAR(100), share NUMERIC(10,2), weight DOUBLE PRECISION, UNIQUE (local, realm));
    CREATE TABLE nickname (id INT NOT NULL PRIMARY KEY, address VARCHAR(100) NOT NULL, targets TEXT);
    CREATE TABLE other_name (name VARCHAR(100) NOT NULL PRIMARY KEY, target VARCHAR(100) NOT NULL);
    INSERT INTO realm VALUES ('kontor.example', 1, NULL), ('off.example', 0, NULL);
    INSERT INTO \"user\" (id, local, realm, secret, clear, active, folder, megabytes) VALUES
        (1, 'anna', 'kontor.example', '{PLAIN}a', '', 1, 'anna', 3000),
        (2, 'bert', 'kontor.example', NULL, 'bert', 0, '', NULL),
        (3, 'carl', 'off.example', '$6$x', '', 1, NULL, 0),
        (4, 'dora', 'kontor.example', '', '', 1, NULL, 0);
    INSERT INTO nickname VALUES
        (1, 'info@kontor.example', 'anna@kontor.example, dora@kontor.example,'),
        (2, 'info@kontor.example', 'else@else.example'),
        (3, 'anna@kontor.example', 'anna@kontor.example'),
        (4, '@off.example', '@kontor.example'),
        (5, 'gone@kontor.example', NULL),
        (6, 'root@kontor.example', 'root');
    INSERT INTO other_name VALUES ('alias.example', 'kontor.example');
";

/// A database with the tables of the program.
pub struct Program {
    pub kind: Kind,
    pub database: Database,
}

impl Program {
    pub fn new(kind: Kind) -> Self {
        Self::within(kind, Database::empty(kind), "")
    }

    /// Creates the tables with these options, such as their character set.
    pub fn within(kind: Kind, database: Database, options: &str) -> Self {
        let program = Program { kind, database };
        program.sql(
            &SQL.replace(");\n    CREATE", &format!("){options};\n    CREATE"))
                .replace(");\n    INSERT INTO realm", &format!("){options};\n    INSERT INTO realm")),
        );
        if let Database::Postgres(of) = &program.database {
            program.sql(&format!("GRANT SELECT, UPDATE ON ALL TABLES IN SCHEMA public TO {}", of.name()));
        }
        program
    }

    /// Runs SQL in which names may be quoted.
    pub fn sql(&self, sql: &str) -> String {
        self.database.sql(&self.quoted(sql))
    }

    /// Returns the SQL with the quotes of this database.
    pub fn quoted(&self, sql: &str) -> String {
        match self.kind {
            Kind::MariaDb | Kind::MySql => sql.replace('"', "`"),
            Kind::Sqlite | Kind::Postgres => sql.to_owned(),
        }
    }

    /// Returns an expression that joins texts.
    pub fn joined(&self, parts: &[&str]) -> String {
        match self.kind {
            Kind::MariaDb | Kind::MySql => format!("CONCAT({})", parts.join(", ")),
            Kind::Sqlite | Kind::Postgres => parts.join(" || "),
        }
    }

    /// Returns the model of the tables.
    pub fn model(&self) -> ForeignModel {
        let field = |field: Field| {
            let clear =
                format!("CASE WHEN u.clear <> '' THEN {} ELSE u.secret END", self.joined(&["'{PLAIN}'", "u.clear"]));
            let sql = match field {
                Field::Login => format!("LOWER({})", self.joined(&["u.local", "'@'", "u.realm"])),
                Field::Password => clear,
                Field::Enabled => "u.active".to_owned(),
                Field::DomainEnabled => "d.active".to_owned(),
                Field::Home => "u.folder".to_owned(),
                Field::QuotaBytes => "CAST(u.megabytes AS BIGINT) * 1048576".to_owned(),
                _ => return None,
            };
            Some(self.in_own_words(&sql))
        };
        let named =
            |sql: &str, parameters: &[Parameter]| NamedSql { sql: self.quoted(sql), parameters: parameters.to_vec() };
        let all = ["id", "local", "realm", "secret", "clear", "active", "folder", "megabytes"];
        let columns = |columns: &[&str]| columns.iter().map(|column| (*column).to_owned()).collect();
        let reads = [&all[..], &["name", "active"], &["id", "address", "targets"], &["name", "target"]];
        let reads = TABLES.iter().zip(reads);
        ForeignModel {
            profile: "kontor".into(),
            program: "Kontor".into(),
            accounts: ForeignAccounts {
                from: self.quoted("\"user\" u JOIN realm d ON d.name = u.realm"),
                find: named("u.local = ? AND u.realm = ?", &[Parameter::Local, Parameter::Domain]),
                filter: Some("u.id > 0".into()),
                key: vec!["u.id".into()],
                fields: Field::READ.map(field),
                quota: None,
                options_disable_services: false,
                write_password: None,
            },
            domains: Some(DomainQuery {
                find: named("SELECT LOWER(d.name), d.active FROM realm d WHERE d.name = ?", &[Parameter::Domain]),
                list: None,
            }),
            aliases: Some(AliasQuery {
                find: named(
                    "SELECT LOWER(n.address), n.targets FROM nickname n WHERE n.address = ? ORDER BY n.id",
                    &[Parameter::Address],
                ),
                separator: Separator::Comma,
                list: None,
            }),
            alias_domains: Some(AliasDomainQuery {
                find: named("SELECT x.name, x.target FROM other_name x WHERE x.name = ?", &[Parameter::Domain]),
                list: None,
            }),
            reads: reads.map(|(table, of)| TableColumns { table: (*table).to_owned(), columns: columns(of) }).collect(),
            versions: vec![("user.megabytes".into(), "Kontor 2".into())],
        }
    }

    /// Replaces what MySQL writes in another way.
    fn in_own_words(&self, sql: &str) -> String {
        match self.kind {
            Kind::MariaDb | Kind::MySql => sql.replace("AS BIGINT", "AS SIGNED"),
            Kind::Sqlite | Kind::Postgres => sql.to_owned(),
        }
    }

    pub fn config(&self, model: ForeignModel) -> DatabaseConfig {
        DatabaseConfig { tables: Tables::Foreign(Arc::new(model)), ..self.database.config() }
    }

    /// Opens the tables as this model describes them.
    pub fn open(&self, model: ForeignModel) -> SqlStore {
        open_single(&self.config(model)).expect("a configuration that can work")
    }

    pub fn store(&self) -> SqlStore {
        self.open(self.model())
    }
}

/// Replaces the expression of one field.
pub fn with(mut model: ForeignModel, field: Field, sql: &str) -> ForeignModel {
    model.accounts.fields[field.place().expect("a field that is read")] = Some(sql.to_owned());
    model
}
