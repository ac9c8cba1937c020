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
    pub revoke: String,
}

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
    let mut statements: Vec<String> = left.iter().map(|role| format!("REVOKE {role} FROM {}", words.user())).collect();
    for held in all.iter().filter(|held| held.roles.is_empty() && !is_needed(held)) {
        if !statements.contains(&held.revoke) {
            statements.push(held.revoke.clone());
        }
    }
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
    statements.extend(grants);
    statements
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
