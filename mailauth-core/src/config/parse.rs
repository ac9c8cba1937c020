//! From the text of a configuration to a [`Config`], or to all that is wrong with it.

use super::keys::KEYS;
use super::mistake::{Mistake, Place};
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

/// The most bytes of a configuration.
pub(super) const MAX_TEXT: usize = 1 << 20;

/// The most mistakes that are looked for, in the syntax and in what it says, and the most that are listed.
const MAX_MISTAKES: usize = 100;

/// The most characters of what is wrong. Only the repetition of a strange value comes near.
const MAX_PROBLEM: usize = 500;

/// A configuration, and where its keys stand, for what is found out later.
pub(super) struct Parsed {
    pub config: Config,
    pub places: BTreeMap<(&'static str, &'static str), Place>,
}

impl Config {
    /// Reads a configuration that came from `file`, which is only named in the mistakes. Reads no other file: the
    /// password stays empty.
    ///
    /// # Errors
    /// With all that is wrong, each with its place and its cure.
    pub fn parse(text: &str, file: &Path) -> Result<Config, ConfigErrors> {
        parse(text, file).map(|parsed| parsed.config)
    }
}

pub(super) fn parse(text: &str, file: &Path) -> Result<Parsed, ConfigErrors> {
    let mut reading = Reading { text, mistakes: Vec::new(), config: Config::default(), places: BTreeMap::new() };
    if text.len() > MAX_TEXT {
        reading.mistake(0..0, None, format!("the file has more than {MAX_TEXT} bytes; is it a configuration?"));
    } else {
        let (root, mut faults) = DeTable::parse_recoverable(text);
        faults.truncate(MAX_MISTAKES);
        for (key, value) in root.get_ref() {
            reading.section(key, value);
        }
        let places = &reading.places;
        reading.config.settle_sockets(|section, key| places.contains_key(&(section, key)));
        reading.contradictions();
        // A fault of the syntax makes what was read from its line a guess; other lines are as good as ever.
        let broken: BTreeSet<_> =
            faults.iter().map(|fault| reading.place(&fault.span().unwrap_or(0..0)).line).collect();
        reading.mistakes.retain(|mistake| mistake.place.is_some_and(|place| !broken.contains(&place.line)));
        for fault in faults {
            reading.mistake(fault.span().unwrap_or(0..0), None, fault.message().to_owned());
        }
    }
    let Reading { mut mistakes, mut config, places, .. } = reading;
    if config.admin.url.is_some() {
        config.database.user = DatabaseUser::Daemon;
    }
    if mistakes.is_empty() {
        return Ok(Parsed { config, places });
    }
    mistakes.sort_by_key(|mistake| mistake.place);
    mistakes.dedup_by_key(|mistake| mistake.place);
    mistakes.truncate(MAX_MISTAKES);
    Err(ConfigErrors { file: file.to_owned(), mistakes })
}

struct Reading<'t> {
    text: &'t str,
    mistakes: Vec<Mistake>,
    config: Config,
    places: BTreeMap<(&'static str, &'static str), Place>,
}

impl Reading<'_> {
    fn place(&self, span: &Range<usize>) -> Place {
        Place::of(self.text, span.start)
    }

    fn mistake(&mut self, span: Range<usize>, key: Option<String>, problem: String) {
        let place = Some(self.place(&span));
        let problem = problem.replace('\n', " ").chars().take(MAX_PROBLEM).collect();
        self.mistakes.push(Mistake { place, key, problem });
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
            Ok(()) => _ = self.places.insert((key.section, key.name), self.place(&value.span())),
            Err(problem) => self.mistake(value.span(), Some(shown), problem),
        }
    }

    /// What is wrong only with two keys together.
    fn contradictions(&mut self) {
        let mailbox = &self.config.mailbox;
        let root = |id| id == Some(0) && !mailbox.allow_root;
        let as_root = "0 is root; write the id of a user for mail, or set allow_root";
        // A verification that never fits into the allowance would be "not now" for ever, where it should be "no".
        let password = &self.config.password;
        let heaviest = u64::from(password.rules.limits.argon2_memory_kib.max(password.rules.limits.scrypt_memory_kib));
        let new = match password.scheme.cost() {
            Cost::Heavy { memory } => memory,
            Cost::Cheap => 0,
        };
        let small = "is less than one verification may take; write at least as much as max_argon2_memory, \
                     max_scrypt_memory, and a new hash of [password] scheme";
        let database = &self.config.database;
        let (cert, key) = (database.tls_cert.is_some(), database.tls_key.is_some());
        let shared = self.config.address.delimiters.has_one_of(&self.config.login.separators);
        let delimiter = "has a character of [address] delimiter; one cannot end a name and begin its detail too";
        let courier = &self.config.courier;
        let twice = courier.own_socket.as_ref() == Some(&courier.socket);
        let another = "is the path of [courier] socket; write another one, or leave it out";
        let found = [
            ("courier", "own_socket", twice, another),
            ("database", "tls_cert", cert && !key, "needs its private key; name that in tls_key, or leave both out"),
            ("database", "tls_key", key && !cert, "is of no use without its certificate; name that in tls_cert too"),
            ("login", "separators", shared, delimiter),
            ("mailbox", "uid", root(mailbox.uid), as_root),
            ("mailbox", "gid", root(mailbox.gid), as_root),
            ("password", "memory", password.memory < new.max(heaviest << 10), small),
        ];
        let found = found.into_iter().filter(|(.., wrong, _)| *wrong);
        let of_root = mailbox.contradiction_of_root().map(|problem| ("mailbox", "root", problem));
        let of_database = found.map(|(section, key, _, problem)| (section, key, problem.to_owned())).chain(of_root);
        // Without both URLs nothing can be said of [admin].
        let is_url = |mistake: &Mistake| {
            mistake.key.as_deref().is_some_and(|key| ["[database] url", "[admin] url"].contains(&key))
        };
        let of_admin = match self.mistakes.iter().any(is_url) {
            true => Vec::new(),
            false => self.config.contradictions_of_admin(),
        };
        let of_admin = of_admin.into_iter().map(|(key, problem)| ("admin", key, problem));
        for (section, key, problem) in of_database.chain(of_admin).collect::<Vec<_>>() {
            let place = self.places.get(&(section, key)).copied().unwrap_or(Place { line: 1, column: 1 });
            let key = Some(format!("[{section}] {key}"));
            self.mistakes.push(Mistake { place: Some(place), key, problem });
        }
    }
}

fn unknown_section(name: &str, value: &DeValue<'_>) -> String {
    let sections: BTreeSet<_> = KEYS.iter().map(|key| key.section).collect();
    if !value.is_table()
        && let Some(key) = KEYS.iter().find(|key| key.name == name)
    {
        return format!("stands in no section; write it below a line [{}]", key.section);
    }
    match nearest(name, sections.iter().copied()) {
        Some(near) => format!("there is no such section; did you mean [{near}]?"),
        None => format!("there is no such section; there are {}", sections.into_iter().collect::<Vec<_>>().join(", ")),
    }
}

fn unknown_key(section: &str, name: &str) -> String {
    let here = KEYS.iter().filter(|key| key.section == section).map(|key| key.name);
    if matches!(section, "database" | "admin") && name == "password" {
        return "there is no such key; put the password alone into a file and name that in password_file".to_owned();
    }
    if let Some(near) = nearest(name, here.clone()) {
        return format!("there is no such key; did you mean {near}?");
    }
    match KEYS.iter().find(|key| key.name == name) {
        Some(elsewhere) => format!("there is no such key here; it belongs below [{}]", elsewhere.section),
        None => format!("there is no such key; the section has {}", here.collect::<Vec<_>>().join(", ")),
    }
}

/// The name that somebody most likely meant.
fn nearest<'n>(meant: &str, names: impl Iterator<Item = &'n str>) -> Option<&'n str> {
    let meant: String = meant.chars().take(64).collect();
    let likeness = |name: &str| strsim::jaro_winkler(&meant.to_lowercase(), name);
    let near = names.map(|name| (likeness(name), name)).max_by(|a, b| a.0.total_cmp(&b.0))?;
    (near.0 > 0.8).then_some(near.1)
}

fn shown_section(name: &str) -> String {
    format!("[{}]", shown(name))
}

/// A name of a key as a message shows it: on one line, and bounded.
fn shown(name: &str) -> String {
    brief(name, 64).into_owned()
}

#[cfg(test)]
mod tests;
