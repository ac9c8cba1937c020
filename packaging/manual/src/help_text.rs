//! Reads the texts that `--help` prints: paragraphs, lists in two columns below a heading, exit codes and examples.

use crate::document::{Block, Document, Span, spans};

/// Heading of the list of exit codes, as the texts have it and as pages have it.
const EXIT_CODES: (&str, &str) = ("Exit codes:", "Exit status");

/// Beginnings of paragraphs with examples.
const EXAMPLES: [&str; 3] = ["For example:", "Example:", "Examples:"];

/// Adds a text to a page. Paragraphs that belong to no section of their own are added to the section `heading`.
pub fn add(page: &mut Document, heading: &str, text: &str) {
    for paragraph in text.split("\n\n").map(|paragraph| paragraph.trim_matches('\n')).filter(|text| !text.is_empty()) {
        let (first, rest) = paragraph.split_once('\n').unwrap_or((paragraph, ""));
        if let Some(usage) = first.strip_prefix("Usage:") {
            page.add("Synopsis", std::iter::once(usage).chain(rest.lines()).map(synopsis).collect());
        } else if let Some(codes) = paragraph.strip_prefix(EXIT_CODES.0) {
            page.add(EXIT_CODES.1, exit_codes(&joined(codes)));
        } else if let Some(start) = EXAMPLES.iter().find(|start| first.starts_with(**start)) {
            page.add("Examples", vec![Block::Example(example(first.get(start.len()..).unwrap_or_default(), rest))]);
        } else if let Some((title, intro)) = title_of_list(first, rest) {
            let intro = intro.map(|intro| Block::Paragraph(spans(&intro)));
            page.add(title, intro.into_iter().chain(list(rest)).collect());
        } else {
            page.add(heading, vec![Block::Paragraph(spans(&joined(paragraph)))]);
        }
    }
}

/// Returns the lines of a paragraph as one line.
fn joined(paragraph: &str) -> String {
    paragraph.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// Returns the example on the first line, or those on the lines below it without their common indentation.
fn example(first: &str, rest: &str) -> String {
    let indentation = rest.lines().map(|line| line.len() - line.trim_start().len()).min().unwrap_or_default();
    let rest = rest.lines().map(|line| line.get(indentation..).unwrap_or_default());
    std::iter::once(first.trim()).filter(|first| !first.is_empty()).chain(rest).collect::<Vec<_>>().join("\n")
}

/// Returns the title of a list, and what else the line above it says: `Options, before the question:`.
fn title_of_list<'a>(first: &'a str, rest: &str) -> Option<(&'a str, Option<String>)> {
    let line = first.strip_suffix(':')?;
    if line.starts_with(' ') || !rest.starts_with("  ") {
        return None;
    }
    match line.split_once(", ") {
        Some((title, intro)) => {
            let mut letters = intro.chars();
            let capital = letters.next()?.to_uppercase();
            Some((title, Some(format!("{}{}:", capital, letters.as_str()))))
        }
        None => Some((line, None)),
    }
}

/// Reads the lines of a list: a term, two spaces and its description, which continues on lines that are indented more.
fn list(lines: &str) -> Vec<Block> {
    let mut entries: Vec<(&str, String)> = Vec::new();
    let margin = lines.lines().map(|line| line.len() - line.trim_start().len()).min().unwrap_or_default();
    for line in lines.lines() {
        let text = line.trim_start();
        match entries.last_mut() {
            Some((_, description)) if line.len() - text.len() > margin => {
                description.push(' ');
                description.push_str(text);
            }
            _ => {
                let (term, description) = text.split_once("  ").unwrap_or((text, ""));
                entries.push((term, description.to_owned()));
            }
        }
    }
    let entry = |(term, description): (&str, String)| {
        Block::Entry(vec![arguments(term)], vec![Block::Paragraph(spans(description.trim()))])
    };
    entries.into_iter().map(entry).collect()
}

/// Reads `0 yes, 1 no, 75 not now (try again).`
fn exit_codes(text: &str) -> Vec<Block> {
    let mut codes: Vec<(&str, String)> = Vec::new();
    for part in text.trim().trim_end_matches('.').split(", ") {
        let code = part.split_once(' ').filter(|(code, _)| code.bytes().all(|byte| byte.is_ascii_digit()));
        match (code, codes.last_mut()) {
            (Some((code, meaning)), _) => codes.push((code, meaning.to_owned())),
            (None, Some((_, meaning))) => {
                meaning.push_str(", ");
                meaning.push_str(part);
            }
            (None, None) => return vec![Block::Paragraph(spans(text))],
        }
    }
    let entry = |(code, meaning): (&str, String)| {
        let term = vec![Span::Bold(code.to_owned())];
        Block::Entry(vec![term], vec![Block::Paragraph(spans(&meaning))])
    };
    codes.into_iter().map(entry).collect()
}

/// Reads a line of a synopsis: the words in small letters before the first argument are the command.
fn synopsis(line: &str) -> Block {
    let words: Vec<&str> = line.split_whitespace().collect();
    let is_argument = |word: &&str| word.starts_with(['-', '[', '<']) || word.chars().all(|c| !c.is_lowercase());
    let command = words.iter().take_while(|word| !is_argument(word)).count();
    let (command, rest) = words.split_at(command);
    Block::Synopsis(command.join(" "), arguments(&rest.join(" ")))
}

/// Returns the words of a command line in their fonts: placeholders, which are in capital letters, in italic, brackets
/// and dots in roman, and all others in bold. A bracket is kept on one line.
pub fn arguments(text: &str) -> Vec<Span> {
    let mut spans: Vec<Span> = Vec::new();
    let mut depth = 0_usize;
    let mut word = String::new();
    for letter in text.chars() {
        match letter {
            '[' | ']' | ' ' | '|' | '=' | ',' => {
                push_word(&mut spans, &mut word);
                match letter {
                    '[' => depth += 1,
                    ']' => depth = depth.saturating_sub(1),
                    _ => {}
                }
                push_roman(&mut spans, if letter == ' ' && depth > 0 { '\u{a0}' } else { letter });
            }
            _ => word.push(letter),
        }
    }
    push_word(&mut spans, &mut word);
    spans
}

fn push_roman(spans: &mut Vec<Span>, letter: char) {
    match spans.last_mut() {
        Some(Span::Roman(text)) => text.push(letter),
        _ => spans.push(Span::Roman(letter.into())),
    }
}

fn push_word(spans: &mut Vec<Span>, word: &mut String) {
    let text = std::mem::take(word);
    let (name, dots) = match text.strip_suffix("...") {
        Some(name) => (name, "..."),
        None => (&*text, ""),
    };
    if !name.is_empty() {
        let is_placeholder = name.chars().any(char::is_uppercase) && !name.chars().any(char::is_lowercase);
        // Environment variables of mailauth are not placeholders.
        let is_placeholder = is_placeholder && !name.contains('_');
        let name = name.to_owned();
        spans.push(if is_placeholder { Span::Italic(name) } else { Span::Bold(name) });
    }
    dots.chars().for_each(|dot| push_roman(spans, dot));
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = "\
Usage: prog [--config FILE] QUESTION...
       prog --check

Does one thing. It
is short.

Options, before the question:
  --config FILE  path of the
                 file
  --check

Exit codes: 0 yes, 1 no, or not, 75 not now.

For example:
  prog a
    b";

    fn page() -> Document {
        let mut page = Document::new("prog", 8, "");
        add(&mut page, "Description", TEXT);
        page
    }

    fn section<'a>(page: &'a Document, heading: &str) -> &'a [Block] {
        let found = page.sections().iter().find(|section| section.heading == heading);
        &found.unwrap_or_else(|| panic!("no {heading}")).blocks
    }

    fn roman(text: &str) -> Span {
        Span::Roman(text.to_owned())
    }

    #[test]
    fn a_help_text_becomes_the_sections_of_a_page() {
        let page = page();
        let [Block::Synopsis(first, arguments), Block::Synopsis(second, check)] = section(&page, "SYNOPSIS") else {
            panic!("{page:?}")
        };
        assert_eq!((&**first, &**second), ("prog", "prog"));
        assert_eq!(check, &[Span::Bold("--check".to_owned())]);
        let (option, file) = (Span::Bold("--config".to_owned()), Span::Italic("FILE".to_owned()));
        let question = Span::Italic("QUESTION".to_owned());
        assert_eq!(
            arguments,
            &[roman("["), option.clone(), roman("\u{a0}"), file.clone(), roman("] "), question, roman("...")]
        );
        assert_eq!(section(&page, "DESCRIPTION"), [Block::Paragraph(vec![roman("Does one thing. It is short.")])]);
        let path = Block::Paragraph(vec![roman("path of the file")]);
        assert_eq!(
            section(&page, "OPTIONS")[..2],
            [
                Block::Paragraph(vec![roman("Before the question:")]),
                Block::Entry(vec![vec![option, roman(" "), file]], vec![path])
            ]
        );
        assert_eq!(section(&page, "EXAMPLES"), [Block::Example("prog a\n  b".to_owned())]);
        let Block::Entry(_, no) = &section(&page, "EXIT STATUS")[1] else { panic!("{page:?}") };
        assert_eq!(no, &[Block::Paragraph(vec![roman("no, or not")])]);
        assert_eq!(section(&page, "EXIT STATUS").len(), 3);
    }
}
