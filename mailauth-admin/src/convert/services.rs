//! The services that an account may use, made of conditions that contain the service.

use super::condition::{Truth, evaluate};
use super::dialect::Dialect;
use super::findings::quoted;
use super::select::as_term;
use super::tokens::{Kind, Token, Tokens, tokenize};
use super::variables::{Letters, Meaning, Variables};

/// A service of ours, and the name under which the old program asks for it.
pub type Name = (&'static str, &'static str);

/// The services of Courier.
pub const COURIER: &[Name] = &[("imap", "imap"), ("pop3", "pop3"), ("smtp", "esmtp"), ("webmail", "webmail")];

/// The services of Dovecot. A webmail reads mail by IMAP.
pub const DOVECOT: &[Name] =
    &[("imap", "imap"), ("pop3", "pop3"), ("smtp", "smtp"), ("sieve", "sieve"), ("webmail", "imap")];

/// A service that is in neither list.
const OTHER: &str = "calendar";

/// What decides which services an account may use.
#[derive(Debug, Default)]
pub struct Conditions {
    /// Conditions with a variable for the service.
    by_service: Vec<(String, Variables)>,
    /// Conditions for every login.
    logins: Vec<String>,
    /// Conditions for taking mail, with a variable for the service.
    delivery: Vec<(String, Variables)>,
}

impl Conditions {
    pub fn add_by_service(&mut self, term: &str, variables: &Variables) {
        self.by_service.push((term.to_owned(), variables.clone()));
    }

    pub fn add_for_logins(&mut self, term: String) {
        self.logins.push(term);
    }

    pub fn add_for_delivery(&mut self, term: &str, variables: &Variables) {
        self.delivery.push((term.to_owned(), variables.clone()));
    }

    /// Returns all conditions as they are written in the old file.
    pub fn written(&self) -> String {
        let with_variables = self.by_service.iter().chain(&self.delivery);
        let written =
            with_variables.map(|(term, variables)| variables.written(term)).chain(self.logins.iter().cloned());
        let mut all: Vec<String> = Vec::new();
        for term in written {
            if !all.contains(&term) && all.len() < 20 {
                all.push(term);
            }
        }
        all.join(" AND ")
    }

    /// Returns the expression for the list of services; `None` if nothing restricts them.
    pub fn services(&self, names: &[Name], dialect: Dialect) -> Result<Option<String>, String> {
        let mut list = Vec::new();
        for (ours, theirs) in names {
            let conditions =
                self.by_service.iter().map(|(term, variables)| holds(term, variables, theirs, "secured", dialect));
            list.push((*ours, Truth::all(conditions.collect::<Result<Vec<_>, _>>()?, dialect)));
        }
        let others = self.others(dialect)?;
        let logins: Vec<_> = self.logins.iter().map(|term| evaluate(term, dialect)).collect::<Result<_, _>>()?;
        let services = by_condition(&list, others, dialect);
        Ok(match Truth::all(logins, dialect) {
            Truth::Always => services,
            Truth::Never => Some("'none'".to_owned()),
            Truth::Sql(condition) => {
                let services = services.unwrap_or_else(|| "NULL".to_owned());
                Some(format!("CASE WHEN {condition} THEN {services} ELSE 'none' END"))
            }
        })
    }

    /// Returns whether an account may use a service that is not in the list.
    fn others(&self, dialect: Dialect) -> Result<Truth, String> {
        let mut conditions = Vec::new();
        for (term, variables) in &self.by_service {
            conditions.push(match is_in_a_name(term, variables, dialect)? {
                // There is no such column.
                true => Truth::Never,
                false => holds(term, variables, OTHER, "secured", dialect)?,
            });
        }
        Ok(Truth::all(conditions, dialect))
    }

    /// Returns the expression for whether an account takes mail; `None` if each does. `name` is the service under which
    /// the old program delivers.
    pub fn receives(&self, name: &str, dialect: Dialect) -> Result<Option<String>, String> {
        let conditions = self.delivery.iter().map(|(term, variables)| holds(term, variables, name, "", dialect));
        Ok(match Truth::all(conditions.collect::<Result<Vec<_>, _>>()?, dialect) {
            Truth::Always => None,
            Truth::Never => Some("0".to_owned()),
            Truth::Sql(condition) => Some(format!("CASE WHEN {condition} THEN 1 ELSE 0 END")),
        })
    }
}

/// Returns true if a variable is in a name, not in a text.
fn is_in_a_name(term: &str, variables: &Variables, dialect: Dialect) -> Result<bool, String> {
    let list = tokenize(term, dialect)?;
    let tokens = Tokens::new(term, &list);
    let has_variable = |token: &Token| variables.meanings(tokens.text_of(token)).next().is_some();
    Ok(list.iter().any(|token| token.kind != Kind::Text && has_variable(token)))
}

/// Returns the list of the services whose condition holds; NULL, which permits all, if all hold and if `others` does,
/// the condition of the services that are not in the list.
fn by_condition(list: &[(&str, Truth)], others: Truth, dialect: Dialect) -> Option<String> {
    let restricts = list.iter().map(|(_, truth)| truth).chain([&others]).any(|truth| *truth != Truth::Always);
    if !restricts {
        return None;
    }
    let items: Vec<_> = list
        .iter()
        .filter_map(|(name, truth)| match truth {
            Truth::Always => Some(((*name).to_owned(), None)),
            Truth::Never => None,
            Truth::Sql(condition) => Some(((*name).to_owned(), Some(condition.clone()))),
        })
        .collect();
    if items.iter().all(|(_, condition)| condition.is_none()) && !matches!(others, Truth::Sql(_)) {
        let names: Vec<_> = items.iter().map(|(name, _)| name.as_str()).collect();
        return Some(if names.is_empty() { "'none'".to_owned() } else { format!("'{}'", names.join(",")) });
    }
    let some = dialect.service_list(&items);
    // One that never holds makes this Never.
    let all = Truth::all(list.iter().map(|(_, truth)| truth.clone()).chain([others]), dialect);
    match all {
        Truth::Sql(all) => Some(format!("CASE WHEN {} THEN NULL ELSE {some} END", as_term(&all, dialect))),
        Truth::Always | Truth::Never => Some(some),
    }
}

/// Returns what a condition is for one service.
fn holds(term: &str, variables: &Variables, service: &str, secured: &str, dialect: Dialect) -> Result<Truth, String> {
    let mut text = String::with_capacity(term.len());
    for c in term.chars() {
        match variables.meaning(c) {
            None => text.push(c),
            Some(Meaning::Service(Letters::Lower)) => text.push_str(service),
            Some(Meaning::Service(Letters::Upper)) => text.push_str(&service.to_ascii_uppercase()),
            Some(Meaning::Secured) => text.push_str(secured),
            Some(_) => {
                let variable = variables.first(term, |meaning| !meaning.is_service()).unwrap_or_default();
                return Err(format!(
                    "has {variable} and the service in one term, which cannot become a list of services: {}",
                    quoted(&variables.written(term))
                ));
            }
        }
    }
    evaluate(&text, dialect)
}
