//! Questions at the terminal. Without one, or with `--yes`, each question has its default answer, or none.

use crate::failure::{Exit, Failure};
use std::fs::File;
use std::io::{self, Read, Write};

/// Maximum number of bytes of an answer.
const MAX_ANSWER: usize = 4096;

/// Number of times that a question is asked before an invalid answer ends the command.
const ATTEMPTS: usize = 3;

pub struct Questions {
    terminal: Option<File>,
}

impl Questions {
    /// Returns questions that are never asked.
    pub fn defaults() -> Self {
        Questions { terminal: None }
    }

    /// Returns questions for the terminal of this process, if there is one.
    pub fn at_the_terminal() -> Self {
        Questions { terminal: File::options().read(true).write(true).open("/dev/tty").ok() }
    }

    /// Returns true if there is a user to ask.
    pub fn are_asked(&self) -> bool {
        self.terminal.is_some()
    }

    /// Asks a question, again after an invalid answer. An empty answer is `default`. Without a terminal, or with
    /// `--yes`, the answer is `default`, or `None` if there is no default.
    pub fn ask<T>(
        &self,
        question: &str,
        default: Option<&str>,
        read: impl Fn(&str) -> Result<T, String>,
    ) -> Result<Option<Result<T, String>>, Failure> {
        let Some(terminal) = &self.terminal else { return Ok(default.map(&read)) };
        let shown = default.map(|default| format!(" [{default}]")).unwrap_or_default();
        for _ in 1..ATTEMPTS {
            let answer = line(terminal, &format!("{question}{shown}: "))?;
            let given = if answer.is_empty() { default } else { Some(&*answer) };
            match given.map_or(Err("an answer is needed here".to_owned()), &read) {
                Ok(value) => return Ok(Some(Ok(value))),
                Err(problem) => write(terminal, &format!("{problem}\n"))?,
            }
        }
        let answer = line(terminal, &format!("{question}{shown}: "))?;
        let given = if answer.is_empty() { default.unwrap_or_default() } else { &answer };
        Ok(Some(read(given)))
    }

    /// Asks whether to carry out the plan.
    pub fn confirm(&self) -> Result<bool, Failure> {
        let none =
            "there is no terminal to ask whether to carry out this plan; add --yes, or --dry-run; nothing was changed";
        let terminal = self.terminal.as_ref().ok_or_else(|| Failure::usage(none))?;
        Ok(matches!(line(terminal, "Carry out this plan? [y/N]: ")?.to_ascii_lowercase().as_str(), "y" | "yes"))
    }
}

fn gone(error: io::Error) -> Failure {
    Failure::not_now(format!("the terminal is gone: {error}; nothing was changed"))
}

fn write(mut terminal: &File, text: &str) -> Result<(), Failure> {
    terminal.write_all(text.as_bytes()).map_err(gone)
}

/// Asks for one line, without white space around it.
fn line(mut terminal: &File, question: &str) -> Result<String, Failure> {
    write(terminal, question)?;
    let mut line = Vec::new();
    let mut byte = [0];
    loop {
        match terminal.read(&mut byte) {
            Ok(0) => return Err(Failure::new(Exit::No, "interrupted; nothing was changed")),
            Ok(_) if byte[0] == b'\n' => return Ok(String::from_utf8_lossy(&line).trim().to_owned()),
            Ok(_) if line.len() < MAX_ANSWER => line.push(byte[0]),
            Ok(_) => {}
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(gone(error)),
        }
    }
}
