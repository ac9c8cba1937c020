//! A manual page as data: what all sources are turned into, and what is written as roff.

/// A piece of text in one font.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Span {
    /// Text.
    Roman(String),
    /// Something to be typed as it is, and names of pages.
    Bold(String),
    /// A placeholder.
    Italic(String),
}

/// Returns the text without its fonts.
pub fn plain(spans: &[Span]) -> String {
    let text = |span: &Span| match span {
        Span::Roman(text) | Span::Bold(text) | Span::Italic(text) => text.clone(),
    };
    spans.iter().map(text).collect()
}

/// A paragraph or something in its place.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Block {
    /// A heading within a section.
    Heading(String),
    /// Text.
    Paragraph(Vec<Span>),
    /// Terms, such as options, with their description.
    Entry(Vec<Vec<Span>>, Vec<Block>),
    /// An item of a list.
    Item(Vec<Block>),
    /// Lines that are shown as they are.
    Example(String),
    /// A command line: what is to be typed, and its arguments.
    Synopsis(String, Vec<Span>),
}

/// A section of a page.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Section {
    /// Heading in capital letters.
    pub heading: String,
    /// Contents.
    pub blocks: Vec<Block>,
}

/// A manual page.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Document {
    /// Name of the page, such as `mailauth-account-add`.
    pub name: String,
    /// Number of its part of the manual, such as 8.
    pub part: u8,
    /// Other names, which lead to this page too.
    pub other_names: Vec<String>,
    /// What it is about, in a few words.
    pub about: String,
    sections: Vec<Section>,
}

/// The usual order of sections. Others follow the description.
const FIRST: [&str; 2] = ["SYNOPSIS", "DESCRIPTION"];

/// The usual order of the sections at the end.
const LAST: [&str; 8] = ["EXIT STATUS", "ENVIRONMENT", "FILES", "SIGNALS", "NOTES", "SECURITY", "EXAMPLES", "SEE ALSO"];

impl Document {
    /// Returns a page without sections.
    pub fn new(name: &str, part: u8, about: &str) -> Self {
        Document {
            name: name.to_owned(),
            part,
            other_names: Vec::new(),
            about: in_running_text(about),
            sections: Vec::new(),
        }
    }

    /// Adds blocks at the end of a section. A new section comes to its usual place, and no section is empty.
    pub fn add(&mut self, heading: &str, blocks: Vec<Block>) {
        if blocks.is_empty() {
            return;
        }
        let heading = heading.to_uppercase();
        if let Some(section) = self.sections.iter_mut().find(|section| section.heading == heading) {
            return section.blocks.extend(blocks);
        }
        let place = self.sections.iter().position(|section| rank(&section.heading) > rank(&heading));
        self.sections.insert(place.unwrap_or(self.sections.len()), Section { heading, blocks });
    }

    /// Returns the sections in their order.
    pub fn sections(&self) -> &[Section] {
        &self.sections
    }

    /// Returns the reference to this page, such as `mailauth(1)`.
    pub fn reference(&self) -> String {
        format!("{}({})", self.name, self.part)
    }

    /// Returns the name of the file of this page under one of its names.
    pub fn file_name(&self, name: &str) -> String {
        format!("{name}.{}", self.part)
    }
}

fn rank(heading: &str) -> usize {
    let first = FIRST.iter().position(|first| *first == heading);
    let last = LAST.iter().position(|last| *last == heading).map(|last| FIRST.len() + 1 + last);
    first.or(last).unwrap_or(FIRST.len())
}

/// Returns a sentence as it continues a line: with a small letter, unless the word is an abbreviation, and without the
/// full stop.
fn in_running_text(text: &str) -> String {
    let text = text.trim_end_matches('.');
    let mut letters = text.chars();
    let first = letters.next();
    let is_abbreviation = letters.clone().next().is_none_or(|second| second.is_uppercase());
    match first {
        Some(first) if !is_abbreviation => first.to_lowercase().chain(letters).collect(),
        _ => text.to_owned(),
    }
}

/// Returns plain text as spans: options, quoted commands and names of pages are bold.
pub fn spans(text: &str) -> Vec<Span> {
    let mut spans = Vec::new();
    let mut rest = text;
    let mut roman = String::new();
    while let Some(first) = rest.chars().next() {
        let at_word = roman.chars().last().is_none_or(|before| !before.is_alphanumeric() && before != '-');
        match marked(rest).filter(|_| at_word) {
            Some((word, length)) => {
                if !roman.is_empty() {
                    spans.push(Span::Roman(std::mem::take(&mut roman)));
                }
                spans.push(Span::Bold(word.to_owned()));
                rest = rest.get(length..).unwrap_or_default();
            }
            None => {
                roman.push(first);
                rest = rest.get(first.len_utf8()..).unwrap_or_default();
            }
        }
    }
    if !roman.is_empty() {
        spans.push(Span::Roman(roman));
    }
    spans
}

/// Returns the word in bold at the beginning of `text`, and the number of bytes that it takes the place of.
fn marked(text: &str) -> Option<(&str, usize)> {
    if let Some(quoted) = text.strip_prefix('\'') {
        let (inside, _) = quoted.split_once('\'')?;
        return inside.starts_with("mailauth").then_some((inside, inside.len() + 2));
    }
    let length = text.find(|c: char| !(c.is_ascii_alphanumeric() || c == '-' || c == '.')).unwrap_or(text.len());
    let (word, after) = text.split_at(length);
    if let Some(name) = word.strip_prefix("--") {
        let word = word.trim_end_matches(['.', '-']);
        return (!name.is_empty() && !word.is_empty()).then_some((word, word.len()));
    }
    let mut after = after.chars();
    let is_page = after.next() == Some('(')
        && after.next().is_some_and(|part| part.is_ascii_digit())
        && after.next() == Some(')')
        && word.starts_with(|c: char| c.is_ascii_lowercase());
    is_page.then_some((word, word.len()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bold(text: &str) -> Vec<String> {
        spans(text).into_iter().filter_map(|span| if let Span::Bold(word) = span { Some(word) } else { None }).collect()
    }

    #[test]
    fn what_is_typed_is_bold_and_nothing_is_lost() {
        assert_eq!(
            bold("See mailauth.toml(5), --all and 'mailauth check', not 'a' or x--y."),
            ["mailauth.toml", "--all", "mailauth check"]
        );
        let text = "an owner's -- mark, a-b, --, (1)";
        assert_eq!(spans(text), [Span::Roman(text.to_owned())]);
    }

    #[test]
    fn sections_come_in_their_usual_order() {
        let mut page = Document::new("x", 1, "Print a hash.");
        for heading in ["See also", "Options", "Examples", "Description", "Exit status", "Questions", "Synopsis"] {
            page.add(heading, vec![Block::Paragraph(spans("text"))]);
        }
        page.add("Notes", Vec::new());
        let headings: Vec<&str> = page.sections().iter().map(|section| &*section.heading).collect();
        assert_eq!(
            headings,
            ["SYNOPSIS", "DESCRIPTION", "OPTIONS", "QUESTIONS", "EXIT STATUS", "EXAMPLES", "SEE ALSO"]
        );
        assert_eq!(page.about, "print a hash");
        assert_eq!(Document::new("x", 1, "CSV file").about, "CSV file");
    }
}
