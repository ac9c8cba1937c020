//! Guessing of passwords: it is expensive for the attacker, and free for the owner of the account.

use mailauth_tests::people::{ANNA, DORA, DORAS_PASSWORD, PASSWORD, SLOW_HASH, SLOW_PASSWORD, UNKNOWN, people};
use mailauth_tests::wire::{Manner, Outcome, Reply, ask, auth, auth_body, passwd};
use mailauth_tests::{Accounts, Kind, Mailauth, User, as_user, ended, eventually, processor_time, run_with_input};
use serde_json::Value;
use std::path::Path;
use std::process::Command;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

/// Addresses of the owner and of an attacker.
const HOME: &str = "192.0.2.1";
const AWAY: &str = "198.51.100.7";

const LONG: Duration = Duration::from_secs(20);

/// Returns accounts. Anna's hash is cheap, and that of slow@example.org takes a quarter of a second.
fn accounts() -> Accounts {
    let rows =
        people(Path::new("/var/mail")) + &format!("slow@example.org,{SLOW_HASH},5000,5000,/var/mail/slow,,,,,,true\n");
    Accounts::empty(Kind::Sqlite).with(&rows)
}

const SLOW: &str = "slow@example.org";

/// Starts a server with these keys of `[throttle]`, which caches no password, and sends each refusal at once that the
/// throttle does not delay.
fn server(accounts: &Accounts, throttle: &str) -> Mailauth {
    Mailauth::configured(|socket| {
        accounts.are_served_on(socket);
        config(accounts, socket, throttle)
    })
}

fn config(accounts: &Accounts, socket: &Path, throttle: &str) -> String {
    let config = Mailauth::config(accounts, socket, "[cache]\nenabled = false");
    config.replacen("[throttle]", &format!("[login]\nrefusal_time = \"0s\"\n[throttle]\n{throttle}"), 1)
}

/// Returns the request of a program that sends the address of its client, such as Exim.
fn from(address: Option<&str>, request: &[u8]) -> Vec<u8> {
    let line = address.map(|address| format!("TCPREMOTEIP={address}\n")).unwrap_or_default();
    [line.as_bytes(), request].concat()
}

fn attempt(server: &Mailauth, address: Option<&str>, login: &str, password: &str) -> Reply {
    ask(server.socket(), &from(address, &auth("smtp", login, password)), Manner::HalfClose)
}

fn logs_in(server: &Mailauth, address: Option<&str>, login: &str, password: &str) -> bool {
    attempt(server, address, login, password).outcome().word() == "ACCOUNT"
}

/// Sends this number of different guesses, one after the other, each of which has to be refused.
fn guess(server: &Mailauth, address: Option<&str>, login: &str, number: usize) {
    for n in 0..number {
        assert_eq!(attempt(server, address, login, &format!("guess {n}")).outcome(), Outcome::Fail);
    }
}

fn status(accounts: &Accounts) -> Value {
    serde_json::from_str(&accounts.admin(&["status", "--json"], "")).expect("JSON")
}

fn refused(accounts: &Accounts) -> u64 {
    status(accounts)["throttle"]["refused"].as_u64().expect("a number")
}

fn list(accounts: &Accounts, arguments: &[&str]) -> Vec<Value> {
    let arguments = [&["throttle", "list", "--json"], arguments].concat();
    serde_json::from_str(&accounts.admin(&arguments, "")).expect("JSON")
}

#[test]
fn a_storm_of_guesses_is_not_hashed_and_the_owner_can_log_in() {
    let accounts = accounts();
    let server = server(&accounts, "delay = \"0s\"");
    assert!(logs_in(&server, Some(HOME), SLOW, SLOW_PASSWORD));
    guess(&server, Some(AWAY), SLOW, 22);
    let (before, refused_before) = (processor_time(server.pid()), refused(&accounts));
    let (over, guesses) = (AtomicBool::new(false), AtomicUsize::new(0));
    std::thread::scope(|scope| {
        for thread in 0..8 {
            let (server, over, guesses) = (&server, &over, &guesses);
            scope.spawn(move || {
                for n in 0.. {
                    if over.load(Ordering::Relaxed) {
                        break;
                    }
                    let outcome = attempt(server, Some(AWAY), SLOW, &format!("storm {thread} {n}")).outcome();
                    assert_eq!(outcome, Outcome::Fail);
                    guesses.fetch_add(1, Ordering::Relaxed);
                }
            });
        }
        // From an address of the owner's earlier logins, and by Courier's programs, which send no address.
        for address in [Some(HOME), None, Some("127.0.0.1")] {
            assert!(logs_in(&server, address, SLOW, SLOW_PASSWORD), "{address:?}");
        }
        eventually("many guesses", LONG * 3, || guesses.load(Ordering::Relaxed) >= 2000);
        over.store(true, Ordering::Relaxed);
    });
    let guesses = guesses.into_inner() as u64;
    assert!(refused(&accounts) - refused_before >= guesses, "each guess of the storm was refused unchecked");
    // Three right logins were hashed. Each hashed guess would have taken as long as one of those.
    let took = processor_time(server.pid()) - before;
    assert!(took < Duration::from_millis(200) * guesses as u32 / 2, "{took:?} for {guesses} guesses");
    assert!(!logs_in(&server, Some(AWAY), SLOW, SLOW_PASSWORD), "the right password is not revealed there");
}

#[test]
fn an_old_password_repeated_by_a_device_does_not_lock_the_owner() {
    let accounts = accounts();
    let server = server(&accounts, "");
    for _ in 0..10_000 {
        assert_eq!(attempt(&server, Some(AWAY), ANNA, "last year's").outcome(), Outcome::Fail);
    }
    assert!(logs_in(&server, Some(AWAY), ANNA, PASSWORD));
    assert!(list(&accounts, &[]).is_empty());
    assert_eq!(status(&accounts)["throttle"]["delayed"], 0);
}

#[test]
fn a_guessing_network_is_refused_at_unfamiliar_accounts() {
    let accounts = accounts();
    let server = server(&accounts, "delay = \"0s\"");
    assert!(logs_in(&server, Some(AWAY), ANNA, PASSWORD));
    for n in 0..300 {
        let outcome = attempt(&server, Some(AWAY), &format!("user{n}@example.org"), "Summer2026").outcome();
        assert_eq!(outcome, Outcome::Fail);
    }
    assert!(refused(&accounts) >= 99, "{}", refused(&accounts));
    assert!(!logs_in(&server, Some(AWAY), SLOW, SLOW_PASSWORD));
    assert!(logs_in(&server, Some(AWAY), ANNA, PASSWORD), "it has logged in from there before");
    assert!(logs_in(&server, Some(HOME), SLOW, SLOW_PASSWORD));
    let listed = list(&accounts, &[AWAY]);
    assert_eq!((listed.len(), &listed[0]["login"], &listed[0]["state"]), (1, &Value::Null, &"refused".into()));
}

#[test]
fn an_attacked_account_stays_open_to_its_owner() {
    let accounts = accounts();
    let server = server(&accounts, "delay = \"0s\"");
    assert!(logs_in(&server, Some(HOME), ANNA, PASSWORD));
    let bots = (0..200).map(|n| attempt(&server, Some(&format!("203.0.113.{n}")), ANNA, &n.to_string()).outcome());
    let closed = bots.filter(|outcome| *outcome == Outcome::Closed).count();
    assert!((1..100).contains(&closed), "{closed}");
    assert!(logs_in(&server, Some(HOME), ANNA, PASSWORD) && logs_in(&server, None, ANNA, PASSWORD));
    server.wait_for_log("reason=\"attacked\"");
    // The owner at a new address gets "try again", never "wrong password".
    eventually("a login of the owner", LONG, || match attempt(&server, Some(AWAY), ANNA, PASSWORD).outcome() {
        Outcome::Account(_) => true,
        outcome => {
            assert_eq!(outcome, Outcome::Closed);
            false
        }
    });
}

#[test]
fn refusals_to_unknown_clients_are_delayed_and_right_passwords_are_not() {
    let accounts = accounts();
    let server = server(&accounts, "delay = \"1500ms\"\nallowance = 3");
    guess(&server, None, ANNA, 6);
    let delayed = attempt(&server, None, ANNA, "one more");
    assert_eq!(delayed.outcome(), Outcome::Fail);
    assert!(delayed.took >= Duration::from_millis(1500), "{:?}", delayed.took);
    // These clients wait for their refusal, and occupy no thread that others need.
    std::thread::scope(|scope| {
        let waiting: Vec<_> = (0..200)
            .map(|n| {
                let server = &server;
                scope.spawn(move || attempt(server, None, ANNA, &format!("many {n}")))
            })
            .collect();
        for _ in 0..20 {
            assert!(logs_in(&server, None, ANNA, PASSWORD) && logs_in(&server, None, DORA, DORAS_PASSWORD));
        }
        assert!(waiting.into_iter().all(|one| one.join().expect("a reply").outcome() == Outcome::Fail));
    });
    let begin = Instant::now();
    while !{
        let right = attempt(&server, None, ANNA, PASSWORD);
        right.outcome().word() == "ACCOUNT" && right.took < Duration::from_millis(1500)
    } {
        assert!(begin.elapsed() < LONG, "a right password has to wait like a wrong one");
    }
}

#[test]
fn a_client_without_an_address_is_never_throttled() {
    let accounts = accounts();
    let server = server(&accounts, "delay = \"0s\"");
    for address in [None, Some("127.0.0.1"), Some("::1"), Some("unknown"), Some("0.0.0.0"), Some("1.2.3")] {
        guess(&server, address, ANNA, 30);
        assert!(logs_in(&server, address, ANNA, PASSWORD), "{address:?}");
    }
    assert_eq!(refused(&accounts), 0);
    guess(&server, Some("::ffff:198.51.100.7"), ANNA, 30);
    assert!(!logs_in(&server, Some(AWAY), ANNA, PASSWORD), "the same client in another spelling");
    guess(&server, Some("2001:db8::1"), ANNA, 30);
    assert!(!logs_in(&server, Some("2001:db8::ffff:2"), ANNA, PASSWORD), "another address of the same network");
    assert!(logs_in(&server, Some("2001:db8:0:1::1"), ANNA, PASSWORD), "and another network");
}

#[test]
fn unknown_logins_are_counted_like_known_ones() {
    let accounts = accounts();
    let server = server(&accounts, "delay = \"0s\"");
    for login in [ANNA, UNKNOWN] {
        let before = refused(&accounts);
        guess(&server, Some(AWAY), login, 30);
        assert!((9..=10).contains(&(refused(&accounts) - before)), "{login}");
    }
    let listed = list(&accounts, &[]);
    assert_eq!(listed.len(), 2);
    assert!(listed.iter().all(|one| one["state"] == "refused" && one["wrong"] == listed[0]["wrong"]), "{listed:?}");
}

#[test]
fn challenges_and_password_changes_count_as_guesses() {
    let accounts = accounts();
    let server = server(&accounts, "delay = \"0s\"");
    let challenge = "PDFAeD4="; // <1@x>
    for n in 0..30u8 {
        let response = base64(&format!("{DORA} {n:032x}"));
        let request = auth_body(format!("smtp\ncram-md5\n{challenge}\n{response}\n").as_bytes());
        assert_eq!(ask(server.socket(), &from(Some(AWAY), &request), Manner::Whole).outcome(), Outcome::Fail);
        let change = passwd(ANNA, &format!("guess {n}"), "a new password");
        assert_eq!(ask(server.socket(), &from(Some(AWAY), &change), Manner::Whole).outcome(), Outcome::Fail);
    }
    let listed = list(&accounts, &[]);
    let logins: Vec<_> = listed.iter().filter_map(|one| one["login"].as_str()).collect();
    assert!(logins.contains(&ANNA) && logins.contains(&DORA), "{listed:?}");
    assert!(!logs_in(&server, Some(AWAY), ANNA, PASSWORD));
    let change = from(Some(AWAY), &passwd(ANNA, PASSWORD, "a new password"));
    assert_eq!(ask(server.socket(), &change, Manner::Whole).outcome(), Outcome::Fail);
    let change = from(Some(HOME), &passwd(ANNA, PASSWORD, "a new password"));
    assert_eq!(ask(server.socket(), &change, Manner::Whole).outcome(), Outcome::Done);
}

/// Encodes a text of any length, by the system's own program.
fn base64(text: &str) -> String {
    run_with_input(Command::new("base64").arg("--wrap=0"), text)
}

#[test]
fn a_challenge_followed_by_the_password_is_one_guess() {
    let accounts = accounts();
    let server = server(&accounts, "");
    for n in 0..30u8 {
        let response = base64(&format!("{ANNA} {n:032x}"));
        let request = auth_body(format!("imap\ncram-md5\nPDFAeD4=\n{response}\n").as_bytes());
        assert_eq!(ask(server.socket(), &from(Some(AWAY), &request), Manner::Whole).outcome(), Outcome::Fail);
    }
    assert!(logs_in(&server, Some(AWAY), ANNA, PASSWORD));
}

#[test]
fn counts_survive_restarts_and_can_be_cleared() {
    let accounts = accounts();
    let mut server = server(&accounts, "delay = \"0s\"");
    assert!(logs_in(&server, Some(HOME), ANNA, PASSWORD));
    guess(&server, Some(AWAY), ANNA, 30);
    server.terminate();
    server.wait(LONG);
    server.start_again();
    assert!(!logs_in(&server, Some(AWAY), ANNA, PASSWORD));
    guess(&server, Some(HOME), ANNA, 40);
    assert!(logs_in(&server, Some(HOME), ANNA, PASSWORD), "the owner's address is known");
    server.reload();
    server.wait_for_log("configuration read again");
    assert!(!logs_in(&server, Some(AWAY), ANNA, PASSWORD));

    let table = accounts.admin(&["throttle", "list"], "");
    let shown = table
        .lines()
        .any(|line| line.starts_with(&format!("{ANNA}  {AWAY}")) && line.contains("refused without a try for"));
    assert!(table.starts_with("LOGIN") && shown, "{table}");
    assert_eq!(list(&accounts, &[AWAY]).len(), 1);
    assert!(list(&accounts, &["--all", ANNA]).iter().any(|one| one["state"] == "known" && one["network"] == HOME));
    let nothing = accounts.try_admin(&["throttle", "list", "203.0.113.99"], "");
    assert!(ended(&nothing, 1).contains("--all lists all entries"));
    let auth = accounts.try_admin(&["auth", ANNA, "--password-stdin"], PASSWORD);
    assert!(
        String::from_utf8_lossy(&auth.stdout).contains(&format!("throttled  from {AWAY}: refused without a try for")),
        "{auth:?}"
    );

    accounts.admin(&["throttle", "clear", ANNA], "");
    assert!(logs_in(&server, Some(AWAY), ANNA, PASSWORD));
    let again = accounts.try_admin(&["throttle", "clear", "ben@example.org"], "");
    ended(&again, 1);
    guess(&server, Some("203.0.113.5"), ANNA, 30);
    let cleared: Value = serde_json::from_str(&accounts.admin(&["throttle", "clear", "--json"], "")).expect("JSON");
    assert!(cleared["cleared"].as_u64() >= Some(1), "{cleared}");
    assert_eq!(accounts.admin(&["throttle", "list"], "").trim_end(), "no login and no network is delayed or refused");
    server.terminate();
    server.wait(LONG);
    let away = accounts.try_admin(&["throttle", "list"], "");
    ended(&away, 75);
}

#[test]
fn only_root_and_the_daemons_user_see_and_clear_counts() {
    let accounts = accounts();
    let server = Mailauth::with(&accounts, "socket_mode = \"0666\"\nallow_users = [\"nobody\"]");
    for request in [&b"THROTTLE list all 0\n"[..], b"THROTTLE clear\n"] {
        let asked = || ask(server.socket(), request, Manner::Whole).outcome();
        assert_eq!(as_user(User::named("nobody"), asked), Outcome::Fail);
        assert!(matches!(asked(), Outcome::Odd(_, text) if text.starts_with("OK {")));
    }
    server.wait_for_log("a client may not use THROTTLE");
}

#[test]
fn the_throttle_can_be_disabled_and_networks_exempted() {
    let accounts = accounts();
    let off = server(&accounts, "enabled = false");
    guess(&off, Some(AWAY), ANNA, 40);
    assert!(logs_in(&off, Some(AWAY), ANNA, PASSWORD));
    let said = accounts.try_admin(&["throttle", "list"], "");
    assert!(ended(&said, 1).contains("[throttle] enabled is false"));
    let exempt = server(&accounts, "exempt = [\"198.51.100.0/24\"]");
    guess(&exempt, Some(AWAY), ANNA, 40);
    assert!(logs_in(&exempt, Some(AWAY), ANNA, PASSWORD));
}

#[test]
fn a_damaged_file_is_reported_and_counting_starts_again() {
    let accounts = accounts();
    let mut server = server(&accounts, "delay = \"0s\"");
    guess(&server, Some(AWAY), ANNA, 30);
    server.terminate();
    server.wait(LONG);
    let file = accounts.folder().join("throttle");
    let text = std::fs::read_to_string(&file).expect("the file");
    assert!(!text.contains("guess"), "{text}");
    std::fs::write(&file, text.replacen("pair", "part", 1)).expect("another");
    server.start_again();
    server.wait_for_log("it is damaged");
    assert!(logs_in(&server, Some(AWAY), ANNA, PASSWORD));
}
