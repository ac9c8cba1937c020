//! Taking a SELECT apart: its columns, the tables, and the terms of the condition.

use super::dialect::Dialect;
use super::findings::quoted;
use super::tokens::{Kind, Tokens, tokenize};
use super::variables::{Meaning, Statement, Variables};
use std::collections::BTreeSet;

/// A SELECT in parts. Variables are still single characters.
#[derive(Clone, Debug)]
pub struct Select {
    pub columns: Vec<Column>,
    /// The text after FROM.
    pub from: String,
    /// The terms between the ANDs after WHERE.
    pub terms: Vec<String>,
    /// Clauses that are dropped, because a login has one row: `ORDER BY ...`, `LIMIT 1`.
    pub dropped: Vec<String>,
    pub variables: Variables,
}

/// Which variables may be in a sub-select.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SubSelects {
    /// None.
    WithoutVariables,
    /// The login and its parts, for which the row's own columns are put in.
    OfTheRow,
}

/// A column of a SELECT.
#[derive(Clone, Debug)]
pub struct Column {
    /// The expression.
    pub sql: String,
    /// Its name, in lower case and without quotes, if it has one.
    pub name: Option<String>,
}

/// Clauses after which a row is no longer one row of the tables.
const REFUSED_CLAUSES: &[&str] = &[
    "UNION",
    "INTERSECT",
    "EXCEPT",
    "GROUP",
    "HAVING",
    "WINDOW",
    "INTO",
    "PROCEDURE",
    "FOR",
    "LOCK",
    "OFFSET",
    "FETCH",
];

/// Takes a statement apart.
///
/// # Errors
/// Fails for anything but a single SELECT of columns from tables with a condition, and names what it is.
pub fn take_apart(statement: Statement, dialect: Dialect, sub_selects: SubSelects) -> Result<Select, String> {
    let Statement { sql, variables } = statement;
    let sql = sql.trim().trim_end_matches(';').to_owned();
    let list = tokenize(&sql, dialect)?;
    let tokens = Tokens::new(&sql, &list);
    let first = list.first().map(|token| tokens.text_of(token).to_ascii_uppercase());
    match first.as_deref() {
        Some("SELECT") => {}
        Some(other) => return Err(format!("is not a SELECT but {other}; mailauth runs a single SELECT")),
        None => return Err("is empty".to_owned()),
    }
    let clauses = clauses(tokens)?;
    let columns = clauses.columns.split(",").into_iter().map(column).collect::<Result<Vec<_>, _>>()?;
    let from = clauses.from.ok_or("has no FROM, so it names no table")?;
    if let Some(variable) = variables.first(from.text(), |_| true) {
        return Err(format!("has the variable {variable} in FROM; move the condition to WHERE"));
    }
    let condition = clauses.condition.ok_or("has no WHERE, so it does not find one account")?;
    let terms = terms(condition, &variables, sub_selects)?;
    let dropped = clauses.dropped.iter().map(|clause| clause.text().to_owned()).collect();
    Ok(Select { columns, from: from.text().to_owned(), terms, dropped, variables })
}

/// The clauses of a SELECT.
struct Clauses<'t> {
    columns: Tokens<'t>,
    from: Option<Tokens<'t>>,
    condition: Option<Tokens<'t>>,
    dropped: Vec<Tokens<'t>>,
}

fn clauses(tokens: Tokens<'_>) -> Result<Clauses<'_>, String> {
    let mut starts = vec![("SELECT", 0)];
    for (index, token) in tokens.outside_brackets().skip(1) {
        if token.kind != Kind::Word {
            continue;
        }
        let word = tokens.text_of(token);
        let is = |name: &&str| word.eq_ignore_ascii_case(name);
        let after_dot = index > 0 && tokens.list().get(index - 1).is_some_and(|before| tokens.is(before, "."));
        if after_dot {
            continue;
        }
        if let Some(clause) = REFUSED_CLAUSES.iter().find(|name| is(name)) {
            return Err(format!("cannot be taken apart: it has {clause}; write a SELECT of one row of the tables"));
        }
        if let Some(clause) = ["SELECT", "FROM", "WHERE", "ORDER", "LIMIT"].iter().find(|name| is(name)) {
            starts.push((clause, index));
        }
    }
    let mut found = Clauses { columns: tokens.part(0..0), from: None, condition: None, dropped: Vec::new() };
    for (position, (clause, start)) in starts.iter().enumerate() {
        let end = starts.get(position + 1).map_or(tokens.list().len(), |(_, next)| *next);
        let (whole, inside) = (tokens.part(*start..end), tokens.part(start + 1..end));
        let twice = || Err(format!("cannot be taken apart: it has {clause} twice"));
        match *clause {
            "SELECT" if position > 0 => return twice(),
            "SELECT" => found.columns = without_all(inside)?,
            "FROM" if found.from.is_some() || found.condition.is_some() => return twice(),
            "FROM" => found.from = Some(inside).filter(|from| !from.is_empty()),
            "WHERE" if found.condition.is_some() => return twice(),
            "WHERE" => found.condition = Some(inside).filter(|condition| !condition.is_empty()),
            _ => found.dropped.push(whole),
        }
    }
    Ok(found)
}

/// Returns the columns without a leading ALL. DISTINCT is refused, because it hides duplicates.
fn without_all(columns: Tokens<'_>) -> Result<Tokens<'_>, String> {
    match columns.list().first() {
        Some(first) if columns.is(first, "ALL") => Ok(columns.part(1..columns.list().len())),
        Some(first) if columns.is(first, "DISTINCT") || columns.is(first, "DISTINCTROW") => {
            Err("cannot be taken apart: it has DISTINCT; mailauth refuses an account with several rows".to_owned())
        }
        _ => Ok(columns),
    }
}

/// Words after which a name is not an alias.
const NOT_BEFORE_AN_ALIAS: &[&str] =
    &["AND", "OR", "NOT", "IS", "IN", "LIKE", "BETWEEN", "DIV", "MOD", "XOR", "COLLATE"];

fn column(tokens: Tokens<'_>) -> Result<Column, String> {
    let list = tokens.list();
    let Some(last) = list.last() else { return Err("has an empty column".to_owned()) };
    if tokens.is(last, "*") {
        return Err("has * as a column; write the names of the columns".to_owned());
    }
    let named = |sql: Tokens<'_>, name| Ok(Column { sql: sql.text().to_owned(), name: Some(unquoted(name)) });
    let is_name = last.kind == Kind::Word || last.kind == Kind::Name || last.kind == Kind::Text;
    let count = list.len();
    let before = count.checked_sub(2).and_then(|index| list.get(index));
    match before {
        Some(before) if is_name && tokens.is(before, "AS") && before.depth == last.depth => {
            named(tokens.part(0..count - 2), tokens.text_of(last))
        }
        Some(before) if tokens.is(before, ".") => named(tokens, tokens.text_of(last)),
        Some(before) if is_name && !tokens.is(last, "END") && ends_a_value(tokens, before) => {
            named(tokens.part(0..count - 1), tokens.text_of(last))
        }
        None if last.kind == Kind::Word || last.kind == Kind::Name => named(tokens, tokens.text_of(last)),
        _ => Ok(Column { sql: tokens.text().to_owned(), name: None }),
    }
}

/// Returns true if a name after this token is an alias.
fn ends_a_value(tokens: Tokens<'_>, token: &super::tokens::Token) -> bool {
    match token.kind {
        Kind::Symbol => tokens.is(token, ")"),
        Kind::Word => !NOT_BEFORE_AN_ALIAS.iter().any(|word| tokens.is(token, word)),
        Kind::Number | Kind::Text | Kind::Name => true,
    }
}

/// Returns a name in lower case and without its quotes.
fn unquoted(name: &str) -> String {
    name.trim_matches(['`', '"', '\'']).to_lowercase()
}

/// Splits a condition at its ANDs.
fn terms(condition: Tokens<'_>, variables: &Variables, sub_selects: SubSelects) -> Result<Vec<String>, String> {
    // A condition with OR at the top is one term. In MySQL, || is OR too, and XOR binds looser than AND.
    let alternatives = ["OR", "XOR", "||"].iter().any(|word| condition.split(word).len() > 1);
    let terms = if alternatives { vec![condition] } else { condition.split("AND") };
    for term in &terms {
        if term.is_empty() {
            return Err("has an AND without a condition".to_owned());
        }
        let select = term.list().iter().any(|token| term.is(token, "SELECT"));
        let refused = |meaning: Meaning| sub_selects == SubSelects::WithoutVariables || !meaning.is_login();
        if let Some(variable) = variables.first(term.text(), refused).filter(|_| select) {
            return Err(format!(
                "cannot be taken apart: its sub-select {} contains {variable}; write it as a join, or as a condition on \
                 the row's own columns",
                quoted(&variables.written(term.text()))
            ));
        }
    }
    Ok(terms.iter().flat_map(|term| flat(*term)).collect())
}

/// Returns the terms of a condition in brackets around ANDs, or the term itself.
fn flat(term: Tokens<'_>) -> Vec<String> {
    let Some(inside) = term.inside_brackets() else { return vec![term.text().to_owned()] };
    let alternatives = ["OR", "XOR", "||"].iter().any(|word| inside.split(word).len() > 1);
    let parts = inside.split("AND");
    if alternatives || parts.len() < 2 || parts.iter().any(|part| part.is_empty()) {
        return vec![term.text().to_owned()];
    }
    parts.into_iter().flat_map(flat).collect()
}

impl Select {
    /// Returns the column with this name.
    pub fn column(&self, name: &str) -> Option<&Column> {
        self.columns.iter().find(|column| column.name.as_deref() == Some(name))
    }

    /// Returns the names that the statement uses, in lower case: of tables and columns.
    pub fn names(&self, dialect: Dialect) -> BTreeSet<String> {
        let texts = self.columns.iter().map(|column| &column.sql).chain([&self.from]).chain(&self.terms);
        texts.flat_map(|text| names(text, dialect)).collect()
    }
}

/// Returns the names in a text, in lower case.
pub fn names(text: &str, dialect: Dialect) -> BTreeSet<String> {
    let list = tokenize(text, dialect).unwrap_or_default();
    let tokens = Tokens::new(text, &list);
    let is_name = |kind| matches!(kind, Kind::Word | Kind::Name);
    list.iter().filter(|token| is_name(token.kind)).map(|token| unquoted(tokens.text_of(token))).collect()
}

/// Returns true if a term has a sub-select.
pub fn has_select(term: &str, dialect: Dialect) -> bool {
    let list = tokenize(term, dialect).unwrap_or_default();
    let tokens = Tokens::new(term, &list);
    list.iter().any(|token| tokens.is(token, "SELECT"))
}

/// Returns the expression in brackets if it has an OR at the top, so that it can stand beside an AND.
pub fn as_term(condition: &str, dialect: Dialect) -> String {
    let list = tokenize(condition, dialect).unwrap_or_default();
    let tokens = Tokens::new(condition, &list);
    let loose = ["OR", "XOR", "||"].iter().any(|word| tokens.split(word).len() > 1);
    if loose && tokens.inside_brackets().is_none() { format!("({condition})") } else { condition.to_owned() }
}
