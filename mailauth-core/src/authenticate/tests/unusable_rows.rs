//! Rows that can never be used as they are.

use super::*;

fn column(no: No) -> &'static str {
    match no {
        No::UnusableAccount(Unusable { column, .. }) => column,
        no => panic!("{no:?}"),
    }
}

#[test]
fn an_unusable_row_is_no_for_right_and_wrong_passwords() {
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
fn an_unusable_row_is_refused_as_slowly_as_a_usable_one() {
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
fn mail_for_an_unusable_row_waits() {
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
fn a_disabled_account_with_an_unusable_row_is_disabled() {
    let users = table([AccountRow { enabled: false, uid: Some(0), ..row("off@x.example", SHA256_OF_SECRET) }]);
    assert_eq!(no(try_password(&users, "off", "secret")), No::AccountDisabled);
    assert_eq!(no(try_password(&users, "off", "guess")), No::WrongPassword);
}
