//! The page of the configuration file.

use crate::document::{Block, Document, plain, spans};
use crate::sample::{SAMPLE, Sample};
use crate::supplements::see_also;

/// The part of the manual with files.
const PART: u8 = 5;

/// How the first paragraph of the sample begins, which is about the sample and not about the file.
const ABOUT_SAMPLE: &str = "Sample of ";

/// Returns the page mailauth.toml(5).
pub fn page() -> Document {
    let sample = Sample::read(SAMPLE);
    let mut page = Document::new("mailauth.toml", PART, "configuration of all programs of mailauth");
    page.add("Synopsis", vec![Block::Paragraph(spans("/etc/mailauth/mailauth.toml"))]);
    let is_about_sample =
        |block: &Block| matches!(block, Block::Paragraph(spans) if plain(spans).starts_with(ABOUT_SAMPLE));
    page.add("Description", sample.introduction.into_iter().filter(|block| !is_about_sample(block)).collect());
    for (name, blocks) in sample.sections {
        page.add("Keys", std::iter::once(Block::Heading(format!("[{name}]"))).chain(blocks).collect());
    }
    let related =
        ["mailauth(1)", "mailauth-courier(8)", "mailauth-exim(8)", "mailauth-mailboxes(8)", "mailauth-pop3(8)"];
    see_also(&mut page, &related.map(str::to_owned));
    page
}
