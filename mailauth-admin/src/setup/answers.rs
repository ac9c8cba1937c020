//! The answers, from options, from the existing configuration, or asked at the terminal.

use super::Setup;
use super::configuration::Configuration;
use super::program::Program;
use super::questions::Questions;
use crate::context::{Context, read_login, read_new_domain};
use crate::failure::Failure;
use crate::password_prompt;
use mailauth_core::config::{Config, DatabaseUrl};
use mailauth_core::store::{AccountStore, Administration};
use mailauth_core::{DomainName, Login, Secret, system_ids};
use std::fs;
use std::path::{Path, PathBuf};

/// Where SQLite's database is by default.
const FILE: &str = "/var/lib/mailauth/mail.db";

/// Where the sockets of MariaDB and MySQL are, on Debian and with MySQL's own packages.
pub const MYSQL_SOCKETS: [&str; 3] = ["/run/mysqld/mysqld.sock", "/var/lib/mysql/mysql.sock", "/tmp/mysql.sock"];

/// The choice of another program's tables.
const OTHER: &str = "the tables of another program stay where they are, and only a configuration for them is needed: make it \
                     with 'mailauth convert FILE --out /etc/mailauth/mailauth.toml' from the configuration of Courier, Dovecot \
                     or vpopmail, or write [schema] profile (docs/own-table.md lists the profiles), and run 'mailauth setup' again, \
                     which then does the rest";

pub enum Database {
    /// That of the existing configuration.
    Settled,
    /// A file of SQLite.
    File(PathBuf),
    /// A database of a server, as the daemon's user and as that of the `mailauth` command.
    Server { daemon: DatabaseUrl, admin: DatabaseUrl },
}

pub struct Answers {
    pub database: Database,
    pub administrator_socket: Option<PathBuf>,
    /// Folder of the mail; `None` if the configuration settles it.
    pub mail: Option<PathBuf>,
    pub owner: String,
    /// Programs that ask the daemon; `None` if the configuration settles them.
    pub programs: Option<Vec<Program>>,
    pub domain: Option<DomainName>,
    pub account: Option<Login>,
    pub password: Option<Secret>,
}

/// Collects mistakes, to report them all at once.
struct Mistakes(Vec<String>);

impl Mistakes {
    fn note<T>(&mut self, option: &str, read: Result<T, String>) -> Option<T> {
        read.map_err(|problem| self.0.push(format!("--{option}: {problem}"))).ok()
    }
}

/// An option, the question for it, and its default.
struct Asked<'a> {
    option: &'a str,
    given: Option<&'a str>,
    question: &'a str,
    default: Option<&'a str>,
}

impl Asked<'_> {
    fn read<T>(
        &self,
        questions: &Questions,
        mistakes: &mut Mistakes,
        read: impl Fn(&str) -> Result<T, String>,
    ) -> Result<Option<T>, Failure> {
        let answer = match self.given {
            Some(given) => Some(read(given)),
            // After a mistake, further questions would be in vain.
            None if !mistakes.0.is_empty() && questions.are_asked() => return Ok(None),
            None => questions.ask(self.question, self.default, read)?,
        };
        let answer = answer.unwrap_or_else(|| {
            Err("is missing; give this option, or run the command at a terminal and without --yes".to_owned())
        });
        Ok(mistakes.note(self.option, answer))
    }
}

impl Answers {
    pub fn collect(options: &Setup, configuration: &Configuration, questions: &Questions) -> Result<Self, Failure> {
        let mut mistakes = Mistakes(Vec::new());
        let database = database(options, configuration, questions, &mut mistakes)?;
        let mail = mail(options, configuration, questions, &mut mistakes)?;
        let programs = programs(options, configuration, questions, &mut mistakes)?;
        if options.owner == "root" || system_ids::of_user(&options.owner) == Some(0) {
            mistakes
                .0
                .push("--owner: mailboxes must not belong to root; write a user of their own, such as vmail".into());
        }
        let mut answers = Answers {
            database: database.unwrap_or(Database::Settled),
            administrator_socket: options.administrator_socket.clone(),
            mail,
            owner: options.owner.clone(),
            programs,
            domain: None,
            account: None,
            password: None,
        };
        if configuration.is_foreign() {
            if options.domain.is_some() || options.account.is_some() {
                mistakes.0.push("--domain, --account: the accounts are kept by another program ([schema])".into());
            }
        } else {
            answers.first_account(options, configuration, questions, &mut mistakes)?;
        }
        if mistakes.0.is_empty() { Ok(answers) } else { Err(Failure::usage(mistakes.0.join("\n"))) }
    }

    /// Asks for the first domain, account and password, unless there are accounts already.
    fn first_account(
        &mut self,
        options: &Setup,
        configuration: &Configuration,
        questions: &Questions,
        mistakes: &mut Mistakes,
    ) -> Result<(), Failure> {
        let config = configuration.existing().cloned().unwrap_or_default();
        let existing =
            configuration.existing().cloned().map(|config| Context { database: config.for_administration(), config });
        let store = existing.and_then(|context| context.store().ok());
        let has_accounts = store.as_ref().is_some_and(|store| matches!(store.count_accounts(), Ok(Some(1..))));
        if has_accounts && options.account.is_none() && options.domain.is_none() {
            return Ok(());
        }
        let of_account = options.account.as_deref().and_then(|login| login.split_once('@')).map(|(_, domain)| domain);
        let guessed = host_domain();
        let domain = Asked {
            option: "domain",
            given: options.domain.as_deref().or(of_account),
            question: "First domain whose mail this host accepts",
            default: guessed.as_deref().filter(|_| questions.are_asked()),
        };
        self.domain = domain.read(questions, mistakes, read_new_domain)?;
        let first = self.domain.as_ref().map(|domain| format!("postmaster@{domain}"));
        let account = Asked {
            option: "account",
            given: options.account.as_deref(),
            question: "Login of the first account",
            default: first.as_deref().filter(|_| questions.are_asked()),
        };
        self.account = account.read(questions, mistakes, |text| {
            let login = read_login(text.as_bytes(), &config)?;
            match self.domain.as_ref().filter(|domain| domain.as_str() != login.domain()) {
                Some(domain) => Err(format!("{login} is not in the domain {domain}")),
                None => Ok(login),
            }
        })?;
        let Some(login) = &self.account else { return Ok(()) };
        let exists = store.is_some_and(|store| matches!(store.find(login), Ok(Some(_))));
        if options.password_stdin {
            self.password = Some(password_prompt::from_stdin()?);
        } else if !exists && mistakes.0.is_empty() {
            match questions.are_asked() {
                true => self.password = Some(password_prompt::ask_new(&format!("Password of {login}: "))?),
                false => mistakes.0.push("--password-stdin: is missing; give this option, or run the command at a terminal and without --yes".to_owned()),
            }
        }
        if let Some(password) = self.password.as_ref().filter(|_| !exists) {
            mistakes.0.extend(too_short(password, &config));
        }
        Ok(())
    }
}

fn too_short(password: &Secret, config: &Config) -> Option<String> {
    let (has, needs) = (String::from_utf8_lossy(password.expose()).chars().count(), config.password.min_length);
    (has < needs).then(|| format!("the password has {has} characters; it needs at least {needs}"))
}

fn database(
    options: &Setup,
    configuration: &Configuration,
    questions: &Questions,
    mistakes: &mut Mistakes,
) -> Result<Option<Database>, Failure> {
    let given = options.database.as_deref();
    if let Some(existing) = configuration.existing().filter(|_| configuration.settles("database", "url")) {
        let url = &existing.database.url;
        let same = |given: &str| match read_database(given) {
            Ok(Database::File(path)) => url.file() == Some(&*path) || given == "sqlite" && url.file().is_some(),
            Ok(Database::Server { daemon, .. }) => daemon == *url || given == url.scheme() || same_keyword(given, url),
            _ => false,
        };
        if given.is_some_and(|given| !same(given)) {
            mistakes.0.push(format!(
                "--database: {} names {url}, and setup does not change that; leave the option out, or edit [database] url",
                configuration.path.display()
            ));
        }
        return Ok(Some(Database::Settled));
    }
    let asked = Asked {
        option: "database",
        given,
        question: "Database of the accounts: sqlite, mariadb, mysql, postgres, other (tables of another program), or a URL",
        default: Some("sqlite"),
    };
    asked.read(questions, mistakes, read_database)
}

/// Returns true if this name of a product is that of the URL's.
fn same_keyword(given: &str, url: &DatabaseUrl) -> bool {
    matches!((given, url.scheme()), ("mariadb", "mysql") | ("postgresql", "postgres"))
}

fn read_database(text: &str) -> Result<Database, String> {
    let url = match text {
        "sqlite" => return Ok(Database::File(FILE.into())),
        "other" => return Err(OTHER.to_owned()),
        "mariadb" | "mysql" => {
            let socket = MYSQL_SOCKETS.into_iter().find(|path| Path::new(path).exists()).unwrap_or(MYSQL_SOCKETS[0]);
            format!("mysql://mailauth@localhost/mail?socket={socket}")
        }
        // Debian's pg_hba.conf accepts passwords by TCP only.
        "postgres" | "postgresql" => "postgres://mailauth@localhost/mail".to_owned(),
        url => url.to_owned(),
    };
    let url: DatabaseUrl = url.parse().map_err(|error: mailauth_core::config::UrlError| error.to_string())?;
    if let Some(path) = url.file() {
        return match path.is_absolute() {
            true => Ok(Database::File(path.to_owned())),
            false => Err(format!("{} is not an absolute path", path.display())),
        };
    }
    let user = url.server().map(|server| server.user.clone()).unwrap_or_default();
    let admin = url.clone().with_user(format!("{user}_admin"));
    Ok(Database::Server { daemon: url, admin })
}

fn mail(
    options: &Setup,
    configuration: &Configuration,
    questions: &Questions,
    mistakes: &mut Mistakes,
) -> Result<Option<PathBuf>, Failure> {
    let given = options.mail.as_deref().map(Path::to_string_lossy);
    if configuration.is_foreign() || configuration.settles("mailbox", "home") {
        let home = configuration.existing().map(|config| config.mailbox.home.as_str()).unwrap_or_default();
        if given.as_deref().is_some_and(|given| home != format!("{}/%d/%n", given.trim_end_matches('/'))) {
            mistakes.0.push(format!(
                "--mail: {} names {home}, and setup does not change that; leave the option out, or edit [mailbox] home",
                configuration.path.display()
            ));
        }
        return Ok(None);
    }
    let asked =
        Asked { option: "mail", given: given.as_deref(), question: "Folder of the mail", default: Some("/var/mail") };
    asked.read(questions, mistakes, |text| {
        let path = Path::new(text);
        let fits = path.is_absolute() && path != Path::new("/") && !text.contains(|c: char| c == '%' || c.is_control());
        if fits { Ok(path.to_owned()) } else { Err(format!("{text:?} is not an absolute path without percent signs")) }
    })
}

fn programs(
    options: &Setup,
    configuration: &Configuration,
    questions: &Questions,
    mistakes: &mut Mistakes,
) -> Result<Option<Vec<Program>>, Failure> {
    let given = options.programs.as_deref();
    if let Some(existing) = configuration.existing().filter(|_| configuration.settles("courier", "allow_users")) {
        let allowed = &existing.courier.allow_users;
        let wanted = given.and_then(|given| mistakes.note("programs", Program::parse(given))).unwrap_or_default();
        for user in wanted.iter().filter_map(|program| program.user()).filter(|user| !allowed.iter().any(|a| a == user))
        {
            let path = configuration.path.display();
            mistakes
                .0
                .push(format!("--programs: add {user:?} to [courier] allow_users in {path}, which exists already"));
        }
        return Ok(None);
    }
    let installed = Program::list(&Program::installed());
    let question = "Programs that ask for logins: courier, exim, postfix, dovecot, separated by commas, or none";
    let asked = Asked { option: "programs", given, question, default: Some(&installed) };
    asked.read(questions, mistakes, Program::parse)
}

/// Returns the domain of this host, from Debian's name for outgoing mail or from its own name.
fn host_domain() -> Option<String> {
    let name = |file| fs::read_to_string(file).ok().map(|text| text.trim().to_owned());
    let mail = name("/etc/mailname").filter(|name| name.contains('.'));
    let host = || name("/etc/hostname").and_then(|name| Some(name.split_once('.')?.1.to_owned()));
    mail.or_else(host).filter(|domain| read_new_domain(domain).is_ok())
}
