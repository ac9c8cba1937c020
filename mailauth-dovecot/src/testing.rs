//! What the tests of several modules need.

use mailauth_core::Login;
use mailauth_core::account::{Account, Password};
use mailauth_core::quota::Limits;

/// Returns the account with this login, and the password `secret`.
pub fn account(login: &str) -> Account {
    Account {
        login: Login::parse(login.as_bytes(), None).unwrap(),
        uid: 5000,
        gid: 5000,
        home: "/var/mail/anna".into(),
        maildir: None,
        quota: Limits::NONE,
        name: String::new(),
        options: String::new(),
        password: Password("{PLAIN}secret".into()),
    }
}
