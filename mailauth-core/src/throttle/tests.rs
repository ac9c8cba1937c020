//! Tests of guesses by attackers and logins by owners.

use super::*;
use std::sync::Mutex;

const HOME: &str = "192.0.2.1";
const AWAY: &str = "198.51.100.7";

struct Scenario {
    throttle: Throttle,
    now: Arc<Mutex<Duration>>,
}

fn scenario(change: impl FnOnce(&mut ThrottleConfig)) -> Scenario {
    let now = Arc::new(Mutex::new(Duration::from_secs(1_800_000_000)));
    let clock = Arc::clone(&now);
    let mut ledger = Ledger::by_clock(Box::new(move || *clock.lock().unwrap()));
    ledger.key = fixed_key();
    let mut config = ThrottleConfig::default();
    change(&mut config);
    Scenario { throttle: Throttle::new(Arc::new(ledger), &config).unwrap(), now }
}

/// Returns a fixed key. With a random key, two passwords would have the same fingerprint by chance, once in 65,536
/// pairs.
fn fixed_key() -> fingerprints::FingerprintKey {
    fingerprints::FingerprintKey(zeroize::Zeroizing::new([7; fingerprints::KEY]))
}

fn login(name: &str) -> Login {
    Login::parse(name.as_bytes(), Some("x.example")).unwrap()
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Outcome {
    /// Tried, and refused after this number of milliseconds.
    Wrong(u128),
    Refused,
    PutOff,
}

impl Scenario {
    fn wait(&self, time: Duration) {
        *self.now.lock().unwrap() += time;
    }

    fn guess(&self, name: &str, client: Option<&str>, password: &str) -> Outcome {
        match self.throttle.judge(&login(name), client) {
            Ruling::Try(guess) => Outcome::Wrong(self.throttle.failed(&guess, &[password.as_bytes()]).as_millis()),
            Ruling::Refuse(_) => Outcome::Refused,
            Ruling::PutOff => Outcome::PutOff,
        }
    }

    /// Makes `number` different guesses, and returns how many of them were tried.
    fn guesses(&self, name: &str, client: Option<&str>, number: usize) -> usize {
        (0..number).filter(|n| matches!(self.guess(name, client, &format!("guess {n}")), Outcome::Wrong(_))).count()
    }

    fn logs_in(&self, name: &str, client: Option<&str>) -> bool {
        match self.throttle.judge(&login(name), client) {
            Ruling::Try(guess) => {
                self.throttle.succeeded(&guess);
                true
            }
            _ => false,
        }
    }
}

#[test]
fn guesses_from_one_network_are_delayed_then_refused_until_time_passes() {
    let scenario = scenario(|_| ());
    for login in ["anna", "unknown"] {
        let outcome: Vec<_> = (0..25).map(|n| scenario.guess(login, Some(AWAY), &n.to_string())).collect();
        assert!(outcome[..10].iter().all(|outcome| *outcome == Outcome::Wrong(0)), "{outcome:?}");
        assert_eq!(outcome[10], Outcome::Wrong(400));
        assert_eq!(outcome[14..20], [Outcome::Wrong(2000); 6]);
        assert_eq!(outcome[20..], [Outcome::Refused; 5]);
    }
    assert!(
        !scenario.logs_in("anna", Some(AWAY)) && scenario.logs_in("anna", Some(HOME)) && scenario.logs_in("anna", None)
    );
    assert!(!scenario.logs_in("anna", Some("::ffff:198.51.100.7")), "the same address");
    scenario.wait(Duration::from_secs(350));
    assert_eq!(scenario.guesses("anna", Some(AWAY), 100), 0);
}

#[test]
fn the_allowance_is_restored_one_guess_at_a_time() {
    let scenario = scenario(|_| ());
    assert_eq!(scenario.guesses("anna", Some(AWAY), 100), 20);
    scenario.wait(Duration::from_secs(365));
    let tried =
        (0..50).filter(|n| scenario.guess("anna", Some(AWAY), &format!("later {n}")) != Outcome::Refused).count();
    assert_eq!(tried, 1);
    scenario.wait(Duration::from_secs(7200));
    assert!(scenario.logs_in("anna", Some(AWAY)));
}

#[test]
fn a_repeated_old_password_is_counted_once() {
    let scenario = scenario(|_| ());
    for _ in 0..10_000 {
        assert_eq!(scenario.guess("anna", Some(AWAY), "the old one"), Outcome::Wrong(0));
        assert_eq!(scenario.guess("anna", None, "the old one"), Outcome::Wrong(0));
    }
    assert!(scenario.logs_in("anna", Some(AWAY)));
}

#[test]
fn the_owner_is_never_refused_in_a_known_network_or_without_address() {
    let scenario = scenario(|_| ());
    assert!(scenario.logs_in("anna", Some(HOME)));
    for client in [Some(HOME), None, Some("127.0.0.1"), Some("::1"), Some("garbage"), Some("")] {
        assert_eq!(scenario.guesses("anna", client, 200), 200, "{client:?}");
        assert_eq!(scenario.guess("anna", client, "one more"), Outcome::Wrong(2000), "{client:?}");
        assert!(scenario.logs_in("anna", client), "{client:?}");
    }
    scenario.wait(Duration::from_secs(30 * 86_400 + 1));
    assert_eq!(scenario.guesses("anna", Some(HOME), 200), 20, "it is no longer known");
}

#[test]
fn a_site_that_tries_many_logins_is_refused_unless_it_is_known() {
    let scenario = scenario(|_| ());
    assert!(scenario.logs_in("anna", Some(AWAY)));
    let tried =
        (0..1000).filter(|n| scenario.guess(&format!("user{n}"), Some(AWAY), "Summer2026") != Outcome::Refused).count();
    assert_eq!(tried, 200);
    assert!(
        !scenario.logs_in("ben", Some(AWAY))
            && scenario.logs_in("anna", Some(AWAY))
            && scenario.logs_in("ben", Some(HOME))
    );
    let hosts = (0..1000).map(|n| (format!("other{n}"), format!("2001:db8:1:{n:x}::1")));
    let tried = hosts.filter(|(name, host)| scenario.guess(name, Some(host), "Summer2026") != Outcome::Refused).count();
    assert_eq!(tried, 200, "an IPv6 site counts as one");
}

#[test]
fn an_attacked_login_is_tried_once_a_second_and_open_to_its_owner() {
    let scenario = scenario(|_| ());
    assert!(scenario.logs_in("anna", Some(HOME)));
    let bots = |from: usize| -> Vec<_> {
        (from..from + 1000)
            .map(|n| scenario.guess("anna", Some(&format!("203.0.{}.{}", n / 256, n % 256)), &n.to_string()))
            .collect()
    };
    let tried = |outcome: &[Outcome]| outcome.iter().filter(|outcome| matches!(outcome, Outcome::Wrong(_))).count();
    let first = bots(0);
    assert_eq!(tried(&first), 105);
    assert!(first[105..].iter().all(|outcome| *outcome == Outcome::PutOff), "not now instead of no");
    assert!(scenario.logs_in("anna", Some(HOME)) && scenario.logs_in("anna", None));
    scenario.wait(Duration::from_secs(10));
    assert_eq!(tried(&bots(1000)), 5);
    for _ in 0..60 {
        scenario.wait(Duration::from_secs(1));
        assert_eq!(tried(&bots(2000)[..20]), 1);
    }
    assert_eq!(scenario.guess("ben", Some(AWAY), "x"), Outcome::Wrong(0));
}

#[test]
fn an_attempt_that_waited_is_judged_again() {
    let scenario = scenario(|_| ());
    let Ruling::Try(early) = scenario.throttle.judge(&login("anna"), Some(AWAY)) else { panic!() };
    assert_eq!(scenario.throttle.judge_again(&early), None);
    scenario.guesses("anna", Some(AWAY), 20);
    assert_eq!(scenario.throttle.judge_again(&early), Some(Duration::from_secs(2)));
    let Ruling::Try(shared) = scenario.throttle.judge(&login("anna"), None) else { panic!() };
    scenario.guesses("anna", None, 100);
    assert_eq!(scenario.throttle.judge_again(&shared), None);
}

#[test]
fn networks_can_be_exempt_or_shared() {
    let scenario = scenario(|config| {
        config.exempt = vec!["10.0.0.0/8".parse().unwrap()];
        config.shared = vec!["2001:db8::/32".parse().unwrap()];
    });
    assert_eq!(scenario.guesses("anna", Some("10.1.2.3"), 1000), 1000);
    assert_eq!(scenario.guess("anna", Some("10.1.2.3"), "x"), Outcome::Wrong(0));
    assert_eq!(scenario.guesses("anna", Some("2001:db8::1"), 1000), 1000);
    assert_eq!(scenario.guess("anna", Some("2001:db8:2::1"), "x"), Outcome::Wrong(2000));
    assert!(Throttle::new(Arc::default(), &ThrottleConfig { enabled: false, ..Default::default() }).is_none());
}

#[test]
fn a_flood_of_logins_does_not_displace_the_attacked_one() {
    let scenario = scenario(|config| config.per_network = 1_000_000);
    assert_eq!(scenario.guesses("anna", Some(AWAY), 100), 20);
    assert!(scenario.logs_in("anna", Some(HOME)));
    for n in 0..2 * ledger::MAX_ENTRIES {
        scenario.guess(&format!("user{n}"), Some("198.51.100.8"), "x");
    }
    let totals = scenario.throttle.ledger().totals();
    assert!(totals.counted <= ledger::MAX_ENTRIES, "{totals:?}");
    assert_eq!(scenario.guess("anna", Some(AWAY), "a new one"), Outcome::Refused);
    assert!(scenario.throttle.judge(&login("anna"), Some(HOME)).is_known());
}

impl Ruling {
    fn is_known(&self) -> bool {
        matches!(self, Ruling::Try(guess) if guess.known.is_some())
    }
}

#[test]
fn only_the_most_recent_networks_of_an_account_are_known() {
    let scenario = scenario(|_| ());
    for n in 0..40 {
        assert!(scenario.logs_in("anna", Some(&format!("198.51.100.{n}"))));
        scenario.wait(Duration::from_secs(60));
    }
    let known =
        (0..40).filter(|n| scenario.throttle.judge(&login("anna"), Some(&format!("198.51.100.{n}"))).is_known());
    assert_eq!(known.collect::<Vec<_>>(), (24..40).collect::<Vec<_>>());
}

#[test]
fn an_administrator_lists_and_clears_counts() {
    let scenario = scenario(|_| ());
    scenario.logs_in("anna", Some(HOME));
    scenario.guesses("anna", Some(AWAY), 100);
    scenario.guesses("ben", None, 12);
    scenario.guesses("ben", Some("2001:db8::1"), 3);
    let list = |subject: &Subject, all| -> Vec<_> {
        let page = scenario.throttle.list(subject, all, 0, 100);
        assert_eq!(page.next, None);
        let shown = |entry: Entry| {
            let login = entry.login.as_deref().unwrap_or("*").to_owned();
            format!("{login} {} {} {:?}", entry.network.as_deref().unwrap_or("-"), entry.wrong, entry.state)
        };
        page.entries.into_iter().map(shown).collect()
    };
    let subject = |text| Subject::parse(text, Some("x.example")).unwrap();
    assert_eq!(
        list(&Subject::Everything, false),
        ["anna@x.example 198.51.100.7 20 Refused", "ben@x.example - 12 Delayed"]
    );
    assert_eq!(list(&subject("ben"), false), ["ben@x.example - 12 Delayed"]);
    assert_eq!(
        list(&subject("anna"), true),
        ["anna@x.example 198.51.100.7 20 Refused", "anna@x.example - 20 Counted", "anna@x.example 192.0.2.1 0 Known"]
    );
    assert_eq!(
        list(&subject("2001:db8::99"), true),
        ["ben@x.example 2001:db8::/64 3 Counted", "* 2001:db8::/48 3 Counted"]
    );
    let page = scenario.throttle.list(&Subject::Everything, true, 0, 2);
    assert_eq!((page.entries.len(), page.next), (2, Some(2)));
    assert_eq!(scenario.throttle.clear(&subject(AWAY)), 2);
    assert!(scenario.logs_in("anna", Some(AWAY)));
    assert_eq!(scenario.throttle.clear(&subject("anna")), 1, "the count of all networks together");
    assert!(scenario.throttle.clear(&Subject::Everything) >= 3);
    assert!(list(&Subject::Everything, false).is_empty());
    assert!(scenario.throttle.judge(&login("anna"), Some(HOME)).is_known(), "known networks remain");
}

#[test]
fn counts_survive_a_restart() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("throttle");
    let config = ThrottleConfig::default();
    let start = || {
        let mut ledger = Ledger::from_file(&path);
        ledger.key = fixed_key();
        let ledger = Arc::new(ledger);
        let writer = LedgerWriter::start(Arc::clone(&ledger), &path).unwrap();
        (Scenario { throttle: Throttle::new(ledger, &config).unwrap(), now: Arc::default() }, writer)
    };
    let (scenario, writer) = start();
    scenario.logs_in("anna", Some(HOME));
    scenario.guesses("anna", Some(AWAY), 100);
    scenario.guesses("anna", Some("2001:db8::1"), 5);
    scenario.guesses("ben", None, 40);
    drop(writer);
    use std::os::unix::fs::{MetadataExt, PermissionsExt};
    assert_eq!(std::fs::metadata(&path).unwrap().mode() & 0o777, 0o600);

    let (scenario, writer) = start();
    assert_eq!(scenario.guess("anna", Some(AWAY), "x"), Outcome::Refused);
    assert!(scenario.throttle.judge(&login("anna"), Some(HOME)).is_known());
    let again: Vec<_> = (0..5).map(|n| scenario.guess("anna", Some("2001:db8::1"), &format!("guess {n}"))).collect();
    assert_eq!(again, [Outcome::Wrong(0); 5], "they were counted before");
    assert_eq!(scenario.guess("ben", None, "x"), Outcome::Wrong(2000));
    drop(writer);

    let text = std::fs::read_to_string(&path).unwrap();
    assert!(!text.contains("guess"), "{text}");
    for (damaged, why) in [
        (text.replacen("anna", "bert", 1), "checksum"),
        (text[..text.len() / 2].to_owned(), "no end"),
        (text.lines().filter(|line| !line.starts_with("sum")).map(|line| format!("{line}\n")).collect(), "no end"),
        ("x".repeat(5000), "no end"),
        (String::new(), "no end"),
    ] {
        std::fs::write(&path, damaged).unwrap();
        let error = state_file::read(&path, 0).err().expect(why).to_string();
        assert!(error.contains(why), "{error}");
        let (scenario, writer) = start();
        assert_eq!(scenario.guess("anna", Some(AWAY), "x"), Outcome::Wrong(0));
        drop(writer);
        assert!(state_file::read(&path, 0).is_ok(), "it was replaced by a valid one");
    }
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o620)).unwrap();
    assert!(state_file::read(&path, 0).err().unwrap().to_string().contains("other users may write"));
    std::fs::remove_file(&path).unwrap();
    std::os::unix::fs::symlink(folder.path().join("elsewhere"), &path).unwrap();
    assert!(state_file::read(&path, 0).err().unwrap().to_string().contains("a symbolic link"));
    let (scenario, writer) = start();
    scenario.guess("anna", Some(AWAY), "x");
    drop(writer);
    assert!(!folder.path().join("elsewhere").exists(), "the link was replaced, not followed");
    assert!(std::fs::symlink_metadata(&path).unwrap().is_file());
}
