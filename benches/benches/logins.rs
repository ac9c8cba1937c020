//! mailauth-courier compared with the real courier-authdaemond, on the same rows in one run.
//!
//! `cargo bench -p mailauth-benches --bench logins`, as root. On each database: 10,000 accounts with the cheapest hash,
//! so that the cost of the server itself shows, and rounds in which the two take turns, so that a machine that slows down slows
//! both. Each figure is the median of the rounds, each ratio the median of the ratios within a round.
//! `MAILAUTH_BENCH_ROUNDS` (5) and `MAILAUTH_BENCH_SECONDS` (3) make it longer; a word on the command line selects the
//! databases by a part of the name.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use mailauth_benches::load::{COLUMNS, Question, account};
use mailauth_benches::side_by_side::{Comparison, HEADINGS, Server};
use mailauth_benches::summary::Table;
use mailauth_tests::{Accounts, Courier, Kind, Mailauth};
use sha2::{Digest, Sha256};
use std::time::Duration;

const USERS: u64 = 10_000;
const DOMAIN: &str = "sha256.example";

fn main() {
    let number = |name, default| std::env::var(name).map_or(default, |text| text.parse().expect(name));
    let rounds = number("MAILAUTH_BENCH_ROUNDS", 5);
    let time = Duration::from_secs(number("MAILAUTH_BENCH_SECONDS", 3));
    let wanted = std::env::args().skip(1).find(|word| !word.starts_with('-')).unwrap_or_default();
    let mut table = Table::new(&HEADINGS);
    let mut ratios = Vec::new();
    for kind in [Kind::Sqlite, Kind::MariaDb, Kind::Postgres] {
        if format!("{kind:?}").to_lowercase().contains(&wanted) {
            compare(kind, rounds, time, &mut table, &mut ratios);
        }
    }
    println!("\n{table}");
    ratios.iter().for_each(|ratio| println!("{ratio}"));
}

fn compare(kind: Kind, rounds: u64, time: Duration, table: &mut Table, ratios: &mut Vec<String>) {
    let accounts = Accounts::empty(kind).with(&csv());
    let database = (kind != Kind::Sqlite).then(|| accounts.server().pid());
    let courier = Courier::over(&accounts);
    // To measure logins that are not remembered.
    let mailauth = Mailauth::with(&accounts, "[cache]\nenabled = false");
    let servers = [
        Server { name: "courier", socket: courier.socket(), daemon: courier.pid(), database },
        Server { name: "mailauth", socket: mailauth.socket().to_owned(), daemon: mailauth.pid(), database },
    ];
    let title = format!("{kind:?}");
    let comparison =
        Comparison { title, servers, question: Question::Login, users: USERS, domain: DOMAIN, rounds, time };
    ratios.extend([16, 64].map(|connections| comparison.run(connections, table)));
}

fn csv() -> String {
    let row = |user| {
        account(user, DOMAIN, &format!("{{SHA256}}{}", STANDARD.encode(Sha256::digest(format!("secret-{user}")))))
    };
    COLUMNS.to_owned() + &(0..USERS).map(row).collect::<String>()
}
