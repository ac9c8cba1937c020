//! A million accounts in 1,000 domains, and a million aliases.
//!
//! `cargo bench -p mailauth-benches --bench scale`, as root. On each database, by the programs as they are installed: the
//! accounts are imported, listed and exported, the daemon makes its first copy of everything and copies 1,000 changes, and
//! look-ups are compared with those among 10,000 accounts. Each row has the target beside it; the last column says whether
//! it was met.
//!
//! `MAILAUTH_BENCH_ACCOUNTS` (1000000) makes it smaller, `MAILAUTH_BENCH_SECONDS` (5) look-ups shorter, and a word on the
//! command line chooses the databases whose name holds it. `MAILAUTH_SERVER_MIB` (32) is the memory that MariaDB and
//! PostgreSQL have for the pages of their tables. A whole run takes some 10 GB under the folder for temporary
//! files.

use mailauth_benches::load::{COLUMNS, Random, again_and_again, looked_up};
use mailauth_benches::peak::{self, Run};
use mailauth_benches::summary::{Table, median};
use mailauth_tests::{Accounts, Kind, Mailauth, Scratch, program};
use rusqlite::{Connection, OpenFlags};
use std::fmt::Write as _;
use std::fs::File;
use std::io::{BufWriter, Write};
use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

/// Accounts of a domain, and of the tables that look-ups are compared with.
const OF_DOMAIN: u64 = 1_000;
const FEW: u64 = 10_000;

/// Accounts that are changed between two refreshes of the copy: those of a domain.
const CHANGES: u64 = OF_DOMAIN;

/// Clients that look accounts up at the same time, and how often the two tables take turns.
const CLIENTS: usize = 8;
const ROUNDS: usize = 5;

/// When everything was changed that is not changed while it is measured.
const LONG_AGO: &str = "2026-01-01 00:00:00";

const MIB: f64 = 1_048_576.0;

/// Nothing is remembered: each look-up asks the database.
const WITHOUT_CACHE: &str = "[cache]\nenabled = false";

struct Size {
    accounts: u64,
    time: Duration,
}

/// The rows of one database.
struct Report<'t> {
    kind: Kind,
    table: &'t mut Table,
}

impl Report<'_> {
    fn row(&mut self, what: &str, figure: f64, unit: &str, target: f64) {
        let met = if figure <= target { "yes" } else { "no" };
        eprintln!("{:?}: {what}: {figure:.1} {unit}", self.kind);
        self.table.row(vec![
            format!("{:?}, {what}", self.kind),
            format!("{figure:.1} {unit}"),
            format!("{target:.0} {unit}"),
            met.to_owned(),
        ]);
    }

    fn run(&mut self, what: &str, run: Run, seconds: Option<f64>, mebibytes: f64) {
        match seconds {
            Some(seconds) => self.row(&format!("{what}, time"), run.time.as_secs_f64(), "s", seconds),
            // There is no target for the time of a list, which is that of whoever reads it.
            None => self.table.row(vec![
                format!("{:?}, {what}, time", self.kind),
                format!("{:.1} s", run.time.as_secs_f64()),
                String::new(),
                String::new(),
            ]),
        }
        self.row(&format!("{what}, memory"), run.memory as f64 / MIB, "MiB", mebibytes);
    }
}

fn main() {
    let number = |name, default| std::env::var(name).map_or(default, |text| text.parse().expect(name));
    let size = Size {
        accounts: number("MAILAUTH_BENCH_ACCOUNTS", 1_000_000).max(CHANGES),
        time: Duration::from_secs(number("MAILAUTH_BENCH_SECONDS", 5)),
    };
    let wanted = std::env::args().skip(1).find(|word| !word.starts_with('-')).unwrap_or_default();
    let mut table = Table::new(&[&format!("{} accounts and aliases", size.accounts), "measured", "target", "met"]);
    for kind in [Kind::Sqlite, Kind::MariaDb, Kind::Postgres] {
        if format!("{kind:?}").to_lowercase().contains(&wanted) {
            measure(&size, &mut Report { kind, table: &mut table });
        }
    }
    println!("\n{table}");
}

fn measure(size: &Size, report: &mut Report<'_>) {
    let files = Scratch::new("scale");
    let few = filled(report.kind, FEW, &files).0.with_snapshot("refresh = \"1s\"");
    let (many, imported) = filled(report.kind, size.accounts, &files);
    report.run("import", imported, Some(30.0), 64.0);
    add_aliases(&many, size.accounts);
    // As in tables that were not filled just now: what is new is read again with each refresh for a while.
    many.sql_without_checks(&format!("UPDATE accounts SET updated_at = '{LONG_AGO}'"));
    for arguments in [&["account", "list"][..], &["account", "export"], &["alias", "list"]] {
        let run = peak::run(command(&many).args(arguments), &files.join("output"));
        report.run(&arguments.join(" "), run, None, 32.0);
    }

    let many = many.with_snapshot("refresh = \"1s\"");
    let begin = Instant::now();
    let daemon = Mailauth::with(&many, WITHOUT_CACHE);
    // Of a file on this machine there is no copy.
    if report.kind != Kind::Sqlite {
        wait_for(|| many.snapshot_is_whole());
        report.row("first copy", begin.elapsed().as_secs_f64(), "s", 60.0);
        // The first refresh after a copy of everything begins later than others.
        wait_for_changes(&many, "first");
        let times = ["second", "third", "fourth"].map(|name| wait_for_changes(&many, name));
        // It begins up to a second after the changes.
        report.row("1,000 changes in the copy, refreshed each second", median(times), "s", 3.0);
    }

    let daemon_of_few = Mailauth::with(&few, WITHOUT_CACHE);
    let ratios = (0..ROUNDS).map(|_| {
        let few = look_ups(daemon_of_few.socket(), FEW, size.time);
        let many = look_ups(daemon.socket(), size.accounts, size.time);
        eprintln!("{:?}: {few:.0} look-ups a second among {FEW}, {many:.0} among {}", report.kind, size.accounts);
        100.0 * (1.0 - many / few)
    });
    let slower = median(ratios.collect::<Vec<_>>());
    report.row("look-ups, slower than among 10,000", slower, "%", 5.0);
    report.row("daemon, memory", peak::memory_of(daemon.pid()) as f64 / MIB, "MiB", 32.0);
}

fn login(user: u64) -> String {
    format!("user{user:07}@d{:04}.example", user / OF_DOMAIN)
}

/// A database with so many accounts, imported from a file, and what that took.
fn filled(kind: Kind, users: u64, files: &Scratch) -> (Accounts, Run) {
    let path = files.join("accounts.csv");
    let mut csv = BufWriter::new(File::create(&path).expect("a file"));
    csv.write_all(COLUMNS.as_bytes()).expect("the header");
    for user in 0..users {
        // A hash as long as those that are used.
        let (login, hash) = (login(user), "a".repeat(86));
        writeln!(
            csv,
            "{login},{{SHA512-CRYPT}}$6$salt${hash},65534,65534,/var/mail/{login},Maildir,\"10000000S,1000C\",User {user}"
        )
        .expect("a row");
    }
    csv.into_inner().expect("the rows");
    let accounts = Accounts::empty(kind);
    let arguments = ["account".as_ref(), "import".as_ref(), path.as_os_str()];
    let run = peak::run(command(&accounts).args(arguments), &files.join("output"));
    (accounts, run)
}

fn command(accounts: &Accounts) -> Command {
    let mut command = Command::new(program("mailauth"));
    command.arg("--config").arg(accounts.config_path());
    command
}

/// There is no command that imports aliases.
fn add_aliases(accounts: &Accounts, aliases: u64) {
    const ROWS: usize = 10_000;
    let all: Vec<u64> = (0..aliases).collect();
    for some in all.chunks(ROWS * 20) {
        let mut sql = String::from("BEGIN;\n");
        for rows in some.chunks(ROWS) {
            let row =
                |alias: &u64| format!("('alias-of-{0}', '{1}', '{0}', '{LONG_AGO}')", login(*alias), domain(*alias));
            let rows: Vec<_> = rows.iter().map(row).collect();
            let columns = "address, domain, target, updated_at";
            writeln!(sql, "INSERT INTO aliases ({columns}) VALUES {};", rows.join(",")).expect("text");
        }
        sql.push_str("COMMIT;\n");
        accounts.sql_without_checks(&sql);
    }
}

fn domain(user: u64) -> String {
    format!("d{:04}.example", user / OF_DOMAIN)
}

/// Changes the accounts of a domain as a program of others might, which tells nobody. Returns the seconds until the copy has
/// all of them.
fn wait_for_changes(accounts: &Accounts, name: &str) -> f64 {
    let now = match accounts.kind() {
        Kind::Sqlite => "CURRENT_TIMESTAMP",
        Kind::MariaDb | Kind::MySql => "UTC_TIMESTAMP()",
        Kind::Postgres => "(now() AT TIME ZONE 'UTC')",
    };
    accounts.sql_without_checks(&format!(
        "UPDATE accounts SET name = '{name}', updated_at = {now} WHERE domain = 'd0000.example'"
    ));
    let begin = Instant::now();
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY;
    let copy = Connection::open_with_flags(accounts.snapshot_file(), flags).expect("the copy");
    let sql = "SELECT COUNT(*) FROM accounts WHERE login < 'user0001000' AND name = ?";
    wait_for(|| copy.query_row(sql, [name], |row| row.get::<_, i64>(0)).is_ok_and(|copied| copied == CHANGES as i64));
    begin.elapsed().as_secs_f64()
}

fn wait_for(so: impl Fn() -> bool) {
    let begin = Instant::now();
    while !so() {
        assert!(begin.elapsed() < Duration::from_secs(1800), "it does not end");
        std::thread::sleep(Duration::from_millis(20));
    }
}

fn look_ups(socket: &Path, users: u64, time: Duration) -> f64 {
    let outcome = again_and_again(
        CLIENTS,
        time / 5,
        time,
        || (),
        |number| {
            let mut random = Random::of(number);
            move || {
                let login = login(random.draw() % users);
                let begin = Instant::now();
                (looked_up(socket, &login), begin.elapsed())
            }
        },
    );
    assert_eq!(outcome.wrong, 0, "the daemon answers wrongly, and is not measured");
    outcome.rate()
}
