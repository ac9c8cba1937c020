//! Checks a row as the daemon does, before it is written. Problems that would make the daemon refuse the account are
//! reported here, all at once.

use crate::account_columns::Columns;
use crate::failure::Failure;
use mailauth_core::account::{AccountRow, Login};
use mailauth_core::config::Config;
use mailauth_core::mailbox::Unusable;
use mailauth_core::store::{AccountChange, AccountStore, SqlStore, StoreError};

/// Reads the login and the columns of an account to add.
pub fn new_account(
    login: Result<Login, Failure>,
    columns: &Columns,
    config: &Config,
) -> Result<(Login, AccountChange), Failure> {
    let (change, refused) = columns.read(config);
    let (login, mut lines) = match login {
        Ok(login) => (Some(login), Vec::new()),
        Err(failure) => (None, vec![failure.message]),
    };
    lines.extend(refused.iter().map(|(name, problem)| format!("--{name}: {problem}")));
    let Some(login) = login else { return Err(Failure::usage(lines.join("\n"))) };
    let mut row = AccountRow::new(login);
    change.apply(&mut row);
    lines.extend(others(config.mailbox.problems(&row), |column| refused.iter().any(|(name, _)| *name == column)));
    if lines.is_empty() { Ok((row.login, change)) } else { Err(Failure::usage(lines.join("\n"))) }
}

/// Reads the changes of an account, and rejects them if the daemon could not use the account afterwards. A row that it
/// already cannot use may be corrected column by column.
pub fn change(store: &SqlStore, login: &Login, columns: &Columns, config: &Config) -> Result<AccountChange, Failure> {
    let (change, refused) = columns.read(config);
    let mut lines: Vec<_> = refused.iter().map(|(name, problem)| format!("--{name}: {problem}")).collect();
    match store.find(login) {
        Ok(Some(before)) => {
            let mut after = before.clone();
            change.apply(&mut after);
            let known = config.mailbox.problems(&before);
            let is_told = |column: &str| {
                refused.iter().any(|(name, _)| *name == column)
                    || !is_changed(column, &before, &after) && known.iter().any(|known| known.column == column)
            };
            lines.extend(others(config.mailbox.problems(&after), is_told));
        }
        // A row that cannot be read may be corrected by this change, and a missing row is reported by the change.
        Ok(None) | Err(StoreError::Unusable(_)) => {}
        Err(error) if lines.is_empty() => return Err(error.into()),
        Err(_) => {}
    }
    if lines.is_empty() { Ok(change) } else { Err(Failure::usage(lines.join("\n"))) }
}

/// Returns the reasons why the daemon could not use a row as it would be, on one line. What was wrong with it before and
/// is not changed is no reason.
pub fn of_row(before: Option<&AccountRow>, after: &AccountRow, config: &Config) -> Option<String> {
    let known = before.map(|before| config.mailbox.problems(before)).unwrap_or_default();
    let is_told = |column: &str| {
        known.iter().any(|known| known.column == column)
            && before.is_some_and(|before| !is_changed(column, before, after))
    };
    let problems = config.mailbox.problems(after).into_iter().filter(|problem| !is_told(problem.column));
    let problems: Vec<_> = problems.map(|problem| format!("{} {}", problem.column, problem.problem)).collect();
    (!problems.is_empty()).then(|| problems.join("; "))
}

/// Returns true if a column about the owner or the place of a mailbox has another value.
fn is_changed(column: &str, before: &AccountRow, after: &AccountRow) -> bool {
    match column {
        "uid" => before.uid != after.uid,
        "gid" => before.gid != after.gid,
        "home" => before.home != after.home,
        "maildir" => before.maildir != after.maildir,
        _ => false,
    }
}

/// Rejects a new login for the row with this login, byte for byte, if the daemon could not use the row under it.
pub fn rename(store: &SqlStore, old: &[u8], new: &Login, config: &Config) -> Result<(), Failure> {
    let Some(old) = Login::parse(old, None).ok() else { return Ok(()) };
    let before = match store.find(&old) {
        Ok(Some(row)) => row,
        Ok(None) | Err(StoreError::Unusable(_)) => return Ok(()),
        Err(error) => return Err(error.into()),
    };
    let known = config.mailbox.problems(&before);
    let after = AccountRow { login: new.clone(), ..before };
    let lines = others(config.mailbox.problems(&after), |column| known.iter().any(|known| known.column == column));
    if lines.is_empty() { Ok(()) } else { Err(Failure::usage(lines.join("\n"))) }
}

/// Returns the problems with columns that are not reported yet.
fn others(problems: Vec<Unusable>, is_told: impl Fn(&str) -> bool) -> Vec<String> {
    problems.into_iter().filter(|problem| !is_told(problem.column)).map(|problem| problem.to_string()).collect()
}
