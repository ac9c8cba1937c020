//! The section `[schema]`: which keys it has depends on the profile that it names.

use super::super::keys::KEYS;
use super::super::mistake::{Mistake, Position};
use super::super::value::Value;
use super::{MAX_MISTAKES, Parser, nearest, shown};
use crate::schema::{ACCOUNT_KEYS, Field, OWN, SchemaConfig, SchemaFault, Setting, Tables, assemble};
use std::borrow::Cow;
use std::ops::Range;
use std::sync::Arc;
use toml::Spanned;
use toml::de::{DeTable, DeValue};

/// The keys of each sub-section.
const SECTIONS: [(&str, &[&str]); 4] = [
    ("schema.accounts", &ACCOUNT_KEYS),
    ("schema.domains", &["find", "key"]),
    ("schema.aliases", &["find", "key", "separator"]),
    ("schema.alias_domains", &["find", "key"]),
];

/// Keys of `[schema.accounts]` that are booleans.
const FLAGS: [&str; 2] = ["quota_plain_is_bytes", "options_disable_services"];

/// Keys of `[schema.accounts]` whose expression can be a number.
const NUMBERS: [&str; 7] = ["enabled", "domain_enabled", "receives", "uid", "gid", "quota_bytes", "quota_messages"];

/// The section and key of the default home.
const HOME: (&str, &str) = ("mailbox", "home");

/// The position of a key of `[schema]`.
pub(super) struct Spans {
    name: Range<usize>,
    value: Range<usize>,
}

impl Spans {
    pub(super) fn of_value(&self) -> &Range<usize> {
        &self.value
    }
}

impl Parser<'_> {
    /// Reads `[schema]` and its sub-sections. Whether the keys fit the profile is checked by
    /// [`Parser::finish_schema`], when everything has been read.
    pub(super) fn schema(&mut self, table: &DeTable<'_>) {
        for (name, value) in table {
            if self.mistakes.len() >= MAX_MISTAKES {
                return;
            }
            let key = name.get_ref().as_ref();
            match value.get_ref() {
                _ if key == "profile" => self.key("schema", name, value),
                DeValue::Table(keys) => self.sub_section(name, keys),
                // A list of domains is a parameter, and takes the place of [schema.domains].
                DeValue::Array(_) => self.setting("schema", name, value),
                _ if SECTIONS.iter().any(|(section, _)| section.strip_prefix("schema.") == Some(key)) => {
                    let problem =
                        format!("is a section; write [schema.{key}] on a line of its own, and its keys below");
                    self.mistake(name.span(), Some(format!("[schema.{key}]")), problem);
                }
                _ => self.setting("schema", name, value),
            }
        }
    }

    fn sub_section(&mut self, name: &Spanned<Cow<'_, str>>, keys: &DeTable<'_>) {
        let full = format!("schema.{}", name.get_ref());
        let Some((section, known)) = SECTIONS.iter().find(|(section, _)| *section == full) else {
            let problem = match nearest(&full, SECTIONS.iter().map(|(section, _)| *section)) {
                Some(near) => format!("there is no such section; did you mean [{near}]?"),
                None => format!("there is no such section; the sections are {}", SECTIONS.map(|s| s.0).join(", ")),
            };
            return self.mistake(name.span(), Some(format!("[{}]", shown(&full))), problem);
        };
        for (key, value) in keys {
            if self.mistakes.len() >= MAX_MISTAKES {
                return;
            }
            match known.contains(&key.get_ref().as_ref()) {
                true => self.setting(section, key, value),
                false => {
                    let problem = unknown_key(section, known, key.get_ref());
                    self.mistake(key.span(), Some(format!("[{section}] {}", shown(key.get_ref()))), problem);
                }
            }
        }
    }

    fn setting(&mut self, section: &str, name: &Spanned<Cow<'_, str>>, value: &Spanned<DeValue<'_>>) {
        let key = name.get_ref().as_ref();
        match setting(section, key, value.get_ref()) {
            Ok(setting) => {
                if let Some(keys) = self.config.schema.section_mut(section).filter(|keys| keys.len() < MAX_MISTAKES) {
                    keys.insert(key.to_owned(), setting);
                    let spans = Spans { name: name.span(), value: value.span() };
                    self.schema_spans.insert((section.to_owned(), key.to_owned()), spans);
                }
            }
            Err(problem) => self.mistake(value.span(), Some(format!("[{section}] {}", shown(key))), problem),
        }
    }

    /// Makes the model of the tables, and sets the keys that the profile has defaults for.
    pub(super) fn finish_schema(&mut self) {
        // A wrong name is a mistake that is known already, and without the URL the database is not known.
        let is_known = |mistake: &Mistake| {
            mistake.key.as_deref().is_some_and(|key| ["[database] url", "[schema] profile"].contains(&key))
        };
        if self.mistakes.iter().any(is_known) {
            return;
        }
        let schema = &self.config.schema;
        if schema.profile == OWN {
            return self.schema_faults(without_profile(schema));
        }
        match assemble(schema, self.config.database.url.kind()) {
            Ok(assembled) => {
                let accounts = &assembled.model.accounts;
                let is_placed = [Field::Home, Field::Maildir].iter().any(|field| accounts.field(*field).is_some());
                let has_home = assembled.defaults.iter().any(|(section, key, _)| (&**section, &**key) == HOME);
                self.config.database.tables = Tables::Foreign(Arc::new(assembled.model));
                for (section, key, value) in assembled.defaults {
                    self.default_of_profile(&section, &key, &value);
                }
                self.settle_root(is_placed, has_home);
            }
            Err(faults) => self.schema_faults(faults),
        }
    }

    /// Permits mailboxes in any folder, if rows name them, and neither the file nor the profile says which folder holds
    /// those of the program, or if the file places others elsewhere. `has_home` is true if the profile has a default home.
    fn settle_root(&mut self, is_placed: bool, has_home: bool) {
        let is_set = |key| self.positions.contains_key(&key);
        let mailbox = &mut self.config.mailbox;
        let is_known = match mailbox.root {
            Some(_) => mailbox.contradiction_of_root().is_none(),
            None => !is_placed || has_home && !is_set(HOME),
        };
        if !is_set(("mailbox", "root")) && !is_known {
            mailbox.root = Some("/".to_owned());
        }
    }

    /// Sets a key that the file does not set.
    fn default_of_profile(&mut self, section: &str, name: &str, value: &toml::Value) {
        let key = KEYS.iter().find(|key| key.section == section && key.name == name);
        let value = value.to_string();
        let set = match (key, DeValue::parse(&value)) {
            (Some(key), _) if self.positions.contains_key(&(key.section, key.name)) => Ok(()),
            (Some(key), Ok(value)) => {
                self.of_profile.insert((key.section, key.name));
                (key.set)(&mut self.config, &Value(value.get_ref()))
            }
            _ => Err("it is not a key and a value".to_owned()),
        };
        if let Err(problem) = set {
            let problem = format!("its default for [{section}] {name} cannot be used: {problem}");
            let key = "profile".to_owned();
            self.schema_faults(vec![SchemaFault { section: "schema", key, problem, is_unknown: false }]);
        }
    }

    fn schema_faults(&mut self, faults: Vec<SchemaFault>) {
        for SchemaFault { section, key, problem, is_unknown } in faults {
            let problem: String = problem.replace('\n', " ").chars().take(super::MAX_PROBLEM).collect();
            let position = self.position_of_setting(section, &key, is_unknown);
            self.mistakes.push(Mistake { position, key: Some(format!("[{section}] {}", shown(&key))), problem });
        }
    }

    /// Returns the position of a key; if it is missing, that of the profile's name.
    fn position_of_setting(&self, section: &str, key: &str, of_name: bool) -> Option<Position> {
        let spans = self.schema_spans.get(&(section.to_owned(), key.to_owned()));
        let span = spans.map(|spans| if of_name { &spans.name } else { &spans.value });
        let of_profile = || self.positions.get(&("schema", "profile")).copied();
        span.map(|span| self.position(span)).or_else(of_profile).or(Some(Position { line: 1, column: 1 }))
    }
}

/// Returns the mistakes of a section that names no profile of another program.
fn without_profile(schema: &SchemaConfig) -> Vec<SchemaFault> {
    let keys = schema.sections().into_iter().flat_map(|(section, keys)| keys.keys().map(move |key| (section, key)));
    let fault = |section: &'static str, key: &String| {
        let near = nearest(key, ["profile"].into_iter()).filter(|_| section == "schema");
        let problem = match near {
            Some(near) => format!("there is no such key; did you mean {near}?"),
            None => format!(
                "has no effect on the tables that mailauth created (profile = {OWN:?}); set [schema] profile to that \
                 of another program, or leave this key out"
            ),
        };
        SchemaFault { section, key: key.clone(), problem, is_unknown: near.is_some() }
    };
    keys.map(|(section, key)| fault(section, key)).collect()
}

fn unknown_key(section: &str, known: &[&str], name: &str) -> String {
    if let Some(near) = nearest(name, known.iter().copied()) {
        return format!("there is no such key; did you mean {near}?");
    }
    match SECTIONS.iter().find(|(other, keys)| *other != section && keys.contains(&name)) {
        Some((other, _)) => format!("there is no such key in this section; it belongs below [{other}]"),
        None => format!("there is no such key; the keys of this section are {}", known.join(", ")),
    }
}

/// Returns the value of a key.
fn setting(section: &str, key: &str, value: &DeValue<'_>) -> Result<Setting, String> {
    let shown = Value(value);
    if section == "schema" || key == "key" {
        return match value {
            DeValue::String(text) => Ok(Setting::Text(text.to_string())),
            DeValue::Integer(_) if section == "schema" => shown.number(0..=u64::from(u32::MAX)).map(Setting::Number),
            DeValue::Array(_) => shown.texts().map(Setting::List),
            _ if section == "schema" => {
                shown.wrong("a value of a parameter", "write text in quotes, a number or a list")
            }
            _ => shown.wrong("a list of columns", "write names in brackets, such as [\"m.username\"]"),
        };
    }
    match value {
        _ if FLAGS.contains(&key) => shown.boolean().map(Setting::Flag),
        DeValue::String(text) => Ok(Setting::Text(text.to_string())),
        DeValue::Integer(_) if section == "schema.accounts" && NUMBERS.contains(&key) => {
            shown.number(0..=i64::MAX as u64).map(Setting::Number)
        }
        _ => shown.wrong("a string", "write SQL text in quotes"),
    }
}

#[cfg(test)]
mod tests;
