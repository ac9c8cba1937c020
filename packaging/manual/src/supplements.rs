//! Sections that no program prints, such as examples and files: `pages/*.md`.

use crate::document::{Block, Document, spans};
use crate::markdown;
use pulldown_cmark::HeadingLevel;

/// The texts. A heading of the first level names pages, such as `mailauth-courier(8)`; those of the second level are
/// sections of these pages.
const TEXTS: [&str; 2] = [include_str!("../pages/commands.md"), include_str!("../pages/programs.md")];

/// Heading of the references at the end of a page.
const SEE_ALSO: &str = "See also";

/// Adds the texts to their pages.
pub fn add(pages: &mut [Document]) {
    for (reference, heading, blocks) in texts() {
        if let Some(page) = pages.iter_mut().find(|page| page.reference() == reference) {
            page.add(&heading, blocks);
        }
    }
}

/// Returns the texts: the page, the heading and the blocks of each.
pub fn texts() -> Vec<(String, String, Vec<Block>)> {
    let mut texts = Vec::new();
    for text in TEXTS {
        for page in text.split("\n# ").skip(1) {
            let (reference, text) = page.split_once('\n').unwrap_or((page, ""));
            let sections =
                markdown::sections(text, HeadingLevel::H2).into_iter().filter(|(_, blocks)| !blocks.is_empty());
            texts.extend(sections.map(|(heading, blocks)| (reference.trim().to_owned(), heading, blocks)));
        }
    }
    texts
}

/// Adds references to other pages.
pub fn see_also(page: &mut Document, references: &[String]) {
    let own = page.reference();
    let mut others: Vec<&str> = references.iter().map(String::as_str).filter(|other| *other != own).collect();
    others.sort_by_key(|reference| (reference.rsplit('(').next(), *reference));
    others.dedup();
    if !others.is_empty() {
        page.add(SEE_ALSO, vec![Block::Paragraph(spans(&others.join(", ")))]);
    }
}
