//! The cache over a store in memory, with a clock that the tests set.

use super::*;
use crate::Service;
use crate::account::Password;
use crate::authenticate::{Answer, Authenticator, Authority, No, NotNow, Policy, Request};
use crate::mailbox::{MailboxDefaults, Unusable};
use crate::password::{Budget, NewScheme};
use crate::testing::MemoryStore;
use std::sync::Mutex;
use std::sync::mpsc::{Receiver, Sender, channel};

const LONG: Duration = Duration::from_secs(20);

/// The way in which a waiting query ends.
#[derive(Clone, Copy)]
enum Verdict {
    Answer,
    Panic,
}

/// Makes queries wait, one at a time, once they have read their row. The receiver gets a message for each; the sender
/// lets it continue.
fn gate(store: &MemoryStore) -> (Receiver<()>, Sender<Verdict>) {
    let ((arrived, arrivals), (go, gone)) = (channel(), channel());
    let gate = Mutex::new(Some((arrived, gone)));
    store.on_call(move |_, _| {
        // Taken out of its lock, so that a panic does no damage, and other queries do not wait meanwhile.
        let taken = gate.lock().unwrap().take();
        if let Some((arrived, gone)) = taken {
            arrived.send(()).unwrap();
            let verdict = gone.recv_timeout(LONG).unwrap();
            *gate.lock().unwrap() = Some((arrived, gone));
            assert!(matches!(verdict, Verdict::Answer), "on purpose");
        }
        Ok(())
    });
    (arrivals, go)
}

/// A cache over a table, with a clock.
struct Story {
    table: MemoryStore,
    cache: Cache<MemoryStore>,
    counters: Arc<Counters>,
    now: Arc<Mutex<Instant>>,
}

fn login(name: &str) -> Login {
    Login::parse(name.as_bytes(), Some("x.example")).unwrap()
}

fn row(name: &str, password: &str) -> AccountRow {
    AccountRow { password: Password(password.into()), ..AccountRow::new(login(name)) }
}

fn away() -> StoreError {
    StoreError::Unreachable { place: "memory".into(), reason: "on purpose".into() }
}

fn seconds(number: u64) -> Duration {
    Duration::from_secs(number)
}

/// Returns a cache over `anna` with the password `one`. Rows live 30 seconds, their absence 5.
fn story() -> Story {
    story_of(&CacheConfig { found: seconds(30), unknown: seconds(5), ..CacheConfig::default() })
}

fn story_of(config: &CacheConfig) -> Story {
    let table = MemoryStore::default();
    table.rows().push(row("anna", "one"));
    let (counters, now) = (Arc::new(Counters::default()), Arc::new(Mutex::new(Instant::now())));
    let clock = Arc::clone(&now);
    let clock = Box::new(move || *clock.lock().unwrap());
    let cache = Cache::by_clock(table.clone(), "memory".into(), config, Arc::clone(&counters), clock);
    Story { table, cache, counters, now }
}

impl Story {
    fn wait(&self, time: Duration) {
        *self.now.lock().unwrap() += time;
    }

    fn try_seen(&self, name: &str) -> Result<Seen, StoreError> {
        self.cache.look_up(&login(name), Instant::now() + LONG)
    }

    fn seen(&self, name: &str) -> Seen {
        self.try_seen(name).unwrap()
    }

    fn again(&self, seen: &Seen) -> Result<Option<Seen>, StoreError> {
        self.cache.look_again(&login("anna"), seen, Instant::now() + LONG)
    }

    /// Returns the stored value that a look-up sees, or `-`.
    fn stored(&self, name: &str) -> String {
        stored(&self.seen(name))
    }
}

fn stored(seen: &Seen) -> String {
    let row = seen.row.as_ref();
    row.map_or("-".to_owned(), |row| String::from_utf8(row.password.0.expose().to_vec()).unwrap())
}

#[test]
fn a_row_is_kept_for_its_lifetime_and_no_longer() {
    let story = story();
    assert!(!story.seen("anna").is_kept());
    story.table.rows()[0] = row("anna", "two");
    story.wait(seconds(30) - Duration::from_millis(1));
    assert!(story.seen("anna").is_kept());
    assert_eq!(story.stored("anna"), "one");
    story.wait(Duration::from_millis(1));
    assert_eq!((story.stored("anna").as_str(), story.table.calls()), ("two", 2));
    let counts = story.counters.read();
    assert_eq!((counts.hits, counts.misses), (2, 2));
}

#[test]
fn that_there_is_no_account_is_kept_for_a_lifetime_of_its_own() {
    let story = story();
    assert_eq!(story.stored("ben"), "-");
    story.table.rows().push(row("ben", "one"));
    story.wait(seconds(4));
    assert_eq!((story.stored("ben").as_str(), story.table.calls()), ("-", 1));
    story.wait(seconds(1));
    assert_eq!(story.stored("ben"), "one");
}

#[test]
fn the_age_of_a_row_counts_from_before_the_query() {
    let story = story();
    let (arrived, go) = gate(&story.table);
    std::thread::scope(|scope| {
        scope.spawn(|| story.seen("anna"));
        arrived.recv_timeout(LONG).unwrap();
        story.wait(seconds(29));
        go.send(Verdict::Answer).unwrap();
    });
    assert!(story.seen("anna").is_kept());
    story.table.remove_hook();
    story.wait(seconds(1));
    assert!(!story.seen("anna").is_kept());
}

#[test]
fn an_error_is_neither_kept_nor_hidden_by_a_row_that_is_too_old() {
    let story = story();
    story.seen("anna");
    story.table.fail(Some(away()));
    assert_eq!(story.stored("anna"), "one", "while it is young enough");
    story.wait(seconds(30));
    assert_eq!(story.try_seen("anna").unwrap_err(), away());
    story.table.fail(None);
    assert_eq!(story.stored("anna"), "one");
}

#[test]
fn before_a_refusal_a_row_is_read_anew_once_in_a_second() {
    let story = story();
    story.seen("anna");
    let seen = story.seen("anna");
    story.table.rows()[0] = row("anna", "two");
    assert!(story.again(&seen).unwrap().is_none(), "it was read just now");
    story.wait(PAUSE);
    let newer = story.again(&seen).unwrap().expect("another look");
    assert_eq!((stored(&newer).as_str(), newer.is_kept()), ("two", false));
    assert!(story.again(&newer).unwrap().is_none(), "it is the last word");
    // A request that also saw the old row gets the new one, without a query.
    let shared = story.again(&seen).unwrap().expect("the row that is kept now");
    assert_eq!((stored(&shared).as_str(), story.table.calls()), ("two", 2));
    assert_eq!(story.counters.read().rereads, 1);
}

#[test]
fn guesses_at_many_logins_do_not_turn_the_cache_off() {
    let story = story();
    story.seen("anna");
    let seen = story.seen("anna");
    let read_anew = || {
        let guess = |_: &u32| {
            // For the cache, this makes it another login each time.
            story.cache.forget(&Changed::Everything);
            match story.again(&seen) {
                Ok(newer) => newer.is_some(),
                Err(error) => {
                    assert_eq!(error, StoreError::Unconfirmed(TOO_MANY));
                    false
                }
            }
        };
        (0..1000).filter(guess).count()
    };
    story.wait(PAUSE);
    assert_eq!(read_anew(), REREADS as usize);
    story.wait(seconds(1));
    assert_eq!(read_anew(), REREADS as usize);
}

#[test]
fn a_flood_of_wrong_passwords_keeps_nobody_out_and_refuses_nobody_by_memory_alone() {
    const USERS: usize = 300;
    let Story { table, cache, now, .. } = story();
    let name = |number: usize| format!("user{number}");
    *table.rows() = (0..USERS).map(|number| row(&name(number), "{PLAIN}old words")).collect();
    let mailbox = MailboxDefaults { uid: Some(5000), gid: Some(5000), ..MailboxDefaults::default() };
    let policy = Policy {
        default_domain: Some("x.example".into()),
        separators: String::new(),
        mailbox,
        rules: Default::default(),
        scheme: NewScheme::Sha256Crypt,
        min_length: 8,
        unknown_services: true,
        alias_domains: false,
        delimiters: Default::default(),
        refusal_time: Default::default(),
    };
    let users = Authenticator::new(Arc::new(cache), policy, Arc::new(Budget::new(2, 64 << 20)));
    let ask = |number: usize, password: &str| {
        let request = Request::password(Service::Imap, name(number), password);
        users.authenticate(Request { deadline: Instant::now() + LONG, ..request })
    };
    let right = |password: &str| (0..USERS).filter(|n| matches!(ask(*n, password), Answer::Yes(_))).count();
    let wrong = || {
        let answers: Vec<_> = (0..USERS).map(|number| ask(number, "guessed")).collect();
        let unconfirmed = Answer::NotNow(NotNow::Store(StoreError::Unconfirmed(TOO_MANY)));
        let count = |answer: Answer<_>| answers.iter().filter(|given| **given == answer).count();
        (count(Answer::No(No::WrongPassword)), count(unconfirmed))
    };
    assert_eq!(right("old words"), USERS, "and all are kept now");
    *now.lock().unwrap() += PAUSE;
    assert_eq!(wrong(), (REREADS as usize, USERS - REREADS as usize));
    assert_eq!((right("old words"), wrong()), (USERS, (REREADS as usize, USERS - REREADS as usize)));

    // Changed elsewhere, in the middle of the flood: no login is refused by the earlier row.
    table.rows().iter_mut().for_each(|row| row.password = Password("{PLAIN}new words".into()));
    *now.lock().unwrap() += PAUSE;
    wrong();
    let refused = (0..USERS).filter(|number| matches!(ask(*number, "new words"), Answer::No(_))).count();
    assert_eq!(refused, 0);
    *now.lock().unwrap() += seconds(30);
    assert_eq!(right("new words"), USERS);
}

#[test]
fn when_reading_anew_fails_the_kept_row_stays() {
    let story = story();
    story.seen("anna");
    let seen = story.seen("anna");
    story.wait(PAUSE);
    story.table.fail(Some(away()));
    assert_eq!(story.again(&seen).unwrap_err(), away());
    assert_eq!(story.stored("anna"), "one");
}

#[test]
fn a_row_that_cannot_be_trusted_any_more_is_not_kept() {
    let story = story();
    story.seen("anna");
    let seen = story.seen("anna");
    story.wait(PAUSE);
    let unusable = Unusable { login: "anna@x.example".into(), column: "uid", problem: "is no number".into() };
    story.table.fail(Some(unusable.clone().into()));
    assert_eq!(story.again(&seen).unwrap_err(), unusable.clone().into());
    assert_eq!(story.try_seen("anna").unwrap_err(), unusable.into());
}

#[test]
fn a_password_that_is_changed_here_is_seen_at_once() {
    let story = story();
    let old = story.seen("anna").row.unwrap().password;
    assert!(story.cache.set_password(&login("anna"), &old, &Password("two".into())).unwrap());
    assert_eq!(story.stored("anna"), "two");
}

#[test]
fn what_is_forgotten_is_read_anew() {
    let story = story();
    story.table.rows().push(row("ben", "one"));
    for name in ["anna", "ben"] {
        story.seen(name);
    }
    story.cache.forget(&Changed::Account(login("anna")));
    assert!(!story.seen("anna").is_kept() && story.seen("ben").is_kept());
    story.cache.forget(&Changed::Everything);
    assert!(!story.seen("anna").is_kept() && !story.seen("ben").is_kept());
}

#[test]
fn a_changed_domain_concerns_its_own_accounts_and_additions_concern_unknown_logins() {
    let story = story();
    story.table.rows().extend([row("ben@y.example", "one"), row("carl@z.example", "one")]);
    let all = ["ben@y.example", "carl@z.example", "dora@y.example", "emil@z.example"];
    let kept = || all.map(|name| story.seen(name).is_kept());
    kept();
    assert_eq!(kept(), [true; 4]);
    story.cache.forget(&Changed::alias("ben@y.example").unwrap());
    assert_eq!(kept(), [true; 4]);
    story.cache.forget(&Changed::Domain(DomainName::parse("y.example").unwrap()));
    assert_eq!(kept(), [false, true, false, true]);
    story.cache.forget(&Changed::Additions);
    assert_eq!(kept(), [true, true, false, false]);
}

#[test]
fn a_query_that_was_under_way_during_a_change_is_not_kept_and_nobody_joins_it() {
    for all in [false, true] {
        let story = story();
        let (arrived, go) = gate(&story.table);
        std::thread::scope(|scope| {
            let early = scope.spawn(|| story.stored("anna"));
            arrived.recv_timeout(LONG).unwrap();
            // The query has read the old row, and not yet returned it.
            story.table.rows()[0] = row("anna", "two");
            story.cache.forget(&if all { Changed::Everything } else { Changed::Account(login("anna")) });
            let late = scope.spawn(|| story.stored("anna"));
            assert_eq!(late.join().unwrap(), "two");
            go.send(Verdict::Answer).unwrap();
            assert_eq!(early.join().unwrap(), "one", "it was asked before the change was known");
        });
        assert_eq!(story.stored("anna"), "two");
    }
}

/// Returns what eight simultaneous requests get, of which one comes before the others.
fn eight(story: &Story, verdicts: &[Verdict], error: Option<StoreError>) -> Vec<Option<Result<String, StoreError>>> {
    let (arrived, go) = gate(&story.table);
    std::thread::scope(|scope| {
        let one = || story.try_seen("anna").map(|seen| stored(&seen));
        let first = scope.spawn(one);
        arrived.recv_timeout(LONG).unwrap();
        let others: Vec<_> = (0..7).map(|_| scope.spawn(one)).collect();
        // All are counted before they begin to wait.
        while story.counters.read().misses < 8 {
            std::thread::yield_now();
        }
        std::thread::sleep(Duration::from_millis(50));
        story.table.fail(error);
        verdicts.iter().for_each(|verdict| go.send(*verdict).unwrap());
        let all = std::iter::once(first).chain(others);
        all.map(|asking| asking.join().ok()).collect()
    })
}

#[test]
fn many_who_ask_at_once_share_one_query() {
    let story = story();
    let answers = eight(&story, &[Verdict::Answer], None);
    assert!(answers.iter().all(|answer| answer.as_ref().unwrap().as_deref() == Ok("one")), "{answers:?}");
    assert_eq!((story.table.calls(), story.counters.read().coalesced), (1, 7));
}

#[test]
fn an_error_is_the_answer_to_all_of_them_and_never_that_there_is_no_account() {
    let story = story();
    let answers = eight(&story, &[Verdict::Answer], Some(away()));
    assert!(answers.iter().all(|answer| *answer == Some(Err(away()))), "{answers:?}");
    assert_eq!(story.table.calls(), 1);
}

#[test]
fn when_the_one_who_asks_panics_another_takes_his_place() {
    let story = story();
    let answers = eight(&story, &[Verdict::Panic, Verdict::Answer], None);
    let given_up = answers.iter().filter(|answer| answer.is_none()).count();
    assert_eq!(given_up, 1, "his own request is lost");
    assert!(answers.iter().flatten().all(|answer| answer.as_deref() == Ok("one")), "{answers:?}");
    assert_eq!(story.table.calls(), 2);
}

#[test]
fn who_waits_for_anothers_query_waits_until_his_own_deadline() {
    let story = story();
    let (arrived, go) = gate(&story.table);
    std::thread::scope(|scope| {
        let first = scope.spawn(|| story.stored("anna"));
        arrived.recv_timeout(LONG).unwrap();
        let hurried = story.cache.look_up(&login("anna"), Instant::now() + Duration::from_millis(20));
        assert!(matches!(hurried, Err(StoreError::Timeout { .. })), "{hurried:?}");
        go.send(Verdict::Answer).unwrap();
        assert_eq!(first.join().unwrap(), "one");
    });
    assert!(story.seen("anna").is_kept());
}

#[test]
fn the_bytes_of_all_entries_are_bounded_too() {
    let config = CacheConfig { accounts: 100_000, memory: Some(1 << 20), ..CacheConfig::default() };
    let story = story_of(&config);
    for number in 0..1000 {
        let options = Some("o".repeat(8000));
        story.table.rows().push(AccountRow { options, ..row(&format!("user{number}"), "one") });
    }
    for number in 0..1000 {
        story.cache.look_up(&login(&format!("user{number}")), Instant::now() + LONG).unwrap();
    }
    let held: usize = story.cache.kept.iter().map(|(_, kept)| kept.row.clone().unwrap().options.unwrap().len()).sum();
    assert!(held <= 1 << 20 && held > 1 << 18, "{held}");
}

#[test]
fn what_is_too_old_does_not_stay_in_memory() {
    let story = story();
    for name in ["anna", "nobody"] {
        story.cache.look_up(&login(name), Instant::now() + LONG).unwrap();
    }
    assert_eq!(story.cache.kept.len(), 2);
    let sweep = || story.cache.lifetimes.sweep(&story.cache.kept, *story.now.lock().unwrap());
    *story.now.lock().unwrap() += seconds(5);
    sweep();
    assert_eq!(story.cache.kept.len(), 1, "that there is no such account is over");
    *story.now.lock().unwrap() += seconds(25);
    sweep();
    assert_eq!(story.cache.kept.len(), 0);
}

#[test]
fn it_is_swept_while_nothing_is_asked() {
    let rows = Arc::new(Weight::rows(&CacheConfig::default()));
    let lifetimes = Lifetimes { found: Duration::ZERO, unknown: Duration::ZERO };
    let kept = Kept { row: None, read: Instant::now(), behind: false, copied: false };
    rows.insert(login("anna"), Arc::new(kept));
    let sweeping = lifetimes.sweep_always(&rows).unwrap();
    let begin = Instant::now();
    while !rows.is_empty() && begin.elapsed() < 3 * LONG {
        std::thread::sleep(Duration::from_millis(50));
    }
    assert!(rows.is_empty());
    drop(sweeping);
}

#[test]
fn the_number_of_entries_is_bounded() {
    let story = story_of(&CacheConfig { accounts: 100, ..CacheConfig::default() });
    for number in 0..10_000 {
        story.seen(&format!("user{number}"));
    }
    assert!(story.cache.kept.len() <= 100, "{}", story.cache.kept.len());
}

#[test]
fn a_look_up_in_memory_takes_microseconds() {
    let story = story();
    story.seen("anna");
    let begin = Instant::now();
    (0..1000).for_each(|_| assert!(story.seen("anna").is_kept()));
    // The target is 2 ms; this is a debug build on a busy machine.
    assert!(begin.elapsed() < Duration::from_millis(50), "{:?} for a thousand", begin.elapsed());
}

/// A table whose rows come from a copy while it is unreachable.
struct Copied(MemoryStore);

impl AccountStore for Copied {
    fn find(&self, login: &Login) -> Result<Option<AccountRow>, StoreError> {
        self.0.find(login)
    }

    fn look_up(&self, login: &Login, _: Instant) -> Result<Seen, StoreError> {
        let copy = || Seen::copied(Some(row("anna", "from the copy")));
        Ok(self.0.find(login).map_or_else(|_| copy(), Seen::new))
    }

    fn look_up_newest(&self, login: &Login) -> Result<Seen, StoreError> {
        self.look_up(login, Instant::now())
    }

    fn set_password(&self, login: &Login, old: &Password, new: &Password) -> Result<bool, StoreError> {
        self.0.set_password(login, old, new)
    }

    fn enumerate(&self, _: Option<&Cursor>, _: usize) -> Result<Page, StoreError> {
        Ok(Page::default())
    }
}

#[test]
fn what_is_from_a_copy_is_not_kept_and_overrules_nothing() {
    let Story { table, now, .. } = &story();
    let clock = Arc::clone(now);
    let config = CacheConfig { found: seconds(30), ..CacheConfig::default() };
    let clock = Box::new(move || *clock.lock().unwrap());
    let cache = Cache::by_clock(Copied(table.clone()), "memory".into(), &config, Arc::default(), clock);
    let look = || cache.look_up(&login("anna"), Instant::now() + LONG).unwrap();
    let wait = |time| *now.lock().unwrap() += time;
    let kept = look();
    assert_eq!(stored(&kept), "one");
    wait(seconds(10));
    table.fail(Some(away()));
    let kept = look();
    assert!(kept.is_kept());
    let again = |seen: &Seen| cache.look_again(&login("anna"), seen, Instant::now() + LONG);
    assert_eq!(again(&kept).unwrap_err(), StoreError::Unconfirmed(COPY_DIFFERS), "either may be the older one");
    let same = Seen::kept(Some(row("anna", "from the copy")), *now.lock().unwrap() - seconds(10));
    assert!(again(&same).unwrap().is_none(), "both refuse");
    wait(seconds(20));
    let copied = look();
    assert_eq!((stored(&copied).as_str(), copied.is_copied()), ("from the copy", true));
    table.fail(None);
    assert_eq!(stored(&look()), "one", "at once");
}

/// A table whose replica, which lacks the last change, is read first. Each query reports that it was sent, and is
/// answered when the test says so.
#[derive(Default)]
struct Lagging {
    replica: MemoryStore,
    primary: MemoryStore,
}

impl AccountStore for Arc<Lagging> {
    fn find(&self, _: &Login) -> Result<Option<AccountRow>, StoreError> {
        panic!("nothing to do with what is kept")
    }

    fn look_up(&self, login: &Login, _: Instant) -> Result<Seen, StoreError> {
        self.replica.find(login).map(|row| Seen::new(row).behind(true))
    }

    fn look_up_newest(&self, login: &Login) -> Result<Seen, StoreError> {
        self.primary.find(login).map(Seen::new)
    }

    fn set_password(&self, _: &Login, _: &Password, _: &Password) -> Result<bool, StoreError> {
        panic!("nothing to do with what is kept")
    }

    fn enumerate(&self, _: Option<&Cursor>, _: usize) -> Result<Page, StoreError> {
        panic!("nothing to do with what is kept")
    }
}

/// Returns a table where `anna` has the password `one` on the replica and `two` on the primary, and a cache over it.
fn lagging() -> (Arc<Lagging>, Cache<Arc<Lagging>>) {
    let store = Arc::new(Lagging::default());
    store.replica.rows().push(row("anna", "one"));
    store.primary.rows().push(row("anna", "two"));
    let config = CacheConfig { found: Duration::from_nanos(1), ..CacheConfig::default() };
    let cache = Cache::new(Arc::clone(&store), "memory".into(), &config, Arc::default());
    (store, cache)
}

#[test]
fn before_a_refusal_nobody_waits_for_the_query_of_another_that_a_replica_answers() {
    let (store, cache) = lagging();
    let look = || cache.look_up(&login("anna"), Instant::now() + LONG).unwrap();
    let again = |seen| cache.look_again(&login("anna"), seen, Instant::now() + LONG).unwrap().expect("another row");
    let seen = look();
    assert!(stored(&seen) == "one" && seen.is_behind());
    let (arrived, go) = gate(&store.replica);
    std::thread::scope(|scope| {
        let other = scope.spawn(look);
        arrived.recv_timeout(LONG).unwrap();
        assert_eq!(stored(&again(&seen)), "two");
        go.send(Verdict::Answer).unwrap();
        assert_eq!(stored(&other.join().unwrap()), "one", "it has asked before");
    });
    let kept = cache.kept.get(&login("anna")).expect("a row");
    assert_eq!(stored(&kept.seen()), "two", "which was read later, and answered earlier");
}

#[test]
fn before_a_refusal_nobody_waits_for_a_query_from_before_a_change_that_was_told() {
    for changed in [Changed::Account(login("anna")), Changed::Everything] {
        let (store, cache) = lagging();
        let seen = cache.look_up(&login("anna"), Instant::now() + LONG).unwrap();
        let again = || stored(&cache.look_again(&login("anna"), &seen, Instant::now() + LONG).unwrap().expect("a row"));
        let (arrived, go) = gate(&store.primary);
        std::thread::scope(|scope| {
            let early = scope.spawn(again);
            arrived.recv_timeout(LONG).unwrap();
            store.primary.rows()[0] = row("anna", "three");
            cache.forget(&changed);
            assert_eq!(again(), "three");
            go.send(Verdict::Answer).unwrap();
            assert_eq!(early.join().unwrap(), "two");
        });
        assert_eq!(stored(&cache.kept.get(&login("anna")).expect("a row").seen()), "three");
    }
}
