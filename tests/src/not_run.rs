//! The record of tests that cannot run on this machine.

use std::fs::File;
use std::io::Write;

/// Records a test that did not run: in the file that `MAILAUTH_NOT_RUN` names, which tests/run prints at its end, and in
/// the output of the test, also if cargo captures that.
///
/// # Panics
/// Panics if the file cannot be written.
pub fn not_run(line: &str) {
    let line = format!("{line}\n");
    if let Some(path) = std::env::var_os("MAILAUTH_NOT_RUN") {
        let file = File::options().create(true).append(true).open(path);
        // One write per line, so that lines of several processes do not mix.
        file.and_then(|mut file| file.write_all(line.as_bytes())).expect("the list of tests that did not run");
    }
    let _ = std::io::stderr().write_all(line.as_bytes());
}
