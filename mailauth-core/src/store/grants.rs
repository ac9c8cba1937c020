//! Reads what `SHOW GRANTS` of MySQL and MariaDB prints, such as
//! ``GRANT SELECT, UPDATE (`password`) ON `mail`.`accounts` TO `mailauth`@`%` ``, and compares it with what is needed.

use super::driver::{Needs, Rights};

/// One right on one object.
#[derive(Debug, PartialEq, Eq)]
struct Right {
    /// `SELECT`, `ALL PRIVILEGES`, `GRANT OPTION`...
    name: String,
    /// The columns it is for; none is all.
    columns: Vec<String>,
    /// `*.*`, `mail.*`, `mail.accounts`.
    object: String,
}

impl Right {
    fn covers(&self, name: &str, database: &str, table: &str) -> bool {
        let named = self.name == name || self.name == "ALL PRIVILEGES";
        named && [format!("{database}.{table}"), format!("{database}.*"), "*.*".to_owned()].contains(&self.object)
    }
}

impl std::fmt::Display for Right {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.name)?;
        if !self.columns.is_empty() {
            write!(f, " ({})", self.columns.join(", "))?;
        }
        write!(f, " on {}", self.object)
    }
}

pub(super) fn compare(lines: &[String], database: &str, needs: &Needs) -> Rights {
    let rights: Vec<Right> = lines.iter().flat_map(|line| parse(line)).collect();
    let missing_read =
        needs.reads.iter().filter(|table| !rights.iter().any(|right| right.covers("SELECT", database, table)));
    let mut out =
        Rights { missing: missing_read.map(|table| format!("SELECT on {table}")).collect(), ..Rights::default() };
    let may_update = |column: &String| {
        rights.iter().any(|right| {
            right.covers("UPDATE", database, &needs.accounts)
                && (right.columns.is_empty() || right.columns.contains(column))
        })
    };
    let unwritable: Vec<&str> = needs.updates.iter().filter(|c| !may_update(c)).map(String::as_str).collect();
    if !unwritable.is_empty() {
        out.missing.push(format!(
            "UPDATE ({}) on {} (passwords cannot be changed)",
            unwritable.join(", "),
            needs.accounts
        ));
    }
    let is_needed = |right: &Right| {
        let table = right.object.strip_prefix(database).and_then(|rest| rest.strip_prefix('.')).unwrap_or_default();
        match right.name.as_str() {
            "USAGE" => true,
            "SELECT" => needs.reads.iter().any(|needed| needed == table),
            "UPDATE" => {
                table == needs.accounts
                    && !right.columns.is_empty()
                    && right.columns.iter().all(|column| needs.updates.contains(column))
            }
            _ => false,
        }
    };
    out.too_wide = rights.iter().filter(|right| !is_needed(right)).map(Right::to_string).collect();
    out.too_wide.dedup();
    out
}

/// The rights of one line; none of a line that grants a role.
fn parse(line: &str) -> Vec<Right> {
    let Some((names, rest)) = line.strip_prefix("GRANT ").and_then(|rest| rest.split_once(" ON ")) else {
        return Vec::new();
    };
    let object = rest.split(" TO ").next().unwrap_or_default();
    // A backslash keeps the letters _ and % of a database's name from being wildcards.
    let object = object.replace(['`', '\\'], "");
    let mut rights = Vec::new();
    let mut names = names;
    while !names.is_empty() {
        let (name, columns, after) = match (names.find(','), names.find('(')) {
            (comma, Some(open)) if comma.is_none_or(|comma| open < comma) => {
                let (columns, after) = names[open + 1..].split_once(')').unwrap_or((&names[open + 1..], ""));
                (&names[..open], columns, after.strip_prefix(',').unwrap_or(after))
            }
            (Some(comma), _) => (&names[..comma], "", &names[comma + 1..]),
            (None, _) => (names, "", ""),
        };
        let columns = columns.split(',').map(|column| column.trim().trim_matches('`').to_owned());
        rights.push(Right {
            name: name.trim().to_owned(),
            columns: columns.filter(|column| !column.is_empty()).collect(),
            object: object.clone(),
        });
        names = after.trim_start();
    }
    if rest.ends_with("WITH GRANT OPTION") {
        rights.push(Right { name: "GRANT OPTION".into(), columns: Vec::new(), object });
    }
    rights
}

#[cfg(test)]
mod tests {
    use super::*;

    fn needs() -> Needs {
        Needs {
            tables: vec!["accounts".into(), "domains".into(), "aliases".into()],
            reads: vec!["accounts".into(), "domains".into()],
            accounts: "accounts".into(),
            updates: vec!["password".into(), "updated_at".into()],
        }
    }

    fn of(lines: &[&str]) -> (Vec<String>, Vec<String>) {
        let lines: Vec<String> = lines.iter().map(|line| (*line).to_owned()).collect();
        let rights = compare(&lines, "mail", &needs());
        (rights.too_wide, rights.missing)
    }

    #[test]
    fn the_exact_rights_are_neither_too_wide_nor_too_narrow() {
        let exact = [
            "GRANT `mailauth_reader` TO `m`@`%`",
            "GRANT USAGE ON *.* TO `m`@`%` IDENTIFIED BY PASSWORD '*X'",
            "GRANT SELECT, UPDATE (`updated_at`, `password`) ON `mail`.`accounts` TO `m`@`%`",
            "GRANT SELECT ON `mail`.`domains` TO `m`@`%`",
        ];
        assert_eq!(of(&exact), (vec![], vec![]));
    }

    #[test]
    fn all_privileges_are_enough_and_too_much() {
        let (too_wide, missing) = of(&["GRANT ALL PRIVILEGES ON `mail`.* TO `m`@`%` WITH GRANT OPTION"]);
        assert_eq!(too_wide, ["ALL PRIVILEGES on mail.*", "GRANT OPTION on mail.*"]);
        assert!(missing.is_empty());
    }

    #[test]
    fn what_is_missing_is_named() {
        let (too_wide, missing) = of(&[
            "GRANT INSERT, SELECT ON `mail`.`accounts` TO `m`@`%`",
            "GRANT UPDATE (`password`, `home`) ON `mail`.`accounts` TO `m`@`%`",
            "GRANT SELECT ON `other`.`domains` TO `m`@`%`",
        ]);
        assert_eq!(
            too_wide,
            ["INSERT on mail.accounts", "UPDATE (password, home) on mail.accounts", "SELECT on other.domains"]
        );
        assert_eq!(missing, ["SELECT on domains", "UPDATE (updated_at) on accounts (passwords cannot be changed)"]);
    }
}
