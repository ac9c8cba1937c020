//! The lines of Dovecot's files: continuation, comments and quotes.

/// A line of the file, with what continues it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Line {
    /// Number of the first line.
    pub number: usize,
    /// The text without comment.
    pub text: String,
}

/// Returns the lines that hold something. A `#` outside quotes begins a comment, and a `\` at the end joins the next line
/// with one blank.
pub fn lines(text: &str) -> Vec<Line> {
    let mut joined: Vec<Line> = Vec::new();
    let mut continues = false;
    for (index, line) in text.lines().enumerate() {
        let is_comment = !continues && line.trim_start().starts_with('#');
        let (line, more) = match line.trim_end().strip_suffix('\\') {
            Some(line) if !is_comment => (line.trim_end(), true),
            _ => (line.trim_end(), false),
        };
        match joined.last_mut().filter(|_| continues) {
            Some(last) => {
                last.text.push(' ');
                last.text.push_str(line.trim_start());
            }
            None => joined.push(Line { number: index + 1, text: line.to_owned() }),
        }
        continues = more;
    }
    for line in &mut joined {
        line.text.truncate(end_of_content(&line.text));
        line.text = line.text.trim().to_owned();
    }
    joined.retain(|line| !line.text.is_empty());
    joined
}

/// Returns the position of a comment, or the end of the line.
fn end_of_content(line: &str) -> usize {
    let mut quote = None;
    let mut chars = line.char_indices();
    while let Some((index, c)) = chars.next() {
        match (quote, c) {
            (Some(_), '\\') => _ = chars.next(),
            (Some(open), c) if c == open => quote = None,
            (None, '"' | '\'') => quote = Some(c),
            (None, '#') => return index,
            _ => {}
        }
    }
    line.len()
}

/// Returns a value without the quotes that enclose all of it, and with its escapes resolved.
pub fn unquoted(value: &str) -> String {
    let value = value.trim();
    let quote = value.chars().next().filter(|c| matches!(c, '"' | '\''));
    let Some(inside) = quote.and_then(|quote| value.strip_prefix(quote)?.strip_suffix(quote)) else {
        return value.to_owned();
    };
    let (mut text, mut chars) = (String::with_capacity(inside.len()), inside.chars());
    while let Some(c) = chars.next() {
        match c {
            // The quotes do not enclose the whole value.
            c if Some(c) == quote => return value.to_owned(),
            '\\' => text.extend(chars.next()),
            c => text.push(c),
        }
    }
    text
}
