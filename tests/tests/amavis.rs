//! The real amavisd-new looks recipients up in our tables (schema/amavis.*.sql) and in those of other programs
//! (docs/amavis.md).

#[path = "readme/page.rs"]
#[allow(dead_code, reason = "tests/readme.rs uses all of it")]
mod page;

use mailauth_tests::people::many;
use mailauth_tests::schemas::of;
use mailauth_tests::{Accounts, Amavis, Kind, on_each_database};
use page::page;
use rusqlite::Connection;
use std::path::{Path, PathBuf};

on_each_database!(
    amavisd_finds_recipients_and_their_policies,
    its_statement_reads_only_the_rows_it_needs,
    the_printed_settings_hold,
    postfixadmin_says_what_is_local,
);

/// VExim has no SQLite.
mod vexim {
    mailauth_tests::on_each_server!(scans_as_its_accounts_want);

    fn scans_as_its_accounts_want(kind: mailauth_tests::Kind) {
        super::vexim_says_what_is_scanned(kind);
    }
}

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

/// Returns the rights that the comment in the schema gives.
fn grants(schema: &str) -> Vec<&str> {
    schema.lines().filter_map(|line| line.strip_prefix("--   GRANT ")).collect()
}

/// Creates amavisd's database user with these rights, and returns the lines of its
/// configuration and the files that it reads.
fn lookup_source(accounts: &Accounts, grants: &[&str]) -> (String, Vec<PathBuf>) {
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
    let (lines, files) = lookup_source(&accounts, &grants(&schema));
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

/// Returns the only block in this language under a heading of the page.
fn block(heading: &str, language: &str) -> String {
    let pieces = page("docs/amavis.md").into_iter();
    let blocks: Vec<String> = pieces
        .filter(|piece| piece.heading == heading && piece.language() == Some(language))
        .map(|piece| piece.text)
        .collect();
    let [block] = &blocks[..] else { panic!("{heading}: {blocks:?}") };
    block.clone()
}

/// Tests that a look-up of the recipient gives this value of a setting; `None` is none.
fn gives(log: &str, setting: &str, recipient: &str, value: Option<&str>) {
    let begin = format!("lookup [{setting}] => ");
    let end = match value {
        Some(value) => format!("\"{recipient}\" matches, result=\"{value}\""),
        None => format!("\"{recipient}\" does not match"),
    };
    let found = log.lines().any(|line| line.contains(&begin) && line.contains(&end));
    assert!(found, "{setting} of {recipient} is not {value:?}: {log}");
}

/// Returns true if amavisd treats the recipient as one of this host.
fn is_local(log: &str, recipient: &str) -> bool {
    log.contains(&format!("lookup [local_domains] => true,  \"{recipient}\" matches, result=\"Y\""))
}

fn the_printed_settings_hold(kind: Kind) {
    const HEADING: &str = "With mailauth's own tables";
    let rows = "login\nanna@example.org\nabuse@example.org\nben@example.org\n";
    let accounts = Accounts::empty(kind).with(rows);
    let schema = schema(kind);
    run(&accounts, &format!("{schema}\n{}", block(HEADING, "sql")));
    let (mut lines, files) = lookup_source(&accounts, &grants(&schema));
    if kind == Kind::MariaDb {
        let parts: Vec<&str> = lines.split('\'').collect();
        let printed = block(HEADING, "perl").lines().next().expect("a line").to_owned();
        lines = printed
            .replace("database=mail", &format!("database={}", accounts.mariadb().name()))
            .replace("/run/mysqld/mysqld.sock", &accounts.mariadb().server().socket().display().to_string())
            .replace("'amavis'", &format!("'{}'", parts[3]))
            .replace("a long password", parts[5]);
    }
    let amavis = Amavis::start(&lines, &files);
    for (recipient, level) in [("anna@example.org", "5.5"), ("ben@example.org", "8")] {
        gives(&amavis.pass("good@friend.example", recipient), "spam_kill_level", recipient, Some(level));
    }
    let log = amavis.pass("good@friend.example", "abuse@example.org");
    gives(&log, "bypass_spam_checks", "abuse@example.org", Some("Y"));
    for (sender, listed) in [("news@shop.example", "blacklisted"), ("ann@partner.example", "whitelisted")] {
        let log = amavis.pass(sender, "anna@example.org");
        assert!(log.contains(&format!("recip <anna@example.org> {listed} sender <{sender}>")), "{log}");
    }
}

fn postfixadmin_says_what_is_local(kind: Kind) {
    let accounts = Accounts::of(&of("postfixadmin"), kind);
    let rights = ["mailbox", "alias", "domain", "alias_domain"].map(|table| format!("SELECT ON {table} TO amavis;"));
    let (mut lines, files) = lookup_source(&accounts, &rights.each_ref().map(String::as_str));
    lines += &match kind {
        Kind::Postgres => {
            block("PostfixAdmin", "perl").replace("active = 1", "active").replace("backupmx = 0", "NOT backupmx")
        }
        _ => block("PostfixAdmin", "perl"),
    };
    let amavis = Amavis::start(&lines, &files);
    for (recipient, expected) in [
        ("agnes@hill.example", true),
        ("info@hill.example", true),
        ("nobody@hill.example", true),
        ("agnes@twin.example", true),
        ("agnes@gone.example", true),
        ("greta@moor.example", true),
        ("nobody@spare.example", false),
        ("someone@elsewhere.example", false),
    ] {
        let log = amavis.pass("good@friend.example", recipient);
        assert_eq!(is_local(&log, recipient), expected, "{recipient}: {log}");
    }
}

fn vexim_says_what_is_scanned(kind: Kind) {
    let accounts = Accounts::of(&of("vexim"), kind);
    run(&accounts, VEXIM_SCANS);
    let tables = ["users", "domains", "domainalias", "blocklists"];
    let rights = tables.map(|table| format!("SELECT ON {table} TO amavis;"));
    let (lines, files) = lookup_source(&accounts, &rights.each_ref().map(String::as_str));
    let amavis = Amavis::start(&(lines + &block("VExim", "perl")), &files);
    for (recipient, bypass, level) in [
        ("agnes@hill.example", Some("0"), Some("9")),
        ("boris@hill.example", Some("Y"), None),
        ("iris@lake.example", Some("Y"), None),
        ("nobody@hill.example", None, None),
        ("agnes@twin.example", None, None),
    ] {
        let log = amavis.pass("good@friend.example", recipient);
        assert!(is_local(&log, recipient), "{recipient}: {log}");
        gives(&log, "bypass_spam_checks", recipient, bypass);
        // Not asked for if mail is not scanned. Without one, amavisd's configuration has a level.
        let level_in_sql = format!("lookup_sql_field(spam_kill_level) rec=0, \"{recipient}\" result: ");
        let found =
            log.lines().find_map(|line| line.split_once(&level_in_sql)).map(|(_, found)| found.trim_matches('"'));
        assert_eq!(found.filter(|found| *found != "undef"), level, "{recipient}: {log}");
    }
    let log = amavis.pass("good@friend.example", "someone@elsewhere.example");
    assert!(!is_local(&log, "someone@elsewhere.example"), "{log}");
    let log = amavis.pass("spam@shop.example", "agnes@hill.example");
    assert!(log.contains("recip <agnes@hill.example> blacklisted sender <spam@shop.example>"), "{log}");
}

/// VExim's columns and table for scanning, which the other tests do not need.
const VEXIM_SCANS: &str = "\
    ALTER TABLE domains ADD COLUMN avscan smallint NOT NULL DEFAULT 1;
    ALTER TABLE domains ADD COLUMN spamassassin smallint NOT NULL DEFAULT 1;
    ALTER TABLE users ADD COLUMN on_avscan smallint NOT NULL DEFAULT 1;
    ALTER TABLE users ADD COLUMN on_spamassassin smallint NOT NULL DEFAULT 1;
    ALTER TABLE users ADD COLUMN sa_tag smallint NOT NULL DEFAULT 0;
    ALTER TABLE users ADD COLUMN sa_refuse smallint NOT NULL DEFAULT 0;
    CREATE TABLE blocklists (
        block_id integer NOT NULL PRIMARY KEY, domain_id integer NOT NULL, user_id integer,
        blockhdr varchar(192) NOT NULL, blockval varchar(192) NOT NULL, color varchar(8) NOT NULL);
    UPDATE users SET sa_tag = 4, sa_refuse = 9 WHERE localpart = 'agnes';
    UPDATE users SET on_spamassassin = 0 WHERE localpart = 'boris';
    UPDATE domains SET spamassassin = 0 WHERE domain = 'lake.example';
    INSERT INTO blocklists VALUES
        (1, 2, 2, 'From', 'spam@shop.example', 'black'), (2, 2, 3, 'From', 'good@friend.example', 'black');";
