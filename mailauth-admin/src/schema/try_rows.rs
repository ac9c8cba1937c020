//! `mailauth schema try`.

use super::listed::Listed;
use super::meaning::{Meaning, TITLES};
use super::tally::{Counted, Tally};
use crate::context::Context;
use crate::failure::{Exit, Failure};
use crate::nearby;
use crate::output::{List, json, say};
use clap::Args;
use mailauth_core::Login;
use mailauth_core::config::Config;
use mailauth_core::store::{AccountStore, SqlStore, StoreError};
use serde::Serialize;

/// Number of rows that are read at once with `--all`.
const PAGE: usize = 1000;

#[derive(Args)]
pub struct TryRows {
    /// Login of the only account to show, such as anna@example.org
    #[arg(conflicts_with_all = ["rows", "all"])]
    login: Option<String>,
    /// Number of rows to show: accounts, and as many domains, aliases and alias domains
    #[arg(long, value_name = "N", default_value_t = 20, value_parser = clap::value_parser!(u16).range(1..=10_000))]
    rows: u16,
    /// Also read all other accounts, and count those that cannot be used
    #[arg(long)]
    all: bool,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

/// What was read, in JSON.
#[derive(Serialize)]
struct TriedJson<'a> {
    accounts: &'a [Meaning],
    read: u64,
    unusable: Vec<Counted<'a>>,
    #[serde(flatten)]
    listed: &'a Listed,
}

impl TryRows {
    pub fn run(self, context: &Context) -> Result<Exit, Failure> {
        let store = context.store()?;
        if let Some(login) = &self.login {
            return self.show_one(&store, &context.login(login)?, &context.config);
        }
        let limit = usize::from(self.rows);
        let (shown, tally) = self.read(&store, limit, &context.config)?;
        let listed = Listed::read(&store, limit)?;
        if self.json {
            json(&TriedJson { accounts: &shown, read: tally.read, unusable: tally.reasons(), listed: &listed })?;
        } else {
            print(&shown)?;
            say(format_args!("\n{}", summary(&tally, self.all)))?;
            listed.print()?;
        }
        Ok(if tally.unusable() == 0 { Exit::Yes } else { Exit::No })
    }

    /// Reads the rows to show, and counts these or all.
    fn read(&self, store: &SqlStore, limit: usize, config: &Config) -> Result<(Vec<Meaning>, Tally), Failure> {
        let (mut shown, mut tally) = (Vec::new(), Tally::default());
        let mut after = None;
        loop {
            let missing = limit - shown.len();
            let page = store.enumerate(after.as_ref(), if missing > 0 { missing } else { PAGE })?;
            for row in page.rows {
                let meaning = Meaning::of(row, config);
                tally.add(meaning.problem.as_deref());
                if shown.len() < limit {
                    shown.push(meaning);
                }
            }
            match page.next {
                Some(next) if self.all || shown.len() < limit => after = Some(next),
                _ => return Ok((shown, tally)),
            }
        }
    }

    fn show_one(&self, store: &SqlStore, login: &Login, config: &Config) -> Result<Exit, Failure> {
        let row = match store.find_newest(login) {
            Ok(Some(row)) => Ok(row),
            Ok(None) => return Err(nearby::no_account(store, login)),
            Err(StoreError::Unusable(unusable)) => Err(unusable),
            Err(error) => return Err(error.into()),
        };
        let meaning = Meaning::of(row, config);
        let exit = if meaning.problem.is_none() { Exit::Yes } else { Exit::No };
        if self.json {
            json(&meaning)?
        } else {
            print(&[meaning])?
        }
        Ok(exit)
    }
}

fn print(rows: &[Meaning]) -> Result<(), Failure> {
    let mut list = List::new(TITLES, false);
    rows.iter().try_for_each(|row| list.add(row))?;
    list.end()
}

/// Returns how many of the rows can be used, and why the others cannot.
fn summary(tally: &Tally, all: bool) -> String {
    let which = if all { "all" } else { "the first" };
    let rows = if tally.read == 1 { "account" } else { "accounts" };
    let mut text = match (tally.read, tally.unusable()) {
        (0, _) => return "the tables hold no account".to_owned(),
        (read, 0) => format!("{which} {read} {rows} can be used"),
        (read, unusable) => format!("{unusable} of {which} {read} {rows} cannot be used:"),
    };
    for Counted { reason, count } in tally.reasons() {
        text.push_str(&format!("\n  {count}  {reason}"));
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_summary_counts_the_reasons() {
        let mut tally = Tally::default();
        assert_eq!(summary(&tally, true), "the tables hold no account");
        tally.add(None);
        assert_eq!(summary(&tally, false), "the first 1 account can be used");
        tally.add(Some("home: is not absolute"));
        assert_eq!(summary(&tally, true), "1 of all 2 accounts cannot be used:\n  1  home: is not absolute");
    }
}
