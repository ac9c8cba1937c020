//! The page of the protocol, from the comments at the head of the modules that implement it.

use crate::document::{Block, Document, Span, spans};
use crate::markdown;
use crate::supplements::see_also;
use mailauth_protocol::{MAX_BODY, MAX_LINE, MAX_METADATA, MAX_REPLY, MAX_REQUEST};
use pulldown_cmark::HeadingLevel;

/// The part of the manual with conventions and protocols.
const PART: u8 = 7;

/// The contract of the wire.
const WIRE: &str = include_str!("../../../mailauth-protocol/src/lib.rs");

/// The contract of the questions about addresses.
const QUESTIONS: &str = include_str!("../../../mailauth-protocol/src/question.rs");

/// The first heading of the contract.
const FIRST: &str = "The wire";

/// Limits in bytes, under the names that the contract uses.
const LIMITS: [(&str, usize, &str); 5] = [
    ("MAX_LINE", MAX_LINE, "a line without its LF"),
    ("MAX_BODY", MAX_BODY, "the body of AUTH"),
    ("MAX_METADATA", MAX_METADATA, "all lines before the command together"),
    ("MAX_REQUEST", MAX_REQUEST, "a request"),
    ("MAX_REPLY", MAX_REPLY, "a reply, except to ENUMERATE"),
];

/// Returns the page mailauth-protocol(7).
pub fn page() -> Document {
    let mut page = Document::new("mailauth-protocol", PART, "protocol of the authdaemon socket");
    for (heading, blocks) in markdown::sections(&contract(WIRE), HeadingLevel::H1) {
        // What is above the first heading is about the code.
        match &*heading {
            "" => {}
            FIRST => page.add("Description", blocks),
            heading => page.add(heading, blocks),
        }
    }
    for (_, blocks) in markdown::sections(&contract(QUESTIONS), HeadingLevel::H1) {
        page.add("Questions", blocks);
    }
    let limit = |(name, bytes, what): (&str, usize, &str)| {
        let term = vec![Span::Bold(name.to_owned()), Span::Roman(format!(" = {bytes}"))];
        Block::Entry(vec![term], vec![Block::Paragraph(spans(&format!("Maximum number of bytes of {what}.")))])
    };
    page.add("Limits", LIMITS.map(limit).to_vec());
    let related = ["mailauth(1)", "mailauth.toml(5)", "mailauth-courier(8)", "mailauth-exim(8)"];
    see_also(&mut page, &related.map(str::to_owned));
    page
}

/// Returns the comment at the head of a module.
fn contract(module: &str) -> String {
    let lines = module.lines().map_while(|line| line.strip_prefix("//!"));
    lines.flat_map(|line| [line.strip_prefix(' ').unwrap_or(line), "\n"]).collect()
}
