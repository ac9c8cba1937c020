//! What of another program's tables can be copied, and how the copy of it is read.
//!
//! The copy of such tables holds accounts as they were read, domains, alias domains and aliases with the values of the
//! expressions of their listings. It is read by a [`ForeignModel`] of its own, so the rules for such tables, for example
//! how targets are separated, are the same code for the database and for the copy.

use super::about::About;
use super::layout::{ACCOUNTS, ALIAS_DOMAINS, ALIASES, DOMAINS, Layout};
use crate::schema::{
    AliasDomainQuery, AliasQuery, DomainQuery, Field, ForeignAccounts, ForeignModel, Listing, NamedSql, Parameter,
};

/// A kind of rows that is listed and copied by itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Section {
    /// Domains.
    Domains,
    /// Alias domains.
    AliasDomains,
    /// Aliases.
    Aliases,
    /// Accounts.
    Accounts,
}

impl Section {
    pub(super) const ALL: [Section; 4] = [Section::Domains, Section::AliasDomains, Section::Aliases, Section::Accounts];

    pub(super) fn layout(self) -> &'static Layout {
        match self {
            Section::Domains => &DOMAINS,
            Section::AliasDomains => &ALIAS_DOMAINS,
            Section::Aliases => &ALIASES,
            Section::Accounts => &ACCOUNTS,
        }
    }

    /// Returns what the rows are called in messages.
    pub(super) fn name(self) -> &'static str {
        match self {
            Section::Domains => "domains",
            Section::AliasDomains => "alias domains",
            Section::Aliases => "aliases",
            Section::Accounts => "accounts",
        }
    }

    /// Returns what `model` says about listing these rows.
    fn standing(self, model: &ForeignModel) -> Standing {
        let of = |query: Option<(&NamedSql, &Option<Vec<Listing>>)>| match query {
            None => Standing::Absent,
            Some((find, Some(list))) if are_all_listed(find, list) => Standing::Listed,
            Some(_) => Standing::NotListed,
        };
        match self {
            Section::Domains => of(model.domains.as_ref().map(|query| (&query.find, &query.list))),
            Section::AliasDomains => of(model.alias_domains.as_ref().map(|query| (&query.find, &query.list))),
            Section::Aliases => of(model.aliases.as_ref().map(|query| (&query.find, &query.list))),
            Section::Accounts if model.accounts.key.is_empty() => Standing::NotListed,
            Section::Accounts if finds_by_equality(&model.accounts.find) => Standing::Listed,
            Section::Accounts => Standing::NotListed,
        }
    }
}

/// Returns true if a condition compares columns with parameters, and nothing else. With any other one, it is not known
/// that an account is found by the login in its row.
fn finds_by_equality(find: &NamedSql) -> bool {
    let is_name = |c: char| c.is_alphanumeric() || matches!(c, '_' | '.' | '`' | '"');
    let is_equality = |term: &str| {
        let (column, value) = term.split_once('=').unwrap_or_default();
        value.trim() == "?" && !column.trim().is_empty() && column.trim().chars().all(is_name)
    };
    find.sql.split(" AND ").all(is_equality)
}

/// Returns true if there is a listing for each part of the query that finds one row. A part without one may find rows
/// that the others lack.
fn are_all_listed(find: &NamedSql, list: &[Listing]) -> bool {
    parts_of(&find.sql) <= list.len()
}

/// Returns the number of `SELECT`s that `UNION ALL` joins, apart from those in brackets.
fn parts_of(sql: &str) -> usize {
    let (mut outside, mut depth, mut quote) = (String::new(), 0_usize, None);
    for letter in sql.chars() {
        match (quote, letter) {
            (Some(open), letter) if open == letter => quote = None,
            (Some(_), _) => {}
            (None, '\'' | '"' | '`') => quote = Some(letter),
            (None, '(') => depth += 1,
            (None, ')') => depth = depth.saturating_sub(1),
            (None, letter) if depth == 0 => outside.push(letter),
            (None, _) => {}
        }
    }
    outside.to_ascii_uppercase().matches(" UNION ").count() + 1
}

/// Whether rows of a kind can be listed.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Standing {
    /// The tables hold no such rows.
    Absent,
    /// All of them can be listed.
    Listed,
    /// Some or all of them cannot be listed.
    NotListed,
}

/// Returns true if the tables hold no such rows, so that questions about them are answered without the database.
pub(super) fn are_absent(model: &ForeignModel, section: Section) -> bool {
    section.standing(model) == Standing::Absent
}

/// Returns the kinds of rows that are copied.
pub(super) fn listed(model: &ForeignModel) -> impl Iterator<Item = Section> {
    Section::ALL.into_iter().filter(|section| section.standing(model) == Standing::Listed)
}

/// Returns the kinds of rows that exist and cannot be listed. The copy does not answer questions about them: that it
/// holds no such row says nothing.
pub fn not_copied(model: &ForeignModel) -> Vec<&'static str> {
    let not_listed = Section::ALL.into_iter().filter(|section| section.standing(model) == Standing::NotListed);
    not_listed.map(Section::name).collect()
}

/// Returns the name of what the copy would need for an answer, and does not hold.
pub(super) fn lacking(model: &ForeignModel, about: About<'_>) -> Option<&'static str> {
    let needed: &[Section] = match about {
        About::Login(_) | About::AllLogins => &[Section::Accounts],
        About::Alias(_) => &[Section::Aliases],
        About::Domain(_) => &[Section::Domains, Section::AliasDomains],
    };
    let lacking = needed.iter().find(|section| section.standing(model) == Standing::NotListed);
    lacking.map(|section| section.name())
}

/// Returns the model by which the copy of `model`'s rows is read.
pub(super) fn model_of_copy(model: &ForeignModel) -> ForeignModel {
    let find = |sql: &str, parameter| NamedSql { sql: sql.to_owned(), parameters: vec![parameter] };
    let list = |layout: &Layout, columns: [&str; 2]| {
        Some(vec![Listing {
            from: layout.name.to_owned(),
            filter: None,
            columns: columns.map(str::to_owned),
            key: layout.columns.iter().take(layout.key).map(|column| (*column).to_owned()).collect(),
        }])
    };
    ForeignModel {
        profile: model.profile.clone(),
        program: model.program.clone(),
        accounts: ForeignAccounts {
            from: ACCOUNTS.name.to_owned(),
            find: find("login = ?", Parameter::Login),
            filter: None,
            key: vec![Field::Login.name().to_owned()],
            fields: Field::READ.map(|field| match field {
                // Whether the domain is enabled was taken into account when the row was copied.
                Field::DomainEnabled => None,
                field => Some(field.name().to_owned()),
            }),
            quota: None,
            options_disable_services: false,
            write_password: None,
        },
        domains: model.domains.as_ref().map(|_| DomainQuery {
            find: find("SELECT name, enabled FROM domains WHERE name = ?", Parameter::Domain),
            list: list(&DOMAINS, ["name", "enabled"]),
        }),
        aliases: model.aliases.as_ref().map(|aliases| AliasQuery {
            find: find(
                "SELECT address, target FROM aliases WHERE address = ? ORDER BY position, target",
                Parameter::Address,
            ),
            separator: aliases.separator,
            list: list(&ALIASES, ["address", "target"]),
        }),
        alias_domains: model.alias_domains.as_ref().map(|_| AliasDomainQuery {
            find: find("SELECT name, target FROM alias_domains WHERE name = ?", Parameter::Domain),
            list: list(&ALIAS_DOMAINS, ["name", "target"]),
        }),
        reads: Vec::new(),
        versions: Vec::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn accounts_are_copied_if_columns_are_compared() {
        let equality = |sql: &str| finds_by_equality(&NamedSql { sql: sql.into(), parameters: Vec::new() });
        for sql in ["m.username = ?", "u.localpart = ? AND d.domain = ?", "`u`.`name`=?", "\"u\".name = ? AND x = ?"] {
            assert!(equality(sql), "{sql}");
        }
        for sql in [
            "",
            "m.username = CONCAT('x', ?)",
            "CONCAT(m.a, '') = ?",
            "m.a = ? OR m.b = ?",
            "m.a = ? AND m.active = 1",
            "m.a >= ?",
            "m.a = (SELECT ?)",
            "? = ?",
        ] {
            assert!(!equality(sql), "{sql}");
        }
    }

    #[test]
    fn parts_are_counted_outside_of_brackets_and_quotes() {
        for (sql, parts) in [
            ("SELECT a, b FROM t WHERE a = ?", 1),
            ("SELECT a, b FROM t WHERE a = ? UNION ALL SELECT c, d FROM u WHERE c = ?", 2),
            ("SELECT a, b FROM t union all SELECT c, d FROM u UNION SELECT 1, 2", 3),
            ("SELECT a, b FROM (SELECT 1 UNION ALL SELECT (2) UNION ALL SELECT 3) v WHERE a = ?", 1),
            ("SELECT ' UNION ALL (', \" UNION ALL \" FROM t UNION ALL SELECT ')', 'it''s' FROM u", 2),
        ] {
            assert_eq!(parts_of(sql), parts, "{sql}");
        }
    }
}
