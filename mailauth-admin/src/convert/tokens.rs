//! The words, texts and symbols of an SQL statement.
//!
//! A variable of the old file is one character in the statement (see `variables.rs`). It is part of the text or the name
//! that it stands in.

use super::dialect::Dialect;
use super::variables::is_variable;
use std::ops::Range;

/// Maximum number of bytes of a statement or a term.
pub const MAX_SQL: usize = 64 << 10;

/// Maximum number of nested brackets.
const MAX_DEPTH: usize = 100;

/// The kind of a token.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// A keyword, or a name without quotes.
    Word,
    /// A number.
    Number,
    /// A text in quotes.
    Text,
    /// A name in quotes.
    Name,
    /// An operator, a bracket, a comma or a dot.
    Symbol,
}

/// A token, and how many brackets are open around it. `CASE` and `END` count as brackets.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Token {
    pub kind: Kind,
    pub span: Range<usize>,
    pub depth: usize,
}

/// A statement or a part of one, with its tokens.
#[derive(Clone, Copy, Debug)]
pub struct Tokens<'t> {
    text: &'t str,
    list: &'t [Token],
}

/// Splits SQL into tokens.
///
/// # Errors
/// Fails for what the configuration could not hold either: comments, several statements, unbalanced brackets or quotes.
pub fn tokenize(text: &str, dialect: Dialect) -> Result<Vec<Token>, String> {
    if text.len() > MAX_SQL {
        return Err(format!("has more than {MAX_SQL} bytes"));
    }
    let mut scanner = Scanner { text, dialect, position: 0, open: Vec::new(), list: Vec::new() };
    while scanner.step()? {}
    match scanner.open.last() {
        None => Ok(scanner.list),
        Some(opener) => Err(format!("has no end for its {opener}")),
    }
}

struct Scanner<'t> {
    text: &'t str,
    dialect: Dialect,
    position: usize,
    /// The brackets that are open.
    open: Vec<&'static str>,
    list: Vec<Token>,
}

impl Scanner<'_> {
    /// Reads one token. Returns false at the end.
    fn step(&mut self) -> Result<bool, String> {
        let rest = self.text.get(self.position..).unwrap_or("");
        let blank = rest.len() - rest.trim_start().len();
        self.position += blank;
        let rest = rest.trim_start();
        let Some(first) = rest.chars().next() else { return Ok(false) };
        if rest.starts_with("--") || rest.starts_with("/*") || first == '#' && self.dialect.is_mysql() {
            return Err("contains a comment; remove it".to_owned());
        }
        match first {
            '\'' => self.quoted(rest, '\'', Kind::Text),
            '"' if self.dialect.is_mysql() => self.quoted(rest, '"', Kind::Text),
            '"' => self.quoted(rest, '"', Kind::Name),
            '`' => self.quoted(rest, '`', Kind::Name),
            '0'..='9' => {
                let end = rest.find(|c: char| !(c.is_ascii_alphanumeric() || c == '.')).unwrap_or(rest.len());
                self.push(Kind::Number, end)
            }
            c if is_word(c) => {
                let end = rest.find(|c| !is_word(c)).unwrap_or(rest.len());
                self.word(rest.get(..end).unwrap_or(""), end)
            }
            ';' => Err("contains a semicolon; mailauth runs a single SELECT".to_owned()),
            '?' => Err("contains a question mark, which marks a parameter; write the condition without it".to_owned()),
            '(' => self.opens("bracket", 1),
            ')' => self.closes("bracket", 1),
            _ => {
                const LONG: [&str; 9] = ["<=>", "<>", "!=", "<=", ">=", "==", "||", "::", ":="];
                let long = LONG.iter().find(|symbol| rest.starts_with(**symbol));
                self.push(Kind::Symbol, long.map_or(first.len_utf8(), |symbol| symbol.len()))
            }
        }
    }

    fn word(&mut self, word: &str, length: usize) -> Result<bool, String> {
        let after_dot = self.list.last().is_some_and(|last| self.text.get(last.span.clone()) == Some("."));
        match word.to_ascii_uppercase().as_str() {
            "CASE" if !after_dot => {
                self.push(Kind::Word, length)?;
                self.open("CASE").map(|()| true)
            }
            "END" if !after_dot && self.open.last() == Some(&"CASE") => {
                self.open.pop();
                self.push(Kind::Word, length)
            }
            _ => self.push(Kind::Word, length),
        }
    }

    fn opens(&mut self, what: &'static str, length: usize) -> Result<bool, String> {
        self.push(Kind::Symbol, length)?;
        self.open(what).map(|()| true)
    }

    fn open(&mut self, what: &'static str) -> Result<(), String> {
        if self.open.len() >= MAX_DEPTH {
            return Err(format!("has more than {MAX_DEPTH} nested brackets"));
        }
        self.open.push(what);
        Ok(())
    }

    fn closes(&mut self, what: &'static str, length: usize) -> Result<bool, String> {
        match self.open.pop() {
            Some(opener) if opener == what => self.push(Kind::Symbol, length),
            Some(opener) => Err(format!("has no end for its {opener}")),
            None => Err(format!("has no beginning for its {what}")),
        }
    }

    fn quoted(&mut self, rest: &str, quote: char, kind: Kind) -> Result<bool, String> {
        let escapes = kind == Kind::Text && (self.dialect.is_mysql() || self.is_after_e());
        let mut chars = rest.char_indices().skip(1).peekable();
        while let Some((index, c)) = chars.next() {
            if escapes && c == '\\' {
                chars.next();
            } else if c == quote {
                match chars.peek() {
                    Some((_, next)) if *next == quote => _ = chars.next(),
                    _ => return self.push(kind, index + c.len_utf8()),
                }
            }
        }
        Err(format!("has no end for a {quote}"))
    }

    /// Returns true directly after the `E` of PostgreSQL's `E'...'`.
    fn is_after_e(&self) -> bool {
        let last = self.list.last();
        self.dialect == Dialect::Postgres
            && last.is_some_and(|last| {
                last.span.end == self.position
                    && self.text.get(last.span.clone()).is_some_and(|word| word.eq_ignore_ascii_case("e"))
            })
    }

    fn push(&mut self, kind: Kind, length: usize) -> Result<bool, String> {
        let span = self.position..self.position + length;
        self.position = span.end;
        self.list.push(Token { kind, span, depth: self.open.len() });
        Ok(true)
    }
}

fn is_word(c: char) -> bool {
    c.is_alphanumeric() || c == '_' || c == '$' || is_variable(c)
}

impl<'t> Tokens<'t> {
    pub fn new(text: &'t str, list: &'t [Token]) -> Self {
        Tokens { text, list }
    }

    pub fn list(self) -> &'t [Token] {
        self.list
    }

    pub fn is_empty(self) -> bool {
        self.list.is_empty()
    }

    /// Returns the text of a token.
    pub fn text_of(self, token: &Token) -> &'t str {
        self.text.get(token.span.clone()).unwrap_or("")
    }

    /// Returns true if the token is this keyword or symbol.
    pub fn is(self, token: &Token, word: &str) -> bool {
        matches!(token.kind, Kind::Word | Kind::Symbol) && self.text_of(token).eq_ignore_ascii_case(word)
    }

    /// Returns the text from the first to the last token.
    pub fn text(self) -> &'t str {
        match (self.list.first(), self.list.last()) {
            (Some(first), Some(last)) => self.text.get(first.span.start..last.span.end).unwrap_or(""),
            _ => "",
        }
    }

    /// Returns the number of brackets that are open around these tokens.
    fn depth(self) -> usize {
        self.list.first().map_or(0, |token| token.depth)
    }

    /// Returns the tokens that are outside brackets, with their index.
    pub fn outside_brackets(self) -> impl Iterator<Item = (usize, &'t Token)> {
        let depth = self.depth();
        self.list.iter().enumerate().filter(move |(_, token)| token.depth == depth)
    }

    /// Returns the tokens of this range.
    pub fn part(self, range: Range<usize>) -> Tokens<'t> {
        Tokens { text: self.text, list: self.list.get(range).unwrap_or(&[]) }
    }

    /// Splits at a keyword or symbol outside brackets. The `AND` of `BETWEEN` does not split.
    pub fn split(self, word: &str) -> Vec<Tokens<'t>> {
        let (mut parts, mut start, mut between) = (Vec::new(), 0, false);
        for (index, token) in self.outside_brackets() {
            if self.is(token, "BETWEEN") {
                between = true;
            } else if self.is(token, word) {
                if between && word == "AND" {
                    between = false;
                    continue;
                }
                parts.push(self.part(start..index));
                start = index + 1;
            }
        }
        parts.push(self.part(start..self.list.len()));
        parts
    }

    /// Returns what is inside the brackets, if one pair encloses all tokens.
    pub fn inside_brackets(self) -> Option<Tokens<'t>> {
        let [first, .., last] = self.list else { return None };
        let opens = self.text_of(first) == "(" && first.kind == Kind::Symbol;
        let closes = self.text_of(last) == ")" && last.kind == Kind::Symbol;
        let single = self.outside_brackets().count() == 2;
        (opens && closes && single && first.depth == last.depth).then(|| self.part(1..self.list.len() - 1))
    }

    /// Returns the arguments, if the tokens are one call of this function.
    pub fn arguments_of(self, function: &str) -> Option<Vec<Tokens<'t>>> {
        let (first, rest) = self.list.split_first()?;
        if !self.is(first, function) {
            return None;
        }
        let inside = Tokens { text: self.text, list: rest }.inside_brackets()?;
        Some(inside.split(","))
    }

    /// Returns the tokens, separated by single spaces and with keywords and names in lower case, so that two spellings of
    /// the same compare as equal. With `bare`, names are without the table before the dot.
    pub fn normal(self, bare: bool) -> String {
        let mut words: Vec<String> = Vec::new();
        for (index, token) in self.list.iter().enumerate() {
            let text = self.text_of(token);
            let next_is_dot = self.list.get(index + 1).is_some_and(|next| self.text_of(next) == ".");
            if bare && (text == "." || next_is_dot && matches!(token.kind, Kind::Word | Kind::Name)) {
                continue;
            }
            words.push(match token.kind {
                Kind::Text => text.to_owned(),
                _ => text.to_lowercase(),
            });
        }
        words.join(" ")
    }
}
