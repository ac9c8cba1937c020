//! Forms of SQL text: in lower case, for comparison, and the text of a literal.

use super::dialect::Dialect;
use super::finding_terms::unescaped;
use super::tokens::{Kind, Tokens, tokenize};

/// Returns the expression in lower case.
pub fn lowered(sql: &str) -> String {
    let is_lower = sql.get(..6).is_some_and(|start| start.eq_ignore_ascii_case("LOWER("));
    if is_lower && sql.ends_with(')') && sql.matches('(').count() == 1 {
        sql.to_owned()
    } else {
        format!("LOWER({sql})")
    }
}

/// Returns the text in a form in which two spellings of the same compare as equal.
pub fn normal(sql: &str, dialect: Dialect) -> String {
    match tokenize(sql, dialect) {
        Ok(list) => Tokens::new(sql, &list).normal(false),
        Err(_) => sql.to_owned(),
    }
}

/// Returns the text of a literal, if the expression is one.
pub fn literal(sql: &str, dialect: Dialect) -> Option<String> {
    let list = tokenize(sql, dialect).ok()?;
    match list.as_slice() {
        [token] if token.kind == Kind::Text => Some(unescaped(Tokens::new(sql, &list).text_of(token), dialect)),
        _ => None,
    }
}
