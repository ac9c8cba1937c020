//! The tables, the rights of the daemon's user, and the first domain, account and mailbox.

use super::answers::Answers;
use super::configuration::Configuration;
use super::host_steps::{daemon_user, of_daemon};
use super::plan::{Look, Step};
use super::server_steps::quoted_user;
use crate::context::Context;
use crate::failure::Failure;
use crate::hash::{Storing, make_permitted};
use crate::{init, mailbox};
use mailauth_core::account::{AccountRow, Password};
use mailauth_core::config::{Config, DatabaseUrl};
use mailauth_core::home;
use mailauth_core::store::{
    AccountStore, Administration, Changed, DomainRow, ServerLogin, ServerLoginError, SqlStore, open_single,
};
use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};

const MYSQL_GRANTS: &str = include_str!(concat!(env!("CARGO_MANIFEST_DIR"), "/schema/grants.mysql.sql"));
const POSTGRES_GRANTS: &str = include_str!(concat!(env!("CARGO_MANIFEST_DIR"), "/schema/grants.postgres.sql"));

/// Roles of those files whose rights a daemon has.
const ROLES: [&str; 3] = ["mailauth_reader", "mailauth_password", "mailauth_delivery"];

pub fn all(configuration: &Configuration) -> Vec<Box<dyn Step>> {
    if configuration.is_foreign() {
        return Vec::new();
    }
    let mut steps: Vec<Box<dyn Step>> = vec![Box::new(Tables)];
    match configuration.of_database() {
        Ok(config) if config.database.url.file().is_some() => steps.push(Box::new(FileOwner)),
        Ok(config) if config.admin.url.is_some() => steps.push(Box::new(Grants)),
        _ => {}
    }
    let first: [Box<dyn Step>; 3] = [Box::new(FirstDomain), Box::new(FirstAccount), Box::new(FirstMailbox)];
    steps.extend(first);
    steps
}

/// Returns the configuration and the store for changes, without the warnings of the configuration, which the check prints.
fn context_of(config: Config) -> Result<(Context, SqlStore), Failure> {
    let context = Context { database: config.for_administration(), config };
    let store = context.store()?;
    Ok((context, store))
}

/// Returns the store before anything is done; `None` if it cannot be opened yet.
fn store_now(configuration: &Configuration) -> Option<SqlStore> {
    let config = configuration.of_database().ok()?;
    // A look at a file of SQLite must not create it.
    if config.database.url.file().is_some_and(|file| !file.exists()) {
        return None;
    }
    context_of(config).ok().map(|(_, store)| store)
}

/// The tables of mailauth.
struct Tables;

impl Step for Tables {
    fn name(&self) -> &'static str {
        "tables"
    }

    fn look(&mut self, _: &Answers, configuration: &Configuration) -> Result<Look, Failure> {
        let report = store_now(configuration).and_then(|store| store.report().ok());
        Ok(match report {
            Some(report) if report.schema == report.schema_known => {
                Look::Done(format!("they have schema version {}", report.schema))
            }
            _ => Look::Todo(vec!["create the tables, or bring them up to date ('mailauth init')".to_owned()]),
        })
    }

    fn run(&mut self, _: &Answers, configuration: &Configuration) -> Result<(), Failure> {
        init::run(&context_of(reread(configuration)?)?.0).map(|_| ())
    }
}

/// Reads the configuration that was written.
fn reread(configuration: &Configuration) -> Result<Config, Failure> {
    Ok(Config::load_for_administration(Some(&configuration.path))?.0)
}

/// The owner of a database that is a file.
struct FileOwner;

impl FileOwner {
    /// Returns the database and the files that SQLite keeps beside it.
    fn files(url: &DatabaseUrl) -> Vec<PathBuf> {
        let Some(file) = url.file() else { return Vec::new() };
        let beside = |end: &str| {
            let mut name = file.as_os_str().to_owned();
            name.push(end);
            PathBuf::from(name)
        };
        ["", "-wal", "-shm"].into_iter().map(beside).filter(|path| path.exists()).collect()
    }

    fn is_of_daemon(path: &Path) -> bool {
        let owner = fs::metadata(path).map(|found| (found.uid(), found.mode() & 0o007));
        daemon_user().is_ok_and(|user| owner.is_ok_and(|owner| owner == (user.uid, 0)))
    }
}

impl Step for FileOwner {
    fn name(&self) -> &'static str {
        "owner of the database"
    }

    fn look(&mut self, _: &Answers, configuration: &Configuration) -> Result<Look, Failure> {
        let url = configuration.of_database()?.database.url;
        let files = Self::files(&url);
        Ok(match !files.is_empty() && files.iter().all(|file| Self::is_of_daemon(file)) {
            true => Look::Done("it belongs to mailauth".to_owned()),
            false => Look::Todo(vec![format!("give {url} to mailauth (mode 0640)")]),
        })
    }

    fn run(&mut self, _: &Answers, configuration: &Configuration) -> Result<(), Failure> {
        for file in Self::files(&reread(configuration)?.database.url) {
            let done = of_daemon(&file).and_then(|()| fs::set_permissions(&file, fs::Permissions::from_mode(0o640)));
            done.map_err(|error| Failure::not_now(format!("{}: {error}", file.display())))?;
        }
        Ok(())
    }
}

/// The rights of the daemon's user in the database.
struct Grants;

impl Grants {
    /// Returns the statements. Those that reading needs come last, so that a user that may read everything has all rights.
    fn statements(url: &DatabaseUrl) -> Vec<String> {
        let (text, user) = match url {
            DatabaseUrl::Mysql(_) => (MYSQL_GRANTS, quoted_user(url)),
            DatabaseUrl::Postgres(_) => (POSTGRES_GRANTS, quoted_user(url)),
            DatabaseUrl::Sqlite { .. } => return Vec::new(),
        };
        let code: Vec<_> = text.lines().filter(|line| !line.starts_with("--")).collect();
        let code = code.join("\n");
        let of_daemon = |statement: &str| {
            let (rights, role) = statement.trim().strip_prefix("GRANT ")?.rsplit_once(" TO ")?;
            ROLES.contains(&role).then(|| format!("GRANT {rights} TO {user}"))
        };
        code.split(';').filter_map(of_daemon).rev().collect()
    }
}

impl Step for Grants {
    fn name(&self) -> &'static str {
        "rights"
    }

    fn look(&mut self, _: &Answers, configuration: &Configuration) -> Result<Look, Failure> {
        let database = configuration.of_database()?.database;
        let report = open_single(&database).ok().and_then(|store| store.report().ok());
        let has_all =
            report.is_some_and(|report| report.schema == report.schema_known && report.rights_missing.is_empty());
        Ok(match has_all {
            true => Look::Done("the daemon's user has those that it needs".to_owned()),
            false => Look::Todo(Self::statements(&database.url).iter().map(|line| format!("{line};")).collect()),
        })
    }

    fn run(&mut self, _: &Answers, configuration: &Configuration) -> Result<(), Failure> {
        let config = reread(configuration)?;
        let Some(admin) = config.administrator() else { return Ok(()) };
        let refused = |error: ServerLoginError| match error {
            ServerLoginError::NotNow(why) => Failure::not_now(why),
            error => Failure::no(format!(
                "{error}; run {} as an administrator of the database",
                config.database.url.grants_file().unwrap_or_default()
            )),
        };
        let mut server = ServerLogin::connect(&admin).map_err(refused)?;
        Self::statements(&config.database.url).iter().try_for_each(|statement| server.run(statement)).map_err(refused)
    }
}

struct FirstDomain;

impl Step for FirstDomain {
    fn name(&self) -> &'static str {
        "domain"
    }

    fn look(&mut self, answers: &Answers, configuration: &Configuration) -> Result<Look, Failure> {
        let Some(domain) = &answers.domain else { return Ok(Look::Done("there are accounts already".to_owned())) };
        let found = store_now(configuration).and_then(|store| store.find_domain(domain.as_str()).ok().flatten());
        Ok(match found {
            Some(_) => Look::Done(format!("{} exists", domain.readable())),
            None => Look::Todo(vec![format!("add the domain {}", domain.readable())]),
        })
    }

    fn run(&mut self, answers: &Answers, configuration: &Configuration) -> Result<(), Failure> {
        let Some(domain) = &answers.domain else { return Ok(()) };
        let (context, store) = context_of(reread(configuration)?)?;
        if store.find_domain(domain.as_str())?.is_none() {
            let row = DomainRow::new(domain.as_str());
            context.change(&store, &[Changed::Domain(domain.clone())], |store| store.add_domain(&row))?;
        }
        Ok(())
    }
}

struct FirstAccount;

impl Step for FirstAccount {
    fn name(&self) -> &'static str {
        "account"
    }

    fn look(&mut self, answers: &Answers, configuration: &Configuration) -> Result<Look, Failure> {
        let Some(login) = &answers.account else { return Ok(Look::Done("there are accounts already".to_owned())) };
        let found = store_now(configuration).and_then(|store| store.find(login).ok().flatten());
        Ok(match found {
            Some(_) => Look::Done(format!("{} exists, and keeps its password", login.readable())),
            None => Look::Todo(vec![format!("add the account {} with the given password", login.readable())]),
        })
    }

    fn run(&mut self, answers: &Answers, configuration: &Configuration) -> Result<(), Failure> {
        let (Some(login), Some(password)) = (&answers.account, &answers.password) else { return Ok(()) };
        let (context, store) = context_of(reread(configuration)?)?;
        if store.find(login)?.is_some() {
            return Ok(());
        }
        let storing = Storing::Hashed(context.config.password.scheme);
        let mut row = AccountRow::new(login.clone());
        row.password = Password(make_permitted(storing, password, &context.config)?);
        let problems: Vec<_> = context.config.mailbox.problems(&row).iter().map(ToString::to_string).collect();
        if !problems.is_empty() {
            return Err(Failure::usage(problems.join("\n")));
        }
        context.change(&store, &[Changed::Account(login.clone())], |store| store.add_account(&row))?;
        Ok(())
    }
}

struct FirstMailbox;

impl Step for FirstMailbox {
    fn name(&self) -> &'static str {
        "mailbox"
    }

    fn look(&mut self, answers: &Answers, configuration: &Configuration) -> Result<Look, Failure> {
        let Some(login) = &answers.account else { return Ok(Look::Done("there are accounts already".to_owned())) };
        let row = store_now(configuration).and_then(|store| store.find(login).ok().flatten());
        let account = row.and_then(|row| configuration.whole().ok()?.mailbox.resolve(row).ok());
        Ok(match account.filter(|account| !home::is_missing(account)) {
            Some(account) => Look::Done(format!("{} exists", account.maildir_path().display())),
            None => Look::Todo(vec![format!("create the mailbox of {}", login.readable())]),
        })
    }

    fn run(&mut self, answers: &Answers, configuration: &Configuration) -> Result<(), Failure> {
        let Some(login) = &answers.account else { return Ok(()) };
        let (context, store) = context_of(reread(configuration)?)?;
        mailbox::make(crate::lookup::account(&store, login)?, &context.config)
    }
}
