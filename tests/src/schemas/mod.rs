//! The tables of other programs (`tests/schemas/*.sql`), and questions about their rows with the right answers.
//!
//! The tables have the columns, types and collations of the programs. The rows are those that a reader can mistake:
//! capitals, switched-off accounts and domains, targets that are no addresses, rows of other servers.

mod case;
mod courier;
mod froxlor;
mod iredmail;
mod ispconfig;
mod ispmail;
mod mailcow;
mod mailu;
mod modoboa;
mod postfixadmin;
mod vexim;
mod vimbadmin;
mod vpopmail;
mod vpopmail_domains;

pub use case::{Case, Expected, Question, Want, alias, domain, login, lookup, recipient};

use crate::Kind;

/// The tables of a program.
#[derive(Clone, Copy)]
pub struct Schema {
    /// Name of the profile.
    pub profile: &'static str,
    /// Name of the program in messages.
    pub program: &'static str,
    /// The databases that the program supports. MariaDB stands for MySQL too.
    pub databases: &'static [Kind],
    /// The configuration without `[database]`.
    pub config: &'static str,
    /// Returns the questions and their answers.
    pub cases: fn() -> Vec<Case>,
    sql: &'static str,
}

/// All of them.
pub const ALL: [Schema; 13] = [
    postfixadmin::SCHEMA,
    vexim::SCHEMA,
    froxlor::SCHEMA,
    ispmail::SCHEMA,
    vpopmail::SCHEMA,
    vpopmail_domains::SCHEMA,
    iredmail::SCHEMA,
    mailcow::SCHEMA,
    vimbadmin::SCHEMA,
    courier::SCHEMA,
    modoboa::SCHEMA,
    mailu::SCHEMA,
    ispconfig::SCHEMA,
];

/// Returns the tables of a profile.
///
/// # Panics
/// Panics if there are none.
pub fn of(profile: &str) -> Schema {
    ALL.into_iter().find(|schema| schema.profile == profile).unwrap_or_else(|| panic!("no tables of {profile}"))
}

/// Every database.
const EVERYWHERE: &[Kind] = &[Kind::Sqlite, Kind::MariaDb, Kind::Postgres];
/// For programs that have only MySQL or MariaDB.
const MYSQL: &[Kind] = &[Kind::MariaDb];
/// The databases that compare letters byte by byte.
const EXACT: &[Kind] = &[Kind::Sqlite, Kind::Postgres];

impl Schema {
    /// Returns true if the program supports this database.
    pub fn is_on(&self, kind: Kind) -> bool {
        self.databases.contains(&family(kind))
    }

    /// Returns the questions that apply to this database.
    pub fn cases_on(&self, kind: Kind) -> Vec<Case> {
        let applies = |case: &Case| case.databases.is_none_or(|databases| databases.contains(&family(kind)));
        (self.cases)().into_iter().filter(applies).collect()
    }

    /// Returns the statements that create the tables and rows.
    ///
    /// # Panics
    /// Panics if the file has no tables for this database.
    pub fn sql(&self, kind: Kind) -> String {
        let marker = match family(kind) {
            Kind::Sqlite => "[sqlite]",
            Kind::Postgres => "[postgres]",
            _ => "[mysql]",
        };
        // The rows and the names of tables are written once, with the quotes of standard SQL.
        let mut sql = match family(kind) {
            Kind::MariaDb => "SET sql_mode = CONCAT(@@sql_mode, ',ANSI_QUOTES');\n".to_owned(),
            _ => String::new(),
        };
        let sections = self.sql.split("\n-- [").skip(1).filter_map(|section| section.split_once('\n'));
        for (kinds, section) in sections {
            if kinds.contains(&marker[1..]) || kinds.contains("rows]") {
                sql.push_str(section);
                sql.push('\n');
            }
        }
        assert!(sql.contains("CREATE TABLE"), "{} has no tables for {kind:?}", self.profile);
        sql
    }
}

/// Returns the database whose tables and answers a kind has.
fn family(kind: Kind) -> Kind {
    if kind == Kind::MySql { Kind::MariaDb } else { kind }
}
