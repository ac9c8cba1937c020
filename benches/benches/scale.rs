//! A million accounts in 1,000 domains, and a million aliases.
//!
//! `cargo bench -p mailauth-benches --bench scale`, as root. On each database, with the programs as they are installed: the
//! accounts are imported, listed and exported, the daemon makes its first snapshot and copies 1,000 changes, and look-ups
//! are compared with those among 10,000 accounts. Each row shows its target; the last column says whether it was met.
//!
//! `MAILAUTH_BENCH_ACCOUNTS` (1000000) is the number of accounts, `MAILAUTH_BENCH_SECONDS` (5) the duration of the look-ups,
//! and a word on the command line selects the databases by a part of the name. `MAILAUTH_SERVER_MIB` (32) is the memory
//! that MariaDB and PostgreSQL have for the pages of their tables. A whole run takes some 10 GB in the folder for
//! temporary files.

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

/// Number of accounts in each domain.
const OF_DOMAIN: u64 = 1_000;
/// Number of accounts in the small table that look-ups are compared with.
const FEW: u64 = 10_000;

/// Number of accounts that change between two refreshes of the snapshot: those of one domain.
const CHANGES: u64 = OF_DOMAIN;

/// Number of concurrent clients that look accounts up.
const CLIENTS: usize = 8;

/// Number of turns of each of the two tables.
const ROUNDS: usize = 5;

/// Time of the last change of all rows that do not change during the measurement.
const LONG_AGO: &str = "2026-01-01 00:00:00";

const MIB: f64 = 1_048_576.0;

/// Without a cache, each look-up asks the database.
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
            // A list takes as long as its reader, so there is no target for its time.
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
    // As in a table that was not filled just now: recently changed rows are read again with each refresh for a while.
    many.sql_without_checks(&format!("UPDATE accounts SET updated_at = '{LONG_AGO}'"));
    for arguments in [&["account", "list"][..], &["account", "export"], &["alias", "list"]] {
        let run = peak::run(command(&many).args(arguments), &files.join("output"));
        report.run(&arguments.join(" "), run, None, 32.0);
    }

    let many = many.with_snapshot("refresh = \"1s\"");
    let begin = Instant::now();
    let daemon = Mailauth::with(&many, WITHOUT_CACHE);
    // No snapshot is kept of an SQLite database, which is a file on this machine.
    if report.kind != Kind::Sqlite {
        wait_for(|| many.snapshot_is_whole());
        report.row("first copy", begin.elapsed().as_secs_f64(), "s", 60.0);
        // The first refresh after a whole copy begins later than others.
        wait_for_changes(&many, "first");
        let times = ["second", "third", "fourth"].map(|name| wait_for_changes(&many, name));
        // The refresh begins up to a second after the changes.
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

/// Creates a database with this number of accounts, imported from a file. Returns it and the cost of the import.
fn filled(kind: Kind, users: u64, files: &Scratch) -> (Accounts, Run) {
    let path = files.join("accounts.csv");
    let mut csv = BufWriter::new(File::create(&path).expect("a file"));
    csv.write_all(COLUMNS.as_bytes()).expect("the header");
    for user in 0..users {
        // A hash of a usual length.
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

/// Adds aliases by SQL, because no command imports them.
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

/// Changes the accounts of a domain by SQL, as another program might, without telling the daemon. Returns the seconds until
/// the snapshot has all changes.
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
        assert!(begin.elapsed() < Duration::from_secs(1800), "the daemon did not copy the rows in time");
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
    assert_eq!(outcome.wrong, 0, "the daemon answered wrongly, so its figures are meaningless");
    outcome.rate()
}
