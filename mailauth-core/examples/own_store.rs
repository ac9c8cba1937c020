//! Checks passwords of accounts that are not in a database: a program implements [`AccountStore`] over what it has.
//!
//! ```text
//! cargo run -p mailauth-core --example own_store
//! ```

use mailauth_core::account::{AccountRow, Password};
use mailauth_core::answer::Refusal;
use mailauth_core::authenticate::{Authenticator, Request};
use mailauth_core::config::Config;
use mailauth_core::store::{AccountStore, StoreError};
use mailauth_core::{Login, Service};
use std::collections::HashMap;
use std::sync::Arc;

/// Accounts as `login:hash`, as in a file of htpasswd(1).
const ACCOUNTS: &str = "\
anna@example.org:$5$rounds=1000$saltsalt$T0pJooJszFoocqTmqO93qlEC8NpkTZqwvr29hYTlp1/
ben@example.org:{PLAIN}Autumn-Lake-17
";

/// Stored passwords by login.
struct PasswordFile(HashMap<String, String>);

impl AccountStore for PasswordFile {
    fn find(&self, login: &Login) -> Result<Option<AccountRow>, StoreError> {
        let stored = self.0.get(login.as_str());
        Ok(stored
            .map(|stored| AccountRow { password: Password(stored.as_str().into()), ..AccountRow::new(login.clone()) }))
    }
}

fn main() {
    let accounts = ACCOUNTS.lines().filter_map(|line| line.split_once(':'));
    let store = PasswordFile(accounts.map(|(login, stored)| (login.to_owned(), stored.to_owned())).collect());

    let mut config = Config::default();
    // The owner of all mailboxes.
    (config.mailbox.uid, config.mailbox.gid) = (Some(5000), Some(5000));
    let authenticator = Authenticator::new(Arc::new(store), config.policy(), Arc::new(config.budget()));
    for (login, password) in
        [("anna@example.org", "Spring-Meadow-42"), ("ben@example.org", "a guess"), ("carl@example.org", "a guess")]
    {
        match authenticator.authenticate(Request::password(Service::Imap, login, password)) {
            Ok(account) => println!("{login}: yes, with home {}", account.home),
            Err(Refusal::No(reason)) => println!("{login}: no, {reason}"),
            Err(Refusal::NotNow(reason)) => println!("{login}: not now, {reason}"),
        }
    }
}
