//! The copy of another program's tables.

use super::*;
use crate::schema::{
    AliasDomainQuery, AliasQuery, DomainQuery, ForeignAccounts, Listing, NamedSql, Parameter, Separator,
};
use crate::store::open_single;

const TABLES: &str = "
    CREATE TABLE realm (name TEXT PRIMARY KEY, active INTEGER);
    CREATE TABLE box (id INTEGER PRIMARY KEY, address TEXT, secret TEXT, home TEXT, bytes, services TEXT, realm TEXT);
    CREATE TABLE forward (id INTEGER PRIMARY KEY, address TEXT, targets TEXT);
    CREATE TABLE other_name (name TEXT PRIMARY KEY, target TEXT);
    INSERT INTO realm VALUES ('x.example', 1), ('off.example', 0), ('other.example', 1);
    INSERT INTO box (address, secret, home, bytes, services, realm) VALUES
        ('anna@x.example', 'one', '/srv/anna', '5000S,7C', 'IMAP', 'x.example'),
        ('ben@x.example', 'one', '/srv/ben', NULL, NULL, 'x.example'),
        ('carl@off.example', 'one', NULL, NULL, NULL, 'off.example'),
        ('dora@else.example', 'one', NULL, NULL, NULL, 'else.example'),
        ('odd@x.example', 'one', NULL, 'many', NULL, 'x.example'),
        ('Emma@x.example', 'one', NULL, NULL, NULL, 'x.example');
    INSERT INTO forward (address, targets) VALUES
        ('info@x.example', 'z@y.example, a@y.example'), ('info@x.example', 'b@y.example'),
        ('ben@x.example', 'ben@x.example'), ('@x.example', '@y.example'), ('root@x.example', 'root'),
        ('gone@x.example', NULL), ('Hall@x.example', 'a@y.example');
    INSERT INTO other_name VALUES ('alias.example', 'x.example'), ('other.example', 'x.example');
";

const ANNA: &str = "anna@x.example";
const BEN: &str = "ben@x.example";

fn named(sql: &str, parameter: Parameter) -> NamedSql {
    NamedSql { sql: sql.into(), parameters: vec![parameter] }
}

fn list(from: &str, columns: [&str; 2], key: &str) -> Option<Vec<Listing>> {
    Some(vec![Listing { from: from.into(), filter: None, columns: columns.map(str::to_owned), key: vec![key.into()] }])
}

fn model() -> ForeignModel {
    let field = |field: Field| match field {
        Field::Login => Some("LOWER(b.address)".to_owned()),
        Field::Password => Some("b.secret".to_owned()),
        Field::DomainEnabled => Some("COALESCE(r.active, 1)".to_owned()),
        Field::Services => Some("b.services".to_owned()),
        Field::Home => Some("b.home".to_owned()),
        _ => None,
    };
    ForeignModel {
        profile: "kontor".into(),
        program: "Kontor".into(),
        accounts: ForeignAccounts {
            from: "box b LEFT JOIN realm r ON r.name = b.realm".into(),
            find: named("b.address = ?", Parameter::Login),
            filter: None,
            key: vec!["b.id".into()],
            fields: Field::READ.map(field),
            quota: Some(crate::schema::QuotaText { sql: "b.bytes".into(), plain_is_bytes: false }),
            options_disable_services: false,
            write_password: None,
        },
        domains: Some(DomainQuery {
            find: named("SELECT r.name, r.active FROM realm r WHERE r.name = ?", Parameter::Domain),
            list: list("realm r", ["r.name", "r.active"], "r.name"),
        }),
        aliases: Some(AliasQuery {
            find: named("SELECT f.address, f.targets FROM forward f WHERE f.address = ?", Parameter::Address),
            separator: Separator::Comma,
            list: list("forward f", ["f.address", "f.targets"], "f.id"),
        }),
        alias_domains: Some(AliasDomainQuery {
            find: named("SELECT x.name, x.target FROM other_name x WHERE x.name = ?", Parameter::Domain),
            list: list("other_name x", ["x.name", "x.target"], "x.name"),
        }),
        reads: Vec::new(),
        versions: Vec::new(),
    }
}

type ForeignSnapshot = Snapshot<SqlStore>;

/// The tables in an SQLite file, which stands for a server: it is unreachable while a file has the name of its folder.
struct Kontor {
    folder: TempDir,
    config: Config,
}

impl Kontor {
    fn new(model: ForeignModel) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let mut config = Config::default();
        config.database.url = "mysql://u@h/d".parse().unwrap();
        config.database.tables = Tables::Foreign(Arc::new(model));
        config.outage.snapshot = folder.path().join("copy.db");
        config.outage.refresh = Duration::from_millis(20);
        fs::create_dir(folder.path().join("data")).unwrap();
        let kontor = Kontor { folder, config };
        kontor.sql(TABLES);
        kontor
    }

    fn file(&self) -> PathBuf {
        self.folder.path().join("data/kontor.db")
    }

    fn sql(&self, sql: &str) {
        rusqlite::Connection::open(self.file()).unwrap().execute_batch(sql).unwrap();
    }

    /// Returns a snapshot as a process that starts now opens it.
    fn open(&self) -> ForeignSnapshot {
        let mut database = self.config.database.clone();
        database.url = crate::config::DatabaseUrl::Sqlite { path: self.file() };
        Snapshot::new(open_single(&database).unwrap(), &self.config)
    }

    /// Returns a snapshot that has read all tables.
    fn open_with_copy(&self) -> ForeignSnapshot {
        let snapshot = self.open();
        self.refresh(&snapshot);
        snapshot
    }

    /// Waits until a reading of all tables that begins now is complete.
    fn refresh(&self, snapshot: &ForeignSnapshot) {
        let freshness = &snapshot.keeper.as_ref().unwrap().freshness;
        let now = Instant::now();
        eventually("a reading", || freshness.began().is_some_and(|began| began >= now));
    }

    fn stop(&self) {
        let folder = self.folder.path();
        fs::rename(folder.join("data"), folder.join("away")).unwrap();
        fs::write(folder.join("data"), "").unwrap();
    }

    fn start(&self) {
        let folder = self.folder.path();
        fs::remove_file(folder.join("data")).unwrap();
        fs::rename(folder.join("away"), folder.join("data")).unwrap();
    }
}

fn found(snapshot: &ForeignSnapshot, name: &str) -> Result<Option<AccountRow>, StoreError> {
    Ok(snapshot.look_up(&login(name), Instant::now() + Duration::from_secs(5))?.into_row())
}

fn password(snapshot: &ForeignSnapshot, name: &str) -> Result<String, bool> {
    let row = found(snapshot, name).map_err(|error| error.is_outage())?;
    Ok(row.map_or("-".into(), |row| String::from_utf8(row.password.0.expose().to_vec()).unwrap()))
}

#[test]
fn the_copy_answers_as_the_tables_do() {
    let kontor = Kontor::new(model());
    let snapshot = kontor.open_with_copy();
    let logins = [ANNA, BEN, "carl@off.example", "dora@else.example", "emma@x.example", "nobody@x.example"];
    let addresses = ["info@x.example", BEN, "@x.example", "gone@x.example", "hall@x.example", "nobody@x.example"];
    let domains = ["x.example", "off.example", "other.example", "alias.example", "else.example"].map(domain);
    let ask = || {
        let mut rows: Vec<_> = logins.iter().map(|name| found(&snapshot, name).unwrap()).collect();
        for row in rows.iter_mut().flatten() {
            // In the copy, an account of a disabled domain is disabled itself.
            row.enabled &= row.domain_enabled;
            row.domain_enabled = true;
        }
        let targets: Vec<_> = addresses.iter().map(|address| snapshot.alias_targets(address).unwrap()).collect();
        let standings: Vec<_> = domains.iter().map(|name| snapshot.domain(name).unwrap()).collect();
        let others: Vec<_> = domains.iter().map(|name| snapshot.alias_domain(name).unwrap()).collect();
        (rows, targets, standings, others)
    };
    let before = ask();
    let anna = before.0[0].as_ref().unwrap();
    assert_eq!(
        (anna.quota_bytes, anna.quota_messages, anna.services.to_string()),
        (Some(5000), Some(7), "imap".into())
    );
    assert!(before.0[4].is_none() && before.1[0].len() == 3, "{before:?}");
    assert!(snapshot.alias_targets("root@x.example").is_err());
    kontor.stop();
    assert_eq!(ask(), before);
    assert!(found(&snapshot, "odd@x.example").is_err(), "its row cannot be used");
    assert!(snapshot.alias_targets("root@x.example").is_err());
    assert_eq!(snapshot.pool_limits("x.example"), Ok(Limits::NONE));
    assert_eq!(snapshot.state().snapshot.map(|copy| (copy.accounts, copy.in_use)), Some((5, true)));
}

#[test]
fn changed_added_and_removed_rows_are_copied() {
    let kontor = Kontor::new(model());
    let snapshot = kontor.open_with_copy();
    kontor.sql(
        "UPDATE box SET secret = 'two' WHERE address = 'anna@x.example';
         DELETE FROM box WHERE address = 'ben@x.example';
         INSERT INTO box (address, secret) VALUES ('new@x.example', 'one');
         DELETE FROM forward WHERE targets LIKE '%a@y.example'; UPDATE realm SET active = 0;
         DELETE FROM other_name",
    );
    kontor.refresh(&snapshot);
    kontor.stop();
    let passwords = [ANNA, BEN, "new@x.example"].map(|name| password(&snapshot, name));
    assert_eq!(passwords, ["two", "-", "one"].map(|text| Ok(text.to_owned())));
    assert_eq!(snapshot.alias_targets("info@x.example").unwrap(), ["b@y.example"]);
    assert_eq!(snapshot.domain_enabled(&domain("x.example")), Ok(Some(false)));
    assert_eq!(snapshot.domain(&domain("alias.example")), Ok(None));
    assert_eq!(snapshot.state().snapshot.unwrap().accounts, 5);
}

#[test]
fn many_pages_are_copied_and_swept() {
    let kontor = Kontor::new(model());
    kontor.sql(
        "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 3500)
         INSERT INTO box (address, secret) SELECT 'u' || i || '@x.example', 'one' FROM n",
    );
    let snapshot = kontor.open_with_copy();
    assert_eq!(snapshot.state().snapshot.unwrap().accounts, 3505);
    kontor.sql("DELETE FROM box WHERE id % 3 = 0; UPDATE box SET secret = 'two' WHERE id % 3 = 1");
    kontor.refresh(&snapshot);
    let rows = rusqlite::Connection::open(kontor.file()).unwrap();
    let count: i64 = rows.query_row("SELECT COUNT(*) FROM box WHERE id <> 6", [], |row| row.get(0)).unwrap();
    kontor.stop();
    assert_eq!(snapshot.state().snapshot.unwrap().accounts, count.unsigned_abs());
    // Their numbers begin after those of the first rows.
    let passwords = [3, 4, 5].map(|id: u32| password(&snapshot, &format!("u{}@x.example", 3000 + id)).unwrap());
    assert_eq!(passwords, ["-", "two", "one"]);
}

#[test]
fn questions_about_rows_that_cannot_be_listed_are_not_answered() {
    let no_key = || {
        let mut model = model();
        model.accounts.key.clear();
        model
    };
    let no_aliases = || {
        let mut model = model();
        model.aliases.as_mut().unwrap().list = None;
        model
    };
    let some_aliases = || {
        let mut model = model();
        let aliases = model.aliases.as_mut().unwrap();
        aliases.find.sql += " UNION ALL SELECT 'x', 'y' FROM realm WHERE 1 = 0";
        model
    };
    let no_domains = || {
        let mut model = model();
        model.alias_domains.as_mut().unwrap().list = None;
        model
    };
    for (model, lacking) in [
        (no_key(), "accounts"),
        (no_aliases(), "aliases"),
        (some_aliases(), "aliases"),
        (no_domains(), "alias domains"),
    ] {
        assert_eq!(not_copied(&model), [lacking]);
        let kontor = Kontor::new(model);
        let snapshot = kontor.open_with_copy();
        kontor.stop();
        let is_outage = |answer: Result<(), StoreError>| answer.is_err_and(|error| error.is_outage());
        for name in [ANNA, "nobody@x.example"] {
            assert_eq!(is_outage(found(&snapshot, name).map(drop)), lacking == "accounts", "{lacking}");
            assert_eq!(is_outage(snapshot.alias_targets(name).map(drop)), lacking == "aliases", "{lacking}");
        }
        assert_eq!(is_outage(snapshot.enumerate(None, 9).map(drop)), lacking == "accounts");
        for name in ["x.example", "else.example"] {
            assert_eq!(is_outage(snapshot.domain(&domain(name)).map(drop)), lacking == "alias domains");
        }
    }
}

#[test]
fn rows_that_the_tables_do_not_hold_are_absent_during_an_outage_too() {
    let mut model = model();
    (model.aliases, model.alias_domains) = (None, None);
    // Without a list of domains, the copy says nothing about them.
    model.domains.as_mut().unwrap().list = None;
    let kontor = Kontor::new(model);
    let snapshot = kontor.open_with_copy();
    kontor.stop();
    assert_eq!(snapshot.alias_domain(&domain("alias.example")), Ok(None));
    assert_eq!(snapshot.alias_targets("info@x.example"), Ok(Vec::new()));
    assert_eq!(snapshot.alias_targets_of(["info@x.example", BEN]), Ok([Ok(Vec::new()), Ok(Vec::new())]));
    assert_eq!(password(&snapshot, ANNA), Ok("one".into()));
    assert!(snapshot.domain(&domain("x.example")).is_err_and(|error| error.is_outage()));
}

#[test]
fn a_copy_that_was_read_by_another_schema_is_not_used() {
    let mut kontor = Kontor::new(model());
    drop(kontor.open_with_copy());
    kontor.stop();
    assert_eq!(password(&kontor.open(), ANNA), Ok("one".into()));
    let mut changed = model();
    changed.accounts.filter = Some("b.id > 1".into());
    let renamed = ForeignModel { profile: "other".into(), ..model() };
    for tables in [Tables::Foreign(Arc::new(changed)), Tables::Foreign(Arc::new(renamed)), Tables::Own] {
        kontor.config.database.tables = tables;
        let snapshot = kontor.open();
        // Its thread takes over the file.
        let keeper = snapshot.keeper.as_ref().unwrap();
        eventually("turn", || keeper.freshness.is_ours.load(Ordering::SeqCst));
        assert_eq!(password(&snapshot, ANNA), Err(true));
        let kept = super::super::look(&kontor.config.outage.snapshot, &kontor.config.database).unwrap().unwrap();
        assert!(!kept.is_readable && kept.of_other.unwrap().starts_with("mysql d, schema kontor "));
    }
    let mut changed = model();
    changed.accounts.filter = Some("b.id > 1".into());
    kontor.config.database.tables = Tables::Foreign(Arc::new(changed));
    kontor.start();
    let snapshot = kontor.open_with_copy();
    kontor.stop();
    assert_eq!((password(&snapshot, ANNA), password(&snapshot, BEN)), (Ok("-".into()), Ok("one".into())));
    let kept = super::super::look(&kontor.config.outage.snapshot, &kontor.config.database).unwrap().unwrap();
    assert!(kept.is_readable && kept.of_other.is_none() && kept.took.is_some());
}

#[test]
fn a_copy_of_our_own_tables_is_not_used_for_another_programs() {
    let fixture = fixture();
    drop(fixture.open_with_copy());
    let mut kontor = Kontor::new(model());
    kontor.config.outage.snapshot = fixture.path().clone();
    kontor.stop();
    let snapshot = kontor.open();
    let keeper = snapshot.keeper.as_ref().unwrap();
    eventually("turn", || keeper.freshness.is_ours.load(Ordering::SeqCst));
    assert_eq!(password(&snapshot, ANNA), Err(true));
}

#[test]
fn a_copy_of_another_database_answers_until_this_one_is_copied() {
    let mut kontor = Kontor::new(model());
    drop(kontor.open_with_copy());
    kontor.config.database.url = "mysql://u@other/d".parse().unwrap();
    kontor.sql("UPDATE box SET secret = 'two'");
    kontor.stop();
    let snapshot = kontor.open();
    eventually("turn", || password(&snapshot, ANNA) == Ok("one".into()));
    kontor.start();
    kontor.refresh(&snapshot);
    kontor.stop();
    assert_eq!(password(&snapshot, ANNA), Ok("two".into()));
    assert_eq!(snapshot.alias_targets("info@x.example").unwrap().len(), 3);
}

#[test]
fn a_login_in_two_rows_cannot_be_used_in_the_copy() {
    let kontor = Kontor::new(model());
    kontor.sql("INSERT INTO box (address, secret) VALUES ('anna@x.example', 'two')");
    let snapshot = kontor.open_with_copy();
    assert!(matches!(found(&snapshot, ANNA), Err(StoreError::Unusable(_))));
    for _ in 0..3 {
        kontor.refresh(&snapshot);
        kontor.stop();
        assert!(matches!(found(&snapshot, ANNA), Err(StoreError::Doubtful(_))));
        kontor.start();
    }
    kontor.sql("DELETE FROM box WHERE secret = 'two'");
    // The first reading without the second row still knows it.
    kontor.refresh(&snapshot);
    kontor.refresh(&snapshot);
    kontor.stop();
    assert_eq!(password(&snapshot, ANNA), Ok("one".into()));
}

#[test]
fn a_changed_account_is_copied_at_once() {
    let mut kontor = Kontor::new(model());
    kontor.config.outage.refresh = Duration::from_secs(3600);
    let snapshot = kontor.open_with_copy();
    let keeper = snapshot.keeper.as_ref().unwrap();
    kontor.sql("UPDATE box SET secret = 'two'");
    snapshot.forget(&Changed::Account(login(ANNA)));
    eventually("a copy of it", || keeper.copy.pending().is_ok_and(|pending| pending.is_empty()));
    kontor.stop();
    assert_eq!((password(&snapshot, ANNA), password(&snapshot, BEN)), (Ok("two".into()), Ok("one".into())));
    snapshot.forget(&Changed::Account(login(BEN)));
    assert_eq!((password(&snapshot, ANNA), password(&snapshot, BEN)), (Ok("two".into()), Err(true)));
}

#[test]
fn a_changed_alias_is_not_answered_until_everything_is_read_again() {
    let kontor = Kontor::new(model());
    let snapshot = kontor.open_with_copy();
    let keeper = snapshot.keeper.as_ref().unwrap();
    kontor.sql("UPDATE forward SET targets = 'new@y.example'");
    kontor.stop();
    snapshot.forget(&Changed::alias("info@x.example").unwrap());
    snapshot.forget(&Changed::Domain(domain("off.example")));
    assert!(snapshot.alias_targets("info@x.example").is_err_and(|error| error.is_outage()));
    assert!(snapshot.domain(&domain("off.example")).is_err_and(|error| error.is_outage()));
    kontor.start();
    eventually("a copy of it", || keeper.copy.pending().is_ok_and(|pending| pending.is_empty()));
    kontor.stop();
    assert_eq!(snapshot.alias_targets("info@x.example").unwrap(), ["new@y.example"]);
    assert_eq!(snapshot.domain_enabled(&domain("off.example")), Ok(Some(false)));
}

#[test]
fn a_list_is_continued_where_it_began() {
    let kontor = Kontor::new(model());
    let snapshot = kontor.open_with_copy();
    let of_database = snapshot.enumerate(None, 2).unwrap().next;
    kontor.stop();
    assert!(snapshot.enumerate(of_database.as_ref(), 2).is_err_and(|error| error.is_outage()));
    let (mut logins, mut after) = (Vec::new(), None);
    loop {
        let page = snapshot.enumerate(after.as_ref(), 2).unwrap();
        logins.extend(page.rows.into_iter().map(|row| row.map_or("-".into(), |row| row.login.to_string())));
        match page.next {
            Some(next) => after = Some(next),
            None => break,
        }
        if logins.len() == 2 {
            kontor.start();
        }
    }
    assert_eq!(logins, [ANNA, BEN, "carl@off.example", "dora@else.example", "-"]);
    assert!(snapshot.enumerate(of_database.as_ref(), 2).is_ok());
}

#[test]
fn a_failed_reading_leaves_the_copy_as_it_was() {
    let kontor = Kontor::new(model());
    let snapshot = kontor.open_with_copy();
    kontor.sql("ALTER TABLE forward RENAME TO backward; UPDATE box SET secret = 'two'");
    eventually("failure", || snapshot.state().snapshot.unwrap().failure.is_some());
    kontor.stop();
    assert_eq!(password(&snapshot, ANNA), Ok("one".into()), "accounts are read after aliases");
    assert_eq!(snapshot.alias_targets("info@x.example").unwrap().len(), 3);
    kontor.start();
    kontor.sql("ALTER TABLE backward RENAME TO forward");
    kontor.refresh(&snapshot);
    assert_eq!(snapshot.state().snapshot.unwrap().failure, None);
}
