//! SMTP AUTH by Exim: the ways to ask mailauth, compared with Exim's own look-ups, with Courier's authdaemond, and with the
//! cheapest condition of each kind.
//!
//! `cargo bench -p mailauth-benches --bench exim`, as root, with what `tests/run` installs and a C compiler. Each
//! contestant is a real Exim with a configuration that differs in `server_condition` alone, over the same 1,000 accounts
//! with a cheap hash (`{SHA}`, which Exim can compare too); they take turns, so that a machine that slows down slows all of
//! them. Four clients log in, each on a connection of its own, without TLS. Each figure is the median of the rounds.
//! `MAILAUTH_BENCH_ROUNDS` (5) and `MAILAUTH_BENCH_SECONDS` (2) make it longer; words on the command line select the
//! contestants with one of them in their names.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use mailauth_benches::load::Outcome;
use mailauth_benches::processes::{processor_time, with_ended_children};
use mailauth_benches::smtp::SmtpLoad;
use mailauth_benches::summary::{Table, median};
use mailauth_tests::exim::Exim;
use mailauth_tests::{Accounts, Courier, Kind, MailHost, Mailauth, Server, library, program, run};
use sha1::{Digest, Sha1};
use std::fs;
use std::path::Path;
use std::process::Command;
use std::sync::Arc;
use std::time::Duration;

const USERS: usize = 1000;
const DOMAIN: &str = "sha1.example";
const CLIENTS: usize = 4;
const KINDS: [(Kind, &str); 3] = [(Kind::Sqlite, "SQLite"), (Kind::MariaDb, "MariaDB"), (Kind::Postgres, "PostgreSQL")];

/// An Exim with one way to ask.
struct Contestant {
    name: String,
    exim: Exim,
    /// The daemon that it asks, if any.
    daemon: Option<Daemon>,
    _host: Arc<MailHost>,
}

enum Daemon {
    Mailauth(Mailauth),
    Courier(Courier),
}

/// Figures of one contestant in one round.
#[derive(Clone, Copy)]
struct Figures {
    rate: f64,
    p50: f64,
    p99: f64,
    /// Milliseconds of processor time per login of Exim, and of the daemon.
    exim: f64,
    daemon: f64,
}

fn main() {
    let number = |name, default| std::env::var(name).map_or(default, |text| text.parse().expect(name));
    let rounds = number("MAILAUTH_BENCH_ROUNDS", 5);
    let time = Duration::from_secs(number("MAILAUTH_BENCH_SECONDS", 2));
    let wanted: Vec<String> = std::env::args().skip(1).filter(|word| !word.starts_with('-')).collect();
    let tables = KINDS.map(|(kind, name)| (Accounts::empty(kind).with(&csv()), name));
    let contestants: Vec<Contestant> = ways(&tables)
        .into_iter()
        .filter(|way| wanted.is_empty() || wanted.iter().any(|word| way.name.contains(word.as_str())))
        .map(Way::set_up)
        .collect();
    let mut figures: Vec<Vec<Figures>> = contestants.iter().map(|_| Vec::new()).collect();
    for round in 1..=rounds {
        eprintln!("round {round} of {rounds}");
        for (contestant, figures) in contestants.iter().zip(&mut figures) {
            figures.push(contestant.measure(time));
        }
    }
    report(&contestants, &figures);
}

fn report(contestants: &[Contestant], figures: &[Vec<Figures>]) {
    let headings = ["server_condition", "logins/s", "p50 ms", "p99 ms", "CPU ms, Exim", "and daemon"];
    let mut table = Table::new(&headings);
    for (contestant, figures) in contestants.iter().zip(figures) {
        let of = |figure: fn(&Figures) -> f64| median(figures.iter().map(figure));
        table.row(vec![
            contestant.name.clone(),
            format!("{:.0}", of(|f| f.rate)),
            format!("{:.2}", of(|f| f.p50)),
            format!("{:.2}", of(|f| f.p99)),
            format!("{:.2}", of(|f| f.exim)),
            format!("{:.2}", of(|f| f.daemon)),
        ]);
    }
    println!("\n{table}");
    let find = |name: &str| contestants.iter().position(|contestant| contestant.name == name);
    let ratio = |ours: &str, theirs: &str| {
        if let (Some(ours_at), Some(theirs_at)) = (find(ours), find(theirs)) {
            let pairs = figures[ours_at].iter().zip(&figures[theirs_at]);
            let rate = median(pairs.clone().map(|(ours, theirs)| ours.rate / theirs.rate));
            let p50 = median(pairs.map(|(ours, theirs)| ours.p50 / theirs.p50));
            println!("{ours}: {rate:.2} times the logins per second of {theirs}, {p50:.2} of its p50");
        }
    };
    for (_, name) in KINDS {
        for theirs in ["native look-up", "readsocket, Courier"] {
            ratio(&format!("dlfunc, {name}"), &format!("{theirs}, {name}"));
        }
        ratio(&format!("readsocket, {name}"), &format!("readsocket, Courier, {name}"));
        ratio(&format!("dlfunc, {name}"), "dlfunc in C, always yes");
    }
    ratio("run, SQLite", "run, /bin/true");
}

/// A way to ask, before its Exim is started.
struct Way<'a> {
    name: String,
    condition: String,
    /// Lines for the main section of Exim's configuration.
    main: String,
    accounts: Option<&'a Accounts>,
    daemon: DaemonKind,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum DaemonKind {
    None,
    Mailauth,
    Courier,
}

fn ways<'a>(tables: &'a [(Accounts, &'static str); 3]) -> Vec<Way<'a>> {
    let alone = |name: &str, condition: &str| Way {
        name: name.to_owned(),
        condition: condition.to_owned(),
        main: String::new(),
        accounts: None,
        daemon: DaemonKind::None,
    };
    let mut ways = vec![
        alone("always yes", "yes"),
        alone("dlfunc in C, always yes", "${dlfunc{/usr/local/lib/mailauth/one.so}{one}}"),
        alone("run, /bin/true", "${run{/bin/true}{yes}{no}}"),
    ];
    let printed = printed();
    for (accounts, name) in tables {
        let asks = |way: &str, condition: &str, daemon| Way {
            name: format!("{way}, {name}"),
            condition: condition.to_owned(),
            main: String::new(),
            accounts: Some(accounts),
            daemon,
        };
        let dlfunc = asks("dlfunc", &printed.dlfunc, DaemonKind::Mailauth);
        ways.push(Way { main: printed.preload.clone(), ..dlfunc });
        ways.push(asks("readsocket", &printed.readsocket, DaemonKind::Mailauth));
        ways.push(asks("readsocket, Courier", STOCK, DaemonKind::Courier));
        ways.push(native(accounts, name));
        if accounts.kind() == Kind::Sqlite {
            ways.push(asks("dlfunc without preload", &printed.dlfunc, DaemonKind::Mailauth));
            ways.push(asks("run", RUN, DaemonKind::Mailauth));
        }
    }
    ways
}

/// Debian's example for Courier's authdaemond.
const STOCK: &str = r"${extract {ADDRESS} {${readsocket{/run/courier/authdaemon/socket} {AUTH ${strlen:exim\nlogin\n$auth2\n$auth3\n}\nexim\nlogin\n$auth2\n$auth3\n} }} {yes} fail}";

const RUN: &str = "${run{/usr/local/lib/mailauth/mailauth-exim --insecure-argv login smtp $auth2 $auth3}{yes}{${if eq{$runrc}{1}{no}{not now}}}}";

/// The conditions that docs/exim.md prints for AUTH PLAIN, and the line that makes Exim's daemon load the object.
struct Printed {
    dlfunc: String,
    readsocket: String,
    preload: String,
}

fn printed() -> Printed {
    let page = fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/exim.md")).expect("docs/exim.md");
    let page: String = page.split("\\\n").map(str::trim_start).collect();
    let mut definitions = page.lines().filter_map(|line| line.strip_prefix("MAILAUTH_PLAIN = "));
    let whole = |text: &str| {
        text.replace("MAILAUTH_OBJECT", "/usr/local/lib/mailauth/libmailauth_exim.so")
            .replace("MAILAUTH_SOCKET", MailHost::SOCKET)
    };
    let mut next = |with: &str| whole(definitions.find(|condition| condition.contains(with)).expect("a definition"));
    let (dlfunc, readsocket) = (next("${dlfunc"), next("${readsocket"));
    let preload = page.lines().find(|line| line.contains("mailauth_preload")).expect("the line that preloads");
    Printed { dlfunc, readsocket, preload: whole(preload) + "\n" }
}

/// Returns Exim's own look-up, where Exim compares the hash itself.
fn native<'a>(accounts: &'a Accounts, name: &str) -> Way<'a> {
    let (lookup, value, main) = match accounts.kind() {
        Kind::Sqlite => {
            let file = accounts.file();
            // It opens the file for writing, as Exim's user.
            run(Command::new("sh")
                .args(["-c", "chmod a+rwx \"$0\" && chmod a+rw \"$1\"*"])
                .arg(file.parent().expect("its folder"))
                .arg(&file));
            ("sqlite", r"'\{sha1\}' || SUBSTR(password, 6)", format!("sqlite_dbfile = {}\n", file.display()))
        }
        Kind::MariaDb | Kind::MySql => {
            let database = accounts.mariadb();
            let (name, password, socket) = (database.name(), database.password(), database.server().socket());
            let server = format!("localhost({})/{name}/{name}/{password}", socket.display());
            ("mysql", r"CONCAT('\{sha1\}', SUBSTR(password, 6))", format!("hide mysql_servers = {server}\n"))
        }
        Kind::Postgres => {
            let database = accounts.postgres();
            let (name, password) = (database.name(), database.password());
            let socket = database.server().socket().join(format!(".s.PGSQL.{}", database.server().port()));
            let server = format!("({})/{name}/{name}/{password}", socket.display());
            ("pgsql", r"'\{sha1\}' || SUBSTR(password, 6)", format!("hide pgsql_servers = {server}\n"))
        }
    };
    let condition = format!(
        "${{if crypteq{{$auth3}}{{${{lookup {lookup}{{SELECT {value} FROM accounts WHERE \
         login='${{quote_{lookup}:$auth2}}'}}}}}}{{yes}}{{no}}}}"
    );
    let accounts = Some(accounts);
    Way { name: format!("native look-up, {name}"), condition, main, accounts, daemon: DaemonKind::None }
}

impl Way<'_> {
    fn set_up(self) -> Contestant {
        let host = Arc::new(MailHost::with_own(&Exim::OWN));
        let daemon = match (self.daemon, self.accounts) {
            (DaemonKind::Mailauth, Some(accounts)) => {
                let courier = "socket_mode = \"0666\"\nallow_users = [\"Debian-exim\"]\n";
                Some(Daemon::Mailauth(Mailauth::on_with(&host, accounts, courier)))
            }
            (DaemonKind::Courier, Some(accounts)) => {
                let daemon = Courier::on(Arc::clone(&host), accounts);
                run(host.command("chmod").args(["a+rwx", "/run/courier/authdaemon", MailHost::SOCKET]));
                Some(Daemon::Courier(daemon))
            }
            _ => None,
        };
        let mut exim = Exim::on(Arc::clone(&host));
        let folder = host.inside(Exim::FOLDER);
        fs::create_dir_all(&folder).expect("a folder");
        for file in [library("libmailauth_exim.so"), program("mailauth-exim")] {
            fs::copy(&file, folder.join(file.file_name().expect("a name"))).expect("a file of the test");
        }
        let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("benches/exim/one.c");
        run(Command::new("cc").args(["-O2", "-shared", "-fPIC", "-o"]).arg(folder.join("one.so")).arg(source));
        let (main, condition) = (self.main, self.condition);
        exim.write(
            "/etc/exim4/exim4.conf",
            &format!(
                "primary_hostname = mail.example\ntls_advertise_hosts =\nsmtp_accept_max = 100\nqueue_only\n{main}\
                 begin acl\nremember_login:\n  accept set acl_c_login = $acl_arg1\n\
                 begin authenticators\nplain:\n  driver = plaintext\n  public_name = PLAIN\n  server_prompts = :\n  \
                 server_condition = {condition}\n  server_set_id = $auth2\n"
            ),
        );
        if let (Some(Daemon::Mailauth(_)), Some(accounts)) = (&daemon, self.accounts) {
            let client = format!("[client]\nsocket = \"{}\"\nfallback = \"none\"\n", MailHost::SOCKET);
            exim.write("/etc/mailauth/mailauth.toml", &(accounts.config() + &client));
        }
        exim.start();
        Contestant { name: self.name, exim, daemon, _host: host }
    }
}

impl Contestant {
    fn measure(&self, time: Duration) -> Figures {
        let exim = self.exim.pid();
        let daemon = self.daemon.as_ref().map(|daemon| match daemon {
            Daemon::Mailauth(daemon) => daemon.pid(),
            Daemon::Courier(daemon) => daemon.pid(),
        });
        let cost = || (with_ended_children(exim), daemon.map_or(Duration::ZERO, processor_time));
        let mut before = cost();
        let load = SmtpLoad { port: self.exim.port(), clients: CLIENTS, time, users: USERS, domain: DOMAIN };
        let outcome: Outcome = load.run(|| before = cost());
        let after = cost();
        assert_eq!(outcome.wrong, 0, "{} answered wrongly:\n{}", self.name, self.exim.log("mainlog"));
        let each = |time: Duration| time.as_secs_f64() * 1e3 / outcome.micros.len() as f64;
        Figures {
            rate: outcome.rate(),
            p50: outcome.percentile(0.50),
            p99: outcome.percentile(0.99),
            exim: each(after.0.saturating_sub(before.0)),
            daemon: each(after.1.saturating_sub(before.1)),
        }
    }
}

/// Returns the accounts in CSV. Home and Maildir are set, so that both servers answer with the same record.
fn csv() -> String {
    let mut csv = String::from("login,password,uid,gid,home,maildir\n");
    for user in 0..USERS {
        let hash = STANDARD.encode(Sha1::digest(format!("secret-{user}")));
        csv += &format!("user{user:06}@{DOMAIN},{{SHA}}{hash},65534,65534,/var/mail/{DOMAIN}/user{user:06},Maildir\n");
    }
    csv
}
