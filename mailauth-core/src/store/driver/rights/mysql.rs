//! Parses the output of `SHOW GRANTS` of MySQL and MariaDB, such as
//! ``GRANT SELECT, UPDATE (`password`) ON `mail`.`accounts` TO `mailauth`@`%` ``, and compares it with what is needed.

use crate::store::driver::rights::plan::{self as cure, Held, Revoke, Words};
use crate::store::driver::{Delivery, Needs, Rights};
use std::collections::BTreeSet;

/// One privilege on one object.
#[derive(Debug, PartialEq, Eq)]
struct Right {
    /// `SELECT`, `ALL PRIVILEGES`, `GRANT OPTION`...
    name: String,
    /// Columns that it is limited to; empty for the whole object.
    columns: Vec<String>,
    /// `*.*`, `mail.*`, `mail.accounts`.
    object: String,
    /// The object, quoted as the server prints it.
    quoted: String,
    /// The user or role that has it, quoted.
    grantee: String,
}

/// The grant of a role to the user or to another role, both quoted.
#[derive(Debug, PartialEq, Eq)]
struct Membership {
    role: String,
    member: String,
}

impl Right {
    /// Returns true if it includes the privilege `name` on this table.
    fn covers(&self, name: &str, database: &str, table: &str) -> bool {
        let named = self.name == name || self.name == "ALL PRIVILEGES";
        named && [format!("{database}.{table}"), format!("{database}.*"), "*.*".to_owned()].contains(&self.object)
    }

    /// Returns true if `other` is the same privilege, whatever its grantee.
    fn is_same(&self, other: &Right) -> bool {
        (&self.name, &self.columns, &self.object) == (&other.name, &other.columns, &other.object)
    }

    /// Returns the table of `database` that it is on; empty if it is on something else, or on more than one table.
    fn table(&self, database: &str) -> &str {
        self.object.strip_prefix(database).and_then(|rest| rest.strip_prefix('.')).unwrap_or_default()
    }

    /// Returns true if a daemon needs it.
    fn is_needed(&self, database: &str, needs: &Needs) -> bool {
        self.name == "USAGE" || needs.justify(&self.name, &self.columns, self.table(database))
    }

    /// Returns the statement that revokes it.
    fn revoke(&self) -> Revoke {
        // On MariaDB, privileges of all users belong to PUBLIC, which is a keyword and must not be quoted.
        let from = if self.grantee == EVERYBODY { "PUBLIC" } else { &self.grantee };
        Revoke::Right { right: self.quoted_name(), from: format!("ON {} FROM {from}", self.quoted) }
    }

    /// Returns true if it makes its user an administrator of the server.
    fn administers(&self) -> bool {
        self.object == "*.*" && ADMINISTRATORS.contains(&self.name.as_str())
    }

    /// Returns its name and its object, for reports.
    fn named(&self) -> (String, String) {
        let name = match self.columns.is_empty() {
            true => self.name.clone(),
            false => format!("{} ({})", self.name, self.columns.join(", ")),
        };
        let of_all = if self.grantee == EVERYBODY { " (granted to every user)" } else { "" };
        (name, format!("{}{of_all}", self.object))
    }

    /// Returns the statement that grants it to a role.
    fn grant_to(&self, role: &str) -> String {
        format!("GRANT {} ON {} TO {role}", self.quoted_name(), self.quoted)
    }

    /// Returns its name, with its columns if it is limited to some.
    fn quoted_name(&self) -> String {
        let columns: Vec<_> = self.columns.iter().map(|column| quote(column)).collect();
        if columns.is_empty() { self.name.clone() } else { format!("{} ({})", self.name, columns.join(", ")) }
    }
}

/// The grantee on MariaDB whose privileges all users have.
const EVERYBODY: &str = "`PUBLIC`";

/// Privileges on a whole server that make a user an administrator.
const ADMINISTRATORS: [&str; 7] =
    ["ALL PRIVILEGES", "GRANT OPTION", "SUPER", "CREATE USER", "SYSTEM_USER", "CREATE ROLE", "ROLE_ADMIN"];

/// Returns those of the `wanted` privileges, each on a whole table, that no line of `SHOW GRANTS` gives.
pub(in crate::store) fn lacking(lines: &[String], database: &str, wanted: &[(&str, &str)]) -> Vec<String> {
    let rights: Vec<Right> = lines.iter().flat_map(|line| parse(line)).collect();
    let lacks = |(name, table): &&(&str, &str)| {
        !rights.iter().any(|right| right.columns.is_empty() && right.covers(name, database, table))
    };
    let named = |(name, table): &(&str, &str)| ((*name).to_owned(), (*table).to_owned());
    cure::by_object(wanted.iter().filter(lacks).map(named))
}

/// Compares the lines of `SHOW GRANTS` of `user`, such as `mail@%`, with what is needed.
pub(in crate::store) fn compare(lines: &[String], user: &str, database: &str, needs: &Needs) -> Rights {
    let rights: Vec<Right> = lines.iter().flat_map(|line| parse(line)).collect();
    let missing_read =
        needs.reads.iter().filter(|table| !rights.iter().any(|right| right.covers("SELECT", database, table)));
    let mut out =
        Rights { missing: missing_read.map(|table| format!("SELECT on {table}")).collect(), ..Rights::default() };
    if let Some(columns) = unwritable(&rights, database, &needs.accounts, &needs.updates) {
        out.missing.push(format!("UPDATE ({columns}) on {} (passwords cannot be changed)", needs.accounts));
    }
    if rights.iter().any(|right| needs.delivery(right.table(database)).is_some()) {
        out.missing.extend(undelivered(&rights, database, needs));
    }
    out.too_wide = cure::by_object(rights.iter().filter(|right| !right.is_needed(database, needs)).map(Right::named));
    out.user = user.to_owned();
    let great = cure::by_object(rights.iter().filter(|right| right.administers()).map(Right::named));
    if !great.is_empty() {
        out.administrator = Some(great.join("; "));
        out.cure = own_user(user, database, needs);
    } else if !(out.missing.is_empty() && out.too_wide.is_empty()) {
        let memberships: Vec<_> = lines.iter().filter_map(|line| membership(line)).collect();
        out.cure = corrections(&rights, &memberships, user, database, needs);
    }
    out
}

/// Returns the statements that create a user for the daemon, separate from the administrator `user`.
fn own_user(user: &str, database: &str, needs: &Needs) -> Vec<String> {
    let (name, host) = user.rsplit_once('@').unwrap_or((user, "localhost"));
    let name = if name == cure::DAEMON { "mailauth_daemon" } else { cure::DAEMON };
    let words = Mysql { user: quoted_user(&format!("{name}@{host}")), database };
    let mut statements = vec![format!("CREATE USER {} IDENTIFIED BY '{}'", words.user, cure::PASSWORD)];
    statements.extend(cure::plan(&[], needs, true, &words));
    statements
}

/// Returns the statements that correct the privileges of `user`.
fn corrections(rights: &[Right], memberships: &[Membership], user: &str, database: &str, needs: &Needs) -> Vec<String> {
    let words = Mysql { user: quoted_user(user), database };
    let held: Vec<Held> = rights
        .iter()
        .filter(|right| right.name != "USAGE")
        .map(|right| Held {
            right: right.name.clone(),
            columns: right.columns.clone(),
            table: right.table(database).to_owned(),
            roles: ways(&words.user, &right.grantee, memberships),
            revoke: right.revoke(),
        })
        .collect();
    let delivers = needs.delivery.iter().any(|Delivery { table, .. }| {
        let covers = |right: &Right| Needs::DELIVERY.iter().any(|name| right.covers(name, database, table));
        rights.iter().any(|right| covers(right) || right.table(database) == table)
    });
    cure::plan(&held, needs, delivers, &words)
}

/// Returns the roles of `user` that lead to `grantee`; none if `grantee` is the user itself.
fn ways(user: &str, grantee: &str, memberships: &[Membership]) -> Vec<String> {
    if grantee == user {
        return Vec::new();
    }
    let leads_there = |role: &&String| {
        let (mut waiting, mut seen) = (vec![role.as_str()], BTreeSet::new());
        while let Some(role) = waiting.pop() {
            if seen.insert(role) {
                waiting.extend(roles_of(role, memberships));
            }
        }
        seen.contains(grantee)
    };
    let direct: BTreeSet<String> = roles_of(user, memberships).map(str::to_owned).collect();
    direct.iter().filter(leads_there).cloned().collect()
}

/// Returns the roles that are granted to `member` directly.
fn roles_of<'m>(member: &str, memberships: &'m [Membership]) -> impl Iterator<Item = &'m str> {
    let member = member.to_owned();
    memberships.iter().filter(move |membership| membership.member == member).map(|membership| membership.role.as_str())
}

/// The quoting of names on MySQL and MariaDB.
struct Mysql<'d> {
    user: String,
    database: &'d str,
}

impl Words for Mysql<'_> {
    fn user(&self) -> &str {
        &self.user
    }

    fn table(&self, name: &str) -> String {
        format!("{}.{}", quote(self.database), quote(name))
    }

    fn column(&self, name: &str) -> String {
        quote(name)
    }
}

/// Quotes a name so that both servers accept it, whatever their sql_mode.
fn quote(name: &str) -> String {
    format!("`{}`", name.replace('`', "``"))
}

/// Parses `CURRENT_ROLE()`, such as ``  `reader`@`%`,`writer`@`%`  ``, into quoted roles; `NONE` has none.
pub(in crate::store) fn roles(list: &str) -> Vec<String> {
    let (mut roles, mut rest) = (Vec::new(), list);
    while !rest.is_empty() && rest != "NONE" {
        let (role, after) = split_outside(rest, ",").unwrap_or((rest, ""));
        roles.push(names_at(role.trim()));
        rest = after;
    }
    roles
}

/// Returns the privileges in `SHOW GRANTS ... USING role` that are not in the user's `own`, as grants to the role.
pub(in crate::store) fn by_role(own: &[String], with: &[String], role: &str) -> Vec<String> {
    let own: Vec<Right> = own.iter().flat_map(|line| parse(line)).collect();
    let is_own = |right: &Right| own.iter().any(|other| other.is_same(right));
    let theirs = with.iter().flat_map(|line| parse(line)).filter(|right| !is_own(right));
    theirs.map(|right| right.grant_to(role)).collect()
}

/// Quotes the value of `CURRENT_USER()`, whose host part contains no `@`.
pub(in crate::store) fn quoted_user(user: &str) -> String {
    match user.rsplit_once('@') {
        Some((name, host)) => format!("{}@{}", quote(name), quote(host)),
        None => quote(user),
    }
}

/// Returns those of the `wanted` columns that the user may not update, if there are any.
fn unwritable(rights: &[Right], database: &str, table: &str, wanted: &[String]) -> Option<String> {
    let may_update = |column: &String| {
        rights.iter().any(|right| {
            right.covers("UPDATE", database, table) && (right.columns.is_empty() || right.columns.contains(column))
        })
    };
    let unwritable: Vec<&str> = wanted.iter().filter(|c| !may_update(c)).map(String::as_str).collect();
    (!unwritable.is_empty()).then(|| unwritable.join(", "))
}

/// Returns the missing privileges of a user that delivers mail, as it has some privilege on the tables of mailbox
/// usage.
fn undelivered(rights: &[Right], database: &str, needs: &Needs) -> Vec<String> {
    let of_table = |delivery: &Delivery| {
        let lacks = |name: &&str| !rights.iter().any(|right| right.covers(name, database, &delivery.table));
        let mut missing: Vec<_> =
            Needs::DELIVERY.into_iter().filter(lacks).map(|name| delivery.lacking(name)).collect();
        let columns = unwritable(rights, database, &delivery.table, &delivery.updates);
        missing.extend(columns.map(|columns| delivery.lacking(&format!("UPDATE ({columns})"))));
        missing
    };
    needs.delivery.iter().flat_map(of_table).collect()
}

/// Parses the privileges of one line; a line that grants a role has none.
fn parse(line: &str) -> Vec<Right> {
    let Some((names, rest)) = line.strip_prefix("GRANT ").and_then(|rest| split_outside(rest, " ON ")) else {
        return Vec::new();
    };
    let (quoted, rest) = split_outside(rest, " TO ").unwrap_or((rest, ""));
    let grantee = names_at(rest);
    // A backslash escapes the wildcards _ and % in the name of a database.
    let object = unquoted(quoted).replace('\\', "");
    let right = |name: &str, columns| Right {
        name: name.trim().to_owned(),
        columns,
        object: object.clone(),
        quoted: quoted.to_owned(),
        grantee: grantee.clone(),
    };
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
        rights.push(right(name, columns.filter(|column| !column.is_empty()).collect()));
        names = after.trim_start();
    }
    if rest.ends_with("WITH GRANT OPTION") {
        rights.push(right("GRANT OPTION", Vec::new()));
    }
    rights
}

/// Parses a line that grants a role; returns `None` for any other line.
fn membership(line: &str) -> Option<Membership> {
    let rest = line.strip_prefix("GRANT ").filter(|rest| split_outside(rest, " ON ").is_none())?;
    let (role, member) = split_outside(rest, " TO ")?;
    Some(Membership { role: names_at(role), member: names_at(member) })
}

/// Splits `text` at the first `word` outside quotes.
fn split_outside<'t>(text: &'t str, word: &str) -> Option<(&'t str, &'t str)> {
    let mut quote = None;
    for (at, c) in text.char_indices() {
        match quote {
            Some(open) if c == open => quote = None,
            Some(_) => {}
            None if c == '`' || c == '\'' => quote = Some(c),
            None => {
                if let Some(after) = text.get(at..).and_then(|rest| rest.strip_prefix(word)) {
                    return Some((&text[..at], after));
                }
            }
        }
    }
    None
}

/// Returns the name at the beginning of `text`, with the one after an `@` if there is one, each quoted by [`quote`].
fn names_at(text: &str) -> String {
    let end = split_outside(text, " ").map_or(text, |(name, _)| name);
    match split_outside(end, "@") {
        Some((name, host)) => format!("{}@{}", quote(&unquoted(name)), quote(&unquoted(host))),
        None => quote(&unquoted(end)),
    }
}

/// Removes the quotes of the names in `text`.
fn unquoted(text: &str) -> String {
    let (mut out, mut quote, mut chars) = (String::with_capacity(text.len()), None, text.chars().peekable());
    while let Some(c) = chars.next() {
        match quote {
            // A quote inside a name is doubled.
            Some(open) if c == open && chars.next_if_eq(&open).is_some() => out.push(c),
            Some(open) if c == open => quote = None,
            None if c == '`' || c == '\'' => quote = Some(c),
            _ => out.push(c),
        }
    }
    out
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
            delivery: vec![Delivery { table: "mailbox_use".into(), updates: vec!["bytes".into()] }],
        }
    }

    fn of(lines: &[&str]) -> (Vec<String>, Vec<String>) {
        let lines: Vec<String> = lines.iter().map(|line| (*line).to_owned()).collect();
        let rights = compare(&lines, "m@%", "mail", &needs());
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
        assert_eq!(too_wide, ["ALL PRIVILEGES, GRANT OPTION on mail.*"]);
        assert!(missing.is_empty());
    }

    #[test]
    fn a_user_that_delivers_needs_all_privileges_for_it() {
        let daemon = [
            "GRANT SELECT, UPDATE (`updated_at`, `password`) ON `mail`.`accounts` TO `m`@`%`",
            "GRANT SELECT ON `mail`.`domains` TO `m`@`%`",
        ];
        let with =
            |right: &str| of(&[daemon[0], daemon[1], &format!("GRANT {right} ON `mail`.`mailbox_use` TO `m`@`%`")]);
        assert_eq!(with("SELECT, INSERT, UPDATE (`bytes`)"), (vec![], vec![]));
        let (too_wide, missing) = with("SELECT, UPDATE (`login`), DELETE");
        assert_eq!(too_wide, ["UPDATE (login), DELETE on mail.mailbox_use"]);
        let lacking = |right: &str| format!("{right} on mailbox_use (domain quotas cannot be enforced)");
        assert_eq!(missing, [lacking("INSERT"), lacking("UPDATE (bytes)")]);
    }

    #[test]
    fn what_is_missing_is_named() {
        let (too_wide, missing) = of(&[
            "GRANT INSERT, SELECT ON `mail`.`accounts` TO `m`@`%`",
            "GRANT UPDATE (`password`, `home`) ON `mail`.`accounts` TO `m`@`%`",
            "GRANT SELECT ON `other`.`domains` TO `m`@`%`",
        ]);
        assert_eq!(too_wide, ["INSERT, UPDATE (password, home) on mail.accounts", "SELECT on other.domains"]);
        assert_eq!(missing, ["SELECT on domains", "UPDATE (updated_at) on accounts (passwords cannot be changed)"]);
    }

    #[test]
    fn an_administrator_keeps_its_rights_and_the_daemon_gets_a_user() {
        for great in [
            "GRANT ALL PRIVILEGES ON *.* TO `root`@`localhost` IDENTIFIED VIA unix_socket WITH GRANT OPTION",
            "GRANT SELECT, INSERT, SHUTDOWN, SUPER, CREATE USER ON *.* TO `root`@`localhost`",
        ] {
            let lines = [great.to_owned(), "GRANT PROXY ON ''@'%' TO 'root'@'localhost' WITH GRANT OPTION".to_owned()];
            let rights = compare(&lines, "root@localhost", "mail", &needs());
            assert!(rights.administrator.is_some(), "{rights:?}");
            assert!(rights.cure.iter().all(|statement| !statement.starts_with("REVOKE")), "{rights:?}");
            assert_eq!(rights.cure[0], "CREATE USER `mailauth`@`localhost` IDENTIFIED BY 'a long password'");
            let grant =
                "GRANT SELECT, UPDATE (`password`, `updated_at`) ON `mail`.`accounts` TO `mailauth`@`localhost`";
            assert_eq!(rights.cure[1], grant);
        }
        let lines = ["GRANT ALL PRIVILEGES ON *.* TO `mailauth`@`%`".to_owned()];
        let statements = compare(&lines, "mailauth@%", "mail", &needs()).cure;
        assert_eq!(statements[0], "CREATE USER `mailauth_daemon`@`%` IDENTIFIED BY 'a long password'");
    }

    #[test]
    fn privileges_of_every_user_are_one_line_for_each_database() {
        let lines = [
            "GRANT SELECT, INSERT, UPDATE, DELETE, CREATE, DROP ON `test`.* TO PUBLIC",
            "GRANT SELECT, INSERT, UPDATE, DELETE, CREATE, DROP ON `test\\_%`.* TO PUBLIC",
        ];
        let (too_wide, _) = of(&lines);
        let rights = "SELECT, INSERT, UPDATE, DELETE, CREATE, DROP";
        let line = |object: &str| format!("{rights} on {object} (granted to every user)");
        assert_eq!(too_wide, [line("test.*"), line("test_%.*")]);
        let statements = corrected("m@%", &lines);
        let revoke = |object: &str| format!("REVOKE {rights} ON {object} FROM PUBLIC");
        assert_eq!(statements[..2], [revoke("`test`.*"), revoke("`test\\_%`.*")]);
    }

    fn corrected(user: &str, lines: &[&str]) -> Vec<String> {
        let lines: Vec<String> = lines.iter().map(|line| (*line).to_owned()).collect();
        compare(&lines, user, "mail", &needs()).cure
    }

    #[test]
    fn what_is_missing_is_granted_and_what_is_too_much_revoked() {
        let lines = [
            "GRANT USAGE ON *.* TO `m`@`%` IDENTIFIED BY PASSWORD '*X'",
            "GRANT SELECT, INSERT, UPDATE (`password`, `home`) ON `mail`.`accounts` TO `m`@`%`",
        ];
        let statements = [
            "REVOKE INSERT, UPDATE (`password`, `home`) ON `mail`.`accounts` FROM `m`@`%`",
            "GRANT UPDATE (`password`, `updated_at`) ON `mail`.`accounts` TO `m`@`%`",
            "GRANT SELECT ON `mail`.`domains` TO `m`@`%`",
        ];
        assert_eq!(corrected("m@%", &lines), statements);
        let all = corrected("m@%", &["GRANT ALL PRIVILEGES ON `ma\\_il`.* TO 'm'@'%' WITH GRANT OPTION"]);
        assert_eq!(
            all[..2],
            ["REVOKE ALL PRIVILEGES ON `ma\\_il`.* FROM `m`@`%`", "REVOKE GRANT OPTION ON `ma\\_il`.* FROM `m`@`%`"]
        );
    }

    #[test]
    fn a_role_with_too_many_rights_is_revoked_and_not_changed() {
        let lines = [
            "GRANT `both` TO `m`@`%`",
            "GRANT `reader` TO `m`@`%`",
            "GRANT `writer` TO `both`",
            "GRANT SELECT ON `mail`.`domains` TO `reader`",
            "GRANT SELECT, DELETE ON `mail`.`accounts` TO `writer`",
            "GRANT UPDATE (`password`, `updated_at`) ON `mail`.`accounts` TO `m`@`%`",
        ];
        let statements = ["REVOKE `both` FROM `m`@`%`", "GRANT SELECT ON `mail`.`accounts` TO `m`@`%`"];
        assert_eq!(corrected("m@%", &lines), statements);
    }

    #[test]
    fn revoking_a_table_right_revokes_its_column_rights_too() {
        let lines = ["GRANT SELECT, UPDATE, UPDATE (`password`, `updated_at`) ON `mail`.`accounts` TO `m`@`%`"];
        let statements = [
            "REVOKE UPDATE ON `mail`.`accounts` FROM `m`@`%`",
            "GRANT UPDATE (`password`, `updated_at`) ON `mail`.`accounts` TO `m`@`%`",
            "GRANT SELECT ON `mail`.`domains` TO `m`@`%`",
        ];
        assert_eq!(corrected("m@%", &lines), statements);
    }

    #[test]
    fn on_mysql_rights_of_a_role_are_told_from_the_users_own() {
        assert_eq!(roles("NONE"), [""; 0]);
        assert_eq!(roles("`a,b`@`%`,`writer`@`%`"), ["`a,b`@`%`", "`writer`@`%`"]);
        let lines = |lines: &[&str]| lines.iter().map(|line| (*line).to_owned()).collect::<Vec<_>>();
        let own = lines(&[
            "GRANT USAGE ON *.* TO `m`@`%`",
            "GRANT SELECT ON `mail`.`domains` TO `m`@`%`",
            "GRANT `writer`@`%` TO `m`@`%`",
        ]);
        let with = lines(&[
            "GRANT USAGE ON *.* TO `m`@`%`",
            "GRANT SELECT, DELETE, UPDATE (`home`, `uid`) ON `mail`.`accounts` TO `m`@`%`",
            "GRANT SELECT ON `mail`.`domains` TO `m`@`%`",
            "GRANT `writer`@`%` TO `m`@`%`",
        ]);
        let all = [own.clone(), by_role(&own, &with, "`writer`@`%`")].concat();
        let statements = compare(&all, "m@%", "mail", &needs()).cure;
        assert_eq!(statements[0], "REVOKE `writer`@`%` FROM `m`@`%`");
        assert_eq!(
            statements[1..],
            ["GRANT SELECT, UPDATE (`password`, `updated_at`) ON `mail`.`accounts` TO `m`@`%`"]
        );
    }

    #[test]
    fn names_that_look_like_a_grant_stay_names() {
        let lines = ["GRANT SELECT, DROP ON `mail`.`domains` TO `a`` ON b TO c`@`10.0.%` REQUIRE SSL"];
        let statements = corrected("a` ON b TO c@10.0.%", &lines);
        assert_eq!(statements[0], "REVOKE DROP ON `mail`.`domains` FROM `a`` ON b TO c`@`10.0.%`");
        assert_eq!(
            statements[1],
            "GRANT SELECT, UPDATE (`password`, `updated_at`) ON `mail`.`accounts` TO `a`` ON b TO c`@`10.0.%`"
        );
        assert_eq!(statements.len(), 2);
    }

    #[test]
    fn a_user_that_delivered_by_a_wide_right_still_delivers() {
        let needs = Needs { tables: vec!["accounts".into(), "mailbox_use".into()], ..needs() };
        let lines = ["GRANT ALL PRIVILEGES ON `mail`.* TO `m`@`%`".to_owned()];
        let statements = compare(&lines, "m@%", "mail", &needs).cure;
        let delivery = "GRANT SELECT, INSERT, UPDATE (`bytes`) ON `mail`.`mailbox_use` TO `m`@`%`";
        assert_eq!(statements.last().map(String::as_str), Some(delivery));
    }
}
