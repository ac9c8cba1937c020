//! mailauth-courier with a profile compared with the real courier-authdaemond with the documented configuration, on the same
//! rows of PostfixAdmin's tables in one run.
//!
//! `cargo bench -p mailauth-benches --bench profiles`, as root. On MariaDB: 10,000 accounts with the cheapest hash, look-ups
//! and logins, nothing cached, and rounds in which the two take turns. Each figure is the median of the rounds, each ratio the
//! median of the ratios within a round. Courier reads one table; mailauth also reads whether the domain is active.
//! `MAILAUTH_BENCH_ROUNDS` (5) and `MAILAUTH_BENCH_SECONDS` (3) make it longer; a word on the command line selects look-ups or
//! logins by a part of the name.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use mailauth_benches::load::Question;
use mailauth_benches::side_by_side::{Comparison, HEADINGS, Server};
use mailauth_benches::summary::Table;
use mailauth_tests::schemas::of;
use mailauth_tests::{Accounts, Courier, Kind, Mailauth};
use sha2::{Digest, Sha256};
use std::time::Duration;

const USERS: u64 = 10_000;
const DOMAIN: &str = "sha256.example";

/// Number of rows in one statement.
const AT_ONCE: usize = 1000;

fn main() {
    let number = |name, default| std::env::var(name).map_or(default, |text| text.parse().expect(name));
    let rounds = number("MAILAUTH_BENCH_ROUNDS", 5);
    let time = Duration::from_secs(number("MAILAUTH_BENCH_SECONDS", 3));
    let wanted = std::env::args().skip(1).find(|word| !word.starts_with('-')).unwrap_or_default();
    let schema = of("postfixadmin");
    let accounts = Accounts::holding(Kind::MariaDb, &(schema.sql(Kind::MariaDb) + &rows()), schema.config);
    let database = Some(accounts.server().pid());
    let courier = Courier::over_columns(&accounts, &Courier::POSTFIXADMIN);
    let mailauth = Mailauth::with(&accounts, "[cache]\nenabled = false");
    let mut table = Table::new(&HEADINGS);
    let mut ratios = Vec::new();
    for (name, question) in [("look-ups", Question::LookUp), ("logins", Question::Login)] {
        if !name.contains(&wanted) {
            continue;
        }
        let servers = [
            Server { name: "courier", socket: courier.socket(), daemon: courier.pid(), database },
            Server { name: "mailauth", socket: mailauth.socket().to_owned(), daemon: mailauth.pid(), database },
        ];
        let title = format!("PostfixAdmin, {name}");
        let comparison = Comparison { title, servers, question, users: USERS, domain: DOMAIN, rounds, time };
        ratios.extend([16, 64].map(|connections| comparison.run(connections, &mut table)));
    }
    println!("\n{table}");
    ratios.iter().for_each(|ratio| println!("{ratio}"));
}

/// Returns statements that add the accounts, each with the alias to itself that PostfixAdmin creates.
fn rows() -> String {
    let mut sql = format!("INSERT INTO domain (domain) VALUES ('{DOMAIN}');\n");
    let numbers: Vec<u64> = (0..USERS).collect();
    for users in numbers.chunks(AT_ONCE) {
        let mailboxes = users.iter().map(|user| {
            let hash = STANDARD.encode(Sha256::digest(format!("secret-{user}")));
            let name = format!("user{user:06}");
            format!(
                "('{name}@{DOMAIN}', '{{SHA256}}{hash}', 'User {user}', '{DOMAIN}/{name}/', 10000000, '{name}', '{DOMAIN}')"
            )
        });
        let mailboxes: Vec<String> = mailboxes.collect();
        sql += &format!(
            "INSERT INTO mailbox (username, password, name, maildir, quota, local_part, domain) VALUES\n{};\n",
            mailboxes.join(",\n")
        );
        let aliases: Vec<String> = users
            .iter()
            .map(|user| format!("user{user:06}@{DOMAIN}"))
            .map(|address| format!("('{address}', '{address}', '{DOMAIN}')"))
            .collect();
        sql += &format!("INSERT INTO alias (address, goto, domain) VALUES\n{};\n", aliases.join(",\n"));
    }
    sql
}
