//! Time and cost of refusals of unknown logins.

use super::*;

/// Returns true if a password for this login is hashed, which takes milliseconds.
fn is_slow(users: &Authenticator, login: &str) -> bool {
    matches!(users.begin(request(login, Credential::Password("guess".into()))), Step::Hash(_))
}

#[test]
fn unknown_logins_are_as_slow_as_those_of_the_table() {
    let slow = hashed(NewScheme::Sha256Crypt);
    let cheap = |number| row(&format!("cheap{number}@x.example"), SHA256_OF_SECRET);
    let users = table((0..25).map(cheap).chain((0..75).map(|i| row(&format!("slow{i}@x.example"), &slow))));
    for _ in 0..1000 {
        assert!(!is_slow(&users, "cheap7"));
    }
    assert!((0..50).all(|i| is_slow(&users, &format!("unknown{i}"))), "as a new password, before the table is known");
    users.learn_kinds(&|| true).unwrap();
    let slow_ones =
        |users: &Authenticator| (0..400).map(|i| is_slow(users, &format!("unknown{i}"))).collect::<Vec<_>>();
    let first = slow_ones(&users);
    let number = first.iter().filter(|slow| **slow).count();
    assert!((240..=360).contains(&number), "{number} of 400, where 75 of 100 accounts are slow");
    for _ in 0..1000 {
        assert!(!is_slow(&users, "cheap7"));
    }
    assert_eq!(slow_ones(&users), first, "each login is as slow as before");
    // A login with a locked password is as slow as if it were unknown.
    let locked = table((0..400).map(|i| row(&format!("unknown{i}@x.example"), "!")));
    locked.dummies.take_over(&users.dummies);
    assert_eq!(slow_ones(&locked), first);
    assert!(
        first
            != slow_ones(&{
                let others = table([row("a@x.example", SHA256_OF_SECRET), row("b@x.example", &slow)]);
                others.learn_kinds(&|| true).unwrap();
                others
            }),
        "another process has another key"
    );
}

#[test]
fn an_unknown_login_is_refused_as_late_as_the_costliest_one() {
    let dear = "$2b$11$......................................................".replacen("......", "abcdef", 1);
    let users = table((0..9).map(|i| row(&format!("dear{i}@x.example"), &dear[..60])));
    users.learn_kinds(&|| true).unwrap();
    for number in 0..20 {
        let Step::Hash(verification) =
            users.begin(request(&format!("unknown{number}"), Credential::Password("x".into())))
        else {
            panic!("not hashed")
        };
        assert_eq!(verification.candidate.stored.scheme(), "SHA256-CRYPT");
    }
    let asked = Instant::now();
    let Step::Hash(verification) = users.begin(request("dear3", Credential::Password("x".into()))) else { panic!() };
    assert_eq!(verification.candidate.stored.scheme(), "BLF-CRYPT");
    assert_eq!(no(users.finish(verification)), No::WrongPassword);
    assert!(users.dummies.slowest() <= asked.elapsed());
    // At most a second, which one password takes on a busy machine.
    let least = (users.dummies.slowest() * 3 / 2).min(Duration::from_secs(1));
    assert!(users.refuse_at(asked) >= asked + least);
}

#[test]
fn a_sample_of_a_large_table_shows_the_kinds_of_its_passwords() {
    let slow = hashed(NewScheme::Sha256Crypt);
    let users =
        table((0..9000).map(|i| row(&format!("{i:04}@x.example"), if i < 100 { SHA256_OF_SECRET } else { &slow })));
    users.learn_kinds(&|| true).unwrap();
    let number = (0..400).filter(|i| is_slow(&users, &format!("unknown{i}"))).count();
    assert!(number > 300, "{number} of 400");
    let away = over(failing(Some(away())));
    assert_eq!(away.learn_kinds(&|| true), Err(self::away()));
}
