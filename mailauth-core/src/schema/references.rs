//! The tables and columns that a `SELECT` names, as far as its text shows them.
//!
//! They are used for advice (which index would help, and which columns a user has to be permitted to read), and to find
//! the table that a password is written to.

use std::iter::Peekable;

/// The tables and columns that a statement names.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct References {
    /// The tables, each with the name that the statement gives it.
    pub tables: Vec<NamedTable>,
    /// The columns, in the order of the text.
    pub columns: Vec<ColumnName>,
    /// The columns that are compared with a value for equality, as they are.
    pub compared: Vec<Comparison>,
}

/// A table of a statement. Names have the quotes and the case of the text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NamedTable {
    /// Name of the table, with that of its database or schema if the text has it.
    pub table: String,
    /// Name by which the statement refers to it.
    pub alias: String,
}

/// A column of a statement.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ColumnName {
    /// Name of its table in the statement, if it is written before the column.
    pub alias: Option<String>,
    /// Name of the column; `*` for all of them.
    pub column: String,
}

/// A column that is compared with a value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Comparison {
    /// The column.
    pub column: ColumnName,
    /// What it is compared with.
    pub with: Operand,
}

/// The other side of a comparison.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Operand {
    /// A parameter.
    Parameter,
    /// A column, as in the condition of a join.
    Column,
    /// A value of the statement, or an expression.
    Other,
}

impl NamedTable {
    /// Returns the first table of a text that follows `FROM`; `None` if the text begins with a bracket.
    pub fn first_of(from: &str) -> Option<Self> {
        match from.trim_start().starts_with('(') {
            true => None,
            false => References::of(&format!("SELECT 1 FROM {from}")).tables.into_iter().next(),
        }
    }

    /// Returns the name of the table without that of its database or schema, and without quotes.
    pub fn bare_name(&self) -> &str {
        bare(&self.table)
    }
}

/// Returns a name without the names before it, and without quotes.
pub fn bare(name: &str) -> &str {
    name.rsplit('.').next().unwrap_or(name).trim_matches(['"', '`'])
}

impl References {
    /// Reads them from a statement, or from a part of one that begins with `SELECT`.
    pub fn of(sql: &str) -> Self {
        let tokens: Vec<Token> = Tokens(sql.chars().peekable()).collect();
        let mut found = References::default();
        found.add_tables(&tokens);
        found.add_columns(&tokens);
        found.add_comparisons(&tokens);
        found
    }

    /// Returns the name of the table that the statement calls `alias`.
    pub fn table(&self, alias: &str) -> Option<&str> {
        self.tables.iter().find(|table| table.alias == alias).map(|table| table.table.as_str())
    }

    /// Returns the table of a column, if the text shows it.
    pub fn table_of(&self, column: &ColumnName) -> Option<&str> {
        match (&column.alias, self.tables.as_slice()) {
            (Some(alias), _) => self.table(alias),
            (None, [only]) => Some(&only.table),
            (None, _) => None,
        }
    }

    /// Adds the names behind `FROM` and `JOIN`, and behind commas there.
    fn add_tables(&mut self, tokens: &[Token]) {
        // A level for each open bracket.
        let mut levels = vec![Level::default()];
        let mut at = 0;
        while let Some(token) = tokens.get(at) {
            at += 1;
            let depth = levels.len();
            let Some(level) = levels.last_mut() else { return };
            match token {
                Token::Sign('(') => {
                    let is_select = tokens.get(at).is_some_and(|next| next.is_word("SELECT"));
                    let nested = level.awaits_table && !is_select;
                    level.awaits_table = false;
                    levels.push(Level { is_select, in_from: nested, awaits_table: nested });
                }
                Token::Sign(')') if depth > 1 => drop(levels.pop()),
                Token::Sign(',') => level.awaits_table = level.in_from,
                Token::Word(_) | Token::Name(_) if level.awaits_table => {
                    at += self.add_table(tokens.get(at - 1..).unwrap_or_default()) - 1;
                    level.awaits_table = false;
                }
                word if word.is_word("SELECT") => *level = Level { is_select: true, ..Level::default() },
                word if word.is_word("FROM") && level.is_select => (level.in_from, level.awaits_table) = (true, true),
                word if word.is_word("JOIN") => level.awaits_table = level.in_from,
                word if END_OF_FROM.iter().any(|end| word.is_word(end)) => level.in_from = false,
                _ => {}
            }
        }
    }

    /// Adds the table that these tokens begin with. Returns the number of tokens that were read.
    fn add_table(&mut self, tokens: &[Token]) -> usize {
        let first = tokens.first().and_then(Token::name).unwrap_or_default();
        let (table, name, read) = match (tokens.get(1), tokens.get(2).and_then(Token::name)) {
            (Some(Token::Sign('.')), Some(name)) => (format!("{first}.{name}"), name, 3),
            _ => (first.clone(), first, 1),
        };
        let rest = tokens.get(read..).unwrap_or_default();
        let named = usize::from(rest.first().is_some_and(|token| token.is_word("AS")));
        let alias = rest.get(named).filter(|token| token.can_be_alias()).and_then(Token::name);
        let read = if alias.is_some() { read + named + 1 } else { read };
        self.tables.push(NamedTable { table, alias: alias.unwrap_or(name) });
        read
    }

    fn add_columns(&mut self, tokens: &[Token]) {
        let mut found = Vec::new();
        for (at, token) in tokens.iter().enumerate() {
            let next = tokens.get(at + 1);
            let is_qualified = at > 0 && tokens.get(at - 1) == Some(&Token::Sign('.'));
            let is_name = token.name().is_some() || *token == Token::Sign('*');
            if !is_name || next == Some(&Token::Sign('.')) {
                continue;
            }
            if is_qualified {
                found.extend(column_before(tokens, at + 1).map(|(column, _)| column));
            } else if token.name().is_some()
                && !token.is_keyword()
                && next != Some(&Token::Sign('('))
                && !tokens.get(at.wrapping_sub(1)).is_some_and(Token::gives_name)
            {
                found.push(ColumnName { alias: None, column: token.name().unwrap_or_default() });
            }
        }
        // Names of tables and their names in the statement look like columns.
        let is_table = |name: &str| self.tables.iter().any(|table| table.alias == name || table.table == name);
        found.retain(|column| column.alias.as_deref().map_or(!is_table(&column.column), is_table));
        self.columns = found;
    }

    fn add_comparisons(&mut self, tokens: &[Token]) {
        for at in (0..tokens.len()).filter(|at| tokens.get(*at) == Some(&Token::Sign('='))) {
            let is_bare = |from: usize| from == 0 || tokens.get(from - 1).is_some_and(Token::begins_condition);
            let before = column_before(tokens, at).filter(|(_, from)| is_bare(*from)).map(|(column, _)| column);
            let after = column_after(tokens, at + 1);
            let operand = |column: &Option<ColumnName>, place: Option<usize>| match column {
                Some(_) => Operand::Column,
                None if place.and_then(|at| tokens.get(at)) == Some(&Token::Parameter) => Operand::Parameter,
                None => Operand::Other,
            };
            let sides = [(&before, operand(&after, Some(at + 1))), (&after, operand(&before, at.checked_sub(1)))];
            let found =
                sides.into_iter().filter_map(|(column, with)| Some(Comparison { column: column.clone()?, with }));
            self.compared.extend(found);
        }
        let aliases: Vec<_> = self.tables.iter().map(|table| table.alias.clone()).collect();
        self.compared.retain(|found| found.column.alias.as_ref().is_none_or(|alias| aliases.contains(alias)));
    }

    /// Returns the columns of the table called `alias` that are compared with parameters; if there are none, those that
    /// are compared with columns of other tables.
    pub fn searched(&self, alias: &str) -> Vec<String> {
        let of_table = |column: &ColumnName| match &column.alias {
            Some(of) => of == alias,
            None => self.tables.len() == 1,
        };
        let with = |operand: Operand| {
            let mut columns: Vec<String> = Vec::new();
            for found in self.compared.iter().filter(|found| found.with == operand && of_table(&found.column)) {
                if !columns.contains(&found.column.column) {
                    columns.push(found.column.column.clone());
                }
            }
            columns
        };
        let by_parameters = with(Operand::Parameter);
        if by_parameters.is_empty() { with(Operand::Column) } else { by_parameters }
    }
}

/// Words that end the list of tables.
const END_OF_FROM: [&str; 7] = ["WHERE", "GROUP", "HAVING", "ORDER", "LIMIT", "UNION", "WINDOW"];

/// Words that are never names of columns or tables in a statement.
const KEYWORDS: &[&str] = &[
    "SELECT",
    "FROM",
    "WHERE",
    "GROUP",
    "HAVING",
    "ORDER",
    "LIMIT",
    "UNION",
    "WINDOW",
    "ALL",
    "DISTINCT",
    "AS",
    "ON",
    "USING",
    "JOIN",
    "LEFT",
    "RIGHT",
    "INNER",
    "OUTER",
    "FULL",
    "CROSS",
    "NATURAL",
    "STRAIGHT_JOIN",
    "AND",
    "OR",
    "NOT",
    "NULL",
    "IS",
    "IN",
    "LIKE",
    "ILIKE",
    "ESCAPE",
    "BETWEEN",
    "EXISTS",
    "CASE",
    "WHEN",
    "THEN",
    "ELSE",
    "END",
    "BY",
    "ASC",
    "DESC",
    "OFFSET",
    "TRAILING",
    "LEADING",
    "BOTH",
    "FOR",
    "COLLATE",
    "TRUE",
    "FALSE",
    "INTERVAL",
    "CAST",
    "BIGINT",
    "INTEGER",
    "INT",
    "TEXT",
    "CHAR",
    "SIGNED",
    "UNSIGNED",
    "BINARY",
    "BOOLEAN",
    "ANY",
    "DIV",
    "XOR",
    "CURRENT_TIMESTAMP",
    "CURRENT_DATE",
    "LOCALTIMESTAMP",
    "SECOND",
    "MINUTE",
    "HOUR",
    "DAY",
    "MONTH",
    "YEAR",
];

/// Words that can follow a table and are not its alias, in addition to [`KEYWORDS`]. Some of them can be names of columns.
const AFTER_TABLE: [&str; 6] = ["USE", "FORCE", "IGNORE", "PARTITION", "TABLESAMPLE", "INDEXED"];

/// The list of tables within one pair of brackets.
#[derive(Clone, Copy, Default)]
struct Level {
    /// True within a `SELECT`; other words before `FROM`, as in `TRIM(BOTH FROM x)`, name no table.
    is_select: bool,
    in_from: bool,
    awaits_table: bool,
}

/// A word or sign of a statement.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Token {
    /// A word without quotes.
    Word(String),
    /// A name, with the quotes around it.
    Name(String),
    /// A parameter: `?`, `$1` or `:name`.
    Parameter,
    /// A text or number.
    Value,
    Sign(char),
}

impl Token {
    fn is_word(&self, keyword: &str) -> bool {
        matches!(self, Token::Word(word) if word.eq_ignore_ascii_case(keyword))
    }

    fn is_keyword(&self) -> bool {
        KEYWORDS.iter().any(|keyword| self.is_word(keyword))
    }

    /// Returns true if the token can be the name that a statement gives to the table before it.
    fn can_be_alias(&self) -> bool {
        !self.is_keyword() && !AFTER_TABLE.iter().any(|keyword| self.is_word(keyword))
    }

    fn name(&self) -> Option<String> {
        match self {
            Token::Word(name) | Token::Name(name) => Some(name.clone()),
            _ => None,
        }
    }

    /// Returns true if a name that follows is given here, to a column or to the result of a subquery.
    fn gives_name(&self) -> bool {
        self.is_word("AS") || *self == Token::Sign(')')
    }

    /// Returns true if what follows is a whole operand of a comparison.
    fn begins_condition(&self) -> bool {
        matches!(self, Token::Sign('('))
            || ["WHERE", "AND", "OR", "ON", "NOT", "WHEN"].iter().any(|word| self.is_word(word))
    }
}

/// Returns the column that ends before this place, and the place where it begins.
fn column_before(tokens: &[Token], at: usize) -> Option<(ColumnName, usize)> {
    let last = tokens.get(at.checked_sub(1)?)?;
    let column = if *last == Token::Sign('*') { "*".to_owned() } else { last.name()? };
    if let (Some(qualified), Some(dot)) = (at.checked_sub(3), at.checked_sub(2))
        && tokens.get(dot) == Some(&Token::Sign('.'))
    {
        let alias = tokens.get(qualified)?.name()?;
        return Some((ColumnName { alias: Some(alias), column }, qualified));
    }
    if last.is_keyword() { None } else { Some((ColumnName { alias: None, column }, at - 1)) }
}

/// Returns the column that begins at this place, if it is the whole operand.
fn column_after(tokens: &[Token], at: usize) -> Option<ColumnName> {
    let first = tokens.get(at).filter(|token| !token.is_keyword())?.name()?;
    let (column, end) = match (tokens.get(at + 1), tokens.get(at + 2)) {
        (Some(Token::Sign('.')), Some(column)) => (ColumnName { alias: Some(first), column: column.name()? }, at + 3),
        _ => (ColumnName { alias: None, column: first }, at + 1),
    };
    let ends = |token: &Token| *token == Token::Sign(')') || token.is_keyword();
    tokens.get(end).is_none_or(ends).then_some(column)
}

/// Reads tokens from the text of a statement.
struct Tokens<I: Iterator<Item = char>>(Peekable<I>);

impl<I: Iterator<Item = char>> Tokens<I> {
    /// Returns what stands before the next `quote`; a doubled one is part of it.
    fn quoted(&mut self, quote: char) -> String {
        let mut text = String::new();
        while let Some(c) = self.0.next() {
            if c == quote && self.0.next_if_eq(&quote).is_none() {
                break;
            }
            text.push(c);
        }
        text
    }

    fn word(&mut self, first: char) -> String {
        let mut word = String::from(first);
        while let Some(c) = self.0.next_if(|c| c.is_alphanumeric() || matches!(c, '_' | '$')) {
            word.push(c);
        }
        word
    }
}

impl<I: Iterator<Item = char>> Iterator for Tokens<I> {
    type Item = Token;

    fn next(&mut self) -> Option<Token> {
        while self.0.next_if(|c| c.is_whitespace()).is_some() {}
        let first = self.0.next()?;
        Some(match first {
            '\'' => {
                self.quoted('\'');
                Token::Value
            }
            '"' | '`' => {
                let doubled = String::from_iter([first, first]);
                Token::Name(format!("{first}{}{first}", self.quoted(first).replace(first, &doubled)))
            }
            '?' => Token::Parameter,
            ':' if self.0.next_if_eq(&':').is_some() => {
                // A cast, with the name of a type behind it.
                while self.0.next_if(|c| c.is_alphanumeric() || *c == '_').is_some() {}
                return self.next();
            }
            ':' | '$' if self.0.peek().is_some_and(|c| c.is_alphanumeric()) => {
                self.word(first);
                Token::Parameter
            }
            digit if digit.is_ascii_digit() => {
                self.word(digit);
                Token::Value
            }
            letter if letter.is_alphabetic() || letter == '_' => Token::Word(self.word(letter)),
            sign => Token::Sign(sign),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn tables(sql: &str) -> Vec<String> {
        References::of(sql).tables.into_iter().map(|table| format!("{} {}", table.table, table.alias)).collect()
    }

    fn name(column: &ColumnName) -> String {
        column.alias.as_ref().map_or_else(|| column.column.clone(), |alias| format!("{alias}.{}", column.column))
    }

    fn columns(sql: &str) -> Vec<String> {
        References::of(sql).columns.iter().map(name).collect()
    }

    fn compared(sql: &str) -> Vec<String> {
        let mark = |found: &Comparison| match found.with {
            Operand::Parameter => " ?",
            Operand::Column => " column",
            Operand::Other => "",
        };
        References::of(sql).compared.iter().map(|found| format!("{}{}", name(&found.column), mark(found))).collect()
    }

    #[test]
    fn tables_have_the_names_that_the_statement_gives_them() {
        assert_eq!(
            tables("SELECT 1 FROM mailbox m JOIN domain AS d ON d.domain = m.domain"),
            ["mailbox m", "domain d"]
        );
        assert_eq!(tables("select a from `alias` where address = ?"), ["`alias` `alias`"]);
        assert_eq!(tables("SELECT 1 FROM a, mail.\"groups\" g WHERE x IN (1, b)"), ["a a", "mail.\"groups\" g"]);
        assert_eq!(
            tables("SELECT (SELECT 1 FROM t) FROM (SELECT * FROM u UNION ALL SELECT * FROM v) w, (x LEFT JOIN y z)"),
            ["t t", "u u", "v v", "x x", "y z"]
        );
        assert_eq!(tables("SELECT TRIM(TRAILING '/' FROM m.maildir) FROM mailbox m ORDER BY a, b"), ["mailbox m"]);
    }

    #[test]
    fn the_first_table_is_found_with_its_alias() {
        for (from, table, alias) in [
            ("person", "person", "person"),
            ("person p JOIN realm d ON d.name = p.realm", "person", "p"),
            ("mail.person AS p, realm d", "mail.person", "p"),
            ("person left join realm d on d.name = person.realm", "person", "person"),
            ("person FORCE INDEX (name) JOIN realm d ON d.name = person.realm", "person", "person"),
            ("person p USE INDEX (name)", "person", "p"),
            ("person LEFT OUTER JOIN realm USING (name)", "person", "person"),
            ("\"user\" u", "\"user\"", "u"),
            ("person,realm", "person", "person"),
        ] {
            let named = NamedTable { table: table.into(), alias: alias.into() };
            assert_eq!(NamedTable::first_of(from), Some(named), "{from}");
        }
        assert_eq!(NamedTable::first_of("(SELECT 1 FROM person) p"), None);
        assert_eq!(NamedTable::first_of(""), None);
        assert_eq!((bare("`mail`.`user`"), bare("p.address"), bare("id")), ("user", "address", "id"));
    }

    #[test]
    fn columns_are_those_that_are_no_words_of_the_language() {
        let sql = "SELECT LOWER(m.username), CASE WHEN d.expiry > 0 THEN 'none' END, active::int, NULL FROM mailbox m \
                   JOIN domain d ON d.domain = m.domain WHERE CAST(? AS text) = '' AND x.y = 1";
        assert_eq!(columns(sql), ["m.username", "d.expiry", "active", "d.domain", "m.domain"]);
        assert_eq!(columns("SELECT t.* FROM t"), ["t.*"]);
        assert_eq!(columns("SELECT COUNT(*) FROM t"), [""; 0]);
        assert_eq!(columns("SELECT a AS b FROM (SELECT 'x' AS c, t.* FROM t) v"), ["a", "t.*"]);
        assert_eq!(columns("SELECT \"group\", 'it''s' FROM t WHERE id=$1"), ["\"group\"", "id"]);
    }

    #[test]
    fn a_column_within_an_expression_is_not_compared() {
        assert_eq!(compared("SELECT 1 FROM t WHERE t.a = ? AND (b = $2) AND ? = c"), ["t.a ?", "b ?", "c ?"]);
        assert_eq!(compared("SELECT 1 FROM t WHERE LOWER(a) = ? AND b + c = :x AND ? = d + 1"), [""; 0]);
        assert_eq!(
            compared("SELECT 1 FROM t JOIN u ON u.id = t.uid AND u.k = 'x'"),
            ["u.id column", "t.uid column", "u.k"]
        );
        assert_eq!(compared("SELECT 1 FROM t WHERE a >= ? AND b <> ?"), [""; 0]);
    }

    #[test]
    fn an_index_would_help_on_what_is_searched_for() {
        let found =
            References::of("SELECT 1 FROM t JOIN u ON u.id = t.uid WHERE t.a = ? AND t.b = ? AND u.on = 1 OR t.a = ?");
        assert_eq!(found.searched("t"), ["a", "b"]);
        assert_eq!(found.searched("u"), ["id"]);
        assert_eq!(References::of("SELECT 1 FROM t WHERE source = ?").searched("t"), ["source"]);
    }

    #[test]
    fn the_table_of_a_column_may_be_the_only_one() {
        let found = References::of("SELECT address FROM alias");
        assert_eq!(found.table_of(&found.columns[0]), Some("alias"));
        let found = References::of("SELECT address FROM alias, domain");
        assert_eq!(found.table_of(&found.columns[0]), None);
    }

    proptest! {
        #[test]
        fn any_text_can_be_read(sql in "(SELECT|FROM|JOIN|[a-z.,()='\"`?:$* ]){0,40}") {
            References::of(&sql);
        }
    }
}
