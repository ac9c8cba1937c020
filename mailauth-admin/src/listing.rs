//! Lists of accounts, domains and aliases, read page by page, and the rows in them that cannot be used.
//!
//! A list does not show the table at one moment: each page shows its rows as they were when it was read. A row that exists
//! all the time is listed once.

use crate::failure::Failure;
use mailauth_core::DomainName;
use mailauth_core::account::AccountRow;
use mailauth_core::store::{Administration, AliasDomainRow, AliasRow, Cursor, DomainRow, Page, StoreError};
use std::fmt::Display;
use std::ops::ControlFlow;

/// Number of rows that are read at once.
const PAGE: usize = 1000;

/// Maximum number of complaints that are listed.
const MOST: usize = 1000;

/// Problems of some of many rows: a line for each of the first problems, and the number of all.
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

    /// Adds the problems of another list.
    pub fn append(&mut self, other: Complaints) {
        self.count += other.count;
        self.lines.extend(other.lines);
        self.lines.truncate(MOST);
    }

    /// Returns the number of all entries, including those that are not listed.
    pub fn count(&self) -> usize {
        self.count
    }

    /// Returns the lines, of which the last gives the number of entries that are not listed.
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

/// Conclusion for a list that lacks rows.
pub const INCOMPLETE: &str = "the list does not contain these rows";

/// Passes all accounts, or those of one domain, to `each` in the order of their logins, or in that of the key of another
/// program's table. Returns the rows that cannot be used, so that they are never skipped silently.
pub fn each_account(
    store: &impl Administration,
    domain: Option<&DomainName>,
    mut each: impl FnMut(AccountRow) -> Result<(), Failure>,
) -> Result<Complaints, Failure> {
    let pages = |after: Option<&Cursor>| match domain {
        None => store.enumerate(after, PAGE),
        Some(domain) => store.domain_accounts(domain.as_str(), after, PAGE),
    };
    each_row(pages, |page| page.into_iter().try_for_each(&mut each))
}

/// Passes all accounts to `each`, a page at a time.
pub fn account_pages(
    store: &impl Administration,
    each: impl FnMut(Vec<AccountRow>) -> Result<(), Failure>,
) -> Result<Complaints, Failure> {
    each_row(|after| store.enumerate(after, PAGE), each)
}

/// Passes all domains to `each`.
pub fn each_domain(
    store: &impl Administration,
    mut each: impl FnMut(DomainRow) -> Result<(), Failure>,
) -> Result<Complaints, Failure> {
    each_row(|after| store.domain_page(after, PAGE), |page| page.into_iter().try_for_each(&mut each))
}

/// Passes all alias domains to `each`.
pub fn each_alias_domain(
    store: &impl Administration,
    mut each: impl FnMut(AliasDomainRow) -> Result<(), Failure>,
) -> Result<Complaints, Failure> {
    each_row(|after| store.alias_domain_page(after, PAGE), |page| page.into_iter().try_for_each(&mut each))
}

/// Passes all aliases, or those of one domain, to `each`.
pub fn each_alias(
    store: &impl Administration,
    domain: Option<&DomainName>,
    mut each: impl FnMut(AliasRow) -> Result<(), Failure>,
) -> Result<Complaints, Failure> {
    let (mut unusable, mut failed) = (Complaints::default(), None);
    store.each_alias(domain.map(DomainName::as_str), &mut |alias| {
        match alias.map(&mut each) {
            Ok(Ok(())) => {}
            Ok(Err(failure)) => {
                failed = Some(failure);
                return ControlFlow::Break(());
            }
            Err(problem) => unusable.add(problem),
        }
        ControlFlow::Continue(())
    })?;
    failed.map_or(Ok(unusable), Err)
}

/// Passes the usable rows of each page to `each`.
fn each_row<T, E: Display>(
    pages: impl Fn(Option<&Cursor>) -> Result<Page<T, E>, StoreError>,
    mut each: impl FnMut(Vec<T>) -> Result<(), Failure>,
) -> Result<Complaints, Failure> {
    let mut unusable = Complaints::default();
    let mut after = None;
    loop {
        let Page { rows, next } = pages(after.as_ref())?;
        let mut usable = Vec::with_capacity(rows.len());
        for row in rows {
            match row {
                Ok(row) => usable.push(row),
                Err(problem) => unusable.add(problem),
            }
        }
        each(usable)?;
        match next {
            Some(next) => after = Some(next),
            None => return Ok(unusable),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_complaints_are_listed_and_all_are_counted() {
        let mut complaints = Complaints::default();
        assert!(Complaints::default().complain("the end").is_ok());
        (0..MOST + 7).for_each(|number| complaints.add(number));
        let failure = complaints.complain("the end").unwrap_err();
        let lines: Vec<&str> = failure.message.lines().collect();
        assert_eq!((lines[0], &lines[MOST - 1..]), ("0", &["999", "and 7 more", "the end"][..]));
    }
}
