//! Reads Markdown: what the comments of the code are written in, and the parts of pages that no program prints.

use crate::document::{Block, Span, plain, spans};
use pulldown_cmark::{BrokenLink, CodeBlockKind, CowStr, Event, HeadingLevel, Options, Parser, Tag, TagEnd};

/// Returns the sections of a text: each heading of the level `top` with the blocks below it. What is above the first such
/// heading has the heading "".
pub fn sections(markdown: &str, top: HeadingLevel) -> Vec<(String, Vec<Block>)> {
    let sections = vec![(String::new(), Vec::new())];
    let mut reader = Reader { top, sections, open: Vec::new(), text: Vec::new(), font: Span::Roman };
    // A link without an address refers to the code, and is text in a manual.
    let mut unresolved = |_: BrokenLink<'_>| Some((CowStr::Borrowed(""), CowStr::Borrowed("")));
    let options = Options::ENABLE_TABLES;
    Parser::new_with_broken_link_callback(markdown, options, Some(&mut unresolved))
        .for_each(|event| reader.read(event));
    reader.sections
}

/// Something that has begun and has not ended.
enum Open {
    /// An item of a list, with its blocks so far.
    Item(Vec<Block>),
    /// A block of code, with its text so far.
    Code(String),
    /// A row of a table, with its cells so far.
    Row(Vec<Vec<Span>>),
}

struct Reader {
    top: HeadingLevel,
    sections: Vec<(String, Vec<Block>)>,
    open: Vec<Open>,
    /// The paragraph, heading or cell so far.
    text: Vec<Span>,
    /// The font of plain text.
    font: fn(String) -> Span,
}

impl Reader {
    fn read(&mut self, event: Event<'_>) {
        match event {
            Event::Start(tag) => self.start(&tag),
            Event::End(tag) => self.end(tag),
            Event::Text(text) => match self.open.last_mut() {
                Some(Open::Code(code)) => code.push_str(&text),
                _ => self.text.push((self.font)(text.into_string())),
            },
            Event::Code(code) => self.text.push(Span::Bold(code.into_string())),
            Event::SoftBreak | Event::HardBreak => self.text.push(Span::Roman(" ".to_owned())),
            // Neither HTML nor rules, which need an option or are not in these texts.
            _ => {}
        }
    }

    fn start(&mut self, tag: &Tag<'_>) {
        match tag {
            Tag::Item => {
                self.flush();
                self.open.push(Open::Item(Vec::new()));
            }
            Tag::CodeBlock(CodeBlockKind::Fenced(_) | CodeBlockKind::Indented) => {
                self.open.push(Open::Code(String::new()));
            }
            Tag::Strong => self.font = Span::Bold,
            Tag::Emphasis => self.font = Span::Italic,
            Tag::TableHead | Tag::TableRow => self.open.push(Open::Row(Vec::new())),
            _ => {}
        }
    }

    fn end(&mut self, tag: TagEnd) {
        match tag {
            TagEnd::Heading(level) => {
                let heading = plain(&std::mem::take(&mut self.text));
                match level <= self.top {
                    true => self.sections.push((heading, Vec::new())),
                    false => self.push(Block::Heading(heading)),
                }
            }
            TagEnd::Paragraph => self.flush(),
            TagEnd::Strong | TagEnd::Emphasis => self.font = Span::Roman,
            TagEnd::Item => {
                self.flush();
                if let Some(Open::Item(blocks)) = self.open.pop() {
                    self.push(Block::Item(blocks));
                }
            }
            TagEnd::CodeBlock => {
                if let Some(Open::Code(code)) = self.open.pop() {
                    self.push(Block::Example(code.trim_end().to_owned()));
                }
            }
            TagEnd::TableCell => {
                let cell = std::mem::take(&mut self.text);
                if let Some(Open::Row(cells)) = self.open.last_mut() {
                    cells.push(cell);
                }
            }
            // The head of a table of terms says nothing that the heading of its section does not.
            TagEnd::TableHead => drop(self.open.pop()),
            TagEnd::TableRow => {
                if let Some(Open::Row(mut cells)) =
                    self.open.pop().filter(|row| !matches!(row, Open::Row(c) if c.is_empty()))
                {
                    let term = cells.remove(0);
                    self.push(Block::Entry(vec![term], cells.into_iter().map(Block::Paragraph).collect()));
                }
            }
            _ => {}
        }
    }

    /// Ends the paragraph, if there is one. A tight list has items without paragraphs.
    fn flush(&mut self) {
        if !self.text.is_empty() {
            let text = std::mem::take(&mut self.text);
            self.push(Block::Paragraph(emphasized(text)));
        }
    }

    fn push(&mut self, block: Block) {
        let in_item =
            self.open.iter_mut().rev().find_map(|open| if let Open::Item(blocks) = open { Some(blocks) } else { None });
        match (in_item, self.sections.last_mut()) {
            (Some(blocks), _) => blocks.push(block),
            (None, Some((_, blocks))) => blocks.push(block),
            (None, None) => {}
        }
    }
}

/// Joins pieces of plain text, which the parser splits at special characters, and finds names of pages in them.
fn emphasized(text: Vec<Span>) -> Vec<Span> {
    let mut joined: Vec<Span> = Vec::new();
    for span in text {
        match (joined.last_mut(), span) {
            (Some(Span::Roman(before)), Span::Roman(more)) => before.push_str(&more),
            (_, span) => joined.push(span),
        }
    }
    let find = |span| if let Span::Roman(text) = span { spans(&text) } else { vec![span] };
    joined.into_iter().flat_map(find).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn roman(text: &str) -> Span {
        Span::Roman(text.to_owned())
    }

    #[test]
    fn markdown_becomes_blocks() {
        let text = "Above a [`link`](x::y) and *[it]*.\n\n# One\n\nText\nwith `code`.\n\n* first\n  line\n* second\n\n## Deep\n\n\
                    ```text\na < b\n\n  c\n```\n\n| key | what |\n|---|---|\n| `k` | a value |\n";
        let sections = sections(text, HeadingLevel::H1);
        let [(none, above), (one, blocks)] = &sections[..] else { panic!("{sections:?}") };
        assert_eq!((none.as_str(), one.as_str()), ("", "One"));
        let (link, it) = (Span::Bold("link".to_owned()), Span::Italic("it".to_owned()));
        assert_eq!(above, &[Block::Paragraph(vec![roman("Above a "), link, roman(" and "), it, roman(".")])]);
        assert_eq!(
            blocks,
            &[
                Block::Paragraph(vec![roman("Text with "), Span::Bold("code".to_owned()), roman(".")]),
                Block::Item(vec![Block::Paragraph(vec![roman("first line")])]),
                Block::Item(vec![Block::Paragraph(vec![roman("second")])]),
                Block::Heading("Deep".to_owned()),
                Block::Example("a < b\n\n  c".to_owned()),
                Block::Entry(vec![vec![Span::Bold("k".to_owned())]], vec![Block::Paragraph(vec![roman("a value")])]),
            ]
        );
    }
}
