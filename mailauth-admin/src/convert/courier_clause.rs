//! Courier's `SELECT_CLAUSE`, whose columns count by their place.

use super::accounts::Accounts;
use super::courier::{Courier, is_nothing};
use super::finding_terms::{Finder, Row};
use super::findings::{Place, quoted};
use super::forms::{lowered, normal};
use super::select::{Select, SubSelects, as_term, take_apart};
use super::services::{COURIER, Conditions};
use super::variables::{Meaning, of_courier};
use std::collections::BTreeSet;

/// The service under which Courier's delivery asks.
const DELIVERY: &str = "courier";

/// The columns by their place: login, hash, password in clear, uid, gid, home, Maildir, quota, name, options.
const LEAST_COLUMNS: usize = 6;

/// Reads the accounts of a SELECT_CLAUSE.
pub fn accounts(courier: &mut Courier<'_>, clause: &str, place: &Place) -> Accounts {
    let mut accounts = Accounts::default();
    let select =
        of_courier(clause).and_then(|statement| take_apart(statement, courier.dialect, SubSelects::WithoutVariables));
    let Some(select) = courier.findings.value(place, select) else { return accounts };
    accounts.names = select.names(courier.dialect);
    if let Some((_, place)) = courier.get("WHERE_CLAUSE") {
        courier.findings.warn(&place, "has no effect beside SELECT_CLAUSE");
    }
    for dropped in &select.dropped {
        let text = format!("{} is left out; mailauth refuses an account with several rows", quoted(dropped));
        courier.findings.warn(place, text);
    }
    if select.columns.len() < LEAST_COLUMNS {
        courier.findings.refuse(place, format!("has fewer than {LEAST_COLUMNS} columns, which Courier refuses"));
        return accounts;
    }
    if let Some(terms) = terms(courier, &select, place) {
        take_over(courier, &select, &terms, place, &mut accounts);
    }
    compare_listing(courier, &select);
    accounts
}

/// The terms of the condition, sorted.
struct Terms {
    finder: Finder,
    conditions: Conditions,
    filters: Vec<String>,
    by_row: Vec<String>,
}

fn terms(courier: &mut Courier<'_>, select: &Select, place: &Place) -> Option<Terms> {
    let variables = &select.variables;
    let mut terms =
        Terms { finder: Finder::default(), conditions: Conditions::default(), filters: Vec::new(), by_row: Vec::new() };
    let mut complete = true;
    for term in &select.terms {
        let written = || quoted(&variables.written(term));
        let refused = variables.first(term, |meaning| !meaning.is_login() && !meaning.is_service());
        let has_service = variables.meanings(term).any(Meaning::is_service);
        let has_login = variables.meanings(term).any(Meaning::is_login);
        let problem = match (refused, has_service, has_login) {
            (Some(variable), _, _) => Some(format!("has {variable} in a condition: {}", written())),
            (None, true, true) => Some(format!("has the login and the service in one condition: {}", written())),
            (None, true, false) => {
                terms.conditions.add_by_service(term, variables);
                terms.conditions.add_for_delivery(term, variables);
                None
            }
            (None, false, true) => match terms.finder.add(term, variables, courier.dialect) {
                Ok(true) => None,
                Ok(false) => {
                    terms.by_row.push(term.clone());
                    None
                }
                Err(problem) => Some(problem),
            },
            (None, false, false) => {
                terms.filters.push(term.clone());
                None
            }
        };
        if let Some(problem) = problem {
            courier.findings.refuse(place, problem);
            complete = false;
        }
    }
    if terms.finder.terms.is_empty() {
        let text = "has no condition on the login, such as id = '$(local_part)@$(domain)', that finds one account";
        courier.findings.refuse(place, text);
        complete = false;
    }
    complete.then_some(terms)
}

fn take_over(courier: &mut Courier<'_>, select: &Select, terms: &Terms, place: &Place, accounts: &mut Accounts) {
    let dialect = courier.dialect;
    let plain = |index: usize| {
        let column = select.columns.get(index)?;
        Some(column.sql.as_str()).filter(|sql| !is_nothing(sql))
    };
    let named = plain(0).filter(|sql| select.variables.meanings(sql).next().is_none());
    let Some(row) = terms.finder.row(named, dialect) else {
        return courier.findings.refuse(place, "does not say which columns hold the login");
    };
    accounts.add("from", select.from.clone(), format!("FROM {}", select.from), place);
    let mut filters: Vec<_> = terms.filters.iter().map(|term| as_term(term, dialect)).collect();
    for term in &terms.by_row {
        let term = row.put_into(term, &select.variables, dialect);
        filters.extend(courier.findings.value(place, term).map(|term| as_term(&term, dialect)));
    }
    if !filters.is_empty() {
        accounts.add("where", filters.join(" AND "), format!("WHERE {}", filters.join(" AND ")), place);
    }
    accounts.add("find", terms.finder.condition(), format!("WHERE {}", terms.finder.old.join(" AND ")), place);
    accounts.add("login", lowered(&row.login), column_text(0, &row.login), place);
    columns(courier, select, &row, place, accounts);
    let written = format!("WHERE {}", terms.conditions.written());
    match terms.conditions.services(COURIER, dialect) {
        Ok(Some(sql)) => accounts.add("services", sql, written.clone(), place),
        Ok(None) => {}
        Err(problem) => courier.findings.refuse(place, problem),
    }
    match terms.conditions.receives(DELIVERY, dialect) {
        Ok(Some(sql)) => accounts.add("receives", sql, written, place),
        Ok(None) => {}
        Err(problem) => courier.findings.refuse(place, problem),
    }
}

fn column_text(index: usize, sql: &str) -> String {
    format!("column {}: {sql}", index + 1)
}

fn columns(courier: &mut Courier<'_>, select: &Select, row: &Row, place: &Place, accounts: &mut Accounts) {
    let mut column = |index: usize| {
        let sql = select.columns.get(index).map(|column| column.sql.as_str()).filter(|sql| !is_nothing(sql))?;
        let put = row.put_into(sql, &select.variables, courier.dialect);
        let put = courier.findings.value(place, put)?;
        Some((put, column_text(index, &select.variables.written(sql))))
    };
    let columns: Vec<_> = (1..10).map(&mut column).collect();
    let get = |index: usize| columns.get(index - 1).cloned().flatten();
    let with_place = |column: Option<(String, String)>| column.map(|(sql, _)| (sql, place.clone()));
    courier.passwords(with_place(get(1)), with_place(get(2)), accounts);
    for (key, index) in [("uid", 3), ("gid", 4)] {
        if let Some((sql, old)) = get(index) {
            courier.owner(key, &sql, &old, place, accounts);
        }
    }
    match get(5) {
        Some((sql, old)) => courier.home(&sql, &old, place, accounts),
        None => courier.findings.refuse(place, "reads no home; to Courier no account is usable"),
    }
    for (key, index) in [("maildir", 6), ("quota", 7), ("name", 8)] {
        if let Some((sql, old)) = get(index) {
            courier.text(key, &sql, &old, place, accounts);
        }
    }
    if let Some((sql, old)) = get(9) {
        courier.options(&sql, &old, place, accounts);
    }
}

/// Says if Courier lists other accounts than it finds. mailauth lists those that it finds.
fn compare_listing(courier: &mut Courier<'_>, select: &Select) {
    let Some((clause, place)) = courier.get("ENUMERATE_CLAUSE") else { return };
    let text = "lists other accounts than SELECT_CLAUSE finds; mailauth lists those that it finds";
    let Ok(listing) =
        of_courier(&clause).and_then(|statement| take_apart(statement, courier.dialect, SubSelects::WithoutVariables))
    else {
        return courier.findings.warn(&place, text);
    };
    let plain = |select: &Select| {
        let has_none = |term: &&String| select.variables.meanings(term).next().is_none();
        select.terms.iter().filter(has_none).map(|term| unqualified(term, courier)).collect::<BTreeSet<_>>()
    };
    if plain(&listing) != plain(select) {
        courier.findings.warn(&place, text);
    }
}

/// Returns a term without the tables before its columns, in a form that can be compared.
fn unqualified(term: &str, courier: &Courier<'_>) -> String {
    match super::tokens::tokenize(term, courier.dialect) {
        Ok(list) => super::tokens::Tokens::new(term, &list).normal(true),
        Err(_) => normal(term, courier.dialect),
    }
}
