//! What the administrator's command does with a store.

use super::importing::{
    AccountRecord, AliasDomainRecord, DomainRecord, ImportError, ImportMode, ImportSource, ImportSummary, JudgeAccount,
};
use super::{AccountStore, Cursor, Page, StatementPlan, StoreError};
use crate::Services;
use crate::account::{AccountRow, Login, Password};
use crate::model::limits::Limits;
use std::collections::BTreeSet;
use std::ops::ControlFlow;

/// Number of domains read at once.
const PAGE: usize = 1000;

/// Reason why an administrator's request was not fulfilled.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum AdminError {
    /// The object to be changed does not exist.
    #[error("there is no such {what}: {name}")]
    NoSuch {
        /// `domain`, `account` or `alias`.
        what: &'static str,
        /// Name of the object.
        name: String,
    },
    /// The object to be added already exists.
    #[error("the {what} {name} exists already")]
    Exists {
        /// `domain`, `account` or `alias`.
        what: &'static str,
        /// Name of the object.
        name: String,
    },
    /// A domain that still has accounts, aliases or alias domains.
    #[error("the domain {domain} still has {accounts} accounts, {aliases} aliases and {alias_domains} alias domains")]
    InUse {
        /// Name of the domain.
        domain: String,
        /// Number of its accounts.
        accounts: u64,
        /// Number of its aliases.
        aliases: u64,
        /// Number of its alias domains.
        alias_domains: u64,
    },
    /// A domain that cannot become what was requested, or cannot have what was to be added.
    #[error("the domain {domain} {problem}")]
    Unfit {
        /// Name of the domain.
        domain: String,
        /// What it is or has, and what to do.
        problem: String,
    },
    /// A value with a character that the database's character set lacks.
    #[error("{0}")]
    Unstorable(String),
    /// A part of the change outside of the store that was refused, so that the store was left unchanged.
    #[error("{0}")]
    Beside(String),
    /// A failure of the store.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// A domain whose mail this host keeps.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DomainRow {
    /// Name of the domain, in lower case.
    pub name: String,
    /// False if none of its accounts may log in or receive mail.
    pub enabled: bool,
    /// Description for people.
    pub description: Option<String>,
    /// What all its mailboxes together may hold.
    pub quota: Limits,
    /// True if this host is only a backup MX of the domain, and keeps none of its mail.
    pub backup: bool,
}

impl DomainRow {
    /// Returns a domain with nothing but its name.
    pub fn new(name: impl Into<String>) -> Self {
        DomainRow { name: name.into(), enabled: true, description: None, quota: Limits::NONE, backup: false }
    }
}

/// A domain that is an alias of one whose mail this host keeps.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AliasDomainRow {
    /// Name of the alias domain, in lower case.
    pub name: String,
    /// The domain that it is an alias of.
    pub target: String,
    /// False if none of its addresses receives mail.
    pub enabled: bool,
}

/// An address whose mail goes elsewhere.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AliasRow {
    /// `local@domain`, or `@domain` for all other mail to the domain. In lower case.
    pub address: String,
    /// Addresses to which its mail goes, in order.
    pub targets: Vec<String>,
}

/// One target of an alias, with both texts as stored in the table.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AliasTarget {
    /// `local@domain`, or `@domain`.
    pub address: String,
    /// Address to which its mail goes.
    pub target: String,
}

/// Further changes that belong to the renaming of an account.
pub struct Renaming<'a> {
    /// Targets that name the old login, and are changed to the new one.
    pub aliases: &'a [AliasTarget],
    /// Last step before the change is committed. An error undoes the change.
    pub beside: &'a mut dyn FnMut() -> Result<(), String>,
}

/// New values for some of an account's columns. The outer `None` leaves a column unchanged; the inner one empties it,
/// so that the default applies again.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct AccountChange {
    /// A stored value, already hashed.
    pub password: Option<Password>,
    /// Whether the account may be used.
    pub enabled: Option<bool>,
    /// Whether the account receives mail.
    pub receives: Option<bool>,
    /// The permitted services.
    pub services: Option<Services>,
    /// System user id.
    pub uid: Option<Option<u32>>,
    /// System group id.
    pub gid: Option<Option<u32>>,
    /// Home directory, an absolute path.
    pub home: Option<Option<String>>,
    /// Path of the Maildir.
    pub maildir: Option<Option<String>>,
    /// Limit in bytes; 0 means no limit.
    pub quota_bytes: Option<Option<u64>>,
    /// Limit in messages; 0 means no limit.
    pub quota_messages: Option<Option<u64>>,
    /// The person's name.
    pub name: Option<Option<String>>,
    /// Courier's account options.
    pub options: Option<Option<String>>,
}

/// Times at which a row was created and changed, in UTC, as `2026-11-23 20:00:00`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct AccountTimes {
    /// Time at which the row was created.
    pub created: String,
    /// Time at which any column was last changed.
    pub updated: String,
    /// Time at which the password was last changed; empty if never.
    pub password_changed: String,
}

/// Result of [`Administration::init`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SchemaChange {
    /// The version before, or 0 if there was no schema.
    pub from: u32,
    /// The version now.
    pub to: u32,
}

/// The character set of a database.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct CharacterSet {
    /// Its name, such as `UTF8`; empty if a database has only one.
    pub name: String,
    /// What cannot be stored, and what to do about it; `None` if everything can be stored.
    pub problem: Option<String>,
}

/// What a store says about itself, for `mailauth check`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct StoreReport {
    /// Product and version: `SQLite 3.50.4`, `MariaDB 10.11.14`, `PostgreSQL 15.14`.
    pub server: String,
    /// The protocol version and cipher of the connection; `None` if it is not encrypted.
    pub tls: Option<String>,
    /// How the server has proved its identity, such as `its certificate`; `None` if it has not, or is a file.
    pub authenticated_by: Option<String>,
    /// The character set of the database.
    pub character_set: CharacterSet,
    /// The tables of another program, if the configuration names some. They have no version, and the character set does
    /// not matter.
    pub foreign: Option<ForeignReport>,
    /// The version of the schema found, or 0 if there is no schema.
    pub schema: u32,
    /// The version that this program knows.
    pub schema_known: u32,
    /// Reason why the version of the schema may not be read, if the user has no right to.
    pub schema_refused: Option<String>,
    /// Number of accounts in the table; for the tables of another program also 0 if it takes too long to count them.
    pub accounts: u64,
    /// The user, as the server names it; empty if the database has no users.
    pub user: String,
    /// The right by which the user administers the server or the tables. In that case `rights_remedy` creates a user for
    /// the daemon.
    pub administrator: Option<String>,
    /// Rights that a daemon does not need, one text for each object, such as `INSERT, DROP on accounts`.
    pub rights_too_wide: Vec<String>,
    /// Rights that are missing, such as `SELECT on accounts`.
    pub rights_missing: Vec<String>,
    /// Statements that fix both, or create a user for the daemon, to be run in this order by an administrator of the
    /// database.
    pub rights_remedy: Vec<String>,
}

/// What a store says about the tables of another program.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ForeignReport {
    /// Name of the profile, as in `[schema] profile`.
    pub profile: String,
    /// Name of the program that the tables belong to.
    pub program: String,
    /// Why the database refuses statements: each is a sentence that says what is wrong, and what to do.
    pub problems: Vec<String>,
    /// How the database runs each statement.
    pub plans: Vec<StatementPlan>,
}

/// What a store says about the user that administers it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct AdminReport {
    /// Product and version: `MariaDB 10.11.14`, `PostgreSQL 15.14`.
    pub server: String,
    /// The protocol version and cipher of the connection; `None` if it is not encrypted.
    pub tls: Option<String>,
    /// Rights that an administrator's command needs and the user lacks, one text for each object.
    pub lacking: Vec<String>,
}

/// A store whose domains, accounts and aliases can be created, changed and removed.
pub trait Administration: AccountStore {
    /// Creates the schema, or brings it up to date. If it is up to date, nothing is changed.
    ///
    /// # Errors
    /// Fails if the schema is newer than this program, or the database refuses.
    fn init(&self) -> Result<SchemaChange, StoreError>;

    /// Returns the character set of the database, and whether it can hold everything.
    ///
    /// # Errors
    /// Fails if the database cannot be asked.
    fn character_set(&self) -> Result<CharacterSet, StoreError>;

    /// Returns what the store says about itself. As far as possible, this works without a schema too.
    ///
    /// # Errors
    /// Fails if the database cannot be asked.
    fn report(&self) -> Result<StoreReport, StoreError>;

    /// Returns what the store says about this user, if it is the user of the administrator's command.
    ///
    /// # Errors
    /// Fails if the database cannot be asked.
    fn admin_report(&self) -> Result<AdminReport, StoreError>;

    /// Returns the number of accounts, whatever their rows contain; `None` if it takes too long to count those of another
    /// program.
    ///
    /// # Errors
    /// Fails if the store cannot say.
    fn count_accounts(&self) -> Result<Option<u64>, StoreError>;

    /// Returns the row of a domain.
    ///
    /// # Errors
    /// Fails if the store cannot say, or the row cannot be trusted.
    fn find_domain(&self, name: &str) -> Result<Option<DomainRow>, StoreError>;

    /// Returns at most `limit` domains, at least one, from `after` on, in the order of their names, or in that of the
    /// key of another program's table.
    ///
    /// # Errors
    /// Fails if the page is not known to be complete.
    fn domain_page(&self, after: Option<&Cursor>, limit: usize) -> Result<Page<DomainRow, StoreError>, StoreError>;

    /// Returns at most `limit` accounts of a domain, at least one, from `after` on, in the order of their logins. Another
    /// program's accounts are in the order of their key, and all of them are read; a page may have none before the last.
    ///
    /// # Errors
    /// Fails if the page is not known to be complete.
    fn domain_accounts(&self, domain: &str, after: Option<&Cursor>, limit: usize) -> Result<Page, StoreError>;

    /// Returns all domains by name, at once.
    ///
    /// # Errors
    /// Fails if the list is not known to be complete, or a row cannot be trusted.
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

    /// Returns those of these accounts that exist, whatever their rows contain. At most some hundreds may be asked for
    /// at once.
    ///
    /// # Errors
    /// Fails if the store cannot say.
    fn existing(&self, logins: &[&Login]) -> Result<BTreeSet<Login>, StoreError>;

    /// Adds a domain.
    ///
    /// # Errors
    /// Fails if the domain exists, or if the store fails.
    fn add_domain(&self, domain: &DomainRow) -> Result<(), AdminError>;

    /// Replaces the row of a domain.
    ///
    /// # Errors
    /// Fails if there is no such domain, or if the store fails.
    fn set_domain(&self, domain: &DomainRow) -> Result<(), AdminError>;

    /// Removes a domain; with `contents`, its accounts and aliases too.
    ///
    /// # Errors
    /// Fails if there is no such domain, if it is in use and `contents` is false, or if the store fails.
    fn remove_domain(&self, name: &str, contents: bool) -> Result<(), AdminError>;

    /// Adds an account to a domain that exists.
    ///
    /// # Errors
    /// Fails if there is no such domain, if the account exists, or if the store fails.
    fn add_account(&self, account: &AccountRow) -> Result<(), AdminError>;

    /// Changes an account.
    ///
    /// # Errors
    /// Fails if there is no such account, or if the store fails.
    fn set_account(&self, login: &Login, change: &AccountChange) -> Result<(), AdminError>;

    /// Removes an account.
    ///
    /// # Errors
    /// Fails if there is no such account, or if the store fails.
    fn remove_account(&self, login: &Login) -> Result<(), AdminError>;

    /// Removes the row whose login is `login`, byte for byte, even if that is no valid login.
    ///
    /// # Errors
    /// Fails if there is no such row, or if the store fails.
    fn remove_stored_account(&self, login: &[u8]) -> Result<(), AdminError>;

    /// Gives the row whose login is `old`, byte for byte, the login `new`, and leaves everything else unchanged.
    ///
    /// # Errors
    /// Fails if there is no such row, if the domain of `new` does not exist, if `new` exists, or if the store fails.
    fn rename_account(&self, old: &[u8], new: &Login) -> Result<(), AdminError> {
        self.rename_account_with(old, new, &mut Renaming { aliases: &[], beside: &mut || Ok(()) })
    }

    /// Renames an account and makes the changes that belong to it, all in one transaction.
    ///
    /// # Errors
    /// Fails as [`Administration::rename_account`] does, and if the last step of `with` is refused.
    fn rename_account_with(&self, old: &[u8], new: &Login, with: &mut Renaming<'_>) -> Result<(), AdminError>;

    /// Returns the targets of aliases that are this login, in any spelling that is read as this login.
    ///
    /// # Errors
    /// Fails if the list is not known to be complete.
    fn alias_targets_that_are(&self, login: &Login) -> Result<Vec<AliasTarget>, StoreError>;

    /// Returns the times at which an account's row was created and changed; `None` if there is no such row, or if the
    /// tables do not say.
    ///
    /// # Errors
    /// Fails if the store cannot say.
    fn account_times(&self, login: &Login) -> Result<Option<AccountTimes>, StoreError>;

    /// Imports all accounts of the source, and adds their domains, or does nothing. In the result, nothing is done if the
    /// source was spoilt, or is spoilt now because the store refused part of it; a dry run says what would be done without
    /// that part. If the source has a login twice, the second row changes the first one. `judge` is asked about each account
    /// as it would be, unless all accounts are new and can be added at once.
    ///
    /// # Errors
    /// Fails if the source cannot be read, or if the store fails.
    fn import_accounts(
        &self,
        source: &mut dyn ImportSource<AccountRecord>,
        mode: ImportMode,
        judge: JudgeAccount<'_>,
    ) -> Result<ImportSummary, ImportError>;

    /// Imports all domains of the source, or does nothing, as with accounts.
    ///
    /// # Errors
    /// Fails as with accounts.
    fn import_domains(
        &self,
        source: &mut dyn ImportSource<DomainRecord>,
        mode: ImportMode,
    ) -> Result<ImportSummary, ImportError>;

    /// Imports all alias domains of the source, or does nothing, as with accounts. Their targets have to exist.
    ///
    /// # Errors
    /// Fails as with accounts.
    fn import_alias_domains(
        &self,
        source: &mut dyn ImportSource<AliasDomainRecord>,
        mode: ImportMode,
    ) -> Result<ImportSummary, ImportError>;

    /// Imports all aliases of the source, or does nothing, as with accounts. An alias that exists gets exactly the targets
    /// of the source. The domains of the addresses have to exist.
    ///
    /// # Errors
    /// Fails as with accounts.
    fn import_aliases(
        &self,
        source: &mut dyn ImportSource<AliasRow>,
        mode: ImportMode,
    ) -> Result<ImportSummary, ImportError>;

    /// Gives all aliases, or those of one domain, to `each`, in the order of their addresses, until it breaks off. An
    /// error concerns one alias, and others follow.
    ///
    /// # Errors
    /// Fails if the list is not known to be complete.
    fn each_alias(
        &self,
        domain: Option<&str>,
        each: &mut dyn FnMut(Result<AliasRow, StoreError>) -> ControlFlow<()>,
    ) -> Result<(), StoreError>;

    /// Returns all aliases by address, or those of one domain, at once.
    ///
    /// # Errors
    /// Fails if the list is not known to be complete, or an alias cannot be trusted.
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

    /// Adds targets to an address of a domain that exists. Targets that it already has are left unchanged.
    ///
    /// # Errors
    /// Fails if there is no such domain, or if the store fails.
    fn add_alias(&self, alias: &AliasRow) -> Result<(), AdminError>;

    /// Returns at most `limit` alias domains, at least one, from `after` on, in the order of their names.
    ///
    /// # Errors
    /// Fails if the page is not known to be complete.
    fn alias_domain_page(
        &self,
        after: Option<&Cursor>,
        limit: usize,
    ) -> Result<Page<AliasDomainRow, StoreError>, StoreError>;

    /// Returns the row of an alias domain.
    ///
    /// # Errors
    /// Fails if the store cannot say, or the row cannot be trusted.
    fn find_alias_domain(&self, name: &str) -> Result<Option<AliasDomainRow>, StoreError>;

    /// Returns the alias domains of a domain, in order.
    ///
    /// # Errors
    /// Fails if the store cannot say.
    fn alias_domains_of(&self, target: &str) -> Result<Vec<String>, StoreError>;

    /// Adds all of these alias domains, or none.
    ///
    /// # Errors
    /// Fails with the index of the first that cannot be added: its name is a domain of its own or exists already, or
    /// its target is no domain whose mail is kept here. It also fails if the store fails.
    fn add_alias_domains(&self, rows: &[AliasDomainRow]) -> Result<(), (usize, AdminError)>;

    /// Replaces the row of an alias domain.
    ///
    /// # Errors
    /// Fails if there is no such alias domain, if its target is no domain whose mail is kept here, or if the store
    /// fails.
    fn set_alias_domain(&self, row: &AliasDomainRow) -> Result<(), AdminError>;

    /// Removes an alias domain.
    ///
    /// # Errors
    /// Fails if there is no such alias domain, or if the store fails.
    fn remove_alias_domain(&self, name: &str) -> Result<(), AdminError>;

    /// Removes these targets of an address, or, if none are given, the whole address.
    ///
    /// # Errors
    /// Fails if there is no such alias or target, or if the store fails.
    fn remove_alias(&self, alias: &AliasRow) -> Result<(), AdminError>;
}
