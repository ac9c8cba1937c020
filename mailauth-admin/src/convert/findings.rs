//! What a conversion reports: what is refused, what is not taken over, and what changes.

use mailauth_core::printable::brief;
use std::collections::BTreeSet;

/// Maximum number of findings that are kept of each kind.
const MAX_FINDINGS: usize = 100;

/// A remark about a key of the old file.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Finding {
    /// Number of the line at which the key begins; 0 if the remark is about the whole file.
    pub line: usize,
    /// Name of the key; empty if the remark is about the whole file.
    pub key: String,
    /// What is wrong or different, and what to do.
    pub text: String,
}

impl Finding {
    /// Returns the remark as one line, with the name of the file before it.
    pub fn in_file(&self, file: &str) -> String {
        match self.line {
            0 => format!("{file}: {}", self.without_file()),
            line => format!("{file}:{line}: {}", self.without_file()),
        }
    }

    /// Returns the remark as one line without the name of the file.
    pub fn without_file(&self) -> String {
        if self.key.is_empty() { self.text.clone() } else { format!("{}: {}", self.key, self.text) }
    }
}

/// All findings of a conversion, each once, in the order of the file's lines.
#[derive(Debug, Default)]
pub struct Findings {
    /// Reasons why the file is not converted.
    pub refusals: BTreeSet<Finding>,
    /// What the new configuration lacks.
    pub warnings: BTreeSet<Finding>,
    /// What the new configuration decides in another way, and what remains to be done.
    pub notes: BTreeSet<Finding>,
}

/// A key of the old file, and the line at which it begins.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Place {
    pub key: String,
    pub line: usize,
}

impl Place {
    pub fn new(key: impl Into<String>, line: usize) -> Self {
        Place { key: key.into(), line }
    }

    /// Returns the place of a remark about the whole file.
    pub fn file() -> Self {
        Place::default()
    }
}

impl Findings {
    pub fn refuse(&mut self, place: &Place, text: impl Into<String>) {
        add(&mut self.refusals, place, text.into());
    }

    pub fn warn(&mut self, place: &Place, text: impl Into<String>) {
        add(&mut self.warnings, place, text.into());
    }

    pub fn note(&mut self, place: &Place, text: impl Into<String>) {
        add(&mut self.notes, place, text.into());
    }

    /// Returns `result` if it is a value, and reports its error otherwise.
    pub fn value<T>(&mut self, place: &Place, result: Result<T, String>) -> Option<T> {
        result.map_err(|problem| self.refuse(place, problem)).ok()
    }
}

fn add(set: &mut BTreeSet<Finding>, place: &Place, text: String) {
    if set.len() < MAX_FINDINGS {
        set.insert(Finding { line: place.line, key: shown(&place.key), text: shown(&text) });
    }
}

/// Returns the text on one line and without control characters.
fn shown(text: &str) -> String {
    text.chars().map(|c| if c.is_control() { ' ' } else { c }).take(1000).collect()
}

/// Returns the beginning of a term of the old file, for a message.
pub fn quoted(text: &str) -> String {
    let words: Vec<_> = text.split_whitespace().collect();
    brief(&words.join(" "), 160).into_owned()
}
