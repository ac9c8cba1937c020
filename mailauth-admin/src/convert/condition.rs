//! A condition in which the name of a service was put in: what is left of it.

use super::dialect::Dialect;
use super::tokens::{Kind, Token, Tokens, tokenize};

/// What is known of a condition.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Truth {
    Always,
    Never,
    /// The row decides.
    Sql(String),
}

impl Truth {
    /// Returns the conjunction of conditions.
    pub fn all(conditions: impl IntoIterator<Item = Truth>, dialect: Dialect) -> Truth {
        let mut left = Vec::new();
        for condition in conditions {
            match condition {
                Truth::Always => {}
                Truth::Never => return Truth::Never,
                Truth::Sql(sql) => left.push(super::select::as_term(&sql, dialect)),
            }
        }
        let mut seen = std::collections::HashSet::new();
        left.retain(|sql| seen.insert(sql.clone()));
        if left.is_empty() { Truth::Always } else { Truth::Sql(left.join(" AND ")) }
    }
}

/// Evaluates the comparisons between two texts or two numbers in a condition, such as `'imap' = 'smtp'`, and what
/// follows from them.
///
/// # Errors
/// Fails for a condition that cannot be read.
pub fn evaluate(condition: &str, dialect: Dialect) -> Result<Truth, String> {
    let list = tokenize(condition, dialect)?;
    Ok(truth(Tokens::new(condition, &list), dialect))
}

fn truth(tokens: Tokens<'_>, dialect: Dialect) -> Truth {
    let as_it_is = || Truth::Sql(tokens.text().to_owned());
    // These bind in another way than AND and OR.
    if ["XOR", "||", "&&", ":="].iter().any(|word| tokens.split(word).len() > 1) {
        return as_it_is();
    }
    let either = tokens.split("OR");
    if either.len() > 1 {
        return any(either.into_iter().map(|part| truth(part, dialect)));
    }
    let both = tokens.split("AND");
    if both.len() > 1 {
        return Truth::all(both.into_iter().map(|part| truth(part, dialect)), dialect);
    }
    if tokens.list().first().is_some_and(|first| tokens.is(first, "NOT")) {
        return match truth(tokens.part(1..tokens.list().len()), dialect) {
            Truth::Always => Truth::Never,
            Truth::Never => Truth::Always,
            Truth::Sql(_) => as_it_is(),
        };
    }
    if let Some(inside) = tokens.inside_brackets() {
        return match truth(inside, dialect) {
            Truth::Sql(sql) => Truth::Sql(super::select::as_term(&sql, dialect)),
            known => known,
        };
    }
    comparison(tokens, dialect).unwrap_or_else(as_it_is)
}

/// Returns the disjunction of conditions.
fn any(conditions: impl Iterator<Item = Truth>) -> Truth {
    let mut left = Vec::new();
    for condition in conditions {
        match condition {
            Truth::Always => return Truth::Always,
            Truth::Never => {}
            Truth::Sql(sql) => left.push(sql),
        }
    }
    if left.is_empty() { Truth::Never } else { Truth::Sql(left.join(" OR ")) }
}

/// Returns the result of a comparison of two constants, if the tokens are one.
fn comparison(tokens: Tokens<'_>, dialect: Dialect) -> Option<Truth> {
    let known = |is: bool| if is { Truth::Always } else { Truth::Never };
    match tokens.list() {
        [left, operator, right] => {
            let equal = are_equal(tokens, left, right, dialect)?;
            match tokens.text_of(operator) {
                "=" | "==" => Some(known(equal)),
                "<>" | "!=" => Some(known(!equal)),
                _ => None,
            }
        }
        [left, is_in, opener, values @ .., closer] if tokens.is(opener, "(") && tokens.is(closer, ")") => {
            let found = among(tokens, left, values, dialect)?;
            tokens.is(is_in, "IN").then(|| known(found))
        }
        _ => not_in(tokens, dialect).map(known),
    }
    .or_else(|| not_in(tokens, dialect).map(known))
}

fn not_in(tokens: Tokens<'_>, dialect: Dialect) -> Option<bool> {
    let [left, not, is_in, opener, values @ .., closer] = tokens.list() else { return None };
    let shape = tokens.is(not, "NOT") && tokens.is(is_in, "IN") && tokens.is(opener, "(") && tokens.is(closer, ")");
    shape.then(|| among(tokens, left, values, dialect)).flatten().map(|found| !found)
}

/// Returns true if a constant is one of a list of constants.
fn among(tokens: Tokens<'_>, left: &Token, values: &[Token], dialect: Dialect) -> Option<bool> {
    let mut found = false;
    for (index, value) in values.iter().enumerate() {
        match index % 2 {
            0 => found |= are_equal(tokens, left, value, dialect)?,
            _ if tokens.is(value, ",") => {}
            _ => return None,
        }
    }
    (values.len() % 2 == 1).then_some(found)
}

/// Compares two constants. Returns `None` if they are none, or if the database's collation decides.
fn are_equal(tokens: Tokens<'_>, left: &Token, right: &Token, dialect: Dialect) -> Option<bool> {
    let constant = |token: &Token| match token.kind {
        Kind::Text => {
            let text = tokens.text_of(token);
            let text = text.get(1..text.len().checked_sub(1)?)?;
            (!text.contains(['\'', '"', '\\'])).then_some(text)
        }
        Kind::Number => Some(tokens.text_of(token)),
        _ => None,
    };
    if left.kind != right.kind {
        return None;
    }
    let (left, right) = (constant(left)?, constant(right)?);
    let differs_in_letters = left != right && left.trim_end().eq_ignore_ascii_case(right.trim_end());
    (!(differs_in_letters && dialect.is_mysql())).then_some(left == right)
}
