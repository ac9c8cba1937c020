//! The SQL of each kind of database, where they differ in what a conversion writes.

/// A kind of database.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Dialect {
    Mysql,
    Postgres,
    Sqlite,
}

impl Dialect {
    /// Returns true if `\` escapes a character in a text, and `"` encloses a text, as MySQL reads them.
    pub fn is_mysql(self) -> bool {
        self == Dialect::Mysql
    }

    /// Returns the text as an SQL literal.
    pub fn literal(self, text: &str) -> String {
        let text = text.replace('\'', "''");
        let text = if self.is_mysql() { text.replace('\\', "\\\\") } else { text };
        format!("'{text}'")
    }

    /// Returns the expression that joins the texts of `parts`.
    pub fn concat(self, parts: &[String]) -> String {
        match (self, parts) {
            (_, [one]) => one.clone(),
            (Dialect::Mysql, parts) => format!("CONCAT({})", parts.join(", ")),
            (_, parts) => parts.iter().map(|part| operand(part)).collect::<Vec<_>>().join(" || "),
        }
    }

    /// Returns a bound parameter as an operand of an operator. PostgreSQL does not know its type there.
    pub fn parameter(self, name: &str) -> String {
        if self == Dialect::Postgres { format!("CAST(:{name} AS text)") } else { format!(":{name}") }
    }

    /// Returns the greater of a number and 0; NULL or 0 for NULL.
    pub fn not_negative(self, number: &str) -> String {
        match self {
            Dialect::Sqlite => format!("MAX({number}, 0)"),
            Dialect::Mysql | Dialect::Postgres => format!("GREATEST({number}, 0)"),
        }
    }

    /// Returns `number * factor` without an overflow at 2^31.
    pub fn multiplied(self, number: &str, factor: u64) -> String {
        let number = self.whole(number);
        if factor == 1 { number } else { format!("{} * {factor}", operand(&number)) }
    }

    /// Returns the number as a whole number of 64 bits.
    fn whole(self, number: &str) -> String {
        match self {
            Dialect::Postgres => format!("CAST({number} AS bigint)"),
            // A quotient is a DECIMAL to MySQL.
            Dialect::Mysql if number.contains('/') => format!("CAST({number} AS SIGNED)"),
            Dialect::Mysql | Dialect::Sqlite => number.to_owned(),
        }
    }

    /// Returns the part of an address before its `@`.
    pub fn local_part(self, address: &str) -> String {
        match self {
            Dialect::Mysql => format!("SUBSTRING_INDEX({address}, '@', 1)"),
            Dialect::Postgres => format!("split_part({address}, '@', 1)"),
            Dialect::Sqlite => format!("substr({0}, 1, instr({0}, '@') - 1)", operand(address)),
        }
    }

    /// Returns the part of an address after its `@`.
    pub fn domain_part(self, address: &str) -> String {
        match self {
            Dialect::Mysql => format!("SUBSTRING_INDEX({address}, '@', -1)"),
            Dialect::Postgres => format!("split_part({address}, '@', 2)"),
            Dialect::Sqlite => format!("substr({0}, instr({0}, '@') + 1)", operand(address)),
        }
    }

    /// Returns the list of the services whose condition holds, each given as a text expression that is NULL otherwise, and
    /// `'none'` for an empty list.
    pub fn service_list(self, items: &[(String, Option<String>)]) -> String {
        let joined = match self {
            Dialect::Mysql | Dialect::Postgres => {
                let item = |(name, condition): &(String, Option<String>)| match condition {
                    None => format!("'{name}'"),
                    Some(condition) => format!("CASE WHEN {condition} THEN '{name}' END"),
                };
                format!("CONCAT_WS(',', {})", items.iter().map(item).collect::<Vec<_>>().join(", "))
            }
            Dialect::Sqlite => {
                let item = |(name, condition): &(String, Option<String>)| match condition {
                    None => format!("'{name},'"),
                    Some(condition) => format!("CASE WHEN {condition} THEN '{name},' ELSE '' END"),
                };
                format!("rtrim({}, ',')", items.iter().map(item).collect::<Vec<_>>().join(" || "))
            }
        };
        format!("COALESCE(NULLIF({joined}, ''), 'none')")
    }
}

/// Returns the expression in brackets, unless it is a name, a number, a text or a call.
pub fn operand(expression: &str) -> String {
    let is_name = |text: &str| text.chars().all(|c| c.is_alphanumeric() || matches!(c, '_' | '.' | ':' | '`'));
    let inner = expression.strip_prefix('\'').and_then(|rest| rest.strip_suffix('\''));
    let is_text = inner.is_some_and(|inner| !inner.replace("''", "").contains('\''));
    let is_call = expression.strip_suffix(')').and_then(|rest| rest.split_once('(')).is_some_and(|(name, inside)| {
        is_name(name) && {
            let mut depth = 0i64;
            let mut closed_early = inside.contains(['\'', '"']) && inside.contains(')');
            for c in inside.chars() {
                depth += match c {
                    '(' => 1,
                    ')' => -1,
                    _ => 0,
                };
                closed_early |= depth < 0;
            }
            !closed_early
        }
    });
    if is_name(expression) || is_text || is_call { expression.to_owned() } else { format!("({expression})") }
}
