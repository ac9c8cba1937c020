//! Many accounts log in for the first time at once, and their passwords are hashed together. Needs perl, which calls
//! crypt(3).

mod harness;

use harness::*;
use std::io::Write;
use std::process::{Command, Stdio};

/// Accounts, a third of them with each of these numbers of rounds.
const ACCOUNTS: usize = 36;
const ROUNDS: [u32; 3] = [1000, 5000, 20_000];

/// Reads a password and a setting on each line, and writes what crypt(3) makes of them.
const CRYPT: &str =
    r#"while (<>) { chomp; my ($password, $setting) = split / /; print crypt($password, $setting), "\n" }"#;

fn password(number: usize) -> String {
    // Lengths with one block and with several blocks in a round.
    format!("secret-{number}-{}", "x".repeat(number * 3 % 80))
}

/// Returns a hash for each account, as crypt(3) makes it.
fn hashes() -> Vec<String> {
    let lines: String = (0..ACCOUNTS)
        .map(|number| {
            let (rounds, salt) = (ROUNDS[number % 3], &"saltsaltsaltsalt"[..number % 17]);
            format!("{} $6$rounds={rounds}${salt}$\n", password(number))
        })
        .collect();
    let mut perl = Command::new("perl")
        .args(["-e", CRYPT])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .expect("this test needs perl: apt-get install perl");
    perl.stdin.take().unwrap().write_all(lines.as_bytes()).unwrap();
    let output = perl.wait_with_output().unwrap();
    let hashes: Vec<String> = String::from_utf8(output.stdout).unwrap().lines().map(str::to_owned).collect();
    assert!(hashes.len() == ACCOUNTS && hashes.iter().all(|hash| hash.starts_with("$6$")), "{hashes:?}");
    hashes
}

#[test]
fn first_logins_that_wait_together_each_get_their_own_answer() {
    let rows = hashes().into_iter().enumerate().map(|(number, hash)| row(&format!("u{number}@x.example"), &hash));
    let server = serve_with(&Table::with(rows), |courier| courier.request = LONG * 10);
    let server = &server;
    std::thread::scope(|scope| {
        let ask = |login: String, password: String| scope.spawn(move || server.ask(auth(&login, &password)));
        let answers: Vec<_> = (0..ACCOUNTS)
            .map(|number| {
                let other = (number + 1) % ACCOUNTS;
                let wrong = ask(format!("u{other}"), password(number));
                let good = ask(format!("u{number}"), password(number));
                (good, wrong, ask(format!("nobody{number}"), password(number)))
            })
            .collect();
        for (number, (good, wrong, unknown)) in answers.into_iter().enumerate() {
            assert_eq!(good.join().unwrap(), record(&format!("u{number}")));
            assert_eq!(wrong.join().unwrap(), "FAIL\n", "a wrong password of the account after {number}");
            assert_eq!(unknown.join().unwrap(), "FAIL\n", "nobody{number}");
        }
    });
    let status = status(server);
    assert_eq!(status.logins.yes, ACCOUNTS as u64);
    assert_eq!(status.logins.no.get("wrong-password"), Some(&(ACCOUNTS as u64)));
    assert_eq!(status.logins.no.get("unknown-login"), Some(&(ACCOUNTS as u64)));
}
