//! Every key of a configuration with its effective value, and where that comes from.

mod derived;
#[cfg(test)]
mod tests;

use super::keys::KEYS;
use super::mistake::{Mistake, Position};
use super::parse::{Parsed, parse_partly};
use super::source::{Origin, SYSTEM_FILE, found_text};
use super::written::Written;
use super::{Config, ConfigErrors};
use std::path::Path;
use toml::Value;

/// A configuration, key by key.
#[derive(Clone, Debug)]
pub struct Effective {
    /// The file, and how it was found.
    pub origin: Origin,
    /// All keys, section by section in the order of the sample; then the keys of `[schema]` that depend on the profile.
    pub keys: Vec<EffectiveKey>,
    /// The mistakes, if there are any. The keys that they concern have no value.
    pub mistakes: Option<ConfigErrors>,
}

/// A key of a configuration.
#[derive(Clone, Debug)]
pub struct EffectiveKey {
    /// Name of the section, such as `database` or `schema.accounts`.
    pub section: String,
    /// Name of the key.
    pub name: String,
    /// Effective value; `None` if there is none, or a mistake.
    pub value: Option<Value>,
    /// Where the value comes from.
    pub from: ValueOrigin,
    /// What else there is to know about it.
    pub note: Option<String>,
}

/// Where a value comes from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ValueOrigin {
    /// The default.
    Default,
    /// Other keys, or the machine; the note says which.
    Derived,
    /// The file, at this position.
    File(Position),
    /// The profile of `[schema]`.
    Profile(String),
    /// The file has a mistake at this position.
    Mistake(Position),
}

impl Config {
    /// Returns the configuration that [`Config::load_or_default`] reads, key by key, also if it has mistakes. No password
    /// file is read.
    ///
    /// # Errors
    /// Fails if the file cannot be read at all.
    pub fn effective(file: Option<&Path>) -> Result<Effective, ConfigErrors> {
        let Some((text, origin)) = found_text(file)? else {
            return Ok(Effective::new(Parsed::default(), Origin::Defaults, Vec::new()));
        };
        let path = origin.file().unwrap_or(Path::new(SYSTEM_FILE)).to_owned();
        let (mut parsed, mistakes) = parse_partly(&text);
        parsed.anchor(&path);
        Ok(Effective::new(parsed, origin, mistakes))
    }
}

impl Effective {
    fn new(parsed: Parsed, origin: Origin, mistakes: Vec<Mistake>) -> Self {
        let default = Config::default();
        let keys = KEYS.iter().map(|key| {
            let id = (key.section, key.name);
            let value = (key.get)(&parsed.config);
            let from = match (parsed.faults.get(&shown(id.0, id.1)), parsed.positions.get(&id)) {
                (Some(position), _) => ValueOrigin::Mistake(*position),
                (None, Some(position)) => ValueOrigin::File(*position),
                (None, None) if parsed.of_profile.contains(&id) => {
                    ValueOrigin::Profile(parsed.config.schema.profile.clone())
                }
                (None, None) if value == (key.get)(&default) => ValueOrigin::Default,
                (None, None) => ValueOrigin::Derived,
            };
            let value = value.filter(|_| !matches!(from, ValueOrigin::Mistake(_)));
            let key = EffectiveKey { section: id.0.to_owned(), name: id.1.to_owned(), value, from, note: None };
            derived::explain(key, &parsed.config)
        });
        let mut keys: Vec<EffectiveKey> = keys.collect();
        let after_profile = keys.iter().rposition(|key| key.section == "schema").map_or(keys.len(), |at| at + 1);
        keys.splice(after_profile..after_profile, settings(&parsed));
        let file = origin.file().unwrap_or(Path::new(SYSTEM_FILE)).to_owned();
        let mistakes = (!mistakes.is_empty()).then_some(ConfigErrors { file, mistakes });
        Effective { origin, keys, mistakes }
    }
}

/// Returns the keys of `[schema]` that the file sets in addition to the profile.
fn settings(parsed: &Parsed) -> Vec<EffectiveKey> {
    let sections = parsed.config.schema.sections().into_iter();
    let all = sections.flat_map(|(section, keys)| keys.iter().map(move |(name, value)| (section, name, value)));
    let key = |(section, name, value): (&str, &String, &crate::schema::Setting)| {
        let position = parsed.setting_positions.get(&(section.to_owned(), name.clone()));
        let (from, value) = match (parsed.faults.get(&shown(section, name)), position) {
            (Some(position), _) => (ValueOrigin::Mistake(*position), None),
            (None, Some(position)) => (ValueOrigin::File(*position), value.written()),
            (None, None) => (ValueOrigin::Derived, value.written()),
        };
        EffectiveKey { section: section.to_owned(), name: name.clone(), value, from, note: None }
    };
    all.map(key).collect()
}

fn shown(section: &str, name: &str) -> String {
    format!("[{section}] {name}")
}
