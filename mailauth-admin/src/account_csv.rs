//! `mailauth account import` and `export`: accounts as CSV.

use crate::account_columns::{self, show_quota};
use crate::context::{Context, read_login};
use crate::csv_export::Export;
use crate::csv_import::{CsvTable, Import, Names, Value};
use crate::failure::Failure;
use crate::hash::read_stored;
use crate::listing::each_account;
use crate::output::{remark, yes_no};
use crate::progress::Progress;
use crate::{switch, validation};
use mailauth_core::Login;
use mailauth_core::account::AccountRow;
use mailauth_core::config::Config;
use mailauth_core::store::{
    AccountChange, AccountRecord, Administration, ImportError, ImportMode, ImportSource, ImportSummary, SqlStore,
};
use std::borrow::Cow;

#[cfg(test)]
mod tests;

pub const IMPORT_HELP: &str = "\
Add all accounts of a CSV file and their domains, or nothing if a row is invalid.

The first line names the columns, in any order: login, and any of password, uid, gid, home, maildir, quota, services, \
name, options, enabled and receives. An empty value means the default of the configuration; so do NULL and \\N, as \
databases print them, except in the column login, where they are rejected. A quota of none is no limit. White space around \
a value is ignored, but not around a password. The password is a stored value, such as $6$..., {SSHA256}... or {PLAIN}...; \
'mailauth hash' makes one, and a value that cannot be read is rejected. uid and gid are numbers or names of this system. \
enabled and receives (mail) are yes or no, y or n, true or false, t or f, 1 or 0; the default is yes. Each invalid row is \
listed with its line, the column and the reason, and then nothing is imported. A quota below 1 MiB gets a warning.

With --update, accounts that exist are changed in the columns that the file has; an empty value sets the default there too, \
and an empty password removes the password.

For example:
  login,password,quota,services
  anna@example.org,$6$saltsalt$...,\"1G,10000\",
  ben@example.org,{SSHA256}...,500M,\"pop3,smtp\"";

pub const EXPORT_HELP: &str = "\
Print all accounts as CSV, in the form that 'mailauth account import' reads.

The output contains the stored passwords. A FILE is created so that only its owner can read it. If you redirect the \
output instead, protect the file yourself, for example with umask 077.";

/// The table of accounts.
pub struct AccountCsv<'c> {
    pub config: &'c Config,
    /// True if the columns that are not in the file may be those of an account that exists.
    pub update: bool,
}

/// Imports accounts.
pub fn import(context: &Context, store: &SqlStore, import: &Import) -> Result<(), Failure> {
    let table = AccountCsv { config: &context.config, update: import.updates() };
    let done = import.run(context, store, &table)?;
    if done.wrote && done.summary.columns.contains_key("quota") {
        remark("note: run 'mailauth quota recount --all', so that the mailboxes have their new limits in maildirsize");
    }
    Ok(())
}

/// Exports accounts.
pub fn export(store: &SqlStore, export: &Export) -> Result<(), Failure> {
    let progress = || Progress::of("accounts", || store.count_accounts().ok().flatten());
    export.run(AccountCsv::COLUMNS, progress, |rows| each_account(store, None, |row| rows.add(values(&row))))
}

/// Returns the values of a row in the order of the columns.
fn values(row: &AccountRow) -> [Cow<'_, [u8]>; 12] {
    let owned = |text: String| Cow::Owned(text.into_bytes());
    let number = |id: Option<u32>| owned(id.map(|id| id.to_string()).unwrap_or_default());
    let text = |value: &'_ Option<String>| owned(value.clone().unwrap_or_default());
    [
        row.login.as_str().as_bytes().into(),
        row.password.0.expose().into(),
        number(row.uid),
        number(row.gid),
        text(&row.home),
        text(&row.maildir),
        owned(show_quota(row.quota_bytes, row.quota_messages)),
        owned(row.services.to_string()),
        text(&row.name),
        text(&row.options),
        yes_no(row.enabled).as_bytes().into(),
        yes_no(row.receives).as_bytes().into(),
    ]
}

impl CsvTable for AccountCsv<'_> {
    const COLUMNS: &'static [&'static str] = &[
        "login", "password", "uid", "gid", "home", "maildir", "quota", "services", "name", "options", "enabled",
        "receives",
    ];
    const NEEDED: &'static [&'static str] = &["login"];
    const NAMES: Names = Names { one: "account", many: "accounts" };
    type Record = AccountRecord;

    fn read(&self, values: &[Value<'_>]) -> Result<AccountRecord, Vec<String>> {
        let (mut problems, mut refused) = (Vec::new(), Vec::new());
        let mut login: Option<Login> = None;
        let mut change = AccountChange::default();
        for value in values {
            let read = match value.column {
                "login" => value.key().and_then(|text| read_login(text, self.config)).map(|read| login = Some(read)),
                "password" => read_stored(value.bytes, self.config).map(|read| change.password = Some(read)),
                "enabled" => switch::parse(value.bytes).map(|read| change.enabled = Some(read)),
                "receives" => switch::parse(value.bytes).map(|read| change.receives = Some(read)),
                other => value.text().and_then(|text| account_columns::set(&mut change, other, text, self.config)),
            };
            if let Err(problem) = read {
                problems.push(format!("{}: {problem}", value.column));
                refused.push(value.column);
            }
        }
        let Some(login) = login else { return Err(problems) };
        if !self.update {
            let mut row = AccountRow::new(login.clone());
            change.apply(&mut row);
            let never = self.config.mailbox.problems(&row).into_iter();
            let never = never.filter(|never| !refused.contains(&never.column));
            problems.extend(never.map(|never| format!("{} {}", never.column, never.problem)));
        }
        if problems.is_empty() { Ok(AccountRecord { login, change }) } else { Err(problems) }
    }

    fn key(record: &AccountRecord) -> &str {
        record.login.as_str()
    }

    fn doubt(&self, record: &AccountRecord) -> Option<String> {
        account_columns::doubt(&record.change).map(|doubt| format!("quota: {doubt}"))
    }

    fn import(
        &self,
        store: &SqlStore,
        source: &mut dyn ImportSource<AccountRecord>,
        mode: ImportMode,
    ) -> Result<ImportSummary, ImportError> {
        store.import_accounts(source, mode, &|before, after| validation::of_row(before, after, self.config))
    }
}
