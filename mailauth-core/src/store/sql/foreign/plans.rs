//! How the database runs the statements over another program's tables, for people who set it up.

use super::Foreign;
use super::listing::Pages;
use super::report::NOBODY;
use super::statements::{Name, Question};
use crate::schema::references::{References, bare};
use crate::schema::{Field, Listing};
use crate::store::driver::{Access, Connection, DriverError, Param, Refusal, Statement};
use crate::store::sql::columns::{bytes, number};
use std::collections::{BTreeMap, BTreeSet};

/// Beginning of the names of statements that list rows.
const LIST: &str = "list_";

/// Number of rows of the pages that are explained.
const EXPLAINED_PAGE: usize = 50;

/// Maximum number of rows that are counted of a table that is read whole.
const MOST_COUNTED: u64 = 100_000;

/// A statement over the tables of another program, and how the database runs it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct StatementPlan {
    /// Name of the statement in this program.
    pub name: &'static str,
    /// Section of the configuration that it is made from.
    pub section: &'static str,
    /// Its text, with a name such as `:login` for each parameter.
    pub sql: String,
    /// The tables that it reads. A table may be missing if the database can tell without it that no row is found.
    pub tables: Vec<TablePlan>,
    /// True if it sorts rows before it returns the first of them.
    pub sorts: bool,
    /// Why the database refuses it: each is a sentence that says what is wrong, and what to do. Empty if it runs.
    pub problems: Vec<String>,
    /// Why the database does not explain a statement that it runs.
    pub unexplained: Option<String>,
}

/// How a statement finds the rows of one table.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TablePlan {
    /// Name of the table.
    pub table: String,
    /// How its rows are found.
    pub access: Access,
    /// Number of rows of a table that is read whole; `None` if it has more than are counted.
    pub rows: Option<u64>,
    /// The columns that an index would help with, if the table is read whole.
    pub index_on: Vec<String>,
}

/// A name of each kind that is in the tables, because a database plans a search for others differently.
struct Examples {
    login: String,
    domain: String,
    address: String,
    alias_domain: String,
}

impl Foreign {
    /// Returns how each statement is run.
    pub(super) fn plans(&self, connection: &mut dyn Connection) -> Result<Vec<StatementPlan>, DriverError> {
        let examples = self.examples(connection)?;
        let Examples { login, domain, address, alias_domain } = &examples;
        let catch_all = format!("@{}", address.rsplit_once('@').map_or("", |(_, domain)| domain));
        let mut plans = Vec::new();
        for (name, section, question) in self.statements.questions() {
            let names: &[Name<'_>] = match name {
                "find" => &[Name::of_address(login)],
                "find_domain" => &[Name::of_domain(domain)],
                "find_alias" => &[Name::of_address(address), Name::of_address(&catch_all)],
                _ => &[Name::of_domain(alias_domain)],
            };
            plans.push(self.plan_of_question(connection, (name, section, question), names)?);
        }
        for part in self.lists.pages() {
            plans.push(self.plan_of_list(connection, part)?);
        }
        Ok(plans)
    }

    /// Returns how a statement about each of these names is run.
    fn plan_of_question(
        &self,
        connection: &mut dyn Connection,
        (name, section, question): (&'static str, &'static str, &Question),
        names: &[Name<'_>],
    ) -> Result<StatementPlan, DriverError> {
        let statement = &question.statement;
        let parameters: Vec<_> = question.parameters().iter().map(|parameter| parameter.name()).collect();
        let mut plan = StatementPlan::new(name, section, with_names(&statement.sql, &parameters));
        let tried = self.ask(connection, section, question, Name::of_address(NOBODY), &mut |_| ());
        if self.note_refusal(connection, &mut plan, statement, tried)? {
            return Ok(plan);
        }
        for name in names {
            plan.add(connection, statement, &question.values(*name))?;
        }
        // An index that is only read from its beginning is as good as none, because the statement looks for one name.
        for table in plan.tables.iter_mut().filter(|table| matches!(table.access, Access::InOrder(_))) {
            table.access = Access::Scan;
        }
        plan.count_scanned(connection)
    }

    /// Returns how the page after the first row of a part of a list is read.
    fn plan_of_list(
        &self,
        connection: &mut dyn Connection,
        (name, section, pages): (&'static str, &'static str, &Pages),
    ) -> Result<StatementPlan, DriverError> {
        let mut plan = StatementPlan::new(name, section, with_names(&pages.first.sql, &["limit"]));
        plan.add(connection, &pages.first, &pages.parameters(&[], EXPLAINED_PAGE))?;
        if plan.sorts {
            // Even the first page may take longer than the deadline.
            return plan.count_scanned(connection);
        }
        let key = match pages.first_key(connection) {
            Ok(key) => key,
            Err(error) => {
                let error = self.explain(error, section);
                self.note_refusal(connection, &mut plan, &pages.first, Err(error))?;
                return Ok(plan);
            }
        };
        if let Some(key) = key {
            let parameters = pages.parameters(&key, EXPLAINED_PAGE);
            let keys = vec!["key"; parameters.len().saturating_sub(1)];
            plan.sql = with_names(&pages.next.sql, &[keys, vec!["limit"]].concat());
            (plan.tables, plan.unexplained) = (Vec::new(), None);
            plan.add(connection, &pages.next, &parameters)?;
        }
        plan.count_scanned(connection)
    }

    /// Adds to a plan why the database refuses the statement. Returns false if it does not, and fails if it cannot be
    /// asked.
    fn note_refusal(
        &self,
        connection: &mut dyn Connection,
        plan: &mut StatementPlan,
        statement: &Statement,
        tried: Result<(), DriverError>,
    ) -> Result<bool, DriverError> {
        let reason = match tried {
            Ok(()) => return Ok(false),
            Err(DriverError::Refused { reason, .. } | DriverError::Schema(reason)) => reason,
            Err(error) => return Err(error),
        };
        plan.problems = self.missing(connection, plan.section, &References::of(&statement.sql))?;
        if plan.problems.is_empty() {
            plan.problems.push(reason);
        }
        Ok(true)
    }

    /// Returns the tables and columns of a statement that are missing, or that this user may not read.
    fn missing(
        &self,
        connection: &mut dyn Connection,
        section: &str,
        references: &References,
    ) -> Result<Vec<String>, DriverError> {
        let columns = references.columns.iter();
        let columns: BTreeSet<_> =
            columns.filter_map(|column| Some((references.table_of(column)?, column.column.as_str()))).collect();
        let (mut problems, mut forbidden): (Vec<String>, BTreeMap<&str, Vec<&str>>) = Default::default();
        for (table, column) in columns {
            let sql = format!("SELECT {column} FROM {table} WHERE 1 = 0");
            let problem = match connection.query(&Statement { slot: None, sql }, &[], &mut |_| ()) {
                Err(DriverError::Refused { kind: Refusal::NoTable, .. }) => self.no_table(table),
                Err(DriverError::Refused { kind: Refusal::NoColumn, .. }) => self.no_column(table, column, section),
                Err(DriverError::Refused { kind: Refusal::Forbidden, .. }) => {
                    forbidden.entry(table).or_default().push(column);
                    continue;
                }
                Err(DriverError::Refused { .. }) => continue,
                done => {
                    done?;
                    continue;
                }
            };
            if !problems.contains(&problem) {
                problems.push(problem);
            }
        }
        problems.extend(forbidden.into_iter().map(|(table, columns)| {
            format!(
                "this user may not read {} of the table {table}; 'mailauth schema show' prints the statements that \
                 permit it",
                columns.join(", ")
            )
        }));
        Ok(problems)
    }

    fn no_table(&self, table: &str) -> String {
        format!(
            "the database at {} has no table {table}, which [schema] profile = {:?} reads; correct [database] url or \
             [schema] profile",
            self.place, self.model.profile
        )
    }

    fn no_column(&self, table: &str, column: &str, section: &str) -> String {
        let (table, column) = (bare(table), bare(column));
        // The name of the table may have a prefix.
        let version = self.model.versions.iter().find(|(of, _)| {
            of.split_once('.').is_some_and(|(of, name)| table.ends_with(of) && name.eq_ignore_ascii_case(column))
        });
        let advice = match version {
            Some((_, version)) => format!("{version} has it; update it, or set the fields that need it in [{section}]"),
            None => format!("correct [schema] profile, or set the fields that need it in [{section}]"),
        };
        format!("the table {table} has no column {column}: {advice}")
    }

    /// Reads a name of each kind, or makes one up.
    fn examples(&self, connection: &mut dyn Connection) -> Result<Examples, DriverError> {
        let model = &self.model;
        let mut first = |part: Option<(&str, &str, Option<&String>)>| -> Result<Option<String>, DriverError> {
            let Some((column, from, filter)) = part else { return Ok(None) };
            let filter = filter.map(|filter| format!(" WHERE {filter}")).unwrap_or_default();
            let (sql, mut found) = (format!("SELECT {column} FROM {from}{filter} LIMIT 1"), None);
            match connection.query(&Statement { slot: None, sql }, &[], &mut |row| found = Some(bytes(row, 0))) {
                // Each statement is tried later.
                Err(DriverError::Refused { .. }) => return Ok(None),
                done => done?,
            }
            Ok(found.and_then(|name| String::from_utf8(name).ok()))
        };
        let accounts = &model.accounts;
        let login = accounts.field(Field::Login).map(|login| (login, accounts.from.as_str(), accounts.filter.as_ref()));
        let login = first(login)?.unwrap_or_else(|| NOBODY.to_owned());
        let own = login.rsplit_once('@').map_or("", |(_, domain)| domain).to_owned();
        let part = |list: Option<&'_ Vec<Listing>>| list.and_then(|parts| parts.first()).cloned();
        let mut of_list = |list: Option<Listing>| {
            let Some(Listing { columns: [name, _], from, filter, .. }) = &list else { return Ok(None) };
            first(Some((name, from, filter.as_ref())))
        };
        let domain = of_list(part(model.domains.as_ref().and_then(|query| query.list.as_ref())))?;
        let address = of_list(part(model.aliases.as_ref().and_then(|query| query.list.as_ref())))?;
        let alias_domain = of_list(part(model.alias_domains.as_ref().and_then(|query| query.list.as_ref())))?;
        Ok(Examples {
            domain: domain.unwrap_or_else(|| own.clone()),
            address: address.unwrap_or_else(|| login.clone()),
            alias_domain: alias_domain.unwrap_or(own),
            login,
        })
    }
}

impl StatementPlan {
    /// Returns true if the statement reads a page of a list.
    pub fn is_list(&self) -> bool {
        self.name.starts_with(LIST)
    }

    /// Returns true if a page of a list costs as much as the whole list.
    pub fn sorts_pages(&self) -> bool {
        self.sorts && self.is_list()
    }

    fn new(name: &'static str, section: &'static str, sql: String) -> Self {
        StatementPlan { name, section, sql, ..StatementPlan::default() }
    }

    /// Adds the tables that the statement reads with these parameters, and that are not there yet.
    fn add(
        &mut self,
        connection: &mut dyn Connection,
        statement: &Statement,
        parameters: &[Param<'_>],
    ) -> Result<(), DriverError> {
        let plan = match connection.explain(statement, parameters) {
            Ok(plan) => plan,
            // As for a view, whose tables the user may not read.
            Err(DriverError::Refused { reason, .. }) => {
                self.unexplained = Some(reason);
                return Ok(());
            }
            Err(error) => return Err(error),
        };
        let references = References::of(&statement.sql);
        for found in plan.tables {
            let Some(table) = references.table(&found.table) else { continue };
            // A list that stands in the statement itself is short.
            self.sorts |= plan.sorts;
            let index_on = match found.access {
                Access::Index(_) => Vec::new(),
                Access::InOrder(_) | Access::Scan => references.searched(&found.table),
            };
            let found = TablePlan { table: table.to_owned(), access: found.access, rows: None, index_on };
            if !self.tables.contains(&found) {
                self.tables.push(found);
            }
        }
        Ok(())
    }

    /// Counts the rows of the tables that are read whole.
    fn count_scanned(mut self, connection: &mut dyn Connection) -> Result<Self, DriverError> {
        for table in self.tables.iter_mut().filter(|table| table.access == Access::Scan) {
            table.rows = count(connection, &table.table)?;
        }
        Ok(self)
    }
}

/// Returns the number of rows of a table, if there are not too many to count.
fn count(connection: &mut dyn Connection, table: &str) -> Result<Option<u64>, DriverError> {
    let sql = format!("SELECT COUNT(*) FROM (SELECT 1 AS one FROM {table} LIMIT {}) counted", MOST_COUNTED + 1);
    let mut rows = None;
    match connection.query(&Statement { slot: None, sql }, &[], &mut |row| rows = number(row, 0)) {
        Err(DriverError::Refused { .. }) => return Ok(None),
        done => done?,
    }
    Ok(rows.and_then(|rows| u64::try_from(rows).ok()).filter(|rows| *rows <= MOST_COUNTED))
}

/// Returns the text of a statement with the names of its parameters in the place of `?` or `$1`.
fn with_names(sql: &str, names: &[&str]) -> String {
    let (mut named, mut quote) = (String::with_capacity(sql.len()), None);
    let mut names = names.iter();
    let mut rest = sql.chars().peekable();
    while let Some(c) = rest.next() {
        match quote {
            Some(open) if c == open => quote = None,
            None if matches!(c, '\'' | '"' | '`') => quote = Some(c),
            None if c == '?' || c == '$' && rest.peek().is_some_and(char::is_ascii_digit) => {
                while c == '$' && rest.next_if(char::is_ascii_digit).is_some() {}
                match names.next() {
                    Some(name) => named.extend([":", name]),
                    None => named.push('?'),
                }
                continue;
            }
            _ => {}
        }
        named.push(c);
    }
    named
}

#[cfg(test)]
mod tests {
    use super::super::tests::{Scratch, model};
    use super::*;
    use crate::schema::TableColumns;
    use crate::store::Administration;

    fn plan(plans: &[StatementPlan], name: &str) -> StatementPlan {
        plans.iter().find(|plan| plan.name == name).unwrap().clone()
    }

    #[test]
    fn a_table_without_an_index_is_read_whole() {
        let scratch = Scratch::new();
        scratch.sql("CREATE INDEX nickname_of ON nickname (local, realm)");
        let plans = scratch.open(model()).report().unwrap().foreign.unwrap().plans;
        let find = plan(&plans, "find");
        assert!(find.sql.ends_with("WHERE (p.address = :login) AND (p.kind <> 'room') LIMIT 100"), "{}", find.sql);
        let [person, realm] = &find.tables[..] else { panic!("{find:?}") };
        assert_eq!((person.table.as_str(), &person.access, person.rows), ("person", &Access::Scan, Some(6)));
        assert_eq!(person.index_on, ["address"]);
        assert_eq!((realm.table.as_str(), realm.index_on.len()), ("realm", 0));
        assert!(matches!(&realm.access, Access::Index(name) if name.contains("realm")), "{realm:?}");
        let alias = plan(&plans, "find_alias");
        assert!(alias.sql.contains("WHERE n.local = :local AND n.realm = :domain"), "{}", alias.sql);
        assert_eq!(alias.tables[0].access, Access::Index("nickname_of".to_owned()));
        let list = plan(&plans, "list_accounts");
        assert!(list.sql.ends_with("ORDER BY p.address LIMIT :limit") && list.sorts, "{list:?}");
        assert!(plans.iter().all(|plan| plan.problems.is_empty()));
        scratch.sql("CREATE INDEX person_address ON person (address)");
        let plans = scratch.open(model()).report().unwrap().foreign.unwrap().plans;
        let list = plan(&plans, "list_accounts");
        assert!(list.sql.contains("(p.address) > (:key)") && !list.sorts, "{list:?}");
        assert_eq!(list.tables[0].access, Access::Index("person_address".to_owned()));
        assert_eq!(plan(&plans, "find").tables[0].access, list.tables[0].access);
    }

    #[test]
    fn everything_that_is_missing_is_named_at_once() {
        let scratch = Scratch::new();
        scratch
            .sql("ALTER TABLE person DROP COLUMN kind; ALTER TABLE person DROP COLUMN services; DROP TABLE nickname");
        let plans = scratch.open(model()).report().unwrap().foreign.unwrap().plans;
        assert_eq!(
            plan(&plans, "find").problems,
            [
                "the table person has no column kind: Kontor 2 has it; update it, or set the fields that need it in \
                 [schema.accounts]",
                "the table person has no column services: correct [schema] profile, or set the fields that need it in \
                 [schema.accounts]"
            ]
        );
        let problems = plan(&plans, "find_alias").problems;
        assert!(problems.len() == 1 && problems[0].contains("has no table nickname"), "{problems:?}");
        assert!(plan(&plans, "find_domain").problems.is_empty());
    }

    #[test]
    fn the_columns_that_are_read_are_known() {
        let reads = Scratch::new().open(model()).reads();
        let columns = |table: &str| {
            let TableColumns { columns, .. } = reads.iter().find(|reads| reads.table == table).unwrap();
            columns.join(" ")
        };
        assert_eq!(columns("person"), "active address bytes folder kind name realm secret services");
        assert_eq!(columns("realm"), "active name");
        assert_eq!(columns("nickname"), "id local realm targets");
        assert_eq!(reads.len(), 4);
    }

    #[test]
    fn parameters_are_shown_by_their_names() {
        let parameters = ["local", "domain"];
        assert_eq!(with_names("a = ? AND b = ? AND c = '?'", &parameters), "a = :local AND b = :domain AND c = '?'");
        assert_eq!(with_names("a = $1 AND b = $2 LIMIT 9", &parameters), "a = :local AND b = :domain LIMIT 9");
        assert_eq!(with_names("a = '$1' AND b = $12", &parameters), "a = '$1' AND b = :local");
    }
}
