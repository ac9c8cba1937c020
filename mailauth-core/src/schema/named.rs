//! Texts of a configuration, each checked for what it is: an expression, a condition, tables, a statement, columns.

use super::text::{Token, TokenKind, one_line, shown, tokens};
use super::{DatabaseKind, NamedSql, Parameter};

/// A text without parameters, or why it is refused.
type Checked<T> = Result<T, String>;

/// Words that begin a clause, so that they cannot be in the middle of an expression.
const CLAUSES: [&str; 12] = [
    "SELECT",
    "FROM",
    "WHERE",
    "GROUP",
    "HAVING",
    "ORDER",
    "LIMIT",
    "OFFSET",
    "UNION",
    "INTERSECT",
    "EXCEPT",
    "WINDOW",
];

/// Checks an expression, which becomes one column of a `SELECT`.
pub(super) fn expression(text: &str, database: DatabaseKind) -> Checked<String> {
    let text = one_line(text)?;
    let tokens = without_parameters(&text, database)?;
    one_expression(&text, &tokens)?;
    Ok(text)
}

/// Checks an expression in which parameters may occur.
pub(super) fn expression_with_parameters(text: &str, database: DatabaseKind) -> Checked<String> {
    let text = one_line(text)?;
    let tokens = scan(&text, database)?;
    one_expression(&text, &tokens)?;
    Ok(text)
}

/// Checks a condition without parameters.
pub(super) fn filter(text: &str, database: DatabaseKind) -> Checked<String> {
    expression(text, database)
}

/// Checks a condition with at least one parameter of `parameters`, and with no other.
pub(super) fn condition(text: &str, database: DatabaseKind, parameters: &[Parameter]) -> Checked<NamedSql> {
    let text = one_line(text)?;
    let tokens = scan(&text, database)?;
    one_expression(&text, &tokens)?;
    needs(&tokens, parameters)?;
    Ok(named(&text, &tokens))
}

/// Checks the text after `FROM`.
pub(super) fn tables(text: &str, database: DatabaseKind) -> Checked<String> {
    let text = one_line(text)?;
    let tokens = without_parameters(&text, database)?;
    only_tables(&text, &tokens)?;
    Ok(text)
}

/// Checks the text after `FROM`, in which parameters may occur.
pub(super) fn tables_with_parameters(text: &str, database: DatabaseKind) -> Checked<String> {
    let text = one_line(text)?;
    let tokens = scan(&text, database)?;
    only_tables(&text, &tokens)?;
    Ok(text)
}

/// Checks the columns after `ORDER BY`.
pub(super) fn order(text: &str, database: DatabaseKind) -> Checked<String> {
    let text = one_line(text)?;
    let tokens = scan(&text, database)?;
    no_clause(&text, &tokens, &CLAUSES)?;
    Ok(text)
}

/// Checks a `SELECT` of two columns with at least one parameter of `parameters`, and with no other.
pub(super) fn statement(text: &str, database: DatabaseKind, parameters: &[Parameter]) -> Checked<NamedSql> {
    let text = one_line(text)?;
    let tokens = scan(&text, database)?;
    match tokens.first() {
        None => return Err("is empty; write a SELECT of two columns".to_owned()),
        Some(first) if first.is_word("SELECT") => {}
        Some(_) => return Err(format!("begins with {}; write a single SELECT of two columns", shown(&text, 0))),
    }
    for (index, token) in tokens.iter().enumerate() {
        if token.depth == 0 && token.is_word("SELECT") {
            two_columns(&text, tokens.get(index + 1..).unwrap_or_default())?;
        }
    }
    needs(&tokens, parameters)?;
    Ok(named(&text, &tokens))
}

/// Checks the name of a column, with or without that of its table.
pub(super) fn column(text: &str, database: DatabaseKind) -> Checked<String> {
    let text = one_line(text)?;
    let tokens = scan(&text, database)?;
    match is_column(&tokens) {
        true => Ok(text),
        false => Err(format!("{} is not the name of a column; write one such as \"m.username\"", shown(&text, 0))),
    }
}

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
    let opaque = ["OR", "XOR", "BETWEEN", "CASE", "NOT"];
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
        if finds {
            finding.push(term)
        } else {
            other.push(term)
        }
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

/// Returns the text with question marks for its parameters.
pub(super) fn with_question_marks(text: &str, database: DatabaseKind) -> Checked<NamedSql> {
    let tokens = scan(text, database)?;
    Ok(named(text, &tokens))
}

/// Returns true if a condition has an operator that binds more weakly than `AND`.
fn binds_weakly(text: &str, database: DatabaseKind) -> bool {
    let weak = |token: &Token<'_>| token.is_word("OR") || token.is_word("XOR") || token.is_symbol("||");
    tokens(text, database).is_ok_and(|tokens| tokens.iter().any(|token| token.depth == 0 && weak(token)))
}

/// Returns the tokens of a text that has nothing that writes or locks.
fn scan(text: &str, database: DatabaseKind) -> Checked<Vec<Token<'_>>> {
    let tokens = tokens(text, database)?;
    let follows = |index: usize, words: &[&str]| {
        tokens.get(index + 1).is_some_and(|next| words.iter().any(|word| next.is_word(word)))
    };
    for (index, token) in tokens.iter().enumerate() {
        let writes = token.is_word("INTO");
        let locks = token.is_word("FOR") && follows(index, &["UPDATE", "SHARE", "NO", "KEY"])
            || token.is_word("LOCK") && follows(index, &["IN"]);
        if writes || locks {
            let does = if writes { "writes" } else { "locks rows" };
            return Err(format!("{does} with {}; remove it, because accounts are only read", shown(text, token.start)));
        }
    }
    Ok(tokens)
}

fn without_parameters(text: &str, database: DatabaseKind) -> Checked<Vec<Token<'_>>> {
    let tokens = scan(text, database)?;
    match tokens.iter().find(|token| matches!(token.kind, TokenKind::Parameter(_))) {
        Some(token) => Err(format!("has the parameter {}; parameters can only be in find", token.text)),
        None => Ok(tokens),
    }
}

fn one_expression(text: &str, tokens: &[Token<'_>]) -> Checked<()> {
    if tokens.is_empty() {
        return Err("is empty; write an SQL expression".to_owned());
    }
    if let Some(comma) = tokens.iter().find(|token| token.depth == 0 && token.is_symbol(",")) {
        return Err(format!("has a comma before {}; write a single expression", shown(text, comma.end())));
    }
    if let Some(name) = tokens.iter().find(|token| token.depth == 0 && token.is_word("AS")) {
        return Err(format!("has a name for its column at {}; remove it", shown(text, name.start)));
    }
    no_clause(text, tokens, &CLAUSES)
}

fn only_tables(text: &str, tokens: &[Token<'_>]) -> Checked<()> {
    if tokens.is_empty() {
        return Err("is empty; write the tables after FROM".to_owned());
    }
    no_clause(text, tokens, &CLAUSES)
}

fn no_clause(text: &str, tokens: &[Token<'_>], words: &[&str]) -> Checked<()> {
    let is_clause = |token: &&Token<'_>| {
        // IS [NOT] DISTINCT FROM is an operator.
        token.depth == 0 && words.iter().any(|word| token.is_word(word)) && !is_distinct_from(tokens, token)
    };
    match tokens.iter().find(is_clause) {
        Some(token) => Err(format!(
            "has another clause at {}; remove it, or write it in brackets if it is a query of its own",
            shown(text, token.start)
        )),
        None => Ok(()),
    }
}

fn is_distinct_from(tokens: &[Token<'_>], from: &Token<'_>) -> bool {
    let before = tokens.iter().take_while(|token| token.start < from.start).last();
    from.is_word("FROM") && before.is_some_and(|token| token.is_word("DISTINCT"))
}

/// Checks the columns of a `SELECT`. `after` is what follows that word.
fn two_columns(text: &str, after: &[Token<'_>]) -> Checked<()> {
    let end = after.iter().position(|token| token.depth == 0 && (token.is_word("FROM") || token.is_word("UNION")));
    let (columns, rest) = after.split_at_checked(end.unwrap_or(after.len())).unwrap_or((after, &[]));
    let is_all = columns.last().is_some_and(|last| last.is_symbol("*"));
    // The columns of a query in brackets are known to its author.
    if is_all && rest.get(1).is_some_and(|next| next.is_symbol("(")) {
        return Ok(());
    }
    let count = columns.iter().filter(|token| token.depth == 0 && token.is_symbol(",")).count() + 1;
    if is_all || count != 2 {
        let number = if is_all { "all".to_owned() } else { count.to_string() };
        let here = after.first().map_or(text.len(), |token| token.start);
        let columns = if number == "1" { "column" } else { "columns" };
        return Err(format!("selects {number} {columns} at {}; select two by name", shown(text, here)));
    }
    Ok(())
}

fn needs(tokens: &[Token<'_>], parameters: &[Parameter]) -> Checked<()> {
    let names = || parameters.iter().map(|parameter| format!(":{}", parameter.name())).collect::<Vec<_>>().join(", ");
    let mut used = tokens.iter().filter_map(|token| match token.kind {
        TokenKind::Parameter(parameter) => Some(parameter),
        _ => None,
    });
    match used.clone().find(|parameter| !parameters.contains(parameter)) {
        Some(other) => Err(format!("has the parameter :{}, which has no value here; use {}", other.name(), names())),
        None if used.next().is_none() => Err(format!("has no parameter, so that it finds any row; use {}", names())),
        None => Ok(()),
    }
}

fn named(text: &str, tokens: &[Token<'_>]) -> NamedSql {
    let (mut sql, mut parameters, mut start) = (String::with_capacity(text.len()), Vec::new(), 0);
    for token in tokens {
        if let TokenKind::Parameter(parameter) = token.kind {
            sql.push_str(text.get(start..token.start).unwrap_or_default());
            sql.push('?');
            parameters.push(parameter);
            start = token.end();
        }
    }
    sql.push_str(text.get(start..).unwrap_or_default());
    NamedSql { sql, parameters }
}

/// Returns true if the tokens are `column` or `table.column`.
fn is_column(tokens: &[Token<'_>]) -> bool {
    match tokens {
        [name] => name.is_name(),
        [table, dot, name] => table.is_name() && dot.is_symbol(".") && name.is_name(),
        _ => false,
    }
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
