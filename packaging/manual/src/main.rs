//! `mailauth-manual DIR`: writes the manual pages and the completions for packages.

use std::path::Path;
use std::process::ExitCode;

fn main() -> ExitCode {
    let arguments: Vec<_> = std::env::args_os().skip(1).collect();
    let [folder] = &arguments[..] else {
        eprintln!("Usage: mailauth-manual DIR    (writes DIR/man and DIR/completions)");
        return ExitCode::from(2);
    };
    match mailauth_manual::write(Path::new(folder)) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("mailauth-manual: {}: {error}", folder.display());
            ExitCode::FAILURE
        }
    }
}
