//! Reads `mailauth.toml`, the sample with all keys: each key is commented out, below the comment that describes it.

use crate::document::{Block, Span, spans};

/// The sample.
pub const SAMPLE: &str = include_str!("../../../mailauth.toml");

/// What marks a key whose default is not the value in the sample.
const DEFAULT: &str = "Default:";

/// What marks a key without a default. The sample shows an example of its value.
const NO_DEFAULT: &str = "Default: none";

/// The sample, as blocks.
#[derive(Default)]
pub struct Sample {
    /// What is said about the whole file.
    pub introduction: Vec<Block>,
    /// The sections, each with what is said about it and its keys.
    pub sections: Vec<(String, Vec<Block>)>,
}

impl Sample {
    /// Reads the sample.
    pub fn read(text: &str) -> Self {
        let mut sample = Sample::default();
        let mut comment: Vec<&str> = Vec::new();
        let mut lines = text.lines().peekable();
        while let Some(line) = lines.next() {
            if let Some(name) = line.strip_prefix('[').and_then(|line| line.strip_suffix(']')) {
                sample.sections.push((name.to_owned(), paragraphs(&std::mem::take(&mut comment))));
            } else if let Some(key) = line.strip_prefix('#').filter(|key| key.starts_with(char::is_alphabetic)) {
                let mut keys = vec![key];
                while let Some(key) = lines.next_if(|line| is_key(line)) {
                    keys.push(key.trim_start_matches('#'));
                }
                sample.blocks().push(entry(&keys, &std::mem::take(&mut comment)));
            } else if let Some(text) = line.strip_prefix('#') {
                comment.push(text.strip_prefix(' ').unwrap_or(text));
            } else {
                let blocks = paragraphs(&std::mem::take(&mut comment));
                sample.blocks().extend(blocks);
            }
        }
        let blocks = paragraphs(&comment);
        sample.blocks().extend(blocks);
        sample
    }

    /// Returns where the next block belongs.
    fn blocks(&mut self) -> &mut Vec<Block> {
        match self.sections.last_mut() {
            Some((_, blocks)) => blocks,
            None => &mut self.introduction,
        }
    }
}

fn is_key(line: &str) -> bool {
    line.strip_prefix('#').is_some_and(|key| key.starts_with(char::is_alphabetic))
}

/// Returns keys that have one description.
fn entry(keys: &[&str], comment: &[&str]) -> Block {
    let text = comment.join(" ");
    let terms = keys.iter().map(|key| {
        let (name, value) = key.split_once(" = ").unwrap_or((key, ""));
        let shown = match () {
            () if text.contains(NO_DEFAULT) => format!(", for example {value}"),
            () if text.contains(DEFAULT) => String::new(),
            () => format!(", default {value}"),
        };
        vec![Span::Bold(name.to_owned()), Span::Roman(format!(" ({}{shown})", kind(key)))]
    });
    Block::Entry(terms.collect(), paragraphs(comment))
}

/// Returns the kind of a key's value in words.
fn kind(line: &str) -> &'static str {
    let table: toml::Table = line.parse().unwrap_or_default();
    match table.values().next() {
        Some(toml::Value::Boolean(_)) => "true or false",
        Some(toml::Value::Integer(_)) => "number",
        Some(toml::Value::Array(_)) => "list",
        Some(toml::Value::String(text)) => {
            let unit = text.trim_start_matches(|digit: char| digit.is_ascii_digit());
            match unit {
                _ if unit == text => "text",
                "ms" | "s" | "m" | "h" | "d" => "duration",
                "K" | "M" | "G" | "T" => "size",
                _ => "text",
            }
        }
        _ => "value",
    }
}

/// Returns the paragraphs and the indented examples of a comment.
fn paragraphs(comment: &[&str]) -> Vec<Block> {
    let mut blocks = Vec::new();
    for paragraph in comment.split(|line| line.is_empty()).filter(|lines| !lines.is_empty()) {
        let indented: Option<Vec<&str>> = paragraph.iter().map(|line| line.strip_prefix("    ")).collect();
        match indented {
            Some(lines) => blocks.extend(example(&lines)),
            None => blocks.push(Block::Paragraph(spans(&paragraph.join(" ")))),
        }
    }
    blocks
}

/// Returns an example: below the name of a section, its keys with the comments behind them; otherwise the lines.
fn example(lines: &[&str]) -> Vec<Block> {
    match lines.split_first() {
        Some((heading, keys)) if heading.starts_with('[') => {
            let entries = keys.iter().map(|line| {
                let (key, comment) = line.split_once(" # ").unwrap_or((line, ""));
                let (name, value) = key.trim_end().split_once(" = ").unwrap_or((key, ""));
                let term = vec![Span::Bold(name.to_owned()), Span::Roman(format!(" = {value}"))];
                let text = Some(comment.trim()).filter(|text| !text.is_empty());
                Block::Entry(vec![term], text.map(|text| Block::Paragraph(spans(text))).into_iter().collect())
            });
            std::iter::once(Block::Heading((*heading).to_owned())).chain(entries).collect()
        }
        _ => vec![Block::Example(lines.join("\n"))],
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_come_with_their_kind_default_and_description() {
        let text = "# About\n# the file.\n\n# About a.\n[a]\n# One.\n#\n#     x = 1\n#one = \"5s\"\n#two = 2\n# Default: none.\n\
                    #three = \"/x\"\n\n# Rules.\n\n#     [a.b]\n#     k = \"v\"   # which\n";
        let sample = Sample::read(text);
        let paragraph = |text: &str| Block::Paragraph(vec![Span::Roman(text.to_owned())]);
        let term = |name: &str, more: &str| vec![Span::Bold(name.to_owned()), Span::Roman(more.to_owned())];
        assert_eq!(sample.introduction, [paragraph("About the file.")]);
        assert_eq!(
            sample.sections,
            [(
                "a".to_owned(),
                vec![
                    paragraph("About a."),
                    Block::Entry(
                        vec![term("one", " (duration, default \"5s\")"), term("two", " (number, default 2)")],
                        vec![paragraph("One."), Block::Example("x = 1".to_owned())]
                    ),
                    Block::Entry(vec![term("three", " (text, for example \"/x\")")], vec![paragraph("Default: none.")]),
                    paragraph("Rules."),
                    Block::Heading("[a.b]".to_owned()),
                    Block::Entry(vec![term("k", " = \"v\"")], vec![paragraph("which")]),
                ]
            )]
        );
    }
}
