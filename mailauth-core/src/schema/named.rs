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

/// Returns the text with question marks for its parameters.
pub(super) fn with_question_marks(text: &str, database: DatabaseKind) -> Checked<NamedSql> {
    let tokens = scan(text, database)?;
    Ok(named(text, &tokens))
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

pub(super) fn is_distinct_from(tokens: &[Token<'_>], from: &Token<'_>) -> bool {
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
pub(super) fn is_column(tokens: &[Token<'_>]) -> bool {
    match tokens {
        [name] => name.is_name(),
        [table, dot, name] => table.is_name() && dot.is_symbol(".") && name.is_name(),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const MYSQL: DatabaseKind = DatabaseKind::Mysql;
    const POSTGRES: DatabaseKind = DatabaseKind::Postgres;

    #[test]
    fn each_parameter_becomes_a_question_mark_in_order() {
        let found = condition("u.local = :local AND d.name::text = :domain OR :local = ''", POSTGRES, &Parameter::ALL);
        let found = found.unwrap();
        assert_eq!(found.sql, "u.local = ? AND d.name::text = ? OR ? = ''");
        assert_eq!(found.parameters, [Parameter::Local, Parameter::Domain, Parameter::Local]);
    }

    #[test]
    fn a_condition_has_a_parameter_that_has_a_value() {
        let domain = [Parameter::Domain];
        let problem = |text: &str| condition(text, MYSQL, &domain).unwrap_err();
        assert_eq!(problem("a = 1"), "has no parameter, so that it finds any row; use :domain");
        assert_eq!(problem("a = :login"), "has the parameter :login, which has no value here; use :domain");
        assert!(expression("a = :login", MYSQL).unwrap_err().contains("parameters can only be in find"));
    }

    #[test]
    fn an_expression_is_a_single_one() {
        for text in
            ["m.limit", "CONCAT(a, 'b')", "(SELECT x FROM y WHERE z = m.z)", "a IS DISTINCT FROM b", "5000", "NULL"]
        {
            assert_eq!(expression(text, POSTGRES), Ok(text.to_owned()));
        }
        for (text, said) in [
            ("", "is empty"),
            ("a, b", "has a comma before \"b\""),
            ("a AS b", "has a name for its column"),
            ("a FROM b", "has another clause at \"FROM b\""),
            ("1 UNION SELECT 2", "has another clause"),
            ("a) FROM b WHERE (1", "closes no bracket"),
            ("a INTO OUTFILE '/x'", "writes with \"INTO"),
            ("(SELECT a FROM b FOR UPDATE)", "locks rows with"),
            ("(SELECT a FROM b LOCK IN SHARE MODE)", "locks rows with"),
        ] {
            let problem = expression(text, MYSQL).unwrap_err();
            assert!(problem.contains(said), "{text}: {problem}");
        }
        assert!(tables("a b JOIN c d ON d.x = b.x, (SELECT 1) e", MYSQL).is_ok());
        assert!(tables("a WHERE 1 = 1", MYSQL).unwrap_err().contains("has another clause"));
        assert!(filter("a = 1 LIMIT 1", MYSQL).unwrap_err().contains("has another clause"));
    }

    #[test]
    fn a_statement_is_a_single_select_of_two_columns() {
        let domain = [Parameter::Domain];
        for text in [
            "SELECT a, b FROM c WHERE a = :domain",
            "select DISTINCT f(a, 1), (SELECT 1 FROM d) FROM c WHERE a = :domain ORDER BY b LIMIT 1",
            "SELECT a, 1 FROM c WHERE a = :domain UNION ALL SELECT b, 1 FROM d WHERE b = :domain",
            "SELECT * FROM (SELECT a, b FROM c WHERE a = :domain) d",
        ] {
            assert!(statement(text, MYSQL, &domain).is_ok(), "{text}");
        }
        for (text, said) in [
            ("", "is empty"),
            ("UPDATE a SET b = :domain", "begins with \"UPDATE a SET b = :domain\"; write a single SELECT"),
            ("CALL domain(:domain)", "begins with"),
            ("WITH a AS (SELECT 1) SELECT * FROM a WHERE a = :domain", "begins with"),
            ("SELECT a, b FROM c WHERE a = :domain; DROP TABLE c", "has a semicolon"),
            ("SELECT a, b INTO @x FROM c WHERE a = :domain", "writes with"),
            ("SELECT a, b FROM c WHERE a = :domain FOR NO KEY UPDATE", "locks rows with"),
            ("SELECT * FROM c WHERE a = :domain", "selects all columns at \"* FROM c"),
            ("SELECT c.* FROM c WHERE a = :domain", "selects all columns"),
            ("SELECT a FROM c WHERE a = :domain", "selects 1 column at"),
            ("SELECT a, b, c FROM c WHERE a = :domain", "selects 3 columns at"),
            ("SELECT a, b FROM c WHERE a = :domain UNION SELECT a FROM d", "selects 1 column at \"a FROM d\""),
            ("SELECT a, b FROM c", "has no parameter"),
        ] {
            let problem = statement(text, MYSQL, &domain).unwrap_err();
            assert!(problem.contains(said), "{text}: {problem}");
        }
    }

    #[test]
    fn a_column_is_a_name_with_or_without_that_of_its_table() {
        for text in ["a", "m.a", "`m`.`a`", "\"order\""] {
            assert_eq!(column(text, MYSQL), Ok(text.to_owned()));
        }
        for text in ["", "a b", "LOWER(a)", "'a'", "a.", "1", ":login", "a.b.c"] {
            assert!(column(text, MYSQL).is_err(), "{text}");
        }
    }

    proptest! {
        #[test]
        fn any_text_is_accepted_or_refused(
            text in prop_oneof!["(?s).{0,80}", "(SELECT|FROM|WHERE|AND|INTO|:domain|a|'x'|,|\\(|\\)|=|\\*| ){0,20}"]
        ) {
            for database in [MYSQL, POSTGRES, DatabaseKind::Sqlite] {
                let _ = (expression(&text, database), tables(&text, database), column(&text, database));
                for found in [condition(&text, database, &Parameter::ALL), statement(&text, database, &Parameter::ALL)] {
                    let Ok(found) = found else { continue };
                    prop_assert_eq!(found.sql.matches('?').count(), found.parameters.len());
                }
            }
        }
    }
}
