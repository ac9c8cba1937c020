//! `mailauth-exim-database [--config FILE]`: answers one request of the daemon's protocol, on its standard input and
//! output, by asking the database itself. The object and the program for Exim start it while the daemon is down.
//!
//! If it has no answer, it writes nothing to the standard output, which is "not now", and the reason to the standard
//! error.

use mailauth_core::Backend;
use mailauth_core::config::Config;
use mailauth_core::log::Log;
use mailauth_core::process_memory;
use mailauth_courier::serve_stdio;
use mailauth_exim::usage::DATABASE_USAGE;
use std::error::Error;
use std::ffi::OsString;
use std::io;
use std::path::PathBuf;
use std::process::ExitCode;

fn main() -> ExitCode {
    process_memory::keep_private();
    let log = Log::start();
    let arguments: Vec<OsString> = std::env::args_os().skip(1).collect();
    let config: Option<PathBuf> = match &arguments[..] {
        [] => None,
        [option, file] if option == "--config" => Some(file.into()),
        [option] if option == "--help" || option == "-h" => {
            println!("{DATABASE_USAGE}");
            return ExitCode::SUCCESS;
        }
        [option] if option == "--version" || option == "-V" => {
            println!("mailauth-exim-database {}", env!("CARGO_PKG_VERSION"));
            return ExitCode::SUCCESS;
        }
        _ => {
            eprintln!("{DATABASE_USAGE}");
            return ExitCode::from(75);
        }
    };
    match answer(config, &log) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            log.fatal("mailauth-exim-database", &error.to_string());
            ExitCode::from(75)
        }
    }
}

fn answer(file: Option<PathBuf>, log: &Log) -> Result<(), Box<dyn Error>> {
    let (config, _) = Config::load(file.as_deref())?;
    log.configure(&config.log);
    let backend = Backend::for_command(&config)?;
    serve_stdio(backend, &config, &mut io::stdin().lock(), &mut io::stdout().lock())?;
    Ok(())
}
