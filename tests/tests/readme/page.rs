//! A small parser for README.md and the pages in docs/: paragraphs and blocks of code, in their order.

use std::iter::once;
use std::path::{Path, PathBuf};

/// A paragraph or a block of it.
#[derive(Clone, Debug)]
pub struct Piece {
    /// The file, such as `docs/exim.md`.
    pub page: String,
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
    /// Returns the language of a block between fences.
    pub fn language(&self) -> Option<&str> {
        match &self.kind {
            Kind::Fenced(language) => Some(language),
            Kind::Prose | Kind::Indented => None,
        }
    }

    /// Returns the code spans of a paragraph.
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

/// Returns the root of the repository.
pub fn repository() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("the repository")
}

/// Returns the text of a file of the repository.
pub fn text_of(name: &str) -> String {
    let path: PathBuf = repository().join(name);
    std::fs::read_to_string(&path).unwrap_or_else(|e| panic!("{}: {e}", path.display()))
}

/// Returns the names of README.md and of the pages in docs/.
pub fn names() -> Vec<String> {
    let folder = std::fs::read_dir(repository().join("docs")).expect("docs/");
    let names = folder.map(|entry| entry.expect("an entry").file_name().into_string().expect("a name"));
    let mut names: Vec<String> =
        names.filter(|name| name.ends_with(".md") && name != "SUMMARY.md").map(|name| format!("docs/{name}")).collect();
    names.push("README.md".to_owned());
    names.sort();
    names
}

/// Returns all pieces of README.md and of the pages in docs/.
pub fn pages() -> Vec<Piece> {
    names().iter().flat_map(|name| page(name)).collect()
}

/// Returns the pieces of one page.
pub fn page(name: &str) -> Vec<Piece> {
    let text = text_of(name);
    let mut lines = text.lines();
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
        pieces.push(Piece { page: name.to_owned(), heading: heading.clone(), kind, text });
    }
    pieces
}
