//! Lists of all accounts, read page by page, and the rows in them that cannot be used.
//!
//! A list is not one moment of the table: each page shows its rows as they were when it was read. A row that is there
//! from beginning to end is listed once.

use crate::failure::Failure;
use mailauth_core::account::AccountRow;
use mailauth_core::store::AccountStore;
use std::fmt::Display;

/// Accounts that are asked of the store at once.
const PAGE: usize = 1000;

/// The most complaints that are listed.
const MOST: usize = 1000;

/// What is wrong with some of many: a line for each of the first, and the number of all.
#[derive(Default)]
#[must_use]
pub struct Complaints {
    lines: Vec<String>,
    count: usize,
}

impl Complaints {
    pub fn add(&mut self, line: impl Display) {
        self.count += 1;
        if self.lines.len() < MOST {
            self.lines.push(line.to_string());
        }
    }

    /// The lines, of which the last says how many are not among them.
    pub fn lines(self) -> Vec<String> {
        let Complaints { mut lines, count } = self;
        if count > lines.len() {
            lines.push(format!("and {} more", count - lines.len()));
        }
        lines
    }

    /// Fails with all lines and then `conclusion`, if there are any.
    pub fn complain(self, conclusion: &str) -> Result<(), Failure> {
        if self.count == 0 {
            return Ok(());
        }
        let mut lines = self.lines();
        lines.push(conclusion.to_owned());
        Err(Failure::not_now(lines.join("\n").trim_end()))
    }
}

/// The end of a list that lacks accounts.
pub const INCOMPLETE: &str = "the list is not complete without these accounts";

/// Gives all accounts to `each`, in the order of their logins. Rows that cannot be trusted are told apart from the others,
/// and never passed over in silence.
pub fn all_accounts(
    store: &impl AccountStore,
    mut each: impl FnMut(AccountRow) -> Result<(), Failure>,
) -> Result<Complaints, Failure> {
    let mut unusable = Complaints::default();
    let mut after = None;
    loop {
        let page = store.enumerate(after.as_ref(), PAGE)?;
        for row in page.rows {
            match row {
                Ok(row) => each(row)?,
                Err(problem) => unusable.add(problem),
            }
        }
        match page.next {
            Some(next) => after = Some(next),
            None => return Ok(unusable),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_many_complaints_the_first_are_listed_and_all_are_counted() {
        let mut complaints = Complaints::default();
        assert!(Complaints::default().complain("the end").is_ok());
        (0..MOST + 7).for_each(|number| complaints.add(number));
        let failure = complaints.complain("the end").unwrap_err();
        let lines: Vec<&str> = failure.message.lines().collect();
        assert_eq!((lines[0], &lines[MOST - 1..]), ("0", &["999", "and 7 more", "the end"][..]));
    }
}
