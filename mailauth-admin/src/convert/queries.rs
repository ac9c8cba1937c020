//! Dovecot's two queries, of a login and of a mailbox, as one account.

use super::accounts::Accounts;
use super::dialect::Dialect;
use super::finding_terms::{Finder, Row};
use super::findings::{Findings, Place, quoted};
use super::forms::{lowered, normal};
use super::joins::{Joins, only_table};
use super::mailbox_fields::check_mailbox;
use super::select::{Column, Select, SubSelects, as_term, has_select, names, take_apart};
use super::services::{Conditions, DOVECOT};
use super::variables::{Meaning, Statement};
use std::collections::BTreeSet;

/// The service under which Dovecot asks for a mailbox that mail is delivered to.
const DELIVERY: &str = "lmtp";

/// Columns of a password query with which Dovecot does not verify a stored password itself, or not it alone.
const REFUSED: &[(&str, &str)] = &[
    ("nopassword", "the database judges the password; with its condition left out, any password would be right"),
    ("proxy", "another server verifies the password"),
    ("proxy_maybe", "another server verifies the password"),
    ("host", "another server verifies the password"),
    ("hostip", "another server verifies the password"),
    ("destuser", "another server verifies the password"),
    ("pass", "another server verifies the password"),
    ("master", "another server verifies the password"),
    ("login_user", "the login is another user's"),
    ("master_user", "the login is another user's"),
    ("nologin", "it forbids logins by a column that mailauth does not have; write it as a condition of WHERE"),
    ("fail", "it forbids logins by a column that mailauth does not have; write it as a condition of WHERE"),
    ("noauthenticate", "it forbids logins by a column that mailauth does not have; write it as a condition of WHERE"),
    ("user_disabled", "it forbids logins by a column that mailauth does not have; write it as a condition of WHERE"),
    ("pass_expired", "it forbids logins by a column that mailauth does not have; write it as a condition of WHERE"),
    ("noplain", "it forbids logins by a column that mailauth does not have; write it as a condition of WHERE"),
];

/// A query of the old file.
#[derive(Debug)]
pub struct Query {
    pub place: Place,
    pub statement: Result<Statement, String>,
}

/// The scheme of passwords without a prefix.
#[derive(Clone, Debug)]
pub struct Scheme {
    /// The name, as Dovecot has it, in capitals.
    pub name: String,
    /// True if the value has an encoding of its own, such as `.B64`, so that each value needs the prefix.
    pub is_encoded: bool,
}

/// Makes one account of both queries.
pub fn accounts(
    password: Query,
    user: Option<Query>,
    scheme: &Scheme,
    dialect: Dialect,
    findings: &mut Findings,
) -> Option<Accounts> {
    let (password_place, user_place) = (password.place.clone(), user.as_ref().map(|user| user.place.clone()));
    let password_query = read(password, dialect, findings);
    let user_query = user.map(|user| read(user, dialect, findings));
    if let Some(query) = &password_query {
        refuse_columns(query, &password_place, findings);
    }
    let (password_query, user_query) = match (password_query, user_query) {
        (Some(password), Some(Some(user))) => (password, Some(user)),
        (Some(password), None) => (password, None),
        // Only the mailbox is left to be checked.
        (None, Some(Some(user))) => {
            check_mailbox(&user, user_place.as_ref().unwrap_or(&password_place), dialect, findings);
            return None;
        }
        _ => return None,
    };
    let mut work = Work {
        dialect,
        findings,
        accounts: Accounts::default(),
        conditions: Conditions::default(),
        finder: Finder::default(),
        filters: Vec::new(),
        by_row: Vec::new(),
        password: (password_query, password_place),
        user: user_query.zip(user_place),
    };
    work.run(scheme);
    Some(work.accounts)
}

/// Takes a query apart, and reports why it cannot be.
fn read(query: Query, dialect: Dialect, findings: &mut Findings) -> Option<Select> {
    let Query { place, statement } = query;
    let statement = findings.value(&place, statement)?;
    if let Some(variable) = statement.variables.first(&statement.sql, |meaning| meaning == Meaning::Password) {
        findings.refuse(
            &place,
            format!(
                "the database judges the password ({variable}); mailauth verifies a stored password itself; with the \
                 condition left out, any password would be right"
            ),
        );
    }
    let select = findings.value(&place, take_apart(statement, dialect, SubSelects::OfTheRow))?;
    for clause in &select.dropped {
        let written = quoted(&select.variables.written(clause));
        findings.warn(&place, format!("{written} is left out; mailauth refuses an account with several rows"));
    }
    Some(select)
}

fn refuse_columns(query: &Select, place: &Place, findings: &mut Findings) {
    for column in &query.columns {
        let name = column.name.as_deref().unwrap_or_default();
        let name = name.split(':').next().unwrap_or_default();
        if let Some((_, reason)) = REFUSED.iter().find(|(refused, _)| *refused == name) {
            findings.refuse(place, format!("has the column {name}: {reason}"));
        }
    }
    if query.column("password").is_none() && query.column("password_noscheme").is_none() {
        findings.refuse(place, "has no column named password, so it does not read a stored password");
    }
}

/// The work on both queries.
pub struct Work<'f> {
    pub dialect: Dialect,
    pub findings: &'f mut Findings,
    pub accounts: Accounts,
    pub conditions: Conditions,
    finder: Finder,
    /// Conditions for every account.
    filters: Vec<String>,
    /// Conditions with the login, for which the row's own columns are put in; true if they are for logins only.
    by_row: Vec<(String, bool)>,
    pub password: (Select, Place),
    pub user: Option<(Select, Place)>,
}

impl Work<'_> {
    fn run(&mut self, scheme: &Scheme) {
        let (dialect, (password, place)) = (self.dialect, self.password.clone());
        self.accounts.names = password.names(dialect);
        if let Some((user, _)) = &self.user {
            self.accounts.names.extend(user.names(dialect));
        }
        let from = self.from();
        self.terms();
        if self.finder.terms.is_empty() {
            self.findings
                .refuse(&place, "has no condition on the login, such as username = '%u', that finds one account");
            return self.check_mailboxes();
        }
        let named = password.column("user").filter(|column| password.variables.meanings(&column.sql).next().is_none());
        let Some(row) = self.finder.row(named.map(|column| column.sql.as_str()), dialect) else {
            self.findings.refuse(&place, "does not say which columns hold the login");
            return self.check_mailboxes();
        };
        self.keep_conditions_by_row(&row);
        self.accounts.add("from", from.clone(), format!("FROM {from}"), &place);
        let filters: Vec<_> = self.filters.iter().map(|term| as_term(term, dialect)).collect();
        if !filters.is_empty() {
            self.accounts.add("where", filters.join(" AND "), format!("WHERE {}", filters.join(" AND ")), &place);
        }
        self.accounts.add("find", self.finder.condition(), format!("WHERE {}", self.finder.old.join(" AND ")), &place);
        let old = named.map_or_else(String::new, |column| format!("{} AS user", column.sql));
        self.accounts.add("login", lowered(&row.login), old, &place);
        if self.finder.has_alternatives {
            self.findings.note(
                &place,
                "finds an account by several columns; mailauth accepts only the login that the account has itself",
            );
        }
        self.password_column(scheme, &row);
        self.fields(&row);
        self.networks(&row);
        self.other_columns();
        self.services(&place);
    }

    /// Returns the tables. Those of one query must begin with those of the other.
    fn from(&mut self) -> String {
        let (password, place) = &self.password;
        let Some((user, user_place)) = &self.user else { return password.from.clone() };
        if extends(&password.from, &user.from, self.dialect) {
            return password.from.clone();
        }
        if extends(&user.from, &password.from, self.dialect) {
            return user.from.clone();
        }
        let is_constant = |column: &Column| names(&column.sql, self.dialect).is_empty();
        if !user.columns.iter().all(is_constant) {
            self.findings.refuse(
                user_place,
                format!(
                    "reads other tables than {}: {} and {}; write both over the same tables, with the same names",
                    place.key,
                    quoted(&user.from),
                    quoted(&password.from)
                ),
            );
        }
        password.from.clone()
    }

    /// Sorts the terms of both conditions.
    fn terms(&mut self) {
        let (password, place) = self.password.clone();
        let user = self.user.clone();
        let dialect = self.dialect;
        let written = |term: &str, select: &Select| normal(&select.variables.written(term), dialect);
        let all = |select: &Select| select.terms.iter().map(|term| written(term, select)).collect::<BTreeSet<_>>();
        let (of_password, of_user) = (all(&password), user.as_ref().map(|(user, _)| all(user)));
        let mut sorted = Vec::new();
        for term in &password.terms {
            let for_logins = of_user.as_ref().is_some_and(|terms| !terms.contains(&written(term, &password)));
            sorted.push((term.clone(), password.clone(), place.clone(), for_logins, false));
        }
        if let Some((user, user_place)) = &user {
            for term in &user.terms {
                let has_service = user.variables.meanings(term).any(Meaning::is_service);
                if has_service || !of_password.contains(&written(term, user)) {
                    sorted.push((term.clone(), user.clone(), user_place.clone(), false, true));
                }
            }
        }
        for (term, select, place, for_logins, of_user) in sorted {
            if let Err(problem) = self.term(&term, &select, &place, for_logins, of_user) {
                self.findings.refuse(&place, problem);
            }
        }
    }

    fn term(
        &mut self,
        term: &str,
        select: &Select,
        place: &Place,
        for_logins: bool,
        of_user: bool,
    ) -> Result<(), String> {
        let (variables, dialect) = (&select.variables, self.dialect);
        let written = || quoted(&variables.written(term));
        let other = |meaning| matches!(meaning, Meaning::Other | Meaning::Home);
        if variables.meanings(term).any(|meaning| meaning == Meaning::Password) {
            return Ok(());
        }
        if let Some(variable) = variables.first(term, other) {
            return Err(format!("has {variable} in a condition, which mailauth cannot keep: {}", written()));
        }
        let has_service = variables.meanings(term).any(Meaning::is_service);
        let has_login = variables.meanings(term).any(Meaning::is_login);
        match (has_service, has_login) {
            (true, true) => Err(format!("has the login and the service in one condition: {}", written())),
            (true, false) => {
                self.conditions.add_by_service(term, variables);
                if of_user {
                    self.conditions.add_for_delivery(term, variables);
                }
                Ok(())
            }
            // What finds a mailbox is what finds a login.
            (false, true) if of_user => {
                let mut other = Finder::default();
                if !other.add(term, variables, dialect)? {
                    return Err(format!("has a condition on the login that mailauth cannot keep: {}", written()));
                }
                Ok(())
            }
            (false, true) => {
                if !self.finder.add(term, variables, dialect)? {
                    self.by_row.push((term.to_owned(), for_logins));
                }
                Ok(())
            }
            (false, false) if for_logins => {
                self.conditions.add_for_logins(term.to_owned());
                Ok(())
            }
            (false, false) => {
                if of_user {
                    self.findings.note(
                        place,
                        format!(
                            "its condition {} holds for logins too; the query of logins does not have it",
                            written()
                        ),
                    );
                }
                self.filters.push(term.to_owned());
                Ok(())
            }
        }
    }

    fn keep_conditions_by_row(&mut self, row: &Row) {
        let (password, place) = self.password.clone();
        for (term, for_logins) in std::mem::take(&mut self.by_row) {
            match self.of_the_row(&term, row, &password) {
                Ok(term) if for_logins => self.conditions.add_for_logins(term),
                Ok(term) => self.filters.push(term),
                Err(problem) => self.findings.refuse(&place, problem),
            }
        }
    }

    /// Returns a condition in which the row's own columns replace the login. In a sub-select, they have the name of the
    /// table, which the sub-select must not use.
    fn of_the_row(&self, term: &str, row: &Row, query: &Select) -> Result<String, String> {
        if !has_select(term, self.dialect) {
            return row.put_into(term, &query.variables, self.dialect);
        }
        let table = only_table(&query.from, self.dialect).filter(|table| !names(term, self.dialect).contains(table));
        let qualified = table.and_then(|table| row.of_table(&table, self.dialect));
        match qualified {
            Some(row) => row.put_into(term, &query.variables, self.dialect),
            None => Err(format!(
                "has the login in a sub-select, where it cannot be kept: {}; write it as a join",
                quoted(&query.variables.written(term))
            )),
        }
    }

    fn password_column(&mut self, scheme: &Scheme, row: &Row) {
        let (password, place) = self.password.clone();
        let with_prefix = password.column("password");
        let Some(column) = with_prefix.or_else(|| password.column("password_noscheme")) else { return };
        let sql = match row.put_into(&column.sql, &password.variables, self.dialect) {
            Ok(sql) => sql,
            Err(problem) => return self.findings.refuse(&place, problem),
        };
        if sql.eq_ignore_ascii_case("NULL") || sql == "''" {
            return self.findings.refuse(&place, "reads no stored password, but NULL");
        }
        let prefix = self.dialect.literal(&format!("{{{}}}", scheme.name));
        let prefixed = self.dialect.concat(&[prefix, sql.clone()]);
        let old = format!("{} AS {}", password.variables.written(&column.sql), column.name.as_deref().unwrap_or(""));
        let sql = match (with_prefix.is_some(), scheme.is_encoded) {
            (true, false) => sql,
            (true, true) => format!("CASE WHEN {sql} LIKE '{{%' THEN {sql} ELSE {prefixed} END"),
            (false, _) => prefixed,
        };
        self.accounts.add("password", sql, old, &place);
    }

    /// Refuses accounts that may log in from some networks only.
    fn networks(&mut self, row: &Row) {
        let (password, place) = self.password.clone();
        for name in ["allow_nets", "allow_real_nets"] {
            let Some(column) = password.column(name) else { continue };
            match row.put_into(&column.sql, &password.variables, self.dialect) {
                Ok(sql) => {
                    // PostgreSQL has a type for networks.
                    let text = match self.dialect {
                        Dialect::Postgres => format!("CAST({sql} AS text)"),
                        Dialect::Mysql | Dialect::Sqlite => sql,
                    };
                    self.conditions.add_for_logins(format!("COALESCE({text}, '') = ''"));
                    let text = format!("accounts with {name} cannot log in: mailauth has no networks of an account");
                    self.findings.warn(&place, text);
                }
                Err(problem) => self.findings.refuse(&place, problem),
            }
        }
    }

    /// Names the columns of the query of logins that are not taken over.
    fn other_columns(&mut self) {
        let (password, place) = self.password.clone();
        let known = ["user", "username", "domain", "password", "password_noscheme", "allow_nets", "allow_real_nets"];
        for column in &password.columns {
            match column.name.as_deref() {
                Some(name) if known.contains(&name) || name.starts_with("userdb_") => {}
                Some(name) if REFUSED.iter().any(|(refused, _)| *refused == name) => {}
                Some(name) => self.findings.warn(&place, format!("the column {name} is not taken over")),
                None => {
                    let written = quoted(&password.variables.written(&column.sql));
                    self.findings.warn(&place, format!("the column {written} has no name, so it is not taken over"));
                }
            }
        }
    }

    fn services(&mut self, place: &Place) {
        let old = format!("WHERE {}", self.conditions.written());
        match self.conditions.services(DOVECOT, self.dialect) {
            Ok(Some(sql)) => self.accounts.add("services", sql, old.clone(), place),
            Ok(None) => {}
            Err(problem) => self.findings.refuse(place, problem),
        }
        let user_place = self.user.as_ref().map_or(place, |(_, place)| place).clone();
        match self.conditions.receives(DELIVERY, self.dialect) {
            Ok(Some(sql)) => self.accounts.add("receives", sql, old, &user_place),
            Ok(None) => {}
            Err(problem) => self.findings.refuse(&user_place, problem),
        }
    }
}

/// Returns true if the tables `longer` are the tables `shorter`, perhaps with more joined to them.
fn extends(longer: &str, shorter: &str, dialect: Dialect) -> bool {
    if let (Some(longer), Some(shorter)) = (Joins::read(longer, dialect), Joins::read(shorter, dialect)) {
        return longer.extend(&shorter);
    }
    const JOINS: [&str; 7] = [",", "join", "inner", "left", "cross", "natural", "straight_join"];
    let (longer, shorter) = (normal(longer, dialect), normal(shorter, dialect));
    longer.strip_prefix(&shorter).is_some_and(|rest| {
        let next = rest.split_whitespace().next();
        rest.is_empty() || rest.starts_with(' ') && next.is_some_and(|word| JOINS.contains(&word))
    })
}
