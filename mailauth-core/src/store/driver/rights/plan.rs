//! The plan of SQL statements that give a database user exactly the privileges that a daemon needs.
//!
//! A role that gives too many privileges is not changed, because other users may have it too: the role is revoked from
//! the user, and the user is granted directly what it then lacks.

use crate::store::driver::Needs;

/// A privilege that the user has now.
#[derive(Debug)]
pub(in crate::store::driver) struct HeldPrivilege {
    /// Name of the privilege, such as `SELECT`.
    pub right: String,
    /// Columns that it is limited to; empty for the whole object.
    pub columns: Vec<String>,
    /// The table of this program that it is on; empty if it is on something else, or on more than one table.
    pub table: String,
    /// The user's roles that give it, quoted; empty if it is granted to the user directly, or to all users.
    pub roles: Vec<String>,
    /// The statement that revokes it, if it does not come from a role.
    pub revoke: Revoke,
}

/// A statement that revokes a privilege. Statements that differ only in the privilege are combined.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::store::driver) enum Revoke {
    /// `REVOKE right from`.
    Right {
        /// `DELETE`, or `UPDATE (home)`.
        right: String,
        /// `ON table FROM user`.
        from: String,
    },
    /// Any other statement.
    Whole(String),
}

impl Revoke {
    /// Returns true for the privileges that cannot be revoked together with others in one statement.
    fn is_alone(right: &str) -> bool {
        right.starts_with("ALL") || right == "GRANT OPTION" || right == "PROXY"
    }
}

/// Returns the statements of all `revokes`, in order and combined.
fn statements(revokes: &[&Revoke]) -> Vec<String> {
    let mut lines: Vec<(Vec<&str>, &str)> = Vec::new();
    let mut done: Vec<&Revoke> = Vec::new();
    for revoke in revokes {
        if done.contains(revoke) {
            continue;
        }
        done.push(revoke);
        match revoke {
            Revoke::Whole(statement) => lines.push((Vec::new(), statement)),
            Revoke::Right { right, from } => {
                let fits = |(rights, at): &&mut (Vec<&str>, &str)| {
                    at == from && !Revoke::is_alone(right) && rights.iter().all(|right| !Revoke::is_alone(right))
                };
                match lines.iter_mut().find(fits) {
                    Some((rights, _)) => rights.push(right),
                    None => lines.push((vec![right], from)),
                }
            }
        }
    }
    let statement = |(rights, rest): (Vec<&str>, &str)| match rights.is_empty() {
        true => rest.to_owned(),
        false => format!("REVOKE {} {rest}", rights.join(", ")),
    };
    lines.into_iter().map(statement).collect()
}

/// Groups privileges, given with their objects, into one text for each object, in the order of first appearance.
pub(in crate::store::driver) fn by_object(rights: impl IntoIterator<Item = (String, String)>) -> Vec<String> {
    let mut objects: Vec<(String, Vec<String>)> = Vec::new();
    for (right, object) in rights {
        match objects.iter_mut().find(|(known, _)| *known == object) {
            Some((_, rights)) if rights.contains(&right) => {}
            Some((_, rights)) => rights.push(right),
            None => objects.push((object, vec![right])),
        }
    }
    let text = |(object, rights): (String, Vec<String>)| match object.as_str() {
        "" => rights.join(", "),
        object => format!("{} on {object}", rights.join(", ")),
    };
    objects.into_iter().map(text).collect()
}

/// Name of the daemon's user, in statements that create one.
pub(in crate::store::driver) const DAEMON: &str = "mailauth";

/// Placeholder for its password, as in `schema/grants.*.sql`.
pub(in crate::store::driver) const PASSWORD: &str = "a long password";

/// The names in the statements, as one database writes them.
pub(in crate::store::driver) trait SqlNames {
    /// Returns the user, quoted.
    fn user(&self) -> &str;
    /// Returns a table of this program, quoted.
    fn table(&self, name: &str) -> String;
    /// Returns a column, quoted.
    fn column(&self, name: &str) -> String;
}

/// Returns the statements to run in this order; none if the privileges are right. A user that `delivers` mail now keeps
/// the privileges for that.
pub(in crate::store::driver) fn plan(
    all: &[HeldPrivilege],
    needs: &Needs,
    delivers: bool,
    names: &dyn SqlNames,
) -> Vec<String> {
    let is_needed = |held: &HeldPrivilege| needs.permits(&held.right, &held.columns, &held.table);
    let mut left: Vec<&String> = all.iter().filter(|held| !is_needed(held)).flat_map(|held| &held.roles).collect();
    left.sort();
    left.dedup();
    let mut plan: Vec<String> = left.iter().map(|role| format!("REVOKE {role} FROM {}", names.user())).collect();
    let own = all.iter().filter(|held| held.roles.is_empty() && !is_needed(held));
    plan.extend(statements(&own.map(|held| &held.revoke).collect::<Vec<_>>()));
    // Revoking a privilege on a whole table revokes it on its columns too.
    let goes_with = |held: &HeldPrivilege, other: &HeldPrivilege| {
        let whole = other.columns.is_empty() && (&other.right, &other.table) == (&held.right, &held.table);
        other.roles.is_empty() && !is_needed(other) && (whole || other.revoke == held.revoke)
    };
    let survives = |held: &&HeldPrivilege| {
        let own = held.roles.is_empty() && !all.iter().any(|other| goes_with(held, other));
        is_needed(held) && (own || held.roles.iter().any(|role| !left.contains(&role)))
    };
    let kept: Vec<&HeldPrivilege> = all.iter().filter(survives).collect();
    let mut grants = Vec::new();
    for table in &needs.tables {
        let lacking = lacking(&kept, needs, delivers, table, names);
        if !lacking.is_empty() {
            grants.push(format!("GRANT {} ON {} TO {}", lacking.join(", "), names.table(table), names.user()));
        }
    }
    plan.extend(grants);
    plan
}

/// Returns the privileges on one table that are needed and not in `kept`.
fn lacking(kept: &[&HeldPrivilege], needs: &Needs, delivers: bool, table: &str, names: &dyn SqlNames) -> Vec<String> {
    let here = |right: &str| kept.iter().filter(|held| held.table == table && held.right == right).collect::<Vec<_>>();
    let for_all = |right: &str| here(right).iter().any(|held| held.columns.is_empty());
    let (delivery, mut lacking) = (needs.delivery(table).filter(|_| delivers), Vec::new());
    let whole: &[&str] = match () {
        () if delivery.is_some() => &Needs::DELIVERY,
        () if needs.reads.iter().any(|read| read == table) => &["SELECT"],
        () => &[],
    };
    lacking.extend(whole.iter().filter(|right| !for_all(right)).map(|right| (*right).to_owned()));
    let columns: &[String] = match delivery {
        Some(delivery) => &delivery.updates,
        None if table == needs.accounts => &needs.updates,
        None => &[],
    };
    let may = |column: &String| here("UPDATE").iter().any(|held| held.columns.contains(column));
    let columns: Vec<_> = columns.iter().filter(|column| !may(column)).map(|column| names.column(column)).collect();
    if !columns.is_empty() {
        lacking.push(format!("UPDATE ({})", columns.join(", ")));
    }
    lacking
}
