//! Logins whose passwords are hashed together, and logins for which there is no time left.

use super::*;
use crate::password::Family;
use std::collections::VecDeque;

/// Logins that wait, and the answers to those that no longer do.
struct Crowd {
    waiting: VecDeque<PendingLogin<usize>>,
    gone: Option<usize>,
    answers: Vec<(usize, Option<Answer<Box<Account>>>)>,
}

impl PendingLogins for Crowd {
    type Client = usize;

    fn next(&mut self, family: Family) -> Option<PendingLogin<usize>> {
        let is_next = self.waiting.front()?.verification.family() == Some(family);
        if is_next { self.waiting.pop_front() } else { None }
    }

    fn is_waiting(&self, client: &usize) -> bool {
        self.gone != Some(*client)
    }

    fn answer(&mut self, client: usize, answer: Option<Answer<Box<Account>>>) {
        self.answers.push((client, answer));
    }
}

/// Returns a stored value of `secret` with bcrypt of this cost.
fn of_cost(cost: u32) -> String {
    bcrypt::hash_with_salt("secret", cost, [cost as u8; 16]).unwrap().format_for_version(bcrypt::Version::TwoB)
}

#[test]
fn bcrypt_logins_that_wait_together_are_each_decided_by_their_own_row() {
    let rows = (0..12).map(|number| row(&format!("u{number}@x.example"), &of_cost(4 + number % 4)));
    let users = Arc::new(table(rows));
    let mut crowd = Crowd { waiting: VecDeque::new(), gone: Some(7), answers: Vec::new() };
    for number in 0..12 {
        let password = if number % 3 == 2 { "wrong" } else { "secret" };
        let credential = Credential::Password(password.into());
        let Step::Hash(verification) = users.begin(request(&format!("u{number}"), credential)) else {
            panic!("decided")
        };
        crowd.waiting.push_back(PendingLogin { authenticator: Arc::clone(&users), verification, client: number });
    }
    let first = crowd.waiting.pop_front().unwrap();
    finish_together(first, &mut crowd);
    assert!(crowd.waiting.is_empty(), "none was left for a thread of its own");
    crowd.answers.sort_by_key(|(client, _)| *client);
    assert_eq!(crowd.answers.len(), 12);
    for (client, answer) in crowd.answers {
        match (client, answer) {
            (7, answer) => assert!(answer.is_none(), "nothing is hashed for a client that is gone"),
            (_, Some(answer)) if client % 3 == 2 => assert_eq!(no(answer), No::WrongPassword, "{client}"),
            (_, Some(answer)) => {
                let login = yes(answer).login.to_string();
                assert_eq!(login, format!("u{client}@x.example"));
            }
            (_, None) => panic!("{client} was not answered"),
        }
    }
}

#[test]
fn a_login_that_would_be_answered_too_late_is_not_hashed() {
    let users = table([row("anna@x.example", &of_cost(4)), row("bruno@x.example", &of_cost(12))]);
    yes(try_password(&users, "anna", "secret"));
    let stored = password::Stored::parse(of_cost(12).as_bytes(), &HashRules::default()).unwrap();
    users.dummies.observe(stored.kind(), Duration::from_secs(3600));
    let begin = Instant::now();
    assert_eq!(not_now(try_password(&users, "bruno", "secret")), NotNow::Busy, "an hour is longer than the deadline");
    assert_eq!(not_now(try_password(&users, "bruno", "wrong")), NotNow::Busy);
    yes(try_password(&users, "anna", "secret"));
    // The password of cost 12 alone takes as long as 256 of cost 4.
    assert!(begin.elapsed() < Duration::from_secs(20), "{:?}", begin.elapsed());
    assert_eq!(users.dummies.time_of(stored.kind()), Duration::from_secs(3600), "nothing was hashed and timed");
}
