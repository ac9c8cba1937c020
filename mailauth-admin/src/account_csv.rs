//! `mailauth account import` and `export`: accounts as CSV.
//!
//! RFC 4180, with a header that names the columns: quotes around a value that holds a comma, a quote or a line break, a
//! quote doubled inside them, CRLF or LF between records; a byte order mark is left out. An empty value is what the
//! configuration says, or for `enabled` yes.

use crate::account::apply;
use crate::account_columns::{self, show_quota};
use crate::failure::Failure;
use crate::listing::{INCOMPLETE, all_accounts};
use crate::output::{printable, say};
use crate::setup::{Setup, read_login};
use csv::{ByteRecord, ReaderBuilder, WriterBuilder};
use mailauth_core::account::{AccountRow, Login, Password};
use mailauth_core::config::Config;
use mailauth_core::password::{Flaw, Stored};
use mailauth_core::store::{AccountChange, AccountStore, Administration, Changed, SqlStore};
use std::collections::{HashMap, HashSet};
use std::fs::{File, OpenOptions};
use std::io::{self, BufWriter, Read, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;
use zeroize::Zeroizing;

/// The columns there are, in the order of an export.
const COLUMNS: [&str; 11] =
    ["login", "password", "uid", "gid", "home", "maildir", "quota", "services", "name", "options", "enabled"];

/// The most bytes of a file, and the most problems that are listed.
const MAX_FILE: u64 = 256 << 20;
const MAX_PROBLEMS: usize = 1000;

/// So many accounts are told to the daemon one by one, and more of them at once.
const MOST_TOLD: usize = 200;

/// The most bytes of a stored password that the table takes.
const MAX_STORED: usize = 1024;

pub const IMPORT_HELP: &str = "\
Add all accounts of a CSV file, and the domains they are in, or nothing.

The first line names the columns, in any order: login, and any of password, uid, gid, home, maildir, quota, services, \
name, options, enabled. An empty value is left to the defaults. The password is a stored value, such as $6$..., \
{SSHA256}... or {PLAIN}..., and is refused where it cannot be read; 'mailauth hash' makes one. Every bad row is listed \
with its line and the reason, and then nothing is imported.

For example:
  login,password,quota,services
  anna@example.org,$6$saltsalt$...,\"1G,10000\",
  ben@example.org,{SSHA256}...,500M,\"pop3,smtp\"";

pub const EXPORT_HELP: &str = "\
Print all accounts as CSV, in the form that 'mailauth account import' reads.

It holds the stored passwords. A FILE is created so that nobody but its owner may read it; where the output goes to a \
pipe or is redirected, see to that yourself (umask 077).";

/// What is wrong with a row.
struct Problem {
    line: u64,
    what: String,
}

/// Adds all accounts of a file, or nothing.
pub fn import(store: &SqlStore, file: &Path, setup: &Setup) -> Result<(), Failure> {
    let shown = if file == Path::new("-") { "the standard input".into() } else { file.display().to_string() };
    let read = |input: &mut dyn Read| {
        let mut bytes = Zeroizing::new(Vec::new());
        input.take(MAX_FILE + 1).read_to_end(&mut bytes).map(|_| bytes)
    };
    let input = match file == Path::new("-") {
        true => read(&mut io::stdin().lock()),
        false => File::open(file).and_then(|mut file| read(&mut file)),
    };
    let input = input.map_err(|error| Failure::usage(format!("{shown} cannot be read: {error}")))?;
    let (mut table, mut problems) =
        Table::read(&input, &setup.config).map_err(|what| Failure::no(format!("{shown}: {what}")))?;
    table.find_known(store, &mut problems)?;
    if !problems.is_empty() {
        return Err(refused(&shown, problems));
    }
    if let Err((index, error)) = setup.change(store, &table.changes(), |store| store.import(&table.rows)) {
        let line = index.and_then(|index| table.lines.get(index));
        let Failure { exit, message } = error.into();
        let place = line.map_or(format!("{shown}: "), |line| format!("{shown}:{line}: "));
        return Err(Failure::new(exit, format!("{place}{message}\nnothing was imported")));
    }
    say(format_args!("imported {} accounts", table.rows.len()))
}

fn refused(shown: &str, mut problems: Vec<Problem>) -> Failure {
    problems.sort_by_key(|problem| problem.line);
    let listed = problems.iter().take(MAX_PROBLEMS);
    let mut lines: Vec<_> = listed.map(|p| format!("{shown}:{}: {}", p.line, printable(&p.what))).collect();
    if problems.len() > MAX_PROBLEMS {
        lines.push(format!("{shown}: and {} more", problems.len() - MAX_PROBLEMS));
    }
    lines.push(format!("nothing was imported; {} problems", problems.len()));
    Failure::no(lines.join("\n"))
}

/// The good rows of a file, and the line that each begins on.
#[derive(Default)]
struct Table {
    rows: Vec<AccountRow>,
    lines: Vec<u64>,
}

impl Table {
    /// Reads all rows, and what is wrong with the others.
    fn read(input: &[u8], config: &Config) -> Result<(Self, Vec<Problem>), String> {
        if input.len() as u64 > MAX_FILE {
            return Err(format!("it has more than {MAX_FILE} bytes; split it"));
        }
        let mut reader = ReaderBuilder::new().flexible(true).from_reader(input);
        let mut lines = LineCounter { text: input, at: 0, line: 1 };
        let header = reader.byte_headers().map_err(|error| error.to_string())?;
        let columns = read_header(header)?;
        let mut table = Table::default();
        let mut problems = Vec::new();
        let mut seen: HashMap<Login, u64> = HashMap::new();
        let mut record = ByteRecord::new();
        while reader.read_byte_record(&mut record).map_err(|error| error.to_string())? {
            let line = lines.line_of(record.position().map_or(0, csv::Position::byte));
            match read_row(&record, &columns, config) {
                Ok(row) => match seen.insert(row.login.clone(), line) {
                    None => {
                        table.lines.push(line);
                        table.rows.push(row);
                    }
                    Some(first) => {
                        seen.insert(row.login.clone(), first);
                        problems.push(Problem { line, what: format!("{} is on line {first} already", row.login) });
                    }
                },
                Err(all) => problems.extend(all.into_iter().map(|what| Problem { line, what })),
            }
        }
        Ok((table, problems))
    }

    /// What the daemon is told when they are added.
    fn changes(&self) -> Vec<Changed> {
        if self.rows.len() > MOST_TOLD {
            return vec![Changed::Additions];
        }
        self.rows.iter().map(|row| Changed::Account(row.login.clone())).collect()
    }

    /// Finds the accounts that are there already.
    fn find_known(&mut self, store: &impl AccountStore, problems: &mut Vec<Problem>) -> Result<(), Failure> {
        let mut known = HashSet::new();
        let unusable = all_accounts(store, |row| {
            known.insert(row.login);
            Ok(())
        })?;
        unusable.complain(INCOMPLETE)?;
        for (row, line) in self.rows.iter().zip(&self.lines) {
            if known.contains(&row.login) {
                problems.push(Problem { line: *line, what: format!("the account {} exists already", row.login) });
            }
        }
        Ok(())
    }
}

/// Counts lines. The reader's own count is one behind after CRLF, of which it takes the LF for the next record's.
struct LineCounter<'t> {
    text: &'t [u8],
    at: usize,
    line: u64,
}

impl LineCounter<'_> {
    /// The line on which the record begins that the reader found at `byte`, which is not before the last one.
    fn line_of(&mut self, byte: u64) -> u64 {
        let rest = self.text.get(self.at..).unwrap_or_default();
        let before = usize::try_from(byte).unwrap_or(usize::MAX).saturating_sub(self.at).min(rest.len());
        let (before, record) = rest.split_at(before);
        let ends = record.iter().take_while(|b| matches!(b, b'\r' | b'\n')).count();
        let passed = before.iter().chain(record.iter().take(ends));
        self.line += passed.filter(|b| **b == b'\n').count() as u64;
        self.at += before.len() + ends;
        self.line
    }
}

/// The column that stands at each place.
fn read_header(header: &ByteRecord) -> Result<Vec<&'static str>, String> {
    let mut columns = Vec::new();
    for name in header {
        let name = String::from_utf8_lossy(name);
        let name = name.trim();
        let Some(known) = COLUMNS.iter().find(|column| **column == name) else {
            let name = printable(name);
            return Err(format!("line 1: there is no column {name:?}; columns are {}", COLUMNS.join(",")));
        };
        if columns.contains(known) {
            return Err(format!("line 1: the column {name} is there twice"));
        }
        columns.push(*known);
    }
    if !columns.contains(&"login") {
        return Err(format!(
            "line 1: there is no column login; the first line names the columns, as {}",
            COLUMNS.join(",")
        ));
    }
    Ok(columns)
}

/// An account, or all that is wrong with the row.
fn read_row(record: &ByteRecord, columns: &[&'static str], config: &Config) -> Result<AccountRow, Vec<String>> {
    if record.len() != columns.len() {
        let (has, needs) = (record.len(), columns.len());
        return Err(vec![format!("it has {has} values where the header has {needs}; is a quote or a comma missing?")]);
    }
    let mut problems = Vec::new();
    let mut login = None;
    let mut change = AccountChange::default();
    for (name, value) in columns.iter().zip(record) {
        let read = match *name {
            "login" => read_login(value, config).map(|read| login = Some(read)),
            "password" => read_password(value, config).map(|read| change.password = Some(read)),
            "enabled" => read_switch(value).map(|read| change.enabled = Some(read)),
            other => std::str::from_utf8(value)
                .map_err(|_| "it is not UTF-8".to_owned())
                .and_then(|text| account_columns::set(&mut change, other, text, config)),
        };
        if let Err(problem) = read {
            problems.push(format!("{name}: {problem}"));
        }
    }
    match login {
        Some(login) if problems.is_empty() => {
            let mut row = AccountRow::new(login);
            apply(change, &mut row);
            Ok(row)
        }
        _ => Err(problems),
    }
}

/// A stored password. One that is empty or locks the account is as good as any; one that could never be verified would
/// come to light only when its owner cannot log in.
fn read_password(value: &[u8], config: &Config) -> Result<Password, String> {
    if value.len() > MAX_STORED || value.iter().any(u8::is_ascii_control) {
        return Err(format!("it has more than {MAX_STORED} bytes or holds a control character"));
    }
    if std::str::from_utf8(value).is_err() {
        return Err("it is not UTF-8, which the table needs".to_owned());
    }
    match Stored::parse(value, &config.password.rules) {
        Ok(_) | Err(Flaw::Empty | Flaw::Locked) => Ok(Password(value.into())),
        Err(flaw) => Err(flaw.to_string()),
    }
}

fn read_switch(value: &[u8]) -> Result<bool, String> {
    match value.trim_ascii().to_ascii_lowercase().as_slice() {
        b"" | b"yes" | b"true" | b"1" => Ok(true),
        b"no" | b"false" | b"0" => Ok(false),
        _ => Err("write yes or no".to_owned()),
    }
}

/// Writes all accounts to a new file, or to the standard output.
pub fn export(store: &impl AccountStore, file: Option<&Path>) -> Result<(), Failure> {
    let Some(path) = file else { return write(store, io::stdout().lock()) };
    let created = OpenOptions::new().write(true).create_new(true).mode(0o600).open(path).map_err(|error| {
        let cure = if error.kind() == io::ErrorKind::AlreadyExists { "; name another file, or remove it" } else { "" };
        Failure::no(format!("{} cannot be created: {error}{cure}", path.display()))
    })?;
    write(store, BufWriter::new(created)).inspect_err(|_| {
        // Half an export must not be taken for a whole one.
        let _ = std::fs::remove_file(path);
    })
}

fn write(store: &impl AccountStore, out: impl Write) -> Result<(), Failure> {
    let mut writer = WriterBuilder::new().from_writer(out);
    writer.write_record(COLUMNS).map_err(unwritten)?;
    let unusable = all_accounts(store, |row| write_row(&mut writer, &row).map_err(unwritten))?;
    writer.flush()?;
    unusable.complain(INCOMPLETE)
}

fn unwritten(error: csv::Error) -> Failure {
    match error.into_kind() {
        csv::ErrorKind::Io(error) => error.into(),
        kind => Failure::not_now(format!("a row cannot be written: {kind:?}")),
    }
}

fn write_row(writer: &mut csv::Writer<impl Write>, row: &AccountRow) -> csv::Result<()> {
    let number = |id: Option<u32>| id.map(|id| id.to_string()).unwrap_or_default();
    let text = |value: &Option<String>| value.clone().unwrap_or_default();
    writer.write_field(row.login.as_str())?;
    writer.write_field(row.password.0.expose())?;
    for value in [
        number(row.uid),
        number(row.gid),
        text(&row.home),
        text(&row.maildir),
        show_quota(row.quota_bytes, row.quota_messages),
        row.services.to_string(),
        text(&row.name),
        text(&row.options),
        if row.enabled { "yes" } else { "no" }.to_owned(),
    ] {
        writer.write_field(value)?;
    }
    writer.write_record(None::<&[u8]>)
}

#[cfg(test)]
mod tests;
