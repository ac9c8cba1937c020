//! Writes a [`Document`] as roff, with the macros of man(7).

use crate::document::{Block, Document, Span};
use roff::{Inline, Roff, bold, italic, roman};

/// The heading of each page, in the middle.
const MANUAL: &str = "mailauth manual";

/// Returns the page as roff.
pub fn roff(page: &Document, date: &str) -> String {
    let mut roff = Roff::new();
    let part = page.part.to_string();
    let source = concat!("mailauth ", env!("CARGO_PKG_VERSION"));
    roff.control("TH", [&*page.name.to_uppercase(), &part, date, source, MANUAL]);
    // Neither hyphens, which are wrong in names, nor wide spaces.
    roff.control("nr", ["HY", "0"]);
    roff.control("nh", []);
    roff.control("ad", ["l"]);
    roff.control("SH", ["NAME"]);
    let names: Vec<&str> = std::iter::once(&page.name).chain(&page.other_names).map(String::as_str).collect();
    roff.text([roman(format!("{} - {}", names.join(", "), page.about))]);
    for section in page.sections() {
        roff.control("SH", [&*section.heading]);
        write_blocks(&mut roff, &section.blocks, true);
    }
    // In some implementations, the former is not a backslash.
    roff.render().replace("\\\\", "\\e")
}

/// Returns the file of another name of the page.
pub fn link(page: &Document) -> String {
    format!(".so man{}/{}\n", page.part, page.file_name(&page.name))
}

/// Writes blocks. `is_begun` is true directly below a heading or a term, where the first paragraph needs no macro.
fn write_blocks(roff: &mut Roff, blocks: &[Block], mut is_begun: bool) {
    let mut blocks = blocks.iter().peekable();
    while let Some(block) = blocks.next() {
        match block {
            Block::Heading(heading) => {
                roff.control("SS", [&*word(heading)]);
                is_begun = true;
                continue;
            }
            Block::Paragraph(spans) => {
                if !is_begun {
                    roff.control("PP", []);
                }
                roff.text(inlines(spans));
            }
            Block::Entry(terms, body) => {
                for (number, term) in terms.iter().enumerate() {
                    roff.control(if number == 0 { "TP" } else { "TQ" }, []);
                    roff.text(inlines(term));
                }
                write_nested(roff, body);
            }
            Block::Item(body) => {
                roff.control("IP", ["\\(bu", "3"]);
                write_nested(roff, body);
            }
            Block::Example(text) => write_example(roff, text, is_begun),
            Block::Synopsis(command, arguments) => {
                roff.control("SY", [&*word(command)]);
                roff.text(inlines(arguments));
                if !matches!(blocks.peek(), Some(Block::Synopsis(..))) {
                    roff.control("YS", []);
                }
            }
        }
        is_begun = false;
    }
}

/// Writes the text below a term. Paragraphs after the first are indented like it.
fn write_nested(roff: &mut Roff, body: &[Block]) {
    let Some((first, rest)) = body.split_first() else { return };
    write_blocks(roff, std::slice::from_ref(first), true);
    if !rest.is_empty() {
        roff.control("RS", []);
        write_blocks(roff, rest, false);
        roff.control("RE", []);
    }
}

fn write_example(roff: &mut Roff, text: &str, is_begun: bool) {
    if !is_begun {
        roff.control("PP", []);
    }
    roff.control("RS", ["2"]);
    roff.control("EX", []);
    for line in text.lines() {
        match line.trim_end() {
            "" => roff.control("sp", []),
            line => roff.text([roman(line)]),
        };
    }
    roff.control("EE", []);
    roff.control("RE", []);
}

/// Returns an argument of a macro, in which a hyphen is one that can be copied.
fn word(text: &str) -> String {
    text.replace('-', "\\-")
}

fn inlines(spans: &[Span]) -> Vec<Inline> {
    let inline = |span: &Span| match span {
        Span::Roman(text) => roman(text),
        Span::Bold(text) => bold(text),
        Span::Italic(text) => italic(text),
    };
    spans.iter().map(inline).collect()
}
