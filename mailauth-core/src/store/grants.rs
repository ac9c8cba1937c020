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

    /// Is it for none but these columns?
    fn is_only_for(&self, columns: &[String]) -> bool {
        !self.columns.is_empty() && self.columns.iter().all(|column| columns.contains(column))
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
    if let Some(columns) = unwritable(&rights, database, &needs.accounts, &needs.updates) {
        out.missing.push(format!("UPDATE ({columns}) on {} (passwords cannot be changed)", needs.accounts));
    }
    if rights.iter().any(|right| right.object == format!("{database}.{}", needs.uses)) {
        out.missing.extend(undelivered(&rights, database, needs));
    }
    let is_needed = |right: &Right| {
        let table = right.object.strip_prefix(database).and_then(|rest| rest.strip_prefix('.')).unwrap_or_default();
        match right.name.as_str() {
            "USAGE" => true,
            "SELECT" if needs.reads.iter().any(|needed| needed == table) => true,
            name if table == needs.uses && Needs::DELIVERY.contains(&name) => true,
            "UPDATE" if table == needs.accounts => right.is_only_for(&needs.updates),
            "UPDATE" if table == needs.uses => right.is_only_for(&needs.use_updates),
            _ => false,
        }
    };
    out.too_wide = rights.iter().filter(|right| !is_needed(right)).map(Right::to_string).collect();
    out.too_wide.dedup();
    out
}

/// The columns of `wanted` that may not be written to, if there are any.
fn unwritable(rights: &[Right], database: &str, table: &str, wanted: &[String]) -> Option<String> {
    let may_update = |column: &String| {
        rights.iter().any(|right| {
            right.covers("UPDATE", database, table) && (right.columns.is_empty() || right.columns.contains(column))
        })
    };
    let unwritable: Vec<&str> = wanted.iter().filter(|c| !may_update(c)).map(String::as_str).collect();
    (!unwritable.is_empty()).then(|| unwritable.join(", "))
}

/// What somebody lacks who has some right on the table of what mailboxes hold, and so delivers mail.
fn undelivered(rights: &[Right], database: &str, needs: &Needs) -> Vec<String> {
    let lacks = |name: &&str| !rights.iter().any(|right| right.covers(name, database, &needs.uses));
    let whole = Needs::DELIVERY.into_iter().filter(lacks).map(|name| needs.undelivered(name));
    let columns = unwritable(rights, database, &needs.uses, &needs.use_updates);
    whole.chain(columns.map(|columns| needs.undelivered(&format!("UPDATE ({columns})")))).collect()
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
            uses: "mailbox_use".into(),
            use_updates: vec!["bytes".into()],
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
    fn who_delivers_needs_all_of_it() {
        let daemon = [
            "GRANT SELECT, UPDATE (`updated_at`, `password`) ON `mail`.`accounts` TO `m`@`%`",
            "GRANT SELECT ON `mail`.`domains` TO `m`@`%`",
        ];
        let with =
            |right: &str| of(&[daemon[0], daemon[1], &format!("GRANT {right} ON `mail`.`mailbox_use` TO `m`@`%`")]);
        assert_eq!(with("SELECT, INSERT, UPDATE (`bytes`)"), (vec![], vec![]));
        let (too_wide, missing) = with("SELECT, UPDATE (`login`), DELETE");
        assert_eq!(too_wide, ["UPDATE (login) on mail.mailbox_use", "DELETE on mail.mailbox_use"]);
        let lacking = |right: &str| format!("{right} on mailbox_use (quotas of domains cannot be kept)");
        assert_eq!(missing, [lacking("INSERT"), lacking("UPDATE (bytes)")]);
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
