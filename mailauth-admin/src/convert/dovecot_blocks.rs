//! The blocks of Dovecot 2.4's configuration: `name label { key = value }`.

use super::dovecot_lines::{Line, lines, unquoted};
use super::findings::{Findings, Place};

/// Maximum number of blocks inside each other.
const MAX_DEPTH: usize = 20;

/// A block, or the whole file.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Block {
    /// The words before the brace, such as `passdb` and `sql`.
    pub name: String,
    pub label: String,
    /// Number of its first line.
    pub line: usize,
    /// Keys with their values and places.
    pub settings: Vec<Setting>,
    pub blocks: Vec<Block>,
}

/// A key and its value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Setting {
    pub key: String,
    pub value: String,
    pub line: usize,
}

impl Block {
    /// Reads a file.
    pub fn read(text: &str, findings: &mut Findings) -> Block {
        let mut open = vec![Block::default()];
        for line in lines(text) {
            if let Err(problem) = add(&mut open, &line) {
                // The line is not repeated, because it may be a part of a password.
                findings.refuse(&Place::new("", line.number), problem);
            }
        }
        if let Some(block) = open.get(1) {
            findings.refuse(&block.place(), "has no end: a } is missing");
        }
        while open.len() > 1 {
            close(&mut open);
        }
        open.pop().unwrap_or_default()
    }

    /// Returns the place of the block.
    pub fn place(&self) -> Place {
        let name = if self.label.is_empty() { self.name.clone() } else { format!("{} {}", self.name, self.label) };
        Place::new(name, self.line)
    }

    /// Returns the last value of one of these keys, and its place.
    pub fn get(&self, keys: &[&str]) -> Option<(String, Place)> {
        let setting = self.settings.iter().rev().find(|setting| keys.contains(&setting.key.as_str()))?;
        Some((setting.value.clone(), self.place_of(setting)))
    }

    /// Returns the place of a key, with the block's name.
    pub fn place_of(&self, setting: &Setting) -> Place {
        let block = self.place().key;
        let key = if block.is_empty() { setting.key.clone() } else { format!("{block} {}", setting.key) };
        Place::new(key, setting.line)
    }

    /// Returns the blocks with this name.
    pub fn named<'b>(&'b self, name: &'b str) -> impl Iterator<Item = &'b Block> {
        self.blocks.iter().filter(move |block| block.name == name)
    }
}

/// Adds a line to the innermost block that is open.
fn add(open: &mut Vec<Block>, line: &Line) -> Result<(), String> {
    let text = line.text.as_str();
    if text == "}" {
        return if open.len() > 1 {
            close(open);
            Ok(())
        } else {
            Err("a } ends a block, but none is open".to_owned())
        };
    }
    if text.starts_with('!') {
        return Err("!include names another file, which is not read; convert the output of doveconf -n".to_owned());
    }
    // A key may be followed by a value with a brace in it.
    let key_end = text.find(['=', '{']).unwrap_or(text.len());
    match text.get(key_end..).and_then(|rest| rest.chars().next()) {
        Some('{') => begin(open, text, key_end, line.number),
        Some('=') => {
            let (key, value) = text.split_at(key_end);
            let value = value.get(1..).unwrap_or_default();
            let setting = Setting { key: key.trim().to_owned(), value: unquoted(value), line: line.number };
            if let Some(block) = open.last_mut() {
                block.settings.push(setting);
            }
            Ok(())
        }
        _ => Err("the line is not of the form key = value or name { ... }".to_owned()),
    }
}

fn begin(open: &mut Vec<Block>, text: &str, brace: usize, number: usize) -> Result<(), String> {
    let (name, rest) = text.split_at(brace);
    let mut words = name.split_whitespace();
    let name = words.next().unwrap_or_default().to_owned();
    let label = words.map(|word| word.trim_matches('"')).collect::<Vec<_>>().join(" ");
    if open.len() >= MAX_DEPTH {
        return Err(format!("there are more than {MAX_DEPTH} blocks inside each other"));
    }
    open.push(Block { name, label, line: number, ..Block::default() });
    // A block may stand in one line.
    match rest.get(1..).unwrap_or_default().trim() {
        "" => Ok(()),
        "}" => {
            close(open);
            Ok(())
        }
        rest => {
            let (inside, ends) = match rest.strip_suffix('}') {
                Some(inside) => (inside.trim(), true),
                None => (rest, false),
            };
            add(open, &Line { number, text: inside.to_owned() })?;
            if ends {
                close(open);
            }
            Ok(())
        }
    }
}

fn close(open: &mut Vec<Block>) {
    if let Some(block) = open.pop() {
        if let Some(around) = open.last_mut() {
            around.blocks.push(block);
        } else {
            open.push(block);
        }
    }
}
