//! `mailauth`, the administrator's command: domains, accounts, aliases and quotas, and checks of the whole installation.
//!
//! Exit codes: 0 yes or done, 1 no, 2 invalid command line or configuration, 75 not now, 77 over quota.

mod account;
mod account_columns;
mod account_csv;
mod account_rename;
mod alias;
mod alias_csv;
mod alias_domain_csv;
mod auth;
mod backup;
mod cache;
mod check;
mod colour;
mod compare;
mod config;
mod context;
mod convert;
mod csv_export;
mod csv_import;
mod deliver;
mod domain;
mod domain_alias;
mod domain_csv;
mod failure;
mod hash;
mod init;
mod interruption;
mod listing;
mod lookup;
mod mailbox;
mod nearby;
mod output;
mod password_prompt;
mod progress;
mod proposed;
mod quota;
mod recipient;
mod schema;
mod setup;
mod spool;
mod status;
mod stored_login;
mod switch;
mod throttle;
mod try_out;
mod validation;

use clap::{ColorChoice, CommandFactory, FromArgMatches, Parser, Subcommand};
use context::Context;
use failure::{Exit, Failure};
use std::path::PathBuf;
use std::process::ExitCode;

/// Administers the accounts of a mail host.
///
/// The accounts are in an SQL database (SQLite, MySQL, MariaDB or PostgreSQL) that the configuration names; without a
/// configuration, in the SQLite database ./mailauth.db. Passwords are typed at the terminal or read from the standard
/// input, and are never part of a command line.
#[derive(Parser)]
#[command(name = "mailauth", version, max_term_width = 100, after_help = EXAMPLES)]
struct Cli {
    /// Configuration file [default: $MAILAUTH_CONFIG, or /etc/mailauth/mailauth.toml]
    #[arg(long, global = true, value_name = "FILE")]
    config: Option<PathBuf>,
    /// Print results as JSON on the standard output, and errors as JSON on the standard error
    #[arg(long, global = true)]
    json: bool,
    /// Use colour: auto (on a terminal, unless NO_COLOR is set), always or never
    #[arg(long, global = true, value_name = "WHEN", default_value_t = ColorChoice::Auto, hide_default_value = true)]
    color: ColorChoice,
    #[command(subcommand)]
    noun: Noun,
}

const EXAMPLES: &str = "\
Examples:
  mailauth try    (a demonstration in a temporary folder)
  mailauth init
  mailauth domain add example.org
  mailauth account add anna@example.org --quota 1G,10000
  mailauth auth anna@example.org --service imap
  mailauth quota report --over 90
  mailauth check
  mailauth status

Exit codes: 0 yes or done, 1 no, 2 invalid command line or configuration, 75 not now (try again), 77 over quota.

With --json, an error is one line on the standard error: {\"error\": TEXT, \"answer\": \"no\", \"not now\",
\"usage\" or \"over quota\", \"exit\": CODE}.";

#[derive(Subcommand)]
enum Noun {
    /// Create the tables in the database, or bring them up to date; can be repeated safely
    Init,
    /// Domains whose mail this host accepts
    #[command(subcommand)]
    Domain(domain::Verb),
    /// Mail accounts, each with a login and a mailbox
    #[command(subcommand)]
    Account(account::Verb),
    /// Addresses whose mail is sent to other addresses
    #[command(subcommand)]
    Alias(alias::Verb),
    /// Sizes of mailboxes and their limits
    #[command(subcommand)]
    Quota(quota::Verb),
    Setup(setup::Setup),
    Deliver(deliver::Deliver),
    Auth(auth::Auth),
    Hash(hash::Hash),
    Check(check::Check),
    Compare(compare::Compare),
    Convert(convert::Convert),
    Status(status::Status),
    /// Wrong passwords that the daemon has counted
    #[command(subcommand)]
    Throttle(throttle::Verb),
    /// The configuration in effect
    #[command(subcommand)]
    Config(config::Verb),
    /// What the daemon keeps in memory
    #[command(subcommand)]
    Cache(cache::Verb),
    Backup(backup::Backup),
    Restore(backup::Restore),
    Try(try_out::Try),
    /// Tables of another program ([schema] profile)
    #[command(subcommand)]
    Schema(schema::Verb),
}

/// Returns the command line of `mailauth`, from which its manual pages and completions are made.
#[must_use]
pub fn command() -> clap::Command {
    Cli::command()
}

/// Runs `mailauth` with the arguments of this process.
#[must_use]
pub fn run_program() -> ExitCode {
    mailauth_core::process_memory::keep_private();
    // This is known before the command line is parsed, so that an invalid one is also reported as JSON.
    if std::env::args_os().skip(1).take_while(|argument| argument != "--").any(|argument| argument == "--json") {
        output::speak_json();
    }
    let color = colour::in_arguments(std::env::args_os().skip(1).filter_map(|argument| argument.into_string().ok()));
    colour::choose(color);
    let parsed = Cli::command().color(color).try_get_matches();
    let cli = match parsed.and_then(|matches| Cli::from_arg_matches(&matches)) {
        Ok(cli) => cli,
        Err(error) => return refuse(&error),
    };
    colour::choose(cli.color);
    match run(cli) {
        Ok(exit) => exit.into(),
        Err(failure) => output::report(failure),
    }
}

/// Prints what is wrong with the command line, or the help. For `mailauth deliver` an error is "not now": a mistake in a
/// mail server's configuration must not send mail back. For a monitoring plugin it is "unknown".
fn refuse(error: &clap::Error) -> ExitCode {
    let has = |word: &str| std::env::args_os().skip(1).any(|argument| argument == word);
    if error.exit_code() != 0 && has("check") && has("--plugin") {
        return check::plugin::refuse(error).into();
    }
    let exit = match error.exit_code() {
        0 => Exit::Yes,
        _ if has("deliver") => Exit::NotNow,
        _ => Exit::Usage,
    };
    if exit != Exit::Yes && output::speaks_json() {
        return output::report(Failure::new(exit, error.to_string().trim_end()));
    }
    let _ = error.print();
    exit.into()
}

fn run(Cli { config, noun, .. }: Cli) -> Result<Exit, Failure> {
    let context = || Context::load(config.as_deref());
    let as_daemon = || Context::load_as_daemon(config.as_deref());
    match noun {
        Noun::Init => init::run(&context()?),
        Noun::Setup(setup) => setup.run(config.as_deref()),
        Noun::Domain(verb) => verb.run(&context()?),
        Noun::Account(verb) => verb.run(&context()?),
        Noun::Alias(verb) => verb.run(&context()?),
        Noun::Quota(verb) => verb.run(config.as_deref()),
        Noun::Deliver(deliver) => deliver.run(|| Context::load_for_delivery(config.as_deref())),
        Noun::Auth(auth) => auth.run(&as_daemon()?),
        Noun::Hash(hash) => hash.run(context),
        Noun::Check(check) => check.run(config.as_deref()),
        Noun::Compare(compare) => compare.run(&context()?),
        Noun::Convert(convert) => convert.run(),
        Noun::Status(status) => status.run(&context()?),
        Noun::Throttle(verb) => verb.run(&context()?),
        Noun::Config(verb) => verb.run(config.as_deref()),
        Noun::Cache(verb) => verb.run(&context()?),
        Noun::Backup(backup) => backup.run(&context()?),
        Noun::Restore(restore) => restore.run(&context()?),
        Noun::Try(try_out) => try_out.run(),
        Noun::Schema(verb) => verb.run(&as_daemon()?),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_command_line_is_consistent() {
        Cli::command().debug_assert();
    }
}
