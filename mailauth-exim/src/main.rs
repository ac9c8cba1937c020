//! `mailauth-exim`: the questions of [`mailauth_exim::question`] on a command line, for Exim's `${run`.

use mailauth_core::config::Config;
use mailauth_core::printable::printable;
use mailauth_core::process_memory;
use mailauth_exim::ask::{Asker, DATABASE_PROGRAM};
use mailauth_exim::usage::USAGE;
use mailauth_exim::{Question, Said};
use std::ffi::OsString;
use std::io::{self, Write};
use std::os::unix::ffi::OsStrExt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

/// The command line: help, or a question.
#[derive(Debug, Default, PartialEq, Eq)]
struct Options {
    config: Option<PathBuf>,
    insecure: bool,
    question: Vec<OsString>,
}

/// The result of the program, which decides its exit code.
enum End {
    Yes(Vec<u8>),
    /// A text that is printed.
    No(Vec<u8>),
    /// Not now, with the reason.
    NotNow(String),
}

fn main() -> ExitCode {
    process_memory::keep_private();
    // Exim considers any other code a no.
    let end = catch_unwind(AssertUnwindSafe(|| run(std::env::args_os().skip(1))));
    let end =
        end.unwrap_or_else(|_| End::NotNow("internal error in this program; please report the message above".into()));
    let (text, code) = match end {
        End::Yes(text) => (text, 0),
        End::No(text) => (text, 1),
        End::NotNow(why) => {
            // A failure to write to the standard error cannot be reported anywhere.
            let _ = why.lines().try_for_each(|line| writeln!(io::stderr(), "mailauth-exim: {}", printable(line)));
            return ExitCode::from(75);
        }
    };
    match io::stdout().write_all(&text).and_then(|()| io::stdout().flush()) {
        Ok(()) => ExitCode::from(code),
        Err(_) => ExitCode::from(75),
    }
}

fn run(arguments: impl Iterator<Item = OsString>) -> End {
    let options = match options(arguments) {
        Ok(options) => options,
        Err(end) => return end,
    };
    let Some((name, arguments)) = options.question.split_first() else {
        return End::NotNow(format!("no question is given\n\n{USAGE}"));
    };
    let arguments: Vec<&[u8]> = arguments.iter().map(|argument| argument.as_bytes()).collect();
    let question = match Question::read(&name.to_string_lossy(), &arguments) {
        Ok(question) => question,
        Err(misuse) => return End::NotNow(misuse.to_string()),
    };
    if matches!(question, Question::Login { .. }) && !options.insecure {
        return End::NotNow(
            "every user of this machine can read a password on the command line; use ${dlfunc or ${readsocket, or \
             --insecure-argv"
                .to_owned(),
        );
    }
    let loaded = match &options.config {
        Some(file) => Config::load_without_password(Some(file)),
        None => Config::load_system(),
    };
    match loaded {
        Ok((config, _)) => answer(&Asker::new(&config, database_program(options.config.as_deref())), &question),
        Err(errors) => End::NotNow(errors.to_string()),
    }
}

fn answer(asker: &Asker, question: &Question) -> End {
    match question.kind().say(asker.ask(question)) {
        Said::Yes(said) => End::Yes(said.expose().to_vec()),
        Said::No(said) => End::No(said.expose().to_vec()),
        Said::Nothing => End::No(Vec::new()),
        Said::NotNow(why) => End::NotNow(why),
    }
}

/// Returns the program in the same folder that asks the database, with the arguments for the same configuration.
fn database_program(config: Option<&Path>) -> Option<Vec<OsString>> {
    let mut command = vec![std::env::current_exe().ok()?.with_file_name(DATABASE_PROGRAM).into()];
    if let Some(file) = config {
        command.extend(["--config".into(), file.into()]);
    }
    Some(command)
}

/// Reads the options, which come before the question. What follows the question comes from Exim and may look like an
/// option.
fn options(mut arguments: impl Iterator<Item = OsString>) -> Result<Options, End> {
    let mut options = Options::default();
    while let Some(argument) = arguments.next() {
        match argument.to_str() {
            Some("--config") => match arguments.next() {
                Some(file) => options.config = Some(file.into()),
                None => return Err(End::NotNow("--config needs a file".to_owned())),
            },
            Some("--insecure-argv") => options.insecure = true,
            Some("--help" | "-h") => return Err(End::Yes(format!("{USAGE}\n").into_bytes())),
            Some("--version" | "-V") => {
                return Err(End::Yes(format!("mailauth-exim {}\n", env!("CARGO_PKG_VERSION")).into_bytes()));
            }
            Some(text) if text.starts_with('-') => return Err(End::NotNow(format!("unknown option {text}"))),
            _ => {
                options.question = std::iter::once(argument).chain(arguments).collect();
                break;
            }
        }
    }
    Ok(options)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(arguments: &[&str]) -> Option<Options> {
        options(arguments.iter().map(OsString::from)).ok()
    }

    #[test]
    fn options_end_where_the_question_begins() {
        let question = ["login", "smtp", "--help", "-x"].map(OsString::from).to_vec();
        let options = read(&["--insecure-argv", "--config", "a.toml", "login", "smtp", "--help", "-x"]).unwrap();
        assert_eq!(options, Options { config: Some("a.toml".into()), insecure: true, question });
        assert!(read(&["--config"]).is_none() && read(&["--verbose"]).is_none());
    }

    #[test]
    fn a_password_in_the_arguments_is_refused() {
        let login = ["login", "smtp", "anna@x.example", "secret"].map(OsString::from);
        let End::NotNow(why) = run(login.into_iter()) else { panic!("it was accepted") };
        assert!(why.contains("--insecure-argv"), "{why}");
    }
}
