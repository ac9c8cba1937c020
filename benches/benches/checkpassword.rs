//! mailauth-pop3 compared with another program that reads logins from descriptor 3, and with the minimum that any such
//! program does; then whole POP3 logins, compared with Courier's. All on the same rows in one run.
//!
//! `cargo bench -p mailauth-benches --bench checkpassword`, as root, with Debian's `cvm`, `cvm-mysql`, `courier-pop`,
//! `mailfront` and a C compiler. A run is from the start of the program to the end of /bin/true, which it executes:
//! one at a time, and four at a time. Passwords are stored in clear, which cvm-mysql compares at the lowest cost.
//! Contestants take turns, so that a machine that slows down slows all of them. Each figure is the median of the
//! rounds, each ratio the median of the ratios within a round. `MAILAUTH_BENCH_ROUNDS` (5) and `MAILAUTH_BENCH_SECONDS`
//! (2) make it longer; `spawn` or `pop3` on the command line chooses a half.
//!
//! For POP3 logins, couriertcpd accepts the connections of both. Behind it is a front end in C that does what
//! qmail-popup does, then mailauth-pop3 and mailfront's pop3front-maildir; or Courier's own login program with
//! authdaemond, then courierpop3d.

use mailauth_benches::load::{Outcome, again_and_again};
use mailauth_benches::spawn::Program;
use mailauth_benches::summary::{Table, median};
use mailauth_tests::checkpassword::record;
use mailauth_tests::pop3::Pop3;
use mailauth_tests::{
    Accounts, Child, Courier, Kind, MailHost, Mailauth, Scratch, eventually, free_port, program, run, static_program,
};
use std::fs;
use std::net::TcpStream;
use std::os::unix::fs::chown;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

const USERS: usize = 1000;
const DOMAIN: &str = "clear.example";
const TIMESTAMP: &str = "<1.1700000000@popup.example>";
const WARM_UP: Duration = Duration::from_millis(300);

/// Numbers of concurrent clients.
const CLIENTS: [usize; 2] = [1, 4];

fn main() {
    let number = |name, default| std::env::var(name).map_or(default, |text| text.parse().expect(name));
    let settings = Settings {
        rounds: number("MAILAUTH_BENCH_ROUNDS", 5),
        time: Duration::from_secs(number("MAILAUTH_BENCH_SECONDS", 2)),
    };
    let wanted = std::env::args().skip(1).find(|word| !word.starts_with('-')).unwrap_or_default();
    let lab = Lab::new();
    if "spawn".contains(&wanted) {
        spawns(&lab, &settings);
    }
    if "pop3".contains(&wanted) {
        logins(&lab, &settings);
    }
}

struct Settings {
    rounds: u64,
    time: Duration,
}

/// The same accounts in MariaDB and in SQLite, a mailauth-courier on each, and a folder.
struct Lab {
    files: Scratch,
    mariadb: Accounts,
    sqlite: Accounts,
    /// On MariaDB, and on SQLite.
    daemons: [Mailauth; 2],
}

impl Lab {
    fn new() -> Self {
        let files = Scratch::new("checkpassword");
        let home = files.join("home");
        let owner = MailHost::OWNER;
        for folder in ["", "Maildir", "Maildir/cur", "Maildir/new", "Maildir/tmp"] {
            fs::create_dir(home.join(folder)).expect("a folder");
            chown(home.join(folder), Some(owner.uid), Some(owner.gid)).expect("its owner");
        }
        let mut csv = String::from("login,password,uid,gid,home,maildir\n");
        for user in 0..USERS {
            let ids = format!("{},{}", owner.uid, owner.gid);
            csv += &format!("{},{{PLAIN}}{},{ids},{},Maildir\n", login(user), password(user), home.display());
        }
        let mariadb = Accounts::empty(Kind::MariaDb).with(&csv);
        let sqlite = Accounts::empty(Kind::Sqlite).with(&csv);
        let daemons = [&mariadb, &sqlite].map(|accounts| {
            let daemon = Mailauth::over(accounts);
            let client = format!("{}[client]\nsocket = \"{}\"\n", accounts.config(), daemon.socket().display());
            fs::write(files.join(client_config(accounts.kind())), client).expect("the configuration");
            daemon
        });
        Lab { files, mariadb, sqlite, daemons }
    }

    /// Returns the configuration of a client of our daemon on this database.
    fn client_config(&self, kind: Kind) -> PathBuf {
        self.files.join(client_config(kind))
    }

    /// Compiles a C program of this bench, named as its file, and returns its path.
    fn compiled(&self, name: &str, options: &[&str]) -> PathBuf {
        let source = Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("benches/checkpassword/{name}.c"));
        let path = self.files.join(name);
        run(Command::new("cc").arg("-O2").args(options).arg("-o").arg(&path).arg(source));
        path
    }

    /// Starts cvm-mysql as a daemon on the accounts in MariaDB. Returns it and the module name by which it is reached.
    fn cvm(&self) -> (Child, String) {
        let socket = self.files.join("cvm");
        let module = format!("cvm-local:{}", socket.display());
        let database = self.mariadb.mariadb();
        let owner = MailHost::OWNER;
        // It reads twelve columns, even from a result with fewer.
        let query = format!(
            "SELECT SUBSTR(password, 8), login, {}, {}, home, NULL, NULL, NULL, NULL, NULL, NULL, NULL \
             FROM accounts WHERE login = CONCAT($account, '@', $domain)",
            owner.uid, owner.gid
        );
        let mut command = Command::new("/usr/bin/cvm-mysql");
        command.arg(&module).env("CVM_MYSQL_SOCKET", database.server().socket()).env("CVM_MYSQL_QUERY", query);
        command.env("CVM_MYSQL_DB", database.name()).env("CVM_MYSQL_USER", database.name());
        command.env("CVM_MYSQL_PASS", database.password());
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        let daemon = Child::spawn(command);
        eventually("cvm-mysql", Duration::from_secs(20), || UnixStream::connect(&socket).is_ok());
        (daemon, module)
    }
}

fn client_config(kind: Kind) -> String {
    format!("{kind:?}.toml")
}

fn login(user: usize) -> String {
    format!("user{user:06}@{DOMAIN}")
}

fn password(user: usize) -> String {
    format!("secret-{user}")
}

/// Returns the contestants of the first half, in the order of the table.
fn contestants(lab: &Lab, module: &str) -> Vec<(&'static str, Program)> {
    let [mariadb, sqlite] = [Kind::MariaDb, Kind::Sqlite].map(|kind| lab.client_config(kind));
    let ours = |path: PathBuf, config: PathBuf| Program::new(&path, ["/bin/true"]).env("MAILAUTH_CONFIG", config);
    let next = || ["/bin/true"];
    let cvm = Program::new(Path::new("/usr/bin/cvm-checkpassword"), [module, "/bin/true"]);
    let direct = || program("mailauth-pop3-database");
    vec![
        ("a C program that exits at once", Program::new(&lab.compiled("exits", &[]), next())),
        ("the floor: static C, reads, drops, execs", Program::new(&lab.compiled("floor", &["-static"]), next())),
        ("mailauth-pop3, daemon on SQLite", ours(static_program("mailauth-pop3"), sqlite)),
        ("mailauth-pop3, daemon on MariaDB", ours(static_program("mailauth-pop3"), mariadb.clone())),
        ("mailauth-pop3 not static, daemon on MariaDB", ours(program("mailauth-pop3"), mariadb)),
        ("mailauth-pop3-database, SQLite", ours(direct(), lab.sqlite.config_path())),
        ("mailauth-pop3-database, MariaDB", ours(direct(), lab.mariadb.config_path())),
        ("cvm-checkpassword, cvm-mysql daemon on MariaDB", cvm),
    ]
}

fn spawns(lab: &Lab, settings: &Settings) {
    let (_daemon, module) = lab.cvm();
    let contestants: Vec<_> = contestants(lab, &module)
        .into_iter()
        .map(|(name, program)| (name, program.env("PATH", "/usr/bin:/bin").env("TCPREMOTEIP", "127.0.0.1")))
        .collect();
    let records: Vec<Vec<u8>> = (0..USERS).map(|user| record(login(user), password(user), TIMESTAMP)).collect();
    let rounds = take_turns(settings, contestants.len(), |index, clients| {
        measure(clients, settings.time, |user| {
            let begin = Instant::now();
            (contestants[index].1.run(&records[user]) == Ok(true), begin.elapsed())
        })
    });
    let headings =
        ["start to the end of /bin/true", "p50 ms", "of the floor", "four at a time, runs/s", "of the floor"];
    let mut table = Table::new(&headings);
    let floor = 1;
    for (index, (name, _)) in contestants.iter().enumerate() {
        let [one, four] = [0, 1];
        table.row(vec![
            (*name).to_owned(),
            format!("{:.2}", figure(&rounds, |round| p50(&round[index][one]))),
            format!("{:.2}", figure(&rounds, |round| p50(&round[index][one]) / p50(&round[floor][one]))),
            format!("{:.0}", figure(&rounds, |round| round[index][four].rate())),
            format!("{:.2}", figure(&rounds, |round| round[index][four].rate() / round[floor][four].rate())),
        ]);
    }
    println!("\n{table}");
}

fn logins(lab: &Lab, settings: &Settings) {
    let courier = Courier::over(&lab.mariadb);
    let theirs = courier.pop3();
    let ours = popup(lab);
    let services =
        [("qmail-popup's part, mailauth-pop3, mailfront", ours.port), ("courier-pop, authdaemond", theirs.port())];
    let rounds = take_turns(settings, services.len(), |index, clients| {
        measure(clients, settings.time, |user| {
            let begin = Instant::now();
            let mut client = Pop3::connect(services[index].1);
            let said = client.login(&login(user), &password(user));
            let took = begin.elapsed();
            client.command("QUIT");
            (said.starts_with("+OK"), took)
        })
    });
    let headings = ["POP3, MariaDB", "p50 ms", "logins/s", "four at a time, p50 ms", "logins/s"];
    let mut table = Table::new(&headings);
    for (index, (name, _)) in services.iter().enumerate() {
        let mut cells = vec![(*name).to_owned()];
        for at in 0..CLIENTS.len() {
            cells.push(format!("{:.2}", figure(&rounds, |round| p50(&round[index][at]))));
            cells.push(format!("{:.0}", figure(&rounds, |round| round[index][at].rate())));
        }
        table.row(cells);
    }
    println!("\n{table}");
    for (at, clients) in CLIENTS.iter().enumerate() {
        let ratio = figure(&rounds, |round| round[0][at].rate() / round[1][at].rate());
        println!("{clients} at a time: {ratio:.2} times Courier's logins per second");
    }
}

/// A POP3 service that logs in by mailauth-pop3.
struct Service {
    port: u16,
    _process: Child,
}

fn popup(lab: &Lab) -> Service {
    let front = lab.compiled("popup", &["-static"]);
    for _ in 0..5 {
        let port = free_port();
        let mut command = Command::new("couriertcpd");
        command.args(["-address=127.0.0.1", "-maxprocs=100", "-maxperip=100", "-nodnslookup", "-noidentlookup"]);
        command.arg(port.to_string()).arg(&front).arg(static_program("mailauth-pop3"));
        command.args(["/usr/sbin/pop3front-maildir"]).env("MAILAUTH_CONFIG", lab.client_config(Kind::MariaDb));
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        let mut process = Child::spawn(command);
        eventually("the POP3 service", Duration::from_secs(20), || {
            TcpStream::connect(("127.0.0.1", port)).is_ok() || !process.runs()
        });
        if process.runs() {
            return Service { port, _process: process };
        }
    }
    panic!("couriertcpd does not start; the log of mailauth-courier:\n{}", lab.daemons[0].log());
}

/// Runs each contestant in each round with each number of clients, and returns the outcomes in that order: round,
/// contestant, number of clients.
fn take_turns(
    settings: &Settings,
    contestants: usize,
    mut run: impl FnMut(usize, usize) -> Outcome,
) -> Vec<Vec<Vec<Outcome>>> {
    let mut rounds = Vec::new();
    for round in 1..=settings.rounds {
        eprintln!("round {round} of {}", settings.rounds);
        let mut one = vec![Vec::new(); contestants];
        for clients in CLIENTS {
            for (index, outcomes) in one.iter_mut().enumerate() {
                outcomes.push(run(index, clients));
            }
        }
        rounds.push(one);
    }
    rounds
}

/// Runs a number of concurrent clients, each of which logs in to one account after the other.
fn measure(clients: usize, time: Duration, log_in: impl Fn(usize) -> (bool, Duration) + Sync) -> Outcome {
    let log_in = &log_in;
    let outcome = again_and_again(
        clients,
        WARM_UP,
        time,
        || (),
        |number| {
            let mut users = (0..USERS).cycle().skip(number * USERS / clients);
            move || log_in(users.next().expect("no end"))
        },
    );
    assert_eq!(outcome.wrong, 0, "a contestant answered wrongly, so its figures are meaningless");
    outcome
}

fn p50(outcome: &Outcome) -> f64 {
    outcome.percentile(0.50)
}

fn figure(rounds: &[Vec<Vec<Outcome>>], of: impl Fn(&Vec<Vec<Outcome>>) -> f64) -> f64 {
    median(rounds.iter().map(of))
}
