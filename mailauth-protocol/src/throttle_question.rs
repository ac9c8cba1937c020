//! What only our own daemon can be asked: what it has counted of wrong passwords.

use crate::{MAX_LINE, Uncomposable};
use mailauth_core::Secret;

/// `THROTTLE`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum GuessesQuestion {
    /// `list`: a page of what is counted.
    List {
        /// Where the page begins.
        from: usize,
        /// What stands in nobody's way too.
        all: bool,
        /// Of this login or network alone.
        name: Option<Vec<u8>>,
    },
    /// `clear`: what is counted of this login or network, or all, is to be forgotten.
    Clear(Option<Vec<u8>>),
}

impl GuessesQuestion {
    /// Reads what stands behind `THROTTLE`; `None` if it is no question.
    pub(super) fn parse(line: &[u8]) -> Option<Self> {
        let mut words = line.splitn(4, |b| *b == b' ');
        let name = |name: Option<&[u8]>| match name {
            Some(b"") => None,
            name => Some(name.map(<[u8]>::to_vec)),
        };
        match words.next()? {
            b"clear" => name(line.strip_prefix(b"clear ")).filter(|_| line != b"clear ").map(GuessesQuestion::Clear),
            b"list" => {
                let all = match words.next()? {
                    b"all" => true,
                    b"throttled" => false,
                    _ => return None,
                };
                let from = words.next()?;
                let digits = !from.is_empty() && from.iter().all(u8::is_ascii_digit);
                let from = digits.then(|| std::str::from_utf8(from).ok()?.parse().ok()).flatten()?;
                Some(GuessesQuestion::List { from, all, name: name(words.next())? })
            }
            _ => None,
        }
    }

    /// The request that asks it.
    ///
    /// # Errors
    /// When the name cannot be sent: then nothing is counted of it.
    pub fn compose(&self) -> Result<Secret, Uncomposable> {
        let (mut line, name) = match self {
            GuessesQuestion::List { from, all, name } => {
                (format!("THROTTLE list {} {from}", if *all { "all" } else { "throttled" }), name)
            }
            GuessesQuestion::Clear(name) => ("THROTTLE clear".to_owned(), name),
        };
        let name = name.as_deref().unwrap_or_default();
        if name.iter().any(u8::is_ascii_control) || name.len() > MAX_LINE / 2 {
            return Err(Uncomposable("login"));
        }
        if !name.is_empty() {
            line.push(' ');
        }
        Ok(Secret::new([line.as_bytes(), name, b"\n"].concat()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_composed_is_read_as_it_was_meant() {
        let name = || Some(b"anna b@example.org".to_vec());
        for question in [
            GuessesQuestion::List { from: 0, all: false, name: None },
            GuessesQuestion::List { from: 70, all: true, name: name() },
            GuessesQuestion::Clear(None),
            GuessesQuestion::Clear(name()),
        ] {
            let line = question.compose().unwrap();
            let line = line.expose().strip_prefix(b"THROTTLE ").unwrap().strip_suffix(b"\n").unwrap();
            assert_eq!(GuessesQuestion::parse(line), Some(question));
        }
        assert!(GuessesQuestion::Clear(Some(b"a\nb".to_vec())).compose().is_err());
    }

    #[test]
    fn what_is_no_question_is_none() {
        for line in [
            "",
            "list",
            "list all",
            "list all x",
            "list all -1",
            "list some 0",
            "list all 0 ",
            "clear ",
            "clearx",
            "drop",
        ] {
            assert_eq!(GuessesQuestion::parse(line.as_bytes()), None, "{line}");
        }
    }
}
