//! The statements that give a database user the rights that a daemon needs, and no more.
//!
//! A right that comes by a role with others that are too many is not taken from the role, which somebody else may have
//! too: the user leaves the role, and is granted itself what it then lacks.

use super::driver::Needs;

/// A right that the user has now.
#[derive(Debug)]
pub(super) struct Held {
    /// `SELECT`, `UPDATE`...
    pub right: String,
    /// The columns it is for; none is all.
    pub columns: Vec<String>,
    /// Which of our tables it is for; empty where it is for something else, or for more.
    pub table: String,
    /// The user's roles by which it comes, quoted; none where it is the user's own, or everybody's.
    pub roles: Vec<String>,
    /// The statement that takes it away, where it does not come by a role.
    pub revoke: Revoke,
}

/// A statement that takes a right away. Those that differ in the right alone become one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Revoke {
    /// `REVOKE right from`.
    Right {
        /// `DELETE`, or `UPDATE (home)`.
        right: String,
        /// `ON table FROM user`.
        from: String,
    },
    /// Another statement.
    Whole(String),
}

impl Revoke {
    /// These alone may not stand beside other rights.
    fn is_alone(right: &str) -> bool {
        right.starts_with("ALL") || right == "GRANT OPTION" || right == "PROXY"
    }
}

/// The statements of all of these, in order.
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

/// Names of rights with what they are for, one text for each object in the order of the first.
pub(super) fn by_object(rights: impl IntoIterator<Item = (String, String)>) -> Vec<String> {
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

/// The name of a user for the daemon, where one is made.
pub(super) const DAEMON: &str = "mailauth";

/// What stands in the place of its password, as in the files of grants.
pub(super) const PASSWORD: &str = "a long password";

/// How the statements are written in one database.
pub(super) trait Words {
    /// The user, quoted.
    fn user(&self) -> &str;
    /// One of our tables, quoted.
    fn table(&self, name: &str) -> String;
    /// A column, quoted.
    fn column(&self, name: &str) -> String;
}

/// What to run, in this order; nothing when all is as it has to be. Who `delivers` mail now is to go on with that.
pub(super) fn plan(all: &[Held], needs: &Needs, delivers: bool, words: &dyn Words) -> Vec<String> {
    let is_needed = |held: &Held| needs.justify(&held.right, &held.columns, &held.table);
    let mut left: Vec<&String> = all.iter().filter(|held| !is_needed(held)).flat_map(|held| &held.roles).collect();
    left.sort();
    left.dedup();
    let mut plan: Vec<String> = left.iter().map(|role| format!("REVOKE {role} FROM {}", words.user())).collect();
    let own = all.iter().filter(|held| held.roles.is_empty() && !is_needed(held));
    plan.extend(statements(&own.map(|held| &held.revoke).collect::<Vec<_>>()));
    // To revoke a right to a whole table revokes it for its columns.
    let goes_with = |held: &Held, other: &Held| {
        let whole = other.columns.is_empty() && (&other.right, &other.table) == (&held.right, &held.table);
        other.roles.is_empty() && !is_needed(other) && (whole || other.revoke == held.revoke)
    };
    let survives = |held: &&Held| {
        let own = held.roles.is_empty() && !all.iter().any(|other| goes_with(held, other));
        is_needed(held) && (own || held.roles.iter().any(|role| !left.contains(&role)))
    };
    let kept: Vec<&Held> = all.iter().filter(survives).collect();
    let mut grants = Vec::new();
    for table in &needs.tables {
        let lacking = lacking(&kept, needs, delivers, table, words);
        if !lacking.is_empty() {
            grants.push(format!("GRANT {} ON {} TO {}", lacking.join(", "), words.table(table), words.user()));
        }
    }
    plan.extend(grants);
    plan
}

/// The rights to one table that are needed and not there.
fn lacking(kept: &[&Held], needs: &Needs, delivers: bool, table: &str, words: &dyn Words) -> Vec<String> {
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
    let columns: Vec<_> = columns.iter().filter(|column| !may(column)).map(|column| words.column(column)).collect();
    if !columns.is_empty() {
        lacking.push(format!("UPDATE ({})", columns.join(", ")));
    }
    lacking
}
