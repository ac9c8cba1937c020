//! Checks passwords against an SQLite database, which the example creates with two accounts.
//!
//! ```text
//! cargo run -p mailauth-core --example authenticate
//! ```

use mailauth_core::account::{AccountRow, Password};
use mailauth_core::answer::Refusal;
use mailauth_core::authenticate::Request;
use mailauth_core::config::{Config, ConfigErrors};
use mailauth_core::password::{self, NewScheme};
use mailauth_core::store::{Administration, DomainRow, open_single};
use mailauth_core::{Backend, Login, Service, Services};
use std::error::Error;
use std::path::Path;

fn main() -> Result<(), Box<dyn Error>> {
    let folder = tempfile::tempdir()?;
    let config = configuration(folder.path())?;
    add_accounts(&config)?;

    // Open the backend once. It may be cloned, and used from many threads.
    let backend = Backend::open(&config)?;
    for (login, password) in [
        ("anna@example.org", "Spring-Meadow-42"),
        ("anna@example.org", "a guess"),
        ("ben@example.org", "Autumn-Lake-17"),
        ("carl@example.org", "a guess"),
    ] {
        match backend.authenticator.authenticate(Request::password(Service::Imap, login, password)) {
            Ok(account) => println!("{login}: yes, with home {}", account.home),
            Err(Refusal::No(reason)) => println!("{login}: no, {reason}"),
            // The database cannot be reached, for example. A client must not be told that its password is wrong.
            Err(Refusal::NotNow(reason)) => println!("{login}: not now, {reason}"),
        }
    }
    Ok(())
}

/// Returns a configuration as a file would hold it; `Config::load` reads one.
fn configuration(folder: &Path) -> Result<Config, ConfigErrors> {
    let database = folder.join("mail.db");
    let text = format!(
        "[database]\nurl = \"sqlite:{}\"\n\n[mailbox]\nhome = \"/var/mail/%d/%n\"\nuid = 5000\ngid = 5000\n",
        database.display()
    );
    Config::parse(&text, Path::new("mailauth.toml"))
}

/// Creates the tables and adds accounts, as the command `mailauth` does.
fn add_accounts(config: &Config) -> Result<(), Box<dyn Error>> {
    let store = open_single(&config.database)?;
    store.init()?;
    store.add_domain(&DomainRow::new("example.org"))?;
    for (login, password, services) in
        [("anna@example.org", "Spring-Meadow-42", ""), ("ben@example.org", "Autumn-Lake-17", "pop3")]
    {
        store.add_account(&AccountRow {
            password: Password(password::hash(NewScheme::default(), password.as_bytes())?),
            services: Services::parse(services)?,
            ..AccountRow::new(Login::parse(login.as_bytes(), None)?)
        })?;
    }
    Ok(())
}
