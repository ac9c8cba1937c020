//! The file of logins, read line by line.

use crate::failure::Failure;
use std::fs::File;
use std::io::{self, BufRead, BufReader, Read};
use std::path::Path;

/// Maximum length of a line in bytes. No login is longer than 254.
const MAX_LINE: usize = 1024;

/// A line that is not empty.
#[derive(Debug, PartialEq, Eq)]
pub enum Line {
    Login(Vec<u8>),
    /// A line that is too long for a login, by its number.
    TooLong(u64),
}

/// Logins of a file, one on each line. Empty lines are skipped.
pub struct Logins {
    input: Box<dyn BufRead>,
    shown: String,
    /// Number of the line that was read last.
    number: u64,
}

impl Logins {
    /// Opens a file, or the standard input for `-`.
    pub fn open(file: &Path) -> Result<Self, Failure> {
        if file == Path::new("-") {
            return Ok(Self::of(Box::new(BufReader::new(io::stdin())), "the standard input".to_owned()));
        }
        let shown = file.display().to_string();
        match File::open(file) {
            Ok(file) => Ok(Self::of(Box::new(BufReader::new(file)), shown)),
            Err(error) => Err(unread(&shown, &error)),
        }
    }

    fn of(input: Box<dyn BufRead>, shown: String) -> Self {
        Logins { input, shown, number: 0 }
    }

    /// Returns up to `count` more lines; none at the end of the file.
    pub fn next_lines(&mut self, count: usize) -> Result<Vec<Line>, Failure> {
        let mut lines = Vec::new();
        while lines.len() < count {
            match self.next_line().map_err(|error| unread(&self.shown, &error))? {
                Some(Line::Login(login)) if login.is_empty() => {}
                Some(line) => lines.push(line),
                None => break,
            }
        }
        Ok(lines)
    }

    fn next_line(&mut self) -> io::Result<Option<Line>> {
        let mut line = Vec::new();
        // One byte more than the longest line, and its end.
        let limit = u64::try_from(MAX_LINE + 2).unwrap_or(u64::MAX);
        if self.input.by_ref().take(limit).read_until(b'\n', &mut line)? == 0 {
            return Ok(None);
        }
        self.number += 1;
        if line.last() != Some(&b'\n') && line.len() > MAX_LINE {
            self.input.skip_until(b'\n')?;
        }
        let login = line.strip_suffix(b"\n").unwrap_or(&line);
        let login = login.strip_suffix(b"\r").unwrap_or(login).trim_ascii();
        Ok(Some(if login.len() > MAX_LINE { Line::TooLong(self.number) } else { Line::Login(login.to_owned()) }))
    }
}

fn unread(shown: &str, error: &io::Error) -> Failure {
    Failure::usage(format!("{shown} cannot be read: {error}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn all(text: &[u8]) -> Vec<Line> {
        let mut logins = Logins::of(Box::new(io::Cursor::new(text.to_owned())), "a file".into());
        let mut lines = Vec::new();
        loop {
            let more = logins.next_lines(2).unwrap();
            if more.is_empty() {
                return lines;
            }
            lines.extend(more);
        }
    }

    #[test]
    fn each_line_that_is_not_empty_is_a_login() {
        let login = |text: &[u8]| Line::Login(text.to_owned());
        assert_eq!(all(b"anna@x\r\n\n  \nben@x \n\xff@x"), [login(b"anna@x"), login(b"ben@x"), login(b"\xff@x")]);
        assert_eq!(all(b""), []);
    }

    #[test]
    fn a_line_too_long_for_a_login_is_not_held() {
        let long = vec![b'x'; 3 * MAX_LINE];
        let text = [b"anna@x\n", &long[..], b"\nben@x\n", &long[..MAX_LINE], b"\n", &long[..=MAX_LINE]].concat();
        let lines = all(&text);
        assert_eq!(lines[1..3], [Line::TooLong(2), Line::Login(b"ben@x".to_vec())]);
        assert_eq!(lines[3..], [Line::Login(long[..MAX_LINE].to_vec()), Line::TooLong(5)]);
    }
}
