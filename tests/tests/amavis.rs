//! The real amavisd-new looks recipients up in our tables (schema/amavis.*.sql).

use mailauth_tests::people::many;
use mailauth_tests::{Accounts, Amavis, Kind, on_each_database};
use rusqlite::Connection;
use std::path::{Path, PathBuf};

on_each_database!(amavisd_finds_recipients_and_their_policies, its_statement_reads_only_the_rows_it_needs);

/// amavisd's own statements, of which the first has as many parameters as the address has keys.
const POLICY: &str = "SELECT users.*, policy.*, users.id FROM users LEFT JOIN policy ON users.policy_id=policy.id WHERE \
                      users.email IN ('user7@many.example', '@many.example', '@.many.example', '@.example', '@.') ORDER BY \
                      users.priority DESC";

/// What an administrator adds.
const SETTINGS: &str = "\
    INSERT INTO policy (id, policy_name, bypass_spam_checks, spam_kill_level) VALUES
        (1, 'strict', NULL, 5.5), (2, 'domain', 'N', 7.5), (3, 'world', NULL, 20);
    INSERT INTO amavis_users (address, policy_id) VALUES
        ('anna@example.org', 1), ('@example.org', 2), ('@.', 3);
    INSERT INTO mailaddr (id, priority, email) VALUES (1, 9, 'bad@remote.example'), (2, 5, '@remote.example');
    INSERT INTO wblist (rid, sid, wb) VALUES ('anna@example.org', 1, 'B'), ('@example.org', 2, 'W');";

const ROWS: &str = "\
    login,enabled\n\
    anna@example.org,true\n\
    ben@example.org,false\n\
    user7@other.example,true\n";

fn schema(kind: Kind) -> String {
    let name = match kind {
        Kind::Sqlite => "sqlite",
        Kind::MariaDb | Kind::MySql => "mysql",
        Kind::Postgres => "postgres",
    };
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("../schema/amavis.{name}.sql"));
    std::fs::read_to_string(path).expect("the schema")
}

/// Runs SQL as the owner of the tables.
fn run(accounts: &Accounts, sql: &str) -> String {
    match accounts.kind() {
        Kind::Sqlite => {
            Connection::open(accounts.file()).and_then(|database| database.execute_batch(sql)).expect("SQL");
            String::new()
        }
        _ => accounts.execute(sql),
    }
}

/// Creates amavisd's database user with the rights that the comment in the schema gives, and returns the lines of its
/// configuration and the files that it reads.
fn lookup_source(accounts: &Accounts, schema: &str) -> (String, Vec<PathBuf>) {
    let grants: Vec<&str> = schema.lines().filter_map(|line| line.strip_prefix("--   GRANT ")).collect();
    let grant = |user: &str| {
        grants
            .iter()
            .map(|rest| format!("GRANT {};\n", rest.replace("TO amavis;", &format!("TO {user}"))))
            .collect::<String>()
    };
    match accounts.kind() {
        Kind::Sqlite => {
            let line = "@lookup_sql_dsn = (['DBI:SQLite:dbname=FOLDER/mail.db', '', '']);";
            (line.to_owned(), vec![accounts.file()])
        }
        Kind::MariaDb | Kind::MySql => {
            let database = accounts.mariadb();
            let (name, socket) = (database.name(), database.server().socket().display().to_string());
            let user = format!("am_{}", &name[name.len().saturating_sub(20)..]);
            assert_eq!(grants.len(), 4, "{grants:?}");
            run(accounts, &format!("CREATE USER {user} IDENTIFIED BY 'look up'; {}", grant(&user)));
            let line = format!(
                "@lookup_sql_dsn = (['DBI:mysql:database={name};mysql_socket={socket}', '{user}', 'look up']);"
            );
            (line, Vec::new())
        }
        Kind::Postgres => {
            let database = accounts.postgres();
            let (name, socket) = (database.name(), database.server().socket().display().to_string());
            let user = format!("amavis_{name}");
            assert_eq!(grants.len(), 1, "{grants:?}");
            run(accounts, &format!("CREATE ROLE {user} LOGIN PASSWORD 'look up'; {}", grant(&user)));
            let line = format!("@lookup_sql_dsn = (['DBI:Pg:database={name};host={socket}', '{user}', 'look up']);");
            (line, Vec::new())
        }
    }
}

fn amavisd_finds_recipients_and_their_policies(kind: Kind) {
    let accounts = Accounts::empty(kind).with(ROWS);
    accounts.admin(&["alias", "add", "info@example.org", "anna@example.org", "ben@example.org"], "");
    accounts.admin(&["domain", "alias", "add", "example.net", "example.org"], "");
    let schema = schema(kind);
    // It can be run again.
    run(&accounts, &schema);
    run(&accounts, &format!("{schema}\n{SETTINGS}"));
    let (lines, files) = lookup_source(&accounts, &schema);
    let amavis = Amavis::start(&lines, &files);
    for (recipient, matches, level) in [
        ("anna@example.org", &["anna@example.org strict", "@example.org domain", "@. world"][..], "5.5"),
        ("Ben@Example.org", &["ben@example.org -", "@example.org domain", "@. world"], "7.5"),
        ("info@example.org", &["info@example.org -", "@example.org domain", "@. world"], "7.5"),
        ("nobody@example.org", &["@example.org domain", "@. world"], "7.5"),
        ("anna@example.net", &["@example.net domain", "@. world"], "7.5"),
        ("user7@other.example", &["user7@other.example -", "@other.example -", "@. world"], "20"),
        ("someone@elsewhere.example", &["@. world"], "20"),
    ] {
        let log = amavis.pass("good@friend.example", recipient);
        let mut found: Vec<String> = log.lines().filter_map(|line| matched(line, recipient)).collect();
        // An alias has a row for each target.
        found.dedup();
        assert_eq!(found, matches, "{recipient}: {log}");
        let result = format!("lookup [spam_kill_level] => true,  \"{recipient}\" matches, result=\"{level}\"");
        assert!(log.contains(&result), "{recipient}: {log}");
    }
    let log = amavis.pass("bad@remote.example", "anna@example.org");
    let listed = "wbl: (SQL) recip <anna@example.org> blacklisted sender <bad@remote.example>";
    assert!(log.contains(listed), "{log}");
    let log = amavis.pass("other@remote.example", "anna@example.org");
    let listed = "wbl: (SQL) recip <anna@example.org> whitelisted sender <other@remote.example>";
    assert!(log.contains(listed), "{log}");
    if kind == Kind::Sqlite {
        return;
    }
    let user = lines.split('\'').nth(3).expect("a user");
    let right = match kind {
        Kind::Postgres => format!("SELECT has_table_privilege('{user}', 'accounts', 'SELECT')"),
        _ => format!("SELECT COUNT(*) FROM mysql.tables_priv WHERE User = '{user}' AND Table_name = 'accounts'"),
    };
    assert!(["f", "0"].contains(&run(&accounts, &right).trim()), "amavisd's user may not read accounts");
}

/// Returns the recipient's key and the policy's name in a line that reports a row.
fn matched(line: &str, recipient: &str) -> Option<String> {
    let (_, row) = line.split_once(&format!("lookup_sql({recipient}) matches, result=("))?;
    let value = |name: &str| {
        let (_, rest) = row.split_once(&format!("{name}=>"))?;
        Some(rest.split(',').next()?.trim_matches('"').to_owned())
    };
    Some(format!("{} {}", value("email")?, value("policy_name")?))
}

fn its_statement_reads_only_the_rows_it_needs(kind: Kind) {
    let accounts = Accounts::empty(kind).with(&many(3000));
    run(&accounts, &schema(kind));
    let (explain, scan) = match kind {
        Kind::Sqlite => ("EXPLAIN QUERY PLAN", "SCAN a"),
        Kind::MariaDb | Kind::MySql => ("ANALYZE TABLE accounts; EXPLAIN", "\ta\tindex"),
        Kind::Postgres => ("ANALYZE; EXPLAIN", "Seq Scan on accounts"),
    };
    let plan = match kind {
        Kind::Sqlite => {
            let database = Connection::open(accounts.file()).expect("the database");
            let mut statement = database.prepare(&format!("{explain} {POLICY}")).expect("a statement");
            let rows = statement.query_map([], |row| row.get::<_, String>(3)).expect("a plan");
            rows.map(|row| row.expect("a row") + "\n").collect()
        }
        _ => accounts.execute(&format!("{explain} {POLICY}")),
    };
    assert!(!plan.contains(scan) && !plan.contains("\ta\tALL"), "{plan}");
    assert!(plan.contains("accounts_pkey") || plan.contains("PRIMARY"), "{plan}");
}
