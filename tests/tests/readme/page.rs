//! README.md, read as far as it is needed: paragraphs, and blocks of code, in their order.

use std::iter::once;
use std::path::{Path, PathBuf};

/// A paragraph or a block of it.
#[derive(Clone, Debug)]
pub struct Piece {
    /// The heading above it.
    pub heading: String,
    pub kind: Kind,
    /// As printed: without fences or indentation, and with the end of each line.
    pub text: String,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Kind {
    Prose,
    /// A block between fences, with the language that the first one names.
    Fenced(String),
    /// A block by its indentation of four spaces.
    Indented,
}

impl Piece {
    /// The language of a block between fences.
    pub fn language(&self) -> Option<&str> {
        match &self.kind {
            Kind::Fenced(language) => Some(language),
            Kind::Prose | Kind::Indented => None,
        }
    }

    /// What a paragraph shows as code.
    pub fn spans(&self) -> Vec<String> {
        match self.kind {
            Kind::Prose => {
                let text = self.text.split_whitespace().collect::<Vec<_>>().join(" ");
                assert!(text.matches('`').count() % 2 == 0, "code without an end: {text}");
                text.split('`').skip(1).step_by(2).map(str::to_owned).collect()
            }
            Kind::Fenced(_) | Kind::Indented => Vec::new(),
        }
    }
}

/// The root of the repository.
pub fn repository() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("the repository")
}

/// A file of the repository.
pub fn text_of(name: &str) -> String {
    let path: PathBuf = repository().join(name);
    std::fs::read_to_string(&path).unwrap_or_else(|e| panic!("{}: {e}", path.display()))
}

/// All of README.md.
pub fn readme() -> Vec<Piece> {
    let page = text_of("README.md");
    let mut lines = page.lines();
    let mut heading = String::new();
    let mut pieces = Vec::new();
    while let Some(line) = lines.next() {
        let (kind, lines): (_, Vec<&str>) = if let Some(language) = line.strip_prefix("```") {
            (Kind::Fenced(language.to_owned()), lines.by_ref().take_while(|line| *line != "```").collect())
        } else if line.is_empty() {
            continue;
        } else if line.starts_with('#') {
            heading = line.trim_start_matches('#').trim().to_owned();
            continue;
        } else {
            let all: Vec<&str> = once(line).chain(lines.by_ref().take_while(|line| !line.is_empty())).collect();
            match all.iter().map(|line| line.strip_prefix("    ")).collect() {
                Some(indented) => (Kind::Indented, indented),
                None => (Kind::Prose, all),
            }
        };
        let text = lines.iter().flat_map(|line| [line, "\n"]).collect();
        pieces.push(Piece { heading: heading.clone(), kind, text });
    }
    pieces
}
