//! The differences between the SQL of the databases.

/// The SQL of one database, where it differs from the others.
pub(crate) struct Dialect {
    /// True if each statement is sent to a server.
    pub(crate) is_remote: bool,
    /// True if placeholders are `$1`, `$2`... instead of `?`.
    pub(crate) numbered: bool,
    /// Statement that begins a transaction that will write.
    pub(crate) begin: &'static str,
    /// Expression for the current time in UTC, of the type of the time columns.
    pub(crate) now: &'static str,
    /// Expression that formats the time `{}` as text such as `2026-11-23 20:00:00`.
    pub(crate) time_text: &'static str,
    /// Expression that turns such a text `{}` into a time, for comparison with a time column.
    pub(crate) time_value: &'static str,
    /// True if a comparison of row values, `(a, b) > (1, 2)`, uses an index that begins with these columns.
    pub(crate) row_values: bool,
    /// Suffix of a table name that forces the index `{}`, where the database would often choose a worse plan.
    pub(crate) by_index: &'static str,
    /// Condition that compares the expression `{}` with a parameter byte by byte, whatever the collation.
    pub(crate) same_bytes: &'static str,
    /// Expression that reads the text column `{}` if it has at most `{most}` bytes, and otherwise gives some value of
    /// at least `{more}` bytes, so that a text that is too long is not read whole.
    pub(crate) bounded: &'static str,
    /// Beginning of a `SELECT` that reads the first table of a join first, in the order of the index that it is sorted by.
    pub(crate) select_in_order: &'static str,
    /// Expressions for the parts of the login `{}` before and after its last `@`; `None` if what they give cannot be
    /// compared with every column.
    pub(crate) login_parts: Option<[&'static str; 2]>,
    /// Expression that converts `{}`, of any type, to text.
    pub(crate) as_text: &'static str,
    /// Clause of an `INSERT` that updates the existing row with the same key `{}` instead.
    pub(crate) or_update: &'static str,
    /// Expression in that clause for the new value of the column `{}`.
    pub(crate) new_value: &'static str,
    /// Expression in that clause for the sum of the existing row's column `{old}` and the new row's `{column}`, at most
    /// 2^63 - 1.
    pub(crate) added: &'static str,
    /// Statement that counts the tables with the name given as a parameter in our schema.
    pub(crate) table_exists: &'static str,
    /// Statement that waits for the lock under which the schema is changed; empty if `begin` takes it.
    pub(crate) lock: &'static str,
    /// Statement that releases that lock; empty if the end of the transaction does.
    pub(crate) unlock: &'static str,
    /// Statements that create the whole schema in a new database.
    pub(crate) schema: &'static str,
    /// Statements that migrate the schema; those from version n to n + 1 are at index n - 1.
    pub(crate) migrations: &'static [&'static str],
}

impl Dialect {
    /// Returns the expression that reads the text `column` if it has at most `most` bytes.
    pub(crate) fn bounded(&self, column: &str, most: usize) -> String {
        let (more, most) = ((most + 1).to_string(), most.to_string());
        self.bounded.replace("{most}", &most).replace("{more}", &more).replace("{}", column)
    }

    /// Returns the condition that `columns`, in their order, come after the values of parameters. Each parameter but
    /// the last is given twice.
    ///
    /// Pages are read with it, so it must be written so that the database seeks in the index that begins with these
    /// columns. PostgreSQL does not do so for a condition with `OR`, and MariaDB does so for no other form.
    pub(crate) fn after(&self, columns: &[&str]) -> String {
        self.beyond(columns, "{}")
    }

    /// Returns the same condition for a first column that is a time, given as text.
    pub(crate) fn since(&self, columns: &[&str]) -> String {
        self.beyond(columns, self.time_value)
    }

    /// Returns the condition that a row belongs to the domain given by two parameters, and that `columns` come after
    /// the values of the next ones, as in [`Dialect::after`]. Ordered by the domain and the columns, this reads a page
    /// of that domain.
    ///
    /// A comparison for equality would let a database scan all domains in the order of the columns and filter, which is
    /// a good plan only if rows of this domain are everywhere.
    pub(crate) fn within(&self, domain: &str, columns: &[&str]) -> String {
        match self.row_values {
            true => {
                let all: Vec<_> = [domain].iter().chain(columns).copied().collect();
                let after = self.beyond(&all, "{}").replacen("COALESCE(?, ?)", "?", 1);
                format!("{domain} <= ? AND {after}")
            }
            false => format!("{domain} >= ? AND {domain} <= ? AND ({})", self.after(columns)),
        }
    }

    fn beyond(&self, columns: &[&str], first: &str) -> String {
        let last = columns.len().saturating_sub(1);
        let value = |index: usize, given: &str| match index {
            0 => first.replace("{}", given),
            _ => given.to_owned(),
        };
        if self.row_values {
            let given = |index| value(index, if index == last { "?" } else { "COALESCE(?, ?)" });
            let values: Vec<_> = (0..columns.len()).map(given).collect();
            return format!("({}) > ({})", columns.join(", "), values.join(", "));
        }
        let mut condition = String::new();
        for (index, column) in columns.iter().enumerate().rev() {
            let value = value(index, "?");
            condition = match condition.as_str() {
                "" => format!("{column} > {value}"),
                rest => format!("{column} > {value} OR ({column} = {value} AND ({rest}))"),
            };
        }
        condition
    }

    /// Returns `sql` with its question marks replaced by the placeholders of this database.
    pub(crate) fn placeholders(&self, sql: &str) -> String {
        if !self.numbered {
            return sql.to_owned();
        }
        let mut out = String::with_capacity(sql.len() + 16);
        for (number, part) in sql.split('?').enumerate() {
            if number > 0 {
                out.push('$');
                out.push_str(&number.to_string());
            }
            out.push_str(part);
        }
        out
    }
}
