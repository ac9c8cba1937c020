//! Compares the privileges of a MySQL or MariaDB user with those that are needed.

mod show_grants;
#[cfg(test)]
mod tests;

use crate::store::driver::rights::plan;
use crate::store::driver::rights::plan::{HeldPrivilege, Revoke, SqlNames};
use crate::store::driver::{Delivery, Needs, Rights};
use show_grants::{Membership, Right, membership, parse, quote};
pub(in crate::store::driver) use show_grants::{quoted_user, roles};
use std::collections::BTreeSet;

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
        self.name == "USAGE" || needs.permits(&self.name, &self.columns, self.table(database))
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

/// The grantee on MariaDB that means all users.
const EVERYBODY: &str = "`PUBLIC`";

/// Privileges on a whole server that make a user an administrator.
const ADMINISTRATORS: [&str; 7] =
    ["ALL PRIVILEGES", "GRANT OPTION", "SUPER", "CREATE USER", "SYSTEM_USER", "CREATE ROLE", "ROLE_ADMIN"];

/// Returns those of the `wanted` privileges, each on a whole table, that no line of `SHOW GRANTS` gives.
pub(in crate::store::driver) fn lacking(lines: &[String], database: &str, wanted: &[(&str, &str)]) -> Vec<String> {
    let rights: Vec<Right> = lines.iter().flat_map(|line| parse(line)).collect();
    let lacks = |(name, table): &&(&str, &str)| {
        !rights.iter().any(|right| right.columns.is_empty() && right.covers(name, database, table))
    };
    let named = |(name, table): &(&str, &str)| ((*name).to_owned(), (*table).to_owned());
    plan::by_object(wanted.iter().filter(lacks).map(named))
}

/// Compares the lines of `SHOW GRANTS` of `user`, such as `mail@%`, with what is needed.
pub(in crate::store::driver) fn compare(lines: &[String], user: &str, database: &str, needs: &Needs) -> Rights {
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
    out.too_wide = plan::by_object(rights.iter().filter(|right| !right.is_needed(database, needs)).map(Right::named));
    out.user = user.to_owned();
    let administrative = plan::by_object(rights.iter().filter(|right| right.administers()).map(Right::named));
    if !administrative.is_empty() {
        out.administrator = Some(administrative.join("; "));
        out.statements = separate_user(user, database, needs);
    } else if !(out.missing.is_empty() && out.too_wide.is_empty()) {
        let memberships: Vec<_> = lines.iter().filter_map(|line| membership(line)).collect();
        out.statements = corrections(&rights, &memberships, user, database, needs);
    }
    out
}

/// Returns the statements that create a user for the daemon, separate from the administrator `user`.
fn separate_user(user: &str, database: &str, needs: &Needs) -> Vec<String> {
    let (name, host) = user.rsplit_once('@').unwrap_or((user, "localhost"));
    let name = if name == plan::DAEMON { "mailauth_daemon" } else { plan::DAEMON };
    let names = Mysql { user: quoted_user(&format!("{name}@{host}")), database };
    let mut statements = vec![format!("CREATE USER {} IDENTIFIED BY '{}'", names.user, plan::PASSWORD)];
    statements.extend(plan::plan(&[], needs, true, &names));
    statements
}

/// Returns the statements that correct the privileges of `user`.
fn corrections(rights: &[Right], memberships: &[Membership], user: &str, database: &str, needs: &Needs) -> Vec<String> {
    let names = Mysql { user: quoted_user(user), database };
    let held: Vec<HeldPrivilege> = rights
        .iter()
        .filter(|right| right.name != "USAGE")
        .map(|right| HeldPrivilege {
            right: right.name.clone(),
            columns: right.columns.clone(),
            table: right.table(database).to_owned(),
            roles: leading_roles(&names.user, &right.grantee, memberships),
            revoke: right.revoke(),
        })
        .collect();
    let delivers = needs.delivery.iter().any(|Delivery { table, .. }| {
        let covers = |right: &Right| Needs::DELIVERY.iter().any(|name| right.covers(name, database, table));
        rights.iter().any(|right| covers(right) || right.table(database) == table)
    });
    plan::plan(&held, needs, delivers, &names)
}

/// Returns the roles of `user` that lead to `grantee`; none if `grantee` is the user itself.
fn leading_roles(user: &str, grantee: &str, memberships: &[Membership]) -> Vec<String> {
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

impl SqlNames for Mysql<'_> {
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

/// Returns the privileges in `SHOW GRANTS ... USING role` that are not in the user's `own`, as grants to the role.
pub(in crate::store::driver) fn by_role(own: &[String], with: &[String], role: &str) -> Vec<String> {
    let own: Vec<Right> = own.iter().flat_map(|line| parse(line)).collect();
    let is_own = |right: &Right| own.iter().any(|other| other.is_same(right));
    let theirs = with.iter().flat_map(|line| parse(line)).filter(|right| !is_own(right));
    theirs.map(|right| right.grant_to(role)).collect()
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
