//! Parsing the text of a configuration into a [`Config`], or into a list of all mistakes.

use super::keys::KEYS;
use super::mistake::{Mistake, Position};
use super::value::Value;
use super::{Config, ConfigErrors, DatabaseUser};
use crate::password::Cost;
use crate::printable::brief;
use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;
use std::path::Path;
use toml::Spanned;
use toml::de::{DeTable, DeValue};

/// Maximum number of bytes of a configuration.
pub(super) const MAX_TEXT: usize = 1 << 20;

/// Maximum number of mistakes that are collected, in the syntax and in the content separately, and that are listed.
const MAX_MISTAKES: usize = 100;

/// Maximum number of characters of a message. Only messages that repeat unusual values come near it.
const MAX_PROBLEM: usize = 500;

/// A configuration, and the positions of its keys for mistakes that are detected later.
#[derive(Default)]
pub(super) struct Parsed {
    pub config: Config,
    pub positions: BTreeMap<(&'static str, &'static str), Position>,
    /// The same for the keys of `[schema]` that depend on its profile.
    pub setting_positions: BTreeMap<(String, String), Position>,
    /// The keys whose value is a default of the profile.
    pub of_profile: BTreeSet<(&'static str, &'static str)>,
    /// The keys with a mistake, as `[section] key`.
    pub faults: BTreeMap<String, Position>,
}

impl Config {
    /// Parses a configuration. `file` is only the name that is shown with the mistakes. No other file is read, so the
    /// password stays empty.
    ///
    /// # Errors
    /// Fails with all mistakes, each with its position and how to fix it.
    pub fn parse(text: &str, file: &Path) -> Result<Config, ConfigErrors> {
        parse(text, file).map(|parsed| parsed.config)
    }
}

pub(super) fn parse(text: &str, file: &Path) -> Result<Parsed, ConfigErrors> {
    match parse_partly(text) {
        (parsed, mistakes) if mistakes.is_empty() => Ok(parsed),
        (_, mistakes) => Err(ConfigErrors { file: file.to_owned(), mistakes }),
    }
}

/// Returns what can be understood of a configuration, and all mistakes.
pub(super) fn parse_partly(text: &str) -> (Parsed, Vec<Mistake>) {
    let (mistakes, config, positions, schema_spans, of_profile) = Default::default();
    let mut faulty = BTreeMap::new();
    let mut parser = Parser { text, mistakes, config, positions, schema_spans, of_profile };
    if text.len() > MAX_TEXT {
        parser.mistake(
            0..0,
            None,
            format!("the file has more than {MAX_TEXT} bytes; check that it is a configuration"),
        );
    } else {
        let (root, mut faults) = DeTable::parse_recoverable(text);
        faults.truncate(MAX_MISTAKES);
        for (key, value) in root.get_ref() {
            parser.section(key, value);
        }
        parser.finish_schema();
        let positions = &parser.positions;
        parser.config.settle_sockets(|section, key| positions.contains_key(&(section, key)));
        parser.check_combinations();
        let keys = parser.mistakes.iter().filter_map(|mistake| Some((mistake.key.clone()?, mistake.position?)));
        faulty.extend(keys);
        // After a syntax error, the content of that line is unreliable. Other lines are not affected.
        let broken: BTreeSet<_> =
            faults.iter().map(|fault| parser.position(&fault.span().unwrap_or(0..0)).line).collect();
        parser.mistakes.retain(|mistake| mistake.position.is_some_and(|position| !broken.contains(&position.line)));
        for fault in faults {
            parser.mistake(fault.span().unwrap_or(0..0), None, fault.message().to_owned());
        }
    }
    let spans = parser.schema_spans.iter().map(|(key, spans)| (key.clone(), parser.position(spans.of_value())));
    let setting_positions = spans.collect();
    let Parser { mut mistakes, mut config, positions, of_profile, .. } = parser;
    if config.admin.url.is_some() {
        config.database.user = DatabaseUser::Daemon;
    }
    mistakes.sort_by_key(|mistake| mistake.position);
    // Several keys that are missing have the same position.
    mistakes.dedup_by(|a, b| a.position == b.position && a.key == b.key);
    mistakes.truncate(MAX_MISTAKES);
    (Parsed { config, positions, setting_positions, of_profile, faults: faulty }, mistakes)
}

/// The state of parsing a configuration.
struct Parser<'t> {
    text: &'t str,
    mistakes: Vec<Mistake>,
    config: Config,
    positions: BTreeMap<(&'static str, &'static str), Position>,
    /// The positions of the keys of `[schema]`, by section and key.
    schema_spans: BTreeMap<(String, String), schema::Spans>,
    of_profile: BTreeSet<(&'static str, &'static str)>,
}

impl Parser<'_> {
    fn position(&self, span: &Range<usize>) -> Position {
        Position::of(self.text, span.start)
    }

    fn mistake(&mut self, span: Range<usize>, key: Option<String>, problem: String) {
        let position = Some(self.position(&span));
        let problem = problem.replace('\n', " ").chars().take(MAX_PROBLEM).collect();
        self.mistakes.push(Mistake { position, key, problem });
    }

    fn section(&mut self, name: &Spanned<Cow<'_, str>>, value: &Spanned<DeValue<'_>>) {
        if self.mistakes.len() >= MAX_MISTAKES {
            return;
        }
        let section = name.get_ref().as_ref();
        if !KEYS.iter().any(|key| key.section == section) {
            let problem = unknown_section(section, value.get_ref());
            let shown = if value.get_ref().is_table() { shown_section(section) } else { shown(section) };
            return self.mistake(name.span(), Some(shown), problem);
        }
        let Some(table) = value.get_ref().as_table() else {
            let problem = format!("is a section; write [{section}] on a line of its own, and its keys below");
            return self.mistake(name.span(), Some(shown_section(section)), problem);
        };
        if section == "schema" {
            return self.schema(table);
        }
        for (key, value) in table {
            self.key(section, key, value);
        }
    }

    fn key(&mut self, section: &str, name: &Spanned<Cow<'_, str>>, value: &Spanned<DeValue<'_>>) {
        if self.mistakes.len() >= MAX_MISTAKES {
            return;
        }
        let shown = format!("{} {}", shown_section(section), shown(name.get_ref()));
        let Some(key) = KEYS.iter().find(|key| key.section == section && key.name == name.get_ref()) else {
            return self.mistake(name.span(), Some(shown), unknown_key(section, name.get_ref()));
        };
        match (key.set)(&mut self.config, &Value(value.get_ref())) {
            Ok(()) => _ = self.positions.insert((key.section, key.name), self.position(&value.span())),
            Err(problem) => self.mistake(value.span(), Some(shown), problem),
        }
    }

    /// Checks combinations of keys.
    fn check_combinations(&mut self) {
        let mailbox = &self.config.mailbox;
        let root = |id| id == Some(0) && !mailbox.allow_root;
        let as_root = "0 is root; write the id of a user for mail, or set allow_root";
        // A verification that never fits into the memory would always be "not now", although it should be "no".
        let password = &self.config.password;
        let heaviest = u64::from(password.rules.limits.argon2_memory_kib.max(password.rules.limits.scrypt_memory_kib));
        let new = match password.scheme.cost() {
            Cost::Heavy { memory } => memory,
            Cost::Cheap => 0,
        };
        let small = "is less than one verification may need; write at least the largest of max_argon2_memory, \
                     max_scrypt_memory, and the memory of a new hash of [password] scheme";
        let database = &self.config.database;
        let (cert, key) = (database.tls_cert.is_some(), database.tls_key.is_some());
        let shared = self.config.address.delimiters.has_one_of(&self.config.login.separators);
        let delimiter = "has a character of [address] delimiter; remove it from one of them, because it cannot \
                         separate both domains and details";
        let courier = &self.config.courier;
        let twice = courier.own_socket.as_ref() == Some(&courier.socket);
        let another = "is the path of [courier] socket; write another one, or leave this key out";
        let found = [
            ("courier", "own_socket", twice, another),
            ("database", "tls_cert", cert && !key, "needs its private key; set tls_key too, or leave both out"),
            ("database", "tls_key", key && !cert, "needs its certificate; set tls_cert too, or leave both out"),
            ("login", "separators", shared, delimiter),
            ("mailbox", "uid", root(mailbox.uid), as_root),
            ("mailbox", "gid", root(mailbox.gid), as_root),
            ("password", "memory", password.memory < new.max(heaviest << 10), small),
        ];
        let found = found.into_iter().filter(|(.., wrong, _)| *wrong);
        let of_root = mailbox.contradiction_of_root().map(|problem| ("mailbox", "root", problem));
        let of_database = found.map(|(section, key, _, problem)| (section, key, problem.to_owned())).chain(of_root);
        // [admin] can be checked only if both URLs are valid.
        let is_url = |mistake: &Mistake| {
            mistake.key.as_deref().is_some_and(|key| ["[database] url", "[admin] url"].contains(&key))
        };
        let of_admin = match self.mistakes.iter().any(is_url) {
            true => Vec::new(),
            false => self.config.check_admin(),
        };
        let of_admin = of_admin.into_iter().map(|(key, problem)| ("admin", key, problem));
        for (section, key, problem) in of_database.chain(of_admin).collect::<Vec<_>>() {
            let position = self.positions.get(&(section, key)).copied().unwrap_or(Position { line: 1, column: 1 });
            let key = Some(format!("[{section}] {key}"));
            self.mistakes.push(Mistake { position: Some(position), key, problem });
        }
    }
}

fn unknown_section(name: &str, value: &DeValue<'_>) -> String {
    let sections: BTreeSet<_> = KEYS.iter().map(|key| key.section).collect();
    if !value.is_table()
        && let Some(key) = KEYS.iter().find(|key| key.name == name)
    {
        return format!("is not in a section; write it below a line [{}]", key.section);
    }
    match nearest(name, sections.iter().copied()) {
        Some(near) => format!("there is no such section; did you mean [{near}]?"),
        None => format!(
            "there is no such section; the sections are {}",
            sections.into_iter().collect::<Vec<_>>().join(", ")
        ),
    }
}

fn unknown_key(section: &str, name: &str) -> String {
    let here = KEYS.iter().filter(|key| key.section == section).map(|key| key.name);
    if matches!(section, "database" | "admin") && name == "password" {
        return "there is no such key; write only the password to a file, and set password_file to its path".to_owned();
    }
    if let Some(near) = nearest(name, here.clone()) {
        return format!("there is no such key; did you mean {near}?");
    }
    match KEYS.iter().find(|key| key.name == name) {
        Some(elsewhere) => format!("there is no such key in this section; it belongs below [{}]", elsewhere.section),
        None => format!("there is no such key; the keys of this section are {}", here.collect::<Vec<_>>().join(", ")),
    }
}

/// Returns the name that is most similar to `meant`, if it is similar enough.
pub(crate) fn nearest<'n>(meant: &str, names: impl Iterator<Item = &'n str>) -> Option<&'n str> {
    let meant: String = meant.chars().take(64).collect();
    let likeness = |name: &str| strsim::jaro_winkler(&meant.to_lowercase(), name);
    let near = names.map(|name| (likeness(name), name)).max_by(|a, b| a.0.total_cmp(&b.0))?;
    (near.0 > 0.8).then_some(near.1)
}

fn shown_section(name: &str) -> String {
    format!("[{}]", shown(name))
}

/// Returns the name of a key as it is shown in messages: on one line, and of limited length.
fn shown(name: &str) -> String {
    brief(name, 64).into_owned()
}

mod schema;
#[cfg(test)]
mod tests;
