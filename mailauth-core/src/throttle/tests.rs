//! Guesses and owners.

use super::*;
use std::sync::Mutex;

const HOME: &str = "192.0.2.1";
const AWAY: &str = "198.51.100.7";

struct Story {
    throttle: Throttle,
    now: Arc<Mutex<Duration>>,
}

fn story(change: impl FnOnce(&mut ThrottleConfig)) -> Story {
    let now = Arc::new(Mutex::new(Duration::from_secs(1_800_000_000)));
    let clock = Arc::clone(&now);
    let mut ledger = Ledger::by_clock(Box::new(move || *clock.lock().unwrap()));
    ledger.key = fixed_key();
    let mut config = ThrottleConfig::default();
    change(&mut config);
    Story { throttle: Throttle::new(Arc::new(ledger), &config).unwrap(), now }
}

/// With a random key two passwords look the same by chance, once in 65,536 pairs.
fn fixed_key() -> prints::PrintKey {
    prints::PrintKey(zeroize::Zeroizing::new([7; prints::KEY]))
}

fn login(name: &str) -> Login {
    Login::parse(name.as_bytes(), Some("x.example")).unwrap()
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Came {
    /// Tried, and refused after so many milliseconds.
    Wrong(u128),
    Refused,
    PutOff,
}

impl Story {
    fn wait(&self, time: Duration) {
        *self.now.lock().unwrap() += time;
    }

    fn guess(&self, who: &str, client: Option<&str>, password: &str) -> Came {
        match self.throttle.judge(&login(who), client) {
            Ruling::Try(guess) => Came::Wrong(self.throttle.failed(&guess, &[password.as_bytes()]).as_millis()),
            Ruling::Refuse(_) => Came::Refused,
            Ruling::PutOff => Came::PutOff,
        }
    }

    /// The number of guesses that were tried.
    fn guesses(&self, who: &str, client: Option<&str>, number: usize) -> usize {
        (0..number).filter(|n| matches!(self.guess(who, client, &format!("guess {n}")), Came::Wrong(_))).count()
    }

    fn logs_in(&self, who: &str, client: Option<&str>) -> bool {
        match self.throttle.judge(&login(who), client) {
            Ruling::Try(guess) => {
                self.throttle.succeeded(&guess);
                true
            }
            _ => false,
        }
    }
}

#[test]
fn guesses_from_one_network_are_delayed_and_then_refused_and_given_back_with_time() {
    let story = story(|_| ());
    for login in ["anna", "unknown"] {
        let came: Vec<_> = (0..25).map(|n| story.guess(login, Some(AWAY), &n.to_string())).collect();
        assert!(came[..10].iter().all(|came| *came == Came::Wrong(0)), "{came:?}");
        assert_eq!(came[10], Came::Wrong(400));
        assert_eq!(came[14..20], [Came::Wrong(2000); 6]);
        assert_eq!(came[20..], [Came::Refused; 5]);
    }
    assert!(!story.logs_in("anna", Some(AWAY)) && story.logs_in("anna", Some(HOME)) && story.logs_in("anna", None));
    assert!(!story.logs_in("anna", Some("::ffff:198.51.100.7")), "the same address");
    story.wait(Duration::from_secs(350));
    assert_eq!(story.guesses("anna", Some(AWAY), 100), 0);
}

#[test]
fn what_is_given_back_is_one_guess_in_its_time() {
    let story = story(|_| ());
    assert_eq!(story.guesses("anna", Some(AWAY), 100), 20);
    story.wait(Duration::from_secs(365));
    let tried = (0..50).filter(|n| story.guess("anna", Some(AWAY), &format!("later {n}")) != Came::Refused).count();
    assert_eq!(tried, 1);
    story.wait(Duration::from_secs(7200));
    assert!(story.logs_in("anna", Some(AWAY)));
}

#[test]
fn an_old_password_that_is_repeated_costs_nothing() {
    let story = story(|_| ());
    for _ in 0..10_000 {
        assert_eq!(story.guess("anna", Some(AWAY), "the old one"), Came::Wrong(0));
        assert_eq!(story.guess("anna", None, "the old one"), Came::Wrong(0));
    }
    assert!(story.logs_in("anna", Some(AWAY)));
}

#[test]
fn the_owner_is_never_refused_where_it_was_before_nor_without_an_address() {
    let story = story(|_| ());
    assert!(story.logs_in("anna", Some(HOME)));
    for client in [Some(HOME), None, Some("127.0.0.1"), Some("::1"), Some("garbage"), Some("")] {
        assert_eq!(story.guesses("anna", client, 200), 200, "{client:?}");
        assert_eq!(story.guess("anna", client, "one more"), Came::Wrong(2000), "{client:?}");
        assert!(story.logs_in("anna", client), "{client:?}");
    }
    story.wait(Duration::from_secs(30 * 86_400 + 1));
    assert_eq!(story.guesses("anna", Some(HOME), 200), 20, "it is not known any more");
}

#[test]
fn a_site_that_tries_many_logins_is_refused_where_it_is_not_known() {
    let story = story(|_| ());
    assert!(story.logs_in("anna", Some(AWAY)));
    let tried =
        (0..1000).filter(|n| story.guess(&format!("user{n}"), Some(AWAY), "Summer2026") != Came::Refused).count();
    assert_eq!(tried, 200);
    assert!(!story.logs_in("ben", Some(AWAY)) && story.logs_in("anna", Some(AWAY)) && story.logs_in("ben", Some(HOME)));
    let hosts = (0..1000).map(|n| (format!("other{n}"), format!("2001:db8:1:{n:x}::1")));
    let tried = hosts.filter(|(who, host)| story.guess(who, Some(host), "Summer2026") != Came::Refused).count();
    assert_eq!(tried, 200, "an IPv6 site is not many");
}

#[test]
fn a_login_that_many_networks_attack_is_tried_once_a_second_and_open_to_its_owner() {
    let story = story(|_| ());
    assert!(story.logs_in("anna", Some(HOME)));
    let bots = |from: usize| -> Vec<_> {
        (from..from + 1000)
            .map(|n| story.guess("anna", Some(&format!("203.0.{}.{}", n / 256, n % 256)), &n.to_string()))
            .collect()
    };
    let tried = |came: &[Came]| came.iter().filter(|came| matches!(came, Came::Wrong(_))).count();
    let first = bots(0);
    assert_eq!(tried(&first), 105);
    assert!(first[105..].iter().all(|came| *came == Came::PutOff), "not now, and never no");
    assert!(story.logs_in("anna", Some(HOME)) && story.logs_in("anna", None));
    story.wait(Duration::from_secs(10));
    assert_eq!(tried(&bots(1000)), 5);
    for _ in 0..60 {
        story.wait(Duration::from_secs(1));
        assert_eq!(tried(&bots(2000)[..20]), 1);
    }
    assert_eq!(story.guess("ben", Some(AWAY), "x"), Came::Wrong(0));
}

#[test]
fn an_attempt_that_waited_is_judged_again() {
    let story = story(|_| ());
    let Ruling::Try(early) = story.throttle.judge(&login("anna"), Some(AWAY)) else { panic!() };
    assert_eq!(story.throttle.judge_again(&early), None);
    story.guesses("anna", Some(AWAY), 20);
    assert_eq!(story.throttle.judge_again(&early), Some(Duration::from_secs(2)));
    let Ruling::Try(shared) = story.throttle.judge(&login("anna"), None) else { panic!() };
    story.guesses("anna", None, 100);
    assert_eq!(story.throttle.judge_again(&shared), None);
}

#[test]
fn networks_can_be_exempt_or_shared() {
    let story = story(|config| {
        config.exempt = vec!["10.0.0.0/8".parse().unwrap()];
        config.shared = vec!["2001:db8::/32".parse().unwrap()];
    });
    assert_eq!(story.guesses("anna", Some("10.1.2.3"), 1000), 1000);
    assert_eq!(story.guess("anna", Some("10.1.2.3"), "x"), Came::Wrong(0));
    assert_eq!(story.guesses("anna", Some("2001:db8::1"), 1000), 1000);
    assert_eq!(story.guess("anna", Some("2001:db8:2::1"), "x"), Came::Wrong(2000));
    assert!(Throttle::new(Arc::default(), &ThrottleConfig { enabled: false, ..Default::default() }).is_none());
}

#[test]
fn a_flood_of_logins_does_not_make_it_forget_the_one_that_is_attacked() {
    let story = story(|config| config.per_network = 1_000_000);
    assert_eq!(story.guesses("anna", Some(AWAY), 100), 20);
    assert!(story.logs_in("anna", Some(HOME)));
    for n in 0..2 * ledger::MOST {
        story.guess(&format!("user{n}"), Some("198.51.100.8"), "x");
    }
    let totals = story.throttle.ledger().totals();
    assert!(totals.counted <= ledger::MOST, "{totals:?}");
    assert_eq!(story.guess("anna", Some(AWAY), "a new one"), Came::Refused);
    assert!(story.throttle.judge(&login("anna"), Some(HOME)).is_known());
}

impl Ruling {
    fn is_known(&self) -> bool {
        matches!(self, Ruling::Try(guess) if guess.known.is_some())
    }
}

#[test]
fn only_the_last_networks_of_an_account_are_known() {
    let story = story(|_| ());
    for n in 0..40 {
        assert!(story.logs_in("anna", Some(&format!("198.51.100.{n}"))));
        story.wait(Duration::from_secs(60));
    }
    let known = (0..40).filter(|n| story.throttle.judge(&login("anna"), Some(&format!("198.51.100.{n}"))).is_known());
    assert_eq!(known.collect::<Vec<_>>(), (24..40).collect::<Vec<_>>());
}

#[test]
fn an_administrator_sees_what_is_counted_and_clears_it() {
    let story = story(|_| ());
    story.logs_in("anna", Some(HOME));
    story.guesses("anna", Some(AWAY), 100);
    story.guesses("ben", None, 12);
    story.guesses("ben", Some("2001:db8::1"), 3);
    let list = |subject: &Subject, all| -> Vec<_> {
        let page = story.throttle.list(subject, all, 0, 100);
        assert_eq!(page.next, None);
        let shown = |entry: Entry| {
            let login = entry.login.as_deref().unwrap_or("*").to_owned();
            format!("{login} {} {} {:?}", entry.network.as_deref().unwrap_or("-"), entry.wrong, entry.standing)
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
    let page = story.throttle.list(&Subject::Everything, true, 0, 2);
    assert_eq!((page.entries.len(), page.next), (2, Some(2)));
    assert_eq!(story.throttle.clear(&subject(AWAY)), 2);
    assert!(story.logs_in("anna", Some(AWAY)));
    assert_eq!(story.throttle.clear(&subject("anna")), 1, "of all networks together");
    assert!(story.throttle.clear(&Subject::Everything) >= 3);
    assert!(list(&Subject::Everything, false).is_empty());
    assert!(story.throttle.judge(&login("anna"), Some(HOME)).is_known(), "what is known stays");
}

#[test]
fn a_restart_forgets_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("throttle");
    let config = ThrottleConfig::default();
    let start = || {
        let mut ledger = Ledger::from_file(&path);
        ledger.key = fixed_key();
        let ledger = Arc::new(ledger);
        let keeper = Keeper::start(Arc::clone(&ledger), &path).unwrap();
        (Story { throttle: Throttle::new(ledger, &config).unwrap(), now: Arc::default() }, keeper)
    };
    let (story, keeper) = start();
    story.logs_in("anna", Some(HOME));
    story.guesses("anna", Some(AWAY), 100);
    story.guesses("anna", Some("2001:db8::1"), 5);
    story.guesses("ben", None, 40);
    drop(keeper);
    use std::os::unix::fs::{MetadataExt, PermissionsExt};
    assert_eq!(std::fs::metadata(&path).unwrap().mode() & 0o777, 0o600);

    let (story, keeper) = start();
    assert_eq!(story.guess("anna", Some(AWAY), "x"), Came::Refused);
    assert!(story.throttle.judge(&login("anna"), Some(HOME)).is_known());
    let again: Vec<_> = (0..5).map(|n| story.guess("anna", Some("2001:db8::1"), &format!("guess {n}"))).collect();
    assert_eq!(again, [Came::Wrong(0); 5], "they were counted before");
    assert_eq!(story.guess("ben", None, "x"), Came::Wrong(2000));
    drop(keeper);

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
        let (story, keeper) = start();
        assert_eq!(story.guess("anna", Some(AWAY), "x"), Came::Wrong(0));
        drop(keeper);
        assert!(state_file::read(&path, 0).is_ok(), "a whole one is in its place");
    }
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o620)).unwrap();
    assert!(state_file::read(&path, 0).err().unwrap().to_string().contains("others may write"));
    std::fs::remove_file(&path).unwrap();
    std::os::unix::fs::symlink(folder.path().join("elsewhere"), &path).unwrap();
    assert!(state_file::read(&path, 0).err().unwrap().to_string().contains("a link"));
    let (story, keeper) = start();
    story.guess("anna", Some(AWAY), "x");
    drop(keeper);
    assert!(!folder.path().join("elsewhere").exists(), "the link was replaced, not followed");
    assert!(std::fs::symlink_metadata(&path).unwrap().is_file());
}
