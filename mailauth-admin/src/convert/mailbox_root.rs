//! The folder that contains all mailboxes, as far as the old file says it.

use super::accounts::{Accounts, Conversion, Setting, quoted_toml};

/// Returns `[mailbox] root`, if homes or Maildirs are made of columns, and a home below it.
pub fn settings(conversion: &Conversion) -> Vec<Setting> {
    let term = |key| conversion.accounts.term(key).map(|term| term.sql.as_str());
    let (home, maildir) = (term("home"), term("maildir"));
    if home.is_none() && maildir.is_none() {
        return Vec::new();
    }
    let mut roots = Vec::new();
    match (home, template(conversion, "home")) {
        (Some(sql), _) => roots.push(beginning(sql)),
        (None, Some(path)) => roots.push(folder(path)),
        (None, None) => {}
    }
    match (maildir.map(beginning), template(conversion, "maildir")) {
        (Some(Some(folder)), _) => roots.push(Some(folder)),
        // A Maildir in a column is usually below the home.
        (Some(None), _) if roots.is_empty() => roots.push(None),
        (None, Some(path)) if path.starts_with('/') => roots.push(folder(path)),
        _ => {}
    }
    let root = match roots.as_slice() {
        [Some(root), rest @ ..] if rest.iter().all(|other| other.as_deref() == Some(root)) => root.clone(),
        _ => "/".to_owned(),
    };
    let comment = if root == "/" {
        "The folder that contains all mailboxes. The old file does not say it; / accepts any"
    } else {
        "The folder that contains all mailboxes"
    };
    let setting =
        |key, value: &str, comment: &str| Setting { key, value: quoted_toml(value), comment: comment.to_owned() };
    let mut settings = Vec::new();
    if home.is_some() {
        settings.push(setting("home", "", "Each account has a home of its own; without one it cannot be used"));
    }
    settings.push(setting("root", &root, comment));
    settings
}

/// Returns the folder that contains all mailboxes for a parameter of the profile, or the usual one.
pub fn mail_root(conversion: &Conversion) -> String {
    let from_terms = ["home", "maildir"].into_iter().filter_map(|key| conversion.accounts.term(key));
    let from_values = conversion.accounts.mailbox.iter().filter(|setting| ["home", "maildir"].contains(&setting.key));
    let values = from_values.filter_map(|setting| folder(setting.value.trim_matches('"')));
    let found = from_terms.filter_map(|term| beginning(&term.sql)).chain(values).next();
    let root = found.filter(|root| is_plain(root)).unwrap_or_default();
    let root = root.trim_end_matches('/');
    if root.is_empty() { "/var/vmail".to_owned() } else { root.to_owned() }
}

fn is_plain(path: &str) -> bool {
    path.starts_with('/')
        && path.chars().all(|c| c.is_ascii_alphanumeric() || "/._-".contains(c))
        && !path.contains("..")
}

/// Returns a template of `[mailbox]`.
fn template<'c>(conversion: &'c Conversion, key: &str) -> Option<&'c str> {
    let setting = conversion.accounts.mailbox.iter().find(|setting| setting.key == key)?;
    Some(setting.value.trim_matches('"'))
}

/// Returns the folders of a template before the first with a variable.
fn folder(template: &str) -> Option<String> {
    let folder = match template.split_once('%') {
        Some((before, _)) => before.rsplit_once('/').map_or("", |(folder, _)| folder),
        None => template.trim_end_matches('/'),
    };
    (is_plain(folder)).then(|| folder.to_owned())
}

/// Uses the Maildir as the home too, if the old file has an absolute Maildir and no home.
pub fn complete_home(accounts: &mut Accounts) {
    let has_home = accounts.term("home").is_some() || accounts.mailbox.iter().any(|setting| setting.key == "home");
    if has_home {
        return;
    }
    let comment = "The old file has no home; the Maildir is the home too";
    if let Some(maildir) = accounts.term("maildir").cloned().filter(|term| beginning(&term.sql).is_some()) {
        accounts.add("home", maildir.sql, comment, &maildir.place);
    } else if let Some(maildir) = accounts.mailbox.iter().find(|setting| setting.key == "maildir").cloned()
        && maildir.value.starts_with("\"/")
    {
        accounts.set("home", maildir.value, comment.to_owned());
    }
}

/// Returns the folder that a joined text begins with, such as `/var/vmail` of `CONCAT('/var/vmail/', maildir)`.
fn beginning(sql: &str) -> Option<String> {
    let sql = sql.strip_prefix("CONCAT(").or_else(|| sql.strip_prefix("concat(")).unwrap_or(sql);
    let text = sql.strip_prefix('\'')?.split('\'').next()?;
    let folder = text.rsplit_once('/').map(|(folder, _)| folder)?;
    (is_plain(folder) && !folder.is_empty()).then(|| folder.to_owned())
}
