//! Accounts that logged in recently: mailauth-courier with its defaults, the real courier-authdaemond, and a bare server.
//!
//! `cargo bench -p mailauth-benches --bench remembered`, as root. On each database three tasks, by 16 concurrent clients:
//! logins of 1,000 accounts with `{SHA256}`, logins of 20 accounts with `$6$`, and look-ups of the 1,000. The bare server
//! is a process of its own with as many threads as mailauth-courier has by default. Each accepts, reads the client's
//! credentials and its request, writes the same account and closes: the system calls of an answer, and nothing else. The three take
//! turns, so that a machine that slows down slows all of them. Each figure is the median of the rounds, each ratio the
//! median of the ratios within a round. `MAILAUTH_BENCH_ROUNDS` (5) and `MAILAUTH_BENCH_SECONDS` (2) make it longer; a
//! word on the command line selects the databases by a part of the name.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use mailauth_benches::load::{COLUMNS, Load, Question, account};
use mailauth_benches::processes::processor_time;
use mailauth_benches::summary::{Table, median};
use mailauth_tests::{Accounts, Child, Courier, Kind, Mailauth, Scratch, eventually, run_with_input};
use rustix::net::{AddressFamily, SocketAddrUnix, SocketType};
use rustix::net::{accept, bind, listen, socket, sockopt::socket_peercred};
use rustix::process::Pid;
use sha2::{Digest, Sha256};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

/// First argument that makes this program run as the bare server.
const BARE: &str = "bare-server";
/// Threads of the bare server: as many as mailauth-courier has by default.
const BARE_THREADS: usize = 8;
const CONNECTIONS: usize = 16;

/// A request that is repeated.
struct Task {
    name: &'static str,
    question: Question,
    users: u64,
    domain: &'static str,
}

const TASKS: [Task; 3] = [
    Task { name: "{SHA256} logins", question: Question::Login, users: 1000, domain: "sha256.example" },
    Task { name: "$6$ logins", question: Question::Login, users: 20, domain: "crypt.example" },
    Task { name: "look-ups", question: Question::LookUp, users: 1000, domain: "sha256.example" },
];

/// A server under test.
struct Server {
    name: &'static str,
    socket: PathBuf,
    pid: Pid,
}

/// Figures of one server in one round.
struct Figures {
    rate: f64,
    p50: f64,
    p99: f64,
    /// Microseconds of processor time per answer of the daemon alone.
    daemon: f64,
}

fn main() {
    let mut arguments = std::env::args().skip(1).filter(|word| !word.starts_with('-'));
    let first = arguments.next().unwrap_or_default();
    if first == BARE {
        return be_bare(Path::new(&arguments.next().expect("a socket")));
    }
    let number = |name, default| std::env::var(name).map_or(default, |text| text.parse().expect(name));
    let rounds = number("MAILAUTH_BENCH_ROUNDS", 5);
    let time = Duration::from_secs(number("MAILAUTH_BENCH_SECONDS", 2));
    let mut table = Table::new(&["database, task", "server", "answers/s", "p50 ms", "p99 ms", "CPU us/answer"]);
    let mut ratios = Vec::new();
    for kind in [Kind::Sqlite, Kind::MariaDb, Kind::Postgres] {
        if format!("{kind:?}").to_lowercase().contains(&first) {
            compare(kind, rounds, time, &mut table, &mut ratios);
        }
    }
    println!("\n{table}");
    ratios.iter().for_each(|ratio| println!("{ratio}"));
}

fn compare(kind: Kind, rounds: u64, time: Duration, table: &mut Table, ratios: &mut Vec<String>) {
    let accounts = Accounts::empty(kind).with(&csv());
    let courier = Courier::over(&accounts);
    let mailauth = Mailauth::over(&accounts);
    let folder = Scratch::new("bare");
    let bare = start_bare(&folder.join("socket"));
    let servers = [
        Server { name: "courier", socket: courier.socket(), pid: courier.pid() },
        Server { name: "mailauth", socket: mailauth.socket().to_owned(), pid: mailauth.pid() },
        Server { name: "bare", socket: folder.join("socket"), pid: bare.pid() },
    ];
    for task in TASKS {
        let mut figures = [Vec::new(), Vec::new(), Vec::new()];
        for round in 1..=rounds {
            eprintln!("{kind:?}, {}, round {round} of {rounds}", task.name);
            for (server, figures) in servers.iter().zip(&mut figures) {
                figures.push(measure(server, &task, time));
            }
        }
        for (server, figures) in servers.iter().zip(&figures) {
            let of = |figure: fn(&Figures) -> f64| median(figures.iter().map(figure));
            table.row(vec![
                format!("{kind:?}, {}", task.name),
                server.name.to_owned(),
                format!("{:.0}", of(|f| f.rate)),
                format!("{:.2}", of(|f| f.p50)),
                format!("{:.2}", of(|f| f.p99)),
                format!("{:.1}", of(|f| f.daemon)),
            ]);
        }
        let [theirs, ours, bare] = &figures;
        let ratio = |to: &[Figures], figure: fn(&Figures) -> f64| {
            median(ours.iter().zip(to).map(|(ours, other)| figure(ours) / figure(other)))
        };
        ratios.push(format!(
            "{kind:?}, {}: {:.2} times Courier's answers per second, {:.2} of its processor time, {:.2} of the bare \
             server's answers per second",
            task.name,
            ratio(theirs, |f| f.rate),
            ratio(theirs, |f| f.daemon),
            ratio(bare, |f| f.rate),
        ));
    }
}

fn csv() -> String {
    let digest = |user| format!("{{SHA256}}{}", STANDARD.encode(Sha256::digest(format!("secret-{user}"))));
    let plain = (0..1000).map(|user| account(user, "sha256.example", &digest(user)));
    let passwords: String = (0..20).map(|user| format!("secret-{user}\n")).collect();
    let hashes = run_with_input(Command::new("openssl").args(["passwd", "-6", "-stdin"]), &passwords);
    let crypted = hashes.lines().zip(0..).map(|(hash, user)| account(user, "crypt.example", hash));
    COLUMNS.to_owned() + &plain.chain(crypted).collect::<String>()
}

fn measure(server: &Server, task: &Task, time: Duration) -> Figures {
    let cost = || processor_time(server.pid);
    let mut before = cost();
    let load = Load {
        socket: server.socket.clone(),
        question: task.question,
        connections: CONNECTIONS,
        time,
        users: task.users,
        domain: task.domain,
    };
    let outcome = load.run(|| before = cost());
    let used = cost() - before;
    assert_eq!(outcome.wrong, 0, "{} answered wrongly, so its figures are meaningless", server.name);
    Figures {
        rate: outcome.rate(),
        p50: outcome.percentile(0.50),
        p99: outcome.percentile(0.99),
        daemon: used.as_secs_f64() * 1e6 / outcome.micros.len() as f64,
    }
}

fn start_bare(socket: &Path) -> Child {
    let mut command = Command::new(std::env::current_exe().expect("this program"));
    command.arg(BARE).arg(socket);
    let bare = Child::spawn(command);
    eventually("the bare server", Duration::from_secs(10), || socket.exists());
    bare
}

/// Serves one and the same answer: the system calls of an answer, and nothing else.
fn be_bare(path: &Path) {
    const ANSWER: &[u8] = b"USERNAME=user000000@sha256.example\nGECOS=User 0\nUID=65534\nGID=65534\n\
        HOME=/var/mail/sha256.example/user000000\nADDRESS=user000000@sha256.example\nMAILDIR=Maildir\n\
        QUOTA=10000000S,1000C\n.\n";
    let listener = socket(AddressFamily::UNIX, SocketType::STREAM, None).expect("a socket");
    bind(&listener, &SocketAddrUnix::new(path).expect("a path")).expect("the socket");
    listen(&listener, 128).expect("a listening socket");
    let serve = || {
        let mut request = [0; 8192];
        loop {
            let client = accept(&listener).expect("a client");
            socket_peercred(&client).expect("the client's credentials");
            if rustix::io::read(&client, &mut request).is_ok_and(|count| count > 0) {
                // A client may have closed.
                let _ = rustix::io::write(&client, ANSWER);
            }
        }
    };
    std::thread::scope(|scope| (0..BARE_THREADS).for_each(|_| drop(scope.spawn(serve))));
}
