//! Taking conditions and statements of a configuration apart, so that their rows can be listed too.
//!
//! What finds one row is left out of a list: `a.address = :address` of `a.address = :address AND a.active = 1`.

use super::named::{is_column, is_distinct_from};
use super::references::{NamedTable, bare};
use super::text::{Token, TokenKind, tokens};
use super::{DatabaseKind, Listing, Parameter};

/// Returns the columns that a condition compares with `:login` or `:address`, or with `:local` and `:domain`, if it has
/// no other terms.
pub(super) fn columns_of(condition: &str, database: DatabaseKind) -> Vec<String> {
    let Ok(tokens) = tokens(condition, database) else { return Vec::new() };
    let terms: Vec<_> = tokens.split(|token| token.is_word("AND")).map(compared).collect();
    let column =
        |of: Parameter| terms.iter().flatten().find(|(_, parameter)| *parameter == of).map(|(column, _)| column);
    match terms.len() {
        1 => [Parameter::Login, Parameter::Address, Parameter::Domain]
            .map(column)
            .into_iter()
            .flatten()
            .cloned()
            .collect(),
        2 => match (column(Parameter::Local), column(Parameter::Domain)) {
            (Some(local), Some(domain)) => vec![local.clone(), domain.clone()],
            _ => Vec::new(),
        },
        _ => Vec::new(),
    }
}

/// Splits a condition into the terms with a parameter, and those without. The second is `None` if there are none, or
/// if the condition is more than terms joined by `AND`.
pub(super) fn split(condition: &str, database: DatabaseKind) -> (String, Option<String>) {
    let whole = (condition.to_owned(), None);
    let Ok(tokens) = tokens(condition, database) else { return whole };
    let opaque = ["OR", "XOR", "BETWEEN", "CASE"];
    let is_opaque = |token: &Token<'_>| {
        opaque.iter().any(|word| token.is_word(word)) || token.is_symbol("||") || token.is_symbol("&&")
    };
    let outer = || tokens.iter().filter(|token| token.depth == 0);
    if outer().any(is_opaque) {
        return whole;
    }
    let (mut finding, mut other, mut start) = (Vec::new(), Vec::new(), 0);
    let ends = outer().filter(|token| token.is_word("AND")).map(|token| (token.start, token.end()));
    for (end, next) in ends.chain([(condition.len(), condition.len())]) {
        let term = condition.get(start..end).unwrap_or_default().trim();
        let within = tokens.iter().filter(|token| token.start >= start && token.start < end);
        let finds = within.into_iter().any(|token| matches!(token.kind, TokenKind::Parameter(_)));
        if finds { &mut finding } else { &mut other }.push(term);
        start = next;
    }
    if other.is_empty() || finding.is_empty() { whole } else { (finding.join(" AND "), Some(other.join(" AND "))) }
}

/// Returns both conditions joined by `AND`.
pub(super) fn both(one: &str, other: &str, database: DatabaseKind) -> String {
    let bracketed = |text: &str| match binds_weakly(text, database) {
        true => format!("({text})"),
        false => text.to_owned(),
    };
    format!("{} AND {}", bracketed(one), bracketed(other))
}

/// Returns how the rows of a `SELECT` are listed in pages by `key`, or, if that is empty, by the columns that it finds
/// rows by. Returns `None` if its rows cannot be listed without the values of its parameters.
pub(super) fn listing(statement: &str, key: Vec<String>, database: DatabaseKind) -> Option<Listing> {
    let tokens = tokens(statement, database).ok()?;
    let outer: Vec<_> = tokens.iter().filter(|token| token.depth == 0).collect();
    let other_clauses = ["UNION", "INTERSECT", "EXCEPT", "GROUP", "HAVING", "LIMIT", "OFFSET", "WINDOW"];
    let is_other = |token: &&Token<'_>| other_clauses.iter().any(|word| token.is_word(word));
    if outer.get(1).is_some_and(|token| token.is_word("DISTINCT")) || outer.iter().any(is_other) {
        return None;
    }
    let clause = |word: &str| {
        outer.iter().find(|token| token.is_word(word) && !is_distinct_from(&tokens, token)).map(|token| **token)
    };
    let (from, filter, order) = (clause("FROM")?, clause("WHERE")?, clause("ORDER"));
    let end = filter.start;
    let comma = outer.iter().find(|token| token.is_symbol(","))?;
    let part = |start: usize, end: usize| statement.get(start..end).map(|part| part.trim().to_owned());
    let columns = [part(outer.first()?.end(), comma.start)?, part(comma.end(), from.start)?];
    let condition = part(filter.end(), order.map_or(statement.len(), |order| order.start))?;
    let (finding, filter) = split(&condition, database);
    let found_by = columns_of(&finding, database);
    let key = if key.is_empty() { found_by.clone() } else { key };
    let listing = Listing { from: part(from.end(), end)?, filter, columns, key };
    (!found_by.is_empty() && is_free(&listing, database)).then_some(listing)
}

/// Returns true if the rows are listed without parameters.
fn is_free(listing: &Listing, database: DatabaseKind) -> bool {
    let texts = listing.columns.iter().chain([&listing.from]).chain(&listing.filter);
    let has = |text: &String| {
        tokens(text, database)
            .map_or(true, |tokens| tokens.iter().any(|token| matches!(token.kind, TokenKind::Parameter(_))))
    };
    !texts.into_iter().any(has)
}

/// Returns the column if it is one of the first table of `from`, without the name of the table.
///
/// # Errors
/// Fails if it is of another table.
pub(super) fn of_first_table(column: &str, from: &str, database: DatabaseKind) -> Result<String, String> {
    let column = tokens(column, database)?;
    let [table, _, name] = column.as_slice() else { return Ok(column.iter().map(|token| token.text).collect()) };
    let first = NamedTable::first_of(from);
    let is_called = |name: &str| name.eq_ignore_ascii_case(bare(table.text));
    match first.is_some_and(|first| is_called(first.bare_name()) || is_called(bare(&first.alias))) {
        true => Ok(name.text.to_owned()),
        false => Err(format!("is a column of {}, which is not the first table of from; write one of that", table.text)),
    }
}

/// Returns true if a condition has an operator that binds more weakly than `AND`.
fn binds_weakly(text: &str, database: DatabaseKind) -> bool {
    let weak = |token: &Token<'_>| token.is_word("OR") || token.is_word("XOR") || token.is_symbol("||");
    tokens(text, database).is_ok_and(|tokens| tokens.iter().any(|token| token.depth == 0 && weak(token)))
}

/// Returns the column and the parameter of a term such as `m.username = :login`.
fn compared(term: &[Token<'_>]) -> Option<(String, Parameter)> {
    let middle = term.iter().position(|token| token.is_symbol("="))?;
    let (left, right) = (term.get(..middle)?, term.get(middle + 1..)?);
    let of = |column: &[Token<'_>], parameter: &[Token<'_>]| match parameter {
        [Token { kind: TokenKind::Parameter(parameter), .. }] if is_column(column) => {
            Some((column.iter().map(|token| token.text).collect(), *parameter))
        }
        _ => None,
    };
    of(left, right).or_else(|| of(right, left))
}

#[cfg(test)]
mod tests {
    use super::*;

    const MYSQL: DatabaseKind = DatabaseKind::Mysql;

    #[test]
    fn the_key_is_the_columns_that_a_condition_compares() {
        for (condition, key) in [
            ("m.username = :login", &["m.username"][..]),
            (":login = username", &["username"]),
            ("u.pw_name = :local AND u.pw_domain = :domain", &["u.pw_name", "u.pw_domain"]),
            ("pw_domain = :domain and pw_name = :local", &["pw_name", "pw_domain"]),
            ("LOWER(m.username) = :login", &[]),
            ("u.login = :login OR u.email = :login", &[]),
            ("u.name = :local", &[]),
            ("u.name = :login AND u.host = :domain", &[]),
        ] {
            assert_eq!(columns_of(condition, MYSQL), key, "{condition}");
        }
    }

    #[test]
    fn terms_without_a_parameter_hold_for_all_rows() {
        let split = |text| split(text, MYSQL);
        assert_eq!(split("a = :login AND b = 1"), ("a = :login".into(), Some("b = 1".into())));
        assert_eq!(
            split("b = 1 AND a = :local AND c IN ('AND', 2) AND d = :domain"),
            ("a = :local AND d = :domain".into(), Some("b = 1 AND c IN ('AND', 2)".into()))
        );
        for whole in
            ["a = :login", "a = :login OR b = 1 AND c = 2", "a = :login AND b BETWEEN 1 AND 2", "a = 1 AND b = 2"]
        {
            assert_eq!(split(whole), (whole.into(), None));
        }
    }

    #[test]
    fn conditions_are_joined_so_that_both_hold() {
        assert_eq!(both("a = 1", "b = 2", MYSQL), "a = 1 AND b = 2");
        assert_eq!(both("a = 1 OR c = 3", "b = 2", MYSQL), "(a = 1 OR c = 3) AND b = 2");
        assert_eq!(both("a = 1", "(b OR c)", MYSQL), "a = 1 AND (b OR c)");
    }

    #[test]
    fn rows_of_a_simple_select_are_listed() {
        let list = |text: &str, key: &[&str]| listing(text, key.iter().map(|k| k.to_string()).collect(), MYSQL);
        let found = list("SELECT LOWER(d.name), 1 FROM domain d WHERE d.name = :domain AND d.mx = 0", &[]).unwrap();
        assert_eq!((found.from.as_str(), found.filter.as_deref()), ("domain d", Some("d.mx = 0")));
        assert_eq!((found.columns, found.key), (["LOWER(d.name)".into(), "1".into()], vec!["d.name".to_owned()]));
        let found = list("SELECT source, target FROM a WHERE source = :address ORDER BY id", &["id"]).unwrap();
        assert_eq!((found.filter, found.key), (None, vec!["id".to_owned()]));
        for text in [
            "SELECT a, b FROM c WHERE a = :domain UNION SELECT a, b FROM d WHERE a = :domain",
            "SELECT a, :domain FROM c WHERE a = :domain",
            "SELECT DISTINCT a, b FROM c WHERE a = :domain",
            "SELECT a, b FROM c WHERE a = :domain LIMIT 1",
            "SELECT a, b FROM c WHERE a = :domain OR b = :domain",
            "SELECT a, b FROM c WHERE :local = '' AND a = :domain",
            "SELECT a, b FROM c JOIN d ON d.x = :domain WHERE a = :domain",
        ] {
            assert_eq!(list(text, &["a"]), None, "{text}");
        }
    }

    #[test]
    fn a_column_that_is_written_is_one_of_the_first_table() {
        let column = |column, from| of_first_table(column, from, MYSQL);
        let from = "mailbox m JOIN domain d ON d.domain = m.domain";
        assert_eq!(column("password", from), Ok("password".to_owned()));
        assert_eq!(column("m.password", from), Ok("password".to_owned()));
        assert_eq!(column("mailbox.password", "mailbox"), Ok("password".to_owned()));
        assert_eq!(column("u.crypt", "users AS u, domains d"), Ok("crypt".to_owned()));
        assert!(column("d.password", from).unwrap_err().contains("is a column of d, which is not the first table"));
    }
}
