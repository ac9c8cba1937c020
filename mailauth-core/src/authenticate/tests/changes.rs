//! Changes of passwords.

use super::*;

#[test]
fn a_changed_password_is_hashed_and_the_old_one_is_refused() {
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
fn a_clear_password_is_replaced_by_a_hash() {
    let users = table([row("anna@x.example", "{PLAIN}secret")]);
    let request = request("anna", Credential::Password("secret".into()));
    yes(users.change_password(PasswordChange { request, new: "long enough".into() }));
    assert!(yes(try_password(&users, "anna", "long enough")).password.0.expose().starts_with(b"$5$"));
}

#[test]
fn of_two_simultaneous_changes_the_later_one_is_refused() {
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

/// A store whose accounts belong to another program.
struct ReadOnly(Arc<MemoryStore>);

impl AccountStore for ReadOnly {
    fn find(&self, login: &Login) -> Result<Option<AccountRow>, StoreError> {
        self.0.find(login)
    }

    fn keeps_passwords(&self) -> Option<StoreError> {
        Some(StoreError::ReadOnly("these accounts are Kontor's".into()))
    }
}

#[test]
fn another_programs_passwords_are_not_changed_here() {
    let table = Arc::new(MemoryStore::with([row("anna@x.example", SHA256_OF_SECRET)]));
    let store = Arc::new(ReadOnly(Arc::clone(&table)));
    let users = Authenticator::new(store, policy(), Arc::new(Budget::new(2, 64 << 20)));
    for old in ["secret", "wrong"] {
        let request = request("anna", Credential::Password(old.into()));
        let answer = users.change_password(PasswordChange { request, new: "long enough".into() });
        assert_eq!(no(answer), No::ReadOnly("these accounts are Kontor's".into()));
    }
    assert_eq!(table.calls(), 0, "nothing is looked up for it");
    yes(try_password(&users, "anna", "secret"));
}
