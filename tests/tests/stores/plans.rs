//! However many rows there are, no statement reads more of them than it returns or changes.
//!
//! Every statement of the store is explained and executed on tables of [`ACCOUNTS`] accounts and as many aliases. A
//! new statement of the store is included without being named here.

use crate::database::Database;
use mailauth_core::store::{Administration, ParameterKind, StatementText};
use mailauth_tests::{Kind, on_each_database_and_mysql};
use rusqlite::{Connection, StatementStatus};
use std::fmt::Write;

on_each_database_and_mysql!(every_statement_uses_an_index_and_reads_only_what_it_needs);

const ACCOUNTS: usize = 20_000;

/// A quarter of all accounts is in one domain, which comes last in the order of logins: an index in that order looks
/// good enough for a page of this domain, and is not.
const IN_BIG: usize = ACCOUNTS / 4;
const DOMAINS: usize = 2_000;

/// Rows of a page.
const LIMIT: usize = 50;

/// Maximum reads of rows or pages for a page: a row, its domain's, and the path to each through an index.
const MOST_READS: u64 = 8 * LIMIT as u64;

/// Inserted with one statement, as an import does.
const IMPORTED: &str = "2025-01-01 00:00:00";

/// Statements that read a whole table: one of a few rows, whatever the number of accounts.
const SMALL: [&str; 2] = ["version", "table_exists"];

/// A value for each kind of parameter.
#[derive(Clone, Copy)]
struct Values {
    name: &'static str,
    domain: &'static str,
    time: &'static str,
}

const VALUES: [Values; 4] = [
    Values { name: "zz00030", domain: "big.example", time: IMPORTED },
    Values { name: "", domain: "big.example", time: IMPORTED },
    Values { name: "zz04000", domain: "big.example", time: IMPORTED },
    Values { name: "a10007", domain: "d7.example", time: "2024-01-01 00:00:00" },
];

impl Values {
    fn of(self, kind: ParameterKind) -> Value {
        let address = if self.name.is_empty() { String::new() } else { format!("{}@{}", self.name, self.domain) };
        match kind {
            ParameterKind::Login | ParameterKind::Address | ParameterKind::Target => Value::Text(address),
            ParameterKind::Domain => Value::Text(self.domain.to_owned()),
            ParameterKind::Time => Value::Text(self.time.to_owned()),
            ParameterKind::Text => Value::Text("accounts".to_owned()),
            ParameterKind::Number => Value::Number(1),
            ParameterKind::Limit => Value::Number(LIMIT),
        }
    }
}

enum Value {
    Text(String),
    Number(usize),
}

impl Value {
    fn literal(&self) -> String {
        match self {
            Value::Text(text) => format!("'{text}'"),
            Value::Number(number) => number.to_string(),
        }
    }
}

/// Returns accounts, aliases and published usage, as an import leaves them.
fn many(kind: Kind) -> Database {
    let database = Database::empty(kind);
    database.store().init().expect("our tables");
    let domain =
        |n: usize| if n < ACCOUNTS - IN_BIG { format!("d{}.example", n % DOMAINS) } else { "big.example".into() };
    let name = |n: usize| match n.checked_sub(ACCOUNTS - IN_BIG) {
        None => format!("a{n:05}"),
        Some(n) => format!("zz{n:05}"),
    };
    let mut sql = String::from("BEGIN;\n");
    let mut insert = |into: &str, row: &dyn Fn(usize) -> String, rows: usize| {
        for start in (0..rows).step_by(1000) {
            let values: Vec<_> = (start..rows.min(start + 1000)).map(row).collect();
            writeln!(sql, "INSERT INTO {into} VALUES {};", values.join(", ")).expect("text");
        }
    };
    insert("domains (name)", &|n| format!("('d{n}.example')"), DOMAINS);
    insert("domains (name)", &|_| "('big.example'), ('empty.example')".to_owned(), 1);
    let account = |n| format!("('{0}@{1}', '{1}', '{IMPORTED}')", name(n), domain(n));
    insert("accounts (login, domain, updated_at)", &account, ACCOUNTS);
    let alias = |n| format!("('{0}@{1}', '{1}', '{0}@x.example', '{IMPORTED}')", name(n), domain(n));
    insert("aliases (address, domain, target, updated_at)", &alias, ACCOUNTS);
    let other = |n| format!("('a{n}.example', 'd{n}.example')");
    insert("alias_domains (name, target)", &other, DOMAINS);
    let published = |n| format!("('{0}@{1}', '{1}', 7, 7)", name(n), domain(n));
    insert("mailbox_use (login, domain, bytes, messages)", &published, ACCOUNTS);
    let summed = |n| format!("('d{n}.example', 70, 70, 10)");
    insert("domain_use (domain, bytes, messages, mailboxes)", &summed, DOMAINS);
    sql.push_str("COMMIT;\n");
    sql.push_str(match kind {
        // As in practice, where nothing runs ANALYZE.
        Kind::Sqlite => "",
        Kind::MariaDb | Kind::MySql => {
            "ANALYZE TABLE accounts, aliases, alias_domains, domains, mailbox_use, domain_use;"
        }
        Kind::Postgres => "ANALYZE;",
    });
    database.sql(&sql);
    database
}

fn every_statement_uses_an_index_and_reads_only_what_it_needs(kind: Kind) {
    let database = many(kind);
    let statements = database.store().statements();
    assert!(statements.len() > 30, "{statements:?}");
    let mut faults = Vec::new();
    for statement in &statements {
        let reads = statement.sql.starts_with("SELECT");
        // Statements that add rows read none. Those that change or remove rows are run on few.
        let adds = statement.sql.starts_with("INSERT") && !statement.sql.contains("SELECT");
        if adds || SMALL.contains(&statement.name) {
            continue;
        }
        let values = match statement.parameters.as_slice() {
            _ if reads => &VALUES[..],
            // A whole domain.
            [ParameterKind::Domain] => &[Values { domain: "empty.example", ..VALUES[0] }],
            _ => &VALUES[..1],
        };
        for values in values {
            let given: Vec<_> = statement.parameters.iter().map(|kind| values.of(*kind)).collect();
            let found = match &database {
                Database::Sqlite(folder) => {
                    let connection = Connection::open(folder.join("mail.db")).expect("the file");
                    explain_sqlite(&connection, statement, &given)
                }
                Database::MariaDb(at) => explain_mariadb(&|sql| at.execute_admin(sql), statement, &given),
                Database::Postgres(at) => explain_postgres(&|sql| at.execute_admin(sql), statement, &given),
            };
            if let Err(fault) = found {
                faults.push(format!("{} at {:?}: {fault}\n  {}", statement.name, values.name, statement.sql));
            }
        }
    }
    assert!(faults.is_empty(), "{} of {}:\n{}", faults.len(), statements.len(), faults.join("\n"));
}

fn explain_sqlite(connection: &Connection, statement: &StatementText, given: &[Value]) -> Result<(), String> {
    let bound = |sql: &str| {
        let mut prepared = connection.prepare(sql).expect(sql);
        for (index, value) in given.iter().enumerate() {
            match value {
                Value::Text(text) => prepared.raw_bind_parameter(index + 1, text),
                Value::Number(number) => prepared.raw_bind_parameter(index + 1, *number as i64),
            }
            .expect(sql);
        }
        prepared
    };
    connection.execute_batch("PRAGMA foreign_keys = ON; BEGIN").expect("a transaction");
    let mut plan = bound(&format!("EXPLAIN QUERY PLAN {}", statement.sql));
    let (mut rows, mut lines) = (plan.raw_query(), Vec::new());
    while let Some(row) = rows.next().expect("a plan") {
        lines.push(row.get::<_, String>(3).expect("a line"));
    }
    let mut prepared = bound(&statement.sql);
    let mut returned = 0;
    let mut rows = prepared.raw_query();
    while rows.next().expect(&statement.sql).is_some() {
        returned += 1;
    }
    drop(rows);
    let steps = prepared.get_status(StatementStatus::VmStep);
    let sorts = prepared.get_status(StatementStatus::Sort) + prepared.get_status(StatementStatus::AutoIndex);
    connection.execute_batch("ROLLBACK").expect("the end");
    let plan = lines.join(" | ");
    // Of the page that was read already, or of one that has a limit: its steps are counted.
    if plan.contains("TEMP B-TREE") || plan.contains("AUTOMATIC") || sorts > 0 {
        return Err(format!("sorts: {plan}"));
    }
    // Reading a row takes some tens of instructions.
    let most = 100 * (returned.max(LIMIT) as i32);
    if steps > most { Err(format!("{steps} steps for {returned} rows: {plan}")) } else { Ok(()) }
}

fn explain_mariadb(run: &dyn Fn(&str) -> String, statement: &StatementText, given: &[Value]) -> Result<(), String> {
    let mut given = given.iter().map(Value::literal);
    let parts = statement.sql.split('?').map(str::to_owned);
    let sql =
        parts.reduce(|sql, part| sql + &given.next().expect("a value for each parameter") + &part).expect("a text");
    let said = run(&format!(
        "EXPLAIN FORMAT=TRADITIONAL {sql};\nSELECT 'ran';\nFLUSH STATUS;\nSTART TRANSACTION;\n{sql};\n\
         SHOW SESSION STATUS LIKE 'Handler\\_read\\_%';\nROLLBACK;\n"
    ));
    let (plan, after) = said.split_once("ran\n").expect("a plan");
    for line in plan.lines() {
        let columns: Vec<_> = line.split('\t').collect();
        let (table, access, extra) = match columns[..] {
            [_, _, table, access, _, _, _, _, _, extra] => (table, access, extra),
            // The format of MySQL.
            [_, _, table, _, access, _, _, _, _, _, _, extra] => (table, access, extra),
            _ => panic!("not a plan: {line}"),
        };
        if table.starts_with("<derived") {
            continue;
        }
        if access == "ALL" || extra.contains("filesort") || extra.contains("temporary") {
            return Err(format!("reads a whole table or sorts: {plan}"));
        }
    }
    // A temporary table of the counted page is read as well, from one row to the next.
    let reads = after.lines().filter_map(|line| line.strip_prefix("Handler_read_")?.split_once('\t'));
    let reads: u64 = reads.map(|(_, reads)| reads.parse::<u64>().expect(reads)).sum();
    if reads > MOST_READS { Err(format!("{reads} reads: {plan}")) } else { Ok(()) }
}

/// Explains a statement as a prepared statement runs: planned for any values, or for these.
fn explain_postgres(run: &dyn Fn(&str) -> String, statement: &StatementText, given: &[Value]) -> Result<(), String> {
    let given: Vec<_> = given.iter().map(Value::literal).collect();
    let execute = match given.as_slice() {
        [] => "EXECUTE it".to_owned(),
        given => format!("EXECUTE it({})", given.join(", ")),
    };
    for mode in ["force_generic_plan", "force_custom_plan"] {
        let plan = run(&format!(
            "SET plan_cache_mode = {mode};\nPREPARE it AS {};\nBEGIN;\n
             EXPLAIN (ANALYZE, BUFFERS, COSTS OFF, TIMING OFF, SUMMARY OFF) {execute};\nROLLBACK;\n",
            statement.sql
        ));
        if plan.contains("Seq Scan") || plan.contains("Sort") {
            return Err(format!("{mode}: reads a whole table or sorts:\n{plan}"));
        }
        let removed = plan.lines().filter_map(|line| line.split_once("Removed by Filter: ")).map(|(_, rows)| rows);
        let removed: u64 = removed.map(|rows| rows.trim().parse::<u64>().expect(rows)).sum();
        // The first line of buffers is that of the whole statement.
        let buffers = plan.lines().find_map(|line| line.trim().strip_prefix("Buffers: shared "));
        let pages: u64 = buffers
            .into_iter()
            .flat_map(str::split_whitespace)
            .filter_map(|part| part.strip_prefix("hit=").or_else(|| part.strip_prefix("read=")))
            .map(|pages| pages.parse::<u64>().expect(pages))
            .sum();
        if removed > LIMIT as u64 || pages > MOST_READS {
            return Err(format!("{mode}: {removed} rows read in vain, {pages} pages:\n{plan}"));
        }
    }
    Ok(())
}
