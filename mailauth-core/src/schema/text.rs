//! Splitting configured SQL text into tokens, and refusing what a configuration must not contain.
//!
//! The text is put into a `SELECT` as it is, so it must not be able to change what follows it in the statement: brackets
//! and quotes are balanced, and there are no comments and no second statement.

use super::{DatabaseKind, Parameter};

/// Maximum number of bytes of a text in the configuration.
const MAX_TEXT: usize = 64 << 10;

/// Maximum number of characters of a text that a message repeats.
const MAX_SHOWN: usize = 40;

/// What a token is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum TokenKind {
    /// A name without quotes, or a keyword.
    Word,
    /// A name after a dot, which may be a keyword elsewhere.
    Qualified,
    /// Text in quotes: a string, or in some databases a name.
    Quoted,
    /// A number.
    Number,
    /// `:login` and the like.
    Parameter(Parameter),
    /// One character of punctuation, or one of the operators of several that matter: `::`, `||`, `&&`.
    Symbol,
}

/// A piece of SQL text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Token<'t> {
    pub kind: TokenKind,
    pub text: &'t str,
    /// Its first byte in the whole text.
    pub start: usize,
    /// Number of brackets around it. A bracket has the depth of what is outside of it.
    pub depth: usize,
}

impl Token<'_> {
    /// Returns true if the token is the keyword, in any case.
    pub fn is_word(&self, word: &str) -> bool {
        self.kind == TokenKind::Word && self.text.eq_ignore_ascii_case(word)
    }

    /// Returns true if the token is this punctuation.
    pub fn is_symbol(&self, symbol: &str) -> bool {
        self.kind == TokenKind::Symbol && self.text == symbol
    }

    /// Returns true if the token can be a name.
    pub fn is_name(&self) -> bool {
        match self.kind {
            TokenKind::Word | TokenKind::Qualified => true,
            TokenKind::Quoted => self.text.starts_with(['`', '"']),
            _ => false,
        }
    }

    /// Returns the position after the token.
    pub fn end(&self) -> usize {
        self.start + self.text.len()
    }
}

/// Fails if a text of the configuration is too long. With the values of its parameters it may be longer.
pub(super) fn check_length(text: &str) -> Result<(), String> {
    if text.len() > MAX_TEXT {
        return Err(format!("has more than {MAX_TEXT} bytes; write a shorter text, or make it a view of the database"));
    }
    Ok(())
}

/// Returns the text on one line. Fails if it has other control characters than line ends and tabs.
pub(super) fn one_line(text: &str) -> Result<String, String> {
    let line = text.replace(['\n', '\r', '\t'], " ");
    match line.chars().any(char::is_control) {
        true => Err("contains a control character; write it without control characters".to_owned()),
        false => Ok(line.trim().to_owned()),
    }
}

/// Splits a text into tokens.
///
/// # Errors
/// Fails with what is wrong with the text, and what to write instead.
pub(super) fn tokens(text: &str, database: DatabaseKind) -> Result<Vec<Token<'_>>, String> {
    let mut scanner = Scanner { text, database, at: 0, open: Vec::new(), tokens: Vec::new() };
    while let Some(c) = scanner.rest().chars().next() {
        scanner.next(c)?;
    }
    match scanner.open.pop() {
        Some((bracket, at)) => Err(format!("lacks the bracket that closes {bracket:?} before {}", shown(text, at + 1))),
        None => Ok(scanner.tokens),
    }
}

/// Returns the beginning of the text from `at` on, as it is shown in messages.
pub(super) fn shown(text: &str, at: usize) -> String {
    match text.get(at..).map(str::trim).unwrap_or_default() {
        "" => "the end".to_owned(),
        rest => format!("{:?}", crate::printable::brief(rest, MAX_SHOWN)),
    }
}

struct Scanner<'t> {
    text: &'t str,
    database: DatabaseKind,
    at: usize,
    /// The brackets that are open, and the position of each.
    open: Vec<(char, usize)>,
    tokens: Vec<Token<'t>>,
}

impl<'t> Scanner<'t> {
    fn rest(&self) -> &'t str {
        self.text.get(self.at..).unwrap_or_default()
    }

    fn next(&mut self, c: char) -> Result<(), String> {
        let rest = self.rest();
        match c {
            _ if c.is_whitespace() => self.at += c.len_utf8(),
            '\'' | '"' | '`' => self.quoted(c)?,
            ':' if rest.starts_with("::") => self.push(TokenKind::Symbol, 2),
            ':' => self.parameter()?,
            _ if c.is_ascii_digit() => self.push(TokenKind::Number, length(rest, |c| is_word(c) || c == '.')),
            _ if is_word_start(c) => self.word()?,
            '(' | '[' => {
                self.push(TokenKind::Symbol, 1);
                self.open.push((c, self.at - 1));
            }
            ')' | ']' => self.close(c)?,
            '|' if rest.starts_with("||") => self.push(TokenKind::Symbol, 2),
            '&' if rest.starts_with("&&") => self.push(TokenKind::Symbol, 2),
            _ => {
                if let Some(problem) = self.refusal(c) {
                    return Err(problem);
                }
                self.push(TokenKind::Symbol, c.len_utf8());
            }
        }
        Ok(())
    }

    /// Returns why the character is refused outside of quotes; `None` if it is not.
    fn refusal(&self, c: char) -> Option<String> {
        let rest = self.rest();
        let here = || shown(self.text, self.at);
        let is_comment = ["--", "/*"].iter().any(|sign| rest.starts_with(sign));
        match c {
            ';' => Some(format!("has a semicolon at {}; write a single statement without one", here())),
            '?' => Some(format!("has a question mark at {}; {NO_QUESTION_MARK}", here())),
            '#' if self.database == DatabaseKind::Mysql => Some(format!("has a comment at {}; remove it", here())),
            _ if is_comment => Some(format!("has a comment at {}; remove it", here())),
            '$' => Some(format!(
                "has a $ at {}; write text in single quotes, and parameters as :login, :local, :domain or :address",
                here()
            )),
            '{' | '}' => Some(format!("has a brace at {} that is no parameter of the profile; remove it", here())),
            '\\' => Some(format!("has a backslash outside of quotes at {}; remove it", here())),
            _ if c.is_ascii() => None,
            _ => Some(format!("has {c:?} outside of quotes at {}; remove it", here())),
        }
    }

    fn push(&mut self, kind: TokenKind, length: usize) {
        let (start, depth) = (self.at, self.open.len());
        let text = self.rest().get(..length).unwrap_or_default();
        self.tokens.push(Token { kind, text, start, depth });
        self.at += length;
    }

    fn word(&mut self) -> Result<(), String> {
        let rest = self.rest();
        let length = length(rest, is_word);
        let word = rest.get(..length).unwrap_or_default();
        let after = rest.get(length..).unwrap_or_default();
        let escapes = word.eq_ignore_ascii_case("e") || word.eq_ignore_ascii_case("u") && after.starts_with("&'");
        if self.database == DatabaseKind::Postgres && escapes && (after.starts_with('\'') || after.starts_with("&'")) {
            let here = shown(self.text, self.at);
            return Err(format!("has a string with escapes at {here}; write it in plain single quotes"));
        }
        let is_qualified = self.tokens.last().is_some_and(|last| last.is_symbol("."));
        self.push(if is_qualified { TokenKind::Qualified } else { TokenKind::Word }, length);
        Ok(())
    }

    fn quoted(&mut self, quote: char) -> Result<(), String> {
        let rest = self.rest();
        let here = || shown(self.text, self.at);
        let escapes = self.database == DatabaseKind::Mysql && quote != '`';
        let mut backslashes = 0;
        let mut chars = rest.char_indices().skip(1).peekable();
        while let Some((index, c)) = chars.next() {
            if c == quote && escapes && backslashes % 2 == 1 {
                return Err(format!("has a backslash before a quote at {}; write two quotes instead of it", here()));
            }
            if c == quote && chars.next_if(|(_, c)| *c == quote).is_none() {
                let content = rest.get(1..index).unwrap_or_default();
                if content.contains('?') {
                    return Err(format!("has a question mark at {}; {NO_QUESTION_MARK}", here()));
                }
                if let Some(name) = parameter_in(content) {
                    return Err(format!(
                        "has the parameter :{name} in quotes at {}; remove the quotes, because parameters are bound, \
                         and join it to other text with an operator or function",
                        here()
                    ));
                }
                self.push(TokenKind::Quoted, index + 1);
                return Ok(());
            }
            backslashes = if c == '\\' { backslashes + 1 } else { 0 };
        }
        Err(format!("lacks the quote that ends {}", here()))
    }

    fn parameter(&mut self) -> Result<(), String> {
        let name_length = length(self.rest().get(1..).unwrap_or_default(), is_word);
        let name = self.rest().get(1..=name_length).unwrap_or_default();
        let parameter = match Parameter::named(name) {
            Some(parameter) => parameter,
            // The bounds of a slice of an array.
            None if name.starts_with(|c: char| c.is_ascii_digit()) && self.open.last().is_some_and(|o| o.0 == '[') => {
                self.push(TokenKind::Symbol, 1);
                return Ok(());
            }
            None if name.is_empty() => {
                let here = shown(self.text, self.at);
                return Err(format!("has a colon without the name of a parameter at {here}; {PARAMETERS}"));
            }
            None => {
                return Err(format!(
                    "has the unknown parameter :{}; {PARAMETERS}",
                    crate::printable::brief(name, MAX_SHOWN)
                ));
            }
        };
        self.push(TokenKind::Parameter(parameter), name_length + 1);
        Ok(())
    }

    fn close(&mut self, bracket: char) -> Result<(), String> {
        let opening = if bracket == ')' { '(' } else { '[' };
        match self.open.pop() {
            Some((open, _)) if open == opening => {
                self.push(TokenKind::Symbol, 1);
                Ok(())
            }
            _ => Err(format!("has a {bracket:?} that closes no bracket before {}", shown(self.text, self.at + 1))),
        }
    }
}

const NO_QUESTION_MARK: &str = "question marks are parameters; write :login, :local, :domain or :address, or \
                                another operator or function";

const PARAMETERS: &str = "the parameters are :login, :local, :domain and :address";

fn is_word_start(c: char) -> bool {
    c.is_alphabetic() || c == '_'
}

fn is_word(c: char) -> bool {
    c.is_alphanumeric() || c == '_' || c == '$'
}

/// Returns the length of the beginning that `is_part` accepts.
fn length(text: &str, is_part: impl Fn(char) -> bool) -> usize {
    text.find(|c| !is_part(c)).unwrap_or(text.len())
}

/// Returns the name of a parameter that is in the content of a string.
fn parameter_in(content: &str) -> Option<&str> {
    let pieces = content.split(':').skip(1);
    let name = |piece: &'_ str| length(piece, is_word);
    let mut names = pieces.filter_map(|piece| piece.get(..name(piece)));
    names.find(|name| Parameter::named(name).is_some())
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const KINDS: [DatabaseKind; 3] = [DatabaseKind::Mysql, DatabaseKind::Postgres, DatabaseKind::Sqlite];

    fn refused(text: &str, database: DatabaseKind) -> String {
        tokens(text, database).expect_err(text)
    }

    #[test]
    fn text_with_two_meanings_is_refused_with_a_cure() {
        for (text, said) in [
            ("a = 1; DELETE FROM a", "has a semicolon"),
            ("a = ?", "has a question mark"),
            ("a = 'what?'", "has a question mark"),
            ("a = 1 -- all", "has a comment"),
            ("a /* all */", "has a comment"),
            ("a = 'x", "lacks the quote that ends"),
            ("a = (1", "lacks the bracket that closes '('"),
            ("a = 1)", "closes no bracket"),
            ("a[1)", "closes no bracket"),
            ("a = ':login'", "has the parameter :login in quotes"),
            ("a = \"%:domain\"", "has the parameter :domain in quotes"),
            ("a = :user", "has the unknown parameter :user; the parameters are :login, :local, :domain and :address"),
            ("a = : login", "has a colon without the name of a parameter"),
            ("@a := 1", "has a colon without the name of a parameter"),
            ("a = $1", "has a $"),
            ("a = $$x$$", "has a $"),
            ("a = {mail_root}", "has a brace"),
            ("a = \\'x\\'", "has a backslash outside of quotes"),
        ] {
            for database in KINDS {
                let problem = refused(text, database);
                assert!(problem.contains(said), "{text}: {problem}");
                let cures = ["; ", "lacks", "closes no bracket"];
                assert!(cures.iter().any(|cure| problem.contains(cure)), "{text}: {problem}");
            }
        }
    }

    #[test]
    fn quotes_are_read_as_each_database_reads_them() {
        for text in
            ["'it''s'", "\"a\"\"b\"", "'12:30'", "'maildir:%'", "'{PLAIN}'", "'it; -- is'", "'a\\\\'", "x::text"]
        {
            for database in KINDS {
                assert!(tokens(text, database).is_ok(), "{text}");
            }
        }
        assert!(refused("'a\\'", DatabaseKind::Mysql).contains("has a backslash before a quote"));
        assert!(refused("'a\\' OR '1'", DatabaseKind::Mysql).contains("has a backslash before a quote"));
        assert!(tokens("replace(a, '\\', '/')", DatabaseKind::Sqlite).is_ok());
        assert!(tokens("`a``b`", DatabaseKind::Mysql).is_ok());
        for text in ["E'a\\'b'", "e'a'", "U&'a'"] {
            assert!(refused(text, DatabaseKind::Postgres).contains("has a string with escapes"), "{text}");
        }
        assert!(tokens("name'x'", DatabaseKind::Postgres).is_ok());
        assert!(refused("a # all", DatabaseKind::Mysql).contains("has a comment"));
        assert!(tokens("a # 3", DatabaseKind::Postgres).is_ok());
    }

    #[test]
    fn a_text_becomes_one_line_without_control_characters() {
        assert_eq!(one_line("\n a\n\tb "), Ok("a  b".to_owned()));
        assert!(one_line("a\0b").unwrap_err().contains("contains a control character"));
        assert!(check_length(&"x".repeat(MAX_TEXT)).is_ok());
        assert!(check_length(&"x".repeat(MAX_TEXT + 1)).unwrap_err().contains("has more than 65536 bytes"));
    }

    #[test]
    fn brackets_count_as_depth() {
        let tokens = tokens("f(a, (b))", DatabaseKind::Sqlite).unwrap();
        let depths: Vec<_> = tokens.iter().map(|token| (token.text, token.depth)).collect();
        let expected = [("f", 0), ("(", 0), ("a", 1), (",", 1), ("(", 1), ("b", 2), (")", 1), (")", 0)];
        assert_eq!(depths, expected);
    }

    proptest! {
        #[test]
        fn the_tokens_of_any_text_are_its_parts_in_order(
            text in prop_oneof!["(?s).{0,60}", "[a-z:'\"`() ,=\\\\\\[\\]$?;{}#*/|&-]{0,60}"]
        ) {
            for database in KINDS {
                let Ok(tokens) = tokens(&text, database) else { continue };
                let mut end = 0;
                for token in tokens {
                    prop_assert!(text[end..token.start].trim().is_empty());
                    prop_assert_eq!(&text[token.start..token.end()], token.text);
                    end = token.end();
                }
                prop_assert!(text[end..].trim().is_empty());
            }
        }
    }
}
