//! Rows that were kept in memory.

use super::*;

/// A store that keeps all rows as they were at the beginning, and reads them again when it is asked to look again.
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

    fn recall(&self, login: &Login) -> Option<Lookup> {
        self.look_up(login, Instant::now()).ok()
    }

    fn look_again(&self, login: &Login, seen: &Lookup, _: Instant) -> Result<Option<Lookup>, StoreError> {
        assert!(seen.is_kept(), "a row that was read just now is not read again");
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

/// Returns an authenticator over the kept rows `old`, and the store with the rows that replaced them.
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

#[test]
fn a_kept_row_is_enough_for_a_yes() {
    let (users, store) = kept([row("anna@x.example", SHA256_OF_SECRET)], Err(away()));
    yes(try_password(&users, "anna", "secret"));
    yes(users.authenticate(request("anna", Credential::Lookup)));
    assert_eq!(*store.rereads.lock().unwrap(), 0);
}

#[test]
fn a_kept_row_is_not_enough_for_a_no() {
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
        row("other@x.example", ""),
    ] {
        let (users, _) = kept([old], Ok(vec![good()]));
        yes(try_password(&users, "anna", "secret"));
    }
}

#[test]
fn a_new_password_with_a_costly_hash_is_left_to_finish() {
    let slow = password::hash(NewScheme::Sha256Crypt, b"another").unwrap();
    let slow = row("anna@x.example", std::str::from_utf8(slow.expose()).unwrap());
    let (users, _) = kept([row("anna@x.example", SHA256_OF_SECRET)], Ok(vec![slow]));
    let step = users.begin(request("anna", Credential::Password("another".into())));
    let Step::Hash(verification) = step else { panic!("hashed on the calling thread") };
    yes(users.finish(verification));
}

#[test]
fn a_wrong_password_is_hashed_once_if_the_row_is_unchanged() {
    let slow = password::hash(NewScheme::Sha256Crypt, b"secret").unwrap();
    let slow = || row("anna@x.example", std::str::from_utf8(slow.expose()).unwrap());
    let (users, store) = kept([slow()], Ok(vec![slow()]));
    assert_eq!(no(try_password(&users, "anna", "guess")), No::WrongPassword);
    assert_eq!(*store.rereads.lock().unwrap(), 1);
}

#[test]
fn that_unknown_has_a_login_is_believed_in_a_look_up_alone() {
    let (users, store) = kept([], Ok(vec![]));
    assert_eq!(no(users.authenticate(request("anna", Credential::Lookup))), No::UnknownLogin);
    assert_eq!(*store.rereads.lock().unwrap(), 0);
    assert_eq!(no(try_password(&users, "anna", "secret")), No::UnknownLogin);
    assert_eq!(*store.rereads.lock().unwrap(), 1, "as for a wrong password, so that the time reveals nothing");
}

#[test]
fn in_an_outage_a_kept_row_refuses_unknown() {
    let (users, _) = kept([row("anna@x.example", SHA256_OF_SECRET)], Err(away()));
    assert_eq!(not_now(try_password(&users, "anna", "guess")), NotNow::Store(away()));
    assert_eq!(not_now(try_password(&users, "unknown", "guess")), NotNow::Store(away()));
}

#[test]
fn a_change_of_a_password_ignores_kept_rows() {
    let (users, _) =
        kept([row("anna@x.example", "{PLAIN}old words")], Ok(vec![row("anna@x.example", SHA256_OF_SECRET)]));
    let change = |old: &str| {
        let request = request("anna", Credential::Password(old.into()));
        users.change_password(PasswordChange { request, new: "long enough".into() })
    };
    assert_eq!(no(change("old words")), No::WrongPassword);
    yes(change("secret"));
}
