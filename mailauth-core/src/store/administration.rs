//! What the administrator's command does with a store.

use super::{AccountStore, Cursor, Page, StoreError};
use crate::Services;
use crate::account::{AccountRow, Login, Password};
use crate::quota::Limits;
use std::collections::BTreeSet;
use std::io;
use std::ops::ControlFlow;

/// Domains that are read at once.
const PAGE: usize = 1000;

/// Why an administrator's wish was not fulfilled.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum AdminError {
    /// What was to be changed is not there.
    #[error("there is no such {what}: {name}")]
    NoSuch {
        /// `domain`, `account` or `alias`.
        what: &'static str,
        /// Its name.
        name: String,
    },
    /// What was to be added is there.
    #[error("the {what} {name} exists already")]
    Exists {
        /// `domain`, `account` or `alias`.
        what: &'static str,
        /// Its name.
        name: String,
    },
    /// A domain that still has accounts, aliases or other names.
    #[error("the domain {domain} still has {accounts} accounts, {aliases} aliases and {alias_domains} alias domains")]
    InUse {
        /// The domain.
        domain: String,
        /// How many accounts it has.
        accounts: u64,
        /// How many aliases it has.
        aliases: u64,
        /// How many alias domains it has.
        alias_domains: u64,
    },
    /// A domain that cannot be what it is to be, or cannot have what it is to have.
    #[error("the domain {domain} {problem}")]
    Unfit {
        /// The domain.
        domain: String,
        /// What it is or has, and what to do.
        problem: String,
    },
    /// A value has a character that the database's character set lacks.
    #[error("{0}")]
    Unstorable(String),
    /// What belongs to the change outside of the store was refused, so the store was left as it is.
    #[error("{0}")]
    Beside(String),
    /// The store could not.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// A domain whose mail this host keeps.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DomainRow {
    /// In lower case.
    pub name: String,
    /// False: none of its accounts may log in or receive mail.
    pub enabled: bool,
    /// For people.
    pub description: Option<String>,
    /// What its mailboxes may keep together.
    pub quota: Limits,
    /// True: this host is only a backup MX of it, and keeps none of its mail.
    pub backup: bool,
}

impl DomainRow {
    /// A domain with nothing but its name.
    pub fn new(name: impl Into<String>) -> Self {
        DomainRow { name: name.into(), enabled: true, description: None, quota: Limits::NONE, backup: false }
    }
}

/// A domain that is another name of one whose mail this host keeps.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AliasDomainRow {
    /// In lower case.
    pub name: String,
    /// The domain whose other name it is.
    pub target: String,
    /// False: none of its addresses receives mail.
    pub enabled: bool,
}

/// An address whose mail goes elsewhere.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AliasRow {
    /// `local@domain`, or `@domain` for whatever else comes to the domain. In lower case.
    pub address: String,
    /// Where its mail goes, in order.
    pub targets: Vec<String>,
}

/// One target of an alias, as both stand in the table.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AliasTarget {
    /// `local@domain`, or `@domain`.
    pub address: String,
    /// Where its mail goes.
    pub target: String,
}

/// What goes with another login of an account.
pub struct Renaming<'a> {
    /// Targets that name the old login, and name the new one from then on.
    pub aliases: &'a [AliasTarget],
    /// Done last before the change is committed. An error undoes the change.
    pub beside: &'a mut dyn FnMut() -> Result<(), String>,
}

/// New values for some of an account's columns. The outer `None` leaves a column; the inner one empties it, which gives
/// it back to the defaults.
#[derive(Clone, Debug, Default)]
pub struct AccountChange {
    /// A stored value, already hashed.
    pub password: Option<Password>,
    /// On or off.
    pub enabled: Option<bool>,
    /// Whether it receives mail.
    pub receives: Option<bool>,
    /// The services permitted.
    pub services: Option<Services>,
    /// System user id.
    pub uid: Option<Option<u32>>,
    /// System group id.
    pub gid: Option<Option<u32>>,
    /// Absolute path.
    pub home: Option<Option<String>>,
    /// Path of the Maildir.
    pub maildir: Option<Option<String>>,
    /// Bytes; 0 is no limit.
    pub quota_bytes: Option<Option<u64>>,
    /// Messages; 0 is no limit.
    pub quota_messages: Option<Option<u64>>,
    /// The person's name.
    pub name: Option<Option<String>>,
    /// Courier's account options.
    pub options: Option<Option<String>>,
}

/// When a row was made and changed, in UTC, as `2026-11-23 20:00:00`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct AccountTimes {
    /// When the row was made.
    pub created: String,
    /// When any column was last changed.
    pub updated: String,
    /// When the password was last changed; empty if never.
    pub password_changed: String,
}

/// What [`Administration::init`] did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SchemaChange {
    /// The version before; 0 is no schema.
    pub from: u32,
    /// The version now.
    pub to: u32,
}

/// The character set of a database.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct CharacterSet {
    /// Its name, such as `UTF8`; empty where a database has only one.
    pub name: String,
    /// What cannot be stored, and what to do about it; `None` if everything can.
    pub problem: Option<String>,
}

/// What a store says about itself, for `mailauth check`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct StoreReport {
    /// `SQLite 3.50.4`, `MariaDB 10.11.14`, `PostgreSQL 15.14`.
    pub server: String,
    /// The protocol version and cipher of the connection, or `None` for one in clear.
    pub tls: Option<String>,
    /// How the server has shown that it is the right one: `its certificate`; `None` where it has not, or is a file.
    pub authenticated_by: Option<String>,
    /// The character set of the database.
    pub character_set: CharacterSet,
    /// The version of the schema found; 0 is none.
    pub schema: u32,
    /// The version this program knows.
    pub schema_known: u32,
    /// Why the version of the schema may not be read, where the user has no right to.
    pub schema_refused: Option<String>,
    /// Accounts in the table.
    pub accounts: u64,
    /// The user, as the server names it; empty where there are no users.
    pub user: String,
    /// By which right the user administers the server or the tables. Then the cure makes a user of the daemon's own.
    pub administrator: Option<String>,
    /// Rights that a daemon has no use for, one text for each object, such as `INSERT, DROP on accounts`.
    pub rights_too_wide: Vec<String>,
    /// Rights that are missing, such as `SELECT on accounts`.
    pub rights_missing: Vec<String>,
    /// The statements that mend both, or make a user for the daemon, to be run in this order by an administrator of the
    /// database.
    pub rights_cure: Vec<String>,
}

/// What a store says of the user that administers it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct AdminReport {
    /// `MariaDB 10.11.14`, `PostgreSQL 15.14`.
    pub server: String,
    /// The protocol version and cipher of the connection, or `None` for one in clear.
    pub tls: Option<String>,
    /// What an administrator's command needs and the user lacks, one text for each object.
    pub lacking: Vec<String>,
}

/// Accounts to be imported, which may be read twice.
pub trait ImportSource {
    /// Goes back to the first account.
    ///
    /// # Errors
    /// Fails if it cannot be read again.
    fn rewind(&mut self) -> io::Result<()>;

    /// Returns the next account and its place, such as the number of a line, or `None` after the last one.
    ///
    /// # Errors
    /// Fails if it cannot be read.
    fn next(&mut self) -> io::Result<Option<(u64, AccountRow)>>;

    /// Takes note that the store refuses the account at `place`. Returns false if no more has to be found out.
    fn refuse(&mut self, place: u64, why: AdminError) -> bool;

    /// Returns true if nothing of it may be added, because some of it is wrong.
    fn is_spoilt(&self) -> bool;
}

/// Why an import was not made.
#[derive(Debug, thiserror::Error)]
pub enum ImportError {
    /// The source cannot be read.
    #[error("it cannot be read: {0}")]
    Read(#[from] io::Error),
    /// The store could not.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// Beside answering about accounts: making, changing and removing them.
pub trait Administration: AccountStore {
    /// Creates the schema, or brings it up to date. Doing it again changes nothing.
    ///
    /// # Errors
    /// Fails if the schema is newer than this program, or the database refuses.
    fn init(&self) -> Result<SchemaChange, StoreError>;

    /// The character set of the database, and whether it can hold everything.
    ///
    /// # Errors
    /// Fails if the database cannot be asked.
    fn character_set(&self) -> Result<CharacterSet, StoreError>;

    /// What the store says about itself. It works, as far as it can, without a schema too.
    ///
    /// # Errors
    /// Fails if the database cannot be asked.
    fn report(&self) -> Result<StoreReport, StoreError>;

    /// What the store says of this user, where it is the one of the administrator's command.
    ///
    /// # Errors
    /// Fails if the database cannot be asked.
    fn admin_report(&self) -> Result<AdminReport, StoreError>;

    /// The row of a domain.
    ///
    /// # Errors
    /// Fails if the store cannot tell, or the row cannot be trusted.
    fn find_domain(&self, name: &str) -> Result<Option<DomainRow>, StoreError>;

    /// At most `limit` domains, at least one, from `after` on, in the order of their names.
    ///
    /// # Errors
    /// Fails if the page is not known to be whole.
    fn domain_page(&self, after: Option<&Cursor>, limit: usize) -> Result<Page<DomainRow, StoreError>, StoreError>;

    /// At most `limit` accounts of a domain, at least one, from `after` on, in the order of their logins.
    ///
    /// # Errors
    /// Fails if the page is not known to be whole.
    fn domain_accounts(&self, domain: &str, after: Option<&Cursor>, limit: usize) -> Result<Page, StoreError>;

    /// All domains by name, at once.
    ///
    /// # Errors
    /// Fails if the list is not known to be whole, or a row cannot be trusted.
    fn domains(&self) -> Result<Vec<DomainRow>, StoreError> {
        let (mut domains, mut after) = (Vec::new(), None);
        loop {
            let page = self.domain_page(after.as_ref(), PAGE)?;
            domains.extend(page.rows.into_iter().collect::<Result<Vec<_>, _>>()?);
            match page.next {
                Some(next) => after = Some(next),
                None => return Ok(domains),
            }
        }
    }

    /// Returns which of these accounts there are, whatever is in their rows. At most some hundreds may be asked for at
    /// once.
    ///
    /// # Errors
    /// Fails if the store cannot tell.
    fn existing(&self, logins: &[&Login]) -> Result<BTreeSet<Login>, StoreError>;

    /// Adds a domain.
    ///
    /// # Errors
    /// Fails if it exists, or the store fails.
    fn add_domain(&self, domain: &DomainRow) -> Result<(), AdminError>;

    /// Replaces what is known of a domain.
    ///
    /// # Errors
    /// Fails if there is no such domain, or the store fails.
    fn set_domain(&self, domain: &DomainRow) -> Result<(), AdminError>;

    /// Removes a domain; with `contents`, its accounts and aliases too.
    ///
    /// # Errors
    /// Fails if there is no such domain, it is in use and `contents` is false, or the store fails.
    fn remove_domain(&self, name: &str, contents: bool) -> Result<(), AdminError>;

    /// Adds an account to a domain that exists.
    ///
    /// # Errors
    /// Fails if there is no such domain, the account exists, or the store fails.
    fn add_account(&self, account: &AccountRow) -> Result<(), AdminError>;

    /// Changes an account.
    ///
    /// # Errors
    /// Fails if there is no such account, or the store fails.
    fn set_account(&self, login: &Login, change: &AccountChange) -> Result<(), AdminError>;

    /// Removes an account.
    ///
    /// # Errors
    /// Fails if there is no such account, or the store fails.
    fn remove_account(&self, login: &Login) -> Result<(), AdminError>;

    /// Removes the row whose login is `login`, byte for byte, also when that is no valid login.
    ///
    /// # Errors
    /// Fails if there is no such row, or the store fails.
    fn remove_stored_account(&self, login: &[u8]) -> Result<(), AdminError>;

    /// Gives the row whose login is `old`, byte for byte, the login `new`, and leaves everything else as it is.
    ///
    /// # Errors
    /// Fails if there is no such row, the domain of `new` does not exist, `new` does, or the store fails.
    fn rename_account(&self, old: &[u8], new: &Login) -> Result<(), AdminError> {
        self.rename_account_with(old, new, &mut Renaming { aliases: &[], beside: &mut || Ok(()) })
    }

    /// The same with what goes with it, all in one transaction.
    ///
    /// # Errors
    /// As [`Administration::rename_account`], and when what was to be done beside it was refused.
    fn rename_account_with(&self, old: &[u8], new: &Login, with: &mut Renaming<'_>) -> Result<(), AdminError>;

    /// The targets of aliases that are this login, in any spelling that is read as it.
    ///
    /// # Errors
    /// Fails if the list is not known to be whole.
    fn alias_targets_that_are(&self, login: &Login) -> Result<Vec<AliasTarget>, StoreError>;

    /// When an account's row was made and changed.
    ///
    /// # Errors
    /// Fails if the store cannot tell.
    fn account_times(&self, login: &Login) -> Result<Option<AccountTimes>, StoreError>;

    /// Adds all accounts of the source, and the domains they are in, or nothing. Returns how many were added: 0 if the
    /// source was spoilt, or is now by what the store refused of it.
    ///
    /// # Errors
    /// Fails if the source cannot be read, or the store fails.
    fn import(&self, source: &mut dyn ImportSource) -> Result<u64, ImportError>;

    /// Gives all aliases, or those of one domain, to `each` in the order of their addresses until that breaks off. An
    /// error is about one alias, and others follow.
    ///
    /// # Errors
    /// Fails if the list is not known to be whole.
    fn each_alias(
        &self,
        domain: Option<&str>,
        each: &mut dyn FnMut(Result<AliasRow, StoreError>) -> ControlFlow<()>,
    ) -> Result<(), StoreError>;

    /// All aliases by address, or those of one domain, at once.
    ///
    /// # Errors
    /// Fails if the list is not known to be whole, or an alias cannot be trusted.
    fn aliases(&self, domain: Option<&str>) -> Result<Vec<AliasRow>, StoreError> {
        let mut aliases = Ok(Vec::new());
        self.each_alias(domain, &mut |alias| match (alias, &mut aliases) {
            (Ok(alias), Ok(aliases)) => {
                aliases.push(alias);
                ControlFlow::Continue(())
            }
            (Err(error), _) => {
                aliases = Err(error);
                ControlFlow::Break(())
            }
            (Ok(_), Err(_)) => ControlFlow::Break(()),
        })?;
        aliases
    }

    /// Adds targets to an address of a domain that exists; targets that it has already are left as they are.
    ///
    /// # Errors
    /// Fails if there is no such domain, or the store fails.
    fn add_alias(&self, alias: &AliasRow) -> Result<(), AdminError>;

    /// At most `limit` alias domains, at least one, from `after` on, in the order of their names.
    ///
    /// # Errors
    /// Fails if the page is not known to be whole.
    fn alias_domain_page(
        &self,
        after: Option<&Cursor>,
        limit: usize,
    ) -> Result<Page<AliasDomainRow, StoreError>, StoreError>;

    /// The row of an alias domain.
    ///
    /// # Errors
    /// Fails if the store cannot tell, or the row cannot be trusted.
    fn find_alias_domain(&self, name: &str) -> Result<Option<AliasDomainRow>, StoreError>;

    /// The other names of a domain, in order.
    ///
    /// # Errors
    /// Fails if the store cannot tell.
    fn alias_domains_of(&self, target: &str) -> Result<Vec<String>, StoreError>;

    /// Adds all of these alias domains, or none.
    ///
    /// # Errors
    /// With the place of the first that cannot be added: its name is a domain of its own or is there already, or its target
    /// is no domain whose mail is kept here; or the store fails.
    fn add_alias_domains(&self, rows: &[AliasDomainRow]) -> Result<(), (usize, AdminError)>;

    /// Replaces what is known of an alias domain.
    ///
    /// # Errors
    /// Fails if there is no such alias domain, its target is no domain whose mail is kept here, or the store fails.
    fn set_alias_domain(&self, row: &AliasDomainRow) -> Result<(), AdminError>;

    /// Removes an alias domain.
    ///
    /// # Errors
    /// Fails if there is no such alias domain, or the store fails.
    fn remove_alias_domain(&self, name: &str) -> Result<(), AdminError>;

    /// Removes these targets of an address, or with none given the whole address.
    ///
    /// # Errors
    /// Fails if there is no such alias or target, or the store fails.
    fn remove_alias(&self, alias: &AliasRow) -> Result<(), AdminError>;
}
