//! Colour on a terminal. The words alone carry the meaning, so nothing is lost without it.

use crate::output::speaks_json;
use anstream::AutoStream;
use clap::ColorChoice;
use clap::builder::styling::{AnsiColor, Style};
use std::io;

/// Meaning of a coloured text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Tone {
    Good,
    Warning,
    Bad,
    /// A title or a name.
    Name,
}

impl Tone {
    fn style(self) -> Style {
        match self {
            Tone::Good => AnsiColor::Green.on_default(),
            Tone::Warning => AnsiColor::Yellow.on_default(),
            Tone::Bad => AnsiColor::Red.on_default().bold(),
            Tone::Name => Style::new().bold(),
        }
    }

    /// Returns the text in this tone.
    pub fn paint(self, text: &str) -> String {
        let style = self.style();
        if text.is_empty() { String::new() } else { format!("{style}{text}{style:#}") }
    }
}

/// Sets whether colour is used on both outputs.
pub fn choose(choice: ColorChoice) {
    let choice = match choice {
        ColorChoice::Auto => anstream::ColorChoice::Auto,
        ColorChoice::Always => anstream::ColorChoice::Always,
        ColorChoice::Never => anstream::ColorChoice::Never,
    };
    choice.write_global();
}

/// Returns the choice in these arguments, so that it also applies to errors in them.
pub fn in_arguments(arguments: impl Iterator<Item = String>) -> ColorChoice {
    let mut arguments = arguments.take_while(|argument| argument != "--").peekable();
    let mut choice = ColorChoice::Auto;
    while let Some(argument) = arguments.next() {
        let value = match argument.strip_prefix("--color") {
            Some("") => arguments.peek().cloned(),
            Some(rest) => rest.strip_prefix('=').map(str::to_owned),
            None => None,
        };
        choice = value.and_then(|value| value.parse().ok()).unwrap_or(choice);
    }
    choice
}

/// Returns true if the standard output takes colour: if it is a terminal, and the environment does not forbid it.
pub fn is_on_stdout() -> bool {
    !speaks_json() && AutoStream::choice(&io::stdout()) != anstream::ColorChoice::Never
}

/// Returns true if the standard error takes colour.
pub fn is_on_stderr() -> bool {
    !speaks_json() && AutoStream::choice(&io::stderr()) != anstream::ColorChoice::Never
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_choice_is_found_before_the_arguments_are_parsed() {
        let found = |line: &str| in_arguments(line.split(' ').map(str::to_owned));
        assert_eq!(found("check --color never"), ColorChoice::Never);
        assert_eq!(found("--color=always check"), ColorChoice::Always);
        for line in ["check", "check --color", "check --color=blue", "hash -- --color never", "check --colors always"] {
            assert_eq!(found(line), ColorChoice::Auto, "{line}");
        }
    }

    #[test]
    fn a_painted_text_ends_its_style() {
        assert_eq!(Tone::Good.paint("ok"), "\u{1b}[32mok\u{1b}[0m");
        assert_eq!(Tone::Bad.paint(""), "");
    }
}
