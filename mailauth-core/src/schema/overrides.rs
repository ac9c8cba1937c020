//! What `[schema.accounts]` and its siblings say instead of the profile.

use super::assemble::{Origin, Work, lacking};
use super::profile::Texts;
use super::settings::{SchemaConfig, Setting};
use super::{Separator, named};

use std::collections::BTreeSet;

/// What the configuration has changed in a profile.
pub(super) struct Changes {
    /// The keys of `[schema.accounts]` that it sets.
    accounts: BTreeSet<String>,
    pub domains: Origin,
    pub aliases: Origin,
    pub alias_domains: Origin,
}

impl Changes {
    /// Returns where a key of the accounts came from.
    pub fn origin(&self, key: &str) -> Origin {
        if self.accounts.contains(key) { Origin::Configuration } else { Origin::Profile }
    }
}

/// Replaces the texts that the configuration has others for.
pub(super) fn apply(work: &mut Work<'_>, texts: &mut Texts) -> Changes {
    let accounts = accounts(work, texts);
    let schema = work.schema;
    let mut origin = |section: &'static str| {
        let settings = match section {
            "schema.domains" => (&schema.domains, &mut texts.domains),
            "schema.aliases" => (&schema.aliases, &mut texts.aliases),
            _ => (&schema.alias_domains, &mut texts.alias_domains),
        };
        let Some(find) = settings.0.get("find") else {
            if settings.0.contains_key("key") {
                work.fault(section, "key", "has no effect without find; remove it, or set find too".to_owned());
            }
            return Origin::Profile;
        };
        let text = find.sql().and_then(|find| work.filled_setting(&find));
        let Some(text) = work.keep(section, "find", Origin::Configuration, text) else { return Origin::Profile };
        (settings.1.find, settings.1.parts) = (Some(text), Vec::new());
        Origin::Configuration
    };
    let (domains, aliases, alias_domains) =
        (origin("schema.domains"), origin("schema.aliases"), origin("schema.alias_domains"));
    separator(work, texts);
    Changes { accounts, domains, aliases, alias_domains }
}

/// Returns the key that the configuration sets for the rows of a section.
pub(super) fn key<'s>(schema: &'s SchemaConfig, section: &str) -> Option<&'s Setting> {
    let (_, keys) = schema.sections().into_iter().find(|(name, _)| *name == section)?;
    keys.get("key")
}

fn separator(work: &mut Work<'_>, texts: &mut Texts) {
    let Some(setting) = work.schema.aliases.get("separator") else { return };
    match setting {
        Setting::Text(name) if Separator::NAMES.iter().any(|(known, _)| known == name) => {
            texts.aliases.separator = Some(name.clone());
        }
        _ => work.fault("schema.aliases", "separator", "is not a separator; write \",\", \"space\" or \"\"".to_owned()),
    }
}

/// Replaces keys of the accounts, and returns which.
fn accounts(work: &mut Work<'_>, texts: &mut Texts) -> BTreeSet<String> {
    let set = &work.schema.accounts;
    let accounts = &mut texts.accounts;
    // A key belongs to the tables, and a quota is in one text or in numbers.
    if set.contains_key("from") {
        accounts.remove("key");
    }
    if set.contains_key("quota") {
        accounts.retain(|key, _| !key.starts_with("quota_"));
        for key in ["quota_bytes", "quota_messages"].into_iter().filter(|key| set.contains_key(*key)) {
            work.fault("schema.accounts", key, "is set beside quota; remove one of them".to_owned());
        }
    } else if set.contains_key("quota_bytes") || set.contains_key("quota_messages") {
        accounts.retain(|key, _| key != "quota");
    }
    for (key, setting) in set {
        if *setting == Setting::Text(String::new()) {
            accounts.remove(key);
            continue;
        }
        let setting = match setting {
            Setting::Text(text) => work.filled_setting(text).map(Setting::Text),
            other => Ok(other.clone()),
        };
        if let Some(setting) = work.keep("schema.accounts", key, Origin::Configuration, setting) {
            accounts.insert(key.clone(), setting);
        }
    }
    if !accounts.contains_key("find")
        && let Some(Setting::Text(login)) = accounts.get("login")
        && let Ok(column) = named::column(login, work.database)
    {
        accounts.insert("find".to_owned(), Setting::Text(format!("{column} = :login")));
    }
    for key in lacking(accounts) {
        let problem = match set.contains_key(key) {
            true => "is empty, although accounts cannot be read without it; write SQL text".to_owned(),
            false => format!("is not set, and the profile {} has none; write {}", work.schema.profile, meaning(key)),
        };
        work.fault("schema.accounts", key, problem);
    }
    set.keys().cloned().collect()
}

fn meaning(key: &str) -> &'static str {
    match key {
        "from" => "the tables after FROM",
        "find" => "the condition that finds an account, such as \"m.username = :login\"",
        "login" => "the expression for the login, such as \"LOWER(m.username)\"",
        _ => "the expression for the stored password, such as \"m.password\"",
    }
}
