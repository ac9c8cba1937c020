//! Tests on SQLite, over the tables of an imaginary program. `tests/tests/stores/foreign.rs` has further ones for all
//! three databases.

use crate::config::{DatabaseConfig, DatabaseUrl};
use crate::schema::{
    AliasDomainQuery, AliasQuery, DomainQuery, Field, ForeignAccounts, ForeignModel, NamedSql, Parameter, Separator,
    Tables,
};
use crate::store::{AccountStore, DomainKind, DomainStanding, MailStore, PoolStore, SqlStore, StoreError, open_single};
use crate::store::{AdminError, Administration, DomainRow};
use crate::{DomainName, Login};
use std::sync::Arc;
use std::time::Duration;

/// Returns a condition or statement; a question mark is given for each parameter.
fn named(sql: &str, parameters: &[Parameter]) -> NamedSql {
    NamedSql { sql: sql.to_owned(), parameters: parameters.to_vec() }
}

/// Returns the model of a program that keeps persons, domains, nicknames and other names of domains.
pub(super) fn model() -> ForeignModel {
    let field = |field: Field| {
        let sql = match field {
            Field::Login => "LOWER(p.address)",
            Field::Password => "p.secret",
            Field::Enabled => "p.active",
            Field::DomainEnabled => "d.active",
            Field::Services => "p.services",
            Field::Home => "'/srv/mail/' || p.folder",
            Field::QuotaBytes => "p.bytes",
            Field::Name => "p.name",
            _ => return None,
        };
        Some(sql.to_owned())
    };
    ForeignModel {
        profile: "kontor".into(),
        program: "Kontor".into(),
        accounts: ForeignAccounts {
            from: "person p JOIN realm d ON d.name = p.realm".into(),
            find: named("p.address = ?", &[Parameter::Login]),
            filter: Some("p.kind <> 'room'".into()),
            key: vec!["p.address".into()],
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
                "SELECT n.local || '@' || n.realm, n.targets FROM nickname n WHERE n.local = ? AND n.realm = ? ORDER BY n.id",
                &[Parameter::Local, Parameter::Domain],
            ),
            separator: Separator::Comma,
            list: None,
        }),
        alias_domains: Some(AliasDomainQuery {
            find: named("SELECT x.name, x.target FROM other_name x WHERE x.name = ?", &[Parameter::Domain]),
            list: None,
        }),
        reads: Vec::new(),
        versions: vec![("person.kind".into(), "Kontor 2".into())],
    }
}

const SCHEMA: &str = "
    CREATE TABLE realm (name TEXT COLLATE NOCASE PRIMARY KEY, active INTEGER);
    CREATE TABLE person (
        id INTEGER PRIMARY KEY, address TEXT COLLATE NOCASE, secret TEXT, active INTEGER DEFAULT 1, services TEXT,
        folder TEXT, bytes, name TEXT, realm TEXT, kind TEXT DEFAULT 'human');
    CREATE TABLE nickname (id INTEGER PRIMARY KEY, local TEXT, realm TEXT, targets TEXT);
    CREATE TABLE other_name (name TEXT, target TEXT);
    INSERT INTO realm VALUES ('kontor.example', 1), ('off.example', 0), ('also.example', 0);
    INSERT INTO person (address, secret, folder, bytes, realm)
        VALUES ('Anna@Kontor.example', '{PLAIN}a', 'anna', 5000, 'kontor.example');
    INSERT INTO person (address, secret, active, realm) VALUES ('bert@kontor.example', '{PLAIN}b', 0, 'kontor.example');
    INSERT INTO person (address, realm, kind) VALUES ('hall@kontor.example', 'kontor.example', 'room');
    INSERT INTO person (address, realm) VALUES ('twin@kontor.example', 'kontor.example');
    INSERT INTO person (address, realm) VALUES ('twin@kontor.example', 'kontor.example');
    INSERT INTO person (address, realm, bytes) VALUES ('half@kontor.example', 'kontor.example', 0.5);
    INSERT INTO nickname (local, realm, targets) VALUES
        ('info', 'kontor.example', 'anna@kontor.example, bert@kontor.example,'),
        ('info', 'kontor.example', 'carl@else.example'),
        ('anna', 'kontor.example', 'anna@kontor.example'),
        ('', 'off.example', '@kontor.example'),
        ('root', 'kontor.example', 'root'),
        ('gone', 'kontor.example', NULL);
    INSERT INTO other_name VALUES ('alias.example', 'Kontor.example'), ('also.example', 'kontor.example'),
        ('self.example', 'self.example'), ('odd.example', 'a b');
";

pub(super) struct Scratch {
    _folder: tempfile::TempDir,
    file: std::path::PathBuf,
    config: DatabaseConfig,
}

impl Scratch {
    pub(super) fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("kontor.db");
        rusqlite::Connection::open(&file).unwrap().execute_batch(SCHEMA).unwrap();
        let url = DatabaseUrl::Sqlite { path: file.clone() };
        let config = DatabaseConfig { url, deadline: Duration::from_secs(5), ..DatabaseConfig::default() };
        Scratch { _folder: folder, file, config }
    }

    /// Changes the file as its program does.
    pub(super) fn sql(&self, sql: &str) {
        rusqlite::Connection::open(&self.file).unwrap().execute_batch(sql).unwrap();
    }

    pub(super) fn open(&self, model: ForeignModel) -> SqlStore {
        open_single(&DatabaseConfig { tables: Tables::Foreign(Arc::new(model)), ..self.config.clone() }).unwrap()
    }
}

fn login(text: &str) -> Login {
    Login::parse(text.as_bytes(), None).unwrap()
}

fn name(text: &str) -> DomainName {
    DomainName::parse(text).unwrap()
}

#[test]
fn an_account_is_read_by_the_expressions_of_the_model() {
    let scratch = Scratch::new();
    let store = scratch.open(model());
    let row = store.find(&login("anna@kontor.example")).unwrap().unwrap();
    assert_eq!((row.login.as_str(), row.password.0.expose()), ("anna@kontor.example", &b"{PLAIN}a"[..]));
    assert_eq!((row.home.as_deref(), row.quota_bytes, row.uid), (Some("/srv/mail/anna"), Some(5000), None));
    assert!(row.enabled && row.domain_enabled && row.receives, "{row:?}");
    assert!(!store.find(&login("bert@kontor.example")).unwrap().unwrap().enabled);
    for absent in ["hall@kontor.example", "nobody@kontor.example", "anna", "ánna@kontor.example"] {
        assert!(store.find(&login(absent)).unwrap().is_none(), "{absent}");
    }
}

#[test]
fn a_row_that_cannot_be_used_says_where_to_correct_it() {
    let scratch = Scratch::new();
    let store = scratch.open(model());
    let problem = |address: &str| store.find(&login(address)).unwrap_err().to_string();
    assert!(problem("twin@kontor.example").ends_with("column login is in two rows; remove one in Kontor"));
    assert!(problem("half@kontor.example").ends_with("cast it to bigint in [schema.accounts] quota_bytes"));
}

#[test]
fn a_domain_and_an_alias_domain_have_their_standing() {
    let scratch = Scratch::new();
    let store = scratch.open(model());
    let own = |enabled| Some(DomainStanding { enabled, kind: DomainKind::Own });
    let of = |enabled| Some(DomainStanding { enabled, kind: DomainKind::AliasOf(name("kontor.example")) });
    for (asked, standing) in [
        ("kontor.example", own(true)),
        ("off.example", own(false)),
        ("alias.example", of(true)),
        ("also.example", of(false)),
        ("self.example", None),
        ("else.example", None),
    ] {
        assert_eq!(store.domain(&name(asked)).unwrap(), standing, "{asked}");
    }
    assert_eq!(store.alias_domain(&name("alias.example")).unwrap(), Some(name("kontor.example")));
    for none in ["also.example", "kontor.example", "else.example"] {
        assert_eq!(store.alias_domain(&name(none)).unwrap(), None, "{none}");
    }
    assert!(matches!(store.domain(&name("odd.example")), Err(StoreError::UnusableDomain { column: "target", .. })));
}

#[test]
fn tables_without_domains_do_not_say_whether_one_is_kept() {
    let scratch = Scratch::new();
    let store = scratch.open(ForeignModel { domains: None, aliases: None, alias_domains: None, ..model() });
    let error = store.domain(&name("kontor.example")).unwrap_err();
    assert!(error.to_string().ends_with("list the domains in [schema] domains") && !error.is_outage(), "{error}");
    assert_eq!(store.alias_domain(&name("kontor.example")), Ok(None));
    assert_eq!(store.alias_targets("info@kontor.example"), Ok(Vec::new()));
    assert!(store.find(&login("anna@kontor.example")).unwrap().is_some());
}

#[test]
fn the_rows_of_an_alias_are_one_list() {
    let scratch = Scratch::new();
    let store = scratch.open(model());
    let info = ["anna@kontor.example", "bert@kontor.example", "carl@else.example"];
    assert_eq!(store.alias_targets("info@kontor.example").unwrap(), info);
    assert_eq!(store.alias_targets("@off.example").unwrap(), ["@kontor.example"]);
    for none in ["anna@kontor.example", "gone@kontor.example", "nobody@kontor.example", "@kontor.example"] {
        assert_eq!(store.alias_targets(none), Ok(Vec::new()), "{none}");
    }
    let [root, other] = store.alias_targets_of(["root@kontor.example", "info@kontor.example"]).unwrap();
    assert!(root.unwrap_err().to_string().contains("its target \"root\" is not an address"));
    assert_eq!(other.unwrap(), info);
}

#[test]
fn a_change_is_refused_and_does_not_touch_the_database() {
    let scratch = Scratch::new();
    let store = scratch.open(model());
    let anna = store.find(&login("anna@kontor.example")).unwrap().unwrap();
    std::fs::remove_file(&scratch.file).unwrap();
    let said = "these accounts are Kontor's ([schema] profile = \"kontor\"); change them there";
    let refused = StoreError::ReadOnly(said.to_owned());
    assert_eq!(refused.to_string(), said);
    assert_eq!(store.init().unwrap_err(), refused);
    assert_eq!(store.set_password(&anna.login, &anna.password, &anna.password).unwrap_err(), refused);
    assert_eq!(store.keeps_passwords(), Some(refused.clone()));
    let by_administrator = AdminError::Store(refused);
    assert_eq!(store.add_domain(&DomainRow::new("new.example")).unwrap_err(), by_administrator);
    assert_eq!(store.add_account(&anna).unwrap_err(), by_administrator);
    assert_eq!(store.remove_account(&anna.login).unwrap_err(), by_administrator);
    assert_eq!(store.rename_account(b"anna@kontor.example", &login("a@kontor.example")).unwrap_err(), by_administrator);
    assert_eq!(store.writes_sent(), 0);
    let custom = ForeignModel { profile: "custom".into(), ..model() };
    assert_eq!(
        scratch.open(custom).init().unwrap_err().to_string(),
        "these accounts belong to another program ([schema] profile = \"custom\"); change them there"
    );
}

#[test]
fn domains_have_no_quota_and_nothing_is_published() {
    let scratch = Scratch::new();
    let store = scratch.open(model());
    assert_eq!(store.pool_limits("kontor.example").unwrap(), crate::quota::Limits::NONE);
    let usage = crate::quota::Usage { bytes: 5, messages: 5 };
    assert_eq!(store.publish(&login("anna@kontor.example"), usage).unwrap(), store.pool_use("kontor.example").unwrap());
}

#[test]
fn tables_of_another_version_are_named() {
    let scratch = Scratch::new();
    rusqlite::Connection::open(&scratch.file)
        .unwrap()
        .execute_batch("ALTER TABLE person DROP COLUMN kind; DROP TABLE nickname")
        .unwrap();
    let store = scratch.open(model());
    let error = store.find(&login("anna@kontor.example")).unwrap_err();
    let StoreError::Schema(said) = error else { panic!("{error:?}") };
    assert!(said.contains("p.kind") && said.contains("; Kontor 2 has it; update it"), "{said}");
    let error = store.alias_targets("info@kontor.example").unwrap_err();
    let StoreError::Schema(said) = error else { panic!("{error:?}") };
    assert!(said.contains("nickname") && said.contains("profile = \"kontor\""), "{said}");
}

#[test]
fn a_login_that_finds_very_many_rows_is_an_error() {
    let scratch = Scratch::new();
    let mut model = model();
    model.accounts.find = named("? <> '' OR 1 = 1", &[Parameter::Login]);
    let fill = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 200) \
                INSERT INTO person (address, realm) SELECT i || '@kontor.example', 'kontor.example' FROM n";
    rusqlite::Connection::open(&scratch.file).unwrap().execute_batch(fill).unwrap();
    let error = scratch.open(model).find(&login("anna@kontor.example")).unwrap_err();
    assert!(error.to_string().contains("[schema.accounts] find finds 100 rows or more"), "{error}");
}

#[test]
fn the_file_is_opened_for_reading_only() {
    let scratch = Scratch::new();
    let store = scratch.open(model());
    let written = store.hosts.write(|connection| connection.batch("DELETE FROM person"));
    assert!(written.unwrap_err().to_string().contains("readonly"));
    assert!(store.find(&login("anna@kontor.example")).unwrap().is_some());
    let [host] = &store.ask_hosts()[..] else { panic!() };
    assert_eq!(host.role, crate::store::Role::Primary, "the database itself can be written");
}

#[test]
fn a_database_in_wal_mode_is_read_while_its_program_writes() {
    let scratch = Scratch::new();
    let program = rusqlite::Connection::open(&scratch.file).unwrap();
    program.query_row("PRAGMA journal_mode = WAL", [], |_| Ok(())).unwrap();
    let store = scratch.open(model());
    assert!(store.find(&login("anna@kontor.example")).unwrap().is_some());
    program.execute_batch("UPDATE person SET name = 'Anna' WHERE folder = 'anna'").unwrap();
    assert_eq!(store.find(&login("anna@kontor.example")).unwrap().unwrap().name.as_deref(), Some("Anna"));
    program.execute_batch("BEGIN IMMEDIATE; UPDATE person SET name = 'Not yet'").unwrap();
    assert_eq!(store.find(&login("anna@kontor.example")).unwrap().unwrap().name.as_deref(), Some("Anna"));
}

#[test]
fn an_interrupted_change_of_its_program_is_an_outage() {
    let scratch = Scratch::new();
    let program = rusqlite::Connection::open(&scratch.file).unwrap();
    program
        .execute_batch(
            "PRAGMA cache_size = 1; BEGIN;
             WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 500)
             INSERT INTO person (address, realm, name) SELECT i, 'kontor.example', hex(randomblob(500)) FROM n",
        )
        .unwrap();
    // The files as a crash of the program leaves them.
    let (copy, journal) = (scratch.file.with_extension("copy"), scratch.file.with_extension("db-journal"));
    std::fs::copy(&scratch.file, &copy).unwrap();
    std::fs::copy(journal, scratch.file.with_extension("copy-journal")).unwrap();
    drop(program);
    let url = DatabaseUrl::Sqlite { path: copy.clone() };
    let tables = Tables::Foreign(Arc::new(model()));
    let store = open_single(&DatabaseConfig { url, tables, ..scratch.config.clone() }).unwrap();
    let error = store.find(&login("anna@kontor.example")).unwrap_err();
    assert!(error.is_outage() && error.to_string().contains("once with that program, or with sqlite3"), "{error}");
    rusqlite::Connection::open(&copy).unwrap().query_row("SELECT COUNT(*) FROM person", [], |_| Ok(())).unwrap();
    assert!(store.find(&login("anna@kontor.example")).unwrap().is_some());
}
