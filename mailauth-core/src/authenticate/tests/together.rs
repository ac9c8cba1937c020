//! Logins whose passwords are hashed together.

use super::*;
use crate::password::{Cost, Family};
use std::collections::VecDeque;

/// Logins that wait in the order of their arrival, and the answers so far.
#[derive(Default)]
struct Waiting {
    logins: VecDeque<PendingLogin<String>>,
    gone: Vec<String>,
    answers: Vec<(String, Option<Answer<Box<Account>>>)>,
    taken: usize,
}

impl PendingLogins for Waiting {
    type Client = String;

    fn next(&mut self, family: Family) -> Option<PendingLogin<String>> {
        let first = self.logins.front()?;
        assert_eq!(first.verification.family(), Some(family), "all logins of these tests are of one family");
        self.taken += 1;
        self.logins.pop_front()
    }

    fn is_waiting(&self, client: &String) -> bool {
        !self.gone.contains(client)
    }

    fn answer(&mut self, client: String, answer: Option<Answer<Box<Account>>>) {
        self.answers.push((client, answer));
    }
}

impl Waiting {
    /// Adds a login with the name `client`.
    fn add(&mut self, users: &Arc<Authenticator>, client: &str, request: Request) {
        match users.begin(request) {
            Step::Hash(verification) => {
                let authenticator = Arc::clone(users);
                self.logins.push_back(PendingLogin { authenticator, verification, client: client.to_owned() });
            }
            Step::Decided(_) => panic!("{client} is not hashed"),
        }
    }

    /// Decides all logins, beginning with the first one.
    fn decide(&mut self) {
        while let Some(first) = self.logins.pop_front() {
            finish_together(first, self);
        }
    }

    /// Returns the only answer to the login with this name.
    fn answer_to(&mut self, client: &str) -> Option<Answer<Box<Account>>> {
        let mut found: Vec<_> =
            self.answers.extract_if(.., |(name, _)| name == client).map(|(_, answer)| answer).collect();
        assert_eq!(found.len(), 1, "{client} is answered once");
        found.pop().flatten()
    }
}

/// `Secret-Passw0rd` with 1,000 rounds. [`hashed`] makes values of `secret` with 5,000.
const QUICK: &str =
    "$6$rounds=1000$$jkX1ykMBafQxAbraxuvx3wMNqlTYErfjTFTzOr3FUZ5ek4Q8MB0vSLATHIpmR2D9YT/CzBNdihIoB8RTl9tqj0";

/// Returns an authenticator over accounts with passwords of different costs, and for unknown logins one of the same family.
fn users() -> (Arc<Authenticator>, Arc<Counters>) {
    let slow = hashed(NewScheme::Sha512Crypt);
    let mut rows: Vec<_> = (0..8).map(|n| row(&format!("quick{n}@x.example"), QUICK)).collect();
    rows.extend((0..4).map(|n| row(&format!("slow{n}@x.example"), &slow)));
    rows.push(AccountRow { enabled: false, ..row("off@x.example", QUICK) });
    let policy = Policy { scheme: NewScheme::Sha512Crypt, ..policy() };
    let users = Authenticator::new(Arc::new(MemoryStore::with(rows)), policy, Arc::new(Budget::new(1, 64 << 20)));
    let counters = Arc::default();
    (Arc::new(users.remembering(&CacheConfig::default(), Arc::clone(&counters))), counters)
}

fn with_password(login: &str, password: &str) -> Request {
    request(login, Credential::Password(password.into()))
}

#[test]
fn each_of_several_logins_gets_its_own_answer() {
    let (users, counters) = users();
    let mut waiting = Waiting::default();
    for n in 0..8 {
        waiting.add(&users, &format!("good{n}"), with_password(&format!("quick{n}"), "Secret-Passw0rd"));
        waiting.add(&users, &format!("wrong{n}"), with_password(&format!("quick{n}"), "secret"));
        waiting.add(&users, &format!("unknown{n}"), with_password(&format!("nobody{n}"), "secret"));
        let slow = n % 4;
        let password = if n < 4 { "secret" } else { "Secret-Passw0rd" };
        waiting.add(&users, &format!("slow{n}"), with_password(&format!("slow{slow}"), password));
    }
    waiting.add(&users, "off", with_password("off", "Secret-Passw0rd"));
    let all = waiting.logins.len();
    waiting.decide();
    assert_eq!(waiting.answers.len(), all);
    for n in 0..8 {
        let mut answer = |name: &str| waiting.answer_to(&format!("{name}{n}")).expect("it was wanted");
        assert_eq!(yes(answer("good")).login.as_str(), format!("quick{n}@x.example"));
        assert_eq!(no(answer("wrong")), No::WrongPassword);
        assert_eq!(no(answer("unknown")), No::UnknownLogin);
        let slow = answer("slow");
        if n < 4 { drop(yes(slow)) } else { assert_eq!(no(slow), No::WrongPassword) }
    }
    assert_eq!(no(waiting.answer_to("off").unwrap()), No::AccountDisabled);
    let expected = if Family::Sha512.has_lanes() { all - 1 } else { 0 };
    assert_eq!(waiting.taken, expected, "the first one takes all others");
    assert_eq!(counters.read().logins.yes, 12, "each is counted");
    assert!(matches!(users.begin(with_password("quick3", "Secret-Passw0rd")), Step::Decided(Ok(_))), "remembered");
    assert_eq!(users.budget.run(Cost::Heavy { memory: 64 << 20 }, soon(), || 7), Ok(7), "all permits are returned");
}

#[test]
fn a_client_that_is_gone_and_a_login_that_is_too_late_cost_nothing() {
    let (users, counters) = users();
    // The time of one is known from now on.
    yes(users.authenticate(with_password("slow0", "secret")));
    let mut waiting = Waiting { gone: vec!["gone".into()], ..Waiting::default() };
    waiting.add(&users, "good", with_password("quick0", "Secret-Passw0rd"));
    waiting.add(&users, "gone", with_password("quick1", "Secret-Passw0rd"));
    // The look-up is in time, the hash cannot be.
    let deadline = Instant::now() + Duration::from_secs(2);
    waiting.add(&users, "late", Request { deadline, ..with_password("slow1", "secret") });
    while Instant::now() < deadline {
        std::thread::yield_now();
    }
    waiting.add(&users, "other", with_password("slow2", "secret"));
    waiting.decide();
    assert!(waiting.answer_to("gone").is_none());
    assert_eq!(not_now(waiting.answer_to("late").unwrap()), NotNow::Busy);
    yes(waiting.answer_to("good").unwrap());
    yes(waiting.answer_to("other").unwrap());
    assert_eq!(counters.read().logins.yes, 3);
    for login in ["quick1", "slow1"] {
        assert!(
            !users
                .familiar
                .knows(familiar::key_of(&Login::parse(format!("{login}@x.example").as_bytes(), None).unwrap()))
        );
    }
}

#[test]
fn a_login_that_cannot_be_hashed_in_time_is_given_up_before() {
    let (users, _) = users();
    let Step::Hash(verification) = users.begin(with_password("slow0", "secret")) else { panic!("not hashed") };
    users.dummies.observe(verification.candidate.stored.kind(), Duration::from_secs(3600));
    let begin = Instant::now();
    assert_eq!(not_now(users.finish(verification)), NotNow::Busy);
    assert!(begin.elapsed() < Duration::from_secs(5));
}

fn soon() -> Instant {
    Instant::now() + Duration::from_secs(20)
}
