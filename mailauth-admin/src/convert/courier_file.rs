//! The syntax of Courier's `authmysqlrc`, `authpgsqlrc` and `authsqliterc`.
//!
//! A line is a name, blanks, and the value up to the end of the line. A `#` begins a comment only as the first character.
//! A value that ends in `\` continues in the next line. Without the line `##NAME: MARKER:`, Courier refuses the file.

use super::findings::{Findings, Place};
use std::collections::BTreeMap;

/// Beginning of the line without which Courier refuses the file.
const MARKER: &str = "##NAME: MARKER:";

/// The keys of the file.
#[derive(Debug, Default)]
pub struct CourierFile {
    /// The first value of each key, and its line.
    entries: BTreeMap<String, (String, usize)>,
}

impl CourierFile {
    /// Reads the file.
    pub fn read(text: &str, findings: &mut Findings) -> CourierFile {
        let mut file = CourierFile::default();
        let mut marker = false;
        let mut lines = text.lines().enumerate();
        while let Some((index, line)) = lines.next() {
            marker |= line.starts_with(MARKER);
            let line = line.trim_start();
            if line.is_empty() || line.starts_with('#') {
                continue;
            }
            let mut line = line.trim_end().to_owned();
            while line.ends_with('\\') {
                line.pop();
                let Some((_, next)) = lines.next() else { break };
                line.push(' ');
                line.push_str(next.trim());
            }
            let (key, value) = line.split_once(|c: char| c.is_whitespace()).unwrap_or((&line, ""));
            file.add(key, value.trim(), index + 1, findings);
        }
        if !marker {
            findings.refuse(
                &Place::file(),
                format!(
                    "has no line that begins with {MARKER}, without which Courier refuses the file; a copy that was cut \
                     short may lack the condition that locks accounts; convert the whole file"
                ),
            );
        }
        file
    }

    fn add(&mut self, key: &str, value: &str, line: usize, findings: &mut Findings) {
        match self.entries.get(key) {
            Some((_, first)) => {
                let text =
                    format!("is set twice; Courier reads the first, in line {first}, and this one has no effect");
                findings.warn(&Place::new(key, line), text);
            }
            None => _ = self.entries.insert(key.to_owned(), (value.to_owned(), line)),
        }
    }

    /// Returns the value of a key and its place.
    pub fn get(&self, key: &str) -> Option<(&str, Place)> {
        self.entries.get(key).map(|(value, line)| (value.as_str(), Place::new(key, *line)))
    }

    /// Returns all keys with their places.
    pub fn keys(&self) -> impl Iterator<Item = (&str, Place)> {
        self.entries.iter().map(|(key, (_, line))| (key.as_str(), Place::new(key, *line)))
    }
}
