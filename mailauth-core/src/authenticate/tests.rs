//! Decisions over a store that does what each story needs.

use super::*;
use crate::account::LoginError;
use crate::answer::Refusal;
use crate::challenge::{CramMechanism, CramResponse};
use crate::config::CacheConfig;
use crate::counters::Counters;
use crate::mailbox::Unusable;
use crate::password::{self, HashRules, NewScheme};
use crate::store::{Cursor, Lookup, Page, StoreError};
use crate::testing::{Call, MemoryStore};
use crate::{Service, Services};
use std::sync::Mutex;
use std::time::Duration;

const SHA256_OF_SECRET: &str = "{SHA256}K7gNU3sdo+OL0wNhqoVWhr3g6s1xYv72ol/pe/Unols=";

fn row(login: &str, password: &str) -> AccountRow {
    AccountRow {
        password: Password(password.into()),
        uid: Some(5000),
        gid: Some(5000),
        ..AccountRow::new(Login::parse(login.as_bytes(), None).unwrap())
    }
}

fn policy() -> Policy {
    Policy {
        default_domain: Some("x.example".into()),
        separators: String::new(),
        mailbox: MailboxDefaults::default(),
        rules: HashRules::default(),
        scheme: NewScheme::Sha256Crypt,
        min_length: 8,
        unknown_services: true,
        alias_domains: false,
        delimiters: Default::default(),
        refusal_time: Default::default(),
    }
}

/// Returns a store that answers every question with an error, if there is one.
fn failing(error: Option<StoreError>) -> MemoryStore {
    let store = MemoryStore::default();
    store.fail(error);
    store
}

fn over(table: MemoryStore) -> Authenticator {
    Authenticator::new(Arc::new(table), policy(), Arc::new(Budget::new(2, 64 << 20)))
}

fn table(rows: impl IntoIterator<Item = AccountRow>) -> Authenticator {
    over(MemoryStore::with(rows))
}

fn request(login: &str, credential: Credential) -> Request {
    let deadline = Instant::now() + Duration::from_secs(30);
    Request { service: Service::Imap, login: login.into(), credential, client: None, deadline }
}

fn try_password(of: &Authenticator, login: &str, password: &str) -> Answer<Box<Account>> {
    of.authenticate(request(login, Credential::Password(password.into())))
}

fn yes<T>(answer: Answer<T>) -> T {
    match answer {
        Ok(value) => value,
        Err(Refusal::No(no)) => panic!("no: {no}"),
        Err(Refusal::NotNow(why)) => panic!("not now: {why}"),
    }
}

fn no<T>(answer: Answer<T>) -> No {
    match answer {
        Ok(_) => panic!("yes"),
        Err(Refusal::No(no)) => no,
        Err(Refusal::NotNow(why)) => panic!("not now: {why}"),
    }
}

fn not_now<T>(answer: Answer<T>) -> NotNow {
    match answer {
        Ok(_) => panic!("yes"),
        Err(Refusal::No(no)) => panic!("no: {no}"),
        Err(Refusal::NotNow(why)) => why,
    }
}

#[test]
fn the_right_password_gets_the_account_in_the_tables_spelling() {
    let users = table([row("anna@x.example", SHA256_OF_SECRET)]);
    assert_eq!(yes(try_password(&users, "Anna@X.example", "secret")).login.as_str(), "anna@x.example");
    assert_eq!(yes(try_password(&users, "anna", "secret")).home, "/var/mail/x.example/anna");
}

#[test]
fn each_refusal_has_a_reason_of_its_own() {
    let users = table([
        row("anna@x.example", SHA256_OF_SECRET),
        AccountRow { enabled: false, ..row("off@x.example", SHA256_OF_SECRET) },
        AccountRow { domain_enabled: false, ..row("domain@x.example", SHA256_OF_SECRET) },
        AccountRow { services: Services::parse("pop3").unwrap(), ..row("pop@x.example", SHA256_OF_SECRET) },
        row("none@x.example", ""),
        row("locked@x.example", "!"),
        row("cut@x.example", "$6$saltsalt$cut"),
    ]);
    let refusal = |login: &str| no(try_password(&users, login, "secret"));
    assert_eq!(no(try_password(&users, "anna", "Secret")), No::WrongPassword);
    assert_eq!(refusal("nobody"), No::UnknownLogin);
    assert_eq!(refusal("off"), No::AccountDisabled);
    assert_eq!(refusal("domain"), No::DomainDisabled);
    assert_eq!(refusal("pop"), No::ServiceNotAllowed);
    assert_eq!(refusal("none"), No::NoPassword);
    assert_eq!(refusal("locked"), No::PasswordLocked);
    assert!(matches!(refusal("cut"), No::UnusableHash(_)));
    assert_eq!(refusal(""), No::UnusableLogin(LoginError::Empty));
}

#[test]
fn a_disabled_account_tells_nobody_that_a_password_was_wrong_or_right() {
    let users = table([AccountRow { enabled: false, ..row("off@x.example", SHA256_OF_SECRET) }]);
    assert_eq!(no(try_password(&users, "off", "guess")), No::WrongPassword);
}

#[test]
fn passwords_that_no_scheme_may_see_are_refused_before_any_look_up() {
    let outage = Some(StoreError::Refused { place: "here".into(), reason: "asked".into() });
    let users = over(failing(outage));
    for password in ["", "secret\0junk", &"x".repeat(MAX_PASSWORD + 1)] {
        assert_eq!(no(try_password(&users, "anna", password)), No::UnusablePassword);
    }
}

#[test]
fn an_outage_is_not_now_for_every_kind_of_question() {
    let error = StoreError::Unreachable { place: "here".into(), reason: "gone".into() };
    let users = over(failing(Some(error.clone())));
    assert_eq!(not_now(try_password(&users, "anna", "secret")), NotNow::Store(error.clone()));
    assert_eq!(not_now(users.authenticate(request("anna", Credential::Lookup))), NotNow::Store(error.clone()));
    let change = PasswordChange { request: request("anna", Credential::Password("old".into())), new: "new".into() };
    assert_eq!(not_now(users.change_password(change)), NotNow::Store(error));
}

/// Each with the column for which it can never be used.
fn unusable_rows() -> Vec<(&'static str, AccountRow)> {
    let good = || row("odd@x.example", SHA256_OF_SECRET);
    vec![
        ("login", row("sales/eu@x.example", SHA256_OF_SECRET)),
        ("login", row("..@x.example", SHA256_OF_SECRET)),
        ("login", row(".@x.example", SHA256_OF_SECRET)),
        ("name", AccountRow { name: Some("x\nUID=0".into()), ..good() }),
        ("home", AccountRow { home: Some("mail".into()), ..good() }),
        ("uid", AccountRow { uid: Some(0), ..good() }),
        ("uid", AccountRow { uid: None, ..good() }),
        ("gid", AccountRow { gid: Some(0), ..good() }),
    ]
}

fn column(no: No) -> &'static str {
    match no {
        No::UnusableAccount(Unusable { column, .. }) => column,
        no => panic!("{no:?}"),
    }
}

#[test]
fn a_row_that_can_never_be_used_is_no_whether_the_password_is_right_or_wrong() {
    for (named, row) in unusable_rows() {
        let login = row.login.to_string();
        let users = table([row]);
        for password in ["secret", "guess"] {
            assert_eq!(column(no(try_password(&users, &login, password))), named, "{login}");
        }
        assert_eq!(column(no(users.authenticate(request(&login, Credential::Lookup)))), named, "{login}");
        let request = request(&login, Credential::Password("secret".into()));
        let change = PasswordChange { request, new: "long enough".into() };
        assert_eq!(column(no(users.change_password(change))), named, "{login}");
    }
}

#[test]
fn a_row_that_can_never_be_used_is_refused_as_slowly_as_any_other() {
    let slow = password::hash(NewScheme::Sha256Crypt, b"secret").unwrap();
    let slow = std::str::from_utf8(slow.expose()).unwrap();
    let unreadable =
        Unusable { login: "anna@x.example".into(), column: "uid", problem: "is not a whole number".into() };
    let outage = Some(StoreError::Unusable(unreadable));
    for users in [table([AccountRow { uid: Some(0), ..row("anna@x.example", slow) }]), over(failing(outage))] {
        for password in ["secret", "guess"] {
            let step = users.begin(request("anna", Credential::Password(password.into())));
            let Step::Hash(verification) = step else { panic!("{password} was not hashed") };
            assert_eq!(column(no(users.finish(verification))), "uid");
        }
    }
}

#[test]
fn mail_for_a_row_that_can_never_be_used_waits() {
    for (named, row) in unusable_rows() {
        let login = row.login.to_string();
        let users = table([row]);
        let look_up = Request { service: Service::Delivery, ..request(&login, Credential::Lookup) };
        let why = not_now(users.authenticate(look_up));
        assert!(
            matches!(&why, NotNow::Store(StoreError::Unusable(Unusable { column, .. })) if *column == named),
            "{why}"
        );
    }
}

#[test]
fn a_disabled_account_is_disabled_whatever_else_is_wrong_with_it() {
    let users = table([AccountRow { enabled: false, uid: Some(0), ..row("off@x.example", SHA256_OF_SECRET) }]);
    assert_eq!(no(try_password(&users, "off", "secret")), No::AccountDisabled);
    assert_eq!(no(try_password(&users, "off", "guess")), No::WrongPassword);
}

#[test]
fn what_only_a_copy_says_of_a_row_is_no_reason_to_refuse_it() {
    let unusable = Unusable { login: "anna@x.example".into(), column: "uid", problem: "is not a whole number".into() };
    let error = StoreError::Doubtful(unusable);
    let users = over(failing(Some(error.clone())));
    assert_eq!(not_now(try_password(&users, "anna", "secret")), NotNow::Store(error));
}

#[test]
fn a_request_past_its_deadline_is_not_worked_on() {
    let users = table([row("anna@x.example", SHA256_OF_SECRET)]);
    let late = Request { deadline: Instant::now(), ..request("anna", Credential::Password("secret".into())) };
    assert_eq!(not_now(users.authenticate(late)), NotNow::Late);
}

#[test]
fn delivery_asks_about_any_account_that_is_on_whatever_it_may_log_in_to() {
    let users = table([
        AccountRow { services: Services::parse("none").unwrap(), ..row("box@x.example", "") },
        AccountRow { enabled: false, ..row("off@x.example", "") },
    ]);
    let look_up = |login, service: &[u8]| {
        users.authenticate(Request { service: Service::from_name(service), ..request(login, Credential::Lookup) })
    };
    assert_eq!(yes(look_up("box", b"login")).login.as_str(), "box@x.example");
    assert_eq!(yes(look_up("box", b"courier")).uid, 5000);
    assert_eq!(no(look_up("box", b"imap")), No::ServiceNotAllowed);
    assert_eq!(no(look_up("off", b"login")), No::AccountDisabled);
}

/// Returns true if a password for this login is hashed, which takes milliseconds.
fn is_slow(users: &Authenticator, login: &str) -> bool {
    matches!(users.begin(request(login, Credential::Password("guess".into()))), Step::Hash(_))
}

fn hashed(scheme: NewScheme) -> String {
    String::from_utf8(password::hash(scheme, b"secret").unwrap().expose().to_vec()).unwrap()
}

#[test]
fn unknown_logins_are_as_slow_as_those_of_the_table_whatever_is_guessed_at() {
    let slow = hashed(NewScheme::Sha256Crypt);
    let cheap = |number| row(&format!("cheap{number}@x.example"), SHA256_OF_SECRET);
    let users = table((0..25).map(cheap).chain((0..75).map(|i| row(&format!("slow{i}@x.example"), &slow))));
    for _ in 0..1000 {
        assert!(!is_slow(&users, "cheap7"));
    }
    assert!((0..50).all(|i| is_slow(&users, &format!("nobody{i}"))), "as a new password, before the table is known");
    users.learn_kinds(&|| true).unwrap();
    let slow_ones = |users: &Authenticator| (0..400).map(|i| is_slow(users, &format!("nobody{i}"))).collect::<Vec<_>>();
    let first = slow_ones(&users);
    let number = first.iter().filter(|slow| **slow).count();
    assert!((240..=360).contains(&number), "{number} of 400, where 75 of 100 accounts are slow");
    for _ in 0..1000 {
        assert!(!is_slow(&users, "cheap7"));
    }
    assert_eq!(slow_ones(&users), first, "each login is what it was");
    // One whose password is locked is what it would be if it were unknown.
    let locked = table((0..400).map(|i| row(&format!("nobody{i}@x.example"), "!")));
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
fn an_unknown_login_costs_no_more_than_a_new_password_and_its_refusal_comes_as_late_as_the_costliest() {
    let dear = "$2b$11$......................................................".replacen("......", "abcdef", 1);
    let users = table((0..9).map(|i| row(&format!("dear{i}@x.example"), &dear[..60])));
    users.learn_kinds(&|| true).unwrap();
    for number in 0..20 {
        let Step::Hash(verification) =
            users.begin(request(&format!("nobody{number}"), Credential::Password("x".into())))
        else {
            panic!("a cheap one")
        };
        assert_eq!(verification.candidate.stored.scheme(), "SHA256-CRYPT");
    }
    let asked = Instant::now();
    let Step::Hash(verification) = users.begin(request("dear3", Credential::Password("x".into()))) else { panic!() };
    assert_eq!(verification.candidate.stored.scheme(), "BLF-CRYPT");
    assert_eq!(no(users.finish(verification)), No::WrongPassword);
    assert!(users.dummies.slowest() <= asked.elapsed());
    assert!(users.refuse_at(asked) >= asked + users.dummies.slowest() * 3 / 2);
}

#[test]
fn the_kinds_of_a_large_table_are_known_by_a_part_of_it() {
    let slow = hashed(NewScheme::Sha256Crypt);
    let users =
        table((0..9000).map(|i| row(&format!("{i:04}@x.example"), if i < 100 { SHA256_OF_SECRET } else { &slow })));
    users.learn_kinds(&|| true).unwrap();
    let number = (0..400).filter(|i| is_slow(&users, &format!("nobody{i}"))).count();
    assert!(number > 300, "{number} of 400");
    let away = over(failing(Some(away())));
    assert_eq!(away.learn_kinds(&|| true), Err(self::away()));
}

#[test]
fn a_changed_password_is_hashed_and_the_old_one_stops() {
    let users = table([row("anna@x.example", SHA256_OF_SECRET)]);
    let change = |old: &str, new: &str| {
        let request = request("anna", Credential::Password(old.into()));
        users.change_password(PasswordChange { request, new: new.into() })
    };
    assert_eq!(no(change("wrong", "long enough")), No::WrongPassword);
    assert_eq!(no(change("secret", "short")), No::NewPasswordTooShort);
    assert_eq!(no(change("secret", "")), No::NewPasswordTooShort);
    assert_eq!(no(change("secret", "nul\0nul\0nul")), No::UnusablePassword);
    yes(change("secret", "long enough"));
    assert_eq!(no(try_password(&users, "anna", "secret")), No::WrongPassword);
    let account = yes(try_password(&users, "anna", "long enough"));
    assert!(account.password.0.expose().starts_with(b"$5$"), "improved to the configured scheme");
}

#[test]
fn a_clear_password_is_replaced_by_a_hash_never_by_a_clear_one() {
    let users = table([row("anna@x.example", "{PLAIN}secret")]);
    let request = request("anna", Credential::Password("secret".into()));
    yes(users.change_password(PasswordChange { request, new: "long enough".into() }));
    assert!(yes(try_password(&users, "anna", "long enough")).password.0.expose().starts_with(b"$5$"));
}

#[test]
fn who_changes_a_password_at_the_same_time_as_another_loses_cleanly() {
    let table = MemoryStore::with([row("anna@x.example", SHA256_OF_SECRET)]);
    table.on_call(|table, call| {
        if let Call::SetPassword(_) = call {
            table.rows()[0].password = Password("{PLAIN}secret".into());
        }
        Ok(())
    });
    let users = over(table);
    let request = request("anna", Credential::Password("secret".into()));
    assert_eq!(no(users.change_password(PasswordChange { request, new: "long enough".into() })), No::WrongPassword);
    yes(try_password(&users, "anna", "secret"));
}

#[test]
fn an_enumeration_goes_through_all_pages_and_leaves_out_what_is_off() {
    let rows = (0..PAGE * 2 + 1).map(|i| AccountRow { enabled: i != 7, ..row(&format!("user{i:05}@x.example"), "") });
    let users = table(rows);
    let mut after = None;
    let mut seen = 0;
    loop {
        let (accounts, next) = yes(users.enumerate(after.as_ref()));
        seen += accounts.len();
        match next {
            Some(cursor) => after = Some(cursor),
            None => break,
        }
    }
    assert_eq!(seen, PAGE * 2);
}

#[test]
fn an_enumeration_leaves_out_the_rows_that_can_never_be_used() {
    let bad = unusable_rows().into_iter().map(|(_, row)| row);
    let users = table([row("a@x.example", "")].into_iter().chain(bad).chain([row("z@x.example", "")]));
    let (accounts, next) = yes(users.enumerate(None));
    let logins: Vec<_> = accounts.iter().map(|account| account.login.as_str()).collect();
    assert_eq!((logins, next), (vec!["a@x.example", "z@x.example"], None));
}

#[test]
fn an_outage_cuts_an_enumeration_off() {
    let users = over(failing(Some(away())));
    assert_eq!(not_now(users.enumerate(None)), NotNow::Store(away()));
}

/// A table of which everything is kept as it was at the beginning, and read anew whenever that is asked for.
struct Kept {
    old: Vec<AccountRow>,
    new: MemoryStore,
    rereads: Mutex<u32>,
}

impl AccountStore for Kept {
    fn find(&self, login: &Login) -> Result<Option<AccountRow>, StoreError> {
        self.new.find(login)
    }

    fn look_up(&self, login: &Login, _: Instant) -> Result<Lookup, StoreError> {
        Ok(Lookup::kept(self.old.iter().find(|row| row.login == *login).cloned(), Instant::now()))
    }

    fn look_again(&self, login: &Login, seen: &Lookup, _: Instant) -> Result<Option<Lookup>, StoreError> {
        assert!(seen.is_kept(), "what was read just now is the last word");
        *self.rereads.lock().unwrap() += 1;
        self.new.find(login).map(|row| Some(Lookup::new(row)))
    }

    fn set_password(&self, login: &Login, old: &Password, new: &Password) -> Result<bool, StoreError> {
        self.new.set_password(login, old, new)
    }

    fn enumerate(&self, after: Option<&Cursor>, limit: usize) -> Result<Page, StoreError> {
        self.new.enumerate(after, limit)
    }
}

/// Decisions over rows that were kept, and those that are in their place now.
fn kept(
    old: impl IntoIterator<Item = AccountRow>,
    new: Result<Vec<AccountRow>, StoreError>,
) -> (Authenticator, Arc<Kept>) {
    let new = match new {
        Ok(rows) => MemoryStore::with(rows),
        Err(outage) => failing(Some(outage)),
    };
    let store = Arc::new(Kept { old: old.into_iter().collect(), new, rereads: Mutex::new(0) });
    (Authenticator::new(store.clone(), policy(), Arc::new(Budget::new(2, 64 << 20))), store)
}

fn away() -> StoreError {
    StoreError::Unreachable { place: "here".into(), reason: "gone".into() }
}

#[test]
fn a_kept_row_says_yes_by_itself() {
    let (users, store) = kept([row("anna@x.example", SHA256_OF_SECRET)], Err(away()));
    yes(try_password(&users, "anna", "secret"));
    yes(users.authenticate(request("anna", Credential::Lookup)));
    assert_eq!(*store.rereads.lock().unwrap(), 0);
}

#[test]
fn whatever_was_changed_elsewhere_a_kept_row_does_not_refuse() {
    let good = || row("anna@x.example", SHA256_OF_SECRET);
    let slow = password::hash(NewScheme::Sha256Crypt, b"another").unwrap();
    for old in [
        AccountRow { enabled: false, ..good() },
        AccountRow { domain_enabled: false, ..good() },
        AccountRow { services: Services::parse("pop3").unwrap(), ..good() },
        AccountRow { uid: Some(0), ..good() },
        row("anna@x.example", "!"),
        row("anna@x.example", "{PLAIN}another"),
        row("anna@x.example", std::str::from_utf8(slow.expose()).unwrap()),
        row("somebody-else@x.example", ""),
    ] {
        let (users, _) = kept([old], Ok(vec![good()]));
        yes(try_password(&users, "anna", "secret"));
    }
}

#[test]
fn a_new_password_whose_hash_is_dear_goes_to_those_who_may_hash() {
    let slow = password::hash(NewScheme::Sha256Crypt, b"another").unwrap();
    let slow = row("anna@x.example", std::str::from_utf8(slow.expose()).unwrap());
    let (users, _) = kept([row("anna@x.example", SHA256_OF_SECRET)], Ok(vec![slow]));
    let step = users.begin(request("anna", Credential::Password("another".into())));
    let Step::Hash(verification) = step else { panic!("hashed where nobody may") };
    yes(users.finish(verification));
}

#[test]
fn a_wrong_password_is_hashed_once_where_the_row_is_still_the_same() {
    let slow = password::hash(NewScheme::Sha256Crypt, b"secret").unwrap();
    let slow = || row("anna@x.example", std::str::from_utf8(slow.expose()).unwrap());
    let (users, store) = kept([slow()], Ok(vec![slow()]));
    assert_eq!(no(try_password(&users, "anna", "guess")), No::WrongPassword);
    assert_eq!(*store.rereads.lock().unwrap(), 1);
}

#[test]
fn that_nobody_has_a_login_is_believed_in_a_look_up_alone() {
    let (users, store) = kept([], Ok(vec![]));
    assert_eq!(no(users.authenticate(request("anna", Credential::Lookup))), No::UnknownLogin);
    assert_eq!(*store.rereads.lock().unwrap(), 0);
    assert_eq!(no(try_password(&users, "anna", "secret")), No::UnknownLogin);
    assert_eq!(*store.rereads.lock().unwrap(), 1, "as for a wrong password, so that the time tells nothing");
}

#[test]
fn in_an_outage_a_kept_row_refuses_nobody() {
    let (users, _) = kept([row("anna@x.example", SHA256_OF_SECRET)], Err(away()));
    assert_eq!(not_now(try_password(&users, "anna", "guess")), NotNow::Store(away()));
    assert_eq!(not_now(try_password(&users, "nobody", "guess")), NotNow::Store(away()));
}

#[test]
fn a_password_is_changed_by_what_stands_there_and_not_by_what_is_kept() {
    let (users, _) =
        kept([row("anna@x.example", "{PLAIN}old words")], Ok(vec![row("anna@x.example", SHA256_OF_SECRET)]));
    let change = |old: &str| {
        let request = request("anna", Credential::Password(old.into()));
        users.change_password(PasswordChange { request, new: "long enough".into() })
    };
    assert_eq!(no(change("old words")), No::WrongPassword);
    yes(change("secret"));
}

/// `anna`, `pop` (who may use POP3 alone) and `off`, all with a dear hash of `secret`; passwords that fitted are
/// remembered.
fn remembering(config: &CacheConfig) -> (Authenticator, Arc<MemoryStore>, Arc<Counters>) {
    let hash = password::hash(NewScheme::Sha256Crypt, b"secret").unwrap();
    let row = |login: &str| row(login, std::str::from_utf8(hash.expose()).unwrap());
    let rows = vec![
        row("anna@x.example"),
        AccountRow { services: Services::parse("pop3").unwrap(), ..row("pop@x.example") },
        AccountRow { enabled: false, ..row("off@x.example") },
    ];
    let (table, counters) = (Arc::new(MemoryStore::with(rows)), Arc::default());
    let users = Authenticator::new(table.clone(), policy(), Arc::new(Budget::new(2, 64 << 20)));
    (users.remembering(config, Arc::clone(&counters)), table, counters)
}

/// Is a password hashed for this login?
fn hashes(users: &Authenticator, login: &str, password: &str) -> bool {
    match users.begin(request(login, Credential::Password(password.into()))) {
        Step::Hash(verification) => {
            let _ = users.finish(verification);
            true
        }
        Step::Decided(answer) => {
            yes(answer);
            false
        }
    }
}

#[test]
fn a_password_that_fitted_is_not_hashed_again() {
    let (users, _, counters) = remembering(&CacheConfig::default());
    assert!(hashes(&users, "anna", "secret"));
    assert!(!hashes(&users, "anna", "secret") && !hashes(&users, "ANNA", "secret"));
    assert_eq!(counters.read().verified, 2);
}

#[test]
fn a_wrong_password_is_hashed_every_time_and_so_is_one_that_gets_nobody_in() {
    let (users, ..) = remembering(&CacheConfig::default());
    for (login, password) in [("anna", "guess"), ("pop", "secret"), ("off", "secret"), ("nobody", "secret")] {
        assert!((0..3).all(|_| hashes(&users, login, password)), "{login}");
    }
}

#[test]
fn what_fitted_is_hashed_again_once_the_row_has_another_value_or_somebody_says_forget() {
    let (users, table, _) = remembering(&CacheConfig::default());
    hashes(&users, "anna", "secret");
    users.forget_login(b"ben");
    assert!(!hashes(&users, "anna", "secret"));
    users.forget_login(b"Anna@X.example");
    assert!(hashes(&users, "anna", "secret"));
    users.forget(&Changed::Everything);
    assert!(hashes(&users, "anna", "secret"));
    let other = password::hash(NewScheme::Sha256Crypt, b"another").unwrap();
    table.rows()[0].password = Password(other);
    assert_eq!(no(try_password(&users, "anna", "secret")), No::WrongPassword);
    yes(try_password(&users, "anna", "another"));
}

#[test]
fn a_changed_password_ends_what_is_remembered_of_the_old_one() {
    let (users, ..) = remembering(&CacheConfig::default());
    hashes(&users, "anna", "secret");
    let request = request("anna", Credential::Password("secret".into()));
    yes(users.change_password(PasswordChange { request, new: "long enough".into() }));
    assert_eq!(no(try_password(&users, "anna", "secret")), No::WrongPassword);
    assert!(hashes(&users, "anna", "long enough") && !hashes(&users, "anna", "long enough"));
}

#[test]
fn who_disables_an_account_is_obeyed_whatever_fitted() {
    let (users, table, _) = remembering(&CacheConfig::default());
    hashes(&users, "anna", "secret");
    table.rows()[0].enabled = false;
    assert_eq!(no(try_password(&users, "anna", "secret")), No::AccountDisabled);
}

#[test]
fn nothing_is_remembered_where_that_is_switched_off() {
    let off = [
        CacheConfig { enabled: false, ..CacheConfig::default() },
        CacheConfig { verified: 0, ..CacheConfig::default() },
    ];
    for config in off {
        let (users, ..) = remembering(&config);
        assert!((0..3).all(|_| hashes(&users, "anna", "secret")));
    }
}

#[test]
fn what_the_one_before_changes_or_is_told_is_forgotten_by_its_successor_too() {
    let (before, table, _) = remembering(&CacheConfig::default());
    let after = Authenticator::new(table, policy(), Arc::new(Budget::new(2, 64 << 20)));
    let after = Arc::new(after.remembering(&CacheConfig::default(), Arc::default()));
    before.leave_to(Arc::clone(&after));
    assert!(hashes(&after, "anna", "secret") && !hashes(&after, "anna", "secret"));
    before.forget_login(b"anna");
    assert!(hashes(&after, "anna", "secret") && !hashes(&after, "anna", "secret"));
    let request = request("anna", Credential::Password("secret".into()));
    yes(before.change_password(PasswordChange { request, new: "long enough".into() }));
    assert_eq!(no(try_password(&after, "anna", "secret")), No::WrongPassword);
}

/// A login by a challenge that somebody made without knowing the password.
fn answer_challenge(of: &Authenticator, login: &str, mechanism: CramMechanism) -> No {
    let response = CramResponse::new(b"<1@host>".to_vec(), login.as_bytes(), &[b'0'; 32]).unwrap();
    no(of.authenticate(request(login, Credential::Cram(mechanism, response))))
}

#[test]
fn a_challenge_is_refused_for_want_of_a_clear_password_only_where_none_is_stored() {
    let state = "{CRAM-MD5}db8cc4eac14d5233b4ddf8a4580c2704491432d4ff3fe0bee1ff47f3ef0c845c";
    let users = table([
        row("hash@x.example", SHA256_OF_SECRET),
        row("clear@x.example", "{PLAIN}secret"),
        row("state@x.example", state),
    ]);
    use CramMechanism::{Apop, Md5};
    for (login, mechanism, reason) in [
        ("hash@x.example", Md5, No::NoClearPassword),
        ("hash@x.example", Apop, No::NoClearPassword),
        ("clear@x.example", Md5, No::WrongPassword),
        ("clear@x.example", Apop, No::WrongPassword),
        ("state@x.example", Md5, No::WrongPassword),
        ("state@x.example", Apop, No::NoClearPassword),
    ] {
        assert_eq!(answer_challenge(&users, login, mechanism), reason, "{login} {mechanism:?}");
    }
}

#[test]
fn a_look_up_is_counted_as_no_login_and_a_secret_that_is_not_there_as_a_refusal() {
    let (users, table, counters) = remembering(&CacheConfig::default());
    table.rows().push(row("clear@x.example", "{PLAIN}secret"));
    table.rows().push(row("hash@x.example", SHA256_OF_SECRET));
    let ask = |login: &str, credential| users.authenticate(request(login, credential));
    assert_eq!(yes(ask("hash@x.example", Credential::Lookup)).login.as_str(), "hash@x.example");
    // The account is told, as it may be asked about for another reason.
    assert_eq!(yes(ask("hash@x.example", Credential::Secret)).login.as_str(), "hash@x.example");
    assert_eq!(yes(ask("clear@x.example", Credential::Secret)).login.as_str(), "clear@x.example");
    assert_eq!(no(ask("nobody@x.example", Credential::Secret)), No::UnknownLogin);
    let counts = counters.read();
    let of = |counts: &crate::counters::AnswerCounts| {
        let no = counts.no_by_reason().filter(|(_, number)| *number > 0).map(|(reason, _)| reason);
        (counts.yes, no.collect::<Vec<_>>())
    };
    assert_eq!(of(&counts.logins), (0, vec![]));
    assert_eq!(of(&counts.lookups), (1, vec![]));
    assert_eq!(of(&counts.secrets), (1, vec!["unknown-login", "no-clear-password"]));
}

fn throttled(users: Authenticator) -> Authenticator {
    let config = crate::config::ThrottleConfig { allowance: 3, ..Default::default() };
    users.throttled_by(Throttle::new(Arc::default(), &config))
}

fn try_from(of: &Authenticator, client: Option<&str>, password: &str) -> Answer<Box<Account>> {
    let request = request("anna", Credential::Password(password.into()));
    of.authenticate(Request { client: client.map(str::to_owned), ..request })
}

#[test]
fn a_password_that_is_remembered_is_no_oracle_for_a_network_that_guesses() {
    let (users, ..) = remembering(&CacheConfig::default());
    let users = throttled(users);
    let right = "secret";
    yes(try_from(&users, Some("192.0.2.1"), right));
    let guesses: Vec<_> = (0..20).map(|n| no(try_from(&users, Some("198.51.100.1"), &format!("guess {n}")))).collect();
    assert_eq!(guesses[0], No::WrongPassword);
    assert!(matches!(&guesses[4], No::Delayed(no, _) if **no == No::WrongPassword), "{guesses:?}");
    assert!(matches!(&guesses[19], No::Throttled(_)));
    assert!(matches!(no(try_from(&users, Some("198.51.100.1"), right)), No::Throttled(_)));
    for client in [Some("192.0.2.1"), None] {
        yes(try_from(&users, client, right));
    }
}

#[test]
fn what_is_looked_up_or_cannot_be_known_is_no_guess() {
    let outage = Some(StoreError::Refused { place: "here".into(), reason: "asked".into() });
    let away = throttled(over(failing(outage)));
    (0..30).for_each(|n| drop(not_now(try_from(&away, Some("198.51.100.1"), &n.to_string()))));
    let users = throttled(table([row("anna@x.example", SHA256_OF_SECRET)]));
    for _ in 0..30 {
        for credential in [Credential::Lookup, Credential::Secret] {
            let request = Request { client: Some("198.51.100.1".into()), ..request("nobody", credential) };
            assert_eq!(no(users.authenticate(request)), No::UnknownLogin);
        }
    }
    for of in [&away, &users] {
        assert_eq!(of.throttle().unwrap().ledger().totals().counted, 0);
    }
}
