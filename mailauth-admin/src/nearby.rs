//! Suggestions for names that do not exist: the most similar existing name, found by a few bounded reads.

use crate::failure::{Failure, no_such};
use crate::output::printable;
use mailauth_core::account::Login;
use mailauth_core::spelling::{readable, readable_domain};
use mailauth_core::store::{AccountStore, AdminError, Administration, Cursor, MailStore, SqlStore};
use std::ops::ControlFlow;

/// Number of rows that are read from the beginning of a domain, and behind each prefix of the given name.
const PAGE: usize = 1000;

/// Returns the failure for a refusal of the store, and suggests a similar name for one that does not exist. With
/// `adds`, the suggestion for a missing domain may be to add it.
pub fn refused(store: &SqlStore, error: AdminError, adds: bool) -> Failure {
    match &error {
        AdminError::NoSuch { what: "account", name } => match Login::parse(name.as_bytes(), None) {
            Ok(login) => no_account(store, &login),
            Err(_) => error.into(),
        },
        AdminError::NoSuch { what: "domain", name } => no_domain(store, name, adds),
        AdminError::NoSuch { what: "alias", name } => no_alias(store, name),
        _ => error.into(),
    }
}

/// Returns the failure for an account that does not exist.
pub fn no_account(store: &SqlStore, login: &Login) -> Failure {
    let targets = store.alias_targets(login.as_str()).unwrap_or_default();
    if !targets.is_empty() {
        let targets = targets.join(", ");
        return Failure::no(format!(
            "no such account {}; it is an alias; its mail goes to {}",
            login.readable(),
            printable(&targets)
        ));
    }
    did_you_mean(no_such("account", login.as_str()), "account", login.as_str(), nearest_account(store, login))
}

/// Returns the failure for a domain that does not exist.
pub fn no_domain(store: &SqlStore, name: &str, adds: bool) -> Failure {
    let near = nearest_domain(store, name);
    if !adds {
        return did_you_mean(no_such("domain", name), "domain", name, near);
    }
    let near = near.map(|near| readable_domain(&near).into_owned());
    let name = readable_domain(name);
    let add = format!("add it with 'mailauth domain add {name}'");
    Failure::no(match near {
        Some(near) => format!("no such domain {name}; did you mean {}? Otherwise {add}", printable(&near)),
        None => format!("no such domain {name}; {add}"),
    })
}

/// Returns the failure for an alias that does not exist, or that lacks the target written after the arrow.
fn no_alias(store: &SqlStore, name: &str) -> Failure {
    let near = match name.split_once(" -> ") {
        Some((address, target)) => {
            let targets = store.alias_targets(address).unwrap_or_default();
            nearest(target, targets.iter().map(String::as_str)).map(|target| format!("{address} -> {target}"))
        }
        None => nearest_alias(store, name),
    };
    did_you_mean(no_such("alias", name), "alias", name, near)
}

fn did_you_mean(otherwise: String, what: &str, name: &str, near: Option<String>) -> Failure {
    let shown = if what == "domain" { readable_domain } else { readable };
    let name = shown(name);
    Failure::no(match near {
        Some(near) => format!("no such {what} {name}; did you mean {}?", printable(&shown(&near))),
        None => otherwise,
    })
}

/// Searches the same domain, and the same local part in a domain with a similar name. `None` if the table cannot be
/// read.
fn nearest_account(store: &SqlStore, login: &Login) -> Option<String> {
    let (local, domain) = (login.local_part(), login.domain());
    let page = |after: Option<&Cursor>| {
        let page = store.domain_accounts(domain, after, PAGE).ok()?;
        let logins = page.rows.into_iter().flatten().map(|row| row.login.local_part().to_owned()).collect();
        Some((logins, page.next.is_some()))
    };
    if let Some(near) = nearest_in_pages(local, page) {
        return Some(format!("{near}@{domain}"));
    }
    let domain = nearest_domain(store, domain)?;
    let moved = Login::parse(format!("{local}@{domain}").as_bytes(), None).ok()?;
    store.find(&moved).ok()?.map(|row| row.login.to_string())
}

fn nearest_domain(store: &SqlStore, name: &str) -> Option<String> {
    nearest_in_pages(name, |after| {
        let page = store.domain_page(after, PAGE).ok()?;
        Some((page.rows.into_iter().flatten().map(|row| row.name).collect(), page.next.is_some()))
    })
}

/// Searches the first aliases of the domain.
fn nearest_alias(store: &SqlStore, address: &str) -> Option<String> {
    let domain = address.rsplit_once('@').map(|(_, domain)| domain)?;
    let mut addresses = Vec::new();
    let read = store.each_alias(Some(domain), &mut |alias| {
        addresses.extend(alias.map(|alias| alias.address));
        if addresses.len() < PAGE { ControlFlow::Continue(()) } else { ControlFlow::Break(()) }
    });
    read.ok()?;
    nearest(address, addresses.iter().map(String::as_str))
}

/// Searches the first page of names and, if there are more, the names that begin like `name`.
fn nearest_in_pages(name: &str, page: impl Fn(Option<&Cursor>) -> Option<(Vec<String>, bool)>) -> Option<String> {
    let (mut names, more) = page(None)?;
    if more {
        for (end, letter) in name.char_indices().take(3) {
            let prefix = name.get(..end + letter.len_utf8()).unwrap_or(name);
            names.extend(page(Some(&Cursor::behind(prefix)))?.0);
        }
    }
    nearest(name, names.iter().map(String::as_str))
}

/// Returns the name that is most similar to `meant`. Wrong, missing, additional and swapped characters are permitted: at
/// most a third of those before the first dot or `@`, and at most three.
pub fn nearest<'n>(meant: &str, names: impl Iterator<Item = &'n str>) -> Option<String> {
    let most = (meant.chars().take_while(|c| !matches!(c, '.' | '@')).count() / 3).clamp(1, 3);
    let near = names.map(|name| (strsim::osa_distance(meant, name), name)).min()?;
    let is_near = (1..=most).contains(&near.0) && near.0 < near.1.chars().count();
    is_near.then(|| near.1.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_typing_error_is_near_and_another_name_is_not() {
        let of = |meant| nearest(meant, ["anna", "ben", "carla", "info", "b"].into_iter());
        for (meant, near) in [("annna", "anna"), ("nana", "anna"), ("bne", "ben"), ("karla", "carla"), ("inf", "info")]
        {
            assert_eq!(of(meant).as_deref(), Some(near), "{meant}");
        }
        for meant in ["dora", "x", "benjamin", ""] {
            assert_eq!(of(meant), None, "{meant}");
        }
        assert_eq!(nearest("nowhere.example", ["other.example"].into_iter()), None);
        assert_eq!(nearest("exmaple.org", ["example.org", "x.org"].into_iter()).as_deref(), Some("example.org"));
    }

    #[test]
    fn names_with_the_same_beginning_are_searched() {
        let all: Vec<String> = (0..100_000).map(|number| format!("user{number:05}")).collect();
        let page = |after: Option<&Cursor>| {
            let begin = after.map_or(0, |after| all.partition_point(|name| name.as_bytes() <= after.as_bytes()));
            let names: Vec<String> = all.iter().skip(begin).take(PAGE).cloned().collect();
            Some((names, begin + PAGE < all.len()))
        };
        assert_eq!(nearest_in_pages("usr00042", page).as_deref(), Some("user00042"));
    }
}
