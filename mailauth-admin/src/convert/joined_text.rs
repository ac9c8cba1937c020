//! Expressions that join texts and columns, such as `CONCAT('*:bytes=', quota)`, and what their values mean to Dovecot.

use super::dialect::Dialect;
use super::finding_terms::{Piece, Row, pieces};
use super::findings::quoted;
use super::tokens::{Kind, Tokens, tokenize};
use super::variables::{Meaning, Variables};

/// A part of a joined text.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Part {
    /// Text, with a template letter for each variable.
    Text(String),
    /// An expression of the row.
    Sql(String),
}

/// A value of the old file: a template of mailauth, or an expression of the row.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Value {
    /// Text with `%u`, `%n`, `%d` and `%%`, the same for each row.
    Template(String),
    /// An SQL expression.
    Sql(String),
}

/// An expression in parts.
#[derive(Clone, Debug)]
pub struct Joined {
    parts: Vec<Part>,
    /// True if the parts are the arguments of CONCAT().
    by_function: bool,
    dialect: Dialect,
}

/// What a statement is read with.
#[derive(Clone, Copy, Debug)]
pub struct Context<'a> {
    pub variables: &'a Variables,
    pub row: &'a Row,
    pub dialect: Dialect,
}

impl Joined {
    /// Takes an expression apart. Variables in texts become template letters, if the whole value is text, and otherwise
    /// the row's own columns.
    pub fn read(expression: &str, context: Context<'_>) -> Result<Joined, String> {
        let list = tokenize(expression, context.dialect)?;
        let mut joined = Joined { parts: Vec::new(), by_function: false, dialect: context.dialect };
        joined.add(Tokens::new(expression, &list), context)?;
        if !joined.parts.iter().all(|part| matches!(part, Part::Text(_))) {
            let mut parts = Vec::new();
            for part in joined.parts {
                match part {
                    Part::Text(text) if text.contains('%') => parts.extend(template_as_sql(&text, context)),
                    other => parts.push(other),
                }
            }
            joined.parts = parts;
        }
        Ok(joined)
    }

    fn add(&mut self, tokens: Tokens<'_>, context: Context<'_>) -> Result<(), String> {
        if let Some(arguments) = tokens.arguments_of("CONCAT") {
            self.by_function = true;
            return arguments.into_iter().try_for_each(|argument| self.add(argument, context));
        }
        if let Some(inside) = tokens.inside_brackets() {
            return self.add(inside, context);
        }
        let operands = if context.dialect.is_mysql() { vec![tokens] } else { tokens.split("||") };
        if operands.len() > 1 {
            return operands.into_iter().try_for_each(|operand| self.add(operand, context));
        }
        match tokens.list() {
            [token] if token.kind == Kind::Text => self.add_text(tokens.text_of(token), context),
            _ => {
                let sql = context.row.put_into(tokens.text(), context.variables, context.dialect)?;
                self.parts.push(Part::Sql(sql));
                Ok(())
            }
        }
    }

    fn add_text(&mut self, text: &str, context: Context<'_>) -> Result<(), String> {
        let mut template = String::new();
        for piece in pieces(text, context.variables, context.dialect) {
            match piece {
                Piece::Text(text) => template.push_str(&text.replace('%', "%%")),
                Piece::Variable(Meaning::Login) => template.push_str("%u"),
                Piece::Variable(Meaning::Local) => template.push_str("%n"),
                Piece::Variable(Meaning::Domain) => template.push_str("%d"),
                // Below the home, as ~ is.
                Piece::Variable(Meaning::Home) => template.push('~'),
                Piece::Variable(_) => {
                    let variable = context.variables.first(text, |meaning| !meaning.is_login()).unwrap_or_default();
                    return Err(format!("has the variable {variable}, which no path or number can contain"));
                }
            }
        }
        if let Some(Part::Text(last)) = self.parts.last_mut() {
            last.push_str(&template);
        } else {
            self.parts.push(Part::Text(template));
        }
        Ok(())
    }

    /// Returns the text before the first column.
    pub fn beginning(&self) -> &str {
        match self.parts.first() {
            Some(Part::Text(text)) => text,
            _ => "",
        }
    }

    /// Returns the column that the text begins with, if it does.
    pub fn first_column(&self) -> Option<&str> {
        match self.parts.first() {
            Some(Part::Sql(sql)) => Some(sql),
            _ => None,
        }
    }

    /// Returns true if the text is the value of one expression.
    pub fn is_one_column(&self) -> bool {
        matches!(self.parts.as_slice(), [Part::Sql(_)])
    }

    /// Removes `prefix` from the beginning. Returns false if the text does not begin with it.
    pub fn strip(&mut self, prefix: &str) -> bool {
        let Some(Part::Text(text)) = self.parts.first_mut() else { return false };
        let Some(rest) = text.strip_prefix(prefix) else { return false };
        let rest = rest.to_owned();
        if rest.is_empty() && self.parts.len() > 1 {
            self.parts.remove(0);
        } else {
            self.parts[0] = Part::Text(rest);
        }
        true
    }

    /// Removes the first part.
    pub fn without_first(mut self) -> Joined {
        if self.parts.len() > 1 {
            self.parts.remove(0);
        }
        self
    }

    /// Cuts the text off at the first of this character. Returns the text of what was cut off.
    pub fn cut(&mut self, at: char) -> Option<String> {
        let (index, position) = self.parts.iter().enumerate().find_map(|(index, part)| match part {
            Part::Text(text) => text.find(at).map(|position| (index, position)),
            Part::Sql(_) => None,
        })?;
        let rest: Vec<_> = self.parts.drain(index + 1..).collect();
        let Some(Part::Text(text)) = self.parts.get_mut(index) else { return None };
        let mut cut = text.split_off(position);
        for part in rest {
            cut.push_str(match &part {
                Part::Text(text) => text,
                Part::Sql(sql) => sql,
            });
        }
        if self.parts.len() > 1 && self.parts.last() == Some(&Part::Text(String::new())) {
            self.parts.pop();
        }
        Some(cut)
    }

    /// Returns the value.
    pub fn value(&self) -> Value {
        match self.parts.as_slice() {
            [] => Value::Template(String::new()),
            [Part::Text(text)] => Value::Template(text.clone()),
            parts => {
                let sql = |part: &Part| match part {
                    Part::Text(text) => self.dialect.literal(&text.replace("%%", "%")),
                    Part::Sql(sql) => sql.clone(),
                };
                let parts: Vec<_> = parts.iter().map(sql).collect();
                Value::Sql(if self.by_function && self.dialect == Dialect::Postgres && parts.len() > 1 {
                    format!("CONCAT({})", parts.join(", "))
                } else {
                    self.dialect.concat(&parts)
                })
            }
        }
    }
}

/// Returns a text with template letters as texts and expressions of the row.
fn template_as_sql(template: &str, context: Context<'_>) -> Vec<Part> {
    let row = context.row;
    let (mut parts, mut text, mut chars) = (Vec::new(), String::new(), template.chars());
    while let Some(c) = chars.next() {
        let letter = if c == '%' { chars.next() } else { None };
        let column = match letter {
            None => {
                text.push(c);
                continue;
            }
            Some('u') => &row.login,
            Some('n') => &row.local,
            Some('d') => &row.domain,
            Some(_) => {
                text.push_str("%%");
                continue;
            }
        };
        if !text.is_empty() {
            parts.push(Part::Text(std::mem::take(&mut text)));
        }
        parts.push(Part::Sql(format!("LOWER({column})")));
    }
    if !text.is_empty() {
        parts.push(Part::Text(text));
    }
    parts
}

/// The limits of a quota, as expressions.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Limits {
    pub bytes: Option<String>,
    pub messages: Option<String>,
}

/// Reads Dovecot 2.3's rule for all mailboxes, such as `*:storage=100M:messages=1000`.
pub fn quota_rule(joined: &Joined) -> Result<Limits, String> {
    let (text, columns) = with_holes(joined);
    let Some((mailbox, limits)) = text.split_once(':') else {
        return Err("is no rule of the form *:bytes=N".to_owned());
    };
    if mailbox != "*" {
        return Err(format!(
            "is the rule of the mailbox {}; mailauth has one quota for all mailboxes",
            quoted(mailbox)
        ));
    }
    let mut found = Limits::default();
    for limit in limits.split(':').filter(|limit| !limit.is_empty() && *limit != "ignore") {
        let (name, amount) = limit.trim_start_matches('?').split_once('=').unwrap_or((limit, ""));
        match name {
            "storage" => found.bytes = Some(amount_of(amount, &columns, 1024, joined.dialect)?),
            "bytes" => found.bytes = Some(amount_of(amount, &columns, 1, joined.dialect)?),
            "messages" => found.messages = Some(amount_of(amount, &columns, 1, joined.dialect)?),
            other => return Err(format!("has the limit {}, which mailauth does not have", quoted(other))),
        }
    }
    Ok(found)
}

/// Reads a size in bytes, or with a unit, as Dovecot 2.4 does.
pub fn size(joined: &Joined) -> Result<String, String> {
    let (text, columns) = with_holes(joined);
    amount_of(&text, &columns, 1, joined.dialect)
}

/// The first of the characters that stand for columns in the text of a quota.
const FIRST_HOLE: u32 = 0xF_8000;

/// Returns the number of the column that the text stands for, if it is one.
fn hole(text: &str) -> Option<usize> {
    let mut chars = text.chars();
    let index = u32::from(chars.next()?).checked_sub(FIRST_HOLE)?;
    chars.next().is_none().then_some(usize::try_from(index).ok()?)
}

fn with_holes(joined: &Joined) -> (String, Vec<String>) {
    let (mut text, mut columns) = (String::new(), Vec::new());
    for part in &joined.parts {
        match part {
            Part::Text(literal) => text.push_str(literal),
            Part::Sql(sql) => {
                // A number that is too large stands for no column.
                let c = u32::try_from(columns.len()).ok().and_then(|index| char::from_u32(FIRST_HOLE + index));
                text.push(c.unwrap_or('?'));
                columns.push(sql.clone());
            }
        }
    }
    (text, columns)
}

/// Returns the number of an amount such as `100M`, or of a column with a unit.
fn amount_of(amount: &str, columns: &[String], plain: u64, dialect: Dialect) -> Result<String, String> {
    let digits = amount.trim_end_matches(|c: char| c.is_ascii_alphabetic());
    let unit = amount.get(digits.len()..).unwrap_or("").to_ascii_uppercase();
    let factor = match unit.trim_end_matches("IB").trim_end_matches('B') {
        "" if unit.is_empty() => plain,
        "" => 1,
        "K" => 1 << 10,
        "M" => 1 << 20,
        "G" => 1 << 30,
        "T" => 1 << 40,
        _ => return Err(format!("has the unit {}, which is no unit of bytes", quoted(&unit))),
    };
    if let Some(column) = hole(digits).and_then(|index| columns.get(index)) {
        return Ok(number(column, factor, dialect));
    }
    let number: Option<u64> = digits.parse().ok();
    match number.and_then(|number| number.checked_mul(factor)) {
        Some(number) => Ok(number.to_string()),
        None => Err("is no number of bytes or messages".to_owned()),
    }
}

/// Returns a number of the row times `factor`; a negative one is no limit.
fn number(sql: &str, factor: u64, dialect: Dialect) -> String {
    let product = dialect.multiplied(sql, factor);
    let upper = sql.trim_start_matches('(').to_ascii_uppercase();
    let is_bounded = ["CASE ", "IF(", "GREATEST(", "MAX("].iter().any(|start| upper.starts_with(start));
    if is_bounded { product } else { dialect.not_negative(&product) }
}
