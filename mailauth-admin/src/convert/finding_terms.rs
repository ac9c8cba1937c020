//! The terms of a condition that find one account by its login, and the row's own columns for the parts of a login.

use super::dialect::Dialect;
use super::findings::quoted;
use super::tokens::{Kind, Token, Tokens, tokenize};
use super::variables::{Meaning, Variables};

/// What finds an account, and where the row has the login.
#[derive(Clone, Debug, Default)]
pub struct Finder {
    /// The terms, with named parameters.
    pub terms: Vec<String>,
    /// The same terms as they are written in the old file.
    pub old: Vec<String>,
    /// Expressions that are equal to the login, its local part or its domain.
    equal: Vec<(Meaning, String)>,
    /// True if one login finds a row by several columns.
    pub has_alternatives: bool,
}

impl Finder {
    /// Adds a term that compares an expression with the login or a part of it. Returns false for a term that does
    /// something else with the login.
    pub fn add(&mut self, term: &str, variables: &Variables, dialect: Dialect) -> Result<bool, String> {
        let list = tokenize(term, dialect)?;
        let tokens = Tokens::new(term, &list);
        if list.iter().any(|token| tokens.is(token, "SELECT")) {
            return Ok(false);
        }
        let mut found = Vec::new();
        let Some(sql) = finding(tokens, variables, dialect, &mut found)? else { return Ok(false) };
        let inside = tokens.inside_brackets().unwrap_or(tokens);
        self.has_alternatives |= inside.split("OR").len() > 1;
        self.terms.push(sql);
        self.old.push(variables.written(term));
        self.equal.extend(found);
        Ok(true)
    }

    /// Returns the condition.
    pub fn condition(&self) -> String {
        self.terms.join(" AND ")
    }

    /// Returns the expressions of the row for the login and its parts. `user` is the column that the old file names as
    /// the login.
    pub fn row(&self, user: Option<&str>, dialect: Dialect) -> Option<Row> {
        let equal = |wanted| {
            let mut all = self.equal.iter().filter(|(meaning, _)| *meaning == wanted);
            all.next().map(|(_, sql)| sql.clone())
        };
        let (local, domain) = (equal(Meaning::Local), equal(Meaning::Domain));
        let joined = match (&local, &domain) {
            (Some(local), Some(domain)) => Some(dialect.concat(&[local.clone(), "'@'".to_owned(), domain.clone()])),
            _ => None,
        };
        let login = user.map(str::to_owned).or_else(|| equal(Meaning::Login)).or(joined)?;
        Some(Row {
            local: local.unwrap_or_else(|| dialect.local_part(&login)),
            domain: domain.unwrap_or_else(|| dialect.domain_part(&login)),
            login,
        })
    }
}

/// The expressions of a row for its login and the parts of it.
#[derive(Clone, Debug)]
pub struct Row {
    pub login: String,
    pub local: String,
    pub domain: String,
}

impl Row {
    fn get(&self, meaning: Meaning) -> Option<&str> {
        match meaning {
            Meaning::Login => Some(&self.login),
            Meaning::Local => Some(&self.local),
            Meaning::Domain => Some(&self.domain),
            _ => None,
        }
    }

    /// Returns the same row with the name of its table before each column; `None` if they are no plain columns.
    pub fn of_table(&self, table: &str, dialect: Dialect) -> Option<Row> {
        let is_column = |sql: &str| sql.chars().all(|c| c.is_alphanumeric() || c == '_');
        let full = |sql: &str| format!("{table}.{sql}");
        if !is_column(&self.login) {
            let (local, domain) = (&self.local, &self.domain);
            let parts = (is_column(local) && is_column(domain)).then(|| (full(local), full(domain)));
            return parts.map(|(local, domain)| Row {
                login: dialect.concat(&[local.clone(), "'@'".to_owned(), domain.clone()]),
                local,
                domain,
            });
        }
        let login = full(&self.login);
        let part = |sql: &str, whole: String| if is_column(sql) { full(sql) } else { whole };
        Some(Row {
            local: part(&self.local, dialect.local_part(&login)),
            domain: part(&self.domain, dialect.domain_part(&login)),
            login,
        })
    }

    /// Returns an expression in which the row's own columns replace the login and its parts.
    pub fn put_into(&self, text: &str, variables: &Variables, dialect: Dialect) -> Result<String, String> {
        replace_texts(text, variables, dialect, |meaning| {
            let sql = self.get(meaning)?;
            let lower = sql.get(..6).is_some_and(|start| start.eq_ignore_ascii_case("LOWER("));
            Some(if lower { sql.to_owned() } else { format!("LOWER({sql})") })
        })
    }
}

/// Returns the condition with named parameters, if it is an equality with the login, or such equalities joined by AND or
/// OR.
fn finding(
    tokens: Tokens<'_>,
    variables: &Variables,
    dialect: Dialect,
    found: &mut Vec<(Meaning, String)>,
) -> Result<Option<String>, String> {
    if let Some(inside) = tokens.inside_brackets() {
        return Ok(finding(inside, variables, dialect, found)?.map(|sql| format!("({sql})")));
    }
    for word in ["OR", "AND"] {
        let parts = tokens.split(word);
        if parts.len() > 1 {
            let mut all = Vec::new();
            for part in parts {
                let Some(sql) = finding(part, variables, dialect, found)? else { return Ok(None) };
                all.push(sql);
            }
            return Ok(Some(all.join(&format!(" {word} "))));
        }
    }
    let sides = tokens.split("=");
    let [left, right] = sides.as_slice() else { return Ok(None) };
    let plain = |side: &Tokens<'_>| {
        const JOINING: [&str; 12] =
            ["AND", "OR", "NOT", "IS", "IN", "LIKE", "BETWEEN", "XOR", "REGEXP", "<", ">", "COLLATE"];
        side.outside_brackets().all(|(_, token)| !JOINING.iter().any(|word| side.is(token, word)))
    };
    let has_login = |side: &Tokens<'_>| variables.meanings(side.text()).any(Meaning::is_login);
    let (column, login) = match (has_login(left), has_login(right)) {
        (false, true) => (left, right),
        (true, false) => (right, left),
        _ => return Ok(None),
    };
    let names_a_column = column
        .list()
        .iter()
        .any(|token| token.kind == Kind::Name || token.kind == Kind::Word && !is_constant(*column, token));
    if !plain(left) || !plain(right) || !names_a_column {
        return Ok(None);
    }
    let login_sql = match whole(*login, variables, dialect) {
        Some(meaning) => {
            found.push((meaning, column.text().to_owned()));
            name_of(meaning).map(|name| format!(":{name}")).unwrap_or_default()
        }
        None => with_parameters(login.text(), variables, dialect)?,
    };
    Ok(Some(if column.text() == left.text() {
        format!("{} = {login_sql}", left.text())
    } else {
        format!("{login_sql} = {}", right.text())
    }))
}

fn is_constant(tokens: Tokens<'_>, token: &Token) -> bool {
    ["NULL", "TRUE", "FALSE"].iter().any(|word| tokens.is(token, word))
}

/// Returns what a text such as `'%u'` or `'%n@%d'` is as a whole, also inside LOWER().
fn whole(tokens: Tokens<'_>, variables: &Variables, dialect: Dialect) -> Option<Meaning> {
    for function in ["LOWER", "LCASE"] {
        if let Some([argument]) = tokens.arguments_of(function).as_deref() {
            return whole(*argument, variables, dialect);
        }
    }
    let [token] = tokens.list() else { return None };
    if token.kind != Kind::Text {
        return None;
    }
    match pieces(tokens.text_of(token), variables, dialect).as_slice() {
        [Piece::Variable(meaning)] if meaning.is_login() => Some(*meaning),
        _ => None,
    }
}

fn name_of(meaning: Meaning) -> Option<&'static str> {
    match meaning {
        Meaning::Login => Some("login"),
        Meaning::Local => Some("local"),
        Meaning::Domain => Some("domain"),
        _ => None,
    }
}

/// Returns the text with named parameters in place of the login and its parts.
fn with_parameters(text: &str, variables: &Variables, dialect: Dialect) -> Result<String, String> {
    replace_texts(text, variables, dialect, |meaning| name_of(meaning).map(|name| dialect.parameter(name)))
}

/// A piece of a text in quotes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Piece {
    Text(String),
    Variable(Meaning),
}

/// Returns the pieces of a text in quotes. A local part, an `@` and a domain are one login.
pub fn pieces(quoted_text: &str, variables: &Variables, dialect: Dialect) -> Vec<Piece> {
    let mut pieces = Vec::new();
    for c in unescaped(quoted_text, dialect).chars() {
        match (variables.meaning(c), pieces.last_mut()) {
            (Some(meaning), _) => pieces.push(Piece::Variable(meaning)),
            (None, Some(Piece::Text(text))) => text.push(c),
            (None, _) => pieces.push(Piece::Text(c.to_string())),
        }
    }
    let at = Piece::Text("@".to_owned());
    while let Some(place) = pieces.windows(3).position(|window| {
        matches!(window, [Piece::Variable(Meaning::Local), middle, Piece::Variable(Meaning::Domain)] if *middle == at)
    }) {
        pieces.splice(place..place + 3, [Piece::Variable(Meaning::Login)]);
    }
    pieces
}

/// Returns a text without its quotes, with doubled quotes and MySQL's backslashes resolved.
pub fn unescaped(quoted_text: &str, dialect: Dialect) -> String {
    let quote = quoted_text.chars().next().unwrap_or('\'');
    let inside = quoted_text.get(1..quoted_text.len().saturating_sub(1)).unwrap_or("");
    let mut text = String::with_capacity(inside.len());
    let mut chars = inside.chars().peekable();
    while let Some(c) = chars.next() {
        let next = chars.peek().copied();
        match (c, next) {
            (c, Some(next)) if c == quote && next == quote => {
                chars.next();
                text.push(quote);
            }
            // These stay escaped, as in patterns of LIKE.
            ('\\', Some('%' | '_')) => text.push('\\'),
            ('\\', Some(next)) if dialect.is_mysql() => {
                chars.next();
                text.push(match next {
                    'n' => '\n',
                    't' => '\t',
                    'r' => '\r',
                    other => other,
                });
            }
            _ => text.push(c),
        }
    }
    text
}

/// Replaces each text in quotes that contains the login or its parts by an expression.
///
/// # Errors
/// Fails for a variable outside quotes, and for one that `expression` does not know.
fn replace_texts(
    text: &str,
    variables: &Variables,
    dialect: Dialect,
    expression: impl Fn(Meaning) -> Option<String>,
) -> Result<String, String> {
    let list = tokenize(text, dialect)?;
    let tokens = Tokens::new(text, &list);
    let (mut replaced, mut end) = (String::with_capacity(text.len()), 0);
    for token in &list {
        let word = tokens.text_of(token);
        if variables.meanings(word).next().is_none() {
            continue;
        }
        let unknown = |variable: Option<String>| {
            let variable = variable.unwrap_or_default();
            format!("has the variable {variable} where it cannot be kept: {}", quoted(&variables.written(text)))
        };
        if token.kind != Kind::Text {
            let variable = variables.first(word, |_| true).unwrap_or_default();
            return Err(format!("has the variable {variable} outside quotes: {}", quoted(&variables.written(text))));
        }
        let mut parts = Vec::new();
        for piece in pieces(word, variables, dialect) {
            parts.push(match piece {
                Piece::Text(text) => dialect.literal(&text),
                Piece::Variable(meaning) => {
                    expression(meaning).ok_or_else(|| unknown(variables.first(word, |other| other == meaning)))?
                }
            });
        }
        replaced.push_str(text.get(end..token.span.start).unwrap_or(""));
        replaced.push_str(&match (dialect, parts.as_slice()) {
            (_, [one]) => one.clone(),
            (Dialect::Mysql, parts) => dialect.concat(parts),
            (_, parts) => format!("({})", dialect.concat(parts)),
        });
        end = token.span.end;
    }
    replaced.push_str(text.get(end..).unwrap_or(""));
    Ok(replaced)
}
