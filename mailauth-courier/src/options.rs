//! The command line of `mailauth-courier`.

use std::ffi::OsString;
use std::path::PathBuf;

/// Text of `--help`, which also follows an error.
pub const USAGE: &str = "\
Usage: mailauth-courier [--config FILE] [--check]

Answers logins on the Courier authdaemon socket from the accounts in a mailauth database. Runs in the foreground;
SIGTERM stops it, and SIGHUP makes it read its configuration again.

Options:
  --config FILE  configuration file; default: $MAILAUTH_CONFIG, or /etc/mailauth/mailauth.toml
  --check        check the configuration and exit
  --version      print the version
  --help         print this help

Exit codes: 0 after SIGTERM or SIGINT, 1 the daemon cannot run, 2 invalid option or configuration.";

/// Options of the command line.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Options {
    /// The configuration file, if one is given.
    pub config: Option<PathBuf>,
    /// True to check the configuration and exit.
    pub check: bool,
}

/// Reason not to run.
#[derive(Debug, PartialEq, Eq)]
pub enum Exit {
    /// A text was asked for, which is to be printed.
    Print(String),
    /// The command line is not valid.
    Invalid(String),
}

/// Reads the command line, without the name of the program.
///
/// # Errors
/// Returns [`Exit`] if the program is not to run.
pub fn parse(mut arguments: impl Iterator<Item = OsString>) -> Result<Options, Exit> {
    let mut options = Options::default();
    while let Some(argument) = arguments.next() {
        match argument.to_str() {
            Some("--config") => match arguments.next() {
                Some(file) => options.config = Some(file.into()),
                None => return Err(Exit::Invalid("--config needs a file".into())),
            },
            Some(text) if text.starts_with("--config=") => options.config = Some(text["--config=".len()..].into()),
            Some("--check") => options.check = true,
            Some("--help" | "-h") => return Err(Exit::Print(USAGE.into())),
            Some("--version" | "-V") => {
                return Err(Exit::Print(format!("mailauth-courier {}", env!("CARGO_PKG_VERSION"))));
            }
            _ => return Err(Exit::Invalid(format!("unknown option {}", argument.display()))),
        }
    }
    Ok(options)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(arguments: &[&str]) -> Result<Options, Exit> {
        parse(arguments.iter().map(OsString::from))
    }

    #[test]
    fn options_are_read_and_unknown_ones_are_named() {
        let config = Some(PathBuf::from("a.toml"));
        assert_eq!(read(&[]), Ok(Options::default()));
        assert_eq!(read(&["--config", "a.toml"]), Ok(Options { config: config.clone(), check: false }));
        assert_eq!(read(&["--config=a.toml", "--check"]), Ok(Options { config, check: true }));
        assert!(matches!(read(&["--config"]), Err(Exit::Invalid(_))));
        assert!(matches!(read(&["--daemon"]), Err(Exit::Invalid(what)) if what.contains("--daemon")));
        assert!(matches!(read(&["--help"]), Err(Exit::Print(_))));
    }
}
