//! Adding the accounts of a CSV file.
//!
//! The file is read once before the database is asked, so that a mistake in it is found quickly, and again while its
//! accounts are added. Input that cannot be read twice is first copied into a file without a name.

use super::rows::{Row, Rows};
use crate::context::Context;
use crate::failure::Failure;
use crate::listing::Complaints;
use crate::output::{printable, remark, say};
use crate::spool::private_file;
use mailauth_core::account::AccountRow;
use mailauth_core::config::Config;
use mailauth_core::quota::Limits;
use mailauth_core::store::{AdminError, Administration, Changed, ImportError, ImportSource, SqlStore};
use std::collections::HashMap;
use std::fs::File;
use std::io::{self, Read, Seek};
use std::path::Path;

/// Maximum number of bytes of a file.
const MAX_FILE: u64 = 4 << 30;

/// Maximum number of problems that are listed.
const MAX_PROBLEMS: usize = 1000;

/// Maximum number of warnings that are listed.
const MAX_WARNINGS: usize = 20;

/// Maximum number of accounts that the daemon is told one by one. More are reported in one message.
const MAX_NOTICES: usize = 200;

pub const IMPORT_HELP: &str = "\
Add all accounts of a CSV file and their domains, or nothing if a row is invalid.

The first line names the columns, in any order: login, and any of password, uid, gid, home, maildir, quota, services, \
name, options, enabled and receives. An empty value means the default of the configuration; so do NULL and \\N, as \
databases print them, except in the column login, where they are rejected. White space around a value is ignored, but \
not around a password. The password is a stored value, such as $6$..., {SSHA256}... or {PLAIN}...; 'mailauth hash' makes \
one, and a value that cannot be read is rejected. uid and gid are numbers or names of this system. enabled and receives \
(mail) are yes or no, y or n, true or false, t or f, 1 or 0; the default is yes. Each invalid row is listed with its \
line, the column and the reason, and then nothing is imported. A quota below 1 MiB gets a warning.

For example:
  login,password,quota,services
  anna@example.org,$6$saltsalt$...,\"1G,10000\",
  ben@example.org,{SSHA256}...,500M,\"pop3,smtp\"";

/// Adds all accounts of a file, or nothing.
pub fn import(store: &SqlStore, file: &Path, context: &Context) -> Result<(), Failure> {
    let shown = if file == Path::new("-") { "the standard input".into() } else { file.display().to_string() };
    let unread = |error: io::Error| unread(&shown, &error);
    let file = open(file).map_err(unread)?;
    let mut source = Source::new(&file, &context.config).map_err(unread)?;
    let (changes, doubts) = source.look_through().map_err(unread)?;
    let count = doubts.count();
    for doubt in doubts.lines().into_iter().take(MAX_WARNINGS) {
        remark(format_args!("warning: {shown}:{doubt}"));
    }
    if count > MAX_WARNINGS {
        remark(format_args!("warning: {shown}: and {} more such quotas", count - MAX_WARNINGS));
    }
    let added = context.change(store, &changes, |store| store.import(&mut source)).map_err(|error| match error {
        ImportError::Read(error) => unread(error),
        ImportError::Store(error) => {
            let Failure { exit, message } = error.into();
            Failure::new(exit, format!("{shown}: {message}\nnothing was imported"))
        }
    })?;
    if source.is_spoilt() {
        source.find_first_lines().map_err(unread)?;
        let rest = if source.refused_by_database < MAX_PROBLEMS { "" } else { "; the rows after these were not tried" };
        return Err(source.problems.into_failure(&shown, rest));
    }
    say(format_args!("imported {added} accounts"))
}

fn unread(shown: &str, error: &io::Error) -> Failure {
    match error.kind() {
        io::ErrorKind::InvalidData => {
            let lines: String = error.to_string().lines().map(|line| format!("{shown}: {line}\n")).collect();
            Failure::no(format!("{lines}nothing was imported"))
        }
        _ => Failure::usage(format!("{shown} cannot be read: {error}")),
    }
}

/// Opens the file, or a private copy of input that can be read only once.
fn open(path: &Path) -> io::Result<File> {
    let too_long = || {
        let what = format!("it has more than {MAX_FILE} bytes; split it");
        io::Error::new(io::ErrorKind::InvalidData, what)
    };
    let spool = |input: &mut dyn Read| {
        let mut spooled = private_file()?;
        let copied = io::copy(&mut input.take(MAX_FILE + 1), &mut spooled)?;
        if copied > MAX_FILE { Err(too_long()) } else { Ok(spooled) }
    };
    if path == Path::new("-") {
        return spool(&mut io::stdin().lock());
    }
    let mut file = File::open(path)?;
    let meta = file.metadata()?;
    match meta.is_file() {
        false => spool(&mut file),
        true if meta.len() > MAX_FILE => Err(too_long()),
        true => Ok(file),
    }
}

/// A problem of a row.
enum Problem {
    Text(String),
    /// The account is already in the table, or in an earlier row.
    Twice {
        login: String,
        /// First line with the login.
        first: u64,
    },
}

/// Problems of the file: the first ones, and the number of all.
#[derive(Default)]
struct Problems {
    listed: Vec<(u64, Problem)>,
    count: usize,
}

impl Problems {
    fn add(&mut self, line: u64, problem: Problem) {
        self.count += 1;
        if self.listed.len() < MAX_PROBLEMS {
            self.listed.push((line, problem));
        }
    }

    fn into_failure(mut self, shown: &str, rest: &str) -> Failure {
        self.listed.sort_by_key(|(line, _)| *line);
        let told = |(line, problem): &(u64, Problem)| match problem {
            Problem::Text(what) => format!("{shown}:{line}: {}", printable(what)),
            Problem::Twice { login, first } if first < line => {
                format!("{shown}:{line}: {login} is on line {first} already")
            }
            Problem::Twice { login, .. } => format!("{shown}:{line}: the account {login} exists already"),
        };
        let mut lines: Vec<_> = self.listed.iter().map(told).collect();
        if self.count > lines.len() {
            lines.push(format!("{shown}: and {} more", self.count - lines.len()));
        }
        lines.push(format!("nothing was imported; {} problems{rest}", self.count));
        Failure::no(lines.join("\n"))
    }
}

/// The accounts of the file.
struct Source<'f> {
    file: &'f File,
    config: &'f Config,
    rows: Rows<'f, &'f File>,
    problems: Problems,
    /// Number of rows that the database refused for reasons of its own. After [`MAX_PROBLEMS`] of them, the remaining rows
    /// are not tried.
    refused_by_database: usize,
}

impl<'f> Source<'f> {
    fn new(mut file: &'f File, config: &'f Config) -> io::Result<Self> {
        file.rewind()?;
        let rows = Rows::new(file, config)?;
        Ok(Source { file, config, rows, problems: Problems::default(), refused_by_database: 0 })
    }

    /// Reads all rows before a database is asked. Returns the messages to the daemon for when they are added, and warnings
    /// with the lines of their rows.
    fn look_through(&mut self) -> io::Result<(Vec<Changed>, Complaints)> {
        let (mut changes, mut doubts) = (Vec::new(), Complaints::default());
        while self.problems.count == 0 {
            let Some((line, account)) = self.next()? else { break };
            if let Some(doubt) = Limits::from_columns(account.quota_bytes, account.quota_messages).doubt() {
                doubts.add(format_args!("{line}: quota: {doubt}"));
            }
            if changes.len() <= MAX_NOTICES {
                changes.push(Changed::Account(account.login));
            }
        }
        let spoilt = self.problems.count;
        self.rewind()?;
        self.problems.count = spoilt;
        Ok((if changes.len() > MAX_NOTICES { vec![Changed::Additions] } else { changes }, doubts))
    }

    /// Finds the first lines of logins that occur twice.
    fn find_first_lines(&mut self) -> io::Result<()> {
        let logins = self.problems.listed.iter().filter_map(|(_, problem)| match problem {
            Problem::Twice { login, .. } => Some((login.clone(), u64::MAX)),
            Problem::Text(_) => None,
        });
        let mut first: HashMap<String, u64> = logins.collect();
        if first.is_empty() {
            return Ok(());
        }
        let mut again = Self::new(self.file, self.config)?;
        while let Some((line, account)) = again.next()? {
            if let Some(first) = first.get_mut(account.login.as_str()) {
                *first = line.min(*first);
            }
        }
        for (_, problem) in &mut self.problems.listed {
            if let Problem::Twice { login, first: line } = problem {
                *line = first.get(login).copied().unwrap_or(u64::MAX);
            }
        }
        Ok(())
    }
}

impl ImportSource for Source<'_> {
    fn rewind(&mut self) -> io::Result<()> {
        *self = Self::new(self.file, self.config)?;
        Ok(())
    }

    fn next(&mut self) -> io::Result<Option<(u64, AccountRow)>> {
        while let Some(Row { line, account }) = self.rows.next()? {
            match account {
                Ok(account) => return Ok(Some((line, account))),
                Err(all) => all.into_iter().for_each(|what| self.problems.add(line, Problem::Text(what))),
            }
        }
        Ok(None)
    }

    fn refuse(&mut self, line: u64, why: AdminError) -> bool {
        let problem = match why {
            AdminError::Exists { name: login, .. } => Problem::Twice { login, first: u64::MAX },
            why => {
                self.refused_by_database += 1;
                Problem::Text(Failure::from(why).message)
            }
        };
        self.problems.add(line, problem);
        self.refused_by_database < MAX_PROBLEMS
    }

    fn is_spoilt(&self) -> bool {
        self.problems.count > 0
    }
}
